"""The gamma function and its relatives: beta, digamma, zeta, binomial coefficients."""

import functools
import math
import operator
from fractions import Fraction

import numpy as np

from ... import lax
from ... import numpy as jnp
from .common import default_float, inexact, is_complex, real_inexact, strong, with_derivatives


def _of_primitive(name, function, doc, parameters):
    """`function` of lax under SciPy's name, with arguments of a common floating dtype."""
    from inspect import Parameter, Signature

    def general(*args, **kwargs):
        arrays = inexact(name, *general.__signature__.bind(*args, **kwargs).args)
        return function(*jnp.broadcast_arrays(*arrays))

    general.__name__ = general.__qualname__ = name
    general.__signature__ = Signature([Parameter(p, Parameter.POSITIONAL_OR_KEYWORD) for p in parameters.split()])
    general.__doc__ = doc
    return general


gammaln = _of_primitive("gammaln", lax.lgamma, "The logarithm of |gamma(x)|.", "x")
digamma = _of_primitive("digamma", lax.digamma, "The derivative of log(gamma(x)).", "x")
gammainc = _of_primitive("gammainc", lax.igamma, "The regularised lower incomplete gamma function.", "a x")
gammaincc = _of_primitive("gammaincc", lax.igammac, "The regularised upper incomplete gamma function.", "a x")


def gammasgn(x):
    """The sign of gamma(x); nan at its poles -1, -2, ..."""
    x = strong(*real_inexact("gammasgn", x))
    whole = jnp.floor(x)
    below = x < 0
    negative = (below & (whole % 2 != 0)) | ((x == 0) & jnp.signbit(x))
    sign = jnp.where(negative, jnp.full_like(x, -1), jnp.full_like(x, 1))
    return jnp.where((below & (x == whole)) | jnp.isnan(x), jnp.full_like(x, math.nan), sign)


def gamma(x):
    """The gamma function, of complex numbers, too."""
    (x,) = inexact("gamma", x)
    if not is_complex(x.dtype):
        return gammasgn(x) * lax.exp(lax.lgamma(x))
    x, defined = _regular(x)
    return jnp.where(defined, jnp.exp(_log_gamma(x)), complex(math.nan, math.nan))


def loggamma(x):
    """log(gamma(x)): nan for negative reals; of complex numbers the branch that is continuous off the negative real axis."""
    (x,) = inexact("loggamma", x)
    if not is_complex(x.dtype):
        return jnp.where(x > 0, lax.lgamma(x), math.nan)
    x, defined = _regular(x)
    steps = jnp.maximum(0, jnp.ceil(0.5 - x.real)).astype(int)

    def add_logarithm(state):  # gamma(x) = gamma(x + n) / (x (x + 1) ... (x + n - 1))
        k, total = state
        taken = k < steps
        return k + 1, total + jnp.where(taken, jnp.log(jnp.where(taken, x + k, 1.0)), 0.0)

    _, total = lax.while_loop(lambda state: jnp.any(state[0] < steps), add_logarithm, (0, jnp.zeros_like(x)))
    return jnp.where(defined, _log_gamma(x + steps) - total, complex(math.nan, math.nan))


def _regular(z):
    """(z with 1 where gamma has a pole or z is nan, where it was defined)"""
    pole = (z.imag == 0) & (z.real == jnp.floor(z.real)) & (z.real <= 0)
    defined = ~(pole | jnp.isnan(z))
    return jnp.where(defined, z, 1.0), defined


# Lanczos' approximation with g = 7 and 9 terms: Godfrey, "A note on the computation of the convergent Lanczos complex
# gamma approximation" (2001)
_LANCZOS = (
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
)  # fmt: skip


def _log_gamma(z):
    """A logarithm of gamma(z) by Lanczos' approximation, left of 1/2 by reflection."""
    left = z.real < 0.5
    y = jnp.where(left, 1.0 - z, z) - 1.0
    series = _LANCZOS[0]
    for k, c in enumerate(_LANCZOS[1:], 1):
        series = series + c / (y + k)
    t = y + 7.5
    found = 0.5 * math.log(2 * math.pi) + (y + 0.5) * jnp.log(t) - t + jnp.log(series)
    sine = jnp.sin(math.pi * jnp.where(left, z, 0.5))
    return jnp.where(left, math.log(math.pi) - jnp.log(sine) - found, found)


# ---- beta ------------------------------------------------------------------------------------------------


def betaln(a, b):
    """log(|beta(a, b)|)."""
    a, b = inexact("betaln", a, b)
    a, b = jnp.minimum(a, b), jnp.maximum(a, b)
    small = lax.lgamma(a) + (lax.lgamma(b) - lax.lgamma(a + b))
    return jnp.where(b < 8, small, lax.lgamma(a) + _log_gamma_ratio(a, b))


# Didonato and Morris, "Significant digit computation of the incomplete beta function ratios" (1992)
_STIRLING = (
    -0.165322962780713e-2, 0.837308034031215e-3, -0.59520293135187e-3, 0.79365066682539e-3, -0.277777777760991e-2, 0.833333333333333e-1,
)  # fmt: skip


def _log_gamma_ratio(a, b):
    """log(gamma(b) / gamma(a + b)) for b >= 8."""
    h = a / b
    x = h / (1 + h)
    square = x * x
    sums = [1.0, 1.0 + (x + square)]  # of (1 - x**n) / (1 - x), n = 1, 3, 5 ...
    for _ in range(4):
        sums.append(1.0 + (x + square * sums[-1]))
    t = (1.0 / b) ** 2
    total = _STIRLING[0] * sums[5]
    for c, s in zip(_STIRLING[1:], reversed(sums[:5])):
        total = total * t + c * s
    # the term with all powers, and Stirling's main term, the smaller part first
    total = total * (x / b)
    u = (b + (a - 0.5)) * jnp.log1p(h)
    v = a * (jnp.log(b) - 1.0)
    return jnp.where(u <= v, total - v - u, total - u - v)


def beta(a, b):
    """gamma(a) gamma(b) / gamma(a + b)."""
    a, b = real_inexact("beta", a, b)
    return gammasgn(a) * gammasgn(b) * gammasgn(a + b) * lax.exp(betaln(a, b))


def betainc(a, b, x):
    """The regularised incomplete beta function; it has a derivative with respect to x only."""
    return lax.betainc(*jnp.broadcast_arrays(*real_inexact("betainc", a, b, x)))


# ---- factorials ------------------------------------------------------------------------------------------


def factorial(n, exact=False):
    """n!, as a float; 0 for negative n."""
    if exact:
        raise NotImplementedError("factorial with exact=True")
    (n,) = inexact("factorial", n)
    return jnp.where(n < 0, 0, lax.exp(lax.lgamma(n + 1)))


def comb(N, k, *, repetition=False):
    """The number of ways to choose k of N things, 0 where there is none; repetition: things may be chosen again."""
    N, k = inexact("comb", N, k)
    if repetition:
        return jnp.where((k == 0) & (N >= 0), 1.0, comb(N + k - 1, k))
    possible = (k <= N) & (N >= 0) & (k >= 0)
    N, k = jnp.where(possible, N, 0.0), jnp.where(possible, k, 0.0)
    found = lax.exp(lax.lgamma(N + 1) - lax.lgamma(k + 1) - lax.lgamma(N + 1 - k))
    return jnp.where(possible, found, 0.0)


def poch(z, m):
    """Pochhammer's symbol gamma(z + m) / gamma(z)."""
    return _poch(*real_inexact("poch", z, m))


@with_derivatives(
    lambda z, m, out: (digamma(z + m) - digamma(z)) * out,
    lambda z, m, out: digamma(z + m) * out,
)
def _poch(z, m):
    return jnp.where(m == 0, jnp.ones((), z.dtype), gamma(z + m) / gamma(z))


def multigammaln(a, d):
    """The logarithm of the multivariate gamma function of dimension d, an int."""
    d = int(d)
    (a,) = inexact("multigammaln", a)
    halves = jnp.arange(d, dtype=a.dtype) / 2
    return jnp.sum(gammaln(jnp.expand_dims(a, -1) - halves), axis=-1) + 0.25 * d * (d - 1) * math.log(math.pi)


# ---- zeta, polygamma, Bernoulli's numbers -------------------------------------------------------------------


def polygamma(n, x):
    """The n-th derivative of digamma, for integers n."""
    n = jnp.asarray(n)
    if n.dtype.kind not in "iu":
        raise ValueError(f"Argument `n` to polygamma must be of integer type. Got dtype {n.dtype}.")
    return lax.polygamma(*jnp.broadcast_arrays(*real_inexact("polygamma", n, x)))


def zeta(x, q=None):
    """Hurwitz's zeta function: the sum of (q + i)**-x over i = 0, 1, ..."""
    if q is None:
        raise NotImplementedError("zeta: Riemann's zeta function is not implemented; pass q for Hurwitz's.")
    return _zeta(*jnp.broadcast_arrays(*inexact("zeta", x, q)))


def _zeta_slope(x, q, out):
    """The derivative with respect to x, by Euler and Maclaurin's formula."""
    from ...derivatives import jvp

    return jvp(lambda s: _zeta_series(s, q), (x,), (jnp.ones_like(x),))[1]


@with_derivatives(_zeta_slope, lambda x, q, out: -x * _zeta(x + 1, q))
def _zeta(x, q):
    return lax.zeta(x, q)


def _zeta_series(s, a):
    terms = 8 if a.dtype == np.float32 else 16
    total = sum((a + k) ** -s for k in range(terms))
    end = a + terms
    total = total + end ** (1 - s) / (s - 1)
    correction, factor = 0.5, s / end
    for j, c in enumerate(_bernoulli_factors(terms)):  # times s (s + 1) ... (s + 2j) / end**(2j + 1)
        correction = correction + factor * c
        factor = factor * ((s + (2 * j + 1)) / end) * ((s + (2 * j + 2)) / end)
    return total + end**-s * correction


@functools.cache
def _bernoulli_factors(count):
    """B_2 / 2!, B_4 / 4!, ..: coefficients of x / (exp(x) - 1), each from those before it."""
    found = [Fraction(1)]
    for n in range(1, 2 * count + 1):
        found.append(-sum(c / math.factorial(n - j + 1) for j, c in enumerate(found)))
    return [float(c) for c in found[2::2]]


def bernoulli(n):
    """Bernoulli's numbers B_0 .. B_n."""
    n = operator.index(n)
    if n < 0:
        raise ValueError("n must be a non-negative integer.")
    first = np.array([1, -1 / 2, 1 / 6])
    m = np.arange(4, n + 1, 2, dtype=default_float())
    with np.errstate(all="ignore"):  # large ones are inf
        scale = np.cumprod(-(m - 1) * m / 4 / np.pi**2) / np.pi**2
        k = np.arange(2, 50, dtype=m.dtype)
        rest = np.sum(k[:, None] ** -m, axis=0)
    found = np.zeros(n + 1, m.dtype)
    found[:3] = first[: n + 1]
    found[4::2] = scale * (1 + rest)
    return jnp.asarray(found)


__all__ = [
    "bernoulli", "beta", "betainc", "betaln", "comb", "digamma", "factorial", "gamma", "gammainc", "gammaincc", "gammaln",
    "gammasgn", "loggamma", "multigammaln", "poch", "polygamma", "zeta",
]  # fmt: skip
