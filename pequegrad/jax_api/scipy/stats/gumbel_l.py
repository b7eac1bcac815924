"""The left-skewed Gumbel distribution: that of minima."""

import math

from ... import lax
from ... import numpy as jnp
from ..special import xlog1py, xlogy
from .common import exp_of, inexact


def _scaled(name, x, loc, scale):
    """((x - loc) / scale, scale)"""
    x, loc, scale = inexact(f"gumbel_l.{name}", x, loc, scale)
    return (x - loc) / scale, scale


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density; like the others nan unless scale is positive."""
    z, scale = _scaled("logpdf", x, loc, scale)
    return jnp.where(scale > 0, xlogy(-1, scale) + (z - lax.exp(z)), math.nan)


def logcdf(x, loc=0, scale=1):
    """The logarithm of the distribution function."""
    z, scale = _scaled("logcdf", x, loc, scale)
    return jnp.where(scale > 0, lax.log(-lax.expm1(-lax.exp(z))), math.nan)


def logsf(x, loc=0, scale=1):
    """The logarithm of 1 - cdf."""
    z, scale = _scaled("logsf", x, loc, scale)
    return jnp.where(scale > 0, -lax.exp(z), math.nan)


pdf, cdf, sf = exp_of(logpdf, "pdf"), exp_of(logcdf, "cdf"), exp_of(logsf, "sf")


def ppf(p, loc=0, scale=1):
    """The inverse of cdf, nan unless 0 < p < 1."""
    p, loc, scale = inexact("gumbel_l.ppf", p, loc, scale)
    return jnp.where((p > 0) & (p < 1), loc + scale * lax.log(xlog1py(-1, -p)), math.nan)
