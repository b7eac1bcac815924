"""Shapes, joining, splitting, padding, repeating, diagonals, bits: the same as JAX."""

import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from .agreement import EAGER, MODES, agree, table

rng = np.random.default_rng(0)
V = rng.normal(size=5).astype(np.float32)
M = rng.normal(size=(3, 4)).astype(np.float32)
S = rng.normal(size=(4, 4)).astype(np.float32)
C = rng.normal(size=(2, 3, 4)).astype(np.float32)
INTS = np.arange(-6, 6, dtype=np.int32).reshape(3, 4)
B = INTS > 0
U = np.arange(12, dtype=np.uint8).reshape(3, 4) * 21
Z = np.float32(2.5) * np.ones((), np.float32)
E0 = np.zeros((0, 3), np.float32)
X = (M + 1j * M[::-1]).astype(np.complex64)
H = M.astype(np.float16)

# name, arguments, keywords
CASES = [
    ("reshape", (M, (4, 3))),
    ("reshape", (M, -1)),
    ("reshape", (M, (2, -1)), {"order": "F"}),
    ("reshape", (M, (2, 6)), {"copy": True}),
    ("reshape", (M, (5, 2))),
    ("reshape", (M, (5, -1))),
    ("reshape", (E0, (3, 0))),
    ("reshape", (M, 12), {"order": "A"}),
    ("ravel", (C,)),
    ("ravel", (C,), {"order": "F"}),
    ("ravel", (C,), {"order": "K"}),
    ("ravel", (2.0,)),
    ("transpose", (C,)),
    ("transpose", (C,), {"axes": (1, -1, 0)}),
    ("transpose", (C, (0, 1))),
    ("transpose", (C, (0, 1, 5))),
    ("permute_dims", (C, (2, 0, 1))),
    ("matrix_transpose", (C,)),
    ("matrix_transpose", (V,)),
    ("moveaxis", (C, 0, -1)),
    ("moveaxis", (C, (0, 1), (-1, 0))),
    ("moveaxis", (C,), {"source": [0, 2], "destination": [2, 0]}),
    ("moveaxis", (C, (0, 1), 0)),
    ("moveaxis", (C, 3, 0)),
    ("rollaxis", (C, 2)),
    ("rollaxis", (C, 0), {"start": 3}),
    ("rollaxis", (C, -1), {"start": -2}),
    ("rollaxis", (C, 0), {"start": 4}),
    ("swapaxes", (C, 0, -1)),
    ("squeeze", (M[None, :, None],)),
    ("squeeze", (M[None, :, None],), {"axis": (0, -2)}),
    ("squeeze", (M[None],), {"axis": 1}),
    ("squeeze", (M[None],), {"axis": -3}),
    ("expand_dims", (M, -1)),
    ("expand_dims", (M,), {"axis": (0, 3)}),
    ("expand_dims", (M, 4)),
    ("expand_dims", (2, 0)),
    ("broadcast_to", (V, (3, 5))),
    ("broadcast_to", (V,), {"shape": 5}),
    ("broadcast_to", (V, (3, 4))),
    ("broadcast_to", (M, (4,))),
    ("broadcast_to", (1.0, (2, 0))),
    ("broadcast_arrays", (V, C[:, :1, :1], 1)),
    ("broadcast_arrays", (V, M)),
    ("broadcast_shapes", ((3, 1), (1, 4), 4)),
    ("broadcast_shapes", ((3,), (4,))),
    ("broadcast_shapes", ()),
    ("atleast_1d", (1.0,)),
    ("atleast_1d", (M, Z)),
    ("atleast_2d", (V,)),
    ("atleast_2d", (Z, C, V)),
    ("atleast_3d", (V,)),
    ("atleast_3d", (Z, M, C)),
    ("atleast_1d", ([1, 2],)),
    ("flip", (C,)),
    ("flip", (C,), {"axis": (0, -1)}),
    ("flip", (B, 1)),
    ("flip", (M, 2)),
    ("fliplr", (M,)),
    ("flipud", (M,)),
    ("fliplr", (V,)),
    *[("rot90", (C,), {"k": k, "axes": axes}) for k in (0, 1, 2, -1) for axes in ((0, 1), (2, 0))],
    ("rot90", (V,)),
    ("rot90", (M,), {"axes": (0, 0)}),
    ("roll", (M, 5)),
    ("roll", (M, -1), {"axis": 1}),
    ("roll", (M,), {"shift": (1, 2), "axis": (0, 1)}),
    ("roll", (M, (1, 2)), {"axis": 0}),
    ("roll", (M, 1), {"axis": (0, -1)}),
    ("roll", (M, np.int32(2)), {"axis": 1}),
    ("roll", (M, np.array([1, -3], np.int32)), {"axis": (0, 1)}),
    ("roll", (M, np.array(7, np.int32))),
    ("roll", (E0, 1), {"axis": 0}),
    ("roll", (M, 1.5)),
    ("tile", (M, 2)),
    ("tile", (M,), {"reps": (2, 1, 3)}),
    ("tile", (M, ())),
    ("tile", (3, (2,))),
    ("tile", (V, (2, 0))),
    ("repeat", (M, 2)),
    ("repeat", (M, 2), {"axis": -1}),
    ("repeat", (M, (1, 0, 2)), {"axis": 0}),
    ("repeat", (M, 0), {"axis": 0}),
    ("repeat", (2.0, 3)),
    ("repeat", (M, 3), {"axis": 0, "total_repeat_length": 7}),
    ("repeat", (M, np.array([1, 0, 2], np.int32)), {"axis": 0, "total_repeat_length": 3}),
    ("repeat", (M, np.array([2, 3, 2], np.int32)), {"axis": 0, "total_repeat_length": 4}),
    ("repeat", (M, np.array([1, 1, 1], np.int32)), {"axis": 0, "total_repeat_length": 6}),
    ("repeat", (M, np.array([1, 0, 2], np.int32)), {"axis": 0}),
    ("repeat", (M, np.array([1, 0], np.int32)), {"axis": 0}),
    ("repeat", (INTS, np.array([2], np.int32)), {"axis": 1}),
    ("resize", (M, (5, 4))),
    ("resize", (M, (2, 2))),
    ("resize", (M, 30)),
    ("resize", (E0, (2, 2))),
    ("resize", (M, (-1, 2))),
    ("concatenate", ([M, C[0]],)),
    ("concatenate", ([M, INTS, 2 * M],), {"axis": 1}),
    ("concatenate", ([M, V],), {"axis": None}),
    ("concatenate", ([M, INTS],), {"dtype": "float16"}),
    ("concatenate", (C,), {"axis": 1}),
    ("concatenate", (C,), {"axis": None, "dtype": np.int32}),
    ("concatenate", (M,), {"axis": 0}),
    ("concatenate", (V,)),
    ("concatenate", ([],)),
    ("concatenate", ([Z, Z],)),
    ("concatenate", ([M, V],)),
    ("concatenate", ([M, S],), {"axis": 1}),
    ("concatenate", ([[1, 2], [3]],)),
    ("concatenate", ([B, INTS],)),
    ("concatenate", ([H, M],), {"axis": -1}),
    ("concat", ((M, M),), {"axis": 1}),
    ("stack", ([M, INTS],)),
    ("stack", ((V, V),), {"axis": -1}),
    ("stack", ([1.0, 2],)),
    ("stack", ([V, V],), {"dtype": "bfloat16", "axis": 1}),
    ("stack", (C,), {"axis": 2}),
    ("stack", ([],)),
    ("stack", ([V, M],)),
    ("stack", ([V],), {"axis": 3}),
    ("stack", ([V],), {"out": 1}),
    *[(name, (arrays,)) for name in ("vstack", "hstack", "dstack", "column_stack")
      for arrays in ([V, V], [M, M], [M, INTS], (1.0, 2.0), C, M, V, [C, C])],
    *[(name, ([V, V],), {"dtype": np.int32}) for name in ("vstack", "hstack", "dstack")],
    ("block", ([[M, M], [INTS, 2 * M]],)),
    ("block", ([V, 1.0],)),
    ("block", ([[1, 2], [3, 4]],)),
    ("block", ((1, 2),)),
    ("block", ([[1], 2],)),
    ("append", (M, V)),
    ("append", (M, M), {"axis": 1}),
    ("append", (M, V), {"axis": 0}),
    ("split", (C, 2)),
    ("split", (M, 2), {"axis": -1}),
    ("split", (M,), {"indices_or_sections": [1, 3], "axis": 1}),
    ("split", (V, 2)),
    ("split", (V, (2, 7))),
    ("split", (V, (3, 2))),
    ("array_split", (V, 3)),
    ("array_split", (M, 3), {"axis": 1}),
    ("hsplit", (M, 2)),
    ("hsplit", (V, [1])),
    ("vsplit", (M, (1, 2))),
    ("dsplit", (C, 2)),
    ("unstack", (C,), {"axis": -1}),
    ("unstack", (Z,)),
    ("insert", (V, 1, 3.0)),
    ("insert", (M, 1, 3)),
    ("insert", (M, 1, V[:4]), {"axis": 0}),
    ("insert", (M, 4, V[:3]), {"axis": 1}),
    ("insert", (M, np.array([0, 2, -1], np.int32), V[:3, None]), {"axis": 1}),
    ("insert", (M, slice(0, 2), 1.0), {"axis": 0}),
    ("insert", (M, np.array([1], np.int32), M[:2]), {"axis": 0}),
    ("insert", (V, 1.5, 0)),
    ("delete", (V, 1)),
    ("delete", (V, -2)),
    ("delete", (V, 5)),
    ("delete", (M, slice(1, 3)), {"axis": 1}),
    ("delete", (M, np.array([0, 2]))),
    ("delete", (M, np.array([True, False, True])), {"axis": 0}),
    ("delete", (V, np.array([0, -1], np.int32)), {"assume_unique_indices": True}),
    ("pad", (E0, 1)),
    ("diag", (V,)),
    ("diag", (V,), {"k": -2}),
    ("diag", (M,), {"k": 1}),
    ("diag", (M, -5)),
    ("diag", (C,)),
    ("diagflat", (M, 1)),
    ("diagflat", (V,), {"k": -1}),
    ("diagonal", (C,)),
    ("diagonal", (C,), {"offset": 1, "axis1": 2, "axis2": 0}),
    ("diagonal", (C,), {"offset": -9}),
    ("diagonal", (V,)),
    ("diagonal", (M,), {"axis1": 1, "axis2": -1}),
    ("fill_diagonal", (M, 2.0), {"inplace": False}),
    ("fill_diagonal", (M, V[:2]), {"inplace": False}),
    ("fill_diagonal", (M, 2.0)),
    ("fill_diagonal", (M, 2.0), {"inplace": False, "wrap": True}),
    ("fill_diagonal", (C, 2.0), {"inplace": False}),
    *[(name, (x,), {"k": k}) for name in ("tril", "triu") for x in (M, C, B) for k in (-1, 0, 2)],
    ("tril", (V,)),
    *[(name, (4,), {"k": k, "m": m}) for name in ("tril_indices", "triu_indices") for k in (0, -1, 2) for m in (None, 3)],
    ("tril_indices_from", (M,), {"k": 1}),
    ("triu_indices_from", (M, -1)),
    ("triu_indices_from", (C,)),
    ("trace", (S,)),
    ("trace", (C,), {"offset": 1, "axis1": 2, "axis2": -2}),
    ("trace", (U,), {"dtype": np.int16}),
    ("trace", (B,)),
    ("trace", (U,)),
    ("trace", (S, np.array(-1, np.int32))),
    ("trace", (S,), {"out": 1}),
    ("trim_zeros", (np.array([0, 0, 1, 2, 0], np.float32),)),
    ("trim_zeros", (np.array([0, 0, 1, 2, 0], np.float32),), {"trim": "f"}),
    ("trim_zeros", (np.pad(M, 2),), {"axis": 1, "trim": "b"}),
    ("trim_zeros", (np.zeros(3, np.float32),)),
    ("packbits", (INTS,), {"axis": 1}),
    ("packbits", (B,), {"bitorder": "little"}),
    ("packbits", (M,)),
    ("packbits", (INTS,), {"bitorder": "no"}),
    ("unpackbits", (U,)),
    ("unpackbits", (U,), {"axis": 0, "count": 5, "bitorder": "little"}),
    ("unpackbits", (U,), {"axis": 1, "count": 40}),
    ("unpackbits", (U,), {"axis": 1, "count": -3}),
    ("unpackbits", (INTS,)),
]  # fmt: skip

PADS = [
    ({}, 1),
    ({}, (1, 2)),
    ({"constant_values": 3}, ((1, 0), (0, 2))),
    ({"constant_values": ((1, 2), (3, 4))}, ((1, 2), (2, 1))),
    ({"constant_values": (1, 2)}, 1),
    ({"constant_values": (5,)}, 1),
    ({"mode": "edge"}, ((1, 0), (2, 3))),
    ({"mode": "wrap"}, ((1, 7), (9, 2))),
    *[({"mode": mode, "reflect_type": kind}, ((1, 5), (7, 0))) for mode in ("reflect", "symmetric") for kind in ("even", "odd")],
    ({"mode": "linear_ramp"}, ((2, 1), (0, 3))),
    ({"mode": "linear_ramp", "end_values": ((1, 2), (3, -4))}, 2),
    *[({"mode": mode}, ((1, 2), (2, 0))) for mode in ("maximum", "minimum", "mean", "median")],
    *[({"mode": mode, "stat_length": ((2, 1), (3, 9))}, 2) for mode in ("maximum", "minimum", "mean", "median")],
    ({"mode": "empty"}, 0),
    ({"mode": "no"}, 1),
    ({"mode": "edge", "constant_values": 1}, 1),
    ({"mode": "mean", "stat_length": 0}, 1),
    ({}, ((1, 2), (1, 2), (1, 2))),
    ({}, -1),
    ({}, 1.5),
]  # fmt: skip


@table(CASES, FULL)
def test_agrees(name, args, kwargs, modes):
    agree(f"numpy.{name}", *args, modes=modes, **kwargs)


@pytest.mark.parametrize("array", [M] + [INTS, U, H, X] * FULL, ids=lambda x: x.dtype.name)
@pytest.mark.parametrize("options, widths", PADS, ids=str)
def test_pad(options, widths, array):
    agree("numpy.pad", array, widths, modes=MODES if FULL or not options else (EAGER,), **options)


def test_pad_by_function():
    def function(vector, widths, axis, options):
        n = vector.shape[0]
        at = abs(np.arange(n) - n // 2) + axis + options["more"]
        return vector + at.astype(np.float32) * float(widths[0])

    agree("numpy.pad", M, ((1, 2), (2, 0)), function, more=3)


def test_mask_indices():
    jnp = pj.numpy
    np.testing.assert_array_equal(jnp.stack(jnp.mask_indices(4, jnp.triu, 1)), np.stack(np.triu_indices(4, 1)))
    np.testing.assert_array_equal(jnp.mask_indices(4, jnp.tril, -1, size=8)[0], [1, 2, 2, 3, 3, 3, 0, 0])


def test_warns_of_64_bits():
    with pytest.warns(UserWarning, match="int64"):
        pj.numpy.concatenate([V], dtype=np.int64)


def test_x64():
    with pj.config.temporarily("jax_enable_x64", True):
        assert pj.numpy.tril_indices(3)[0].dtype == np.int64
        assert pj.numpy.concatenate([V.astype(np.float64), V]).dtype == np.float64
