"""Pytrees as JAX has them, on optree: structures that print and compare like JAX's, paths of keys, registered classes."""

import collections

from ..core.tensor import Tensor
from ..transforms import tree as core

_IS_TENSOR = Tensor.__instancecheck__


def flatten(tree, is_leaf=None):
    """(leaves, optree's structure) of a tree by JAX's rules; what is_leaf(x) is true of is not opened."""
    if is_leaf is None:
        return core.flatten_ordered(tree)
    return core.flatten_ordered(tree, lambda x: isinstance(x, Tensor) or is_leaf(x))


# ---- structures ----------------------------------------------------------------------------------------


class PyTreeDef:
    """The structure of a pytree: what remains of it without its leaves."""

    __slots__ = ("spec",)

    def __init__(self, spec):
        self.spec = spec

    @property
    def num_leaves(self):
        """How many leaves a tree of this structure has."""
        return self.spec.num_leaves

    @property
    def num_nodes(self):
        """Leaves and nodes together."""
        return self.spec.num_nodes

    def unflatten(self, leaves):
        """The tree of this structure with these leaves."""
        return self.spec.unflatten(leaves)

    def flatten_up_to(self, tree):
        """The parts of `tree` that stand where this structure has leaves; ValueError if it does not begin like it."""
        try:
            return self.spec.flatten_up_to(tree)
        except ValueError as error:
            raise ValueError(_mismatch(self, tree) or str(error)) from None

    def children(self):
        """The structures of the root's children, a list."""
        return [PyTreeDef(child) for child in self.spec.children()]

    def node_data(self):
        """(class, metadata) of the root; None for a leaf."""
        return None if self.spec.is_leaf() else (self.spec.type, _metadata(self.spec))

    def compose(self, inner):
        """This structure with `inner` in place of each leaf."""
        return PyTreeDef(self.spec.compose(inner.spec))

    def from_iterable_tree(self, tree):
        """A tree of this structure whose leaves are those of nested iterables."""
        if self.spec.is_leaf():
            return tree
        parts = [child.from_iterable_tree(part) for child, part in zip(self.children(), tree, strict=True)]
        return self.spec.one_level().unflatten(parts)

    def walk(self, f_node, f_leaf, leaves):
        """Calls f_leaf(leaf) for each leaf, and f_node(results of its children, metadata) for each node; gives the root's result."""
        rest = iter(leaves)

        def visit(spec):
            if spec.is_leaf():
                leaf = next(rest)
                return leaf if f_leaf is None else f_leaf(leaf)
            return f_node(tuple(map(visit, spec.children())), _metadata(spec))

        return visit(self.spec)

    def __eq__(self, other):
        return isinstance(other, PyTreeDef) and self.spec == other.spec

    def __hash__(self):
        return hash(self.spec)

    def __repr__(self):
        return f"PyTreeDef({_text(self.spec)})"

    def __reduce__(self):
        return PyTreeDef, (self.spec,)


def _metadata(spec):
    """What a node needs besides its children, in JAX's form."""
    kind = spec.type
    if kind in (tuple, list, type(None)) or _is_namedtuple_class(kind):
        return None
    if kind is dict:
        return spec.entries()
    if kind is collections.OrderedDict:
        return tuple(spec.entries())
    data = spec.one_level().__getstate__()[0][-1][2]  # optree has no other way to it
    return (data[0], tuple(data[1])) if kind is collections.defaultdict else data


def _text(spec):
    if spec.is_leaf():
        return "*"
    kind, parts = spec.type, [_text(child) for child in spec.children()]
    inner = ", ".join(parts)
    if kind is type(None):
        return "None"
    if kind is tuple:
        return f"({inner},)" if len(parts) == 1 else f"({inner})"
    if kind is list:
        return f"[{inner}]"
    if kind is dict:
        return "{" + ", ".join(f"{key!r}: {part}" for key, part in zip(spec.entries(), parts)) + "}"
    if _is_namedtuple_class(kind):
        return f"CustomNode(namedtuple[{kind.__name__}], [{inner}])"
    return f"CustomNode({kind.__name__}[{_metadata(spec)}], [{inner}])"


def _is_namedtuple_class(kind):
    return issubclass(kind, tuple) and hasattr(kind, "_fields") and kind not in core.node_types


# ---- registered classes --------------------------------------------------------------------------------

_with_keys = {}  # class -> function from an object to ((key, child) pairs, metadata), or None


def register(kind, flatten, unflatten, flatten_with_keys=None):
    """Makes a class a node; ValueError if it is one already."""
    if kind in core.node_types or kind in _BUILT_IN:
        raise ValueError(f"Duplicate custom PyTreeDef type registration for {kind}.")
    core.register(kind, flatten, unflatten)
    _with_keys[kind] = flatten_with_keys


def unflatten_function(kind):
    """The function (metadata, children) -> node of a registered class; ValueError for others."""
    if kind not in core.node_types:
        raise ValueError(f"{kind} is no registered pytree node.")
    return core.node_types[kind][1]


_BUILT_IN = (tuple, list, dict, collections.OrderedDict, collections.defaultdict, type(None))


def is_node_class(kind):
    """True if instances of the class are opened (namedtuples are, too, without being asked for here)."""
    return kind in core.node_types or kind in _BUILT_IN


def one_level(x):
    """(children, metadata) of a node in JAX's form; ValueError for a leaf."""
    kind = type(x)
    if kind in core.node_types:
        return core.node_types[kind][0](x)
    keyed = keyed_children(x)
    if keyed is None:
        raise ValueError(f"can't tree-flatten type: {kind}")
    children = [child for _, child in keyed]
    if isinstance(x, tuple) and kind is not tuple:
        return children, kind
    if kind in (dict, collections.OrderedDict):
        return tuple(children), tuple(key.key for key, _ in keyed)
    if kind is collections.defaultdict:
        return tuple(children), (x.default_factory, tuple(key.key for key, _ in keyed))
    return tuple(children) if x is None or kind is tuple else children, None


def keyed_children(x):
    """[(key, child), ...] of a node, in the order of the leaves; None for a leaf."""
    kind = type(x)
    if kind in core.node_types:
        if _with_keys.get(kind) is not None:
            return list(_with_keys[kind](x)[0])
        if core.is_module(x):
            return [(GetAttrKey(name), child) for name, child in x.named_leaves()]
        return [(FlattenedIndexKey(i), child) for i, child in enumerate(core.node_types[kind][0](x)[0])]
    if x is None:
        return []
    if kind is tuple or kind is list:
        return [(SequenceKey(i), child) for i, child in enumerate(x)]
    if kind is dict or kind is collections.defaultdict:
        return [(DictKey(key), x[key]) for key in sorted(x)]
    if kind is collections.OrderedDict:
        return [(DictKey(key), child) for key, child in x.items()]
    if isinstance(x, tuple) and hasattr(kind, "_fields"):
        return [(GetAttrKey(name), getattr(x, name)) for name in x._fields]
    return None


# ---- paths ---------------------------------------------------------------------------------------------


class _Key:
    """One step of a path."""

    __slots__ = ()

    def __eq__(self, other):
        return type(self) is type(other) and self._value() == other._value()

    def __hash__(self):
        return hash((type(self), self._value()))

    def _value(self):
        return getattr(self, self.__slots__[0])

    def __repr__(self):
        return f"{type(self).__name__}({self.__slots__[0]}={self._value()!r})"

    def __reduce__(self):
        return type(self), (self._value(),)


class SequenceKey(_Key):
    """The place `idx` of a tuple or list."""

    __slots__ = __match_args__ = ("idx",)

    def __init__(self, idx):
        self.idx = idx

    def __str__(self):
        return f"[{self.idx!r}]"


class DictKey(_Key):
    """The entry `key` of a dict."""

    __slots__ = __match_args__ = ("key",)

    def __init__(self, key):
        self.key = key

    def __str__(self):
        return f"[{self.key!r}]"


class GetAttrKey(_Key):
    """The attribute `name` of an object."""

    __slots__ = __match_args__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __str__(self):
        return f".{self.name}"


class FlattenedIndexKey(_Key):
    """The child number `key` of an object that does not name its children."""

    __slots__ = __match_args__ = ("key",)

    def __init__(self, key):
        self.key = key

    def __str__(self):
        return f"[<flat index {self.key}>]"


def keyed_leaves(tree, is_leaf=None, takes_path=False):
    """([(path, leaf), ...], optree's structure). takes_path: is_leaf(path, x) is asked."""
    found, decisions = [], []

    def visit(x, path):
        stops = isinstance(x, Tensor) or (
            is_leaf is not None and bool(is_leaf(path, x) if takes_path else is_leaf(x))
        )  # fmt: skip
        keyed = None if stops else keyed_children(x)
        decisions.append(keyed is None)
        if keyed is None:
            found.append((path, x))
        else:
            for key, child in keyed:
                visit(child, (*path, key))

    visit(tree, ())
    answers = iter(decisions)  # optree visits the nodes in the same order
    return found, core.ordered(core.flatten_until(tree, lambda x: next(answers))[1])


# ---- messages ------------------------------------------------------------------------------------------


def _mismatch(structure, tree, path=()):
    """A text: where a tree does not begin like the structure; None if it does."""
    if structure.spec.is_leaf():
        return None
    at, kind = f"at tree{''.join(map(str, path))}", structure.spec.type
    if type(tree) is not kind:
        return f"The pytrees differ {at}: {kind} in the first one, {type(tree)} in the other."
    keyed, children = keyed_children(tree), structure.children()
    if len(keyed) != len(children):
        return f"The pytrees differ {at}: a {kind.__name__} of length {len(children)} in the first one, {len(keyed)} in the other."
    if kind in _BUILT_IN[2:5] and structure.spec.entries() != [key.key for key, _ in keyed]:
        keys = [key.key for key, _ in keyed]
        return f"The pytrees differ {at}: keys {structure.spec.entries()} in the first one, {keys} in the other."
    for child, (key, part) in zip(children, keyed):
        if found := _mismatch(child, part, (*path, key)):
            return found
    return None
