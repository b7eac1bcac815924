"""Index arithmetic of views, for the compiler: which element of an array an iteration of a kernel reads.

A kernel iterates over axes. The index of an array there is one `Place` per dimension: a constant plus axes times
strides. Views are functions on such indices, which is why they cost nothing in a kernel. Axes are symbols that may
turn out to be equal (`unify`) or to consist of two others (768 = 12 * 64, met at a reshape).
"""

import itertools
import math
import threading
from typing import NamedTuple


class Axis:
    """One loop of a kernel: `size` iterations. `parts`: what it was found to be, outermost first."""

    __slots__ = ("size", "parts", "number")
    next_number = itertools.count(1).__next__

    def __init__(self, size):
        self.size, self.parts = size, None
        self.number = Axis.next_number()

    def __repr__(self):
        return f"a{self.number}[{self.size}]"


def leaves(axis):
    """The axes that `axis` consists of, outermost first."""
    if axis.parts is None:
        return (axis,)
    return tuple(leaf for part in axis.parts for leaf in leaves(part))


class Place:
    """constant + sum of axis * stride: an index along one dimension."""

    __slots__ = ("constant", "terms")

    def __init__(self, terms=(), constant=0):
        self.terms = terms  # (axis, stride) pairs, largest stride first
        self.constant = constant

    def __repr__(self):
        return " + ".join([*(f"{a}*{s}" for a, s in self.expanded()), str(self.constant)])

    def expanded(self):
        """The terms in axes that are not split."""
        for axis, _ in self.terms:
            if axis.parts is not None:
                break
        else:
            return self.terms
        found = []
        for axis, stride in self.terms:
            parts = leaves(axis)
            for part in reversed(parts):
                found.append((part, stride))
                stride *= part.size
        found = tuple(sorted(found, key=_by_stride))
        if _bindings.log is None:  # else the parts may be taken back
            self.terms = found
        return found

    def scaled(self, factor, offset=0):
        return Place(tuple([(axis, stride * factor) for axis, stride in self.terms]), self.constant * factor + offset)


def _by_stride(term):
    return -abs(term[1])


ORIGIN = Place()


def fresh(shape):
    """An index with new axes for all dimensions of `shape`."""
    return tuple([Place(((Axis(n), 1),)) if n != 1 else ORIGIN for n in shape])


def axes_of(index):
    """The axes that `index` depends on, outermost first."""
    return [axis for place in index if place.terms for axis, _ in place.expanded()]


def is_whole(index, shape):
    """True if the index runs over the whole array, each element once."""
    seen = set()
    for place, size in zip(index, shape):
        reach = 1
        for axis, stride in reversed(place.expanded()):
            if stride != reach or axis in seen:
                return False
            reach *= axis.size
            seen.add(axis)
        if place.constant or reach != size:
            return False
    return True


def is_same(a, b):
    """True if two indices of one array are the same in every iteration."""
    return all(p.constant == q.constant and p.expanded() == q.expanded() for p, q in zip(a, b))


class Bound(NamedTuple):
    """A condition under which an index lies inside of an array: 0 <= place < size."""

    place: Place
    size: int
    own: "Bound | None" = None  # the same for one dimension, where `place` counts it together with those after it


def ways_out(index, shape):
    """The Bounds of the dimensions in which an index may lie outside of an array of this shape.

    The last of these dimensions is counted together with those after it, so that loops over it and them can be one.
    """
    found, after = [], 0
    for i, (place, size) in enumerate(zip(index, shape)):
        low = high = place.constant
        for axis, stride in place.terms:
            low, high = low + min(stride * (axis.size - 1), 0), high + max(stride * (axis.size - 1), 0)
        if low < 0 or high >= size:
            found.append(Bound(place, size))
            after = i
    if found:
        found[-1] = Bound(_flattened(index[after:], shape[after:]), math.prod(shape[after:]), found[-1])
    return found


def flat(index, shape):
    """The place in row-major order of an element of an array."""
    return _flattened(index, shape) if index else ORIGIN


def has_repeated_axis(index):
    found = axes_of(index)
    return len(set(found)) != len(found)


# ---- views -------------------------------------------------------------------------------------------


def reshaped(index, shape, wanted):
    """The index into an array of shape `wanted`, given that into the same elements under `shape`; None if it has no such form."""
    result = []
    i = j = 0
    while j < len(wanted) or i < len(shape):
        j_end, i_end = j, i
        have, want = 1, 1
        if j_end < len(wanted):
            want *= wanted[j_end]
            j_end += 1
        if i_end < len(shape):
            have *= shape[i_end]
            i_end += 1
        while have != want:  # the smallest groups of dimensions with equally many elements
            if have < want:
                have *= shape[i_end]
                i_end += 1
            else:
                want *= wanted[j_end]
                j_end += 1
        flat = _flattened(index[i:i_end], shape[i:i_end])
        places = (flat,) if j_end - j == 1 else _unflattened(flat, wanted[j:j_end])
        if places is None:
            return None
        result.extend(places)
        i, j = i_end, j_end
    return tuple(result)


def _flattened(places, sizes):
    if len(places) == 1:
        return places[0]
    terms, constant, stride = [], 0, 1
    for place, size in zip(reversed(places), reversed(sizes)):
        terms += [(axis, s * stride) for axis, s in place.expanded()]
        constant += place.constant * stride
        stride *= size
    return Place(tuple(sorted(terms, key=_by_stride)), constant)


def _unflattened(flat, sizes):
    """The digits of a flat index in the mixed radix `sizes`."""
    strides, reach = [], 1
    for size in reversed(sizes):
        strides.append(reach)
        reach *= size
    strides.reverse()
    digits = [[] for _ in sizes]
    constants, rest = [], flat.constant
    for stride in strides:
        constants.append(rest // stride if stride else 0)
        rest -= constants[-1] * stride
    todo = list(flat.expanded())
    while todo:
        axis, step = todo.pop()
        digit = next((k for k, stride in enumerate(strides) if abs(step) >= stride and sizes[k] > 1), None)
        if digit is None:
            return None
        stride, size = strides[digit], sizes[digit]
        if step % stride:
            return None
        if abs(step) * axis.size > stride * size:  # reaches into the digit before: split the axis there
            inner, uneven = divmod(stride * size, abs(step))
            if uneven or inner <= 1 or axis.size % inner:
                return None
            split(axis, inner)
            outer, low = axis.parts
            todo += [(outer, step * inner), (low, step)]
            continue
        digits[digit].append((axis, step // stride))
    places = []
    for terms, constant, size in zip(digits, constants, sizes):
        low = high = constant
        for axis, step in terms:
            if step > 0:
                high += step * (axis.size - 1)
            else:
                low += step * (axis.size - 1)
        if low < 0 or high >= size:
            return None
        places.append(Place(tuple(sorted(terms, key=_by_stride)), constant))
    return places


# ---- equality ----------------------------------------------------------------------------------------


class _Bindings(threading.local):
    log = None  # axes that were bound in the innermost trial, so that it can be undone


_bindings = _Bindings()


def split(axis, inner):
    """Makes `axis` consist of an outer one and one of size `inner`."""
    axis.parts = Axis(axis.size // inner), Axis(inner)


class trial:
    """Context manager: bindings of unify() inside are undone unless keep() is called. bound(): whether there are any."""

    def __enter__(self):
        self.outer, _bindings.log = _bindings.log, []
        return self

    def bound(self):
        return bool(_bindings.log)

    def keep(self):
        if self.outer is not None:
            self.outer += _bindings.log
        _bindings.log.clear()

    def __exit__(self, *exc):
        for axis in _bindings.log:
            axis.parts = None
        _bindings.log = self.outer


def unify(a, b):
    """Makes two indices of one array equal by declaring axes equal; False if that is not possible."""
    return all(map(_unify_places, a, b))


def _unify_places(a, b):
    if a.constant != b.constant:
        return False
    left, right = Place(a.terms), Place(b.terms)
    while True:
        left, right = Place(left.expanded()), Place(right.expanded())
        if not left.terms or not right.terms:
            return not left.terms and not right.terms
        (p, s), (q, t) = left.terms[-1], right.terms[-1]
        if s != t:
            return False
        if p is not q and p.size == q.size:
            _bind(q, (p,))
        elif p is not q:
            if p.size < q.size:
                p, q = q, p
            if p.size % q.size:
                return False
            outer, inner = Axis(p.size // q.size), Axis(q.size)
            _bind(p, (outer, inner))
            _bind(inner, (q,))
            continue
        left.terms, right.terms = left.terms[:-1], right.terms[:-1]


def _bind(axis, parts):
    axis.parts = parts
    if _bindings.log is not None:
        _bindings.log.append(axis)
