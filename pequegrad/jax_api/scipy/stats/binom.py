"""The binomial distribution: how many of n trials of probability p succeed."""

import math

from ... import numpy as jnp
from ..special import gammaln, xlog1py, xlogy
from .common import exp_of, inexact


def logpmf(k, n, p, loc=0):
    """The logarithm of the probability of k."""
    k, n, p, loc = inexact("binom.logpmf", k, n, p, loc)
    y = k - loc
    ways = gammaln(n + 1) - (gammaln(y + 1) + gammaln(n - y + 1))
    powers = xlogy(y, p) + xlog1py(n - y, -p)
    found = jnp.where(((y == 0) & (n == 0)) | (powers == 0), 0.0, ways + powers)
    return jnp.where((k >= loc) & (k < loc + n + 1), found, -math.inf)


pmf = exp_of(logpmf, "pmf")
