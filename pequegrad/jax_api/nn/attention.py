"""dot_product_attention."""

import math

import numpy as np

from ...core.dtype import dt
from ...ops.arithmetic import add
from ...ops.reductions import kept_shape
from ...ops.shape import broadcast_to, expand_dims, swapaxes
from ...primitives import elementwise as e
from ...primitives.base import number
from ...primitives.contraction import dot_general
from ...primitives.control import stop_gradient
from ...primitives.shape import iota, reshape_to
from ..convert import as_array
from .reductions import logsumexp, softmax


def dot_product_attention(query, key, value, bias=None, mask=None, *, scale=None, is_causal=False, query_seq_lengths=None,
                          key_value_seq_lengths=None, local_window_size=None, implementation=None, return_residual=False):  # fmt: skip
    """softmax(query key^T * scale + bias) value, where queries may attend: each query's mean of the values.

    query: [B, T, N, H]; key, value: [B, S, K, H] (all without B for one sequence); the result: as query. N is a multiple
    of K: neighbouring heads of queries then share one of keys. bias, mask (bool, True: attend): broadcast to [B, N, T, S].
    scale: by default 1 / sqrt(H). is_causal: query i attends to the keys 0 to i. query_seq_lengths, key_value_seq_lengths
    (int32[B]): what is behind them counts for nothing; results behind them are 0. local_window_size: how many keys before and
    after its own position a query attends to, one number or two. return_residual: (result, log of the sums in softmax, [B, T, N]).
    """
    shape = np.shape(query)
    query, key, value = (_four_axes(x) for x in (query, key, value))
    bias, mask = (None if x is None else _four_axes(x) for x in (bias, mask))
    lengths = [None if n is None else as_array(n) for n in (query_seq_lengths, key_value_seq_lengths)]
    _check(query, key, value, bias, mask, lengths)
    if implementation not in (None, "xla"):
        if implementation == "cudnn":
            raise NotImplementedError(
                "dot_product_attention: there is no cuDNN here; use implementation='xla', or None."
            )
        raise ValueError(f"Unsupported implementation option: {implementation}")
    scores = _scores(query, key, 1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if bias is not None:
        scores = e.convert_to(add(scores, broadcast_to(bias, scores.shape)), scores.dtype)
    scores = e.convert_to(_masked(scores, mask, is_causal, lengths, local_window_size), dt.float32)
    found = _weighted(e.convert_to(softmax(scores), key.dtype), value)
    if lengths[0] is not None:
        inside = _positions(found.shape, 1, found) < reshape_to(lengths[0], (*lengths[0].shape, 1, 1, 1))
        found = e.mul(found, e.convert_to(inside, found.dtype))
    found = reshape_to(found, shape)
    if not return_residual:
        return found
    sums = swapaxes(e.convert_to(logsumexp(scores, -1), key.dtype), 1, 2)
    return found, stop_gradient(reshape_to(sums, shape[:-1]))


def _four_axes(x):
    x = as_array(x, "dot_product_attention")
    return expand_dims(x, tuple(range(4 - x.ndim))) if x.ndim < 4 else x


def _check(query, key, value, bias, mask, lengths):
    """ValueError unless all shapes and dtypes fit."""
    batch, _, heads, size = key.shape
    for name, x, shape, dtype in (
        ("value", value, key.shape, key.dtype), ("query", query, (batch, None, None, size), key.dtype), ("mask", mask, (None,) * 4, dt.bool_),
        ("bias", bias, (None,) * 4, None), ("query_seq_lengths", lengths[0], (batch,), dt.int32),
        ("key_value_seq_lengths", lengths[1], (batch,), dt.int32),
    ):  # fmt: skip
        if x is None:
            continue
        if x.ndim != len(shape):
            raise ValueError(f"{name} ndim should be {len(shape)}, but got {x.ndim}")
        if dtype is not None and x.dtype != dtype:
            raise ValueError(f"{name} dtype should be {dtype}, but got {x.dtype}")
        if any(n not in (None, found) for n, found in zip(shape, x.shape)):
            raise ValueError(f"{name} shape should be {shape}, but got {x.shape}")
    if query.shape[2] % heads:
        raise ValueError(
            f"The number of query heads must be a multiple of key/value heads, but got {query.shape[2]} vs {heads}"
        )


def _scores(query, key, scale):
    """query key^T * scale, [B, N, T, S]; queries that share a key are rows of one matrix: no key is copied."""
    batch, length, heads, size = query.shape
    _, keys, shared, _ = key.shape
    query = reshape_to(swapaxes(query, 1, 2), (batch, shared, heads // shared * length, size))
    wide = dt.float32 if query.dtype.itemsize == 2 else query.dtype
    scores = dot_general(query, swapaxes(key, 1, 2), contract=((3,), (3,)), batch=((0, 1), (0, 1)), dtype=wide)
    scale = number(float(scale), scores) if isinstance(scale, (int, float)) else e.convert_to(as_array(scale), wide)
    return reshape_to(e.mul(scores, scale), (batch, heads, length, keys))


def _weighted(weights, value):
    """The means of the values, [B, T, N, H]."""
    batch, heads, length, keys = weights.shape
    _, _, shared, size = value.shape
    weights = reshape_to(weights, (batch, shared, heads // shared * length, keys))
    found = dot_general(
        weights, swapaxes(value, 1, 2), contract=((3,), (2,)), batch=((0, 1), (0, 1)), dtype=value.dtype
    )
    return swapaxes(reshape_to(found, (batch, heads, length, size)), 1, 2)


def _positions(shape, axis, like):
    """0, 1, 2, ... along an axis of `shape`; the other axes have size 1."""
    shape = kept_shape(shape, [i for i in range(len(shape)) if i != axis])
    return iota(shape=shape, dtype=dt.int32, axis=axis, device=like.device)


def _masked(scores, mask, is_causal, lengths, window):
    """The scores, with a large negative number where a query must not attend."""
    query, key = (_positions(scores.shape, axis, scores) for axis in (2, 3))
    masks = [] if mask is None else [mask]
    if is_causal:
        masks.append(key <= query)
    if window is not None:
        before, after = (window, window) if isinstance(window, int) else window
        masks += [query <= key + before, query >= key - after]
    for positions, count in zip((query, key), lengths):
        if count is not None:
            masks.append(positions < reshape_to(count, (*count.shape, 1, 1, 1)))
    never = number(-0.7 * float(np.finfo(np.float32).max), scores)
    for mask in masks:
        scores = e.select(mask, scores, never)
    return scores


__all__ = ["dot_product_attention"]
