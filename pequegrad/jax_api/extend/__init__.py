"""jax.extend: traced functions and their transforms, for libraries."""

from . import core, linear_util, source_info_util

__all__ = ["core", "linear_util", "source_info_util"]
