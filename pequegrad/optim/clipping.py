"""Bounds of gradients: functions of lists and trees of them. Nones in them stay."""

from ..core.dtype import dt
from ..core.errors import ArgumentError
from ..core.tensor import Tensor
from ..ops.arithmetic import astype, clip, minimum, sqrt
from ..ops.creation import as_tensor
from ..ops.reductions import sum as total
from ..transforms.tree import flatten
from .options import checked


def global_norm(tree):
    """The length of all arrays of a tree as one vector: sqrt of the sum of squares. 16-bit floats are summed in float32.

    >>> global_norm({"a": Tensor([3.0]), "b": Tensor([[4.0]])}).item()
    5.0
    """
    leaves, _ = flatten(tree)
    if not leaves:
        raise ArgumentError("global_norm: there are no arrays in the tree.")
    squares = [total(x * x) for x in map(_precise, leaves)]
    return sqrt(_sum(squares))


def clip_by_global_norm(tree, max_norm):
    """The tree, scaled by max_norm / (norm + 1e-6) if that is less than 1; shapes and dtypes stay.

    max_norm: a number > 0, or a 0-d tensor. The 1e-6 is PyTorch's.

    >>> clip_by_global_norm([Tensor([3.0]), Tensor([4.0])], 1.0)[1].item()  # doctest: +ELLIPSIS
    0.7999...
    """
    max_norm = _bound("clip_by_global_norm", "clip_norm", max_norm)
    leaves, structure = flatten(tree)
    if not leaves:
        return tree
    share = minimum(max_norm / (global_norm(leaves) + 1e-6), 1.0)
    return structure.unflatten([astype(_precise(x) * astype(share, _precise(x).dtype), x.dtype) for x in leaves])


def clip_by_value(tree, limit):
    """The tree with all elements between -limit and limit.

    >>> clip_by_value([Tensor([-3.0, 0.5])], 1.0)[0].numpy()
    array([-1. ,  0.5], dtype=float32)
    """
    limit = _bound("clip_by_value", "clip_value", limit)
    leaves, structure = flatten(tree)
    return structure.unflatten([clip(x, -limit, limit) for x in map(as_tensor, leaves)])


def _bound(who, name, value):
    if value is None:
        raise ArgumentError(f"{who}: the bound is None.")
    return value if isinstance(value, Tensor) else checked(who, name, value)


def _precise(x):
    x = as_tensor(x)
    return astype(x, dt.float32) if x.dtype.itemsize < 4 else x


def _sum(numbers):
    """The sum of 0-d tensors, in pairs: the graph is as deep as the logarithm of their number."""
    while len(numbers) > 1:
        pairs = [a + b for a, b in zip(numbers[::2], numbers[1::2])]
        numbers = pairs + numbers[len(numbers) - len(numbers) % 2 :]
    return numbers[0]
