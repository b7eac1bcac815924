"""Tensor: construction, what is known without computing, reading, laziness, handles."""

import copy
import gc
import pickle
import re

import numpy as np
import pytest

import pequegrad as pg
from pequegrad.core.dtype import NAMES


def test_lists_become_float32_and_arrays_keep_their_dtype(tensor):
    assert tensor([1, 2]).dtype == np.float32
    assert tensor([[True, False]]).dtype == np.bool_
    assert tensor(3).shape == ()
    assert tensor(np.array([1, 2])).dtype == np.int64
    assert tensor(np.float64(1.5)).dtype == np.float64


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
def test_every_dtype_survives_the_round_trip(device, name, shape, rng):
    data = rng.integers(0, 2 if name == "bool" else 100, shape).astype(
        getattr(pg.dt, name if name != "bool" else "bool_")
    )
    t = pg.Tensor(data, device=device)
    assert t.dtype == data.dtype and t.shape == shape and t.device is device
    np.testing.assert_array_equal(t.numpy(), data)


def test_data_is_copied_in_and_out(tensor):
    data = np.zeros(3, np.float32)
    t = tensor(data)
    data[0] = 1
    out = t.numpy()
    out[1] = 1
    np.testing.assert_array_equal(t.numpy(), [0, 0, 0])


def test_repr_says_what_is_known(tensor, device):
    t = tensor([1, 2, 3, 4, 5]) + tensor([5, 4, 3, 2, 1])
    pattern = rf"Tensor\(shape=\[5\], dtype=float32, device={device}, evaled=0, primitive=Add, id=\d+\)"
    assert re.fullmatch(pattern, repr(t))
    assert not t.evaled
    t.eval()
    assert "evaled=1" in repr(t) and "value=[6., 6., 6., 6., 6.]" in repr(t)


def test_nothing_is_computed_before_it_is_read(tensor, calls):
    t1, t2 = tensor([1, 2, 3]), tensor([3, 2, 1])
    calls.clear()
    total = ((t1 + t2) * 2).sum()
    g = pg.grads([t1, t2], total)
    assert "pg_execute" not in calls
    g[0].numpy()
    assert calls.count("pg_execute") == 1


def test_a_graph_of_100_nodes_is_one_program_call(tensor, calls):
    x = y = tensor([1.0] * 10)
    for _ in range(50):
        y = (y + x) * 0.5
    calls.clear()
    y.numpy()
    assert calls.count("pg_execute") == 1
    assert calls.count("pg_program_run") == 0


def instructions(calls_of, monkeypatch):
    """Counts the instructions of all programs run in a function."""
    from pequegrad.core import evaluate

    counted = []
    real = evaluate.assemble
    monkeypatch.setattr(evaluate, "assemble", lambda order: counted.extend(order) or real(order))
    calls_of()
    return counted


def test_reading_50_gradients_computes_each_node_once(tensor, monkeypatch):
    weights = [tensor(np.full(4, 0.1 * i)) for i in range(50)]
    h = tensor(np.ones(4))
    for w in weights:
        h = (h * w + 1.0).tanh()
    gradients = pg.grads(weights, (h * h).sum())
    nodes = instructions(lambda: [g.numpy() for g in gradients], monkeypatch)
    assert len(nodes) == len(set(nodes))


def test_grads_after_reading_the_loss_computes_each_node_once(tensor, monkeypatch):
    w = tensor([0.5, 0.2])

    def step():
        loss = ((w * 3.0).tanh() * w).sum()
        loss.numpy()
        (g,) = pg.grads([w], loss)
        g.numpy()

    nodes = instructions(step, monkeypatch)
    assert len(nodes) == len(set(nodes))


def test_values_that_nothing_refers_to_are_freed(tensor, device):
    with pg.no_grad():
        x = tensor(np.zeros(1 << 20, np.float32)).eval()
        gc.collect()  # what other tests left behind
        before = pg.memory_stats(device)["in_use"]
        y = x
        for _ in range(20):
            y = y + 1.0
        y.eval()
        assert pg.memory_stats(device)["in_use"] - before < (4 << 20) + 1024  # one array, and the number 1.0


def test_a_value_somebody_else_needs_is_kept(tensor, monkeypatch):
    x = tensor([1.0, 2.0])
    with pg.no_grad():
        shared = x.exp()
        a, b = shared + 1.0, shared * 2.0
        nodes = instructions(lambda: (a.numpy(), b.numpy()), monkeypatch)
    assert len(nodes) == 3


def test_reading(tensor):
    t = tensor([[1.5]])
    assert float(t) == 1.5 and int(t) == 1 and bool(t) and t.item() == 1.5 and t.tolist() == [[1.5]]
    assert np.asarray(t).shape == (1, 1) and np.asarray(t, dtype=np.float64).dtype == np.float64
    assert f"{t:.2f}" == "1.50" and [int(i) for i in tensor([1, 2])] == [1, 2]
    assert [10, 20, 30][tensor(np.int32(1))] == 20
    assert len(tensor([[1, 2]])) == 1


@pytest.mark.parametrize("read", [bool, float, int, lambda t: t.item()])
def test_reading_one_number_of_many_is_an_error(tensor, read):
    with pytest.raises(pg.ShapeError, match="fix"):
        read(tensor([1, 2]))


def test_ndarray_and_tensor_make_a_tensor(tensor):
    x, a = tensor([1.0, 2.0]), np.array([3, 4], np.float32)
    for y in (x + a, a + x, a * x, x - a, a - x, x / a, a / x):
        assert isinstance(y, pg.Tensor)
    np.testing.assert_array_equal((a - x).numpy(), [2, 2])
    assert isinstance(np.float32(2) * x, pg.Tensor)
    assert ((a > x).numpy() == [True, True]).all()


def test_unknown_operands_are_refused(tensor):
    with pytest.raises(TypeError):
        tensor([1.0]) + "a"
    with pytest.raises(TypeError):
        None * tensor([1.0])


def test_eval_drops_history_and_detach_does_too(tensor):
    x = tensor([1.0, 2.0])
    y = x * 2.0
    y.eval()
    with pytest.raises(pg.GradientError, match=r"(?s)dropped by eval\(\).*numpy\(\)"):
        pg.grads([x], y.sum())
    (g,) = pg.grads([x], ((x * 2.0).detach() * x).sum())  # detached on purpose: constant, no error
    np.testing.assert_array_equal(g.numpy(), [2, 4])
    z = x * 3.0
    z.numpy()
    np.testing.assert_array_equal(pg.grads([x], z.sum())[0].numpy(), [3, 3])


def test_eval_of_unrelated_data_does_not_matter(tensor):
    w, raw = tensor([1.0, 1.0]), tensor([2.0, 4.0])
    data = (raw / 2.0).eval()
    np.testing.assert_array_equal(pg.grads([w], (w * data).sum())[0].numpy(), [1, 2])
    np.testing.assert_array_equal(pg.grads([data], (w * data).sum())[0].numpy(), [1, 1])


def test_setitem_does_not_change_graphs_built_before(tensor):
    x = tensor([1.0, 2.0, 3.0])
    before = x * 10.0
    x[1] = 5
    x[0:1] = np.array([7.0])
    np.testing.assert_array_equal(before.numpy(), [10, 20, 30])
    np.testing.assert_array_equal(x.numpy(), [7, 5, 3])


def test_setitem_is_differentiable(tensor):
    x, v = tensor([1.0, 2.0, 3.0]), tensor([10.0])
    y = x * 1.0
    y[1:2] = v
    gx, gv = pg.grads([x, v], (y * y).sum())
    np.testing.assert_array_equal(gx.numpy(), [2, 0, 6])
    np.testing.assert_array_equal(gv.numpy(), [20])


def test_gradients_of_a_rebound_handle_are_refused(tensor):
    x = tensor([1.0, 2.0])
    loss = (x * x).sum()
    x[0] = 3
    with pytest.raises(pg.GradientError, match="given a new value"):
        pg.grads([x], loss)
    np.testing.assert_array_equal(pg.grads([x], (x * x).sum())[0].numpy(), [6, 4])


def test_copies_and_pickles(tensor):
    x = tensor([1.0, 2.0])
    for y in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        np.testing.assert_array_equal(y.numpy(), x.numpy())
    y = copy.deepcopy(x)
    y[0] = 5
    np.testing.assert_array_equal(x.numpy(), [1, 2])


def test_no_grad_is_a_decorator_too(tensor):
    x = tensor([1.0])

    @pg.no_grad()
    def f():
        return x * 2.0

    with pytest.raises(pg.GradientError, match="no history"):
        pg.grads([x], f())


def test_a_million_untracked_steps_do_not_grow_memory(tensor, device):
    import resource

    x = tensor(np.zeros(4))
    n = 1_000_000
    with pg.no_grad():
        for i in range(n):
            x = x + 1
            if i == n // 4:
                before = pg.memory_stats(device)["in_use"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert x.numpy()[0] == n
    after = pg.memory_stats(device)["in_use"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after[0] - before[0] < 1 << 16
    assert after[1] - before[1] < 4 << 10  # kilobytes


def test_a_tracked_chain_of_100000_nodes_evaluates_and_differentiates(tensor):
    x = tensor([1.0])
    y = x
    for _ in range(100_000):
        y = y * 1.0
    (g,) = pg.grads([x], y.sum())
    assert g.numpy()[0] == 1 and y.numpy()[0] == 1


def test_one_op_grad_after_many_pending_steps_visits_one_node(tensor, monkeypatch):
    from pequegrad.transforms import derivative

    x = tensor([2.0])
    for _ in range(900):
        x = x * 1.0
    y = x * x
    visited = []
    real = derivative._transposed
    monkeypatch.setattr(derivative, "_transposed", lambda node, *rest: visited.append(node) or real(node, *rest))
    (g,) = pg.grads([x], y)
    assert len(visited) == 1
    assert g.numpy() == [4]


def test_threads_may_share_a_graph(tensor):
    from concurrent.futures import ThreadPoolExecutor

    x = tensor(np.arange(100.0))
    shared = (x * 2.0).sin()

    def work(i):
        return (shared + float(i)).sum().item()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(40)))
    base = np.sin(np.arange(100.0) * 2).sum()
    np.testing.assert_allclose(found, [base + 100 * i for i in range(40)])
