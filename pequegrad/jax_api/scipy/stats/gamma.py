"""The gamma distribution with shape a."""

import math

from ... import lax
from ... import numpy as jnp
from ..special import gammainc, gammaincc, gammaln, xlogy
from .common import exp_of, inexact, log_of


def logpdf(x, a, loc=0, scale=1):
    """The logarithm of the density, -inf below loc."""
    x, a, loc, scale = inexact("gamma.logpdf", x, a, loc, scale)
    inside = x >= loc
    y = jnp.where(inside, (x - loc) / scale, 1)
    return jnp.where(inside, xlogy(a - 1, y) - y - (gammaln(a) + lax.log(scale)), -math.inf)


pdf = exp_of(logpdf, "pdf")


def cdf(x, a, loc=0, scale=1):
    """The distribution function."""
    x, a, loc, scale = inexact("gamma.cdf", x, a, loc, scale)
    return gammainc(a, jnp.maximum((x - loc) / scale, 0))


def sf(x, a, loc=0, scale=1):
    """1 - cdf."""
    x, a, loc, scale = inexact("gamma.sf", x, a, loc, scale)
    y = (x - loc) / scale
    return jnp.where(y < 0, 1, gammaincc(a, y))


logcdf, logsf = log_of(cdf, "logcdf"), log_of(sf, "logsf")
