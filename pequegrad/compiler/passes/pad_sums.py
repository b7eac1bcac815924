"""Sums of arrays that are padded with zeros to places of their own become one concatenation.

This is what the derivative of splitting, or of reading a tensor row by row, gives: pad(x) + pad(y) + pad(z). Not a rule for
one node, since each partial sum would make a concatenation. Zeros stay where nothing lies. The sum adds 0.0 to x, y and z,
which makes 0.0 of -0.0: that is kept.
"""

from typing import NamedTuple

from ...primitives import elementwise as e
from ...primitives import shape as s
from .rewriting import Builder, RuleSet, kind

_RULES = RuleSet()


class _Sum(NamedTuple):
    """pads: nodes along one axis, at places of their own; others: at most one further operand."""

    axis: int
    pads: list
    others: list


def pad_sums(graph):
    """The graph in which these sums are concatenations."""
    sums = _sums(graph)
    if not sums:
        return graph
    b, became = Builder(_RULES, graph), {}

    def replacement(node, inputs):
        found = sums.get(node)
        if found is not None:
            joined = _joined(b, [became.get(x, x) for x in found.pads], found.axis, node.aval)
            others = [became.get(x, x) for x in found.others]
            made = b.make(e.add, joined, *others) if others else joined
        else:
            made = b.visit(node, inputs)
        became[node] = made
        return made

    return graph.rewritten(replacement)


def _sums(graph):
    """The outermost sums of at least two pads that do not overlap: node -> _Sum."""
    uses, found = {}, {}
    for sources in (graph.results, graph.effects, *(node.inputs for node in graph.nodes)):
        for source in sources:
            uses[source] = uses.get(source, 0) + 1
    for node in graph.nodes:
        if node.spec.primitive.name == "add" and all(x.aval.shape == node.aval.shape for x in node.inputs):
            parts = [found[x] if x in found and uses[x] == 1 else _term(x) for x in node.inputs]
            axes = {part.axis for part in parts if part.pads}
            if len(axes) == 1 and sum(len(part.others) for part in parts) <= 1:
                long, short = sorted(parts, key=lambda part: -len(part.pads))
                long.pads.extend(short.pads)  # of an inner sum, which is no sum of its own any more
                found[node] = _Sum(axes.pop(), long.pads, long.others + short.others)
                for x in node.inputs:
                    if uses[x] == 1:
                        found.pop(x, None)
    return {node: sum_ for node, sum_ in found.items() if len(sum_.pads) > 1 and _apart(sum_)}


def _term(node):
    """One operand of a sum."""
    axis = _padded_axis(node)
    return _Sum(None, [], [node]) if axis is None else _Sum(axis, [node], [])


def _padded_axis(node):
    """The only axis along which `node` is padded, with 0.0 on the outside; None if it is not of that form."""
    if node.spec.primitive.name != "pad":
        return None
    params = node.spec.params
    value = node.inputs[1].spec.params.get("value") if node.inputs[1].value is not None else None
    if repr(value) not in ("0", "0.0", "0j", "False") or any(params["interior"]):
        return None
    axes = [i for i, (low, high) in enumerate(zip(params["low"], params["high"])) if low or high]
    return axes[0] if len(axes) == 1 and min(*params["low"], *params["high"]) >= 0 else None


def _places(pads, axis):
    """(begin, end, what lies there) for each pad, in order."""
    found = []
    for node in pads:
        begin = node.spec.params["low"][axis]
        found.append((begin, begin + node.inputs[0].aval.shape[axis], node.inputs[0]))
    return sorted(found, key=lambda place: place[:2])


def _apart(sum_):
    places = _places(sum_.pads, sum_.axis)
    return all(before[1] <= after[0] for before, after in zip(places, places[1:]))


def _joined(b, pads, axis, aval):
    """The concatenation of what is padded, with zeros in gaps and around it."""
    zero, parts, reached = b.number(0, aval), [], None
    signed = kind(aval) in ("float", "complex")
    along = lambda sizes, n: tuple([n if i == axis else size for i, size in enumerate(sizes)])
    places = _places(pads, axis)
    for begin, end, node in places:
        if parts and begin > reached:
            parts.append(b.broadcast(zero, along(aval.shape, begin - reached), ()))
        parts.append(b.make(e.add, node, zero) if signed else node)
        reached = end
    joined, none = b.make(s.concatenate, *parts, axis=axis), (0,) * aval.ndim
    low, high = along(none, places[0][0]), along(none, aval.shape[axis] - reached)
    if not any(low + high):
        return joined
    return b.make(s.pad, joined, zero, low=low, high=high, interior=none)
