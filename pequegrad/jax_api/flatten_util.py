"""jax.flatten_util: a pytree of arrays as one vector."""

import math

import numpy as np

from ..core.dtype import promote
from ..core.node import face
from ..primitives.elementwise import convert_to
from ..primitives.shape import concatenate, reshape, slice_axis
from ..transforms.tree import flatten_ordered
from .convert import as_array, from_numpy

__all__ = ["ravel_pytree"]


def ravel_pytree(pytree):
    """(vector of all elements, function from such a vector to the tree). Dtypes are promoted to one, and taken back."""
    leaves, structure = flatten_ordered(pytree)
    if not leaves:
        return from_numpy(np.zeros(0, np.float32)), lambda vector: structure.unflatten([])
    with face(True):
        arrays = [as_array(x, "ravel_pytree") for x in leaves]
        dtype, weak_type = promote(*[x._node.aval.weak_pair for x in arrays])
        if any(x.dtype != dtype or x.weak_type for x in arrays):
            weak_type = False
        rows = [convert_to(reshape(x, shape=(x.size,)), dtype, weak_type) for x in arrays]
        vector = concatenate(*rows, axis=0) if len(rows) > 1 else rows[0]
    types, size = [(x.shape, x.dtype) for x in arrays], vector.size
    mixed = any(d != dtype for _, d in types)

    def unravel(vector):
        with face(True):
            vector = as_array(vector, "unravel")
            if mixed and vector.dtype != dtype:
                raise TypeError(f"unravel function given array of dtype {vector.dtype}, but expected dtype {dtype}")
            if vector.size != size:
                raise ValueError(f"unravel takes a vector of {size} elements, got shape {vector.shape}.")
            vector, parts, begin = reshape(vector, shape=(size,)), [], 0
            for shape, d in types:
                end = begin + math.prod(shape)
                part = reshape(slice_axis(vector, 0, begin, end), shape=shape)
                parts.append(convert_to(part, d) if mixed else part)  # all of one dtype: that of the vector
                begin = end
            return structure.unflatten(parts)

    return vector, unravel
