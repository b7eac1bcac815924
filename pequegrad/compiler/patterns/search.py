"""Finds where a small graph, the pattern, occurs in a program's graph."""

import numpy as np

from ...core.graph import frozen
from ...core.node import constant, is_constant
from ...core.tensor import wrap
from ...primitives.base import Primitive


class Program:
    """A graph to search in: who reads each node, and which nodes a primitive has."""

    def __init__(self, graph):
        self.graph = graph
        self.users = {node: [] for node in (*graph.placeholders, *graph.nodes)}
        self.by_primitive = {}
        for node in graph.nodes:
            self.by_primitive.setdefault(node.spec.primitive, []).append(node)
            for source in dict.fromkeys(node.inputs):
                if source in self.users:
                    self.users[source].append(node)
        self.kept = {*graph.results, *graph.effects}  # read by what runs the program

    def used_only_by(self, node, readers):
        """True if nothing but the nodes `readers` reads `node`."""
        return node not in self.kept and readers.issuperset(self.users[node])


def same_form(wanted, node):
    """Same primitive: what can be said before shapes are known."""
    return wanted.spec.primitive is node.spec.primitive and len(wanted.inputs) == len(node.inputs)


def same_application(wanted, node):
    """Same primitive, parameters, and shapes and dtypes of the results."""
    a, b = wanted.spec, node.spec
    if a is b:
        return True
    return (
        a.primitive is b.primitive
        and len(wanted.inputs) == len(node.inputs)
        and _same_type(wanted.aval, node.aval)
        and (a.params == b.params or (_holds_graphs(a.primitive) and frozen(a.params) == frozen(b.params)))
    )


def _same_type(a, b):
    if type(a) is tuple or type(b) is tuple:
        return type(a) is type(b) and len(a) == len(b) and all(map(_same_type, a, b))
    return a.shape == b.shape and a.dtype == b.dtype and a.device is b.device  # weak types differ from trace to trace


def _holds_graphs(primitive):
    return isinstance(primitive, Primitive) and primitive.holds_graphs


def occurrences(pattern, program, known, exact=True):
    """Yields dicts from the nodes of `pattern` (a closed graph) to nodes of the program; they extend the dict `known`.

    The pattern's arguments stand for any node, each always for the same. exact: parameters and shapes must agree, else
    primitives only, and a number stands for any number. From what is known the search goes to operands and, for results of
    the pattern that are not reached so, to readers.
    """
    same = same_application if exact else same_form
    arguments = set(pattern.inputs)

    def unified(found, pairs):
        """Extends `found` so that for each of the pairs (wanted, node) node stands for wanted."""
        found = dict(found)
        while pairs:
            (wanted, node), pairs = pairs
            standing = found.get(wanted)
            if standing is not None:
                if standing is not node:
                    return
                continue
            if wanted in arguments:
                if type(node.aval) is tuple or (exact and not _same_type(wanted.aval, node.aval)):
                    return
                found[wanted] = node
                continue
            if is_constant(wanted) or is_constant(node):
                if not _same_constant(wanted, node, exact):
                    return
                continue
            if not same(wanted, node):
                return
            found[wanted] = node
            operands = node.inputs
            if len(operands) == 2 and getattr(wanted.spec.primitive, "commutative", False):
                yield from unified(found, _pushed(wanted.inputs, operands[::-1], pairs))
            pairs = _pushed(wanted.inputs, operands, pairs)
        yield from extended(found)

    def extended(found):
        """Goes on to a result that was not reached yet, through a reader of what was."""
        if all(node in found for node in pattern.results):
            yield found
            return
        for wanted in pattern.nodes:
            if wanted not in found:
                reached = [found[source] for source in wanted.inputs if source in found]
                if reached:
                    break
        else:
            return
        readers = min((program.users.get(node, ()) for node in reached), key=len)
        for node in readers:
            yield from unified(found, ((wanted, node), None))

    first = None
    for pair in known.items():
        first = (pair, first)
    return unified({}, first)


def _pushed(wanted, nodes, pairs):
    for pair in zip(wanted, nodes):
        pairs = (pair, pairs)
    return pairs


def _same_constant(wanted, node, exact):
    if wanted is node:
        return True
    if not (is_constant(wanted) and is_constant(node)) or wanted.aval.dtype != node.aval.dtype:
        return False
    if not exact:
        return wanted.aval.ndim == node.aval.ndim
    a, b = constant_value(wanted), constant_value(node)
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def constant_value(node):
    """The value of a constant as a NumPy array."""
    if node.spec.primitive is constant:
        return np.asarray(node.spec.params["value"], node.aval.dtype)
    return wrap(node).numpy()


def varying_nodes(pattern):
    """The nodes of a pattern that depend on its arguments. The rest (iota ...) may stay in the program for others."""
    found = set(pattern.inputs)
    for node in pattern.nodes:
        if not found.isdisjoint(node.inputs):
            found.add(node)
    return [node for node in pattern.nodes if node in found]


def is_closed(pattern, program, found):
    """True if what occurs could go: nothing else reads what is inside, and no operand is itself inside."""
    results = {found[node] for node in pattern.results}
    inside = {found[node] for node in varying_nodes(pattern)}
    if any(found[node] in inside for node in pattern.inputs):
        return False
    return all(program.used_only_by(node, inside) for node in inside - results)
