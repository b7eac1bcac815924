"""Slices at computed places, gather and scatter."""

import operator

import numpy as np

from ...core.dtype import dt, is_integer
from ...core.errors import ArgumentError, DtypeError, MisfitError, ShapeError
from ...core.node import face
from ...ops import dynamic
from ...primitives import dynamic as d
from ...primitives import elementwise as e
from ...primitives import indexing as p
from ...primitives import shape as s
from ...primitives.base import number
from ...primitives.reduction import reduce_max
from ...transforms.control_flow import while_loop
from ..convert import as_array
from .operands import check_same_dtypes, ints, shapes_as_types, wrapped_axis
from .types import GatherDimensionNumbers, GatherScatterMode, ScatterDimensionNumbers

# ---- dynamic slices ----------------------------------------------------------------------------------------


def _starts(name, operand, starts, allow_negative):
    """One integer or 0-d array per axis, counted from the front."""
    n = operand.ndim
    if hasattr(starts, "shape"):
        starts = as_array(starts, name)
        if starts.ndim != 1:
            raise ShapeError(f"{name}: start_indices must have one axis, got {starts._node.aval}.")
        starts = [s.reshape(s.slice_axis(starts, 0, i, i + 1), shape=()) for i in range(starts.shape[0])]
    if len(starts) != n:
        raise ShapeError(f"{name}: {len(starts)} start indices for an array with {n} axes.")
    flags = (bool(allow_negative),) * n if isinstance(allow_negative, (bool, np.bool_)) else tuple(allow_negative)
    if len(flags) != n:
        raise ValueError(f"{name}: allow_negative_indices must have one entry per axis.")
    return [_start(name, start, size, flag) for start, size, flag in zip(starts, operand.shape, flags)]


def _start(name, start, size, allow_negative):
    if isinstance(start, (int, np.integer)) and not isinstance(start, bool):
        if start < 0 and not allow_negative:
            raise ValueError(f"Index {start} is out of bounds for dimension {size} if allow_negative_indices=False")
        return int(start)
    start = as_array(start, name)
    if not is_integer(start.dtype) or start.shape:
        raise DtypeError(f"index arguments to {name} must be scalar integers, got {start._node.aval}.")
    if allow_negative or start.dtype.kind == "u":
        return start
    return e.max_(start, number(0, start))


@shapes_as_types
def dynamic_slice(operand, start_indices, slice_sizes, *, allow_negative_indices=True):
    """operand[start : start + size] on every axis. Negative starts count from the end; then they are clamped into range."""
    operand = as_array(operand, "dynamic_slice")
    sizes = ints(slice_sizes)
    starts = _starts("dynamic_slice", operand, start_indices, allow_negative_indices)
    return dynamic.dynamic_slice(operand, starts, sizes)


@shapes_as_types
def dynamic_update_slice(operand, update, start_indices, *, allow_negative_indices=True):
    """operand with `update`, which has as many axes, at the starts; see dynamic_slice."""
    operand, update = as_array(operand, "dynamic_update_slice", 0), as_array(update, "dynamic_update_slice", 1)
    check_same_dtypes("dynamic_update_slice", operand, update)
    if update.ndim != operand.ndim or any(k > n for k, n in zip(update.shape, operand.shape)):
        raise ArgumentError(f"dynamic_update_slice: update {update.shape} does not fit in operand {operand.shape}.")
    starts = _starts("dynamic_update_slice", operand, start_indices, allow_negative_indices)
    starts = dynamic._starts("dynamic_update_slice", operand, starts)
    return d.dynamic_update_slice(operand, update, *starts)


def _at_axis(start, axis, operand):
    return tuple(start if i == axis else 0 for i in range(operand.ndim))


def dynamic_slice_in_dim(operand, start_index, slice_size, axis=0, *, allow_negative_indices=True):
    """operand[start_index : start_index + slice_size] on one axis; see dynamic_slice."""
    operand = as_array(operand, "dynamic_slice_in_dim")
    axis = wrapped_axis(axis, operand.ndim, "dynamic_slice_in_dim")
    sizes = tuple(operator.index(slice_size) if i == axis else n for i, n in enumerate(operand.shape))
    starts = _at_axis(start_index, axis, operand)
    return dynamic_slice(operand, starts, sizes, allow_negative_indices=allow_negative_indices)


def dynamic_index_in_dim(operand, index, axis=0, keepdims=True, *, allow_negative_indices=True):
    """The part of the operand at one position of an axis, which stays, with size 1, if keepdims."""
    operand = as_array(operand, "dynamic_index_in_dim")
    axis = wrapped_axis(axis, operand.ndim, "dynamic_index_in_dim")
    found = dynamic_slice_in_dim(operand, index, 1, axis, allow_negative_indices=allow_negative_indices)
    return found if keepdims else s.reshape(found, shape=operand.shape[:axis] + operand.shape[axis + 1 :])


def dynamic_update_slice_in_dim(operand, update, start_index, axis, *, allow_negative_indices=True):
    """operand with `update`, which has as many axes, at start_index of one axis."""
    operand = as_array(operand, "dynamic_update_slice_in_dim")
    axis = wrapped_axis(axis, operand.ndim, "dynamic_update_slice_in_dim")
    starts = _at_axis(start_index, axis, operand)
    return dynamic_update_slice(operand, update, starts, allow_negative_indices=allow_negative_indices)


def dynamic_update_index_in_dim(operand, update, index, axis, *, allow_negative_indices=True):
    """operand with `update` at one position of an axis; the update has size 1 there, or lacks that axis."""
    name = "dynamic_update_index_in_dim"
    operand, update = as_array(operand, name, 0), as_array(update, name, 1)
    axis = wrapped_axis(axis, operand.ndim, name)
    if update.ndim == operand.ndim - 1:
        update = s.reshape(update, shape=update.shape[:axis] + (1,) + update.shape[axis:])
    return dynamic_update_slice_in_dim(operand, update, index, axis, allow_negative_indices=allow_negative_indices)


# ---- gather ------------------------------------------------------------------------------------------------


def _indices(name, x):
    x = as_array(x, name, 1)
    if not is_integer(x.dtype) or not x.ndim:
        raise MisfitError(
            f"{name}: indices must be integers with an index vector on the last axis, got {x._node.aval}."
        )
    return x if x.dtype.itemsize >= 4 else e.convert_to(x, dt.int32)


@shapes_as_types
def gather(operand, start_indices, dimension_numbers, slice_sizes, *, unique_indices=False, indices_are_sorted=False,
           mode=None, fill_value=None):  # fmt: skip
    """Windows of size slice_sizes of the operand at the places start_indices [.., component of the index].

    mode: what becomes of windows that do not lie within the operand: "clip" (default, and "promise_in_bounds") gives the
    nearest that does, "fill" gives fill_value (or nan, the lowest signed, the highest unsigned integer, True).
    """
    operand, indices = as_array(operand, "gather", 0), _indices("gather", start_indices)
    numbers = GatherDimensionNumbers(*dimension_numbers)
    places = p.Places(
        ints(numbers.offset_dims), ints(numbers.collapsed_slice_dims), ints(numbers.operand_batching_dims),
        ints(numbers.start_indices_batching_dims), ints(numbers.start_index_map),
    )  # fmt: skip
    sizes, mode = ints(slice_sizes), GatherScatterMode.from_any("clip" if mode is None else mode)
    if any(sizes[a] != 1 for a in (*places.collapsed, *places.batch) if a < len(sizes) and sizes[a]):
        raise ArgumentError(f"gather: slice_sizes {sizes} must be 1 on collapsed and batching dims.")
    if mode is GatherScatterMode.ONE_HOT:
        return p.gather(operand, indices, places=places, sizes=sizes, mode="zero")
    if mode is not GatherScatterMode.FILL_OR_DROP:
        return p.gather(operand, indices, places=places, sizes=sizes, mode="clip")
    if fill_value is None:
        return p.gather(operand, indices, places=places, sizes=sizes, mode="fill")
    found = p.gather(operand, indices, places=places, sizes=sizes, mode="zero")
    inside = s.broadcast_in_dim(e.convert_to(number(1, operand), dt.bool_), shape=operand.shape, axes=())
    inside = p.gather(inside, indices, places=places, sizes=sizes, mode="zero")
    fill_value = e.convert_to(as_array(fill_value, "gather"), operand.dtype, operand.weak_type)
    return e.select(inside, found, fill_value)


def index_take(src, idxs, axes):
    """src[.., idxs[0], .., idxs[1], ..] for 1-d arrays of indices into `axes`: the other axes follow the index."""
    src = as_array(src, "index_take")
    axes = ints(axes)
    columns = [e.convert_to(as_array(i, "index_take"), dt.int32) for i in idxs]
    indices = s.concatenate(*(s.reshape(i, shape=(*i.shape, 1)) for i in columns), axis=columns[0].ndim)
    kept = [i for i in range(src.ndim) if i not in axes]
    sizes = tuple(1 if i in axes else n for i, n in enumerate(src.shape))
    numbers = GatherDimensionNumbers(tuple(range(1, len(kept) + 1)), tuple(sorted(axes)), axes)
    return gather(src, indices, numbers, sizes)


# ---- scatter -----------------------------------------------------------------------------------------------


def _scatter(name, combine):
    @shapes_as_types
    def function(operand, scatter_indices, updates, dimension_numbers, *, indices_are_sorted=False, unique_indices=False,
                 mode=None):  # fmt: skip
        operand, indices = as_array(operand, name, 0), _indices(name, scatter_indices)
        updates = as_array(updates, name, 2)
        check_same_dtypes(name, operand, updates)
        if combine == "sub":
            return _scattered(operand, indices, e.neg(updates), dimension_numbers, "add", unique_indices, mode)
        return _scattered(operand, indices, updates, dimension_numbers, combine, unique_indices, mode)

    what = {"set": "replaced by", "add": "added to", "sub": "less", "mul": "times"}.get(
        combine, f"{combine} of them and"
    )
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The operand, where windows at scatter_indices [.., component of the index] are {what} the updates.

    mode: windows that do not lie within the operand are skipped ("drop", the default) or moved into it ("clip").
    unique_indices promises that no element is updated twice.
    """
    return function


def _places(numbers):
    numbers = ScatterDimensionNumbers(*numbers)
    return p.Places(
        ints(numbers.update_window_dims), ints(numbers.inserted_window_dims), ints(numbers.operand_batching_dims),
        ints(numbers.scatter_indices_batching_dims), ints(numbers.scatter_dims_to_operand_dims),
    )  # fmt: skip


def _scattered(operand, indices, updates, numbers, combine, unique, mode):
    mode = "clip" if GatherScatterMode.from_any(mode) is GatherScatterMode.CLIP else "drop"
    return p.scatter(
        operand, indices, updates, places=_places(numbers), combine=combine, mode=mode, unique=bool(unique)
    )


scatter, scatter_add, scatter_sub, scatter_mul, scatter_min, scatter_max = (
    _scatter(f"scatter_{combine}" if combine != "set" else "scatter", combine)
    for combine in ("set", "add", "sub", "mul", "min", "max")
)


def scatter_apply(operand, scatter_indices, func, dimension_numbers, *, update_shape=(), indices_are_sorted=False,
                  unique_indices=False, mode=None):  # fmt: skip
    """The operand, where each element that scatter_indices address is func of itself, as often as it is addressed.

    update_shape: that of the updates of a scatter with these dimension_numbers. Reverse mode needs unique_indices.
    """
    operand, indices = as_array(operand, "scatter_apply", 0), _indices("scatter_apply", scatter_indices)
    shape = ints(update_shape) if update_shape else indices.shape[:-1]
    filled = lambda value, shape: s.broadcast_in_dim(
        e.convert_to(number(value, indices), dt.int32), shape=shape, axes=()
    )
    blank, ones = filled(0, operand.shape), filled(1, shape)
    count = _scattered(blank, indices, ones, dimension_numbers, "add", unique_indices, mode)
    zero = number(0, count)
    if unique_indices:
        return e.select(e.gt(count, zero), func(operand), operand)

    def step(state):
        left, x = state
        changed = e.select(e.gt(left, zero), func(x), x)
        return e.sub(left, number(1, left)), changed

    everywhere = tuple(range(count.ndim))
    more = lambda state: e.gt(reduce_max(state[0], axes=everywhere), zero)
    with face(True):
        return while_loop(more, step, (count, operand))[1]


__all__ = [
    "dynamic_index_in_dim", "dynamic_slice", "dynamic_slice_in_dim", "dynamic_update_index_in_dim",
    "dynamic_update_slice", "dynamic_update_slice_in_dim", "gather", "index_take", "scatter", "scatter_add",
    "scatter_apply", "scatter_max", "scatter_min", "scatter_mul", "scatter_sub",
]  # fmt: skip
