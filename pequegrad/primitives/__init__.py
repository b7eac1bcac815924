"""Every primitive with all its rules; `PRIMITIVES` lists them by name."""

from . import contraction, control, convolution, elementwise, indexing, mathematical, random, reduction, shape, windows
from .base import PRIMITIVES, Primitive, primitive

__all__ = [
    "PRIMITIVES",
    "Primitive",
    "primitive",
    "contraction",
    "control",
    "convolution",
    "elementwise",
    "indexing",
    "mathematical",
    "random",
    "reduction",
    "shape",
    "windows",
]
