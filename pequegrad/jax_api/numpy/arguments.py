"""What functions of jax_api do with arguments that are no arrays: axes, sizes, dtypes. They must be known while a function is traced."""

import operator

import numpy as np

from ...core.node import ARRAY
from ...core.tensor import Tensor
from ...ops.creation import as_tensor, scalar
from ...primitives.elementwise import convert_to
from ...primitives.shape import broadcast_in_dim
from ..convert import SCALARS, as_array, to_array


def axis_index(axis, ndim):
    """An axis counted from the front. ValueError if the array has no such axis, TypeError if it is no integer."""
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis {axis} is out of bounds for array of dimension {ndim}")
    return axis % ndim


def axis_tuple(axis, ndim):
    """An axis or a sequence of them, counted from the front, in the order given."""
    return tuple(axis_index(a, ndim) for a in int_tuple(axis))


def distinct_axes(axis, ndim, name):
    """axis_tuple, of which none may be named twice; None is all axes."""
    axes = tuple(range(ndim)) if axis is None else axis_tuple(axis, ndim)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}: axes {axis} name an axis twice")
    return axes


def int_tuple(values):
    """An integer or a sequence of integers (a shape, axes, shifts) as a tuple of ints."""
    try:
        return (operator.index(values),)
    except TypeError:
        if isinstance(values, Tensor) and not values.ndim:  # of a tracer: it says why it has no value
            raise
    return tuple(operator.index(v) for v in values)


def concrete(x, reader):
    """The values of x (an array, a number, a list) as a NumPy array; TracerError, which names `reader`, if it is traced."""
    return x._read(reader) if isinstance(x, Tensor) else np.asarray(x)


def value_like(value, x):
    """The number or array `value` in the dtype of x; of a number a Tensor if x is one."""
    value = as_tensor(value, x.device) if type(value) in SCALARS else as_array(value)
    return convert_to(value, x.dtype)


def filled(like, shape, value, dtype=None):
    """The number `value` everywhere, in the dtype of `like` or another one; an Array if `like` is one."""
    dtype = like.dtype if dtype is None else dtype
    out = broadcast_in_dim(scalar(value, dtype, like.device), shape=tuple(shape), axes=())
    return to_array(out) if like._node.flags & ARRAY else out
