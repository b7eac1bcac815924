"""jax.extend.core: the parts of traced functions, and primitives that libraries define."""

import weakref

from ...core.node import state
from ..core import find_top_trace, valid_jaxtype
from ..jaxprs import ClosedJaxpr, DropVar, Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun
from .primitive import Primitive

__all__ = [
    "ClosedJaxpr", "DropVar", "Jaxpr", "JaxprEqn", "Literal", "Primitive", "Var", "find_top_trace", "get_opaque_trace_state", "jaxpr_as_fun",
    "jaxprs_in_params", "mapped_aval", "subjaxprs", "unmapped_aval", "valid_jaxtype",
]  # fmt: skip


class OpaqueTraceState:
    """Which function is being traced or differentiated; equal for the same."""

    def __init__(self, where):
        self.where = where

    def __eq__(self, other):
        return isinstance(other, OpaqueTraceState) and self.where == other.where

    __hash__ = None


def get_opaque_trace_state(convention=None):
    """The OpaqueTraceState of here and now. convention: the name of the library that asks."""
    frame = state.frame
    return OpaqueTraceState((None if frame is None else weakref.ref(frame), state.gradient_frames))


def mapped_aval(size, axis, aval):
    """The type of an example: `aval` without this axis (None: as it is)."""
    return aval if axis is None else aval.update(shape=(*aval.shape[:axis], *aval.shape[axis + 1 :]))


def unmapped_aval(size, axis, aval, explicit_mesh_axis=None):
    """The type of a batch of `size` examples: `aval` with this axis (None: as it is)."""
    return aval if axis is None else aval.update(shape=(*aval.shape[:axis], size, *aval.shape[axis:]))


def jaxprs_in_params(params):
    """The Jaxprs among the parameters of an equation."""
    for value in params.values():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, (Jaxpr, ClosedJaxpr)):
                yield part.jaxpr if isinstance(part, ClosedJaxpr) else part


def subjaxprs(jaxpr):
    """The Jaxprs in the equations of a Jaxpr."""
    for eqn in jaxpr.eqns:
        yield from jaxprs_in_params(eqn.params)
