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
# where the arguments of functions are prepared, on behalf of these
_BETWEEN = (f"{_PLACE}.numpy.promotion", f"{_PLACE}.scipy.special.common")
_FREE = ("gcd", "heaviside", "interp", "polyval")  # of which JAX does not look at ranks
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
    if name not in _FREE and not _is_ours(frame.f_back):
        _check(name, args, depth + 2)


def _module(frame):
    return frame.f_globals.get("__name__", "") if frame is not None else ""


def _is_ours(frame):
    return _module(frame).partition(".")[0] == _PACKAGE


def _checked(name, method):
    """The method of Array for an operator, with _check."""

    @functools.wraps(method)
    def operator(self, other):
        if not _is_ours(sys._getframe(1)) and hasattr(other, "shape"):
            _check(name, (self, other), 2)
        return method(self, other)

    return operator


def _checked_call(call):
    """The call of a ufunc, with _check."""

    @functools.wraps(call)
    def checked(self, *args, **kwargs):
        if not _is_ours(sys._getframe(1)):
            _check(self.__name__, args, 2)
        return call(self, *args, **kwargs)

    return checked


_plain = []  # (class, name, method) of those in whose place others are


def set_mode(array_class, mode):
    """Gives operators and ufuncs that look at ranks, or back those that do not, which lose no time."""
    from .numpy.ufunc import ufunc

    while _plain:
        setattr(*_plain.pop())
    if mode == "allow":
        return
    replaced = [(ufunc, "__call__", _checked_call(ufunc.__call__))]
    for operator, name in _OPERATORS.items():
        for key in (f"__{operator}__", f"__r{operator}__", f"__i{operator}__"):
            if key in vars(array_class):
                replaced.append((array_class, key, _checked(name, vars(array_class)[key])))
    for owner, key, method in replaced:
        _plain.append((owner, key, vars(owner)[key]))
        setattr(owner, key, method)


__all__ = ["check_arguments", "set_mode"]
