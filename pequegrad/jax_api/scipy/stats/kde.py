"""Estimates of densities from samples, by a normal distribution around each."""

import dataclasses
import math
from typing import Any

import numpy as np

from ....core.dtype import is_complex
from ....ops.statistics import cov as covariance_of
from ... import numpy as jnp
from ...convert import as_array
from ...tree_util import register_pytree_node_class
from .common import inexact

_FIELDS = ("neff", "dataset", "weights", "covariance", "inv_cov")


@register_pytree_node_class
@dataclasses.dataclass(frozen=True, init=False)
class gaussian_kde:
    """The density of which `dataset` [d, n] (or [n]) is a sample; as scipy.stats.gaussian_kde, and a pytree.

    bw_method: "scott" (default), "silverman", a number, or a function of the estimate: the factor of the bandwidth.
    weights: of the points [n].
    """

    neff: Any
    dataset: Any
    weights: Any
    covariance: Any
    inv_cov: Any

    def __init__(self, dataset, bw_method=None, weights=None):
        dataset = jnp.atleast_2d(as_array(dataset, "gaussian_kde"))
        if is_complex(dataset.dtype):
            raise NotImplementedError("gaussian_kde does not support complex data")
        if not dataset.size > 1:
            raise ValueError("`dataset` input should have multiple elements.")
        d, n = dataset.shape
        if weights is None:
            (dataset,) = inexact("gaussian_kde", dataset)
            weights = jnp.full(n, 1.0 / n, dtype=dataset.dtype)
        else:
            dataset, weights = inexact("gaussian_kde", dataset, as_array(weights, "gaussian_kde"))
            weights = jnp.atleast_1d(weights)
            weights = weights / jnp.sum(weights)
            if weights.ndim != 1:
                raise ValueError("`weights` input should be one-dimensional.")
            if len(weights) != n:
                raise ValueError("`weights` input should be of length n")
        self._set(dataset=dataset, weights=weights, neff=1 / jnp.sum(weights**2))
        factor = self._factor("scott" if bw_method is None else bw_method)
        spread = jnp.atleast_2d(covariance_of(dataset, aweights=weights))
        self._set(covariance=spread * factor**2, inv_cov=jnp.linalg.inv(spread) / factor**2)

    def _set(self, **values):
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _factor(self, bw_method):
        if isinstance(bw_method, str) and bw_method == "scott":
            return jnp.power(self.neff, -1.0 / (self.d + 4))
        if isinstance(bw_method, str) and bw_method == "silverman":
            return jnp.power(self.neff * (self.d + 2) / 4.0, -1.0 / (self.d + 4))
        if callable(bw_method):
            return bw_method(self)
        if not isinstance(bw_method, str) and np.ndim(bw_method) == 0:
            return bw_method
        raise ValueError("`bw_method` should be 'scott', 'silverman', a scalar, or a callable.")

    def tree_flatten(self):
        return tuple(getattr(self, name) for name in _FIELDS), None

    @classmethod
    def tree_unflatten(cls, aux_data, children):
        found = cls.__new__(cls)
        found._set(**dict(zip(_FIELDS, children)))
        return found

    @property
    def d(self):
        """The number of components of a point."""
        return self.dataset.shape[0]

    @property
    def n(self):
        """The number of points."""
        return self.dataset.shape[1]

    # ---- densities ---------------------------------------------------------------------------------------

    def evaluate(self, points):
        """The density at points [d, m]."""
        exponents, constant, weights = self._exponents("evaluate", points)
        return jnp.sum(weights * jnp.exp(constant + exponents), axis=1)

    def __call__(self, points):
        """The density at points [d, m]."""
        return self.evaluate(points)

    def pdf(self, x):
        """The density at points [d, m]."""
        return self.evaluate(x)

    def logpdf(self, x):
        """The logarithm of the density at points [d, m]."""
        from ..special import logsumexp

        exponents, constant, weights = self._exponents("logpdf", x)
        return logsumexp(jnp.log(weights) + (constant + exponents), axis=1)

    def _exponents(self, name, points):
        """-half the squared distances [m, n] of points from the sample, the logarithm of the constant factor, and the weights."""
        points = self._points(as_array(points, name))
        sample, weights, points, precision = inexact(name, self.dataset, self.weights, points, self.inv_cov)
        whitening = jnp.linalg.cholesky(precision)
        sample, points = sample.T @ whitening, points.T @ whitening
        squares = jnp.sum(jnp.square(sample[None] - points[:, None]), axis=-1)
        constant = jnp.sum(jnp.log(jnp.diagonal(whitening))) - 0.5 * self.d * math.log(2 * math.pi)
        return -0.5 * squares, constant, weights

    def _points(self, points):
        if is_complex(points.dtype):
            raise NotImplementedError("gaussian_kde does not support complex coordinates")
        points = jnp.atleast_2d(points)
        if points.shape[0] == self.d:
            return points
        if points.shape == (1, self.d):
            return points.T
        raise ValueError(f"points have dimension {points.shape[0]}, dataset has dimension {self.d}")

    # ---- integrals ---------------------------------------------------------------------------------------

    def integrate_gaussian(self, mean, cov):
        """The integral of the density times that of a normal distribution."""
        mean, cov = jnp.atleast_1d(jnp.squeeze(mean)), jnp.atleast_2d(cov)
        if mean.shape != (self.d,):
            raise ValueError(f"mean does not have dimension {self.d}")
        if cov.shape != (self.d, self.d):
            raise ValueError(f"covariance does not have dimension {self.d}")
        return self._overlap(mean[:, None], self.covariance + cov)[0]

    def integrate_kde(self, other):
        """The integral of the product with another estimate."""
        if other.d != self.d:
            raise ValueError("KDEs are not the same dimensionality")
        return jnp.sum(self._overlap(other.dataset, self.covariance + other.covariance) * other.weights)

    def _overlap(self, means, covariance):
        """The integrals of the sample's points, each spread by `covariance`, at means [d, m]."""
        factor = jnp.linalg.cholesky(covariance)
        norm = math.sqrt(2 * math.pi) ** self.d * jnp.prod(jnp.diagonal(factor))
        difference = self.dataset[:, :, None] - means[:, None, :]
        solved = jnp.linalg.solve(covariance, difference.reshape(self.d, -1)).reshape(difference.shape)
        exponents = -0.5 * jnp.sum(difference * solved, axis=0)
        return jnp.sum(jnp.exp(exponents) * self.weights[:, None], axis=0) / norm

    def integrate_box_1d(self, low, high):
        """The probability of an interval."""
        from ..special import ndtr

        if self.d != 1:
            raise ValueError("integrate_box_1d() only handles 1D pdfs")
        if np.ndim(low) != 0 or np.ndim(high) != 0:
            raise ValueError("the limits of integration in integrate_box_1d must be scalars")
        sigma = jnp.squeeze(jnp.sqrt(self.covariance))
        low, high = (jnp.squeeze((limit - self.dataset) / sigma) for limit in (low, high))
        return jnp.sum(self.weights * (ndtr(high) - ndtr(low)))

    def integrate_box(self, low_bounds, high_bounds, maxpts=None):
        """Not supported; see integrate_box_1d."""
        raise NotImplementedError("only 1D box integrations are supported; use `integrate_box_1d`")

    # ---- samples -----------------------------------------------------------------------------------------

    def resample(self, key, shape=()):
        """Points [d, *shape] drawn from the density."""
        from ... import random

        index_key, noise_key = random.split(key)
        index = random.choice(index_key, self.n, shape=shape, p=self.weights)
        mean = jnp.zeros(self.d, self.covariance.dtype)
        noise = random.multivariate_normal(noise_key, mean, self.covariance, shape=shape, dtype=self.dataset.dtype)
        return self.dataset[:, index] + noise.T

    def set_bandwidth(self, bw_method=None):
        """Not supported: an estimate does not change."""
        raise NotImplementedError("dynamically changing the bandwidth method is not supported")


__all__ = ["gaussian_kde"]
