"""jax.scipy.interpolate: interpolation on a grid."""

import itertools
import math

import numpy as np

from ...core.dtype import default_float
from .. import numpy as jnp
from ..convert import as_array
from ..numpy.promotion import inexact
from ..tree_util import register_pytree_node

_METHODS = ("linear", "nearest")


def _points(xi, ndim):
    """Points [.., ndim] of an array, or of a tuple of coordinates that broadcast."""
    if isinstance(xi, tuple) and len(xi) == 1:
        xi = xi[0]
    if isinstance(xi, tuple):
        return jnp.stack([x.astype(default_float()) for x in jnp.broadcast_arrays(*xi)], axis=-1)
    xi = as_array(xi, "RegularGridInterpolator")
    return xi.reshape(-1, ndim) if xi.ndim == 1 else xi


class RegularGridInterpolator:
    """Interpolation of values on a grid: RegularGridInterpolator((x, y), values [len(x), len(y), ..])(points [.., 2]).

    method: "linear" or "nearest". fill_value: for points outside; None: extrapolate.
    """

    def __init__(self, points, values, method="linear", bounds_error=False, fill_value=np.nan):
        if method not in _METHODS:
            raise ValueError(f"method {method!r} is not defined")
        if bounds_error:
            raise NotImplementedError("`bounds_error` takes no effect under JIT")
        (values,) = inexact("RegularGridInterpolator", values)
        if len(points) > values.ndim:
            raise ValueError(f"there are {len(points)} point arrays, but values has {values.ndim} dimensions")
        if fill_value is not None:
            fill_value = as_array(fill_value, "RegularGridInterpolator")
            if not jnp.can_cast(fill_value.dtype, values.dtype, casting="same_kind"):
                raise ValueError("fill_value must be either 'None' or of a type compatible with values")
        self.method, self.bounds_error, self.fill_value = method, bounds_error, fill_value
        self.grid = tuple(as_array(p, "RegularGridInterpolator") for p in points)
        self.values = values

    def __call__(self, xi, method=None):
        method = self.method if method is None else method
        if method not in _METHODS:
            raise ValueError(f"method {method!r} is not defined")
        ndim = len(self.grid)
        xi = _points(xi, ndim)
        if xi.shape[-1] != ndim:
            raise ValueError(
                f"the requested sample points xi have dimension {xi.shape[-1]}, but this RegularGridInterpolator has "
                f"dimension {ndim}"
            )
        places = [self._place(g, xi[..., i]) for i, g in enumerate(self.grid)]
        found = self._linear(places) if method == "linear" else self._nearest(places)
        if self.fill_value is not None:
            outside = False
            for _, _, beyond in places:
                outside = beyond | outside
            outside = outside.reshape(outside.shape + (1,) * (found.ndim - outside.ndim))
            found = jnp.where(outside, self.fill_value, found)
        return found

    @staticmethod
    def _place(grid, x):
        """(the number of the cell along one axis, the place in it from 0 to 1, whether x is outside)"""
        i = jnp.clip(jnp.searchsorted(grid, x) - 1, 0, grid.size - 2)
        return i, (x - grid[i]) / (grid[i + 1] - grid[i]), (x < grid[0]) | (x > grid[-1])

    def _linear(self, places):
        found = 0.0
        for corner in itertools.product((0, 1), repeat=len(places)):
            weight = math.prod(y if upper else 1 - y for upper, (_, y, _) in zip(corner, places))
            value = self.values[tuple(i + upper for upper, (i, _, _) in zip(corner, places))]
            found = found + value * weight.reshape(weight.shape + (1,) * (value.ndim - weight.ndim))
        return found

    def _nearest(self, places):
        return self.values[tuple(jnp.where(y <= 0.5, i, i + 1) for i, y, _ in places)]


def _flattened(interpolator):
    return (interpolator.grid, interpolator.values, interpolator.fill_value), (
        interpolator.method, interpolator.bounds_error,
    )  # fmt: skip


def _unflattened(static, children):
    found = object.__new__(RegularGridInterpolator)
    found.grid, found.values, found.fill_value = children
    found.method, found.bounds_error = static
    return found


register_pytree_node(RegularGridInterpolator, _flattened, _unflattened)

__all__ = ["RegularGridInterpolator"]
