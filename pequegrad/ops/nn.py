"""Activations and dropout. Losses: losses.py; normalisation: normalization.py; attention: attention.py.

Where an activation has a kink its derivative is that of jax.nn. Exponentials of one branch never see operands of the
other, so that no derivative is inf * 0.
"""

import math

from ..core.errors import ArgumentError, ShapeError
from ..primitives import elementwise as e
from ..primitives import mathematical as m
from ..primitives.base import number
from .arithmetic import floating, promoted_floats
from .creation import as_tensor
from .random import bernoulli
from .reductions import softmax
from .shape import normalize_axis, split
from .special import softplus


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


def relu6(x):
    """min(max(x, 0), 6), elementwise; the derivatives at 0 and 6 are 0."""
    x = as_tensor(x)
    return e.select(e.ge(x, 6), number(6, x), relu(x))


def _expm1_below_zero(x):
    """exp(x) - 1 where x <= 0, else 0."""
    return m.expm1(e.select(e.gt(x, 0), number(0, x), x))


def elu(x, alpha=1.0):
    """x for x > 0, else alpha * (exp(x) - 1), elementwise (Clevert et al., 2015)."""
    x = floating(x)
    return e.select(e.gt(x, 0), x, e.mul(_expm1_below_zero(x), float(alpha)))


def celu(x, alpha=1.0):
    """x for x > 0, else alpha * (exp(x / alpha) - 1), elementwise (Barron, 2017)."""
    x = floating(x)
    return e.select(e.gt(x, 0), x, e.mul(_expm1_below_zero(e.div(x, float(alpha))), float(alpha)))


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848, 1.0507009873554804934


def selu(x):
    """elu scaled so that means 0 and variances 1 are a fixed point, elementwise (Klambauer et al., 2017)."""
    return e.mul(elu(x, _SELU_ALPHA), _SELU_SCALE)


def leaky_relu(x, negative_slope=0.01):
    """x for x >= 0, else negative_slope * x, elementwise."""
    x = floating(x)
    return e.select(e.ge(x, 0), x, e.mul(x, float(negative_slope)))


def prelu(x, weight):
    """leaky_relu with a learned slope: `weight` broadcasts against x (for channels on axis 1: shape [C, 1, 1])."""
    x, weight = promoted_floats(x, weight)
    return e.select(e.ge(x, 0), x, e.mul(x, weight))


def hard_tanh(x):
    """x clipped to [-1, 1], elementwise; the derivatives at -1 and 1 are 1."""
    x = floating(x)
    return e.select(e.gt(x, 1), number(1, x), e.select(e.lt(x, -1), number(-1, x), x))


def hard_sigmoid(x):
    """relu6(x + 3) / 6, elementwise."""
    x = floating(x)
    return e.div(relu6(e.add(x, 3)), 6)


def hard_swish(x):
    """x * relu6(x + 3) / 6, elementwise (Howard et al., 2019)."""
    x = floating(x)
    return e.mul(x, hard_sigmoid(x))


def log_sigmoid(x):
    """log(sigmoid(x)) = -softplus(-x), elementwise."""
    x = floating(x)
    return e.neg(softplus(e.neg(x)))


def mish(x):
    """x * tanh(softplus(x)), elementwise (Misra, 2019)."""
    x = floating(x)
    return e.mul(x, m.tanh(softplus(x)))


def soft_sign(x):
    """x / (1 + |x|), elementwise."""
    x = floating(x)
    return e.div(x, e.add(e.abs_(x), 1))


def squareplus(x, b=4.0):
    """(x + sqrt(x * x + b)) / 2, elementwise (Barron, 2021)."""
    x = floating(x)
    return e.mul(e.add(x, m.sqrt(e.add(e.mul(x, x), float(b)))), 0.5)


def softmin(x, axis=-1):
    """softmax(-x) along `axis`."""
    x = floating(x)
    return softmax(e.neg(x), axis)


def glu(x, axis=-1):
    """The first half of x along `axis` times the sigmoid of the second (Dauphin et al., 2016)."""
    x = floating(x)
    axis = normalize_axis(axis, x.ndim, "glu")
    if x.shape[axis] % 2:
        raise ShapeError(f"glu: axis {axis} of {x._node.aval} has no halves.", fix="its size must be even.")
    values, gates = split(x, 2, axis)
    return e.mul(values, m.logistic(gates))


def dropout(x, p=0.5):
    """x with each element set to 0 with probability p, the others divided by 1 - p."""
    if not 0 <= p < 1:
        raise ArgumentError(f"dropout: p = {p} is not in [0, 1).", fix="p is the probability of dropping an element.")
    x = floating(x)
    if p == 0:
        return x
    keep = bernoulli(1 - p, x.shape, x.device)
    return e.select(keep, e.mul(x, 1 / (1 - p)), number(0, x))


__all__ = [
    "relu", "silu", "gelu", "relu6", "elu", "celu", "selu", "leaky_relu", "prelu", "hard_tanh", "hard_sigmoid", "hard_swish",
    "log_sigmoid", "mish", "soft_sign", "squareplus", "softmin", "glu", "softplus", "dropout",
]  # fmt: skip
