"""Windows that slide over an array: reduced, searched, or laid out as axes of their own."""

import math

import numpy as np

from ..core.dtype import dt, is_float
from ..core.errors import DtypeError, ShapeError
from .base import number, primitive
from .convolution import dilated, output_size
from .elementwise import complex_normal, convert_to, lt, mul, select, sub
from .shape import add_batch_axis, expand_leading, iota, pad, slice_, zeros_like

# ---- reduced -----------------------------------------------------------------------------------------


def _infer_windows(name, x, window, step, padding, base_dilation, dilation):
    """The shape of one result per place of the window; parameters have one entry per axis of x."""
    if any(len(values) != x.ndim for values in (window, step, padding, base_dilation, dilation)):
        raise ShapeError(
            f"{name}: {x} needs one window size, step, padding and dilation per axis.", fix="use 1 and (0, 0) for none."
        )
    if any(n < 1 for values in (window, step, base_dilation, dilation) for n in values):
        raise ShapeError(
            f"{name}: window {window}, step {step} and dilations {base_dilation}, {dilation} must be at least 1."
        )
    if any(dilated(n, b) + sum(p) < 0 for n, b, p in zip(x.shape, base_dilation, padding)):
        raise ShapeError(
            f"{name}: padding {padding} removes more of {x} than there is.", fix="use less negative padding."
        )
    return tuple(map(output_size, x.shape, window, step, padding, base_dilation, dilation))


def _flat(window, step, padding, base_dilation, dilation):
    rows = zip(window, step, padding, base_dilation, dilation)
    return tuple(n for w, s, (low, high), b, d in rows for n in (w, s, low, high, b, d))


def _wider(window, step, padding, base_dilation, dilation):
    """The parameters for an array with one more leading axis."""
    return {
        "window": (1, *window),
        "step": (1, *step),
        "padding": ((0, 0), *padding),
        "base_dilation": (1, *base_dilation),
        "dilation": (1, *dilation),
    }


def _samples(rng, searched=False):
    def params(window, step, padding, base=None, dilation=None):
        ones = (1,) * len(window)
        lists = {"base_dilation": base or ones, "dilation": dilation or ones}
        return {"window": window, "step": step, "padding": padding, **lists}

    f = lambda *shape: np.reshape(rng.permutation(math.prod(shape)) + 0.25, shape)
    yield f(2, 5, 6), params((1, 2, 2), (1, 2, 2), ((0, 0), (0, 1), (0, 0)))
    yield f(2, 7, 3), params((1, 3, 1), (1, 2, 1), ((0, 0), (1, 1), (0, 0)), dilation=(1, 2, 1))
    yield f(9), params((3,), (1,), ((2, -1),))
    yield f(4, 5), params((2, 3), (1, 1), ((-1, 1), (0, 2)))
    yield f(4, 3), params((3, 1), (1, 1), ((0, 0), (0, 0)))
    yield f(2, 2), params((3, 3), (1, 1), ((0, 0), (0, 0)))
    yield f(0, 3), params((1, 2), (1, 1), ((0, 0), (0, 0)))
    yield f(), params((), (), ())
    if searched:
        yield f(2, 3), params((2, 2), (1, 1), ((4, 0), (0, 0)))  # windows without elements
    else:
        yield f(4, 3), params((2, 3), (1, 2), ((1, 0), (2, 1)), base=(2, 3), dilation=(3, 1))


class WindowReduction:
    def __init_subclass__(cls):
        from .base import PRIMITIVES

        name = cls.__name__

        def infer(x, *, window, step, padding, base_dilation, dilation):
            if x.dtype.kind == ("b" if name == "reduce_window_sum" else "c"):
                fix = "take the absolute value: abs(x)." if x.dtype.kind == "c" else "convert it: x.astype(dt.int32)."
                raise DtypeError(f"{name} does not take {x.dtype}.", fix=fix)
            return x.update(shape=_infer_windows(name, x, window, step, padding, base_dilation, dilation))

        cls.infer = infer
        cls.batch = lambda inputs, batched, **params: PRIMITIVES[name](inputs[0], **_wider(**params))
        cls.lower = lambda x, **params: (name, _flat(**params))

    def samples(rng):
        return (((x,), params) for x, params in _samples(rng))


@primitive
class reduce_window_sum(WindowReduction):
    """The sum of the elements under each place of a window; 0 where there are none

    All parameters are tuples with one entry per axis. padding: (before, after), may be negative. base_dilation,
    dilation: the distance of neighbouring elements of x and of neighbours in the window.
    """

    linear = "together"

    def samples(rng):
        yield from WindowReduction.samples(rng)
        ((x,), params), *_ = WindowReduction.samples(rng)
        yield (complex_normal(rng, *x.shape),), params

    def jvp(primals, tangents, out, **params):
        return reduce_window_sum(tangents[0], **params)

    def transpose(ct, x, *, window, step, padding, base_dilation, dilation):
        """ct, spread by the step, summed under the window as it slides over the elements of x."""
        if not ct._node.aval.size:
            return (zeros_like(x),)
        pads = []
        for n, m, w, s, (low, _), b, d in zip(x.shape, ct.shape, window, step, padding, base_dilation, dilation):
            before = dilated(w, d) - low - 1
            pads.append((before, dilated(n, b) + dilated(w, d) - 1 - dilated(m, s) - before))
        return (
            reduce_window_sum(
                ct, window=window, step=base_dilation, padding=tuple(pads), base_dilation=step, dilation=dilation
            ),
        )


def _extremum_jvp(largest, primals, tangents, window, step, padding, base_dilation, dilation):
    (x,), (dx,) = primals, tangents
    if any(b > 1 for b in base_dilation):
        spread = {"low": (0,) * x.ndim, "high": (0,) * x.ndim, "interior": tuple(b - 1 for b in base_dilation)}
        x, dx = pad(x, number(-math.inf if largest else math.inf, x), **spread), pad(dx, number(0, dx), **spread)
    return window_take(x, dx, largest=largest, window=window, step=step, padding=padding, dilation=dilation)


@primitive
class reduce_window_max(WindowReduction):
    """The largest element under each place of a window, nan if there is one; -inf or the lowest integer of nothing

    Parameters as for reduce_window_sum. The derivative belongs to the first of the largest elements, as in JAX.
    """

    def jvp(primals, tangents, out, **params):
        return _extremum_jvp(True, primals, tangents, **params)


@primitive
class reduce_window_min(WindowReduction):
    """The smallest element under each place of a window, nan if there is one; inf or the highest integer of nothing

    Parameters as for reduce_window_sum. The derivative belongs to the first of the smallest elements, as in JAX.
    """

    def jvp(primals, tangents, out, **params):
        return _extremum_jvp(False, primals, tangents, **params)


# ---- searched ----------------------------------------------------------------------------------------


class WindowSearch:
    def __init_subclass__(cls):
        from .base import PRIMITIVES

        name = cls.__name__

        def infer(x, *, window, step, padding, dilation):
            if x.dtype.kind == "c":
                raise DtypeError(f"{name}: complex numbers have no order, got {x}.", fix="use abs(x).")
            shape = _infer_windows(name, x, window, step, padding, (1,) * x.ndim, dilation)
            if math.prod(window) > 2**31 - 1:
                raise ShapeError(f"{name}: a window of {window} has too many elements.", fix="at most 2**31 - 1.")
            return x.update(shape=shape, dtype=dt.int32 if x.size < 2**31 else dt.int64, weak_type=False)

        def batch(inputs, batched, *, window, step, padding, dilation):
            (x,) = inputs
            wide = _wider(window, step, padding, (1,) * len(window), dilation)
            del wide["base_dilation"]
            found = PRIMITIVES[name](x, **wide)  # counts through all examples: made to count from each one's first
            size = math.prod(x.shape[1:])
            row = iota(shape=(x.shape[0],), dtype=found.dtype, axis=0, device=x.device)
            before = expand_leading(mul(row, number(size, row)), 1, x.ndim - 1)
            found = select(lt(found, number(0, found)), found, sub(found, before))
            return convert_to(found, dt.int32 if size < 2**31 else dt.int64)

        cls.infer, cls.batch = infer, batch
        cls.lower = lambda x, *, window, step, padding, dilation: (
            name,
            _flat(window, step, padding, (1,) * len(window), dilation),
        )

    def jvp(primals, tangents, out, **params):
        return None

    def samples(rng):
        for x, params in _samples(rng, searched=True):
            params.pop("base_dilation")
            yield (x,), params


@primitive
class window_argmax(WindowSearch):
    """The row-major index in x of the largest element under each place of a window; -1 where there are none

    The first nan, or the first of the largest. Parameters as for reduce_window_sum, without base_dilation.
    """


@primitive
class window_argmin(WindowSearch):
    """The row-major index in x of the smallest element under each place of a window; -1 where there are none

    The first nan, or the first of the smallest. Parameters as for reduce_window_sum, without base_dilation.
    """


# ---- taken from, and put to, where the best element is -------------------------------------------------


def _infer_pair(name, x, y, shape, what):
    if x.dtype != y.dtype or not is_float(x.dtype):
        raise DtypeError(f"{name} takes two arrays of one floating dtype, got {x} and {y}.", fix="convert one of them.")
    if y.shape != shape:
        raise ShapeError(f"{name}: y {y} must have {what} {x}: {list(shape)}.")


def _batched_pair(inputs, batched, largest, window, step, padding, dilation):
    size = next(v.shape[0] for v, b in zip(inputs, batched) if b)
    wide = _wider(window, step, padding, (1,) * len(window), dilation)
    del wide["base_dilation"]
    return [v if b else add_batch_axis(v, size) for v, b in zip(inputs, batched)], {"largest": largest, **wide}


def _lower_pair(name, largest, window, step, padding, dilation):
    return name, (int(not largest), *_flat(window, step, padding, (1,) * len(window), dilation))


def _pair_samples(rng, per_window):
    for largest in (True, False):
        for x, params in _samples(rng, searched=True):
            shape = tuple(output_size(*row) for row in zip(x.shape, *params.values())) if per_window else x.shape
            params.pop("base_dilation")
            yield (x, rng.normal(size=shape)), {"largest": largest, **params}


@primitive
class window_take:
    """The element of y where x has its largest (or smallest) under each place of a window; 0 where there are none

    y has the shape of x; the result is linear in y. The first nan of x, or the first of the best. Parameters as for
    reduce_window_sum, without base_dilation.
    """

    def infer(x, y, *, largest, window, step, padding, dilation):
        _infer_pair("window_take", x, y, x.shape, "the shape of")
        return y.update(shape=_infer_windows("window_take", x, window, step, padding, (1,) * x.ndim, dilation))

    def jvp(primals, tangents, out, **params):
        return None if tangents[1] is None else window_take(primals[0], tangents[1], **params)

    def transpose(ct, x, y, **params):
        return None, window_put(x, ct, **params)

    def batch(inputs, batched, **params):
        inputs, params = _batched_pair(inputs, batched, **params)
        return window_take(*inputs, **params)

    def lower(x, y, **params):
        return _lower_pair("window_take", **params)

    def samples(rng):
        return _pair_samples(rng, per_window=False)


@primitive
class window_put:
    """The elements of y, one per place of a window, added up where x has its largest (or smallest) element there

    The transpose of window_take, of the shape of x: elements of x that are no window's best get 0.
    """

    def infer(x, y, *, largest, window, step, padding, dilation):
        shape = _infer_windows("window_put", x, window, step, padding, (1,) * x.ndim, dilation)
        _infer_pair("window_put", x, y, shape, "one element per window of")
        return y.update(shape=x.shape)

    def jvp(primals, tangents, out, **params):
        return None if tangents[1] is None else window_put(primals[0], tangents[1], **params)

    def transpose(ct, x, y, **params):
        return None, window_take(x, ct, **params)

    def batch(inputs, batched, **params):
        inputs, params = _batched_pair(inputs, batched, **params)
        return window_put(*inputs, **params)

    def lower(x, y, **params):
        return _lower_pair("window_put", **params)

    def samples(rng):
        return _pair_samples(rng, per_window=True)


# ---- laid out ----------------------------------------------------------------------------------------


@primitive
class windows:
    """A view of the windows of x: axis axes[i] becomes the places of the window, a new last axis what is under it

    out[.. p .., k..] = x[.. p * step + k * dilation .., ]; axes ascend, and each has its size, step and dilation.
    No memory is used: im2col is this view, copied in the order that is wanted.
    """

    linear = "together"

    def infer(x, *, axes, window, step, dilation):
        shape = list(x.shape)
        if not len(axes) == len(window) == len(step) == len(dilation) or list(axes) != sorted(set(axes)):
            raise ShapeError(f"windows: axes {axes} of {x} need one size, step and dilation each, and must ascend.")
        for a, w, s, d in zip(axes, window, step, dilation):
            if not 0 <= a < x.ndim or w < 1 or s < 1 or d < 1 or (w > 1 and dilated(w, d) > x.shape[a]):
                raise ShapeError(
                    f"windows: a window of {w} with step {s} and dilation {d} does not fit axis {a} of {x}.",
                    fix="use a smaller window, or pad x first.",
                )
            shape[a] = output_size(x.shape[a], w, s, (0, 0), 1, d)
        return x.update(shape=(*shape, *window))

    def jvp(primals, tangents, out, **params):
        return windows(tangents[0], **params)

    def transpose(ct, x, *, axes, window, step, dilation):
        params = {"axes": axes, "sizes": tuple(x.shape[a] for a in axes), "step": step, "dilation": dilation}
        return (overlap_add(ct, **params),)

    def batch(inputs, batched, *, axes, **params):
        return windows(inputs[0], axes=tuple(a + 1 for a in axes), **params)

    def lower(x, *, axes, window, step, dilation):
        return "windows", tuple(n for row in zip(axes, window, step, dilation) for n in row)

    def samples(rng):
        f = lambda *shape: rng.normal(size=shape)
        yield (f(2, 5, 6),), {"axes": (1, 2), "window": (2, 3), "step": (1, 2), "dilation": (2, 1)}
        yield (f(7, 2),), {"axes": (0,), "window": (3,), "step": (3,), "dilation": (1,)}
        yield (complex_normal(rng, 7, 2),), {"axes": (0,), "window": (3,), "step": (2,), "dilation": (1,)}
        yield (f(3),), {"axes": (), "window": (), "step": (), "dilation": ()}
        yield (f(0, 4),), {"axes": (1,), "window": (4,), "step": (5,), "dilation": (1,)}


@primitive
class overlap_add:
    """x[.. p .., k..] added up at p * step + k * dilation: the transpose of `windows`

    The last len(axes) axes of x are the windows; `sizes` are the sizes of the axes in the result.
    """

    linear = "together"

    def infer(x, *, axes, sizes, step, dilation):
        n = len(axes)
        ndim = x.ndim - n
        if not n == len(sizes) == len(step) == len(dilation) or list(axes) != sorted(set(axes)) or ndim < n:
            raise ShapeError(f"overlap_add: axes {axes} of {x} need one size, step and dilation each, and must ascend.")
        if x.dtype.kind == "b":
            raise DtypeError(f"overlap_add takes numbers, got {x}.", fix="convert it: x.astype(dt.int32).")
        shape = list(x.shape[:ndim])
        for a, size, s, d, w in zip(axes, sizes, step, dilation, x.shape[ndim:]):
            places = shape[a] if 0 <= a < ndim else 0
            if not 0 <= a < ndim or s < 1 or d < 1 or (w and places and (places - 1) * s + (w - 1) * d >= size):
                raise ShapeError(
                    f"overlap_add: {places} windows of {w} with step {s} and dilation {d} do not fit in {size} elements.",
                    fix="(places - 1) * step + (window - 1) * dilation must be below the size.",
                )
            shape[a] = size
        return x.update(shape=tuple(shape))

    def jvp(primals, tangents, out, **params):
        return overlap_add(tangents[0], **params)

    def transpose(ct, x, *, axes, sizes, step, dilation):
        window = x.shape[x.ndim - len(axes) :]
        if not x._node.aval.size:
            return (zeros_like(x),)
        used = list(ct.shape)  # elements after the last window belong to none
        for a, w, s, d in zip(axes, window, step, dilation):
            used[a] = (x.shape[a] - 1) * s + dilated(w, d)
        ct = slice_(ct, start=(0,) * ct.ndim, limit=tuple(used), step=(1,) * ct.ndim)
        return (windows(ct, axes=axes, window=window, step=step, dilation=dilation),)

    def batch(inputs, batched, *, axes, **params):
        return overlap_add(inputs[0], axes=tuple(a + 1 for a in axes), **params)

    def lower(x, *, axes, sizes, step, dilation):
        return "overlap_add", tuple(n for row in zip(axes, step, dilation) for n in row)

    def samples(rng):
        f = lambda *shape: rng.normal(size=shape)
        yield (f(2, 3, 2, 2, 3),), {"axes": (1, 2), "sizes": (5, 8), "step": (1, 2), "dilation": (2, 1)}
        yield (f(3, 2, 2),), {"axes": (0,), "sizes": (9,), "step": (3,), "dilation": (1,)}
        yield (complex_normal(rng, 3, 2, 2),), {"axes": (0,), "sizes": (6,), "step": (1,), "dilation": (2,)}
        yield (f(0, 2, 3),), {"axes": (1,), "sizes": (4,), "step": (1,), "dilation": (1,)}
        yield (f(3),), {"axes": (), "sizes": (), "step": (), "dilation": ()}
