"""RNN, GRU and LSTM: where a program contains one direction of a layer, a product for all times and a scan, it is written as that node."""

from typing import NamedTuple

from ...compiler.patterns.rewrite import Match
from ...compiler.patterns.search import constant_value, occurrences, varying_nodes
from ...core.node import is_constant
from ...nn.functional import recurrent as layers
from ...ops.arithmetic import tanh
from ...ops.nn import relu
from ...transforms.graphs import graph_of
from ..ops import recurrent as nodes
from .composites import example_graph, onnx_composite


class _Form(NamedTuple):
    """A way to compute an operator. order: which of its gates come first, second ... in ONNX."""

    op: str
    gates: int
    order: tuple
    direction: object  # function of (x, states, weights, reverse)
    attributes: dict = {}


_FORMS = {
    "layer tanh": _Form("RNN", 1, (0,), layers.one_direction(layers.simple(tanh))),
    "layer relu": _Form("RNN", 1, (0,), layers.one_direction(layers.simple(relu)), {"activations": ["Relu"]}),
    "layer gru": _Form("GRU", 3, (1, 0, 2), layers.one_direction(layers.gated), {"linear_before_reset": 1}),
    "layer lstm": _Form("LSTM", 4, (0, 3, 1, 2), layers.one_direction(layers.long_short)),
    "node tanh": _Form("RNN", 1, (0,), nodes.plain("RNN")),
    "node relu": _Form("RNN", 1, (0,), nodes.plain("RNN", ["Relu"]), {"activations": ["Relu"]}),
    "node gru": _Form("GRU", 3, (0, 1, 2), nodes.plain("GRU")),
    "node gru 1": _Form("GRU", 3, (0, 1, 2), nodes.plain("GRU", linear_before_reset=1), {"linear_before_reset": 1}),
    "node lstm": _Form("LSTM", 4, (0, 1, 2, 3), nodes.plain("LSTM")),
}


def matches(program, simplify):
    """A Match for each scan that is a direction of a layer."""
    scans = [node for node in program.graph.nodes if node.spec.primitive.name == "scan"]
    return [match for node in scans for name in _FORMS if (match := _match(name, node, program, simplify))]


def _match(name, node, program, simplify):
    form, params = _FORMS[name], node.spec.params
    n_consts, n_carry = params["n_consts"], params["n_carry"]
    *consts_and_states, rows = node.inputs
    states = consts_and_states[n_consts:]
    product = next((n for n in (rows, *rows.inputs) if n.spec.primitive.name == "dot_general"), None)
    if n_carry != 1 + (form.op == "LSTM") or len(states) != n_carry or product is None:
        return None
    gates, size = rows.aval.shape[-1], states[0].aval.shape[-1]
    if gates != form.gates * size or rows.aval.dtype.itemsize > 4:  # onnxruntime has none for float64
        return None
    given = [*product.inputs, rows.aval.update(shape=(gates, size))]
    vector, n_biases, reverse = rows.aval.update(shape=(gates,)), 2 * (product is not rows), params["reverse"]
    avals = [getattr(x, "aval", x) for x in (*given, *[vector] * n_biases, *states)]

    def example(x, w, r, *rest):
        biases = rest[:n_biases] or (None, None)
        carried, y = form.direction(x, rest[n_biases:], (w, r, *biases), reverse)
        return [*carried, y]

    graph = example_graph(name, {"reverse": reverse, "biases": n_biases}, example, avals, simplify)
    last = graph and next((n for n in graph.nodes if n.spec.primitive is node.spec.primitive), None)
    if last is None:
        return None
    pattern = graph.rewired(graph.inputs, [last])
    for known in occurrences(pattern, program, {last: node}):
        outputs = program.users[node]
        inside = {known[n] for n in varying_nodes(pattern) if n in known} - {known[n] for n in graph.inputs}
        if not all(program.used_only_by(n, {*inside, *outputs}) for n in inside):
            continue
        operands = [known[n] for n in graph.inputs]
        zero = [_is_zero(x) for x in operands[3 + n_biases :]]
        operands = [x for x, absent in zip(operands, [False] * (3 + n_biases) + zero) if not absent]
        attributes = {"order": form.order, "reverse": reverse, "n_biases": n_biases, "zero": tuple(zero)}
        attributes["options"] = tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in form.attributes.items())
        params = {"op": form.op, "attributes": tuple(attributes.items()), "aval": node.aval}
        which = [n.spec.params["index"] for n in outputs]
        made = graph_of(
            form.op,
            [x.aval for x in operands],
            lambda *x: [found[i] for found in [onnx_composite(*x, **params)] for i in which],
        )
        return Match(form.op, outputs, operands, {*inside, *outputs}, made)
    return None


def _is_zero(node):
    """True for zeros, as a constant or spread."""
    if not is_constant(node) and node.spec.primitive.name == "broadcast_in_dim":
        (node,) = node.inputs
    return is_constant(node) and not constant_value(node).any()
