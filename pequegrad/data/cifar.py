"""CIFAR-10 and CIFAR-100 in their binary version, which needs no pickle."""

import os
import tarfile
import zlib

import numpy as np

from ..core.errors import DataFileError
from .datasets import ArrayDataset
from .downloads import download

URL = "https://www.cs.toronto.edu/~kriz/"
_PIXELS = 3 * 32 * 32


class _Kind:
    """Where one of the two has its files, and how many bytes of labels stand before each image."""

    def __init__(self, classes, archive, sha256, folder, train, test, labels, names):
        self.classes, self.archive, self.sha256, self.folder = classes, archive, sha256, folder
        self.train, self.test, self.labels, self.names = train, test, labels, names


_CIFAR10 = _Kind(
    classes=(10,),
    archive="cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    folder="cifar-10-batches-bin",
    train=[f"data_batch_{i}.bin" for i in range(1, 6)],
    test=["test_batch.bin"],
    labels=1,
    names=("batches.meta.txt",),
)
_CIFAR100 = _Kind(
    classes=(20, 100),
    archive="cifar-100-binary.tar.gz",
    sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    folder="cifar-100-binary",
    train=["train.bin"],
    test=["test.bin"],
    labels=2,
    names=("coarse_label_names.txt", "fine_label_names.txt"),
)


class _Cifar(ArrayDataset):
    kind, column = _CIFAR10, 0

    def __init__(self, folder, train=True, transform=None, download=False):
        folder = _located(self.kind, folder, download)
        read = [
            read_cifar(os.path.join(folder, name), self.kind.classes)
            for name in (self.kind.train if train else self.kind.test)
        ]
        images, labels = (np.concatenate(parts) for parts in zip(*read))
        super().__init__(images, labels[:, self.column].astype(np.int32), transform=transform)
        self.classes = _names(os.path.join(folder, self.kind.names[self.column]), self.kind.classes[self.column])


class CIFAR10(_Cifar):
    """Small photographs of 10 kinds of things (Krizhevsky, 2009): sample i is (image uint8 [3, 32, 32], label int32).

    folder: where cifar-10-binary.tar.gz was unpacked, or lies, in which case it is unpacked. train: the 50,000 for training,
    else the 10,000 for testing. transform: a function applied to each image. download: fetch the archive if it is not there.
    `classes` are the names of the labels. Raises DataFileError.

    >>> image, label = CIFAR10("data")[0]  # doctest: +SKIP
    """


class CIFAR100(_Cifar):
    """As CIFAR10, of 100 kinds of things: sample i is (image uint8 [3, 32, 32], label int32), from cifar-100-binary.tar.gz.

    coarse: labels are the 20 groups of classes instead.

    >>> image, label = CIFAR100("data", coarse=True)[0]  # doctest: +SKIP
    """

    kind, column = _CIFAR100, 1

    def __init__(self, folder, train=True, transform=None, download=False, coarse=False):
        self.column = 0 if coarse else 1
        super().__init__(folder, train, transform, download)


def read_cifar(path, classes=(10,)):
    """(images uint8 [N, 3, 32, 32], labels uint8 [N, len(classes)]) of one binary file.

    The file is one record after another: a byte for each kind of label (CIFAR-10: one; CIFAR-100: coarse and fine, classes=(20, 100)),
    then 3,072 bytes of pixels, by channel and row. Raises DataFileError if it is not that.

    >>> images, labels = read_cifar("cifar-10-batches-bin/test_batch.bin")  # doctest: +SKIP
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataFileError(f"The file cannot be read: {error.strerror}.", where=path, fix=_fix_of(classes)) from None
    size = len(classes) + _PIXELS
    if not data.size or data.size % size:
        raise DataFileError(
            f"This is no file of CIFAR images: its {data.size:,} bytes are no multiple of {size:,}.",
            where=path,
            fix=_fix_of(classes),
        )
    records = data.reshape(-1, size)
    labels = records[:, : len(classes)]
    if np.any(labels >= np.array(classes)):
        raise DataFileError(
            f"This is no file of CIFAR images: it has labels up to {labels.max(0).tolist()}, of {list(classes)} classes.",
            where=path,
            fix=_fix_of(classes),
        )
    return records[:, len(classes) :].reshape(-1, 3, 32, 32), labels


def _fix_of(classes):
    kind = _CIFAR10 if len(classes) == 1 else _CIFAR100
    return f"get {URL}{kind.archive} (the binary version) and unpack it again."


def _located(kind, folder, fetch):
    """The folder with the .bin files: `folder` itself, or the one that its archive is unpacked to."""
    folder = os.fspath(folder)
    archive, inner = os.path.join(folder, kind.archive), os.path.join(folder, kind.folder)
    wanted = [*kind.train, *kind.test]
    for place in (folder, inner):
        if all(os.path.isfile(os.path.join(place, name)) for name in wanted):
            return place
    if fetch:
        download(URL + kind.archive, archive, kind.sha256)
    if not os.path.isfile(archive):
        raise DataFileError(
            f"{kind.archive.split('-binary')[0].upper()} is not there.",
            where=os.path.abspath(folder),
            fix=f"get {URL}{kind.archive} and put it, or what is in it, there; or pass download=True.",
        )
    _unpack(archive, inner, [*wanted, *kind.names])
    return inner


def _unpack(archive, folder, names):
    """Writes the files with these names, and nothing else, from an archive into `folder`."""
    from ..core.files import write_atomically

    try:
        with tarfile.open(archive, "r:gz") as packed:
            found = {os.path.basename(member.name): member for member in packed if member.isfile()}
            if missing := [name for name in names if name not in found]:
                raise DataFileError(f"The archive lacks {', '.join(missing)}.", where=archive, fix="get it again.")
            for name in names:
                write_atomically(os.path.join(folder, name), packed.extractfile(found[name]).read())
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(f"The archive cannot be unpacked: {error}.", where=archive, fix="get it again.") from None


def _names(path, count):
    """The names of the classes, or their numbers if the file is not there."""
    if not os.path.isfile(path):
        return [str(i) for i in range(count)]
    with open(path, encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip()][:count]
