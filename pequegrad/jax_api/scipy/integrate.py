"""jax.scipy.integrate."""

from .. import numpy as jnp


def trapezoid(y, x=None, dx=1.0, axis=-1):
    """The integral of samples y along `axis` at the places x, or at a distance of dx, by the trapezoidal rule."""
    return jnp.trapezoid(y, x, dx, axis)


__all__ = ["trapezoid"]
