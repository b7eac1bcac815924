"""What is said of Arrays without their values: ShapedArray; and where they lie: Shard, SingleDeviceSharding."""

import math
from typing import Any, NamedTuple

from ..core import dtype as dtypes


class AbstractValue:
    """What is known of a value without the value: of arrays a ShapedArray."""

    __slots__ = ()


class ShapedArray(AbstractValue):
    """Shape, dtype and weak type of an array: `x.aval`, jax.typeof(x)."""

    __slots__ = ("dtype", "shape", "weak_type")

    def __init__(self, shape, dtype, weak_type=False, *, sharding=None):
        self.shape, self.weak_type = tuple(shape), bool(weak_type)
        self.dtype = dtype if dtype == dtypes.FLOAT0 else dtypes.canonical(dtype)

    @property
    def ndim(self):
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self):
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def sharding(self):
        """Divided along none of its axes, over a mesh without axes."""
        from .sharding import AbstractMesh, NamedSharding, PartitionSpec

        return NamedSharding(AbstractMesh((), ()), PartitionSpec(*[None] * len(self.shape)))

    def to_tangent_aval(self):
        """The type of its tangents: float0 for integers."""
        return self if dtypes.is_inexact(self.dtype) else self.update(dtype=dtypes.FLOAT0)

    to_ct_aval = to_tangent_aval

    def update(self, shape=None, dtype=None, weak_type=None):
        """This one with some fields replaced."""
        return ShapedArray(
            self.shape if shape is None else shape,
            self.dtype if dtype is None else dtype,
            self.weak_type if weak_type is None else weak_type,
        )

    @property
    def vma(self):
        """The manual mesh axes over which it varies: none."""
        return frozenset()

    def strip_weak_type(self):
        """This one, not weakly typed."""
        return self.update(weak_type=False)

    def str_short(self, short_dtypes=False, mesh_axis_types=False):
        """ "float32[2,3]", or "f32[2,3]"."""
        name = "float0" if self.dtype == dtypes.FLOAT0 else self.dtype.name
        if short_dtypes:
            for long, short in (("bfloat", "bf"), ("float", "f"), ("uint", "u"), ("int", "i"), ("complex", "c")):
                name = name.replace(long, short)
        return f"{name}[{','.join(map(str, self.shape))}]"

    def __str__(self):
        return ("~" if self.weak_type else "") + self.str_short()

    def __len__(self):
        if not self.shape:
            raise TypeError("A 0-d array has no length.")
        return self.shape[0]

    def __repr__(self):
        return f"ShapedArray({self.str_short()}{', weak_type=True' if self.weak_type else ''})"

    def __eq__(self, other):
        return type(other) is ShapedArray and (self.shape, self.dtype, self.weak_type) == (
            other.shape,
            other.dtype,
            other.weak_type,
        )

    def __hash__(self):
        return hash((self.shape, self.dtype, self.weak_type))


class Sharding:
    """How arrays lie on devices: here on one, whatever a sharding says of axes."""

    __slots__ = ("_device", "memory_kind")

    @property
    def device_set(self):
        """The set of its devices."""
        return {self._device}

    addressable_devices = device_set
    has_addressable_devices = property(lambda self: True, doc="True: there is one process.")
    num_devices = property(lambda self: 1, doc="1")
    is_fully_addressable = property(lambda self: True, doc="True: there is one process.")
    is_fully_replicated = property(lambda self: True, doc="True: there is one device.")

    def shard_shape(self, global_shape):
        """The shape of the part that the device holds: all of it."""
        return tuple(global_shape)

    def devices_indices_map(self, global_shape):
        """Device -> the slices of the array that it holds."""
        return {self._device: (slice(None),) * len(global_shape)}

    addressable_devices_indices_map = devices_indices_map

    def is_equivalent_to(self, other, ndim):
        """True if arrays lie alike under both."""
        return self.device_set == other.device_set


class SingleDeviceSharding(Sharding):
    """The sharding of an array that lies on one device."""

    __slots__ = ()

    def __init__(self, device, *, memory_kind=None):
        self._device, self.memory_kind = device, memory_kind or "device"

    def with_memory_kind(self, kind):
        """The same with another kind of memory."""
        return SingleDeviceSharding(self._device, memory_kind=kind)

    def __repr__(self):
        return f"SingleDeviceSharding(device={self._device!r}, memory_kind={self.memory_kind})"

    def __eq__(self, other):
        return type(other) is SingleDeviceSharding and (self._device, self.memory_kind) == (
            other._device,
            other.memory_kind,
        )

    def __hash__(self):
        return hash((self._device, self.memory_kind))


class Shard(NamedTuple):
    """The part of an array on one device."""

    device: Any
    index: tuple  # of slices: which part of the array it is
    replica_id: int
    data: Any


__all__ = ["AbstractValue", "Shard", "ShapedArray", "Sharding", "SingleDeviceSharding"]
