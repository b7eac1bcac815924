"""Factorisations: Cholesky, LU, QR, singular values, the polar decomposition."""

from ....ops import decompositions as d
from ... import lax
from ... import numpy as jnp
from ...lax.operands import MisfitError
from .common import matrices


def cholesky(a, lower=False, overwrite_a=False, check_finite=True):
    """The upper triangular U with a = U^H U, or the lower triangular L with a = L L^H. Only that triangle of `a` is read."""
    return d.cholesky(*matrices("cholesky", a), upper=not lower, symmetrize_input=False)


def cho_factor(a, lower=False, overwrite_a=False, check_finite=True):
    """(cholesky(a), lower) for cho_solve."""
    return cholesky(a, lower=lower), lower


def svd(a, full_matrices=True, compute_uv=True, overwrite_a=False, check_finite=True, lapack_driver="gesdd"):
    """(U, S, V^H) with a = U S V^H and S descending, or only S. There is one method, whatever the driver."""
    found = d.svd(*matrices("svd", a), full_matrices, compute_uv)
    return tuple(found) if compute_uv else found


def lu_factor(a, overwrite_a=False, check_finite=True):
    """(packed factors L and U, pivots) for lu_solve."""
    return d.lu_factor(*matrices("lu_factor", a))


def lu(a, permute_l=False, overwrite_a=False, check_finite=True):
    """(P, L, U) with a = P L U, or (P L, U), of one matrix."""
    (a,) = matrices("lu", a)
    if a.ndim != 2:
        raise MisfitError(f"lu: expected one matrix, got an array of shape {a.shape}")
    p, *factors = d.lu(a, permute_l)
    return (p, *factors) if permute_l else (p.real, *factors)


def qr(a, overwrite_a=False, lwork=None, mode="full", pivoting=False, check_finite=True):
    """(Q, R) with a = Q R; mode "economic": without the columns of Q and rows of R that add nothing; "r": (R,).

    pivoting: (Q, R, p) with a[:, p] = Q R, and a diagonal of R that does not grow.
    """
    if mode not in ("full", "economic", "r"):
        raise ValueError(f"Unsupported QR decomposition mode '{mode}'")
    (a,) = matrices("qr", a)
    found = tuple(lax.linalg.qr(a, pivoting=pivoting, full_matrices=mode != "economic"))
    return found[1:] if mode == "r" else found


def qr_multiply(a, c, mode="right", pivoting=False, conjugate=False, overwrite_a=False, overwrite_c=False):
    """(c Q, R) or, with mode "left", (Q c, R) for the economic QR of `a`; pivoting adds p. conjugate: conj(Q) in place of Q."""
    a, c = matrices("qr_multiply", a, c)
    if mode not in ("right", "left"):
        raise ValueError(f"mode must be 'right' or 'left', got {mode!r}")
    vector = c.ndim == 1
    if vector:
        c = c[:, None] if mode == "left" else c[None, :]
    m, n = a.shape[-2:]
    k = min(m, n)
    size, wanted = (c.shape[-2], k) if mode == "left" else (c.shape[-1], m)
    if size != wanted:
        raise ValueError(f"qr_multiply: a has shape {a.shape}, c {c.shape}: it needs {wanted} in place of {size}.")
    q, r, *p = qr(a, mode="economic", pivoting=pivoting)
    q = jnp.conj(q) if conjugate else q
    found = jnp.matmul(q, c) if mode == "left" else jnp.matmul(c, q)
    r = jnp.broadcast_to(r, found.shape[:-2] + r.shape[-2:])
    return (found.ravel() if vector else found, r, *p)


def polar(a, side="right", *, method="qdwh", eps=None, max_iterations=None):
    """(U, P) with a = U P, or with side "left" a = P U: U has orthonormal columns or rows, P is positive semidefinite.

    Found from the singular values by both methods, so eps and max_iterations, which tell an iteration when to end, have
    nothing to tell; "qdwh" takes [m, n] with m >= n for the right, m < n for the left side.
    """
    a = jnp.asarray(a)
    if a.ndim < 2:
        raise ValueError("The input `a` must be at least a 2-D array.")
    if side not in ("right", "left"):
        raise ValueError("The argument `side` must be either 'right' or 'left'.")
    if method not in ("qdwh", "svd"):
        raise ValueError(f"Unknown polar decomposition method {method}.")
    m, n = a.shape[-2:]
    if method == "qdwh" and (m >= n) != (side == "right"):
        raise NotImplementedError(
            f"method='qdwh' only supports mxn matrices where m < n where side='right' and m >= n side='left', got {a.shape} "
            f"with side={side!r}"
        )
    u, s, vh = d.svd(a, full_matrices=False)
    s = s.astype(u.dtype)[..., None, :]
    unitary = jnp.matmul(u, vh)
    factor = jnp.conj(jnp.swapaxes(vh, -1, -2)) if side == "right" else u
    return unitary, jnp.matmul(factor * s, jnp.conj(jnp.swapaxes(factor, -1, -2)))


__all__ = ["cho_factor", "cholesky", "lu", "lu_factor", "polar", "qr", "qr_multiply", "svd"]
