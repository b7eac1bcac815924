"""Cumulative sums, products and extrema, and differences. `dim` is accepted for `axis`."""

import operator

from ..core import dtype as dtypes
from ..core.errors import ArgumentError
from ..primitives import cumulative as p
from ..primitives import elementwise as e
from ..primitives import shape as s
from ..primitives.elementwise import broadcast_shapes
from .arithmetic import floating, new_handle, promoted
from .creation import as_tensor
from .shape import broadcast_to, concatenate, flatten, normalize_axis


def _cumulative(primitive, name, x, axis, dim, reverse):
    if dim is not None and axis is not None:
        raise ArgumentError("Both axis and dim are given.", fix="give one of them.")
    axis = axis if dim is None else dim
    x, axis = (flatten(x), 0) if axis is None else (x, normalize_axis(axis, x.ndim, name))
    return primitive(x, axis=axis, reverse=bool(reverse))


def _number(x, dtype):
    """x in `dtype`; bool as int32 unless a dtype is given."""
    x = as_tensor(x)
    if dtype is not None:
        return e.convert_to(x, dtypes.canonical(dtype))
    return e.convert_to(x, dtypes.default_int()) if x.dtype.kind == "b" else x


def cumsum(x, axis=None, dtype=None, *, dim=None, reverse=False):
    """Sums of the elements up to each along `axis` (None: of the flattened array); reverse: from each to the end.

    float32 is added up in float64 and 16-bit floats in float32, and float64 in blocks: errors do not grow with the size.
    """
    return _cumulative(p.cumsum, "cumsum", _number(x, dtype), axis, dim, reverse)


def cumprod(x, axis=None, dtype=None, *, dim=None, reverse=False):
    """Products of the elements up to each along `axis` (None: of the flattened array); reverse: from each to the end."""
    return _cumulative(p.cumprod, "cumprod", _number(x, dtype), axis, dim, reverse)


def cummax(x, axis=None, *, dim=None, reverse=False):
    """The largest of the elements up to each along `axis` (None: of the flattened array); nan from the first nan on."""
    return _cumulative(p.cummax, "cummax", as_tensor(x), axis, dim, reverse)


def cummin(x, axis=None, *, dim=None, reverse=False):
    """The smallest of the elements up to each along `axis` (None: of the flattened array); nan from the first nan on."""
    return _cumulative(p.cummin, "cummin", as_tensor(x), axis, dim, reverse)


def logcumsumexp(x, axis=None, *, dim=None, reverse=False):
    """log(cumsum(exp(x))) without overflow."""
    return _cumulative(p.cumlogsumexp, "logcumsumexp", floating(x), axis, dim, reverse)


def linear_recurrence(a, b, axis=0, *, reverse=False):
    """h with h[i] = a[i] * h[i - 1] + b[i] along `axis`, from h = 0; reverse: h[i] = a[i] * h[i + 1] + b[i].

    a, b: numbers that broadcast with one another. The same as a scan of one multiplication and addition per step, in one pass.
    """
    a, b = promoted(_number(a, None), _number(b, None))
    shape = broadcast_shapes("linear_recurrence", a._node.aval, b._node.aval)
    axis = normalize_axis(axis, len(shape), "linear_recurrence")
    return p.linear_recurrence(broadcast_to(a, shape), broadcast_to(b, shape), axis=axis, reverse=bool(reverse))


@new_handle
def diff(x, n=1, axis=-1, prepend=None, append=None, *, dim=None):
    """x[i + 1] - x[i] along `axis`, n times over; of bool: whether they differ.

    prepend, append: values that are put before and behind x first: arrays of x's rank, or numbers.
    """
    x = as_tensor(x)
    axis = normalize_axis(axis if dim is None else dim, x.ndim, "diff")
    n = operator.index(n)
    if n < 0:
        raise ArgumentError(f"diff: n is {n}.", fix="give an n >= 0.")
    if n == 0:
        return x
    edge = tuple(1 if i == axis else size for i, size in enumerate(x.shape))
    parts = [x if v is x else _edge(v, edge, x.device) for v in (prepend, x, append) if v is not None]
    x = concatenate(parts, axis) if len(parts) > 1 else x
    for _ in range(min(n, x.shape[axis])):
        size = x.shape[axis]
        x = e.sub(s.slice_axis(x, axis, min(1, size), size), s.slice_axis(x, axis, 0, max(size - 1, 0)))
    return x


def _edge(value, shape, device):
    value = as_tensor(value, device)
    return value if value.ndim else broadcast_to(value, shape)


__all__ = ["cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "diff", "linear_recurrence"]
