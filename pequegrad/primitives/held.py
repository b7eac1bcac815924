"""Shorthands of the primitives that hold graphs (calls, branches, loops): replacements, residuals, lists of operands.

Such graphs are closed: all they read is given as operands, and the runtime runs them as programs. Their derivatives and
batched forms are again primitives that hold graphs, derived in transforms/graphs.py.
"""

from ..core.node import ARRAY, scalar_constant, state
from ..core.tensor import wrap
from ..transforms import graphs
from .base import frame_of, outputs
from .shape import broadcast_in_dim, transpose


def extended(out, primitive, operands, **params):
    """The results of a node of `primitive` that gives the results `out` of another node, and more.

    It replaces that node, so that nothing is computed twice; a replacement made for the same operands serves again. It
    belongs where that node belongs, unless it needs tangents of a function that is traced within.
    """
    node = out[0]._node.inputs[0]
    nodes = tuple([x._node for x in operands])
    known = node.replacement
    quiet = {key: graphs.silent(value) for key, value in params.items()} if node.value is not None else params
    if known is not None and known.spec.primitive is primitive and known.inputs == nodes:
        if known.spec.params in (params, quiet):
            return outputs(known)
    params = quiet  # if the node has its value, its effects have taken place
    if not all(visible_from(n, node.frame) for n in nodes):
        return primitive(*operands, **params)
    mask, state.flags_mask = state.flags_mask, ~0
    try:
        with frame_of(node):
            found = primitive(*operands, **params)
    finally:
        state.flags_mask = mask
    if node.replacement is None:
        node.replacement = found[0]._node.inputs[0]
    return found


def visible_from(node, frame):
    """True if nodes of `frame` may read `node`."""
    while frame is not None and node.frame is not frame:
        frame = frame.outer
    return node.frame is frame


def residual_values(places, primals, outs):
    """The values that a linear part reads: operands, or results of the forward part."""
    return [primals[k] if kind == "input" else outs[k] for kind, k in places]


def placed(flags, values):
    """`values` where `flags` are set, None elsewhere."""
    values = iter(values)
    return tuple(next(values) if f else None for f in flags)


def given(values):
    return [v for v in values if v is not None]


def present(values):
    return tuple(v is not None for v in values)


def split(values, *counts):
    """Parts of a sequence: the first counts[0] items, ..., then the rest."""
    parts, begin = [], 0
    for n in counts:
        parts.append(values[begin : begin + n])
        begin += n
    return [*parts, values[begin:]]


def picked(values, flags, wanted=True):
    return [v for v, f in zip(values, flags) if bool(f) == wanted]


def swap_leading(x):
    """x with its first two axes exchanged: loops run over the first, vmap's axis is in front."""
    return transpose(x, permutation=(1, 0, *range(2, x.ndim)))


def has_effects(*bodies):
    """True if one of the graphs has effects of its own or of graphs in it."""
    return any(graph.effects for graph in bodies)


def zeros(aval):
    """Zeros of this aval; in transforms of jax_api an Array."""
    scalar = wrap(scalar_constant(0, aval.dtype, aval.device, aval.weak_type, state.arguments & ARRAY))
    return broadcast_in_dim(scalar, shape=aval.shape, axes=())
