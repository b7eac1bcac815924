"""jax.ops and jax.image, as in JAX."""

import ml_dtypes
import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from . import agreement
from .agreement import agree

RNG = np.random.default_rng(8)
D = RNG.normal(size=(6, 3)).astype(np.float32)
IDS = np.array([0, 2, 2, 0, 3, 2], np.int32)
OUT = np.array([0, -1, 2, 9, 3, 2], np.int32)
EAGER = ("eager",)
MODES = agreement.MODES if FULL else ("eager", "grad")


@pytest.mark.parametrize("name", ["segment_sum", "segment_prod", "segment_max", "segment_min"])
def test_segments(name):
    path = f"ops.{name}"
    grad = name != "segment_prod"  # of products with repeated indices neither has a derivative
    agree(path, D, IDS, 5, modes=MODES if grad else EAGER, rtol=1e-5)
    agree(path, D[:3], np.array([1, 0, 3], np.int32), 4, unique_indices=True, modes=MODES)
    agree(path, D, IDS, modes=EAGER, rtol=1e-5)
    agree(path, D, OUT, num_segments=4, modes=EAGER, rtol=1e-5)
    agree(path, D, OUT, 4, mode="clip", modes=EAGER, rtol=1e-5)
    agree(path, D, np.sort(IDS), 4, indices_are_sorted=True, modes=EAGER, rtol=1e-5)
    for size in (1, 4, 100) if FULL else (4,):
        agree(path, D, IDS, 4, bucket_size=size, modes=EAGER, rtol=1e-5)
    for x in ((D * 9).astype(np.int8), (D * 9).astype(np.uint8), D > 0, D.astype(ml_dtypes.bfloat16)):
        agree(path, x, IDS, 4, modes=EAGER, rtol=3e-2)
    for x, ids, n in (
        (D, D[:, 0], 4),
        (D, IDS[:2], 4),
        (D, IDS, -1),
        (D, IDS, 0),
        (D[:0], IDS[:0], 3),
        (D[:0], IDS[:0], None),
    ):
        agree(path, x, ids, n, modes=EAGER)
    agree(path, [1.0, 2.0], [0, 1], 3, modes=EAGER)


IMAGE = RNG.normal(size=(5, 4)).astype(np.float32)
METHODS = [
    "nearest",
    "linear",
    "bilinear",
    "triangle",
    "cubic",
    "bicubic",
    "lanczos3",
    "lanczos5",
    "area",
    "cubic-pytorch",
]
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.mark.parametrize("method", METHODS)
def test_resize(method):
    agree(
        "image.resize",
        IMAGE,
        (3, 7),
        method,
        modes=MODES if FULL or method in ("linear", "nearest") else EAGER,
        **CLOSE,
    )
    agree("image.resize", IMAGE, (3, 7), method, antialias=False, precision="highest", modes=EAGER, **CLOSE)
    agree("image.resize", IMAGE[:1], (3, 4), method, False, modes=EAGER, **CLOSE)


def test_resize_of_other_kinds():
    agree("image.resize", (IMAGE * 9).astype(np.int32), (3, 7), "bilinear", modes=EAGER, **CLOSE)
    agree("image.resize", (IMAGE * 9).astype(np.int32), (3, 7), "nearest", modes=EAGER)
    agree("image.resize", IMAGE.astype(ml_dtypes.bfloat16), (3, 7), "cubic", modes=EAGER, rtol=2e-2, atol=2e-2)
    for shape, method in (((3, 7), "what"), ((3, 7, 1), "linear"), ((0, 7), "linear"), ((5, 4), "linear")):
        agree("image.resize", IMAGE, shape, method, modes=EAGER, **CLOSE)
    method = lambda jax, x: jax.image.resize(x, (3, 7), jax.image.ResizeMethod.LANCZOS3)
    agree(method, IMAGE, modes=EAGER, **CLOSE)
    assert pj.image.ResizeMethod.from_string("tricubic") is pj.image.ResizeMethod.CUBIC


@pytest.mark.parametrize("method", METHODS)
def test_scale_and_translate(method):
    scale, shift = np.array([0.7, 1.4], np.float32), np.array([0.3, -0.8], np.float32)
    program = lambda jax, x, s, t: jax.image.scale_and_translate(x, (4, 6), (0, -1), s, t, method)
    agree(program, IMAGE, scale, shift, modes=MODES if FULL or method == "cubic" else EAGER, rtol=1e-3, atol=1e-4)
    if method in ("nearest", "linear", "cubic-pytorch"):
        agree(
            "image.scale_and_translate",
            IMAGE,
            (4, 4),
            (0,),
            scale[:1],
            shift[:1],
            method,
            antialias=False,
            precision=None,
            modes=EAGER,
            **CLOSE,
        )
