"""jax.experimental.layout: in which order the elements of an array lie in memory. Arrays here are laid out as they are computed."""

from ..sharding import Sharding

__all__ = ["Format", "Layout"]


class _Auto:
    def __repr__(self):
        return "AUTO"


class Layout:
    """The axes of an array from the slowest to the fastest, and tiles of them."""

    AUTO = _Auto()

    def __init__(self, major_to_minor, tiling=None, sub_byte_element_size_in_bits=0):
        self.major_to_minor = tuple(major_to_minor)
        self.tiling = None if tiling is None else tuple(map(tuple, tiling))
        self.sub_byte_element_size_in_bits = sub_byte_element_size_in_bits

    def _key(self):
        return self.major_to_minor, self.tiling, self.sub_byte_element_size_in_bits

    def __eq__(self, other):
        return isinstance(other, Layout) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())

    def __repr__(self):
        return "Layout(major_to_minor={}, tiling={}, sub_byte_element_size_in_bits={})".format(*self._key())


class Format:
    """A layout and a sharding. device_put and its kin take one, and lay arrays out as ever."""

    __slots__ = ("layout", "sharding")

    def __init__(self, layout=None, sharding=None):
        if isinstance(layout, Layout) and sharding is None:
            raise ValueError(f"Format: beside a Layout there must be a Sharding, got {sharding}.")
        if not isinstance(layout, (Layout, _Auto, type(None))):
            raise TypeError(f"Format: layout is None, Layout.AUTO or a Layout, not {layout!r}.")
        if not isinstance(sharding, (Sharding, type(None))):
            raise TypeError(f"Format: sharding is None or a Sharding, not {sharding!r}.")
        self.layout, self.sharding = layout, sharding

    def __eq__(self, other):
        return isinstance(other, Format) and (self.layout, self.sharding) == (other.layout, other.sharding)

    def __hash__(self):
        return hash((self.layout, self.sharding))

    def __repr__(self):
        return f"Format(layout={self.layout}, sharding={self.sharding})"
