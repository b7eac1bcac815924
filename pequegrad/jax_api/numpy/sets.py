"""Arrays as sets: what is in them once, in common, or in one of them.

How many elements a result has is a value: without `size` it is read, which traced arrays refuse, and the result has no
derivative; with it the result is cut off, or filled up with fill_value, to that size.
"""

import operator
from typing import Any, NamedTuple

from ...core.dtype import default_int, dt, is_complex, is_float, is_inexact
from ...ops import shape as o
from ...ops.arithmetic import astype, isnan, promoted
from ...ops.arithmetic import where as choice
from ...ops.at import At
from ...ops.cumulative import cumsum
from ...ops.rearrange import take
from ...ops.reductions import any as any_of
from ...ops.reductions import argmax
from ...ops.reductions import max as largest
from ...ops.reductions import sum as total
from ...ops.sorting import _order, searchsorted
from ...primitives import elementwise as e
from ...primitives import shape as s
from ..convert import as_array, as_arrays
from .arguments import axis_index, filled, value_like
from .indexing import nonzero
from .joining import concatenate
from .manipulation import moveaxis, ravel
from .sorting import keys_of, sort


class _UniqueAllResult(NamedTuple):
    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class _UniqueCountsResult(NamedTuple):
    values: Any
    counts: Any


class _UniqueInverseResult(NamedTuple):
    values: Any
    inverse_indices: Any


# ---- unique ------------------------------------------------------------------------------------------


class _Ordered:
    """The parts x[i], of which there is at least one, in order: `parts`; their positions `order` in x; `first`: which differ from those before."""

    def __init__(self, x, equal_nan=True):
        n = x.shape[0]
        rows = s.reshape_to(x, (n, x.size // n))
        if is_complex(x.dtype):
            rows = choice(isnan(rows), complex("nan"), rows)
        keys = tuple(key for j in range(rows.shape[1]) for key in keys_of(rows[:, j]))
        self.order = astype(_order(keys, 0), default_int())
        self.parts, rows = take(x, self.order, 0, "clip"), take(rows, self.order, 0, "clip")
        after, before = s.slice_axis(rows, 0, 1, n), s.slice_axis(rows, 0, 0, n - 1)
        differs = e.ne(after, before)
        if is_inexact(x.dtype) and equal_nan:
            differs = e.and_(differs, e.not_(e.and_(isnan(after), isnan(before))))
        self.first = s.concatenate(filled(x, (1,), True, dt.bool_), any_of(differs, 1), axis=0)
        self.count = _count(self.first)


def _count(mask):
    return total(astype(mask, default_int()))


def _numbers(n, like):
    return s.iota(shape=(n,), dtype=default_int(), axis=0, device=like.device)


def _known_size(size, arrays, name):
    """`size` as an int; without it the arrays, whose values must be known, lose their history."""
    if size is not None:
        return operator.index(size), arrays
    for x in arrays:
        x._read(f"{name} without size")
    return None, [x.detach() for x in arrays]


def unique(ar, return_index=False, return_inverse=False, return_counts=False, axis=None, *, equal_nan=True, size=None,
           fill_value=None, sorted=True):  # fmt: skip
    """The different elements in ascending order, or with `axis` the different parts along that axis.

    Asked for, there follow: where each of them is first; for each element of ar the position of its value; how often each
    value occurs. equal_nan: whether all nan count as one. fill_value: by default the smallest element. The result is always sorted.
    """
    ar = as_array(ar, "unique")
    size, (ar,) = _known_size(size, [ar], "unique")
    x = ravel(ar) if axis is None else moveaxis(ar, axis_index(axis, ar.ndim), 0)
    find = _unique_parts if x.size else _unique_of_nothing
    values, *others = find(x, equal_nan, size, fill_value)
    others[1] = s.reshape_to(others[1], ar.shape if axis is None else (x.shape[0],))
    wanted = [found for found, asked in zip(others, (return_index, return_inverse, return_counts)) if asked]
    values = values if axis is None else moveaxis(values, 0, axis)
    return (values, *wanted) if wanted else values


def _unique_parts(x, equal_nan, size, fill_value):
    """(the different x[i], their first positions, for each x[i] the number of its value, how often each occurs)"""
    n, ordered = x.shape[0], _Ordered(x, equal_nan)
    size = int(ordered.count) if size is None else size
    (starts,) = nonzero(ordered.first, size=size + 1)  # each value ends where the next one begins
    ends = choice(e.eq(starts[1:], 0), n, starts[1:])
    begins = s.concatenate(starts[: min(size, 1)], ends[:-1], axis=0)
    starts = starts[:size]
    values = take(ordered.parts, starts, 0, "clip")
    if fill_value is not None:
        there = s.reshape_to(e.lt(_numbers(size, x), ordered.count), (size, *(1,) * (x.ndim - 1)))
        values = choice(there, values, value_like(fill_value, values))
    ranks = e.sub(cumsum(astype(ordered.first, default_int()), 0), 1)
    inverse = At(filled(x, (n,), 0, default_int()))[ordered.order].set(ranks)
    return values, take(ordered.order, starts, 0, "clip"), inverse, e.sub(ends, begins)


def _unique_of_nothing(x, equal_nan, size, fill_value):
    """_unique_parts of an array without elements: all its parts are equal."""
    n = x.shape[0]
    if not n and size and fill_value is None:
        raise ValueError("unique: of no elements, a size above 0 needs a fill_value")
    count = min(n, 1)
    index = filled(x, (count,), 0, default_int())
    values = filled(x, (size if size and not n else count, *x.shape[1:]), 0 if fill_value is None else fill_value)
    return values, index, filled(x, (n,), 0, default_int()), filled(x, (count,), n, default_int())


def unique_all(x, /, *, size=None, fill_value=None):
    """(values, indices, inverse_indices, counts) of unique, for which each nan differs from all others."""
    return _UniqueAllResult(*unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value))


def unique_counts(x, /, *, size=None, fill_value=None):
    """(values, counts) of unique, for which each nan differs from all others."""
    return _UniqueCountsResult(*unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value))


def unique_inverse(x, /, *, size=None, fill_value=None):
    """(values, inverse_indices) of unique, for which each nan differs from all others."""
    return _UniqueInverseResult(*unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value))


def unique_values(x, /, *, size=None, fill_value=None):
    """unique, for which each nan differs from all others."""
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


# ---- membership --------------------------------------------------------------------------------------


def _found(x, among):
    """(which elements of the vector x are in the vector `among`, where), in which equal elements stand together, ascending."""
    if not among.size:
        return filled(x, x.shape, False, dt.bool_), filled(x, x.shape, 0, dt.int32)
    if is_complex(x.dtype):
        places = argmax(e.eq(o.expand_dims(x, 1), among), 1)
    else:
        places = e.min_(searchsorted(among, x, "left"), among.size - 1)
    return e.eq(take(among, places, 0, "clip"), x), places


def isin(element, test_elements, assume_unique=False, invert=False, *, method="auto"):
    """Which elements are (invert: are not) among test_elements; nan equals nothing. assume_unique, method: all give the same."""
    element, test_elements = as_arrays("isin", element, test_elements)
    if method not in ("auto", "compare_all", "binary_search", "sort"):
        raise ValueError(f"isin: method={method!r} is not 'auto', 'compare_all', 'binary_search' or 'sort'")
    x, among = promoted(element, test_elements)
    found = s.reshape_to(_found(ravel(x), sort(among, None))[0], element.shape)
    return e.not_(found) if invert else found


# ---- of two sets -------------------------------------------------------------------------------------


class _Set:
    """The different elements of the vector x, ascending: `values`, as many as x has; `count`: how many of them are meant; `places` in x.

    After the first `count` values the last of them is repeated.
    """

    def __init__(self, x, assume_unique):
        if assume_unique or x.size < 2:
            self.places = astype(_order(keys_of(x), 0), default_int())
            self.count, self.there = x.size, filled(x, x.shape, True, dt.bool_)
        else:
            ordered = _Ordered(x)
            (starts,) = nonzero(ordered.first, size=x.size)
            self.count = ordered.count
            self.there = e.lt(_numbers(x.size, x), self.count)
            starts = choice(self.there, starts, largest(starts))
            self.places = take(ordered.order, starts, 0, "clip")
        self.values = take(x, self.places, 0, "clip") if x.size else x


def _chosen(mask, size):
    """(positions where the mask is true, `size` of them or all; which of these positions are meant)"""
    count = _count(mask)
    size = int(count) if size is None else size
    return nonzero(mask, size=size)[0], e.lt(_numbers(size, mask), count)


def _filled_up(values, there, fill_value):
    """The values that are not there replaced by fill_value, by default the first of the others, or 0."""
    if fill_value is None:
        if not values.size:
            return values
        fill_value = choice(there[0], values[0], 0)
        if is_float(values.dtype):  # nan counts as the smallest
            fill_value = choice(any_of(e.and_(there, isnan(values))), float("nan"), fill_value)
    return choice(there, values, value_like(fill_value, values))


def _two_sets(name, ar1, ar2, size):
    ar1, ar2 = as_arrays(name, ar1, ar2)
    size, arrays = _known_size(size, [ar1, ar2], name)
    return size, *(ravel(x) for x in promoted(*arrays))


def union1d(ar1, ar2, *, size=None, fill_value=None):
    """The different elements of both arrays, ascending."""
    return unique(concatenate(as_arrays("union1d", ar1, ar2), None), size=size, fill_value=fill_value)


def setdiff1d(ar1, ar2, assume_unique=False, *, size=None, fill_value=None):
    """The different elements of ar1 (assume_unique: all its elements, in their order) that are not in ar2. fill_value: default 0."""
    dtype = as_array(ar1, "setdiff1d").dtype
    size, x, among = _two_sets("setdiff1d", ar1, ar2, size)
    fill_value = 0 if fill_value is None else fill_value
    if not x.size:
        return filled(x, (size or 0,), fill_value, dtype)
    values, there = x, filled(x, x.shape, True, dt.bool_)
    if not assume_unique:
        values, there = (found := _Set(x, False)).values, found.there
    places, there = _chosen(e.and_(there, e.not_(_found(values, sort(among))[0])), size)
    return astype(_filled_up(take(values, places, 0, "clip"), there, fill_value), dtype)


def intersect1d(ar1, ar2, assume_unique=False, return_indices=False, *, size=None, fill_value=None):
    """The different elements that both arrays have, ascending; with return_indices also where they are in ar1 and in ar2.

    fill_value: by default the smallest element of the result; the positions of missing elements are the sizes of the arrays.
    """
    size, x, y = _two_sets("intersect1d", ar1, ar2, size)
    first, second = _Set(x, assume_unique), _Set(y, assume_unique)
    common, partners = _found(first.values, second.values)
    places, there = _chosen(e.and_(common, first.there), size)
    values = take(first.values, places, 0, "clip") if x.size else filled(x, places.shape, 0)
    values = _filled_up(values, there, fill_value)
    if not return_indices:
        return values
    if not x.size or not y.size:
        return values, *(filled(v, places.shape, v.size, default_int()) for v in (x, y))
    mine = take(first.places, places, 0, "clip")
    others = take(second.places, take(partners, places, 0, "clip"), 0, "clip")
    return values, choice(there, mine, x.size), choice(there, others, y.size)


def setxor1d(ar1, ar2, assume_unique=False, *, size=None, fill_value=None):
    """The different elements that only one of the arrays has, ascending. fill_value: by default the smallest of them."""
    size, x, y = _two_sets("setxor1d", ar1, ar2, size)
    first, second = _Set(x, assume_unique), _Set(y, assume_unique)
    alone = [e.and_(a.there, e.not_(_found(a.values, b.values)[0])) for a, b in ((first, second), (second, first))]
    mask, values = s.concatenate(*alone, axis=0), s.concatenate(first.values, second.values, axis=0)
    if values.size:
        order = _order((e.not_(mask), *keys_of(values)), 0)  # those that count come first
        mask, values = take(mask, order, 0, "clip"), take(values, order, 0, "clip")
    places, there = _chosen(mask, size)
    values = take(values, places, 0, "clip") if values.size else filled(values, places.shape, 0)
    return _filled_up(values, there, fill_value)


__all__ = [
    "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values", "isin", "union1d", "setdiff1d",
    "intersect1d", "setxor1d",
]  # fmt: skip
