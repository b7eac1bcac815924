"""Activations: elementwise functions, and glu."""

import math

from ...core.dtype import default_int
from ...ops import nn as o
from ...ops.arithmetic import abs as absolute
from ...ops.arithmetic import (
    clip,
    exp,
    expm1,
    floating,
    log,
    log1p,
    maximum,
    minimum,
    power,
    promoted,
    sqrt,
    tanh,
    where,
)
from ...ops.shape import normalize_axis, split
from ...ops.special import logaddexp
from ...primitives import elementwise as e
from ...primitives import mathematical as m
from ...primitives.base import number
from ..convert import as_array, operand


def identity(x):
    """x itself."""
    return as_array(x, "identity")


def relu(x):
    """max(x, 0), elementwise; the derivative at 0 is 0."""
    return o.relu(promoted(as_array(x, "relu"), 0)[0])


def relu6(x):
    """min(max(x, 0), 6), elementwise; the derivatives at 0 and 6 are 0."""
    return o.relu6(promoted(as_array(x, "relu6"), 6.0)[0])


def sigmoid(x):
    """1 / (1 + exp(-x)), elementwise."""
    return m.logistic(as_array(x, "sigmoid"))


def softplus(x):
    """log(1 + exp(x)), elementwise."""
    return logaddexp(as_array(x, "softplus"), 0)


def log_sigmoid(x):
    """log(sigmoid(x)), elementwise."""
    return -softplus(-as_array(x, "log_sigmoid"))


def soft_sign(x):
    """x / (|x| + 1), elementwise."""
    x = as_array(x, "soft_sign")
    return x / (absolute(x) + 1)


def silu(x):
    """x * sigmoid(x), elementwise; also called swish."""
    x = as_array(x, "silu")
    return x * sigmoid(x)


swish = silu


def mish(x):
    """x * tanh(softplus(x)), elementwise."""
    x = as_array(x, "mish")
    return x * tanh(softplus(x))


def gelu(x, approximate=True):
    """x * Phi(x) with the normal distribution function Phi, elementwise; approximate: its form with tanh."""
    found = o.gelu(as_array(x, "gelu"), approximate)
    return e.convert_to(found, found.dtype)


def elu(x, alpha=1.0):
    """x for x > 0, else alpha * (exp(x) - 1), elementwise."""
    x = as_array(x, "elu")
    return where(x > 0, x, operand(alpha) * expm1(where(x > 0, 0.0, x)))


def selu(x):
    """elu, scaled so that means 0 and variances 1 are a fixed point, elementwise."""
    return 1.0507009873554804934 * elu(x, 1.6732632423543772848)


def celu(x, alpha=1.0):
    """max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1), elementwise."""
    x, alpha = as_array(x, "celu"), operand(alpha)
    return maximum(x, 0.0) + alpha * expm1(minimum(x, 0.0) / alpha)


def leaky_relu(x, negative_slope=0.01):
    """x for x >= 0, else negative_slope * x, elementwise."""
    x = as_array(x, "leaky_relu")
    return where(x >= 0, x, operand(negative_slope) * x)


def hard_tanh(x):
    """x clipped to [-1, 1], elementwise; the derivatives at -1 and 1 are 1."""
    x = as_array(x, "hard_tanh")
    return where(x > 1, 1, where(x < -1, -1, x))


def hard_sigmoid(x):
    """relu6(x + 3) / 6, elementwise."""
    return relu6(as_array(x, "hard_sigmoid") + 3.0) / 6.0


def hard_silu(x):
    """x * hard_sigmoid(x), elementwise; also called hard_swish."""
    x = as_array(x, "hard_silu")
    return x * hard_sigmoid(x)


hard_swish = hard_silu


def sparse_plus(x):
    """0 below -1, x above 1, between them (x + 1)**2 / 4, elementwise."""
    x = as_array(x, "sparse_plus")
    return where(x <= -1.0, 0.0, where(x >= 1.0, x, power(x + 1.0, 2) / 4))


def sparse_sigmoid(x):
    """0 below -1, 1 above 1, between them (x + 1) / 2, elementwise."""
    return 0.5 * clip(as_array(x, "sparse_sigmoid") + 1.0, 0.0, 2.0)


def squareplus(x, b=4):
    """(x + sqrt(x**2 + b)) / 2, elementwise."""
    x = as_array(x, "squareplus")
    root = e.convert_to(x, default_int()) if x.dtype.kind == "b" else x
    return (x + sqrt(root * root + operand(b, "squareplus", 1))) / 2


def log1mexp(x):
    """log(1 - exp(-x)) for x > 0, elementwise, without loss for small and large x (Mächler, 2012)."""
    x = as_array(x, "log1mexp")
    small = x < math.log(2)
    inside = floating(x)
    zero = number(math.log(2), inside)
    near, far = e.select(small, inside, zero), e.select(small, zero, inside)  # each branch sees its own operands
    return where(small, log(-expm1(-near)), log1p(-exp(-far)))


def glu(x, axis=-1):
    """The first half of x along `axis` times the sigmoid of the second."""
    x = as_array(x, "glu")
    axis = normalize_axis(axis, x.ndim, "glu")
    if x.shape[axis] % 2:
        raise AssertionError(f"glu: axis {axis} of size {x.shape[axis]} has no halves.")
    values, gates = split(x, 2, axis)
    return values * sigmoid(gates)


__all__ = [
    "celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "identity", "leaky_relu", "log1mexp",
    "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_sign", "softplus", "sparse_plus", "sparse_sigmoid",
    "squareplus", "swish",
]  # fmt: skip
