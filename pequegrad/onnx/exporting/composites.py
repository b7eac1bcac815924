"""ONNX operators that are several primitives here: where a program contains what one of them computes, it is written as that.

Each is a generator that is called with a node which could be the last of its primitives, and the version of the operator set; it
yields candidates (attributes, example, operands' avals). Where the example, traced for these, ends in the node, a node of the primitive
`composite` takes the place of all.
"""

import math

from ...compiler.patterns.attention import Attention
from ...compiler.patterns.causal import causal_offset
from ...compiler.patterns.rewrite import Match
from ...compiler.patterns.search import constant_value, occurrences, varying_nodes
from ...core.dtype import is_float
from ...core.errors import PequegradError
from ...core.node import constant, is_constant
from ...nn import functional as F
from ...ops.attention import attention_weights
from ...ops.rearrange import take, take_along_axis
from ...primitives.attention import attention, attention_gradient
from ...primitives.base import PRIMITIVES, Primitive
from ...transforms.graphs import graph_of
from ..ops.indexing import scatter_elements

# others may read what these compute inside: indices, maxima, signs
_SHARED = frozenset("ReduceLogSumExp Gather GatherElements ScatterElements Softmax Relu LeakyRelu PRelu Clip".split())
_SINGLE = frozenset(  # of float64 onnxruntime has no kernels: parts of them stay what they are
    "Resize LRN RNN GRU LSTM Softplus Softsign Elu Selu HardSigmoid HardSwish Mish LeakyRelu PRelu ThresholdedRelu LogSigmoid".split()
)
_INTEGERS = frozenset("Gather GatherElements ScatterElements Mod".split())  # of any dtype
_COMPOSITES = {}  # primitive at the end -> [(operator, first version, candidates)]


class onnx_composite:
    """An ONNX operator. aval: of its result"""

    def infer(*operands, op, attributes, aval):
        return aval


onnx_composite = Primitive(onnx_composite)
PRIMITIVES.pop(onnx_composite.name)  # it is never run: graphs that contain it are only written


def composite(op, last, since=1):
    """Decorator: registers a generator of candidates. last: the primitive that its example ends with."""

    def register(candidates):
        _COMPOSITES.setdefault(last, []).append((op, since, candidates))
        return candidates

    return register


def matches(program, simplify, version):
    """A Match for each place of the program where a composite is found; attention comes first, then the largest."""
    attentions = [m for m in Attention(any_size=True)(program, simplify) if _is_plain(m)] if version >= 23 else []
    found = []
    for last, entries in _COMPOSITES.items():
        for node in [n for n in program.graph.nodes if n.spec.primitive.name == last]:
            if type(node.aval) is tuple:
                continue
            for op, since, candidates in entries:
                if op not in _INTEGERS and not is_float(node.aval.dtype):
                    continue
                if op in _SINGLE and node.aval.dtype.itemsize > 4:
                    continue
                if since <= version and (match := _match(op, candidates(node), node, program, simplify)):
                    found.append(match)
    return attentions + sorted(found, key=lambda match: -len(match.inside))


def _is_plain(match):
    """True for attention that is ONNX's: queries see all keys, or those up to their own place. (Where a mask hides all keys ours is 0.)"""
    inner = [node for node in match.graph.nodes if node.spec.primitive in (attention, attention_gradient)]
    params = inner[0].spec.params
    plain = len(inner) == 1 and not params["mask"] and not params["bias"]
    return plain and (params["causal"] is None or params["causal"] == 0 and params["fill"] == -math.inf)


def _match(op, candidates, node, program, simplify):
    for attributes, example, avals in candidates:
        graph = example_graph(op, attributes, example, avals, simplify)
        if graph is None:
            continue
        for known in occurrences(graph, program, {graph.results[0]: node}):
            inside = {known[n] for n in varying_nodes(graph)}
            own = _used_inside(inside, node, program)
            if own != inside and op not in _SHARED:
                continue
            inside = own
            operands = [known.get(n) for n in graph.inputs]
            if any(n is None for n in operands):
                continue
            if op == "AttentionSoftmax" and _sees_a_key(operands[0]):
                op, attributes = "Softmax", {"axis": -1}
            params = {"op": op, "attributes": tuple(attributes.items()), "aval": node.aval}
            made = graph_of(op, avals, lambda *x: [onnx_composite(*x, **params)])
            return Match(op, [node], operands, inside, made)
    return None


def _used_inside(nodes, result, program):
    """Those of the nodes that only others of them read, and the result."""
    while True:
        found = {n for n in nodes if n is result or program.used_only_by(n, nodes)}
        if found == nodes:
            return nodes
        nodes = found


_examples = {}  # graphs of examples: layers of one shape have the same


def example_graph(op, attributes, example, avals, simplify):
    """The simplified graph of an example, or None if it takes no operands of these avals."""
    code = getattr(example, "__code__", example)
    key = op, code, tuple(attributes.items()), tuple((aval, aval.weak_type) for aval in avals), simplify
    if key not in _examples:
        if len(_examples) >= 1024:
            _examples.clear()
        try:
            _examples[key] = simplify(graph_of(op, avals, lambda *x: _listed(example(*x))))
        except PequegradError:
            _examples[key] = None
    return _examples[key]


def _listed(found):
    return found if isinstance(found, list) else [found]


def numbers_of(node, name, depth=6):
    """Numbers that are operands of the primitive `name` among the operands of a node, and theirs."""
    found, level = [], [node]
    for _ in range(depth):
        level = [source for n in level for source in n.inputs if not is_constant(source)]
        for n in level:
            if n.spec.primitive.name == name:
                found += [float(x.spec.params["value"]) for x in n.inputs if x.spec.primitive is constant]
    return list(dict.fromkeys(found))


def sources_of(node, name, depth=6):
    """Nodes of the primitive `name` that lead to a node."""
    found, level = [], [node]
    for _ in range(depth):
        level = [source for n in level for source in n.inputs if not is_constant(source)]
        found += [n for n in level if n.spec.primitive.name == name]
    return list(dict.fromkeys(found))


def _vector(aval, n):
    return aval.update(shape=aval.shape[len(aval.shape) - n :])


# ---- softmax -------------------------------------------------------------------------------------------


def _softmax(function):
    def candidates(node):
        if any(is_constant(x) for x in node.inputs):
            return
        for axis in range(node.aval.ndim - 1, -1, -1):
            if function is not attention_weights:
                yield {"axis": axis - node.aval.ndim}, lambda x: function(x, axis), [node.aval]
            elif axis == node.aval.ndim - 1:
                yield {"axis": -1}, function, [node.aval]

    return candidates


composite("AttentionSoftmax", "div")(_softmax(attention_weights))
composite("Softmax", "div")(_softmax(F.softmax))
composite("LogSoftmax", "sub")(_softmax(F.log_softmax))


def _sees_a_key(scores):
    """True if no mask can hide all keys from a query: there is none, or it says which keys come before."""
    while not is_constant(scores) and scores.spec.primitive.name in ("mul", "div", "convert", "reshape", "select"):
        if scores.spec.primitive.name == "select":
            mask, *sides = scores.inputs
            hidden = [is_constant(x) and not x.aval.ndim and constant_value(x) == -math.inf for x in sides]
            offset = causal_offset(mask, hidden[1])
            if hidden.count(True) != 1 or offset is None or offset < 0:
                return False
            scores = sides[hidden[0]]
        else:
            scores = next((x for x in scores.inputs if not is_constant(x)), scores.inputs[0])
    return not is_constant(scores) and scores.spec.primitive.name == "dot_general"


# ---- rows of a table ---------------------------------------------------------------------------------------


def _integers(node, depth=7):
    """Arrays of integers that are computed and lead to a node, the nearest first."""
    seen = [node]
    for _ in range(depth):
        seen += [x for x in dict.fromkeys(source for n in seen for source in n.inputs) if x not in seen]
    return [n for n in seen if type(n.aval) is not tuple and n.aval.dtype.kind in "iu" and not is_constant(n)]


@composite("Gather", "gather")
def gather(node):
    """Negative indices count from the end, as ONNX's do; others outside are errors in most runtimes."""
    table, indices = node.inputs
    for index in _integers(indices):
        for axis in range(table.aval.ndim):
            if node.aval.shape == table.aval.shape[:axis] + index.aval.shape + table.aval.shape[axis + 1 :]:
                yield {"axis": axis}, lambda x, i: x[(slice(None),) * axis + (i,)], [table.aval, index.aval]
                yield {"axis": axis}, lambda x, i: take(x, i, axis=axis), [table.aval, index.aval]


@composite("GatherElements", "gather")
def gather_elements(node):
    table, indices = node.inputs
    for index in _integers(indices):
        if node.aval.shape == index.aval.shape and index.aval.ndim == table.aval.ndim:
            for axis in range(table.aval.ndim):
                yield {"axis": axis}, lambda x, i: take_along_axis(x, i, axis), [table.aval, index.aval]


@composite("ScatterElements", "scatter")
def scatter(node):
    """What is read from it: indices along one axis, places along the others."""
    x, indices, updates = (n.aval for n in node.inputs)
    reduction = {"set": "none"}.get(node.spec.params["combine"], node.spec.params["combine"])
    for index in _integers(node.inputs[1]):
        if index.aval.shape == updates.shape and updates.ndim == x.ndim and reduction != "mul":
            for axis in range(x.ndim):
                example = lambda x, i, u: scatter_elements(x, i, u, axis=axis, reduction=reduction)
                yield {"axis": axis, "reduction": reduction}, example, [x, index.aval, updates]


# ---- normalisation ---------------------------------------------------------------------------------------


@composite("LayerNormalization", "add", since=17)
def layer_normalization(node):
    for eps in numbers_of(node, "add"):
        for n in range(1, min(node.aval.ndim, 3) + 1):
            weight = _vector(node.aval, n)
            attributes = {"axis": -n, "epsilon": eps}
            yield attributes, lambda x, w, b: F.layer_norm(x, w.shape, w, b, eps), [node.aval, weight, weight]


@composite("LayerNormalization", "mul", since=17)
def layer_normalization_without_bias(node):
    for eps in numbers_of(node, "add"):
        for n in range(1, min(node.aval.ndim, 3) + 1):
            weight = _vector(node.aval, n)
            yield {"axis": -n, "epsilon": eps}, lambda x, w: F.layer_norm(x, w.shape, w, None, eps), [node.aval, weight]


@composite("RMSNormalization", "mul", since=23)
def rms_normalization(node):
    for eps in numbers_of(node, "add"):
        weight = _vector(node.aval, 1)
        yield {"axis": -1, "epsilon": eps}, lambda x, w: F.rms_norm(x, w.shape, w, eps), [node.aval, weight]


def _channel_norm(op, n_statistics, function, since=1, options=lambda node: [{}]):
    """Registers an operator whose scale and bias, [channels], may be absent here. function(x, weight, bias, *statistics, eps, **options)."""
    for last, given in (("add", 2), ("mul", 1), ("reshape" if op == "GroupNormalization" else "mul", 0)):

        @composite(op, last, since)
        def candidates(node, given=given):
            if node.aval.ndim < 2:
                return
            channels = node.aval.update(shape=(node.aval.shape[1],))
            for eps in numbers_of(node, "add"):
                for chosen in options(node):
                    absent = [None] * (2 - given)
                    example = lambda x, *rest: function(x, *rest[:given], *absent, *rest[given:], eps, **chosen)
                    attributes = {"epsilon": eps, **chosen, "given": given}
                    yield attributes, example, [node.aval, *[channels] * (given + n_statistics)]


def _groups(node):
    """Numbers of groups that channels may have been divided into."""
    c = node.aval.shape[1]
    return [{"num_groups": n} for n in range(1, c + 1) if c % n == 0 and _has(node, n)]


def _has(node, groups, depth=8):
    """True if an array with this many groups was reshaped on the way to a node."""
    level = [node]
    for _ in range(depth):
        level = [source for n in level for source in n.inputs if not is_constant(source)]
        if any(n.spec.primitive.name == "reshape" and n.aval.shape[1:2] == (groups,) for n in level):
            return True
    return False


_channel_norm(
    "BatchNormalization", 2, lambda x, w, b, mean, var, eps: F.batch_norm(x, mean, var, w, b, False, 0.1, eps)[0]
)
_channel_norm("InstanceNormalization", 0, lambda x, w, b, eps: F.instance_norm(x, None, None, w, b, eps=eps))
_channel_norm(
    "GroupNormalization", 0, lambda x, w, b, eps, num_groups: F.group_norm(x, num_groups, w, b, eps), 21, _groups
)


@composite("LayerNormalization", "mul", since=17)
def layer_normalization_of_nothing_else(node):
    for eps in numbers_of(node, "add"):
        for n in range(1, min(node.aval.ndim, 3) + 1):
            shape = node.aval.shape[node.aval.ndim - n :]
            yield {"axis": -n, "epsilon": eps}, lambda x: F.layer_norm(x, shape, None, None, eps), [node.aval]


# ---- transposed convolution --------------------------------------------------------------------------------


@composite("ConvTranspose", "conv_general_dilated")
def conv_transpose(node):
    """A convolution with a kernel [inputs, outputs of a group, space ...] that was flipped, and features exchanged."""
    x, kernel = node.inputs
    params, n = node.spec.params, node.aval.ndim - 2
    function = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}.get(n)
    groups, stride, dilation = params["feature_groups"], params["x_dilation"], params["w_dilation"]
    if (
        function is None
        or params["axes"].x != tuple(range(n + 2))
        or not (kernel.spec.primitive.name == "rev" or sources_of(kernel, "rev", 4))
    ):
        return
    window = [kernel.aval.shape[i] for i in params["axes"].w[2:]]
    reach = [(k - 1) * d for k, d in zip(window, dilation)]
    low = [r - a for r, (a, _) in zip(reach, params["padding"])]
    extra = [a - r + b for a, r, (_, b) in zip(low, reach, params["padding"])]
    if any(a < 0 for a in low) or any(not 0 <= e < max(s, d) for e, s, d in zip(extra, stride, dilation)):
        return
    weight = kernel.aval.update(shape=(x.aval.shape[1], node.aval.shape[1] // groups, *window))
    example = lambda x, w: function(x, w, None, stride, tuple(low), tuple(extra), groups, dilation)
    attributes = {"kernel_shape": tuple(window), "strides": stride, "pads": (*low, *low), "dilations": dilation}
    attributes |= {"group": groups, "output_padding": tuple(extra)}
    yield attributes, example, [x.aval, weight]


__all__ = ["composite", "example_graph", "matches", "numbers_of", "onnx_composite", "sources_of"]
