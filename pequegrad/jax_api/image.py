"""jax.image: images in other sizes, by separable interpolation: one matrix product per axis."""

import enum
import functools
from types import SimpleNamespace

import numpy as np

from ..core.dtype import default_float, is_inexact
from ..core.errors import MisfitError
from ..ops import arithmetic, shape
from ..primitives import elementwise as e
from ..primitives import shape as s
from ..primitives.contraction import dot_general
from ..primitives.indexing import Places, gather
from .convert import as_array, from_numpy
from .lax.operands import ints, wrapped_axis
from .lax.types import Precision, check_precision


class ResizeMethod(enum.Enum):
    """How pixels are interpolated."""

    NEAREST = 0
    LINEAR = 1
    LANCZOS3 = 2
    LANCZOS5 = 3
    CUBIC = 4
    CUBIC_PYTORCH = 5
    AREA = 6

    @staticmethod
    def from_string(s):
        """The method of this name: "nearest", "bilinear", "lanczos3", "bicubic", "area" ..."""
        if s not in _NAMES:
            raise ValueError(f'Unknown resize method "{s}"')
        return ResizeMethod[_NAMES[s]]


_NAMES = {
    "nearest": "NEAREST", "linear": "LINEAR", "bilinear": "LINEAR", "trilinear": "LINEAR", "triangle": "LINEAR",
    "lanczos3": "LANCZOS3", "lanczos5": "LANCZOS5", "cubic": "CUBIC", "bicubic": "CUBIC", "tricubic": "CUBIC",
    "cubic-pytorch": "CUBIC_PYTORCH", "bicubic-pytorch": "CUBIC_PYTORCH", "area": "AREA",
}  # fmt: skip


def _image(image, shape):
    image = as_array(image, "image")
    shape = ints(shape)
    if len(shape) != image.ndim:
        raise MisfitError(f"shape must have length equal to the number of dimensions of x; {shape} vs {image.shape}")
    return image, shape


def _method(method, antialias):
    method = ResizeMethod.from_string(method) if isinstance(method, str) else ResizeMethod(method)
    return ResizeMethod.CUBIC if method is ResizeMethod.CUBIC_PYTORCH and antialias else method


def resize(image, shape, method, antialias=True, precision=Precision.HIGHEST):
    """The image scaled to `shape`, all its axes; pixels are squares whose centres are sampled.

    method: a ResizeMethod or its name. antialias: where an axis shrinks, each pixel is a mean over all that it covers.
    """
    check_precision(precision)
    image, shape = _image(image, shape)
    method = _method(method, antialias)
    changed = [a for a in range(image.ndim) if shape[a] != image.shape[a]]
    if method is ResizeMethod.NEAREST:
        for a in changed:
            image = _take(image, a, _nearest(image.shape[a], shape[a]))
        return image
    return _apply(image, {a: _resize_weights(image.shape[a], shape[a], method, bool(antialias)) for a in changed})


def scale_and_translate(image, shape, spatial_dims, scale, translation, method, antialias=True,
                        precision=Precision.HIGHEST):  # fmt: skip
    """The image, scaled and moved along spatial_dims, seen through a window of this `shape`.

    A pixel at x lands at x * scale + translation; scale and translation [number of spatial_dims] may be traced, and have
    derivatives. What lies outside of the image is 0. The methods are those of resize without "nearest".
    """
    check_precision(precision)
    image, shape = _image(image, shape)
    method = _method(method, antialias)
    if method is ResizeMethod.NEAREST:
        raise ValueError("Nearest neighbor resampling is not currently supported for scale_and_translate.")
    scale, translation = arithmetic.promoted(as_array(scale, "scale"), as_array(translation, "translation"))
    if not is_inexact(scale.dtype):
        scale, translation = (e.convert_to(v, default_float()) for v in (scale, translation))
    axes = [wrapped_axis(a, image.ndim, "scale_and_translate") for a in spatial_dims]
    if scale.shape != (len(axes),) or translation.shape != (len(axes),):
        raise MisfitError(f"scale_and_translate: {len(axes)} spatial_dims need as many scales and translations.")
    weights = {}
    for i, a in enumerate(axes):
        weights[a] = _weights(image.shape[a], shape[a], scale[i], translation[i], method, bool(antialias), _ARRAYS)
    return _apply(image, weights)


# ---- weights -------------------------------------------------------------------------------------------------


def _count(like, begin, n):
    numbers = s.iota(shape=(n,), dtype=like.dtype, axis=0, device=like.device)
    return numbers + begin if begin else numbers


# what the functions below need of NumPy, on arrays that may be traced; `count(like, begin, n)`: begin, begin + 1, ...
_ARRAYS = SimpleNamespace(
    abs=arithmetic.abs, maximum=arithmetic.maximum, minimum=arithmetic.minimum, where=arithmetic.where,
    sin=arithmetic.sin, concatenate=shape.concatenate, count=_count,
)  # fmt: skip
_NUMPY = SimpleNamespace(
    abs=np.abs, maximum=np.maximum, minimum=np.minimum, where=np.where, sin=np.sin, concatenate=np.concatenate,
    count=lambda like, begin, n: np.arange(begin, begin + n, dtype=np.float64),
)  # fmt: skip


def _triangle(x, xp):
    return xp.maximum(1 - x, 0)


def _cubic(a):
    """Keys' kernel (1981): 1 at 0, 0 at all other integers."""

    def kernel(x, xp):
        near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
        far = ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
        return xp.where(x >= 2.0, 0.0, xp.where(x >= 1.0, far, near))

    return kernel


def _lanczos(radius):
    """sinc(x) sinc(x / radius) below the radius."""

    def kernel(x, xp):
        away = x > 1e-3
        product = radius * xp.sin(np.pi * x) * xp.sin(np.pi / radius * x)
        found = xp.where(away, product / xp.where(away, np.pi**2 * x * x, 1.0), 1.0)
        return xp.where(x > radius, 0.0, found)

    return kernel


_KERNELS = {
    ResizeMethod.LINEAR: _triangle, ResizeMethod.LANCZOS3: _lanczos(3.0), ResizeMethod.LANCZOS5: _lanczos(5.0),
    ResizeMethod.CUBIC: _cubic(-0.5), ResizeMethod.CUBIC_PYTORCH: _cubic(-0.75),
}  # fmt: skip
_REACH = 2  # pixels beyond the border that a cubic kernel reads


def _weights(old, new, scale, translation, method, antialias, xp):
    """weights[i, j]: how much pixel i counts in the new pixel j."""
    ratio = 1.0 / scale
    places = xp.count(ratio, 0, new)
    centre = (places + 0.5) * ratio - translation * ratio - 0.5
    repeats_border = method is ResizeMethod.CUBIC_PYTORCH
    pixels = xp.count(ratio, -_REACH, old + 2 * _REACH) if repeats_border else xp.count(ratio, 0, old)
    pixels = pixels[:, None]
    if method is ResizeMethod.AREA:  # the overlap of the intervals that pixels cover
        left = (places * ratio - translation * ratio)[None, :]
        weights = xp.maximum(xp.minimum(left + ratio, pixels + 1.0) - xp.maximum(left, pixels), 0)
    else:
        width = xp.maximum(ratio, 1.0) if antialias else 1.0
        weights = _KERNELS[method](xp.abs(centre[None, :] - pixels) / width, xp)
    if repeats_border:
        weights = _folded_border(weights, old, xp)
    total = weights.sum(0, keepdims=True)
    weights = xp.where(
        xp.abs(total) > 1000 * float(np.finfo(np.float32).eps), weights / xp.where(total != 0, total, 1), 0
    )
    if repeats_border:
        return weights
    inside = (centre >= -0.5) & (centre <= old - 0.5)
    return xp.where(inside[None, :], weights, 0)


def _folded_border(weights, old, xp):
    """What pixels beyond the border weigh, added to the pixels at the border."""
    if old == 1:
        return weights.sum(0, keepdims=True)
    first, last = weights[: _REACH + 1], weights[old + _REACH - 1 :]
    middle = weights[_REACH + 1 : old + _REACH - 1]
    return xp.concatenate([first.sum(0, keepdims=True), middle, last.sum(0, keepdims=True)], 0)


@functools.lru_cache(64)
def _resize_weights(old, new, method, antialias):
    scale = new / old if new and old else 1.0
    return _weights(old, new, scale, 0.0, method, antialias, _NUMPY)


@functools.lru_cache(64)
def _nearest(old, new):
    middle = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * np.float32(old) / np.float32(max(new, 1))
    return np.floor(middle).astype(np.int32)


# ---- pixels --------------------------------------------------------------------------------------------------


def _take(x, axis, positions):
    others = tuple(i for i in range(x.ndim) if i != axis)
    places = Places(window=others, collapsed=(axis,), index_map=(axis,))
    sizes = tuple(1 if i == axis else n for i, n in enumerate(x.shape))
    return gather(x, from_numpy(positions[:, None], x.device), places=places, sizes=sizes, mode="clip")


def _apply(image, weights):
    """The image times a matrix [old, new] on each of some axes; 16-bit floats are computed in float32."""
    if not is_inexact(image.dtype):
        image = e.convert_to(image, default_float(), image.weak_type)
    x = e.convert_to(image, np.dtype(np.float32)) if image.dtype.itemsize == 2 else image
    for axis, matrix in weights.items():
        if isinstance(matrix, np.ndarray):
            matrix = from_numpy(matrix, x.device, dtype=x.dtype)
        x = dot_general(x, e.convert_to(matrix, x.dtype), contract=((axis,), (0,)), batch=((), ()), dtype=x.dtype)
        if axis != x.ndim - 1:
            x = s.transpose(x, permutation=(*range(axis), x.ndim - 1, *range(axis, x.ndim - 1)))
    return e.convert_to(x, image.dtype, image.weak_type)


__all__ = ["ResizeMethod", "resize", "scale_and_translate"]
