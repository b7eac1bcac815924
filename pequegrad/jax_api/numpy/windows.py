"""Windows of signals: weights that fall from the middle to both ends."""

import numpy as np

from ...core.dtype import default_float
from ...ops.arithmetic import abs, cos, exp, sqrt
from ...primitives.shape import iota
from ..convert import as_array, current_device
from .arguments import filled


def _window(M, weights):
    """weights(n) of n = 0 .. M - 1; ones if these are fewer than two."""
    M = int(M)
    if M <= 1:
        return filled(as_array(1.0), (max(M, 0),), 1, default_float())
    return weights(as_array(0.0) + iota(shape=(M,), dtype=default_float(), axis=0, device=current_device()), M)


def bartlett(M):
    """A triangle with M points."""
    return _window(M, lambda n, M: 1 - abs(2 * n + 1 - M) / (M - 1))


def blackman(M):
    """0.42 - 0.5 cos(2 pi n / (M - 1)) + 0.08 cos(4 pi n / (M - 1))."""
    wave = lambda n, M, k: cos(2 * k * np.pi * n / (M - 1))
    return _window(M, lambda n, M: 0.42 - 0.5 * wave(n, M, 1) + 0.08 * wave(n, M, 2))


def hamming(M):
    """0.54 - 0.46 cos(2 pi n / (M - 1))."""
    return _window(M, lambda n, M: 0.54 - 0.46 * cos(2 * np.pi * n / (M - 1)))


def hanning(M):
    """0.5 (1 - cos(2 pi n / (M - 1)))."""
    return _window(M, lambda n, M: 0.5 * (1 - cos(2 * np.pi * n / (M - 1))))


def kaiser(M, beta):
    """I0(beta sqrt(1 - x^2)) / I0(beta) for x from -1 to 1, with the modified Bessel function I0."""
    beta = as_array(beta, "kaiser", 1)

    def weights(n, M):
        middle = 0.5 * (M - 1)
        return _i0(beta * sqrt(1 - ((n - middle) / middle) ** 2)) / _i0(beta)

    return _window(M, weights)


def _i0(x):
    from ...ops.gamma import bessel_i0e

    return exp(abs(x)) * bessel_i0e(x)


__all__ = ["bartlett", "blackman", "hamming", "hanning", "kaiser"]
