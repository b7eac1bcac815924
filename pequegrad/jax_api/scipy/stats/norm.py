"""The normal distribution with mean loc and standard deviation scale."""

import math

from ... import lax
from ... import numpy as jnp
from .. import special
from .common import exp_of, inexact


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density."""
    x, loc, scale = inexact("norm.logpdf", x, loc, scale)
    variance = scale * scale
    return (lax.log(2 * math.pi * variance) + jnp.square(x - loc) / variance) / -2


pdf = exp_of(logpdf, "pdf")


def cdf(x, loc=0, scale=1):
    """The distribution function."""
    x, loc, scale = inexact("norm.cdf", x, loc, scale)
    return special.ndtr((x - loc) / scale)


def logcdf(x, loc=0, scale=1):
    """The logarithm of the distribution function."""
    x, loc, scale = inexact("norm.logcdf", x, loc, scale)
    return special.log_ndtr((x - loc) / scale)


def sf(x, loc=0, scale=1):
    """1 - cdf."""
    x, loc, scale = inexact("norm.sf", x, loc, scale)
    return special.ndtr((loc - x) / scale)


def logsf(x, loc=0, scale=1):
    """The logarithm of 1 - cdf."""
    x, loc, scale = inexact("norm.logsf", x, loc, scale)
    return special.log_ndtr((loc - x) / scale)


def ppf(q, loc=0, scale=1):
    """The inverse of cdf, in the default floating dtype."""
    return jnp.asarray(special.ndtri(q) * scale + loc, float)


def isf(q, loc=0, scale=1):
    """The inverse of sf."""
    return ppf(1 - q, loc, scale)
