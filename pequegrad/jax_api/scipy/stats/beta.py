"""The beta distribution on [loc, loc + scale]."""

import math

from ... import lax
from ... import numpy as jnp
from ..special import betainc, betaln, xlog1py, xlogy
from .common import exp_of, inexact, log_of


def logpdf(x, a, b, loc=0, scale=1):
    """The logarithm of the density; nan unless a, b and scale are positive."""
    x, a, b, loc, scale = inexact("beta.logpdf", x, a, b, loc, scale)
    y = (x - loc) / scale
    found = -betaln(a, b) + (xlogy(a - 1, y) + xlog1py(b - 1, -y)) - lax.log(scale)
    found = jnp.where((x > loc + scale) | (x < loc), -math.inf, found)
    return jnp.where((a <= 0) | (b <= 0) | (scale <= 0), math.nan, found)


pdf = exp_of(logpdf, "pdf")


def _unit(x, loc, scale):
    return jnp.clip((x - loc) / scale, 0, 1)


def cdf(x, a, b, loc=0, scale=1):
    """The distribution function."""
    x, a, b, loc, scale = inexact("beta.cdf", x, a, b, loc, scale)
    return betainc(a, b, _unit(x, loc, scale))


def sf(x, a, b, loc=0, scale=1):
    """1 - cdf."""
    x, a, b, loc, scale = inexact("beta.sf", x, a, b, loc, scale)
    return betainc(b, a, 1 - _unit(x, loc, scale))


logcdf, logsf = log_of(cdf, "logcdf"), log_of(sf, "logsf")
