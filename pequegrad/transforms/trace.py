"""Runs a function on placeholders and returns what it did as a graph."""

import numpy as np

from ..core.device import device as devices
from ..core.dtype import FLOAT0
from ..core.errors import ArgumentError
from ..core.graph import GraphTrace
from ..core.locks import stateful
from ..core.node import ARRAY, Frame, placeholder_node, same_aval, state
from ..core.tensor import Tensor, wrap
from .tree import flatten, node_types, register


def trace(transform, name, avals, call, names=(), axes=()):
    """Traces `call(placeholders)` and returns (GraphTrace, structure of the result, frame).

    transform, name: for messages ("jit", the function's name). avals: of the placeholders; names: theirs.
    axes: (name, size) pairs of axes that collectives may name.
    """
    frame = Frame(transform, name)
    frame.axes.update(axes)
    with stateful, frame:
        frame.arguments = placeholders = [placeholder_node(aval, state.arguments) for aval in avals]
        for node, argument in zip(placeholders, names):
            frame.argument_names[node] = argument
        result = call([wrap(node) for node in placeholders])
        leaves, structure = _without_float0(*flatten(result))
        device = place_of([])
        outputs = [_as_tensor(leaf, name, device) for leaf in leaves]
        from ..primitives.base import note_captures

        note_captures(outputs)
        rebound = [(handle, handle._node) for handle in frame.rebound]
        for handle, node in rebound:
            before = frame.rebound[handle][0].aval
            if not same_aval(node.aval, before):
                raise ArgumentError(
                    f"{name} gave a tensor from outside, {before}, a value of another type: {node.aval}.",
                    fix="keep its shape and dtype inside a traced function.",
                )
        graph = GraphTrace(name, placeholders, frame.captures, [t._node for t in outputs], rebound, frame.effects)
    frame.forget()
    if state.frame is not None:  # what encloses a loop, a branch ... depends on what its body read
        state.frame.guards += frame.guards
        state.frame.modules.update(frame.modules)
    return graph, structure, frame


def _without_float0(leaves, structure):
    """(leaves, structure), where arrays of float0, which hold nothing, are not leaves: the structure makes them."""
    if not any(type(x) is np.ndarray and x.dtype == FLOAT0 for x in leaves):
        return leaves, structure
    leaves = [_Float0(x.shape) if type(x) is np.ndarray and x.dtype == FLOAT0 else x for x in leaves]
    if _Float0 not in node_types:
        register(_Float0, lambda x: ((), x.shape), lambda shape, _: np.zeros(shape, FLOAT0))
    return flatten(structure.unflatten(leaves))


class _Float0:
    """Stands for an array of float0 in a tree of results."""

    def __init__(self, shape):
        self.shape = shape


def place_of(leaves):
    """The device for numbers and arrays among `leaves`: that of a tensor among them, else where tracing is at work."""
    for x in leaves:
        if isinstance(x, Tensor):
            return x.device
    frame = state.frame
    while frame is not None and not frame.arguments:
        frame = frame.outer
    return devices.cpu if frame is None else frame.arguments[0].aval.device


def _as_tensor(leaf, name, device):
    if isinstance(leaf, Tensor):
        return leaf
    from ..ops.creation import as_tensor
    from .arguments import as_tensors

    try:
        (found,) = as_tensors([leaf], arrays=True) if state.arguments & ARRAY else [None]
        return as_tensor(leaf, device=device) if found is None else found
    except (ArgumentError, TypeError):
        raise ArgumentError(
            f"{name} returned {type(leaf).__name__}: a traced function returns tensors, numbers, or nested tuples, lists and dicts of them.",
            fix="leave it out, and add it to the result outside.",
        ) from None
