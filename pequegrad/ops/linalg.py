"""Products of matrices and arrays."""

from ..core.dtype import is_complex
from ..core.errors import ShapeError
from ..primitives.contraction import dot_general
from ..primitives.shape import reshape_to
from .arithmetic import promoted
from .creation import as_tensor
from .shape import broadcast_to, normalize_axis


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


def norm(x, axis=None, keepdims=False):
    """The Euclidean norm over `axis` (default: all)."""
    from .arithmetic import abs as absolute
    from .arithmetic import sqrt
    from .reductions import sum as total

    x = as_tensor(x)
    x = absolute(x) if is_complex(x.dtype) else x
    return sqrt(total(x * x, axis, keepdims))


__all__ = ["matmul", "dot", "tensordot", "outer", "norm"]
