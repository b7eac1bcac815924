"""Loop, Scan and If: how often they may go, and what their bodies need as values."""

import numpy as np
import pytest

import pequegrad as pg
from pequegrad.core.errors import ArgumentError

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402

FLOAT, INT, BOOL = (onnx.TensorProto.DataType.Value(name) for name in ("FLOAT", "INT64", "BOOL"))


def value(text):
    """A value's info: x is a number of floats, n! one of int64, c? a bool; x:2,k has two axes, x: none."""
    name, _, sizes = text.partition(":")
    kind = {"!": INT, "?": BOOL}.get(name[-1], FLOAT)
    shape = [int(n) if n.isdigit() else n for n in sizes.split(",") if n] if ":" in text else None
    return helper.make_tensor_value_info(name.rstrip("!?"), kind, shape)


def node(op, inputs, outputs, **attributes):
    names = lambda text: ["" if name == "-" else name for name in text.split()]
    return helper.make_node(op, names(inputs), names(outputs), **attributes)


def graph(nodes, inputs, outputs, **weights):
    weights = [numpy_helper.from_array(np.asarray(a), n) for n, a in weights.items()]
    return helper.make_graph(
        nodes, "some", list(map(value, inputs.split())), list(map(value, outputs.split())), weights
    )


def load(*of_graph, functions=(), **weights):
    sets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    functions = [
        helper.make_function("own", name, inputs.split(), outputs.split(), nodes, sets)
        for name, inputs, outputs, nodes in functions
    ]
    return pg.onnx.load(helper.make_model(graph(*of_graph, **weights), opset_imports=sets, functions=functions))


# ---- how often they go ---------------------------------------------------------------------------------------


def counting_down(m="-"):
    """x - s as long as x is positive, and how many rounds that took."""
    body = graph(
        [node("Sub", "v s", "w"), node("Greater", "w zero", "d"), node("Add", "n one", "k")],
        "i!: c?: v: n!:", "d?: w: k!:",
    )  # fmt: skip
    nodes = [node("Greater", "x zero", "c0"), node("Loop", f"{m} c0 x none", "y rounds", body=body)]
    inputs = "x: s:" + (" m!:" if m != "-" else "")
    return load(nodes, inputs, "y: rounds!:", zero=np.float32(0), one=np.int64(1), none=np.int64(0))


def test_compiled_loops_that_do_not_end_are_errors():
    with pytest.raises(ArgumentError, match="more than 131,072 rounds"):
        pg.jit(counting_down())(1.0, 0.0)


@pytest.mark.parametrize("jitted", [False, True])
def test_the_limit_is_the_models(jitted):
    made = counting_down()
    fast = pg.jit(made) if jitted else made
    made.most_rounds = 50
    assert fast(50.0, 1.0)[1].numpy() == 50
    for _ in range(2):
        with pytest.raises(ArgumentError, match="more than 50 rounds"):
            fast(51.0, 1.0)[0].numpy()
    made.most_rounds = 60
    assert fast(51.0, 1.0)[1].numpy() == 51


def test_a_limit_that_is_traced():
    made = counting_down("m")
    made.most_rounds = 50
    fast = pg.jit(made)
    for m in (0, 7, 50):
        assert fast(100.0, 1.0, m)[1].numpy() == m
    assert fast(20.0, 1.0, 1000)[1].numpy() == 20
    with pytest.raises(ArgumentError, match="more than 50 rounds"):
        fast(100.0, 1.0, 51)


def test_no_limit_is_the_largest_integer_too():
    """So scripted while loops are written."""
    body = graph([node("Sub", "v one", "w"), node("Greater", "w zero", "d")], "i!: c?: v:", "d?: w:")
    weights = {"zero": np.float32(0), "one": np.float32(1), "most": np.int64(2**63 - 1)}
    made = load([node("Greater", "x zero", "c0"), node("Loop", "most c0 x", "y", body=body)], "x:", "y:", **weights)
    assert pg.jit(made)(2.5).numpy() == made(2.5).numpy() == -0.5
    made.most_rounds = 50
    with pytest.raises(ArgumentError, match="more than 50 rounds"):
        pg.jit(made)(51.0)
    assert pg.onnx.load(pg.onnx.export(made, (np.float32(3),)))(60.0).numpy() == 0


def test_what_grows_is_refused_if_the_rounds_are_traced():
    body = graph([node("Identity", "c", "d"), node("Concat", "v v", "w", axis=0)], "i!: c?: v:n", "d?: w:n")
    made = load([node("Loop", "m - x", "y", body=body)], "x:n m!:", "y:n")
    x = np.ones(2, np.float32)
    assert made(x, 3).shape == (16,)
    with pytest.raises(ArgumentError, match=r"changes its shape(.|\n)*where it is known"):
        pg.jit(made)(x, 3)
    assert pg.jit(lambda x: made(x, np.array(3)))(x).shape == (16,)


def test_limits_under_vmap_and_in_derivatives():
    made = counting_down()
    made.most_rounds = 50
    run = pg.jit(pg.vmap(lambda x, s: made(x, s)))
    assert run(pg.Tensor([3.0, 4.5]), pg.ones((2,)))[1].numpy().tolist() == [3, 5]
    with pytest.raises(ArgumentError, match="more than 50 rounds"):
        run(pg.Tensor([3.0, 60.0]), pg.ones((2,)))
    f = pg.jit(lambda x, s: made(x, s)[0])
    assert pg.jvp(f, (pg.Tensor(3.0), pg.Tensor(1.0)), (pg.Tensor(0.0), pg.Tensor(1.0)))[1].numpy() == -3


def test_what_is_written_has_the_loop_as_it_is():
    made = counting_down()
    written = pg.onnx.export(made, (np.float32(3), np.float32(1)))
    assert sorted(n.op_type for n in written.graph.node) == ["Greater", "Loop"]
    assert pg.onnx.load(written)(3.0, 1.0)[1].numpy() == 3


# ---- what bodies need as values ------------------------------------------------------------------------------


def check(made, args, expected, fixed=()):
    """Eagerly and compiled. fixed: inputs that a compiled model has as constants."""
    assert {v.name for v in made.inputs} & made.fixed_names == set(fixed)
    for run in (made, pg.jit(made)):
        np.testing.assert_allclose(run(*args).numpy(), expected, rtol=1e-6)


SWAPPED = [node("Slice", "s first last zero step", "t")]  # the sizes of a matrix, exchanged
INDICES = {"first": np.array([-1]), "last": np.array([-3]), "zero": np.array([0]), "step": np.array([-1])}
X = np.arange(6, dtype=np.float32)


def turning(rounds=3, functions=(), reshape="Reshape"):
    """A Loop that carries a shape, which its body exchanges and reshapes by. The first shape is an input."""
    domain = {} if reshape == "Reshape" else {"domain": "own"}
    inner = [
        node("Identity", "c", "d"),
        *SWAPPED,
        node(reshape, "v s", "w", **domain),
        node("ReduceSum", "w zero", "r", keepdims=1),
    ]
    inner += [node("Add", "w r", "u"), node("Reshape", "u flat", "b")]
    body = graph(inner, "i!: c?: v:6 s!:2", "d?: b:6 t!:2")
    nodes = [node("Loop", "m - x shape", "y last_shape", body=body)]
    return load(nodes, "x:6 shape!:2", "y:6", functions=functions, m=np.int64(rounds), flat=np.array([6]), **INDICES)


def turned(x, shape, rounds=3):
    for _ in range(rounds):
        x = (x.reshape(shape) + x.reshape(shape).sum(0, keepdims=True)).ravel()
        shape = shape[::-1]
    return x


@pytest.mark.parametrize("rounds", [0, 1, 3, 12])
def test_a_loop_that_carries_a_shape(rounds):
    check(turning(rounds), (X, np.array([2, 3])), turned(X, (2, 3), rounds), ["shape"])


def test_a_loop_that_carries_a_shape_for_a_function():
    functions = [("View", "a k", "b", [node("Reshape", "a k", "b")])]
    check(turning(functions=functions, reshape="View"), (X, np.array([2, 3])), turned(X, (2, 3)), ["shape"])


def test_a_loop_inside_a_function():
    body = graph(
        [node("Identity", "c", "d"), node("Identity", "s", "t"), node("Reshape", "v s", "w")], "i! c? v s!", "d? w t!"
    )
    functions = [("Rows", "a k n", "b", [node("Loop", "n - a k", "b end", body=body)])]
    made = load(
        [node("Rows", "x root n", "y", domain="own"), node("Add", "y w", "z")], "x:6 root!:2", "z",
        functions=functions, n=np.int64(2), w=np.float32(1),
    )  # fmt: skip
    check(made, (X, np.array([3, 2])), X.reshape(3, 2) + 1, ["root"])
    assert list(made.weights) == ["w"]


def test_an_if_within_a_loop():
    """The shape is carried through two variables, and read in a branch."""
    then = graph([node("Reshape", "v s", "p")], "", "p:6,1")
    other = graph([node("Neg", "v", "o0"), node("Reshape", "o0 s", "o")], "", "o:6,1")
    inner = [
        node("Identity", "c", "d"), node("Identity", "q", "t"), node("Identity", "s", "r"), node("ReduceSum", "v", "e", keepdims=0),
        node("Greater", "e limit", "big"), node("If", "big", "w", then_branch=then, else_branch=other), node("Add", "w w", "u"),
    ]  # fmt: skip
    body = graph(inner, "i!: c?: v:6,1 s!:2 q!:2", "d?: u:6,1 t!:2 r!:2")
    made = load(
        [node("Loop", "m - x shape other", "y a b", body=body)], "x:6,1 other!:2", "y:6,1",
        m=np.int64(4), limit=np.float32(20), shape=np.array([6, 1]),
    )  # fmt: skip
    expected = X[:, None]
    for _ in range(4):
        expected = 2 * (expected if expected.sum() > 20 else -expected)
    check(made, (X[:, None], np.array([6, 1])), expected, ["other"])
    assert {"shape", "m"} <= set(made.constants)


def test_rounds_that_decide_on_a_shape_are_constants():
    """How long a Loop goes decides on the size that it carries."""
    body = graph([node("Identity", "c", "d"), node("Add", "k k", "l")], "i!: c?: k!:1", "d?: l!:1")
    nodes = [node("Loop", "m - one", "size", body=body), node("Expand", "x size", "y")]
    check(load(nodes, "x:1 m!:", "y", one=np.array([1])), (X[1:2], 3), np.ones(8), ["m"])


def test_a_body_that_reads_what_weights_compute_keeps_them():
    """Places of what is carried are read; what it was computed with is trained. A carried factor of Resize is a constant."""
    body = graph(
        [node("Identity", "c", "d"), node("Mul", "v w", "u"), node("NonZero", "u", "p")],
        "i!: c?: v:3",
        "d?: u:3 p!:1,n",
    )
    made = load([node("Loop", "m - x", "y places", body=body)], "x:3", "y:3", m=np.int64(2), w=np.ones(3, np.float32))
    assert list(made.weights) == ["w"] and not made.fixed_names & {"x"}
    np.testing.assert_array_equal(made(X[:3]).numpy(), X[:3])
    body = graph(
        [node("Identity", "c", "d"), node("Identity", "k", "l"), node("Resize", "v - k", "w")], "i! c? v k", "d? w l"
    )
    made = load(
        [node("Loop", "m - x k", "y end", body=body)], "x:1,2", "y", m=np.int64(2), k=np.array([1, 2], np.float32)
    )
    check(made, (X[None, :2],), np.repeat(X[None, :2], 4, 1)[:, [0, 0, 0, 0, 4, 4, 4, 4]])
    assert not made.weights


def test_a_scan_whose_state_is_a_shape():
    body = graph([node("Identity", "s", "t"), node("Reshape", "row s", "w")], "s!:2 row:6", "t!:2 w:k,n")
    made = load(
        [node("Scan", "shape x", "end y", body=body, num_scan_inputs=1)], "x:2,6 shape!:2", "y:2,k,n"
    )  # fmt: skip
    check(made, (np.stack([X, X]), np.array([3, 2])), np.stack([X, X]).reshape(2, 3, 2), ["shape"])


def test_long_chains_of_carried_values_are_looked_at_in_short_time():
    """Each is the next one of the round before; 200 of them, in 30 loops around each other."""
    names = [f"v{i}" for i in range(200)]
    nodes = [node("Reshape", "x v0_in", "y_in")]
    for depth in range(30):
        inner = [f"{n}_{depth}" for n in names]
        nodes += [node("Identity", f"c_{depth}", f"d_{depth}")]
        body = helper.make_graph(
            nodes, "body", [value(f"i_{depth}!"), value(f"c_{depth}?"), *(value(f"{n}!") for n in inner)],
            [value(f"d_{depth}?"), *(value(f"{n}!") for n in [*inner[1:], inner[0]])],
        )  # fmt: skip
        if depth == 0:
            body.node[0].input[1] = "v0_0"
        outer = [f"{n}_{depth + 1}" for n in names] if depth < 29 else ["shape"] * 200
        nodes = [node("Loop", " ".join(["m", "-", *outer]), f"end_{depth}", body=body)]
    made = load(nodes, "x:6 shape!:2", "end_29", m=np.int64(1))
    assert "shape" in made.fixed_names


# ---- loops inside of others, compiled ------------------------------------------------------------------------


def inner_loop(name="v", result="w"):
    """A node that counts down from `name` by `s`, as long as it is positive."""
    body = graph([node("Sub", "u s", "t"), node("Greater", "t zero", "e")], "j!: f?: u:", "e?: t:")
    return [node("Greater", f"{name} zero", f"go_{result}"), node("Loop", f"- go_{result} {name}", result, body=body)]


@pytest.mark.parametrize("around", ["Loop", "Scan", "If"])
def test_limits_inside_of_others(around):
    """s = 0 never ends: inside of a round, a step or a branch that is taken."""
    if around == "Loop":
        body = graph([*inner_loop(), node("Add", "w three", "r"), node("Less", "i two", "d")], "i!: c?: v:", "d?: r:")
        nodes = [node("Less", "x limit", "c0"), node("Loop", "- c0 x", "y", body=body)]
    elif around == "Scan":
        body = graph([node("Add", "state row", "v"), *inner_loop()], "state: row:", "w:")
        nodes = [node("Expand", "x five", "rows"), node("Scan", "zero rows", "y", body=body, num_scan_inputs=1)]
    else:
        nodes = [node("Less", "x limit", "c0")]
        nodes += [
            node(
                "If",
                "c0",
                "y",
                then_branch=graph(inner_loop("x"), "", "w:"),
                else_branch=graph([node("Neg", "x", "o")], "", "o:"),
            )
        ]
    made = load(
        nodes,
        "x: s:",
        "y:",
        zero=np.float32(0),
        three=np.float32(3),
        limit=np.float32(9),
        five=np.array([5]),
        two=np.int64(2),
    )
    made.most_rounds = 40
    fast = pg.jit(made)
    assert fast(8.0, 1.5).numpy() == made(8.0, 1.5).numpy()
    if around == "If":
        assert fast(10.0, 0.0).numpy() == -10
    for run in (made, fast, fast):
        with pytest.raises(ArgumentError, match="more than 40 rounds"):
            run(1.0, 0.0).numpy()
    assert fast(8.0, 1.5).numpy() == made(8.0, 1.5).numpy()
