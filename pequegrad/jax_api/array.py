"""jax.Array: a Tensor with JAX's manners. It cannot be changed, its methods have the signatures of jax.numpy, it prints its values."""

import functools
import importlib

import numpy as np

from ..core.dtype import dt, key_dtype
from ..core.tensor import Tensor, set_array_class
from ..ops import arithmetic as a
from ..ops import indexing
from ..ops.methods import _GENERAL, _OPERATORS
from ..primitives import elementwise as p
from ..primitives.representation import bitcast_convert
from .convert import SCALARS, convertible, from_numpy


class Array(Tensor):
    """An n-dimensional array of JAX's interface. Made by jax.numpy's functions, not by calling this class."""

    __slots__ = ()
    __array_priority__ = 1100

    def __init__(self, *args, **kwargs):
        raise TypeError("Arrays are made by functions: jnp.array(data), jnp.zeros(shape) ...")

    # ---- how it looks ------------------------------------------------------------------------------------

    def __repr__(self):
        node = self._node
        weak = ", weak_type=True" if node.aval.weak_type else ""
        if node.value is None and node.frame is not None:
            return f"Traced<{node.frame.transform}>[{node.aval}{weak}]"
        if node.aval.dtype == key_dtype:
            return f"Array({node.aval.shape}, dtype={node.aval.dtype}) overlaying:\n{_words(self)}"
        value = self._read("repr()")
        text = np.array2string(value, separator=", ", prefix="Array(")
        if not value.size:
            text += f", shape={value.shape}"
        return f"Array({text}, dtype={node.aval.dtype.name}{weak})"

    def __str__(self):
        if self._node.value is None and self._node.frame is not None:
            return repr(self)
        return repr(self) if self.dtype == key_dtype else str(self._read("str()"))

    def __format__(self, spec):
        if self._node.value is None and self._node.frame is not None:
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

    def __deepcopy__(self, memo):
        memo[id(self)] = self
        return self

    def __copy__(self):
        return self

    def __reduce__(self):
        if self.dtype == key_dtype:
            return _unpickled_keys, (_words(self).numpy(),)
        return _unpickled, (self.numpy(), self.weak_type)


def _unpickled(data, weak_type):
    return from_numpy(data, weak_type=weak_type, dtype=data.dtype)


def _unpickled_keys(words):
    return bitcast_convert(from_numpy(words), dtype=key_dtype)


def _words(keys):
    return bitcast_convert(keys, dtype=dt.uint32)


set_array_class(Array)


# ---- operators ---------------------------------------------------------------------------------------


def _is_operand(x):
    return isinstance(x, (bool, int, float, complex, np.ndarray, np.generic, Tensor)) or hasattr(x, "__jax_array__")


def _canonical(general):
    """`general` for an Array and anything: other arrays come in by the rules of jax_api; lists are refused."""

    @functools.wraps(general)
    def function(self, other):
        return general(self, other if type(other) in SCALARS or isinstance(other, Tensor) else convertible(other))

    return function


def _method(general):
    def method(self, other):
        return general(self, other) if _is_operand(other) else NotImplemented

    return method


def _reflected(general):
    def method(self, other):
        if not _is_operand(other):
            return NotImplemented
        return general(other if type(other) in SCALARS or isinstance(other, Tensor) else convertible(other), self)

    return method


_PRIMITIVES = {
    "add": (p.add, a.add), "sub": (p.sub, a.subtract), "mul": (p.mul, a.multiply), "truediv": (p.div, a.divide),
    "and": (p.and_, a.bitwise_and), "or": (p.or_, a.bitwise_or), "xor": (p.xor, a.bitwise_xor),
    "eq": (p.eq, a.equal), "ne": (p.ne, a.not_equal), "lt": (p.lt, a.less), "le": (p.le, a.less_equal),
    "gt": (p.gt, a.greater), "ge": (p.ge, a.greater_equal),
}  # fmt: skip


def _install_operators():
    for name in {**_GENERAL, **_OPERATORS}:
        if name in _PRIMITIVES:
            primitive, general = _PRIMITIVES[name]
            fast = a.operator(primitive, _canonical(general), name == "truediv", Array)
            setattr(Array, f"__{name}__", fast)
        else:
            setattr(Array, f"__{name}__", _method(_canonical(_GENERAL[name])))
        if name in _GENERAL:
            setattr(Array, f"__r{name}__", _reflected(_GENERAL[name]))
    for name in ("add", "sub", "mul", "truediv"):  # x += y is x = x + y
        setattr(Array, f"__i{name}__", getattr(Array, f"__{name}__"))
    Array.__getitem__ = indexing.getitem


_install_operators()


# ---- methods -----------------------------------------------------------------------------------------

# those that are functions of jax.numpy with the same signature
_FUNCTIONS = """all any argmax argmin argpartition argsort choose clip compress conj conjugate copy cumprod cumsum diagonal dot
    max mean min nonzero prod ptp ravel repeat round searchsorted sort squeeze std sum swapaxes take trace var""".split()


def _from_numpy_namespace(name):
    def method(self, *args, **kwargs):
        function = getattr(importlib.import_module("pequegrad.jax_api.numpy"), name)
        setattr(Array, name, function)  # the next call finds the function itself
        return function(self, *args, **kwargs)

    method.__name__, method.__doc__ = name, f"jax.numpy.{name} of this array."
    return method


for _name in _FUNCTIONS:
    setattr(Array, _name, _from_numpy_namespace(_name))
