"""The binomial distribution whose probability has a beta distribution."""

import math

from ... import lax
from ... import numpy as jnp
from ..special import betaln
from .common import exp_of, inexact


def logpmf(k, n, a, b, loc=0):
    """The logarithm of the probability of k; nan unless a, b > 0 and n >= 0."""
    k, n, a, b, loc = inexact("betabinom.logpmf", k, n, a, b, loc)
    y = jnp.floor(k) - loc
    ways = -(lax.log1p(n) + betaln(n - y + 1, y + 1))
    found = ways + (betaln(y + a, n - y + b) - betaln(a, b))
    found = jnp.where((y == 0) & (n == 0), 0.0, found)
    found = jnp.where((y < -loc) | (y > n) | (y + a <= 0), -math.inf, found)
    return jnp.where((n < 0) | (a <= 0) | (b <= 0), math.nan, found)


pmf = exp_of(logpmf, "pmf")
