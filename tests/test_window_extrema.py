"""window_take, window_put and windows of 2 x 2 (which have loops of their own) against loops over windows."""

import itertools
import math

import numpy as np
import pytest
from conftest import FULL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernels import LAYOUTS, lay_out, numpy_dtype, run_kernel, value_of

import pequegrad as pg
from pequegrad.core.errors import DtypeError, ShapeError
from pequegrad.primitives import windows as w

FLOATS = ("float16", "bfloat16", "float32", "float64")


def places(shape, params):
    """For each window: its index, and the places of x that it sees."""
    rows = list(zip(shape, params["window"], params["step"], params["padding"], params["dilation"]))
    outs = [max(0, (n + sum(p) - (k - 1) * d - 1) // s + 1) for n, k, s, p, d in rows]
    seen = lambda i: [
        [i_ * s + j * d - low for j in range(k) if 0 <= i_ * s + j * d - low < n]
        for i_, (n, k, s, (low, _), d) in zip(i, rows)
    ]
    return outs, {i: list(itertools.product(*seen(i))) for i in itertools.product(*map(range, outs))}


def best(x, seen, largest):
    """The first nan among the places seen, or the first of the best."""
    values = [float(x[p]) * (1 if largest else -1) for p in seen]
    return (
        next((p for p, v in zip(seen, values) if math.isnan(v)), None)
        or seen[max(range(len(seen)), key=values.__getitem__)]
    )


def expected(x, taken, put, params, largest):
    outs, windows = places(x.shape, params)
    reduced, found, spread = np.zeros(outs), np.zeros(outs), np.zeros(x.shape)
    for i, seen in windows.items():
        if seen:
            p = best(x, seen, largest)
            reduced[i], found[i] = x[p], taken[p]
            spread[p] += put[i]
        else:
            reduced[i] = -np.inf if largest else np.inf
    return reduced, found, spread


def flat(params, ndim):
    rows = zip(params["window"], params["step"], params["padding"], (1,) * ndim, params["dilation"])
    return [n for k, s, (low, high), b, d in rows for n in (k, s, low, high, b, d)]


def values(rng, shape, dtype):
    """Many ties, some nan and infinities."""
    x = rng.integers(-2, 3, shape).astype("f8")
    x[rng.random(shape) < 0.05] = np.nan
    x[rng.random(shape) < 0.05] = np.inf
    return x.astype(numpy_dtype(dtype))


def check(device, rng, shape, params, dtype, layout):
    kind = numpy_dtype(dtype)
    outs, _ = places(shape, params)
    lay = lambda a: lay_out(a, layout if a.size else "dense")
    x, y = lay(values(rng, shape, dtype)), lay(rng.integers(-9, 9, shape).astype(kind))
    ct = lay(rng.integers(-9, 9, outs).astype(kind))
    for largest in (True, False):
        wanted = expected(value_of(x), value_of(y), value_of(ct), params, largest)
        listed = flat(params, len(shape))
        run = lambda name, *arrays, listed, shape: run_kernel(
            device, name, *arrays, params=listed, out=(tuple(shape), kind)
        )
        found = (
            run(f"reduce_window_{'max' if largest else 'min'}", x, listed=listed, shape=outs),
            run("window_take", x, y, listed=[int(not largest), *listed], shape=outs),
            run("window_put", x, ct, listed=[int(not largest), *listed], shape=shape),
        )
        for got, exact in zip(found, wanted):
            np.testing.assert_array_equal(got.astype("f8"), exact)


def pair_params(shape, axis):
    """Windows of 2 x 2 on two neighbouring axes."""
    spread = lambda value, rest: tuple(value if i in (axis, axis + 1) else rest for i in range(len(shape)))
    padding = ((0, 0),) * len(shape)
    return {"window": spread(2, 1), "step": spread(2, 1), "padding": padding, "dilation": (1,) * len(shape)}


PAIRS = [
    ((2, 3, 4, 8), 2), ((1, 2, 6, 16), 2), ((2, 2, 2, 32), 2), ((3, 1, 4, 70), 2), ((2, 5, 7), 1), ((4, 4), 0), ((3, 2, 9, 33), 2),
    ((2, 4, 6, 5), 1), ((2, 3, 8, 17), 1), ((2, 5, 7, 40), 1), ((4, 5, 2, 3), 0), ((2, 0, 4, 4), 2), ((1, 1), 0), ((2, 2, 1), 0),
]  # fmt: skip


@pytest.mark.parametrize("shape, axis", PAIRS)
def test_windows_of_two_by_two(device, rng, shape, axis):
    for layout in LAYOUTS:
        for dtype in ("float32", "float64"):
            check(device, rng, shape, pair_params(shape, axis), dtype, layout)


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_dtype_and_layout(device, rng, dtype):
    params = {"window": (1, 3, 2), "step": (1, 2, 3), "padding": ((0, 0), (2, 1), (-1, 3)), "dilation": (1, 1, 2)}
    for layout in LAYOUTS:
        check(device, rng, (3, 6, 9), params, dtype, layout)


@settings(
    max_examples=500 if FULL else 25, deadline=None, database=None, derandomize=not FULL,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(st.data())
def test_any_windows(device, data):
    n = data.draw(st.integers(0, 3))
    each = lambda low, high: tuple(data.draw(st.integers(low, high)) for _ in range(n))
    shape, padding = each(1, 7), tuple(zip(each(-1, 3), each(0, 3)))
    params = {"window": each(1, 3), "step": each(1, 3), "padding": padding, "dilation": each(1, 2)}
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    check(device, rng, shape, params, data.draw(st.sampled_from(FLOATS)), "dense")


def test_many_windows_over_one_element(tensor):
    """16-bit floats are summed in float32: 3000 ones would stop at 256 in bfloat16."""
    params = {"window": (3000,), "step": (1,), "padding": ((2999, 2999),), "dilation": (1,)}
    x = np.zeros(3000)
    x[1500] = 1
    found = w.window_put(tensor(x, "bfloat16"), tensor(np.ones(5999), "bfloat16"), largest=True, **params)
    assert float(found.numpy()[1500]) == 3008  # 3000 rounded to bfloat16


def test_bad_operands(tensor):
    x, params = tensor(np.ones((4, 4), "f4")), {"largest": True, **pair_params((4, 4), 0)}
    with pytest.raises(ShapeError, match="one element per window"):
        w.window_put(x, x, **params)
    with pytest.raises(ShapeError, match="the shape of"):
        w.window_take(x, tensor(np.ones((2, 2), "f4")), **params)
    with pytest.raises(DtypeError, match="floating"):
        w.window_take(x, tensor(np.ones((4, 4)), "float64"), **params)
    with pytest.raises(DtypeError, match="floating"):
        w.window_take(*[tensor(np.ones((4, 4), "i4"), "int32")] * 2, **params)


def test_gradient_under_vmap(tensor, rng):
    x = rng.normal(size=(3, 2, 4, 6)).astype("f4")
    gradient = pg.grad(lambda x: (pg.max_pool2d(x, 2) ** 2).sum())
    many = pg.vmap(gradient)(tensor(x)).numpy()
    for one, each in zip(many, x):
        np.testing.assert_array_equal(one, gradient(tensor(each)).numpy())
