"""jax.api_util: how transforms that libraries write take the arguments of functions apart."""

import inspect
from typing import NamedTuple

from .extend.linear_util import WrappedFun
from .tree_util import tree_flatten, tree_unflatten

__all__ = ["debug_info", "flatten_fun", "flatten_fun_nokwargs"]


class DebugInfo(NamedTuple):
    """What messages say of a function that is traced."""

    traced_for: str
    func_src_info: str
    arg_names: tuple | None
    result_paths: tuple | None


def debug_info(traced_for, fun, args, kwargs, *, static_argnums=(), static_argnames=(), result_paths_thunk=None, sourceinfo=None,
               signature=None):  # fmt: skip
    """The DebugInfo of `fun`, traced for a transform."""
    if sourceinfo is None:
        code = getattr(inspect.unwrap(fun), "__code__", None) if callable(fun) else None
        name = getattr(fun, "__name__", type(fun).__name__)
        sourceinfo = f"{name} at {code.co_filename}:{code.co_firstlineno}" if code else name
    return DebugInfo(traced_for, sourceinfo, None, None)


def flatten_fun(f, in_tree):
    """(`f` from the leaves of (args, kwargs) to the leaves of its result, a function that says the result's structure then)."""
    return _flattened(f, lambda leaves: _called(f, *tree_unflatten(in_tree, leaves)))


def flatten_fun_nokwargs(f, in_tree):
    """flatten_fun for functions of positional arguments: in_tree is that of args."""
    return _flattened(f, lambda leaves: _called(f, tree_unflatten(in_tree, leaves), {}))


def _called(f, args, kwargs):
    return f.call_wrapped(*args, **kwargs)


def _flattened(f, call):
    structures = []

    def flat(*leaves):
        found, structure = tree_flatten(call(leaves))
        structures.append(structure)
        return found

    return WrappedFun(f.f, flat, f.debug_info), lambda: structures[-1]
