"""Control flow as ONNX: Scan, Loop and If, with what they read from around them."""

import numpy as np
import pytest
from exports import check, operators

import pequegrad as pg
from pequegrad import nn

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

WEIGHT = pg.Tensor(np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32))
NET = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
ROWS, POINTS, VECTOR = (5, 3), (2, 3), (3,)


def nested(x):
    """A scan of branches, of which one holds a while loop, and of a switch."""

    def grow(c):
        return pg.while_loop(lambda v: (v * v).sum() < 50, lambda v: v * 1.5 + WEIGHT[1], c)

    def body(c, row):
        c = pg.cond(row.sum() > 0, grow, lambda c: pg.fori_loop(0, 3, lambda i, v: v * 0.5 + row + i, c), c)
        return c, pg.switch(pg.argmax(c), [lambda v: v, lambda v: v * 2, lambda v: v.sum() + pg.zeros_like(v)], c)

    return pg.scan(body, pg.ones(VECTOR), x)


def step(carry, row):
    return carry @ WEIGHT * 0.5 + row, {"sum": carry.sum(), "row": row}


def fibonacci(n):
    return pg.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[2], s[1] + s[2]), (pg.zeros_like(n), 0, 1))[1]


def loss(x):
    return pg.scan(lambda c, r: (pg.tanh(c @ WEIGHT + r), c), pg.zeros(VECTOR), x)[0].sum()


DOUBLED = [lambda x: x, lambda x: x @ WEIGHT, lambda x: (x * x).sum() + x, lambda x: -x]
ANY_SIGN = [[-np.ones(POINTS, "f4")], [np.ones(POINTS, "f4")]]

# name -> (function, inputs, other inputs, an operator that must be there)
CASES = {
    "scan": (lambda x: pg.scan(step, pg.zeros(VECTOR), x), [ROWS], [], "Scan"),
    "scan in reverse": (lambda x: pg.scan(step, pg.zeros(VECTOR), x, reverse=True), [ROWS], [], "Scan"),
    "scan over two": (lambda x, y: pg.scan(lambda c, r: (c + r[0], c * r[1]), y[0], (x, y)), [ROWS, ROWS], [], "Scan"),
    "scan over nothing": (lambda x: pg.scan(lambda c, _: (c * 0.5 + 1, c), x, None, length=4), [VECTOR], [], "Loop"),
    "the same in reverse": (lambda x: pg.scan(lambda c, _: (c * 2, c), x, None, length=4, reverse=True), [VECTOR], [], "Loop"),
    "scan of a module": (lambda x: pg.scan(lambda c, _: (c + 0.1 * NET(c), c), x, None, length=12), [POINTS], [], "Loop"),
    "while": (lambda x: pg.while_loop(lambda c: (c[0] < 5) & (c[1].sum() < 100), lambda c: (c[0] + 1, c[1] @ WEIGHT + 1), (0, x)), [POINTS], [], "Loop"),
    "while of numbers": (fibonacci, [np.int32(20)], [[np.int32(0)], [np.int32(1)]], "Loop"),
    "fori": (lambda x: pg.fori_loop(0, 4, lambda i, c: c * 0.9 + i, x), [VECTOR], [], "Scan"),
    "fori up to an input": (lambda n, x: pg.fori_loop(0, n, lambda i, c: c * 0.9 + WEIGHT[0], x), [np.int32(3), VECTOR], [[np.int32(0), VECTOR], [np.int32(9), VECTOR]], "Loop"),
    "cond": (lambda x: pg.cond(x.sum() > 0, lambda x: x @ WEIGHT, lambda x: x * 2 - 1, x), [POINTS], ANY_SIGN, "If"),
    "cond that gives what it got": (lambda x: pg.cond(x.sum() > 0, lambda x: (x, x, pg.ones(2)), lambda x: (x * 2, x, pg.zeros(2)), x), [POINTS], ANY_SIGN, "If"),
    "switch": (lambda i, x: pg.switch(i, DOUBLED, x), [np.int32(1), POINTS], [[np.int32(i), POINTS] for i in (-3, 0, 2, 3, 9)], "If"),
    "nested": (nested, [(6, 3)], [], "Scan"),
    "gradient of scan": (lambda x: pg.grad(loss)(x), [ROWS], [], "Scan"),
    "while under vmap": (lambda x: pg.vmap(lambda v: pg.while_loop(lambda c: c < 10, lambda c: c * 2 + 1, v))(x), [np.array([1, 2, 30], "f4")], [], "Loop"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_control_flow(name):
    function, inputs, other, op = CASES[name]
    assert op in operators(check(function, inputs, other, loaded=("eager", "jit")))


@pytest.mark.parametrize("name", ["cond", "while", "scan of a module"])
def test_control_flow_of_any_size(name):
    function, inputs, _, op = CASES[name]
    assert op in operators(check(function, inputs, [[(7, 3)], [(1, 3)]], dynamic_axes={"x": {0: "n"}}))


def test_scans_of_any_length():
    scan = lambda x: pg.scan(lambda c, r: (c @ WEIGHT * 0.5 + r, c.sum(-1)), pg.zeros((x.shape[1], 3)), x)
    check(scan, [(5, 2, 3)], [[(7, 4, 3)], [(1, 1, 3)]], dynamic_axes={"x": {0: "time", 1: "batch"}})


def test_bodies_name_the_parameters_around_them():
    model = pg.onnx.export(lambda x: pg.scan(lambda c, _: (NET(c), None), x, None, length=3)[0], (pg.zeros(POINTS),))
    assert [t.name for t in model.graph.initializer if t.data_type == 1] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    (loop,) = (node for node in model.graph.node if node.op_type == "Loop")
    body = next(a.g for a in loop.attribute if a.name == "body")
    assert not body.initializer and {"0.weight", "2.bias"} <= {name for node in body.node for name in node.input}


def test_loops_carry_only_what_is_read():
    model = pg.onnx.export(fibonacci, (np.int32(5),))
    assert len(pg.onnx.export(pg.onnx.load(model), (np.int32(5),)).graph.node) == len(model.graph.node)

    def unused(x):
        return pg.while_loop(lambda c: c[0].sum() < 9, lambda c: (c[0] + 1, c[1] * 2), (x, x))[0]

    (loop,) = (n for n in check(unused, [VECTOR]).graph.node if n.op_type == "Loop")
    assert len(loop.output) == 1


def test_what_bodies_cannot_be_is_listed():
    def noisy(x):
        return pg.scan(lambda c, r: (c + pg.randn(3), pg.lgamma(r)), x[0], x)

    with pytest.raises(NotImplementedError) as e:
        pg.onnx.export(noisy, (pg.zeros(ROWS),))
    assert "random_bits" in str(e.value) and "lgamma" in str(e.value)
