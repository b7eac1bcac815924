"""The normal distribution, of which only what is between loc + a scale and loc + b scale is left."""

import math

from ... import lax
from ... import numpy as jnp
from ..special import log_ndtr, logsumexp, ndtr
from . import norm
from .common import exp_of, inexact


def _log_difference(x, y):
    """log(exp(x) - exp(y))"""
    return logsumexp(jnp.stack([x, y]), axis=0, b=jnp.stack([jnp.ones_like(x), -jnp.ones_like(y)]))


def _log_mass(a, b):
    """The logarithm of the normal distribution's probability of [a, b]; in the tails without cancellation."""
    a, b = jnp.broadcast_arrays(a, b)
    left, right = b <= 0, a > 0
    low, high = jnp.where(right, -b, a), jnp.where(right, -a, b)
    tail = _log_difference(log_ndtr(high), log_ndtr(low))
    return jnp.where(left | right, tail, lax.log1p(-ndtr(a) - ndtr(-b)))


def logpdf(x, a, b, loc=0, scale=1):
    """The logarithm of the density; nan unless a < b."""
    x, a, b, loc, scale = inexact("truncnorm.logpdf", x, a, b, loc, scale)
    y = (x - loc) / scale
    found = jnp.where((y < a) | (y > b), -math.inf, norm.logpdf(x, loc, scale) - _log_mass(a, b))
    return jnp.where(a >= b, math.nan, found)


def logcdf(x, a, b, loc=0, scale=1):
    """The logarithm of the distribution function."""
    x, a, b, loc, scale = inexact("truncnorm.logcdf", x, a, b, loc, scale)
    x, a, b = jnp.broadcast_arrays(x, a, b)
    x = (x - loc) / scale
    whole = _log_mass(a, b)
    below, above = _log_mass(a, x) - whole, _log_mass(x, b) - whole
    found = jnp.where(below > -0.1, lax.log1p(-lax.exp(above)), jnp.where(x > a, below, 0))
    found = jnp.where(x >= b, 0, jnp.where(x <= a, -math.inf, found))
    return jnp.where(a >= b, math.nan, found)


def logsf(x, a, b, loc=0, scale=1):
    """The logarithm of 1 - cdf."""
    x, a, b, loc, scale = inexact("truncnorm.logsf", x, a, b, loc, scale)
    return logcdf(-x, -b, -a, -loc, scale)


pdf, cdf, sf = exp_of(logpdf, "pdf"), exp_of(logcdf, "cdf"), exp_of(logsf, "sf")
