"""jax.lax: convolutions of all kinds, and their shapes; as in JAX."""

import jax
import ml_dtypes
import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from . import agreement
from .agreement import agree

RNG = np.random.default_rng(6)
f = lambda *shape: RNG.normal(size=shape).astype(np.float32)
EAGER = ("eager",)
MODES = agreement.MODES if FULL else ("eager", "grad")
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
LAST = ("NHWC", "HWIO", "NHWC")

X, W = f(2, 4, 5, 6), f(6, 4, 2, 3)
CONVOLUTIONS = [
    (X, W, (1, 1), "SAME", {}), (X, W, (2, 1), "VALID", {}), (X, W, (1, 2), "SAME_LOWER", {}), (X, W, (1, 1), ((1, 2), (-1, 0)), {}),
    (X, W, (1, 1), ((1, 2), (0, 3)), {"lhs_dilation": (2, 1), "rhs_dilation": (1, 2)}), (X, f(6, 2, 2, 2), (1, 1), "SAME", {"feature_group_count": 2}),
    (X, f(4, 4, 2, 2), (1, 1), "SAME", {"batch_group_count": 2}), (f(2, 5, 6, 4), f(2, 3, 4, 6), (1, 1), "SAME", {"dimension_numbers": LAST}),
    (f(6, 4, 2, 5), f(3, 4, 6, 2), (2, 1), "SAME", {"dimension_numbers": ("WCNH", "WIOH", "HNWC")}), (X, W, (1, 1), "valid", {"precision": "highest"}),
    (f(2, 3, 7), f(5, 3, 2), (2,), "SAME", {}), (f(2, 3, 3, 4, 5), f(2, 3, 2, 2, 2), (1, 1, 1), "SAME", {}), (f(2, 3), f(4, 3), (), (), {}),
]  # fmt: skip
DTYPES = [
    (X.astype(np.int8), W.astype(np.int8), {}), (X.astype(np.int8), W.astype(np.int8), {"preferred_element_type": np.int32}),
    (X.astype(ml_dtypes.bfloat16), W.astype(ml_dtypes.bfloat16), {"preferred_element_type": np.float32}), (X > 0, W > 0, {}),
    ((X + 1j).astype(np.complex64), (W + 1j).astype(np.complex64), {}), (X, W.astype(np.int32), {}), (X, W.astype(np.float16), {}),
]  # fmt: skip
BAD = [
    (X, W[:, :3], (1, 1), "SAME", {}), (X, W, (1,), "SAME", {}), (X, W, (1, 1), "what", {}), (X, W[0], (1, 1), "SAME", {}),
    (X, W, (1, 1), ((1, 1),), {}), (X, W, (1, 1), "SAME", {"lhs_dilation": (2, 2)}),
    (X, W, (1, 1), "SAME", {"feature_group_count": 3}), (X, W, (1, 1), "SAME", {"dimension_numbers": ("NCHW", "OIHW")}),
    (X, W, (1, 1), "SAME", {"dimension_numbers": ("NCHW", "OIHX", "NCHW")}), (X, W, (1, 1), "SAME", {"precision": "what"}),
]  # fmt: skip


@pytest.mark.parametrize("x, w, strides, padding, kwargs", CONVOLUTIONS)
def test_convolutions(x, w, strides, padding, kwargs):
    agree("lax.conv_general_dilated", x, w, strides, padding, **kwargs, modes=MODES, **CLOSE)


@pytest.mark.parametrize("x, w, kwargs", DTYPES)
def test_dtypes(x, w, kwargs):
    close = CLOSE if x.dtype.name != "bfloat16" else {"rtol": 2e-2, "atol": 2e-2}
    agree("lax.conv_general_dilated", x, w, (1, 1), "SAME", **kwargs, modes=EAGER, **close)


@pytest.mark.parametrize("x, w, strides, padding, kwargs", BAD)
def test_what_does_not_fit(x, w, strides, padding, kwargs):
    agree("lax.conv_general_dilated", x, w, strides, padding, **kwargs, modes=EAGER)


def test_short_forms():
    agree("lax.conv", X, W, (1, 2), "SAME", precision="high", preferred_element_type=np.float32, modes=EAGER, **CLOSE)
    agree("lax.conv_with_general_padding", X, W, (1, 2), ((1, 1), (0, 2)), (2, 1), (1, 2), modes=EAGER, **CLOSE)


Y = f(2, 4, 5, 3)
TRANSPOSES = [
    (Y, f(3, 2, 3, 4), (2, 2), "SAME", {}), (Y, f(2, 3, 3, 4), (2, 3), "VALID", {}), (Y, f(3, 3, 4, 3), (2, 1), "SAME", {"transpose_kernel": True}),
    (Y, f(3, 3, 3, 4), (2, 2), ((1, 0), (1, 2)), {}), (Y, f(3, 3, 3, 4), (2, 2), ((1, 0), (1, 2)), {"use_consistent_padding": True}),
    (Y, f(3, 3, 3, 4), (2, 2), "SAME", {"rhs_dilation": (2, 1), "precision": "highest"}),
    (f(2, 3, 5, 4), f(3, 2, 2, 6), (1, 2), "VALID", {"dimension_numbers": ("NCHW", "IHWO", "NHWC"), "preferred_element_type": np.float32}),
    (f(2, 5, 3), f(3, 3, 4), (2,), "SAME", {}), (Y, f(3, 2, 3, 4), (2, 2), "what", {}),
]  # fmt: skip


@pytest.mark.parametrize("x, w, strides, padding, kwargs", TRANSPOSES)
def test_transposes(x, w, strides, padding, kwargs):
    agree("lax.conv_transpose", x, w, strides, padding, **kwargs, modes=MODES, **CLOSE)


def test_patches():
    path = "lax.conv_general_dilated_patches"
    agree(path, X, (2, 3), (1, 2), "SAME", modes=MODES, **CLOSE)
    agree(path, Y, (2, 3), (1, 2), "VALID", dimension_numbers=LAST, precision=None, modes=EAGER, **CLOSE)
    agree(path, X, (2, 2), (1, 1), ((1, 0), (0, 2)), lhs_dilation=(1, 2), rhs_dilation=(2, 1), modes=EAGER, **CLOSE)
    agree(
        path,
        X,
        (2, 2),
        (1, 1),
        "SAME",
        preferred_element_type=np.float32,
        dimension_numbers=("NCHW", "OIWH", "NWHC"),
        modes=EAGER,
    )
    agree(path, X, (2, 2), (1, 1), "SAME", lhs_dilation=(1, 2), modes=EAGER)


def test_local():
    agree("lax.conv_general_dilated_local", f(2, 3, 5), f(4, 6, 4), (1,), "VALID", (2,), modes=MODES, **CLOSE)
    agree(
        "lax.conv_general_dilated_local", f(2, 4, 5, 3), f(3, 2, 18, 4), (1, 2), "VALID", (2, 3), lhs_dilation=None,
        rhs_dilation=(1, 1), dimension_numbers=LAST, precision=None, modes=EAGER, **CLOSE,
    )  # fmt: skip


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((1, 0), (2, 2))])
def test_shapes(padding):
    x, w = (2, 5, 6, 3), (2, 3, 3, 4)
    for name, args, kwargs in (
        ("conv_general_shape_tuple", (x, w, (1, 2), padding, LAST), {}),
        ("conv_transpose_shape_tuple", (x, w, (1, 2), padding, LAST), {}),
        ("conv_shape_tuple", ((4, 3, 5, 6), (8, 3, 2, 3), (1, 2), padding), {"batch_group_count": 2}),
        ("conv_dimension_numbers", (x, w, LAST), {}),
        ("conv_dimension_numbers", (x, w, None), {}),
        ("conv_general_permutations", (LAST,), {}),
    ):
        assert getattr(pj.lax, name)(*args, **kwargs) == getattr(jax.lax, name)(*args, **kwargs)
