"""libpequegrad through ctypes and the standard library alone: the ABI as any program sees it."""

import ctypes as c
import math
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATH = os.environ.get("PG_LIBRARY") or os.path.join(ROOT, "pequegrad", "runtime", "libpequegrad.so")

OK, EINVAL, ENOMEM, EDEVICE, EUNSUPPORTED = 0, -1, -2, -3, -4
BOOL, I8, I32, I64, U8, U32, U64, F16, BF16, F32, F64 = 0, 1, 3, 4, 5, 7, 8, 9, 10, 11, 12
C64, C128 = 13, 14
DTYPES = range(15)
ITEMSIZE = (1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 8, 16)
BIG, LOWEST, HIGHEST = 2**62, -(2**63), 2**63 - 1


# ---- structures and calls ----------------------------------------------------------------------------


class Stats(c.Structure):
    _fields_ = [(n, c.c_int64) for n in ("in_use", "peak_in_use", "cached", "limit", "allocations", "system_allocations", "programs")]  # fmt: skip


class Info(c.Structure):
    _fields_ = [("dtype", c.c_int32), ("ndim", c.c_int32), ("offset", c.c_int64), ("buffer_bytes", c.c_int64),
                ("buffer_id", c.c_uint64), ("data", c.c_uint64), ("shape", c.c_int64 * 32), ("strides", c.c_int64 * 32)]  # fmt: skip


lib = c.CDLL(PATH)
lib.pg_last_error.restype = lib.pg_cpu_blas.restype = lib.pg_cpu_isa_name.restype = c.c_char_p
for name in ("pg_array_release", "pg_array_retain", "pg_op_destroy", "pg_program_destroy", "pg_code_close"):
    getattr(lib, name).argtypes, getattr(lib, name).restype = [c.c_void_p], None


def error():
    return lib.pg_last_error().decode()


def numbers(values):
    return (c.c_int64 * max(len(values), 1))(*values)


class Failed(Exception):
    def __init__(self, status):
        self.status = status
        super().__init__(error())


def check(status):
    if status:
        raise Failed(status)


def open_device(kind, index):
    out = c.c_void_p()
    check(lib.pg_device_open(kind.encode(), index, c.byref(out)))
    return out


def from_host(handle, dtype, shape, data):
    out = c.c_void_p()
    check(lib.pg_array_from_host(handle, dtype, len(shape), numbers(shape), data, c.byref(out)))
    return out


def to_host(array, size):
    data = c.create_string_buffer(size)
    check(lib.pg_array_to_host(array, data, c.c_int64(size)))
    return data.raw


def describe(array):
    info = Info()
    lib.pg_array_describe(array, c.byref(info))
    return info


def stats_of(handle):
    stats = Stats()
    lib.pg_device_memory_stats(handle, c.byref(stats))
    return stats


def create(handle, name, inputs, outputs, params=()):
    """A pg_op; inputs and outputs are (dtype, size, size, ...)."""
    words = [word for dtype, *shape in (*inputs, *outputs) for word in (dtype, len(shape), *shape)]
    out = c.c_void_p()
    check(lib.pg_op_create(handle, name.encode(), len(inputs), len(outputs), numbers(words), c.c_int64(len(words)),
                           numbers(params), c.c_int64(len(params)), c.byref(out)))  # fmt: skip
    return out


def open_code(path):
    out = c.c_void_p()
    check(lib.pg_code_open(os.fsencode(path), c.byref(out)))
    return out


def address(code, name):
    out = c.c_int64()
    check(lib.pg_code_symbol(code, name.encode(), c.byref(out)))
    return out.value


def execute(handle, code, n_slots, inputs, references):
    outputs = (c.c_void_p * max(len(references), 1))()
    check(lib.pg_execute(handle, numbers(code), c.c_int64(len(code)), c.c_int64(n_slots),
                         (c.c_void_p * max(len(inputs), 1))(*inputs), c.c_int64(len(inputs)), numbers(references),
                         c.c_int64(len(references)), outputs))  # fmt: skip
    return [c.c_void_p(pointer) for pointer in outputs[: len(references)]]


def bytes_of(aval):
    return ITEMSIZE[aval[0]] * math.prod(aval[1:])
