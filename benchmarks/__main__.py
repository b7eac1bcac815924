"""python -m benchmarks: measures, prints a table, and with --write puts it into docs/performance.md."""

import argparse
import sys

from .cases import CASES
from .libraries import CONTESTANTS
from .measure import Contestants, compile_seconds, import_seconds
from .table import Table

COMPILED, MEMORY = ("gpt4_grad", "cnn_grad"), ("gpt4_grad", "cnn_grad")
SPECIAL = [*(f"compile_{name}" for name in COMPILED), *(f"memory_{name}" for name in MEMORY), "import"]
LIKE_PLAIN = 1.3  # a variation may take so many times as long per byte


def options():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Cases: " + ", ".join([*CASES, *SPECIAL]))
    parser.add_argument("--cases", nargs="+", metavar="NAME", default=[], help="only these")
    parser.add_argument("--held-out", action="store_true", help="the cases that nothing was tuned for, instead")
    parser.add_argument("--training", action="store_true", help="whole training steps of models, instead")
    parser.add_argument("--torch-compile", action="store_true", help="torch.compile, too: minutes of compilation")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=2, help="threads and processors of each contestant")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    found = parser.parse_args()
    if unknown := set(found.cases) - {*CASES, *SPECIAL}:
        parser.error(f"no case is called {', '.join(sorted(unknown))}; there are {', '.join([*CASES, *SPECIAL])}")
    if found.write and found.cases:
        parser.error("--write needs all cases")
    return found


def main():
    chosen = options()
    group = "held-out" if chosen.held_out else "training" if chosen.training else "main"
    wanted = chosen.cases or [case.name for case in CASES.values() if case.group == group]
    if not chosen.cases and group == "main":
        wanted += SPECIAL
    columns = [name for name in CONTESTANTS if chosen.torch_compile or name != "torch.compile"]
    if group != "main":
        columns = [name for name in columns if any(name in CASES[case].contestants for case in wanted)]
    table, problems = Table(columns), []
    with Contestants(chosen.threads) as contestants:
        per_byte = {}
        for name in wanted:
            if name in CASES:
                problems += timed(CASES[name], contestants, columns, chosen.rounds, table, per_byte)
    for name in wanted:
        if name in SPECIAL:
            special(name, columns, chosen.threads, table)
    if chosen.write:
        table.write(group, chosen.threads)
    for line in problems:
        print(line)
    print(f"{len(table.missed)} targets missed", *table.missed, sep="\n  ")
    sys.exit(bool(problems))


def timed(case, contestants, columns, rounds, table, per_byte):
    """One row of times; per_byte is filled with {case: seconds per byte} of ours. Returns what went wrong."""
    names = [name for name in columns if name in case.contestants]
    sizes, problems = contestants.build(case, names)
    turn = 1.0 if case.group == "training" else 0.05  # seconds: training steps follow one another
    seconds = contestants.seconds(sizes, rounds, turn)
    contestants.drop(sizes)
    checks = []
    if "pequegrad" in sizes:
        per_byte[case.name] = seconds["pequegrad"] / sizes["pequegrad"]
        if case.like in per_byte:
            ratio = per_byte[case.name] / per_byte[case.like]
            checks = [(f"at most {LIKE_PLAIN} of plain per byte: {ratio:.2f}", ratio <= LIKE_PLAIN)]
    table.add(case.name, {k: v / case.operations for k, v in seconds.items()}, "s", case.targets, checks)
    return problems


def special(name, columns, threads, table):
    """A row that is measured in fresh processes."""
    libraries = [column for column in columns if column in ("pequegrad", "jax", "torch", "torch.compile")]
    kind, _, case = name.partition("_")
    if kind == "compile":
        figures = compile_seconds(case, [column for column in libraries if column != "torch"], threads)
        again = figures.pop("cached")
        table.add(name, figures, "s", (("pequegrad", "jax", 2.0),))
        table.add(
            f"{name}, second process", {**figures, "pequegrad": again}, "s", (), [("at most 0.3 s", again <= 0.3)]
        )
    elif kind == "memory":
        with Contestants(threads) as fresh:
            names = [column for column in columns if column in CASES[case].contestants]
            sizes, _ = fresh.build(CASES[case], names)
            table.add(name, fresh.memory(sizes), "bytes", (("pequegrad", "jax", 1.0),))
    else:
        modules = {"pequegrad": "pequegrad", "jax": "jax.numpy", "torch": "torch"}
        table.add(name, {k: import_seconds(m) for k, m in modules.items() if k in columns}, "s")


if __name__ == "__main__":
    main()
