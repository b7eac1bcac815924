"""The logistic distribution."""

from ... import lax
from ... import numpy as jnp
from ..special import expit, logit
from .common import exp_of, inexact


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density."""
    x, loc, scale = inexact("logistic.logpdf", x, loc, scale)
    half = (x - loc) / scale / 2
    return -2 * jnp.logaddexp(half, -half) - lax.log(scale)


pdf = exp_of(logpdf, "pdf")


def cdf(x, loc=0, scale=1):
    """The distribution function."""
    x, loc, scale = inexact("logistic.cdf", x, loc, scale)
    return expit((x - loc) / scale)


def sf(x, loc=0, scale=1):
    """1 - cdf."""
    x, loc, scale = inexact("logistic.sf", x, loc, scale)
    return expit(-((x - loc) / scale))


def ppf(x, loc=0, scale=1):
    """The inverse of cdf."""
    x, loc, scale = inexact("logistic.ppf", x, loc, scale)
    return logit(x) * scale + loc


def isf(x, loc=0, scale=1):
    """The inverse of sf."""
    x, loc, scale = inexact("logistic.isf", x, loc, scale)
    return -logit(x) * scale + loc
