"""Random numbers of a sample: functions of the loader's seed, the epoch and the sample's index, of nothing else.

So they do not depend on which worker makes a sample, on how many there are, or on whether it is made alone or as a part of a batch.
"""

import contextlib
import threading

import numpy as np

from ..core.errors import ArgumentError, ShapeError


class _Current(threading.local):
    """What this thread is making: samples `indices` of `epoch`; `index` is the one of them that is made now, if one is."""

    seed = epoch = indices = index = None
    stage = 0
    drawn = None  # own seed of a transform, or None -> how many numbers of each sample have been used


_current = _Current()


@contextlib.contextmanager
def samples(seed, epoch, indices, stage=0):
    """While it is open, random transforms in this thread draw the numbers of these samples (int64 [batch]).

    stage: 0 in the dataset, 1 in the loader's own transform, so that both draw other numbers.
    """
    before = vars(_current).copy()
    vars(_current).update(seed=seed, epoch=epoch, indices=indices, index=None, stage=stage, drawn={})
    try:
        yield
    finally:
        vars(_current).clear()
        vars(_current).update(before)


def begin_sample(index):
    """The samples that are open are made one by one, and now it is this one's turn."""
    vars(_current).update(index=index, drawn={})


def sample_generator():
    """A NumPy generator for the sample that is being made: for random choices in `Dataset.__getitem__` or a transform.

    It depends on the loader's seed, the epoch and the index of the sample only; each call gives it from its start.
    Outside a DataLoader it is a fresh generator.

    >>> class Noisy(Dataset):
    ...     def __len__(self):
    ...         return 10
    ...     def __getitem__(self, index):
    ...         return index + sample_generator().normal()
    """
    if _current.index is None:
        return np.random.default_rng()
    return np.random.default_rng((_current.seed, _current.epoch, int(_current.index)))


def uniforms(count, batch, seed, own):
    """float32 in [0, 1), [*batch, count]: the next numbers of the current samples, or `own`'s where no loader asks.

    batch: () for one sample, else (samples,). seed: a transform's own, instead of the loader's, or None.
    """
    if _current.indices is None:
        return own.random((*batch, count), np.float32)
    indices = _current.indices
    one = _current.index is not None
    if batch not in ((), (len(indices),)) or (not batch and not one and len(indices) != 1) or (one and batch):
        raise ShapeError(
            f"A random transform got {f'{batch[0]} images' if batch else 'one image'} "
            f"where the loader makes {'one sample' if one else f'{len(indices)} samples'}.",
            fix="let `transform` of a dataset take one image, that of a DataLoader a batch.",
        )
    first = _current.drawn.get(seed, 0)
    _current.drawn[seed] = first + count
    key = _mixed(_mixed((_current.seed if seed is None else seed) & _MASK) + _current.epoch + (_current.stage << 32))
    if one or not batch:  # Python's numbers are faster than arrays of one
        key = _mixed(key + int(_current.index if one else indices[0]))
        numbers = [_mixed(key + n * _GOLDEN) >> 40 for n in range(first + 1, first + count + 1)]
    else:
        keys = _mixed(indices.astype(np.uint64) + key)[:, None]
        steps = [n * _GOLDEN & _MASK for n in range(first + 1, first + count + 1)]
        numbers = _mixed(keys + np.array(steps, np.uint64)) >> 40
    return (np.array(numbers, np.float32) * np.float32(2**-24)).reshape(*batch, count)


_GOLDEN, _MASK = 0x9E3779B97F4A7C15, 2**64 - 1


def _mixed(x):
    """Splitmix64's output function (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).

    x: an int, or uint64 [n], whose arithmetic is modulo 2**64 by itself.
    """
    x = x + _GOLDEN & _MASK
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & _MASK
    return x ^ (x >> 31)


def checked_seed(seed, whose):
    """`seed` as an int >= 0; None stays None."""
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(f"{whose}: seed={seed!r} is not a whole number >= 0.")
    return int(seed)
