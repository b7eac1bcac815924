"""Student's t distribution with df degrees of freedom."""

import math

from ... import lax
from ..special import gammaln
from .common import exp_of, inexact


def logpdf(x, df, loc=0, scale=1):
    """The logarithm of the density."""
    x, df, loc, scale = inexact("t.logpdf", x, df, loc, scale)
    y = (x - loc) / scale
    half = df / 2
    constant = gammaln(half) + lax.log(scale * scale * math.pi * df) / 2 - gammaln(half + 0.5)
    return -(constant + (half + 0.5) * lax.log1p(y * y / df))


pdf = exp_of(logpdf, "pdf")
