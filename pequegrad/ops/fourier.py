"""Discrete Fourier transforms, with the arguments and meaning of numpy.fft; pg.fft holds them.

Integers, bool and 16-bit floats are transformed in float32 (NumPy: float64). n, s: the sizes that axes are cut or
filled with zeros to before a transform. norm: "backward" divides inverse transforms by the number of elements,
"forward" divides forward ones, "ortho" both by its square root.
"""

import numpy as np

from ..core.dtype import default_float, dt, is_complex
from ..core.errors import ArgumentError, DtypeError, ShapeError
from ..primitives import fourier as p
from ..primitives.base import number
from ..primitives.elementwise import convert_to
from ..primitives.shape import pad
from . import creation
from .arithmetic import divide, floating
from .complex import conj
from .creation import as_tensor
from .rearrange import roll
from .shape import moveaxis, normalize_axis
from .tracked import _tracked

_OPPOSITE = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


# ---- along one axis ----------------------------------------------------------------------------------


def _scale(norm, inverse, name):
    """What the primitives call the factor of a transform."""
    norm = "backward" if norm is None else norm
    if norm not in _OPPOSITE:
        raise ArgumentError(f"{name}: there is no norm {norm!r}.", fix='use "backward", "ortho" or "forward".')
    return _OPPOSITE[norm] if inverse else norm


def _operand(x):
    x = floating(x)
    return convert_to(x, dt.float32) if x.dtype in (dt.float16, dt.bfloat16) else x


def _resized(x, axis, n, name):
    """x with n elements along an axis: the first ones, or zeros behind them."""
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise ShapeError(f"{name}: a transform needs at least one element, not {n!r}.", fix="give n >= 1.")
    if x.shape[axis] == n:
        return x
    high = [0] * x.ndim
    high[axis] = int(n) - x.shape[axis]
    return pad(x, number(0, x), low=(0,) * x.ndim, high=tuple(high), interior=(0,) * x.ndim)


def _along(x, n, axis, name, transform):
    """`transform` of x along an axis, of which it takes n elements (default: all)."""
    axis = normalize_axis(axis, x.ndim, name)
    x = _resized(x, axis, x.shape[axis] if n is None else n, name)
    return moveaxis(transform(moveaxis(x, axis, -1)), -1, axis)


def _complex_transform(x, n, axis, norm, inverse, name):
    scale = _scale(norm, inverse, name)
    return _along(p.complex_operand(_operand(x)), n, axis, name, lambda x: p.fft(x, inverse=inverse, scale=scale))


def _real_transform(x, n, axis, norm, name):
    x, scale = _operand(x), _scale(norm, False, name)
    if is_complex(x.dtype):
        raise DtypeError(f"{name} takes real numbers, got {x._node.aval}.", fix="use fft, or take a part: x.real.")
    return _along(x, n, axis, name, lambda x: p.rfft(x, scale=scale))


def _to_real_transform(x, n, axis, norm, name):
    x, scale = p.complex_operand(_operand(x)), _scale(norm, True, name)
    n = 2 * (x.shape[normalize_axis(axis, x.ndim, name)] - 1) if n is None else n
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise ShapeError(f"{name}: the result would have {n!r} elements.", fix="give its size: n >= 1.")
    return _along(x, n // 2 + 1, axis, name, lambda x: p.irfft(x, n=int(n), scale=scale))


def fft(a, n=None, axis=-1, norm=None):
    """The discrete Fourier transform along one axis: sum over j of a[j] exp(-2 pi i j k / n), complex."""
    return _complex_transform(a, n, axis, norm, False, "fft")


def ifft(a, n=None, axis=-1, norm=None):
    """The inverse of fft: the mean over j of a[j] exp(2 pi i j k / n), complex."""
    return _complex_transform(a, n, axis, norm, True, "ifft")


def rfft(a, n=None, axis=-1, norm=None):
    """The first n // 2 + 1 numbers of the transform of real `a`; the others are their conjugates."""
    return _real_transform(a, n, axis, norm, "rfft")


def irfft(a, n=None, axis=-1, norm=None):
    """The inverse of rfft: n real numbers (default: 2 (size - 1)) of the first n // 2 + 1 of their transform."""
    return _to_real_transform(a, n, axis, norm, "irfft")


def hfft(a, n=None, axis=-1, norm=None):
    """The real transform of a signal that is its own conjugate backwards, of which `a` is the first half."""
    return _to_real_transform(conj(as_tensor(a)), n, axis, _OPPOSITE.get(norm or "backward", norm), "hfft")


def ihfft(a, n=None, axis=-1, norm=None):
    """The inverse of hfft: n // 2 + 1 complex numbers of real `a`."""
    return conj(_real_transform(a, n, axis, _OPPOSITE.get(norm or "backward", norm), "ihfft"))


# ---- along several axes ------------------------------------------------------------------------------


def _sizes_and_axes(x, s, axes, name):
    """(size, axis) pairs; without axes the last len(s), or all."""
    if axes is None:
        axes = range(-len(s), 0) if s is not None else range(x.ndim)
    axes = [normalize_axis(axis, x.ndim, name) for axis in axes]
    sizes = [-1] * len(axes) if s is None else list(s)
    if len(sizes) != len(axes):
        raise ArgumentError(f"{name}: {len(sizes)} sizes for {len(axes)} axes.", fix="give one size per axis.")
    if not axes and name not in ("fftn", "ifftn"):
        raise ArgumentError(f"{name}: no axes are given.", fix="name at least one axis.")
    return [(x.shape[axis] if n == -1 else n, axis) for n, axis in zip(sizes, axes)]


def _all_complex(a, s, axes, norm, inverse, name):
    x = p.complex_operand(_operand(a))
    for n, axis in reversed(_sizes_and_axes(x, s, axes, name)):
        x = _complex_transform(x, n, axis, norm, inverse, name)
    return x


def _all_real(a, s, axes, norm, name):
    x = _operand(a)
    *others, (n, last) = _sizes_and_axes(x, s, axes, name)
    x = _real_transform(x, n, last, norm, name)
    for n, axis in reversed(others):
        x = _complex_transform(x, n, axis, norm, False, name)
    return x


def _all_to_real(a, s, axes, norm, name):
    x = p.complex_operand(_operand(a))
    *others, (n, last) = _sizes_and_axes(x, s, axes, name)
    if s is None:
        n = 2 * (n - 1)
    for size, axis in others:
        x = _complex_transform(x, size, axis, norm, True, name)
    return _to_real_transform(x, n, last, norm, name)


def fftn(a, s=None, axes=None, norm=None):
    """fft along several axes (default: all, or the last len(s)), each of which has its size in s (-1: as it is)."""
    return _all_complex(a, s, axes, norm, False, "fftn")


def ifftn(a, s=None, axes=None, norm=None):
    """The inverse of fftn."""
    return _all_complex(a, s, axes, norm, True, "ifftn")


def fft2(a, s=None, axes=(-2, -1), norm=None):
    """fft along two axes."""
    return _all_complex(a, s, axes, norm, False, "fft2")


def ifft2(a, s=None, axes=(-2, -1), norm=None):
    """The inverse of fft2."""
    return _all_complex(a, s, axes, norm, True, "ifft2")


def rfftn(a, s=None, axes=None, norm=None):
    """fftn of real `a`, without what follows by conjugation: along the last of the axes, n // 2 + 1 numbers are left."""
    return _all_real(a, s, axes, norm, "rfftn")


def irfftn(a, s=None, axes=None, norm=None):
    """The inverse of rfftn; s are the sizes of the result (default: even along the last of the axes)."""
    return _all_to_real(a, s, axes, norm, "irfftn")


def rfft2(a, s=None, axes=(-2, -1), norm=None):
    """rfftn along two axes."""
    return _all_real(a, s, axes, norm, "rfft2")


def irfft2(a, s=None, axes=(-2, -1), norm=None):
    """irfftn along two axes."""
    return _all_to_real(a, s, axes, norm, "irfft2")


# ---- frequencies -------------------------------------------------------------------------------------


def _frequencies(n, d, dtype, device, first, count, name):
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise ArgumentError(f"{name}: n is {n!r}.", fix="give the number of elements, an int of at least 1.")
    steps = creation.arange(first, first + count, dtype=default_float() if dtype is None else dtype, device=device)
    return divide(steps, n * d)


@_tracked
def fftfreq(n, d=1.0, dtype=None, device=None):
    """The frequencies of the n numbers that fft gives, for samples a distance d apart: first those from 0 up."""
    steps = _frequencies(n, d, dtype, device, -(n // 2), n, "fftfreq")
    return roll(steps, -(n // 2))


@_tracked
def rfftfreq(n, d=1.0, dtype=None, device=None):
    """The frequencies of the n // 2 + 1 numbers that rfft gives for n samples a distance d apart."""
    return _frequencies(n, d, dtype, device, 0, n // 2 + 1, "rfftfreq")


def _shifted(x, axes, places, name):
    x = as_tensor(x)
    axes = range(x.ndim) if axes is None else (axes,) if isinstance(axes, (int, np.integer)) else axes
    for axis in axes:
        axis = normalize_axis(axis, x.ndim, name)
        x = roll(x, places(x.shape[axis]), axis)
    return x


def fftshift(x, axes=None):
    """x with the element of frequency 0 moved from the front to the middle of each of the axes (default: all)."""
    return _shifted(x, axes, lambda n: n // 2, "fftshift")


def ifftshift(x, axes=None):
    """The inverse of fftshift."""
    return _shifted(x, axes, lambda n: -(n // 2), "ifftshift")


__all__ = [
    "fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fftn", "ifftn", "fft2", "ifft2", "rfftn", "irfftn", "rfft2",
    "irfft2", "fftfreq", "rfftfreq", "fftshift", "ifftshift",
]  # fmt: skip
