"""Products with learned weights, and tables of learned rows."""

import math

from ...core.errors import ArgumentError, ShapeError
from ...core.tensor import Tensor
from ...ops.creation import as_tensor
from ...primitives.control import stop_gradient
from ...transforms.gradients import no_grad
from .. import functional as F
from ..functional.linear import renormalized_rows, row_number
from ..init import assign
from ..layer import Layer, check_sizes, normal, uniform
from ..module import parameter


class Linear(Layer):
    """y = x weight^T + bias

    x: [..., in_features]; weight: [out_features, in_features]; bias: [out_features]; y: [..., out_features].
    Both start uniform within 1 / sqrt(in_features).

    >>> Linear(3, 2)(pg.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(self, in_features, out_features, bias=True, *, dtype=None, device=None):
        check_sizes("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features)
        self.weight = uniform((out_features, in_features), bound, dtype, device)
        self.bias = uniform((out_features,), bound, dtype, device) if bias else None

    def forward(self, input):
        x = as_tensor(input, self.weight.device)
        if not x.ndim or x.shape[-1] != self.in_features:
            raise ShapeError(
                f"Linear({self.in_features}, {self.out_features}) got an input of shape {list(x.shape)}.",
                fix=f"the last axis must have size {self.in_features}.",
            )
        return F.linear(x, self.weight, self.bias)

    def __repr__(self):
        return f"Linear({self.in_features}, {self.out_features}, bias={self.bias is not None})"


class Bilinear(Layer):
    """y_k = sum_ij x1_i weight_kij x2_j + bias_k

    x1: [..., in1_features]; x2: [..., in2_features]; weight: [out_features, in1_features, in2_features]; bias: [out_features];
    y: [..., out_features]. Both start uniform within 1 / sqrt(in1_features).

    >>> Bilinear(3, 4, 2)(pg.ones((5, 3)), pg.ones((5, 4))).shape
    (5, 2)
    """

    def __init__(self, in1_features, in2_features, out_features, bias=True, *, dtype=None, device=None):
        check_sizes("Bilinear", in1_features=in1_features, in2_features=in2_features, out_features=out_features)
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        bound = 1 / math.sqrt(in1_features)
        self.weight = uniform((out_features, in1_features, in2_features), bound, dtype, device)
        self.bias = uniform((out_features,), bound, dtype, device) if bias else None

    def forward(self, input1, input2):
        return F.bilinear(input1, input2, self.weight, self.bias)


class Embedding(Layer):
    """y = weight[x]: x: integers [...]; weight: [num_embeddings, embedding_dim], standard normal; y: [..., embedding_dim].

    padding_idx: a row that starts as zeros and gets no gradient. max_norm: rows that are read are scaled down to this
    norm_type-norm first, in the weight itself. scale_grad_by_freq: the gradient of a row is divided by how often it was read.

    >>> Embedding(10, 3)(np.array([[1, 2], [3, 4]])).shape
    (2, 2, 3)
    """

    def __init__(
        self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
        sparse=False, *, dtype=None, device=None,
    ):  # fmt: skip
        check_sizes("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if sparse:
            raise ArgumentError("Embedding: sparse=True: there are no sparse gradients.", fix="leave it out.")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else row_number("Embedding", padding_idx, num_embeddings)
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        self.weight = normal((num_embeddings, embedding_dim), 1.0, dtype, device)
        if padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0
            self.weight.eval()

    @classmethod
    def from_pretrained(cls, embeddings, freeze=True, padding_idx=None, **options):
        """A layer with these rows [num_embeddings, embedding_dim]; freeze: they are a buffer, not a parameter.

        >>> Embedding.from_pretrained(np.eye(3))(np.array([2])).tolist()
        [[0.0, 0.0, 1.0]]
        """
        rows = embeddings if isinstance(embeddings, Tensor) else as_tensor(embeddings)
        if rows.ndim != 2:
            raise ShapeError(f"Embedding.from_pretrained: {rows._node.aval} must be [num_embeddings, embedding_dim].")
        layer = cls(*rows.shape, padding_idx, **options)
        layer.weight = parameter(rows, rows.dtype)
        if freeze:
            layer.register_buffer("weight", layer.weight.detach())
        return layer

    def forward(self, input):
        if self.max_norm is not None:
            fixed = stop_gradient(renormalized_rows(self.weight, input, self.max_norm, self.norm_type))
            # the derivative is that of the new weight, as if it were the old one: x - x is 0
            assign(self.weight, fixed + (self.weight - stop_gradient(self.weight)))
        return F.embedding(input, self.weight, self.padding_idx, self.scale_grad_by_freq)


__all__ = ["Bilinear", "Embedding", "Linear"]
