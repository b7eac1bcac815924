"""A graph applied to operands: jitted functions inside others, and recomputation for less memory."""

from ..core.evaluate import FORWARD
from ..transforms import graphs
from .base import PRIMITIVES, is_linear, primitive
from .held import extended, given, has_effects, picked, placed, present, residual_values, split


class Call:
    """A graph applied to operands."""

    holds_graphs = True

    def infer(*operands, graph, **options):
        return graph.avals

    def lower(*operands, graph, **options):
        return "call", (graph,)

    def effects(*, graph, **options):
        return has_effects(graph)

    def __init_subclass__(cls):
        def batch_with_axis(inputs, batched, axis, *, graph, **options):
            if not any(batched) and axis.name is None:
                return None
            parts = graphs.batched_graph(graph, tuple(batched), axis)
            return PRIMITIVES[cls.__name__](*inputs, graph=parts.graph, **options), parts.flags

        cls.batch_with_axis = batch_with_axis


def _call_jvp(primals, tangents, out, graph, linearized, apply_linear):
    active, moving = present(tangents), given(tangents)
    if any(map(is_linear, moving)):
        parts = linearized(graph, active)
        if not any(parts.nonzero):
            return None
        outs = out
        if len(parts.forward.outputs) > len(out):
            outs = extended(out, call, primals, graph=parts.forward, barrier=False)
        found = apply_linear(*residual_values(parts.residuals, primals, outs), *moving, graph=parts.linear)
        return placed(parts.nonzero, found)
    both = graphs.tangent_graph(graph, active)
    if not any(both.nonzero):
        return None
    outs = extended(out, call, [*primals, *moving], graph=both.graph, barrier=False)
    return placed(both.nonzero, outs[len(out) :])


@primitive
class call(Call):
    """The results of `graph`: a jitted function inside another one. barrier: see checkpoint"""

    def jvp(primals, tangents, out, *, graph, barrier):
        apply_linear = lambda *operands, graph: call(*operands, graph=graph, barrier=False)
        return _call_jvp(primals, tangents, out, graph, graphs.linearize_graph, apply_linear)

    def transpose(ct, *inputs, graph, barrier):
        linear = tuple(map(is_linear, inputs))
        parts = graphs.transposed_graph(graph, linear, present(ct))
        if not any(parts.nonzero):
            return (None,) * len(inputs)
        known, cotangents = picked(inputs, linear, False), given(ct)
        if barrier and known:
            known, cotangents = split(optimization_barrier(*known, *cotangents, first=0), len(known))
        found = iter(placed(parts.nonzero, call(*known, *cotangents, graph=parts.graph, barrier=False)))
        return tuple(next(found) if f else None for f in linear)


@primitive
class checkpoint(Call):
    """The results of `graph`, of whose values only those that `policy` names are kept for the backward pass"""

    def jvp(primals, tangents, out, *, graph, policy):
        def linearized(graph, active):
            return graphs.linearize_graph(graph, active, (), policy)

        apply_linear = lambda *operands, graph: call(*operands, graph=graph, barrier=True)
        return _call_jvp(primals, tangents, out, graph, linearized, apply_linear)


@primitive
class optimization_barrier:
    """The operands as they are; none of the results is available before all operands are

    What is recomputed from the results is not merged with what was computed from the operands before.
    """

    linear = "together"
    op = FORWARD

    def infer(*operands, first):
        return tuple(operands)

    def jvp(primals, tangents, out, **params):
        moved = optimization_barrier(*given(tangents), first=0)
        return placed(present(tangents), moved)

    def transpose(ct, *inputs, first):
        return tuple(c if is_linear(x) else None for c, x in zip(ct, inputs))

    def batch_with_axis(inputs, batched, axis, *, first):
        return optimization_barrier(*inputs, first=0), tuple(batched)


@primitive
class checkpoint_name:
    """x, under a name that policies of checkpoint know"""

    linear = "together"
    forwards = True

    def infer(x, *, name):
        return x

    def jvp(primals, tangents, out, *, name):
        return tangents[0]

    def transpose(ct, x, *, name):
        return (ct,)

    def batch(inputs, batched, *, name):
        return checkpoint_name(inputs[0], name=name)

    def lower(x, *, name):
        return "alias", ()

    def samples(rng):
        yield (rng.normal(size=(2, 3)),), {"name": "activation"}
