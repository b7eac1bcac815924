"""Tensor: a handle on a node of the lazy graph.

Its methods and operators come from pequegrad.ops (see ops/methods.py); here is only what a handle is,
how values get in and out, and what happens to history.
"""

import numpy as np

from ..runtime import library
from . import dtype as dtypes
from .device import device as devices
from .errors import DtypeError, OutOfMemoryError, ShapeError
from .evaluate import evaluate, no_value
from .node import ARRAY, TRACKED, Node, leaf, make_aval, numbers, state

_new = object.__new__


class Tensor:
    """An n-dimensional array whose value is computed when it is needed.

    Tensor(data, dtype=None, device=device.cpu): `data` is copied. Python numbers and lists of them become
    float32 (booleans: bool; complex numbers: complex64), NumPy arrays and scalars keep their dtype; of a Tensor the value is taken, without its
    history. A Tensor is tracked: what is computed from it keeps its history for `grads`, except under `no_grad()`.

    >>> t = Tensor([1, 2, 3]) + 1
    >>> t.shape, t.dtype
    ((3,), dtype('float32'))
    >>> t.numpy()
    array([2., 3., 4.], dtype=float32)
    """

    __slots__ = ("_node", "_rebound", "__weakref__")
    __array_priority__ = 1000  # ndarray + Tensor is a Tensor; np.sin(tensor) is an ndarray

    def __init__(self, data, dtype=None, device=None):
        place = devices.cpu if device is None else devices(device)
        if isinstance(data, Tensor):
            self._node = _tracked_copy(data, dtype, device)
            return
        data = _to_numpy(data, None if dtype is None else dtypes.canonical(dtype))
        aval = make_aval(data.shape, data.dtype, place)
        self._node = leaf(library.array_from_host(data, place), aval, TRACKED)

    # ---- what is known without computing -----------------------------------------------------------

    @property
    def shape(self):
        """Sizes, a tuple of ints."""
        return self._node.aval.shape

    @property
    def dtype(self):
        """A NumPy dtype."""
        return self._node.aval.dtype

    @property
    def device(self):
        """The device that holds, or will hold, the value."""
        return self._node.aval.device

    @property
    def ndim(self):
        return self._node.aval.ndim

    @property
    def size(self):
        """Number of elements."""
        return self._node.aval.size

    @property
    def nbytes(self):
        """Bytes of the value, dense."""
        return self._node.aval.size * self._node.aval.dtype.itemsize

    @property
    def weak_type(self):
        """True if the dtype comes from a Python number and gives way to other dtypes in promotion."""
        return self._node.aval.weak_type

    @property
    def evaled(self):
        """True once the value has been computed."""
        return self._node.value is not None

    def __len__(self):
        if not self.shape:
            raise ShapeError("A 0-d tensor has no length.", fix="use .size, or float(x).")
        return self.shape[0]

    def __repr__(self):
        node = self._node
        text = (
            f"Tensor(shape={list(self.shape)}, dtype={self.dtype.name}, device={self.device}, "
            f"evaled={int(self.evaled)}, primitive={node.spec.primitive.title}, id={node.number}"
        )
        if type(node.value) is library.DonatedArray:
            text += ", donated"
        elif node.value is not None:
            value = library.array_to_host(node.value, node.aval)
            text += f", value={np.array2string(value, separator=', ', threshold=20, edgeitems=3)}"
        return text + ")"

    # ---- values ------------------------------------------------------------------------------------

    def eval(self):
        """Computes the value, drops the history, and returns this tensor."""
        evaluate((self._node,), drop_history=True, reader="eval()")
        return self

    def numpy(self):
        """The value as a new NumPy array. Keeps the history."""
        return self._read(".numpy()")

    def item(self):
        """The value of a tensor with one element as a Python number."""
        return self._scalar("item()").item()

    def tolist(self):
        """The value as nested lists of Python numbers."""
        return self._read("tolist()").tolist()

    def detach(self):
        """The same value without history."""
        return wrap(without_history(self, tracked=False))

    def _read(self, reader):
        node = self._node
        if node.value is None:
            evaluate((node,), reader=reader)
        elif node.frame is not None:
            raise no_value(node, reader)
        try:
            return library.array_to_host(node.value, node.aval)
        except MemoryError as error:
            raise OutOfMemoryError(
                f"No memory for a NumPy array of {self.nbytes:,} bytes.", fix="read a part of it, or reduce it first."
            ) from error

    def _scalar(self, reader):
        if self.size != 1:
            raise ShapeError(
                f"{reader} needs a tensor with one element, got shape {list(self.shape)}.",
                fix="reduce it, index it, or use .numpy().",
            )
        return self._read(reader).reshape(())

    def _real_scalar(self, reader):
        if dtypes.is_complex(self.dtype):
            raise DtypeError(f"{reader} of a complex tensor, {self._node.aval}.", fix="use complex(x), or take x.real.")
        return self._scalar(reader)

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("A Tensor cannot be viewed as a NumPy array without a copy.")
        value = self._read("np.asarray()")
        return value if dtype is None else value.astype(dtype, copy=False)

    def __float__(self):
        return float(self._real_scalar("float()"))

    def __complex__(self):
        return complex(self._scalar("complex()"))

    def __int__(self):
        return int(self._real_scalar("int()"))

    def __bool__(self):
        if self.size != 1:
            raise ShapeError(
                f"The truth value of a tensor of shape {list(self.shape)} is ambiguous.", fix="use x.any() or x.all()."
            )
        return bool(self._scalar("`if` (or bool())"))

    def __index__(self):
        if not dtypes.is_integer(self.dtype) or self.ndim:
            raise DtypeError(f"Only 0-d integer tensors can be used as an index, this is {self._node.aval}.")
        return int(self._scalar("use as an index"))

    def __format__(self, spec):
        if not spec:
            return repr(self)
        value = self._read("format()")
        return format(value.item() if self.size == 1 else value, spec)

    def __iter__(self):
        if not self.shape:
            raise ShapeError("A 0-d tensor cannot be iterated over.")
        return (self[i] for i in range(self.shape[0]))

    __hash__ = object.__hash__  # by identity, although == is elementwise

    # ---- handles -----------------------------------------------------------------------------------

    def _rebind(self, node):
        """Makes this handle stand for another node. Graphs built before keep the node they were built with.

        A tracked handle stays tracked: a value computed under no_grad() becomes a leaf of its own.
        """
        old, frame = self._node, state.frame
        if frame is not None and old.frame is not frame:
            frame.rebound.setdefault(self, (old, getattr(self, "_rebound", 0)))
        if old.flags & TRACKED and not node.flags & TRACKED:
            node = without_history(wrap(node), tracked=True)
        self._node = node
        self._rebound = node.number

    def __copy__(self):
        from ..primitives.control import identity

        return identity(self)

    def __deepcopy__(self, memo):
        copied = Tensor(self) if self._node.flags & TRACKED else self.detach()
        memo[id(self)] = copied
        return copied

    def __reduce__(self):
        return _from_numpy, (self.numpy(), self.dtype.name, str(self.device).lower(), bool(self._node.flags & TRACKED))


_array_class = Tensor


def set_array_class(cls):
    """jax_api says what handles on nodes with the flag ARRAY are."""
    global _array_class
    _array_class = cls


def class_of(flags):
    """What handles on a node with these flags are: Tensors, or Arrays of jax_api."""
    return _array_class if flags & ARRAY else Tensor


def wrap(node):
    """A new handle on `node`."""
    tensor = _new(_array_class if node.flags & ARRAY else Tensor)
    tensor._node = node
    return tensor


def tensors_of(values, specs, flags, cut):
    """New tensors that hold `values` (DeviceArrays); specs: of leaves (core.node.array). What jit returns, in one loop."""
    tensors, kind = [], class_of(flags)
    for value, spec, number in zip(values, specs, numbers):
        node = _new(Node)
        node.spec, node.aval, node.inputs = spec, spec.aval, ()
        node.value, node.number, node.flags = value, number, flags
        node.depth, node.cut = 0, cut
        node.frame = node.replacement = None
        tensor = _new(kind)
        tensor._node = node
        tensors.append(tensor)
    return tensors


def without_history(x, tracked):
    """A new node with the value of the tensor x: a leaf to grads(), tracked or not.

    Inside traced functions x is read there, so that the handle is captured, not its present value.
    """
    node = x._node
    if node.value is not None and node.frame is None and state.frame is None:
        return leaf(node.value, node.aval, (TRACKED if tracked else 0) | node.flags & ARRAY)
    from ..primitives.control import stop_gradient

    fresh = stop_gradient(x)._node
    fresh.flags = fresh.flags | TRACKED if tracked else fresh.flags & ~TRACKED
    return fresh


def _tracked_copy(x, dtype, device):
    if dtype is not None:
        x = x.astype(dtype)
    if device is not None:
        x = x.to(devices(device))
    return without_history(x, tracked=True)


def tensor_from_numpy(data, device, *, weak_type=False, tracked=False):
    """A leaf with a copy of the NumPy array `data`."""
    aval = make_aval(data.shape, data.dtype, device, weak_type)
    return wrap(leaf(library.array_from_host(data, device), aval, TRACKED if tracked else 0))


def _from_numpy(data, dtype, device, tracked):
    return tensor_from_numpy(data.astype(dtypes.canonical(dtype), copy=False), devices(device), tracked=tracked)


def _to_numpy(data, dtype):
    """`data` as a NumPy array of a dtype that tensors have."""
    if hasattr(data, "__array__"):
        found = np.asarray(data)
    else:
        try:
            found = np.asarray(data)
        except ValueError as error:
            raise ShapeError(
                f"The nested lists do not form an array: {error}.", fix="make all rows equally long."
            ) from None
        if found.dtype.kind in "iuf" or not found.size:
            return found.astype(dtype or np.float32)
        if found.dtype.kind == "c" and dtype is None:
            return found.astype(np.complex64)
    if found.dtype.kind == "c" and dtype is not None and dtype.kind != "c":
        raise DtypeError(
            f"Complex numbers do not fit dtype {dtype}.", fix="take a part: Tensor(data).real, or .astype(dtype)."
        )
    if found.dtype.kind not in "biufcV":
        raise DtypeError(
            f"Cannot make a Tensor from {type(data).__name__} of dtype {found.dtype}.",
            fix="convert it to numbers first.",
        )
    return found.astype(dtype or dtypes.canonical(found.dtype), copy=False)
