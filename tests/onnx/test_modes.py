"""model.eval() and model.train(): which nodes of a file train."""

import numpy as np
import pytest

import pequegrad as pg

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402

X = np.random.default_rng(0).standard_normal((16, 3)).astype(np.float32)
STATISTICS = {"mean": np.array([1, 2, 3], np.float32), "var": np.array([4, 1, 0.25], np.float32)}


def load(nodes, weights, opset=17, inputs=(), functions=()):
    graph = helper.make_graph(
        nodes, "some", [helper.make_tensor_value_info("x", 1, ["n", 3]), *inputs],
        [helper.make_empty_tensor_value_info("y")], [numpy_helper.from_array(np.asarray(a), n) for n, a in weights.items()],
    )  # fmt: skip
    sets = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    return pg.onnx.load(helper.make_model(graph, opset_imports=sets, functions=functions))


def network(training, opset=17):
    norm = {"training_mode": int(training)} if opset >= 14 else {}
    outputs = ["a", "m", "v"] if training and opset >= 14 else ["a", "m", "v", "m2", "v2"] if training else ["a"]
    nodes = [
        helper.make_node("BatchNormalization", ["x", "scale", "b", "mean", "var"], outputs, epsilon=0.0, **norm),
        helper.make_node("Dropout", ["a", "ratio", "mode"], ["y"]),
    ]
    weights = {"scale": np.ones(3, np.float32), "b": np.zeros(3, np.float32), **STATISTICS}
    return load(nodes, {**weights, "ratio": np.float32(0.5), "mode": np.array(training)}, opset)


@pytest.mark.parametrize("opset", [12, 17])
@pytest.mark.parametrize("jitted", [False, True])
def test_a_file_that_trains_infers_after_eval(opset, jitted):
    made = network(True, opset)
    run = pg.jit(made) if jitted else made
    batch = (X - X.mean(0)) / X.std(0)
    inferred = (X - STATISTICS["mean"]) / np.sqrt(STATISTICS["var"])
    for mode in (None, True, False, True):
        if mode is not None:
            assert made.train(mode) is made
        assert made.training == (mode is not False)
        y = run(X).numpy()
        if mode is False:
            np.testing.assert_allclose(y, inferred, rtol=1e-5)
        else:
            assert 0 < (y == 0).sum() < y.size
            np.testing.assert_allclose(y[y != 0], 2 * batch[y != 0], rtol=1e-4, atol=1e-5)
            assert (y != run(X).numpy()).any()
    for name, value in STATISTICS.items():
        np.testing.assert_array_equal(made.buffer_dict()[name].numpy(), value)


def test_what_was_written_for_inference_stays_that():
    made = network(False)
    assert not made.training
    expected = (X - STATISTICS["mean"]) / np.sqrt(STATISTICS["var"])
    for model in (made, made.train(), made.eval()):
        np.testing.assert_allclose(model(X).numpy(), expected, rtol=1e-5)


def test_a_model_after_eval_is_written_for_inference():
    made = network(True).eval()
    written = pg.onnx.export(made, (X,))
    assert "Dropout" not in [node.op_type for node in written.graph.node]
    np.testing.assert_allclose(pg.onnx.load(written)(X).numpy(), made(X).numpy(), rtol=1e-5)


def test_the_mode_reaches_functions_and_branches():
    drop = helper.make_node("Dropout", ["a", "", "mode"], ["b"])
    mode = helper.make_node("Constant", [], ["mode"], value=numpy_helper.from_array(np.array(True)))
    function = helper.make_function("own", "Drop", ["a"], ["b"], [mode, drop], [helper.make_opsetid("", 17)])
    branch = lambda name: helper.make_graph(
        [helper.make_node("Drop", ["x"], [name], domain="own")], name, [], [helper.make_empty_tensor_value_info(name)]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("t"), else_branch=branch("e"))
    made = load([node], {"c": np.array(True)}, functions=[function])
    assert made.training and (made(X).numpy() == 0).any()
    np.testing.assert_array_equal(made.eval()(X).numpy(), X)


def test_a_mode_that_is_an_input():
    flag = helper.make_tensor_value_info("mode", 9, [])
    made = load([helper.make_node("Dropout", ["x", "", "mode"], ["y"])], {}, inputs=[flag])
    for run in (made, pg.jit(made)):
        made.train()
        np.testing.assert_array_equal(run(X, np.array(False)).numpy(), X)
        assert (run(X, np.array(True)).numpy() == 0).any()
        made.eval()
        np.testing.assert_array_equal(run(X, np.array(True)).numpy(), X)
