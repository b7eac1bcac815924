"""Functions on tensors, composed of primitives. All of them are reachable as pequegrad.NAME."""

from . import arithmetic, creation, indexing, linalg, methods, nn, random, reductions, shape

__all__ = ["arithmetic", "creation", "indexing", "linalg", "methods", "nn", "random", "reductions", "shape"]
