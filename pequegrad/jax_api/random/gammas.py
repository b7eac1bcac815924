"""Gamma variates, and what is made of them: beta, dirichlet, chisquare, t, f, generalized_normal, ball."""

import functools

import numpy as np

from ...core.dtype import default_float, key_dtype
from ...ops.arithmetic import divide, multiply, power
from ...ops.reductions import softmax
from ...primitives import elementwise as e
from ...primitives import mathematical as m
from ...primitives.random import random_bits
from ...primitives.reduction import reduce_sum
from ...primitives.shape import reshape, reshape_to
from ...primitives.special import random_gamma_grad
from ...transforms.control_flow import while_loop
from ...transforms.custom import custom_jvp
from ..convert import operand
from .arguments import (
    cast,
    check_safe,
    checked_key,
    checked_shape,
    compiled,
    finfo,
    requested,
    shape_with,
    spread,
    subkeys,
)
from .continuous import standard_exponential, standard_normal, unit
from .counts import some
from .discrete import rademacher

# ---- one variate for each key ------------------------------------------------------------------------


def _squares_and_cubes(keys, c):
    """(x ** 2, (1 + c x) ** 3) of normal numbers x, of which those with 1 + c x <= 0 are drawn again."""

    def draw(state):
        keys, x, v = state
        again, (rest, chosen) = v <= 0, subkeys(keys)
        new = standard_normal(chosen, (), c.dtype)
        return e.select(again, rest, keys), e.select(again, new, x), e.select(again, new * c + 1, v)

    start = keys, *(spread(cast(x, c.dtype, c), c.shape) for x in (0.0, -1.0))
    _, x, v = while_loop(lambda state: some(state[2] <= 0), draw, start)
    return x * x, v * v * v


@compiled(2)
def _variates(keys, a, in_logarithms):
    """A gamma variate (or its logarithm) for each key and parameter, by Marsaglia and Tsang's rejection (2000).

    For a < 1 it is one of a + 1 times a uniform number to the power 1 / a.
    """
    large = a >= 1
    d = e.select(large, a, a + 1) - 1 / 3
    c = 1 / 3 / m.sqrt(d)

    def rejected(state):
        _, x, v, u = state
        return (u >= 1 - 0.0331 * (x * x)) & (m.log(u) >= x * 0.5 + d * (1 - v + m.log(v)))

    def draw(state):
        again, (rest, key_x, key_u) = rejected(state), subkeys(state[0], 3)
        new = rest, *_squares_and_cubes(key_x, c), unit(key_u, (), a.dtype)
        return tuple(e.select(again, x, y) for x, y in zip(new, state))

    keys, boost = subkeys(keys)
    start = keys, *(spread(cast(x, a.dtype, a), a.shape) for x in (0.0, 1.0, 2.0))  # these are rejected
    v = while_loop(lambda state: some(rejected(state)), draw, start)[2]
    if in_logarithms:
        logarithm = -standard_exponential(boost, (), a.dtype)
        return m.log(d) + m.log(v) + e.select(large | (logarithm == 0), 0, logarithm * (1 / a))
    return d * v * e.select(large, 1, m.pow_(1 - unit(boost, (), a.dtype), 1 / a))


@functools.cache
def _sampler(in_logarithms):
    """The function of a key and parameters, with the derivative for a fixed value of the distribution function."""

    @custom_jvp
    def sample(key, a):
        keys = random_bits(key, shape=(a.size,), dtype=key_dtype)
        return reshape_to(_variates(keys, reshape_to(a, (a.size,)), in_logarithms), a.shape)

    @sample.defjvp
    def rule(primals, tangents):
        key, a = primals
        x = sample(key, a)
        if not in_logarithms:
            return x, tangents[1] * random_gamma_grad(a, x)
        value = m.exp(x)
        value = e.select(value == 0, float(finfo(a.dtype).tiny), value)
        return x, tangents[1] * (random_gamma_grad(a, value) / value)

    return sample


def variates(key, a, shape, dtype, in_logarithms=False):
    """Gamma variates of parameters `a` that broadcast to `shape`."""
    return _sampler(in_logarithms)(key, spread(cast(a, dtype, key), shape))


# ---- the family --------------------------------------------------------------------------------------


def _prepared(name, key, dtype, shape, *parameters):
    key, dtype = checked_key(key, name), requested(dtype, default_float(), name, "float")
    return key, shape_with(name, shape, *parameters), dtype


def gamma(key, a, shape=None, dtype=None, *, out_sharding=None):
    """Gamma variates of shape parameter a and scale 1; their derivative with respect to a is that of the quantile."""
    key, shape, dtype = _prepared("gamma", key, dtype, shape, a)
    return variates(key, a, shape, dtype)


def loggamma(key, a, shape=None, dtype=None, *, out_sharding=None):
    """Logarithms of gamma variates, also where these are too small for their dtype."""
    key, shape, dtype = _prepared("loggamma", key, dtype, shape, a)
    return variates(key, a, shape, dtype, in_logarithms=True)


def beta(key, a, b, shape=None, dtype=None, *, out_sharding=None):
    """Beta variates: the share of a gamma variate of a in its sum with one of b."""
    key, shape, dtype = _prepared("beta", key, dtype, shape, a, b)
    check_safe("beta", dtype, a, b)
    logarithms = [variates(k, p, shape, dtype, in_logarithms=True) for k, p in zip(subkeys(key), (a, b))]
    largest = e.max_(*logarithms)
    first, second = (m.exp(x - largest) for x in logarithms)
    return first / (first + second)


def dirichlet(key, alpha, shape=None, dtype=None, *, out_sharding=None):
    """Dirichlet variates over the last axis: gamma variates of alpha, divided by their sum."""
    key, dtype = checked_key(key, "dirichlet"), requested(dtype, default_float(), "dirichlet", "float")
    if not np.ndim(alpha):
        raise ValueError("dirichlet requires alpha.ndim >= 1, got alpha.ndim == 0")
    *batch, size = np.shape(alpha)
    shape = shape_with("dirichlet", shape, np.broadcast_to(0, batch))
    return softmax(variates(key, alpha, (*shape, size), dtype, in_logarithms=True), -1)


def chisquare(key, df, shape=None, dtype=None, *, out_sharding=None):
    """Chi-squared variates: sums of df squared normal numbers."""
    key, shape, dtype = _prepared("chisquare", key, dtype, shape, df)
    check_safe("chisquare", dtype, df)
    return _chisquare(key, cast(df, dtype, key), shape, dtype)


def _chisquare(key, df, shape, dtype):
    return m.exp(variates(key, df / 2, shape, dtype, in_logarithms=True)) * 2


def t(key, df, shape=None, dtype=None, *, out_sharding=None):
    """Student's t variates of df degrees of freedom."""
    key, shape, dtype = _prepared("t", key, dtype, shape, df)
    check_safe("t", dtype, df)
    normal_key, gamma_key = subkeys(key)
    half = cast(df, dtype, key) / 2
    return standard_normal(normal_key, shape, dtype) * m.sqrt(half / variates(gamma_key, half, shape, dtype))


def f(key, dfnum, dfden, shape=None, dtype=None, *, out_sharding=None):
    """F variates: the ratio of two chi-squared variates, each divided by its degrees of freedom."""
    key, shape, dtype = _prepared("f", key, dtype, shape, dfnum, dfden)
    check_safe("f", dtype, dfnum, dfden)
    below, above = (
        _chisquare(k, df, shape, dtype) / df
        for k, df in zip(subkeys(key), (cast(dfden, dtype, key), cast(dfnum, dtype, key)))
    )
    return above / below


def generalized_normal(key, p, shape=(), dtype=None, *, out_sharding=None):
    """Variates whose density is proportional to exp(-|x| ** p)."""
    key = checked_key(key, "generalized_normal")
    dtype = requested(dtype, default_float(), "generalized_normal", "float")
    return _generalized_normal(key, operand(p), checked_shape(shape), dtype)


def _generalized_normal(key, p, shape, dtype):
    gamma_key, sign_key = subkeys(key)
    size = variates(gamma_key, divide(1, p), shape, dtype)
    return multiply(rademacher(sign_key, shape, dtype), power(size, divide(1, p)))


def ball(key, d, p=2, shape=(), dtype=None, *, out_sharding=None):
    """Points in the unit ball of the p-norm in d dimensions, uniformly (Barthe et al., 2005)."""
    key, shape = checked_key(key, "ball"), checked_shape(shape)
    dtype, p = requested(dtype, default_float(), "ball", "float"), operand(p)
    point_key, radius_key = subkeys(key)
    x = _generalized_normal(point_key, p, (*shape, *checked_shape(d)), dtype)
    powers = power(e.abs_(x), p)
    total = reduce_sum(powers, axes=(x.ndim - 1,)) + standard_exponential(radius_key, shape, dtype)
    return divide(x, reshape(power(total, divide(1, p)), shape=(*shape, 1)))


__all__ = ["ball", "beta", "chisquare", "dirichlet", "f", "gamma", "generalized_normal", "loggamma", "t"]
