"""One of several graphs, chosen by a number that is known when the program runs."""

from ..transforms import graphs
from .base import is_linear, number, primitive
from .elementwise import eq, ge, select
from .held import extended, given, has_effects, picked, placed, present, residual_values, zeros
from .shape import add_batch_axis, expand_leading


@primitive
class cond:
    """The results of branches[clamp(index)] applied to the operands that follow the int32 `index`"""

    holds_graphs = True

    def infer(index, *operands, branches):
        return branches[0].avals

    def lower(index, *operands, branches):
        return "cond", branches

    def effects(*, branches):
        return has_effects(*branches)

    def jvp(primals, tangents, out, *, branches):
        index, *operands = primals
        active, moving = present(tangents[1:]), given(tangents)
        linear = any(map(is_linear, moving))
        derive = graphs.linearize_graph if linear else graphs.tangent_graph
        found = [derive(branch, active) for branch in branches]
        nonzero = tuple(map(any, zip(*(f.nonzero for f in found))))
        if not any(nonzero):
            return None
        if any(f.nonzero != nonzero for f in found):  # what moves in one branch only is zero in the others
            instantiate = tuple(i for i, n in enumerate(nonzero) if n)
            found = [derive(branch, active, instantiate) for branch in branches]
        if not linear:
            merged = tuple(f.graph for f in found)
            outs = extended(out, cond, [*primals, *moving], branches=merged)
            return placed(nonzero, outs[len(out) :])
        forward, linear_parts, places = _linearized_branches(branches[0], tuple(found))
        outs = extended(out, cond, primals, branches=forward)
        values = residual_values(places, operands, outs)
        return placed(nonzero, cond(index, *values, *moving, branches=linear_parts))

    def transpose(ct, index, *inputs, branches):
        linear = tuple(map(is_linear, inputs))
        parts = tuple(graphs.transposed_graph(b, linear, present(ct), True).graph for b in branches)
        found = iter(cond(index, *picked(inputs, linear, False), *given(ct), branches=parts))
        return None, *(next(found) if f else None for f in linear)

    def batch_with_axis(inputs, batched, axis, *, branches):
        if not any(batched) and axis.name is None:
            return None
        (index, *operands), flags = inputs, tuple(batched[1:])
        if batched[0]:
            return _select_branch(index, operands, flags, axis, branches)
        found = [graphs.batched_graph(branch, flags, axis).flags for branch in branches]
        force = tuple(i for i, f in enumerate(zip(*found)) if any(f))
        parts = [graphs.batched_graph(branch, flags, axis, force) for branch in branches]
        return cond(index, *operands, branches=tuple(p.graph for p in parts)), parts[0].flags


def _select_branch(index, operands, flags, axis, branches):
    """A batched index: every branch is computed for the whole batch, and each example picks one."""
    chosen = None
    for i, branch in enumerate(branches):
        results = graphs.replay_batched(branch, operands, flags, axis)
        results = [x if f else add_batch_axis(x, axis.size) for x, f in results]
        if chosen is None:
            chosen = results
            continue
        # the last branch serves all larger indices
        here = eq(index, number(i, index)) if i + 1 < len(branches) else ge(index, number(i, index))
        chosen = [select(expand_leading(here, 1, x.ndim - 1), x, y) for x, y in zip(results, chosen)]
    return tuple(chosen), (True,) * len(chosen)


def _linearized_branches(first, found):
    """Branches whose residuals have common places: (forward branches, linear branches, places).

    Residuals of equal type share a result; a branch that has none there fills it with zeros.
    """
    key = "linearized_branches", tuple(f.forward for f in found)
    made = first.derived.get(key)
    if made is None:
        made = first.derived[key] = _align_residuals(found)
    return made


def _align_residuals(found):
    n_out = len(found[0].nonzero)
    inputs = sorted({k for f in found for kind, k in f.residuals if kind == "input"})
    slots, used = [], []  # avals of the shared results; for each branch: residual -> slot
    for f in found:
        taken, mine = set(), {}
        for j, (kind, k) in enumerate(f.residuals):
            if kind == "output":
                aval = f.forward.outputs[k].aval
                slot = next((s for s, a in enumerate(slots) if a is aval and s not in taken), None)
                if slot is None:
                    slot = len(slots)
                    slots.append(aval)
                taken.add(slot)
                mine[j] = slot
        used.append(mine)
    places = (*(("input", k) for k in inputs), *(("output", n_out + s) for s in range(len(slots))))
    forward, linear = [], []
    for f, mine in zip(found, used):
        at = {slot: f.residuals[j][1] for j, slot in mine.items()}

        def widened(*operands, f=f, at=at):
            outs = graphs.replay(f.forward, operands)
            return outs[:n_out] + [outs[at[s]] if s in at else zeros(aval) for s, aval in enumerate(slots)]

        def narrowed(*operands, f=f, mine=mine):
            values, moving = operands[: len(places)], operands[len(places) :]
            read = [
                values[len(inputs) + mine[j]] if kind == "output" else values[inputs.index(k)]
                for j, (kind, k) in enumerate(f.residuals)
            ]
            return graphs.replay(f.linear, [*read, *moving])

        operand_avals = [node.aval for node in f.forward.placeholders]
        tangent_avals = [node.aval for node in f.linear.placeholders[len(f.residuals) :]]
        forward.append(graphs.graph_of(f.forward.name, operand_avals, widened))
        read_avals = [*(operand_avals[k] for k in inputs), *slots]
        linear.append(graphs.graph_of(f.linear.name, [*read_avals, *tangent_avals], narrowed))
    return tuple(forward), tuple(linear), places
