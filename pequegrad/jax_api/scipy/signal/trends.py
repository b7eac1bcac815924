"""Trends of signals."""

import numpy as np

from ... import numpy as jnp
from ...numpy.promotion import inexact


def detrend(data, axis=-1, type="linear", bp=0, overwrite_data=None):
    """The data less its mean ("constant"), or less its lines of least squares ("linear") from each break point to the next."""
    if overwrite_data is not None:
        raise NotImplementedError("overwrite_data argument not implemented.")
    if type not in ("constant", "linear"):
        raise ValueError("Trend type must be 'linear' or 'constant'.")
    (data,) = inexact("detrend", jnp.asarray(data))
    if type == "constant":
        return data - data.mean(axis, keepdims=True)
    n = data.shape[axis]
    ends = np.unique(np.r_[0, bp, n])
    if ends[0] < 0 or ends[-1] > n:
        raise ValueError("Breakpoints must be non-negative and less than length of data along given axis.")
    x = jnp.moveaxis(data, axis, -1)
    pieces = [_without_line(x[..., begin:end]) for begin, end in zip(ends[:-1].tolist(), ends[1:].tolist())]
    return jnp.moveaxis(jnp.concatenate(pieces, axis=-1), -1, axis)


def _without_line(x):
    """x less its line of least squares along the last axis."""
    n = x.shape[-1]
    basis = np.ones((n, 1)) if n == 1 else np.stack([np.ones(n), np.arange(n) - (n - 1) / 2], axis=1)
    basis = basis / np.linalg.norm(basis, axis=0)  # orthonormal, since the places are centred
    basis = jnp.asarray(basis.astype(x.real.dtype))
    return x - jnp.matmul(jnp.matmul(x, basis), basis.T)


__all__ = ["detrend"]
