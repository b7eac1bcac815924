"""Functions on the bits of numbers, and the special functions of mathematics, elementwise."""

from ..core.errors import ArgumentError
from ..primitives import special as p
from .arithmetic import floating, promoted
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


__all__ = ["population_count", "clz", "nextafter", "lgamma", "digamma", "polygamma"]
