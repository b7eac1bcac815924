"""Operators of all sets from 7 on: each is there with its attributes and inputs; meanings that changed between versions."""

import numpy as np
import pytest

import pequegrad as pg

onnx = pytest.importorskip("onnx")
from onnx import defs, helper  # noqa: E402

from pequegrad.onnx.registry import find  # noqa: E402

X = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)


def run(op, opset, outputs=("y",), **attributes):
    """The outputs for X of a model of one node."""
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], outputs, **attributes)],
        "one",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, X.shape)],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
    )
    made = pg.onnx.load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]))
    return [v.numpy() for v in made.run(X).values()]


def test_operators_of_all_sets_have_their_attributes_and_inputs():
    schemas = [s for s in defs.get_all_schemas_with_history() if not s.domain]
    wrong = []
    for opset in range(7, 29):
        newest = {}
        for s in schemas:
            if s.since_version <= opset and s.since_version > getattr(newest.get(s.name), "since_version", 0):
                newest[s.name] = s
        for s in newest.values():
            found = find("", s.name, opset)
            if s.deprecated:
                continue
            if found is None:
                wrong.append((opset, s.name))
                continue
            absent = set(s.attributes) - found.attributes
            if (absent and not found.any_attributes) or (s.max_input > len(found.inputs) and not found.variadic):
                wrong.append((opset, s.name, absent, s.max_input, found.inputs))
    assert not wrong


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_hardmax_before_set_13_takes_all_later_axes_together(axis):
    rows = X.reshape(int(np.prod(X.shape[: axis % 3])), -1)
    expected = (rows == rows.max(1, keepdims=True)).reshape(X.shape)
    np.testing.assert_array_equal(run("Hardmax", 11, axis=axis)[0], expected)


def test_top_k_of_set_7_has_k_as_an_attribute():
    values, places = run("TopK", 7, ("v", "i"), k=2, axis=1)
    expected = np.argsort(-X, axis=1)[:, :2]
    np.testing.assert_array_equal(places, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(X, expected, 1))
