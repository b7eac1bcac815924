"""jax.scipy.fft: discrete cosine transforms of type 2 and their inverses."""

import itertools
import math
import operator

import numpy as np

from ...core.dtype import is_complex
from ...primitives import elementwise as e
from .. import numpy as jnp
from ..convert import as_array
from ..numpy.arguments import axis_index, distinct_axes
from ..numpy.promotion import inexact


def _checked(name, x, type, norm):
    if type != 2:
        raise NotImplementedError("Only DCT type 2 is implemented.")
    if norm not in (None, "backward", "ortho"):
        raise ValueError(f"jax.scipy.fft.{name}: norm={norm!r} is not implemented")
    return as_array(x, name)


def _by_parts(transform, x):
    """`transform`, which is real, of the real and of the imaginary part."""
    return e.complex_(transform(x.real), transform(x.imag))


def _with_length(x, n, axis):
    """x cut or padded with zeros to n elements along `axis`."""
    if n is None:
        return x
    n, size = operator.index(n), x.shape[axis]
    if n <= size:
        return x[tuple(slice(n if a == axis else None) for a in range(x.ndim))]
    return jnp.pad(x, [(0, n - size if a == axis else 0) for a in range(x.ndim)])


def _along(values, x, axis):
    """NumPy's values [n] along one axis, in the dtype of x (complex values: of the complex one)."""
    shape = [1] * x.ndim
    shape[axis] = -1
    dtype = np.result_type(x.dtype, np.complex64) if values.dtype.kind == "c" else x.dtype
    return jnp.asarray(values.reshape(shape).astype(dtype))


def _scale(n):
    """What the orthonormal transform divides by."""
    return np.sqrt(np.where(np.arange(n) == 0, 4.0, 2.0) * n)


def _turns(n):
    return np.exp(-0.5j * np.pi * np.arange(n) / max(n, 1))


def dct(x, type=2, n=None, axis=-1, norm=None):
    """2 sum of x[j] cos(pi k (2 j + 1) / (2 n)) along `axis`; norm "ortho": orthonormal. Makhoul (1980): by one FFT of length n."""
    x = _checked("dct", x, type, norm)
    if is_complex(x.dtype):
        return _by_parts(lambda part: dct(part, type, n, axis, norm), x)
    axis = axis_index(axis, x.ndim)
    x = jnp.moveaxis(_with_length(x, n, axis), axis, -1)
    n = x.shape[-1]
    v = jnp.concatenate([x[..., ::2], x[..., 1::2][..., ::-1]], axis=-1)
    spectrum = jnp.fft.fft(v)
    found = 2 * (spectrum * _along(_turns(n), spectrum.real, -1)).real
    if norm == "ortho":
        found = found / _along(_scale(n), found, -1)
    return jnp.moveaxis(found, -1, axis)


def idct(x, type=2, n=None, axis=-1, norm=None):
    """The inverse of dct."""
    x = _checked("idct", x, type, norm)
    if is_complex(x.dtype):
        return _by_parts(lambda part: idct(part, type, n, axis, norm), x)
    axis = axis_index(axis, x.ndim)
    (x,) = inexact("idct", _with_length(x, n, axis))
    x = jnp.moveaxis(x, axis, -1)
    n = x.shape[-1]
    scale = _scale(n)
    factors = (1 / scale if norm == "ortho" else 1 / scale**2) / _turns(n) * (2 * n)
    v = jnp.fft.ifft(x * _along(factors, x, -1)).real
    half = math.ceil(n / 2)
    even, odd = v[..., :half], v[..., half:][..., ::-1]
    if n % 2:
        odd = jnp.concatenate([odd, jnp.zeros((*odd.shape[:-1], 1), odd.dtype)], axis=-1)
    found = jnp.stack([even, odd], axis=-1).reshape(*v.shape[:-1], 2 * half)[..., :n]
    return jnp.moveaxis(found, -1, axis)


def _sizes(x, s, axes):
    """(axis, its length or None) for each axis of a transform over several."""
    if s is not None:
        s = [operator.index(s)] if np.ndim(s) == 0 else list(s)
        if len(s) > x.ndim:
            raise ValueError(f"s must have at most x.ndim ({x.ndim}) elements, got {len(s)}")
    if axes is None:
        axes = tuple(range(x.ndim - (x.ndim if s is None else len(s)), x.ndim))
    else:
        axes = distinct_axes(axes, x.ndim, "jax.scipy.fft")
    return list(itertools.zip_longest(axes, (s or [])[: len(axes)]))


def dctn(x, type=2, s=None, axes=None, norm=None):
    """dct over several axes, by default over all; s: their lengths."""
    x = _checked("dctn", x, type, norm)
    for axis, n in _sizes(x, s, axes):
        x = dct(x, type, n, axis, norm)
    return x


def idctn(x, type=2, s=None, axes=None, norm=None):
    """The inverse of dctn."""
    x = _checked("idctn", x, type, norm)
    for axis, n in _sizes(x, s, axes):
        x = idct(x, type, n, axis, norm)
    return x


__all__ = ["dct", "dctn", "idct", "idctn"]
