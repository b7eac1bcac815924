"""What a model is called with, as its file says it should be."""

import numpy as np

from ..core.errors import ArgumentError, DtypeError, ShapeError
from ..core.tensor import Tensor
from ..ops.arithmetic import isfinite
from ..ops.creation import as_tensor
from ..ops.reductions import any as any_
from ..ops.shape import stack
from .values import DTYPES, STRING, dtype_of, is_plain, is_readable, is_text, known, outside


def checked(value, expected, stays, floats=None):
    """An input as a value of the model: of the element type and shape that the file says.

    stays: a NumPy array remains one. floats: the dtype in place of the file's floating ones.
    """
    wants_tensor = expected is not None and expected.element_type is not None
    if value is None and not wants_tensor:
        return value  # an optional
    if isinstance(value, (list, tuple)) and not wants_tensor:
        return list(value)  # a sequence
    weak = isinstance(value, (bool, int, float, list, tuple)) or (isinstance(value, Tensor) and value.weak_type)
    if wants_tensor and is_text(value) != (expected.element_type == STRING) and not isinstance(value, Tensor):
        raise _misfit(value, expected)
    try:
        if isinstance(value, (list, tuple)):
            value = np.array(value) if is_plain(value) or is_text(value) else _stacked(value)
        if isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind in "OUS"):
            value = np.asarray(value, object)
        elif stays and isinstance(value, (np.ndarray, np.generic, int, float)):
            value = np.asarray(value)
        else:
            value = as_tensor(value)
    except (DtypeError, ArgumentError, ShapeError, ValueError, TypeError):
        if expected is None:
            raise
        raise _misfit(value, expected) from None
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


def differing_sizes(inputs, given):
    """A text on two sizes of inputs that have one name in the file, but differ; None if there are none.

    Files are sloppy with such names, so this explains why a model cannot run: it is no error as long as it does.
    """
    seen = {}
    for v in inputs:
        for axis, (name, n) in enumerate(zip(v.shape or (), getattr(given.get(v.name), "shape", ()))):
            if isinstance(name, str):
                other, place, size = seen.setdefault(name, (v.name, axis, n))
                if size != n:
                    return (
                        f"Axis {place} of input {other!r} has size {size}, and axis {axis} of {v.name!r} has {n}: "
                        f"the model calls both {name!r}."
                    )
    return None


def _stacked(value):
    """A Tensor of a list in which there are Tensors: jit makes these of numbers."""
    return stack([_stacked(v) if isinstance(v, (list, tuple)) else as_tensor(v) for v in value])


def _misfit(value, expected):
    """The error for what no tensor of the input can be made of."""
    takes = f"the model takes {str(expected).removeprefix(f'{expected.name}: ')}"
    if isinstance(value, (list, tuple)) and (is_plain(value) or any(isinstance(v, (list, Tensor)) for v in value)):
        return ShapeError(
            f"Input {expected.name!r} is a list whose rows differ in length, or that is not of numbers; {takes}."
        )
    what = "None" if value is None else "text" if is_text(value) else f"of type {type(value).__name__}"
    return ArgumentError(
        f"Input {expected.name!r} is {what}, {takes}.", fix="give it a Tensor, an array, or a list of numbers."
    )


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
