"""Datasets for tests/test_data_loader.py that worker processes can import without pytest."""

import os
import random
import sys
import threading
import time
from collections import namedtuple

import ml_dtypes
import numpy as np

from pequegrad.core.errors import ShapeError
from pequegrad.data import Dataset, sample_generator
from pequegrad.tensor import Tensor

Pair = namedtuple("Pair", "left right")


class Sized(Dataset):
    def __init__(self, count=20):
        self.count = count

    def __len__(self):
        return self.count


class Everything(Sized):
    """Samples of all kinds of parts."""

    def __getitem__(self, index):
        return {
            "image": np.full((3, 5), index % 256, np.uint8),
            "half": np.full(2, index, ml_dtypes.bfloat16),
            "empty": np.zeros((0, 4), np.float64),
            "turned": np.arange(6.0).reshape(2, 3).T * index,
            "tensor": Tensor([float(index)]),
            "numbers": (index, index / 2, index > 3),
            "pair": Pair(np.float32(index), [index]),
            "name": f"sample {index}",
            "nothing": None,
        }


class Random(Sized):
    def __getitem__(self, index):
        return index, sample_generator().random(), sample_generator().random()


class GlobalRandom(Sized):
    def __getitem__(self, index):
        return random.random(), np.random.random()


class Growing(Sized):
    """Sample i has 4 ** i numbers."""

    def __getitem__(self, index):
        return np.full(4**index, index, np.float32)


class Watching(Sized):
    """Says who makes a sample, and what that process has imported."""

    def __getitem__(self, index):
        time.sleep(0.002)
        names = [name for name in ("torch", "jax", "pytest", "optree") if name in sys.modules]
        return os.getpid(), " ".join(names), os.environ.get("PG_NUM_THREADS")


class OddError(Exception):
    def __init__(self, number, *, why):
        super().__init__(f"number {number} because {why}")
        self.number = number


class NoPickle(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


def fail_key():
    raise KeyError("lost")


def fail_odd():
    raise OddError(7, why="of that")


def fail_ours():
    raise ShapeError("Shapes that do not fit.", fix="make them fit.")


def fail_unpicklable():
    raise NoPickle("a secret")


def fail_unicode():
    b"\xff".decode()


def leave():
    sys.exit(3)


class Failing(Sized):
    """Sample 5 does what it is told."""

    def __init__(self, what, count=20):
        super().__init__(count)
        self.what = what

    def __getitem__(self, index):
        if index == 5:
            self.what()
        return index


def vanish():
    os._exit(7)


class Slow(Sized):
    """Says which process makes it, and takes long from the third sample on."""

    def __init__(self, count=20, seconds=30.0, fast=3):
        super().__init__(count)
        self.seconds, self.fast = seconds, fast

    def __getitem__(self, index):
        if index >= self.fast:
            time.sleep(self.seconds)
        return os.getpid()


class NoUnpickle(Sized):
    def __getitem__(self, index):
        return index

    def __setstate__(self, state):
        raise ValueError("cannot be made again")


def first_two(samples):
    return samples[:2]


def times_ten(batch):
    return batch * 10
