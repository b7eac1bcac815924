"""RNN, GRU and LSTM with every argument at two values, against torch."""

import numpy as np
import pytest
import torch_layers as t

import pequegrad as pg
from pequegrad import nn

OPTIONS = [
    {}, {"num_layers": 2}, {"bias": False}, {"batch_first": True}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True, "batch_first": True},
]  # fmt: skip
OWN = {
    "RNN": [{"nonlinearity": "relu"}],
    "GRU": [],
    "LSTM": [{"proj_size": 2}, {"proj_size": 2, "num_layers": 2, "bidirectional": True, "bias": False}],
}


def first_states(name, options, batch, rng):
    layers = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    sizes = [options.get("proj_size") or 4, 4][: 2 if name == "LSTM" else 1]
    return [rng.normal(size=(layers, *batch, size)) for size in sizes]


@pytest.mark.parametrize("given", [False, True], ids=["zero states", "given states"])
@pytest.mark.parametrize("name", OWN)
def test_recurrent_layers_are_torch_s(name, given, rng):
    for options in OPTIONS + OWN[name]:
        ours, theirs = t.pair(name, (3, 4), options)
        x = rng.normal(size=(2, 5, 3))
        batch = 2 if options.get("batch_first") else 5
        states = first_states(name, options, (batch,), rng) if given else []

        def call(module, x, *states):
            return module(x, states if len(states) > 1 else states[0]) if states else module(x)

        t.compare(ours, theirs, [x, *states], call, context=f"{name}{options}")


@pytest.mark.parametrize("name", OWN)
def test_without_a_batch(name, rng):
    options = {"num_layers": 2, "bidirectional": True}
    ours, theirs = t.pair(name, (3, 4), options)
    states = first_states(name, options, (), rng)
    call = lambda module, x, *states: module(x, states if len(states) > 1 else states[0])
    t.compare(ours, theirs, [rng.normal(size=(5, 3)), *states], call)
    t.compare(ours, theirs, [rng.normal(size=(1, 3))], jits=(False,))


@pytest.mark.parametrize("name", OWN)
def test_dropout_between_layers(name, rng):
    """In evaluation as without; in training outputs of the first layer drop, and those of the last never."""
    ours, theirs = t.pair(name, (3, 4, 2), {"dropout": 0.5})
    x = rng.normal(size=(2, 5, 3))
    t.compare(ours, theirs, [x], training=False)
    ours.train()
    first, second = ours(x)[0].numpy(), ours(x)[0].numpy()
    assert not np.array_equal(first, second) and np.all(first != 0)
    only = getattr(nn, name)(3, 4, dropout=0.5, dtype="float64")
    np.testing.assert_array_equal(only(x)[0].numpy(), only(x)[0].numpy())


@pytest.mark.parametrize("name", OWN)
def test_dtypes_and_vmap(name, rng):
    layer = getattr(nn, name)(3, 4, dtype="bfloat16")
    out = layer(pg.ones((2, 5, 3), dtype="bfloat16"))[0]
    assert out.dtype.name == "bfloat16" and out.shape == (2, 5, 4)
    layer = getattr(nn, name)(3, 4, batch_first=True)
    x = pg.Tensor(rng.normal(size=(2, 5, 3)).astype("f4"))
    np.testing.assert_allclose(pg.vmap(lambda x: layer(x)[0])(x).numpy(), layer(x)[0].numpy(), rtol=1e-5, atol=1e-6)


def test_a_jitted_training_step_is_one_program(calls):
    layer = nn.LSTM(3, 4, 2, bidirectional=True)
    step = pg.jit(lambda x: pg.grads(layer.parameters(), layer(x)[0].sum()))
    x = pg.ones((6, 2, 3))
    step(x)
    calls.clear()
    step(x)
    assert calls.count("pg_program_run") == 1 and "pg_execute" not in calls


def test_wrong_states():
    layer, x = nn.LSTM(3, 4), np.ones((5, 2, 3), "f4")
    h, wrong = np.zeros((1, 2, 4), "f4"), np.zeros((2, 1, 4), "f4")
    for bad, message in ((h, "pair"), ((h, wrong), r"c of hx .* \[1, 2, 4\]"), ((h,), "pair")):
        with pytest.raises(pg.ArgumentError if message == "pair" else pg.ShapeError, match=message):
            layer(x, bad)
    with pytest.raises(pg.ShapeError, match=r"hx .* \[1, 2, 4\]"):
        nn.GRU(3, 4)(x, wrong)
