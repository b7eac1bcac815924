"""Which initialisers are parameters where operators need values: NonMaxSuppression and the like read what weights computed."""

import numpy as np
import pytest

import pequegrad as pg
from pequegrad.core.errors import ArgumentError

onnx = pytest.importorskip("onnx")
helper = onnx.helper
RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def load(nodes, weights, inputs, outputs):
    """nodes: (operator, "inputs" (- for one that is left out), "outputs", attributes); weights: arrays by name; inputs: shapes by name."""
    names = lambda text: ["" if name == "-" else name for name in text.split()]
    graph = helper.make_graph(
        [helper.make_node(op, names(i), names(o), **a) for op, i, o, a in nodes],
        "some",
        [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_empty_tensor_value_info(n) for n in outputs],
        [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in weights.items()],
    )
    return pg.onnx.load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]))


def detector():
    """A convolution gives each of the 16 cells two scores and a box around the cell; the best boxes and their scores come out."""
    grid = np.stack([a.reshape(16) for a in np.meshgrid(np.arange(4), np.arange(4), indexing="ij")], -1)
    weights = {
        "w": floats(6, 3, 3, 3) / 3, "b": floats(6) / 3, "anchors": np.concatenate([grid, grid + 1], 1)[None].astype(np.float32),
        "shape": np.array([1, 6, 16]), "parts": np.array([2, 4]), "most": np.array([3]), "iou": np.float32(0.3),
        "least": np.float32(0.4),
    }  # fmt: skip
    nodes = [
        ("Conv", "x w b", "y", {"pads": [1, 1, 1, 1]}),
        ("Reshape", "y shape", "rows", {}),
        ("Split", "rows parts", "logits offsets", {"axis": 1}),
        ("Sigmoid", "logits", "scores", {}),
        ("Transpose", "offsets", "moved", {"perm": [0, 2, 1]}),
        ("Add", "moved anchors", "boxes", {}),
        ("NonMaxSuppression", "boxes scores most iou least", "chosen", {}),
        ("GatherND", "scores chosen", "best", {}),
    ]
    return load(nodes, weights, {"x": [1, 3, 4, 4]}, ["chosen", "best", "boxes"])


def test_a_detector_keeps_its_weights():
    model, x = detector(), floats(1, 3, 4, 4)
    assert {n for n, _ in model.named_parameters()} == {"w", "b", "anchors"}
    chosen, best, boxes = model(x)
    assert chosen.shape[1] == 3 and 2 <= chosen.shape[0] <= 6 and best.shape == chosen.shape[:1]
    scores = lambda w: pg.sigmoid(pg.nn.functional.conv2d(x, w, model.weights["b"], padding=1).reshape(1, 6, 16)[:, :2])
    i = chosen.numpy()
    np.testing.assert_allclose(best.numpy(), scores(model.weights["w"]).numpy()[tuple(i.T)], rtol=1e-5)
    w = model.weights["w"]
    (found,) = pg.grads([w], best.sum())
    (expected,) = pg.grads([w], scores(w)[tuple(i.T)].sum())
    assert np.abs(expected.numpy()).max() > 0
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-6)


def test_jit_says_what_depends_on_data():
    model = detector()
    with pytest.raises(ArgumentError, match="'boxes' of NonMaxSuppression depends on data"):
        pg.jit(model)(floats(1, 3, 4, 4))


@pytest.mark.parametrize("op", ["NonZero", "Unique"])
def test_what_is_read_from_data_keeps_weights(op):
    model = load([("Mul", "x w", "y", {}), (op, "y", "z", {})], {"w": floats(4)}, {"x": [4]}, ["z"])
    assert [n for n, _ in model.named_parameters()] == ["w"]
    assert model(np.array([1, 0, 0, 1], np.float32)).size == (2 if op == "NonZero" else 3)


def test_compress_by_a_learned_mask():
    nodes = [("Mul", "x w", "y", {}), ("Greater", "y zero", "mask", {}), ("Compress", "x mask", "z", {})]
    model = load(nodes, {"w": np.array([1, -1, 1], np.float32), "zero": np.float32(0)}, {"x": [3]}, ["z"])
    assert "w" in dict(model.named_parameters())
    assert model(np.array([2, 3, 4], np.float32)).numpy().tolist() == [2, 4]


def test_what_is_read_and_no_data_is_a_constant():
    """Here jit can know it."""
    nodes = [("Mul", "a b", "c", {}), ("NonZero", "c", "places", {}), ("Add", "x w", "y", {})]
    weights = {"a": np.array([1, 0, 2], np.float32), "b": np.array([1, 1, 3], np.float32), "w": floats(3)}
    model = load(nodes, weights, {"x": [3]}, ["places", "y"])
    assert [n for n, _ in model.named_parameters()] == ["w"]
    assert pg.jit(model)(floats(3))[0].numpy().tolist() == [[0, 2]]


def test_sizes_computed_from_shapes_and_floats_are_constants():
    """Resize by a factor that is computed: everything upstream is a constant, under jit, too."""
    nodes = [
        ("Shape", "x", "shape", {}), ("Cast", "shape", "wide", {"to": 1}), ("Mul", "wide factor", "target", {}),
        ("Cast", "target", "sizes", {"to": 7}), ("Resize", "x - - sizes", "y", {}),
    ]  # fmt: skip
    model = load(nodes, {"factor": np.array([1, 1, 2, 2], np.float32)}, {"x": [1, 1, "h", "w"]}, ["y"])
    assert not model.parameters()
    assert pg.jit(model)(floats(1, 1, 3, 2)).shape == (1, 1, 6, 4)


def test_a_condition_that_weights_decide():
    """If on what a network computes: eagerly one branch runs, and the weights stay parameters."""
    branch = lambda name, op: helper.make_graph(
        [helper.make_node(op, ["y"], [name])], name, [], [helper.make_empty_tensor_value_info(name)]
    )
    nodes = [
        ("Mul", "x w", "y", {}), ("ReduceSum", "y", "s", {"keepdims": 0}), ("Greater", "s zero", "c", {}),
        ("If", "c", "z", {"then_branch": branch("a", "Abs"), "else_branch": branch("b", "Neg")}),
    ]  # fmt: skip
    model = load(nodes, {"w": np.array([2, 3], np.float32), "zero": np.float32(0)}, {"x": [2]}, ["z"])
    assert "w" in dict(model.named_parameters())
    assert model(np.array([1, -2], np.float32)).numpy().tolist() == [-2, 6]


# ---- model-local functions and subgraphs ---------------------------------------------------------------------


def with_functions(nodes, functions, weights, inputs, outputs):
    """The same as load; functions: name -> ("inputs", "outputs", nodes)."""
    names = lambda text: ["" if name == "-" else name for name in text.split()]
    made = lambda nodes: [
        helper.make_node(op, names(i), names(o), domain="own" if op in functions else "", **a) for op, i, o, a in nodes
    ]
    sets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    graph = helper.make_graph(
        made(nodes),
        "some",
        [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_empty_tensor_value_info(n) for n in outputs],
        [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in weights.items()],
    )
    functions = [
        helper.make_function("own", n, names(i), names(o), made(inner), sets) for n, (i, o, inner) in functions.items()
    ]
    return pg.onnx.load(helper.make_model(graph, opset_imports=sets, functions=functions))


def test_statistics_and_shapes_inside_functions():
    functions = {
        "Norm": ("a s b m v", "c", [("BatchNormalization", "a s b m v", "c", {})]),
        "Block": ("a s b m v k", "c", [("Norm", "a s b m v", "n", {}), ("Resize", "n - k", "c", {})]),
        "Rows": ("a k", "c", [("Mul", "k k", "q", {}), ("Cast", "q", "n", {"to": 7}), ("Reshape", "a n", "c", {})]),
    }
    weights = {name: np.ones(2, np.float32) for name in "sbmv"}
    weights |= {"k": np.array([1, 1, 2, 2], np.float32), "root": np.array([2, 4], np.float32)}
    nodes = [("Block", "x s b m v k", "y", {}), ("Rows", "y root", "z", {})]
    model = with_functions(nodes, functions, weights, {"x": [1, 2, 2, 4]}, ["z"])
    assert [n for n, _ in model.named_parameters()] == ["s", "b"]
    assert [n for n, _ in model.named_buffers()] == ["m", "v"]
    x = floats(1, 2, 2, 4)
    np.testing.assert_allclose(pg.jit(model)(x).numpy(), model(x).numpy(), rtol=1e-6)


def test_functions_that_read_what_weights_compute_keep_them():
    functions = {"Scaled": ("a b", "c", [("Mul", "a b", "p", {}), ("NonZero", "p", "c", {})])}
    weights = {"w": floats(3), "u": floats(3), "v": floats(3)}
    nodes = [("Scaled", "x w", "y", {}), ("Scaled", "u v", "z", {})]
    model = with_functions(nodes, functions, weights, {"x": [3]}, ["y", "z"])
    assert [n for n, _ in model.named_parameters()] == ["w"]


def test_statistics_inside_subgraphs():
    branch = lambda name, nodes: helper.make_graph(nodes, name, [], [helper.make_empty_tensor_value_info(name)])
    normal = helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["n"])
    nodes = [
        ("ReduceSum", "x", "t", {"keepdims": 0}), ("Greater", "t zero", "c", {}),
        ("If", "c", "z", {"then_branch": branch("n", [normal]), "else_branch": branch("e", [helper.make_node("Neg", ["x"], ["e"])])}),
    ]  # fmt: skip
    weights = {**{name: np.ones(2, np.float32) for name in "sbmv"}, "zero": np.float32(0)}
    model = load(nodes, weights, {"x": [1, 2, 3]}, ["z"])
    assert {n for n, _ in model.named_buffers()} == {"m", "v"}


def test_functions_in_functions_are_looked_at_once():
    """Each calls the one before twice, and so on."""
    functions = {"F0": ("a k", "c", [("Add", "a k", "c", {})])}
    for i in range(1, 12):
        functions[f"F{i}"] = ("a k", "c", [(f"F{i - 1}", "a k", "d", {}), (f"F{i - 1}", "d k", "c", {})])
    model = with_functions([("F11", "x w", "y", {})], functions, {"w": floats(3)}, {"x": [3]}, ["y"])
    assert [n for n, _ in model.named_parameters()] == ["w"]


# ---- x[mask] = number, as torch's newer exporter writes it ---------------------------------------------------


def masking(rows=False, number=-2.0, **more):
    """Of the elements, or of rows; the mask is where x (its sums) are negative. The places may be an output, too."""
    nodes = [
        ("ReduceSum", "x last", "s", {"keepdims": 0}), ("Less", "s zero" if rows else "x zero", "m", {}), ("NonZero", "m", "p", {}),
        ("Transpose", "p", "q", {"perm": [1, 0]}), ("Reshape", "m all", "flat", {}), ("Cast", "flat", "ones", {"to": 7}),
        ("ReduceSum", "ones", "count", {}), ("Concat", "count three", "both", {"axis": 0}),
        ("Expand", "number both" if rows else "number count", "e", {}), ("Reshape", "e all", "u", {}),
        ("ScatterND", "x q e" if rows else "x q u", "y", more), ("Mul", "y w", "z", {}),
    ]  # fmt: skip
    nodes = [n for n in nodes if n[2] != ("u" if rows else "both")]
    weights = {
        "zero": np.float32(0),
        "number": np.float32(number),
        "all": np.array([-1]),
        "last": np.array([1]),
        "three": np.array([3]),
    }
    return nodes, {**weights, "w": np.ones(3, np.float32)}


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("number", [-2.0, -np.inf])
def test_masked_assignment_is_compiled(rows, number):
    nodes, weights = masking(rows, number)
    model, x = load(nodes, weights, {"x": ["n", 3]}, ["z"]), floats(4, 3)
    mask = (x.sum(1, keepdims=True) if rows else x) < 0
    for run in (model, pg.jit(model)):
        np.testing.assert_array_equal(run(x).numpy(), np.where(mask, np.float32(number), x))
    assert not model.fixed_names & {"x"} and "w" in dict(model.named_parameters())
    assert [n.op for n in model.model.graph.nodes if n.op in ("NonZero", "ScatterND")] == []
    given = pg.Tensor(x)
    np.testing.assert_array_equal(
        pg.grads([given], pg.where(pg.Tensor(mask), 0.0, model(given)).sum())[0].numpy(),
        np.where(mask, 0, np.ones((4, 3))),
    )


def test_places_that_others_read_are_still_there():
    nodes, weights = masking()
    model, x = load(nodes, weights, {"x": ["n", 3]}, ["z", "p"]), floats(4, 3)
    np.testing.assert_array_equal(model(x)[1].numpy(), np.nonzero(x < 0))


def test_what_adds_or_gives_many_numbers_is_no_mask():
    x = floats(4, 3)
    nodes, weights = masking(reduction="add")
    np.testing.assert_allclose(
        load(nodes, weights, {"x": ["n", 3]}, ["z"])(x).numpy(), np.where(x < 0, x - 2, x), rtol=1e-6
    )
    nodes, weights = masking()
    weights["number"] = np.arange(1, (x < 0).sum() + 1, dtype=np.float32)
    expected = x.copy()
    expected[x < 0] = weights["number"]
    np.testing.assert_array_equal(load(nodes, weights, {"x": ["n", 3]}, ["z"])(x).numpy(), expected)
