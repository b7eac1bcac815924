"""What functions of jax_api do with their arguments: arrays, numbers and NumPy arrays become Arrays, anything else is an error.

The node of an Array has the flag ARRAY, and so has all that is computed with it: that is how results become Arrays. Functions
that make arrays of nothing (zeros, iota, keys) pass their result through `to_array`. A Tensor stays one.
"""

import warnings

import numpy as np

from ..core import dtype as dtypes
from ..core.device import Device
from ..core.device import device as devices
from ..core.dtype import PYTHON_TYPES
from ..core.node import ARRAY, constant, leaf, make_aval, scalar_constant
from ..core.tensor import Tensor, wrap
from ..ops.creation import as_tensor, set_array_conversion
from ..runtime import library
from .configuration import config

_NARROW = {np.dtype(name): np.dtype(name[:-2] + "32") for name in ("int64", "uint64", "float64")}
_NARROW[np.dtype("complex128")] = np.dtype("complex64")
SCALARS = (bool, int, float, complex)
_PLAIN = {  # what always stands for itself
    key: np.dtype(name)
    for name in ("bool", "int8", "int16", "int32", "uint8", "uint16", "uint32", "float16", "float32", "complex64")
    for key in (np.dtype(name), np.dtype(name).type)
}


def canonical(dtype):
    """The dtype that arrays get where `dtype` is asked for: its 32-bit form unless jax_enable_x64 is on."""
    dtype = dtypes.canonical(dtype)
    return dtype if dtypes.default_int().itemsize == 8 else _NARROW.get(dtype, dtype)


def requested(dtype, name):
    """canonical(dtype), where the user asks the function `name` for it: UserWarning if 64 bits become 32, as in JAX."""
    if dtype.__hash__ is not None and dtype in _PLAIN:
        return _PLAIN[dtype]
    found = canonical(dtype)
    if (
        found.itemsize >= 4
        and not any(dtype is kind for kind in SCALARS)
        and (asked := dtypes.canonical(dtype)) != found
    ):
        warnings.warn(
            f"Explicitly requested dtype {asked} requested in {name} is not available, and will be truncated to dtype "
            f"{found}. To enable more dtypes, set the jax_enable_x64 configuration option or the JAX_ENABLE_X64 shell "
            "environment variable.",
            stacklevel=3,
        )
    return found


def to_array(x):
    """The Tensor x, new and known to nobody else, as an Array."""
    node = x._node
    if node.flags & ARRAY:
        return x
    if node.spec.primitive is constant:
        aval = node.aval
        return wrap(scalar_constant(node.spec.params["value"], aval.dtype, aval.device, aval.weak_type, ARRAY))
    node.flags |= ARRAY
    return wrap(node)


def from_numpy(data, device=None, weak_type=False, dtype=None):
    """An Array with a copy of `data`, in its canonical dtype or in `dtype`."""
    place = current_device() if device is None else device
    wanted = canonical(data.dtype) if dtype is None else dtype
    if data.dtype != wanted:
        with np.errstate(all="ignore"):  # 64-bit numbers that are out of range wrap around or become inf, as in JAX
            data = data.astype(wanted)
    return wrap(leaf(library.array_from_host(data, place), make_aval(data.shape, data.dtype, place, weak_type), ARRAY))


def number(value, device=None):
    """A Python number as a weakly typed Array (bool: of dtype bool)."""
    dtype, weak = PYTHON_TYPES[type(value)]
    place = current_device() if device is None else device
    if type(value) is int and not -(1 << 8 * dtype.itemsize - 1) <= value < 1 << 8 * dtype.itemsize - 1:
        raise OverflowError(f"Python int {value} too large to convert to {dtype.name}.")
    if type(value) is complex:  # 1 + 0j and 1 - 0j are equal as keys of the table of constants
        return from_numpy(np.asarray(value, dtype), place, weak_type=True)
    return wrap(scalar_constant(value, dtype, place, weak, ARRAY))


def current_device():
    """The device on which new arrays are made: jax_default_device, or the CPU."""
    return devices.cpu if config.jax_default_device is None else devices(config.jax_default_device)


def place_of(device):
    """The device that the argument `device` of a function names: None (the current one), a Device, or a Sharding with one."""
    if device is None:
        return current_device()
    if isinstance(device, Device):
        return device
    if hasattr(device, "device_set"):
        (found,) = device.device_set
        return found
    raise ValueError(f"device takes None, a jax.Device or a Sharding, got {device!r}.")


def convertible(x):
    """The argument x as an Array (Tensors as they are); None if it is none of array, number and NumPy array."""
    if isinstance(x, Tensor):
        return x
    if type(x) in SCALARS:
        return number(x)
    if isinstance(x, (np.ndarray, np.generic)):
        data = np.asarray(x)
        return from_numpy(data) if data.dtype.kind in "biufcV" else None
    if hasattr(x, "__jax_array__"):
        return convertible(x.__jax_array__())
    if isinstance(x, SCALARS):  # an IntEnum ...
        return number(next(kind for kind in SCALARS if isinstance(x, kind))(x))
    return None


def as_array(x, name="the function", position=0):
    """The argument x of the function `name` as an Array (Tensors as they are); TypeError for lists and the like, as in JAX."""
    found = x if isinstance(x, Tensor) else convertible(x)
    if found is None:
        raise TypeError(f"{name} requires ndarray or scalar arguments, got {type(x)} at position {position}.")
    return found


def operand(x, name="the function", position=0):
    """as_array, but Python numbers stay numbers, which the functions of pequegrad.ops promote at no cost."""
    return x if type(x) in SCALARS else as_array(x, name, position)


def as_arrays(name, *args):
    """as_array of each argument, in their order; beside Tensors numbers become Tensors."""
    plain = any(isinstance(x, Tensor) and not x._node.flags & ARRAY for x in args)
    return [as_tensor(x) if plain and type(x) in SCALARS else as_array(x, name, i) for i, x in enumerate(args)]


set_array_conversion(convertible)
