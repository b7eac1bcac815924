"""jax.interpreters.ad: derivatives of primitives that libraries define (jax.extend.core.Primitive).

primitive_jvps[p]: rule(primals, tangents, **params) -> (results, tangents of them). primitive_transposes[p]: rule(cotangent or
cotangents, *args, **params) -> a cotangent for each argument; linear arguments are UndefinedPrimals. Zero stands for what is zero.
"""

import functools

from ...core.node import TRACKED, make_aval, state
from ...core.tensor import Tensor
from ...primitives.held import zeros
from ..convert import current_device, to_array
from ..numpy import add
from ..tree_util import register_pytree_node

__all__ = [
    "JVPTracer", "UndefinedPrimal", "Zero", "add_jaxvals", "add_tangents", "defbilinear", "defjvp", "deflinear", "deflinear2",
    "instantiate_zeros", "is_undefined_primal", "primitive_jvps", "primitive_transposes", "zeros_like_aval",
]  # fmt: skip

primitive_jvps, primitive_transposes = {}, {}


class _OfType:
    """What has a type and no value."""

    __slots__ = ("aval",)

    def __init__(self, aval):
        self.aval = aval

    def __repr__(self):
        return f"{type(self).__name__}({self.aval})"


class Zero(_OfType):
    """A tangent or cotangent that is zero."""

    __slots__ = ()

    def instantiate(self):
        """The array of zeros."""
        return zeros_like_aval(self.aval)


class UndefinedPrimal(_OfType):
    """An argument in which the primitive is linear, as transpose rules get it."""

    __slots__ = ()


for _kind in (Zero, UndefinedPrimal):
    register_pytree_node(_kind, lambda x: ((), x.aval), lambda aval, _, kind=_kind: kind(aval))


class _TracerType(type):
    def __instancecheck__(cls, x):
        return isinstance(x, Tensor) and bool(state.gradient_frames and x._node.flags & TRACKED)


class JVPTracer(metaclass=_TracerType):
    """isinstance(x, JVPTracer): a derivative of x may be asked for."""


def is_undefined_primal(x):
    """True for an UndefinedPrimal."""
    return type(x) is UndefinedPrimal


def zeros_like_aval(aval):
    """An array of zeros of this type."""
    return to_array(zeros(make_aval(aval.shape, aval.dtype, current_device(), aval.weak_type)))


def instantiate_zeros(tangent):
    """An array of zeros for a Zero; others as they are."""
    return tangent.instantiate() if type(tangent) is Zero else tangent


def add_jaxvals(x, y):
    """x + y"""
    return add(x, y)


def add_tangents(x, y):
    """x + y, where each may be a Zero."""
    if type(x) is Zero:
        return y
    return x if type(y) is Zero else add(x, y)


def _zero_of(x):
    from ..jaxprs import typeof

    return Zero(typeof(x).to_tangent_aval())


# ---- short ways to state rules ---------------------------------------------------------------------------


def defjvp(primitive, *jvprules):
    """Sets the jvp of a primitive with one result: for each argument rule(tangent, *primals, **params), or None."""

    def jvp(primals, tangents, **params):
        out = primitive.bind(*primals, **params)
        terms = [rule(t, *primals, **params) for rule, t in zip(jvprules, tangents) if rule and not isinstance(t, Zero)]
        return out, functools.reduce(add_tangents, terms, _zero_of(out))

    primitive_jvps[primitive] = jvp


def deflinear2(primitive, transpose_rule):
    """Sets both rules of a primitive that is linear in its arguments: transpose_rule(cotangent, *args, **params)."""

    def jvp(primals, tangents, **params):
        out = primitive.bind(*primals, **params)
        if all(isinstance(t, Zero) for t in tangents):
            return out, list(map(_zero_of, out)) if primitive.multiple_results else _zero_of(out)
        return out, primitive.bind(*map(instantiate_zeros, tangents), **params)

    primitive_jvps[primitive], primitive_transposes[primitive] = jvp, transpose_rule


def deflinear(primitive, transpose_rule):
    """deflinear2 with transpose_rule(cotangent, **params)."""
    deflinear2(primitive, lambda ct, *args, **params: transpose_rule(ct, **params))


def defbilinear(prim, lhs_rule, rhs_rule):
    """Sets both rules of a primitive of two arguments that is linear in each: rules(cotangent, x, y, **params)."""
    defjvp(
        prim, lambda t, x, y, **params: prim.bind(t, y, **params), lambda t, x, y, **params: prim.bind(x, t, **params)
    )

    def transpose(ct, x, y, **params):
        if is_undefined_primal(x):
            return lhs_rule(ct, x, y, **params), None
        return None, rhs_rule(ct, x, y, **params)

    primitive_transposes[prim] = transpose
