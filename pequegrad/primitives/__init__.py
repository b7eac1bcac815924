"""Every primitive with all its rules; `PRIMITIVES` lists them by name."""

from . import (
    contraction,
    control,
    decompositions,
    elementwise,
    indexing,
    linalg,
    mathematical,
    random,
    reduction,
    shape,
    special,
)
from .base import PRIMITIVES, Primitive, primitive

__all__ = [
    "PRIMITIVES",
    "Primitive",
    "primitive",
    "contraction",
    "control",
    "decompositions",
    "elementwise",
    "indexing",
    "linalg",
    "mathematical",
    "random",
    "reduction",
    "shape",
    "special",
]
