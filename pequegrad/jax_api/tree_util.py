"""jax.tree_util: functions on pytrees, that is on nested tuples, lists, dicts, namedtuples, None and registered classes."""

import dataclasses
import functools
import typing

from . import pytree
from .pytree import DictKey, FlattenedIndexKey, GetAttrKey, PyTreeDef, SequenceKey

__all__ = [
    "DictKey", "FlattenedIndexKey", "GetAttrKey", "KeyEntry", "KeyPath", "Partial", "PyTreeDef", "SequenceKey", "all_leaves",
    "flatten_one_level", "flatten_one_level_with_keys", "is_tree_node", "keystr", "register_dataclass",
    "register_pytree_node", "register_pytree_node_class", "register_pytree_with_keys", "register_pytree_with_keys_class",
    "register_static", "tree_all", "tree_broadcast", "tree_flatten", "tree_flatten_with_path", "tree_leaves",
    "tree_leaves_with_path", "tree_map", "tree_map_with_path", "tree_reduce", "tree_reduce_associative", "tree_structure",
    "tree_transpose", "tree_unflatten", "treedef_children", "treedef_is_leaf", "treedef_tuple",
]  # fmt: skip

KeyEntry = typing.TypeVar("KeyEntry", bound=typing.Hashable)
KeyPath = tuple[KeyEntry, ...]


class _Unspecified:
    def __repr__(self):
        return "<unspecified>"


_UNSPECIFIED = _Unspecified()

# ---- taking apart and putting together -------------------------------------------------------------------


def tree_flatten(tree, is_leaf=None):
    """(leaves, structure) of a tree."""
    leaves, spec = pytree.flatten(tree, is_leaf)
    return leaves, PyTreeDef(spec)


def tree_leaves(tree, is_leaf=None):
    """The leaves of a tree, a list."""
    return pytree.flatten(tree, is_leaf)[0]


def tree_structure(tree, is_leaf=None):
    """The structure of a tree, a PyTreeDef."""
    return PyTreeDef(pytree.flatten(tree, is_leaf)[1])


def tree_unflatten(treedef, leaves):
    """The tree of this structure with these leaves."""
    return treedef.unflatten(leaves)


def all_leaves(iterable, is_leaf=None):
    """True if every item is a leaf."""
    return all(tree_structure(x, is_leaf).spec.is_leaf() for x in iterable)


def treedef_is_leaf(treedef):
    """True for the structure of a leaf, or of a node without children."""
    return treedef.num_nodes == 1


def treedef_children(treedef):
    """The structures of the root's children, a list."""
    return treedef.children()


def treedef_tuple(treedefs):
    """The structure of a tuple of trees of these structures."""
    import optree

    return PyTreeDef(optree.treespec_tuple([t.spec for t in treedefs], namespace=pytree.core.NAMESPACE))


def flatten_one_level(tree):
    """(children, metadata) of a node; ValueError for a leaf, None for None."""
    return pytree.one_level(tree)


def flatten_one_level_with_keys(tree):
    """((key, child) pairs, metadata) of a node; ValueError for a leaf."""
    _, metadata = pytree.one_level(tree)
    return tuple(pytree.keyed_children(tree)), metadata


def is_tree_node(typ):
    """True if instances of the class are nodes of pytrees."""
    return pytree.is_node_class(typ)


# ---- functions of all leaves -----------------------------------------------------------------------------


def tree_map(f, tree, *rest, is_leaf=None):
    """The tree of f(leaf, ...): `rest` are trees that begin like `tree`, their parts are further arguments."""
    leaves, spec = pytree.flatten(tree, is_leaf)
    if not rest:
        return spec.unflatten(map(f, leaves))
    structure = PyTreeDef(spec)
    return spec.unflatten(map(f, leaves, *[structure.flatten_up_to(other) for other in rest]))


def tree_reduce(function, tree, initializer=_UNSPECIFIED, is_leaf=None):
    """functools.reduce over the leaves."""
    start = () if initializer is _UNSPECIFIED else (initializer,)
    return functools.reduce(function, tree_leaves(tree, is_leaf), *start)


def tree_reduce_associative(operation, tree, *, identity=_UNSPECIFIED, is_leaf=None):
    """The leaves reduced by an associative function, pairs of neighbours first."""
    found = tree_leaves(tree, is_leaf)
    if not found:
        if identity is _UNSPECIFIED:
            raise TypeError("tree_reduce_associative of a tree without leaves needs an identity.")
        return identity
    while len(found) > 1:
        pairs = [operation(a, b) for a, b in zip(found[::2], found[1::2])]
        found = pairs + found[len(found) & ~1 :]
    return found[0]


def tree_all(tree, *, is_leaf=None):
    """True if all leaves are true."""
    return all(tree_leaves(tree, is_leaf))


def tree_transpose(outer_treedef, inner_treedef, pytree_to_transpose):
    """A tree of trees with inside and outside exchanged; inner_treedef None: that of the first inner tree."""
    leaves, structure = tree_flatten(pytree_to_transpose)
    if inner_treedef is None:
        inner_treedef = tree_structure(outer_treedef.flatten_up_to(pytree_to_transpose)[0])
    n, m = inner_treedef.num_leaves, outer_treedef.num_leaves
    if len(leaves) != n * m:
        raise TypeError(
            f"tree_transpose: the tree has structure\n{structure}, expected\n{outer_treedef.compose(inner_treedef)}"
        )
    return inner_treedef.unflatten([outer_treedef.unflatten(leaves[i :: max(n, 1)]) for i in range(n)])


def tree_broadcast(prefix_tree, full_tree, is_leaf=None):
    """A tree of the structure of full_tree, in which each leaf of prefix_tree stands for all of the part in its place."""
    return tree_unflatten(tree_structure(full_tree, is_leaf), broadcast_prefix(prefix_tree, full_tree, is_leaf))


def broadcast_prefix(prefix_tree, full_tree, is_leaf=None):
    """The leaves of prefix_tree, each as often as the part of full_tree in its place has leaves."""
    leaves, structure = tree_flatten(prefix_tree, is_leaf)
    parts = structure.flatten_up_to(full_tree)
    return [leaf for leaf, part in zip(leaves, parts) for _ in tree_leaves(part, is_leaf)]


# ---- paths -----------------------------------------------------------------------------------------------


def tree_flatten_with_path(tree, is_leaf=None, is_leaf_takes_path=False):
    """([(path, leaf), ...], structure); a path is a tuple of keys."""
    found, spec = pytree.keyed_leaves(tree, is_leaf, is_leaf_takes_path)
    return found, PyTreeDef(spec)


def tree_leaves_with_path(tree, is_leaf=None, is_leaf_takes_path=False):
    """[(path, leaf), ...]"""
    return pytree.keyed_leaves(tree, is_leaf, is_leaf_takes_path)[0]


def tree_map_with_path(f, tree, *rest, is_leaf=None, is_leaf_takes_path=False):
    """The tree of f(path, leaf, ...); see tree_map."""
    found, structure = tree_flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    others = [structure.flatten_up_to(other) for other in rest]
    return structure.unflatten(f(path, leaf, *more) for (path, leaf), *more in zip(found, *others))


def keystr(keys, *, simple=False, separator=""):
    """A path as text: "['a'][0].b"; simple: only names and numbers, "a0b" ("a/0/b" with separator "/")."""
    return separator.join(map(_simple if simple else str, keys))


def _simple(key):
    for name in ("key", "idx", "name"):
        if hasattr(key, name):
            return str(getattr(key, name))
    return str(key)


# ---- registering classes ---------------------------------------------------------------------------------


def register_pytree_node(nodetype, flatten_func, unflatten_func, flatten_with_keys_func=None):
    """Makes a class a node: flatten_func(x) -> (children, metadata), unflatten_func(metadata, children) -> x."""
    if not isinstance(nodetype, type):
        raise TypeError(f"register_pytree_node takes a class, got {nodetype!r}.")
    pytree.register(nodetype, flatten_func, unflatten_func, flatten_with_keys_func)


def register_pytree_node_class(cls):
    """Class decorator: the methods tree_flatten() and (class method) tree_unflatten(metadata, children) make it a node."""
    register_pytree_node(cls, _method("tree_flatten"), cls.tree_unflatten)
    return cls


def register_pytree_with_keys(nodetype, flatten_with_keys, unflatten_func, flatten_func=None):
    """Makes a class a node whose children have names: flatten_with_keys(x) -> ((key, child) pairs, metadata)."""
    if flatten_func is None:

        def flatten_func(x):
            keyed, metadata = flatten_with_keys(x)
            return [child for _, child in keyed], metadata

    register_pytree_node(nodetype, flatten_func, unflatten_func, flatten_with_keys)


def register_pytree_with_keys_class(cls):
    """Class decorator: as register_pytree_node_class, with the method tree_flatten_with_keys()."""
    flatten = _method("tree_flatten") if hasattr(cls, "tree_flatten") else None
    register_pytree_with_keys(cls, _method("tree_flatten_with_keys"), cls.tree_unflatten, flatten)
    return cls


def _method(name):
    return lambda x: getattr(x, name)()


def register_dataclass(nodetype, data_fields=None, meta_fields=None, drop_fields=()):
    """Makes a dataclass a node: data_fields are its children, meta_fields its metadata (hashable).

    If neither is given, fields are data unless they were declared with metadata={"static": True}. drop_fields are left out.
    Any class will do whose constructor takes all these fields as keywords.
    """
    if (data_fields is None) != (meta_fields is None):
        raise TypeError("register_dataclass: give both of data_fields and meta_fields, or neither.")
    is_dataclass = dataclasses.is_dataclass(nodetype)
    if data_fields is None:
        if not is_dataclass:
            raise TypeError(
                f"register_dataclass: {nodetype} is no dataclass: data_fields and meta_fields are required."
            )
        fields = [f for f in dataclasses.fields(nodetype) if f.init and f.name not in drop_fields]
        data_fields = [f.name for f in fields if not f.metadata.get("static", False)]
        meta_fields = [f.name for f in fields if f.metadata.get("static", False)]
    data, meta = tuple(data_fields), tuple(meta_fields)
    if is_dataclass:
        init = {f.name for f in dataclasses.fields(nodetype) if f.init}
        if init - {*drop_fields} != {*data, *meta}:
            different = sorted((init - {*drop_fields}) ^ {*data, *meta})
            raise ValueError(
                f"register_dataclass: the fields of {nodetype} are not data_fields and meta_fields: {different}."
            )

    def flatten(x):
        return [getattr(x, name) for name in data], tuple(getattr(x, name) for name in meta)

    def flatten_with_keys(x):
        return [(GetAttrKey(name), getattr(x, name)) for name in data], tuple(getattr(x, name) for name in meta)

    def unflatten(metadata, children):
        return nodetype(**dict(zip(meta, metadata)), **dict(zip(data, children)))

    register_pytree_node(nodetype, flatten, unflatten, flatten_with_keys)
    return nodetype


def register_static(cls):
    """Class decorator: its instances are nodes without leaves, all of them is metadata (hashable)."""
    register_pytree_node(cls, lambda x: ((), x), lambda x, _: x, lambda x: ((), x))
    return cls


class Partial(functools.partial):
    """functools.partial as a pytree: its arguments are children, the function is metadata.

    >>> jit(lambda f, x: f(x))(Partial(jnp.add, 1.0), 2.0)
    """

    def __new__(cls, func, *args, **kw):
        if isinstance(func, functools.partial):  # arguments of an inner one stay in it: its function would be another
            inner = func
            func = _Unbound(inner)
            functools.update_wrapper(func, inner)
        return super().__new__(cls, func, *args, **kw)


class _Unbound:
    """A callable in which functools.partial does not find a partial to merge with."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kw):
        return self.function(*args, **kw)

    def __hash__(self):
        return hash(self.function)

    def __eq__(self, other):
        return isinstance(other, _Unbound) and self.function == other.function

    def __repr__(self):
        return f"{type(self).__name__}({self.function!r})"


register_pytree_node(
    Partial,
    lambda p: ((p.args, p.keywords), p.func),
    lambda func, children: Partial(func, *children[0], **children[1]),
)
