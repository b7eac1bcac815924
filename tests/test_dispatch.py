"""The quick ways of calling a jitted function take the same decisions as the general one."""

import gc

import numpy as np
import pytest

import pequegrad as pg


def test_calls_of_different_kinds_take_turns(tensor):
    f = pg.jit(lambda x, y: x - y)
    for _ in range(3):
        assert f(tensor([3.0]), tensor([1.0])).numpy().tolist() == [2]
        assert f(tensor([3, 4], pg.dt.int32), tensor([1, 1], pg.dt.int32)).numpy().tolist() == [2, 3]
        assert f(tensor([3.0]), 1.0).numpy().tolist() == [2]
        assert f(tensor([3.0]), y=tensor([1.0])).numpy().tolist() == [2]
        assert f(np.float32(3), np.array([1, 2], np.float32)).numpy().tolist() == [2, 1]
    assert f.traces == 5


@pytest.mark.parametrize("n_args", [1, 2, 7, 8, 9])
@pytest.mark.parametrize("results", [lambda xs: sum(xs), lambda xs: (sum(xs),), list, lambda xs: tuple(xs) * 2])
def test_numbers_of_arguments_and_results(n_args, results, tensor):
    f = pg.jit(lambda *xs: results([x * 2 for x in xs]))
    xs = [tensor([float(i)]) for i in range(n_args)]
    expected = results([2 * i for i in range(n_args)])
    for _ in range(3):
        found = f(*xs)
        assert type(found) is (type(expected) if isinstance(expected, (list, tuple)) else pg.Tensor)
        for a, b in zip(found if isinstance(expected, (list, tuple)) else [found], np.ravel(expected)):
            assert a.numpy().tolist() == [b]
    assert f.traces == 1
    assert f(*xs, tensor([1.0])) is not None and f.traces == 2


def test_a_quick_call_keeps_its_program_alive(tensor):
    """Two threads that compile for the same arguments make two programs, and the entry keeps one of them."""
    f = pg.jit(lambda x: x * 2 + 1)
    for _ in range(4):
        f(tensor([1.0]))
    ((entry,),) = f.compiled.values()
    entry.program = None
    entry.closed.derived.clear()
    gc.collect()
    for _ in range(10):
        assert f(tensor([1.0])).item() == 3


def test_containers_are_told_apart(tensor):
    def shown(tree):
        kind = type(tree)
        if kind is dict:
            return {k: shown(v) for k, v in tree.items()}
        return kind(map(shown, tree)) if kind in (list, tuple) else tree.item()

    f = pg.jit(lambda tree, y: (tree, y + 1))
    a, b = tensor(1.0), tensor(2.0)
    for tree in ([a, b], (a, b), {"a": a, "b": b}, {"b": b, "a": a}, {"a": b, "b": a}, {"a": [a], "c": (b, {"d": a})}):
        for _ in range(3):
            assert shown(f(tree, a)[0]) == shown(tree)
    assert f.traces == 4


def test_dicts_in_another_order_are_the_same_kind(tensor):
    f = pg.jit(lambda p, y: p["x"] - p["b"] * p["c"] + y)
    x, b, c, y = tensor(10.0), tensor(2.0), tensor(3.0), tensor(100.0)
    for _ in range(3):
        assert f({"x": x, "b": b, "c": c}, y).item() == 104
        assert f({"c": c, "b": b, "x": x}, y).item() == 104
        assert f({"b": b, "c": c, "x": x}, y).item() == 104
    assert f.traces == 1


def test_what_a_function_reads_is_checked_at_quick_calls_too(tensor):
    w, scale = tensor([2.0]), pg.nn.Dropout(0.5).eval()
    f = pg.jit(lambda x: x * w if scale.training else x + w)
    x = tensor([1.0])
    assert f(x).item() == f(x).item() == 3
    w[0] = 5
    assert f(x).item() == 6
    scale.train()
    assert f(x).item() == f(x).item() == 5


def test_pending_arguments_are_computed(tensor):
    f = pg.jit(lambda x, y: x + y)
    x = tensor([1.0])
    for _ in range(3):
        y = x * 2
        assert f(y, x * 3).item() == 5 and y.evaled


def test_inside_transforms_and_callbacks(tensor):
    f = pg.jit(lambda x: x * x)
    x = tensor([3.0])
    f(x), f(x)
    assert pg.fngrad(lambda x: f(x).sum())(x)[0].item() == 6
    assert pg.vmap(f)(tensor([1.0, 2.0])).numpy().tolist() == [1, 4]
    seen = []
    g = pg.jit(lambda y: pg.pure_callback(lambda v: seen.append(f(x).item()) or v, y, y))
    assert g(x).item() == 3 and seen == [9]
    with pg.no_grad():
        y = f(x)
    with pytest.raises(pg.GradientError):
        pg.grads([x], y)


def test_a_step_keeps_no_past_values(tensor, device):
    f = pg.jit(lambda x, w: x * w)
    w, x = tensor(np.ones(1 << 14, "f4")), tensor(np.ones(1 << 14, "f4"))
    for i in range(40):
        x = f(x, w)
        if i == 3:
            gc.collect()
            before = pg.memory_stats(device)["in_use"], len(x._node.cut.sources)
    assert (pg.memory_stats(device)["in_use"], len(x._node.cut.sources)) <= before
    with pytest.raises(pg.GradientError, match="jit"):
        pg.grads([w], x.sum())


def test_many_small_results_can_be_donated(tensor):
    names = [f"p{i}" for i in range(20)]
    f = pg.jit(lambda p: {k: v + 1 for k, v in p.items()}, donate_argnums=0)
    p = {k: tensor([float(i)]) for i, k in enumerate(names)}
    for _ in range(3):
        old, p = p, f(p)
        with pytest.raises(pg.DeviceError, match="donated"):
            old["p7"].numpy()
    assert [p[k].item() for k in names] == [i + 3 for i in range(20)]


def test_one_of_many_results_keeps_no_large_ones_alive(tensor, device):
    f = pg.jit(lambda x: tuple((x + i).reshape((-1,))[i] if i else x * 2 for i in range(10)))
    results = f(tensor(np.ones(1 << 18, "f4")))
    gc.collect()
    before = pg.memory_stats(device)["in_use"]
    kept = results[1]
    del results
    gc.collect()
    assert before - pg.memory_stats(device)["in_use"] >= 1 << 20
    assert kept.item() == 2
