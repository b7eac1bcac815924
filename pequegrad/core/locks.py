"""Locks that a child process can take although another thread held them when it was forked."""

import os
import threading


class AfterForkLock:
    """A reentrant lock, fresh after fork()."""

    def __init__(self):
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self):
        self.lock = threading.RLock()

    def __enter__(self):
        self.lock.acquire()

    def __exit__(self, *exc):
        self.lock.release()


# Held while a function is traced, while a compiled function that changes outer tensors runs, and while random
# numbers are drawn: no other thread sees, or uses twice, what is being replaced.
stateful = AfterForkLock()
