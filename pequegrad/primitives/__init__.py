"""Every primitive with all its rules; `PRIMITIVES` lists them by name."""

from . import (
    callbacks,
    collectives,
    contraction,
    control,
    control_flow,
    cumulative,
    custom,
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
    "callbacks",
    "collectives",
    "contraction",
    "control",
    "control_flow",
    "cumulative",
    "custom",
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
