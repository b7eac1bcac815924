"""The data of the examples: small digits that lie in this repository, and MNIST from a folder of yours."""

import os

import numpy as np

from pequegrad import DataFileError
from pequegrad.data import mnist

MNIST_PARTS = mnist.PARTS
DIGITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "digits.npz")


def load_digits():
    """The UCI optical digits, 8x8 pixels (source and licence: examples/data/README.md).

    Returns (train images float32 [1437, 64] in 0..1, train labels int32 [1437], test images [360, 64], test labels
    [360]). The test set is every fifth image of each class, always the same. The file does not say who wrote
    a digit, so the same hands are in both parts: new hands are harder to read. Raises DataFileError.
    """
    try:
        with open(DIGITS, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"]
    except Exception as error:  # NumPy, zipfile and zlib have a dozen for a missing or broken file
        raise DataFileError(
            f"The digits cannot be read: {error}.", where=DIGITS, fix="git checkout examples/data/digits.npz"
        ) from None
    images, labels = _for_training(images, 16, labels)
    test = np.zeros(len(labels), bool)
    test[np.argsort(labels, kind="stable")[::5]] = True
    return images[~test], labels[~test], images[test], labels[test]


def load_mnist(folder):
    """MNIST (LeCun, Cortes, Burges, 1998) from its four IDX files in `folder`, gzipped or not.

    Returns (train images float32 [60000, 784] in 0..1, train labels int32 [60000], test images [10000, 784],
    test labels [10000]). Raises DataFileError if a file is missing or is not what it should be.
    """
    train, test = mnist.read_mnist(folder, train=True), mnist.read_mnist(folder, train=False)
    return (*_for_training(train[0], 255, train[1]), *_for_training(test[0], 255, test[1]))


def _for_training(images, white, labels):
    return images.reshape(len(images), -1).astype(np.float32) / white, labels.astype(np.int32)
