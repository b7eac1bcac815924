"""The encoder of the Transformer (Vaswani et al., 2017)."""

import copy

from ...core.errors import ArgumentError
from ...ops.creation import as_tensor
from .. import functional as F
from ..layer import Layer, check_sizes
from .attention import MultiheadAttention
from .containers import ModuleList
from .dropout import Dropout
from .linear import Linear
from .normalization import LayerNorm

_ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


class TransformerEncoderLayer(Layer):
    """h = norm1(x + attention(x)), y = norm2(h + linear2(activation(linear1(h)))); or with norm_first
    h = x + attention(norm1(x)), y = h + linear2(activation(linear1(norm2(h)))) (Xiong et al., 2020).

    x, y: [L, N, d_model], with batch_first [N, L, d_model], or without N. dim_feedforward: size of the inner layer; activation:
    "relu", "gelu", or a function. layer(src, src_mask, src_key_padding_mask, is_causal): masks as for MultiheadAttention.

    >>> TransformerEncoderLayer(8, 2, 16, batch_first=True)(pg.ones((3, 5, 8)), is_causal=True).shape
    (3, 5, 8)
    """

    def __init__(
        self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation="relu", layer_norm_eps=1e-5, batch_first=False,
        norm_first=False, bias=True, *, dtype=None, device=None,
    ):  # fmt: skip
        if not callable(activation) and activation not in _ACTIVATIONS:
            raise ArgumentError(
                f"TransformerEncoderLayer: activation={activation!r} is unknown.",
                fix="use 'relu', 'gelu', or a function.",
            )
        place = {"dtype": dtype, "device": device}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **place)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **place)
        self.norm_first = norm_first
        self.norm1, self.norm2 = (LayerNorm(d_model, layer_norm_eps, bias=bias, **place) for _ in range(2))
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        self.activation = _ACTIVATIONS.get(activation, activation) if isinstance(activation, str) else activation

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        src, masks = as_tensor(src, self.linear1.weight.device), (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            x = src + self._attention(self.norm1(src), *masks)
            return x + self._feedforward(self.norm2(x))
        x = self.norm1(src + self._attention(src, *masks))
        return self.norm2(x + self._feedforward(x))

    def _attention(self, x, mask, padding, is_causal):
        out, _ = self.self_attn(x, x, x, padding, need_weights=False, attn_mask=mask, is_causal=is_causal)
        return self.dropout1(out)

    def _feedforward(self, x):
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))

    __repr__ = Layer.__base__.__repr__  # its parts say all


class TransformerEncoder(Layer):
    """num_layers copies of an encoder layer, each a module of its own, one behind the other; then `norm`, if there is one.

    encoder(src, mask, src_key_padding_mask, is_causal): masks as for the layer; is_causal None means that `mask` says it all.
    (PyTorch's enable_nested_tensor and mask_check have no meaning here.)

    >>> TransformerEncoder(TransformerEncoderLayer(8, 2, 16), 2)(pg.ones((5, 3, 8))).shape
    (5, 3, 8)
    """

    def __init__(self, encoder_layer, num_layers, norm=None):
        check_sizes("TransformerEncoder", num_layers=num_layers)
        self.layers = ModuleList(copy.deepcopy(encoder_layer) for _ in range(num_layers))
        self.num_layers = num_layers
        self.norm = norm

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))
        return src if self.norm is None else self.norm(src)

    __repr__ = Layer.__base__.__repr__


__all__ = ["TransformerEncoder", "TransformerEncoderLayer"]
