"""jax.scipy.signal and jax.scipy.fft against JAX: each keyword at values other than its default."""

import numpy as np
import pytest
from conftest import FULL

from .agreement import agree
from .together import agree_together

RNG = np.random.default_rng(3)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


X, Y, SHORT = normal(9), normal(9), normal(4)
A, B = normal(4, 5), normal(3, 2)
Z = (normal(9) + 1j * normal(9)).astype(np.complex64)
Z2 = (normal(4, 5) + 1j * normal(4, 5)).astype(np.complex64)
WAVE, OTHER = normal(2, 40), normal(2, 40)
MODES = ("full", "same", "valid")
WINDOW = np.hamming(8).astype(np.float32)

CONVOLUTIONS = [
    *[("convolve", (x, y), {"mode": mode, "method": method}) for mode in MODES for x, y in ((X, SHORT), (SHORT, X), (A, B))
      for method in ("auto", "direct", "fft")],
    ("convolve", (X, SHORT), {"precision": "highest"}), ("convolve", (Z, X[:3]), {}), ("convolve", (np.arange(5), np.arange(3)), {}),
    *[("fftconvolve", (X, SHORT), {"mode": mode}) for mode in MODES], ("fftconvolve", (A, A[:, :3]), {"axes": 1}),
    ("fftconvolve", (A, A[:, :3]), {"axes": [-1], "mode": "same"}), ("fftconvolve", (Z2, B), {}), ("fftconvolve", (X[:1], SHORT), {}),
    *[("convolve2d", (A, B), {"mode": mode}) for mode in MODES],
    *[(name, (x, y), {"mode": mode}) for mode in MODES for name, x, y in
      (("correlate", X, SHORT), ("correlate", SHORT, X), ("correlate2d", A, B), ("correlate2d", B, A), ("correlate2d", A, A[::-1].copy()))],
    ("correlate", (X, SHORT), {"method": "fft"}), ("correlate", (Z, Z[:3]), {}), ("correlate2d", (Z2, Z2[:2, :3]), {"mode": "same"}),
    ("correlate2d", (Z2[:2, :3], Z2), {}), ("convolve", (X.astype(np.float16), SHORT.astype(np.float16)), {}),
]  # fmt: skip
TRENDS = [
    ("detrend", (A,), {}), ("detrend", (A,), {"type": "constant"}), ("detrend", (A,), {"axis": 0}), ("detrend", (X,), {"bp": [3, 6]}),
    ("detrend", (np.arange(6),), {}), ("detrend", (Z,), {}), ("detrend", (X[:1],), {}),
]  # fmt: skip
S = {"nperseg": 8}
SPECTRA = [
    *[("stft", (WAVE,), k) for k in (
        S, {"fs": 3.0, "nperseg": 10, "noverlap": 7}, {"window": "boxcar", "nperseg": 8}, {"window": ("kaiser", 2.0), "nperseg": 7},
        {"nfft": 16, **S}, {"detrend": "constant", **S}, {"detrend": "linear", **S}, {"return_onesided": False, **S},
        *({"boundary": b, **S} for b in ("even", "odd", "constant", None)), {"padded": False, "nperseg": 7}, {"axis": 0, "nperseg": 2},
    )],
    ("stft", (Z,), {"nperseg": 4, "return_onesided": False}), ("stft", (X,), {"nperseg": 1}),
    ("stft", (WAVE,), {"window": WINDOW, "nperseg": None}), ("stft", (np.arange(20),), S),
    *[("welch", (WAVE,), k) for k in (
        S, {"fs": 2.0, "window": "hamming", **S}, {"noverlap": 2, "nfft": 9, **S}, {"detrend": False, **S}, {"detrend": "linear", **S},
        {"return_onesided": False, **S}, {"scaling": "spectrum", **S}, {"axis": 0}, {"average": "median", **S}, {},
    )],
    *[("csd", (WAVE, OTHER), k) for k in (
        S, {"fs": 2.0, "scaling": "spectrum", "noverlap": 5, **S}, {"average": "median", **S}, {"detrend": False, "nfft": 12, **S},
        {"return_onesided": False, "window": "boxcar", **S}, {"axis": 0, "nperseg": 2},
    )],
    ("csd", (X, Y[:6]), {"nperseg": 4}), ("csd", (Z, X), {"nperseg": 4, "return_onesided": False}),
]  # fmt: skip
SEGMENTS = (normal(2, 5, 6) + 1j * normal(2, 5, 6)).astype(np.complex64)
BACK = [
    ("istft", (SEGMENTS,), k) for k in (
        {}, {"fs": 2.0}, {"window": "boxcar"}, {"nperseg": 8, "noverlap": 6}, {"nfft": 9, "nperseg": 8}, {"input_onesided": False},
        {"boundary": False}, {"time_axis": 0, "freq_axis": 1}, {"time_axis": 1, "freq_axis": 2}, {"window": np.hamming(8)},
    )
]  # fmt: skip
COSINES = [
    (name, (x,), k) for name in ("dct", "idct") for x, k in (
        (A, {}), (A, {"norm": "ortho"}), (A, {"axis": 0}), (A, {"n": 3}), (A, {"n": 8, "norm": "ortho"}), (X, {"norm": "backward"}),
        (np.arange(6), {}), (Z, {}), (X[:1], {}), (X.astype(np.float16), {}),
    )
] + [
    (name, (x,), k) for name in ("dctn", "idctn") for x, k in (
        (A, {}), (A, {"norm": "ortho"}), (A, {"axes": (0,)}), (A, {"s": (3, 7)}), (A, {"s": 3, "axes": 1}), (A, {"s": [6], "axes": [0]}),
        (WAVE.reshape(2, 4, 10), {"axes": (2, 0)}), (Z2, {}),
    )
]  # fmt: skip
GROUPS = {
    "convolutions": ("signal", CONVOLUTIONS), "trends": ("signal", TRENDS), "spectra": ("signal", SPECTRA), "back": ("signal", BACK),
    "cosines": ("fft", COSINES),
}  # fmt: skip


def _apart(cases):
    """By default the first case of each function with each set of keywords, without the longest lists of variants."""
    return cases if FULL else cases[::3]


@pytest.mark.parametrize("group", GROUPS)
def test_values(group):
    module, cases = GROUPS[group]
    cases = [(f"scipy.{module}.{name}", args, kwargs) for name, args, kwargs in _apart(cases)]
    half = [c for c in cases if c[1][0].dtype == np.float16]
    agree_together(
        [c for c in cases if c[1][0].dtype != np.float16],
        rtol=1e-4,
        atol=3e-5,
        grad=FULL or group == "trends",
    )
    if half:  # rounded at other places
        agree_together(half, rtol=2e-2, atol=2e-2, grad=False)


@pytest.mark.parametrize(
    "name, args, kwargs",
    [
        ("signal.convolve", (X, SHORT), {"mode": "other"}),
        ("signal.convolve", (X, SHORT), {"method": "other"}),
        ("signal.convolve", (X, A), {}),
        ("signal.convolve", (X[:0], X), {}),
        ("signal.convolve", (A[:2], B.T.copy()), {"mode": "valid"}),
        ("signal.fftconvolve", (X, A), {}),
        ("signal.fftconvolve", (A, B), {"axes": 0}),
        ("signal.fftconvolve", (A[:2], B), {"mode": "valid"}),
        ("signal.fftconvolve", (X, SHORT), {"mode": "other"}),
        ("signal.convolve2d", (A, B), {"boundary": "wrap"}),
        ("signal.convolve2d", (A, B), {"fillvalue": 1}),
        ("signal.convolve2d", (X, SHORT), {}),
        ("signal.correlate2d", (A, B), {"boundary": "symm"}),
        ("signal.correlate", (X, SHORT), {"mode": "other"}),
        ("signal.detrend", (X,), {"type": "other"}),
        ("signal.detrend", (X,), {"bp": [40]}),
        ("signal.detrend", (X,), {"overwrite_data": True}),
        ("signal.detrend", (X,), {"axis": 3}),
        ("signal.stft", (X,), {"boundary": "other"}),
        ("signal.stft", (X,), {"nperseg": 0}),
        ("signal.stft", (X,), {"nperseg": 4, "nfft": 3}),
        ("signal.stft", (X,), {"nperseg": 4, "noverlap": 4}),
        ("signal.stft", (X,), {"window": normal(2, 2)}),
        ("signal.stft", (X,), {"window": normal(20)}),
        ("signal.stft", (X,), {"window": WINDOW, "nperseg": 7}),
        ("signal.stft", (X,), {"nperseg": 4, "detrend": 3}),
        ("signal.stft", (X,), {"nperseg": 4, "axis": 2}),
        ("signal.stft", (X,), {"nperseg": 4, "boundary": "odd", "window": "nonsense"}),
        ("signal.welch", (X,), {"nperseg": 4, "scaling": "other"}),
        ("signal.csd", (X, Y), {"nperseg": 4, "average": "other"}),
        ("signal.csd", (X, A), {"nperseg": 4}),
        ("signal.csd", (X[:0], Y), {}),
        ("signal.csd", (WAVE, OTHER.reshape(4, 20)), {"nperseg": 4}),
        ("signal.istft", (Z,), {}),
        ("signal.istft", (SEGMENTS,), {"time_axis": 1, "freq_axis": -2}),
        ("signal.istft", (SEGMENTS,), {"nperseg": 8, "nfft": 4}),
        ("signal.istft", (SEGMENTS,), {"nperseg": 8, "noverlap": 8}),
        ("signal.istft", (SEGMENTS,), {"window": normal(2, 2)}),
        ("signal.istft", (SEGMENTS,), {"window": normal(5)}),
        ("fft.dct", (X,), {"type": 3}),
        ("fft.dct", (X,), {"norm": "forward"}),
        ("fft.dct", (X,), {"axis": 1}),
        ("fft.dct", ([1.0],), {}),
        ("fft.idct", (X,), {"type": 1}),
        ("fft.dctn", (A,), {"s": (1, 2, 3)}),
        ("fft.dctn", (A,), {"axes": (2,)}),
        ("fft.dctn", (A,), {"axes": (0, 0)}),
        ("fft.idctn", (A,), {"norm": "other"}),
        ("fft.idctn", (A,), {"s": (3,), "axes": (0, 1)}),
    ],
)
def test_bad_input(name, args, kwargs):
    agree(f"scipy.{name}", *args, modes=("eager",), rtol=1e-4, atol=1e-5, **kwargs)


def test_a_window_that_is_longer_than_the_signal_is_cut_with_a_warning():
    import jax

    import pequegrad.jax_api as pj

    for root in (pj, jax):
        with pytest.warns(UserWarning, match="nperseg"):
            root.scipy.signal.stft(X, nperseg=12)
        with pytest.warns(UserWarning, match="onesided"):
            root.scipy.signal.stft(Z, nperseg=4)
