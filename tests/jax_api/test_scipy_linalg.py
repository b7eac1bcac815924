"""jax.scipy.linalg against JAX. Factors that are determined up to signs are compared by what they give."""

import warnings

import numpy as np
import pytest
from conftest import FULL

from .agreement import agree
from .together import agree_together

RNG = np.random.default_rng(11)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


A = normal(4, 4) + 3 * np.eye(4, dtype=np.float32)
S = (A @ A.T + np.eye(4, dtype=np.float32)).astype(np.float32)
BATCH = normal(2, 3, 3) + 2 * np.eye(3, dtype=np.float32)
SBATCH = (BATCH @ np.swapaxes(BATCH, 1, 2) + np.eye(3)).astype(np.float32)
Z = (normal(3, 3) + 1j * normal(3, 3)).astype(np.complex64)
H = (Z @ Z.conj().T + np.eye(3)).astype(np.complex64)
TALL, WIDE = normal(5, 3), normal(3, 5)
B, V, I = normal(4, 2), normal(4), np.arange(1, 10).reshape(3, 3) % 7  # noqa: E741
CLOSE = {"rtol": 3e-4, "atol": 1e-4}


def _several(x):
    return list(x) if isinstance(x, (tuple, list)) else [x]


def _absolute(name, **kwargs):
    """Absolute values of the results: their signs are arbitrary."""
    return lambda jax, *xs: [abs(x) for x in _several(getattr(jax.scipy.linalg, name)(*xs, **kwargs))]


def _symmetric(name):
    """Of the mean with the adjoint: where one triangle is read JAX's gradient is not symmetric, ours is that of the same effect."""
    mean = lambda jax, a: (a + jax.numpy.conj(jax.numpy.swapaxes(a, -1, -2))) / 2
    return lambda jax, a, *rest, **kwargs: getattr(jax.scipy.linalg, name)(mean(jax, a), *rest, **kwargs)


def _symmetric_solve(jax, a, b, lower):
    mean = (a + jax.numpy.conj(jax.numpy.swapaxes(a, -1, -2))) / 2
    return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(mean, lower=lower), b)


def _calls(cases):
    return [(f"scipy.linalg.{name}" if isinstance(name, str) else name, args, kwargs) for name, args, kwargs in cases]


SYSTEMS = [
    ("det", (A,), {}), ("det", (BATCH,), {}), ("inv", (A,), {}), ("inv", (BATCH,), {}), ("det", (I,), {}), ("inv", (I,), {}), ("inv", (Z,), {}),
    ("solve", (A, B), {}), ("solve", (A, V), {}), (_symmetric("solve"), (S, B), {"assume_a": "pos"}), (_symmetric("solve"), (S, V), {"assume_a": "pos", "lower": True}),
    ("solve", (A, B), {"assume_a": "sym"}), ("solve", (H, Z), {"assume_a": "her"}), ("solve", (BATCH, BATCH), {}), ("solve", (SBATCH, BATCH), {"assume_a": "pos"}),
    *[("solve_triangular", (A, b), k) for b in (B, V) for k in ({}, {"lower": True}, {"trans": 1}, {"trans": "T", "lower": True}, {"unit_diagonal": True})],
    *[("solve_triangular", (Z, Z[::-1].copy()), {"trans": t}) for t in (2, "C", "N")], ("solve_triangular", (BATCH, BATCH), {}), ("solve_triangular", (I, I), {}),
    (lambda jax, a, b, **k: jax.scipy.linalg.lu_solve(jax.scipy.linalg.lu_factor(a), b, **k), (A, B), {}),
    *[(lambda jax, a, b, **k: jax.scipy.linalg.lu_solve(jax.scipy.linalg.lu_factor(a), b, **k), (a, b), {"trans": t}) for t in (1, 2) for a, b in ((A, V), (Z, Z))],
    *[(_symmetric_solve, (a, b), {"lower": lower})
      for lower in (True, False) for a, b in ((S, B), (S, V), (H, Z))],
]  # fmt: skip
FACTORS = [
    (_symmetric("cholesky"), (S,), {}), (_symmetric("cholesky"), (SBATCH,), {"lower": True}), (_symmetric("cholesky"), (H,), {}), (lambda jax, a: jax.scipy.linalg.lu_factor(a)[0], (A,), {}),
    ("lu", (A,), {}), ("lu", (A,), {"permute_l": True}), ("lu", (TALL,), {}), ("lu", (WIDE,), {"permute_l": True}), ("svd", (A,), {"compute_uv": False}),
    (lambda jax, a: jax.numpy.matmul(*jax.scipy.linalg.qr(a)), (A,), {}), (lambda jax, a: jax.numpy.matmul(*jax.scipy.linalg.qr(a, mode="economic")), (TALL,), {}),
    (_absolute("qr", mode="r"), (A,), {}), (_absolute("qr", mode="economic"), (WIDE,), {}),
    ("polar", (A,), {"method": "svd"}), ("polar", (WIDE,), {"method": "svd", "side": "right"}),
    ("polar", (A,), {"method": "svd", "side": "left"}),
]  # fmt: skip
VALUES = [
    (lambda jax, a: jax.scipy.linalg.lu_factor(a)[1], (BATCH,), {}), (_absolute("svd"), (A,), {}), (_absolute("svd", full_matrices=False), (TALL,), {}),
    (lambda jax, a: [jax.numpy.zeros_like(x) for x in jax.scipy.linalg.svd(a)], (TALL,), {}),
    ("cholesky", (A + 9 * np.eye(4, dtype=np.float32),), {}), ("cholesky", (A + 9 * np.eye(4, dtype=np.float32),), {"lower": True}),
    (lambda jax, a: jax.scipy.linalg.cho_factor(a, lower=True)[0], (S,), {}), (_absolute("eigh"), (S,), {}), ("eigh", (S,), {"eigvals_only": True}),
    (_absolute("eigh", lower=False), (S,), {}), (_absolute("eigh"), (H,), {}), ("polar", (Z,), {}), ("polar", (A,), {}), ("polar", (TALL,), {}), ("polar", (WIDE,), {"side": "left"}),
    (_absolute("qr", pivoting=True), (A,), {}),
    (_absolute("qr", pivoting=True, mode="economic"), (TALL,), {}), (_absolute("qr", pivoting=True, mode="r"), (WIDE,), {}),
    (_absolute("qr", pivoting=True), (Z,), {}), (_absolute("qr", pivoting=True), (BATCH,), {}),
    *[(_absolute("qr_multiply", **k), (a, c), {}) for a, c, k in (
        (A, B, {"mode": "left"}), (A, normal(2, 4), {}), (A, V, {"mode": "left"}), (A, V, {}), (TALL, normal(2, 5), {}), (TALL, normal(3, 2), {"mode": "left"}),
        (TALL, normal(3), {"mode": "left", "pivoting": True}), (Z, Z, {"conjugate": True}), (A, V, {"overwrite_a": True, "overwrite_c": True}),
    )],
    ("hessenberg", (A,), {}), ("hessenberg", (A,), {"calc_q": True}), ("hessenberg", (Z,), {"calc_q": True}), ("hessenberg", (BATCH,), {"calc_q": True}),
    ("hessenberg", (A[:1, :1],), {"calc_q": True}), ("hessenberg", (A[:2, :2],), {"calc_q": True}),
    (_absolute("schur"), (A,), {}), (_absolute("schur"), (Z,), {}), (_absolute("schur", output="complex"), (S,), {}), (_absolute("schur"), (BATCH,), {}),
    (lambda jax, a: _product(jax, *jax.scipy.linalg.rsf2csf(*jax.scipy.linalg.schur(a))), (A,), {}),
    (lambda jax, a: abs(jax.numpy.tril(jax.scipy.linalg.rsf2csf(*jax.scipy.linalg.schur(a))[0], -1)), (A,), {}),
]  # fmt: skip


def _product(jax, t, z):
    return jax.numpy.matmul(jax.numpy.matmul(z, t), jax.numpy.conj(jax.numpy.swapaxes(z, -1, -2)))


FUNCTIONS = [
    ("expm", (A / 4,), {}), ("expm", (BATCH / 2,), {}), (lambda jax, a: jax.scipy.linalg.expm(jax.numpy.triu(a), upper_triangular=True), (A / 2,), {}), ("expm", (A * 30,), {"max_squarings": 2}),
    ("expm", (I,), {}), ("expm_frechet", (A / 4, S / 9), {}), ("expm_frechet", (A / 4, S / 9), {"compute_expm": False}), ("expm_frechet", (A / 4, S / 9), {"method": "SPS"}),
    ("block_diag", (A, B, V), {}), ("block_diag", (A,), {}), ("toeplitz", (V,), {}), ("toeplitz", (V, normal(3)), {}), ("toeplitz", (B, normal(4, 3)), {}), ("toeplitz", (Z,), {}),
    ("hankel", (V,), {}), ("hankel", (V, normal(3)), {}), ("circulant", (V,), {}), ("circulant", (B,), {}), ("companion", (V,), {}), ("companion", (B,), {}),
    ("leslie", (V, normal(3)), {}), ("leslie", (normal(2, 4), normal(2, 3)), {}), ("fiedler", (V,), {}), ("fiedler", (I,), {}),
    *[("fiedler_companion", (normal(n),), {}) for n in (1, 2, 3, 4, 5, 6, 7)], ("fiedler_companion", (normal(2, 5),), {}),
    *[("convolution_matrix", (V, n), {"mode": mode}) for n in (1, 3, 6) for mode in ("full", "same", "valid")], ("convolution_matrix", (B, 3), {}),
]  # fmt: skip
WITHOUT_GRADIENT = [
    ("sqrtm", (S,), {}), ("sqrtm", (A,), {}), ("sqrtm", (Z,), {}), ("solve_sylvester", (A, S, A), {}), ("solve_sylvester", (A, BATCH[0], normal(4, 3)), {"method": "eigen"}),
    ("solve_sylvester", (Z, H, Z), {}), ("solve_sylvester", (A, -A, S), {}), ("solve_sylvester", (A, S, A), {"tol": 50.0}), ("solve_sylvester", (BATCH, SBATCH, BATCH), {}),
    (lambda jax, a: jax.scipy.linalg.funm(a, jax.numpy.exp), (A / 4,), {}), (lambda jax, a: jax.scipy.linalg.funm(a, lambda x: x**2, disp=False)[0], (A,), {}),
    ("block_diag", (), {}), ("hilbert", (4,), {}), ("invhilbert", (4,), {}), ("pascal", (5,), {}), ("pascal", (4,), {"kind": "lower"}), ("pascal", (4,), {"kind": "upper"}),
    ("invpascal", (4,), {}), ("invpascal", (4,), {"kind": "lower"}), ("invpascal", (4,), {"kind": "upper"}), ("helmert", (4,), {}), ("helmert", (4,), {"full": True}), ("helmert", (1,), {}),
    ("hadamard", (4,), {}), ("hadamard", (1,), {}), ("hadamard", (8,), {"dtype": np.float32}), ("dft", (5,), {}), ("dft", (4,), {"scale": "sqrtn"}), ("dft", (4,), {"scale": "n"}),
    ("dft", (4,), {"dtype": np.complex64}), ("dft", (0,), {}), ("toeplitz", (np.float32(2),), {}), ("circulant", (np.float32(2),), {}),
]  # fmt: skip


@pytest.mark.parametrize("cases", [SYSTEMS, FACTORS, FUNCTIONS], ids=["systems", "factors", "functions"])
def test_values_and_gradients(cases):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # batches of vectors
        agree_together(_calls(cases if FULL else cases[::2]), grad=FULL or cases is FACTORS, **CLOSE)


@pytest.mark.parametrize("cases", [VALUES, WITHOUT_GRADIENT], ids=["forms", "others"])
def test_values(cases):
    agree_together(_calls(cases if FULL else cases[::2]), grad=False, rtol=1e-3, atol=3e-4)


@pytest.mark.parametrize("only", [True, False] if FULL else [True])
def test_eigh_tridiagonal(only):
    # JAX's bisection takes a second to compile, its inverse iteration cannot run under vmap with a key
    d, e = normal(6), normal(5)
    for options in ({}, {"select": "i", "select_range": (1, 3)}):
        call = lambda jax, d, e: [
            abs(x) for x in _several(jax.scipy.linalg.eigh_tridiagonal(d, e, eigvals_only=only, **options))
        ]  # noqa: B023
        agree(call, d, e, modes=("eager", "jit") if FULL else ("jit",), rtol=1e-3, atol=1e-4)


def test_gradient_of_qr_with_pivoting():
    product = lambda jax, a: jax.scipy.linalg.qr(a, pivoting=True)[1]
    agree(lambda jax, a: abs(product(jax, a)), A, modes=("grad",), **CLOSE)


def test_estimated_error_of_funm():
    agree(lambda jax, a: jax.scipy.linalg.funm(a, jax.numpy.exp, disp=False)[1] < 1e-3, A / 4, modes=("eager",))


@pytest.mark.parametrize(
    "name, args, kwargs",
    [
        ("cholesky", (TALL,), {}), ("cholesky", ([[1.0]],), {}), ("det", (TALL,), {}), ("inv", (TALL,), {}), ("inv", (V,), {}), ("solve", (A, B), {"assume_a": "other"}),
        ("solve", (A, normal(3)), {}), ("solve_triangular", (A, B), {"trans": 3}), ("solve_triangular", (A, normal(3)), {}), ("lu", (V,), {}), ("lu", (BATCH,), {}),
        ("lu_factor", (V,), {}), ("qr", (A,), {"mode": "raw"}), ("qr", (V,), {}), ("qr_multiply", (A, B), {"mode": "other"}), ("qr_multiply", (TALL, B), {}),
        ("polar", (V,), {}), ("polar", (A,), {"side": "other"}), ("polar", (A,), {"method": "other"}), ("polar", (WIDE,), {}), ("polar", (TALL,), {"side": "left"}),
        ("eigh", (S,), {"b": A}), ("eigh", (S,), {"type": 2}), ("eigh", (S,), {"eigvals": (0, 1)}), ("eigh", (TALL,), {}), ("schur", (A,), {"output": "other"}), ("schur", (TALL,), {}),
        ("rsf2csf", (A, TALL), {}), ("rsf2csf", (A, BATCH[0]), {}), ("hessenberg", (TALL,), {}), ("hessenberg", (V,), {}), ("hessenberg", (I,), {}),
        ("eigh_tridiagonal", (V, normal(3)), {"select": "v", "select_range": (0, 1)}), ("eigh_tridiagonal", (V, normal(3)), {"select": "i"}),
        ("eigh_tridiagonal", (V, normal(3)), {"select": "i", "select_range": (2, 1)}), ("eigh_tridiagonal", (V, normal(3)), {"select": "other"}),
        ("eigh_tridiagonal", (V, np.arange(3)), {}), ("eigh_tridiagonal", (np.arange(4), np.arange(3)), {}),
        ("expm", (TALL,), {}), ("expm", (V,), {}), ("expm", (A.astype(np.float16),), {}), ("expm_frechet", (A, TALL), {}), ("expm_frechet", (A, BATCH[0]), {}),
        ("expm_frechet", (A, A), {"method": "other"}), ("sqrtm", (A,), {"blocksize": 2}), ("sqrtm", (TALL,), {}), ("funm", (TALL, np.exp), {}),
        ("solve_sylvester", (A, S, normal(3, 4)), {}), ("solve_sylvester", (A, S, A), {"method": "other"}), ("solve_sylvester", (TALL, S, A), {}),
        ("block_diag", (BATCH,), {}), ("block_diag", ([[1.0]],), {}), ("toeplitz", ([1.0],), {}), ("hankel", (np.float32(1),), {}), ("companion", (normal(1),), {}), ("companion", (np.float32(1),), {}),
        ("leslie", (normal(1), normal(1)), {}), ("leslie", (V, V), {}), ("fiedler_companion", (V[:0],), {}), ("convolution_matrix", (V, 0), {}), ("convolution_matrix", (V, 2), {"mode": "other"}),
        ("convolution_matrix", (np.float32(1), 2), {}), ("convolution_matrix", (V[:0], 2), {}), ("convolution_matrix", (V, 2.5), {}),
        ("pascal", (3,), {"kind": "other"}), ("invpascal", (3,), {"kind": "other"}), ("helmert", (0,), {}), ("hadamard", (3,), {}), ("hadamard", (0,), {}), ("dft", (3,), {"scale": "other"}),
        ("dft", (3,), {"dtype": np.float32}),
    ],
)  # fmt: skip
def test_bad_input(name, args, kwargs):
    agree(f"scipy.linalg.{name}", *args, modes=("eager",), **CLOSE, **kwargs)
