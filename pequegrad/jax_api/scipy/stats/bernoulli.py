"""Bernoulli's distribution: loc + 1 with probability p, else loc."""

import math

from ... import numpy as jnp
from ..special import xlog1py, xlogy
from .common import exp_of, inexact


def logpmf(k, p, loc=0):
    """The logarithm of the probability of k."""
    k, p, loc = inexact("bernoulli.logpmf", k, p, loc)
    x = k - loc
    return jnp.where((x < 0) | (x > 1), -math.inf, xlogy(x, p) + xlog1py(1 - x, -p))


pmf = exp_of(logpmf, "pmf")


def _invalid(k, p):
    return jnp.isnan(k) | jnp.isnan(p) | (p < 0) | (p > 1)


def cdf(k, p):
    """The distribution function; nan unless 0 <= p <= 1."""
    k, p = inexact("bernoulli.cdf", k, p)
    found = jnp.where(k < 0, 0, jnp.where(k < 1, 1 - p, 1))
    return jnp.where(_invalid(k, p), math.nan, found)


def ppf(q, p):
    """The smallest k whose cdf is at least q."""
    q, p = inexact("bernoulli.ppf", q, p)
    found = jnp.where(q <= 1 - p, jnp.zeros_like(q), jnp.ones_like(q))
    return jnp.where(_invalid(q, p) | (q < 0) | (q > 1), math.nan, found)
