"""grads: derivatives of values already computed or pending. fngrad, vjp, jvp, ...: of functions."""

import functools

import numpy as np

from ..core.device import device as devices
from ..core.dtype import FLOAT0, canonical, is_inexact
from ..core.errors import ArgumentError, DtypeError, GradientError, ShapeError
from ..core.node import LINEAR, TRACKED, GradientFrame, differentiating, make_aval, placeholder_node, state
from ..core.tensor import Tensor, without_history, wrap
from ..ops.creation import as_tensor
from ..primitives.control import identity
from ..primitives.elementwise import convert_to
from ..primitives.held import zeros as zeros_of
from ..primitives.shape import filled_like, zeros_like
from .derivative import backward, forward, transpose_linear
from .trace import place_of
from .tree import flatten, flatten_until, is_module, leaf_names


class no_grad:
    """Context manager and decorator: what is computed inside keeps no history for `grads`.

    >>> with pg.no_grad():
    ...     accuracy = (model(x).argmax(1) == y).mean()
    """

    def __enter__(self):
        state.masks = (state.flags_mask, state.masks)
        state.flags_mask &= ~TRACKED

    def __exit__(self, *exc):
        state.flags_mask, state.masks = state.masks

    def __call__(self, function):
        if is_generator_function(function):
            raise ArgumentError(
                "no_grad() cannot decorate a generator function.", fix="write `with no_grad():` inside it."
            )

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with no_grad():
                return function(*args, **kwargs)

        return wrapped


def is_generator_function(function):
    """True for generator functions (without importing inspect)."""
    return bool(getattr(getattr(function, "__code__", None), "co_flags", 0) & 0x20)


# ---- grads: on the graph that is there -----------------------------------------------------------------


def grads(wrt, out, cotangent=None):
    """Derivatives of `out` with respect to the tensors in `wrt`: lazy tensors of the same structure.

    wrt: a tensor, or a list, tuple or dict of tensors of floating dtype.
    out: a tensor of floating dtype; unless it is 0-d, `cotangent` (of its shape; default ones) weighs its elements.
    A tensor that `out` does not depend on gets zeros. May be called before or after out.numpy().

    Raises GradientError if `out` has no history or a tensor in `wrt` is untracked (computed under no_grad(), detached),
    if the way between them was cut (eval(), a top-level jit), or if a tensor was given a new value (setitem,
    an optimiser step, load) after `out` was built.

    >>> x = Tensor([1.0, 2.0, 3.0])
    >>> grads([x], (x * x).sum())[0].numpy()
    array([2., 4., 6.], dtype=float32)
    """
    leaves, structure = flatten(wrt)
    for tensor in leaves:
        _check_differentiable("grads: a tensor in `wrt`", tensor)
    _check_differentiable("grads: `out`", out)
    node = out._node
    if cotangent is None and out.dtype.kind == "c":
        raise DtypeError(
            f"grads: `out` is {out.dtype.name}; gradients are of real values.",
            fix="take a real value, such as abs(y) or y.real, or give the cotangent.",
        )
    if cotangent is None:
        cotangent = filled_like(out, 1)
    else:
        cotangent = convert_to(as_tensor(cotangent, out.device), out.dtype)
    if cotangent.shape != out.shape:
        raise ShapeError(
            f"grads: the cotangent has shape {list(cotangent.shape)}, `out` has {list(out.shape)}.",
            fix="they must be equal.",
        )
    nodes = [tensor._node for tensor in leaves]
    for tensor in leaves:
        if not tensor._node.flags & TRACKED:
            raise GradientError(
                f"grads: a tensor of shape {list(tensor.shape)} in `wrt` is not tracked: it was computed under no_grad(), "
                "detached, or made by jax_api.",
                fix="make it with Tensor(x), which is tracked; or differentiate a function: fngrad(f)(x).",
            )
    if not node.flags & TRACKED:
        raise GradientError(
            "grads: `out` has no history: it was computed from untracked arrays or under no_grad().",
            fix="compute it from Tensors outside no_grad(), or differentiate a function: fngrad(f)(x).",
        )
    for tensor in leaves:
        if node.number < getattr(tensor, "_rebound", 0):
            raise GradientError(
                f"grads: a tensor of shape {list(tensor.shape)} in `wrt` was given a new value (setitem, optimiser step or "
                "load) after `out` was computed; `out` does not depend on the new value.",
                fix="compute `out` again, or take the gradients before the tensor is changed.",
            )
    found = backward({node: cotangent}, nodes, on_cut=functools.partial(_check_cut, nodes))
    results = []
    for t, g in zip(leaves, found):
        g = zeros_like(t) if g is None else convert_to(g, t.dtype, t.weak_type)
        if not g._node.flags & TRACKED & state.flags_mask:  # a constant: its own derivative is zero, not an error
            g = identity(g)
            g._node.flags |= TRACKED & state.flags_mask
        results.append(g)
    return structure.unflatten(results)


def _check_cut(wanted, node):
    """A node without history is on the way: an error if it depended on something that is asked for."""
    for target in wanted:
        if target is not node and node.cut.depends_on(target):
            raise GradientError(
                f"grads: the way from `out` to a tensor of shape {list(target.aval.shape)} passes a value of shape "
                f"{list(node.aval.shape)} whose history was dropped by {node.cut.reason}.",
                fix="use .numpy(), which keeps history, instead of .eval(); differentiate functions that call jit with "
                "fngrad(f); use .detach() if the value is meant to be a constant.",
            )


def _check_differentiable(what, tensor):
    if not isinstance(tensor, Tensor):
        raise ArgumentError(f"{what} must be a Tensor, got {type(tensor).__name__}.", fix="wrap it: Tensor(x).")
    if not is_inexact(tensor.dtype):
        raise DtypeError(
            f"{what} has dtype {tensor.dtype.name}: only floating dtypes have derivatives.",
            fix="convert it: x.astype(dt.float32).",
        )


# ---- derivatives of functions --------------------------------------------------------------------------


def fngrad(function, wrt=(0,), return_outs=False):
    """A function that returns the derivatives of `function` with respect to the arguments at positions `wrt`.

    wrt: a position, or a list of positions; arguments may be pytrees of tensors.
    return_outs: return (outputs, derivatives) instead of derivatives.
    The derivatives are a tuple with one pytree per position. An output that is not 0-d gets a cotangent of ones.

    >>> f = fngrad(lambda a, b: (a * b).sum(), wrt=[0, 1], return_outs=True)
    >>> outs, (da, db) = f(Tensor([1.0, 2.0]), Tensor([3.0, 4.0]))
    """
    positions = (wrt,) if isinstance(wrt, int) else tuple(wrt)

    @functools.wraps(function)
    def differentiated(*args, **kwargs):
        tracked = _any_tracked(args)
        args, nodes, structures = _with_identities(args, positions, "fngrad")
        with GradientFrame():
            with differentiating(nodes):
                outs = function(*args, **kwargs)
            results, _ = flatten(outs)
            results = [r for r in results if isinstance(r, Tensor) and is_inexact(r.dtype)]
            if not results:
                raise GradientError(f"fngrad: {_name(function)} returned no tensor of floating dtype.")
            if any(r.dtype.kind == "c" for r in results):
                raise DtypeError(
                    f"fngrad: {_name(function)} returned complex values; gradients are of real functions.",
                    fix="take a real result, such as abs(y) or y.real; or use grad(f, holomorphic=True), or vjp.",
                )
            found = _gradients_at([(r, filled_like(r, 1)) for r in results], nodes)
        derivatives = _unflatten(structures, found if tracked else _untracked(found))
        return (outs, derivatives) if return_outs else derivatives

    return differentiated


def value_and_grad(function, argnums=0, has_aux=False, holomorphic=False, allow_int=False):
    """(value, gradient) of a scalar function, as in JAX; with has_aux `function` returns (value, aux).

    argnums: a position, or several; arguments may be pytrees of tensors of floating dtype. Of a complex argument z = x + iy
    of a real function the gradient is df/dx - i df/dy. holomorphic: `function` is complex and differentiable in the
    complex sense; the gradient is its derivative. allow_int: integer leaves get None instead of an error.
    """
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(function)
    def differentiated(*args, **kwargs):
        tracked = _any_tracked(args)
        args, nodes, structures = _with_identities(args, positions, "grad", allow_int)
        with GradientFrame():
            with differentiating(nodes):
                value = function(*args, **kwargs)
            value, aux = _with_aux(function, value) if has_aux else (value, None)
            _check_scalar(_name(function), value, holomorphic, nodes)
            found = _gradients_at([(value, filled_like(value, 1))], nodes)
        derivatives = _unflatten(structures, found if tracked else _untracked(found))
        result = derivatives[0] if isinstance(argnums, int) else derivatives
        return ((value, aux), result) if has_aux else (value, result)

    return differentiated


def _check_scalar(name, value, holomorphic, nodes):
    """The result of a function whose gradient is wanted: a real (or, where holomorphic, complex) scalar."""
    _check_differentiable(f"grad: the result of {name}", value)
    if value.shape:
        raise GradientError(
            f"grad: {name} returned shape {list(value.shape)}; gradients are of scalar functions.",
            fix="reduce the result with .sum() or .mean(), or use vjp or jacrev.",
        )
    if holomorphic:
        if value.dtype.kind != "c" or any(node is not None and node.aval.dtype.kind != "c" for node in nodes):
            raise DtypeError(
                f"grad(holomorphic=True): {name} must take and return complex values, it returned {value.dtype.name}.",
                fix="convert the arguments to complex64 or complex128.",
            )
    elif value.dtype.kind == "c":
        raise DtypeError(
            f"grad: {name} returned {value.dtype.name}; gradients are of real functions.",
            fix="use grad(f, holomorphic=True) if f is differentiable in the complex sense, else take the real part.",
        )


def _with_aux(function, result):
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise ArgumentError(
            f"{_name(function)} must return (value, aux) with has_aux=True, not {type(result).__name__}."
        )
    return result


def grad(function, argnums=0, has_aux=False, holomorphic=False, allow_int=False):
    """The gradient of a scalar function with respect to the arguments at `argnums`, as in JAX; see value_and_grad."""
    with_value = value_and_grad(function, argnums, has_aux, holomorphic, allow_int)

    @functools.wraps(function)
    def differentiated(*args, **kwargs):
        value, result = with_value(*args, **kwargs)
        return (result, value[1]) if has_aux else result

    return differentiated


def vjp(function, *primals, has_aux=False):
    """(outputs, f_vjp): f_vjp(cotangents of the outputs) gives a tuple with the cotangents of the primals.

    has_aux: `function` returns (outputs, aux); the result is (outputs, f_vjp, aux). Integer leaves of the primals get
    cotangents None.
    """
    args, nodes, structures = _with_identities(primals, range(len(primals)), "vjp", allow_int=True)
    with GradientFrame(), differentiating(nodes):
        outs = function(*args)
    outs, aux = _with_aux(function, outs) if has_aux else (outs, None)
    results, out_structure = flatten(outs)
    results = [_as_primal(r) for r in results]
    outs = out_structure.unflatten(
        map(identity, results)
    )  # what the user does to them, eval() say, is not done to ours

    def f_vjp(cotangents):
        given, structure = flatten(cotangents)
        if structure != out_structure:
            raise ArgumentError(f"vjp: the cotangents have structure {structure}, the outputs {out_structure}.")
        pairs = []
        for c, r in zip(given, results):
            if not is_inexact(r.dtype):
                continue
            c = as_tensor(c, r.device)
            if c.shape != r.shape:
                raise ShapeError(f"vjp: a cotangent has shape {list(c.shape)}, its output {list(r.shape)}.")
            if c.dtype != r.dtype:
                if not c.weak_type:
                    raise DtypeError(
                        f"vjp: a cotangent has dtype {c.dtype.name}, its output {r.dtype.name}.", fix="convert it."
                    )
                c = convert_to(c, r.dtype)
            pairs.append((r, c))
        with GradientFrame():
            return _unflatten(structures, _gradients_at(pairs, nodes))

    return (outs, f_vjp, aux) if has_aux else (outs, f_vjp)


def jvp(function, primals, tangents, has_aux=False):
    """(outputs, their tangents) of `function` at `primals` in the direction `tangents`: tuples of pytrees.

    has_aux: `function` returns (outputs, aux); the result is (outputs, tangents, aux). Tangents of integer leaves are
    ignored (JAX asks for float0 arrays); those of integer results have dtype float0.
    """
    for what, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (tuple, list)):
            raise ArgumentError(f"jvp: {what} must be a tuple, got {type(given).__name__}.", fix="jvp(f, (x,), (v,))")
    if len(primals) != len(tangents):
        raise ArgumentError(
            f"jvp: {len(primals)} primals but {len(tangents)} tangents.", fix="give one tangent per primal."
        )
    args, nodes, _ = _with_identities(primals, range(len(primals)), "jvp", allow_int=True)
    given, structure = flatten(tuple(tangents))
    if structure != flatten(tuple(primals))[1]:
        raise ArgumentError("jvp: primals and tangents have different structures.")
    directions = {n: _tangent_for(n, t) for n, t in zip(nodes, given) if n is not None}
    with GradientFrame(), differentiating(nodes):
        outs = function(*args)
        outs, aux = _with_aux(function, outs) if has_aux else (outs, None)
        results, out_structure = flatten(outs)
        results = [_as_primal(r) for r in results]
        found = forward([r._node for r in results], directions)
    moved = out_structure.unflatten([_tangent_or_zero(r, t) for r, t in zip(results, found)])
    return (outs, moved, aux) if has_aux else (outs, moved)


def _tangent_for(node, tangent):
    """A tangent that fits the node of an argument."""
    aval = node.aval
    tangent = as_tensor(tangent, aval.device)
    if tangent.shape != aval.shape:
        raise ShapeError(f"jvp: a tangent has shape {list(tangent.shape)}, its primal {list(aval.shape)}.")
    if tangent.dtype != aval.dtype and not tangent.weak_type:
        raise DtypeError(
            f"jvp: a tangent has dtype {tangent.dtype.name}, its primal {aval.dtype.name}.", fix="convert it."
        )
    return convert_to(tangent, aval.dtype)


def _tangent_or_zero(x, tangent):
    if not is_inexact(x.dtype):
        return np.zeros(x.shape, FLOAT0)
    return zeros_like(x) if tangent is None else tangent


def linearize(function, *primals, has_aux=False):
    """(outputs, f_jvp): f_jvp(*tangents) gives the tangents of the outputs; what it needs of `function` is computed once.

    has_aux: `function` returns (outputs, aux); the result is (outputs, f_jvp, aux).
    """
    args, nodes, _ = _with_identities(primals, range(len(primals)), "linearize", allow_int=True)
    with GradientFrame(), differentiating(nodes):
        outs = function(*args)
    outs, aux = _with_aux(function, outs) if has_aux else (outs, None)
    results, out_structure = flatten(outs)
    results = [_as_primal(r) for r in results]
    outs = out_structure.unflatten(
        map(identity, results)
    )  # what the user does to them, eval() say, is not done to ours
    _, structure = flatten(tuple(primals))

    def f_jvp(*tangents):
        given, found_structure = flatten(tangents)
        if found_structure != structure:
            raise ArgumentError(f"linearize: the tangents have structure {found_structure}, the primals {structure}.")
        directions = {n: _tangent_for(n, t) for n, t in zip(nodes, given) if n is not None}
        with GradientFrame():
            found = forward([r._node for r in results], directions)
        return out_structure.unflatten([_tangent_or_zero(r, t) for r, t in zip(results, found)])

    return (outs, f_jvp, aux) if has_aux else (outs, f_jvp)


def linear_transpose(function, *primals):
    """The transpose of a linear function: a function from cotangents of its outputs to a tuple of those of its arguments.

    primals: arguments, or objects with their shapes and dtypes (ShapeDtypeStruct); no value is used. Raises if the
    function is not linear. <f(x), ct> == <x, linear_transpose(f, x)(ct)> for all x and ct.
    """
    leaves, structure = _flatten_shapes(primals)
    for aval in map(_aval_of, leaves):
        if not is_inexact(aval.dtype):
            raise DtypeError(
                f"linear_transpose: an argument has dtype {aval.dtype.name}: it must be floating or complex."
            )

    def transposed(cotangents):
        place = place_of([*leaves, *flatten(cotangents)[0]])
        avals = [_aval_of(x, place) for x in leaves]
        with GradientFrame():
            nodes = [placeholder_node(aval, LINEAR | state.arguments) for aval in avals]
            outs = function(*structure.unflatten([wrap(node) for node in nodes]))
            results, out_structure = flatten(outs)
            given, found_structure = flatten(cotangents)
            if found_structure != out_structure:
                raise ArgumentError(
                    f"linear_transpose: the cotangents have structure {found_structure}, the outputs {out_structure}."
                )
            pending = {}
            for r, c in zip(results, given):
                c = _tangent_for(r._node, c)
                if r._node.flags & LINEAR:
                    pending[r._node] = pending[r._node] + c if r._node in pending else c
            found = transpose_linear(pending, dict.fromkeys(nodes), strict=True)
        return structure.unflatten([found[n] if n in found else zeros_of(n.aval) for n in nodes])

    return transposed


def _flatten_shapes(tree):
    return flatten_until(tree, lambda x: hasattr(x, "shape") and hasattr(x, "dtype"))


def _aval_of(x, place=devices.cpu):
    if isinstance(x, Tensor):
        return x._node.aval
    if not hasattr(x, "shape"):
        x = np.asarray(x, np.float32 if isinstance(x, float) else None)
    return make_aval(tuple(x.shape), canonical(x.dtype), place)


def _with_identities(args, positions, name, allow_int=False):
    """The arguments with fresh identity nodes for all tensors at `positions`; these nodes; their structures.

    allow_int: leaves without derivative stay as they are; None stands for their node.
    """
    args, nodes, structures = list(args), [], []
    for position in positions:
        if not -len(args) <= position < len(args):
            raise ArgumentError(
                f"{name}: there is no argument {position}; {len(args)} were given.",
                fix="positions count from 0; pass the argument by position.",
            )
        leaves, structure = flatten(args[position])
        fresh = []
        place = place_of(leaves)
        for tensor in [as_tensor(x, place) if _is_value(x) else x for x in leaves]:
            if allow_int and isinstance(tensor, Tensor) and not is_inexact(tensor.dtype):
                fresh.append(tensor)
                nodes.append(None)
                continue
            if isinstance(tensor, Tensor) and not structure.is_leaf() and not is_inexact(tensor.dtype):
                raise _integer_leaf(name, position, args[position], len(fresh), tensor)
            _check_differentiable(f"{name}: argument {position}", tensor)
            copy = identity(tensor)
            copy._node.flags |= TRACKED
            fresh.append(copy)
            nodes.append(copy._node)
        structures.append((structure, len(fresh)))
        args[position] = structure.unflatten(fresh)
    return args, nodes, structures


def _integer_leaf(name, position, argument, index, tensor):
    """The error for a leaf without derivative in a container: a count in a module, say."""
    leaf = argument.named_leaves()[index][0] if is_module(argument) else leaf_names(argument, "")[index]
    return DtypeError(
        f"{name}: {leaf} of argument {position}, a {type(argument).__name__}, has dtype {tensor.dtype.name}: only floating dtypes have derivatives.",
        fix="differentiate with respect to the rest (of a module: to its parameters, through nn.apply_to_module), or "
        "let it have None: grad(f, allow_int=True).",
    )


def _any_tracked(args):
    return any(isinstance(x, Tensor) and x._node.flags & TRACKED for x in flatten(args)[0])


def _untracked(gradients):
    """Gradients of untracked arguments, outside of all transforms: arrays without history, as the arguments are."""
    if state.frame is not None or state.gradient_frames:
        return gradients
    return [
        g if g is None or not g._node.flags & TRACKED else wrap(without_history(g, tracked=False)) for g in gradients
    ]


def _is_value(x):
    """Numbers and arrays may stand for tensors."""
    return isinstance(x, (int, float, complex, np.ndarray, np.generic))


def _as_primal(x):
    return as_tensor(x, place_of([])) if _is_value(x) else x


def _gradients_at(cotangents, nodes):
    combined = {}
    for result, ct in cotangents:  # (result, cotangent) pairs; the same node may be returned twice
        combined[result._node] = combined[result._node] + ct if result._node in combined else ct
    wanted = [node for node in nodes if node is not None]
    found = iter(backward(combined, wanted, on_cut=functools.partial(_check_cut, wanted)))
    results = []
    for node in nodes:
        g = None if node is None else next(found)
        results.append(zeros_like(wrap(node)) if g is None and node is not None else g)
    return results


def _unflatten(structures, leaves):
    trees, position = [], 0
    for structure, count in structures:
        trees.append(structure.unflatten(leaves[position : position + count]))
        position += count
    return tuple(trees)


def _name(function):
    return getattr(function, "__name__", None) or type(function).__name__
