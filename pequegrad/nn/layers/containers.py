"""Containers of modules. Parts are attributes, so that their parameters have PyTorch's names: "0.weight", "head.bias"."""

import operator

from ...core.errors import ArgumentError
from ..module import StatefulModule


class _Container(StatefulModule):
    """Parts under names, in an order."""

    _names = ()

    def _add(self, name, part):
        """Sets the part of this name, a new or an old one."""
        if not isinstance(name, str) or not name or "." in name or hasattr(type(self), name):
            raise ArgumentError(
                f"{type(self).__name__}: {name!r} cannot be the name of a part.",
                fix="use a string without dots that is no method of the container.",
            )
        self._check(part)
        if name not in self._names:
            self._names = (*self._names, name)
        setattr(self, name, part)

    def _check(self, part):
        if not isinstance(part, StatefulModule):
            raise ArgumentError(f"{type(self).__name__}: {part!r} is not a module.")

    def _parts(self):
        return [vars(self)[name] for name in self._names]

    def __len__(self):
        return len(self._names)


class _Numbered(_Container):
    """Parts that are also known by their position."""

    def append(self, part):
        """Adds a part at the end; returns the container."""
        return self.insert(len(self), part)

    def extend(self, parts):
        """Adds parts at the end; returns the container."""
        for part in list(parts):
            self.append(part)
        return self

    def insert(self, index, part):
        """Puts a part before position `index`; the parts are then named by their positions. Returns the container."""
        self._check(part)
        parts = self._parts()
        parts.insert(operator.index(index), part)
        return self._set(parts)

    def _set(self, parts):
        for name in self._names:
            delattr(self, name)
        self._names = ()
        for i, part in enumerate(parts):
            self._add(str(i), part)
        return self

    def pop(self, index=-1):
        """Takes the part at this position out, and returns it."""
        part = self[index]
        del self[index]
        return part

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self._like({name: vars(self)[name] for name in self._names[index]})
        if isinstance(index, str) and index in self._names:
            return vars(self)[index]
        return vars(self)[self._name(index)]

    def __setitem__(self, index, part):
        self._add(self._name(index), part)

    def __delitem__(self, index):
        names = self._names[index] if isinstance(index, slice) else (self._name(index),)
        kept = {name: vars(self)[name] for name in self._names if name not in names}
        if all(name.isdecimal() for name in self._names):
            self._set(kept.values())
        else:
            for name in names:
                delattr(self, name)
            self._names = tuple(kept)

    def _name(self, index):
        try:
            return self._names[operator.index(index)]
        except (IndexError, TypeError):
            message = f"{type(self).__name__} of {len(self)} parts has no part {index!r}."
            raise (IndexError if isinstance(index, int) else ArgumentError)(message) from None

    def __iter__(self):
        return iter(self._parts())

    def __contains__(self, part):
        return any(part is own for own in self._parts())

    def __add__(self, other):
        return self._like({str(i): part for i, part in enumerate([*self, *other])})


class Sequential(_Numbered):
    """The modules (or functions of one tensor) applied one after the other.

    Parts are named by their positions, or by the keys of a dict (an OrderedDict, say).

    >>> Sequential(Linear(2, 3), ReLU(), Linear(3, 1))(pg.ones((5, 2))).shape
    (5, 1)
    """

    def __init__(self, *layers):
        named = layers[0] if len(layers) == 1 and isinstance(layers[0], dict) else dict(enumerate(layers))
        for name, layer in named.items():
            self._add(str(name), layer)

    def _check(self, part):
        if not callable(part):
            raise ArgumentError(f"Sequential: {part!r} is not a module or function.")

    def _like(self, named):
        return Sequential(named)

    @property
    def layers(self):
        """The parts, a tuple."""
        return tuple(self._parts())

    def forward(self, input):
        for name in self._names:
            input = vars(self)[name](input)
        return input


class ModuleList(_Numbered):
    """A list of modules that is itself a module: index it, iterate over it, append to it. It cannot be called.

    >>> [layer.out_features for layer in ModuleList(Linear(2, n) for n in (3, 4))]
    [3, 4]
    """

    def __init__(self, modules=()):
        self.extend(modules)

    def _like(self, named):
        return ModuleList(named.values())


class ModuleDict(_Container):
    """A dict of modules that is itself a module. It cannot be called.

    >>> heads = ModuleDict({"a": Linear(2, 3), "b": Linear(2, 4)})
    >>> heads["b"].out_features, list(heads.keys())
    (4, ['a', 'b'])
    """

    def __init__(self, modules=()):
        self.update(modules)

    def update(self, modules):
        """Sets parts from a dict, or (name, module) pairs."""
        for name, part in modules.items() if hasattr(modules, "items") else modules:
            self[name] = part

    def __getitem__(self, name):
        if name not in self._names:
            raise KeyError(name)
        return vars(self)[name]

    def __setitem__(self, name, part):
        self._add(name, part)

    def __delitem__(self, name):
        self[name]  # raises KeyError
        delattr(self, name)
        self._names = tuple(n for n in self._names if n != name)

    def pop(self, name):
        """Takes the part of this name out, and returns it."""
        part = self[name]
        del self[name]
        return part

    def clear(self):
        """Takes all parts out."""
        for name in self._names:
            del self[name]

    def keys(self):
        """The names of the parts."""
        return list(self._names)

    def values(self):
        """The parts."""
        return self._parts()

    def items(self):
        """(name, part) pairs."""
        return list(zip(self._names, self._parts()))

    def __iter__(self):
        return iter(self._names)

    def __contains__(self, name):
        return name in self._names


__all__ = ["ModuleDict", "ModuleList", "Sequential"]
