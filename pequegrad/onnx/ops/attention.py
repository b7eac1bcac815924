"""Attention, with keys of the past, and the embeddings of positions."""

import math

import pequegrad as pg

from ...core.errors import ArgumentError, ShapeError
from ...ops.attention import attention_weights
from ..registry import op
from ..values import dtype_of

# ---- softmax(q k^T) v -------------------------------------------------------------------------------------


def _heads(x, count):
    """[N, L, heads * D] as [N, heads, L, D]."""
    if count is None or x.shape[2] % count:
        raise ShapeError(f"Attention: {x._node.aval} does not divide into {count} heads.", fix="give q_num_heads.")
    return pg.permute(pg.reshape(x, (*x.shape[:2], count, x.shape[2] // count)), (0, 2, 1, 3))


def _joined(x):
    """[N, heads, L, D] as [N, L, heads * D]."""
    x = pg.permute(x, (0, 2, 1, 3))
    return pg.reshape(x, (*x.shape[:2], x.shape[2] * x.shape[3]))


def _and(a, b):
    return b if a is None else pg.logical_and(a, b)


def _allowed(length, keys, offset, nonpad, causal, left, right):
    """bool, which broadcasts to [N, heads, length, keys]: the keys each query may attend to; None if all.

    offset: how many keys are before the first query, an int or one for each example.
    """
    found, place = None, pg.reshape(pg.arange(0, length, dtype="int32"), (length, 1))
    key = pg.arange(0, keys, dtype="int32")
    if nonpad is not None:
        nonpad = pg.reshape(nonpad.astype("int32"), (-1, 1, 1, 1))
        found, offset = key < nonpad, nonpad - length
    place = place + offset
    if causal:
        found = _and(found, key <= place)
    if left >= 0:
        found = _and(found, place - key <= left)
    if right >= 0:
        found = _and(found, key - place <= right)
    return found


def _mask(attn_mask, allowed, keys):
    """The mask of the model, which may be short of keys at the end, and the keys that are allowed, as one."""
    if attn_mask is None:
        return allowed
    is_bool = attn_mask.dtype.kind == "b"
    missing = keys - attn_mask.shape[-1]
    if missing > 0:
        widths = [(0, 0)] * (attn_mask.ndim - 1) + [(0, missing)]
        attn_mask = pg.pad(attn_mask, widths, False if is_bool else -math.inf)
    if allowed is None:
        return attn_mask
    return pg.logical_and(attn_mask, allowed) if is_bool else pg.where(allowed, attn_mask, -math.inf)


def _with_mask(scores, mask):
    """Scores, -inf where the mask is, whatever they are there."""
    if mask is None:
        return scores
    if mask.dtype.kind == "b":
        return pg.where(mask, scores, -math.inf)
    return pg.where(mask == -math.inf, -math.inf, scores + mask.astype(scores.dtype))


def _scores(q, k, scale):
    """q k^T * scale in float32 at least; queries may share keys."""
    if q.shape[1] % k.shape[1]:
        raise ShapeError(f"Attention: {q.shape[1]} heads of queries do not divide among {k.shape[1]} of keys.")
    wide = "float32" if q.dtype.itemsize == 2 else q.dtype
    scale = 1 / math.sqrt(q.shape[3]) if scale is None else scale
    root = math.sqrt(abs(scale))  # half of the scale for each, so that products of 16-bit numbers stay in their range
    k = pg.repeat(k, q.shape[1] // k.shape[1], 1) if q.shape[1] != k.shape[1] else k
    return pg.matmul(q.astype(wide) * math.copysign(root, scale), pg.swapaxes(k.astype(wide) * root, 2, 3))


def _weighed(weights, v):
    """weights v, where heads may share values."""
    return pg.matmul(weights, pg.repeat(v, weights.shape[1] // v.shape[1], 1) if weights.shape[1] != v.shape[1] else v)


@op("Attention", since=23)
def attention(q, k, v, attn_mask=None, past_key=None, past_value=None, nonpad_kv_seqlen=None, *, is_causal=0, kv_num_heads=None,
              left_window_size=-1, q_num_heads=None, qk_matmul_output_mode=0, right_window_size=-1, scale=None, softcap=0.0,
              softmax_precision=None, n_outputs=1):  # fmt: skip
    """(y, keys with the past, values with the past, scores); scores: raw, capped, with the mask, or as weights."""
    if (past_key is None) != (past_value is None):
        raise ArgumentError("Attention: only one of past_key and past_value is given.", fix="give both or none.")
    flat = q.ndim == 3
    if flat:
        q, k, v = _heads(q, q_num_heads), _heads(k, kv_num_heads), _heads(v, kv_num_heads)
    before = 0
    if past_key is not None:
        before = past_key.shape[2]
        k, v = pg.concatenate([past_key, k], 2), pg.concatenate([past_value, v], 2)
    length, keys = q.shape[2], k.shape[2]
    windows = left_window_size, right_window_size
    if n_outputs < 4 and not softcap and _is_usual(softmax_precision, q):
        plain = is_causal and not before and nonpad_kv_seqlen is None and windows == (-1, -1)
        allowed = _allowed(length, keys, before, nonpad_kv_seqlen, is_causal and not plain, *windows)
        mask = _mask(attn_mask, allowed, keys)
        y = pg.scaled_dot_product_attention(q, k, v, mask, bool(plain), scale)
        return (_joined(y) if flat else y, k, v)[:n_outputs]
    allowed = _allowed(length, keys, before, nonpad_kv_seqlen, is_causal, *windows)
    raw = _scores(q, k, scale)
    capped = pg.tanh(raw / softcap) * softcap if softcap else raw
    masked = _with_mask(capped, _mask(attn_mask, allowed, keys))
    precise = masked if softmax_precision is None else masked.astype(dtype_of(softmax_precision))
    weights = attention_weights(precise).astype(q.dtype)
    y = _weighed(weights, v)
    shown = (raw, capped, masked, weights)[qk_matmul_output_mode].astype(q.dtype)
    return (_joined(y) if flat else y, k, v, shown)[:n_outputs]


def _is_usual(softmax_precision, q):
    """Whether the weights are computed in this type anyway."""
    usual = "float32" if q.dtype.itemsize == 2 else q.dtype.name
    return softmax_precision is None or dtype_of(softmax_precision).name in (usual, q.dtype.name)


@op("FlexAttention", domain="ai.onnx.preview")
def flex_attention(q, k, v, *, prob_mod=None, scale=None, score_mod=None, softmax_precision=None, scope):
    """Attention with subgraphs that change the scores, and the weights."""
    precision = dtype_of(softmax_precision) if softmax_precision else "float64" if q.dtype.itemsize == 8 else "float32"
    scores = _scores(q, k, scale).astype(precision)
    if score_mod is not None:
        (scores,) = scope.run(score_mod, [scores])
    weights = attention_weights(scores)
    if prob_mod is not None:
        (weights,) = scope.run(prob_mod, [weights])
    return _weighed(weights.astype(q.dtype), v)


# ---- a state instead of keys ---------------------------------------------------------------------------------

_GATED, _DELTA = ("gated", "gated_delta"), ("delta", "gated_delta")


@op("LinearAttention", since=27)
def linear_attention(query, key, value, past_state=None, decay=None, beta=None, *, kv_num_heads, q_num_heads, chunk_size=64,
                     scale=0.0, update_rule="gated_delta"):  # fmt: skip
    """(y, state): each key writes its value into a matrix per head, [N, heads, D, E], from which queries read.

    Rules: "linear"; "gated": the state decays by exp(decay) first; "delta": a key writes what differs from what it reads,
    times beta (Yang et al., 2024); "gated_delta". chunk_size: how runtimes may cut time; the result is the same.
    """
    if update_rule not in ("linear", *_GATED, *_DELTA):
        raise ArgumentError(f"LinearAttention: update_rule={update_rule!r} is unknown.")
    for name, x, rules in (("decay", decay, _GATED), ("beta", beta, _DELTA)):
        if (x is not None) != (update_rule in rules):
            raise ArgumentError(
                f"LinearAttention: {name} belongs to the rules {', '.join(rules)}, not to {update_rule}."
            )
    wide = "float64" if query.dtype.itemsize == 8 else "float32"
    by_time = lambda x, heads: pg.permute(_heads(x, heads), (2, 0, 1, 3)).astype(wide)  # [time, N, heads, D]
    rows = {"q": by_time(query, q_num_heads), "k": by_time(key, kv_num_heads), "v": by_time(value, kv_num_heads)}
    if decay is not None:
        rows["keep"] = pg.exp(by_time(decay, kv_num_heads))
    if beta is not None:
        rows["beta"] = by_time(beta, beta.shape[2])
    n, depth, size = query.shape[0], rows["k"].shape[3], rows["v"].shape[3]
    factor = scale or 1 / math.sqrt(depth)
    group = q_num_heads // kv_num_heads
    if past_state is None:
        state = pg.zeros((n, kv_num_heads, depth, size), wide)
    else:
        state = past_state.astype(wide)

    def step(state, row):
        if "keep" in row:
            state = state * pg.expand_dims(row["keep"], -1)
        k, v = row["k"], row["v"]
        if "beta" in row:
            v = row["beta"] * (v - pg.sum(state * pg.expand_dims(k, -1), 2))
        state = state + pg.expand_dims(k, -1) * pg.expand_dims(v, -2)
        queries = pg.reshape(row["q"], (n, kv_num_heads, group, depth))
        return state, pg.reshape(pg.matmul(queries, state) * factor, (n, q_num_heads * size))

    state, y = pg.scan(step, state, rows)
    return pg.swapaxes(y, 0, 1).astype(query.dtype), state.astype((query if past_state is None else past_state).dtype)


# ---- positions -------------------------------------------------------------------------------------------


@op("RotaryEmbedding", since=23)
def rotary_embedding(
    x, cos_cache, sin_cache, position_ids=None, *, interleaved=0, num_heads=None, rotary_embedding_dim=0
):
    """Pairs of features turned by angles that grow with the position (Su et al., 2021)."""
    heads = (
        pg.permute(x, (0, 2, 1, 3))
        if x.ndim == 4
        else pg.reshape(x, (*x.shape[:2], num_heads, x.shape[2] // num_heads))
    )
    size = rotary_embedding_dim or heads.shape[3]
    turned, rest = heads[..., :size], heads[..., size:]
    if position_ids is not None:
        cos_cache, sin_cache = (pg.take(c, position_ids, axis=0) for c in (cos_cache, sin_cache))
    if cos_cache.shape[-1] != size // 2:
        raise ShapeError(f"RotaryEmbedding: {cos_cache._node.aval} does not have {size // 2} angles for each position.")
    cos, sin = pg.expand_dims(cos_cache, 2), pg.expand_dims(sin_cache, 2)
    a, b = (turned[..., 0::2], turned[..., 1::2]) if interleaved else pg.split(turned, 2, -1)
    parts = [cos * a - sin * b, sin * a + cos * b]
    turned = pg.reshape(pg.stack(parts, -1), turned.shape) if interleaved else pg.concatenate(parts, -1)
    y = pg.concatenate([turned, rest], -1) if rest.shape[3] else turned
    return pg.permute(y, (0, 2, 1, 3)) if x.ndim == 4 else pg.reshape(y, x.shape)
