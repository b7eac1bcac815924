"""jax.scipy.ndimage: images of any number of axes."""

import itertools
import math

from ...core.dtype import dt
from ...ops.arithmetic import astype
from .. import lax
from .. import numpy as jnp


def _mirrored(index, size):
    s = size - 1
    return jnp.abs((index + s) % (2 * s) - s)


# mode -> where an index outside is read
_OUTSIDE = {
    "constant": lambda index, size: index,
    "nearest": lambda index, size: jnp.clip(index, 0, size - 1),
    "wrap": lambda index, size: index % size,
    "mirror": _mirrored,
    "reflect": lambda index, size: (_mirrored(2 * index + 1, 2 * size + 1) - 1) // 2,
}


def _rounded(x):
    return x if x.dtype.kind in "iu" else lax.round(x)


def _nodes(coordinate, order):
    """[(index, weight)] of the elements along one axis that count at a coordinate."""
    if order == 0:
        return [(astype(_rounded(coordinate), dt.int32), None)]
    lower = jnp.floor(coordinate)
    upper_weight = coordinate - lower
    index = astype(lower, dt.int32)
    return [(index, 1 - upper_weight), (index + 1, upper_weight)]


def map_coordinates(input, coordinates, order, mode="constant", cval=0.0):
    """The values of `input` at coordinates, one array for each axis, by the nearest element (order 0) or linearly (order 1).

    mode: what is outside: "constant" (cval), "nearest", "wrap", "mirror" (about the edge element), "reflect" (about the edge).
    """
    image = jnp.asarray(input)
    coordinates = [jnp.asarray(c) for c in coordinates]
    cval = jnp.asarray(cval, image.dtype)
    if len(coordinates) != image.ndim:
        raise ValueError(f"coordinates must be a sequence of length input.ndim, but {len(coordinates)} != {image.ndim}")
    if mode not in _OUTSIDE:
        raise NotImplementedError(f"map_coordinates: there is no mode {mode!r}; the modes are {set(_OUTSIDE)}.")
    if order not in (0, 1):
        raise NotImplementedError("map_coordinates: the order must be 0 or 1.")
    found = 0
    for corner in itertools.product(*(_nodes(c, order) for c in coordinates)):
        value = image[tuple(_OUTSIDE[mode](index, size) for (index, _), size in zip(corner, image.shape))]
        if mode == "constant":
            inside = [(index >= 0) & (index < size) for (index, _), size in zip(corner, image.shape)]
            value = jnp.where(math.prod(inside[1:], start=inside[0]), value, cval)
        for _, weight in corner:
            value = value if weight is None else weight * value
        found = found + value
    return astype(_rounded(found) if image.dtype.kind in "iu" else found, image.dtype)


__all__ = ["map_coordinates"]
