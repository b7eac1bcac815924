"""The negative binomial distribution: failures before the n-th success of probability p."""

import math

from ... import numpy as jnp
from ..special import gammaln, xlogy
from .common import exp_of, inexact


def logpmf(k, n, p, loc=0):
    """The logarithm of the probability of k."""
    k, n, p, loc = inexact("nbinom.logpmf", k, n, p, loc)
    y = k - loc
    ways = gammaln(y + n) - gammaln(n) - gammaln(y + 1)
    return jnp.where(k < loc, -math.inf, ways + (xlogy(n, p) + xlogy(y, 1 - p)))


pmf = exp_of(logpmf, "pmf")
