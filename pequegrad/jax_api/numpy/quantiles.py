"""median, percentile, quantile, and their nan-ignoring forms."""

import math

from ...core.dtype import default_int
from ...ops.arithmetic import promoted
from ...ops.indexing import getitem, pick
from ...ops.shape import broadcast_to, expand_dims, moveaxis
from ...primitives import cumulative, sorting
from ...primitives import elementwise as e
from ...primitives import mathematical as m
from ...primitives import reduction as p
from ...primitives.base import number
from ...primitives.shape import reshape_to, transpose
from ..convert import as_array
from .promotion import inexact, refuse_complex, strong
from .reductions import axes_of, kept_shape

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf")


def quantile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None
):  # fmt: skip
    """What a fraction q (a number or a row of them, from 0 to 1) of the elements over `axis` lies below; nan where one is nan.

    Between two elements `method` decides: "linear" (interpolation), "lower", "higher", "midpoint", "nearest" (of two equally
    near ones the lower), or "inverted_cdf", which takes weights, of the shape of a or of its axes `axis`.
    """
    return _quantile("quantile", a, q, axis, out, overwrite_input, method, keepdims, weights)


def nanquantile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None
):  # fmt: skip
    """quantile of what is not nan."""
    return _quantile("nanquantile", a, q, axis, out, overwrite_input, method, keepdims, weights)


def percentile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None, out_sharding=None
):  # fmt: skip
    """quantile with q from 0 to 100."""
    q = e.div(*inexact("percentile", q, 100))
    return _quantile("percentile", a, q, axis, out, overwrite_input, method, keepdims, weights)


def nanpercentile(
    a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None
):  # fmt: skip
    """nanquantile with q from 0 to 100."""
    q = e.div(*inexact("nanpercentile", q, 100))
    return _quantile("nanpercentile", a, q, axis, out, overwrite_input, method, keepdims, weights)


def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """The middle element over `axis`, or the mean of the middle two; nan where one is nan."""
    return _quantile("median", a, 0.5, axis, out, overwrite_input, "midpoint", keepdims)


def nanmedian(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """median of what is not nan."""
    return _quantile("nanmedian", a, 0.5, axis, out, overwrite_input, "midpoint", keepdims)


# ---- how -----------------------------------------------------------------------------------------------


def _quantile(name, a, q, axis, out, overwrite_input, method, keepdims, weights=None):
    if overwrite_input or out is not None:
        raise ValueError(f"{name} does not support overwrite_input=True or out: arrays do not change.")
    if method not in _METHODS:
        raise ValueError(f"{name}: method {method!r} is not one of {', '.join(_METHODS)}.")
    a, q = as_array(a, name), as_array(q, name, 1)
    if weights is None:
        (a,) = inexact(name, a)
    elif method != "inverted_cdf":
        raise NotImplementedError(f"{name}: weights need method='inverted_cdf', not {method!r}.")
    else:
        refuse_complex(f"{name} with weights", as_array(weights, name))
        a, weights = inexact(name, a, weights)
    refuse_complex(name, a)
    if q.ndim > 1:
        raise ValueError(f"{name}: q must be a number or have one axis, got shape {q.shape}.")
    if q.dtype.kind in "biu":
        raise TypeError(f"{name}: q must be floating, got {q.dtype}.")
    axes = axes_of(axis, a.ndim, name)
    kept = tuple(i for i in range(a.ndim) if i not in axes)
    together = lambda x: _rows(x, kept, axes)
    weights = None if weights is None else together(_like(weights, a, axes, axis, name))
    shape = kept_shape(a.shape, axes) if keepdims else tuple(a.shape[i] for i in kept)
    ignore = name.startswith("nan")
    rows, weights = _sorted(together(strong(a)), weights, ignore)
    fractions = reshape_to(q, (q.size,))
    if method == "inverted_cdf":
        found = _by_weight(rows, fractions, weights, ignore)
    else:
        found = _between(rows, strong(fractions), method, ignore)
    found = reshape_to(moveaxis(found, -1, 0), q.shape + shape)
    return e.convert_to(found, a.dtype)


def _rows(x, kept, axes):
    """x with `axes` as one last axis."""
    x = transpose(x, permutation=kept + axes) if kept + axes != tuple(range(x.ndim)) else x
    return reshape_to(x, (*x.shape[: len(kept)], math.prod(x.shape[len(kept) :])))


def _like(weights, a, axes, axis, name):
    if weights.shape == a.shape:
        return weights
    if axis is None or weights.shape != tuple(a.shape[i] for i in axes):
        raise ValueError(f"{name}: weights of shape {weights.shape} do not fit axes {axis} of shape {a.shape}.")
    return broadcast_to(reshape_to(weights, tuple(n if i in axes else 1 for i, n in enumerate(a.shape))), a.shape)


def _sorted(rows, weights, ignore):
    """The rows in ascending order, nan last, and the weights in the same order; unless `ignore` a nan fills its row."""
    last = rows.ndim - 1
    missing = e.ne(rows, rows)
    missing = missing if ignore else expand_dims(p.reduce_or(missing, axes=(last,)), -1)
    rows = e.select(missing, number(math.nan, rows), rows)
    if weights is None:
        return sorting.sort(rows, axis=last, num_keys=1), None
    return sorting.sort(rows, weights, axis=last, num_keys=1)


def _known(rows, dtype):
    """How many elements of each row are not nan: [..., 1]"""
    return expand_dims(p.reduce_sum(e.convert_to(e.eq(rows, rows), dtype), axes=(rows.ndim - 1,)), -1)


def _between(rows, q, method, ignore):
    """What lies at the fractions q of the sorted rows: [..., n] -> [..., q.size]"""
    top = e.sub(_known(rows, q.dtype), 1) if ignore else number(float(rows.shape[-1] - 1), q)
    place = e.mul(q, top)
    below, above = m.floor(place), m.ceil(place)
    weight = e.sub(place, below)
    low, high = (_at(rows, e.max_(e.min_(i, top), 0)) for i in (below, above))
    if method == "lower":
        return low
    if method == "higher":
        return high
    if method == "nearest":
        return e.select(e.le(weight, 0.5), low, high)
    if method == "midpoint":
        return e.mul(e.add(low, high), 0.5)
    low, high = (e.convert_to(v, q.dtype) for v in (low, high))
    return e.add(e.mul(low, e.sub(number(1, weight), weight)), e.mul(high, weight))


def _at(rows, places):
    """rows[..., places]; places: [k], or [..., k] where they differ from row to row."""
    places = e.convert_to(places, default_int())
    return getitem(rows, (Ellipsis, places)) if places.ndim == 1 else pick(rows, places, rows.ndim - 1)


def _by_weight(rows, q, weights, ignore):
    """The first element of each sorted row up to which lies a fraction q of the weights (default: of the elements)."""
    last = rows.ndim - 1
    weights = e.convert_to(e.eq(rows, rows), rows.dtype) if weights is None else weights
    bad, missing = e.not_(e.ge(weights, 0)), e.ne(rows, rows)
    clean = e.select(e.or_(bad, missing), number(0, weights), weights)
    up_to = cumulative.cumsum(clean, axis=last, reverse=False)
    n = rows.shape[last]
    target = e.mul(*promoted(q, getitem(up_to, (Ellipsis, slice(n - 1, n)))))
    places = sorting.searchsorted(*promoted(up_to, target), side="left")
    top = e.sub(_known(rows, places.dtype), 1) if ignore else n - 1
    found = pick(rows, e.max_(e.min_(places, top), 0), last)
    unknown = p.reduce_or(bad, axes=(last,))
    nothing = p.reduce_and(missing, axes=(last,)) if ignore else p.reduce_or(missing, axes=(last,))
    return e.select(expand_dims(e.or_(unknown, nothing), -1), number(math.nan, found), found)


__all__ = ["quantile", "nanquantile", "percentile", "nanpercentile", "median", "nanmedian"]
