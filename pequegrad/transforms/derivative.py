"""Derivatives as walks over the lazy graph.

Forward mode applies each node's jvp rule in the order of creation. Reverse mode visits the nodes newest
first: the jvp rule on tangent placeholders gives a small linear graph, whose transpose carries the
cotangent on; a linear primitive is transposed at once. One derivative rule per primitive serves both, and both
build ordinary nodes, so that derivatives of derivatives need nothing more. No walk is recursive.
"""

from operator import attrgetter

from ..core.dtype import is_inexact
from ..core.errors import GradientError
from ..core.evaluate import OUTPUT
from ..core.node import ARRAY, LINEAR, TRACKED, placeholder_node
from ..core.tensor import wrap
from ..primitives.base import outputs
from ..primitives.control import stop_gradient
from ..primitives.elementwise import add

_by_number = attrgetter("number")


def dependent_nodes(results, sources, on_cut=None):
    """The nodes from `sources` (excluded) to `results` that depend on a source, oldest first.

    Only nodes newer than the oldest source are looked at. on_cut(node) is called for nodes without history on the way.
    """
    oldest = min((node.number for node in sources), default=0)
    seen = set()
    stack = [node for node in results if node.number > oldest]
    seen.update(stack)
    while stack:
        node = stack.pop()
        if not node.flags & TRACKED:
            continue
        if node.cut is not None and on_cut is not None:
            on_cut(node)
        for source in node.inputs:
            if source.number > oldest and source not in seen:
                seen.add(source)
                stack.append(source)
    active = set(sources)
    path = []
    for node in sorted(seen, key=_by_number):
        if node.flags & TRACKED and not active.isdisjoint(node.inputs) and node.spec.primitive is not stop_gradient:
            active.add(node)
            path.append(node)
    return path, active


def differentiable(node):
    """True if the node's value, or one of its values, is of a floating dtype."""
    aval = node.aval
    return any(is_inexact(a.dtype) for a in aval) if type(aval) is tuple else is_inexact(aval.dtype)


def apply_jvp(node, tangents):
    """The tangent of a node (None: zero) for the tangents of its inputs. Of a node with several results: a tuple."""
    spec = node.spec
    if spec.op == OUTPUT:
        return None if tangents[0] is None else tangents[0][spec.params["index"]]
    primals = [wrap(source) for source in node.inputs]
    out = outputs(node) if type(node.aval) is tuple else wrap(node)
    return spec.primitive.jvp(primals, tangents, out, **spec.params)


def forward(results, tangents):
    """Tangents of the nodes `results` (None: zero), given `tangents`: a dict from source nodes to Tensors."""
    path, _ = dependent_nodes(results, tangents)
    known = dict(tangents)
    for node in path:
        if node not in known and differentiable(node):
            incoming = [known.get(source) for source in node.inputs]
            if any(t is not None for t in incoming):
                known[node] = apply_jvp(node, incoming)
    return [known.get(node) for node in results]


def backward(cotangents, sources, on_cut=None):
    """Cotangents of the nodes `sources` (None: zero), given `cotangents`: a dict from result nodes to Tensors."""
    path, active = dependent_nodes(list(cotangents), sources, on_cut)
    pending = dict(cotangents)
    wanted = set(sources)
    for node in reversed(path):
        ct = pending.get(node) if node in wanted else pending.pop(node, None)
        if ct is None or not differentiable(node):
            continue
        if node.spec.op == OUTPUT:
            _deposit_output(pending, node, ct)
            continue
        for source, contribution in _transposed(node, ct, active):
            _deposit(pending, source, contribution)
    return [pending.get(source) for source in sources]


def _deposit(pending, key, ct):
    known = pending.get(key)
    pending[key] = ct if known is None else add(known, ct)


def _deposit_output(pending, node, ct):
    """Cotangents of a node with several results are a dict: index -> cotangent."""
    (source,) = node.inputs
    _deposit(pending.setdefault(source, {}), node.spec.params["index"], ct)


def _transposed(node, ct, active):
    """(input node, its cotangent) for the inputs in `active`."""
    spec = node.spec
    primitive = spec.primitive
    sources = node.inputs
    wanted = [source in active and is_inexact(source.aval.dtype) for source in sources]
    if type(ct) is dict and (primitive.linear or primitive.vjp):
        ct = tuple(ct.get(i) for i in range(spec.n_outputs))
    if primitive.linear == "together":  # its own jvp: the transpose rule can be asked directly
        found = primitive.transpose(ct, *_operands(sources, wanted), **spec.params)
    elif primitive.linear == "each":
        found = [None] * len(sources)
        for i, w in enumerate(wanted):
            if w:
                operands = _operands(sources, [i == j for j in range(len(sources))])
                found[i] = primitive.transpose(ct, *operands, **spec.params)[i]
    elif primitive.vjp is not None:
        found = primitive.vjp(ct, wanted, [wrap(source) for source in sources], wrap(node), **spec.params)
    else:
        return _transposed_jvp(node, ct, wanted)
    return [(source, c) for source, c, w in zip(sources, found, wanted) if w and c is not None]


def _operands(sources, wanted):
    """The inputs for a transpose rule: stand-ins for tangents where `wanted`."""
    return [_stand_in(source.aval) if w else wrap(source) for source, w in zip(sources, wanted)]


def _stand_in(aval):
    """A LINEAR tensor of this aval. Transpose rules look at its type and never compute with it, so one serves all."""
    found = _stand_ins.get(aval)
    if found is None:
        if len(_stand_ins) > 4096:
            _stand_ins.clear()
        found = _stand_ins[aval] = wrap(placeholder_node(aval, LINEAR))
    return found


_stand_ins = {}


def _transposed_jvp(node, ct, wanted):
    """The same for any primitive: transposes the linear map that its jvp rule builds."""
    tangents, source_of = [], {}
    for source, w in zip(node.inputs, wanted):
        if w:
            tangent = placeholder_node(source.aval, LINEAR | source.flags & ARRAY)
            source_of[tangent] = source
            tangents.append(wrap(tangent))
        else:
            tangents.append(None)
    if not source_of:
        return ()
    out = apply_jvp(node, tangents)
    if type(node.aval) is not tuple:
        out, ct = (out,), {0: ct}
    cotangents = {}
    for i, tangent in enumerate(out or ()):
        if i in ct and tangent is not None and tangent._node.flags & LINEAR:
            _deposit(cotangents, tangent._node, ct[i])
    found = transpose_linear(cotangents, source_of)
    return [(source, found[t]) for t, source in source_of.items() if t in found]


def transpose_linear(cotangents, placeholders, strict=False):
    """Carries cotangents (a dict from LINEAR nodes) back to the tangent placeholders: a dict of theirs.

    strict: the graph may be one that a user only says is linear.
    """
    seen, stack = set(cotangents), list(cotangents)
    while stack:
        for source in stack.pop().inputs:
            if source.flags & LINEAR and source not in seen:
                seen.add(source)
                stack.append(source)
    pending = dict(cotangents)
    for node in sorted(seen, key=_by_number, reverse=True) if len(seen) > 1 else seen:
        if node in placeholders:
            continue
        ct = pending.pop(node, None)
        if ct is None:
            continue
        spec = node.spec
        if spec.op == OUTPUT:
            _deposit_output(pending, node, ct)
            continue
        if type(ct) is dict:
            ct = tuple(ct.get(i) for i in range(spec.n_outputs))
        if strict:
            _check_linear(node)
        inputs = [wrap(source) for source in node.inputs]
        for source, contribution in zip(node.inputs, spec.primitive.transpose(ct, *inputs, **spec.params)):
            if source.flags & LINEAR:
                if contribution is not None:
                    _deposit(pending, source, contribution)
                elif strict and type(ct) is not tuple and is_inexact(source.aval.dtype):
                    raise _not_linear(node)
    return pending


def _check_linear(node):
    primitive = node.spec.primitive
    if not primitive.can_transpose or (
        primitive.linear == "each" and sum(bool(s.flags & LINEAR) for s in node.inputs) > 1
    ):
        raise _not_linear(node)


def _not_linear(node):
    return GradientError(
        f"The function is not linear: {node.spec.primitive.name} of {', '.join(str(s.aval) for s in node.inputs)} is not.",
        fix="transpose its linearisation: linearize(f, x), or use vjp.",
    )
