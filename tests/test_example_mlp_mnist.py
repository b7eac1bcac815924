"""examples/mlp_mnist.py as its users run it, in this process."""

import os
import struct

import numpy as np
import pytest

import pequegrad as pg
from examples import datasets, mlp_mnist
from pequegrad.nn.module import read_safetensors


@pytest.fixture
def main(device, tmp_path, monkeypatch, capsys):
    """main(*options): runs the example in an empty folder; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    place = ["--cuda"] if device.kind == "cuda" else []

    def run(*options):
        code = mlp_mnist.main([*place, *map(str, options)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def no_picture(monkeypatch):
    """Drawing takes a second, which tests of other things save."""
    monkeypatch.setattr(mlp_mnist, "plot", lambda *_: None)


def accuracy(out):
    return float(out.split("held-out accuracy: ")[1].split("%")[0])


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_defaults_reach_96_percent_and_leave_a_model_and_a_picture(main, tmp_path):
    code, out, bars = main()
    assert code == 0 and accuracy(out) >= 96
    assert "reloaded into a fresh model, it predicts the same" in out
    assert "epoch 20/20" in bars and "loss" in bars and "accuracy" in bars and "held-out" in bars
    assert files(tmp_path) == ["runs/mlp_mnist.png", "runs/mlp_mnist.safetensors"]
    png = (tmp_path / "runs/mlp_mnist.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and png[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", png[16:24])
    assert width >= 1000 and height >= 500


def test_a_seed_gives_one_result_and_another_seed_another(main, no_picture):
    def weights(name, seed):
        assert main("--epochs", 1, "--seed", seed, "--save", name)[0] == 0
        return read_safetensors(name)

    a, same, other = weights("a", 7), weights("b", 7), weights("c", 8)
    assert all(np.array_equal(a[name], same[name]) for name in a)
    assert not np.array_equal(a["fc1.weight"], other["fc1.weight"])


def test_load_evaluates_what_save_wrote_and_writes_nothing_unasked(main, tmp_path):
    _, trained, _ = main("--epochs", 8, "--save", "model", "--plot", "curves")
    before = files(tmp_path)
    code, out, bars = main("--load", "model", "--seed", 5)
    assert code == 0 and bars == "" and "saved" not in out and "drew" not in out
    assert accuracy(out) == accuracy(trained)
    assert files(tmp_path) == before == ["curves", "model"]
    code, out, _ = main("--load", "model", "--save", "copy", "--plot", "grid.png")
    assert code == 0 and (tmp_path / "copy").read_bytes() == (tmp_path / "model").read_bytes()
    assert (tmp_path / "grid.png").read_bytes()[:4] == b"\x89PNG"


def test_steps_end_the_training_within_an_epoch(main, no_picture):
    code, out, bars = main("--steps", 25, "--batch-size", 64)  # 23 in an epoch
    assert code == 0 and "epoch  2/20" in bars and "epoch  3/20" not in bars


@pytest.mark.parametrize("size", [100, 5000])
def test_the_last_batch_may_be_smaller_and_a_batch_larger_than_the_data(size, main, no_picture):
    code, out, bars = main("--epochs", 1, "--batch-size", size)
    assert code == 0 and "of 360)" in out


def test_mnist_from_a_folder(main, no_picture, tmp_path, rng):
    data = tmp_path / "mnist"
    data.mkdir()
    for name in datasets.MNIST_PARTS:
        labels = (np.arange(70) % 10).astype(np.uint8)
        array = labels if "labels" in name else np.kron(labels[:, None, None], np.ones((28, 28), np.uint8)) * 25
        (data / name).write_bytes(struct.pack(f">I{array.ndim}I", 2048 + array.ndim, *array.shape) + array.tobytes())
    code, out, _ = main("--data-dir", data, "--epochs", 1, "--save", "model")
    assert code == 0 and "of 70)" in out
    assert read_safetensors("model")["fc1.weight"].shape == (200, 784)


@pytest.mark.parametrize(("wrong", "history"), [(0, [(1.0, 0.5, 0.9, 0.6)]), (1, []), (45, [])])
def test_the_picture_of_few_and_many_misclassified_digits(wrong, history, device, tmp_path):
    tensors = [pg.Tensor(array, device=device) for array in datasets.load_digits()[2:]]
    predicted = tensors[1].numpy()
    predicted[:wrong] = (predicted[:wrong] + 1) % 10
    mlp_mnist.plot(tmp_path / "a.png", history, tensors, predicted)
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


# ---- what goes wrong -------------------------------------------------------------------------------------


def test_cuda_without_a_gpu_is_one_line_and_exit_code_2(main):
    try:
        pg.device.cuda.handle  # noqa: B018
    except pg.DeviceError as error:
        expected = str(error).splitlines()[0]
    else:
        pytest.skip("there is a CUDA device")
    code, out, err = main("--cuda")
    assert (code, out, err) == (2, "", f"mlp_mnist: {expected}\n")


def test_missing_data_is_one_message_and_exit_code_2(main):
    code, out, err = main("--data-dir", "nowhere")
    assert code == 2 and out == "" and "nowhere" in err and "fix:" in err and datasets.MNIST_PARTS[0] in err
    assert "Traceback" not in err


def test_model_files_that_cannot_be_used(main, tmp_path):
    mlp_mnist.MLP(64).save(tmp_path / "good")
    (tmp_path / "truncated").write_bytes((tmp_path / "good").read_bytes()[:-1])
    (tmp_path / "foreign").write_bytes(b"not a model")
    pg.nn.Linear(64, 11).save(tmp_path / "other")
    mlp_mnist.MLP(784).save(tmp_path / "of_mnist")
    for name in ("missing", "truncated", "foreign", "other", "of_mnist"):
        code, out, err = main("--load", name)
        assert code == 2 and out == "" and err.startswith("mlp_mnist: ") and "Traceback" not in err, (name, err)
        assert name == "of_mnist" or name in err or "MLP" in err, err


@pytest.mark.parametrize("target", ["model", "picture"])
def test_nothing_half_written(target, main, tmp_path, monkeypatch):
    rename = os.replace

    def replace(source, destination):
        if os.path.basename(destination) == target:
            raise OSError(28, "No space left on device", destination)
        rename(source, destination)

    monkeypatch.setattr(os, "replace", replace)
    code, _, err = main("--epochs", 8, "--save", "model", "--plot", "picture")
    assert code == 2 and "No space left on device" in err and target in err
    assert files(tmp_path) == (["model"] if target == "picture" else [])


@pytest.mark.parametrize("option", ["--epochs=0", "--batch-size=0", "--lr=nan", "--lr=-1", "--seed=-1", "--epochs=x"])
def test_options_out_of_range(option, main, capsys):
    with pytest.raises(SystemExit) as e:
        main(option)
    assert e.value.code == 2 and "error: argument" in capsys.readouterr().err
