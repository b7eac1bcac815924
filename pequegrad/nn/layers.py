"""Layers: each is a module of a few lines under its formula."""

import math

from .. import jax_api as jnp
from ..core.errors import ArgumentError, ShapeError
from ..ops import random
from ..ops.creation import as_tensor
from .module import StatefulModule, parameter


class Linear(StatefulModule):
    """y = x W + b

    x: [..., in_features]; weight: [in_features, out_features]; bias: [out_features]; y: [..., out_features].
    Both start uniform in +-1/sqrt(in_features), as in PyTorch.
    """

    def __init__(self, in_features, out_features, bias=True, dtype=None, device=None):
        if in_features < 1 or out_features < 1:
            raise ArgumentError(f"Linear({in_features}, {out_features}): sizes must be at least 1.")
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features)
        self.weight = _uniform((in_features, out_features), bound, dtype, device)
        if bias:
            self.bias = _uniform((out_features,), bound, dtype, device)
        else:
            self.bias = None

    def forward(self, x):
        x = as_tensor(x, self.weight.device)
        if not x.ndim or x.shape[-1] != self.in_features:
            raise ShapeError(
                f"Linear({self.in_features}, {self.out_features}) got an input of shape {list(x.shape)}.",
                fix=f"the last axis must have size {self.in_features}.",
            )
        y = jnp.matmul(x, self.weight)
        return y if self.bias is None else y + self.bias

    def __repr__(self):
        return f"Linear({self.in_features}, {self.out_features}, bias={self.bias is not None})"


class ReLU(StatefulModule):
    """y = max(x, 0)"""

    def forward(self, x):
        return jnp.nn.relu(x)


class Dropout(StatefulModule):
    """In training mode, elements of x are set to 0 with probability p and the others divided by 1 - p; else y = x."""

    def __init__(self, p=0.5):
        if not 0 <= p < 1:
            raise ArgumentError(
                f"Dropout(p={p}): p must be in [0, 1).", fix="p is the probability of dropping an element."
            )
        self.p = p

    def forward(self, x):
        return x.dropout(self.p) if self.training else x

    def __repr__(self):
        return f"Dropout(p={self.p})"


class Sequential(StatefulModule):
    """The modules (or functions of one tensor) applied one after the other: Sequential(Linear(2, 3), ReLU())."""

    def __init__(self, *layers):
        for layer in layers:
            if not callable(layer):
                raise ArgumentError(f"Sequential: {layer!r} is not a module or function.")
        self.layers = list(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self):
        return len(self.layers)

    def __getitem__(self, index):
        return Sequential(*self.layers[index]) if isinstance(index, slice) else self.layers[index]


def _uniform(shape, bound, dtype, device):
    return parameter(random.rand(shape, dtype=dtype, device=device) * (2 * bound) - bound, dtype or jnp.float32)
