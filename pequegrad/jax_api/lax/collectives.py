"""Functions of the values that all examples along a named axis of vmap have: sums, gathers, permutations, positions."""

import math
import operator

from ...core.dtype import default_float, dt, is_inexact
from ...core.errors import ShapeError
from ...ops.dynamic import dynamic_index_in_dim
from ...primitives import collectives as p
from ...primitives import elementwise as e
from ...primitives import shape as s
from ...transforms import collectives as core
from ...transforms.tree import flatten, tree_map
from ..convert import as_array, current_device, to_array

axis_size = core.axis_size


def _names(axis_name):
    return tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)


def _no_groups(name, groups):
    if groups is not None:
        raise NotImplementedError(f"{name}: axis_index_groups is not supported.")


def _each(name, function, x):
    return tree_map(lambda leaf: function(as_array(leaf, name)), x)


def _over_axes(name, primitive, x, axis_name, groups):
    _no_groups(name, groups)
    names = _names(axis_name)
    for n in names:
        core.axis_size(n)

    def apply(leaf):
        for n in names:
            leaf = primitive(leaf, axis_name=n)
        return leaf

    return _each(name, apply, x)


def psum(x, axis_name, *, axis_index_groups=None):
    """The sum of each leaf of x over the named axis, or axes; of a Python number the product with their size."""
    if not flatten(x)[0]:
        return x
    if type(x) in (int, float, complex, bool):
        _no_groups("psum", axis_index_groups)
        return x * math.prod(core.axis_size(n) for n in _names(axis_name))
    return _over_axes("psum", _sum, x, axis_name, axis_index_groups)


def _sum(x, *, axis_name):
    return p.psum(e.convert_to(x, dt.int32) if x.dtype.kind == "b" else x, axis_name=axis_name)


def pmean(x, axis_name, *, axis_index_groups=None):
    """The mean of each leaf of x over the named axis, or axes."""
    size = math.prod(core.axis_size(n) for n in _names(axis_name))

    def mean(leaf):
        leaf = leaf if is_inexact(leaf.dtype) else e.convert_to(leaf, default_float(), leaf.weak_type)
        return e.div(psum(leaf, axis_name, axis_index_groups=axis_index_groups), size)

    return _each("pmean", mean, x)


def pmax(x, axis_name, *, axis_index_groups=None):
    """The largest of each leaf of x along the named axis, or axes."""
    return _over_axes("pmax", p.pmax, x, axis_name, axis_index_groups)


def pmin(x, axis_name, *, axis_index_groups=None):
    """The smallest of each leaf of x along the named axis, or axes."""
    return _over_axes("pmin", p.pmin, x, axis_name, axis_index_groups)


def axis_index(axis_name):
    """The position of the example along the named axis, int32; of several names in row-major order."""
    total = None
    for name in _names(axis_name):
        size = core.axis_size(name)
        here = to_array(p.axis_index(axis_name=name, axis_size=size, device=current_device()))
        total = here if total is None else e.add(e.mul(total, size), here)
    return total


def all_gather(x, axis_name, *, axis_index_groups=None, axis=0, tiled=False, to="varying"):
    """The values of all examples along the named axis, or axes, stacked along a new axis, or joined along one (tiled)."""
    _no_groups("all_gather", axis_index_groups)
    names = _names(axis_name)
    sizes = [core.axis_size(n) for n in names]

    def gathered(leaf):
        at = _axis(axis, leaf.ndim - tiled, "all_gather")
        for name, size in reversed(list(zip(names, sizes))):
            leaf = p.all_gather(leaf, axis_name=name, axis_size=size, position=at)
        shape = leaf.shape
        whole = math.prod(sizes) * (shape[at + len(sizes)] if tiled else 1)
        return s.reshape_to(leaf, (*shape[:at], whole, *shape[at + len(sizes) + tiled :]))

    return _each("all_gather", gathered, x)


def _axis(axis, last, name):
    """An axis from 0 to `last`, which may count from the end."""
    axis = operator.index(axis)
    if not -last - 1 <= axis <= last:
        raise ShapeError(f"{name}: axis {axis} is not one of {last + 1}.")
    return axis % (last + 1)


def _own(gathered, axis_name, axis):
    """The part of what all examples share that belongs to this one, by its position along the named axis."""
    return dynamic_index_in_dim(gathered, axis_index(axis_name), axis, keepdims=False)


def psum_scatter(x, axis_name, *, scatter_dimension=0, axis_index_groups=None, tiled=False):
    """The sum over the named axis, of which each example keeps its part along scatter_dimension.

    tiled: that axis is cut in as many parts as there are examples; else it has their number, and disappears.
    """
    _no_groups("psum_scatter", axis_index_groups)
    n = core.axis_size(axis_name)

    def scattered(leaf):
        at = _axis(scatter_dimension, leaf.ndim - 1, "psum_scatter")
        return _own(_sum_over(_cut(leaf, at, n, tiled, "psum_scatter"), axis_name), axis_name, at)

    return _each("psum_scatter", scattered, x)


def _sum_over(x, axis_name):
    for name in _names(axis_name):
        x = _sum(x, axis_name=name)
    return x


def _cut(x, axis, n, tiled, name):
    """x with an axis of n parts; tiled: what each part holds follows it."""
    size = x.shape[axis]
    if size % n or not tiled and size != n:
        raise ShapeError(f"{name}: axis {axis} of {x._node.aval} does not divide among {n} examples.")
    return s.reshape(x, shape=(*x.shape[:axis], n, size // n, *x.shape[axis + 1 :])) if tiled else x


def all_to_all(x, axis_name, split_axis, concat_axis, *, axis_index_groups=None, tiled=False):
    """Cuts x along split_axis, sends part i to example i, and joins what comes in along concat_axis.

    tiled: both axes stay; else split_axis disappears and concat_axis is new.
    """
    _no_groups("all_to_all", axis_index_groups)
    n = core.axis_size(axis_name)

    def exchanged(leaf):
        split = _axis(split_axis, leaf.ndim - 1, "all_to_all")
        join = _axis(concat_axis, leaf.ndim - 1, "all_to_all")
        parts = _cut(leaf, split, n, tiled, "all_to_all")
        everyone = all_gather(parts, axis_name)  # [sender, .., receiver, ..]
        mine = _own(everyone, axis_name, split + 1)  # [sender, rest]
        order = list(range(1, mine.ndim))
        order.insert(join, 0)
        mine = s.transpose(mine, permutation=tuple(order))
        if not tiled:
            return mine
        return s.reshape(mine, shape=(*mine.shape[:join], n * mine.shape[join + 1], *mine.shape[join + 2 :]))

    return _each("all_to_all", exchanged, x)


def pswapaxes(x, axis_name, axis, *, axis_index_groups=None):
    """Exchanges the named axis with an axis of x of the same size."""
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)


def ppermute(x, axis_name, perm):
    """Sends x along the pairs (source, target); zeros where nothing is sent to."""
    return core.ppermute(tree_map(lambda leaf: as_array(leaf, "ppermute"), x), axis_name, perm)


def pshuffle(x, axis_name, perm):
    """Example i gets x of example perm[i]."""
    perm = [operator.index(i) for i in perm]
    if sorted(perm) != list(range(core.axis_size(axis_name))):
        raise ValueError(f"`perm` does not represent a permutation: {perm}")
    return ppermute(x, axis_name, [(source, target) for target, source in enumerate(perm)])


def pbroadcast(x, axis_name, source):
    """x of the example `source` for all."""
    n = core.axis_size(axis_name)
    if not 0 <= source < n:
        raise ShapeError(f"pbroadcast: there is no example {source} of {n}.")
    return _each("pbroadcast", lambda leaf: s.reshape(
        s.slice_axis(all_gather(leaf, axis_name), 0, source, source + 1), shape=leaf.shape
    ), x)  # fmt: skip


def pcast(x, axis_name, *, to):
    """x: whether a value differs between devices is of no importance on one."""
    if to not in ("varying", "reduced", "unreduced"):
        raise ValueError(f"pcast: {to!r} is not one of 'varying', 'reduced', 'unreduced'.")
    for name in _names(axis_name):
        core.axis_size(name)
    return tree_map(lambda leaf: as_array(leaf, "pcast"), x)


__all__ = [
    "all_gather", "all_to_all", "axis_index", "axis_size", "pbroadcast", "pcast", "pmax", "pmean", "pmin", "ppermute",
    "pshuffle", "psum", "psum_scatter", "pswapaxes",
]  # fmt: skip
