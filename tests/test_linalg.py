"""pg.linalg against NumPy, SciPy and JAX: values, laws, derivatives, batches, shapes of size 0 and 1, and bad input."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
import pytest
import scipy.linalg

import pequegrad as pg
from pequegrad import linalg as L

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHAPES = [
    (3, 3),
    (5, 3),
    (3, 5),
    (1, 1),
    (1, 4),
    (4, 1),
    (0, 3),
    (3, 0),
    (0, 0),
    (2, 3, 4, 4),
    (3, 4, 2),
    (0, 2, 2),
    (40, 33),
]
SQUARE = [(3, 3), (1, 1), (0, 0), (2, 3, 4, 4), (0, 2, 2), (40, 40)]


def T(x):
    return np.swapaxes(x, -1, -2)


def regular(rng, *shape):
    return rng.normal(size=shape) + 3 * np.eye(shape[-1])


def definite(rng, *shape):
    x = rng.normal(size=shape)
    return x @ T(x) + np.eye(shape[-1])


def close(ours, expected, dtype=np.float64):
    """A few dozen operations on numbers around 1: errors of some ulps, times condition numbers below 1000."""
    tolerance = 1e-10 if dtype == np.float64 else 2e-3
    np.testing.assert_allclose(ours.numpy() if isinstance(ours, pg.Tensor) else ours, expected, tolerance, tolerance)


# ---- laws --------------------------------------------------------------------------------------------


def unit(x):
    """x^T x is the identity."""
    close(T(x) @ x, np.broadcast_to(np.eye(x.shape[-1]), (*x.shape[:-2], x.shape[-1], x.shape[-1])), x.dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_factors_of_any_matrix(shape, dtype, tensor, rng):
    x = rng.normal(size=shape).astype(dtype)
    m, n, k = *shape[-2:], min(shape[-2:])
    for mode, q_columns in (("reduced", k), ("complete", m)):
        q, r = (v.numpy() for v in L.qr(tensor(x), mode))
        assert q.shape == (*shape[:-1], q_columns) and q.dtype == r.dtype == dtype
        close(q @ r, x, dtype)
        unit(q)
        assert (r == np.triu(r)).all()
    close(L.qr(tensor(x), "r"), L.qr(tensor(x)).R.numpy(), dtype)
    for full in (True, False):
        u, s, vh = (v.numpy() for v in L.svd(tensor(x), full_matrices=full))
        assert u.shape[-1] == (m if full else k) and vh.shape[-2] == (n if full else k)
        close((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], x, dtype)
        unit(u)
        unit(T(vh))
        assert (s[..., :-1] >= s[..., 1:]).all() and (s >= 0).all()
    close(L.svdvals(tensor(x)), s, dtype)
    p, lower, upper = (v.numpy() for v in L.lu(tensor(x)))
    close(p @ lower @ upper, x, dtype)
    assert (lower == np.tril(lower, -1) + np.eye(m, k)).all() and (upper == np.triu(upper)).all()
    close(L.lu(tensor(x), permute_l=True)[0], p @ lower, dtype)
    inverse = L.pinv(tensor(x)).numpy()
    close(x @ inverse @ x, x, dtype)
    close(T(inverse @ x), inverse @ x, dtype)
    assert L.matrix_rank(tensor(x)).numpy().tolist() == np.full(shape[:-2], k).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SQUARE)
def test_square_matrices(shape, dtype, tensor, rng):
    a, spd = regular(rng, *shape).astype(dtype), definite(rng, *shape).astype(dtype)
    if shape == (40, 40):
        a += 7 * np.eye(40, dtype=dtype)  # well-conditioned
        spd = spd / 40 + np.eye(40, dtype=dtype)
    close(L.cholesky(tensor(spd)), np.linalg.cholesky(spd), dtype)
    close(L.cholesky(tensor(spd), upper=True), T(np.linalg.cholesky(spd)), dtype)
    w, v = (y.numpy() for y in L.eigh(tensor(spd)))
    close(w, np.linalg.eigvalsh(spd), dtype)
    close(spd @ v, v * w[..., None, :], dtype)
    unit(v)
    close(L.eigvalsh(tensor(spd)), w, dtype)
    close(L.inv(tensor(a)).numpy() @ a, np.broadcast_to(np.eye(shape[-1]), shape), dtype)
    sign, logarithm = L.slogdet(tensor(a))
    close(sign, np.linalg.slogdet(a)[0], dtype)
    close(logarithm, np.linalg.slogdet(a)[1], dtype)
    small = a / np.linalg.norm(a) ** (40 in shape) * 6 ** (40 in shape)  # the determinant fits float32
    np.testing.assert_allclose(
        L.det(tensor(small)).numpy(), np.linalg.det(small), rtol=1e-3 if dtype == np.float32 else 1e-10
    )
    b = rng.normal(size=(*shape[:-1], 2)).astype(dtype)
    for trans, op in ((0, a), (1, T(a)), (2, T(a))):
        close(op @ L.lu_solve(L.lu_factor(tensor(a)), tensor(b), trans).numpy(), b, dtype)
        for lower in (True, False):
            part = np.tril(a) if lower else np.triu(a)
            x = L.solve_triangular(tensor(a), tensor(b), trans, lower).numpy()
            close((T(part) if trans else part) @ x, b, dtype)
    close(a @ L.solve(tensor(a), tensor(b)).numpy(), b, dtype)
    for lower in (True, False):
        close(spd @ L.cho_solve(L.cho_factor(tensor(spd), lower), tensor(b)).numpy(), b, dtype)
    if shape == (2, 3, 4, 4):
        for n in (-2, 0, 1, 5):
            np.testing.assert_allclose(
                L.matrix_power(tensor(a), n).numpy(), np.linalg.matrix_power(a, n), rtol=2e-3, atol=1e-4
            )


def test_operands_of_any_layout(tensor, rng):
    x = rng.normal(size=(3, 4, 4))
    for view in (
        lambda v: v.mT,
        lambda v: v[::-1, ::-1],
        lambda v: v[:, :, ::-1][1:],
        lambda v: v.transpose(1, 0, 2)[:, :, :3],
    ):
        y = view(tensor(x))
        data = y.numpy()
        close(L.qr(y).Q.numpy() @ L.qr(y).R.numpy(), data)
        close(L.svdvals(y), np.linalg.svd(data, compute_uv=False))
        if data.shape[-1] == data.shape[-2]:
            b = view(tensor(x + 1))
            close(data @ L.solve(y, b).numpy(), b.numpy())
            close(np.tril(data) @ L.solve_triangular(y, b, lower=True).numpy(), b.numpy())
            close(T(np.triu(data)) @ L.solve_triangular(y, b, trans="T").numpy(), b.numpy())
            close(L.det(y), np.linalg.det(data))
            close(L.eigvalsh(y + y.mT), np.linalg.eigvalsh(data + T(data)))


def test_right_sides_broadcast(tensor, rng):
    a, b = regular(rng, 2, 1, 3, 3), rng.normal(size=(4, 3, 2))
    assert L.solve(tensor(a), tensor(b)).shape == (2, 4, 3, 2)
    close(L.solve(tensor(a), tensor(b)), np.linalg.solve(a, b))
    close(L.solve(tensor(a[0, 0]), tensor(b)), np.linalg.solve(a[0, 0], b))
    close(L.solve(tensor(a), tensor(b[0, :, 0])), np.linalg.solve(a, b[0, :, 0]))
    close(L.solve(tensor(np.int32([[2, 0], [0, 4]])), [1.0, 2.0]), [0.5, 0.5], np.float32)
    close(L.lu_solve(L.lu_factor(tensor(a[:, 0])), tensor(b[0])), np.linalg.solve(a[:, 0], b[0]))


def test_symmetry_is_made_or_taken_from_one_triangle(tensor, rng):
    a = definite(rng, 3, 3) + np.triu(rng.normal(size=(3, 3)), 1) / 9
    lower, upper = np.tril(a) + np.tril(a, -1).T, np.triu(a) + np.triu(a, 1).T
    for symmetric, options in (((a + a.T) / 2, {}), (lower, {"symmetrize_input": False})):
        close(L.cholesky(tensor(a), **options), np.linalg.cholesky(symmetric))
        close(L.eigvalsh(tensor(a), **options), np.linalg.eigvalsh(symmetric))
    close(L.cholesky(tensor(a), upper=True, symmetrize_input=False), np.linalg.cholesky(upper).T)
    close(L.eigh(tensor(a), "U", symmetrize_input=False).eigenvalues, np.linalg.eigvalsh(upper))


# ---- values that are not determined, or not there -----------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_elements_give_nan_in_their_matrix_alone(bad, tensor, rng):
    a = definite(rng, 3, 12, 12)
    a[1, 7, 3] = bad
    x = tensor(a)
    found = [
        L.cholesky(x), *L.eigh(x), L.eigvalsh(x), *L.svd(x), L.svdvals(x), *L.qr(x), L.pinv(x), L.inv(x), L.det(x), L.slogdet(x)[1],
        L.lu_factor(x)[0], L.solve(x, x), L.expm(x / 100), L.cond(x),
    ]  # fmt: skip
    for y in found:
        y = y.numpy()
        assert np.isfinite(y[[0, 2]]).all()
        assert np.isnan(np.tril(y[1]) if y.ndim == 3 else y[1]).any() or np.isinf(y[1]).any()
    assert np.isnan(found[1].numpy()[1]).all() and np.isnan(found[4].numpy()[1]).all()


def test_singular_and_indefinite_matrices(tensor):
    singular = tensor([[1.0, 2.0], [2.0, 4.0]])
    assert L.det(singular).item() == 0
    assert [v.item() for v in L.slogdet(singular)] == [0, -np.inf]
    assert not np.isfinite(L.inv(singular).numpy()).any()
    assert L.matrix_rank(singular).item() == 1
    close(L.pinv(singular), np.linalg.pinv(singular.numpy()), np.float32)
    np.testing.assert_array_equal(L.cholesky(tensor([[1.0, 2.0], [2.0, 1.0]])).numpy(), [[np.nan, 0], [np.nan, np.nan]])
    assert L.cond(tensor([[0.0, 0.0], [0.0, 0.0]])).item() == np.inf


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_the_gradient_of_det_is_the_matrix_of_cofactors(rank, tensor, rng):
    """Also where the matrix is singular, even with a column of zeros."""
    for a in (rng.normal(size=(3, rank)) @ rng.normal(size=(rank, 3)), rng.normal(size=(3, 3)) * (np.arange(3) < rank)):
        cofactors = [
            [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(3)] for i in range(3)
        ]
        x = tensor(a)
        close(pg.grads([x], L.det(x))[0], cofactors)


# ---- derivatives -------------------------------------------------------------------------------------

A, W, TALL, WIDE, SPD = "regular", "any", "tall", "wide", "definite"
# (name, ours, JAX's, kinds of operands)
DIFFERENTIABLE = [
    ("cholesky", L.cholesky, jnp.linalg.cholesky, (SPD,)),
    ("qr", lambda a: L.qr(a).R + L.qr(a).Q, lambda a: jnp.linalg.qr(a)[1] + jnp.linalg.qr(a)[0], (A,)),
    ("qr tall", lambda a: L.matmul(*L.qr(a * a)) + L.qr(a).Q, lambda a: jnp.matmul(*jnp.linalg.qr(a * a)) + jnp.linalg.qr(a)[0], (TALL,)),
    ("svd", lambda a: L.svd(a)[0] ** 2 + L.svd(a)[2] ** 2, lambda a: jnp.linalg.svd(a)[0] ** 2 + jnp.linalg.svd(a)[2] ** 2, (A,)),
    ("svd tall", lambda a: L.svd(a, False)[0] ** 2, lambda a: jnp.linalg.svd(a, False)[0] ** 2, (TALL,)),
    ("svdvals", L.svdvals, lambda a: jnp.linalg.svd(a, compute_uv=False), (WIDE,)),
    ("eigh", lambda a: L.eigh(a)[1] ** 2, lambda a: jnp.linalg.eigh(a)[1] ** 2, (SPD,)),
    ("eigvalsh", L.eigvalsh, jnp.linalg.eigvalsh, (SPD,)),
    ("lu_solve", lambda a, b: L.lu_solve(L.lu_factor(a), b, 1), lambda a, b: jsl.lu_solve(jsl.lu_factor(a), b, 1), (A, W)),
    ("cho_solve", lambda a, b: L.cho_solve(L.cho_factor(a), b), lambda a, b: jsl.cho_solve(jsl.cho_factor((a + a.T) / 2), b), (SPD, W)),
    ("solve", L.solve, jnp.linalg.solve, (A, W)),
    ("solve_triangular", lambda a, b: L.solve_triangular(a, b, 1, True), lambda a, b: jsl.solve_triangular(a, b, 1, True), (A, W)),
    ("inv", L.inv, jnp.linalg.inv, (A,)),
    ("det", L.det, jnp.linalg.det, (A,)),
    ("slogdet", lambda a: L.slogdet(a)[1], lambda a: jnp.linalg.slogdet(a)[1], (A,)),
    ("matrix_power", lambda a: L.matrix_power(a, -3), lambda a: jnp.linalg.matrix_power(a, -3), (A,)),
    ("pinv", L.pinv, jnp.linalg.pinv, (TALL,)),
    ("lstsq", lambda a, b: L.lstsq(a, b)[0], lambda a, b: jnp.linalg.lstsq(a, b)[0], (A, W)),
    ("expm", L.expm, jsl.expm, (A,)),
    ("norm nuc", lambda a: L.norm(a, "nuc"), lambda a: jnp.linalg.norm(a, "nuc"), (TALL,)),
    ("norm 3", lambda a: L.norm(a, 3, axis=0), lambda a: jnp.linalg.norm(a, 3, axis=0), (W,)),
    ("kron", L.kron, jnp.kron, (W, TALL)),
    ("cross", L.cross, jnp.cross, (A, A)),
    ("trace", lambda a: L.trace(a @ a, 1), lambda a: jnp.trace(a @ a, 1), (A,)),
    ("diag", lambda a: L.diag(L.diagonal(a * a, -1), 1), lambda a: jnp.diag(jnp.diagonal(a * a, -1), 1), (A,)),
    ("tril", lambda a: L.tril(a * a, -1) + L.triu(a, 1), lambda a: jnp.tril(a * a, -1) + jnp.triu(a, 1), (A,)),
    ("multi_dot", lambda a, b: L.multi_dot([a, a, b]), lambda a, b: jnp.linalg.multi_dot([a, a, b]), (A, W)),
]  # fmt: skip
every_function = pytest.mark.parametrize(
    "ours, theirs, kinds", [f[1:] for f in DIFFERENTIABLE], ids=[f[0] for f in DIFFERENTIABLE]
)


def operands(rng, kinds, *lead):
    make = {A: lambda: regular(rng, *lead, 3, 3), SPD: lambda: definite(rng, *lead, 3, 3)}
    sizes = {W: (3, 2), TALL: (4, 2), WIDE: (2, 4)}
    return [make[kind]() if kind in make else rng.normal(size=(*lead, *sizes[kind])) for kind in kinds]


@every_function
def test_derivatives_are_jax_s(ours, theirs, kinds, tensor, rng):
    xs = operands(rng, kinds)
    directions = [x @ np.eye(x.shape[-1]) * 0.1 for x in operands(rng, kinds)]
    tensors, steps = [tensor(x) for x in xs], [tensor(x) for x in directions]

    with jax.enable_x64(True):

        def slope(*xs):  # forward over reverse needs both
            value, pull = jax.vjp(theirs, *xs)
            return pull(value), value

        (gradients, value), (second, tangent) = jax.jit(lambda xs, ts: jax.jvp(slope, xs, ts))(
            tuple(xs), tuple(directions)
        )

    def our_slope(*xs):
        value, pull = pg.vjp(ours, *xs)
        return (*pull(value), value)

    found, moved = pg.jvp(our_slope, tensors, steps)
    for y, expected in zip((*found, *moved), (*gradients, value, *second, tangent)):
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-8, atol=1e-9)


@every_function
def test_batches_are_loops(ours, theirs, kinds, tensor, rng):
    xs = operands(rng, kinds, 2)
    tensors = [tensor(x) for x in xs]
    whole = pg.vmap(ours)(*tensors).numpy()
    gradients = pg.vmap(pg.grad(lambda *xs: (ours(*xs) ** 2).sum(), tuple(range(len(xs)))))(*tensors)
    for row in range(2):
        alone = [tensor(x[row]) for x in xs]
        close(whole[row], ours(*alone).numpy())
        single = pg.grad(lambda *xs: (ours(*xs) ** 2).sum(), tuple(range(len(xs))))(*alone)
        for all_rows, one in zip(gradients, single):
            np.testing.assert_allclose(all_rows.numpy()[row], one.numpy(), rtol=1e-8, atol=1e-9)


@every_function
def test_traced_by_jit(ours, theirs, kinds, tensor, rng):
    tensors = [tensor(x) for x in operands(rng, kinds)]
    close(pg.jit(ours)(*tensors), ours(*tensors).numpy())


def test_the_derivative_of_a_solution_uses_the_factors_again(tensor, rng, calls):
    """One LU factorisation for the solution and its gradient."""
    a, b = tensor(regular(rng, 4, 4)), tensor(rng.normal(size=(4, 2)))
    g = pg.grads([a, b], (L.solve(a, b) ** 2).sum())
    names, seen, stack = [], set(), [x._node for x in g]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            names.append(getattr(node.spec.primitive, "name", ""))
            stack.extend(node.inputs)
    assert names.count("solve") == 1 and names.count("lu") == 0 and names.count("triangular_solve") == 2


# ---- complex matrices ----------------------------------------------------------------------------------


def complex_matrix(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("shape", [(3, 3), (2, 5, 3), (3, 5), (1, 1), (0, 3)])
def test_complex_factors(shape, dtype, tensor, rng):
    a = complex_matrix(rng, *shape).astype(dtype)
    near = lambda x, y: close(x, y, np.float32 if dtype == np.complex64 else np.float64)
    x, k = tensor(a), min(shape[-2:])
    H = lambda m: np.conj(T(m))
    q, r = (v.numpy() for v in L.qr(x))
    near(q @ r, a)
    near(H(q) @ q, np.broadcast_to(np.eye(k), (*shape[:-2], k, k)))
    u, s, vh = (v.numpy() for v in L.svd(x, False))
    near((u * s[..., None, :]) @ vh, a)
    assert s.dtype == a.real.dtype
    p, lower, upper = (v.numpy() for v in L.lu(x))
    near(p @ lower @ upper, a)
    near(L.pinv(x), np.linalg.pinv(a))
    near(L.norm(x, axis=(-2, -1)), np.linalg.norm(a, axis=(-2, -1)))
    h = a @ H(a) + np.eye(shape[-2], dtype=dtype)
    w, v = (y.numpy() for y in L.eigh(tensor(h)))
    near(h @ v, v * w[..., None, :])
    near(L.cholesky(tensor(h)), np.linalg.cholesky(h))
    b = complex_matrix(rng, shape[-2], 2).astype(dtype)
    near(h @ L.solve(tensor(h), tensor(b)).numpy(), np.broadcast_to(b, (*shape[:-2], *b.shape)))
    for trans, part in (("N", np.tril(h)), ("T", T(np.tril(h))), ("C", H(np.tril(h)))):
        for y in (tensor(h), tensor(T(h).copy()).mT):  # row- and column-major
            near(
                part @ L.solve_triangular(y, tensor(b), trans, lower=True).numpy(),
                np.broadcast_to(b, (*shape[:-2], *b.shape)),
            )
    near(L.inv(tensor(h)), np.linalg.inv(h))
    i = np.eye(shape[-2], dtype=dtype) * 1j
    np.testing.assert_allclose(
        L.det(tensor(h @ i + i)).numpy(), np.linalg.det(h @ i + i), rtol=1e-3 if dtype == np.complex64 else 1e-10
    )
    near(L.slogdet(tensor(h @ i + i))[0], np.linalg.slogdet(h @ i + i)[0])
    near(L.expm(tensor(h / 20 + i)), scipy.linalg.expm(h / 20 + i) if h.size else h)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 3), (1, 1), (0, 0), (0, 2, 2)])
def test_eigenvalues_of_any_matrix(shape, dtype, tensor, rng):
    a = (complex_matrix(rng, *shape) if dtype().dtype.kind == "c" else rng.normal(size=shape)).astype(dtype)
    tolerance = 1e-4 if np.finfo(dtype).dtype == np.float32 else 1e-10
    w, v = (y.numpy() for y in L.eig(tensor(a)))
    assert w.dtype == v.dtype == np.result_type(dtype, np.complex64)
    np.testing.assert_allclose(a @ v, v * w[..., None, :], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(np.linalg.norm(v, axis=-2), np.ones(shape[:-1]), rtol=tolerance)
    np.testing.assert_allclose(L.eigvals(tensor(a)).numpy(), w, rtol=tolerance, atol=tolerance)
    if a.size:
        a[..., 0, 0] = np.nan
        assert np.isnan(L.eig(tensor(a)).eigenvectors.numpy()).all()


def test_derivatives_of_eigenvectors(tensor, rng):
    """V f(W) V^-1 is a function of the matrix that does not depend on the phases of the vectors."""
    a, step = rng.normal(size=(4, 4)), rng.normal(size=(4, 4))

    def cube(x):
        w, v = L.eig(x)
        return L.matmul(v * w**3, L.inv(v)).real

    found, moved = pg.jvp(cube, (tensor(a),), (tensor(step),))
    close(found, a @ a @ a)
    close(moved, step @ a @ a + a @ step @ a + a @ a @ step)


COMPLEX = [
    ("svd", lambda n, a: n.svd(a, False)[0] @ n.svd(a, False)[2]),
    ("eigh", lambda n, a: (n.eigh(a)[1] * n.eigh(a)[0] ** 3) @ n.eigh(a)[1].mT.conj()),
    ("cholesky", lambda n, a: n.cholesky(a)),
    ("qr", lambda n, a: n.qr(a)[1]),
    ("solve", lambda n, a: n.solve(a, a @ a.mT)),
    ("slogdet", lambda n, a: n.slogdet(a)[1]),
    ("sign", lambda n, a: n.slogdet(a)[0]),
    ("det", lambda n, a: n.det(a)),
    ("pinv", lambda n, a: n.pinv(a)),
]


@pytest.mark.parametrize("function", [f for _, f in COMPLEX], ids=[name for name, _ in COMPLEX])
def test_complex_derivatives_are_jax_s(function, tensor, rng):
    """Of functions that do not depend on the phases of singular vectors and eigenvectors."""
    a = complex_matrix(rng, 3, 3)
    a, step = a @ np.conj(a.T) + np.eye(3), complex_matrix(rng, 3, 3)
    step = step + np.conj(step.T)
    with jax.enable_x64(True):
        value, tangent = jax.jvp(lambda x: function(jnp.linalg, x), (a,), (step,))
        ct = np.asarray(complex_matrix(rng, *value.shape) if value.dtype.kind == "c" else rng.normal(size=value.shape))
        (expected,) = jax.vjp(lambda x: function(jnp.linalg, x), a)[1](jnp.asarray(ct))
    found, moved = pg.jvp(lambda x: function(L, x), (tensor(a),), (tensor(step),))
    np.testing.assert_allclose(moved.numpy(), tangent, rtol=1e-8, atol=1e-9)
    x = tensor(a)
    np.testing.assert_allclose(pg.grads([x], function(L, x), tensor(ct))[0].numpy(), expected, rtol=1e-8, atol=1e-9)


# ---- functions of other kinds --------------------------------------------------------------------------


def test_norms_are_numpy_s(tensor, rng):
    x = rng.normal(size=(3, 4, 5))
    for keepdims in (False, True):
        for ord in (None, 2, 1, 0, np.inf, -np.inf, 3, 0.5, -1):
            for axis in (0, -1):
                expected = np.linalg.norm(x, ord, axis, keepdims)
                close(L.norm(tensor(x), ord, axis, keepdims), expected)
        for ord in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
            for axis in ((0, 1), (2, 0), (-1, -2)):
                close(L.norm(tensor(x), ord, axis, keepdims), np.linalg.norm(x, ord, axis, keepdims))
        close(L.norm(tensor(x), keepdims=keepdims), np.linalg.norm(x, keepdims=keepdims))
    close(L.norm(tensor(x[0, 0]), 1), np.linalg.norm(x[0, 0], 1))
    close(L.norm(tensor(x[0]), 1), np.linalg.norm(x[0], 1))


def test_conditions_and_ranks_are_numpy_s(tensor, rng):
    x = rng.normal(size=(2, 4, 4))
    for p in (None, 2, -2, 1, -1, np.inf, -np.inf, "fro"):
        close(L.cond(tensor(x), p), np.linalg.cond(x, p))
    close(L.cond(tensor(x[:, :2])), np.linalg.cond(x[:, :2]))
    low = rng.normal(size=(5, 2)) @ rng.normal(size=(2, 4))
    assert L.matrix_rank(tensor(low)).item() == 2 and L.matrix_rank(tensor(np.zeros((2, 2)))).item() == 0
    assert L.matrix_rank(tensor(low), 1.0).item() == 0 and L.matrix_rank(tensor([0.0, 1.0])).item() == 1


@pytest.mark.parametrize("shape, columns", [((5, 3), 2), ((3, 5), 2), ((4, 4), None)])
def test_least_squares_are_numpy_s(shape, columns, tensor, rng):
    a, b = rng.normal(size=shape), rng.normal(size=shape[:1] if columns is None else (shape[0], columns))
    x, rest, rank, values = L.lstsq(tensor(a), tensor(b))
    expected = np.linalg.lstsq(a, b)
    close(x, expected[0])
    close(values, expected[3])
    assert rank.item() == expected[2]
    close(rest, np.sum((b - a @ expected[0]).reshape(shape[0], -1) ** 2, 0))


def test_exponentials_are_scipy_s(tensor, rng):
    for scale in (0, 1e-3, 1, 30):
        a = rng.normal(size=(2, 5, 5)) * scale
        np.testing.assert_allclose(
            L.expm(tensor(a)).numpy(), scipy.linalg.expm(a), rtol=1e-9, atol=1e-12 * np.exp(2 * scale)
        )
    a = rng.normal(size=(4, 4))
    np.testing.assert_allclose(L.expm(tensor(a, pg.dt.float32)).numpy(), scipy.linalg.expm(a), rtol=1e-4, atol=1e-5)
    assert np.isnan(L.expm(tensor(a * 1e9)).numpy()).all()
    assert L.expm(tensor(np.zeros((0, 0)))).shape == (0, 0)


def test_products_and_parts_are_numpy_s(tensor, rng):
    x, y = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    close(L.inner(tensor(x), tensor(y)), np.inner(x, y))
    close(L.vdot(tensor(x), tensor(x.T)), np.vdot(x, x.T))
    close(L.kron(tensor(x), tensor(y[0])), np.kron(x, y[0]))
    close(L.multi_dot([tensor(x[0]), tensor(y.T), tensor(y), tensor(x[1])]), x[0] @ y.T @ y @ x[1])
    for a, b in ((3, 3), (2, 3), (3, 2)):
        u, v = rng.normal(size=(4, a)), rng.normal(size=(4, b))
        expected = np.cross(np.pad(u, ((0, 0), (0, 3 - a))), np.pad(v, ((0, 0), (0, 3 - b))))
        close(L.cross(tensor(u), tensor(v)), expected)
        close(L.cross(tensor(u), tensor(v), axisc=0), expected.T)
    close(L.cross(tensor(u[:, :2]), tensor(v)), u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    z = rng.normal(size=(2, 3, 4))
    for k in (-9, -3, -1, 0, 2, 4, 9):
        close(pg.tril(tensor(z), k), np.tril(z, k))
        close(pg.triu(tensor(z), k), np.triu(z, k))
        close(pg.diag(tensor(x), k), np.diag(x, k))
        close(pg.diag(tensor(x[0]), k), np.diag(x[0], k))
        for axes in ((0, 1), (2, 0), (-1, 1)):
            close(pg.diagonal(tensor(z), k, *axes), np.diagonal(z, k, *axes))
            close(pg.trace(tensor(z), k, *axes), np.trace(z, k, *axes))
    assert pg.trace(tensor(np.eye(3, dtype=bool))).item() == 3
    assert tensor(z).norm().item() == pytest.approx(np.linalg.norm(z)) and tensor(z).trace().shape == (4,)


# ---- bad input, and no LAPACK --------------------------------------------------------------------------


def test_what_is_wrong_is_said(tensor, rng):
    vector, wide, cube = tensor(rng.normal(size=3)), tensor(rng.normal(size=(2, 3))), tensor(rng.normal(size=(3, 3)))
    for function in (L.cholesky, L.eigh, L.eigvalsh, L.inv, L.det, L.slogdet, L.expm, lambda a: L.matrix_power(a, 2)):
        for bad in (vector, wide):
            with pytest.raises(pg.ShapeError, match="square|no matrix|2 axes|two axes"):
                function(bad)
    for function in (L.svd, L.qr, L.lu, L.pinv, pg.tril, pg.diagonal, pg.trace):
        with pytest.raises(pg.ShapeError, match="no matrix"):
            function(vector)
    for function in (L.svd, L.qr, L.lu, L.pinv, L.cholesky, L.inv, L.det, L.expm):
        with pytest.raises(pg.DtypeError, match="float32 or float64"):
            function(cube.astype(pg.dt.float16))
    for bad in (lambda: L.solve(cube, wide), lambda: L.solve(wide, wide), lambda: L.lstsq(cube, wide), lambda: L.solve(cube, 1.0),
                lambda: L.norm(tensor(np.zeros((2, 2, 2))), 1), lambda: L.norm(cube, 2, (0, 0)), lambda: L.cross(cube, tensor(np.zeros((3, 4)))),
                lambda: L.vdot(cube, wide), lambda: L.multi_dot([cube, vector, cube]), lambda: pg.diag(tensor(np.zeros((2, 2, 2))))):  # fmt: skip
        with pytest.raises(pg.ShapeError):
            bad()
    for bad in (lambda: L.qr(cube, "raw"), lambda: L.eigh(cube, "X"), lambda: L.solve_triangular(cube, cube, 3), lambda: L.norm(cube, "x"),
                lambda: L.norm(vector, "fro"), lambda: L.matrix_power(cube, 0.5), lambda: L.multi_dot([cube])):  # fmt: skip
        with pytest.raises(pg.ArgumentError):
            bad()


def test_without_lapack(device):
    """Triangular systems and Cholesky factors have loops of their own; all else names the package that is missing."""
    program = f"""
import numpy as np, pequegrad as pg
from pequegrad import linalg as L
rng = np.random.default_rng(0)
x = rng.normal(size=(2, 5, 5)) + 3 * np.eye(5)
for dtype, tolerance in (("float32", 1e-3), ("float64", 1e-10)):
    a = pg.Tensor(x.astype(dtype), device={str(device)!r})
    spd = a @ a.mT
    np.testing.assert_allclose(L.cholesky(spd).numpy(), np.linalg.cholesky(spd.numpy()), tolerance, tolerance)
    assert np.isnan(L.cholesky(spd - 100).numpy()[:, -1]).all()
    for trans in (0, 1, 2):
        for lower in (0, 1):
            for unit in (0, 1):
                part = np.tril(x) if lower else np.triu(x)
                part = part * (1 - np.eye(5)) + np.eye(5) if unit else part
                part = part.swapaxes(1, 2) if trans else part
                y = L.solve_triangular(a, a, trans, lower, unit).numpy()
                np.testing.assert_allclose(part @ y, x, tolerance, tolerance)
    (g,) = pg.grads([spd], (L.cholesky(spd) ** 2).sum())  # right sides, too
    np.testing.assert_allclose(g.numpy(), np.broadcast_to(np.eye(5), (2, 5, 5)), atol=tolerance)
    for function in (L.qr, L.svd, L.eigh, L.lu, L.pinv, L.inv, L.det, L.slogdet):
        try:
            found = function(a)
            (found if isinstance(found, pg.Tensor) else found[0]).numpy()
        except pg.DeviceError as error:
            assert "scipy-openblas32" in str(error) and "PG_BLAS" in str(error)
        else:
            raise AssertionError(function)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=dict(os.environ, PG_BLAS="none"), capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
