"""Statistics of samples: the mode, ranks, the standard error of the mean."""

import math
from typing import Any, NamedTuple

from ....core.dtype import default_float
from ... import lax
from ... import numpy as jnp
from ...convert import as_array
from .common import inexact


class ModeResult(NamedTuple):
    mode: Any
    count: Any


def _check_policy(name, nan_policy):
    if nan_policy not in ("propagate", "omit", "raise"):
        raise ValueError(f"Illegal nan_policy value {nan_policy!r}; expected 'propagate', 'omit' or 'raise'")
    if nan_policy != "propagate":
        raise NotImplementedError(f"{name}: nan_policy={nan_policy!r} is not implemented; test for nan outside.")


def _runs(x):
    """(first, last): for each element of x, sorted along its last axis, the ends of the run of its equals; nans are equal."""
    n = x.shape[-1]
    places = jnp.broadcast_to(jnp.arange(n), x.shape)
    before, after = x[..., :-1], x[..., 1:]
    steps = (before != after) & ~(jnp.isnan(before) & jnp.isnan(after))
    edge = jnp.ones((*x.shape[:-1], min(n, 1)), bool)
    starts, ends = jnp.concatenate([edge, steps], -1), jnp.concatenate([steps, edge], -1)
    axis = x.ndim - 1
    first = lax.cummax(jnp.where(starts, places, 0), axis=axis)
    return first, lax.cummin(jnp.where(ends, places, n), axis=axis, reverse=True)


def mode(a, axis=0, nan_policy="propagate", keepdims=False):
    """(the value that is most frequent along `axis`, how often it is there); of several the smallest. axis None: of all."""
    a = jnp.atleast_1d(as_array(a, "mode"))
    _check_policy("mode", nan_policy)
    if axis is None:
        shape, x = (1,) * a.ndim, jnp.ravel(a)
    else:
        x = jnp.moveaxis(a, axis, -1)
        shape = tuple(1 if i == axis % a.ndim else n for i, n in enumerate(a.shape))
    shape = shape if keepdims else x.shape[:-1]
    if not x.shape[-1]:
        return ModeResult(jnp.full(shape, math.nan), jnp.zeros(shape))
    x = jnp.sort(x, axis=-1)
    first, last = _runs(x)
    length = last - first + 1
    best = jnp.argmax(length, axis=-1, keepdims=True)
    values, counts = (jnp.take_along_axis(v, best, axis=-1) for v in (x, length))
    return ModeResult(jnp.reshape(values, shape), jnp.reshape(counts, shape))


def rankdata(a, method="average", *, axis=None, nan_policy="propagate"):
    """The ranks of the elements along `axis` (None: of all, flattened) from 1, as floats; all nan where there is a nan.

    method: what equal elements get: the "average", "min" or "max" of their ranks; "dense": min without gaps; "ordinal":
    different ranks in their order.
    """
    a = as_array(a, "rankdata")
    _check_policy("rankdata", nan_policy)
    if method not in ("average", "min", "max", "dense", "ordinal"):
        raise ValueError(f"unknown method '{method}'")
    x = jnp.ravel(a) if axis is None else jnp.moveaxis(a, axis, -1)
    order = jnp.argsort(x, axis=-1)
    inverse = jnp.argsort(order, axis=-1)
    first, last = _runs(jnp.take_along_axis(x, order, axis=-1))
    if method == "ordinal":
        ranks = inverse + 1
    else:
        places = jnp.arange(x.shape[-1])
        values = {
            "min": first + 1,
            "max": last + 1,
            "average": 0.5 * (first + last + 2),
            "dense": jnp.cumsum(first == places, axis=-1),
        }
        ranks = jnp.take_along_axis(values[method], inverse, axis=-1)
    ranks = ranks.astype(default_float())
    if x.dtype.kind not in "biu":
        ranks = jnp.where(jnp.any(jnp.isnan(x), axis=-1, keepdims=True), math.nan, ranks)
    return ranks if axis is None else jnp.moveaxis(ranks, -1, axis)


def sem(a, axis=0, ddof=1, nan_policy="propagate", *, keepdims=False):
    """The standard error of the mean; nan_policy "omit": of what is not nan."""
    (a,) = inexact("sem", a)
    if nan_policy == "propagate":
        size = a.size if axis is None else a.shape[axis]
        return jnp.std(a, axis, ddof=ddof, keepdims=keepdims) / jnp.sqrt(size).astype(a.dtype)
    if nan_policy != "omit":
        raise ValueError(f"{nan_policy} is not supported")
    count = (~jnp.isnan(a)).sum(axis, keepdims=keepdims)
    return jnp.nanstd(a, axis, ddof=ddof, keepdims=keepdims) / jnp.sqrt(count).astype(a.dtype)


__all__ = ["mode", "rankdata", "sem"]
