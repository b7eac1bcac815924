"""Elements at places: gather, scatter, and those whose number depends on data."""

import math

import numpy as np

import pequegrad as pg

from ...core.errors import ArgumentError, ShapeError
from ..registry import OWN, op
from ..values import known, outside, tensor

# ---- reading -----------------------------------------------------------------------------------------------


@op("Gather", either=("indices",), weights=("data",))
def gather(data, indices, *, axis=0):
    axis = axis % max(1, data.ndim)
    if isinstance(indices, np.ndarray):
        if not indices.ndim:
            return data[(slice(None),) * axis + (int(indices),)]
        indices = tensor(indices, data)
    return pg.take(data, indices, axis=axis)


@op("GatherElements", since=11)
def gather_elements(data, indices, *, axis=0):
    axis = axis % data.ndim
    sizes = [n if a == axis else m for a, (n, m) in enumerate(zip(data.shape, indices.shape))]
    return pg.take_along_axis(data[tuple(map(slice, sizes))], indices, axis)


@op("GatherND", since=11)
def gather_nd(data, indices, *, batch_dims=0):
    return data[_columns(indices, batch_dims)]


def _columns(indices, batch_dims=0):
    """The index of x for rows of indices; the first axes of both belong together."""
    around = [_along(n, axis, indices.ndim - 1) for axis, n in enumerate(indices.shape[:batch_dims])]
    return (*around, *(indices[..., i] for i in range(indices.shape[-1])))


def _along(n, axis, ndim):
    """0, 1, ... along one of ndim axes."""
    return pg.reshape(pg.arange(n, dtype="int64"), tuple(n if a == axis else 1 for a in range(ndim)))


# ---- writing -----------------------------------------------------------------------------------------------


def _write(data, index, updates, reduction):
    """data with updates at an index, combined with what is there."""
    method = {"none": "set", "add": "add", "mul": "multiply", "min": "min", "max": "max"}.get(reduction)
    if method is None:
        raise ArgumentError(f"The reduction {reduction!r} is unknown.", fix="none, add, mul, min or max.")
    if reduction == "mul":  # apart, the data has a derivative also where places are repeated
        return data * pg.ones_like(data).at[index].multiply(updates)
    return getattr(data.at[index], method)(updates)


@op("Scatter", since=9)
@op("ScatterElements", since=11)
def scatter_elements(data, indices, updates, *, axis=0, reduction="none"):
    axis = axis % data.ndim
    index = tuple(
        indices if a == axis else pg.broadcast_to(_along(n, a, data.ndim), indices.shape)
        for a, n in enumerate(indices.shape)
    )
    return _write(data, index, updates, reduction)


@op("ScatterND", since=11)
def scatter_nd(data, indices, updates, *, reduction="none"):
    return _write(data, _columns(indices), updates, reduction)


@op("MaskedAssignment", domain=OWN)
def masked_assignment(data, mask, number):
    """The data, with a number where the mask, of its first axes, holds: see masks.py."""
    mask = pg.reshape(mask.astype("bool"), mask.shape + (1,) * (data.ndim - mask.ndim))
    return pg.where(mask, pg.reshape(number, ()), data)


@op("TensorScatter", since=24)
def tensor_scatter(past_cache, update, write_indices=None, *, axis=-2, mode="linear"):
    """The cache with `update` along `axis` from write_indices[b] on, in example b; "circular" goes on at the start."""
    if mode not in ("linear", "circular"):
        raise ArgumentError(f"TensorScatter: the mode {mode!r} is unknown.")
    cache, update = pg.moveaxis(past_cache, axis, 1), pg.moveaxis(update, axis, 1)
    places = _along(update.shape[1], 1, 2)
    if write_indices is not None:
        places = places + pg.expand_dims(write_indices.astype("int64"), 1)
    if mode == "circular":
        places = places % cache.shape[1]
    return pg.moveaxis(cache.at[_along(cache.shape[0], 0, 2), places].set(update), 1, axis)


@op("OneHot", since=9, known=("depth",))
def one_hot(indices, depth, values, *, axis=-1):
    """values: [off, on]; of indices that are none all are off."""
    depth = int(np.asarray(depth).reshape(()))
    indices = pg.expand_dims(indices.astype("int64"), axis)
    places = _along(depth, axis % indices.ndim, indices.ndim)
    return pg.where(pg.where(indices < 0, indices + depth, indices) == places, values[1], values[0])


# ---- order -------------------------------------------------------------------------------------------------


@op("TopK")
def topk_1(x, *, k, axis=-1):
    return topk(x, k, axis=axis)


@op("TopK", since=10, known=("k",))
def topk(x, k, *, axis=-1, largest=1, sorted=1):
    k = int(np.asarray(k).reshape(()))
    if not 0 <= k <= x.shape[axis]:
        raise ShapeError(f"TopK: there are {x.shape[axis]} elements along axis {axis}, not {k}.")
    if largest:
        values, places = pg.topk(x, k, axis)
        return values, places.astype("int64")
    first = (slice(None),) * (axis % x.ndim) + (slice(0, k),)
    places = pg.argsort(x, axis)[first]
    return pg.take_along_axis(x, places, axis), places.astype("int64")


@op("ReverseSequence", since=10)
def reverse_sequence(x, sequence_lens, *, batch_axis=1, time_axis=0):
    """The first sequence_lens[b] steps of example b in reverse order."""
    if {batch_axis, time_axis} != {0, 1}:
        raise ArgumentError(f"ReverseSequence: the axes are 0 and 1, not {batch_axis} and {time_axis}.")
    rows = x if time_axis == 0 else pg.swapaxes(x, 0, 1)
    times = _along(rows.shape[0], 0, 2)
    lengths = sequence_lens.astype("int64")
    rows = rows[pg.where(times < lengths, lengths - 1 - times, times), _along(rows.shape[1], 1, 2)]
    return rows if time_axis == 0 else pg.swapaxes(rows, 0, 1)


# ---- results whose size depends on data --------------------------------------------------------------------


def true_places(mask):
    """The places (int64) of the true elements of a 1-d mask; how many there are is read."""
    count = int(known(pg.sum(mask, dtype="int64"), "How many elements are true"))
    places = pg.cumsum(mask, 0, dtype="int64") - 1
    target = pg.where(mask, places, count)
    numbers = pg.arange(mask.shape[0], dtype="int64")
    return pg.zeros((count,), "int64").at[target].set(numbers, mode="drop")


@op("NonZero", since=9, reads=("x",))
def nonzero(x):
    """[axes, elements that are not zero]"""
    shape = x.shape or (1,)
    places = true_places(pg.reshape(tensor(x), (-1,)) != 0)
    columns = []
    for n in reversed(shape):
        columns.append(places % max(1, n))
        places = pg.floor_divide(places, max(1, n))
    return pg.stack(columns[::-1])


@op("Compress", since=9, reads=("condition",))
def compress(x, condition, *, axis=None):
    if axis is None:
        x, axis = pg.reshape(x, (-1,)), 0
    with outside():
        places = known(true_places(tensor(condition)), "The number of elements that Compress keeps")
    return pg.take(x, tensor(places, x), axis=axis)


@op("Unique", since=11, deciding=lambda node: {0})
def unique(x, *, axis=None, sorted=1):
    """(the different elements, or slices along axis; where each is first; which of them each is; how many of each)"""
    rows = lambda x: pg.reshape(x, (-1, 1)) if axis is None else pg.moveaxis(x, axis, 0)
    with outside():  # places have no derivatives; values are gathered from x, and have
        places = _groups(rows(tensor(known(x, "Input 'x' of Unique"))), sorted)
    first, inverse, counts = (tensor(p, x) for p in places)
    values = pg.take(rows(x), first, axis=0)
    values = pg.reshape(values, (-1,)) if axis is None else pg.moveaxis(values, 0, axis)
    return values, first, inverse, counts


def _groups(rows, in_order):
    """Of rows that are readable: (where each different row is first, which of them each is, how many of each)."""
    n = rows.shape[0]
    flat = pg.reshape(rows, (n, math.prod(rows.shape[1:])))
    order = pg.lexsort([flat[:, i] for i in reversed(range(flat.shape[1]))]).astype("int64")
    ordered = pg.take(flat, order, axis=0)
    differs = pg.any(ordered[1:] != ordered[:-1], axis=1)
    starts = pg.concatenate([pg.full((min(1, n),), True, "bool"), differs])
    group = pg.cumsum(starts, 0, dtype="int64") - 1
    first = pg.take(order, true_places(starts), axis=0)
    inverse = pg.zeros((n,), "int64").at[order].set(group)
    if not in_order:
        turned = pg.argsort(first).astype("int64")
        rank = pg.zeros(first.shape, "int64").at[turned].set(pg.arange(first.shape[0], dtype="int64"))
        first, inverse = pg.take(first, turned, axis=0), pg.take(rank, inverse, axis=0)
    counts = pg.zeros(first.shape, "int64").at[inverse].add(pg.ones((n,), "int64"))
    return known(first, "first"), known(inverse, "inverse"), known(counts, "counts")
