"""Pooling under PyTorch's arguments: maxima with their positions, means over bins of a given number."""

import math

import numpy as np

from ...core.dtype import dt
from ...core.errors import ArgumentError, ShapeError
from ...ops import pooling as ops
from ...ops.arithmetic import floating
from ...ops.convolution import batched, unbatched
from ...ops.creation import as_tensor
from ...ops.image import _apply as apply_matrices
from ...ops.pooling import avg_pool1d, avg_pool2d, avg_pool3d
from ...ops.rearrange import take
from ...ops.reductions import argmax
from ...ops.shape import reshape
from ...primitives.base import number
from ...primitives.shape import pad
from ...primitives.windows import windows


def _max_pool(n):
    name = f"max_pool{n}d"

    def function(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        x = as_tensor(input)
        out = getattr(ops, name)(x, kernel_size, stride, padding, dilation, ceil_mode)
        if not return_indices:
            return out
        return out, _positions(name, n, x, kernel_size, stride, padding, dilation, ceil_mode)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The largest element under each place of a window over x [N, C, {n} of space]; see pg.{name}.

    return_indices: also where it lies, int64: its number among the elements of its channel.
    """
    return function


max_pool1d, max_pool2d, max_pool3d = map(_max_pool, (1, 2, 3))


def _positions(name, n, x, *options):
    """Numbers of the elements that max_pool takes, [N, C, places ...]."""
    x, had_batch = batched(x, n, name)
    fixed, _, reached = ops._parameters(x, n, name, *options, False)
    window, step, dilation, reached = (v[2:] for v in (fixed["window"], fixed["step"], fixed["dilation"], reached))
    low, high = ((0, 0, *ends) for ends in zip(*reached))
    lowest = number(-math.inf if x.dtype.kind in "fV" else int(np.iinfo(x.dtype).min), x)
    view = windows(
        pad(x, lowest, low=low, high=high, interior=(0,) * x.ndim),
        axes=tuple(range(2, n + 2)), window=window, step=step, dilation=dilation,
    )  # fmt: skip
    places = view.shape[2 : n + 2]  # and the window's axes behind them
    strides = [math.prod(x.shape[3 + i :]) for i in range(n)]
    begins = [(np.arange(m) * s - b) * stride for m, s, (b, _), stride in zip(places, step, reached, strides)]
    offsets = [np.arange(k) * d * stride for k, d, stride in zip(window, dilation, strides)]
    table = lambda columns: sum(np.ix_(*columns)).astype(np.int64)
    chosen = argmax(reshape(view, (*view.shape[: n + 2], math.prod(window))), -1)
    numbers = take(as_tensor(table(offsets).ravel(), x.device), chosen) + as_tensor(table(begins), x.device)
    return unbatched(numbers.astype(dt.int64), had_batch)


def _adaptive_avg_pool(n):
    name = f"adaptive_avg_pool{n}d"

    def function(input, output_size):
        x, had_batch = batched(floating(input), n, name)
        sizes = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * n
        if len(sizes) != n or not all(v is None or isinstance(v, int) and v > 0 for v in sizes):
            raise ArgumentError(f"{name}: output_size={output_size!r} is not a positive int, None, or {n} of them.")
        if 0 in x.shape[2:]:
            raise ShapeError(f"{name}: {x._node.aval} has no elements to average.")
        sizes = [old if new is None else new for old, new in zip(x.shape[2:], sizes)]
        if all(old % new == 0 for old, new in zip(x.shape[2:], sizes)):  # bins of one size: a window
            window = [old // new for old, new in zip(x.shape[2:], sizes)]
            return unbatched(getattr(ops, f"avg_pool{n}d")(x, window), had_batch)
        steps = [(a, _bins(x.shape[a], new)) for a, new in enumerate(sizes, 2) if x.shape[a] != new]
        return unbatched(apply_matrices(x, steps), had_batch)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Means over `output_size` bins along each axis of space of x [N, C, {n} of space].

    Bin i of m over n elements goes from floor(i n / m) to ceil((i + 1) n / m). output_size: an int, or {n}; None keeps a size.
    """
    return function


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = map(_adaptive_avg_pool, (1, 2, 3))


def _bins(old, new):
    """weights[i, j]: how much element i counts in bin j."""
    i, j = np.arange(old)[:, None], np.arange(new)[None, :]
    inside = (i >= j * old // new) & (i < -(-(j + 1) * old // new))
    return inside / inside.sum(0)


__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "max_pool1d", "max_pool2d", "max_pool3d",
]  # fmt: skip
