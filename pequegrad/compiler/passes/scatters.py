"""Scatter into rows that get one update each becomes a choice per element, which fuses with what is done to the rows.

The derivative of take_along_axis with one index per row (of a loss that picks the score of the right class) is such a
scatter: select(position == index, combine(x, update), x). It is done only where x is computed elementwise (or a number): x
from memory is better written in place.
"""

from ...core.dtype import dt
from ...primitives import elementwise as e
from ...primitives import shape as s
from .rewriting import is_elementwise, local_pass

_COMBINE = {"add": e.add, "mul": e.mul, "min": e.min_, "max": e.max_}


def one_per_row(b, spec, inputs):
    x, indices, updates = inputs
    params, places = spec.params, spec.params["places"]
    if not _is_computed(x) or not x.aval.size or indices.aval.dtype == dt.uint64:  # no dtype holds those and -1
        return None
    found = _axes(b, x, indices, updates, places)
    if found is None:
        return None
    axis, index, columns = found
    index = _position(b, index, x.aval.shape[axis])
    if params["mode"] == "clip":
        last = b.number(x.aval.shape[axis] - 1, index.aval)
        index = b.make(e.clamp, b.number(0, index.aval), index, last)
    index = _as_column(b, index, columns, x.aval, axis)
    update = _as_column(b, updates, _update_axes(x, updates, places, columns), x.aval, axis)
    line = b.make(s.iota, shape=(x.aval.shape[axis],), dtype=index.aval.dtype, axis=0, device=x.aval.device)
    line = b.broadcast(line, x.aval.shape, (axis,))
    combine = _COMBINE.get(params["combine"])
    value = update if combine is None else b.make(combine, x, update)
    return b.spread(b.make(e.select, b.make(e.eq, line, index), value, x), x.aval.shape)


def _is_computed(x):
    return x.spec.primitive.name == "broadcast_in_dim" or is_elementwise(x.spec.primitive)


def _axes(b, x, indices, updates, places):
    """(the axis that is indexed, the index for each place, the axis of x for each axis of the places).

    None if the other axes of x do not each run along one axis of the places, or through a whole window. Axes of
    the places that have size 1 and belong to no axis of x are None.
    """
    shape = x.aval.shape
    gone = places.collapsed + places.batch
    windows = [i for i in range(len(shape)) if i not in gone]
    if any(updates.aval.shape[u] != shape[i] for u, i in zip(places.window, windows)):
        return None
    if any(axis in windows for axis in places.index_map):  # a window of full size fits at 0 only
        return None
    columns = [None] * (indices.aval.ndim - 1)
    for i, place in zip(places.batch, places.indices_batch):
        columns[place] = i
    computed = []
    for k, axis in enumerate(places.index_map):
        index = component(b, indices, k)
        along = None if index is None else runs_along(index, shape[axis])
        if along is None or columns[along] is not None:
            computed.append((axis, index))
        else:
            columns[along] = axis
    if len(computed) != 1 or computed[0][1] is None:
        return None
    if any(c is None and n != 1 for c, n in zip(columns, indices.aval.shape)):
        return None
    if {*windows, computed[0][0], *(c for c in columns if c is not None)} != set(range(len(shape))):
        return None
    return *computed[0], columns


def component(b, indices, k):
    """The k-th number of each index vector as an array without the last axis; None if that needs a computation."""
    shape = indices.aval.shape[:-1]
    if indices.aval.shape[-1] == 1:
        return b.reshape(indices, shape)
    if indices.spec.primitive.name == "concatenate" and indices.spec.params["axis"] == len(shape):
        if all(part.aval.shape[-1] == 1 for part in indices.inputs):
            return b.reshape(indices.inputs[k], shape)
    return None


def runs_along(index, size):
    """The axis along which these indices are 0, 1, ... size - 1, or None."""
    node, axes = index, range(index.aval.ndim)
    if node.spec.primitive.name == "broadcast_in_dim":
        node, axes = node.inputs[0], node.spec.params["axes"]
    if node.spec.primitive.name != "iota" or node.aval.size != size:
        return None
    return axes[node.spec.params["axis"]]


def _position(b, index, size):
    """The index in a dtype that holds all positions and all indices: in a narrow one they would wrap around."""
    dtype = index.aval.dtype
    large = size > 2**31 - 1 or dtype == dt.uint32
    if dtype == dt.int64 or (dtype == dt.int32 and not large):
        return index
    return b.make(e.convert, index, dtype=dt.int64 if large else dt.int32, weak_type=False)


def _update_axes(x, updates, places, columns):
    """For each axis of the updates the axis of x along which it runs, or None."""
    gone = places.collapsed + places.batch
    windows = iter([i for i in range(x.aval.ndim) if i not in gone])
    others = iter(columns)
    return [next(windows if u in places.window else others) for u in range(updates.aval.ndim)]


def _as_column(b, values, axes, aval, axis):
    """`values`, whose axes run along `axes` of an array, as an array that broadcasts against it; size 1 on `axis`."""
    kept = [a for a in axes if a is not None]
    values = b.reshape(values, tuple([n for n, a in zip(values.aval.shape, axes) if a is not None]))
    values = b.transpose(values, tuple(sorted(range(len(kept)), key=kept.__getitem__)))
    sizes = [1] * aval.ndim
    for a in kept:
        sizes[a] = aval.shape[a]
    return b.reshape(values, tuple(sizes))


RULES = {"scatter": [one_per_row]}
scatters = local_pass(RULES)
