"""The graph, sentence by sentence of docs/architecture.md: laziness, history, frames, captures, leaks, donation."""

import gc
import logging
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import pequegrad as pg
import pequegrad.jax_api as jnp
from pequegrad import optim
from pequegrad.transforms import derivative

ROOT = pathlib.Path(__file__).parents[1]


def message(error, f):
    with pytest.raises(error) as caught:
        f()
    return str(caught.value)


def counting_sin():
    """sin, and the list of its evaluations."""
    calls = []

    @pg.custom_jvp
    def sin(x):
        return pg.pure_callback(lambda v: calls.append(1) or np.sin(v), x, x, vmap_method="broadcast_all")

    sin.defjvp(lambda primals, tangents: (sin(*primals), jnp.cos(primals[0]) * tangents[0]))
    return sin, calls


# ---- lazy --------------------------------------------------------------------------------------------


def test_shapes_and_dtypes_are_known_at_once_and_values_when_they_are_read(tensor):
    sin, calls = counting_sin()
    y = (sin(tensor(np.ones((2, 3)))) * 2).sum(0)
    assert y.shape == (3,) and y.dtype == np.float64 and not y.evaled and not calls
    assert "evaled=0" in repr(y) and not calls  # showing a pending tensor does not compute it
    y.numpy()
    assert y.evaled and len(calls) == 1
    with pytest.raises(pg.ShapeError):  # at once, not when it is read
        sin(tensor(np.ones(3))) + tensor(np.ones(4))


@pytest.mark.parametrize("read", [
    lambda t: t.eval(), lambda t: t.numpy(), float, int, bool, lambda t: t.item(), lambda t: t.tolist(), np.asarray,
    lambda t: f"{t:.2f}", lambda t: range(5)[int(t)],
])  # fmt: skip
def test_everything_that_reads_a_value_computes_it(read, tensor):
    sin, calls = counting_sin()
    t = sin(tensor(np.float64(1)))
    read(t)
    assert t.evaled and len(calls) == 1


def test_gradients_read_one_by_one_compute_each_node_once(tensor):
    sin, calls = counting_sin()
    ws = [tensor(np.float64(k)) for k in range(1, 6)]
    total = ws[0] * 0
    for w in ws:
        total = sin(total + w) * w
    gs = pg.grads(ws, total)
    values = [g.item() for g in gs]
    total.numpy()
    assert len(calls) == 5
    np.testing.assert_allclose(values, [g.item() for g in pg.grads(ws, total)])
    assert len(calls) == 5


def test_what_nobody_refers_to_is_not_kept(tensor, device):
    x = tensor(np.zeros(1 << 15)).detach()
    x.eval()
    gc.collect()
    before = pg.memory_stats(device)["in_use"]
    y = x
    for _ in range(20):
        y = jnp.sin(y) + 1
    y.numpy()
    gc.collect()
    assert pg.memory_stats(device)["in_use"] - before <= 2 * x.nbytes


# ---- history -----------------------------------------------------------------------------------------


def test_numpy_keeps_history_and_eval_drops_it(tensor):
    x = tensor([1.0, 2.0])
    y = x * x
    y.numpy(), y.tolist(), np.asarray(y), repr(y)
    assert pg.grads([x], y.sum())[0].numpy().tolist() == [2, 4]
    assert (y * 3).eval() is not None
    z = y * 3
    assert z.eval() is z
    text = message(pg.GradientError, lambda: pg.grads([x], z.sum()))
    assert "eval()" in text and ".numpy()" in text
    assert pg.grads([z], z.sum())[0].numpy().tolist() == [1, 1]  # it is a leaf now


def test_detach_is_a_constant_and_never_an_error(tensor):
    x = tensor([1.0, 2.0])
    assert pg.grads([x], (x.detach() * x).sum())[0].numpy().tolist() == [1, 2]
    assert pg.grads([x], ((x * 2).detach() * 3 + x).sum())[0].numpy().tolist() == [1, 1]
    assert pg.grad(lambda x: (x.detach() * x).sum())(x).numpy().tolist() == [1, 2]
    assert pg.jit(pg.grad(lambda x: (x.detach() * x).sum()))(x).numpy().tolist() == [1, 2]
    assert pg.grad(lambda x: pg.scan(lambda c, _: (c * x.detach().sum(), None), x.sum(), None, length=2)[0])(
        x
    ).numpy().tolist() == [9, 9]


def test_rebound_tensors_keep_old_graphs_right(tensor):
    x = tensor([1.0, 2.0])
    y = x * 10
    before = y.sum()
    x[0] = 7.0
    assert y.numpy().tolist() == [10, 20] and x.numpy().tolist() == [7, 2]
    text = message(pg.GradientError, lambda: pg.grads([x], before))
    assert "new value" in text and "again" in text
    w = tensor([1.0])
    loss = (w * w).sum()
    optim.SGD([w], lr=0.1).step([tensor([1.0])])
    assert "new value" in message(pg.GradientError, lambda: pg.grads([w], loss))
    assert loss.item() == 1


def test_pending_work_is_bounded(tensor, device):
    x = tensor(np.ones(1 << 10)).detach()
    y, pending = x, 0
    for _ in range(5000):
        y = y * 1.0001
        pending = max(pending, y._node.depth)
    assert pending <= 1001
    gc.collect()
    before = pg.memory_stats(device)["in_use"]
    for _ in range(5000):
        y = y * 0.9999
    y.numpy()
    gc.collect()
    assert pg.memory_stats(device)["in_use"] <= before + 1010 * x.nbytes  # an untracked chain drops its history
    np.testing.assert_allclose(y.numpy(), (1.0001 * 0.9999) ** 5000, rtol=1e-9)


def test_long_tracked_chains_keep_their_history(tensor):
    """Values are computed on the way; gradients still go all the way, and no walk is recursive."""
    limit = sys.getrecursionlimit()
    w = tensor(np.float64(1))
    y = w
    for _ in range(3 * limit):
        y = y * 1.0001
    assert pg.grads([w], y)[0].item() == pytest.approx(1.0001 ** (3 * limit), rel=1e-9)
    deep = pg.jit(lambda x: [x := x * 1.0001 for _ in range(3 * limit)][-1])
    assert deep(w).item() == pytest.approx(1.0001 ** (3 * limit), rel=1e-9)
    assert pg.grad(deep)(w).item() == pytest.approx(1.0001 ** (3 * limit), rel=1e-9)


def test_the_bound_does_not_count_nodes_of_a_function_that_is_traced(tensor):
    sin, calls = counting_sin()

    @pg.jit
    def f(x):
        y = sin(x)
        for _ in range(2500):
            y = y + 1
        assert not calls
        return y

    x = tensor(np.float64(0))
    assert f(x).item() == 2500 and len(calls) == 1
    calls.clear()
    assert pg.vmap(f)(tensor(np.zeros(2))).numpy().tolist() == [2500, 2500]
    assert pg.grad(f)(x).item() == 1


def visited(monkeypatch, f):
    """The number of nodes on the paths that derivatives walked during f()."""
    counts = []
    real = derivative.dependent_nodes

    def counted(*args):
        path, active = real(*args)
        counts.append(len(path))
        return path, active

    monkeypatch.setattr(derivative, "dependent_nodes", counted)
    f()
    monkeypatch.setattr(derivative, "dependent_nodes", real)
    return counts


def test_a_walk_only_visits_nodes_of_its_frame(tensor, monkeypatch):
    y = tensor(np.float64(0))
    for _ in range(900):
        y = y + 1
    assert not y.evaled
    assert visited(monkeypatch, lambda: pg.grad(lambda z: z * 3)(y)) == [1]
    assert visited(monkeypatch, lambda: pg.jvp(lambda z: z * y, (y,), (y,))) == [1]
    assert visited(monkeypatch, lambda: pg.grad(lambda z: jnp.sin(z) * y + y)(y)) == [3]
    assert not y.evaled


# ---- frames: what can be read, and where ----------------------------------------------------------------


def test_values_are_readable_under_derivatives(tensor):
    def f(x):
        if x.sum() > 0 and float(x[0]) > 0 and x.numpy()[1] > 0:
            return (x * x).sum()
        return (x * 3).sum()

    x, v = tensor([1.0, 2.0]), tensor([1.0, 1.0])
    for sign, expected in ((1, [2, 4]), (-1, [3, 3])):
        x = tensor([1.0 * sign, 2.0 * sign])
        expected = [2, 4] if sign > 0 else [3, 3]
        assert pg.grad(f)(x).numpy().tolist() == expected
        assert pg.value_and_grad(f)(x)[1].numpy().tolist() == expected
        assert pg.vjp(f, x)[1](tensor(1.0))[0].numpy().tolist() == expected
        assert pg.jvp(f, (x,), (v,))[1].item() == sum(expected)
        assert pg.linearize(f, x)[1](v).item() == sum(expected)
        assert pg.fngrad(f)(x)[0].numpy().tolist() == expected
        assert pg.jacrev(f)(x).numpy().tolist() == expected and pg.jacfwd(f)(x).numpy().tolist() == expected
        assert pg.jet(f, (x,), ([v],))[1][0].item() == sum(expected)
        assert pg.grad(lambda x: (pg.grad(f)(x) * x).sum())(x).numpy().tolist() == ([4, 8] if sign > 0 else [3, 3])


PLACEHOLDER_FRAMES = {
    "jit": lambda f, x: pg.jit(f)(x),
    "vmap": lambda f, x: pg.vmap(f)(pg.stack([x, x])),
    "grad in jit": lambda f, x: pg.jit(pg.grad(lambda x: f(x).sum()))(x),
    "jit in grad": lambda f, x: pg.grad(lambda x: pg.jit(f)(x).sum())(x),
    "grad in vmap": lambda f, x: pg.vmap(pg.grad(lambda x: f(x).sum()))(pg.stack([x, x])),
    "scan": lambda f, x: pg.scan(lambda c, _: (f(c), None), x, None, length=2),
    "cond": lambda f, x: pg.cond(True, f, lambda x: x, x),
    "while_loop": lambda f, x: pg.while_loop(lambda c: c.sum() < 3, f, x),
    "test of while_loop": lambda f, x: pg.while_loop(lambda c: f(c).sum() < 3, lambda c: c + 1, x),
    "fori_loop": lambda f, x: pg.fori_loop(0, 3, lambda i, c: f(c), x),
    "map": lambda f, x: pg.map(f, x),
    "checkpoint": lambda f, x: pg.checkpoint(f)(x),
}


@pytest.mark.parametrize("name", PLACEHOLDER_FRAMES)
def test_values_of_placeholders_are_not_readable(name, tensor):
    x = tensor(np.ones(2))
    for read in (lambda t: t.numpy(), lambda t: t.eval(), lambda t: bool((t > 0).all()), lambda t: float(t.sum())):

        def f(t, read=read):
            read(t * 1)
            return t

        text = message(pg.TracerError, lambda: PLACEHOLDER_FRAMES[name](f, x))
        assert "needs a value" in text and "test_frames.py" in text and "fix:" in text and "from:" in text
    assert (x + 1)._node.frame is None and (x + 1).numpy().tolist() == [2, 2]


def test_values_from_outside_are_readable_inside(tensor):
    """What was made before the function was traced has a value; what is made of it inside belongs to the graph."""
    w = tensor(np.float64(2))
    pending = w * 3

    def f(x):
        return x * float(w) + float(pending)

    assert pg.jit(f)(w).item() == 10
    assert pg.vmap(f)(tensor(np.ones(2))).numpy().tolist() == [8, 8]
    assert pg.scan(lambda c, _: (f(c), None), w, None, length=2)[0].item() == 26
    assert "needs a value" in message(pg.TracerError, lambda: pg.jit(lambda x: x * float(w * 1))(w))


# ---- what is made while a frame is open belongs to it -----------------------------------------------------


def fresh_draws(draw, count=3):
    values = np.concatenate([np.ravel(y.numpy()) for _ in range(count) for y in pg.transforms.tree.flatten(draw())[0]])
    assert len(np.unique(values)) == len(values)
    return values


@pytest.mark.parametrize("name, draw", {
    "jit": lambda r, d: pg.jit(lambda: r()),
    "scan": lambda r, d: lambda: pg.scan(lambda c, _: (c, r()), None, None, length=4)[1],
    "jit of scan": lambda r, d: pg.jit(lambda: pg.scan(lambda c, _: (c, r()), None, None, length=4)[1]),
    "scan of jit": lambda r, d: lambda: pg.scan(lambda c, _: (c, pg.jit(r)()), None, None, length=4)[1],
    "cond": lambda r, d: pg.jit(lambda: (pg.cond(True, r, r), r())),
    "while_loop": lambda r, d: pg.jit(lambda: (pg.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, r()), (0, r())), r())),
    "map": lambda r, d: lambda: pg.map(lambda _: r(), pg.arange(4, device=d)),
    "nested jit": lambda r, d: pg.jit(lambda: (pg.jit(r)(), pg.jit(r)(), r())),
    "vmap": lambda r, d: lambda: pg.vmap(lambda x: r() + 0 * x)(pg.zeros((4, 1), device=d)),
    "jit of vmap": lambda r, d: pg.jit(lambda: pg.vmap(lambda x: r() + 0 * x)(pg.zeros((4, 1), device=d))),
    "vmap of jit": lambda r, d: lambda: pg.vmap(pg.jit(lambda x: r() + 0 * x))(pg.zeros((4, 1), device=d)),
    "vmap without use of the example": lambda r, d: lambda: pg.vmap(lambda x: r())(pg.zeros((4, 1), device=d)),
    "vmap of vmap": lambda r, d: lambda: pg.vmap(pg.vmap(lambda x: r()))(pg.zeros((3, 2), device=d)),
    "vmap of scan": lambda r, d: lambda: pg.vmap(lambda x: pg.scan(lambda c, _: (c, r()), None, None, length=3)[1])(pg.zeros(2, device=d)),
    "scan of vmap": lambda r, d: lambda: pg.scan(lambda c, _: (c, pg.vmap(lambda x: r())(pg.zeros(2, device=d))), None, None, length=3)[1],
    "checkpoint": lambda r, d: lambda: pg.checkpoint(r)(),
    "value of grad": lambda r, d: lambda: pg.grad(lambda x: (x * r()).sum())(pg.ones(5, device=d)),
}.items())  # fmt: skip
def test_random_numbers_are_fresh_and_repeatable(name, draw, device):
    f = draw(lambda: pg.rand(5, device=device, dtype="float64"), device)
    pg.manual_seed(7)
    drop = f
    if name == "while_loop":  # the count is no random number
        drop = lambda: (lambda out: (out[0][1], out[1]))(f())
    first = fresh_draws(drop)
    pg.manual_seed(7)
    np.testing.assert_array_equal(fresh_draws(drop), first)
    after = pg.rand(5, device=device, dtype="float64").numpy()
    assert not np.isin(after, first).any()


def test_traced_and_untraced_calls_share_one_stream(device):
    """A seed gives the same numbers whether a function is compiled or not."""
    draw = lambda: (
        pg.rand(3, device=device),
        pg.scan(lambda c, _: (c, pg.rand(2, device=device)), None, None, length=3)[1],
    )
    found = []
    for f in (draw, pg.jit(draw), pg.jit(lambda: pg.jit(draw)())):
        pg.manual_seed(11)
        found.append([y.numpy() for y in (*f(), *f())])
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_array_equal(a, b)


def test_constants_made_inside_belong_to_the_graph(tensor):
    made = []
    f = pg.jit(lambda x: (made.append(1), x + pg.arange(2.0, device=x.device) + pg.ones(2, device=x.device))[1])
    assert f(tensor([1.0, 1.0])).numpy().tolist() == [2, 3] and f(tensor([0.0, 0.0])).numpy().tolist() == [1, 2]
    assert len(made) == 1


# ---- captures ----------------------------------------------------------------------------------------


CAPTURES = {
    "jit": lambda w: pg.jit(lambda x: x * w),
    "nested jit": lambda w: pg.jit(lambda x: pg.jit(lambda x: x * w)(x)),
    "jit of scan": lambda w: pg.jit(lambda x: pg.scan(lambda c, _: (c * w, None), x, None, length=1)[0]),
    "scan of jit": lambda w: (lambda g: lambda x: pg.scan(lambda c, _: (g(c), None), x, None, length=1)[0])(
        pg.jit(lambda x: x * w)
    ),
    "jit of cond": lambda w: pg.jit(lambda x: pg.cond(True, lambda x: x * w, lambda x: x, x)),
    "cond of jit": lambda w: (lambda g: lambda x: pg.cond(True, g, lambda x: x, x))(pg.jit(lambda x: x * w)),
    "jit of grad": lambda w: pg.jit(pg.grad(lambda x: (x * x * w).sum() / 2)),
    "grad of jit": lambda w: pg.grad(pg.jit(lambda x: (x * x * w).sum() / 2)),
    "vmap of jit": lambda w: pg.vmap(pg.jit(lambda x: x * w.sum())),
    "jit of vmap": lambda w: pg.jit(pg.vmap(lambda x: x * w.sum())),
    "jvp of jit": lambda w: (lambda g: lambda x: pg.jvp(g, (x,), (x,))[1])(pg.jit(lambda x: x * w)),
    "jit of checkpoint": lambda w: pg.jit(pg.checkpoint(lambda x: x * w)),
    "jit of while_loop": lambda w: pg.jit(
        lambda x: pg.while_loop(lambda s: s[0] < 1, lambda s: (s[0] + 1, s[1] * w), (0, x))[1]
    ),
    "jit of custom_jvp": lambda w: pg.jit(pg.grad(_ruled(w))),
}


def _ruled(w):
    f = pg.custom_jvp(lambda x: (x * x * w).sum() / 2)
    f.defjvp(lambda primals, tangents: (f(*primals), (primals[0] * w * tangents[0]).sum()))
    return f


@pytest.mark.parametrize("name", CAPTURES)
def test_captured_tensors_are_read_at_each_call(name, tensor):
    w = tensor(np.array([2.0]))
    f = CAPTURES[name](w)
    x = tensor(np.array([3.0]))
    assert f(x).numpy().tolist() == [6]
    w[0] = 5.0
    assert f(x).numpy().tolist() == [15]
    with pg.no_grad():
        w *= 2.0
    assert f(x).numpy().tolist() == [30]
    optim.SGD([w], lr=1.0).step([tensor(np.array([3.0]))])
    assert f(x).numpy().tolist() == [21]


def test_a_graph_that_captured_a_value_of_an_open_function_is_not_kept(tensor):
    def inner_of(y):
        return pg.jit(lambda x: x * y)

    @pg.jit
    def outer(x, y):
        return inner_of(y)(x)

    assert outer(tensor(2.0), tensor(3.0)).item() == 6
    assert outer(tensor(2.0), tensor(5.0)).item() == 10

    kept = {}

    def shared(x):  # one inner function, which reads what differs from trace to trace
        return x * kept["y"]

    inner = pg.jit(shared)

    def reads(x, y):
        kept["y"] = y * 1
        return inner(x)

    def scanned(f):
        return lambda x, y: pg.scan(lambda c, row: (c, f(*row)), None, (x, y))[1]

    for transform in (pg.jit, pg.vmap, scanned, lambda f: pg.jit(scanned(f))):
        f = transform(reads)
        for a, b in ((2.0, 3.0), (2.0, 5.0), (4.0, 7.0)):
            assert f(tensor(np.array([a])), tensor(np.array([b]))).item() == a * b
    kept["y"] = tensor(np.array([9.0]))
    assert inner(tensor(np.array([2.0]))).item() == 18


def test_a_graph_that_captured_a_value_of_an_open_derivative_is_not_kept(tensor):
    kept = {}
    inner = pg.jit(lambda x: x * kept["y"])

    def reads(x, y):
        kept["y"] = y * 1
        return inner(x).sum()

    for a, b in ((2.0, 3.0), (2.0, 5.0), (4.0, 7.0)):
        gx, gy = pg.grad(reads, (0, 1))(tensor(np.array([a])), tensor(np.array([b])))
        assert (gx.item(), gy.item()) == (b, a)


def test_values_of_outer_functions_are_constants_to_inner_derivatives(tensor):
    f = pg.jit(lambda x: pg.grad(lambda y: (y * x).sum())(x * 1))
    assert f(tensor([2.0, 3.0])).numpy().tolist() == [2, 3]
    g = pg.grad(lambda x: pg.grad(lambda y: (y * x * x).sum())(x).sum())
    assert g(tensor([2.0, 3.0])).numpy().tolist() == [4, 6]


# ---- leaks -------------------------------------------------------------------------------------------


def leaky(kept):
    """A function that keeps a value of its own."""

    def thief(x):
        kept.append(x * 2)
        return x

    return thief


LEAKS = {
    "jit": lambda f, x: pg.jit(f)(x),
    "vmap": lambda f, x: pg.vmap(f)(x),
    "scan": lambda f, x: pg.scan(lambda c, _: (f(c), None), x, None, length=2),
    "cond": lambda f, x: pg.cond(True, f, lambda x: x, x),
    "switch": lambda f, x: pg.switch(1, [lambda x: x, f], x),
    "while_loop": lambda f, x: pg.while_loop(lambda c: c.sum() < 0, f, x),
    "checkpoint": lambda f, x: pg.checkpoint(f)(x),
}


@pytest.mark.parametrize("name", LEAKS)
def test_leaks_are_named(name, tensor):
    kept = []
    x = tensor(np.ones((2, 3)))
    LEAKS[name](leaky(kept), x)
    for use in (
        lambda: kept[0].numpy(), lambda: kept[0] + 1, lambda: repr(kept[0] * 1), lambda: pg.grads([x], kept[0].sum()),
        lambda: pg.jit(lambda x: x + kept[0])(x), lambda: pg.vmap(lambda x: x + kept[0].sum())(x),
        lambda: pg.grad(lambda x: (x * kept[0]).sum())(x), lambda: pg.scan(lambda c, _: (c + kept[0], None), x, None, 2),
    ):  # fmt: skip
        text = message(pg.TracerError, use)
        assert f"leaked out of {name}" in text
        assert "Mul" in text and "3]" in text  # what
        assert "test_frames.py" in text  # where
        assert "fix:" in text and "return it" in text
        if name not in ("scan", "fori_loop"):
            assert "thief" in text  # from
    assert (x + 1).numpy().tolist() == [[2] * 3] * 2


def test_leaks_of_custom_rules_are_named(tensor):
    kept = []
    f = pg.custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: (f(x), x), lambda x, ct: (kept.append(ct * 1) or ct * 2,))
    x = tensor(np.ones(2))
    pg.jit(pg.grad(lambda x: f(x).sum()))(x)
    assert "leaked out of jit" in message(pg.TracerError, lambda: kept[0] + 1)
    kept.clear()
    g = pg.custom_jvp(lambda x: x * 2)
    g.defjvp(lambda primals, tangents: (g(*primals), kept.append(tangents[0] * 1) or tangents[0] * 2))
    pg.vmap(pg.grad(g))(x)
    assert "leaked out of" in message(pg.TracerError, lambda: kept[0] + 1)


def test_a_tensor_stored_on_an_object_leaks_with_its_name(tensor):
    class Model:
        def __call__(self, x):
            self.last = x * 2
            return self.last.sum()

    model = Model()
    x = tensor(np.ones(2))
    pg.jit(model)(x)
    assert "leaked out of jit of Model" in message(pg.TracerError, lambda: model.last.numpy())
    pg.grad(model)(x)  # under grad alone there is nothing to leak
    assert model.last.numpy().tolist() == [2, 2]


# ---- eval inside of transforms -------------------------------------------------------------------------


def test_eval_inside_a_derivative_computes_and_keeps_the_way(tensor):
    def f(x):
        y = (x * 2).eval()
        assert y.evaled
        return (y * x.eval() * y.numpy()[0]).sum()

    x = tensor([1.0, 2.0])
    np.testing.assert_allclose(pg.grad(f)(x).numpy(), [8, 16])
    assert pg.jvp(f, (x,), (x,))[1].item() == pytest.approx(40)
    assert pg.grad(lambda x: (pg.grad(f)(x) * x).sum())(x).numpy().shape == (2,)


def test_eval_inside_does_not_cut_what_is_outside(tensor):
    x = tensor([1.0, 2.0])
    h = x * 3

    def f(z):
        h.eval()
        return (z * h).sum()

    pg.grad(f)(x)
    assert pg.grads([x], h.sum())[0].numpy().tolist() == [3, 3]


# ---- jit as a node -------------------------------------------------------------------------------------


def trace_of(capsys, f, *args):
    capsys.readouterr()
    pg.jit(f).print_trace(*args)
    return capsys.readouterr().out


def test_a_jitted_function_is_one_node_inside_of_transforms(tensor, capsys):
    inner = pg.jit(lambda x: jnp.sin(x) * jnp.cos(x) + jnp.exp(x))
    x = tensor(np.ones(2))
    lines = lambda text: [
        line for line in text.splitlines() if line.startswith("    ") and not line.startswith("     ")
    ]
    text = trace_of(capsys, lambda x: inner(x) + 1, x)
    assert sum("= call(" in line for line in lines(text)) == 1 and not any("sin(" in line for line in lines(text))
    text = trace_of(capsys, lambda x: pg.grad(lambda x: inner(x).sum())(x), x)
    assert not any("sin(" in line or "cos(" in line for line in lines(text)) and text.count("= call(") >= 1
    text = trace_of(capsys, lambda x: pg.vmap(inner)(x), x)
    assert sum("= call(" in line for line in lines(text)) == 1 and len(lines(text)) <= 4


def test_an_inner_function_is_traced_once_for_all_transforms(tensor):
    traces = []
    inner = pg.jit(lambda x: (traces.append(1), jnp.sin(x))[1])
    outer = pg.jit(lambda x: inner(x) + inner(x * 2) + inner(x + 1))
    outer(tensor(1.0))
    assert len(traces) == 1
    pg.grad(outer)(tensor(1.0)), pg.vmap(pg.grad(inner))(tensor([1.0, 2.0])), pg.jit(pg.grad(inner))(tensor(2.0))
    assert len(traces) <= 2  # outside of a frame and inside of one


# ---- reports about retracing --------------------------------------------------------------------------


def reports(caplog, f):
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="pequegrad"):
        f()
    return [record.getMessage() for record in caplog.records]


def test_the_third_trace_says_what_changed(tensor, caplog):
    @pg.jit
    def step(x, scale):
        return x * scale

    ones = lambda *shape: tensor(np.ones(shape, "f4"))
    assert reports(caplog, lambda: (step(ones(2), 1.0), step(ones(3), 1.0), step(ones(2), 2.0))) == []
    (text,) = reports(caplog, lambda: step(ones(4), 1.0))
    assert "step" in text and "third" in text or "3rd" in text
    assert "x: float32[3] -> float32[4]" in text and "scale" not in text
    (text,) = reports(caplog, lambda: step(ones(4), ones(1)))
    assert "4th" in text and "scale: float32[] -> float32[1]" in text and "x:" not in text
    assert reports(caplog, lambda: step(ones(4), ones(1))) == []
    (text,) = reports(caplog, lambda: step(tensor(np.ones(4)), 2))
    assert "x: float32[4] -> float64[4]" in text and "scale: float32[1] -> int32[]" in text


def test_changes_of_static_arguments_and_structure_are_reported(tensor, caplog):
    import functools

    @functools.partial(pg.jit, static_argnums=(1,), static_argnames=("mode",))
    def f(tree, n, mode="a", **options):
        return pg.transforms.tree.flatten(tree)[0][0] * 2

    x = tensor([1.0])
    for n in range(2):
        f({"a": x}, n)
    (text,) = reports(caplog, lambda: f({"a": x}, 7))
    assert "static n: 1 -> 7" in text
    (text,) = reports(caplog, lambda: f({"a": x}, (1, "two")))
    assert "static n: 7 -> (1, 'two')" in text
    f({"a": x}, 7, mode="b")
    (text,) = reports(caplog, lambda: f({"a": x}, 7, mode="c"))
    assert "static mode: 'b' -> 'c'" in text
    (text,) = reports(caplog, lambda: f({"a": x, "b": x}, 7, mode="c"))
    assert "structure" in text and "'b'" in text
    (text,) = reports(caplog, lambda: f({"a": x, "b": tensor([1.0, 2.0])}, 7, mode="c"))
    assert "tree['b']: float32[1] -> float32[2]" in text
    f({"a": x}, 7, mode="c", extra=x)
    (text,) = reports(caplog, lambda: f({"a": x}, 7, mode="c", extra=tensor([1.0, 2.0])))
    assert "extra: float32[1] -> float32[2]" in text


def test_a_change_of_something_captured_is_reported(tensor, caplog):
    """Not only arguments cause traces: the message says so."""
    w = tensor([1.0])
    f = pg.jit(lambda x: (x * w).sum())
    x = tensor(2.0)
    f(x)
    texts = []
    for n in (2, 3, 4):
        w._rebind(tensor(np.ones(n, "f4"))._node)
        texts += reports(caplog, lambda: f(x))
    assert len(texts) >= 1 and all("axes" not in text for text in texts)


# ---- donation ----------------------------------------------------------------------------------------


def test_donated_memory_is_used_again(tensor, device):
    from pequegrad.runtime import library

    def peak(f, x):
        x.eval()
        f(tensor(np.zeros(1 << 16)))  # compiled
        gc.collect()
        library.lib.pg_device_reset_peak(device.handle)
        before = library.memory_stats(device)["in_use"]
        y = f(x).eval()
        assert y.numpy()[0] == 1
        return library.memory_stats(device)["peak_in_use"] - before

    step = lambda x: x + 1.0
    plain, donating = (pg.jit(step, donate_argnums=d) for d in ((), 0))
    size = 8 << 16
    assert peak(plain, tensor(np.zeros(1 << 16))) >= size
    assert peak(donating, tensor(np.zeros(1 << 16))) < size // 2


def test_donated_tensors_cannot_be_used_again(tensor):
    f = pg.jit(lambda x, y: x * 2 + y, donate_argnums=(0,))
    x, y = tensor(np.ones(100)), tensor(np.ones(100))
    assert f(x, y).numpy()[0] == 3
    assert y.numpy()[0] == 1  # not donated
    for use in (lambda: x.numpy(), lambda: (x + 1).numpy(), lambda: f(x, y), lambda: pg.jit(lambda x: x)(x).numpy()):
        text = message(pg.DeviceError, use)
        assert "donated to jit of" in text and "donate_argnums" in text and "test_frames.py" in text
    assert x.shape == (100,) and x.dtype == np.float64  # what is known without a value stays known


def test_a_donated_tensor_can_be_shown(tensor):
    """repr is what debuggers and failing asserts call: it never raises."""
    x = tensor(np.ones(100))
    pg.jit(lambda x: x * 2, donate_argnums=0)(x)
    assert "shape=[100]" in repr(x)


def test_an_array_that_is_passed_twice_is_not_given_away(tensor):
    f = pg.jit(lambda x, y: x * 2 + y, donate_argnums=(0, 1))
    x = tensor(np.ones(100))
    assert f(x, x).numpy()[0] == 3
    assert x.numpy()[0] == 1
    g = pg.jit(lambda x, y: (x * 2, y + 1), donate_argnums=0)
    assert [v.numpy()[0] for v in g(x, x)] == [2, 2]
    assert x.numpy()[0] == 1


def test_an_array_that_is_captured_and_passed_is_not_given_away(tensor):
    w = tensor(np.ones(100))
    f = pg.jit(lambda x: x * 2 + w, donate_argnums=0)
    assert f(w).numpy()[0] == 3 and w.numpy()[0] == 1


def test_values_made_of_a_donated_argument(tensor):
    """What was computed from it before stays; while another handle, or something pending, needs it, it is not given."""
    f = pg.jit(lambda x: x * 2, donate_argnums=0)
    x = tensor(np.arange(100.0))
    view, square, pending, handle = x[10:20], (x.reshape((10, 10))), x + 1, x[:]
    view.eval(), square.eval()
    array = x.numpy()
    assert f(x).numpy()[3] == 6
    assert array[3] == 3 and view.numpy()[0] == 10 and square.numpy()[0, 3] == 3
    assert pending.numpy()[3] == 4 and handle.numpy()[3] == 3 and x.numpy()[3] == 3


@pytest.mark.parametrize("other", ["pg.Tensor(x)", "pg.Tensor(x).eval()", "x.detach()", "x.detach().eval()"])
def test_tensors_that_share_memory_with_a_donated_argument(other, device):
    """They keep their value, or say that it is gone; in a process of its own, since the memory may not be there."""
    program = f"""
import numpy as np
import pequegrad as pg
x = pg.Tensor(np.arange(1000.0), device={str(device).lower()!r})
x.eval()
y = {other}
z = pg.jit(lambda x: x * 2, donate_argnums=0)(x)
try:
    assert y.numpy()[3] == 3, y.numpy()[3]
except pg.DeviceError as error:
    assert "donated" in str(error)
assert z.numpy()[3] == 6
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:] or f"killed by signal {-done.returncode}"


def test_results_that_are_the_argument(tensor):
    f = pg.jit(lambda x: (x, x + 1), donate_argnums=0)
    x = tensor(np.ones(100))
    same, more = f(x)
    assert same.numpy()[0] == 1 and more.numpy()[0] == 2


def test_a_training_loop_that_donates_its_state(tensor, device):
    step = pg.jit(lambda state, g: {"w": state["w"] - 0.1 * g, "n": state["n"] + 1}, donate_argnums=0)
    state = {"w": tensor(np.zeros(1 << 14)), "n": tensor(np.int32(0))}
    g = tensor(np.ones(1 << 14))
    for i in range(20):
        state = step(state, g)
        if i == 5:
            gc.collect()
            before = pg.memory_stats(device)["in_use"]
    gc.collect()
    assert pg.memory_stats(device)["in_use"] <= before
    np.testing.assert_allclose(state["w"].numpy(), -2.0)
    assert state["n"].item() == 20


def test_donation_inside_another_transform_is_ignored(tensor):
    f = pg.jit(lambda x: x * 2, donate_argnums=0)
    x = tensor(np.ones(3))
    assert pg.grad(lambda x: (f(x) * x).sum())(x).numpy().tolist() == [4] * 3
    assert pg.jit(lambda x: f(x) + x)(x).numpy().tolist() == [3] * 3
    assert pg.vmap(f)(x).numpy().tolist() == [2] * 3
    assert x.numpy().tolist() == [1] * 3
