"""Losses, as functions and as modules. Arguments, axes and values are PyTorch's: classes lie on axis 1.

`reduction` says what becomes of the losses of the elements: "mean" (the default), "sum" or "none".
(The methods of tensors, x.cross_entropy_loss_indices(y) ..., have the classes on the last axis.)

>>> import pequegrad as pg
>>> cross_entropy(pg.Tensor([[0.0, 0.0]]), np.array([1])).item()
0.6931471824645996
"""

import numpy as np

from ..core.dtype import is_integer
from ..core.errors import ArgumentError, ShapeError
from ..ops import losses as ops
from ..ops.arithmetic import astype, maximum, promoted_floats, sign, where
from ..ops.creation import as_tensor
from ..ops.losses import _pair, _reduced
from ..ops.reductions import mean
from ..ops.shape import moveaxis
from ..primitives.control import stop_gradient
from .ctc import ctc_losses
from .layer import modules_of

# ---- distances -----------------------------------------------------------------------------------------


def _weighted_reduced(name, losses, weight, reduction):
    """The losses, multiplied by `weight`, reduced; the mean then divides by the sum of the weights."""
    if weight is None:
        return _reduced(name, losses, reduction)
    weight = _element_weight(name, weight, losses)
    losses = losses * weight
    return losses.sum() / weight.sum() if reduction == "mean" else _reduced(name, losses, reduction)


def _element_weight(name, weight, losses):
    weight = as_tensor(weight, losses.device)
    if weight.shape != losses.shape:
        raise ShapeError(f"{name}: weight {weight._node.aval} must have the shape {list(losses.shape)} of the input.")
    return weight


def mse_loss(input, target, reduction="mean", weight=None):
    """(input - target) ** 2, reduced; weight: one number per element, by which it counts.

    >>> mse_loss(pg.Tensor([1.0, 2.0]), pg.Tensor([1.0, 4.0])).item()
    2.0
    """
    return _weighted_reduced("mse_loss", ops.mse_loss(input, target, "none"), weight, reduction)


def l1_loss(input, target, reduction="mean", weight=None):
    """|input - target|, reduced; the derivative where both are equal is 0.

    >>> l1_loss(pg.Tensor([1.0, 2.0]), pg.Tensor([1.0, 4.0]), "sum").item()
    2.0
    """
    difference = _difference("l1_loss", input, target)
    return _weighted_reduced("l1_loss", difference * stop_gradient(sign(difference)), weight, reduction)


def _difference(name, input, target):
    x, target = _pair(name, input, target)
    return x - target


def smooth_l1_loss(input, target, reduction="mean", beta=1.0):
    """With d = |input - target|: d * d / (2 beta) below beta, d - beta / 2 beyond it; reduced (Girshick, 2015).

    >>> smooth_l1_loss(pg.Tensor([0.5, 3.0]), pg.zeros(2), "none").tolist()
    [0.125, 2.5]
    """
    if beta == 0:
        return l1_loss(input, target, reduction)
    return ops.smooth_l1_loss(input, target, float(beta), reduction)


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """With d = |input - target|: d * d / 2 up to delta, delta * (d - delta / 2) beyond it; reduced (Huber, 1964).

    weight: one number per element, by which it is multiplied; the mean divides by the number of elements in any case.

    >>> huber_loss(pg.Tensor([1.0, 4.0]), pg.zeros(2), "none", delta=2.0).tolist()
    [0.5, 6.0]
    """
    losses = ops.huber_loss(input, target, float(delta), "none")
    if weight is not None:
        losses = losses * _element_weight("huber_loss", weight, losses)
    return _reduced("huber_loss", losses, reduction)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """sum(x1 * x2) / (|x1| |x2|) along `dim`, each norm at least `eps`; x1 and x2 broadcast.

    >>> cosine_similarity(pg.Tensor([[1.0, 0.0]]), pg.Tensor([[0.0, 2.0]])).tolist()
    [0.0]
    """
    return ops.cosine_similarity(x1, x2, dim, eps)


def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """1 - cos where target is 1, max(0, cos - margin) where it is -1; reduced.

    cos: cosine similarity of input1 and input2, [N, D] (or [D]), along the last axis; target: [N] (or []), of 1 and -1.

    >>> round(cosine_embedding_loss(pg.ones((1, 2)), pg.ones((1, 2)), np.array([-1]), 0.5).item(), 4)
    0.5
    """
    a, b = promoted_floats(input1, input2)
    target = as_tensor(target, a.device)
    if a.shape != b.shape or a.ndim not in (1, 2) or target.shape != a.shape[:-1]:
        raise ShapeError(
            f"cosine_embedding_loss: inputs {a._node.aval}, {b._node.aval} and target {target._node.aval} do not fit.",
            fix="shapes are [N, D], [N, D], [N], or without N.",
        )
    cosine = ops.cosine_similarity(a, b, -1, 1e-12)
    apart = maximum(cosine - float(margin), 0.0)
    losses = where(target == 1, 1 - cosine, where(target == -1, apart, 0.0))
    return _reduced("cosine_embedding_loss", losses, reduction)


# ---- probabilities -------------------------------------------------------------------------------------


def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """-(target log(input) + (1 - target) log(1 - input)), reduced; logarithms are at least -100.

    input, target: probabilities of one shape; weight broadcasts against them. For scores use ..._with_logits.

    >>> round(binary_cross_entropy(pg.Tensor([0.5]), pg.Tensor([1.0])).item(), 4)
    0.6931
    """
    return ops.binary_cross_entropy(input, target, weight, reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean", pos_weight=None):
    """binary_cross_entropy(sigmoid(input), target) without overflow; pos_weight multiplies the losses of target 1.

    >>> round(binary_cross_entropy_with_logits(pg.Tensor([0.0]), pg.Tensor([1.0])).item(), 4)
    0.6931
    """
    return ops.binary_cross_entropy_with_logits(input, target, weight, pos_weight, reduction)


def kl_div(input, target, reduction="mean", log_target=False):
    """target (log(target) - input), reduced; input: log probabilities; log_target: target, too.

    reduction "batchmean" divides the sum by the size of the first axis: the Kullback-Leibler divergence.

    >>> round(kl_div(pg.Tensor([0.5, 0.5]).log(), pg.Tensor([1.0, 0.0]), "sum").item(), 4)
    0.6931
    """
    return ops.kl_div(input, target, reduction, log_target)


# ---- classes -------------------------------------------------------------------------------------------


def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """-log softmax(input)[target], reduced. input: [N, C, ...], or [C].

    target: class numbers [N, ...] (or []), or floats of input's shape, the probabilities of the classes; weight: [C].
    "mean" divides by the sum of the weights of the targets; targets equal to ignore_index do not count. With
    probabilities it divides by the number of examples. label_smoothing: what part of a target is spread over all classes.

    >>> round(cross_entropy(pg.zeros((3, 4)), np.array([0, 3, -100])).item(), 4)
    1.3863
    """
    x, target = as_tensor(input), as_tensor(target, as_tensor(input).device)
    logits = _classes_last("cross_entropy", x)
    if is_integer(target.dtype):
        return ops.cross_entropy_loss_indices(logits, target, weight, ignore_index, reduction, label_smoothing)
    if target.shape != x.shape:
        raise ShapeError(
            f"cross_entropy: input {x._node.aval} and probabilities {target._node.aval} must have one shape.",
            fix="class numbers are integers: y.astype(dt.int32).",
        )
    return ops.cross_entropy_loss_probs(
        logits, _classes_last("cross_entropy", target), weight, reduction, label_smoothing
    )


def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """-input[target], reduced; input: log probabilities. Arguments as for cross_entropy.

    >>> nll_loss(pg.Tensor([[-1.0, -2.0]]), np.array([1])).item()
    2.0
    """
    return ops.nll_loss(_classes_last("nll_loss", as_tensor(input)), target, weight, ignore_index, reduction)


def _classes_last(name, x):
    if not x.ndim:
        raise ShapeError(f"{name}: {x._node.aval} has no axis of classes.", fix="it has shape [N, C, ...] or [C].")
    return x if x.ndim < 3 else moveaxis(x, 1, -1)


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """-log of the probability that a sequence of classes reads as the target: connectionist temporal classification
    (Graves et al., 2006). It reads with repetitions merged, then blanks removed.

    log_probs: [T, N, C], or [T, C]; targets: integers [N, S], or the targets of all examples one behind the other;
    input_lengths, target_lengths: [N]. "mean" divides each loss by the length of its target before the mean over N.
    zero_infinity: the losses of targets that do not fit into their inputs, inf, are 0. Their gradients are 0 in any case.

    >>> round(ctc_loss(F.log_softmax(pg.zeros((4, 1, 3))), np.array([[1, 2]]), [4], [2]).item(), 4)
    0.8432
    """
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"ctc_loss: reduction={reduction!r} is unknown.", fix="use one of mean, sum, none.")
    losses, lengths, had_batch = ctc_losses(log_probs, targets, input_lengths, target_lengths, blank)
    if zero_infinity:
        losses = where(losses == np.inf, 0.0, losses)
    if reduction == "mean":
        return mean(losses / astype(maximum(lengths, 1), losses.dtype))
    return _reduced("ctc_loss", losses if had_batch else losses[0], reduction)


# ---- modules -------------------------------------------------------------------------------------------

_LOSSES = modules_of(__name__, {
    "CrossEntropyLoss": (cross_entropy, 2), "NLLLoss": (nll_loss, 2), "BCELoss": (binary_cross_entropy, 2),
    "BCEWithLogitsLoss": (binary_cross_entropy_with_logits, 2), "KLDivLoss": (kl_div, 2), "MSELoss": (mse_loss, 2),
    "L1Loss": (l1_loss, 2), "SmoothL1Loss": (smooth_l1_loss, 2), "HuberLoss": (huber_loss, 2),
    "CosineEmbeddingLoss": (cosine_embedding_loss, 3), "CTCLoss": (ctc_loss, 4),
})  # fmt: skip
globals().update(_LOSSES)

__all__ = ["cosine_similarity"]
__all__ += list(_LOSSES)
__all__ += [loss.function.__name__ for loss in _LOSSES.values()]
