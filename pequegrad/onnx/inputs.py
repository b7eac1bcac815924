"""What a model is called with, as its file says it should be."""

import numpy as np

from ..core.errors import ArgumentError, ShapeError
from ..core.tensor import Tensor
from ..ops.arithmetic import isfinite
from ..ops.creation import as_tensor
from ..ops.reductions import any as any_
from .values import DTYPES, dtype_of, is_plain, is_readable, known, outside


def checked(value, expected, stays, floats=None):
    """An input as a value of the model: of the element type and shape that the file says.

    stays: a NumPy array remains one. floats: the dtype in place of the file's floating ones.
    """
    if value is None:
        return value
    weak = isinstance(value, (bool, int, float, list, tuple)) or (isinstance(value, Tensor) and value.weak_type)
    if isinstance(value, (list, tuple)):
        if expected is None or expected.element_type is None or not is_plain(value):
            return list(value)  # a sequence
        try:
            value = np.array(value)
        except ValueError:
            raise ShapeError(f"Input {expected.name!r} is a list whose rows differ in length.") from None
    if isinstance(value, np.ndarray) and value.dtype.kind in "OUS":
        value = np.asarray(value, object)
    elif stays and isinstance(value, (np.ndarray, np.generic, int, float)):
        value = np.asarray(value)
    else:
        value = as_tensor(value)
    if expected is None:
        return value
    if expected.element_type in DTYPES and value.dtype.kind not in "OUS":
        dtype = dtype_of(expected.element_type)
        if floats is not None and _kind(dtype) == "f" and isinstance(value, Tensor):
            dtype = floats
        value = _cast(value, dtype, weak, expected.name)
    if expected.shape is not None:
        fits = len(expected.shape) == value.ndim and all(
            not isinstance(n, int) or n == m for n, m in zip(expected.shape, value.shape)
        )
        if not fits:
            raise ShapeError(
                f"Input {expected.name!r} has shape {list(value.shape)}, the model takes {list(expected.shape)}."
            )
    return value


_ORDER = "biufc"  # kinds of dtypes: Python's numbers become what is not before them


def _kind(dtype):
    return "f" if dtype.name == "bfloat16" else dtype.kind


def _cast(value, dtype, weak, name):
    """An input, array or Tensor, in the model's dtype; ArgumentError if that is of another kind, or cannot hold its values."""
    if value.dtype == dtype:
        return value
    old, new = _kind(value.dtype), _kind(dtype)
    wrong = None
    if old != new and not (weak and _ORDER.index(old) <= _ORDER.index(new)):
        wrong = f"is {value.dtype.name}"
    elif old in "iu" and new in "iu":
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        own = np.iinfo(value.dtype)
        if (own.min < least or own.max > most) and value.size:
            if is_readable(value):
                array = known(value, f"Input {name!r}")
                if int(array.min()) < least or int(array.max()) > most:
                    wrong = f"has values from {array.min()} to {array.max()}"
            elif not weak:
                wrong = f"is {value.dtype.name}, and has no values yet that could be seen to fit"
    elif new == "f" and value.dtype.itemsize >= dtype.itemsize and is_readable(value):
        with outside():
            wide = as_tensor(value).astype("float64")
            if bool(any_(isfinite(wide) & ~isfinite(wide.astype(dtype))).numpy()):
                wrong = "has finite values that are none there"
    if wrong:
        raise ArgumentError(f"Input {name!r} {wrong}, the model takes {dtype.name}.", fix=f"x.astype({dtype.name!r}).")
    return value.astype(dtype)
