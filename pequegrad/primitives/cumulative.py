"""Cumulative reductions along one axis, forward or (`reverse`) from its end, and the linear recurrence.

Element i of the result combines elements 0 to i, and nan stays from where it first appears. Derivatives take memory of
the size of the operand: a tangent obeys a linear recurrence whose coefficients are known from the values.
"""

from ..core.dtype import is_float
from ..core.errors import DtypeError, ShapeError
from .base import PRIMITIVES, is_linear, number, primitive
from .elementwise import add, and_, complex_normal, convert_to, div, eq, gt, mul, not_, select, sub
from .mathematical import exp, is_finite
from .shape import add_batch_axis, pad


def shifted(x, axis, reverse, fill):
    """Element i - 1 of x at i (i + 1 if `reverse`), and `fill` where there is none."""
    by = tuple((-1 if reverse else 1) if i == axis else 0 for i in range(x.ndim))
    return pad(x, number(fill, x), low=by, high=tuple(-n for n in by), interior=(0,) * x.ndim)


class Cumulative:
    accepts = staticmethod(lambda dtype: dtype.kind != "K")
    accepted = "bool or a number dtype"

    def __init_subclass__(cls):
        name = cls.__name__

        def infer(x, *, axis, reverse):
            _check_axis(name, x, axis)
            if not cls.accepts(x.dtype):
                raise DtypeError(f"{name} takes {cls.accepted}, got {x}.", fix="convert it: x.astype(dtype).")
            return x

        cls.infer = infer
        cls.batch = lambda inputs, batched, *, axis, reverse: PRIMITIVES[name](
            inputs[0], axis=axis + 1, reverse=reverse
        )
        cls.lower = lambda x, *, axis, reverse: (name, (axis, int(reverse)))

    def samples(rng):
        yield (rng.normal(size=(2, 5, 3)),), {"axis": 1, "reverse": False}
        yield (rng.normal(size=(2, 5)),), {"axis": 1, "reverse": True}
        yield (rng.normal(size=(1,)),), {"axis": 0, "reverse": False}
        yield (rng.normal(size=(3, 0)),), {"axis": 1, "reverse": True}


def _check_axis(name, x, axis):
    if not 0 <= axis < x.ndim:
        raise ShapeError(
            f"{name}: {axis} is not an axis of {x}.",
            fix=f"use an axis between 0 and {x.ndim - 1}." if x.ndim else "a 0-d array has no axes.",
        )


@primitive
class cumsum(Cumulative):
    """Sums of the first elements; on bool: or. float32 adds up in float64, 16-bit floats in float32"""

    linear = "together"

    def jvp(primals, tangents, out, *, axis, reverse):
        return cumsum(tangents[0], axis=axis, reverse=reverse)

    def transpose(ct, x, *, axis, reverse):
        return (cumsum(ct, axis=axis, reverse=not reverse),)


@primitive
class cumprod(Cumulative):
    """Products of the first elements; on bool: and"""

    def jvp(primals, tangents, out, *, axis, reverse):
        # p[i] = x[i] p[i-1], so dp[i] = x[i] dp[i-1] + p[i-1] dx[i]: right for zeros, too
        before = shifted(out, axis, reverse, 1)
        return linear_recurrence(primals[0], mul(before, tangents[0]), axis=axis, reverse=reverse)

    def samples(rng):
        yield from Cumulative.samples(rng)
        yield (rng.normal(size=(2, 5)) * [[1, 0.0, 1, 1, 1], [0, 1, 1, 0, 1]],), {"axis": 1, "reverse": False}
        yield (complex_normal(rng, 2, 3),), {"axis": 1, "reverse": True}


class CumulativeExtremum(Cumulative):
    """The derivative is shared equally among the elements so far that attain the extremum, as in reduce_max."""

    accepts = staticmethod(lambda dtype: dtype.kind not in "cK")
    accepted = "a dtype with an order"

    def jvp(primals, tangents, out, *, axis, reverse):
        (x,), (dx,) = primals, tangents
        attained = convert_to(eq(x, out), x.dtype)
        same = convert_to(eq(out, shifted(out, axis, reverse, 0)), x.dtype)
        total, count = (linear_recurrence(same, v, axis=axis, reverse=reverse) for v in (mul(dx, attained), attained))
        return div(total, count)


@primitive
class cummax(CumulativeExtremum):
    """The largest of the first elements; on bool: or"""


@primitive
class cummin(CumulativeExtremum):
    """The smallest of the first elements; on bool: and"""


@primitive
class cumlogsumexp(Cumulative):
    """log(sum(exp)) of the first elements, without overflow"""

    accepts = staticmethod(is_float)
    accepted = "a real floating dtype"

    def jvp(primals, tangents, out, *, axis, reverse):
        # exp(y[i]) = exp(y[i-1]) + exp(x[i]): weights that add up to 1
        (x,), (dx,) = primals, tangents
        before = shifted(out, axis, reverse, float("-inf"))
        own = mul(_weight(x, out), dx)
        return linear_recurrence(_weight(before, out), own, axis=axis, reverse=reverse)


def _weight(part, whole):
    """exp(part - whole); 1 where both are inf, 0 where both are -inf."""
    both_infinite = and_(eq(part, whole), not_(is_finite(part)))
    constant = select(gt(part, number(0, part)), number(0, part), number(float("-inf"), part))
    return exp(select(both_infinite, constant, sub(part, whole)))


@primitive
class linear_recurrence:
    """h with h[i] = a[i] * h[i-1] + b[i] along `axis`, from h = 0; `reverse`: h[i] = a[i] * h[i+1] + b[i]

    a, b: one shape and dtype, a number dtype. 16-bit floats are computed in float32.
    """

    def infer(a, b, *, axis, reverse):
        _check_axis("linear_recurrence", a, axis)
        if a.shape != b.shape:
            raise ShapeError(f"linear_recurrence: a {a} and b {b} must have one shape.", fix="broadcast one of them.")
        if a.dtype != b.dtype or a.dtype.kind == "b":
            raise DtypeError(
                f"linear_recurrence: a {a} and b {b} must have one number dtype.", fix="convert one: x.astype(dtype)."
            )
        return a.update(weak_type=a.weak_type and b.weak_type)

    def jvp(primals, tangents, out, *, axis, reverse):
        (a, _), (da, db) = primals, tangents
        driven = db
        if da is not None:
            through_a = mul(da, shifted(out, axis, reverse, 0))
            driven = through_a if db is None else add(through_a, db)
        return linear_recurrence(a, driven, axis=axis, reverse=reverse)

    def transpose(ct, a, b, *, axis, reverse):
        # the tangents that jvp makes are linear in b alone
        back = linear_recurrence(shifted(a, axis, not reverse, 0), ct, axis=axis, reverse=not reverse)
        return None, back if is_linear(b) else None

    def batch(inputs, batched, *, axis, reverse):
        size = next(x.shape[0] for x, flag in zip(inputs, batched) if flag)
        a, b = [x if flag else add_batch_axis(x, size) for x, flag in zip(inputs, batched)]
        return linear_recurrence(a, b, axis=axis + 1, reverse=reverse)

    def lower(a, b, *, axis, reverse):
        return "linear_recurrence", (axis, int(reverse))

    def samples(rng):
        yield (rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5, 3))), {"axis": 1, "reverse": False}
        yield (rng.normal(size=(2, 5)), rng.normal(size=(2, 5))), {"axis": 1, "reverse": True}
        yield (rng.normal(size=(2, 0)), rng.normal(size=(2, 0))), {"axis": 1, "reverse": False}
        yield (rng.integers(-3, 4, (2, 4)), rng.integers(-3, 4, (2, 4))), {"axis": 0, "reverse": False}
