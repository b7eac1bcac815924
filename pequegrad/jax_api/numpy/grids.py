"""Grids of coordinates, and arrays written as indices: meshgrid, mgrid, ogrid, r_, c_."""

import numpy as np

from ...ops.arithmetic import promoted
from ...ops.shape import broadcast_to, concatenate, expand_dims, reshape, stack, transpose
from ...primitives.control import identity
from ..convert import as_arrays
from .creation import arange, array, linspace


def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    """The coordinates of the grid that 1-d arrays span, an array for each axis; indexing "xy": the first two axes exchanged.

    sparse: of size 1 on the other axes.
    """
    arrays = as_arrays("meshgrid", *xi)
    if not copy:
        raise ValueError("jax.numpy.meshgrid only supports copy=True")
    if indexing not in ("xy", "ij"):
        raise ValueError(f"Valid values for indexing are 'xy' and 'ij', got {indexing}")
    if any(x.ndim != 1 for x in arrays):
        raise ValueError(f"Arguments to jax.numpy.meshgrid must be 1D, got shapes {[x.shape for x in arrays]}")
    n = len(arrays)
    places = list(range(n))
    if indexing == "xy" and n >= 2:
        places[:2] = 1, 0
    shape = [0] * n
    for place, x in zip(places, arrays):
        shape[place] = x.shape[0]
    grids = [reshape(x, tuple(-1 if i == place else 1 for i in range(n))) for place, x in zip(places, arrays)]
    return grids if sparse else [identity(broadcast_to(x, tuple(shape))) for x in grids]


def _line(key, name):
    """The array that a slice stands for: arange, or linspace if its step is imaginary."""
    start = 0 if key.start is None else key.start
    step = 1 if key.step is None else key.step
    step = step.item() if hasattr(step, "item") else step
    if isinstance(step, complex):
        return linspace(start, key.stop, int(abs(step)))
    return arange(start, key.stop, step)


class _Grid:
    """jnp.mgrid and jnp.ogrid: indexed with slices, they give meshgrids of what these stand for."""

    def __init__(self, name, sparse):
        self.name, self.sparse = name, sparse

    def __getitem__(self, key):
        if isinstance(key, slice):
            return _line(key, self.name)
        lines = [_line(k, self.name) for k in key]
        grids = meshgrid(*(promoted(*lines) if lines else ()), indexing="ij", sparse=self.sparse)
        if self.sparse:
            return grids
        return stack(grids) if grids else arange(0)


class _Joined:
    """jnp.r_ and jnp.c_: what they are indexed with, joined along an axis.

    A text in front, "axis,ndim,place": the axis, the least number of axes, and where the axes of an array with fewer go;
    "r" and "c" make a row or a column of a 1-d result.
    """

    def __init__(self, name, axis, ndim, place):
        self.name, self.settings = name, (axis, ndim, place)

    def __getitem__(self, key):
        items = key if isinstance(key, tuple) else (key,)
        (axis, ndim, place), extra = self.settings, None
        if isinstance(items[0], str):
            directive, items = items[0], items[1:]
            if directive in ("r", "c"):
                extra = "rc".index(directive)
            else:
                axis, ndim, place = self._parsed(directive)
        parts = [self._part(item, ndim, place) for item in items]
        parts = promoted(*parts) if len(parts) > 1 else parts
        out = concatenate(parts, axis)
        return expand_dims(out, extra) if extra is not None and out.ndim == 1 else out

    def _parsed(self, directive):
        words = directive.split(",")[:3]
        try:
            return (*map(int, words), *self.settings[len(words) :])
        except ValueError:
            raise ValueError(f"could not understand directive {directive!r}") from None

    def _part(self, item, ndim, place):
        if isinstance(item, str):
            raise ValueError("string directive must be placed at the beginning")
        x = _line(item, self.name) if isinstance(item, slice) else array(item, copy=False)
        missing = ndim - (0 if isinstance(item, slice) else x.ndim)
        x = array(x, copy=False, ndmin=ndim)
        if place == -1 or missing <= 0:
            return x
        left = ndim - abs(ndim + place + 1) % ndim
        order = tuple(range(ndim))
        return transpose(x, *order[left:], *order[:left])

    def __len__(self):
        return 0


mgrid, ogrid = _Grid("mgrid", sparse=False), _Grid("ogrid", sparse=True)
r_, c_ = _Joined("r_", 0, 1, -1), _Joined("c_", -1, 2, 0)
s_, index_exp = np.s_, np.index_exp

__all__ = ["c_", "index_exp", "meshgrid", "mgrid", "ogrid", "r_", "s_"]
