"""Random closed graphs of cheap primitives, with arguments full of special values."""

import numpy as np

from pequegrad import dt
from pequegrad.primitives import cumulative, elementwise, mathematical, reduction, shape
from pequegrad.primitives.base import number
from pequegrad.primitives.contraction import dot_general
from pequegrad.transforms.graphs import graph_of

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, np.inf, -np.inf, np.nan, 1e-42, 3e38, 1e-8]
NUMBERS = [0, -0.0, 1, -1, 2, 0.5, 4, 3]
DTYPES = ["float32", "float32", "int32", "int8", "bool", "float16", "uint8", "complex64", "float64", "bfloat16"]


def values(rng, aval):
    """An array of special and ordinary values."""
    kind = aval.dtype.kind
    if kind == "b":
        return rng.integers(0, 2, aval.shape).astype(bool)
    if kind in "iu":
        limits = np.iinfo(aval.dtype)
        return rng.choice(np.array([0, 1, 2, 3, 7, limits.min, limits.max, limits.max - 1], aval.dtype), aval.shape)
    with np.errstate(over="ignore"):
        found = np.where(rng.random(aval.shape) < 0.5, rng.choice(SPECIAL, aval.shape), rng.normal(size=aval.shape))
        if kind == "c":
            found = found + 1j * rng.choice([0.0, 1.0, -0.5, 3.0], aval.shape)
        return found.astype(aval.dtype)


def random_graph(rng, avals, length=12):
    """A graph of about `length` random nodes on arguments of these avals; every value is a result."""

    def function(*arguments):
        made = list(arguments)
        while len(made) < len(arguments) + length:
            made.append(_step(rng, made[rng.integers(len(made))], made))
        return made[len(arguments) :]

    return graph_of("random", avals, function)


def _step(rng, x, others):
    steps = [_unary, _binary, _with_number, _view, _view, _view, _join, _reduce, _choose, _convert]
    return steps[rng.integers(len(steps))](rng, x, others)


def _partner(rng, x, others):
    """Another value of the dtype of x that broadcasts with it."""

    def fits(y):
        sizes = zip(x.shape[::-1], y.shape[::-1])
        return y.dtype == x.dtype and all(m == n or 1 in (m, n) for m, n in sizes) and max(x.ndim, y.ndim) <= 4

    found = [y for y in others if fits(y)]
    return found[rng.integers(len(found))]


def _unary(rng, x, others):
    kind = x.dtype.kind
    names = {"b": ["not_"], "i": ["not_", "neg", "abs_"], "u": ["not_", "neg", "abs_"], "c": ["conj", "neg", "real"]}
    names = names.get(kind, ["neg", "abs_", "floor", "sign", "integer_pow", "integer_pow"])
    name = names[rng.integers(len(names))]
    if name == "integer_pow":
        return mathematical.integer_pow(x, exponent=int(rng.integers(-1, 5)))
    return getattr(mathematical if name == "floor" else elementwise, name)(x)


def _binary(rng, x, others):
    y = _partner(rng, x, others)
    names = ["add", "sub", "mul", "eq"]
    if x.dtype.kind != "b":
        names.append("div")
    if x.dtype.kind in "biu":
        names += ["and_", "or_", "xor"]
    if x.dtype.kind != "c":
        names += ["max_", "min_", "lt", "ge"]
    if rng.random() < 0.5:
        x, y = y, x
    return getattr(elementwise, names[rng.integers(len(names))])(x, y)


def _with_number(rng, x, others):
    value = NUMBERS[rng.integers(len(NUMBERS))]
    if x.dtype.kind == "b":
        value = bool(value)
    elif x.dtype.kind in "iu":
        value = abs(int(value)) if x.dtype.kind == "u" else int(value)
    c = number(value, x)
    if rng.random() < 0.3:
        c = shape.broadcast_in_dim(c, shape=x.shape, axes=())
    names = ["add", "sub", "mul"] + (["div"] if x.dtype.kind != "b" else ["and_", "or_"])
    operands = (x, c) if rng.random() < 0.7 else (c, x)
    return getattr(elementwise, names[rng.integers(len(names))])(*operands)


def _view(rng, x, others):
    n = x.ndim
    pick = rng.integers(6)
    if pick == 0:
        sizes = [k for k in x.shape if k != 1 or rng.random() < 0.5]
        while len(sizes) < 4 and rng.random() < 0.5:
            sizes.insert(rng.integers(len(sizes) + 1), 1)
        return shape.reshape(x, shape=tuple(sizes))
    if pick == 1:
        return shape.transpose(x, permutation=tuple(int(p) for p in rng.permutation(n)))
    if pick == 2 and n < 4:
        count = int(rng.integers(n, 5))
        axes = tuple(sorted(int(a) for a in rng.choice(count, n, replace=False)))
        to = [int(k) for k in rng.integers(1, 4, count)]
        for k, a in zip(x.shape, axes):
            if k != 1:
                to[a] = k
        return shape.broadcast_in_dim(x, shape=tuple(to), axes=axes)
    if pick == 3:
        start = tuple(int(rng.integers(0, k)) if k else 0 for k in x.shape)
        limit = tuple(int(rng.integers(a, k + 1)) for a, k in zip(start, x.shape))
        return shape.slice_(x, start=start, limit=limit, step=tuple(int(s) for s in rng.integers(1, 3, n)))
    if pick == 4:
        return shape.rev(x, axes=tuple(i for i in range(n) if rng.random() < 0.5))
    return shape.reshape(x, shape=(x.size,))


def _join(rng, x, others):
    if not x.ndim:
        return x
    axis = int(rng.integers(x.ndim))
    pick = rng.integers(5)
    if pick == 0:
        return shape.concatenate(*[x] * int(rng.integers(1, 3)), axis=axis)
    if pick == 1:
        cut = int(rng.integers(0, x.shape[axis] + 1))
        parts = [shape.slice_axis(x, axis, 0, cut), shape.slice_axis(x, axis, cut, x.shape[axis])]
        return shape.concatenate(*parts, axis=axis)
    if pick == 2 and x.dtype.kind != "b":  # pads that tile
        cut = int(rng.integers(0, x.shape[axis] + 1))
        total = x.shape[axis]
        parts = [(0, cut), (cut, total)]
        zero = number(0, x)
        none = [0] * x.ndim
        padded = []
        for begin, end in parts:
            low, high = list(none), list(none)
            low[axis], high[axis] = begin, total - end
            part = shape.slice_axis(x, axis, begin, end)
            padded.append(shape.pad(part, zero, low=tuple(low), high=tuple(high), interior=tuple(none)))
        return elementwise.add(*padded)
    low, high = (tuple(int(v) for v in rng.integers(-1, 3, x.ndim)) if pick == 3 else (0,) * x.ndim for _ in range(2))
    if any(a + b + k < 0 or a < -k or b < -k for a, b, k in zip(low, high, x.shape)):
        return x
    return shape.pad(x, number(0, x), low=low, high=high, interior=(0,) * x.ndim)


def _reduce(rng, x, others):
    axes = tuple(i for i in range(x.ndim) if rng.random() < (0.9 if x.shape[i] == 1 else 0.3))
    kind = x.dtype.kind
    names = ["reduce_max", "reduce_min"] if kind != "c" else []
    if kind in "biu" or np.prod([x.shape[a] for a in axes]) <= 2:  # the order of longer sums follows the memory
        names += ["reduce_sum"] + (["reduce_prod"] if kind != "c" else [])
    if x.ndim and rng.random() < 0.2:
        return cumulative.cumsum(x, axis=int(rng.integers(x.ndim)), reverse=bool(rng.integers(2)))
    if x.ndim == 2 and kind == "f" and x.dtype != dt.float16 and rng.random() < 0.5:
        moved = shape.transpose(x, permutation=(1, 0))
        return dot_general(x, moved, contract=((1,), (0,)), batch=((), ()), dtype=x.dtype)
    return getattr(reduction, names[rng.integers(len(names))])(x, axes=axes) if names else x


def _choose(rng, x, others):
    conditions = [y for y in others if y.dtype.kind == "b" and y.shape == x.shape]
    which = conditions[rng.integers(len(conditions))] if conditions else elementwise.eq(x, x)
    y = _partner(rng, x, others)
    y = y if y.size <= x.size else x
    return elementwise.select(which, x, y) if rng.random() < 0.5 else elementwise.select(which, y, x)


def _convert(rng, x, others):
    names = [name for name in DTYPES if x.dtype.kind != "c" or name == "complex64"]
    dtype = getattr(dt, names[rng.integers(len(names))])
    return elementwise.convert(x, dtype=dtype, weak_type=False)
