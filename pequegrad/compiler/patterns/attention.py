"""Attention, wherever it is written out: softmax(scale * q k^T + bias, some of it masked) v, and its derivative.

The forward part is read from the second product down: weights, a softmax (one of SOFTMAXES), scalings, masks and biases
in any order, the first product. For the derivative nothing is stated here: that of the rows, from scores to weights, is asked of
the derivative rules and then sought; the products around it are recognised by their axes. What is found is computed by the
primitives `attention` and `attention_gradient`, without scores in memory.

Not replaced: anything of which an inner value is used elsewhere (weights that are returned, a bias with a gradient), dropout,
a scale that is no number, or a very large or small one, softmax without the maximum subtracted, masks and biases in another
shape than that of softmax, and scores in another dtype than that of the operands or float32.
"""

import math
from typing import NamedTuple

from ...core.dtype import is_float
from ...core.node import is_constant
from ...core.tensor import wrap
from ...ops.attention import attention_weights
from ...ops.reductions import softmax
from ...primitives.attention import attention, attention_gradient, real_of
from ...primitives.base import number, rebuild
from ...primitives.contraction import dot_general
from ...primitives.control import stop_gradient
from ...primitives.elementwise import add, and_, convert_to, div, mul, not_, sub
from ...primitives.mathematical import exp
from ...primitives.reduction import reduce_max, reduce_sum
from ...primitives.shape import broadcast_in_dim, reshape_to, transpose
from ...transforms.derivative import backward
from ...transforms.graphs import graph_of
from .causal import causal_offset
from .products import Labelled, base_of, labels_seen, partner, products_with, result_labels
from .rewrite import Match
from .search import constant_value, occurrences, varying_nodes

FEWEST_SCORES, FEWEST_SCORES_CAUSAL = 128 * 128, 64 * 64  # of a head: fewer are left alone
LARGEST_SCALE = 1e6  # and its inverse: the kernels scale q, not the scores, which must not overflow or vanish before

# ---- softmax ---------------------------------------------------------------------------------------------


def _softmax_by_hand(x, constant_maximum):
    axes, kept = (x.ndim - 1,), (*x.shape[:-1], 1)
    largest = reshape_to(reduce_max(stop_gradient(x) if constant_maximum else x, axes=axes), kept)
    exponentials = exp(sub(x, largest))
    return div(exponentials, reshape_to(reduce_sum(exponentials, axes=axes), kept))


SOFTMAXES = (  # (over the last axis, whether it gives zeros where all scores are -inf)
    (softmax, False),
    (attention_weights, True),
    (lambda x: _softmax_by_hand(x, True), False),
    (lambda x: _softmax_by_hand(x, False), False),
)


class Rows(NamedTuple):
    """How scores become weights."""

    inside: set  # all nodes from scores to weights
    weights: object  # the node
    scores: object  # the node of the first product
    path: list  # nodes from there to the operand of softmax
    after: list  # nodes from softmax to the weights
    softmax: object  # one of SOFTMAXES
    scale: float
    fill: float  # what masked scores are
    masks: list  # (node, True if it is true where scores count)
    biases: list  # (node, factor)
    shape: tuple  # of the softmax: that of the scores, or with its queries split into groups and queries


_made = {}  # graphs that were traced and simplified, by what they were made of


def _kept(key, make):
    if key not in _made:
        if len(_made) >= 256:
            _made.clear()
        _made[key] = make()
    return _made[key]


def _softmax_at(node, which, program, simplify):
    """(operand of the softmax whose result is `node`, nodes of the softmax), or None."""
    function, aval = SOFTMAXES[which][0], node.aval
    graph = _kept((which, aval, simplify), lambda: simplify(graph_of("softmax", [aval], lambda x: [function(x)])))
    found = next(occurrences(graph, program, {graph.results[0]: node}), None)
    return found and (found[graph.inputs[0]], {found[n] for n in varying_nodes(graph)})


# ---- from weights down to the first product -----------------------------------------------------------------


def _is(node, *names):
    return node.spec.primitive.name in names


def _number(node):
    """The value of a 0-d constant, or None."""
    return float(constant_value(node)) if is_constant(node) and not node.aval.ndim else None


def _is_float_convert(node):
    return _is(node, "convert") and is_float(node.inputs[0].aval.dtype) and is_float(node.aval.dtype)


def _keeps_keys(node):
    """True for a reshape that leaves the last axis, the keys, as it is."""
    return _is(node, "reshape") and node.inputs[0].aval.shape[-1:] == node.aval.shape[-1:]


def _rows(weights, which, program, simplify):
    """Rows of the node `weights` for one of SOFTMAXES, or None."""
    after, node = [], weights
    while _is_float_convert(node) or _keeps_keys(node):
        after.append(node)
        (node,) = node.inputs
    if not _is(node, "div") or not node.aval.ndim or not is_float(node.aval.dtype) or is_constant(node.inputs[1]):
        return None
    found = _softmax_at(node, which, program, simplify)
    if found is None:
        return None
    operand, inside = found
    found = _read_scores(operand, [], 1.0, None, [], [], operand.aval.shape)
    if found is None:
        return None
    scores, path, scale, fill, masks, biases = found
    if not 1 / LARGEST_SCALE <= abs(scale) <= LARGEST_SCALE:
        return None
    inside |= {weights, scores, *path, *after}
    rows = Rows(
        inside,
        weights,
        scores,
        path[::-1],
        after[::-1],
        which,
        scale,
        -math.inf if fill is None else fill,
        masks,
        biases,
        node.aval.shape,
    )
    return rows if weights.aval.shape == scores.aval.shape else None


def _read_scores(node, path, scale, fill, masks, biases, shape):
    """(first product, nodes above it, scale, fill, masks, biases), or None. shape: of the softmax, and what masks fit."""
    if is_constant(node):
        return None
    inputs = node.inputs
    if _is(node, "dot_general"):
        return node, path, scale, fill, masks, biases
    path = [*path, node]
    if _is_float_convert(node) or _keeps_keys(node):
        return _read_scores(inputs[0], path, scale, fill, masks, biases, shape)
    if _is(node, "mul", "div"):
        for x, factor in ((inputs[0], inputs[1]), (inputs[1], inputs[0]))[: 1 if _is(node, "div") else 2]:
            value = _number(factor)
            if value is not None and math.isfinite(value) and value:
                value = 1 / value if _is(node, "div") else value
                return _read_scores(x, path, scale * value, fill, masks, biases, shape)
    if node.aval.shape != shape:
        return None
    if _is(node, "select"):
        which, x, y = inputs
        for value, inner, counts in ((_number(y), x, True), (_number(x), y, False)):
            if value is None or inner.aval.shape != node.aval.shape:
                continue
            value *= scale
            if math.isnan(value) or (fill is not None and value != fill) or (biases and value != -math.inf):
                return None
            return _read_scores(inner, path, scale, value, [*masks, (which, counts)], biases, shape)
    if _is(node, "add"):
        for x, bias in (inputs, inputs[::-1]):
            if x.aval.shape == node.aval.shape and bias.aval.ndim:
                found = _read_scores(x, path, scale, fill, masks, [*biases, (bias, scale)], shape)
                if found is not None:
                    return found
    return None


# ---- the forward part ---------------------------------------------------------------------------------------


class Found(NamedTuple):
    """Attention in a program. Labels of axes: "t" queries, "s" keys, "d" depth of q and k, "e" width of v."""

    rows: Rows
    q: Labelled
    k: Labelled
    v: Labelled
    out: Labelled


def _forward(out, side, which, program, simplify):
    """Found for the product `out` whose operand number `side` are the weights, or None."""
    weights = out.inputs[side]
    n = weights.aval.ndim - 2
    labels = (*range(n), "t", "s")
    v_labels = partner(out, side, labels, "s", "e") if n >= 0 else None
    rows = _rows(weights, which, program, simplify) if v_labels is not None else None
    if rows is None:
        return None
    scores = rows.scores
    contract, batch = scores.spec.params["contract"], scores.spec.params["batch"]
    operands = []
    if len(contract[0]) != 1 or len(batch[0]) != n or scores.aval.ndim != n + 2:
        return None
    for side_of, own in ((0, "t"), (1, "s")):
        found = [own] * (n + 2)
        found[contract[side_of][0]] = "d"
        for i, axis in enumerate(batch[side_of]):
            found[axis] = i
        operands.append(Labelled(*base_of(scores.inputs[side_of], tuple(found))))
    v = Labelled(*base_of(out.inputs[1 - side], v_labels))
    pair = (labels, v_labels) if side == 0 else (v_labels, labels)
    made = Labelled(out, result_labels(out, pair))
    dtypes = {operand.node.aval.dtype for operand in (*operands, v, made)}
    if len(dtypes) != 1 or not is_float(*dtypes) or not _can_be_grouped(rows):
        return None
    computed = {node.aval.dtype for node in (scores, *rows.path, *rows.after)}
    if not computed <= {*dtypes, *map(real_of, dtypes)}:
        return None
    return Found(rows, *operands, v, made)


def _can_be_grouped(rows):
    """True if softmax has the shape of the scores, or splits the queries: heads that share keys (`_groups`)."""
    scores, shape = rows.scores.aval.shape, rows.shape
    if shape == scores:
        return True
    groups = _groups(rows)
    return len(shape) == len(scores) >= 3 and shape[:-2] == (*scores[:-3], scores[-3] * groups) and groups > 1


def _groups(rows):
    return rows.scores.aval.shape[-2] // rows.shape[-2] if rows.shape[-2] else 0


# ---- the derivative -------------------------------------------------------------------------------------------


def _outer_operands(rows):
    """What the nodes from scores to weights read besides: masks and biases."""
    inside = {rows.scores, *rows.path}
    found = [source for node in rows.path for source in node.inputs if source not in inside and not is_constant(source)]
    return list(dict.fromkeys(found))


def _weights_of(rows, scores, outer):
    """The weights as Tensors, computed anew."""
    known = {rows.scores: scores, **outer}
    value = scores
    for node in rows.path:
        value = known[node] = rebuild(node, [known[s] if s in known else wrap(s) for s in node.inputs])
    value = SOFTMAXES[rows.softmax][0](value)
    for node in rows.after:
        value = rebuild(node, [value])
    return value


def _row_graph(rows, outer, simplify):
    """scores, masks and biases, the weights' cotangent -> weights, the cotangent of the scores; simplified."""
    avals = [rows.scores.aval, *(node.aval for node in outer), rows.weights.aval.update(weak_type=False)]

    def compute(scores, *rest):
        weights = _weights_of(rows, scores, dict(zip(outer, rest)))
        return [weights, *backward({weights._node: rest[-1]}, [scores._node])]

    place = {node: i for i, node in enumerate((rows.scores, *outer, *rows.path))}
    steps = [(node.spec, *(place.get(source, source) for source in node.inputs)) for node in rows.path]
    key = rows.softmax, *avals, *steps, *(node.spec for node in rows.after), simplify
    return _kept(key, lambda: simplify(graph_of("attention", avals, compute)))


def _with_derivative(found, program, simplify):
    """(inside, products of the derivative as (which, node, labels), the cotangent of the result as operand), or None.

    Which derivatives are wanted is seen from the products that read the weights and the cotangent of the scores.
    """
    rows = found.rows
    labels = (*range(rows.scores.aval.ndim - 2), "t", "s")
    inside = rows.inside | {found.out.node}
    made, ct = [], None
    for product, base, theirs, result in products_with(rows.weights, labels, "t", "e", program):
        if ct is None or ct == (base, theirs):
            ct = base, theirs
            made.append(("v", product, result))
            inside.add(product)
    if not _is_closed(inside, {found.out.node, *(node for _, node, _ in made)}, program):
        scores = _score_derivative(found, ct, program, simplify)
        if scores is None:
            return None
        more_inside, more_made, ct = scores
        inside |= more_inside
        made += more_made
        if not _is_closed(inside, {found.out.node, *(node for _, node, _ in made)}, program):
            return None
    return inside, made, ct and Labelled(*ct)


def _score_derivative(found, ct, program, simplify):
    """(nodes inside, products that give cotangents of q and k, cotangent of the result), or None."""
    rows = found.rows
    labels = (*range(rows.scores.aval.ndim - 2), "t", "s")
    outer = _outer_operands(rows)
    graph = _row_graph(rows, outer, simplify)
    known = {graph.results[0]: rows.weights, **dict(zip(graph.inputs, [rows.scores, *outer]))}
    for whole in occurrences(graph, program, known):
        ct_weights, ct_scores = whole.get(graph.inputs[-1]), whole.get(graph.results[1])
        result_ct = ct_weights and ct_scores and _cotangent_of_result(ct_weights, found, labels)
        if result_ct is None or (ct is not None and ct != result_ct):
            continue
        inside, made = {whole[node] for node in varying_nodes(graph)} | {ct_weights}, []
        sources = [ct_scores, *(user for user in program.users[ct_scores] if _is_float_convert(user))]
        for source in sources:
            inside.add(source)
            for name, operand, contracted, free in (("q", found.k, "s", "d"), ("k", found.q, "t", "d")):
                for product, base, theirs, result in products_with(source, labels, contracted, free, program):
                    if (base, theirs) == operand:
                        made.append((name, product, result))
                        inside.add(product)
        return inside, made, result_ct
    return None


def _cotangent_of_result(product, found, labels):
    """(base, labels) of the other operand if `product` is that of the result's cotangent and v, else None."""
    if not _is(product, "dot_general"):
        return None
    for side in (0, 1):
        v_labels = labels_seen(product.inputs[side], found.v)
        theirs = v_labels and partner(product, side, v_labels, "e", "t")
        if theirs and result_labels(product, (v_labels, theirs) if side == 0 else (theirs, v_labels)) == labels:
            return base_of(product.inputs[1 - side], theirs)
    return None


def _is_closed(inside, results, program):
    return all(program.used_only_by(node, inside) for node in inside - results)


# ---- the replacement --------------------------------------------------------------------------------------------


def _arranged(x, labels, wanted):
    """x, whose axes are labelled, with its axes as wanted."""
    order = tuple(labels.index(label) for label in wanted)
    return x if order == tuple(range(len(order))) else transpose(x, permutation=order)


def _replacement(found, made, ct):
    """(operand nodes, graph) that computes the result and the products `made`."""
    rows = found.rows
    n = rows.scores.aval.ndim - 2
    lead = tuple(range(n))
    groups = _groups(rows) if rows.shape != rows.scores.aval.shape else 1
    causal, masks = _split_masks(rows.masks)
    nodes = [found.q.node, found.k.node, found.v.node, *(m for m, _ in masks), *(b for b, _ in rows.biases)]
    nodes += [ct.node] if made else []

    def split(x):  # queries of several heads that share keys
        return reshape_to(x, (*x.shape[:n], groups, x.shape[n] // groups, x.shape[-1])) if groups > 1 else x

    def repeated(x):
        shape = (*x.shape[:n], groups, *x.shape[n:])
        return broadcast_in_dim(x, shape=shape, axes=(*lead, n + 1, n + 2)) if groups > 1 else x

    def joined(x):
        return reshape_to(x, (*x.shape[:n], groups * x.shape[n + 1], x.shape[-1])) if groups > 1 else x

    def summed(x):
        return reduce_sum(x, axes=(n,)) if groups > 1 else x

    def over_scores(x):  # masks and biases have axes from the right
        shape = (1,) * (n + 2 - x.ndim) + x.shape
        if groups > 1:
            heads = (1, 1) if shape[n - 1] == 1 else (shape[n - 1] // groups, groups)
            shape = (*shape[: n - 1], *heads, *shape[n:])
        return reshape_to(x, shape)

    def compute(q, k, v, *rest):
        real = real_of(q.dtype)
        q = split(_arranged(q, found.q.labels, (*lead, "t", "d")))
        k = repeated(_arranged(k, found.k.labels, (*lead, "s", "d")))
        v = repeated(_arranged(v, found.v.labels, (*lead, "s", "e")))
        extra = []
        if masks:
            counts = [over_scores(m if yes else not_(m)) for m, (_, yes) in zip(rest, masks)]
            extra.append(_joined(and_, counts))
        if rows.biases:
            terms = [
                mul(convert_to(b, real), number(factor, convert_to(b, real)))
                for b, (_, factor) in zip(rest[len(masks) :], rows.biases)
            ]
            extra.append(over_scores(_joined(add, terms)))
        params = {
            "scale": rows.scale, "fill": rows.fill, "causal": causal, "zeros": SOFTMAXES[rows.softmax][1],
            "mask": bool(masks), "bias": bool(rows.biases),
        }  # fmt: skip
        results = attention(q, k, v, *extra, **params)
        outs = [_arranged(joined(results[0]), (*lead, "t", "e"), found.out.labels)]
        if made:
            given = split(_arranged(rest[-1], ct.labels, (*lead, "t", "e")))
            dq, dk, dv = attention_gradient(q, k, v, *extra, *results, given, **params)
            cotangents = {
                "q": (joined(dq), (*lead, "t", "d")),
                "k": (summed(dk), (*lead, "s", "d")),
                "v": (summed(dv), (*lead, "s", "e")),
            }
            outs += [_arranged(*cotangents[which], labels) for which, _, labels in made]
        return outs

    return nodes, graph_of("attention", [node.aval for node in nodes], compute)


def _joined(operation, terms):
    total = terms[0]
    for term in terms[1:]:
        total = operation(total, term)
    return total


def _split_masks(masks):
    """(offset of causality, or None; the other masks)"""
    causal, others = None, []
    for node, counts in masks:
        offset = causal_offset(node, counts)
        if offset is None:
            others.append((node, counts))
        else:
            causal = offset if causal is None else min(causal, offset)
    return causal, others


# ---- the pattern ------------------------------------------------------------------------------------------------


def _is_worthwhile(found):
    """Few scores are faster in memory: kernels for them are cheap to start (measured)."""
    *lead, queries, keys = found.rows.scores.aval.shape
    causal = any(causal_offset(node, counts) is not None for node, counts in found.rows.masks)
    sizes = *lead, queries, keys, found.q.node.aval.size, found.v.node.aval.size
    return all(sizes) and queries * keys >= (FEWEST_SCORES_CAUSAL if causal else FEWEST_SCORES)


class Attention:
    """The pattern; see the module's text. any_size: also where it is no faster, for what names the operation only."""

    name = "attention"

    def __init__(self, any_size=False):
        self.any_size = any_size

    def __repr__(self):
        return "<pattern attention>"

    def __call__(self, program, simplify):
        if dot_general not in program.by_primitive or exp not in program.by_primitive:
            return
        for out in program.by_primitive[dot_general]:
            match = self._match(out, program, simplify)
            if match is not None:
                yield match

    def _match(self, out, program, simplify):
        for side in (0, 1):
            for which in range(len(SOFTMAXES)):
                found = _forward(out, side, which, program, simplify)
                if found is None or not (self.any_size or _is_worthwhile(found)):
                    continue
                whole = _with_derivative(found, program, simplify)
                if whole is not None:
                    inside, made, ct = whole
                    nodes, graph = _replacement(found, made, ct)
                    return Match(self.name, [out, *(node for _, node, _ in made)], nodes, inside, graph)
        return None
