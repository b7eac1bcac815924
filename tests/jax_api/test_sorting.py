"""Sorting, searching, sets: the same as JAX."""

import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from .agreement import EAGER, JIT, VMAP, agree, table

rng = np.random.default_rng(2)
M = rng.normal(size=(3, 5)).astype(np.float32)
V = np.array([3, 1, 2, 3, 1, 0], np.float32)
W = np.array([1, 4, 3, 9], np.int32)
NANS = np.array([np.nan, 1, -0.0, 0.0, np.inf, np.nan, -np.inf], np.float32)
X = np.array([2 + 1j, 2 - 1j, 1 + 5j, 2 + 1j, 0], np.complex64)
INTS = rng.integers(-3, 3, (4, 3)).astype(np.int32)
B = np.array([True, False, True])
U = np.array([3, 0, 255, 7, 3], np.uint8)
E0 = np.zeros(0, np.float32)
E2 = np.zeros((0, 3), np.float32)
ROWS = np.array([[1, 2], [0, 1], [1, 2], [3, 0]], np.int32)

CASES = [
    ("sort", (M,)),
    ("sort", (M,), {"axis": 0}),
    ("sort", (M,), {"axis": None, "stable": False}),
    ("sort", (M,), {"descending": True}),
    ("sort", (M,), {"kind": "quicksort"}),
    ("sort", (M,), {"order": "f"}),
    ("sort", (M,), {"axis": 2}),
    *[("sort", (x,)) for x in (NANS, X, INTS, B, U, E0, M.astype(np.float16), 2.0)],
    ("argsort", (M,)),
    ("argsort", (INTS,), {"axis": 0}),
    ("argsort", (V,), {"axis": None, "descending": True}),
    ("argsort", (INTS,), {"dtype": np.int16}),
    ("argsort", (INTS,), {"kind": "stable"}),
    *[("argsort", (x,)) for x in (NANS, X, V, B, U, E0)],
    ("lexsort", ((V, np.array([1, 0, 1, 0, 1, 0], np.int32)),)),
    ("lexsort", ((M, INTS[:3, :1] + np.zeros((3, 5), np.int32)),), {"axis": 0}),
    ("lexsort", (M,)),
    ("lexsort", ((),)),
    ("lexsort", ((1, 2),)),
    ("lexsort", ((V, W),)),
    ("sort_complex", (X,)),
    ("sort_complex", (M,)),
    ("sort_complex", (INTS,)),
    ("partition", (M, 2)),
    ("partition", (M,), {"kth": -1, "axis": 0}),
    ("partition", (U, 1)),
    ("partition", (X, 1)),
    ("partition", (M, 5)),
    ("argpartition", (M, 2)),
    ("argpartition", (M,), {"kth": 1, "axis": 0}),
    ("argpartition", (U, 1)),
    ("searchsorted", (np.sort(V), V)),
    ("searchsorted", (np.sort(V), M), {"side": "right"}),
    ("searchsorted", (V, V), {"sorter": np.argsort(V, kind="stable").astype(np.int32)}),
    *[("searchsorted", (np.sort(V), W), {"method": method}) for method in ("scan", "scan_unrolled", "sort", "compare_all", "no")],
    ("searchsorted", (np.sort(W), 3)),
    ("searchsorted", (np.sort(NANS), NANS)),
    ("searchsorted", (M, V)),
    ("searchsorted", (V, V), {"side": "no"}),
    ("searchsorted", (E0, V)),
    *[("unique", (x,), {"size": 4}) for x in (V, INTS, NANS, X, B, U)],
    *[("unique", (x,)) for x in (V, INTS, NANS, X, B, E0, E2, 2.0)],
    *[("unique", (V,), {"size": n, "return_index": True, "return_inverse": True, "return_counts": True}) for n in (2, 4, 7)],
    ("unique", (V,), {"return_index": True, "return_inverse": True, "return_counts": True}),
    ("unique", (INTS,), {"return_inverse": True}),
    ("unique", (V,), {"size": 7, "fill_value": -2}),
    ("unique", (NANS,), {"equal_nan": False}),
    ("unique", (V,), {"sorted": False}),
    ("unique", (ROWS,), {"axis": 0}),
    ("unique", (ROWS,), {"axis": 0, "return_counts": True, "return_inverse": True, "return_index": True}),
    ("unique", (ROWS,), {"axis": 1, "size": 3}),
    ("unique", (ROWS,), {"axis": 0, "size": 5, "fill_value": 9, "return_counts": True}),
    ("unique", (E0,), {"size": 2}),
    ("unique", (E0,), {"size": 2, "fill_value": 1}),
    ("unique", (E0,), {"return_index": True, "return_inverse": True, "return_counts": True}),
    ("unique", (E2.T,), {"axis": 0, "return_index": True, "return_inverse": True, "return_counts": True}),
    ("unique", (E2,), {"axis": 0, "return_index": True, "return_inverse": True, "return_counts": True}),
    *[(name, (NANS,), {"size": 6, "fill_value": 0}) for name in ("unique_all", "unique_counts", "unique_inverse", "unique_values")],
    *[(name, (INTS,)) for name in ("unique_all", "unique_counts", "unique_inverse", "unique_values")],
    ("isin", (INTS, W)),
    ("isin", (M, V)),
    ("isin", (NANS, NANS)),
    ("isin", (X, X[:2]), {"invert": True}),
    *[("isin", (W, V), {"method": method}) for method in ("auto", "compare_all", "binary_search", "sort", "no")],
    ("isin", (W, np.array([9, 1], np.int32)), {"assume_unique": True, "invert": True}),
    ("isin", (W, E0)),
    ("isin", (3, W)),
]  # fmt: skip

PAIRS = [
    (V, W),
    (INTS, W),
    (W, W[::-1]),
    (NANS, V),
    (E0, V),
    (V, E0),
    (W, np.array([100, 200], np.int32)),
    (E0, E0),
    (X, X[1:3]),
]
for _name in ("union1d", "intersect1d", "setdiff1d", "setxor1d"):
    CASES += [(_name, pair) for pair in PAIRS]
    CASES += [(_name, pair, {"size": n}) for pair in PAIRS[: None if FULL else 4] for n in (3, 9)]
    CASES += [(_name, pair, {"size": 7, "fill_value": -5}) for pair in PAIRS]
for _name in ("intersect1d", "setdiff1d", "setxor1d"):
    CASES += [
        (_name, (W, np.array([9, 2, 1], np.int32)), {"assume_unique": True, **more})
        for more in ({"size": 6}, {"size": 2})
    ]
CASES += [
    ("intersect1d", pair, {"return_indices": True, **more})
    for pair in PAIRS[:3]
    for more in ({}, {"size": 6}, {"size": 1})
]
CASES += [
    ("intersect1d", (W, np.array([9, 2, 1], np.int32)), {"return_indices": True, "assume_unique": True, "size": 4})
]


@table(CASES, FULL)
def test_agrees(name, args, kwargs, modes):
    if name == "searchsorted":  # vmap's second example is reversed: not ascending
        modes = [mode for mode in modes if mode != VMAP]
    agree(f"numpy.{name}", *args, modes=modes, **kwargs)


@pytest.mark.parametrize("name", ["intersect1d", "setdiff1d", "setxor1d"])
def test_unique_arrays(name):
    agree(f"numpy.{name}", W, np.array([9, 2, 1], np.int32), assume_unique=True, modes=(EAGER,))


@pytest.mark.parametrize("name", ["union1d", "intersect1d", "setdiff1d", "setxor1d"])
def test_sizes_must_be_known_when_traced(name):
    agree(f"numpy.{name}", V, W, modes=(JIT,))
    agree(f"numpy.{name}", V, W, size=5, modes=(EAGER, JIT))


def test_x64():
    with pj.config.temporarily("jax_enable_x64", True):
        assert pj.numpy.unique(V, return_inverse=True)[1].dtype == np.int64
        assert pj.numpy.lexsort((V, V)).dtype == np.int64
        assert pj.numpy.searchsorted(np.sort(V), V).dtype == np.int32
