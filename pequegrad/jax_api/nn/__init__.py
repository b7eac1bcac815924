"""jax.nn: activations and softmax."""

from ...ops.arithmetic import sigmoid
from ...ops.indexing import one_hot
from ...ops.nn import gelu as _gelu
from ...ops.nn import relu, silu
from ...ops.reductions import log_softmax, logsumexp, softmax


def gelu(x, approximate=True):
    """x * Phi(x), by default in its tanh form, as in JAX."""
    return _gelu(x, approximate)


__all__ = ["gelu", "log_softmax", "logsumexp", "one_hot", "relu", "sigmoid", "silu", "softmax"]
