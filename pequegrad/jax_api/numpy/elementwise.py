"""Functions of mathematics, arithmetic and bits, elementwise; those that are ufuncs are in ufuncs.py."""

import math
import operator

import numpy as np

from ...core.dtype import default_float, is_complex, is_float, is_inexact, is_integer, real_of
from ...ops import arithmetic as general
from ...ops import integers, special
from ...ops.complex import imag as imag_of
from ...ops.complex import real as real_of_array
from ...ops.shape import concatenate, normalize_axis
from ...primitives import cumulative as c
from ...primitives import elementwise as e
from ...primitives import mathematical as m
from ...primitives import special as s
from ...primitives.base import number
from ...primitives.representation import bitcast_convert
from ...primitives.shape import slice_axis
from ..convert import as_array, operand
from .comparisons import isneginf, isposinf, named
from .data_types import iscomplexobj
from .promotion import common, inexact, numeric, refuse_complex, refuse_out, strong
from .reductions import lexicographic

# ---- families ------------------------------------------------------------------------------------------


def _floating(name, primitive):
    """A function of one array that takes integers as floats."""

    def function(x, /):
        return primitive(general.floating(as_array(x, name)))

    return named(function, name, f"{primitive.__doc__}, elementwise; integers become floats.")


def _arithmetic(name, doc, on_arrays, promote=common):
    """A function of two arrays; on_arrays: what it does with two of one dtype."""

    def function(x1, x2, /):
        return on_arrays(*promote(name, x1, x2))

    return named(function, name, doc)


def _of_x_and_y(name, doc, on_arrays, promote=common):
    """The same with arguments that are called x and y."""

    def function(x, y, /):
        return on_arrays(*promote(name, x, y))

    return named(function, name, doc)


def _renamed(name, function):
    """Another name of a function of one array."""

    def alias(x, /):
        return function(x)

    return named(alias, name, function.__doc__)


# ---- exponentials, trigonometry ------------------------------------------------------------------------

exp = _floating("exp", m.exp)
exp2 = _floating("exp2", m.exp2)
expm1 = _floating("expm1", m.expm1)
log = _floating("log", m.log)
log1p = _floating("log1p", m.log1p)
sqrt = _floating("sqrt", m.sqrt)
cbrt = _floating("cbrt", m.cbrt)
sin = _floating("sin", m.sin)
cos = _floating("cos", m.cos)
tan = _floating("tan", m.tan)
arcsin = _floating("arcsin", m.asin)
arccos = _floating("arccos", m.acos)
arctan = _floating("arctan", m.atan)
sinh = _floating("sinh", m.sinh)
cosh = _floating("cosh", m.cosh)
tanh = _floating("tanh", m.tanh)
arcsinh = _floating("arcsinh", m.asinh)
arccosh = _floating("arccosh", m.acosh)
arctanh = _floating("arctanh", m.atanh)
asin, acos, atan = _floating("asin", m.asin), _floating("acos", m.acos), _floating("atan", m.atan)
asinh, acosh, atanh = _floating("asinh", m.asinh), _floating("acosh", m.acosh), _floating("atanh", m.atanh)


def _angle(y, x):
    if not is_complex(x.dtype):
        return m.atan2(y, x)
    i = number(1j, x)  # exp(i angle) = (x + iy) / r
    direction = e.div(e.add(x, e.mul(i, y)), m.sqrt(e.add(e.mul(x, x), e.mul(y, y))))
    return e.neg(e.mul(i, m.log(direction)))


_ANGLE = "The angle of the points (x2, x1), in radians: the first argument is the ordinate."
arctan2, atan2 = (_arithmetic(name, _ANGLE, _angle, inexact) for name in ("arctan2", "atan2"))


def _by_parts(function, x):
    """`function`, real on reals, of a real array; of a complex one, of both parts."""
    return e.complex_(function(e.real(x)), function(e.imag(x))) if is_complex(x.dtype) else function(x)


def _logarithm(name, base, of_log):
    def function(x, /):
        return strong(_by_parts(of_log, m.log(general.floating(as_array(x, name)))))

    return named(function, name, f"The logarithm to base {base}, elementwise.")


log2 = _logarithm("log2", 2, lambda x: e.div(x, math.log(2)))
log10 = _logarithm("log10", 10, lambda x: e.mul(x, 1 / math.log(10)))


def _scaling(name, doc, factor):
    def function(x, /):
        return e.mul(general.floating(as_array(x, name)), factor)

    return named(function, name, doc)


deg2rad, radians = (_scaling(name, "Degrees in radians.", math.pi / 180) for name in ("deg2rad", "radians"))
rad2deg, degrees = (_scaling(name, "Radians in degrees.", 180 / math.pi) for name in ("rad2deg", "degrees"))


def sinc(x, /):
    """sin(pi x) / (pi x), 1 at 0."""
    return special.sinc(as_array(x, "sinc"))


def i0(x):
    """The modified Bessel function of order 0, elementwise."""
    (x,) = inexact("i0", x)
    refuse_complex("i0", x)
    size = e.abs_(x)
    return e.mul(m.exp(size), s.bessel_i0e(size))


# ---- arithmetic ----------------------------------------------------------------------------------------

_QUOTIENT = "x1 / x2, elementwise; integers become floats."
divide, true_divide = (_arithmetic(name, _QUOTIENT, e.div, inexact) for name in ("divide", "true_divide"))


def _floor_quotient(x, y):
    if is_complex(x.dtype):
        raise TypeError("floor_divide is not defined for complex numbers.")
    return general.floor_divide(x, y)


_FLOOR = "x1 // x2, rounded toward minus infinity."
_REMAINDER = "The remainder of x1 // x2, which has the sign of x2; by 0: nan, of integers 0."
floor_divide = _arithmetic("floor_divide", _FLOOR, _floor_quotient, numeric)
remainder, mod = (_arithmetic(name, _REMAINDER, general.remainder, numeric) for name in ("remainder", "mod"))
fmod = _arithmetic("fmod", "The remainder with the sign of x1, as in C.", general.fmod, numeric)
divmod = _arithmetic(
    "divmod", "(x1 // x2, x1 % x2)", lambda x, y: (_floor_quotient(x, y), general.remainder(x, y)), numeric
)


def _power(name):
    def function(x1, x2, /):
        if isinstance(x2, (int, np.integer)) and not isinstance(x2, bool):
            (x,) = numeric("power", x1)
            return general.power(x, int(x2))
        return general.power(*numeric("power", x1, x2))

    return named(function, name, "x1 ** x2. A Python integer as exponent multiplies repeatedly.")


power, pow = _power("power"), _power("pow")
float_power = _of_x_and_y("float_power", "x ** y of floats.", m.pow_, inexact)


def square(x, /):
    """x * x, elementwise."""
    (x,) = numeric("square", x)
    return e.mul(x, x)


def reciprocal(x, /):
    """1 / x, elementwise; integers become floats."""
    return m.reciprocal(general.floating(as_array(x, "reciprocal")))


def positive(x, /):
    """x itself."""
    return as_array(x, "positive")


def hypot(x1, x2, /):
    """sqrt(x1 ** 2 + x2 ** 2) without overflow on the way."""
    x1, x2 = inexact("hypot", x1, x2)
    refuse_complex("hypot", x1)
    return special.hypot(x1, x2)


def fabs(x, /):
    """|x| as floats."""
    x = as_array(x, "fabs")
    if is_complex(x.dtype):
        raise TypeError("fabs is not defined for complex numbers; use abs.")
    return e.abs_(general.floating(x))


def absolute(x, /):
    """|x|, elementwise; real for complex x."""
    return general.abs(as_array(x, "absolute"))


abs = _renamed("abs", absolute)


def sign(x, /):
    """-1, 0 or 1; x / |x| for complex x."""
    return e.sign(as_array(x, "sign"))


def fmax(x1, x2):
    """The larger of x1 and x2, elementwise; of a number and nan the number."""
    x1, x2 = common("fmax", x1, x2)
    return e.select(e.or_(lexicographic(e.gt, x1, x2), e.ne(x2, x2)), x1, x2)


def fmin(x1, x2):
    """The smaller of x1 and x2, elementwise; of a number and nan the number."""
    x1, x2 = common("fmin", x1, x2)
    return e.select(e.or_(lexicographic(e.lt, x1, x2), e.ne(x2, x2)), x1, x2)


def heaviside(x1, x2, /):
    """0 for x1 < 0, x2 at 0, 1 for x1 > 0; nan for nan."""
    return special.heaviside(*inexact("heaviside", x1, x2))


def clip(arr=None, /, min=None, max=None):
    """arr with values below `min` and above `max` replaced by them; None is no bound."""
    if arr is None:
        raise ValueError("clip: no array is given.")
    arr = as_array(arr, "clip")
    bounds = [None if bound is None else operand(bound, "clip") for bound in (min, max)]
    if any(iscomplexobj(x) for x in (arr, *bounds)):
        raise ValueError(
            "clip is not defined for complex numbers, which have no order; clip the real and imaginary parts."
        )
    for primitive, bound in zip((e.max_, e.min_), bounds):
        if bound is not None:
            arr = primitive(*common("clip", bound, arr))
    return arr


def unwrap(p, discont=None, axis=-1, period=2 * math.pi):
    """Phases p along `axis` with multiples of `period` added wherever neighbours differ by more than discont (period / 2)."""
    p, period = common("unwrap", p, period)
    refuse_complex("unwrap", p)
    axis = normalize_axis(axis, p.ndim, "unwrap")
    n = p.shape[axis]
    if not n:
        return p
    half = general.floor_divide(period, 2) if is_integer(p.dtype) else e.mul(period, 0.5)
    discont = general.divide(period, 2) if discont is None else operand(discont, "unwrap")
    rest = slice_axis(p, axis, 1, n)
    step = e.sub(rest, slice_axis(p, axis, 0, n - 1))
    turned = e.sub(general.remainder(e.add(step, half), period), half)
    turned = e.select(e.and_(e.eq(turned, e.neg(half)), e.gt(step, 0)), half, turned)
    small = general.less(general.abs(step), discont)
    correction = e.select(small, number(0, step), e.sub(turned, step))
    rest = strong(e.add(rest, c.cumsum(correction, axis=axis, reverse=False)))
    return concatenate([slice_axis(strong(p), axis, 0, 1), rest], axis)


# ---- rounding ------------------------------------------------------------------------------------------


def _rounding(name, primitive):
    def function(x, /):
        x = as_array(x, name)
        return primitive(x) if is_inexact(x.dtype) else x

    return named(function, name, f"{primitive.__doc__}, elementwise; integers stay as they are.")


floor, ceil = _rounding("floor", m.floor), _rounding("ceil", m.ceil)


def trunc(x):
    """The integer part, elementwise; integers stay as they are."""
    x = as_array(x, "trunc")
    return m.trunc(x) if is_inexact(x.dtype) else x


def rint(x, /):
    """The nearest integer, halves to even, elementwise, as floats."""
    x = as_array(x, "rint")
    return _by_parts(m.round_, x) if is_inexact(x.dtype) else e.convert_to(x, default_float())


def round(a, decimals=0, out=None):
    """a rounded to this number of decimals, halves to even; integers stay as they are."""
    refuse_out("round", out)
    a, decimals = as_array(a, "round"), operator.index(decimals)
    if is_integer(a.dtype):
        if decimals < 0:
            raise NotImplementedError("round of integers to decimals < 0 is not supported.")
        return a
    if not is_inexact(a.dtype):
        raise ValueError("round is not defined for bool.")
    if decimals > math.log10(special._largest(real_of(a.dtype))):
        return a
    return _by_parts(lambda x: _rounded(x, decimals), a)


def _rounded(x, decimals):
    if not decimals:
        return m.round_(x)
    working = e.convert_to(x, np.dtype("float32"), x.weak_type) if x.dtype == np.float16 else x
    factor = float(10**decimals) if decimals > 0 else 10.0**decimals
    return e.convert_to(e.div(m.round_(e.mul(working, factor)), factor), x.dtype, x.weak_type)


def around(a, decimals=0, out=None):
    """Another name of round."""
    return round(a, decimals, out)


def modf(x, /, out=None):
    """(fractional part, integer part), both with the sign of x."""
    refuse_out("modf", out)
    (x,) = inexact("modf", x)
    whole = m.trunc(x)
    return e.sub(x, whole), whole


# ---- bits and integers ---------------------------------------------------------------------------------


def _inversion(name):
    def function(x, /):
        return e.not_(as_array(x, name))

    return named(function, name, "The opposite of bool, the complement of the bits of integers, elementwise.")


invert, bitwise_not, bitwise_invert = map(_inversion, ("invert", "bitwise_not", "bitwise_invert"))
_LEFT, _RIGHT = "x << y on integers, elementwise.", "x1 >> x2 on integers, elementwise; keeps the sign."
left_shift, bitwise_left_shift = (
    _of_x_and_y(name, _LEFT, e.shift_left, numeric) for name in ("left_shift", "bitwise_left_shift")
)
right_shift, bitwise_right_shift = (
    _arithmetic(name, _RIGHT, general.right_shift, numeric) for name in ("right_shift", "bitwise_right_shift")
)


def bitwise_count(x, /):
    """The number of one bits of |x|, uint8."""
    (x,) = numeric("bitwise_count", x)
    return e.convert_to(s.popcount(general.abs(x)), np.dtype("uint8"))


def _of_integers(name, doc, function):
    def wrapped(x1, x2):
        x1, x2 = common(name, x1, x2)
        if not is_integer(x1.dtype):
            raise ValueError(f"{name} takes integers, got {x1.dtype}.")
        return function(x1, x2)

    return named(wrapped, name, doc)


gcd = _of_integers("gcd", "The greatest common divisor, elementwise; gcd(0, y) = |y|.", integers.gcd)
lcm = _of_integers("lcm", "The least common multiple, elementwise; 0 where either is 0.", integers.lcm)

# ---- parts of floats and of complex numbers ------------------------------------------------------------


def signbit(x, /):
    """True for negative numbers, -0.0 and nan with a minus sign."""
    x = as_array(x, "signbit")
    refuse_complex("signbit", x)
    if not is_float(x.dtype):
        return strong(e.lt(x, 0) if is_integer(x.dtype) else e.ne(x, x))
    return e.lt(bitcast_convert(x, dtype=np.dtype(f"int{8 * x.dtype.itemsize}")), 0)


def copysign(x1, x2, /):
    """|x1| with the sign of x2."""
    x1, x2 = inexact("copysign", x1, x2)
    if is_complex(x1.dtype):
        raise TypeError("copysign is not defined for complex numbers.")
    magnitude = e.abs_(x1) if x2.weak_type else strong(e.abs_(x1))
    return e.select(signbit(x2), e.neg(magnitude), magnitude)


def nextafter(x, y, /):
    """The number next to x in the direction of y."""
    return s.nextafter(*inexact("nextafter", x, y))


def spacing(x, /):
    """The distance of x from the next number away from 0, with the sign of x."""
    x = strong(*inexact("spacing", x))
    refuse_complex("spacing", x)
    infinity = number(math.inf, x)
    if x.dtype == np.float16:
        return e.sub(s.nextafter(x, infinity), x)
    gap = e.sub(s.nextafter(x, copysign(infinity, x)), x)
    return e.select(e.eq(gap, 0), copysign(number(_smallest(x.dtype), x), x), gap)


def _smallest(dtype):
    import ml_dtypes

    return float(ml_dtypes.finfo(dtype).smallest_subnormal)


def frexp(x, /):
    """(mantissa, exponent) with x = mantissa * 2 ** exponent, 0.5 <= |mantissa| < 1; int32 exponents, 0 for 0, inf, nan."""
    (x,) = inexact("frexp", x)
    if is_complex(x.dtype):
        raise TypeError("frexp is not defined for complex numbers.")
    return special.frexp(strong(x))


def ldexp(x1, x2, /):
    """x1 * 2 ** x2, elementwise; x2: integers."""
    x1, x2 = as_array(x1, "ldexp"), as_array(x2, "ldexp", 1)
    if is_complex(x1.dtype) or is_inexact(x2.dtype):
        raise ValueError(f"ldexp takes real numbers and integers, got {x1.dtype} and {x2.dtype}.")
    return special.ldexp(strong(*inexact("ldexp", x1)), e.convert_to(x2, np.dtype("int32")))


def real(val, /):
    """The real part, elementwise; of real numbers, val itself."""
    return real_of_array(as_array(val, "real"))


def imag(val, /):
    """The imaginary part, elementwise; zeros for real numbers."""
    return imag_of(as_array(val, "imag"))


def conjugate(x, /):
    """The complex conjugate, elementwise; of real numbers, x itself."""
    x = as_array(x, "conjugate")
    return e.conj(x) if is_complex(x.dtype) else x


conj = _renamed("conj", conjugate)


def angle(z, deg=False):
    """The angle of z in the complex plane, in radians (deg: in degrees); 0 or pi for real numbers."""
    z = as_array(z, "angle")
    x, y = real_of_array(z), imag_of(z)
    if not is_inexact(x.dtype) or (is_float(z.dtype) and not z.ndim):
        x, y = (e.convert_to(v, default_float()) for v in (x, y))
    found = m.atan2(y, x)
    return rad2deg(found) if deg else found


def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    """x with numbers for nan (0) and the infinities (the largest and lowest of the dtype)."""
    x = as_array(x, "nan_to_num")
    if not is_inexact(x.dtype):
        return x
    return _by_parts(lambda part: _without_nan(part, nan, posinf, neginf), x)


def _without_nan(x, nan, posinf, neginf):
    largest = special._largest(x.dtype)
    pairs = ((e.ne(x, x), nan), (isposinf(x), largest if posinf is None else posinf))
    for where, value in (*pairs, (isneginf(x), -largest if neginf is None else neginf)):
        x = e.select(where, e.convert_to(as_array(value, "nan_to_num"), x.dtype), x)
    return x


__all__ = [
    "exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sqrt", "cbrt", "sin", "cos", "tan", "arcsin", "arccos", "arctan",
    "asin", "acos", "atan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "asinh", "acosh", "atanh", "arctan2",
    "atan2", "deg2rad", "radians", "rad2deg", "degrees", "sinc", "i0", "divide", "true_divide", "floor_divide", "remainder",
    "mod", "fmod", "divmod", "power", "pow", "float_power", "square", "reciprocal", "positive", "hypot", "fabs", "absolute",
    "abs", "sign", "fmax", "fmin", "heaviside", "clip", "unwrap", "floor", "ceil", "trunc", "rint", "round", "around", "modf",
    "invert", "bitwise_not", "bitwise_invert", "left_shift", "bitwise_left_shift", "right_shift", "bitwise_right_shift",
    "bitwise_count", "gcd", "lcm", "signbit", "copysign", "nextafter", "spacing", "frexp", "ldexp", "real", "imag",
    "conjugate", "conj", "angle", "nan_to_num",
]  # fmt: skip
