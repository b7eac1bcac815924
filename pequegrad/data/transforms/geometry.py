"""Transforms that move pixels: crops, flips, other sizes. See transforms/__init__.py."""

import numpy as np

from ...core.errors import ArgumentError, ShapeError
from ...core.tensor import Tensor
from ...ops.image import kernel_weights, nearest_pixels
from .base import Transform, checked_images, library


def _pair(name, value, least):
    """(value, value) of an int, or the pair itself; the message names the argument `name`."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(isinstance(n, (int, np.integer)) and n >= least for n in pair):
        raise ArgumentError(f"{name}={value!r} is neither an int >= {least} nor a pair of them.")
    return tuple(int(n) for n in pair)


def _checked_crop(transform, x, size):
    height, width = x.shape[-2:]
    if size[0] > height or size[1] > width:
        raise ShapeError(
            f"{type(transform).__name__} to {list(size)} of an image of {height} x {width} pixels.",
            fix="RandomCrop(..., padding=n) adds a border; Resize makes it larger.",
        )


class CenterCrop(Transform):
    """The middle of the image: size is (height, width), or an int for both; half of an odd remainder rounds to even.

    >>> CenterCrop(2)(np.arange(16).reshape(1, 4, 4))
    array([[[ 5,  6],
            [ 9, 10]]])
    """

    def __init__(self, size):
        self.size = _pair("CenterCrop: size", size, 1)

    def apply(self, x, numbers):
        _checked_crop(self, checked_images(self, x), self.size)
        top, left = (round((have - want) / 2) for have, want in zip(x.shape[-2:], self.size))
        return x[..., top : top + self.size[0], left : left + self.size[1]]


class RandomCrop(Transform):
    """A part of `size` (height, width; or an int) at a random place, of the image with `padding` zero pixels around it.

    All places are equally likely. padding: an int, or (left and right, top and bottom). seed: see the module.

    >>> RandomCrop(32, padding=4)(np.zeros((3, 32, 32), np.uint8)).shape
    (3, 32, 32)
    """

    count = 2

    def __init__(self, size, padding=0, seed=None):
        super().__init__(seed)
        self.size = _pair("RandomCrop: size", size, 1)
        self.padding = _pair("RandomCrop: padding", padding, 0)

    def apply(self, x, numbers):
        checked_images(self, x)
        lib = library(x)
        if any(self.padding):
            x = _with_border(lib, x, *self.padding)
        _checked_crop(self, x, self.size)
        places = np.array([have - want + 1 for have, want in zip(x.shape[-2:], self.size)], np.float32)
        # a product can be rounded up to the number of places
        starts = lib.minimum(lib.floor(numbers * places), places - 1).astype(np.int32)
        return _cropped(x, starts, self.size)


def _with_border(lib, x, beside, above):
    """x with zero pixels around it. For small arrays np.pad takes ten times as long."""
    height, width = x.shape[-2:]
    if lib is not np:
        return lib.pad(x, [(0, 0)] * (x.ndim - 2) + [(above, above), (beside, beside)])
    wider = np.zeros((*x.shape[:-2], height + 2 * above, width + 2 * beside), x.dtype)
    wider[..., above : above + height, beside : beside + width] = x
    return wider


def _cropped(x, starts, size):
    """x[..., h, w] cut out at starts [..., 2], one for each image."""
    if not isinstance(x, Tensor):
        if x.ndim == 3:
            return x[:, starts[0] : starts[0] + size[0], starts[1] : starts[1] + size[1]]
        return np.stack([_cropped(image, start, size) for image, start in zip(x, starts)])
    from ...ops.dynamic import dynamic_slice
    from ...transforms.vmap import vmap

    cut = lambda image, start: dynamic_slice(image, (0, start[0], start[1]), (image.shape[0], *size))
    return cut(x, starts) if x.ndim == 3 else vmap(cut)(x, starts)


class RandomHorizontalFlip(Transform):
    """Left and right exchanged with probability p, for each image by itself.

    >>> RandomHorizontalFlip(p=1.0)(np.array([[[1, 2, 3]]]))
    array([[[3, 2, 1]]])
    """

    count = 1

    def __init__(self, p=0.5, seed=None):
        super().__init__(seed)
        if not 0 <= p <= 1:
            raise ArgumentError(f"RandomHorizontalFlip: p={p!r} is no probability.")
        self.p = float(p)

    def apply(self, x, numbers):
        lib = library(checked_images(self, x))
        flip = numbers[..., 0] < np.float32(self.p)
        if isinstance(flip, np.bool_) and lib is np:
            return x[..., ::-1] if flip else x
        return lib.where(flip[..., None, None, None], x[..., ::-1], x)


class Resize(Transform):
    """The image in another size: (height, width), or an int for the shorter side, the other in proportion.

    method: "bilinear" or "nearest". antialias: when it shrinks, a pixel is the weighted mean of all that it covers (bilinear only).
    Pixels are squares whose centres are sampled, as in Pillow and jax.image. The dtype stays; bytes are rounded.

    >>> Resize((1, 2))(np.array([[[0.0, 7.0, 14.0, 21.0]]], np.float32))
    array([[[ 5., 16.]]], dtype=float32)
    """

    def __init__(self, size, method="bilinear", antialias=True):
        if method not in ("bilinear", "nearest"):
            raise ArgumentError(f"Resize: method={method!r} is neither 'bilinear' nor 'nearest'.")
        self.shorter = int(size) if isinstance(size, (int, np.integer)) else None
        self.size = _pair("Resize: size", size, 1)
        self.method, self.antialias = method, bool(antialias)

    def _target(self, height, width):
        if self.shorter is None:
            return self.size
        least = min(height, width)
        return tuple(self.shorter if n == least else max(1, int(self.shorter * n / least)) for n in (height, width))

    def apply(self, x, numbers):
        checked_images(self, x)
        if not x.size:
            raise ShapeError(f"Resize of an image without pixels, {list(x.shape)}.")
        old, new = x.shape[-2:], self._target(*x.shape[-2:])
        for axis, before, after in ((-2, old[0], new[0]), (-1, old[1], new[1])):
            if before != after and self.method == "nearest":
                x = library(x).take(x, nearest_pixels(before, after, 0.5), axis=axis)
        return x if self.method == "nearest" or old == new else self._bilinear(x, old, new)

    def _bilinear(self, x, old, new):
        """Weights @ x @ weights: a matrix for each axis that changes."""
        lib, dtype = library(x), np.dtype(x.dtype)
        work = np.float64 if dtype == np.float64 else np.float32
        down, across = (kernel_weights(a, b, "linear", self.antialias).astype(work) for a, b in zip(old, new))
        x = x.astype(work)
        x = lib.matmul(x, across) if old[1] != new[1] else x
        x = lib.matmul(down.T, x) if old[0] != new[0] else x
        if dtype.kind in "ui":
            x = lib.clip(lib.round(x), np.iinfo(dtype).min, np.iinfo(dtype).max)
        return x.astype(dtype)
