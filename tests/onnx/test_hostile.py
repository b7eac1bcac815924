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
from pequegrad.core.errors import ArgumentError, ModelFileError, OutOfMemoryError, PequegradError  # noqa: E402

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
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True, timeout=1800
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


def loop(m):
    """A model with a Loop of m rounds over v, whose condition never changes."""
    value = helper.make_tensor_value_info
    body = [helper.make_node("Add", ["v", "v"], ["v2"]), helper.make_node("Identity", ["g"], ["g2"])]
    ends = [value("g2", 9, []), value("v2", 1, [2, 4])]
    body = helper.make_graph(body, "body", [value("i", 7, []), value("g", 9, []), value("v", 1, [2, 4])], ends)
    constants = [numpy_helper.from_array(np.array(m), "m"), numpy_helper.from_array(np.array(True), "t")]
    return pg.onnx.load(graph([helper.make_node("Loop", ["m", "t", "x"], ["y"], body=body)], constants))


@pytest.mark.parametrize("jitted", [False, True])
def test_loops_without_end(jitted):
    model = loop(2**62)
    model.most_rounds = 300
    x = np.zeros((2, 4), np.float32)
    with pytest.raises(ArgumentError, match="more than 300 rounds"):
        pg.jit(model)(x) if jitted else model(x)
    model = loop(300)
    model.most_rounds = 300
    for _ in range(2):  # rounds are counted anew in each call
        assert (pg.jit(model)(x) if jitted else model(x)).shape == (2, 4)


HUGE = 2**44


@pytest.mark.parametrize(
    "nodes, constants",
    [
        ([helper.make_node("ConstantOfShape", ["s"], ["y"])], {"s": [HUGE]}),
        ([helper.make_node("Expand", ["x", "s"], ["y"])], {"s": [HUGE, 2, 4]}),
        ([helper.make_node("Tile", ["x", "s"], ["y"])], {"s": [HUGE, 1]}),
        ([helper.make_node("Pad", ["x", "s"], ["y"])], {"s": [HUGE, 0, 0, 0]}),
        ([helper.make_node("Pad", ["x", "s"], ["y"], mode="edge")], {"s": [HUGE, 0, 0, 0]}),
        ([helper.make_node("Resize", ["x", "", "", "s"], ["y"])], {"s": [HUGE, 4]}),
        ([helper.make_node("Resize", ["x", "", "", "s"], ["y"], mode="linear")], {"s": [2, HUGE]}),
        ([helper.make_node("Range", ["a", "s", "b"], ["y"])], {"a": 0, "s": HUGE, "b": 1}),
        ([helper.make_node("OneHot", ["a", "s", "b"], ["y"])], {"a": [0], "s": HUGE, "b": [0.0, 1.0]}),
        ([helper.make_node("HannWindow", ["s"], ["y"])], {"s": HUGE}),
        ([helper.make_node("CenterCropPad", ["x", "s"], ["y"])], {"s": [HUGE, 4]}),
    ],
    ids=lambda value: value[0].op_type if isinstance(value, list) else "",
)
@pytest.mark.parametrize("jitted", [False, True])
def test_terabytes(nodes, constants, jitted):
    """Refused before anything is computed, with the node's name."""
    found = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    model = pg.onnx.load(graph(nodes, found))
    with pytest.raises(OutOfMemoryError, match=rf"{nodes[0].op_type}|axis"):
        x = np.zeros((2, 4), np.float32)
        pg.jit(model)(x) if jitted else model(x)


def test_names_that_are_no_text():
    """protobuf lets bytes pass that are no UTF-8."""
    data = graph([helper.make_node("Neg", ["x"], ["y"], name="NAME")]).SerializeToString()
    try:
        pg.onnx.load(data.replace(b"NAME", b"\xff\xfe\xfd\xfc"))
        pg.onnx.load(data.replace(b"Neg", b"\xff\xfe\xfd"))
    except (ModelFileError, NotImplementedError):
        pass


def test_external_data_with_wrong_numbers(tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(64))
    for entries in (
        {"offset": "-8"},
        {"offset": "1e3"},
        {"length": "-1"},
        {"length": "33"},
        {"offset": "60", "length": "32"},
        {"offset": str(2**70)},
    ):
        tensor = TensorProto(name="w", data_type=1, dims=[2, 4], data_location=TensorProto.EXTERNAL)
        for key, value in {"location": "w.bin", **entries}.items():
            tensor.external_data.add(key=key, value=value)
        path = tmp_path / "m.onnx"
        path.write_bytes(graph([helper.make_node("Add", ["x", "w"], ["y"])], [tensor]).SerializeToString())
        with pytest.raises(ModelFileError):
            pg.onnx.load(path)
