"""Programs of nested transforms, written once and run by JAX and by pequegrad."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import optree
import pytest

import pequegrad as pg
import pequegrad.jax_api as pj

# `m` has transforms and control flow, `n` the functions of numpy; both libraries use the same names.
JAX = types.SimpleNamespace(
    **{name: getattr(jax, name) for name in (
        "checkpoint", "custom_jvp", "custom_vjp", "grad", "hessian", "jacfwd", "jacrev", "jit", "jvp", "linearize",
        "linear_transpose", "value_and_grad", "vjp", "vmap",
    )},
    **{name: getattr(jax.lax, name) for name in (
        "all_gather", "associative_scan", "axis_index", "cond", "fori_loop", "map", "pmax", "pmean", "ppermute", "psum",
        "scan", "stop_gradient", "switch", "while_loop",
    )},
)  # fmt: skip

X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(3, 3)).astype(np.float32)

PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


# ---- building blocks ---------------------------------------------------------------------------------


def step(n):
    return lambda c, x: (n.tanh(c * 0.5 + x), (c * x).sum())


def scanned(m, n, **options):
    return lambda x: m.scan(step(n), x[0], x, **options)[1].sum()


def branched(m, n):
    return lambda x: m.cond(x.sum() > 0, lambda y: (n.sin(y) * 2).sum(), lambda y: (y * y).sum(), x)


def switched(m, n):
    return lambda i, x: m.switch(i, [lambda x: x.sum(), lambda x: (x**3).sum(), lambda x: n.exp(x).sum()], x)


def looped(m, n):
    def f(x):
        return m.while_loop(lambda s: (s[0] < 10) & (s[1].sum() < 50), lambda s: (s[0] + 1, s[1] * 1.5 + 1), (0, x))[1]

    return f


def fixed_trip(m, n):
    """A while loop of 6 steps whose body branches."""

    def f(x):
        body = lambda s: (s[0] + 1, m.cond(s[0] % 2 == 0, n.sin, lambda y: y * 1.5, s[1]))
        return m.while_loop(lambda s: s[0] < 6, body, (0, x))[1]

    return f


def ruled_forward(m, n):
    """sin(x) y with twice its derivative with respect to x: the rule is seen wherever it is used."""

    @m.custom_jvp
    def f(x, y):
        return n.sin(x) * y

    @f.defjvp
    def rule(primals, tangents):
        (x, y), (dx, dy) = primals, tangents
        return f(x, y), 2 * n.cos(x) * dx * y + dy * n.sin(x)

    return f


def ruled_backward(m, n):
    @m.custom_vjp
    def f(x, y):
        return n.sin(x) * y

    f.defvjp(
        lambda x, y: (f(x, y), (n.cos(x), n.sin(x), y)), lambda kept, ct: (2 * kept[0] * ct * kept[2], kept[1] * ct)
    )
    return f


def mlp(m, n):
    return lambda w, x: (n.tanh(n.tanh(x @ w) @ w) ** 2).sum()


# ---- scan --------------------------------------------------------------------------------------------


@program
def scan_values(m, n, x, w):
    return m.scan(step(n), x[0], x), m.scan(step(n), x[0], x, reverse=True), m.scan(step(n), x[0], x, unroll=2)


@program
def grad_of_scan(m, n, x, w):
    return [m.grad(scanned(m, n, **o))(x) for o in ({}, {"reverse": True}, {"unroll": 3}, {"unroll": True})]


@program
def grad_of_reversed_unrolled_scan(m, n, x, w):
    return m.grad(scanned(m, n, reverse=True, unroll=2))(x)


@program
def jit_of_grad_of_scan(m, n, x, w):
    return m.jit(m.grad(scanned(m, n)))(x)


@program
def grad_of_jit_of_scan(m, n, x, w):
    return m.grad(m.jit(scanned(m, n)))(x)


@program
def jvp_of_scan(m, n, x, w):
    return m.jvp(lambda x: m.scan(step(n), x[0], x), (x,), (x * 2,))


@program
def hessian_of_scan(m, n, x, w):
    return m.hessian(scanned(m, n))(x)


@program
def grad_of_grad_of_scan(m, n, x, w):
    return m.grad(lambda y: (m.grad(scanned(m, n))(y) ** 2).sum())(x)


@program
def vmap_of_grad_of_scan(m, n, x, w):
    row = lambda r: m.scan(lambda c, v: (c + v * v, c * r.sum()), r[0], r)
    return m.vmap(row)(x), m.vmap(m.grad(lambda r: row(r)[1].sum()))(x)


@program
def scan_over_captured_weights(m, n, x, w):
    loss = lambda w: m.scan(lambda c, v: (n.tanh(c @ w + v), (c @ w).sum()), x[0], x)[1].sum()
    return m.grad(loss)(w), m.jit(m.grad(loss))(w), m.jvp(loss, (w,), (w,))


@program
def vmap_over_captured_weights(m, n, x, w):
    f = lambda v: m.scan(lambda c, r: (n.tanh(c * v + r), c.sum()), x[0], x)[1].sum()
    return m.vmap(m.grad(f))(w)


@program
def scan_in_scan(m, n, x, w):
    inner = lambda c, v: (m.scan(lambda a, b: (a * 0.9 + n.sin(b), a), c, x)[0] + v, c.sum())
    return m.grad(lambda x: m.scan(inner, x[0], x)[1].sum())(x)


@program
def grad_of_scan_of_cond(m, n, x, w):
    body = lambda c, v: (m.cond(v.sum() > 0, lambda c, v: n.sin(c * v), lambda c, v: c + v * w[0], c, v), c.sum())
    return m.grad(lambda x: m.scan(body, x[0], x)[1].sum())(x)


@program
def scan_of_trees(m, n, x, w):
    def body(carry, row):
        h = n.tanh(carry["h"] + row["a"])
        return {"h": h, "count": carry["count"] + 1}, (h.sum(), {"twice": 2 * h})

    f = lambda x: m.scan(body, {"h": x[0], "count": 0}, {"a": x})
    return f(x), m.grad(lambda x: f(x)[1][1]["twice"].sum())(x)


@program
def integers_and_floats_in_a_carry(m, n, x, w):
    f = lambda x: m.scan(lambda c, v: ((c[0] + 1, c[1] * (c[0] + 1) + v), c[0]), (0, x[0]), x)
    return f(x), m.grad(lambda x: f(x)[0][1].sum())(x)


@program
def map_over_rows(m, n, x, w):
    return m.map(lambda r: n.sin(r).sum(), x), m.grad(lambda x: (m.map(lambda r: (r**2).sum(), x) ** 2).sum())(x)


@program
def map_in_batches(m, n, x, w):
    return m.map(lambda r: (n.sin(r), r.sum()), x, batch_size=2)


@program
def prefixes_of_linear_recurrence(m, n, x, w):
    combine = lambda a, b: (a[0] * b[0], a[1] * b[0] + b[1])
    f = lambda x: m.associative_scan(combine, (x, x + 1))
    return f(x), m.associative_scan(combine, (x, x + 1), reverse=True), m.grad(lambda x: f(x)[1].sum())(x)


# ---- branches ----------------------------------------------------------------------------------------


@program
def derivatives_of_cond(m, n, x, w):
    f = branched(m, n)
    return [(f(y), m.grad(f)(y), m.jvp(f, (y,), (x,)), m.hessian(f)(y), m.jit(m.grad(f))(y)) for y in (x, -x)]


@program
def vmap_of_grad_of_cond(m, n, x, w):
    f = branched(m, n)
    return m.vmap(f)(x), m.vmap(m.grad(f))(x), m.jit(m.vmap(m.grad(f)))(x), m.grad(lambda x: m.vmap(f)(x).sum())(x)


@program
def cond_with_shared_predicate_under_vmap(m, n, x, w):
    f = lambda p, r: m.cond(p, lambda r: r.sum(), lambda r: (r * r).sum(), r)
    return m.vmap(f, in_axes=(None, 0))(True, x), m.vmap(f, in_axes=(0, None))(x[:, 0] > 0, x[0])


@program
def switch_clamps(m, n, x, w):
    f = switched(m, n)
    return [m.grad(lambda x: f(i, x))(x) for i in (-1, 0, 1, 2, 9)]


@program
def vmap_of_switch(m, n, x, w):
    index = n.asarray(np.array([0, 1, 2, 7, -3]))
    return m.vmap(switched(m, n))(index, x), m.vmap(m.grad(switched(m, n), argnums=1))(index, x)


@program
def cond_with_captured_tensors(m, n, x, w):
    f = lambda w: m.cond(x.sum() > -1e9, lambda: (n.sin(w) * x[0]).sum(), lambda: w.sum())
    return m.grad(f)(w), m.grad(m.jit(f))(w)


@program
def branches_of_trees(m, n, x, w):
    f = lambda x: m.cond(x.sum() > 0, lambda x: {"a": x, "b": (x[0], 1.0)}, lambda x: {"a": -x, "b": (x[1], 2.0)}, x)
    return f(x), f(-x), m.vmap(f)(x)


# ---- loops -------------------------------------------------------------------------------------------


@program
def while_loop_values_and_jvp(m, n, x, w):
    f = looped(m, n)
    return f(x), m.jvp(f, (x,), (x,)), m.jacfwd(f)(x), m.jit(f)(x)


@program
def vmap_of_while_loop(m, n, x, w):
    f = looped(m, n)
    return m.vmap(f)(x), m.vmap(lambda r: m.jvp(f, (r,), (r,)))(x), m.jvp(m.vmap(f), (x,), (x,))


@program
def vmap_of_grad_of_fixed_trip_loop(m, n, x, w):
    f = lambda r: m.fori_loop(0, 6, lambda i, c: m.cond(i % 2 == 0, n.sin, lambda y: y * 1.5, c), r).sum()
    return m.vmap(m.grad(f))(x), m.vmap(lambda r: m.jvp(fixed_trip(m, n), (r,), (r,)))(x)


@program
def grad_of_fori_loop(m, n, x, w):
    return m.grad(lambda x: m.fori_loop(0, 4, lambda i, c: n.sin(c) * (i + 1.0), x).sum())(x)


@program
def fori_loop_with_traced_bounds(m, n, x, w):
    f = lambda k, x: m.fori_loop(0, k, lambda i, c: c * 1.1 + i, x)
    return m.jit(f)(4, x), m.vmap(f, in_axes=(0, 0))(n.asarray(np.array([0, 1, 2, 3, 4])), x)


@program
def while_loop_captures(m, n, x, w):
    f = lambda w: m.while_loop(
        lambda s: s[1].sum() < w.sum() + 9, lambda s: (s[0], s[1] * 1.2 + s[0]), (w * w, w * w + 1)
    )
    return f(w), m.jvp(lambda w: f(w)[1], (w,), (w,))


# ---- derivatives of derivatives ----------------------------------------------------------------------


@program
def hessian_of_mlp(m, n, x, w):
    f = lambda w: mlp(m, n)(w, x)
    return m.hessian(f)(w), m.jacrev(m.jacrev(f))(w), m.jacfwd(m.jacfwd(f))(w), m.jacrev(m.jacfwd(f))(w)


@program
def jvp_of_vjp(m, n, x, w):
    f = lambda w: n.tanh(x @ w)
    pulled = lambda w, ct: m.vjp(f, w)[1](ct)[0]
    return m.jvp(pulled, (w, x), (w * 2, x + 1))


@program
def vjp_of_jvp(m, n, x, w):
    f = lambda w: n.tanh(x @ w)
    pushed = lambda w, v: m.jvp(f, (w,), (v,))[1]
    return m.vjp(pushed, w, w * 2)[1](x)


@program
def jacobians_agree(m, n, x, w):
    f = lambda x: (n.sin(x).sum(0), {"a": x[0] * x[1]})
    return m.jacfwd(f)(x), m.jacrev(f)(x), m.jit(m.jacfwd(f))(x), m.jacfwd(m.jit(f))(x)


@program
def jacobians_of_several_arguments(m, n, x, w):
    f = lambda x, y: n.sin(x * y).sum(0)
    return m.jacfwd(f, (0, 1))(x, x + 1), m.jacrev(f, argnums=(1, 0))(x, x + 1)


@program
def third_derivatives(m, n, x, w):
    f = lambda t: n.sin(t) * n.exp(t)
    third = m.grad(m.grad(m.grad(f)))
    return m.vmap(third)(x[0]), third(x[0, 0]), m.jit(third)(x[0, 0])


@program
def perturbations_are_not_confused(m, n, x, w):
    """d/dx [x * d/dy (x + y)] is 1, not 2 (Siskind & Pearlmutter, 2005)."""
    t = x[0, 0]
    d = lambda f: lambda x: m.jvp(f, (x,), (x * 0 + 1,))[1]
    return d(lambda x: x * d(lambda y: x + y)(x * 0 + 1))(t), m.grad(lambda x: x * m.grad(lambda y: x + y)(x * 0 + 1))(
        t
    )


@program
def perturbations_through_shared_names(m, n, x, w):
    t = x[0, 0]
    inner = lambda x: m.grad(lambda y: (x * y) ** 2)(x)  # 2 x**3
    return m.grad(inner)(t), m.jvp(m.grad(inner), (t,), (t,)), m.grad(lambda x: inner(x) * m.grad(inner)(x))(t)


@program
def linearize_then_apply(m, n, x, w):
    out, push = m.linearize(lambda x: n.sin(x) * n.exp(x) @ w, x)
    return out, push(x), push(2 * x), m.vmap(push)(n.stack([x, x + 1]))


@program
def transposes_of_linear_functions(m, n, x, w):
    f = lambda x: (x @ w)[::2] * 3 + x[:3] * 2
    return m.linear_transpose(f, x)(x[:3]), m.vmap(lambda ct: m.linear_transpose(f, x)(ct)[0])(n.stack([x[:3], x[1:4]]))


@program
def value_and_grad_of_several(m, n, x, w):
    f = lambda p, x: ((n.tanh(x @ p["w"]) + p["b"]) ** 2).sum()
    return m.value_and_grad(f, argnums=(0, 1))({"w": w, "b": w[0]}, x)


@program
def vmap_of_vmap(m, n, x, w):
    f = lambda a, b: (n.sin(a * b)).sum()
    return m.vmap(m.vmap(f, in_axes=(None, 0)), in_axes=(0, None))(x, w), m.vmap(
        m.vmap(m.grad(f), (None, 0)), (0, None)
    )(x, w)


@program
def vmap_axes_as_trees(m, n, x, w):
    f = lambda p, x: {"out": (p["w"] @ x + p["b"]), "sum": x.sum()}
    axes = ({"w": None, "b": 0}, 1)
    return m.vmap(f, in_axes=axes, out_axes={"out": 1, "sum": 0})({"w": w, "b": x[:, 0]}, x.T)


@program
def per_example_gradients(m, n, x, w):
    loss = lambda w, x: (n.tanh(x @ w) ** 2).sum()
    return m.jit(m.vmap(m.grad(loss), in_axes=(None, 0)))(w, x)


@program
def gradients_stop(m, n, x, w):
    f = lambda x: (m.stop_gradient(n.sin(x)) * x).sum()
    return m.grad(f)(x), m.hessian(f)(x), m.jvp(f, (x,), (x,))


# ---- custom rules ------------------------------------------------------------------------------------


@program
def custom_jvp_everywhere(m, n, x, w):
    f = lambda x: ruled_forward(m, n)(x, x * x).sum()
    return (
        m.grad(f)(x),
        m.jit(m.grad(f))(x),
        m.grad(m.jit(f))(x),
        m.vmap(m.grad(f))(x),
        m.jvp(f, (x,), (x,)),
        m.hessian(f)(x),
    )


@program
def custom_jvp_under_vmap_of_some_arguments(m, n, x, w):
    return m.grad(lambda x: m.vmap(ruled_forward(m, n), in_axes=(0, None))(x, x[0]).sum())(x)


@program
def custom_vjp_everywhere(m, n, x, w):
    f = lambda x: ruled_backward(m, n)(x, x * x).sum()
    return (
        f(x),
        m.grad(f)(x),
        m.jit(m.grad(f))(x),
        m.grad(m.jit(f))(x),
        m.vmap(m.grad(f))(x),
        m.jit(m.vmap(m.grad(f)))(x),
    )


@program
def custom_vjp_under_vmap_of_some_arguments(m, n, x, w):
    return m.grad(lambda x: m.vmap(ruled_backward(m, n), in_axes=(0, None))(x, x[0]).sum())(x)


@program
def custom_vjp_twice(m, n, x, w):
    f = lambda x: ruled_backward(m, n)(x, x * x).sum()
    return m.grad(lambda y: m.grad(f)(y).sum())(x)


@program
def custom_rules_in_loops(m, n, x, w):
    back = lambda x: m.scan(lambda c, v: (ruled_backward(m, n)(c, v), c.sum()), x[0], x)[1].sum()
    forth = lambda x: m.scan(lambda c, v: (ruled_forward(m, n)(c, v), c.sum()), x[0], x)[1].sum()
    return (
        m.grad(back)(x),
        m.grad(forth)(x),
        m.vmap(m.grad(lambda r: m.scan(lambda c, v: (ruled_backward(m, n)(c, v), c), r[0], r)[0]))(x),
    )


# ---- checkpoint --------------------------------------------------------------------------------------


@program
def checkpoint_changes_nothing(m, n, x, w):
    f = lambda x: m.checkpoint(lambda x: n.sin(n.sin(x) @ w))(x).sum()
    return f(x), m.grad(f)(x), m.jit(m.grad(f))(x), m.hessian(f)(x), m.vmap(m.grad(f))(x), m.jvp(f, (x,), (x,))


@program
def checkpoint_in_scan(m, n, x, w):
    return m.grad(lambda x: m.scan(m.checkpoint(step(n)), x[0], x)[1].sum())(x)


# ---- collectives -------------------------------------------------------------------------------------


@program
def normalised_over_the_batch(m, n, x, w):
    f = lambda r: r / m.psum(n.exp(r), "i") + m.pmean(r, "i") - m.pmax(r, "i")
    return m.vmap(f, axis_name="i")(x), m.jit(m.vmap(f, axis_name="i"))(x)


@program
def gradients_through_psum(m, n, x, w):
    inside = m.vmap(m.grad(lambda r: m.psum(r * r, "i").sum()), axis_name="i")
    outside = m.grad(lambda x: m.vmap(lambda r: (m.psum(r * r, "i") * r).sum(), axis_name="i")(x).sum())
    return inside(x), outside(x)


@program
def collectives_in_loops_and_calls(m, n, x, w):
    f = lambda r: m.scan(lambda c, v: (c + v * m.axis_index("i"), m.jit(lambda c: m.psum(c, "i"))(c)), r[0], r)
    return m.vmap(f, axis_name="i")(x)


@program
def gathered_and_permuted(m, n, x, w):
    pairs = [(0, 1), (1, 2), (2, 4), (3, 0), (4, 3)]
    f = lambda r: (
        m.all_gather(r, "i"),
        m.all_gather(r, "i", axis=1),
        m.all_gather(r, "i", tiled=True),
        m.ppermute(r, "i", pairs),
    )
    g = lambda x: m.vmap(lambda r: sum((y**3).sum() * r.sum() for y in f(r)), axis_name="i")(x).sum()
    return m.vmap(f, axis_name="i")(x), m.grad(g)(x)


@program
def nested_named_axes(m, n, x, w):
    f = lambda a: a / m.psum(a, ("i", "j")) + m.psum(a, "i") * m.axis_index("j")
    return m.vmap(m.vmap(f, axis_name="j"), axis_name="i")(x)


def is_tensor(x):
    return isinstance(x, pg.Tensor)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_agree_with_jax(name, tensor):
    here = types.SimpleNamespace(**{**vars(pj.numpy), "asarray": tensor})
    ours = PROGRAMS[name](pg, here, tensor(X), tensor(W))
    theirs = PROGRAMS[name](JAX, jnp, jnp.asarray(X), jnp.asarray(W))
    ours, theirs = optree.tree_leaves(ours, is_leaf=is_tensor), jax.tree_util.tree_leaves(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        a, b = a.numpy() if is_tensor(a) else np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype
        scale = np.abs(b).max() if b.size else 1.0
        # float32: a few hundred operations, and sums in another order
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=3e-5 * max(scale, 1.0))


def test_there_are_at_least_forty():
    assert len(PROGRAMS) >= 40
