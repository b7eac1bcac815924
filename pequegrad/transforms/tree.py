"""Pytrees: arguments and results as nested tuples, lists and dicts of tensors (optree; None holds no leaf).

Classes of which jax_api was told (register_pytree_node) are nodes here, too: they are known to optree under NAMESPACE.
optree is imported by the first function that needs it: it would be a third of the time of `import pequegrad`.
"""

import warnings
from collections import defaultdict, deque
from operator import itemgetter

from ..core.node import ARRAY, state
from ..core.tensor import Tensor

NAMESPACE = "pequegrad"
node_types = {}  # the registered classes -> (flatten, unflatten)
_waiting = []  # what is to be registered when a tree is opened


def register(kind, flatten, unflatten):
    """Makes instances of the class `kind` nodes: flatten(x) -> (children, metadata), unflatten(metadata, children) -> x."""
    import optree

    with warnings.catch_warnings():  # of namedtuples, which are nodes without being registered
        warnings.simplefilter("ignore")
        optree.register_pytree_node(kind, flatten, unflatten, namespace=NAMESPACE)
    node_types[kind] = flatten, unflatten


def register_later(kind, flatten, unflatten):
    """register, without importing optree now."""
    _waiting.append((kind, flatten, unflatten))


def _register_waiting():
    while _waiting:
        register(*_waiting.pop())


def is_leaf(x):
    return isinstance(x, (Tensor, deque))  # a deque is a leaf, as in JAX


def is_module(x):
    """True for a StatefulModule: a node in general, a leaf where a program is known by the modules it is for."""
    return hasattr(type(x), "named_parameters")


def flatten(tree):
    """(leaves, structure); `structure.unflatten(leaves)` gives the tree back. In transforms of jax_api: flatten_ordered."""
    if state.arguments & ARRAY:
        return flatten_ordered(tree)
    return flatten_until(tree, is_leaf)


def flatten_until(tree, leaf):
    """(leaves, structure), where what leaf(x) is true of is not opened."""
    import optree

    if _waiting:
        _register_waiting()
    return optree.tree_flatten(tree, is_leaf=leaf, namespace=NAMESPACE)


def flatten_arguments(tree):
    """flatten, for a jitted function: modules are leaves, except by jax_api's rules."""
    if state.arguments & ARRAY:
        return flatten_ordered(tree)
    return flatten_until(tree, lambda x: is_leaf(x) or is_module(x))


def flatten_tensors(tree):
    """flatten, twice as fast; a deque is opened."""
    return flatten_until(tree, Tensor.__instancecheck__)  # no Python function is called


# ---- trees as JAX has them ---------------------------------------------------------------------------

_ordered, _ordered_custom = {}, {}  # structure -> what `ordered` gives for it
_KEPT, _KEPT_CUSTOM = 4096, 64  # the second table is short: hashes leave out metadata, so that entries collide


def flatten_ordered(tree, leaf=Tensor.__instancecheck__):
    """(leaves, structure) as in JAX: the structure makes dicts with sorted keys, a deque is a leaf.

    Raises ValueError if keys cannot be sorted.
    """
    leaves, structure = flatten_until(tree, leaf)
    found = ordered(structure)
    if found is None:
        leaves, structure = flatten_until(tree, lambda x: isinstance(x, deque) or is_structseq(x) or leaf(x))
        found = ordered(structure)
    return leaves, found


def is_structseq(x):
    """True for the likes of time.struct_time: leaves in JAX, nodes to optree."""
    return isinstance(x, tuple) and hasattr(type(x), "n_sequence_fields")


def ordered(structure):
    """The equal structure that makes dicts with sorted keys; None if it opens what is a leaf in JAX."""
    table, most = (_ordered_custom, _KEPT_CUSTOM) if structure.namespace else (_ordered, _KEPT)
    try:
        return table[structure]
    except Exception:  # not there; or metadata that cannot be compared
        found = _made_ordered(structure)
    try:
        if len(table) >= most:
            table.clear()
        table[structure] = found
    except Exception:
        pass
    return found


def _made_ordered(structure):
    import optree

    leaf, opened = optree.treespec_leaf(), []

    def node(one):
        kind = one.type
        if kind is dict or kind is defaultdict:
            entries = dict.fromkeys(_sorted_keys(kind, one.entries()), leaf)
            if kind is dict:
                return optree.treespec_dict(entries, namespace=one.namespace)
            factory = one.unflatten([None] * len(entries)).default_factory
            return optree.treespec_defaultdict(factory, entries, namespace=one.namespace)
        if kind is deque or one.kind == optree.PyTreeKind.STRUCTSEQUENCE:
            opened.append(kind)
        return one

    made = structure.transform(node)
    return None if opened else made


def _sorted_keys(kind, keys):
    try:
        return sorted(keys)
    except TypeError as error:
        if kind is defaultdict:
            raise
        raise ValueError(f"The keys of a dict in a pytree cannot be sorted: {error}.") from None


# ---- more of them --------------------------------------------------------------------------------------


def builder(structure):
    """The fastest function from a list of leaves to a tree of this structure."""
    if structure.is_leaf():
        return itemgetter(0)
    if structure.type in (tuple, list) and all(child.is_leaf() for child in structure.children()):
        return structure.type
    return structure.unflatten


def tree_map(function, tree):
    """`tree` with `function` applied to its leaves."""
    leaves, structure = flatten(tree)
    return structure.unflatten(map(function, leaves))


def leaf_names(tree, root):
    """How to write each leaf of a tree that is called `root`: root['weights'][0], ..."""
    import optree

    return [accessor.codify(root) for accessor in optree.tree_accessors(tree, is_leaf=is_leaf, namespace=NAMESPACE)]


def spread_nones(tree, structure):
    """The leaves of `tree`, in which None may stand for any part of the structure: then for each leaf of that. ValueError if it does not fit."""
    if tree is None:
        return [None] * structure.num_leaves
    if structure.is_leaf():
        if isinstance(tree, (tuple, list, dict)):
            raise ValueError("a container where there is a leaf")
        return [tree]
    parts = structure.one_level().flatten_up_to(tree)
    return [x for part, child in zip(parts, structure.children()) for x in spread_nones(part, child)]


def spread_prefix(prefix, tree, transform, what):
    """One entry for each leaf of `tree`; `prefix` is a tree of ints and Nones, each standing for a whole subtree."""
    from ..core.errors import ArgumentError

    if prefix is None or (isinstance(prefix, int) and not isinstance(prefix, bool)):
        return [prefix] * len(flatten(tree)[0])
    import optree

    def children(x):
        try:
            found = optree.tree_flatten_one_level(x, namespace=NAMESPACE)
        except ValueError:  # a leaf
            return None
        return found.children, found.entries

    mine = None if is_leaf(prefix) else children(prefix)
    if mine is None:
        raise ArgumentError(f"{transform}: {what} contains {prefix!r}.", fix="use ints, None, or a tree of these.")
    theirs = None if is_leaf(tree) else children(tree)
    if theirs is None or len(theirs[0]) != len(mine[0]) or theirs[1] != mine[1]:
        raise ArgumentError(
            f"{transform}: {what}={prefix!r} is not a prefix of the structure {flatten(tree)[1]}.",
            fix=f"{what} is an int, None, or a tree whose leaves stand for whole parts.",
        )
    return [entry for p, t in zip(mine[0], theirs[0]) for entry in spread_prefix(p, t, transform, what)]
