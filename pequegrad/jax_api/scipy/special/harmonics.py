"""Spherical harmonics."""

import math
import operator

import numpy as np

from ....core.tensor import Tensor
from ... import lax
from ... import numpy as jnp


def _legendre(n_max, x):
    """Normalised associated Legendre functions [m, l, point] for 0 <= m <= l <= n_max of x [point], with recurrence in l."""
    root = jnp.sqrt(1.0 - x * x)
    zero = jnp.zeros_like(x)
    diagonal = jnp.full_like(x, 0.5 / math.sqrt(math.pi))
    rows = []
    for m in range(n_max + 1):
        if m:
            diagonal = diagonal * root * -math.sqrt(1.0 + 0.5 / m)
        row = [*[zero] * m, diagonal]
        for n in range(m + 1, n_max + 1):
            if n == m + 1:
                row.append(math.sqrt(2.0 * m + 3.0) * x * diagonal)
                continue
            d0 = math.sqrt((4.0 * n * n - 1.0) / (n * n - m * m))
            d1 = math.sqrt((2.0 * n + 1.0) * ((n - 1.0) ** 2 - m * m) / ((2.0 * n - 3.0) * (n * n - m * m)))
            row.append(d0 * x * row[-1] - d1 * row[-2])
        rows.append(jnp.stack(row))
    return jnp.stack(rows)


def sph_harm_y(n, m, theta, phi, diff_n=None, n_max=None):
    """The spherical harmonics Y of degrees n and orders m [k] at polar angles theta and azimuths phi [k], complex.

    n_max: the largest degree, an int; it must be given where n is traced.
    """
    if diff_n is not None:
        raise NotImplementedError("The 'diff_n' argument to jax.scipy.special.sph_harm_y is not supported.")
    if not isinstance(theta, Tensor) and not np.ndim(theta):
        theta = jnp.array([theta])
    n_max = operator.index(n_max) if n_max is not None else int(np.max(np.asarray(n)))
    n, m, theta, phi = (jnp.asarray(v) for v in (n, m, theta, phi))
    order = jnp.abs(m)
    values = _legendre(n_max, jnp.cos(theta)).at[order, n, jnp.arange(len(n))].get(mode="clip")
    angle = order * phi
    found = lax.complex(values * jnp.cos(angle), values * jnp.sin(angle))
    return jnp.where(m < 0, (-1.0) ** order * jnp.conj(found), found)


__all__ = ["sph_harm_y"]
