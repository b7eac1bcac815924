"""Shapes and the order of elements: reshaping, broadcasting, flipping, rolling, repeating, inserting and deleting."""

import operator

import numpy as np

from ...core.dtype import dt, is_integer
from ...core.tensor import Tensor
from ...ops import rearrange
from ...ops import shape as o
from ...ops.arithmetic import astype, clip, remainder, where
from ...ops.at import At
from ...ops.creation import as_tensor
from ...ops.cumulative import cumsum
from ...ops.dynamic import dynamic_slice_in_dim
from ...ops.indexing import getitem
from ...ops.reductions import sum as total
from ...ops.sorting import argsort, searchsorted, sort
from ...primitives import elementwise as e
from ...primitives import shape as s
from ..convert import as_array, as_arrays
from .arguments import axis_index, axis_tuple, concrete, distinct_axes, filled, int_tuple

# ---- shapes ------------------------------------------------------------------------------------------


def reshape(a, shape, order="C", *, copy=None, out_sharding=None):
    """The elements of `a` in another shape, one of whose sizes may be -1. order "F": the first axis runs fastest."""
    a, shape = as_array(a, "reshape"), int_tuple(shape)
    if order not in ("C", "F"):
        raise (NotImplementedError if order == "A" else ValueError)(f"reshape: order={order!r} is not 'C' or 'F'.")
    if order == "C":
        return o.reshape(a, shape)
    return o.transpose(o.reshape(o.transpose(a), shape[::-1]))


def ravel(a, order="C", *, out_sharding=None):
    """The elements of `a` along one axis, those of the last (order "F": first) axis next to each other."""
    if order == "K":
        raise NotImplementedError("ravel: order='K' is not supported.")
    a = as_array(a, "ravel")
    return reshape(a, (a.size,), order)


def transpose(a, axes=None):
    """`a` with its axes in the order `axes`, by default reversed."""
    a = as_array(a, "transpose")
    return o.transpose(a) if axes is None else s.transpose(a, permutation=axis_tuple(axes, a.ndim))


def permute_dims(a, /, axes):
    """`a` with its axes in the order `axes`."""
    return transpose(as_array(a, "permute_dims"), axes)


def matrix_transpose(x, /):
    """x with its last two axes exchanged."""
    x = as_array(x, "matrix_transpose")
    if x.ndim < 2:
        raise ValueError(f"matrix_transpose: x needs two axes, it has {x.ndim}")
    return o.swapaxes(x, -1, -2)


def moveaxis(a, source, destination):
    """`a` with the axes `source` at the positions `destination`; the others keep their order."""
    a = as_array(a, "moveaxis")
    source, destination = axis_tuple(source, a.ndim), axis_tuple(destination, a.ndim)
    if len(source) != len(destination):
        raise ValueError(f"moveaxis: {len(source)} axes for {len(destination)} positions")
    order = [i for i in range(a.ndim) if i not in source]
    for position, axis in sorted(zip(destination, source)):
        order.insert(position, axis)
    return s.transpose(a, permutation=tuple(order))


def rollaxis(a, axis, start=0):
    """`a` with `axis` moved back until it lies before the axis that is now at `start`."""
    a = as_array(a, "rollaxis")
    axis, start = axis_index(axis, a.ndim), operator.index(start)
    if not -a.ndim <= start <= a.ndim:
        raise ValueError(f"rollaxis: start={start} must be from {-a.ndim} to {a.ndim}")
    start = start + a.ndim if start < 0 else start
    return moveaxis(a, axis, start - (start > axis))


def swapaxes(a, axis1, axis2):
    """`a` with two axes exchanged."""
    a = as_array(a, "swapaxes")
    order = np.arange(a.ndim)
    order[[axis1, axis2]] = order[[axis2, axis1]]
    return o.transpose(a, tuple(order.tolist()))


def squeeze(a, axis=None):
    """`a` without the given axes, or without all axes, of size 1."""
    a = as_array(a, "squeeze")
    return o.squeeze(a) if axis is None else o.squeeze(a, distinct_axes(axis, a.ndim, "squeeze"))


def expand_dims(a, axis):
    """`a` with new axes of size 1 at the positions `axis` of the result."""
    return o.expand_dims(as_array(a, "expand_dims"), int_tuple(axis))


def broadcast_to(array, shape, *, out_sharding=None):
    """The array repeated to `shape`."""
    array, shape = as_array(array, "broadcast_to"), int_tuple(shape)
    try:
        fits = np.broadcast_shapes(array.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"Incompatible shapes for broadcasting: {array.shape} and requested shape {shape}")
    return o.broadcast_to(array, shape)


def broadcast_arrays(*args):
    """A list of the arrays, all in the shape to which they broadcast."""
    args = as_arrays("broadcast_arrays", *args)
    shape = broadcast_shapes(*(x.shape for x in args))
    return [o.broadcast_to(x, shape) for x in args]


def broadcast_shapes(*shapes):
    """The shape to which arrays of these shapes broadcast, a tuple of ints."""
    try:
        return np.broadcast_shapes(*(int_tuple(shape) for shape in shapes))
    except ValueError:
        raise ValueError(f"Incompatible shapes for broadcasting: {', '.join(map(str, shapes))}") from None


def _at_least(name, shape_of):
    def function(*arys):
        arrays = [s.reshape_to(x, shape_of(x.shape)) for x in as_arrays(name, *arys)]
        return arrays[0] if len(arrays) == 1 else arrays

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Each array with at least {name[-2]} axes: the array itself, or a list of several ones."
    return function


def shape_1d(shape):
    """What atleast_1d makes of a shape."""
    return shape or (1,)


def shape_2d(shape):
    """What atleast_2d makes of a shape."""
    return (1,) * (2 - len(shape)) + shape


def shape_3d(shape):
    """What atleast_3d makes of a shape."""
    return shape if len(shape) > 2 else (*shape_2d(shape), 1)


atleast_1d = _at_least("atleast_1d", shape_1d)
atleast_2d = _at_least("atleast_2d", shape_2d)
atleast_3d = _at_least("atleast_3d", shape_3d)


# ---- order -------------------------------------------------------------------------------------------


def flip(m, axis=None):
    """m with the order along `axis` (default: all axes) reversed."""
    m = as_array(m, "flip")
    return s.rev(m, axes=tuple(sorted(distinct_axes(axis, m.ndim, "flip"))))


def _flipping(name, axis):
    def function(m):
        m = as_array(m, name)
        return s.rev(m, axes=(axis_index(axis, m.ndim),))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"m with the order along axis {axis} reversed."
    return function


flipud, fliplr = _flipping("flipud", 0), _flipping("fliplr", 1)


def rot90(m, k=1, axes=(0, 1)):
    """m turned k times by 90 degrees in the plane of two axes, from the first towards the second."""
    m = as_array(m, "rot90")
    if m.ndim < 2:
        raise ValueError(f"rot90: m needs two axes, its shape is {m.shape}")
    first, second = axis_tuple(axes, m.ndim)
    if first == second:
        raise ValueError("rot90: axes must be different")
    return rearrange.rot90(m, operator.index(k), (first, second))


def roll(a, shift, axis=None):
    """`a` with its elements moved by `shift` places along `axis`; those that leave come back at the other end.

    shift, axis: numbers or sequences, which broadcast; without axis the flattened array is rolled. shift may be traced.
    """
    a = as_array(a, "roll")
    if axis is None:
        return s.reshape_to(roll(ravel(a), shift, 0), a.shape)
    axes = axis_tuple(axis, a.ndim)
    if isinstance(shift, Tensor) and shift._node.value is None:
        return _rolled_dynamically(a, shift, axes)
    shifts = concrete(shift, "roll").astype(np.int64)  # of floats the integer part, as in JAX
    for axis, amount in np.broadcast(axes, shifts):
        a = rearrange.roll(a, int(amount), int(axis))
    return a


def _rolled_dynamically(a, shift, axes):
    """roll by traced shifts: a slice of two copies, one behind the other."""
    if shift.ndim > 1:
        raise ValueError("roll: shift and axis must be numbers or have one axis")
    count = np.broadcast_shapes(shift.shape, (len(axes),))
    shift = o.broadcast_to(astype(shift, dt.int32), count)
    for i, axis in enumerate(np.broadcast_to(axes, count).tolist()):
        n = a.shape[axis]
        start = remainder(e.neg(getitem(shift, i)), max(n, 1))
        a = dynamic_slice_in_dim(s.concatenate(a, a, axis=axis), start, n, axis)
    return a


# ---- repetition --------------------------------------------------------------------------------------


def tile(A, reps):
    """A repeated as a whole reps[i] times along axis i; a single number counts for the last axis."""
    return rearrange.tile(as_array(A, "tile"), int_tuple(reps))


def repeat(a, repeats, axis=None, *, total_repeat_length=None, out_sharding=None):
    """`a` with each element along `axis` (default: of the flattened array) repeated; repeats: one number, or one for each.

    total_repeat_length: the size of the result along the axis, which makes traced repeats possible: what is too much is
    cut off, and the last element fills what is missing.
    """
    a = as_array(a, "repeat")
    repeats = repeats if isinstance(repeats, np.ndarray) else as_array(repeats, "repeat", 1)
    if axis is None:
        a, axis = ravel(a), 0
    axis = axis_index(axis, a.ndim)
    n = a.shape[axis]
    if total_repeat_length is None:
        counts = concrete(repeats, "repeat without total_repeat_length")
        if counts.dtype.kind not in "biu":
            raise TypeError(f"repeat: repeats must be integers, got {counts.dtype}")
        if counts.size == 1:
            return rearrange.repeat(a, int(counts.reshape(())), axis)
        positions = np.repeat(np.arange(n, dtype=np.int32), np.broadcast_to(counts.reshape(-1), (n,)))
        return rearrange.take(a, positions, axis, mode="clip")
    repeats = as_array(repeats)
    counts = o.broadcast_to(astype(s.reshape_to(repeats, (repeats.size,)), dt.int32), (n,))
    if not n:
        return a
    starts = e.sub(cumsum(counts, 0, dtype=dt.int32), counts)
    places = s.iota(shape=(operator.index(total_repeat_length),), dtype=dt.int32, axis=0, device=a.device)
    return rearrange.take(a, e.sub(searchsorted(starts, places, "right"), 1), axis, mode="clip")


def resize(a, new_shape):
    """The flattened elements of `a`, repeated or cut off, in a new shape."""
    a, shape = as_array(a, "resize"), int_tuple(new_shape)
    if any(n < 0 for n in shape):
        raise ValueError("resize: all sizes of new_shape must be at least 0")
    size = int(np.prod(shape, dtype=np.int64))
    if not a.size or not size:
        return filled(a, shape, 0)
    flat = rearrange.tile(ravel(a), -(-size // a.size))
    return s.reshape_to(s.slice_axis(flat, 0, 0, size), shape)


# ---- insertion and deletion --------------------------------------------------------------------------


def _along(axis, index):
    """The index that applies `index` to an axis."""
    return (slice(None),) * axis + (index,)


def delete(arr, obj, axis=None, *, assume_unique_indices=False):
    """arr without the elements at `obj` along `axis` (default: of the flattened array).

    obj: an integer, a slice, integers, or a mask. How many integers are equal must be known, so traced ones are allowed
    only if assume_unique_indices says that all of them differ.
    """
    arr = as_array(arr, "delete")
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = axis_index(axis, arr.ndim)
    n = arr.shape[axis]
    if isinstance(obj, slice):
        obj = np.arange(n)[obj]
    obj = obj if isinstance(obj, np.ndarray) else as_array(obj, "delete", 1)
    if is_integer(obj.dtype) and assume_unique_indices and isinstance(obj, Tensor):
        return getitem(arr, _along(axis, _others(ravel(obj), n)))
    obj = concrete(obj, "delete without assume_unique_indices")
    if obj.dtype.kind == "b":
        if obj.shape != (n,):
            raise ValueError("delete: a mask must have one axis, of the size of the axis that it selects from")
        kept = ~obj
    elif is_integer(obj.dtype):
        if not obj.ndim:
            axis_index(obj, n)
        kept = np.ones(n, bool)
        kept[obj] = False
    else:
        raise ValueError(f"delete: obj must be integers or bool, got {obj.dtype}")
    return getitem(arr, _along(axis, np.flatnonzero(kept).astype(np.int32)))


def _others(indices, n):
    """The numbers below n that are not among the distinct `indices`, ascending."""
    indices = sort(clip(where(e.lt(indices, 0), e.add(indices, n), indices), 0, n))
    gaps = e.sub(indices, s.iota(shape=indices.shape, dtype=indices.dtype, axis=0, device=indices.device))
    rest = s.iota(shape=(n - indices.size,), dtype=indices.dtype, axis=0, device=indices.device)
    return e.add(rest, total(e.convert_to(e.ge(rest, o.expand_dims(gaps, 1)), rest.dtype), 0, dtype=rest.dtype))


def insert(arr, obj, values, axis=None):
    """arr with `values` put before the positions `obj` (an integer, integers or a slice) of arr along `axis`."""
    arr, values = as_arrays("insert", arr, values)
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = axis_index(axis, arr.ndim)
    n = arr.shape[axis]
    indices = np.arange(n, dtype=np.int32)[obj] if isinstance(obj, slice) else obj
    indices = as_tensor(indices) if type(indices) in (int, np.ndarray) else as_array(indices, "insert", 1)
    if indices.ndim > 1 or not is_integer(indices.dtype):
        raise ValueError(f"insert: obj must be a slice, an integer or have one axis of integers; got {obj}")
    values = astype(values, arr.dtype)
    values = s.reshape_to(values, (1,) * (arr.ndim - values.ndim) + values.shape)
    if not indices.ndim:
        values = moveaxis(values, 0, axis)
    if indices.size == 1:
        indices = o.broadcast_to(s.reshape_to(indices, (1,)), (values.shape[axis],))
    count = np.broadcast_shapes(indices.shape, (values.shape[axis],))
    indices = o.broadcast_to(clip(where(e.lt(indices, 0), e.add(indices, n), indices), 0, n), count)
    size = n + count[0]
    numbers = s.iota(shape=count, dtype=indices.dtype, axis=0, device=arr.device)
    new = At(indices)[argsort(indices)].add(numbers)
    is_old = At(filled(arr, (size,), True, dt.bool_))[new].set(False)
    old = searchsorted(cumsum(e.convert_to(is_old, dt.int32), 0), _counting_from_one(n, arr.device))
    wide = filled(arr, (*arr.shape[:axis], size, *arr.shape[axis + 1 :]), 0)
    return At(At(wide)[_along(axis, new)].set(values))[_along(axis, old)].set(arr)


def _counting_from_one(n, device):
    return e.add(s.iota(shape=(n,), dtype=dt.int32, axis=0, device=device), 1)


def trim_zeros(filt, trim="fb", axis=None):
    """filt without the zeros at the front ("f") and the back ("b") along `axis` (default: all axes). Reads the values."""
    filt = as_array(filt, "trim_zeros")
    axes = distinct_axes(axis, filt.ndim, "trim_zeros")
    nonzero = concrete(filt, "trim_zeros") != 0
    index = [slice(None)] * filt.ndim
    front, back = "f" in trim.lower(), "b" in trim.lower()
    for a in axes if front or back else ():
        places = np.flatnonzero(nonzero.any(tuple(i for i in range(filt.ndim) if i != a)))
        start, stop = (int(places[0]), int(places[-1]) + 1) if places.size else (0, 0)
        index[a] = slice(start if front or not stop else None, stop if back or not stop else None)
    return getitem(filt, tuple(index))


# ---- bits --------------------------------------------------------------------------------------------


def _bits_argument(a, axis, bitorder, name):
    """The array with the axis of the bits as its last one, that axis, and the weights of eight bits as powers of two."""
    if bitorder not in ("little", "big"):
        raise ValueError(f"{name}: bitorder must be 'little' or 'big', not {bitorder!r}")
    if axis is None:
        a, axis = ravel(a), 0
    numbers = np.arange(8, dtype=np.uint8)
    return o.swapaxes(a, axis, -1), axis, as_tensor(numbers[::-1] if bitorder == "big" else numbers, a.device)


def packbits(a, axis=None, bitorder="big"):
    """uint8 numbers whose bits say which of eight elements in a row along `axis` are not 0; zeros fill the last one."""
    a = as_array(a, "packbits")
    if a.dtype.kind != "b" and not is_integer(a.dtype):
        raise TypeError(f"packbits takes integers or bool, got {a.dtype}")
    a, axis, shifts = _bits_argument(a, axis, bitorder, "packbits")
    bits = e.convert_to(e.ne(a, 0), dt.uint8)
    bits = o.pad(bits, [(0, 0)] * (a.ndim - 1) + [(0, -a.shape[-1] % 8)])
    bits = s.reshape_to(bits, (*a.shape[:-1], bits.shape[-1] // 8, 8))
    return o.swapaxes(total(e.shift_left(bits, shifts), -1, dtype=dt.uint8), axis, -1)


def unpackbits(a, axis=None, count=None, bitorder="big"):
    """The bits of uint8 numbers along `axis`, as uint8; count: how many of them, cut off or filled with zeros."""
    a = as_array(a, "unpackbits")
    if a.dtype != dt.uint8:
        raise TypeError(f"unpackbits takes uint8, got {a.dtype}")
    a, axis, shifts = _bits_argument(a, axis, bitorder, "unpackbits")
    bits = e.and_(e.shift_right_logical(o.expand_dims(a, -1), shifts), 1)
    bits = s.reshape_to(bits, (*a.shape[:-1], a.shape[-1] * 8))
    if count is not None:
        more = max(operator.index(count) - bits.shape[-1], 0)
        bits = o.pad(bits, [(0, 0)] * (a.ndim - 1) + [(0, more)])[..., :count]
    return o.swapaxes(bits, axis, -1)


__all__ = [
    "reshape", "ravel", "transpose", "permute_dims", "matrix_transpose", "moveaxis", "rollaxis", "swapaxes", "squeeze",
    "expand_dims", "broadcast_to", "broadcast_arrays", "broadcast_shapes", "atleast_1d", "atleast_2d", "atleast_3d",
    "flip", "flipud", "fliplr", "rot90", "roll", "tile", "repeat", "resize", "delete", "insert", "trim_zeros",
    "packbits", "unpackbits",
]  # fmt: skip
