"""jax.dtypes: what is asked of dtypes besides jax.numpy's functions."""

import numpy as np

from ..core.dtype import FLOAT0 as float0
from ..core.dtype import dt, is_inexact, is_integer
from .convert import canonical
from .numpy import data_types
from .numpy.data_types import extended, finfo, iinfo, pair_of, prng_key, promoted_pair


class TypePromotionError(ValueError):
    """There is no common dtype."""


def issubdtype(a, b):
    """True if a dtype, or a kind of them, belongs to another: issubdtype(bfloat16, floating)."""
    return data_types.issubdtype(a, b)


def canonicalize_dtype(dtype, allow_extended_dtype=False):
    """The dtype that arrays get where `dtype` is asked for: 32 bits for 64, unless jax_enable_x64 is on."""
    if issubdtype(dtype, extended) and not allow_extended_dtype:
        raise ValueError(
            f"Internal: canonicalize_dtype called on extended dtype {dtype} with allow_extended_dtype=False"
        )
    return canonical(dtype)


def result_type(*args, return_weak_type_flag=False):
    """The dtype that arrays, numbers and dtypes have together, or (dtype, weak type)."""
    if not args:
        raise ValueError("at least one array or dtype is required")
    found = promoted_pair(*map(pair_of, args))
    return found if return_weak_type_flag else found[0]


def scalar_type_of(x):
    """bool, int, float or complex: the type of Python's numbers to which the elements of x belong."""
    dtype = pair_of(x)[0]
    if dtype.kind == "b":
        return bool
    if is_integer(dtype):
        return int
    if is_inexact(dtype):
        return complex if dtype.kind == "c" else float
    raise TypeError(f"Invalid scalar value {x}")


def itemsize_bits(dtype):
    """Bits of an element."""
    if dtype is None:
        raise ValueError("dtype cannot be None.")
    return np.dtype(dtype).itemsize * 8


def __getattr__(name):
    if name == "bfloat16":
        return dt.bfloat16.type
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "canonicalize_dtype", "extended", "finfo", "float0", "iinfo", "issubdtype", "itemsize_bits", "prng_key",
    "result_type", "scalar_type_of", "TypePromotionError",
]  # fmt: skip
