"""Matrices made of vectors and blocks."""

import operator

from ... import numpy as jnp
from ...convert import as_array, as_arrays
from ...numpy.promotion import common, inexact


def block_diag(*arrs):
    """The matrix with these matrices (vectors are rows) along its diagonal, and zeros elsewhere."""
    arrays = common("block_diag", *as_arrays("block_diag", *(arrs or (jnp.zeros((1, 0)),))))
    bad = [i for i, a in enumerate(arrays) if a.ndim > 2]
    if bad:
        raise ValueError(
            "Arguments to jax.scipy.linalg.block_diag must have at most 2 dimensions, got "
            f"{arrays[bad[0]]} at argument {bad[0]}."
        )
    arrays = [jnp.atleast_2d(a) for a in arrays]
    total, rows, before = sum(a.shape[1] for a in arrays), [], 0
    for a in arrays:
        rows.append(jnp.pad(a, [(0, 0), (before, total - before - a.shape[1])]))
        before += a.shape[1]
    return jnp.concatenate(rows)


def _along_diagonals(elements, m, n, place):
    """[.., m, n] with elements[.., place(i, j)] at i, j."""
    i, j = jnp.arange(m)[:, None], jnp.arange(n)
    return elements[..., place(i, j)] if m and n else jnp.zeros((*elements.shape[:-1], m, n), elements.dtype)


def _joined(first, second):
    """Vectors of one batch, one after the other."""
    batch = jnp.broadcast_shapes(first.shape[:-1], second.shape[:-1])
    return jnp.concatenate([jnp.broadcast_to(x, batch + x.shape[-1:]) for x in (first, second)], axis=-1)


def toeplitz(c, r=None):
    """The matrix with first column c and first row r (its first element does not count), constant along diagonals."""
    c = as_array(c, "toeplitz")
    r = jnp.conj(c) if r is None else as_array(r, "toeplitz", 1)
    c, r = jnp.atleast_1d(c), jnp.atleast_1d(r)
    m, n = c.shape[-1], r.shape[-1]
    return _along_diagonals(_joined(c[..., ::-1], r[..., 1:]), m, n, lambda i, j: m - 1 - i + j)


def hankel(c, r=None):
    """The matrix with first column c and last row r (by default zeros), constant along antidiagonals."""
    c = as_array(c, "hankel")
    r = jnp.zeros_like(c) if r is None else as_array(r, "hankel", 1)
    for name, x in (("c", c), ("r", r)):
        if not x.ndim:
            raise ValueError(f"hankel: {name} must be at least 1-dimensional, got a scalar.")
    return _along_diagonals(_joined(c, r[..., 1:]), c.shape[-1], r.shape[-1], lambda i, j: i + j)


def circulant(c):
    """The matrix whose columns are c, shifted cyclically by one more each."""
    c = jnp.atleast_1d(as_array(c, "circulant"))
    n = c.shape[-1]
    return _along_diagonals(c, n, n, lambda i, j: (i - j) % n)


def _with_first_row(first, below):
    """The vectors `first` above the rows `below`."""
    return jnp.concatenate([first[..., None, :], jnp.broadcast_to(below, first.shape[:-1] + below.shape[-2:])], axis=-2)


def leslie(f, s):
    """Leslie's matrix of fecundities f [n], in the first row, and survival rates s [n - 1], below the diagonal."""
    f, s = (jnp.atleast_1d(x) for x in as_arrays("leslie", f, s))
    n = f.shape[-1]
    if n < 2:
        raise ValueError(f"The length of f along the last axis must be at least 2; got shape {f.shape}.")
    if s.shape[-1] != n - 1:
        raise ValueError(f"Incorrect lengths for f and s: the length of s must be one less; got {f.shape}, {s.shape}.")
    f, s = common("leslie", f, s)
    batch = jnp.broadcast_shapes(f.shape[:-1], s.shape[:-1])
    rows = s[..., None] * jnp.eye(n - 1, n, dtype=s.dtype)
    return _with_first_row(jnp.broadcast_to(f, batch + (n,)), rows)


def companion(a):
    """The companion matrix of the polynomial with coefficients a, the highest power first: its eigenvalues are the roots."""
    (a,) = inexact("companion", a)
    a = jnp.atleast_1d(a)
    if a.shape[-1] < 2:
        raise ValueError(f"The length of `a` along the last axis must be at least 2; got shape {a.shape}.")
    n = a.shape[-1] - 1
    return _with_first_row(-a[..., 1:] / a[..., :1], jnp.eye(n - 1, n, dtype=a.dtype))


def fiedler(a):
    """|a_i - a_j|."""
    a = jnp.atleast_1d(as_array(a, "fiedler"))
    return jnp.abs(a[..., None] - a[..., None, :])


def fiedler_companion(a):
    """The companion matrix with five diagonals: Fiedler, "A note on companion matrices" (2003)."""
    (a,) = inexact("fiedler_companion", a)
    a = jnp.atleast_1d(a)
    n = a.shape[-1] - 1
    if n < 0:
        raise ValueError(
            f"fiedler_companion requires the last axis of 'a' to have nonzero length, got shape {a.shape}."
        )
    if n == 0:
        return jnp.zeros((*a.shape[:-1], 0, 0), a.dtype)
    a = -a / a[..., :1]
    if n == 1:
        return a[..., 1:, None]
    i, j = jnp.arange(n)[:, None], jnp.arange(n)
    even = i % 2 == 0
    one = ((i == 1) & (j == 0)) | ((j == i + 2) & even) | ((j == i - 2) & ~even & (i >= 3))
    found = jnp.where(one, jnp.ones((), a.dtype), jnp.zeros((), a.dtype))
    found = jnp.where((j == i - 1) & even & (i >= 2), a[..., jnp.minimum(i + 1, n)], found)
    found = jnp.where((j == i + 1) & even, a[..., jnp.minimum(i + 2, n)], found)
    return jnp.where((i == 0) & (j == 0), a[..., 1:2, None], found)


def convolution_matrix(a, n, mode="full"):
    """The matrix A with A @ v = convolve(a, v, mode) for vectors v [n]."""
    n = operator.index(n)
    if n <= 0:
        raise ValueError(f"n must be a positive integer; got {n}.")
    a = as_array(a, "convolution_matrix")
    if not a.ndim:
        raise ValueError("convolution_matrix: a must be at least 1-dimensional, got a scalar.")
    m = a.shape[-1]
    if m < 1:
        raise ValueError(f"len(a) must be at least 1; got shape {a.shape}.")
    if mode not in ("full", "valid", "same"):
        raise ValueError(f"mode must be one of 'full', 'valid', 'same'; got {mode!r}.")
    shorter = min(m, n) - 1
    begin, end = {"full": (0, 0), "same": (shorter // 2, shorter - shorter // 2), "valid": (shorter, shorter)}[mode]
    padded = jnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(n - 1, n - 1)])
    return _along_diagonals(padded, m + n - 1 - begin - end, n, lambda i, j: n - 1 + begin + i - j)


__all__ = [
    "block_diag", "circulant", "companion", "convolution_matrix", "fiedler", "fiedler_companion", "hankel", "leslie",
    "toeplitz",
]  # fmt: skip
