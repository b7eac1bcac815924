"""Functions on tensors, composed of primitives. All of them are reachable as pequegrad.NAME."""

from . import arithmetic, convolution, creation, indexing, linalg, methods, nn, pooling, random, reductions, shape

__all__ = [
    "arithmetic",
    "convolution",
    "creation",
    "indexing",
    "linalg",
    "methods",
    "nn",
    "pooling",
    "random",
    "reductions",
    "shape",
]
