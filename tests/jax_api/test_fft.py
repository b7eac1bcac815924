"""jax.numpy.fft: the same as JAX."""

import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from .agreement import agree, table

rng = np.random.default_rng(4)
V = rng.normal(size=6).astype(np.float32)
C = rng.normal(size=(2, 3, 5)).astype(np.float32)
X = (C + 1j * rng.normal(size=C.shape)).astype(np.complex64)
INTS = rng.integers(-5, 5, (3, 4)).astype(np.int32)

CASES = []
for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
    x = C if name in ("rfft", "ihfft") else X
    CASES += [
        (name, (x,)),
        (name, (x,), {"n": 4, "axis": 1}),
        (name, (x,), {"n": 7, "axis": 0, "norm": "ortho"}),
        (name, (x,), {"norm": "forward"}),
        (name, (x,), {"norm": "backward", "axis": -2}),
        (name, (V,)),
        (name, (INTS,)),
        (name, (x,), {"axis": 3}),
        (name, (x,), {"n": 0}),
        (name, (x,), {"norm": "no"}),
        (name, (x,), {"axis": (0, 1)}),
    ]
for name in ("fft", "ifft", "rfft", "irfft"):
    x = C if name == "rfft" else X
    CASES += [
        (f"{name}2", (x,)),
        (f"{name}2", (x,), {"s": (4, 3), "axes": (0, 2), "norm": "ortho"}),
        (f"{name}2", (x,), {"axes": (0,)}),
        (f"{name}n", (x,)),
        (f"{name}n", (x,), {"s": (4, 3)}),
        (f"{name}n", (x,), {"axes": (0, 2), "norm": "forward"}),
        (f"{name}n", (x,), {"s": (3, 4), "axes": (2, 0)}),
        (f"{name}n", (x,), {"axes": (0, 0)}),
        (f"{name}n", (x,), {"s": (3,), "axes": (2, 0)}),
        (f"{name}n", (x[None],), {"norm": "backward"}),
    ]
CASES += [
    ("rfft", (X,)),
    ("fft", (V.astype(np.float16),)),
    ("fftfreq", (5,)),
    ("fftfreq", (6,), {"d": 0.25}),
    ("fftfreq", (6,), {"dtype": np.float16}),
    ("fftfreq", ([6],)),
    ("fftfreq", (6, [1])),
    ("rfftfreq", (5,), {"d": 3}),
    ("rfftfreq", (6, np.float32(2) * np.ones((), np.float32))),
    ("rfftfreq", (6,), {"dtype": np.float16}),
    *[(name, (C,), {"axes": axes}) for name in ("fftshift", "ifftshift") for axes in (None, 1, (0, -1), 4)],
]


@table(CASES, FULL)
def test_agrees(name, args, kwargs, modes):
    # another order of the same sums: a few ulp of the largest number
    agree(f"numpy.fft.{name}", *args, modes=modes, rtol=1e-5, atol=1e-5, **kwargs)


@pytest.mark.parametrize("name", ["fft", "irfft", "rfftfreq", "fftfreq"])
def test_x64(name):
    argument = 4 if name.endswith("freq") else np.ones(4)
    with pj.config.temporarily("jax_enable_x64", True):
        assert getattr(pj.numpy.fft, name)(argument).dtype in (np.float64, np.complex128)
