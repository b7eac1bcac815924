"""The Pareto distribution with exponent b, from loc + scale on."""

import math

from ... import lax
from ... import numpy as jnp
from .common import exp_of, inexact


def logpdf(x, b, loc=0, scale=1):
    """The logarithm of the density, -inf below loc + scale."""
    x, b, loc, scale = inexact("pareto.logpdf", x, b, loc, scale)
    found = -(lax.log(scale / b) + (b + 1) * lax.log((x - loc) / scale))
    return jnp.where(x < loc + scale, -math.inf, found)


pdf = exp_of(logpdf, "pdf")


def cdf(x, b, loc=0, scale=1):
    """The distribution function."""
    x, b, loc, scale = inexact("pareto.cdf", x, b, loc, scale)
    return jnp.where(x < loc + scale, 0, 1 - ((x - loc) / scale) ** -b)


def logcdf(x, b, loc=0, scale=1):
    """The logarithm of the distribution function."""
    x, b, loc, scale = inexact("pareto.logcdf", x, b, loc, scale)
    return jnp.where(x < loc + scale, -math.inf, lax.log1p(-(((x - loc) / scale) ** -b)))


def logsf(x, b, loc=0, scale=1):
    """The logarithm of 1 - cdf."""
    x, b, loc, scale = inexact("pareto.logsf", x, b, loc, scale)
    return jnp.where(x < loc + scale, 0, -(b * lax.log((x - loc) / scale)))


sf = exp_of(logsf, "sf")


def ppf(q, b, loc=0, scale=1):
    """The inverse of cdf, nan outside of [0, 1]."""
    q, b, loc, scale = inexact("pareto.ppf", q, b, loc, scale)
    return jnp.where(jnp.isnan(q) | (q < 0) | (q > 1), math.nan, loc + scale * (1 - q) ** -(1 / b))
