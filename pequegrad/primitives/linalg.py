"""Linear systems, determinants and inverses, for matrices in the last two axes.

Derivatives follow Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation"
(2008), and Golub and Pereyra, "The differentiation of pseudo-inverses" (1973).
"""

import numpy as np

from ..core.dtype import dt, is_complex, real_of
from ..core.errors import ShapeError
from .base import primitive
from .elementwise import add, convert_to, div, eq, mul, neg, sub
from .matrices import (
    Matrices,
    RegularSamples,
    adjoint,
    check_matrices,
    check_right_side,
    columns_of,
    complex_matrix,
    conjugate,
    identity_like,
    imaginary_part,
    lower_triangle,
    matmul,
    matrix,
    matrix_like,
    permute_rows,
    real_part,
    regular,
    trace_of_product,
    transposed,
    upper_triangle,
    zeros_of,
)
from .shape import broadcast_in_dim, concatenate, iota, slice_axis

# ---- systems ------------------------------------------------------------------------------

_TRANSPOSES = {"N": 0, "T": 1, "C": 2}


@primitive
class triangular_solve(Matrices):
    """X with op(A) X = B (left), or X op(A) = B; of A only one triangle is read

    transpose: "N", "T" or "C" (conjugate): what op does. unit: the diagonal of A counts as ones.
    """

    def infer(a, b, *, left, lower, transpose, unit):
        check_matrices("triangular_solve", a, square=True)
        check_right_side("triangular_solve", a, b, -2 if left else -1)
        return b.update(weak_type=a.weak_type and b.weak_type)

    def jvp(primals, tangents, out, *, left, lower, transpose, unit):
        a, (da, db) = primals[0], tangents
        if da is not None:  # op(A) dX = dB - op(dA) X
            k = int(unit)  # a unit diagonal does not move
            da = lower_triangle(da, -k) if lower else upper_triangle(da, k)
            da = {"N": lambda x: x, "T": transposed, "C": adjoint}[transpose](da)
            change = matmul(da, out) if left else matmul(out, da)
            db = neg(change) if db is None else sub(db, change)
        return triangular_solve(a, db, left=left, lower=lower, transpose=transpose, unit=unit)

    def transpose(ct, a, b, *, left, lower, transpose, unit):
        a = conjugate(a) if transpose == "C" else a
        back = "T" if transpose == "N" else "N"
        return None, triangular_solve(a, ct, left=left, lower=lower, transpose=back, unit=unit)

    def lower(a, b, *, left, lower, transpose, unit):
        return "triangular_solve", (int(left), int(lower), _TRANSPOSES[transpose], int(unit))

    def vary(rng, i, array):
        return matrix_like(rng, array) + (3 * np.eye(array.shape[-1]) if i == 0 else 0)

    def samples(rng):
        for left in (True, False):
            for lower in (True, False):
                for how in _TRANSPOSES:
                    a, b = regular(rng, 3, 3), matrix(rng, *((3, 2) if left else (2, 3)))
                    params = {"left": left, "lower": lower, "transpose": how, "unit": left == lower}
                    yield (a, b), params
        params = {"left": True, "lower": True, "transpose": "N", "unit": False}
        yield (regular(rng, 2, 3, 3), matrix(rng, 2, 3, 1)), params
        for how in _TRANSPOSES:
            yield (3 * np.eye(3) + complex_matrix(rng, 3, 3), complex_matrix(rng, 3, 2)), dict(params, transpose=how)
        yield (matrix(rng, 0, 0), matrix(rng, 0, 2)), params


def solve_factored(factors, permutation, b):
    """X with A X = B from LU factors of A."""
    half = {"left": True, "transpose": "N"}
    x = triangular_solve(factors, permute_rows(b, permutation), lower=True, unit=True, **half)
    return triangular_solve(factors, x, lower=False, unit=False, **half)


@primitive
class lu(RegularSamples, Matrices):
    """Packed LU factors, pivots and permutation of A [.., m, n]: A[permutation] = L U

    The first result holds U in its upper triangle and L, whose diagonal is 1, below. The derivative does not exist where
    the leading square part of U is singular.
    """

    def results(a):
        *lead, m, n = a.shape
        indices = a.update(dtype=dt.int32, weak_type=False)
        return a, indices.update(shape=(*lead, min(m, n))), indices.update(shape=(*lead, m))

    def jvp(primals, tangents, out):
        return lu_tangent(out[0], permute_rows(tangents[0], out[2])), None, None

    def samples(rng):
        yield (regular(rng, 3, 3),), {}
        yield (matrix(rng, 2, 4, 2),), {}
        yield (matrix(rng, 2, 4),), {}
        yield (matrix(rng, 1, 1),), {}
        yield (matrix(rng, 0, 2),), {}
        yield (complex_matrix(rng, 3, 2),), {}


@primitive
class pivots_to_permutation:
    """The permutation of `size` rows that exchanging row i with row pivots[i], for i = 0, 1, ..., makes"""

    def infer(pivots, *, size):
        if pivots.dtype != dt.int32 or not pivots.ndim or size < pivots.shape[-1]:
            raise ShapeError(
                f"pivots_to_permutation: {pivots} are no pivots of {size} rows.",
                fix="they are int32, at most one for each row.",
            )
        return pivots.update(shape=(*pivots.shape[:-1], size), weak_type=False)

    def jvp(primals, tangents, out, *, size):
        return None

    def batch(inputs, batched, *, size):
        return pivots_to_permutation(inputs[0], size=size)

    def lower(pivots, *, size):
        return "pivots_to_permutation", ()

    def samples(rng):
        yield (np.int32([2, 2, 2]),), {"size": 3}
        yield (np.int32([[1, 1], [3, 2]]),), {"size": 4}
        yield (np.zeros(0, np.int32),), {"size": 2}


def lu_tangent(factors, da):
    """The tangent of packed LU factors, given that of A with its rows permuted as they were.

    With L and U made square by ones on the diagonal, and M = L^-1 dA U^-1: dL = L tril(M, -1), dU = triu(M) U.
    """
    m, n = factors.shape[-2:]
    k = min(m, n)
    left, right = factors, factors
    axis = factors.ndim - 1
    if n < m:
        left = concatenate(factors, zeros_of(factors, m, m - n), axis=axis)
    elif n > m:
        left = slice_axis(factors, axis, 0, k)
        ones = broadcast_in_dim(
            _lower_ones(factors, n - m), shape=(*factors.shape[:-2], n - m, n), axes=(axis - 1, axis)
        )
        right = concatenate(factors, ones, axis=axis - 1)
    if m > n:
        right = slice_axis(factors, axis - 1, 0, k)
    x = triangular_solve(left, da, left=True, lower=True, transpose="N", unit=True)
    x = triangular_solve(right, x, left=False, lower=False, transpose="N", unit=False)
    unit_lower = add(lower_triangle(left, -1), identity_like(left))
    lower = matmul(unit_lower, lower_triangle(x, -1))
    return add(lower, matmul(upper_triangle(x), upper_triangle(right)))


def _lower_ones(x, rows):
    """The last `rows` rows of an identity matrix with as many columns as x."""
    n = x.shape[-1]
    row = iota(shape=(rows, 1), dtype=dt.int32, axis=0, device=x.device)
    column = iota(shape=(n,), dtype=dt.int32, axis=0, device=x.device)
    return convert_to(eq(add(row, n - rows), column), x.dtype)


@primitive
class pinv(Matrices):
    """The inverse of Moore and Penrose; singular values not above rtol times the largest count as 0

    rtol: one number for each matrix. The derivative holds where the rank does not change.
    """

    def infer(a, rtol):
        check_matrices("pinv", a)
        if rtol.shape != a.shape[:-2] or rtol.dtype != real_of(a.dtype):
            raise ShapeError(f"pinv: rtol {rtol} does not fit matrices {a}.", fix="one number for each matrix.")
        return a.update(shape=(*a.shape[:-2], a.shape[-1], a.shape[-2]))

    def jvp(primals, tangents, out):
        # dP = -P dA P + P P^H dA^H (1 - A P) + (1 - P A) dA^H P^H P
        a, da = primals[0], tangents[0]
        if da is None:
            return None
        m, n = a.shape[-2:]
        ph, dah = adjoint(out), adjoint(da)
        total = neg(matmul(out, matmul(da, out)))
        if n:
            x = matmul(matmul(out, ph), dah)
            total = add(total, sub(x, matmul(matmul(x, a), out)))
        if m:
            y = matmul(dah, matmul(ph, out))
            total = add(total, sub(y, matmul(out, matmul(a, y))))
        return total

    def vary(rng, i, array):
        return matrix_like(rng, array) if i == 0 else array

    def samples(rng):
        rtol = np.full((), 1e-9)
        for shape in ((3, 3), (2, 4), (4, 2), (1, 1), (0, 2)):
            yield (matrix(rng, *shape), rtol), {}
        yield (matrix(rng, 2, 3, 2), np.full(2, 1e-9)), {}
        yield (complex_matrix(rng, 3, 2), rtol), {}


@primitive
class solve(RegularSamples, Matrices):
    """X with A X = B for square A, and the LU factors and permutation of A, which serve the derivative"""

    def infer(a, b):
        check_matrices("solve", a, square=True)
        check_right_side("solve", a, b, -2)
        weak = a.weak_type and b.weak_type
        permutation = a.update(shape=a.shape[:-1], dtype=dt.int32, weak_type=False)
        return b.update(weak_type=weak), a.update(weak_type=weak), permutation

    def jvp(primals, tangents, out):
        (da, db), (x, factors, permutation) = tangents, out
        factors_tangent = None
        if da is not None:
            change = matmul(da, x)
            db = neg(change) if db is None else sub(db, change)
            factors_tangent = lu_tangent(factors, permute_rows(da, permutation))
        return solve_factored(factors, permutation, db), factors_tangent, None

    def lower(a, b):
        return "solve", ()

    def samples(rng):
        yield (regular(rng, 3, 3), matrix(rng, 3, 2)), {}
        yield (regular(rng, 2, 2, 2), matrix(rng, 2, 2, 1)), {}
        yield (regular(rng, 0, 0), matrix(rng, 0, 2)), {}
        yield (3 * np.eye(3) + complex_matrix(rng, 3, 3), complex_matrix(rng, 3, 2)), {}


@primitive
class det(RegularSamples, Matrices):
    """The determinant; its derivative exists everywhere"""

    square = True

    def results(a):
        return a.update(shape=a.shape[:-2])

    def jvp(primals, tangents, out):
        return trace_of_product(adjugate(primals[0]), tangents[0])

    def samples(rng):
        yield (regular(rng, 3, 3),), {}
        yield (regular(rng, 2, 2, 2),), {}
        yield (matrix(rng, 1, 1),), {}
        yield (complex_matrix(rng, 3, 3),), {}
        yield (matrix(rng, 0, 0),), {}


@primitive
class adjugate(RegularSamples, Matrices):
    """X with A X = X A = det(A) I, of singular matrices, too, where only it itself, not its derivative, is given"""

    square = True

    def results(a):
        return a

    def jvp(primals, tangents, out):
        # d(det(A) A^-1) = (tr(X dA) X - X dA X) / det(A)
        da = tangents[0]
        grown = mul(columns_of(columns_of(trace_of_product(out, da))), out)
        turned = matmul(out, matmul(da, out))
        return div(sub(grown, turned), columns_of(columns_of(det(primals[0]))))

    def samples(rng):
        yield (regular(rng, 3, 3),), {}
        yield (regular(rng, 2, 2, 2),), {}
        yield (matrix(rng, 1, 1),), {}
        yield (complex_matrix(rng, 3, 3),), {}


@primitive
class slogdet(RegularSamples, Matrices):
    """The sign of the determinant and the logarithm of its absolute value; 0 and -inf of a singular matrix"""

    square = True

    def results(a):
        one = a.update(shape=a.shape[:-2])
        return one, one.update(dtype=real_of(a.dtype))

    def jvp(primals, tangents, out):
        a = primals[0]
        ones = broadcast_in_dim(identity_like(a), shape=a.shape, axes=(a.ndim - 2, a.ndim - 1))
        inverse, _, _ = solve(a, ones)
        change = trace_of_product(inverse, tangents[0])
        turned = mul(out[0], imaginary_part(change)) if is_complex(a.dtype) else None
        return turned, real_part(change)

    def samples(rng):
        yield (regular(rng, 3, 3),), {}
        yield (regular(rng, 2, 2, 2),), {}
        yield (matrix(rng, 1, 1),), {}
        yield (complex_matrix(rng, 3, 3),), {}
        yield (matrix(rng, 0, 0),), {}
