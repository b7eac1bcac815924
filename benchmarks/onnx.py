"""python -m benchmarks.onnx: jitted inference with imported ONNX models against onnxruntime and torch.

The same as python -m benchmarks for the group of cases `onnx`; import and first call are measured, too.
"""

import argparse
import sys

from .cases import CASES
from .measure import Contestants
from .table import Table

COLUMNS = ["pequegrad", "onnxruntime", "torch"]


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.onnx")
    names = [case.name for case in CASES.values() if case.group == "onnx"]
    parser.add_argument("--cases", nargs="+", choices=names, default=names)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    chosen = parser.parse_args()
    table, problems = Table(COLUMNS), []
    with Contestants(chosen.threads) as contestants:
        for name in chosen.cases:
            sizes, wrong = contestants.build(CASES[name], COLUMNS)
            problems += wrong
            table.add(name, contestants.seconds(sizes, chosen.rounds), "s", CASES[name].targets)
            contestants.drop(sizes)
    if chosen.write:
        table.write("onnx", chosen.threads)
    for line in problems:
        print(line)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
