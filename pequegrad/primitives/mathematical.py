"""Functions of mathematics, elementwise: roots, exponentials, trigonometry, rounding, powers.

Each states its derivative in terms of the arithmetic primitives; see elementwise.py for the rules they share.
"""

import math

import numpy as np

from ..core.dtype import dt, is_inexact, is_integer
from ..core.errors import DtypeError
from .base import number, primitive
from .elementwise import (
    Elementwise,
    Extreme,
    Floating,
    Inexact,
    Numeric,
    add,
    complex_normal,
    div,
    eq,
    infer_same,
    mul,
    neg,
    select,
    sub,
)


class Step(Floating):
    """Piecewise constant: the derivative is zero."""

    def jvp(primals, tangents, out):
        return None


@primitive
class floor(Step):
    """The largest integer <= x"""


@primitive
class ceil(Step):
    """The smallest integer >= x"""


@primitive
class round_(Step):
    """The nearest integer, halves to even"""


@primitive
class trunc(Step):
    """The integer part"""


@primitive
class exp(Inexact):
    """e ** x"""

    def derivative(x, out):
        return out


@primitive
class exp2(Inexact):
    """2 ** x"""

    def derivative(x, out):
        return mul(out, math.log(2))


@primitive
class expm1(Inexact):
    """exp(x) - 1, exact near 0"""

    def derivative(x, out):
        return add(out, 1)


@primitive
class log(Inexact):
    """The natural logarithm"""

    def derivative(x, out):
        return reciprocal(x)


@primitive
class log1p(Inexact):
    """log(1 + x), exact near 0"""

    def derivative(x, out):
        return reciprocal(add(x, 1))


@primitive
class sqrt(Inexact):
    """The square root"""

    def derivative(x, out):
        return div(number(0.5, x), out)


@primitive
class rsqrt(Inexact):
    """1 / sqrt(x)"""

    def derivative(x, out):
        return mul(div(out, x), -0.5)


@primitive
class cbrt(Floating):
    """The cube root"""

    def derivative(x, out):
        return div(number(1 / 3, x), mul(out, out))


@primitive
class sin(Inexact):
    """Sine of radians"""

    def derivative(x, out):
        return cos(x)


@primitive
class cos(Inexact):
    """Cosine of radians"""

    def derivative(x, out):
        return neg(sin(x))


@primitive
class tan(Inexact):
    """Tangent of radians"""

    def derivative(x, out):
        return add(mul(out, out), 1)


@primitive
class asin(Inexact):
    """Inverse sine, in radians"""

    def derivative(x, out):
        return rsqrt(one_minus_square(x))


@primitive
class acos(Inexact):
    """Inverse cosine, in radians"""

    def derivative(x, out):
        return neg(rsqrt(one_minus_square(x)))


@primitive
class atan(Inexact):
    """Inverse tangent, in radians"""

    def derivative(x, out):
        return reciprocal(add(mul(x, x), 1))


@primitive
class sinh(Inexact):
    """Hyperbolic sine"""

    def derivative(x, out):
        return cosh(x)


@primitive
class cosh(Inexact):
    """Hyperbolic cosine"""

    def derivative(x, out):
        return sinh(x)


@primitive
class tanh(Inexact):
    """Hyperbolic tangent"""

    def derivative(x, out):
        return one_minus_square(out)


@primitive
class asinh(Inexact):
    """Inverse hyperbolic sine"""

    def derivative(x, out):
        return rsqrt(add(mul(x, x), 1))


@primitive
class acosh(Inexact):
    """Inverse hyperbolic cosine"""

    def derivative(x, out):
        return mul(rsqrt(sub(x, 1)), rsqrt(add(x, 1)))

    def samples(rng):
        yield (rng.uniform(1.5, 3, (2, 3)),), {}
        yield (rng.uniform(-3, 3, (2, 3)) + 1j * rng.uniform(0.5, 2, (2, 3)),), {}


@primitive
class atanh(Inexact):
    """Inverse hyperbolic tangent"""

    def derivative(x, out):
        return reciprocal(one_minus_square(x))


@primitive
class logistic(Inexact):
    """1 / (1 + exp(-x)), the sigmoid"""

    def derivative(x, out):
        return mul(out, sub(number(1, out), out))


@primitive
class erf(Floating):
    """The error function"""

    def derivative(x, out):
        return mul(exp(neg(mul(x, x))), 2 / math.sqrt(math.pi))


@primitive
class erfc(Floating):
    """1 - erf(x), exact for large x"""

    def derivative(x, out):
        return mul(exp(neg(mul(x, x))), -2 / math.sqrt(math.pi))


@primitive
class erf_inv(Floating):
    """The inverse of erf on (-1, 1)"""

    def derivative(x, out):
        return mul(exp(mul(out, out)), math.sqrt(math.pi) / 2)


@primitive
class is_finite(Elementwise):
    """False for infinities and nan"""

    accepts = staticmethod(is_inexact)
    accepted = "a floating or complex dtype"
    result = staticmethod(lambda dtype: dt.bool_)

    def jvp(primals, tangents, out):
        return None

    def samples(rng):
        yield (np.array([0.0, np.inf, -np.inf, np.nan]),), {}
        yield (np.array([1 - 1j, complex(0, np.inf), complex(np.nan, 0)]),), {}


@primitive
class integer_pow(Numeric):
    """x ** exponent for a Python integer, by repeated squaring"""

    def infer(x, *, exponent):
        if exponent < 0 and is_integer(x.dtype):
            raise DtypeError(
                f"integer_pow: {x} to the power {exponent} is not an integer.", fix="convert it: x.astype(dt.float32)."
            )
        return infer_same("integer_pow", Numeric)(x)

    def derivative(x, out, *, exponent):
        if exponent == 0:
            return mul(out, 0)
        return mul(integer_pow(x, exponent=exponent - 1), exponent)

    def lower(x, *, exponent):
        return "integer_pow", (exponent,)

    def samples(rng):
        for exponent in (0, 1, 2, 5, -2):
            yield (rng.uniform(0.5, 2, (2, 3)),), {"exponent": exponent}
        for exponent in (3, -2):
            yield (1 + 0.3 * complex_normal(rng, 2, 3),), {"exponent": exponent}


@primitive
class rem(Extreme):
    """The remainder with the sign of x (C's fmod and %)"""

    accepts = staticmethod(lambda dtype: dtype.kind not in "bc")
    accepted = "an integer or floating dtype"

    def derivative(x, y, out):
        return number(1, x), lambda: neg(trunc(div(x, y)))


@primitive
class pow_(Inexact):
    """x ** y"""

    def derivative(x, y, out):
        zero = eq(y, 0)
        return (
            # x ** 0 does not change with x (at 0 and infinity the formula gives nan)
            lambda: select(zero, number(0, y), mul(y, pow_(x, select(zero, number(1, y), sub(y, 1))))),
            # x ** y does not change with y at x = 0 (where log(x) is not finite)
            lambda: mul(out, log(select(eq(x, 0), number(1, x), x))),
        )

    def samples(rng):
        yield (rng.uniform(0.5, 2, (2, 3)), rng.normal(size=(2, 3))), {}
        yield (rng.uniform(0.5, 2, (2, 3)), rng.normal(size=(3,))), {}
        yield (1 + 0.3 * complex_normal(rng, 2, 3), complex_normal(rng, 3)), {}


@primitive
class atan2(Floating):
    """The angle of the point (y, x), in radians; the first operand is y"""

    def derivative(y, x, out):
        square = add(mul(x, x), mul(y, y))
        return lambda: div(x, square), lambda: neg(div(y, square))

    def samples(rng):
        yield (rng.normal(size=(2, 3)), rng.normal(size=(3,))), {}


def reciprocal(x):
    return div(number(1, x), x)


def one_minus_square(x):
    return sub(number(1, x), mul(x, x))
