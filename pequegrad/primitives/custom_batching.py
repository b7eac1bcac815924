"""A function whose batched form its author gives."""

from .base import primitive
from .calls import call
from .held import has_effects
from .shape import add_batch_axis


@primitive
class custom_vmap_call:
    """The results of `graph`; under vmap, rule(size, which operands are batched, operands) gives them"""

    holds_graphs = True
    transient = True

    def infer(*operands, graph, rule):
        return graph.avals

    def lower(*operands, graph, rule):
        return "call", (graph,)

    def effects(*, graph, rule):
        return has_effects(graph)

    def jvp(primals, tangents, out, *, graph, rule):
        return call.jvp(primals, tangents, out, graph=graph, barrier=False)

    def batch_with_axis(inputs, batched, axis, *, graph, rule):
        if not any(batched):
            return None
        outs, flags = rule(axis.size, list(batched), list(inputs))
        return tuple(x if f else add_batch_axis(x, axis.size) for x, f in zip(outs, flags)), (True,) * len(outs)
