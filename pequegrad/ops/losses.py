"""Losses. `reduction` says what becomes of the losses of the elements: "mean" (the default), "sum" or "none".

As in PyTorch, but classes lie on the last axis: scores are [..., classes], class numbers [...].
"""

import numpy as np

from ..core.dtype import dt, is_integer
from ..core.errors import ArgumentError, DtypeError, ShapeError
from ..primitives import elementwise as e
from ..primitives import mathematical as m
from ..primitives.base import number
from ..primitives.shape import broadcast_in_dim
from .arithmetic import floating, promoted, promoted_floats
from .creation import as_tensor
from .indexing import getitem, pick
from .reductions import log_softmax, mean
from .reductions import sum as total
from .shape import expand_dims, normalize_axis, squeeze
from .special import softplus, xlogy


def _check_reduction(name, reduction, allowed=("mean", "sum", "none")):
    if reduction not in allowed:
        raise ArgumentError(f"{name}: reduction={reduction!r} is unknown.", fix=f"use one of {', '.join(allowed)}.")


def _reduced(name, losses, reduction):
    _check_reduction(name, reduction)
    return mean(losses) if reduction == "mean" else total(losses) if reduction == "sum" else losses


def _pair(name, x, target):
    """Both as floats of one dtype and one shape."""
    x, target = promoted_floats(x, target)
    if x.shape != target.shape:
        raise ShapeError(
            f"{name}: {x._node.aval} and {target._node.aval} must have one shape.",
            fix="reshape one: broadcasting here is usually a mistake.",
        )
    return x, target


def _weighted(losses, weight):
    return losses if weight is None else e.mul(*promoted(losses, weight))


# ---- distances ---------------------------------------------------------------------------------------------


def mse_loss(x, target, reduction="mean"):
    """(x - target) ** 2, reduced."""
    difference = e.sub(*_pair("mse_loss", x, target))
    return _reduced("mse_loss", e.mul(difference, difference), reduction)


def l1_loss(x, target, reduction="mean"):
    """|x - target|, reduced. The derivative where both are equal is that of abs, 1."""
    return _reduced("l1_loss", e.abs_(e.sub(*_pair("l1_loss", x, target))), reduction)


def huber_loss(x, target, delta=1.0, reduction="mean"):
    """With d = |x - target|: d * d / 2 up to delta, beyond it delta * (d - delta / 2); reduced."""
    if delta <= 0:
        raise ArgumentError(f"huber_loss: delta={delta} must be positive.")
    distance = e.abs_(e.sub(*_pair("huber_loss", x, target)))
    squares = e.mul(e.mul(distance, distance), 0.5)
    lines = e.mul(e.sub(distance, delta / 2), float(delta))
    return _reduced("huber_loss", e.select(e.le(distance, float(delta)), squares, lines), reduction)


def smooth_l1_loss(x, target, beta=1.0, reduction="mean"):
    """huber_loss with delta = beta, divided by beta; with beta = 0 the l1_loss."""
    if beta < 0:
        raise ArgumentError(f"smooth_l1_loss: beta={beta} must not be negative.")
    if beta == 0:
        return l1_loss(x, target, reduction)
    _check_reduction("smooth_l1_loss", reduction)
    return e.div(huber_loss(x, target, beta, reduction), float(beta))


def cosine_similarity(x, y, axis=-1, eps=1e-8):
    """sum(x * y) / (|x| |y|) along `axis`, with each norm at least `eps`; x and y broadcast."""
    x, y = promoted_floats(x, y)
    x, y = _broadcast(x, y)
    axis = normalize_axis(axis, x.ndim, "cosine_similarity")
    return e.div(total(e.mul(x, y), axis), e.mul(_norm(x, axis, eps), _norm(y, axis, eps)))


def _broadcast(*xs):
    shape = e.broadcast_shapes("cosine_similarity", *(x._node.aval for x in xs))
    places = lambda x: tuple(range(len(shape) - x.ndim, len(shape)))
    return [x if x.shape == shape else broadcast_in_dim(x, shape=shape, axes=places(x)) for x in xs]


def _norm(x, axis, eps):
    """The Euclidean norm, `eps` where it is smaller: there its derivative is 0, also at 0."""
    square = total(e.mul(x, x), axis)
    small = e.le(square, float(eps) ** 2)
    return e.select(small, number(float(eps), x), m.sqrt(e.select(small, number(1, x), square)))


# ---- probabilities -----------------------------------------------------------------------------------------


def binary_cross_entropy(p, target, weight=None, reduction="mean"):
    """-(target * log(p) + (1 - target) * log(1 - p)), reduced; logarithms are at least -100, as in PyTorch.

    p, target: probabilities of one shape. For scores use binary_cross_entropy_with_logits, which loses no digits.
    """
    p, target = _pair("binary_cross_entropy", p, target)
    # max gives derivative 0 at the bound; log(0) itself is kept out of it
    log = lambda v: e.select(e.gt(v, 0), e.max_(m.log(e.select(e.gt(v, 0), v, number(1, v))), -100.0), number(-100, v))
    complement = e.sub(number(1, p), p)
    losses = e.neg(e.add(e.mul(target, log(p)), e.mul(e.sub(number(1, p), target), log(complement))))
    return _reduced("binary_cross_entropy", _weighted(losses, weight), reduction)


def binary_cross_entropy_with_logits(logits, target, weight=None, pos_weight=None, reduction="mean"):
    """binary_cross_entropy(sigmoid(logits), target), without overflow; `pos_weight` multiplies the losses of target 1."""
    logits, target = _pair("binary_cross_entropy_with_logits", logits, target)
    if pos_weight is None:
        losses = e.sub(softplus(logits), e.mul(logits, target))
    else:
        logits, target, pos_weight = promoted(logits, target, pos_weight)
        positives = e.mul(e.mul(target, softplus(e.neg(logits))), pos_weight)
        losses = e.add(positives, e.mul(e.sub(number(1, target), target), softplus(logits)))
    return _reduced("binary_cross_entropy_with_logits", _weighted(losses, weight), reduction)


def kl_div(log_p, target, reduction="mean", log_target=False):
    """target * (log(target) - log_p), reduced; 0 where target is 0. log_target: the target is given as a logarithm.

    reduction "batchmean" divides the sum by the size of the first axis, which makes it the Kullback-Leibler divergence.
    """
    _check_reduction("kl_div", reduction, ("mean", "sum", "none", "batchmean"))
    log_p, target = _pair("kl_div", log_p, target)
    if log_target:
        losses = e.mul(m.exp(target), e.sub(target, log_p))
    else:
        losses = e.sub(xlogy(target, target), e.mul(target, log_p))
    if reduction == "batchmean":
        if not losses.ndim:
            raise ShapeError("kl_div: reduction='batchmean' needs a first axis.", fix="use 'mean' for 0-d tensors.")
        return e.div(total(losses), float(losses.shape[0]))
    return _reduced("kl_div", losses, reduction)


# ---- classes ------------------------------------------------------------------------------------------------


def cross_entropy_loss_indices(logits, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """-log softmax(logits)[target], reduced.

    logits: float [..., classes]; target: integers [...], the class numbers; weight: [classes], the weight of each class.
    Elements whose target is `ignore_index` do not count. "mean" divides by the sum of the weights of the targets.
    label_smoothing: the part of the target that is spread evenly over all classes.
    A class number out of range makes the loss nan: whether there is one is not known before the values are.
    """
    log_p = log_softmax(_scores("cross_entropy_loss_indices", logits))
    return _class_loss("cross_entropy_loss_indices", log_p, target, weight, ignore_index, reduction, label_smoothing)


def nll_loss(log_p, target, weight=None, ignore_index=-100, reduction="mean"):
    """-log_p[target], reduced; arguments as for cross_entropy_loss_indices, log_p: log probabilities [..., classes]."""
    return _class_loss("nll_loss", _scores("nll_loss", log_p), target, weight, ignore_index, reduction, 0.0)


def cross_entropy_loss_probs(logits, target, weight=None, reduction="mean", label_smoothing=0.0):
    """-sum(target * log softmax(logits)) over the last axis, reduced; target: probabilities, shape of logits."""
    logits = _scores("cross_entropy_loss_probs", logits)
    target = floating(as_tensor(target, logits.device))
    if logits.shape != target.shape:
        raise ShapeError(
            f"cross_entropy_loss_probs: logits {logits._node.aval} and targets {target._node.aval} must have one shape.",
            fix="for class numbers use cross_entropy_loss_indices.",
        )
    _check_smoothing("cross_entropy_loss_probs", label_smoothing)
    log_p, target = promoted(log_softmax(logits), target)
    if label_smoothing:
        target = e.add(e.mul(target, 1 - label_smoothing), label_smoothing / logits.shape[-1])
    log_p = _class_weighted("cross_entropy_loss_probs", log_p, weight)
    return _reduced("cross_entropy_loss_probs", e.neg(total(e.mul(log_p, target), axis=-1)), reduction)


def _scores(name, x):
    x = floating(x)
    if not x.ndim:
        raise ShapeError(f"{name}: {x._node.aval} has no axis of classes.", fix="classes lie on the last axis.")
    return x


def _check_smoothing(name, label_smoothing):
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"{name}: label_smoothing={label_smoothing} is not in [0, 1].")


def _class_weighted(name, x, weight):
    if weight is None:
        return x
    x, weight = promoted(x, weight)
    if weight.shape != x.shape[-1:]:
        raise ShapeError(
            f"{name}: weight {weight._node.aval} must have shape {list(x.shape[-1:])}, one number per class."
        )
    return e.mul(x, weight)


def _class_loss(name, log_p, target, weight, ignore_index, reduction, label_smoothing):
    _check_reduction(name, reduction)
    _check_smoothing(name, label_smoothing)
    target = as_tensor(target, log_p.device)
    if not is_integer(target.dtype):
        raise DtypeError(
            f"{name}: class numbers must be integers, got {target._node.aval}.",
            fix="convert them: y.astype(dt.int32); for probabilities use cross_entropy_loss_probs.",
        )
    if log_p.shape[:-1] != target.shape:
        raise ShapeError(
            f"{name}: scores {log_p._node.aval} need targets of shape {list(log_p.shape[:-1])}, got {list(target.shape)}."
        )
    ignored = None
    if _representable(ignore_index, target.dtype):
        ignored = e.eq(target, number(ignore_index, target))
        target = e.select(ignored, number(0, target), target)
    at_target = lambda x: squeeze(pick(x, expand_dims(target, -1), x.ndim - 1), -1)
    keep = lambda x: x if ignored is None else e.select(ignored, number(0, x), x)

    weighted = _class_weighted(name, log_p, weight)
    losses = keep(e.neg(at_target(weighted)))
    if label_smoothing:
        spread = keep(e.neg(mean(weighted, axis=-1)))
        losses = e.add(e.mul(losses, 1 - label_smoothing), e.mul(spread, float(label_smoothing)))
    if reduction != "mean":
        return _reduced(name, losses, reduction)
    if weight is not None:
        counts = keep(getitem(as_tensor(weight, log_p.device), target))
    elif ignored is not None:
        counts = e.not_(ignored)
    else:
        return mean(losses)
    wide = dt.float32 if losses.dtype.itemsize == 2 else losses.dtype  # sums and counts may not fit 16 bits
    average = e.div(total(e.convert_to(losses, wide)), total(e.convert_to(counts, wide)))
    return e.convert_to(average, losses.dtype)


def _representable(value, dtype):
    limits = np.iinfo(dtype)
    return value is not None and limits.min <= value <= limits.max


__all__ = [
    "mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "cosine_similarity", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "kl_div", "cross_entropy_loss_indices", "nll_loss", "cross_entropy_loss_probs",
]  # fmt: skip
