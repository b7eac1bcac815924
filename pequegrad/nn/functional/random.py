"""Dropout, of elements and of channels. The random numbers are those of the device: pg.manual_seed(0) repeats them."""

from ...core.errors import ArgumentError, ShapeError
from ...ops.arithmetic import floating, where
from ...ops.creation import as_tensor
from ...ops.nn import dropout as _dropout
from ...ops.random import bernoulli


def dropout(input, p=0.5, training=True):
    """x with each element 0 with probability p, the others divided by 1 - p; x itself if not training.

    >>> dropout(pg.ones(3), 0.5, training=False).tolist()
    [1.0, 1.0, 1.0]
    """
    return _dropout(input, p) if training else as_tensor(input)


def _channel_dropout(name, n):
    def function(input, p=0.5, training=True):
        x = floating(input)
        if not 0 <= p < 1:
            raise ArgumentError(f"{name}: p = {p} is not in [0, 1).", fix="p is the probability of dropping a channel.")
        if x.ndim != n + 2:
            raise ShapeError(f"{name}: {x._node.aval} needs {n + 2} axes, [N, C, {n} of space].")
        if not training or p == 0:
            return x
        keep = bernoulli(1 - p, (*x.shape[:2], *(1,) * n), x.device)
        return where(keep, x * (1 / (1 - p)), 0.0)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"""Whole channels of x [N, C, {n} of space] are 0 with probability p, the others divided by 1 - p."""
    )
    return function


dropout1d, dropout2d, dropout3d = (_channel_dropout(f"dropout{n}d", n) for n in (1, 2, 3))
