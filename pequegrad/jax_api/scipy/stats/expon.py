"""The exponential distribution with mean scale, from loc on."""

import math

from ... import lax
from ... import numpy as jnp
from .common import exp_of, inexact


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density, -inf below loc."""
    x, loc, scale = inexact("expon.logpdf", x, loc, scale)
    return jnp.where(x < loc, -math.inf, -((x - loc) / scale + lax.log(scale)))


pdf = exp_of(logpdf, "pdf")


def cdf(x, loc=0, scale=1):
    """The distribution function."""
    x, loc, scale = inexact("expon.cdf", x, loc, scale)
    return jnp.where(x < loc, 0, -lax.expm1((loc - x) / scale))


def logsf(x, loc=0, scale=1):
    """The logarithm of 1 - cdf."""
    x, loc, scale = inexact("expon.logsf", x, loc, scale)
    return jnp.where(x < loc, 0, (loc - x) / scale)


sf = exp_of(logsf, "sf")


def logcdf(x, loc=0, scale=1):
    """The logarithm of the distribution function."""
    return lax.log1p(-sf(x, loc, scale))


def ppf(q, loc=0, scale=1):
    """The inverse of cdf, nan outside of [0, 1]."""
    q, loc, scale = inexact("expon.ppf", q, loc, scale)
    return jnp.where(jnp.isnan(q) | (q < 0) | (q > 1), math.nan, loc - scale * lax.log1p(-q))
