"""Transform, the base of all transforms, and what they share."""

import numpy as np

from ...core.errors import ShapeError, TracerError
from ...core.tensor import Tensor
from ..randomness import checked_seed, uniforms


def library(x):
    """The module of functions for this kind of array: numpy, or pequegrad.jax_api.numpy for Tensors."""
    if not isinstance(x, Tensor):
        return np
    from ...jax_api import numpy

    return numpy


class Transform:
    """Base of the transforms here. Define `apply(x, numbers)`; with `count`, numbers are float32 in [0, 1), [..., count].

    >>> class Darker(Transform):
    ...     count = 1
    ...     def apply(self, x, numbers):
    ...         return x * numbers[..., 0, None, None, None]
    """

    count = 0  # random numbers that each image needs

    def __init__(self, seed=None):
        self.seed = checked_seed(seed, type(self).__name__)
        self.generator = np.random.default_rng(self.seed)

    def __call__(self, x):
        return self.apply(x, self.draw(x))

    def draw(self, x):
        """The random numbers for these images, a NumPy array [count] or [batch, count]; None if there is nothing random."""
        if not self.count:
            return None
        if isinstance(x, Tensor) and x._node.frame is not None:
            raise TracerError(
                f"{type(self).__name__} inside a traced function would draw the same numbers at each call.",
                fix="put it into a JitCompose, or apply it to the arguments of the function.",
            )
        return uniforms(self.count, checked_images(self, x).shape[:-3], self.seed, self.generator)

    def apply(self, x, numbers):
        raise NotImplementedError(f"{type(self).__name__} does not define apply().")

    def __repr__(self):
        shown = {name: value for name, value in vars(self).items() if name not in ("seed", "generator", "jitted")}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def checked_images(transform, x):
    """x, which must be [channels, height, width] or a batch of that."""
    if not isinstance(x, (np.ndarray, Tensor)) or x.ndim not in (3, 4):
        got = f"shape {list(x.shape)}" if hasattr(x, "shape") else type(x).__name__
        raise ShapeError(
            f"{type(transform).__name__} takes images [channels, height, width] or batches of them, got {got}.",
            fix="PermuteFromTo((0, 1, 2), (2, 0, 1)) brings channels to the front; x[None] makes one channel.",
        )
    return x
