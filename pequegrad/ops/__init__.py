"""Functions on tensors, composed of primitives. All of them are reachable as pequegrad.NAME."""

from . import (
    arithmetic,
    creation,
    decompositions,
    indexing,
    linalg,
    matrices,
    methods,
    nn,
    norms,
    random,
    reductions,
    shape,
    systems,
)

__all__ = [
    "arithmetic",
    "creation",
    "decompositions",
    "indexing",
    "linalg",
    "matrices",
    "methods",
    "nn",
    "norms",
    "random",
    "reductions",
    "shape",
    "systems",
]
