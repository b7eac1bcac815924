"""DataLoader: batches of a dataset, in an order that the seed alone decides."""

import itertools
import os
import weakref
from collections import deque

import numpy as np

from ..core.errors import ArgumentError
from .crews import Inline, Threads
from .randomness import checked_seed, samples


class DataLoader:
    """Iterating over it gives the batches of one epoch; each further iteration is the next epoch, in another order.

    DataLoader(dataset, batch_size=1, shuffle=False, drop_last=False, num_workers=0, prefetch=2, seed=None, collate=None,
    worker_kind="process", transform=None)

    dataset: anything with `__len__` and `__getitem__`. drop_last: leave out the last batch if it is smaller. seed: decides the order
    and all random transforms, together with the epoch; the same for any number of workers; None draws one (`loader.seed`).
    collate: a function from a list of samples to a batch; by default arrays are stacked, see `default_collate`. transform: a
    function of whole batches, which the loader's own process applies to the first part, the images ([batch, ...]).

    num_workers: 0 makes each batch when it is asked for. Otherwise that many workers make up to `prefetch` batches each in advance.
    worker_kind: "process", for datasets that compute in Python; they are sent a copy of the dataset when the first iteration
    starts, and batches come back through shared memory. "thread", for datasets that wait for files or compute in NumPy.
    Workers live until `close()`, the end of `with`, or the end of the loader. Their errors are raised here with their
    traceback as the cause; WorkerError says that a worker was killed.

    In worker processes `random` and `np.random` are seeded for each batch; `sample_generator()` is the same in all kinds of workers.
    A script that uses processes does its work under `if __name__ == "__main__":`. A loader belongs to one thread.

    >>> loader = DataLoader(range(5), batch_size=2, shuffle=True, seed=0)
    >>> [batch.tolist() for batch in loader], [batch.tolist() for batch in loader]
    ([[2, 4], [3, 0], [1]], [[1, 4], [3, 0], [2]])
    """

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=False,
        drop_last=False,
        num_workers=0,
        prefetch=2,
        seed=None,
        collate=None,
        worker_kind="process",
        transform=None,
    ):
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise ArgumentError(f"{type(dataset).__name__} is no dataset: it needs __len__ and __getitem__.")
        if worker_kind not in ("process", "thread"):
            raise ArgumentError(f"DataLoader: worker_kind={worker_kind!r} is neither 'process' nor 'thread'.")
        for name, function in (("collate", collate), ("transform", transform)):
            if function is not None and not callable(function):
                raise ArgumentError(f"DataLoader: {name}={function!r} is no function.")
        self.dataset, self.collate, self.transform = dataset, collate, transform
        self.batch_size = _whole("batch_size", batch_size, 1)
        self.num_workers = _whole("num_workers", num_workers, 0)
        self.prefetch = _whole("prefetch", prefetch, 1)
        self.shuffle, self.drop_last, self.worker_kind = bool(shuffle), bool(drop_last), worker_kind
        seed = checked_seed(seed, "DataLoader")
        self.seed = int.from_bytes(os.urandom(4), "little") if seed is None else seed
        self.epoch = 0  # the epoch that is being read, or is read next
        self._position = 0  # batches of it that have been given
        self._begun = False  # the next iteration is another epoch
        self._iteration = None  # the one that may still give batches
        self._crew, self._finalizer = None, None

    def __len__(self):
        """Batches in an epoch."""
        count = len(self.dataset)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def __iter__(self):
        if self._begun:
            self.epoch, self._position = self.epoch + 1, 0
        self._begun = True
        self._iteration = token = object()
        return self._batches(token)

    def _batches(self, token):
        """The rest of this epoch."""
        tasks = self._tasks()
        crew = self._workers()
        crew.abandon()
        asked = deque()
        while True:
            if self._iteration is not token:
                raise ArgumentError(
                    "This iteration over the data loader has ended: the loader was closed, or another iteration was begun.",
                    fix="use a second DataLoader to read two epochs side by side.",
                )
            try:
                asked.extend((task, crew.submit(task)) for task in itertools.islice(tasks, crew.room - len(asked)))
                if not asked:
                    break
                task, ticket = asked.popleft()
                batch = self._transformed(crew.result(ticket), task)
            except BaseException:  # a worker's error, its death, or Ctrl-C: nothing is left running
                self.close()
                raise
            self._position += 1
            yield batch
        self.epoch, self._position, self._begun = self.epoch + 1, 0, False

    def _tasks(self):
        """(seed, epoch, numbers of the samples) of the batches that are left in this epoch."""
        count = len(self.dataset)
        order = np.random.default_rng((self.seed, self.epoch)).permutation(count) if self.shuffle else np.arange(count)
        for first in range(self._position * self.batch_size, len(self) * self.batch_size, self.batch_size):
            yield self.seed, self.epoch, order[first : first + self.batch_size]

    def _transformed(self, batch, task):
        if self.transform is None:
            return batch
        with samples(*task, stage=1):
            if type(batch) in (tuple, list):
                return type(batch)([self.transform(batch[0]), *batch[1:]])
            return self.transform(batch)

    # ---- workers -----------------------------------------------------------------------------------------

    def _workers(self):
        if self._crew is None:
            self._crew = self._new_crew()
            self._finalizer = weakref.finalize(self, self._crew.close)  # also when the interpreter exits
        return self._crew

    def _new_crew(self):
        if not self.num_workers:
            return Inline(self.dataset, self.collate)
        if self.worker_kind == "thread":
            return Threads(self.dataset, self.collate, self.num_workers, self.prefetch)
        from .processes import Processes

        return Processes(self.dataset, self.collate, self.num_workers, self.prefetch)

    def close(self):
        """Ends the workers, and an iteration that is under way. A new iteration starts them again."""
        self._iteration = None
        if self._crew is not None:
            self._crew = None
            self._finalizer()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # ---- resuming ----------------------------------------------------------------------------------------

    def state_dict(self):
        """Where it is: a dict of ints and bools, for JSON. Taken inside a loop, it says that the batch at hand has been given.

        >>> loader = DataLoader(range(6), batch_size=2, shuffle=True, seed=1)
        >>> for batch in loader:
        ...     state = loader.state_dict()
        ...     break
        >>> rest = list(DataLoader(range(6), batch_size=2, shuffle=True).load_state_dict(state))
        >>> len(rest)
        2
        """
        return {"seed": self.seed, "epoch": self.epoch, "position": self._position, **self._kind()}

    def _kind(self):
        """What must be the same for a position to mean the same samples."""
        return {
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def load_state_dict(self, state):
        """Makes the next iteration go on where `state` was taken; takes its seed, too. Returns the loader.

        Raises ArgumentError if the loader it comes from had other data, or another batch_size, shuffle or drop_last.
        """
        kind = self._kind()
        wanted = {"seed", "epoch", "position", *kind}
        if not isinstance(state, dict) or set(state) != wanted:
            raise ArgumentError(
                f"This is not the state of a DataLoader: {str(state)[:80]}.", fix=f"it has {sorted(wanted)}."
            )
        if other := [f"{name}={state[name]}, here {kind[name]}" for name in kind if state[name] != kind[name]]:
            raise ArgumentError(f"The state of another DataLoader: {'; '.join(other)}.", fix="make the loader alike.")
        seed, epoch, position = (_whole(name, state[name], 0) for name in ("seed", "epoch", "position"))
        if position > len(self):
            raise ArgumentError(f"The state says batch {position} of {len(self)}.")
        self._iteration = None
        self.seed, self.epoch, self._position, self._begun = seed, epoch, position, False
        return self


def _whole(name, value, least):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ArgumentError(f"DataLoader: {name}={value!r} is not a whole number >= {least}.")
    return int(value)
