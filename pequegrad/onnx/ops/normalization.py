"""Normalisation, and dropout."""

import pequegrad as pg

from ...core.errors import ArgumentError
from ...ops.random import next_key, random_key, uniform
from ...primitives.windows import reduce_window_sum
from ..registry import op
from ..values import dtype_of, tensor


def _wide(x, stash_type=1):
    """x in the wider of its own type and that of statistics."""
    stash = dtype_of(stash_type)
    return x.astype(stash) if x.dtype.itemsize < stash.itemsize else x


def _statistics(x, axes):
    """Mean and variance (divided by n) with kept axes."""
    mean = pg.mean(x, axes, keepdims=True)
    centred = x - mean
    return mean, pg.mean(centred * centred, axes, keepdims=True)


# ---- batches ---------------------------------------------------------------------------------------------


def _batch_norm(x, scale, b, mean, var, *, epsilon, momentum, training, spatial=1):
    """(y, running mean, running variance, mean of the batch, its variance)."""
    if not training and spatial and x.ndim > 1:
        y, *_ = pg.batch_norm(x, mean, var, scale, b, False, eps=epsilon)
        return y, mean, var, mean, var
    wide = _wide(x)
    shape = (1, *scale.shape) + (1,) * (x.ndim - 1 - scale.ndim)
    if x.ndim == 1:
        shape = (1,)
    saved = mean, var
    if training:
        saved = [pg.reshape(v, scale.shape) for v in _statistics(wide, (0, *range(2, x.ndim)) if spatial else (0,))]
    centre, spread = (pg.reshape(v.astype(wide.dtype), shape) for v in saved)
    scale, b = (pg.reshape(v.astype(wide.dtype), shape) for v in (scale, b))
    y = (wide - centre) * (pg.rsqrt(spread + epsilon) * scale) + b
    running = [(old * momentum + new * (1 - momentum)).astype(old.dtype) for old, new in zip((mean, var), saved)]
    return y.astype(x.dtype), *running, *(new.astype(old.dtype) for old, new in zip((mean, var), saved))


@op("BatchNormalization", statistics=("mean", "var"), weights=("scale", "b"))
def batch_norm_1(
    x, scale, b, mean, var, *, epsilon=1e-5, momentum=0.9, spatial=1, is_test=0, n_outputs=1, may_train=True
):
    """Before set 14 a model trains if it asks for the running statistics."""
    training = n_outputs > 1 and not is_test and may_train
    rest = {"epsilon": epsilon, "momentum": momentum, "spatial": spatial, "training": training}
    return _batch_norm(x, scale, b, mean, var, **rest)[:n_outputs]


@op("BatchNormalization", since=14, statistics=("input_mean", "input_var"), weights=("scale", "b"))
def batch_norm(x, scale, b, input_mean, input_var, *, epsilon=1e-5, momentum=0.9, training_mode=0, may_train=True):
    training = bool(training_mode) and may_train
    found = _batch_norm(x, scale, b, input_mean, input_var, epsilon=epsilon, momentum=momentum, training=training)
    return found[:3]


# ---- channels, groups, layers -----------------------------------------------------------------------------


@op("InstanceNormalization", since=6)
def instance_norm(x, scale, b, *, epsilon=1e-5):
    return pg.instance_norm(x, scale, b, epsilon)


@op("GroupNormalization", since=21)
def group_norm(x, scale, bias, *, num_groups, epsilon=1e-5, stash_type=1):
    return pg.group_norm(_wide(x, stash_type), num_groups, scale, bias, epsilon).astype(x.dtype)


@op("GroupNormalization", since=18)
def group_norm_18(x, scale, bias, *, num_groups, epsilon=1e-5):
    """With one scale and bias per group."""
    scale, bias = (pg.repeat(v, x.shape[1] // num_groups) for v in (scale, bias))
    return group_norm(x, scale, bias, num_groups=num_groups, epsilon=epsilon)


@op("LayerNormalization", since=17)
def layer_norm(x, scale, b=None, *, axis=-1, epsilon=1e-5, stash_type=1, n_outputs=1):
    axis = axis % x.ndim
    if n_outputs == 1 and scale.shape == x.shape[axis:] and (b is None or b.shape == scale.shape):
        return pg.layer_norm(_wide(x, stash_type), x.shape[axis:], scale, b, epsilon).astype(x.dtype)
    wide = _wide(x, stash_type)
    mean, variance = _statistics(wide, tuple(range(axis, x.ndim)))
    inverse = pg.rsqrt(variance + epsilon)
    y = ((wide - mean) * inverse).astype(x.dtype) * scale
    return (y if b is None else y + b, *(v.astype(dtype_of(stash_type)) for v in (mean, inverse)))[:n_outputs]


@op("RMSNormalization", since=23)
def rms_norm(x, scale, *, axis=-1, epsilon=1e-5, stash_type=1):
    axis = axis % x.ndim
    wide = _wide(x, stash_type)
    if scale.shape == x.shape[axis:]:
        return pg.rms_norm(wide, x.shape[axis:], scale, epsilon).astype(scale.dtype)
    square = pg.mean(wide * wide, tuple(range(axis, x.ndim)), keepdims=True)
    return (wide * pg.rsqrt(square + epsilon)).astype(scale.dtype) * scale


# ---- vectors --------------------------------------------------------------------------------------------


@op("LpNormalization")
def lp_normalization(x, *, axis=-1, p=2):
    """x divided by its p-norm along an axis; zeros stay zeros."""
    if p not in (1, 2):
        raise ArgumentError(f"LpNormalization: p={p} is not supported.", fix="p is 1 or 2.")
    wide = _wide(x)
    total = pg.sum(pg.abs(wide) if p == 1 else wide * wide, axis, keepdims=True)
    nothing = total == 0  # there a root would have an infinite derivative
    total = pg.where(nothing, 1.0, total)
    return pg.where(nothing, 0.0, wide / (total if p == 1 else pg.sqrt(total))).astype(x.dtype)


@op("MeanVarianceNormalization", since=9)
def mean_variance_normalization(x, *, axes=(0, 2, 3)):
    mean, variance = _statistics(x, tuple(axes))
    return (x - mean) / (pg.sqrt(variance) + 1e-9)


@op("LRN")
def lrn(x, *, size, alpha=1e-4, beta=0.75, bias=1.0):
    """x / (bias + alpha * mean of the squares of `size` neighbouring channels) ** beta (Krizhevsky et al., 2012)."""
    if size % 2:
        return pg.local_response_norm(x, size, alpha, beta, bias)
    ones, wide = (1,) * x.ndim, _wide(x)
    on_channels = lambda value, rest: (rest, value) + (rest,) * (x.ndim - 2)
    before = (size - 1) // 2
    total = reduce_window_sum(
        wide * wide, window=on_channels(size, 1), step=ones, padding=on_channels((before, size - 1 - before), (0, 0)),
        base_dilation=ones, dilation=ones,
    )  # fmt: skip
    return (wide / (bias + alpha / size * total) ** beta).astype(x.dtype)


# ---- dropout --------------------------------------------------------------------------------------------


@op("Dropout", folds=False)
def dropout_1(data, *, ratio=0.5, is_test=1, n_outputs=1):
    """Before set 12 models only infer; the mask has the type of the data."""
    data = tensor(data)
    return (data, pg.ones(data.shape, data.dtype))[:n_outputs]


@op("Dropout", since=10, folds=False)
def dropout_10(data, *, ratio=0.5, n_outputs=1):
    return dropout(data, n_outputs=n_outputs)


@op("Dropout", since=12, known=("training_mode",), folds=False)
def dropout(data, ratio=None, training_mode=None, *, seed=None, n_outputs=1, may_train=True):
    """Zeros with probability `ratio` in training; the mask says what stays."""
    data = tensor(data)
    if not may_train or training_mode is None or not training_mode.reshape(-1).tolist()[0]:
        return (data, pg.ones(data.shape, "bool"))[:n_outputs]
    ratio = tensor(0.5 if ratio is None else ratio, data).astype("float32")
    key = next_key(data.device) if seed is None else random_key(seed, data.device)
    keep = uniform(key, data.shape, "float32") >= ratio
    scaled = data * pg.where(ratio < 1, 1 / (1 - ratio), 0.0).astype(data.dtype)
    return (pg.where(keep, scaled, 0), keep)[:n_outputs]
