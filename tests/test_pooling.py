"""Windows and pooling against JAX (reduce_window), PyTorch (pooling) and NumPy (every dtype, positions of maxima)."""

import itertools
import math

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch
from conftest import FULL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import lax
from kernels import COMPLEX, LAYOUTS, lay_out, numpy_dtype, run_kernel, value_of

import pequegrad as pg
from pequegrad.core.dtype import NAMES, dt
from pequegrad.core.errors import ArgumentError, DtypeError, ShapeError
from pequegrad.primitives import windows as w

F = torch.nn.functional


def generated(normal, full):
    return settings(
        max_examples=full if FULL else normal, deadline=None, database=None, derandomize=not FULL,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip


# ---- reduce_window -----------------------------------------------------------------------------------


@st.composite
def window_problems(draw, least=0):
    n = draw(st.integers(least, 4))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(n))
    shape = each(1, 7 if n < 4 else 4)
    spread = tuple(draw(st.sampled_from([1, 1, 1, 2, 3])) for _ in range(n))
    padding = tuple(
        (low, max(high, -low - (size - 1) * d - 1))
        for low, high, size, d in zip(each(-2, 3), each(-2, 3), shape, spread)
    )
    params = {
        "window": each(1, 3),
        "step": each(1, 3),
        "padding": padding,
        "base_dilation": spread,
        "dilation": each(1, 2),
    }
    return shape, params


def in_jax(name, params):
    """The same reduction as a function of jax.lax."""
    names = {"window": "window_dimensions", "step": "window_strides", "dilation": "window_dilation"}
    params = {names.get(k, k): v for k, v in params.items()}
    init, op = {"sum": (0.0, lax.add), "max": (-np.inf, lax.max), "min": (np.inf, lax.min)}[name]
    return lambda x: lax.reduce_window(x, np.asarray(init, x.dtype), op, **params)


@generated(12, 400)
@given(window_problems(), st.sampled_from(["sum", "max", "min"]), st.integers(0, 2**32 - 1))
def test_reduce_window_agrees_with_jax(device, problem, name, seed):
    shape, params = problem
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(shape) < 0.05, np.nan, rng.integers(0, 5, shape))
    with jax.enable_x64(True):
        expected = np.asarray(in_jax(name, params)(jnp.asarray(x)))
    found = getattr(w, f"reduce_window_{name}")(pg.Tensor(x, dtype=dt.float64, device=device), **params).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@generated(6, 150)
@given(window_problems(least=1), st.sampled_from(["sum", "max", "min"]), st.integers(0, 2**32 - 1))
def test_derivatives_agree_with_jax(device, problem, name, seed):
    """In reverse with many ties: the first of equal elements has the derivative. (Forward, JAX picks either.)

    JAX has no derivative for dilated windows of maxima.
    """
    shape, params = problem
    if name != "sum":
        params = {**params, "base_dilation": (1,) * len(shape), "dilation": (1,) * len(shape)}
        params["padding"] = tuple((max(a, 0), max(b, 0)) for a, b in params["padding"])
    rng = np.random.default_rng(seed)
    x, dx = np.reshape(rng.permutation(math.prod(shape)) + 0.0, shape), rng.normal(size=shape)
    ties = rng.integers(0, 3, shape) + 0.0
    mine, theirs = lambda x: getattr(w, f"reduce_window_{name}")(x, **params), in_jax(name, params)
    to = lambda a: pg.Tensor(a, dtype=dt.float64, device=device)
    with jax.enable_x64(True):
        out, tangent = map(np.asarray, jax.jvp(theirs, (jnp.asarray(x),), (jnp.asarray(dx),)))
        seen = np.isfinite(out)  # the tangent of a window over nothing but padding is made of padding in JAX, 0 here
        ct = np.where(seen, rng.normal(size=out.shape), 0)
        (expected,) = jax.vjp(theirs, jnp.asarray(ties))[1](jnp.asarray(ct))
    _, moved = pg.jvp(mine, (to(x),), (to(dx),))
    np.testing.assert_allclose(moved.numpy()[seen], tangent[seen], rtol=1e-11, atol=1e-11)
    t = to(ties)
    (g,) = pg.grads([t], mine(t), to(ct))
    np.testing.assert_allclose(g.numpy(), expected, rtol=1e-11, atol=1e-11)


def looped(x, params):
    """For each window, the elements of x that it sees, and their indices in x."""
    window, step, padding, spread, dilation = (
        params[k] for k in ("window", "step", "padding", "base_dilation", "dilation")
    )
    extent = [(n - 1) * b + 1 + a + z for n, b, (a, z) in zip(x.shape, spread, padding)]
    outs = [max(0, (m - (k - 1) * d - 1) // s + 1) for m, k, d, s in zip(extent, window, dilation, step)]
    positions = np.arange(x.size).reshape(x.shape)
    for i in itertools.product(*map(range, outs)):
        seen = []
        for k in itertools.product(*map(range, window)):
            at = [i_ * s + k_ * d - low for i_, s, k_, d, (low, _) in zip(i, step, k, dilation, padding)]
            if all(a % b == 0 and 0 <= a // b < n for a, b, n in zip(at, spread, x.shape)):
                place = tuple(a // b for a, b in zip(at, spread))
                seen.append((x[place], positions[place]))
        yield i, seen


SHAPE = (3, 6, 21)
PARAMS = {"window": (2, 3, 4), "step": (1, 2, 3), "padding": ((1, 0), (-1, 2), (3, 1)), "base_dilation": (1, 1, 1), "dilation": (2, 1, 2)}  # fmt: skip
LISTS = ("window", "step", "padding", "base_dilation", "dilation")


def flat(params):
    return [v for a, b, (c, d), e, f in zip(*(params[k] for k in LISTS)) for v in (a, b, c, d, e, f)]


def out_shape(params, shape):
    rows = zip(shape, *(params[k] for k in LISTS))
    return tuple(((n - 1) * b + 1 + sum(p) - (k - 1) * d - 1) // s + 1 for n, k, s, p, b, d in rows)


KERNELS = ("reduce_window_sum", "reduce_window_max", "reduce_window_min", "window_argmax", "window_argmin")
CASES = [
    (name, dtype)
    for name in KERNELS
    for dtype in NAMES
    if dtype not in (("bool",) if name.endswith("sum") else COMPLEX)
]


@pytest.mark.parametrize("name, dtype", CASES)
def test_kernels_in_every_dtype_and_layout(device, rng, name, dtype):
    kind = numpy_dtype(dtype)
    values = rng.integers(0, 2 if dtype == "bool" else 9, SHAPE).astype(kind)
    if kind.kind not in "bui":
        values[rng.random(SHAPE) < 0.02] = np.nan
    if dtype in COMPLEX:
        values = values + 1j * rng.integers(0, 9, SHAPE).astype(kind)
    for layout in LAYOUTS if dtype in ("float32", "uint8", "bfloat16") else LAYOUTS[1:2]:
        x = lay_out(values, layout)
        out_kind = np.int64 if "arg" in name else kind
        found = run_kernel(device, name, x, params=flat(PARAMS), out=(out_shape(PARAMS, SHAPE), out_kind))
        sign = -1 if name.endswith("min") else 1
        for i, seen in looped(value_of(x), PARAMS):
            numbers = [sign * (complex if dtype in COMPLEX else float)(v) for v, _ in seen]
            if name == "reduce_window_sum":
                np.testing.assert_array_equal(np.complex128(found[i]), np.complex128(sum(numbers)))
                continue
            if not numbers:
                assert "arg" not in name or found[i] == -1
                continue
            best = next(
                (j for j, v in enumerate(numbers) if math.isnan(v)), max(range(len(numbers)), key=numbers.__getitem__)
            )
            if "arg" in name:
                assert found[i] == seen[best][1]
            else:
                np.testing.assert_array_equal(np.float64(found[i]), np.float64(seen[best][0]))


def test_windows_over_long_rows(tensor, rng):
    """More outputs than are made at once, and windows that reach from one part of a row into the next."""
    x = rng.normal(size=(2, 3001)).astype("f4")
    params = {
        "window": (1, 700),
        "step": (1, 2),
        "padding": ((0, 0), (650, 10)),
        "base_dilation": (1, 1),
        "dilation": (1, 1),
    }
    view = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (650, 10)), constant_values=-np.inf), 700, 1)[
        :, ::2
    ]
    np.testing.assert_array_equal(w.reduce_window_max(tensor(x), **params).numpy(), view.max(-1))
    params.pop("base_dilation")
    at = w.window_argmax(tensor(x), **params).numpy()
    np.testing.assert_array_equal(x.ravel()[at], view.max(-1))


# ---- pooling -----------------------------------------------------------------------------------------


@st.composite
def poolings(draw):
    n = draw(st.integers(1, 3))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(n))
    window = each(1, 4)
    padding = tuple(draw(st.integers(0, k // 2)) for k in window)
    dilation = each(1, 2)
    sizes = tuple((k - 1) * d + 1 + draw(st.integers(0, 6)) for k, d in zip(window, dilation))
    batch = draw(st.sampled_from([(), (1,), (2,)]))
    params = {"stride": draw(st.none() | st.just(each(1, 3))), "padding": padding, "ceil_mode": draw(st.booleans())}
    return (
        n,
        (*batch, draw(st.integers(1, 3)), *sizes),
        window,
        params,
        dilation,
        draw(st.booleans()),
        draw(st.booleans()),
    )


def compare(device, mine, theirs, x, rng, n, channels_last):
    to = lambda a: pg.Tensor(np.moveaxis(a, -n - 1, -1) if channels_last else a, dtype=dt.float64, device=device)
    back = lambda a: np.moveaxis(a.numpy(), -1, -n - 1) if channels_last else a.numpy()
    t, y = torch.tensor(x, requires_grad=True), to(x)
    expected, found = theirs(t), mine(y)
    np.testing.assert_allclose(back(found), expected.detach().numpy(), rtol=1e-11, atol=1e-11)
    ct = rng.normal(size=expected.shape)
    (wanted,) = torch.autograd.grad(expected, t, torch.tensor(ct))
    np.testing.assert_allclose(back(pg.grads([y], found, to(ct))[0]), wanted.numpy(), rtol=1e-11, atol=1e-11)


@generated(60, 2000)
@given(poolings(), st.integers(0, 2**32 - 1))
def test_pooling_agrees_with_torch(device, problem, seed):
    n, shape, window, params, dilation, count_include_pad, channels_last = problem
    rng = np.random.default_rng(seed)
    x = rng.permutation(math.prod(shape)).reshape(shape) / 7  # no ties: which of several maxima gets a gradient differs
    data_format = f"N{'DHW'[3 - n :]}C" if channels_last else None
    pool = lambda module, name: getattr(module, f"{name}_pool{n}d")
    compare(
        device, lambda x: pool(pg, "max")(x, window, dilation=dilation, data_format=data_format, **params),
        lambda x: pool(F, "max")(x, window, dilation=dilation, **params), x, rng, n, channels_last,
    )  # fmt: skip
    params["count_include_pad"] = count_include_pad
    compare(
        device, lambda x: pool(pg, "avg")(x, window, data_format=data_format, **params),
        lambda x: pool(F, "avg")(x, window, **params), x, rng, n, channels_last,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_floats_are_summed_in_float32(tensor, rng, dtype):
    kind = numpy_dtype(dtype)
    x = rng.normal(size=(2, 3, 32, 32)).astype(kind)
    found = pg.avg_pool2d(tensor(x, kind), 16)
    assert found.dtype == kind
    expected = x.astype("f4").reshape(2, 3, 2, 16, 2, 16).mean((3, 5)).astype(kind)
    # sums of 256 numbers in another order: at most one unit in the last place
    np.testing.assert_allclose(
        found.numpy().astype("f4"), expected.astype("f4"), rtol=2 * float(ml_dtypes.finfo(kind).eps)
    )
    largest = pg.max_pool2d(tensor(x, kind), 4).numpy()
    np.testing.assert_array_equal(largest.astype("f4"), x.astype("f4").reshape(2, 3, 8, 4, 8, 4).max((3, 5)))


def test_integers(tensor, rng):
    x = rng.integers(-9, 9, (1, 2, 4, 4)).astype("i4")
    blocks = x.reshape(1, 2, 2, 2, 2, 2)
    np.testing.assert_array_equal(pg.max_pool2d(tensor(x), 2).numpy(), blocks.max((3, 5)))
    means = tensor(x).avg_pool2d(2)
    assert means.dtype == dt.float32
    np.testing.assert_array_equal(means.numpy(), blocks.mean((3, 5), dtype="f4"))


def test_global_pooling_and_words(tensor, rng):
    x = rng.normal(size=(2, 3, 5, 7)).astype("f4")
    np.testing.assert_allclose(pg.global_avg_pool(tensor(x)).numpy(), x.mean((2, 3)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(pg.global_max_pool(tensor(x), keepdims=True).numpy(), x.max((2, 3), keepdims=True))
    turned = pg.global_max_pool(tensor(np.moveaxis(x, 1, -1).copy()), data_format="NHWC")
    np.testing.assert_array_equal(turned.numpy(), x.max((2, 3)))
    same = lax.reduce_window(x, -np.inf, lax.max, (1, 1, 3, 2), (1, 1, 2, 2), "SAME")
    np.testing.assert_array_equal(pg.max_pool2d(tensor(x), (3, 2), 2, padding="same").numpy(), same)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_local_response_norm_agrees_with_torch(device, rng, size):
    x = rng.normal(size=(2, 4, 3, 3))
    theirs = lambda x: F.local_response_norm(x, size, alpha=0.1, beta=0.6, k=1.5)
    compare(device, lambda x: pg.local_response_norm(x, size, alpha=0.1, beta=0.6, k=1.5), theirs, x, rng, 2, False)


def test_second_derivative_and_vmap_of_max_pooling(tensor, rng):
    x = tensor(rng.permutation(3 * 36).reshape(3, 1, 1, 6, 6) / 10, "float64")
    f = lambda x: (pg.max_pool2d(x, 3, 2, padding=1) ** 3).sum()
    gradients = pg.vmap(pg.grad(f))(x)
    for i in range(3):
        np.testing.assert_allclose(gradients[i].numpy(), pg.grad(f)(x[i]).numpy(), rtol=1e-12)
    one = x[0]
    y = pg.max_pool2d(one, 3, 2, padding=1).numpy()
    second = pg.grad(lambda x: pg.grad(f)(x).sum())(one).numpy()
    assert second.sum() == pytest.approx(6 * y.sum())


@pytest.mark.parametrize("error, words, call", [
    (ShapeError, "a window of 5 with dilation 1 does not fit into 4 elements", lambda z: pg.max_pool2d(z(1, 1, 4, 4), 5)),
    (ArgumentError, "half the kernel size", lambda z: pg.max_pool2d(z(1, 1, 4, 4), 2, padding=2)),
    (ArgumentError, "kernel_size (2, 2, 2)", lambda z: pg.avg_pool2d(z(1, 1, 4, 4), (2, 2, 2))),
    (ShapeError, "needs 4 axes", lambda z: pg.avg_pool2d(z(4, 4), 2)),
    (ShapeError, "needs a batch", lambda z: pg.global_avg_pool(z(4, 4))),
    (ArgumentError, "data_format", lambda z: pg.max_pool1d(z(1, 4, 4), 2, data_format="NHWC")),
    (DtypeError, "bool", lambda z: w.reduce_window_sum(z(4) > 0, window=(2,), step=(1,), padding=((0, 0),), base_dilation=(1,), dilation=(1,))),
])  # fmt: skip
def test_bad_input(device, error, words, call):
    with pytest.raises(error) as raised:
        call(lambda *shape: pg.zeros(shape, device=device))
    assert words in str(raised.value)
    assert "fix:" in str(raised.value) or error is ShapeError
