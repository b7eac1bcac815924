"""pg.profile(): when each kernel ran, as a trace that Perfetto and chrome://tracing show."""

import json
import os
import time

from ..core.files import write_atomically
from ..core.node import prepared_specs
from ..runtime import library
from .inspect import Cost, bodies_of, computed, cost_of, kernel_name

_MOST = 1 << 20  # records


class profile:
    """Context manager: writes what the runtime does inside it to `path` as a trace in Chrome's Trace Event Format.

    Open the file in ui.perfetto.dev or chrome://tracing. Each run of a program is a bar, the kernels that it runs are bars
    below it, and below a loop those of its body; `args` of a bar say what it computes, bytes, flops and rates. A lane is a
    thread that ran programs; the threads among which a kernel divides its work are not shown. At most 2**20 bars
    are kept (`dropped` says how many were not). Without a path nothing is written; after the block `events` holds the
    bars, and str() of the profile is a table of kernels by time. Raises ArgumentError inside another profile.

    >>> with profile("trace.json") as found:
    ...     step(x, y)
    >>> print(found)
    """

    def __init__(self, path=None):
        self.path = path
        self.events, self.dropped = [], 0
        self.start = 0  # time of the first event, nanoseconds of the monotonic clock

    def __enter__(self):
        library.start_profile(_MOST)
        return self

    def __exit__(self, *exc):
        records, self.dropped = library.stop_profile(_MOST)
        self.events = _events(records)
        self.start = int(records[:, 2].min()) if len(records) else time.monotonic_ns()
        if self.path is not None:
            write_atomically(self.path, json.dumps(self.as_dict()).encode())

    def as_dict(self):
        """The trace as the JSON file holds it."""
        lanes = dict.fromkeys((event["pid"], event["tid"]) for event in self.events)
        names = [_metadata("process_name", os.getpid(), 0, "pequegrad")]
        names += [_metadata("thread_name", pid, tid, f"thread {tid}") for pid, tid in lanes]
        return {
            "traceEvents": names + self.events,
            "displayTimeUnit": "ns",
            "otherData": {"dropped": self.dropped},
        }

    def __str__(self):
        """A line per kernel, those that took longest first: total time, runs, bytes and flops per second."""
        found = {}
        for event in self.events:
            if event["cat"] == "kernel":
                name = event["name"], event["args"]["computes"]
                time, runs, moved, flops = found.get(name, (0, 0, 0, 0))
                args = event["args"]
                moved += args["bytes_read"] + args["bytes_written"]
                found[name] = time + event["dur"], runs + 1, moved, flops + args["flops"]
        lines = [f"{'ms':>10}  {'runs':>6}  {'GB/s':>7}  {'GFLOP/s':>8}  kernel"]
        for (name, computes), (time, runs, moved, flops) in sorted(found.items(), key=lambda item: -item[1][0]):
            rates = f"{_rate(moved, time):7.2f}  {_rate(flops, time):8.2f}"
            lines.append(f"{time / 1000:10.3f}  {runs:6}  {rates}  {name[:16]}: {computes}")
        return "\n".join(lines)


def _events(records):
    """The bars of the records: complete events ("X"), times in microseconds since the first."""
    if not len(records):
        return []
    start, pid = int(records[:, 2].min()), os.getpid()
    lanes, described, events = {}, {}, []
    for op, program, begin, end, thread in records[records[:, 2].argsort(kind="stable")].tolist():
        if op not in described:
            described[op] = _described(op)
        name, arguments = described[op]
        if not op:
            known = library.programs.get(program)
            name = known.name if known is not None else "evaluation"
        time = (end - begin) / 1000
        if op:
            moved = arguments["bytes_read"] + arguments["bytes_written"]
            arguments = {**arguments, "GB/s": _rate(moved, time), "GFLOP/s": _rate(arguments["flops"], time)}
        events.append({
            "name": name, "cat": "kernel" if op else "program", "ph": "X", "ts": (begin - start) / 1000, "dur": time,
            "pid": pid, "tid": lanes.setdefault(thread, len(lanes)), "args": arguments,
        })  # fmt: skip
    return events


def _described(op):
    """(name, arguments of the bar) of an operation."""
    if not op:
        return None, {}
    spec = prepared_specs.get(op)
    if spec is None:
        return "kernel of a program that is gone", {"computes": "", **Cost(0, 0, 0)._asdict()}
    cost = cost_of(spec)
    if bodies_of(spec):  # its kernels have bars of their own
        cost = Cost(0, 0, 0)
    return kernel_name(spec), {"computes": computed(spec), **cost._asdict()}


def _rate(amount, microseconds):
    return round(amount / microseconds / 1000, 3) if microseconds else 0.0


def _metadata(name, pid, tid, value):
    return {"name": name, "ph": "M", "pid": pid, "tid": tid, "args": {"name": value}}
