"""Convolutions and their transposes."""

import math

from ...core.errors import ArgumentError, ShapeError
from ...ops.convolution import per_axis
from ...ops.creation import as_tensor
from ...primitives.convolution import dilated
from .. import functional as F
from ..layer import Layer, check_sizes, uniform

_MODES = ("zeros", "reflect", "replicate", "circular")

AXES = ("depth", "height", "width")  # as messages call them


class _Convolution(Layer):
    """The parameters of a convolution over `n` axes of space, or of its transpose."""

    n, transposed = None, False

    def _build(
        self, in_channels, out_channels, kernel_size, stride, dilation, groups, bias, padding_mode, dtype, device
    ):
        name, n = type(self).__name__, self.n
        check_sizes(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{name}: {in_channels} input and {out_channels} output channels do not divide into {groups} groups.",
                fix="both must be multiples of groups.",
            )
        modes = _MODES[:1] if self.transposed else _MODES
        if padding_mode not in modes:
            raise ArgumentError(
                f"{name}: padding_mode={padding_mode!r} is unknown.", fix=f"use one of {', '.join(modes)}."
            )
        self.in_channels, self.out_channels, self.groups, self.padding_mode = (
            in_channels,
            out_channels,
            groups,
            padding_mode,
        )
        self.kernel_size = per_axis(kernel_size, n, name, "kernel_size")
        self.stride, self.dilation = per_axis(stride, n, name, "stride"), per_axis(dilation, n, name, "dilation")
        channels = (in_channels, out_channels // groups) if self.transposed else (out_channels, in_channels // groups)
        bound = 1 / math.sqrt(channels[1] * math.prod(self.kernel_size))
        self.weight = uniform((*channels, *self.kernel_size), bound, dtype, device)
        self.bias = uniform((out_channels,), bound, dtype, device) if bias else None

    def _checked(self, x):
        """The input as a tensor with the right channels."""
        x = as_tensor(x, self.weight.device)
        if x.ndim not in (self.n + 1, self.n + 2) or x.shape[-self.n - 1] != self.in_channels:
            raise ShapeError(
                f"{type(self).__name__}({self.in_channels}, {self.out_channels}) got an input of shape {list(x.shape)}.",
                fix=f"it must be [N, {self.in_channels}, {', '.join(AXES[-self.n :])}], or without N.",
            )
        return x


class _Conv(_Convolution):
    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
        padding_mode="zeros", *, dtype=None, device=None,
    ):  # fmt: skip
        self._build(in_channels, out_channels, kernel_size, stride, dilation, groups, bias, padding_mode, dtype, device)
        name = type(self).__name__
        if not isinstance(padding, str):
            self.padding = per_axis(padding, self.n, name, "padding", lowest=0)
        elif padding not in ("same", "valid"):
            raise ArgumentError(f"{name}: padding={padding!r} is unknown.", fix="use 'same', 'valid' or numbers.")
        elif padding == "same" and any(s != 1 for s in self.stride):
            raise ArgumentError(f"{name}: padding='same' with stride {self.stride}.", fix="use stride 1, or numbers.")
        else:
            self.padding = padding

    def forward(self, input):
        x, padding = self._checked(input), self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self._borders(), self.padding_mode), 0
        function = getattr(F, f"conv{self.n}d")
        return function(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _borders(self):
        """The padding as functional.pad takes it: the last axis first."""
        if self.padding == "same":
            totals = [dilated(k, d) - 1 for k, d in zip(self.kernel_size, self.dilation)]
            pairs = [(total // 2, total - total // 2) for total in totals]
        else:
            pairs = [(0, 0) if self.padding == "valid" else (p, p) for p in (self.padding * self.n)[: self.n]]
        return [width for pair in reversed(pairs) for width in pair]


class _ConvTranspose(_Convolution):
    transposed = True

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
        dilation=1, padding_mode="zeros", *, dtype=None, device=None,
    ):  # fmt: skip
        self._build(in_channels, out_channels, kernel_size, stride, dilation, groups, bias, padding_mode, dtype, device)
        name = type(self).__name__
        self.padding = per_axis(padding, self.n, name, "padding", lowest=0)
        self.output_padding = per_axis(output_padding, self.n, name, "output_padding", lowest=0)

    def forward(self, input, output_size=None):
        x = self._checked(input)
        extra = self.output_padding if output_size is None else self._missing(x, output_size)
        function = getattr(F, f"conv_transpose{self.n}d")
        return function(x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _missing(self, x, output_size):
        """The output_padding with which the result has this size."""
        output_size = tuple(output_size)[-self.n :]
        options = zip(x.shape[-self.n :], self.stride, self.padding, self.kernel_size, self.dilation)
        least = [(size - 1) * s - 2 * p + dilated(k, d) for size, s, p, k, d in options]
        extra = tuple(wanted - size for wanted, size in zip(output_size, least))
        if len(output_size) != self.n or any(not 0 <= e < s for e, s in zip(extra, self.stride)):
            raise ArgumentError(
                f"{type(self).__name__}: output_size={list(output_size)} is not possible for {x._node.aval}.",
                fix=f"sizes go from {least} to {[n + s - 1 for n, s in zip(least, self.stride)]}.",
            )
        return extra


_CONV = """y[o] = bias[o] + sum over c of weight[o, c] * x[c], a cross-correlation over {n} of space.

    x: [N, in_channels, {n} of space], or without N; weight: [out_channels, in_channels / groups, kernel_size]; bias:
    [out_channels]. padding: numbers, "valid" or "same" (with stride 1); padding_mode: zeros, reflect, replicate, circular. Both
    parameters start uniform within 1 / sqrt(in_channels / groups * elements of the kernel).

    >>> Conv{n}d(3, 4, 3, padding="same")(pg.ones((2, 3) + {n} * (8,))).shape == (2, 4) + {n} * (8,)
    True
    """
_TRANSPOSED = """The transpose of a convolution over {n} of space, with respect to its input.

    x: [N, in_channels, {n} of space], or without N; weight: [in_channels, out_channels / groups, kernel_size]; bias:
    [out_channels]. A size becomes (size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1;
    layer(x, output_size) chooses output_padding.

    >>> ConvTranspose{n}d(3, 4, 2, stride=2)(pg.ones((2, 3) + {n} * (5,))).shape == (2, 4) + {n} * (10,)
    True
    """


class Conv1d(_Conv):
    __doc__, n = _CONV.format(n=1), 1


class Conv2d(_Conv):
    __doc__, n = _CONV.format(n=2), 2


class Conv3d(_Conv):
    __doc__, n = _CONV.format(n=3), 3


class ConvTranspose1d(_ConvTranspose):
    __doc__, n = _TRANSPOSED.format(n=1), 1


class ConvTranspose2d(_ConvTranspose):
    __doc__, n = _TRANSPOSED.format(n=2), 2


class ConvTranspose3d(_ConvTranspose):
    __doc__, n = _TRANSPOSED.format(n=3), 3


__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
