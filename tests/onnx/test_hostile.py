"""Files that are wrong or hostile: clear errors, and nothing else."""

import os
import subprocess
import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from conftest import FULL  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import pequegrad as pg  # noqa: E402
import pequegrad.onnx  # noqa: E402
from pequegrad.core.errors import ModelFileError, PequegradError  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def test_mutated_models(tmp_path):
    """No crash, no hang, no file read outside the folder, no error that is not ours."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(np.ones(12, np.float32).tobytes())
    (tmp_path / "secret").write_bytes(np.ones(12, np.float32).tobytes())
    os.symlink(tmp_path / "secret", folder / "link")
    command = [
        sys.executable,
        os.path.join(os.path.dirname(__file__), "hostile.py"),
        "0",
        str(2000 if FULL else 200),
        str(folder),
    ]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True, timeout=900
    )
    wrong = [line for line in done.stdout.splitlines() if not line.startswith(("at ", "done"))]
    assert not wrong, "\n".join(wrong)
    assert done.stdout.endswith("done\n"), f"it ended with {done.returncode} {done.stdout[-30:]}\n{done.stderr[-2000:]}"


def graph(nodes, initializers=(), outputs=("y",), functions=()):
    x = helper.make_tensor_value_info("x", 1, [2, 4])
    found = [helper.make_tensor_value_info(name, 1, None) for name in outputs]
    made = helper.make_graph(nodes, "graph", [x], found, list(initializers))
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    return helper.make_model(made, opset_imports=imports, functions=list(functions))


@pytest.mark.parametrize(
    "model, text",
    [
        (graph([helper.make_node("Add", ["x", "y"], ["y"])]), "depends on its own result"),
        (graph([helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Neg", ["a"], ["b"])], outputs=["b"]), "depends on"),
        (graph([helper.make_node("Neg", ["nowhere"], ["y"])]), "nothing gives"),
        (graph([helper.make_node("Neg", ["x"], ["z"])]), "Nothing gives the output"),
        (graph([helper.make_node("Neg", ["x"], ["y"]), helper.make_node("Abs", ["x"], ["y"])]), "Two nodes"),
        (graph([helper.make_node("Neg", ["x"], ["x"])]), "Two nodes"),
        (graph([], [TensorProto(name="w", data_type=1, dims=[2**40, 2**40])]), "impossible shape"),
        (graph([], [TensorProto(name="w", data_type=1, dims=[3], raw_data=b"123")]), "cannot be read|elements"),
        (graph([], [TensorProto(name="w", data_type=99, dims=[1], raw_data=b"1234")]), "cannot be read|element type"),
    ],
)  # fmt: skip
def test_wrong_graphs(model, text):
    with pytest.raises(ModelFileError, match=text):
        pg.onnx.load(model.SerializeToString())


def test_functions_that_call_themselves():
    call = helper.make_node("F", ["a"], ["b"], domain="own")
    function = helper.make_function("own", "F", ["a"], ["b"], [call], [helper.make_opsetid("own", 1)])
    with pytest.raises(ModelFileError, match="calls itself"):
        pg.onnx.load(graph([helper.make_node("F", ["x"], ["y"], domain="own")], functions=[function]))


def test_functions_that_grow_without_bound():
    made = []
    for i in range(40):
        node = lambda a, b, i=i: helper.make_node(
            f"F{i + 1}" if i < 39 else "Neg", [a], [b], domain="own" if i < 39 else ""
        )
        imports = [helper.make_opsetid("own", 1), helper.make_opsetid("", 20)]
        made.append(helper.make_function("own", f"F{i}", ["a"], ["c"], [node("a", "b"), node("b", "c")], imports))
    with pytest.raises(ModelFileError, match="stand for more than"):
        pg.onnx.load(graph([helper.make_node("F0", ["x"], ["y"], domain="own")], functions=made))


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/passwd", "link", "sub/../../secret", "nothing", "", ".", "a\0b"]
)
def test_external_data_stays_in_the_folder(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(32))
    os.symlink(tmp_path / "secret", folder / "link")
    tensor = TensorProto(name="w", data_type=1, dims=[2, 4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    path = folder / "m.onnx"
    path.write_bytes(graph([helper.make_node("Add", ["x", "w"], ["y"])], [tensor]).SerializeToString())
    with pytest.raises(ModelFileError, match="no file in the model's folder"):
        pg.onnx.load(path)
    with pytest.raises(ModelFileError, match="load the model by its path"):
        pg.onnx.load(path.read_bytes())


def test_external_data_in_the_folder(tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(8) + np.arange(8, dtype=np.float32).tobytes())
    tensor = TensorProto(name="w", data_type=1, dims=[2, 4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "w.bin"), ("offset", "8"), ("length", "32")):
        tensor.external_data.add(key=key, value=value)
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([helper.make_node("Add", ["x", "w"], ["y"])], [tensor]).SerializeToString())
    model = pg.onnx.load(path)
    np.testing.assert_array_equal(model(np.zeros((2, 4), np.float32)).numpy().ravel(), np.arange(8))


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"not a model", bytes(1000), b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"]
)
def test_no_models(data):
    with pytest.raises(ModelFileError):
        pg.onnx.load(data)


def test_an_operator_set_from_the_future():
    model = graph([helper.make_node("Neg", ["x"], ["y"])])
    model.opset_import[0].version = 99
    with pytest.raises(NotImplementedError, match="operator set 99"):
        pg.onnx.load(model)


def test_many_nodes_in_the_wrong_order():
    """The order is found in time proportional to the size."""
    n = 20_000
    nodes = [helper.make_node("Neg", [f"v{i - 1}" if i else "x"], [f"v{i}"]) for i in range(n)][::-1]
    model = pg.onnx.load(graph(nodes, outputs=[f"v{n - 1}"]))
    assert model.model.graph.nodes[0].inputs == ["x"]


def test_missing_operators_are_listed_together():
    nodes = [helper.make_node("Nothing", ["x"], ["a"]), helper.make_node("Never", ["a"], ["y"])]
    with pytest.raises(NotImplementedError, match="Never.*20.*Nothing"):
        pg.onnx.load(graph(nodes))


def test_wrong_inputs():
    model = pg.onnx.load(graph([helper.make_node("Neg", ["x"], ["y"])]))
    for wrong in (np.zeros((3, 4), np.float32), np.zeros((2, 4), bool), np.zeros(2, np.float32)):
        with pytest.raises(PequegradError):
            model(wrong)


def test_constants_of_another_type():
    node = helper.make_node("Reshape", ["x", "s"], ["y"])
    shape = numpy_helper.from_array(np.array([2.5, 4.0], np.float32), "s")
    model = pg.onnx.load(graph([node], [shape]))
    with pytest.raises(PequegradError):
        model(np.zeros((2, 4), np.float32))
