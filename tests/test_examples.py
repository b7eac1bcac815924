"""Each example as its users run it, in this process: with few steps, and in full with PG_TEST_FULL=1.

What full runs reach is what the docstrings promise; a bound here is a little weaker, for other machines and versions.
"""

import importlib
import math
import struct
from pathlib import Path

import numpy as np
import pytest
from conftest import FULL

import pequegrad as pg
from pequegrad.primitives import PRIMITIVES

FOLDER = Path(__file__).resolve().parents[1] / "examples"

# name -> (steps of the short run, what it must have reached, what the full run must reach)
EXAMPLES = {
    "alexnet_cifar": (2, lambda r: r["loss"] < 6, lambda r: r["accuracy"] > 0.75),
    "amp": (
        3,
        lambda r: r["loss_scale"] == 2**15 and r["float32"] == pytest.approx(r["bfloat16"], abs=0.1),
        lambda r: min(r[name] for name in ("float32", "bfloat16", "float16")) > 0.96,
    ),
    "autoencoder": (20, lambda r: -45 < r["bound"] < -25, lambda r: r["bound"] > -24.8),
    "control_flow": (
        30,
        lambda r: r["collatz"] == 111 and r["mandelbrot_area"] < 2,
        lambda r: r["mandelbrot_area"] == pytest.approx(1.5066, abs=0.03),
    ),
    "conv_mnist": (6, lambda r: r["loss"] < 2.3, lambda r: r["accuracy"] > 0.96),
    "custom_pattern": (40, lambda r: r["accuracy"] > 0.7, lambda r: r["accuracy"] > 0.9),
    "custom_primitive": (10, lambda r: r["eccentricity"] == pytest.approx(0.2056, abs=1e-6), lambda r: r["loss"] < 1e-20),
    "gpt": (2, lambda r: r["nats_per_letter"] < 5.5, lambda r: r["nats_per_letter"] < 2.2),
    "hessian": (10, lambda r: r["gradient"] < 1e-12 and r["accuracy"] > 0.95, lambda r: r["steps"] <= 10),
    "jax_mlp": (20, lambda r: r["accuracy"] > 0.5, lambda r: r["accuracy"] > 0.96),
    "mlp_mnist_funcapi": (20, lambda r: r["accuracy"] > 0.5, lambda r: r["accuracy"] > 0.96),
    "montecarlo": (4, lambda r: r["delta"] == pytest.approx(0.6368, abs=0.01), lambda r: r["vega"] == pytest.approx(37.5, rel=0.01)),
    "neural_ode": (10, lambda r: r["loss"] < 1, lambda r: r["error"] < 0.02),
    "quantised_mlp": (
        30,
        lambda r: r["accuracy"] > 0.5 and abs(r["accuracy"] - r["accuracy_int8"]) < 0.05 and 0.25 < r["bytes_share"] < 0.35,
        lambda r: r["accuracy"] > 0.96 and abs(r["accuracy"] - r["accuracy_int8"]) < 0.02 and r["decibels"] > 30,
    ),
    "resnet_cifar": (2, lambda r: r["loss"] < 4, lambda r: r["accuracy"] > 0.94),
    "taylor_expansion": (6, lambda r: r["error"] < 1e-3, lambda r: r["error"] < 2e-6),
    "vit": (3, lambda r: r["loss"] < 3.5, lambda r: r["accuracy"] > 0.93),
}  # fmt: skip
WITHOUT_PICTURE = {"amp", "custom_pattern", "gpt", "jax_mlp", "mlp_mnist_funcapi", "quantised_mlp"}
OTHERS = {"common", "datasets", "__init__", "mlp_mnist"}  # the last one has tests of its own: test_example_mlp_mnist.py


@pytest.fixture
def run(device, tmp_path, monkeypatch):
    """run(name, *options): what main() of an example returns, in an empty folder; leaves no primitive of its own behind."""
    monkeypatch.chdir(tmp_path)
    place = ["--cuda"] if device.kind == "cuda" else []
    before = set(PRIMITIVES)
    yield lambda name, *options: importlib.import_module(f"examples.{name}").main([*place, *map(str, options)])
    kept = {name: PRIMITIVES.pop(name) for name in set(PRIMITIVES) - before}
    assert set(kept) <= {"kepler"}


def check_always(name, results):
    """What holds however many steps an example takes."""
    exact = {
        "control_flow": ("debt_slope", "debt_slope_by_formula", 1e-6),
        "gpt": ("same_without_cache", True, 0),
    }
    for key, expected, tolerance in [exact[name]] if name in exact else []:
        expected = results[expected] if isinstance(expected, str) else expected
        assert results[key] == pytest.approx(expected, rel=tolerance)
    small = {"hessian": "hvp_against_hessian", "taylor_expansion": "grad_against_jet"}
    assert name not in small or results[small[name]] < 1e-10
    if name == "montecarlo":
        assert abs(results["standard_errors_off"]) < 3
    if name == "custom_pattern":
        assert math.isnan(results["loss_as_written"]) and math.isfinite(results["loss"])


def test_all_examples_are_tested_and_in_the_table():
    names = {path.stem for path in FOLDER.glob("*.py")}
    assert names == set(EXAMPLES) | OTHERS
    table = (FOLDER / "README.md").read_text()
    assert all(f"`{name}`" in table for name in (names | {"mlp_mnist"}) - {"common", "datasets", "__init__"})


@pytest.mark.parametrize("name", EXAMPLES)
def test_few_steps(name, run, tmp_path, capsys):
    steps, reached, _ = EXAMPLES[name]
    results = run(name, "--steps", steps)
    assert reached(results), results
    check_always(name, results)
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("result: ")
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == (set() if name in WITHOUT_PICTURE else {f"runs/{name}.png"})
    for file in files:
        png = (tmp_path / file).read_bytes()
        assert png[:8] == b"\x89PNG\r\n\x1a\n" and min(struct.unpack(">II", png[16:24])) >= 200


@pytest.mark.skipif(not FULL, reason="PG_TEST_FULL=1")
@pytest.mark.parametrize("name", EXAMPLES)
def test_defaults(name, run):
    results = run(name)
    assert EXAMPLES[name][2](results), results
    check_always(name, results)


@pytest.mark.parametrize("name", EXAMPLES)
def test_options_that_cannot_be(name, run, capsys):
    def refused(*options):
        with pytest.raises(SystemExit) as e:
            run(name, *options)
        return e.value.code == 2 and capsys.readouterr().err

    try:
        pg.device.cuda.handle  # noqa: B018
    except pg.DeviceError as error:
        assert refused("--cuda") == f"{name}: {str(error).splitlines()[0]}\n"
    assert "0 is not a number of at least 1" in refused("--steps", 0)
    assert "unrecognized arguments" in refused("--step-size", 0)


def test_the_docstring_says_how_to_run_it_and_what_to_expect():
    for name in EXAMPLES:
        text = (FOLDER / f"{name}.py").read_text().split('"""')[1]
        assert f"python -m examples.{name}" in text and "\nExpected" in text or ". Expected" in text, name


def test_coloured_digits_are_the_digits():
    from examples.datasets import coloured_digits, load_digits

    images, labels = coloured_digits(train=False, copies=2)
    assert images.shape == (720, 3, 32, 32) and images.dtype == np.uint8
    np.testing.assert_array_equal(labels // 10, np.tile(load_digits()[3], 2))
    assert set(labels % 10) == set(range(10))
    again, other = coloured_digits(train=False, copies=2)[0], coloured_digits(train=False, copies=2, seed=1)[0]
    assert np.array_equal(images, again) and not np.array_equal(images, other)


def test_without_matplotlib_there_is_no_picture(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    run("taylor_expansion", "--steps", 2)
    assert "no picture: matplotlib is not installed" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(not FULL, reason="PG_TEST_FULL=1")
def test_a_run_of_fit_goes_on_where_it_was_interrupted(run, tmp_path):
    first = run("resnet_cifar", "--steps", 1, "--folder", "a")
    assert list((tmp_path / "a").glob("*.safetensors")) or list((tmp_path / "a").iterdir())
    again = run("resnet_cifar", "--steps", 1, "--folder", "a")
    assert again["loss"] == first["loss"]
