"""libpequegrad through cffi: devices, arrays, operations and programs as Python objects.

Every call into C is here. `lib` is looked up at each call, so that tests can count calls.
"""

import itertools
import os
import threading
import weakref
from array import array
from importlib.util import find_spec

import numpy as np

from ..core import dtype as dtypes
from ..core.errors import ArgumentError, DeviceError, DtypeError, OutOfMemoryError, PequegradError, ShapeError

try:
    from ._binding import ffi
except ModuleNotFoundError as error:
    if error.name != f"{__package__}._binding":
        raise
    raise ImportError("The C runtime of pequegrad is not built.\n  fix:   run `make` in the repository.") from None

# PG_LIBRARY names another build of the library, as `make asan` does
PATH = os.environ.get("PG_LIBRARY") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "libpequegrad.so")


def _load():
    try:
        # never unloaded: arrays are released, and threads wait, until the very end of the process
        library = ffi.dlopen(PATH, os.RTLD_NOW | os.RTLD_NODELETE)
    except OSError as error:
        raise ImportError(f"{error}\n  fix:   run `make` in the repository.") from None
    if library.pg_abi_version() != library.PG_ABI_VERSION:
        raise ImportError(
            f"{PATH} has ABI version {library.pg_abi_version()}, this Python code needs {library.PG_ABI_VERSION}.\n"
            f"  fix:   run `make clean && make` in the repository."
        )
    return library


lib = _load()
_ERRORS = {
    lib.PG_ENOMEM: OutOfMemoryError,
    lib.PG_EDEVICE: DeviceError,
    lib.PG_EUNSUPPORTED: DtypeError,
}
_FIXES = {
    lib.PG_ENOMEM: "use smaller arrays or batches, drop tensors you no longer need, or compute under pg.no_grad()."
}


def check(status, invalid=ShapeError):
    """Raises the exception of a failed call; `invalid` is the one for PG_EINVAL."""
    if status:
        if status == lib.PG_EHOST:
            raise _host_errors.__dict__.pop("last")
        kind = invalid if status == lib.PG_EINVAL else _ERRORS.get(status, PequegradError)
        raise kind(ffi.string(lib.pg_last_error()).decode(), fix=_FIXES.get(status))


# ---- devices ---------------------------------------------------------------------------------------


def open_device(kind, index):
    """The runtime's pg_device, opened once per process."""
    out = ffi.new("pg_device **")
    status = lib.pg_device_open(kind.encode(), index, out)
    if status:
        reason = ffi.string(lib.pg_last_error()).decode()
        raise DeviceError(reason, fix="use device.cpu.")
    if kind == "cpu" and os.environ.get("PG_BLAS") != "none":
        _load_blas()
    return out[0]


def _load_blas():
    """Takes LAPACK from the scipy-openblas32 wheel, without importing it, for most of pg.linalg."""
    if lib.pg_cpu_blas()[0] != b"\0":
        return
    package = find_spec("scipy_openblas32")
    if package is not None and package.origin:
        folder = os.path.join(os.path.dirname(package.origin), "lib")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if name.startswith("libscipy_openblas") and ".so" in name:
                check(lib.pg_cpu_load_blas(os.path.join(folder, name).encode()))
                return


def memory_stats(device):
    """A dict of pg_memory_stats (bytes and counts)."""
    stats = ffi.new("pg_memory_stats *")
    lib.pg_device_memory_stats(device.handle, stats)
    return {name: getattr(stats, name) for name, _ in ffi.typeof("pg_memory_stats").fields}


# ---- arrays ----------------------------------------------------------------------------------------


class DeviceArray:
    """Owns one pg_array."""

    __slots__ = ("pointer",)

    def __init__(self, pointer):
        self.pointer = pointer

    def __del__(self, release=lib.pg_array_release):
        release(self.pointer)


class DonatedArray:
    """Stands for an array that was given to a program: reading it is an error."""

    __slots__ = ("to",)

    def __init__(self, to):
        self.to = to

    @property
    def pointer(self):
        raise DeviceError(
            f"This array was donated to {self.to}: its memory now belongs to the results.",
            fix="use the results, or leave its argument out of donate_argnums.",
        )


class SharedArray:
    """One of many arrays that live and die together: owned by their `group`, an ArrayGroup."""

    __slots__ = ("pointer", "group")

    def __init__(self, pointer, group):
        self.pointer = pointer
        self.group = group


class ArrayGroup:
    """Owns the pg_arrays arrays[begin:end]; cheaper than an owner for each."""

    __slots__ = ("arrays", "begin", "end")

    def __init__(self, arrays, begin, end):
        self.arrays, self.begin, self.end = arrays, begin, end

    def __del__(self, release=lib.pg_arrays_release):
        release(self.arrays + self.begin, self.end - self.begin)


def _shared(arrays, begin, end):
    group, new, values = ArrayGroup(arrays, begin, end), object.__new__, []
    for pointer in arrays[begin:end]:
        value = new(SharedArray)  # without the call of __init__
        value.pointer, value.group = pointer, group
        values.append(value)
    return values


# Outputs of a program live and die together if there are at least so many and they hold at most so many bytes.
_MANY, _SMALL = 8, 1 << 16


def array_from_host(data, device):
    """A copy of the NumPy array `data` on `device`."""
    data = np.asarray(data, order="C")
    out = ffi.new("pg_array **")
    raw = data.reshape(-1).view(np.uint8) if data.size else np.empty(0, np.uint8)
    check(
        lib.pg_array_from_host(device.handle, dtypes.code(data.dtype), data.ndim, data.shape, ffi.from_buffer(raw), out)
    )
    return DeviceArray(out[0])


def array_to_host(value, aval):
    """A NumPy array with a copy of `value`."""
    result = np.empty(aval.shape, aval.dtype)
    raw = result.reshape(-1).view(np.uint8) if result.size else np.empty(0, np.uint8)
    check(lib.pg_array_to_host(value.pointer, ffi.from_buffer(raw, require_writable=True), raw.size))
    return result


def array_on_foreign(address, shape, strides, dtype, device, release, context):
    """A DeviceArray on memory of somebody else in the host: element 0 is at `address`, strides are in bytes. The C function at
    the address `release` is called with `context` when nothing refers to that memory any more.
    """
    out = ffi.new("pg_array **")
    function = ffi.cast("void (*)(void *)", release)
    check(
        lib.pg_array_from_foreign(
            device.handle, dtypes.code(dtype), len(shape), shape, strides, ffi.cast("void *", address), function,
            ffi.cast("void *", context), out,
        )
    )  # fmt: skip
    return DeviceArray(out[0])


class _Memory:
    """What NumPy makes an array of without a copy; that array keeps the value alive."""

    __slots__ = ("__array_interface__", "value")


def view_of(value, aval, writable=False):
    """A NumPy array on the memory of `value`, which must be the host's; read-only unless `writable`, as values never change."""
    if not aval.size:
        empty = np.empty(aval.shape, aval.dtype)
        empty.flags.writeable = writable
        return empty
    info, memory = ffi.new("pg_array_info *"), _Memory()
    lib.pg_array_describe(value.pointer, info)
    known = aval.dtype.isbuiltin == 1
    memory.value = value
    memory.__array_interface__ = {
        "version": 3, "shape": aval.shape, "strides": tuple(info.strides[0 : info.ndim]), "data": (info.data, not writable),
        "typestr": aval.dtype.str if known else f"|V{aval.dtype.itemsize}",
    }  # fmt: skip
    view = np.asarray(memory)
    return view if known else view.view(aval.dtype)


def array_from_number(number, dtype, device):
    """A 0-d array. Raises ArgumentError for an int that does not fit the dtype."""
    try:
        with np.errstate(over="ignore"):
            data = np.asarray(number, getattr(dtype, "stored", dtype))  # random keys have a dtype of their own
    except OverflowError:
        raise ArgumentError(
            f"{number} does not fit dtype {dtype}.", fix="convert the array to a wider dtype first: x.astype(dt.int64)."
        ) from None
    return array_from_host(data, device)


def are_dense(values):
    """True if all these values lie dense and row-major in memory, as generated kernels read them."""
    return lib.pg_arrays_dense([value.pointer for value in values], len(values)) == len(values)


def dense_base(value):
    """(base, permutation) of a value that is a transposed or broadcast view of a dense one; None of any other.

    base: a DeviceArray, dense, on the same memory, its axes in the order in which they lie there, of size 1 where the
    value repeats itself. Axis i of the value is axis permutation[i] of base, broadcast to the size it has. Of a dense
    value they are the value again and 0, 1, 2, ...
    """
    info, base, permutation = ffi.new("pg_array_info *"), ffi.new("pg_array **"), ffi.new("int32_t[]", lib.PG_MAX_NDIM)
    lib.pg_array_describe(value.pointer, info)
    check(lib.pg_array_dense_base(value.pointer, base, permutation))
    if not base[0]:
        return None
    return DeviceArray(base[0]), tuple(permutation[0 : info.ndim])


def shape_of(value):
    """The shape of a DeviceArray."""
    info = ffi.new("pg_array_info *")
    lib.pg_array_describe(value.pointer, info)
    return tuple(info.shape[0 : info.ndim])


# ---- operations and programs -----------------------------------------------------------------------


def _describe(aval):
    return (dtypes.code(aval.dtype), aval.ndim, *aval.shape)


class Operation:
    """The prepared kernel of a Spec. Lives as long as the Spec."""

    __slots__ = ("pointer", "address")

    def __init__(self, name, params, inputs, outputs, device):
        avals = [number for aval in (*inputs, *outputs) for number in _describe(aval)]
        out = ffi.new("pg_op **")
        check(
            lib.pg_op_create(
                device.handle, name.encode(), len(inputs), len(outputs), avals, len(avals), params, len(params), out
            )
        )
        self.pointer = out[0]
        self.address = int(ffi.cast("intptr_t", self.pointer))

    def __del__(self, destroy=lib.pg_op_destroy):
        if hasattr(self, "pointer"):
            destroy(self.pointer)


class Code:
    """A shared object with generated kernels. Must outlive the operations that were made with its addresses."""

    __slots__ = ("pointer",)

    def __init__(self, path):
        """Raises ArgumentError with the reason if `path` cannot be loaded."""
        out = ffi.new("pg_code **")
        check(lib.pg_code_open(os.fsencode(os.path.abspath(path)), out), invalid=ArgumentError)
        self.pointer = out[0]

    def address(self, name):
        """The address of a function, as a parameter of the kernel `generated`. Raises ArgumentError if there is none."""
        out = ffi.new("int64_t *")
        check(lib.pg_code_symbol(self.pointer, name.encode(), out), invalid=ArgumentError)
        return out[0]

    def __del__(self, close=lib.pg_code_close):
        if hasattr(self, "pointer"):
            close(self.pointer)


def _int64(numbers):
    return ffi.from_buffer("int64_t[]", array("q", numbers))


def execute(device, code, n_slots, inputs, output_refs, n_owned):
    """Runs `code` once; returns the arrays that output_refs name: the first n_owned as DeviceArrays of their own, the
    others as SharedArrays.
    """
    n = len(output_refs)
    outputs = ffi.new("pg_array *[]", n)
    status = lib.pg_execute(
        device.handle, _int64(code), len(code), n_slots, [value.pointer for value in inputs], len(inputs),
        _int64(output_refs), n, outputs,
    )  # fmt: skip
    if status:
        check(status)
    if n == n_owned:
        return [DeviceArray(pointer) for pointer in outputs]
    return [DeviceArray(p) for p in outputs[0:n_owned]] + _shared(outputs, n_owned, n)


programs = weakref.WeakValueDictionary()  # address -> Program


class Program:
    """Code that is run again and again. `owner` keeps its operations alive; the last inputs may be `constants`."""

    __slots__ = ("pointer", "owner", "n_outputs", "name", "_outputs", "__weakref__")

    def __init__(self, device, code, n_slots, n_inputs, output_refs, owner, constants=(), name="program"):
        out = ffi.new("pg_program **")
        check(
            lib.pg_program_create(
                device.handle, _int64(code), len(code), n_slots, n_inputs, _int64(output_refs), len(output_refs), out
            )
        )
        self._hold(out[0], owner, len(output_refs), name)
        if constants:
            check(lib.pg_program_bind(self.pointer, [value.pointer for value in constants], len(constants)))

    def _hold(self, pointer, owner, n_outputs, name):
        self.pointer, self.owner, self.n_outputs, self.name = pointer, owner, n_outputs, name
        programs[self.params[0]] = self
        self._outputs = ffi.typeof(f"pg_array *[{n_outputs}]")  # a type made once: ffi.new is faster

    @property
    def params(self):
        """As parameters of kernels that run it."""
        return (int(ffi.cast("intptr_t", self.pointer)),)

    def run(self, inputs, donated=None):
        """The outputs (see run_pointers) for these inputs (DeviceArrays).

        donated: for each input whether the program may have it; those DeviceArrays are empty afterwards.
        """
        pointers = [value.pointer for value in inputs]
        if donated is None:
            return self.run_pointers(pointers)
        outputs = ffi.new(self._outputs)
        for value, gone in zip(inputs, donated):
            if gone:
                value.pointer = ffi.NULL
        status = lib.pg_program_run_donating(self.pointer, pointers, bytes(donated), outputs)
        if status:
            check(status)
        return [DeviceArray(pointer) for pointer in outputs]

    @classmethod
    def load(cls, device, path):
        """The program that `save` wrote. Raises ArgumentError if there is none that can run here."""
        out, info = ffi.new("pg_program **"), ffi.new("pg_program_info *")
        check(lib.pg_program_load(device.handle, os.fsencode(path), out), invalid=ArgumentError)
        lib.pg_program_describe(out[0], info)
        made = object.__new__(cls)
        made._hold(out[0], None, info.n_outputs, os.path.basename(path))
        return made

    def save(self, path):
        """Writes the program to a file that any program can run through the ABI (pg_program_load). Raises ArgumentError."""
        check(lib.pg_program_save(self.pointer, os.fsencode(path)), invalid=ArgumentError)

    def run_pointers(self, pointers):
        """The outputs for the inputs that these pointers are: DeviceArrays, or SharedArrays if they are many and small."""
        outputs, n = ffi.new(self._outputs), self.n_outputs
        status = lib.pg_program_run(self.pointer, pointers, outputs)
        if status:
            check(status)
        if n == 1:
            return (DeviceArray(outputs[0]),)
        if n >= _MANY and lib.pg_arrays_bytes(outputs, n) <= _SMALL:
            return _shared(outputs, 0, n)
        return [DeviceArray(pointer) for pointer in outputs]

    def memory(self, donated=None):
        """A dict of bytes, known before a run: `inputs` and `constants`, `outputs` (what the results hold besides those),
        and `peak`, the most that a run adds at one time to memory_stats' in_use. donated: as for `run`.

        Inputs are taken to be dense. What kernels take only while they work is not counted.
        """
        info = ffi.new("pg_program_memory_info *")
        check(lib.pg_program_memory(self.pointer, ffi.NULL if donated is None else bytes(donated), info))
        return {name: getattr(info, name) for name, _ in ffi.typeof("pg_program_memory_info").fields}

    def __del__(self, destroy=lib.pg_program_destroy):
        if hasattr(self, "pointer"):
            destroy(self.pointer)


def start_profile(most):
    """Records the instructions and programs that run, up to so many; see pg_profile_start."""
    check(lib.pg_profile_start(most), invalid=ArgumentError)


def stop_profile(most):
    """(array of records, one row each: op, program, begin, end, thread; how many found no place)."""
    records = np.empty((most, 5), np.int64)
    n = lib.pg_profile_stop(ffi.cast("pg_profile_record *", ffi.from_buffer(records, require_writable=True)), most)
    return records[:n], max(n - most, 0)


# ---- functions of the host -------------------------------------------------------------------------

_host_functions = {}  # context -> (function, device, avals of the results)
_host_errors = threading.local()


class HostFunction:
    """A Python function from NumPy arrays to NumPy arrays that a program calls (kernel `host_call`)."""

    def __init__(self, function, device, avals):
        self.context = next(_host_contexts)
        _host_functions[self.context] = function, device, avals
        if not _host_entry:  # made when it is first needed: not every system allows callbacks
            _host_entry.append(ffi.callback("pg_host_function", _call_host, error=lib.PG_EHOST))

    @property
    def params(self):
        """The parameters of the kernel."""
        return int(ffi.cast("intptr_t", _host_entry[0])), self.context

    def __del__(self):
        _host_functions.pop(self.context, None)


_host_contexts = itertools.count(1)
_host_entry = []


def _call_host(context, inputs, n_in, outputs, n_out):
    try:
        function, device, avals = _host_functions[context]
        values = [_array_from_pointer(inputs[i]) for i in range(n_in)]
        arrays = [array_from_host(value, device) for value in function(*values)]
        for i, owned in enumerate(arrays):
            outputs[i], owned.pointer = owned.pointer, ffi.NULL
    except BaseException as error:
        _host_errors.last = error
        return lib.PG_EHOST
    return lib.PG_OK


def _array_from_pointer(pointer):
    """A NumPy array with a copy of a pg_array."""
    info = ffi.new("pg_array_info *")
    lib.pg_array_describe(pointer, info)
    result = np.empty(tuple(info.shape[0 : info.ndim]), dtypes.from_code(info.dtype))
    raw = result.reshape(-1).view(np.uint8) if result.size else np.empty(0, np.uint8)
    check(lib.pg_array_to_host(pointer, ffi.from_buffer(raw, require_writable=True), raw.size))
    return result
