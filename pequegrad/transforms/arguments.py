"""The arguments of a jitted function: their leaves as tensors, and the keys under which programs are found."""

import itertools
from operator import itemgetter

import numpy as np

from ..core import dtype as dtypes
from ..core.device import device as devices
from ..core.errors import ArgumentError
from ..core.node import make_aval, stand_in
from ..core.tensor import Tensor, tensor_from_numpy, wrap
from ..ops.creation import foreign, scalar
from .signatures import argument_names
from .tree import flatten, flatten_tensors, is_module, leaf_names, node_types

TRACED = object()  # stands for a traced leaf among those that are not


# ---- leaves ------------------------------------------------------------------------------------------


def as_tensors(leaves, arrays=False):
    """The leaves as Tensors; None for each that is neither a tensor nor a number or NumPy array. arrays: by the rules of jax_api."""
    if arrays:
        return [x if isinstance(x, Tensor) else None if type(x) in node_types else foreign(x) for x in leaves]
    place = next((x.device for x in leaves if type(x) is Tensor), devices.cpu)
    wide = any(getattr(x, "dtype", None) in _WIDE for x in leaves)  # floats beside float64 keep their digits
    return [x if type(x) is Tensor else _as_tensor(x, place, wide) for x in leaves]


_WIDE = {np.dtype("float64"), np.dtype("complex128")}  # a set: compared with a dtype, None would be float64


def _as_tensor(x, place, wide):
    if isinstance(x, Tensor):
        return x
    if type(x) in (bool, int, float, complex):
        aval = _scalar_aval(x, place, wide)
        return scalar(x, aval.dtype, place, aval.weak_type)
    if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind not in "OUSMm":
        return tensor_from_numpy(np.asarray(x), place)
    return None


def _scalar_aval(x, place, wide):
    """The aval of a Python number as an argument: weakly typed, in 32 bits where it fits."""
    if type(x) is bool:
        return make_aval((), np.dtype(bool), place)
    if type(x) is complex:
        return make_aval((), np.dtype("complex128" if wide else "complex64"), place, True)
    if type(x) is int:
        return make_aval((), np.dtype("int32" if -(2**31) <= x < 2**31 else "int64"), place, True)
    return make_aval((), np.dtype("float64" if wide else "float32"), place, True)


def from_abstract(x):
    """A placeholder for what has only a shape and a dtype; anything else as it is."""
    if isinstance(x, (Tensor, np.ndarray, np.generic)) or not (hasattr(x, "shape") and hasattr(x, "dtype")):
        return x
    dtype = dtypes.canonical(x.dtype)
    return wrap(stand_in(make_aval(tuple(x.shape), dtype, devices.cpu, getattr(x, "weak_type", False))))


# ---- a quick way to the leaves -----------------------------------------------------------------------


def quick_nodes(args, arrays=False):
    """(structure, nodes of the leaves): the structure is hashable, the order of the leaves its own (see order_of_leaves).

    Containers of one level, the common case, are opened without optree. The nodes are None if a leaf cannot be traced.
    """
    leaves, structure = _opened(args)
    nodes = _nodes(leaves, arrays)
    if nodes is None and not (any(map(is_module, leaves)) and not arrays):
        leaves, structure = flatten_tensors(args)
        nodes = _nodes(leaves, arrays)
    return structure, nodes


def _opened(args):
    leaves, structure = [], []
    for x in args:
        kind = type(x)
        if kind is dict:
            leaves += x.values()
            structure.append(tuple(x))
        elif kind is tuple or kind is list:
            leaves += x
            structure += kind, len(x)
        else:
            leaves.append(x)
            structure.append(None)
    return leaves, tuple(structure)


def _nodes(leaves, arrays):
    try:
        return [x._node for x in leaves]
    except AttributeError:
        tensors = as_tensors(leaves, arrays)
        return None if any(x is None for x in tensors) else [x._node for x in tensors]


def order_of_leaves(args, structure):
    """Picks from the leaves that quick_nodes found those of `flatten`, in its order; None if the orders are the same."""
    if type(structure) is not tuple:
        return None
    number = itertools.count().__next__
    numbered = []
    for x in args:
        if type(x) is dict:
            numbered.append({key: number() for key in x})
        elif type(x) in (tuple, list):
            numbered.append([number() for _ in x])
        else:
            numbered.append(number())
    order = flatten(numbered)[0]
    return None if order == sorted(order) else itemgetter(*order)


# ---- keys --------------------------------------------------------------------------------------------


def argument_key(name, leaves, structure, static, arrays=False):
    """(key, traced leaves as Tensors, all leaves with TRACED in place of those); static: name or position -> value."""
    traced, kinds, others = [], [], []
    for x, tensor in zip(leaves, as_tensors(leaves, arrays)):
        if tensor is None:
            kinds.append(_static_leaf(x, name))
            others.append(x)
        else:
            traced.append(tensor)
            kinds.append(tensor._node.aval.update())  # the one in the table of avals, should it have been cleared
            others.append(TRACED)
    key = structure, tuple(kinds), tuple(static), tuple(map(_frozen, static.values()))
    try:
        hash(key)
    except TypeError:
        kinds = ", ".join(type(value).__name__ for value in static.values())
        raise ArgumentError(
            f"{name}: a static argument is not hashable ({kinds}).",
            fix="use numbers, strings and tuples as static arguments.",
        ) from None
    return key, traced, others


def _frozen(value):
    """A static value as a key that tells 1, 1.0, True, 0.0 and -0.0 apart, and knows nan again."""
    if isinstance(value, tuple):
        return tuple(map(_frozen, value))
    return type(value), repr(value) if isinstance(value, (float, complex)) else value


def _shown(frozen):
    """The text of a value that _frozen made."""
    if frozen and isinstance(frozen[0], tuple):
        return f"({', '.join(map(_shown, frozen))})"
    if not frozen:
        return "()"
    kind, value = frozen
    return value if kind in (float, complex) else repr(value)


def _static_leaf(x, name):
    """A leaf that is not an array: modules stand for themselves, all else is an error."""
    if is_module(x):
        return id(x), x
    raise ArgumentError(
        f"{name}: an argument of type {type(x).__name__} cannot be traced.",
        fix="pass tensors, arrays or numbers, or name it in static_argnums / static_argnames.",
    )


def differences(function, old, new):
    """What tells two keys apart, in the words of the function's signature: a list of texts."""
    if old[0] != new[0]:
        return [f"the structure of the arguments: {old[0]} -> {new[0]}"]
    names = _leaf_names(function, new[0])
    found = [f"{name}: {a} -> {b}" for name, a, b in zip(names, old[1], new[1]) if a != b]
    names = [name if type(name) is str else argument_names(function, name + 1)[name] for name in new[2]]
    return found + [f"static {n}: {_shown(a)} -> {_shown(b)}" for n, a, b in zip(names, old[3], new[3]) if a != b]


def _leaf_names(function, structure):
    args, kwargs = structure.unflatten(range(structure.num_leaves))
    names = argument_names(function, len(args))
    found = [name for argument, name in zip(args, names) for name in leaf_names(argument, name)]
    return found + [name for key, value in sorted(kwargs.items()) for name in leaf_names(value, key)]


def leaf_owners(function, structure):
    """For messages: which argument each leaf belongs to."""
    args_structure, kwargs_structure = structure.children()
    children = args_structure.children()
    found = []
    for name, child in zip(argument_names(function, len(children)), children):
        found += [f"argument `{name}`"] * child.num_leaves
    return found + ["a keyword argument"] * kwargs_structure.num_leaves
