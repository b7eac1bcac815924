"""The programs of examples/jax, which know nothing of pequegrad, give the same results on it as on JAX."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "jax"

# program -> (steps, relative tolerance of its results). Training amplifies the last bits: few steps, and the tolerance says how much
PROGRAMS = {
    "mlp": (20, 1e-3),
    "cnn_optax": (10, 1e-3),
    "vae": (20, 1e-3),
    "lstm": (20, 1e-3),
    "gpt": (10, 1e-3),
    "neural_ode": (5, 1e-3),
    "hmc": (20, 2e-2),
    "kmeans": (100, 1e-3),
}


def results(command, *args):
    """{name: number} of the last lines that a program prints."""
    done = subprocess.run(
        [sys.executable, *command, *args], capture_output=True, text=True, timeout=300, cwd=FOLDER.parents[1],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: float(value) for name, value in re.findall(r"^(\w+) (-?[\d.]+(?:e-?\d+)?|nan)$", done.stdout, re.M)}


def test_all_programs_are_here():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    steps, tolerance = PROGRAMS[name]
    args = [str(FOLDER / f"{name}.py"), "--steps", str(steps)]
    expected = results([], *args)
    found = results(["-m", "pequegrad.jax_api"], *args)
    assert len(expected) >= 2
    assert found == pytest.approx(expected, rel=tolerance)
