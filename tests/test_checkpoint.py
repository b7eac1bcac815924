"""checkpoint: the same values and derivatives; what is kept is measured by memory, what is recomputed by counting."""

import numpy as np
import pytest
from jax_programs import agree

import pequegrad as pg
import pequegrad.jax_api as jnp
from pequegrad.runtime import library

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(3, 3)).astype(np.float32)

POLICIES = {
    "default": None,
    "nothing": "nothing_saveable",
    "everything": "everything_saveable",
    "dots": "dots_saveable",
    "checkpoint_dots": "checkpoint_dots",
    "no_batch": "dots_with_no_batch_dims_saveable",
}


def peak(device, f, *args):
    """Bytes by which evaluating f(*args) raises the memory in use."""
    library.lib.pg_device_reset_peak(device.handle)
    before = library.memory_stats(device)["in_use"]
    f(*args).eval()
    return library.memory_stats(device)["peak_in_use"] - before


@pytest.mark.parametrize("name", POLICIES)
def test_policies_change_no_value(name, tensor):
    def program(m, n, x, w):
        policy = POLICIES[name] and getattr(m.checkpoint_policies, POLICIES[name])
        block = m.checkpoint(lambda x, w: n.sin(n.tanh(x @ w) @ w) * x, policy=policy)
        f = lambda x, w: block(x, w).sum()
        return (
            f(x, w),
            m.grad(f, argnums=(0, 1))(x, w),
            m.jit(m.grad(f, argnums=(0, 1)))(x, w),
            m.grad(m.jit(f))(x, w),
            m.vmap(m.grad(f, argnums=(0, 1)), in_axes=(0, None))(x, w),
            m.grad(lambda w: m.scan(lambda c, r: (block(c + r, w), c.sum()), x[0], x)[1].sum())(w),
            m.jvp(f, (x, w), (x, w)),
            m.jvp(m.grad(f), (x, w), (x, w)),
            m.grad(lambda w: m.cond(w.sum() > 99, lambda w: w.sum(), lambda w: f(x, w), w))(w),
        )

    agree(program, tensor, X, W)


# ---- what is kept, what is recomputed ----------------------------------------------------------------


def counter():
    """A function like sin whose evaluations are counted; backwards it needs its own value."""
    calls = []

    def count(x):
        calls.append(1)
        return np.sin(x)

    @pg.custom_jvp
    def counted(x):
        return pg.pure_callback(count, x, x, vmap_method="broadcast_all")

    counted.defjvp(lambda primals, tangents: (counted(*primals), jnp.cos(primals[0]) * tangents[0]))
    return counted, calls


@pytest.mark.parametrize("transform", [lambda f: f, pg.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("policy, count", [(None, 3), ("everything_saveable", 2)])
def test_recomputation_is_counted(transform, policy, count, tensor):
    """sin(sin(x)) ** 2: forwards 2 calls; backwards the inner sin is needed, and the outer one for the square."""
    sin, calls = counter()
    policy = policy and getattr(pg.checkpoint_policies, policy)
    x = tensor(np.array([0.5, 1.0]))
    block = pg.checkpoint(lambda x: sin(sin(x)), policy=policy)
    value, g = transform(pg.value_and_grad(lambda x: (block(x) ** 2).sum()))(x)
    value.numpy(), g.numpy()
    assert len(calls) == count
    s = np.sin(np.sin(x.numpy()))
    np.testing.assert_allclose(g.numpy(), 2 * s * np.cos(np.sin(x.numpy())) * np.cos(x.numpy()))


def test_forward_alone_computes_nothing_twice(tensor):
    sin, calls = counter()
    block = pg.checkpoint(lambda x: sin(sin(x)))
    for f in (block, pg.jit(block), pg.vmap(block)):
        calls.clear()
        f(tensor(np.ones(2))).numpy()
        assert len(calls) == 2


def test_nested_checkpoints_recompute_more(tensor):
    """The outer backward pass runs the inner forward, whose backward pass runs its forward again."""
    sin, calls = counter()
    inner = pg.checkpoint(lambda x: sin(sin(x)) * 1.5)
    outer = pg.checkpoint(lambda x: inner(inner(x)))
    x = tensor(np.array([0.3, 0.6]))
    plain = lambda x: jnp.sin(jnp.sin(x)) * 1.5
    expected = pg.grad(lambda x: plain(plain(x)).sum())(x).numpy()
    for f in (pg.grad(lambda x: outer(x).sum()), pg.jit(pg.grad(lambda x: outer(x).sum()))):
        calls.clear()
        np.testing.assert_allclose(f(x).numpy(), expected)
        assert 4 <= len(calls) <= 4 + 2 + 2 + 2  # forward; the first inner again; one inner sin of each


def test_effects_are_not_repeated_by_recomputation(tensor):
    """A print in a checkpointed function appears once, as written."""
    log = []
    block = pg.checkpoint(
        lambda x: (pg.debug_callback(lambda v: log.append(float(v)), x.sum()), jnp.sin(jnp.sin(x)))[1]
    )
    f = pg.jit(pg.grad(lambda x: block(x).sum()))
    f(tensor(np.ones(2))).numpy()
    assert log == [2]


def layers(block, depth):
    def f(x):
        for _ in range(depth):
            x = block(x)
        return x.sum()

    return f


@pytest.mark.parametrize("transform", [lambda f: f, pg.jit], ids=["eager", "jit"])
def test_memory_of_a_deep_network(transform, tensor, device):
    """12 blocks of 6 elementwise layers: kept are the inputs of the blocks, not what is inside."""

    def block(x):
        for _ in range(6):
            x = jnp.sin(x) * jnp.cos(x) + x
        return x

    x = tensor(np.linspace(0, 1, 1 << 15))
    x.eval()
    plain, less = (transform(pg.grad(layers(b, 12))) for b in (block, pg.checkpoint(block)))
    np.testing.assert_allclose(less(x).numpy(), plain(x).numpy(), rtol=1e-10)
    high, low = peak(device, plain, x), peak(device, less, x)
    assert high > 12 * 6 * x.nbytes
    assert low < (12 + 6 * 4 + 8) * x.nbytes


@pytest.mark.parametrize("transform", [lambda f: f, pg.jit], ids=["eager", "jit"])
def test_memory_under_policies(transform, tensor, device, rng):
    """What one more block costs, in arrays of the size of its input."""
    w = tensor(rng.normal(size=(64, 64)) / 8)
    x = tensor(rng.normal(size=(512, 64)))
    w.eval(), x.eval()

    def block(x, w):
        y = pg.checkpoint_name(x @ w, "product")
        for _ in range(3):
            y = jnp.sin(y) * jnp.cos(y) * y
        return jnp.tanh(y) @ w

    p = pg.checkpoint_policies
    policies = {
        "nothing": p.nothing_saveable,
        "named": p.save_only_these_names("product"),
        "dots": p.dots_saveable,
        "everything": p.everything_saveable,
    }
    cost, values = {}, {}
    for name, policy in policies.items():
        saving = pg.checkpoint(block, policy=policy)
        few, many = (transform(pg.grad(lambda w, n=n: layers(lambda x: saving(x, w), n)(x))) for n in (4, 12))
        values[name] = many(w).numpy()
        few(w).numpy()
        cost[name] = (peak(device, many, w) - peak(device, few, w)) / 8 / x.nbytes
        np.testing.assert_allclose(values[name], values["nothing"], rtol=1e-9)
    assert cost["nothing"] == pytest.approx(1, abs=0.1)  # its input
    assert cost["named"] == pytest.approx(2, abs=0.1)  # and the product
    assert cost["dots"] == pytest.approx(2, abs=0.1)  # the second product is the next block's input
    assert cost["everything"] > 8


def saved_dots(policy, f, *xs):
    """The primitives whose results the policy was asked about and said yes to."""
    asked = []

    def spy(primitive, avals, params):
        answer = policy(primitive, avals, params)
        asked.append((primitive.name, answer))
        return answer

    pg.grad(lambda *xs: pg.checkpoint(f, policy=spy)(*xs).sum())(*xs).numpy()
    return {name for name, answer in asked if answer}, {name for name, _ in asked}


def test_products_with_and_without_batch(tensor, rng):
    a, b = tensor(rng.normal(size=(2, 3, 3))), tensor(rng.normal(size=(3, 3)))
    weights = lambda a: jnp.sin(jnp.sin(a[0] @ b))
    scores = lambda a: jnp.sin(jnp.sin(a @ (a + 1)))
    p = pg.checkpoint_policies
    assert saved_dots(p.dots_saveable, weights, a)[0] == {"dot_general"}
    assert saved_dots(p.dots_saveable, scores, a)[0] == {"dot_general"}
    assert saved_dots(p.dots_with_no_batch_dims_saveable, weights, a)[0] == {"dot_general"}
    assert saved_dots(p.dots_with_no_batch_dims_saveable, scores, a)[0] == set()
    assert saved_dots(p.nothing_saveable, scores, a)[0] == set()


def test_policies_by_name(tensor):
    named = lambda x: jnp.sin(pg.checkpoint_name(jnp.sin(pg.checkpoint_name(jnp.sin(x), "a")), "b"))
    x = tensor(np.ones(2))
    p = pg.checkpoint_policies
    assert saved_dots(p.save_only_these_names("a", "b"), named, x)[0] == {"checkpoint_name"}
    assert saved_dots(p.save_only_these_names("other"), named, x)[0] == set()
    both = p.save_from_both_policies(p.dots_saveable, p.save_only_these_names("a"))
    assert saved_dots(both, lambda x: jnp.sin(named(x) @ x), x)[0] >= {"checkpoint_name"}
    f = lambda x: named(x).sum()
    np.testing.assert_allclose(pg.grad(f)(x).numpy(), pg.grad(lambda x: jnp.sin(jnp.sin(jnp.sin(x))).sum())(x).numpy())
    assert pg.checkpoint_name(x, "a").numpy().tolist() == [1, 1]  # outside: nothing
    assert pg.vmap(lambda r: pg.checkpoint_name(r, "a") * 2)(x).numpy().tolist() == [2, 2]


def test_named_values_are_not_recomputed(tensor):
    sin, calls = counter()
    block = lambda x: sin(pg.checkpoint_name(sin(x), "middle"))
    x = tensor(np.ones(2))
    p = pg.checkpoint_policies
    for policy, count in ((p.save_only_these_names("middle"), 2), (p.save_only_these_names("other"), 3)):
        for transform in (lambda f: f, pg.jit):
            calls.clear()
            f = transform(pg.value_and_grad(lambda x: pg.checkpoint(block, policy=policy)(x).sum()))
            [y.numpy() for y in f(x)]
            assert len(calls) == count


# ---- arguments ---------------------------------------------------------------------------------------


def test_static_arguments(tensor):
    seen = []

    def f(x, mode, n):
        seen.append((mode, n))
        return (jnp.sin(x) ** n).sum() if mode == "power" else x.sum()

    g = pg.checkpoint(f, static_argnums=(1, 2))
    x = tensor(np.array([0.5, 1.0]))
    expected = 3 * np.sin(x.numpy()) ** 2 * np.cos(x.numpy())
    np.testing.assert_allclose(pg.grad(lambda x: g(x, "power", 3))(x).numpy(), expected)
    np.testing.assert_allclose(pg.jit(pg.grad(lambda x: g(x, "power", 3)))(x).numpy(), expected)
    assert pg.grad(lambda x: g(x, "sum", 3))(x).numpy().tolist() == [1, 1]
    assert set(seen) == {("power", 3), ("sum", 3)} and all(type(n) is int for _, n in seen)
    last = pg.checkpoint(lambda x, n: x.sum() * len(n), static_argnums=-1)
    assert pg.grad(lambda x: last(x, "abc"))(x).numpy().tolist() == [3, 3]


def test_trees_and_keyword_arguments(tensor):
    def program(m, n, x, w):
        @m.checkpoint
        def f(params, x, *, shift, scale=2.0):
            h = n.sin(x @ params["w"]) * scale + shift["s"]
            return {"out": h, "pair": (h.sum(), 3)}

        def loss(x, w):
            out = f({"w": w}, x=x, shift={"s": w[0]})
            return out["out"].sum() * out["pair"][1] + out["pair"][0] ** 2

        return loss(x, w), m.grad(loss, argnums=(0, 1))(x, w), m.jit(m.vmap(m.grad(loss), (0, None)))(x, w)

    agree(program, tensor, X, W)


def test_captured_tensors_get_gradients(tensor):
    def program(m, n, x, w):
        def loss(w):
            block = m.checkpoint(lambda x: n.sin(x @ w))
            return block(block(x)).sum()

        return m.grad(loss)(w), m.jit(m.grad(loss))(w), m.grad(m.checkpoint(loss))(w)

    agree(program, tensor, X, W)
    w, x = tensor(W), tensor(X)
    loss = pg.checkpoint(lambda x: jnp.sin(x @ w))(x).sum()
    np.testing.assert_allclose(
        pg.grads([w], loss)[0].numpy(), pg.grad(lambda w: jnp.sin(x @ w).sum())(w).numpy(), rtol=1e-5
    )


def test_integers_and_python_values(tensor):
    f = pg.checkpoint(lambda x, i, k: (x[i] * k).sum())
    x = tensor(np.arange(6.0).reshape(3, 2))
    i = tensor(np.array([0, 2, 2]))
    assert pg.grad(lambda x: f(x, i, 2))(x).numpy().tolist() == [[2, 2], [0, 0], [4, 4]]
    assert pg.checkpoint(lambda: pg.ones(2))().numpy().tolist() == [1, 1]
    assert pg.checkpoint(lambda x: None)(x) is None


def test_a_decorator_with_and_without_options(tensor):
    @pg.checkpoint
    def f(x):
        """Doubles."""
        return x * 2

    @pg.checkpoint(policy=pg.checkpoint_policies.dots_saveable, prevent_cse=False)
    def g(x):
        return x * 3

    assert f.__name__ == "f" and f.__doc__ == "Doubles."
    x = tensor(np.ones(2))
    assert pg.grad(lambda x: (f(x) * g(x)).sum())(x).numpy().tolist() == [12, 12]
    with pytest.raises(pg.ArgumentError, match="takes a function"):
        pg.checkpoint(3)


# ---- random numbers and state ------------------------------------------------------------------------


def dropped(x, device):
    mask = pg.rand(x.shape, dtype=x.dtype, device=device) > 0.5
    return jnp.sin(jnp.exp(pg.where(mask, x, 0.0)))


@pytest.mark.parametrize("how", ["eager", "jit", "scan", "vmap", "nested", "jit of vmap"])
def test_recomputed_random_numbers_are_those_of_the_forward_pass(how, tensor, device):
    """The gradient vanishes exactly where the value is that of a dropped element."""
    inner = pg.checkpoint(lambda x: dropped(x, device))
    block = {
        "scan": lambda x: pg.scan(lambda c, row: (c, inner(row)), None, x)[1],
        "vmap": pg.vmap(inner),
        "jit of vmap": pg.vmap(inner),
        "nested": pg.checkpoint(lambda x: inner(x) * 1.0),
    }.get(how, inner)
    f = pg.value_and_grad(lambda x: (lambda y: (y.sum(), y))(block(x)), has_aux=True)
    f = pg.jit(f) if "jit" in how else f
    x = tensor(np.full((20, 10), 0.5))
    masks = []
    for _ in range(2):
        (_, y), g = f(x)
        zero = y.numpy() == np.sin(1.0)
        assert 40 < zero.sum() < 160
        np.testing.assert_array_equal(g.numpy() == 0, zero)
        np.testing.assert_allclose(g.numpy()[~zero], np.cos(np.exp(0.5)) * np.exp(0.5), rtol=1e-12)
        masks.append(zero)
    assert (masks[0] != masks[1]).any()  # fresh in each call


def test_the_random_state_moves_on_once(tensor, device):
    """What is drawn after a checkpointed function does not depend on whether it was differentiated."""
    block = pg.checkpoint(lambda x: dropped(x, device).sum())
    x = tensor(np.ones(5))
    draws = []
    for f in (block, pg.grad(block), pg.jit(pg.grad(block)), lambda x: dropped(x, device).sum()):
        pg.manual_seed(3)
        f(x).numpy()
        draws.append(pg.rand(4, device=device).numpy())
    for d in draws[1:]:
        np.testing.assert_array_equal(d, draws[0])


def test_state_that_is_changed_inside_is_changed_once(tensor):
    total, x = tensor(np.zeros(2)), tensor(np.ones(2))

    @pg.checkpoint
    def f(x):
        total[:] = total + x
        return jnp.sin(jnp.sin(x)).sum()

    pg.grad(f)(x).numpy()
    assert total.numpy().tolist() == [1, 1]
    pg.jit(pg.grad(f))(x).numpy()
    assert total.numpy().tolist() == [2, 2]


# ---- errors ------------------------------------------------------------------------------------------


def test_values_cannot_be_read_inside(tensor):
    f = pg.checkpoint(lambda x: x * 2 if x.sum() > 0 else x)
    with pytest.raises(pg.TracerError, match=r"(?s)checkpoint.*where\("):
        f(tensor(np.ones(2)))


def test_errors_pass_and_leave_nothing_open(tensor):
    @pg.checkpoint
    def f(x):
        raise RuntimeError("inside")

    x = tensor(np.ones(2))
    with pytest.raises(RuntimeError, match="inside"):
        pg.grad(lambda x: f(x).sum())(x)
    assert (x + 1)._node.frame is None
    kept = []
    pg.checkpoint(lambda x: kept.append(x * 2) or x)(x)
    with pytest.raises(pg.TracerError, match="leaked out of checkpoint"):
        (kept[0] + 1).numpy()
