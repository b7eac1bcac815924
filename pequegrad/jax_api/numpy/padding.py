"""pad: an array with something around it."""

import operator

import numpy as np

from ...core.dtype import is_complex, is_integer
from ...core.tensor import Tensor
from ...ops import reductions, sorting
from ...ops import shape as o
from ...ops.arithmetic import floor, promoted, round
from ...primitives import elementwise as e
from ...primitives import shape as s
from ..convert import SCALARS, as_array
from .arguments import concrete, value_like
from .functional import apply_along_axis
from .manipulation import flip
from .promotion import refuse_complex
from .sorting import sort


def pad(array, pad_width, mode="constant", **kwargs):
    """The array with pad_width elements more at the ends of each axis: a number, (before, after), or one such pair per axis.

    mode says what they are: "constant" (constant_values=0), "edge", "linear_ramp" (to end_values=0), "maximum", "minimum",
    "mean" and "median" (of stat_length elements at that end, or of all), "reflect" and "symmetric" (without and with the
    element at the end; reflect_type="even" or "odd"), "wrap", "empty" (zeros); or a function that is called with each padded vector,
    its pair of widths, the axis, and the other arguments, and returns the vector.
    """
    array = as_array(array, "pad")
    widths = _pairs(pad_width, array.ndim, "pad_width")
    try:
        widths = [tuple(map(operator.index, pair)) for pair in widths]
    except TypeError:
        raise TypeError("pad: pad_width must be of integral type") from None
    if callable(mode):
        return _padded_by_function(array, widths, mode, kwargs)
    if mode not in _MODES:
        raise NotImplementedError(f"pad: there is no mode {mode!r}")
    function, options = _MODES[mode]
    if set(kwargs) - set(options):
        raise ValueError(f"pad: mode {mode!r} does not take {', '.join(sorted(set(kwargs) - set(options)))}")
    if any(n < 0 for pair in widths for n in pair):
        raise ValueError("pad: pad_width must not be negative")
    return function(array, widths, mode, **kwargs) if array.ndim else array


def _pairs(values, ndim, name):
    """A number, a pair, or one pair per axis as a list of pairs. They must be known."""
    try:
        values = np.asarray(_known(values, name))
    except ValueError:
        raise TypeError(f"pad: `{name}` entries must be the same shape: {values}") from None
    if values.shape not in ((ndim, 2), (1, 2), (2,), (1,), ()):
        raise ValueError(f"pad: {name} of shape {values.shape} fits no array with {ndim} axes")
    return [tuple(pair) for pair in np.broadcast_to(values, (ndim, 2)).tolist()]


def _known(values, name):
    if isinstance(values, (tuple, list)):
        return [_known(v, name) for v in values]
    return concrete(values, f"{name} of pad") if isinstance(values, Tensor) else values


def _around(array, axis, before, after):
    """The array between two others (None: nothing) along an axis."""
    parts = [part for part in (before, array, after) if part is not None and part.shape[axis]]
    return s.concatenate(*parts, axis=axis) if len(parts) > 1 else array


def _repeated(part, axis, count):
    """A slice of size 1, count times."""
    shape = (*part.shape[:axis], count, *part.shape[axis + 1 :])
    return s.broadcast_in_dim(part, shape=shape, axes=tuple(range(part.ndim)))


def _end(array, axis, last):
    """The first or the last slice of size 1 along an axis."""
    n = array.shape[axis]
    return s.slice_axis(array, axis, n - 1, n) if last else s.slice_axis(array, axis, 0, 1)


def _axes_to_pad(array, widths, mode):
    """(axis, before, after) for all axes; ValueError if an empty one should get elements."""
    for axis, (before, after) in enumerate(widths):
        if array.shape[axis]:
            yield axis, before, after
        elif before or after:
            raise ValueError(f"Cannot apply '{mode}' padding to empty axis")


def _constant(array, widths, mode, constant_values=0):
    from .creation import asarray

    if type(constant_values) in SCALARS:
        constant_values = value_like(constant_values, array)
    values = e.convert_to(asarray(constant_values), array.dtype, array.weak_type)
    if values.ndim == 1 and values.size == 1:
        values = s.reshape_to(values, ())
    if not values.ndim:
        low, high = zip(*widths)
        return s.pad(array, values, low=low, high=high, interior=(0,) * array.ndim)
    values = o.broadcast_to(values, (array.ndim, 2))
    for axis, pair in enumerate(widths):
        for side, count in enumerate(pair):
            if count:
                ends = [tuple(count if (a, b) == (axis, side) else 0 for a in range(array.ndim)) for b in (0, 1)]
                array = s.pad(array, values[axis, side], low=ends[0], high=ends[1], interior=(0,) * array.ndim)
    return array


def _empty(array, widths, mode):
    return _constant(array, widths, mode)


def _edge(array, widths, mode):
    for axis, before, after in _axes_to_pad(array, widths, mode):
        ends = [_repeated(_end(array, axis, last), axis, n) for last, n in ((False, before), (True, after))]
        array = _around(array, axis, *ends)
    return array


def _linear_ramp(array, widths, mode, end_values=0):
    for axis, ((before, after), ends) in enumerate(zip(widths, _pairs(end_values, array.ndim, "end_values"))):
        if not array.shape[axis]:
            raise TypeError("pad: mode 'linear_ramp' needs elements on each axis")
        left = _ramp(ends[0], _end(array, axis, False), axis, before)
        right = flip(_ramp(ends[1], _end(array, axis, True), axis, after), axis)
        array = _around(array, axis, left, right)
    return array


def _ramp(start, stop, axis, count):
    """`count` numbers from `start` up to, but without, the slice `stop`."""
    dtype, exact = stop.dtype, not is_integer(stop.dtype)
    stop = stop if exact else e.convert_to(stop, np.dtype("float32"))
    shape = tuple(count if a == axis else 1 for a in range(stop.ndim))
    numbers = s.iota(shape=shape, dtype=np.dtype("int32"), axis=axis, device=stop.device)
    steps = e.div(e.convert_to(numbers, stop.dtype), max(count, 1))
    ramp = e.add(e.mul(e.sub(1, steps), start), e.mul(steps, stop))
    return e.convert_to(ramp if exact else floor(ramp), dtype)


def _statistic(array, widths, mode, stat_length=None):
    function = _STATISTICS[mode]
    if is_complex(array.dtype) and mode in ("maximum", "minimum"):  # in the order of sort
        function = lambda part, axis, keepdims: _end(sort(part, axis), axis, mode == "maximum")
    lengths = [(None, None)] * array.ndim if stat_length is None else _pairs(stat_length, array.ndim, "stat_length")
    for axis, ((before, after), pair) in enumerate(zip(widths, lengths)):
        n = array.shape[axis]
        if 0 in pair:
            raise ValueError("pad: stat_length of 0 yields no value for padding")
        first, last = (n if length is None else min(int(length), n) for length in pair)
        parts = s.slice_axis(array, axis, 0, first), s.slice_axis(array, axis, n - last, n)
        left, right = (_in_dtype(function(part, axis, keepdims=True), array) for part in parts)
        array = _around(array, axis, _repeated(left, axis, before), _repeated(right, axis, after))
    return array


def _in_dtype(value, array):
    value = round(value) if is_integer(array.dtype) else value
    return e.convert_to(value, array.dtype, array.weak_type)


def _mirrored(array, widths, mode, reflect_type="even"):
    if reflect_type not in ("even", "odd"):
        raise ValueError(f"pad: reflect_type={reflect_type!r} is not 'even' or 'odd'")
    for axis, before, after in _axes_to_pad(array, widths, mode):
        offset = int(mode == "reflect" and array.shape[axis] > 1)
        period = array.shape[axis] - offset
        array = flip(_mirrored_at_the_end(flip(array, axis), axis, before, period, offset, reflect_type), axis)
        array = _mirrored_at_the_end(array, axis, after, period, offset, reflect_type)
    return array


def _mirrored_at_the_end(array, axis, count, period, offset, reflect_type):
    """The array with `count` elements more, which mirror up to `period` elements at its end again and again."""
    while count > 0:
        size, n = min(count, period), array.shape[axis]
        part = flip(s.slice_axis(array, axis, n - size - offset, n - offset), axis)
        if reflect_type == "odd":
            part = e.sub(*promoted(e.mul(_end(array, axis, True), 2), part))
        array = s.concatenate(array, part, axis=axis)
        count -= size
    return array


def _wrap(array, widths, mode):
    for axis, before, after in _axes_to_pad(array, widths, mode):
        n = array.shape[axis]
        left, right = before % n, after % n
        parts = [s.slice_axis(array, axis, n - left, n)] + [array] * (before // n + after // n + 1)
        parts.append(s.slice_axis(array, axis, 0, right))
        array = s.concatenate(*parts, axis=axis)
    return array


def _padded_by_function(array, widths, function, options):
    array = _constant(array, widths, "constant") if array.ndim else array
    for axis in range(array.ndim):
        array = apply_along_axis(function, axis, array, widths[axis], axis, options)
    return array


def _median(x, *args, **kwargs):
    refuse_complex("pad with the median", x)
    return sorting.median(x, *args, **kwargs)


_STATISTICS = {"maximum": reductions.max, "minimum": reductions.min, "mean": reductions.mean, "median": _median}
_MODES = {
    "constant": (_constant, ("constant_values",)),
    "empty": (_empty, ()),
    "edge": (_edge, ()),
    "wrap": (_wrap, ()),
    "linear_ramp": (_linear_ramp, ("end_values",)),
    "reflect": (_mirrored, ("reflect_type",)),
    "symmetric": (_mirrored, ("reflect_type",)),
    **dict.fromkeys(_STATISTICS, (_statistic, ("stat_length",))),
}

__all__ = ["pad"]
