"""Polynomials, given by their coefficients, the highest power first."""

import operator

import numpy as np

from ...core.dtype import complex_of, default_int, is_complex
from ...core.node import face
from ...ops.arithmetic import promoted, remainder, where
from ...ops.creation import eye
from ...ops.decompositions import eigvals
from ...ops.indexing import getitem
from ...ops.linalg import matmul
from ...ops.shape import broadcast_to, concatenate, expand_dims, flip
from ...ops.sorting import argsort
from ...ops.systems import inv, lstsq
from ...primitives import elementwise as e
from ...primitives import mathematical as m
from ...primitives.base import number
from ...primitives.shape import iota, pad, reshape_to, slice_axis
from ..convert import as_array, as_arrays, to_array
from . import reductions as r
from .elementwise import power
from .promotion import common, inexact, strong
from .statistics import convolve


def _row(name, x):
    """x along one axis; of a number, a row of it."""
    x = x if x.ndim else reshape_to(x, (1,))
    if x.ndim != 1:
        raise ValueError(f"{name} takes coefficients along one axis, got shape {x.shape}.")
    return x


# ---- values --------------------------------------------------------------------------------------------


def polyval(p, x, *, unroll=16):
    """p[0] * x ** (n - 1) + ... + p[n - 1], elementwise, by Horner's scheme; further axes of p broadcast with x.

    unroll: how many steps of the loop are written out.
    """
    p, x = common("polyval", p, x)
    shape = e.broadcast_shapes("polyval", getitem(p, 0)._node.aval, x._node.aval) if p.shape[0] else x.shape
    y = broadcast_to(number(0, x), shape)
    if p.shape[0] <= max(int(unroll), 1):
        for i in range(p.shape[0]):
            y = e.add(e.mul(y, x), getitem(p, i))
        return strong(y) if p.shape[0] else to_array(strong(y))
    from ...transforms.control_flow import scan

    with face(True):
        return scan(lambda y, c: (e.add(e.mul(y, x), c), None), strong(y), strong(p), unroll=unroll)[0]


def vander(x, N=None, increasing=False):
    """The powers of x in columns [len(x), N]: N - 1 to 0, or increasing."""
    x = as_array(x, "vander")
    if x.ndim != 1:
        raise ValueError(f"vander takes one axis, got shape {x.shape}.")
    n = x.shape[0] if N is None else operator.index(N)
    if n < 0:
        raise ValueError(f"vander: N must not be negative, got {n}.")
    exponents = iota(shape=(n,), dtype=x.dtype, axis=0, device=x.device)
    return power(expand_dims(x, 1), exponents if increasing else flip(exponents))


# ---- arithmetic ----------------------------------------------------------------------------------------


def polyadd(a1, a2):
    """The sum of two polynomials."""
    a1, a2 = common("polyadd", a1, a2)
    n = max(a1.shape[0], a2.shape[0])
    return e.add(*(_padded(strong(a), n - a.shape[0], 0) for a in (a1, a2)))


def _padded(a, before, behind):
    inner = (0,) * (a.ndim - 1)
    return pad(a, number(0, a), low=(before, *inner), high=(behind, *inner), interior=(0, *inner))


def polysub(a1, a2):
    """The difference of two polynomials."""
    a1, a2 = common("polysub", a1, a2)
    return polyadd(a1, e.neg(a2))


def polymul(a1, a2, *, trim_leading_zeros=False):
    """The product of two polynomials. trim_leading_zeros: of the factors, first, which needs their values."""
    a1, a2 = inexact("polymul", a1, a2)
    if trim_leading_zeros and (len(a1) > 1 or len(a2) > 1):
        a1, a2 = (_trimmed(a, e.eq(a, 0)) for a in (a1, a2))
    a1, a2 = (a if a.shape[0] else to_array(reshape_to(strong(number(0, a)), (1,))) for a in (a1, a2))
    return convolve(a1, a2)


def _trimmed(a, small):
    """a from the first element that is not small."""
    kept = np.flatnonzero(~small._read("trim_leading_zeros"))
    return getitem(a, slice(kept[0] if kept.size else a.shape[0], None))


def polydiv(u, v, *, trim_leading_zeros=False):
    """(quotient, remainder) of two polynomials; trim_leading_zeros: of the remainder, which needs its values."""
    u, v = inexact("polydiv", u, v)
    steps = u.shape[0] - v.shape[0] + 1
    inverse = e.div(number(1, v), getitem(v, 0))
    quotient = []
    for k in range(steps):
        quotient.append(e.mul(inverse, getitem(u, k)))
        u = e.sub(u, e.mul(quotient[-1], _padded(v, k, steps - 1 - k)))
    if trim_leading_zeros:
        u = _trimmed(u, e.lt(e.abs_(u), float(np.sqrt(np.finfo(u.dtype).eps))))
    zero = to_array(reshape_to(strong(number(0, u)), (1,)))
    return concatenate([reshape_to(q, (1,)) for q in quotient]) if quotient else zero, u


def polyder(p, m=1):
    """The m-th derivative."""
    (p,), m = inexact("polyder", p), operator.index(m)
    if m < 0:
        raise ValueError(f"polyder: the order must not be negative, got {m}.")
    return e.mul(getitem(p, slice(None, -m)), _factors(m, p.shape[0], m, p)) if m else p


def _factors(start, stop, m, like):
    """k (k - 1) ... (k - m + 1) for k from stop - 1 down to start, where factors below 1 are left out."""
    k = np.arange(start, stop, dtype=np.float64)[:, None] - np.arange(m)
    return e.convert_to(as_array(np.maximum(k, 1).prod(1)[::-1]), like.dtype)


def polyint(p, m=1, k=None):
    """The m-th antiderivative; k: the constants of integration, a number or m of them."""
    m = operator.index(m)
    p, k = inexact("polyint", p, 0 if k is None else k)
    if m < 0:
        raise ValueError(f"polyint: the order must not be negative, got {m}.")
    k = _row("polyint", k)
    k = broadcast_to(k, (m,)) if k.shape == (1,) else k
    if k.shape != (m,):
        raise ValueError(f"polyint: {k.shape[0]} constants for order {m}.")
    return e.div(concatenate([p, k]), _factors(0, p.shape[0] + m, m, p)) if m else p


# ---- roots and fits --------------------------------------------------------------------------------------


def roots(p, *, strip_zeros=True):
    """The complex roots of a polynomial. strip_zeros: leading zeros are taken off first, which needs the values of p; else as
    many of the roots as there are of them are nan, the last ones.
    """
    (p,) = inexact("roots", p)
    p = _row("roots", p)
    if p.shape[0] < 2:
        return _no_roots(p)
    zero = e.eq(p, 0)
    if strip_zeros:
        return _roots(_trimmed(p, zero))
    n = p.shape[0]
    places = iota(shape=(n,), dtype=default_int(), axis=0, device=p.device)
    leading = r.min(e.select(zero, number(n, places), places))
    p = getitem(where(e.eq(leading, n), 1, p), remainder(e.add(places, leading), n))
    found = _roots(p)
    found = getitem(found, argsort(e.eq(found, 0)))  # what belongs to the leading zeros, now trailing ones, comes last
    missing = e.ge(slice_axis(places, 0, 0, n - 1), e.sub(n - 1, leading))
    return where(missing, complex("nan+nanj"), found)


def _no_roots(p):
    return slice_axis(e.convert_to(p, p.dtype if is_complex(p.dtype) else complex_of(p.dtype)), 0, 0, 0)


def _roots(p):
    """The roots of a polynomial whose first coefficient is not 0: the eigenvalues of its companion matrix."""
    n = p.shape[0] - 1
    if n < 1:
        return _no_roots(p)
    first = e.neg(e.div(getitem(p, slice(1, None)), getitem(p, 0)))
    return eigvals(concatenate([expand_dims(first, 0), eye(n - 1, n, dtype=p.dtype, device=p.device)]))


def poly(seq_of_zeros):
    """The coefficients of the polynomial with these zeros and first coefficient 1, or with the eigenvalues of a matrix."""
    (zeros,) = inexact("poly", seq_of_zeros)
    if zeros.ndim == 2 and zeros.shape[0] == zeros.shape[1] != 0:
        zeros = eigvals(zeros)
    zeros = _row("poly", strong(zeros))
    one = to_array(strong(number(1, zeros)))
    found = reshape_to(one, (1,)) if zeros.shape[0] else one  # of no zeros JAX, too, has a number
    for k in range(zeros.shape[0]):
        found = e.sub(_padded(found, 0, 1), e.mul(_padded(found, 1, 0), getitem(zeros, k)))
    return found


def polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    """The polynomial of degree `deg` with the least squared distance from points (x, y); y may have several columns.

    w: weights of the distances. rcond: singular values below it, as part of the largest, count as 0 (default: len(x) eps).
    full: (coefficients, squared distances, rank, singular values, rcond); cov: (coefficients, their covariance matrix), of
    which "unscaled" leaves out the variance of the points.
    """
    x, y = as_arrays("polyfit", x, y)
    order = operator.index(deg) + 1
    if order < 1:
        raise ValueError(f"polyfit: the degree must not be negative, got {deg}.")
    if x.ndim != 1 or not x.shape[0] or y.ndim not in (1, 2) or x.shape[0] != y.shape[0]:
        raise TypeError(f"polyfit takes points x [n] and y [n] or [n, k], got shapes {x.shape} and {y.shape}.")
    rcond = x.shape[0] * float(np.finfo(x.dtype).eps) if rcond is None else float(rcond)
    powers = vander(x, order)
    if w is not None:
        (w,) = inexact("polyfit", w)
        if w.ndim != 1 or w.shape[0] != y.shape[0]:
            raise TypeError(f"polyfit: weights of shape {w.shape} for {y.shape[0]} points.")
        column = expand_dims(w, 1)
        powers, y = e.mul(*promoted(powers, column)), e.mul(*promoted(y, column if y.ndim == 2 else w))
    scale = m.sqrt(r.sum(e.mul(powers, powers), 0))
    powers = e.div(powers, scale)
    c, distances, rank, values = lstsq(powers, y, rcond)
    c = e.div(c, expand_dims(scale, 1) if c.ndim > 1 else scale)
    if full:
        return c, distances, rank, values, as_array(rcond)
    if not cov:
        return c
    base = inv(matmul(powers.T, powers))
    base = e.div(base, e.mul(expand_dims(scale, 1), scale))
    if cov == "unscaled":
        factor = number(1, base)
    elif x.shape[0] <= order:
        raise ValueError(f"polyfit: {x.shape[0]} points are too few for a scaled covariance of {order} coefficients.")
    else:
        factor = e.div(distances, float(x.shape[0] - order))
    return c, e.mul(base, factor) if y.ndim == 1 else e.mul(expand_dims(base, 2), factor)


__all__ = [
    "polyval", "vander", "polyadd", "polysub", "polymul", "polydiv", "polyder", "polyint", "roots", "poly", "polyfit",
]  # fmt: skip
