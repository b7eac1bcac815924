"""The machinery of `make bench`: a contestant in its process, comparison of results, targets. No timing is judged."""

import numpy as np
import pytest

from benchmarks.cases import CASES
from benchmarks.measure import ContestantError, Contestants, _difference
from benchmarks.table import PAGE, Table, _judged, shown


@pytest.fixture(scope="module")
def contestants():
    with Contestants(1) as found:
        yield found


@pytest.mark.parametrize("name", ["jit_dispatch", "adam_flat", "softmax_512"])
def test_a_case_runs_in_processes_that_agree(contestants, name):
    names = ["pequegrad", "unfused"]
    sizes, problems = contestants.build(CASES[name], names)
    assert list(sizes) == names and not problems
    assert sizes["pequegrad"] == sizes["unfused"] > 0
    assert all(s > 0 for s in contestants.seconds(names, 1, 0.001).values())
    assert all(b >= 0 for b in contestants.memory(names, 1).values())


def test_what_fails_is_reported(contestants):
    with pytest.raises(ContestantError, match="pequegrad: KeyError"):
        contestants["pequegrad"].ask("build", case="no such case")


@pytest.mark.parametrize("a, b, found", [
    ([[1.0, 2.0]], [[1.0, 2.0]], None),
    ([[1.0, 2.0]], [[1.0, 2.00001]], None),
    ([[1.0, 2.0]], [[1.0, 2.1]], "array 0 by"),
    ([[1.0], [1.0]], [[1.0], [np.nan]], "array 1 by"),
    ([[1.0]], [[1.0, 2.0]], "shapes"),
    ([np.zeros(0)], [np.zeros(0)], None),
])  # fmt: skip
def test_results_are_compared(a, b, found):
    found_difference = _difference([np.array(x) for x in a], [np.array(x) for x in b], 1e-4)
    assert found_difference is None if found is None else found_difference.startswith(found)


def test_targets():
    figures = {"pequegrad": 2.0, "jax": 3.0, "torch": 4.0}
    assert _judged(("pequegrad", "peers", 1.5), figures) == ("1.50x best peer: 1.50", True)
    assert _judged(("pequegrad", "torch", 2.5), figures) == ("2.50x torch: 2.00", False)
    assert _judged(("unfused", "torch", 1.0), figures) is None


def test_the_table(capsys):
    table = Table(["pequegrad", "jax"])
    table.add("case", {"pequegrad": 2e-3, "jax": 0.5e-3}, "s", (("pequegrad", "jax", 2.0),))
    assert table.lines[-1] == "| case | 2.00 ms | 500 us (0.25) | missed: 2.00x jax: 0.25 | missed |"
    assert table.missed == ["case: 2.00x jax: 0.25"]


@pytest.mark.parametrize("figure, unit, text", [
    (1.5, "s", "1.50 s"), (0.0123, "s", "12.3 ms"), (4.1e-7, "s", "0.41 us"), (3 * 2**20, "bytes", "3.00 MiB"), (0, "bytes", "0.00 KiB"),
])  # fmt: skip
def test_figures(figure, unit, text):
    assert shown(figure, unit) == text


def test_the_page_has_the_marks():
    with open(PAGE) as file:
        text = file.read()
    for group in {case.group for case in CASES.values()}:
        assert f"<!-- measured: {group} -->" in text
