"""Modules that change shapes only."""

from ...ops.creation import as_tensor
from ...ops.shape import reshape
from .. import functional as F
from ..layer import Layer, modules_of

_LAYERS = modules_of(__name__, {
    "Upsample": (F.interpolate, 1), "PixelUnshuffle": (F.pixel_unshuffle, 1),
})  # fmt: skip
globals().update(_LAYERS)


class PixelShuffle(Layer):
    """[..., C r^2, H, W] as [..., C, H r, W r], r = upscale_factor: channels become pixels (Shi et al., 2016).

    >>> PixelShuffle(2)(pg.ones((1, 8, 3, 3))).shape
    (1, 2, 6, 6)
    """

    def __init__(self, upscale_factor):
        self.upscale_factor = upscale_factor

    def forward(self, input):
        return F.pixel_shuffle(input, self.upscale_factor)


class Identity(Layer):
    """y = x. Arguments of the constructor are for the layer it stands in for; they mean nothing.

    >>> Identity()(pg.ones(2)).tolist()
    [1.0, 1.0]
    """

    def __init__(self, *args, **kwargs):
        pass

    def forward(self, input):
        return input

    def __repr__(self):
        return "Identity()"


class Flatten(Layer):
    """y: x with the axes from start_dim to end_dim as one.

    >>> Flatten()(pg.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start_dim=1, end_dim=-1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return F.flatten(input, self.start_dim, self.end_dim)


class Reshape(Layer):
    """y: x [N, ...] as [N, *shape]; one size may be -1.

    >>> Reshape(2, -1)(pg.ones((5, 6))).shape
    (5, 2, 3)
    """

    def __init__(self, *shape):
        self.shape = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape

    def forward(self, input):
        x = as_tensor(input)
        return reshape(x, (x.shape[0], *self.shape))

    def __repr__(self):
        return f"Reshape{self.shape}"


__all__ = ["Flatten", "Identity", "PixelShuffle", "Reshape"]
__all__ += list(_LAYERS)
