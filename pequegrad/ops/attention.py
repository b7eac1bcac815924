"""Scaled dot-product attention (Vaswani et al., 2017)."""

import math

import numpy as np

from ..core.dtype import dt, is_float
from ..core.errors import ArgumentError, DtypeError, ShapeError
from ..primitives import elementwise as e
from ..primitives.base import number
from ..primitives.contraction import dot_general
from ..primitives.mathematical import exp
from ..primitives.reduction import reduce_sum
from ..primitives.shape import iota, reshape_to
from .arithmetic import promoted_floats
from .creation import as_tensor
from .nn import dropout
from .reductions import _finite_maximum, kept_shape
from .shape import broadcast_to

_NAME = "scaled_dot_product_attention"


def scaled_dot_product_attention(q, k, v, mask=None, is_causal=False, scale=None, dropout_p=0.0):
    """softmax(q k^T * scale + mask) v: each query's mean of the values, weighed by how well the keys fit.

    q: [..., heads, L, D]; k: [..., kv_heads, S, D]; v: [..., kv_heads, S, E]; the result: [..., heads, L, E]. Leading
    axes broadcast, and heads may be a multiple of kv_heads: neighbouring queries then share a key (Ainslie et al., 2023).
    mask: broadcasts to [..., heads, L, S]; bool (True: attend) or floats that are added to the scores.
    is_causal: query i attends to the keys 0 to i only, in addition to the mask. scale: by default 1 / sqrt(D).
    dropout_p: the probability of dropping a weight. 16-bit scores and weights are computed in float32.

    A query that may attend to no key gets zeros, as in PyTorch (in JAX: a mean of all values), with zero derivatives.
    """
    q, k, v = promoted_floats(q, k, v)
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ShapeError(
            f"{_NAME}: q {q._node.aval}, k {k._node.aval} and v {v._node.aval} do not fit.",
            fix="shapes are q [..., L, D], k [..., S, D], v [..., S, E].",
        )
    if not 0 <= dropout_p < 1:
        raise ArgumentError(f"{_NAME}: dropout_p = {dropout_p} is not in [0, 1).")
    length, keys, depth = q.shape[-2], k.shape[-2], q.shape[-1]
    lead, shared, group = _leading_axes(q, k, v)
    # queries that share a key are rows of one matrix: no key is copied
    q = reshape_to(broadcast_to(q, (*lead, length, depth)), (*shared, group * length, depth))
    k, v = broadcast_to(k, (*shared, keys, depth)), broadcast_to(v, (*shared, keys, v.shape[-1]))
    batch = tuple(range(len(shared)))
    last = len(shared) + 1
    wide = dt.float32 if q.dtype.itemsize == 2 else q.dtype
    scores = dot_general(q, k, contract=((last,), (last,)), batch=(batch, batch), dtype=wide)
    scale = (1 / math.sqrt(depth) if depth else 1.0) if scale is None else float(scale)
    scores = reshape_to(e.mul(scores, scale), (*lead, length, keys))
    weights = attention_weights(_masked(scores, mask, is_causal))
    if dropout_p:
        weights = dropout(weights, dropout_p)
    weights = reshape_to(e.convert_to(weights, q.dtype), (*shared, group * length, keys))
    out = dot_general(weights, v, contract=((last,), (last - 1,)), batch=(batch, batch), dtype=q.dtype)
    return reshape_to(out, (*lead, length, v.shape[-1]))


def _leading_axes(q, k, v):
    """(the leading axes of the result, those of the keys, how many heads share a key)."""
    leads = [x.shape[:-2] for x in (q, k, v)]
    heads = [lead[-1] if lead else 1 for lead in leads]
    kv_heads = max(heads[1:])
    group = 1
    if heads[0] > kv_heads > 1 and set(heads[1:]) <= {1, kv_heads}:
        if heads[0] % kv_heads:
            raise ShapeError(
                f"{_NAME}: {heads[0]} heads of q do not divide among {kv_heads} heads of k and v.",
                fix="the heads of q are a multiple of those of k and v.",
            )
        group = heads[0] // kv_heads
        leads[0] = (*leads[0][:-1], kv_heads)
    try:
        shared = np.broadcast_shapes(*leads)
    except ValueError:
        raise ShapeError(
            f"{_NAME}: the leading axes of q {q._node.aval}, k {k._node.aval} and v {v._node.aval} do not broadcast.",
            fix="sizes must be equal or 1.",
        ) from None
    return (*shared[:-1], shared[-1] * group) if group > 1 else shared, shared, group


def _masked(scores, mask, is_causal):
    """The scores, -inf where a query must not attend."""
    never = number(-math.inf, scores)
    if mask is not None:
        mask = as_tensor(mask, scores.device)
        try:
            mask = broadcast_to(mask, scores.shape)
        except ShapeError:
            raise ShapeError(
                f"{_NAME}: the mask {mask._node.aval} does not broadcast to the scores, {list(scores.shape)}.",
                fix="a mask has shape [..., L, S].",
            ) from None
        if mask.dtype.kind == "b":
            scores = e.select(mask, scores, never)
        elif is_float(mask.dtype):
            scores = e.add(scores, e.convert_to(mask, scores.dtype))
        else:
            raise DtypeError(f"{_NAME}: the mask is {mask._node.aval}.", fix="use bool, or floats to be added.")
    if is_causal:
        scores = e.select(causal_mask(*scores.shape[-2:], scores.device), scores, never)
    return scores


def causal_mask(length, keys, device=None):
    """bool [length, keys]: True where query i may attend to key j, j <= i."""
    query, key = (iota(shape=(length, keys), dtype=dt.int32, axis=axis, device=device) for axis in (0, 1))
    return e.le(key, query)


def attention_weights(scores):
    """softmax over the last axis; zeros where all scores are -inf."""
    axes = (scores.ndim - 1,)
    if not scores.shape[-1]:
        return scores
    exponentials = exp(e.sub(scores, _finite_maximum(scores, axes)))
    total = reduce_sum(exponentials, axes=axes)
    total = e.select(e.eq(total, 0), number(1, total), total)
    return e.div(exponentials, reshape_to(total, kept_shape(scores.shape, axes)))


__all__ = ["scaled_dot_product_attention"]
