"""Reductions over segments: rows that carry the same number are combined."""

import numpy as np

from ..core.dtype import dt, is_float, is_integer
from ..core.errors import ArgumentError, DtypeError, ShapeError
from ..primitives import reduction as p
from .at import At
from .creation import as_tensor, full


def segment_sum(data, segment_ids, num_segments=None):
    """out[s] = the sum of the rows data[i] with segment_ids[i] == s, 0 where there are none.

    data: [n, ...]; segment_ids: integers [n], in any order; numbers out of range count nowhere. num_segments: the number of rows
    of the result; without it the largest number's, which must then have a value.
    """
    return _combined("segment_sum", data, segment_ids, num_segments, "add", lambda dtype: 0)


def segment_max(data, segment_ids, num_segments=None):
    """As segment_sum, with the largest; -inf (integers: the lowest) where there are no rows."""
    lowest = lambda dtype: -np.inf if is_float(dtype) else int(np.iinfo(dtype).min)
    return _combined("segment_max", data, segment_ids, num_segments, "max", lowest)


def segment_min(data, segment_ids, num_segments=None):
    """As segment_sum, with the smallest; inf (integers: the highest) where there are no rows."""
    highest = lambda dtype: np.inf if is_float(dtype) else int(np.iinfo(dtype).max)
    return _combined("segment_min", data, segment_ids, num_segments, "min", highest)


def _combined(name, data, ids, n, how, neutral):
    data = as_tensor(data)
    ids = as_tensor(ids, data.device)
    if not is_integer(ids.dtype):
        raise DtypeError(f"{name}: segment_ids must be integers, got {ids._node.aval}.", fix="i.astype(dt.int32)")
    if ids.ndim != 1 or not data.ndim or data.shape[0] != ids.shape[0]:
        raise ShapeError(
            f"{name}: data {data._node.aval} needs segment_ids of shape [rows of data], got {list(ids.shape)}.",
            fix="one number per row; flatten leading axes first.",
        )
    if data.dtype.kind == "b":
        raise DtypeError(f"{name} takes numbers, got {data._node.aval}.", fix="convert them: x.astype(dt.int32).")
    if n is None:
        n = int(p.reduce_max(ids, axes=(0,)).item()) + 1 if ids.shape[0] else 0
    if not isinstance(n, (int, np.integer)) or n < 0:
        raise ArgumentError(f"{name}: num_segments = {n!r} is not a number of rows.")
    if ids.dtype.itemsize < 4:
        ids = ids.astype(dt.int32)
    ids = _without_negative(ids, int(n))
    start = full((int(n), *data.shape[1:]), neutral(data.dtype), data.dtype, data.device)
    return getattr(At(start, ids), how)(data)


def _without_negative(ids, n):
    """Negative numbers as n, which is out of range: they do not count from the end."""
    from .arithmetic import where

    return ids if ids.dtype.kind == "u" else where(ids < 0, n, ids)


__all__ = ["segment_sum", "segment_max", "segment_min"]
