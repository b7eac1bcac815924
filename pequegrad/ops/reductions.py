"""Sums, means, extrema. `dim` and `keepdim` are accepted for `axis` and `keepdims`."""

import math

from ..core import dtype as dtypes
from ..core.dtype import default_int, dt, is_complex
from ..core.errors import ArgumentError, ShapeError
from ..primitives import elementwise as e
from ..primitives import mathematical as m
from ..primitives import reduction as p
from ..primitives.control import stop_gradient
from ..primitives.shape import reshape_to
from .arithmetic import divide, floating, new_handle, sqrt
from .creation import as_tensor
from .shape import flatten, normalize_axes, normalize_axis


def _reduce(primitive, x, axis, keepdims, name):
    axes = normalize_axes(axis, x.ndim, name)
    out = primitive(x, axes=axes) if axes else x
    return reshape_to(out, kept_shape(x.shape, axes)) if keepdims else out


def kept_shape(shape, axes):
    """`shape` with 1 in place of the reduced axes."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _names(axis, keepdims, dim, keepdim):
    if dim is not None:
        if axis is not None:
            raise ArgumentError("Both axis and dim are given.", fix="give one of them.")
        axis = dim
    return axis, keepdims if keepdim is None else keepdim


@new_handle
def sum(x, axis=None, keepdims=False, dtype=None, *, dim=None, keepdim=None):
    """The sum over `axis` (default: all). bool and integers below 32 bits are summed as int32 (uint32), as in JAX."""
    axis, keepdims = _names(axis, keepdims, dim, keepdim)
    x = _accumulated(as_tensor(x), dtype)
    return _reduce(p.reduce_sum, x, axis, keepdims, "sum")


@new_handle
def prod(x, axis=None, keepdims=False, dtype=None, *, dim=None, keepdim=None):
    """The product over `axis` (default: all); dtypes as for sum."""
    axis, keepdims = _names(axis, keepdims, dim, keepdim)
    x = _accumulated(as_tensor(x), dtype)
    return _reduce(p.reduce_prod, x, axis, keepdims, "prod")


def _accumulated(x, dtype):
    if dtype is not None:
        return e.convert_to(x, dtypes.canonical(dtype))
    return e.convert_to(x, dtypes.summed_dtype(x.dtype), x.weak_type)


@new_handle
def max(x, axis=None, keepdims=False, *, dim=None, keepdim=None):
    """The largest element over `axis` (default: all); nan if there is one."""
    return _extremum(p.reduce_max, "max", x, *_names(axis, keepdims, dim, keepdim))


@new_handle
def min(x, axis=None, keepdims=False, *, dim=None, keepdim=None):
    """The smallest element over `axis` (default: all); nan if there is one."""
    return _extremum(p.reduce_min, "min", x, *_names(axis, keepdims, dim, keepdim))


def _extremum(primitive, name, x, axis, keepdims):
    x = as_tensor(x)
    if 0 in [x.shape[a] for a in normalize_axes(axis, x.ndim, name)]:
        raise ShapeError(f"{name}: the reduced axes of {x._node.aval} are empty: there is no {name}.")
    return _reduce(primitive, x, axis, keepdims, name)


def any(x, axis=None, keepdims=False, *, dim=None, keepdim=None):
    """True where some element over `axis` is not zero."""
    axis, keepdims = _names(axis, keepdims, dim, keepdim)
    return _reduce(p.reduce_or, _truth(x), axis, keepdims, "any")


def all(x, axis=None, keepdims=False, *, dim=None, keepdim=None):
    """True where no element over `axis` is zero."""
    axis, keepdims = _names(axis, keepdims, dim, keepdim)
    return _reduce(p.reduce_and, _truth(x), axis, keepdims, "all")


def _truth(x):
    x = as_tensor(x)
    return x if x.dtype.kind == "b" else e.ne(x, 0)


def mean(x, axis=None, keepdims=False, *, dim=None, keepdim=None):
    """The arithmetic mean over `axis` (default: all); integers become float32. 16-bit floats are summed in float32."""
    axis, keepdims = _names(axis, keepdims, dim, keepdim)
    x = floating(x)
    count = math.prod(x.shape[a] for a in normalize_axes(axis, x.ndim, "mean"))
    total = _reduce(p.reduce_sum, _wide(x), axis, keepdims, "mean")
    return e.convert_to(divide(total, float(count) if count else math.nan), x.dtype, x.weak_type)


def var(x, axis=None, keepdims=False, correction=0, *, ddof=None, dim=None, keepdim=None):
    """The variance over `axis`: mean squared distance from the mean, with n - correction in the denominator. Of complex
    numbers it is real.

    ddof is another name of correction, as in NumPy.
    """
    axis, keepdims = _names(axis, keepdims, dim, keepdim)
    correction = correction if ddof is None else ddof
    x = floating(x)
    count = math.prod(x.shape[a] for a in normalize_axes(axis, x.ndim, "var"))
    wide = _wide(x)
    centred = e.sub(wide, mean(wide, axis, keepdims=True))
    squares = e.real(e.mul(centred, e.conj(centred))) if is_complex(x.dtype) else e.mul(centred, centred)
    total = _reduce(p.reduce_sum, squares, axis, keepdims, "var")
    return e.convert_to(
        divide(total, float(count - correction) if count > correction else math.nan),
        dtypes.real_of(x.dtype),
        x.weak_type,
    )


def _wide(x):
    """16-bit floats as float32: sums and counts of many elements do not fit them."""
    return e.convert_to(x, dt.float32) if x.dtype.itemsize == 2 else x


def std(x, axis=None, keepdims=False, correction=0, *, ddof=None, dim=None, keepdim=None):
    """The standard deviation: the square root of var."""
    axis, keepdims = _names(axis, keepdims, dim, keepdim)
    return sqrt(var(x, axis, keepdims, correction, ddof=ddof))


def _position(primitive, name, x, axis, keepdims, dtype):
    x, dtype = as_tensor(x), default_int() if dtype is None else dtype
    if axis is None:
        ndim, x, axis = x.ndim, flatten(x), 0
        out = primitive(x, axis=0, dtype=dtypes.canonical(dtype))
        return reshape_to(out, (1,) * ndim) if keepdims else out
    axis = normalize_axis(axis, x.ndim, name)
    out = primitive(x, axis=axis, dtype=dtypes.canonical(dtype))
    return reshape_to(out, kept_shape(x.shape, (axis,))) if keepdims else out


def argmax(x, axis=None, keepdims=False, *, dtype=None, dim=None, keepdim=None):
    """The index (int32) of the first largest element along `axis`, or in the flattened array."""
    return _position(p.argmax, "argmax", x, *_names(axis, keepdims, dim, keepdim), dtype)


def argmin(x, axis=None, keepdims=False, *, dtype=None, dim=None, keepdim=None):
    """The index (int32) of the first smallest element along `axis`, or in the flattened array."""
    return _position(p.argmin, "argmin", x, *_names(axis, keepdims, dim, keepdim), dtype)


def logsumexp(x, axis=None, keepdims=False, *, dim=None, keepdim=None):
    """log(sum(exp(x))) over `axis`, without overflow; of complex numbers the logarithm with an angle in (-pi, pi]."""
    axis, keepdims = _names(axis, keepdims, dim, keepdim)
    x = floating(x)
    axes = normalize_axes(axis, x.ndim, "logsumexp")
    largest = e.convert_to(_finite_maximum(e.real(x) if is_complex(x.dtype) else x, axes), x.dtype)
    total = m.log(p.reduce_sum(m.exp(e.sub(x, largest)), axes=axes))
    out = e.add(total, reshape_to(largest, total.shape))
    return reshape_to(out, kept_shape(x.shape, axes)) if keepdims else out


def _finite_maximum(x, axes):
    """The maximum with kept axes as a constant, 0 where it is infinite."""
    largest = stop_gradient(p.reduce_max(stop_gradient(x), axes=axes))
    largest = e.select(m.is_finite(largest), largest, 0)
    return reshape_to(largest, kept_shape(x.shape, axes))


def softmax(x, axis=-1, *, dim=None):
    """exp(x) / sum(exp(x)) along `axis`."""
    x = floating(x)
    axes = normalize_axes(axis if dim is None else dim, x.ndim, "softmax")
    exponentials = m.exp(e.sub(x, _finite_maximum(x, axes)))
    return e.div(exponentials, reshape_to(p.reduce_sum(exponentials, axes=axes), kept_shape(x.shape, axes)))


def log_softmax(x, axis=-1, *, dim=None):
    """log(softmax(x)) along `axis`, without overflow."""
    x = floating(x)
    axes = normalize_axes(axis if dim is None else dim, x.ndim, "log_softmax")
    shifted = e.sub(x, _finite_maximum(x, axes))
    total = m.log(p.reduce_sum(m.exp(shifted), axes=axes))
    return e.sub(shifted, reshape_to(total, kept_shape(x.shape, axes)))


__all__ = [
    "sum", "prod", "max", "min", "any", "all", "mean", "var", "std", "argmax", "argmin", "logsumexp", "softmax",
    "log_softmax",
]  # fmt: skip
