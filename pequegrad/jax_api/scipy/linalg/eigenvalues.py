"""Eigenvalues; Schur's and Hessenberg's forms."""

import numpy as np

from ....core.dtype import complex_of, is_complex
from ....ops import decompositions as d
from ... import lax
from ... import numpy as jnp
from ...convert import as_array
from .common import matrices, square


def eigh(
    a, b=None, lower=True, eigvals_only=False, overwrite_a=False, overwrite_b=False, turbo=True, eigvals=None, type=1,
    check_finite=True,
):  # fmt: skip
    """(ascending eigenvalues, eigenvectors in columns) of Hermitian matrices, of which the mean with the adjoint is taken."""
    if b is not None:
        raise NotImplementedError("Only the b=None case of eigh is implemented")
    if type != 1:
        raise NotImplementedError("Only the type=1 case of eigh is implemented.")
    if eigvals is not None:
        raise NotImplementedError("Only the eigvals=None case of eigh is implemented.")
    (a,) = matrices("eigh", a)
    return d.eigvalsh(a) if eigvals_only else tuple(d.eigh(a))


def eigh_tridiagonal(d, e, *, eigvals_only=False, select="a", select_range=None, tol=None, key=None):
    """Ascending eigenvalues [k], and eigenvectors [n, k], of the matrix with diagonal d [n] and e [n - 1] above it.

    select: "a" for all, "i" for those with numbers select_range = (first, last). All are found to full precision, without
    iteration: `tol` is always met, and there are no random vectors to start from that `key` would choose.
    """
    from ....ops.decompositions import eigh, eigvalsh

    diagonal, above = jnp.asarray(d), jnp.asarray(e)
    if diagonal.dtype != above.dtype:
        raise TypeError(
            f"diagonal and off-diagonal values must have same dtype, got {diagonal.dtype} and {above.dtype}"
        )
    if diagonal.dtype.kind not in "fc" or diagonal.dtype.itemsize < 4:
        raise TypeError(f"eigh_tridiagonal takes float32, float64 or complex numbers, got {diagonal.dtype}.")
    n = diagonal.shape[0]
    if n <= 1:
        values = diagonal.real
        return values if eigvals_only else (values, jnp.eye(n, dtype=diagonal.dtype))
    chosen = _selected(select, select_range, n)
    matrix = jnp.diag(diagonal.real.astype(diagonal.dtype)) + jnp.diag(above, 1) + jnp.diag(jnp.conj(above), -1)
    if eigvals_only:
        return eigvalsh(matrix)[chosen]
    values, vectors = eigh(matrix)
    return values[chosen], vectors[:, chosen]


def _selected(select, select_range, n):
    if select == "a":
        return slice(None)
    if select == "i":
        if select_range is None:
            raise ValueError("for select='i', select_range must be specified.")
        first, last = select_range
        if first > last:
            raise ValueError("Got empty index range in select_range.")
        return slice(first, last + 1)
    if select == "v":
        raise NotImplementedError("eigh_tridiagonal(..., select='v') is not implemented")
    raise ValueError("'select must have a value in {'a', 'i', 'v'}.")


def schur(a, output="real"):
    """(T, Z) with a = Z T Z^H, Z unitary, and T upper triangular; of real `a` and output "real" with 2 x 2 blocks for pairs."""
    if output not in ("real", "complex"):
        raise ValueError(f"Expected 'output' to be either 'real' or 'complex', got output={output!r}.")
    a = square("schur", a)
    if output == "complex" and not is_complex(a.dtype):
        a = a.astype(complex_of(a.dtype))
    return lax.linalg.schur(a)


def rsf2csf(T, Z, check_finite=True):
    """The complex Schur form from the real one: each 2 x 2 block is turned to a triangle, from the last to the first."""
    T, Z = jnp.asarray(T), jnp.asarray(Z)
    for name, x in (("T", T), ("Z", Z)):
        if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
            raise ValueError(f"Input '{name}' must be square.")
    if T.shape[-1] != Z.shape[-1]:
        raise ValueError(f"Input array shapes must match: Z: {Z.shape} vs. T: {T.shape}")
    T, Z = matrices("rsf2csf", T, Z)
    if not is_complex(T.dtype):
        T, Z = (x.astype(complex_of(x.dtype)) for x in (T, Z))
    return jnp.vectorize(_rsf2csf, signature="(n,n),(n,n)->(n,n),(n,n)")(T, Z)


def _rsf2csf(t, z):
    n = t.shape[0]
    if n == 1:
        return t, z
    epsilon = float(jnp.finfo(t.dtype).eps)
    places = jnp.arange(n)

    def step(i, state):
        t, z = state
        m = n - i
        below = t[m, m - 1]
        block = lax.dynamic_slice(t, (m - 1, m - 1), (2, 2))
        large = jnp.abs(below) > epsilon * (jnp.abs(block[0, 0]) + jnp.abs(block[1, 1]))
        gap = _first_eigenvalue(block) - block[1, 1]
        radius = jnp.sqrt(jnp.abs(gap) ** 2 + jnp.abs(below) ** 2)
        radius = jnp.where(large, radius, 1).astype(t.dtype)
        c, s = jnp.where(large, gap / radius, 1), jnp.where(large, below / radius, 0)
        g = jnp.stack([jnp.stack([jnp.conj(c), s]), jnp.stack([-s, c])])
        turned = jnp.conj(g).T
        rows = lax.dynamic_slice_in_dim(t, m - 1, 2, axis=0)
        rows = jnp.where(places >= m - 1, g @ rows, rows)
        t = lax.dynamic_update_slice_in_dim(t, rows, m - 1, axis=0)
        columns = lax.dynamic_slice_in_dim(t, m - 1, 2, axis=1)
        columns = jnp.where(places[:, None] < m + 1, columns @ turned, columns)
        t = lax.dynamic_update_slice_in_dim(t, columns, m - 1, axis=1)
        columns = lax.dynamic_slice_in_dim(z, m - 1, 2, axis=1)
        z = lax.dynamic_update_slice_in_dim(z, columns @ turned, m - 1, axis=1)
        return t.at[m, m - 1].set(0), z

    return lax.fori_loop(1, n, step, (t, z))


def _first_eigenvalue(block):
    return jnp.linalg.eigvals(block)[0]


def hessenberg(a, *, calc_q=False, overwrite_a=False, check_finite=True):
    """H with a = Q H Q^H, zero below the first subdiagonal, or (H, Q); of a floating dtype."""
    a = as_array(a, "hessenberg")
    n = np.shape(a)[-1]
    if not n:
        return (jnp.zeros_like(a), jnp.zeros_like(a)) if calc_q else jnp.zeros_like(a)
    packed, taus = lax.linalg.hessenberg(a)
    h = jnp.triu(packed, -1)
    if not calc_q:
        return h
    inner = lax.linalg.householder_product(packed[..., 1:, :-1], taus)
    q = jnp.pad(inner, [(0, 0)] * (a.ndim - 2) + [(1, 0), (1, 0)])
    return h, q + jnp.zeros((n, n), q.dtype).at[0, 0].set(1)


__all__ = ["eigh", "eigh_tridiagonal", "hessenberg", "rsf2csf", "schur"]
