"""The error function and its relatives."""

import functools
import math

import numpy as np

from ....core.dtype import complex_of, dt
from ....primitives.elementwise import convert_to
from ... import lax
from ... import numpy as jnp
from .common import in_wide, inexact, is_complex, polynomial, real_inexact, strong, with_derivatives


def erf(x):
    """The error function: the integral of 2 / sqrt(pi) exp(-t^2) from 0 to x."""
    return lax.erf(*inexact("erf", x))


def erfc(x):
    """1 - erf(x), also where that is small."""
    return lax.erfc(*inexact("erfc", x))


def erfinv(x):
    """The inverse of erf."""
    return lax.erf_inv(*inexact("erfinv", x))


# ---- the function of Faddeeva --------------------------------------------------------------------------


def wofz(z):
    """Faddeeva's function exp(-z^2) erfc(-i z), complex."""
    (z,) = inexact("wofz", z)
    return _wofz(z if is_complex(z.dtype) else convert_to(z, complex_of(z.dtype)))


@with_derivatives(lambda z, out: -2 * z * out + complex(0, 2 / math.sqrt(math.pi)))
def _wofz(z):
    above = z.imag >= 0
    found = _wofz_above(jnp.where(above, z, -z))
    return jnp.where(above, found, 2 * jnp.exp(-z * z) - found)


_TERMS = 32
_LENGTH = math.sqrt(_TERMS / math.sqrt(2))


@functools.cache
def _weideman():
    """The coefficients of Weideman, "Computation of the complex error function" (1994), highest power first."""
    k = np.arange(-2 * _TERMS + 1, 2 * _TERMS)
    t = _LENGTH * np.tan(k * np.pi / (4 * _TERMS))
    samples = np.concatenate([[0.0], np.exp(-(t**2)) * (_LENGTH**2 + t**2)])
    found = np.fft.fft(np.fft.fftshift(samples)).real / (4 * _TERMS)
    return tuple(found[1 : _TERMS + 1][::-1].tolist())


def _wofz_above(z):
    """wofz where the imaginary part is not negative."""
    iz = 1j * z
    rest = _LENGTH - iz
    p = polynomial(_weideman(), (_LENGTH + iz) / rest)
    return 2 * p / (rest * rest) + 1 / math.sqrt(math.pi) / rest


def erfcx(x):
    """exp(x^2) erfc(x)."""
    (x,) = inexact("erfcx", x)
    return _wofz(1j * x) if is_complex(x.dtype) else _erfcx(strong(x))


@with_derivatives(lambda x, out: 2 * x * out - 2 / math.sqrt(math.pi))
@in_wide
def _erfcx(x):
    is_double = x.dtype == dt.float64
    large = x > math.sqrt(math.log(np.finfo(x.dtype).max))
    near = jnp.where(large, 1, x)
    t = 1 / (x * x)
    series = polynomial(_ASYMPTOTIC[0 if is_double else 4 :], t) / (x * math.sqrt(math.pi))
    return jnp.where(large, series, jnp.exp(near * near) * lax.erfc(near))


# (-1)**k (2 k - 1)!! / 2**k, the last for k = 0
_ASYMPTOTIC = tuple((-1) ** k * math.prod(range(1, 2 * k, 2)) / 2**k for k in range(8, -1, -1))

# ---- Dawson's integral: Cephes' approximations below 3.25, below 6.25 and above -------------------------

_DAWSN = (
    (
        (
            1.13681498971755972054e-11, 8.49262267667473811108e-10, 1.94434204175553054283e-8, 9.53151741254484363489e-7,
            3.07828309874913200438e-6, 3.52513368520288738649e-4, -8.50149846724410912031e-4, 4.22618223005546594270e-2,
            -9.17480371773452345351e-2, 9.99999999999999994612e-1,
        ),
        (
            2.40372073066762605484e-11, 1.48864681368493396752e-9, 5.21265281010541664570e-8, 1.27258478273186970203e-6,
            2.32490249820789513991e-5, 3.25524741826057911661e-4, 3.48805814657162590916e-3, 2.79448531198828973716e-2,
            1.58874241960120565368e-1, 5.74918629489320327824e-1, 1.00000000000000000539,
        ),
    ),
    (
        (
            5.08955156417900903354e-1, -2.44754418142697847934e-1, 9.41512335303534411857e-2, -2.18711255142039025206e-2,
            3.66207612329569181322e-3, -4.23209114460388756528e-4, 3.59641304793896631888e-5, -2.14640351719968974225e-6,
            9.10010780076391431042e-8, -2.40274520828250956942e-9, 3.59233385440928410398e-11,
        ),
        (
            1.0, -6.31839869873368190192e-1, 2.36706788228248691528e-1, -5.31806367003223277662e-2,
            8.48041718586295374409e-3, -9.47996768486665330168e-4, 7.81025592944552338085e-5, -4.55875153252442634831e-6,
            1.89100358111421846170e-7, -4.91324691331920606875e-9, 7.18466403235734541950e-11,
        ),
    ),
    (
        (
            -5.90592860534773254987e-1, 6.29235242724368800674e-1, -1.72858975380388136411e-1, 1.64837047825189632310e-2,
            -4.86827613020462700845e-4,
        ),
        (
            1.0, -2.69820057197544900361, 1.73270799045947845857, -3.93708582281939493482e-1, 3.44278924041233391079e-2,
            -9.73655226040941223894e-4,
        ),
    ),
)  # fmt: skip


def dawsn(x):
    """Dawson's integral: exp(-x^2) times the integral of exp(t^2) from 0 to x."""
    return _dawsn(strong(*real_inexact("dawsn", x)))


@with_derivatives(lambda x, out: 1 - 2 * x * out)
@in_wide
def _dawsn(x):
    size = jnp.abs(x)
    near, middle = size < 3.25, size < 6.25
    (p, q), *outer = _DAWSN
    safe = jnp.where(near, size, 1)
    square = safe * safe
    inside = safe * polynomial(p, square) / polynomial(q, square)
    safe = jnp.where(near, 4, size)
    t = 1 / (safe * safe)
    below, above = (0.5 / safe * (1 + t * polynomial(p, t) / polynomial(q, t)) for p, q in outer)
    return jnp.sign(x) * jnp.where(near, inside, jnp.where(middle, below, above))


__all__ = ["dawsn", "erf", "erfc", "erfcx", "erfinv", "wofz"]
