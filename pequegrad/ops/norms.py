"""Norms of vectors and matrices, and what follows from singular values: condition and rank."""

import math

import numpy as np

from ..core.dtype import default_int, is_complex, real_of
from ..core.errors import ArgumentError, ShapeError
from ..primitives.elementwise import convert_to, div, mul, ne
from .arithmetic import abs, floating, isnan, power, sqrt, where
from .creation import as_tensor
from .decompositions import svdvals
from .reductions import any as any_of
from .reductions import max as largest
from .reductions import min as smallest
from .reductions import sum as total
from .shape import expand_dims, moveaxis, normalize_axis
from .systems import inv


def norm(x, ord=None, axis=None, keepdims=False):
    """The norm of vectors (`axis` is one axis) or matrices (two axes, or x has two): numpy.linalg.norm.

    ord of a vector: None or 2 (Euclidean), inf, -inf, 0 (elements that are not 0), or p: sum(|x|^p)^(1/p).
    ord of a matrix: None or "fro", "nuc" (sum of singular values), 2, -2 (the largest, the smallest), 1, -1 (the
    largest, smallest column sum of |x|), inf, -inf (row sums). Without axis and ord: the Euclidean norm of all elements.
    """
    x = floating(x)
    if axis is None and ord is None:
        return _euclidean(x, None, keepdims)
    if axis is None and x.ndim not in (1, 2):
        raise ShapeError(f"norm: ord {ord!r} of {x._node.aval} needs an axis.", fix="name one axis, or two.")
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(normalize_axis(a, x.ndim, "norm") for a in axes)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ShapeError(f"norm: axis {axis} names neither one axis nor two.", fix="name one axis, or two.")
    return _matrix_norm(x, ord, axes, keepdims)


def _euclidean(x, axes, keepdims):
    x = abs(x) if is_complex(x.dtype) else x
    return sqrt(total(mul(x, x), axes, keepdims))


def _vector_norm(x, ord, axis, keepdims):
    if isinstance(ord, str):
        raise ArgumentError(f"norm: there is no norm {ord!r} of vectors.", fix="give a number, inf, -inf or None.")
    if ord is None or ord == 2:
        return _euclidean(x, axis, keepdims)
    if ord == math.inf:
        return largest(abs(x), axis, keepdims)
    if ord == -math.inf:
        return smallest(abs(x), axis, keepdims)
    if ord == 0:
        return total(convert_to(ne(x, 0), real_of(x.dtype)), axis, keepdims)
    if ord == 1:
        return total(abs(x), axis, keepdims)
    return power(total(power(abs(x), ord), axis, keepdims), 1.0 / ord)


def _matrix_norm(x, ord, axes, keepdims):
    row, column = axes
    if ord in (None, "fro"):
        return _euclidean(x, axes, keepdims)
    if ord in (1, -1, math.inf, -math.inf):
        summed, kept = (row, column) if ord in (1, -1) else (column, row)
        sums = total(abs(x), summed, keepdims=True)
        out = (largest if ord > 0 else smallest)(sums, kept, keepdims=True)
        return out if keepdims else out.squeeze(axes)
    if ord not in ("nuc", 2, -2):
        raise ArgumentError(
            f"norm: there is no norm {ord!r} of matrices.", fix='None, "fro", "nuc", 1, 2, inf and -...'
        )
    x = moveaxis(moveaxis(x, row, -1), column - (column > row), -1)
    values = svdvals(x)
    out = total(values, -1) if ord == "nuc" else largest(values, -1) if ord == 2 else smallest(values, -1)
    return expand_dims(out, axes) if keepdims else out


def cond(x, p=None):
    """The condition numbers of x [.., m, n]: norm(x, p) norm(inv(x), p); p None or 2, -2: from the singular values.

    inf for singular matrices, nan for those with nan.
    """
    x = floating(x)
    if p in (None, 2, -2):
        values = svdvals(x)
        ends = (values[..., -1], values[..., 0]) if p == -2 else (values[..., 0], values[..., -1])
        out = div(*ends)
    else:
        out = mul(norm(x, p, (-2, -1)), norm(inv(x), p, (-2, -1)))
    return where(isnan(out) & ~any_of(isnan(x), (-2, -1)), math.inf, out)


def matrix_rank(x, rtol=None):
    """The ranks (int32) of x [.., m, n]: singular values above rtol (default: eps max(m, n)) times the largest."""
    x = floating(x)
    if x.ndim < 2:
        return convert_to(any_of(ne(x, 0)), default_int())
    if 0 in x.shape[-2:]:
        return total(convert_to(svdvals(x), default_int()), -1)
    values = svdvals(x)
    rtol = max(x.shape[-2:]) * float(np.finfo(x.dtype).eps) if rtol is None else rtol
    rtol = expand_dims(as_tensor(rtol, x.device), -1) if not isinstance(rtol, float) else rtol
    return total(convert_to(values > values[..., :1] * rtol, default_int()), -1)


__all__ = ["norm", "cond", "matrix_rank"]
