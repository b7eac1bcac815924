"""What the files of this folder share: how matrices come in."""

import warnings

from ... import numpy as jnp
from ...numpy.promotion import inexact


def matrices(name, *args):
    """Arguments, lists among them, as Arrays of their common floating dtype."""
    return inexact(name, *(jnp.asarray(x) for x in args))


def square(name, a):
    """An Array of square matrices of a floating dtype; ValueError for anything else."""
    (a,) = matrices(name, a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"{name}: expected square matrices, got an array of shape {a.shape}")
    return a


def right_side(name, a, b):
    """(b with vectors as columns, whether they were vectors): b is one vector, or of a batch of vectors (deprecated), or matrices."""
    if b.ndim == 1:
        return b[:, None], True
    if a.ndim != b.ndim + 1 or a.shape[-1] != b.shape[-1]:
        return b, False
    warnings.warn(
        f"jax.scipy.linalg.{name}: batched 1D solves with b.ndim > 1 are deprecated, and in the future will be treated as a "
        f"batched 2D solve. Use {name}(.., b[..., None]).squeeze(-1) to avoid this warning.",
        FutureWarning,
        stacklevel=3,
    )
    return b[..., None], True


__all__ = ["matrices", "right_side", "square"]
