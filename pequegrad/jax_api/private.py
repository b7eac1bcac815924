"""Names of jax._src, which is private to JAX, that libraries import all the same: after install(), `import jax._src.core` finds them here.

They do what JAX's do, as far as these libraries ask. Nothing else is here: a library that asks for more gets ModuleNotFoundError or
AttributeError, as it does of a JAX that has moved the name.
"""

import importlib
import importlib.machinery
import types
from typing import Any

import numpy as np

from ..core.errors import hidden_paths
from ..core.node import state

# module of jax._src -> {name: "module:name" here, or "name" in this file}
_NAMES = {
    # chex.restrict_backends puts a function of its own in this place
    "compiler": {"backend_compile_and_load": "backend_compile_and_load"},
    # flax.linen.fp8_ops: annotations of methods
    "core": {"ShapedArray": "core:ShapedArray"},
    # equinox.filter_jit has this called when Python exits
    "dispatch": {"wait_for_tokens": "placement:effects_barrier"},
    # equinox.nn.RotaryPositionalEmbedding catches the error; flax.linen.fp8_ops derives a kind of numbers from the others
    "dtypes": {
        "DType": "DType",
        "ExtendedDType": "ExtendedDType",
        "TypePromotionError": "dtypes:TypePromotionError",
        "extended": "dtypes:extended",
        "finfo": "dtypes:finfo",
    },
    # flax, equinox, jaxtyping: their files are not the user's code
    "traceback_util": {
        "_exclude_paths": "hidden_paths",
        "api_boundary": "api_boundary",
        "include_frame": "include_frame",
        "register_exclusion": "extend.source_info_util:register_exclusion",
    },
    # chex.set_n_cpu_devices: there is one CPU device, which cannot be divided any more
    "xla_bridge": {"_backends": "backends"},
}


_made = {}  # the modules that somebody has imported


def module(name):
    """The module jax._src (for "_src") or one of its modules ("_src.core"); None if it is not here."""
    _, _, rest = name.partition(".")
    if rest and rest not in _NAMES:
        return None
    if rest in _made:
        return _made[rest]
    made = _made[rest] = types.ModuleType(
        f"jax.{name}", "Names that are private to JAX: see pequegrad.jax_api.private."
    )
    made.__spec__ = importlib.machinery.ModuleSpec(made.__name__, None, is_package=not rest)
    if rest:
        names = _NAMES[rest]
        made.__getattr__ = lambda attribute: _found(made, names, attribute)
    else:
        made.__path__ = []
        made.__getattr__ = lambda attribute: _submodule(made, attribute)
    return made


def _found(made, names, attribute):
    if attribute not in names:
        raise AttributeError(f"module {made.__name__!r} has no attribute {attribute!r} in pequegrad.jax_api")
    place, _, name = names[attribute].rpartition(":")
    found = getattr(importlib.import_module(f"{__package__}.{place or 'private'}"), name)
    setattr(made, attribute, found)
    return found


def _submodule(made, attribute):
    if attribute not in _NAMES:
        raise AttributeError(f"module {made.__name__!r} has no attribute {attribute!r} in pequegrad.jax_api")
    return importlib.import_module(f"{made.__name__}.{attribute}")


# ---- what is only here -----------------------------------------------------------------------------------

DType = np.dtype
backends = {"cpu": "cpu"}


class ExtendedDType:
    """Base of dtypes that a library makes of others. Arrays of such are refused by the functions that would make them."""

    type: Any
    _rules: Any = None


def backend_compile_and_load(backend, *args, **kwargs):
    """Called with a Device when a jitted function is about to be compiled for it."""


def about_to_compile(device):
    """Calls what stands in the place of backend_compile_and_load now, for a function that is jitted outside of others."""
    if "compiler" in _made and state.frame is None:
        _made["compiler"].backend_compile_and_load(device)


def api_boundary(fun, **options):
    """`fun`: tracebacks are shown whole."""
    return fun


def include_frame(frame):
    """True if the frame runs the user's code: its file is not excluded."""
    return not frame.f_code.co_filename.startswith(tuple(hidden_paths))
