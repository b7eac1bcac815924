"""Convolutions and what is built of them. Arrays are (batch, channels, space ...) unless data_format says otherwise.

stride, padding and dilation are one number for all spatial axes or one per axis. padding may also be a (before, after)
pair per axis, whose numbers may be negative, or a word: "valid" (none), "same" (output size ceil(size / stride), the
odd zero after) or "same_lower" (the odd zero before). data_format "NWC", "NHWC" or "NDHWC" has the channels last; kernels
then are (space ..., input channels, output channels), as in JAX, else (output channels, input channels, space ...).
"""

import numpy as np

from ..core import dtype as dtypes
from ..core.errors import ArgumentError, DtypeError, ShapeError
from ..primitives import convolution as p
from ..primitives.base import number
from ..primitives.elementwise import add, convert_to
from ..primitives.shape import pad, reshape, rev, transpose
from ..primitives.windows import overlap_add, windows
from .arithmetic import promoted
from .creation import as_tensor

# ---- parameters --------------------------------------------------------------------------------------


def per_axis(value, n, name, what, lowest=1):
    """One int per spatial axis, from one int or a sequence of n."""
    values = (value,) * n if isinstance(value, (int, np.integer)) else tuple(value)
    if len(values) != n or not all(isinstance(v, (int, np.integer)) for v in values):
        raise ArgumentError(f"{name}: {what} {value!r} is not an int or {n} of them.", fix=f"give {what}=1, say.")
    if any(v < lowest for v in values):
        raise ArgumentError(f"{name}: {what} {value!r} is below {lowest}.", fix=f"use at least {lowest}.")
    return tuple(int(v) for v in values)


def pads(padding, n, name, sizes, window, stride, dilation):
    """A (before, after) pair per spatial axis from numbers, pairs or a word."""
    if isinstance(padding, str):
        word = padding.lower()
        if word == "valid":
            return ((0, 0),) * n
        if word not in ("same", "same_lower"):
            raise ArgumentError(f"{name}: padding {padding!r} is not known.", fix='use "same", "valid" or numbers.')
        pairs = []
        for size, k, s, d in zip(sizes, window, stride, dilation):
            total = max((-(-size // s) - 1) * s + p.dilated(k, d) - size, 0)
            pairs.append((total // 2, total - total // 2) if word == "same" else (total - total // 2, total // 2))
        return tuple(pairs)
    values = (padding,) * n if isinstance(padding, (int, np.integer)) else tuple(padding)
    values = tuple((v, v) if isinstance(v, (int, np.integer)) else tuple(v) for v in values)
    if len(values) != n or any(len(v) != 2 or not all(isinstance(b, (int, np.integer)) for b in v) for v in values):
        raise ArgumentError(
            f"{name}: padding {padding!r} does not fit {n} spatial axes.",
            fix="give a number, one per axis, a (before, after) pair per axis, or a word.",
        )
    return tuple((int(low), int(high)) for low, high in values)


def channels_last(data_format, n, name):
    """Whether this format has the channels last; None is channels first."""
    space = "DHW"[3 - n :]
    if data_format in (None, f"NC{space}"):
        return False
    if data_format == f"N{space}C":
        return True
    raise ArgumentError(f"{name}: data_format {data_format!r} is not known.", fix=f'use "NC{space}" or "N{space}C".')


def batched(x, n, name):
    """x with a batch axis, and whether it had one."""
    if x.ndim == n + 2:
        return x, True
    if x.ndim == n + 1:
        return reshape(x, shape=(1, *x.shape)), False
    raise ShapeError(
        f"{name}: x {x._node.aval} needs {n + 2} axes (batch, channels and {n} of space), or {n + 1} without a batch."
    )


def unbatched(x, had_batch):
    return x if had_batch else reshape(x, shape=x.shape[1:])


def layout(n, last):
    """Places of the batch, channel and spatial axes of an array, and of a kernel's output and input channels and space."""
    if last:
        return (0, n + 1, *range(1, n + 1)), (n + 1, n, *range(n))
    return tuple(range(n + 2)), tuple(range(n + 2))


# ---- convolution -------------------------------------------------------------------------------------


def conv_general_dilated(
    x, w, window_strides, padding, lhs_dilation=None, rhs_dilation=None, dimension_numbers=None,
    feature_group_count=1, batch_group_count=1, preferred_element_type=None,
):  # fmt: skip
    """The convolution of jax.lax in any number of spatial dimensions: x and w are its lhs and rhs.

    dimension_numbers: three strings such as ("NHWC", "HWIO", "NHWC"), three permutations (batch, feature, space ...),
    or None for channels first. preferred_element_type: dtype of the result and of the sums.
    """
    name = "conv_general_dilated"
    x, w = promoted(x, w)
    n = x.ndim - 2
    if n < 0 or w.ndim != x.ndim:
        raise ShapeError(
            f"{name}: x {x._node.aval} and w {w._node.aval} need the same number of axes, at least 2.",
            fix="x has axes for batch, features and space; w for output features, input features and space.",
        )
    axes = dimension_axes(dimension_numbers, x.ndim, name)
    stride = per_axis(window_strides, n, name, "window_strides")
    x_dilation = per_axis(1 if lhs_dilation is None else lhs_dilation, n, name, "lhs_dilation")
    w_dilation = per_axis(1 if rhs_dilation is None else rhs_dilation, n, name, "rhs_dilation")
    if isinstance(padding, str) and any(d > 1 for d in x_dilation):
        raise ArgumentError(f"{name}: padding {padding!r} with lhs_dilation.", fix="give (before, after) pairs.")
    sizes, window = [x.shape[a] for a in axes.x[2:]], [w.shape[a] for a in axes.w[2:]]
    padding = pads(padding, n, name, sizes, window, stride, w_dilation)
    dtype = x.dtype
    if preferred_element_type is not None:
        dtype = dtypes.canonical(preferred_element_type)
        if x.dtype.kind == "c" and dtype.kind != "c":
            raise DtypeError(f"{name}: the imaginary parts of {x.dtype} would be lost in {dtype}.", fix="take x.real.")
        if not (dtype.name == "float32" and x.dtype.name in ("float16", "bfloat16")):  # those are summed in it anyway
            x, w = convert_to(x, dtype), convert_to(w, dtype)
    return p.conv_general_dilated(
        x, w, stride=stride, padding=padding, x_dilation=x_dilation, w_dilation=w_dilation,
        feature_groups=feature_group_count, batch_groups=batch_group_count, axes=axes, dtype=dtype,
    )  # fmt: skip


def dimension_axes(numbers, ndim, name):
    """ConvAxes from dimension numbers as jax.lax takes them."""
    if numbers is None:
        return p.ConvAxes(*[tuple(range(ndim))] * 3)
    if len(numbers) != 3:
        raise ArgumentError(f"{name}: {numbers!r} are not three layouts.", fix='use ("NCHW", "OIHW", "NCHW"), say.')
    if not all(isinstance(order, str) for order in numbers):
        return p.ConvAxes(*[tuple(int(a) for a in order) for order in numbers])
    space = [c for c in numbers[1] if c not in "OI"]  # all three name the same spatial axes
    letters = ["NC", "OI", "NC"]
    if (
        any(sorted(order) != sorted([*first, *space]) for order, first in zip(numbers, letters))
        or ndim != len(space) + 2
    ):
        raise ArgumentError(
            f"{name}: layouts {numbers!r} do not fit arrays with {ndim} axes.",
            fix='name each axis once, as in ("NHWC", "HWIO", "NHWC").',
        )
    return p.ConvAxes(*[tuple(order.index(c) for c in [*first, *space]) for order, first in zip(numbers, letters)])


def _conv(n, name, x, w, bias, stride, padding, dilation, groups, data_format):
    x, w = promoted(x, w)
    last = channels_last(data_format, n, name)
    x, had_batch = batched(x, n, name)
    x_axes, w_axes = layout(n, last)
    if w.ndim != n + 2:
        raise ShapeError(
            f"{name}: the kernel w {w._node.aval} needs {n + 2} axes.",
            fix="(output channels, input channels / groups, space ...), or with channels last (space ..., input, output).",
        )
    stride, dilation = per_axis(stride, n, name, "stride"), per_axis(dilation, n, name, "dilation")
    sizes, window = [x.shape[a] for a in x_axes[2:]], [w.shape[a] for a in w_axes[2:]]
    padding = pads(padding, n, name, sizes, window, stride, dilation)
    out = p.conv_general_dilated(
        x, w, stride=stride, padding=padding, x_dilation=(1,) * n, w_dilation=dilation, feature_groups=groups,
        batch_groups=1, axes=p.ConvAxes(x_axes, w_axes, x_axes), dtype=x.dtype,
    )  # fmt: skip
    return unbatched(_with_bias(out, bias, x_axes[1], name), had_batch)


def _with_bias(out, bias, axis, name):
    if bias is None:
        return out
    out, bias = promoted(out, bias)
    if bias.shape != (out.shape[axis],):
        raise ShapeError(
            f"{name}: the bias {bias._node.aval} must have shape [{out.shape[axis]}], one per output channel."
        )
    return add(out, reshape(bias, shape=(out.shape[axis], *(1 for _ in range(axis + 1, out.ndim)))))


def conv1d(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1, data_format=None):
    """Convolution over one spatial axis: x [N, C, W], w [O, C / groups, K], bias [O] -> [N, O, W']; see the module."""
    return _conv(1, "conv1d", x, w, bias, stride, padding, dilation, groups, data_format)


def conv2d(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1, data_format=None):
    """Convolution over images: x [N, C, H, W], w [O, C / groups, KH, KW], bias [O] -> [N, O, H', W']; see the module."""
    return _conv(2, "conv2d", x, w, bias, stride, padding, dilation, groups, data_format)


def conv3d(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1, data_format=None):
    """Convolution over volumes: x [N, C, D, H, W], w [O, C / groups, KD, KH, KW], bias [O]; see the module."""
    return _conv(3, "conv3d", x, w, bias, stride, padding, dilation, groups, data_format)


def depthwise_conv2d(x, w, bias=None, stride=1, padding=0, dilation=1, data_format=None):
    """Each channel of x [N, C, H, W] convolved by itself: w [C * m, 1, KH, KW] gives m outputs for each channel."""
    x = as_tensor(x)
    channels = x.shape[-1 if channels_last(data_format, 2, "depthwise_conv2d") else -3] if x.ndim >= 3 else 1
    return _conv(2, "depthwise_conv2d", x, w, bias, stride, padding, dilation, channels, data_format)


def separable_conv2d(x, depthwise, pointwise, bias=None, stride=1, padding=0, dilation=1, data_format=None):
    """depthwise_conv2d, then a convolution with a 1x1 kernel `pointwise` [O, C * m, 1, 1] that mixes the channels."""
    x = depthwise_conv2d(x, depthwise, None, stride, padding, dilation, data_format)
    return _conv(2, "separable_conv2d", x, pointwise, bias, 1, 0, 1, 1, data_format)


def _conv_transpose(n, name, x, w, bias, stride, padding, output_padding, groups, dilation, data_format):
    """The transpose of a convolution: x spread by the stride, convolved with the kernel backwards."""
    x, w = promoted(x, w)
    last = channels_last(data_format, n, name)
    x, had_batch = batched(x, n, name)
    x_axes, (w_out, w_in, *w_space) = layout(n, last)
    w_in, w_out = (w_in, w_out) if last else (w_out, w_in)
    if w.ndim != n + 2:
        raise ShapeError(
            f"{name}: the kernel w {w._node.aval} needs {n + 2} axes.",
            fix="(input channels, output channels / groups, space ...), or with channels last (space ..., input, output).",
        )
    channels = x.shape[x_axes[1]]
    if channels != w.shape[w_in] or groups < 1 or channels % groups:
        raise ShapeError(
            f"{name}: x {x._node.aval} has {channels} channels, but the kernel w {w._node.aval} takes {w.shape[w_in]}, "
            f"in {groups} groups.",
            fix=f"axis {x_axes[1]} of x and axis {w_in} of w must be equal, and a multiple of groups.",
        )
    stride, dilation = per_axis(stride, n, name, "stride"), per_axis(dilation, n, name, "dilation")
    extra = per_axis(output_padding, n, name, "output_padding", lowest=0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise ArgumentError(
            f"{name}: output_padding {extra} must be below the stride {stride} or the dilation {dilation}.",
            fix="a larger output takes a smaller padding.",
        )
    if isinstance(padding, str):
        raise ArgumentError(f"{name}: padding {padding!r} is not known.", fix="give numbers, or (before, after) pairs.")
    given = pads(padding, n, name, None, None, None, None)
    reach = [p.dilated(w.shape[a], d) - 1 for a, d in zip(w_space, dilation)]
    pairs = tuple((r - low, r - high + e) for r, (low, high), e in zip(reach, given, extra))
    w = rev(w, axes=tuple(sorted(w_space)))
    if groups > 1:
        w = p.merge_axis(p.split_axis(w, w_in, groups), w_in, w_out)
    out = p.conv_general_dilated(
        x, w, stride=(1,) * n, padding=pairs, x_dilation=stride, w_dilation=dilation, feature_groups=groups,
        batch_groups=1, axes=p.ConvAxes(x_axes, (w_out, w_in, *w_space), x_axes), dtype=x.dtype,
    )  # fmt: skip
    return unbatched(_with_bias(out, bias, x_axes[1], name), had_batch)


def conv_transpose1d(x, w, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1, data_format=None):
    """The transpose of conv1d with respect to x: x [N, C, W], w [C, O / groups, K] (channels last: [K, C, O / groups])."""
    return _conv_transpose(
        1, "conv_transpose1d", x, w, bias, stride, padding, output_padding, groups, dilation, data_format
    )


def conv_transpose2d(x, w, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1, data_format=None):
    """The transpose of conv2d with respect to x: x [N, C, H, W], w [C, O / groups, KH, KW] -> [N, O, H', W'].

    H' = (H - 1) * stride - 2 * padding + dilation * (KH - 1) + output_padding + 1, as in PyTorch.
    """
    return _conv_transpose(
        2, "conv_transpose2d", x, w, bias, stride, padding, output_padding, groups, dilation, data_format
    )


def conv_transpose3d(x, w, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1, data_format=None):
    """The transpose of conv3d with respect to x: x [N, C, D, H, W], w [C, O / groups, KD, KH, KW]."""
    return _conv_transpose(
        3, "conv_transpose3d", x, w, bias, stride, padding, output_padding, groups, dilation, data_format
    )


# ---- im2col ------------------------------------------------------------------------------------------


def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    """The windows of x [N, C, space ...] as columns: [N, C * elements of a window, places], as in PyTorch (im2col)."""
    x = as_tensor(x)
    n = x.ndim - 2
    if not 1 <= n <= 3:
        raise ShapeError(f"unfold: x {x._node.aval} needs a batch, channels and 1 to 3 axes of space.")
    window, stride, dilation = _windows(kernel_size, stride, dilation, n, "unfold")
    padding = pads(padding, n, "unfold", x.shape[2:], window, stride, dilation)
    x = _pad(x, padding)
    axes = tuple(range(2, n + 2))
    view = windows(x, axes=axes, window=window, step=stride, dilation=dilation)  # N, C, places.., window..
    view = transpose(view, permutation=(0, 1, *range(n + 2, 2 * n + 2), *axes))
    places = view.shape[n + 2 :]
    return reshape(view, shape=(x.shape[0], x.shape[1] * _product(window), _product(places)))


def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Columns [N, C * elements of a window, places] added up to [N, C, *output_size]: the transpose of unfold (col2im)."""
    x = as_tensor(x)
    n = 2 if isinstance(output_size, (int, np.integer)) else len(tuple(output_size))
    sizes = per_axis(output_size, n, "fold", "output_size", lowest=0)
    window, stride, dilation = _windows(kernel_size, stride, dilation, n, "fold")
    padding = pads(padding, n, "fold", sizes, window, stride, dilation)
    padded = tuple(size + low + high for size, (low, high) in zip(sizes, padding))
    places = tuple(p.output_size(m, k, s, (0, 0), 1, d) for m, k, s, d in zip(padded, window, stride, dilation))
    elements = _product(window)
    if x.ndim != 3 or x.shape[1] % elements or x.shape[2] != _product(places):
        raise ShapeError(
            f"fold: x {x._node.aval} must be [N, C * {elements}, {_product(places)}] for windows {window} over {sizes}.",
            fix="give the sizes, stride, padding and dilation that unfold got.",
        )
    channels = x.shape[1] // elements
    x = reshape(x, shape=(x.shape[0], channels, *window, *places))
    x = transpose(x, permutation=(0, 1, *range(n + 2, 2 * n + 2), *range(2, n + 2)))
    out = overlap_add(x, axes=tuple(range(2, n + 2)), sizes=padded, step=stride, dilation=dilation)
    return _pad(out, tuple((-low, -high) for low, high in padding))


def _windows(kernel_size, stride, dilation, n, name):
    window = per_axis(kernel_size, n, name, "kernel_size")
    return window, per_axis(stride, n, name, "stride"), per_axis(dilation, n, name, "dilation")


def _pad(x, padding):
    """x with zeros around its axes from 2 on."""
    if not any(low or high for low, high in padding):
        return x
    low, high = (0, 0, *(a for a, _ in padding)), (0, 0, *(b for _, b in padding))
    return pad(x, number(0, x), low=low, high=high, interior=(0,) * x.ndim)


def _product(sizes):
    return int(np.prod(sizes, dtype=np.int64))


im2col, col2im = unfold, fold

__all__ = [
    "conv_general_dilated", "conv1d", "conv2d", "conv3d", "depthwise_conv2d", "separable_conv2d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "unfold", "fold", "im2col", "col2im",
]  # fmt: skip
