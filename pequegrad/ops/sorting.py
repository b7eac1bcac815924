"""Sorting, selecting and searching; medians and quantiles. In their order nan is above all numbers and -0.0 equals 0.0."""

import math

import numpy as np

from ..core.dtype import default_int, dt
from ..core.errors import ArgumentError, ShapeError
from ..core.tensor import Tensor
from ..primitives import elementwise as e
from ..primitives import mathematical as m
from ..primitives import reduction as r
from ..primitives import shape as s
from ..primitives import sorting as p
from ..primitives.base import number
from .arithmetic import floating, promoted
from .creation import as_tensor
from .indexing import getitem
from .reductions import _names, kept_shape
from .shape import broadcast_to, flatten, moveaxis, normalize_axes, normalize_axis, reshape


def _along(x, axis, name):
    """(x, axis), flattened if axis is None."""
    x = as_tensor(x)
    return (flatten(x), 0) if axis is None else (x, normalize_axis(axis, x.ndim, name))


def sort(x, axis=-1, descending=False, stable=True, *, dim=None):
    """The elements in ascending order along `axis` (None: of the flattened array), always stably; descending: the reverse."""
    x, axis = _along(x, axis if dim is None else dim, "sort")
    out = p.sort(x, axis=axis, num_keys=1)
    return s.rev(out, axes=(axis,)) if descending else out


def argsort(x, axis=-1, descending=False, stable=True, *, dim=None):
    """The positions (int32) from which sort takes its elements; equal elements stay in their order, descending, too."""
    x, axis = _along(x, axis if dim is None else dim, "argsort")
    if not descending:
        return _order((x,), axis)
    # the order of the reversed array, read backwards, has equal elements in their order
    n = x.shape[axis]
    backwards = s.rev(_order((s.rev(x, axes=(axis,)),), axis), axes=(axis,))
    return e.sub(number(n - 1, backwards), backwards)


def _order(keys, axis):
    """The positions along `axis` in the order of the keys, the most important one first."""
    positions = p.sort(*keys, p.positions_like(keys[0], axis), axis=axis, num_keys=len(keys))[-1]
    return e.convert_to(positions, dt.int64) if default_int() == dt.int64 else positions


def lexsort(keys, axis=-1):
    """The positions (int32) that sort by several keys: a sequence of arrays, or the rows of one, the last most important."""
    if not len(keys):
        raise ArgumentError("lexsort: no keys given.", fix="give a sequence of at least one array.")
    place = next((key.device for key in keys if isinstance(key, Tensor)), None)
    keys = [as_tensor(keys[i], place) for i in range(len(keys))]
    shape = e.broadcast_shapes("lexsort", *[key._node.aval for key in keys])
    keys = tuple(broadcast_to(key, shape) for key in reversed(keys))
    return _order(keys, normalize_axis(axis, len(shape), "lexsort"))


def topk(x, k, axis=-1, *, dim=None):
    """(the k largest elements along `axis`, largest first; their positions, int32). Of equal elements the first."""
    x = as_tensor(x)
    axis = normalize_axis(axis if dim is None else dim, x.ndim, "topk")
    values, positions = p.top_k(moveaxis(x, axis, -1), k=int(k))
    return moveaxis(values, -1, axis), moveaxis(positions, -1, axis)


def searchsorted(sorted_sequence, values, side="left"):
    """Where each of `values` would be inserted (int32): before equal elements, or after them with side "right".

    sorted_sequence: [n] for values of any shape, or [..., n] for values [..., m]; ascending along the last axis.
    """
    rows, values = promoted(sorted_sequence, values)
    if rows.ndim == 1 or not rows.ndim:
        return reshape(p.searchsorted(rows, flatten(values), side=side), values.shape)
    return p.searchsorted(rows, values, side=side)


# ---- quantiles ---------------------------------------------------------------------------------------

_METHODS = ("linear", "lower", "higher", "nearest", "midpoint")


def quantile(x, q, axis=None, keepdims=False, *, method="linear", dim=None, keepdim=None):
    """What a fraction q of the elements over `axis` (default: all) lies below; nan where there is a nan.

    q: numbers from 0 to 1; its axes come first in the result. Between two elements `method` decides: "linear" (interpolation),
    "lower", "higher", "nearest" (of two equally near ones the lower), "midpoint". Integers become float32.
    """
    return _quantile("quantile", x, q, *_names(axis, keepdims, dim, keepdim), method)


def percentile(x, q, axis=None, keepdims=False, *, method="linear", dim=None, keepdim=None):
    """quantile with q from 0 to 100."""
    x = as_tensor(x)
    return _quantile(
        "percentile", x, e.div(_fractions(q, x.device), 100.0), *_names(axis, keepdims, dim, keepdim), method
    )


def median(x, axis=None, keepdims=False, *, dim=None, keepdim=None):
    """The middle element over `axis` (default: all), or the mean of the middle two; nan where there is a nan."""
    return _quantile("median", x, 0.5, *_names(axis, keepdims, dim, keepdim), "midpoint")


def _fractions(q, device):
    """q in float64, in which positions in long rows are exact."""
    return e.convert_to(q if isinstance(q, Tensor) else as_tensor(np.asarray(q, np.float64), device), dt.float64)


def _quantile(name, x, q, axis, keepdims, method):
    if method not in _METHODS:
        raise ArgumentError(f"{name}: method {method!r} is not known.", fix=f"use one of {', '.join(_METHODS)}.")
    x = floating(x)
    q = _fractions(q, x.device)
    axes = normalize_axes(axis, x.ndim, name)
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    shape = tuple(x.shape[i] for i in kept)
    count = math.prod(x.shape[a] for a in axes)
    if not count:
        raise ShapeError(f"{name}: the reduced axes of {x._node.aval} are empty.", fix="reduce axes with elements.")
    rows = s.reshape_to(s.transpose(x, permutation=kept + axes) if kept else x, (*shape, count))
    rows = p.sort(rows, axis=len(shape), num_keys=1)
    found = _interpolated(rows, s.reshape_to(q, (q.size,)), method)
    unknown = r.reduce_or(e.ne(x, x), axes=axes)
    found = e.select(s.expand_leading(unknown, len(shape), 1), number(float("nan"), found), found)
    out = moveaxis(found, -1, 0)
    return s.reshape_to(out, q.shape + (kept_shape(x.shape, axes) if keepdims else shape))


def _interpolated(rows, q, method):
    """What lies at fractions q (1-d) of the last axis, sorted, of `rows`."""
    place = e.mul(q, float(rows.shape[-1] - 1))
    below = m.floor(place)
    beyond = e.sub(place, below)  # 0 to 1
    at = lambda where: getitem(rows, (Ellipsis, e.convert_to(where, dt.int32)))
    if method == "lower":
        return at(below)
    if method == "higher":
        return at(m.ceil(place))
    if method == "nearest":
        return at(e.add(below, e.convert_to(e.gt(beyond, 0.5), dt.float64)))
    low, high = at(below), at(m.ceil(place))
    if method == "midpoint":
        weight = e.mul(e.convert_to(e.gt(beyond, 0.0), low.dtype), 0.5)
    else:
        weight = e.convert_to(beyond, low.dtype)
    between = e.add(e.mul(low, e.sub(number(1, weight), weight)), e.mul(high, weight))
    # between equal infinities lies that infinity, not nan
    return e.select(e.and_(e.eq(low, high), e.not_(m.is_finite(low))), low, between)
