"""Which nodes of a file train: model.eval() makes them infer."""

import numpy as np

from .graphs import subgraphs


def trains(model):
    """True if a node of the model, of its subgraphs or functions, is in training mode, or may be."""
    graphs = [(model.graph.nodes, model.versions), *((f.nodes, f.versions) for f in model.functions.values())]
    return any(_trains(nodes, versions.get("", 1), dict(model.graph.initializers)) for nodes, versions in graphs)


def _trains(nodes, version, constants):
    """constants: name -> value, as far as values are in the file."""
    for node in nodes:
        if node.op == "Constant":
            constants.update((node.outputs[0], value) for value in node.attributes.values())
        if not node.domain and node.op in _TRAINS and _TRAINS[node.op](node, version, constants):
            return True
        if any(_trains(graph.nodes, version, constants | graph.initializers) for graph in subgraphs(node)):
            return True
    return False


def _dropout_trains(node, version, constants):
    mode = node.inputs[2] if version >= 12 and len(node.inputs) > 2 else ""
    value = constants.get(mode, True)
    return bool(mode) and not (isinstance(value, np.ndarray) and not value.any())


def _batch_norm_trains(node, version, constants):
    if version >= 14:
        return node.attributes.get("training_mode", 0) != 0
    return len(node.outputs) > 1 and node.attributes.get("is_test", 0) == 0


_TRAINS = {"Dropout": _dropout_trains, "BatchNormalization": _batch_norm_trains}
