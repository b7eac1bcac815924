"""Reductions over a sorted tuple of axes, which disappear."""

import math

from ..core.dtype import dt, is_integer
from ..core.errors import DtypeError, ShapeError
from .base import primitive
from .elementwise import complex_normal, conversion_of, convert_to, div, eq, mul
from .shape import broadcast_in_dim, reshape, transpose


def keep_axes(x, shape, axes):
    """x, from which `axes` were reduced, broadcast to `shape` again."""
    return broadcast_in_dim(x, shape=shape, axes=tuple(i for i in range(len(shape)) if i not in axes))


class Reduction:
    """`combine` names the elementwise operation whose repetition it is."""

    form = "reduction"

    def __init_subclass__(cls):
        from .base import PRIMITIVES

        name = cls.__name__

        def infer(x, *, axes):
            if any(not 0 <= a < x.ndim for a in axes) or list(axes) != sorted(set(axes)):
                raise ShapeError(
                    f"{name}: {list(axes)} are not axes of {x}.", fix=f"use axes between 0 and {x.ndim - 1}, each once."
                )
            if not cls.accepts(x.dtype):
                raise DtypeError(f"{name} takes {cls.accepted}, got {x}.", fix=cls.fix)
            return x.update(shape=tuple(n for i, n in enumerate(x.shape) if i not in axes))

        cls.infer = infer
        cls.batch = lambda inputs, batched, *, axes: PRIMITIVES[name](inputs[0], axes=tuple(a + 1 for a in axes))
        cls.lower = lambda x, *, axes: (name, axes)

    accepts = staticmethod(lambda dtype: dtype.kind != "K")
    accepted = "bool or a number dtype"
    fix = None

    def samples(rng):
        yield (rng.normal(size=(2, 3, 4)),), {"axes": (1,)}
        yield (rng.normal(size=(2, 3)),), {"axes": (0, 1)}
        yield (rng.normal(size=(3,)),), {"axes": ()}
        yield (rng.normal(size=(0, 3)),), {"axes": (1,)}
        yield (complex_normal(rng, 2, 3, 4),), {"axes": (0, 2)}


@primitive
class reduce_sum(Reduction):
    """The sum; 0 of nothing; on bool: any"""

    linear = "together"
    combine = "add"

    def jvp(primals, tangents, out, *, axes):
        return reduce_sum(tangents[0], axes=axes)

    def transpose(ct, x, *, axes):
        return (keep_axes(ct, x.shape, axes),)


class Extremum(Reduction):
    """The derivative is shared equally among the elements that attain the extremum, as in JAX."""

    accepts = staticmethod(lambda dtype: dtype.kind not in "cK")
    accepted = "a dtype with an order"
    fix = conversion_of(dt.complex64)

    def jvp(primals, tangents, out, *, axes):
        (x,), (dx,) = primals, tangents
        attained = convert_to(eq(x, keep_axes(out, x.shape, axes)), x.dtype)
        return div(reduce_sum(mul(dx, attained), axes=axes), reduce_sum(attained, axes=axes))

    def samples(rng):
        yield (rng.normal(size=(2, 3, 4)),), {"axes": (1,)}
        yield (rng.normal(size=(2, 3)),), {"axes": (0, 1)}
        yield (rng.normal(size=(3, 2)),), {"axes": (0,)}


@primitive
class reduce_max(Extremum):
    """The largest element; nan if there is one; -inf or the lowest integer of nothing"""

    combine = "max"


@primitive
class reduce_min(Extremum):
    """The smallest element; nan if there is one; inf or the highest integer of nothing"""

    combine = "min"


@primitive
class reduce_prod(Reduction):
    """The product; 1 of nothing; on bool: all"""

    combine = "mul"

    def jvp(primals, tangents, out, *, axes):
        # d prod = sum_i dx_i * prod_{j != i} x_j: what is before i times what is behind it, right for zeros, too
        (x,), (dx,) = primals, tangents
        from .cumulative import cumprod, shifted

        if not axes:
            return dx
        kept = tuple(i for i in range(x.ndim) if i not in axes)
        shape = tuple(x.shape[i] for i in kept)
        count = math.prod(x.shape[a] for a in axes)
        x, dx = [reshape(transpose(v, permutation=kept + axes), shape=(*shape, count)) for v in (x, dx)]
        last = len(shape)
        before, behind = (
            shifted(cumprod(x, axis=last, reverse=reverse), last, reverse, 1) for reverse in (False, True)
        )
        return reduce_sum(mul(dx, mul(before, behind)), axes=(last,))

    def samples(rng):
        yield (rng.normal(size=(2, 3, 4)),), {"axes": (0, 2)}
        yield (rng.normal(size=(3,)),), {"axes": ()}
        yield (rng.normal(size=(2, 3)) * [[0.0, 1, 1], [0, 0, 1]],), {"axes": (1,)}
        yield (complex_normal(rng, 2, 3),), {"axes": (1,)}


class Logical(Reduction):
    accepts = staticmethod(lambda dtype: dtype.kind == "b" or is_integer(dtype))
    accepted = "bool or an integer dtype"
    fix = "compare it first: x != 0."

    def jvp(primals, tangents, out, *, axes):
        return None

    def samples(rng):
        yield (rng.integers(0, 2, (2, 3)).astype(bool),), {"axes": (1,)}
        yield (rng.integers(0, 9, (2, 3)),), {"axes": (0, 1)}


@primitive
class reduce_and(Logical):
    """True if all are; bitwise on integers"""

    combine = "and"


@primitive
class reduce_or(Logical):
    """True if any is; bitwise on integers"""

    combine = "or"


class Position:
    def __init_subclass__(cls):
        from .base import PRIMITIVES

        name = cls.__name__

        def infer(x, *, axis, dtype):
            if not 0 <= axis < x.ndim:
                raise ShapeError(
                    f"{name}: {axis} is not an axis of {x}.", fix=f"use an axis between 0 and {x.ndim - 1}."
                )
            if x.dtype.kind in "cK":
                raise DtypeError(f"{name} takes a dtype with an order, got {x}.", fix=conversion_of(x.dtype))
            if not x.shape[axis]:
                raise ShapeError(f"{name}: axis {axis} of {x} is empty: nothing has a position there.")
            if dtype not in (dt.int32, dt.int64):
                raise DtypeError(f"{name}: positions are int32 or int64, not {dtype}.", fix="convert the result.")
            return x.update(shape=x.shape[:axis] + x.shape[axis + 1 :], dtype=dtype, weak_type=False)

        cls.infer = infer
        cls.batch = lambda inputs, batched, *, axis, dtype: PRIMITIVES[name](inputs[0], axis=axis + 1, dtype=dtype)
        cls.lower = lambda x, *, axis, dtype: (name, (axis,))

    def jvp(primals, tangents, out, *, axis, dtype):
        return None

    def samples(rng):
        yield (rng.normal(size=(2, 3, 4)),), {"axis": 1, "dtype": dt.int32}
        yield (rng.integers(0, 2, (3, 5)).astype("f4"),), {"axis": 1, "dtype": dt.int64}


@primitive
class argmax(Position):
    """The index of the first largest element along `axis`; of the first nan, if there is one"""


@primitive
class argmin(Position):
    """The index of the first smallest element along `axis`; of the first nan, if there is one"""
