"""Functions of two scalars that a reduction is given: known ones are recognised, any other is applied elementwise."""

import numpy as np

from ...core.dtype import is_float, is_integer
from ...core.errors import ArgumentError
from ...core.node import face, make_aval
from ...primitives import elementwise as e
from ...primitives.shape import concatenate, reshape, slice_axis
from ...transforms.trace import trace
from ...transforms.tree import flatten
from ...transforms.vmap import vmap

MONOIDS = ("add", "mul", "max", "min", "and", "or", "xor")


def apply_monoid(name, x, y):
    """The elementwise operation of this name."""
    return {"max": e.max_, "min": e.min_, "and": e.and_, "or": e.or_}.get(name, getattr(e, name, None))(x, y)


def monoid_of(computation, x):
    """Which one of MONOIDS the function is, on two scalars of the dtype of x; None if it is another."""
    aval = make_aval((), x.dtype, x.device)
    with face(True):
        graph, structure, _ = trace("reduce", _name(computation), [aval, aval], lambda xs: computation(*xs))
    if not structure.is_leaf() or graph.captures or graph.effects:
        return None
    node = graph.outputs[0]
    name = node.spec.primitive.name
    same = node.aval.dtype == x.dtype and set(node.inputs) == set(graph.inputs) and len(node.inputs) == 2
    return name if name in MONOIDS and same else None


def _name(function):
    return getattr(function, "__name__", type(function).__name__)


def neutral(name, dtype):
    """The number that leaves the other operand as it is; None if it is not known."""
    if name in ("add", "or", "xor", "mul"):
        return int(name == "mul")
    if name == "and":
        return True if dtype.kind == "b" else -1 if dtype.kind == "i" else int(np.iinfo(dtype).max)
    if dtype.kind == "b":
        return name == "min"
    sign = 1 if name == "min" else -1
    if is_float(dtype):
        return sign * np.inf
    if is_integer(dtype):
        return int(np.iinfo(dtype).max if sign > 0 else np.iinfo(dtype).min)
    return None


def elementwise(computation, structure):
    """The function on two lists of arrays of one shape, the leaves of trees of this structure: gives such a list."""

    def scalars(xs, ys):
        found, out_structure = flatten(computation(structure.unflatten(xs), structure.unflatten(ys)))
        if out_structure != structure:
            raise ArgumentError(
                f"{_name(computation)} returns {out_structure}; the operands have structure {structure}."
            )
        return found

    mapped = vmap(scalars)

    def apply(xs, ys):
        shape = xs[0].shape
        flat = [[reshape(x, shape=(xs[0].size,)) for x in side] for side in (xs, ys)]
        with face(True):
            found = mapped(*flat)
        for new, x in zip(found, xs):
            if new.dtype != x.dtype or new.shape != (xs[0].size,):
                raise ArgumentError(f"{_name(computation)} turns {x.dtype.name} scalars into {new._node.aval}.")
        return [reshape(x, shape=shape) for x in found]

    return apply


def fold(apply, xs, axis):
    """The elements of arrays along an axis, combined two by two in their order: `apply` is associative. Not of nothing."""
    while (n := xs[0].shape[axis]) > 1:
        half = n // 2
        pairs = [
            reshape(slice_axis(x, axis, 0, 2 * half), shape=(*x.shape[:axis], half, 2, *x.shape[axis + 1 :]))
            for x in xs
        ]
        sides = [[_drop(slice_axis(x, axis + 1, i, i + 1), axis + 1) for x in pairs] for i in (0, 1)]
        found = apply(*sides)
        if n % 2:  # the last one waits
            found = [concatenate(y, slice_axis(x, axis, n - 1, n), axis=axis) for y, x in zip(found, xs)]
        xs = found
    return [_drop(x, axis) for x in xs]


def _drop(x, axis):
    return reshape(x, shape=x.shape[:axis] + x.shape[axis + 1 :])
