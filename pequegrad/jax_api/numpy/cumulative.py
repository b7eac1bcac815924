"""Sums and products of the elements up to each."""

import operator

from ...core.dtype import default_int, is_inexact, summed_dtype
from ...ops.shape import concatenate, flatten, normalize_axis
from ...primitives import cumulative as p
from ...primitives import elementwise as e
from ...primitives.base import number
from ...primitives.shape import broadcast_in_dim
from ..convert import as_array, requested
from .promotion import cast, refuse_out


def _cumulative(name, primitive, a, axis, dtype, out=None, for_nan=None, promote_integers=False):
    refuse_out(name, out)
    a = as_array(a, name)
    if axis is None or (not a.ndim and a.weak_type):
        a = flatten(a)
    axis = normalize_axis(0 if axis is None else operator.index(axis), a.ndim, name)
    if for_nan is not None and is_inexact(a.dtype):
        a = e.select(e.ne(a, a), number(for_nan, a), a)
    if dtype is None:
        dtype = working = summed_dtype(a.dtype) if promote_integers or a.dtype.kind == "b" else a.dtype
    else:
        dtype = working = requested(dtype, name)
        if dtype.kind == "b":  # whether the integer that would result is not 0
            a, working = (a if a.dtype.kind == "b" else e.ne(a, 0)), default_int()
    return e.convert_to(primitive(cast(a, working), axis=axis, reverse=False), dtype)


def cumsum(a, axis=None, dtype=None, out=None):
    """The sums of the elements up to each along `axis` (None: of the flattened array); bool becomes integers."""
    return _cumulative("cumsum", p.cumsum, a, axis, dtype, out)


def cumprod(a, axis=None, dtype=None, out=None):
    """The products of the elements up to each along `axis` (None: of the flattened array); bool becomes integers."""
    return _cumulative("cumprod", p.cumprod, a, axis, dtype, out)


def nancumsum(a, axis=None, dtype=None, out=None):
    """cumsum with 0 for nan."""
    return _cumulative("nancumsum", p.cumsum, a, axis, dtype, out, 0)


def nancumprod(a, axis=None, dtype=None, out=None):
    """cumprod with 1 for nan."""
    return _cumulative("nancumprod", p.cumprod, a, axis, dtype, out, 1)


def _with_initial(name, primitive, x, axis, dtype, include_initial, neutral, promote_integers):
    x = as_array(x, name)
    if not x.ndim:
        raise ValueError(f"{name} of a 0-d array is not defined.")
    if axis is None and x.ndim > 1:
        raise ValueError(f"{name}: the axis must be given for an array with {x.ndim} axes.")
    axis = normalize_axis(0 if axis is None else operator.index(axis), x.ndim, name)
    out = _cumulative(name, primitive, x, axis, dtype, promote_integers=promote_integers)
    if not include_initial:
        return out
    edge = tuple(1 if i == axis else n for i, n in enumerate(out.shape))
    return concatenate([broadcast_in_dim(number(neutral, out), shape=edge, axes=()), out], axis)


def cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False):
    """The sums of the elements up to each along `axis`, which 1-d arrays need not name; include_initial: 0 comes first."""
    return _with_initial("cumulative_sum", p.cumsum, x, axis, dtype, include_initial, 0, True)


def cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False):
    """The products of the elements up to each along `axis`, which 1-d arrays need not name; include_initial: 1 comes first."""
    return _with_initial("cumulative_prod", p.cumprod, x, axis, dtype, include_initial, 1, False)


__all__ = ["cumsum", "cumprod", "nancumsum", "nancumprod", "cumulative_sum", "cumulative_prod"]
