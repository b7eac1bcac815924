"""Those who make the batches: this thread itself, or other threads. (Other processes: processes.py.)

A crew is asked for batches with submit(task) -> ticket, and gives them, in any order, with result(ticket). `room` is how many may be
asked for in advance; abandon() forgets all that was asked for; close() ends the workers. A task is (seed, epoch, indices).
"""

import threading
from collections import deque

from .batches import make_batch


class Inline:
    """No workers: a batch is made when it is needed."""

    room = 1

    def __init__(self, dataset, collate):
        self.dataset, self.collate = dataset, collate

    def submit(self, task):
        return task

    def result(self, ticket):
        return make_batch(self.dataset, self.collate, *ticket)

    def abandon(self):
        pass

    def close(self):
        pass


class Threads:
    """Worker threads: for datasets that wait, or that compute in NumPy and other code that runs beside Python."""

    def __init__(self, dataset, collate, num_workers, prefetch):
        self.room = num_workers * prefetch
        self.shared = _Shared()
        self.next_ticket = 0
        self.threads = [
            threading.Thread(
                target=_serve, args=(self.shared, dataset, collate), name=f"pequegrad.data {i}", daemon=True
            )
            for i in range(num_workers)
        ]
        for thread in self.threads:
            thread.start()

    def submit(self, task):
        """Asks for a batch."""
        self.next_ticket += 1
        with self.shared.changed:
            self.shared.wanted.append((self.next_ticket, task))
            self.shared.changed.notify_all()
        return self.next_ticket

    def result(self, ticket):
        """Waits for a batch; raises the error that came instead."""
        with self.shared.changed:
            while ticket not in self.shared.done:
                self.shared.changed.wait()
            batch, error = self.shared.done.pop(ticket)
        if error is not None:
            raise error
        return batch

    def abandon(self):
        """Forgets all that was asked for; batches that are being made now are dropped when they are ready."""
        with self.shared.changed:
            self.shared.wanted.clear()
            self.shared.done.clear()
            self.shared.oldest = self.next_ticket + 1

    def close(self):
        """Ends the threads. One that is in the middle of a sample ends after it; nobody waits for it longer than a second."""
        with self.shared.changed:
            self.shared.closed = True
            self.shared.changed.notify_all()
        for thread in self.threads:
            if thread is not threading.current_thread():  # the garbage collector may run in any thread
                thread.join(1)


class _Shared:
    """What the threads and the loader have in common; the threads know nothing else of the loader."""

    def __init__(self):
        self.changed = threading.Condition()
        self.wanted = deque()
        self.done = {}  # ticket -> (batch, None) or (None, error)
        self.oldest = 0  # tickets below were abandoned
        self.closed = False


def _serve(shared, dataset, collate):
    while True:
        with shared.changed:
            while not shared.wanted and not shared.closed:
                shared.changed.wait()
            if shared.closed:
                return
            ticket, task = shared.wanted.popleft()
        try:
            outcome = make_batch(dataset, collate, *task), None
        except BaseException as error:  # also SystemExit: it goes to the thread that asked
            outcome = None, error
        with shared.changed:
            if ticket >= shared.oldest:
                shared.done[ticket] = outcome
                shared.changed.notify_all()
        outcome = None  # not kept while it waits
