"""simplify on whole programs: the same values, and what must survive does: effects, random draws, recomputation."""

import contextlib
import io

import numpy as np
import pytest
from conftest import FULL
from random_graphs import DTYPES, random_graph, values
from test_passes import assert_same_bits, body, run

import pequegrad as pg
from pequegrad import dt
from pequegrad.compiler.passes.cse import cse
from pequegrad.compiler.passes.dead_code import dead_code
from pequegrad.compiler.passes.inline import inline
from pequegrad.compiler.simplify import simplify
from pequegrad.core.node import make_aval
from pequegrad.primitives import elementwise as e
from pequegrad.primitives import shape
from pequegrad.primitives.base import number
from pequegrad.transforms.graphs import graph_of

CPU = pg.device("cpu")
F3 = make_aval((3,), dt.float32, CPU)


def traced(f, *args):
    """The closed graph that jit compiles for these arguments; it is not run."""
    jitted = pg.jit(f)
    with contextlib.redirect_stdout(io.StringIO()):
        jitted.print_trace(*args)
    ((entry,),) = jitted.compiled.values()
    return entry.closed


def names(graph):
    """The primitives of a graph's nodes, in order."""
    return [node.spec.primitive.name for node in graph.nodes]


# ---- random graphs -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow")
@pytest.mark.parametrize("seed", range(2000 if FULL else 100))
def test_random_graphs_give_the_same_bits(seed):
    rng = np.random.default_rng(seed)
    avals = []
    for _ in range(3):
        name = DTYPES[rng.integers(len(DTYPES))]
        dtype = dt.bool_ if name == "bool" else getattr(dt, name)
        avals.append(make_aval(tuple(int(n) for n in rng.choice([1, 2, 3, 3], rng.integers(0, 4))), dtype, CPU))
    graph = random_graph(rng, avals)
    arrays = [values(rng, aval) for aval in avals]
    made = simplify(graph)
    assert made.avals == graph.avals or [str(a) for a in made.avals] == [str(a) for a in graph.avals]
    for found, wanted in zip(run(made, arrays), run(graph, arrays)):
        assert_same_bits(found, wanted)


@pytest.mark.parametrize("seed", range(30))
def test_random_sums_of_pads_give_the_same_bits(seed):
    """Pads of slices of x in random order and nesting, with and without other terms, some of them overlapping."""
    rng = np.random.default_rng(seed)
    size = 8
    cuts = [0, *sorted(int(c) for c in rng.integers(0, size + 1, 3)), size]

    def function(x, y):
        terms = []
        for begin, end in zip(cuts, cuts[1:]):
            if rng.random() < 0.8:
                taken = min(begin + int(rng.random() < 0.1), end)
                part = shape.slice_axis(x, 0, taken, end)
                low, high = begin, size - begin - part.shape[0]
                terms.append(shape.pad(part, number(0, x), low=(low,), high=(high,), interior=(0,)))
        if rng.random() < 0.5:
            terms.insert(rng.integers(len(terms) + 1), y)
        if rng.random() < 0.2:
            terms.append(e.mul(y, y))
        while len(terms) > 1:
            at = int(rng.integers(len(terms) - 1))
            terms[at : at + 2] = [e.add(terms[at], terms[at + 1])]
        return terms or [x]

    aval = make_aval((size,), dt.float32, CPU)
    graph = graph_of("f", [aval, aval], function)
    arrays = [values(rng, aval), values(rng, aval)]
    for found, wanted in zip(run(simplify(graph), arrays), run(graph, arrays)):
        assert_same_bits(found, wanted)


# ---- the graph itself --------------------------------------------------------------------------------------


def test_the_traced_graph_stays_what_it_was_and_the_result_is_kept(tensor, capsys):
    f = pg.jit(lambda x: (x + 0 * x).reshape((3, 1)).reshape((3,)) * 1)
    x = tensor([1.0, 2.0, 3.0])
    f.print_trace(x)
    before = capsys.readouterr().out
    f(x)
    f.print_trace(x)
    assert capsys.readouterr().out == before
    ((entry,),) = f.compiled.values()
    assert simplify(entry.closed) is simplify(entry.closed)
    assert simplify(simplify(entry.closed)) is simplify(entry.closed)
    assert len(simplify(entry.closed).nodes) < len(entry.closed.nodes)


def test_nodes_keep_their_order():
    """What is made anew stands where the old node stood: the order decides how much memory a program takes."""

    def function(x):
        a = e.neg(e.neg(x))
        b = e.mul(a, number(2, x))
        c = e.add(b, x)
        d = e.mul(c, shape.broadcast_in_dim(number(3, x), shape=(3,), axes=()))
        return [d, e.sub(d, x)]

    assert names(simplify(graph_of("f", [F3], function))) == ["mul", "add", "mul", "sub"]


def test_dead_code():
    graph = graph_of("f", [F3], lambda x: [e.neg(x), e.mul(x, x)])
    graph = graph.rewired(graph.inputs, graph.outputs[:1])
    assert body(dead_code(graph)) == ["b: float32[3] = neg(a)", "return b"]


def test_results_of_primitives_with_several(tensor):
    def f(x):
        values, places = pg.topk(x * 1, 2)
        again, _ = pg.topk(x, 2)
        return values + again, places

    x = tensor([3.0, 1.0, 2.0])
    graph = traced(f, x)
    assert names(simplify(graph)).count("top_k") == 1
    out, places = pg.jit(f)(x)
    np.testing.assert_array_equal(out.numpy(), [6, 4])
    np.testing.assert_array_equal(places.numpy(), [0, 2])


def test_a_result_may_be_an_argument_a_constant_or_another_result(tensor):
    def f(x, y):
        return x * 1, pg.sum(y * 0 + 2.0, axis=()) * 0 + 7, y, y + -0.0

    x, y = tensor([1.0, 2.0]), tensor([-0.0, np.nan])
    for found, wanted in zip(pg.jit(f)(x, y), f(x, y)):
        assert_same_bits(found.numpy(), wanted.numpy())


# ---- calls -------------------------------------------------------------------------------------------------


def test_calls_and_forwarding_nodes_disappear(tensor):
    inner = pg.jit(lambda x: pg.stop_gradient(x) * 2)
    outer = pg.jit(lambda x: inner(x) + inner(x * 1))
    x = tensor([1.0, 2.0, 3.0])
    graph = traced(lambda x: outer(x) - 1, x)
    assert "call" in names(graph)
    assert names(inline(graph)) == ["mul", "mul", "mul", "add", "sub"]
    assert names(simplify(graph)) == ["mul", "add", "sub"]
    np.testing.assert_array_equal(pg.jit(lambda x: outer(x) - 1)(x).numpy(), [3, 7, 11])


@pytest.mark.parametrize("custom", ["jvp", "vjp"])
def test_marks_of_custom_rules_disappear(custom, tensor):
    @(pg.custom_jvp if custom == "jvp" else pg.custom_vjp)
    def f(x):
        return pg.sin(x)

    if custom == "jvp":
        f.defjvp(lambda primals, tangents: (pg.sin(primals[0]), tangents[0] * 3))
    else:
        f.defvjp(lambda x: (pg.sin(x), None), lambda _, ct: (ct * 3,))
    x = tensor([0.5, 1.0])
    graph = traced(lambda x: pg.value_and_grad(lambda x: f(x).sum())(x), x)
    assert not any("custom" in name for name in names(simplify(graph)))
    value, gradient = pg.jit(lambda x: pg.value_and_grad(lambda x: f(x).sum())(x))(x)
    np.testing.assert_allclose(value.numpy(), np.sin([0.5, 1.0]).sum(), rtol=1e-6)
    np.testing.assert_array_equal(gradient.numpy(), [3, 3])


def test_checkpoint_computes_again(tensor):
    """What is recomputed behind the barrier is not merged with the forward pass."""
    block = pg.checkpoint(lambda x: pg.exp(pg.sin(x)))
    x = tensor([0.5, 1.0])
    graph = traced(pg.grad(lambda x: block(block(x)).sum()), x)
    assert "optimization_barrier" in names(simplify(graph))
    plain = traced(pg.grad(lambda x: pg.exp(pg.sin(pg.exp(pg.sin(x)))).sum()), x)
    assert names(simplify(graph)).count("sin") > names(simplify(plain)).count("sin")


# ---- effects, callbacks, random numbers --------------------------------------------------------------------


def test_effects_stay_in_their_order(tensor):
    """Also those whose operands change, those without operands, and those of a function that is called twice."""
    seen = []
    note = lambda label: pg.io_callback(lambda *x: seen.append((label, *map(float, x))), None)
    of = lambda label, x: pg.io_callback(lambda x: seen.append((label, float(x))), None, x)

    @pg.jit
    def inner(x):
        of("inner", x * 1)
        note("none")
        return x + 1

    def f(x):
        of("first", x)
        y = inner(inner(x * 1))
        of("between", x * 1 + 0 * x)
        of("same", y)
        of("same", y)
        return y

    pg.jit(f)(tensor(1.0))
    graph = traced(f, tensor(1.0))
    wanted = [("first", 1), ("inner", 1), ("none",), ("inner", 2), ("none",), ("between", 1), ("same", 3), ("same", 3)]
    assert seen == wanted
    assert len(simplify(graph).effects) == len(wanted)


def test_callbacks_are_not_merged(tensor):
    called = []
    function = lambda x: called.append(1) or x + 1

    def f(x):
        return pg.pure_callback(function, x, x) + pg.pure_callback(function, x, x * 1)

    assert pg.jit(f)(tensor(1.0)).item() == 4
    assert len(called) == 2


def test_random_draws_are_those_of_eager_mode(device):
    draw = lambda: (pg.rand((3,), device=device), pg.rand((3,), device=device) * 1)
    pg.manual_seed(3)
    wanted = [x.numpy() for x in draw()]
    pg.manual_seed(3)
    found = [x.numpy() for x in pg.jit(draw)()]
    np.testing.assert_array_equal(found, wanted)
    assert not np.array_equal(*found)


def test_equal_loops_are_one_unless_they_have_effects(tensor):
    def loop(x, body):
        return pg.scan(body, x, None, length=3)[0]

    def twice(step):
        return lambda x: loop(x, lambda c, _: (step(c), None)) + loop(x * 1, lambda c, _: (step(c), None))

    def noted(c):
        pg.io_callback(lambda x: None, None, c)
        return c * 2

    x = tensor(1.0)
    assert names(simplify(traced(twice(lambda c: c * 2), x))).count("scan") == 1
    assert names(simplify(traced(twice(noted), x))).count("scan") == 2
    different = lambda x: loop(x, lambda c, _: (c * 2, None)) + loop(x, lambda c, _: (c * 2.0000002, None))
    assert names(simplify(traced(different, x))).count("scan") == 2
    assert pg.jit(twice(lambda c: c * 2))(x).item() == 16


def test_bodies_of_loops_are_simplified(tensor):
    body = lambda c, _: ((c * 1).reshape((3, 1)).reshape((3,)) + c, c)
    graph = traced(lambda x: pg.scan(body, x, None, length=2), tensor([1.0, 2.0, 3.0]))
    (loop,) = (node for node in graph.nodes if node.spec.primitive.name == "scan")
    assert names(simplify(loop.spec.params["body"])) == ["add"]


def test_parameters_are_compared_exactly():
    """Parameters that Python calls equal although they are not: what is computed from them differs."""

    def constants(*numbers):
        return names(cse(graph_of("f", [F3], lambda x: [e.div(x, number(v, x)) for v in numbers])))

    assert len(constants(0.0, -0.0)) == 2
    assert len(constants(1, True, 1.0)) == 1  # the same bits as float32
    assert len(constants(float("nan"), float("nan"))) == 1


# ---- derivatives -------------------------------------------------------------------------------------------


def test_cross_entropy_has_no_scatter(tensor, rng):
    x, y = rng.normal(size=(5, 7)).astype("f4"), rng.integers(0, 7, 5).astype("i4")
    for loss in (
        lambda x, y: pg.cross_entropy_loss_indices(x, y),
        lambda x, y: -pg.take_along_axis(pg.log_softmax(x, -1), y.reshape((5, 1)), 1).mean(),
        lambda x, y: -pg.log_softmax(x, -1)[pg.arange(5), y].mean(),
    ):
        f = pg.value_and_grad(loss)
        graph = traced(f, tensor(x), tensor(y, "int32"))
        assert "scatter" in names(inline(graph)) and "scatter" not in names(simplify(graph))
        read = next(node for node in simplify(graph).nodes if node.spec.primitive.name == "gather")
        assert read.inputs[0] in graph.inputs  # the scores, not their logarithms
        for found, wanted in zip(pg.jit(f)(tensor(x), tensor(y, "int32")), f(tensor(x), tensor(y, "int32"))):
            np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-6, atol=1e-7)


def test_a_gather_is_moved_through_a_long_chain_only_a_bit(tensor, rng):
    def f(x, k):
        for i in range(3000):
            x = x * x + i if i % 2 else x - 0.5
        return pg.take_along_axis(x, k, 1)

    x, k = tensor(rng.normal(size=(3, 9))), tensor(rng.integers(0, 9, (3, 1)), "int32")
    made = simplify(traced(f, x, k))
    (index,) = (i for i, name in enumerate(names(made)) if name == "gather")
    assert 5 < len(made.nodes) - index < 80


def test_the_gradient_of_an_embedding_scatters(tensor, rng):
    rows = tensor(rng.integers(0, 10, (4,)), "int32")
    graph = traced(pg.grad(lambda w: (w[rows] * 2).sum()), tensor(rng.normal(size=(10, 3))))
    assert "scatter" in names(simplify(graph))


def test_the_gradient_of_split_concatenates(tensor, rng):
    def f(x):
        a, b, c = pg.split(x, 3, 1)
        return (a * b * b + c).sum()

    x = tensor(rng.normal(size=(2, 6)).astype("f4"))
    graph = traced(pg.grad(f), x)
    assert "pad" in names(inline(graph))
    assert "pad" not in names(simplify(graph)) and names(simplify(graph)).count("concatenate") == 1
    assert_same_bits(pg.jit(pg.grad(f))(x).numpy(), pg.grad(f)(x).numpy())


def transformer(layers, heads=2, width=8):
    """Loss of a small transformer with the parameters p, on x [batch, time, width]."""

    def norm(x, g):
        m = x.mean(-1, keepdims=True)
        v = ((x - m) ** 2).mean(-1, keepdims=True)
        return (x - m) * pg.rsqrt(v + 1e-5) * g

    def block(p, x):
        n, t, _ = x.shape
        h = (norm(x, p["g"]) @ p["qkv"]).reshape((n, t, 3 * heads, width // heads)).transpose((0, 2, 1, 3))
        q, k, v = pg.split(h, 3, 1)
        s = q @ k.transpose((0, 1, 3, 2)) / (width // heads) ** 0.5
        s = pg.where(pg.tril(pg.ones((t, t), dtype="bool")), s, -1e9)
        o = (pg.softmax(s, -1) @ v).transpose((0, 2, 1, 3)).reshape((n, t, width))
        x = x + o @ p["o"]
        return x + pg.gelu(norm(x, p["g"]) @ p["f1"]) @ p["f2"]

    def loss(p, x):
        for _ in range(layers):
            x = block(p, x)
        return (x**2).mean()

    return loss


def test_a_transformer(tensor, rng):
    shapes = {"g": (8,), "qkv": (8, 24), "o": (8, 8), "f1": (8, 32), "f2": (32, 8)}
    p = {name: tensor(rng.normal(size=shape).astype("f4")) for name, shape in shapes.items()}
    x = tensor(rng.normal(size=(2, 5, 8)).astype("f4"))
    f = pg.value_and_grad(transformer(4))
    graph = traced(f, p, x)
    made = simplify(graph)
    assert len(graph.nodes) > 600 and len(made.nodes) < 0.87 * len(graph.nodes)
    counts = {name: names(made).count(name) for name in ("pad", "broadcast_in_dim", "iota", "identity", "concatenate")}
    assert counts["pad"] == counts["identity"] == 0
    assert counts["iota"] == 2 and counts["concatenate"] == 4  # one mask; one gradient of q, k and v per layer
    arrays = [x.numpy() for x in (*(p[name] for name in sorted(p)), x)]
    for found, wanted in zip(run(made, arrays), run(graph, arrays)):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


def test_work_grows_with_the_number_of_nodes(tensor, monkeypatch):
    """Rules are applied a bounded number of times per node, also for a tensor that is read row by row."""
    from pequegrad.compiler.passes.rewriting import Builder

    applied, original = [0], Builder.simplified

    def counting(self, *args):
        applied[0] += 1
        return original(self, *args)

    monkeypatch.setattr(Builder, "simplified", counting)

    def f(x):
        h = x[0]
        for i in range(1, x.shape[0]):
            h = pg.tanh(h + x[i])
        return h.sum()

    per_node = []
    for rows in (20, 160):
        graph = traced(pg.grad(f), tensor(np.ones((rows, 2), "f4")))
        applied[0] = 0
        assert "pad" not in names(simplify(graph))
        per_node.append(applied[0] / len(graph.nodes))
    assert 1 < per_node[1] < 1.2 * per_node[0] < 12


def test_an_array_that_grows_step_by_step(tensor):
    """Each step joins two arrays: not the parts of all steps before."""

    def grow(x):
        for _ in range(200):
            x = pg.concatenate([x, x[:1] + 1])
        return x

    x = tensor([[1.0, 2.0]])
    made = simplify(traced(grow, x))
    assert max(len(node.inputs) for node in made.nodes) <= 66
    np.testing.assert_array_equal(pg.jit(grow)(x).numpy(), grow(x).numpy())


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "int64"])
@pytest.mark.parametrize("index_dtype", ["int8", "int32", "uint32"])
@pytest.mark.parametrize("axis", [0, 1])
def test_sums_of_one_element_per_line(tensor, dtype, index_dtype, axis):
    """The same bits as the sum: indices outside, nan and infinities where they are not chosen, -0.0."""
    values = [3, -7, 0, 100] if "int" in dtype else [3.5, -0.0, np.nan, np.inf, -np.inf, 1e-7]
    index = np.array([0, 4, 5, 127, 2, 1, 3, 0] + ([-1, -5] if index_dtype[0] == "i" else [4, 9]), index_dtype)
    value = np.resize(np.array(values, dtype), index.shape)
    shape = (1, -1) if axis == 0 else (-1, 1)
    index, value = tensor(index.reshape(shape)), tensor(value.reshape(shape))
    line = lambda: pg.arange(5, dtype=index_dtype).reshape((5, 1) if axis == 0 else (1, 5))
    for f in (
        lambda i, x: pg.where(line() == i, x, 0).sum(axis),
        lambda i, x: (-pg.where(i == line(), x, 0)).sum(axis, keepdims=True),
        lambda i, x: pg.where(line() == i, x[:1, :1], 0).sum(axis),
    ):
        np.testing.assert_array_equal(pg.jit(f)(index, value).numpy(), f(index, value).numpy())
        assert "reduce_sum" not in names(simplify(traced(f, index, value)))
