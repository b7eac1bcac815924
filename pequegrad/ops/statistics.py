"""Statistics: nan-aware reductions, averages, covariance, counts in bins; interpolation and integrals of samples."""

import math

import numpy as np

from ..core.dtype import default_int, dt, is_float, is_integer
from ..core.errors import ArgumentError, DtypeError, ShapeError
from ..primitives import elementwise as e
from ..primitives import mathematical as m
from ..primitives.base import number
from ..primitives.shape import iota, reshape_to, slice_axis
from . import reductions as r
from .arithmetic import divide, floating, promoted, promoted_floats, remainder
from .creation import as_tensor
from .indexing import getitem, update
from .linalg import matmul
from .shape import broadcast_to, concatenate, expand_dims, flatten, flip, normalize_axes, normalize_axis
from .sorting import searchsorted
from .special import isclose

# ---- reductions -----------------------------------------------------------------------------------------


def _without_nan(x, instead):
    """(x with `instead` for nan, where it was nan or None)."""
    x = as_tensor(x)
    if not is_float(x.dtype):
        return x, None
    missing = e.ne(x, x)
    return e.select(missing, number(instead, x), x), missing


def nansum(x, axis=None, keepdims=False):
    """The sum over `axis` of what is not nan."""
    return r.sum(_without_nan(x, 0)[0], axis, keepdims)


def nanprod(x, axis=None, keepdims=False):
    """The product over `axis` of what is not nan."""
    return r.prod(_without_nan(x, 1)[0], axis, keepdims)


def nanmean(x, axis=None, keepdims=False):
    """The mean over `axis` of what is not nan; nan if there is nothing else."""
    x = floating(x)
    kept, missing = _without_nan(x, 0)
    wide = dt.float32 if x.dtype.itemsize == 2 else x.dtype
    count = r.sum(e.convert_to(e.not_(missing), wide), axis, keepdims)
    return e.convert_to(e.div(r.sum(e.convert_to(kept, wide), axis, keepdims), count), x.dtype, x.weak_type)


def nanvar(x, axis=None, keepdims=False, correction=0, *, ddof=None):
    """The variance over `axis` of what is not nan; arguments as for var."""
    x = floating(x)
    correction = correction if ddof is None else ddof
    wide = e.convert_to(x, dt.float32) if x.dtype.itemsize == 2 else x
    missing = e.ne(x, x)
    centred = e.sub(wide, nanmean(wide, axis, True))
    squares = e.select(missing, number(0, wide), e.mul(centred, centred))
    count = e.sub(r.sum(e.convert_to(e.not_(missing), wide.dtype), axis, keepdims), float(correction))
    count = e.select(e.gt(count, 0), count, number(math.nan, count))
    return e.convert_to(e.div(r.sum(squares, axis, keepdims), count), x.dtype, x.weak_type)


def nanstd(x, axis=None, keepdims=False, correction=0, *, ddof=None):
    """The standard deviation over `axis` of what is not nan."""
    return m.sqrt(nanvar(x, axis, keepdims, correction, ddof=ddof))


def nanmax(x, axis=None, keepdims=False):
    """The largest element over `axis` that is not nan; nan if there is none."""
    return _nan_extremum(r.max, -math.inf, x, axis, keepdims)


def nanmin(x, axis=None, keepdims=False):
    """The smallest element over `axis` that is not nan; nan if there is none."""
    return _nan_extremum(r.min, math.inf, x, axis, keepdims)


def _nan_extremum(reduce, worst, x, axis, keepdims):
    kept, missing = _without_nan(x, worst)
    out = reduce(kept, axis, keepdims)
    if missing is None:
        return out
    return e.select(r.all(missing, axis, keepdims), number(math.nan, out), out)


def count_nonzero(x, axis=None, keepdims=False):
    """How many elements over `axis` are not 0, int32."""
    return r.sum(e.ne(as_tensor(x), 0), axis, keepdims)


def ptp(x, axis=None, keepdims=False):
    """max - min over `axis`."""
    return e.sub(r.max(x, axis, keepdims), r.min(x, axis, keepdims))


def average(x, axis=None, weights=None, returned=False, keepdims=False):
    """sum(x * weights) / sum(weights) over `axis`; weights: of the shape of x, or [n] for one axis of size n.

    returned: the pair (average, sum of weights).
    """
    if weights is None:
        x = floating(x)
        out = r.mean(x, axis, keepdims)
        count = float(math.prod(x.shape[a] for a in normalize_axes(axis, x.ndim, "average")))
        return (out, broadcast_to(number(count, out), out.shape)) if returned else out
    x, weights = promoted_floats(x, weights)
    if weights.shape != x.shape:
        if weights.ndim != 1 or not isinstance(axis, (int, np.integer)):
            raise ShapeError(
                f"average: weights {weights._node.aval} do not fit {x._node.aval} over axis {axis}.",
                fix="give weights of the shape of x, or one number per element of one axis.",
            )
        place = normalize_axis(axis, x.ndim, "average")
        if weights.shape[0] != x.shape[place]:
            raise ShapeError(f"average: {weights.shape[0]} weights for axis {place} of {x._node.aval}.")
        weights = reshape_to(weights, tuple(n if a == place else 1 for a, n in enumerate(x.shape)))
        weights = broadcast_to(weights, x.shape)
    total = r.sum(weights, axis, keepdims)
    out = e.div(r.sum(e.mul(x, weights), axis, keepdims), total)
    return (out, total) if returned else out


def allclose(x, y, rtol=1e-5, atol=1e-8, equal_nan=False):
    """True (0-d bool tensor) if all elements are close; see isclose."""
    return r.all(isclose(x, y, rtol, atol, equal_nan))


def array_equal(x, y, equal_nan=False):
    """True (0-d bool tensor) if x and y have one shape and equal elements."""
    x, y = promoted(x, y)
    if x.shape != y.shape:
        return as_tensor(np.array(False), x.device)
    same = e.eq(x, y)
    return r.all(e.or_(same, e.and_(e.ne(x, x), e.ne(y, y))) if equal_nan else same)


# ---- covariance -----------------------------------------------------------------------------------------


def cov(x, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None):
    """The covariance matrix of variables in the rows (rowvar=False: columns) of x and, beneath them, y, as numpy.cov.

    fweights, aweights: how often each observation was made, and how much it counts. The divisor is n - ddof; ddof is 1,
    with bias=True 0.
    """
    x = _variables(x, rowvar)
    if y is not None:
        x = concatenate(promoted(x, _variables(as_tensor(y, x.device), rowvar)), 0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    weights = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        given = as_tensor(given, x.device)
        if given.shape != x.shape[1:]:
            raise ShapeError(f"cov: {name} {given._node.aval} must have shape {list(x.shape[1:])}.")
        given = e.convert_to(given, x.dtype)
        weights = given if weights is None else e.mul(weights, given)
    if weights is None:
        n = x.shape[1]
        centred = e.sub(x, r.mean(x, 1, True))
        product, divisor = matmul(centred, centred.T), number(float(n - ddof) if n > ddof else math.nan, x)
    else:
        total = r.sum(weights)
        centred = e.sub(x, e.div(r.sum(e.mul(x, weights), 1, True), total))
        product = matmul(e.mul(centred, weights), centred.T)
        divisor = e.sub(total, float(ddof))
        if aweights is not None and ddof:
            squares = r.sum(e.mul(weights, e.convert_to(as_tensor(aweights, x.device), x.dtype)))
            divisor = e.sub(total, e.div(e.mul(squares, float(ddof)), total))
    out = e.div(product, divisor)
    return reshape_to(out, ()) if out.shape == (1, 1) else out


def _variables(x, rowvar):
    """x as [variables, observations]."""
    x = floating(x)
    if x.ndim > 2:
        raise ShapeError(f"cov: {x._node.aval} has more than two axes.", fix="variables x observations.")
    if x.ndim < 2:
        return reshape_to(x, (1, x.size))
    return x if rowvar or x.shape[0] == 1 else x.T


def corrcoef(x, y=None, rowvar=True):
    """The matrix of correlation coefficients of variables in rows (rowvar=False: columns), as numpy.corrcoef."""
    c = cov(x, y, rowvar)
    if not c.ndim:
        return e.div(c, c)
    n = c.shape[0]
    diagonal = getitem(flatten(c), slice(None, None, n + 1)) if n else flatten(c)
    deviation = m.sqrt(diagonal)
    out = e.div(e.div(c, expand_dims(deviation, 1)), deviation)
    return e.min_(e.max_(out, -1), 1)


# ---- samples of functions ---------------------------------------------------------------------------------


def trapezoid(y, x=None, dx=1.0, axis=-1):
    """The integral of samples y along `axis` by the trapezoidal rule; at positions x, or `dx` apart."""
    y, x = (floating(y), None) if x is None else promoted_floats(y, x)
    axis = normalize_axis(axis, y.ndim, "trapezoid")
    n = y.shape[axis]
    ends = lambda v, a: (slice_axis(v, a, min(1, n), n), slice_axis(v, a, 0, max(n - 1, 0)))
    if x is None:
        return e.mul(r.sum(e.add(*ends(y, axis)), axis), dx / 2)
    if x.ndim == 1:
        x = reshape_to(x, tuple(x.size if a == axis else 1 for a in range(y.ndim)))
    if x.ndim != y.ndim or x.shape[axis] != n:
        raise ShapeError(f"trapezoid: positions {x._node.aval} do not fit {y._node.aval} along axis {axis}.")
    return e.mul(r.sum(e.mul(e.add(*ends(y, axis)), e.sub(*ends(x, axis))), axis), 0.5)


def polyval(coefficients, x):
    """coefficients[0] * x ** (n - 1) + ... + coefficients[n - 1], elementwise; in log2(n) steps (Estrin's scheme)."""
    coefficients, x = promoted(coefficients, x)
    if coefficients.ndim != 1:
        raise ShapeError(f"polyval: coefficients {coefficients._node.aval} must have one axis.")
    n = coefficients.shape[0]
    if not n:
        return e.mul(x, 0)
    terms = reshape_to(coefficients, (n,) + (1,) * x.ndim)
    terms = terms if n > 1 else broadcast_to(terms, (1, *x.shape))
    while terms.shape[0] > 1:  # of neighbours a, b: a * x + b, which are the coefficients of powers of x * x
        if terms.shape[0] % 2:
            zero = broadcast_to(number(0, terms), (1, *terms.shape[1:]))
            terms = concatenate([zero, terms])
        terms = e.add(e.mul(getitem(terms, slice(0, None, 2)), x), getitem(terms, slice(1, None, 2)))
        x = e.mul(x, x)
    return getitem(terms, 0)


def interp(x, xp, fp, left=None, right=None, period=None):
    """The value at x of the line through the points (xp, fp); xp ascends.

    left, right: values below and above (default: the first and last of fp). period: x and xp are taken modulo it; they
    must then ascend over one period.
    """
    x, xp, fp = promoted_floats(x, xp, fp)
    if xp.ndim != 1 or xp.shape != fp.shape or not xp.size:
        raise ShapeError(
            f"interp: xp {xp._node.aval} and fp {fp._node.aval} must have one axis, one size, and a point at least."
        )
    if period is not None:
        if period == 0:
            raise ArgumentError("interp: period=0.", fix="give a period that is not 0, or None.")
        period = math.fabs(period)
        x, xp = remainder(x, period), remainder(xp, period)
        xp = concatenate([e.sub(getitem(xp, slice(-1, None)), period), xp, e.add(getitem(xp, slice(0, 1)), period)])
        fp = concatenate([getitem(fp, slice(-1, None)), fp, getitem(fp, slice(0, 1))])
    if xp.shape[0] == 1:
        inside = broadcast_to(getitem(fp, 0), x.shape)
    else:
        i = e.min_(e.max_(searchsorted(xp, x, side="right"), 1), xp.shape[0] - 1)
        x0, x1, y0, y1 = (getitem(v, j) for v in (xp, fp) for j in (e.sub(i, 1), i))
        width = e.sub(x1, x0)
        flat = e.eq(width, 0)
        slope = e.div(e.sub(y1, y0), e.select(flat, number(1, width), width))
        step = e.select(flat, number(0, width), e.sub(x, x0))
        inside = e.add(y0, e.mul(step, slope))
    if period is not None:
        return inside
    left, right = (getitem(fp, at) if v is None else v for v, at in ((left, 0), (right, -1)))
    inside, left, right = promoted(inside, left, right)
    return e.select(e.lt(x, getitem(xp, 0)), left, e.select(e.gt(x, getitem(xp, -1)), right, inside))


# ---- counts in bins -----------------------------------------------------------------------------------------


def histogram_bin_edges(x, bins=10, range=None):
    """The edges that histogram uses: `bins` bins of one width over `range`, by default from min to max of x."""
    x = as_tensor(x)
    if not isinstance(bins, (int, np.integer)):
        edges = floating(as_tensor(bins, x.device))
        if edges.ndim != 1 or edges.shape[0] < 2:
            raise ShapeError(f"histogram: bins {edges._node.aval} must be at least two edges, ascending.")
        return edges
    if bins < 1:
        raise ArgumentError(f"histogram: {bins} bins.", fix="give a number from 1, or the edges.")
    x = floating(x)
    if range is None and x.size:
        low, high = r.min(x), r.max(x)
        same = e.eq(low, high)
        low, high = e.select(same, e.sub(low, 0.5), low), e.select(same, e.add(high, 0.5), high)
    else:
        low, high = (0.0, 1.0) if range is None else map(float, range)
        if not low <= high or not math.isfinite(high - low):
            raise ArgumentError(f"histogram: range {range} is not (low, high).")
        low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
        low, high = number(low, x), number(high, x)
    index = iota(shape=(int(bins) + 1,), dtype=dt.int32, axis=0, device=x.device)
    edges = e.add(e.mul(e.convert_to(index, x.dtype), e.div(e.sub(high, low), float(bins))), low)
    return e.select(e.eq(index, int(bins)), high, edges)


def histogram(x, bins=10, range=None, weights=None, density=False):
    """(counts, edges): how many elements of x lie in each bin, [low, high) and the last one [low, high].

    bins: a number of bins, or the edges, ascending. counts: int32, with weights (of the shape of x) of their dtype;
    density: divided by the total and the widths. What lies outside, and nan, is not counted.
    """
    x = flatten(as_tensor(x))
    x = x if is_float(x.dtype) else floating(x)
    edges = histogram_bin_edges(x, bins, range)
    x, edges = promoted(x, edges)
    n = edges.shape[0] - 1
    place = e.sub(searchsorted(edges, x, side="right"), 1)
    last = getitem(edges, n)
    place = e.select(e.eq(x, last), number(n - 1, place), place)
    place = e.select(e.and_(e.ge(x, getitem(edges, 0)), e.le(x, last)), place, number(n, place))
    counts = _counted("histogram", place, weights, n)
    if density:
        counts = e.convert_to(counts, edges.dtype)
        widths = e.sub(getitem(edges, slice(1, None)), getitem(edges, slice(None, -1)))
        counts = divide(divide(counts, r.sum(counts)), widths)
    return counts, edges


def digitize(x, bins, right=False):
    """The number (int32) of the bin in which each x lies: i with bins[i - 1] <= x < bins[i] (right: < and <=).

    bins: one axis, ascending or descending. 0 and len(bins) stand for what lies outside.
    """
    bins = as_tensor(bins)
    if bins.ndim != 1:
        raise ShapeError(f"digitize: bins {bins._node.aval} must have one axis.", fix="flatten them: bins.reshape(-1).")
    side = "left" if right else "right"
    up = searchsorted(bins, x, side)
    n = bins.shape[0]
    if n < 2:
        return up
    down = e.sub(n, searchsorted(flip(bins), x, side))
    return e.select(e.ge(getitem(bins, -1), getitem(bins, 0)), up, down)


def bincount(x, weights=None, minlength=0, *, length=None):
    """How often each of the integers 0 ... length - 1 occurs in x: int32, or sums of `weights` (of the shape of x).

    length: the size of the result, which cannot depend on values. Negative numbers count as 0, those beyond are left out.
    """
    x = as_tensor(x)
    if not is_integer(x.dtype):
        raise DtypeError(f"bincount: x must be integers, got {x._node.aval}.", fix="convert it: x.astype(dt.int32).")
    if length is None:
        raise ArgumentError(
            "bincount: the largest number is not known before the values are.",
            fix="give the size: bincount(x, length=n).",
        )
    if not isinstance(length, (int, np.integer)) or length < 0:
        raise ArgumentError(f"bincount: length={length!r} is not a size.")
    return _counted("bincount", e.max_(flatten(x), 0), weights, max(int(length), minlength))


def _counted(name, place, weights, n):
    """Sums of the weights (default: ones) by place; places from n are left out."""
    if weights is None:
        weights = broadcast_to(as_tensor(np.array(1, default_int()), place.device), place.shape)
    else:
        weights = as_tensor(weights, place.device)
        if weights.size != place.size:
            raise ShapeError(
                f"{name}: {weights.size} weights for {place.size} elements.", fix="one weight per element."
            )
        weights = flatten(weights)
    zeros = broadcast_to(number(0, weights), (n,))
    return update(zeros, place, weights, "add") if n else zeros


__all__ = [
    "nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin", "count_nonzero", "ptp", "average", "allclose",
    "array_equal", "cov", "corrcoef", "trapezoid", "polyval", "interp", "histogram_bin_edges", "histogram", "bincount",
    "digitize",
]  # fmt: skip
