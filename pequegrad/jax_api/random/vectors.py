"""Samplers of vectors and matrices: multivariate_normal, orthogonal, maxwell."""

import operator

import numpy as np

from ...core.dtype import default_float
from ...ops.arithmetic import add, multiply, promoted_floats
from ...ops.decompositions import cholesky, eigh, qr, svd
from ...ops.einsum import einsum
from ...primitives import elementwise as e
from ...primitives.mathematical import sqrt
from ...primitives.matrices import diagonal_of, rows_of, transposed
from ...primitives.reduction import reduce_sum
from ..convert import as_array, operand
from .arguments import checked_key, checked_shape, common_shape, requested, subkeys
from .continuous import normal, standard_normal
from .discrete import rademacher


def multivariate_normal(key, mean, cov, shape=None, dtype=None, method="cholesky", *, out_sharding=None):
    """Normal vectors (on the last axis) of this mean and covariance, whose root is found by cholesky, eigh or svd."""
    key = checked_key(key, "multivariate_normal")
    mean, cov = promoted_floats(as_array(mean, "multivariate_normal", 1), as_array(cov, "multivariate_normal", 2))
    if method not in ("svd", "eigh", "cholesky"):
        raise ValueError("method must be one of {'svd', 'eigh', 'cholesky'}")
    dtype = requested(dtype, mean.dtype, "multivariate_normal", "float")
    if mean.ndim < 1 or cov.ndim < 2 or cov.shape[-2:] != mean.shape[-1:] * 2:
        raise ValueError(
            f"multivariate_normal requires mean.shape == (..., n) and cov.shape == (..., n, n), got {mean.shape} and {cov.shape}."
        )
    shape = common_shape("multivariate_normal", shape, mean.shape[:-1], cov.shape[:-2])
    x = standard_normal(key, (*shape, mean.shape[-1]), dtype)
    return add(mean, einsum("...ij,...j->...i", _root(cov, method), x))


def _root(cov, method):
    if method == "cholesky":
        return cholesky(cov)
    values, vectors = eigh(cov) if method == "eigh" else svd(cov)[1::-1]
    return multiply(vectors, rows_of(sqrt(values)))


def orthogonal(key, n, shape=(), dtype=None, m=None, *, out_sharding=None):
    """Orthogonal (complex: unitary) n x n matrices, uniformly; n x m ones have orthonormal rows or columns (Mezzadri, 2007)."""
    key, shape = checked_key(key, "orthogonal"), checked_shape(shape)
    dtype = requested(dtype, default_float(), "orthogonal", "number")
    n = operator.index(n)
    m = n if m is None else operator.index(m)
    q, r = qr(normal(key, (*shape, max(n, m), min(n, m)), dtype))
    q = q * rows_of(e.sign(diagonal_of(r)))  # so that the diagonal of r is positive: only then q is uniform
    return transposed(q) if n < m else q


def maxwell(key, shape=(), dtype=None, *, out_sharding=None):
    """Lengths of normal vectors in three dimensions."""
    key, dtype = checked_key(key, "maxwell"), requested(dtype, default_float(), "maxwell", "float")
    return _maxwell(key, checked_shape(shape), dtype)


def _maxwell(key, shape, dtype):
    x = standard_normal(key, (*shape, 3), dtype)
    return sqrt(reduce_sum(x * x, axes=(len(shape),)))


def double_sided_maxwell(key, loc, scale, shape=(), dtype=None):
    """loc + scale * maxwell numbers with random signs; the shape of loc and scale comes behind `shape`."""
    key = checked_key(key, "double_sided_maxwell")
    dtype = requested(dtype, default_float(), "double_sided_maxwell", "float")
    common = np.broadcast_shapes(np.shape(loc), np.shape(scale))
    shape = (checked_shape(shape) or common) + common
    length_key, sign_key = subkeys(key)
    signed = rademacher(sign_key, shape, dtype) * _maxwell(length_key, shape, dtype)
    return add(multiply(signed, operand(scale)), operand(loc))


__all__ = ["double_sided_maxwell", "maxwell", "multivariate_normal", "orthogonal"]
