"""Functions on tensors, composed of primitives. All of them are reachable as pequegrad.NAME."""

from . import (
    arithmetic,
    attention,
    creation,
    indexing,
    linalg,
    losses,
    methods,
    nn,
    normalization,
    random,
    reductions,
    shape,
    special,
)

__all__ = [
    "arithmetic", "attention", "creation", "indexing", "linalg", "losses", "methods", "nn", "normalization", "random",
    "reductions", "shape", "special",
]  # fmt: skip
