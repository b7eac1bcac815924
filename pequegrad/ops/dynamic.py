"""Slices at computed places and the bits of values, with the signatures of jax.lax."""

import operator

import numpy as np

from ..core import dtype as dtypes
from ..core.dtype import dt, is_integer
from ..core.errors import DtypeError, ShapeError
from ..core.tensor import Tensor
from ..primitives import dynamic as p
from ..primitives import elementwise as e
from ..primitives import representation
from ..primitives.base import number
from ..primitives.shape import reshape_to
from .creation import as_tensor
from .indexing import getitem
from .shape import normalize_axis


def dynamic_slice(operand, start_indices, slice_sizes):
    """operand[start : start + size] on every axis; the starts may be computed.

    start_indices: one int or 0-d integer tensor per axis, or a 1-d integer tensor. Negative ones count from the end; then
    they are clamped so that the slice lies within the operand. slice_sizes: one int per axis.
    """
    operand = as_tensor(operand)
    sizes = tuple(operator.index(n) for n in slice_sizes)
    if len(sizes) != operand.ndim:
        raise ShapeError(f"dynamic_slice: {len(sizes)} slice_sizes for {operand._node.aval}.", fix="one per axis.")
    return p.dynamic_slice(operand, *_starts("dynamic_slice", operand, start_indices), sizes=sizes)


def dynamic_update_slice(operand, update, start_indices):
    """operand with `update`, which has as many axes, at the starts: see dynamic_slice."""
    operand = as_tensor(operand)
    update = e.convert_to(as_tensor(update, operand.device), operand.dtype)
    return p.dynamic_update_slice(operand, update, *_starts("dynamic_update_slice", operand, start_indices))


def dynamic_slice_in_dim(operand, start_index, slice_size, axis=0):
    """operand[start_index : start_index + slice_size] on one axis."""
    operand = as_tensor(operand)
    axis = normalize_axis(axis, operand.ndim, "dynamic_slice_in_dim")
    sizes = tuple(slice_size if i == axis else n for i, n in enumerate(operand.shape))
    return dynamic_slice(operand, _at_axis(start_index, axis, operand.ndim), sizes)


def dynamic_index_in_dim(operand, index, axis=0, keepdims=True):
    """The part of the operand at one position of `axis`; the axis stays, with size 1, unless keepdims is False."""
    operand = as_tensor(operand)
    axis = normalize_axis(axis, operand.ndim, "dynamic_index_in_dim")
    out = dynamic_slice_in_dim(operand, index, 1, axis)
    return out if keepdims else reshape_to(out, operand.shape[:axis] + operand.shape[axis + 1 :])


def dynamic_update_slice_in_dim(operand, update, start_index, axis):
    """operand with `update`, which has as many axes, at start_index of one axis."""
    operand = as_tensor(operand)
    axis = normalize_axis(axis, operand.ndim, "dynamic_update_slice_in_dim")
    return dynamic_update_slice(operand, update, _at_axis(start_index, axis, operand.ndim))


def dynamic_update_index_in_dim(operand, update, index, axis):
    """operand with `update` at one position of `axis`; the update has size 1 there, or lacks that axis."""
    operand, update = as_tensor(operand), as_tensor(update)
    axis = normalize_axis(axis, operand.ndim, "dynamic_update_index_in_dim")
    if update.ndim == operand.ndim - 1:
        update = reshape_to(update, update.shape[:axis] + (1,) + update.shape[axis:])
    return dynamic_update_slice_in_dim(operand, update, index, axis)


def _at_axis(start, axis, ndim):
    return tuple(start if i == axis else 0 for i in range(ndim))


def _starts(name, operand, starts):
    """One 0-d tensor per axis of the operand, counted from the front."""
    if isinstance(starts, (Tensor, np.ndarray)):
        starts = as_tensor(starts, operand.device)
        if starts.ndim != 1:
            raise ShapeError(
                f"{name}: start_indices {starts._node.aval} must have one axis.", fix="one start per axis."
            )
        starts = [getitem(starts, i) for i in range(starts.shape[0])]
    if len(starts) != operand.ndim:
        raise ShapeError(f"{name}: {len(starts)} start_indices for {operand._node.aval}.", fix="give one per axis.")
    return [_start(name, start, n, operand.device) for start, n in zip(starts, operand.shape)]


def _start(name, start, size, device):
    if isinstance(start, (int, np.integer)) and not isinstance(start, bool):
        start = min(max(start + size if start < 0 else start, 0), size)  # what is beyond is clamped anyway
        return as_tensor(np.asarray(start, dt.int32 if size < 2**31 else dt.int64), device)
    start = as_tensor(start, device)
    if not is_integer(start.dtype):
        raise DtypeError(
            f"{name}: the start {start._node.aval} must be an integer.", fix="convert it: astype(dt.int32)."
        )
    if start.dtype.kind == "u":
        return start
    wide = start if start.dtype.itemsize >= 4 else e.convert_to(start, dt.int32)
    wide = e.convert_to(wide, dt.int64) if size >= 2**31 else wide
    return e.select(e.lt(wide, number(0, wide)), e.add(wide, number(size, wide)), wide)


def bitcast_convert_type(operand, new_dtype):
    """The bits of the operand as another dtype: a smaller one adds a last axis, a larger one consumes it."""
    return representation.bitcast_convert(as_tensor(operand), dtype=dtypes.canonical(new_dtype))


def copy(x):
    """x in memory of its own, dense and row-major."""
    return representation.copy(as_tensor(x))
