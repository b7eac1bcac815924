"""Every primitive with all its rules; `PRIMITIVES` lists them by name."""

from . import (
    contraction,
    control,
    cumulative,
    dynamic,
    elementwise,
    indexing,
    mathematical,
    random,
    reduction,
    representation,
    shape,
    sorting,
)
from .base import PRIMITIVES, Primitive, primitive

__all__ = [
    "PRIMITIVES",
    "Primitive",
    "primitive",
    "contraction",
    "control",
    "cumulative",
    "dynamic",
    "elementwise",
    "indexing",
    "mathematical",
    "random",
    "reduction",
    "representation",
    "shape",
    "sorting",
]
