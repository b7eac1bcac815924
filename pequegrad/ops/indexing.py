"""x[index], x[index] = value, and what is built from gather and scatter.

Every index form of NumPy: ints, slices, None, Ellipsis, integer arrays, bool masks, and their mixtures.
Integer arrays out of range read the nearest element and are not written, as in JAX; Python ints raise.
"""

import numpy as np

from ..core.dtype import default_float, dt, is_complex, is_integer
from ..core.errors import ArgumentError, DtypeError, IndexingError, IndexShapeError, ShapeError
from ..core.node import state
from ..core.tensor import Tensor
from ..primitives import elementwise as e
from ..primitives import indexing as p
from ..primitives import reduction as r
from ..primitives import shape as s
from ..primitives.base import number
from .arithmetic import new_handle, promoted
from .creation import as_tensor
from .shape import broadcast_to, concatenate, expand_dims, normalize_axis

# ---- what an index means -----------------------------------------------------------------------------


_GAP = object()  # an Ellipsis that stands for no axes


class _Plan:
    """An index in three steps: a strided slice with reversals, a gather along some axes, a final shape.

    start, limit, step: per axis of x; reversed: the axes to reverse. arrays: (axis, integer tensor) pairs.
    layout: the result's axes as ("kept", axis of x), ("new",) or ("arrays",), the arrays' common shape.
    """

    def __init__(self, x, index):
        index = index if isinstance(index, tuple) else (index,)
        index = [self._item(i, x) for i in index]
        consumed = sum(map(_axes_of, index))
        if consumed > x.ndim:
            raise IndexingError(f"{consumed} indices for an array with {x.ndim} axes, {x._node.aval}.")
        ellipses = [k for k, item in enumerate(index) if item is Ellipsis]
        if len(ellipses) > 1:
            raise IndexingError("An index can have only one Ellipsis (...).")
        at = ellipses[0] if ellipses else len(index)
        # an Ellipsis of no axes still separates arrays
        index[at : at + 1] = [slice(None)] * (x.ndim - consumed) or ([_GAP] if ellipses else [])
        index = self._expand_masks(index, x)

        self.start, self.limit, self.step, self.reversed = [], [], [], []
        self.arrays, self.layout = [], []
        has_arrays = any(isinstance(i, Tensor) for i in index)
        array_places = []
        axis = 0
        for item in index:
            if item is None or item is _GAP:
                self.layout.append(("new",) if item is None else ("gap",))
                continue
            n = x.shape[axis]
            if isinstance(item, slice):
                self._slice(item, n, axis)
                self.layout.append(("kept", axis))
            elif isinstance(item, Tensor) or has_arrays:  # beside arrays an int is an array, too
                array_places.append(len(self.layout))
                self.layout.append(("array",))
                if isinstance(item, int):
                    item = as_tensor(np.int32(self._integer(item, n, axis)), x.device)
                self.arrays.append((axis, item))
                self._span(0, n, 1)
            else:
                item = self._integer(item, n, axis)
                self._span(item, item + 1, 1)
            axis += 1
        if array_places:  # NumPy: in place if the arrays are adjacent, else in front
            adjacent = array_places[-1] - array_places[0] == len(array_places) - 1
            before = [entry for entry in self.layout[: array_places[0]] if entry != ("gap",)]
            where = len(before) if adjacent else 0
            rest = [entry for entry in self.layout if entry not in (("array",), ("gap",))]
            rest.insert(where, ("arrays",))
            self.layout = rest
        else:
            self.layout = [entry for entry in self.layout if entry != ("gap",)]

    def _item(self, item, x):
        if item is None or item is Ellipsis or isinstance(item, slice):
            return item
        if isinstance(item, (bool, np.bool_)):
            return as_tensor(np.asarray(item), x.device)
        if isinstance(item, (int, np.integer)):
            return int(item)
        if isinstance(item, (list, np.ndarray)):
            item = np.asarray(item)
            if not item.size and item.dtype.kind == "f":  # np.asarray([])
                item = item.astype(np.int32)
            item = as_tensor(item, x.device)
        if not isinstance(item, Tensor) or not (item.dtype.kind == "b" or is_integer(item.dtype)):
            kind = item._node.aval if isinstance(item, Tensor) else type(item).__name__
            raise IndexingError(f"{kind} is not an index.", fix="use ints, slices, None, ..., integer or bool arrays.")
        return item

    def _expand_masks(self, index, x):
        """Bool masks become the integer arrays of their true elements (which needs their values)."""
        expanded, axis = [], 0
        for item in index:
            if not _is_mask(item):
                expanded.append(item)
                axis += _axes_of(item)
                continue
            if not item.ndim:
                raise IndexingError("A 0-d bool is not an index here.", fix="use x[None] or where().")
            sizes = x.shape[axis : axis + item.ndim]
            if any(
                n not in (0, of) for n, of in zip(item.shape, sizes)
            ):  # without elements a mask selects nothing anywhere
                raise IndexingError(
                    f"A mask of shape {list(item.shape)} does not fit {x._node.aval} at axis {axis}.",
                    fix="a mask has the shape of the axes that it selects from.",
                )
            axis += item.ndim
            mask = item._read("indexing with a bool mask")
            expanded += [as_tensor(i.astype(np.int32), item.device) for i in np.nonzero(mask)]
        return expanded

    def _integer(self, item, n, axis):
        if not -n <= item < n:
            raise IndexingError(
                f"Index {item} is out of range for axis {axis} of size {n}.", fix=f"use {-n} to {n - 1}." if n else None
            )
        return item % n

    def _slice(self, item, n, axis):
        try:
            start, stop, step = item.indices(n)
        except (TypeError, ValueError) as error:
            raise IndexingError(f"{item} is not a slice: {error}.", fix="use ints or None in slices.") from None
        count = len(range(start, stop, step))
        if step < 0:  # the same elements in ascending order, then reversed
            start, step = start + (count - 1) * step if count else 0, -step
            self.reversed.append(axis)
        if count <= 1:
            start, step = start if count else 0, 1
        self._span(start, start + (count - 1) * step + 1 if count else start, step)

    def _span(self, start, limit, step):
        self.start.append(start)
        self.limit.append(limit)
        self.step.append(step)

    def steps(self, shape):
        """(start, limit, step) of each axis; None if they keep all of an array of this shape."""
        return None if self.sliced_shape() == shape else (tuple(self.start), tuple(self.limit), tuple(self.step))

    def sliced_shape(self):
        return tuple(-(-(b - a) // c) for a, b, c in zip(self.start, self.limit, self.step))


def _is_mask(item):
    return isinstance(item, Tensor) and item.dtype.kind == "b"


def _axes_of(item):
    """How many axes of the array an item of an index stands for."""
    if item is None or item is Ellipsis or item is _GAP:
        return 0
    return item.ndim if _is_mask(item) else 1


def _index_vectors(plan, shape, wrap=True):
    """(indices with the index vector last, axes they address, their common shape); wrap: negative ones count from the end."""
    axes = tuple(axis for axis, _ in plan.arrays)
    arrays = [_wide_integers(a) for _, a in plan.arrays]
    arrays = promoted(*arrays)
    try:
        common = np.broadcast_shapes(*[a.shape for a in arrays])
    except ValueError:
        raise IndexShapeError(
            f"Index arrays of shapes {', '.join(str(list(a.shape)) for a in arrays)} do not broadcast."
        ) from None
    columns = []
    for axis, a in zip(axes, arrays):
        a = e.select(e.lt(a, 0), e.add(a, shape[axis]), a) if wrap else a
        columns.append(expand_dims(broadcast_to(a, common), -1))
    return concatenate(columns, -1), axes, common


def _wide_integers(x):
    """`x` in a signed type in which the sizes of axes fit, too."""
    if x.dtype == dt.uint64:
        x = e.min_(x, 2**63 - 1)
    return e.convert_to(x, dt.int64 if x.dtype.itemsize == 8 or x.dtype == dt.uint32 else dt.int32)


def _places(plan, ndim, axes, common):
    """The places of a gather whose result has the arrays' axes where the layout puts them."""
    before = [entry for entry in plan.layout if entry != ("new",)].index(("arrays",))
    n_window = ndim - len(axes)
    # ints beside arrays are arrays, so the axes that remain are exactly those that are not addressed
    window = tuple(range(before)) + tuple(range(before + len(common), n_window + len(common)))
    return p.Places(window=window, collapsed=axes, index_map=axes)


def _inside(indices, sizes):
    """Which index vectors address an element of axes of these sizes."""
    limits = as_tensor(np.asarray(sizes, indices.dtype), indices.device)
    return r.reduce_and(e.and_(e.ge(indices, number(0, indices)), e.lt(indices, limits)), axes=(indices.ndim - 1,))


def _result_shape(plan, sliced, common):
    shape = []
    for entry in plan.layout:
        if entry == ("new",):
            shape.append(1)
        elif entry == ("arrays",):
            shape.extend(common)
        else:
            shape.append(sliced[entry[1]])
    return tuple(shape)


# ---- reading -----------------------------------------------------------------------------------------


@new_handle
def getitem(x, index, mode="clip", fill_value=None, wrap=True):
    """x[index]: see the module's docstring. mode "fill": what integer arrays address out of range is `fill_value`; wrap: negative
    elements of theirs count from the end.
    """
    if type(index) is int and x.ndim and -x.shape[0] <= index < x.shape[0]:  # the common case
        return s.reshape(s.slice_axis(x, 0, index % x.shape[0], index % x.shape[0] + 1), shape=x.shape[1:])
    if (found := basic(x, index)) is not None:
        return found
    plan = _Plan(x, index)
    out, common = _cut(x, plan.steps(x.shape), plan.reversed), ()
    sliced = out.shape
    if plan.arrays:
        indices, axes, common = _index_vectors(plan, x.shape, wrap)
        if any(x.shape[a] == 0 for a in axes) and indices.size:
            count = indices.size // len(axes)
            raise IndexingError(f"An axis of size 0 of {x._node.aval} is indexed with {count} positions.")
        sizes = tuple(min(1, n) if i in axes else n for i, n in enumerate(sliced))
        places = _places(plan, x.ndim, axes, common)
        out = p.gather(out, indices, places=places, sizes=sizes, mode=mode)
        if mode == "fill" and fill_value is not None:
            before = next((i for i, axis in enumerate(places.window) if axis != i), len(places.window))
            inside = _inside(indices, [x.shape[a] for a in axes])
            inside = s.reshape(inside, shape=common + (1,) * (out.ndim - before - len(common)))
            out = e.select(inside, out, number(fill_value, out))
    return s.reshape_to(out, _result_shape(plan, sliced, common))


def _cut(x, steps, reversed):
    """The strided slice of x, reversed along some axes."""
    if steps is not None:
        x = s.slice_(x, start=steps[0], limit=steps[1], step=steps[2])
    return s.rev(x, axes=tuple(reversed)) if reversed else x


_BASIC = {}  # (shape, items, prepare) -> (steps, reversed, shape of the result)


@new_handle
def basic(x, index, prepare=None):
    """x[index] for an index of ints, slices, None and Ellipsis, else None. What to do is remembered for shape and index.

    prepare(x, index) gives the two in the form that getitem takes: for a face with other rules.
    """
    items = _basic_items(index)
    if items is None:
        return None
    key = x._node.aval.shape, items, prepare
    found = _BASIC.get(key)
    if found is None:
        plan = _Plan(*(prepare(x, index) if prepare else (x, index)))
        found = plan.steps(x.shape), plan.reversed, _result_shape(plan, plan.sliced_shape(), ())
        if len(_BASIC) >= 4096:
            _BASIC.clear()
        _BASIC[key] = found
    steps, reversed, shape = found
    return s.reshape_to(_cut(x, steps, reversed), shape)


def _basic_items(index):
    """The items of a basic index as a key (slices are none in every Python version); None for other indices."""
    items = []
    for item in index if type(index) is tuple else (index,):
        if type(item) is slice:
            item = item.start, item.stop, item.step
            for bound in item:
                if bound is not None and type(bound) is not int:
                    return None
        elif type(item) is not int and item is not None and item is not Ellipsis:
            return None
        items.append(item)
    return tuple(items)


# ---- writing -----------------------------------------------------------------------------------------


def update(x, index, value, combine="set", mode="drop", unique=False, wrap=True, numpy_rules=True):
    """x with x[index] replaced by, or combined with, `value`: "set", "add", "mul", "min", "max"; see At.

    numpy_rules: `value` may have further leading axes of size 1.
    """
    value = as_tensor(value, x.device)
    if value.dtype != x.dtype:
        if is_complex(value.dtype) and not is_complex(x.dtype):
            raise DtypeError(
                f"A value of dtype {value.dtype} does not fit into {x._node.aval}.",
                fix="take a part, value.real, or convert x: x.astype(dt.complex64).",
            )
        value = e.convert_to(value, x.dtype)
    plan = _Plan(x, index)
    sliced = plan.sliced_shape()
    if plan.arrays:
        indices, axes, common = _index_vectors(plan, x.shape, wrap)
    else:
        common = ()
    target = _result_shape(plan, sliced, common)
    try:
        value = broadcast_to(_drop_leading_ones(value, len(target)) if numpy_rules else value, target)
    except ShapeError:
        raise ShapeError(
            f"A value of shape {list(value.shape)} does not fit x[index] of shape {list(target)}.",
            fix="the value must broadcast to the indexed part.",
        ) from None
    value = s.reshape_to(value, _without_new(plan, sliced, common))
    if not plan.arrays:
        value = s.reshape_to(value, sliced)
        if plan.reversed:
            value = s.rev(value, axes=tuple(plan.reversed))
        place = {"start": tuple(plan.start), "step": tuple(plan.step)}
        if combine != "set":
            old = s.slice_(x, start=tuple(plan.start), limit=tuple(plan.limit), step=tuple(plan.step))
            value = {"add": e.add, "mul": e.mul, "min": e.min_, "max": e.max_}[combine](old, value)
        return s.slice_update(x, value, **place)
    if any(a or b != n or c != 1 for a, b, c, n in zip(plan.start, plan.limit, plan.step, x.shape)) or plan.reversed:
        # part of x is addressed by arrays, part by slices: update the slice, then put it back
        whole = tuple(slice(a, b, c) for a, b, c in zip(plan.start, plan.limit, plan.step))
        part = s.slice_(x, start=tuple(plan.start), limit=tuple(plan.limit), step=tuple(plan.step))
        flips = tuple(plan.reversed)
        part = s.rev(part, axes=flips) if flips else part
        part = _scatter(part, plan, indices, axes, common, value, combine, mode, unique)
        part = s.rev(part, axes=flips) if flips else part
        return update(x, whole, part)
    return _scatter(x, plan, indices, axes, common, value, combine, mode, unique)


def _scatter(x, plan, indices, axes, common, value, combine, mode, unique):
    places = _places(plan, x.ndim, axes, common)
    return p.scatter(x, indices, value, places=places, combine=combine, mode=mode, unique=unique)


def _without_new(plan, sliced, common):
    shape = []
    for entry in plan.layout:
        if entry == ("arrays",):
            shape.extend(common)
        elif entry != ("new",):
            shape.append(sliced[entry[1]])
    return tuple(shape)


def _drop_leading_ones(value, ndim):
    """NumPy lets the value of an assignment have extra leading axes of size 1."""
    extra = value.ndim - ndim
    if extra > 0 and all(n == 1 for n in value.shape[:extra]):
        return s.reshape(value, shape=value.shape[extra:])
    return value


def setitem(x, index, value):
    """x[index] = value: the handle x gets a new value; graphs built before keep the old one."""
    value = as_tensor(value, x.device)
    if state.frame is not None:
        from ..primitives.base import note_captures

        note_captures((x,))
    x._rebind(update(x, index, value)._node)


# ---- functions ---------------------------------------------------------------------------------------


def take_along_axis(x, indices, axis):
    """out[..., j, ...] = x[..., indices[..., j, ...], ...] along `axis`; other axes of x and indices are equal. Negative indices count
    from the end; out of range gives nan (the lowest or highest integer).
    """
    x = as_tensor(x)
    indices = as_tensor(indices, x.device)
    axis = normalize_axis(axis, x.ndim, "take_along_axis")
    if not is_integer(indices.dtype):
        raise DtypeError(
            f"take_along_axis: indices must be integers, got {indices._node.aval}.",
            fix="convert them: i.astype(dt.int32).",
        )
    others = tuple(i for i in range(x.ndim) if i != axis)
    if indices.ndim != x.ndim or any(indices.shape[i] != x.shape[i] for i in others):
        raise ShapeError(
            f"take_along_axis: indices {indices._node.aval} and x {x._node.aval} must agree on all axes but {axis}."
        )
    indices = _wide_integers(indices)
    wrapped = e.select(e.lt(indices, 0), e.add(indices, x.shape[axis]), indices)
    return pick(x, wrapped, axis)


def pick(x, indices, axis):
    """take_along_axis for indices that do not count from the end: negative ones are out of range, too."""
    others = tuple(i for i in range(x.ndim) if i != axis)
    places = p.Places(collapsed=(axis,), batch=others, indices_batch=others, index_map=(axis,))
    sizes = tuple(min(1, n) for n in x.shape)
    return p.gather(x, expand_dims(indices, -1), places=places, sizes=sizes, mode="fill")


def one_hot(indices, classes, dtype=None):
    """1 at position indices[...] of a new last axis of size `classes`, else 0; out of range: all 0."""
    indices = as_tensor(indices)
    if not is_integer(indices.dtype):
        raise DtypeError(
            f"one_hot: class numbers must be integers, got {indices._node.aval}.",
            fix="convert them: y.astype(dt.int32).",
        )
    if not isinstance(classes, (int, np.integer)) or classes < 0:
        raise ArgumentError(f"one_hot: {classes!r} is not a number of classes.")
    indices = _wide_integers(indices)
    numbers = s.iota(shape=(int(classes),), dtype=indices.dtype, axis=0, device=indices.device)
    return e.convert_to(e.eq(expand_dims(indices, -1), numbers), default_float() if dtype is None else np.dtype(dtype))
