"""Slices at places that are computed: the sizes are fixed, the starts are 0-d integer tensors, one per axis.

As in XLA starts are clamped, so that the slice lies within the array. https://openxla.org/xla/operation_semantics#dynamicslice
"""

import numpy as np

from ..core.dtype import dt, is_integer
from ..core.errors import DtypeError, ShapeError
from .base import is_linear, number, primitive
from .elementwise import convert_to, min_
from .indexing import Places, gather, scatter
from .shape import add_batch_axis, broadcast_in_dim, concatenate, reshape, zeros_like


def _check(name, x, sizes, starts):
    if len(sizes) != x.ndim or any(not 0 <= s <= n for s, n in zip(sizes, x.shape)):
        raise ShapeError(f"{name}: a slice of shape {list(sizes)} does not lie within {x}.", fix="make it smaller.")
    if len(starts) != x.ndim or any(start.shape for start in starts):
        raise ShapeError(
            f"{name}: starts ({', '.join(map(str, starts))}) for {x}.", fix="give one 0-d integer tensor per axis."
        )
    if not all(is_integer(start.dtype) for start in starts):
        raise DtypeError(f"{name}: starts must be integers, got {', '.join(map(str, starts))}.", fix="convert them.")


def _first_of_all(like):
    """The start of a slice that runs along all of a new leading axis."""
    return number(0, like)


def _vectors(starts, batched, size):
    """Starts, some with a batch axis, as index vectors [size, number of axes]."""
    wide = any(s.dtype.itemsize == 8 or s.dtype == dt.uint32 for s in starts)
    columns = []
    for start, b in zip(starts, batched):
        start = min_(start, number(2**63 - 1, start)) if start.dtype == dt.uint64 else start
        start = convert_to(start, dt.int64 if wide else dt.int32)
        start = start if b else broadcast_in_dim(start, shape=(size,), axes=())
        columns.append(reshape(start, shape=(size, 1)))
    return concatenate(*columns, axis=1)


def _batched_places(ndim, x_batched):
    """Windows of all `ndim` axes of an example, one per index vector; `x_batched`: each in its own example."""
    window = tuple(range(1, ndim + 1))
    if x_batched:
        return Places(window=window, batch=(0,), indices_batch=(0,), index_map=window)
    return Places(window=window, index_map=tuple(range(ndim)))


class Dynamic:
    def vary(rng, i, array):
        if is_integer(array.dtype):
            return np.asarray(rng.integers(0, 6), array.dtype)
        return rng.permutation(array.ravel()).reshape(array.shape)


@primitive
class dynamic_slice(Dynamic):
    """x[start : start + size] on every axis; a view"""

    linear = "together"

    def infer(x, *starts, sizes):
        _check("dynamic_slice", x, sizes, starts)
        return x.update(shape=sizes)

    def jvp(primals, tangents, out, *, sizes):
        return dynamic_slice(tangents[0], *primals[1:], sizes=sizes)

    def transpose(ct, x, *starts, sizes):
        return (dynamic_update_slice(zeros_like(x), ct, *starts), *[None] * len(starts))

    def batch(inputs, batched, *, sizes):
        x, *starts = inputs
        size = next(v.shape[0] for v, b in zip(inputs, batched) if b)
        if any(batched[1:]):
            vectors, places = _vectors(starts, batched[1:], size), _batched_places(len(starts), batched[0])
            sizes = (min(1, size), *sizes) if batched[0] else sizes
            return gather(x, vectors, places=places, sizes=sizes, mode="clip")
        if not starts:
            return x
        return dynamic_slice(x, _first_of_all(starts[0]), *starts, sizes=(size, *sizes))

    def lower(x, *starts, sizes):
        return "dynamic_slice", ()

    def samples(rng):
        at = lambda *starts: tuple(np.array(s, "i4") for s in starts)
        yield (rng.normal(size=(5, 6)), *at(1, 2)), {"sizes": (2, 3)}
        yield (rng.normal(size=(5, 6)), *at(-3, 5)), {"sizes": (2, 6)}
        yield (rng.normal(size=(4,)), np.array(9, "u1")), {"sizes": (1,)}
        yield (rng.normal(size=(3, 2)), *at(1, 1)), {"sizes": (0, 2)}
        yield (rng.normal(size=()),), {"sizes": ()}


@primitive
class dynamic_update_slice(Dynamic):
    """x with `update` at the starts; written into the memory of x where nobody else needs it"""

    linear = "together"

    def infer(x, update, *starts):
        _check("dynamic_update_slice", x, update.shape, starts)
        if update.dtype != x.dtype:
            raise DtypeError(
                f"dynamic_update_slice: x is {x}, the update is {update}.", fix="convert the update to the dtype of x."
            )
        return x

    def jvp(primals, tangents, out):
        dx, dupdate = [zeros_like(p) if t is None else t for p, t in zip(primals[:2], tangents)]
        return dynamic_update_slice(dx, dupdate, *primals[2:])

    def transpose(ct, x, update, *starts):
        ct_x = dynamic_update_slice(ct, zeros_like(update), *starts) if is_linear(x) else None
        ct_update = dynamic_slice(ct, *starts, sizes=update.shape) if is_linear(update) else None
        return (ct_x, ct_update, *[None] * len(starts))

    def batch(inputs, batched):
        x, update, *starts = inputs
        size = next(v.shape[0] for v, b in zip(inputs, batched) if b)
        x, update = [v if b else add_batch_axis(v, size) for v, b in zip((x, update), batched)]
        if any(batched[2:]):
            vectors, places = _vectors(starts, batched[2:], size), _batched_places(len(starts), True)
            return scatter(x, vectors, update, places=places, combine="set", mode="clip", unique=True)
        if not starts:
            return update
        return dynamic_update_slice(x, update, _first_of_all(starts[0]), *starts)

    def lower(x, update, *starts):
        return "dynamic_update_slice", ()

    def samples(rng):
        at = lambda *starts: tuple(np.array(s, "i4") for s in starts)
        yield (rng.normal(size=(5, 6)), rng.normal(size=(2, 3)), *at(1, 2)), {}
        yield (rng.normal(size=(5, 6)), rng.normal(size=(2, 6)), *at(7, -1)), {}
        yield (rng.normal(size=(4,)), rng.normal(size=(0,)), np.array(2, "u1")), {}
        yield (rng.normal(size=()), rng.normal(size=())), {}
