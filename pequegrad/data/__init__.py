"""Data: datasets, the loader that makes batches of them, transforms of images, and readers of common files.

>>> from pequegrad.data import ArrayDataset, DataLoader
>>> import numpy as np
>>> loader = DataLoader(ArrayDataset(np.arange(6.0), np.arange(6)), batch_size=4)
>>> [x.shape for x, y in loader]
[(4,), (2,)]
"""

import importlib

# Names that are imported when they are first used, by module: worker processes then load only what they need.
_LATER = {
    "batches": "default_collate",
    "cifar": "CIFAR10 CIFAR100 read_cifar",
    "datasets": "ArrayDataset ConcatDataset Dataset Subset TensorDataset random_split",
    "downloads": "download",
    "images": "ImageFolder read_image",
    "loader": "DataLoader",
    "mnist": "MNIST read_idx",
    "randomness": "sample_generator",
    "text": "Bytes Characters TokenWindows read_text",
}
_MODULE_OF = {name: module for module, names in _LATER.items() for name in names.split()}
__all__ = [*_MODULE_OF, "transforms"]  # noqa: PLE0604  they are strings


def __getattr__(name):
    if name == "transforms":
        return importlib.import_module(f"{__name__}.transforms")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'pequegrad.data' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = found
    return found


def __dir__():
    return sorted({*globals(), *__all__})
