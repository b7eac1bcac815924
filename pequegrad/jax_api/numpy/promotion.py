"""What functions of jax.numpy do with their arguments: Arrays of a common dtype; and with a dtype that is asked for."""

import warnings

import numpy as np

from ...core import dtype as dtypes
from ...ops.arithmetic import floating, promoted
from ...primitives.elementwise import convert_to
from ..configuration import config
from ..convert import SCALARS, as_array, operand


def common(name, *args):
    """The arguments of the function `name` as Arrays of their common dtype; numbers take it at no cost."""
    if len(args) == 1:
        return [as_array(args[0], name)]
    if config.jax_numpy_rank_promotion != "allow":
        from ..rank_promotion import check_arguments

        check_arguments(name, args)
    found = [operand(x, name, i) for i, x in enumerate(args)]
    numbers = {type(x) for x in found}.intersection(SCALARS)
    if numbers and all(type(x) in SCALARS for x in found):
        found[0] = as_array(found[0], name)
    elif int in numbers and any(_narrow(x) for x in found):
        found = [as_array(x, name) for x in found]  # ints that are too large wrap around
    return promoted(*found)


def _narrow(x):
    """True for integers of which there are fewer than Python's ints stand for."""
    return type(x) not in SCALARS and dtypes.is_integer(x.dtype) and x.dtype != dtypes.default_int()


def inexact(name, *args):
    """`common`, with a floating dtype for bool and integers."""
    return [floating(x) for x in common(name, *args)]


def numeric(name, *args):
    """`common`, with int32 for bool."""
    return [convert_to(x, dtypes.dt.int32) if x.dtype.kind == "b" else x for x in common(name, *args)]


def strong(x):
    """x without weak type: its dtype counts in promotion."""
    return convert_to(x, x.dtype)


def cast(x, dtype):
    """x in `dtype`; ComplexWarning if imaginary parts are lost."""
    if dtypes.is_complex(x.dtype) and not dtypes.is_complex(dtype):
        warnings.warn("The imaginary parts of complex numbers are discarded.", _complex_warning(), stacklevel=3)
    return convert_to(x, dtype)


def _complex_warning():
    return getattr(np, "exceptions", np).ComplexWarning


def refuse_out(name, out):
    """Arrays do not change: nothing can be written to `out`."""
    if out is not None:
        raise NotImplementedError(f"The 'out' argument to jnp.{name} is not supported.")


def refuse_complex(name, *arrays):
    """ValueError if there is a complex array among them."""
    if any(dtypes.is_complex(x.dtype) for x in arrays):
        raise ValueError(f"{name} is not defined for complex numbers.")


__all__ = ["common", "inexact", "numeric", "strong", "cast", "refuse_out", "refuse_complex"]
