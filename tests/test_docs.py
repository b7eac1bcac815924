"""docs/primitives.md says what the code says."""

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
