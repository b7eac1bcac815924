"""Convolutions."""

import itertools
import math

import numpy as np

import pequegrad as pg

from ...core.errors import ArgumentError, ShapeError
from ..registry import op
from .integers import integer_product
from .sampling import rows_of, sampled
from .windows import each, padding, window_of


def _with_bias(y, bias):
    return y if bias is None else y + pg.reshape(bias, (1, -1) + (1,) * (y.ndim - 2))


@op("Conv", weights=("w", "b"))
def conv(x, w, b=None, *, auto_pad="NOTSET", dilations=None, group=1, kernel_shape=None, pads=None, strides=None):
    window = window_of(w, kernel_shape, "Conv")
    n = len(window)
    strides, dilations = each(strides, n, "Conv: strides"), each(dilations, n, "Conv: dilations")
    pairs, _ = padding(x.shape[2:], window, strides, dilations, pads, auto_pad, "Conv")
    return _with_bias(pg.conv_general_dilated(x, w, strides, pairs, None, dilations, None, group), b)


@op("ConvTranspose", weights=("w", "b"))
def conv_transpose(x, w, b=None, *, auto_pad="NOTSET", dilations=None, group=1, kernel_shape=None, output_padding=None,
                   output_shape=None, pads=None, strides=None):  # fmt: skip
    """The transpose of a convolution: x spread by the strides, convolved with the kernel backwards."""
    name = "ConvTranspose"
    window = window_of(w, kernel_shape, name)
    n = len(window)
    strides, dilations = each(strides, n, f"{name}: strides"), each(dilations, n, f"{name}: dilations")
    extra = each(output_padding, n, f"{name}: output_padding", 0)
    spans = [d * (k - 1) + 1 for k, d in zip(window, dilations)]
    if auto_pad in ("SAME_UPPER", "SAME_LOWER") and output_shape is None:
        output_shape = [size * step for size, step in zip(x.shape[2:], strides)]
    if output_shape is None:
        pairs, _ = padding(x.shape[2:], window, strides, dilations, pads, auto_pad, name)
    else:
        wanted = each(list(output_shape)[-n:], n, f"{name}: output_shape")
        full = [s * (size - 1) + e + span for s, size, e, span in zip(strides, x.shape[2:], extra, spans)]
        totals = [a - b for a, b in zip(full, wanted)]
        halves = [(t // 2, t - t // 2) for t in totals]
        pairs = halves if auto_pad == "SAME_UPPER" else [pair[::-1] for pair in halves]
    channels, per_group = w.shape[:2]
    if x.shape[1] != channels or channels % group:
        raise ShapeError(f"{name}: x {x._node.aval} does not fit the kernel {w._node.aval} in {group} groups.")
    w = pg.flip(w, tuple(range(2, n + 2)))
    w = pg.swapaxes(pg.reshape(w, (group, channels // group, per_group, *window)), 1, 2)
    w = pg.reshape(w, (group * per_group, channels // group, *window))
    pairs = [(span - 1 - low, span - 1 - high + e) for span, (low, high), e in zip(spans, pairs, extra)]
    return _with_bias(pg.conv_general_dilated(x, w, (1,) * n, pairs, strides, dilations, None, group), b)


_FEW = 32  # channels: with so many, windows of 3 x 3 on float32 are transformed first (runtime/cpu/conv_winograd.c), which rounds


@op("ConvInteger", since=10, either=("w", "w_zero_point"))
def conv_integer(x, w, x_zero_point=None, w_zero_point=None, **options):
    """The convolution of integers less their zero points (of w: one, or one per output), in int32."""
    x_zero_point = None if x_zero_point is None else pg.reshape(x_zero_point, ())
    if w_zero_point is not None:
        w_zero_point = w_zero_point.reshape((-1,) + (1,) * (w.ndim - 1))
    product = lambda x, w: conv(x, w, **options)
    terms, axes = math.prod(w.shape[1:]), tuple(range(1, w.ndim))
    direct = tuple(w.shape[2:]) != (3, 3) or min(w.shape[:2]) < _FEW
    return integer_product(product, x, w, (x_zero_point, w_zero_point), terms, axes, narrow=direct)


@op("Col2Im", since=18, known=("image_shape", "block_shape"))
def col2im(x, image_shape, block_shape, *, dilations=None, pads=None, strides=None):
    """Columns of windows added up where the windows lie: [N, C * window, places] -> [N, C, space ...]."""
    space, window = [int(n) for n in image_shape], [int(n) for n in block_shape]
    n = len(space)
    strides, dilations = each(strides, n, "Col2Im: strides"), each(dilations, n, "Col2Im: dilations")
    pairs, _ = padding(space, window, strides, dilations, pads, "NOTSET", "Col2Im")
    spans = [d * (k - 1) + 1 for k, d in zip(window, dilations)]
    places = [(size + a + b - span) // s + 1 for size, (a, b), span, s in zip(space, pairs, spans, strides)]
    batch, channels = x.shape[0], x.shape[1] // math.prod(window)
    x = pg.reshape(x, (batch, channels, *window, *places))
    padded = [size + a + b for size, (a, b) in zip(space, pairs)]
    out = pg.zeros((batch, channels, *padded), x.dtype)
    for offset in itertools.product(*map(range, window)):
        at = [o * d for o, d in zip(offset, dilations)]
        where = tuple(slice(a, a + (p - 1) * s + 1, s) for a, p, s in zip(at, places, strides))
        out = out.at[(slice(None), slice(None), *where)].add(x[(slice(None), slice(None), *offset)])
    return out[(slice(None), slice(None), *(slice(a, a + size) for (a, _), size in zip(pairs, space)))]


@op("DeformConv", since=19, weights=("w", "b"))
def deform_conv(x, w, offset, b=None, mask=None, *, dilations=None, group=1, kernel_shape=None, offset_group=1, pads=None,
                strides=None):  # fmt: skip
    """A convolution whose elements of x lie off the grid, where `offset` says (Dai et al., 2017)."""
    window = window_of(w, kernel_shape, "DeformConv")
    n, taps = len(window), math.prod(window)
    strides, dilations = each(strides, n, "DeformConv: strides"), each(dilations, n, "DeformConv: dilations")
    pairs, _ = padding(x.shape[2:], window, strides, dilations, pads, "NOTSET", "DeformConv")
    batch, channels, *space = x.shape
    places = offset.shape[2:]
    offset = pg.reshape(offset, (batch * offset_group, taps, n, *places))
    points = []
    for axis in range(n):
        begins = np.arange(places[axis]) * strides[axis] - pairs[axis][0]
        steps = np.indices(window)[axis].ravel() * dilations[axis]
        shape = [1] * n
        shape[axis] = places[axis]
        grid = steps.reshape((taps, *[1] * n)) + begins.reshape((1, *shape))
        points.append(offset[:, :, axis] + pg.as_tensor(grid.astype(x.dtype), x.device))
    grouped = pg.reshape(x, (batch * offset_group, channels // offset_group, *space))
    values = sampled(rows_of(grouped), space, points)  # [N * groups, taps, places ..., C / groups]
    if mask is not None:
        values = values * pg.expand_dims(pg.reshape(mask, (batch * offset_group, taps, *places)), -1)
    values = pg.reshape(values, (batch, offset_group, taps, math.prod(places), channels // offset_group))
    columns = pg.reshape(pg.permute(values, (0, 1, 4, 2, 3)), (batch, group, -1, math.prod(places)))
    kernels = pg.reshape(w, (group, w.shape[0] // group, -1))
    return _with_bias(pg.reshape(pg.matmul(kernels, columns), (batch, w.shape[0], *places)), b)


@op("CausalConvWithState", since=27)
def causal_conv_with_state(x, w, bias=None, past_state=None, *, activation="none"):
    """Each channel convolved with its past; also what the next call needs of it."""
    if activation not in ("none", "silu", "swish"):
        raise ArgumentError(f"CausalConvWithState: activation={activation!r} is unknown.", fix="none, silu or swish.")
    before = w.shape[2] - 1
    past = pg.zeros((*x.shape[:2], before), x.dtype) if past_state is None else past_state
    padded = pg.concatenate([past, x], 2)
    y = conv(padded, w, bias, group=x.shape[1])
    return pg.silu(y) if activation != "none" else y, padded[:, :, padded.shape[2] - before :]
