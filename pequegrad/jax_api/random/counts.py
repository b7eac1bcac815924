"""Samplers of counts, which reject or add up numbers in a loop: poisson, binomial, multinomial."""

import math

import numpy as np

from ...core.dtype import default_float, default_int, dt
from ...ops.arithmetic import promoted_floats
from ...ops.cumulative import cumsum
from ...ops.indexing import getitem
from ...ops.shape import moveaxis
from ...primitives import elementwise as e
from ...primitives import mathematical as m
from ...primitives.random import random_bits
from ...primitives.reduction import reduce_or
from ...primitives.special import lgamma
from ...transforms.control_flow import scan, while_loop
from ..convert import as_array, from_numpy
from .arguments import cast, checked_key, checked_shape, compiled, finfo, requested, shape_with, spread, subkeys
from .continuous import unit
from .keys import as_typed


def some(mask):
    """True if there is a true one."""
    return reduce_or(mask, axes=tuple(range(mask.ndim)))


def _repeated(step, unfinished, limit, key, *values):
    """step(key, *values) again and again while unfinished(*values) somewhere, at most `limit` times; the last values."""
    body = lambda state: (state[0] + 1, *step(*state[1:]))
    more = lambda state: e.and_(some(unfinished(*state[2:])), e.lt(state[0], min(limit, 2**31 - 1)))
    return while_loop(more, body, (cast(0, dt.int32, key), key, *values))[2:]


# ---- poisson -----------------------------------------------------------------------------------------


def poisson(key, lam, shape=None, dtype=None, *, out_sharding=None):
    """Poisson numbers of mean lam: counted for lam < 10 (Knuth), else by transformed rejection (Hörmann, 1993)."""
    key, lam = checked_key(key, "poisson"), as_array(lam, "poisson", 1)
    dtype = requested(dtype, default_int(), "poisson", "integer")
    return _poisson(as_typed(key), e.convert_to(spread(lam, shape_with("poisson", shape, lam)), dt.float32), dtype)


@compiled(2)
def _poisson(key, lam, dtype):
    few = (lam != lam) | (lam < 10)
    limit = np.iinfo(dtype).max
    counted = _poisson_counted(key, e.select(few, lam, 0.0), dtype, limit)
    drawn = _poisson_drawn(key, e.select(few, 1e5, lam), limit)
    return e.select(lam == 0, 0, e.select(few, counted, e.convert_to(drawn, dtype)))


def _poisson_counted(key, lam, dtype, limit):
    """How many uniform numbers have a product above exp(-lam)."""

    def step(key, count, logarithm):
        key, chosen = subkeys(key)
        count = e.select(logarithm > -lam, count + 1, count)
        return key, count, logarithm + m.log(unit(chosen, lam.shape, dt.float32))

    start = spread(cast(0, dtype, lam), lam.shape), spread(cast(0.0, dt.float32, lam), lam.shape)
    return _repeated(step, lambda count, logarithm: logarithm > -lam, limit, key, *start)[0] - 1


def _poisson_drawn(key, lam, limit):
    b = 0.931 + 2.53 * m.sqrt(lam)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    likely = 0.9277 - 3.6224 / (b - 2)
    log_lam = m.log(lam)

    def step(key, found, done):
        key, key_u, key_v = subkeys(key, 3)
        u, v = unit(key_u, lam.shape, dt.float32) - 0.5, unit(key_v, lam.shape, dt.float32)
        edge = 0.5 - e.abs_(u)
        k = m.floor((2 * a / edge + b) * u + lam + 0.43)
        height = m.log(v * inverse_alpha / (a / (edge * edge) + b))
        below = height <= -lam + k * log_lam - lgamma(k + 1)
        never = (k < 0) | ((edge < 0.013) & (v > edge))
        accepted = ((edge >= 0.07) & (v <= likely)) | (~never & below)
        return key, e.select(accepted, k, found), done | accepted

    start = spread(cast(-1.0, dt.float32, lam), lam.shape), spread(cast(False, dt.bool_, lam), lam.shape)
    return _repeated(step, lambda found, done: ~done, limit, key, *start)[0]


# ---- binomial ----------------------------------------------------------------------------------------


def binomial(key, n, p, shape=None, dtype=None):
    """The number of successes in n trials of probability p, as floats: counted for small means, else by rejection (Hörmann, 1993)."""
    key, n, p = checked_key(key, "binomial"), as_array(n, "binomial", 1), as_array(p, "binomial", 2)
    dtype = requested(dtype, default_float(), "binomial", "float")
    shape = shape_with("binomial", shape, n, p)
    (p,) = promoted_floats(p)
    n, p = (spread(e.convert_to(x, p.dtype), shape) for x in (n, p))
    return _binomial(as_typed(key), n, p, dtype)


@compiled(3)
def _binomial(key, n, p, dtype):
    """binomial, for n and p of one shape and dtype."""
    rare = p < 0.5
    q = e.select(rare, p, 1.0 - p)
    no_count, endless = (n != n) | (n < 0), e.abs_(n) == math.inf
    no_chance = (q != q) | (q < 0)
    undefined = q != q
    q = e.select(no_chance, 0.01, q)
    few = no_count | (n * q <= 10.0)
    n = m.floor(n)
    limit = int(min(float(finfo(dtype).max), 2.0**31))
    counted = _binomial_counted(key, e.select(few, n, 0.0), q, limit)
    drawn = _binomial_drawn(key, e.select(few, 1e4, n), e.select(few, 0.5, q), limit)
    found = e.convert_to(e.select(few, counted, drawn), dtype)
    found = e.select(no_chance | no_count, math.nan, found)
    found = e.select(endless & ~(no_chance | no_count), math.inf, found)
    return e.select(rare | no_count | undefined | endless, found, e.convert_to(n, dtype) - found)


def _binomial_counted(key, n, q, limit):
    """How many geometric numbers have a sum of at most n."""
    log_failure = m.log1p(-q)

    def step(key, count, total):
        chosen, key = subkeys(key)
        count = e.select(total <= n, count + 1, count)
        return key, count, total + m.ceil(m.log(unit(chosen, q.shape, q.dtype)) / log_failure)

    zeros = spread(cast(0.0, q.dtype, q), q.shape)
    return _repeated(step, lambda count, total: total <= n, limit, key, zeros, zeros)[0] - 1


def _binomial_drawn(key, n, q, limit):
    deviation = m.sqrt(n * q * (1 - q))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * q
    likely = 0.92 - 4.2 / b
    odds = q / (1 - q)
    alpha = (2.83 + 5.1 / b) * deviation
    mode = m.floor((n + 1) * q)
    at_mode = (mode + 0.5) * m.log((mode + 1) / (odds * (n - mode + 1)))
    tails = _stirling_tail(mode) + _stirling_tail(n - mode)

    def step(key, found, done):
        key, key_u, key_v = subkeys(key, 3)
        u, v = unit(key_u, q.shape, q.dtype) - 0.5, unit(key_v, q.shape, q.dtype)
        edge = 0.5 - e.abs_(u)
        k = m.floor((2 * a / edge + b) * u + (n * q + 0.5))
        rest = n - k
        bound = (
            at_mode
            + (n + 1) * m.log((n - mode + 1) / (rest + 1))
            + (k + 0.5) * m.log(odds * (rest + 1) / (k + 1))
            + tails
            - _stirling_tail(k)
            - _stirling_tail(rest)
        )
        below = m.log(v * alpha / (a / (edge * edge) + b)) <= bound
        never = (k < 0) | (k > n)
        accepted = ((edge >= 0.07) & (v <= likely)) | (~never & below)
        return key, e.select(accepted, k, found), done | accepted

    start = spread(cast(-1.0, q.dtype, q), q.shape), spread(cast(False, dt.bool_, q), q.shape)
    return _repeated(step, lambda found, done: ~done, limit, key, *start)[0]


# log(k!) less Stirling's formula for it, for k = 0 ... 9
_TAILS = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
    0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


def _stirling_tail(k):
    """log(k!) less Stirling's formula for it."""
    table = from_numpy(np.array(_TAILS, k.dtype), k.device, dtype=k.dtype)
    small = k <= 9
    k = e.clamp(cast(0.0, k.dtype, k), k, cast(9.0, k.dtype, k))
    square = (k + 1) * (k + 1)
    series = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)
    return e.select(small, getitem(table, e.convert_to(m.floor(k), dt.int32)), series)


def multinomial(key, n, p, *, shape=None, dtype=None, unroll=1):
    """How often each of p.shape[-1] outcomes comes in n trials: a binomial number for each, of those that are left."""
    key, n, p = checked_key(key, "multinomial"), as_array(n, "multinomial", 1), as_array(p, "multinomial", 2)
    n, p = (e.convert_to(x, x.dtype) for x in promoted_floats(n, p))
    shape = p.shape if shape is None else checked_shape(shape)
    n, p = spread(n, shape[:-1]), moveaxis(spread(p, shape), -1, 0)
    left = cumsum(p, axis=0, reverse=True)
    ratios = p / e.select(left == 0, 1.0, left)

    def step(remaining, ratio_and_key):
        ratio, key = ratio_and_key
        ratio = e.clamp(cast(0.0, p.dtype, p), ratio, cast(1.0, p.dtype, p))
        count = _binomial(key, remaining, ratio, remaining.dtype)
        return remaining - count, count

    keys = random_bits(key, shape=(p.shape[0],), dtype=as_typed(key).dtype)
    counts = moveaxis(scan(step, n, (ratios, keys), unroll=unroll)[1], 0, -1)
    return e.convert_to(counts, requested(dtype, default_float(), "multinomial", "number"))


__all__ = ["binomial", "multinomial", "poisson"]
