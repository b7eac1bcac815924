"""Random numbers: pequegrad's. With a seed a node draws the same ones at each call."""

import numpy as np

import pequegrad as pg

from ...core.device import device as devices
from ...ops import random as r
from ..registry import op
from ..values import dtype_of, element_type_of, tensor


def _key(seed, device=None):
    place = devices.cpu if device is None else device
    return r.next_key(place) if seed is None else r.random_key(int(np.float32(seed).view(np.uint32)), place)


def _normal(shape, dtype, key, *, mean=0.0, scale=1.0):
    return r.normal(key, shape, dtype) * scale + mean


def _uniform(shape, dtype, key, *, low=0.0, high=1.0):
    return r.uniform(key, shape, dtype, low, high)


@op("RandomNormal", folds=False)
def random_normal(*, shape, dtype=1, mean=0.0, scale=1.0, seed=None):
    return _normal(tuple(shape), dtype_of(dtype), _key(seed), mean=mean, scale=scale)


@op("RandomUniform", folds=False)
def random_uniform(*, shape, dtype=1, low=0.0, high=1.0, seed=None):
    return _uniform(tuple(shape), dtype_of(dtype), _key(seed), low=low, high=high)


def _like(x, dtype, seed):
    """Shape, dtype and key for numbers like x."""
    x = tensor(x)
    return x.shape, dtype_of(element_type_of(x.dtype) if dtype is None else dtype), _key(seed, x.device)


@op("RandomNormalLike", folds=False)
def random_normal_like(x, *, dtype=None, mean=0.0, scale=1.0, seed=None):
    return _normal(*_like(x, dtype, seed), mean=mean, scale=scale)


@op("RandomUniformLike", folds=False)
def random_uniform_like(x, *, dtype=None, low=0.0, high=1.0, seed=None):
    return _uniform(*_like(x, dtype, seed), low=low, high=high)


@op("Bernoulli", since=15, folds=False)
def bernoulli(p, *, dtype=None, seed=None):
    """1 with probability p, else 0."""
    shape, dtype, key = _like(p, dtype, seed)
    p = tensor(p)
    return (r.uniform(key, shape, p.dtype) < p).astype(dtype)


@op("Multinomial", since=7, folds=False)
def multinomial(x, *, dtype=6, sample_size=1, seed=None):
    """[batch, sample_size] classes with the probabilities softmax(x): where x with noise is largest."""
    x = tensor(x)
    noise = r.uniform(_key(seed, x.device), (x.shape[0], sample_size, x.shape[1]), "float32")
    noise = -pg.log(-pg.log(pg.maximum(noise, 1e-30)))
    return pg.argmax(pg.expand_dims(x.astype("float32"), 1) + noise, -1).astype(dtype_of(dtype))
