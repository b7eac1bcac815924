"""Pooling: maxima, means and norms under windows."""

import math

import numpy as np

import pequegrad as pg

from ...core.errors import ShapeError
from ...primitives import windows as w
from ..registry import op
from .windows import each, padding, reach


def _spread(values, rest=1):
    return (rest, rest, *values)


def _windows(name, x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode):
    """(window, step and dilation of all axes as the primitives take them, paddings as given and as ceil_mode makes them)."""
    n = len(kernel_shape)
    if x.ndim != n + 2:
        raise ShapeError(
            f"{name}: {x._node.aval} does not have {n} spatial axes, as kernel_shape {list(kernel_shape)}."
        )
    strides, dilations = each(strides, n, f"{name}: strides"), each(dilations, n, f"{name}: dilations")
    ends = padding(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, name, ceil_mode)
    fixed = {"window": _spread(kernel_shape), "step": _spread(strides), "dilation": _spread(dilations)}
    return fixed, *(_spread(pairs, (0, 0)) for pairs in ends)


@op("MaxPool", since=8)
def max_pool(x, *, kernel_shape, auto_pad="NOTSET", ceil_mode=0, dilations=None, pads=None, storage_order=0, strides=None,
             n_outputs=1):  # fmt: skip
    fixed, _, reached = _windows("MaxPool", x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    y = w.reduce_window_max(x, padding=reached, base_dilation=(1,) * x.ndim, **fixed)
    if n_outputs == 1:
        return y
    indices = w.window_argmax(x, padding=reached, **fixed).astype("int64")
    return y, _by_columns(indices, x.shape[2:]) if storage_order else indices


def _by_columns(indices, space):
    """Row-major numbers of elements as column-major ones, which begin with the first axis of space."""
    rest, total, stride = indices, 0, 1
    places = []
    for size in reversed(space):
        places.append(rest % size)
        rest = rest // size
    for size, place in zip(space, reversed(places)):
        total, stride = total + place * stride, stride * size
    return rest * stride + total


op("MaxPool")(max_pool)


@op("AveragePool")
def average_pool(x, *, kernel_shape, auto_pad="NOTSET", ceil_mode=0, count_include_pad=0, dilations=None, pads=None,
                 strides=None):  # fmt: skip
    fixed, given, reached = _windows("AveragePool", x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    fixed["base_dilation"] = (1,) * x.ndim
    wide = x.astype("float32") if x.dtype.itemsize == 2 else x
    total = w.reduce_window_sum(wide, padding=reached, **fixed)
    if reached == given and (count_include_pad or not any(map(any, given))):
        return (total / math.prod(kernel_shape)).astype(x.dtype)
    sizes, ends = [1, 1], [(0, 0), (0, 0)]
    for size, (before, after), (_, end) in zip(x.shape[2:], given[2:], reached[2:]):
        sizes.append(size + before + after if count_include_pad else size)
        ends.append((0, end - after) if count_include_pad else (before, end))
    counts = w.reduce_window_sum(pg.ones(sizes, wide.dtype), padding=tuple(ends), **fixed)
    return (total / counts).astype(x.dtype)


@op("LpPool")
def lp_pool(x, *, kernel_shape, auto_pad="NOTSET", ceil_mode=0, dilations=None, p=2, pads=None, strides=None):
    """(sum of |x| ** p) ** (1 / p) under windows."""
    fixed, _, reached = _windows("LpPool", x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    powers = pg.abs(x.astype("float32") if x.dtype.itemsize == 2 else x) ** p
    total = w.reduce_window_sum(powers, padding=reached, base_dilation=(1,) * x.ndim, **fixed)
    return (total ** (1 / p)).astype(x.dtype)


def _space(x):
    return tuple(range(2, x.ndim))


@op("GlobalAveragePool")
def global_average_pool(x):
    return pg.mean(x, _space(x), keepdims=True)


@op("GlobalMaxPool")
def global_max_pool(x):
    return pg.max(x, _space(x), keepdims=True)


@op("GlobalLpPool")
def global_lp_pool(x, *, p=2):
    return pg.sum(pg.abs(x) ** p, _space(x), keepdims=True) ** (1 / p)


@op("MaxUnpool", since=9, known=("output_shape",))
def max_unpool(x, indices, output_shape=None, *, kernel_shape, pads=None, strides=None):
    """x where `indices`, from MaxPool, says that it was; zeros elsewhere."""
    n = len(kernel_shape)
    strides = each(strides, n, "MaxUnpool: strides")
    pads = each(pads, 2 * n, "MaxUnpool: pads", 0)
    spans = reach(kernel_shape, [1] * n)
    sizes = [
        (size - 1) * step - before - after + span
        for size, step, before, after, span in zip(x.shape[2:], strides, pads[:n], pads[n:], spans)
    ]
    shape = (*x.shape[:2], *sizes)
    flat = pg.zeros((math.prod(shape),), x.dtype).at[pg.reshape(indices, (-1,))].set(pg.reshape(x, (-1,)))
    y = pg.reshape(flat, shape)
    if output_shape is None:
        return y
    wanted = [int(size) for size in np.ravel(output_shape)]
    return pg.pad(y[tuple(map(slice, wanted))], [(0, max(b - a, 0)) for a, b in zip(shape, wanted)])
