"""The Poisson distribution with mean mu."""

import math

from ... import numpy as jnp
from ...numpy.promotion import inexact as promoted
from ..special import entr, gammaincc, gammaln, xlogy
from .common import exp_of, inexact


def logpmf(k, mu, loc=0):
    """The logarithm of the probability of k, -inf unless it is an integer >= 0."""
    k, mu, loc = promoted("poisson.logpmf", k, mu, loc)
    x = k - loc
    return jnp.where((x < 0) | (jnp.round(k) != k), -math.inf, xlogy(x, mu) - gammaln(x + 1) - mu)


pmf = exp_of(logpmf, "pmf")


def cdf(k, mu, loc=0):
    """The distribution function."""
    k, mu, loc = inexact("poisson.cdf", k, mu, loc)
    x = k - loc
    return jnp.where(x < 0, 0, gammaincc(jnp.floor(1 + x), mu))


def entropy(mu, loc=0):
    """The entropy; loc only broadcasts. From 100 on by Stirling's series."""
    mu, loc = (inexact("poisson.entropy", v)[0] for v in (mu, loc))
    large = 0.5 * jnp.log(2 * math.pi * math.e * mu) - 1.0 / (12 * mu)
    medium = jnp.where(mu < 10, _sum(mu, 35, mu + 20), _sum(mu, 250, mu + 10 * jnp.sqrt(mu) + 20))
    found = jnp.where(mu == 0, 0, jnp.where(mu < 100, medium, large))
    return jnp.broadcast_to(found, jnp.broadcast_shapes(mu.shape, loc.shape))


def _sum(mu, count, bound):
    """-sum of p log(p) over those of 0 .. count - 1 that are below the bound."""
    k = jnp.arange(count, dtype=mu.dtype).reshape(-1, *(1,) * mu.ndim)
    return jnp.sum(entr(jnp.where(k < jnp.ceil(bound), pmf(k, mu), 0.0)), axis=0)
