"""jax.numpy.linalg: the same as JAX. Factors that are determined up to signs only are compared by what they reproduce."""

import jax
import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from .agreement import EAGER, GRAD, MODES, VMAP, agree, same, table

rng = np.random.default_rng(5)
normal = lambda *shape: rng.normal(size=shape).astype(np.float32)
A = normal(4, 4) + 4 * np.eye(4, dtype=np.float32)
A2, A3 = A[:2, :2], A[:3, :3]
BATCH = normal(2, 4, 4) + 4 * np.eye(4, dtype=np.float32)
SPD = A @ A.T + np.eye(4, dtype=np.float32)
HERMITIAN = SPD - 6 * np.eye(4, dtype=np.float32)
X = (A + 1j * normal(4, 4)).astype(np.complex64)
M, T, C = normal(3, 5), normal(5, 3), normal(2, 3, 4)
V = normal(4)
INTS = np.array([[2, 1, 0], [1, 3, 1], [0, 1, 4]], np.int32)
SINGULAR = np.array([[1, 2], [2, 4]], np.float32)
E0 = np.zeros((0, 3), np.float32)
INF = np.inf

CASES = [
    *[("norm", (x,), {"ord": ord}) for x in (V, M) for ord in (None, 1, -1, 2, -2, INF, -INF, 0, 3, "fro", "nuc", "no")],
    *[("norm", (C,), {"ord": ord, "axis": axis, "keepdims": keep})
      for ord in (None, 1, 2, INF, -INF) for axis in (1, (0, 2), (2, 0)) for keep in (False, True)],
    ("norm", (C,)),
    ("norm", (C,), {"keepdims": True}),
    ("norm", (C, 1)),
    ("norm", (X,)),
    ("norm", (X,), {"ord": 1, "axis": 0}),
    ("norm", (INTS,)),
    ("norm", (V, 3), {"axis": -1, "keepdims": True}),
    ("norm", (E0, INF), {"axis": 0}),
    ("norm", (C,), {"axis": (0, 1, 2)}),
    ("norm", (C,), {"axis": 3}),
    ("vector_norm", (C,)),
    *[("vector_norm", (C,), {"axis": (0, 2), "keepdims": True, "ord": ord}) for ord in (1, 2, 3, INF, -INF, 0, "no")],
    *[("matrix_norm", (C,), {"keepdims": keep, "ord": ord}) for keep in (False, True) for ord in ("fro", "nuc", 1, -2, INF)],
    *[("inv", (x,)) for x in (A, BATCH, X, INTS, M, V)],
    *[("det", (x,)) for x in (A, A2, A3, BATCH, X, X[:2, :2], X[:3, :3], INTS, SINGULAR, M, A[:1, :1])],
    *[("slogdet", (x,)) for x in (A, A2, A3, BATCH, X, INTS, M, A[:1, :1], -A3)],
    ("slogdet", (A3,), {"method": "lu"}),
    ("slogdet", (A3,), {"method": "qr"}),
    ("slogdet", (-BATCH,), {"method": "qr"}),
    ("slogdet", (X,), {"method": "qr"}),
    ("slogdet", (A3,), {"method": "no"}),
    ("solve", (A, V)),
    ("solve", (BATCH, V)),
    ("solve", (A, BATCH)),
    ("solve", (X, A)),
    ("solve", (INTS, np.array([1, 2, 3], np.int32))),
    ("solve", (M, V)),
    ("solve", (A, M)),
    ("solve", (V, V)),
    ("lstsq", (T, normal(5))),
    ("lstsq", (T, normal(5, 2))),
    ("lstsq", (M, normal(3, 2))),
    ("lstsq", (T, normal(5)), {"rcond": 0.5}),
    ("lstsq", (T, normal(5)), {"rcond": -1}),
    ("lstsq", (T, normal(4))),
    ("lstsq", (C, normal(2))),
    *[("pinv", (x,)) for x in (M, T, BATCH, X, E0, INTS)],
    ("pinv", (M, 0.5)),
    ("pinv", (M,), {"rcond": 0.5}),
    ("pinv", (M, 0.5), {"rcond": 0.5}),
    ("pinv", (SPD,), {"hermitian": True}),
    ("pinv", (V,)),
    *[("svdvals", (x,)) for x in (M, C, X, INTS)],
    ("svd", (M,), {"compute_uv": False}),
    ("svd", (HERMITIAN,), {"compute_uv": False, "hermitian": True}),
    *[("eigvalsh", (x,)) for x in (SPD, X @ X.conj().T, INTS, BATCH + np.swapaxes(BATCH, 1, 2))],
    ("eigvalsh", (A,), {"UPLO": "U", "symmetrize_input": False}),
    ("eigvalsh", (A,), {"symmetrize_input": False}),
    ("eigvalsh", (A,), {"UPLO": "no"}),
    ("eigvalsh", (M,)),
    *[("cholesky", (x,)) for x in (SPD, INTS, M)],
    ("cholesky", (SPD,), {"upper": True}),
    ("cholesky", ((X @ X.conj().T).astype(np.complex64),), {"upper": True}),
    ("cholesky", (SPD + np.triu(A, 1),), {"symmetrize_input": False}),
    *[("matrix_power", (A, n)) for n in (0, 1, 2, 3, 5, -2)],
    ("matrix_power", (INTS, 7)),
    ("matrix_power", (A, 1.5)),
    ("matrix_power", (M, 2)),
    *[("matrix_rank", (x,)) for x in (A, SINGULAR, C, V, INTS, np.zeros((2, 2), np.float32))],
    ("matrix_rank", (A, 4.0)),
    ("matrix_rank", (A,), {"tol": 4.0}),
    ("matrix_rank", (A, 1.0), {"tol": 4.0}),
    ("matrix_rank", (HERMITIAN,), {"hermitian": True}),
    ("matrix_rank", (BATCH, np.array([3.0, 4.0], np.float32))),
    *[("cond", (A,), {"p": p}) for p in (None, 2, -2, 1, INF, "fro")],
    ("cond", (M,)),
    ("cond", (M, 1)),
    ("cond", (V,)),
    ("cond", (E0,)),
    ("multi_dot", ([V, A, T[:4], M],)),
    ("multi_dot", ([A, A, V],), {"precision": "highest"}),
    ("multi_dot", ([A],)),
    ("multi_dot", ([A, M],)),
    ("multi_dot", ([A, C, A],)),
    ("tensorinv", (normal(4, 6, 8, 3) + 3,), {"ind": 2}),
    ("tensorinv", (np.eye(6, dtype=np.float32).reshape(6, 2, 3),), {"ind": 1}),
    ("tensorinv", (M,), {"ind": 1}),
    ("tensorinv", (A, 0)),
    ("tensorsolve", (np.eye(6, dtype=np.float32).reshape(2, 3, 6) * 2, normal(2, 3))),
    ("tensorsolve", (np.eye(6, dtype=np.float32).reshape(2, 6, 3) * 2, normal(2, 3)), {"axes": (1,)}),
    ("tensorsolve", (M, V)),
    ("cross", (M[:, :3], T[:3]), {"axis": 0}),
    ("cross", (M[:, :3], T[:3])),
    ("cross", (M, M)),
    ("diagonal", (C,), {"offset": 1}),
    ("trace", (C,), {"offset": -1}),
    ("trace", (INTS,), {"dtype": np.int16}),
    ("matmul", (M, T), {"preferred_element_type": np.float32}),
    ("matrix_transpose", (C,)),
    ("matrix_transpose", (V,)),
    ("outer", (V, V)),
    ("outer", (M, V)),
    ("tensordot", (C, C), {"axes": ((0, 1), (0, 1))}),
    ("vecdot", (C, C), {"axis": 1}),
]  # fmt: skip


@table(CASES, FULL)
def test_agrees(name, args, kwargs, modes):
    if {"symmetrize_input", "hermitian"} & set(kwargs):
        # of one triangle: JAX differentiates at the symmetrized matrix, and spreads the gradient over both triangles differently
        modes = [mode for mode in modes if mode not in (GRAD, VMAP)]  # and what vmap makes of it is not Hermitian
    # the same method in another library: as many ulp as the condition of these matrices allows
    agree(f"numpy.linalg.{name}", *args, modes=modes, rtol=2e-4, atol=2e-4, **kwargs)


@pytest.fixture
def reproduced(monkeypatch):
    """numpy._product(name, options, x): the factors of x multiplied, and what does not depend on their signs."""

    def product(root, name, options, x):
        jnp = root.numpy
        found = getattr(jnp.linalg, name)(x, **options)
        if name == "qr":
            if options.get("mode") == "r":
                return jnp.abs(found)
            q, r = found
            return q @ r, jnp.abs(r)
        if name == "svd":
            u, s, vh = found
            k = s.shape[-1]
            return (u[..., :k] * s[..., None, :].astype(u.dtype)) @ vh[..., :k, :], s, jnp.abs(u[..., :k])
        values, vectors = found
        if name == "eigh":
            rows = jnp.matrix_transpose(vectors.real)
            if x.dtype == np.complex64:
                rows = rows - 1j * jnp.matrix_transpose(vectors.imag)
            return (vectors * values[..., None, :].astype(x.dtype)) @ rows, values, jnp.abs(vectors)
        order = jnp.argsort(values.real)
        return x @ vectors - vectors * values[..., None, :], values[order], jnp.abs(vectors)[:, order]

    for root in (pj, jax):
        monkeypatch.setattr(root.numpy, "_product", lambda *args, root=root: product(root, *args), raising=False)


DECOMPOSED = [
    ("qr", {}, T),
    ("qr", {}, C),
    ("qr", {"mode": "complete"}, T),
    ("qr", {"mode": "full"}, T),
    ("qr", {"mode": "r"}, T),
    ("qr", {"mode": "no"}, T),
    ("qr", {}, X),
    ("qr", {}, INTS),
    ("svd", {"full_matrices": False}, T),
    ("svd", {"full_matrices": False}, C),
    ("svd", {}, M),
    ("svd", {"full_matrices": False}, X),
    ("svd", {"hermitian": True}, HERMITIAN),
    ("eigh", {}, HERMITIAN),
    ("eigh", {}, (X + X.conj().T).astype(np.complex64)),
    ("eigh", {"UPLO": "U", "symmetrize_input": False}, SPD),
    ("eigh", {"UPLO": "L"}, BATCH + np.swapaxes(BATCH, 1, 2)),
    ("eigh", {"UPLO": "no"}, SPD),
    ("eig", {}, A),
    ("eig", {}, INTS),
]


@pytest.mark.parametrize("name, options, x", DECOMPOSED if FULL else DECOMPOSED[::3])
def test_decompositions(name, options, x, reproduced):
    differentiable = name in ("qr", "eigh") or options.get("full_matrices") is False
    if (
        "symmetrize_input" in options
    ):  # the upper triangle is read as the lower one of a^H: the gradient is the transpose of JAX's
        differentiable = False
    modes = (
        MODES if FULL and differentiable and x.dtype.kind != "c" else (EAGER, "grad") if differentiable else (EAGER,)
    )
    agree("numpy._product", name, options, x, modes=modes, rtol=1e-3, atol=1e-3)


def test_full_matrices_are_unitary():
    u, s, vh = pj.numpy.linalg.svd(M)
    assert u.shape == (3, 3) and s.shape == (3,) and vh.shape == (5, 5)
    same(vh @ vh.T, jax.numpy.eye(5), atol=1e-5)
    part = pj.numpy.linalg.svd(M, False, subset_by_index=(1, 3))  # JAX has it on TPUs only
    assert part.U.shape == (3, 2) and part.Vh.shape == (2, 5)
    same(part.S, s[1:3])
    with pytest.raises(ValueError, match="full_matrices"):
        pj.numpy.linalg.svd(M, subset_by_index=(1, 3))


def test_results_have_names():
    assert pj.numpy.linalg.svd(M)._fields == ("U", "S", "Vh")
    assert pj.numpy.linalg.eigh(SPD)._fields == ("eigenvalues", "eigenvectors")
    assert pj.numpy.linalg.qr(M)._fields == ("Q", "R")
    assert pj.numpy.linalg.slogdet(A)._fields == ("sign", "logabsdet")


def test_lstsq_as_numpy():
    deficient = np.array([[1, 1], [2, 2], [3, 3]], np.float32)
    for a in (T, deficient, M):
        agree("numpy.linalg.lstsq", a, normal(a.shape[0]), modes=(EAGER,), numpy_resid=True, rtol=1e-4, atol=1e-4)


def test_eigvals():
    same(pj.numpy.sort(pj.numpy.linalg.eigvals(A)), jax.numpy.sort(jax.numpy.linalg.eigvals(A)), rtol=1e-4, atol=1e-4)


def test_x64():
    with pj.config.temporarily("jax_enable_x64", True):
        assert pj.numpy.linalg.inv(INTS).dtype == np.float64
        assert pj.numpy.linalg.norm(np.ones(3)).dtype == np.float64
        assert pj.numpy.linalg.matrix_rank(np.eye(3)).dtype == np.int64
