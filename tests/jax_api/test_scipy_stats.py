"""jax.scipy.stats against JAX: each function of each distribution, and statistics of samples."""

import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from .agreement import agree
from .together import agree_together

X = np.array([-1.7, -0.4, 0.05, 0.3, 0.8, 1.9], np.float32)
U = np.array([0.02, 0.3, 0.5, 0.77, 0.98], np.float32)
K = np.array([-1, 0, 1, 2, 5], np.int32)
POSITIVE = np.array([0.5, 1.0, 2.5, 4.0], np.float32)[:, None]
LOC_SCALE = {"loc": np.float32(0.2), "scale": np.float32(1.5)}

# distribution -> (functions of x, further arguments, keywords at values other than the default)
CASES = {
    "norm": ("logpdf pdf cdf logcdf sf logsf", (), LOC_SCALE),
    "uniform": ("logpdf pdf cdf", (), LOC_SCALE),
    "beta": ("logpdf pdf cdf logcdf sf logsf", (1.5, 2.5), LOC_SCALE),
    "gamma": ("logpdf pdf cdf logcdf sf logsf", (2.5,), LOC_SCALE),
    "chi2": ("logpdf pdf cdf logcdf sf logsf", (3.0,), LOC_SCALE),
    "expon": ("logpdf pdf cdf logcdf sf logsf", (), LOC_SCALE),
    "laplace": ("logpdf pdf cdf", (), LOC_SCALE),
    "logistic": ("logpdf pdf cdf sf", (), LOC_SCALE),
    "t": ("logpdf pdf", (3.5,), LOC_SCALE),
    "cauchy": ("logpdf pdf cdf logcdf sf logsf", (), LOC_SCALE),
    "pareto": ("logpdf pdf cdf logcdf sf logsf", (2.5,), {"loc": np.float32(-1), "scale": np.float32(0.5)}),
    "gennorm": ("logpdf pdf cdf", (1.5,), {}),
    "vonmises": ("logpdf pdf", (2.0,), {}),
    "wrapcauchy": ("logpdf pdf", (0.4,), {}),
    "gumbel_l": ("logpdf pdf cdf logcdf sf logsf", (), LOC_SCALE),
    "gumbel_r": ("logpdf pdf cdf logcdf sf logsf", (), LOC_SCALE),
    "truncnorm": ("logpdf pdf cdf logcdf sf logsf", (-1.0, 1.5), LOC_SCALE),
    "bernoulli": ("logpmf pmf", (0.3,), {"loc": 1}),
    "binom": ("logpmf pmf", (5, 0.3), {"loc": 1}),
    "betabinom": ("logpmf pmf", (5, 1.5, 2.5), {"loc": 1}),
    "nbinom": ("logpmf pmf", (3, 0.3), {"loc": 1}),
    "geom": ("logpmf pmf", (0.3,), {"loc": 1}),
    "poisson": ("logpmf pmf cdf", (2.5,), {"loc": 1}),
}
# those of probabilities
INVERSES = {
    "norm": "ppf isf", "uniform": "ppf", "expon": "ppf", "logistic": "ppf isf", "cauchy": "ppf isf", "pareto": "ppf",
    "gumbel_l": "ppf", "gumbel_r": "ppf",
}  # fmt: skip
# what JAX takes seconds to compile: fewer of them by default
SLOW = {"beta": "logpdf cdf", "gamma": "logpdf cdf sf", "chi2": "logpdf sf", "truncnorm": "cdf", "gennorm": "logpdf"}


@pytest.mark.parametrize("name", CASES)
def test_distribution(name):
    functions, args, kwargs = CASES[name]
    args = [np.asarray(a, np.float32) for a in args]
    x = K if "pmf" in functions else X
    functions, options = functions.split(), ({}, kwargs)
    if name in SLOW and not FULL:
        functions, options = SLOW[name].split(), (kwargs,)
    calls = [(f"scipy.stats.{name}.{f}", (x.copy(), *args), k) for f in functions for k in options]
    inverses = [(f"scipy.stats.{name}.{f}", (U.copy(), *args), kwargs) for f in INVERSES.get(name, "").split()]
    if name.startswith("gumbel"):  # JAX's ppf has no derivative: it multiplies the tangent of an integer
        agree_together(inverses, rtol=3e-5, atol=3e-6, grad=False)
        inverses = []
    agree_together(calls + inverses, rtol=3e-5, atol=3e-6)


@pytest.mark.parametrize(
    "name, function, args",
    [
        ("bernoulli", "cdf", (np.array([-0.5, 0, 0.5, 1, 2], np.float32), 0.3)),
        ("bernoulli", "ppf", (U, 0.4)),
        ("poisson", "entropy", (np.array([0, 0.5, 5, 20, 90, 150], np.float32),)),
        ("multinomial", "logpmf", (np.array([1, 2, 3]), 6, np.array([0.2, 0.3, 0.5], np.float32))),
        ("multinomial", "pmf", (np.array([1, 2, 2]), 6, np.array([0.2, 0.3, 0.5], np.float32))),
        ("dirichlet", "logpdf", (np.array([0.2, 0.3, 0.5], np.float32), np.array([1.5, 2, 3], np.float32))),
        ("dirichlet", "pdf", (np.array([[0.2, 0.3], [0.1, 0.6]], np.float32), np.array([1.5, 2, 3], np.float32))),
    ],
)
def test_other_functions(name, function, args):
    agree_together([(f"scipy.stats.{name}.{function}", args, {})], rtol=2e-5, atol=2e-6, grad=False)


COVARIANCE = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 0.5]], np.float32)


def test_multivariate_normal():
    rng, calls = np.random.default_rng(0), []
    for *shapes, spread in (
        ((3,), (3,), (3, 3)), ((4, 3), (3,), (3, 3)), ((4, 3), (4, 3), (2, 1, 3, 3)), ((2,), (), ()), ((3,), (3,), ()),
    ):  # fmt: skip
        x, mean = (np.asarray(rng.normal(size=shape), np.float32) for shape in shapes)
        cov = np.broadcast_to(COVARIANCE, spread).copy() if spread else np.asarray(1.7, np.float32)
        calls += [(f"scipy.stats.multivariate_normal.{f}", (x, mean, cov), {}) for f in ("logpdf", "pdf")]
    agree_together(calls, rtol=3e-5, atol=1e-6)


def test_distributions_take_numbers_and_refuse_lists():
    for args in ((0.5,), (2,), (np.int8(1),), ([1.0],), (0.5, 1, 2)):
        agree("scipy.stats.norm.logpdf", *args)
    agree("scipy.stats.norm.ppf", 0.3)
    agree("scipy.stats.gamma.logpdf", np.float16(0.5), 2)


VALUES = np.array([[3, 1, 2, 1, 3], [2, 2, 1, 1, 5]])


def test_mode():
    options = ({}, {"axis": 1}, {"axis": None}, {"axis": -1, "keepdims": True}, {"axis": None, "keepdims": True})
    calls = [("scipy.stats.mode", (VALUES.astype(t),), k) for k in options for t in ("int32", "float32")]
    agree_together(calls, grad=False)


def test_rankdata():
    x = VALUES.astype(np.float32)
    with_nan = np.where(VALUES == 5, np.nan, x).astype(np.float32)
    calls = []
    for method in ("average", "min", "max", "dense", "ordinal"):
        for data, axis in ((x, None), (x, 0), (with_nan, 1), (VALUES, -1)):
            calls.append(("scipy.stats.rankdata", (data,), {"method": method, "axis": axis}))
    agree_together(calls, grad=False)


@pytest.mark.parametrize("function", ["mode", "rankdata"])
@pytest.mark.parametrize("policy", ["omit", "raise", "other"])
def test_nan_policies(function, policy):
    agree(f"scipy.stats.{function}", X, nan_policy=policy, modes=("eager",))


def test_sem():
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    options = ({}, {"axis": None, "ddof": 0}, {"axis": 1, "keepdims": True}, {"nan_policy": "omit"})
    agree_together([("scipy.stats.sem", (x.copy(),), k) for k in options])
    agree("scipy.stats.sem", x, nan_policy="raise", modes=("eager",))


# ---- densities from samples --------------------------------------------------------------------------------

SAMPLE = np.random.default_rng(1).normal(size=(2, 12)).astype(np.float32)
POINTS = np.random.default_rng(2).normal(size=(2, 5)).astype(np.float32)


def _kde(root, sample, **options):
    return root.scipy.stats.gaussian_kde(sample, **options)


@pytest.mark.parametrize(
    "options",
    [{}, {"bw_method": "silverman"}, {"bw_method": 0.7}, {"weights": np.linspace(1, 2, 12, dtype=np.float32)}],
)
def test_gaussian_kde(options):
    import jax

    ours, theirs = (_kde(root, SAMPLE, **options) for root in (pj, jax))
    other, other_theirs = (_kde(root, SAMPLE[:, :7]) for root in (pj, jax))
    for call in (
        lambda kde, other: kde(POINTS),
        lambda kde, other: kde.logpdf(POINTS),
        lambda kde, other: kde.integrate_gaussian(np.ones(2, np.float32), np.eye(2, dtype=np.float32)),
        lambda kde, other: kde.integrate_kde(other),
        lambda kde, other: kde.neff,
    ):
        np.testing.assert_allclose(call(ours, other), call(theirs, other_theirs), rtol=1e-4, atol=1e-6)


def test_gaussian_kde_is_a_pytree_and_does_not_change():
    kde = _kde(pj, SAMPLE[0])
    assert len(pj.tree_util.tree_leaves(kde)) == 5
    np.testing.assert_allclose(pj.jit(lambda k, x: k(x))(kde, POINTS[0]), kde(POINTS[0]), rtol=1e-5)
    with pytest.raises(AttributeError):
        kde.weights = 1
    import jax

    theirs = _kde(jax, SAMPLE[0])
    np.testing.assert_allclose(kde.integrate_box_1d(-1.0, 0.5), theirs.integrate_box_1d(-1.0, 0.5), rtol=1e-5)
    for call in (lambda k: k.integrate_box(0, 1), lambda k: k.set_bandwidth(), lambda k: _kde(pj, SAMPLE[0, :1])):
        with pytest.raises((NotImplementedError, ValueError)):
            call(kde)
    with pytest.raises(ValueError, match="dimension"):
        kde(POINTS.T)


def test_gaussian_kde_draws_what_jax_draws():
    import jax

    ours, theirs = (_kde(root, SAMPLE).resample(root.random.key(3), (6,)) for root in (pj, jax))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
