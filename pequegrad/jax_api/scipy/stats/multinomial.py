"""The multinomial distribution: counts x [.., m] of n draws with probabilities p [.., m]."""

import math

from ... import numpy as jnp
from ...numpy.promotion import numeric
from ..special import gammaln, xlogy
from .common import exp_of, inexact


def logpmf(x, n, p):
    """The logarithm of the probability of the integers x, -inf if their sum is not n."""
    (p,) = inexact("multinomial.logpmf", p)
    x, n = numeric("multinomial.logpmf", x, n)
    if x.dtype.kind not in "iu":
        raise ValueError(f"x and n must be of integer type; got x.dtype={x.dtype}, n.dtype={n.dtype}")
    x, n = x.astype(p.dtype), n.astype(p.dtype)
    found = gammaln(n + 1) + jnp.sum(xlogy(x, p) - gammaln(x + 1), axis=-1)
    return jnp.where(jnp.sum(x) == n, found, -math.inf)


pmf = exp_of(logpmf, "pmf")
