"""Stateful random numbers (pg.rand, dropout) on counter-based keys.

Every device has a generator: a key that each draw replaces. Inside jit the key is read and replaced at
each call, so numbers are fresh there, too; `manual_seed` makes all of them repeat.
"""

import math
import os

import numpy as np

from ..core import dtype as dtypes
from ..core.device import device as devices
from ..core.dtype import default_float, dt
from ..core.errors import ArgumentError
from ..core.locks import stateful
from ..core.node import leaf, state
from ..core.tensor import tensor_from_numpy
from ..primitives import elementwise as e
from ..primitives import mathematical as m
from ..primitives.random import random_bits
from .creation import shape_of
from .indexing import getitem

_generators = {}  # Device -> Tensor with the key


def random_key(seed, device=None):
    """A key, uint32[2], from an integer seed; the same as jax.random.PRNGKey(seed)'s data."""
    if not isinstance(seed, (int, np.integer)):
        raise ArgumentError(f"A seed is an int, not {type(seed).__name__}.")
    seed = int(seed)
    words = np.array([seed >> 32 & 0xFFFFFFFF if not -(2**31) <= seed < 2**32 else 0, seed & 0xFFFFFFFF], np.uint32)
    return tensor_from_numpy(words, devices.cpu if device is None else devices(device))


def manual_seed(seed):
    """Makes all later random numbers, on all devices, a function of this integer."""
    _seed[0] = seed
    for place, generator in _generators.items():
        key = random_key(seed, place)._node
        generator._rebind(leaf(key.value, key.aval))


def get_rng_state():
    """Where random numbers stand: a dict for set_rng_state, or for a checkpoint."""
    with stateful:
        return {"seed": int(_seed[0]), "keys": {str(place).lower(): key.numpy() for place, key in _generators.items()}}


def set_rng_state(saved):
    """Goes on with the random numbers from where get_rng_state() was called."""
    manual_seed(saved["seed"])
    for name, words in saved["keys"].items():
        place = devices(name)
        next_key(place)  # makes the generator, should it not be there
        key = tensor_from_numpy(np.asarray(words, np.uint32), place)._node
        _generators[place]._rebind(leaf(key.value, key.aval))


_seed = [int.from_bytes(os.urandom(4), "little")]


def next_key(device):
    """A fresh key; the generator of `device` moves on."""
    with stateful:
        generator = _generators.get(device)
        if generator is None:
            frame, state.frame = state.frame, None  # the generator itself belongs to no trace
            try:
                generator = _generators[device] = random_key(_seed[0], device)
            finally:
                state.frame = frame
        keys = random_bits(generator, shape=(2, 2), dtype=dt.uint32)
        generator._rebind(getitem(keys, 0)._node)
    return getitem(keys, 1)


def is_generator(handle):
    """True for the key of a device that each draw replaces."""
    return handle is _generators.get(handle.device)


def spread_generator(generator, size):
    """`size` keys from a generator, uint32[size, 2], one for each example of a batch; the generator moves on."""
    with stateful:
        keys = random_bits(generator, shape=(size + 1, 2), dtype=dt.uint32)
        generator._rebind(getitem(keys, size)._node)
    return getitem(keys, slice(size))


# dtype -> (dtype of the random bits, bits of the mantissa): as many as the floats in [0, 1) are evenly spaced by
_MANTISSAS = {
    "float16": (dt.uint16, 10),
    "bfloat16": (dt.uint8, 7),
    "float32": (dt.uint32, 23),
    "float64": (dt.uint64, 52),
}


def uniform(key, shape, dtype=None, low=0.0, high=1.0):
    """Floats in [low, high) from a key; bit for bit those of jax.random.uniform."""
    dtype = dtypes.canonical(dtype or default_float())
    if dtype.name not in _MANTISSAS:
        raise ArgumentError(f"Random floats have a floating dtype, not {dtype}.")
    word, mantissa = _MANTISSAS[dtype.name]
    bits = random_bits(key, shape=shape_of(shape), dtype=word)
    bits = e.shift_right_logical(bits, word.itemsize * 8 - mantissa)
    x = e.mul(e.convert_to(bits, dtype), 2.0**-mantissa)  # exact: k / 2**mantissa
    if (low, high) == (0.0, 1.0):
        return x
    span = np.asarray(high, dtype) - np.asarray(low, dtype)
    return e.max_(e.add(e.mul(x, float(span)), float(low)), float(low))


def normal(key, shape, dtype=None):
    """Standard normal floats from a key: sqrt(2) * erf_inv(uniform(-1, 1)), as jax.random.normal."""
    dtype = dtypes.canonical(dtype or default_float())
    low = np.nextafter(np.asarray(-1, dtype), np.asarray(0, dtype))
    return e.mul(m.erf_inv(uniform(key, shape, dtype, float(low), 1.0)), math.sqrt(2))


def rand(*shape, dtype=None, device=None):
    """Uniform floats in [0, 1): pg.rand((2, 3)) or pg.rand(2, 3)."""
    place = devices.cpu if device is None else devices(device)
    return uniform(next_key(place), shape_of(*shape) if shape else (), dtype)


def randn(*shape, dtype=None, device=None):
    """Standard normal floats: pg.randn((2, 3)) or pg.randn(2, 3)."""
    place = devices.cpu if device is None else devices(device)
    return normal(next_key(place), shape_of(*shape) if shape else (), dtype)


def bernoulli(p, shape, device=None):
    """Bools that are true with probability p."""
    place = devices.cpu if device is None else devices(device)
    return e.lt(uniform(next_key(place), shape), float(p))
