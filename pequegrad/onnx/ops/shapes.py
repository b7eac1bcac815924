"""Shapes: what asks for them, and what changes them."""

import numpy as np

import pequegrad as pg

from ..registry import op


@op("Shape", folds=False)
@op("Shape", since=15, folds=False)
def shape(data, *, start=0, end=None):
    return np.array(np.shape(data)[slice(start, end)], np.int64)


@op("Size", folds=False)
def size(data):
    return np.int64(np.prod(np.shape(data), dtype=np.int64))


@op("Reshape", since=5, known=("shape",))
def reshape(data, shape, *, allowzero=0):
    sizes = [int(n) for n in shape]
    if not allowzero:
        sizes = [data.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
    return pg.reshape(data, tuple(sizes))


@op("Transpose")
def transpose(data, *, perm=None):
    return pg.transpose(data) if perm is None else pg.transpose(data, tuple(perm))


@op("Unsqueeze")
def unsqueeze_1(data, *, axes):
    return unsqueeze(data, np.array(axes))


@op("Unsqueeze", since=13, known=("axes",))
def unsqueeze(data, axes):
    axes = [int(a) for a in np.ravel(axes)]
    ndim = data.ndim + len(axes)
    places = {a % ndim for a in axes}
    sizes = iter(data.shape)
    return pg.reshape(data, tuple(1 if i in places else next(sizes) for i in range(ndim)))


@op("Concat")
def concat(*inputs, axis=1):
    return pg.concatenate(list(inputs), axis)


@op("Gather")
def gather(data, indices, *, axis=0):
    count = data.shape[axis]
    indices = pg.where(indices < 0, indices + count, indices)
    return pg.take(data, indices, axis=axis)
