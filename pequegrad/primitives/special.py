"""Functions on the bits of numbers, and the special functions of mathematics, elementwise."""

import numpy as np

from ..core.dtype import is_integer
from ..core.errors import ArgumentError, GradientError
from .base import number, primitive
from .elementwise import Bits, Floating, abs_, add, div, gt, mul, neg, select, sign, spread, sub
from .mathematical import exp, log, log1p

# ---- bits --------------------------------------------------------------------------------------------


class Counting(Bits):
    accepts = staticmethod(is_integer)
    accepted = "an integer dtype"

    def samples(rng):
        yield (rng.integers(-100, 100, (2, 3)),), {}
        yield (rng.integers(0, 100, (0, 3)),), {}


@primitive
class popcount(Counting):
    """The number of one bits of an integer"""


@primitive
class clz(Counting):
    """The number of leading zero bits of an integer"""


@primitive
class nextafter(Floating):
    """The number next to x in the direction of y. It moves with x: the derivative is 1, with respect to y 0."""

    def jvp(primals, tangents, out):
        return spread(tangents[0], out)

    def samples(rng):
        yield (rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), {}
        yield (rng.normal(size=(2, 1, 3)), rng.normal(size=(4, 1))), {}


# ---- the gamma function and its relatives ------------------------------------------------------------


@primitive
class lgamma(Floating):
    """The logarithm of the absolute value of the gamma function"""

    def derivative(x, out):
        return digamma(x)


@primitive
class digamma(Floating):
    """The derivative of the logarithm of the gamma function; nan at its poles 0, -1, ..."""

    def derivative(x, out):
        return polygamma(x, n=1)

    def samples(rng):
        yield (rng.uniform(0.3, 9, (2, 3)),), {}
        yield (rng.uniform(-2.9, -2.1, (2, 3)),), {}


@primitive
class polygamma(Floating):
    """The n-th derivative of digamma (0 <= n <= 170), infinite at the poles 0, -1, ... for n >= 1"""

    def infer(x, *, n):
        if not 0 <= n <= 170:
            raise ArgumentError(f"polygamma: the order n is {n}.", fix="use 0 (digamma) to 170; 171! is too large.")
        return digamma.infer(x)

    def derivative(x, out, *, n):
        return polygamma(x, n=n + 1)

    def lower(x, *, n):
        return ("polygamma", (n,)) if n else ("digamma", ())

    def samples(rng):
        for n in (0, 1, 2, 5):
            yield (rng.uniform(0.5, 9, (2, 3)),), {"n": n}
        yield (rng.uniform(-2.7, -2.3, (3,)),), {"n": 2}


# ---- incomplete gamma and beta functions, zeta -------------------------------------------------------


def _without_derivative(name, operand):
    raise GradientError(
        f"{name} has no derivative with respect to {operand}.",
        fix=f"stop_gradient({operand}), if it need not be differentiated.",
    )


class IncompleteGamma(Floating):
    def samples(rng):
        yield (rng.uniform(0.5, 5, (2, 3)), rng.uniform(0.5, 5, (2, 3))), {}
        yield (rng.uniform(0.5, 5, (2, 1)), rng.uniform(0.5, 5, (3,))), {}
        yield (rng.uniform(0.5, 5, (0, 3)), rng.uniform(0.5, 5, ())), {}


def _gamma_density(a, x):
    """The derivative of igamma with respect to x."""
    return exp(sub(sub(mul(sub(a, number(1, a)), log(x)), x), lgamma(a)))


@primitive
class igamma(IncompleteGamma):
    """The regularised lower incomplete gamma function of a and x"""

    once_only = (0,)

    def derivative(a, x, out):
        return lambda: igamma_grad_a(a, x), lambda: _gamma_density(a, x)


@primitive
class igammac(IncompleteGamma):
    """1 less igamma, without loss where that is nearly 1"""

    once_only = (0,)

    def derivative(a, x, out):
        return lambda: neg(igamma_grad_a(a, x)), lambda: neg(_gamma_density(a, x))


@primitive
class igamma_grad_a(IncompleteGamma):
    """The derivative of igamma with respect to a; its own derivative is known with respect to x only"""

    without_derivative = (0,)

    def derivative(a, x, out):
        return (
            lambda: _without_derivative("igamma_grad_a", "a"),
            lambda: mul(_gamma_density(a, x), sub(log(x), digamma(a))),
        )


@primitive
class random_gamma_grad(IncompleteGamma):
    """The derivative with respect to a of a gamma variate x, where igamma(a, x) is held; its own is known with respect to x only"""

    without_derivative = (0,)

    def derivative(a, x, out):  # of -igamma_grad_a / density
        slope = lambda: sub(div(sub(a, number(1, a)), x), number(1, x))  # of the density's logarithm
        return (
            lambda: _without_derivative("random_gamma_grad", "a"),
            lambda: sub(sub(digamma(a), log(x)), mul(out, slope())),
        )


@primitive
class betainc(Floating):
    """The regularised incomplete beta function of a, b and x; as in JAX it has a derivative with respect to x only"""

    without_derivative = (0, 1)

    def derivative(a, b, x, out):
        def density():
            one = number(1, a)
            logarithm = add(mul(sub(b, one), log1p(neg(x))), mul(sub(a, one), log(x)))
            return exp(add(logarithm, sub(lgamma(add(a, b)), add(lgamma(a), lgamma(b)))))

        return lambda: _without_derivative("betainc", "a"), lambda: _without_derivative("betainc", "b"), density

    def samples(rng):
        yield (rng.uniform(0.5, 5, (2, 3)), rng.uniform(0.5, 5, (2, 3)), rng.uniform(0.2, 0.8, (2, 3))), {}
        yield (rng.uniform(0.5, 5, (2, 1)), rng.uniform(0.5, 5, ()), rng.uniform(0.2, 0.8, (3,))), {}


@primitive
class zeta(Floating):
    """Hurwitz's zeta function: the sum of (q + i)**-s over i = 0, 1, ...; it has no derivative with respect to s"""

    without_derivative = (0,)

    def derivative(s, q, out):
        return lambda: _without_derivative("zeta", "s"), lambda: mul(neg(s), zeta(add(s, number(1, s)), q))

    def samples(rng):
        yield (rng.uniform(1.5, 5, (2, 3)), rng.uniform(0.5, 3, (2, 3))), {}
        yield (rng.uniform(1.5, 5, (2, 1)), rng.uniform(0.5, 3, (3,))), {}


# ---- modified Bessel functions -----------------------------------------------------------------------


class Bessel(Floating):
    def samples(rng):
        yield (rng.uniform(0.3, 12, (2, 3)),), {}
        yield (rng.uniform(-12, -0.3, (3,)),), {}


@primitive
class bessel_i0e(Bessel):
    """exp(-|x|) I0(x), the modified Bessel function"""

    def derivative(x, out):
        return sub(bessel_i1e(x), mul(sign(x), out))


@primitive
class bessel_i1e(Bessel):
    """exp(-|x|) I1(x), the modified Bessel function"""

    def derivative(x, out):
        tiny = number(float(np.finfo(x.dtype).eps) if x.dtype.kind == "f" else 2.0**-7, x)
        large = gt(abs_(x), tiny)
        safe = select(large, x, tiny)
        slope = sub(bessel_i0e(safe), mul(out, add(sign(safe), div(number(1, x), safe))))
        return select(large, slope, number(0.5, x))  # what it tends to at 0, where 1 / x does not
