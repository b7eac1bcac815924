"""jax.grad, jax.vjp, jax.jvp ...: derivatives of functions of pytrees of Arrays.

A function is run once on copies of its arguments (identity nodes, newer than all else) inside a GradientFrame; what it made
is then walked by transforms.derivative. Arguments that are not differentiated reach the function as they were given.
"""

import functools
from operator import index

import numpy as np

from ..core.dtype import FLOAT0, is_inexact
from ..core.errors import ArgumentError, DtypeError, ShapeError
from ..core.node import ARRAY, LINEAR, TRACKED, GradientFrame, differentiating, face, placeholder_node, state
from ..core.tensor import Tensor, without_history, wrap
from ..primitives.control import identity
from ..primitives.elementwise import convert
from ..primitives.shape import filled_like, reshape, slice_axis, zeros_like
from ..transforms import gradients
from ..transforms.derivative import backward, forward
from ..transforms.jacobians import basis
from ..transforms.tree import flatten, flatten_until
from ..transforms.vmap import vmap
from .convert import convertible

__all__ = [
    "grad",
    "hessian",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "linear_transpose",
    "linearize",
    "value_and_grad",
    "vjp",
]


# ---- the function at a point -----------------------------------------------------------------------------


class _Point:
    """What fun(*primals) gives, with the nodes that derivatives are taken with respect to."""

    def __init__(self, what, fun, primals, has_aux=False):
        """what: the transform, for messages. Leaves of integers have no node but None."""
        given, self.structure = flatten(tuple(primals))
        self.leaves = [as_leaf(what, x) for x in given]
        copies = [_differentiable_copy(x) if is_inexact(x.dtype) else x for x in self.leaves]
        self.nodes = [x._node if is_inexact(x.dtype) else None for x in copies]
        with GradientFrame(), differentiating(self.nodes):
            outs = fun(*self.structure.unflatten(copies))
            outs, self.aux = _with_aux(outs) if has_aux else (outs, None)
            found, self.out_structure = flatten(outs)
            self.outs = [as_leaf(f"the result of {what}", x) for x in found]

    def tangents(self, directions):
        """The tangents of the results (float0 zeros: of integers), as a tree; directions: one for each leaf."""
        given = {n: t for n, t in zip(self.nodes, directions) if n is not None}
        with GradientFrame():
            found = forward([r._node for r in self.outs], given)
        moved = [_float0(r) if not is_inexact(r.dtype) else _typed_like(r, t) for r, t in zip(self.outs, found)]
        return self.out_structure.unflatten(moved)

    def cotangents(self, given):
        """The cotangents of the leaves, a list (float0 zeros: of integers); given: one for each result."""
        pending = {}
        with GradientFrame():
            for r, ct in zip(self.outs, given):
                if is_inexact(r.dtype):
                    node = r._node
                    pending[node] = pending[node] + ct if node in pending else ct
            wanted = [n for n in self.nodes if n is not None]
            found = iter(backward(pending, wanted))
            found = [None if n is None else next(found) for n in self.nodes]
            return [_float0(x) if n is None else _typed_like(x, ct) for x, n, ct in zip(self.leaves, self.nodes, found)]


def as_leaf(what, x):
    found = x if isinstance(x, Tensor) else convertible(x)
    if found is None:
        raise ArgumentError(
            f"{what}: {x!r} of type {type(x).__name__} is not a valid JAX type: arrays and numbers are."
        )
    return found


def _differentiable_copy(x):
    copy = identity(x)
    copy._node.flags |= TRACKED
    return copy


def _typed_like(x, derivative):
    """A derivative (None: zeros) in the dtype and weak type of x."""
    if derivative is None:
        return zeros_like(x)
    if derivative.dtype == x.dtype and derivative.weak_type == x.weak_type:
        return derivative
    return convert(derivative, dtype=x.dtype, weak_type=x.weak_type)


def _float0(x):
    return np.zeros(x.shape, FLOAT0)


def _with_aux(result):
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise ArgumentError(f"With has_aux=True the function returns a pair (value, aux), not {type(result).__name__}.")
    return result


class _Release:
    """Decides whether results of a derivative need their history: not if it was the outermost one, of untracked arguments."""

    def __init__(self, primals):
        inside = state.frame is not None or state.gradient_frames
        self.wanted = not (
            inside or any(isinstance(x, Tensor) and x._node.flags & TRACKED for x in flatten(primals)[0])
        )

    def __call__(self, tree):
        if not self.wanted:
            return tree
        leaves, structure = flatten(tree)
        return structure.unflatten(
            [
                wrap(without_history(x, tracked=False)) if isinstance(x, Tensor) and x._node.flags & TRACKED else x
                for x in leaves
            ]
        )


def _check_callable(what, fun):
    if not callable(fun):
        raise ArgumentError(f"{what} takes a function, got {fun!r}.")


# ---- vjp, jvp, linearize ---------------------------------------------------------------------------------


def vjp(fun, *primals, has_aux=False, reduce_axes=()):
    """(fun(*primals), function from a cotangent to the tuple of cotangents of the primals); has_aux: and what fun gave besides."""
    _check_callable("vjp", fun)
    with face(True):
        point = _Point("vjp", fun, primals, has_aux)
        # copies: what is done to them, forgetting history say, is not done to ours
        outs = point.out_structure.unflatten([identity(x) for x in point.outs])

    def pull(cotangent):
        with face(True):
            found, structure = flatten(cotangent)
            if structure != point.out_structure:
                raise ValueError(
                    f"The function that vjp returned takes a cotangent of the structure of the results, {point.out_structure}, "
                    f"got {structure}."
                )
            found = [_cotangent_for(r, ct) for r, ct in zip(point.outs, found)]
            return point.structure.unflatten(point.cotangents(found))

    return (outs, pull, point.aux) if has_aux else (outs, pull)


def _cotangent_for(out, cotangent):
    """A cotangent that fits the result `out`; anything does for an integer."""
    if not is_inexact(out.dtype):
        return None
    found = convertible(cotangent)
    if found is None or found.shape != out.shape or found.dtype != out.dtype:
        got = type(cotangent).__name__ if found is None else found._node.aval
        raise ShapeError(f"The function that vjp returned got {got} as cotangent of a result that is {out._node.aval}.")
    return found


def jvp(fun, primals, tangents, has_aux=False):
    """(fun(*primals), its derivative in the direction of the tangents); has_aux: and what fun gave besides."""
    _check_callable("jvp", fun)
    if not (isinstance(primals, (tuple, list)) and isinstance(tangents, (tuple, list))):
        raise ArgumentError(
            f"jvp: primals and tangents must be tuples or lists, got {type(primals).__name__} and {type(tangents).__name__}."
        )
    with face(True):
        release = _Release((primals, tangents))
        given, structure = flatten(tuple(tangents))
        leaves, expected = flatten(tuple(primals))
        if structure != expected:
            raise ArgumentError(f"jvp: primals have structure {expected}, tangents {structure}: they must be the same.")
        directions = [_tangent_for(as_leaf("jvp", x), t) for x, t in zip(leaves, given)]
        point = _Point("jvp", fun, primals, has_aux)
        outs = point.out_structure.unflatten(point.outs)
        results = (outs, point.tangents(directions), *([point.aux] if has_aux else []))
        return release(results)


def _tangent_for(x, tangent):
    """A tangent that fits the primal x: of its dtype, float0 for an integer."""
    if not is_inexact(x.dtype):
        if getattr(tangent, "dtype", None) != FLOAT0:
            raise DtypeError(
                f"jvp: a primal is {x._node.aval}; its tangent has dtype float0: np.zeros(shape, jax.float0)."
            )
        return None
    found = as_leaf("jvp", tangent)
    if found.dtype != x.dtype:
        raise DtypeError(f"jvp: a tangent has dtype {found.dtype.name}, its primal {x.dtype.name}: they must be equal.")
    if found.shape != x.shape:
        raise ShapeError(f"jvp: a tangent has shape {found.shape}, its primal {x.shape}: they must be equal.")
    return found


def linearize(fun, *primals, has_aux=False):
    """(fun(*primals), function from tangents to the tangent of the result): what both need is computed once."""
    _check_callable("linearize", fun)
    with face(True):
        point = _Point("linearize", fun, primals, has_aux)
        # rules run now, as in JAX: some tell their library which results depend on the arguments
        point.tangents([wrap(placeholder_node(x._node.aval, LINEAR | ARRAY)) for x in point.leaves])
        outs = point.out_structure.unflatten([identity(x) for x in point.outs])

    def push(*tangents):
        with face(True):
            given, structure = flatten(tangents)
            if structure != point.structure:
                raise ArgumentError(f"The linearized function takes {point.structure}, got {structure}.")
            for x, t in zip(point.leaves, given):
                t = _float0(x) if getattr(t, "dtype", None) == FLOAT0 else as_leaf("linearize", t)
                if t.shape != x.shape or (t.dtype != x.dtype and is_inexact(x.dtype)):
                    raise ShapeError(
                        f"The linearized function got {t.dtype}{list(t.shape)} as tangent of {x._node.aval}."
                    )
            return point.tangents([convertible(t) for t in given])

    return (outs, push, point.aux) if has_aux else (outs, push)


def linear_transpose(fun, *primals, reduce_axes=()):
    """The transpose of a linear function, from a cotangent of its result to those of its arguments.

    primals: arguments, or what has their shapes and dtypes; no value is used.
    """
    _check_callable("linear_transpose", fun)
    with face(True):
        leaves, structure = flatten_until(primals, lambda x: hasattr(x, "shape") and hasattr(x, "dtype"))
        leaves = [x if hasattr(x, "shape") else as_leaf("linear_transpose", x) for x in leaves]
        transposed = gradients.linear_transpose(fun, *structure.unflatten(leaves))

    def transpose(cotangent):
        with face(True):
            return transposed(cotangent)

    return transpose


# ---- grad ------------------------------------------------------------------------------------------------


def value_and_grad(fun, argnums=0, has_aux=False, holomorphic=False, allow_int=False, reduce_axes=()):
    """A function that gives (value, gradient) of the scalar function `fun`; with has_aux ((value, aux), gradient)."""
    return _value_and_grad("value_and_grad", fun, argnums, has_aux, holomorphic, allow_int)


def _value_and_grad(what, fun, argnums, has_aux, holomorphic, allow_int):
    _check_callable(what, fun)
    argnums = _positions(argnums)

    @functools.wraps(fun)
    def differentiated(*args, **kwargs):
        with face(True):
            release = _Release(args)
            chosen, call = _chosen(fun, args, kwargs, argnums)
            for x in flatten(chosen)[0]:
                _check_input(what, as_leaf(what, x), holomorphic, allow_int)
            point = _Point(what, call, chosen, has_aux)
            _check_scalar(what, point, holomorphic)
            (value,) = point.outs
            found = point.structure.unflatten(point.cotangents([filled_like(value, 1)]))
            value = (value, point.aux) if has_aux else value
            return release((value, found[0] if isinstance(argnums, int) else found))

    return differentiated


def grad(fun, argnums=0, has_aux=False, holomorphic=False, allow_int=False, reduce_axes=()):
    """A function that gives the gradient of the scalar function `fun`; with has_aux (gradient, aux)."""
    with_value = _value_and_grad("grad", fun, argnums, has_aux, holomorphic, allow_int)

    @functools.wraps(fun)
    def differentiated(*args, **kwargs):
        value, found = with_value(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return differentiated


def _positions(argnums):
    """An int, or a tuple of ints."""
    return tuple(map(index, argnums)) if isinstance(argnums, (tuple, list)) else index(argnums)


def _chosen(fun, args, kwargs, argnums):
    """(the arguments at argnums, function of these alone)."""
    positions = (argnums,) if isinstance(argnums, int) else argnums
    if positions and max(positions) >= len(args):
        raise ArgumentError(
            f"differentiating with respect to argnums={argnums} requires at least {max(positions) + 1} positional arguments "
            f"to be passed by the caller, but got only {len(args)} positional arguments."
        )
    for n in positions:
        if n < -len(args):
            raise ValueError(f"There is no argument {n}: {len(args)} were given by position.")
    positions = [n % len(args) for n in positions]

    def call(*values):
        given = list(args)
        for n, value in zip(positions, values):
            given[n] = value
        return fun(*given, **kwargs)

    return tuple(args[n] for n in positions), call


def _check_input(what, x, holomorphic, allow_int):
    if holomorphic:
        if x.dtype.kind != "c":
            raise DtypeError(
                f"{what} with holomorphic=True requires inputs with complex dtype, but got {x.dtype.name}."
            )
    elif not is_inexact(x.dtype) and not allow_int:
        raise DtypeError(
            f"{what} requires real- or complex-valued inputs (input dtype that is a sub-dtype of np.inexact), but got "
            f"{x.dtype.name}.",
            fix="pass floating numbers; or allow_int=True, which gives float0 zeros for integers.",
        )


def _check_output(what, x, holomorphic):
    if holomorphic:
        if x.dtype.kind != "c":
            raise DtypeError(
                f"{what} with holomorphic=True requires outputs with complex dtype, but got {x.dtype.name}."
            )
    elif x.dtype.kind == "c" or not is_inexact(x.dtype):
        raise DtypeError(
            f"{what} requires real-valued outputs (output dtype that is a sub-dtype of np.floating), but got {x.dtype.name}.",
            fix="holomorphic=True is for functions that are differentiable in the complex sense, jax.vjp for any other.",
        )


def _check_scalar(what, point, holomorphic):
    if not point.out_structure.is_leaf():
        raise ArgumentError(
            f"Gradient only defined for scalar-output functions. Output had structure {point.out_structure}."
        )
    (value,) = point.outs
    if value.shape:
        raise ArgumentError(
            f"Gradient only defined for scalar-output functions. Output had shape: {value.shape}.",
            fix="reduce it with .sum() or .mean(), or use jax.vjp or jax.jacrev.",
        )
    _check_output(what, value, holomorphic)


# ---- Jacobians -------------------------------------------------------------------------------------------


def _jacobian(what, fun, argnums, has_aux, check, parts_of):
    """A function that gives, for each result of fun, the tree of the arguments with derivatives in place of its leaves.

    check(leaf): of each argument that is differentiated. parts_of(point): an iterator with the leaves of each result's tree.
    """
    _check_callable(what, fun)
    argnums = _positions(argnums)

    @functools.wraps(fun)
    def jacobian(*args, **kwargs):
        with face(True):
            release = _Release(args)
            chosen, call = _chosen(fun, args, kwargs, argnums)
            for x in flatten(chosen)[0]:
                check(as_leaf(what, x))
            point = _Point(what, call, chosen, has_aux)
            trees = [point.structure.unflatten(parts) for parts in parts_of(point)]
            result = point.out_structure.unflatten([t[0] if isinstance(argnums, int) else t for t in trees])
            return release((result, point.aux) if has_aux else result)

    return jacobian


def jacfwd(fun, argnums=0, has_aux=False, holomorphic=False):
    """The Jacobian by forward mode: for a result of shape s and an argument of shape t, of shape (*s, *t)."""

    def check(x):
        _check_input("jacfwd", x, holomorphic, False)
        if x.dtype.kind == "c" and not holomorphic:
            raise DtypeError("jacfwd requires real-valued inputs, but got complex ones.", fix="holomorphic=True")

    def parts_of(point):
        push = lambda *v: [t for t in flatten(point.tangents(v))[0] if isinstance(t, Tensor)]
        columns = iter(vmap(push, out_axes=-1)(*basis(point.leaves)))
        for r in point.outs:  # a column: (*result shape, all elements of the arguments)
            column, parts, begin = next(columns) if is_inexact(r.dtype) else None, [], 0
            for x in point.leaves:
                if column is None:
                    parts.append(np.zeros((*r.shape, *x.shape), FLOAT0))
                    continue
                part = slice_axis(column, column.ndim - 1, begin, begin + x.size)
                parts.append(reshape(part, shape=(*r.shape, *x.shape)))
                begin += x.size
            yield parts

    return _jacobian("jacfwd", fun, argnums, has_aux, check, parts_of)


def jacrev(fun, argnums=0, has_aux=False, holomorphic=False, allow_int=False):
    """The Jacobian by reverse mode: for a result of shape s and an argument of shape t, of shape (*s, *t)."""

    def parts_of(point):
        for x in point.outs:
            _check_output("jacrev", x, holomorphic)
        rows = vmap(lambda *cts: [c for c in point.cotangents(cts) if isinstance(c, Tensor)])(*basis(point.outs))
        begin = 0
        for r in point.outs:
            found = iter([slice_axis(row, 0, begin, begin + r.size) for row in rows])
            yield [
                np.zeros((*r.shape, *x.shape), FLOAT0)
                if n is None
                else reshape(next(found), shape=(*r.shape, *x.shape))
                for x, n in zip(point.leaves, point.nodes)
            ]
            begin += r.size

    check = lambda x: _check_input("jacrev", x, holomorphic, allow_int)
    return _jacobian("jacrev", fun, argnums, has_aux, check, parts_of)


jacobian = jacrev


def hessian(fun, argnums=0, has_aux=False, holomorphic=False):
    """The matrix of second derivatives of a scalar function: for an argument of shape t of shape (*t, *t)."""
    return jacfwd(jacrev(fun, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)
