"""Factorisations of matrices, which lie in the last two axes; integers become float32. Names and signatures are JAX's.

Derivatives exist where the factors are determined: see primitives/decompositions.py and primitives/linalg.py.
"""

from typing import Any, NamedTuple

from ..core.errors import ArgumentError
from ..primitives import decompositions as d
from ..primitives import linalg
from ..primitives import matrices as m
from ..primitives.elementwise import add, convert_to, eq, mul
from ..primitives.shape import iota, slice_axis
from .arithmetic import floating
from .shape import expand_dims


class QRResult(NamedTuple):
    Q: Any
    R: Any


class SVDResult(NamedTuple):
    U: Any
    S: Any
    Vh: Any


class EigResult(NamedTuple):
    eigenvalues: Any
    eigenvectors: Any


class EighResult(NamedTuple):
    eigenvalues: Any
    eigenvectors: Any


def cholesky(a, *, upper=False, symmetrize_input=True):
    """The lower triangular L with a = L L^H of positive definite matrices [.., n, n], or with `upper` U = L^H.

    nan for a matrix that is not positive definite. symmetrize_input: takes the mean of a and a^H; else only
    the lower (upper) triangle is read.
    """
    a = floating(a)
    if symmetrize_input and _is_square(a):
        a = m.hermitian_part(a)
    elif upper and _is_square(a):
        a = m.adjoint(a)
    factor = d.cholesky(a)
    return m.adjoint(factor) if upper else factor


def _is_square(a):
    """Whether to go on before the primitive has checked; it raises for what is not square."""
    return a.ndim >= 2 and a.shape[-1] == a.shape[-2]


def qr(a, mode="reduced"):
    """Q with orthonormal columns and the upper triangular R with a = Q R, for a [.., m, n], k = min(m, n).

    mode: "reduced" (Q [.., m, k], R [.., k, n]), "complete" (Q [.., m, m], R [.., m, n]), or "r" (only R, reduced).
    """
    if mode not in ("reduced", "complete", "r"):
        raise ArgumentError(f"qr: there is no mode {mode!r}.", fix='use "reduced", "complete" or "r".')
    q, r = d.qr(floating(a), full=mode == "complete")
    return r if mode == "r" else QRResult(q, r)


def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    """U, S, V^H with a = U S V^H and S descending, for a [.., m, n]; only S if not compute_uv.

    full_matrices: U [.., m, m] and Vh [.., n, n]; else [.., m, k] and [.., k, n], k = min(m, n).
    hermitian: accepted for compatibility; the same method serves.
    """
    found = d.svd(floating(a), full=bool(full_matrices and compute_uv), vectors=bool(compute_uv))
    return SVDResult(*found) if compute_uv else found


def svdvals(a):
    """The singular values of a [.., m, n], descending."""
    return svd(a, compute_uv=False)


def eigh(a, UPLO=None, symmetrize_input=True):
    """Ascending eigenvalues [.., n] and eigenvectors, in columns, of Hermitian matrices [.., n, n].

    symmetrize_input: takes the mean of a and a^H; else only the triangle that UPLO ("L" or "U") names is read.
    """
    return EighResult(*d.eigh(_hermitian(a, UPLO, symmetrize_input), vectors=True))


def eigvalsh(a, UPLO="L", *, symmetrize_input=True):
    """The eigenvalues of Hermitian matrices, ascending; arguments as for eigh."""
    return d.eigh(_hermitian(a, UPLO, symmetrize_input), vectors=False)


def eig(a):
    """Complex eigenvalues [.., n] and eigenvectors of norm 1, in columns, of any square matrices [.., n, n]."""
    return EigResult(*d.eig(floating(a), vectors=True))


def eigvals(a):
    """The complex eigenvalues [.., n] of any square matrices, in no order that means something."""
    return d.eig(floating(a), vectors=False)


def _hermitian(a, triangle, symmetrize):
    if triangle not in (None, "L", "U"):
        raise ArgumentError(f"eigh: UPLO is {triangle!r}.", fix='use "L" or "U".')
    a = floating(a)
    if symmetrize and _is_square(a):
        return m.hermitian_part(a)
    return m.adjoint(a) if triangle == "U" and _is_square(a) else a


def lu(a, permute_l=False):
    """P, L, U with a = P L U, as scipy.linalg.lu: P a permutation matrix, L with ones on its diagonal; or (P L, U)."""
    factors, _, permutation = linalg.lu(floating(a))
    *_, rows, columns = factors.shape
    k, axis = min(rows, columns), factors.ndim - 1
    lower = m.lower_triangle(slice_axis(factors, axis, 0, k), -1)
    lower = add(lower, m.identity_like(lower))
    upper = m.upper_triangle(slice_axis(factors, axis - 1, 0, k))
    if permute_l:
        return m.permute_rows(lower, inverse_permutation(permutation)), upper
    numbers = iota(shape=(rows, 1), dtype=permutation.dtype, axis=0, device=permutation.device)
    return convert_to(eq(numbers, m.rows_of(permutation)), factors.dtype), lower, upper


def inverse_permutation(permutation):
    """The position of each number in permutations [.., n]."""
    n = permutation.shape[-1]
    numbers = iota(shape=(n,), dtype=permutation.dtype, axis=0, device=permutation.device)
    hits = eq(m.rows_of(permutation), expand_dims(numbers, -1))
    return m.reduce_sum(mul(convert_to(hits, permutation.dtype), numbers), axes=(permutation.ndim,))


def lu_factor(a):
    """Packed LU factors [.., m, n] and pivots int32 [.., k], for lu_solve: row i was exchanged with row pivots[i]."""
    factors, pivots, _ = linalg.lu(floating(a))
    return factors, pivots


def cho_factor(a, lower=False):
    """(c, lower) for cho_solve: the Cholesky factor of a, upper triangular unless `lower`."""
    return cholesky(a, upper=not lower), lower


__all__ = [
    "cholesky", "qr", "svd", "svdvals", "eig", "eigh", "eigvals", "eigvalsh", "lu", "lu_factor", "cho_factor",
]  # fmt: skip
