"""x.at[index]: reads, and changed copies of x, for positions that may be out of range. The names are JAX's."""

from ..core.errors import ArgumentError
from ..primitives import elementwise as e
from ..primitives import shape as s
from .arithmetic import divide, power
from .creation import as_tensor
from .indexing import getitem, update


class At:
    """x.at[index]: what follows reads x[index], or gives a changed copy of x.

    Repeated positions are combined one after the other; `set` keeps the last value. mode says what happens to positions
    out of range: "drop" (default of writing; "fill" is the same), "clip" (default of reading): the nearest position;
    reading with "fill" gives fill_value (default: nan, the lowest signed, the highest unsigned integer, True).
    "promise_in_bounds" is "clip". unique_indices promises that no element is addressed twice, which some derivatives
    need; indices_are_sorted promises order, of which no use is made.
    """

    __slots__ = ("x", "index")

    def __init__(self, x, index=None):
        self.x, self.index = x, index

    def __getitem__(self, index):
        return At(self.x, index)

    def get(self, *, mode=None, fill_value=None, indices_are_sorted=False, unique_indices=False):
        """x[index]."""
        return getitem(self.x, self.index, _read_mode(mode), fill_value)

    def set(self, value, **hints):
        """x with x[index] = value. The hints of this and the methods below are mode, unique_indices, indices_are_sorted."""
        return self._update(value, "set", **hints)

    def add(self, value, **hints):
        """x with x[index] += value."""
        return self._update(value, "add", **hints)

    def subtract(self, value, **hints):
        """x with x[index] -= value."""
        return self._update(e.neg(self._converted(value)), "add", **hints)

    def multiply(self, value, **hints):
        """x with x[index] *= value."""
        return self._update(value, "mul", **hints)

    mul = multiply

    def divide(self, value, **hints):
        """x with x[index] /= value."""
        return divide(self.x, At(s.filled_like(self.x, 1), self.index).multiply(value, **hints))

    def power(self, value, **hints):
        """x with x[index] **= value."""
        return power(self.x, At(s.filled_like(self.x, 1), self.index).multiply(value, **hints))

    def min(self, value, **hints):
        """x with the smaller of x[index] and value."""
        return self._update(value, "min", **hints)

    def max(self, value, **hints):
        """x with the larger of x[index] and value."""
        return self._update(value, "max", **hints)

    def apply(self, function, **hints):
        """x with x[index] = function(x[index]): once, also for positions that are repeated."""
        return self._update(function(getitem(self.x, self.index)), "set", **hints)

    def _converted(self, value):
        return e.convert_to(as_tensor(value, self.x.device), self.x.dtype)

    def _update(self, value, combine, *, mode=None, unique_indices=False, indices_are_sorted=False):
        mode = "drop" if mode is None else _write_mode(mode)
        return update(self.x, self.index, value, combine, mode, bool(unique_indices))


def _read_mode(mode):
    modes = {None: "clip", "clip": "clip", "promise_in_bounds": "clip", "fill": "fill", "drop": "fill"}
    return _known_mode(modes, mode)


def _write_mode(mode):
    return _known_mode({"clip": "clip", "promise_in_bounds": "clip", "fill": "drop", "drop": "drop"}, mode)


def _known_mode(modes, mode):
    if mode not in modes:
        raise ArgumentError(f"{mode!r} is not a mode.", fix="use 'clip', 'fill', 'drop' or 'promise_in_bounds'.")
    return modes[mode]
