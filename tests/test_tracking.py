"""What is tracked stays tracked: hand-written updates, modules made, loaded or changed under no_grad()."""

import copy

import numpy as np
import pytest

import pequegrad as pg
from pequegrad import nn


def gradient(w):
    (g,) = pg.grads([w], (w * w).sum())
    return g.numpy()


@pytest.mark.parametrize(
    "make",
    [
        lambda d: pg.ones((3,), device=d),
        lambda d: pg.rand((3,), device=d),
        lambda d: pg.arange(3.0, device=d),
        lambda d: pg.Tensor(np.ones(3), device=d),
    ],
)
def test_made_tensors_are_tracked(make, device):
    w = make(device)
    np.testing.assert_allclose(gradient(w), 2 * w.numpy())


def updates():
    def minus(w, g):
        w -= 0.1 * g
        return w

    def times(w, g):
        w *= 0.8
        return w

    def item(w, g):
        w[:] = w - 0.1 * g
        return w

    return [minus, times, item]


@pytest.mark.parametrize("update", updates())
def test_updates_under_no_grad_keep_the_handle_and_the_tracking(update, tensor):
    w = alias = tensor(np.ones(3))
    expected = np.ones(3)
    for _ in range(3):
        (g,) = pg.grads([w], (w * w).sum())
        np.testing.assert_allclose(g.numpy(), 2 * expected)
        with pg.no_grad():
            w = update(w, g)
        expected = expected * 0.8
        assert w is alias
    np.testing.assert_allclose(w.numpy(), expected)


def test_in_place_operators_outside_no_grad_make_new_tensors(tensor):
    x = y = tensor([1.0])
    y += 1.0
    assert x.item() == 1 and y.item() == 2
    np.testing.assert_array_equal(pg.grads([x], (y * y).sum())[0].numpy(), [4])


def test_an_update_keeps_the_dtype(tensor):
    w = tensor(np.ones(2, np.float32))
    with pg.no_grad():
        w -= np.ones(2, np.float64)
    assert w.dtype == np.float32 and w.numpy().tolist() == [0, 0]


def test_untracked_tensors_are_refused_by_grads(tensor):
    x = tensor([1.0, 2.0])
    with pg.no_grad():
        y = x * 2.0
    for untracked in (y, x.detach()):
        with pytest.raises(pg.GradientError, match="not tracked"):
            pg.grads([untracked], (untracked * x).sum())
    again = pg.Tensor(y)
    np.testing.assert_array_equal(pg.grads([again], (again * x).sum())[0].numpy(), [1, 2])


def test_modules_under_no_grad(tmp_path, device):
    with pg.no_grad():
        model = nn.Linear(2, 1, device=device)
        model.save(tmp_path / "m")
        model.load(tmp_path / "m")
        model.weight[:] = model.weight * 2.0
        other = copy.deepcopy(model).to("float64")
    for m in (model, other):
        for p in m.parameters():
            np.testing.assert_allclose(gradient(p), 2 * p.numpy())


def test_replaced_attributes_are_seen_by_jit(tensor, device):
    model = nn.Sequential(nn.Linear(2, 1, device=device))
    f = pg.jit(lambda x: model(x))
    x = tensor([[1.0, 2.0]])
    f(x)
    model.layers[0].weight = tensor([[5.0], [6.0]])
    model.layers[0].bias = tensor([1.0])
    assert f(x).item() == 18
    model.layers[0].weight[:] = 0
    assert f(x).item() == 1
    assert f.cache_info()["programs"] == 2


def test_attributes_assigned_inside_jit_change_at_each_call(tensor, device):
    model = nn.Linear(2, 1, device=device)
    model.load_state_dict({"weight": np.ones((2, 1)), "bias": np.zeros(1)})

    @pg.jit
    def double():
        model.weight = model.weight * 2.0

    double(), double()
    np.testing.assert_array_equal(model.weight.numpy(), [[4], [4]])
    np.testing.assert_array_equal(gradient(model.weight), [[8], [8]])


def test_labels_out_of_range_make_the_loss_nan(tensor):
    logits = tensor(np.zeros((2, 3), "f4"))
    for bad in ([0, 3], [-1, 0], [0, 255]):
        assert np.isnan(logits.cross_entropy_loss_indices(tensor(np.array(bad))).item())


def test_masks_must_fit(tensor):
    for bad in ([True, False], [True, False, True, True]):
        with pytest.raises(pg.IndexingError, match="mask"):
            tensor([1.0, 2.0, 3.0])[np.array(bad)]


def test_names_of_other_frameworks_get_a_hint(tensor):
    with pytest.raises(AttributeError, match=r"grads\(\[x\], loss\)"):
        tensor([1.0]).backward()
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        assert tensor([1.0]).nonsense
    assert tensor(np.array([1])).one_hot(3).numpy().tolist() == [[0, 1, 0]]
    assert pg.Tensor.one_hot(2, tensor(np.array([1]))).numpy().tolist() == [[0, 1]]


def test_numbers_and_arrays_as_arguments_of_derivatives(device):
    assert pg.grad(lambda x: x * x)(3.0).item() == 6
    (g,) = pg.fngrad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
    assert g.numpy().tolist() == [2, 4]
    with pytest.raises(pg.ArgumentError, match="tuple"):
        pg.jvp(lambda x: x, pg.ones((2,)), pg.ones((2,)))


def test_random_numbers_from_several_threads_are_distinct(device):
    from concurrent.futures import ThreadPoolExecutor

    def draw(i):
        if i % 10:
            return pg.rand((4,), device=device).numpy().tobytes()
        return pg.jit(lambda: pg.rand((4,), device=device) * float(i % 2 + 1))().numpy().tobytes()  # traces meanwhile

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(draw, range(400)))
    assert len(set(found)) == 400
