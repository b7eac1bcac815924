"""pg.fft against NumPy (values, sizes, axes, norms) and JAX (derivatives), under jit and vmap, and with bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pequegrad as pg

NORMS = (None, "backward", "ortho", "forward")
ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
SEVERAL = ("fft2", "ifft2", "fftn", "ifftn", "rfft2", "irfft2", "rfftn", "irfftn")
REAL_ONLY = ("rfft", "ihfft", "rfft2", "rfftn")


def operand(rng, name, *shape):
    x = rng.normal(size=shape)
    return x if name in REAL_ONLY else x + 1j * rng.normal(size=shape)


def close(found, expected, dtype=np.float64):
    """O(eps log n) of numbers around sqrt(n)."""
    found, size = found.numpy(), np.max(np.abs(expected), initial=1)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=size * 30 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("precision", ["f4", "f8"])
def test_along_one_axis(tensor, rng, name, precision):
    dtype = np.dtype(precision)
    for count, (shape, axis) in enumerate(
        [((7,), -1), ((2, 5, 12), 1), ((13, 3), 0), ((4, 1), -1), ((0, 6), -1), ((3, 127), 1), ((2, 0, 8), 2)]
    ):
        x = operand(rng, name, *shape)
        x = x.astype(np.result_type(dtype, "c8") if x.dtype.kind == "c" else dtype)
        for n in (None, 1, 5, 9, 16):
            if n is None and shape[axis] == 1 and name in ("irfft", "hfft"):
                continue
            norm = NORMS[(count + (n or 0)) % 4]
            found = getattr(pg.fft, name)(tensor(x, dtype=x.dtype), n, axis, norm)
            expected = getattr(np.fft, name)(x.astype(np.result_type(x, "f8")), n, axis, norm)
            close(found, expected, dtype)
            kind = "f" if name in ("irfft", "hfft") else "c"
            assert found.dtype == np.dtype(f"{kind}{dtype.itemsize * (1 if kind == 'f' else 2)}")


@pytest.mark.parametrize("name", SEVERAL)
def test_along_several_axes(tensor, rng, name):
    x = operand(rng, name, 3, 4, 5)
    mine, theirs = getattr(pg.fft, name), getattr(np.fft, name)
    for k, (s, axes) in enumerate(
        [
            (None, (-2, -1)),
            ((6, 3), (0, 2)),
            ((2, 9), (1, 0)),
            ((-1, 4), (2, 1)),
            ((4, -1), (2, 1)),
            (None, (1, 1)),
            (None, (2, 0)),
        ]
    ):
        close(mine(tensor(x), s, axes, norm=NORMS[k % 4]), theirs(x, s, axes, norm=NORMS[k % 4]))
    close(mine(tensor(x)), theirs(x))
    if name.endswith("n"):
        close(mine(tensor(x), axes=(0, 2, 1)), theirs(x, axes=(0, 2, 1)))
        close(mine(tensor(x), (4, 6)), theirs(x, (4, 6), axes=(-2, -1)))
    if name in ("fftn", "ifftn"):
        close(mine(tensor(x), axes=()), theirs(x, axes=()))


@pytest.mark.parametrize("name", ONE + SEVERAL)
def test_operands_that_are_not_contiguous(tensor, rng, name):
    x = operand(rng, name, 6, 8, 5)
    view = lambda x: x.transpose(2, 0, 1)[:, ::-1, 1::2]
    close(getattr(pg.fft, name)(view(tensor(x))), getattr(np.fft, name)(view(x)))


def test_dtypes_are_those_of_jax(tensor):
    for dtype in ("bool", "int8", "uint32", "float16", "float32"):
        x = np.array([1, 0, 1, 1], dtype)
        assert pg.fft.fft(tensor(x, dtype=dtype)).dtype == np.complex64
        np.testing.assert_allclose(pg.fft.rfft(tensor(x, dtype=dtype)).numpy(), np.fft.rfft(x), atol=1e-6)
    assert pg.fft.fft([1, 2]).tolist() == [3, -1]
    assert pg.fft.irfft(np.array([4, 0, 2])).dtype == np.float32


def test_laws(tensor, rng):
    x, y = (operand(rng, "fft", 4, 30) for _ in range(2))
    f = lambda x: pg.fft.fft(tensor(x))
    close(pg.fft.ifft(f(x)), x)
    close(pg.fft.ifft(f(x) * f(y)), np.array([[np.sum(a * np.roll(b[::-1], k + 1)) for k in range(30)] for a, b in zip(x, y)]))  # fmt: skip
    assert float((abs(pg.fft.fft(tensor(x), norm="ortho")) ** 2).sum().item()) == pytest.approx(np.sum(np.abs(x) ** 2))
    real = rng.normal(size=(4, 31))
    close(pg.fft.irfft(pg.fft.rfft(tensor(real)), 31), real)
    close(pg.fft.hfft(pg.fft.ihfft(tensor(real)), 31), real)


def test_frequencies(device, tensor, rng):
    for n in (1, 2, 7, 8):
        for name in ("fftfreq", "rfftfreq"):
            mine, theirs = getattr(pg.fft, name), getattr(np.fft, name)
            np.testing.assert_allclose(mine(n, 0.25, dtype="float64", device=device).numpy(), theirs(n, 0.25), 1e-15)
            assert mine(n).dtype == np.float32
    x = rng.normal(size=(4, 5, 3))
    for axes in (None, 0, (1, 2), (-1,), ()):
        for name in ("fftshift", "ifftshift"):
            mine, theirs = getattr(pg.fft, name), getattr(np.fft, name)
            np.testing.assert_array_equal(mine(tensor(x), axes).numpy(), theirs(x, axes))


# ---- derivatives -------------------------------------------------------------------------------------

CASES = [(name, (4, n), {}) for name in ONE for n in (2, 5, 6)] + [
    ("fft", (5, 3), {"n": 4, "axis": 0, "norm": "ortho"}), ("rfft", (5, 3), {"n": 8, "axis": 0}),
    ("irfft", (3, 5), {"n": 7, "norm": "forward"}), ("irfft", (3, 4), {"n": 12}), ("hfft", (3, 4), {"n": 1}),
    ("fft2", (3, 4), {}), ("rfftn", (3, 4), {"s": (5, 3)}), ("irfftn", (3, 4), {"s": (2, 5)}), ("ifftn", (2, 3, 2), {}),
]  # fmt: skip


@pytest.mark.parametrize("name, shape, params", CASES)
def test_derivatives_are_those_of_jax(tensor, rng, name, shape, params):
    x, dx = (operand(rng, name, *shape) for _ in range(2))
    mine, theirs = (lambda x, space=space: getattr(space, name)(x, **params) for space in (pg.fft, jnp.fft))
    with jax.enable_x64(True):
        expected, tangent = jax.jvp(theirs, (x,), (dx,))
        ct = rng.normal(size=expected.shape)
        ct = ct + 1j * rng.normal(size=ct.shape) if expected.dtype.kind == "c" else ct
        (cotangent,) = jax.vjp(theirs, jnp.asarray(x))[1](jnp.asarray(ct))
        squares = lambda x: jnp.sum(jnp.abs(theirs(x)) ** 4)
        slope = jax.grad(squares)
        value, moved = jax.jvp(slope, (x,), (dx,))
    found, step = pg.jvp(mine, (tensor(x),), (tensor(dx),))
    close(found, np.asarray(expected))
    close(step, np.asarray(tangent))
    t = tensor(x)
    (g,) = pg.grads([t], mine(t), tensor(ct))
    close(g, np.asarray(cotangent))
    my_slope = pg.grad(lambda x: (abs(mine(x)) ** 4).sum())
    found, step = pg.jvp(my_slope, (tensor(x),), (tensor(dx),))
    close(found, np.asarray(value))
    close(step, np.asarray(moved))


@pytest.mark.parametrize("name", ONE + SEVERAL)
def test_under_jit_and_vmap(tensor, rng, name):
    x = operand(rng, name, 3, 4, 6)
    function = getattr(pg.fft, name)
    close(pg.jit(function)(tensor(x)), getattr(np.fft, name)(x))
    expected = np.stack([getattr(np.fft, name)(row) for row in x.transpose(1, 0, 2)], 1)
    close(pg.vmap(function, in_axes=1, out_axes=1)(tensor(x)), expected)


# ---- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("error, words, call", [
    (pg.ShapeError, "at least one element", lambda x: pg.fft.fft(x[:, :0])),
    (pg.ShapeError, "at least one element", lambda x: pg.fft.rfft(x, 0)),
    (pg.ShapeError, "at least one element", lambda x: pg.fft.fft(x, 2.5)),
    (pg.ShapeError, "would have 0 elements", lambda x: pg.fft.irfft(x[:, :1])),
    (pg.ShapeError, "not an axis", lambda x: pg.fft.fft(x, axis=2)),
    (pg.ShapeError, "not an axis", lambda x: pg.fft.fft(x[0, 0])),
    (pg.ArgumentError, "norm 'orth'", lambda x: pg.fft.fft(x, norm="orth")),
    (pg.ArgumentError, "norm 'orth'", lambda x: pg.fft.hfft(x, norm="orth")),
    (pg.DtypeError, "real numbers", lambda x: pg.fft.rfft(pg.complex(x, x))),
    (pg.ArgumentError, "2 sizes for 1 axes", lambda x: pg.fft.fftn(x, (1, 2), (0,))),
    (pg.ArgumentError, "no axes", lambda x: pg.fft.rfftn(x, axes=())),
    (pg.ArgumentError, "n is 0", lambda x: pg.fft.fftfreq(0)),
])  # fmt: skip
def test_bad_input(tensor, error, words, call):
    with pytest.raises(error, match=words):
        call(tensor(np.ones((2, 3))))
