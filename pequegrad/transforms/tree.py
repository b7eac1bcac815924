"""Pytrees: arguments and results as nested tuples, lists and dicts of tensors (optree; None holds no leaf).

optree is imported by the first function that needs it: it would be a third of the time of `import pequegrad`.
"""

from collections import deque

from ..core.tensor import Tensor


def is_leaf(x):
    return isinstance(x, (Tensor, deque))  # a deque is a leaf, as in JAX


def flatten(tree):
    """(leaves, structure); `structure.unflatten(leaves)` gives the tree back."""
    import optree

    return optree.tree_flatten(tree, is_leaf=is_leaf)


def tree_map(function, tree):
    """`tree` with `function` applied to its leaves."""
    import optree

    return optree.tree_map(function, tree, is_leaf=is_leaf)
