"""Sums, means, extrema and their nan-ignoring forms."""

import functools
import math
import operator

import numpy as np

from ...core.dtype import default_int, dt, inexact_of, is_complex, is_inexact, is_integer, real_of, summed_dtype
from ...ops.creation import scalar
from ...ops.reductions import kept_shape
from ...ops.shape import broadcast_to, flatten, normalize_axes, normalize_axis, transpose
from ...primitives import elementwise as e
from ...primitives import mathematical as m
from ...primitives import reduction as p
from ...primitives.base import number
from ...primitives.shape import filled_like, reshape_to
from ..convert import as_array, requested
from .promotion import cast, inexact, numeric, refuse_out, strong

# ---- what all of them share --------------------------------------------------------------------------


def axes_of(axis, ndim, name):
    """None (all axes), an integer or several as a sorted tuple of axes."""
    if axis is not None:
        try:
            axis = operator.index(axis)
        except TypeError:
            axis = tuple(operator.index(i) for i in axis)
    return normalize_axes(axis, ndim, name)


def mask_of(where, name):
    """The argument `where` as an Array of bool, or None."""
    if where is None:
        return None
    where = as_array(where, name)
    if where.dtype.kind != "b":
        raise ValueError(f"jnp.{name}: where must be None or a boolean array; got where.dtype={where.dtype}.")
    return where


def wide(dtype):
    """float32 for 16-bit floats: sums and counts of many elements do not fit them."""
    return dt.float32 if is_inexact(dtype) and dtype.itemsize == 2 else dtype


def lowest(dtype):
    """A number that no element of `dtype` is below."""
    return np.iinfo(dtype).min if is_integer(dtype) else dtype.kind != "b" and -math.inf


def highest(dtype):
    """A number that no element of `dtype` is above."""
    return np.iinfo(dtype).max if is_integer(dtype) else dtype.kind == "b" or math.inf


def reduced(name, primitive, combine, neutral, x, axis, keepdims=False, initial=None, where=None):
    """x reduced over `axis` by `primitive`, of elements where `where` is true, and of `initial`; `combine` is its step."""
    where = mask_of(where, name)
    axes = axes_of(axis, x.ndim, name)
    if where is not None:
        x = e.select(where, x, number(neutral, x))
    out = primitive(x, axes=axes) if axes else x
    if initial is not None:
        initial = e.convert_to(as_array(initial, name), x.dtype)
        if initial.shape:
            raise ValueError(f"initial value must be a scalar. Got array of shape {initial.shape}.")
        out = combine(initial, out)
    return reshape_to(out, kept_shape(x.shape, axes)) if keepdims else out


# ---- sums and products ---------------------------------------------------------------------------------


def _total(name, primitive, combine, neutral, a, axis, dtype, out, keepdims, initial, where, promote_integers):
    refuse_out(name, out)
    (a,) = numeric(name, a)
    if dtype is None:
        dtype = summed_dtype(a.dtype) if promote_integers else a.dtype
        working = wide(dtype)
    else:
        dtype = working = requested(dtype, name)
    a = cast(a, working)
    return e.convert_to(reduced(name, primitive, combine, neutral, a, axis, keepdims, initial, where), dtype)


def sum(a, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None, promote_integers=True):
    """The sum over `axis`. Smaller integers and bool become integers of the default width, unless promote_integers=False."""
    return _total(
        "sum", p.reduce_sum, e.add, 0, a, axis, dtype, out, keepdims, initial, where, promote_integers
    )  # fmt: skip


def prod(a, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None, promote_integers=True):
    """The product over `axis`; dtypes as for sum."""
    return _total(
        "prod", p.reduce_prod, e.mul, 1, a, axis, dtype, out, keepdims, initial, where, promote_integers
    )  # fmt: skip


def count_nonzero(a, axis=None, keepdims=False):
    """How many elements over `axis` are not 0."""
    return sum(e.ne(as_array(a, "count_nonzero"), 0), axis, keepdims=keepdims)


# ---- extrema -------------------------------------------------------------------------------------------


def lexicographic(primitive, x, y):
    """A comparison of complex x and y by their real parts, then by their imaginary parts."""
    if not is_complex(x.dtype):
        return primitive(x, y)
    return e.select(e.eq(e.real(x), e.real(y)), primitive(e.imag(x), e.imag(y)), primitive(e.real(x), e.real(y)))


def larger(x, y):
    """The larger of x and y, which have one dtype; complex numbers are ordered by real part, then imaginary part."""
    return e.select(lexicographic(e.gt, x, y), x, y) if is_complex(x.dtype) else e.max_(x, y)


def smaller(x, y):
    """The smaller of x and y; see larger."""
    return e.select(lexicographic(e.lt, x, y), x, y) if is_complex(x.dtype) else e.min_(x, y)


def _extremum_of_complex(primitive, worst, x, axes):
    real, imag = e.real(x), e.imag(x)
    best = primitive(real, axes=axes)
    attained = e.eq(real, reshape_to(best, kept_shape(x.shape, axes)))
    return e.complex_(best, primitive(e.select(attained, imag, number(worst, imag)), axes=axes))


def _extremum(name, primitive, combine, worst, a, axis, out, keepdims, initial, where):
    refuse_out(name, out)
    a = as_array(a, name)
    a = strong(a)  # results are not weakly typed
    if initial is None:
        if where is not None:
            raise ValueError(f"jnp.{name} of nothing is not defined: with a where mask give 'initial'.")
        if 0 in [a.shape[i] for i in axes_of(axis, a.ndim, name)]:
            raise ValueError(f"jnp.{name} of an empty array of shape {a.shape} is not defined; give 'initial'.")
    bound = worst(a.dtype)
    if is_complex(a.dtype):
        primitive = functools.partial(_extremum_of_complex, primitive, bound)
    return reduced(name, primitive, combine, bound, a, axis, keepdims, initial, where)


def max(a, axis=None, out=None, keepdims=False, initial=None, where=None):
    """The largest element over `axis`; nan if there is one."""
    return _extremum("max", p.reduce_max, larger, lowest, a, axis, out, keepdims, initial, where)


def min(a, axis=None, out=None, keepdims=False, initial=None, where=None):
    """The smallest element over `axis`; nan if there is one."""
    return _extremum("min", p.reduce_min, smaller, highest, a, axis, out, keepdims, initial, where)


def amax(a, axis=None, out=None, keepdims=False, initial=None, where=None):
    """Another name of max."""
    return max(a, axis, out, keepdims, initial, where)


def amin(a, axis=None, out=None, keepdims=False, initial=None, where=None):
    """Another name of min."""
    return min(a, axis, out, keepdims, initial, where)


def ptp(a, axis=None, out=None, keepdims=False):
    """max - min over `axis`."""
    refuse_out("ptp", out)
    a = as_array(a, "ptp")
    largest, smallest = max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims)
    if a.dtype.kind == "b":
        raise TypeError("ptp: bool has no differences.")
    return e.sub(largest, smallest)


def _position(name, primitive, a, axis, out, keepdims):
    refuse_out(name, out)
    a = as_array(a, name)
    axis = None if axis is None else normalize_axis(operator.index(axis), a.ndim, name)
    shape = kept_shape(a.shape, range(a.ndim) if axis is None else (axis,))
    a, axis = (flatten(a), 0) if axis is None else (a, axis)
    found = primitive(a, axis=axis, dtype=default_int())
    return reshape_to(found, shape) if keepdims else found


def argmax(a, axis=None, out=None, keepdims=None):
    """The position of the first largest element along `axis`, or in the flattened array; of the first nan, if there is one."""
    return _position("argmax", p.argmax, a, axis, out, keepdims)


def argmin(a, axis=None, out=None, keepdims=None):
    """The position of the first smallest element along `axis`, or in the flattened array; of the first nan, if there is one."""
    return _position("argmin", p.argmin, a, axis, out, keepdims)


# ---- truth ---------------------------------------------------------------------------------------------


def truth(x):
    """x as bool: whether it is not 0; of complex numbers, as in JAX, whether the real part is not."""
    x = e.real(x) if is_complex(x.dtype) else x
    return strong(x if x.dtype.kind == "b" else e.ne(x, 0))


def all(a, axis=None, out=None, keepdims=False, *, where=None):
    """True where no element over `axis` is 0."""
    refuse_out("all", out)
    return reduced("all", p.reduce_and, e.and_, True, truth(as_array(a, "all")), axis, keepdims, None, where)


def any(a, axis=None, out=None, keepdims=False, *, where=None):
    """True where some element over `axis` is not 0."""
    refuse_out("any", out)
    return reduced("any", p.reduce_or, e.or_, False, truth(as_array(a, "any")), axis, keepdims, None, where)


# ---- means and variances -------------------------------------------------------------------------------


def _size(x, axis):
    """How many elements lie over `axis`."""
    return math.prod(x.shape[i] for i in axes_of(axis, x.ndim, "mean"))


def _count(x, axis, keepdims, where, dtype):
    """How many elements over `axis` are counted, in `dtype`."""
    if where is None:
        return scalar(_size(x, axis), dtype, x.device)
    return _sum_in(dtype, broadcast_to(where, x.shape), axis, keepdims)


def _sum_in(dtype, a, axis, keepdims, where=None):
    return sum(e.convert_to(a, dtype), axis, keepdims=keepdims, where=where, promote_integers=False)


def _mean_in(dtype, a, axis, keepdims, where):
    return e.div(_sum_in(dtype, a, axis, keepdims, where), _count(a, axis, keepdims, where, dtype))


def mean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=None):
    """The arithmetic mean over `axis`. 16-bit floats are summed in float32."""
    refuse_out("mean", out)
    a, where = as_array(a, "mean"), mask_of(where, "mean")
    dtype, working = (
        (inexact_of(a.dtype), wide(inexact_of(a.dtype))) if dtype is None else (requested(dtype, "mean"),) * 2
    )
    if is_complex(a.dtype) and not is_complex(working):
        a = cast(a, working)  # with a warning
    return e.convert_to(_mean_in(working, a, axis, keepdims, where), dtype)


def average(a, axis=None, weights=None, returned=False, keepdims=False):
    """sum(a * weights) / sum(weights) over `axis`; weights: of the shape of a, or of that of its axes `axis`.

    returned: the pair (average, sum of weights).
    """
    if weights is None:
        (a,) = inexact("average", a)
        found = mean(a, axis, keepdims=keepdims)
        total = e.convert_to(_count(a, axis, keepdims, None, wide(found.dtype)), found.dtype)
    else:
        a, weights = inexact("average", a, weights)
        weights = _weights_along(weights, a, axis)
        total = sum(weights, axis, keepdims=keepdims)
        found = e.div(sum(e.mul(a, weights), axis, keepdims=keepdims), total)
    return (found, broadcast_to(total, found.shape)) if returned else found


def _weights_along(weights, a, axis):
    """Weights of the axes `axis` of a, in the order in which they are named, as an array that broadcasts with a."""
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise ValueError("average: axis must be given where a and weights differ in shape.")
    named = [i % a.ndim for i in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if weights.shape != tuple(a.shape[i] for i in named):
        raise ValueError(f"average: weights of shape {weights.shape} do not fit axes {axis} of shape {a.shape}.")
    weights = transpose(weights, tuple(np.argsort(named))) if len(named) > 1 else weights
    return reshape_to(weights, tuple(n if i in named else 1 for i, n in enumerate(a.shape)))


def _variance_dtypes(a, dtype, name):
    """(dtype in which to compute, dtype of the result)"""
    if dtype is None:
        found = inexact_of(a.dtype)
        return wide(found), real_of(found)
    dtype = requested(dtype, name)
    if is_complex(a.dtype) and not is_complex(dtype):
        raise ValueError(f"{name} of complex numbers does not take a real dtype, got {dtype}.")
    return wide(dtype), dtype


def _squares(x):
    return e.real(e.mul(x, e.conj(x))) if is_complex(x.dtype) else e.mul(x, x)


def _correction(ddof, correction):
    if correction is None:
        return ddof
    if not isinstance(ddof, int) or ddof != 0:
        raise ValueError("ddof and correction are two names of one thing: give one of them.")
    return correction


def var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=None, mean=None, correction=None):
    """The mean squared distance from `mean` (default: the mean) over `axis`, with n - correction for n; ddof is another
    name of it. nan where that is not positive. Of complex numbers it is real.
    """
    correction = _correction(ddof, correction)
    refuse_out("var", out)
    a, where = as_array(a, "var"), mask_of(where, "var")
    working, dtype = _variance_dtypes(a, dtype, "var")
    a = e.convert_to(a, working)
    centre = _mean_in(working, a, axis, True, where) if mean is None else as_array(mean, "var")
    squares = _squares(e.sub(a, e.convert_to(centre, working)))
    total = _sum_in(squares.dtype, squares, axis, keepdims, where)
    if where is None and type(correction) in (int, float):
        n = _size(a, axis) - correction
        found = e.div(total, scalar(n, total.dtype, total.device)) if n > 0 else filled_like(total, math.nan)
        return e.convert_to(found, dtype)
    n = _count(a, axis, keepdims, where, total.dtype)
    n = e.sub(n, e.convert_to(as_array(correction, "var"), total.dtype))
    found = e.convert_to(e.div(total, n), dtype)
    return e.select(e.gt(n, 0), found, number(math.nan, found)) if is_inexact(dtype) else found


def std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=None, mean=None, correction=None):
    """The standard deviation: the square root of var."""
    correction = _correction(ddof, correction)
    refuse_out("std", out)
    if dtype is not None and not is_inexact(requested(dtype, "std")):
        raise ValueError(f"std: the dtype must be floating or complex, got {dtype}.")
    return m.sqrt(var(a, axis, dtype, keepdims=keepdims, where=where, mean=mean, correction=correction))


# ---- without nan ---------------------------------------------------------------------------------------


def _ignoring_nan(reduce, neutral, a, name, all_nan=False, **options):
    """`reduce` of a with `neutral` for nan; all_nan: nan where there is nothing else."""
    a = as_array(a, name)
    if not is_inexact(a.dtype):
        return reduce(a, **options)
    missing = e.ne(a, a)
    out = reduce(e.select(missing, number(neutral, a), a), **options)
    if not all_nan:
        return out
    return e.select(all(missing, options["axis"], keepdims=options["keepdims"]), number(math.nan, out), out)


def nansum(a, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None):
    """The sum over `axis` of what is not nan."""
    options = {"axis": axis, "dtype": dtype, "out": out, "keepdims": keepdims, "initial": initial, "where": where}
    return _ignoring_nan(sum, 0, a, "nansum", **options)


def nanprod(a, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None):
    """The product over `axis` of what is not nan."""
    options = {"axis": axis, "dtype": dtype, "out": out, "keepdims": keepdims, "initial": initial, "where": where}
    return _ignoring_nan(prod, 1, a, "nanprod", **options)


def nanmax(a, axis=None, out=None, keepdims=False, initial=None, where=None):
    """The largest element over `axis` that is not nan; nan if there is none and no `initial`."""
    options = {"axis": axis, "out": out, "keepdims": keepdims, "initial": initial, "where": where}
    return _ignoring_nan(max, -math.inf, a, "nanmax", initial is None, **options)


def nanmin(a, axis=None, out=None, keepdims=False, initial=None, where=None):
    """The smallest element over `axis` that is not nan; nan if there is none and no `initial`."""
    options = {"axis": axis, "out": out, "keepdims": keepdims, "initial": initial, "where": where}
    return _ignoring_nan(min, math.inf, a, "nanmin", initial is None, **options)


def nanmean(a, axis=None, dtype=None, out=None, keepdims=False, where=None):
    """The mean over `axis` of what is not nan; nan if there is nothing else."""
    refuse_out("nanmean", out)
    a, where = as_array(a, "nanmean"), mask_of(where, "nanmean")
    if not is_inexact(a.dtype):
        return mean(a, axis, dtype, None, keepdims, where=where)
    dtype = a.dtype if dtype is None else requested(dtype, "nanmean")
    count = sum(e.eq(a, a), axis, dtype, keepdims=keepdims, where=where)
    return e.div(nansum(a, axis, dtype, keepdims=keepdims, where=where), count)


def nanvar(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, where=None, mean=None):
    """The variance over `axis` of what is not nan; see var."""
    refuse_out("nanvar", out)
    a, where = as_array(a, "nanvar"), mask_of(where, "nanvar")
    working, dtype = _variance_dtypes(a, dtype, "nanvar")
    a = e.convert_to(a, working)
    centre = nanmean(a, axis, working, keepdims=True, where=where) if mean is None else as_array(mean, "nanvar")
    known = e.eq(a, a)
    distance = e.sub(a, e.convert_to(centre, working))
    squares = _squares(e.select(known, distance, number(0, distance)))
    n = e.sub(sum(known, axis, keepdims=keepdims, where=where), as_array(ddof, "nanvar"))
    total = sum(squares, axis, keepdims=keepdims, where=where)
    positive = e.gt(n, 0)
    found = e.div(total, e.convert_to(e.select(positive, n, number(1, n)), total.dtype))
    return e.convert_to(e.select(positive, found, number(math.nan, found)), dtype)


def nanstd(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, where=None, mean=None):
    """The standard deviation over `axis` of what is not nan."""
    refuse_out("nanstd", out)
    return m.sqrt(nanvar(a, axis, dtype, None, ddof, keepdims, where, mean))


def _position_without_nan(find, worst, name, a, axis, out, keepdims):
    refuse_out(name, out)
    a = as_array(a, name)
    if not is_inexact(a.dtype):
        return find(a, axis, None, keepdims)
    missing = e.ne(a, a)
    found = find(e.select(missing, number(worst, a), a), axis, None, keepdims)
    return e.select(all(missing, axis, keepdims=keepdims), number(-1, found), found)


def nanargmax(a, axis=None, out=None, keepdims=None):
    """The position of the largest element along `axis` that is not nan; -1 if there is none."""
    return _position_without_nan(argmax, -math.inf, "nanargmax", a, axis, out, keepdims)


def nanargmin(a, axis=None, out=None, keepdims=None):
    """The position of the smallest element along `axis` that is not nan; -1 if there is none."""
    return _position_without_nan(argmin, math.inf, "nanargmin", a, axis, out, keepdims)


__all__ = [
    "sum", "prod", "max", "min", "amax", "amin", "ptp", "argmax", "argmin", "all", "any", "count_nonzero", "mean", "average",
    "var", "std", "nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd", "nanargmax", "nanargmin",
]  # fmt: skip
