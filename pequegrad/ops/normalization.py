"""Normalisation: x shifted and scaled to mean 0 and variance 1 over some of its axes.

Statistics of 16-bit floats are computed in float32, as in PyTorch; results have the dtype of x. Variances are those of
the population (divided by n), except in the running variance of batch_norm.
"""

import math
from typing import NamedTuple

import numpy as np

from ..core.dtype import dt
from ..core.errors import ArgumentError, ShapeError
from ..core.tensor import Tensor
from ..primitives import elementwise as e
from ..primitives import mathematical as m
from ..primitives.control import stop_gradient
from ..primitives.reduction import reduce_sum
from ..primitives.shape import reshape_to
from .arithmetic import floating
from .creation import as_tensor
from .reductions import kept_shape
from .shape import normalize_axes


def layer_norm(x, normalized_shape=None, weight=None, bias=None, eps=1e-5, *, axis=None):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes of x (Ba et al., 2016).

    normalized_shape: the sizes of these axes, an int or a tuple (default: the last axis alone). Or give `axis`, an int
    or a tuple. weight, bias: of the shape of the normalised axes.
    """
    x = floating(x)
    axes = _normalized_axes("layer_norm", x, normalized_shape, axis)
    wide = _wide(x)
    mean, variance = _statistics(wide, axes)
    out = e.mul(e.sub(wide, mean), m.rsqrt(e.add(variance, float(eps))))
    return _scaled("layer_norm", out, axes, weight, bias, x)


def rms_norm(x, normalized_shape=None, weight=None, eps=None, *, axis=None):
    """x / sqrt(mean(x * x) + eps) * weight over the last axes of x (Zhang & Sennrich, 2019).

    eps: by default the spacing of floats of this dtype at 1. Other arguments as for layer_norm.
    """
    x = floating(x)
    axes = _normalized_axes("rms_norm", x, normalized_shape, axis)
    wide = _wide(x)
    square = _mean(e.mul(wide, wide), axes)
    out = e.mul(wide, m.rsqrt(e.add(square, _spacing(wide.dtype) if eps is None else float(eps))))
    return _scaled("rms_norm", out, axes, weight, None, x)


class BatchNorm(NamedTuple):
    """What batch_norm returns: the result, and the running statistics to use from now on (None if none were given)."""

    out: Tensor
    running_mean: Tensor | None
    running_var: Tensor | None


def batch_norm(x, running_mean=None, running_var=None, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel, axis 1 of x (Ioffe & Szegedy, 2015).

    x: [N, C, ...]; running_mean, running_var, weight, bias: [C]. In training the statistics are those of x, and the
    running ones move towards them: (1 - momentum) * running + momentum * new, with the variance divided by n - 1;
    momentum=None keeps them as they are; it may be a 0-d tensor. Otherwise the running statistics are used (without them those of x).
    Returns (out, running_mean, running_var); the new running statistics are constant to derivatives.
    """
    x = floating(x)
    if x.ndim < 2:
        raise ShapeError(f"batch_norm: {x._node.aval} has no axis of channels.", fix="x has shape [N, C, ...].")
    if (running_mean is None) != (running_var is None):
        raise ArgumentError("batch_norm: only one of running_mean and running_var is given.", fix="give both or none.")
    axes = (0, *range(2, x.ndim))
    wide = _wide(x)
    running = None
    if running_mean is not None:
        running = [_per_channel("batch_norm", "running statistics", v, x) for v in (running_mean, running_var)]
    if training or running is None:
        count = math.prod(x.shape[a] for a in axes)
        if training and count < 2:
            raise ShapeError(
                f"batch_norm: in training {x._node.aval} has {count} values per channel: there is no variance.",
                fix="use larger batches, or training=False.",
            )
        mean, variance = _statistics(wide, axes)
    else:
        mean, variance = (e.convert_to(v, wide.dtype) for v in running)
        count = 0
    out = e.mul(e.sub(wide, mean), m.rsqrt(e.add(variance, float(eps))))
    out = _scaled("batch_norm", out, (1,), weight, bias, x)
    if running is None or not training or momentum is None:
        return BatchNorm(out, running_mean, running_var)
    new = [stop_gradient(mean), e.mul(stop_gradient(variance), count / (count - 1))]
    momentum = momentum if isinstance(momentum, Tensor) else float(momentum)
    moved = [_moved(old, v, momentum, x.shape[1]) for old, v in zip(running, new)]
    return BatchNorm(out, *moved)


def _moved(running, new, momentum, channels):
    """(1 - momentum) * running + momentum * new, in the dtype of running."""
    if isinstance(momentum, Tensor):
        momentum, rest = e.convert_to(momentum, new.dtype), e.sub(1.0, e.convert_to(momentum, new.dtype))
    else:
        rest = 1 - momentum
    out = e.add(e.mul(e.convert_to(running, new.dtype), rest), e.mul(new, momentum))
    return reshape_to(e.convert_to(out, running.dtype), (channels,))


def group_norm(x, groups, weight=None, bias=None, eps=1e-5):
    """layer_norm over the channels of each of `groups` groups, and all positions (Wu & He, 2018).

    x: [N, C, ...]; weight, bias: [C].
    """
    x = floating(x)
    if x.ndim < 2:
        raise ShapeError(f"group_norm: {x._node.aval} has no axis of channels.", fix="x has shape [N, C, ...].")
    if not isinstance(groups, (int, np.integer)) or groups < 1 or x.shape[1] % groups:
        raise ShapeError(
            f"group_norm: the {x.shape[1]} channels of {x._node.aval} do not divide into {groups!r} groups.",
            fix="the number of groups must divide the number of channels.",
        )
    wide = _wide(x)
    grouped = reshape_to(wide, (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    mean, variance = _statistics(grouped, tuple(range(2, grouped.ndim)))
    out = e.mul(e.sub(grouped, mean), m.rsqrt(e.add(variance, float(eps))))
    return _scaled("group_norm", reshape_to(out, x.shape), (1,), weight, bias, x)


def instance_norm(x, weight=None, bias=None, eps=1e-5):
    """(x - mean) / sqrt(var + eps) * weight + bias over the positions of each example and channel (Ulyanov et al., 2016).

    x: [N, C, ...]; weight, bias: [C].
    """
    x = floating(x)
    if x.ndim < 3:
        raise ShapeError(f"instance_norm: {x._node.aval} has no positions.", fix="x has shape [N, C, positions ...].")
    wide = _wide(x)
    mean, variance = _statistics(wide, tuple(range(2, x.ndim)))
    out = e.mul(e.sub(wide, mean), m.rsqrt(e.add(variance, float(eps))))
    return _scaled("instance_norm", out, (1,), weight, bias, x)


# ---- what they share --------------------------------------------------------------------------------------


def _wide(x):
    return e.convert_to(x, dt.float32) if x.dtype.itemsize == 2 else x


def _spacing(dtype):
    return float(np.finfo(dtype).eps)


def _mean(x, axes):
    """The mean with kept axes; nan of nothing."""
    count = math.prod(x.shape[a] for a in axes)
    total = reduce_sum(x, axes=axes) if axes else x
    return reshape_to(e.mul(total, 1 / count if count else math.nan), kept_shape(x.shape, axes))


def _statistics(x, axes):
    """Mean and variance with kept axes; two passes, so that a large mean costs no digits of the variance."""
    mean = _mean(x, axes)
    centred = e.sub(x, mean)
    return mean, _mean(e.mul(centred, centred), axes)


def _normalized_axes(name, x, normalized_shape, axis):
    if normalized_shape is not None and axis is not None:
        raise ArgumentError(f"{name}: both normalized_shape and axis are given.", fix="give one of them.")
    if not x.ndim:
        raise ShapeError(f"{name}: a 0-d array has no axis to normalise.")
    if normalized_shape is None:
        return normalize_axes(-1 if axis is None else axis, x.ndim, name)
    sizes = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
    if not sizes or x.shape[-len(sizes) :] != sizes:
        raise ShapeError(
            f"{name}: normalized_shape {list(sizes)} is not that of the last axes of {x._node.aval}.",
            fix="give the sizes of the axes to normalise, or `axis`.",
        )
    return tuple(range(x.ndim - len(sizes), x.ndim))


def _per_channel(name, what, v, x):
    """`v`, one number per channel, in a shape that broadcasts against x."""
    v = floating(as_tensor(v, x.device))
    if v.shape != (x.shape[1],):
        raise ShapeError(f"{name}: {what} {v._node.aval} must have shape [{x.shape[1]}], one number per channel.")
    return reshape_to(v, (1, x.shape[1]) + (1,) * (x.ndim - 2))


def _scaled(name, out, axes, weight, bias, x):
    """out * weight + bias, which lie on `axes` of x, in the dtype of x."""
    shape = tuple(x.shape[a] for a in axes)
    for what, v, combine in (("weight", weight, e.mul), ("bias", bias, e.add)):
        if v is None:
            continue
        v = floating(as_tensor(v, x.device))
        if v.shape != shape:
            raise ShapeError(f"{name}: {what} {v._node.aval} must have shape {list(shape)}.")
        v = reshape_to(v, tuple(n if a in axes else 1 for a, n in enumerate(x.shape)))
        out = combine(out, e.convert_to(v, out.dtype))
    return e.convert_to(out, x.dtype, x.weak_type)


__all__ = ["layer_norm", "rms_norm", "BatchNorm", "batch_norm", "group_norm", "instance_norm"]
