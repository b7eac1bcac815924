"""Exponential, sine and cosine integrals, Fresnel's integrals, Spence's function."""

import math

import numpy as np

from ....core.dtype import dt, is_complex
from ....ops.arithmetic import astype
from ....primitives.control import stop_gradient
from ... import lax
from ... import numpy as jnp
from ...custom_derivatives import custom_jvp
from . import tables
from .common import inexact, polynomial, real_inexact, strict_floats, strong, with_derivatives


def _ratio(table, x):
    return polynomial(table[0], x) / polynomial(table[1], x)


# ---- exponential integrals -----------------------------------------------------------------------------


def expi(x):
    """The exponential integral Ei(x): the integral of exp(t) / t from -inf to x."""
    return _expi(*real_inexact("expi", x))


@with_derivatives(lambda x, out: jnp.exp(x) / x)
def _expi(x):
    positive = jnp.where(x < 0, 1, x)
    w = 1.0 / positive
    first, *others = tables.EI
    found = positive * _ratio(first, positive) + np.euler_gamma + jnp.log(positive)
    for i, table in enumerate(others, 1):
        further = jnp.exp(positive) * w * (w * _ratio(table, w) + 1)
        found = jnp.where(positive > 2**i, further, found)
    found = jnp.where(x > 0, found, math.nan)
    return jnp.where(x < 0, -exp1(jnp.where(x < 0, -x, 1)), found)


def exp1(x):
    """The exponential integral E1(x): the integral of exp(-t) / t from x to inf."""
    return expn(1, *real_inexact("exp1", x))


def expn(n, x):
    """The generalised exponential integral: the integral of exp(-x t) / t^n from 1 to inf."""
    n, x = jnp.broadcast_arrays(*real_inexact("expn", n, x))
    return _expn(x, stop_gradient(n))


@with_derivatives(lambda x, n, out: -_expn(x, n - 1))
def _expn(x, n):
    regular = (n >= 0) & (x > 0) & (n != 0) & (n < 5000)
    right = x > 1
    series = _expn_series(jnp.where(regular & ~right, x, 1), jnp.where(regular, n, 1))
    fraction = _expn_fraction(jnp.where(regular & right, x, 2), jnp.where(regular, n, 1))
    cases = (
        ((n < 0) | (x < 0), math.nan),
        ((x == 0) & (n < 2), math.inf),
        (x == 0, 1 / jnp.where(n == 1, 2, n - 1)),
        (n == 0, jnp.exp(-x) / x),
        (n >= 5000, _expn_large(x, n)),
        (right, fraction),
        (x <= 1, series),
    )
    found = math.nan
    for condition, value in reversed(cases):
        found = jnp.where(condition, value, found)
    return found


def _expn_series(x, n):
    """The power series, for x up to 1."""
    epsilon = float(jnp.finfo(x.dtype).eps)

    def add_reciprocal(state):
        i, total = state
        return i + 1, total + jnp.where(i < n, 1 / i, 0)

    one = jnp.ones((), x.dtype)
    _, psi = lax.while_loop(lambda state: jnp.any(state[0] < n), add_reciprocal, (one, -np.euler_gamma - jnp.log(x)))

    def more(state):
        return jnp.any(state[3] > epsilon)

    def add_term(state):
        k, power, total, size = state
        k = k + 1
        power = power * (-x / k)
        order = k - n + 1
        regular = order != 0
        added = total + jnp.where(regular, power / jnp.where(regular, order, 1), 0)
        total = jnp.where(size > epsilon, added, total)
        return k, power, total, jnp.where(total != 0, jnp.abs(power / total), 1.0)

    first = jnp.where(n == 1, 0.0, 1 / jnp.where(n == 1, 1, 1 - n))
    start = (one * 0, jnp.ones_like(x), first, jnp.full_like(x, math.inf))
    total = lax.while_loop(more, add_term, start)[2]
    return (-x) ** (n - 1) * psi / jnp.exp(lax.lgamma(n)) - total


def _expn_fraction(x, n):
    """The continued fraction, for x above 1."""
    epsilon, big = float(jnp.finfo(x.dtype).eps), 2.0**57
    one = jnp.ones_like(x)

    def step(state):
        k, p, p_before, q, q_before, found, change = state
        k = k + 1
        odd = k % 2 == 1
        a = jnp.where(odd, n + (k - 1) / 2, k / 2)
        b = jnp.where(odd, 1, x)
        p, p_before = p * b + p_before * a, p
        q, q_before = q * b + q_before * a, q
        regular = q != 0
        ratio = jnp.where(regular, p / jnp.where(regular, q, 1), found)
        moved = jnp.where(regular, jnp.abs((found - ratio) / ratio), 1)
        going = change > epsilon
        found, change = jnp.where(going, ratio, found), jnp.where(going, moved, change)
        scale = jnp.where(jnp.abs(p) > big, 1 / big, 1)
        return k, p * scale, p_before * scale, q * scale, q_before * scale, found, change

    start = (jnp.ones((), x.dtype), one, one, x + n, x, 1 / (x + n), jnp.full_like(x, math.inf))
    found = lax.while_loop(lambda state: jnp.any(state[6] > epsilon), step, start)[5]
    return found * jnp.exp(-x)


def _expn_large(x, n):
    """The asymptotic series for large n."""
    total = x + n
    y = 1 / (total * total)
    found = y * n * (6 * x * x - 8 * n * x + n * n)
    found = y * (found + n * (n - 2 * x))
    found = y * (found + n)
    return (found + 1) * jnp.exp(-x) / total


# ---- sine and cosine integrals -------------------------------------------------------------------------


def sici(x):
    """(Si(x), Ci(x)): the integrals of sin(t) / t from 0 to x, and of -cos(t) / t from x to inf."""
    (x,) = inexact("sici", x)
    if is_complex(x.dtype):
        raise ValueError(f"Argument `x` to sici must be real-valued. Got dtype {x.dtype}.")
    return _sici(strong(x))


def _sici_of(x):
    size = jnp.abs(x)
    near, far = size <= 4, size > 1e9
    small = jnp.where(near & (size > 0), size, 1)
    square = small * small
    si, ci = small * _ratio(tables.SI_NEAR, square), square * _ratio(tables.CI_NEAR, square)
    ci = np.euler_gamma + jnp.log(small) + ci
    large = jnp.where(near, 5, size)
    sine, cosine = jnp.sin(large), jnp.cos(large)
    z = 1 / (large * large)
    f, g = (jnp.where(large < 8, *(_ratio(t, z) for t in rows)) for rows in (tables.SICI_F, tables.SICI_G))
    f, g = f / large, g * z
    f, g = jnp.where(far, 1 / large, f), jnp.where(far, 0, g)
    wave = ~jnp.isinf(large)
    rest_si, rest_ci = (jnp.where(wave, v, 0) for v in (f * cosine + g * sine, f * sine - g * cosine))
    si = jnp.where(near, jnp.where(size == 0, 0, si), math.pi / 2 - rest_si)
    ci = jnp.where(near, jnp.where(size == 0, -math.inf, ci), rest_ci)
    return jnp.sign(x) * si, jnp.where(jnp.isneginf(x), math.nan, ci)


_sici = custom_jvp(_sici_of)


@_sici.defjvp
def _sici_rule(primals, tangents):
    (x,), (t,) = primals, tangents
    return _sici(x), (jnp.sinc(x / math.pi) * t, jnp.cos(x) / x * t)


# ---- Fresnel's integrals -------------------------------------------------------------------------------


def fresnel(x):
    """(S(x), C(x)): the integrals of sin(pi t^2 / 2) and cos(pi t^2 / 2) from 0 to x."""
    (x,) = inexact("fresnel", x)
    if is_complex(x.dtype):
        raise NotImplementedError("Support for complex-valued inputs is not implemented yet.")
    return _fresnel(x)


def _of_half_square(x):
    """sin(pi x^2 / 2) and cos(pi x^2 / 2), also for large x."""
    x = jnp.abs(x)
    s = jnp.fmod(x, 2.0)
    r = jnp.fmod(s * (x - s / 2), 2.0)
    sine = lambda v: jnp.sin(math.pi * v)
    sines = jnp.where(r < 0.5, sine(r), jnp.where(r > 1.5, sine(r - 2.0), -sine(r - 1.0)))
    return sines, jnp.where(r == 0.5, 0.0, jnp.where(r < 1.0, -sine(r - 0.5), sine(r - 1.5)))


def _fresnel_of(given):
    is_double = given.dtype == dt.float64
    table = tables.FRESNEL_64 if is_double else tables.FRESNEL_32
    signed = given if is_double else astype(given, dt.float32)
    x = jnp.abs(signed)
    small, large, infinite = x * x < 2.5625, x > 36974.0, jnp.isinf(x)
    near = jnp.where(small, x, 1)
    t = near**4
    s_near, c_near = near**3 * _ratio(table["s"], t), near * _ratio(table["c"], t)
    away = jnp.where(small | infinite, 2, x)
    sine, cosine = _of_half_square(away)
    t = 1 / (math.pi * away * away)
    f, g = 1 - t * t * _ratio(table["f"], t * t), t * _ratio(table["g"], t * t)
    f, g = jnp.where(large, 1.0, f), jnp.where(large, 0.0, g)
    scale = 1 / (math.pi * away) if is_double else jnp.where(large, 0.0, 1 / (math.pi * away))
    scale = jnp.where(infinite, 0.0, scale)
    s = jnp.where(small, s_near, 0.5 - (f * cosine + g * sine) * scale)
    c = jnp.where(small, c_near, 0.5 + (f * sine - g * cosine) * scale)
    negative = signed < 0
    return tuple(astype(jnp.where(negative, -v, v), given.dtype) for v in (s, c))


_fresnel = custom_jvp(_fresnel_of)


@_fresnel.defjvp
def _fresnel_rule(primals, tangents):
    (x,), (t,) = primals, tangents
    sine, cosine = _of_half_square(x)
    return _fresnel(x), (sine * t, cosine * t)


# ---- Spence's function -----------------------------------------------------------------------------------


def spence(x):
    """Spence's function: the integral of log(t) / (1 - t) from 1 to x."""
    x = strict_floats("spence", x)
    regular = (x > 0) & (x != 1)
    found = _spence(jnp.where(regular, x, 0.75))
    special = jnp.where(x == 1, 0.0, jnp.where(x == 0, math.pi**2 / 6, math.nan))
    return jnp.where(regular, found, special)


def _spence(x):
    beyond = x > 2.0
    x = jnp.where(beyond, 1.0 / x, x)
    high, low = x > 1.5, x < 0.5
    w = jnp.where(high, 1.0 / x - 1.0, jnp.where(low, -x, x - 1.0))
    found = -w * _ratio(tables.SPENCE, w)
    found = jnp.where(low, math.pi**2 / 6 - jnp.log(x) * jnp.log(1.0 - x) - found, found)
    return jnp.where(beyond | high, -0.5 * jnp.log(x) ** 2 - found, found)


__all__ = ["exp1", "expi", "expn", "fresnel", "sici", "spence"]
