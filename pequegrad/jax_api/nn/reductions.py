"""softmax and its kin, standardize, one_hot."""

import math
import operator

import numpy as np

from ...core.dtype import default_float, is_complex
from ...ops.arithmetic import astype, clip, floating, promoted_floats
from ...ops.arithmetic import where as choose
from ...ops.reductions import kept_shape
from ...ops.shape import expand_dims, normalize_axes, normalize_axis
from ...primitives import elementwise as e
from ...primitives import mathematical as m
from ...primitives import reduction as p
from ...primitives.base import number
from ...primitives.control import stop_gradient
from ...primitives.shape import broadcast_in_dim, iota, reshape_to
from ...transforms.collectives import axis_index, axis_size
from ..convert import as_array, canonical, operand


def _kept(primitive, x, axes):
    return reshape_to(primitive(x, axes=axes), kept_shape(x.shape, axes)) if axes else x


def _masked(x, mask, neutral):
    return x if mask is None else e.select(mask, x, number(neutral, x))


def _prepared(name, x, axis, mask):
    """(x, axes, mask), of one shape."""
    x, mask = as_array(x, name), None if mask is None else as_array(mask, name)
    if mask is not None and mask.dtype.kind != "b":
        raise ValueError(f"jnp.max: where must be None or a boolean array; got where.dtype={mask.dtype}.")
    if mask is not None:
        shape = np.broadcast_shapes(x.shape, mask.shape)
        x, mask = (
            broadcast_in_dim(v, shape=shape, axes=tuple(range(len(shape) - v.ndim, len(shape)))) for v in (x, mask)
        )
    return x, normalize_axes(axis, x.ndim, name), mask


def softmax(x, axis=-1, where=None):
    """exp(x) / sum(exp(x)) over `axis`, of elements for which `where` is true; 0 at the others."""
    x, axes, mask = _prepared("softmax", x, axis, where)
    x = _masked(floating(x), mask, -math.inf)
    exponentials = m.exp(e.sub(x, _kept(p.reduce_max, stop_gradient(x), axes)))
    exponentials = _masked(exponentials, mask, 0)
    return _masked(e.div(exponentials, _kept(p.reduce_sum, exponentials, axes)), mask, 0)


def log_softmax(x, axis=-1, where=None):
    """log(softmax(x)) over `axis`, of elements for which `where` is true; -inf at the others."""
    x, axes, mask = _prepared("log_softmax", x, axis, where)
    x = _masked(floating(x), mask, -math.inf)
    shifted = e.sub(x, _kept(p.reduce_max, stop_gradient(x), axes))
    total = m.log(_kept(p.reduce_sum, _masked(m.exp(shifted), mask, 0), axes))
    return _masked(e.sub(shifted, total), mask, -math.inf)


def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False, where=None):
    """log(sum(b * exp(a))) over `axis` without overflow, of elements for which `where` is true.

    return_sign: (log of the absolute value of the sum, its sign); else the logarithm of a negative sum is nan.
    """
    a, axes, mask = _prepared("logsumexp", a, axis, where)
    a, *factors = promoted_floats(a) if b is None else promoted_floats(a, as_array(b, "logsumexp", 2))
    if factors:
        a = choose(factors[0] != 0, a, -math.inf)
    a = _masked(a, mask, -math.inf)
    largest = stop_gradient(_kept(p.reduce_max, stop_gradient(e.real(a) if is_complex(a.dtype) else a), axes))
    largest = e.convert_to(e.select(m.is_finite(largest), largest, number(0, largest)), a.dtype)
    terms = m.exp(a - largest)
    terms = _masked(terms * factors[0] if factors else terms, mask, 0)
    total = p.reduce_sum(terms, axes=axes)
    sign = e.sign(total)
    if return_sign or not is_complex(a.dtype):
        total = e.abs_(total)
    found = m.log(total) + e.convert_to(reshape_to(largest, total.shape), total.dtype)
    if factors and not return_sign and not is_complex(found.dtype):
        found = e.select(sign < 0, number(math.nan, found), found)
    found, sign = (reshape_to(v, kept_shape(a.shape, axes)) if keepdims else v for v in (found, sign))
    return (found, sign) if return_sign else found


def logmeanexp(x, axis=None, where=None, keepdims=False):
    """log(mean(exp(x))) over `axis` without overflow, of elements for which `where` is true."""
    x, axes, mask = _prepared("logmeanexp", x, axis, where)
    total = logsumexp(x, axis, where=mask, keepdims=keepdims)
    if mask is None:
        return total - math.log(math.prod(x.shape[a] for a in axes))
    counts = _kept(p.reduce_sum, e.convert_to(mask, total.dtype), axes)
    return total - m.log(reshape_to(counts, total.shape))


def _mean(x, axes, mask):
    """The mean over axes, which are kept, computed in at least float32."""
    wide = e.convert_to(x, np.dtype("float32")) if x.dtype.itemsize == 2 else x
    total = _kept(p.reduce_sum, _masked(wide, mask, 0), axes)
    count = (
        float(math.prod(x.shape[a] for a in axes))
        if mask is None
        else _kept(p.reduce_sum, e.convert_to(mask, total.dtype), axes)
    )
    return e.convert_to(total / count, x.dtype, x.weak_type)


def standardize(x, axis=-1, mean=None, variance=None, epsilon=1e-05, where=None, *, algorithm="fast"):
    """(x - mean) / sqrt(variance + epsilon), by default with mean and variance over `axis`, where `where` is true.

    algorithm: "fast" subtracts the square of the mean from the mean of squares, "stable" takes the mean of squared distances.
    """
    given = as_array(x, "standardize")
    whole, axes, mask = _prepared("standardize", given, axis, where)
    whole, x = floating(whole), floating(given)
    mean = _mean(whole, axes, mask) if mean is None else operand(mean, "standardize", 2)
    if variance is None:
        if algorithm not in ("fast", "stable"):
            raise ValueError(f"Unknown algorithm '{algorithm}'. Expected 'fast' or 'stable'.")
        if algorithm == "stable":
            distance = whole - mean
            variance = _mean(distance * distance, axes, mask)
        else:
            variance = clip(_mean(whole * whole, axes, mask) - mean * mean, 0)
    return (x - mean) * m.rsqrt(floating(operand(variance, "standardize", 3) + operand(epsilon, "standardize", 4)))


def one_hot(x, num_classes, *, dtype=None, axis=-1):
    """1 at position x of a new axis of this size, else 0. axis: its place, or the name of a vmapped axis instead of it."""
    x, num_classes = as_array(x, "one_hot"), operator.index(num_classes)
    dtype = default_float() if dtype is None else canonical(dtype)
    if isinstance(axis, str):
        if axis_size(axis) != num_classes:
            raise ValueError(
                f"Expected num_classes to match the size of axis {axis}, but {num_classes} != {axis_size(axis)}"
            )
        return astype(x == axis_index(axis), dtype)
    axis = normalize_axis(axis, x.ndim + 1, "one_hot")
    shape = tuple(num_classes if i == axis else 1 for i in range(x.ndim + 1))
    return astype(expand_dims(x, axis) == iota(shape=shape, dtype=x.dtype, axis=axis, device=x.device), dtype)


__all__ = ["log_softmax", "logmeanexp", "logsumexp", "one_hot", "softmax", "standardize"]
