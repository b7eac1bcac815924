"""Products, einsum, vectorize, apply_along_axis, piecewise and windows: the same as JAX."""

import jax
import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from .agreement import EAGER, MODES, agree, same, table

rng = np.random.default_rng(3)
normal = lambda *shape: rng.normal(size=shape).astype(np.float32)
V, W, M, N, C, D = normal(4), normal(4), normal(3, 4), normal(4, 5), normal(2, 3, 4), normal(2, 4, 5)
INTS = rng.integers(-3, 4, (3, 4)).astype(np.int32)
J = rng.integers(-3, 4, (4, 2)).astype(np.int8)
B = rng.random((4, 3)) > 0.5
X = (M + 1j * normal(3, 4)).astype(np.complex64)
H = normal(4, 5).astype(np.float16)
F = __import__("ml_dtypes").bfloat16
P, Q, R3, S3 = normal(2, 3), normal(2, 3), normal(3), normal(2)

CASES = [
    ("dot", (M, N)),
    ("dot", (V, W)),
    ("dot", (C, N)),
    ("dot", (C, D)),
    ("dot", (M, V)),
    ("dot", (2.0, M)),
    ("dot", (2, 3)),
    ("dot", (INTS, J)),
    ("dot", (M, M)),
    ("dot", (M, N), {"precision": "highest"}),
    ("dot", (INTS, J), {"preferred_element_type": np.float32}),
    ("dot", (J.T, J), {"preferred_element_type": np.int32}),
    ("dot", (H.T, H), {"preferred_element_type": np.float32}),
    ("dot", (M, N), {"preferred_element_type": F}),
    ("dot", (M.astype(F), N.astype(F)), {"preferred_element_type": np.float32}),
    ("dot", (B, B.T)),
    ("dot", (M, H)),
    ("dot", ([1, 2], [3, 4])),
    ("matmul", (M, N)),
    ("matmul", (C, D)),
    ("matmul", (C[:, None], D)),
    ("matmul", (V, D)),
    ("matmul", (C, V)),
    ("matmul", (V, W)),
    ("matmul", (M, 2.0)),
    ("matmul", (M, M)),
    ("matmul", (C, normal(3, 4, 5))),
    ("matmul", (INTS, J)),
    ("matmul", (X, N)),
    ("matmul", (M, N), {"precision": ("high", "high"), "preferred_element_type": np.float32}),
    ("matmul", (M.astype(F), N.astype(F)), {"preferred_element_type": np.float32}),
    ("matmul", (np.zeros((0, 4), np.float32), N)),
    ("vdot", (M, INTS)),
    ("vdot", (X, X)),
    ("vdot", (X, X), {"preferred_element_type": np.complex64}),
    ("vdot", (M, V)),
    ("vecdot", (M, V)),
    ("vecdot", (X, X), {"axis": 0}),
    ("vecdot", (C, C[:1]), {"axis": -1}),
    ("vecdot", (M, N)),
    ("vecdot", (J, J), {"preferred_element_type": np.int32}),
    ("matvec", (C, V)),
    ("matvec", (M, C[:, 0])),
    ("matvec", (V, V)),
    ("vecmat", (V, D)),
    ("vecmat", (X, N)),
    ("vecmat", (V, V)),
    ("tensordot", (C, D[0]), {"axes": 1}),
    ("tensordot", (C, C), {"axes": ((0, 1), (0, 1))}),
    ("tensordot", (C, D), {"axes": [2, 1]}),
    ("tensordot", (C, C)),
    ("tensordot", (M, V), {"axes": 0}),
    ("tensordot", (M, V), {"axes": 2}),
    ("tensordot", (M, V), {"axes": ((0, 1), (0,))}),
    ("tensordot", (M, V), {"axes": (1, (0,))}),
    ("tensordot", (M, V), {"axes": 1.5}),
    ("tensordot", (INTS, J), {"axes": 1, "preferred_element_type": np.float32}),
    ("inner", (M, V)),
    ("inner", (C, M)),
    ("inner", (2.0, M)),
    ("inner", (INTS, 3), {"preferred_element_type": np.float32}),
    ("inner", (M, N)),
    ("outer", (M, V)),
    ("outer", (INTS, 2.5)),
    ("outer", (V, V), {"out": V}),
    ("kron", (M, V)),
    ("kron", (INTS, C)),
    ("kron", (2, M)),
    ("cross", (P, Q)),
    ("cross", (P, R3)),
    ("cross", (P.T, Q.T), {"axis": 0}),
    ("cross", (P, Q.T), {"axisb": 0, "axisc": 0}),
    ("cross", (S3, R3)),
    ("cross", (S3, V[:2])),
    ("cross", (V, V)),
    ("cross", (P.T, Q), {"axisa": 0}),
    ("einsum", ("ij,jk->ik", M, N)),
    ("einsum", ("ij,jk", M, N)),
    ("einsum", ("ii->i", M[:, :3])),
    ("einsum", ("ii", M[:, :3])),
    ("einsum", ("...ij,...jk->...ik", C, D)),
    ("einsum", ("bij,bjk,kl->bl", C, D, normal(5, 3))),
    ("einsum", ("i,i->", V, INTS[0])),
    ("einsum", ("ij->ji", X)),
    ("einsum", (M, [0, 1], N, [1, 2], [0, 2])),
    ("einsum", (M, [0, 1])),
    *[("einsum", ("ij,jk,k,ij->i", M, N, normal(5), M), {"optimize": how})
      for how in (True, False, "greedy", "optimal", [(0, 1), (0, 1), (0, 1)], ["einsum_path", (0, 1)], "no")],
    ("einsum", ("ij,jk->ik", M.astype(F), N.astype(F)), {"preferred_element_type": np.float32}),
    ("einsum", ("ij,jk->ik", M, N), {"preferred_element_type": F}),
    ("einsum", ("ij,jk->ik", INTS, J), {"preferred_element_type": np.float32, "precision": "high"}),
    ("einsum", ("ij,jk->ik", M, M)),
    ("einsum", ("ij,jk->iz", M, N)),
    ("einsum", ("i(j->", M)),
    ("einsum", ("ij->i", B)),
    ("einsum", ("ij->i", M), {"out": V}),
    ("bartlett", (7,)),
    ("blackman", (6,)),
    ("hamming", (5,)),
    ("hanning", (1,)),
    ("hanning", (0,)),
    ("hanning", (9,)),
    ("kaiser", (6, 4.5)),
    ("kaiser", (6, np.float32(2) * np.ones((), np.float32))),
    ("kaiser", (2.5, 1.0)),
]  # fmt: skip


@table(CASES, FULL)
def test_agrees(name, args, kwargs, modes):
    # sums of products of 16-bit floats are rounded once here and there
    half = any(getattr(a, "dtype", None) in (np.float16, F) for a in args) or kwargs.get("preferred_element_type") is F
    agree(f"numpy.{name}", *args, modes=modes, rtol=1e-2 if half else None, atol=1e-2 if half else None, **kwargs)


def test_einsum_multiplies_pairs_by_a_given_function():
    calls = []

    def run(root):
        def product(x, y, dimension_numbers, precision=None, preferred_element_type=None):
            calls.append((dimension_numbers, precision, np.dtype(preferred_element_type)))
            (xs, ys), _ = dimension_numbers
            return root.numpy.tensordot(x, y, (tuple(xs), tuple(ys))) * 2

        return root.numpy.einsum("ij,jk->ik", M, N, precision="high", _dot_general=product)

    same(run(pj), run(jax))
    assert calls[0][1:] == calls[1][1:]


def test_einsum_path():
    for subscripts, *operands in [("ij,jk,kl->il", M, N, normal(5, 30)), ("ij,jk->ik", M, N), ("ij->j", M)]:
        path, text = pj.numpy.einsum_path(subscripts, *operands)
        assert path == jax.numpy.einsum_path(subscripts, *operands)[0]
        assert subscripts.replace(",", "")[:2] in str(text)
    assert pj.numpy.einsum_path("i,i,i->", V, V, V, optimize=[(1, 2), (0, 1)])[0] == [(1, 2), (0, 1)]


# name, function, keywords of vectorize, arguments
VECTORIZED = [
    (lambda x: x * 2, {}, (C,)),
    (lambda x, y: x * y + 1, {}, (C, V)),
    (lambda x, y: x * y, {}, (M[:, :1], V)),
    (lambda x, y: x @ y, {"signature": "(n),(n)->()"}, (C, V)),
    (lambda x, y: x @ y, {"signature": "(n,m),(m,k)->(n,k)"}, (C[:, None], D)),
    (lambda x: (x.sum(), x * 2), {"signature": "(n)->(),(n)"}, (C,)),
    (lambda x: x.sum(), {"signature": "(n, m)->()"}, (C[:1],)),
    (lambda x, n: x + n, {"excluded": {1}}, (M, 3)),
    (lambda x, y: x if y is None else x + y, {}, (M, None)),
    (lambda x, y: x @ y, {"signature": "(n),(n)->()"}, (M, N)),
    (lambda x: x, {"signature": "(n)->()"}, (M,)),
    (lambda x: (x, x), {"signature": "(n)->(n)"}, (M,)),
    (lambda x: x, {"signature": "(n)->(n),(n)"}, (M,)),
    (lambda x: x, {"signature": "n->n"}, (M,)),
    (lambda x: x, {"signature": "(n)->(n)"}, (M, M)),
    (lambda x: x, {"signature": "(n)->(n)"}, (1.0,)),
    (lambda x: x, {"excluded": {-1}}, (M,)),
    (lambda x: x, {"excluded": {1.5}}, (M,)),
    (lambda x, y: x, {}, (V, normal(3))),
]


class _Applied:
    """numpy.vectorize(function, **options)(*args) of both libraries under one name."""

    def __init__(self, monkeypatch):
        for root in (pj.numpy, jax.numpy):
            monkeypatch.setattr(
                root, "_applied", lambda f, options, *a, root=root: root.vectorize(f, **options)(*a), raising=False
            )


@pytest.mark.parametrize("function, options, args", VECTORIZED)
def test_vectorize(function, options, args, monkeypatch):
    _Applied(monkeypatch)
    agree("numpy._applied", function, options, *args, modes=MODES if FULL else (EAGER, "grad"))


def test_vectorize_takes_keywords_and_is_a_decorator():
    def f(x, y=2.0):
        """A function."""
        return x * y

    for root in (pj, jax):
        g = root.numpy.vectorize(f)
        assert g.__name__ == "f" and g.__doc__ == "A function."
        np.testing.assert_allclose(root.numpy.vectorize(f, excluded={"y"})(V, y=3.0), V * 3)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_apply_along_axis(axis):
    agree("numpy.apply_along_axis", lambda x: x[::-1] * x.sum(), axis, C)
    agree("numpy.apply_along_axis", lambda x, k, more: x.sum() * k + more, axis, C, 2.0, more=1.0)


def test_apply_over_axes():
    for function in (lambda x, axis: x.sum(axis), lambda x, axis: x.sum(axis, keepdims=True), lambda x, axis: x.sum()):
        agree("numpy.apply_over_axes", function, C, (0, 2))


@pytest.mark.parametrize(
    "conditions, functions",
    [
        ([V < 0, V > 1], [lambda x: -x, lambda x: x * x]),
        ([V < 0, V > -1], [lambda x: -x, lambda x: x * x, 7]),
        ([V < 0], [1, lambda x: x * 3]),
        ([V < 0], [1, 2, 3]),
    ],
)
def test_piecewise(conditions, functions):
    agree("numpy.piecewise", V, conditions, functions)
    agree("numpy.piecewise", V, np.stack(conditions), functions, modes=(EAGER,))


def test_piecewise_passes_arguments():
    agree("numpy.piecewise", V, [V > 0], [lambda x, k, more: x * k + more], 2, more=1.0)


def test_x64():
    with pj.config.temporarily("jax_enable_x64", True):
        assert pj.numpy.hanning(4).dtype == np.float64
        assert pj.numpy.dot(np.ones(3), V[:3]).dtype == np.float64
