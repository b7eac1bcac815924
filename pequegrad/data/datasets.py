"""Datasets: what has a length and gives its samples by their numbers."""

import numpy as np

from ..core.errors import ArgumentError, IndexingError, ShapeError
from ..core.tensor import Tensor
from .randomness import checked_seed


class Dataset:
    """Base of datasets. Define `__len__` and `__getitem__(index)`, index in 0 ... len - 1.

    A sample is an array, a Tensor, a number, a string, or a tuple, list or dict of samples. A DataLoader also takes any other
    object with these two methods, such as a list. `batch(indices)` may be defined where many samples are read faster at once.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 10
    ...     def __getitem__(self, index):
    ...         return index, index**2
    >>> Squares()[3]
    (3, 9)
    """

    def __len__(self):
        raise NotImplementedError(f"{type(self).__name__} does not define __len__().")

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__().")

    def batch(self, indices):
        """What collating the samples `indices` (int64 [n]) would give, made at once; None: make them one by one."""
        return None

    def __iter__(self):
        return (self[index] for index in range(len(self)))

    def __add__(self, other):
        return ConcatDataset([self, other])


class ArrayDataset(Dataset):
    """Samples from the rows of arrays: sample i is `(arrays[0][i], arrays[1][i], ...)`, or `arrays[0][i]` if there is only one.

    arrays: NumPy arrays (memory-mapped ones, too) or what NumPy makes arrays of, [samples, ...]. transform: a function applied to
    the first part of a sample, the image. Raises ShapeError if the arrays have different lengths.

    >>> images, labels = np.zeros((100, 3, 32, 32), np.uint8), np.arange(100) % 10
    >>> image, label = ArrayDataset(images, labels)[7]
    >>> image.shape, int(label)
    ((3, 32, 32), 7)
    """

    def __init__(self, *arrays, transform=None):
        self.arrays = tuple(self._prepared(array) for array in arrays)
        lengths = [array.shape[0] if array.ndim else None for array in self.arrays]
        if not arrays or None in lengths or len(set(lengths)) > 1:
            raise ShapeError(
                f"{type(self).__name__} of arrays of shapes {[list(array.shape) for array in self.arrays]}.",
                fix="give one or more arrays with the same number of rows.",
            )
        if transform is not None and not callable(transform):
            raise ArgumentError(f"{type(self).__name__}: transform={transform!r} is no function.")
        self.transform = transform

    @staticmethod
    def _prepared(array):
        return array if isinstance(array, np.ndarray) else np.asarray(array)

    def __len__(self):
        return self.arrays[0].shape[0]

    def __getitem__(self, index):
        parts = [array[index] for array in self.arrays]
        if self.transform is not None:
            parts[0] = self.transform(parts[0])
        return parts[0] if len(parts) == 1 else tuple(parts)

    def batch(self, indices):
        """The rows of all samples, by one index operation per array; None if there is a transform of single samples."""
        if self.transform is not None:
            return None
        parts = [array[indices] for array in self.arrays]
        return parts[0] if len(parts) == 1 else tuple(parts)


class TensorDataset(ArrayDataset):
    """Samples from the rows of Tensors, as ArrayDataset: samples and batches are Tensors on the device of the given ones.

    >>> from pequegrad.tensor import Tensor
    >>> x, y = TensorDataset(Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor([0.0, 1.0]))[1]
    >>> x.numpy(), y.item()
    (array([3., 4.], dtype=float32), 1.0)
    """

    @staticmethod
    def _prepared(array):
        return (array if isinstance(array, Tensor) else Tensor(array)).detach()

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):  # else iterating over it would not end
            raise IndexingError(f"TensorDataset: there is no sample {index}, there are {len(self)}.")
        return super().__getitem__(index)


class Subset(Dataset):
    """The samples of `dataset` with these numbers, in this order.

    >>> list(Subset("abcdef", [4, 0]))
    ['e', 'a']
    """

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, np.asarray(indices, np.int64).reshape(-1)
        if self.indices.size and not (-len(dataset) <= self.indices.min() and self.indices.max() < len(dataset)):
            raise IndexingError(f"Subset: indices up to {self.indices.max()} of a dataset of {len(dataset)} samples.")
        self.indices = np.where(self.indices < 0, self.indices + len(dataset), self.indices)

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        return self.dataset[int(self.indices[index])]

    def batch(self, indices):
        """The batch of the dataset behind it, if that makes batches at once."""
        whole = getattr(self.dataset, "batch", None)
        return None if whole is None else whole(self.indices[indices])


class ConcatDataset(Dataset):
    """The samples of several datasets one after another; `a + b` of two Datasets is the same.

    >>> joined = ConcatDataset(["abc", "de"])
    >>> len(joined), joined[3], joined[-1]
    (5, 'd', 'e')
    """

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ArgumentError("ConcatDataset of no datasets.", fix="give at least one.")
        self.ends = np.cumsum([len(dataset) for dataset in self.datasets])

    def __len__(self):
        return int(self.ends[-1])

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):
            raise IndexingError(f"ConcatDataset: there is no sample {index}, there are {len(self)}.")
        index = int(index) % len(self)
        which = int(np.searchsorted(self.ends, index, side="right"))
        return self.datasets[which][index - (int(self.ends[which - 1]) if which else 0)]


def random_split(dataset, lengths, seed=0):
    """Subsets of `dataset` without common samples, chosen at random but always the same for one seed.

    lengths: numbers of samples that add up to len(dataset), or fractions that add up to 1; what rounding leaves goes
    to the first parts. Raises ArgumentError if they do not add up.

    >>> [len(part) for part in random_split(range(11), [0.8, 0.2])]
    [9, 2]
    """
    count, lengths = len(dataset), list(lengths)
    sizes = lengths
    if any(isinstance(length, (float, np.floating)) for length in lengths):
        if abs(sum(lengths) - 1) > 1e-6 or min(lengths) < 0:
            raise ArgumentError(f"random_split: the fractions {lengths} do not add up to 1.")
        sizes = [int(count * length) for length in lengths]
        for i in range(count - sum(sizes)):
            sizes[i % len(sizes)] += 1
    if sum(sizes) != count or min(sizes, default=0) < 0:
        raise ArgumentError(
            f"random_split: {lengths} do not add up to the {count} samples.", fix="or give fractions: [0.9, 0.1]."
        )
    order = np.random.default_rng(checked_seed(seed, "random_split")).permutation(count)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(sizes)[:-1])]
