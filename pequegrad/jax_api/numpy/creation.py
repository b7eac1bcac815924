"""Arrays from data, shapes and numbers."""

import numpy as np

from ...core.tensor import Tensor
from ..convert import SCALARS, canonical, from_numpy, number


def array(object, dtype=None, copy=True, order="K", ndmin=0, *, device=None, out_sharding=None):
    """An Array of numbers, nested lists, arrays; see numpy.array."""
    if isinstance(object, Tensor):
        object = object.detach()
        return object if dtype is None else object.astype(canonical(dtype))
    if type(object) in SCALARS and dtype is None:
        return number(object)
    data = np.asarray(object)
    return from_numpy(data, device, dtype=None if dtype is None else canonical(dtype))


def asarray(a, dtype=None, order=None, *, copy=None, device=None, out_sharding=None):
    """As array, without a copy where none is needed."""
    return array(a, dtype)


__all__ = ["array", "asarray"]
