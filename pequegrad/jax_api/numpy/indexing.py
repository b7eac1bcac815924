"""take, put, where, nonzero, indices, and their kin.

How many elements a condition selects is a value: without `size` these functions read it, which traced arrays refuse; with
it they fill up, or cut off, to that size, and can be traced.
"""

import operator

import numpy as np

from ...core.dtype import default_int, dt, is_integer, promote
from ...core.errors import ArgumentError, IndexingError
from ...ops import rearrange
from ...ops import shape as o
from ...ops.arithmetic import astype, clip, divmod, promoted, remainder
from ...ops.arithmetic import where as choice
from ...ops.at import At
from ...ops.cumulative import cumsum
from ...ops.indexing import getitem, pick
from ...ops.sorting import argsort, searchsorted
from ...primitives import elementwise as e
from ...primitives import shape as s
from ...primitives.base import number
from ..convert import as_array, as_arrays, from_numpy, operand, requested, to_array
from .arguments import axis_index, concrete, filled, int_tuple, value_like
from .manipulation import moveaxis, ravel
from .promotion import refuse_out

# ---- reading -----------------------------------------------------------------------------------------


def _indices(indices, name):
    if not is_integer(indices.dtype):
        raise ArgumentError(f"{name}: indices must be integers, got {indices.dtype}.")
    return indices


def _from_the_end(indices, n):
    return e.select(e.lt(indices, 0), e.add(indices, n), indices) if indices.dtype.kind == "i" else indices


def _inside(indices, n):
    return e.and_(e.ge(indices, 0), e.lt(indices, n))


def take(a, indices, axis=None, out=None, mode=None, unique_indices=False, indices_are_sorted=False, fill_value=None):
    """a[..., indices, ...] along `axis` (default: of the flattened array).

    mode, for indices out of range: None or "fill" reads fill_value (default: nan, the lowest signed or the highest unsigned
    integer) after negative ones have counted from the end, "clip" takes the nearest, "wrap" counts around. The other
    arguments are promises, of which no use is made.
    """
    refuse_out("take", out)
    a, indices = as_arrays("take", a, indices)
    if mode == "raise":
        raise NotImplementedError("take: mode='raise' is not supported.")
    if mode not in (None, "fill", "clip", "wrap"):
        raise ValueError(f"take: there is no mode {mode!r}")
    if axis is None:
        a, axis = ravel(a), 0
    axis = axis_index(axis, a.ndim)
    n = a.shape[axis]
    if not n:
        if indices.size:
            raise IndexingError("take: an empty axis has no elements to take.")
        return a
    found = rearrange.take(a, _indices(indices, "take"), axis, "fill" if mode is None else mode)
    if fill_value is None or mode not in (None, "fill"):
        return found
    inside = _inside(_from_the_end(indices, n), n)
    inside = s.reshape_to(inside, (*indices.shape, *(1,) * (a.ndim - 1 - axis)))
    return e.select(inside, found, value_like(fill_value, found))


def take_along_axis(arr, indices, axis=-1, mode=None, fill_value=None, *, wrap_negative_indices=None):
    """out[..., j, ...] = arr[..., indices[..., j, ...], ...] along `axis`; the other axes broadcast. axis None: arr is flattened.

    mode, for indices out of range: None or "fill" gives fill_value (default as of take), "clip" and "promise_in_bounds" the
    nearest element, "one_hot" 0. wrap_negative_indices: whether negative ones count from the end (not by default
    with "promise_in_bounds").
    """
    arr, indices = as_arrays("take_along_axis", arr, indices)
    _indices(indices, "take_along_axis")
    if axis is None:
        if indices.ndim != 1:
            raise ValueError(f"take_along_axis: without axis, indices must have one axis, not {indices.ndim}")
        arr, axis = ravel(arr), 0
    if arr.ndim != indices.ndim:
        raise ValueError(f"take_along_axis: indices have {indices.ndim} axes, the array has {arr.ndim}")
    mode = getattr(mode, "name", mode)
    mode = mode.lower() if isinstance(mode, str) else mode
    modes = {None: "fill", "fill": "fill", "drop": "fill", "fill_or_drop": "fill", "clip": "clip",
             "promise_in_bounds": "clip", "one_hot": "one_hot"}  # fmt: skip
    if mode not in modes:
        raise ValueError(f"take_along_axis: there is no mode {mode!r}")
    axis = axis_index(axis, arr.ndim)
    n = arr.shape[axis]
    outside = np.broadcast_shapes(*(x.shape[:axis] + (1,) + x.shape[axis + 1 :] for x in (arr, indices)))
    with_size = lambda size: (*outside[:axis], size, *outside[axis + 1 :])
    shape = with_size(indices.shape[axis])
    if not n:
        return filled(arr, shape, 0)
    wrap = mode != "promise_in_bounds" if wrap_negative_indices is None else wrap_negative_indices
    indices = rearrange._wide_integers(indices)
    indices = o.broadcast_to(_from_the_end(indices, n) if wrap else indices, shape)
    arr = o.broadcast_to(arr, with_size(n))
    if modes[mode] == "clip":
        return pick(arr, e.min_(e.max_(indices, 0), n - 1), axis)
    found = pick(arr, indices, axis)
    fill_value = 0 if mode == "one_hot" else fill_value
    if fill_value is None:
        return found
    return e.select(_inside(indices, n), found, value_like(fill_value, found))


def choose(a, choices, out=None, mode="raise"):
    """out[i] = choices[a[i]][i]; all broadcast. mode, for numbers out of range: "raise" (reads them), "wrap" or "clip"."""
    refuse_out("choose", out)
    a, *choices = as_arrays("choose", a, *choices)
    if not is_integer(a.dtype):
        raise ValueError("choose: `a` must be of integers")
    if mode == "raise":
        values = concrete(a, "choose with mode='raise'")
        if np.any((values < 0) | (values >= len(choices))):
            raise ValueError("choose: invalid entry in choice array")
        mode = "clip"
    if mode not in ("clip", "wrap"):
        raise ValueError(f"choose: mode={mode!r} is not 'raise', 'wrap' or 'clip'")
    found = rearrange.choose(a, choices, mode)
    return e.convert_to(found, found.dtype)  # not weakly typed


def select(condlist, choicelist, default=0):
    """Elementwise the choice that belongs to the first condition that is true, else `default`; all broadcast."""
    if len(condlist) != len(choicelist):
        raise ValueError(f"select: {len(condlist)} conditions for {len(choicelist)} choices")
    if not len(condlist):
        raise ValueError("select: condlist must not be empty")
    conditions, choices = as_arrays("select", *condlist), as_arrays("select", *choicelist)
    out, *choices = promoted(as_array(default, "select"), *choices)
    for condition, x in zip(reversed(conditions), reversed(choices)):
        out = choice(condition, x, out)
    return out


# ---- where something is ------------------------------------------------------------------------------


def where(condition, x=None, y=None, /, *, size=None, fill_value=None):
    """x where the condition is true, else y; all broadcast. With the condition alone: nonzero(condition)."""
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    if size is not None or fill_value is not None:
        raise ValueError("where: size and fill_value belong to the form without x and y")
    condition = as_array(condition, "where")
    x = x if type(x) in (int, float) else as_array(x, "where", 1)
    y = y if type(y) in (int, float) else as_array(y, "where", 2)
    return choice(condition, x, y)


def nonzero(a, *, size=None, fill_value=None):
    """The positions of elements that are not 0, in row-major order: for each axis an array of `size` indices.

    size: see the top of this file; what is missing is fill_value, a number or one for each axis, by default 0.
    """
    a = as_array(a, "nonzero")
    if not a.ndim:
        raise ValueError("nonzero: a 0-d array has no positions; use atleast_1d(a)")
    if size is None:
        found = np.nonzero(a._read("nonzero without size"))
        return tuple(from_numpy(i, a.device) for i in found)
    size = operator.index(size)
    if not a.size or not size:
        return tuple(filled(a, (size,), 0, default_int()) for _ in a.shape)
    counted = cumsum(e.convert_to(e.ne(ravel(a), number(0, a)) if a.dtype.kind != "b" else ravel(a), default_int()), 0)
    numbers = s.iota(shape=(size,), dtype=counted.dtype, axis=0, device=a.device)
    flat = astype(searchsorted(counted, numbers, "right"), default_int())
    out, rest = [], flat
    for n in reversed(a.shape):
        above = e.div(rest, n)
        out.append(e.sub(rest, e.mul(above, n)))
        rest = above
    out.reverse()
    if fill_value is not None:
        fills = fill_value if isinstance(fill_value, tuple) else (fill_value,) * a.ndim
        if len(fills) != a.ndim or any(np.shape(f) for f in fills):
            raise ValueError(f"nonzero: fill_value must be a number or a tuple of {a.ndim} numbers, got {fill_value}")
        missing = e.eq(flat, a.size)
        out = [choice(missing, operand(fill), index) for fill, index in zip(fills, out)]
    return tuple(out)


def flatnonzero(a, *, size=None, fill_value=None):
    """The positions in the flattened array of elements that are not 0; arguments as for nonzero."""
    return nonzero(ravel(as_array(a, "flatnonzero")), size=size, fill_value=fill_value)[0]


def argwhere(a, *, size=None, fill_value=None):
    """The positions of elements that are not 0, as rows of a matrix; arguments as for nonzero."""
    a = as_array(a, "argwhere")
    found = nonzero(a if a.ndim else ravel(a), size=size, fill_value=fill_value)
    columns = s.concatenate(*(s.reshape_to(i, (i.size, 1)) for i in promoted(*found)), axis=1)
    return columns if a.ndim else s.slice_axis(columns, 1, 0, 0)


def compress(condition, a, axis=None, *, size=None, fill_value=0, out=None):
    """The parts of `a` along `axis` (default: the elements of the flattened array) for which the condition, a vector, is true.

    size: how many; those that are missing are fill_value.
    """
    refuse_out("compress", out)
    condition, a = as_arrays("compress", condition, a)
    condition = e.convert_to(condition, dt.bool_)
    if condition.ndim != 1:
        raise ValueError("compress: the condition must have one axis")
    if axis is None:
        a, axis = ravel(a), 0
    a = moveaxis(a, axis, 0)
    n = min(a.shape[0], condition.size)
    condition, beyond = condition[:n], condition[a.shape[0] :]
    a = s.slice_axis(a, 0, 0, n)
    if size is None:
        if concrete(beyond, "compress without size").any():
            raise ValueError("compress: the condition is true where the array has no elements")
        return moveaxis(getitem(a, condition), 0, axis)
    if not 0 <= size <= n:
        raise ValueError(f"compress: size must be from 0 to {n}, got {size}")
    mask = s.reshape_to(condition, (n, *(1,) * (a.ndim - 1)))
    a = e.select(mask, a, value_like(fill_value, a))
    order = s.slice_axis(argsort(condition, descending=True), 0, 0, operator.index(size))
    return moveaxis(rearrange.take(a, order, 0, "clip"), 0, axis)


def extract(condition, arr, *, size=None, fill_value=0):
    """The elements of arr, flattened, for which the condition is true; size, fill_value: as for compress."""
    return compress(
        ravel(as_array(condition, "extract")), ravel(as_array(arr, "extract", 1)), size=size, fill_value=fill_value
    )


# ---- changed copies ----------------------------------------------------------------------------------


def _refuse_inplace(inplace, name):
    if inplace:
        raise ValueError(f"{name} cannot change arrays in place: pass inplace=False for a changed copy.")


def _repeated(values, size):
    """The first `size` elements of the vector, which starts again where it ends."""
    return getitem(values, np.arange(size, dtype=np.int32) % values.size)


def put(a, ind, v, mode=None, *, inplace=True):
    """`a` with elements of v, which starts again where it ends, at the positions `ind` of the flattened array.

    mode, for positions out of range: None and "clip" take the nearest (negative ones count from the end with None only), "wrap"
    counts around. Needs inplace=False.
    """
    _refuse_inplace(inplace, "put")
    a, ind, v = as_arrays("put", a, ind, v)
    ind, v = ravel(ind), ravel(v)
    if not a.size or not ind.size or not v.size:
        return a
    if mode == "raise":
        raise NotImplementedError("put: mode='raise' is not supported.")
    if mode not in (None, "clip", "wrap"):
        raise ValueError(f"put: mode={mode!r} is not None, 'wrap' or 'clip'")
    if mode == "clip":
        ind = clip(ind, 0, a.size - 1)
    elif mode == "wrap":
        ind = remainder(ind, a.size)
    else:
        ind = clip(_from_the_end(ind, a.size), 0, a.size - 1)
    return s.reshape_to(At(ravel(a))[ind].set(_repeated(v, ind.size)), a.shape)


def put_along_axis(arr, indices, values, axis, inplace=True, *, mode=None):
    """arr with out[..., indices[..., j, ...], ...] = values[..., j, ...] along `axis` (None: of the flattened array).

    mode: that of x.at[...].set. Needs inplace=False.
    """
    _refuse_inplace(inplace, "put_along_axis")
    arr, indices, values = as_arrays("put_along_axis", arr, indices, values)
    shape = arr.shape
    if axis is None:
        arr, axis = ravel(arr), 0
    if arr.ndim != indices.ndim:
        raise ValueError(f"put_along_axis: indices have {indices.ndim} axes, the array has {arr.ndim}")
    axis = axis_index(axis, arr.ndim)
    values = o.broadcast_to(values, indices.shape)
    index = [np.arange(n, dtype=np.int32).reshape([-1 if b == a else 1 for b in range(arr.ndim)])
             for a, n in enumerate(arr.shape)]  # fmt: skip
    index[axis] = indices
    return s.reshape_to(At(arr)[tuple(index)].set(values, mode=mode), shape)


def place(arr, mask, vals, *, inplace=True):
    """arr with the elements where the mask is true replaced, in turn, by those of vals, which starts again. Needs inplace=False."""
    _refuse_inplace(inplace, "place")
    arr, mask, vals = as_arrays("place", arr, mask, vals)
    if arr.size != mask.size:
        raise ValueError("place: arr and mask must have the same size")
    if not vals.size:
        raise ValueError("place: vals is empty")
    if not arr.size:
        return arr
    (places,) = nonzero(ravel(mask), size=mask.size, fill_value=mask.size)
    out = At(ravel(arr))[places].set(_repeated(ravel(vals), arr.size), mode="drop")
    return s.reshape_to(out, arr.shape)


# ---- indices -----------------------------------------------------------------------------------------


def indices(dimensions, dtype=None, sparse=False):
    """For each axis of a grid of these sizes the positions along it; sparse: a tuple of arrays of size 1 on the other axes."""
    dtype = default_int() if dtype is None else requested(dtype, "indices")
    sizes = tuple(map(operator.index, dimensions))
    from .creation import array

    if not sizes and not sparse:
        return array([], dtype=dtype)
    shape_of = lambda i: tuple(n if j == i or not sparse else 1 for j, n in enumerate(sizes))
    like = as_array(0)
    grids = [to_array(s.iota(shape=shape_of(i), dtype=dtype, axis=i, device=like.device)) for i in range(len(sizes))]
    return tuple(grids) if sparse else s.concatenate(*(s.reshape_to(g, (1, *sizes)) for g in grids), axis=0)


def ix_(*args):
    """The vectors along different axes, so that x[ix_(i, j)] has the rows i and the columns j of x."""
    args = as_arrays("ix_", *args)
    out = []
    for i, x in enumerate(args):
        if x.ndim != 1:
            raise ValueError(f"ix_: the arguments must have one axis, got shape {x.shape}")
        if x.dtype.kind == "b":
            raise NotImplementedError("ix_: bool arguments are not supported.")
        shape = tuple(x.size if j == i else 1 for j in range(len(args)))
        out.append(s.reshape_to(x, shape) if x.size else filled(x, shape, 0, default_int()))
    return tuple(out)


def unravel_index(indices, shape):
    """For each axis of an array of this shape the index of the elements that have these positions in the flattened array.

    Negative positions count from the end; those out of range become the nearest.
    """
    rest = as_array(indices, "unravel_index")
    sizes, found = int_tuple(shape), []
    for n in reversed(sizes):
        rest, index = divmod(rest, n)
        found.append(index)
    beyond = e.gt(rest, 0)
    before = e.lt(rest, -1) if rest.dtype.kind == "i" else None
    limited = []
    for n, index in zip(sizes, reversed(found)):
        index = index if before is None else choice(before, 0, index)
        limited.append(choice(beyond, n - 1, index))
    return tuple(limited)


def ravel_multi_index(multi_index, dims, mode="raise", order="C", *, dtype=None):
    """The positions in the flattened array of shape `dims` of the elements with these indices, one array per axis.

    mode, for indices out of range: "raise" (reads them), "wrap", "clip", or "ignore".
    """
    if len(multi_index) != len(dims):
        raise AssertionError(f"ravel_multi_index: {len(multi_index)} indices for {len(dims)} sizes")
    sizes = int_tuple(dims)
    arrays = as_arrays("ravel_multi_index", *multi_index)
    if dtype is None:
        dtype, _ = promote((default_int(), True), *(x._node.aval.weak_pair for x in arrays))
    else:
        dtype = requested(dtype, "ravel_multi_index")
    if not is_integer(dtype):
        raise ValueError(f"ravel_multi_index: dtype {dtype} is not one of integers")
    if int(np.prod(sizes, dtype=object)) - 1 > np.iinfo(dtype).max:
        raise ValueError(f"ravel_multi_index: positions in an array of shape {sizes} do not fit {dtype}")
    if order not in ("C", "F"):
        raise ValueError(f"ravel_multi_index: order={order!r} is not 'C' or 'F'")
    out, stride = e.convert_to(as_array(0), dtype), 1
    steps = list(zip(arrays, sizes))
    for x, n in steps if order == "F" else reversed(steps):
        out = e.add(*promoted(out, astype(_limited(x, n, mode), dtype) * stride))
        stride *= n
    return out


def _limited(x, n, mode):
    _indices(x, "ravel_multi_index: only int indices permitted")
    if mode == "raise":
        values = concrete(x, "ravel_multi_index with mode='raise'")
        if np.any((values < 0) | (values >= n)):
            raise ValueError("ravel_multi_index: invalid entry in coordinates array")
        return x
    if mode == "clip":
        return clip(x, 0, n - 1)
    if mode == "wrap":
        return remainder(x, n)
    if mode == "ignore":
        return x
    raise ValueError(f"ravel_multi_index: mode={mode!r} is not 'raise', 'wrap', 'clip' or 'ignore'")


__all__ = [
    "take", "take_along_axis", "choose", "select", "where", "nonzero", "flatnonzero", "argwhere", "compress", "extract",
    "put", "put_along_axis", "place", "indices", "ix_", "unravel_index", "ravel_multi_index",
]  # fmt: skip
