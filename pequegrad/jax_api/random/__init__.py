"""jax.random: random numbers as functions of keys; the same key gives the numbers that JAX gives (threefry2x32)."""

from . import continuous, counts, discrete, gammas, keys, vectors
from .continuous import *  # noqa: F403
from .counts import *  # noqa: F403
from .discrete import *  # noqa: F403
from .gammas import *  # noqa: F403
from .keys import *  # noqa: F403
from .keys import key_dtype_of as key_dtype
from .vectors import *  # noqa: F403

__all__ = [name for module in (continuous, counts, discrete, gammas, keys, vectors) for name in module.__all__]
__all__ += ["key_dtype"]
