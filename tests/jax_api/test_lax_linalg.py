"""jax.lax.linalg, as in JAX; factors that are determined up to signs are compared by what they give."""

import numpy as np
import pytest
from conftest import FULL

from . import agreement
from .agreement import agree
from .together import agree_together

RNG = np.random.default_rng(7)
A = np.array([[1.5, 1, 0.5], [2, 3, 0.2], [0.5, 0.7, -2]], np.float32)
S = np.array([[4, 1, 0.5], [1, 3, 0.2], [0.5, 0.2, 5]], np.float32)
F = np.array([0.3, 0.5, 0.7], np.float32)
T = RNG.normal(size=(3, 2)).astype(np.float32)
Z = (A + 1j * A.T).astype(np.complex64)
I = A.astype(np.int32)  # noqa: E741
EAGER = ("eager",)
MODES = agreement.MODES if FULL else ("eager", "grad")
CLOSE = {"rtol": 1e-4, "atol": 1e-4}

CASES = [
    ("cholesky", (S,), {}), ("cholesky", (np.tril(S),), {"symmetrize_input": False}), ("cholesky", (F,), {}),
    ("lu", (A,), {}), ("lu", (T,), {}), ("svd", (A,), {"compute_uv": False}), ("eig", (A,), {"compute_left_eigenvectors": False, "compute_right_eigenvectors": False}),
    ("triangular_solve", (S, A), {}), ("triangular_solve", (S, A), {"left_side": True, "lower": True}), ("triangular_solve", (S, A), {"transpose_a": True}),
    ("triangular_solve", (S, A), {"unit_diagonal": True, "left_side": True}), ("triangular_solve", (S, F), {"left_side": True}), ("triangular_solve", (S, F), {}),
    ("triangular_solve", (S, I), {}), ("triangular_solve", (S, F[:2]), {}), ("householder_product", (A, F), {}), ("householder_product", (T, F[:2]), {}),
    ("householder_product", (A, F[:2]), {}), ("ormqr", (A, F, S), {}), ("ormqr", (A, F, S), {"left": False, "transpose": True}), ("ormqr", (T, F[:2], S), {"transpose": True}),
    ("symmetric_product", (A, S), {"alpha": 2.0, "beta": 3.0, "symmetrize_output": True}),
]  # fmt: skip
NO_GRAD = ("householder_product", "ormqr", "symmetric_product")  # of these JAX has no derivative
# where one triangle is read JAX gives a cotangent that is not symmetric, we the symmetric one of the same effect


@pytest.mark.parametrize("name, args, kwargs", CASES)
def test_cases(name, args, kwargs):
    program = lambda jax, *xs: [
        abs(x) if name == "eig" else x for x in _several(getattr(jax.lax.linalg, name)(*xs, **kwargs))
    ]
    modes = (
        EAGER
        if name in NO_GRAD or "symmetrize_input" in kwargs or name == "eig" or (name == "lu" and args[0] is T)
        else MODES
    )
    agree(program, *args, modes=modes, **CLOSE)


def _several(x):
    return x if isinstance(x, (tuple, list)) else [x]


def test_complex_systems():
    for flags in (
        {"conjugate_a": True},
        {"conjugate_a": True, "transpose_a": True},
        {"transpose_a": True, "lower": True},
    ):
        agree("lax.linalg.triangular_solve", Z, Z[::-1].copy(), left_side=True, **flags, modes=EAGER, **CLOSE)


def test_factors():
    product = lambda jax, x, full: jax.numpy.matmul(*jax.lax.linalg.qr(x, full_matrices=full))
    for full in (True, False):
        agree(lambda jax, x: product(jax, x, full), T, modes=EAGER, **CLOSE)
        agree(lambda jax, x: [v.shape for v in jax.lax.linalg.qr(x, full_matrices=full)], T, modes=EAGER)
        agree(lambda jax, x: [v.shape for v in jax.lax.linalg.svd(x, full_matrices=full)], T, modes=EAGER)
    agree(lambda jax, x: abs(jax.lax.linalg.svd(x, full_matrices=False)[2]), T, modes=EAGER, **CLOSE)
    agree(
        lambda jax, x: abs(jax.lax.linalg.svd(x, algorithm=jax.lax.linalg.SvdAlgorithm.QR)[0]), T, modes=EAGER, **CLOSE
    )
    agree(lambda jax, x: jax.lax.linalg.lu_pivots_to_permutation(jax.lax.linalg.lu(x)[1], 3), A, modes=EAGER)
    for flags in (
        {},
        {"lower": False, "symmetrize_input": False},
        {"symmetrize_input": False},
        {"sort_eigenvalues": True},
    ):
        agree(lambda jax, x: [abs(v) for v in jax.lax.linalg.eigh(x, **flags)], S, modes=EAGER, **CLOSE)
    agree(lambda jax, x: jax.lax.linalg.eigh(x)[1], S, modes=MODES, **CLOSE)


def test_vectors_of_any_matrix():
    by_size = lambda jax, x, i: jax.lax.sort(abs(jax.lax.linalg.eig(x)[i]), dimension=0)
    for i in range(3):
        agree(lambda jax, x: by_size(jax, x, i), S, modes=EAGER, **CLOSE)
    import pequegrad.jax_api as pj

    values, left, right = map(np.asarray, pj.lax.linalg.eig(A))
    np.testing.assert_allclose(A @ right, right * values, atol=1e-4)
    np.testing.assert_allclose(left.conj().T @ A, values[:, None] * left.conj().T, atol=1e-4)
    assert len(pj.lax.linalg.eig(A, compute_right_eigenvectors=False)) == 2


def test_cholesky_update():
    upper = np.linalg.cholesky(S).T.copy()
    agree("lax.linalg.cholesky_update", upper, F, modes=EAGER, **CLOSE)


@pytest.mark.parametrize("n", [1, 2, 6])
def test_tridiagonal_solve(n):
    low, main, high = RNG.normal(size=(3, n)).astype(np.float32)
    low[0] = high[-1] = 0
    agree(
        "lax.linalg.tridiagonal_solve",
        low,
        main,
        high,
        RNG.normal(size=(n, 2)).astype(np.float32),
        modes=MODES if n == 6 else EAGER,
        rtol=1e-3,
        atol=1e-3,
    )


def test_singular_tridiagonal_systems():
    ones, zeros = np.ones(4, np.float32), np.zeros(4, np.float32)
    b = RNG.normal(size=(4, 2)).astype(np.float32)
    low, high = np.array([0, 1, 0, 0], np.float32), np.array([1, 0, 0, 0], np.float32)
    pivoted = (
        np.array([0, 2, 1, 0.5], np.float32),
        np.array([0, 1, 0, 2], np.float32),
        np.array([0.5, 1, 3, 0], np.float32),
    )
    cases = [
        ("lax.linalg.tridiagonal_solve", (*matrix, b.astype(matrix[0].dtype)), {"perturb_singular": perturb})
        for matrix in ((low, ones, high), pivoted, tuple(x.astype(np.complex64) for x in pivoted)) for perturb in (False, True)
    ]  # fmt: skip
    agree_together(cases, grad=False, rtol=1e-3, atol=1e-5)
    import pequegrad.jax_api as pj

    solve = pj.lax.linalg.tridiagonal_solve
    assert np.isnan(solve(zeros, zeros, zeros, b)).all()  # JAX: some are infinite
    assert np.isfinite(solve(zeros, zeros, zeros, b, perturb_singular=True)).all()


def _of_reflections(jax, packed, taus):
    """The part of hessenberg's Q that is not trivial."""
    return jax.lax.linalg.householder_product(packed[..., 1:, :-1], taus)


FORMS = {
    "hessenberg": lambda jax, x: jax.lax.linalg.hessenberg(x), "geqrf": lambda jax, x: jax.numpy.linalg.qr(x, mode="raw"),
    "reflections": lambda jax, x: _of_reflections(jax, *jax.lax.linalg.hessenberg(x)), "tridiagonal": lambda jax, x: jax.lax.linalg.tridiagonal(x),
    "upper tridiagonal": lambda jax, x: jax.lax.linalg.tridiagonal(x, lower=False), "schur": lambda jax, x: [abs(v) for v in jax.lax.linalg.schur(x)],
    "schur form": lambda jax, x: [abs(v) for v in jax.lax.linalg.schur(x, compute_schur_vectors=False)], "qr": lambda jax, x: jax.lax.linalg.qr(x, pivoting=True),
    "economic qr": lambda jax, x: jax.lax.linalg.qr(x, pivoting=True, full_matrices=False),
}  # fmt: skip


def test_forms():
    big = RNG.normal(size=(6, 6)).astype(np.float32)
    matrices = [A, Z, np.stack([A, S]), A[:1, :1], A[:2, :2], big]
    tall = [T, T.T.copy(), np.stack([T, T * 2]), A[:0]]
    cases = [(FORMS[name], (x,), {}) for name in FORMS for x in matrices]
    cases += [
        (FORMS[name], (x,), {})
        for name in ("geqrf", "qr", "economic qr")
        for x in (tall if name == "geqrf" else tall[:3])
    ]
    agree_together(cases if FULL else cases[::2] + cases[1::4], grad=False, rtol=1e-3, atol=1e-4)


def test_forms_have_no_derivative_and_refuse_what_jax_refuses():
    for name in ("hessenberg", "geqrf", "tridiagonal", "schur"):
        agree(FORMS[name], S, modes=("grad",))
    for name in FORMS:
        for x in (
            F,
            I,
            *((T,) if name not in ("geqrf", "qr", "economic qr") else ()),
            *((A[:0, :0],) if "diagonal" in name else ()),
        ):
            if not (x is I and name == "geqrf"):
                agree(FORMS[name], x, modes=EAGER)
    agree("lax.linalg.schur", A, sort_eig_vals=True, modes=EAGER)
    # the derivative of a factorisation with pivoting is that of the permuted matrix
    agree(lambda jax, x: [abs(v) for v in jax.lax.linalg.qr(x, pivoting=True)[:2]], A, modes=("grad",), **CLOSE)


def test_forms_of_what_is_not_finite():
    import pequegrad.jax_api as pj

    bad = A.copy()
    bad[0, 1] = np.nan
    for name in FORMS:
        found = FORMS[name](pj, bad)
        for x in found if isinstance(found, (list, tuple)) else [found]:
            if name != "tridiagonal" and x.dtype.kind == "f":  # which reads the lower triangle
                assert np.isnan(np.asarray(x)).any(), name
    assert np.isfinite(np.asarray(pj.lax.linalg.tridiagonal(bad)[1])).all()


def test_what_is_not_there():
    import pequegrad.jax_api as pj

    for call in (
        lambda: pj.lax.linalg.schur(A, sort_eig_vals=True),
        lambda: pj.lax.linalg.svd(A, subset_by_index=(0, 1)),
        lambda: pj.lax.linalg.eigh(S, subset_by_index=(0, 1)),
    ):
        with pytest.raises(NotImplementedError):
            call()
