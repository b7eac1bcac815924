"""jax.lax: reductions over axes, cumulative ones and over windows, products of arrays; as in JAX."""

import jax
import ml_dtypes
import numpy as np
import pytest
from conftest import FULL

from . import agreement
from .agreement import agree

RNG = np.random.default_rng(5)
F = np.arange(5, dtype=np.float32) - 1.5
M = RNG.normal(size=(3, 4)).astype(np.float32)
T = RNG.normal(size=(2, 3, 4)).astype(np.float32)
I = np.array([[3, -7, 3, 1], [0, 12, -2, 5]], np.int32)  # noqa: E741
B = I > 1
Z = (M + 1j * M[::-1]).astype(np.complex64)
E = np.zeros((0, 3), np.float32)
EAGER = ("eager",)
MODES = agreement.MODES if FULL else ("eager", "grad")

AXES = ["reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "reduce_and", "reduce_or", "reduce_xor"]


@pytest.mark.parametrize("name", AXES)
def test_over_axes(name):
    path = f"lax.{name}"
    logical = name[7:] in ("and", "or", "xor")
    agree(path, T if not logical else I, (1,), modes=MODES)
    agree(path, T if not logical else I, (0, 1), modes=MODES)
    for x in (I, B, I.astype(np.int8), Z, M.astype(ml_dtypes.bfloat16)):
        agree(path, x, (0,), modes=EAGER)
    for axes in ((-1,), (0, 0), (7,), 0, ()):
        if not (logical and axes == (7,)):  # JAX: an IndexError of its own
            agree(path, I, axes, modes=EAGER)
    agree(path, E if not logical else E > 0, (0,), modes=EAGER)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions(name):
    nan = np.where(M > 1, np.nan, M).astype(np.float32)
    for x, axis, dtype in ((M, 1, np.int32), (nan, 0, np.int8), (B, 1, np.uint16), (M, -1, np.int32), (M, 5, np.int32),
                           (M, 0, np.float32), (Z, 0, np.int32), (E, 0, np.int32)):  # fmt: skip
        agree(f"lax.{name}", x, axis, dtype, modes=EAGER)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"])
def test_cumulative(name):
    agree(f"lax.{name}", M, modes=MODES, rtol=1e-5)
    agree(f"lax.{name}", M, axis=1, reverse=True, modes=MODES, rtol=1e-5)
    for x in (I.astype(np.int8), B, Z):
        if not (
            name == "cumlogsumexp" and x.dtype.kind in "ic"
        ):  # JAX: an OverflowError; of complex numbers we have none
            agree(f"lax.{name}", x, modes=EAGER, rtol=1e-5)
    agree(f"lax.{name}", M, -1, modes=EAGER)
    agree(f"lax.{name}", M, 2, modes=EAGER)


REDUCE = {
    "sum": lambda jax: jax.lax.add, "max": lambda jax: jax.lax.max, "product": lambda jax: jax.lax.mul,
    "min": lambda jax: lambda a, b: jax.lax.min(a, b), "difference": lambda jax: lambda a, b: a + b - a * b,
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCE)
@pytest.mark.parametrize("start", [0.0, 1.0, 0, -np.inf])
def test_reduce(name, start):
    if name == "difference" and start == -np.inf:  # inf - inf, in an order that is not defined
        return
    modes = MODES if start == 0.0 and type(start) is float and name in ("sum", "difference") else EAGER
    agree(lambda jax, x: jax.lax.reduce(x, start, REDUCE[name](jax), (1,)), M * 0.5, modes=modes, rtol=1e-5)
    agree(lambda jax, x: jax.lax.reduce(x, start, REDUCE[name](jax), (0, 1)), M * 0.5, modes=EAGER, rtol=1e-5)


def test_reduce_of_bits():
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        for x in (I, B):
            zero = x.dtype.type(0)
            agree(lambda jax, x: jax.lax.reduce(x, zero, getattr(jax.lax, name), (0,)), x, modes=EAGER)


def test_reduce_several():
    def best(jax, x, i):
        def larger(a, b):
            keep = a[0] >= b[0]
            return jax.lax.select(keep, a[0], b[0]), jax.lax.select(keep, a[1], b[1])

        return jax.lax.reduce((x, i), (np.float32(-np.inf), np.int32(-1)), larger, (1,))

    agree(best, M, np.broadcast_to(np.arange(4, dtype=np.int32), M.shape).copy(), modes=("eager", "jit"))
    agree(lambda jax, x: jax.lax.reduce(x, (0.0, 1.0), jax.lax.add, (0,)), M, modes=EAGER)
    agree(lambda jax, x: jax.lax.reduce(x, 1, jax.lax.bitwise_or, (0,)), M, modes=EAGER)


# ---- windows -----------------------------------------------------------------------------------------------------

WINDOWS = [
    {"window_dimensions": (2, 2)}, {"window_dimensions": (2, 3), "window_strides": (1, 2), "padding": "SAME"},
    {"window_dimensions": (2, 1), "padding": ((1, 1), (0, 2)), "window_strides": (2, 1)},
    {"window_dimensions": (2, 2), "padding": "SAME_LOWER", "window_strides": (1, 1), "window_dilation": (1, 2)},
    {"window_dimensions": (2, 2), "padding": ((1, 0), (0, 1)), "base_dilation": (2, 1)},
]  # fmt: skip
BAD_WINDOWS = [{"window_dimensions": (2,)}, {"window_dimensions": (2, 2), "window_strides": (1,)}, {"window_dimensions": (9, 2)},
               {"window_dimensions": (2, 2), "padding": "what"}]  # fmt: skip


@pytest.mark.parametrize("params", WINDOWS + BAD_WINDOWS, ids=str)
def test_windows(params):
    for name, start in (("add", 0.0), ("max", -np.inf), ("min", np.inf)):
        # JAX has no derivative of a maximum with dilations
        modes = MODES if name == "add" or "dilation" not in str(params) else EAGER
        agree(lambda jax, x: jax.lax.reduce_window(x, start, getattr(jax.lax, name), **params), M, modes=modes)
    agree(lambda jax, x: jax.lax.reduce_window(x, 1.0, jax.lax.mul, **params), M, modes=EAGER)
    agree(lambda jax, x: jax.lax.reduce_window(x, 0.5, jax.lax.add, **params), M, modes=EAGER)
    agree(lambda jax, x: jax.lax.reduce_window(x, 0.5, lambda a, b: a + b * b, **params), M, modes=EAGER)


def test_windows_of_other_dtypes():
    window = {"window_dimensions": (1, 2), "window_strides": (1, 1)}
    agree(lambda jax, x: jax.lax.reduce_window(x, 0, jax.lax.add, **window), I, modes=EAGER)
    agree(lambda jax, x: jax.lax.reduce_window(x, np.iinfo(np.int32).min, jax.lax.max, **window), I, modes=EAGER)
    agree(lambda jax, x: jax.lax.reduce_window(x, False, jax.lax.bitwise_or, **window), B, modes=EAGER)
    agree(lambda jax, x: jax.lax.reduce_window(x, True, jax.lax.bitwise_and, padding="SAME", **window), B, modes=EAGER)
    agree(lambda jax, x: jax.lax.reduce_window(x, np.complex64(0), jax.lax.add, **window), Z, modes=EAGER)
    start = np.array(0, ml_dtypes.bfloat16)
    agree(
        lambda jax, x: jax.lax.reduce_window(x, start, jax.lax.add, **window), M.astype(ml_dtypes.bfloat16), modes=EAGER
    )


def test_general_windows_have_derivatives():
    from jax import numpy as jnp

    import pequegrad.jax_api as pj

    # of a function that JAX does not know it has none; ours against that of the same sum
    own = pj.grad(lambda x: pj.lax.reduce_window(x, 0.0, lambda a, b: a + b * b, (2, 2), (1, 1), "SAME").sum())(M)
    theirs = jax.grad(lambda x: jax.lax.reduce_window(x * x, 0.0, jax.lax.add, (2, 2), (1, 1), "SAME").sum())(
        jnp.asarray(M)
    )
    np.testing.assert_allclose(own, theirs, rtol=1e-5)


def test_windows_of_several():
    def total(jax, x, y):
        both = lambda a, b: (a[0] + b[0], jax.lax.max(a[1], b[1]))
        return jax.lax.reduce_window((x, y), (0.0, -np.inf), both, (2,), padding=((1, 1),))

    agree(total, F, F[::-1].copy(), modes=("eager", "jit"))


@pytest.mark.parametrize("padding", ["SAME", "VALID", "same_lower", "what", 3])
def test_shapes_of_windows(padding):
    agree("lax.padtype_to_pads", (5, 6), (2, 3), (1, 2), padding)
    agree("lax.reduce_window_shape_tuple", (5, 6), (2, 3), (1, 2), ((1, 0), (2, 2)), (2, 1), (1, 2))


# ---- products ----------------------------------------------------------------------------------------------------

PLAIN = (((1,), (0,)), ((), ()))
W = RNG.normal(size=(4, 2)).astype(np.float32)
DOTS = [
    (M, W, PLAIN, {}), (T, RNG.normal(size=(2, 4, 3)).astype(np.float32), (((2, 1), (1, 2)), ((0,), (0,))), {}),
    (T, T, (((2,), (2,)), ((0,), (0,))), {}), (M, W, PLAIN, {"precision": "highest"}), (M, W, PLAIN, {"precision": ("high", "default")}),
    (M, W, PLAIN, {"precision": "what"}), (M.astype(ml_dtypes.bfloat16), W.astype(ml_dtypes.bfloat16), PLAIN, {"preferred_element_type": np.float32}),
    (M.astype(np.int8), W.astype(np.int8), PLAIN, {"preferred_element_type": np.int32}), (M, W, PLAIN, {"preferred_element_type": ml_dtypes.bfloat16}),
    (I, W.astype(np.int32), PLAIN, {"preferred_element_type": np.float32}), (I, W.astype(np.int32), PLAIN, {"preferred_element_type": np.int8}),
    (I, W, PLAIN, {}), (M.astype(ml_dtypes.bfloat16), W, PLAIN, {}), (M > 0, W > 0, PLAIN, {}), (Z, W, PLAIN, {}),
    (M, W, (((1,), (1,)), ((), ())), {}), (M, W, (((-1,), (0,)), ((), ())), {}), (M, W, (((1,), (0,)), ((1,), (0,))), {}), (M, W, ((1,), (0,)), {}),
]  # fmt: skip


@pytest.mark.parametrize("x, y, numbers, kwargs", DOTS)
def test_dot_general(x, y, numbers, kwargs):
    modes = MODES if x.dtype == y.dtype == np.float32 and kwargs.get("preferred_element_type") is None else EAGER
    agree(
        "lax.dot_general",
        x,
        y,
        numbers,
        **kwargs,
        modes=modes,
        rtol=2e-2 if "bfloat16" in str(kwargs) + str(x.dtype) else None,
    )


def test_dots():
    agree("lax.dot", M, W, modes=MODES)
    agree("lax.dot", M[0], M[1], precision="high", modes=EAGER)
    agree("lax.dot", M, M, modes=EAGER)
    agree("lax.dot", 1.0, M, modes=EAGER)
    agree("lax.dot", T, T, modes=EAGER)
    agree("lax.dot", M, M, dimension_numbers=(((1,), (1,)), ((), ())), preferred_element_type=np.float32, modes=EAGER)
    for x, y in ((T, T.swapaxes(1, 2).copy()), (M, W), (T, W), (M[0], M[0])):
        agree("lax.batch_matmul", x, y, modes=MODES if x is T else EAGER, precision=None)


SIZES = np.array([2, 0, 1], np.int32)
CUBE = RNG.normal(size=(3, 3, 3)).astype(np.float32)


def test_ragged_dots():
    modes = (
        ("eager", "grad") if not FULL else ("eager", "jit", "grad")
    )  # JAX's vmap has none of group sizes that differ
    agree("lax.ragged_dot", RNG.normal(size=(5, 3)).astype(np.float32), CUBE, SIZES, modes=modes)
    agree("lax.ragged_dot", CUBE[0], CUBE, SIZES, preferred_element_type=np.float32, precision="high", modes=EAGER)
    by_group = [((((0,), (0,)), ((), ())), [0], [], CUBE[0], CUBE[1]), ((((2,), (1,)), ((0,), (0,))), [0], [], CUBE, CUBE),
                ((((2,), (1,)), ((0,), (1,))), [1], [2], CUBE, RNG.normal(size=(3, 3, 3, 2)).astype(np.float32).swapaxes(0, 2))]  # fmt: skip
    for dots, ragged, group, x, y in by_group:
        program = lambda jax, x, y, n: jax.lax.ragged_dot_general(
            x, y, n, jax.lax.RaggedDotDimensionNumbers((dots[0], dots[1]), ragged, group)
        )
        agree(program, x, np.ascontiguousarray(y), SIZES, modes=EAGER)
