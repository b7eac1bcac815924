"""jax.custom_jvp, jax.custom_vjp, jax.custom_gradient, jax.closure_convert: derivatives that their authors give."""

import dataclasses
import functools
from typing import Any

import numpy as np

from ..core.dtype import FLOAT0, is_inexact
from ..core.errors import ArgumentError
from ..core.node import TRACKED, face, state
from ..primitives.held import zeros
from ..transforms import custom as core
from ..transforms import graphs
from ..transforms.control_flow import Closure
from ..transforms.trace import trace
from ..transforms.tree import flatten
from .convert import as_array, to_array
from .jaxprs import primitive_named, shaped

__all__ = [
    "CustomVJPPrimal", "SymbolicZero", "closure_convert", "custom_gradient", "custom_jvp", "custom_vjp",
    "custom_vjp_primal_tree_values", "linear_call", "zero_from_primal",
]  # fmt: skip


class SymbolicZero:
    """A tangent or cotangent that is zero, for rules that ask for such (symbolic_zeros=True)."""

    def __init__(self, aval):
        self.aval = aval

    shape = property(lambda self: self.aval.shape, doc="The shape.")
    dtype = property(lambda self: self.aval.dtype, doc="The dtype.")
    ndim = property(lambda self: self.aval.ndim, doc="The number of axes.")
    size = property(lambda self: self.aval.size, doc="The number of elements.")
    weak_type = property(lambda self: self.aval.weak_type, doc="True if the dtype gives way in promotion.")

    def __repr__(self):
        return f"SymbolicZero({self.aval})"

    def __eq__(self, other):
        return isinstance(other, SymbolicZero) and self.aval == other.aval

    def __hash__(self):
        return hash(self.aval)


def zero_from_primal(val, symbolic_zeros=False):
    """The zero tangent of a value; symbolic_zeros: as a SymbolicZero."""
    val = as_array(val, "zero_from_primal")
    return SymbolicZero(_tangent_aval(val._node.aval)) if symbolic_zeros else _zero(val._node.aval)


def _tangent_aval(aval):
    return shaped(aval).to_tangent_aval()


def _zero(aval):
    return to_array(zeros(aval)) if is_inexact(aval.dtype) else np.zeros(aval.shape, FLOAT0)


class _Custom:
    """What both kinds do in JAX's way."""

    symbolic_zeros = False

    def __new__(cls, fun, nondiff_argnums=(), nondiff_argnames=()):
        return object.__new__(cls)

    def __init__(self, fun, nondiff_argnums=(), nondiff_argnames=()):
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self.fun, self.nondiff_argnums = fun, nondiff_argnums

    def __call__(self, *args, **kwargs):
        with face(True):
            return super().__call__(*args, **kwargs)

    def zero(self, aval):
        """What the user's rules get for a tangent or cotangent that is zero."""
        return SymbolicZero(_tangent_aval(aval)) if self.symbolic_zeros else _zero(aval)

    def is_zero(self, tangent):
        """True for what the user's rules return to say that a tangent or cotangent is zero."""
        return tangent is None or isinstance(tangent, SymbolicZero)


class custom_jvp(_Custom, core.custom_jvp):
    """A function with a forward-mode rule of its own, which reverse mode transposes.

    f.defjvp(rule): rule(*nondiff arguments, primals, tangents) -> (primals out, tangents out). f.defjvps(rule_of_x, ...): each
    rule(tangent, answer, *primals) gives one term, None stands for an argument without.
    """

    def __call__(self, *args, **kwargs):
        if self.rule is None:
            raise AttributeError(f"No JVP defined for custom_jvp function {self.name} using defjvp.")
        return super().__call__(*args, **kwargs)

    def defjvp(self, jvp, symbolic_zeros=False):
        """Sets the rule; see the class."""
        self.symbolic_zeros = symbolic_zeros
        return super().defjvp(jvp)

    jvp = property(lambda self: self.rule, doc="The rule.")

    def defjvps(self, *jvps):
        """Sets one rule per argument; see the class."""
        super().defjvps(*jvps)


class custom_vjp(_Custom, core.custom_vjp):
    """A function with a reverse-mode rule of its own.

    f.defvjp(fwd, bwd): fwd(*args) -> (result, residuals), bwd(*nondiff arguments, residuals, cotangent) -> a cotangent for each
    differentiated argument, None for zero.
    """

    def __call__(self, *args, **kwargs):
        if self.fwd is None:
            raise AttributeError(f"No VJP defined for custom_vjp function {self.name} using defvjp.")
        return super().__call__(*args, **kwargs)

    def defvjp(self, fwd, bwd, symbolic_zeros=False, optimize_remat=False):
        """Sets the rules. symbolic_zeros: fwd gets CustomVJPPrimals, and bwd SymbolicZeros where a cotangent is zero."""
        self.symbolic_zeros = symbolic_zeros
        super().defvjp(fwd, bwd)

    def fwd_arguments(self, rule, leaves):
        """What fwd is called with."""
        if self.symbolic_zeros:
            leaves = [CustomVJPPrimal(x, bool(x._node.flags & TRACKED) and is_inexact(x.dtype)) for x in leaves]
        return rule.arguments(leaves)


@dataclasses.dataclass(frozen=True)
class CustomVJPPrimal:
    """An argument of a fwd rule with symbolic zeros: its value, and whether it is differentiated."""

    value: Any
    perturbed: bool


def custom_vjp_primal_tree_values(tree):
    """The tree with values for its CustomVJPPrimals."""
    from .tree_util import tree_map

    return tree_map(lambda x: x.value if isinstance(x, CustomVJPPrimal) else x, tree)


# ---- functions with what they close over -----------------------------------------------------------------


def closure_convert(fun, *example_args):
    """(function, constants): the function of the arguments and these constants, which `fun` reads from outside and which are
    traced or differentiated there."""
    leaves, structure = flatten(example_args)
    with face(True):
        avals = [as_array(x, "closure_convert")._node.aval for x in leaves]
        call = lambda values: fun(*structure.unflatten(values))
        graph, out_structure, _ = trace("closure_convert", getattr(fun, "__name__", "fun"), avals, call)
    closure = Closure([graph])
    if closure.state:
        raise ArgumentError("closure_convert: the function changes a tensor from outside.")
    hoisted = [i for i, x in enumerate(closure.constants) if _may_be_differentiated(x)]
    expected = structure

    def converted(*args):
        count = len(args) - len(hoisted)
        found, structure = flatten(tuple(args[:count]))
        if structure != expected:
            raise TypeError(f"The converted function takes arguments of structure {expected}, got {structure}.")
        operands = list(closure.constants)
        for i, value in zip(hoisted, args[count:]):
            operands[i] = value
        with face(True):
            return out_structure.unflatten(graphs.replay(closure.graphs[0], [*operands, *(as_array(x) for x in found)]))

    return converted, [closure.constants[i] for i in hoisted]


def _may_be_differentiated(x):
    node = x._node
    return is_inexact(x.dtype) and (node.frame is not None or bool(state.gradient_frames and node.flags & TRACKED))


def custom_gradient(fun):
    """Decorator: `fun` returns (result, rule), where rule(cotangent) gives the cotangents of its arguments."""

    @functools.wraps(fun)
    def answer(*args, **kwargs):
        return fun(*args, **kwargs)[0]

    @functools.wraps(fun)
    def wrapped(*args, **kwargs):
        def forward(*args):
            result, rule = fun(*args, **kwargs)
            converted, constants = closure_convert(rule, result)
            return result, (tuple(constants), _Hidden(converted), args)

        def backward(residuals, ct):
            constants, rule, args = residuals
            found = rule.value(ct, *constants)
            found = found if isinstance(found, (tuple, list)) and len(args) != 1 else (found,)
            if len(args) == 1 and isinstance(found[0], (tuple, list)) and not isinstance(args[0], (tuple, list)):
                found = tuple(found[0])
            return tuple(found)

        with_rule = custom_vjp(functools.partial(answer, **kwargs))
        with_rule.defvjp(forward, backward)
        return with_rule(*args)

    return wrapped


class _Hidden:
    """A Python object among residuals."""

    def __init__(self, value):
        self.value = value


def linear_call(fun, fun_transpose, residual_args, linear_args):
    """fun(residual_args, linear_args), a function that is linear in linear_args, whose transpose is
    fun_transpose(residual_args, cotangent)."""

    @custom_vjp
    def call(residual, linear):
        return fun(residual, linear)

    def forward(residual, linear):
        return fun(residual, linear), residual

    call.defvjp(forward, lambda residual, ct: (None, fun_transpose(residual, ct)))
    return call(residual_args, linear_args)


def __getattr__(name):
    """custom_jvp_call_p, custom_vjp_call_p: the equations of Jaxprs that follow what such a function computes."""
    if name in ("custom_jvp_call_p", "custom_vjp_call_p"):
        return primitive_named(name[:-2])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
