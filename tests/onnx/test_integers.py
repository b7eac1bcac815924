"""Products of integers of 8 bits are exact, whatever they are computed in."""

import numpy as np
import pytest

import pequegrad as pg

pytest.importorskip("onnx")
from pequegrad.onnx.ops.convolution import conv, conv_integer  # noqa: E402
from pequegrad.onnx.ops.integers import integer_product  # noqa: E402
from pequegrad.onnx.ops.matrices import matmul_integer  # noqa: E402
from pequegrad.onnx.ops.quantization import qlinear_conv, qlinear_matmul  # noqa: E402

RNG = np.random.default_rng(0)
LIMITS = {"uint8": (0, 256), "int8": (-128, 128)}


def some(shape, dtype, kind):
    low, high = LIMITS[dtype]
    if kind == "random":
        return RNG.integers(low, high, shape).astype(dtype)
    if kind == "large":  # sums come close to 2^24, where runtime/cpu/conv_winograd.c would round
        return RNG.integers(90, 110, shape).astype(dtype)
    if kind == "small":
        return RNG.integers(max(low, -9), 10, shape).astype(dtype)
    return RNG.choice([low, high - 1], shape).astype(dtype)


def difference(x, zero):
    return x.astype("int32") - zero.astype("int32")


@pytest.mark.parametrize("weights", ["random", "small", "extreme", "large"])
@pytest.mark.parametrize("channels, window", [(3, 3), (20, 3), (64, 3), (64, 1), (130, 2), (300, 3)])
@pytest.mark.parametrize("known", [False, True])
def test_convolutions_are_exact(channels, window, weights, known):
    """Also where they would be transformed."""
    x, w = some((1, channels, 16, 16), "uint8", "extreme"), some((40, channels, window, window), "int8", weights)
    x_zero, w_zero = np.array(3, np.uint8), RNG.integers(-5, 6, 40).astype(np.int8)
    options = {"pads": [1, 1, 1, 1]}
    expected = conv(
        pg.Tensor(difference(x, x_zero)), pg.Tensor(difference(w, w_zero.reshape(-1, 1, 1, 1))), **options
    ).numpy()
    made = (lambda v: v) if known else pg.Tensor
    run = lambda x: conv_integer(x, made(w), pg.Tensor(x_zero), made(w_zero), **options)
    for function in (run, pg.jit(run)):
        y = function(pg.Tensor(x))
        assert y.dtype.name == "int32"
        np.testing.assert_array_equal(y.numpy(), expected)


@pytest.mark.parametrize("b_dtype", ["uint8", "int8"])
@pytest.mark.parametrize("terms", [7, 300, 40_000])
@pytest.mark.parametrize("known", [False, True])
def test_products_of_matrices_are_exact(terms, b_dtype, known):
    """Of so many terms that int32 overflows, too."""
    a, b = some((2, 5, terms), "uint8", "extreme"), some((terms, 6), b_dtype, "random")
    a_zero, b_zero = RNG.integers(0, 9, (2, 5, 1)).astype(np.uint8), some((6,), b_dtype, "small")
    expected = (difference(a, a_zero).astype(np.int64) @ difference(b, b_zero).astype(np.int64)).astype(np.int32)
    made = (lambda v: v) if known else pg.Tensor
    run = lambda a: matmul_integer(a, made(b), pg.Tensor(a_zero), made(b_zero))
    np.testing.assert_array_equal(run(pg.Tensor(a)).numpy(), expected)
    np.testing.assert_array_equal(pg.jit(run)(pg.Tensor(a)).numpy(), expected)


def test_the_narrowest_type_that_holds_all_sums_is_taken():
    seen = []

    def product(a, b):
        seen.append(a.dtype.name)
        return pg.matmul(a, b)

    def run(terms, known=False, value=127, **options):
        a, b = pg.Tensor(np.ones((1, terms), np.uint8)), np.full((terms, 1), value, np.int8)
        y = integer_product(product, a, b if known else pg.Tensor(b), (None, None), terms, -2, **options)
        assert y.item() == terms * value
        return seen.pop()

    assert run(258) == "float32" and run(259) == "float64" and run(33_026) == "int32"
    assert run(259, wider=False) == "int32" and run(258, narrow=False) == "float64"
    assert run(518, known=True) == "float32" and run(519, known=True) == "float64"
    assert run(30_000, known=True, value=2) == "float32"
    whole = lambda v: pg.Tensor(np.array([[v]], np.int32))
    assert integer_product(pg.matmul, whole(1 << 20), whole(7), (None, None), 1, -2).item() == 7 << 20


def test_quantised_results_are_those_of_integers():
    x, w = some((2, 40, 9, 9), "uint8", "random"), some((33, 40, 3, 3), "int8", "random")
    b = RNG.integers(-(2**30), 2**30, 33).astype(np.int32)
    scale, zero = np.float32(1e-3), np.uint8(7)
    t = pg.Tensor
    total = conv(t(difference(x, zero)), t(difference(w, np.int8(1))), t(b)).numpy()
    expected = np.clip(np.round(total.astype(np.float32) * (scale * scale / np.float32(4.0))) + 7, 0, 255)
    y = qlinear_conv(t(x), t(scale), t(zero), w, t(scale), np.int8(1), t(np.float32(4.0)), t(zero), t(b))
    assert np.abs(y.numpy() - expected).max() <= 1 and (y.numpy() == expected).mean() > 0.999
    a, m = some((3, 50), "uint8", "random"), some((50, 4), "int8", "random")
    total = difference(a, zero) @ difference(m, np.int8(1))
    expected = np.clip(np.round(total.astype(np.float32) * np.float32(0.01)) + 7, 0, 255)
    one = t(np.float32(1.0))
    y = qlinear_matmul(t(a), t(np.float32(0.01)), t(zero), m, one, np.int8(1), one, t(zero))
    assert np.abs(y.numpy() - expected).max() <= 1 and (y.numpy() == expected).mean() > 0.9
