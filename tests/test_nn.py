"""Modules, optimisers, losses and model files, against torch and JAX."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import pequegrad as pg
from pequegrad import optim
from pequegrad.nn import Dropout, Linear, ReLU, Sequential, StatefulModule


class MLP(StatefulModule):
    def __init__(self, sizes=(20, 16, 4), device=None):
        self.fc1 = Linear(sizes[0], sizes[1], device=device)
        self.fc2 = Linear(sizes[1], sizes[2], device=device)

    def forward(self, x):
        return self.fc2.forward(self.fc1.forward(x).relu())


def torch_twin(model):
    twin = torch.nn.Sequential(
        *[m for w in (model.fc1, model.fc2) for m in (torch.nn.Linear(*w.weight.shape[::-1]), torch.nn.ReLU())][:-1]
    )
    with torch.no_grad():
        for ours, theirs in zip((model.fc1, model.fc2), (twin[0], twin[2])):
            theirs.weight.copy_(torch.tensor(ours.weight.numpy()))
            theirs.bias.copy_(torch.tensor(ours.bias.numpy()))
    return twin


OPTIMISERS = {
    "sgd": (lambda p: optim.SGD(p, 0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "momentum": (
        lambda p: optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.01),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.01),
    ),
    "nesterov": (
        lambda p: optim.SGD(p, 0.05, momentum=0.8, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.8, nesterov=True),
    ),
    "adam": (lambda p: optim.Adam(p, lr=0.01), lambda p: torch.optim.Adam(p, lr=0.01)),
    "adam options": (
        lambda p: optim.Adam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    ),
}


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_50_steps_track_torch(name, jitted, device, rng):
    ours, theirs = OPTIMISERS[name]
    model = MLP(device=device)
    twin = torch_twin(model)
    optimizer, reference = ours(model.parameters()), theirs(twin.parameters())

    def step(x, y):
        loss = model.forward(x).cross_entropy_loss_indices(y)
        optimizer.step(pg.grads(model.parameters(), loss))
        return loss

    step = pg.jit(step) if jitted else step
    for _ in range(50):
        x, y = rng.normal(size=(32, 20)).astype(np.float32), rng.integers(0, 4, 32)
        reference.zero_grad()
        expected = torch.nn.functional.cross_entropy(twin(torch.tensor(x)), torch.tensor(y))
        expected.backward()
        reference.step()
        loss = step(pg.Tensor(x, device=device), pg.Tensor(y, device=device))
        assert loss.item() == pytest.approx(expected.item(), rel=1e-4)  # the bound


def test_50_steps_of_functional_training_track_jax(device, rng):
    model = MLP(device=device)
    p = {name: t.detach() for name, t in model.named_parameters()}
    q = {name: jnp.asarray(t.numpy()) for name, t in p.items()}

    def loss(n, matmul, p, x, y):
        h = n.maximum(matmul(x, p["fc1.weight"].T) + p["fc1.bias"], 0.0)
        o = matmul(h, p["fc2.weight"].T) + p["fc2.bias"]
        o = o - n.max(o, axis=1, keepdims=True)
        return -n.mean(n.sum(n.where(y, o, 0.0), axis=1) - n.log(n.sum(n.exp(o), axis=1)))

    @pg.jit
    def step(p, x, y):
        value, (g,) = pg.fngrad(lambda p: loss(pg, pg.matmul, p, x, y), wrt=[0], return_outs=True)(p)
        return value, {k: p[k] - 0.1 * g[k] for k in p}

    @jax.jit
    def reference(q, x, y):
        value, g = jax.value_and_grad(lambda q: loss(jnp, jnp.matmul, q, x, y))(q)
        return value, {k: q[k] - 0.1 * g[k] for k in q}

    for _ in range(50):
        x, y = rng.normal(size=(32, 20)).astype(np.float32), np.eye(4, dtype=bool)[rng.integers(0, 4, 32)]
        value, p = step(p, x, y)
        expected, q = reference(q, x, y)
        assert value.item() == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float64"])
def test_parameters_keep_their_dtype(name, device):
    w = pg.Tensor(np.ones(3), dtype=name, device=device)
    for optimizer in (optim.Adam([w], lr=0.1), optim.SGD([w], lr=0.1, momentum=0.9)):
        for step in (optimizer.step, pg.jit(optimizer.step)):
            step([pg.Tensor(np.ones(3, "f4"), device=device)])
            assert w.dtype == pg.dt.float64 if name == "float64" else w.dtype.itemsize == 2
            kept = np.float64 if name == "float64" else np.float32  # 16-bit parameters are trained in float32
            assert all(v.dtype == kept for slots in optimizer.state for v in slots.values())


def test_adam_in_float64_has_all_its_digits(device):
    ours, theirs = pg.Tensor(np.ones(3), device=device), torch.ones(3, dtype=torch.float64, requires_grad=True)
    adam, reference = optim.Adam([ours], lr=1e-3), torch.optim.Adam([theirs], lr=1e-3)
    for i in range(5):
        adam.step([pg.Tensor(np.full(3, 0.1 * i + 0.3), device=device)])
        theirs.grad = torch.full((3,), 0.1 * i + 0.3, dtype=torch.float64)
        reference.step()
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-12)


def test_the_loss_read_after_a_step_is_the_one_before(tensor, device):
    model = MLP((3, 5, 2), device)
    adam = optim.Adam(model.parameters(), lr=1.0)
    x, y = tensor(np.ones((4, 3), "f4")), tensor(np.array([0, 1, 1, 0]))
    with pg.no_grad():
        before = model(x).cross_entropy_loss_indices(y).item()
    loss = model(x).cross_entropy_loss_indices(y)
    adam.step(pg.grads(model.parameters(), loss))
    assert loss.item() == pytest.approx(before, rel=1e-6)
    assert model(x).cross_entropy_loss_indices(y).item() != pytest.approx(before, rel=1e-3)
    with pytest.raises(pg.GradientError, match="new value"):
        pg.grads(model.parameters(), loss)


def test_a_step_is_one_program_and_leaves_no_history(tensor, device, calls):
    model = MLP((3, 5, 2), device)
    adam = optim.Adam(model.parameters())
    x, y = tensor(np.ones((4, 3), "f4")), tensor(np.array([0, 1, 1, 0]))
    for _ in range(3):
        calls.clear()
        loss = model(x).cross_entropy_loss_indices(y)
        adam.step(pg.grads(model.parameters(), loss))
        assert calls.count("pg_execute") == 1
    for p in model.parameters():
        assert p.evaled and not p._node.inputs
    pg.grads(model.parameters(), model(x).sum())  # they are tracked again


def test_memory_does_not_grow_over_eager_steps(tensor, device):
    model = MLP((3, 5, 2), device)
    adam = optim.Adam(model.parameters())
    x, y = tensor(np.ones((4, 3), "f4")), tensor(np.array([0, 1, 1, 0]))
    for i in range(40):
        loss = model(x).cross_entropy_loss_indices(y)
        adam.step(pg.grads(model.parameters(), loss))
        loss.numpy()
        if i == 10:
            before = pg.memory_stats(device)["in_use"]
    assert pg.memory_stats(device)["in_use"] <= before


@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 5), (5,)])
def test_losses_are_torch_s(shape, tensor, rng):
    logits = rng.normal(size=shape).astype(np.float32) * 10
    classes = rng.integers(0, 5, shape[:-1])
    probabilities = rng.dirichlet(np.ones(5), shape[:-1]).astype(np.float32)
    ours, theirs = tensor(logits), torch.tensor(logits, requires_grad=True)
    flat = theirs.reshape(-1, 5)
    cases = [
        (ours.cross_entropy_loss_indices(tensor(classes)), torch.nn.functional.cross_entropy(flat, torch.tensor(classes).reshape(-1))),
        (ours.cross_entropy_loss_probs(tensor(probabilities)), torch.nn.functional.cross_entropy(flat, torch.tensor(probabilities).reshape(-1, 5))),
        (ours.mse_loss(tensor(probabilities)), torch.nn.functional.mse_loss(theirs, torch.tensor(probabilities))),
    ]  # fmt: skip
    for a, b in cases:
        assert a.item() == pytest.approx(b.item(), rel=1e-5)
        (expected,) = torch.autograd.grad(b, theirs)
        np.testing.assert_allclose(pg.grads([ours], a)[0].numpy(), expected.numpy(), rtol=1e-4, atol=1e-7)


def test_activations_are_torch_s(tensor):
    x = np.array([-100, -3, -1, -1e-3, 0, 1e-3, 1, 3, 100], np.float32)
    f = torch.nn.functional
    pairs = [
        (lambda t: t.relu(), f.relu), (lambda t: t.sigmoid(), torch.sigmoid), (lambda t: t.tanh(), torch.tanh),
        (lambda t: t.silu(), f.silu), (lambda t: t.gelu(), f.gelu), (lambda t: t.gelu(approximate=True), lambda t: f.gelu(t, approximate="tanh")),
        (lambda t: t.softmax(), lambda t: f.softmax(t, -1)), (lambda t: t.log_softmax(), lambda t: f.log_softmax(t, -1)),
        (lambda t: t.logsumexp(0), lambda t: torch.logsumexp(t, 0)),
    ]  # fmt: skip
    for ours, theirs in pairs:
        a, b = tensor(x), torch.tensor(x, requires_grad=True)
        ya, yb = ours(a), theirs(b)
        np.testing.assert_allclose(ya.numpy(), yb.detach().numpy(), rtol=1e-5, atol=1e-6)
        (g,) = torch.autograd.grad(yb.sum(), b)
        np.testing.assert_allclose(pg.grads([a], ya.sum())[0].numpy(), g.numpy(), rtol=1e-4, atol=1e-6)


def test_log_softmax_of_infinities(tensor):
    x = np.array([[-np.inf, 0.0], [np.inf, 0.0], [-np.inf, -np.inf]], np.float32)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(tensor(x).logsumexp(1).numpy(), [0, np.inf, -np.inf])
    np.testing.assert_allclose(tensor(x)[0].softmax().numpy(), [0, 1])


# ---- modules -------------------------------------------------------------------------------------------


class Shared(StatefulModule):
    def __init__(self, device):
        first = Linear(3, 3, device=device)
        self.layers = [first, ReLU(), first]
        self.heads = {"a": Linear(3, 2, bias=False, device=device)}
        self.scale = pg.Tensor([1.0], device=device)
        self.register_buffer("count", pg.Tensor(np.array([0]), device=device))


def test_parameters_are_found_once_and_in_order(device):
    model = Shared(device)
    assert [n for n, _ in model.named_parameters()] == ["scale", "layers.0.weight", "layers.0.bias", "heads.a.weight"]
    assert [n for n, _ in model.named_buffers()] == ["count"]
    assert len(model.parameters()) == 4 and list(model.state_dict()) == [
        "scale",
        "layers.0.weight",
        "layers.0.bias",
        "heads.a.weight",
        "count",
    ]


def test_train_and_eval_reach_all_parts():
    model = Sequential(Linear(2, 2), Sequential(Dropout(0.5)))
    assert model.eval().layers[1].layers[0].training is False
    assert model.train().layers[1].layers[0].training is True


def test_dropout(tensor):
    layer, x = Dropout(0.25), tensor(np.ones(10000))
    y = layer(x).numpy()
    assert set(np.unique(y)) == {0, 1 / 0.75}
    assert abs((y == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 10000)  # 5 standard deviations
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x.numpy())
    (g,) = pg.grads([x], layer.train()(x).sum())
    assert set(np.unique(g.numpy())) == {0, 1 / 0.75}


def test_to_device_and_dtype(device):
    model = MLP(device=device)
    handles = model.parameters()
    assert model.to(pg.device.cpu) is model
    assert model.to("float64").fc1.weight.dtype == np.float64
    assert all(a is b for a, b in zip(handles, model.parameters()))  # optimisers made before go on working
    assert model.to(pg.device("cpu:1")).fc1.weight.device is pg.device("cpu:1")
    pg.grads(model.parameters(), model(pg.Tensor(np.ones((1, 20)), device="cpu:1")).sum())


def test_initial_weights_are_torch_s_distribution(device):
    w = Linear(400, 300, device=device).weight.numpy()
    assert abs(w).max() <= 1 / 20 and abs(w.std() - 1 / 20 / np.sqrt(3)) < 1e-3 and abs(w.mean()) < 1e-3


def test_repr():
    text = repr(Sequential(Linear(2, 3), ReLU()))
    assert text.startswith("Sequential(") and "0: Linear(2, 3, bias=True)" in text and "ReLU()" in text


# ---- files ---------------------------------------------------------------------------------------------


def test_a_saved_model_predicts_the_same(tmp_path, device, rng):
    model, path = MLP(device=device), tmp_path / "folder" / "model.safetensors"
    model.save(path)
    x = pg.Tensor(rng.normal(size=(5, 20)).astype("f4"), device=device)
    other = MLP(device=device)
    assert not np.array_equal(other(x).numpy(), model(x).numpy())
    assert other.load(path) is other
    np.testing.assert_array_equal(other(x).numpy(), model(x).numpy())
    pg.grads(other.parameters(), other(x).sum())


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_every_dtype_is_saved(tmp_path, device, name):
    model = Linear(3, 2, device=device).to(name)
    model.save(tmp_path / "m")
    other = Linear(3, 2, device=device).to(name).load(tmp_path / "m")
    np.testing.assert_array_equal(other.weight.numpy(), model.weight.numpy())


def test_files_are_safetensors(tmp_path, device):
    from safetensors.torch import load_file, save_file

    model = MLP(device=device)
    model.save(tmp_path / "m")
    found = load_file(tmp_path / "m")
    np.testing.assert_array_equal(found["fc1.weight"].numpy(), model.fc1.weight.numpy())
    save_file({k: v * 2 for k, v in found.items()}, tmp_path / "t")
    np.testing.assert_array_equal(
        MLP(device=device).load(tmp_path / "t").fc1.weight.numpy(), 2 * model.fc1.weight.numpy()
    )


def test_bad_model_files_are_refused_and_change_nothing(tmp_path, device, rng):
    model = MLP(device=device)
    before = {k: v.numpy() for k, v in model.state_dict().items()}
    model.save(tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    MLP((7, 3, 2), device).save(tmp_path / "other sizes")
    Linear(20, 16, device=device).save(tmp_path / "other names")
    bad = {
        "empty": b"",
        "truncated": good[:-5],
        "text": b"hello " * 100,
        "zip": b"PK\x03\x04" + good,
        "huge header": b"\xff" * 8 + good,
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    for name in [*bad, "other sizes", "other names", "missing"]:
        with pytest.raises(pg.ModelFileError) as e:
            model.load(tmp_path / name)
        assert "fix:" in str(e.value) and f"where: {tmp_path / name}" in str(e.value)
    for _ in range(200):  # damaged anywhere: an error, or numbers, but never a crash
        damaged = bytearray(good)
        for position in rng.integers(0, 400, 3):
            damaged[position] = rng.integers(0, 256)
        (tmp_path / "damaged").write_bytes(bytes(damaged))
        try:
            model.load(tmp_path / "damaged")
        except pg.ModelFileError:
            continue
        model.load_state_dict(before)
    for k, v in model.state_dict().items():
        np.testing.assert_array_equal(v.numpy(), before[k])


def test_not_strict(device):
    model = MLP(device=device)
    model.load_state_dict({"fc2.bias": np.ones(4), "extra": np.ones(1)}, strict=False)
    assert (model.fc2.bias.numpy() == 1).all()


def test_an_interrupted_save_leaves_the_old_file(tmp_path, device, monkeypatch):
    model, path = MLP(device=device), tmp_path / "m"
    model.save(path)
    old = path.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    for broken in ("replace", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, broken, fail)
            with pytest.raises(OSError, match="disk full"):
                MLP(device=device).save(path)
        assert path.read_bytes() == old and os.listdir(tmp_path) == ["m"]
