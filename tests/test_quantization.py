"""int8 inference: integers as a reference computes them, accuracy kept, sizes, and what is refused."""

import numpy as np
import pytest

import pequegrad as pg
from pequegrad import nn, optim

RNG = np.random.default_rng(0)


def reference(layer, x):
    """The layer in NumPy's integers."""
    q = (
        np.clip(np.round(x.astype("f4") / np.float32(layer.scale)) + layer.zero, -128, 127).astype(np.int64)
        - layer.zero
    )
    w = layer.weight.numpy().astype(np.int64)
    return q @ w.T * (layer.weight_scale.numpy() * np.float32(layer.scale)) + layer.bias.numpy()


@pytest.mark.parametrize("low, high", [(-1.0, 2.0), (0.0, 3.0), (-2.0, -1.0)])
def test_linear_layers_are_those_of_integers(low, high):
    layer = nn.Linear(20, 7)
    x = RNG.uniform(low, high, (5, 20)).astype("f4")
    small = nn.quantize(layer, [x])
    np.testing.assert_allclose(small(pg.Tensor(x)).numpy(), reference(small, x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        pg.jit(lambda x: small(x))(pg.Tensor(x)).numpy(), reference(small, x), rtol=1e-5, atol=1e-5
    )
    assert small.weight.dtype == np.int8 and np.abs(small.weight.numpy()).max(1).min() == 127
    np.testing.assert_allclose(small(pg.Tensor(x)).numpy(), layer(pg.Tensor(x)).numpy(), atol=0.05)


@pytest.mark.parametrize(
    "options",
    [
        {}, {"padding": 1}, {"padding": "same"}, {"padding": 2, "padding_mode": "reflect"}, {"stride": 2, "padding": 1}, {"groups": 2},
        {"dilation": 2, "padding": "same"}, {"bias": False},
    ],
    ids=str,
)  # fmt: skip
def test_convolutions_stay_close(options):
    layer = nn.Conv2d(4, 6, 3, **options)
    x = pg.Tensor(RNG.uniform(0.5, 1.5, (2, 4, 8, 8)).astype("f4"))  # 0 is far from all values: padding shows
    small = nn.quantize(layer, [x])
    expected = layer(x).numpy()
    assert np.abs(small(x).numpy() - expected).max() < 0.03 * np.abs(expected).max()
    one = nn.Conv1d(4, 3, 3, padding=1)
    y = pg.Tensor(RNG.normal(size=(2, 4, 9)).astype("f4"))
    np.testing.assert_allclose(nn.quantize(one, [y])(y).numpy(), one(y).numpy(), atol=0.05)


class Net(nn.StatefulModule):
    def __init__(self):
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(8 * 16, 10)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.head(self.drop(self.features(x)).reshape(x.shape[0], -1))


def test_a_trained_network_keeps_its_accuracy(tmp_path):
    pg.manual_seed(0)
    x = RNG.normal(size=(256, 1, 8, 8)).astype("f4")
    y = (x.reshape(256, 64) @ RNG.normal(size=(64, 10))).argmax(1)
    model = Net().train()
    adam = optim.Adam(model.parameters(), lr=0.01)

    @pg.jit
    def step(x, y):
        loss = model(x).cross_entropy_loss_indices(y)
        adam.step(pg.grads(model.parameters(), loss))
        return loss

    for _ in range(60):
        step(x, y)
    before = {name: t.numpy().copy() for name, t in model.state_dict().items()}
    batches = [(x[i : i + 64], y[i : i + 64]) for i in range(0, 256, 64)]
    accuracy = lambda m, x, y: (m(x).argmax(-1) == pg.Tensor(y)).astype("float32").mean()
    for method in ("minmax", "percentile"):
        small = nn.quantize(model, [x for x, _ in batches], method=method)
        report = nn.quantization_report(model, small, batches, accuracy)
        assert report.metric[0] > 0.8 and abs(report.metric[1] - report.metric[0]) < 0.02
        assert report.signal_to_noise > 25 and report.bytes[1] < 0.35 * report.bytes[0]
        assert "dB" in str(report) and "%" in str(report)
    assert all(np.array_equal(before[name], t.numpy()) for name, t in model.state_dict().items()) and model.training
    assert type(small.features[0]) is nn.Quantized and not small.training and small.parameters() == []
    small.save(tmp_path / "small.safetensors")
    again = nn.quantize(model, [x[:64]]).load(tmp_path / "small.safetensors")
    assert again.head.weight.dtype == np.int8
    assert nn.quantization_report(model, small, [x[:64]]).metric is None


def test_what_cannot_be():
    with pytest.raises(pg.ArgumentError, match="no batch reached"):
        nn.quantize(nn.Sequential(nn.Linear(2, 2)), [])
    with pytest.raises(pg.ArgumentError, match="method='no'"):
        nn.quantize(nn.Linear(2, 2), [np.ones((1, 2), "f4")], method="no")
    with pytest.raises(pg.ArgumentError, match="takes a module"):
        nn.quantize(lambda x: x, [])
    with pytest.raises(pg.ArgumentError, match=r"nothing in this Sequential(.|\n)*Linear, Conv1d"):
        nn.quantize(nn.Sequential(nn.LayerNorm(2), nn.ReLU()), [np.ones((1, 2), "f4")])
    zero = nn.Linear(2, 2)
    zero.weight[:] = 0
    assert (nn.quantize(zero, [np.zeros((1, 2), "f4")])(np.ones((1, 2), "f4")).numpy() == zero.bias.numpy()).all()
