"""Images in other sizes: separable interpolation as one matrix product per axis; pixel shuffles.

The matrices depend on sizes only; they are computed with NumPy in float64 when the function is called or traced.
"""

import functools
import math

import numpy as np

from ..core.device import device as devices
from ..core.dtype import dt
from ..core.errors import ArgumentError, ShapeError
from ..core.tensor import tensor_from_numpy
from ..primitives import elementwise as e
from ..primitives import shape as s
from ..primitives.contraction import dot_general
from .arithmetic import floating, new_handle
from .creation import as_tensor, shape_of
from .rearrange import take

# ---- resize: as in JAX --------------------------------------------------------------------------------


@new_handle
def resize(image, shape, method="bilinear", antialias=False):
    """`image` scaled to `shape`, all its axes, as jax.image.resize: pixels are squares whose centres are sampled.

    method: "nearest", "bilinear" (= "linear"), or "bicubic" (= "cubic", Keys with a = -0.5); they apply to every axis
    whose size changes. antialias: when an axis shrinks, each pixel is an average over all that it covers (JAX's default).
    Values beyond the border do not count. Integers become float32, except with "nearest".
    """
    image, shape = as_tensor(image), shape_of(shape)
    if len(shape) != image.ndim:
        raise ShapeError(f"resize: {image._node.aval} to shape {list(shape)}.", fix="give a size for each axis.")
    if method not in ("nearest", "bilinear", "linear", "bicubic", "cubic"):
        raise ArgumentError(f"resize: method={method!r} is unknown.", fix="use 'nearest', 'bilinear' or 'bicubic'.")
    changed = [a for a in range(image.ndim) if shape[a] != image.shape[a]]
    _check_sizes("resize", image, shape)
    if method == "nearest":
        for a in changed:
            image = take(image, nearest_pixels(image.shape[a], shape[a], 0.5), a, mode="clip")
        return image
    kind = "linear" if "linear" in method else "cubic"
    return _apply(image, [(a, kernel_weights(image.shape[a], shape[a], kind, bool(antialias))) for a in changed])


def _check_sizes(name, image, shape):
    if any(n and not old for n, old in zip(shape, image.shape)):
        raise ShapeError(f"{name}: an axis of {image._node.aval} has no pixels to take {list(shape)} from.")


@functools.lru_cache(64)
def nearest_pixels(old, new, offset):
    """Which of the old pixels each of the new ones is; offset 0.5: the one that its centre lies in."""
    return np.minimum(np.floor((np.arange(new) + offset) * (old / new)), old - 1).astype(np.int32)


@functools.lru_cache(64)
def kernel_weights(old, new, kind, antialias):
    """weights[i, j]: how much pixel i counts in the new pixel j."""
    ratio = old / new if new else 1.0
    width = max(ratio, 1.0) if antialias else 1.0
    centre = (np.arange(new) + 0.5) * ratio - 0.5
    distance = np.abs(centre[None, :] - np.arange(old)[:, None]) / width
    weights = np.maximum(0, 1 - distance) if kind == "linear" else _cubic(distance, -0.5)
    return weights / weights.sum(0, keepdims=True)


def _cubic(distance, a):
    """Keys' kernel (1981): 1 at 0, 0 at all other integers."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def _apply(image, steps):
    """image times a matrix [old, new] on each of some axes; 16-bit floats are computed in float32."""
    image = floating(image)
    x = e.convert_to(image, dt.float32) if image.dtype.itemsize == 2 else image
    for axis, weights in steps:
        matrix = tensor_from_numpy(weights.astype(x.dtype), devices(x.device))
        x = dot_general(x, matrix, contract=((axis,), (0,)), batch=((), ()), dtype=x.dtype)
        if axis != x.ndim - 1:
            x = s.transpose(x, permutation=(*range(axis), x.ndim - 1, *range(axis, x.ndim - 1)))
    return e.convert_to(x, image.dtype, image.weak_type)


# ---- interpolate: as in PyTorch ------------------------------------------------------------------------

_MODES = {"nearest": None, "nearest-exact": None, "linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


@new_handle
def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=False):
    """x [N, C, positions ...] with other sizes of positions, as torch.nn.functional.interpolate.

    size: an int or one per axis of positions; or scale_factor: a number or one per axis. mode: "nearest",
    "nearest-exact", "linear" (one axis of positions), "bilinear", "bicubic" (two; Keys with a = -0.75), "trilinear"
    (three). align_corners: the centres of the corner pixels keep their places.
    """
    x = as_tensor(x)
    axes = range(2, x.ndim)
    if mode not in _MODES:
        raise ArgumentError(
            f"interpolate: mode={mode!r} is unknown.", fix="use nearest, nearest-exact, (bi, tri)linear, bicubic."
        )
    if x.ndim < 3 or _MODES[mode] not in (None, len(axes)):
        raise ShapeError(
            f"interpolate: {x._node.aval} does not fit mode={mode!r}.", fix="x has shape [N, C, positions ...]."
        )
    if align_corners and mode.startswith("nearest"):
        raise ArgumentError(f"interpolate: align_corners has no meaning for mode={mode!r}.", fix="leave it out.")
    if (size is None) == (scale_factor is None):
        raise ArgumentError("interpolate: give either size or scale_factor.")
    each = lambda v: list(v) if isinstance(v, (tuple, list)) else [v] * len(axes)
    if size is not None:
        sizes, ratios = each(size), [None] * len(axes)
    else:
        factors = each(scale_factor)
        sizes = [math.floor(x.shape[a] * f) for a, f in zip(axes, factors)]
        ratios = [1 / f for f in factors]
    if len(sizes) != len(axes):
        raise ShapeError(f"interpolate: {len(sizes)} sizes for {len(axes)} axes of positions.")
    _check_sizes("interpolate", x, (*x.shape[:2], *shape_of(sizes)))
    if mode.startswith("nearest"):
        for a, n, ratio in zip(axes, sizes, ratios):
            old = x.shape[a]
            offset = 0.5 if mode == "nearest-exact" else 0.0
            positions = np.floor((np.arange(n) + offset) * (old / max(n, 1) if ratio is None else ratio))
            x = take(x, np.minimum(positions, old - 1).astype(np.int32), a, mode="clip")
        return x
    cubic = mode == "bicubic"
    steps = [
        (a, tap_weights(x.shape[a], n, ratio, bool(align_corners), cubic)) for a, n, ratio in zip(axes, sizes, ratios)
    ]
    return _apply(x, [(a, w) for a, w in steps if w is not None])


@functools.lru_cache(64)
def tap_weights(old, new, ratio, align_corners, cubic):
    """weights[i, j] of pixel i in the new pixel j; the border pixels stand for all beyond them."""
    index = np.arange(new)
    if align_corners:
        centre = index * ((old - 1) / (new - 1) if new > 1 else 0.0)
    else:
        centre = (index + 0.5) * (old / max(new, 1) if ratio is None else ratio) - 0.5
        centre = centre if cubic else np.maximum(centre, 0)
    first = np.floor(centre)
    weights = np.zeros((old, new))
    for tap in (-1, 0, 1, 2) if cubic else (0, 1):
        distance = np.abs(centre - (first + tap))
        amount = _cubic(distance, -0.75) if cubic else 1 - distance
        np.add.at(weights, (np.clip(first + tap, 0, old - 1).astype(int), index), amount)
    return weights


# ---- pixel shuffles --------------------------------------------------------------------------------------


def pixel_shuffle(x, factor):
    """[..., C * factor ** 2, H, W] as [..., C, H * factor, W * factor]: channels become pixels (Shi et al., 2016)."""
    x = as_tensor(x)
    if x.ndim < 3 or factor < 1 or x.shape[-3] % factor**2:
        raise ShapeError(
            f"pixel_shuffle: {x._node.aval} has no {factor} x {factor} pixels per channel.",
            fix="x has shape [..., C * factor ** 2, H, W].",
        )
    *lead, c, h, w = x.shape
    n = len(lead)
    x = s.reshape_to(x, (*lead, c // factor**2, factor, factor, h, w))
    x = s.transpose(x, permutation=(*range(n + 1), n + 3, n + 1, n + 4, n + 2))
    return s.reshape_to(x, (*lead, c // factor**2, h * factor, w * factor))


def pixel_unshuffle(x, factor):
    """The inverse of pixel_shuffle: [..., C, H * factor, W * factor] as [..., C * factor ** 2, H, W]."""
    x = as_tensor(x)
    if x.ndim < 3 or factor < 1 or x.shape[-2] % factor or x.shape[-1] % factor:
        raise ShapeError(
            f"pixel_unshuffle: the last two axes of {x._node.aval} are not multiples of {factor}.",
            fix="x has shape [..., C, H * factor, W * factor].",
        )
    *lead, c, h, w = x.shape
    n = len(lead)
    x = s.reshape_to(x, (*lead, c, h // factor, factor, w // factor, factor))
    x = s.transpose(x, permutation=(*range(n + 1), n + 2, n + 4, n + 1, n + 3))
    return s.reshape_to(x, (*lead, c * factor**2, h // factor, w // factor))


__all__ = ["resize", "interpolate", "pixel_shuffle", "pixel_unshuffle"]
