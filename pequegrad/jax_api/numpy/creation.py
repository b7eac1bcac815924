"""Arrays from data, shapes and numbers."""

import functools
import math
import operator
import warnings

import numpy as np

from ...core import dtype as dtypes
from ...core.dtype import inexact_of, is_complex, is_float, is_integer, real_of
from ...core.errors import TracerError
from ...core.node import ARRAY, scalar_constant
from ...core.tensor import Tensor, wrap
from ...ops import arithmetic as a
from ...ops.shape import broadcast_to, concatenate, expand_dims, moveaxis, reshape, stack
from ...primitives.control import identity as alias
from ...primitives.control import to_device
from ...primitives.elementwise import convert_to
from ...primitives.shape import broadcast_in_dim, iota
from ..array import Array
from ..convert import SCALARS, as_array, canonical, convertible, from_numpy, number, place_of, requested, to_array
from .data_types import pair_of, promoted_pair, result_type

# ---- from data ---------------------------------------------------------------------------------------


def array(object, dtype=None, *args, copy=True, order="K", ndmin=0, device=None, out_sharding=None):
    """An Array of a number, nested lists (of numbers, arrays, traced values), a NumPy array, or what can be one.

    The dtype is that of the elements together, if none is given. A Python number stays weakly typed; a Tensor stays one.
    """
    if args:
        warnings.warn(
            "Passing the copy, order, and ndmin arguments to jnp.array positionally is deprecated. Pass them by keyword.",
            DeprecationWarning,
            stacklevel=2,
        )
        copy, order, ndmin = (*args, *(copy, order, ndmin)[len(args) :])
    return _array("array", object, dtype, copy, order, ndmin, device)


def asarray(a, dtype=None, order=None, *, copy=None, device=None, out_sharding=None):
    """array, without a copy of what is an Array already."""
    if type(a) is Array and dtype is None and device is None and not copy:
        return a
    return _array("asarray", a, dtype, copy, order, 0, device)


def _array(name, object, dtype, copy, order, ndmin, device):
    if order not in (None, "K"):
        raise NotImplementedError("Only implemented for order='K'")
    dtype = None if dtype is None else requested(dtype, name)
    place = place_of(device)
    if isinstance(object, Tensor):
        x = object if dtype is None else convert_to(object, dtype, False)
        x = to_device(x, place) if device is not None else x
        if copy and x is object:
            x = x.copy() if type(x) is Array else alias(x)
    else:
        x = _from_data(object, dtype, place)
    return reshape(x, (1,) * (ndmin - x.ndim) + x.shape) if ndmin > x.ndim else x


def _from_data(object, dtype, place):
    """An Array of what is no Tensor."""
    if isinstance(object, (list, tuple)):
        return _from_lists(object, dtype, place)
    if object is None:
        raise ValueError("None is not a valid value for jnp.array")
    if isinstance(object, SCALARS) and not isinstance(object, np.generic):
        return number(object, place) if dtype is None and type(object) in SCALARS else _cast(object, dtype, place)
    if hasattr(object, "__jax_array__"):
        x = as_array(object.__jax_array__(), "array")
        return x if dtype is None else convert_to(x, dtype, False)
    data = np.asarray(object)
    _refuse_non_numbers(object, data.dtype)
    return from_numpy(data, place, dtype=dtype)


def _cast(object, dtype, place):
    if dtype is None:  # an IntEnum ...
        return convertible(object)
    return from_numpy(np.asarray(object, dtype), place, dtype=dtype)


def _refuse_non_numbers(object, dtype):
    if dtype.kind not in "biufcV" or dtype.names:
        raise TypeError(
            f"Value {object!r} with dtype {dtype} is not a valid JAX array type. Only arrays of numeric types are supported by JAX."
        )


def _from_lists(object, dtype, place):
    leaves = []
    _collect(object, leaves)
    kinds = set(map(type, leaves))
    if dtype is None:
        if kinds <= _NUMBERS:
            pairs = [dtypes.PYTHON_TYPES[kind] for kind in kinds]
        else:
            pairs = {_pair_of_leaf(x) for x in leaves}
        dtype = promoted_pair(*pairs)[0] if pairs else dtypes.default_float()
    if any(isinstance(x, Tensor) or hasattr(x, "__jax_array__") for x in leaves if type(x) not in SCALARS):
        return stack([_array("array", x, dtype, False, None, 0, None) for x in object])
    data = np.asarray(object, dtype) if kinds <= _NUMBERS else np.asarray(object)
    return from_numpy(data, place, dtype=dtype)


_NUMBERS = set(SCALARS)


def _collect(object, leaves):
    for x in object:
        if isinstance(x, (list, tuple)):
            _collect(x, leaves)
        else:
            leaves.append(x)


def _pair_of_leaf(x):
    if x is None:
        raise ValueError("None is not a valid value for jnp.array")
    if isinstance(x, (Tensor, *SCALARS)) and not isinstance(x, np.generic):
        return pair_of(x if isinstance(x, Tensor) or type(x) in SCALARS else convertible(x))
    if hasattr(x, "__jax_array__"):
        return pair_of(x.__jax_array__())
    dtype = np.asarray(x).dtype
    _refuse_non_numbers(x, dtype)
    return canonical(dtype), False


def copy(a, order=None):
    """An Array of its own with the values of a."""
    return array(as_array(a, "copy"), copy=True, order=order)


def frombuffer(buffer, dtype=float, count=-1, offset=0):
    """An Array of the bytes of a buffer; see numpy.frombuffer."""
    return asarray(np.frombuffer(buffer, np.dtype(dtype), count, offset))


def fromstring(string, dtype=float, count=-1, *, sep):
    """An Array of the numbers that a text with these separators names."""
    return asarray(np.fromstring(string, np.dtype(dtype), count, sep=sep))


def _impure(name):
    def function(*args, **kwargs):
        raise NotImplementedError(
            f"jnp.{name}() is not implemented: what it reads may change between traces. Use jnp.asarray(np.{name}(...))."
        )

    function.__name__, function.__doc__ = name, f"Not available, as in JAX: use jnp.asarray(np.{name}(...))."
    return function


fromiter, fromfile = _impure("fromiter"), _impure("fromfile")


def fromfunction(function, shape, *, dtype=float, **kwargs):
    """What `function` gives for the indices of each position, one call for all of them."""
    from ..transforms import vmap

    shape = shape_tuple(shape)
    mapped = functools.partial(function, **kwargs)
    for axis in reversed(range(len(shape))):
        mapped = vmap(mapped, in_axes=tuple(0 if i == axis else None for i in range(len(shape))))
    return mapped(*(arange(n, dtype=dtype) for n in shape))


def from_dlpack(x, /, *, device=None, copy=None):
    """An Array on the memory of an array of another library; see jax.dlpack.from_dlpack."""
    from ..dlpack import from_dlpack

    return from_dlpack(x, device, copy)


# ---- of one number -----------------------------------------------------------------------------------


def shape_tuple(shape, name="shape"):
    """A shape, given as an integer or a sequence of them, as a tuple. TypeError for what is none or has negative sizes."""
    sizes = shape
    if not isinstance(shape, (tuple, list)):
        ndim = getattr(shape, "ndim", None)
        sizes = (
            (shape,)
            if ndim == 0 or (ndim is None and not hasattr(shape, "__iter__")) or isinstance(shape, str)
            else shape
        )
    try:
        sizes = tuple(map(operator.index, sizes))
    except TracerError:  # it says more
        raise
    except TypeError:
        raise TypeError(f"Shapes must be 1D sequences of concrete values of integer type, got {shape!r}.") from None
    if any(n < 0 for n in sizes):
        raise TypeError(f"{name}: sizes must be nonnegative, got {sizes}.")
    return sizes


def filled(shape, value, dtype, place, weak_type=False, tensors=False):
    """A number everywhere; an Array, or a Tensor if `tensors`."""
    if type(value) is complex or not _fits(value, dtype):
        x = convert_to(number(value, place), dtype, weak_type)
    else:
        x = wrap(scalar_constant(value, dtype, place, weak_type, 0 if tensors else ARRAY))
    return broadcast_in_dim(x, shape=shape, axes=())


def _fits(value, dtype):
    """True for a number that a dtype represents or rounds; what does not fit is converted by the runtime, and wraps around."""
    if dtype.kind == "b":
        return type(value) is bool
    if is_integer(dtype):
        limits = np.iinfo(dtype)
        return type(value) is not float and limits.min <= value <= limits.max
    return True


def full(shape, fill_value, dtype=None, *, device=None, out_sharding=None):
    """fill_value everywhere: a number (then weakly typed, unless a dtype is given), or an array that broadcasts to the shape."""
    return _full(
        "full", shape_tuple(shape, "full"), fill_value, None if dtype is None else requested(dtype, "full"), device
    )


def _full(name, shape, value, dtype, device):
    place = place_of(device)
    if type(value) in SCALARS:
        kind, weak = dtypes.PYTHON_TYPES[type(value)]
        if dtype is None or (type(value) is not complex or is_complex(dtype)):
            return filled(shape, value, dtype or kind, place, weak and dtype is device is None)
        raise TypeError(f"{name}: {value} does not fit dtype {dtype}.")
    value = as_array(value, name)
    value = value if dtype is None else convert_to(value, dtype, False)
    return alias(broadcast_to(value if device is None else to_device(value, place), shape))


def zeros(shape, dtype=None, *, device=None, out_sharding=None):
    """Zeros of this shape, of the default float dtype unless one is given."""
    return _numbers("zeros", shape, 0, dtype, device)


def ones(shape, dtype=None, *, device=None, out_sharding=None):
    """Ones of this shape, of the default float dtype unless one is given."""
    return _numbers("ones", shape, 1, dtype, device)


def empty(shape, dtype=None, *, device=None, out_sharding=None):
    """Zeros: there is no memory that nobody has written to."""
    return _numbers("empty", shape, 0, dtype, device)


def _numbers(name, shape, value, dtype, device):
    dtype = dtypes.default_float() if dtype is None else requested(dtype, name)
    return filled(shape_tuple(shape, name), value, dtype, place_of(device))


def zeros_like(a, dtype=None, shape=None, *, device=None, out_sharding=None):
    """Zeros of the shape and dtype of a, unless others are given."""
    return _like("zeros_like", a, 0, dtype, shape, device)


def ones_like(a, dtype=None, shape=None, *, device=None, out_sharding=None):
    """Ones of the shape and dtype of a, unless others are given."""
    return _like("ones_like", a, 1, dtype, shape, device)


def empty_like(prototype, dtype=None, shape=None, *, device=None):
    """Zeros of the shape and dtype of prototype, unless others are given."""
    return _like("empty_like", prototype, 0, dtype, shape, device)


def full_like(a, fill_value, dtype=None, shape=None, *, device=None, out_sharding=None):
    """fill_value everywhere, in the shape and dtype of a, unless others are given."""
    return _like("full_like", a, fill_value, dtype, shape, device)


def _like(name, like, value, dtype, shape, device):
    """like: an array, a number, or what has a shape and a dtype."""
    if not (hasattr(like, "shape") and hasattr(like, "dtype")):
        like = as_array(like, name)
    weak = dtype is None and bool(getattr(like, "weak_type", False))
    dtype = canonical(like.dtype) if dtype is None else requested(dtype, name)
    shape = tuple(like.shape) if shape is None else shape_tuple(shape, name)
    if type(value) not in SCALARS:
        value = convert_to(as_array(value, name), dtype, weak)
        return alias(broadcast_to(value, shape))
    if type(value) is complex and not is_complex(dtype):
        raise TypeError(f"{name}: {value} does not fit dtype {dtype}.")
    is_tensor = isinstance(like, Tensor)
    place = like.device if is_tensor and device is None else place_of(device)
    return filled(shape, value, dtype, place, weak, is_tensor and not like._node.flags & ARRAY)


# ---- of evenly spaced numbers ------------------------------------------------------------------------


def arange(start, stop=None, step=None, dtype=None, *, device=None, out_sharding=None):
    """start, start + step, ... below stop; arange(n) counts from 0. The numbers must be known while a function is traced."""
    if start is None:
        raise TypeError("arange requires a number to count to, got None.")
    names = ("stop" if stop is None and step is None else "start", "stop", "step")
    given = [_known(v, name) for v, name in zip((start, stop, step), names)]
    found = (
        result_type(*[v for v in (start, stop, step) if v is not None]) if dtype is None else requested(dtype, "arange")
    )
    if found.kind == "b":
        raise TypeError(
            "arange does not accept dtype bool. Accepted dtypes are subtypes of integer, floating, complexfloating."
        )
    start, stop, step = given
    if any(isinstance(v, complex) for v in given):
        raise ValueError("Passing complex start/stop/step to jnp.arange is not supported: use linspace.")
    if stop is None:
        start, stop = 0, start
    size = max(0, math.ceil(stop - start if step is None else (stop - start) / step))
    working = dtypes.dt.float32 if step is not None and is_float(found) and found.itemsize == 2 else found
    x = to_array(iota(shape=(size,), dtype=working, axis=0, device=place_of(device)))
    if step is not None:
        x = a.multiply(asarray(step, working), x)
    x = a.add(asarray(start, working), x) if start != 0 or step is not None else x
    return convert_to(x, found)


def _known(x, name):
    """A number for an argument of arange."""
    if x is None:
        return None
    if isinstance(x, str):
        raise TypeError(f"arange: {name} is the text {x!r}, not a number.")
    if type(x) not in SCALARS:
        as_array(x, "arange") if isinstance(x, (list, tuple)) else None
        if getattr(x, "ndim", 0):
            raise ValueError(f"jax.numpy.arange: arguments must be scalars; got {name}={x}")
        x = x.item() if hasattr(x, "item") else operator.index(x)
    return int(x) if isinstance(x, bool) else x


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    """`num` evenly spaced numbers from start to stop, which are arrays or numbers, along a new axis; endpoint: stop is one of
    them. retstep: (these, the distance between two).
    """
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    start, stop = as_array(start, "linspace"), as_array(stop, "linspace", 1)
    found = inexact_of(result_type(start, stop)) if dtype is None else requested(dtype, "linspace")
    computed = inexact_of(found)
    start, stop = (convert_to(v, computed, False) for v in (start, stop))
    shape = np.broadcast_shapes(start.shape, stop.shape)
    axis = axis + len(shape) + 1 if axis < 0 else axis
    first, last = (expand_dims(broadcast_to(v, shape), axis) for v in (start, stop))
    steps = num - 1 if endpoint else num
    if num > 1:
        distance = a.divide(a.subtract(stop, start), float(steps))
        count = iota(shape=(steps,), dtype=real_of(computed), axis=0, device=start.device)
        t = reshape(a.divide(count, float(steps)), (1,) * axis + (steps,) + (1,) * (len(shape) - axis))
        out = a.add(a.multiply(first, a.subtract(1, t)), a.multiply(last, t))  # exact at both ends
        out = concatenate([out, last], axis) if endpoint else out
    else:
        distance = filled((), math.nan, computed, start.device) if endpoint or not num else a.subtract(stop, start)
        out = first if num else filled((*shape[:axis], 0, *shape[axis:]), 0, computed, start.device)
    out = convert_to(a.floor(out) if is_integer(found) else out, found, False)
    out = out if device is None else to_device(out, place_of(device))
    return (out, distance) if retstep else out


def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    """base ** v for `num` evenly spaced exponents v from start to stop."""
    start, stop = as_array(start, "logspace"), as_array(stop, "logspace", 1)
    found = inexact_of(result_type(start, stop)) if dtype is None else requested(dtype, "logspace")
    exponents = linspace(start, stop, num, endpoint, dtype=inexact_of(found), axis=axis)
    return convert_to(
        a.power(base if type(base) in SCALARS else as_array(base, "logspace", 4), exponents), found, False
    )


def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """`num` numbers from start to stop with one ratio between neighbours."""
    start, stop = as_array(start, "geomspace"), as_array(stop, "geomspace", 1)
    found = inexact_of(result_type(start, stop)) if dtype is None else requested(dtype, "geomspace")
    computed = inexact_of(found)
    start, stop = (convert_to(v, computed, False) for v in (start, stop))
    sign = a.sign(start)
    low, high = (_log10(a.divide(v, sign)) for v in (start, stop))
    out = a.multiply(sign, logspace(low, high, num, endpoint, dtype=computed))
    return convert_to(moveaxis(out, 0, axis), found, False)


def _log10(x):
    from ...ops.special import log10

    return log10(x)


# ---- matrices ----------------------------------------------------------------------------------------


def eye(N, M=None, k=0, dtype=None, *, device=None):
    """Ones on the k-th diagonal (which may be computed) of an (N, M) array of zeros; M = N unless given."""
    if isinstance(k, int):  # beyond the corners all diagonals are empty
        k = int(max(-operator.index(N), min(k, operator.index(N if M is None else M))))
    return _diagonals("eye", a.equal, N, M, k, dtype, device)


def identity(n, dtype=None):
    """The identity matrix of shape (n, n)."""
    return eye(n, dtype=dtype)


def tri(N, M=None, k=0, dtype=None):
    """Ones on and below the k-th diagonal of an (N, M) array of zeros; M = N unless given."""
    dtype = dtypes.dt.float32 if dtype is None else dtype  # whatever jax_enable_x64 says, as in JAX
    return _diagonals("tri", a.greater_equal, N, M, k, dtype, None)


def _diagonals(name, compare, n, m, k, dtype, device):
    dtype = dtypes.default_float() if dtype is None else requested(dtype, name)
    k = as_array(k, name)
    if k.ndim or not is_integer(k.dtype):
        raise ValueError(f"k must be a scalar integer; got {k}")
    n, m = (operator.index(v) for v in (n, n if m is None else m))
    if n < 0 or m < 0:
        raise ValueError(f"negative dimensions are not allowed, got {n} and {m}")
    place = place_of(device) if device is not None else k.device
    row, column = (iota(shape=(n, m), dtype=k.dtype, axis=axis, device=place) for axis in (0, 1))
    return convert_to(compare(a.add(row, k), column), dtype, False)


def diag_indices(n, ndim=2):
    """The indices of the diagonal of an array with ndim axes of size n: a tuple of Arrays."""
    n, ndim = operator.index(n), operator.index(ndim)
    if n < 0 or ndim < 0:
        raise ValueError(f"diag_indices takes nonnegative numbers, got {n} and {ndim}.")
    return (arange(n),) * ndim


def diag_indices_from(arr):
    """diag_indices for an array whose axes have one size."""
    arr = as_array(arr, "diag_indices_from")
    if arr.ndim < 2:
        raise ValueError("input array must be at least 2-d")
    if len(set(arr.shape)) != 1:
        raise ValueError("All dimensions of input must be of equal length")
    return diag_indices(arr.shape[0], ndim=arr.ndim)


__all__ = [
    "arange", "array", "asarray", "copy", "diag_indices", "diag_indices_from", "empty", "empty_like", "eye", "frombuffer",
    "fromfile", "fromfunction", "fromiter", "fromstring", "from_dlpack", "full", "full_like", "geomspace", "identity",
    "linspace", "logspace", "ones", "ones_like", "tri", "zeros", "zeros_like",
]  # fmt: skip
