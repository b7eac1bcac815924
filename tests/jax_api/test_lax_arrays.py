"""jax.lax: shapes, joining and cutting, dynamic slices, gather, scatter, sorting, Fourier transforms; as in JAX."""

import jax
import ml_dtypes
import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from . import agreement
from .agreement import agree

RNG = np.random.default_rng(4)
F = RNG.normal(size=3).astype(np.float32)
M = RNG.normal(size=(3, 4)).astype(np.float32)
T = RNG.normal(size=(2, 3, 4)).astype(np.float32)
I = np.array([2, 0, 1], np.int32)  # noqa: E741
Z = (M + 1j * M[::-1]).astype(np.complex64)
E = np.zeros((0, 3), np.float32)
EAGER = ("eager",)
MODES = agreement.MODES if FULL else ("eager", "grad")
NO_GRAD = ("eager", "jit", "vmap") if FULL else EAGER
G, S = jax.lax.GatherDimensionNumbers, jax.lax.ScatterDimensionNumbers

SHAPES = [
    ("reshape", (M, (2, 6)), {}), ("reshape", (M, (12,)), {"dimensions": (1, 0)}), ("reshape", (M, 12), {}),
    ("reshape", (M, (3, -1)), {}), ("reshape", (M, (5,)), {}), ("reshape", (M, (12,)), {"dimensions": (0, 0)}), ("reshape", (E, (3, 0)), {}),
    ("transpose", (T, (2, 0, 1)), {}), ("transpose", (T, (0, 1)), {}), ("transpose", (T, np.array([1, 0, 2])), {}),
    ("rev", (T, (0, 2)), {}), ("rev", (T, (-1,)), {}), ("rev", (T, (0, 0)), {}),
    ("broadcast", (F, (2, 4)), {}), ("broadcast", (1.0, (2,)), {}), ("broadcast_in_dim", (F, (2, 3, 4), (1,)), {}),
    ("broadcast_in_dim", (F[:1], (2, 3), (1,)), {}), ("broadcast_in_dim", (F, (2, 3), (0,)), {}),
    ("broadcast_in_dim", (M, (4, 3), (1, 0)), {}), ("broadcast_to_rank", (F, 3), {}), ("broadcast_like", (F[:1], M[:, :3]), {}),
    ("expand_dims", (F, (0, -1)), {}), ("expand_dims", (F, (0, 0)), {}), ("expand_dims", (F, 0), {}),
    ("squeeze", (F[None], (0,)), {}), ("squeeze", (F[None], (-2,)), {}), ("squeeze", (F, (0,)), {}), ("squeeze", (F, (4,)), {}),
    ("collapse", (T, 1), {}), ("collapse", (T, 0, 2), {}), ("collapse", (T, 0, -1), {}), ("collapse", (T, 2, 1), {}),
    ("tile", (M, (2, 1)), {}), ("tile", (M, (2,)), {}), ("tile", (M, (0, 3)), {}),
    ("split", (M, (1, 2)), {}), ("split", (M, (1, 3)), {"axis": 1}), ("split", (M, (1, 3)), {"axis": -1}), ("split", (M, (1, 1)), {}),
    ("unstack", (M,), {}), ("unstack", (M,), {"axis": -1}), ("slice", (M, (1, 0), (3, 4)), {}),
    ("slice", (M, (1, 0), (3, 4), (1, 2)), {}), ("slice", (M, (0, 0), (4, 4)), {}), ("slice", (M, (2, 0), (1, 4)), {}), ("slice", (M, (0,), (1,)), {}),
    ("slice_in_dim", (M, 1, None), {}), ("slice_in_dim", (M, -2, -1), {"axis": -1}), ("slice_in_dim", (M, None, None, 2), {"axis": 1}),
    ("slice_in_dim", (M, 0, 9), {}), ("index_in_dim", (M, -1), {"axis": 1}), ("index_in_dim", (M, 1), {"keepdims": False}),
    ("index_in_dim", (M, 7), {}), ("pad", (M, 1.5, [(1, 2, 0), (0, 0, 1)]), {}), ("pad", (M, 0.0, [(-1, 0, 2), (2, -3, 0)]), {}),
    ("pad", (M, 0, [(1, 2, 0), (0, 0, 1)]), {}), ("pad", (M, 0.0, [(1, 2, 0)]), {}), ("pad", (F, 0.0, [(-5, 0, 0)]), {}),
    ("pad", (F, F[0], [(2, 0, 0)]), {}), ("full_like", (M, 2), {}), ("full_like", (M, 2.5), {"dtype": np.int32}), ("full_like", (M, 2), {"shape": (2,)}),
    ("full", ((2, 3), 1.5), {}), ("full", ((2,), 1.5), {"dtype": np.int32}), ("full", ((2,), F), {}), ("full", (3, 1), {}), ("full", ((-1,), 1), {}),
    ("iota", (np.int32, 4), {}), ("iota", (float, 4), {}), ("iota", (bool, 4), {}), ("broadcasted_iota", (np.float32, (2, 3), 1), {}),
    ("broadcasted_iota", (np.int8, (2, 3), -1), {}), ("empty", ((2,), np.float32), {}), ("shape_as_value", ((),), {}),
    ("dtype", (M,), {}), ("dtype", (1.0,), {}), ("dtype", ("float32",), {}), ("broadcast_shapes", ((2, 1), (3,)), {}), ("broadcast_shapes", ((2,), (3,)), {}),
]  # fmt: skip


@pytest.mark.parametrize("name, args, kwargs", SHAPES)
def test_shapes(name, args, kwargs):
    # JAX's transpose of a broadcast that permutes axes gives the cotangent another shape
    agree(f"lax.{name}", *args, **kwargs, modes=MODES if FULL and not np.array_equal(args[-1], (1, 0)) else EAGER)


@pytest.mark.parametrize(
    "name, args",
    [
        ("concatenate", (F, I)),
        ("concatenate", (F, M)),
        ("concatenate", ()),
        ("stack", (F, I)),
        ("concatenate", (F, np.ones(2))),
    ],
)
def test_joining_what_does_not_fit(name, args):
    agree(f"lax.{name}", list(args), 0, modes=EAGER)


def test_joining():
    for axis in (0, 1, -1):
        agree(
            lambda jax, x, y: jax.lax.concatenate([x, y, x], axis),
            M,
            M[:, ::-1].copy(),
            modes=MODES if axis == 1 else EAGER,
        )
        agree(lambda jax, x, y: jax.lax.stack([x, y], axis), M, M[:, ::-1].copy(), modes=MODES if axis else EAGER)
    agree("lax.concatenate", M, 0, modes=EAGER)


# ---- dynamic slices ------------------------------------------------------------------------------------------

DYNAMIC = [
    ("dynamic_slice", (M, (1, 2), (2, 2)), {}), ("dynamic_slice", (M, (-1, 9), (2, 2)), {}), ("dynamic_slice", (M, I[:2], (2, 2)), {}),
    ("dynamic_slice", (M, (1, 2), (2, 9)), {}), ("dynamic_slice", (M, (1,), (2, 2)), {}), ("dynamic_slice", (M, (1.0, 0), (2, 2)), {}),
    ("dynamic_slice", (M, (-1, 1), (2, 2)), {"allow_negative_indices": False}),
    ("dynamic_update_slice", (M, M[:2, :2] * 2, (1, 2)), {}), ("dynamic_update_slice", (M, M[:2, :2] * 2, (5, -2)), {}),
    ("dynamic_update_slice", (M, I[None], (1, 2)), {}), ("dynamic_update_slice", (M, F, (1, 2)), {}),
    ("dynamic_slice_in_dim", (M, 1, 2), {"axis": 1}), ("dynamic_slice_in_dim", (M, -2, 2), {"axis": -1}),
    ("dynamic_index_in_dim", (M, -1), {"axis": 1, "keepdims": False}), ("dynamic_index_in_dim", (M, 5), {}),
    ("dynamic_update_slice_in_dim", (M, M[:1], 2), {"axis": 0}), ("dynamic_update_index_in_dim", (M, M[0] * 2, 1), {"axis": 0}),
    ("dynamic_update_index_in_dim", (M, M[:, :1] * 2, -1), {"axis": 1}),
]  # fmt: skip


@pytest.mark.parametrize("name, args, kwargs", DYNAMIC)
def test_dynamic(name, args, kwargs):
    agree(f"lax.{name}", *args, **kwargs, modes=MODES)


@pytest.mark.parametrize("allow", [True, False, (True, False)])
def test_negative_starts(allow):
    cut = lambda jax, x, i: jax.lax.dynamic_slice(x, (i, i), (1, 2), allow_negative_indices=allow)
    for i in (-1, 2):
        agree(cut, M, np.int32(i) * np.ones((), np.int32), modes=("eager", "jit"))
    if allow is not True:
        agree(cut, M, np.array(-1, np.int32), modes=("jit",))
        paste = lambda jax, x, u, i: jax.lax.dynamic_update_slice(x, u, (i, i), allow_negative_indices=allow)
        agree(paste, M, M[:1, :2] + 1, np.array(-1, np.int32), modes=("jit",))
    in_dim = lambda jax, x, i: (
        jax.lax.dynamic_slice_in_dim(x, i, 2, 1, allow_negative_indices=False),
        jax.lax.dynamic_index_in_dim(x, i, 1, allow_negative_indices=False),
        jax.lax.dynamic_update_slice_in_dim(x, x[:, :1], i, 1, allow_negative_indices=False),
        jax.lax.dynamic_update_index_in_dim(x, x[:, 0], i, 1, allow_negative_indices=False),
    )
    agree(in_dim, M, np.array(-2, np.int32), modes=("jit",))


# ---- gather and scatter ------------------------------------------------------------------------------------------

ROWS = G((1,), (0,), (0,))
PAIRS = np.array([[0, 1], [2, 3], [1, 9], [-1, 0]], np.int32)
ONES = np.array([[2], [0], [7], [-1]], np.int32)
GATHER = [
    (M, ONES, ROWS, (1, 4), {}), (M, ONES, ROWS, (1, 2), {"mode": "clip"}), (M, ONES, ROWS, (1, 4), {"mode": "fill"}),
    (M, ONES, ROWS, (1, 4), {"mode": "fill", "fill_value": -1.5}), (M.astype(np.int8), ONES, ROWS, (1, 4), {"mode": "fill"}),
    (M > 0, ONES, ROWS, (1, 4), {"mode": "fill"}), (M, PAIRS, G((), (0, 1), (0, 1)), (1, 1), {"mode": "fill"}),
    (M, PAIRS, G((1, 2), (), (0, 1)), (2, 2), {"mode": "fill"}),
    (M, PAIRS, G((1, 2), (), (0, 1)), (2, 2), {"indices_are_sorted": True, "unique_indices": True}),
    (M, ONES[:3], G((), (1,), (1,), (0,), (0,)), (1, 1), {}), (M, ONES[:3].astype(np.uint8), ROWS, (1, 4), {"mode": "promise_in_bounds"}),
    (M, ONES.astype(np.float32), ROWS, (1, 4), {}), (M, ONES, ROWS, (2, 4), {}), (M, ONES, G((5,), (0,), (0,)), (1, 4), {}),
    (M, ONES, ROWS, (1, 9), {}), (M, ONES, ROWS, (1, 4), {"mode": "what"}),
]  # fmt: skip


@pytest.mark.parametrize("x, indices, numbers, sizes, kwargs", GATHER)
def test_gather(x, indices, numbers, sizes, kwargs):
    # the derivative of what is out of bounds, though it was promised not to be, is another in JAX
    agree(
        "lax.gather",
        x,
        indices,
        numbers,
        sizes,
        **kwargs,
        modes=MODES if kwargs.get("mode") in ("clip", "fill") else NO_GRAD,
    )


def test_mode_of_gather():
    mode = lambda jax, x, i: jax.lax.gather(x, i, ROWS, (1, 4), mode=jax.lax.GatherScatterMode.FILL_OR_DROP)
    agree(mode, M, ONES, modes=EAGER)
    agree("lax.gather", M, ONES[:2], ROWS, (1, 4), modes=("grad",))


UPDATES = RNG.normal(size=(4, 4)).astype(np.float32)
ROW_UPDATES = S((1,), (0,), (0,))
UNIQUE = np.array([[2], [0], [7]], np.int32)


@pytest.mark.parametrize("name", ["scatter", "scatter_add", "scatter_sub", "scatter_mul", "scatter_min", "scatter_max"])
def test_scatter(name):
    path = f"lax.{name}"
    agree(path, M, UNIQUE, UPDATES[:3], ROW_UPDATES, unique_indices=True, modes=MODES)
    for mode in ("clip", "fill", "drop", "promise_in_bounds", None):
        unsafe = mode == "promise_in_bounds"
        agree(
            path,
            M,
            ONES[:2] if unsafe else ONES,
            UPDATES[:2] if unsafe else UPDATES,
            ROW_UPDATES,
            mode=mode,
            modes=("eager",),
        )
    agree(path, M, PAIRS, UPDATES[:, 0], S((), (0, 1), (0, 1)), modes=NO_GRAD)
    agree(path, M, ONES[:3], UPDATES[:3, 0], S((), (1,), (1,), (0,), (0,)), indices_are_sorted=True, modes=NO_GRAD)
    agree(path, M.astype(np.int32), UNIQUE, UPDATES[:3].astype(np.int32), ROW_UPDATES, modes=("eager",))
    agree(path, M, UNIQUE, UPDATES[:3].astype(np.int32), ROW_UPDATES, modes=("eager",))
    agree(path, M, UNIQUE, UPDATES[:2], ROW_UPDATES, modes=("eager",))


def test_derivative_of_repeated_additions():
    agree("lax.scatter_add", M, ONES, UPDATES, ROW_UPDATES, modes=("grad",))


def test_scatter_apply():
    twice = np.array([[1], [1], [2]], np.int32)
    for name, indices in (("repeated", twice), ("unique", UNIQUE)):
        agree(
            lambda jax, x, i: jax.lax.scatter_apply(
                x, i, lambda v: v * 3, S((), (0,), (0,)), update_shape=(3,), unique_indices=name == "unique", mode="drop"
            ),
            F, indices, modes=("eager", "jit"),
        )  # fmt: skip


def test_index_take():
    agree(lambda jax, x, i: jax.lax.index_take(x, (i,), [0]), M, I, modes=MODES)
    agree(lambda jax, x, i: jax.lax.index_take(x, (i, i), [0, 1]), M, I, modes=MODES)


# ---- sorting -----------------------------------------------------------------------------------------------------

SORTING = [
    ("sort", (M,), {}), ("sort", (M,), {"dimension": 0}), ("sort", (I,), {}), ("sort", (Z,), {}), ("sort", (M > 0,), {}),
    ("sort", (M,), {"dimension": 2}), ("sort", (M,), {"is_stable": False}), ("sort", (M.astype(ml_dtypes.bfloat16),), {}),
    ("sort_key_val", (M, T[0]), {}), ("sort_key_val", (M, T[0]), {"dimension": 0}), ("sort_key_val", (M, F), {}),
    ("top_k", (M, 2), {}), ("top_k", (M, 2), {"axis": 0}), ("top_k", (I, 3), {}), ("top_k", (M, 9), {}), ("top_k", (M, -1), {}), ("top_k", (Z, 1), {}),
    ("approx_max_k", (M, 2), {}), ("approx_min_k", (M, 2), {"reduction_dimension": 0}), ("approx_max_k", (I, 2), {}),
    ("approx_max_k", (M, 2), {"recall_target": 1.0, "reduction_input_size_override": 8}),
]  # fmt: skip


@pytest.mark.parametrize("name, args, kwargs", SORTING)
def test_sorting(name, args, kwargs):
    agree(f"lax.{name}", *args, **kwargs, modes=MODES if FULL and "approx" not in name else EAGER)


def test_candidates_are_all_elements():
    values, positions = pj.lax.approx_max_k(M, 2, aggregate_to_topk=False)
    assert np.array_equal(values, M) and np.array_equal(positions, np.broadcast_to(np.arange(4), M.shape))


def test_sorting_several():
    keys = np.array([[1, 0, 1, 0], [2, 2, 1, 1], [0, 0, 0, 0]], np.int32)
    for n in (1, 2, 3):
        agree(lambda jax, a, b, c: jax.lax.sort((a, b, c), num_keys=n), keys, M, T[0], modes=MODES)
    agree(lambda jax, a, b: jax.lax.sort([a, b], num_keys=4), keys, M, modes=EAGER)
    agree(lambda jax, a, b: jax.lax.sort((a, b)), keys, F, modes=EAGER)


# ---- the rest ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x, kind, sizes",
    [(Z, "fft", (4,)), (Z, "IFFT", (3, 4)), (M, "rfft", (4,)), (M, "RFFT", (3, 4)), (Z, "irfft", (6,)), (Z, "irfft", (7,)),
     (M, "fft", (4,)), (Z, "fft", (3,)), (Z, "rfft", (4,)), (M, "what", (4,)), (Z, "fft", 4)],
)  # fmt: skip
def test_fft(x, kind, sizes):
    agree("lax.fft", x, kind, sizes, modes=NO_GRAD, rtol=1e-5, atol=1e-5)


def test_fft_has_derivatives():
    agree(lambda jax, x: jax.lax.fft(x, "rfft", (4,)), M, modes=("grad",), rtol=1e-5, atol=1e-5)


def test_trees():
    agree(lambda jax, x: jax.lax.stop_gradient({"a": x, "b": (x,)}), M, modes=MODES)
    agree(lambda jax, x: jax.lax.optimization_barrier({"a": x, "b": (x * 2,)}), M, modes=MODES)
    agree(lambda jax, x: jax.lax.composite(lambda v, k: v * k, "pg.scale", version=2)(x, k=3.0), M, modes=EAGER)
    agree(lambda jax, x: jax.lax.platform_dependent(x, cpu=lambda v: v + 1, default=lambda v: v), M, modes=EAGER)
    agree(lambda jax, x: jax.lax.platform_dependent(x, tpu=lambda v: v + 1, default=lambda v: v), M, modes=EAGER)
    agree(lambda jax, x: jax.lax.platform_dependent(x, tpu=lambda v: v + 1), M, modes=EAGER)


def test_constraints_of_sharding():
    assert pj.lax.with_sharding_constraint({"a": M}, "any")["a"].shape == (3, 4)
    with pytest.raises(ValueError):
        pj.lax.with_sharding_constraint(M, None)


def test_random_numbers_without_key():
    found = pj.lax.rng_uniform(np.float32(2), np.float32(3), (1000,))
    assert isinstance(found, pj.Array) and found.dtype == np.float32
    x = np.asarray(found)
    assert 2 <= x.min() < 2.1 and 2.9 < x.max() < 3
    n = pj.lax.rng_uniform(0, 10, (1000,))
    assert n.dtype == np.int32 and set(np.asarray(n).tolist()) == set(range(10))
    assert not np.array_equal(x, pj.lax.rng_uniform(np.float32(2), np.float32(3), (1000,)))


def test_enumerations():
    for name in ("Precision", "FftType", "RandomAlgorithm", "RoundingMethod", "AccuracyMode", "GatherScatterMode"):
        own, theirs = getattr(pj.lax, name), getattr(jax.lax, name)
        assert [m.name for m in own] == [m.name for m in theirs]
        assert [m.value for m in own] == [m.value for m in theirs]
    assert pj.lax.Precision("highest") is pj.lax.Precision.HIGHEST and str(pj.lax.Precision.HIGH) == "HIGH"
    assert [m.name for m in pj.lax.DotAlgorithmPreset] == [m.name for m in jax.lax.DotAlgorithmPreset]
    with pytest.raises(ValueError):
        pj.lax.Tolerance()
