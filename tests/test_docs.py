"""docs/primitives.md says what the code says."""

import re

import pytest

from pequegrad.primitives import PRIMITIVES
from scripts import primitives_table


def test_the_table_of_primitives_is_current():
    assert primitives_table.PAGE.read_text() == primitives_table.page(), "run make docs"


@pytest.mark.parametrize("name, column, text", [
    ("exp", "jvp", "partials"), ("exp", "transpose", "vjp"), ("erf", "dtypes", "float"),
    ("reduce_sum", "jvp", "linear"), ("floor", "jvp", "0"), ("clamp", "jvp", "yes"),
    ("top_k", "infer", "1 -> 2"), ("psum", "batch", "axis"), ("psum", "lower", "-"), ("while_loop", "lower", "`while`"),
    ("bitcast_convert", "lower", "`bitcast`"), ("and", "dtypes", "bool, integer"), ("add", "dtypes", "any"),
])  # fmt: skip
def test_a_column_is_found(name, column, text):
    cells = dict(zip(primitives_table.COLUMNS, primitives_table.row(PRIMITIVES[name])))
    assert cells[column] == text


def test_a_page_that_is_not_current_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(primitives_table, "PAGE", tmp_path / "primitives.md")
    primitives_table.PAGE.write_text("old")
    with pytest.raises(SystemExit, match="make docs"):
        primitives_table.check()


ONNX = primitives_table.PAGE.parent / "onnx.md"


def test_the_page_on_onnx_runs(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```python\n(import numpy.*?)```", ONNX.read_text(), re.DOTALL).group(1)
    namespace = {}
    exec(block, namespace)
    losses, model = namespace["losses"], namespace["model"]
    assert losses[-1] < 0.7 * losses[0] and len(model.parameters()) == 2
    weights = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load("new.onnx").graph.initializer}
    before = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load("old.onnx").graph.initializer}
    assert (weights["0.weight"] == before["0.weight"]).all() and (weights["2.weight"] != before["2.weight"]).any()


def test_the_table_of_onnx_operators_is_current():
    onnx = pytest.importorskip("onnx")
    from pequegrad.onnx.registry import find, names

    if onnx.defs.onnx_opset_version() != 28:
        pytest.skip("the table is that of another version of onnx")
    here, there = set(names()), {}
    for schema in onnx.defs.get_all_schemas_with_history():
        there.setdefault(schema.domain, {}).setdefault(schema.name, []).append(schema)
    rows = re.findall(r"\| (ai\.onnx\S*)(?:, (\S+))? \| (\d+) \| (\d+) \|", ONNX.read_text())
    assert len(rows) == 3
    for *domains, count, found in rows:
        domains = ["" if d == "ai.onnx" else d for d in domains if d]
        known = [(d, name) for d in domains for name in there[d]]
        assert (len(known), len(here.intersection(known))) == (int(count), int(found))
    for name, versions in there[""].items():
        for schema in versions:
            assert schema.since_version < 7 or schema.deprecated or find("", name, schema.since_version)


def test_the_page_on_debugging_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (primitives_table.PAGE.parent / "debugging.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 8
    namespace = {}
    for block in blocks:
        exec(block, namespace)
    out = capsys.readouterr().out
    assert "step: operations: " in out and "where each operation went:" in out and "div gives inf at [0]" in out
    shown = re.search(r"\n```\n(div gives.*?)```", page, re.DOTALL).group(1).splitlines()
    found = out[out.index("div gives inf") :].splitlines()[:4]
    assert [line for line in shown if "where:" not in line] == [line for line in found if "where:" not in line]
    assert (tmp_path / "trace.json").exists() and (tmp_path / "network.pg").exists() and "GFLOP/s" in out
