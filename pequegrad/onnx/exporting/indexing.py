"""gather and scatter: Gather and GatherElements where they are those, else positions in the flat array."""

import math

import numpy as np

from .shapes import counted
from .sizes import Varying, fixed
from .writer import rule


@rule("gather")
def gather(w, x, indices, *, places, sizes, mode):
    index_shape = indices.shape[:-1]
    if _is_take(x, places, sizes, mode):
        axis = places.index_map[0]
        inside = [i for i in range(w.out.ndim) if i in places.window]
        outside = [i for i in range(w.out.ndim) if i not in places.window]
        known = _inside(indices, x.shape[axis])
        if known is not None:
            rows, mode = w.constant(known.reshape(index_shape)), "clip"
        else:
            rows = _clipped(w, w.reshape(w.cast(indices, np.int64), index_shape), x.shape[axis], mode)
        found = w("Gather", x, rows, axis=axis)  # axes before, those of the indices, axes after
        order = [*inside[:axis], *outside, *inside[axis:]]
        found = w.transpose(found, tuple(int(i) for i in np.argsort(order)))
        return found if mode == "clip" else _filled(w, found, indices, places, x, sizes, mode)
    positions = _positions(w, x, indices, places, sizes, w.out.shape)
    flat = w.reshape(x, (math.prod(x.shape),))
    found = w("Gather", flat, positions, axis=0)
    return found if mode == "clip" else _filled(w, found, indices, places, x, sizes, mode)


def _is_take(x, places, sizes, mode):
    """True for whole rows along one axis: x[:, i]."""
    if len(places.index_map) != 1 or places.batch:
        return False
    (axis,) = places.index_map
    return places.collapsed == (axis,) and all(s == n for i, (s, n) in enumerate(zip(sizes, x.shape)) if i != axis)


def _inside(indices, n):
    """Indices that are constants within an axis of n elements, int64; else None."""
    if not isinstance(indices.data, (np.ndarray, int)) or isinstance(n, Varying):
        return None
    found = np.broadcast_to(np.asarray(indices.data, np.int64), indices.shape)
    return np.ascontiguousarray(found) if found.size and 0 <= found.min() and found.max() < n else None


def _clipped(w, rows, n, mode):
    """Indices within an axis of n elements."""
    last = w.number_of(n - 1)
    return w("Min", w("Max", rows, w.constant(np.int64(0))), last)


def _component(w, indices, i):
    """The i-th component of index vectors, int64, without the last axis."""
    return w("Gather", w.cast(indices, np.int64), w.constant(np.int64(i)), axis=indices.ndim - 1)


def _outside_axes(places, ndim):
    return [i for i in range(ndim) if i not in places.window]


def _positions(w, x, indices, places, sizes, shape):
    """Where the elements of the windows, arranged as `shape`, lie in x.reshape(-1)."""
    ndim = len(shape)
    outside = _outside_axes(places, ndim)
    strides = [math.prod(x.shape[a + 1 :]) for a in range(x.ndim)]
    lifted = [1] * ndim
    for axis in outside:
        lifted[axis] = shape[axis]
    total = None
    for i, axis in enumerate(places.index_map):
        start = _component(w, indices, i)
        last = x.shape[axis] - sizes[axis]
        start = w("Min", w("Max", start, w.constant(np.int64(0))), w.number_of(last))
        term = w("Mul", start, w.number_of(strides[axis]))
        total = term if total is None else w("Add", total, term)
    if total is not None:
        total = w.reshape(total, lifted)
    kept = [a for a in range(x.ndim) if a not in places.collapsed and a not in places.batch]
    steps = [(out, sizes[axis], strides[axis]) for axis, out in zip(kept, sorted(places.window))]
    steps += [(outside[i], x.shape[axis], strides[axis]) for axis, i in zip(places.batch, places.indices_batch)]
    offsets = np.zeros([1] * ndim, np.int64)
    for out, count, stride in steps:
        along = [-1 if i == out else 1 for i in range(ndim)]
        if fixed((count, stride)):
            offsets = offsets + (np.arange(count) * stride).reshape(along)
        elif not isinstance(count, int) or count > 1:
            term = w.reshape(w("Mul", counted(w, count), w.number_of(stride)), along)
            total = term if total is None else w("Add", total, term)
    if total is None:
        return w.expand(w.constant(offsets), shape)
    return w("Add", total, w.constant(offsets)) if offsets.any() or offsets.shape != (1,) * ndim else total


def _fits(w, x, indices, places, sizes, ndim):
    """For each window whether it lies within x, with axes of size 1 for the windows' own."""
    fits = None
    for i, axis in enumerate(places.index_map):
        start = _component(w, indices, i)
        low = w("GreaterOrEqual", start, w.constant(np.int64(0)))
        high = w("LessOrEqual", start, w.number_of(x.shape[axis] - sizes[axis]))
        both = w("And", low, high)
        fits = both if fits is None else w("And", fits, both)
    inside = sorted(places.window)
    return w("Unsqueeze", fits, inside) if inside else fits


def _filled(w, found, indices, places, x, sizes, mode):
    if mode == "zero" or x.dtype.kind == "b":
        value = 0
    elif x.dtype.kind == "i":
        value = np.iinfo(x.dtype).min
    elif x.dtype.kind == "u":
        value = np.iinfo(x.dtype).max
    else:
        value = np.nan
    return w.where(_fits(w, x, indices, places, sizes, w.out.ndim), found, w.number(value, x), x.dtype)


@rule("scatter")
def scatter(w, x, indices, updates, *, places, combine, mode, unique):
    kept = [a for a in range(x.ndim) if a not in places.collapsed and a not in places.batch]
    sizes = [min(1, n) if isinstance(n, int) else 1 for n in x.shape]
    for axis, out in zip(kept, sorted(places.window)):
        sizes[axis] = updates.shape[out]
    positions = _positions(w, x, indices, places, sizes, updates.shape)
    if mode != "clip":  # windows that do not fit go to an element behind the last
        fits = _fits(w, x, indices, places, sizes, updates.ndim)
        positions = w("Where", fits, positions, w.number_of(math.prod(x.shape)))
    flat = w.reshape(positions, (-1,))
    return written(w, x, flat, updates, {"set": "none"}.get(combine, combine), spare=mode != "clip")


def written(w, x, positions, updates, reduction, spare=False):
    """x with updates combined with its elements at flat positions; `spare`: with one more element that is thrown away."""
    size = math.prod(x.shape)
    boolean = x.dtype.kind == "b"
    flat = w.reshape(w.cast(x, np.uint8) if boolean else x, (size,))
    values = w.reshape(w.cast(updates, np.uint8) if boolean else updates, (math.prod(updates.shape),))
    if spare:
        flat = w("Pad", flat, [0, 1], None if not boolean else w.constant(np.uint8(0)))
    found = w("ScatterElements", flat, positions, values, axis=0, reduction=reduction if reduction != "none" else None)
    found = w.slice(found, [0], [size]) if spare else found
    found = w.cast(found, bool) if boolean else found
    return w.reshape(found, x.shape)
