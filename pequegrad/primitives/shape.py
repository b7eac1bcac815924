"""Primitives that move or select elements without computing on them.

Views (reshape, transpose, broadcast_in_dim, slice, rev) cost nothing in the runtime: kernels read any strides.
"""

import math

import numpy as np

from ..core.dtype import dt
from ..core.errors import DtypeError, ShapeError
from ..core.node import ARRAY, make_aval, scalar_constant
from ..core.tensor import wrap
from .access import ORIGIN, reshaped
from .base import is_linear, number, primitive

# ---- views -------------------------------------------------------------------------------------------


@primitive
class reshape:
    """The same elements in row-major order under another `shape`"""

    linear = "together"
    form = "view"

    def infer(x, *, shape):
        if math.prod(shape) != x.size or any(n < 0 for n in shape):
            raise ShapeError(
                f"reshape: {x} has {x.size} elements, shape {list(shape)} has {math.prod(shape)}.",
                fix="use a shape with the same number of elements; one size may be -1 in x.reshape().",
            )
        return x.update(shape=shape)

    def jvp(primals, tangents, out, *, shape):
        return reshape(tangents[0], shape=shape)

    def transpose(ct, x, *, shape):
        return (reshape(ct, shape=x.shape),)

    def batch(inputs, batched, *, shape):
        (x,) = inputs
        return reshape(x, shape=(x.shape[0], *shape))

    def access(index, x, *, shape):
        return reshaped(index, shape, x.shape)

    def lower(x, *, shape):
        return "reshape", ()

    def samples(rng):
        yield (rng.normal(size=(2, 6)),), {"shape": (3, 4)}
        yield (rng.normal(size=(1, 2, 1)),), {"shape": (2,)}
        yield (rng.normal(size=(0, 3)),), {"shape": (3, 0, 2)}


@primitive
class transpose:
    """Axis i of the result is axis `permutation[i]` of x"""

    linear = "together"
    form = "view"

    def infer(x, *, permutation):
        if sorted(permutation) != list(range(x.ndim)):
            raise ShapeError(
                f"transpose: {list(permutation)} is not a permutation of the axes of {x}.",
                fix=f"name each axis 0 to {x.ndim - 1} once.",
            )
        return x.update(shape=tuple(x.shape[p] for p in permutation))

    def jvp(primals, tangents, out, *, permutation):
        return transpose(tangents[0], permutation=permutation)

    def transpose(ct, x, *, permutation):
        return (transpose(ct, permutation=tuple(int(i) for i in np.argsort(permutation))),)

    def batch(inputs, batched, *, permutation):
        return transpose(inputs[0], permutation=(0, *(p + 1 for p in permutation)))

    def access(index, x, *, permutation):
        return tuple(index[permutation.index(i)] for i in range(x.ndim))

    def lower(x, *, permutation):
        return "transpose", permutation

    def samples(rng):
        yield (rng.normal(size=(2, 3, 4)),), {"permutation": (2, 0, 1)}
        yield (rng.normal(size=(2, 0)),), {"permutation": (1, 0)}


@primitive
class broadcast_in_dim:
    """x repeated to `shape`: axis i of x becomes axis `axes[i]` of the result; sizes are equal, or 1 in x"""

    linear = "together"
    form = "view"

    def infer(x, *, shape, axes):
        fits = (
            len(axes) == x.ndim
            and all(a < b for a, b in zip(axes, axes[1:]))
            and all(0 <= a < len(shape) for a in axes)
        )
        if not fits or any(n != 1 and n != shape[a] for n, a in zip(x.shape, axes)):
            raise ShapeError(
                f"broadcast: {x} does not broadcast to {list(shape)} along axes {list(axes)}.",
                fix="sizes must be equal or 1.",
            )
        return x.update(shape=shape)

    def jvp(primals, tangents, out, *, shape, axes):
        return broadcast_in_dim(tangents[0], shape=shape, axes=axes)

    def transpose(ct, x, *, shape, axes):
        repeated = tuple(
            a for a in range(len(shape)) if a not in axes or (x.shape[axes.index(a)] == 1 and shape[a] != 1)
        )
        return (reshape_to(sum_axes(ct, repeated), x.shape),)

    def batch(inputs, batched, *, shape, axes):
        (x,) = inputs
        return broadcast_in_dim(x, shape=(x.shape[0], *shape), axes=(0, *(a + 1 for a in axes)))

    def access(index, x, *, shape, axes):
        return tuple(index[a] if n != 1 else ORIGIN for n, a in zip(x.shape, axes))

    def lower(x, *, shape, axes):
        return "broadcast_in_dim", axes

    def samples(rng):
        yield (rng.normal(size=(3,)),), {"shape": (2, 3), "axes": (1,)}
        yield (rng.normal(size=(2, 1)),), {"shape": (2, 4, 3), "axes": (0, 2)}
        yield (rng.normal(size=()),), {"shape": (0, 2), "axes": ()}


@primitive
class slice_:
    """x[start : limit : step] on every axis; 0 <= start <= limit <= size, step >= 1"""

    linear = "together"
    form = "view"

    def infer(x, *, start, limit, step):
        if not len(start) == len(limit) == len(step) == x.ndim:
            raise ShapeError(f"slice: needs a start, limit and step for each axis of {x}.")
        for a, b, s, n in zip(start, limit, step, x.shape):
            if not 0 <= a <= b <= n or s < 1:
                raise ShapeError(
                    f"slice: [{a}:{b}:{s}] does not lie within an axis of size {n} of {x}.",
                    fix="0 <= start <= limit <= size and step >= 1.",
                )
        return x.update(shape=tuple(-(-(b - a) // s) for a, b, s in zip(start, limit, step)))

    def jvp(primals, tangents, out, *, start, limit, step):
        return slice_(tangents[0], start=start, limit=limit, step=step)

    def transpose(ct, x, *, start, limit, step):
        spans = [(n - 1) * s + 1 if n else 0 for n, s in zip(ct.shape, step)]
        high = tuple(n - a - span for n, a, span in zip(x.shape, start, spans))
        return (pad(ct, number(0, ct), low=start, high=high, interior=tuple(s - 1 for s in step)),)

    def batch(inputs, batched, *, start, limit, step):
        (x,) = inputs
        return slice_(x, start=(0, *start), limit=(x.shape[0], *limit), step=(1, *step))

    def access(index, x, *, start, limit, step):
        return tuple(place.scaled(s, a) for place, a, s in zip(index, start, step))

    def lower(x, *, start, limit, step):
        return "slice", (*start, *step)

    def samples(rng):
        yield (rng.normal(size=(5, 6)),), {"start": (1, 0), "limit": (4, 6), "step": (1, 2)}
        yield (rng.normal(size=(5, 6)),), {"start": (0, 2), "limit": (5, 2), "step": (3, 1)}


@primitive
class rev:
    """x with the order along `axes` reversed"""

    linear = "together"
    form = "view"

    def infer(x, *, axes):
        if any(not 0 <= a < x.ndim for a in axes) or len(set(axes)) != len(axes):
            raise ShapeError(f"rev: {list(axes)} are not distinct axes of {x}.")
        return x

    def jvp(primals, tangents, out, *, axes):
        return rev(tangents[0], axes=axes)

    def transpose(ct, x, *, axes):
        return (rev(ct, axes=axes),)

    def batch(inputs, batched, *, axes):
        return rev(inputs[0], axes=tuple(a + 1 for a in axes))

    def access(index, x, *, axes):
        return tuple(p.scaled(-1, n - 1) if i in axes else p for i, (p, n) in enumerate(zip(index, x.shape)))

    def lower(x, *, axes):
        return "rev", axes

    def samples(rng):
        yield (rng.normal(size=(2, 3, 4)),), {"axes": (0, 2)}


# ---- data movement -----------------------------------------------------------------------------------


@primitive
class concatenate:
    """The operands one after the other along `axis`"""

    linear = "together"
    form = "join"

    def infer(*xs, axis):
        first = xs[0]
        rest = [x.shape[:axis] + x.shape[axis + 1 :] for x in xs]
        if not 0 <= axis < first.ndim or any(r != rest[0] for r in rest):
            raise ShapeError(
                f"concatenate: {', '.join(map(str, xs))} do not fit along axis {axis}.",
                fix="all other axes must have equal sizes.",
            )
        if any(x.dtype != first.dtype for x in xs):
            raise DtypeError(
                f"concatenate: dtypes {', '.join(x.dtype.name for x in xs)} differ.",
                fix="convert them: x.astype(dtype).",
            )
        shape = first.shape[:axis] + (sum(x.shape[axis] for x in xs),) + first.shape[axis + 1 :]
        return first.update(shape=shape, weak_type=all(x.weak_type for x in xs))

    def jvp(primals, tangents, out, *, axis):
        filled = [zeros_like(x) if t is None else t for x, t in zip(primals, tangents)]
        return concatenate(*filled, axis=axis)

    def transpose(ct, *xs, axis):
        cotangents, begin = [], 0
        for x in xs:
            end = begin + x.shape[axis]
            cotangents.append(slice_axis(ct, axis, begin, end) if is_linear(x) else None)
            begin = end
        return tuple(cotangents)

    def batch(inputs, batched, *, axis):
        size = next(x.shape[0] for x, b in zip(inputs, batched) if b)
        return concatenate(*[x if b else add_batch_axis(x, size) for x, b in zip(inputs, batched)], axis=axis + 1)

    def accesses(index, *xs, axis):
        found, begin = [], 0
        for x in xs:
            found.append(tuple([p.scaled(1, -begin) if i == axis else p for i, p in enumerate(index)]))
            begin += x.shape[axis]
        return found

    def lower(*xs, axis):
        return "concatenate", (axis,)

    def samples(rng):
        yield (rng.normal(size=(2, 3)), rng.normal(size=(2, 1)), rng.normal(size=(2, 0))), {"axis": 1}
        yield (rng.normal(size=(2, 3)),), {"axis": 0}


@primitive
class pad:
    """x with `value` (0-d) around it: `low` before, `high` after, `interior` between elements, per axis.

    Negative low and high remove elements instead.
    """

    linear = "together"
    form = "join"

    def infer(x, value, *, low, high, interior):
        if not len(low) == len(high) == len(interior) == x.ndim or value.shape != () or any(i < 0 for i in interior):
            raise ShapeError(
                f"pad: needs low, high and interior >= 0 for each axis of {x} and a 0-d value, got {value}."
            )
        if value.dtype != x.dtype:
            raise DtypeError(f"pad: the value has dtype {value.dtype}, x has {x.dtype}.", fix="convert the value.")
        shape = tuple(a + b + n + max(n - 1, 0) * i for a, b, i, n in zip(low, high, interior, x.shape))
        if any(n < 0 for n in shape):
            raise ShapeError(f"pad: low {list(low)} and high {list(high)} remove more than {x} has.")
        return x.update(shape=shape)

    def jvp(primals, tangents, out, *, low, high, interior):
        dx, dvalue = tangents
        dx = zeros_like(primals[0]) if dx is None else dx
        return pad(dx, number(0, out) if dvalue is None else dvalue, low=low, high=high, interior=interior)

    def transpose(ct, x, value, *, low, high, interior):
        ct_x = ct_value = None
        if is_linear(x):
            unpadded = pad(
                ct, number(0, ct), low=tuple(-a for a in low), high=tuple(-b for b in high), interior=(0,) * x.ndim
            )
            step = tuple(i + 1 for i in interior)
            ct_x = slice_(unpadded, start=(0,) * x.ndim, limit=unpadded.shape, step=step)
        if is_linear(value):
            ones = broadcast_in_dim(number(1, ct), shape=x.shape, axes=())
            ct_value = sum_axes(_mask_out(ct, ones, low, high, interior), tuple(range(ct.ndim)))
        return ct_x, ct_value

    def batch(inputs, batched, *, low, high, interior):
        x, value = inputs
        if not batched[1]:
            return pad(x, value, low=(0, *low), high=(0, *high), interior=(0, *interior))
        from .elementwise import select

        size = value.shape[0]
        x = x if batched[0] else add_batch_axis(x, size)
        wide = {"low": (0, *low), "high": (0, *high), "interior": (0, *interior)}
        inside = pad(broadcast_in_dim(_true(x), shape=x.shape, axes=()), _false(x), **wide)
        return select(inside, pad(x, number(0, x), **wide), expand_leading(value, 1, x.ndim - 1))

    def accesses(index, x, value, *, low, high, interior):
        if any(gap and n > 1 for gap, n in zip(interior, x.shape)):
            return None
        return [tuple([p.scaled(1, -begin) for p, begin in zip(index, low)]), ()]

    def lower(x, value, *, low, high, interior):
        return "pad", (*low, *high, *interior)

    def samples(rng):
        yield (rng.normal(size=(2, 3)), np.array(1.5)), {"low": (1, 0), "high": (2, -1), "interior": (0, 2)}
        yield (rng.normal(size=(4,)), np.array(0.0)), {"low": (-1,), "high": (3,), "interior": (1,)}
        yield (rng.normal(size=(0,)), np.array(2.0)), {"low": (2,), "high": (1,), "interior": (1,)}


def _mask_out(ct, ones, low, high, interior):
    """ct with zeros where elements of x went."""
    from .elementwise import mul, sub

    return mul(ct, sub(number(1, ct), pad(ones, number(0, ones), low=low, high=high, interior=interior)))


@primitive
class slice_update:
    """x with x[start :: step] replaced by `update`, on every axis; step >= 1"""

    linear = "together"

    def infer(x, update, *, start, step):
        if not len(start) == len(step) == x.ndim == update.ndim:
            raise ShapeError(
                f"slice_update: needs a start and step for each axis of {x}, and an update of the same rank, not {update}."
            )
        if any(
            not 0 <= a <= m or s < 1 or (n and a + (n - 1) * s >= m)
            for a, s, n, m in zip(start, step, update.shape, x.shape)
        ):
            raise ShapeError(f"slice_update: {update} at {list(start)} with step {list(step)} does not lie within {x}.")
        if update.dtype != x.dtype:
            raise DtypeError(f"slice_update: dtypes {x.dtype} and {update.dtype} differ.", fix="convert the update.")
        return x

    def jvp(primals, tangents, out, *, start, step):
        dx, dupdate = [zeros_like(p) if t is None else t for p, t in zip(primals, tangents)]
        return slice_update(dx, dupdate, start=start, step=step)

    def transpose(ct, x, update, *, start, step):
        ct_x = slice_update(ct, zeros_like(update), start=start, step=step) if is_linear(x) else None
        if not is_linear(update):
            return ct_x, None
        limit = tuple(min(a + n * s, m) for a, n, s, m in zip(start, update.shape, step, x.shape))
        return ct_x, slice_(ct, start=start, limit=limit, step=step)

    def batch(inputs, batched, *, start, step):
        size = next(x.shape[0] for x, b in zip(inputs, batched) if b)
        x, update = [x if b else add_batch_axis(x, size) for x, b in zip(inputs, batched)]
        return slice_update(x, update, start=(0, *start), step=(1, *step))

    def lower(x, update, *, start, step):
        return "slice_update", (*start, *step)

    def samples(rng):
        yield (rng.normal(size=(5, 6)), rng.normal(size=(2, 3))), {"start": (1, 0), "step": (2, 2)}
        yield (rng.normal(size=(3,)), rng.normal(size=(0,))), {"start": (1,), "step": (1,)}


@primitive
class iota:
    """Numbers 0, 1, 2, ... along `axis` of an array of this shape and dtype; no operands"""

    form = "iota"

    def infer(*, shape, dtype, axis, device):
        if not 0 <= axis < len(shape) or any(n < 0 for n in shape):
            raise ShapeError(f"iota: {axis} is not an axis of shape {list(shape)}.")
        if dtype.kind == "b":
            raise DtypeError("iota gives numbers, not bool.", fix="compare them: iota != 0.")
        return make_aval(shape, dtype, device)

    def jvp(primals, tangents, out, **params):
        return None

    def lower(*, shape, dtype, axis, device):
        return "iota", (axis,)

    def samples(rng):
        from ..core.device import device

        yield (), {"shape": (2, 3), "dtype": dt.int32, "axis": 1, "device": device.cpu}
        yield (), {"shape": (3, 0), "dtype": dt.float32, "axis": 0, "device": device.cpu}


# ---- shorthands that rules use -----------------------------------------------------------------------


def reshape_to(x, shape):
    """x under `shape`; x itself if it has it."""
    return x if x.shape == shape else reshape(x, shape=shape)


def expand_leading(x, position, count):
    """x with `count` axes of size 1 inserted at `position`."""
    return reshape(x, shape=x.shape[:position] + (1,) * count + x.shape[position:]) if count else x


def add_batch_axis(x, size):
    """x repeated along a new leading axis."""
    return broadcast_in_dim(x, shape=(size, *x.shape), axes=tuple(range(1, x.ndim + 1)))


def filled_like(x, value):
    """`value` in the shape and type, weak or not, of x; an Array if x is one."""
    aval = x._node.aval
    scalar = wrap(scalar_constant(value, aval.dtype, aval.device, aval.weak_type, x._node.flags & ARRAY))
    return broadcast_in_dim(scalar, shape=aval.shape, axes=()) if aval.shape else scalar


def zeros_like(x):
    return filled_like(x, 0)


def sum_axes(x, axes):
    from .reduction import reduce_sum

    return reduce_sum(x, axes=axes) if axes else x


def unbroadcast(ct, x):
    """`ct` summed to the shape of `x`, which was broadcast to the shape of ct: the transpose of broadcasting."""
    if ct.shape == x.shape:
        return ct
    extra = ct.ndim - x.ndim
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(x.shape) if n == 1 and ct.shape[i + extra] != 1)
    return reshape_to(sum_axes(ct, axes), x.shape)


def slice_axis(x, axis, begin, end):
    """x[begin:end] along one axis."""
    start = tuple(begin if i == axis else 0 for i in range(x.ndim))
    limit = tuple(end if i == axis else n for i, n in enumerate(x.shape))
    return slice_(x, start=start, limit=limit, step=(1,) * x.ndim)


def _true(like):
    from .elementwise import convert_to

    return convert_to(number(1, like), dt.bool_)


def _false(like):
    from .elementwise import convert_to

    return convert_to(number(0, like), dt.bool_)
