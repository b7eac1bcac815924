"""What is known of arrays without their values, and NumPy's files."""

import math

import numpy as np
from numpy import iterable, save, savez

from ...core import dtype as dtypes
from ..convert import as_array
from .arguments import axis_tuple
from .creation import asarray

__all__ = ["iterable", "load", "ndim", "save", "savez", "shape", "size"]


def shape(a):
    """The sizes of `a`, a tuple of ints."""
    return as_array(a, "shape").shape


def ndim(a):
    """The number of axes of `a`."""
    return as_array(a, "ndim").ndim


def size(a, axis=None):
    """The number of elements of `a`, or of its axis (or axes)."""
    a = as_array(a, "size")
    return a.size if axis is None else math.prod(a.shape[i] for i in axis_tuple(axis, a.ndim))


def load(file, *args, **kwargs):
    """What numpy.load reads, as an Array if it is one array; bfloat16 comes back as bfloat16."""
    found = np.load(file, *args, **kwargs)
    if not isinstance(found, np.ndarray):
        return found
    if found.dtype == np.dtype("V2"):  # how NumPy writes bfloat16
        found = found.view(dtypes.dt.bfloat16)
    return asarray(found)
