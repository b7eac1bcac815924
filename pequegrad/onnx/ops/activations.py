"""Activations."""

import functools
import math

import pequegrad as pg

from ..registry import op

for _name, _function in {
    "Relu": pg.relu, "HardSwish": pg.hard_swish, "Mish": pg.mish, "Softplus": pg.softplus, "Softsign": pg.soft_sign,
}.items():  # fmt: skip
    op(_name)(functools.partial(lambda function, x: function(x), _function))


@op("LeakyRelu")
def leaky_relu(x, *, alpha=0.01):
    return pg.leaky_relu(x, alpha)


@op("PRelu", since=7, weights=("slope",))
def prelu(x, slope):
    return pg.where(x < 0, slope * x, x)


@op("PRelu", weights=("slope",))
def prelu_1(x, slope):
    """With one slope, or one per channel."""
    return prelu(x, pg.reshape(slope, (-1,) + (1,) * (x.ndim - 2)) if slope.size > 1 else slope)


@op("Elu")
def elu(x, *, alpha=1.0):
    return pg.elu(x, alpha)


@op("Selu")
def selu(x, *, alpha=1.67326319217681884765625, gamma=1.05070102214813232421875):
    return pg.elu(x, alpha) * gamma


@op("Celu")
def celu(x, *, alpha=1.0):
    return pg.celu(x, alpha)


@op("Gelu")
def gelu(x, *, approximate="none"):
    return pg.nn.functional.gelu(x, approximate)


@op("HardSigmoid")
def hard_sigmoid(x, *, alpha=0.2, beta=0.5):
    return pg.clip(x * alpha + beta, 0.0, 1.0)


@op("Shrink")
def shrink(x, *, bias=0.0, lambd=0.5):
    return pg.where(x < -lambd, x + bias, pg.where(x > lambd, x - bias, 0)).astype(x.dtype)


@op("Swish")
def swish(x, *, alpha=1.0):
    return x * pg.sigmoid(x * alpha)


@op("SwiGLU")
def swiglu(a, b, *, alpha=1.0):
    return swish(a, alpha=alpha) * b


@op("ThresholdedRelu")
def thresholded_relu(x, *, alpha=1.0):
    return pg.where(x > alpha, x, 0.0)


# ---- softmax ---------------------------------------------------------------------------------------------


def _coerced(function, x, *, axis=1):
    """The function over all axes from `axis` on together, as operator sets before 13 have it."""
    axis = axis % x.ndim if x.ndim else 0
    rows = pg.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))
    return pg.reshape(function(rows, -1), x.shape)


def _along(function, x, *, axis=-1):
    return function(x, axis)


for _name, _function in {"Softmax": pg.softmax, "LogSoftmax": pg.log_softmax}.items():
    op(_name)(functools.partial(_coerced, _function))
    op(_name, since=13)(functools.partial(_along, _function))
