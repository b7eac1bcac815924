"""jax.random: the same keys give the numbers that JAX gives, eagerly, under jit and over many keys; typed keys as values."""

import copy
import pickle

import jax
import numpy as np
import pytest
from conftest import FULL

import pequegrad as pg
import pequegrad.jax_api as pj
import pequegrad.jax_api.numpy as jnp
from pequegrad.transforms.control_flow import cond, scan, while_loop

SHAPE = (13, 7)
rng = np.random.default_rng(0)
A = np.exp(rng.uniform(-2, 3, SHAPE)).astype("f4")
P = rng.uniform(0.05, 0.95, SHAPE).astype("f4")
LOGITS = rng.normal(size=(5, 13)).astype("f4")
COV = np.array([[2, 0.5, 0.1], [0.5, 1, 0.2], [0.1, 0.2, 0.7]], "f4")
ZEROS = np.zeros(3, "f4")

# name, positional arguments behind the key, keyword arguments, tolerance in units in the last place (0: the same bits).
# Of a number y it is that of max(|y|, 1/3). More than 4 where the formula amplifies the last digits of log, exp or erf,
# which differ from XLA's: exp of large numbers, erf_inv near 1, or differences of nearly equal numbers.
CASES = [
    ("bits", (SHAPE,), {}, 0),
    ("bits", (SHAPE, "uint8"), {}, 0),
    ("bits", ((3, 0), "uint16"), {}, 0),
    ("uniform", (SHAPE,), {}, 0),
    ("uniform", (), {}, 0),
    ("uniform", (SHAPE, "float16", -1.1), {"maxval": 2.3}, 0),
    ("uniform", (SHAPE, "bfloat16", -1.1, 2.3), {}, 0),
    ("uniform", (SHAPE, None, -1.1, np.float32(2.3)), {}, 0),
    ("uniform", (SHAPE, None, -A, A), {}, 0),
    ("normal", (SHAPE,), {}, 4),
    ("normal", (5, "float16"), {}, 4),
    ("normal", (SHAPE, "bfloat16"), {}, 4),
    ("normal", (SHAPE, "complex64"), {}, 4),
    ("lognormal", (A / 9,), {}, 8),
    ("lognormal", (0.5, SHAPE, "float16"), {}, 4),
    ("truncated_normal", (-2, 2, SHAPE), {}, 6),
    ("truncated_normal", (-A, A), {}, 40),
    ("truncated_normal", (1.0, 5.0, SHAPE, "float32"), {}, 200),
    ("gumbel", (SHAPE,), {}, 6),
    ("gumbel", (SHAPE, "float16"), {}, 6),
    ("gumbel", (SHAPE,), {"mode": "high"}, 8),
    ("gumbel", (SHAPE,), {"mode": "highest"}, 8),
    ("exponential", (SHAPE,), {}, 4),
    ("exponential", (SHAPE, "bfloat16"), {}, 4),
    ("cauchy", (SHAPE,), {}, 4),
    ("laplace", (SHAPE,), {}, 4),
    ("logistic", (SHAPE,), {}, 6),
    ("pareto", (A,), {}, 40),
    ("weibull_min", (2.0, A, SHAPE), {}, 40),
    ("rayleigh", (A,), {}, 4),
    ("rayleigh", (np.float32(0.5), SHAPE, "float32"), {}, 4),
    ("triangular", (-A, 0.0, A), {}, 4),
    ("wald", (A,), {}, 4000),
    ("randint", (SHAPE, 0, 10), {}, 0),
    ("randint", (SHAPE, -5, np.arange(7)), {}, 0),
    ("randint", (SHAPE, 0, 256, "uint8"), {}, 0),
    ("randint", (SHAPE, -3, 300), {"dtype": "int8"}, 0),
    ("randint", (SHAPE, 5, 2), {}, 0),
    ("randint", (SHAPE, -(2**31), 2**31 - 1), {}, 0),
    ("randint", (SHAPE, np.uint32(0), np.uint32(2**32 - 1), "uint32"), {}, 0),
    ("randint", (SHAPE, 0.0, 9.5), {}, 0),
    ("bernoulli", (), {}, 0),
    ("bernoulli", (0.3, SHAPE), {}, 0),
    ("bernoulli", (P,), {"mode": "high"}, 0),
    ("rademacher", (SHAPE, "float32"), {}, 0),
    ("rademacher", (SHAPE,), {}, 0),
    ("geometric", (P,), {}, 0),
    ("geometric", (0.2, SHAPE, "int16"), {}, 0),
    ("permutation", (10,), {}, 0),
    ("permutation", (1,), {}, 0),
    ("permutation", (A,), {}, 0),
    ("permutation", (A, -1), {}, 0),
    ("permutation", (A, 1), {"independent": True}, 0),
    ("permutation", (np.arange(2000),), {}, 0),
    ("choice", (10, SHAPE), {}, 0),
    ("choice", (10, (5,), False), {}, 0),
    ("choice", (A, (3, 2)), {"axis": 1}, 0),
    ("choice", (A, (3, 2)), {"axis": 1, "replace": False}, 0),
    ("choice", (7, SHAPE, True, P[0]), {}, 0),
    ("choice", (A, (2, 3)), {"p": P[0], "axis": -1, "replace": False}, 0),
    ("choice", (7, (3,)), {"p": P[0], "replace": False, "mode": "high"}, 0),
    ("choice", (7, (0, 3)), {}, 0),
    ("categorical", (LOGITS,), {}, 0),
    ("categorical", (LOGITS, 0), {}, 0),
    ("categorical", (LOGITS,), {"axis": 1, "shape": (4, 5)}, 0),
    ("categorical", (LOGITS,), {"shape": (4, 5), "replace": False}, 0),
    ("categorical", (LOGITS,), {"mode": "high"}, 0),
    ("multivariate_normal", (ZEROS, COV), {}, 8),
    ("multivariate_normal", (ZEROS + 2, COV, (6,), "float32"), {}, 8),
    ("multivariate_normal", (ZEROS, COV, (6,)), {"method": "eigh"}, 8),
    ("multivariate_normal", (ZEROS, COV, (6,)), {"method": "svd"}, 16),
    ("orthogonal", (4, (2,)), {}, 16),
    ("orthogonal", (4,), {"m": 2}, 16),
    ("orthogonal", (2, (3,)), {"m": 4}, 16),
    ("orthogonal", (3,), {"dtype": "complex64"}, 16),
    ("maxwell", (SHAPE,), {}, 4),
    ("double_sided_maxwell", (A[0], 2.0, (3,)), {}, 8),
    ("double_sided_maxwell", (1.0, 2.0), {}, 8),
    ("split", (), {}, 0),
    ("split", (5,), {}, 0),
    ("split", ((2, 3),), {}, 0),
    ("fold_in", (7,), {}, 0),
    ("fold_in", (2**32 - 1,), {}, 0),
    ("key_data", (), {}, 0),
    ("clone", (), {}, 0),
]
# those with loops, which both libraries compile
LOOPS = [("loggamma", (A,), {}, 40), ("poisson", (A * 3,), {}, 0)]
MORE_LOOPS = [
    ("gamma", (A,), {}, 6),
    ("beta", (A, A[::-1].copy()), {}, 60),
    ("dirichlet", (A,), {}, 16),
    ("binomial", (50.0, P), {}, 0),
    ("gamma", (0.5, SHAPE, "float16"), {}, 6),
    ("dirichlet", (A[0], (4,)), {}, 40),
    ("chisquare", (A,), {}, 60),
    ("t", (A,), {}, 16),
    ("f", (A + 1, A[::-1] + 1), {}, 60),
    ("generalized_normal", (1.5, SHAPE), {}, 16),
    ("ball", (3,), {}, 8),
    ("ball", (3, 1.0, (4,)), {}, 8),
    ("poisson", (3.0, SHAPE, "int16"), {}, 0),
    ("poisson", (np.array([0.0, np.nan, 5, -1], "f4"),), {}, 0),
    ("binomial", (np.array([5.0, -1, np.nan, np.inf, 20], "f4"), 0.7), {}, 0),
    ("binomial", (50, np.array([0.5, 1.5, -0.2, np.nan, 1.0], "f4")), {}, 0),
    ("multinomial", (20.0, P / P.sum(-1, keepdims=True)), {}, 0),
    ("multinomial", (20.0, P[0] / P[0].sum()), {"shape": (3, 7), "unroll": 2}, 0),
]


def same(found, expected, ulps):
    assert isinstance(found, pj.Array)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    assert found.weak_type == expected.weak_type
    x, y = np.asarray(found), np.asarray(expected)
    if ulps == 0:
        np.testing.assert_array_equal(x, y)
        return
    eps = 2.0**-7 if y.dtype.name == "bfloat16" else np.finfo(y.dtype).eps
    wide = np.complex128 if y.dtype.kind == "c" else np.float64
    x, y = x.astype(wide), y.astype(wide)
    np.testing.assert_array_equal(np.isfinite(x), np.isfinite(y))
    finite = np.isfinite(y)
    error = np.abs(x - y)[finite] / (eps * np.maximum(np.abs(y[finite]), 1 / 3))
    assert error.max(initial=0) <= ulps


JITTED = CASES[::8]


def names(case):
    return "-".join([case[0], *(f"{x.dtype}{list(x.shape)}" if isinstance(x, np.ndarray) else str(x) for x in case[1])])


def keys(seed):
    return pj.random.PRNGKey(seed), jax.random.PRNGKey(seed)


@pytest.mark.parametrize("case", [*CASES, *LOOPS, *(MORE_LOOPS if FULL else ())], ids=names)
def test_numbers_are_those_of_jax(case):
    name, args, kwargs, ulps = case
    ours, theirs = getattr(pj.random, name), getattr(jax.random, name)
    for seed in (0, 42):
        key, their_key = keys(seed)
        expected = theirs(their_key, *args, **kwargs)
        same(ours(key, *args, **kwargs), expected, ulps)
    if FULL or any(case is c for c in JITTED):  # a C compiler runs
        same(pj.jit(lambda key: ours(key, *args, **kwargs))(key), expected, ulps)


SOME = [
    case
    for case in CASES
    if case[0] in ("bits", "uniform", "normal", "randint", "permutation", "choice", "categorical")
]


@pytest.mark.parametrize("case", [*CASES, *LOOPS] if FULL else SOME[::4], ids=names)
def test_many_keys(case):
    name, args, kwargs, ulps = case
    key, their_key = keys(3)
    draw = lambda root: lambda key: getattr(root.random, name)(key, *args, **kwargs)
    expected = jax.vmap(draw(jax))(jax.random.split(their_key, 3))
    many = pj.random.split(key, 3)
    same(pj.vmap(draw(pj))(many), expected, ulps)
    if name not in ("split", "fold_in", "clone"):
        same(pj.vmap(draw(pj))(pj.random.wrap_key_data(many)), expected, ulps)


X64 = [
    ("bits", (SHAPE,), {}, 0),
    ("uniform", (SHAPE,), {}, 0),
    ("uniform", (SHAPE, "float32", -1.1, 2.3), {}, 0),
    ("uniform", (SHAPE, None, -1.1, 2.3), {}, 4),
    ("normal", (SHAPE,), {}, 30),
    ("normal", (SHAPE, "complex128"), {}, 30),  # XLA's log1p of doubles loses digits
    ("exponential", (SHAPE,), {}, 200),
    ("randint", (SHAPE, 0, 2**40), {}, 0),
    ("randint", (SHAPE, 0, 100, "int32"), {}, 0),
    ("randint", (SHAPE, np.uint64(0), np.uint64(2**64 - 1), "uint64"), {}, 0),
    ("permutation", (10,), {}, 0),
    ("choice", (7, SHAPE, True, P[0].astype("f8")), {}, 0),
    ("categorical", (LOGITS.astype("f8"),), {}, 0),
    ("bernoulli", (0.3, SHAPE), {}, 0),
    ("rademacher", (SHAPE,), {}, 0),
    *([("gamma", (A.astype("f8"),), {}, 8), ("poisson", (A * 3,), {}, 0)] if FULL else []),
]


@pytest.mark.parametrize("case", X64, ids=names)
def test_64_bits(case):
    name, args, kwargs, ulps = case
    with jax.enable_x64(True), pj.config.temporarily("jax_enable_x64", True):
        key, their_key = keys(2**40 + 5)
        same(key, their_key, 0)
        same(
            getattr(pj.random, name)(key, *args, **kwargs), getattr(jax.random, name)(their_key, *args, **kwargs), ulps
        )


# ---- derivatives -------------------------------------------------------------------------------------

SLOPES = [
    ("gamma", (A,), 1e-4),
    ("loggamma", (A,), 1e-4),
    ("beta", (A, A[::-1].copy()), 1e-3),
    ("dirichlet", (A,), 1e-3),
    ("t", (A,), 1e-3),
    ("truncated_normal", (-A, A), 1e-3),
    ("uniform", (SHAPE, None, -A, A), 1e-5),
    ("rayleigh", (A,), 1e-5),
    ("pareto", (A + 1,), 1e-4),
    ("triangular", (-A, A / 2, A), 1e-3),
    ("lognormal", (A / 9,), 1e-5),
]


@pytest.mark.parametrize(
    "name, args, rtol", SLOPES if FULL else SLOPES[1:2] + SLOPES[5:7], ids=lambda x: x if isinstance(x, str) else ""
)
def test_derivatives(name, args, rtol):
    floating = tuple(i for i, x in enumerate(args) if isinstance(x, np.ndarray))

    def slopes(root, key):
        def total(*parameters):
            given = list(args)
            for i, x in zip(floating, parameters):
                given[i] = x
            return (getattr(root.random, name)(key, *given) * np.cos(np.arange(91.0)).reshape(SHAPE).astype("f4")).sum()

        return root.grad(total, argnums=tuple(range(len(floating))))(*(args[i] for i in floating))

    key, their_key = keys(1)
    for found, expected in zip(slopes(pj, key), slopes(jax, their_key)):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-6 * scale)


# ---- keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seed", (0, 1, -1, 2**32 - 1, 2**32, 2**40 + 5, -(2**40), True, np.uint32(5), np.int32(-5), np.uint8(3))
)
def test_seeds(seed):
    same(pj.random.PRNGKey(seed), jax.random.PRNGKey(seed), 0)
    same(pj.random.key_data(pj.random.key(seed)), jax.random.PRNGKey(seed), 0)
    with jax.enable_x64(True), pj.config.temporarily("jax_enable_x64", True):
        same(pj.random.PRNGKey(seed), jax.random.PRNGKey(seed), 0)


def test_traced_seeds():
    seeds = np.array([0, 3, -7], np.int32)
    same(pj.jit(pj.vmap(pj.random.PRNGKey))(seeds), jax.vmap(jax.random.PRNGKey)(seeds), 0)
    same(pj.random.key_data(pj.vmap(pj.random.key)(seeds)), jax.vmap(jax.random.PRNGKey)(seeds), 0)


@pytest.fixture
def typed():
    return pj.random.split(pj.random.key(0), (2, 3))


def test_typed_keys_print_as_in_jax(typed):
    theirs = jax.random.split(jax.random.key(0), (2, 3))
    assert repr(typed) == repr(theirs) and str(typed[0, 1]) == str(theirs[0, 1])
    assert repr(typed.dtype) == "key<fry>" == typed.dtype.name
    assert typed.dtype == pj.random.key_dtype() and typed.dtype != np.uint32 and typed.dtype.itemsize == 8


def test_typed_keys_are_arrays(typed):
    assert isinstance(typed, pj.Array)
    assert typed.shape == (2, 3) and len(typed) == 2 and typed[0].shape == (3,) and typed[:, 1].shape == (2,)
    first, second = pj.random.split(typed[0, 0])
    assert first.shape == second.shape == () and not bool(first == second) and bool(first == first)
    assert [k.shape for k in typed[0]] == [()] * 3
    theirs = jax.random.split(jax.random.split(jax.random.key(0), (2, 3))[0, 0])
    same(pj.random.key_data(jnp.stack([first, second])), jax.random.key_data(theirs), 0)
    assert typed.reshape(-1).shape == (6,) and typed.T.shape == (3, 2)
    assert jnp.concatenate([typed, typed]).shape == (4, 3)
    changed = typed.at[0, 0].set(typed[1, 1])
    assert (np.asarray(changed == typed) == [[False, True, True], [True] * 3]).all()
    assert bool((jnp.where(np.array(True), typed, changed) == typed).all())
    assert bool((pickle.loads(pickle.dumps(typed)) == typed).all())
    assert pj.random.key_data(copy.deepcopy(typed)).tolist() == pj.random.key_data(typed).tolist()
    assert pj.random.key_impl(typed) == "threefry2x32"


def test_typed_keys_in_transforms(typed):
    key = typed[0, 0]
    expected = jax.random.split(jax.random.key(0), (2, 3))
    same(pj.vmap(pj.vmap(pj.random.normal))(typed), jax.vmap(jax.vmap(jax.random.normal))(expected), 4)
    draw = lambda root: root.vmap(
        lambda k, i: root.random.uniform(root.random.fold_in(k, i)), in_axes=(-1, None), out_axes=-1
    )
    same(draw(pj)(typed[0], 3), draw(jax)(expected[0], 3), 0)
    both = pj.jit(lambda k: (k, pj.random.split(k)))(key)
    assert bool(both[0] == key) and both[1].shape == (2,)

    def step(key, _):
        key, drawn = pj.random.split(key)
        return key, pj.random.uniform(drawn)

    last, drawn = scan(step, key, None, length=4)
    assert last.dtype == key.dtype and len(set(drawn.tolist())) == 4
    assert bool(while_loop(lambda s: s[0] < 4, lambda s: (s[0] + 1, step(s[1], None)[0]), (0, key))[1] == last)
    assert bool(cond(np.array(False), lambda k: k, lambda k: pj.random.split(k)[0], last) == pj.random.split(last)[0])
    assert float(pj.grad(lambda x, k: x * pj.random.normal(k))(1.0, key)) == float(pj.random.normal(key))


@pytest.mark.parametrize(
    "misuse",
    [
        lambda k: k + 1, lambda k: -k, lambda k: k < k, lambda k: k * 2.0, lambda k: k == 1, lambda k: jnp.sin(k), lambda k: jnp.sum(k[None]),
        lambda k: float(k), lambda k: bool(k), lambda k: np.asarray(k), lambda k: pj.grad(lambda k: 1.0)(k), lambda k: pj.random.key(k),
        lambda k: pj.random.normal([0, 1]), lambda k: pj.random.normal(0), lambda k: pj.random.normal(np.zeros(2, "f4")),
        lambda k: pj.random.normal(np.zeros(3, "u4")), lambda k: pj.random.wrap_key_data(np.zeros((3, 2), "i4")), lambda k: pj.random.key(1.5),
        lambda k: pj.random.key(np.arange(2)), lambda k: pj.random.fold_in(k, np.arange(2)), lambda k: pj.random.normal(k, (2.0,)),
    ],
)  # fmt: skip
def test_keys_are_no_numbers_and_numbers_no_keys(misuse):
    with pytest.raises(TypeError):
        misuse(pj.random.key(0))


@pytest.mark.parametrize(
    "misuse",
    [
        lambda r, k: r.normal(r.split(k)), lambda r, k: r.split(r.split(k)), lambda r, k: r.normal(k, (3,), "int32"),
        lambda r, k: r.gamma(k, np.ones(3), (2,)), lambda r, k: r.choice(k, 3, (5,), replace=False), lambda r, k: r.choice(k, 3, (2,), p=np.ones(4)),
        lambda r, k: r.gumbel(k, mode="medium"), lambda r, k: r.bernoulli(k, mode="x"), lambda r, k: r.multivariate_normal(k, np.zeros(2), np.eye(3)),
        lambda r, k: r.multivariate_normal(k, np.zeros(2), np.eye(2), method="qr"), lambda r, k: r.key(0, impl="fry"), lambda r, k: r.bits(k, (2,), "int32"),
        lambda r, k: r.categorical(k, np.zeros((2, 3)), shape=(4, 2), replace=False), lambda r, k: r.key(0, impl="threefry2x32", dtype=r.key_dtype()),
        lambda r, k: r.fold_in(k, -1), lambda r, k: r.randint(k, (2,), 0, 5, "float32"), lambda r, k: r.choice(k, 3, 5), lambda r, k: r.bernoulli(k, 1),
    ],
)  # fmt: skip
def test_errors_are_of_the_kind_that_jax_raises(misuse):
    for root in (jax, pj):
        with pytest.raises((ValueError, TypeError, OverflowError)) as found:
            misuse(root.random, root.random.key(0))
        if root is jax:
            kind = found.type
    assert found.type is kind or issubclass(found.type, kind) or kind in found.type.__mro__


def test_other_generators_are_refused():
    with pytest.raises(NotImplementedError):
        pj.random.key(0, impl="rbg")
    with pj.config.temporarily("jax_threefry_partitionable", False), pytest.raises(NotImplementedError):
        pj.random.normal(pj.random.PRNGKey(0))


def test_legacy_keys_can_be_typed():
    with pj.config.temporarily("jax_enable_custom_prng", True):
        assert pj.random.PRNGKey(0).dtype == pj.random.key_dtype()
    assert pj.random.split(pj.random.PRNGKey(0)).dtype == np.uint32


def test_64_bit_requests_warn():
    with pytest.warns(UserWarning, match="float64"):
        assert pj.random.normal(pj.random.key(0), (2,), "float64").dtype == np.float32


def test_tensors_give_tensors():
    key = pg.random_key(0)
    assert type(pj.random.normal(key, (3,))) is pg.Tensor
    same(pj.random.normal(pj.random.PRNGKey(0), (3,)), jax.random.normal(jax.random.PRNGKey(0), (3,)), 4)
