"""Spectra of signals: short-time Fourier transforms, Welch's estimates of densities, and the way back."""

import functools
import operator
import warnings

import numpy as np

from ....core.dtype import complex_of, is_complex, real_of
from ....primitives import elementwise as e
from ... import numpy as jnp
from ...convert import as_array
from ...numpy.arguments import axis_index
from ...numpy.promotion import inexact
from .trends import detrend as without_trend


def _named_window(window, n):
    """A window of SciPy's, as NumPy's floats."""
    if window == "hann":
        return np.ones(1) if n == 1 else np.sin(np.pi * np.arange(n) / n) ** 2
    try:
        from scipy.signal import get_window
    except ImportError as error:
        raise ImportError(f"scipy must be available to use window={window!r}") from error
    return get_window(window, n)


def _window(window, nperseg, length, dtype):
    """(the window, the length of a segment) for a signal of this length."""
    if isinstance(window, (str, tuple)):
        n = length if nperseg is None else int(nperseg)
        if n > length:
            warnings.warn(f"nperseg={n} is greater than input_length={length!r}, using nperseg={length}", stacklevel=4)
            n = length
        return jnp.asarray(_named_window(window, n)).astype(dtype), n
    window = jnp.asarray(window, dtype=dtype)
    if window.ndim != 1:
        raise ValueError("window must be 1-D")
    if length < window.size:
        raise ValueError("window is longer than input signal")
    if nperseg is not None and int(nperseg) != window.size:
        raise ValueError("value specified for nperseg is different from length of window")
    return window, window.size


def _segments(x, n, step):
    """[.., count, n]: parts of the last axis, each `step` further."""
    starts = np.arange(0, x.shape[-1] - n + 1, step)
    return x[..., starts[:, None] + np.arange(n)]


# ---- what is beyond the ends -----------------------------------------------------------------------------


def _odd(x, n):
    """x [.., m] continued by n elements on both sides, turned about its end points."""
    if n < 1:
        return x
    if n > x.shape[-1] - 1:
        raise ValueError(f"The extension length n ({n}) is too big. It must not exceed {x.shape[-1] - 1}.")
    left, right = 2 * x[..., :1] - x[..., n:0:-1], 2 * x[..., -1:] - x[..., -2 : -(n + 2) : -1]
    return jnp.concatenate([left, x, right], axis=-1)


def _padding(mode):
    return lambda x, n: jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(n, n)], mode)


_BOUNDARIES = {
    "even": _padding("reflect"), "odd": _odd, "constant": _padding("edge"), "zeros": _padding("constant"),
    None: lambda x, n: x,
}  # fmt: skip


# ---- forward ---------------------------------------------------------------------------------------------


def _length(value, default, name):
    return default if value is None else operator.index(value)


def _spectra(
    x, y, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis, mode, boundary, padded
):
    """(frequencies, times, spectra) of segments: mode "stft" their transforms, "psd" products conj(X) Y or |X|^2."""
    if boundary not in _BOUNDARIES:
        raise ValueError(f"Unknown boundary option '{boundary}', must be one of: {list(_BOUNDARIES)}")
    if nperseg is not None and int(nperseg) < 1:
        raise ValueError("nperseg must be a positive integer")
    arrays = inexact("spectra", as_array(x, "spectra")) if y is None else inexact("spectra", as_array(x), as_array(y))
    x = arrays[0]
    axis = axis_index(axis, x.ndim)
    if len({a.ndim for a in arrays}) > 1:
        raise ValueError("x and y must have the same number of axes.")
    outer = _outer_shape(arrays, axis)
    dtype = complex_of(real_of(x.dtype))
    win, n = _window(window, nperseg, x.shape[axis], x.dtype)
    overlap = _length(noverlap, n // 2, "noverlap")
    nfft = _length(nfft, n, "nfft")
    if any(a.size == 0 for a in arrays):
        size = min(a.shape[axis] for a in arrays)
        shape = (*outer[:axis], size, *outer[axis:])
        return jnp.zeros(shape, real_of(dtype)), jnp.zeros(shape, real_of(dtype)), jnp.zeros(shape, dtype)
    if nfft < n:
        raise ValueError("nfft must be greater than or equal to nperseg.")
    if overlap >= n:
        raise ValueError("noverlap must be less than nperseg.")
    step = n - overlap
    arrays = [jnp.moveaxis(a, axis, -1) for a in arrays]
    longest = max(a.shape[-1] for a in arrays)
    arrays = [_extended(a, longest - a.shape[-1]) for a in arrays]
    arrays = [_BOUNDARIES[boundary](a, n // 2) for a in arrays]
    if padded:
        arrays = [_extended(a, -(a.shape[-1] - n) % step % n) for a in arrays]
    length = arrays[0].shape[-1]
    onesided = return_onesided
    if onesided and any(is_complex(a.dtype) for a in arrays):
        warnings.warn("Input data is complex, switching to return_onesided=False", stacklevel=4)
        onesided = False
    transform = functools.partial(_transforms, win=win, n=n, step=step, nfft=nfft, onesided=onesided, trend=detrend)
    found = [transform(a) for a in arrays]
    if mode == "psd":
        found = [jnp.conj(found[0]) * found[-1]]
    found = found[0] * _scale(scaling, mode, win, fs)
    if onesided and mode == "psd":  # both halves, but for frequency 0 and, if nfft is even, the highest
        found = found.at[..., 1 : None if nfft % 2 else -1].multiply(2)
    frequencies = (jnp.fft.rfftfreq if onesided else jnp.fft.fftfreq)(nfft, 1 / fs, dtype=real_of(dtype))
    times = jnp.arange(n / 2, length - n / 2 + 1, step, dtype=real_of(dtype)) / fs
    if boundary is not None:
        times = times - n / 2 / fs
    found = e.convert_to(found, dtype)
    if y is None and mode == "psd":
        found = found.real
    return frequencies, times, jnp.moveaxis(found, -1, axis)


def _outer_shape(arrays, axis):
    try:
        return jnp.broadcast_shapes(*(a.shape[:axis] + a.shape[axis + 1 :] for a in arrays))
    except ValueError as error:
        raise ValueError("x and y cannot be broadcast together.") from error


def _extended(x, n):
    """x with n zeros more in its last axis."""
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, n)]) if n else x


def _scale(scaling, mode, win, fs):
    if scaling not in ("density", "spectrum"):
        raise ValueError(f"Unknown scaling: {scaling}")
    scale = 1.0 / (fs * (win * win).sum()) if scaling == "density" else 1.0 / win.sum() ** 2
    return jnp.sqrt(scale) if mode == "stft" else scale


def _transforms(x, win, n, step, nfft, onesided, trend):
    """[.., count, frequencies]: the transforms of the segments of x, without trend and windowed."""
    found = x[..., None] if n == 1 and step == 1 else _segments(x, n, step)
    if isinstance(trend, str):
        found = without_trend(found, type=trend, axis=-1)
    elif callable(trend):
        found = trend(found)
    elif trend:
        raise ValueError(f"Unsupported detrend type: {trend}")
    found = win * found
    return jnp.fft.rfft(found.real, n=nfft) if onesided else jnp.fft.fft(found, n=nfft)


def stft(
    x, fs=1.0, window="hann", nperseg=256, noverlap=None, nfft=None, detrend=False, return_onesided=True, boundary="zeros",
    padded=True, axis=-1,
):  # fmt: skip
    """(frequencies, times, transforms) of segments of a signal along `axis`; the segments come in a new last axis.

    boundary: how the signal is continued: "zeros", "even", "odd", "constant", None; padded: to whole segments.
    """
    return _spectra(
        x,
        None,
        fs,
        window,
        nperseg,
        noverlap,
        nfft,
        detrend,
        return_onesided,
        "spectrum",
        axis,
        "stft",
        boundary,
        padded,
    )


def csd(
    x, y, fs=1.0, window="hann", nperseg=None, noverlap=None, nfft=None, detrend="constant", return_onesided=True,
    scaling="density", axis=-1, average="mean",
):  # fmt: skip
    """(frequencies, cross spectral density of x and y) by Welch's method: the "mean" or "median" over segments."""
    frequencies, _, found = _spectra(
        x, y, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis, "psd", None, False
    )
    if y is not None:
        found = found + 0j
    if found.ndim < 2 or not found.size:
        return frequencies, found
    if found.shape[-1] == 1:
        return frequencies, found[..., 0]
    if average == "mean":
        return frequencies, found.mean(axis=-1)
    if average != "median":
        raise ValueError(f'average must be "median" or "mean", got {average}')
    even = np.arange(2.0, found.shape[-1], 2)
    bias = float(1 + np.sum(1.0 / (even + 1) - 1.0 / even))  # of the median of an exponential distribution
    median = functools.partial(jnp.median, axis=-1)
    middle = e.complex_(median(found.real), median(found.imag)) if is_complex(found.dtype) else median(found)
    return frequencies, middle / bias


def welch(
    x, fs=1.0, window="hann", nperseg=None, noverlap=None, nfft=None, detrend="constant", return_onesided=True,
    scaling="density", axis=-1, average="mean",
):  # fmt: skip
    """(frequencies, spectral density of x) by Welch's method; arguments as for csd."""
    frequencies, found = csd(
        x, None, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis, average
    )
    return frequencies, found.real


# ---- back ------------------------------------------------------------------------------------------------


def _overlap_add(x, step):
    """The sum [.., m] of segments [.., count, n], each `step` further."""
    count, n = x.shape[-2:]
    places = np.arange(count)[:, None] * step + np.arange(n)
    return jnp.zeros((*x.shape[:-2], step * (count - 1) + n), x.dtype).at[..., places].add(x)


def istft(
    Zxx, fs=1.0, window="hann", nperseg=None, noverlap=None, nfft=None, input_onesided=True, boundary=True, time_axis=-1,
    freq_axis=-2,
):  # fmt: skip
    """(times, signal) from what stft gives; boundary: the signal was continued on both sides."""
    Zxx = as_array(Zxx, "istft")
    if Zxx.ndim < 2:
        raise ValueError("Input stft must be at least 2d!")
    freq_axis, time_axis = axis_index(freq_axis, Zxx.ndim), axis_index(time_axis, Zxx.ndim)
    if freq_axis == time_axis:
        raise ValueError("Must specify differing time and frequency axes!")
    if not is_complex(Zxx.dtype):
        Zxx = e.convert_to(Zxx, complex_of(Zxx.dtype))
    default = 2 * (Zxx.shape[freq_axis] - 1) if input_onesided else Zxx.shape[freq_axis]
    n = int(nperseg or default)
    if n < 1:
        raise ValueError("nperseg must be a positive integer")
    length = default + (input_onesided and n == default + 1) if nfft is None else int(nfft)
    if length < n:
        raise ValueError(f"FFT length ({length}) must be longer than nperseg ({n}).")
    overlap = int(noverlap or n // 2)
    if overlap >= n:
        raise ValueError("noverlap must be less than nperseg.")
    x = jnp.moveaxis(Zxx, (time_axis, freq_axis), (-2, -1))
    x = (jnp.fft.irfft if input_onesided else jnp.fft.ifft)(x, n=nfft)[..., :n]
    if isinstance(window, (str, tuple)):
        win = jnp.asarray(_named_window(window, n)).astype(x.dtype)
    else:
        win = jnp.asarray(window)
        if win.ndim != 1:
            raise ValueError("window must be 1-D")
        if win.shape[0] != n:
            raise ValueError(f"window must have length of {n}")
    signal = _overlap_add(x * win.sum() * win, n - overlap)
    norm = _overlap_add(jnp.broadcast_to(win * win, x.shape[-2:]), n - overlap)
    if boundary:
        part = slice(n // 2, -(n // 2))
        signal, norm = signal[..., part], norm[part]
    signal = signal / jnp.where(jnp.abs(norm) > 1e-10, norm, 1.0)
    if signal.ndim > 1 and time_axis != Zxx.ndim - 1:
        signal = jnp.moveaxis(signal, -1, time_axis - (freq_axis < time_axis))
    return jnp.arange(signal.shape[0], dtype=real_of(signal.dtype)) / fs, signal


__all__ = ["csd", "istft", "stft", "welch"]
