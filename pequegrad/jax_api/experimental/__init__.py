"""jax.experimental: the parts that mean something in one process. Modules are imported when they are first used."""

import importlib

__all__ = ["io_callback"]


def __getattr__(name):
    if name == "io_callback":
        from ..transforms import io_callback

        return io_callback
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*__all__, "checkify", "jet", "layout", "mesh_utils", "multihost_utils", "ode", "pjit", "shard_map"]
