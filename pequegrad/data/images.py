"""Folders of image files, read with Pillow."""

import os

import numpy as np

from ..core.errors import ArgumentError, DataFileError, MissingPackageError
from .datasets import Dataset

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_CHANNELS = {"RGB": 3, "L": 1, "RGBA": 4}


class ImageFolder(Dataset):
    """Images in folders that are named after their classes: sample i is (image uint8 [channels, height, width], label int).

    folder/cat/1.png, folder/dog/more/2.jpg ...: `classes` are the names of the folders, sorted, and a label is its place there; `paths`
    and `labels` list all files, sorted. Files are read when their samples are asked for, so that worker processes share the work.
    mode: "RGB", "L" (grey) or "RGBA". transform: a function applied to each image; a DataLoader needs one that gives all images the
    same size. Raises DataFileError, MissingPackageError without Pillow.

    >>> image, label = ImageFolder("photos", transform=Resize((64, 64)))[0]  # doctest: +SKIP
    """

    def __init__(self, folder, transform=None, mode="RGB"):
        _checked_mode(mode)
        folder = os.fspath(folder)
        if not os.path.isdir(folder):
            raise DataFileError("There is no such folder.", where=os.path.abspath(folder), fix="check the path.")
        self.transform, self.mode = transform, mode
        self.classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        self.paths, self.labels = [], []
        for label, name in enumerate(self.classes):
            found = _files(os.path.join(folder, name))
            self.paths += found
            self.labels += [label] * len(found)
        if not self.paths:
            raise DataFileError(
                "There are no images in folders of classes.",
                where=os.path.abspath(folder),
                fix=f"it should have a folder for each class, with {', '.join(EXTENSIONS)} files in it.",
            )

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        image = read_image(self.paths[index], self.mode)
        return image if self.transform is None else self.transform(image), self.labels[index]


def read_image(path, mode="RGB"):
    """An image file as uint8 [channels, height, width]; mode: "RGB", "L" (grey) or "RGBA".

    Raises DataFileError if it is missing, damaged, or no image.

    >>> read_image("photo.jpg").shape  # doctest: +SKIP
    (3, 480, 640)
    """
    _checked_mode(mode)
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise MissingPackageError("Reading image files needs the package Pillow.", fix="pip install pillow.") from None
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert(mode))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow's readers raise
        raise DataFileError(
            f"The image cannot be read: {error}.", where=os.fspath(path), fix="replace or remove the file."
        ) from None
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _checked_mode(mode):
    if mode not in _CHANNELS:
        raise ArgumentError(f"mode={mode!r} is none of {', '.join(_CHANNELS)}.")


def _files(folder):
    """All image files below, sorted."""
    return sorted(
        os.path.join(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(EXTENSIONS)
    )
