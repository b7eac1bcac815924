"""jax.dlpack: arrays on memory that is shared with other libraries. https://dmlc.github.io/dlpack/latest/c_api.html"""

import ctypes

import numpy as np

from ..core import dtype as dtypes
from ..core.device import device as devices
from ..core.node import ARRAY, leaf, make_aval
from ..core.tensor import Tensor, wrap
from ..primitives.control import to_device
from ..primitives.elementwise import convert_to
from ..primitives.representation import copy as copied
from ..runtime import library
from .convert import canonical, place_of

_CPU = 1
_BFLOAT16 = 4  # DLPack's code of the kind; a dtype is (code, bits, lanes)
_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)), ("offset", ctypes.c_uint64),
    ]  # fmt: skip


class _Managed(ctypes.Structure):
    _fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class _Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64), ("tensor", _Tensor),
    ]  # fmt: skip


# name of a capsule -> (what it holds, its name once that has been taken)
_CAPSULES = {b"dltensor": (_Managed, b"used_dltensor"), b"dltensor_versioned": (_Versioned, b"used_dltensor_versioned")}


def _api(name, result, *arguments):
    function = getattr(ctypes.pythonapi, name)
    function.restype, function.argtypes = result, arguments
    return function


_name_of = _api("PyCapsule_GetName", ctypes.c_char_p, ctypes.py_object)
_pointer_of = _api("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
_rename = _api("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)


def _held(capsule):
    """(what the capsule holds, its address, the capsule's name once that has been taken)"""
    name = _name_of(capsule)
    if name not in _CAPSULES:
        raise ValueError(f"{capsule!r} holds no DLPack tensor that could be taken: it may have been already.")
    kind, used = _CAPSULES[name]
    address = _pointer_of(capsule, name)
    return kind.from_address(address), address, used


# ---- giving ------------------------------------------------------------------------------------------


def exported(x, max_version=None, dl_device=None, copy=None):
    """The capsule with the memory of the Array x."""
    if x.device.kind != "cpu" or (dl_device is not None and tuple(map(int, dl_device)) != (_CPU, 0)):
        raise BufferError(f"__dlpack__: only arrays on the CPU are given, and only there; this one is on {x.device}.")
    x.block_until_ready()
    x._computed("__dlpack__()")
    versioned = max_version is not None and max_version[0] >= 1
    # a capsule without version cannot say that the memory must not be written to
    view = library.view_of(x._node.value, x._node.aval, writable=not versioned)
    view = view.copy() if copy else view
    version = {"max_version": max_version} if versioned else {}
    if x.dtype.name != "bfloat16":
        return view.__dlpack__(**version)
    capsule = view.view(np.uint16).__dlpack__(**version)
    _held(capsule)[0].tensor.code = _BFLOAT16
    return capsule


# ---- taking ------------------------------------------------------------------------------------------


def from_dlpack(external_array, device=None, copy=None):
    """An Array on the memory of an array of another library, which must not change it any more; a copy if `copy` is true."""
    place = None if device is None else place_of(device)
    if isinstance(external_array, Tensor):
        found = copied(external_array) if copy else external_array
        return found if place is None else to_device(found, place)
    if not hasattr(external_array, "__dlpack__") or not hasattr(external_array, "__dlpack_device__"):
        raise TypeError(
            f"from_dlpack takes arrays with the methods __dlpack__ and __dlpack_device__, got {type(external_array).__name__}."
        )
    kind, _ = external_array.__dlpack_device__()
    if int(kind) != _CPU:
        raise BufferError(f"from_dlpack: memory of devices of kind {int(kind)} cannot be taken, only the CPU's.")
    try:
        capsule = external_array.__dlpack__(max_version=(1, 0))
    except TypeError:  # it does not know of versions
        capsule = external_array.__dlpack__()
    found = _taken(capsule)
    if canonical(found.dtype) != found.dtype:
        found = convert_to(found, canonical(found.dtype)).eval()
    elif copy:
        found = copied(found).eval()  # at once: the memory may change from here on
    return found if place is None else to_device(found, place)


def _taken(capsule):
    managed, address, used = _held(capsule)
    tensor = managed.tensor
    dtype = _dtype_of(tensor)
    shape = tuple(tensor.shape[: tensor.ndim])
    if tensor.strides:
        strides = tuple(n * dtype.itemsize for n in tensor.strides[: tensor.ndim])
    else:
        strides = tuple(int(np.prod(shape[i + 1 :], dtype=np.int64)) * dtype.itemsize for i in range(len(shape)))
    aval, begin = make_aval(shape, dtype, devices.cpu), (tensor.data or 0) + tensor.offset
    devices.cpu.handle  # noqa: B018  opens it
    if not aval.size or begin % dtype.alignment or not managed.deleter:
        data = np.from_dlpack(_Capsule(capsule)).copy() if aval.size else np.empty(shape, dtype)
        return wrap(leaf(library.array_from_host(data, devices.cpu), aval, ARRAY))
    value = library.array_on_foreign(begin, shape, strides, dtype, devices.cpu, managed.deleter, address)
    _rename(capsule, used)  # from here on the memory is given back by the runtime
    return wrap(leaf(value, aval, ARRAY))


class _Capsule:
    """What gives NumPy a capsule."""

    def __init__(self, capsule):
        self.capsule = capsule

    def __dlpack__(self, **options):
        return self.capsule

    def __dlpack_device__(self):
        return _CPU, 0


def _dtype_of(tensor):
    for dtype in dtypes.dt:
        code = _BFLOAT16 if dtype.name == "bfloat16" else _CODES[dtype.kind]
        if (tensor.code, tensor.bits, tensor.lanes) == (code, dtype.itemsize * 8, 1):
            return dtype
    raise TypeError(f"from_dlpack: there are no arrays of DLPack's type {tensor.code} with {tensor.bits} bits.")


def is_supported_dtype(dtype):
    """True if arrays of this dtype can be given and taken: all that there are."""
    try:
        dtypes.canonical(dtype)
    except TypeError:
        return False
    return True


__all__ = ["from_dlpack", "is_supported_dtype"]
