"""The wrapped Cauchy distribution on [0, 2 pi] with parameter c between 0 and 1."""

import math

from ... import numpy as jnp
from .common import exp_of, inexact


def logpdf(x, c):
    """The logarithm of the density; nan for other c."""
    x, c = inexact("wrapcauchy.logpdf", x, c)
    found = jnp.log(1 - c * c) - math.log(2 * math.pi) - jnp.log(1 + c * c - 2 * c * jnp.cos(x))
    found = jnp.where((x >= 0) & (x <= math.pi * 2), found, -math.inf)
    return jnp.where((c > 0) & (c < 1), found, math.nan)


pdf = exp_of(logpdf, "pdf")
