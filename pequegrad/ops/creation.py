"""Making tensors from data, shapes and numbers."""

import math

import numpy as np

from ..core import dtype as dtypes
from ..core.device import device as devices
from ..core.dtype import PYTHON_TYPES as NUMBERS
from ..core.dtype import default_float, default_int, dt
from ..core.errors import ArgumentError, DtypeError, PequegradError, ShapeError
from ..core.node import ARRAY, scalar_constant, state
from ..core.tensor import Tensor, tensor_from_numpy, wrap
from ..primitives.control import identity as alias
from ..primitives.elementwise import add, complex_, convert_to, eq, ge, mul
from ..primitives.mathematical import exp
from ..primitives.shape import broadcast_in_dim, iota


def as_tensor(x, device=None):
    """`x` as a Tensor: tensors as they are, Python numbers weakly typed, NumPy arrays copied, lists as Tensor(x)."""
    if isinstance(x, Tensor):
        return x
    if state.arguments & ARRAY and (found := foreign(x)) is not None:
        return found
    place = devices.cpu if device is None else devices(device)
    if type(x) in NUMBERS:
        dtype, weak = NUMBERS[type(x)]
        return scalar(x, dtype, place, weak)
    if isinstance(x, (np.ndarray, np.generic)) or hasattr(x, "__array__"):
        data = np.asarray(x)
        return tensor_from_numpy(data.astype(dtypes.canonical(data.dtype), copy=False), place)
    if isinstance(x, (list, tuple)):
        if _holds_tensors(x):  # they keep their history, and their device
            from .shape import stack

            return stack(list(x))
        return Tensor(x, device=place)
    raise ArgumentError(
        f"Cannot make a tensor from {type(x).__name__}.", fix="pass a tensor, an array, a number or a list."
    )


def foreign(x):
    """What is not a Tensor as an Array, by the rules of jax_api; None for what cannot be one."""
    return _conversion(x)


def set_array_conversion(function):
    """jax_api says what `foreign` does."""
    global _conversion
    _conversion = function


_conversion = None


def _holds_tensors(x):
    return any(isinstance(v, Tensor) or (isinstance(v, (list, tuple)) and _holds_tensors(v)) for v in x)


def scalar(value, dtype, device, weak_type=False):
    """The Python number `value` as a 0-d tensor."""
    if type(value) is complex and not (value.real and value.imag):
        # equal as keys of the table of constants, 1 + 0j and 1 - 0j lie on different sides of branch cuts
        parts = [scalar_constant(part, dtypes.real_of(dtype), device, weak_type) for part in (value.real, value.imag)]
        return complex_(*map(wrap, parts))
    return wrap(scalar_constant(value, dtype, device, weak_type))


def shape_of(shape, *rest):
    """A shape given as f(2, 3), f((2, 3)) or f(6) as a tuple of ints >= 0; 0-d integer tensors are ints, too."""
    if rest or isinstance(shape, (int, np.integer)) or getattr(shape, "ndim", 1) == 0:
        shape = (shape, *rest)
    try:
        shape = tuple(n.__index__() for n in shape)
    except PequegradError:  # of a tensor: it says more
        raise
    except (AttributeError, TypeError):
        raise ShapeError(f"{shape!r} is not a shape.", fix="give ints, or a tuple of ints.") from None
    if any(n < 0 for n in shape):
        raise ShapeError(f"Shape {list(shape)} has a negative size.")
    return shape


def full(shape, value, dtype=None, device=None):
    """An array of this shape with `value` everywhere; float32 (bool for a bool, complex64 for a complex number)
    unless dtype says otherwise.

    value: a Python number, or a tensor or array that broadcasts to the shape, which then gives dtype and device.
    """
    if type(value) not in NUMBERS:
        from .arithmetic import astype
        from .shape import broadcast_to

        value = as_tensor(value, device)
        return alias(broadcast_to(value if dtype is None else astype(value, dtype), shape_of(shape)))
    place = devices.cpu if device is None else devices(device)
    if dtype is None:
        dtype = default_float() if type(value) in (int, float) else NUMBERS[type(value)][0]
    dtype = dtypes.canonical(dtype)
    if type(value) is complex and not dtypes.is_complex(dtype):
        raise DtypeError(f"full: {value} does not fit dtype {dtype}.", fix="give a real value, or a complex dtype.")
    return broadcast_in_dim(scalar(value, dtype, place), shape=shape_of(shape), axes=())


def zeros(shape, dtype=None, device=None):
    """Zeros of this shape, float32 unless dtype says otherwise."""
    return full(shape, 0, dtype, device)


def ones(shape, dtype=None, device=None):
    """Ones of this shape, float32 unless dtype says otherwise."""
    return full(shape, 1, dtype, device)


def zeros_like(x, dtype=None):
    """Zeros of the shape, dtype and device of `x`."""
    return full(x.shape, 0, dtype or x.dtype, x.device)


def ones_like(x, dtype=None):
    """Ones of the shape, dtype and device of `x`."""
    return full(x.shape, 1, dtype or x.dtype, x.device)


def full_like(x, value, dtype=None):
    """`value` everywhere, in the shape, dtype and device of `x`."""
    return full(x.shape, value, dtype or x.dtype, x.device)


def arange(start, stop=None, step=1, dtype=None, device=None):
    """start, start + step, ... below `stop`; arange(n) counts from 0. int32 for ints, float32 with a float among them.

    The values of tensors among them are read: the size of the result depends on them.
    """
    start, stop, step = (v.item() if isinstance(v, (Tensor, np.generic)) else v for v in (start, stop, step))
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ArgumentError("arange: step is 0.", fix="give a step that is not zero.")
    if dtype is None:
        dtype = default_float() if any(isinstance(v, float) for v in (start, stop, step)) else default_int()
    dtype = dtypes.canonical(dtype)
    place = devices.cpu if device is None else devices(device)
    size = max(0, math.ceil((stop - start) / step))
    inexact = any(isinstance(v, float) for v in (start, stop, step))
    x = iota(shape=(size,), dtype=dt.float64 if inexact else dtype, axis=0, device=place)
    x = mul(x, step) if step != 1 else x
    x = add(x, start) if start != 0 else x
    return convert_to(x, dtype)


def linspace(start, stop, num=50, endpoint=True, dtype=None, device=None):
    """`num` evenly spaced numbers from start to stop."""
    dtype = dtypes.canonical(dtype or default_float())
    start, stop = (convert_to(v, dt.float64) if isinstance(v, Tensor) else v for v in (start, stop))
    steps = max(num - 1 if endpoint else num, 1)
    x = arange(num, dtype=dt.float64, device=device)
    x = add(mul(x, (stop - start) / steps), start)
    return convert_to(x, dtype)


def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, device=None):
    """base ** v for `num` evenly spaced exponents v from start to stop."""
    exponents = linspace(start, stop, num, endpoint, dt.float64, device)
    return convert_to(exp(mul(exponents, math.log(base))), dtypes.canonical(dtype or default_float()))


def geomspace(start, stop, num=50, endpoint=True, dtype=None, device=None):
    """`num` numbers from start to stop with one ratio between neighbours; both are positive, or both negative."""
    if start * stop <= 0:
        raise ArgumentError(f"geomspace: no ratio leads from {start} to {stop}.", fix="give numbers of one sign.")
    exponents = linspace(math.log(abs(start)), math.log(abs(stop)), num, endpoint, dt.float64, device)
    return convert_to(mul(exp(exponents), math.copysign(1.0, start)), dtypes.canonical(dtype or default_float()))


def eye(n, m=None, dtype=None, device=None, k=0):
    """Ones on the diagonal of an (n, m) array of zeros; m = n unless given. k: a diagonal above (below: negative)."""
    row, column = _rows_and_columns(n, m, device)
    return convert_to(eq(add(row, k) if k else row, column), dtypes.canonical(dtype or default_float()))


def identity(n, dtype=None, device=None):
    """The identity matrix of shape [n, n]."""
    return eye(n, dtype=dtype, device=device)


def tri(n, m=None, k=0, dtype=None, device=None):
    """Ones on and below the k-th diagonal of an (n, m) array of zeros."""
    row, column = _rows_and_columns(n, m, device)
    return convert_to(ge(add(row, k) if k else row, column), dtypes.canonical(dtype or default_float()))


def _rows_and_columns(n, m, device):
    shape = shape_of((n, n if m is None else m))
    place = devices.cpu if device is None else devices(device)
    return [iota(shape=shape, dtype=dt.int32, axis=axis, device=place) for axis in (0, 1)]
