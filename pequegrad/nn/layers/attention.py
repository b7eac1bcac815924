"""Multi-head attention."""

import math

from ...core.errors import ArgumentError
from .. import functional as F
from ..layer import Layer, check_probability, check_sizes, constant, normal, xavier_uniform
from .linear import Linear


class MultiheadAttention(Layer):
    """out_proj(concatenation of softmax(q_h k_h^T / sqrt(E / num_heads)) v_h over heads h) (Vaswani et al., 2017)

    q, k, v are linear maps of query [L, N, E], key [S, N, kdim], value [S, N, vdim]; with batch_first N comes first; or without N.
    in_proj_weight: [3 E, E], the three maps one above the other, or, if kdim or vdim differ from E, q_proj_weight [E, E],
    k_proj_weight [E, kdim], v_proj_weight [E, vdim]; in_proj_bias: [3 E]; out_proj: Linear(E, E). dropout: the probability of
    dropping a weight. add_bias_kv: one more, learned key and value; add_zero_attn: one more of zeros.

    layer(query, key, value) gives (result [L, N, E], weights [N, L, S], None with need_weights=False, which is faster).
    key_padding_mask: [N, S]; attn_mask: [L, S] or [N * num_heads, L, S]; both bool (True: do not attend), or floats that are added
    to the scores. is_causal: query i does not attend to keys behind i, in addition to the masks. average_attn_weights=False:
    the weights of each head, [N, num_heads, L, S]. A query that may attend to nothing gets zeros.

    >>> layer, x = MultiheadAttention(8, 2, batch_first=True), pg.ones((3, 5, 8))
    >>> layer(x, x, x, need_weights=False, is_causal=True)[0].shape
    (3, 5, 8)
    """

    def __init__(
        self, embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False, kdim=None, vdim=None,
        batch_first=False, *, dtype=None, device=None,
    ):  # fmt: skip
        kdim, vdim = (embed_dim if n is None else n for n in (kdim, vdim))
        check_sizes("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads, kdim=kdim, vdim=vdim)
        check_probability("MultiheadAttention", dropout)
        if embed_dim % num_heads:
            raise ArgumentError(f"MultiheadAttention: embed_dim={embed_dim} does not divide into {num_heads} heads.")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.kdim, self.vdim, self.add_bias_kv, self.add_zero_attn = kdim, vdim, add_bias_kv, add_zero_attn
        e, place = embed_dim, {"dtype": dtype, "device": device}
        if kdim == vdim == e:
            self.in_proj_weight = xavier_uniform((3 * e, e), e, 3 * e, **place)
        else:
            for name, size in (("q", e), ("k", kdim), ("v", vdim)):
                setattr(self, f"{name}_proj_weight", xavier_uniform((e, size), size, e, **place))
        self.in_proj_bias = constant((3 * e,), 0, **place) if bias else None
        self.bias = bias
        self.out_proj = Linear(e, e, bias, **place)
        if bias:
            self.out_proj.bias = constant((e,), 0, **place)
        self.bias_k, self.bias_v = None, None
        if add_bias_kv:  # PyTorch's Xavier distribution of [1, 1, E]: both fans are E
            self.bias_k, self.bias_v = (normal((1, 1, e), math.sqrt(1 / e), **place) for _ in range(2))

    def forward(
        self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True,
        is_causal=False,
    ):  # fmt: skip
        return F.multi_head_attention(
            query, key, value, self.num_heads, self._projections(), (self.out_proj.weight, self.out_proj.bias),
            bias_k=self.bias_k, bias_v=self.bias_v, add_zero_attn=self.add_zero_attn,
            dropout_p=self.dropout if self.training else 0.0, key_padding_mask=key_padding_mask, attn_mask=attn_mask,
            is_causal=is_causal, need_weights=need_weights, average_attn_weights=average_attn_weights,
            batch_first=self.batch_first,
        )  # fmt: skip

    def _projections(self):
        if hasattr(self, "in_proj_weight"):
            return self.in_proj_weight, self.in_proj_bias
        e, bias = self.embed_dim, self.in_proj_bias
        biases = [None if bias is None else bias[i * e : (i + 1) * e] for i in range(3)]
        return list(zip((self.q_proj_weight, self.k_proj_weight, self.v_proj_weight), biases))


__all__ = ["MultiheadAttention"]
