"""jax.extend: what libraries read of traced functions."""

from . import core

__all__ = ["core"]
