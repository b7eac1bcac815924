"""jax.core: what libraries look at of values and of traced functions."""

import contextlib

import numpy as np

from ..core.dtype import is_inexact
from ..core.node import LINEAR, TRACKED, state
from ..core.tensor import Tensor
from .jaxprs import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var, eval_jaxpr, jaxpr_as_fun
from .jaxprs import typeof as get_aval
from .shaped import AbstractValue, ShapedArray

__all__ = [
    "AbstractValue", "ClosedJaxpr", "Jaxpr", "JaxprEqn", "Literal", "ShapedArray", "Tracer", "Var", "ensure_compile_time_eval",
    "eval_context", "eval_jaxpr", "get_aval", "is_concrete", "jaxpr_as_fun", "max_dim", "min_dim", "valid_jaxtype",
]  # fmt: skip


class _TracerType(type):
    def __instancecheck__(cls, x):
        return isinstance(x, Tensor) and is_traced(x)


class Tracer(metaclass=_TracerType):
    """isinstance(x, Tracer): x is an Array of a function that is being traced or differentiated."""


class Trace:
    """What traces or differentiates functions. There is one object, `trace`: main, by which libraries tell them apart, is it."""

    main = property(lambda self: self, doc="This.")


trace = Trace()


def find_top_trace(_):
    """What is at work here."""
    return trace


def is_traced(x):
    """True for an Array that has no value yet because its function is being traced, or whose derivative is being taken."""
    node = x._node
    if node.value is None and (node.frame is not None or node.flags & LINEAR):
        return True
    return bool(state.gradient_frames and node.flags & TRACKED and is_inexact(node.aval.dtype))


def is_concrete(x):
    """True if the value of x can be read."""
    return (
        not isinstance(x, Tensor) or x._node.value is not None or (x._node.frame is None and not x._node.flags & LINEAR)
    )


def valid_jaxtype(x):
    """True for arrays and numbers."""
    return isinstance(x, (Tensor, np.ndarray, np.generic, bool, int, float, complex)) or hasattr(x, "__jax_array__")


def max_dim(d1, d2):
    """The larger of two sizes."""
    return max(d1, d2)


def min_dim(d1, d2):
    """The smaller of two sizes."""
    return min(d1, d2)


@contextlib.contextmanager
def ensure_compile_time_eval():
    """Context manager: what is computed inside of values that are known is computed while the function is traced."""
    saved = state.frame, state.open, state.flags_mask
    state.frame, state.open, state.flags_mask = None, state.gradient_frames, ~0
    try:
        yield
    finally:
        state.frame, state.open, state.flags_mask = saved


eval_context = ensure_compile_time_eval
