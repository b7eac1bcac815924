"""Functions on tensors, composed of primitives. All of them are reachable as pequegrad.NAME."""

from . import (
    arithmetic,
    complex,
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
    special,
    systems,
)

__all__ = [
    "arithmetic",
    "complex",
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
    "special",
    "systems",
]
