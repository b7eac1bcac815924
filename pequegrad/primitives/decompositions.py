"""Cholesky, QR, eigenvalue and singular value decompositions, for matrices in the last two axes.

Derivatives follow Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation"
(2008); Walter and Lehmann, "Algorithmic differentiation of linear algebra functions" (2010); Townsend, "Differentiating
the singular value decomposition" (2016). A rule says where a derivative does not exist.
"""

import numpy as np

from ..core.dtype import complex_of, is_complex, real_of
from .base import number, primitive
from .elementwise import add, convert_to, div, mul, neg, select, sub
from .linalg import lu, solve_factored, triangular_solve
from .matrices import (
    Matrices,
    SymmetricSamples,
    adjoint,
    adjoint_array,
    columns_of,
    complex_matrix,
    conjugate,
    diagonal_of,
    hermitian_part,
    imaginary_part,
    lower_triangle,
    matmul,
    matrix,
    matrix_like,
    on_diagonal,
    real_part,
    rows_of,
    symmetric,
    upper_triangle,
    zeros_of,
)
from .reduction import reduce_sum
from .shape import concatenate, slice_axis


def definite(x):
    return x @ adjoint_array(x) + np.eye(x.shape[-1])


@primitive
class cholesky(SymmetricSamples, Matrices):
    """The lower triangular L with A = L L^H, of Hermitian positive definite matrices; nan where they are not

    Reads the lower triangle only. The derivative is that within the Hermitian matrices: of a tangent it takes the
    Hermitian part.
    """

    square = True

    def results(a):
        return a

    def jvp(primals, tangents, out):
        # dL = L Phi(L^-1 dA L^-H), Phi takes the lower triangle and half of the diagonal
        x = triangular_solve(out, hermitian_part(tangents[0]), left=False, lower=True, transpose="C", unit=False)
        x = triangular_solve(out, x, left=True, lower=True, transpose="N", unit=False)
        half = select(on_diagonal(x), mul(x, 0.5), x)
        return matmul(out, lower_triangle(half))

    def vary(rng, i, array):
        return definite(matrix_like(rng, array))

    def samples(rng):
        yield (definite(matrix(rng, 3, 3)),), {}
        yield (definite(matrix(rng, 2, 2, 2)),), {}
        yield (definite(matrix(rng, 1, 1)),), {}
        yield (definite(matrix(rng, 0, 0)),), {}
        yield (definite(complex_matrix(rng, 3, 3)),), {}


@primitive
class qr(Matrices):
    """Q with orthonormal columns and the upper triangular R, A = Q R; `full`: Q is square

    The derivative does not exist where the leading k columns of A are dependent (k = min(m, n)). If full and m > n, the
    other columns of Q are any basis of the complement: their tangent is the one that turns no more than it must.
    """

    def results(a, *, full):
        *lead, m, n = a.shape
        q = m if full else min(m, n)
        return a.update(shape=(*lead, m, q)), a.update(shape=(*lead, q, n))

    def jvp(primals, tangents, out, *, full):
        (q, r), (da,) = out, tangents
        m, n, axis = q.shape[-2], r.shape[-1], q.ndim - 1
        k = min(m, n)
        q1, r1 = slice_axis(q, axis, 0, k), slice_axis(r, axis - 1, 0, k)
        first = (slice_axis(x, axis, 0, k) for x in (r1, da))
        x = triangular_solve(*first, left=False, lower=False, transpose="N", unit=False)
        x_in_q = matmul(adjoint(q1), x)
        below = lower_triangle(x_in_q, -1)
        turn = sub(below, adjoint(below))  # Q1^H dQ1 is anti-Hermitian
        if is_complex(q.dtype):  # and the diagonal of R stays real
            turn = add(turn, select(on_diagonal(x_in_q), imaginary_part(x_in_q), number(0, x_in_q)))
        dq = add(x, matmul(q1, sub(turn, x_in_q)))
        dr = sub(matmul(adjoint(q1), da), matmul(turn, r1))
        if k < q.shape[-1]:
            q2 = slice_axis(q, axis, k, m)
            dq = concatenate(dq, _complement(q1, dq, q2), axis=axis)
            dr = concatenate(dr, zeros_of(dr, m - k, n), axis=axis - 1)
        return dq, upper_triangle(dr)

    def gauge(q, r):
        q2 = q[..., min(q.shape[-2], r.shape[-1]) :]
        return [q[..., : r.shape[-1]], r, q2 @ adjoint_array(q2)]

    def samples(rng):
        for full in (False, True):
            for shape in ((3, 3), (2, 4, 2), (2, 4), (1, 1), (0, 2), (2, 0)):
                yield (matrix(rng, *shape),), {"full": full}
        yield (complex_matrix(rng, 3, 2),), {"full": False}
        yield (complex_matrix(rng, 2, 3),), {"full": False}


def _complement(q1, dq1, q2):
    """The tangent of an orthonormal basis of the complement of q1 that has no part within the complement."""
    return neg(matmul(q1, matmul(adjoint(dq1), q2)))


# ---- eigenvalues and singular values -----------------------------------------------------------------


@primitive
class eigh(SymmetricSamples, Matrices):
    """Ascending eigenvalues, and with `vectors` the eigenvectors in columns, of Hermitian matrices

    Reads the lower triangle only. The derivative is that within the Hermitian matrices: of a tangent it takes the
    Hermitian part. Eigenvectors have no derivative where eigenvalues are equal: it is nan or inf there. Each is
    determined up to a factor of modulus 1; the tangent is the one that does not turn it within its line.
    """

    square = True

    def results(a, *, vectors):
        w = a.update(shape=a.shape[:-1], dtype=real_of(a.dtype))
        return (w, a) if vectors else w

    def jvp(primals, tangents, out, *, vectors):
        w, v = out if vectors else eigh(primals[0], vectors=True)
        change = matmul(adjoint(v), matmul(hermitian_part(tangents[0]), v))
        dw = real_part(diagonal_of(change))
        if not vectors:
            return dw
        gaps = sub(rows_of(w), columns_of(w))
        same = on_diagonal(change)
        rates = select(same, number(0, w), div(number(1, w), select(same, number(1, w), gaps)))
        return dw, matmul(v, mul(convert_to(rates, v.dtype), change))

    def lower(a, *, vectors):
        return "eigh", ()

    def gauge(w, v=None):
        return [w] if v is None else [w, np.einsum("...ik,...jk->...kij", v, np.conj(v))]

    def vary(rng, i, array):
        return symmetric(matrix_like(rng, array)) + np.diag(4.0 * np.arange(array.shape[-1]))

    def samples(rng):
        for vectors in (True, False):
            yield (SymmetricSamples.vary(rng, 0, np.empty((3, 3))),), {"vectors": vectors}
            yield (SymmetricSamples.vary(rng, 0, np.empty((2, 2, 2))),), {"vectors": vectors}
        yield (symmetric(complex_matrix(rng, 3, 3)),), {"vectors": False}
        # of eigenvectors that are determined up to any complex factor, the tests compare no derivatives
        yield (symmetric(complex_matrix(rng, 3, 3)).astype("c8"),), {"vectors": True}
        yield (matrix(rng, 1, 1),), {"vectors": True}
        yield (matrix(rng, 0, 0),), {"vectors": True}


@primitive
class eig(Matrices):
    """Complex eigenvalues, in no order that means something, and with `vectors` eigenvectors of norm 1 in columns

    No derivative exists where eigenvalues are equal: it is nan or inf there. Each eigenvector is determined up to
    a factor of modulus 1; the tangent is the one orthogonal to it.
    """

    square = True

    def results(a, *, vectors):
        v = a.update(dtype=a.dtype if is_complex(a.dtype) else complex_of(a.dtype), weak_type=False)
        w = v.update(shape=a.shape[:-1])
        return (w, v) if vectors else w

    def jvp(primals, tangents, out, *, vectors):
        # C = V^-1 dA V: dW is its diagonal, and V C[i, j] / (w[j] - w[i]) moves the vectors
        w, v = out if vectors else eig(primals[0], vectors=True)
        factors, _, permutation = lu(v)
        change = solve_factored(factors, permutation, matmul(convert_to(tangents[0], v.dtype), v))
        dw = diagonal_of(change)
        if not vectors:
            return dw
        same = on_diagonal(change)
        gaps = select(same, number(1, change), sub(rows_of(w), columns_of(w)))
        dv = matmul(v, select(same, number(0, change), div(change, gaps)))
        along = reduce_sum(mul(conjugate(v), dv), axes=(v.ndim - 2,))
        return dw, sub(dv, mul(v, rows_of(along)))

    def lower(a, *, vectors):
        return "eig", ()

    def gauge(w, v=None):
        return [w] if v is None else [w, np.einsum("...ik,...jk->...kij", v, np.conj(v))]

    def samples(rng):
        yield (matrix(rng, 3, 3),), {"vectors": False}
        yield (complex_matrix(rng, 2, 2, 2),), {"vectors": False}
        yield (matrix(rng, 3, 3) / 3 + np.diag(4.0 * np.arange(3)),), {"vectors": True}  # real eigenvectors
        # of eigenvectors that are determined up to any complex factor, the tests compare no derivatives
        yield (matrix(rng, 2, 3, 3).astype("f4"),), {"vectors": True}
        yield (matrix(rng, 0, 0),), {"vectors": True}


@primitive
class svd(Matrices):
    """U, descending singular values S, and V^H, A = U S V^H; only S without `vectors`; `full`: U and V are square

    Singular vectors have no derivative where singular values are equal, or 0 if A is not square: it is nan or inf there.
    Pairs of singular vectors are determined up to a common factor of modulus 1, and the columns beyond min(m, n)
    are any basis of the complement: tangents are those that turn no more than they must.
    """

    def results(a, *, full, vectors):
        *lead, m, n = a.shape
        k = min(m, n)
        s = a.update(shape=(*lead, k), dtype=real_of(a.dtype))
        if not vectors:
            return s
        return a.update(shape=(*lead, m, m if full else k)), s, a.update(shape=(*lead, n if full else k, n))

    def jvp(primals, tangents, out, *, full, vectors):
        (a,), (da,) = primals, tangents
        u, s, vh = out if vectors else svd(a, full=False, vectors=True)
        m, n, k, axis = *a.shape[-2:], min(a.shape[-2:]), a.ndim - 1
        u1, v1 = slice_axis(u, axis, 0, k), adjoint(slice_axis(vh, axis - 1, 0, k))
        change = matmul(adjoint(u1), matmul(da, v1))
        ds = real_part(diagonal_of(change))
        if not vectors:
            return ds
        one, zero = number(1, s), number(0, s)
        row, column = rows_of(s), columns_of(s)
        same = on_diagonal(change)
        gaps = mul(add(row, column), sub(row, column))
        rates = convert_to(select(same, zero, div(one, select(same, one, gaps))), a.dtype)
        row, column = convert_to(row, a.dtype), convert_to(column, a.dtype)
        by_u, by_v = mul(change, row), mul(column, change)
        du = mul(rates, add(by_u, adjoint(by_u)))
        if is_complex(a.dtype):  # V is not turned within its lines: U is
            du = add(du, select(same, div(imaginary_part(change), row), number(0, change)))
        du = matmul(u1, du)
        dv = matmul(v1, mul(rates, add(by_v, adjoint(by_v))))
        if m > k:
            du = add(du, div(_outside(u1, matmul(da, v1)), row))
        if n > k:
            dv = add(dv, div(_outside(v1, matmul(adjoint(da), u1)), row))
        if full and m > k:
            du = concatenate(du, _complement(u1, du, slice_axis(u, axis, k, m)), axis=axis)
        if full and n > k:
            dv = concatenate(dv, _complement(v1, dv, adjoint(slice_axis(vh, axis - 1, k, n))), axis=axis)
        return du, ds, adjoint(dv)

    def lower(a, *, full, vectors):
        return "svd", (int(full),)

    def gauge(u, s=None, vh=None):
        if s is None:
            return [u]  # the singular values alone
        k = s.shape[-1]
        u2, v2 = u[..., k:], vh[..., k:, :]
        pairs = np.einsum("...ik,...kj->...kij", u[..., :k], vh[..., :k, :])
        return [s, pairs, u2 @ adjoint_array(u2), adjoint_array(v2) @ v2]

    def samples(rng):
        for full in (False, True):
            for shape in ((3, 3), (2, 4, 2), (2, 4), (1, 1), (0, 2), (2, 0)):
                yield (matrix(rng, *shape),), {"full": full, "vectors": True}
        yield (matrix(rng, 2, 4),), {"full": False, "vectors": False}
        yield (complex_matrix(rng, 2, 4),), {"full": False, "vectors": False}
        # as for eigh
        yield (complex_matrix(rng, 3, 2).astype("c8"),), {"full": True, "vectors": True}


def _outside(basis, x):
    """The part of x that is orthogonal to the basis."""
    return sub(x, matmul(basis, matmul(adjoint(basis), x)))
