"""sort, top_k and searchsorted. Their order: nan is above all numbers, -0.0 equals 0.0, False is below True."""

import numpy as np

from ..core.dtype import dt
from ..core.errors import ArgumentError, DtypeError, ShapeError
from .base import primitive
from .indexing import take_along
from .shape import add_batch_axis, iota, reshape

_INT32_MAX = 2**31 - 1


def _require_order(name, x):
    if x.dtype.kind in "cK":
        raise DtypeError(
            f"{name}: complex numbers and random keys have no order, got {x}.", fix="use abs(x) or its real part."
        )


def positions_like(like, axis):
    """The numbers 0, 1, 2, ... along `axis` in the shape of `like`."""
    dtype = dt.int32 if like.shape[axis] <= _INT32_MAX else dt.int64
    return iota(shape=like.shape, dtype=dtype, axis=axis, device=like.device)


@primitive
class sort:
    """The operands, all of one shape, in the order of the first `num_keys` of them along `axis`

    Keys are compared one after the other (lexicographic), stably; the other operands follow. Gives one tensor per
    operand: a tuple, or just the tensor if there is one operand.
    """

    def infer(*xs, axis, num_keys):
        first = xs[0]
        if not 0 <= axis < first.ndim:
            raise ShapeError(f"sort: {axis} is not an axis of {first}.", fix="a 0-d array has no axis to sort along.")
        if any(x.shape != first.shape for x in xs):
            raise ShapeError(f"sort: operands {', '.join(map(str, xs))} differ in shape.", fix="broadcast them.")
        if not 1 <= num_keys <= len(xs):
            raise ArgumentError(f"sort: {num_keys} keys of {len(xs)} operands.", fix=f"use 1 to {len(xs)} keys.")
        for x in xs[:num_keys]:
            _require_order("sort", x)
        return xs[0] if len(xs) == 1 else xs

    def jvp(primals, tangents, out, *, axis, num_keys):
        *_, order = sort(*primals, positions_like(primals[0], axis), axis=axis, num_keys=num_keys)
        found = tuple(None if t is None else take_along(t, order, axis) for t in tangents)
        return found if len(primals) > 1 else found[0]

    def batch(inputs, batched, *, axis, num_keys):
        size = next(x.shape[0] for x, b in zip(inputs, batched) if b)
        inputs = [x if b else add_batch_axis(x, size) for x, b in zip(inputs, batched)]
        return sort(*inputs, axis=axis + 1, num_keys=num_keys)

    def lower(*xs, axis, num_keys):
        return "sort", (axis, num_keys)

    def samples(rng):
        yield (rng.normal(size=(3, 7)),), {"axis": 1, "num_keys": 1}
        yield (rng.normal(size=(4, 3)), rng.normal(size=(4, 3))), {"axis": 0, "num_keys": 1}
        ties = rng.integers(0, 2, (2, 6))
        yield (ties, rng.normal(size=(2, 6)), rng.integers(0, 9, (2, 6))), {"axis": 1, "num_keys": 2}
        yield (rng.normal(size=(2, 0)),), {"axis": 1, "num_keys": 1}
        yield (rng.normal(size=(1,)),), {"axis": 0, "num_keys": 1}


@primitive
class top_k:
    """(the k largest elements along the last axis, largest first; their positions, int32)

    Of equal elements the first ones are taken. nan is larger than all numbers.
    """

    def infer(x, *, k):
        _require_order("top_k", x)
        if not x.ndim or not 0 <= k <= x.shape[-1]:
            raise ShapeError(f"top_k: the last axis of {x} does not have {k} elements.", fix="use a smaller k.")
        if x.shape[-1] > _INT32_MAX:
            raise ShapeError(f"top_k: the positions of {x} do not fit int32.", fix="split the last axis.")
        shape = (*x.shape[:-1], k)
        return x.update(shape=shape), x.update(shape=shape, dtype=dt.int32, weak_type=False)

    def jvp(primals, tangents, out, *, k):
        return take_along(tangents[0], out[1], primals[0].ndim - 1), None

    def batch(inputs, batched, *, k):
        return top_k(inputs[0], k=k)

    def lower(x, *, k):
        return "top_k", ()

    def samples(rng):
        yield (rng.normal(size=(3, 7)),), {"k": 3}
        yield (rng.normal(size=(5,)),), {"k": 5}
        yield (rng.integers(0, 3, (2, 8)),), {"k": 4}
        yield (rng.normal(size=(2, 3)),), {"k": 0}
        yield (rng.normal(size=(0, 3)),), {"k": 1}


@primitive
class searchsorted:
    """How many elements of each row of `rows` (ascending, [..., n]) are below each of `values` ([..., m]): int32

    side "right": how many are not above it. So a value inserted there leaves the row in order.
    """

    def infer(rows, values, *, side):
        _require_order("searchsorted", rows)
        if rows.dtype != values.dtype:
            raise DtypeError(f"searchsorted: {rows} and {values} differ in dtype.", fix="convert one: x.astype(dtype).")
        if not rows.ndim or rows.shape[:-1] != values.shape[:-1] or not values.ndim:
            raise ShapeError(
                f"searchsorted: {rows} and {values} must agree on all axes but the last.", fix="broadcast one of them."
            )
        if rows.shape[-1] > _INT32_MAX:
            raise ShapeError(f"searchsorted: the positions of {rows} do not fit int32.", fix="split the last axis.")
        if side not in ("left", "right"):
            raise ArgumentError(f"searchsorted: side {side!r} is not known.", fix="use 'left' or 'right'.")
        return values.update(dtype=dt.int32, weak_type=False)

    def jvp(primals, tangents, out, *, side):
        return None

    def batch(inputs, batched, *, side):
        rows, values = inputs
        size = (rows if batched[0] else values).shape[0]
        if not batched[0] and rows.ndim == 1:  # many values in one row
            flat = searchsorted(rows, reshape(values, shape=(values.size,)), side=side)
            return reshape(flat, shape=values.shape)
        rows, values = [x if b else add_batch_axis(x, size) for x, b in zip(inputs, batched)]
        return searchsorted(rows, values, side=side)

    def lower(rows, values, *, side):
        return "searchsorted", (int(side == "right"),)

    def vary(rng, i, array):
        found = rng.permutation(array.ravel()).reshape(array.shape)
        return np.sort(found, -1) if i == 0 else found

    def samples(rng):
        rows = np.sort(rng.integers(0, 9, (3, 6)).astype("f4"), -1)
        yield (rows, rng.integers(0, 9, (3, 4)).astype("f4")), {"side": "left"}
        yield (rows[0], rng.integers(0, 9, (5,)).astype("f4")), {"side": "right"}
        yield (rows[:, :0], rng.integers(0, 9, (3, 2)).astype("f4")), {"side": "left"}
