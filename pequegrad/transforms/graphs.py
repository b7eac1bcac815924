"""What transforms make of a closed graph: its tangent graph, its linear part, the transpose of that, its batched form.

Control flow holds graphs; its derivatives and batched forms hold graphs derived from them here. Each is made once and kept
with the graph it came from.
"""

import contextlib
import threading
from typing import NamedTuple

from ..core.errors import TracerError
from ..core.evaluate import OUTPUT, evaluate
from ..core.graph import GraphTrace
from ..core.locks import stateful
from ..core.node import (
    LINEAR,
    TRACKED,
    Frame,
    Node,
    is_constant,
    make_aval,
    placeholder_node,
    replaced,
    stand_in,
    state,
    topological_order,
)  # fmt: skip
from ..core.tensor import wrap
from ..primitives.base import rebuild
from ..primitives.elementwise import add
from ..primitives.shape import add_batch_axis, zeros_like
from .derivative import forward, transpose_linear


class _Reading(threading.local):
    """What the graphs under construction read from outside: a list of (handle, node) for each `kept` function at work."""

    stack = ()


_reading = _Reading()


def kept(function):
    """Decorator: what `function` makes of a graph for these arguments is made once.

    Made again if a tensor from outside that a custom rule reads was given a new value since.
    """

    def found_or_made(graph, *key):
        key = (function.__name__, *key)
        found = graph.derived.get(key)
        if found is None or any(handle._node is not node for handle, node in found[1]):
            with stateful:
                _reading.stack, outer = ([], *_reading.stack), _reading.stack
                try:
                    made = function(graph, *key[1:])
                finally:
                    reads, _reading.stack = _reading.stack[0], outer
                found = graph.derived[key] = made, reads
        if _reading.stack:
            _reading.stack[0].extend(found[1])
        if state.frame is not None:  # what is traced now holds these values, too
            state.frame.guards += [(handle, "_node", node) for handle, node in found[1]]
        return found[0]

    found_or_made.__name__, found_or_made.__doc__ = function.__name__, function.__doc__
    return found_or_made


def _note_reads(frame):
    """Values from outside that rules read while a graph was derived become constants of it."""
    who = f"{'pattern' if frame.transform == 'pattern' else 'A custom rule used by'} {frame.function}"
    for handle in frame.rebound:
        raise TracerError(
            f"{who} changes a tensor from outside, {handle._node.aval} (the random state?).",
            fix="pass random keys, and all that changes, as arguments.",
        )
    for node, handles in frame.captures.items():
        if node.frame is not None:
            raise TracerError(
                f"{who} reads {node.aval}, a value of {node.frame.function} that is traced around it.",
                fix="pass it to the function with the rule as an argument.",
            )
        if node.value is None:
            evaluate((node,), reader="a custom rule")
        if _reading.stack:
            _reading.stack[0].extend((handle, node) for handle in handles)


def replay(graph, arguments):
    """Applies the nodes of a closed graph to `arguments` (Tensors), one by one; gives its results."""
    known = dict(zip(graph.placeholders, arguments))
    for node in graph.nodes:
        inputs = [known[s] if s in known else wrap(s) for s in node.inputs]
        with as_tracked(node):
            if node.spec.op == OUTPUT:
                known[node] = inputs[0][node.spec.params["index"]]
            else:
                known[node] = rebuild(node, inputs)
    return [known[node] if node in known else wrap(node) for node in graph.results]


def as_tracked(node):
    """What the function computed under no_grad() has no history in what is made of it, either."""
    return contextlib.nullcontext() if node.flags & TRACKED else _untracked()


@contextlib.contextmanager
def _untracked():
    mask, state.flags_mask = state.flags_mask, state.flags_mask & ~TRACKED
    try:
        yield
    finally:
        state.flags_mask = mask


def graph_of(name, avals, function, transform="derivative"):
    """The closed graph of function(*Tensors) -> list of Tensors; it reads nothing but its arguments. transform: for messages."""
    frame = Frame(transform, name)
    with stateful, frame:
        inputs = [placeholder_node(aval, state.arguments) for aval in avals]
        results = function(*map(wrap, inputs))
        _note_reads(frame)
        graph = GraphTrace(name, inputs, {}, [t._node for t in results], effects=frame.effects)
    frame.forget()
    return graph


@kept
def rearranged(graph, order, out_order=None):
    """The graph with its arguments, and its outputs, in another order: new[i] = old[order[i]]."""
    inputs, outs = graph.placeholders, graph.results
    return graph.rewired([inputs[i] for i in order], outs if out_order is None else [outs[i] for i in out_order])


@kept
def with_unused(graph, avals):
    """The graph with further arguments that it ignores."""
    return graph.rewired([*graph.placeholders, *map(stand_in, avals)], graph.results)


def silent(value):
    """A parameter of a primitive; graphs in it without their effects, for a second run of what has run already."""
    if type(value) is tuple:
        return tuple(map(silent, value))
    if not isinstance(value, GraphTrace) or not value.effects:
        return value
    return _without_effects(value)


@kept
def _without_effects(graph):
    known = set(graph.placeholders)
    needed = topological_order(graph.results, known)

    def quiet(*arguments):
        values = dict(zip(graph.placeholders, arguments))
        for node in needed:
            inputs = [values[s] if s in values else wrap(s) for s in node.inputs]
            with as_tracked(node):
                if node.spec.op == OUTPUT:
                    values[node] = inputs[0][node.spec.params["index"]]
                else:
                    params = {key: silent(value) for key, value in node.spec.params.items()}
                    values[node] = node.spec.primitive(*inputs, **params)
        return [values[node] if node in values else wrap(node) for node in graph.results]

    return graph_of(graph.name, [node.aval for node in graph.placeholders], quiet)


# ---- forward mode ------------------------------------------------------------------------------------


class Tangents(NamedTuple):
    """graph: placeholders, then the tangents of active ones -> results, then the tangents of nonzero ones."""

    graph: GraphTrace
    nonzero: tuple  # for each result, whether it has a tangent


@kept
def tangent_graph(graph, active, instantiate=()):
    """The graph and its tangents in one. active: a bool for each placeholder; instantiate: results that get zeros."""
    avals = tangent_avals(graph.placeholders, active)
    nonzero = []

    def both(*arguments):
        primals = arguments[: len(active)]
        outs = replay(graph, primals)
        found = _tangents_of(outs, primals, active, arguments[len(active) :], instantiate)
        nonzero.extend(t is not None for t in found)
        return outs + [t for t in found if t is not None]

    return Tangents(
        graph_of(f"jvp_{graph.name}", [*(n.aval for n in graph.placeholders), *avals], both), tuple(nonzero)
    )


def tangent_avals(nodes, active):
    """The avals of the tangents of the active ones among `nodes`."""
    return [tangent_aval(node.aval) for node, a in zip(nodes, active) if a]


def tangent_aval(aval):
    return make_aval(aval.shape, aval.dtype, aval.device, False)


def _tangents_of(outs, primals, active, tangents, instantiate):
    tangents = iter(tangents)
    given = {x._node: next(tangents) for x, a in zip(primals, active) if a}
    found = forward([x._node for x in outs], given)
    return [
        zeros_like(x) if t is None and i in instantiate else t for i, (x, t) in enumerate(zip(outs, found))
    ]  # fmt: skip


# ---- reverse mode: the linear part, and its transpose ------------------------------------------------


class Linearized(NamedTuple):
    """A graph split in what is computed once and what is linear in the tangents.

    forward: placeholders -> results, then values that the linear part reads. linear: `residuals`, then the tangents
    of active placeholders -> the tangents of nonzero results.
    """

    forward: GraphTrace
    linear: GraphTrace
    nonzero: tuple  # for each result, whether it has a tangent
    residuals: tuple  # for each: ("input", index of a placeholder) or ("output", index of a forward result)


def save_all(primitive, avals, params):
    """The policy that keeps every value the linear part needs."""
    return True


@kept
def linearize_graph(graph, active, instantiate=(), policy=save_all, invariant=(), emitted=()):
    """The graph split at a point. active: a bool for each placeholder.

    policy(primitive, avals, params) says which values are kept; those that are not are recomputed in the linear part.
    invariant: indices of placeholders; what depends on these alone is never kept but recomputed (loop invariants).
    emitted: indices of placeholders that, if they are read, are results of the forward part (the carry of a loop).
    """
    frame = Frame("derivative", graph.name)
    with stateful, frame:
        inputs = [placeholder_node(node.aval, state.arguments) for node in graph.placeholders]
        outs = replay(graph, list(map(wrap, inputs)))
        tangents = [placeholder_node(aval, LINEAR | state.arguments) for aval in tangent_avals(inputs, active)]
        found = _tangents_of(outs, list(map(wrap, inputs)), active, map(wrap, tangents), instantiate)
        _note_reads(frame)
        linear_outs = [t._node for t in found if t is not None]
        kept_nodes = _values_to_keep(linear_outs, inputs, policy, {inputs[i] for i in invariant})
        forward_outs, places = [t._node for t in outs], []
        for node in kept_nodes:
            if node in inputs and inputs.index(node) not in emitted:
                places.append(("input", inputs.index(node)))
            else:
                places.append(("output", len(forward_outs)))
                forward_outs.append(node)
        effects = [node for node in frame.effects if not node.flags & LINEAR]
        split = GraphTrace(graph.name, inputs, {}, forward_outs, effects=effects)
        linear = _copied(f"linear_{graph.name}", [*kept_nodes, *tangents], linear_outs)
    frame.forget()
    return Linearized(split, linear, tuple(t is not None for t in found), tuple(places))


def _copied(name, boundary, outputs):
    """A graph of copies of the nodes from `boundary`, which becomes its arguments, to `outputs`."""
    inputs = [placeholder_node(node.aval, node.flags) for node in boundary]
    copies = dict(zip(boundary, inputs))
    for node in topological_order(outputs, copies):
        copies[node] = Node(node.spec, tuple([copies.get(source, source) for source in map(replaced, node.inputs)]))
        copies[node].flags = node.flags
    return GraphTrace(name, inputs, {}, [copies.get(node, node) for node in outputs])


def _values_to_keep(linear_outs, inputs, policy, invariant):
    """The nodes without tangent that the linear part reads, after recomputation of what policy does not keep."""
    boundary = set(inputs)
    wanted, seen, stack = {}, set(), []
    depends = {}  # node -> whether it depends on more than `invariant`

    def visit(node):
        if node not in seen and not is_constant(node):
            seen.add(node)
            stack.append(node)

    for node in linear_outs:
        visit(node)
    while stack:
        node = stack.pop()
        if node.flags & LINEAR:
            for source in node.inputs:
                visit(source)
        elif node in boundary or (_policy_keeps(node, policy) and _varies(node, boundary, invariant, depends)):
            wanted[node] = None
        else:
            for source in node.inputs:
                visit(source)
    return sorted(wanted, key=lambda node: node.number)


def _policy_keeps(node, policy):
    if type(node.aval) is tuple:  # only its results can be kept
        return False
    source = node.inputs[0] if node.spec.op == OUTPUT else node
    return policy(source.spec.primitive, source.spec.inputs, source.spec.params)


def _varies(node, boundary, invariant, known):
    """True if the node depends on a placeholder that is not in `invariant`."""
    stack = [node]
    while stack:
        top = stack[-1]
        if top in known:
            stack.pop()
        elif top in boundary:
            known[top] = top not in invariant
        else:
            waiting = [s for s in top.inputs if s not in known]
            if waiting:
                stack.extend(waiting)
            else:
                known[top] = any(known[s] for s in top.inputs)
    return known[node]


class Transposed(NamedTuple):
    """graph: nonlinear placeholders, then cotangents of the results that have one -> those of linear placeholders."""

    graph: GraphTrace
    nonzero: tuple  # for each linear placeholder, whether it has a cotangent


@kept
def transposed_graph(graph, linear, given, instantiate=False):
    """The transpose of a graph that is linear in the placeholders where `linear`.

    given: for each result, whether its cotangent is not zero. instantiate: every linear placeholder gets a cotangent.
    """
    results = [node.aval for node, g in zip(graph.results, given) if g]
    avals = [node.aval for node, is_linear in zip(graph.placeholders, linear) if not is_linear]
    nonzero = []

    def transposed(*arguments):
        known, cotangents = iter(arguments[: len(avals)]), iter(arguments[len(avals) :])
        operands, targets = [], {}
        for node, is_linear in zip(graph.placeholders, linear):
            if is_linear:
                tangent = placeholder_node(node.aval, LINEAR | state.arguments)
                targets[tangent] = None
                operands.append(wrap(tangent))
            else:
                operands.append(next(known))
        outs = replay(graph, operands)
        pending = {}
        for out, g in zip(outs, given):
            if g:
                ct = next(cotangents)
                if out._node.flags & LINEAR:
                    pending[out._node] = add(pending[out._node], ct) if out._node in pending else ct
        found = transpose_linear(pending, targets, strict=True)
        cts = [found.get(t) for t in targets]
        nonzero.extend(ct is not None or instantiate for ct in cts)
        return [
            zeros_like(wrap(t)) if ct is None else ct for ct, t in zip(cts, targets) if ct is not None or instantiate
        ]

    made = graph_of(f"transpose_{graph.name}", [*avals, *map(tangent_aval, results)], transposed)
    return Transposed(made, tuple(nonzero))


# ---- vectorisation -----------------------------------------------------------------------------------


class BatchAxis(NamedTuple):
    """The axis that vmap adds: its size, and the name collectives know it by (or None)."""

    size: int
    name: object


class Batched(NamedTuple):
    """graph: the graph over a batch; the axis is in front. flags: for each result, whether it has it."""

    graph: GraphTrace
    flags: tuple


@kept
def batched_graph(graph, flags, axis, force=()):
    """The graph over a batch of the placeholders where `flags`. force: indices of results that are to have the axis."""
    avals = [
        n.aval.update(shape=(axis.size, *n.aval.shape)) if f else n.aval for n, f in zip(graph.placeholders, flags)
    ]
    found = []

    def batched(*arguments):
        outs = replay_batched(graph, arguments, flags, axis)
        outs = [
            (add_batch_axis(x, axis.size), True) if i in force and not f else (x, f) for i, (x, f) in enumerate(outs)
        ]
        found.extend(f for _, f in outs)
        return [x for x, _ in outs]

    return Batched(graph_of(f"vmap_{graph.name}", avals, batched), tuple(found))


def replay_batched(graph, arguments, flags, axis):
    """As replay, over a batch of the arguments where `flags`: a list of (result, whether it has the axis)."""
    known = {node: (x, f) for node, x, f in zip(graph.placeholders, arguments, flags)}
    for node in graph.nodes:
        spec = node.spec
        pairs = [known[s] if s in known else (wrap(s), False) for s in node.inputs]
        xs, batched = [x for x, _ in pairs], [f for _, f in pairs]
        with as_tracked(node):
            if spec.op == OUTPUT:
                known[node] = xs[0][spec.params["index"]], batched[0][spec.params["index"]]
            else:
                known[node] = batch_node(node, xs, batched, axis)
    return [known[node] if node in known else (wrap(node), False) for node in graph.results]


def batch_node(node, inputs, batched, axis):
    """(result, flag) of a node over a batch; of a node with several results two tuples."""
    primitive, params = node.spec.primitive, node.spec.params
    rule = getattr(primitive.rules, "batch_with_axis", None)
    if rule is not None:  # control flow and collectives: the rule knows the axis and says which results have it
        found = rule(inputs, batched, axis, **params)
        if found is not None:
            return found
    if any(batched):
        out = primitive.batch(inputs, batched, **params)
        return out, (True,) * len(out) if type(out) is tuple else True
    out = rebuild(node, inputs)
    return out, (False,) * len(out) if type(out) is tuple else False
