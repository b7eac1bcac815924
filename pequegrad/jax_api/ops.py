"""jax.ops: reductions over segments, rows that carry the same number."""

import numpy as np

from ..core.errors import ArgumentError, MisfitError
from ..primitives import shape as s
from .convert import as_array
from .lax import reductions
from .lax.computations import neutral
from .lax.operands import constant_like
from .lax.slicing import ScatterDimensionNumbers, scatter_add, scatter_max, scatter_min, scatter_mul

_OPS = {  # name -> (scatter, monoid, reduction over buckets)
    "segment_sum": (scatter_add, "add", reductions.reduce_sum),
    "segment_prod": (scatter_mul, "mul", reductions.reduce_prod),
    "segment_max": (scatter_max, "max", reductions.reduce_max),
    "segment_min": (scatter_min, "min", reductions.reduce_min),
}


def _segment(name, what):
    scatter, monoid, reduce = _OPS[name]

    def function(data, segment_ids, num_segments=None, indices_are_sorted=False, unique_indices=False, bucket_size=None,
                 mode=None, out_sharding=None):  # fmt: skip
        data, ids = as_array(data, name, 0), as_array(segment_ids, name, 1)
        if ids.dtype.kind not in "iu":
            raise MisfitError(f"{name}: segment_ids must be integers, got {ids._node.aval}.")
        if not data.ndim or data.shape[:1] != ids.shape[:1]:
            raise MisfitError(f"{name}: data {data._node.aval} must have a row for each of {ids._node.aval}.")
        if num_segments is None:
            num_segments = int(np.max(np.asarray(ids))) + 1
        num_segments = int(num_segments)
        if num_segments < 0:
            raise ValueError("num_segments must be non-negative.")
        if data.dtype.kind == "b" and monoid in ("add", "mul"):
            raise ArgumentError(f"{name} takes numbers, got {data._node.aval}.")
        if bucket_size is not None and ids.ndim != 1:
            raise NotImplementedError(f"{name}: bucket_size with segment_ids of several axes.")
        combine = lambda data, ids: _scattered(scatter, monoid, data, ids, num_segments, unique_indices, mode)
        if bucket_size is None or ids.shape[0] <= bucket_size:
            return combine(data, ids)
        cuts = range(0, ids.shape[0], bucket_size)
        ends = [min(i + bucket_size, ids.shape[0]) for i in cuts]
        parts = [combine(s.slice_axis(data, 0, i, j), s.slice_axis(ids, 0, i, j)) for i, j in zip(cuts, ends)]
        return reduce(s.concatenate(*(s.expand_leading(x, 0, 1) for x in parts), axis=0), (0,))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""out[i] = the {what} of the elements of data [.., ...] whose segment_ids [..] are i.

    num_segments: the size of the first axis of the result; by default one more than the largest number, whose value must be
    known. Numbers out of range count nowhere, or (mode "clip") as the nearest. bucket_size: so many rows are combined at a
    time, which loses less precision. unique_indices promises that no number occurs twice, which derivatives of products need.
    """
    return function


def _scattered(scatter, monoid, data, ids, n, unique, mode):
    rest = data.shape[1:]
    start = constant_like(data, neutral(monoid, data.dtype), (n, *rest))
    if not data.size:
        return start
    wanted = (*ids.shape, *rest)
    if data.shape != wanted:  # ids of several axes
        data = s.broadcast_in_dim(data, shape=wanted, axes=tuple(range(len(wanted) - data.ndim, len(wanted))))
    window = tuple(range(ids.ndim, ids.ndim + len(rest)))
    numbers = ScatterDimensionNumbers(window, (0,), (0,))
    indices = s.reshape(ids, shape=(*ids.shape, 1))
    return scatter(start, indices, data, numbers, unique_indices=unique, mode=mode)


segment_sum = _segment("segment_sum", "sum")
segment_prod = _segment("segment_prod", "product")
segment_max = _segment("segment_max", "largest")
segment_min = _segment("segment_min", "smallest")

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]
