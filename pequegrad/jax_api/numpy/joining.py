"""Arrays put together and taken apart: concatenate, stack and split, and what is made of them."""

import operator

import numpy as np

from ...core.tensor import Tensor
from ...ops.arithmetic import astype, promoted
from ...primitives import shape as s
from ..convert import as_array, as_arrays, requested
from .arguments import axis_index, concrete
from .manipulation import moveaxis, ravel, shape_1d, shape_2d, shape_3d
from .promotion import refuse_out

# ---- together ----------------------------------------------------------------------------------------


def _common(arrays, dtype, name):
    """The arrays in `dtype`, or in the one to which they promote."""
    if dtype is None:
        return promoted(*arrays)
    dtype = requested(dtype, name)
    return [astype(x, dtype) for x in arrays]


def concatenate(arrays, axis=0, dtype=None):
    """The arrays (a sequence, or the parts x[i] of one array) one after the other along an axis; None: all flattened."""
    if isinstance(arrays, (Tensor, np.ndarray)):
        return _concatenated_parts(as_array(arrays, "concatenate"), axis, dtype)
    arrays = as_arrays("concatenate", *arrays)
    if not arrays:
        raise ValueError("Need at least one array to concatenate.")
    if axis is None:
        arrays, axis = [ravel(x) for x in arrays], 0
    if not arrays[0].ndim:
        raise ValueError("Zero-dimensional arrays cannot be concatenated.")
    return s.concatenate(*_common(arrays, dtype, "concatenate"), axis=axis_index(axis, arrays[0].ndim))


def _concatenated_parts(x, axis, dtype):
    """concatenate(x[0], x[1], ...): axis 0 of x is merged with the one before which it is moved."""
    if dtype is not None:
        x = astype(x, requested(dtype, "concatenate"))
    if axis is None:
        return ravel(x)
    if x.ndim < 2:
        raise ValueError("Zero-dimensional arrays cannot be concatenated.")
    if not x.shape[0]:
        raise ValueError("Need at least one array to concatenate.")
    axis = axis_index(axis, x.ndim - 1)
    shape = x.shape[1:]
    return s.reshape_to(moveaxis(x, 0, axis), (*shape[:axis], x.shape[0] * shape[axis], *shape[axis + 1 :]))


def concat(arrays, /, *, axis=0):
    """The arrays one after the other along an axis; None: all flattened."""
    return concatenate(arrays, axis)


def stack(arrays, axis=0, out=None, dtype=None):
    """The arrays, all of one shape, along a new axis."""
    refuse_out("stack", out)
    if not len(arrays):
        raise ValueError("Need at least one array to stack.")
    if isinstance(arrays, (Tensor, np.ndarray)):
        x = as_array(arrays, "stack")
        axis = axis_index(axis, x.ndim)
        return moveaxis(x if dtype is None else astype(x, requested(dtype, "stack")), 0, axis)
    arrays = _common(as_arrays("stack", *arrays), dtype, "stack")
    shapes = {x.shape for x in arrays}
    if len(shapes) > 1:
        raise ValueError(f"stack: all arrays must have one shape, got {', '.join(map(str, shapes))}")
    axis = axis_index(axis, arrays[0].ndim + 1)
    shape = arrays[0].shape
    return s.concatenate(*(s.reshape_to(x, (*shape[:axis], 1, *shape[axis:])) for x in arrays), axis=axis)


def _joined(tup, name, shape_of, axis_of, dtype=None):
    """The arrays (a sequence, or the parts x[i] of one array) in the shapes shape_of(shape), along axis_of(shape)."""
    if isinstance(tup, (Tensor, np.ndarray)):
        x = as_array(tup, name)
        shape = shape_of(x.shape[1:])
        return concatenate(s.reshape_to(x, (x.shape[0], *shape)), axis_of(shape), dtype)
    arrays = as_arrays(name, *tup)
    arrays = [s.reshape_to(x, shape_of(x.shape)) for x in arrays]
    return concatenate(arrays, axis_of(arrays[0].shape) if arrays else 0, dtype)


def vstack(tup, dtype=None):
    """The arrays below each other: along axis 0, after those of one axis have become rows."""
    return _joined(tup, "vstack", shape_2d, lambda shape: 0, dtype)


def hstack(tup, dtype=None):
    """The arrays side by side: along axis 1, those of one axis along axis 0."""
    return _joined(tup, "hstack", shape_1d, lambda shape: int(len(shape) > 1), dtype)


def dstack(tup, dtype=None):
    """The arrays behind each other: along axis 2, after all have got three axes."""
    return _joined(tup, "dstack", shape_3d, lambda shape: 2, dtype)


def column_stack(tup):
    """The arrays side by side, those of one axis as columns."""
    return _joined(tup, "column_stack", lambda shape: shape if len(shape) > 1 else shape_2d(shape)[::-1], lambda _: 1)


def block(arrays):
    """An array assembled of nested lists of blocks: the innermost lists go along the last axis, the next ones along that before."""
    return _blocks(arrays)[0]


def _blocks(arrays):
    """(the array of nested lists of blocks, how deep they are nested + 1)"""
    if isinstance(arrays, tuple):
        raise ValueError(f"block takes lists, not tuples: {arrays}")
    if not isinstance(arrays, list):
        return as_array(arrays, "block"), 1
    if not arrays:
        raise ValueError("block: a list is empty")
    parts, depths = zip(*map(_blocks, arrays))
    if len(set(depths)) > 1:
        raise ValueError("block: the lists are not nested equally deep")
    rank = max(depths[0], *(x.ndim for x in parts))
    parts = [s.reshape_to(x, (1,) * (rank - x.ndim) + x.shape) for x in parts]
    return concatenate(parts, -depths[0]), depths[0] + 1


def append(arr, values, axis=None):
    """The elements of arr, then those of `values`, flattened; or both along an axis."""
    if axis is None:
        return concatenate([ravel(arr), ravel(values)])
    return concatenate([arr, values], axis)


# ---- apart -------------------------------------------------------------------------------------------


def _split(name, x, where, axis):
    x, axis = as_array(x, name), operator.index(axis)
    n = x.shape[axis]
    if isinstance(where, (tuple, list)) or getattr(where, "ndim", 0):
        cuts = [0, *(operator.index(i) for i in where), n]
    else:
        count = int(concrete(where, f"the number of parts of {name}"))
        size, rest = divmod(n, count)
        if rest and name != "array_split":
            raise ValueError(f"{name}: {n} elements do not divide into {count} equal parts")
        cuts = np.cumsum([0] + [size + 1] * rest + [size] * (count - rest)).tolist()
    if any(a > b for a, b in zip(cuts, cuts[1:])):
        raise ValueError(f"{name}: positions {where} must ascend from 0 to {n}")
    return [s.slice_axis(x, axis % x.ndim, a, b) for a, b in zip(cuts, cuts[1:])]


def split(ary, indices_or_sections, axis=0):
    """A list of the parts of `ary` along an axis: so many equal ones, or cut before the given positions."""
    return _split("split", ary, indices_or_sections, axis)


def array_split(ary, indices_or_sections, axis=0):
    """split, but the first parts may have one element more than the others."""
    return _split("array_split", ary, indices_or_sections, axis)


def hsplit(ary, indices_or_sections):
    """split along axis 1, of an array with one axis along that."""
    ary = as_array(ary, "hsplit")
    return _split("hsplit", ary, indices_or_sections, int(ary.ndim > 1))


def vsplit(ary, indices_or_sections):
    """split along axis 0."""
    return _split("vsplit", ary, indices_or_sections, 0)


def dsplit(ary, indices_or_sections):
    """split along axis 2."""
    return _split("dsplit", ary, indices_or_sections, 2)


def unstack(x, /, *, axis=0):
    """The parts of x along an axis, without that axis: a tuple."""
    x = as_array(x, "unstack")
    if not x.ndim:
        raise ValueError("unstack: x needs at least one axis")
    axis = axis_index(axis, x.ndim)
    rest = x.shape[:axis] + x.shape[axis + 1 :]
    return tuple(s.reshape_to(s.slice_axis(x, axis, i, i + 1), rest) for i in range(x.shape[axis]))


__all__ = [
    "concatenate", "concat", "stack", "vstack", "hstack", "dstack", "column_stack", "block", "append", "split",
    "array_split", "hsplit", "vsplit", "dsplit", "unstack",
]  # fmt: skip
