"""The table of results, and its place in docs/performance.md."""

import os
import platform
import re
from importlib.metadata import version

from .libraries import PEERS

PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs", "performance.md")


class Table:
    """Rows of contestants' figures beside targets; `columns` are contestants."""

    def __init__(self, columns):
        self.columns = columns
        self.lines = []
        self.missed = []
        self._print(f"| case | {' | '.join(columns)} | target | |")
        self._print("|---" * (len(columns) + 3) + "|")

    def add(self, name, figures, unit, targets=(), checks=()):
        """One row: {contestant: figure}; unit: "s" or "bytes".

        targets: as in cases.Case. checks: further (text, whether it is met).
        """
        own = figures.get("pequegrad")
        cells = []
        for column in self.columns:
            text = ""
            if column in figures:
                text = shown(figures[column], unit)
                if own and column != "pequegrad":
                    text += f" ({figures[column] / own:.2f})"
            cells.append(text)
        checks = [*(check for check in (_judged(target, figures) for target in targets) if check), *checks]
        words = [f"{'' if met else 'missed: '}{text}" for text, met in checks]
        met = all(met for _, met in checks)
        self.missed += [f"{name}: {text}" for text, met in checks if not met]
        mark = "" if not checks else "met" if met else "missed"
        self._print(f"| {name} | {' | '.join(cells)} | {'; '.join(words)} | {mark} |")

    def _print(self, line):
        print(line, flush=True)
        self.lines.append(line)

    def write(self, group, threads):
        """Puts the table between the marks of its group, with the machine."""
        begin, end = f"<!-- measured: {group} -->", "<!-- end -->"
        with open(PAGE, encoding="utf-8") as file:
            text = file.read()
        written = "\n".join([begin, machine(threads), "", *self.lines, end])
        text, count = re.subn(f"{begin}.*?{end}", lambda _: written, text, flags=re.DOTALL)
        if not count:
            raise SystemExit(f"{PAGE} has no marks {begin} ... {end}")
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(text)


def _judged(target, figures):
    """(what is asked, whether it is met), or None if a figure is missing."""
    who, rival, times = target
    against = [figures[name] for name in (PEERS if rival == "peers" else (rival,)) if name in figures]
    if who not in figures or not against:
        return None
    reached = min(against) / figures[who]
    subject = "" if who == "pequegrad" else f"{who} "
    return f"{subject}{times:.2f}x {'best peer' if rival == 'peers' else rival}: {reached:.2f}", reached >= times


def shown(figure, unit):
    """A figure with three digits and a unit: 6.13 ms, 410 us, 12.5 MiB."""
    scales = {"s": ((1, "s"), (1e-3, "ms"), (1e-6, "us")), "bytes": ((2**20, "MiB"), (2**10, "KiB"))}[unit]
    scale, name = next((s for s in scales if figure >= s[0]), scales[-1])
    value = figure / scale
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {name}"


def machine(threads):
    try:
        with open("/proc/cpuinfo") as file:
            processor = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.machine()
    return (
        f"{processor}, {os.cpu_count()} cores, {threads} thread(s) on {min(threads, len(os.sched_getaffinity(0)))} of them; "
        f"Python {platform.python_version()}, torch {version('torch')}, jax {version('jax')}."
    )
