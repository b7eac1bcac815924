"""Products of matrices and arrays."""

from ..core.dtype import is_complex
from ..core.errors import ArgumentError, ShapeError
from ..primitives.contraction import dot_general
from ..primitives.elementwise import conj
from ..primitives.shape import reshape_to
from .arithmetic import promoted
from .shape import broadcast_to, moveaxis, normalize_axis, stack


def matmul(x, y):
    """The matrix product over the last axis of x and the second to last of y; leading axes broadcast, as in NumPy."""
    x, y = promoted(x, y)
    if not x.ndim or not y.ndim:
        raise ShapeError(
            f"matmul: operands need at least one axis, got {x._node.aval} and {y._node.aval}.", fix="use * for numbers."
        )
    inner = y.ndim - 2 if y.ndim > 1 else 0
    if x.shape[-1] != y.shape[inner]:
        raise ShapeError(
            f"matmul: {x._node.aval} @ {y._node.aval}: the last axis of the first ({x.shape[-1]}) and axis {inner} of the "
            f"second ({y.shape[inner]}) have different sizes.",
            fix="transpose one of them, or check the layer sizes.",
        )
    if y.ndim <= 2:
        return dot_general(x, y, contract=((x.ndim - 1,), (inner,)), batch=((), ()), dtype=x.dtype)
    if x.ndim == 1:  # the free axes of y come in order already
        return dot_general(x, y, contract=((0,), (inner,)), batch=((), ()), dtype=x.dtype)
    return _batched(x, y)


def _batched(x, y):
    """Both have matrices in their last two axes, y has batch axes."""
    n = max(x.ndim, y.ndim) - 2
    x, y = (reshape_to(v, (1,) * (n + 2 - v.ndim) + v.shape) for v in (x, y))
    batch = []
    for a, b in zip(x.shape[:n], y.shape[:n]):
        if a != b and 1 not in (a, b):
            raise ShapeError(
                f"matmul: batch axes of {x._node.aval} and {y._node.aval} do not broadcast.",
                fix="sizes must be equal or 1.",
            )
        batch.append(max(a, b) if 0 not in (a, b) else 0)
    x, y = broadcast_to(x, (*batch, *x.shape[n:])), broadcast_to(y, (*batch, *y.shape[n:]))
    axes = tuple(range(n))
    return dot_general(x, y, contract=((n + 1,), (n,)), batch=(axes, axes), dtype=x.dtype)


def dot(x, y):
    """numpy.dot: the sum over the last axis of x and the second to last of y, without broadcasting."""
    x, y = promoted(x, y)
    if not x.ndim or not y.ndim:
        return x * y
    return tensordot(x, y, ((x.ndim - 1,), (max(y.ndim - 2, 0),)))


def tensordot(x, y, axes=2):
    """Sums of products over pairs of axes: the last `axes` of x with the first of y, or (axes of x, axes of y)."""
    x, y = promoted(x, y)
    if isinstance(axes, int):
        if not 0 <= axes <= min(x.ndim, y.ndim):
            raise ShapeError(
                f"tensordot: {axes} axes of {x._node.aval} and {y._node.aval}.", fix="use at most their number of axes."
            )
        axes = (tuple(range(x.ndim - axes, x.ndim)), tuple(range(axes)))
    pairs = [(a,) if isinstance(a, int) else tuple(a) for a in axes]
    xs, ys = (tuple(normalize_axis(a, v.ndim, "tensordot") for a in pair) for pair, v in zip(pairs, (x, y)))
    return dot_general(x, y, contract=(xs, ys), batch=((), ()), dtype=x.dtype)


def outer(x, y):
    """out[i, j] = x[i] * y[j] of flattened operands."""
    x, y = promoted(x, y)
    return reshape_to(x, (x.size, 1)) * reshape_to(y, (1, y.size))


def vdot(x, y):
    """The sum of products of two arrays of equally many elements, flattened; of complex x, of its conjugate."""
    x, y = promoted(x, y)
    x = conj(x) if is_complex(x.dtype) else x
    if x.size != y.size:
        raise ShapeError(f"vdot: {x._node.aval} and {y._node.aval} have different numbers of elements.")
    return tensordot(reshape_to(x, (x.size,)), reshape_to(y, (y.size,)), 1)


def inner(x, y):
    """Sums of products over the last axes of x and y."""
    x, y = promoted(x, y)
    if not x.ndim or not y.ndim:
        return x * y
    return tensordot(x, y, ((x.ndim - 1,), (y.ndim - 1,)))


def multi_dot(arrays):
    """The product of two or more matrices, the order of multiplications chosen to need the fewest operations.

    The first and the last may be vectors: a row and a column. Cormen et al., "Introduction to Algorithms", 15.2.
    """
    arrays = promoted(*arrays)
    if len(arrays) < 2:
        raise ArgumentError("multi_dot: fewer than two arrays.", fix="give two or more.")
    ndims = [x.ndim for x in arrays]
    if any(n != 2 for n in ndims[1:-1]) or any(n not in (1, 2) for n in (ndims[0], ndims[-1])):
        raise ShapeError(f"multi_dot: arrays with {ndims} axes.", fix="matrices; the ends may be vectors.")
    sizes = [arrays[0].shape[0] if ndims[0] == 2 else 1, *(x.shape[-1] for x in arrays[:-1])]
    sizes.append(arrays[-1].shape[1] if ndims[-1] == 2 else 1)
    cost, cut = {(i, i): 0 for i in range(len(arrays))}, {}
    for length in range(1, len(arrays)):
        for i in range(len(arrays) - length):
            j = i + length
            choices = [(cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)]
            cost[i, j], cut[i, j] = min(choices)

    def product(i, j):
        return arrays[i] if i == j else matmul(product(i, cut[i, j]), product(cut[i, j] + 1, j))

    return product(0, len(arrays) - 1)


def kron(x, y):
    """The Kronecker product: blocks x[i, j] y, for any number of axes."""
    x, y = promoted(x, y)
    n = max(x.ndim, y.ndim)
    x, y = (reshape_to(v, (1,) * (n - v.ndim) + v.shape) for v in (x, y))
    shape = tuple(a * b for a, b in zip(x.shape, y.shape))
    x = reshape_to(x, tuple(size for a in x.shape for size in (a, 1)))
    y = reshape_to(y, tuple(size for b in y.shape for size in (1, b)))
    return reshape_to(x * y, shape)


def cross(x, y, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """Cross products of vectors of 3 components; of 2, whose third counts as 0, and of two such only the third component.

    axisa, axisb: where the components lie; axisc: where they come to lie; axis: all three. Other axes broadcast.
    """
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    x, y = promoted(x, y)
    x, y = moveaxis(x, axisa, -1), moveaxis(y, axisb, -1)
    if x.shape[-1] not in (2, 3) or y.shape[-1] not in (2, 3):
        raise ShapeError(f"cross: {x._node.aval} and {y._node.aval}: vectors need 2 or 3 components.")
    (x0, x1, *x2), (y0, y1, *y2) = ([v[..., i] for i in range(v.shape[-1])] for v in (x, y))
    third = x0 * y1 - x1 * y0
    if not x2 and not y2:
        return third
    first = (x1 * y2[0] if y2 else 0) - (x2[0] * y1 if x2 else 0)
    second = (x2[0] * y0 if x2 else 0) - (x0 * y2[0] if y2 else 0)
    return moveaxis(stack([first, second, third], -1), -1, axisc)


__all__ = ["matmul", "dot", "tensordot", "outer", "vdot", "inner", "multi_dot", "kron", "cross"]
