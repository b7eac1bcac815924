"""Comparisons and tests of values, elementwise, and what chooses by them: equal, isnan, isclose, where ..."""

import math

import numpy as np

from ...core.dtype import is_complex, is_inexact, real_of
from ...ops import arithmetic as general
from ...ops.complex import imag
from ...primitives import elementwise as e
from ...primitives import mathematical as m
from ...primitives.base import number
from ..convert import SCALARS, as_array, operand
from . import reductions
from .data_types import iscomplexobj
from .promotion import common, inexact, refuse_complex, refuse_out, strong
from .reductions import lexicographic


def named(function, name, doc):
    """`function` under its name, with its docstring."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


# ---- tests ---------------------------------------------------------------------------------------------


def isfinite(x, /):
    """False for infinities and nan, elementwise."""
    return _everywhere(True, as_array(x, "isfinite"), m.is_finite)


def isinf(x, /):
    """True for infinities, elementwise."""
    infinite = lambda x: e.eq(e.abs_(x), number(math.inf, x))
    either = lambda x: e.or_(infinite(e.real(x)), infinite(e.imag(x))) if is_complex(x.dtype) else infinite(x)
    return _everywhere(False, strong(as_array(x, "isinf")), either)


def _everywhere(value, x, of_floats):
    """`value` for each of the integers x, of_floats(x) for floats."""
    if is_inexact(x.dtype):
        return of_floats(x)
    return strong((e.eq if value else e.ne)(x, x))


def isposinf(x, /, out=None):
    """True for inf, elementwise."""
    return _is_infinity("isposinf", math.inf, x, out)


def isneginf(x, /, out=None):
    """True for -inf, elementwise."""
    return _is_infinity("isneginf", -math.inf, x, out)


def _is_infinity(name, infinity, x, out):
    refuse_out(name, out)
    x = strong(as_array(x, name))
    refuse_complex(name, x)
    return _everywhere(False, x, lambda x: e.eq(x, number(infinity, x)))


def isnan(x, /):
    """True for nan, elementwise."""
    x = as_array(x, "isnan")
    return e.ne(x, x)


def isreal(x):
    """True where the imaginary part is 0."""
    return e.eq(imag(as_array(x, "isreal")), 0)


def iscomplex(x):
    """True where the imaginary part is not 0."""
    return e.ne(imag(as_array(x, "iscomplex")), 0)


def isclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    """True where |a - b| <= atol + rtol * |b|, and for equal infinities (with equal_nan: for two nans)."""
    a, b = inexact("isclose", a, b)
    rtol, atol = (e.convert_to(as_array(v, "isclose"), real_of(a.dtype)) for v in (rtol, atol))
    near = e.le(e.abs_(e.sub(a, b)), e.add(atol, e.mul(rtol, e.abs_(b))))
    found = e.or_(e.eq(a, b), e.and_(m.is_finite(b), near))
    return e.or_(found, e.and_(e.ne(a, a), e.ne(b, b))) if equal_nan else found


def allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    """True if all elements are close; see isclose."""
    return reductions.all(isclose(a, b, rtol, atol, equal_nan))


def _from_anything(x):
    """x as an Array; of lists, too."""
    return as_array(np.asarray(x) if isinstance(x, (list, tuple)) else x)


def array_equal(a1, a2, equal_nan=False):
    """True if a1 and a2 have one shape and equal elements (with equal_nan nan equals nan)."""
    a1, a2 = _from_anything(a1), _from_anything(a2)
    if a1.shape != a2.shape:
        return as_array(np.bool_(False))
    same = equal(a1, a2)
    return reductions.all(e.or_(same, e.and_(e.ne(a1, a1), e.ne(a2, a2))) if equal_nan else same)


def array_equiv(a1, a2):
    """True if a1 and a2 broadcast with one another and are equal then."""
    try:
        return reductions.all(equal(_from_anything(a1), _from_anything(a2)))
    except ValueError:
        return as_array(np.bool_(False))


# ---- comparison and choice -----------------------------------------------------------------------------


def _comparison(name, doc, primitive, on_reals):
    """on_reals: the function of `ops`, which also compares integers of all dtypes exactly."""

    def compare(x, y, /):
        x, y = operand(x, name), operand(y, name, 1)
        if iscomplexobj(x) or iscomplexobj(y):
            return lexicographic(primitive, *common(name, x, y))
        return on_reals(as_array(x) if type(y) in SCALARS else x, y)

    return named(compare, name, doc)


_ORDER = ", elementwise; complex numbers by their real, then by their imaginary parts."
equal = _comparison("equal", "x == y, elementwise.", e.eq, general.equal)
not_equal = _comparison("not_equal", "x != y, elementwise.", e.ne, general.not_equal)
less = _comparison("less", "x < y" + _ORDER, e.lt, general.less)
less_equal = _comparison("less_equal", "x <= y" + _ORDER, e.le, general.less_equal)
greater = _comparison("greater", "x > y" + _ORDER, e.gt, general.greater)
greater_equal = _comparison("greater_equal", "x >= y" + _ORDER, e.ge, general.greater_equal)


def logical_not(x, /):
    """True where x is 0."""
    x = as_array(x, "logical_not")
    return e.not_(x) if x.dtype.kind == "b" else e.eq(x, 0)


__all__ = [
    "isfinite", "isinf", "isposinf", "isneginf", "isnan", "isreal", "iscomplex", "isclose",
    "allclose", "array_equal", "array_equiv", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
    "logical_not",
]  # fmt: skip
