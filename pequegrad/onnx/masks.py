"""x[mask] = c, which torch's newer exporter writes with as many indices as the mask has places, as one operator: no size depends on data."""

from collections import Counter

import numpy as np

from .graphs import Node, reads_of
from .registry import OWN


def join_masks(graph):
    """Puts MaskedAssignment in place of ScatterND where the indices are those of a mask, and all get the same number."""
    producer = {name: node for node in graph.nodes for name in node.outputs}
    nodes, freed = [], set()
    for node in graph.nodes:
        operands = _assignment(graph, producer, node)
        if operands:
            freed.update(node.inputs)
            node = Node("MaskedAssignment", OWN, node.name, operands, node.outputs, {})
        nodes.append(node)
    if not freed:
        return
    reads = Counter(name for node in nodes for name in reads_of(node)) + Counter(v.name for v in graph.outputs)
    kept = []
    for node in reversed(nodes):
        if freed.isdisjoint(node.outputs) or any(reads[name] for name in node.outputs):
            kept.append(node)
        else:  # it gave the indices, or how many there are
            reads.subtract(reads_of(node))
            freed.update(reads_of(node))
    graph.nodes = kept[::-1]


def _assignment(graph, producer, node):
    """[data, mask, number] of a ScatterND that is a masked assignment, else None."""
    plain = node.attributes.get("reduction", "none") == "none"
    if (node.op, node.domain, len(node.inputs)) != ("ScatterND", "", 3) or not plain:
        return None
    indices, updates = (_upwards(producer, name) for name in node.inputs[1:])
    if [n.op for n in indices[:2]] != ["Transpose", "NonZero"]:
        return None
    number = next((n.inputs[0] for n in updates if n.op == "Expand"), None)
    return [node.inputs[0], indices[1].inputs[0], number] if _is_number(graph, producer, number) else None


def _upwards(producer, name):
    """The nodes that a value comes from by what moves numbers, at most four, the nearest first."""
    found = []
    while name in producer and producer[name].op in _MOVING and producer[name].inputs and len(found) < 4:
        found.append(producer[name])
        name = producer[name].inputs[0]
    return found


_MOVING = {"Transpose", "NonZero", "Reshape", "Expand"}


def _is_number(graph, producer, name):
    """Whether a value is a constant or a parameter of one element."""
    array = graph.initializers.get(name)
    if array is None and name in producer and producer[name].op == "Constant":
        array = next((x for x in producer[name].attributes.values()), None)
    return isinstance(array, (np.ndarray, int, float)) and np.size(array) == 1
