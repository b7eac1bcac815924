"""Activations, losses and other functions of neural networks."""

import math

from ..core.dtype import is_integer
from ..core.errors import ArgumentError, DtypeError, ShapeError
from ..primitives import elementwise as e
from ..primitives import mathematical as m
from ..primitives.base import number
from .arithmetic import floating, promoted
from .creation import as_tensor
from .indexing import one_hot, pick
from .random import bernoulli
from .reductions import log_softmax, mean
from .reductions import sum as total
from .shape import expand_dims, squeeze


def relu(x):
    """max(x, 0), elementwise; the derivative at 0 is 0."""
    x = as_tensor(x)
    return e.select(e.le(x, 0), number(0, x), x)


def silu(x):
    """x * sigmoid(x), elementwise (also called swish)."""
    x = floating(x)
    return e.mul(x, m.logistic(x))


def gelu(x, approximate=False):
    """x * Phi(x) with the normal distribution function Phi; approximate: its tanh form (Hendrycks & Gimpel, 2016)."""
    x = floating(x)
    if approximate:
        inner = e.mul(e.add(x, e.mul(e.mul(e.mul(x, x), x), 0.044715)), math.sqrt(2 / math.pi))
        return e.mul(e.mul(x, 0.5), e.add(m.tanh(inner), 1))
    return e.mul(e.mul(x, 0.5), m.erfc(e.mul(x, -math.sqrt(0.5))))


def dropout(x, p=0.5):
    """x with each element set to 0 with probability p, the others divided by 1 - p."""
    if not 0 <= p < 1:
        raise ArgumentError(f"dropout: p = {p} is not in [0, 1).", fix="p is the probability of dropping an element.")
    x = floating(x)
    if p == 0:
        return x
    keep = bernoulli(1 - p, x.shape, x.device)
    return e.select(keep, e.mul(x, 1 / (1 - p)), number(0, x))


def cross_entropy_loss_indices(logits, target):
    """The mean of -log softmax(logits)[target] over all but the last axis.

    logits: float [..., classes]; target: integers [...], the class numbers. Returns a 0-d tensor.
    A class number out of range makes the loss nan: whether there is one is not known before the values are.
    """
    logits = floating(logits)
    target = as_tensor(target, logits.device)
    if not is_integer(target.dtype):
        raise DtypeError(
            f"cross_entropy_loss_indices: class numbers must be integers, got {target._node.aval}.",
            fix="convert them: y.astype(dt.int32); for probabilities use cross_entropy_loss_probs.",
        )
    if logits.ndim < 1 or logits.shape[:-1] != target.shape:
        raise ShapeError(
            f"cross_entropy_loss_indices: logits {logits._node.aval} need targets of shape {list(logits.shape[:-1])}, got {list(target.shape)}."
        )
    return e.neg(mean(squeeze(pick(log_softmax(logits), expand_dims(target, -1), logits.ndim - 1), -1)))


def cross_entropy_loss_probs(logits, target):
    """The mean of -sum(target * log softmax(logits)) over the last axis; target: probabilities, shape of logits."""
    logits = floating(logits)
    target = floating(as_tensor(target, logits.device))
    if logits.shape != target.shape or not logits.ndim:
        raise ShapeError(
            f"cross_entropy_loss_probs: logits {logits._node.aval} and targets {target._node.aval} must have one shape.",
            fix="for class numbers use cross_entropy_loss_indices.",
        )
    log_probabilities, target = promoted(log_softmax(logits), target)
    return e.neg(mean(total(e.mul(log_probabilities, target), axis=-1)))


def mse_loss(x, target):
    """The mean of (x - target) ** 2 over all elements."""
    x, target = promoted(floating(x), target)
    if x.shape != target.shape:
        raise ShapeError(
            f"mse_loss: {x._node.aval} and {target._node.aval} must have one shape.",
            fix="reshape one: broadcasting here is usually a mistake.",
        )
    difference = e.sub(x, target)
    return mean(e.mul(difference, difference))


__all__ = [
    "relu",
    "silu",
    "gelu",
    "dropout",
    "one_hot",
    "cross_entropy_loss_indices",
    "cross_entropy_loss_probs",
    "mse_loss",
]
