"""Functions of matrices: exponential, square root, any other; Sylvester's equation."""

from ....core.dtype import is_complex
from ....ops import systems
from ... import lax
from ... import numpy as jnp
from .common import matrices, square
from .eigenvalues import schur


def expm(A, *, upper_triangular=False, max_squarings=16):
    """The exponential of square matrices, by scaling and squaring of a Pade approximant; nan if that takes too many squarings.

    upper_triangular: of upper triangular matrices.
    """
    A = square("expm", A)
    if A.dtype.itemsize < 4:
        raise TypeError(f"A.dtype={A.dtype} is not supported.")
    return systems.expm(A, max_squarings=max_squarings, upper_triangular=upper_triangular)


def expm_frechet(A, E, *, method=None, compute_expm=True):
    """(expm(A), its derivative in the direction E), or only the derivative. There is one method."""
    from ...derivatives import jvp

    A, E = jnp.asarray(A), jnp.asarray(E)
    for name, x in (("A", A), ("E", E)):
        if x.ndim < 2 or x.shape[-2] != x.shape[-1]:
            raise ValueError(f"expected {name} to be a (batched) square matrix, got {name}.shape={x.shape}")
    if A.shape != E.shape:
        raise ValueError(f"expected A and E to be the same shape, got A.shape={A.shape} E.shape={E.shape}")
    value, derivative = jvp(expm, (A,), (E,))
    return (value, derivative) if compute_expm else derivative


def _unitary_product(z, t):
    return jnp.matmul(jnp.matmul(z, t), jnp.conj(jnp.swapaxes(z, -1, -2)))


def sqrtm(A, blocksize=1):
    """The principal square root of a matrix, complex, from its Schur form: Bjorck and Hammarling, "A Schur method" (1983)."""
    if blocksize > 1:
        raise NotImplementedError("Blocked version is not implemented yet.")
    t, z = schur(A, output="complex")
    if t.ndim != 2:
        raise ValueError(f"sqrtm: expected one matrix, got an array of shape {t.shape}")
    return _unitary_product(z, _root_of_triangle(t))


def _root_of_triangle(t):
    """The root of an upper triangle: one superdiagonal after the other."""
    n = t.shape[0]
    diagonal = jnp.sqrt(jnp.diagonal(t))
    rows = jnp.arange(n)

    def step(k, u):
        column = jnp.minimum(rows + k, n - 1)
        products = jnp.sum(u * u[:, column].T, axis=1)  # u[i, :] u[:, i + k]: that element itself is still 0
        rest = t[rows, column] - products
        value = jnp.where(rest == 0, 0, rest / (diagonal[rows] + diagonal[column]))
        return u.at[rows, jnp.where(rows + k < n, column, n)].set(value, mode="drop")

    return lax.fori_loop(1, n, step, jnp.diag(diagonal))


def funm(A, func, disp=True):
    """The function `func` of one square matrix, complex, by the Schur form and Parlett's recurrence; func takes vectors.

    disp False: (result, an estimate of its relative error).
    """
    A = jnp.asarray(A)
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ValueError("expected square array_like input")
    t, z = schur(A, output="complex")
    f, gap = _parlett(jnp.diag(func(jnp.diagonal(t))).astype(t.dtype), t)
    found = _unitary_product(z, f)
    if disp:
        return found
    tolerance = float(jnp.finfo(t.dtype).eps)
    gap = jnp.where(gap == 0, tolerance, gap)
    error = tolerance / gap * jnp.linalg.norm(jnp.triu(t, 1), 1)
    error = jnp.minimum(1, jnp.maximum(tolerance, error))
    return found, jnp.where(jnp.any(jnp.isinf(found)), jnp.inf, error)


def _parlett(f, t):
    """f of the triangle t, whose diagonal is known: algorithm 9.1.1 of Golub and Van Loan; and the least gap of eigenvalues."""
    n = t.shape[0]
    rows = jnp.arange(n)
    values = jnp.diagonal(t)

    def step(k, state):
        f, gap = state
        column = jnp.minimum(rows + k, n - 1)
        between = (rows[None, :] > rows[:, None]) & (rows[None, :] < column[:, None])
        products = t * f[:, column].T - f * t[:, column].T
        total = t[rows, column] * (f[column, column] - f[rows, rows]) + jnp.sum(jnp.where(between, products, 0), axis=1)
        distance = values[column] - values[rows]
        value = jnp.where(distance != 0, total / jnp.where(distance != 0, distance, 1), total)
        inside = rows + k < n
        gap = jnp.minimum(gap, jnp.min(jnp.where(inside, jnp.abs(distance), jnp.inf)))
        return f.at[rows, jnp.where(inside, column, n)].set(value, mode="drop"), gap

    return lax.fori_loop(1, n, step, (f, jnp.abs(values[0])))


def solve_sylvester(A, B, C, *, method="schur", tol=1e-08):
    """X with A X + X B = C, from Schur forms ("schur", Bartels and Stewart) or eigenvectors ("eigen").

    nan where an eigenvalue of A and one of -B are closer than tol: there is no single solution.
    """
    A, B, C = matrices("solve_sylvester", A, B, C)
    m, n = C.shape[-2:]
    if A.shape[-2:] != (m, m) or B.shape[-2:] != (n, n):
        raise ValueError(f"Incompatible shapes for Sylvester equation:\nA: {A.shape}\nB: {B.shape}\nC: {C.shape}")
    if method not in ("schur", "eigen"):
        raise ValueError(f'Unrecognized method {method}. The two valid methods are either "schur" or "eigen".')
    solve = jnp.vectorize(_by_schur if method == "schur" else _by_eigenvectors, signature="(m,m),(n,n),(m,n)->(m,n)")
    found = solve(A, B, C)
    found = found if is_complex(C.dtype) else found.real
    sums = jnp.linalg.eigvals(A)[..., :, None] + jnp.linalg.eigvals(B)[..., None, :]
    close = jnp.any(jnp.abs(sums) < tol, axis=(-2, -1), keepdims=True)
    return jnp.where(close, jnp.nan, found)


def _by_schur(a, b, c):
    r, u = schur(a, output="complex")
    s, v = schur(b, output="complex")
    f = jnp.conj(u).T @ c.astype(r.dtype) @ v

    def step(y, column):  # R y_j + y_j s_jj = f_j - Y s_j, over the columns from the first
        j, right, factors = column
        shifted = r + factors[j] * jnp.eye(r.shape[0], dtype=r.dtype)
        found = systems.solve_triangular(shifted, right - y @ factors)
        return y.at[:, j].set(found), None

    start = jnp.zeros_like(f)
    y, _ = lax.scan(step, start, (jnp.arange(f.shape[1]), f.T, jnp.triu(s).T))
    return u @ y @ jnp.conj(v).T


def _by_eigenvectors(a, b, c):
    p, u = jnp.linalg.eig(a)
    q, v = jnp.linalg.eig(b)
    f = jnp.linalg.solve(u, c.astype(p.dtype) @ v)
    return u @ (f / (p[:, None] + q)) @ jnp.linalg.inv(v)


__all__ = ["expm", "expm_frechet", "funm", "solve_sylvester", "sqrtm"]
