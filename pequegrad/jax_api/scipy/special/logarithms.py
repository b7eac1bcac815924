"""Logarithms of sums and of probabilities, entropies, the transformation of Box and Cox, softmax."""

import math

from ... import lax
from ... import numpy as jnp
from ...nn.reductions import logsumexp
from .common import inexact, real_inexact, with_derivatives


def logit(x):
    """log(x / (1 - x))."""
    return _logit(*inexact("logit", x))


@with_derivatives(lambda x, out: 1 / (x * (1 - x)))
def _logit(x):
    return lax.log(x / (1 - x))


def expit(x):
    """1 / (1 + exp(-x)), the inverse of logit."""
    return lax.logistic(*inexact("expit", x))


def xlogy(x, y):
    """x log(y), 0 where x is 0 and y is not nan."""
    return _xlogy(*inexact("xlogy", x, y))


@with_derivatives(lambda x, y, out: lax.log(y), lambda x, y, out: x / y)
def _xlogy(x, y):
    return jnp.where((x != 0) | jnp.isnan(y), x * lax.log(y), 0)


def xlog1py(x, y):
    """x log(1 + y), 0 where x is 0 and y is not nan."""
    return _xlog1py(*inexact("xlog1py", x, y))


@with_derivatives(lambda x, y, out: lax.log1p(y), lambda x, y, out: x / (1 + y))
def _xlog1py(x, y):
    return jnp.where((x != 0) | jnp.isnan(y), x * lax.log1p(y), 0)


@with_derivatives(lambda x, out: lax.log(x) + 1)
def _xlogx(x):
    return _xlogy(x, x)


def entr(x):
    """-x log(x), 0 at 0, -inf below."""
    (x,) = real_inexact("entr", x)
    return jnp.where(x < 0, jnp.full_like(x, -math.inf), -_xlogx(x))


def rel_entr(p, q):
    """p log(p / q), 0 where p is 0 and q >= 0, else inf where one is not positive."""
    p, q = real_inexact("rel_entr", p, q)
    positive = (p > 0) & (q > 0)
    x, y = jnp.where(positive, p, 1), jnp.where(positive, q, 1)
    return jnp.where(positive, _xlogx(x) - _xlogy(x, y), jnp.where((p == 0) & (q >= 0), 0.0, math.inf))


def kl_div(p, q):
    """rel_entr(p, q) - p + q."""
    p, q = real_inexact("kl_div", p, q)
    return rel_entr(p, q) - p + q


def _box_cox(logarithm, lmbda):
    zero = lmbda == 0
    power = jnp.where(zero, jnp.ones_like(lmbda), lmbda)
    return jnp.where(zero, logarithm, jnp.expm1(power * logarithm) / power)


def boxcox(x, lmbda):
    """(x**lmbda - 1) / lmbda, log(x) where lmbda is 0."""
    x, lmbda = inexact("boxcox", x, lmbda)
    return _box_cox(jnp.log(x), lmbda)


def boxcox1p(x, lmbda):
    """((1 + x)**lmbda - 1) / lmbda, log(1 + x) where lmbda is 0."""
    x, lmbda = inexact("boxcox1p", x, lmbda)
    return _box_cox(jnp.log1p(x), lmbda)


# ---- over axes -------------------------------------------------------------------------------------------


def softmax(x, /, *, axis=None):
    """exp(x) / sum(exp(x)) over `axis`, by default over all."""
    from ...nn import softmax

    return softmax(x, axis=axis)


def log_softmax(x, /, *, axis=None):
    """log(softmax(x)) without overflow."""
    from ...nn import log_softmax

    return log_softmax(x, axis=axis)


__all__ = [
    "boxcox", "boxcox1p", "entr", "expit", "kl_div", "log_softmax", "logit", "logsumexp", "rel_entr", "softmax", "xlog1py",
    "xlogy",
]  # fmt: skip
