"""Cumulative reductions and linear recurrences against NumPy, JAX and exact sums: all dtypes, strides, nan, derivatives."""

from functools import partial

import jax
import numpy as np
import pytest
from kernels import FLOATS, INTEGERS, LAYOUTS, NUMBERS, lay_out, operand, plain, run_kernel, value_of

import pequegrad as pg
from pequegrad.core.dtype import NAMES
from pequegrad.primitives import cumulative
from pequegrad.primitives.cumulative import linear_recurrence

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's warnings about nan and overflow

KERNELS = {"cumsum": np.add, "cumprod": np.multiply, "cummax": np.maximum, "cummin": np.minimum}
SIZES = (0, 1, 2, 9, 1023, 1025, 3000)  # around where a row is cut
LONG = 20 * 1024 + 5  # a row whose blocks are scanned at once


@pytest.fixture
def kernel(device):
    return partial(run_kernel, device)


def accumulated(name, x, axis, reverse):
    """The reference: exact for integers, wide for floats."""
    x = np.flip(x, axis) if reverse else x
    if x.dtype == bool:
        ufunc = np.logical_or if name in ("cumsum", "cummax") else np.logical_and
        out = ufunc.accumulate(x, axis)
    elif x.dtype.kind in "iu":
        out = KERNELS[name].accumulate(x, axis, dtype=x.dtype)
    else:
        wide = plain(x).astype(np.longdouble if name in ("cumsum", "cumlogsumexp") else np.float64)
        out = np.logaddexp.accumulate(wide, axis) if name == "cumlogsumexp" else KERNELS[name].accumulate(wide, axis)
    return np.flip(out, axis) if reverse else out


def check(name, x, axis, reverse, found):
    expected = accumulated(name, x, axis, reverse)
    assert found.dtype == x.dtype and found.shape == x.shape
    if x.dtype.name not in FLOATS or name in ("cummax", "cummin"):
        return np.testing.assert_array_equal(plain(found), expected.astype(plain(found).dtype))
    eps = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}[x.dtype.name]
    size = np.abs(plain(x)).astype(np.float64)
    scale = accumulated("cumsum", size, axis, reverse) if name == "cumsum" else np.abs(expected)
    # sums: one rounding of the result, and blocks of 1024 in float64 or, for 16-bit floats, float32
    computed = 2.0**-53 if x.dtype.itemsize >= 4 else 2.0**-24
    steps = 1024 if name == "cumsum" else x.shape[axis] * (1 if x.dtype.itemsize == 8 else 2 if eps == computed else 1)
    if name == "cumprod" and x.dtype == np.float32:
        computed = eps
    if name == "cumlogsumexp":
        computed, steps = (2.0**-53 if x.dtype == np.float64 else 2.0**-24), 64
        scale = scale + 1
    found, expected = plain(found).astype(np.float64), expected.astype(np.float64)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    judged = np.isfinite(expected)
    assert (np.abs(found - expected)[judged] <= ((2 * eps + steps * computed) * scale)[judged] + 1e-300).all()


def values(name, dtype, shape, rng):
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype in INTEGERS:
        return operand(dtype, 2, int(np.prod(shape))).reshape(shape)
    x = np.exp(rng.normal(size=shape) / 20) if name == "cumprod" else rng.normal(size=shape)
    return x.astype(getattr(pg.dt, dtype))


def kinds(name):
    return FLOATS if name == "cumlogsumexp" else [d for d in NAMES if "complex" not in d]


CASES = [(name, dtype) for name in (*KERNELS, "cumlogsumexp") for dtype in kinds(name)]


@pytest.mark.parametrize("name, dtype", CASES)
def test_rows_of_all_sizes(kernel, rng, name, dtype):
    for n in SIZES:
        for reverse in (0, 1):
            x = values(name, dtype, (3, n), rng)
            check(name, x, 1, reverse, kernel(name, x, params=(1, reverse)))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype, rtol", [("complex64", 2e-4), ("complex128", 1e-12)])  # 1500 roundings
def test_complex_numbers(tensor, rng, dtype, rtol, reverse):
    x = (np.exp(rng.normal(size=(3, 1500)) / 50 + 1j * rng.normal(size=(3, 1500)))).astype(dtype)
    flip = (lambda a: a[:, ::-1]) if reverse else lambda a: a
    scan = {"axis": 1, "reverse": reverse}
    products = flip(np.cumprod(flip(x).astype("complex128"), 1))
    np.testing.assert_allclose(cumulative.cumprod(tensor(x), **scan).numpy(), products, rtol=rtol)
    sums = flip(np.cumsum(flip(x).astype("complex128"), 1))
    np.testing.assert_allclose(cumulative.cumsum(tensor(x), **scan).numpy(), sums, rtol=rtol, atol=rtol * 10)
    h, rows = np.zeros(3, "complex128"), []
    for column in flip(x).T.astype("complex128"):
        h = 0.5j * column * h + column
        rows.append(h)
    found = cumulative.linear_recurrence(tensor(x * np.array(0.5j, dtype)), tensor(x), **scan).numpy()
    np.testing.assert_allclose(found, flip(np.array(rows).T), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axis", (0, 1, 2))
@pytest.mark.parametrize("name, dtype", [c for c in CASES if c[1] in ("int16", "float16", "float64")])
def test_any_strides(kernel, rng, name, dtype, axis, layout):
    x = lay_out(values(name, dtype, (17, 19, 21), rng), layout)
    check(name, value_of(x), axis, 1, kernel(name, x, params=(axis, 1)))


@pytest.mark.parametrize("name, dtype", [c for c in CASES if c[1] in ("uint8", "bfloat16", "float32", "float64")])
def test_long_rows_are_the_same_for_any_number_of_threads(kernel, rng, name, dtype):
    threads = pg.num_threads()
    for shape, axis in (((LONG,), 0), ((2, LONG), 1), ((LONG, 3), 0), ((40, 3000), 1)):
        x, found = values(name, dtype, shape, rng), []
        try:
            for n in (1, 2, 3):
                pg.set_num_threads(n)
                found.append(kernel(name, x, params=(axis, 0)))
        finally:
            pg.set_num_threads(threads)
        assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()
        if name != "cumprod":
            check(name, x, axis, 0, found[0])


def test_sums_of_many_float32_are_as_good_as_one_rounding(tensor):
    x = np.full(3_000_000, 0.1, np.float32)
    exact = np.arange(1, x.size + 1) * np.float64(x[0])
    found = pg.cumsum(tensor(x)).numpy()
    assert np.max(np.abs(found / exact - 1)) <= 2.0**-24
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("name", (*KERNELS, "logcumsumexp"))
def test_nan_stays(tensor, name):
    x = np.array([1.0, 2.0, np.nan, 0.0, -np.inf, 3.0])
    found = getattr(pg, name)(tensor(x)).numpy()
    np.testing.assert_array_equal(np.isnan(found), [False, False, True, True, True, True])


def test_infinities_in_logcumsumexp(tensor):
    x = np.array([-np.inf, -np.inf, 0.0, 1000.0, np.inf, 1.0])
    expected = np.logaddexp.accumulate(x)
    np.testing.assert_allclose(pg.logcumsumexp(tensor(x)).numpy(), expected)
    t = tensor(x[:4])
    (g,) = pg.grads([t], pg.logcumsumexp(t)[3])
    np.testing.assert_array_equal(g.numpy(), [0, 0, 0, 1])


# ---- functions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ("bool", "int8", "uint32", "float16", "float32"))
@pytest.mark.parametrize("axis", (None, 0, -1))
def test_functions(tensor, rng, dtype, axis):
    """Dtypes are JAX's: bool becomes int32, others stay."""
    x = rng.integers(0, 3, (4, 5)).astype(dtype)
    for name in ("cumsum", "cumprod"):
        found = getattr(pg, name)(tensor(x), axis).numpy()
        assert found.dtype == (np.int32 if dtype == "bool" else dtype)
        np.testing.assert_array_equal(found, getattr(np, name)(x, axis, dtype=found.dtype))
    flat, a = (x.ravel(), 0) if axis is None else (x, axis % 2)
    for name in ("cummax", "cummin"):
        for reverse in (False, True):
            expected = accumulated(name, flat, a, reverse)
            np.testing.assert_array_equal(getattr(tensor(x), name)(dim=axis, reverse=reverse).numpy(), expected)
    assert pg.cumsum(tensor(x), 0, dtype="float64").dtype == np.float64


def test_differences(tensor, rng):
    x = rng.normal(size=(3, 5))
    for n in range(7):
        np.testing.assert_array_equal(pg.diff(tensor(x), n).numpy(), np.diff(x, n))
    found = pg.diff(tensor(x), axis=0, prepend=1.0, append=tensor(x[:1]))
    np.testing.assert_array_equal(found.numpy(), np.diff(x, axis=0, prepend=1.0, append=x[:1]))
    b = rng.integers(0, 2, 9).astype(bool)
    np.testing.assert_array_equal(pg.diff(tensor(b)).numpy(), np.diff(b))


def test_what_they_refuse(tensor):
    x = tensor(np.zeros((2, 3)))
    for bad in (
        lambda: pg.cumsum(x, 2),
        lambda: pg.diff(tensor(1.0)),
        lambda: linear_recurrence(x, x[0], axis=0, reverse=False),
    ):
        with pytest.raises(pg.ShapeError):
            bad()
    with pytest.raises(pg.ArgumentError, match="Both axis and dim"):
        pg.cumsum(x, 0, dim=1)
    with pytest.raises(pg.ArgumentError, match="n is -1"):
        pg.diff(x, -1)
    with pytest.raises(pg.DtypeError, match="number dtype"):
        linear_recurrence(x, tensor(np.zeros((2, 3), "f4")), axis=0, reverse=False)


# ---- derivatives -------------------------------------------------------------------------------------

JAX = {"cumsum": jax.lax.cumsum, "cumprod": jax.lax.cumprod, "cummax": jax.lax.cummax, "cummin": jax.lax.cummin,
       "logcumsumexp": jax.lax.cumlogsumexp}  # fmt: skip


@pytest.mark.parametrize("name, reverse", list(zip(JAX, (False, True, False, True, False))))
def test_first_and_second_derivatives_as_in_jax(tensor, rng, name, reverse):
    x, ct = rng.normal(size=(3, 6)), rng.normal(size=(3, 6))
    t = tensor(x)
    with jax.enable_x64(True):
        loss = lambda x: (JAX[name](x, axis=1, reverse=reverse) ** 2 * ct).sum()
        slope = jax.jit(jax.grad(loss))
        (g,) = pg.grads([t], (getattr(pg, name)(t, 1, reverse=reverse) ** 2 * ct).sum())
        (gg,) = pg.grads([t], (g * g).sum())
        np.testing.assert_allclose(g.numpy(), slope(x), rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(
            gg.numpy(), jax.jit(jax.grad(lambda x: (slope(x) ** 2).sum()))(x), rtol=1e-10, atol=1e-12
        )


@pytest.mark.parametrize("zeros", ([], [0], [2], [4], [1, 3], [0, 1, 2, 3, 4]))
def test_products_with_zeros(tensor, rng, zeros):
    """The products without one factor, for the reference: one by one."""
    x = rng.normal(size=5)
    x[zeros] = 0
    ct = rng.normal(size=5)
    without = lambda i, upto: np.prod(np.delete(x[: upto + 1], i))
    t = tensor(x)
    (g,) = pg.grads([t], pg.cumprod(t), tensor(ct))
    expected = [sum(ct[j] * without(i, j) for j in range(i, 5)) for i in range(5)]
    np.testing.assert_allclose(g.numpy(), expected, rtol=1e-12, atol=1e-15)
    (g,) = pg.grads([t], t.prod())
    np.testing.assert_allclose(g.numpy(), [without(i, 4) for i in range(5)], rtol=1e-12, atol=1e-15)
    hessian = [pg.grads([t], g[i])[0].numpy() for i in range(5)]
    expected = [[0 if i == j else np.prod(np.delete(x, [i, j])) for j in range(5)] for i in range(5)]
    np.testing.assert_allclose(hessian, expected, rtol=1e-12, atol=1e-15)


def test_the_derivative_of_prod_takes_linear_memory(device):
    x = pg.full((200_000,), 1.0, device=device)  # a table of all pairs would have 160 GB
    (g,) = pg.grads([x], x.prod())
    np.testing.assert_array_equal(g.numpy(), 1)


def test_ties_share_the_derivative_of_extrema(tensor):
    x = tensor([1.0, 3.0, 3.0, 2.0, 3.0])
    (g,) = pg.grads([x], pg.cummax(x)[4])
    np.testing.assert_allclose(g.numpy(), [0, 1 / 3, 1 / 3, 0, 1 / 3])
    (g,) = pg.grads([x], x.max())
    np.testing.assert_allclose(g.numpy(), [0, 1 / 3, 1 / 3, 0, 1 / 3])


# ---- the recurrence ----------------------------------------------------------------------------------


def recurrence(a, b, reverse):
    h, out = np.zeros(a.shape[1:], a.dtype), np.empty_like(a)
    for i in range(len(a))[:: -1 if reverse else 1]:
        h = out[i] = (a[i] * h + b[i]).astype(a.dtype)
    return out


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", ((30, 4, 7), (2, 3), (0, 3), (300, 1)))
def test_linear_recurrence(kernel, rng, dtype, layout, shape):
    draw = (lambda: rng.integers(0, 3, shape)) if dtype in INTEGERS else (lambda: rng.uniform(-1, 1, shape))
    if layout == "broadcast" and not shape[0]:
        return
    a, b = (lay_out(draw().astype(getattr(pg.dt, dtype)), layout) for _ in range(2))
    wide = np.float32 if getattr(pg.dt, dtype).itemsize == 2 and dtype in FLOATS else getattr(pg.dt, dtype)
    for reverse in (0, 1):
        expected = recurrence(value_of(a).astype(wide), value_of(b).astype(wide), reverse).astype(value_of(a).dtype)
        found = kernel("linear_recurrence", a, b, params=(0, reverse))
        np.testing.assert_array_equal(plain(found), plain(expected))


def test_linear_recurrence_under_jit_and_vmap(tensor, rng):
    a, b = rng.normal(size=(2, 5)), rng.normal(size=(3, 2, 5))
    f = lambda b: linear_recurrence(tensor(a), b, axis=1, reverse=False)
    found = pg.jit(pg.vmap(f))(tensor(b)).numpy()
    for i in range(3):
        np.testing.assert_allclose(found[i], recurrence(a.T, b[i].T, False).T, rtol=1e-13)
