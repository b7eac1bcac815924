"""Puts other graphs in the place of parts of a graph."""

from typing import NamedTuple

from ...core.errors import DtypeError, ShapeError
from ...core.graph import GraphTrace
from ...core.node import detached, is_constant


class Match(NamedTuple):
    """A part of a program that `graph` can stand for."""

    name: str  # of the pattern
    results: list  # nodes of the program whose values `graph` computes, in the order of its results
    operands: list  # nodes of the program that are its arguments
    inside: set  # all nodes that go, the results among them; what depends on no operand (iota) may serve others, too
    graph: GraphTrace


def check_results(name, graph, avals):
    """Raises unless a replacement gives results of these avals."""
    if len(graph.results) != len(avals):
        raise ShapeError(
            f"pattern {name}: the replacement gives {len(graph.results)} results, the example {len(avals)}.",
            fix="return the same number of tensors from both.",
        )
    for i, (found, wanted) in enumerate(zip(graph.avals, avals)):
        which = f"result {i}" if len(avals) > 1 else "the result"
        if found.shape != wanted.shape:
            raise ShapeError(
                f"pattern {name}: {which} of the replacement is {found}, that of the example {wanted}.",
                fix="the replacement must give the same shapes as the example for the same operands.",
            )
        if found.dtype != wanted.dtype:
            raise DtypeError(
                f"pattern {name}: {which} of the replacement is {found}, that of the example {wanted}.",
                fix=f"convert it: x.astype('{wanted.dtype}').",
            )


def substituted(graph, matches):
    """(the graph with the replacements of `matches`, which do not overlap, in the place of what they match, those replaced)

    A match whose replacement would need its own result (a result may now depend on more operands) is left out.
    """
    matches = list(matches)
    while matches:
        stands_for, owner = {}, {}  # node of the program -> node of a replacement; node of a replacement -> its match
        for match in matches:
            made = _instance(match, owner)
            stands_for.update(zip(match.results, made))
        found = _rebuilt(graph, stands_for)
        if type(found) is GraphTrace:
            return found, matches
        guilty = next(owner[node] for node in reversed(found) if node in owner)
        matches = [match for match in matches if match is not guilty]
    return graph, []


def _instance(match, owner):
    """Copies of the replacement's nodes that read the program's nodes; the nodes of its results."""
    copies = dict(zip(match.graph.inputs, match.operands))
    for node in match.graph.nodes:
        copies[node] = detached(node.spec, tuple([copies.get(source, source) for source in node.inputs]))
        owner[copies[node]] = match
    return [copies.get(node, node) for node in match.graph.results]


def _rebuilt(graph, stands_for):
    """The graph with the values of `stands_for` in place of its keys; if that has a cycle, the nodes on the way to it."""
    became = {node: node for node in graph.inputs}

    def at(node):
        while node in stands_for:
            node = stands_for[node]
        return node

    opened = set()
    stack = [at(node) for node in (*graph.effects, *graph.outputs)][::-1]  # effects first: they keep their order
    while stack:
        node = stack[-1]
        if node in became or is_constant(node):
            stack.pop()
            continue
        inputs = [at(source) for source in node.inputs]
        if node not in opened:
            opened.add(node)
            waiting = [source for source in inputs if source not in became and not is_constant(source)]
            if any(source in opened for source in waiting):
                return [n for n in stack if n in opened]
            if waiting:
                stack.extend(waiting[::-1])
                continue
        stack.pop()
        inputs = tuple([became.get(source, source) for source in inputs])
        became[node] = node if inputs == node.inputs else detached(node.spec, inputs)
    final = lambda node: became.get(at(node), at(node))  # noqa: E731
    return graph.remade(map(final, graph.outputs), map(final, graph.effects), became.values())
