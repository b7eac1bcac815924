"""The data of the examples: small digits that lie in this repository, and MNIST from a folder of yours."""

import gzip
import math
import os
import zlib

import numpy as np

from pequegrad import DataFileError

DIGITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "digits.npz")
MNIST_PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
MNIST_FIX = f"put {', '.join(MNIST_PARTS)} there, gzipped or not; their home page is http://yann.lecun.com/exdb/mnist/"


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
    paths = [_find(folder, name) for name in MNIST_PARTS]
    if missing := [name for name, path in zip(MNIST_PARTS, paths) if path is None]:
        raise DataFileError(
            f"MNIST is not there: missing {', '.join(missing)}.", where=os.path.abspath(folder), fix=MNIST_FIX
        )
    return (*_read_pair(*paths[:2]), *_read_pair(*paths[2:]))


def read_idx(path, shape):
    """The bytes in an IDX file as a uint8 array of the given shape, in which None stands for any size but 0.

    IDX is: two bytes 0, a code of the dtype (8: unsigned byte), the number of axes, each size as a big-endian
    32-bit integer, the elements. Raises DataFileError.
    """
    with open(path, "rb") as file:
        data = file.read()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise _broken(path, f"its gzip data are damaged ({error})") from None
    if data[:4] != bytes([0, 0, 8, len(shape)]):
        raise _broken(path, f"it begins with {data[:4].hex() or 'nothing'}, not with 000008{len(shape):02x}")
    start = 4 + 4 * len(shape)
    sizes = tuple(np.frombuffer(data[4:start], ">u4").tolist()) if len(data) >= start else ()
    if len(sizes) != len(shape) or 0 in sizes or any(want not in (None, n) for n, want in zip(sizes, shape)):
        raise _broken(path, f"its sizes are {list(sizes)}, not {str(list(shape)).replace('None', 'N')}")
    if len(data) != start + math.prod(sizes):
        raise _broken(path, f"it has {len(data):,} bytes, not the {start + math.prod(sizes):,} of sizes {list(sizes)}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(sizes)


def _read_pair(images_path, labels_path):
    images, labels = read_idx(images_path, (None, 28, 28)), read_idx(labels_path, (None,))
    if len(images) != len(labels):
        raise _broken(labels_path, f"it has {len(labels)} labels for the {len(images)} images of {images_path}")
    if labels.max() > 9:
        raise _broken(labels_path, f"it has the label {labels.max()}, and digits end at 9")
    return _for_training(images, 255, labels)


def _find(folder, name):
    """The path of a part of MNIST, which some sites name with '.idx3' and most with '-idx3'; None if it is not there."""
    for stem in (name, name.replace("-idx", ".idx")):
        for path in (os.path.join(folder, stem), os.path.join(folder, stem + ".gz")):
            if os.path.isfile(path):
                return path
    return None


def _broken(path, why):
    return DataFileError(f"This is not MNIST's file: {why}.", where=path, fix=MNIST_FIX)


def _for_training(images, white, labels):
    return images.reshape(len(images), -1).astype(np.float32) / white, labels.astype(np.int32)
