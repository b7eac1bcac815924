"""Parts of matrices: triangles, diagonals, traces. Matrices lie in the last two axes unless axes are named."""

from ..core.errors import ShapeError
from ..primitives import matrices as p
from ..primitives import shape as s
from ..primitives.base import number
from ..primitives.elementwise import select
from .creation import as_tensor
from .reductions import sum as total
from .shape import moveaxis, normalize_axis


def _matrices(x, name):
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"{name}: {x._node.aval} is no matrix.", fix="it needs two axes or more.")
    return x


def nearest_diagonal(x, k):
    """The int k, unless it lies beyond the matrices of x: then the number of the empty diagonal next to their corner."""
    rows, columns = x.shape[-2:]
    return max(-rows, min(k, columns))


def tril(x, k=0):
    """The matrices of x with zeros above diagonal k; k = 0 is the main diagonal, k > 0 lies above it."""
    x = _matrices(x, "tril")
    return p.lower_triangle(x, nearest_diagonal(x, k))


def triu(x, k=0):
    """The matrices of x with zeros below diagonal k."""
    x = _matrices(x, "triu")
    return p.upper_triangle(x, nearest_diagonal(x, k))


def diagonal(x, offset=0, axis1=0, axis2=1):
    """The diagonals over two axes, in place of which they come last: x[.., i, i + offset]."""
    x = _matrices(x, "diagonal")
    axis1, axis2 = (normalize_axis(a, x.ndim, "diagonal") for a in (axis1, axis2))
    if axis1 == axis2:
        raise ShapeError("diagonal: axis1 and axis2 are the same.", fix="name two different axes.")
    x = moveaxis(moveaxis(x, axis1, -1), axis2 - (axis2 > axis1), -1)
    m, n = x.shape[-2:]
    row, column = max(-offset, 0), max(offset, 0)
    size = max(0, min(m - row, n - column))
    row, column = (row, column) if size else (0, 0)
    x = s.slice_axis(s.slice_axis(x, x.ndim - 2, row, row + size), x.ndim - 1, column, column + size)
    return p.diagonal_of(x)


def trace(x, offset=0, axis1=0, axis2=1, dtype=None):
    """The sum of the diagonal over two axes."""
    return total(diagonal(x, offset, axis1, axis2), -1, dtype=dtype)


def diag(x, k=0):
    """Diagonal k of a matrix; or the matrix with the vector x on diagonal k, else zeros."""
    x = as_tensor(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"diag: {x._node.aval} is no vector or matrix.", fix="diagonal() takes more axes.")
    n = x.shape[0]
    matrix = select(p.on_diagonal(s.broadcast_in_dim(x, shape=(n, n), axes=(1,))), x, number(0, x))
    low, high = (max(-k, 0), max(k, 0)), (max(k, 0), max(-k, 0))
    return s.pad(matrix, number(0, x), low=low, high=high, interior=(0, 0)) if k else matrix


__all__ = ["tril", "triu", "diagonal", "trace", "diag"]
