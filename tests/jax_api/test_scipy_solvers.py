"""jax.scipy.optimize, jax.scipy.sparse.linalg and jax.experimental.ode against JAX."""

import jax.scipy.optimize  # noqa: F401  jax imports it when it is asked to
import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from .agreement import agree
from .together import agree_together

RNG = np.random.default_rng(4)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


A = normal(5, 5) + 4 * np.eye(5, dtype=np.float32)
S = (A @ A.T).astype(np.float32)
B = normal(5)
Z = (normal(4, 4) + 1j * normal(4, 4) + 4 * np.eye(4)).astype(np.complex64)
HERMITIAN = (Z @ Z.conj().T).astype(np.complex64)
ZB = (normal(4) + 1j * normal(4)).astype(np.complex64)
CLOSE = {"rtol": 2e-3, "atol": 2e-4}

# ---- sparse.linalg -----------------------------------------------------------------------------------------


def _solved(name, **kwargs):
    """x of a system whose matrix and right side are arguments."""
    return lambda jax, a, b: getattr(jax.scipy.sparse.linalg, name)(a, b, **kwargs)[0]


def test_solvers():
    cases = [
        (_solved("cg"), (S, B), {}), (_solved("cg", x0=B * 0.5, tol=1e-6), (S, B), {}), (_solved("cg", atol=0.3, maxiter=2), (S, B), {}),
        (_solved("cg", M=lambda x: x / np.diag(S)), (S, B), {}), (_solved("bicgstab"), (A, B), {}), (_solved("bicgstab", maxiter=2, tol=1e-7), (A, B), {}),
        (_solved("bicgstab", M=np.eye(5, dtype=np.float32) / 4, x0=B), (A, B), {}), (_solved("gmres"), (A, B), {}),
        (_solved("gmres", solve_method="incremental"), (A, B), {}), (_solved("gmres", restart=2, maxiter=3, atol=0.01), (A, B), {}),
        (_solved("gmres", M=np.eye(5, dtype=np.float32) / 4, x0=B, tol=1e-6), (A, B), {}),
    ]  # fmt: skip
    agree_together(cases if FULL else cases[:1] + cases[5:6] + cases[8:9], grad=FULL, **CLOSE)


def test_complex_systems():
    cases = [
        (_solved("cg"), (HERMITIAN, ZB), {}),
        (_solved("bicgstab"), (Z, ZB), {}),
        (_solved("gmres"), (Z, ZB), {}),
        (_solved("gmres", solve_method="incremental"), (Z, ZB), {}),
    ]
    agree_together(cases if FULL else cases[1:2], grad=False, **CLOSE)


@pytest.mark.skipif(not FULL, reason="JAX compiles for seconds")
def test_trees_and_functions():
    def solved(jax, s, b, **kwargs):
        operator = lambda x: {"a": s @ x["a"] + x["b"], "b": 3 * x["b"] + x["a"] * 0.5}
        return jax.scipy.sparse.linalg.gmres(operator, {"a": b, "b": b[::-1]}, **kwargs)

    agree_together([(solved, (S, B), {}), (solved, (S, B), {"solve_method": "incremental"})], grad=False, **CLOSE)
    agree(lambda jax, s, b: jax.scipy.sparse.linalg.cg(lambda x: s @ x, b)[1] is None, S, B, modes=("eager",))


@pytest.mark.parametrize("name", ["cg", "bicgstab", "gmres"])
def test_solvers_refuse(name):
    for args, kwargs in (
        ((S[:3], B), {}), ((3.0, B), {}), ((S, B), {"x0": B[:3]}), ((S, B), {"x0": (B,)}), ((S, B), {"M": S[:2]}), ((S, B), {"M": 2}), ((S, [1.0] * 5), {}),
        ((S, normal(4)), {}),
    ):  # fmt: skip
        agree(f"scipy.sparse.linalg.{name}", *args, modes=("eager",), **CLOSE, **kwargs)
    agree("scipy.sparse.linalg.gmres", S, B, solve_method="other", modes=("eager",))


# ---- optimize ----------------------------------------------------------------------------------------------


def _rosenbrock(jax, x, a=1.0):
    return jax.numpy.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (a - x[:-1]) ** 2)


def _bowl(jax, x, scale):
    return jax.numpy.sum(scale * (x - 1.5) ** 2) + 0.1 * jax.numpy.sum(x**4)


LBFGS = "l-bfgs-experimental-do-not-rely-on-this"
START = np.array([-1.2, 1.0, 0.3], np.float32)
SCALE = np.array([1.0, 2.0, 5.0], np.float32)


@pytest.mark.parametrize("method", ["BFGS", LBFGS])
def test_minimize(method):
    def minimum(jax, x, scale, **kwargs):
        found = jax.scipy.optimize.minimize(lambda x, s: _bowl(jax, x, s), x, (scale,), method=method, **kwargs)
        return found.x, found.fun

    more = {"line_search_maxiter": 20} if method == "BFGS" else {"maxcor": 2, "ftol": 1e-4, "maxls": 7}
    options = [{}, {"options": {"maxiter": 2}}, {"options": {"gtol": 1e-2, "norm": 2, **more}}, {"tol": 1e-3}]
    if method == LBFGS:
        options += [{"options": {"maxfun": 3}}, {"options": {"maxgrad": 2}}]
    if not FULL:
        options = options[2:3]
    agree_together([(minimum, (START, SCALE), k) for k in options], grad=False, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("method", ["BFGS", LBFGS] if FULL else ["BFGS"])
def test_each_step_is_that_of_jax(method):
    """In float64, where roundings do not change the path: in float32 they decide how it ends."""
    found = []
    for root in (pj, jax):
        with root.enable_x64(True):
            minimum = lambda x: root.scipy.optimize.minimize(lambda x: _rosenbrock(root, x), x, method=method)  # noqa: B023
            found.append(root.jit(minimum)(root.numpy.asarray(START.astype(np.float64))))
    ours, theirs = found
    assert ours._fields == theirs._fields
    for name in ours._fields:
        a, b = getattr(ours, name), getattr(theirs, name)
        if b is not None:
            assert (a.shape, a.dtype) == (b.shape, b.dtype), name
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6, err_msg=name)


def test_minimize_refuses():
    f = lambda jax: lambda x: jax.numpy.sum(x**2)
    for kwargs in (
        {"method": "other"},
        {"method": "BFGS", "args": 3.0},
        {},
        {"method": "BFGS", "options": {"nonsense": 1}},
    ):
        agree(lambda jax: jax.scipy.optimize.minimize(f(jax), START, **kwargs), modes=("eager",))  # noqa: B023
    for x0 in (np.float32(1), np.ones((2, 2), np.float32)):
        agree(lambda jax: jax.scipy.optimize.minimize(f(jax), x0, method="BFGS").x, modes=("eager",), **CLOSE)  # noqa: B023


# ---- ode ---------------------------------------------------------------------------------------------------

TIMES = np.linspace(0.0, 2.0, 5).astype(np.float32)


def _odeint(jax, *args, **kwargs):
    if jax is pj:
        return pj.experimental.ode.odeint(*args, **kwargs)
    from jax.experimental.ode import odeint

    return odeint(*args, **kwargs)


def _pendulum(jax, y0, t, friction, **kwargs):
    slope = lambda y, t, c: jax.numpy.stack([y[1], -c * y[1] - jax.numpy.sin(y[0]) + 0.1 * t])
    return _odeint(jax, slope, y0, t, friction, **kwargs)


def test_odeint():
    y0, friction = np.array([0.5, 0.0], np.float32), np.array([0.3], np.float32)
    options = [{}, {"rtol": 1e-4, "atol": 1e-4}, {"hmax": 0.1}, {"mxstep": 3}]
    cases = [(lambda jax, y, t, c, **k: _pendulum(jax, y, t, c[0], **k), (y0, TIMES, friction), k) for k in options]
    agree_together(cases[0:3] if FULL else cases[2:3], grad=False, rtol=2e-4, atol=2e-5)
    agree_together(cases[1:2], grad=True, rtol=2e-3, atol=1e-3)  # the step sizes of both differ by roundings
    if FULL:
        agree_together(cases[3:], grad=False, rtol=1e-2, atol=1e-3)  # what lies beyond the last step shows roundings


@pytest.mark.skipif(not FULL, reason="JAX compiles for seconds")
def test_odeint_of_trees_and_complex_numbers():
    tree = lambda jax, y, t: _odeint(
        jax, lambda y, t: {"a": y["b"], "b": -y["a"] * (1 + t)}, {"a": y[0], "b": y[1:]}, t, rtol=1e-4, atol=1e-4
    )
    agree_together([(tree, (np.array([0.5, 1.0, 2.0], np.float32)[:2], TIMES), {})], grad=False, rtol=1e-3, atol=1e-4)
    turn = lambda jax, y, t: _odeint(jax, lambda y, t: 1j * y, y, t, rtol=1e-4, atol=1e-4)
    agree_together([(turn, (ZB, TIMES), {})], grad=False, rtol=1e-3, atol=1e-3)
    closed = lambda jax, y, t, c: _odeint(jax, lambda y, t: -c * y, y, t, rtol=1e-4, atol=1e-4)  # c is closed over
    agree_together([(closed, (B, TIMES, B * 0.1), {})], rtol=2e-3, atol=1e-3)


def test_odeint_refuses():
    slope = lambda y, t, *args: -y
    for args in (
        (slope, B, np.arange(3)),
        (slope, B, TIMES, "text"),
        (slope, B, 3.0),
        (slope, "text", TIMES),
        (lambda y, t: y[:2], B, TIMES),
    ):
        agree(lambda jax: _odeint(jax, *args), modes=("eager",))  # noqa: B023
