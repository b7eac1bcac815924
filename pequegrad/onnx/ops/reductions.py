"""What takes axes away, and running sums."""

import math

import numpy as np

import pequegrad as pg

from ...core.dtype import is_float
from ...primitives import elementwise as e
from ..registry import op


def _sum(x, axes, keepdims):
    return pg.sum(x, axes, keepdims, dtype=x.dtype)


def _prod(x, axes, keepdims):
    return pg.prod(x, axes, keepdims, dtype=x.dtype)


def _mean(x, axes, keepdims):
    """Of integers the quotient towards zero."""
    if is_float(x.dtype):
        return pg.mean(x, axes, keepdims)
    total = _sum(x, axes, keepdims)
    count = x.size // max(1, total.size)
    return e.div(total, max(1, count))


def _extremum(function, of_none):
    """Maximum or minimum: of nothing it is the lowest or highest number."""

    def reduce(x, axes, keepdims):
        if x.dtype.kind == "b":
            return (pg.all if of_none > 0 else pg.any)(x, axes, keepdims)
        if x.size:
            return function(x, axes, keepdims)
        range_ = np.array([-np.inf, np.inf], x.dtype) if is_float(x.dtype) else np.iinfo(x.dtype)
        limits = range_ if is_float(x.dtype) else (range_.min, range_.max)
        shape = _sum(x.astype("int32"), axes, keepdims).shape
        return pg.full(shape, int(limits[of_none > 0]) if not is_float(x.dtype) else of_none, x.dtype)

    return reduce


def _through_floats(function):
    """Integers are computed as float64 and cut off."""

    def reduce(x, axes, keepdims):
        if is_float(x.dtype):
            return function(x, axes, keepdims)
        return function(x.astype("float64"), axes, keepdims).astype(x.dtype)

    return reduce


def _log_sum_exp(x, axes, keepdims):
    if x.size:
        return pg.logsumexp(x, axes, keepdims)
    return pg.log(_sum(pg.exp(x), axes, keepdims))


_REDUCTIONS = {
    "ReduceSum": _sum, "ReduceProd": _prod, "ReduceMean": _mean, "ReduceMax": _extremum(pg.max, -np.inf), "ReduceMin": _extremum(pg.min, np.inf),
    "ReduceL1": lambda x, axes, keepdims: _sum(pg.abs(x), axes, keepdims),
    "ReduceL2": _through_floats(lambda x, axes, keepdims: pg.sqrt(_sum(x * x, axes, keepdims))),
    "ReduceSumSquare": lambda x, axes, keepdims: _sum(x * x, axes, keepdims),
    "ReduceLogSum": _through_floats(lambda x, axes, keepdims: pg.log(_sum(x, axes, keepdims))),
    "ReduceLogSumExp": _through_floats(_log_sum_exp),
}  # fmt: skip


def _register(name, reduce, axes_are_input_since):
    @op(name)
    def with_attribute(data, *, axes=None, keepdims=1):
        return reduce(data, None if axes is None else tuple(axes), bool(keepdims))

    @op(name, since=axes_are_input_since, known=("axes",))
    def with_input(data, axes=None, *, keepdims=1, noop_with_empty_axes=0):
        axes = () if axes is None else tuple(int(a) for a in np.ravel(axes))
        return reduce(data, axes if axes or noop_with_empty_axes else None, bool(keepdims))


for _name, _reduce in _REDUCTIONS.items():
    _register(_name, _reduce, 13 if _name == "ReduceSum" else 18)


def _position(name, function):
    @op(name)
    def position(data, *, axis=0, keepdims=1, select_last_index=0):
        if not select_last_index:
            return function(data, axis, bool(keepdims), dtype="int64")
        return data.shape[axis] - 1 - function(pg.flip(data, axis), axis, bool(keepdims), dtype="int64")


_position("ArgMax", pg.argmax)
_position("ArgMin", pg.argmin)


@op("Hardmax")
def hardmax_1(x, *, axis=1):
    """Of the rows of x as a matrix whose rows are the axes from `axis` on."""
    axis = axis % x.ndim if x.ndim else 0
    rows = pg.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))
    return pg.reshape(hardmax(rows), x.shape)


@op("Hardmax", since=13)
def hardmax(x, *, axis=-1):
    return pg.moveaxis(pg.one_hot(pg.argmax(x, axis), x.shape[axis], dtype=x.dtype), -1, axis)


def _cumulative(name, since, function, neutral):
    @op(name, since=since, known=("axis",))
    def cumulative(x, axis, *, exclusive=0, reverse=0):
        axis = int(np.asarray(axis).reshape(())) % max(1, x.ndim)
        out = function(x, axis, dtype=x.dtype, reverse=bool(reverse))
        if not exclusive:
            return out
        n = x.shape[axis]
        kept = slice(1, n) if reverse else slice(0, max(0, n - 1))
        rest = out[(slice(None),) * axis + (kept,)]
        edge = pg.full(tuple(min(1, n) if a == axis else m for a, m in enumerate(x.shape)), neutral, x.dtype)
        return pg.concatenate([rest, edge] if reverse else [edge, rest], axis)


_cumulative("CumSum", 11, pg.cumsum, 0)
_cumulative("CumProd", 26, pg.cumprod, 1)
