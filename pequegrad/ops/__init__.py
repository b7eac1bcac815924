"""Functions on tensors, composed of primitives. All of them are reachable as pequegrad.NAME."""

from . import arithmetic, complex, creation, indexing, linalg, methods, nn, random, reductions, shape, special

__all__ = [
    "arithmetic",
    "complex",
    "creation",
    "indexing",
    "linalg",
    "methods",
    "nn",
    "random",
    "reductions",
    "shape",
    "special",
]
