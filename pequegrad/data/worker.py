"""The other side of processes.py: a process that loads the dataset once and forks the workers, and what these do.

    loader's process ── spawns ──> nursery: a fresh interpreter, one thread; imports what the dataset needs, nothing else
                                      └── forks ──> worker 0, worker 1 ...: share the dataset's memory with it

Forking is safe there, since nothing runs beside it, and takes milliseconds; forking the loader's process, with its threads, is not.
The nursery waits for its workers, so that none becomes a zombie, and tells the loader at once when one has died.
"""

import contextlib
import ctypes
import gc
import os
import random
import runpy
import select
import signal
import socket
import sys
import time
import types

import numpy as np

from .batches import make_batch
from .wire import Slot, pack_error, receive, send

GRACE = 0.5  # seconds that a worker has to finish its sample when the loader is closed
LOOK = 0.25  # seconds between looks whether the loader's process is still there
in_worker = False  # True in these processes


def main(plan):
    """The nursery, from start to end. plan: file descriptors and what the loader's process had as sys.argv."""
    global in_worker
    in_worker = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the loader's; it then closes the sockets
    control = socket.socket(fileno=plan["control"])
    sockets = [socket.socket(fileno=fd) for fd in plan["sockets"]]
    wake = _wake_on_child_death()
    sys.argv[:] = plan["argv"]
    try:
        _import_main(plan["main"])
        dataset, collate = Slot(plan["payload"]).read(plan["places"], copy=False)
    except BaseException as error:
        _tell(control, "failed", *pack_error(error))
        return
    gc.collect()
    gc.freeze()  # else the collector writes to, and so copies, all memory that the workers share
    workers = {}
    for i in range(len(sockets)):
        pid = os.fork()
        if not pid:
            _run_worker(plan, i, sockets, control, wake, dataset, collate)
        workers[pid] = i
    for connection in sockets:
        connection.close()
    _tell(control, "started", {i: pid for pid, i in workers.items()})
    _watch(control, wake, workers, plan["parent"])


def _wake_on_child_death():
    """A file descriptor that becomes readable when a child has died."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _tell(control, *message):
    """A message to the loader, unless it has just closed the connection."""
    with contextlib.suppress(OSError):
        send(control, message)


def _watch(control, wake, workers, parent):
    """Reports workers that die, until the loader closes the connection or its process is gone; then ends the rest."""
    while os.getppid() == parent:
        readable, _, _ = select.select([control, wake], [], [], LOOK)
        if control in readable:
            break  # nothing is ever sent to the nursery: this is the end
        if wake in readable:
            os.read(wake, 1024)
        for number, pid, code in _reap(workers):
            _tell(control, "died", number, pid, code)
    deadline = time.monotonic() + GRACE
    while workers and time.monotonic() < deadline:
        select.select([wake], [], [], 0.02)
        _reap(workers)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    for pid in workers:
        os.waitpid(pid, 0)


def _reap(workers):
    """Takes those that have died out of {pid: number}; returns (number, pid, exit code) of each."""
    found = [os.waitpid(pid, os.WNOHANG) for pid in workers]
    return [(workers.pop(pid), pid, os.waitstatus_to_exitcode(status)) for pid, status in found if pid]


def _run_worker(plan, number, sockets, control, wake, dataset, collate):
    """A worker, from its fork to its end; does not return."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no worker survives the nursery
        with contextlib.suppress(OSError):  # a new task must not take the processor from the loop that asked for it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        for other in (*sockets[:number], *sockets[number + 1 :], control):
            if other.fileno() >= 0:
                other.close()  # else nobody would see that their owners are gone
        os.close(wake)
        _serve(sockets[number], [Slot(fd) for fd in plan["slots"][number]], dataset, collate)
    except (EOFError, OSError):
        pass  # the loader is gone
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # what the nursery's modules want to do at exit, the nursery does


def _serve(connection, slots, dataset, collate):
    """Makes batches until the connection is closed."""
    while True:
        ticket, slot, task = receive(connection)
        try:
            _seed_globals(*task)
            outcome = "batch", slots[slot].write(make_batch(dataset, collate, *task))
        except BaseException as error:  # also SystemExit: what a dataset raises goes to the loader
            outcome = "error", slots[slot].write(pack_error(error))
        send(connection, (ticket, *outcome))


def _seed_globals(seed, epoch, indices):
    """Workers begin as copies of one process: without this, datasets that use `random` or `np.random` would repeat themselves."""
    words = np.random.SeedSequence((seed, epoch, *indices[:1].tolist(), len(indices))).generate_state(4)
    random.seed(words.tobytes())
    np.random.seed(words)


def _import_main(main):
    """The user's script as the module __main__, if the dataset needs something from it; its `if __name__ == ...` is not run."""
    if main is None:
        return
    kind, name = main
    run = runpy.run_module if kind == "module" else runpy.run_path
    module = types.ModuleType("__mp_main__")
    vars(module).update(run(name, run_name="__mp_main__"))
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
