"""Convolution and correlation of one-dimensional signals, under NumPy's names."""

from ..core.errors import ArgumentError, ShapeError
from ..primitives.shape import reshape, rev
from .arithmetic import promoted
from .complex import conj
from .convolution import conv_general_dilated


def _slid(name, x, w, mode):
    """sum over k of x[i + k] w[k] for len(x) >= len(w) and the places i of `mode`."""
    n = w.shape[0]
    places = {"full": (n - 1, n - 1), "same": (n // 2, n - n // 2 - 1), "valid": (0, 0)}
    if mode not in places:
        raise ArgumentError(f"{name}: there is no mode {mode!r}.", fix='use "full", "same" or "valid".')
    out = conv_general_dilated(reshape(x, shape=(1, 1, x.shape[0])), reshape(w, shape=(1, 1, n)), 1, [places[mode]])
    return reshape(out, shape=out.shape[2:])


def _signals(name, a, v):
    a, v = promoted(a, v)
    if a.ndim != 1 or v.ndim != 1 or not a.shape[0] or not v.shape[0]:
        raise ShapeError(
            f"{name} takes two signals with one axis and at least one element, got {a._node.aval} and {v._node.aval}.",
            fix="for several signals at once use vmap, or conv1d.",
        )
    return a, v


def convolve(a, v, mode="full"):
    """sum over k of a[k] v[i - k]: the product of polynomials with these coefficients.

    mode: "full" (len(a) + len(v) - 1 places), "same" (as many as the longer has, from the middle), "valid" (those where
    the shorter lies within the longer).
    """
    a, v = _signals("convolve", a, v)
    if a.shape[0] < v.shape[0]:
        a, v = v, a
    return _slid("convolve", a, rev(v, axes=(0,)), mode)


def correlate(a, v, mode="valid"):
    """sum over k of a[i + k] conj(v[k]): how alike v and the places of `a` are. mode: as for convolve."""
    a, v = _signals("correlate", a, v)
    v = conj(v)
    if a.shape[0] < v.shape[0]:
        return rev(_slid("correlate", v, a, mode), axes=(0,))
    return _slid("correlate", a, v, mode)


__all__ = ["convolve", "correlate"]
