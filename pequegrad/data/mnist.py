"""MNIST, and the IDX format of its files."""

import gzip
import math
import os
import zlib

import numpy as np

from ..core.errors import DataFileError
from .datasets import ArrayDataset
from .downloads import download

PARTS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
FIX = (
    f"put {', '.join(PARTS)} there, gzipped or not; they are at {URL}, their home page is "
    "http://yann.lecun.com/exdb/mnist/; or use MNIST(..., download=True)."
)


class MNIST(ArrayDataset):
    """Handwritten digits (LeCun, Cortes, Burges, 1998): sample i is (image uint8 [1, 28, 28], label int32).

    folder: where its four IDX files are, gzipped or not. train: the 60,000 for training, else the 10,000 for testing.
    transform: a function applied to each image. download: fetch what is missing. Raises DataFileError.

    >>> image, label = MNIST("data/mnist")[0]  # doctest: +SKIP
    """

    def __init__(self, folder, train=True, transform=None, download=False):
        images, labels = read_mnist(folder, train, download)
        super().__init__(images[:, None], labels.astype(np.int32), transform=transform)


def read_mnist(folder, train=True, download=False):
    """(images uint8 [N, 28, 28], labels uint8 [N]) of MNIST's training or test part; see MNIST."""
    folder = os.fspath(folder)
    if download:
        _download(folder)
    paths = [_find(folder, name) for name in PARTS]
    if missing := [name for name, path in zip(PARTS, paths) if path is None]:
        raise DataFileError(
            f"MNIST is not there: missing {', '.join(missing)}.", where=os.path.abspath(folder), fix=FIX
        )
    images_path, labels_path = paths[:2] if train else paths[2:]
    images, labels = read_idx(images_path, (None, 28, 28)), read_idx(labels_path, (None,))
    if len(images) != len(labels):
        raise _broken(labels_path, f"it has {len(labels)} labels for the {len(images)} images of {images_path}")
    if labels.max() > 9:
        raise _broken(labels_path, f"it has the label {labels.max()}, and digits end at 9")
    return images, labels


def read_idx(path, shape):
    """The bytes in an IDX file as a uint8 array of the given shape, in which None stands for any size but 0.

    IDX is: two bytes 0, a code of the dtype (8: unsigned byte), the number of axes, each size as a big-endian
    32-bit integer, the elements. The file may be gzipped. Raises DataFileError.

    >>> read_idx("train-labels-idx1-ubyte.gz", (None,)).shape  # doctest: +SKIP
    (60000,)
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


def _download(folder):
    """Fetches the parts that are not there."""
    for name in PARTS:
        if _find(folder, name) is None:
            download(URL + name + ".gz", os.path.join(folder, name + ".gz"), CHECKSUMS[name + ".gz"])


def _find(folder, name):
    """The path of a part of MNIST, which some sites name with '.idx3' and most with '-idx3'; None if it is not there."""
    for stem in (name, name.replace("-idx", ".idx")):
        for path in (os.path.join(folder, stem), os.path.join(folder, stem + ".gz")):
            if os.path.isfile(path):
                return path
    return None


def _broken(path, why):
    return DataFileError(f"This is not MNIST's file: {why}.", where=path, fix=FIX)
