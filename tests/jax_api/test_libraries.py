"""Libraries written for JAX, unmodified, on pequegrad: what the programs of libraries/ give with `python -m pequegrad.jax_api` is what
they give with JAX. That is recorded in libraries/expected (optax.json ...), with the versions it was made with:

    python -m tests.jax_api.test_libraries [names]     # records it anew

With other versions installed, or PG_TEST_FULL=1, JAX runs the programs now. A library that is not installed is skipped.
"""

import importlib.metadata
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent / "libraries"
LIBRARIES = ("chex", "einops", "equinox", "flax", "jaxtyping", "optax")

# relative tolerance of what a library's cases give, of the norm of each array; training amplifies the last bits
TOLERANCE = {"optax": 1e-4, "flax": 1e-4, "equinox": 1e-4}


def versions(name):
    """{distribution: version} of what the results depend on."""
    return {package: importlib.metadata.version(package) for package in dict.fromkeys(("jax", "optax", name))}


def run(name, *command):
    """What a program prints, when it is run by `command`."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(FOLDER.parents[2])}
    done = subprocess.run(
        [sys.executable, *command, str(FOLDER / f"uses_{name}.py")],
        capture_output=True, text=True, timeout=600, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULTS "))
    return json.loads(line.removeprefix("RESULTS ")), done.stderr


def expected(name, anew=False):
    """What JAX gives."""
    path = FOLDER / "expected" / f"{name}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    if anew or known.get("versions") != versions(name):
        return run(name)[0]
    return known["results"]


def difference(found, wanted, tolerance):
    """Why two results differ; None if they do not."""
    if len(found) != len(wanted):
        return f"{len(found)} leaves, not {len(wanted)}"
    for i, (a, b) in enumerate(zip(found, wanted)):
        if type(a) is not list or type(b) is not list:
            if a != b:
                return f"leaf {i} is {a}, not {b}"
            continue
        if a[:2] != b[:2]:
            return f"leaf {i} is {a[1]}{a[0]}, not {b[1]}{b[0]}"
        count = max(1, math.prod(b[0]))
        bound = (tolerance if "16" not in b[1] else 1e-2) * (b[2] + 1e-6)
        if not (abs(a[2] - b[2]) <= bound and abs(a[3] - b[3]) <= bound * count**0.5):
            return f"leaf {i} has norm and product {a[2:]}, not {b[2:]}"
    return None


@pytest.mark.parametrize("name", LIBRARIES)
def test_library(name):
    from conftest import FULL

    try:
        installed = versions(name)
    except importlib.metadata.PackageNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")
    found, log = run(name, "-m", "pequegrad.jax_api")
    wanted = expected(name, anew=FULL)
    assert found.keys() == wanted.keys()
    tolerance = TOLERANCE.get(name, 1e-5)
    wrong = {case: d for case in wanted if (d := difference(found[case], wanted[case], tolerance))}
    assert not wrong, f"{installed}: {wrong}\n{log[-3000:]}"


def record(names):
    for name in names or LIBRARIES:
        results = run(name)[0]
        text = ",\n".join(f"{json.dumps(case)}: {json.dumps(_short(found))}" for case, found in results.items())
        path = FOLDER / "expected" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'{{"versions": {json.dumps(versions(name))},\n"results": {{\n{text}\n}}}}\n')


def _short(x):
    return [_short(v) for v in x] if isinstance(x, list) else float(f"{x:.9g}") if isinstance(x, float) else x


if __name__ == "__main__":
    record(sys.argv[1:])
