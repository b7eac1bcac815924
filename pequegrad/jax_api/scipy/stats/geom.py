"""The geometric distribution: trials up to the first success of probability p."""

import math

from ... import lax
from ... import numpy as jnp
from ..special import xlog1py
from .common import exp_of, inexact


def logpmf(k, p, loc=0):
    """The logarithm of the probability of k."""
    k, p, loc = inexact("geom.logpmf", k, p, loc)
    x = k - loc
    return jnp.where(x <= 0, -math.inf, xlog1py(x - 1, -p) + lax.log(p))


pmf = exp_of(logpmf, "pmf")
