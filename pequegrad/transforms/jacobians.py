"""Derivative matrices: jacfwd, jacrev, hessian, and the product of a Hessian with a vector."""

import functools

from ..core.dtype import dt, is_inexact
from ..core.errors import ArgumentError, DtypeError
from ..core.node import ARRAY
from ..core.tensor import wrap
from ..ops.creation import as_tensor
from ..primitives.elementwise import convert_to, eq
from ..primitives.shape import iota, reshape, slice_axis
from .gradients import grad, jvp, linearize, vjp
from .tree import flatten
from .vmap import vmap


def jacfwd(function, argnums=0, has_aux=False, holomorphic=False):
    """The Jacobian by forward mode, one column per element of the arguments: right for few inputs, many outputs.

    For a result of shape s and an argument of shape t it has shape (*s, *t); results and arguments may be pytrees, the
    Jacobian is then a tree of results of trees of arguments. As jax.jacfwd.
    """

    @functools.wraps(function)
    def jacobian(*args, **kwargs):
        chosen, several, call = _chosen("jacfwd", function, args, kwargs, argnums, has_aux)
        leaves, structure = _leaves("jacfwd", chosen, holomorphic)
        outs, push, *aux = linearize(call, *chosen, has_aux=has_aux)
        columns = vmap(lambda *v: push(*structure.unflatten(list(v))), out_axes=-1)(*basis(leaves))
        outs, out_structure = flatten(columns)
        trees = []
        for column in outs:  # (*result shape, all elements of the arguments)
            parts, begin = [], 0
            for x in leaves:
                part = slice_axis(column, column.ndim - 1, begin, begin + x.size)
                parts.append(reshape(part, shape=(*column.shape[:-1], *x.shape)))
                begin += x.size
            tree = structure.unflatten(parts)
            trees.append(tree if several else tree[0])
        result = out_structure.unflatten(trees)
        return (result, aux[0]) if has_aux else result

    return jacobian


def jacrev(function, argnums=0, has_aux=False, holomorphic=False, allow_int=False):
    """The Jacobian by reverse mode, one row per element of the result: right for few outputs, many inputs.

    Shapes and trees as for jacfwd.
    """

    @functools.wraps(function)
    def jacobian(*args, **kwargs):
        chosen, several, call = _chosen("jacrev", function, args, kwargs, argnums, has_aux)
        _leaves("jacrev", chosen, holomorphic)
        outs, pull, *aux = vjp(call, *chosen, has_aux=has_aux)
        results, out_structure = flatten(outs)
        results = [as_tensor(r) for r in results]
        for r in results:
            if r.dtype.kind == "c" and not holomorphic:
                raise DtypeError("jacrev: the result is complex.", fix="use jacrev(f, holomorphic=True), or jacfwd.")
        rows = vmap(lambda *cts: pull(out_structure.unflatten(list(cts))))(*basis(results))
        leaves, structure = flatten(rows)
        trees, begin = [], 0
        for r in results:
            parts = [slice_axis(row, 0, begin, begin + r.size) for row in leaves]
            tree = structure.unflatten([reshape(p, shape=(*r.shape, *p.shape[1:])) for p in parts])
            trees.append(tree if several else tree[0])
            begin += r.size
        result = out_structure.unflatten(trees)
        return (result, aux[0]) if has_aux else result

    return jacobian


jacobian = jacrev


def hessian(function, argnums=0, has_aux=False, holomorphic=False):
    """The matrix of second derivatives: jacfwd of jacrev. For a scalar function of an argument of shape t: (*t, *t)."""
    return jacfwd(jacrev(function, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)


def hvp(function, primals, vectors):
    """The Hessian of a scalar function at `primals` times `vectors` (tuples of pytrees), without the Hessian.

    Returns a tuple with one pytree per primal; costs a few evaluations of the function, whatever its size.
    """
    for what, given in (("primals", primals), ("vectors", vectors)):
        if not isinstance(given, (tuple, list)):
            raise ArgumentError(f"hvp: {what} must be a tuple, got {type(given).__name__}.", fix="hvp(f, (x,), (v,))")
    positions = tuple(range(len(primals)))
    return jvp(grad(function, positions), tuple(primals), tuple(vectors))[1]


def _chosen(what, function, args, kwargs, argnums, has_aux):
    """(the chosen arguments, whether several were asked for, function of these alone)."""
    several = not isinstance(argnums, int)
    positions = tuple(argnums) if several else (argnums,)
    for position in positions:
        if not -len(args) <= position < len(args):
            raise ArgumentError(
                f"{what}: there is no argument {position}; {len(args)} were given.", fix="positions count from 0."
            )
    positions = [position % len(args) for position in positions]

    def call(*values):
        given = list(args)
        for position, value in zip(positions, values):
            given[position] = value
        return function(*given, **kwargs)

    return [args[position] for position in positions], several, call


def _leaves(what, chosen, holomorphic):
    leaves, structure = flatten(tuple(chosen))
    leaves = [as_tensor(x) for x in leaves]
    for x in leaves:
        if not is_inexact(x.dtype) or (x.dtype.kind == "c") != holomorphic:
            raise DtypeError(
                f"{what}: an argument is {x._node.aval}; "
                + ("with holomorphic=True all are complex." if holomorphic else "real floating arguments are needed."),
                fix="convert it, or pass holomorphic=True for complex functions of complex arguments.",
            )
    return leaves, structure


def basis(leaves):
    """For each leaf the directions that are 1 at one element of all leaves: shape (all elements, *leaf shape)."""
    total, begin, found = sum(x.size for x in leaves), 0, []
    for x in leaves:
        row = iota(shape=(total, x.size), dtype=dt.int32, axis=0, device=x.device)
        column = iota(shape=(total, x.size), dtype=dt.int32, axis=1, device=x.device)
        ones = convert_to(eq(row, column + begin), x.dtype)
        ones._node.flags |= x._node.flags & ARRAY
        found.append(reshape(wrap(ones._node), shape=(total, *x.shape)))
        begin += x.size
    return found
