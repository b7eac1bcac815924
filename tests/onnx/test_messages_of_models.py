"""What users read when a file or an input is wrong: file, node, input, and what to do."""

import numpy as np
import pytest

import pequegrad as pg

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def proto(nodes, inputs=(("x", 1, ["n", 4]),), opset=20, sets=(), weights=None):
    graph = helper.make_graph(
        nodes, "some", [helper.make_tensor_value_info(*i) for i in inputs], [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in (weights or {}).items()],
    )  # fmt: skip
    sets = [helper.make_opsetid(*s) for s in sets]
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), *sets])


def said_of(function, kind):
    with pytest.raises(kind) as e:
        function()
    text = str(e.value)
    assert text.count("where:") == 1 and text.count("fix:") == 1, text
    return text


# ---- files -----------------------------------------------------------------------------------------------------


def test_missing_operators_are_named_with_file_and_nodes(tmp_path):
    nodes = [
        helper.make_node("Foo", ["x"], ["z"], name="first"), helper.make_node("Foo", ["z"], ["w"]),
        helper.make_node("Bar", ["w"], ["y"]),
    ]  # fmt: skip
    onnx.save(proto(nodes), tmp_path / "some.onnx")
    text = said_of(lambda: pg.onnx.load(tmp_path / "some.onnx"), pg.UnsupportedModelError)
    for part in (
        "Bar (operator set 20): the node that gives 'y'",
        "Foo (operator set 20): node 'first' and 1 more",
        "some.onnx",
    ):
        assert part in text


def test_onnxruntimes_operators_have_a_fix_of_their_own():
    node = helper.make_node("QGemm", ["x"], ["y"], domain="com.microsoft")
    assert "QDQ" in said_of(lambda: pg.onnx.load(proto([node], sets=[("com.microsoft", 1)])), NotImplementedError)


def test_attributes_sets_and_types_that_are_not_there(tmp_path):
    path = tmp_path / "some.onnx"
    onnx.save(proto([helper.make_node("Softmax", ["x"], ["y"], name="soft", axi=1)]), path)
    text = said_of(lambda: pg.onnx.load(path), pg.UnsupportedModelError)
    assert "Softmax 'soft': the attribute 'axi'" in text and "some.onnx" in text
    onnx.save(proto([helper.make_node("Relu", ["x"], ["y"])], opset=99), path)
    text = said_of(lambda: pg.onnx.load(path), NotImplementedError)
    assert "operator set 99" in text and "some.onnx" in text
    cast = pg.onnx.load(proto([helper.make_node("Cast", ["x"], ["y"], name="eighth", to=TensorProto.FLOAT8E4M3FN)]))
    text = said_of(lambda: cast(np.ones((2, 4), np.float32)), NotImplementedError)
    assert "Cast 'eighth'" in text and "FLOAT8E4M3FN" in text


def test_truncated_files_say_so(tmp_path):
    path = tmp_path / "some.onnx"
    pg.onnx.export(pg.nn.Linear(64, 64), (np.ones((1, 64), np.float32),), path, external_data=True)
    data = tmp_path / "some.onnx.data"
    whole, model = data.read_bytes(), path.read_bytes()
    data.write_bytes(whole[:5000])
    text = said_of(lambda: pg.onnx.load(path), pg.ModelFileError)
    assert "byte 16,384 of 'some.onnx.data', which has 5,000" in text and "truncated" in text
    data.unlink()
    assert "in one folder" in said_of(lambda: pg.onnx.load(path), pg.ModelFileError)
    for part in (model[: len(model) // 2], b""):
        path.write_bytes(part)
        assert "copy or export it again" in said_of(lambda: pg.onnx.load(path), pg.ModelFileError)


# ---- inputs ----------------------------------------------------------------------------------------------------


def relu():
    return pg.onnx.load(proto([helper.make_node("Relu", ["x"], ["y"])]))


@pytest.mark.parametrize("jitted", [False, True])
def test_lists_are_tensors(jitted):
    run, x = pg.jit(relu()) if jitted else relu(), np.arange(8, dtype=np.float32).reshape(2, 4) - 3
    for given in (x.tolist(), list(x), [pg.Tensor(row) for row in x], tuple(map(list, x.tolist()))):
        y = run(given)
        assert y.dtype.name == "float32"
        np.testing.assert_array_equal(y.numpy(), np.maximum(x, 0))


@pytest.mark.parametrize("x", [None, [None], [[...]], "text", ["text"], {"x": 1}, object(), [[1, 2, 3, 4], [1]]])
def test_what_is_no_tensor_is_refused_at_the_door(x):
    with pytest.raises(pg.ArgumentError if not isinstance(x, list) else (pg.ArgumentError, pg.ShapeError)) as e:
        relu()(x)
    assert "Input 'x' is" in str(e.value) and "float32['n', 4]" in str(e.value)
    with pytest.raises(pg.PequegradError):
        pg.jit(relu())(x)


@pytest.mark.parametrize("jitted", [False, True])
def test_sizes_of_one_name_that_differ_explain_what_fails(jitted):
    """Names of sizes are often sloppy: what works with other sizes goes on to."""
    inputs = [("x", 1, ["b", 4]), ("k", 1, ["b", "past", 2]), ("v", 1, ["b", "past", 2])]
    made = pg.onnx.load(proto([helper.make_node("Add", ["k", "v"], ["y"])], inputs))
    run, x, ones = pg.jit(made) if jitted else made, np.ones((2, 4), np.float32), lambda *s: np.ones(s, np.float32)
    assert run(x, ones(2, 5, 2), ones(2, 5, 2)).shape == (2, 5, 2)
    assert run(x, ones(3, 5, 2), ones(3, 1, 2)).shape == (3, 5, 2)
    text = said_of(lambda: run(x, ones(2, 5, 2), ones(2, 6, 2)), pg.ShapeError)
    assert (
        "Axis 1 of input 'k' has size 5, and axis 1 of 'v' has 6: the model calls both 'past'." in text
        and "Add" in text
    )


def test_quantize_refuses_what_has_no_layers():
    with pytest.raises(pg.ArgumentError, match=r"nothing in this OnnxModel(.|\n)*QDQ"):
        pg.nn.quantize(relu(), [np.ones((2, 4), np.float32)])


def test_the_command_line_warns_of_nan(tmp_path, capsys):
    from pequegrad.onnx.__main__ import main

    onnx.save(proto([helper.make_node("Log", ["x"], ["y"])]), tmp_path / "log.onnx")
    np.save(tmp_path / "x.npy", -np.ones((2, 4), np.float32))
    assert main(["run", str(tmp_path / "log.onnx"), "--input", f"x={tmp_path / 'x.npy'}", "--repeat", "1"]) == 0
    out = capsys.readouterr().out
    assert "warning: 8 of 8 numbers of output 'y' are NaN" in out and "same" not in out


def test_numbers_where_text_is_wanted():
    made = pg.onnx.load(proto([helper.make_node("StringConcat", ["x", "x"], ["y"])], [("x", TensorProto.STRING, [1])]))
    assert made(["a"]).tolist() == ["aa"]
    with pytest.raises(pg.ArgumentError, match="Input 'x'"):
        made(np.ones(1))
