"""Rectified maxima: the graphs before and after the pass, and the same bits for special values."""

import numpy as np
import pytest

import pequegrad as pg
from pequegrad import device as devices
from pequegrad import dt
from pequegrad.compiler.passes.pooling import pooling
from pequegrad.core.node import make_aval
from pequegrad.primitives import elementwise as e
from pequegrad.primitives import windows as w
from pequegrad.primitives.base import number
from pequegrad.runtime import library
from pequegrad.transforms.graphs import graph_of

CPU = devices("cpu")
PLAIN = {"window": (1, 2, 2), "step": (1, 2, 2), "padding": ((0, 0),) * 3, "dilation": (1,) * 3}
OVERLAPPING = {"window": (1, 3, 3), "step": (1, 2, 1), "padding": ((0, 0), (1, 1), (2, 0)), "dilation": (1,) * 3}


def relu(x, zero=0.0):
    return e.select(e.le(x, number(0, x)), number(zero, x), x)


def pooled(x, params):
    return w.reduce_window_max(x, base_dilation=(1,) * 3, **params)


def gradient(x, ct, params, largest=True):
    put = w.window_put(relu(x), ct, largest=largest, **params)
    return e.select(e.le(x, number(0, x)), number(0, x), put)


def graph(function, *shapes):
    return graph_of("f", [make_aval(shape, dt.float32, CPU) for shape in shapes], function)


def run(graph, arrays):
    from pequegrad.compiler.program import program_of

    inputs = [library.array_from_host(a, CPU) for a in arrays]
    values = program_of(graph, CPU).run(inputs)
    return [library.array_to_host(value, aval) for value, aval in zip(values, graph.avals)]


def primitives(graph):
    return [f"{node.spec.primitive.name} {list(node.aval.shape)}" for node in graph.nodes]


def special(rng, shape):
    """Ties, zeros of both signs, windows without positive elements, nan and infinities."""
    x = rng.choice([-2.0, -1.0, -0.0, 0.0, 1.0, 1.0, 2.0], shape)
    x[rng.random(shape) < 0.04] = rng.choice([np.nan, np.inf, -np.inf])
    x[0] = -np.abs(x[0])
    return x.astype("f4")


def same_bits(made, graph, arrays, monkeypatch):
    from pequegrad.compiler import simplify

    monkeypatch.setattr(simplify, "enabled", False)
    for found, wanted in zip(run(made, arrays), run(graph, arrays)):
        np.testing.assert_array_equal(found.view("u4"), wanted.view("u4"))


def outs(shape, params):
    rows = zip(shape, params["window"], params["step"], params["padding"])
    return tuple((n + sum(p) - k) // s + 1 for n, k, s, p in rows)


@pytest.mark.parametrize("params", [PLAIN, OVERLAPPING])
def test_maximum(rng, params, monkeypatch):
    shape = (3, 6, 8)
    before = graph(lambda x: [pooled(relu(x), params)], shape)
    after = pooling(before)
    small = list(outs(shape, params))
    assert primitives(before) == ["le [3, 6, 8]", "select [3, 6, 8]", f"reduce_window_max {small}"]
    assert primitives(after) == [f"reduce_window_max {small}", f"le {small}", f"select {small}"]
    assert pooling(after) is after
    for _ in range(5):
        same_bits(after, before, [special(rng, shape)], monkeypatch)


@pytest.mark.parametrize("params", [PLAIN, OVERLAPPING])
def test_gradient(rng, params, monkeypatch):
    shape = (3, 6, 8)
    small = outs(shape, params)
    before = graph(lambda x, ct: [gradient(x, ct, params)], shape, small)
    after = pooling(before)
    text = list(small)
    large = ["le", "select", "window_put", "le", "select"]
    assert primitives(before) == [f"{name} [3, 6, 8]" for name in large]
    assert primitives(after) == [f"reduce_window_max {text}", f"le {text}", f"select {text}", "window_put [3, 6, 8]"]
    for _ in range(5):
        ct = rng.choice([-1.0, 0.5, np.inf, np.nan, 3.0], small).astype("f4")
        same_bits(after, before, [special(rng, shape), ct], monkeypatch)


def test_both_share_the_maximum():
    shape = (3, 6, 8)
    f = lambda x, ct: [pooled(relu(x), PLAIN), gradient(x, ct, PLAIN)]
    after = primitives(pooling(graph(f, shape, outs(shape, PLAIN))))
    assert sum(line.startswith("reduce_window_max") for line in after) == 1
    assert not any(line.startswith(("le [3, 6", "select [3, 6")) for line in after)


UNCHANGED = {
    "a window of padding alone": lambda x: [pooled(relu(x), {**PLAIN, "padding": ((0, 0), (2, 0), (0, 0))})],
    "negative padding": lambda x: [pooled(relu(x), {**PLAIN, "padding": ((0, 0), (-2, 0), (0, 0))})],
    "gaps in the window": lambda x: [pooled(relu(x), {**PLAIN, "dilation": (1, 2, 1)})],
    "another number than 0": lambda x: [pooled(relu(x, 1.0), PLAIN)],
    "minus zero": lambda x: [pooled(relu(x, -0.0), PLAIN)],
    "another condition": lambda x: [pooled(e.select(e.lt(x, number(0, x)), number(0, x), x), PLAIN)],
    "the smallest": lambda x: [w.reduce_window_min(relu(x), base_dilation=(1,) * 3, **PLAIN)],
    "the gradient of the smallest": lambda x: [gradient(x, w.reduce_window_min(x, base_dilation=(1,) * 3, **PLAIN), PLAIN, False)],
}  # fmt: skip


@pytest.mark.parametrize("name", UNCHANGED)
def test_what_stays_as_it_is(name):
    before = graph(UNCHANGED[name], (3, 6, 8))
    assert sorted({*primitives(pooling(before))}) == sorted({*primitives(before)})


def test_a_network_under_jit(tensor, rng):
    x, k = rng.normal(size=(2, 3, 8, 8)).astype("f4"), rng.normal(size=(16, 3, 3, 3)).astype("f4")
    f = pg.value_and_grad(lambda k, x: (pg.max_pool2d(pg.relu(pg.conv2d(x, k, padding=1)), 2) ** 2).sum())
    (value, slope), (wanted, expected) = pg.jit(f)(tensor(k), tensor(x)), f(tensor(k), tensor(x))
    np.testing.assert_allclose(value.numpy(), wanted.numpy(), rtol=1e-6)
    np.testing.assert_allclose(slope.numpy(), expected.numpy(), rtol=1e-5, atol=1e-4)
