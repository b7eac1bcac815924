"""convolve, correlate, gcd, lcm, digitize and the logsumexp of complex numbers against NumPy and JAX."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pequegrad as pg
from pequegrad.core.dtype import dt

# ---- signals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_convolve_and_correlate(tensor, rng, name, mode):
    mine, theirs = getattr(pg, name), getattr(np, name)
    normal = lambda n, kind: rng.normal(size=n) + (1j * rng.normal(size=n) if kind == "c" else 0)
    for n, k in ((1, 1), (7, 3), (7, 4), (3, 8), (5, 5), (1, 6)):
        for kinds in itertools.product("fc", repeat=2):
            a, v = normal(n, kinds[0]), normal(k, kinds[1])
            np.testing.assert_allclose(
                mine(tensor(a), tensor(v), mode).numpy(), theirs(a, v, mode), rtol=1e-13, atol=1e-13
            )
    ints = mine(tensor([1, 2, 3], dtype="int32"), tensor([4, 5], dtype="int32"), mode)
    assert ints.dtype == np.int32 and ints.tolist() == theirs([1, 2, 3], [4, 5], mode).tolist()
    a, v = normal(6, "f"), normal(3, "f")
    found = pg.grads([x := tensor(a), y := tensor(v)], (mine(x[::-1], y, mode) ** 2).sum())
    with jax.enable_x64(True):
        expected = jax.grad(lambda x, y: (getattr(jnp, name)(x[::-1], y, mode=mode) ** 2).sum(), (0, 1))(a, v)
    for g, e in zip(found, expected):
        np.testing.assert_allclose(g.numpy(), e, rtol=1e-12)


def test_signals_that_are_none(tensor):
    with pytest.raises(pg.ArgumentError, match="mode 'ful'"):
        pg.convolve(tensor([1.0]), tensor([1.0]), "ful")
    for a, v in ((np.ones((2, 2)), np.ones(2)), (np.ones(0), np.ones(2)), (np.ones(2), np.float64(1))):
        with pytest.raises(pg.ShapeError, match="two signals"):
            pg.correlate(tensor(a), tensor(v))


# ---- integers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint16", "uint64"])
def test_gcd_and_lcm(tensor, rng, dtype):
    low = 0 if dtype.startswith("u") else -11
    x, y = rng.integers(low, 12, (6, 1)).astype(dtype), rng.integers(low, 12, 40).astype(dtype)
    y[:2] = 0
    x[0] = 0
    for mine, theirs in ((pg.gcd, np.gcd), (pg.lcm, np.lcm)):
        found = mine(tensor(x, dtype=dtype), tensor(y, dtype=dtype))
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found.numpy(), theirs(x, y))
        np.testing.assert_array_equal(
            pg.jit(mine)(tensor(x, dtype=dtype), tensor(y, dtype=dtype)).numpy(), theirs(x, y)
        )
        rows = pg.vmap(mine, in_axes=(0, None))(tensor(x, dtype=dtype), tensor(y, dtype=dtype))
        np.testing.assert_array_equal(rows.numpy(), theirs(x, y))
        assert mine(tensor(x[:0], dtype=dtype), tensor(y, dtype=dtype)).shape == (0, 40)
    assert pg.gcd(12, -18).item() == 6 and pg.lcm(4, 6).item() == 12
    with pytest.raises(pg.DtypeError, match="integers"):
        pg.gcd(tensor([1.5]), tensor([2.0]))


# ---- bins, logarithms --------------------------------------------------------------------------------


@pytest.mark.parametrize("right", [False, True])
def test_digitize(tensor, rng, right):
    x = rng.integers(-1, 8, (3, 5)).astype(float)
    for bins in ([0, 2, 2, 5], [5, 4, 1], [3], [2, 2]):
        found = pg.digitize(tensor(x), tensor(np.array(bins, float)), right)
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found.numpy(), np.digitize(x, bins, right))
    assert pg.digitize(tensor(x), tensor(np.ones(0))).tolist() == np.zeros(x.shape, int).tolist()
    with pytest.raises(pg.ShapeError, match="one axis"):
        pg.digitize(tensor(x), tensor(x))


def test_logsumexp_of_complex_numbers(tensor, rng):
    x = rng.normal(size=(3, 4)) * 300 + 1j * rng.normal(size=(3, 4))
    ct = rng.normal(size=3) + 1j * rng.normal(size=3)
    with jax.enable_x64(True):
        expected, pull = jax.vjp(lambda x: jax.nn.logsumexp(x, axis=1), jnp.asarray(x))
        (slope,) = pull(jnp.asarray(ct))
    found = pg.logsumexp(t := tensor(x), axis=1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)
    (g,) = pg.grads([t], found, tensor(ct))
    np.testing.assert_allclose(g.numpy(), slope, rtol=1e-12, atol=1e-300)
    assert pg.logsumexp(tensor([1j, 1.0]).astype(dt.complex64)).dtype == np.complex64
