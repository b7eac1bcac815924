"""Convolution and correlation of signals with any number of axes."""

from ....core.dtype import is_complex
from ... import lax
from ... import numpy as jnp
from ...convert import as_arrays
from ...lax.types import check_precision
from ...numpy.arguments import distinct_axes
from ...numpy.promotion import inexact

_MODES = ("full", "same", "valid")


def _check_mode(mode):
    if mode not in _MODES:
        raise ValueError("mode must be one of ['full', 'same', 'valid']")


def _order(a, b):
    """(whether a is at least as large as b along each axis, whether b is)"""
    pairs = list(zip(a.shape, b.shape))
    return all(m >= n for m, n in pairs), all(m <= n for m, n in pairs)


# ---- by the Fourier transform ----------------------------------------------------------------------------


def fftconvolve(in1, in2, mode="full", axes=None):
    """The convolution over `axes` (default: all) by the Fourier transform; the other axes have equal sizes. mode as for convolve."""
    in1, in2 = inexact("fftconvolve", *as_arrays("fftconvolve", in1, in2))
    if in1.ndim != in2.ndim:
        raise ValueError("in1 and in2 should have the same dimensionality")
    _check_mode(mode)
    axes = distinct_axes(axes, in1.ndim, "fftconvolve")
    others = [i for i in range(in1.ndim) if i not in axes]
    if any(in1.shape[i] != in2.shape[i] for i in others):
        raise ValueError(f"mapped axes must have same shape; got {in1.shape=} {in2.shape=} {axes=}")
    sizes = [(in1.shape[i], in2.shape[i]) for i in axes]
    if mode == "valid":
        forward, backward = all(m >= n for m, n in sizes), all(m <= n for m, n in sizes)
        if not (forward or backward):
            raise ValueError("For 'valid' mode, One input must be at least as large as the other in every dimension.")
        if backward:
            in1, in2, sizes = in2, in1, [(n, m) for m, n in sizes]
    full = [m + n - 1 for m, n in sizes]
    if all(1 in pair for pair in sizes):
        found = in1 * in2
    else:
        fft, ifft = (jnp.fft.fftn, jnp.fft.ifftn) if is_complex(in1.dtype) else (jnp.fft.rfftn, jnp.fft.irfftn)
        found = ifft(fft(in1, full, axes) * fft(in2, full, axes), full, axes)
    wanted = {"full": full, "same": [m for m, _ in sizes], "valid": [m - n + 1 for m, n in sizes]}[mode]
    part = [slice(None)] * in1.ndim
    for axis, size, count in zip(axes, full, wanted):
        part[axis] = slice((size - count) // 2, (size - count) // 2 + count)
    return found[tuple(part)]


# ---- directly --------------------------------------------------------------------------------------------


def _direct(in1, in2, mode, precision):
    """The convolution, by a sum of products for each place."""
    _check_mode(mode)
    check_precision(precision)
    if in1.ndim != in2.ndim:
        raise ValueError("in1 and in2 must have the same number of dimensions")
    if in1.size == 0 or in2.size == 0:
        raise ValueError(f"zero-size arrays not supported in convolutions, got shapes {in1.shape} and {in2.shape}.")
    in1, in2 = inexact("convolve", in1, in2)
    forward, backward = _order(in1, in2)
    if not (forward or backward):
        raise ValueError("One input must be smaller than the other in every dimension.")
    second = in2.shape
    if backward:
        in1, in2 = in2, in1
    if mode == "same":  # the places of in1, whichever of the two is the larger
        pads = [(n - 1 - (own - 1) // 2, n - own + (own - 1) // 2) for n, own in zip(in2.shape, second)]
    else:
        pads = [(n - 1, n - 1) if mode == "full" else (0, 0) for n in in2.shape]
    kernel = jnp.flip(in2)
    return lax.conv_general_dilated(in1[None, None], kernel[None, None], (1,) * in1.ndim, pads)[0, 0]


def convolve(in1, in2, mode="full", method="auto", precision=None):
    """sum over k of in1[k] in2[i - k].

    mode: "full", "same" (the places of in1, from the middle), "valid" (where one lies within the other). method: "direct" or
    "auto", sums of products, or "fft".
    """
    if method == "fft":
        return fftconvolve(in1, in2, mode=mode)
    if method not in ("direct", "auto"):
        raise ValueError(f"Got method={method!r}; expected 'auto', 'fft', or 'direct'.")
    return _direct(*as_arrays("convolve", in1, in2), mode, precision)


def _check_planes(name, in1, in2, boundary, fillvalue):
    if boundary != "fill" or fillvalue != 0:
        raise NotImplementedError(f"{name}() only supports boundary='fill', fillvalue=0")
    in1, in2 = as_arrays(name, in1, in2)
    if in1.ndim != 2 or in2.ndim != 2:
        raise ValueError(f"{name}() only supports 2-dimensional inputs.")
    return in1, in2


def convolve2d(in1, in2, mode="full", boundary="fill", fillvalue=0, precision=None):
    """convolve of matrices; what is outside counts as 0."""
    return _direct(*_check_planes("convolve2d", in1, in2, boundary, fillvalue), mode, precision)


def correlate(in1, in2, mode="full", method="auto", precision=None):
    """sum over k of in1[i + k] conj(in2[k]): the convolution with the reversed conjugate of in2; arguments as for convolve."""
    return convolve(in1, jnp.flip(jnp.conj(in2)), mode, method, precision)


def correlate2d(in1, in2, mode="full", boundary="fill", fillvalue=0, precision=None):
    """correlate of matrices; with mode "same" the middle is that of the reversed sum, as in SciPy."""
    in1, in2 = _check_planes("correlate2d", in1, in2, boundary, fillvalue)
    swap = _order(in1, in2)[1]
    if mode == "valid" and in1.shape == in2.shape:
        swap = False
    if mode == "same" or not swap:
        return jnp.flip(_direct(jnp.flip(in1), jnp.conj(in2), mode, precision))
    found = _direct(jnp.flip(in2), jnp.conj(in1), mode, precision)
    return jnp.conj(found) if mode == "full" else found


__all__ = ["convolve", "convolve2d", "correlate", "correlate2d", "fftconvolve"]
