"""Pooling: modules without parameters."""

from .. import functional as F
from ..layer import Layer, modules_of

_MEANS = modules_of(__name__, {
    "AvgPool1d": (F.avg_pool1d, 1), "AvgPool2d": (F.avg_pool2d, 1), "AvgPool3d": (F.avg_pool3d, 1),
    "AdaptiveAvgPool1d": (F.adaptive_avg_pool1d, 1), "AdaptiveAvgPool2d": (F.adaptive_avg_pool2d, 1),
    "AdaptiveAvgPool3d": (F.adaptive_avg_pool3d, 1),
})  # fmt: skip
globals().update(_MEANS)


class _MaxPool(Layer):
    """y: the largest element under each place of a window over x [N, C, space ...]; padding never wins.

    stride: by default kernel_size. ceil_mode: a last window may reach over the end. return_indices: the result is (y, where
    each element lies: its number among the elements of its channel).

    >>> MaxPool1d(2)(pg.Tensor([[[1.0, 3.0, 2.0, 0.0]]])).tolist()
    [[[3.0, 2.0]]]
    """

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input):
        function = getattr(F, f"max_pool{self.n}d")
        options = (self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)
        return function(input, *options)


class MaxPool1d(_MaxPool):
    __doc__, n = _MaxPool.__doc__, 1


class MaxPool2d(_MaxPool):
    __doc__, n = _MaxPool.__doc__, 2


class MaxPool3d(_MaxPool):
    __doc__, n = _MaxPool.__doc__, 3


__all__ = ["MaxPool1d", "MaxPool2d", "MaxPool3d"]
__all__ += list(_MEANS)
