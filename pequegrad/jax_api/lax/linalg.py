"""jax.lax.linalg: factorisations and systems of matrices in the last two axes, of float32, float64 or complex numbers."""

import enum
import math

import numpy as np

from ...core.dtype import dt, is_complex
from ...core.errors import ArgumentError
from ...core.node import face
from ...primitives import decompositions, forms, linalg
from ...primitives import elementwise as e
from ...primitives import matrices as m
from ...primitives import shape as s
from ...primitives.base import number
from ...primitives.contraction import dot_general
from ...primitives.control import stop_gradient
from ...primitives.mathematical import rsqrt
from ...primitives.reduction import reduce_max, reduce_or, reduce_sum
from ...transforms.control_flow import scan
from ..convert import as_array
from .operands import MisfitError, check_kind, check_same_dtypes, shapes_as_types


class EigImplementation(enum.Enum):
    """Libraries that jax knows for eig; here always LAPACK."""

    CUSOLVER = "cusolver"
    MAGMA = "magma"
    LAPACK = "lapack"


class EighImplementation(enum.Enum):
    """Methods that jax knows for eigh; here always LAPACK's."""

    QR = "qr"
    JACOBI = "jacobi"
    QDWH = "qdwh"


class SvdAlgorithm(enum.Enum):
    """Methods that jax knows for svd; here always LAPACK's."""

    DEFAULT = "default"
    QR = "QR"
    JACOBI = "Jacobi"
    POLAR = "polar"
    DIVIDE_AND_CONQUER = "divide_and_conquer"


def _matrix(name, x, position=0):
    x = as_array(x, name, position)
    check_kind(name, "float32, float64 or complex", x)
    return x


def _no_subset(name, subset):
    if subset is not None:
        raise NotImplementedError(f"{name}: subset_by_index is not supported.")


# ---- factorisations --------------------------------------------------------------------------------------------


@shapes_as_types
def cholesky(x, *, symmetrize_input=True):
    """The lower triangular L with x = L L^H; nan where x is not positive definite.

    symmetrize_input: of the mean of x and x^H; else only the lower triangle is read.
    """
    x = _matrix("cholesky", x)
    return decompositions.cholesky(m.hermitian_part(x) if symmetrize_input and x.ndim >= 2 else x)


@shapes_as_types
def cholesky_update(r_matrix, w_vector):
    """The upper triangular R with R^T R = r_matrix^T r_matrix + w w^T."""
    r, w = _matrix("cholesky_update", r_matrix), _matrix("cholesky_update", w_vector, 1)
    check_same_dtypes("cholesky_update", r, w)
    if r.ndim < 2 or r.shape[-1] != r.shape[-2] or w.shape != r.shape[:-1]:
        raise MisfitError(f"cholesky_update: {r._node.aval} and {w._node.aval} are no triangle and its vector.")
    _, found = decompositions.qr(s.concatenate(r, m.rows_of(w), axis=r.ndim - 2), full=False)
    flip = e.lt(m.diagonal_of(found), number(0, found))
    return e.select(m.columns_of(flip), e.neg(found), found)


@shapes_as_types
def eig(x, *, compute_left_eigenvectors=True, compute_right_eigenvectors=True, enable_eigvec_derivs=False,
        implementation=None, use_magma=None):  # fmt: skip
    """[complex eigenvalues, left eigenvectors, right eigenvectors] of any square matrices; vectors are columns of norm 1."""
    x = _matrix("eig", x)
    if not (compute_left_eigenvectors or compute_right_eigenvectors):
        return [decompositions.eig(x, vectors=False)]
    values, right = decompositions.eig(x, vectors=True)
    found = [values]
    if compute_left_eigenvectors:
        found.append(_left_vectors(right))
    return [*found, right] if compute_right_eigenvectors else found


def _left_vectors(right):
    """The columns of the inverse's adjoint, of norm 1."""
    eye = s.broadcast_in_dim(m.identity_like(right), shape=right.shape, axes=(right.ndim - 2, right.ndim - 1))
    left = m.adjoint(linalg.solve(right, eye)[0])
    squares = e.real(e.mul(left, e.conj(left)))
    length = rsqrt(reduce_sum(squares, axes=(left.ndim - 2,)))
    return e.mul(left, e.convert_to(m.rows_of(length), left.dtype))


@shapes_as_types
def eigh(x, *, lower=True, symmetrize_input=True, sort_eigenvalues=True, subset_by_index=None, implementation=None):
    """(eigenvectors in columns, ascending eigenvalues) of Hermitian matrices.

    symmetrize_input: of the mean of x and x^H; else only the lower (or upper) triangle is read.
    """
    x = _matrix("eigh", x)
    n = x.shape[-1] if x.ndim else 0
    _no_subset("eigh", None if subset_by_index == (0, n) else subset_by_index)
    if symmetrize_input and x.ndim >= 2:
        x = m.hermitian_part(x)
    elif not lower:
        x = m.adjoint(x)
    values, vectors = decompositions.eigh(x, vectors=True)
    return vectors, values


@shapes_as_types
def lu(x):
    """(L and U packed, pivots, permutation), x[permutation] = L U; row i was exchanged with row pivots[i]."""
    return linalg.lu(_matrix("lu", x))


def lu_pivots_to_permutation(pivots, permutation_size):
    """The permutation of so many rows that the exchanges of lu make."""
    pivots = as_array(pivots, "lu_pivots_to_permutation")
    if pivots.dtype != dt.int32 or not pivots.ndim:
        raise ArgumentError(f"lu_pivots_to_permutation takes int32 [.., k], got {pivots._node.aval}.")
    return linalg.pivots_to_permutation(pivots, size=int(permutation_size))


@shapes_as_types
def qr(x, *, pivoting=False, full_matrices=True, use_magma=None):
    """(Q, R) with x = Q R; full_matrices: Q is square. pivoting: (Q, R, p), x[:, p] = Q R, the diagonal of R falls."""
    x = _matrix("qr", x)
    if not pivoting:
        return decompositions.qr(x, full=bool(full_matrices))
    _, _, columns = forms.reflections(stop_gradient(x), pivoting=True)
    x = m.transposed(m.permute_rows(m.transposed(x), columns))
    return *decompositions.qr(x, full=bool(full_matrices)), columns  # anew: that has a derivative


@shapes_as_types
def hessenberg(a):
    """(packed factors, tau) of a = Q H Q^H: H in the upper triangle and the first subdiagonal, below these reflections."""
    return forms.hessenberg(_matrix("hessenberg", a))


@shapes_as_types
def schur(x, *, compute_schur_vectors=True, sort_eig_vals=False, select_callable=None):
    """[T, Z] with x = Z T Z^H, Z unitary, T upper triangular with 2 x 2 blocks for pairs of a real x; or [T]."""
    if sort_eig_vals:
        raise NotImplementedError("schur: sort_eig_vals is not supported.")
    found = forms.schur(_matrix("schur", x), vectors=bool(compute_schur_vectors))
    return list(found) if compute_schur_vectors else [found]


@shapes_as_types
def tridiagonal(a, *, lower=True):
    """(packed factors, diagonal, what is beside it, tau) of a = Q T Q^H, of Hermitian matrices of which one triangle is read.

    householder_product makes Q of the vectors of reflections in that triangle.
    """
    return forms.tridiagonal(_matrix("tridiagonal", a), lower=bool(lower))


@shapes_as_types
def svd(x, *, full_matrices=True, compute_uv=True, subset_by_index=None, algorithm=None):
    """(U, S descending, V^H) with x = U S V^H, or S; full_matrices: U and V are square."""
    x = _matrix("svd", x)
    _no_subset("svd", subset_by_index)
    return decompositions.svd(x, full=bool(full_matrices and compute_uv), vectors=bool(compute_uv))


# ---- products of reflections -------------------------------------------------------------------------------------


def _reflections(name, a, taus):
    """V and T with H_1 H_2 .. H_k = I - V T V^H, for H_i = I - tau_i v_i v_i^H whose v_i is below the diagonal of a.

    Schreiber and Van Loan, "A storage-efficient WY representation" (1989); T = (I + D S)^-1 D with D = diag(tau) and S the
    strict upper triangle of V^H V.
    """
    a, taus = _matrix(name, a), _matrix(name, taus, 1)
    check_same_dtypes(name, a, taus)
    if a.ndim < 2 or taus.shape[:-1] != a.shape[:-2] or taus.shape[-1] > min(a.shape[-2:]):
        raise MisfitError(f"{name}: {a._node.aval} and {taus._node.aval} are no reflections.")
    k = taus.shape[-1]
    v = m.lower_triangle(s.slice_axis(a, a.ndim - 1, 0, k), -1)
    v = e.add(v, m.identity_like(v))
    gram = m.upper_triangle(_product(m.adjoint(v), v), 1)
    system = e.mul(m.columns_of(taus), gram)  # its diagonal counts as ones
    scaled = e.mul(m.identity_like(gram), m.rows_of(taus))
    scaled = s.broadcast_in_dim(scaled, shape=gram.shape, axes=tuple(range(gram.ndim)))
    return a, v, linalg.triangular_solve(system, scaled, left=True, lower=False, transpose="N", unit=True)


def _product(x, y):
    lead = tuple(range(x.ndim - 2))
    n = len(lead)
    return dot_general(x, y, contract=((n + 1,), (n,)), batch=(lead, lead), dtype=x.dtype)


@shapes_as_types
def householder_product(a, taus):
    """The first columns, as many as a [.., m, n] has, of the product of reflections: Q of a packed QR factorisation."""
    a, v, t = _reflections("householder_product", a, taus)
    first = s.slice_axis(m.adjoint(v), v.ndim - 1, 0, a.shape[-1])  # V^H of the first columns of the identity
    found = _product(v, _product(t, first))
    return e.sub(e.convert_to(m.on_diagonal(a), a.dtype), found)


@shapes_as_types
def ormqr(a, taus, c, *, left=True, transpose=False):
    """Q c, or c Q, for the square Q of reflections; transpose: Q^H in its place."""
    _, v, t = _reflections("ormqr", a, taus)
    c = _matrix("ormqr", c, 2)
    t = m.adjoint(t) if transpose else t
    if left:
        return e.sub(c, _product(v, _product(t, _product(m.adjoint(v), c))))
    return e.sub(c, _product(_product(_product(c, v), t), m.adjoint(v)))


@shapes_as_types
def symmetric_product(a_matrix, c_matrix, *, alpha=1.0, beta=0.0, symmetrize_output=False):
    """alpha A A^T + beta C; with symmetrize_output of C the lower triangle counts, else that of the result does."""
    a, c = _matrix("symmetric_product", a_matrix), _matrix("symmetric_product", c_matrix, 1)
    check_same_dtypes("symmetric_product", a, c)
    if symmetrize_output:
        c = e.add(m.lower_triangle(c), m.transposed(m.lower_triangle(c, -1)))
    return e.add(e.mul(_product(a, m.transposed(a)), alpha), e.mul(c, beta))


# ---- systems -----------------------------------------------------------------------------------------------------


@shapes_as_types
def triangular_solve(a, b, *, left_side=False, lower=False, transpose_a=False, conjugate_a=False, unit_diagonal=False):
    """x with op(a) x = b (left_side), or x op(a) = b, reading one triangle of a; b may be a vector for each matrix."""
    a, b = _matrix("triangular_solve", a), _matrix("triangular_solve", b, 1)
    check_same_dtypes("triangular_solve", a, b)
    conjugate_a = conjugate_a and a.dtype.kind == "c"
    if conjugate_a and not transpose_a:
        a = e.conj(a)
    how = ("C" if conjugate_a else "T") if transpose_a else "N"
    vector = b.ndim == a.ndim - 1
    if vector:
        b = m.columns_of(b) if left_side else m.rows_of(b)
    x = linalg.triangular_solve(a, b, left=bool(left_side), lower=bool(lower), transpose=how, unit=bool(unit_diagonal))
    return s.reshape(x, shape=x.shape[:-1] if left_side else (*x.shape[:-2], x.shape[-1])) if vector else x


@shapes_as_types
def tridiagonal_solve(dl, d, du, b, *, perturb_singular=False):
    """x [.., n, r] with A x = b for A with the diagonals dl, d, du [.., n]; dl[0] and du[n - 1] are not read.

    By elimination with partial pivoting, one row after the other (LAPACK's gtsv). Of a singular matrix nan, or with
    perturb_singular the solution for pivots that are not smaller than the rounding of the largest element of U.
    """
    dl, d, du, b = (_matrix("tridiagonal_solve", x, i) for i, x in enumerate((dl, d, du, b)))
    check_same_dtypes("tridiagonal_solve", dl, d, du, b)
    n = d.shape[-1]
    if not dl.shape == d.shape == du.shape or b.shape[:-1] != d.shape:
        raise MisfitError(f"tridiagonal_solve: diagonals {d.shape} and a right side {b.shape} do not fit.")
    if not n:
        return b
    zero = number(0, d)
    last = e.lt(s.iota(shape=(n,), dtype=dt.int32, axis=0, device=d.device), n - 1)
    du = e.select(last, du, zero)
    rows = [_first_axis(x) for x in (dl, d, du)] + [
        s.transpose(b, permutation=(b.ndim - 2, *range(b.ndim - 2), b.ndim - 1))
    ]
    at = lambda i, j: [s.slice_axis(x, 0, i, j) for x in rows]
    drop = lambda x: s.reshape(x, shape=x.shape[1:])
    _, d0, du0, b0 = map(drop, at(0, 1))
    with face(True):
        carry, upper = scan(_eliminate, (d0, du0, b0), tuple(at(1, n)))
        end = (carry[0], carry[1], s.zeros_like(carry[0]), carry[2])
        upper = tuple(s.concatenate(u, s.expand_leading(v, 0, 1), axis=0) for u, v in zip(upper, end))
        upper = (_pivots(*upper[:3], perturb_singular), *upper[1:])
        _, found = scan(_substitute, (s.zeros_like(b0), s.zeros_like(b0)), upper, reverse=True)
    return s.transpose(found, permutation=(*range(1, b.ndim - 1), 0, b.ndim - 1))


def _first_axis(x):
    return s.transpose(x, permutation=(x.ndim - 1, *range(x.ndim - 1)))


def _eliminate(carry, row):
    """Of the row so far and the next one, the one with the larger first element becomes a row of U."""
    (a, c, r), (low, d, u, b) = carry, row
    stays = e.ge(e.abs_(a), e.abs_(low))
    choose = lambda x, y: e.select(m.columns_of(stays) if x.ndim > stays.ndim else stays, x, y)
    zero = s.zeros_like(a)
    first, second = (choose(a, low), choose(c, d), choose(zero, u), choose(r, b)), (choose(low, a), choose(d, c))
    nothing = e.eq(second[0], zero)  # there may be a pivot of 0
    factor = e.select(nothing, zero, e.div(second[0], e.select(nothing, s.filled_like(zero, 1), first[0])))
    last, right = choose(u, zero), choose(b, r)
    new = e.sub(second[1], e.mul(factor, first[1])), e.sub(last, e.mul(factor, first[2]))
    return (*new, e.sub(right, e.mul(m.columns_of(factor), first[3]))), first


def _pivots(a, c, f, perturb):
    """The pivots a [n, ..] of U, whose other diagonals are c and f: where one is 0, all of its matrix nan, or moved away from 0."""
    if not perturb:
        singular = reduce_or(e.eq(a, number(0, a)), axes=(0,))
        return e.select(
            s.broadcast_in_dim(singular, shape=a.shape, axes=tuple(range(1, a.ndim))), number(math.nan, a), a
        )
    size = e.abs_(a)
    largest = e.max_(reduce_max(size, axes=(0,)), e.max_(*(reduce_max(e.abs_(x), axes=(0,)) for x in (c, f))))
    info = np.finfo(size.dtype)
    least = e.max_(e.mul(largest, float(info.eps)), number(float(info.tiny), largest))
    least = s.broadcast_in_dim(least, shape=a.shape, axes=tuple(range(1, a.ndim)))
    negative = e.lt(e.real(a) if is_complex(a.dtype) else a, number(0, size))
    moved = e.convert_to(e.select(negative, e.neg(least), least), a.dtype)
    return e.select(e.lt(size, least), moved, a)


def _substitute(later, row):
    (x1, x2), (a, c, f, r) = later, row
    known = e.add(e.mul(m.columns_of(c), x1), e.mul(m.columns_of(f), x2))
    x = e.div(e.sub(r, known), m.columns_of(a))
    return (x, x1), x


__all__ = [
    "EigImplementation", "EighImplementation", "SvdAlgorithm", "cholesky", "cholesky_update", "eig", "eigh", "hessenberg",
    "householder_product", "lu", "lu_pivots_to_permutation", "ormqr", "qr", "schur", "svd", "symmetric_product",
    "triangular_solve", "tridiagonal", "tridiagonal_solve",
]  # fmt: skip
