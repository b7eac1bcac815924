"""Transforms one after another: as they are, or as one jitted function."""

from ...core.errors import ArgumentError
from ...core.tensor import Tensor
from .base import Transform


class Compose(Transform):
    """The given transforms, or functions of an image, one after another.

    >>> Compose([CenterCrop(2), lambda x: x * 2])(np.ones((1, 2, 2)))
    array([[[2., 2.],
            [2., 2.]]])
    """

    def __init__(self, transforms):
        self.transforms = checked_parts(self, transforms)

    def __call__(self, x):
        for transform in self.transforms:
            x = transform(x)
        return x


class JitCompose(Transform):
    """The given transforms as one jitted function: one program over a whole batch. NumPy arrays become Tensors.

    Random numbers are drawn outside and are inputs of the program, so that they are the same as in Compose. A transform that
    changes from call to call in another way would be frozen by the trace. enabled=False: the same, operation by operation.

    >>> JitCompose([Normalize(0.5, 0.5), RandomHorizontalFlip(1.0)])(np.ones((8, 3, 4, 4), np.float32)).shape
    (8, 3, 4, 4)
    """

    def __init__(self, transforms, enabled=True):
        self.transforms, self.enabled = checked_parts(self, transforms), bool(enabled)
        self.jitted = None

    def __call__(self, x):
        x = x if isinstance(x, Tensor) else Tensor(x).detach()
        numbers = [t.draw(x) for t in _flat(self.transforms) if getattr(t, "count", 0)]
        if not self.enabled:
            return self._apply(x, numbers)
        if self.jitted is None:
            from ...transforms.jit import jit

            self.jitted = jit(self._apply)
        return self.jitted(x, numbers)

    def _apply(self, x, numbers):
        numbers = iter(numbers)
        for transform in _flat(self.transforms):
            if isinstance(transform, Transform):
                x = transform.apply(x, next(numbers) if transform.count else None)
            else:
                x = transform(x)
        return x

    def __getstate__(self):
        """What goes to worker processes: the program is made anew there."""
        return vars(self) | {"jitted": None}


def checked_parts(whole, transforms):
    """The parts of a composition as a list."""
    parts = list(transforms) if isinstance(transforms, (list, tuple)) else None
    if parts is None or not all(map(callable, parts)):
        raise ArgumentError(f"{type(whole).__name__} takes a list of transforms, got {transforms!r}.")
    return parts


def _flat(transforms):
    """The transforms with those in Compose and JitCompose in their places."""
    for transform in transforms:
        if isinstance(transform, (Compose, JitCompose)):
            yield from _flat(transform.transforms)
        else:
            yield transform
