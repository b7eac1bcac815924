"""Arrays in files, and what is asked of their shapes."""

import math
import operator
import warnings

import numpy as np

from ...core.dtype import dt
from ..convert import as_array
from .creation import asarray


def save(file, arr, allow_pickle=True):
    """Writes an array to a .npy file; see numpy.save."""
    np.save(file, np.asarray(arr), allow_pickle=allow_pickle)


def savez(file, *args, allow_pickle=True, **kwds):
    """Writes several arrays to a .npz file; see numpy.savez."""
    arrays = {name: np.asarray(x) for name, x in kwds.items()}
    np.savez(file, *map(np.asarray, args), allow_pickle=allow_pickle, **arrays)


def load(file, *args, **kwargs):
    """The array of a .npy file as an Array; of a .npz file what numpy.load gives."""
    found = np.load(file, *args, **kwargs)
    if not isinstance(found, np.ndarray):
        return found
    return asarray(found.view(dt.bfloat16) if found.dtype == "V2" else found)  # NumPy has no name for bfloat16


def _asked(x, name):
    """x, if it is an array or a number; NumPy's array of lists, which JAX will refuse some day."""
    if isinstance(x, (list, tuple)):
        warnings.warn(
            f"{name} requires ndarray or scalar arguments, got {type(x)}. In a future release this will be an error.",
            DeprecationWarning,
            stacklevel=3,
        )
        return np.asarray(x)
    return x if hasattr(x, "shape") and hasattr(x, "ndim") else as_array(x, name)


def shape(a):
    """The sizes of the axes of a."""
    return tuple(_asked(a, "shape").shape)


def ndim(a):
    """The number of axes of a."""
    return _asked(a, "ndim").ndim


def size(a, axis=None):
    """The number of elements of a, or its size along an axis or several."""
    sizes = tuple(_asked(a, "size").shape)
    if axis is None:
        return math.prod(sizes)
    axes = [operator.index(i) for i in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    for i in axes:
        if not -len(sizes) <= i < len(sizes):
            raise ValueError(f"axis {i} is out of bounds for array of dimension {len(sizes)}")
    if len({i % len(sizes) for i in axes}) < len(axes):
        raise ValueError(f"repeated axis: {axis}")
    return math.prod(sizes[i] for i in axes)


def iterable(y):
    """True if it can be iterated over: not for 0-d arrays."""
    return np.iterable(y)


__all__ = ["iterable", "load", "ndim", "save", "savez", "shape", "size"]
