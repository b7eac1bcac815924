"""jax_numpy_rank_promotion: what happens where arrays of different ranks meet, none of them a scalar.

Only what users call is looked at: functions of the package are composed of arrays of all ranks.
"""

import functools
import sys
import warnings

import numpy as np

from .configuration import config

_PLACE = __name__.rpartition(".")[0]  # pequegrad.jax_api
_PACKAGE = _PLACE.partition(".")[0]
# where the arguments of functions of jax.numpy are prepared, on behalf of these
_BETWEEN = {
    f"{_PLACE}.numpy.promotion",
    f"{_PLACE}.numpy.ufunc",
    f"{_PLACE}.numpy.ufuncs",
    f"{_PLACE}.scipy.special.common",
}
_OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide", "mod": "remainder",
    "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift",
    "rshift": "right_shift", "divmod": "divmod", "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal",
    "gt": "greater", "ge": "greater_equal",
}  # fmt: skip


def _check(name, args, stacklevel):
    """The warning or error, if these arguments of the function `name` are arrays of different ranks."""
    shapes = [np.shape(x) for x in args]
    if len({len(shape) for shape in shapes if shape}) < 2:
        return
    shown = " ".join(map(str, shapes))
    if config.jax_numpy_rank_promotion == "raise":
        raise ValueError(
            f"Operands could not be broadcast together for {name} on shapes {shown} and with the config option "
            "jax_numpy_rank_promotion='raise'."
        )
    warnings.warn(
        f"Following NumPy automatic rank promotion for {name} on shapes {shown}. Set the jax_numpy_rank_promotion config "
        "option to 'allow' to disable this warning.",
        stacklevel=stacklevel + 1,
    )


def check_arguments(name, args):
    """_check for a function of jax.numpy which prepares its arguments, if a user called it."""
    depth = 1
    while _module(frame := sys._getframe(depth)) in _BETWEEN:
        depth += 1
    if not _module(frame.f_back).partition(".")[0] == _PACKAGE:
        _check(name, args, depth + 2)


def _module(frame):
    return frame.f_globals.get("__name__", "") if frame is not None else ""


def _checked(name, method):
    """The method of Array for an operator, with _check."""

    @functools.wraps(method)
    def operator(self, other):
        if _module(sys._getframe(1)).partition(".")[0] != _PACKAGE and hasattr(other, "shape"):
            _check(name, (self, other), 2)
        return method(self, other)

    return operator


_plain = {}  # the methods of Array, while others are in their place


def set_mode(cls, mode):
    """Gives the class Array operators that look at ranks, or back those that do not."""
    for key, method in _plain.items():
        setattr(cls, key, method)
    _plain.clear()
    if mode == "allow":
        return
    for operator, name in _OPERATORS.items():
        for key in (f"__{operator}__", f"__r{operator}__", f"__i{operator}__"):
            if key in vars(cls):
                _plain[key] = vars(cls)[key]
                setattr(cls, key, _checked(name, _plain[key]))


__all__ = ["check_arguments", "set_mode"]
