"""What flows through a model: Tensors, known values (NumPy arrays), lists, None; and element types."""

import contextlib
import functools
import os
import threading

import numpy as np

from ..core import dtype as dtypes
from ..core.errors import ArgumentError, OutOfMemoryError
from ..core.node import state
from ..core.tensor import Tensor
from ..ops.creation import as_tensor
from ..transforms.tree import register_later

# TensorProto.DataType -> dtype; those that pequegrad has no tensors of are absent
DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64",
    12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
}  # fmt: skip
STRING = 8
NAMES = {
    0: "UNDEFINED", STRING: "STRING", 17: "FLOAT8E4M3FN", 18: "FLOAT8E4M3FNUZ", 19: "FLOAT8E5M2", 20: "FLOAT8E5M2FNUZ", 21: "UINT4", 22: "INT4",
    23: "FLOAT4E2M1", 24: "FLOAT8E8M0", 25: "UINT2", 26: "INT2",
}  # fmt: skip


def dtype_of(element_type):
    """The dtype of an ONNX element type; NotImplementedError for strings and what pequegrad has no tensors of."""
    if element_type not in DTYPES:
        raise NotImplementedError(
            f"ONNX element type {NAMES.get(element_type, element_type)} has no dtype in pequegrad."
        )
    return dtypes.canonical(DTYPES[element_type])


def element_type_of(dtype):
    """The ONNX element type of a dtype."""
    name = np.dtype(dtype).name
    return next(number for number, known in DTYPES.items() if known == name)


class DependsOnData(ArgumentError):
    """A value decides on shapes or on what is run, and is not known while the model is traced."""


def is_known(value):
    """True for what is a value now: NumPy arrays, numbers, strings, None, and lists of those."""
    if isinstance(value, (list, tuple)):
        return all(map(is_known, value))
    return not isinstance(value, Tensor)


def tensor(value, like=None):
    """A Tensor of a value that may be known."""
    if isinstance(value, Tensor):
        return value
    return as_tensor(value, None if like is None else like.device)


def is_readable(value):
    """False for a Tensor that is traced: it has no value yet."""
    return not isinstance(value, Tensor) or value._node.value is not None or value._node.frame is None


def is_strings(value):
    """True for an array of strings."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "OUS"


def is_text(value):
    """True for strings, arrays of them, and lists of such."""
    return isinstance(value, str) or is_strings(value) or (isinstance(value, list) and any(map(is_text, value)))


def known(value, what):
    """The NumPy array of a value; ArgumentError, which names `what`, if it is that of a traced Tensor."""
    if not isinstance(value, Tensor):
        return value if value is None or isinstance(value, list) else np.asarray(value)
    if not is_readable(value):
        raise DependsOnData(
            f"{what} depends on data: it is not known while the model is traced.",
            fix="run the model without jit, or make the sizes in it depend on shapes only.",
        )
    with outside():
        return value.numpy()


@contextlib.contextmanager
def outside():
    """While this is open, operations run at once and have no history, also while a function is traced."""
    saved = state.frame, state.open, state.flags_mask
    state.frame, state.open, state.flags_mask = None, state.gradient_frames, 0
    try:
        yield
    finally:
        state.frame, state.open, state.flags_mask = saved


@functools.cache
def machine_bytes():
    """The memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 1 << 40


class _Tracing(threading.local):
    of_sizes = None  # the OfSizes for which export traces


tracing = _Tracing()


class OfSizes:
    """While export traces for several sizes: which nodes give known values that are others for other sizes. `traced` ones give Tensors.

    So what a file makes of positions (Range, masks) is computed by the model that is written, too.
    """

    def __init__(self):
        self.traced, self.found = set(), []

    @contextlib.contextmanager
    def trace(self):
        """One trace of the function."""
        before, tracing.of_sizes = tracing.of_sizes, self
        self.found.append({})
        try:
            yield
        finally:
            tracing.of_sizes = before

    def note(self, node, values):
        """What a node gives: arrays by their shapes, a few floating numbers by their values."""
        few = lambda x: x.tobytes() if x.size <= 16 and x.dtype.kind not in "biuOUS" else None
        seen = [(x.shape, few(x)) if isinstance(x, np.ndarray) else None for x in values]
        self.found[-1].setdefault(node, []).append(seen)

    def more(self):
        """Whether there are nodes that give other values in other traces; they are traced from now on."""
        first, *others = self.found
        found = {node for node, seen in first.items() for other in others if other.get(node, seen) != seen}
        self.traced |= found
        self.found.clear()
        return bool(found)


def is_plain(value):
    """True for NumPy arrays, numbers, and lists and tuples of these."""
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return isinstance(value, (np.ndarray, np.generic, bool, int, float))


class Fixed:
    """A value that is a constant of compiled programs, and one key of theirs: equal to another one with the same contents."""

    def __init__(self, value):
        self.value = value.copy() if isinstance(value, np.ndarray) else value
        self.contents = _contents(value)

    def __eq__(self, other):
        return isinstance(other, Fixed) and self.contents == other.contents

    def __hash__(self):
        return hash(self.contents)

    def __repr__(self):
        return repr(self.value.tolist() if isinstance(self.value, np.ndarray) else self.value)


register_later(Fixed, lambda x: ((), x), lambda fixed, _: fixed.value)  # among results: what comes out is the value


def _contents(value):
    if isinstance(value, np.ndarray):
        data = tuple(value.ravel().tolist()) if value.dtype.kind in "OUS" else value.tobytes()
        return value.dtype.name, value.shape, data
    if isinstance(value, (list, tuple)):
        return type(value), tuple(map(_contents, value))
    return type(value), repr(value) if isinstance(
        value, float
    ) else value  # tells -0.0 and 0.0 apart, and knows nan again


def check_size(n, itemsize, what):
    """OutOfMemoryError for n elements that this machine cannot hold."""
    if n * itemsize > machine_bytes():
        raise OutOfMemoryError(
            f"{what} has {n:,} elements, {n * itemsize / 2**30:,.0f} GiB: this machine has {machine_bytes() / 2**30:,.0f} GiB.",
            fix="the model, or the values that decide on its shapes, may be wrong.",
        )


def check_sizes(values, what):
    """OutOfMemoryError if a Tensor among values (lists are looked through) is larger than the machine's memory."""
    for value in values:
        if isinstance(value, Tensor):
            check_size(value.size, value.dtype.itemsize, what)
        elif isinstance(value, (list, tuple)):
            check_sizes(value, what)


def as_known(value):
    """A value that is readable, with NumPy arrays for Tensors."""
    if isinstance(value, Tensor):
        return value.numpy()
    if isinstance(value, (list, tuple)):
        return type(value)(map(as_known, value))
    return value
