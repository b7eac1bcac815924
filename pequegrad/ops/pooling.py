"""Pooling: maxima and means under windows. Arrays are (batch, channels, space ...) unless data_format says otherwise.

kernel_size, stride, padding and dilation are as in ops/convolution.py; the stride is the kernel size unless it is given.
ceil_mode adds a last window that reaches over the end, if it begins before the end.
"""

import math

from ..core.dtype import dt
from ..core.errors import ArgumentError, ShapeError
from ..primitives import elementwise as e
from ..primitives import windows as p
from ..primitives.base import number
from ..primitives.convolution import dilated
from ..primitives.mathematical import exp, log
from ..primitives.shape import broadcast_in_dim
from .arithmetic import floating
from .convolution import batched, channels_last, layout, pads, per_axis, unbatched
from .creation import as_tensor
from .reductions import max as largest
from .reductions import mean


def _parameters(x, n, name, kernel_size, stride, padding, dilation, ceil_mode, last):
    """The parameters of reduce_window for all axes of x; `padding` as given and as ceil_mode makes it."""
    axes = layout(n, last)[0][2:]
    window = per_axis(kernel_size, n, name, "kernel_size")
    stride = window if stride is None else per_axis(stride, n, name, "stride")
    dilation = per_axis(dilation, n, name, "dilation")
    sizes = [x.shape[a] for a in axes]
    given = pads(padding, n, name, sizes, window, stride, dilation)
    if not isinstance(padding, str) and any(min(pair) < 0 or 2 * max(pair) > k for pair, k in zip(given, window)):
        raise ArgumentError(
            f"{name}: padding {padding} must be between 0 and half the kernel size {window}.",
            fix="pad x itself for more.",
        )
    reached = []
    for size, k, s, d, (low, high) in zip(sizes, window, stride, dilation, given):
        room = size + low + high - dilated(k, d)
        if room < 0:
            raise ShapeError(
                f"{name}: a window of {k} with dilation {d} does not fit into {size} elements of {x._node.aval}.",
                fix="use a smaller kernel or padding.",
            )
        if ceil_mode:
            places = -(-room // s) + 1
            places -= (places - 1) * s >= size + low  # it would begin behind the end
            high = max(high, (places - 1) * s + dilated(k, d) - size - low)
        reached.append((low, high))
    spread = lambda values, rest: tuple(values[axes.index(a)] if a in axes else rest for a in range(x.ndim))
    fixed = {
        "window": spread(window, 1),
        "step": spread(stride, 1),
        "base_dilation": (1,) * x.ndim,
        "dilation": spread(dilation, 1),
    }
    return fixed, spread(given, (0, 0)), spread(reached, (0, 0))


def _max_pool(n, name, x, kernel_size, stride, padding, dilation, ceil_mode, data_format):
    last = channels_last(data_format, n, name)
    x, had_batch = batched(as_tensor(x), n, name)
    fixed, _, reached = _parameters(x, n, name, kernel_size, stride, padding, dilation, ceil_mode, last)
    return unbatched(p.reduce_window_max(x, padding=reached, **fixed), had_batch)


def max_pool1d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, data_format=None):
    """The largest element under each place of a window over x [N, C, W]; nan if there is one."""
    return _max_pool(1, "max_pool1d", x, kernel_size, stride, padding, dilation, ceil_mode, data_format)


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, data_format=None):
    """The largest element under each place of a window over x [N, C, H, W]; nan if there is one.

    The derivative belongs to the first of the largest elements. Padding never wins.
    """
    return _max_pool(2, "max_pool2d", x, kernel_size, stride, padding, dilation, ceil_mode, data_format)


def max_pool3d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, data_format=None):
    """The largest element under each place of a window over x [N, C, D, H, W]; nan if there is one."""
    return _max_pool(3, "max_pool3d", x, kernel_size, stride, padding, dilation, ceil_mode, data_format)


def _avg_pool(n, name, x, kernel_size, stride, padding, ceil_mode, count_include_pad, data_format, divisor=None):
    last = channels_last(data_format, n, name)
    x, had_batch = batched(floating(x), n, name)
    fixed, given, reached = _parameters(x, n, name, kernel_size, stride, padding, 1, ceil_mode, last)
    wide = e.convert_to(x, dt.float32) if x.dtype.itemsize == 2 else x
    total = p.reduce_window_sum(wide, padding=reached, **fixed)
    if divisor is not None:
        if not divisor:
            raise ArgumentError(f"{name}: divisor_override must not be zero.")
        mean = e.div(total, number(divisor, total))
    elif reached == given and (count_include_pad or not any(map(any, given))):
        mean = e.div(total, number(math.prod(fixed["window"]), total))
    else:
        mean = e.div(total, _counts(wide, fixed, given, reached, count_include_pad))
    return unbatched(e.convert_to(mean, x.dtype, x.weak_type), had_batch)


def _counts(x, fixed, given, reached, count_include_pad):
    """How many elements each window covers: [1, 1, space ...], or with channels last."""
    moving = [k > 1 or s > 1 or pair != (0, 0) for k, s, pair in zip(fixed["window"], fixed["step"], reached)]
    shape, padding = [], []
    for n, moves, (low, high), (_, end) in zip(x.shape, moving, given, reached):
        shape.append((n + low + high if count_include_pad else n) if moves else 1)
        padding.append((0, end - high) if count_include_pad else (low, end))
    ones = broadcast_in_dim(number(1, x), shape=tuple(shape), axes=())
    return p.reduce_window_sum(ones, padding=tuple(padding), **fixed)


def avg_pool1d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, data_format=None):
    """The mean under each place of a window over x [N, C, W]; with count_include_pad zeros of the padding count."""
    return _avg_pool(1, "avg_pool1d", x, kernel_size, stride, padding, ceil_mode, count_include_pad, data_format)


def avg_pool2d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    data_format=None,
):
    """The mean under each place of a window over x [N, C, H, W]; with count_include_pad zeros of the padding count.

    divisor_override: what sums are divided by, instead of the number of elements.
    """
    rest = (ceil_mode, count_include_pad, data_format, divisor_override)
    return _avg_pool(2, "avg_pool2d", x, kernel_size, stride, padding, *rest)


def avg_pool3d(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    data_format=None,
):
    """The mean under each place of a window over x [N, C, D, H, W]; with count_include_pad zeros of the padding count.

    divisor_override: what sums are divided by, instead of the number of elements.
    """
    rest = (ceil_mode, count_include_pad, data_format, divisor_override)
    return _avg_pool(3, "avg_pool3d", x, kernel_size, stride, padding, *rest)


def _space(x, data_format, name):
    if not 3 <= x.ndim <= 5:
        raise ShapeError(f"{name}: x {x._node.aval} needs a batch, channels and 1 to 3 axes of space.")
    return layout(x.ndim - 2, channels_last(data_format, x.ndim - 2, name))[0][2:]


def global_avg_pool(x, keepdims=False, data_format=None):
    """The mean over all spatial axes of x [N, C, space ...]: [N, C]; keepdims leaves axes of size 1."""
    x = floating(x)
    return mean(x, _space(x, data_format, "global_avg_pool"), keepdims)


def global_max_pool(x, keepdims=False, data_format=None):
    """The maximum over all spatial axes of x [N, C, space ...]: [N, C]; keepdims leaves axes of size 1."""
    x = as_tensor(x)
    return largest(x, _space(x, data_format, "global_max_pool"), keepdims)


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """x / (k + alpha * mean of the squares of `size` neighbouring channels) ** beta (Krizhevsky et al., 2012).

    x [N, C, space ...]; channels beyond the first and last count as zeros, as in PyTorch.
    """
    x = floating(x)
    if x.ndim < 3 or size < 1:
        raise ShapeError(
            f"local_response_norm: x {x._node.aval} needs 3 axes or more, and size {size} must be positive."
        )
    ones = (1,) * x.ndim
    channels = lambda value, rest: (rest, value) + (rest,) * (x.ndim - 2)
    wide = e.convert_to(x, dt.float32) if x.dtype.itemsize == 2 else x
    total = p.reduce_window_sum(
        e.mul(wide, wide), window=channels(size, 1), step=ones, padding=channels((size // 2, (size - 1) // 2), (0, 0)),
        base_dilation=ones, dilation=ones,
    )  # fmt: skip
    base = e.add(e.mul(total, number(alpha / size, total)), number(k, total))
    scale = exp(e.mul(log(base), number(-beta, total)))
    return e.convert_to(e.mul(wide, scale), x.dtype, x.weak_type)


__all__ = [
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "global_avg_pool",
    "global_max_pool", "local_response_norm",
]  # fmt: skip
