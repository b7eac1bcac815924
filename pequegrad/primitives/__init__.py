"""Every primitive with all its rules, one file per kind; `PRIMITIVES` lists them by name (and imports all files)."""

import importlib
import os

from .base import Primitive, primitive

__all__ = ["PRIMITIVES", "Primitive", "primitive"]


def __getattr__(name):
    if name != "PRIMITIVES":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for file in sorted(os.listdir(os.path.dirname(__file__))):
        if file.endswith(".py") and not file.startswith("_"):
            importlib.import_module(f"{__name__}.{file[:-3]}")
    from .base import PRIMITIVES

    globals()[name] = PRIMITIVES
    return PRIMITIVES
