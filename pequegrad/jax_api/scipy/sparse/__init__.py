"""jax.scipy.sparse."""

from . import linalg

__all__ = ["linalg"]
