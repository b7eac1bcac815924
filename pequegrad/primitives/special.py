"""Functions on the bits of numbers, and the special functions of mathematics, elementwise."""

from ..core.dtype import is_integer
from ..core.errors import ArgumentError
from .base import primitive
from .elementwise import Bits, Floating, spread

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
