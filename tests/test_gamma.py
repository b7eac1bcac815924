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
