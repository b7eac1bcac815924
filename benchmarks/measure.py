"""Timing on noisy machines: all contestants in turn, several rounds, medians."""

import statistics
import subprocess
import sys
import time


def interleaved(contestants, rounds=15, at_least=0.05):
    """{name: median seconds per call}. Each round calls every contestant in turn, for `at_least` seconds each."""
    repeats = {}
    for name, call in contestants.items():
        call()  # compile, allocate, warm up
        start = time.perf_counter()
        call()
        repeats[name] = max(1, round(at_least / (time.perf_counter() - start + 1e-9)))
    seconds = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, call in contestants.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            seconds[name].append((time.perf_counter() - start) / repeats[name])
    return {name: statistics.median(values) for name, values in seconds.items()}


def import_milliseconds(module, rounds=11):
    """Median milliseconds that importing `module` takes in a fresh Python that has imported numpy."""
    program = f"import numpy, time; t = time.perf_counter(); import {module}; print((time.perf_counter() - t) * 1e3)"
    found = [
        float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)
        for _ in range(rounds)
    ]
    return statistics.median(found)
