"""What the official suite does not check of the general operators: versions, attributes, strings, errors, gradients, jit."""

import numpy as np
import pytest

import pequegrad as pg

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from pequegrad.core.errors import ArgumentError, ShapeError  # noqa: E402

FLOAT, INT, BOOL, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING


def info(name, element_type=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, element_type, shape)


def model(nodes, inputs, outputs=("out",), opset=21, **constants):
    """A loaded model; inputs: name -> element type."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [info(name, kind) for name, kind in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    return pg.onnx.load(made)


def node(op, *inputs, outputs=("out",), **attributes):
    return helper.make_node(op, list(inputs), list(outputs), **attributes)


X = np.arange(12, dtype=np.float32).reshape(3, 4) - 5


def run(made, *inputs):
    return made(*inputs).numpy()


def test_clip_and_reductions_by_attribute_and_by_input():
    old = model([node("Clip", "x", min=-1.0, max=2.0)], {"x": FLOAT}, opset=10)
    new = model([node("Clip", "x", "", "high")], {"x": FLOAT}, high=np.float32(2))
    np.testing.assert_array_equal(run(old, X), np.clip(X, -1, 2))
    np.testing.assert_array_equal(run(new, X), np.minimum(X, 2))
    for opset in (11, 13):
        with_axes = {"axes": [1]} if opset < 13 else {}
        names, constants = (["x"], {}) if opset < 13 else (["x", "a"], {"a": np.array([1])})
        made = model([node("ReduceSum", *names, keepdims=0, **with_axes)], {"x": FLOAT}, opset=opset, **constants)
        np.testing.assert_array_equal(run(made, X), X.sum(1))


def test_reductions_over_no_axes_still_do_their_other_steps():
    made = model([node("ReduceSumSquare", "x", noop_with_empty_axes=1)], {"x": FLOAT})
    np.testing.assert_array_equal(run(made, X), X * X)


def test_broadcasting_before_version_7():
    made = model([node("Add", "x", "y", broadcast=1, axis=0)], {"x": FLOAT, "y": FLOAT}, opset=6)
    y = np.array([1, 2, 3], np.float32)
    np.testing.assert_array_equal(run(made, X, y), X + y[:, None])


@pytest.mark.parametrize(
    "start, end, step", [(0, 4, 1), (-1, -100, -1), (-100, 100, 2), (3, 0, -2), (2, 2, 1), (-100, -200, -1), (5, 9, 1)]
)
def test_slices_clamp_as_onnx_says(start, end, step):
    constants = {"s": np.array([start]), "e": np.array([end]), "a": np.array([1]), "t": np.array([step])}
    made = model([node("Slice", "x", "s", "e", "a", "t")], {"x": FLOAT}, **constants)
    n = X.shape[1]
    first = start + n if start < 0 else start
    last = end + n if end < 0 else end
    first = min(max(first, 0), n if step > 0 else n - 1)
    last = min(max(last, 0 if step > 0 else -1), n if step > 0 else n - 1)
    np.testing.assert_array_equal(run(made, X), X[:, list(range(first, last, step))])


def test_powers_with_known_exponents_multiply_and_have_derivatives():
    made = model([node("Pow", "x", "p")], {"x": FLOAT}, p=np.float32(3))
    x = pg.Tensor(X)
    np.testing.assert_allclose(made(x).numpy(), X**3)
    np.testing.assert_allclose(pg.grads([x], pg.sum(made(x)))[0].numpy(), 3 * X**2, rtol=1e-6)


def test_gather_and_scatter_have_derivatives():
    made = model(
        [node("GatherND", "x", "i", outputs=["g"]), node("ScatterElements", "x", "j", "u", axis=1, reduction="mul"),
         node("ReduceSum", "g", outputs=["s"], keepdims=0)],
        {"x": FLOAT}, ("out", "s"), i=np.array([[0, 1], [2, -1]]), j=np.array([[1], [0], [3]]), u=np.full((3, 1), 2, np.float32),
    )  # fmt: skip
    x = pg.Tensor(X)
    out, total = made(x)
    slopes = np.ones((3, 4), np.float32)
    slopes[[0, 1, 2], [1, 0, 3]] = 2
    slopes[[0, 2], [1, 3]] += 1
    np.testing.assert_array_equal(pg.grads([x], pg.sum(out) + total)[0].numpy(), slopes)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_unique_values_have_derivatives(axis):
    options = {} if axis is None else {"axis": axis}
    made = model(
        [node("Unique", "x", outputs=["u", "i"], **options), node("Mul", "u", "u")], {"x": FLOAT}, ("out", "i")
    )
    x = pg.Tensor(np.array([[3, 1, 3], [2, 1, 2], [3, 1, 3]], np.float32))
    out, first = made(x)
    slopes = np.zeros((3, 3), np.float32)
    where = first.numpy()
    (slopes.ravel() if axis is None else np.moveaxis(slopes, axis, 0))[where] = 1
    np.testing.assert_array_equal(pg.grads([x], pg.sum(out))[0].numpy(), slopes * 2 * x.numpy())
    with pytest.raises(ArgumentError, match="Unique"):
        pg.jit(made)(x)


def test_strings_are_moved_compared_and_made_unique():
    words = np.array(["pear", "fig", "pear", "plum"], object)
    nodes = [
        node("Gather", "w", "i", outputs=["g"]), node("Equal", "w", "g", outputs=["same"]),
        node("Unique", "w", outputs=["u", "", "inverse"]), node("Cast", "n", to=STRING, outputs=["text"]),
    ]  # fmt: skip
    made = model(nodes, {"w": STRING, "n": INT}, ("g", "same", "u", "inverse", "text"), i=np.array([3, 1, 0, -1]))
    g, same, u, inverse, text = made(words, np.array([1, -2]))
    assert (
        list(g) == ["plum", "fig", "pear", "plum"] and list(u) == ["fig", "pear", "plum"] and list(text) == ["1", "-2"]
    )
    assert same.numpy().tolist() == [False, True, True, True] and inverse.numpy().tolist() == [1, 0, 1, 2]


def test_sizes_that_depend_on_data_are_an_error_under_jit_that_names_the_input():
    made = model([node("NonZero", "x")], {"x": FLOAT})
    assert run(made, X).shape == (2, 11)
    with pytest.raises(ArgumentError, match="NonZero"):
        pg.jit(made)(X)


def test_wrong_values_are_refused():
    with pytest.raises(ShapeError, match="Split"):
        model([node("Split", "x", "s")], {"x": FLOAT}, s=np.array([2, 2]))(X)
    with pytest.raises(ArgumentError, match="direction"):
        model([node("BitShift", "x", "x", direction="UP")], {"x": TensorProto.UINT8})(np.uint8([1]))
    with pytest.raises(NotImplementedError, match="FLOAT8E5M2"):
        model([node("Cast", "x", to=TensorProto.FLOAT8E5M2)], {"x": FLOAT})(X)


# ---- control flow ------------------------------------------------------------------------------------------


def branch(name, op):
    return helper.make_graph([node(op, "x", outputs=["b"])], name, [], [info("b", FLOAT, [3, 4])])


def test_if_runs_one_branch_eagerly_and_traced():
    made = model(
        [node("If", "c", then_branch=branch("then", "Exp"), else_branch=branch("else", "Neg"))], {"c": BOOL, "x": FLOAT}
    )
    for function in (made, pg.jit(made)):
        np.testing.assert_allclose(function(np.array(True), X).numpy(), np.exp(X), rtol=1e-6)
        np.testing.assert_array_equal(function(np.array(False), X).numpy(), -X)


def loop_body(test):
    """v -> 0.5 * v, stacked too where there is no test; else while v > test."""
    nodes = [helper.make_node("Mul", ["v", "half"], ["w"])]
    outputs = [info("go", BOOL, []), info("w", FLOAT, [])]
    if test is None:
        nodes += [helper.make_node("Identity", ["c"], ["go"]), helper.make_node("Identity", ["w"], ["row"])]
        outputs.append(info("row", FLOAT, []))
    else:
        nodes.append(helper.make_node("Greater", ["w", "limit"], ["go"]))
    return helper.make_graph(nodes, "body", [info("i", INT, []), info("c", BOOL, []), info("v", FLOAT, [])], outputs)


@pytest.mark.parametrize("rounds", [0, 3, 20])
def test_loops_of_known_length_stack_and_have_derivatives(rounds):
    made = model(
        [helper.make_node("Loop", ["m", "", "x"], ["out", "rows"], body=loop_body(None))],
        {"x": FLOAT}, ("out", "rows"), m=np.array(rounds), half=np.float32(0.5),
    )  # fmt: skip
    for function in (made, pg.jit(made)):
        out, rows = function(np.float32(8))
        assert float(out.numpy()) == 8 * 0.5**rounds
        np.testing.assert_array_equal(rows.numpy(), np.float32(8) * 0.5 ** np.arange(1, rounds + 1, dtype=np.float32))
    x = pg.Tensor(np.float32(8))
    assert float(pg.grads([x], made(x)[0])[0].numpy()) == 0.5**rounds


def test_loops_that_end_when_data_says_so():
    made = model(
        [helper.make_node("Loop", ["", "go", "x"], ["out"], body=loop_body(1.0))],
        {"x": FLOAT}, go=np.array(True), half=np.float32(0.5), limit=np.float32(1),
    )  # fmt: skip
    for function in (made, pg.jit(made)):
        assert [float(function(np.float32(v)).numpy()) for v in (9, 3, 0.5)] == [0.5625, 0.75, 0.25]


@pytest.mark.parametrize("ends", ["by data", "by its number", "never"])
def test_loops_with_a_bound_that_they_do_not_reach(ends):
    """As torch.jit.script writes while: M is the largest integer."""
    tests = {
        "by data": [node("ReduceSum", "w", outputs=["s"], keepdims=0), node("Less", "s", "hundred", outputs=["go"])],
        "by its number": [node("Less", "i", "five", outputs=["go"])],
        "never": [node("Identity", "c", outputs=["go"])],
    }
    body = helper.make_graph(
        [node("Add", "v", "v", outputs=["w"]), *tests[ends]], "body",
        [info("i", INT, []), info("c", BOOL, []), info("v", FLOAT, [2])], [info("go", BOOL, []), info("w", FLOAT, [2])],
    )  # fmt: skip
    made = model(
        [node("Loop", "m", "go", "x", body=body)], {"x": FLOAT},
        m=np.array(2**63 - 1), go=np.array(True), hundred=np.float32(100), five=np.array(5),
    )  # fmt: skip
    x = np.array([1, 2], np.float32)
    made.most_rounds = 1000
    for function in (made, pg.jit(made)):
        if ends == "never":
            with pytest.raises(ArgumentError, match="more than 1,000 rounds"):
                function(x)
        else:
            np.testing.assert_array_equal(function(x).numpy(), x * 64)


def test_scan_goes_both_ways_along_any_axis():
    body = helper.make_graph(
        [helper.make_node("Add", ["s", "v"], ["t"]), helper.make_node("Identity", ["t"], ["y"])],
        "body", [info("s"), info("v")], [info("t"), info("y")],
    )  # fmt: skip
    made = model(
        [helper.make_node("Scan", ["zero", "x"], ["out", "ys"], body=body, num_scan_inputs=1, scan_input_axes=[1],
                          scan_input_directions=[1], scan_output_axes=[1], scan_output_directions=[1])],
        {"x": FLOAT}, ("out", "ys"), zero=np.zeros(3, np.float32),
    )  # fmt: skip
    for function in (made, pg.jit(made)):
        out, ys = function(X)
        np.testing.assert_array_equal(out.numpy(), X.sum(1))
        np.testing.assert_array_equal(ys.numpy(), X[:, ::-1].cumsum(1)[:, ::-1])


def test_frames_of_a_signal_without_a_last_axis():
    """So torch's older exporter writes torch.stft."""
    made = model(
        [node("STFT", "x", "step", "window")], {"x": FLOAT}, step=np.int64(4), window=np.hanning(8).astype(np.float32)
    )
    x = np.random.default_rng(0).standard_normal((2, 20)).astype(np.float32)
    found = made(x).numpy()
    np.testing.assert_array_equal(found, made(x[..., None]).numpy())
    expected = np.stack([np.fft.rfft(x[:, i : i + 8] * np.hanning(8)) for i in (0, 4, 8, 12)], 1)
    np.testing.assert_allclose(found[..., 0] + 1j * found[..., 1], expected, atol=1e-5)


def test_seeded_random_numbers_repeat_and_others_do_not():
    nodes = [node("RandomUniformLike", "x", seed=3.0, low=2.0, high=3.0, outputs=["u"]), node("RandomNormalLike", "x")]
    made = model(nodes, {"x": FLOAT}, ("u", "out"))
    (u, first), (v, second) = made(X), made(X)
    np.testing.assert_array_equal(u.numpy(), v.numpy())
    assert (first.numpy() != second.numpy()).any() and 2 <= u.numpy().min() <= u.numpy().max() < 3


def test_sizes_that_a_branch_gives_are_constants():
    """What If gives to Expand is needed as values: so is what its branches compute it from."""
    value = helper.make_tensor_value_info
    branch = lambda op: helper.make_graph([helper.make_node(op, ["n"], ["s" + op])], op, [], [value("s" + op, 7, [1])])
    nodes = [
        helper.make_node("If", ["flag"], ["s"], then_branch=branch("Abs"), else_branch=branch("Neg")),
        helper.make_node("Expand", ["x", "s"], ["y"]),
    ]
    inputs = [value("flag", 9, []), value("n", 7, [1]), value("x", 1, [1])]
    graph = helper.make_graph(nodes, "g", inputs, [value("y", 1, [None])])
    model = pg.onnx.load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]))
    assert "n" in model.known_names
    run = pg.jit(lambda x: model(np.array(True), np.array([3]), x))
    assert run(pg.ones(1)).shape == (3,)
