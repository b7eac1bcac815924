"""Samplers of integers and bools, and choices among elements."""

import math

import numpy as np

from ...core.dtype import default_float, default_int, dt, is_float, is_integer
from ...ops.arithmetic import floating
from ...ops.creation import zeros
from ...ops.cumulative import cumsum
from ...ops.indexing import getitem
from ...ops.reductions import argmax
from ...ops.shape import moveaxis, normalize_axis
from ...ops.sorting import searchsorted, topk
from ...primitives import elementwise as e
from ...primitives import mathematical as m
from ...primitives import sorting
from ...primitives.base import number
from ...primitives.random import random_bits
from ...primitives.shape import iota, reshape_to
from ..convert import as_array, to_array
from .arguments import cast, checked_key, checked_shape, common_shape, finfo, requested, shape_with, subkeys
from .continuous import standard_gumbel, unit

# ---- integers in a range -----------------------------------------------------------------------------


def randint(key, shape, minval, maxval, dtype=None, *, out_sharding=None):
    """Integers in [minval, maxval), nearly equally likely: remainders of numbers with twice as many bits."""
    key = checked_key(key, "randint")
    dtype = requested(dtype, default_int(), "randint", "integer", TypeError)
    shape = shape_with("randint", checked_shape(shape), minval, maxval)
    low, high = (_as_integer(x) for x in (minval, maxval))
    if dtype.itemsize >= 4:
        return _randint(key, shape, low, high, dtype)
    info = np.iinfo(dtype)  # sampled in 32 bits, with less bias
    low, high = (e.convert_to(x, dt.int32) for x in (low, high))
    low = e.clamp(number(info.min, low), low, number(info.max, low))
    high = e.clamp(number(info.min, high), high, number(info.max + 1, high))
    return e.convert_to(_randint(key, shape, low, high, dt.int32), dtype)


def _as_integer(x):
    x = as_array(x, "randint")
    return x if is_integer(x.dtype) else e.convert_to(x, default_int())


def _clipped(x, dtype):
    """Integers as `dtype`, those beyond its range at its ends."""
    own, wanted = np.iinfo(x.dtype), np.iinfo(dtype)
    low, high = max(own.min, wanted.min), min(own.max, wanted.max)
    if (low, high) != (own.min, own.max):
        x = e.clamp(number(low, x), x, number(high, x))
    return e.convert_to(x, dtype)


def _randint(key, shape, low, high, dtype):
    """See randint, for 32 or 64 bits."""
    bits = 8 * dtype.itemsize
    word = np.dtype(f"uint{bits}")
    beyond = high > min(np.iinfo(dtype).max, np.iinfo(high.dtype).max)
    low, high = _clipped(low, dtype), _clipped(high, dtype)
    span = e.select(high <= low, 1, e.convert_to(high - low, word))
    span = e.select(beyond & (high > low), span + 1, span)  # 0 stands for all numbers
    factor = m.rem(cast(2 ** (bits // 2), word, span), span)
    factor = m.rem(factor * factor, span)  # 2 ** bits modulo span
    first, second = (m.rem(random_bits(k, shape=shape, dtype=word), span) for k in subkeys(key))
    return low + e.convert_to(m.rem(first * factor + second, span), dtype)


# ---- bools and signs ---------------------------------------------------------------------------------


def bernoulli(key, p=0.5, shape=None, mode="low", *, out_sharding=None):
    """Bools that are true with probability p; mode "high": also where p is below the distance of uniform numbers."""
    if mode not in ("high", "low"):
        raise ValueError(f"got {mode=}, expected 'high' or 'low'")
    key, p = checked_key(key, "bernoulli"), p if type(p) is float else as_array(p, "bernoulli")
    dtype = default_float() if type(p) is float else p.dtype
    if not is_float(dtype):
        raise TypeError(f"bernoulli probability `p` must have a floating dtype, got {dtype}.")
    shape, p = shape_with("bernoulli", shape, p), cast(p, dtype, key)
    if mode == "low":
        return unit(key, shape, dtype) < p
    pair = unit(key, (2, *shape), dtype)
    return getitem(pair, 1) * 2.0 ** -finfo(dtype).nmant < p - getitem(pair, 0)


def rademacher(key, shape=(), dtype=None, *, out_sharding=None):
    """-1 or 1, equally likely."""
    key = checked_key(key, "rademacher")
    dtype = requested(dtype, default_int(), "rademacher", "number")
    heads = unit(key, checked_shape(shape), default_float()) < 0.5
    return e.convert_to(heads, dtype) * 2 - 1


def geometric(key, p, shape=None, dtype=None, *, out_sharding=None):
    """The number of trials up to the first success, if each succeeds with probability p."""
    key = checked_key(key, "geometric")
    dtype = requested(dtype, default_int(), "geometric", "integer")
    p = floating(as_array(p, "geometric"))
    u = unit(key, shape_with("geometric", shape, p), p.dtype)
    u = e.select(u == 0, 1, u)
    return e.convert_to(m.floor(m.log(u) / m.log1p(-e.convert_to(p, p.dtype))) + 1, dtype)


# ---- elements in random order ------------------------------------------------------------------------


def _shuffled(key, x, axis):
    """x sorted along `axis` by random bits, repeatedly, so that equal bits do not matter; each line by bits of its own."""
    for _ in range(math.ceil(3 * math.log(max(1, x.size)) / math.log(2**32 - 1))):
        key, chosen = subkeys(key)
        _, x = sorting.sort(random_bits(chosen, shape=x.shape, dtype=dt.uint32), x, axis=axis, num_keys=1)
    return x


def _positions(count, like):
    return to_array(iota(shape=(count,), dtype=default_int(), axis=0, device=like.device))


def permutation(key, x, axis=0, independent=False, *, out_sharding=None):
    """The numbers 0 ... x - 1, or an array along `axis`, in random order; independent: in one of its own for each line."""
    key, x = checked_key(key, "permutation"), as_array(x, "permutation", 1)
    if not x.ndim:
        if not is_integer(x.dtype):
            raise TypeError("x must be an integer or at least 1-dimensional")
        normalize_axis(axis, 1, "permutation")
        return _shuffled(key, _positions(int(x), key), 0)
    axis = normalize_axis(axis, x.ndim, "permutation")
    if independent or x.ndim == 1:
        return _shuffled(key, x, axis)
    return _taken(x, _shuffled(key, _positions(x.shape[axis], key), 0), axis)


def _taken(x, positions, axis):
    return getitem(x, (*(slice(None),) * axis, positions))


def choice(key, a, shape=(), replace=True, p=None, axis=0, mode=None):
    """Elements of a along `axis`, or of the numbers 0 ... a - 1, with probabilities p (None: equal ones).

    replace=False: each at most once. mode: of the gumbel numbers that then choose by probability.
    """
    key, a = checked_key(key, "choice"), as_array(a, "choice", 1)
    if not np.iterable(shape):
        raise TypeError(f"shape argument of jax.random.choice must be a sequence, got {shape}")
    shape, draws = checked_shape(shape), math.prod(shape)
    axis = normalize_axis(axis, a.ndim, "choice") if a.ndim else 0
    count = a.shape[axis] if a.ndim else int(a)
    if not draws:
        return to_array(zeros(shape, a.dtype, key.device))
    if count <= 0:
        raise ValueError("a must be greater than 0 unless no samples are taken")
    if not replace and draws > count:
        raise ValueError(
            f"Cannot take a larger sample (size {draws}) than population (size {count}) when 'replace=False'"
        )
    if p is None and not replace:
        chosen = permutation(key, a if a.ndim else count, axis)
        chosen = getitem(chosen, (*(slice(None),) * axis, slice(draws)))
    else:
        chosen = randint(key, shape, 0, count) if p is None else _weighted(key, count, shape, replace, p, mode)
        chosen = _taken(a, chosen, axis) if a.ndim else chosen
    return reshape_to(chosen, (*a.shape[:axis], *shape, *a.shape[axis + 1 :]))


def _weighted(key, count, shape, replace, p, mode):
    """Positions among `count`, of probabilities p."""
    p = floating(as_array(p, "choice", 4))
    if p.shape != (count,):
        raise ValueError(
            "p must be None or a 1D vector with the same size as a.shape[axis]. "
            f"p has shape {p.shape} and a.shape[axis] is {count}."
        )
    if replace:
        total = cumsum(p, axis=0)
        found = searchsorted(total, getitem(total, -1) * (1 - unit(key, shape, p.dtype)))
    else:
        _, found = topk(standard_gumbel(key, (count,), p.dtype, mode) + m.log(p), math.prod(shape))
    return e.convert_to(found, default_int())


def categorical(key, logits, axis=-1, shape=None, replace=True, mode=None, *, out_sharding=None):
    """Positions along `axis` of log-probabilities (up to a constant): where logits + gumbel numbers are largest.

    shape: of the result; it ends with that of the logits without `axis`, to which they broadcast. replace=False: the
    leading axes of the result hold different positions.
    """
    key, logits = checked_key(key, "categorical"), as_array(logits, "categorical", 1)
    batch = tuple(np.delete(logits.shape, axis))
    shape = common_shape("categorical", shape, batch)
    lead, axis = shape[: len(shape) - len(batch)], normalize_axis(axis, logits.ndim, "categorical")
    if replace:
        drawn = list(shape[len(lead) :])
        drawn.insert(axis, logits.shape[axis])
        scores = standard_gumbel(key, (*lead, *drawn), logits.dtype, mode) + logits
        return argmax(scores, len(lead) + axis, dtype=default_int())
    count = math.prod(lead)
    if count > logits.shape[axis]:
        raise ValueError(
            f"Number of samples without replacement ({count}) cannot exceed number of categories ({logits.shape[axis]})."
        )
    scores = logits + standard_gumbel(key, logits.shape, logits.dtype, mode)
    _, found = topk(moveaxis(scores, axis, -1), count)
    return reshape_to(moveaxis(found, -1, 0), shape)


__all__ = ["bernoulli", "categorical", "choice", "geometric", "permutation", "rademacher", "randint"]
