"""The data of the examples: small digits that lie in this repository, and MNIST from a folder of yours."""

import os

import numpy as np

from pequegrad import DataFileError
from pequegrad.data import mnist, transforms

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


def load_images(folder=None):
    """The digits, or with `folder` MNIST, as (train images float32 [N, 1, side, side], labels, test images, test labels)."""
    train, train_labels, test, test_labels = load_mnist(folder) if folder else load_digits()
    side = 28 if folder else 8
    return train.reshape(-1, 1, side, side), train_labels, test.reshape(-1, 1, side, side), test_labels


INKS = np.array([[20, 20, 20], [200, 30, 30], [30, 140, 30], [30, 60, 200], [230, 120, 0], [130, 40, 160], [0, 150, 160],
                 [240, 90, 170], [120, 80, 40], [150, 150, 0]], np.float32)  # fmt: skip


def coloured_digits(train=True, copies=1, size=32, seed=0):
    """The small digits as colour images, for networks that expect photographs: (uint8 [N, 3, size, size], int32 [N]).

    Real handwriting, made larger and written with one of ten inks on paper of a light random colour. The label is
    10 * digit + ink, one of 100. copies: how often each digit appears, in inks and on papers of their own.
    """
    images, labels, test_images, test_labels = load_digits()
    if not train:
        images, labels = test_images, test_labels
    rng = np.random.default_rng([seed, train])
    amounts = transforms.Resize(size)(images.reshape(-1, 1, 8, 8)).clip(0, 1)
    amounts, labels = np.tile(amounts, (copies, 1, 1, 1)), np.tile(labels, copies)
    inks = rng.integers(0, 10, len(labels))
    paper = rng.uniform(190, 255, (len(labels), 3, 1, 1)).astype(np.float32)
    pixels = paper + (INKS[inks][:, :, None, None] - paper) * amounts
    return np.round(pixels).astype(np.uint8), (10 * labels + inks).astype(np.int32)
