"""Bessel functions: modified ones of order 0 and 1, and those of the first kind."""

import operator

from ... import lax
from ... import numpy as jnp
from .common import inexact, is_complex


def i0e(x):
    """exp(-|x|) I0(x)."""
    return lax.bessel_i0e(*inexact("i0e", x))


def i0(x):
    """The modified Bessel function I0."""
    (x,) = inexact("i0", x)
    return lax.exp(lax.abs(x)) * lax.bessel_i0e(x)


def i1e(x):
    """exp(-|x|) I1(x)."""
    return lax.bessel_i1e(*inexact("i1e", x))


def i1(x):
    """The modified Bessel function I1."""
    (x,) = inexact("i1", x)
    return lax.exp(lax.abs(x)) * lax.bessel_i1e(x)


def bessel_jn(z, *, v, n_iter=50):
    """J_0(z) .. J_v(z) [v + 1, ..] by Miller's backward recurrence from order n_iter + 1, which should be well above |z|."""
    (z,) = inexact("bessel_jn", z)
    if is_complex(z.dtype):
        raise ValueError("complex input not supported.")
    v, n_iter = operator.index(v), int(n_iter)

    def step(carry, k):
        above, here, total = carry
        below = 2.0 * (k + 1.0) * here / z - above
        total = jnp.where(k % 2 == 0, total + 2.0 * below, total)
        return (here, below, total), below

    start = (jnp.zeros_like(z), jnp.full_like(z, 1e-16), jnp.zeros_like(z))
    orders = jnp.arange(n_iter + 1, dtype=z.dtype)
    (_, _, total), found = lax.scan(step, start, orders, reverse=True)
    return found[: v + 1] / (total - found[0])  # J_0 + 2 J_2 + 2 J_4 + ... = 1


__all__ = ["bessel_jn", "i0", "i0e", "i1", "i1e"]
