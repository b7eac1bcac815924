"""JAX's interface. `import pequegrad.jax_api as jnp` has the functions of jax.numpy and the transforms; `import pequegrad.jax_api as jax`
has the shape of the package jax: jax.numpy, jax.lax, jax.random, ...

A name that is here works as JAX 0.10's does; one that cannot work is absent. Submodules are imported when they are first used.
"""

import importlib

from .array import Array
from .configuration import config
from .jitting import jit
from .numpy import *  # noqa: F403  the names of jax.numpy
from .transforms import grad, jvp, value_and_grad, vjp, vmap

__all__ = [name for name in globals() if not name.startswith("_") and name != "importlib"]


def __getattr__(name):
    from . import numpy

    if not name.startswith("_"):
        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
        if hasattr(numpy, name):  # bfloat16 ...
            return getattr(numpy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
