"""Functions on tensors, composed of primitives. All of them are reachable as pequegrad.NAME."""

from . import (
    arithmetic,
    attention,
    creation,
    image,
    indexing,
    linalg,
    losses,
    methods,
    nn,
    normalization,
    random,
    rearrange,
    reductions,
    shape,
    special,
    statistics,
)

__all__ = [
    "arithmetic",
    "attention",
    "creation",
    "image",
    "indexing",
    "linalg",
    "losses",
    "methods",
    "nn",
    "normalization",
    "random",
    "rearrange",
    "reductions",
    "shape",
    "special",
    "statistics",
]
