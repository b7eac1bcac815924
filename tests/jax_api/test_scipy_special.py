"""jax.scipy.special against JAX: values, derivatives, dtypes, and what is refused."""

import numpy as np
import pytest
from conftest import FULL

from .agreement import agree
from .together import agree_together

RNG = np.random.default_rng(2)
X = np.array([-3.7, -1.2, -0.4, 0.3, 0.9, 1.6, 4.2, 9.5], np.float32)
P = np.array([0.05, 0.3, 0.5, 0.8, 0.97], np.float32)
POSITIVE = np.array([0.2, 0.9, 1.5, 3.3, 8.0, 21.0], np.float32)
OTHER = np.array([1.1, 0.4, 2.5, 2.2, 6.0, 30.0], np.float32)
EDGES = np.array([0, -0.0, 1, -1, 2, -2, 3.5, 100, -100, 1e-8, np.inf, -np.inf, np.nan], np.float32)
I = np.array([-2, 0, 1, 3, 7])  # noqa: E741
Z = (RNG.normal(size=5) * 2 + 1j * RNG.normal(size=5) * 2).astype(np.complex64)
M = RNG.normal(size=(3, 4)).astype(np.float32)

ONE = {  # functions of one array -> where they are differentiated
    "bessel_i": (("i0", "i0e", "i1", "i1e"), X), "errors": (("erf", "erfc", "dawsn", "erfcx", "ndtr", "log_ndtr"), X),
    "inverses": (("erfinv", "ndtri", "logit", "entr"), P), "gammas": (("gammaln", "digamma", "gamma", "loggamma", "factorial"), POSITIVE),
    "reflected": (("gammaln", "digamma", "gamma", "gammasgn"), X), "integrals": (("expi", "exp1", "spence"), POSITIVE), "expi": (("expi", "expit"), X),
    "fresnel": (("fresnel", "sici"), X),
}  # fmt: skip
SLOW = ("integrals", "expi", "fresnel", "bessel_i")  # JAX takes seconds to compile their derivatives


@pytest.mark.parametrize("group", ONE if FULL else ["errors", "gammas", "reflected"])
def test_functions_of_one_array(group):
    names, x = ONE[group]
    agree_together(
        [(f"scipy.special.{name}", (x,), {}) for name in names], grad=FULL or group not in SLOW, rtol=5e-5, atol=1e-6
    )
    # on integers, at poles and infinities, of 16 bits
    wide = [n for n in names if n not in ("ndtr", "log_ndtr", "ndtri", "spence")]
    if not FULL:
        wide = wide[:2]
    cases = [(f"scipy.special.{name}", (v,), {}) for name in wide for v in (I, EDGES)]
    agree_together(cases, grad=False, rtol=5e-5, atol=1e-6)
    # in float16 JAX's coefficients of the integrals are infinite
    cases = [
        (f"scipy.special.{name}", (x.astype(np.float16),), {})
        for name in wide
        if group in ("bessel_i", "errors", "inverses", "gammas")
    ]
    agree_together(cases, grad=False, rtol=1e-2, atol=2e-3)


def test_edges_of_strict_functions():
    cases = [(f"scipy.special.{name}", (EDGES,), {}) for name in ("ndtr", "log_ndtr", "spence", "ndtri")]
    agree_together(cases, grad=False, rtol=5e-5, atol=1e-6)
    agree_together([("scipy.special.log_ndtr", (X * 6,), {"series_order": n}) for n in (1, 5)], rtol=1e-4, atol=1e-6)


TWO = [
    ("xlogy", (OTHER, POSITIVE), {}), ("xlog1py", (OTHER, POSITIVE), {}), ("rel_entr", (OTHER, POSITIVE), {}), ("kl_div", (OTHER, POSITIVE), {}),
    ("boxcox", (POSITIVE, np.array([0, 0.5, -1, 2, 0.1, 0], np.float32)), {}), ("boxcox1p", (POSITIVE, np.array([0, 0.5, -1, 2, 0.1, 0], np.float32)), {}),
    ("betaln", (OTHER, POSITIVE), {}), ("beta", (OTHER, POSITIVE), {}), ("poch", (OTHER, POSITIVE / 4), {}), ("comb", (POSITIVE, OTHER), {}),
    ("owens_t", (X[:6], OTHER), {}), ("multigammaln", (POSITIVE + 3, 4), {}), ("multigammaln", (POSITIVE, 1.0), {}),
    ("logsumexp", (M,), {}), ("logsumexp", (M,), {"axis": 0}), ("logsumexp", (M,), {"axis": (0, 1), "keepdims": True}), ("logsumexp", (M, None, M[:1]), {}),
    ("logsumexp", (M, 1, M), {"return_sign": True}), ("logsumexp", (M,), {"where": M > -0.5, "axis": 1}), ("softmax", (M,), {"axis": 1}), ("softmax", (M,), {}),
    ("log_softmax", (M,), {"axis": 0}), ("log_softmax", (M,), {}),
]  # fmt: skip
OTHERS = [
    ("gammainc", (OTHER, POSITIVE), {}), ("gammaincc", (OTHER, POSITIVE), {}), ("betainc", (OTHER, POSITIVE, np.linspace(0.1, 0.9, 6, dtype=np.float32)), {}),
    ("polygamma", (1, POSITIVE), {}), ("polygamma", (np.array([0, 1, 2, 3, 4, 5]), POSITIVE), {}), ("zeta", (OTHER + 1, POSITIVE), {}), ("zeta", (2.0, POSITIVE), {}),
    ("comb", (np.array([5, 5, 3, -1]), np.array([2, 0, 4, 1])), {}), ("comb", (np.array([5, 5, 3]), np.array([2, 0, 4])), {"repetition": True}), ("factorial", (I,), {}),
    ("betaln", (I, 2), {}), ("xlogy", (EDGES, EDGES), {}), ("xlog1py", (EDGES, EDGES), {}), ("entr", (EDGES,), {}), ("rel_entr", (EDGES, EDGES[::-1].copy()), {}),
    ("kl_div", (EDGES, EDGES[::-1].copy()), {}), ("xlogy", (0, 0), {}), ("xlogy", (Z, 2.0), {}), ("boxcox", (2, 3), {}), ("poch", (EDGES, 2), {}), ("poch", (X, 0), {}),
    ("expn", (np.array([0, 1, 2, 3, 50, 60]), POSITIVE), {}), ("expn", (2, EDGES[2:]), {}), ("bessel_jn", (POSITIVE / 3,), {"v": 3}), ("bessel_jn", (M + 3,), {"v": 2, "n_iter": 30}),
    ("logsumexp", (I,), {}), ("logsumexp", (Z,), {}), ("logsumexp", (Z, None, Z), {"return_sign": True}), ("logsumexp", (EDGES[[0, 10]],), {}), ("logsumexp", (EDGES[[0, 11]],), {}),
    ("logsumexp", (EDGES[[11, 11]],), {}), ("logsumexp", (X, None, -1.0), {}), ("logsumexp", (X[:0],), {}), ("gamma", (Z,), {}), ("loggamma", (Z,), {}), ("wofz", (Z,), {}),
    ("wofz", (X,), {}), ("erfcx", (Z,), {}), ("expit", (Z,), {}), ("logit", (Z,), {}), ("expi", (np.array([-np.inf, 0, np.inf], np.float32),), {}), ("gammaln", (3,), {}), ("erf", (0.5,), {}), ("erf", (True,), {}),
    ("bernoulli", (0,), {}), ("bernoulli", (1,), {}), ("bernoulli", (12,), {}), ("multigammaln", (np.float32(3), 2), {}), ("owens_t", (EDGES, 1.5), {}), ("owens_t", (0.5, EDGES), {}),
    ("log_softmax", (M.astype(np.float16),), {"axis": 1}), ("spence", (P,), {}), ("zeta", (EDGES[:-3], 2.0), {}), ("digamma", (-3,), {}), ("entr", (I,), {}),
]  # fmt: skip


def test_functions_of_several_arrays():
    cases = [(f"scipy.special.{name}", args, kwargs) for name, args, kwargs in TWO]
    agree_together(cases, grad=FULL, rtol=1e-4, atol=2e-6)


def test_values_only():
    slow = () if FULL else ("expn", "bessel_jn", "gammainc", "gammaincc", "betainc", "poch", "owens_t")
    cases = [
        (f"scipy.special.{name}", args, kwargs)
        for name, args, kwargs in (OTHERS if FULL else OTHERS[::2])
        if name not in slow
    ]
    agree_together(cases, grad=False, rtol=1e-4, atol=2e-6)


A, B, C = (
    np.array(v, np.float32) for v in ([0.5, 1.5, -2, 3, 0.3], [1.2, 2.5, 1.5, -1, 0.7], [2.3, 1.1, 3.5, 2.2, 1.4])
)
T = np.array([-3.0, -0.5, 0.2, 0.7, 0.95], np.float32)


@pytest.mark.skipif(not FULL, reason="JAX compiles them for seconds")
def test_hypergeometric_functions():
    cases = [
        ("scipy.special.hyp1f1", (A, C, T), {}),
        ("scipy.special.hyp1f1", (1, 2, 0.5), {}),
        ("scipy.special.hyp1f1", (A, C, abs(T) * 30), {}),
    ]
    agree_together(cases, grad=FULL, rtol=2e-4, atol=1e-5)
    # at -90 the derivatives of both are what rounding left of a series
    agree_together([("scipy.special.hyp1f1", (A, C, T * 30), {})], grad=False, rtol=2e-4, atol=1e-5)
    cases = [
        ("scipy.special.hyp2f1", (A, B, C, T), {}),
        ("scipy.special.hyp2f1", (1, 2, 3, 0.5), {}),
        ("scipy.special.hyp2f1", (-2.0, B, C, T), {}),  # of -2 JAX fails to give gradients
    ]
    agree_together(cases, grad=FULL, rtol=5e-4, atol=1e-5)


def test_spherical_harmonics():
    n, m = np.array([0, 1, 2, 3, 3]), np.array([0, -1, 2, -2, 0])
    theta, phi = RNG.uniform(0.1, 3, (2, 5)).astype(np.float32)
    program = lambda jax, theta, phi: jax.scipy.special.sph_harm_y(n, m, theta, phi, n_max=4)
    if FULL:
        agree_together([(program, (theta, phi), {})], rtol=1e-4, atol=1e-6)
    agree("scipy.special.sph_harm_y", n, m, theta, phi, modes=("eager",), rtol=1e-4, atol=1e-6)
    agree("scipy.special.sph_harm_y", n, m, theta, phi, diff_n=1, modes=("eager",))


@pytest.mark.skipif(not FULL, reason="JAX compiles for seconds")
def test_derivatives_that_are_given():
    """Of the incomplete functions in all arguments, as JAX has them; zeta's with respect to its exponent, expn's."""
    cases = [("scipy.special.zeta", (OTHER + 1.5, POSITIVE), {}), ("scipy.special.gammainc", (OTHER, POSITIVE), {}), ("scipy.special.gammaincc", (OTHER, POSITIVE), {}),
             (lambda jax, x: jax.scipy.special.polygamma(2, x), (POSITIVE,), {}), (lambda jax, x: jax.scipy.special.expn(3, x), (POSITIVE,), {})]  # fmt: skip
    agree_together(cases if FULL else cases[1:4], rtol=3e-4, atol=1e-5)
    for name, args in (("betainc", (2.0, 3.0, P)), ("betainc", (P, 3.0, 0.5)), ("betainc", (2.0, P, 0.5))):
        agree(f"scipy.special.{name}", *args, modes=("grad",), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name, args, kwargs",
    [
        ("ndtr", (I,), {}), ("ndtr", (P.astype(np.float16),), {}), ("ndtri", (I,), {}), ("log_ndtr", (I,), {}), ("log_ndtr", (P,), {"series_order": 31}),
        ("log_ndtr", (P,), {"series_order": -1}), ("log_ndtr", (P,), {"series_order": 1.5}), ("spence", (I,), {}), ("entr", (Z,), {}), ("rel_entr", (Z, Z), {}), ("kl_div", (Z, Z), {}),
        ("erf", (Z,), {}), ("erfinv", (Z,), {}), ("gammasgn", (Z,), {}), ("digamma", (Z,), {}), ("betainc", (Z, 1.0, 0.5), {}), ("poch", (Z, 1), {}), ("dawsn", (Z,), {}),
        ("polygamma", (1.5, P), {}), ("polygamma", (np.array([1.0]), P), {}), ("zeta", (2.0,), {}), ("multigammaln", (P, "2x"), {}),
        ("bernoulli", (-1,), {}), ("bernoulli", (1.5,), {}), ("bessel_jn", (P,), {"v": 1.5}), ("expn", (1.5, P), {}), ("expn", (-1, P), {}), ("logsumexp", (M,), {"axis": 2}),
        ("gammaln", ([1.0],), {}), ("logit", ("text",), {}), ("sici", (Z,), {}), ("fresnel", (Z,), {}), ("xlogy", (P, X), {}), ("logsumexp", ([1.0],), {}), ("softmax", (M,), {"axis": 3}),
        ("bessel_jn", (P,), {"v": 2, "n_iter": 1.5}), ("i0", (Z,), {}), ("comb", (Z, 1), {}), ("owens_t", (Z, 1.0), {}), ("hyp1f1", (1, 2, Z), {}),
    ],
)  # fmt: skip
def test_bad_input(name, args, kwargs):
    agree(f"scipy.special.{name}", *args, modes=("eager",), rtol=1e-4, atol=1e-5, **kwargs)
