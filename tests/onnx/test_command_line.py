"""python -m pequegrad.onnx: what it prints, what it writes, how it fails."""

import os
import subprocess
import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402

import pequegrad as pg  # noqa: E402
import pequegrad.nn as nn  # noqa: E402
import pequegrad.onnx  # noqa: E402
from pequegrad.onnx.__main__ import main  # noqa: E402
from pequegrad.onnx.comparison import difference  # noqa: E402


@pytest.fixture
def mlp(tmp_path):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    path = str(tmp_path / "mlp.onnx")
    pg.onnx.export(model, (pg.zeros((1, 4)),), path, dynamic_axes={"input": {0: "batch"}})
    return path


@pytest.fixture
def conv(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 5)).eval()
    path = str(tmp_path / "conv.onnx")
    pg.onnx.export(model, (pg.zeros((1, 1, 8, 8)),), path, dynamic_axes={"input": {0: "n"}})
    return path


def save(tmp_path, nodes, inputs, outputs=("y",), opset=20, **constants):
    value = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
    graph = helper.make_graph(
        nodes, "graph", [value(n, *kind) for n, kind in inputs.items()], [helper.make_empty_tensor_value_info(n) for n in outputs],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )  # fmt: skip
    path = str(tmp_path / "own.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="me"), path)
    return path


def fails(capsys, *arguments):
    """The line that a command fails with; there is one, and the status is 2."""
    try:
        status = main([str(a) for a in arguments])
    except SystemExit as error:
        status = error.code
    printed = capsys.readouterr()
    assert status == 2 and not printed.out and printed.err.count("\n") == 1, printed
    return printed.err


def test_info(mlp, capsys):
    assert main(["info", mlp]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "model         Sequential",
        "producer      pequegrad",
        "operator sets ai.onnx 20",
        "IR version    9",
    ]
    assert "input   input   float32  [batch, 4]" in lines and "output  output  float32  [batch, 3]" in lines
    assert "parameters          4       67  268 B" in lines
    assert any(line.startswith("Gemm          2  ###") for line in lines) and "all           3" in lines


def test_info_of_what_is_missing(tmp_path, capsys):
    """Also subgraphs are looked into, and sizes without a name."""
    branch = lambda op: helper.make_graph(
        [helper.make_node(op, ["x"], ["z"])], op, [], [helper.make_empty_tensor_value_info("z")]
    )
    nodes = [
        helper.make_node("If", ["c"], ["a"], then_branch=branch("Abs"), else_branch=branch("Neg")),
        helper.make_node("Nothing", ["a"], ["y"]),
    ]
    path = save(tmp_path, nodes, {"c": (9, []), "x": (1, [None, "n"]), "s": (8, None)}, opset=18)
    assert main(["info", path]) == 0
    text = capsys.readouterr().out
    assert "[?, n]" in text and "STRING" in text and "[...]" in text and "producer      me" in text
    assert all(f"\n{op} " in text for op in ("If", "Abs", "Neg", "Nothing"))
    assert "not implemented: Nothing (operator set 18)" in text
    assert "Nothing (operator set 18)" in fails(capsys, "run", path)


def test_run(conv, capsys):
    pytest.importorskip("onnxruntime")
    assert main(["run", conv, "--size", "n=3", "--repeat", "2"]) == 0
    text = capsys.readouterr().out
    assert "float32  [3, 1, 8, 8]" in text and "float32  [3, 5]" in text and " same\n" in text
    assert [line.split("  ")[0] for line in text.splitlines() if line.endswith(" ms")] == [
        "pequegrad, compiled", "pequegrad, eager", "onnxruntime"
    ]  # fmt: skip


def test_run_without_onnxruntime(mlp, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["run", mlp, "--repeat", "1"]) == 0
    text = capsys.readouterr().out
    assert "onnxruntime is not installed" in text and "absolute" not in text


def test_run_finds_differences(mlp, capsys, monkeypatch):
    class Session:
        def run(self, names, inputs):
            return [np.zeros((1, 3), np.float32)]

    monkeypatch.setattr("pequegrad.onnx.__main__.session_of", lambda path: Session())
    assert main(["run", mlp, "--repeat", "1"]) == 1
    assert "DIFFERENT" in capsys.readouterr().out
    assert main(["run", mlp, "--repeat", "1", "--atol", "10"]) == 0


def test_run_with_inputs_from_files_and_sizes_as_values(tmp_path, capsys):
    """An input that decides on a shape is a constant of the compiled model."""
    path = save(tmp_path, [helper.make_node("Expand", ["x", "s"], ["y"])], {"x": (1, [None]), "s": (7, [2])})
    np.save(tmp_path / "s.npy", np.array([2, 3]))
    assert main(["run", path, "--input", f"s={tmp_path / 's.npy'}", "--size", "x.0=3", "--repeat", "1"]) == 0
    assert "float32  [2, 3]" in capsys.readouterr().out
    assert "s.npy" in fails(capsys, "run", path, "--input", f"s={tmp_path / 'nothing' / 's.npy'}")
    assert "no input 'z'" in fails(capsys, "run", path, "--input", "z=s.npy")


@pytest.mark.parametrize("opset", [18, 22])
def test_convert(conv, tmp_path, capsys, opset):
    target = str(tmp_path / "new.onnx")
    assert main(["convert", conv, target, "--opset", str(opset)]) == 0
    written = onnx.load(target)
    onnx.checker.check_model(written, full_check=True)
    assert written.opset_import[0].version == opset
    assert written.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    text = capsys.readouterr().out
    assert text.split()[:3] == ["operator", "before", "after"] and " same\n" in text
    assert pg.onnx.load(target)(pg.ones((2, 1, 8, 8))).shape == (2, 5)


def test_convert_simplifies_and_fixes_sizes(tmp_path, capsys):
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Reshape", ["x", "s"], ["a"]), helper.make_node("Add", ["c", "c"], ["d"]),
        helper.make_node("Add", ["a", "d"], ["b"]), helper.make_node("Identity", ["b"], ["y"]),
    ]  # fmt: skip
    path, target = save(tmp_path, nodes, {"x": (1, ["n", 2])}, c=np.ones(2, np.float32)), str(tmp_path / "new.onnx")
    assert main(["convert", path, target, "--size", "n=5"]) == 0
    written = onnx.load(target)
    assert [d.dim_value for d in written.graph.input[0].type.tensor_type.shape.dim] == [5, 2]
    assert "Shape" not in [n.op_type for n in written.graph.node] and len(written.graph.node) <= 2
    assert "all " in capsys.readouterr().out


def test_what_goes_wrong_is_one_line(mlp, tmp_path, capsys):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    assert "nothing.onnx: Cannot read the model: No such file" in fails(capsys, "info", "nothing.onnx")
    assert "No ONNX model" in fails(capsys, "run", broken)
    assert "Cannot read the model" in fails(capsys, "info", tmp_path)
    assert "required: model" in fails(capsys, "run")
    assert "invalid choice: 'frob'" in fails(capsys, "frob", mlp)
    assert "required: command" in fails(capsys)
    assert "is not NAME=VALUE" in fails(capsys, "run", mlp, "--size", "batch")
    assert "is no whole number" in fails(capsys, "run", mlp, "--size", "batch=x")
    assert "not negative" in fails(capsys, "run", mlp, "--size", "batch=-1")
    assert "the open sizes are batch" in fails(capsys, "run", mlp, "--size", "n=1")
    assert "operator set 3 is not one of" in fails(capsys, "convert", mlp, tmp_path / "new.onnx", "--opset", "3")
    assert "There is no folder" in fails(capsys, "convert", mlp, tmp_path / "nowhere" / "new.onnx")
    assert not (tmp_path / "new.onnx").exists()


def test_inputs_that_cannot_be_random(tmp_path, capsys):
    path = save(tmp_path, [helper.make_node("StringNormalizer", ["x"], ["y"])], {"x": (8, [2])})
    assert "'x' has STRING" in fails(capsys, "run", path)


def test_as_a_program(mlp):
    done = lambda *arguments: subprocess.run(
        [sys.executable, "-m", "pequegrad.onnx", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=os.getcwd(),
    )
    assert done("info", mlp).returncode == 0
    failed = done("info", "nothing")
    assert failed.returncode == 2 and failed.stderr.count("\n") == 1 and "Traceback" not in failed.stderr


def test_difference():
    nan, inf = float("nan"), float("inf")
    assert difference(np.array([1.0, nan, inf]), np.array([1.0, nan, inf]), 0, 0) == (0, 0, True)
    assert difference(np.array([1.0, 2.0]), np.array([1.0, 4.0]), 0.1, 0) == (2, 0.5, False)
    assert difference(np.array([1.0]), np.array([nan]), 1, 1)[2] is False
    assert (
        difference(np.zeros(2), np.zeros(3), 1, 1)[2] is False
        and difference(np.zeros(2, int), np.zeros(2), 1, 1)[2] is False
    )
    assert (
        difference([np.zeros(2)], [np.ones(2)], 0, 2) == (1, 1, True) and difference([], [np.ones(1)], 1, 1)[2] is False
    )
    assert difference(np.array(["a"], object), np.array(["a"], object), 0, 0)[2] and difference(None, None, 0, 0)[2]


def test_convert_keeps_sizes_open_that_constants_have(tmp_path, capsys):
    """Zeros of a batch's size, as recurrent models begin with, are made in the new model too."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]), helper.make_node("ConstantOfShape", ["s"], ["zeros"]),
        helper.make_node("Concat", ["x", "zeros"], ["y"], axis=1),
    ]  # fmt: skip
    path, target = save(tmp_path, nodes, {"x": (1, ["n", 2])}), str(tmp_path / "new.onnx")
    assert main(["convert", path, target]) == 0
    for n in (1, 3, 7):
        found = pg.onnx.load(target)(pg.ones((n, 2))).numpy()
        np.testing.assert_array_equal(found, np.tile(np.array([1, 1, 0, 0], np.float32), (n, 1)))


def test_convert_makes_constants_of_inputs_that_decide_on_shapes(tmp_path, capsys):
    nodes = [helper.make_node("Mul", ["x", "w"], ["a"]), helper.make_node("Reshape", ["a", "s"], ["y"])]
    path = save(tmp_path, nodes, {"x": (1, ["n"]), "s": (7, [2])}, w=np.float32(3))
    target, shape = str(tmp_path / "new.onnx"), str(tmp_path / "s.npy")
    np.save(shape, np.array([-1, 2]))
    assert main(["convert", path, target, "--size", "n=4", "--input", f"s={shape}"]) == 0
    assert "constants of the new model: s = [-1, 2]" in capsys.readouterr().out
    made = pg.onnx.load(target)
    assert [v.name for v in made.inputs] == ["x"] and len(made.parameters()) == 1
    np.testing.assert_array_equal(made(np.arange(4, dtype=np.float32)).numpy(), [[0, 3], [6, 9]])


def test_convert_says_what_is_in_the_way(tmp_path, capsys):
    """What has no form in ONNX, or sizes for which the model does something else: there it can be written for one."""
    target = str(tmp_path / "new.onnx")
    path = save(tmp_path, [helper.make_node("RandomUniformLike", ["x"], ["y"])], {"x": (1, ["n"])})
    assert "(operator set 20) has no form of " in fails(capsys, "convert", path, target)
    half = [
        helper.make_node("Shape", ["x"], ["n"]), helper.make_node("Div", ["n", "two"], ["h"]), helper.make_node("Slice", ["x", "zero", "h"], ["y"]),
    ]  # fmt: skip
    path = save(tmp_path, half, {"x": (1, ["n"])}, two=np.array([2]), zero=np.array([0]))
    assert "fix one of the sizes, or all: --size n=1" in fails(capsys, "convert", path, target)
    assert not os.path.exists(target)
    assert main(["convert", path, target, "--size", "n=3"]) == 0
