"""Pooling, and what else is done with windows."""

import math

import numpy as np

from ...core.dtype import is_float
from .products import unless_ones
from .shapes import padded, spread
from .sizes import Varying, fixed
from .writer import Unsupported, rule

_EMPTY = {"sum": 0, "max": -np.inf, "min": np.inf}


@rule("reduce_window_max", "reduce_window_min", "reduce_window_sum")
def reduce_window(w, x, *, window, step, padding, base_dilation, dilation):
    kind = w.operation.primitive[14:]
    places = _Places(w, x, window, step, padding, dilation, _EMPTY[kind], base_dilation)
    if not places.active:
        return x
    if kind == "min":
        places.name = w("Neg", places.name)
        places.empty = -np.inf
    op = "AveragePool" if kind == "sum" else "MaxPool"
    found = places.pooled(op, w.out.shape, n=1)
    if kind != "sum":
        return w("Neg", found) if kind == "min" else found
    count = math.prod(window)
    total = w("Mul", found, w.number(count, x) if isinstance(count, int) else w.cast(w.number_of(count), x.dtype))
    w.counts[total] = count
    if places.plain:
        w.windows[total] = x.shape, window, step, padding, dilation
    return total


class _Places:
    """The places of a window over x, brought into the form [N, C, space ...] that pooling takes.

    name: of the array so far; active: the axes over which windows reach.
    """

    def __init__(self, w, x, window, step, padding, dilation, empty, base_dilation=None):
        if not is_float(x.dtype):
            raise Unsupported(f"of {x.dtype.name}")
        self.w, self.dtype, self.name, self.shape = w, x.dtype, x, list(x.shape)
        self.window, self.step, self.padding, self.dilation, self.empty = window, step, padding, dilation, empty
        self.padded = False
        for axis, gap in enumerate(base_dilation or ()):
            if gap > 1 and self.shape[axis] != 1:
                self.name = spread(w, self.name, self.shape, axis, gap - 1, w.constant(np.asarray(empty, x.dtype)))
                self.shape[axis] = (self.shape[axis] - 1) * gap + 1
        active = [i for i in range(x.ndim) if window[i] > 1 or step[i] > 1 or any(padding[i])]
        self.active = list(range(2, x.ndim)) if active and min(active) >= 2 and x.ndim <= 5 else active
        self.rest = [i for i in range(x.ndim) if i not in self.active]
        self.plain = self.rest == [0, 1] and not self.outside()  # what pooling takes as it is
        if len(self.active) > 3:
            raise Unsupported("over more than three axes")

    def outside(self):
        """True for padding that pooling does not take: negative, or as wide as a window."""
        return any(a < 0 or b < 0 or max(a, b) >= n for (a, b), n in zip(self.padding, self.window))

    def pooled(self, op, result, n):
        """The name of what a pooling operator gives, in the shape `result`; of n results a list."""
        w, name, padding = self.w, self.name, self.padding
        if self.outside():
            value = w.constant(np.asarray(self.empty, self.dtype))
            name = padded(w, name, value, [a for a, _ in padding], [b for _, b in padding])
            self.shape = [size + a + b for size, (a, b) in zip(self.shape, padding)]
            padding, self.padded = [(0, 0)] * len(padding), True
        order = [*self.rest, *self.active]
        if self.rest != [0, 1]:
            lead = math.prod(self.shape[i] for i in self.rest)
            name = w.reshape(w.transpose(name, order), (lead, 1, *[self.shape[i] for i in self.active]))
        found = self._pool(op, name, padding, n)
        if self.rest == [0, 1]:
            return found
        shape, back = [result[i] for i in order], tuple(int(i) for i in np.argsort(order))
        found = [w.transpose(w.reshape(name, shape), back) for name in (found if n > 1 else [found])]
        return found if n > 1 else found[0]

    def _pool(self, op, name, padding, n):
        w, of = self.w, lambda values: [values[i] for i in self.active]
        window, step, dilation = of(self.window), of(self.step), of(self.dilation)
        pads = [a for a, _ in of(padding)] + [b for _, b in of(padding)]
        whole = [self.shape[i] for i in self.active] == window and not any(pads)
        if whole and n == 1:
            return w(f"Global{op}", name)
        if not fixed(window):
            raise Unsupported("over windows of a free size")
        options = {"count_include_pad": 1 if any(pads) else None} if op == "AveragePool" else {}
        if op == "AveragePool" and any(d > 1 for d in dilation) and w.opset < 19:
            raise Unsupported("with dilation before operator set 19")
        return w(
            op, name, n=n, kernel_shape=window, strides=unless_ones(step), pads=pads if any(pads) else None,
            dilations=unless_ones(dilation), **options,
        )  # fmt: skip


# ---- where the best element lies ---------------------------------------------------------------------------


def _indices(w, x, largest, result, window, step, padding, dilation):
    """Flat indices into x, int64, in the shape `result`, one per place of the window; -1, or any where it covers no element."""
    if not fixed(x.shape):
        raise Unsupported("with free axes")
    numbers = np.arange(math.prod(x.shape)).reshape(x.shape)
    places = _Places(w, x, window, step, padding, dilation, -np.inf)
    if not places.active:
        return w.constant(numbers)
    if not largest:
        places.name = w("Neg", places.name)
    _, found = places.pooled("MaxPool", result, n=2)
    if places.plain:
        return found
    # indices are those of elements in the order in which pooling saw them, padding among them
    low, high = [a for a, _ in padding], [b for _, b in padding]
    if places.padded:
        numbers = np.pad(numbers, [(max(a, 0), max(b, 0)) for a, b in padding], constant_values=-1)
        numbers = numbers[tuple(slice(max(-a, 0), n - max(-b, 0)) for a, b, n in zip(low, high, numbers.shape))]
    seen = numbers.transpose([*places.rest, *places.active]).reshape(-1)
    return w("Gather", w.constant(np.ascontiguousarray(seen)), found, axis=0)


@rule("window_argmax", "window_argmin")
def window_arg(w, x, **params):
    found = _indices(w, x, w.operation.primitive == "window_argmax", w.out.shape, **params)
    return w.cast(found, w.out.dtype) if w.out.dtype != np.int64 else found


@rule("window_take")
def window_take(w, x, y, *, largest, **params):
    """The elements of y where MaxPool finds those of x."""
    places = _indices(w, x, largest, w.out.shape, **params)
    found = w("Gather", w.reshape(y, (-1,)), places, axis=0)
    covered = _covered(x.shape, w.out.shape, **params)
    return found if covered.all() else w("Where", w.constant(covered), found, w.number(0, y))


@rule("window_put")
def window_put(w, x, y, *, largest, **params):
    """Zeros, to which the elements of y are added where MaxPool finds those of x."""
    places = _indices(w, x, largest, y.shape, **params)
    covered = _covered(x.shape, y.shape, **params)
    if not covered.all():
        y = w("Where", w.constant(covered), y, w.number(0, y))
    size = math.prod(x.shape)
    zeros = w.expand(w.number(0, x), (size,))
    found = w("ScatterElements", zeros, w.reshape(places, (-1,)), w.reshape(y, (-1,)), axis=0, reduction="add")
    return w.reshape(found, x.shape)


def _covered(shape, places, **params):
    """For each place of the window whether it covers an element of x; a bool array with axes of size 1 where all do."""
    return covers(shape, places, **params) > 0


def covers(shape, places, window, step, padding, dilation):
    """How many elements of x each place of the window covers; int64 with axes of size 1 where all cover as many."""
    found = np.ones((1,) * len(shape), np.int64)
    for axis, (n, count) in enumerate(zip(shape, places)):
        if isinstance(n, Varying):
            continue
        first = np.arange(count) * step[axis] - padding[axis][0]
        under = first[:, None] + np.arange(window[axis]) * dilation[axis]
        here = ((under >= 0) & (under < n)).sum(1)
        here = here[:1] if (here == here[:1]).all() else here
        found = found * here.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return found


# ---- laid out ----------------------------------------------------------------------------------------------


@rule("windows")
def windows(w, x, *, axes, window, step, dilation):
    """Gathered, axis by axis: the places of a window, then what is under it."""
    found, n_axes = x, x.ndim
    for i, (a, size, s, d) in enumerate(zip(axes, window, step, dilation)):
        places = w.out.shape[a]
        if isinstance(places, Varying):
            raise Unsupported("of free axes")
        index = np.arange(places)[:, None] * s + np.arange(size) * d
        found = w("Gather", found, w.constant(index), axis=a)
        order = [j for j in range(n_axes + i + 1) if j != a + 1] + [a + 1]
        found = w.transpose(found, order)
    return found


@rule("overlap_add")
def overlap_add(w, x, *, axes, sizes, step, dilation):
    """Each axis of places and its axis of windows, as one, is added up where they belong (ScatterElements by rows)."""
    if not fixed(x.shape):
        raise Unsupported("of free axes")
    ndim = x.ndim - len(axes)
    at = [np.arange(n).reshape([n if i == j else 1 for i in range(x.ndim)]) for j, n in enumerate(x.shape)]
    total = np.zeros((1,) * x.ndim, np.int64)
    for a in range(ndim):
        place = at[a]
        if a in axes:
            i = axes.index(a)
            place = place * step[i] + at[ndim + i] * dilation[i]
        total = total + place * math.prod(w.out.shape[a + 1 :])
    places = np.broadcast_to(total, x.shape).reshape(-1)
    zeros = w.expand(w.number(0, x), (math.prod(w.out.shape),))
    found = w(
        "ScatterElements", zeros, w.constant(np.ascontiguousarray(places)), w.reshape(x, (-1,)), axis=0, reduction="add"
    )
    return w.reshape(found, w.out.shape)
