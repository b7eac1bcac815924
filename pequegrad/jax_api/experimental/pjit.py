"""jax.experimental.pjit: jax.jit under an older name."""

from ..jitting import jit as pjit

__all__ = ["pjit"]
