"""Functions on the bits of numbers, and the special functions of mathematics, elementwise."""

from ..core.errors import ArgumentError
from ..primitives import special as p
from .arithmetic import floating, promoted, promoted_floats
from .creation import as_tensor


def population_count(x):
    """The number of one bits of integers, elementwise, in the dtype of x."""
    return p.popcount(as_tensor(x))


def clz(x):
    """The number of leading zero bits of integers, elementwise, in the dtype of x."""
    return p.clz(as_tensor(x))


def nextafter(x, y):
    """The number next to x in the direction of y, elementwise; integers become float32."""
    return p.nextafter(*(floating(v) for v in promoted(x, y)))


def lgamma(x):
    """The logarithm of |gamma(x)|, elementwise; integers become float32."""
    return p.lgamma(floating(x))


def digamma(x):
    """The derivative of log(gamma(x)), elementwise; nan at 0, -1, ...; integers become float32."""
    return p.digamma(floating(x))


def polygamma(n, x):
    """The n-th derivative of digamma, elementwise, for a Python int n from 0 to 170; integers x become float32."""
    if not isinstance(n, int):
        raise ArgumentError(
            f"polygamma: the order must be a Python int, got {type(n).__name__}.", fix="polygamma(1, x)"
        )
    return p.polygamma(floating(x), n=n)


def igamma(a, x):
    """The regularised lower incomplete gamma function, elementwise: the integral of t^(a - 1) exp(-t) / gamma(a) from 0 to x.

    NaN where a or x is negative; integers become float32. scipy.special calls it gammainc.
    """
    return p.igamma(*promoted_floats(a, x))


def igammac(a, x):
    """1 - igamma(a, x), elementwise, also where that is small. scipy.special calls it gammaincc."""
    return p.igammac(*promoted_floats(a, x))


def igamma_grad_a(a, x):
    """The derivative of igamma(a, x) with respect to a, elementwise."""
    return p.igamma_grad_a(*promoted_floats(a, x))


def random_gamma_grad(a, x):
    """The derivative with respect to a of a gamma variate x, where igamma(a, x) is held (Figurnov et al., 2018), elementwise."""
    return p.random_gamma_grad(*promoted_floats(a, x))


def betainc(a, b, x):
    """The regularised incomplete beta function, elementwise: the integral of t^(a - 1) (1 - t)^(b - 1) / B(a, b) from 0 to x.

    NaN where a or b is negative, and outside of 0 <= x <= 1. It has a derivative with respect to x only.
    """
    return p.betainc(*promoted_floats(a, b, x))


def zeta(x, q=1):
    """Hurwitz's zeta function, elementwise: the sum of (q + i)**-x over i = 0, 1, ...; Riemann's for q = 1.

    NaN for x < 1; infinite at q = 0, -1, ... It has a derivative with respect to q only.
    """
    return p.zeta(*promoted_floats(x, q))


def bessel_i0e(x):
    """exp(-|x|) I0(x), the modified Bessel function, elementwise; integers become float32."""
    return p.bessel_i0e(floating(x))


def bessel_i1e(x):
    """exp(-|x|) I1(x), the modified Bessel function, elementwise; integers become float32."""
    return p.bessel_i1e(floating(x))


__all__ = [
    "population_count", "clz", "nextafter", "lgamma", "digamma", "polygamma", "igamma", "igammac", "igamma_grad_a",
    "random_gamma_grad",
    "betainc", "zeta", "bessel_i0e", "bessel_i1e",
]  # fmt: skip
