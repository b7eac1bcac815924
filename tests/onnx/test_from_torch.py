"""Models that torch exported: their outputs, gradients and training are those of torch, for other sizes, too.

torch's newer exporter takes seconds for each model; test-full runs it on all of them.
"""

import functools
import io
import warnings

import numpy as np
import pytest
import torch
from conftest import FULL

import pequegrad as pg

onnx = pytest.importorskip("onnx")
from test_torch_models import resnet18  # noqa: E402
from torch_architectures import MODELS, inputs, made  # noqa: E402

TOLERANCE = 1e-10  # of float64, relative to the largest number
WITH_DYNAMO = list(MODELS) if FULL else ["gpt"]
EXPORTS = [("script", name) for name in MODELS] + [("dynamo", name) for name in WITH_DYNAMO]


@functools.cache
def exported(name, exporter="script", training=False, dynamic=True, folded=False):
    """The bytes of a model. folded: what a product reads may be computed ahead from parameters, as exporters do if nobody asks."""
    network, x, file = made(name, training), torch.tensor(inputs(name)), io.BytesIO()
    axes = {0: "batch"} if MODELS[name].time is None else {0: "batch", MODELS[name].time: "time"}
    fast, modes = torch.backends.mha.get_fastpath_enabled(), torch.onnx.TrainingMode
    torch.backends.mha.set_fastpath_enabled(False)  # there are no operators for what the fast path calls
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "script":
            torch.onnx.export(
                network, (x,), file, dynamo=False, input_names=["x"], dynamic_axes={"x": axes} if dynamic else None,
                do_constant_folding=folded, training=modes.EVAL if folded else modes.PRESERVE,
            )  # fmt: skip
        else:
            pytest.importorskip("onnxscript", reason="torch.onnx.export(dynamo=True) needs onnxscript")
            shapes = ({axis: torch.export.Dim(a) for axis, a in axes.items()},) if dynamic else None
            torch.onnx.export(
                network, (x,), file, dynamo=True, input_names=["x"], dynamic_shapes=shapes, optimize=folded, verbose=False
            )  # fmt: skip
    torch.backends.mha.set_fastpath_enabled(fast)
    return file.getvalue()


def tuples(found):
    return found if isinstance(found, tuple) else (found,)


def close(ours, theirs, what="output"):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype, what
    error = np.abs(ours.numpy() - theirs).max(initial=0) / max(1e-3, np.abs(theirs).max(initial=0))
    assert error <= TOLERANCE, f"{what}: {error:.1e}"


def same(found, expected):
    for i, (a, b) in enumerate(zip(tuples(found), tuples(expected), strict=True)):
        close(a, b, f"output {i}")


def loss_of(outputs, package):
    """A number that depends on all of the outputs' elements, each in its own way."""
    total = 0.0
    for y in tuples(outputs):
        weights = np.cos(np.arange(y.reshape(-1).shape[0], dtype=np.float64))
        weights = pg.Tensor(weights).detach() if package is pg else torch.tensor(weights)
        total = total + (y.reshape(-1) * weights).sum() + (y * y).mean()
    return total


def sizes(name, model):
    """(batch, time) of calls: of the export, and others as far as the file leaves them open."""
    shape = model.inputs[0].shape
    assert isinstance(shape[0], str)
    free = MODELS[name].time is None or isinstance(shape[MODELS[name].time], str)
    # from its second recurrent network in a process on, torch's newer exporter fixes the time
    assert free or name in ("lstm", "gru")
    return [(2, 5), (3, 7), (1, 2)] if free else [(2, 5), (3, 5), (1, 5)]


@pytest.mark.parametrize("exporter, name", EXPORTS)
def test_outputs_of_any_size(exporter, name):
    model, network = pg.onnx.load(exported(name, exporter)), made(name)
    compiled = pg.jit(model)
    for size in sizes(name, model):
        x = inputs(name, *size)
        expected = network(torch.tensor(x))
        same(model(x), expected)
        same(compiled(x), expected)


@pytest.mark.parametrize("exporter, name", EXPORTS if FULL else EXPORTS[: len(MODELS)])
def test_outputs_of_fixed_sizes(exporter, name):
    model, x = pg.onnx.load(exported(name, exporter, dynamic=False, folded=True)), inputs(name)
    assert model.inputs[0].shape == x.shape
    same(model(x), made(name)(torch.tensor(x)))
    same(pg.jit(model)(x), made(name)(torch.tensor(x)))


@pytest.mark.parametrize("exporter, name", EXPORTS)
def test_gradients(exporter, name):
    """Of all parameters, which keep their names."""
    model, network, x = pg.onnx.load(exported(name, exporter)), made(name), inputs(name, 3, 5)
    parameters = dict(network.named_parameters())
    assert set(parameters) == {n for n, _ in model.named_parameters()}
    expected = torch.autograd.grad(loss_of(network(torch.tensor(x)), torch), list(parameters.values()))
    ours = [model.weights[n] for n in parameters]
    for f in (lambda x: pg.grads(ours, loss_of(model(x), pg)), pg.jit(lambda x: pg.grads(ours, loss_of(model(x), pg)))):
        for n, a, b in zip(parameters, f(pg.Tensor(x).detach()), expected):
            close(a, b, n)


@pytest.mark.parametrize("exporter, name", [(e, n) for e, n in EXPORTS if FULL or e == "script"])
def test_five_steps_of_training(exporter, name):
    """BatchNorm in training mode, where there is one."""
    training = exporter == "script"  # the newer exporter writes no BatchNorm that trains
    model, network = pg.onnx.load(exported(name, exporter, training)), made(name, training)
    optimizer = pg.optim.SGD(model.parameters(), 0.003, momentum=0.9)
    reference = torch.optim.SGD(network.parameters(), 0.003, momentum=0.9)

    @pg.jit
    def step(x):
        loss = loss_of(model(x), pg)
        optimizer.step(pg.grads(model.parameters(), loss))
        return loss

    for i in range(5):
        x = inputs(name, 6 + i % 2, 5)
        expected = loss_of(network(torch.tensor(x)), torch)
        reference.zero_grad()
        expected.backward()
        reference.step()
        assert step(x).item() == pytest.approx(expected.item(), rel=1e-9)
    for n, p in network.named_parameters():
        close(model.weights[n], p, n)


@pytest.mark.parametrize("exporter", ["script", "dynamo"])
def test_folded_parameters_are_trained_constants_are_not(exporter):
    """An exporter may fold the transpose of a weight; what it writes beside (a scale, -inf of the mask) stays what it is."""
    model, network = pg.onnx.load(exported("gpt", exporter, folded=True)), made("gpt")
    x = inputs("gpt", 3, 5)
    same(model(x), network(torch.tensor(x)))
    numbers = lambda tensors: sorted(float((t.detach().numpy() ** 2).sum()) for t in tensors)
    np.testing.assert_allclose(numbers(model.parameters()), numbers(network.parameters()), rtol=1e-12)
    found = pg.grads(model.parameters(), loss_of(model(x), pg))
    expected = torch.autograd.grad(loss_of(network(torch.tensor(x)), torch), list(network.parameters()))
    np.testing.assert_allclose(numbers(found), numbers(expected), rtol=1e-8)


@pytest.mark.parametrize(
    "exporter", ["script", pytest.param("dynamo", marks=pytest.mark.skipif(not FULL, reason="slow"))]
)
def test_statistics_are_buffers(exporter):
    model = pg.onnx.load(exported("resnet18", exporter))
    expected = [n for n, b in made("resnet18").named_buffers() if b.dtype == torch.float64]
    assert sorted(n for n, _ in model.named_buffers()) == sorted(expected)


@pytest.mark.skipif(not FULL, reason="ResNet-18 as it is: 11 million parameters")
def test_biases_that_were_folded_are_trained():
    """A BatchNormalization in a convolution without a bias gives it one, of which the newer exporter does not say what it is."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 3),
        torch.nn.BatchNorm2d(2), torch.nn.GroupNorm(2, 2, affine=False),
    ).eval()  # fmt: skip
    pytest.importorskip("onnxscript", reason="torch.onnx.export(dynamo=True) needs onnxscript")
    x, files = torch.randn(2, 3, 8, 8), {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for dynamo in (False, True):
            files[dynamo] = io.BytesIO()
            torch.onnx.export(network, (x,), files[dynamo], dynamo=dynamo, input_names=["x"], verbose=False)
    model = pg.onnx.load(files[True].getvalue())
    sizes = sorted(p.shape for p in model.parameters())
    assert sizes == [(2,), (2, 4, 3, 3), (4,), (4, 3, 3, 3)] and not model.buffers()
    script = pg.onnx.load(
        files[False].getvalue()
    )  # of this exporter all floats are parameters, also those of the GroupNorm
    assert [p.shape for p in script.parameters() if p.size > 2] == [(4, 3, 3, 3), (4,), (2, 4, 3, 3)]
    written = pg.onnx.export(model, (x.numpy(),))
    convolutions = [node for node in written.graph.node if node.op_type == "Conv"]
    assert [len(node.input) for node in convolutions] == [3, 3]
    assert {tuple(i.dims) for i in written.graph.initializer if i.data_type == 1} >= set(sizes)


def test_resnet18_of_its_true_size():
    torch.manual_seed(0)
    network = resnet18(torch.nn, torch.nn.Module, torch.relu, width=64, classes=1000).eval()
    x, file = torch.randn(2, 3, 224, 224), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (x,), file, dynamo=False)
    expected = network(x).detach().numpy()
    found = pg.jit(pg.onnx.load(file.getvalue()))(x.numpy()).numpy()
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_an_imported_model_is_a_module(tmp_path):
    x = inputs("resnet18")
    model, other = (pg.onnx.load(exported("resnet18")) for _ in range(2))
    expected = model(x).numpy()
    other.load_state_dict({n: t.numpy() * 2 for n, t in other.state_dict().items()})
    assert not np.allclose(other(x).numpy(), expected)
    other.load_state_dict(model.state_dict())
    assert np.array_equal(other(x).numpy(), expected)
    model.save(tmp_path / "weights.safetensors")
    third = pg.onnx.load(exported("resnet18"))
    third.load_state_dict({n: np.zeros(t.shape) for n, t in third.state_dict().items()})
    third.load(tmp_path / "weights.safetensors")
    assert np.array_equal(third(x).numpy(), expected)
    compiled = pg.jit(third)
    np.testing.assert_allclose(compiled(x).numpy(), expected, rtol=1e-12)
    third.to("cpu:1")
    assert {p.device for p in third.state_dict().values()} == {pg.device("cpu:1")}
    y = third(pg.Tensor(x, device="cpu:1"))
    assert y.device == pg.device("cpu:1")
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(compiled(pg.Tensor(x, device="cpu:1")).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", list(MODELS))
def test_written_again_with_free_sizes(name):
    """What was open in the file stays open; after a step of training, too."""
    model, network, x = pg.onnx.load(exported(name)), made(name), inputs(name)
    pg.optim.SGD(model.parameters(), 0.01).step(pg.grads(model.parameters(), loss_of(model(x), pg)))
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    loss_of(network(torch.tensor(x)), torch).backward()
    optimizer.step()
    axes = {axis: n for axis, n in enumerate(model.inputs[0].shape) if isinstance(n, str)}
    written = pg.onnx.load(pg.onnx.export(model, (x,), dynamic_axes={"x": axes}))
    assert written.inputs[0].shape == model.inputs[0].shape
    for size in sizes(name, model):
        x = inputs(name, *size)
        same(written(x), network(torch.tensor(x)))
