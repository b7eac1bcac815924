"""The normal distribution of vectors [.., n] with mean [.., n] and covariance [.., n, n], or of numbers."""

import math

from ... import numpy as jnp
from ..linalg import cholesky, solve_triangular
from .common import inexact


def logpdf(x, mean, cov, allow_singular=None):
    """The logarithm of the density. cov may be a number for vectors, too: it is that times the identity."""
    if allow_singular is not None:
        raise NotImplementedError("allow_singular argument of multivariate_normal.logpdf")
    x, mean, cov = inexact("multivariate_normal.logpdf", x, mean, cov)
    log_2pi = math.log(2 * math.pi)
    if not mean.ndim:
        return -1 / 2 * jnp.square(x - mean) / cov - 1 / 2 * (log_2pi + jnp.log(cov))
    n = mean.shape[-1]
    if not cov.ndim:
        return -1 / 2 * jnp.sum(jnp.square(x - mean), -1) / cov - n / 2 * (log_2pi + jnp.log(cov))
    if cov.ndim < 2 or cov.shape[-2:] != (n, n):
        raise ValueError("multivariate_normal.logpdf got incompatible shapes")
    factor = cholesky((cov + jnp.swapaxes(cov, -1, -2)) / 2, lower=True)
    y = solve_triangular(factor, jnp.expand_dims(x - mean, -1), lower=True)[..., 0]
    logarithms = jnp.log(jnp.diagonal(factor, axis1=-1, axis2=-2)).sum(-1)
    return -1 / 2 * jnp.sum(y * y, -1) - n / 2 * log_2pi - logarithms


def pdf(x, mean, cov):
    """The density."""
    return jnp.exp(logpdf(x, mean, cov))
