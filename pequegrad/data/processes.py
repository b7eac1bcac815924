"""Worker processes, seen from the loader: starting, asking, waiting, and noticing that one has died. worker.py is the other side.

Nothing runs in the background here: the loader's thread reads what workers say when it waits for a batch. Each worker has `prefetch`
slots of shared memory; a task names the slot for its batch, which is free again when the batch has been copied out of it.
"""

import contextlib
import io
import json
import os
import pickle
import select
import signal
import subprocess
import sys

from ..core.errors import ArgumentError, WorkerError
from . import worker
from .wire import Slot, WorkerTraceback, pair, receive, send

_BOOT = (
    "import json, sys; plan = json.loads(sys.argv[1]); sys.path[:] = plan['path']; "
    "from pequegrad.data.worker import main; main(plan)"
)
_ONE_THREAD = ("PG_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class _Worker:
    """One worker: its connection, its slots, and what it has been asked for."""

    def __init__(self, prefetch):
        self.connection, self.far_end = pair()
        self.slots = [Slot() for _ in range(prefetch)]
        self.free = list(range(prefetch))
        self.tasks = {}  # ticket -> (slot, task), until the batch has been read
        self.busy = 0  # tasks that are not done


class Processes:
    """A crew (see crews.py) of worker processes."""

    def __init__(self, dataset, collate, num_workers, prefetch):
        self.room = num_workers * prefetch
        self.owner = os.getpid()
        self.next_ticket = 0
        self.done = {}  # ticket -> (worker, "batch" or "error", places in its slot)
        self.abandoned = set()
        self.pids = {}
        self.process = None
        payload = Slot()
        try:
            places, main = _pack(dataset, collate, payload)
            self.control, control_end = pair()
            self.workers = [_Worker(prefetch) for _ in range(num_workers)]
            self._start(payload, places, main, control_end)
        finally:
            payload.close()

    def _start(self, payload, places, main, control_end):
        """Starts the nursery and gives it its ends of all connections."""
        plan = {
            "control": control_end.fileno(),
            "sockets": [w.far_end.fileno() for w in self.workers],
            "slots": [[slot.fd for slot in w.slots] for w in self.workers],
            "payload": payload.fd,
            "places": places,
            "main": main,
            "parent": self.owner,
            "path": [entry or os.getcwd() for entry in sys.path],
            "argv": sys.argv,
        }
        ends = [control_end, *(w.far_end for w in self.workers)]
        files = [end.fileno() for end in ends] + [slot.fd for w in self.workers for slot in w.slots] + [payload.fd]
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, json.dumps(plan)],
                stdin=subprocess.DEVNULL,
                pass_fds=files,
                env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
                start_new_session=True,  # Ctrl-C is for the loader's process alone
            )
        finally:
            for end in ends:
                end.close()

    # ---- asking and waiting ------------------------------------------------------------------------------

    def submit(self, task):
        """Asks the worker that has least to do for a batch."""
        while not any(w.free for w in self.workers):
            self._listen()  # what was abandoned is still being made
        self.next_ticket += 1
        chosen = min((w for w in self.workers if w.free), key=lambda w: w.busy)
        slot = chosen.free.pop()
        chosen.tasks[self.next_ticket] = slot, task
        chosen.busy += 1
        with contextlib.suppress(OSError):  # it has died: result() says so
            send(chosen.connection, (self.next_ticket, slot, task))
        return self.next_ticket

    def result(self, ticket):
        """Waits for a batch; raises the error that came instead, or WorkerError if a worker has died."""
        while ticket not in self.done:
            self._listen()
        chosen, kind, places = self.done.pop(ticket)
        value = chosen.slots[chosen.tasks[ticket][0]].read(places)
        self._release(chosen, ticket)
        if kind == "error":
            _raise(*value)
        return value

    def _listen(self):
        """Takes what has been said, and waits until something is."""
        sources = {w.connection: w for w in self.workers}
        readable, _, _ = select.select([*sources, self.control], [], [])
        for connection in readable:
            if connection in sources:
                self._take_result(sources[connection])
        if self.control in readable:
            self._take_report()

    def _take_result(self, source):
        try:
            ticket, kind, places = receive(source.connection)
        except EOFError:
            # the nursery knows more: it reports at once, unless it is dead, too
            if select.select([self.control], [], [], 2)[0]:
                self._take_report()
            raise self._died(self.workers.index(source), "has gone") from None
        source.busy -= 1
        if ticket in self.abandoned:
            self.abandoned.discard(ticket)
            self._release(source, ticket)
        else:
            self.done[ticket] = source, kind, places

    def _take_report(self):
        try:
            kind, *rest = receive(self.control)
        except EOFError:
            raise WorkerError(
                "The process that watches the data loader's workers has died.", fix="see the messages before this one."
            ) from None
        if kind == "started":
            (self.pids,) = rest
        elif kind == "failed":
            _raise(*rest)
        else:
            number, _, code = rest
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise self._died(number, how)

    def _died(self, number, how):
        undone = [task for ticket, (_, task) in self.workers[number].tasks.items() if ticket not in self.done]
        doing = f", while it made the batch of the samples {undone[0][2][:4].tolist()}" if undone else ""
        return WorkerError(
            f"Worker {number} of the data loader (process {self.pids.get(number, '?')}) {how}{doing}.",
            fix="SIGKILL often means that memory ran out (use fewer workers or less prefetch); SIGSEGV, a bug in native code "
            "that the dataset calls (num_workers=0 shows where).",
        )

    def _release(self, source, ticket):
        slot, _ = source.tasks.pop(ticket)
        source.free.append(slot)

    def abandon(self):
        """Forgets all that was asked for."""
        for ticket, (source, _, _) in self.done.items():
            self._release(source, ticket)
        self.done.clear()
        self.abandoned = {ticket for w in self.workers for ticket in w.tasks}

    # ---- the end -----------------------------------------------------------------------------------------

    def close(self):
        """Ends the workers: they see that the connections are closed. Takes milliseconds, at most `worker.GRACE` and a little."""
        for w in self.workers:
            w.connection.close()
            for slot in w.slots:
                slot.close()
        self.control.close()
        if self.process is None or self.owner != os.getpid():
            return  # in a fork of the loader's process: the workers are not its own
        try:
            self.process.wait(worker.GRACE + 4)
        except subprocess.TimeoutExpired:
            self.process.kill()  # the kernel then kills the workers
            self.process.wait()


def _pack(dataset, collate, payload):
    """Puts the dataset into shared memory; returns its places there and what the workers need of __main__."""
    if worker.in_worker:
        raise ArgumentError(
            "A worker process of a data loader wants to start workers itself.",
            fix="put what your script does under `if __name__ == '__main__':`, since workers import it; "
            "in a dataset, use num_workers=0.",
        )
    try:
        places = payload.write((dataset, collate))
    except Exception as error:  # pickling raises whatever __reduce__ does
        raise ArgumentError(
            f"The dataset cannot be sent to worker processes: {type(error).__name__}: {error}.",
            fix="define its class and functions at the top of a module (no lambdas); or use worker_kind='thread'.",
        ) from error
    return places, _main_of() if _needs_main((dataset, collate)) else None


def _needs_main(value):
    """True if unpickling `value` looks something up in __main__."""
    found = False

    class Watching(pickle.Pickler):
        def reducer_override(self, obj):
            nonlocal found
            found = found or (isinstance(obj, (type, _Function)) and obj.__module__ == "__main__")
            return NotImplemented

    Watching(io.BytesIO(), protocol=5, buffer_callback=lambda buffer: None).dump(value)
    return found


_Function = type(_needs_main)


def _main_of():
    """("module" or "path", name) that runs the user's script again."""
    main = sys.modules["__main__"]
    spec, path = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if spec is not None and spec.name != "__main__":
        return "module", spec.name
    if path is None or not os.path.isfile(path):
        raise ArgumentError(
            "The dataset's class or functions were typed in interactively: worker processes cannot import them.",
            fix="put them into a module, or use worker_kind='thread'.",
        )
    return "path", os.path.abspath(path)


def _raise(packed, message, trace):
    """Raises a worker's error here, with its traceback there as the cause."""
    if packed is None:
        raise WorkerError(f"A worker of the data loader failed: {message}") from WorkerTraceback(trace)
    raise pickle.loads(packed) from WorkerTraceback(trace)
