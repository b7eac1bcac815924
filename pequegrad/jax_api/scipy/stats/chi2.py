"""The chi-square distribution with df degrees of freedom."""

import math

from ... import lax
from ... import numpy as jnp
from ..special import gammainc, gammaincc, gammaln
from .common import exp_of, inexact, log_of


def logpdf(x, df, loc=0, scale=1):
    """The logarithm of the density, -inf below loc."""
    x, df, loc, scale = inexact("chi2.logpdf", x, df, loc, scale)
    y = (x - loc) / scale
    half = df / 2
    constant = -(gammaln(half) + math.log(2) * df / 2)
    return jnp.where(x < loc, -math.inf, constant - lax.log(scale) + ((half - 1) * lax.log(y) - y / 2))


pdf = exp_of(logpdf, "pdf")


def cdf(x, df, loc=0, scale=1):
    """The distribution function."""
    x, df, loc, scale = inexact("chi2.cdf", x, df, loc, scale)
    return gammainc(df / 2, jnp.maximum((x - loc) / (scale * 2), 0))


def sf(x, df, loc=0, scale=1):
    """1 - cdf."""
    x, df, loc, scale = inexact("chi2.sf", x, df, loc, scale)
    return gammaincc(df / 2, jnp.maximum((x - loc) / (scale * 2), 0))


logcdf, logsf = log_of(cdf, "logcdf"), log_of(sf, "logsf")
