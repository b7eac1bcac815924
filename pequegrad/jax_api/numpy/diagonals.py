"""Diagonals and triangles of matrices."""

import operator

import numpy as np

from ...core.dtype import dt, is_integer
from ...core.errors import ShapeError
from ...ops import arithmetic, matrices
from ...ops.at import At
from ...ops.indexing import getitem
from ...ops.reductions import sum as total
from ...primitives import elementwise as e
from ...primitives import shape as s
from ...primitives.base import number
from ..convert import as_array, as_arrays, from_numpy, requested
from ..convert import number as weak_number
from .arguments import axis_index, filled
from .indexing import nonzero
from .manipulation import moveaxis, ravel
from .promotion import refuse_out


def _axes(x, axis1, axis2, name):
    if x.ndim < 2:
        raise ValueError(f"{name} needs an array with at least two axes")
    first, second = axis_index(axis1, x.ndim), axis_index(axis2, x.ndim)
    if first == second:
        raise ShapeError(f"{name}: axis1 and axis2 cannot be the same.")
    return first, second


def diagonal(a, offset=0, axis1=0, axis2=1):
    """The elements a[.., i, i + offset] of the matrices in two axes, along a new last axis."""
    a = as_array(a, "diagonal")
    return matrices.diagonal(a, operator.index(offset), *_axes(a, axis1, axis2, "diagonal"))


def _checked(k):
    """The number of a diagonal as an int; OverflowError if it fits no Array, as in JAX."""
    k = operator.index(k)
    weak_number(k)
    return k


def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    """The sums of the diagonals of the matrices in two axes; offset may be traced."""
    refuse_out("trace", out)
    a = as_array(a, "trace")
    rows, columns = _axes(a, axis1, axis2, "trace")
    dtype = None if dtype is None else requested(dtype, "trace")
    a = moveaxis(a, (rows, columns), (-2, -1))
    offset = as_array(matrices.nearest_diagonal(a, _checked(offset)) if type(offset) is int else offset, "trace")
    if offset.ndim or not is_integer(offset.dtype):
        raise ValueError(f"trace: offset must be a scalar integer, got {offset}.")
    row, column = (s.iota(shape=a.shape[-2:], dtype=dt.int32, axis=axis, device=a.device) for axis in (0, 1))
    on_it = arithmetic.equal(column, arithmetic.add(row, offset))
    return total(e.select(on_it, a, number(0, a)), (-2, -1), dtype=dtype)


def diag(v, k=0):
    """Diagonal k of a matrix, or the matrix with the vector v on its diagonal k; k > 0 lies above the main one."""
    return matrices.diag(as_array(v, "diag"), operator.index(k))


def diagflat(v, k=0):
    """The matrix with the elements of v on its diagonal k."""
    return matrices.diag(ravel(as_array(v, "diagflat")), operator.index(k))


def fill_diagonal(a, val, wrap=False, *, inplace=True):
    """`a` with `val` (a number, or elements that are repeated) where all indices are equal. Needs inplace=False."""
    if inplace:
        raise NotImplementedError("Arrays cannot change: use fill_diagonal(..., inplace=False).")
    if wrap:
        raise NotImplementedError("fill_diagonal: wrap=True is not supported.")
    a, val = as_arrays("fill_diagonal", a, val)
    if a.ndim < 2:
        raise ValueError("fill_diagonal: the array needs at least two axes")
    if a.ndim > 2 and len(set(a.shape)) > 1:
        raise ValueError("fill_diagonal: all axes must have one size")
    places = np.arange(min(a.shape), dtype=np.int32)
    if val.ndim:
        val = getitem(ravel(val), np.arange(places.size, dtype=np.int32) % val.size)
    return At(a)[(places,) * a.ndim].set(val)


# ---- triangles ---------------------------------------------------------------------------------------


def _matrices(m, name):
    m = as_array(m, name)
    if m.ndim < 2:
        raise ValueError(f"{name}: the argument must have at least two axes")
    return m


def tril(m, k=0):
    """m with zeros above diagonal k of the matrices in its last two axes."""
    return matrices.tril(_matrices(m, "tril"), _checked(k))


def triu(m, k=0):
    """m with zeros below diagonal k of the matrices in its last two axes."""
    return matrices.triu(_matrices(m, "triu"), _checked(k))


def _positions(found):
    return tuple(from_numpy(i) for i in found)


def tril_indices(n, k=0, m=None):
    """(rows, columns) of the elements on and below diagonal k of an (n, m) matrix."""
    return _positions(np.tril_indices(*map(operator.index, (n, k, n if m is None else m))))


def triu_indices(n, k=0, m=None):
    """(rows, columns) of the elements on and above diagonal k of an (n, m) matrix."""
    return _positions(np.triu_indices(*map(operator.index, (n, k, n if m is None else m))))


def _sizes(arr, name):
    shape = tuple(arr.shape) if hasattr(arr, "shape") else as_array(arr, name).shape
    if len(shape) != 2:
        raise ValueError(f"{name}: the array must have two axes")
    return shape


def tril_indices_from(arr, k=0):
    """tril_indices for matrices of the shape of arr."""
    rows, columns = _sizes(arr, "tril_indices_from")
    return tril_indices(rows, k, columns)


def triu_indices_from(arr, k=0):
    """triu_indices for matrices of the shape of arr."""
    rows, columns = _sizes(arr, "triu_indices_from")
    return triu_indices(rows, k, columns)


def mask_indices(n, mask_func, k=0, *, size=None):
    """(rows, columns) of what mask_func(ones((n, n)), k) does not make 0; size: as for nonzero."""
    ones = filled(as_array(1.0), (n, n), 1)
    rows, columns = nonzero(mask_func(ones, k), size=size)
    return rows, columns


__all__ = [
    "diagonal", "trace", "diag", "diagflat", "fill_diagonal", "tril", "triu", "tril_indices", "tril_indices_from",
    "triu_indices", "triu_indices_from", "mask_indices",
]  # fmt: skip
