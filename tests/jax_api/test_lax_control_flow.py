"""jax.lax: loops, branches, scans, collectives, and solutions with derivatives of their own; as in JAX."""

import numpy as np
import pytest
from conftest import FULL

import pequegrad.jax_api as pj

from . import agreement
from .agreement import agree

F = np.array([1.0, 2.0, 4.0], np.float32)
M = np.arange(9, dtype=np.float32).reshape(3, 3) * 0.5
C = (np.arange(27, dtype=np.float32).reshape(3, 3, 3) ** 1.5).astype(np.float32)
I = np.arange(3, dtype=np.int32)  # noqa: E741
I8 = np.int8([1, 2, 3])
EAGER = ("eager",)
MODES = agreement.MODES if FULL else ("eager", "grad")
A = np.array([[4, 1, 0.5], [1.5, 3, 0.2], [0.5, 0.7, 5]], np.float32)

# program(lax, x), differentiated
LOOPS = {
    "scan": lambda lax, x: lax.scan(lambda c, v: (c * v, c + v), 1.0, x),
    "scan from a number": lambda lax, x: lax.scan(lambda c, v: (c + v, c * 2), 0, x),
    "scan backwards": lambda lax, x: lax.scan(lambda c, v: (c * v, c), x[0], x, reverse=True),
    "scan unrolled": lambda lax, x: lax.scan(lambda c, v: (c * v, c), x[0], x, unroll=2),
    "scan wholly unrolled": lambda lax, x: lax.scan(lambda c, v: (c * v, c), x[0], x, unroll=True),
    "scan of a length": lambda lax, x: lax.scan(lambda c, _: (c * x, None), x, None, length=3),
    "scan of trees": lambda lax, x: lax.scan(lambda c, v: ({"k": c["k"] * v[0]}, (v[1], None)), {"k": x[0]}, (x, x * 2)),
    "split transpose": lambda lax, x: lax.scan(lambda c, v: (c * v, c), x[0], x, _split_transpose=True),
    "scan of nothing": lambda lax, x: lax.scan(lambda c, v: (c + v, c), 0.0, x[:0]),
    "fori_loop": lambda lax, x: lax.fori_loop(0, 3, lambda i, c: c * x + i, x),
    "fori_loop unrolled": lambda lax, x: lax.fori_loop(1, 4, lambda i, c: c * x, x, unroll=2),
    "fori_loop of nothing": lambda lax, x: lax.fori_loop(5, 0, lambda i, c: c * x, x),
    "map": lambda lax, x: lax.map(lambda v: v * v, x),
    "map in batches": lambda lax, x: lax.map(lambda v: v * v, x, batch_size=2),
    "map of trees": lambda lax, x: lax.map(lambda v: v["a"] * v["b"][0], {"a": x, "b": [x]}),
    "associative_scan": lambda lax, x: lax.associative_scan(lax.mul, x),
    "associative_scan backwards": lambda lax, x: lax.associative_scan(lambda a, b: a + b, x, reverse=True),
    "associative_scan of pairs": lambda lax, x: lax.associative_scan(lambda a, b: (a[0] * b[0], a[1] * b[0] + b[1]), (x, x)),
    "cond": lambda lax, x: lax.cond(x[0] > 0, lambda v: v * 2, lambda v: v * v, x),
    "cond of a number": lambda lax, x: lax.cond(0.0, lambda v: v * 2, lambda v: v * v, x),
    "cond with operands": lambda lax, x: lax.cond(True, lambda a, b: a * b, lambda a, b: a, x, x),
    "cond with operand": lambda lax, x: lax.cond(True, lambda v: v * 2, lambda v: v * v, operand=x),
    "cond with two operands": lambda lax, x: lax.cond(False, x, lambda v: v * 2, x * 3, lambda v: v * v),
    "cond without operands": lambda lax, x: lax.cond(x[0] > 0, lambda: x * 2, lambda: x),
    "cond of a weak type": lambda lax, x: lax.cond(True, lambda: x[0], lambda: 1.0),
    "switch": lambda lax, x: lax.switch(1, [lambda v: v * 2, lambda v: v * v], x),
    "switch beyond": lambda lax, x: lax.switch(7, [lambda v: v * 2, lambda v: v * v], x),
    "switch below": lambda lax, x: lax.switch(-7, [lambda v: v * 2, lambda v: v * v], x),
    "switch with operand": lambda lax, x: lax.switch(np.uint8(1), (lambda v: v * 2, lambda v: v * v), operand=x),
    "switch of one": lambda lax, x: lax.switch(0, [lambda v: v * 2], x),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
def test_differentiable(name):
    agree(lambda jax, x: LOOPS[name](jax.lax, x), F, modes=MODES)


# without derivative in reverse mode, or without floating results, or errors
OTHERS = {
    "while_loop": lambda lax, x: lax.while_loop(lambda c: c[0] < 10, lambda c: (c[0] + 1, c[1] * 0.5), (0, x)),
    "weak while_loop": lambda lax, x: lax.while_loop(lambda c: c < 10, lambda c: c + 3, 0),
    "while_loop of no bool": lambda lax, x: lax.while_loop(lambda c: c, lambda c: c + 3, 0),
    "while_loop of an array": lambda lax, x: lax.while_loop(lambda c: c < x, lambda c: c + 3, 0.0),
    "while_loop of another structure": lambda lax, x: lax.while_loop(lambda c: c < 3, lambda c: (c, c), 0.0),
    "while_loop that widens": lambda lax, x: lax.while_loop(lambda c: c < 3, lambda c: c * 1.5, 1),
    "while_loop of another shape": lambda lax, x: lax.while_loop(lambda c: c < 3, lambda c: x, 0.0),
    "dynamic fori_loop": lambda lax, x: lax.fori_loop(0, lax.convert_element_type(x[1], int), lambda i, c: c + i, 0),
    "fori_loop of floats": lambda lax, x: lax.fori_loop(0, 2.0, lambda i, c: c + i, 0),
    "fori_loop of two dtypes": lambda lax, x: lax.fori_loop(np.int8(0), np.int32(2), lambda i, c: c + i, 0),
    "fori_loop's index": lambda lax, x: lax.fori_loop(np.int32(0), np.int32(3), lambda i, c: i, np.int32(0)),
    "fori_loop of another dtype": lambda lax, x: lax.fori_loop(0, 3, lambda i, c: c.astype(np.int8), x),
    "counting scan": lambda lax, x: lax.scan(lambda c, _: (c + 1, c), 0, None, length=3),
    "widening scan": lambda lax, x: lax.scan(lambda c, _: (c + 1.5, c), 0, None, length=3),
    "narrowing scan": lambda lax, x: lax.scan(lambda c, _: (c.astype(np.float32), c), I8[0], None, length=3),
    "scan without length": lambda lax, x: lax.scan(lambda c, _: (c + 1, c), 0, None),
    "scan to another shape": lambda lax, x: lax.scan(lambda c, _: (x, c), 0.0, None, length=3),
    "scan to another structure": lambda lax, x: lax.scan(lambda c, _: ((c, c), c), 0.0, None, length=3),
    "scan without pair": lambda lax, x: lax.scan(lambda c, _: c, 0.0, None, length=3),
    "scan of two lengths": lambda lax, x: lax.scan(lambda c, v: (c, v), 0.0, (x, x[:2])),
    "scan of another length": lambda lax, x: lax.scan(lambda c, v: (c, v), 0.0, x, length=2),
    "scan of a scalar": lambda lax, x: lax.scan(lambda c, v: (c, v), 0.0, 1.0),
    "scan of no function": lambda lax, x: lax.scan(3, 0.0, x),
    "scan of NumPy arrays": lambda lax, x: lax.scan(lambda c, v: (c + v, c), np.float64(0), np.arange(3.0)),
    "map of a scalar": lambda lax, x: lax.map(lambda v: v, 1.0),
    "associative_scan of no function": lambda lax, x: lax.associative_scan(3, x),
    "associative_scan of two lengths": lambda lax, x: lax.associative_scan(lax.add, (x, x[:2])),
    "cond of an array": lambda lax, x: lax.cond(x, lambda: 1, lambda: 2),
    "cond of a complex number": lambda lax, x: lax.cond(1j, lambda: 1, lambda: 2),
    "cond of a word": lambda lax, x: lax.cond("a", lambda: 1, lambda: 2),
    "cond of numbers": lambda lax, x: lax.cond(True, lambda: 1, lambda: 2),
    "cond of two kinds": lambda lax, x: lax.cond(True, lambda: 1, lambda: 2.0),
    "cond of two shapes": lambda lax, x: lax.cond(True, lambda: x, lambda: 2.0),
    "cond of two dtypes": lambda lax, x: lax.cond(True, lambda: x, lambda: I),
    "cond of two structures": lambda lax, x: lax.cond(True, lambda: x, lambda: (x, x)),
    "cond of no functions": lambda lax, x: lax.cond(True, 1, 2),
    "cond with both kinds of operands": lambda lax, x: lax.cond(True, lambda v: v, lambda v: v, x, operand=x),
    "switch of a float": lambda lax, x: lax.switch(1.0, [lambda v: v, lambda v: v], x),
    "switch of nothing": lambda lax, x: lax.switch(1, [], x),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_not_differentiable(name):
    agree(lambda jax, x: OTHERS[name](jax.lax, x), F, modes=("eager", "jit", "vmap") if FULL else EAGER)


def test_axis_of_associative_scan():
    for axis in (1, -2):
        agree(lambda jax, x: jax.lax.associative_scan(jax.lax.mul, x, axis=axis), M + 1, modes=MODES)


def test_forward_mode_of_while_loop():
    program = lambda jax, x: jax.jvp(lambda v: OTHERS["while_loop"](jax.lax, v)[1], (x,), (x,))
    agree(program, F, modes=EAGER)


def test_step_by_step():
    seen = []
    with pj.config.temporarily("jax_disable_jit", True):
        total, rows = pj.lax.scan(lambda c, v: (seen.append(float(c)) or c + v, c), 0.0, F, reverse=True)
        assert seen == [0.0, 4.0, 6.0] and float(total) == 7 and np.asarray(rows).tolist() == [6.0, 4.0, 0.0]
        assert int(pj.lax.fori_loop(0, 3, lambda i, c: c + int(i), 0)) == 3
        assert float(pj.lax.while_loop(lambda c: float(c) < 3, lambda c: c * 2, 1.0)) == 4
        assert float(pj.lax.cond(True, lambda v: v * 2, lambda v: 1 / 0, 2.0)) == 4
        assert float(pj.lax.switch(5, [lambda v: 1 / 0, lambda v: v * 2], 2.0)) == 4


def test_index_of_64_bits():
    with pj.config.temporarily("jax_enable_x64", True):
        assert pj.lax.fori_loop(0, 3, lambda i, c: i, 0).dtype == np.int64


# ---- collectives -------------------------------------------------------------------------------------------------

OVER_AXIS = {
    "psum": lambda lax, x: lax.psum(x, "i") * x, "psum of a number": lambda lax, x: x * lax.psum(1, "i"),
    "pmean": lambda lax, x: lax.pmean(x, axis_name="i") * x, "pmax": lambda lax, x: lax.pmax(x, "i"),
    "pmin": lambda lax, x: lax.pmin({"a": x}, "i"), "axis_index": lambda lax, x: lax.axis_index("i") + x,
    "axis_size": lambda lax, x: lax.axis_size("i") * x, "all_gather": lambda lax, x: lax.all_gather(x, "i") * x,
    "all_gather axis": lambda lax, x: lax.all_gather(x, "i", axis=1), "all_gather last": lambda lax, x: lax.all_gather(x, "i", axis=-1),
    "all_gather tiled": lambda lax, x: lax.all_gather(x, "i", axis=1, tiled=True), "all_to_all": lambda lax, x: lax.all_to_all(x, "i", 0, 1),
    "all_to_all back": lambda lax, x: lax.all_to_all(x, "i", 1, 0), "all_to_all tiled": lambda lax, x: lax.all_to_all(x, "i", 0, 1, tiled=True),
    "pswapaxes": lambda lax, x: lax.pswapaxes(x, "i", 1), "psum_scatter": lambda lax, x: lax.psum_scatter(x, "i"),
    "psum_scatter tiled": lambda lax, x: lax.psum_scatter(x, "i", scatter_dimension=1, tiled=True),
    "ppermute": lambda lax, x: lax.ppermute(x, axis_name="i", perm=[(0, 1), (1, 2), (2, 0)]), "pshuffle": lambda lax, x: lax.pshuffle(x, "i", [2, 0, 1]),
}  # fmt: skip
BAD_AXIS = {
    "unknown": lambda lax, x: lax.psum(x, "j"), "size": lambda lax, x: lax.axis_size("j"), "shuffle": lambda lax, x: lax.pshuffle(x, "i", [2, 0, 0]),
    "groups": lambda lax, x: lax.psum(x, "i", axis_index_groups=[[0, 1], [2]]), "bool": lambda lax, x: lax.psum(x > 1, "i"),
    "integers": lambda lax, x: lax.pmean(lax.convert_element_type(x, int), "i"), "index": lambda lax, x: lax.axis_index("i"), "permutation": lambda lax, x: lax.ppermute(x, "i", [(0, 1), (0, 2)]),
}  # fmt: skip


@pytest.mark.parametrize("name", OVER_AXIS)
def test_collectives(name):
    # JAX has no derivative of extrema
    agree(
        lambda jax, x: jax.vmap(lambda v: OVER_AXIS[name](jax.lax, v), axis_name="i")(x),
        C,
        modes=MODES if FULL and name not in ("pmax", "pmin") or "tiled" in name else EAGER,
    )


@pytest.mark.parametrize("name", BAD_AXIS)
def test_collectives_that_are_special(name):
    agree(lambda jax, x: jax.vmap(lambda v: BAD_AXIS[name](jax.lax, v), axis_name="i")(x), F, modes=EAGER)


def test_several_axes():
    both = lambda jax, f, x: jax.vmap(jax.vmap(f, axis_name="i"), axis_name="j")(x)
    agree(lambda jax, x: both(jax, lambda v: jax.lax.psum(v, ("i", "j")), x), M, modes=EAGER)
    agree(lambda jax, x: both(jax, lambda v: jax.lax.axis_index(("i", "j")), x), M, modes=EAGER)


def test_one_device_only():
    cast = pj.vmap(lambda v: pj.lax.pbroadcast(pj.lax.pcast(v, "i", to="varying"), "i", 1), axis_name="i")
    assert np.asarray(cast(F)).tolist() == [2.0, 2.0, 2.0]


# ---- solutions ---------------------------------------------------------------------------------------------------


def jacobi(jax, a, b):
    """x with a x = b by many steps of a loop that has no derivative."""
    diagonal = (a * np.eye(3, dtype=np.float32)).sum(0)
    step = lambda s: (s[0] + 1, (b - jax.numpy.dot(a, s[1]) + diagonal * s[1]) / diagonal)
    return jax.lax.while_loop(lambda s: s[0] < 60, step, (0, b * 0.0))[1]


def solve(jax, a, b):
    return jax.lax.custom_linear_solve(
        lambda x: jax.numpy.dot(a, x),
        b,
        lambda _, y: jacobi(jax, a, y),
        transpose_solve=lambda _, y: jacobi(jax, a.T, y),
    )


CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def test_linear_solve():
    agree(solve, A, F, **CLOSE)
    agree(lambda jax, a, b: jax.jvp(lambda a, b: solve(jax, a, b), (a, b), (a * 2, b)), A, F, modes=EAGER, **CLOSE)
    second = lambda jax, a, b: jax.grad(lambda v: (jax.grad(lambda w: (solve(jax, a, w) ** 2).sum())(v) ** 2).sum())(b)
    agree(second, A, F, modes=EAGER, **CLOSE)
    batched = lambda jax, a, b: jax.vmap(lambda a, b: solve(jax, a, b), in_axes=(None, 0))(a, b)
    agree(batched, A, np.stack([F, F * 2]), modes=("grad",), **CLOSE)


def test_symmetric_solve_with_more_results():
    def program(jax, a, b):
        s = a * a.T
        solver = lambda _, y: (jacobi(jax, s, y), {"first": y[0]})
        return jax.lax.custom_linear_solve(lambda x: jax.numpy.dot(s, x), b, solver, symmetric=True, has_aux=True)

    agree(program, A, F, modes=EAGER, **CLOSE)
    agree(lambda jax, a, b: program(jax, a, b)[0], A, F, modes=("grad",), **CLOSE)


def test_solve_without_transpose():
    agree(lambda jax, a, b: jax.lax.custom_linear_solve(lambda x: a @ x, b, lambda _, y: jacobi(jax, a, y)), A, F,
          modes=("grad",))  # fmt: skip


def newton(f, x, jax):
    return jax.lax.fori_loop(0, 40, lambda i, v: v - f(v) / (3 * v * v), x)


def test_root():
    def cube_root(jax, a):
        divide = lambda g, y: y / g(jax.numpy.ones_like(y))
        return jax.lax.custom_root(lambda x: x**3 - a, jax.numpy.ones_like(a), lambda f, x: newton(f, x, jax), divide)

    agree(cube_root, F, **CLOSE)
    agree(lambda jax, a: jax.jvp(lambda v: cube_root(jax, v), (a,), (a,)), F, modes=EAGER, **CLOSE)

    def with_aux(jax, a):
        solver = lambda f, x: ({"x": newton(lambda v: f({"x": v})["x"], x["x"], jax)}, 40.0)
        divide = lambda g, y: {"x": y["x"] / g({"x": 1.0})["x"]}
        return jax.lax.custom_root(lambda x: {"x": x["x"] ** 3 - a[1]}, {"x": 1.5}, solver, divide, has_aux=True)

    agree(lambda jax, a: with_aux(jax, a)[0]["x"], F, modes=MODES, **CLOSE)
