"""jet and taylor_expand: against mpmath, jax.experimental.jet, nested jvp, and series in closed form."""

import math

import jax
import mpmath
import numpy as np
import pytest

import pequegrad as pg
import pequegrad.jax_api as jnp
from pequegrad.primitives import PRIMITIVES
from pequegrad.primitives.elementwise import Elementwise
from pequegrad.transforms.tree import flatten

ORDER = 5
SLOPES = (0.7, -0.4, 0.3, 1.1, -0.9)  # derivatives 1 to 5 of the curves below at t = 0


def message(error, f):
    with pytest.raises(error) as caught:
        f()
    return str(caught.value)


# ---- every elementwise primitive, on a curve with all derivatives, against 60 digits -------------------

UNARY = {
    "abs": (lambda x: abs(x), -0.8),
    "exp": (mpmath.exp, 0.3),
    "exp2": (lambda x: mpmath.mpf(2) ** x, 0.3),
    "expm1": (mpmath.expm1, 0.3),
    "log": (mpmath.log, 1.7),
    "log1p": (mpmath.log1p, 0.7),
    "sqrt": (mpmath.sqrt, 1.7),
    "rsqrt": (lambda x: 1 / mpmath.sqrt(x), 1.7),
    "cbrt": (mpmath.cbrt, 1.7),
    "sin": (mpmath.sin, 0.3),
    "cos": (mpmath.cos, 0.3),
    "tan": (mpmath.tan, 0.3),
    "asin": (mpmath.asin, 0.3),
    "acos": (mpmath.acos, 0.3),
    "atan": (mpmath.atan, 0.3),
    "sinh": (mpmath.sinh, 0.3),
    "cosh": (mpmath.cosh, 0.3),
    "tanh": (mpmath.tanh, 0.3),
    "asinh": (mpmath.asinh, 0.3),
    "acosh": (mpmath.acosh, 1.7),
    "atanh": (mpmath.atanh, 0.3),
    "logistic": (lambda x: 1 / (1 + mpmath.exp(-x)), 0.3),
    "erf": (mpmath.erf, 0.3),
    "erfc": (mpmath.erfc, 0.3),
    "erf_inv": (mpmath.erfinv, 0.3),
    "lgamma": (mpmath.loggamma, 2.3),
    "digamma": (mpmath.digamma, 2.3),
    "neg": (lambda x: -x, 0.3),
}
BINARY = {  # with the second curve
    "add": (lambda x, y: x + y, 0.3, 1.2),
    "sub": (lambda x, y: x - y, 0.3, 1.2),
    "mul": (lambda x, y: x * y, 0.3, 1.2),
    "div": (lambda x, y: x / y, 0.3, 1.2),
    "max": (lambda x, y: max(x, y), 0.3, 1.2),
    "min": (lambda x, y: min(x, y), 0.3, 1.2),
    "pow": (lambda x, y: x**y, 1.3, 1.2),
    "atan2": (mpmath.atan2, 0.3, 1.2),
    "rem": (lambda x, y: x - 2 * y, 3.3, 1.2),  # 3.3 / 1.2 is 2 and a rest
}
BETA = (0.2, 0.5, -0.6, 0.4, 0.8)


def curve(x0, slopes):
    return lambda t: x0 + sum(s * t**k / math.factorial(k) for k, s in enumerate(map(mpmath.mpf, slopes), 1))


def expected_derivatives(f):
    """[f(0), f'(0), ..., f of order 5] of a function of one number, from 60 digits."""
    with mpmath.workdps(60):
        return [float(c * math.factorial(k)) for k, c in enumerate(mpmath.taylor(f, 0, ORDER))]


def check(found, expected, rtol=1e-11):
    value, derivatives = found
    np.testing.assert_allclose([value.item(), *(d.item() for d in derivatives)], expected, rtol=rtol, atol=1e-12)


def scalar(tensor, value):
    return tensor(np.float64(value))


def test_all_elementwise_primitives_are_here():
    stated = {
        name for name, p in PRIMITIVES.items() if issubclass(p.rules, Elementwise) and "derivative" in vars(p.rules)
    }
    special = {
        "igamma",
        "igammac",
        "igamma_grad_a",
        "random_gamma_grad",
        "betainc",
        "zeta",
        "bessel_i0e",
        "bessel_i1e",
    }  # in test_gamma.py
    assert stated <= UNARY.keys() | BINARY.keys() | special | {"integer_pow", "polygamma"}  # these take a parameter


@pytest.mark.parametrize("name", UNARY)
def test_unary_functions(name, tensor):
    f, x0 = UNARY[name]
    terms = [scalar(tensor, s) for s in SLOPES]
    expected = expected_derivatives(lambda t: f(curve(x0, SLOPES)(t)))
    check(pg.jet(PRIMITIVES[name], (scalar(tensor, x0),), (terms,)), expected)


@pytest.mark.parametrize("name", BINARY)
def test_binary_functions(name, tensor):
    f, x0, y0 = BINARY[name]
    x, y = scalar(tensor, x0), scalar(tensor, y0)
    xs, ys = ([scalar(tensor, s) for s in row] for row in (SLOPES, BETA))
    cx, cy = curve(x0, SLOPES), curve(y0, BETA)
    p = PRIMITIVES[name]
    check(pg.jet(p, (x, y), (xs, ys)), expected_derivatives(lambda t: f(cx(t), cy(t))))
    check(pg.jet(lambda x: p(x, y), (x,), (xs,)), expected_derivatives(lambda t: f(cx(t), mpmath.mpf(y0))))
    check(pg.jet(lambda y: p(x, y), (y,), (ys,)), expected_derivatives(lambda t: f(mpmath.mpf(x0), cy(t))))


@pytest.mark.parametrize("n", [-2, -1, 0, 1, 2, 3, 4, 7])
def test_integer_powers(n, tensor):
    terms = [scalar(tensor, s) for s in SLOPES]
    found = pg.jet(lambda x: x**n, (scalar(tensor, -1.3),), (terms,))
    check(found, expected_derivatives(lambda t: curve(-1.3, SLOPES)(t) ** n))


def test_integer_powers_at_zero(tensor):
    terms = [scalar(tensor, s) for s in SLOPES]
    for n in (2, 3, 5):
        found = pg.jet(lambda x, n=n: x**n, (scalar(tensor, 0.0),), (terms,))
        check(found, expected_derivatives(lambda t, n=n: curve(0, SLOPES)(t) ** n))


@pytest.mark.parametrize("zeros", [(0,), (1,), (0, 1, 2, 3), (1, 2, 3, 4), (0, 1, 2, 3, 4)])
def test_terms_that_are_zero(zeros, tensor):
    slopes = [0.0 if k in zeros else s for k, s in enumerate(SLOPES)]
    terms = [scalar(tensor, s) for s in slopes]
    for f, g in (
        (lambda x: jnp.exp(jnp.sin(x)) / (x + 2), lambda x: mpmath.exp(mpmath.sin(x)) / (x + 2)),
        (lambda x: jnp.log(x * x + 1) * x, lambda x: mpmath.log(x * x + 1) * x),
    ):
        check(
            pg.jet(f, (scalar(tensor, 0.4),), (terms,)), expected_derivatives(lambda t, g=g: g(curve(0.4, slopes)(t)))
        )


# ---- functions of arrays against nested forward mode and JAX --------------------------------------------

W = np.random.default_rng(5).normal(size=(3, 3)) / 2


def library_of(m):
    """Names that differ between the two libraries."""
    if m is pg:
        return {"softmax": pg.softmax, "lse": pg.logsumexp, "cumsum": lambda x: pg.cumsum(x, 0), "cond": pg.cond,
                "scan": pg.scan, "fori": pg.fori_loop, "while": pg.while_loop, "jit": pg.jit, "vmap": pg.vmap,
                "checkpoint": pg.checkpoint, "cumprod": lambda x: pg.cumprod(x, 0), "sort": lambda x: pg.sort(x, -1),
                "norm": pg.norm, "gelu": pg.gelu, "stop": pg.stop_gradient}  # fmt: skip
    lax = jax.lax
    return {"softmax": lambda x, axis: jax.nn.softmax(x, axis), "lse": lambda x, axis: jax.nn.logsumexp(x, axis),
            "cumsum": lambda x: jax.numpy.cumsum(x, 0), "cond": lax.cond, "scan": lax.scan, "fori": lax.fori_loop,
            "while": lax.while_loop, "jit": jax.jit, "vmap": jax.vmap, "checkpoint": jax.checkpoint,
            "cumprod": lambda x: jax.numpy.cumprod(x, 0), "sort": lambda x: jax.numpy.sort(x, -1),
            "norm": jax.numpy.linalg.norm, "gelu": lambda x: jax.nn.gelu(x, approximate=False), "stop": lax.stop_gradient}  # fmt: skip


PROGRAMS = {
    "matmul": lambda m, n: lambda x: x @ W @ x.T,
    "mlp": lambda m, n: lambda x: (n.tanh(n.tanh(x @ W) @ W) ** 2).sum(),
    "division": lambda m, n: lambda x: x / (x.sum(0) ** 2 + 3),
    "softmax": lambda m, n: lambda x: m["softmax"](x * x, axis=-1),
    "logsumexp": lambda m, n: lambda x: m["lse"](n.sin(x), axis=-1),
    "cumsum": lambda m, n: lambda x: m["cumsum"](x * x),
    "cumprod": lambda m, n: lambda x: m["cumprod"](n.sin(x) + 2),
    "products": lambda m, n: lambda x: n.prod(x + 3, axis=1),
    "statistics": lambda m, n: lambda x: n.var(x, axis=1) * n.mean(x),
    "extrema": lambda m, n: lambda x: n.max(x, axis=1) * n.min(x) + n.maximum(x, 0.1).sum(),
    "sorted": lambda m, n: lambda x: m["sort"](x * x + x),
    "where": lambda m, n: lambda x: n.where(x > 0, n.exp(x), x**3),
    "shapes": lambda m, n: lambda x: n.concatenate([x.T[1:], n.flip(x.T, 0)], axis=0).reshape((-1, 2))[::2, 1] ** 2,
    "indexing": lambda m, n: lambda x: x[np.array([0, 1, 1])] * x[:, np.array([2])][0],
    "jit": lambda m, n: lambda x: m["jit"](lambda x: n.sin(x) * x.sum())(x * x),
    "vmap": lambda m, n: lambda x: m["vmap"](lambda r: n.exp(r) * r.sum())(x),
    "checkpoint": lambda m, n: lambda x: m["checkpoint"](lambda x: n.sin(n.sin(x) @ W))(x),
    "scan": lambda m, n: lambda x: m["scan"](lambda c, r: (n.tanh(c * r + 0.3), c.sum()), x[0], x),
    "scan of constants": lambda m, n: lambda x: m["scan"](lambda c, r: (c * n.sin(r), c * x.sum()), x[0], x * 0 + W[:2]),
    "cond": lambda m, n: lambda x: m["cond"](x.sum() > 99, lambda x: x, lambda x: n.exp(x) * x, x),
    "fori_loop": lambda m, n: lambda x: m["fori"](0, 3, lambda i, c: n.sin(c) * (i + 1.0), x),
    "while_loop": lambda m, n: lambda x: m["while"](lambda s: s[0] < 3, lambda s: (s[0] + 1, n.cos(s[1]) * x), (0, x))[1],
    "stop_gradient": lambda m, n: lambda x: m["stop"](x * x) * n.sin(x),
    "gelu": lambda m, n: lambda x: m["gelu"](x),
    "tree": lambda m, n: lambda x: {"a": n.sin(x), "b": (x.sum(), x[0] * 0)},
}  # fmt: skip


def along(m, f, x, terms):
    """The derivatives of f along the curve by forward mode, nested: a list of trees."""

    def point(t):
        total, power = x, 1.0
        for k, s in enumerate(terms, 1):
            power = power * t / k
            total = total + s * power
        return f(total)

    functions = [point]
    for _ in terms:
        functions.append(lambda t, g=functions[-1]: m.jvp(g, (t,), (m_one(t),))[1])
    return functions


def m_one(t):
    return t * 0 + 1


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_agree_with_nested_forward_mode_of_jax(name, tensor, rng):
    x, terms = rng.normal(size=(2, 3)), [rng.normal(size=(2, 3)) for _ in range(3)]
    with jax.enable_x64(True):
        functions = along(jax, PROGRAMS[name](library_of(jax), jax.numpy), x, terms)
        expected = jax.jit(lambda t: [f(t) for f in functions])(np.float64(0))
    f = PROGRAMS[name](library_of(pg), jnp)
    for transform in (lambda f: f, pg.jit):
        value, series = transform(lambda x, terms: pg.jet(f, (x,), (terms,)))(tensor(x), [tensor(s) for s in terms])
        values, structure = flatten(value)
        rows = structure.flatten_up_to(series)
        assert all(len(row) == 3 for row in rows)
        for k, wanted in enumerate(expected):
            for mine, theirs in zip(
                values if k == 0 else [row[k - 1] for row in rows], jax.tree_util.tree_leaves(wanted)
            ):
                assert mine.shape == theirs.shape and mine.dtype == np.float64
                scale = max(1, np.abs(theirs).max())
                np.testing.assert_allclose(mine.numpy(), theirs, rtol=1e-9, atol=1e-10 * scale)


def test_the_interface_is_jax_s(tensor, rng):
    from jax.experimental.jet import jet as jax_jet

    x, y = rng.normal(size=(2, 3)).astype("f4"), rng.normal(size=3).astype("f4")
    xs, ys = ([rng.normal(size=v.shape).astype("f4") for _ in range(3)] for v in (x, y))
    f = lambda n: lambda x, y: (n.sin(x) * y + n.exp(y), n.tanh(x).sum())
    theirs = jax_jet(f(jax.numpy), (x, y), (xs, ys))
    ours = pg.jet(f(jnp), (tensor(x), tensor(y)), ([tensor(v) for v in xs], [tensor(v) for v in ys]))
    ours, theirs = flatten(ours)[0], jax.tree_util.tree_leaves(theirs)
    assert len(ours) == len(theirs) == 2 + 2 * 3
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-4, atol=1e-4)


def test_nested_forward_mode_of_the_library_agrees(tensor, rng):
    x, terms = tensor(rng.normal(size=3)), [tensor(rng.normal(size=3)) for _ in range(ORDER)]
    f = lambda x: jnp.exp(jnp.sin(x)) / (1 + x * x) @ x
    _, series = pg.jet(f, (x,), (terms,))
    t = tensor(np.float64(0))
    for k, g in enumerate(along(pg, f, x, terms)[1:]):
        assert series[k].item() == pytest.approx(g(t).item(), rel=1e-9)


def test_first_order_is_jvp_and_second_has_the_hessian(tensor, rng):
    f = lambda x: (jnp.tanh(x @ tensor(W)) ** 2).sum()
    x, v = tensor(rng.normal(size=3)), tensor(rng.normal(size=3))
    value, (first, second) = pg.jet(f, (x,), ([v, pg.zeros_like(v)],))
    assert first.item() == pytest.approx(pg.jvp(f, (x,), (v,))[1].item(), rel=1e-12)
    assert second.item() == pytest.approx((pg.hvp(f, (x,), (v,))[0] * v).sum().item(), rel=1e-10)


def test_trees_of_primals(tensor):
    f = lambda p, y: {"out": p["w"] * y["s"][0], "same": p["w"]}
    one, two, three = (tensor(np.array([float(k)])) for k in (1, 2, 3))
    terms = [{"w": one}, {"w": two}], [{"s": [two]}, {"s": [three]}]
    value, series = pg.jet(f, ({"w": two}, {"s": [three]}), terms)
    assert value["out"].item() == 6
    # (w y)' = w' y + w y';  (w y)'' = w'' y + 2 w' y' + w y''
    assert [d.item() for d in series["out"]] == [1 * 3 + 2 * 2, 2 * 3 + 2 * 1 * 2 + 2 * 3]
    assert [d.item() for d in series["same"]] == [1, 2]


def test_results_that_do_not_depend_on_the_curve(tensor):
    x = tensor(np.ones(2))
    value, series = pg.jet(lambda x: (pg.full((3,), 2.0), (x > 0).sum(), x), (x,), ([x, x],))
    assert [d.numpy().tolist() for d in series[0]] == [[0] * 3] * 2
    assert [d.numpy().tolist() for d in series[2]] == [[1, 1]] * 2
    assert value[1].item() == 2


def test_order_zero(tensor):
    value, series = pg.jet(jnp.sin, (tensor(np.float64(1)),), ([],))
    assert value.item() == pytest.approx(math.sin(1)) and series == []


def test_jet_under_other_transforms(tensor, rng):
    f = lambda x: jnp.exp(x) * jnp.sin(x)  # its k-th derivative is 2**(k / 2) exp(x) sin(x + k pi / 4)
    third = lambda x: pg.jet(f, (x,), ([pg.ones_like(x), pg.zeros_like(x), pg.zeros_like(x)],))[1][2]
    exact = lambda x, k: 2 ** (k / 2) * np.exp(x) * np.sin(x + k * np.pi / 4)
    x = rng.normal(size=4)
    np.testing.assert_allclose(third(tensor(x)).numpy(), exact(x, 3), rtol=1e-10)
    np.testing.assert_allclose(pg.jit(third)(tensor(x)).numpy(), exact(x, 3), rtol=1e-10)
    np.testing.assert_allclose(pg.vmap(third)(tensor(x)).numpy(), exact(x, 3), rtol=1e-10)
    np.testing.assert_allclose(pg.vmap(pg.grad(third))(tensor(x)).numpy(), exact(x, 4), rtol=1e-9)
    np.testing.assert_allclose(pg.grad(lambda x: third(x).sum())(tensor(x)).numpy(), exact(x, 4), rtol=1e-9)
    np.testing.assert_allclose(pg.jvp(third, (tensor(x),), (tensor(x),))[1].numpy(), exact(x, 4) * x, rtol=1e-9)
    np.testing.assert_allclose(pg.map(third, tensor(x)).numpy(), exact(x, 3), rtol=1e-10)
    fourth = lambda x: pg.jet(pg.grad(f), (x,), ([pg.ones_like(x), pg.zeros_like(x), pg.zeros_like(x)],))[1][2]
    assert fourth(tensor(x[0])).item() == pytest.approx(exact(x[0], 4), rel=1e-9)


def test_the_function_runs_once(tensor):
    calls = []
    f = lambda x: calls.append(1) or jnp.sin(x)
    pg.jet(f, (tensor(1.0),), ([tensor(1.0)] * 6,))
    assert len(calls) == 1


def test_cost_grows_slowly_with_the_order(tensor):
    """Power series: the number of operations is quadratic in the order, not exponential."""

    def operations(order):
        f = pg.jit(lambda x: pg.jet(lambda x: jnp.exp(jnp.sin(x) * x), (x,), ([x] * order,))[1][-1])
        f(tensor(1.0))
        return len(next(iter(f.compiled.values()))[0].graph.nodes)

    assert operations(16) < 6 * operations(8)


def test_custom_rules_are_used(tensor):
    f = pg.custom_jvp(lambda x: jnp.sin(x))
    f.defjvp(lambda primals, tangents: (f(*primals), 2 * jnp.cos(primals[0]) * tangents[0]))
    x, one, zero = (scalar(tensor, v) for v in (0.3, 1.0, 0.0))
    _, series = pg.jet(f, (x,), ([one, zero],))
    assert series[0].item() == pytest.approx(2 * math.cos(0.3))
    assert series[1].item() == pytest.approx(-2 * math.sin(0.3))


# ---- taylor_expand -------------------------------------------------------------------------------------

SERIES = {  # around 0: the k-th coefficient
    "exp": (jnp.exp, lambda k: 1 / math.factorial(k)),
    "sin": (jnp.sin, lambda k: [0, 1, 0, -1][k % 4] / math.factorial(k)),
    "geometric": (lambda x: 1 / (1 - x), lambda k: 1.0),
    "log1p": (pg.log1p, lambda k: 0.0 if k == 0 else (-1) ** (k + 1) / k),
    "atan": (pg.atan, lambda k: [0, 1, 0, -1][k % 4] / max(k, 1)),
    "sqrt": (lambda x: jnp.sqrt(1 + x), lambda k: float(mpmath.binomial(0.5, k))),
    "erf": (pg.erf, lambda k: 0.0 if k % 2 == 0 else 2 / math.sqrt(math.pi) * (-1) ** (k // 2) / math.factorial(k // 2) / k),
    "tanh": (jnp.tanh, lambda k: float(mpmath.taylor(mpmath.tanh, 0, k)[k])),
    "gaussian": (lambda x: jnp.exp(-x * x), lambda k: 0.0 if k % 2 else (-1) ** (k // 2) / math.factorial(k // 2)),
    "polynomial": (lambda x: 3 + 2 * x - x**3, lambda k: {0: 3.0, 1: 2.0, 3: -1.0}.get(k, 0.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", SERIES)
def test_series_around_zero(name, tensor):
    f, coefficient = SERIES[name]
    x = np.array([-0.4, 0.0, 0.1, 0.7])
    for order in (0, 1, 2, 3, 8):
        expected = sum(coefficient(k) * x**k for k in range(order + 1)) + 0 * x
        found = pg.taylor_expand(f, order)(tensor(np.float64(0)), tensor(x))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-13)


def test_a_polynomial_is_its_own_expansion(tensor, rng):
    f = lambda x: 2 * x**4 - x**2 + x - 5
    x0, x = tensor(rng.normal(size=5)), tensor(rng.normal(size=5))
    for order in (4, 5, 7):
        np.testing.assert_allclose(pg.taylor_expand(f, order)(x0, x).numpy(), f(x).numpy(), rtol=1e-9, atol=1e-9)


def test_the_error_falls_with_the_order(tensor):
    f = lambda x: jnp.exp(jnp.sin(x)).sum()
    x0, x = tensor(np.array([0.1, 0.2, 0.3])), tensor(np.array([0.2, 0.1, 0.45]))
    errors = [abs((pg.taylor_expand(f, k)(x0, x) - f(x)).item()) for k in range(7)]
    assert all(b < 0.5 * a for a, b in zip(errors, errors[1:])), errors


def test_trees_and_vectors(tensor):
    f = lambda x: {"a": jnp.sin(x), "b": (x.sum(), x @ x)}
    x0, x = tensor(np.array([0.1, 0.2])), tensor(np.array([0.3, 0.1]))
    for g in (pg.taylor_expand(f, 9), pg.jit(pg.taylor_expand(f, 9))):
        found = g(x0, x)
        np.testing.assert_allclose(found["a"].numpy(), np.sin([0.3, 0.1]), rtol=1e-10)
        assert found["b"][0].item() == pytest.approx(0.4) and found["b"][1].item() == pytest.approx(0.1)
    assert pg.taylor_expand(jnp.exp, 2)(0.0, 0.1).item() == pytest.approx(1.105)  # Python numbers
    assert pg.taylor_expand(lambda x: (x, x * x), 2)(0.0, 3.0)[1].item() == 9
    assert pg.taylor_expand(lambda x: [jnp.exp(x)], 1)(0.0, 0.5)[0].item() == 1.5
    assert pg.vmap(pg.taylor_expand(jnp.sin, 3), in_axes=(None, 0))(0.0, x).shape == (2,)


# ---- messages ------------------------------------------------------------------------------------------


def test_messages(tensor):
    x, y = tensor(np.ones(3)), tensor(np.ones(2))
    assert "1 series for 2 primals" in message(pg.ArgumentError, lambda: pg.jet(lambda a, b: a, (x, x), ([x],)))
    text = message(pg.ArgumentError, lambda: pg.jet(lambda a, b: a, (x, x), ([x], [x, x])))
    assert "different lengths" in text and "[1, 2]" in text and "pad" in text
    text = message(pg.ShapeError, lambda: pg.jet(jnp.sin, (x,), ([y],)))
    assert "[2]" in text and "[3]" in text
    assert "order" in message(pg.ArgumentError, lambda: pg.taylor_expand(jnp.sin, -1))
    assert "order" in message(pg.ArgumentError, lambda: pg.taylor_expand(jnp.sin, 1.5))
    text = message(pg.DtypeError, lambda: pg.jet(lambda x: x * 2, (tensor(np.arange(3)),), ([tensor(np.arange(3))],)))
    assert "int64" in text


def test_terms_of_another_structure_are_refused(tensor):
    x = tensor(np.ones(3))
    for term in ({"a": x, "b": x, "c": x}, {"b": x, "c": x}, (x, x)):
        text = message(pg.ArgumentError, lambda: pg.jet(lambda t: t["a"], ({"a": x, "b": x},), ([term],)))
        assert "structure" in text


def test_custom_vjp_is_refused(tensor):
    @pg.custom_vjp
    def ruled(x):
        return x * 2

    ruled.defvjp(lambda x: (x * 2, None), lambda _, ct: (ct,))
    x = tensor(1.0)
    assert "ruled" in message(pg.GradientError, lambda: pg.jet(ruled, (x,), ([x],)))
