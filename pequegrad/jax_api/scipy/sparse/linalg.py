"""jax.scipy.sparse.linalg: iterative solvers of linear systems whose operator is a function; unknowns are pytrees.

Derivatives come from the equation (custom_linear_solve), not from the iteration.
"""

import functools
import operator

import numpy as np

from ....core.dtype import is_complex
from ....core.errors import MisfitError
from ....core.tensor import Tensor
from ... import lax
from ... import numpy as jnp
from ...transforms import arrays_of
from ...tree_util import tree_leaves, tree_map, tree_structure

# ---- arithmetic of trees -------------------------------------------------------------------------------

_add = functools.partial(tree_map, operator.add)
_sub = functools.partial(tree_map, operator.sub)


def _mul(scalar, tree):
    return tree_map(lambda x: scalar * x, tree)


def _real_dot(x, y):
    """The real part of <x, y>."""
    total = jnp.vdot(x.real, y.real)
    return total + jnp.vdot(x.imag, y.imag) if is_complex(x.dtype) or is_complex(y.dtype) else total


def _real_dots(x, y):
    return sum(tree_leaves(tree_map(_real_dot, x, y)))


def _dots(x, y):
    return sum(tree_leaves(tree_map(jnp.vdot, x, y)))


def _norm(x):
    return jnp.sqrt(_real_dots(x, x))


def _identity(x):
    return x


def _operator_of(f):
    """A function of a vector, from one or from a square matrix."""
    if callable(f):
        return f
    if not hasattr(f, "__matmul__"):
        raise TypeError(f"linear operator must be either a function or ndarray: {f}")
    if hasattr(f, "shape") and (len(f.shape) != 2 or f.shape[0] != f.shape[1]):
        raise ValueError(f"linear operator must be a square matrix, but has shape: {f.shape}")
    is_array = isinstance(f, (Tensor, np.ndarray))
    return functools.partial(jnp.dot, jnp.asarray(f)) if is_array else functools.partial(operator.matmul, f)


def _arguments(A, b, x0, maxiter, M):
    """(operator, b, x0, maxiter, preconditioner), checked, with defaults."""
    b = arrays_of(b)
    x0 = tree_map(jnp.zeros_like, b) if x0 is None else arrays_of(x0)
    maxiter = 10 * sum(x.size for x in tree_leaves(b)) if maxiter is None else maxiter
    if tree_structure(x0) != tree_structure(b):
        raise ValueError(f"x0 and b must have matching tree structure: {tree_structure(x0)} vs {tree_structure(b)}")
    shapes = [[x.shape for x in tree_leaves(tree)] for tree in (x0, b)]
    if shapes[0] != shapes[1]:
        raise MisfitError(f"arrays in x0 and b must have matching shapes: {shapes[0]} vs {shapes[1]}")
    return _operator_of(A), b, x0, maxiter, _identity if M is None else _operator_of(M)


def _bound(b, tol, atol):
    """The squared norm of the residual at which to stop."""
    return jnp.maximum(jnp.square(tol) * _real_dots(b, b), jnp.square(atol))


def _dtype(tree):
    return jnp.result_type(*tree_leaves(tree))


# ---- conjugate gradients ---------------------------------------------------------------------------------


def cg(A, b, x0=None, *, tol=1e-05, atol=0.0, maxiter=None, M=None):
    """(x with A x = b, None) by conjugate gradients, for Hermitian positive definite A, a function or a matrix.

    Stops where |b - A x| <= max(tol |b|, atol), or after maxiter steps. M: the preconditioner, near the inverse of A.
    """
    A, b, x0, maxiter, M = _arguments(A, b, x0, maxiter, M)
    solve = functools.partial(_cg, x0=x0, tol=tol, atol=atol, maxiter=maxiter, M=M)
    symmetric = not any(is_complex(x.dtype) for x in tree_leaves(b))
    return lax.custom_linear_solve(A, b, solve, solve, symmetric=symmetric), None


def _cg(A, b, *, x0, tol, atol, maxiter, M):
    bound = _bound(b, tol, atol)
    r = _sub(b, A(x0))
    p = M(r)
    dtype = _dtype(p)

    def going(state):
        _, r, gamma, _, k = state
        square = gamma.real if M is _identity else _real_dots(r, r)
        return (square > bound) & (k < maxiter)

    def step(state):
        x, r, gamma, p, k = state
        image = A(p)
        alpha = gamma / _real_dots(p, image).astype(dtype)
        x, r = _add(x, _mul(alpha, p)), _sub(r, _mul(alpha, image))
        z = M(r)
        new_gamma = _real_dots(r, z).astype(dtype)
        return x, r, new_gamma, _add(z, _mul(new_gamma / gamma, p)), k + 1

    return lax.while_loop(going, step, (x0, r, _real_dots(r, p).astype(dtype), p, 0))[0]


# ---- stabilised biconjugate gradients ----------------------------------------------------------------------


def bicgstab(A, b, x0=None, *, tol=1e-05, atol=0.0, maxiter=None, M=None):
    """(x with A x = b, None) by van der Vorst's Bi-CGSTAB (1992), for any A; arguments as for cg."""
    A, b, x0, maxiter, M = _arguments(A, b, x0, maxiter, M)
    solve = functools.partial(_bicgstab, x0=x0, tol=tol, atol=atol, maxiter=maxiter, M=M)
    return lax.custom_linear_solve(A, b, solve, solve), None


def _bicgstab(A, b, *, x0, tol, atol, maxiter, M):
    bound = _bound(b, tol, atol)
    first = _sub(b, A(x0))
    one = jnp.ones((), _dtype(b))

    def going(state):
        r, k = state[1], state[-1]
        return (_real_dots(r, r) > bound) & (k < maxiter) & (k >= 0)

    def step(state):
        x, r, alpha, omega, rho, p, q, k = state
        new_rho = _dots(first, r)
        beta = new_rho / rho * alpha / omega
        p = _add(r, _mul(beta, _sub(p, _mul(omega, q))))
        p_hat = M(p)
        q = A(p_hat)
        alpha = new_rho / _dots(first, q)
        s = _sub(r, _mul(alpha, q))
        done = _real_dots(s, s) < bound
        s_hat = M(s)
        t = A(s_hat)
        omega = _dots(t, s) / _dots(t, t)
        half = _add(x, _mul(alpha, p_hat))
        whole = _add(x, _add(_mul(alpha, p_hat), _mul(omega, s_hat)))
        x = tree_map(functools.partial(jnp.where, done), half, whole)
        r = tree_map(functools.partial(jnp.where, done), s, _sub(s, _mul(omega, t)))
        k = jnp.where((omega == 0) | (alpha == 0), -11, k + 1)  # a breakdown ends it
        return x, r, alpha, omega, new_rho, p, q, jnp.where(new_rho == 0, -10, k)

    return lax.while_loop(going, step, (x0, first, one, one, one, first, first, 0))[0]


# ---- GMRES -----------------------------------------------------------------------------------------------


def gmres(A, b, x0=None, *, tol=1e-05, atol=0.0, restart=20, maxiter=None, M=None, solve_method="batched"):
    """(x with A x = b, 0, or -1 if x is nan) by GMRES of Saad and Schultz (1986), for any A; arguments as for cg.

    restart: the dimension of a Krylov space; maxiter: how many of them. solve_method: "batched" solves one least-squares
    problem for each space, "incremental" updates a QR factorisation at each step and may stop within a space.
    """
    A, b, x0, maxiter, M = _arguments(A, b, x0, maxiter, M)
    restart = min(restart, sum(x.size for x in tree_leaves(b)))
    if solve_method not in ("incremental", "batched"):
        raise ValueError(f"invalid solve_method {solve_method}, must be either 'incremental' or 'batched'")
    space = _incremental_space if solve_method == "incremental" else _batched_space
    size = _norm(b)
    atol = jnp.maximum(tol * size, atol)
    ptol = _norm(M(b)) * jnp.minimum(1.0, atol / size)

    def solve(A, b):
        return _gmres(A, b, x0, atol, ptol, restart, maxiter, M, space)

    x = lax.custom_linear_solve(A, b, solve, solve)
    return x, jnp.where(jnp.isnan(_norm(x)), -1, 0)


def _gmres(A, b, x0, atol, ptol, restart, maxiter, M, space):
    def step(state):
        x, k, unit, size = state
        x = space(A, x, unit, size, ptol, restart, M)
        return x, k + 1, *_normalized(M(_sub(b, A(x))))

    def going(state):
        return (state[1] < maxiter) & (state[3] > atol)

    return lax.while_loop(going, step, (x0, 0, *_normalized(M(_sub(b, A(x0))))))[0]


def _normalized(x, least=None):
    """(x / |x|, |x|), zeros where the norm is not above `least`, by default the rounding of 1."""
    size = _norm(x)
    least = float(jnp.finfo(size.dtype).eps) if least is None else least
    large = size > least
    divisor = size.astype(_dtype(x))
    return tree_map(lambda y: jnp.where(large, y / divisor, 0), x), jnp.where(large, size, 0)


def _basis(unit, restart):
    """An orthonormal basis with room for `restart` more vectors, in a new last axis."""
    return tree_map(lambda x: jnp.pad(x[..., None], [(0, 0)] * x.ndim + [(0, restart)]), unit)


def _projected(V, x):
    """The components of x along the vectors of V."""
    return sum(tree_leaves(tree_map(lambda Q, y: jnp.tensordot(y, jnp.conj(Q), y.ndim), V, x)))


def _combined(V, h):
    return tree_map(lambda Q: jnp.dot(Q, h), V)


def _arnoldi(k, A, M, V, H):
    """V with one vector more, H with its row k, and whether the space is exhausted. Row k of H is column k of the usual matrix.

    By one step of classical Gram-Schmidt.
    """
    v = M(A(tree_map(lambda Q: Q[..., k], V)))
    _, size = _normalized(v)
    h = _projected(V, v)
    v = _sub(v, _combined(V, h))
    unit, rest = _normalized(v, float(jnp.finfo(size.dtype).eps) * size)
    V = tree_map(lambda Q, y: Q.at[..., k + 1].set(y), V, unit)
    h = h.at[k + 1].set(rest.astype(h.dtype))
    return V, H.at[k, :].set(h), rest == 0


def _batched_space(A, x, unit, size, ptol, restart, M):
    dtype = _dtype(unit)
    start = (_basis(unit, restart), jnp.eye(restart, restart + 1, dtype=dtype), jnp.array(False), 0)

    def step(state):
        V, H, _, k = state
        return *_arnoldi(k, A, M, V, H), k + 1

    V, H, _, _ = lax.while_loop(lambda state: (state[3] < restart) & ~state[2], step, start)
    beta = jnp.zeros(restart + 1, dtype).at[0].set(size.astype(dtype))
    normal = jnp.dot(jnp.conj(H), H.T)
    y = _positive_definite_solution(normal, jnp.dot(jnp.conj(H), beta))
    return _add(x, _combined(tree_map(lambda Q: Q[..., :-1], V), y))


def _positive_definite_solution(a, b):
    from ..linalg import cho_factor, cho_solve

    return cho_solve(cho_factor(a), b)


def _incremental_space(A, x, unit, size, ptol, restart, M):
    from ..linalg import solve_triangular

    dtype = _dtype(unit)
    beta = jnp.zeros(restart + 1, dtype).at[0].set(size.astype(dtype))
    start = (0, size, _basis(unit, restart), jnp.eye(restart, restart + 1, dtype=dtype), beta,
             jnp.zeros((restart, 2), dtype))  # fmt: skip

    def step(state):
        k, _, V, R, beta, rotations = state
        V, H, _ = _arnoldi(k, A, M, V, R)
        row = lax.fori_loop(0, k, lambda i, row: _rotated(row, i, rotations[i, 0], rotations[i, 1]), H[k, :])
        c, s = _rotation(row[k], row[k + 1])
        R = R.at[k, :].set(_rotated(row, k, c, s))
        beta = _rotated(beta, k, c, s)
        rotations = rotations.at[k, :].set(jnp.stack([c, s]))
        return k + 1, jnp.abs(beta[k + 1]), V, R, beta, rotations

    _, _, V, R, beta, _ = lax.while_loop(lambda state: (state[0] < restart) & (state[1] > ptol), step, start)
    y = solve_triangular(R[:, :-1].T, beta[:-1])
    return _add(x, _combined(tree_map(lambda Q: Q[..., :-1], V), y))


def _rotation(a, b):
    """(cosine, sine) of the Givens rotation that takes b away."""
    swap = jnp.abs(a) < jnp.abs(b)
    t = -jnp.where(swap, a, b) / jnp.where(swap, b, a)
    r = lax.rsqrt(1 + jnp.abs(t) ** 2).astype(t.dtype)
    zero = b == 0
    c, s = jnp.where(swap, r * t, r), jnp.where(swap, r, r * t)
    return jnp.where(zero, 1, c), jnp.where(zero, 0, s)


def _rotated(x, i, c, s):
    """x with its elements i and i + 1 rotated."""
    first, second = x[i], x[i + 1]
    return x.at[i].set(jnp.conj(c) * first - jnp.conj(s) * second).at[i + 1].set(s * first + c * second)


__all__ = ["bicgstab", "cg", "gmres"]
