"""jax.Array: a Tensor with JAX's manners. It cannot be changed, its methods have the signatures of jax.numpy, it prints its values.

What is computed with Arrays is one (see convert.py), inside traced functions, too: there an Array stands for a value.
"""

import functools
import importlib

import numpy as np

from ..core.dtype import dt, is_inexact, key_dtype
from ..core.errors import ConcretizationTypeError, DtypeError, ShapeError, TracerArrayConversionError
from ..core.node import TRACKED, leaf, state
from ..core.tensor import Tensor, set_array_class
from ..ops import arithmetic as a
from ..ops.methods import _GENERAL, _OPERATORS
from ..ops.shape import reshape, transpose
from ..primitives import elementwise as p
from ..primitives.control import identity, stop_gradient, to_device
from ..primitives.representation import bitcast_convert
from ..primitives.representation import copy as copied
from ..runtime import library
from . import at
from .configuration import config
from .convert import SCALARS, convertible, from_numpy, number, place_of, requested


class Array(Tensor):
    """An n-dimensional array of JAX's interface. Made by jax.numpy's functions, not by calling this class."""

    __slots__ = ()
    __array_priority__ = 1100
    __hash__ = None  # == is elementwise

    def __init__(self, *args, **kwargs):
        raise TypeError("Arrays are made by functions: jnp.array(data), jnp.zeros(shape) ...")

    # ---- how it looks ------------------------------------------------------------------------------------

    def __repr__(self):
        node = self._node
        weak = ", weak_type=True" if node.aval.weak_type else ""
        if _is_traced(self):
            return f"Traced<{node.frame.transform}>[{node.aval}{weak}]"
        if self.is_deleted():
            return f"<deleted Array {node.aval}>"
        if node.aval.dtype == key_dtype:
            return f"Array({node.aval.shape}, dtype={node.aval.dtype}) overlaying:\n{_words(self)}"
        value = self._read("repr()")
        text = np.array2string(value, separator=", ", prefix="Array(")
        if not value.size:
            text += f", shape={value.shape}"
        return f"Array({text}, dtype={node.aval.dtype.name}{weak})"

    def __str__(self):
        if _is_traced(self) or self.is_deleted() or self.dtype == key_dtype:
            return repr(self)
        return str(self._read("str()"))

    def __format__(self, spec):
        if _is_traced(self):
            return format(str(self), spec)
        if self.dtype == key_dtype:
            return format(str(self), spec)
        value = self._read("format()")
        return format(value[()] if value.ndim == 0 else value, spec)

    def _read(self, reader):
        if self.dtype == key_dtype:
            raise TypeError(
                f"{reader}: random keys are no numbers. Use jax.random.key_data(key) for the words of which they are made."
            )
        return super()._read(reader)

    # ---- what it refuses ---------------------------------------------------------------------------------

    def __setitem__(self, index, value):
        raise TypeError(
            "JAX arrays are immutable and do not support in-place item assignment. Instead of x[idx] = y, use "
            "x = x.at[idx].set(y)."
        )

    @property
    def flat(self):
        raise NotImplementedError("JAX Arrays do not implement the arr.flat property: consider arr.flatten() instead.")

    # ---- as Python's and NumPy's values ------------------------------------------------------------------

    def __array__(self, dtype=None, context=None, copy=None):
        """A NumPy array on the same memory, which is read-only; a copy if `copy` or another dtype asks for one."""
        self._refuse_if_differentiated("np.asarray()", TracerArrayConversionError)
        self._computed("np.asarray()")
        on_host = self.device.kind == "cpu" and self.dtype != key_dtype
        view = library.view_of(self._node.value, self._node.aval) if on_host else self._read("np.asarray()")
        return np.array(view, dtype, copy=copy)

    def _computed(self, reader):
        if self._node.value is None or self._node.frame is not None:
            self._read(reader)

    def _refuse_if_differentiated(self, reader, error=ConcretizationTypeError):
        """An error where the value would go on as a constant, and its derivative be lost."""
        if is_differentiated(self):
            raise error(
                f"{reader} of {self._node.aval}, which is being differentiated: what is computed from it in Python or NumPy has no derivative.",
                fix="use functions of jax.numpy; stop_gradient(x), or x.item(), if a constant is meant.",
            )

    def _scalar_of(self, kind):
        if kind is not int:
            self._refuse_if_differentiated(f"{kind.__name__}()")
        if self.ndim:
            raise DtypeError(f"Only scalar arrays can be converted to Python scalars; got arr.ndim={self.ndim}.")
        return kind(self._read(f"{kind.__name__}()").item())

    def __float__(self):
        return self._scalar_of(float)

    def __int__(self):
        return self._scalar_of(int)

    def __complex__(self):
        return self._scalar_of(complex)

    def __len__(self):
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return map(functools.partial(at.getitem, self), range(self.shape[0]))

    def __contains__(self, value):
        if self.ndim != 1:
            raise ValueError(f"Array.__contains__: search array must be one-dimensional, got arr.shape={self.shape}.")
        return bool((self == value).any())

    def __round__(self, ndigits=None):
        if ndigits is not None:
            return self.round(ndigits)
        from ..core.dtype import default_int, is_inexact

        return a.astype(a.round(self), default_int()) if is_inexact(self.dtype) else self

    def item(self, *args):
        """The element at this position (an index of the flattened array, or one for each axis) as a Python number."""
        if self.size != 1 and not args:
            raise ShapeError("can only convert an array of size 1 to a Python scalar")
        return self._read("item()").item(*args)

    def tolist(self):
        """The elements as nested lists of Python numbers; of a scalar its number."""
        self._refuse_if_differentiated("tolist()")
        return self._read("tolist()").tolist()

    def tobytes(self, order="C"):
        """The elements' bytes, dense."""
        return self._read("tobytes()").tobytes(order)

    # ---- what is known of it -----------------------------------------------------------------------------

    @property
    def itemsize(self):
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def _trace(self):
        """What equinox asks of an Array that is differentiated."""
        from .core import trace

        return trace

    @property
    def aval(self):
        """Shape, dtype and weak type as an object of their own."""
        from .shaped import ShapedArray

        return ShapedArray(self.shape, self.dtype, self.weak_type)

    @property
    def at(self):
        """x.at[index].set(value), .add, .get ...: a changed copy of x; see at.IndexedAt."""
        return at.At(self)

    @property
    def sharding(self):
        """Where it lies: always on one device."""
        from .shaped import SingleDeviceSharding

        return SingleDeviceSharding(self.device)

    committed = property(lambda self: False, doc="False: operations with arrays of other devices are refused anyway.")
    is_fully_addressable = property(lambda self: True, doc="True: there is one process.")
    is_fully_replicated = property(lambda self: True, doc="True: there is one device.")

    @property
    def addressable_shards(self):
        """The one part that it consists of."""
        from .shaped import Shard

        return [Shard(self.device, (slice(None),) * self.ndim, 0, self)]

    global_shards = addressable_shards

    def addressable_data(self, index):
        """Its part number `index`: itself."""
        return self.addressable_shards[index].data

    def devices(self):
        """The set of devices on which it lies: one."""
        return {self.device}

    def platform(self):
        """ "cpu" or "cuda"."""
        return self.device.kind

    def on_device_size_in_bytes(self):
        """Bytes of the value."""
        return self.nbytes

    def unsafe_buffer_pointer(self):
        """The address of the first element."""
        self._computed("unsafe_buffer_pointer()")
        info = library.ffi.new("pg_array_info *")
        library.lib.pg_array_describe(self._node.value.pointer, info)
        return info.data

    # ---- when it is there --------------------------------------------------------------------------------

    def block_until_ready(self):
        """This array, computed."""
        if not _is_traced(self):
            self._compute("block_until_ready()")
        return self

    def _compute(self, reader):
        if self._node.value is None:
            from ..core.evaluate import evaluate

            evaluate((self._node,), reader=reader)

    def copy_to_host_async(self):
        """Computes it: the value is at hand when it is read."""
        self._compute("copy_to_host_async()")

    def is_ready(self):
        """True, after computing it."""
        self._compute("is_ready()")
        return True

    def delete(self):
        """Lets go of the value: reading it through this handle raises RuntimeError from now on."""
        self._node = leaf(library.DonatedArray("delete()"), self._node.aval, self._node.flags)

    def is_deleted(self):
        """True if it was deleted, or donated to a jitted function."""
        return type(self._node.value) is library.DonatedArray

    # ---- copies ------------------------------------------------------------------------------------------

    def copy(self):
        """An array of its own with the same value."""
        return identity(self) if state.frame is not None or self._node.flags & TRACKED else copied(self)

    clone = copy

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        memo[id(self)] = copied = self.copy()
        return copied

    def __reduce__(self):
        if self.dtype == key_dtype:
            return _unpickled_keys, (_words(self).numpy(),)
        return _unpickled, (self.numpy(), self.weak_type)

    # ---- other forms -------------------------------------------------------------------------------------

    def astype(self, dtype, copy=False, device=None):
        """The elements as another dtype; of complex numbers the real part."""
        from .numpy.data_types import astype

        return astype(self, dtype, copy=copy, device=device)

    def view(self, dtype=None, type=None):
        """The bits as another dtype: of another size, the last axis grows or shrinks."""
        if type is not None:
            raise NotImplementedError("`type` argument of array.view() is not supported.")
        return self if dtype is None else _viewed(self, requested(dtype, "view"))

    def byteswap(self):
        """The bytes of each element in reverse order."""
        if self.itemsize == 1 or not self.size:
            return self
        parts = 2 if self.dtype.kind == "c" else 1
        raw = reshape(_viewed(reshape(self, (-1,)), np.dtype("uint8")), (-1, self.itemsize // parts))
        return reshape(_viewed(reshape(raw[:, ::-1], (-1,)), self.dtype), self.shape)

    def reshape(self, *args, order="C", out_sharding=None):
        """The elements in another shape, given as sizes or as one sequence of them; one size may be -1."""
        shape = args[0] if len(args) == 1 else args
        if order == "C":
            return reshape(self, shape)
        return _namespace().reshape(self, shape, order)

    def flatten(self, order="C", *, out_sharding=None):
        """The elements in one axis."""
        return self.reshape(-1, order=order)

    def ravel(self, order="C", *, out_sharding=None):
        """The elements in one axis."""
        return self.reshape(-1, order=order)

    def transpose(self, *args):
        """The axes in another order, given as numbers or as one sequence of them; without, reversed."""
        axes = args[0] if len(args) == 1 else args or None
        return transpose(self) if axes is None else transpose(self, *np.atleast_1d(axes).tolist())

    def compress(self, condition, axis=None, *, out=None, size=None, fill_value=0):
        """The parts along `axis` where `condition` is true; see jax.numpy.compress."""
        return _namespace().compress(condition, self, axis, size=size, fill_value=fill_value, out=out)

    def to_device(self, device, *, stream=None):
        """It on another device (a Device or a Sharding)."""
        return to_device(self, place_of(device))

    # ---- protocols ---------------------------------------------------------------------------------------

    def __array_namespace__(self, *, api_version=None):
        """jax.numpy, which follows the Array API standard."""
        if api_version not in (None, "2024.12"):
            raise ValueError(f"{api_version=} is not available; available versions are: ['2024.12']")
        return _namespace()

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        """A capsule with its memory for numpy.from_dlpack, torch.from_dlpack ...; who takes it must not write to it."""
        from .dlpack import exported

        return exported(self, max_version, dl_device, copy)

    def __dlpack_device__(self):
        """(kind of device, its number) as DLPack counts: 1 is the CPU, 2 is CUDA."""
        return (1 if self.device.kind == "cpu" else 2), self.device.index


def is_differentiated(x):
    """True for a value, known as it is, that a function which is being differentiated computes from its arguments."""
    if not state.differentiated or not is_inexact(x.dtype):
        return False
    arguments, seen, stack = frozenset().union(*state.differentiated), set(), [x._node]
    while stack:
        node = stack.pop()
        if node in arguments:
            return True
        if node.flags & TRACKED and node not in seen and node.spec.primitive is not stop_gradient:
            seen.add(node)
            stack.extend(node.inputs)
    return False


def _is_traced(x):
    """True for what has no value: it stands for one in a traced function."""
    return x._node.value is None and x._node.frame is not None


def _unpickled(data, weak_type):
    return from_numpy(data, weak_type=weak_type, dtype=data.dtype)


def _viewed(x, dtype):
    """The bits of x as another dtype, of which the last axis has more or fewer."""
    if dtype == x.dtype:
        return x
    if x.dtype.kind == "b":
        return _viewed(a.astype(x, np.dtype("uint8")), dtype)
    if dtype.kind == "b":
        return p.ne(_viewed(x, np.dtype("uint8")), 0)
    old, new = x.itemsize, dtype.itemsize
    if old == new:
        return bitcast_convert(x, dtype=dtype)
    if not x.ndim:
        raise ShapeError("Changing the dtype of a 0d array is only supported if the itemsize is unchanged.")
    if x.shape[-1] * old % new:
        raise ShapeError(
            "When changing to a larger dtype, its size must be a divisor of the total size in bytes of the last axis of the "
            f"array: {x._node.aval} as {dtype}."
        )
    shape = (*x.shape[:-1], x.shape[-1] * old // new)
    if old < new:
        x = reshape(x, (*shape, new // old))
    return reshape(bitcast_convert(x, dtype=dtype), shape)


def _unpickled_keys(words):
    return bitcast_convert(from_numpy(words), dtype=key_dtype)


def _words(keys):
    return bitcast_convert(keys, dtype=dt.uint32)


set_array_class(Array)


# ---- operators ---------------------------------------------------------------------------------------


def _other(self, x, name):
    """What an operator of an Array takes as its other operand; NotImplemented for what it leaves to that one."""
    if type(x) is int and self._node.aval.dtype.kind in "iu":
        return _wrapped(x, self._node.aval.dtype)
    if type(x) in SCALARS or isinstance(x, Tensor):
        return x
    if isinstance(x, (list, tuple, set, dict)):
        raise TypeError(f"unsupported operand type(s) for {name}: 'Array' and {type(x).__name__!r}")
    if isinstance(x, (*SCALARS, np.ndarray, np.generic)) or hasattr(x, "__jax_array__"):
        return NotImplemented if (found := convertible(x)) is None else found
    return NotImplemented


def _wrapped(x, dtype):
    """The int x as the dtype of an Array that it meets takes it: modulo its range."""
    bits = 8 * dtype.itemsize
    low = 0 if dtype.kind == "u" else -1 << bits - 1
    if low <= x < low + (1 << bits):
        return x
    number(x)  # OverflowError if it fits no Array
    return (x - low) % (1 << bits) + low


def _forward(name, general):
    @functools.wraps(general)
    def method(self, other):
        other = _other(self, other, name)
        return NotImplemented if other is NotImplemented else general(self, other)

    return method


def _reflected(name, general):
    @functools.wraps(general)
    def method(self, other):
        other = _other(self, other, name)
        return NotImplemented if other is NotImplemented else general(other, self)

    return method


def _public(name):
    """The function of jax.numpy, which differs from that of `ops`: it orders complex numbers, refuses bool ..."""
    return lambda x, y: getattr(_namespace(), name)(x, y)


_PRIMITIVES = {
    "add": (p.add, a.add), "sub": (p.sub, _public("subtract")), "mul": (p.mul, a.multiply), "truediv": (p.div, a.divide),
    "and": (p.and_, a.bitwise_and), "or": (p.or_, a.bitwise_or), "xor": (p.xor, a.bitwise_xor),
    "eq": (p.eq, a.equal), "ne": (p.ne, a.not_equal), "lt": (p.lt, _public("less")), "le": (p.le, _public("less_equal")),
    "gt": (p.gt, _public("greater")), "ge": (p.ge, _public("greater_equal")),
}  # fmt: skip
_KINDS = {"truediv": "fcV", "sub": "iufcV"}  # of which dtypes (V: bfloat16) the primitive is the operator


def _install_operators():
    for name in {**_GENERAL, **_OPERATORS, "divmod": a.divmod}:
        general = a.divmod if name == "divmod" else _GENERAL.get(name)
        if name in _PRIMITIVES:
            primitive, general = _PRIMITIVES[name]
            fast = a.operator(primitive, _forward(name, general), _KINDS.get(name), Array, accepts=lambda other: True)
            setattr(Array, f"__{name}__", fast)
        else:
            setattr(Array, f"__{name}__", _forward(name, general))
        if name in _GENERAL or name == "divmod":
            setattr(Array, f"__r{name}__", _reflected(name, general))
    for name in ("add", "sub", "mul", "truediv"):  # x += y is x = x + y
        setattr(Array, f"__i{name}__", getattr(Array, f"__{name}__"))
    Array.__getitem__ = at.getitem


_install_operators()


def _look_at_ranks(mode):
    """jax_numpy_rank_promotion: other operators, so that those which do not look at it lose no time."""
    from .rank_promotion import set_mode

    set_mode(Array, mode)


config.on_change("jax_numpy_rank_promotion", _look_at_ranks)
if config.jax_numpy_rank_promotion != "allow":
    _look_at_ranks(config.jax_numpy_rank_promotion)


# ---- methods that are functions of jax.numpy ---------------------------------------------------------


def _namespace():
    return importlib.import_module("pequegrad.jax_api.numpy")


class _Function:
    """The method that the function of jax.numpy with this name is; it takes this place when it is first asked for."""

    def __init__(self, name):
        self.name = name

    def __get__(self, instance, owner):
        function = getattr(_namespace(), self.name)
        setattr(Array, self.name, function)
        return function if instance is None else function.__get__(instance, owner)


for (
    _name
) in """all any argmax argmin argpartition argsort choose clip conj conjugate cumprod cumsum diagonal dot max mean min
        nonzero prod ptp repeat round searchsorted sort squeeze std sum swapaxes take trace var""".split():
    setattr(Array, _name, _Function(_name))

__all__ = ["Array"]
