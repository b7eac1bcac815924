"""The Dirichlet distribution with concentrations alpha [n], of x [n, ..] or of x [n - 1, ..] without its last component."""

import math

from ... import numpy as jnp
from ..special import gammaln, xlogy
from .common import exp_of, inexact


def logpdf(x, alpha):
    """The logarithm of the density, -inf off the simplex."""
    x, alpha = inexact("dirichlet.logpdf", x, alpha)
    if alpha.ndim != 1:
        raise ValueError(f"`alpha` must be one-dimensional; got alpha.shape={alpha.shape}")
    if x.shape[0] not in (alpha.shape[0], alpha.shape[0] - 1):
        raise ValueError(
            "`x` must have either the same number of entries as `alpha` or one entry fewer; got "
            f"x.shape={x.shape}, alpha.shape={alpha.shape}"
        )
    if x.shape[0] != alpha.shape[0]:
        x = jnp.concatenate([x, 1 - x.sum(0, keepdims=True)])
    constant = jnp.sum(gammaln(alpha)) - gammaln(jnp.sum(alpha))
    alpha = jnp.reshape(alpha, alpha.shape + (1,) * (x.ndim - 1))
    found = jnp.sum(xlogy(alpha - 1, x), axis=0) - constant
    on_simplex = jnp.all(x > 0, axis=0) & (jnp.abs(jnp.sum(x, axis=0) - 1) < 1e-6)
    return jnp.where(on_simplex, found, -math.inf)


pdf = exp_of(logpdf, "pdf")
