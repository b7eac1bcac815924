"""Products of vectors, matrices and arrays; einsum.

precision: named ones are accepted, all products are computed at full precision. preferred_element_type: the dtype of the result, in
which sums of products are also formed where it is wider than that of the operands.
"""

import operator

from ...core.dtype import is_complex, promote
from ...ops import linalg as o
from ...ops.arithmetic import astype, promoted
from ...ops.complex import conj
from ...ops.shape import expand_dims, moveaxis
from ...primitives import elementwise as e
from ...primitives import shape as s
from ...primitives.contraction import dot_general
from ..convert import as_array, as_arrays, requested
from .arguments import axis_index, axis_tuple
from .manipulation import ravel
from .promotion import refuse_out


def _operands(name, a, b, preferred):
    """The arrays in the dtype in which to multiply, and the dtype of the result (None: the same)."""
    a, b = promoted(*as_arrays(name, a, b))
    if preferred is None:
        return a, b, None
    wanted = requested(preferred, name)
    if wanted.itemsize > a.dtype.itemsize or wanted.kind != a.dtype.kind:
        dtype, _ = promote((a.dtype, False), (wanted, False))
        a, b = astype(a, dtype), astype(b, dtype)
    return a, b, wanted


def _result(x, dtype):
    return x if dtype is None else astype(x, dtype)


def _contracted(x, y, contract, batch=((), ())):
    return dot_general(x, y, contract=contract, batch=batch, dtype=x.dtype)


def dot(a, b, *, precision=None, preferred_element_type=None, out_sharding=None):
    """Sums of products over the last axis of `a` and the second to last (or only) one of b; a product if one is a number."""
    a, b, dtype = _operands("dot", a, b, preferred_element_type)
    contract = ((a.ndim - 1,), (max(b.ndim - 2, 0),)) if a.ndim and b.ndim else ((), ())
    return _result(_contracted(a, b, contract), dtype)


def matmul(a, b, *, precision=None, preferred_element_type=None, out_sharding=None):
    """Products of the matrices in the last two axes, before which axes broadcast; an array with one axis is a row or a column."""
    a, b, dtype = _operands("matmul", a, b, preferred_element_type)
    return _result(o.matmul(a, b), dtype)


def vdot(a, b, *, precision=None, preferred_element_type=None):
    """The sum of products of all elements, of complex `a` of their conjugates."""
    a, b, dtype = _operands("vdot", _conjugate(as_array(a, "vdot")), b, preferred_element_type)
    return _result(_contracted(ravel(a), ravel(b), ((0,), (0,))), dtype)


def _conjugate(x):
    return conj(x) if is_complex(x.dtype) else x


def vecdot(x1, x2, /, *, axis=-1, precision=None, preferred_element_type=None):
    """Sums of products over an axis of both, of complex x1 of its conjugate; the other axes broadcast."""
    x1, x2, dtype = _operands("vecdot", _conjugate(as_array(x1, "vecdot")), x2, preferred_element_type)
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"vecdot: axis {axis} of shapes {x1.shape} and {x2.shape} differs")
    x1, x2 = moveaxis(x1, axis, -1), moveaxis(x2, axis, -1)
    out = o.matmul(expand_dims(x1, -2), expand_dims(x2, -1))
    return _result(s.reshape_to(out, out.shape[:-2]), dtype)


def matvec(x1, x2, /):
    """The products of matrices x1 [.., n, m] and vectors x2 [.., m]."""
    x1, x2 = as_arrays("matvec", x1, x2)
    if x1.ndim < 2 or not x2.ndim:
        raise ValueError(f"matvec: {x1.shape} and {x2.shape} are no matrices and vectors")
    out = o.matmul(x1, expand_dims(x2, -1))
    return s.reshape_to(out, out.shape[:-1])


def vecmat(x1, x2, /):
    """The products of vectors x1 [.., n], conjugated, and matrices x2 [.., n, m]."""
    x1, x2 = as_arrays("vecmat", x1, x2)
    if x2.ndim < 2 or not x1.ndim:
        raise ValueError(f"vecmat: {x1.shape} and {x2.shape} are no vectors and matrices")
    out = o.matmul(expand_dims(_conjugate(x1), -2), x2)
    return s.reshape_to(out, (*out.shape[:-2], out.shape[-1]))


def tensordot(a, b, axes=2, *, precision=None, preferred_element_type=None, out_sharding=None):
    """Sums of products over pairs of axes: the last `axes` of `a` with the first of b, or (axes of a, axes of b)."""
    a, b, dtype = _operands("tensordot", a, b, preferred_element_type)
    return _result(_contracted(a, b, _pairs_of_axes(axes, a.ndim, b.ndim)), dtype)


def _pairs_of_axes(axes, ndim_a, ndim_b):
    if type(axes) is int:
        if axes > min(ndim_a, ndim_b):
            raise TypeError(f"tensordot: {axes} axes of arrays with {ndim_a} and {ndim_b}")
        return tuple(range(ndim_a - axes, ndim_a)), tuple(range(axes))
    if not isinstance(axes, (tuple, list)) or len(axes) != 2:
        raise TypeError("tensordot: axes must be an int, two ints, or two sequences of ints")
    first, second = axes
    if isinstance(first, (tuple, list)) != isinstance(second, (tuple, list)):
        raise TypeError("tensordot: axes must be two ints, or two sequences of ints")
    first, second = axis_tuple(first, ndim_a), axis_tuple(second, ndim_b)
    if len(first) != len(second):
        raise TypeError(f"tensordot: {len(first)} axes for {len(second)}")
    return first, second


def inner(a, b, *, precision=None, preferred_element_type=None):
    """Sums of products over the last axes; a product if one is a number."""
    a, b, dtype = _operands("inner", a, b, preferred_element_type)
    if not a.ndim or not b.ndim:
        return _result(e.mul(a, b), dtype)
    return _result(_contracted(a, b, ((a.ndim - 1,), (b.ndim - 1,))), dtype)


def outer(a, b, out=None):
    """The products of each element of `a` with each one of b: a matrix."""
    refuse_out("outer", out)
    return o.outer(*as_arrays("outer", a, b))


def kron(a, b):
    """The Kronecker product: blocks a[i, j] b, for any number of axes."""
    return o.kron(*as_arrays("kron", a, b))


def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """Cross products of vectors of 3 components, or of 2, whose third counts as 0; of two such only the third component.

    axisa, axisb: where the components lie; axisc: where they come to lie; axis: all three.
    """
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    a, b = as_arrays("cross", a, b)
    a, b = moveaxis(a, axis_index(axisa, a.ndim), -1), moveaxis(b, axis_index(axisb, b.ndim), -1)
    if a.shape[-1] not in (2, 3) or b.shape[-1] not in (2, 3):
        raise ValueError("cross: vectors must have 2 or 3 components")
    return o.cross(a, b, axisc=axisc)


# ---- einsum ------------------------------------------------------------------------------------------


def _dot_general(lhs, rhs, dimension_numbers, precision=None, preferred_element_type=None, **_):
    """lax.dot_general: the default of einsum, which takes it as a sign to use its own."""
    lhs, rhs, dtype = _operands("dot_general", lhs, rhs, preferred_element_type)
    contract, batch = (tuple(map(tuple, pair)) for pair in dimension_numbers)
    return _result(_contracted(lhs, rhs, contract, batch), dtype)


def _einsum_arguments(subscripts, operands):
    """(operands as Arrays, labels of each, labels of the result or None)"""
    from ...ops.einsum import _split_arguments

    given, inputs, output = _split_arguments((subscripts, *operands))
    return as_arrays("einsum", *given), inputs, output


def einsum(subscripts, /, *operands, out=None, optimize="auto", precision=None, preferred_element_type=None,
           _dot_general=_dot_general, out_sharding=None):  # fmt: skip
    """Sums of products over axes that letters name: einsum("ij,jk->ik", x, y), or einsum(x, [0, 1], y, [1, 2], [0, 2]).

    optimize: "auto", "optimal", "greedy", True: pairs of operands are multiplied in a cheap order; False: from left to right; a list
    of pairs of positions: in that order. _dot_general: what multiplies a pair.
    """
    from ...ops import einsum as implementation

    refuse_out("einsum", out)
    arrays, inputs, output = _einsum_arguments(subscripts, operands)
    arrays = promoted(*arrays)
    dtype = None if preferred_element_type is None else requested(preferred_element_type, "einsum")
    if dtype is not None and (dtype.itemsize > arrays[0].dtype.itemsize or dtype.kind != arrays[0].dtype.kind):
        wide, _ = promote((arrays[0].dtype, False), (dtype, False))
        arrays = [astype(x, wide) for x in arrays]
    dot = None if _dot_general is _own_dot_general else _pairwise(_dot_general, precision, preferred_element_type)
    return _result(implementation.contract(arrays, inputs, output, _path(optimize, len(arrays)), dot), dtype)


_own_dot_general = _dot_general


def _pairwise(function, precision, preferred):
    """`function`, of lax.dot_general's signature, in the form that einsum calls."""

    def dot(x, y, *, contract, batch, dtype):
        return as_array(function(x, y, (contract, batch), precision, preferred_element_type=preferred or dtype))

    return dot


def _path(optimize, count):
    """The order that `optimize` asks for, as pairs of positions; None: a cheap one."""
    if optimize is False:
        return ((0, 1),) + tuple((0, n - 1) for n in range(count - 1, 1, -1)) if count > 1 else ()
    if optimize is True or isinstance(optimize, str):
        if optimize not in (True, *_STRATEGIES):
            raise KeyError(f"einsum: there is no strategy {optimize!r}; use one of {', '.join(_STRATEGIES)}")
        return None
    steps = [tuple(map(operator.index, step)) for step in optimize]
    if any(len(step) > 2 for step in steps):
        raise NotImplementedError("einsum: a step of `optimize` joins more than two operands.")
    return tuple(step for step in steps if len(step) == 2)


_STRATEGIES = (
    "auto", "auto-hq", "optimal", "dp", "greedy", "eager", "opportunistic", "dynamic-programming", "branch-all",
    "branch-1", "branch-2", "random-greedy", "random-greedy-128",
)  # fmt: skip


def einsum_path(subscripts, /, *operands, optimize="auto"):
    """(the pairs of positions that einsum multiplies in turn, a text that describes them)"""
    from ...ops import einsum as implementation

    arrays, inputs, output = _einsum_arguments(subscripts, operands)
    path = _path(optimize, len(arrays))
    inputs, output, order, sizes = implementation._plan(inputs, output, tuple(x.shape for x in arrays))
    order = [tuple(sorted(pair)) for pair in (order if path is None else path)] or [(0,)]
    return order, implementation.description(inputs, output, order, sizes)


__all__ = [
    "dot", "matmul", "vdot", "vecdot", "matvec", "vecmat", "tensordot", "inner", "outer", "kron", "cross", "einsum",
    "einsum_path",
]  # fmt: skip
