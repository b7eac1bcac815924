"""pequegrad.onnx.backend is what onnx.backend.base.Backend says."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402
from onnx.backend.base import Backend, BackendRep  # noqa: E402

import pequegrad.onnx.backend as backend  # noqa: E402
from pequegrad.core.errors import DeviceError, PequegradError  # noqa: E402

X = np.arange(6, dtype=np.float32).reshape(2, 3) - 2


@pytest.fixture
def model():
    value = lambda name, shape: helper.make_tensor_value_info(name, 1, shape)
    nodes = [helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Add", ["a", "z"], ["y"])]
    graph = helper.make_graph(
        nodes, "g", [value("x", ["n", 3]), value("z", [])], [value("a", ["n", 3]), value("y", ["n", 3])]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


@pytest.mark.parametrize("jitted", [False, True])
def test_prepare(model, jitted):
    made = backend.prepare(model, "CPU", jitted=jitted)
    assert isinstance(made, BackendRep) and issubclass(backend.PequegradBackend, Backend)
    one = np.array(1, np.float32)
    for x in (X, X[:1], X):
        for inputs in ([x, one], (x, one), {"z": one, "x": x}):
            a, y = found = made.run(inputs)
            assert isinstance(found, tuple)
            np.testing.assert_array_equal(a, -x)
            np.testing.assert_array_equal(y, 1 - x)
    assert found.y is y and found["a"] is a  # by name, as of other backends


def test_an_input_alone_needs_no_list():
    assert backend.run_node(helper.make_node("Abs", ["x"], ["y"]), X).y.tolist() == np.abs(X).tolist()


def test_run_model(model):
    np.testing.assert_array_equal(backend.run_model(model, [X, np.array(2, np.float32)])[1], 2 - X)
    np.testing.assert_array_equal(
        backend.run_model(model, [X, np.array(2, np.float32)], device="CPU:0", jitted=True)[1], 2 - X
    )


def test_run_node():
    low, high = backend.run_node(helper.make_node("TopK", ["x", "k"], ["v", "i"], axis=1), [X, np.array([2])])
    assert low.tolist() == [[0, -1], [3, 2]] and high.tolist() == [[2, 1], [2, 1]]
    squeeze = helper.make_node("Squeeze", ["x"], ["y"], axes=[0])
    (found,) = backend.run_node(squeeze, [X[:1]], opset_version=11)  # attributes of older sets
    assert found.shape == (3,)
    clip = helper.make_node("Clip", ["x", "", "top"], ["y"])  # an input that is left out
    np.testing.assert_array_equal(backend.run_node(clip, [X, np.array(1, np.float32)])[0], np.minimum(X, 1))


def test_run_node_checks_the_node():
    with pytest.raises(onnx.checker.ValidationError):
        backend.run_node(helper.make_node("Abs", ["x", "z"], ["y"]), [X, X])


def test_devices(model):
    assert backend.supports_device("CPU") and backend.supports_device("CPU:0") and not backend.supports_device("TPU")
    assert not backend.supports_device("CPU:7") and not backend.supports_device("CUDA:x")
    with pytest.raises(DeviceError, match="TPU"):
        backend.prepare(model, "TPU")


def test_errors(model):
    made = backend.prepare(model)
    for wrong in ([X], [X, X, X], [X], {"x": X}, {"x": X, "z": np.array(1, np.float32), "q": X}):
        with pytest.raises(PequegradError):
            made.run(wrong)
    assert backend.PequegradBackend.is_compatible(model)
    missing = helper.make_model(helper.make_graph([helper.make_node("Nothing", [], ["y"])], "g", [], []))
    assert not backend.PequegradBackend.is_compatible(missing)
