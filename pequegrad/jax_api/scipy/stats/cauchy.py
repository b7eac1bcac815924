"""The Cauchy distribution."""

import math

from ... import lax
from ... import numpy as jnp
from .common import exp_of, inexact, log_of


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density."""
    x, loc, scale = inexact("cauchy.logpdf", x, loc, scale)
    y = (x - loc) / scale
    return -(lax.log(math.pi * scale) + lax.log1p(y * y))


pdf = exp_of(logpdf, "pdf")


def cdf(x, loc=0, scale=1):
    """The distribution function."""
    x, loc, scale = inexact("cauchy.cdf", x, loc, scale)
    return 0.5 + 1 / math.pi * jnp.arctan((x - loc) / scale)


def sf(x, loc=0, scale=1):
    """1 - cdf."""
    x, loc, scale = inexact("cauchy.sf", x, loc, scale)
    return cdf(-x, -loc, scale)


logcdf, logsf = log_of(cdf, "logcdf"), log_of(sf, "logsf")


def ppf(q, loc=0, scale=1):
    """The inverse of cdf."""
    q, loc, scale = inexact("cauchy.ppf", q, loc, scale)
    return jnp.tan(math.pi * q - math.pi / 2) * scale + loc


def isf(q, loc=0, scale=1):
    """The inverse of sf."""
    q, loc, scale = inexact("cauchy.isf", q, loc, scale)
    return jnp.tan(math.pi / 2 - math.pi * q) * scale + loc
