"""Attention with PyTorch's arguments."""

import math

from ...core.dtype import dt, is_float
from ...core.errors import DtypeError, ShapeError
from ...ops import attention as ops
from ...ops.arithmetic import logical_not, promoted_floats, where
from ...ops.creation import as_tensor, full
from ...ops.linalg import matmul
from ...ops.nn import dropout
from ...ops.reductions import mean
from ...ops.shape import broadcast_to, concatenate, expand_dims, pad, permute, reshape, split, swapaxes
from .linear import linear

_NAME = "multi_head_attention"


def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """softmax(query key^T scale + mask) value; shapes and masks (True: attend) as in pg.scaled_dot_product_attention.

    enable_gqa: query may have a multiple of the heads of key and value. A query that may attend to nothing gives zeros.

    >>> scaled_dot_product_attention(*[pg.ones((2, 4, 8))] * 3, is_causal=True).shape
    (2, 4, 8)
    """
    heads = [x.shape[-3] if x.ndim > 2 else 1 for x in map(as_tensor, (query, key))]
    if not enable_gqa and heads[0] != heads[1] and 1 not in heads:
        raise ShapeError(
            f"scaled_dot_product_attention: {heads[0]} heads of query and {heads[1]} of key.",
            fix="pass enable_gqa=True if queries are to share keys.",
        )
    return ops.scaled_dot_product_attention(query, key, value, attn_mask, is_causal, scale, dropout_p)


def multi_head_attention(
    query, key, value, num_heads, projections, out_proj, *, bias_k=None, bias_v=None, add_zero_attn=False, dropout_p=0.0,
    key_padding_mask=None, attn_mask=None, is_causal=False, need_weights=True, average_attn_weights=True, batch_first=False,
):  # fmt: skip
    """out_proj(attention of num_heads heads between projected queries, keys and values) (Vaswani et al., 2017).

    query: [L, N, E]; key, value: [S, N, kdim], [S, N, vdim]; with batch_first N comes first; or without N.
    projections: (weight, bias) of the joint projection [3 E, E] if there is one, or three such pairs; out_proj:
    (weight, bias). bias_k, bias_v: [1, 1, E], one more key and value; add_zero_attn: one more of zeros.
    key_padding_mask: [N, S]; attn_mask: [L, S] or [N * num_heads, L, S]: bool (True: do not attend) or floats to be added;
    is_causal: query i does not attend to keys behind i, in addition to the masks.
    Returns (result like query, weights [N, L, S] or None; [N, heads, L, S] unless average_attn_weights). A query that may
    attend to nothing gets zeros.

    >>> x, w = pg.ones((5, 2, 8)), pg.ones((8, 8))
    >>> out, weights = multi_head_attention(x, x, x, 2, [(w, None)] * 3, (w, None))
    >>> out.shape, weights.shape
    ((5, 2, 8), (2, 5, 5))
    """
    device = out_proj[0].device
    query, key, value, had_batch = _with_batch(query, key, value, batch_first, device)
    q, k, v = _projected(query, key, value, projections)
    batch_axis = 0 if batch_first else 1
    n, length, keys = query.shape[batch_axis], query.shape[1 - batch_axis], key.shape[1 - batch_axis]
    to_heads = (0, 2, 1, 3) if batch_first else (1, 2, 0, 3)
    q, k, v = (permute(reshape(x, (*x.shape[:2], num_heads, x.shape[-1] // num_heads)), to_heads) for x in (q, k, v))
    mask = _mask(key_padding_mask, attn_mask, n, num_heads, length, keys, device)
    if is_causal and (bias_k is not None or add_zero_attn):
        mask, is_causal = _both(mask, ops.causal_mask(length, keys, device)), False
    if bias_k is not None:
        k, v = (_with_row(x, _split_heads(b, num_heads)) for x, b in ((k, bias_k), (v, bias_v)))
    if add_zero_attn:
        k, v = (_with_row(x, full((), 0.0, x.dtype, x.device)) for x in (k, v))
    mask = _padded(mask, k.shape[-2] - keys)
    if need_weights:
        out, weights = _attention_and_weights(q, k, v, mask, is_causal, dropout_p)
    else:
        out, weights = ops.scaled_dot_product_attention(q, k, v, mask, is_causal, None, dropout_p), None
    out = permute(out, (0, 2, 1, 3) if batch_first else (2, 0, 1, 3))
    out = linear(reshape(out, (*out.shape[:2], out.shape[2] * out.shape[3])), *out_proj)
    if weights is not None and average_attn_weights:
        weights = mean(weights, 1)
    if had_batch:
        return out, weights
    return out[0] if batch_first else out[:, 0], None if weights is None else weights[0]


def _with_batch(query, key, value, batch_first, device):
    """The three with a batch axis, and whether they had one. Equal operands stay the same object."""
    query, key, value = _alike(lambda x: as_tensor(x, device), query, key, value)
    if {query.ndim, key.ndim, value.ndim} not in ({2}, {3}):
        raise ShapeError(
            f"{_NAME}: query {query._node.aval}, key {key._node.aval} and value {value._node.aval} must all have 3 axes, "
            "or 2 without a batch."
        )
    had_batch = query.ndim == 3
    if not had_batch:
        query, key, value = _alike(lambda x: expand_dims(x, 0 if batch_first else 1), query, key, value)
    sizes = {x.shape[0 if batch_first else 1] for x in (query, key, value)}
    if len(sizes) > 1 or key.shape[:2] != value.shape[:2]:
        raise ShapeError(
            f"{_NAME}: query {query._node.aval}, key {key._node.aval} and value {value._node.aval} do not fit.",
            fix="batches are equal, and there are as many keys as values; see batch_first.",
        )
    return query, key, value, had_batch


def _alike(f, *xs):
    """f of each, once of those that are the same object."""
    done = {}
    return [done[id(x)] if id(x) in done else done.setdefault(id(x), f(x)) for x in xs]


def _projected(query, key, value, projections):
    """Queries, keys and values in the space of the heads; one product if they are projected from the same tensor."""
    if len(projections) == 3:
        return [linear(x, *pair) for x, pair in zip((query, key, value), projections)]
    weight, bias = projections
    if query is key is value:
        return split(linear(query, weight, bias), 3, -1)
    biases = (None,) * 3 if bias is None else split(bias, 3)
    if key is value:
        rows = weight.shape[0] // 3
        k, v = split(linear(key, weight[rows:], None if bias is None else bias[rows:]), 2, -1)
        return linear(query, weight[:rows], biases[0]), k, v
    return [linear(x, w, b) for x, w, b in zip((query, key, value), split(weight, 3), biases)]


def _split_heads(b, num_heads):
    """[1, 1, E] as [1, heads, 1, E / heads]."""
    return reshape(b, (1, num_heads, 1, b.size // num_heads))


def _with_row(x, row):
    """x [N, heads, S, D] with one more row behind the others."""
    row = broadcast_to(row, (*x.shape[:2], 1, x.shape[3]))
    return concatenate(promoted_floats(x, row), 2)


def _mask(key_padding_mask, attn_mask, n, heads, length, keys, device):
    """One mask that broadcasts to [N, heads, L, S]: bool (True: attend) or floats; None if there is none."""
    mask = None
    if attn_mask is not None:
        attn_mask = _allowed("attn_mask", attn_mask, device)
        if attn_mask.shape not in ((length, keys), (n * heads, length, keys)):
            raise ShapeError(
                f"{_NAME}: attn_mask {attn_mask._node.aval} must be {[length, keys]} or {[n * heads, length, keys]}."
            )
        mask = attn_mask if attn_mask.ndim == 2 else reshape(attn_mask, (n, heads, length, keys))
    if key_padding_mask is not None:
        padding = _allowed("key_padding_mask", key_padding_mask, device)
        if padding.shape not in ((n, keys), (keys,) if n == 1 else (n, keys)):
            raise ShapeError(f"{_NAME}: key_padding_mask {padding._node.aval} must be {[n, keys]}.")
        mask = _both(mask, reshape(padding, (n, 1, 1, keys)))
    return mask


def _allowed(what, mask, device):
    """A mask of PyTorch's layers as one of attention: True means attend."""
    mask = as_tensor(mask, device)
    if mask.dtype.kind == "b":
        return logical_not(mask)
    if not is_float(mask.dtype):
        raise DtypeError(f"{_NAME}: {what} is {mask._node.aval}.", fix="use bool (True: do not attend), or floats.")
    return mask


def _both(a, b):
    """Two masks as one; None stands for no mask."""
    if a is None or b is None:
        return b if a is None else a
    if a.dtype.kind == b.dtype.kind == "b":
        return a & b
    a, b = (where(x, 0.0, -math.inf) if x.dtype.kind == "b" else x for x in (a, b))
    return a + b


def _padded(mask, count):
    """A mask that allows `count` keys more."""
    if mask is None or not count:
        return mask
    widths = [(0, 0)] * (mask.ndim - 1) + [(0, count)]
    return pad(mask, widths, mask.dtype.kind == "b")


def _attention_and_weights(q, k, v, mask, is_causal, dropout_p):
    """(attention, its weights [N, heads, L, S]); 16-bit scores are computed in float32."""
    q, k, v = promoted_floats(q, k, v)
    wide = dt.float32 if q.dtype.itemsize == 2 else q.dtype
    scores = matmul(q.astype(wide) * (1 / math.sqrt(q.shape[-1])), swapaxes(k, -1, -2).astype(wide))
    weights = ops.attention_weights(ops._masked(scores, mask, is_causal)).astype(q.dtype)
    if dropout_p:
        weights = dropout(weights, dropout_p)
    return matmul(weights, v), weights
