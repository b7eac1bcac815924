"""Devices: `device.cpu`, `device.cuda`, `device.cuda(1)`, `device("cuda:1")`."""

from .errors import ArgumentError

_KINDS = ("cpu", "cuda")
_devices = {}


class Device:
    """One device. `handle` opens it on first use and raises DeviceError if it is not there."""

    __slots__ = ("kind", "index", "_handle")

    def __new__(cls, kind, index=0):
        found = _devices.get((kind, index))
        if found is None:
            found = _devices[kind, index] = object.__new__(cls)
            found.kind, found.index, found._handle = kind, index, None
        return found

    @property
    def handle(self):
        if self._handle is None:
            from ..runtime import library

            self._handle = library.open_device(self.kind, self.index)
        return self._handle

    # what devices of JAX say of themselves
    id = local_hardware_id = property(lambda self: self.index, doc="Its number among those of its kind.")
    platform = property(lambda self: {"cuda": "gpu"}.get(self.kind, self.kind), doc='"cpu" or "gpu".')
    device_kind = property(lambda self: self.kind, doc='"cpu" or "cuda".')
    process_index = host_id = property(lambda self: 0, doc="0: there is one process.")

    def memory_stats(self):
        """None: see runtime.memory.memory_stats."""
        return None

    def __call__(self, index):
        """The device of the same kind with this index: `device.cuda(1)`."""
        if type(index) is not int or index < 0:
            raise ArgumentError(f"{index!r} is not a device index.", fix="use 0, 1, 2, ...")
        return Device(self.kind, index)

    def __repr__(self):
        return self.kind.upper() + (f":{self.index}" if self.index or self.kind != "cpu" else "")

    def __reduce__(self):
        return Device, (self.kind, self.index)


class DeviceNamespace:
    """`device.cpu` and `device.cuda`; `device(x)` turns 'cpu', 'cuda:1' or a Device into a Device."""

    cpu = Device("cpu")
    cuda = Device("cuda")

    def __call__(self, spec):
        if isinstance(spec, Device):
            return spec
        kind, _, index = spec.partition(":") if isinstance(spec, str) else ("", "", "")
        if kind.lower() in _KINDS and (index.isdigit() or not index):
            return Device(kind.lower(), int(index or 0))
        raise ArgumentError(
            f"{spec!r} is not a device.", fix="use device.cpu, device.cuda, device.cuda(0) or 'cuda:0'."
        )


device = DeviceNamespace()
