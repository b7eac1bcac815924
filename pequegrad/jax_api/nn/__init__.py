"""jax.nn: activations, softmax and its kin, attention, initializers."""

import importlib

from ..numpy import tanh
from . import activations, attention, reductions
from .activations import *  # noqa: F403
from .attention import *  # noqa: F403
from .reductions import *  # noqa: F403

__all__ = [name for module in (activations, attention, reductions) for name in module.__all__]
__all__ += ["initializers", "tanh"]  # noqa: F405  imported when it is first used


def __getattr__(name):
    if name == "initializers":
        return importlib.import_module(".initializers", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
