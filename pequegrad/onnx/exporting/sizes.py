"""Sizes that are not fixed: what they are in each of a few traces, and which product of the free sizes they are.

A function is traced for several values of its free sizes. A number that is the same in all traces is a number; any other is
a Varying: its value in each trace. Arithmetic on these is done trace by trace; when one must be in the file, the
polynomial in the free sizes that gives it is found.
"""

import itertools
import operator
from fractions import Fraction

import numpy as np

from ...core.errors import ShapeError

LEAST, FAR = 3, 1001  # sizes at which what is written must be right, too


class Varying:
    """A number with a value for each trace. Comparisons hold if they do in all traces, and fail if the traces differ."""

    def __init__(self, values):
        self.values = tuple(values)

    def _compared(self, other, compare):
        found = {compare(a, b) for a, b in zip(self.values, _values(other, len(self.values)))}
        if len(found) != 1:
            raise ShapeError(f"Whether {compare.__name__}({self}, {other}) holds depends on a free size.")
        return found.pop()

    def __eq__(self, other):
        return self.values == _values(other, len(self.values))

    def __hash__(self):
        return hash(self.values)

    def __repr__(self):
        return "|".join(map(str, self.values))

    def __neg__(self):
        return -1 * self

    def __bool__(self):
        return self._compared(0, operator.ne)


def _values(x, n):
    return x.values if isinstance(x, Varying) else (x,) * n


def merged(values):
    """A number for its values in all traces: itself if they are the same, else Varying."""
    first = values[0]
    if all(type(v) is type(first) and (v == first or v != v and first != first) for v in values):  # nan is nan
        return first
    return Varying(values)


def _arithmetic(name, function):
    def forward(self, other):
        return merged([function(a, b) for a, b in zip(self.values, _values(other, len(self.values)))])

    def backward(self, other):
        return merged([function(b, a) for a, b in zip(self.values, _values(other, len(self.values)))])

    setattr(Varying, f"__{name}__", forward)
    setattr(Varying, f"__r{name}__", backward)


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod"):
    _arithmetic(_name, getattr(operator, _name))
for _name in ("lt", "le", "gt", "ge"):
    _compare = getattr(operator, _name)
    setattr(Varying, f"__{_name}__", lambda self, other, _compare=_compare: self._compared(other, _compare))


def fixed(shape):
    """True if no size varies."""
    return not any(isinstance(n, Varying) for n in shape)


class Samples:
    """The free sizes by name, and their values in each trace: the given ones, then each set of them changed, then checks.

    Checks are far away (about twice the given ones, the `small` ones, and FAR): a function that clips or rounds a size, or decides on it, is another
    function there. `drop` takes out a check at which the function fails: there it need not be right.
    """

    def __init__(self, sizes, least=None, smaller=True):
        """least: {name: the least size that there will be}. smaller: sizes are changed to smaller ones, where there is room (a function
        may have a largest size, or a smallest).
        """
        self.names, self.smaller, self.given = list(sizes), smaller, least or {}
        self.least = {name: max(LEAST, (least or {}).get(name, LEAST)) for name in sizes}
        base = {name: _plain(n, -1, self.least[name]) for name, n in sizes.items()}
        other = {
            name: _plain(n - 1 - i if smaller else n + 1 + i, -1 if smaller else 1, self.least[name])
            for i, (name, n) in enumerate(base.items())
        }
        for name, n in base.items():
            if other[name] == n:
                other[name] = _plain(n + 1, 1, self.least[name])
        self.known = [
            {name: other[name] if changed else base[name] for name, changed in zip(self.names, which)}
            for which in itertools.product((False, True), repeat=len(self.names))
        ]
        self.twice = {name: _other(n) for name, n in base.items()}
        self.small = [self._small(name) for name in self.names]
        far = {name: _plain(FAR + 2 * i, 1, self.least[name]) for i, name in enumerate(self.names)}
        self.checks = [self.twice, *self.small, far] if self.names else []

    def _small(self, least):
        """One size (its name) is as small as it may be, the others nearly so; none is equal to another."""
        found = {least: self.least[least]}
        for name in self.names:
            n = found.get(name) or _plain(self.least[name] + 1, 1, LEAST)
            while name != least and n in found.values():
                n = _plain(n + 1, 1, LEAST)
            found[name] = n
        return found

    @property
    def traces(self):
        return [*self.known, *self.checks]

    @property
    def near(self):
        """Sizes to run the function for: a set of changed ones, and checks that are not far away."""
        found = [self.known[-1], *(c for c in self.checks if all(c[n] <= self.twice[n] for n in self.names))]
        return found if self.names else []

    def drop(self, sizes):
        self.checks = [check for check in self.checks if check is not sizes]

    def terms(self, varying):
        """{names of free sizes: factor} whose sum of products is the number in all traces; None if there is none."""
        n = len(self.known)
        subsets = [s for k in range(len(self.names) + 1) for s in itertools.combinations(self.names, k)]
        product = lambda subset, sizes: int(np.prod([sizes[n] for n in subset], dtype=np.int64))
        rows = [
            [Fraction(product(s, sizes)) for s in subsets] + [Fraction(value)]
            for sizes, value in zip(self.known, varying.values)
        ]
        factors = _solved(rows)
        for sizes, value in zip(self.checks, varying.values[n:]):
            if sum(f * product(s, sizes) for s, f in zip(subsets, factors)) != Fraction(value):
                return None
        return {s: f for s, f in zip(subsets, factors) if f}


def _plain(n, step, least):
    """n, or a size near it, from `least` on: programs for 1, 2 and powers of 2, whose inverses are exact, may be others."""
    found = max(n, least)
    while found & (found - 1) == 0:
        found += step if found > max(4, least) else 1
    return found


def _other(n):
    """A number from 2 n on with other remainders: n // 2 is a polynomial of odd numbers, and one of even ones, but not of both."""
    found = 2 * n
    while found & (found - 1) == 0 or any((found - n) % divisor == 0 for divisor in (2, 3, 5, 7)):
        found += 1
    return found


def _solved(rows):
    """The solution of a regular system of linear equations (augmented rows of Fractions)."""
    n = len(rows)
    for i in range(n):
        pivot = next(r for r in range(i, n) if rows[r][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for r in range(n):
            if r != i and rows[r][i]:
                rows[r] = [a - rows[r][i] * b for a, b in zip(rows[r], rows[i])]
    return [row[-1] for row in rows]
