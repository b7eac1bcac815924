"""psum, all_gather, ...: collectives over the axis that a vmap(axis_name=...) maps. As in jax.lax."""

from ..core.dtype import dt, is_inexact
from ..core.errors import ArgumentError, AxisNameError
from ..core.node import state
from ..ops.creation import as_tensor
from ..primitives import collectives as p
from ..primitives.elementwise import convert_to, div
from ..primitives.shape import reshape
from .trace import place_of
from .tree import tree_map


def axis_size(axis_name):
    """The size of a named axis; of several names the product."""
    if isinstance(axis_name, (tuple, list)):
        size = 1
        for name in axis_name:
            size *= axis_size(name)
        return size
    frame, known = state.frame, []
    while frame is not None:
        if axis_name in frame.axes:
            return frame.axes[axis_name]
        known += frame.axes
        frame = frame.outer
    raise AxisNameError(
        f"There is no mapped axis named {axis_name!r} here" + (f"; there are {known}." if known else "."),
        fix=f"map the function with vmap(f, axis_name={axis_name!r}).",
    )


def _names(axis_name):
    names = tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)
    for name in names:
        axis_size(name)
    return names


def _each(primitive, x, axis_name):
    """The collective over all named axes, for each leaf of x."""

    def apply(leaf):
        leaf = as_tensor(leaf)
        for name in _names(axis_name):
            leaf = primitive(leaf, axis_name=name)
        return leaf

    return tree_map(apply, x)


def psum(x, axis_name):
    """The sum of x (a pytree) over all examples along the named axis, or axes."""
    return _each(p.psum, x, axis_name)


def pmean(x, axis_name):
    """The mean of x (a pytree) over all examples along the named axis, or axes."""
    size = axis_size(axis_name)

    def mean(total):
        total = total if is_inexact(total.dtype) else convert_to(total, dt.float32)
        return div(total, size)

    return tree_map(mean, psum(x, axis_name))


def pmax(x, axis_name):
    """The largest of x (a pytree) over all examples along the named axis, or axes."""
    return _each(p.pmax, x, axis_name)


def pmin(x, axis_name):
    """The smallest of x (a pytree) over all examples along the named axis, or axes."""
    return _each(p.pmin, x, axis_name)


def all_gather(x, axis_name, *, axis=0, tiled=False):
    """The values of all examples, stacked along a new axis of each leaf of x; tiled: joined along an existing one."""
    (name,) = _names(axis_name)
    size = axis_size(name)

    def gathered(leaf):
        leaf = as_tensor(leaf)
        last = leaf.ndim - 1 if tiled else leaf.ndim
        if not -last - 1 <= axis <= last:
            raise ArgumentError(f"all_gather: axis {axis} of {leaf._node.aval}.", fix=f"use an axis up to {last}.")
        at = axis % (last + 1)
        found = p.all_gather(leaf, axis_name=name, axis_size=size, position=at)
        if not tiled:
            return found
        return reshape(found, shape=(*leaf.shape[:at], size * leaf.shape[at], *leaf.shape[at + 1 :]))

    return tree_map(gathered, x)


def ppermute(x, axis_name, perm):
    """Sends each leaf of x along the pairs (source, target) of `perm`; zeros where nothing is sent to."""
    (name,) = _names(axis_name)
    size = axis_size(name)
    pairs = tuple((int(a), int(b)) for a, b in perm)
    for what, ends in (("sources", [a for a, _ in pairs]), ("targets", [b for _, b in pairs])):
        if len(set(ends)) != len(ends) or any(not 0 <= e < size for e in ends):
            raise ArgumentError(f"ppermute: the {what} {ends} must be different positions below {size}.")
    return tree_map(lambda leaf: p.ppermute(as_tensor(leaf), axis_name=name, pairs=pairs), x)


def axis_index(axis_name):
    """The position of the example along the named axis, a 0-d int32; of several names in row-major order."""
    total = None
    for name in _names(axis_name):
        here = p.axis_index(axis_name=name, axis_size=axis_size(name), device=place_of([]))
        total = here if total is None else total * axis_size(name) + here
    return total
