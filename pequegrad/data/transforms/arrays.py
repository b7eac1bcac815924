"""Transforms between kinds of arrays, orders of axes, and scales of values."""

import numpy as np

from ...core.errors import ArgumentError, ShapeError
from ...core.tensor import Tensor
from .base import Transform, checked_images, library


class ToTensor(Transform):
    """A Tensor on `device`, of a NumPy array or a Pillow image. Bytes become float32 in 0 ... 1, other dtypes stay.

    The axes stay in their order: Pillow images give [height, width, channels].

    >>> ToTensor()(np.array([0, 51, 255], np.uint8)).numpy()
    array([0. , 0.2, 1. ], dtype=float32)
    """

    def __init__(self, device="cpu"):
        from ...core.device import device as devices

        self.device = devices(device)

    def apply(self, x, numbers):
        if not isinstance(x, Tensor):
            x = Tensor(np.asarray(x), device=self.device).detach()
        x = x.to(self.device)
        return x.astype(np.float32) / 255 if x.dtype == np.uint8 else x


class EvalAndDetach(Transform):
    """The same Tensor, computed and without history; NumPy arrays and the traced Tensors in JitCompose pass unchanged.

    >>> EvalAndDetach()(Tensor([1.0]) * 2).evaled
    True
    """

    def __init__(self):
        pass

    def apply(self, x, numbers):
        if not isinstance(x, Tensor) or x._node.frame is not None:
            return x
        return x.detach().eval()


class PermuteFromTo(Transform):
    """Axes in another order: axis `to[i]` of `source` order becomes axis i, as labels: ("hwc", "chw"), or numbers.

    Axes in front of the named ones stay where they are: the same transform serves an image and a batch.

    >>> PermuteFromTo((0, 1, 2), (2, 0, 1))(np.zeros((32, 48, 3))).shape
    (3, 32, 48)
    >>> PermuteFromTo("hwc", "chw")(np.zeros((8, 32, 48, 3))).shape
    (8, 3, 32, 48)
    """

    def __init__(self, source, to):
        self.source, self.to = tuple(source), tuple(to)
        if len(set(self.source)) != len(self.source) or sorted(self.source) != sorted(self.to):
            raise ArgumentError(f"PermuteFromTo: {self.to} is no other order of the axes {self.source}.")

    def apply(self, x, numbers):
        front = x.ndim - len(self.source)
        if front < 0:
            raise ShapeError(f"PermuteFromTo from {self.source}: the image has shape {list(x.shape)}.")
        axes = (*range(front), *(front + self.source.index(axis) for axis in self.to))
        return library(x).transpose(x, axes)


class Normalize(Transform):
    """(x - mean) / std, with one mean and std for each channel, or one for all. Integers become float32 first, unscaled.

    >>> Normalize((0.0, 1.0), 2.0)(np.ones((2, 1, 1), np.float32)).ravel()
    array([0.5, 0. ], dtype=float32)
    """

    def __init__(self, mean, std):
        self.mean, self.std = (np.asarray(value, np.float32).reshape(-1, 1, 1) for value in (mean, std))
        if not np.all(self.std > 0):
            raise ArgumentError(f"Normalize: std={std} must be positive.")

    def apply(self, x, numbers):
        channels = checked_images(self, x).shape[-3]
        if {len(self.mean), len(self.std)} - {1, channels}:
            raise ShapeError(
                f"Normalize has {len(self.mean)} means and {len(self.std)} stds, the image {channels} channels, [..., C, H, W]."
            )
        if np.dtype(x.dtype).kind in "bui":
            x = x.astype(np.float32)
        return (x - self.mean.astype(x.dtype)) / self.std.astype(x.dtype)
