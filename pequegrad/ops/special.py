"""More elementwise functions, composed of primitives so that values and derivatives are right in both tails.

The pattern where a formula is wrong for some x: `select` a harmless operand there first, and the result after it.
A derivative through the branch that is not taken is then finite, and is multiplied by zero.
"""

import math

from ..core.dtype import dt, is_float, is_integer
from ..core.errors import DtypeError
from ..primitives import elementwise as e
from ..primitives import mathematical as m
from ..primitives.base import number
from .arithmetic import floating, new_handle, promoted, promoted_floats
from .creation import as_tensor

# ---- logarithms ------------------------------------------------------------------------------------------


def logaddexp(x, y):
    """log(exp(x) + exp(y)) without overflow; two equal infinities give themselves, with derivatives 1/2."""
    return _log_of_sum(*promoted_floats(x, y), m.exp, m.log1p, math.log(2))


def logaddexp2(x, y):
    """log2(2 ** x + 2 ** y) without overflow."""
    log2_1p = lambda v: e.mul(m.log1p(v), 1 / math.log(2))
    return _log_of_sum(*promoted_floats(x, y), m.exp2, log2_1p, 1.0)


def _log_of_sum(x, y, exp, log1p, of_equal):
    """larger + log(1 + exp(-distance)): both written with one condition, so that all derivatives agree at x = y."""
    infinite = e.and_(e.eq(x, y), e.not_(m.is_finite(x)))
    a, b = e.select(infinite, number(0, x), x), e.select(infinite, number(0, y), y)
    first = e.gt(a, b)
    distance = e.select(first, e.sub(b, a), e.sub(a, b))  # <= 0
    out = e.add(e.select(first, a, b), log1p(exp(distance)))
    return e.select(infinite, e.add(e.max_(x, y), of_equal), out)


def softplus(x):
    """log(1 + exp(x)) without overflow, elementwise."""
    x = floating(x)
    positive = e.gt(x, 0)
    return e.add(e.select(positive, x, number(0, x)), m.log1p(m.exp(e.select(positive, e.neg(x), x))))


def log2(x):
    """The logarithm to base 2, elementwise."""
    x = floating(x)
    return e.mul(m.log(x), 1 / math.log(2))


def log10(x):
    """The logarithm to base 10, elementwise."""
    x = floating(x)
    return e.mul(m.log(x), 1 / math.log(10))


def logit(x):
    """log(x / (1 - x)), the inverse of sigmoid: -inf at 0, inf at 1."""
    x = floating(x)
    return e.sub(m.log(x), m.log1p(e.neg(x)))


def xlogy(x, y):
    """x * log(y), 0 where x is 0 and y is not nan. There the derivative in y is 0; in x it is log(y), 0 where that is not finite."""
    x, y = promoted_floats(x, y)
    harmless = e.and_(e.eq(x, 0), e.or_(e.le(y, 0), e.eq(y, number(math.inf, y))))
    return e.mul(x, m.log(e.select(harmless, number(1, y), y)))


def xlog1py(x, y):
    """x * log(1 + y), 0 where x is 0 and y is not nan; derivatives as for xlogy."""
    x, y = promoted_floats(x, y)
    harmless = e.and_(e.eq(x, 0), e.or_(e.le(y, -1), e.eq(y, number(math.inf, y))))
    return e.mul(x, m.log1p(e.select(harmless, number(0, y), y)))


# ---- powers, angles --------------------------------------------------------------------------------------


def square(x):
    """x * x, elementwise, in the dtype of x."""
    x = as_tensor(x)
    return e.mul(x, x)


def reciprocal(x):
    """1 / x, elementwise; integers become float32."""
    x = floating(x)
    return m.reciprocal(x)


def float_power(x, y):
    """x ** y with both as floats (of integers: float32)."""
    return m.pow_(*promoted_floats(x, y))


def hypot(x, y):
    """sqrt(x * x + y * y) without overflow of the squares; inf if one is infinite. The derivatives at (0, 0) are 1/2."""
    x, y = (e.abs_(v) for v in promoted_floats(x, y))
    first = e.gt(x, y)  # one condition for both, so that all derivatives agree at x = y
    larger, smaller = e.select(first, x, y), e.select(first, y, x)
    infinite = number(math.inf, x)
    regular = e.and_(e.gt(larger, 0), e.lt(larger, infinite))
    ratio = e.div(e.select(regular, smaller, number(0, x)), e.select(regular, larger, number(1, x)))
    out = e.select(regular, e.mul(larger, m.sqrt(e.add(e.mul(ratio, ratio), 1))), e.max_(x, y))
    return e.select(e.or_(e.eq(x, infinite), e.eq(y, infinite)), infinite, out)


def deg2rad(x):
    """Degrees in radians."""
    x = floating(x)
    return e.mul(x, math.pi / 180)


def rad2deg(x):
    """Radians in degrees."""
    x = floating(x)
    return e.mul(x, 180 / math.pi)


def sinc(x):
    """sin(pi x) / (pi x), 1 at 0. Near 0 its series, so that the first derivatives are right there, too."""
    x = floating(x)
    angle = e.mul(x, math.pi)
    near = e.lt(e.abs_(angle), 0.5)
    away = e.select(near, number(1, x), angle)
    square = e.mul(angle, angle)
    square = e.select(near, square, number(0, x))
    series = number(0, x)
    for k in reversed(range(_SINC_TERMS)):
        series = e.add(e.mul(series, square), (-1) ** k / math.factorial(2 * k + 1))
    return e.select(near, series, e.div(m.sin(away), away))


_SINC_TERMS = 8  # below 0.5 the ninth is less than the rounding of 1 in float64


# ---- signs and steps --------------------------------------------------------------------------------------


def heaviside(x, at_zero):
    """0 for x < 0, `at_zero` at 0, 1 for x > 0; nan for nan."""
    x, at_zero = promoted_floats(x, at_zero)
    step = e.select(e.lt(x, 0), number(0, x), e.select(e.gt(x, 0), number(1, x), at_zero))
    return e.select(e.ne(x, x), number(math.nan, x), step)


def signbit(x):
    """True for negative numbers and -0.0, elementwise; False for nan, whose sign is not read."""
    x = as_tensor(x)
    if not is_float(x.dtype):
        return e.lt(x, 0) if is_integer(x.dtype) else e.ne(x, x)
    return e.or_(e.lt(x, 0), e.and_(e.eq(x, 0), e.lt(m.reciprocal(x), 0)))


def copysign(x, y):
    """|x| with the sign of y (of -0.0, too)."""
    x, y = promoted_floats(x, y)
    magnitude = e.abs_(x)
    return e.select(signbit(y), e.neg(magnitude), magnitude)


def fmax(x, y):
    """The larger of x and y, elementwise; of a number and nan the number."""
    x, y = promoted(x, y)
    return e.select(e.or_(e.gt(x, y), e.ne(y, y)), x, y)


def fmin(x, y):
    """The smaller of x and y, elementwise; of a number and nan the number."""
    x, y = promoted(x, y)
    return e.select(e.or_(e.lt(x, y), e.ne(y, y)), x, y)


# ---- parts of floats ----------------------------------------------------------------------------------------


def ldexp(x, exponent):
    """x * 2 ** exponent, elementwise; exponent: integers."""
    x = floating(x)
    exponent = as_tensor(exponent, x.device)
    if not is_integer(exponent.dtype):
        raise DtypeError(f"ldexp: the exponent must be integers, got {exponent._node.aval}.", fix="x * exp2(y)")
    return _scaled(x, e.convert_to(exponent, dt.int32))


def _scaled(x, exponent):
    """x * 2 ** exponent in float64, rounded once.

    In three steps, since 2 ** exponent may not be finite: the largest comes last, so that a step before it is inexact
    only where the result is 0 or infinite.
    """
    wide = e.convert_to(x, dt.float64)
    rest, parts = e.min_(e.max_(exponent, -2400), 2400), []
    for _ in range(3):
        parts.append(e.min_(e.max_(rest, -1000), 1000))
        rest = e.sub(rest, parts[-1])
    for part in reversed(parts):
        wide = e.mul(wide, m.exp2(e.convert_to(part, dt.float64)))
    return e.convert_to(wide, x.dtype, x.weak_type)


def frexp(x):
    """(mantissa, exponent) with x = mantissa * 2 ** exponent, 0.5 <= |mantissa| < 1; int32 exponents, 0 for 0, inf, nan."""
    x = floating(x)
    wide = e.convert_to(x, dt.float32) if x.dtype.itemsize == 2 else x
    regular = e.and_(m.is_finite(wide), e.ne(wide, 0))
    magnitude = e.select(regular, e.abs_(wide), number(0.5, wide))
    # the logarithm may be off by one where it rounds to an integer: the mantissa tells
    exponent = e.convert_to(m.floor(log2(magnitude)), dt.int32)
    exponent = e.add(exponent, 1)
    mantissa = _scaled(magnitude, e.neg(exponent))
    too_large, too_small = e.ge(mantissa, 1), e.lt(mantissa, 0.5)
    exponent = e.add(exponent, e.sub(e.convert_to(too_large, dt.int32), e.convert_to(too_small, dt.int32)))
    exponent = e.select(regular, exponent, number(0, exponent))
    mantissa = e.select(regular, _scaled(wide, e.neg(exponent)), wide)
    return e.convert_to(mantissa, x.dtype, x.weak_type), exponent


# ---- tests -----------------------------------------------------------------------------------------------


def isinf(x):
    """True for infinities, elementwise."""
    x = floating(x)
    return e.eq(e.abs_(x), number(math.inf, x))


def isposinf(x):
    """True for inf, elementwise."""
    x = floating(x)
    return e.eq(x, number(math.inf, x))


def isneginf(x):
    """True for -inf, elementwise."""
    x = floating(x)
    return e.eq(x, number(-math.inf, x))


def logical_and(x, y):
    """x and y as truth values, elementwise."""
    return e.and_(*map(_truth, promoted(x, y)))


def logical_or(x, y):
    """x or y as truth values, elementwise."""
    return e.or_(*map(_truth, promoted(x, y)))


def logical_xor(x, y):
    """Exactly one of x and y, as truth values, elementwise."""
    return e.xor(*map(_truth, promoted(x, y)))


def _truth(x):
    return x if x.dtype.kind == "b" else e.ne(x, 0)


@new_handle
def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    """x with `nan` for nan and numbers (by default the largest and lowest of the dtype) for the infinities."""
    x = as_tensor(x)
    if not is_float(x.dtype):
        return x
    largest = _largest(x.dtype)
    pairs = ((e.ne(x, x), nan), (isposinf(x), largest if posinf is None else posinf))
    out = x
    for where, value in (*pairs, (isneginf(x), -largest if neginf is None else neginf)):
        out = e.select(where, number(float(value), x), out)
    return out


def _largest(dtype):
    import ml_dtypes

    return float(ml_dtypes.finfo(dtype).max)


def isclose(x, y, rtol=1e-5, atol=1e-8, equal_nan=False):
    """True where |x - y| <= atol + rtol * |y|, and for equal infinities (with equal_nan: for two nans)."""
    x, y = promoted(x, y)
    same = e.eq(x, y)
    if not is_float(x.dtype):
        wide = dt.float64 if x.dtype.itemsize == 8 else dt.float32
        x, y = e.convert_to(x, wide), e.convert_to(y, wide)
    close = e.le(e.abs_(e.sub(x, y)), e.add(e.mul(e.abs_(y), float(rtol)), float(atol)))
    close = e.or_(same, e.and_(close, e.and_(m.is_finite(x), m.is_finite(y))))
    return e.or_(close, e.and_(e.ne(x, x), e.ne(y, y))) if equal_nan else close


__all__ = [
    "logaddexp", "logaddexp2", "softplus", "log2", "log10", "logit", "xlogy", "xlog1py", "square", "reciprocal", "float_power",
    "hypot", "deg2rad", "rad2deg", "sinc", "heaviside", "signbit", "copysign", "fmax", "fmin", "ldexp", "frexp", "isinf",
    "isposinf", "isneginf", "logical_and", "logical_or", "logical_xor", "nan_to_num", "isclose",
]  # fmt: skip
