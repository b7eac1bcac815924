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
