"""jax.ref: references, the one kind of array that changes. ref[...] reads, ref[i] = x writes.

A Ref holds a handle on an array, and a write gives that handle a new value. Transforms and control flow thread handles that are
changed within them, so that traced functions may read and write Refs that they close over, are given, or make themselves.

Differences from JAX: Refs are no arguments of vmap, nor xs of scan (both raise); ref.at[index] works outside of kernels, too, and a
derivative may go through a write to a Ref from outside, where JAX raises. In a Jaxpr there are no Refs, only their values.
"""

import numpy as np

from ..core.node import state
from ..primitives.base import note_captures
from ..transforms.control_flow import set_state
from ..transforms.tree import flatten, flatten_until, register, tree_map
from . import at
from .array import Array
from .convert import convertible
from .jaxprs import shaped

__all__ = ["AbstractRef", "Ref", "addupdate", "empty_ref", "free_ref", "freeze", "get", "new_ref", "set", "swap"]


class Cell(Array):
    """The handle of a Ref. Unlike Arrays, of which several handles may be equal, each is known by itself."""

    __slots__ = ()
    __hash__ = object.__hash__

    @classmethod
    def of(cls, array):
        """A new handle on the value of an array."""
        cell = cls.__new__(cls)
        cell._node = array._node
        return cell


class AbstractRef:
    """The type of a Ref: that of the array that it holds."""

    def __init__(self, inner_aval, memory_space=None, kind=None):
        self.inner_aval, self.memory_space, self.kind = inner_aval, memory_space, kind

    shape = property(lambda self: self.inner_aval.shape)
    dtype = property(lambda self: self.inner_aval.dtype)
    ndim = property(lambda self: len(self.inner_aval.shape))
    size = property(lambda self: self.inner_aval.size)

    def __eq__(self, other):
        return isinstance(other, AbstractRef) and self.inner_aval == other.inner_aval

    def __hash__(self):
        return hash(self.inner_aval)

    def __repr__(self):
        return f"Ref{{{self.inner_aval.str_short()}}}"


class Ref:
    """A mutable array, made by new_ref. It has no arithmetic: ref[...] is its value as an Array."""

    __slots__ = ("_array",)
    made = False  # whether there are any, for those who would look for them

    def __init__(self, array):
        Ref.made = True
        self._array = Cell.of(array)

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    weak_type = property(lambda self: self._array.weak_type)
    sharding = property(lambda self: self._array.sharding)
    aval = property(lambda self: AbstractRef(shaped(self._array._node.aval)), doc="Its type.")

    @property
    def at(self):
        """ref.at[index]: that part of it as a Ref, through which it is read and written."""
        return _At(self)

    def __getitem__(self, index):
        return get(self, index)

    def __setitem__(self, index, value):
        swap(self, index, value, "set")

    def addupdate(self, x, idx=()):
        """ref[idx] += x, where repeated positions count each time."""
        addupdate(self, idx, x)

    def __len__(self):
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        raise TypeError("A Ref has no truth value: ask its value, ref[...].")

    def __repr__(self):
        return type(self).__name__ + repr(self._array).removeprefix("Array")

    def _replace(self, array):
        if state.frame is not None:
            note_captures((self._array,))
        set_state(self._array, array)


class _At:
    __slots__ = ("ref",)

    def __init__(self, ref):
        self.ref = ref

    def __getitem__(self, index):
        return View(self.ref, _checked(self.ref, index))


class View(Ref):
    """A part of a Ref: ref.at[index]."""

    __slots__ = ("index", "ref")

    def __init__(self, ref, index):
        self.ref, self.index = ref, index

    _array = property(lambda self: get(self.ref, self.index))

    def _replace(self, array):
        swap(self.ref, self.index, array)


def new_ref(init_val, *, memory_space=None, kind=None):
    """A Ref whose first value is a copy of the array or number `init_val`. There is one space of memory; kind: None or
    "no_grad_no_remat", which says that no derivative goes through it.
    """
    if kind not in (None, "no_grad_no_remat"):
        raise ValueError(f"new_ref: kind is None or 'no_grad_no_remat', not {kind!r}.")
    found = None if isinstance(init_val, Ref) else convertible(init_val)
    if found is None:
        raise TypeError(f"new_ref takes an array or a number, got {type(init_val)}.")
    if kind is not None:
        from .lax import stop_gradient

        found = stop_gradient(found)
    return Ref(found.copy())


def empty_ref(ty, memory_space=None):
    """A Ref for a value of this shape and dtype, which is to be written first (zeros until then)."""
    from .numpy.creation import zeros

    return Ref(zeros(ty.shape, ty.dtype))


def freeze(ref):
    """The last value of a Ref, which is not used any more."""
    return get(ref)


def free_ref(ref):
    """Says that a Ref is not used any more."""


# ---- reading and writing ---------------------------------------------------------------------------------


def get(ref, idx=None):
    """ref[idx] as an Array; without idx all of it."""
    index = _checked(ref, idx)
    return at.getitem(ref._array, index)


def set(ref, idx, value):
    """ref[idx] = value, a value of that shape and dtype."""
    swap(ref, idx, value, "set")


def swap(ref, idx, value, _function_name="ref_swap"):
    """ref[idx] = value; gives what was there."""
    index = _checked(ref, idx)
    old = at.getitem(ref._array, index)
    ref._replace(ref._array.at[index].set(_fitting(ref, old, value, _function_name)))
    return old


def addupdate(ref, idx, x):
    """ref[idx] += x, where repeated positions count each time."""
    index = _checked(ref, idx)
    old = at.getitem(ref._array, index)
    ref._replace(ref._array.at[index].add(_fitting(ref, old, x, "addupdate")))


def _checked(ref, idx):
    """The index (None: all of it). Unlike those of Arrays, ints that are out of range are errors."""
    if not isinstance(ref, Ref):
        raise ValueError(f"Can only call `get` and `swap` on a Ref, got {type(ref)}.")
    if idx is None:
        return ...
    items = idx if isinstance(idx, tuple) else (idx,)
    before = next((k for k, item in enumerate(items) if item is Ellipsis), len(items))
    sizes = (*ref.shape[:before], None, *ref.shape[ref.ndim - len(items) + before + 1 :])
    for item, n in zip(items, sizes):
        if isinstance(item, slice) and item.step is not None and item.step < 1:
            raise ValueError(f"slice must have a step >= 1 (found: {item.step})")
        if isinstance(item, (int, np.integer)) and n is not None and not -n <= item < n:
            raise ValueError(f"Out of bound indexer: idx={item}, dim={n}.")
    return idx


def _fitting(ref, old, value, name):
    """`value` as an Array; ValueError unless it has the shape and dtype of what it replaces."""
    found = convertible(value)
    if found is None:
        raise TypeError(f"{name}: {value!r} of type {type(value)} is not a valid JAX type.")
    if found.shape != old.shape:
        raise ValueError(
            f"Invalid shape for `{name}`. Ref shape: {ref.shape}. Expected shape: {old.shape}. Value shape: {found.shape}. "
            "Nothing is broadcast: write jnp.full_like(ref[index], value)."
        )
    if found.dtype != ref.dtype:
        raise ValueError(f"Invalid dtype for `{name}`. Ref dtype: {ref.dtype}. Value dtype: {found.dtype}.")
    return found


# ---- as arguments of traced functions --------------------------------------------------------------------


class Value:
    """What stands for a Ref among the arguments of a program: its value when the program begins."""

    __slots__ = ("array",)

    def __init__(self, array):
        self.array = array


register(Value, lambda value: ((value.array,), None), lambda _, children: Value(*children))


def among(tree):
    """The Refs among the leaves of a tree."""
    return [x for x in flatten(tree)[0] if type(x) is Ref] if Ref.made else []


def values_of(tree):
    """The tree with Values in place of its Refs."""
    return tree_map(lambda x: Value(x._array) if type(x) is Ref else x, tree)


def refs_of(tree, refs):
    """The tree with new Refs, which are appended to the list `refs`, in place of its Values."""

    def made(x):
        if type(x) is not Value:
            return x
        refs.append(Ref(x.array))
        return refs[-1]

    leaves, structure = flatten_until(tree, lambda x: type(x) is Value)
    return structure.unflatten(map(made, leaves))
