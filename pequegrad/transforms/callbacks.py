"""pure_callback, io_callback, debug_print: Python functions that run while the program does. As in JAX."""

import functools

import numpy as np

from ..core import dtype as dtypes
from ..core.errors import ArgumentError
from ..core.node import make_aval
from ..core.tensor import Tensor
from ..ops.creation import as_tensor
from ..primitives.callbacks import VMAP_METHODS, Callback, host_call
from .trace import place_of
from .tree import flatten, flatten_until


class ShapeDtypeStruct:
    """The shape (tuple of ints) and dtype of an array that does not exist yet."""

    __slots__ = ("shape", "dtype")

    def __init__(self, shape, dtype):
        self.shape, self.dtype = tuple(int(n) for n in shape), dtypes.canonical(dtype)

    def __repr__(self):
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name})"

    def __eq__(self, other):
        return isinstance(other, ShapeDtypeStruct) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self):
        return hash((self.shape, self.dtype))


def pure_callback(callback, result_shape_dtypes, *args, vmap_method="sequential", **kwargs):
    """What the Python function `callback` returns for the values (NumPy arrays) of the arguments, computed when needed.

    result_shape_dtypes: a tree of objects with `shape` and `dtype` (ShapeDtypeStruct, tensors, arrays), which the result
    matches. The function must have no side effects: it may be called any number of times, or never.
    vmap_method: under vmap the function is called for each example ("sequential"), or once with arrays that have a
    leading axis, of size 1 where the argument is not batched ("expand_dims"), everywhere of the batch ("broadcast_all"), or
    only where it is batched ("legacy_vectorized"). None: vmap raises.
    It has no derivative; custom_jvp gives one. Wrong shapes and exceptions of the function are raised by the evaluation.
    """
    return _call("pure_callback", callback, result_shape_dtypes, args, kwargs, vmap_method, has_effect=False)


def io_callback(callback, result_shape_dtypes, *args, ordered=False, **kwargs):
    """As pure_callback, for functions with side effects: called exactly once per run, in the order of the program.

    Under vmap it is called once per example. ordered is accepted for compatibility: calls are always ordered.
    """
    return _call("io_callback", callback, result_shape_dtypes, args, kwargs, "sequential", has_effect=True)


def debug_callback(callback, *args, ordered=False, **kwargs):
    """Calls the Python function with the values of the arguments whenever this point of a program is run.

    Outside of traced functions at once. Survives jit, loops (called in every step) and derivatives.
    """
    _call("debug_callback", callback, None, args, kwargs, "sequential", has_effect=True)


def debug_print(fmt, *args, ordered=False, **kwargs):
    """Prints fmt.format(*args, **kwargs) with the values of the arguments whenever this point of a program is run.

    >>> @jit
    ... def f(x):
    ...     debug_print("x = {}, sum {total:.3f}", x, total=x.sum())
    """
    if not isinstance(fmt, str):
        raise ArgumentError(
            f"debug_print takes a format string first, got {type(fmt).__name__}.", fix='debug_print("{}", x)'
        )

    def show(*args, **kwargs):
        print(fmt.format(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()}), flush=True)

    show.__name__ = f"debug_print({fmt!r})"
    debug_callback(show, *args, **kwargs)


def _plain(x):
    """0-d arrays as scalars, which know format specifications."""
    return x[()] if isinstance(x, np.ndarray) and not x.ndim else x


def _call(what, callback, result_shape_dtypes, args, kwargs, vmap_method, has_effect):
    if not callable(callback):
        raise ArgumentError(f"{what} takes a function, got {type(callback).__name__}.")
    if vmap_method not in VMAP_METHODS:
        raise ArgumentError(
            f"{what}: vmap_method {vmap_method!r} is unknown.", fix=f"use one of {', '.join(map(str, VMAP_METHODS))}."
        )
    name = getattr(callback, "__name__", type(callback).__name__)
    leaves, structure = flatten((args, kwargs))
    is_value = [isinstance(x, (Tensor, bool, int, float, complex, np.ndarray, np.generic)) for x in leaves]
    place = place_of(leaves)
    tensors = [as_tensor(x, place) for x, v in zip(leaves, is_value) if v]
    results, result_structure = _result_types(what, result_shape_dtypes)
    avals = tuple(make_aval(tuple(r.shape), dtypes.canonical(r.dtype), place) for r in results)
    fixed = [None if v else x for x, v in zip(leaves, is_value)]

    @functools.wraps(callback, assigned=("__name__",), updated=())
    def flat(*arrays):
        values = iter(arrays)
        args, kwargs = structure.unflatten([next(values) if v else x for x, v in zip(fixed, is_value)])
        returned = callback(*args, **kwargs)
        if not results:
            return []
        found, found_structure = _flatten_arrays(returned)
        if found_structure != result_structure:
            raise ArgumentError(f"The callback {name} returned {found_structure}, it promised {result_structure}.")
        return found

    outs = host_call(*tensors, callback=Callback(flat, name, has_effect), avals=avals, vmap=vmap_method, device=place)
    return result_structure.unflatten(list(outs))


def _result_types(what, tree):
    leaves, structure = flatten_until(tree, lambda x: hasattr(x, "shape") and hasattr(x, "dtype"))
    for leaf in leaves:
        if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
            raise ArgumentError(
                f"{what}: the result type contains {type(leaf).__name__}.", fix="use ShapeDtypeStruct(shape, dtype)."
            )
    return leaves, structure


def _flatten_arrays(tree):
    return flatten_until(tree, None)
