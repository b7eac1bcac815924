"""Matrices that have names: Hilbert's, Pascal's, Helmert's, Hadamard's, that of the Fourier transform."""

import math
import operator

import numpy as np

from ....core.dtype import default_complex, default_float, dt, is_complex
from ... import numpy as jnp
from ...convert import requested
from ..special import comb, gammaln


def _indices(n, dtype=None):
    """A column and a row of 0 .. n - 1 as floats."""
    a = jnp.arange(n, dtype=default_float() if dtype is None else dtype)
    return a[:, None], a


def hilbert(n):
    """Hilbert's matrix 1 / (i + j + 1)."""
    i, j = _indices(n)
    return 1 / (i + j + 1)


def invhilbert(n):
    """The inverse of Hilbert's matrix."""
    i, j = _indices(n)
    s = i + j
    return (-1.0) ** s * (s + 1.0) * comb(n + i, n - j - 1) * comb(n + j, n - i - 1) * comb(s, i) ** 2


def _binomials(i, j):
    return jnp.exp(gammaln(i + 1.0) - gammaln(i - j + 1.0) - gammaln(j + 1.0))


def _kind(kind):
    kind = "symmetric" if kind is None else kind
    if kind not in ("symmetric", "lower", "upper"):
        raise ValueError(f"Expected kind to be one of: ['symmetric', 'lower', 'upper']; got {kind}")
    return kind


def pascal(n, kind=None):
    """Pascal's matrix of binomial coefficients, float32: the symmetric one (i + j over i), or its "lower" or "upper" triangular factor."""
    kind = _kind(kind)
    found = _binomials(*_indices(n, dt.float32))
    return {"lower": lambda: found, "upper": lambda: found.T, "symmetric": lambda: jnp.dot(found, found.T)}[kind]()


def invpascal(n, kind=None):
    """The inverse of pascal(n, kind)."""
    kind = _kind(kind)
    i, j = _indices(n)
    found = (-1.0) ** (i - j) * _binomials(i, j)
    return {"lower": lambda: found, "upper": lambda: found.T, "symmetric": lambda: jnp.dot(found.T, found)}[kind]()


def helmert(n, full=False):
    """Helmert's orthonormal contrasts [n - 1, n]; full: with the row of equal weights before them."""
    if n < 1:
        raise ValueError(f"n must be a positive integer; got {n}.")
    i, j = _indices(n)
    i = i[:-1]
    k = i + 1
    scale = jnp.sqrt(k * (k + 1))
    found = jnp.where(j <= i, 1 / scale, jnp.where(j == k, -k / scale, 0))
    return jnp.concatenate([jnp.full((1, n), 1 / math.sqrt(n)), found]) if full else found


def hadamard(n, dtype=int):
    """Hadamard's matrix of 1 and -1, of a power of two n, by Sylvester's construction."""
    if n < 1 or n & (n - 1):
        raise ValueError(f"n must be a positive power of 2; got {n}.")
    found = np.ones((1, 1), int)
    while len(found) < n:
        found = np.block([[found, found], [found, -found]])
    return jnp.asarray(found).astype(requested(dtype, "hadamard"))


def dft(n, scale=None, *, dtype=None):
    """The matrix of the Fourier transform, exp(-2 pi i j k / n); scale: None, or what it is divided by: "sqrtn" or "n"."""
    if scale not in (None, "sqrtn", "n"):
        raise ValueError(f"scale must be None, 'sqrtn', or 'n'; got {scale!r}.")
    n = operator.index(n)
    dtype = default_complex() if dtype is None else requested(dtype, "dft")
    if not is_complex(dtype):
        raise ValueError(f"dtype must be a complex floating-point type; got {dtype}.")
    turns = np.arange(n)[:, None] * np.arange(n) % max(n, 1)
    found = np.exp(-2j * np.pi * turns / max(n, 1)) / {None: 1, "sqrtn": math.sqrt(n), "n": n}[scale]
    return jnp.asarray(found.astype(dtype))


__all__ = ["dft", "hadamard", "helmert", "hilbert", "invhilbert", "invpascal", "pascal"]
