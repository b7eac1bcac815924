"""Functions on tensors, composed of primitives. All of them are reachable as pequegrad.NAME."""

from . import (
    arithmetic,
    at,
    creation,
    cumulative,
    dynamic,
    indexing,
    linalg,
    methods,
    nn,
    random,
    reductions,
    shape,
    sorting,
)

__all__ = [
    "arithmetic",
    "at",
    "creation",
    "cumulative",
    "dynamic",
    "indexing",
    "linalg",
    "methods",
    "nn",
    "random",
    "reductions",
    "shape",
    "sorting",
]
