"""From numbers of samples to a batch: what every worker does, whatever it is."""

import numpy as np

from ..core.errors import ArgumentError, ShapeError
from ..core.tensor import Tensor
from .randomness import begin_sample, samples


def make_batch(dataset, collate, seed, epoch, indices):
    """The batch of the samples `indices` (int64 [n]) in this epoch."""
    with samples(seed, epoch, indices):
        whole = getattr(dataset, "batch", None)
        if collate is None and whole is not None and (batch := whole(indices)) is not None:
            return batch
        found = []
        for index in indices.tolist():
            begin_sample(index)
            found.append(dataset[index])
    return (collate or default_collate)(found)


def default_collate(batch):
    """A batch of a list of samples: arrays and Tensors are stacked, tuples, lists and dicts are batched part by part.

    Numbers become an array: int64, float32, or bool; strings, bytes and None stay in a list. Raises ShapeError if arrays of different
    shapes meet.

    >>> default_collate([(np.zeros(3), 1), (np.ones(3), 2)])
    (array([[0., 0., 0.],
           [1., 1., 1.]]), array([1, 2]))
    """
    first = batch[0]
    if isinstance(first, (np.ndarray, np.generic)):
        return _stacked(batch, np.stack)
    if isinstance(first, Tensor):
        from ..ops.shape import stack

        return _stacked(batch, stack).eval().detach()
    if isinstance(first, (bool, int, float)):
        return np.array(batch, bool if isinstance(first, bool) else _NUMBERS[any(isinstance(x, float) for x in batch)])
    if isinstance(first, dict):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, (tuple, list)):
        if len({len(sample) for sample in batch}) > 1:
            raise ShapeError("The samples of a batch have different numbers of parts.", fix="give a collate function.")
        parts = [default_collate(list(part)) for part in zip(*batch)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if first is None or isinstance(first, (str, bytes)):
        return batch
    raise ArgumentError(
        f"Samples of type {type(first).__name__} cannot be made a batch.",
        fix="let the dataset return arrays, numbers, strings, or tuples, lists and dicts of them; or give a collate function.",
    )


_NUMBERS = {False: np.int64, True: np.float32}


def _stacked(batch, stack):
    shapes = {np.shape(part) if not isinstance(part, Tensor) else part.shape for part in batch}
    if len(shapes) > 1:
        raise ShapeError(
            f"The samples of a batch have different shapes: {', '.join(str(list(s)) for s in sorted(shapes)[:3])}.",
            fix="bring them to one size (transforms.Resize, CenterCrop), or give a collate function.",
        )
    return stack(batch)
