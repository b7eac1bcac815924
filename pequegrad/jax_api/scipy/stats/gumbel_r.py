"""The right-skewed Gumbel distribution: that of maxima."""

import math

from ... import lax
from ... import numpy as jnp
from ..special import xlogy
from .common import exp_of, inexact


def _scaled(name, x, loc, scale):
    """((loc - x) / scale, scale)"""
    x, loc, scale = inexact(f"gumbel_r.{name}", x, loc, scale)
    return (loc - x) / scale, scale


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density; like the others nan unless scale is positive."""
    z, scale = _scaled("logpdf", x, loc, scale)
    return jnp.where(scale > 0, xlogy(-1, scale) + (z - lax.exp(z)), math.nan)


def logcdf(x, loc=0, scale=1):
    """The logarithm of the distribution function."""
    z, scale = _scaled("logcdf", x, loc, scale)
    return jnp.where(scale > 0, -lax.exp(z), math.nan)


def sf(x, loc=0, scale=1):
    """1 - cdf."""
    z, scale = _scaled("sf", x, loc, scale)
    return jnp.where(scale > 0, 1 - lax.exp(-lax.exp(z)), math.nan)


def logsf(x, loc=0, scale=1):
    """The logarithm of 1 - cdf."""
    z, scale = _scaled("logsf", x, loc, scale)
    y = lax.exp(z)
    small = y < math.log(2)  # log(1 - exp(-y)) in the form that keeps its digits
    near, away = jnp.where(small, y, 1), jnp.where(small, 1, y)
    found = jnp.where(small, lax.log(-lax.expm1(-near)), lax.log1p(-lax.exp(-away)))
    return jnp.where(scale > 0, found, math.nan)


pdf, cdf = exp_of(logpdf, "pdf"), exp_of(logcdf, "cdf")


def ppf(p, loc=0, scale=1):
    """The inverse of cdf, nan unless 0 < p < 1."""
    p, loc, scale = inexact("gumbel_r.ppf", p, loc, scale)
    return jnp.where((p > 0) & (p < 1), loc - scale * lax.log(xlogy(-1, p)), math.nan)
