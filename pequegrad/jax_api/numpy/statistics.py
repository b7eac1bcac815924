"""Counts in bins, covariance, convolution, interpolation, differences and integrals of samples."""

import builtins
import functools
import math
import operator

import numpy as np

from ...core.dtype import default_int, inexact_of, is_complex, is_inexact, is_integer
from ...ops import statistics
from ...ops.arithmetic import promoted, where
from ...ops.convolution import conv_general_dilated
from ...ops.indexing import getitem, update
from ...ops.linalg import matmul
from ...ops.shape import broadcast_to, concatenate, expand_dims, flatten, flip, moveaxis, normalize_axis
from ...ops.sorting import searchsorted
from ...primitives import elementwise as e
from ...primitives import mathematical, sorting
from ...primitives.base import number
from ...primitives.shape import iota, reshape_to, slice_axis
from ..convert import as_array, as_arrays, operand, requested, to_array
from . import reductions as r
from .elementwise import absolute, clip, remainder
from .promotion import common, inexact, refuse_complex, strong

# ---- counts in bins ------------------------------------------------------------------------------------


def _between_edges(low, high, bins, dtype):
    """bins + 1 numbers from low to high, of which the last is exact."""
    index = iota(shape=(bins + 1,), dtype=dtype, axis=0, device=low.device)
    part = e.div(index, float(bins))
    edges = e.add(e.mul(low, e.sub(number(1, part), part)), e.mul(high, part))
    return e.select(e.eq(index, bins), high, edges)


def histogram_bin_edges(a, bins=10, range=None, weights=None):
    """The edges that histogram uses: `bins` bins of one width over `range` (default: from the smallest to the largest
    element), or the row of edges `bins` itself. The weights do not matter.
    """
    if isinstance(bins, str):
        raise NotImplementedError(f"histogram: bins={bins!r}: give a number of bins, or their edges.")
    a = as_array(a, "histogram_bin_edges")
    dtype = inexact_of(a.dtype)
    if np.ndim(bins) == 1:
        return strong(e.convert_to(_row(bins), dtype))
    bins = operator.index(bins)
    low, high = (r.min(a), r.max(a)) if range is None else _pair(range)
    low, high = (strong(e.convert_to(as_array(v), dtype)) for v in (low, high))
    point = e.eq(low, high)
    low, high = e.select(point, e.sub(low, 0.5), low), e.select(point, e.add(high, 0.5), high)
    return _between_edges(low, high, bins, dtype)


def _row(x):
    """A row of numbers as an Array; of Arrays, too."""
    if isinstance(x, (list, tuple)):
        return concatenate([reshape_to(as_array(v), (1,)) for v in x])
    return as_array(x)


def _pair(range):
    range = _row(range)
    if range.shape != (2,):
        raise ValueError(f"histogram: the range must be a pair of numbers, got shape {range.shape}.")
    return getitem(range, 0), getitem(range, 1)


def histogram(a, bins=10, range=None, weights=None, density=None):
    """(counts, edges): how many elements of a, or how much of their weights, lie in each bin, [low, high), the last one
    [low, high]. density: divided by the total and the widths.
    """
    if weights is None:
        (a,) = inexact("histogram", a)
        weights = broadcast_to(number(1, a), a.shape)
    else:
        a, weights = inexact("histogram", a, weights)
        if a.shape != weights.shape:
            raise ValueError(f"histogram: weights of shape {weights.shape} for elements of shape {a.shape}.")
    edges = histogram_bin_edges(a, bins, range)
    n = edges.shape[0]
    place = _bin_of(edges, a, n - 1)
    counts = update(broadcast_to(e.convert_to(number(0, weights), weights.dtype), (n,)), place, weights, "add")
    counts = getitem(counts, slice(1, None))
    if density:
        counts = e.div(e.div(counts, _steps(edges)), r.sum(counts))
    return counts, edges


def _bin_of(edges, x, last):
    """How many edges are not above each of x; `last` for x that is the last edge."""
    place = searchsorted(edges, x, side="right")
    return e.select(e.eq(*promoted(x, getitem(edges, -1))), number(last, place), place)


def _steps(x, axis=0):
    n = x.shape[axis]
    return e.sub(slice_axis(x, axis, min(1, n), n), slice_axis(x, axis, 0, max(n - 1, 0)))


def histogram2d(x, y, bins=10, range=None, weights=None, density=None):
    """(counts [nx, ny], edges of x, edges of y): histogramdd of points (x, y). bins: one row of edges serves both axes, a
    number, too; a pair has a number or a row for each.
    """
    x, y = common("histogram2d", x, y)
    if np.ndim(bins) == 1 and not isinstance(bins, (list, tuple)) and bins.shape[0] != 2:
        bins = [bins, bins]
    elif isinstance(bins, (list, tuple)) and len(bins) not in (1, 2):
        bins = [_row(bins)] * 2
    points = concatenate([expand_dims(x, 1), expand_dims(y, 1)], 1)
    counts, edges = histogramdd(points, bins, range, weights, density)
    return counts, edges[0], edges[1]


def histogramdd(sample, bins=10, range=None, weights=None, density=None):
    """(counts, list of edges) of points `sample` [points, axes]; see histogram.

    bins: a number of bins, or a number or a row of edges for each axis; range: None or a pair for each axis.
    """
    if weights is None:
        (sample,) = inexact("histogramdd", sample)
    else:
        sample, weights = inexact("histogramdd", sample, weights)
        if weights.shape != sample.shape[:1]:
            raise ValueError(f"histogramdd: weights of shape {weights.shape} for {sample.shape[0]} points.")
    _, axes = sample.shape
    if range is not None and (len(range) != axes or any(v is not None and np.shape(v)[0] != 2 for v in range)):
        raise ValueError(f"histogramdd: range must have a pair or None for each of {axes} axes, got {range!r}.")
    try:
        bins = list(bins)
    except TypeError:
        bins = [bins] * axes
    if len(bins) != axes:
        raise ValueError(f"histogramdd: {len(bins)} kinds of bins for {axes} axes.")
    columns = [getitem(sample, (slice(None), i)) for i in builtins.range(axes)]
    edges = [
        histogram_bin_edges(x, b, None if range is None else range[i]) for i, (x, b) in enumerate(zip(columns, bins))
    ]
    place = None  # row-major among all bins and, at both ends of each axis, what lies outside
    for x, edge in zip(columns, edges):
        along = _bin_of(edge, x, edge.shape[0] - 1)
        place = along if place is None else e.add(e.mul(place, edge.shape[0] + 1), along)
    sizes = tuple(edge.shape[0] + 1 for edge in edges)
    counts = reshape_to(bincount(place, weights, length=math.prod(sizes)), sizes)
    counts = getitem(counts, (slice(1, -1),) * axes)
    if density:
        counts = e.convert_to(counts, sample.dtype)
        counts = e.div(counts, r.sum(counts))
        for i, edge in enumerate(edges):
            widths = _steps(edge)
            counts = e.div(
                counts, reshape_to(widths, tuple(widths.size if j == i else 1 for j in builtins.range(axes)))
            )
    return counts, edges


def bincount(x, weights=None, minlength=0, *, length=None, out_sharding=None):
    """How often each of 0, 1, 2, ... occurs in the integers x, or the sums of their weights. Negative numbers count as 0.

    length: the size of the result; needed in traced functions, else the largest number + 1, but at least minlength.
    """
    x = as_array(x, "bincount")
    x = e.convert_to(x, default_int()) if x.dtype.kind == "b" else x
    if not is_integer(x.dtype):
        raise TypeError(f"bincount takes integers, got {x.dtype}.")
    if x.ndim != 1:
        raise ValueError(f"bincount takes one axis, got shape {x.shape}.")
    minlength = operator.index(minlength)
    if length is None:
        largest = int(r.max(x)) if x.size else -1
        length = max(minlength, largest + 1, 1 if x.size else 0)
    if weights is None:
        weights = broadcast_to(e.convert_to(number(1, x), default_int()), x.shape)
    else:
        weights = strong(as_array(weights, "bincount", 1))
        if weights.shape != x.shape:
            raise ValueError(f"bincount: weights of shape {weights.shape} for numbers of shape {x.shape}.")
    zeros = broadcast_to(e.convert_to(number(0, weights), weights.dtype), (operator.index(length),))
    return update(zeros, e.max_(x, 0), weights, "add") if zeros.size else to_array(zeros)


def digitize(x, bins, right=False, *, method=None):
    """The bin in which each x lies: i with bins[i - 1] <= x < bins[i] (right: < and <=), for ascending or descending bins.

    method: how JAX searches; the results do not depend on it.
    """
    x, bins = as_arrays("digitize", x, bins)
    if bins.ndim != 1:
        raise ValueError(f"digitize: bins must have one axis, got shape {bins.shape}.")
    return statistics.digitize(x, bins, bool(right))


# ---- covariance ----------------------------------------------------------------------------------------


def _variables(x, rowvar, name):
    """x as [variables, observations]."""
    if x.ndim > 2:
        raise ValueError(f"{name} takes arrays with two axes at most, got shape {x.shape}.")
    if x.ndim < 2:
        return reshape_to(x, (1, x.size))
    return x if rowvar else x.T


def _observed(weights, name, count):
    """Weights of observations."""
    weights = as_array(weights, "cov")
    if weights.ndim > 1:
        raise RuntimeError(f"cov: {name} must have one axis, got shape {weights.shape}.")
    if weights.shape[0] != count:
        raise RuntimeError(f"cov: {weights.shape[0]} {name} for {count} observations.")
    return absolute(weights)


def _inexact_dtype(dtype, name):
    if dtype is None:
        return None
    if not is_inexact(np.dtype(dtype)):
        raise ValueError(f"{name}: the dtype must be floating or complex, got {dtype}.")
    return requested(dtype, name)


def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, dtype=None):
    """The covariance matrix of the variables in the rows (rowvar=False: columns) of m and, beneath them, y.

    fweights, aweights: how often each observation was made, and how much it counts. The divisor is n - ddof; ddof is 1,
    with bias=True 0.
    """
    dtype = _inexact_dtype(dtype, "cov")
    m, *rest = inexact("cov", m) if y is None else inexact("cov", m, y)
    x = _variables(m, rowvar, "cov")
    if not x.shape[0]:
        return reshape_to(x, (0, 0)) if not x.shape[1] else slice_axis(matmul(x, x.T), 0, 0, 0)
    for v in rest:
        x = concatenate([x, _variables(v, rowvar or v.shape[0] == 1, "cov")], 0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    variables, n = x.shape
    if not n:
        nothing = number(math.nan, x)
        return strong(broadcast_to(nothing, () if variables == 1 else (variables, variables)))
    weights = None
    if fweights is not None:
        weights = _observed(fweights, "fweights", n)
        if not is_integer(weights.dtype):
            raise TypeError(f"cov: fweights must be integers, got {weights.dtype}.")
    if aweights is not None:
        aweights = _observed(aweights, "aweights", n)
        weights = aweights if weights is None else e.mul(*promoted(weights, aweights))
    x = x if dtype is None else e.convert_to(x, dtype)
    weights = weights if weights is None or dtype is None else e.convert_to(weights, dtype)
    centre, total = r.average(x, 1, weights, True, True)
    total = getitem(total, (0, 0))
    x = e.sub(*promoted(x, centre))
    weighted = x if weights is None else e.mul(*promoted(x, weights))
    product = matmul(*promoted(x, _conjugate(weighted).T))
    return e.div(product, e.convert_to(_divisor(total, weights, aweights, ddof, n), product.dtype)).squeeze()


def _conjugate(x):
    return e.conj(x) if is_complex(x.dtype) else x


def _divisor(total, weights, aweights, ddof, n):
    """What sums of weighted products are divided by."""
    if weights is None:
        return number(float(n - ddof), total)
    if aweights is None or not ddof:
        return e.sub(total, float(ddof))
    squares = e.convert_to(r.sum(e.mul(*promoted(weights, aweights))), total.dtype)
    return e.sub(total, e.div(e.mul(squares, float(ddof)), total))


def corrcoef(x, y=None, rowvar=True, dtype=None):
    """The matrix of correlation coefficients of the variables in the rows (rowvar=False: columns) of x and, beneath them, y."""
    _inexact_dtype(dtype, "corrcoef")
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return e.div(c, c)
    n = c.shape[0]
    diagonal = getitem(flatten(c), slice(None, None, n + 1))
    real = e.real(diagonal) if is_complex(c.dtype) else diagonal
    deviation = e.convert_to(mathematical.sqrt(real), c.dtype)
    c = e.div(e.div(c, expand_dims(deviation, 1)), deviation)
    if not is_complex(c.dtype):
        return clip(c, -1, 1)
    return e.complex_(clip(e.real(c), -1, 1), clip(e.imag(c), -1, 1))


# ---- signals -------------------------------------------------------------------------------------------


def _slid(name, a, v, mode, preferred_element_type):
    """sum over k of a[i + k] v[k] for len(a) >= len(v), at the places i of `mode`."""
    n = v.shape[0]
    places = {"full": (n - 1, n - 1), "same": (n // 2, n - n // 2 - 1), "valid": (0, 0)}
    if mode not in places:
        raise ValueError(f"{name}: mode must be 'full', 'same' or 'valid', got {mode!r}.")
    a, v = reshape_to(a, (1, 1, a.shape[0])), reshape_to(v, (1, 1, n))
    out = conv_general_dilated(a, v, 1, [places[mode]], preferred_element_type=preferred_element_type)
    return strong(reshape_to(out, out.shape[2:]))


def _signals(name, a, v, preferred_element_type):
    """(a, v, dtype of the result) as arrays of one dtype with one axis each."""
    dtype = None if preferred_element_type is None else requested(preferred_element_type, name)
    a, v = (inexact if dtype is None else common)(name, a, v)
    if a.ndim != 1 or v.ndim != 1 or not a.size or not v.size:
        raise ValueError(f"{name} takes two arrays with one axis and an element at least, got {a.shape} and {v.shape}.")
    return a, v, dtype


def convolve(a, v, mode="full", *, precision=None, preferred_element_type=None):
    """sum over k of a[k] v[i - k]; mode "full": at all places, "same": as many as the longer has, from the middle, "valid":
    where the shorter lies within the longer. preferred_element_type: the dtype of sums and result.
    """
    a, v, dtype = _signals("convolve", a, v, preferred_element_type)
    a, v = (v, a) if a.shape[0] < v.shape[0] else (a, v)
    return _slid("convolve", a, flip(v), mode, dtype)


def correlate(a, v, mode="valid", *, precision=None, preferred_element_type=None):
    """sum over k of a[i + k] conj(v[k]); arguments as for convolve."""
    a, v, dtype = _signals("correlate", a, v, preferred_element_type)
    v = _conjugate(v)
    if a.shape[0] < v.shape[0]:
        return flip(_slid("correlate", v, a, mode, dtype))
    return _slid("correlate", a, v, mode, dtype)


# ---- samples of functions --------------------------------------------------------------------------------


def interp(x, xp, fp, left=None, right=None, period=None):
    """The value at x of the line through the points (xp, fp); xp ascends.

    left, right: values below and above (default: the first and last of fp), or "extrapolate" to go on along the line.
    period: x and xp are taken modulo it.
    """
    (fp,) = inexact("interp", as_array(fp, "interp", 2))
    x, xp = inexact("interp", x, xp)
    if xp.shape != fp.shape or xp.ndim != 1:
        raise ValueError(f"interp: xp and fp must be rows of one size, got shapes {xp.shape} and {fp.shape}.")
    refuse_complex("interp", x)
    for name, outside in (("left", left), ("right", right)):
        if isinstance(outside, str) and outside != "extrapolate":
            raise ValueError(f"interp: the only text for {name} is 'extrapolate', got {outside!r}.")
    if period is not None:
        x, xp, fp = _periodic(x, xp, fp, period)
    i = clip(searchsorted(xp, x, side="right"), 1, xp.shape[0] - 1)
    (x0, x1), (f0, f1) = ((getitem(v, e.sub(i, 1)), getitem(v, i)) for v in (xp, fp))
    width = e.sub(x1, x0)
    flat = e.le(e.abs_(width), number(float(np.spacing(np.finfo(xp.dtype).eps)), width))
    part = e.div(e.sub(x, x0), e.select(flat, number(1, width), width))
    found = where(flat, f0, e.add(f0, e.mul(*promoted(part, e.sub(f1, f0)))))
    if period is None:
        if not isinstance(left, str):
            found = where(e.lt(x, getitem(xp, 0)), getitem(fp, 0) if left is None else operand(left), found)
        if not isinstance(right, str):
            found = where(e.gt(x, getitem(xp, -1)), getitem(fp, -1) if right is None else operand(right), found)
    return found


def _periodic(x, xp, fp, period):
    """x and the points within one period, and a point more at either end."""
    period = absolute(as_array(period, "interp"))
    if period.ndim:
        raise ValueError(f"interp: the period must be a number, got shape {period.shape}.")
    x, xp = remainder(x, period), remainder(xp, period)
    xp, fp = sorting.sort(xp, fp, axis=0, num_keys=1)
    first, last = slice(0, 1), slice(-1, None)
    xp = concatenate([e.sub(*promoted(getitem(xp, last), period)), xp, e.add(*promoted(getitem(xp, first), period))])
    return x, xp, concatenate([getitem(fp, last), fp, getitem(fp, first)])


def trapezoid(y, x=None, dx=1.0, axis=-1):
    """The integral of samples y along `axis` by the trapezoidal rule; at positions x, or `dx` apart."""
    y, *rest = inexact("trapezoid", y) if x is None else inexact("trapezoid", y, x)
    axis = normalize_axis(axis, y.ndim, "trapezoid")
    if x is None:
        dx = as_array(dx, "trapezoid")
        if dx.ndim:
            dx = moveaxis(reshape_to(dx, (1,) * (y.ndim - dx.ndim) + dx.shape), axis, -1)
    else:
        (x,) = rest
        dx = _steps(x) if x.ndim == 1 else moveaxis(_steps(x, axis), axis, -1)
    y = moveaxis(y, axis, -1)
    last = y.ndim - 1
    ends = e.add(getitem(y, (Ellipsis, slice(1, None))), getitem(y, (Ellipsis, slice(None, -1))))
    return r.sum(e.mul(*promoted(ends, e.mul(dx, 0.5))), last)


def diff(a, n=1, axis=-1, prepend=None, append=None):
    """a[i + 1] - a[i] along `axis`, n times over; of bool: whether they differ. prepend, append: arrays or numbers that are
    put before and behind a first.
    """
    a, n, axis = as_array(a, "diff"), operator.index(n), operator.index(axis)
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"diff: n must not be negative, got {n}.")
    if not a.ndim:
        raise ValueError("diff takes arrays with an axis at least.")
    axis = normalize_axis(axis, a.ndim, "diff")
    edge = tuple(1 if i == axis else size for i, size in enumerate(a.shape))
    parts = [a if v is a else as_array(v, "diff") for v in (prepend, a, append) if v is not None]
    parts = [v if v.ndim else broadcast_to(v, edge) for v in parts]
    a = concatenate(parts, axis) if len(parts) > 1 else a
    for _ in builtins.range(n):
        a = _steps(a, axis)
    return a


def ediff1d(ary, to_end=None, to_begin=None):
    """The differences of neighbours in the flattened array, between to_begin and to_end."""
    a = flatten(as_array(ary, "ediff1d"))
    parts = [None if v is None else e.convert_to(flatten(as_array(v, "ediff1d")), a.dtype) for v in (to_begin, to_end)]
    if a.dtype.kind == "b":
        raise TypeError("ediff1d: bool has no differences.")
    parts.insert(1, _steps(a))
    parts = [v for v in parts if v is not None]
    return concatenate(parts) if len(parts) > 1 else parts[0]


def gradient(f, *varargs, axis=None, edge_order=None):
    """The derivative of samples f along each axis (a list; of one axis the array): differences over two steps, at the ends
    over one.

    varargs: the distance of samples, or a row of their positions; one for all axes, or one for each.
    """
    if edge_order is not None:
        raise NotImplementedError("The 'edge_order' argument to jnp.gradient is not supported.")
    f, *places = inexact("gradient", f, *varargs)
    if axis is None:
        axes = tuple(builtins.range(f.ndim))
    else:
        axes = axis if isinstance(axis, (tuple, list)) else (axis,)
        axes = tuple(normalize_axis(operator.index(i), f.ndim, "gradient") for i in axes)
    if not axes:
        return []
    if min(f.shape[i] for i in axes) < 2:
        raise ValueError(f"gradient needs two samples at least along each axis, got shape {f.shape}.")
    if len(places) not in (0, 1, len(axes)):
        raise TypeError(f"gradient: {len(places)} spacings for {len(axes)} axes.")
    places = places or [number(1, f)]
    places = places * len(axes) if len(places) == 1 else places
    found = [_slope(f, h, i) for i, h in zip(axes, places)]
    return found[0] if len(found) == 1 else found


def _slope(f, h, axis):
    n = f.shape[axis]
    if h.ndim > 1:
        raise ValueError(f"gradient: the spacing must be a number or a row, got shape {h.shape}.")
    part = lambda x, begin, end: slice_axis(x, axis, begin, end)
    if h.ndim:
        if h.shape[0] != n:
            raise ValueError(f"gradient: {h.shape[0]} positions for {n} samples along axis {axis}.")
        h = _steps(reshape_to(h, tuple(n if i == axis else 1 for i in builtins.range(f.ndim))), axis)
        first, second = part(h, 0, n - 2), part(h, 1, n - 1)
        both = e.add(first, second)
        before = e.neg(e.div(second, e.mul(first, both)))
        middle = e.div(e.sub(second, first), e.mul(first, second))
        behind = e.div(first, e.mul(second, both))
        terms = zip((before, middle, behind), (part(f, i, n - 2 + i) for i in builtins.range(3)))
        inner = functools.reduce(e.add, (e.mul(weight, x) for weight, x in terms))
        ends = part(h, 0, 1), part(h, n - 2, n - 1)
    else:
        inner = e.div(e.mul(e.sub(part(f, 2, n), part(f, 0, n - 2)), 0.5), h)
        ends = h, h
    steps = e.sub(part(f, 1, 2), part(f, 0, 1)), e.sub(part(f, n - 1, n), part(f, n - 2, n - 1))
    return concatenate([e.div(steps[0], ends[0]), inner, e.div(steps[1], ends[1])], axis)


__all__ = [
    "histogram_bin_edges", "histogram", "histogram2d", "histogramdd", "bincount", "digitize", "cov", "corrcoef", "convolve",
    "correlate", "interp", "trapezoid", "diff", "ediff1d", "gradient",
]  # fmt: skip
