"""jax.scipy.cluster.vq: vector quantisation."""

from ... import numpy as jnp
from ...convert import as_arrays
from ...numpy.promotion import inexact


def vq(obs, code_book, check_finite=True):
    """(number of the nearest code, distance to it) for observations [m, d] or [m] and codes [n, d] or [n]."""
    obs, code_book = inexact("scipy.cluster.vq.vq", *as_arrays("scipy.cluster.vq.vq", obs, code_book))
    if obs.ndim != code_book.ndim:
        raise ValueError("Observation and code_book should have the same rank")
    if obs.ndim == 1:
        obs, code_book = obs[:, None], code_book[:, None]
    if obs.ndim != 2:
        raise ValueError("ndim different than 1 or 2 are not supported")
    distances = jnp.linalg.norm(obs[:, None] - code_book, axis=-1)
    code = jnp.argmin(distances, axis=-1)
    return code, jnp.take_along_axis(distances, code[:, None], axis=-1)[:, 0]


__all__ = ["vq"]
