"""Every primitive with all its rules; `PRIMITIVES` lists them by name."""

from . import (
    callbacks,
    collectives,
    contraction,
    control,
    control_flow,
    custom,
    elementwise,
    indexing,
    mathematical,
    random,
    reduction,
    shape,
)
from .base import PRIMITIVES, Primitive, primitive

__all__ = [
    "PRIMITIVES",
    "Primitive",
    "primitive",
    "callbacks",
    "collectives",
    "contraction",
    "control",
    "control_flow",
    "custom",
    "elementwise",
    "indexing",
    "mathematical",
    "random",
    "reduction",
    "shape",
]
