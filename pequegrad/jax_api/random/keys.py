"""Random keys: made from seeds, split, folded with numbers.

A typed key (`jax.random.key`) is an Array of the dtype key<fry>, which the primitives index, join and compare like any
other; a legacy key (`PRNGKey`) is the same two words as uint32[2]. `random_bits` takes both.
"""

import operator

import numpy as np

from ...core.dtype import dt, is_integer, key_dtype
from ...core.tensor import Tensor
from ...primitives.control import identity
from ...primitives.elementwise import convert_to, shift_right_logical
from ...primitives.random import random_bits
from ...primitives.representation import bitcast_convert
from ...primitives.shape import concatenate, reshape
from ..configuration import config
from ..convert import SCALARS, as_array, canonical, from_numpy
from .arguments import cast, check_data, check_implementation, checked_key, checked_shape, is_typed

_IMPLEMENTATION = "threefry2x32"
_OTHERS = ("rbg", "unsafe_rbg", "philox2x32", "philox4x32", "threefry4x32")


def _check_requested(impl):
    """Raises unless `impl` (None: the default) says threefry2x32."""
    if impl is None:
        return check_implementation()
    if impl in _OTHERS:
        raise NotImplementedError(f"Random keys are {_IMPLEMENTATION}'s here, not {impl}'s.")
    if isinstance(impl, str) and impl != _IMPLEMENTATION:
        raise ValueError(f'unrecognized PRNG implementation "{impl}". There is "{_IMPLEMENTATION}".')
    if not isinstance(impl, str) and impl != key_dtype:
        raise TypeError(f"unrecognized type {type(impl)} for specifying PRNG implementation.")


# ---- keys from seeds ---------------------------------------------------------------------------------


def _words(name, seed):
    """The two words of a seed's key, uint32[2]."""
    if is_typed(seed):
        raise TypeError(f"{name} accepts a scalar seed, but was given a PRNG key.")
    if np.ndim(seed):
        raise TypeError(
            f"{name} accepts a scalar seed, but was given an array of shape {np.shape(seed)} != (). "
            "Use jax.vmap for batching."
        )
    if isinstance(seed, int):
        seed = np.asarray(int(seed), np.int64).astype(canonical(dt.int64))
        high = int(seed) >> 32 if seed.itemsize == 8 else 0
        return from_numpy(np.array([high & 0xFFFFFFFF, int(seed) & 0xFFFFFFFF], np.uint32))
    seed = as_array(seed, name)
    if not is_integer(seed.dtype):
        raise TypeError(f"PRNG key seed must be an integer; got {seed._node.aval}.")
    low, high = convert_to(seed, dt.uint32), cast(0, dt.uint32, seed)
    if seed.dtype.itemsize == 8:
        high = convert_to(shift_right_logical(seed, 32), dt.uint32)
    return concatenate(reshape(high, shape=(1,)), reshape(low, shape=(1,)), axis=0)


def key(seed, *, impl=None, dtype=None):
    """A typed key, of shape (), from an integer."""
    if dtype is not None and impl is not None:
        raise ValueError("Cannot specify both `impl` and `dtype` arguments to jax.random.key")
    _check_requested(impl if dtype is None else dtype)
    return bitcast_convert(_words("key", seed), dtype=key_dtype)


def PRNGKey(seed, *, impl=None):
    """A legacy key, uint32[2], from an integer."""
    _check_requested(impl)
    return _returned(_words("PRNGKey", seed), config.jax_enable_custom_prng)


def _returned(keys, typed):
    """Keys as they are given to users: typed, or as uint32[..., 2]."""
    if typed == is_typed(keys):
        return keys
    return bitcast_convert(keys, dtype=key_dtype if typed else dt.uint32)


def _kind_of(key):
    return is_typed(key) or config.jax_enable_custom_prng


def as_typed(key):
    """A key as a typed one, which loops carry."""
    return _returned(key, typed=True)


# ---- keys from keys ----------------------------------------------------------------------------------


def split(key, num=2):
    """New keys on a leading axis (or on several: num is a tuple), typed if `key` is."""
    key = checked_key(key, "split")
    shape = checked_shape(num if isinstance(num, (tuple, list)) else operator.index(num))
    return _returned(random_bits(key, shape=shape, dtype=key_dtype), _kind_of(key))


def fold_in(key, data):
    """A new key that depends on the integer `data`, of which 32 bits count, too."""
    key = checked_key(key, "fold_in")
    if np.ndim(data):
        raise TypeError(f"fold_in accepts a scalar, but was given an array of shape {np.shape(data)} != ().")
    if type(data) in SCALARS:
        data = int(data)
        if not 0 <= data < 2**32:
            raise OverflowError(f"Python integer {data} out of bounds for uint32")
    return _returned(random_bits(key, cast(data, dt.uint32, key), shape=(), dtype=key_dtype), _kind_of(key))


def clone(key):
    """The same key: here keys may be used more than once."""
    return identity(key if isinstance(key, Tensor) else as_array(key, "clone"))


# ---- what keys are made of ---------------------------------------------------------------------------


def key_data(keys):
    """The two words of each key, uint32[..., 2]."""
    return _returned(checked_key(keys, "key_data", batched=True), typed=False)


def wrap_key_data(key_bits_array, *, impl=None, dtype=None):
    """Typed keys of words uint32[..., 2]."""
    if dtype is not None and impl is not None:
        raise ValueError("Cannot specify both `impl` and `dtype` arguments to jax.random.wrap_key_data")
    _check_requested(impl if dtype is None else dtype)
    words = as_array(key_bits_array, "wrap_key_data")
    check_data(words, "wrap_key_data")
    return bitcast_convert(words, dtype=key_dtype)


def key_dtype_of(impl_spec=None):
    """The dtype of typed keys."""
    _check_requested(impl_spec)
    return key_dtype


def key_impl(keys):
    """The name of the generator that takes these keys."""
    checked_key(keys, "key_impl", batched=True)
    return _IMPLEMENTATION


__all__ = ["PRNGKey", "clone", "fold_in", "key", "key_data", "key_impl", "split", "wrap_key_data"]
