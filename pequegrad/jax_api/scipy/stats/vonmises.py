"""Von Mises' distribution on the circle with concentration kappa."""

import math

from ... import numpy as jnp
from ..special import i0e
from .common import exp_of, inexact


def logpdf(x, kappa):
    """The logarithm of the density; nan unless kappa is positive."""
    x, kappa = inexact("vonmises.logpdf", x, kappa)
    found = kappa * (jnp.cos(x) - 1) - jnp.log(2 * math.pi * i0e(kappa))
    return jnp.where(kappa > 0, found, math.nan)


pdf = exp_of(logpdf, "pdf")
