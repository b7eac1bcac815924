"""jax.scipy.stats against JAX: each function of each distribution, and statistics of samples."""

import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from .agreement import MODES, agree

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
FORWARD = [(name, function) for name, (functions, _, _) in CASES.items() for function in functions.split()]


def is_discrete(name):
    return "pmf" in CASES[name][0]


@pytest.mark.parametrize("name, function", FORWARD)
def test_distribution(name, function):
    _, args, kwargs = CASES[name]
    x = K if is_discrete(name) else X
    modes = MODES if FULL or function in ("logpdf", "logpmf", "cdf") else ("jit",)
    agree(f"scipy.stats.{name}.{function}", x, *args, modes=modes, rtol=2e-5, atol=2e-6)
    if kwargs and (FULL or function in ("logpdf", "logpmf")):
        agree(f"scipy.stats.{name}.{function}", x, *args, modes=("jit",), rtol=2e-5, atol=2e-6, **kwargs)


@pytest.mark.parametrize("name, function", [(name, f) for name, fs in INVERSES.items() for f in fs.split()])
def test_inverse(name, function):
    _, args, kwargs = CASES[name]
    modes = ("jit",) if name.startswith("gumbel") else ("jit", "grad")  # JAX fails to differentiate those
    agree(f"scipy.stats.{name}.{function}", U, *args, rtol=2e-5, atol=2e-6, modes=modes, **kwargs)


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
    modes = ("eager", "jit") if name in ("dirichlet", "multinomial") else ("eager", "jit", "vmap")
    agree(f"scipy.stats.{name}.{function}", *args, modes=modes, rtol=2e-5, atol=2e-6)


COVARIANCE = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 0.5]], np.float32)


@pytest.mark.parametrize("function", ["logpdf", "pdf"])
@pytest.mark.parametrize(
    "shapes",
    [((3,), (3,), (3, 3)), ((4, 3), (3,), (3, 3)), ((4, 3), (4, 3), (2, 1, 3, 3)), ((2,), (), ()), ((3,), (3,), ())],
)
def test_multivariate_normal(function, shapes):
    rng = np.random.default_rng(0)
    x, mean = (rng.normal(size=shape).astype(np.float32) for shape in shapes[:2])
    cov = np.broadcast_to(COVARIANCE, shapes[2]).copy() if shapes[2] else np.float32(1.7)
    agree(f"scipy.stats.multivariate_normal.{function}", x, mean, cov, modes=("jit", "grad"), rtol=2e-5, atol=1e-6)


def test_distributions_take_numbers_and_refuse_lists():
    for args in ((0.5,), (2,), (np.int8(1),), ([1.0],), (0.5, 1, 2)):
        agree("scipy.stats.norm.logpdf", *args)
    agree("scipy.stats.norm.ppf", 0.3)
    agree("scipy.stats.gamma.logpdf", np.float16(0.5), 2)


VALUES = np.array([[3, 1, 2, 1, 3], [2, 2, 1, 1, 5]])


@pytest.mark.parametrize(
    "kwargs", [{}, {"axis": 1}, {"axis": None}, {"axis": -1, "keepdims": True}, {"axis": None, "keepdims": True}]
)
@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_mode(kwargs, dtype):
    agree("scipy.stats.mode", VALUES.astype(dtype), modes=("eager", "jit"), **kwargs)


@pytest.mark.parametrize("method", ["average", "min", "max", "dense", "ordinal"])
def test_rankdata(method):
    x = VALUES.astype(np.float32)
    agree("scipy.stats.rankdata", x, modes=("eager", "jit"), method=method)
    agree("scipy.stats.rankdata", x, modes=("jit",), method=method, axis=0)
    x[0, 1] = np.nan
    agree("scipy.stats.rankdata", x, modes=("jit",), method=method, axis=1)
    agree("scipy.stats.rankdata", VALUES, modes=("jit",), method=method, axis=-1)


@pytest.mark.parametrize("function", ["mode", "rankdata"])
@pytest.mark.parametrize("policy", ["omit", "raise", "other"])
def test_nan_policies(function, policy):
    agree(f"scipy.stats.{function}", X, nan_policy=policy, modes=("eager",))


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"axis": None, "ddof": 0}, {"axis": 1, "keepdims": True}, {"nan_policy": "omit"}, {"nan_policy": "raise"}],
)
def test_sem(kwargs):
    agree("scipy.stats.sem", np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32), modes=("jit",), **kwargs)


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
