"""Pytrees: arguments and results as nested tuples, lists and dicts of tensors (optree; None holds no leaf).

optree is imported by the first function that needs it: it would be a third of the time of `import pequegrad`.
"""

from collections import deque
from operator import itemgetter

from ..core.tensor import Tensor


def is_leaf(x):
    return isinstance(x, (Tensor, deque))  # a deque is a leaf, as in JAX


def flatten(tree):
    """(leaves, structure); `structure.unflatten(leaves)` gives the tree back."""
    import optree

    return optree.tree_flatten(tree, is_leaf=is_leaf)


def flatten_tensors(tree):
    """flatten, twice as fast; a deque is opened."""
    import optree

    return optree.tree_flatten(tree, is_leaf=Tensor.__instancecheck__)  # no Python function is called


def builder(structure):
    """The fastest function from a list of leaves to a tree of this structure."""
    if structure.is_leaf():
        return itemgetter(0)
    if structure.type in (tuple, list) and all(child.is_leaf() for child in structure.children()):
        return structure.type
    return structure.unflatten


def tree_map(function, tree):
    """`tree` with `function` applied to its leaves."""
    import optree

    return optree.tree_map(function, tree, is_leaf=is_leaf)


def leaf_names(tree, root):
    """How to write each leaf of a tree that is called `root`: root['weights'][0], ..."""
    import optree

    return [accessor.codify(root) for accessor in optree.tree_accessors(tree, is_leaf=is_leaf)]


def spread_prefix(prefix, tree, transform, what):
    """One entry for each leaf of `tree`; `prefix` is a tree of ints and Nones, each standing for a whole subtree."""
    from ..core.errors import ArgumentError

    if prefix is None or (isinstance(prefix, int) and not isinstance(prefix, bool)):
        return [prefix] * len(flatten(tree)[0])
    import optree

    def children(x):
        try:
            found = optree.tree_flatten_one_level(x)
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
