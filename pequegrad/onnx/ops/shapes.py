"""Shapes: what asks for them, and what changes them."""

import numpy as np

import pequegrad as pg

from ...core.errors import ArgumentError, DtypeError, ShapeError
from ..registry import op
from ..values import check_size


def integers(value):
    """The integers of a known array, or of an attribute, as a list."""
    found = np.ravel(value)
    if found.size and found.dtype.kind not in "iu":
        raise DtypeError(f"Sizes, axes and positions are integers, not {found.dtype}.")
    return [int(n) for n in found]


@op("Shape", folds=False)
@op("Shape", since=15, folds=False)
def shape(data, *, start=0, end=None):
    return np.array(np.shape(data)[slice(start, end)], np.int64)


@op("Size", folds=False)
def size(data):
    return np.array(np.prod(np.shape(data), dtype=np.int64))


@op("Reshape", since=5, known=("shape",))
def reshape(data, shape, *, allowzero=0):
    sizes = integers(shape)
    if not allowzero:
        sizes = [data.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
    return pg.reshape(data, tuple(sizes))


@op("Flatten")
def flatten(data, *, axis=1):
    axis = axis + data.ndim if axis < 0 else axis
    rows, columns = (int(np.prod(sizes, dtype=np.int64)) for sizes in (data.shape[:axis], data.shape[axis:]))
    return pg.reshape(data, (rows, columns))


@op("Transpose")
def transpose(data, *, perm=None):
    return pg.transpose(data) if perm is None else pg.transpose(data, tuple(perm))


@op("Expand", since=8, known=("shape",))
def expand(data, shape):
    return pg.broadcast_to(data, np.broadcast_shapes(data.shape, tuple(integers(shape))))


@op("Tile", since=6, known=("repeats",))
def tile(data, repeats):
    repeats = integers(repeats)
    if len(repeats) != data.ndim:
        raise ShapeError(f"Tile: {len(repeats)} repeats for {data.ndim} axes.")
    return pg.tile(data, repeats) if repeats else data


# ---- axes of size 1 ----------------------------------------------------------------------------------------


@op("Unsqueeze")
def unsqueeze_1(data, *, axes):
    return unsqueeze(data, axes)


@op("Unsqueeze", since=13, known=("axes",))
def unsqueeze(data, axes):
    axes = integers(axes)
    ndim = data.ndim + len(axes)
    places = {a % ndim for a in axes}
    if len(places) != len(axes) or any(not -ndim <= a < ndim for a in axes):
        raise ShapeError(f"Unsqueeze: the axes {axes} do not fit {ndim} axes.")
    sizes = iter(data.shape)
    return pg.reshape(data, tuple(1 if i in places else next(sizes) for i in range(ndim)))


@op("Squeeze")
def squeeze_1(data, *, axes=None):
    return squeeze(data, axes)


@op("Squeeze", since=13, known=("axes",))
def squeeze(data, axes=None):
    return pg.squeeze(data, None if axes is None else tuple(integers(axes)))


# ---- parts -------------------------------------------------------------------------------------------------


@op("Slice")
def slice_1(data, *, starts, ends, axes=None):
    return slice_(data, starts, ends, axes)


@op("Slice", since=10, known=("starts", "ends", "axes", "steps"))
def slice_(data, starts, ends, axes=None, steps=None):
    starts, ends = integers(starts), integers(ends)
    axes = list(range(len(starts))) if axes is None else integers(axes)
    steps = [1] * len(starts) if steps is None else integers(steps)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ArgumentError(f"Slice: starts {starts}, ends {ends}, axes {axes}, steps {steps} do not fit together.")
    parts = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps):
        n = data.shape[axis]
        if step < 0:  # what lies before the first element has no number of its own
            parts[axis] = slice(max(start, -n), end if end >= -n else None, step)
        else:
            parts[axis] = slice(start, end, step)
        if len(range(n)[parts[axis]]) == 0:
            parts[axis] = slice(0, 0)
    return data[tuple(parts)]


@op("Split", since=2)
def split_2(data, *, axis=0, split=None, n_outputs=1):
    return split_18(data, split, axis=axis, n_outputs=n_outputs)


@op("Split", since=13, known=("split",))
def split_18(data, split=None, *, axis=0, num_outputs=None, n_outputs=1):
    """In parts of these sizes, or in num_outputs equal ones (the last may be smaller)."""
    n = data.shape[axis]
    if split is None:
        count = n_outputs if num_outputs is None else num_outputs
        if count != n_outputs or count < 1:
            raise ArgumentError(f"Split: num_outputs is {count}, the node has {n_outputs} outputs.")
        part = -(-n // count)
        split = [max(0, min(part, n - i * part)) for i in range(count)]
    return tuple(split_sizes(data, integers(split), axis))


def split_sizes(data, sizes, axis):
    """A list of parts of these sizes."""
    if min(sizes, default=0) < 0 or sum(sizes) != data.shape[axis]:
        raise ShapeError(f"Split: parts of {sizes} do not make up {data.shape[axis]} elements.")
    return pg.split(data, [int(n) for n in np.cumsum(sizes)[:-1]], axis) if len(sizes) > 1 else [data]


@op("Concat")
def concat(*inputs, axis=1):
    return pg.concatenate(list(inputs), axis)


# ---- blocks of pixels --------------------------------------------------------------------------------------


@op("SpaceToDepth")
def space_to_depth(x, *, blocksize, mode="DCR"):
    """[batch, channels, height, width]: blocks of pixels become channels, the block's place first (DCR), or last."""
    b, c, h, w = x.shape
    blocks = pg.reshape(x, (b, c, h // blocksize, blocksize, w // blocksize, blocksize))
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return pg.reshape(pg.transpose(blocks, order), (b, c * blocksize**2, h // blocksize, w // blocksize))


@op("DepthToSpace")
def depth_to_space(x, *, blocksize, mode="DCR"):
    """The inverse of SpaceToDepth."""
    b, c, h, w = x.shape
    depth = c // blocksize**2
    if mode == "DCR":
        blocks, order = pg.reshape(x, (b, blocksize, blocksize, depth, h, w)), (0, 3, 4, 1, 5, 2)
    else:
        blocks, order = pg.reshape(x, (b, depth, blocksize, blocksize, h, w)), (0, 1, 4, 2, 5, 3)
    return pg.reshape(pg.transpose(blocks, order), (b, depth, h * blocksize, w * blocksize))


# ---- edges -------------------------------------------------------------------------------------------------


@op("Pad")
def pad_2(data, *, pads, mode="constant", value=0.0):
    return pad(data, pads, value, mode=mode)


@op("Pad", since=11, known=("pads", "axes"), either=("constant_value",))
def pad(data, pads, constant_value=None, axes=None, *, mode="constant"):
    """pads: before each of the axes, then after each; negative ones cut off."""
    pads = integers(pads)
    axes = range(data.ndim) if axes is None else [a % data.ndim for a in integers(axes)]
    if len(pads) != 2 * len(axes):
        raise ShapeError(f"Pad: {len(pads)} pads for {len(axes)} axes.")
    widths = [(0, 0)] * data.ndim
    for i, axis in enumerate(axes):
        widths[axis] = pads[i], pads[i + len(axes)]
    if mode == "constant":
        return _with_border(data, widths, constant_value)
    places = {"edge": _nearest, "reflect": _mirrored, "wrap": _around}.get(mode)
    if places is None:
        raise ArgumentError(f"Pad: the mode {mode!r} is unknown.")
    for axis, (before, after) in enumerate(widths):
        if before or after:
            n = data.shape[axis]
            check_size(max(0, before + n + after), 8, "An axis after Pad")
            data = pg.take(data, places(np.arange(-before, n + after), n), axis=axis)
    return data


def _nearest(places, n):
    return np.clip(places, 0, n - 1)


def _mirrored(places, n):
    places = np.abs(places) % max(1, 2 * (n - 1))
    return np.minimum(places, 2 * (n - 1) - places)


def _around(places, n):
    return places % n


def _with_border(data, widths, value):
    """data with a constant around it."""
    if any(n < 0 for pair in widths for n in pair):
        cuts = [(max(0, -a), n - max(0, -b)) for (a, b), n in zip(widths, data.shape)]
        data = data[tuple(slice(a, max(a, b)) for a, b in cuts)]
        widths = [(max(0, a), max(0, b)) for a, b in widths]
    if not data.ndim:
        return data
    if isinstance(value, pg.Tensor):
        inside = pg.pad(pg.full(data.shape, True, "bool"), widths, False)
        return pg.where(inside, pg.pad(data, widths, 0), pg.reshape(value, ()))
    value = 0 if value is None else np.asarray(value).reshape(()).item()
    return pg.pad(data, widths, value if data.dtype.kind in "fc" or data.dtype.name == "bfloat16" else int(value))


@op("CenterCropPad", since=18, known=("shape",))
def center_crop_pad(data, shape, *, axes=None):
    """Cuts, or pads with 0, around the centre, until the axes have these sizes."""
    widths = [(0, 0)] * data.ndim
    for axis, n in zip(range(data.ndim) if axes is None else axes, integers(shape)):
        more = n - data.shape[axis]
        before = more // 2 if more > 0 else -(-more // 2)
        widths[axis] = before, more - before
    return _with_border(data, widths, None)
