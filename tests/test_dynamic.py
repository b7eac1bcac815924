"""Dynamic slices, bit reinterpretation and copies against jax.lax: clamping, strides, memory, derivatives."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernels import INTEGERS, LAYOUTS, lay_out, operand, run_kernel, value_of

import pequegrad as pg
from pequegrad.core.dtype import NAMES
from pequegrad.runtime.library import lib

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's warnings about nan and conversions

STARTS = (-100, -7, -6, -2, 0, 1, 3, 5, 6, 100)


@pytest.fixture
def kernel(device):
    return partial(run_kernel, device)


def clamped(start, size, part):
    return min(max(int(start), 0), size - part)


# ---- kernels -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_slices_and_updates_of_any_strides(kernel, dtype, layout):
    x, v = lay_out(operand(dtype, 0, 30).reshape(5, 6), layout), lay_out(operand(dtype, 1, 6).reshape(2, 3), layout)
    for i, j in itertools.product((-1, 0, 2, 9), (0, 3, 7)):
        at = np.array(i, "i4"), np.array(j, "i8")
        a, b = clamped(i, 5, 2), clamped(j, 6, 3)
        found = kernel("dynamic_slice", x, *at, out=((2, 3), dtype))
        assert found.tobytes() == value_of(x)[a : a + 2, b : b + 3].tobytes()
        expected = value_of(x).copy()
        expected[a : a + 2, b : b + 3] = value_of(v)
        found = kernel("dynamic_update_slice", x, v, *at, out=((5, 6), dtype))
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", INTEGERS)
def test_starts_of_all_integer_dtypes_are_clamped(kernel, dtype):
    info = np.iinfo(dtype)
    for start in {info.min, -1 if info.min else 0, 3, info.max}:
        found = kernel("dynamic_slice", np.arange(6.0), np.array(start, dtype), out=((2,), "float64"))
        assert found[0] == clamped(start, 6, 2)


# ---- functions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", STARTS)
def test_functions_as_in_jax(tensor, start):
    x, row = np.arange(30.0, dtype="f4").reshape(5, 6), -np.arange(1.0, 6, dtype="f4")
    lax = jax.lax
    cases = [
        (lambda m, x, i: m.dynamic_slice(x, (1, i), (2, 3)), x),
        (lambda m, x, i: m.dynamic_slice_in_dim(x, i, 2, axis=1), x),
        (lambda m, x, i: m.dynamic_index_in_dim(x, i, 1, keepdims=False), x),
        (lambda m, x, i: m.dynamic_index_in_dim(x, i, -1), x),
        (lambda m, x, i: m.dynamic_update_slice(x, x[:2, :2] + 100, (i, i)), x),
        (lambda m, x, i: m.dynamic_update_slice_in_dim(x, x[:, :3] + 100, i, 1), x),
    ]
    for f, x in cases:
        expected = np.asarray(f(lax, jnp.asarray(x), start))
        for i in (start, np.int32(start), tensor(np.int32(start)), tensor(np.int64(start))):
            np.testing.assert_array_equal(f(pg, tensor(x), i).numpy(), expected)
        jitted = pg.jit(partial(f, pg))
        np.testing.assert_array_equal(jitted(tensor(x), tensor(np.int32(start))).numpy(), expected)
    expected = lax.dynamic_update_index_in_dim(jnp.asarray(x), row, start, 1)
    found = pg.dynamic_update_index_in_dim(tensor(x), tensor(row), tensor(np.int8(start)), 1)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_starts_in_one_tensor(tensor):
    x = np.arange(30.0).reshape(5, 6)
    np.testing.assert_array_equal(pg.dynamic_slice(tensor(x), tensor(np.int32([1, -2])), (2, 2)).numpy(), x[1:3, 4:])
    assert pg.dynamic_slice(tensor(3.0), (), ()).item() == 3


def test_a_slice_is_a_view_and_an_update_is_in_place(tensor):
    """A chain of updates copies x once. Otherwise each would need a new array while the last one still exists."""
    n, steps = 1 << 20, 20
    x, i = tensor(np.zeros(n, np.float32)), tensor(np.int32(0))

    @pg.jit
    def loop(x, i):
        for _ in range(steps):
            part = pg.dynamic_slice(x, (i,), (4,)) + 1
            x = pg.dynamic_update_slice(x, part, (i,))
            i = i + 3
        return x

    expected = np.zeros(n, np.float32)
    for k in range(steps):
        expected[3 * k : 3 * k + 4] += 1
    np.testing.assert_array_equal(loop(x, i).numpy(), expected)
    lib.pg_device_reset_peak(x.device.handle)
    before = pg.memory_stats(x.device)["in_use"]
    y = loop(x, i).eval()
    assert pg.memory_stats(x.device)["peak_in_use"] - before < 1.5 * x.nbytes
    assert x.numpy().sum() == 0 and y.numpy().sum() == 4 * steps


@pytest.mark.parametrize("batched", ("x", "i", "xi", "u", "ui", "xui"))
def test_batches_as_in_jax(tensor, rng, batched):
    x, u, i = rng.normal(size=(3, 5, 6)).astype("f4"), rng.normal(size=(3, 2, 3)).astype("f4"), np.int32([-1, 2, 9])
    axes = tuple(0 if name in batched else None for name in "xui")
    args = [v if a == 0 else v[1] for v, a in zip((x, u, i), axes)]

    def f(m, x, u, i):
        start = (i, 1)
        return m.dynamic_slice(x, start, (2, 3)) + u, m.dynamic_update_slice(x, u, start)

    expected = jax.vmap(partial(f, jax.lax), in_axes=axes)(*args)
    found = pg.vmap(partial(f, pg), in_axes=axes)(*map(tensor, args))
    for a, b in zip(found, expected):
        np.testing.assert_array_equal(a.numpy(), b)


def test_derivatives_as_in_jax(tensor, rng):
    x, u, i = rng.normal(size=(5, 6)), rng.normal(size=(2, 3)), np.int32(4)

    def f(m, x, u, i):
        y = m.dynamic_update_slice(x * x, u * u * u, (i - 3, i))
        return (m.dynamic_slice(y, (0, 2), (3, 4)) ** 2).sum()

    t, v, k = tensor(x), tensor(u), tensor(i)
    g = pg.grads([t, v], f(pg, t, v, k))
    gg = pg.grads([t, v], (g[0] ** 2).sum() + (g[1] ** 2).sum())
    with jax.enable_x64(True):
        slopes = jax.jit(jax.grad(partial(f, jax.lax), argnums=(0, 1)))
        norm = lambda x, u: sum((g**2).sum() for g in slopes(x, u, i))
        for found, expected in zip((*g, *gg), (*slopes(x, u, i), *jax.jit(jax.grad(norm, argnums=(0, 1)))(x, u))):
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_what_dynamic_slices_refuse(tensor):
    x = tensor(np.zeros((2, 3)))
    for bad in (
        lambda: pg.dynamic_slice(x, (0, 0), (3, 3)), lambda: pg.dynamic_slice(x, (0,), (1, 1)),
        lambda: pg.dynamic_slice(x, (0, 0), (1,)), lambda: pg.dynamic_update_slice(x, tensor(np.zeros((2, 4))), (0, 0)),
        lambda: pg.dynamic_update_slice(x, tensor(np.zeros(3)), (0, 0)), lambda: pg.dynamic_slice(x, x, (1, 1)),
    ):  # fmt: skip
        with pytest.raises(pg.ShapeError):
            bad()
    with pytest.raises(pg.DtypeError, match="must be an integer"):
        pg.dynamic_slice(x, (0.5, 0), (1, 1))


# ---- bits --------------------------------------------------------------------------------------------

BITS = [name for name in NAMES if name != "bool"]


@pytest.mark.parametrize("source", BITS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_bits_as_in_numpy(kernel, source, layout):
    x = lay_out(operand(source, 0, 3 * 5 * 16).reshape(3, 5, 16), layout)
    value = np.ascontiguousarray(value_of(x))
    for target in BITS:
        dtype = getattr(pg.dt, target)
        ratio = dtype.itemsize / value.dtype.itemsize
        if ratio > 1:
            y = lay_out(np.ascontiguousarray(value[..., : int(ratio)]), layout)
            expected = np.ascontiguousarray(value_of(y)).view(dtype)[..., 0]
            found = kernel("bitcast", y, out=((3, 5), dtype))
        else:
            expected = value.reshape(*value.shape, 1).view(dtype) if ratio < 1 else value.view(dtype)
            found = kernel("bitcast", x, out=(expected.shape, dtype))
        assert found.tobytes() == np.ascontiguousarray(expected).tobytes()


def test_bitcast_convert_type_as_in_jax(tensor):
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    for dtype in (np.int32, np.uint8, np.float16):
        expected = np.asarray(jax.lax.bitcast_convert_type(x, dtype))
        found = pg.bitcast_convert_type(tensor(x), dtype)
        assert found.dtype == expected.dtype
        assert found.numpy().tobytes() == expected.tobytes() and found.shape == expected.shape
    # a part that begins in the middle of an element of the larger dtype
    odd = np.arange(9, dtype=np.float32)
    found = pg.bitcast_convert_type(tensor(odd)[1:].reshape(4, 2), "float64")
    assert found.numpy().tobytes() == odd[1:].tobytes()
    t = tensor(x)
    (g,) = pg.grads([t], (t * pg.bitcast_convert_type(t, "int32").astype("float32")).sum())
    np.testing.assert_array_equal(g.numpy(), x.view(np.int32).astype(np.float32))


def test_what_bitcast_refuses(tensor):
    with pytest.raises(pg.DtypeError, match="bits"):
        pg.bitcast_convert_type(tensor(np.zeros(3, bool)), "int8")
    with pytest.raises(pg.ShapeError, match="make one"):
        pg.bitcast_convert_type(tensor(np.zeros((2, 3), "f4")), "float64")


def test_copy(tensor):
    x = tensor(np.arange(6.0).reshape(2, 3))
    y = pg.copy(x.T)
    np.testing.assert_array_equal(y.numpy(), x.numpy().T)
    (g,) = pg.grads([x], (y * y).sum())
    np.testing.assert_array_equal(g.numpy(), 2 * x.numpy())
