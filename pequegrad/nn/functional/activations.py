"""Activations under PyTorch's names; what they compute is in pequegrad.ops."""

from ...core.errors import ArgumentError, ShapeError
from ...ops import nn as ops
from ...ops.arithmetic import sigmoid, tanh, where
from ...ops.creation import as_tensor
from ...ops.nn import celu, elu, leaky_relu, mish, relu, relu6, selu, silu
from ...ops.nn import hard_sigmoid as hardsigmoid
from ...ops.nn import hard_swish as hardswish
from ...ops.nn import log_sigmoid as logsigmoid
from ...ops.nn import soft_sign as softsign
from ...ops.reductions import log_softmax as _log_softmax
from ...ops.reductions import softmax as _softmax
from ...ops.shape import reshape


def gelu(input, approximate="none"):
    """x Phi(x), Phi the normal distribution function; approximate="tanh": by a tanh (Hendrycks & Gimpel, 2016).

    >>> np.round(gelu(pg.Tensor([1.0])).tolist(), 4).tolist()
    [0.8413]
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f"gelu: approximate={approximate!r} is unknown.", fix="use 'none' or 'tanh'.")
    return ops.gelu(input, approximate == "tanh")


def softmax(input, dim=-1):
    """exp(x) / sum(exp(x)) along the axis `dim`.

    >>> softmax(pg.zeros((2, 4)))[0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return _softmax(as_tensor(input), dim)


def log_softmax(input, dim=-1):
    """log(softmax(x)) along the axis `dim`, without overflow.

    >>> np.round(log_softmax(pg.zeros(2)).tolist(), 4).tolist()
    [-0.6931, -0.6931]
    """
    return _log_softmax(as_tensor(input), dim)


def softmin(input, dim=-1):
    """softmax(-x) along the axis `dim`.

    >>> softmin(pg.zeros(2)).tolist()
    [0.5, 0.5]
    """
    return ops.softmin(input, dim)


def glu(input, dim=-1):
    """The first half of x along `dim` times the sigmoid of the second (Dauphin et al., 2016).

    >>> glu(pg.Tensor([1.0, 2.0, 0.0, 0.0])).tolist()
    [0.5, 1.0]
    """
    return ops.glu(input, dim)


def hardtanh(input, min_val=-1.0, max_val=1.0):
    """x clipped to [min_val, max_val], elementwise; the derivative at the bounds is 0.

    >>> hardtanh(pg.Tensor([-3.0, 0.5])).tolist()
    [-1.0, 0.5]
    """
    if not min_val < max_val:
        raise ArgumentError(f"hardtanh: min_val={min_val} must be below max_val={max_val}.")
    x = as_tensor(input)
    return where(x <= min_val, float(min_val), where(x >= max_val, float(max_val), x))


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta x)) / beta, elementwise; x itself where beta x > threshold.

    >>> np.round(softplus(pg.Tensor([0.0, 50.0])).tolist(), 4).tolist()
    [0.6931, 50.0]
    """
    x = as_tensor(input)
    if not beta > 0:
        raise ArgumentError(f"softplus: beta={beta} must be positive.")
    scaled = x * float(beta)
    return where(scaled > threshold, x, ops.softplus(scaled) / float(beta))


def prelu(input, weight):
    """x for x >= 0, else weight x. weight: [1], or one number per channel (axis 1 of x) (He et al., 2015).

    >>> prelu(pg.Tensor([-2.0, 2.0]), pg.Tensor([0.25])).tolist()
    [-0.5, 2.0]
    """
    weight = as_tensor(weight)
    x = as_tensor(input, weight.device)
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise ShapeError(
            f"prelu: the weight {weight._node.aval} fits no {channels} channels of {x._node.aval}.",
            fix="it has shape [1] or [channels]; channels lie on axis 1.",
        )
    if weight.size > 1:
        weight = reshape(weight, (channels,) + (1,) * (x.ndim - 2))
    return ops.prelu(x, weight)


__all__ = [
    "celu", "elu", "gelu", "glu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax", "logsigmoid", "mish",
    "prelu", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softmin", "softplus", "softsign", "tanh",
]  # fmt: skip
