"""jax.interpreters.batching: vmap of primitives that libraries define (jax.extend.core.Primitive).

primitive_batchers[p]: rule(args, axes, **params) -> (results, axes of them), an axis being an int or None.
axis_primitive_batchers[p]: rule(size, name, trace type, args, axes, **params).
"""

from ..numpy import broadcast_to as _broadcast_to
from ..numpy import expand_dims, moveaxis, ndim

__all__ = [
    "axis_primitive_batchers",
    "bdim_at_front",
    "defbroadcasting",
    "defvectorized",
    "not_mapped",
    "primitive_batchers",
]

primitive_batchers, axis_primitive_batchers = {}, {}
not_mapped = None


def bdim_at_front(x, bdim, size, mesh_axis=None):
    """x with its axis `bdim` in front, or with a new one of `size` if it has none."""
    if bdim is None:
        return _broadcast_to(x, (size, *x.shape))
    return moveaxis(x, bdim, 0)


def defvectorized(prim):
    """The primitive is elementwise: it does with another axis what it does with all."""

    def batch(args, axes, **params):
        (axis,) = set(axes)
        return prim.bind(*args, **params), axis

    primitive_batchers[prim] = batch


def defbroadcasting(prim):
    """The primitive is elementwise, and broadcasts its arguments as NumPy does."""

    def batch(args, axes, **params):
        rank = max(ndim(x) - (axis is not None) for x, axis in zip(args, axes))
        moved = [x if axis is None else _of_rank(moveaxis(x, axis, 0), rank + 1) for x, axis in zip(args, axes)]
        out = prim.bind(*moved, **params)
        return out, [0] * len(out) if prim.multiple_results else 0

    primitive_batchers[prim] = batch


def _of_rank(x, rank):
    return expand_dims(x, tuple(range(1, 1 + rank - x.ndim)))
