"""grads, fngrad, grad, jvp, vjp, vmap against JAX and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pequegrad as pg
import pequegrad.jax_api as pj

# one program, written once for both libraries: (name, function of the namespace, shapes)
PROGRAMS = [
    ("mlp", lambda n: lambda w, b, x: n.sum(n.tanh(n.matmul(x, w) + b) ** 2), [(3, 4), (4,), (5, 3)]),
    ("softmax", lambda n: lambda x: n.sum(n.exp(x - n.max(x, axis=-1, keepdims=True)) / 3.0), [(4, 5)]),
    ("norm", lambda n: lambda x, g: n.mean((x - n.mean(x, axis=-1, keepdims=True)) * g / n.std(x, axis=-1, keepdims=True) * x), [(4, 5), (5,)]),
    ("shapes", lambda n: lambda x: n.sum(n.transpose(n.reshape(x, (6, 2)))[1, 1::2] * n.concatenate([x[0, :2], x[1, 1:2]])), [(3, 4)]),
    ("where", lambda n: lambda x, y: n.sum(n.where(x > y, x * y, n.sin(x)) + n.maximum(x, 0.3 * y) + n.minimum(x, y)), [(3, 4), (4,)]),
    ("prod", lambda n: lambda x: n.sum(n.prod(x, axis=1) + n.var(x, axis=1)), [(3, 4)]),
    ("power", lambda n: lambda x: n.sum((x * x + 1.0) ** 1.5 + x**3 + 2.0**x), [(3,)]),
    ("indexing", lambda n: lambda x: n.sum(x[np.array([0, 2, 2]), np.array([1, 1, 0])] ** 2 + x[1:, None, 0].sum()), [(3, 4)]),
]  # fmt: skip
every_program = pytest.mark.parametrize("name, program, shapes", PROGRAMS, ids=[p[0] for p in PROGRAMS])


def arrays(shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=s).astype(np.float32) for s in shapes]


def close(ours, theirs):
    # float32 on both sides, sums of at most a few dozen terms: some ulps of the largest
    np.testing.assert_allclose(ours.numpy(), np.asarray(theirs), rtol=2e-5, atol=2e-6)


@every_program
def test_values_and_gradients_are_jax_s(name, program, shapes, tensor):
    xs = arrays(shapes)
    wrt = tuple(range(len(xs)))
    value, expected = jax.value_and_grad(program(jnp), wrt)(*xs)
    ours = [tensor(x) for x in xs]
    for f in (program(pj), pg.jit(program(pj))):
        v, g = pg.value_and_grad(f, wrt)(*ours)
        close(v, value)
        for a, b in zip(g, expected):
            close(a, b)
    loss = program(pj)(*ours)
    for a, b in zip(pg.grads(ours, loss), expected):
        close(a, b)


@every_program
def test_hessian_vector_products_are_jax_s(name, program, shapes, tensor):
    xs = arrays(shapes)
    vs = [x[..., ::-1].copy() for x in xs]
    wrt = tuple(range(len(xs)))
    expected = jax.jvp(jax.grad(program(jnp), wrt), tuple(xs), tuple(vs))[1]
    ours, tangents = [tensor(x) for x in xs], [tensor(v) for v in vs]
    gradient = pg.grad(program(pj), wrt)
    over = pg.jvp(gradient, ours, tangents)[1]  # forward over reverse
    jitted = pg.jit(lambda xs, vs: pg.jvp(gradient, xs, vs)[1])(ours, tangents)
    dot = lambda *xs: sum((g * t).sum() for g, t in zip(gradient(*xs), tangents))
    under = pg.grad(dot, wrt)(*ours)  # reverse over reverse
    for a, b, c, e in zip(over, under, jitted, expected):
        np.testing.assert_allclose(a.numpy(), e, rtol=1e-3, atol=1e-4)  # second derivatives of float32 programs
        np.testing.assert_allclose(b.numpy(), e, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(c.numpy(), a.numpy(), rtol=1e-4, atol=1e-5)


@every_program
def test_vmap_of_grad_is_jax_s(name, program, shapes, tensor):
    batches = [np.stack([x, 2 * x, -x]) for x in arrays(shapes)]
    wrt = tuple(range(len(batches)))
    expected = jax.vmap(jax.grad(program(jnp), wrt))(*batches)
    found = pg.vmap(pg.grad(program(pj), wrt))(*[tensor(b) for b in batches])
    for a, e in zip(found, expected):
        np.testing.assert_allclose(a.numpy(), e, rtol=1e-4, atol=1e-5)


def test_vmap_axes(tensor, rng):
    x, w = rng.normal(size=(3, 4, 5)), rng.normal(size=(5,))
    f = lambda x, w: x * w
    found = pg.vmap(f, in_axes=(1, None), out_axes=-1)(tensor(x[..., :]), tensor(w))
    np.testing.assert_allclose(found.numpy(), np.moveaxis(np.stack([x[:, i] * w for i in range(4)]), 0, -1))
    with pytest.raises(pg.ShapeError, match="has size 5, that of an earlier argument 3"):
        pg.vmap(f)(tensor(x), tensor(w))
    with pytest.raises(pg.ArgumentError, match="in_axes"):
        pg.vmap(f, in_axes=(0,))(tensor(x), tensor(w))
    with pytest.raises(pg.ArgumentError, match="no argument is mapped"):
        pg.vmap(f, in_axes=None)(tensor(x), tensor(w))
    drawn = pg.vmap(lambda row: row * 0 + pg.rand(5, device=row.device))(tensor(w[:3, None] * np.ones(5))).numpy()
    assert len(np.unique(drawn)) == drawn.size  # every example has numbers of its own


def test_vmap_of_trees_and_constants(tensor, rng):
    x = rng.normal(size=(3, 4))
    f = lambda t: {"sum": t["a"].sum() + t["b"][0], "one": pg.ones(2)}
    found = pg.vmap(f)({"a": tensor(x), "b": [tensor(x[:, 0])]})
    np.testing.assert_allclose(found["sum"].numpy(), x.sum(1) + x[:, 0])
    assert found["one"].shape == (3, 2)


def test_vmap_does_not_depend_on_the_batch_size(tensor):
    def nodes(n):
        f = pg.jit(pg.vmap(lambda x: (x.sin() * x).sum()))
        f(tensor(np.ones((n, 3))))
        return len(next(iter(f.compiled.values()))[0].graph.nodes)

    assert nodes(2) == nodes(50)


def test_fngrad(tensor):
    f = lambda a, params, scale: (a * params["w"] * scale).sum() + params["b"]
    a, params = tensor([1.0, 2.0]), {"w": tensor([3.0, 4.0]), "b": tensor(1.0)}
    ga, gp = pg.fngrad(f, wrt=[0, 1])(a, params, 2.0)
    np.testing.assert_array_equal(ga.numpy(), [6, 8])
    np.testing.assert_array_equal(gp["w"].numpy(), [2, 4])
    assert gp["b"].item() == 1
    outs, (ga,) = pg.fngrad(f, wrt=[0], return_outs=True)(a, params, 2.0)
    assert outs.item() == 23
    (g,) = pg.fngrad(lambda a: a * a)(a)  # a cotangent of ones
    np.testing.assert_array_equal(g.numpy(), [2, 4])


def test_fngrad_under_no_grad(tensor):
    with pg.no_grad():
        (g,) = pg.fngrad(lambda x: (x * x).sum())(tensor([1.0, 2.0]))
    np.testing.assert_array_equal(g.numpy(), [2, 4])


def test_branches_on_values_work_under_grad(tensor):
    f = lambda x: (x * x if x.sum() > 0 else x * 3.0).sum()
    np.testing.assert_array_equal(pg.fngrad(f)(tensor([1.0, 2.0]))[0].numpy(), [2, 4])
    np.testing.assert_array_equal(pg.fngrad(f)(tensor([-1.0, -2.0]))[0].numpy(), [3, 3])


def test_eval_inside_a_derivative_does_not_cut(tensor):
    f = lambda x: ((x * 2.0).eval() * x).sum()
    np.testing.assert_array_equal(pg.fngrad(f)(tensor([1.0, 2.0]))[0].numpy(), [4, 8])


def test_perturbations_are_not_confused(tensor):
    # d/dx (x * d/dy (x + y) at y = 1) = 1 at x = 1; naive forward mode gives 2
    inner = lambda x: pg.jvp(lambda y: x + y, (tensor(1.0),), (tensor(1.0),))[1]
    assert pg.jvp(lambda x: x * inner(x), (tensor(1.0),), (tensor(1.0),))[1].item() == 1
    assert pg.grad(lambda x: x * pg.grad(lambda y: x + y)(tensor(1.0)))(tensor(1.0)).item() == 1


def test_vjp_and_jvp_are_adjoint(tensor, rng):
    f = lambda x, y: ((x @ y).sin(), x.sum(0) * 2.0)
    x, y = tensor(rng.normal(size=(3, 4))), tensor(rng.normal(size=(4, 2)))
    dx, dy = tensor(rng.normal(size=(3, 4))), tensor(rng.normal(size=(4, 2)))
    outs, tangents = pg.jvp(f, (x, y), (dx, dy))
    outs2, f_vjp = pg.vjp(f, x, y)
    cts = tuple(tensor(rng.normal(size=o.shape)) for o in outs)
    gx, gy = f_vjp(cts)
    left = sum((t * c).sum() for t, c in zip(tangents, cts)).item()
    assert left == pytest.approx(((gx * dx).sum() + (gy * dy).sum()).item(), rel=1e-12)
    np.testing.assert_array_equal(outs[0].numpy(), outs2[0].numpy())


def test_gradient_of_what_is_not_used_is_zero(tensor):
    x, y = tensor([1.0, 2.0]), tensor([3.0])
    gx, gy = pg.grads([x, y], (x * x).sum())
    np.testing.assert_array_equal(gy.numpy(), [0])
    g = pg.grads({"x": x}, (x * x).sum())
    np.testing.assert_array_equal(g["x"].numpy(), [2, 4])


def test_gradients_of_values_between(tensor):
    x = tensor([1.0, 2.0])
    h = x * 3.0
    loss = (h * h).sum()
    gx, gh = pg.grads([x, h], loss)
    np.testing.assert_array_equal(gh.numpy(), [6, 12])
    np.testing.assert_array_equal(gx.numpy(), [18, 36])


def test_gradients_of_gradients(tensor):
    x = tensor([1.0, 2.0])
    (g,) = pg.grads([x], (x**3).sum())
    (h,) = pg.grads([x], g.sum())
    (t,) = pg.grads([x], h.sum())
    np.testing.assert_allclose(h.numpy(), [6, 12], rtol=1e-6)
    np.testing.assert_allclose(t.numpy(), [6, 6], rtol=1e-6)


def test_an_explicit_cotangent(tensor):
    x = tensor([1.0, 2.0])
    (g,) = pg.grads([x], x * x, tensor([10.0, 1.0]))
    np.testing.assert_array_equal(g.numpy(), [20, 4])


def test_gradients_through_a_move_between_devices(tensor, device):
    x = tensor([1.0, 2.0])
    other = pg.device("cpu:1")
    y = (x * 2.0).to(other)
    assert y.device is other
    (g,) = pg.grads([x], (y * y).sum())
    assert g.device is device
    np.testing.assert_array_equal(g.numpy(), [8, 16])
