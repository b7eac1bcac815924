"""Primitives that move elements."""

import math

import numpy as np

from .sizes import Varying, fixed
from .writer import LARGEST_CONSTANT, LAST, Unsupported, rule


@rule("reshape")
def reshape(w, x, *, shape):
    return _with_axes_kept(w, x, shape) or w.reshape(x, shape)


def _with_axes_kept(w, x, shape):
    """The name of x with its axes of size 1 given back, where a Squeeze or a reduction took them; else None."""
    record = w.producer(x)
    reduced = record and w.uses[x] == 1 and record.attributes.get("keepdims") == 0
    if record is None or not (reduced or record.op == "Squeeze") or len(record.inputs) < 2:
        return None
    axes = w.shared.arrays.get(record.inputs[1])
    if axes is None or len(shape) != x.ndim + len(axes):
        return None
    sizes = list(x.shape)
    for axis in sorted(axes.tolist()):
        sizes.insert(axis, 1)
    if tuple(sizes) != tuple(shape):
        return None
    if record.op == "Squeeze":
        return record.inputs[0]
    del record.attributes["keepdims"]
    return w.names[x]


@rule("transpose")
def transpose(w, x, *, permutation):
    return w.transpose(x, permutation)


@rule("broadcast_in_dim")
def broadcast_in_dim(w, x, *, shape, axes):
    with_ones = [1] * len(shape)
    for n, a in zip(x.shape, axes):
        with_ones[a] = n
    found = w.reshape(x, with_ones)
    return found if tuple(with_ones) == tuple(shape) else w.expand(found, shape)


@rule("slice")
def slice_(w, x, *, start, limit, step):
    axes = [i for i, n in enumerate(x.shape) if not (start[i] == 0 and limit[i] == n and step[i] == 1)]
    if not axes:
        return x
    ends = [LAST if limit[i] == x.shape[i] else _from_end(limit[i], x.shape[i]) for i in axes]
    steps = [step[i] for i in axes]
    starts, ends = w.shape([_from_end(start[i], x.shape[i]) for i in axes]), w.shape(ends)
    return w.slice(x, starts, ends, axes, None if all(s == 1 for s in steps) else steps)


def _from_end(place, n):
    """A place k before the end of a free axis as -k: where the axis is shorter, runtimes then begin at 0, as Python does."""
    before = n - place if isinstance(place, Varying) else None
    return -before if isinstance(before, int) and before > 0 else place


@rule("rev")
def rev(w, x, *, axes):
    n = len(axes)
    return x if not n else w.slice(x, [-1] * n, [-LAST] * n, list(axes), [-1] * n)


@rule("concatenate")
def concatenate(w, *xs, axis):
    return joined(w, xs, axis)


def joined(w, parts, axis):
    """Concat, or what these are all parts of."""
    names = list(map(w.name_of, parts))
    record = w.producer(names[0])
    if record is not None and record.op == "Split" and (record.outputs, record.attributes["axis"]) == (names, axis):
        return record.inputs[0]
    return w("Concat", *names, axis=axis) if len(names) > 1 else names[0]


@rule("pad")
def pad(w, x, value, *, low, high, interior):
    name, shape = x, list(x.shape)
    for axis, gap in enumerate(interior):
        if gap:
            name = spread(w, name, shape, axis, gap, value)
            shape[axis] += (shape[axis] - 1) * gap
    return padded(w, name, value, low, high)


def padded(w, x, value, low, high):
    """x with numbers around it; negative ones remove elements."""
    n = len(low)
    cut = [(max(-a, 0), max(-b, 0)) for a, b in zip(low, high)]
    if any(a or b for a, b in cut):
        axes = [i for i, (a, b) in enumerate(cut) if a or b]
        x = w.slice(x, [cut[i][0] for i in axes], [-cut[i][1] if cut[i][1] else LAST for i in axes], axes)
    low, high = [max(a, 0) for a in low], [max(b, 0) for b in high]
    if not any(low) and not any(high):
        return x
    axes = [i for i in range(n) if low[i] or high[i]]
    return w("Pad", x, [*(low[i] for i in axes), *(high[i] for i in axes)], value, axes)


def spread(w, x, shape, axis, gap, value):
    """x with `gap` values between neighbours on an axis."""
    if isinstance(shape[axis], Varying):
        raise Unsupported("gaps along a free axis")
    apart = w.reshape(x, [*shape[: axis + 1], 1, *shape[axis + 1 :]])
    filled = w("Pad", apart, [0, gap], value, [axis + 1])
    flat = w.reshape(filled, [*shape[:axis], shape[axis] * (gap + 1), *shape[axis + 1 :]])
    return w.slice(flat, [0], [-gap], [axis])


@rule("iota")
def iota(w, *, shape, dtype, axis, device):
    dtype = w.out.dtype
    n = shape[axis]
    if isinstance(n, Varying) or n > LARGEST_CONSTANT:
        row = w("Range", w.constant(np.int64(0)), w.number_of(n), w.constant(np.int64(1)))
        row = row if dtype == np.int64 else w.cast(row, dtype)
    else:
        row = w.constant(np.arange(n).astype(dtype))
    row = w.reshape(row, [n if i == axis else 1 for i in range(len(shape))]) if len(shape) > 1 else row
    return row if len(shape) == 1 else w.expand(row, shape)


@rule("slice_update")
def slice_update(w, x, update, *, start, step):
    return _updated(w, x, x.shape, update, update.shape, start, step, 0)


def _updated(w, x, shape, update, sizes, start, step, axis):
    """What lies before the part along an axis, the part, updated along the axes behind, and what lies after it."""
    while axis < len(shape) and sizes[axis] == shape[axis]:
        axis += 1
    if axis == len(shape):
        return update
    n, count, first, s = shape[axis], sizes[axis], start[axis], step[axis]
    s = 1 if count == 1 else s
    end = first + (count - 1) * s + 1
    cut = lambda a, b, by=None: w.slice(
        x, w.shape([_from_end(a, n)]), [LAST if b == n else _from_end(b, n)], [axis], by
    )
    part_shape = [count if i == axis else m for i, m in enumerate(shape)]
    update = _updated(w, cut(first, end, None if s == 1 else [s]), part_shape, update, sizes, start, step, axis + 1)
    if s != 1:
        if fixed((count, first)):
            places = w.constant(first + s * np.arange(count))
        else:
            places = w("Add", w("Mul", counted(w, count), w.constant(np.int64(s))), w.number_of(first))
        places = w.reshape(places, [count if i == axis else 1 for i in range(len(shape))])
        return w("ScatterElements", x, w.expand(places, part_shape), update, axis=axis)
    parts = [update]
    if first != 0:
        parts.insert(0, cut(0, first))
    if end != n:
        parts.append(cut(end, n))
    return w("Concat", *parts, axis=axis)


@rule("dynamic_slice")
def dynamic_slice(w, x, *starts, sizes):
    """Gather: its shape is known, as that of a Slice from a computed place is not."""
    found = x
    for axis, (n, size) in enumerate(zip(x.shape, sizes)):
        if size != n:
            first = _first(w, starts[axis], n - size)
            found = w("Gather", found, first if size == 1 else w("Add", first, counted(w, size)), axis=axis)
    return found


def counted(w, n):
    """0 ... n - 1, int64."""
    if not isinstance(n, Varying):
        return w.constant(np.arange(n))
    return w("Range", w.constant(np.int64(0)), w.number_of(n), w.constant(np.int64(1)))


def _first(w, start, last):
    """A start as int64[1], from 0 to `last`."""
    if isinstance(last, int) and (last == 0 or isinstance(start.data, (int, np.ndarray))):
        return w.constant(np.array([min(max(int(start.data or 0), 0), last)], np.int64))
    start = w.reshape(w.cast(start, np.int64), (1,))
    return w("Min", w("Max", start, [0]), w.size(last))


@rule("dynamic_update_slice")
def dynamic_update_slice(w, x, update, *starts):
    from .indexing import written

    partly = [a for a, (n, m) in enumerate(zip(x.shape, update.shape)) if n != m]
    if not partly:
        return update
    places = lambda a: w("Add", _first(w, starts[a], x.shape[a] - update.shape[a]), counted(w, update.shape[a]))
    along = lambda a, name: w.reshape(name, [-1 if i == a else 1 for i in range(x.ndim)]) if x.ndim > 1 else name
    if len(partly) == 1:
        (axis,) = partly
        if update.shape[axis] == 1:
            here = w("Equal", along(axis, counted(w, x.shape[axis])), _first(w, starts[axis], x.shape[axis] - 1))
            return w.where(here, update, x, x.dtype)
        return w("ScatterElements", x, w.expand(along(axis, places(axis)), update.shape), update, axis=axis)
    if not fixed(x.shape):
        raise Unsupported("several free axes")
    total = None
    for a, n in enumerate(x.shape):
        stride = w.constant(np.int64(math.prod(x.shape[a + 1 :])))
        term = w("Mul", along(a, places(a) if a in partly else w.constant(np.arange(n))), stride)
        total = term if total is None else w("Add", total, term)
    return written(w, x, w.reshape(total, (-1,)), update, "none")
