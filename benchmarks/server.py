"""The process of one contestant: python -m benchmarks.server CONTESTANT THREADS

Each contestant has a process of its own, so that thread pools, allocators and settings of one cannot disturb another.
It reads one JSON command per line and answers each with one line:

    {"do": "build", "case": name}        -> seconds of the first call (compilation included), bytes of arguments and results
    {"do": "results", "directory": path} -> writes the results of the first call as 0.npy, 1.npy, ...; how many
    {"do": "time", "repeats": n}         -> seconds of n calls, after one that does not count
    {"do": "memory"}                     -> bytes that one call adds to the resident memory at its peak
    {"do": "drop"}                       -> forgets the case
"""

import ctypes
import gc
import json
import os
import re
import sys
import time

import numpy as np


class Server:
    def __init__(self, contestant, threads):
        from .libraries import library

        self.library = library(contestant)
        self.library.set_threads(threads)
        self.call = self.first = None

    def build(self, case):
        from .cases import CASES

        function, arguments = CASES[case].build(self.library)
        self.call = self.library.call(function, arguments)
        start = time.perf_counter()
        result = self.call()
        seconds = time.perf_counter() - start
        self.first = self.library.arrays(result)
        n_bytes = sum(a.nbytes for a in (*self.library.arrays(arguments), *self.first))
        return {"seconds": seconds, "bytes": n_bytes}

    def results(self, directory):
        for i, array in enumerate(self.first):
            np.save(os.path.join(directory, f"{i}.npy"), array)
        count, self.first = len(self.first), None
        return {"count": count}

    def time(self, repeats):
        call = self.call
        call()  # caches and threads awake
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        return {"seconds": time.perf_counter() - start}

    def memory(self):
        """The caches of library and allocator are emptied first: what a call needs is then taken from the system."""
        self.call()
        gc.collect()
        self.library.empty_cache()
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak is measured anew
        before = _status("VmRSS")
        self.call()
        return {"bytes": _status("VmHWM") - before}

    def drop(self):
        self.call = self.first = None
        gc.collect()
        return {}


def _status(name):
    """Bytes of an entry of /proc/self/status."""
    with open("/proc/self/status") as file:
        return int(re.search(rf"{name}:\s*(\d+) kB", file.read()).group(1)) * 1024


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    server = Server(sys.argv[1], int(sys.argv[2]))
    print(json.dumps({}), file=answers, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(server, command.pop("do"))(**command)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
