"""StatefulModule: functional calls, pytrees, hooks, freezing, tied weights, copies, summaries."""

import copy
import multiprocessing

import numpy as np
import pytest

import pequegrad as pg
import pequegrad.jax_api as pj
from pequegrad import nn, optim


class Net(nn.StatefulModule):
    """A network with a buffer that each call in training mode changes."""

    def __init__(self, n=3):
        self.layers = [nn.Linear(n, 4), nn.ReLU(), nn.Linear(4, 2)]
        self.heads = {"a": nn.Linear(2, 2)}
        self.scale = 2.0
        self.register_buffer("mean", pg.zeros(2))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0).detach()
        return self.heads["a"](x - self.mean) * self.scale


class Tied(nn.StatefulModule):
    def __init__(self):
        self.encoder, self.decoder = nn.Linear(3, 3), nn.Linear(3, 3)
        self.decoder.weight = self.encoder.weight

    def forward(self, x):
        return self.decoder(self.encoder(x))


X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


def values(model):
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


def unchanged(model, before):
    now = values(model)
    return list(now) == list(before) and all(np.array_equal(now[name], before[name]) for name in before)


# ---- apply_to_module -----------------------------------------------------------------------------------


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
def test_a_call_with_other_parameters(jitted):
    model, other = Net(), Net()
    before = values(model)
    other.heads["a"].weight[:] = 3
    apply = (
        pg.jit(lambda p, x: nn.apply_to_module(model, p, x)) if jitted else lambda p, x: nn.apply_to_module(model, p, x)
    )
    model.eval(), other.eval()
    for _ in range(2):
        np.testing.assert_allclose(
            apply(other.tree_flatten(), pg.Tensor(X)).numpy(), other(pg.Tensor(X)).numpy(), rtol=1e-6
        )
        other.layers[0].bias[:] = 5
    assert unchanged(model, before)
    as_list = nn.apply_to_module(model, other.parameters(), pg.Tensor(X))
    np.testing.assert_array_equal(
        as_list.numpy(), nn.apply_to_module(model, other.tree_flatten(), pg.Tensor(X)).numpy()
    )


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
def test_buffers_are_results(jitted):
    model, twin = Net(), Net()
    twin.load_state_dict(model.state_dict())
    before = values(model)

    def step(params, buffers, x):
        return nn.apply_to_module(model, params, x, buffers=buffers, return_buffers=True)

    step = pg.jit(step) if jitted else step
    params, buffers = model.tree_flatten(), model.buffer_dict()
    for i in range(3):
        x = pg.Tensor(X * (i + 1))
        out, buffers = step(params, buffers, x)
        np.testing.assert_allclose(out.numpy(), twin(x).numpy(), rtol=1e-5)
        np.testing.assert_allclose(buffers["mean"].numpy(), twin.mean.numpy(), rtol=1e-5)
    assert unchanged(model, before)
    # without buffers those of the module are read, at each call, and stay
    model.mean[:] = 7
    apply = (
        pg.jit(lambda p, x: nn.apply_to_module(model, p, x))
        if jitted
        else (lambda p, x: nn.apply_to_module(model, p, x))
    )
    first = apply(params, pg.Tensor(X)).numpy()
    np.testing.assert_array_equal(apply(params, pg.Tensor(X)).numpy(), first)
    assert (model.mean.numpy() == 7).all()
    model.mean[:] = -7
    assert not np.allclose(apply(params, pg.Tensor(X)).numpy(), first)


def test_the_mode_is_part_of_a_program():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    apply = pg.jit(lambda p, x: nn.apply_to_module(model, p, x))
    params, x = model.tree_flatten(), pg.Tensor(X)
    model.eval()
    quiet = apply(params, x).numpy()
    model.train()
    assert not np.array_equal(apply(params, x).numpy(), quiet)
    model.eval()
    np.testing.assert_array_equal(apply(params, x).numpy(), quiet)
    assert apply.cache_info()["programs"] == 2


def test_a_call_that_raises_leaves_the_module():
    class Broken(Net):
        def forward(self, x):
            super().forward(x)
            self.layers[0].weight = self.layers[0].weight * 0
            raise RuntimeError("no")

    model = Broken()
    before, ids = values(model), [id(t) for t in model.parameters()]
    for call in (lambda f: f(), lambda f: pg.jit(f)(), lambda f: pg.grad(lambda x: f().sum() * x)(1.0)):
        with pytest.raises(RuntimeError, match="no"):
            call(lambda: nn.apply_to_module(model, {}, pg.Tensor(X)))
    assert unchanged(model, before) and [id(t) for t in model.parameters()] == ids


def test_derivatives_of_functional_calls_are_those_of_the_module():
    model = Net().eval()
    loss = lambda params: (nn.apply_to_module(model, params, pg.Tensor(X)) ** 2).sum()
    found = pg.grad(loss)(model.tree_flatten())
    expected = pg.grads(model.parameters(), (model(pg.Tensor(X)) ** 2).sum())
    for name, g in zip(found, expected):
        np.testing.assert_allclose(found[name].numpy(), g.numpy(), rtol=1e-5)
    per_example = pg.vmap(pg.grad(lambda p, x: nn.apply_to_module(model, p, x).sum()), in_axes=(None, 0))(
        model.tree_flatten(), pg.Tensor(X)
    )
    assert per_example["layers.0.weight"].shape == (4, *model.layers[0].weight.shape)


def test_what_does_not_fit_is_refused():
    model = Net()
    for params, message in (
        ({"nothing": pg.ones(3)}, "no param 'nothing'"),
        ([pg.ones(3)], "1 params for the 6"),
        (3, "a dict or a list"),
    ):
        with pytest.raises(pg.ArgumentError, match=message):
            nn.apply_to_module(model, params, pg.Tensor(X))
    with pytest.raises(pg.ShapeError, match="has shape"):
        nn.apply_to_module(model, {"layers.0.bias": pg.ones(3)}, pg.Tensor(X))
    with pytest.raises(pg.ArgumentError, match="takes a module"):
        nn.apply_to_module(lambda x: x, {}, pg.Tensor(X))


# ---- pytrees ---------------------------------------------------------------------------------------------


def test_modules_are_pytrees():
    model = Net()
    leaves, structure = pj.tree.flatten(model)
    assert [id(leaf) for leaf in leaves] == [id(t) for t in [*model.parameters(), model.mean]] or len(leaves) == 7
    again = pj.tree.unflatten(structure, leaves)
    assert type(again) is Net and again is not model and again.layers[0].weight is model.layers[0].weight
    assert again.scale == 2.0 and pj.tree.structure(again) == structure
    doubled = pj.tree.map(lambda t: t * 2, model)
    np.testing.assert_allclose(doubled.layers[2].weight.numpy(), 2 * model.layers[2].weight.numpy())
    assert pj.tree.structure(doubled) == structure and hash(structure) == hash(pj.tree.structure(doubled))
    other = Net()
    other.scale = 3.0
    assert pj.tree.structure(other) != structure
    shapes = pj.tree.map(lambda t: t.shape, model)
    assert shapes.layers[0].bias == (4,)
    labels = pj.tree.map(lambda t: "label", model)
    assert pj.tree.leaves(labels) == ["label"] * 7 and pj.tree.map(len, labels).mean == 5
    paths = [pj.tree_util.keystr(path) for path, _ in pj.tree_util.tree_leaves_with_path(model)]
    assert ".layers.0.weight" in paths and ".mean" in paths


def test_tied_leaves_appear_once():
    model = Tied()
    leaves, structure = pj.tree.flatten(model)
    assert len(leaves) == 3
    again = pj.tree.unflatten(structure, [t + 1 for t in leaves])
    assert again.encoder.weight is again.decoder.weight
    assert pj.tree.structure(pj.tree.map(lambda t: None, again), is_leaf=lambda x: x is None) == structure
    assert pj.tree.map(lambda t, label: (t.shape, label), again, pj.tree.map(lambda t: "x", again)).decoder.weight == (
        (3, 3),
        "x",
    )


def test_derivatives_and_programs_of_modules():
    model = Net().eval()
    loss = lambda model, x: (model(x) ** 2).sum()
    g = pj.grad(loss)(model, pg.Tensor(X))
    assert type(g) is Net
    expected = pg.grads(model.parameters(), loss(model, pg.Tensor(X)))
    for found, one in zip(g.parameters(), expected):
        np.testing.assert_allclose(found.numpy(), one.numpy(), rtol=1e-5)

    @pj.jit
    def step(model, x):
        value, g = pj.value_and_grad(loss)(model, x)
        return value, pj.tree.map(lambda p, g: p - 0.01 * g, model, g)

    before = None
    for _ in range(4):
        value, model = step(model, pg.Tensor(X))
        assert before is None or float(value) < before
        before = float(value)
    assert type(model) is Net and step._cache_size() == 1
    model.train()
    step(model, pg.Tensor(X))
    assert step._cache_size() == 2


def test_a_jitted_function_changes_the_module_it_is_given():
    model = Net()
    adam = optim.SGD(model.parameters(), lr=0.01)

    @pg.jit
    def step(model, x):
        loss = (model(x) ** 2).sum()
        adam.step(pg.grads(model.parameters(), loss))
        return loss

    losses = [step(model, pg.Tensor(X)).item() for _ in range(3)]
    assert losses[2] < losses[0] and not np.array_equal(model.mean.numpy(), np.zeros(2))
    assert step.cache_info()["programs"] == 1


# ---- hooks, freezing, ties, copies -------------------------------------------------------------------------


def test_hooks():
    model, seen = nn.Sequential(nn.Linear(3, 3), nn.ReLU()), []
    handle = model.layers[0].register_forward_hook(lambda m, args, out: seen.append((m, args[0].shape, out.shape)))
    model(pg.Tensor(X))
    assert seen == [(model.layers[0], (4, 3), (4, 3))]
    handle.remove()
    model(pg.Tensor(X))
    assert len(seen) == 1
    f = pg.jit(lambda x: model(x))
    plain = f(pg.Tensor(X)).numpy()
    with model.register_forward_hook(lambda m, args, out: out + 1):
        np.testing.assert_allclose(f(pg.Tensor(X)).numpy(), plain + 1, rtol=1e-6)
        np.testing.assert_allclose(nn.apply_to_module(model, {}, pg.Tensor(X)).numpy(), plain + 1, rtol=1e-6)
    np.testing.assert_array_equal(f(pg.Tensor(X)).numpy(), plain)
    with pytest.raises(pg.ArgumentError, match="takes a function"):
        model.register_forward_hook(3)


def test_freezing():
    model = Net()
    names = [name for name, _ in model.named_parameters()]
    model.freeze("layers.0.weight", "heads")
    assert [n for n, _ in model.named_parameters()] == [n for n in names if n != "layers.0.weight" and "heads" not in n]
    assert [n for n, _ in model.named_parameters(frozen=True)] == names and set(model.state_dict()) == {*names, "mean"}
    assert len(model.tree_flatten()) == 3
    model.unfreeze("heads.a.bias")
    assert "heads.a.bias" in model.tree_flatten() and "heads.a.weight" not in model.tree_flatten()
    model.layers[2].freeze()
    assert list(model.tree_flatten()) == ["layers.0.bias", "heads.a.bias"]
    assert len(model.unfreeze().parameters()) == 6 and model.freeze().parameters() == []
    with pytest.raises(pg.ArgumentError, match="no part 'nothing'"):
        model.freeze("layers.nothing")


def test_tied_weights(tmp_path):
    model = Tied()
    assert model.aliases() == {"decoder.weight": "encoder.weight"} and len(model.parameters()) == 3
    assert list(model.state_dict()) == ["encoder.weight", "encoder.bias", "decoder.bias"]
    model.save(tmp_path / "tied.safetensors")
    other = Tied().load(tmp_path / "tied.safetensors")
    assert other.encoder.weight is other.decoder.weight
    np.testing.assert_array_equal(other(pg.Tensor(X)).numpy(), model(pg.Tensor(X)).numpy())
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    state["decoder.weight"] = state.pop("encoder.weight")  # the other of its names
    np.testing.assert_array_equal(Tied().load_state_dict(state).encoder.weight.numpy(), model.encoder.weight.numpy())
    both = {**state, "encoder.weight": state["decoder.weight"].copy()}
    Tied().load_state_dict(both)
    with pytest.raises(pg.ModelFileError, match="one tensor"):
        Tied().load_state_dict({**both, "encoder.weight": both["encoder.weight"] + 1})
    twice = nn.apply_to_module(model, {"decoder.weight": model.encoder.weight * 2}, pg.Tensor(X))
    model.encoder.weight[:] = model.encoder.weight.numpy() * 2
    np.testing.assert_allclose(twice.numpy(), model(pg.Tensor(X)).numpy(), rtol=1e-6)


def test_copies_share_nothing_but_what_is_shared_inside():
    model = Tied().freeze("encoder.bias")
    other = copy.deepcopy(model)
    assert other.encoder.weight is other.decoder.weight is not model.encoder.weight
    other.encoder.weight[:] = 0
    assert model.encoder.weight.numpy().any() and len(other.parameters()) == 2


def _sum_of_outputs(model):
    return float(model(pg.Tensor(X)).numpy().sum())


def test_modules_go_to_worker_processes():
    model = Tied()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_sum_of_outputs, (model,)) == pytest.approx(_sum_of_outputs(model), rel=1e-6)


# ---- summary ---------------------------------------------------------------------------------------------


def test_summary():
    model = nn.Sequential(nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 10))
    found = model.summary((32, 784))
    assert [(row.name, row.kind, row.output, row.parameters) for row in found.rows] == [
        ("", "Sequential", "[32, 10]", 159010), ("0", "Linear", "[32, 200]", 157000), ("1", "ReLU", "[32, 200]", 0),
        ("2", "Linear", "[32, 10]", 2010),
    ]  # fmt: skip
    first = 2 * 32 * 784 * 200
    assert first <= found.rows[1].flops <= 1.01 * first and found.flops >= first + 2 * 32 * 200 * 10
    model.layers[0].freeze()
    text = str(model.summary(np.zeros((1, 784), np.float32)))
    assert "159,010 parameters, 0.61 MiB, 157,000 of them frozen" in text and "[1, 10]" in text
    with pytest.raises(pg.ArgumentError, match="an input is a shape or an array"):
        model.summary("x")


def test_a_summary_computes_nothing_and_changes_nothing(calls):
    model = Net()
    before = values(model)
    calls.clear()
    model.summary((5, 3))
    assert calls.count("pg_execute") == 0 and unchanged(model, before)


def test_gradients_of_a_module_that_counts():
    """The count of BatchNorm has no derivative: the error names it; allow_int leaves it out."""
    model, x = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), pg.randn((5, 4))
    loss = lambda model: (model(x) ** 2).sum()
    for derive in (pg.grad(loss), pg.fngrad(loss), pg.jit(pg.grad(loss))):
        with pytest.raises(pg.DtypeError, match=r"1\.num_batches_tracked of argument 0, a Sequential, has dtype int64"):
            derive(model)
    with pytest.raises(pg.DtypeError, match=r"\['b'\]\[0\] of argument 0, a dict"):
        pg.grad(lambda d: d["a"].sum())({"a": pg.ones(3), "b": [pg.arange(3)]})
    found = pg.grad(loss, allow_int=True)(model)
    expected = pg.grad(lambda p: (nn.apply_to_module(model, p, x) ** 2).sum())(model.tree_flatten())
    for name, value in expected.items():
        np.testing.assert_allclose(dict(found.named_parameters())[name].numpy(), value.numpy(), rtol=1e-5, atol=1e-6)
