"""The Laplace distribution."""

from ... import lax
from ... import numpy as jnp
from .common import exp_of, inexact


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density."""
    x, loc, scale = inexact("laplace.logpdf", x, loc, scale)
    return -(jnp.abs(x - loc) / scale + lax.log(2 * scale))


pdf = exp_of(logpdf, "pdf")


def cdf(x, loc=0, scale=1):
    """The distribution function."""
    x, loc, scale = inexact("laplace.cdf", x, loc, scale)
    y = (x - loc) / scale
    return jnp.where(y <= 0, 0.5 * lax.exp(y), 1 - 0.5 * lax.exp(-y))
