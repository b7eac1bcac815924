"""Attention and its derivative as kernels that never hold the scores of all queries and keys.

The compiler puts them in the place of products and softmax (compiler/patterns/attention.py). What they compute is written
below as a composition of other primitives, too: derivatives other than the first reverse one are derived from that.
"""

import math
import struct

import numpy as np

from ..core.dtype import dt, is_float
from ..core.errors import DtypeError, ShapeError
from ..core.node import make_aval
from ..transforms import graphs
from ..transforms.derivative import backward
from .base import number, primitive
from .contraction import dot_general
from .elementwise import add, convert_to, div, eq, le, mul, select, sub
from .held import given, placed
from .mathematical import exp, is_finite
from .reduction import reduce_max, reduce_sum
from .shape import add_batch_axis, expand_leading, iota, reshape

# ---- operands and parameters ---------------------------------------------------------------------------
#
# scale, fill: floats; causal: None, or the offset such that query i sees the keys up to i + offset; zeros: a query whose
# exponentials add up to 0 gets zeros, not nan; mask, bias: whether there is such an operand, behind v.


def real_of(dtype):
    """What scores are computed in."""
    return dt.float64 if dtype == dt.float64 else dt.float32


def _check(name, q, k, v, rest, mask, bias, n_more=0):
    if len(rest) != mask + bias + n_more:
        raise ShapeError(f"{name}: takes {3 + mask + bias + n_more} operands, got {3 + len(rest)}.")
    if not is_float(q.dtype) or k.dtype != q.dtype or v.dtype != q.dtype:
        raise DtypeError(
            f"{name}: q {q}, k {k} and v {v} must have one floating dtype.", fix="convert: x.astype(dtype)."
        )
    fits = q.ndim == k.ndim == v.ndim >= 2 and q.shape[:-2] == k.shape[:-2] == v.shape[:-2]
    if not fits or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ShapeError(f"{name}: q {q}, k {k} and v {v} do not fit.", fix="q [.., L, D], k [.., S, D], v [.., S, E].")
    scores = (*q.shape[:-1], k.shape[-2])
    for x, what, dtype in zip(rest, _kinds(mask, bias), _dtypes(mask, bias, q.dtype)):
        if x.ndim != len(scores) or any(n not in (1, m) for n, m in zip(x.shape, scores)):
            raise ShapeError(f"{name}: the {what} {x} does not broadcast to the scores, {list(scores)}.")
        if x.dtype != dtype:
            raise DtypeError(f"{name}: the {what} is {x}, not {dtype}.", fix="convert it: x.astype(dtype).")


def _kinds(mask, bias):
    return ["mask"] * mask + ["bias"] * bias


def _dtypes(mask, bias, dtype):
    return [dt.bool_] * mask + [real_of(dtype)] * bias


def _flops(q, k, causal, columns):
    """Of products with `columns` elements for each score, of which hidden ones are not computed."""
    *lead, queries, _ = q.shape
    keys = k.shape[-2]
    scores = queries * keys if causal is None else int(np.clip(np.arange(queries) + causal + 1, 0, keys).sum())
    return 2 * math.prod(lead) * scores * columns


def _numbers(scale, fill, causal, zeros, mask, bias):
    """Parameters of the kernels."""
    bits = struct.unpack("<2q", struct.pack("<2d", scale, fill))
    return (*bits, causal is not None, causal or 0, zeros, mask, bias)


def _batched(inputs, batched, mask, bias):
    """Operands with one more leading axis each; masks and biases may have size 1 there."""
    size = next(x.shape[0] for x, b in zip(inputs, batched) if b)
    broadcasts = range(3, 3 + mask + bias)
    return [
        x if b else expand_leading(x, 0, 1) if i in broadcasts else add_batch_axis(x, size)
        for i, (x, b) in enumerate(zip(inputs, batched))
    ]


# ---- what the kernels compute, composed of other primitives --------------------------------------------


def _product(x, y, x_axis, y_axis):
    """Sums over one of the last two axes of each; the others are leading."""
    lead = tuple(range(x.ndim - 2))
    contract = (x.ndim + x_axis,), (y.ndim + y_axis,)
    return dot_general(x, y, contract=contract, batch=(lead, lead), dtype=x.dtype)


def _column(x):
    return reshape(x, shape=(*x.shape, 1))


def _masks(scores, rest, causal, mask):
    """Where scores count: a list of bool tensors that broadcast."""
    found = list(rest[:1]) if mask else []
    if causal is not None:
        shape = scores.shape[-2:]
        query, key = (iota(shape=shape, dtype=dt.int32, axis=axis, device=scores.device) for axis in (0, 1))
        found.append(le(key, add(query, number(causal, query))))
    return found


def _scores(q, k, rest, scale, fill, causal, mask, bias):
    """(scores, masks)"""
    scores = mul(_product(q, k, -1, -1), number(scale, q))
    if bias:
        scores = add(scores, rest[mask])
    masks = _masks(scores, rest, causal, mask)
    for m in masks:
        scores = select(m, scores, number(fill, scores))
    return scores, masks


def _compose(q, k, v, *rest, scale, fill, causal, zeros, mask, bias):
    dtype, real = q.dtype, real_of(q.dtype)
    q, k, v = (convert_to(x, real) for x in (q, k, v))
    scores, _ = _scores(q, k, rest, scale, fill, causal, mask, bias)
    axes = (scores.ndim - 1,)
    maximum = reduce_max(scores, axes=axes)
    maximum = select(is_finite(maximum), maximum, number(0, maximum))
    exponentials = exp(sub(scores, _column(maximum)))
    total = reduce_sum(exponentials, axes=axes)
    if zeros:
        total = select(eq(total, number(0, total)), number(1, total), total)
    out = _product(div(exponentials, _column(total)), v, -1, -2)
    return convert_to(out, dtype), maximum, total


def _compose_gradient(q, k, v, *rest, scale, fill, causal, zeros, mask, bias):
    dtype, real = q.dtype, real_of(q.dtype)
    *rest, out, maximum, total, ct = rest
    q, k, v, out, ct = (convert_to(x, real) for x in (q, k, v, out, ct))
    scores, masks = _scores(q, k, rest, scale, fill, causal, mask, bias)
    weights = div(exp(sub(scores, _column(maximum))), _column(total))
    mean = reduce_sum(mul(out, ct), axes=(out.ndim - 1,))
    ct_scores = mul(weights, sub(_product(ct, v, -1, -1), _column(mean)))
    for m in masks:
        ct_scores = select(m, ct_scores, number(0, ct_scores))
    ct_scores = mul(ct_scores, number(scale, ct_scores))
    found = _product(ct_scores, k, -1, -2), _product(ct_scores, q, -2, -2), _product(weights, ct, -2, -2)
    return tuple(convert_to(x, dtype) for x in found)


def _jvp_of(compose, primals, tangents, params):
    """The tangents of a composition's results; its values are computed beside them."""
    active = tuple(t is not None for t in tangents)
    graph = graphs.graph_of("attention", [x._node.aval for x in primals], lambda *x: compose(*x, **params))
    parts = graphs.tangent_graph(graph, active)
    found = graphs.replay(parts.graph, [*primals, *given(tangents)])
    return placed(parts.nonzero, found[len(parts.nonzero) :])


# ---- primitives ----------------------------------------------------------------------------------------


@primitive
class attention:
    """softmax(scale * q k^T + bias) v over the keys, each query's largest score and its sum of exponentials

    q: [..., L, D]; k: [..., S, D]; v: [..., S, E]; then, if so said, a mask (bool) and a bias (float32, of float64 float64),
    which broadcast to [..., L, S]. Scores are `fill` where the mask is false and, if causal is a number, for keys
    beyond query + causal. Results: [..., L, E], and twice [..., L], in float32 or float64: the largest score, 0 where it is
    infinite, and the sum of exp(score - largest), if `zeros` 1 where it is 0.
    """

    def infer(q, k, v, *rest, scale, fill, causal, zeros, mask, bias):
        _check("attention", q, k, v, rest, mask, bias)
        row = make_aval(q.shape[:-1], real_of(q.dtype), q.device)
        return make_aval((*q.shape[:-1], v.shape[-1]), q.dtype, q.device), row, row

    def jvp(primals, tangents, out, **params):
        return _jvp_of(_compose, primals, tangents, params)

    def vjp(ct, wanted, primals, out, **params):
        from .base import outputs

        n_rest = params["mask"] + params["bias"]
        if ct[1] is None and ct[2] is None and not (params["bias"] and wanted[-1]):
            found = attention_gradient(*primals, *outputs(out._node), ct[0], **params)
            return [*found, *[None] * n_rest]
        return _vjp_of_composition(ct, wanted, primals, params)

    def batch(inputs, batched, **params):
        return attention(*_batched(inputs, batched, params["mask"], params["bias"]), **params)

    def lower(*avals, **params):
        return "attention", _numbers(**params)

    def flops(q, k, v, *rest, causal, **params):
        return _flops(q, k, causal, q.shape[-1] + v.shape[-1])

    def samples(rng):
        yield from _samples(rng)


@primitive
class attention_gradient:
    """The cotangents of q, k and v, for what attention took (mask and bias, too), its three results, and the cotangent of the first

    Parameters as for attention.
    """

    def infer(q, k, v, *rest, scale, fill, causal, zeros, mask, bias):
        _check("attention_gradient", q, k, v, rest, mask, bias, n_more=4)
        out, maximum, total, ct = rest[-4:]
        shape, real = (*q.shape[:-1], v.shape[-1]), real_of(q.dtype)
        for x, expected, dtype in (out, shape, q.dtype), (maximum, shape[:-1], real), (total, shape[:-1], real), (ct, shape, q.dtype):  # fmt: skip
            if x.shape != expected or x.dtype != dtype:
                raise ShapeError(f"attention_gradient: a result of attention is {x}, not {dtype}{list(expected)}.")
        return tuple(make_aval(x.shape, x.dtype, x.device) for x in (q, k, v))

    def jvp(primals, tangents, out, **params):
        return _jvp_of(_compose_gradient, primals, tangents, params)

    def batch(inputs, batched, **params):
        return attention_gradient(*_batched(inputs, batched, params["mask"], params["bias"]), **params)

    def lower(*avals, **params):
        return "attention_gradient", _numbers(**params)

    def flops(q, k, v, *rest, causal, **params):
        return _flops(q, k, causal, 3 * q.shape[-1] + 2 * v.shape[-1])

    def samples(rng):
        for operands, params in _samples(rng):
            q, v = operands[0], operands[2]
            shape = (*q.shape[:-1], v.shape[-1])
            f = lambda *shape: rng.normal(size=shape)
            results = f(*shape), f(*shape[:-1]), 1 + rng.uniform(size=shape[:-1]), f(*shape)
            yield (*operands, *results), params


def _vjp_of_composition(ct, wanted, primals, params):
    """Cotangents of all operands for cotangents of all results."""
    n = len(primals)
    sources = [i for i, w in enumerate(wanted) if w]

    def both(*tensors):
        outs = _compose(*tensors[:n], **params)
        cts = iter(tensors[n:])
        given_cts = {x._node: next(cts) for x, c in zip(outs, ct) if c is not None}
        found = backward(given_cts, [tensors[i]._node for i in sources])
        present.extend(c is not None for c in found)
        return [c for c in found if c is not None]

    present = []
    operands = [*primals, *given(ct)]
    graph = graphs.graph_of("attention", [x._node.aval for x in operands], both)
    found = iter(placed(present, graphs.replay(graph, operands)))
    return [next(found) if w else None for w in wanted]


def _samples(rng):
    f = lambda *shape: rng.normal(size=shape)
    plain = {"scale": 0.5, "fill": -math.inf, "causal": None, "zeros": False, "mask": False, "bias": False}
    yield (f(2, 3, 4), f(2, 5, 4), f(2, 5, 3)), plain
    yield (f(6, 3), f(4, 3), f(4, 2)), plain | {"causal": 0, "fill": -1e9}
    mask = np.ones((1, 3, 5), bool)
    mask[0, :, 1:3] = False
    yield (f(2, 3, 2), f(2, 5, 2), f(2, 5, 2), mask), plain | {"mask": True, "fill": -1.5}
    yield (f(2, 3), f(4, 3), f(4, 2), f(1, 4)), plain | {"bias": True}
    yield (f(4, 2), f(5, 2), f(5, 2), np.ones((4, 1), bool), f(4, 5)), plain | {"mask": True, "bias": True, "causal": 1}
    yield (f(2, 2), f(3, 2), f(3, 1)), plain | {"causal": -1, "zeros": True}  # the first query sees no key
    yield (f(2, 1, 2), f(2, 1, 2), f(2, 1, 3)), plain
