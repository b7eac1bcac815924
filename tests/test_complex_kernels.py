"""Kernels on complex dtypes against NumPy and mpmath: values, nan and infinities, strides, sizes of products."""

import itertools
import os
import subprocess
import sys
from functools import partial

import mpmath
import numpy as np
import pytest
from kernels import COMPLEX, LAYOUTS, assert_same, complex_product, join, lay_out, operand, run_kernel, value_of

import pequegrad as pg

INF, NAN = np.inf, np.nan
PART = {"complex64": "float32", "complex128": "float64"}
EPS = {"complex64": 2.0**-24, "complex128": 2.0**-53}

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's warnings about nan and overflow

every_complex = pytest.mark.parametrize("dtype", COMPLEX)


@pytest.fixture
def kernel(device):
    return partial(run_kernel, device)


def check_layouts(kernel, name, xs, result, params=()):
    """The same bits wherever operands lie; empty and single ones, too."""
    shape = (11, 3, 7)
    xs = [x[: 11 * 3 * 7].reshape(shape) for x in xs]
    for k in range(len(LAYOUTS)):
        views = [lay_out(x, LAYOUTS[(k + 2 * j) % 5]) for j, x in enumerate(xs)]
        expected = kernel(name, *[np.ascontiguousarray(value_of(v)) for v in views], params=params, out=(shape, result))
        assert_same(kernel(name, *views, params=params, out=(shape, result)), expected)
    for size in (0, 1):
        few = [x.ravel()[:size] for x in xs]
        assert kernel(name, *few, params=params, out=((size,), result)).shape == (size,)


# ---- arithmetic --------------------------------------------------------------------------------------


@every_complex
def test_parts(kernel, dtype):
    z = operand(dtype, 0, 5003)
    assert_same(kernel("real", z, out=(z.shape, PART[dtype])), np.ascontiguousarray(z.real))
    assert_same(kernel("imag", z, out=(z.shape, PART[dtype])), np.ascontiguousarray(z.imag))
    assert_same(kernel("conj", z), join(z.real, -z.imag))
    x, y = z.real.copy(), z.imag.copy()
    assert_same(kernel("complex", x, y, out=(z.shape, dtype)), z)
    assert_same(kernel("complex", x, y[:1], out=(z.shape, dtype)), join(x, np.broadcast_to(y[:1], x.shape)))
    for name, operands, result in (("real", [z], PART[dtype]), ("imag", [z], PART[dtype]), ("conj", [z], dtype), ("complex", [x, y], dtype)):  # fmt: skip
        check_layouts(kernel, name, operands, result)
        with pytest.raises(pg.DtypeError, match=f"{name}.*not offered for int32"):
            kernel(name, *[np.ones(3, np.int32)] * len(operands))
    with pytest.raises(pg.ShapeError, match="the output is"):
        kernel("real", z)
    with pytest.raises(pg.ShapeError, match="the output is"):
        kernel("complex", x, y)


@every_complex
def test_products(kernel, dtype):
    x, y = operand(dtype, 0, 20_011), operand(dtype, 1, 20_011)
    assert_same(kernel("mul", x, y), complex_product(x, y))
    check_layouts(kernel, "mul", [x, y], dtype)


def modulus_error(found, expected, dtype):
    """|found - expected| in units of eps |expected|, of numbers that are finite in both."""
    return np.abs(found - expected) / (np.abs(expected) * EPS[dtype])


@every_complex
def test_quotients(kernel, rng, dtype):
    x, y = (np.exp(rng.uniform(-20, 20, 4000)) * np.exp(1j * rng.uniform(0, 7, 4000)) for _ in range(2))
    x, y = x.astype(dtype), y.astype(dtype)
    wide = x.astype(np.clongdouble) / y.astype(np.clongdouble)
    assert modulus_error(kernel("div", x, y), wide, dtype).max() < 8  # six roundings in Smith's method
    largest = np.finfo(dtype).max / 4
    huge = np.array([largest + 1j * largest, largest * 1j, largest], dtype)
    np.testing.assert_allclose(kernel("div", huge, huge), 1, rtol=4 * EPS[dtype])  # the plain formula overflows
    with np.errstate(all="ignore"):
        zero = kernel("div", np.array([1, 1j, 0, -1 - 1j], dtype), np.zeros(1, dtype))
        assert_same(
            zero, np.array([complex(INF, NAN), complex(NAN, INF), complex(NAN, NAN), complex(-INF, -INF)], dtype)
        )
    assert_same(
        kernel("div", np.array([1 + 2j], dtype), join(np.array([INF]), np.array([0.0])).astype(dtype)),
        np.zeros(1, dtype),
    )
    check_layouts(kernel, "div", [operand(dtype, 0, 500), operand(dtype, 1, 500)], dtype)


@every_complex
def test_absolute_value_and_sign(kernel, dtype):
    z = operand(dtype, 0, 20_011)
    found = kernel("abs", z, out=(z.shape, PART[dtype]))
    expected = np.hypot(z.real.astype(np.longdouble), z.imag.astype(np.longdouble)).astype(PART[dtype])
    np.testing.assert_allclose(found, expected, rtol=4 * EPS[dtype])
    check_layouts(kernel, "abs", [z], PART[dtype])
    sign = kernel("sign", z)
    finite = np.isfinite(z) & (z != 0) & (np.abs(z.astype(np.clongdouble)) > 4 * np.finfo(PART[dtype]).tiny)
    w = z[finite].astype(np.clongdouble)
    np.testing.assert_allclose(sign[finite], w / np.abs(w), atol=8 * EPS[dtype])
    assert (sign[z == 0] == 0).all() and np.isnan(sign[~np.isfinite(z)]).all()
    check_layouts(kernel, "sign", [z], dtype)


# ---- functions ---------------------------------------------------------------------------------------

MP = {
    "exp": mpmath.exp, "exp2": lambda z: mpmath.mpf(2) ** z, "expm1": lambda z: mpmath.expm1(z), "log": mpmath.log,
    "log1p": lambda z: mpmath.log(1 + z), "sqrt": mpmath.sqrt, "rsqrt": lambda z: 1 / mpmath.sqrt(z), "sin": mpmath.sin,
    "cos": mpmath.cos, "tan": mpmath.tan, "asin": mpmath.asin, "acos": mpmath.acos, "atan": mpmath.atan,
    "sinh": mpmath.sinh, "cosh": mpmath.cosh, "tanh": mpmath.tanh, "asinh": mpmath.asinh, "acosh": mpmath.acosh,
    "atanh": mpmath.atanh, "logistic": lambda z: 1 / (1 + mpmath.exp(-z)),
}  # fmt: skip
NUMPY = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}  # fmt: skip


CANCEL = {"log", "acos", "acosh", "cos", "cosh", "log1p", "sin", "expm1", "tan"}


@every_complex
@pytest.mark.parametrize("name", MP)
def test_functions_are_accurate(kernel, rng, name, dtype):
    """Small, common and (where they have a value) large arguments: errors against |f(z)|."""
    radius = np.exp(np.concatenate([rng.uniform(-16, 2.5, 300), rng.uniform(2.5, 4, 60)]))
    z = (radius * np.exp(1j * rng.uniform(0, 2 * np.pi, 360))).astype(dtype)
    with mpmath.workdps(50):
        expected = np.array([complex(MP[name](mpmath.mpc(complex(v)))) for v in z])
    error = modulus_error(kernel(name, z).astype(np.clongdouble), expected, dtype)
    # cancellation near zeros that are not at the origin (log at 1, cosh at pi i / 2) costs some digits of |f|
    scale = 1 / np.minimum(1, np.abs(expected)) if name in CANCEL else 1
    error /= scale * (1 + np.abs(z) if name == "exp2" else 1)  # z.imag log(2) is an angle: its rounding counts
    assert error.max() < 32, (z[np.argmax(error)], error.max())
    check_layouts(kernel, name, [operand(dtype, 0, 500)], dtype)


@every_complex
@pytest.mark.parametrize("name", sorted({*MP} - {"rsqrt", "logistic", "exp2", "expm1", "log1p"}))
def test_special_values_are_those_of_numpy(kernel, name, dtype):
    special = [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, INF, -INF, NAN]
    x, y = (np.array(v, PART[dtype]) for v in zip(*itertools.product(special, special)))
    z = join(x, y)
    found, expected = kernel(name, z), getattr(np, NUMPY.get(name, name))(z)
    for a, b in ((found.real, expected.real), (found.imag, expected.imag)):
        # C99 leaves the sign of some zeros, infinities and the nan beside an infinity open
        known = np.isfinite(b) & np.isfinite(a)
        np.testing.assert_allclose(a[known], b[known], rtol=16 * EPS[dtype], atol=8 * EPS[dtype])
    assert (np.isfinite(found) == np.isfinite(expected)).all()
    cuts = z[np.isfinite(z)]
    np.testing.assert_allclose(
        kernel(name, cuts), getattr(np, NUMPY.get(name, name))(cuts), rtol=16 * EPS[dtype], atol=8 * EPS[dtype]
    )


@every_complex
def test_functions_near_zero_keep_their_digits(kernel, dtype):
    tiny = np.finfo(PART[dtype]).tiny
    z = np.array([1e-8 + 1e-8j, 1e-20 - 1e-9j, -1e-12 + 0j, 1e-30j, tiny * (1 + 1j)], dtype)
    for name in ("expm1", "log1p", "sin", "sinh", "tan", "tanh", "asin", "atan", "asinh", "atanh"):
        with mpmath.workdps(80):
            expected = np.array([complex(MP[name](mpmath.mpc(complex(v)))) for v in z])
        assert modulus_error(kernel(name, z)[:4], expected[:4], dtype).max() < 8, name
    near = (-0.5 + np.sqrt(0.75) * 1j + np.array([1e-3, 1e-5j, -1e-6])).astype(dtype)  # |1 + z| is near 1
    with mpmath.workdps(80):
        expected = np.array([complex(mpmath.log(1 + mpmath.mpc(complex(v)))) for v in near])
    np.testing.assert_allclose(kernel("log1p", near).real, expected.real, rtol=64 * EPS[dtype])


def test_large_arguments(kernel):
    z = np.array([-800 + 3j, 800 + 3j, complex(-INF, 0), complex(INF, 0)])
    found = kernel("logistic", z)
    np.testing.assert_allclose(found, [0, 1, 0, 1], atol=1e-300)
    assert_same(kernel("expm1", np.array([INF + 0j, -INF + 0j, 1000 + 0j])), np.array([INF + 0j, -1 + 0j, INF + 0j]))
    assert_same(kernel("exp2", np.array([10 + 0j, 2000 + 0j])), np.array([1024 + 0j, INF + 0j]))


@every_complex
def test_powers(kernel, rng, dtype):
    x = (np.exp(rng.uniform(-2, 2, 200)) * np.exp(1j * rng.uniform(-3, 3, 200))).astype(dtype)
    y = (rng.normal(size=200) + 1j * rng.normal(size=200)).astype(dtype)
    wide = x.astype(np.complex128), y.astype(np.complex128)
    np.testing.assert_allclose(kernel("pow", x, y), wide[0] ** wide[1], rtol=200 * EPS[dtype])
    zero, one = np.zeros(4, dtype), np.array([0, 2, 0.5 + 1j, -1], dtype)
    assert_same(kernel("pow", zero, one), np.array([1, 0, 0, complex(NAN, NAN)], dtype))
    assert_same(kernel("pow", one, zero), np.ones(4, dtype))
    check_layouts(kernel, "pow", [operand(dtype, 0, 500), operand(dtype, 1, 500)], dtype)
    for n in (0, 1, 2, 3, 7, -1, -2):
        np.testing.assert_allclose(
            kernel("integer_pow", x, params=[n]), wide[0] ** n, rtol=(16 + 8 * abs(n)) * EPS[dtype]
        )
        check_layouts(kernel, "integer_pow", [operand(dtype, 0, 500)], dtype, [n])
    infinite = np.array([complex(INF, 0), complex(NAN, 1)], dtype)
    assert_same(kernel("integer_pow", infinite, params=[1]), infinite)


# ---- reductions and products -------------------------------------------------------------------------


@every_complex
@pytest.mark.parametrize("name, f", [("reduce_sum", np.sum), ("reduce_prod", np.prod)])
def test_reductions(kernel, rng, name, f, dtype):
    for shape in (
        (7, 1, 33, 5),
        (300, 17),
        (2, 4001),
        (3, 700, 600) if name == "reduce_sum" else (3, 70, 60),
        (0, 3, 2),
    ):
        x = np.exp(0.02 * rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
        subsets = [axes for n in range(len(shape) + 1) for axes in itertools.combinations(range(len(shape)), n)]
        for axes, layout in zip(subsets, itertools.cycle(LAYOUTS if x.size else ("dense",))):
            view = lay_out(x, layout)
            value = value_of(view)
            out = tuple(n for i, n in enumerate(shape) if i not in axes)
            expected = f(value.astype(np.clongdouble), axis=axes)
            found = kernel(name, view, params=axes, out=(out, dtype))
            count = max(int(np.prod([shape[i] for i in axes])), 1)
            scale = count if name == "reduce_sum" else count * np.abs(expected)
            assert (np.abs(found - expected) <= 8 * EPS[dtype] * scale).all()
    for other in ("reduce_max", "reduce_min", "argmax"):
        with pytest.raises(pg.DtypeError, match="not defined for complex"):
            kernel(other, np.ones(3, dtype), params=[0], out=((), np.int32 if other == "argmax" else dtype))


SHAPES = [(1, 1, 1), (1, 5, 3), (5, 1, 3), (4, 3, 1), (1, 300, 7), (300, 1, 7), (64, 64, 64), (13, 17, 300), (3, 2, 20_000), (130, 70, 33)]  # fmt: skip


@every_complex
def test_matrix_products(kernel, rng, dtype):
    """(m, n, k) of all kinds, with transposed, reversed and strided operands, against NumPy in complex128."""
    for (m, n, k), layouts in zip(SHAPES * 2, itertools.cycle(itertools.product(LAYOUTS, LAYOUTS))):
        x, y = (join(rng.normal(size=s), rng.normal(size=s)).astype(dtype) for s in ((m, k), (k, n)))
        x, y = (lay_out(v, layout) for v, layout in zip((x, y), layouts))
        found = kernel("dot_general", x, y, params=[0, 1, 1, 0], out=((m, n), dtype))
        expected = value_of(x).astype(np.complex128) @ value_of(y).astype(np.complex128)
        bound = 4 * (np.sqrt(k) + 8) * EPS[dtype] * np.sqrt(k)
        assert np.abs(found - expected).max() <= bound * 4, (m, n, k, layouts)


@every_complex
def test_batched_products(kernel, rng, dtype):
    x, y = (join(rng.integers(-4, 5, s), rng.integers(-4, 5, s)).astype(dtype) for s in ((5, 3, 4, 2), (2, 6, 5)))
    params = [1, 1, 0, 2, 3, 0]  # batch: axis 0 of x, 2 of y; contracting: 3 and 0
    expected = np.einsum("bijk,knb->bijn", x, y)
    for a, b in itertools.product(LAYOUTS[:4], LAYOUTS[:4]):
        found = kernel("dot_general", lay_out(x, a), lay_out(y, b), params=params, out=((5, 3, 4, 6), dtype))
        assert_same(found, expected.astype(dtype), signs=False)
    wide = kernel("dot_general", x, y, params=params, out=((5, 3, 4, 6), "complex128"))
    assert_same(wide, expected.astype(np.complex128), signs=False)
    vectors = kernel("dot_general", x[:, :, 0, 0], y[0, :3, :].copy(), params=[1, 1, 0, 1, 1, 0], out=((5,), dtype))
    assert_same(vectors, np.einsum("bk,kb->b", x[:, :, 0, 0], y[0, :3, :]), signs=False)
    assert_same(
        kernel("dot_general", x[:0, 0, 0], y[:, :, 0], params=[0, 1, 1, 0], out=((0, 6), dtype)),
        np.zeros((0, 6), dtype),
    )
    empty = kernel("dot_general", x[:, 0, 0, :0], y[:0, :, 0], params=[0, 1, 1, 0], out=((5, 6), dtype))
    assert_same(empty, np.zeros((5, 6), dtype))
    with pytest.raises(pg.ShapeError, match="inputs are float32, but output is complex64"):
        kernel(
            "dot_general", np.ones((2, 2), "f4"), np.ones((2, 2), "f4"), params=[0, 1, 1, 0], out=((2, 2), "complex64")
        )


def test_products_without_blas():
    """The same numbers by the own kernel, in a process that does not load BLAS."""
    if os.environ.get("PG_BLAS") == "none":
        return
    environment = dict(os.environ, PG_BLAS="none")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", __file__, "-k", "matrix_products or batched_products"]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout
