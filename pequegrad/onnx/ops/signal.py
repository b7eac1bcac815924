"""Fourier transforms of signals; complex numbers are pairs on the last axis."""

import math

import numpy as np

import pequegrad as pg

from ...core.errors import ArgumentError, ShapeError
from ..registry import op
from ..values import dtype_of


def _scalar(v):
    return None if v is None or not np.size(v) else int(np.ravel(v)[0])


def _complex(x):
    """[..., 1 or 2] as numbers [...], complex if there are pairs."""
    if x.shape[-1] not in (1, 2):
        raise ShapeError(f"The last axis of {x._node.aval} is not that of real numbers (1) or complex ones (2).")
    return x[..., 0] if x.shape[-1] == 1 else pg.complex(x[..., 0], x[..., 1])


def _pairs(z, dtype):
    return pg.stack([pg.real(z), pg.imag(z)], -1).astype(dtype)


def _dft(x, length, axis, inverse, onesided):
    """The transform along an axis; onesided: what follows by conjugation is left out, or if inverse was left out."""
    if axis % x.ndim == x.ndim - 1:
        raise ArgumentError("DFT: the last axis holds the parts of complex numbers.", fix="transform another axis.")
    axis = axis % x.ndim
    z = _complex(x.astype("float32") if x.dtype.itemsize == 2 else x)
    if inverse and onesided:
        return pg.expand_dims(pg.fft.irfft(z, length, axis), -1).astype(x.dtype)
    if inverse:
        return _pairs(pg.fft.ifft(z, length, axis), x.dtype)
    part = lambda z, *ends: z[(slice(None),) * axis + (slice(*ends),)]
    if z.dtype.kind == "c":
        found = pg.fft.fft(z, length, axis)
        return _pairs(part(found, found.shape[axis] // 2 + 1) if onesided else found, x.dtype)
    length = x.shape[axis] if length is None else length
    found = pg.fft.rfft(z, length, axis)
    if not onesided:
        rest = part(found, 1, length - found.shape[axis] + 1)
        found = pg.concatenate([found, pg.conj(pg.flip(rest, axis))], axis)
    return _pairs(found, x.dtype)


@op("DFT", since=17, known=("dft_length",))
def dft_17(x, dft_length=None, *, axis=1, inverse=0, onesided=0):
    return _dft(x, _scalar(dft_length), axis, inverse, onesided)


@op("DFT", since=20, known=("dft_length", "axis"))
def dft(x, dft_length=None, axis=None, *, inverse=0, onesided=0):
    return _dft(x, _scalar(dft_length), -2 if axis is None else _scalar(axis), inverse, onesided)


@op("STFT", since=17, known=("frame_step", "frame_length"))
def stft(signal, frame_step, window=None, frame_length=None, *, onesided=1):
    """Transforms of frames [N, frames, frequencies, 2] of a signal [N, time, 1 or 2], times a window. torch writes signals [N, time], too."""
    signal = pg.expand_dims(signal, -1) if signal.ndim == 2 else signal
    step, length = _scalar(frame_step), _scalar(frame_length)
    if length is None:
        length = signal.shape[1] if window is None else window.shape[0]
    if step < 1 or length > signal.shape[1]:
        raise ShapeError(f"STFT: frames of {length}, {step} apart, do not fit {signal._node.aval}.")
    count = 1 + (signal.shape[1] - length) // step
    index = np.arange(count)[:, None] * step + np.arange(length)
    frames = pg.take(signal, pg.as_tensor(index.astype(np.int32), signal.device), axis=1)
    if window is not None:
        frames = frames * pg.reshape(window, (-1, 1))
    return _dft(frames, length, 2, False, onesided)


@op(
    "MelWeightMatrix",
    since=17,
    known=("num_mel_bins", "dft_length", "sample_rate", "lower_edge_hertz", "upper_edge_hertz"),
)
def mel_weight_matrix(
    num_mel_bins, dft_length, sample_rate, lower_edge_hertz, upper_edge_hertz, *, output_datatype=1
):  # fmt: skip
    """[frequencies, bins]: triangles whose corners are evenly spaced in mels."""
    bins, length, rate = _scalar(num_mel_bins), _scalar(dft_length), _scalar(sample_rate)
    low, high = (2595 * math.log10(1 + float(np.ravel(v)[0]) / 700) for v in (lower_edge_hertz, upper_edge_hertz))
    mels = [low + i * (high - low) / (bins + 2) for i in range(bins + 2)]
    corners = [int((length + 1) * (700 * (10 ** (m / 2595) - 1)) // rate) for m in mels]
    place = pg.reshape(pg.arange(0, length // 2 + 1, dtype="int32"), (-1, 1))
    left, centre, right = (pg.as_tensor(np.array(corners[i : i + bins], np.int32)) for i in range(3))
    up, down = centre - left, right - centre
    rising = pg.where(up == 0, 1.0, (place - left) / pg.where(up == 0, 1, up))
    falling = (right - place) / pg.where(down == 0, 1, down)
    weights = pg.where(pg.logical_and(place >= centre, place < right), falling, 0.0)
    weights = pg.where(pg.logical_and(place >= left, place <= centre), pg.where(place == centre, 1.0, rising), weights)
    return weights.astype(dtype_of(output_datatype))
