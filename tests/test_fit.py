"""train.fit: the loop, what it measures, early stopping, files, and runs that are killed and go on."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import pequegrad as pg
from pequegrad import nn, optim, train
from pequegrad.data import ArrayDataset, DataLoader


def data(n=64, batch=16, seed=0):
    """Batches of a noisy linear problem."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype("f4")
    y = (x @ np.array([1, -2, 3, 0.5], "f4") + 0.1 * rng.normal(size=n).astype("f4"))[:, None]
    return [(x[i : i + batch], y[i : i + batch]) for i in range(0, n, batch)]


def mse(model, x, y):
    return ((model(x) - pg.Tensor(y)) ** 2).mean()


def largest(model, x, y):
    return pg.abs(model(x) - pg.Tensor(y)).max()


def made(lr=0.05):
    pg.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.1), nn.Linear(8, 1))
    return model, optim.Adam(model.parameters(), lr=lr)


def test_the_loop_is_what_one_would_write():
    model, adam = made()
    history = train.fit(model, adam, data(), mse, epochs=3, progress=False)
    twin, other = made()
    step = pg.jit(
        lambda x, y: (lambda value: (other.step(pg.grads(twin.parameters(), value)), value)[1])(mse(twin, x, y))
    )
    losses = []
    for _ in range(3):
        losses.append(np.mean([step(*batch).item() for batch in data()]))
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-6)
    for a, b in zip(model.parameters(), twin.parameters()):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert history["epoch"] == [1, 2, 3] and history["step"] == [4, 8, 12] and losses[2] < losses[0]


def test_validation_and_metrics():
    model, adam = made()
    held_out = data(40, 16, seed=1)  # the last batch is smaller
    history = train.fit(
        model, adam, data(), mse, epochs=2, validation=held_out, metrics={"largest": largest}, progress=False
    )
    assert history.columns() == ["epoch", "step", "loss", "seconds", "validation_loss", "validation_largest"]
    model.eval()
    x, y = (np.concatenate(parts) for parts in zip(*held_out))
    assert history["validation_loss"][-1] == pytest.approx(mse(model, pg.Tensor(x), y).item(), rel=1e-5)
    model.train()
    found = train.evaluate(model, held_out, {"loss": mse})
    assert found["loss"] == pytest.approx(history["validation_loss"][-1], rel=1e-6) and model.training
    alone = train.fit(*made(), data(), mse, metrics={"largest": largest}, progress=False)
    assert "largest" in alone.columns() and history.best("validation_loss")["epoch"] == 2


def test_early_stopping_takes_the_best_back():
    model, _ = made()
    sgd = optim.SGD(model.parameters(), lr=0.01)
    against = [(x, -y) for x, y in data(32, 32, 1)]  # the better the model, the worse here
    history = train.fit(model, sgd, data(), mse, epochs=50, validation=against, patience=3, progress=False)
    best = history.best("validation_loss")
    assert len(history) == best["epoch"] + 3 < 50
    assert train.evaluate(model, against, {"loss": mse})["loss"] == pytest.approx(best["validation_loss"], rel=1e-5)


def test_steps_end_a_run():
    model, adam = made()
    history = train.fit(model, adam, data(), mse, epochs=9, steps=6, progress=False)
    assert history["step"] == [4, 6] and len(history) == 2


def test_other_kinds_of_data(capsys):
    model, adam = made()
    batches = [{"x": x, "y": y} for x, y in data()]
    history = train.fit(model, adam, batches, lambda m, batch: mse(m, batch["x"], batch["y"]))
    assert math.isfinite(history["loss"][0])
    out = capsys.readouterr().out
    assert "epoch 1, step 4, loss" in out

    class Loader:
        epochs = []

        def set_epoch(self, epoch):
            self.epochs.append(epoch)

        def __iter__(self):
            return iter(data())

    train.fit(*made(), Loader(), mse, epochs=2, progress=False)
    assert Loader.epochs == [0, 1]


def test_what_cannot_be():
    model, adam = made()
    for options, message in (
        ({"epochs": -1}, "epochs=-1"), ({"steps": 0}, "steps=0"), ({"patience": 2}, "needs validation"), ({"save_every": 1.5}, "save_every"),
    ):  # fmt: skip
        with pytest.raises(pg.ArgumentError, match=message):
            train.fit(model, adam, data(), mse, progress=False, **options)
    with pytest.raises(pg.ArgumentError, match="no batches"):
        train.fit(model, adam, [], mse, progress=False)
    with pytest.raises(pg.ArgumentError, match="0-d"):
        train.fit(model, adam, data(), lambda m, x, y: m(x), progress=False)
    with pytest.raises(pg.PequegradError, match="The loss is nan at step 1"):
        train.fit(model, adam, data(), lambda m, x, y: mse(m, x, y) * float("nan"), progress=False)
    with pytest.raises(pg.ArgumentError, match="no column 'nothing'"):
        train.History([{"a": 1}])["nothing"]


def test_history_as_files(tmp_path):
    history = train.History([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "validation_loss": 1.5}])
    history.save_csv(tmp_path / "log.csv")
    history.save_json(tmp_path / "log.json")
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert rows[1] == {"epoch": "2", "loss": "1.0", "validation_loss": "1.5"} and rows[0]["validation_loss"] == ""
    assert json.loads((tmp_path / "log.json").read_text()) == history.rows
    assert str(history).splitlines()[1].split() == ["1", "2", "-"]
    pytest.importorskip("matplotlib")
    history.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"


def shuffled():
    x, y = (np.concatenate(parts) for parts in zip(*data()))
    return DataLoader(ArrayDataset(x, y), batch_size=16, shuffle=True, seed=5)


@pytest.mark.parametrize("source", [data, shuffled])
@pytest.mark.parametrize("cut", [3, 4, 5, 8])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, cut, source):
    def run(folder, steps=None):
        model, adam = made()
        history = train.fit(
            model,
            adam,
            source(),
            mse,
            epochs=4,
            steps=steps,
            validation=data(32, 16, 1),
            folder=folder,
            save_every=1,
            progress=False,
        )
        return model, history

    whole, history = run(tmp_path / "whole")
    run(tmp_path / "cut", cut)
    resumed, again = run(tmp_path / "cut")
    for a, b in zip(whole.parameters(), resumed.parameters()):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert history["loss"] == again["loss"] and history["validation_loss"] == again["validation_loss"]
    assert sorted(os.listdir(tmp_path / "cut"))[-3:] == [f"step_{i:08d}.safetensors" for i in (14, 15, 16)]


PROGRAM = """
    import sys
    import numpy as np
    sys.path.insert(0, {tests!r})
    from test_fit import data, made, mse, train
    model, adam = made()
    train.fit(model, adam, data(256, 16), mse, epochs=4, folder=sys.argv[1], save_every=1, progress=False)
    np.save(sys.argv[1] + "/weights.npy", np.concatenate([p.numpy().ravel() for p in model.parameters()]))
"""


def test_a_run_that_is_killed_goes_on_bit_for_bit(tmp_path):
    """SIGKILL at any moment: four times, then to the end; the weights are those of a run that nobody disturbed."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM.format(tests=os.path.dirname(__file__))))

    def start(folder):
        root = os.path.dirname(os.path.dirname(__file__))
        return subprocess.Popen([sys.executable, str(program), str(folder)], env={**os.environ, "PYTHONPATH": root})

    assert start(tmp_path / "whole").wait(timeout=100) == 0
    killed, folder = 0, tmp_path / "killed"
    for wanted in (3, 11, 24, 40):
        process = start(folder)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if folder.exists() and max(train.Checkpoints(folder).steps(), default=0) >= wanted:
                break
            time.sleep(0.001)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
    assert start(folder).wait(timeout=100) == 0 and killed >= 2
    np.testing.assert_array_equal(np.load(folder / "weights.npy"), np.load(tmp_path / "whole" / "weights.npy"))


def test_an_optimiser_of_something_else_is_refused():
    model, data = nn.Linear(2, 1), [(np.ones((3, 2), np.float32), np.ones((3, 1), np.float32))]
    loss = lambda model, x, y: ((model(x) - y) ** 2).mean()
    other = optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1)
    with pytest.raises(pg.ArgumentError, match="none of the model's parameters"):
        train.fit(model, other, data, loss)
    with pytest.raises(pg.ArgumentError, match="the optimiser is <class"):
        train.fit(model, optim.SGD, data, loss)
