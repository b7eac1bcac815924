"""jit: one program per call, caching, captured and changed outer tensors, composition with derivatives."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import pequegrad as pg
from pequegrad import nn, optim
from pequegrad.transforms.tree import flatten


def counted(function):
    """`function` and a list that grows by one each time it is traced."""
    traces = []

    def wrapped(*args, **kwargs):
        traces.append(1)
        return function(*args, **kwargs)

    return wrapped, traces


def test_threads_that_call_at_the_same_time_share_one_trace(tensor):
    started, waiting = threading.Event(), threading.Barrier(4)

    def slow(x):
        started.wait(1)  # until the others have called, too
        return x * 2

    f = pg.jit(slow)

    def call(k):
        waiting.wait()
        return f(tensor([k])).item()

    with ThreadPoolExecutor(4) as pool:
        results = pool.map(call, [1.0, 2.0, 3.0, 4.0])
        time.sleep(0.2)
        started.set()
        assert list(results) == [2.0, 4.0, 6.0, 8.0]
    assert f.traces == 1


def test_same_results_as_eager(tensor, rng):
    x, y = tensor(rng.normal(size=(3, 4))), tensor(rng.normal(size=(4,)))
    f = lambda x, y: ((x * y).sin().sum(1), {"a": [x.max(), y @ y]})
    eager, jitted = f(x, y), pg.jit(f)(x, y)
    np.testing.assert_allclose(jitted[0].numpy(), eager[0].numpy(), rtol=1e-15)
    for a, b in zip(jitted[1]["a"], eager[1]["a"]):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-15)


def test_traced_once_per_kind_of_arguments(tensor):
    f, traces = counted(lambda x, scale=1.0: x * scale)
    g = pg.jit(f)
    g(tensor([1.0]))
    g(tensor([2.0]))
    assert len(traces) == 1
    g(tensor([1.0, 2.0]))
    g(tensor(np.array([1])))
    assert len(traces) == 3
    assert g(tensor([3.0]), scale=2.0).item() == 6
    assert g(tensor([3.0]), scale=5.0).item() == 15  # numbers are traced, not baked in
    assert len(traces) == 4 and g.cache_info()["programs"] == 4


def test_a_call_is_one_program(tensor, calls, device):
    model = nn.Sequential(nn.Linear(8, 16, device=device), nn.ReLU(), nn.Linear(16, 4, device=device))
    adam = optim.Adam(model.parameters(), lr=0.01)
    x, y = tensor(np.ones((5, 8), "f4")), tensor(np.arange(5) % 4)

    @pg.jit
    def step(x, y):
        loss = model(x).cross_entropy_loss_indices(y)
        adam.step(pg.grads(model.parameters(), loss))
        return loss

    first = step(x, y).item()
    calls.clear()
    loss = step(x, y)
    assert calls.count("pg_program_run") == 1 and "pg_execute" not in calls
    assert loss.item() < first
    assert adam.steps.item() == 2


def test_static_arguments(tensor):
    f, traces = counted(lambda x, n, mode="sum": x.sum() * n if mode == "sum" else x.max() * n)
    g = pg.jit(f, static_argnums=1, static_argnames="mode")
    x = tensor([1.0, 2.0])
    assert g(x, 2).item() == 6 and g(x, 3).item() == 9 and g(x, 3, mode="max").item() == 6
    assert g(x, 2).item() == 6 and len(traces) == 3
    assert g(x, 2.0).item() == 6 and len(traces) == 4  # 2 and 2.0 are different static values


def test_captured_tensors_are_read_at_each_call(tensor, device):
    layer = nn.Linear(3, 2, device=device)
    f = pg.jit(lambda x: layer(x))
    x = tensor(np.ones((1, 3), "f4"))
    before = f(x).numpy()
    layer.load_state_dict({"weight": np.zeros((2, 3)), "bias": np.array([1.0, 2.0])})
    np.testing.assert_array_equal(f(x).numpy(), [[1, 2]])
    assert not np.array_equal(before, [[1, 2]])
    layer.bias = tensor([5.0, 5.0])  # another handle: the trace holds the one it read
    assert f.cache_info()["programs"] == 1


def test_a_captured_tensor_of_another_shape_is_traced_anew(tensor):
    w = tensor([1.0, 2.0])
    f = pg.jit(lambda x: (x * w).sum())
    assert f(tensor(2.0)).item() == 6
    w._rebind(tensor([1.0, 2.0, 3.0])._node)
    assert f(tensor(2.0)).item() == 12


def test_a_pending_captured_tensor_is_computed(tensor):
    w = tensor([1.0, 2.0]) * 3.0
    assert pg.jit(lambda x: x * w)(tensor(1.0)).numpy().tolist() == [3, 6]


def test_tensors_changed_inside_are_changed_at_each_call(tensor):
    total = tensor([0.0, 0.0])

    @pg.jit
    def add(x):
        total[0] = total[0] + x
        return x * 2.0

    for i in range(3):
        add(tensor(float(i + 1)))
    np.testing.assert_array_equal(total.numpy(), [6, 0])


def test_a_tensor_changed_inside_keeps_its_type(tensor):
    x = tensor([1.0])

    def widen(y):
        x._rebind((x.astype(pg.dt.float64) + y)._node)
        return y

    with pytest.raises(pg.ArgumentError, match="another type"):
        pg.jit(widen)(tensor([1.0]))
    assert x.numpy().tolist() == [1]  # put back


def test_an_error_while_tracing_leaves_nothing_behind(tensor):
    x = tensor([1.0])

    @pg.jit
    def fail(y):
        x[0] = y
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail(tensor(3.0))
    assert x.numpy().tolist() == [1]
    assert (tensor([1.0]) + 1.0).item() == 2


def test_random_numbers_are_fresh_at_each_call(device):
    f = pg.jit(lambda: pg.rand((3,), device=device))
    first, second = f().numpy(), f().numpy()
    assert not np.array_equal(first, second)
    pg.manual_seed(0)
    np.testing.assert_array_equal(f().numpy(), first)
    np.testing.assert_array_equal(f().numpy(), second)


def test_train_and_eval_mode_are_traced_apart(tensor):
    layer = nn.Dropout(0.5)
    f = pg.jit(lambda x: layer(x))
    x = tensor(np.ones(1000))
    assert (f(x).numpy() == 0).any()
    layer.eval()
    assert (f(x).numpy() == 1).all()
    layer.train()
    assert (f(x).numpy() == 0).any()
    assert f.cache_info()["programs"] == 2


def test_a_changed_learning_rate_is_seen(tensor):
    w = tensor([1.0])
    sgd = optim.SGD([w], lr=1.0)
    step = pg.jit(lambda g: sgd.step([g]) or g)
    step(tensor([0.25]))
    sgd.lr = 2.0
    step(tensor([0.25]))
    assert w.item() == 1 - 0.25 - 0.5


@pytest.mark.parametrize("inside", ["cond", "scan", "vmap"])
def test_the_mode_that_a_body_reads_is_seen(inside, tensor):
    layer = nn.Dropout(0.999)
    body = {
        "cond": lambda x: pg.cond(x.sum() > 0, lambda: layer(x), lambda: x),
        "scan": lambda x: pg.scan(lambda c, _: (c, layer(x)), x, None, 1)[1][0],
        "vmap": lambda x: pg.vmap(layer)(x),
    }
    f, x = pg.jit(body[inside]), tensor(np.ones(100))
    assert (f(x).numpy() == 0).any()
    layer.eval()
    np.testing.assert_array_equal(f(x).numpy(), np.ones(100))


def test_gradients_inside(tensor):
    f = pg.jit(lambda x, y: pg.fngrad(lambda x, y: (x * x * y).sum(), wrt=[0, 1])(x, y))
    gx, gy = f(tensor([1.0, 2.0]), tensor([3.0, 4.0]))
    np.testing.assert_array_equal(gx.numpy(), [6, 16])
    np.testing.assert_array_equal(gy.numpy(), [1, 4])


def test_gradients_outside(tensor):
    f = pg.jit(lambda x: (x * x).sum())
    x = tensor([1.0, 2.0])
    np.testing.assert_array_equal(pg.fngrad(f)(x)[0].numpy(), [2, 4])
    np.testing.assert_array_equal(pg.grad(pg.jit(pg.grad(f, 0) and f))(x).numpy(), [2, 4])
    with pytest.raises(pg.GradientError, match=r"(?s)jit.*fngrad"):
        pg.grads([x], f(x) * 2.0)


def test_results_of_jit_are_leaves_that_can_be_differentiated(tensor):
    x, w = tensor([1.0, 2.0]), tensor([3.0, 4.0])
    scaled = pg.jit(lambda x: x * 2.0)(x)
    np.testing.assert_array_equal(pg.grads([w], (scaled * w).sum())[0].numpy(), [2, 4])
    np.testing.assert_array_equal(pg.grads([scaled], (scaled * w).sum())[0].numpy(), [3, 4])


def test_captured_parameters_under_grad(tensor, device):
    layer = nn.Linear(2, 1, device=device)
    x = tensor([[1.0, 2.0]])
    f = pg.jit(lambda x: layer(x).sum())
    np.testing.assert_array_equal(pg.fngrad(f)(x)[0].numpy(), layer.weight.numpy())
    layer.load_state_dict({"weight": np.array([[5.0, 6.0]]), "bias": np.zeros(1)})
    np.testing.assert_array_equal(pg.fngrad(f)(x)[0].numpy(), [[5, 6]])


def test_nested(tensor):
    inner = pg.jit(lambda x: x * 2.0)
    outer = pg.jit(lambda x: inner(x) + inner(x + 1.0))
    assert outer(tensor(3.0)).item() == 14
    assert pg.jit(lambda x: pg.vmap(inner)(x))(tensor([1.0, 2.0])).numpy().tolist() == [2, 4]
    assert pg.vmap(outer)(tensor([1.0, 2.0])).numpy().tolist() == [6, 10]


def test_results_keep_their_structure_at_every_call(tensor):
    structures = [
        lambda x: ((x, x + 1), x * 2),
        lambda x: [[x], x + 1],
        lambda x: (x, None),
        lambda x: ({"a": x}, x),
        lambda x: [x, x + 1],
    ]
    for structure in structures:
        f, x = pg.jit(structure), tensor([1.0])
        expected = flatten(structure(x))[1]
        for _ in range(9):  # calls are answered in several ways: see straight.py
            assert flatten(f(x))[1] == expected


def test_results_that_are_arguments_constants_or_repeated(tensor):
    x = tensor([1.0, 2.0])
    a, b, c, d = pg.jit(lambda x: (x, 3, x + 1.0, x))(x)
    assert a.numpy().tolist() == d.numpy().tolist() == [1, 2] and b.item() == 3 and c.numpy().tolist() == [2, 3]
    assert pg.jit(lambda: pg.zeros((2,)))().numpy().tolist() == [0, 0]
    assert pg.jit(lambda x: None)(x) is None


def test_arrays_and_numbers_as_arguments(tensor):
    f = pg.jit(lambda a, b: a * b)
    assert f(np.float32(2), 3).item() == 6
    assert f(np.array([1.0, 2.0], np.float32), True).numpy().tolist() == [1, 2]
    assert f(tensor([1.0]), 2).dtype == np.float32


def test_methods_and_options(tensor):
    class Model:
        @pg.jit.withargs(allocator="custom")
        def double(self, x):
            return x * 2.0

        def named_parameters(self):
            return []

    assert Model().double(tensor(2.0)).item() == 4
    with pytest.raises(pg.ArgumentError, match="allocator"):
        pg.jit(lambda x: x, allocator="mine")
    with pytest.raises(pg.ArgumentError, match=r"(?s)jit takes a function\..*@jit.withargs\(debug=True\)"):

        @pg.jit(debug=True)
        def f(x):
            return x

    with pytest.raises(pg.ArgumentError, match=r"(?s)no argument 'm' to be static.*it has \['x', 'n'\]"):
        pg.jit(lambda x, n: x, static_argnames="m")
    with pytest.raises(pg.ArgumentError, match=r"(?s)no argument 3 to be donated.*it has \['x'\]"):
        pg.jit(lambda x: x, donate_argnums=(0, 3))
    assert repr(pg.jit(Model.double.function)) == "<jit of double>"


def test_print_trace(tensor, capsys):
    w = tensor([1.0, 2.0])

    @pg.jit
    def f(x):
        return (x * w).sum()

    f.print_trace(tensor([1.0, 2.0]))
    assert capsys.readouterr().out == (
        "f(a: float32[2]) captures (b: float32[2]):\n"
        "    c: float32[2] = mul(a, b)\n"
        "    d: float32[] = reduce_sum(c, axes=(0,))\n"
        "    return d\n"
    )


def test_graphs_compare_by_structure(tensor):
    def graph(f):
        g = pg.jit(f)
        g(tensor([1.0, 2.0]))
        return next(iter(g.compiled.values()))[0].graph.structure()

    assert graph(lambda x: x * 2.0 + 1.0) == graph(lambda y: y * 2.0 + 1.0)
    assert graph(lambda x: x * 2.0 + 1.0) != graph(lambda x: x * 2.0 + 3.0)
    assert graph(lambda x: x * 2.0) != graph(lambda x: x + 2.0)


def test_memory_of_a_loop_of_steps_is_bounded(tensor, device):
    f = pg.jit(lambda x: x * 1.5 + 1.0)
    x = tensor(np.zeros(1 << 16, "f4"))
    for i in range(50):
        x = f(x)
        if i == 10:
            before = pg.memory_stats(device)["in_use"]
    assert pg.memory_stats(device)["in_use"] <= before


def test_compiled_functions_keep_no_old_values_alive(tensor, device):
    import gc

    w = tensor(np.zeros(1 << 18, "f4"))
    sgd = optim.SGD([w], lr=0.1)
    step = pg.jit(lambda g: sgd.step([g]))
    g = tensor(np.ones(1 << 18, "f4"))
    gc.collect()
    before = pg.memory_stats(device)["in_use"]
    for _ in range(3):
        step(g)
    gc.collect()
    assert pg.memory_stats(device)["in_use"] - before < 1 << 16


# ---- what a trace depends on ---------------------------------------------------------------------------


def test_handles_of_one_value_are_told_apart_when_they_part(tensor):
    a = tensor([1.0])
    b = a[:]  # another handle, the same node
    f = pg.jit(lambda x: x * a + b)
    assert f(tensor(2.0)).item() == 3
    a[0] = 10
    assert f(tensor(2.0)).item() == 21


def test_a_copy_of_a_module_goes_its_own_way(tensor, device):
    import copy

    model = nn.Linear(2, 1, device=device)
    target = copy.deepcopy(model)
    x = tensor([[1.0, 2.0]])
    f = pg.jit(lambda x: model(x) - target(x))
    assert f(x).item() == 0
    optim.SGD(model.parameters(), lr=1.0).step(pg.grads(model.parameters(), model(x).sum()))
    assert f(x).item() == pytest.approx(-6)


@pytest.mark.parametrize("read", [lambda w: w.detach(), lambda w: pg.Tensor(w), lambda w: w[:], lambda w: w.eval()])
def test_captured_values_are_never_baked_in(read, tensor):
    w = tensor([1.0])
    f = pg.jit(lambda x: x * read(w))
    assert f(tensor(2.0)).item() == 2
    w[0] = 5
    assert f(tensor(2.0)).item() == 10


def test_history_behind_an_argument_of_jit_is_remembered(tensor):
    x = tensor([1.0, 2.0])
    f = pg.jit(lambda x: x * 2.0)
    for loss in (f(x * 2.0).sum(), f(f(x)).sum()):
        with pytest.raises(pg.GradientError, match="jit"):
            pg.grads([x], loss)


def test_python_floats_beside_float64_keep_their_digits(tensor):
    x = tensor(np.array([1.0]))
    assert pg.jit(lambda x, s: x * s)(x, 0.1).item() == 0.1
    assert pg.jit(lambda a, n: a + n)(tensor(np.int64([1])), 2**40).item() == 2**40 + 1


def test_changes_of_modules_are_seen(tensor, device):
    model = nn.Linear(2, 1, bias=False, device=device)
    stack = nn.Sequential(model, nn.Dropout(0.0))
    f = pg.jit(lambda x: stack(x))
    x = tensor([[1.0, 1.0]])
    before = f(x).item()
    model.bias = tensor([100.0])
    assert f(x).item() == pytest.approx(before + 100)
    stack[0] = nn.Linear(2, 1, device=device).load_state_dict({"weight": np.ones((1, 2)), "bias": np.zeros(1)})
    assert f(x).item() == 2
    stack.append(nn.ReLU())
    stack.layers[0].weight[:] = -1
    assert f(x).item() == 0
    stack.layers[1].p = 0.999
    f(pg.ones((1, 2), device=device))
    del model.bias
    assert f.cache_info()["programs"] == 5


def test_static_values_are_told_apart(tensor):
    f = pg.jit(lambda x, n: x / n if isinstance(n, float) else x * n[0], static_argnums=1)
    x = tensor(np.array([1], np.int32))
    assert f(x, (2,)).dtype == np.int32 and f(x, (2.0,)).dtype == np.float32
    y = tensor([1.0])
    assert f(y, 0.0).item() == np.inf and f(y, -0.0).item() == -np.inf
    g = pg.jit(lambda x, n: x[:n], static_argnums=1)
    assert g(tensor([1.0, 2.0]), n=1).shape == g(tensor([1.0, 2.0]), 1).shape == (1,)
    h = pg.jit(lambda x, *rest, n=1: x.sum() * n + sum(rest), static_argnames="n")
    assert h(y, y, y, n=2).item() == 4 and h(y, y * 2, y, n=2).item() == 5 and h.cache_info()["programs"] == 1
    k = pg.jit(lambda x, n: x[:n], static_argnums=-1)
    assert k(tensor([1.0, 2.0]), 1).shape == (1,)
    for bad in ({"static_argnums": 5}, {"static_argnames": "nothing"}):
        with pytest.raises(pg.ArgumentError, match="no argument"):
            pg.jit(lambda x: x, **bad)


def test_a_schedule_does_not_trace_anew(tensor):
    w = tensor([1.0])
    sgd = optim.SGD([w], lr=1.0)
    step = pg.jit(lambda g: sgd.step([g]))
    for i in range(20):
        sgd.lr = 1.0 / (i + 1)
        step(tensor([0.0]))
    assert step.cache_info()["programs"] == 1


def test_a_trace_leaves_handles_as_they_were(tensor):
    w = tensor([1.0])
    loss = (w * w).sum()

    @pg.jit
    def change(x):
        w[0] = x
        return x

    change._compile(*change._key((tensor(1.0),), {}))
    np.testing.assert_array_equal(pg.grads([w], loss)[0].numpy(), [2])


def test_arrays_as_arguments_inside_another_transform():
    f = pg.jit(lambda x, y: (x * y.relu()).sum())
    (g,) = pg.fngrad(f)(pg.Tensor([1.0, 2.0]), np.array([3.0, -1.0], np.float32))
    assert g.numpy().tolist() == [3, 0]


def test_more_shapes_than_the_table_of_avals_holds(tensor, monkeypatch):
    from pequegrad.core import node

    w = tensor([1.0, 2.0])
    sgd = optim.SGD([w], lr=0.5, momentum=0.5)
    step = pg.jit(lambda g: sgd.step([g]))
    step(tensor([1.0, 1.0]))
    node._avals.clear()
    step(tensor([1.0, 1.0]))
    node._avals.clear()
    step(tensor([1.0, 1.0]))
    np.testing.assert_allclose(w.numpy(), [1 - 0.5 * (1 + 1.5 + 1.75), 2 - 0.5 * (1 + 1.5 + 1.75)])


def test_a_training_step_is_traced_once(tensor, device):
    """Handles that rules make and drop while tracing do not count as other names of a parameter."""
    model = pg.nn.Sequential(pg.nn.Linear(4, 3), pg.nn.ReLU(), pg.nn.Linear(3, 2)).to(device)
    optim = pg.optim.Adam(model.parameters())

    @pg.jit
    def step(x, y):
        loss = model.forward(x).cross_entropy_loss_indices(y)
        optim.step(pg.grads(model.parameters(), loss))
        return loss

    x, y = tensor(np.ones((5, 4), np.float32)), tensor(np.zeros(5, np.int32))
    losses = [step(x, y).item() for _ in range(4)]
    assert step.traces == 1
    assert losses == sorted(losses, reverse=True)


def test_modules_say_which_arguments_are_static(tensor):
    class Cut(nn.StatefulModule):
        def forward(self, x, *, n=2):
            return x[:n]

        def static_arguments(self, args, kwargs):
            return {key: n for key, n in kwargs.items() if isinstance(n, int)}

    f, x = pg.jit(Cut()), pg.arange(5)
    assert [f(x, n=n).shape for n in (3, 4, 3)] == [(3,), (4,), (3,)] and f.traces == 2
    assert f(x).shape == (2,)


def test_arrays_of_objects_and_dates_are_no_arguments(tensor):
    for x in (np.array(["a"], object), np.array(["a"]), np.datetime64("2020-01-01")):
        with pytest.raises(pg.ArgumentError, match="cannot be traced"):
            pg.jit(lambda x: x)(x)
