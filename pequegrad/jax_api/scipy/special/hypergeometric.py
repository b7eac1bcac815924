"""Hypergeometric functions, by series: Pearson, Olver and Porter, "Numerical methods for the computation of the confluent and
Gauss hypergeometric functions" (2017), and Cephes for what is near x = 1."""

import math

from ... import lax
from ... import numpy as jnp
from .common import real_inexact, with_derivatives
from .gammas import digamma, gamma

_MOST_TERMS = 250


def _epsilon(x):
    return float(jnp.finfo(x.dtype).eps)


def _series(first, term, ratio, weight=lambda k: 1.0):
    """first + sum of weight(k) t_k for t_1 = term, t_(k + 1) = t_k ratio(k), until each element changes by no more than rounding."""
    precision = _epsilon(term)

    def going(state):
        total, k, term = state
        return (k < _MOST_TERMS) & (jnp.abs(term) / jnp.abs(total) > precision)

    def step(state):
        more = going(state)
        total, k, term = state
        return (
            jnp.where(more, total + weight(k) * term, total),
            k + 1,
            jnp.where(more, term * ratio(k), term),
        )

    start = (jnp.full_like(term, first), jnp.ones((), term.dtype), term)
    return lax.while_loop(lambda state: jnp.any(going(state)), step, start)[0]


def hyp1f1(a, b, x):
    """The confluent hypergeometric function 1F1(a; b; x)."""
    return _hyp1f1(*jnp.broadcast_arrays(*real_inexact("hyp1f1", a, b, x)))


def _ratio_1f1(a, b, x):
    return lambda k: (a + k) / (b + k) * x / (k + 1)


@with_derivatives(
    lambda a, b, x, out: _series(0, a / b * x, _ratio_1f1(a, b, x), lambda k: digamma(a + k) - digamma(a)),
    lambda a, b, x, out: _series(0, a / b * x, _ratio_1f1(a, b, x), lambda k: digamma(b) - digamma(b + k)),
    lambda a, b, x, out: a / b * _hyp1f1(a + 1, b + 1, x),
)
def _hyp1f1(a, b, x):
    near = jnp.abs(x) < 100
    inside, outside = jnp.where(near, x, 0), jnp.where(near, 100, x)
    series = _series(1, a / b * inside, _ratio_1f1(a, b, inside))
    growth = lambda k: (b - a + k) * (1 - a + k) / (k + 1) / outside
    asymptotic = _series(1, (b - a) * (1 - a) / outside, growth)
    asymptotic = gamma(b) / gamma(a) * jnp.exp(outside) * outside ** (a - b) * asymptotic
    found = jnp.where(near, series, asymptotic)
    found = jnp.where((b == 0) & (a != 0), math.inf, found)
    found = jnp.where((a == b) & (a != 0), jnp.exp(x), found)
    return jnp.where(a == 0, 1, found)


# ---- 2F1 -------------------------------------------------------------------------------------------------


def hyp2f1(a, b, c, x):
    """Gauss' hypergeometric function 2F1(a, b; c; x)."""
    return _hyp2f1(*jnp.broadcast_arrays(*real_inexact("hyp2f1", a, b, c, x)))


def _slope(weight):
    """The derivative with respect to a parameter: the series with each term times weight(a, b, c, k)."""

    def slope(a, b, c, x, out):
        ratio = lambda k: (a + k) * (b + k) / (c + k) / (k + 1) * x
        return _series(0, a * b / c * x, ratio, lambda k: weight(a, b, c, k))

    return slope


@with_derivatives(
    _slope(lambda a, b, c, k: digamma(a + k) - digamma(a)),
    _slope(lambda a, b, c, k: digamma(b + k) - digamma(b)),
    _slope(lambda a, b, c, k: digamma(c) - digamma(c + k)),
    lambda a, b, c, x, out: a * b / c * _hyp2f1(a + 1, b + 1, c + 1, x),
)
def _hyp2f1(a, b, c, x):
    tolerance = 50 * _epsilon(x)
    d, s = c - a - b, 1 - x
    pole = (c == 0) | ((c < 0) & (c % 1 == 0))
    turned = (d <= -1) & ~((jnp.abs(d - jnp.round(d)) >= tolerance) & (s < 0))  # Euler's transformation
    cases = (
        ((x == 0) | (((a == 0) | (b == 0)) & (c != 0)), 1.0),
        (pole, math.inf),
        (turned, s**d * _polynomial_or_series(c - a, c - b, c, x)),
        ((d <= 0) & (x == 1), math.inf),
        ((x < 1) & (b == c), s**-a),
        ((x < 1) & (a == c), s**-b),
        (x > 1, math.inf),
        (x == 1, gamma(c) * gamma(d) / (gamma(c - a) * gamma(c - b))),
    )
    found = _polynomial_or_series(a, b, c, x)
    for condition, value in reversed(cases):
        found = jnp.where(condition, value, found)
    return found


def _polynomial_or_series(a, b, c, x):
    tolerance = 50 * _epsilon(x)
    ends = lambda v: (v <= 0) & (jnp.abs(v - jnp.round(v)) < tolerance)
    d = c - a - b
    finite = ends(a) | ends(b)
    near_one = (x > 0.9) & ~finite & (jnp.abs(d - jnp.round(d)) < tolerance)
    series = _gauss_series(a, b, c, jnp.where(finite | near_one, 0, x))
    found = jnp.where(near_one, _around_one(a, b, c, jnp.where(near_one, x, 0.95)), series)
    return jnp.where(finite, _finite_sum(jnp.where(finite, a, 0), b, c, x), found)


def _gauss_series(a, b, c, x):
    """Its total starts at 0, so that the first term counts in the test of convergence."""
    precision = _epsilon(x)

    def going(state):
        total, k, term = state
        return (k < _MOST_TERMS) & (jnp.abs(term) > precision * jnp.abs(total))

    def step(state):
        more = going(state)
        total, k, term = state
        grown = term * ((a + k - 1) * (b + k - 1) / (c + k - 1) / k * x)
        return jnp.where(more, total + term, total), k + 1, jnp.where(more, grown, term)

    start = (jnp.zeros_like(x), jnp.ones((), x.dtype), jnp.ones_like(x))
    return lax.while_loop(lambda state: jnp.any(going(state)), step, start)[0]


def _finite_sum(a, b, c, x):
    """The series that ends because a or b is a negative integer."""
    tolerance = 50 * _epsilon(x)
    swap = (b < a) & (jnp.abs(b - jnp.round(b)) < tolerance) & ~((c % 1 == 0) & (c <= 0) & (c > b))
    a, b = jnp.abs(jnp.where(swap, b, a)), jnp.where(swap, a, b)

    def step(state):
        i, total, term = state
        term = term * (-(a - i + 1) / (c + i - 1) * (b + i - 1) / i * x)
        return i + 1, jnp.where(i < a + 1, total + term, total), term

    start = (jnp.ones((), x.dtype), jnp.ones_like(x), jnp.ones_like(x))
    return lax.while_loop(lambda state: jnp.any(state[0] < a + 1), step, start)[1]


def _around_one(a, b, c, x):
    """For integer c - a - b and x near 1: the series in 1 - x with logarithms, Abramowitz and Stegun 15.3.10 to 15.3.12."""
    precision = _epsilon(x)
    d, s = c - a - b, 1 - x
    whole = jnp.round(d)
    positive = whole >= 0
    e = jnp.where(positive, d, -d)
    d1, d2 = jnp.where(positive, d, 0), jnp.where(positive, 0, d)
    logarithm = jnp.log(s)
    first = digamma(jnp.ones_like(x)) + digamma(1.0 + e) - digamma(a + d1) - digamma(b + d1) - logarithm
    first = first / gamma(e + 1.0)
    going = lambda state: (state[3] < _MOST_TERMS) & (jnp.abs(state[2]) >= precision * jnp.abs(state[0]))

    def step(state):
        more = going(state)
        total, p, q, t = state
        r = digamma(1.0 + t) + digamma(1.0 + t + e) - digamma(a + t + d1) - digamma(b + t + d1) - logarithm
        term = p * r
        grown = p * (s * (a + t + d1) / (t + 1.0)) * ((b + t + d1) / (t + 1.0 + e))
        return jnp.where(more, total + term, total), jnp.where(more, grown, p), jnp.where(more, term, q), t + 1.0

    start = (first, (a + d1) * (b + d1) * s / gamma(e + 2.0), first, jnp.ones((), x.dtype))
    y = lax.while_loop(lambda state: jnp.any(going(state)), step, start)[0]
    count = jnp.abs(whole)

    def add_power(state):
        t, total, p = state
        p = p * (s * (a + t + d2) * (b + t + d2) / (1.0 - e + t)) / (t + 1)
        more = t + 1 < count
        return t + 1, jnp.where(more, total + p, total), p

    start = (jnp.zeros((), x.dtype), jnp.ones_like(x), jnp.ones_like(x))
    powers = lax.while_loop(lambda state: jnp.any(state[0] + 1 < count), add_power, start)[1]
    scale = gamma(c)
    powers = powers * (gamma(e) * scale / (gamma(a + d1) * gamma(b + d1)))
    other = y * (scale / (gamma(a + d2) * gamma(b + d2)))
    other = jnp.where(count % 2 == 1, -other, other)
    q = s**whole
    either = jnp.where(whole > 0, other * q + powers, other + powers * q)
    return jnp.where(whole == 0, y * scale / (gamma(a) * gamma(b)), either)


__all__ = ["hyp1f1", "hyp2f1"]
