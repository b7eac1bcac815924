"""custom_jvp and custom_vjp: signatures, trees, fixed arguments, composition with all transforms, errors."""

import functools

import numpy as np
import pytest
from jax_programs import agree

import pequegrad as pg
import pequegrad.jax_api as jnp

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def everywhere(m, f, x):
    """f (rows of x -> a scalar) under what reverse and forward mode have to offer, without forward mode itself."""
    rows = lambda x: m.map(f, x).sum()
    return (
        f(x[0]),
        m.jit(f)(x[0]),
        m.vmap(f)(x),
        m.grad(f)(x[0]),
        m.value_and_grad(m.jit(f))(x[0]),
        m.jit(m.vmap(m.grad(f)))(x),
        m.grad(lambda x: m.vmap(f)(x).sum())(x),
        m.grad(rows)(x),
        m.grad(m.checkpoint(f))(x[0]),
        m.vmap(m.grad(m.checkpoint(f)))(x),
        m.grad(lambda x: m.scan(lambda c, r: (c + m.checkpoint(f)(r * c), None), x[0, 0] * 0 + 0.5, x)[0])(x),
        m.grad(lambda x: m.cond(x.sum() > -99, f, lambda x: x.sum(), x))(x[0]),
        m.vjp(lambda x: m.vmap(f)(x), x)[1](x[:, 0]),
    )


def forward_everywhere(m, f, x):
    v = x * 0.5 + 1
    return (
        m.jvp(f, (x[0],), (v[0],)),
        m.jit(lambda x, v: m.jvp(f, (x,), (v,)))(x[0], v[0]),
        m.vmap(lambda x, v: m.jvp(f, (x,), (v,)))(x, v),
        m.jvp(lambda x: m.map(f, x), (x,), (v,)),
        m.jvp(m.checkpoint(f), (x[0],), (v[0],)),
        m.jacfwd(f)(x[0]),
        m.hessian(f)(x[0]),
        m.linearize(f, x[0])[1](v[0]),
        m.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, m.jvp(f, (s[1],), (v[0],))[1] * s[1]), (0, x[0]))[1],
    )


def count_calls(function):
    calls = []

    @functools.wraps(function)
    def counted(*args, **kwargs):
        calls.append(1)
        return function(*args, **kwargs)

    return counted, calls


# ---- custom_jvp --------------------------------------------------------------------------------------


def marked_power(m, n, **options):
    """sum(s * x ** k), whose rule is the derivative times 10: it is seen whenever the rule is used."""

    @functools.partial(m.custom_jvp, nondiff_argnums=(0, 2))
    def f(k, x, scale):
        return scale * (x**k).sum()

    @f.defjvp
    def rule(k, scale, primals, tangents):
        (x,), (dx,) = primals, tangents
        return f(k, x, scale), (10 * scale * k * x ** (k - 1) * dx).sum()

    return f


def test_fixed_arguments_of_custom_jvp(tensor):
    def program(m, n, x):
        f = lambda x: marked_power(m, n)(3, x, 2.0)
        return everywhere(m, f, x), forward_everywhere(m, f, x)

    agree(program, tensor, X)


def test_one_rule_per_argument(tensor):
    def program(m, n, x):
        @m.custom_jvp
        def f(x, y, z):
            return n.sin(x) * y + z

        f.defjvps(lambda dx, answer, x, y, z: 3 * dx * y, lambda dy, answer, x, y, z: dy * answer, None)
        g = lambda x: f(x, x * x, x + 1).sum()
        return everywhere(m, g, x), forward_everywhere(m, g, x), m.grad(lambda z: f(x, x, z).sum())(x)

    agree(program, tensor, X)


def test_rules_that_are_all_none(tensor):
    f = pg.custom_jvp(lambda x: jnp.sin(x).sum())
    f.defjvps(None)
    x = tensor([1.0, 2.0])
    assert pg.grad(f)(x).numpy().tolist() == [0, 0]
    assert pg.jvp(f, (x,), (x,))[1].item() == 0


def tree_function(m, n):
    """Trees in and out, one of the results an integer."""

    @m.custom_jvp
    def f(params, x):
        h = params["w"] * x + params["b"][0]
        return {"out": n.tanh(h), "sum": (h.sum(), (x > 0).sum())}

    @f.defjvp
    def rule(primals, tangents):
        (params, x), (dparams, dx) = primals, tangents
        out = f(params, x)
        dh = 5 * (dparams["w"] * x + params["w"] * dx) + dparams["b"][0]
        count = out["sum"][1]
        zero = np.zeros(np.shape(count), [("float0", np.void, 0)])
        return out, {"out": (1 - out["out"] ** 2) * dh, "sum": (dh.sum(), zero)}

    return f


def test_trees_and_integer_results(tensor):
    def program(m, n, x):
        def g(x):
            out = tree_function(m, n)({"w": x, "b": [x + 1]}, n.sin(x))
            return (out["out"] * 2).sum() + out["sum"][0] * out["sum"][1]

        return everywhere(m, g, x), forward_everywhere(m, g, x)

    agree(program, tensor, X, rtol=1e-3)  # values of 3e8, of terms that cancel: sums in another order differ by 1e-4


def test_integer_arguments_of_custom_jvp(tensor):
    def program(m, n, x):
        @m.custom_jvp
        def f(x, count):
            return (x * count).sum()

        @f.defjvp
        def rule(primals, tangents):
            (x, count), (dx, _) = primals, tangents
            return f(x, count), (7 * dx * count).sum()

        return m.grad(f)(x, 3), m.jit(m.grad(f))(x, 3), m.vmap(m.grad(f), in_axes=(0, None))(x, 3)

    agree(program, tensor, X)


def test_keyword_arguments_and_defaults(tensor):
    def program(m, n, x):
        @m.custom_jvp
        def f(x, scale=2.0, shift=1.0):
            return (n.sin(x) * scale + shift).sum()

        @f.defjvp
        def rule(primals, tangents):
            (x, scale, shift), (dx, dscale, _) = primals, tangents
            return f(x, scale, shift), (4 * n.cos(x) * scale * dx + n.sin(x) * dscale).sum()

        return (
            m.grad(lambda x: f(x, shift=3.0, scale=x.sum()))(x),
            m.grad(lambda x: f(x=x))(x),
            m.jvp(lambda x: f(x, scale=x[0, 0]), (x,), (x,)),
        )

    agree(program, tensor, X)


def test_methods(tensor):
    """self is an argument like others; partial objects and bound methods of others may be decorated."""

    class Model:
        def __init__(self, scale):
            self.scale = scale

        @functools.partial(pg.custom_jvp, nondiff_argnums=(0,))
        def forth(self, x):
            return (x * self.scale).sum()

        @forth.defjvp
        def rule(self, primals, tangents):
            return self.forth(*primals), (tangents[0] * self.scale * 100).sum()

        @functools.partial(pg.custom_vjp, nondiff_argnums=(0,))
        def back(self, x):
            return (x * self.scale).sum()

        back.defvjp(
            lambda self, x: (self.back(x), x.shape),
            lambda self, shape, ct: (pg.ones(shape, device=ct.device) * ct * self.scale,),
        )

    x = tensor(np.ones(3))
    assert pg.grad(Model(2.0).forth)(x).numpy().tolist() == [200] * 3
    assert pg.jit(pg.grad(Model(3.0).forth))(x).numpy().tolist() == [300] * 3
    assert pg.grad(Model(2.0).back)(x).numpy().tolist() == [2] * 3

    scaled = pg.custom_jvp(functools.partial(lambda k, x: (k * x).sum(), 4.0))
    scaled.defjvp(lambda primals, tangents: (scaled(*primals), tangents[0].sum() * 9))
    assert pg.grad(scaled)(x).numpy().tolist() == [9] * 3


def test_names_and_docstrings_are_kept():
    def area(r):
        """The area of a disc."""

    for kind in (pg.custom_jvp, pg.custom_vjp):
        assert kind(area).__name__ == "area" and kind(area).__doc__ == "The area of a disc."


def test_nondiff_argnames(tensor):
    @pg.custom_jvp(nondiff_argnames=("k",))
    def f(x, k):
        return (x**k).sum()

    f.defjvp(lambda k, primals, tangents: (f(*primals, k), (tangents[0] * k).sum()))
    assert pg.grad(f)(tensor(np.ones(2)), 3).numpy().tolist() == [3, 3]
    assert pg.grad(lambda x: f(x, k=4))(tensor(np.ones(2))).numpy().tolist() == [4, 4]


def test_log1pexp_is_stable(tensor, rng):
    """The example of the JAX documentation: without the rule the derivative at 100 is nan."""

    @pg.custom_jvp
    def log1pexp(x):
        return jnp.log(1.0 + jnp.exp(x))

    assert np.isnan(pg.grad(lambda x: jnp.log(1.0 + jnp.exp(x)))(tensor(np.float32(100))).item())

    @log1pexp.defjvp
    def rule(primals, tangents):
        (x,), (t,) = primals, tangents
        return log1pexp(x), (1 - 1 / (1 + jnp.exp(x))) * t

    for f in (log1pexp, pg.jit(log1pexp), pg.checkpoint(log1pexp)):
        assert pg.grad(f)(tensor(np.float32(100))).item() == 1
    x = rng.normal(size=20) * 3
    sigmoid = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(pg.vmap(pg.grad(log1pexp))(tensor(x)).numpy(), sigmoid, rtol=1e-12)
    second = pg.vmap(pg.grad(pg.grad(log1pexp)))(tensor(x)).numpy()
    np.testing.assert_allclose(second, sigmoid * (1 - sigmoid), rtol=1e-9)


def test_the_function_runs_once(tensor):
    """A rule that asks the function for its value again gets the one that is known."""
    function, calls = count_calls(lambda x, y: jnp.sin(x) * y)
    f = pg.custom_jvp(function)
    f.defjvp(lambda primals, tangents: (f(*primals), jnp.cos(primals[0]) * tangents[0]))
    x = tensor(np.ones(2))
    pg.grad(lambda x: f(x, x).sum())(x).eval()
    assert len(calls) == 1
    pg.jvp(f, (x, x), (x, x))[1].eval()
    assert len(calls) == 2
    pg.vjp(f, x, x)[1](x)
    assert len(calls) == 3

    function, calls = count_calls(lambda x: jnp.sin(x).sum())
    f = pg.custom_vjp(function)
    f.defvjp(lambda x: (f(x), x), lambda x, ct: (jnp.cos(x) * ct,))
    value, g = pg.value_and_grad(f)(x)
    value.eval(), g.eval()
    assert len(calls) == 1  # fwd calls it: not once more for the value
    f(tensor(np.ones(2)).detach()).eval()
    assert len(calls) == 2


def test_the_function_may_branch_on_values_under_grad(tensor):
    @pg.custom_jvp
    def f(x):
        return x * 2 if x > 0 else x * 3

    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0] * (20 if primals[0] > 0 else 30)))
    assert pg.grad(f)(tensor(1.0)).item() == 20 and pg.grad(f)(tensor(-1.0)).item() == 30


def test_the_function_may_use_what_has_no_derivative(tensor):
    """The rule stands for the whole: a while_loop inside is not looked into."""

    @pg.custom_jvp
    def root(a):  # Newton's method
        return pg.while_loop(lambda x: abs(x * x - a) > 1e-10, lambda x: 0.5 * (x + a / x), a + 1.0)

    root.defjvp(lambda primals, tangents: (root(*primals), tangents[0] / (2 * root(*primals))))
    a = tensor(np.array([2.0, 9.0]))
    np.testing.assert_allclose(pg.vmap(pg.grad(root))(a).numpy(), 0.5 / np.sqrt([2, 9]), rtol=1e-9)
    second = pg.vmap(pg.grad(pg.grad(root)))(a).numpy()
    np.testing.assert_allclose(second, -0.25 * np.array([2, 9]) ** -1.5, rtol=1e-9)


def test_grads_after_the_fact_uses_the_rules(tensor):
    f = pg.custom_jvp(lambda x: x.sum())
    f.defjvp(lambda primals, tangents: (f(*primals), 5 * tangents[0].sum()))
    g = pg.custom_vjp(lambda x: x.sum())
    g.defvjp(lambda x: (g(x), x), lambda x, ct: (7 * ct * pg.ones_like(x),))
    x = tensor(np.ones(2))
    loss = f(x) + g(x)
    loss.numpy()
    assert pg.grads([x], loss)[0].numpy().tolist() == [12, 12]


def test_rules_under_no_grad(tensor):
    f = pg.custom_vjp(lambda x: x.sum())
    f.defvjp(lambda x: (f(x), None), lambda _, ct: (ct * pg.ones(2),))
    x = tensor([1.0, 2.0])
    with pg.no_grad():
        y = f(x)
    assert y.item() == 3
    with pytest.raises(pg.GradientError):
        pg.grads([x], y)


def test_arguments_of_old_calls_are_freed(tensor):
    import gc
    import weakref

    class Settings:
        scale = 2.0

    f = pg.custom_jvp(lambda settings, x: x * settings.scale, nondiff_argnums=0)
    f.defjvp(lambda settings, primals, tangents: (f(settings, *primals), tangents[0]))
    g = pg.custom_vjp(lambda settings, x: x * settings.scale, nondiff_argnums=0)
    g.defvjp(lambda settings, x: (g(settings, x), settings), lambda settings, kept, ct: (ct,))
    for function in (f, g):
        settings = Settings()
        ref = weakref.ref(settings)
        pg.grad(lambda x, settings=settings, function=function: function(settings, x))(tensor(1.0)).numpy()
        del settings
        gc.collect()
        assert ref() is None


# ---- custom_vjp --------------------------------------------------------------------------------------


def test_fixed_arguments_of_custom_vjp(tensor):
    def program(m, n, x):
        @functools.partial(m.custom_vjp, nondiff_argnums=(0, 2))
        def f(k, x, function):
            return function(x) ** k

        def fwd(k, x, function):
            return f(k, x, function), (function(x), x)

        f.defvjp(fwd, lambda k, function, kept, ct: (ct * 3 * k * kept[0] ** (k - 1) * kept[1],))
        return everywhere(m, lambda x: f(2, x, lambda x: n.cos(x).sum()), x)

    agree(program, tensor, X)


def test_residual_trees_with_static_parts(tensor):
    """Residuals may be any tree: tensors, numbers, None, and nothing at all."""

    def program(m, n, x):
        @m.custom_vjp
        def f(x, y):
            return (n.sin(x) * y).sum()

        def fwd(x, y):
            return f(x, y), {"cos": n.cos(x), "rest": (y, None, 2.0), "rank": x.ndim}

        def bwd(kept, ct):
            y, none, two = kept["rest"]
            assert none is None
            return kept["cos"] * y * ct * two * kept["rank"], ct * y

        f.defvjp(fwd, bwd)
        none = m.custom_vjp(lambda x: x.sum())
        none.defvjp(lambda x: (none(x), ()), lambda kept, ct: (n.full((3,), ct),))
        return everywhere(m, lambda x: f(x, x + 1) + none(x), x)

    agree(program, tensor, X)


def test_none_cotangents(tensor):
    def program(m, n, x):
        @m.custom_vjp
        def f(x, p, i):
            return (x * p["w"] * p["b"]).sum() * i

        f.defvjp(lambda x, p, i: (f(x, p, i), (x, p)), lambda kept, ct: (ct * kept[0] * 2, None, None))
        g = lambda x: f(x, {"w": x * x, "b": n.exp(x)}, 3)
        return everywhere(m, g, x), m.grad(f, argnums=1)(x[0], {"w": x[0], "b": x[1]}, 3)

    agree(program, tensor, X)


def test_several_results(tensor):
    def program(m, n, x):
        @m.custom_vjp
        def f(x):
            return {"a": n.sin(x), "b": (x.sum(), x > 0)}

        def bwd(x, ct):
            return (ct["a"] * n.cos(x) * 2 + ct["b"][0] * 3,)

        f.defvjp(lambda x: (f(x), x), bwd)

        def g(x):
            out = f(x)
            return (out["a"] * out["b"][1]).sum() + out["b"][0] ** 2

        only_one = lambda x: f(x)["a"].sum()  # the cotangents of the others are zeros
        return everywhere(m, g, x), everywhere(m, only_one, x)

    agree(program, tensor, X)


def test_captured_constants(tensor):
    """Tensors that the function and its rules read from outside are constants to it."""

    ours = tensor(X[0] * 2)

    def program(m, n, x):
        w = ours if m is pg else X[0] * 2

        @m.custom_vjp
        def f(x):
            return (n.sin(x) * w).sum()

        f.defvjp(lambda x: (f(x), x), lambda x, ct: (n.cos(x) * w * ct * 2,))
        return everywhere(m, f, x)

    agree(program, tensor, X)


def test_custom_rules_of_each_other(tensor):
    def program(m, n, x):
        @m.custom_vjp
        def inner(x):
            return n.sin(x)

        inner.defvjp(lambda x: (inner(x), x), lambda x, ct: (2 * n.cos(x) * ct,))

        @m.custom_vjp
        def outer(x):
            return (inner(x) ** 2).sum()

        def fwd(x):
            y, pull = m.vjp(inner, x)
            return (y**2).sum(), (y, pull(2 * y)[0])

        outer.defvjp(fwd, lambda kept, ct: (ct * kept[1] + kept[0],))
        return everywhere(m, outer, x), m.grad(lambda x: m.grad(outer)(x).sum())(x[0])

    agree(program, tensor, X)


def test_clipped_gradients(tensor):
    """Another classic: identity forwards, a clipped cotangent backwards, with traced bounds."""

    def program(m, n, x):
        @m.custom_vjp
        def clip_gradient(lo, hi, x):
            return x

        clip_gradient.defvjp(lambda lo, hi, x: (x, (lo, hi)), lambda kept, ct: (None, None, n.clip(ct, *kept)))
        return everywhere(m, lambda x: (clip_gradient(-0.5, 0.75, n.sin(x)) ** 3).sum(), x)

    agree(program, tensor, X)


def test_optimisation_by_a_fixed_point(tensor):
    """Implicit differentiation: the backward rule solves a fixed point of its own with a while_loop."""

    def program(m, n, a):
        step = lambda a, x: n.cos(a * x)

        @m.custom_vjp
        def solve(a):
            body = lambda s: (s[0] + 1, step(a, s[1]))
            return m.while_loop(lambda s: s[0] < 60, body, (0, n.ones_like(a)))[1]

        def bwd(kept, ct):
            a, x = kept
            _, pull = m.vjp(step, a, x)
            body = lambda s: (s[0] + 1, ct + pull(s[1])[1])
            u = m.while_loop(lambda s: s[0] < 60, body, (0, ct))[1]
            return (pull(u)[0],)

        solve.defvjp(lambda a: (lambda x: (x, (a, x)))(solve(a)), bwd)
        return solve(a), m.grad(lambda a: solve(a).sum())(a), m.jit(m.vmap(m.grad(solve)))(a)

    agree(program, tensor, np.float32([0.3, 0.5, 0.8]))


# ---- errors ------------------------------------------------------------------------------------------


def message(error, f):
    with pytest.raises(error) as caught:
        f()
    return str(caught.value)


def test_a_function_without_rules_is_named(tensor):
    x = tensor([1.0, 2.0])

    @pg.custom_jvp
    def swish(x):
        return x

    @pg.custom_vjp
    def mish(x):
        return x

    assert "swish" in (text := message(pg.GradientError, lambda: swish(x))) and "defjvp" in text
    assert "mish" in (text := message(pg.GradientError, lambda: mish(x))) and "defvjp" in text
    assert "takes a function" in message(pg.ArgumentError, lambda: pg.custom_jvp(3))
    assert "takes a function" in message(pg.ArgumentError, lambda: pg.custom_vjp(3))


def forward_with(rule):
    @pg.custom_jvp
    def ruled(x):
        return {"a": x * 2}

    ruled.defjvp(rule)
    return lambda x: pg.grad(lambda x: ruled(x)["a"].sum())(x)


def backward_with(bwd, fwd=None):
    @pg.custom_vjp
    def ruled(x, y):
        return x * y

    ruled.defvjp(fwd or (lambda x, y: (x * y, (x, y))), bwd)
    return lambda x: pg.grad(lambda x: ruled(x, x).sum())(x)


def test_jvp_rules_that_return_something_else(tensor):
    x = tensor([1.0, 2.0])
    text = message(pg.ArgumentError, lambda: forward_with(lambda p, t: t[0])(x))
    assert "ruled" in text and "primals out, tangents out" in text
    text = message(pg.ArgumentError, lambda: forward_with(lambda p, t: (p[0], t[0]))(x))
    assert "ruled" in text and "structure" in text
    text = message(pg.ShapeError, lambda: forward_with(lambda p, t: ({"a": p[0]}, {"a": t[0].sum()}))(x))
    assert "ruled" in text and "[2]" in text and "[]" in text
    f = pg.custom_jvp(lambda x: x)
    f.defjvp(lambda p, t: (_ for _ in ()).throw(RuntimeError("in the rule")))
    with pytest.raises(RuntimeError, match="in the rule"):
        pg.grad(f)(tensor(1.0))
    assert pg.grad(lambda x: x * x)(tensor(3.0)).item() == 6
    text = message(pg.ArgumentError, lambda: pg.custom_jvp(lambda x, k: x, nondiff_argnums=1).defjvps(None))
    assert "nondiff_argnums" in text and "defjvp" in text


def test_vjp_rules_that_return_something_else(tensor):
    x = tensor([1.0, 2.0])
    text = message(pg.ArgumentError, lambda: backward_with(lambda kept, ct: ct)(x))
    assert "ruled" in text and "tuple" in text and "fix" in text
    text = message(pg.ArgumentError, lambda: backward_with(lambda kept, ct: (ct,))(x))
    assert "1 cotangents for 2 arguments" in text
    text = message(pg.ArgumentError, lambda: backward_with(lambda kept, ct: ((ct, ct), ct))(x))
    assert "structure" in text
    text = message(pg.ShapeError, lambda: backward_with(lambda kept, ct: (ct.sum(), ct))(x))
    assert "[2]" in text and "[]" in text
    text = message(pg.ArgumentError, lambda: backward_with(lambda kept, ct: (ct, ct), lambda x, y: x)(x))
    assert "fwd" in text and "residuals" in text


def test_forward_mode_through_custom_vjp_is_refused(tensor):
    @pg.custom_vjp
    def ruled(x):
        return x * 2

    ruled.defvjp(lambda x: (x * 2, None), lambda _, ct: (ct,))
    x = tensor([1.0, 2.0])
    scanned = lambda x: pg.scan(lambda c, _: (ruled(c), None), x, None, length=2)[0]
    for f in (ruled, pg.jit(ruled), pg.vmap(ruled), pg.checkpoint(ruled), scanned):
        for forward in (lambda f: pg.jvp(f, (x,), (x,)), lambda f: pg.jacfwd(f)(x), lambda f: pg.linearize(f, x)[1](x)):
            text = message(pg.GradientError, lambda: [y.numpy() for y in pg.transforms.tree.flatten(forward(f))[0]])
            assert "ruled" in text and "custom_vjp" in text
    assert pg.jacrev(ruled)(x).numpy().tolist() == [[1, 0], [0, 1]]


def test_keyword_only_arguments_are_refused(tensor):
    f = pg.custom_jvp(lambda x, *, k: x * k)
    f.defjvp(lambda p, t: (f(*p), t[0]))
    assert "keyword-only" in message(pg.ArgumentError, lambda: f(tensor(1.0), k=2.0))
    assert "unexpected" in message(pg.ArgumentError, lambda: f(tensor(1.0), j=2.0))


def test_errors_leave_the_function_usable(tensor):
    bad = [True]

    @pg.custom_vjp
    def f(x):
        return x * 3

    def fwd(x):
        if bad:
            raise KeyError("fwd")
        return f(x), None

    f.defvjp(fwd, lambda _, ct: (ct * 30,))
    with pytest.raises(KeyError):
        pg.grad(f)(tensor(1.0))
    bad.clear()
    assert pg.grad(f)(tensor(1.0)).item() == 30 and f(tensor(1.0)).item() == 3
