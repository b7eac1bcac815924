"""Calls are replaced by the graphs they hold, and nodes that only forward their operands by these."""

from ...core.evaluate import FORWARD, OUTPUT
from ...core.node import detached

_CALLS = ("call", "checkpoint")
# stays: what is recomputed behind it must not be merged with what was computed before
_BARRIER = "optimization_barrier"


def inline(graph):
    """`call` and `checkpoint` become what they call; `identity`, `stop_gradient`, marks of custom rules ... disappear.

    The effects of a called graph take place where the call was.
    """
    if not any(map(_disappears, graph.nodes)):
        return graph
    known, order, effects = {}, [], []
    results = _expand(graph, known, set(graph.effects), order, effects)
    return graph.remade(results, effects, order)


def _disappears(node):
    spec = node.spec
    return spec.op == FORWARD or (spec.op != OUTPUT and (spec.primitive.forwards or spec.primitive.name in _CALLS))


def _expand(graph, known, kept, order, effects):
    """The results of `graph`; `known` says what its nodes became (for a node with several results a list of nodes).

    kept: nodes of the graph with effects. New nodes are added to `order`, those with effects to `effects`.
    """
    for node in graph.nodes:
        spec = node.spec
        source = known.get(node.inputs[0]) if spec.op == OUTPUT else None
        if type(source) is list:
            known[node] = source[spec.params["index"]]
            continue
        inputs = tuple([known.get(source, source) for source in node.inputs])
        if spec.op != OUTPUT and spec.primitive.forwards:
            known[node] = inputs[0]
        elif spec.op == FORWARD and spec.primitive.name != _BARRIER:
            first = spec.params["first"]
            known[node] = list(inputs[first : first + spec.n_outputs])
        elif spec.op != OUTPUT and spec.primitive.name in _CALLS:
            called = spec.params["graph"]
            known[node] = _expand(called, dict(zip(called.placeholders, inputs)), set(called.effects), order, effects)
        else:
            has_effect = node in kept
            # a graph that is called twice has its effects twice: they must not be one node
            made = known[node] = node if inputs == node.inputs and not has_effect else detached(spec, inputs)
            order.append(made)
            if has_effect:
                effects.append(made)
    return [known.get(node, node) for node in graph.results]
