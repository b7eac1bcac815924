"""The uniform distribution on [loc, loc + scale]."""

import math

from ... import lax
from ... import numpy as jnp
from .common import exp_of, inexact


def logpdf(x, loc=0, scale=1):
    """The logarithm of the density."""
    x, loc, scale = inexact("uniform.logpdf", x, loc, scale)
    return jnp.where((x > loc + scale) | (x < loc), -math.inf, -lax.log(scale))


pdf = exp_of(logpdf, "pdf")


def cdf(x, loc=0, scale=1):
    """The distribution function."""
    x, loc, scale = inexact("uniform.cdf", x, loc, scale)
    within = jnp.where((x >= loc) & (x <= loc + scale), (x - loc) / scale, jnp.zeros((), x.dtype))
    return jnp.where(x > loc + scale, jnp.ones((), x.dtype), within)


def ppf(q, loc=0, scale=1):
    """The inverse of cdf, nan outside of [0, 1]."""
    q, loc, scale = inexact("uniform.ppf", q, loc, scale)
    return jnp.where(jnp.isnan(q) | (q < 0) | (q > 1), math.nan, loc + scale * q)
