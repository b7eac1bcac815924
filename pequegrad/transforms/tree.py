"""Pytrees: arguments and results as nested tuples, lists and dicts of tensors (optree; None holds no leaf)."""
from collections import deque

import optree

from ..core.tensor import Tensor


def is_leaf(x):
    return isinstance(x, (Tensor, deque))  # a deque is a leaf, as in JAX


def flatten(tree):
    """(leaves, structure); `structure.unflatten(leaves)` gives the tree back."""
    return optree.tree_flatten(tree, is_leaf=is_leaf)


def tree_map(function, tree, *rest):
    """`function` applied to the leaves of one or several trees of the same structure."""
    return optree.tree_map(function, tree, *rest, is_leaf=is_leaf)
