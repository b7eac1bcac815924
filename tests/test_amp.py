"""Mixed precision: which operations are low, values and derivatives beside float32's, loss scaling."""

import numpy as np
import pytest
import torch

import pequegrad as pg
from pequegrad import nn, optim

LOW = {"bfloat16": 2.0**-7, "float16": 2.0**-10}


def dtypes_of(function, *args):
    """{(operation, dtype of its result)} of the traced function."""
    found = pg.jit(function).lower(*args)
    graph = found._entry.graph if hasattr(found, "_entry") else found.entry.graph
    return {(node.spec.primitive.name, node.aval.dtype.name) for node in graph.nodes if type(node.aval) is not tuple}


def network():
    pg.manual_seed(1)
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), lambda x: x.gelu(), nn.Linear(32, 4))


X = np.random.default_rng(0).normal(size=(16, 8)).astype("f4")
Y = np.random.default_rng(1).integers(0, 4, 16)


@pytest.mark.parametrize("low", LOW)
def test_values_and_gradients_are_close_to_float32_s(low):
    model = network()
    loss = lambda params, x: nn.apply_to_module(model, params, x).cross_entropy_loss_indices(pg.Tensor(Y))
    plain, mixed = pg.value_and_grad(loss), pg.value_and_grad(pg.amp(loss, dtype=low))
    for wrap in (lambda f: f, pg.jit):
        value, g = wrap(plain)(model.tree_flatten(), pg.Tensor(X))
        found, low_g = wrap(mixed)(model.tree_flatten(), pg.Tensor(X))
        assert found.dtype == np.float32 and found.item() == pytest.approx(value.item(), rel=4 * LOW[low])
        assert found.item() != value.item()
        for name in g:
            assert low_g[name].dtype == np.float32
            scale = np.abs(g[name].numpy()).max()
            np.testing.assert_allclose(low_g[name].numpy(), g[name].numpy(), atol=8 * LOW[low] * scale)


def test_values_are_near_those_of_torch_s_autocast():
    model = network()
    twin = torch.nn.Sequential(
        torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 32), torch.nn.GELU(), torch.nn.Linear(32, 4)
    )
    weights = [torch.tensor(p.numpy()) for p in model.parameters()]
    with torch.no_grad():
        for theirs, ours in zip(twin.parameters(), weights):
            theirs.copy_(
                ours
                if theirs.shape == ours.shape and ours.ndim < 2 or model.layers[0].weight.shape == (32, 8)
                else ours.T
            )
    with torch.autocast("cpu", torch.bfloat16):
        expected = torch.nn.functional.cross_entropy(twin(torch.tensor(X)), torch.tensor(Y)).item()
    found = pg.amp(lambda x: model(x).cross_entropy_loss_indices(pg.Tensor(Y)))(pg.Tensor(X)).item()
    assert found == pytest.approx(expected, rel=2e-2)


def test_what_is_low_and_what_is_not():
    def block(x, w, b):
        h = x @ w + b
        h = pg.layer_norm(h + x)
        return pg.softmax(h.relu() @ w, axis=-1)

    x, w, b = pg.Tensor(X[:8]), pg.ones((8, 8)), pg.ones(8)
    found = dtypes_of(pg.amp(block), x, w, b)
    assert ("dot_general", "bfloat16") in found and ("dot_general", "float32") not in found
    assert ("exp", "float32") in found and ("exp", "bfloat16") not in found
    assert not any(name == "reduce_sum" and dtype == "bfloat16" for name, dtype in found)
    assert pg.amp(block)(x, w, b).dtype == np.float32
    wide = dtypes_of(
        pg.amp(lambda x, w: (x @ w).exp()), pg.Tensor(X[:8].astype("f8")), pg.ones((8, 8)).astype("float64")
    )
    assert not any(dtype == "bfloat16" for _, dtype in wide)


def test_a_residual_stays_wide_and_a_bias_does_not_widen():
    x, w = pg.ones((4, 4)), pg.ones((4, 4))
    assert ("add", "float32") in dtypes_of(pg.amp(lambda x, w: x + x @ w), x, w)
    assert ("add", "bfloat16") in dtypes_of(pg.amp(lambda x, w, b: x @ w + b), x, w, pg.ones(4))


@pytest.mark.parametrize(
    "program", ["scan", "while", "cond", "checkpoint", "jit", "custom", "grad inside", "vmap", "conv"]
)
def test_programs(program):
    w = pg.Tensor(np.random.default_rng(2).normal(size=(4, 4)).astype("f4") / 2)

    @pg.custom_jvp
    def own(x):
        return x @ w

    @own.defjvp
    def rule(primals, tangents):
        return own(*primals), tangents[0] @ w

    functions = {
        "scan": lambda x: pg.scan(lambda c, _: (pg.tanh(c @ w), c.sum()), x, None, length=3)[0],
        "while": lambda x: pg.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, pg.tanh(s[1] @ w)), (0, x))[1],
        "cond": lambda x: pg.cond(x.sum() < 1e9, lambda x: x @ w, lambda x: x - 1, x),
        "checkpoint": lambda x: pg.checkpoint(lambda x: pg.tanh(x @ w) @ w)(x),
        "jit": lambda x: pg.jit(lambda x: x @ w)(x) * 2,
        "custom": lambda x: own(x) + x,
        "grad inside": lambda x: pg.grad(lambda x: (pg.tanh(x @ w)).sum())(x),
        "vmap": lambda x: pg.vmap(lambda row: pg.tanh(row @ w))(x),
        "conv": lambda x: pg.conv2d(x.reshape(1, 1, 4, 4), w.reshape(1, 1, 4, 4), padding=1),
    }
    f = functions[program]
    x = pg.Tensor(np.random.default_rng(3).normal(size=(4, 4)).astype("f4"))
    expected, mixed = f(x).numpy(), pg.amp(f)
    for found in (mixed(x), pg.jit(mixed)(x)):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.numpy(), expected, atol=0.05 * np.abs(expected).max())
        assert not np.array_equal(found.numpy(), expected)
    if program != "while":
        g, low = pg.grad(lambda x: (f(x) ** 2).sum())(x), pg.grad(lambda x: (mixed(x) ** 2).sum())(x)
        np.testing.assert_allclose(low.numpy(), g.numpy(), atol=0.1 * np.abs(g.numpy()).max())


def test_stateful_training_in_float16_with_a_loss_scale():
    model = network()
    adam, scale = optim.Adam(model.parameters(), lr=0.01), optim.LossScale(initial=2.0**30, interval=10)
    loss_of = pg.amp(lambda x: model(x).cross_entropy_loss_indices(pg.Tensor(Y)), dtype="float16")

    @pg.jit
    def step(x):
        loss = loss_of(x)
        scale.step(adam, pg.grads(model.parameters(), scale(loss)))
        return loss

    before = [p.numpy().copy() for p in model.parameters()]
    step(pg.Tensor(X))  # 2**30 overflows: nothing changes but the scale
    assert scale.scale.item() == 2.0**29 and adam.steps.item() == 0
    assert all(np.array_equal(a, p.numpy()) for a, p in zip(before, model.parameters()))
    losses = [step(pg.Tensor(X)).item() for _ in range(80)]
    assert losses[-1] < 0.5 * losses[20] and 2.0**8 < scale.scale.item() < 2.0**29 and adam.steps.item() > 40
    assert step.cache_info()["programs"] == 1
    saved = scale.state_dict()
    other = optim.LossScale().load_state_dict(saved)
    assert other.scale.item() == scale.scale.item() and other.good_steps.item() == scale.good_steps.item()


def test_the_scale_grows_after_good_steps():
    scale = optim.LossScale(initial=4.0, growth=2.0, backoff=0.5, interval=2)
    seen = []
    for finite in (True, True, True, False, True, True):
        scale.update(pg.Tensor(np.array(finite)))
        seen.append(scale.scale.item())
    assert seen == [4, 8, 8, 4, 4, 8]


@pytest.mark.parametrize("transform", [pg.amp, pg.checkpoint])
@pytest.mark.parametrize("jitted", [False, True])
def test_a_module_among_the_arguments_changes_its_buffers(transform, jitted):
    x = np.random.default_rng(0).normal(3, 2, (16, 4)).astype("float32")
    plain, model = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
    function = transform(lambda model, x: (model(x) ** 2).mean())
    step = lambda x: pg.grads(model.parameters(), function(model, x))
    step = pg.jit(step) if jitted else step
    for _ in range(2):
        plain(x)
        step(x)
    assert model.num_batches_tracked.item() == 2
    np.testing.assert_allclose(model.running_mean.numpy(), plain.running_mean.numpy(), rtol=1e-6)


def test_bad_arguments():
    with pytest.raises(pg.DtypeError, match="float32 is not"):
        pg.amp(lambda x: x, dtype="float32")
    with pytest.raises(pg.ArgumentError, match="takes a function"):
        pg.amp(3)
    for options in ({"initial": 0}, {"backoff": 1.0}, {"interval": 0}, {"growth": 0.5}):
        with pytest.raises(pg.ArgumentError, match="out of range"):
            optim.LossScale(**options)
    assert pg.amp(dtype="float16")(lambda x: x @ x)(pg.ones((2, 2))).dtype == np.float32
