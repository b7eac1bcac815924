"""Files that export writes: complete or not at all, and weights beside the model where it would be too large."""

import os

import numpy as np
import pytest

import pequegrad as pg
from pequegrad import nn

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def network():
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).eval()


def outside(model):
    return [t.name for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]


X = np.linspace(-1, 1, 48, dtype="float32").reshape(3, 16)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_weights_in_a_file_of_their_own(tmp_path, dtype):
    net = nn.Linear(32, 40, dtype=dtype)
    path, x = tmp_path / "model.onnx", pg.ones((1, 32), dtype=dtype)
    model = pg.onnx.export(net, (x,), path, external_data=True)
    assert outside(model) == ["weight"] and sorted(os.listdir(tmp_path)) == ["model.onnx", "model.onnx.data"]
    assert onnx.load(path, load_external_data=False) == model
    weight = dict(pg.onnx.load(path).named_parameters())["weight"]
    assert (weight.astype("float64").numpy() == net.weight.astype("float64").numpy()).all()
    onnx.checker.check_model(str(path), full_check=True)
    with pytest.raises(pg.PequegradError, match="by its path"):
        pg.onnx.load(model)


def test_it_is_chosen_for_models_that_are_too_large(tmp_path, monkeypatch):
    net, path = network(), tmp_path / "model.onnx"
    arguments = net, (pg.Tensor(X),)
    whole = pg.onnx.export(*arguments, path, dynamic_axes={"input": {0: "n"}})
    assert not outside(whole) and os.listdir(tmp_path) == ["model.onnx"]
    monkeypatch.setattr("pequegrad.onnx.storing.MOST_BYTES", 2000)
    model = pg.onnx.export(*arguments, path, dynamic_axes={"input": {0: "n"}}, verify=True)
    assert outside(model) == ["0.weight"] and sorted(os.listdir(tmp_path)) == ["model.onnx", "model.onnx.data"]
    np.testing.assert_array_equal(pg.onnx.load(path)(pg.Tensor(X)).numpy(), pg.onnx.load(whole)(pg.Tensor(X)).numpy())
    with pytest.raises(pg.ArgumentError, match="give path"):
        pg.onnx.export(*arguments)
    with pytest.raises(pg.ArgumentError, match="external_data=False"):
        pg.onnx.export(*arguments, path, external_data=False)


def test_nothing_is_left_behind_where_it_fails(tmp_path, monkeypatch):
    net, path = network(), tmp_path / "model.onnx"
    path.write_bytes(b"before")
    with pytest.raises(pg.ArgumentError, match="give path"):
        pg.onnx.export(net, (pg.Tensor(X),), external_data=True)

    def refuse(*args, **options):
        raise onnx.checker.ValidationError("no")

    monkeypatch.setattr(onnx.checker, "check_model", refuse)
    with pytest.raises(pg.ArgumentError, match="refuses"):
        pg.onnx.export(net, (pg.Tensor(X),), path, external_data=True)
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["model.onnx"]
    with pytest.raises(OSError):
        pg.onnx.export(net, (pg.Tensor(X),), tmp_path / "absent" / "model.onnx", external_data=True)


def test_an_older_model_never_stands_beside_new_data(tmp_path, monkeypatch):
    """Where weights are replaced there is no model for a moment; if they cannot be, the older one comes back."""
    path, x = tmp_path / "model.onnx", pg.Tensor(X)
    pg.onnx.export(network(), (x,), path, external_data=True)
    before = path.read_bytes(), (tmp_path / "model.onnx.data").read_bytes()
    seen, replace = [], os.replace

    def watch(old, new):
        if str(new).endswith(".data"):
            seen.append(path.exists())
            if len(seen) == 1:
                raise OSError("no")
        replace(old, new)

    monkeypatch.setattr(os, "replace", watch)
    with pytest.raises(OSError, match="no"):
        pg.onnx.export(network(), (x,), path, external_data=True)
    assert (path.read_bytes(), (tmp_path / "model.onnx.data").read_bytes()) == before
    net = network()
    pg.onnx.export(net, (x,), path, external_data=True)
    assert seen == [False, False] and sorted(os.listdir(tmp_path)) == ["model.onnx", "model.onnx.data"]
    np.testing.assert_allclose(pg.onnx.load(path)(x).numpy(), net(x).numpy(), 1e-5)


def test_verify_where_onnxruntime_has_no_kernels():
    with pytest.raises(NotImplementedError, match="onnxruntime cannot run the model"):
        pg.onnx.export(pg.tanh, (pg.ones(3, dtype="bfloat16"),), verify=True)
