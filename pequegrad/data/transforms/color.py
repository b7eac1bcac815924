"""ColorJitter: random changes of brightness, contrast, saturation and hue. See transforms/__init__.py."""

import numpy as np

from ...core.errors import ArgumentError, ShapeError
from .base import Transform, checked_images, library

_GREY = np.array([0.299, 0.587, 0.114], np.float32).reshape(3, 1, 1)  # luma of ITU-R BT.601


class ColorJitter(Transform):
    """Random brightness, then contrast, saturation and hue, each image by itself; values are 0 ... 1, or bytes.

    brightness, contrast, saturation: the factor is uniform in [max(0, 1 - value), 1 + value], or in the given (low, high);
    factor 1 changes nothing. hue: the shift, of the circle of colours as 1, is uniform in [-value, value], value <= 0.5. With

        brightness:  x f                  contrast:  mean(grey) + (x - mean(grey)) f
        saturation:  grey + (x - grey) f  hue:       HSV with H + shift (Smith, 1978)

    and results are clipped to 0 ... 1. Images have three channels (RGB); one is enough for brightness and contrast.

    >>> ColorJitter(brightness=(0.5, 0.5))(np.array([[[200]]], np.uint8))
    array([[[100]]], dtype=uint8)
    """

    count = 4

    def __init__(self, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, seed=None):
        super().__init__(seed)
        self.brightness = _range("brightness", brightness, 1.0)
        self.contrast = _range("contrast", contrast, 1.0)
        self.saturation = _range("saturation", saturation, 1.0)
        self.hue = _range("hue", hue, 0.0)
        if not -0.5 <= self.hue[0] <= self.hue[1] <= 0.5:
            raise ArgumentError(f"ColorJitter: hue={hue!r} is not within -0.5 ... 0.5.")

    def apply(self, x, numbers):
        channels = checked_images(self, x).shape[-3]
        if channels != 3 and (channels != 1 or self.saturation != (1, 1) or self.hue != (0, 0)):
            raise ShapeError(f"ColorJitter takes images [3, H, W], got {list(x.shape)}.")
        lib, dtype = library(x), np.dtype(x.dtype)
        white = np.float32(np.iinfo(dtype).max if dtype.kind in "ui" else 1)
        x = x.astype(np.float64 if dtype == np.float64 else np.float32) / white
        for number, (name, change) in enumerate(_CHANGES.items()):
            low, high = getattr(self, name)
            if (low, high) == _NOTHING[name]:
                continue
            factor = (numbers[..., number] * np.float32(high - low) + np.float32(low))[..., None, None, None]
            x = lib.clip(change(lib, x, factor), 0, 1)
        return (lib.round(x * white) if dtype.kind in "ui" else x).astype(dtype)


def _range(name, value, centre):
    """(low, high) of an argument; around 1 it has no negative factors."""
    if isinstance(value, (tuple, list)):
        low, high = (float(v) for v in value)
    else:
        low, high = centre - float(value), centre + float(value)
        low = max(low, 0.0) if centre else low
        if value < 0:
            raise ArgumentError(f"ColorJitter: {name}={value!r} is negative.")
    if low > high or (centre and low < 0):
        raise ArgumentError(f"ColorJitter: {name}={value!r} is no range of {'factors' if centre else 'shifts'}.")
    return low, high


def _grey(x):
    return (x * _GREY).sum(-3, keepdims=True) if x.shape[-3] == 3 else x


def _brightness(lib, x, factor):
    return x * factor


def _contrast(lib, x, factor):
    mean = lib.mean(_grey(x), axis=(-3, -2, -1), keepdims=True)
    return mean + (x - mean) * factor


def _saturation(lib, x, factor):
    grey = _grey(x)
    return grey + (x - grey) * factor


def _hue(lib, x, shift):
    """RGB of HSV, without branches: a channel is V - V S max(0, min(k, 4 - k, 1)), k = (n + 6 H) mod 6, n = 5, 3, 1."""
    value, least = lib.max(x, axis=-3, keepdims=True), lib.min(x, axis=-3, keepdims=True)
    red, green, blue = x[..., 0:1, :, :], x[..., 1:2, :, :], x[..., 2:3, :, :]
    chroma = value - least
    safe = lib.where(chroma == 0, np.float32(1), chroma)
    sixths = lib.where(
        value == red,
        (green - blue) / safe,
        lib.where(value == green, (blue - red) / safe + np.float32(2), (red - green) / safe + np.float32(4)),
    )
    k = lib.remainder(sixths + shift * np.float32(6) + _CHANNELS, np.float32(6))
    return value - chroma * lib.clip(lib.minimum(k, np.float32(4) - k), 0, 1)


_CHANNELS = np.array([5, 3, 1], np.float32).reshape(3, 1, 1)
_CHANGES = {"brightness": _brightness, "contrast": _contrast, "saturation": _saturation, "hue": _hue}
_NOTHING = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}
