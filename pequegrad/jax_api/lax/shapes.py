"""Making, reshaping, joining, cutting and padding arrays."""

import operator

import numpy as np

from ...core.errors import ArgumentError, DtypeError, IndexingError, ShapeError
from ...primitives import control
from ...primitives import elementwise as e
from ...primitives import shape as p
from ..convert import as_array, current_device, from_numpy, to_array
from .operands import check_same_dtypes, dtype_of, ints, shapes_as_types, wrapped_axis

slice_of = slice  # lax has a function of this name

# ---- from nothing --------------------------------------------------------------------------------------


def shape_of(shape, name):
    """A shape as a tuple of ints >= 0; one int is a shape, too."""
    shape = (operator.index(shape),) if isinstance(shape, (int, np.integer)) else ints(shape)
    if any(n < 0 for n in shape):
        raise ArgumentError(f"{name}: shapes must have sizes >= 0, got {shape}.")
    return shape


def full(shape, fill_value, dtype=None, *, sharding=None):
    """The scalar fill_value everywhere, in its dtype or in `dtype`."""
    fill_value = as_array(fill_value, "full", 1)
    if fill_value.shape:
        raise ArgumentError(f"full must be called with scalar fill_value, got shape {fill_value.shape}.")
    if dtype is not None:
        fill_value = e.convert_to(fill_value, dtype_of(dtype, "full"))
    return control.identity(p.broadcast_in_dim(fill_value, shape=shape_of(shape, "full"), axes=()))


def full_like(x, fill_value, dtype=None, shape=None, sharding=None):
    """fill_value in the shape and dtype of x, or in others that are given."""
    if not (hasattr(x, "shape") and hasattr(x, "dtype")):
        x = as_array(x, "full_like")
    weak = dtype is None and getattr(x, "weak_type", False)
    shape = x.shape if shape is None else shape
    fill_value = as_array(fill_value, "full_like", 1)
    if fill_value.shape:
        raise ArgumentError(f"full must be called with scalar fill_value, got shape {fill_value.shape}.")
    fill_value = _typed(fill_value, dtype_of(x.dtype if dtype is None else dtype, "full_like"), weak)
    return control.identity(p.broadcast_in_dim(fill_value, shape=shape_of(shape, "full_like"), axes=()))


def _typed(x, dtype, weak):
    return x if x.dtype == dtype and x.weak_type == weak else e.convert(x, dtype=dtype, weak_type=weak)


def empty(shape, dtype, *, out_sharding=None):
    """Zeros: memory that nobody has written to is never shown."""
    return full(shape, 0, dtype)


def iota(dtype, size):
    """0, 1, 2, ... size - 1"""
    return broadcasted_iota(dtype, (size,), 0)


def broadcasted_iota(dtype, shape, dimension, *, out_sharding=None):
    """0, 1, 2, ... along one axis of an array of this shape."""
    dtype, shape = dtype_of(dtype, "iota"), shape_of(shape, "iota")
    if dtype.kind == "b":
        raise DtypeError("iota does not accept dtype bool.")
    dimension = operator.index(dimension)
    if not 0 <= dimension < len(shape):
        raise ShapeError(f"iota dimension must be between 0 and len(shape), got {dimension} for shape {shape}.")
    return to_array(p.iota(shape=shape, dtype=dtype, axis=dimension, device=current_device()))


def shape_as_value(shape):
    """A shape as a 1-d array of integers."""
    from ...core.dtype import default_int

    return from_numpy(np.array(shape, default_int()))


# ---- the same elements under another shape --------------------------------------------------------------


@shapes_as_types
def reshape(operand, new_sizes, dimensions=None, *, out_sharding=None):
    """The elements in row-major order under another shape; `dimensions`: the order in which the axes are read."""
    operand = as_array(operand, "reshape")
    new_sizes = shape_of(new_sizes, "reshape new_sizes")
    if dimensions is not None:
        dimensions = ints(dimensions)
        if sorted(dimensions) != list(range(operand.ndim)):
            raise ArgumentError(f"reshape: {dimensions} are no permutation of the axes of shape {operand.shape}.")
        if dimensions != tuple(range(operand.ndim)):
            operand = p.transpose(operand, permutation=dimensions)
    return p.reshape(operand, shape=new_sizes)


def collapse(operand, start_dimension, stop_dimension=None):
    """The axes from start_dimension to before stop_dimension as one."""
    operand = as_array(operand, "collapse")
    begin, end, _ = slice_of(start_dimension, stop_dimension).indices(operand.ndim)
    if begin >= end:
        raise ShapeError(f"Invalid dimension range passed to collapse: {operand.shape}[{begin}:{end}]")
    size = int(np.prod(operand.shape[begin:end]))
    return p.reshape(operand, shape=(*operand.shape[:begin], size, *operand.shape[end:]))


def expand_dims(array, dimensions):
    """New axes of size 1 at these places of the result."""
    array = as_array(array, "expand_dims")
    dimensions = ints(dimensions)
    ndim = array.ndim + len(dimensions)
    places = [wrapped_axis(d, ndim, "expand_dims") for d in dimensions]
    if len(set(places)) != len(places):
        raise ShapeError(f"repeated axis in lax.expand_dims: {dimensions}")
    sizes = iter(array.shape)
    return p.reshape(array, shape=tuple(1 if i in places else next(sizes) for i in range(ndim)))


def squeeze(array, dimensions):
    """Without these axes, which have size 1."""
    array = as_array(array, "squeeze")
    places = [wrapped_axis(d, array.ndim, "squeeze") for d in ints(dimensions)]
    if len(set(places)) != len(places) or any(array.shape[d] != 1 for d in places):
        raise ShapeError(
            f"cannot select an axis to squeeze out which has size not equal to one, got shape={array.shape} and "
            f"dimensions={dimensions}"
        )
    return p.reshape(array, shape=tuple(n for i, n in enumerate(array.shape) if i not in places))


@shapes_as_types
def transpose(operand, permutation):
    """Axis i of the result is axis permutation[i] of the operand."""
    return p.transpose(as_array(operand, "transpose"), permutation=ints(permutation))


@shapes_as_types
def rev(operand, dimensions):
    """The operand with the order along these axes reversed."""
    return p.rev(as_array(operand, "rev"), axes=ints(dimensions))


# ---- repeated --------------------------------------------------------------------------------------------


def broadcast(operand, sizes, *, out_sharding=None):
    """The operand repeated along new leading axes of these sizes."""
    operand = as_array(operand, "broadcast")
    n = len(sizes)
    return p.broadcast_in_dim(operand, shape=(*ints(sizes), *operand.shape), axes=tuple(range(n, n + operand.ndim)))


@shapes_as_types
def broadcast_in_dim(operand, shape, broadcast_dimensions, *, out_sharding=None):
    """The operand repeated to `shape`: its axis i becomes axis broadcast_dimensions[i]."""
    operand = as_array(operand, "broadcast_in_dim")
    axes = ints(broadcast_dimensions)
    if len(axes) == operand.ndim == len(set(axes)) and list(axes) != sorted(axes):
        order = sorted(range(operand.ndim), key=axes.__getitem__)
        operand, axes = p.transpose(operand, permutation=tuple(order)), tuple(sorted(axes))
    return p.broadcast_in_dim(operand, shape=shape_of(shape, "broadcast_in_dim"), axes=axes)


def broadcast_like(arr, like_arr):
    """`arr` broadcast to the shape of like_arr, by NumPy's rules."""
    arr, like = as_array(arr, "broadcast_like", 0), as_array(like_arr, "broadcast_like", 1)
    axes = tuple(range(like.ndim - arr.ndim, like.ndim))
    return p.broadcast_in_dim(arr, shape=like.shape, axes=axes)


def broadcast_to_rank(x, rank):
    """x with leading axes of size 1, so that it has `rank` axes."""
    x = as_array(x, "broadcast_to_rank")
    if rank < x.ndim:
        raise ShapeError(f"broadcast_to_rank: rank {rank} is below the {x.ndim} axes of the array.")
    return p.expand_leading(x, 0, rank - x.ndim)


def broadcast_shapes(*shapes):
    """The shape to which arrays of these shapes broadcast, by NumPy's rules; ValueError if there is none."""
    try:
        return tuple(int(n) for n in np.broadcast_shapes(*shapes))
    except ValueError:
        raise ValueError(f"Incompatible shapes for broadcasting: shapes={list(shapes)}") from None


def tile(operand, reps):
    """The operand repeated reps[i] times along axis i."""
    operand, reps = as_array(operand, "tile"), ints(reps)
    if len(reps) != operand.ndim or any(n < 0 for n in reps):
        raise ArgumentError(f"tile: reps {reps} must be one number >= 0 per axis of shape {operand.shape}.")
    shape = tuple(n for pair in zip(reps, operand.shape) for n in pair)
    repeated = p.broadcast_in_dim(operand, shape=shape, axes=tuple(range(1, 2 * operand.ndim, 2)))
    return p.reshape(repeated, shape=tuple(r * n for r, n in zip(reps, operand.shape)))


# ---- joined and cut ----------------------------------------------------------------------------------------


def _arrays(operands, name):
    if not len(operands):
        raise ValueError(f"{name} requires a non-empty sequences of arrays")
    if hasattr(operands, "shape"):
        operands = unstack(operands)
    xs = [as_array(x, name, i) for i, x in enumerate(operands)]
    check_same_dtypes(name, *xs)
    return xs


@shapes_as_types
def concatenate(operands, dimension):
    """The operands one after the other along an axis."""
    xs, dimension = _arrays(operands, "concatenate"), operator.index(dimension)
    if any(x.ndim != xs[0].ndim for x in xs) or not 0 <= dimension < xs[0].ndim:
        raise ArgumentError(f"concatenate: shapes {[x.shape for x in xs]} do not fit along dimension {dimension}.")
    return p.concatenate(*xs, axis=dimension) if len(xs) > 1 else control.identity(xs[0])


@shapes_as_types
def stack(operands, axis=0):
    """The operands, of one shape, side by side along a new axis."""
    xs = _arrays(operands, "stack")
    axis = wrapped_axis(axis, xs[0].ndim + 1, "stack")
    if any(x.shape != xs[0].shape for x in xs):
        raise ArgumentError(f"stack requires operands of one shape, got {[x.shape for x in xs]}.")
    shape = (*xs[0].shape[:axis], 1, *xs[0].shape[axis:])
    return p.concatenate(*(p.reshape(x, shape=shape) for x in xs), axis=axis)


def unstack(x, axis=0):
    """The parts of x along an axis, without it: a tuple."""
    x = as_array(x, "unstack")
    axis = wrapped_axis(axis, x.ndim, "unstack")
    return tuple(index_in_dim(x, i, axis, keepdims=False) for i in range(x.shape[axis]))


def split(operand, sizes, axis=0):
    """Parts of these sizes, one after the other along an axis: a list."""
    operand, sizes = as_array(operand, "split"), ints(sizes)
    axis = wrapped_axis(axis, operand.ndim, "split")
    if sum(sizes) != operand.shape[axis] or any(n < 0 for n in sizes):
        raise ShapeError(f"split: sizes {sizes} must sum to the size of axis {axis} of shape {operand.shape}.")
    ends = np.cumsum(sizes).tolist()
    return [p.slice_axis(operand, axis, end - n, end) for n, end in zip(sizes, ends)]


@shapes_as_types
def slice(operand, start_indices, limit_indices, strides=None):
    """operand[start : limit : stride] on every axis."""
    operand = as_array(operand, "slice")
    start, limit = ints(start_indices), ints(limit_indices)
    step = (1,) * operand.ndim if strides is None else ints(strides)
    return p.slice_(operand, start=start, limit=limit, step=step)


def slice_in_dim(operand, start_index, limit_index, stride=1, axis=0):
    """operand[start : limit : stride] on one axis; negative indices count from the end."""
    operand = as_array(operand, "slice_in_dim")
    axis = wrapped_axis(axis, operand.ndim, "slice_in_dim")
    size = operand.shape[axis]
    begin = 0 if start_index is None else operator.index(start_index)
    end = size if limit_index is None else operator.index(limit_index)
    begin, end = (n + size if n < 0 else n for n in (begin, end))
    return slice(
        operand,
        [begin if i == axis else 0 for i in range(operand.ndim)],
        [end if i == axis else n for i, n in enumerate(operand.shape)],
        [operator.index(stride) if i == axis else 1 for i in range(operand.ndim)],
    )


def index_in_dim(operand, index, axis=0, keepdims=True):
    """The part of the operand at one position of an axis; the axis stays, with size 1, if keepdims."""
    operand = as_array(operand, "index_in_dim")
    index, axis = operator.index(index), wrapped_axis(axis, operand.ndim, "index_in_dim")
    size = operand.shape[axis]
    if not -size <= index < size:
        raise IndexingError(f"index {index} is out of bounds for axis {axis} with size {size}")
    found = p.slice_axis(operand, axis, index % size, index % size + 1)
    return found if keepdims else p.reshape(found, shape=operand.shape[:axis] + operand.shape[axis + 1 :])


def pad(operand, padding_value, padding_config):
    """The operand with padding_value around it, (before, after, between) per axis; negative ones remove elements."""
    operand, padding_value = as_array(operand, "pad", 0), as_array(padding_value, "pad", 1)
    if operand.dtype != padding_value.dtype:
        raise DtypeError(
            f"pad operand and padding_value must be same dtype: {operand.dtype} and {padding_value.dtype}."
        )
    config = [ints(row) for row in padding_config]
    low, high, interior = ([row[i] for row in config] for i in range(3))
    return p.pad(operand, padding_value, low=tuple(low), high=tuple(high), interior=tuple(interior))


__all__ = [
    "broadcast", "broadcast_in_dim", "broadcast_like", "broadcast_shapes", "broadcast_to_rank", "broadcasted_iota",
    "collapse", "concatenate", "empty", "expand_dims", "full", "full_like", "index_in_dim", "iota", "pad", "reshape", "rev",
    "shape_as_value", "slice", "slice_in_dim", "split", "squeeze", "stack", "tile", "transpose", "unstack",
]  # fmt: skip
