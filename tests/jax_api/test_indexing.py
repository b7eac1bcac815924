"""take, put, where, nonzero, select, indices ...: the same as JAX."""

import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from .agreement import EAGER, JIT, agree, table

rng = np.random.default_rng(1)
V = rng.normal(size=6).astype(np.float32)
M = rng.normal(size=(3, 4)).astype(np.float32)
C = rng.normal(size=(2, 3, 4)).astype(np.float32)
INTS = np.array([[2, -1], [0, 7]], np.int32)
J = np.array([0, 2, 1], np.int32)
U = np.array([0, 2, 250], np.uint8)
B = np.array([[True, False, True, True], [False] * 4, [True] * 4])
N = np.array([[0, 3, 0, 1], [0, 0, 2, 0], [5, 0, 0, 4]], np.int32)
E0 = np.zeros((0, 3), np.float32)
X = (M + 1j).astype(np.complex64)

CASES = [
    ("take", (M, INTS)),
    ("take", (M, INTS), {"axis": 1}),
    *[("take", (M, INTS), {"axis": -1, "mode": mode}) for mode in ("fill", "clip", "wrap", "raise", "no")],
    ("take", (M, INTS), {"axis": 0, "fill_value": 3}),
    ("take", (N, INTS), {"axis": 0}),
    ("take", (N.astype(np.uint8), U), {"axis": 0}),
    ("take", (B, INTS), {"axis": 0}),
    ("take", (B, INTS), {"axis": 0, "fill_value": False}),
    ("take", (M, 1), {"axis": 1}),
    ("take", (M, J), {"unique_indices": True, "indices_are_sorted": True, "axis": 0}),
    ("take", (M, V)),
    ("take", (M, [0, 1])),
    ("take", (E0, J), {"axis": 0}),
    ("take", (E0, J[:0]), {"axis": 0}),
    ("take", (M, J), {"axis": 2}),
    ("take", (M, J), {"out": M}),
    ("take", (X, INTS)),
    ("take_along_axis", (M, J[:, None])),
    ("take_along_axis", (M, J[:, None]), {"axis": -1}),
    ("take_along_axis", (M, np.array([[1, -1, 5, 0]], np.int32)), {"axis": 0}),
    ("take_along_axis", (M, np.array([[1, -1, 5, -9]], np.int32)), {"axis": 0, "fill_value": 7.5}),
    *[("take_along_axis", (M, np.array([[1, -1, 5, -9]], np.int32)), {"axis": 0, "mode": mode})
      for mode in ("fill", "clip", "one_hot", "drop", "no")],
    ("take_along_axis", (M, np.array([[1, 2, 0, 0]], np.int32)), {"axis": 0, "mode": "promise_in_bounds"}),
    ("take_along_axis", (M, np.array([[1, -1, 2, 0]], np.int32)), {"axis": 0, "wrap_negative_indices": False}),
    ("take_along_axis", (C, J.reshape(1, 3, 1)), {"axis": 2}),
    ("take_along_axis", (C[:1], np.zeros((4, 3, 2), np.int32)), {"axis": 2}),
    ("take_along_axis", (M, J), {"axis": None}),
    ("take_along_axis", (M, J)),
    ("take_along_axis", (M, M)),
    ("take_along_axis", (E0, np.zeros((2, 3), np.int32)), {"axis": 0}),
    ("take_along_axis", (N, np.array([[9, 0, 1, 2]], np.uint8)), {"axis": 0}),
    ("put", (M, J, V), {"inplace": False}),
    *[("put", (M, np.array([3, -1, 40, -50], np.int32), V), {"inplace": False, "mode": m}) for m in ("clip", "wrap", "raise", "no")],
    ("put", (M, np.array([3, -2, 40], np.int32), 2.0), {"inplace": False}),
    ("put", (M, J, V)),
    ("put_along_axis", (M, np.array([[0, 2, 1, 1]], np.int32), 5.0, 0), {"inplace": False}),
    ("put_along_axis", (M, J[:, None], V[:3, None], -1), {"inplace": False}),
    ("put_along_axis", (M, np.array([[0, -1, 9, 1]], np.int32), 5.0, 0), {"inplace": False, "mode": "clip"}),
    ("put_along_axis", (M, J, V[:3], None), {"inplace": False}),
    ("put_along_axis", (M, J, V[:3], 0), {"inplace": False}),
    ("put_along_axis", (M, J, V[:3], 0)),
    ("place", (M, B, V), {"inplace": False}),
    ("place", (M, B, V[:2]), {"inplace": False}),
    ("place", (M, B[:2], V), {"inplace": False}),
    ("place", (M, B, V[:0]), {"inplace": False}),
    ("choose", (J, [V[:3], V[3:], 2 * V[:3]]), {"mode": "wrap"}),
    ("choose", (J + 2, [V[:3], 1, 2 * V[:3]]), {"mode": "clip"}),
    ("choose", (J - 4, [V[:3], 1, 2 * V[:3]]), {"mode": "wrap"}),
    ("choose", (np.array([[1], [0]], np.int32), [V, M[0, 0]]), {"mode": "clip"}),
    ("choose", (J, [1, 2, 3])),
    ("choose", (J, [1, 2])),
    ("choose", (V, [1, 2]), {"mode": "clip"}),
    ("select", ([B, N > 2], [M, N]), {}),
    ("select", ([B, N], [M, 2]), {"default": -1}),
    ("select", ([B[0], True], [1, 2])),
    ("select", ([B], [M, M])),
    ("select", ([], [])),
    ("where", (B, M, 0)),
    ("where", (B, 1, 2)),
    ("where", (N, 1.0, N)),
    ("where", (M, V[:4], M[:, :1])),
    ("where", (True, M, 2.0)),
    ("where", (B, M, None)),
    ("where", (B, M, M), {"size": 3}),
    ("where", (B,), {"size": 4}),
    ("where", (B,), {"size": 10, "fill_value": -1}),
    ("where", (B,)),
    ("where", (B, M, V)),
    ("nonzero", (N,), {"size": 4}),
    ("nonzero", (N,), {"size": 8}),
    ("nonzero", (N,), {"size": 8, "fill_value": (9, -1)}),
    ("nonzero", (N,), {"size": 8, "fill_value": (9,)}),
    ("nonzero", (N,), {"size": 0}),
    ("nonzero", (M,), {"size": 20, "fill_value": 2.5}),
    ("nonzero", (N,)),
    ("nonzero", (X,)),
    ("nonzero", (E0,), {"size": 2}),
    ("nonzero", (np.float32(2) * np.ones(()),)),
    ("flatnonzero", (N,), {"size": 3}),
    ("flatnonzero", (N,), {"size": 9, "fill_value": 12}),
    ("flatnonzero", (N,)),
    ("argwhere", (N,), {"size": 7}),
    ("argwhere", (N,), {"size": 7, "fill_value": 5}),
    ("argwhere", (N,)),
    ("argwhere", (np.ones((), np.int32),)),
    ("compress", (np.array([True, False, True]), M), {"axis": 0, "size": 2}),
    ("compress", (np.array([1, 0, 1], np.int32), M), {"axis": 0}),
    ("compress", (np.array([True, True]), M), {"axis": -1, "size": 1, "fill_value": 9}),
    ("compress", (np.array([False, True, False, True]), M), {"axis": 1, "size": 3, "fill_value": 9}),
    ("compress", (np.array([True, True, False]), M)),
    ("compress", (B, M)),
    ("compress", (np.array([True] * 9), V)),
    ("compress", (np.array([True] * 3), V), {"size": 9}),
    ("extract", (B, M), {"size": 4}),
    ("extract", (B, M), {"size": 10, "fill_value": -1}),
    ("extract", (B, M)),
    ("indices", ((2, 3),)),
    ("indices", ((2, 3),), {"dtype": np.float32, "sparse": True}),
    ("indices", ((2, 3),), {"dtype": np.int8}),
    ("indices", ((),)),
    ("ix_", (J, U)),
    ("ix_", (J, J[:0], V)),
    ("ix_", (B[0],)),
    ("ix_", (M,)),
    ("unravel_index", (np.array([0, 5, 11, -1, -12, 12, -13, 99], np.int32), (3, 4))),
    ("unravel_index", (np.array([0, 5, 250], np.uint8), (3, 4))),
    ("unravel_index", (5, 7)),
    ("unravel_index", (V, (2, 3))),
    *[("ravel_multi_index", ((J, J + 1), (2, 3)), {"mode": mode}) for mode in ("clip", "wrap", "ignore", "raise", "no")],
    ("ravel_multi_index", ((J, J), (3, 4)), {"order": "F", "mode": "wrap"}),
    ("ravel_multi_index", ((J, J), (3, 4)), {"order": "K"}),
    ("ravel_multi_index", ((J, J), (3, 4)), {"dtype": np.int16, "mode": "clip"}),
    ("ravel_multi_index", ((J, J), (30, 40)), {"dtype": np.int8}),
    ("ravel_multi_index", ((J, U), (3, 4)), {"mode": "clip"}),
    ("ravel_multi_index", ((V, V), (3, 4)), {"mode": "clip"}),
]  # fmt: skip


@table(CASES, FULL)
def test_agrees(name, args, kwargs, modes):
    agree(f"numpy.{name}", *args, modes=modes, **kwargs)


@pytest.mark.parametrize("name", ["nonzero", "flatnonzero", "argwhere", "where", "unique", "unique_all"])
def test_sizes_must_be_known_when_traced(name):
    agree(f"numpy.{name}", N, modes=(EAGER, JIT))
    agree(f"numpy.{name}", N, size=5, modes=(EAGER, JIT))


def test_choose_reads_traced_numbers_only_in_other_modes():
    agree("numpy.choose", J, [1, 2, 3], modes=(JIT,))
    agree("numpy.ravel_multi_index", (J,), (3,), modes=(JIT,))


def test_x64():
    with pj.config.temporarily("jax_enable_x64", True):
        assert pj.numpy.nonzero(N)[0].dtype == np.int64
        assert pj.numpy.nonzero(N, size=2)[0].dtype == np.int64
        assert pj.numpy.indices((2,)).dtype == np.int64
        assert pj.numpy.argsort(V).dtype == np.int64
