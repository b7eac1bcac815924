"""x[index] and x.at[index] by JAX's rules: what is out of range is clamped in reading and left out in writing.

An index passes `prepared`, which refuses what JAX refuses (floats, lists, strings, traced slices and masks); the rest is that
of pequegrad.ops.indexing.
"""

import operator
import warnings

import numpy as np

from ..core.dtype import is_integer
from ..core.errors import DtypeError
from ..core.tensor import Tensor
from ..ops import arithmetic, indexing
from ..ops.shape import expand_dims
from ..primitives import shape as s
from ..primitives.elementwise import convert, convert_to, neg
from .convert import convertible

# ---- what an index means -----------------------------------------------------------------------------


def prepared(x, index, clamp, wrap=True):
    """(x, index) in the form that pequegrad.ops takes.

    Ints out of range become the nearest one (clamp) or arrays, for which gather and scatter have modes. 0-d booleans become
    indices into new axes of size 1, so that x may have more axes than before.
    """
    if isinstance(index, (list, range)):
        raise TypeError(
            f"A {type(index).__name__} is not an index: use a tuple for several axes, or jnp.array({index!r}) for several elements."
        )
    items = [_item(i) for i in (index if isinstance(index, tuple) else (index,))]
    found, axis, consumed = [], 0, sum(map(_consumed, items))
    for item in items:
        if item is Ellipsis:
            axis += max(x.ndim - consumed, 0)
        elif _is_scalar_mask(item):
            x = expand_dims(x, axis)
            item = np.zeros(int(item._read("indexing with a bool mask")), np.int32)
            axis += 1
        else:
            if type(item) is int and axis < x.ndim:
                item = _in_range(item, x.shape[axis], axis, clamp, wrap)
            axis += _consumed(item)
        found.append(item)
    return x, tuple(found)


def _item(item):
    if item is None or item is Ellipsis or type(item) is int:
        return item
    if isinstance(item, slice):
        return _slice(item)
    if isinstance(item, str):
        raise TypeError(f"JAX does not support string indexing; got idx={item!r}")
    if isinstance(item, (list, tuple)):
        from .numpy.creation import asarray

        item = asarray(item) if len(item) else np.zeros(0, np.int32)
    elif isinstance(item, np.ndarray):
        if item.dtype.kind not in "biu":  # as it is given: 64 bits count
            raise TypeError(f"Indexer must have integer or boolean type, got indexer with type {item.dtype}")
    elif isinstance(item, np.integer):
        return int(item)
    found = convertible(item)
    if found is None:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), newaxis (`None`) and integer or boolean arrays are valid indices. "
            f"Got {item!r}"
        )
    if not (is_integer(found.dtype) or found.dtype.kind == "b"):
        raise TypeError(f"Indexer must have integer or boolean type, got indexer with type {found.dtype}")
    return found


def _slice(item):
    bounds = item.start, item.stop, item.step
    if all(v is None or type(v) is int for v in bounds) and item.step != 0:
        return item
    for v in bounds:
        if isinstance(v, Tensor) and v._node.value is None and v._node.frame is not None:
            raise IndexError(
                f"Slice entries must be static integers. Got {item}: use jax.lax.dynamic_slice (a static size), or jnp.where."
            )
    if item.step == 0:
        raise ValueError("slice step cannot be zero")
    return slice(*[None if v is None else operator.index(v) for v in bounds])


def _is_scalar_mask(item):
    return isinstance(item, Tensor) and item.dtype.kind == "b" and not item.ndim


def _consumed(item):
    """How many axes of x an item stands for."""
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if isinstance(item, Tensor) and item.dtype.kind == "b" else 1


def _in_range(i, n, axis, clamp, wrap):
    """The int i, if it addresses an axis of size n; else the nearest one that does, or an array."""
    if (-n if wrap else 0) <= i < n:
        return i
    np.int32(i)  # OverflowError, as in JAX
    if not clamp:
        return np.asarray(i, np.int32)
    if not n:
        raise IndexError(f"index is out of bounds for axis {axis} with size 0")
    return 0 if i < 0 else n - 1


# ---- reading -----------------------------------------------------------------------------------------


def getitem(x, index):
    """x[index]"""
    if type(index) is int and x.ndim and (n := x.shape[0]) and -1 << 31 <= index < 1 << 31:  # the common case
        i = index + n if index < 0 else index
        i = 0 if i < 0 else n - 1 if i >= n else i
        return s.reshape(s.slice_axis(x, 0, i, i + 1), shape=x.shape[1:])
    found = indexing.basic(x, index, _readable)
    if found is not None:
        return found
    if _has_windows(index):
        part, _, index = _window(x, index)
        return getitem(part, index)
    return indexing.getitem(*_readable(x, index))


# ---- slices whose start is computed ------------------------------------------------------------------


class Slice:
    """`size` elements from `start` on, an int or an integer array, each `stride`-th: an index made by ds."""

    __slots__ = ("size", "start", "stride")

    def __init__(self, start, size, stride=1):
        self.start, self.size, self.stride = start, operator.index(size), operator.index(stride)
        if self.size < 0 or self.stride < 1:
            raise ValueError(f"ds: the size is {size} and the stride {stride}, which must be at least 0 and 1.")

    def __repr__(self):
        return f"Slice(start={self.start}, size={self.size}, stride={self.stride})"


def ds(start, size=None, stride=None):
    """An index of `size` elements from `start` on, which may be a traced integer: x[ds(i, 2)] is x[i : i + 2], moved to where
    it fits. ds(size) begins at 0, ds(None) is everything.
    """
    if start is None:
        return slice(None)
    start, size = (0, start) if size is None else (start, size)
    return Slice(start, size, 1 if stride is None else stride)


def _has_windows(index):
    return any(type(item) is Slice for item in (index if type(index) is tuple else (index,)))


def _window(x, index):
    """(the part of x that its Slices take, where it begins, the index of x in that part)"""
    from .lax import dynamic_slice

    items = list(index) if type(index) is tuple else [index]
    if any(item is Ellipsis for item in items):
        (place,) = (k for k, item in enumerate(items) if item is Ellipsis)
        items[place : place + 1] = [slice(None)] * (x.ndim - sum(map(_consumed, items)))
    starts, sizes, axis = [np.int32(0)] * x.ndim, list(x.shape), 0
    for k, item in enumerate(items):
        if type(item) is Slice:
            extent = (item.size - 1) * item.stride + 1 if item.size else 0
            starts[axis], sizes[axis] = item.start, extent
            items[k] = slice(None, None, item.stride)
        axis += _consumed(item)
    return dynamic_slice(x, starts, sizes), starts, tuple(items)


def _readable(x, index):
    return prepared(x, index, clamp=True)


_READ = {None: "clip", "clip": "clip", "promise_in_bounds": "clip", "fill": "fill", "drop": "fill"}
_WRITE = {None: "drop", "clip": "clip", "promise_in_bounds": "drop", "fill": "drop", "drop": "drop"}


def _mode(mode, known):
    """mode: None, a name, or a member of jax.lax.GatherScatterMode, which has one."""
    name = mode if mode is None or isinstance(mode, str) else str(getattr(mode, "name", mode)).lower()
    name = "fill" if name == "fill_or_drop" else name
    if name not in known:
        raise ValueError(f"Unknown gather mode {mode!r}: use 'clip', 'fill', 'drop' or 'promise_in_bounds'.")
    return known[name]


# ---- writing -----------------------------------------------------------------------------------------


def _updated(x, index, values, combine, mode, unique, wrap):
    from .numpy.creation import asarray

    if _has_windows(index):
        from .lax import dynamic_update_slice

        part, starts, index = _window(x, index)
        return dynamic_update_slice(x, _updated(part, index, values, combine, mode, unique, wrap), starts)
    mode = _mode(mode, _WRITE)
    dtype, weak_type, shape = x.dtype, x.weak_type, x.shape
    x, values = arithmetic.promoted(x, asarray(values))
    if x.dtype != dtype:
        warnings.warn(
            f"scatter inputs have incompatible types: cannot safely cast value from dtype={values.dtype} to dtype={dtype}. "
            "In future JAX releases this will result in an error.",
            FutureWarning,
            stacklevel=4,
        )
    if combine in ("add", "mul") and x.dtype.kind == "b":
        raise DtypeError(f"x.at[index]: bool has no {combine}.", fix="use jnp.logical_or or jnp.logical_and.")
    values = neg(values) if combine == "sub" else values
    x, index = prepared(x, index, clamp=mode == "clip", wrap=wrap)
    combine = "add" if combine == "sub" else combine
    out = indexing.update(x, index, values, combine, mode, bool(unique), wrap, numpy_rules=False)
    out = s.reshape_to(out, shape)
    same = out.dtype == dtype and out.weak_type == weak_type
    return out if same else convert(out, dtype=dtype, weak_type=weak_type)


def _each(func, x):
    """func of each element of x, in the dtype of x."""
    from .transforms import vmap

    return convert_to(s.reshape_to(vmap(func)(s.reshape_to(x, (x.size,))), x.shape), x.dtype, x.weak_type)


class At:
    """x.at: x.at[index] is what has the methods."""

    __slots__ = ("array",)

    def __init__(self, array):
        self.array = array

    def __getitem__(self, index):
        return IndexedAt(self.array, index)

    def __repr__(self):
        return f"At({self.array!r})"


class IndexedAt:
    """x.at[index]: what follows reads x[index] or gives a changed copy of x.

    Of repeated positions each counts, one after the other; `set` keeps the last value. mode: what happens to positions out of
    range. Reading, "clip" (default, also "promise_in_bounds") takes the nearest, "fill" gives fill_value (default: nan, the
    lowest signed, the highest unsigned integer, True). Writing, "drop" (default, also "fill" and "promise_in_bounds") leaves
    them out, "clip" takes the nearest. unique_indices promises that no element is addressed twice, which the derivative of
    multiply needs; indices_are_sorted promises an order, of which no use is made; out_sharding means nothing on one device.
    wrap_negative_indices=False: negative indices are out of range.
    """

    __slots__ = ("array", "index")

    def __init__(self, array, index):
        self.array, self.index = array, index

    def __repr__(self):
        return f"At({self.array!r})[{self.index!r}]"

    def get(self, *, indices_are_sorted=False, unique_indices=False, mode=None, fill_value=None, out_sharding=None,
            wrap_negative_indices=True):  # fmt: skip
        """x[index]"""
        if _has_windows(self.index):
            part, _, index = _window(self.array, self.index)
            return IndexedAt(part, index).get(
                mode=mode, fill_value=fill_value, wrap_negative_indices=wrap_negative_indices
            )
        mode = _mode(mode, _READ)
        x, index = prepared(self.array, self.index, clamp=mode == "clip", wrap=wrap_negative_indices)
        fill_value = fill_value.item() if hasattr(fill_value, "item") else fill_value
        return indexing.getitem(x, index, mode, fill_value, wrap_negative_indices)

    def divide(self, values, *, indices_are_sorted=False, unique_indices=False, mode=None, out_sharding=None,
               wrap_negative_indices=True):  # fmt: skip
        """x with x[index] /= values."""
        factors = self._of_ones(values, mode, unique_indices, wrap_negative_indices)
        return arithmetic.divide(self.array, factors)

    def power(self, values, *, indices_are_sorted=False, unique_indices=False, mode=None, out_sharding=None,
              wrap_negative_indices=True):  # fmt: skip
        """x with x[index] **= values."""
        exponents = self._of_ones(values, mode, unique_indices, wrap_negative_indices)
        return arithmetic.power(self.array, exponents)

    def _of_ones(self, values, mode, unique, wrap):
        return _updated(s.filled_like(self.array, 1), self.index, values, "mul", mode, unique, wrap)

    def apply(self, func, *, indices_are_sorted=False, unique_indices=False, mode=None, wrap_negative_indices=True):
        """x with x[index] = func(x[index]): func takes one element; where a position is repeated it is applied again."""
        wrap = wrap_negative_indices
        x, index = prepared(self.array, self.index, clamp=True, wrap=wrap)
        if not unique_indices and any(isinstance(i, Tensor) and i.ndim and i.dtype.kind != "b" for i in index):
            return self._applied_repeatedly(func, mode, wrap)
        part = indexing.getitem(x, index, "clip", None, wrap)
        new = _each(func, part) if part.size else part
        return _updated(self.array, self.index, new, "set", mode, unique_indices, wrap)

    def _applied_repeatedly(self, func, mode, wrap):
        counts = convert_to(s.filled_like(self.array, 0), np.dtype(np.int32), False)
        counts = _updated(counts, self.index, 1, "add", mode, False, wrap)

        def step(state):
            done, x = state
            return done + 1, arithmetic.where(counts > done, _each(func, x), x)

        from ..transforms.control_flow import while_loop

        return while_loop(lambda state: (counts > state[0]).any(), step, (convertible(np.int32(0)), self.array))[1]


def _method(combine, doc):
    def method(self, values, *, indices_are_sorted=False, unique_indices=False, mode=None, out_sharding=None,
               wrap_negative_indices=True):  # fmt: skip
        return _updated(self.array, self.index, values, combine, mode, unique_indices, wrap_negative_indices)

    method.__doc__ = f"x with {doc}."
    return method


for _name, _combine, _doc in (
    ("set", "set", "x[index] = values"),
    ("add", "add", "x[index] += values"),
    ("subtract", "sub", "x[index] -= values"),
    ("multiply", "mul", "x[index] *= values"),
    ("mul", "mul", "x[index] *= values"),
    ("min", "min", "the smaller of x[index] and values"),
    ("max", "max", "the larger of x[index] and values"),
):
    setattr(IndexedAt, _name, _method(_combine, _doc))
    getattr(IndexedAt, _name).__name__ = _name

__all__ = ["At", "IndexedAt", "getitem", "prepared"]
