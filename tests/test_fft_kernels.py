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


def complex_of(pairs):
    """Pairs on the last axis as complex128."""
    return pairs[..., 0].astype(np.float64) + 1j * pairs[..., 1]


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
        pairs = rng.normal(size=(*rows, n, 2)).astype(dtype)
        z = complex_of(pairs)
        run = lambda name, x, params, shape: run_kernel(device, name, x, params=params, out=((*rows, *shape), dtype))
        accurate(complex_of(run("fft", pairs, (0, scale), (n, 2))), np.fft.fft(z, norm=norm), n, dtype)
        accurate(complex_of(run("fft", pairs, (1, scale), (n, 2))), np.fft.ifft(z, norm=back), n, dtype)
        accurate(
            complex_of(run("rfft", pairs[..., 0].copy(), (scale,), (half, 2))), np.fft.rfft(z.real, norm=norm), n, dtype
        )
        found = run("irfft", pairs[..., :half, :].copy(), (scale,), (n,))
        accurate(found, np.fft.irfft(z[..., :half], n, norm=back), n, dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_strides(layout, device, rng):
    x = lay_out(rng.normal(size=(3, 12, 2)), layout)
    found = run_kernel(device, "fft", x, params=(0, 0), out=((3, 12, 2), np.float64))
    np.testing.assert_allclose(complex_of(found), np.fft.fft(complex_of(value_of(x))), atol=1e-13)
    real = lay_out(rng.normal(size=(3, 12)), layout)
    found = run_kernel(device, "rfft", real, params=(0,), out=((3, 7, 2), np.float64))
    np.testing.assert_allclose(complex_of(found), np.fft.rfft(value_of(real)), atol=1e-13)


@pytest.mark.parametrize("n", [8, 15, 67])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_numbers_stay_in_their_row(n, bad, device, rng):
    x = rng.normal(size=(5, n, 2))
    x[2, 3, 0] = bad
    for name, operand, params, shape in (
        ("fft", x, (0, 0), (5, n, 2)),
        ("rfft", x[..., 0].copy(), (0,), (5, n // 2 + 1, 2)),
        ("irfft", x[:, : n // 2 + 1].copy(), (0,), (5, n)),
    ):
        found = run_kernel(device, name, operand, params=params, out=(shape, np.float64)).reshape(5, -1)
        assert np.isfinite(found[[0, 1, 3, 4]]).all() and not np.isfinite(found[2]).all()


def test_parts_that_no_real_signal_has_are_not_read(device, rng):
    x = rng.normal(size=(2, 5, 2))
    x[:, [0, -1], 1] = np.nan
    found = run_kernel(device, "irfft", x, params=(1,), out=((2, 8), np.float64))
    x[:, [0, -1], 1] = 0
    np.testing.assert_allclose(found, np.fft.irfft(complex_of(x), 8), atol=1e-15)


def test_empty_batches(device):
    assert run_kernel(device, "fft", np.zeros((0, 4, 2)), params=(0, 0), out=((0, 4, 2), np.float64)).shape == (0, 4, 2)


def test_more_lengths_than_are_kept(device, rng):
    """Plans that were thrown away are made again."""
    for _ in range(2):
        for n in range(100, 150):
            x = rng.normal(size=(1, n, 2))
            found = run_kernel(device, "fft", x, params=(0, 0), out=(x.shape, np.float64))
            np.testing.assert_allclose(complex_of(found), np.fft.fft(complex_of(x)), atol=1e-12)
