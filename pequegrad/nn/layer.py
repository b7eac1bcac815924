"""What layers share: their repr, their first values, checks of their sizes, and families made from functions."""

import inspect
import math

import numpy as np

from ..core.dtype import dt
from ..core.errors import ArgumentError
from ..core.tensor import Tensor
from ..ops import random
from ..ops.creation import as_tensor, full
from .module import StatefulModule, parameter


class Layer(StatefulModule):
    """A module whose attributes have the names of its constructor's arguments: repr shows those that are not defaults."""

    def __repr__(self):
        shown = []
        for name, argument in inspect.signature(type(self)).parameters.items():
            value = getattr(self, name, argument.default)
            if isinstance(argument.default, bool) and not isinstance(value, bool):
                value = value is not None  # `bias` is a tensor or None
            if argument.default is argument.empty:
                shown.append(_text(value))
            elif _text(value) != _text(argument.default):
                shown.append(f"{name}={_text(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _text(value):
    if isinstance(value, Tensor):
        return f"{value.dtype.name}{list(value.shape)}"
    if isinstance(value, tuple) and len(set(value)) == 1:  # (3, 3) was given as 3
        return repr(value[0])
    return getattr(value, "__name__", None) or repr(value)


# ---- sizes and first values ----------------------------------------------------------------------------


def check_sizes(name, **sizes):
    """Raises ArgumentError unless all sizes are ints of at least 1."""
    if not all(isinstance(n, (int, np.integer)) and n >= 1 for n in sizes.values()):
        given = ", ".join(f"{key}={value!r}" for key, value in sizes.items())
        raise ArgumentError(f"{name}({given}): sizes must be at least 1.")


def check_probability(name, p):
    """Raises ArgumentError unless 0 <= p < 1."""
    if not 0 <= p < 1:
        raise ArgumentError(f"{name}(p={p}): p must be in [0, 1).", fix="p is the probability of dropping an element.")


def uniform(shape, bound, dtype=None, device=None):
    """A parameter with values uniform in [-bound, bound)."""
    return parameter(random.rand(shape, dtype=dtype, device=device) * (2 * bound) - bound, dtype or dt.float32)


def normal(shape, std, dtype=None, device=None):
    """A parameter with normal values of mean 0."""
    return parameter(random.randn(shape, dtype=dtype, device=device) * std, dtype or dt.float32)


def constant(shape, value, dtype=None, device=None):
    """A parameter with `value` everywhere."""
    return parameter(full(shape, float(value), dtype or dt.float32, device), dtype or dt.float32)


def xavier_uniform(shape, fan_in, fan_out, dtype=None, device=None):
    """A parameter with values uniform within sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio, 2010)."""
    return uniform(shape, math.sqrt(6 / (fan_in + fan_out)), dtype, device)


# ---- families ------------------------------------------------------------------------------------------


class FunctionLayer(Layer):
    """A module that calls `function` with its inputs and with the options that it was made with."""

    function = None

    def __init__(self, *args, **kwargs):
        try:
            options = self.__signature__.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(f"{type(self).__name__}: {error}.") from None
        options.apply_defaults()
        refuse_inplace(type(self).__name__, options.arguments.pop("inplace", False))
        for name, value in options.arguments.items():
            if isinstance(value, (Tensor, np.ndarray)):
                self.register_buffer(name, as_tensor(value))
            else:
                setattr(self, name, value)

    def forward(self, *inputs):
        options = {name: getattr(self, name) for name in self.__signature__.parameters if name != "inplace"}
        return type(self).function(*inputs, **options)


def refuse_inplace(name, inplace):
    """Raises ArgumentError if it is true."""
    if inplace:
        raise ArgumentError(
            f"{name}: inplace=True is not possible: tensors do not change.",
            fix="leave it out; jit reuses memory where it can.",
        )


def modules_of(module, table):
    """Module classes from {name: (function, number of its inputs)}: the function's other arguments are the constructor's.

    A third entry True adds PyTorch's `inplace`, which must be False.
    """
    return {name: _function_layer(module, name, *entry) for name, entry in table.items()}


def _function_layer(module, name, function, inputs, inplace=False):
    options = list(inspect.signature(function).parameters.values())[inputs:]
    if inplace:
        options.append(inspect.Parameter("inplace", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=False))
    members = {
        "__module__": module,
        "__qualname__": name,
        "__doc__": function.__doc__,
        "__signature__": inspect.Signature(options),
        "function": staticmethod(function),
    }
    return type(name, (FunctionLayer,), members)
