"""jax.numpy.fft: discrete Fourier transforms. norm, s, n and axes mean what they mean in numpy.fft."""

import operator

from ...core.device import device as devices
from ...core.dtype import default_float, is_complex, is_inexact
from ...core.errors import IndexingError
from ...ops import fourier
from ...ops.complex import conj
from ...primitives.elementwise import convert_to
from ...primitives.shape import iota
from ..convert import as_array, canonical, current_device, to_array
from .arguments import axis_tuple, int_tuple
from .manipulation import roll


def _transform(name, a, s, axes, norm):
    """The function `name` of ops.fourier (fftn, ...) after the checks that JAX makes; s, axes: sequences or None."""
    a = as_array(a, name)
    if norm not in (None, "backward", "ortho", "forward"):
        raise ValueError(f'Invalid norm value {norm}; should be "backward","ortho" or "forward".')
    if s is not None:
        s = tuple(map(operator.index, s))
        if any(n <= 0 for n in s):
            raise ValueError("Shape should be positive.")
    if axes is None:
        axes = range(a.ndim) if s is None else range(-len(s), 0)
    if s is not None and len(s) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    axes = axis_tuple(tuple(axes), a.ndim)
    if len(set(axes)) != len(axes):
        raise ValueError(f"jax.numpy.fft.{name} does not support repeated axes. Got axes {axes}.")
    if name == "rfftn" and is_complex(a.dtype):
        raise ValueError("rfft takes real numbers, not complex ones")
    if not is_inexact(a.dtype):
        a = convert_to(a, default_float())
    return getattr(fourier, name)(a, s, axes, norm)


def _one_axis(name, doc):
    def function(a, n=None, axis=-1, norm=None):
        if isinstance(axis, (list, tuple)):
            raise ValueError(f"jax.numpy.fft.{name} does not support multiple axes. Got axis = {axis!r}.")
        return _transform(f"{name}n", a, None if n is None else [n], None if axis is None else [axis], norm)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc} along one axis, of which it takes n elements, zeros behind the last one."
    return function


def _two_axes(name, doc):
    def function(a, s=None, axes=(-2, -1), norm=None):
        if len(axes) != 2:
            raise ValueError(f"jax.numpy.fft.{name} only supports 2 axes. Got axes = {axes!r}.")
        return _transform(f"{name[:-1]}n", a, s, axes, norm)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc} along two axes, of which it takes s elements."
    return function


def _all_axes(name, doc):
    def function(a, s=None, axes=None, norm=None):
        return _transform(name, a, s, axes, norm)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc} along several axes (default: the last len(s), or all), of which it takes s elements."
    return function


_FOURIER = "The discrete Fourier transform"
_INVERSE = "The inverse of the discrete Fourier transform"
_HALF = "The half of the transform of real numbers that determines the rest,"
_REAL = "The inverse of rfft, real numbers,"
fft, fft2, fftn = _one_axis("fft", _FOURIER), _two_axes("fft2", _FOURIER), _all_axes("fftn", _FOURIER)
ifft, ifft2, ifftn = _one_axis("ifft", _INVERSE), _two_axes("ifft2", _INVERSE), _all_axes("ifftn", _INVERSE)
rfft, rfft2, rfftn = _one_axis("rfft", _HALF), _two_axes("rfft2", _HALF), _all_axes("rfftn", _HALF)
irfft, irfft2, irfftn = _one_axis("irfft", _REAL), _two_axes("irfft2", _REAL), _all_axes("irfftn", _REAL)


_OPPOSITE = {None: "forward", "backward": "forward", "forward": "backward"}


def _with_axis(a, axis, name):
    a = as_array(a, name)
    if not isinstance(axis, (list, tuple)) and not -a.ndim <= axis < a.ndim:
        raise IndexingError(f"jax.numpy.fft.{name}: an array of shape {a.shape} has no axis {axis}.")
    return a


def hfft(a, n=None, axis=-1, norm=None):
    """The real transform of a signal that is its own conjugate backwards, of which `a` is the first half."""
    a = _with_axis(a, axis, "hfft")
    return irfft(conj(a) if is_complex(a.dtype) else a, n, axis, _OPPOSITE.get(norm, norm))


def ihfft(a, n=None, axis=-1, norm=None):
    """The inverse of hfft."""
    a = _with_axis(a, axis, "ihfft")
    return conj(rfft(a, n, axis, _OPPOSITE.get(norm, norm)))


def _frequencies(name, n, d, dtype, device, first, count):
    """first / (n d), (first + 1) / (n d), ...: `count` of them, in the order of the results of a transform."""
    if isinstance(d, (list, tuple)):
        raise ValueError(f"jax.numpy.fft.{name}: d is a single number, got {d}.")
    dtype = default_float() if dtype is None else canonical(dtype)
    wide = dtype if is_inexact(dtype) else default_float()
    place = current_device() if device is None else devices(device)
    steps = to_array(iota(shape=(count,), dtype=wide, axis=0, device=place))
    steps = roll(steps + first, first) if first else steps
    return convert_to(steps / convert_to(as_array(d) * n, wide), dtype)


def _count(name, n):
    if isinstance(n, (list, tuple)):
        raise ValueError(f"jax.numpy.fft.{name}: n is a single number, got {n}.")
    return operator.index(n)


def fftfreq(n, d=1.0, *, dtype=None, device=None):
    """The frequencies of the n numbers of fft, for samples a distance d apart: first those from 0 up."""
    n = _count("fftfreq", n)
    return _frequencies("fftfreq", n, d, dtype, device, -(n // 2), n)


def rfftfreq(n, d=1.0, *, dtype=None, device=None):
    """The frequencies of the n // 2 + 1 numbers of rfft, for samples a distance d apart."""
    n = _count("rfftfreq", n)
    return _frequencies("rfftfreq", n, d, dtype, device, 0, n // 2 + 1)


def fftshift(x, axes=None):
    """x with the element of frequency 0 moved from the front to the middle of the axes (default: of all)."""
    return _shifted(x, axes, 1, "fftshift")


def ifftshift(x, axes=None):
    """The inverse of fftshift."""
    return _shifted(x, axes, -1, "ifftshift")


def _shifted(x, axes, sign, name):
    x = as_array(x, name)
    axes = tuple(range(x.ndim)) if axes is None else int_tuple(axes)
    return roll(x, tuple(sign * (x.shape[a] // 2) for a in axes), axes) if axes else x


__all__ = [
    "fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fftn", "ifftn", "fft2", "ifft2", "rfftn", "irfftn", "rfft2",
    "irfft2", "fftfreq", "rfftfreq", "fftshift", "ifftshift",
]  # fmt: skip
