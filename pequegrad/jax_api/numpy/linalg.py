"""jax.numpy.linalg: systems, decompositions, norms, for matrices in the last two axes; integers become floats."""

import math
import operator

import numpy as np

from ...core.dtype import default_float, default_int, dt, is_complex, is_inexact, real_of
from ...core.errors import ShapeError
from ...ops import decompositions as d
from ...ops import linalg as products
from ...ops import systems
from ...ops.arithmetic import abs, isnan, log, promoted, sign, sqrt
from ...ops.arithmetic import where as choice
from ...ops.complex import conj, real
from ...ops.decompositions import QRResult, SVDResult
from ...ops.reductions import any as any_of
from ...ops.reductions import max as largest
from ...ops.reductions import min as smallest
from ...ops.reductions import prod
from ...ops.reductions import sum as total
from ...ops.systems import SlogdetResult
from ...primitives import elementwise as e
from ...primitives import shape as s
from ...primitives import sorting
from ...primitives.forms import reflections
from ...primitives.matrices import transposed
from ..convert import as_array, as_arrays
from . import products as p
from .arguments import axis_tuple, filled, value_like
from .diagonals import diagonal as diagonal_of
from .diagonals import trace as trace_of
from .indexing import take_along_axis
from .manipulation import expand_dims, matrix_transpose, moveaxis, ravel


def _inexact(name, *args):
    """The arrays in their common dtype, which is a floating or complex one."""
    arrays = promoted(*as_arrays(name, *args))
    return [x if is_inexact(x.dtype) else e.convert_to(x, default_float()) for x in arrays]


def _matrices(name, a, square=False):
    (a,) = _inexact(name, a)
    if a.ndim < 2 or (square and a.shape[-1] != a.shape[-2]):
        raise ShapeError(f"{name}: {a.shape} is not a shape of {'square ' * square}matrices.")
    return a


# ---- decompositions ----------------------------------------------------------------------------------


def cholesky(a, *, upper=False, symmetrize_input=True):
    """The lower triangular L with a = L L^H (upper: L^H); nan if `a` is not positive definite.

    symmetrize_input: takes the mean of `a` and a^H, else the lower triangle is read.
    """
    a = _matrices("cholesky", a, square=True)
    factor = d.cholesky(a, symmetrize_input=symmetrize_input)
    return conj(matrix_transpose(factor)) if upper else factor


def qr(a, mode="reduced"):
    """(Q, R) with orthonormal columns of Q and a = Q R; mode "complete": Q is square; "r": only R; "raw": LAPACK's (h, tau)."""
    a = _matrices("qr", a)
    if mode == "raw":
        packed, tau = reflections(a, pivoting=False)
        return QRResult(transposed(packed), tau)
    if mode not in ("reduced", "full", "complete", "r"):
        raise ValueError(f"qr: there is no mode {mode!r}")
    return d.qr(a, "reduced" if mode == "full" else mode)


def svd(a, full_matrices=True, compute_uv=True, hermitian=False, subset_by_index=None):
    """(U, S, V^H) with a = U S V^H and S descending, or only S.

    full_matrices: U and V^H are square. hermitian: `a` is, and its eigenvalues are used. subset_by_index: (first, end) of the
    singular values that are wanted.
    """
    a = _matrices("svd", a)
    if subset_by_index is not None and full_matrices and compute_uv and not hermitian:
        raise ValueError("svd: full_matrices and subset_by_index cannot both be set")
    found = _hermitian_svd(a, compute_uv) if hermitian else d.svd(a, full_matrices, compute_uv)
    if subset_by_index is None:
        return found
    part = slice(*map(operator.index, subset_by_index))
    if not compute_uv:
        return found[..., part]
    return SVDResult(found[0][..., part], found[1][..., part], found[2][..., part, :])


def _hermitian_svd(a, compute_uv):
    values, vectors = d.eigh(a)
    size = abs(values)
    last = size.ndim - 1
    if not compute_uv:
        return s.rev(sorting.sort(size, axis=last, num_keys=1), axes=(last,))
    *found, order = sorting.sort(size, sign(values), sorting.positions_like(size, last), axis=last, num_keys=1)
    size, signs, order = (s.rev(x, axes=(last,)) for x in (*found, order))
    vectors = take_along_axis(vectors, expand_dims(order, -2), -1)
    scaled = vectors * e.convert_to(expand_dims(signs, -2), vectors.dtype)
    return SVDResult(vectors, size, conj(matrix_transpose(scaled)))


def svdvals(x, /):
    """The singular values, descending."""
    return d.svdvals(_matrices("svdvals", x))


def eigh(a, UPLO=None, symmetrize_input=True):
    """(ascending eigenvalues, eigenvectors in columns) of Hermitian matrices; UPLO: which triangle to read if not symmetrized."""
    return d.eigh(_matrices("eigh", a, square=True), UPLO, symmetrize_input)


def eigvalsh(a, UPLO="L", *, symmetrize_input=True):
    """The ascending eigenvalues of Hermitian matrices."""
    return d.eigvalsh(_matrices("eigvalsh", a, square=True), UPLO, symmetrize_input=symmetrize_input)


def eig(a):
    """(complex eigenvalues, eigenvectors in columns) of square matrices."""
    return d.eig(_matrices("eig", a, square=True))


def eigvals(a):
    """The complex eigenvalues of square matrices."""
    return d.eigvals(_matrices("eigvals", a, square=True))


# ---- systems -----------------------------------------------------------------------------------------


def solve(a, b):
    """x with a x = b; b is a vector if it has one axis, else it has matrices in its last two axes."""
    a, b = _inexact("solve", a, b)
    return systems.solve(a, b)


def inv(a):
    """The inverses of square matrices."""
    return systems.inv(_matrices("inv", a, square=True))


def pinv(a, rtol=None, hermitian=False, *, rcond=None):
    """The inverses of Moore and Penrose; singular values up to rtol (rcond is its old name) times the largest count as 0."""
    if rcond is not None and rtol is not None:
        raise ValueError("pinv: rtol and rcond are two names of one argument")
    a = _matrices("pinv", a)
    rtol = rcond if rtol is None else rtol
    if 0 in a.shape[-2:]:
        return filled(a, (*a.shape[:-2], a.shape[-1], a.shape[-2]), 0)
    return systems.pinv(a, None if rtol is None else value_like(rtol, a.real), hermitian)


def lstsq(a, b, rcond=None, *, numpy_resid=False):
    """(x of least norm that minimises |b - a x|, squared distances, rank, singular values) for one matrix `a`.

    Singular values below rcond (default: eps max(m, n)) times the largest count as 0. numpy_resid: no distances where NumPy
    gives none, which reads the rank.
    """
    a, b = _inexact("lstsq", a, b)
    if a.ndim != 2 or b.ndim not in (1, 2):
        raise TypeError(f"lstsq: shapes {a.shape} and {b.shape}; a must have two axes, b one or two")
    if a.shape[0] != b.shape[0]:
        raise ValueError("lstsq: a and b must have equally many rows")
    vector, b = b.ndim == 1, b if b.ndim == 2 else expand_dims(b, 1)
    m, n = a.shape
    epsilon = _epsilon(a.dtype)
    if not a.size:
        values, rank, x = filled(a, (0,), 0), filled(a, (), 0, default_int()), filled(a, (n, b.shape[1]), 0)
    else:
        u, values, vh = d.svd(a, False)
        rcond = value_like(epsilon * max(n, m) if rcond is None else rcond, values)
        rcond = choice(rcond < 0, epsilon, rcond)
        used = (values > 0) & (values >= rcond * values[0])
        rank = total(used, dtype=default_int())
        inverses = choice(used, 1 / choice(used, values, 1), 0)
        x = _adjoint(vh) @ (e.convert_to(expand_dims(inverses, 1), a.dtype) * (_adjoint(u) @ b))
    if numpy_resid and (m <= n or int(rank) < n):
        rest = filled(a, (0,), 0, default_float())
    else:
        rest = norm(b - a @ x, axis=0) ** 2
    return ravel(x) if vector else x, rest, rank, values


def _epsilon(dtype):
    return float(np.finfo(real_of(dtype)).eps)


def _adjoint(x):
    return conj(matrix_transpose(x))


def tensorinv(a, ind=2):
    """The inverse of the map that tensordot(a, x, ind) is, whose first `ind` axes are those of its values."""
    a, ind = as_array(a, "tensorinv"), operator.index(ind)
    if ind <= 0:
        raise ValueError(f"tensorinv: ind must be positive, got {ind}")
    rows, columns = a.shape[:ind], a.shape[ind:]
    if math.prod(rows) != math.prod(columns):
        raise ValueError(f"tensorinv: {a.shape} with ind={ind} is not the shape of a square map")
    return inv(a.reshape(math.prod(rows), -1)).reshape(*columns, *rows)


def tensorsolve(a, b, axes=None):
    """x with tensordot(a, x, x.ndim) = b; `axes` of `a` are moved to its end first."""
    a, b = as_arrays("tensorsolve", a, b)
    if axes is not None:
        order = [i for i in range(a.ndim) if i not in axes] + list(axes)
        a = s.transpose(a, permutation=axis_tuple(order, a.ndim))
    shape = a.shape[b.ndim :]
    if a.shape[: b.ndim] != b.shape or b.size != math.prod(shape):
        raise ValueError(f"tensorsolve: a of shape {a.shape} does not fit b of shape {b.shape}")
    return solve(a.reshape(b.size, -1), ravel(b)).reshape(shape)


# ---- determinants, powers, ranks ---------------------------------------------------------------------


def det(a):
    """The determinants of square matrices."""
    a = _matrices("det", a, square=True)
    n = a.shape[-1]
    if n not in (2, 3):
        return systems.det(a)
    m = [[a[..., i, j] for j in range(n)] for i in range(n)]
    if n == 2:
        return m[0][0] * m[1][1] - m[0][1] * m[1][0]
    even = m[0][0] * m[1][1] * m[2][2] + m[0][1] * m[1][2] * m[2][0] + m[0][2] * m[1][0] * m[2][1]
    return even - m[0][2] * m[1][1] * m[2][0] - m[0][0] * m[1][2] * m[2][1] - m[0][1] * m[1][0] * m[2][2]


def slogdet(a, *, method=None):
    """(sign, logarithm of the absolute value) of the determinants; method: None, "lu", or "qr" for real matrices."""
    a = _matrices("slogdet", a, square=True)
    if method not in (None, "lu", "qr"):
        raise ValueError(f"slogdet: there is no method {method!r}")
    if method != "qr":
        return systems.slogdet(a)
    if is_complex(a.dtype):
        raise NotImplementedError("slogdet: method='qr' takes real matrices only.")
    q, r = d.qr(a)
    ends = diagonal(r)
    # the determinant of Q is 1 or -1
    signs = e.convert_to(choice(systems.det(q) < 0, -1, 1), a.dtype)
    return SlogdetResult(prod(sign(ends), -1) * signs, total(log(abs(ends)), -1))


def matrix_power(a, n):
    """`a` multiplied n times with itself; of negative n: its inverse; of 0: the identity."""
    a = as_array(a, "matrix_power")
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise TypeError(f"matrix_power: {a.shape} is not a shape of square matrices")
    n = operator.index(n)
    return systems.matrix_power(inv(a), -n) if n < 0 else systems.matrix_power(a, n)


def matrix_rank(M, rtol=None, *, hermitian=False, tol=None):
    """The numbers of singular values above rtol (default: eps max(m, n) times the largest); tol is its old name."""
    if tol is not None and rtol is not None:
        raise ValueError("matrix_rank: rtol and tol are two names of one argument")
    rtol = tol if rtol is None else rtol
    (M,) = _inexact("matrix_rank", M)
    if M.ndim < 2:
        return e.convert_to(any_of(e.ne(M, 0)), dt.int32)
    values = svd(M, False, False, hermitian)
    if rtol is None:
        rtol = largest(values, -1) * (max(M.shape[-2:]) * _epsilon(M.dtype))
    return total(values > expand_dims(value_like(rtol, values), -1), -1, dtype=default_int())


def cond(x, p=None):
    """norm(x, p) norm(inv(x), p), by default with the 2-norm; inf for singular matrices."""
    x = as_array(x, "cond")
    if x.ndim < 2 or 0 in x.shape[-2:]:
        raise ValueError(f"cond: {x.shape} is not a shape of matrices with elements")
    if p in (None, 2, -2):
        values = svdvals(x)
        if p != -2:
            return values[..., 0] / values[..., -1]
        out = values[..., -1] / values[..., 0]
    elif x.shape[-1] != x.shape[-2]:
        raise ValueError(f"cond: for p={p!r} matrices must be square, they are {x.shape}")
    else:
        out = norm(x, p, (-2, -1)) * norm(inv(x), p, (-2, -1))
    return choice(isnan(out) & ~any_of(isnan(x), (-2, -1)), math.inf, out)


# ---- norms -------------------------------------------------------------------------------------------


def norm(x, ord=None, axis=None, keepdims=False):
    """The norms of vectors (one axis) or matrices (two axes); without axis and ord the Euclidean norm of all elements.

    ord: of vectors as for vector_norm, of matrices as for matrix_norm.
    """
    (x,) = _inexact("norm", x)
    if axis is None and ord is None:
        return _euclidean(x, None, keepdims)
    axes = tuple(range(x.ndim)) if axis is None else axis_tuple(axis, x.ndim)
    if len(axes) == 1:
        return vector_norm(x, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ValueError(f"norm: axis={axis!r} must be one axis of vectors, or two of matrices")
    return _matrix_norm(x, ord, axes, keepdims)


def _squares(x):
    """|x|^2, in the real dtype."""
    return real(x * conj(x)) if is_complex(x.dtype) else x * x


def _euclidean(x, axes, keepdims):
    return sqrt(total(_squares(x), axes, keepdims))


def _extreme(function, x, axes, keepdims):
    """The largest or smallest along axes; the largest of nothing is 0."""
    axes = tuple(range(x.ndim)) if axes is None else axes
    if function is largest and any(not x.shape[a] for a in axes):
        shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
        return filled(x, shape if keepdims else [n for i, n in enumerate(x.shape) if i not in axes], 0)
    return function(x, axes, keepdims)


def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    """(sum |x|^ord)^(1/ord) over the axes; inf: the largest |x|, -inf: the smallest, 0: how many are not 0."""
    x = as_array(x, "vector_norm")
    axes = None if axis is None else axis_tuple(axis, x.ndim)
    if isinstance(ord, str):
        raise ValueError(f"Invalid order '{ord}' for vector norm.")
    if ord is None or ord == 2:
        return _euclidean(x, axes, keepdims)
    if ord == math.inf:
        return _extreme(largest, abs(x), axes, keepdims)
    if ord == -math.inf:
        return smallest(abs(x), axes, keepdims)
    if ord == 0:
        return total(e.ne(x, 0), axes, keepdims, dtype=real_of(_inexact("vector_norm", x)[0].dtype))
    if ord == 1:
        return total(abs(x), axes, keepdims)
    return total(abs(x) ** ord, axes, keepdims) ** (1.0 / ord)


def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    """Norms of matrices: "fro" (Euclidean), "nuc" (sum of singular values), 2 and -2 (the largest, the smallest), 1 and -1
    (largest, smallest column sum of |x|), inf and -inf (row sums)."""
    return norm(x, ord, (-2, -1), keepdims)


def _matrix_norm(x, ord, axes, keepdims):
    rows, columns = axes
    if ord in (None, "f", "fro"):
        return _euclidean(x, axes, keepdims)
    if ord in (1, -1, math.inf, -math.inf):
        summed, kept = (rows, columns) if ord in (1, -1) else (columns, rows)
        out = _extreme(largest if ord > 0 else smallest, total(abs(x), summed, True), (kept,), True)
    elif ord in ("nuc", 2, -2):
        values = svd(moveaxis(x, axes, (-2, -1)), False, False)
        last = (values.ndim - 1,)
        out = total(values, last) if ord == "nuc" else _extreme(largest if ord == 2 else smallest, values, last, False)
        return expand_dims(out, tuple(sorted(axes))) if keepdims else out
    else:
        raise ValueError(f"Invalid order '{ord}' for matrix norm.")
    return out if keepdims else s.reshape_to(out, tuple(n for i, n in enumerate(x.shape) if i not in axes))


# ---- products ----------------------------------------------------------------------------------------


def multi_dot(arrays, *, precision=None):
    """The product of two or more matrices in the order that needs the fewest operations; the ends may be vectors."""
    arrays = as_arrays("multi_dot", *arrays)
    ndims = [x.ndim for x in arrays]
    if len(arrays) < 2 or any(n != 2 for n in ndims[1:-1]) or any(n not in (1, 2) for n in (ndims[0], ndims[-1])):
        raise ValueError("multi_dot takes at least two matrices, of which the first and the last may be vectors")
    if any(x.shape[-1] != y.shape[0] for x, y in zip(arrays, arrays[1:])):
        raise ValueError(f"multi_dot: shapes {[x.shape for x in arrays]} do not fit")
    return products.multi_dot(arrays)


def matmul(x1, x2, /, *, precision=None, preferred_element_type=None):
    """jax.numpy.matmul."""
    return p.matmul(x1, x2, precision=precision, preferred_element_type=preferred_element_type)


def tensordot(x1, x2, /, *, axes=2, precision=None, preferred_element_type=None, out_sharding=None):
    """jax.numpy.tensordot."""
    return p.tensordot(x1, x2, axes, precision=precision, preferred_element_type=preferred_element_type)


def vecdot(x1, x2, /, *, axis=-1, precision=None, preferred_element_type=None):
    """jax.numpy.vecdot."""
    return p.vecdot(x1, x2, axis=axis, precision=precision, preferred_element_type=preferred_element_type)


def outer(x1, x2, /):
    """The products of each element of the vector x1 with each one of the vector x2."""
    x1, x2 = as_arrays("outer", x1, x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"outer: arrays must have one axis, got {x1.ndim} and {x2.ndim}")
    return p.outer(x1, x2)


def cross(x1, x2, /, *, axis=-1):
    """Cross products of vectors of 3 components."""
    x1, x2 = as_arrays("cross", x1, x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(f"cross: vectors must have 3 components, got {x1.shape[axis]} and {x2.shape[axis]}")
    return p.cross(x1, x2, axis=axis)


def diagonal(x, /, *, offset=0):
    """The diagonals of matrices in the last two axes."""
    return diagonal_of(x, offset, -2, -1)


def trace(x, /, *, offset=0, dtype=None):
    """The sums of the diagonals of matrices in the last two axes."""
    return trace_of(x, offset, -2, -1, dtype)


__all__ = [
    "cholesky", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "lstsq", "matmul",
    "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr",
    "slogdet", "solve", "svd", "svdvals", "tensordot", "tensorinv", "tensorsolve", "trace", "vecdot", "vector_norm",
]  # fmt: skip
