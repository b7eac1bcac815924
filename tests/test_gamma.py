"""Special functions and functions on bits against SciPy, mpmath and NumPy, and their derivatives."""

import mpmath
import numpy as np
import pytest
import scipy.special
from kernels import run_kernel

import pequegrad as pg
from pequegrad.core.dtype import dt

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
EPS = {"float32": 2.0**-24, "float64": 2.0**-53}


@pytest.mark.parametrize("dtype", INTEGERS)
def test_counts_of_bits(tensor, rng, dtype):
    info = np.iinfo(dtype)
    x = np.concatenate(
        [rng.integers(info.min, info.max, 200, dtype, endpoint=True), np.array([0, 1, info.min, info.max], dtype)]
    )
    bits, mask = x.dtype.itemsize * 8, (1 << x.dtype.itemsize * 8) - 1
    assert pg.population_count(tensor(x)).tolist() == [(int(v) & mask).bit_count() for v in x]
    assert pg.clz(tensor(x)).tolist() == [bits - (int(v) & mask).bit_length() for v in x]
    assert pg.clz(tensor(x[:0])).shape == (0,) and pg.clz(tensor(x)).dtype == x.dtype
    with pytest.raises(pg.DtypeError, match="integer"):
        pg.clz(tensor([1.0]))


def test_nextafter(tensor):
    x, y = np.array([1.0, 1.0, 0.0, np.inf, 2.0, np.nan], "f4"), np.array([2.0, 0.0, -1.0, 0.0, 2.0, 1.0], "f4")
    np.testing.assert_array_equal(pg.nextafter(tensor(x), tensor(y)).numpy(), np.nextafter(x, y))
    assert pg.nextafter(1, 2).item() == np.nextafter(np.float32(1), np.float32(2))
    a, b = tensor([1.0, 2.0]), tensor([3.0])
    da, db = pg.grads([a, b], pg.nextafter(a, b).sum())
    assert da.tolist() == [1, 1] and db.tolist() == [0]


def test_lgamma_and_digamma(tensor):
    x = np.array([0.5, 1, 2, 3.5, 20, 150, -0.5, -3.3])
    np.testing.assert_allclose(pg.lgamma(tensor(x)).numpy(), scipy.special.gammaln(x), rtol=1e-14, atol=1e-15)
    # near its zero at -0.5041 the terms of digamma cancel
    np.testing.assert_allclose(pg.digamma(tensor(x)).numpy(), scipy.special.psi(x), rtol=1e-13)
    assert pg.lgamma(5).dtype == np.float32 and pg.lgamma(5).item() == pytest.approx(np.log(24))
    (g,) = pg.grads([t := tensor(x)], pg.lgamma(t))
    np.testing.assert_allclose(g.numpy(), scipy.special.psi(x), rtol=1e-13)
    for order in range(1, 5):  # derivatives of any order
        (g,) = pg.grads([t], g)
        np.testing.assert_allclose(g.numpy()[:6], scipy.special.polygamma(order, x[:6]), rtol=1e-13)


@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("n", (1, 2, 3, 5, 10, 40))
def test_polygamma_is_accurate(device, rng, n, dtype):
    x = np.concatenate([np.exp(rng.uniform(-3, 4, 60)), rng.uniform(-6, 0, 40), [0.1, 1, 2, 10, 1e3]]).astype(dtype)
    found = run_kernel(device, "polygamma", x, params=[n]).astype(np.longdouble)
    with mpmath.workdps(60):
        exact = [mpmath.polygamma(n, mpmath.mpf(float(v))) for v in x]
        # for even n it passes through zero between its poles: there errors are small against the terms of either side
        scale = [abs(e) if v > 0 else mpmath.factorial(n) * (mpmath.zeta(n + 1, abs(v - np.floor(v))) + mpmath.zeta(n + 1, abs(v - np.ceil(v))))
                 for e, v in zip(exact, x.astype(float))]  # fmt: skip
        scale = [max(v, float(np.finfo(dtype).tiny)) for v in scale]  # denormals have fewer digits
        errors = [
            float(abs(mpmath.mpf(str(f)) - e) / s) if np.isfinite(f) else 0.0 for f, e, s in zip(found, exact, scale)
        ]
        too_large = np.array([float(abs(e)) > float(np.finfo(dtype).max) * 0.999 for e in exact])
    assert max(errors) < (8 + n / 4) * EPS[dtype]
    assert (np.isfinite(found.astype(float)) | too_large).all()


def test_polygamma_special_values(tensor):
    x = tensor(np.array([0.0, -1.0, -2.0, np.inf, np.nan, -np.inf]))
    np.testing.assert_array_equal(pg.polygamma(1, x).numpy(), [np.inf, np.inf, np.inf, 0, np.nan, np.nan])
    np.testing.assert_array_equal(pg.polygamma(2, x).numpy(), [-np.inf, -np.inf, -np.inf, 0, np.nan, np.nan])
    np.testing.assert_array_equal(pg.polygamma(0, x).numpy(), pg.digamma(x).numpy())
    tiny = pg.polygamma(1, tensor(np.array([1e-20, -1e-20]))).numpy()
    np.testing.assert_allclose(tiny, 1e40, rtol=1e-14)
    half = pg.polygamma(1, tensor([2.0, 3.0]).astype(dt.float16))
    assert half.dtype == np.float16 and half.tolist() == pytest.approx([0.64493, 0.39493], rel=1e-3)
    for wrong in (-1, 171):
        with pytest.raises(pg.ArgumentError, match="order"):
            pg.polygamma(wrong, x)
    with pytest.raises(pg.ArgumentError, match="Python int"):
        pg.polygamma(1.5, x)


# ---- incomplete functions, zeta, Bessel --------------------------------------------------------------


def exactly(function, *arrays):
    """`function` of mpmath, elementwise, as float64."""
    with mpmath.workdps(60):
        return np.array([float(function(*map(mpmath.mpf, row))) for row in zip(*(a.astype(float).tolist() for a in arrays))])  # fmt: skip


def near(rng, n):
    """a between 1e-3 and 1e3, and x on either side of it, near and far."""
    a = np.exp(rng.uniform(-7, 7, n))
    return a, a * np.exp(rng.normal(size=n) * rng.choice([0.03, 0.3, 2], n))


def check(found, expected, dtype):
    """1e-13, or half an ulp of float32; what is below the normal numbers has fewer digits."""
    tiny = float(np.finfo(dtype).tiny)
    tolerance = 2e-13 if dtype == "float64" else 2.0**-23
    np.testing.assert_allclose(found.astype(float), expected, rtol=tolerance, atol=tiny)


@pytest.mark.parametrize("dtype", EPS)
def test_incomplete_gamma_is_accurate(device, rng, dtype):
    a, x = (v.astype(dtype) for v in near(rng, 80))
    a, x = np.append(a, [1e-20, 0.5, 1, 1.2]).astype(dtype), np.append(x, [1e-20, 1e-30, 1.05, 1.1]).astype(dtype)
    lower = lambda a, x: mpmath.gammainc(a, 0, x, regularized=True)
    check(run_kernel(device, "igamma", a, x), exactly(lower, a, x), dtype)
    check(
        run_kernel(device, "igammac", a, x), exactly(lambda a, x: mpmath.gammainc(a, x, regularized=True), a, x), dtype
    )
    h = mpmath.mpf(10) ** -20
    slope = lambda a, x: (lower(a * (1 + h), x) - lower(a * (1 - h), x)) / (2 * a * h)
    check(run_kernel(device, "igamma_grad_a", a[:30], x[:30]), exactly(slope, a[:30], x[:30]), dtype)
    density = lambda a, x: mpmath.exp((a - 1) * mpmath.log(x) - x - mpmath.loggamma(a))
    variate = lambda a, x: -slope(a, x) / density(a, x)
    check(run_kernel(device, "random_gamma_grad", a[:30], x[:30]), exactly(variate, a[:30], x[:30]), dtype)


def test_incomplete_gamma_of_large_numbers(device, rng):
    """For large a it is nearly a normal distribution, to an order of 1 / sqrt(a) and (DLMF 8.11.12) beyond it."""
    a = np.exp(rng.uniform(4, 14, 60))
    x = a + np.sqrt(a) * rng.uniform(-5, 5, 60)
    np.testing.assert_allclose(run_kernel(device, "igamma", a, x), scipy.special.gammainc(a, x), rtol=1e-11)
    np.testing.assert_allclose(run_kernel(device, "igammac", a, x), scipy.special.gammaincc(a, x), rtol=1e-11)
    a = np.array([1e18, 1e18, 1e100, 1e-300])
    np.testing.assert_allclose(run_kernel(device, "igamma", a, a), [0.5, 0.5, 0.5, 1], rtol=1e-8)


@pytest.mark.parametrize("dtype", EPS)
def test_incomplete_beta_is_accurate(device, rng, dtype):
    a, b = np.exp(rng.uniform(-5, 9, (2, 150)))
    x = np.clip(a / (a + b) + np.sqrt(a * b / (a + b + 1)) / (a + b) * rng.normal(size=150) * 2, 1e-9, 1 - 1e-6)
    x[:50] = rng.uniform(0, 1, 50)
    a, b, x = (v.astype(dtype) for v in (a, b, x))
    expected = scipy.special.betainc(a.astype(float), b.astype(float), x.astype(float))
    check(run_kernel(device, "betainc", a, b, x), expected, dtype)


@pytest.mark.parametrize("dtype", EPS)
def test_zeta_is_accurate(device, rng, dtype):
    s, q = np.exp(rng.uniform(0.01, 4, 60)).astype(dtype), np.exp(rng.uniform(-3, 5, 60)).astype(dtype)
    s[:9], s[9:20] = 1 + np.exp(rng.uniform(-9, 0, 9)), rng.integers(2, 9, 11)
    q[9:20] = rng.uniform(-5, 0, 11)  # whole powers of negative numbers
    found, expected = run_kernel(device, "zeta", s, q), exactly(mpmath.zeta, s[:0], q[:0])
    terms = lambda s, q: sum((q + k) ** -s for k in range(-int(mpmath.floor(q)))) + mpmath.zeta(s, q + -mpmath.floor(q))
    expected = np.concatenate([exactly(mpmath.zeta, s[:9], q[:9]), exactly(terms, s[9:20], q[9:20]), exactly(mpmath.zeta, s[20:], q[20:])])  # fmt: skip
    scale = np.where(q < 0, np.abs(np.ceil(q) - q).clip(1e-9) ** -s.astype(float), 0)  # terms of both signs
    keep = np.abs(expected) < np.finfo(dtype).max
    assert (np.abs(found - expected) <= (2e-13 if dtype == "float64" else 2e-7) * (np.abs(expected) + scale) + np.finfo(dtype).tiny)[keep].all()  # fmt: skip


@pytest.mark.parametrize("dtype", EPS)
def test_scaled_bessel_functions(device, rng, dtype):
    x = np.concatenate([rng.normal(size=50) * 9, [0, -0.0, 1e-30, 8, 8.0001, 1e30, np.inf, -np.inf, np.nan]]).astype(
        dtype
    )
    for name in ("i0e", "i1e"):
        found, expected = run_kernel(device, f"bessel_{name}", x), getattr(scipy.special, name)(x.astype(float))
        np.testing.assert_allclose(found, expected, rtol=6 * EPS[dtype] + 2e-15, atol=1e-300)


def test_ends_are_those_of_scipy(device):
    ends = np.array([0, -1, 1, np.inf, -np.inf, np.nan, 0.5, 2, -2.5, 1e-300, 1e300])
    pair = [v.ravel() for v in np.meshgrid(ends, ends)]
    same = lambda found, expected: np.testing.assert_allclose(found, expected, rtol=1e-12)
    same(run_kernel(device, "igamma", *pair), scipy.special.gammainc(*pair))
    same(run_kernel(device, "igammac", *pair), scipy.special.gammaincc(*pair))
    # for the largest numbers SciPy has nan, and the continued fraction does not converge
    triple = [v.ravel() for v in np.meshgrid(*[ends[:-1]] * 3)]
    same(run_kernel(device, "betainc", *triple), scipy.special.betainc(*triple))
    # SciPy has poles where an operand is nan, and nan for powers beyond 1e300
    pair = [v[np.isfinite(pair[1]) & ~(np.abs(pair[0]) > 1e299) & ~np.isnan(pair[0])] for v in pair]
    same(run_kernel(device, "zeta", *pair), scipy.special.zeta(*pair))


def test_derivatives_are_those_of_jax(tensor, rng):
    import jax
    from jax import lax

    a, b, x = rng.uniform(0.3, 6, (3, 12))
    cases = [
        (pg.igamma, lax.igamma, (a, x), (0, 1)), (pg.igammac, lax.igammac, (a, x), (0, 1)),
        (pg.betainc, lax.betainc, (a, b, x / 7), (2,)),
        (pg.bessel_i0e, lax.bessel_i0e, (x - 3,), (0,)), (pg.bessel_i1e, lax.bessel_i1e, (x * 0, ), (0,)),
        (pg.bessel_i1e, lax.bessel_i1e, (x - 3,), (0,)),
    ]  # fmt: skip
    for mine, theirs, arrays, wanted in cases:
        tensors = [tensor(v) for v in arrays]
        found = pg.grads([tensors[i] for i in wanted], mine(*tensors).sum())
        with jax.enable_x64(True):
            expected = jax.grad(lambda *v, theirs=theirs: theirs(*v).sum(), wanted)(*arrays)
        for g, e in zip(found, expected):
            np.testing.assert_allclose(g.numpy(), e, rtol=1e-9)
    (g,) = pg.grads([q := tensor(x)], pg.zeta(tensor(a + 1), q))  # which JAX does not have
    np.testing.assert_allclose(g.numpy(), -(a + 1) * scipy.special.zeta(a + 2, x), rtol=1e-12)
    with pytest.raises(pg.GradientError, match="betainc .* respect to a"):
        pg.grads([t := tensor(a)], pg.betainc(t, 1.0, 0.5))
    with pytest.raises(pg.GradientError, match="zeta .* respect to s"):
        pg.grads([t := tensor(a)], pg.zeta(t, 1.0))


def test_promotion_of_special_functions(tensor):
    assert pg.igamma(1, 2).dtype == np.float32 and pg.igamma(1, 2).item() == pytest.approx(1 - np.exp(-2))
    assert pg.betainc(2, 3, tensor([0.5]).astype(dt.float16)).dtype == np.float16
    assert pg.zeta(2).item() == pytest.approx(np.pi**2 / 6)
    assert pg.bessel_i1e(tensor([1, 2])).dtype == np.float32
    assert pg.igammac(tensor(np.ones((3, 1))), tensor(np.ones(4))).shape == (3, 4)
