"""jacfwd, jacrev, hessian, hvp, linearize, linear_transpose, vjp, jvp: trees, argument numbers, integers, laws, messages."""

import itertools

import jax
import numpy as np
import pytest
from jax_programs import agree

import pequegrad as pg
import pequegrad.jax_api as jnp

X = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(3,)).astype(np.float32)


def message(error, f):
    with pytest.raises(error) as caught:
        f()
    return str(caught.value)


# ---- Jacobians ---------------------------------------------------------------------------------------


def mixed(n):
    """Trees of arguments, trees of results, one of them 0-d, one that depends on nothing."""
    return lambda p, y: {"a": n.sin(p["w"]) * y, "b": (n.sum(p["w"] * p["s"]), n.ones(2))}


def test_trees_of_jacobians(tensor):
    def program(m, n, x, y):
        p = {"w": x, "s": y[0]}
        return [jac(mixed(n), argnums)(p, y) for jac in (m.jacfwd, m.jacrev) for argnums in (0, 1, (0, 1), (1,))]

    agree(program, tensor, X, Y)


def test_argument_numbers(tensor):
    def program(m, n, x, y):
        f = lambda a, b, c: n.sin(a) * b + c * a[0]
        return [[jac(f, k)(x, y, x + 1) for k in (0, -1, -3, (2, 0), (-1, 1), [0])] for jac in (m.jacfwd, m.jacrev)], [
            m.grad(lambda a, b, c: f(a, b, c).sum(), k)(x, y, x + 1) for k in (-1, (0, -2), (2, 0))
        ]

    agree(program, tensor, X, Y)


def test_trees_of_hessians(tensor):
    def program(m, n, x, y):
        f = lambda p, y: n.sum(n.sin(p["w"] * y) * p["s"] ** 2)
        p = {"w": x, "s": y[0] + 1}
        return m.hessian(f)(p, y), m.hessian(f, (0, 1))(p, y), m.hessian(lambda x: n.sin(x) * x, 0)(y)

    agree(program, tensor, X, Y)


def test_shapes_of_every_kind(tensor):
    """Results and arguments of rank 0 to 2, and empty ones."""
    x = {s: tensor(np.ones(s)) for s in ((), (2,), (2, 3), (0,), (1, 1))}
    for s, t in itertools.product(x, x):
        f = lambda v, t=t: pg.broadcast_to(v.sum() * 2, t)
        for jac in (pg.jacfwd, pg.jacrev):
            found = jac(f)(x[s])
            assert found.shape == (*t, *s)
            np.testing.assert_array_equal(found.numpy(), np.full((*t, *s), 2.0))


def test_extra_results_and_keyword_arguments(tensor):
    def program(m, n, x, y):
        f = lambda x, scale=1.0: (n.sin(x) * scale, {"seen": x.sum()})
        g = lambda x, scale=1.0: (n.sum(n.sin(x) * scale), {"seen": x.sum()})
        return (
            m.jacfwd(f, has_aux=True)(y, scale=2.0),
            m.jacrev(f, has_aux=True)(y, scale=2.0),
            m.hessian(g, has_aux=True)(y, scale=2.0),
            m.grad(g, has_aux=True)(y, scale=2.0),
            m.value_and_grad(g, has_aux=True)(y, scale=2.0),
            m.jvp(f, (y,), (y,), has_aux=True),
            m.linearize(f, y, has_aux=True)[::2],
            m.vjp(f, y, has_aux=True)[::2],
            m.vjp(f, y, has_aux=True)[1](y),
            m.linearize(f, y, has_aux=True)[1](y),
            m.jit(lambda y: m.jacrev(f, has_aux=True)(y))(y),
            m.vmap(m.grad(g, has_aux=True))(x),
        )

    agree(program, tensor, X, Y)


def test_extra_results_have_no_derivative(tensor):
    """They may be anything under grad: text, integers, values of another transform."""
    (g, aux) = pg.grad(lambda x: ((x * x).sum(), {"text": "hello", "i": (x > 0).sum()}), has_aux=True)(tensor([3.0]))
    assert g.numpy().tolist() == [6] and aux["text"] == "hello" and aux["i"].item() == 1
    for derive in (
        lambda f, x: pg.grad(f, has_aux=True)(x),
        lambda f, x: pg.jvp(f, (x,), (x,), has_aux=True),
        lambda f, x: pg.vjp(f, x, has_aux=True),
        lambda f, x: pg.linearize(f, x, has_aux=True),
        lambda f, x: pg.jacfwd(f, has_aux=True)(x),
        lambda f, x: pg.jacrev(f, has_aux=True)(x),
    ):
        text = message(pg.ArgumentError, lambda: derive(lambda x: x.sum(), tensor([3.0])))
        assert "(value, aux)" in text


FUNCTIONS = {
    "elementwise": lambda x: jnp.sin(x) * jnp.exp(x),
    "matmul": lambda x: x @ x.T @ x,
    "reductions": lambda x: jnp.tanh(x).sum(0) * x.max(1, keepdims=True),
    "softmax": lambda x: pg.softmax(x, axis=-1),
    "indexing": lambda x: x[::-1, 1:] * x[0, 0],
    "loop": lambda x: pg.scan(lambda c, r: (jnp.sin(c) + r, c * r), x[0], x)[1],
    "branch": lambda x: pg.cond(x.sum() > 0, lambda x: x * x, jnp.cos, x),
    "checkpoint": lambda x: pg.checkpoint(lambda x: jnp.sin(jnp.sin(x)))(x),
    "jit": pg.jit(lambda x: jnp.sin(x) * x),
    "constant": lambda x: pg.zeros_like(x[0]) + 1,
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_modes_agree_and_are_adjoint(name, tensor, rng):
    f = FUNCTIONS[name]
    x, v = tensor(rng.normal(size=(2, 3))), tensor(rng.normal(size=(2, 3)))
    forward, backward = pg.jacfwd(f)(x).numpy(), pg.jacrev(f)(x).numpy()
    np.testing.assert_allclose(forward, backward, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(pg.jit(pg.jacfwd(f))(x).numpy(), forward, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(pg.jacfwd(pg.jit(f))(x).numpy(), forward, rtol=1e-10, atol=1e-12)
    out, pull = pg.vjp(f, x)
    out2, push = pg.linearize(f, x)
    ct = tensor(rng.normal(size=out.shape))
    np.testing.assert_array_equal(out.numpy(), out2.numpy())
    tangent, cotangent = push(v).numpy(), pull(ct)[0].numpy()
    np.testing.assert_allclose((tangent * ct.numpy()).sum(), (cotangent * v.numpy()).sum(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(tangent, np.tensordot(forward, v.numpy(), 2), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(pg.jvp(f, (x,), (v,))[1].numpy(), tangent, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_hessians_by_all_modes_and_products(name, tensor, rng):
    g = lambda x: (FUNCTIONS[name](x) ** 2).sum()
    x, v = tensor(rng.normal(size=(2, 3))), tensor(rng.normal(size=(2, 3)))
    h = pg.hessian(g)(x).numpy()
    np.testing.assert_allclose(h, h.transpose(2, 3, 0, 1), rtol=1e-8, atol=1e-10)
    for outer, inner in itertools.product((pg.jacfwd, pg.jacrev), repeat=2):
        np.testing.assert_allclose(outer(inner(g))(x).numpy(), h, rtol=1e-8, atol=1e-10)
    product = np.tensordot(h, v.numpy(), 2)
    np.testing.assert_allclose(pg.hvp(g, (x,), (v,))[0].numpy(), product, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(
        pg.jit(lambda x, v: pg.hvp(g, (x,), (v,))[0])(x, v).numpy(), product, rtol=1e-8, atol=1e-10
    )
    backwards = pg.grad(lambda x: (pg.grad(g)(x) * v).sum())(x)
    np.testing.assert_allclose(backwards.numpy(), product, rtol=1e-8, atol=1e-10)


def test_hvp_of_several_trees(tensor, rng):
    f = lambda p, y: (jnp.sin(p["w"] * y) * p["s"] ** 2).sum()
    make = lambda: {"w": tensor(rng.normal(size=(2, 3))), "s": tensor(np.array(rng.normal()))}
    p, dp, y, dy = make(), make(), tensor(rng.normal(size=3)), tensor(rng.normal(size=3))
    found = pg.hvp(f, (p, y), (dp, dy))
    h = pg.hessian(f, (0, 1))(p, y)
    expected_y = sum(
        np.tensordot(block.numpy(), v.numpy(), v.ndim)
        for block, v in ((h[1][0]["w"], dp["w"]), (h[1][0]["s"], dp["s"]), (h[1][1], dy))
    )
    np.testing.assert_allclose(found[1].numpy(), expected_y, rtol=1e-9)
    assert found[0]["w"].shape == (2, 3) and found[0]["s"].shape == ()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes_are_kept(dtype, device):
    x = pg.Tensor(np.ones((2, 3)), dtype=dtype, device=device)
    f = lambda x: jnp.sin(x) * x[0]
    for found in (
        pg.jacfwd(f)(x), pg.jacrev(f)(x), pg.hessian(lambda x: f(x).sum())(x), pg.jvp(f, (x,), (x,))[1],
        pg.vjp(f, x)[1](x)[0], pg.hvp(lambda x: f(x).sum(), (x,), (x,))[0], pg.linearize(f, x)[1](x),
        pg.linear_transpose(lambda x: x * 2 + x[0], x)(x)[0],
    ):  # fmt: skip
        assert found.dtype == x.dtype
        assert not found.weak_type


def test_results_of_another_dtype(tensor):
    def program(m, n, x, y):
        f = lambda y: (y * y).astype("float16")
        g = lambda y: f(y).astype("float32").sum()
        return m.jacfwd(f)(y), m.jacrev(f)(y), m.jvp(f, (y,), (y,)), m.grad(g)(y), m.hessian(g)(y)

    agree(program, tensor, X, np.float32([0.5, 1.0, -2.0]))


# ---- functions of tangents and cotangents -------------------------------------------------------------


def test_linear_maps_may_be_applied_again_and_again(tensor, rng):
    x = tensor(rng.normal(size=(2, 3)))
    f = FUNCTIONS["loop"]
    out, pull = pg.vjp(f, x)
    _, push = pg.linearize(f, x)
    a, b = (tensor(rng.normal(size=(2, 3))) for _ in range(2))
    np.testing.assert_allclose((push(a) + 2 * push(b)).numpy(), push(a + 2 * b).numpy(), rtol=1e-12)
    np.testing.assert_allclose((pull(a)[0] + 2 * pull(b)[0]).numpy(), pull(a + 2 * b)[0].numpy(), rtol=1e-12)
    first = pull(a)[0].numpy()
    pull(b)[0].eval(), out.eval()
    np.testing.assert_array_equal(pull(a)[0].numpy(), first)
    stacked = pg.stack([a, b])
    np.testing.assert_allclose(pg.vmap(pull)(stacked)[0][0].numpy(), first, rtol=1e-12)
    np.testing.assert_allclose(pg.jit(pull)(a)[0].numpy(), first, rtol=1e-12)
    np.testing.assert_allclose(pg.jit(push)(a).numpy(), push(a).numpy(), rtol=1e-12)
    np.testing.assert_allclose(pg.grad(lambda v: (push(v) * b).sum())(a).numpy(), pull(b)[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(pg.jvp(lambda v: pull(v)[0], (a,), (b,))[1].numpy(), pull(b)[0].numpy(), rtol=1e-12)


def doubled(make_map, apply, x):
    """A linear map applied to x and to 2 x, both before anything is computed."""
    linear = make_map()
    first, second = apply(linear, x), apply(linear, x * 2)
    np.testing.assert_allclose(second.numpy(), 2 * first.numpy(), rtol=1e-12, atol=1e-14)
    return first.numpy()


LINEAR_MAPS = {
    "linearize": (lambda f, x: pg.linearize(f, x)[1], lambda push, v: push(v)),
    "vjp": (lambda f, x: pg.vjp(f, x)[1], lambda pull, v: pull(v)[0]),
    "jit of linearize": (lambda f, x: pg.linearize(f, x)[1], lambda push, v: pg.jit(push)(v)),
    "jit of vjp": (lambda f, x: pg.vjp(f, x)[1], lambda pull, v: pg.jit(pull)(v)[0]),
    "vmap of linearize": (lambda f, x: pg.linearize(f, x)[1], lambda push, v: pg.vmap(push)(pg.stack([v, v]))[1]),
    "vmap of vjp": (lambda f, x: pg.vjp(f, x)[1], lambda pull, v: pg.vmap(pull)(pg.stack([v, v]))[0][1]),
    "scan of vjp": (lambda f, x: pg.vjp(f, x)[1], lambda pull, v: pg.map(pull, pg.stack([v, v]))[0][1]),
    "grad of linearize": (
        lambda f, x: pg.linearize(f, x)[1],
        lambda push, v: pg.grad(lambda u: (push(u) * v).sum())(v),
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", LINEAR_MAPS)
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("matmul", "indexing", "constant")])
def test_linear_maps_of_control_flow(name, how, tensor, rng):
    """Their residuals are values of nodes that were replaced: the maps are right whenever and wherever they run."""
    make, apply = LINEAR_MAPS[how]
    f = FUNCTIONS[name]
    if name == "reductions":
        f = lambda x: FUNCTIONS[name](x) * pg.ones_like(x)
    x, v = tensor(rng.normal(size=(2, 3))), tensor(rng.normal(size=(2, 3)))
    jacobian = jacobian_by_columns(f, x)
    forward = "linearize" in how and "grad" not in how
    expected = np.tensordot(jacobian if forward else jacobian.transpose(2, 3, 0, 1), v.numpy(), 2)
    found = doubled(lambda: make(f, x), apply, v)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def jacobian_by_columns(f, x):
    """Forward mode, one direction at a time."""
    columns = []
    for i in range(x.size):
        v = np.zeros(x.shape)
        v.flat[i] = 1
        columns.append(pg.jvp(f, (x,), (pg.Tensor(v, device=x.device),))[1].numpy())
    return np.stack(columns, -1).reshape((*columns[0].shape, *x.shape))


def test_linearize_runs_the_function_once(tensor):
    calls = []

    @pg.jit
    def costly(x):
        pg.debug_callback(lambda: calls.append(1))
        return jnp.sin(x) * x

    x = tensor(np.ones(3))
    runs = []
    out, push = pg.linearize(lambda x: runs.append(1) or jnp.sin(costly(x)), x)
    before = [push(x).numpy() for _ in range(3)]
    np.testing.assert_array_equal(before[0], before[2])
    assert len(runs) == 1


def test_a_vjp_may_be_used_inside_another_transform(tensor):
    x = tensor(np.array([0.5, 1.0]))
    _, pull = pg.vjp(jnp.sin, x)
    scanned = pg.scan(lambda c, _: (pull(c)[0], None), pg.ones_like(x), None, length=3)[0]
    np.testing.assert_allclose(scanned.numpy(), np.cos(x.numpy()) ** 3)


def test_linear_transpose_is_the_adjoint(tensor, rng):
    w = tensor(rng.normal(size=(3, 4)))
    linear = {
        "matmul": lambda x: x @ w,
        "several": lambda x: {"a": x.sum(0), "b": [x[::2], -x.T * 3]},
        "scan": lambda x: pg.scan(lambda c, r: (c * 0.5 + r, c), x[0], x)[1],
        "cond": lambda x: pg.cond(w[0, 0] > 0, lambda x: x * 2, lambda x: -x, x),
        "jit": pg.jit(lambda x: x[1:] + x[:-1]),
        "vmap": pg.vmap(lambda r: r.sum() + r),
        "zero": lambda x: x * 0,
        "cumsum": lambda x: pg.cumsum(x, 0),
    }
    x = tensor(rng.normal(size=(2, 3)))
    for name, f in linear.items():
        out = f(x)
        leaves, structure = pg.transforms.tree.flatten(out)
        cts = [tensor(rng.normal(size=y.shape)) for y in leaves]
        transposed = pg.linear_transpose(f, x)
        (back,) = transposed(structure.unflatten(cts))
        left = sum((y.numpy() * c.numpy()).sum() for y, c in zip(leaves, cts))
        np.testing.assert_allclose(left, (back.numpy() * x.numpy()).sum(), rtol=1e-10, err_msg=name)
        (again,) = transposed(structure.unflatten(cts))
        np.testing.assert_array_equal(again.numpy(), back.numpy())
        (jitted,) = pg.jit(transposed)(structure.unflatten(cts))
        np.testing.assert_allclose(jitted.numpy(), back.numpy(), rtol=1e-12)
        if name == "matmul":  # the transpose of the transpose
            np.testing.assert_allclose(
                pg.linear_transpose(lambda ct: transposed(ct)[0], cts[0])(x)[0].numpy(), out.numpy(), rtol=1e-12
            )


def test_linear_transpose_needs_no_values(tensor):
    shape = pg.ShapeDtypeStruct((2, 3), np.float64)
    (back,) = pg.linear_transpose(lambda x: x.sum(1), shape)(tensor(np.array([1.0, 2.0])))
    assert back.numpy().tolist() == [[1] * 3, [2] * 3]
    a, b = pg.linear_transpose(lambda a, b: a + 2 * b[0], shape, (shape,))(tensor(np.ones((2, 3))))
    assert b[0].numpy().tolist() == [[2] * 3] * 2
    none, same = pg.linear_transpose(lambda a, b: b, shape, shape)(tensor(np.ones((2, 3))))
    assert none.numpy().tolist() == [[0] * 3] * 2


def test_linear_transpose_of_what_is_not_linear(tensor):
    x = tensor(np.ones(3))
    w = tensor(np.ones(3))
    for f in (jnp.sin, lambda x: x * x, lambda x: x / x, lambda x: jnp.exp(x) @ w, lambda x: pg.where(x > 0, x, -x),
              lambda x: pg.scan(lambda c, _: (jnp.sin(c), None), x, None, length=2)[0]):  # fmt: skip
        text = message((pg.PequegradError, ValueError), lambda: pg.linear_transpose(f, x)(x)[0].numpy())
        assert "linear" in text
    assert "floating" in message(pg.DtypeError, lambda: pg.linear_transpose(lambda x: x, tensor(np.arange(3))))
    text = message(pg.ArgumentError, lambda: pg.linear_transpose(lambda x: (x, x), x)(x))
    assert "structure" in text
    text = message(pg.ShapeError, lambda: pg.linear_transpose(lambda x: x[:2], x)(x))
    assert "[3]" in text and "[2]" in text


# ---- integers ----------------------------------------------------------------------------------------


def test_integer_leaves(tensor):
    """Tangents of integers carry no information; JAX writes them as float0."""
    i, x = np.array([1, 2], np.int32), np.array([0.5, 2.0], np.float32)
    zero = np.zeros(2, jax.dtypes.float0)
    f = lambda n: lambda p: {"out": p["x"] * p["i"], "i": p["i"] + 1, "b": p["x"] > 1}
    theirs = jax.jvp(f(jax.numpy), ({"x": x, "i": i},), ({"x": x, "i": zero},))
    ours = pg.jvp(f(jnp), ({"x": tensor(x), "i": tensor(i)},), ({"x": tensor(x), "i": zero},))
    np.testing.assert_allclose(ours[1]["out"].numpy(), theirs[1]["out"])
    for name in ("i", "b"):
        assert ours[1][name].dtype == theirs[1][name].dtype == jax.dtypes.float0
        assert ours[1][name].shape == (2,)
    out, push = pg.linearize(f(jnp), {"x": tensor(x), "i": tensor(i)})
    np.testing.assert_allclose(push({"x": tensor(x), "i": zero})["out"].numpy(), theirs[1]["out"])
    out, pull = pg.vjp(f(jnp), {"x": tensor(x), "i": tensor(i)})
    (back,) = pull({"out": tensor(x), "i": zero, "b": zero})
    np.testing.assert_allclose(back["x"].numpy(), x * i)
    assert back["i"] is None


def test_integers_where_they_are_allowed(tensor):
    p = {"x": tensor(np.array([0.5, 2.0])), "i": tensor(np.array([1, 2]))}
    f = lambda p: (p["x"] * p["i"]).sum()
    g = pg.grad(f, allow_int=True)(p)
    assert g["x"].numpy().tolist() == [1, 2] and g["i"] is None
    value, g = pg.value_and_grad(f, allow_int=True)(p)
    assert value.item() == 4.5 and g["i"] is None
    for derive in (pg.grad(f), pg.value_and_grad(f), pg.jacfwd(f), pg.jacrev(f), pg.hessian(f), pg.fngrad(f)):
        text = message(pg.DtypeError, lambda: derive(p))
        assert "int64" in text and "fix" in text


def test_integer_arguments_that_are_not_asked_for(tensor):
    def program(m, n, x, y):
        f = lambda x, i, flag: n.sum(x[i] ** 2) * flag
        i = np.array([0, 1, 1], np.int32)
        return m.grad(f)(x, i, True), m.jacrev(f)(x, i, True), m.jacfwd(f)(x, i, True), m.hessian(f)(x, i, 2)

    agree(program, tensor, X, Y)


# ---- messages ----------------------------------------------------------------------------------------


def test_arguments_that_are_not_there(tensor):
    x = tensor([1.0, 2.0])
    for derive in (pg.grad, pg.value_and_grad, pg.jacfwd, pg.jacrev, pg.hessian):
        for bad in (1, 3, -2, (0, 1)):
            text = message(pg.ArgumentError, lambda: derive(lambda x: (x * x).sum(), argnums=bad)(x))
            assert "no argument" in text and "1 were given" in text


def test_gradients_of_what_is_not_a_scalar(tensor):
    x = tensor([1.0, 2.0])

    def pair(x):
        return x * x

    text = message(pg.GradientError, lambda: pg.grad(pair)(x))
    assert "pair returned shape [2]" in text and "jacrev" in text and "test_jacobians.py" in text
    assert "int64" in message(pg.DtypeError, lambda: pg.grad(lambda x: (x > 0).sum())(x)).replace("int32", "int64")
    assert "must be a Tensor" in message(pg.ArgumentError, lambda: pg.grad(lambda x: (x.sum(), x.sum()))(x))
    assert "must be a Tensor" in message(pg.ArgumentError, lambda: pg.grad(lambda x: None)(x))
    assert "must be a Tensor" in message(pg.ArgumentError, lambda: pg.grad(lambda x: x.sum())("text"))


def test_tangents_that_do_not_fit(tensor):
    x, y = tensor(np.ones(3)), tensor(np.ones(2))
    f = lambda x: x * 2
    assert "[2]" in (text := message(pg.ShapeError, lambda: pg.jvp(f, (x,), (y,)))) and "[3]" in text
    assert "float32" in message(pg.DtypeError, lambda: pg.jvp(f, (x,), (x.astype("float32"),)))
    assert "float32" in message(pg.DtypeError, lambda: pg.linearize(f, x)[1](x.astype("float32")))
    assert "structure" in message(pg.ArgumentError, lambda: pg.jvp(lambda t: t[0], ((x, x),), ([x, x],)))
    assert "2 primals but 1" in message(pg.ArgumentError, lambda: pg.jvp(lambda a, b: a, (x, x), (x,)))
    assert "must be a tuple" in message(pg.ArgumentError, lambda: pg.jvp(f, x, x))
    assert "structure" in message(pg.ArgumentError, lambda: pg.linearize(f, x)[1](x, x))
    assert "[2]" in message(pg.ShapeError, lambda: pg.linearize(f, x)[1](y))
    assert "[2]" in message(pg.ShapeError, lambda: pg.hvp(lambda x: (x * x).sum(), (x,), (y,)))
    assert "integer" in message(pg.DtypeError, lambda: pg.jvp(f, (x,), (tensor(np.arange(3)),))).replace(
        "int64", "integer"
    )


def test_cotangents_that_do_not_fit(tensor):
    x, y = tensor(np.ones(3)), tensor(np.ones(2))
    _, pull = pg.vjp(lambda x: (x * 2, {"a": x.sum()}), x)
    assert "structure" in message(pg.ArgumentError, lambda: pull(x))
    assert "structure" in message(pg.ArgumentError, lambda: pull((x, {"b": x.sum()})))
    text = message(pg.ShapeError, lambda: pull((y, {"a": x.sum()})))
    assert "[2]" in text and "[3]" in text
    assert "float32" in message(pg.DtypeError, lambda: pull((x.astype("float32"), {"a": x.sum()})))
    assert pull((x, {"a": 1.0}))[0].numpy().tolist() == [3] * 3  # a Python number adapts


def test_what_is_unused_has_zero_derivative(tensor):
    def program(m, n, x, y):
        f = lambda x, y: n.sum(y * 2)
        return (
            m.grad(f)(x, y), m.jacfwd(f)(x, y), m.jacrev(f)(x, y), m.hessian(f, (0, 1))(x, y),
            m.vjp(f, x, y)[1](y[0]), m.jvp(f, (x, y), (x, y)), m.linearize(lambda x: n.ones(2), x)[1](x),
        )  # fmt: skip

    agree(program, tensor, X, Y)


def test_derivatives_are_constants_to_what_is_outside(tensor):
    """Results of pg.grad of a tracked tensor keep history; those of untracked arrays have none."""
    x = tensor([1.0, 2.0])
    g = pg.grad(lambda x: (x**3).sum())(x)
    np.testing.assert_allclose(pg.grads([x], g.sum())[0].numpy(), [6, 12])
    plain = x.detach()
    g = pg.grad(lambda x: (x**3).sum())(plain)
    with pytest.raises(pg.GradientError):
        pg.grads([x], g.sum())
