"""Reductions, cumulative ones, sorting."""

import numpy as np

from ...core.dtype import is_float
from .sizes import Varying
from .writer import Unsupported, rule

_REDUCTIONS = {
    "reduce_sum": "ReduceSum",
    "reduce_max": "ReduceMax",
    "reduce_min": "ReduceMin",
    "reduce_prod": "ReduceProd",
}
_ON_BOOL = {"reduce_sum": "ReduceMax", "reduce_prod": "ReduceMin", "reduce_and": "ReduceMin", "reduce_or": "ReduceMax"}

for _name in (*_REDUCTIONS, "reduce_and", "reduce_or"):

    @rule(_name)
    def reduce(w, x, *, axes, _name=_name):
        if x.dtype.kind == "b":
            if not axes:
                return x
            op = _ON_BOOL.get(_name, _REDUCTIONS.get(_name))
            return w.cast(w(op, w.cast(x, np.uint8), list(axes), keepdims=0), bool)
        if _name not in _REDUCTIONS:
            raise Unsupported("of integers, bit by bit")
        if not axes:
            return x
        found = w(_REDUCTIONS[_name], x, list(axes), keepdims=0)
        if _name == "reduce_sum":
            count = 1
            for axis in axes:
                count = x.shape[axis] * count
            w.counts[found] = count
        return found


@rule("argmax", "argmin")
def arg(w, x, *, axis, dtype):
    op = "ArgMax" if w.operation.primitive == "argmax" else "ArgMin"
    operand = w.cast(x, np.int32) if x.dtype.kind == "b" else x
    found = w(op, operand, axis=axis, keepdims=0)
    return found if w.out.dtype == np.int64 else w.cast(found, w.out.dtype)


# ---- cumulative ----------------------------------------------------------------------------------------------


@rule("cumsum")
def cumsum(w, x, *, axis, reverse):
    kind = x.dtype
    if kind.kind == "b":
        kind = np.dtype("int64")
    elif is_float(kind) and kind.itemsize < 4:
        kind = np.dtype("float32")
    operand = x if kind == x.dtype else w.cast(x, kind)
    found = w("CumSum", operand, w.constant(np.int64(axis)), reverse=int(reverse))
    return found if kind == x.dtype else w.cast(found, x.dtype)


def _combine_logsumexp(w, x, y):
    larger = w("Max", x, y)
    finite = w("Where", w("IsInf", larger), w("Sub", larger, larger), larger)
    total = w("Add", w("Exp", w("Sub", x, larger)), w("Exp", w("Sub", y, larger)))
    return w("Where", w("IsInf", larger), larger, w("Add", w("Log", total), finite))


_CUMULATIVE = {
    "cumprod": lambda w, x, y: w("Mul", x, y),
    "cummax": lambda w, x, y: w("Max", x, y),
    "cummin": lambda w, x, y: w("Min", x, y),
    "cumlogsumexp": _combine_logsumexp,
}


@rule(*_CUMULATIVE)
def cumulative(w, x, *, axis, reverse):
    """Each element with that before it, then with that two before, four ... (Hillis & Steele, 1986)."""
    n, dtype = x.shape[axis], x.dtype
    if isinstance(n, Varying):
        raise Unsupported("along a free axis")
    combine = _CUMULATIVE[w.operation.primitive]
    found = w.cast(x, np.uint8) if dtype.kind == "b" else x
    distance = 1
    while distance < n:
        low, high = ([0], [distance]) if reverse else ([distance], [0])
        first, last = ([0], [n - distance]) if reverse else ([distance], [n])
        partner = w.slice(found, [distance] if reverse else [0], [n] if reverse else [n - distance], [axis])
        done = combine(w, w.slice(found, first, last, [axis]), partner)
        rest = w.slice(found, [n - distance] if reverse else [0], [n] if reverse else [distance], [axis])
        found = w("Concat", *((done, rest) if reverse else (rest, done)), axis=axis)
        distance *= 2
    return w.cast(found, dtype) if dtype.kind == "b" else found


@rule("linear_recurrence")
def linear_recurrence(w, a, b, *, axis, reverse):
    """Pairs (a, b) of linear functions, composed as in `cumulative`."""
    n = a.shape[axis]
    if isinstance(n, Varying):
        raise Unsupported("along a free axis")
    distance = 1
    while distance < n:
        own, other = (0, distance) if reverse else (distance, 0)
        part = lambda x, begin: w.slice(x, [begin], [begin + n - distance], [axis])
        keep = lambda x: w.slice(x, [n - distance] if reverse else [0], [n] if reverse else [distance], [axis])
        join = lambda done, rest: w("Concat", *((done, rest) if reverse else (rest, done)), axis=axis)
        new_a = w("Mul", part(a, own), part(a, other))
        new_b = w("Add", w("Mul", part(a, own), part(b, other)), part(b, own))
        a, b = join(new_a, keep(a)), join(new_b, keep(b))
        distance *= 2
    return b


# ---- sorting -------------------------------------------------------------------------------------------------


@rule("top_k")
def top_k(w, x, *, k):
    boolean = x.dtype.kind == "b"
    values, positions = w("TopK", w.cast(x, np.int32) if boolean else x, [k], n=2)
    return [w.cast(values, bool) if boolean else values, w.cast(positions, w.operation.outputs[1].dtype)]


@rule("sort")
def sort(w, *xs, axis, num_keys):
    """By the last key first: TopK keeps the order of equal elements."""
    count = w.size(xs[0].shape[axis])
    order = None
    for key in reversed(xs[:num_keys]):
        operand = w.cast(key, np.int32) if key.dtype.kind == "b" else key
        operand = operand if order is None else w("GatherElements", operand, order, axis=axis)
        _, places = w("TopK", operand, count, n=2, axis=axis, largest=0)
        order = places if order is None else w("GatherElements", order, places, axis=axis)
    return [w("GatherElements", x, order, axis=axis) for x in xs]


@rule("searchsorted")
def searchsorted(w, rows, values, *, side):
    """How many are below: all are compared with all."""
    if rows.shape[-1] == 0:
        return w.expand(w.number(0, w.out), w.out.shape)
    left, right = w("Unsqueeze", rows, [-2]), w("Unsqueeze", values, [-1])
    below = w("Less" if side == "left" else "LessOrEqual", left, right)
    return w.cast(w("ReduceSum", w.cast(below, np.int64), [-1], keepdims=0), w.out.dtype)
