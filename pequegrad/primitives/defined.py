"""Primitives that libraries define with jax.extend.core.Primitive: their rules are Python functions of others."""

from .base import is_linear, primitive
from .held import has_effects


@primitive
class defined_call:
    """The results of `graph`; derivatives and vmap ask the object `rules`, which has the author's rules"""

    holds_graphs = True
    transient = True

    def infer(*operands, graph, rules):
        return graph.avals

    def lower(*operands, graph, rules):
        return "call", (graph,)

    def effects(*, graph, rules):
        return has_effects(graph)

    def jvp(primals, tangents, out, *, graph, rules):
        return rules.jvp(primals, tangents)

    def transpose(ct, *inputs, graph, rules):
        return rules.transpose(ct, inputs, [is_linear(x) for x in inputs])

    def batch_with_axis(inputs, batched, axis, *, graph, rules):
        return rules.batch(inputs, batched, axis) if any(batched) else None
