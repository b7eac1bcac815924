"""Random numbers: bit for bit JAX's where that is promised, statistics elsewhere, and the state behind pg.rand."""

import itertools
import threading
import time

import jax
import numpy as np
import pytest
import scipy.special

import pequegrad as pg
from pequegrad.core.dtype import dt
from pequegrad.ops.random import bernoulli, normal, uniform
from pequegrad.primitives.random import random_bits

SEEDS = (0, 1, 42, 2**31, 2**40 + 5, -1)
SHAPES = ((), (7,), (0, 3), (13, 77))
MILLION = 10**6


def jax_key(seed):
    """Numbers beyond 32 bits need JAX's 64-bit types; without them a negative seed is taken as 32 bits, as here."""
    with jax.enable_x64(not -(2**31) <= seed < 2**32):
        return jax.random.PRNGKey(seed)


def assert_bits(found, expected):
    found, expected = found.numpy(), np.asarray(expected)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


# ---- keys and bits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", (*SEEDS, 2**32 - 1, 2**32, -(2**31), 2**63 - 1, np.int64(7)))
def test_random_key(device, seed):
    assert_bits(pg.random_key(seed, device), jax_key(int(seed)))


@pytest.mark.parametrize("seed", (1.5, "1", None, [1]))
def test_seeds_are_integers(seed):
    with pytest.raises(pg.ArgumentError, match="A seed is an int"):
        pg.random_key(seed)


@pytest.mark.parametrize("dtype", ("uint8", "uint16", "uint32", "uint64"))
def test_random_bits(device, dtype):
    for seed, shape in itertools.product(SEEDS, SHAPES):
        with jax.enable_x64(dtype == "uint64"):
            expected = jax.random.bits(jax_key(seed), shape, dtype)
        assert_bits(random_bits(pg.random_key(seed, device), shape=shape, dtype=np.dtype(dtype)), expected)


def test_random_bits_of_many_elements(device):
    """Shared out over threads, and the same as a part of more."""
    key = pg.random_key(3, device)
    bits = random_bits(key, shape=(MILLION,), dtype=dt.uint32)
    assert_bits(bits, jax.random.bits(jax_key(3), (MILLION,), "uint32"))
    assert_bits(random_bits(key, shape=(1000, 10), dtype=dt.uint32).reshape(-1), bits[:10_000].numpy())


def test_random_bits_of_many_keys(device):
    """Keys [batch..., 2] give what each key alone gives; vmap does the same."""
    keys = np.random.default_rng(0).integers(0, 2**32, (3, 4, 2), np.uint32)
    draw = lambda key: random_bits(key, shape=(5, 2), dtype=dt.uint32)
    expected = np.stack([np.stack([draw(pg.Tensor(k, device=device)).numpy() for k in row]) for row in keys])
    tensor = pg.Tensor(keys, device=device)
    assert_bits(draw(tensor), expected)
    assert_bits(draw(tensor.swapaxes(0, 1)), expected.swapaxes(0, 1).copy())
    assert_bits(pg.vmap(pg.vmap(draw))(tensor), expected)


# ---- distributions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ("float16", "bfloat16", "float32", "float64"))
def test_uniform_is_jax_uniform(device, dtype):
    for seed, shape in itertools.product(SEEDS, SHAPES):
        with jax.enable_x64(dtype == "float64"):
            expected = jax.random.uniform(jax_key(seed), shape, dtype)
        assert_bits(uniform(pg.random_key(seed, device), shape, dtype), expected)


def ulps(found, expected):
    return np.abs(found.astype("f8") - expected) / np.spacing(np.abs(expected).astype(found.dtype))


def test_normal_is_jax_normal(device):
    for seed, shape in itertools.product(SEEDS, ((), (0, 3), (100, 1000))):
        expected = np.asarray(jax.random.normal(jax_key(seed), shape))
        found = normal(pg.random_key(seed, device), shape).numpy()
        assert found.dtype == np.float32 and found.shape == shape
        assert (ulps(found, expected) <= 4).all()


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_normal_is_accurate(device, dtype):
    key, below_one = pg.random_key(5, device), float(np.nextafter(np.dtype(dtype).type(1), 0))
    found, u = normal(key, (100_000,), dtype).numpy(), uniform(key, (100_000,), dtype, -below_one, 1.0).numpy()
    # 4 ulp of erf_inv, half an ulp of the factor sqrt(2) and of the product; in the tails 1 - u * u loses digits
    close = np.abs(u) < 0.99
    assert ulps(found, scipy.special.erfinv(u.astype("f8")) * np.sqrt(2))[close].max() <= (
        8 if dtype == "float32" else 20
    )
    with jax.enable_x64(dtype == "float64"):
        expected = np.asarray(jax.random.normal(jax_key(5), found.shape, dtype))
    np.testing.assert_allclose(found, expected, rtol=1e-5 if dtype == "float32" else 1e-11)  # XLA's tails


@pytest.mark.parametrize("dtype", ("float16", "bfloat16", "float32", "float64"))
def test_uniform_is_below_one(device, dtype):
    """Rounding must not reach it: log(1 - u) would be infinite."""
    x = uniform(pg.random_key(0, device), (MILLION,), dtype).astype("float64").numpy()
    assert x.min() >= 0 and x.max() < 1


@pytest.mark.parametrize("low, high", [(-1, 1), (5, 6), (-1e-3, 0), (0, 1e30)])
def test_uniform_in_another_interval(device, low, high):
    for dtype in ("float32", "float64"):
        x = uniform(pg.random_key(0, device), (100_000,), dtype, low, high).numpy()
        with jax.enable_x64(dtype == "float64"):
            expected = np.asarray(jax.random.uniform(jax_key(0), x.shape, dtype, low, high))
        assert x.min() >= np.dtype(dtype).type(low) and x.max() <= high
        # XLA may round the product and the sum together: half an ulp of the larger bound
        np.testing.assert_allclose(x, expected, atol=np.spacing(np.dtype(dtype).type(max(-low, high))), rtol=0)
    with pytest.raises(pg.ArgumentError, match="floating dtype"):
        uniform(pg.random_key(0, device), (3,), "int32")


def five_sigma(x, mean, variance, fourth):
    """Mean and variance of the sample are within five standard errors; fourth: the fourth central moment."""
    assert abs(x.mean() - mean) < 5 * np.sqrt(variance / x.size)
    assert abs(x.var() - variance) < 5 * np.sqrt((fourth - variance**2) / x.size)


def test_moments(device):
    five_sigma(pg.rand((MILLION,), device=device).numpy().astype("f8"), 1 / 2, 1 / 12, 1 / 80)
    x = pg.randn((MILLION,), device=device).numpy().astype("f8")
    five_sigma(x, 0, 1, 3)
    assert abs((x**3).mean()) < 5 * np.sqrt(15 / MILLION)  # not skewed
    for q in (0.001, 0.1, 0.5, 0.9, 0.999):  # quantiles of both
        expected = scipy.special.ndtri(q)
        assert abs((x < expected).mean() - q) < 5 * np.sqrt(q * (1 - q) / MILLION)


def test_bits_are_uniform(device):
    bits = random_bits(pg.random_key(0, device), shape=(MILLION,), dtype=dt.uint8).numpy()
    counts = np.bincount(bits, minlength=256)
    chi_squared = ((counts - MILLION / 256) ** 2 / (MILLION / 256)).sum()
    assert abs(chi_squared - 255) < 5 * np.sqrt(2 * 255)


@pytest.mark.parametrize("p", (0.0, 0.1, 0.5, 0.9, 1.0))
def test_bernoulli(device, p):
    x = bernoulli(p, (100, 1000), device)
    assert x.dtype == bool and x.shape == (100, 1000)
    assert abs(x.numpy().mean() - p) <= 5 * np.sqrt(p * (1 - p) / 1e5)


# ---- the state behind rand ---------------------------------------------------------------------------


def draws(device):
    x = pg.Tensor(np.ones((4, 5)), device=device)
    return [pg.rand(6, device=device), pg.randn((2, 3), device=device), bernoulli(0.5, (9,), device), x.dropout(0.5)]


def test_manual_seed_repeats(device):
    runs = []
    for seed in (7, 7, 8):
        pg.manual_seed(seed)
        runs.append([x.numpy().tobytes() for x in draws(device) + draws(device)])
    assert runs[0] == runs[1]
    assert all(a != b for a, b in zip(runs[0], runs[2]))


def test_draws_differ(device):
    found = [pg.rand((8,), device=device).numpy().tobytes() for _ in range(500)]
    assert len(set(found)) == 500
    a, b = (pg.rand((MILLION,), device=device).numpy().astype("f8") - 0.5 for _ in range(2))
    assert abs((a * b).mean()) < 5 / 12 / np.sqrt(MILLION)  # not correlated
    assert abs((a[1:] * a[:-1]).mean()) < 5 / 12 / np.sqrt(MILLION)


def test_draws_are_what_they_were_when_made(device):
    """Laziness does not change the order of draws: each has its key when it is written down."""
    pg.manual_seed(1)
    a, b = pg.rand(3, device=device), pg.rand(3, device=device)
    late = [x.numpy() for x in (b, a)][::-1]
    pg.manual_seed(1)
    early = [pg.rand(3, device=device).numpy() for _ in range(2)]
    np.testing.assert_array_equal(late, early)


def test_draws_inside_jit(device):
    """Every call of a compiled function draws anew, and the seed repeats them; draws outside go on from there."""
    f = pg.jit(lambda x: x + pg.rand((4,), device=device))
    zero = pg.Tensor(np.zeros(4, "f4"), device=device)

    def sequence():
        pg.manual_seed(3)
        return [f(zero).numpy(), f(zero).numpy(), pg.rand(4, device=device).numpy(), f(zero).numpy()]

    first, second = sequence(), sequence()
    np.testing.assert_array_equal(first, second)
    assert len({x.tobytes() for x in first}) == 4
    pg.manual_seed(3)
    np.testing.assert_array_equal(first, [pg.rand(4, device=device).numpy() for _ in range(4)])  # as without jit


def test_draws_of_threads_differ(device, monkeypatch):
    """No thread takes a key that another one is just taking: here each has much time to do so."""

    def slow(*args, **params):
        bits = random_bits(*args, **params)
        time.sleep(0.001)
        return bits

    monkeypatch.setattr("pequegrad.ops.random.random_bits", slow)
    found = []
    work = lambda: [found.append(pg.rand((4,), device=device)) for _ in range(10)]
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({x.numpy().tobytes() for x in found}) == len(found) == 40


def test_devices_have_their_own_generators(device):
    if device.kind != "cpu":
        pytest.skip("needs several devices")
    pg.manual_seed(0)
    here = pg.rand(5, device="cpu:1").numpy()
    pg.manual_seed(0)
    pg.rand(5, device="cpu:2").numpy()
    np.testing.assert_array_equal(pg.rand(5, device="cpu:1").numpy(), here)


def test_shapes_and_dtypes(device):
    for f in (pg.rand, pg.randn):
        assert f(device=device).shape == () and f(2, 3, device=device).shape == f((2, 3), device=device).shape == (2, 3)
        assert f(0, device=device).numpy().shape == (0,)
        for dtype in ("float16", "bfloat16", "float32", "float64"):
            assert f(3, dtype=dtype, device=device).numpy().dtype == getattr(dt, dtype)
        assert f(3, device=device).dtype == np.float32 and f(3, device=device).device is device


# ---- dropout -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", (0.0, 0.1, 0.5, 0.9))
def test_dropout(tensor, p):
    x = np.random.default_rng(0).uniform(1, 2, (100, 1000))
    found = tensor(x).dropout(p).numpy()
    kept = found != 0
    assert abs(kept.mean() - (1 - p)) <= 5 * np.sqrt(p * (1 - p) / x.size)
    np.testing.assert_allclose(found[kept], x[kept] / (1 - p), rtol=1e-15)  # times 1 / (1 - p), rounded once more
    # rows and columns alike
    assert np.abs(kept.mean(0) - (1 - p)).max() <= 6 * np.sqrt(p * (1 - p) / 100)
    assert np.abs(kept.mean(1) - (1 - p)).max() <= 6 * np.sqrt(p * (1 - p) / 1000)


def test_gradient_of_dropout(tensor):
    """The mask of the value is that of the derivative."""
    x = tensor(np.ones(1000))
    y = x.dropout(0.3)
    (g,) = pg.grads([x], y.sum())
    np.testing.assert_array_equal(g.numpy(), y.numpy())


def test_dropout_that_is_impossible(tensor):
    for p in (-0.1, 1.0, 2):
        with pytest.raises(pg.ArgumentError, match="not in"):
            tensor([1.0]).dropout(p)
