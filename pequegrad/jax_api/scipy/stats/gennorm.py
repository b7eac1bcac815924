"""The generalised normal distribution with exponent beta."""

from ... import lax
from ... import numpy as jnp
from ..special import gammainc, gammaln
from .common import exp_of, inexact


def logpdf(x, beta):
    """The logarithm of the density."""
    x, beta = inexact("gennorm.logpdf", x, beta)
    return lax.log(0.5 * beta) - gammaln(1 / beta) - jnp.abs(x) ** beta


pdf = exp_of(logpdf, "pdf")


def cdf(x, beta):
    """The distribution function."""
    x, beta = inexact("gennorm.cdf", x, beta)
    return 0.5 * (1 + jnp.sign(x) * gammainc(1 / beta, jnp.abs(x) ** beta))
