"""The distribution function of the normal distribution, its inverse and logarithm; Owen's T."""

import math

from ....core.dtype import dt
from ... import lax
from ... import numpy as jnp
from ...custom_derivatives import custom_jvp
from .common import inexact, polynomial, strict_floats, strong, with_derivatives

_LOG_SQRT_2PI = math.log(math.sqrt(2 * math.pi))


def ndtr(x):
    """The distribution function of the standard normal distribution, of float32 or float64."""
    return _ndtr(strict_floats("ndtr", x))


def _ndtr(x):
    half = math.sqrt(0.5)
    w = x * half
    size = jnp.abs(w)
    tail = lax.erfc(size)
    return 0.5 * jnp.where(size < half, 1.0 + lax.erf(w), jnp.where(w > 0, 2.0 - tail, tail))


# Cephes' approximations (numerator, denominator, highest power first): in the middle in (p - 1/2)^2, in the tails in 1 / z
_MIDDLE = (
    (-5.99633501014107895267e1, 9.80010754185999661536e1, -5.66762857469070293439e1, 1.39312609387279679503e1,
     -1.23916583867381258016),
    (1.0, 1.95448858338141759834, 4.67627912898881538453, 8.63602421390890590575e1, -2.25462687854119370527e2,
     2.00260212380060660359e2, -8.20372256168333339912e1, 1.59056225126211695515e1, -1.18331621121330003142),
)  # fmt: skip
_TAIL = (
    (4.05544892305962419923, 3.15251094599893866154e1, 5.71628192246421288162e1, 4.40805073893200834700e1,
     1.46849561928858024014e1, 2.18663306850790267539, -1.40256079171354495875e-1, -3.50424626827848203418e-2,
     -8.57456785154685413611e-4),
    (1.0, 1.57799883256466749731e1, 4.53907635128879210584e1, 4.13172038254672030440e1, 1.50425385692907503408e1,
     2.50464946208309415979, -1.42182922854787788574e-1, -3.80806407691578277194e-2, -9.33259480895457427372e-4),
)  # fmt: skip
_FAR_TAIL = (
    (3.23774891776946035970, 6.91522889068984211695, 3.93881025292474443415, 1.33303460815807542389,
     2.01485389549179081538e-1, 1.23716634817820021358e-2, 3.01581553508235416007e-4, 2.65806974686737550832e-6,
     6.23974539184983293730e-9),
    (1.0, 6.02427039364742014255, 3.67983563856160859403, 1.37702099489081330271, 2.16236993594496635890e-1,
     1.34204006088543189037e-2, 3.28014464682127739104e-4, 2.89247864745380683936e-6, 6.79019408009981274425e-9),
)  # fmt: skip


def ndtri(p):
    """The inverse of ndtr."""
    p = strict_floats("ndtri", p)
    edge = math.exp(-2.0)
    above = p > -math.expm1(-2.0)
    lower = jnp.where(above, 1.0 - p, p)
    lower = jnp.where(lower == 0, 0.5, lower)
    w = lower - 0.5
    square = w * w
    middle = (w + w * square * _ratio(_MIDDLE, square)) * -math.sqrt(2.0 * math.pi)
    z = lax.sqrt(-2.0 * lax.log(lower))
    far, near = (_ratio(table, 1 / z) / z for table in (_FAR_TAIL, _TAIL))
    tail = z - lax.log(z) / z - jnp.where(z >= 8.0, far, near)
    found = jnp.where(lower > edge, middle, tail)
    found = jnp.where(p > 1.0 - edge, found, -found)
    return jnp.where(p == 0, -math.inf, jnp.where(p == 1, math.inf, found))


def _ratio(table, x):
    return polynomial(table[0], x) / polynomial(table[1], x)


# ---- the logarithm ---------------------------------------------------------------------------------------


def log_ndtr(x, series_order=3):
    """log(ndtr(x)): far to the left by an asymptotic series with `series_order` terms."""
    if not isinstance(series_order, int):
        raise TypeError("series_order must be a Python integer.")
    if not 0 <= series_order <= 30:
        raise ValueError(f"series_order must be from 0 to 30, not {series_order}.")
    return _log_ndtr(strict_floats("log_ndtr", x), series_order)


def _log_ndtr_of(x, series_order):
    low, high = (-20, 8) if x.dtype == dt.float64 else (-10, 5)
    right = x > high
    central = _ndtr(jnp.where(right, -x, jnp.maximum(x, low)))
    far = jnp.minimum(x, low)
    square = far * far
    terms = [math.prod(range(1, 2 * n, 2)) / square**n for n in range(1, series_order + 1)]
    series = 1.0 + sum(terms[1::2]) - sum(terms[0::2])
    left = -0.5 * square - lax.log(-far) - _LOG_SQRT_2PI + jnp.log(series)
    return jnp.where(right, -central, jnp.where(x > low, lax.log(central), left))


_log_ndtr = custom_jvp(_log_ndtr_of, nondiff_argnums=(1,))


@_log_ndtr.defjvp
def _log_ndtr_rule(series_order, primals, tangents):
    (x,), (t,) = primals, tangents
    found = _log_ndtr(x, series_order)
    return found, t * lax.exp(-0.5 * (x * x) - _LOG_SQRT_2PI - found)


# ---- Owen's T --------------------------------------------------------------------------------------------


def owens_t(h, a):
    """Owen's T: the integral of exp(-h^2 (1 + x^2) / 2) / (1 + x^2) / (2 pi) from 0 to a."""
    h, a = inexact("owens_t", h, a)
    return _owens_t(*(strong(x) if x.dtype.itemsize > 2 else x.astype(dt.float32) for x in (h, a)))


def _slope_in_h(h, a, out):
    return -lax.exp(-0.5 * (h * h)) * lax.erf(a * h / math.sqrt(2)) / (2 * math.sqrt(2 * math.pi))


def _slope_in_a(h, a, out):
    rest = a * a + 1.0
    return lax.exp(-0.5 * rest * (h * h)) / (2 * math.pi * rest)


# Patefield and Tandy, "Fast and accurate calculation of Owen's T function" (2000): squares of points and weights / (2 pi)
_POINTS = (
    0.35082039676451715489e-2, 0.31279042338030753740e-1, 0.85266826283219451090e-1, 0.16245071730812277011,
    0.25851196049125434828, 0.36807553840697533536, 0.48501092905604697475, 0.60277514152618576821,
    0.71477884217753226516, 0.81475510988760098605, 0.89711029755948965867, 0.95723808085944261843,
    0.99178832974629703586,
)  # fmt: skip
_WEIGHTS = (
    0.18831438115323502887e-1, 0.18567086243977649478e-1, 0.18042093461223385584e-1, 0.17263829606398753364e-1,
    0.16243219975989856730e-1, 0.14994592034116704829e-1, 0.13535474469662088392e-1, 0.11886351605820165233e-1,
    0.10070377242777431897e-1, 0.81130545742299586629e-2, 0.60419009528470238773e-2, 0.38862217010742057883e-2,
    0.16793031084546090448e-2,
)  # fmt: skip


def _quadrature(h, a):
    total = 0.0
    for point, weight in zip(_POINTS, _WEIGHTS):
        rest = 1.0 + a * a * point
        total = total + weight * (jnp.exp(-0.5 * (h * h) * rest) / rest)
    return a * total


@with_derivatives(_slope_in_h, _slope_in_a)
def _owens_t(h, a):
    h, slope = jnp.abs(h), jnp.abs(a)
    root = math.sqrt(2)
    steep = slope > 1.0
    inner_a, inner_h = jnp.where(steep, 1 / slope, slope), jnp.where(steep, slope * h, h)
    found = _quadrature(inner_h, inner_a)
    found = jnp.where(inner_h == 0, jnp.arctan(inner_a) / (2 * math.pi), found)
    found = jnp.where(inner_a == 1, 0.125 * lax.erfc(-inner_h / root) * lax.erfc(inner_h / root), found)
    # T(h, a) + T(a h, 1 / a) in two forms that keep their digits
    first, second = lax.erfc(h / root), lax.erfc(slope * h / root)
    near = 0.25 - 0.25 * lax.erf(h / root) * lax.erf(slope * h / root)
    far = 0.25 * (first + second - first * second)
    found = jnp.where(steep, jnp.where(slope * h <= 0.67, near, far) - found, found)
    return jnp.where(jnp.isnan(a) | jnp.isnan(h), math.nan, jnp.sign(a) * found)


__all__ = ["log_ndtr", "ndtr", "ndtri", "owens_t"]
