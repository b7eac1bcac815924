"""Measuring on noisy machines: contestants in processes of their own, in turn, several rounds, medians."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from .libraries import ENVIRONMENT

PAUSE = (
    0.5  # seconds in which idle threads of the contestant before stop spinning: OpenBLAS 20 ms, onnxruntime some 100 ms
)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class ContestantError(Exception):
    """A contestant could not build or run a case, or computed something else than the others."""


class Contestant:
    """One library in its process (server.py); the commands are methods: `contestant.ask("time", repeats=3)`."""

    def __init__(self, name, threads, **environment):
        self.name = name
        allowed = sorted(os.sched_getaffinity(0))[:threads]
        limits = dict.fromkeys(("PG_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server", name, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, **limits, **ENVIRONMENT.get(name, {}), **environment},
            preexec_fn=lambda: os.sched_setaffinity(0, allowed),  # the only limit that JAX heeds
        )  # fmt: skip
        self._answer()

    def ask(self, command, **options):
        self.process.stdin.write(json.dumps({"do": command, **options}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise ContestantError(f"{self.name}: its process ended with status {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ContestantError(f"{self.name}: {answer['error']}")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Contestants:
    """Processes that are started when they are first asked for, and end with the `with` block."""

    def __init__(self, threads):
        self.threads, self.running = threads, {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for contestant in self.running.values():
            contestant.close()

    def __getitem__(self, name):
        if name not in self.running or self.running[name].process.poll() is not None:
            self.running[name] = Contestant(name, self.threads)
        return self.running[name]

    def build(self, case, names):
        """({name: bytes} of those that can run the case and agree, [what went wrong])."""
        sizes, found, problems = {}, {}, []
        for name in names:
            try:
                sizes[name] = self[name].ask("build", case=case.name)["bytes"]
                found[name] = _results(self[name])
            except ContestantError as error:
                problems.append(f"{case.name}: {error}")
                sizes.pop(name, None)
        for name, arrays in found.items():
            if difference := _difference(arrays, next(iter(found.values())), case.tolerance):
                problems.append(f"{case.name}: {name} differs from {next(iter(found))}: {difference}")
                del sizes[name]
        return sizes, problems

    def seconds(self, names, rounds, at_least=0.05):
        """{name: median seconds per call}. Each round calls every contestant in turn, for `at_least` seconds each."""
        repeats = {}
        for name in names:
            repeats[name] = max(1, round(at_least / self[name].ask("time", repeats=1)["seconds"]))
        found = {name: [] for name in names}
        order = list(names)
        for _ in range(rounds):
            order = order[1:] + order[:1]  # nobody always comes after the same one
            for name in order:
                n = repeats[name]
                if self.threads > 1:
                    time.sleep(PAUSE)
                found[name].append(self[name].ask("time", repeats=n)["seconds"] / n)
        return {name: statistics.median(values) for name, values in found.items()}

    def memory(self, names, rounds=3):
        """{name: bytes that a call adds to the resident memory at its peak}: median."""
        return {name: statistics.median(self[name].ask("memory")["bytes"] for _ in range(rounds)) for name in names}

    def drop(self, names):
        for name in names:
            self[name].ask("drop")


def _results(contestant):
    with tempfile.TemporaryDirectory() as directory:
        count = contestant.ask("results", directory=directory)["count"]
        return [np.load(os.path.join(directory, f"{i}.npy")) for i in range(count)]


def _difference(arrays, expected, tolerance):
    """What is different beyond the tolerance, or None."""
    if [a.shape for a in arrays] != [b.shape for b in expected]:
        return f"shapes {[a.shape for a in arrays]}, not {[b.shape for b in expected]}"
    for i, (a, b) in enumerate(zip(arrays, expected)):
        scale = float(np.abs(b).max(initial=1e-30))
        error = float(np.abs(a - b).max(initial=0)) / scale
        if not error <= tolerance:
            return f"array {i} by {error:.1e} of its largest number"
    return None


def compile_seconds(case, names, threads, rounds=3):
    """{name: median seconds of the first call in a fresh process}; "cached": ours with the disk cache of an earlier process."""
    found = {name: [] for name in (*names, "cached")}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as directory:
            for key in found:
                contestant = Contestant("pequegrad" if key == "cached" else key, threads, PG_CACHE_DIR=directory)
                found[key].append(contestant.ask("build", case=case)["seconds"])
                contestant.close()
    return {name: statistics.median(values) for name, values in found.items()}


def import_seconds(module, rounds=11):
    """Median seconds that importing `module` takes in a fresh Python that has imported numpy, from compiled bytecode."""
    program = f"import numpy, time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    with tempfile.TemporaryDirectory() as directory:  # which the first run fills
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {
            "PYTHONPYCACHEPREFIX": directory
        }
        run = lambda: subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT, env=env
        )
        run()
        return statistics.median(float(run().stdout) for _ in range(rounds))
