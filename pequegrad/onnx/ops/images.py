"""Images in other sizes, sampled at points, or decoded."""

import math

import numpy as np

import pequegrad as pg

from ...core.errors import ArgumentError, DtypeError, ShapeError
from ...ops.image import _apply as apply_matrices
from ...ops.image import _cubic, tap_weights
from ..registry import op
from ..values import check_size
from .sampling import pixels, rows_of, sampled

# ---- resize: per axis a matrix, or the numbers of pixels ------------------------------------------------------


def _centres(how, old, new, scale, roi):
    """Where the new pixels lie among the old ones, along one axis."""
    index, exact = np.arange(new, dtype=np.float64), scale * old  # exact: the new size before it is made an integer
    if how == "half_pixel":
        return (index + 0.5) / scale - 0.5
    if how == "pytorch_half_pixel":
        return (index + 0.5) / scale - 0.5 if exact != 1 else np.full(new, -0.5)
    if how == "align_corners":
        return index * (old - 1) / (exact - 1) if exact != 1 else np.zeros(new)
    if how == "asymmetric":
        return index / scale
    if how == "half_pixel_symmetric":
        return old / 2 * (1 - new / exact) + (index + 0.5) / scale - 0.5
    if how == "tf_half_pixel_for_nn":
        return (index + 0.5) / scale
    if how == "tf_crop_and_resize":
        begin, end = roi
        if exact == 1:
            return np.full(new, (end + begin) * (old - 1) / 2)
        return begin * (old - 1) + index * (end - begin) * (old - 1) / (exact - 1)
    raise ArgumentError(f"Resize: coordinate_transformation_mode={how!r} is unknown.")


_ROUNDINGS = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5), "round_prefer_ceil": lambda x: np.floor(x + 0.5), "floor": np.floor, "ceil": np.ceil,
}  # fmt: skip


def _weights(centres, old, scale, kind, a, antialias, exclude_outside):
    """weights[i, j]: how much the old pixel i counts in the new pixel j; border pixels stand for all beyond them."""
    width = 1 / min(scale, 1.0) if antialias else 1.0
    count = math.ceil((1 if kind == "linear" else 2) * width) + 1
    taps = np.floor(centres)[None, :] + np.arange(-count, count + 1)[:, None]
    distance = np.abs(centres - taps) / width
    amounts = np.maximum(0, 1 - distance) if kind == "linear" else _cubic(distance, a)
    if exclude_outside:
        amounts = np.where((taps < 0) | (taps >= old), 0.0, amounts)
    if exclude_outside or antialias:
        totals = amounts.sum(0)
        amounts = amounts / np.where(totals == 0, 1.0, totals)
    found = np.zeros((old, len(centres)))
    columns = np.broadcast_to(np.arange(len(centres)), taps.shape)
    np.add.at(found, (np.clip(taps, 0, old - 1).astype(int), columns), amounts)
    return found


def _sizes(x, axes, scales, sizes, policy):
    """(scale, new size) of each of the axes."""
    if sizes is None:
        return [(float(s), int(np.floor(x.shape[a] * np.float64(s) + 1e-9))) for a, s in zip(axes, scales)]
    factors = [int(n) / x.shape[a] for a, n in zip(axes, sizes)]
    if policy == "stretch":
        return list(zip(factors, map(int, sizes)))
    if policy not in ("not_larger", "not_smaller"):
        raise ArgumentError(f"Resize: keep_aspect_ratio_policy={policy!r} is unknown.")
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [(factor, int(factor * x.shape[a] + 0.5)) for a in axes]


@op("Resize", since=11, known=("roi", "scales", "sizes"))
def resize(x, roi=None, scales=None, sizes=None, *, antialias=0, axes=None, coordinate_transformation_mode="half_pixel",
           cubic_coeff_a=-0.75, exclude_outside=0, extrapolation_value=0.0, keep_aspect_ratio_policy="stretch", mode="nearest",
           nearest_mode="round_prefer_floor"):  # fmt: skip
    scales, sizes = (None if v is None or not np.size(v) else np.ravel(v) for v in (scales, sizes))
    if (scales is None) == (sizes is None):
        raise ArgumentError("Resize: give either scales or sizes.")
    if mode not in ("nearest", "linear", "cubic") or nearest_mode not in _ROUNDINGS:
        raise ArgumentError(f"Resize: mode={mode!r} with nearest_mode={nearest_mode!r} is unknown.")
    axes = [a % x.ndim for a in (range(x.ndim) if axes is None else axes)]
    if len(axes) != len(sizes if scales is None else scales):
        raise ShapeError(f"Resize: {len(sizes if scales is None else scales)} sizes or scales for {len(axes)} axes.")
    how = coordinate_transformation_mode
    as_here = scales is None and how in ("half_pixel", "align_corners") and cubic_coeff_a == -0.75
    as_here = as_here and not antialias and not exclude_outside and keep_aspect_ratio_policy == "stretch"
    as_here = as_here and axes == list(range(2, x.ndim))  # as torch.nn.functional.interpolate
    crops = how == "tf_crop_and_resize"
    steps, outside = [], []
    for i, (axis, (scale, new)) in enumerate(zip(axes, _sizes(x, axes, scales, sizes, keep_aspect_ratio_policy))):
        old = x.shape[axis]
        part = (float(roi[i]), float(roi[len(axes) + i])) if crops else None
        if (scale, new) == (1.0, old) and part in (None, (0.0, 1.0)) and (mode == "nearest" or not as_here):
            continue
        check_size(math.prod(x.shape) // max(1, old) * new, x.dtype.itemsize, "The result of Resize")
        check_size(new * (1 if mode == "nearest" else old), 8, "A matrix of Resize")
        if new and not old:
            raise ShapeError(f"Resize: axis {axis} of {x._node.aval} has no pixels.")
        centres = _centres(how, old, new, scale, part)
        if mode == "nearest":
            steps.append((axis, np.clip(_ROUNDINGS[nearest_mode](centres), 0, old - 1).astype(np.int32)))
        elif as_here:
            steps.append((axis, tap_weights(old, new, None, how == "align_corners", mode == "cubic")))
        else:
            steps.append((axis, _weights(centres, old, scale, mode, cubic_coeff_a, antialias, exclude_outside)))
        if crops:
            outside.append((axis, (centres < 0) | (centres > old - 1)))
    y = _nearest(x, steps) if mode == "nearest" else _matrices(x, steps)
    for axis, beyond in outside:
        if beyond.any():
            column = pg.as_tensor(beyond.reshape((-1,) + (1,) * (x.ndim - 1 - axis)), x.device)
            y = pg.where(column, extrapolation_value, y).astype(x.dtype)
    return y


def _nearest(x, steps):
    for axis, index in steps:
        x = pg.take(x, pg.as_tensor(index, x.device), axis=axis, mode="clip")
    return x


def _matrices(x, steps):
    y = apply_matrices(x, steps)
    if y.dtype == x.dtype:
        return y
    limits = np.iinfo(x.dtype)
    return pg.clip(pg.trunc(y), float(limits.min), float(limits.max)).astype(x.dtype)


@op("Resize", since=10, known=("scales",))
def resize_10(x, scales, *, mode="nearest"):
    """Pixel i of the result lies at i / scale; what is nearest is below."""
    return resize(x, None, scales, mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode="floor")


@op("Upsample", since=9, known=("scales",))
def upsample(x, scales, *, mode="nearest"):
    return resize_10(x, scales, mode={"bilinear": "linear"}.get(mode, mode))


@op("Upsample", since=7)
def upsample_7(x, *, scales, mode="nearest"):
    return upsample(x, np.asarray(scales), mode=mode)


# ---- points of a grid ------------------------------------------------------------------------------------------

_GRID_MODES = {"bilinear": "linear", "bicubic": "cubic", "linear": "linear", "cubic": "cubic", "nearest": "nearest"}


def _reflected(x, low, high):
    """x mirrored at both ends until it lies within them."""
    if high == low:
        return x * 0 + low
    span = high - low
    away = (x - low) % (2 * span)
    return low + pg.where(away > span, 2 * span - away, away)


@op("GridSample", since=16)
def grid_sample(x, grid, *, align_corners=0, mode="linear", padding_mode="zeros"):
    """x [N, C, space ...] at the points grid [N, places ..., axes]; -1 and 1 are the ends of an axis, the last axis comes first."""
    if mode not in _GRID_MODES or padding_mode not in ("zeros", "border", "reflection"):
        raise ArgumentError(f"GridSample: mode={mode!r} with padding_mode={padding_mode!r} is unknown.")
    kind, space = _GRID_MODES[mode], x.shape[2:]
    ends = [(0.0, n - 1.0) if align_corners else (-0.5, n - 0.5) for n in space]
    wide = grid.astype("float32") if grid.dtype.itemsize == 2 else grid
    points = []
    for axis, (size, (low, high)) in enumerate(zip(space, ends)):
        point = wide[..., len(space) - 1 - axis]
        point = (point + 1) / 2 * (size - 1) if align_corners else ((point + 1) * size - 1) / 2
        point = pg.round(point) if kind == "nearest" else point
        if padding_mode == "border" and kind != "cubic":  # of cubics only the pixels are those of the border
            point = pg.where(pg.logical_or(point < low, point > high), pg.clip(point, 0.0, size - 1.0), point)
        elif padding_mode == "reflection":
            point = _reflected(point, low, high)
        points.append(point)

    def place(index, axis):
        if padding_mode == "border":
            return pg.clip(index, 0, space[axis] - 1)
        if padding_mode == "reflection":  # as of real numbers, then cut, as in ONNX's definition
            return pg.clip(
                pg.trunc(_reflected(index.astype("float32"), *ends[axis])).astype("int32"), 0, space[axis] - 1
            )
        return index

    if kind == "nearest":
        found = pixels(rows_of(x), space, [place(p.astype("int32"), a) for a, p in enumerate(points)])
    else:
        found = sampled(rows_of(x), space, points, kind, place)
    return pg.moveaxis(found, -1, 1).astype(x.dtype)


@op("AffineGrid", since=20, known=("size",))
def affine_grid(theta, size, *, align_corners=0):
    """theta [N, axes, axes + 1] applied to the points of a grid of this size: [N, space ..., axes]."""
    space = [int(n) for n in size][2:]
    check_size(math.prod(space) * (len(space) + 1), 8, "The grid of AffineGrid")
    lines = []
    for n in space:
        step = np.arange(n, dtype=np.float64)
        lines.append((2 * step / (n - 1) - 1 if n > 1 else -np.ones(1)) if align_corners else (2 * step + 1) / n - 1)
    columns = [*np.meshgrid(*lines, indexing="ij")[::-1], np.ones(space)]
    points = pg.as_tensor(np.stack(columns, -1).reshape(-1, len(space) + 1).astype(theta.dtype), theta.device)
    return pg.reshape(pg.matmul(points, pg.swapaxes(theta, 1, 2)), (theta.shape[0], *space, len(space)))


# ---- files ----------------------------------------------------------------------------------------------------


@op("ImageDecoder", since=20, known=("encoded_stream",))
def image_decoder(encoded_stream, *, pixel_format="RGB"):
    """The pixels, uint8 [height, width, channels], of a file of an image."""
    if pixel_format not in ("RGB", "BGR", "Grayscale"):
        raise ArgumentError(f"ImageDecoder: pixel_format={pixel_format!r} is unknown.")
    if encoded_stream.dtype != np.uint8:
        raise DtypeError(f"ImageDecoder takes the bytes of a file, not {encoded_stream.dtype}.")
    try:
        import io

        from PIL import Image
    except ImportError:
        raise NotImplementedError("ImageDecoder needs the package Pillow.") from None
    try:
        picture = Image.open(io.BytesIO(encoded_stream.tobytes()))
        array = np.array(picture.convert("L" if pixel_format == "Grayscale" else "RGB"))
    except Exception as error:  # Pillow's formats raise what they like, and an error of its own for bombs
        raise ArgumentError(f"ImageDecoder: no image: {error}.") from None
    if pixel_format == "Grayscale":
        array = array[..., None]
    return pg.as_tensor(np.ascontiguousarray(array[..., ::-1] if pixel_format == "BGR" else array))
