"""python -m benchmarks [case ...]: measures, prints a table, and with --write puts it in docs/performance.md."""

import argparse
import os
import platform
import re

import torch

import pequegrad as pg

from . import cases
from .measure import import_milliseconds, interleaved

PER_OPERATION = {"lazy_op": 100, "tracked_op": 100, "gradient_op": 100}
ALL = [
    *PER_OPERATION, "mlp_adam_step", "matmul1024", "rnn_scan_gradient", "conv2d", "sort_million", "fft_batch"
]  # fmt: skip
PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs", "performance.md")
BEGIN, END = "<!-- measured -->", "<!-- end -->"


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("cases", nargs="*", default=[], help=f"of {', '.join(ALL)}, import; default: all")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--threads", type=int, default=2, help="for all; JAX only heeds the processors it may use (taskset)"
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pg.set_num_threads(options.threads)
    wanted = options.cases or [*ALL, "import"]
    lines = ["| case | " + "what | median | against pequegrad |", "|---|---|---|---|"]
    for name in wanted:
        if name == "import":
            rows = {m: import_milliseconds(m) for m in ("pequegrad", "pequegrad.jax_api", "torch", "jax.numpy")}
            unit, scale = "ms beyond numpy", 1
        else:
            seconds = interleaved(getattr(cases, name)(), options.rounds)
            per = PER_OPERATION.get(name)
            unit, scale = ("us per operation", 1e6 / per) if per else ("ms", 1e3)
            rows = {contestant: value * scale for contestant, value in seconds.items()}
        own = next(iter(rows.values()))
        for contestant, value in rows.items():
            line = f"| {name} | {contestant} | {value:.2f} {unit} | {value / own:.2f} |"
            print(line, flush=True)
            lines.append(line)
    if options.write:
        with open(PAGE, encoding="utf-8") as file:
            text = file.read()
        processor = next(
            (line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
            platform.machine(),
        )
        head = f"{processor}, {os.cpu_count()} cores, {options.threads} thread(s), {len(os.sched_getaffinity(0))} processor(s) allowed; Python {platform.python_version()}, torch {torch.__version__}, jax {cases.jax.__version__}.\n"
        table = "\n".join([BEGIN, head, *lines, END])
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(re.sub(f"{BEGIN}.*{END}", lambda _: table, text, flags=re.DOTALL))


if __name__ == "__main__":
    main()
