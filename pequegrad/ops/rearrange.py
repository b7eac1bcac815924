"""More functions that rearrange axes and elements: repetitions, rolls, stacks, and reading and writing at indices."""

import numpy as np

from ..core.dtype import is_integer
from ..core.errors import ArgumentError, DtypeError, ShapeError
from ..core.tensor import Tensor
from ..primitives import elementwise as e
from ..primitives import indexing as p
from ..primitives import shape as s
from .arithmetic import new_handle, promoted, remainder
from .creation import as_tensor
from .indexing import _wide_integers, take_along_axis
from .shape import (
    broadcast_to,
    concatenate,
    expand_dims,
    flip,
    normalize_axis,
    split,
    squeeze,
    stack,
    swapaxes,
)

# ---- repetition --------------------------------------------------------------------------------------


@new_handle
def ravel(x):
    """x with all axes merged into one."""
    x = as_tensor(x)
    return s.reshape_to(x, (x.size,))


@new_handle
def tile(x, *repetitions, reps=None):
    """x repeated as a whole: tile(x, 2, 3) or tile(x, (2, 3)), counted from the last axis. reps: NumPy's name."""
    x = as_tensor(x)
    if reps is not None:
        if repetitions:
            raise ArgumentError("tile: both repetitions and reps are given.", fix="give one of them.")
        repetitions = (reps,)
    given = repetitions[0] if len(repetitions) == 1 and not isinstance(repetitions[0], int) else repetitions
    counts = [_count("tile", n) for n in given]
    ndim = max(x.ndim, len(counts))
    counts = [1] * (ndim - len(counts)) + counts
    sizes = (1,) * (ndim - x.ndim) + x.shape
    paired = tuple(v for c, n in zip(counts, sizes) for v in (c, n))  # a new axis before each one, to be merged with it
    out = s.broadcast_in_dim(x, shape=paired, axes=tuple(2 * a + 1 for a in range(ndim - x.ndim, ndim)))
    return s.reshape_to(out, tuple(c * n for c, n in zip(counts, sizes)))


def _count(name, n):
    if not isinstance(n, (int, np.integer)) or n < 0:
        raise ArgumentError(f"{name}: {n!r} is not a number of repetitions.", fix="give ints that are not negative.")
    return int(n)


@new_handle
def repeat(x, repeats, axis=None):
    """x with each element along `axis` (default: of the flattened array) repeated; repeats: an int, or one per element.

    Raises ArgumentError for repeats that are tensors: the size of the result would depend on values.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis(axis, x.ndim, "repeat")
    if isinstance(repeats, Tensor):
        raise ArgumentError("repeat: the size of the result would depend on values.", fix="give a list of ints.")
    counts = np.asarray(repeats).reshape(-1).tolist()
    if len(counts) == 1:
        n = _count("repeat", counts[0])
        out = s.broadcast_in_dim(
            x,
            shape=(*x.shape[: axis + 1], n, *x.shape[axis + 1 :]),
            axes=(*range(axis + 1), *range(axis + 2, x.ndim + 1)),
        )
        return s.reshape_to(out, (*x.shape[:axis], x.shape[axis] * n, *x.shape[axis + 1 :]))
    if len(counts) != x.shape[axis]:
        raise ShapeError(
            f"repeat: {len(counts)} repeats for axis {axis} of {x._node.aval}.", fix="one per element, or one for all."
        )
    positions = np.repeat(np.arange(len(counts), dtype=np.int32), [_count("repeat", n) for n in counts])
    return take(x, positions, axis, mode="clip")


@new_handle
def roll(x, shift, axis=None):
    """x with elements moved by `shift` places along `axis`; those that leave come back at the other end.

    shift, axis: ints, or tuples of one length; without axis the flattened array is rolled. shift is static.
    """
    x = as_tensor(x)
    if axis is None:
        return s.reshape_to(roll(ravel(x), _single(shift), 0), x.shape)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shifts * len(axes) if len(shifts) == 1 else shifts
    if len(shifts) != len(axes):
        raise ArgumentError(f"roll: {len(shifts)} shifts for {len(axes)} axes.", fix="give one shift per axis.")
    for amount, a in zip(shifts, axes):
        a = normalize_axis(a, x.ndim, "roll")
        n = x.shape[a]
        cut = -_single(amount) % n if n else 0
        if cut:
            x = s.concatenate(s.slice_axis(x, a, cut, n), s.slice_axis(x, a, 0, cut), axis=a)
    return x


def _single(shift):
    if not isinstance(shift, (int, np.integer)):
        raise ArgumentError(f"roll: {shift!r} is not a shift.", fix="give an int, or a tuple of ints and of axes.")
    return int(shift)


@new_handle
def rot90(x, k=1, axes=(0, 1)):
    """x turned by k times 90 degrees in the plane of two axes, from the first towards the second."""
    x = as_tensor(x)
    a, b = (normalize_axis(axis, x.ndim, "rot90") for axis in axes)
    if a == b:
        raise ShapeError(f"rot90: axes {tuple(axes)} are no plane.", fix="give two different axes.")
    turns = k % 4
    if turns == 0:
        return x
    if turns == 2:
        return flip(x, (a, b))
    return flip(swapaxes(x, a, b), a) if turns == 1 else swapaxes(flip(x, a), a, b)


def _tensors(xs):
    """Tensors on one device, that of the first tensor among xs."""
    place = next((x.device for x in xs if isinstance(x, Tensor)), None)
    return [as_tensor(x, place) for x in xs]


# ---- several arrays ------------------------------------------------------------------------------------


def broadcast_arrays(*xs):
    """A list of the arrays, all broadcast to their common shape."""
    xs = _tensors(xs)
    if not xs:
        return []
    shape = e.broadcast_shapes("broadcast_arrays", *(x._node.aval for x in xs))
    return [broadcast_to(x, shape) for x in xs]


def meshgrid(*xs, indexing="xy", sparse=False):
    """A list of arrays that hold the coordinates of a grid over the 1-d arrays xs.

    indexing "ij": axis k belongs to xs[k]; "xy": the first two axes are exchanged. sparse: axes of size 1 stay.
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"meshgrid: indexing={indexing!r} is unknown.", fix="use 'xy' or 'ij'.")
    xs = _tensors(xs)
    if any(x.ndim > 1 for x in xs):
        raise ShapeError("meshgrid: an operand has more than one axis.", fix="use x.ravel().")
    order = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        order[:2] = 1, 0
    reshape = new_handle(s.reshape_to)
    grids = [reshape(x, tuple(x.size if a == place else 1 for a in range(len(xs)))) for x, place in zip(xs, order)]
    return grids if sparse else broadcast_arrays(*grids)


@new_handle
def _at_least(x, ndim, place):
    x = as_tensor(x)
    return s.reshape_to(x, place(x.shape)) if x.ndim < ndim else x


def atleast_1d(x):
    """x, 0-d as shape [1]."""
    return _at_least(x, 1, lambda shape: (1,))


def atleast_2d(x):
    """x with new axes in front until it has two."""
    return _at_least(x, 2, lambda shape: (1,) * (2 - len(shape)) + shape)


def atleast_3d(x):
    """x with new axes until it has three: [n] becomes [1, n, 1], [m, n] becomes [m, n, 1]."""
    return _at_least(x, 3, lambda shape: (*((1,) * (2 - len(shape)) + shape), 1))


def hstack(tensors):
    """The tensors side by side: along axis 1, of 1-d tensors along axis 0."""
    tensors = [atleast_1d(x) for x in _tensors(tensors)]
    return concatenate(tensors, 0 if tensors and tensors[0].ndim == 1 else 1)


def vstack(tensors):
    """The tensors as rows, one below the other."""
    return concatenate([atleast_2d(x) for x in _tensors(tensors)], 0)


def dstack(tensors):
    """The tensors along a third axis."""
    return concatenate([atleast_3d(x) for x in _tensors(tensors)], 2)


def unstack(x, axis=0):
    """A list of the parts of x along `axis`, without that axis."""
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim, "unstack")
    return [squeeze(part, axis) for part in split(x, x.shape[axis], axis)] if x.shape[axis] else []


def chunk(x, chunks, axis=0, *, dim=None):
    """A list of at most `chunks` parts of x along `axis`, all but the last of one size, as in PyTorch."""
    x = as_tensor(x)
    axis = normalize_axis(axis if dim is None else dim, x.ndim, "chunk")
    if not isinstance(chunks, int) or chunks < 1:
        raise ArgumentError(f"chunk: {chunks!r} is not a number of parts.", fix="give an int from 1.")
    n = x.shape[axis]
    size = -(-n // chunks)
    return split(x, list(range(size, n, size)) if size else [0] * (chunks - 1), axis)


# ---- at indices --------------------------------------------------------------------------------------------


def take(x, indices, axis=None, mode="fill"):
    """x[..., indices, ...] along `axis` (default: of the flattened array); the result has the axes of `indices` there.

    mode, for indices out of range: "fill" gives nan (the lowest or highest integer), after negative ones have counted
    from the end; "clip" takes the nearest element; "wrap" counts around.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis(axis, x.ndim, "take")
    indices = _integers("take", indices, x)
    n = x.shape[axis]
    if not n and indices.size:
        raise ShapeError(f"take: axis {axis} of {x._node.aval} has no elements to take.")
    indices = _in_mode("take", indices, n, mode)
    places = p.Places(
        window=(*range(axis), *range(axis + indices.ndim, x.ndim - 1 + indices.ndim)),
        collapsed=(axis,),
        index_map=(axis,),
    )
    sizes = tuple(min(1, size) if a == axis else size for a, size in enumerate(x.shape))
    mode = "fill" if mode == "fill" else "clip"
    return p.gather(x, expand_dims(indices, -1), places=places, sizes=sizes, mode=mode)


def _integers(name, indices, like):
    indices = as_tensor(indices, like.device)
    if not is_integer(indices.dtype):
        raise DtypeError(f"{name}: indices must be integers, got {indices._node.aval}.", fix="i.astype(dt.int32)")
    return _wide_integers(indices)


def _in_mode(name, indices, n, mode):
    if mode == "fill":
        return e.select(e.lt(indices, 0), e.add(indices, n), indices)
    if mode == "clip":
        return e.min_(e.max_(indices, 0), max(n - 1, 0))
    if mode == "wrap":
        return remainder(indices, max(n, 1))
    raise ArgumentError(f"{name}: mode={mode!r} is unknown.", fix="use 'fill', 'clip' or 'wrap'.")


def put_along_axis(x, indices, values, axis):
    """A copy of x with x[..., indices[..., j, ...], ...] = values[..., j, ...] along `axis`.

    indices: integers, of the shape of x on all other axes; values broadcast to indices. Of several values for one
    element the last one counts; indices out of range are not written.
    """
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim, "put_along_axis")
    indices = _in_mode("put_along_axis", _integers("put_along_axis", indices, x), x.shape[axis], "fill")
    others = tuple(a for a in range(x.ndim) if a != axis)
    if indices.ndim != x.ndim or any(indices.shape[a] != x.shape[a] for a in others):
        raise ShapeError(
            f"put_along_axis: indices {indices._node.aval} and x {x._node.aval} must agree on all axes but {axis}."
        )
    values = broadcast_to(e.convert_to(as_tensor(values, x.device), x.dtype), indices.shape)
    places = p.Places(collapsed=(axis,), batch=others, indices_batch=others, index_map=(axis,))
    return p.scatter(x, expand_dims(indices, -1), values, places=places, combine="set", mode="drop", unique=False)


def select(conditions, choices, default=0):
    """Elementwise the choice of the first condition that is true, else `default`: a list of bool, a list of arrays."""
    if len(conditions) != len(choices) or not len(choices):
        raise ArgumentError(
            f"select: {len(conditions)} conditions for {len(choices)} choices.", fix="give one condition per choice."
        )
    *choices, out = promoted(*choices, default)
    for condition, choice in zip(reversed(conditions), reversed(choices)):
        condition = as_tensor(condition, out.device)
        if condition.dtype.kind != "b":
            raise DtypeError(f"select: a condition is {condition._node.aval}.", fix="conditions are bool.")
        out = e.select(condition, choice, out)
    return out


def choose(indices, choices, mode="clip"):
    """out[i] = choices[indices[i]][i]; all broadcast. mode, for indices out of range: "clip" or "wrap"."""
    if mode == "fill":
        raise ArgumentError("choose: mode='fill' is unknown.", fix="use 'clip' or 'wrap'.")
    indices, *choices = _tensors([indices, *choices])
    choices = promoted(*choices)
    indices, *choices = broadcast_arrays(_integers("choose", indices, choices[0]), *choices)
    indices = _in_mode("choose", indices, len(choices), mode)
    return squeeze(take_along_axis(stack(choices), expand_dims(indices, 0), 0), 0)


def nonzero(x):
    """Not available: the size of the result depends on values. Raises ArgumentError that says what to do instead."""
    raise ArgumentError(
        "nonzero: how many elements are not zero is not known before the values are.",
        fix="numpy.nonzero(x.numpy()) outside of jit; where(x != 0, a, b) or count_nonzero(x) inside.",
    )


def argwhere(x):
    """Not available: the size of the result depends on values. Raises ArgumentError that says what to do instead."""
    raise ArgumentError(
        "argwhere: how many elements are not zero is not known before the values are.",
        fix="numpy.argwhere(x.numpy()) outside of jit; where(x != 0, a, b) inside.",
    )


__all__ = [
    "ravel", "tile", "repeat", "roll", "rot90", "broadcast_arrays", "meshgrid", "atleast_1d", "atleast_2d", "atleast_3d",
    "hstack", "vstack", "dstack", "unstack", "chunk", "take", "put_along_axis", "select", "choose", "nonzero", "argwhere",
]  # fmt: skip
