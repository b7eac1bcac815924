"""The kernels fft, rfft and irfft against NumPy in float64: all kinds of lengths, batches, strides, and bad numbers."""

import numpy as np
import pytest
from kernels import LAYOUTS, lay_out, run_kernel, value_of

LENGTHS = (
    *range(1, 66),
    97,
    125,
    127,
    128,
    134,
    509,
    1000,
    1009,
    1018,
    1024,
    2187,
    2401,
    61 * 59,
    61 * 67,
    4096,
    30030,
    65537,
)
SCALES = ("backward", "forward", "ortho")  # NumPy's names for what scale 0, 1 and 2 mean for a forward transform


@pytest.fixture(autouse=True)
def opened(device):
    device.handle  # noqa: B018


def complex_normal(rng, shape, dtype=np.complex128):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)


def accurate(found, expected, n, dtype):
    """Root mean square error below 2 eps log2(n): rounding errors of log2(n) passes add up like random ones."""
    error, size = np.sqrt(np.mean(np.abs(found - expected) ** 2)), np.sqrt(np.mean(np.abs(expected) ** 2))
    eps = np.finfo(dtype).eps
    assert error <= 2 * eps * max(np.log2(n), 1) * size, (n, error / size / eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [(), (3,), (2, 9)])
def test_transforms_are_numpy_s(dtype, rows, device, rng):
    """One row alone goes through scalars, several through vectors with lanes to spare."""
    for n in LENGTHS if rows == (3,) else LENGTHS[:-4]:
        scale, half = n % 3, n // 2 + 1
        norm, back = SCALES[scale], SCALES[(1, 0, 2)[scale]]
        z = complex_normal(rng, (*rows, n), np.result_type(dtype, np.complex64))
        exact = z.astype(np.complex128)
        run = lambda name, x, params, size: run_kernel(
            device, name, x, params=params, out=((*rows, size), dtype if name == "irfft" else z.dtype)
        )
        accurate(run("fft", z, (0, scale), n), np.fft.fft(exact, norm=norm), n, dtype)
        accurate(run("fft", z, (1, scale), n), np.fft.ifft(exact, norm=back), n, dtype)
        accurate(run("rfft", z.real.copy(), (scale,), half), np.fft.rfft(exact.real, norm=norm), n, dtype)
        found = run("irfft", z[..., :half].copy(), (scale,), n)
        accurate(found, np.fft.irfft(exact[..., :half], n, norm=back), n, dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_strides(layout, device, rng):
    x = lay_out(complex_normal(rng, (3, 12)), layout)
    found = run_kernel(device, "fft", x, params=(0, 0), out=((3, 12), np.complex128))
    np.testing.assert_allclose(found, np.fft.fft(value_of(x)), atol=1e-13)
    real = lay_out(rng.normal(size=(3, 12)), layout)
    found = run_kernel(device, "rfft", real, params=(0,), out=((3, 7), np.complex128))
    np.testing.assert_allclose(found, np.fft.rfft(value_of(real)), atol=1e-13)


@pytest.mark.parametrize("n", [8, 15, 67])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_numbers_stay_in_their_row(n, bad, device, rng):
    x = complex_normal(rng, (5, n))
    x[2, 3] = bad
    for name, operand, params, size, dtype in (
        ("fft", x, (0, 0), n, np.complex128),
        ("rfft", x.real.copy(), (0,), n // 2 + 1, np.complex128),
        ("irfft", x[:, : n // 2 + 1].copy(), (0,), n, np.float64),
    ):
        found = run_kernel(device, name, operand, params=params, out=((5, size), dtype))
        assert np.isfinite(found[[0, 1, 3, 4]]).all() and not np.isfinite(found[2]).all()


def test_parts_that_no_real_signal_has_are_not_read(device, rng):
    x = complex_normal(rng, (2, 5))
    x.imag[:, [0, -1]] = np.nan
    found = run_kernel(device, "irfft", x, params=(1,), out=((2, 8), np.float64))
    x.imag[:, [0, -1]] = 0
    np.testing.assert_allclose(found, np.fft.irfft(x, 8), atol=1e-15)


def test_empty_batches(device):
    x = np.zeros((0, 4), np.complex128)
    assert run_kernel(device, "fft", x, params=(0, 0), out=((0, 4), np.complex128)).shape == (0, 4)


def test_more_lengths_than_are_kept(device, rng):
    """Plans that were thrown away are made again."""
    for _ in range(2):
        for n in range(100, 150):
            x = complex_normal(rng, (1, n))
            found = run_kernel(device, "fft", x, params=(0, 0), out=(x.shape, x.dtype))
            np.testing.assert_allclose(found, np.fft.fft(x), atol=1e-12)
