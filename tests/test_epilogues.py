"""Kernels that take up a product's rows while they are in cache: which do, and that they compute what the operations do."""

import re

import ml_dtypes
import numpy as np
import pytest
from test_fusion import agrees, compiled, kernels, layer_norm

import pequegrad as pg
from pequegrad.compiler import epilogues, fuse, program
from pequegrad.compiler.toolchain import Unavailable, build
from pequegrad.core.node import make_aval
from pequegrad.primitives.contraction import dot_general
from pequegrad.runtime import library

try:
    build([("pg_probe", "void pg_probe(void *const *b, int64_t begin, int64_t end, void *scratch) {}")])
except Unavailable:
    pytestmark = pytest.mark.skip("generated code needs a C compiler")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small products count as large, and sums over rows are cut into chunks."""
    monkeypatch.setattr(epilogues, "LARGE", 1)
    for name in ("SMALL", "CHUNK"):
        monkeypatch.setattr(fuse, name, 64)


@pytest.fixture
def normal(tensor, rng):
    return lambda *shape, dtype=np.float32: tensor((rng.standard_normal(shape) / 4).astype(dtype))


@pytest.fixture
def threads():
    before = pg.num_threads()
    yield pg.set_num_threads
    pg.set_num_threads(before)


def taken_up(function, *args):
    """For each kernel that takes up a product: what it computes."""
    graph, _ = compiled(function, *args)
    found = [node for node in graph.nodes if node.spec.params.get("product") is not None]
    return [[node.spec.primitive.name for node in found.spec.params["graph"].nodes] for found in found]


def relu(x):
    return pg.where(x > 0, x, 0.0)


# ---- which do ----------------------------------------------------------------------------------------


def test_the_graph_before_and_after(normal):
    x, w, b = normal(40, 30), normal(30, 50), normal(50)
    lowered = pg.jit(lambda x, w, b: relu(x @ w + b)).lower(x, w, b)
    steps = lambda stage: re.findall(r"^    \w+: \S+ = (\w+)\((.*?)[,)] ?\w+=", lowered.as_text(stage), re.MULTILINE)
    assert [name for name, _ in steps("simplified")][:1] == ["dot_general"]
    assert steps("fused") == [("loop", "a, b, c")]
    assert "product=dot_general, position=0" in lowered.as_text("fused")
    assert taken_up(lambda x, w, b: relu(x @ w + b), x, w, b) == [["dot_general", "add", "gt", "select"]]


def test_one_operation_is_enough(normal):
    x, w = normal(400, 30), normal(30, 50)
    for function in (lambda x, w: -(x @ w), lambda x, w: (x @ w).max(-1), lambda x, w: (x @ w).sum(0)):
        assert len(taken_up(function, x, w)) == 1
        agrees(function, x, w)


def test_small_products_and_long_sums_are_not_taken_up(normal, monkeypatch):
    function = lambda x, w: pg.exp(x @ w) + 1
    x, w = normal(40, 30), normal(30, 50)
    for name, least in (("LARGE", 40 * 50 * 4 + 1), ("LONGEST_ROW", 199), ("MOST_WORK", 59), ("LARGEST_OPERAND", 5999)):
        with monkeypatch.context() as patch:
            patch.setattr(epilogues, name, least)
            assert kernels(function, x, w) == ["dot_general", "loop"]
            patch.setattr(epilogues, name, least + (-1 if name == "LARGE" else 1))
            assert kernels(function, x, w) == ["loop"]


def test_rows_must_be_those_of_the_product(normal):
    x, w, y = normal(40, 30), normal(30, 50), normal(50, 40)
    for function in (
        lambda x, w, y: pg.exp(x @ w) + (x @ w)[::-1],  # other rows of it
        lambda x, w, y: (x @ w) / (x @ w).sum(0),  # which waits for all rows
        lambda x, w, y: pg.softmax(x @ w, 0),
        lambda x, w, y: pg.take(x @ w, pg.arange(40) // 2, 0) * 2 + (x @ w),
    ):
        assert taken_up(function, x, w, y) == []
        agrees(function, x, w, y)
    agrees(lambda x, w, y: pg.exp((x @ w).T) + 1, x, w, y)
    agrees(lambda x, w, y: pg.exp((x @ w).T) + y, x, w, y)


def test_batches_and_integers_are_not_taken_up(normal, tensor):
    agrees(lambda x, y: pg.exp(x @ y) + 1, normal(3, 20, 30), normal(3, 30, 20))
    assert taken_up(lambda x, y: pg.exp(x @ y) + 1, normal(3, 20, 30), normal(3, 30, 20)) == []
    i = tensor(np.arange(400).reshape(20, 20))
    assert taken_up(lambda i: (i @ i) * 2 + 1, i) == []


def test_what_else_reads_the_product_must_not_be_waited_for(normal):
    x, w, v = normal(40, 30), normal(30, 50), normal(50, 50)

    def function(x, w, v):
        h = x @ w
        return relu(h) + h @ v

    assert kernels(function, x, w, v) == ["dot_general", "loop"]  # the second product and what is added
    agrees(function, x, w, v)
    agrees(lambda x, w, v: (pg.exp(x @ w) * 2, (x @ w) @ v, x @ w), x, w, v)


def test_of_two_products_one_is_taken_up(normal):
    """A gated layer: the kernel reads both; each product is taken up at most once."""
    x, w, v = normal(40, 30), normal(30, 50), normal(30, 50)
    function = lambda x, w, v: relu(x @ w) * (x @ v)
    assert len(taken_up(function, x, w, v)) == 1 and kernels(function, x, w, v) == ["dot_general", "loop"]
    agrees(function, x, w, v)
    agrees(lambda x, w, v: (relu(x @ w) + 1, (x @ w).sum(0), pg.tanh(x @ w).max(-1)), x, w, v)


# ---- what they compute -------------------------------------------------------------------------------

SHAPES = [(1, 7, 5), (257, 33, 70), (130, 1, 65), (500, 17, 1)]
EPILOGUES = {
    "bias_relu": lambda x, w, b: relu(x @ w + b),
    "relu": lambda x, w, b: relu(x @ w),
    "softmax": lambda x, w, b: pg.softmax(x @ w + b, -1),
    "layer_norm": lambda x, w, b: layer_norm(x @ w, b, b) if w.shape[1] > 1 else x @ w + b,
    "column_sums": lambda x, w, b: (pg.tanh(x @ w + b), pg.tanh(x @ w + b).sum(0), (x @ w + b).sum()),
    "several": lambda x, w, b: (x @ w + b, (x @ w + b).max(-1), (x @ w) > b, (x @ w).sum(-1, keepdims=True) * b),
    "kept": lambda x, w, b: (x @ w, relu(x @ w + b)),
    "parts": lambda x, w, b: (lambda h: h[:, : h.shape[1] // 2 + 1] * h[:, h.shape[1] // 2 :][:, ::-1][:, :1])(x @ w),
    "columns_that_rows_choose": lambda x, w, b: pg.take_along_axis(
        x @ w, (pg.arange(x.shape[0]) % w.shape[1])[:, None], 1
    ) + 1,
}  # fmt: skip


@pytest.mark.parametrize("name", EPILOGUES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values(normal, name, dtype):
    for m, k, n in SHAPES:
        agrees(EPILOGUES[name], normal(m, k, dtype=dtype), normal(k, n, dtype=dtype), normal(n, dtype=dtype))


@pytest.mark.parametrize("name", ["bias_relu", "softmax", "column_sums", "kept"])
def test_operands_of_any_layout(normal, name):
    f = EPILOGUES[name]
    agrees(lambda x, w, b: f(x.T, w, b), normal(33, 90), normal(33, 70), normal(70))
    agrees(lambda x, w, b: f(x, w.T, b), normal(90, 33), normal(70, 33), normal(70))
    agrees(lambda x, w, b: f(x[::2, 1:], w[:, ::-1], b[::3]), normal(180, 34), normal(33, 70), normal(210))
    agrees(lambda x, w, b: f(x, w, b), normal(4, 23, 33), normal(33, 70), normal(70))  # two axes of rows
    agrees(lambda x, w: f(x, x, w), normal(33, 33), normal(33))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_float32_of_16_bit_floats(normal, dtype):
    x, w, b = normal(120, 33, dtype=dtype), normal(33, 70, dtype=dtype), normal(70)
    wide = lambda x, w: dot_general(x, w, contract=((1,), (0,)), batch=((), ()), dtype=pg.dt.float32)
    function = lambda x, w, b: relu(wide(x, w) + b).astype(x.dtype)
    assert len(taken_up(function, x, w, b)) == 1
    agrees(function, x, w, b, rtol=0)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_products_that_are_rounded_to_16_bits(normal, dtype):
    """The same bits as in eager mode, where products of float32 are rounded by a kernel of their own."""
    x, w, b = normal(120, 33, dtype=dtype), normal(33, 70, dtype=dtype), normal(70, dtype=dtype)
    function = lambda x, w, b: relu(x @ w + b)
    assert taken_up(function, x, w, b) == [["dot_general", "convert", "add", "gt", "select"]]
    agrees(function, x, w, b, rtol=0)
    agrees(lambda x, w, b: (x @ w, relu(x @ w), (x @ w) @ w.T), x, w, b, rtol=0)
    agrees(lambda x, w, b: (pg.softmax(x @ w + b, -1), (x @ w).sum(0)), x, w, b, rtol=0.02)


def test_numpy_agrees(normal):
    x, w, b = normal(300, 40), normal(40, 50), normal(50)
    found = pg.jit(lambda x, w, b: pg.softmax(x @ w + b, -1))(x, w, b).numpy()
    e = np.exp(x.numpy().astype("f8") @ w.numpy() + b.numpy())
    np.testing.assert_allclose(found, e / e.sum(-1, keepdims=True), rtol=1e-5)


def test_nan_and_infinities(tensor, rng):
    x = rng.standard_normal((60, 20)).astype("f4")
    x[3, 4], x[5, 6], x[7, 8], x[9] = np.nan, np.inf, -np.inf, -0.0
    x, w = tensor(x), tensor(rng.standard_normal((20, 30)).astype("f4"))
    for function in (lambda x, w: (x @ w).max(-1), lambda x, w: pg.maximum(x @ w, 0) * 2, lambda x, w: -(x @ w)):
        assert len(taken_up(function, x, w)) == 1
        np.testing.assert_array_equal(pg.jit(function)(x, w).numpy(), function(x, w).numpy())


def loss(w1, b1, w2, b2, x, y):
    hidden = pg.gelu(x @ w1 + b1)
    return (relu(hidden @ w2 + b2) - y).square().mean()


def test_gradients_of_a_network_and_threads(normal, threads):
    args = normal(30, 70), normal(70), normal(70, 21), normal(21), normal(300, 30), normal(300, 21)
    function = pg.value_and_grad(loss, (0, 1, 2, 3))
    flat = lambda *args: (lambda value, grads: [value, *grads])(*function(*args))
    assert len(taken_up(flat, *args)) >= 3
    agrees(flat, *args)
    jitted, found = pg.jit(flat), []
    for n in (1, 2, 5):
        threads(n)
        found.append([x.numpy().tobytes() for x in jitted(*args)])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("name", EPILOGUES)
def test_threads_do_not_change_results(normal, threads, name):
    args, found = (normal(700, 40), normal(40, 70), normal(70)), []
    jitted = pg.jit(EPILOGUES[name])
    for n in (1, 2, 5):
        threads(n)
        results = jitted(*args)
        found.append([x.numpy().tobytes() for x in (results if isinstance(results, tuple) else (results,))])
    assert found[0] == found[1] == found[2]


# ---- what tells about them ---------------------------------------------------------------------------


def test_reports(normal, monkeypatch, capsys):
    monkeypatch.setenv("PG_KERNEL_DB", "true")
    x, w, b = normal(41, 30), normal(30, 50), normal(50)
    function = pg.jit(lambda x, w, b: (x @ w, relu(x @ w + b) * 1.25))
    with pg.profile() as profile:
        [y.numpy() for y in function(x, w, b)]
    printed = capsys.readouterr().err
    assert "dot_general(a, b," in printed and "void pg_" in printed
    assert "dot_general, add, gt, select, mul" in str(profile)
    function.explain(x, w, b)
    report = capsys.readouterr().out
    assert "kernels: 1;" in report and "dot_general (2 traced): kernel 1" in report
    cost = function.lower(x, w, b).compile().cost_analysis()
    assert cost["flops"] >= 2 * 41 * 30 * 50 and cost["bytes_read"] == 4 * (41 * 30 + 30 * 50 + 50)
    assert cost["bytes_written"] == 2 * 4 * 41 * 50
    checked = pg.jit(lambda x, w, b: relu(x @ w + b), check=True)
    np.testing.assert_array_equal(checked(x, w, b).numpy(), relu(x @ w + b).numpy())


def test_without_a_compiler(normal, monkeypatch):
    def build(sources):
        raise Unavailable("none here")

    monkeypatch.setattr(program, "build", build)
    monkeypatch.setattr(program, "warn", lambda error: None)
    x, w, b = normal(41, 30), normal(30, 50), normal(50)
    assert kernels(lambda x, w, b: relu(x @ w + b), x, w, b)[0:2] == ["add", "dot_general"]
    agrees(lambda x, w, b: relu(x @ w + b), x, w, b)


def test_saved_programs(normal, tmp_path, device):
    x, w, b = normal(41, 30), normal(30, 50), normal(50)
    function = pg.jit(lambda x: relu(x @ w + b))
    assert len(taken_up(lambda x: relu(x @ w + b), x)) == 1
    path = str(tmp_path / "program.pg")
    function.lower(x).compile().save(path)
    (y,) = library.Program.load(device, path).run([library.array_from_host(x.numpy(), device)])
    found = library.array_to_host(y, make_aval((41, 50), np.dtype("f4"), device))
    np.testing.assert_array_equal(found, function(x).numpy())
