"""Every layer with every argument at two values, against torch."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch_layers as t

import pequegrad as pg
from pequegrad import nn

ROWS, LINE, IMAGE, VOLUME = (4, 6), (2, 6, 9), (2, 6, 8, 7), (2, 6, 5, 4, 6)
SPACE = {1: LINE, 2: IMAGE, 3: VOLUME}


def ints(high, *shape):
    return np.random.default_rng(1).integers(0, high, shape)


# name -> (arguments, options, inputs: shapes, or arrays)
CASES = {
    "Linear": [((6, 3), {}, [ROWS]), ((6, 3, False), {}, [LINE[:1] + (3, 6)]), ((6, 3), {}, [(6,)])],
    "Bilinear": [((6, 3, 4), {}, [ROWS, (4, 3)]), ((6, 3, 4, False), {}, [(2, 3, 6), (2, 3, 3)])],
    "Embedding": [
        ((5, 3), {}, [ints(5, 4, 6)]), ((5, 3), {"padding_idx": 1}, [ints(5, 4, 6)]), ((5, 3, -1), {}, [ints(5, 7)]),
        ((5, 3), {"max_norm": 1.0}, [ints(4, 6)]), ((5, 3), {"max_norm": 0.5, "norm_type": 1.0}, [ints(4, 6)]),
        ((5, 3), {"scale_grad_by_freq": True}, [ints(5, 4, 6)]), ((5, 3), {"scale_grad_by_freq": True, "padding_idx": 2}, [ints(5, 9)]),
    ],
    **{
        f"Conv{n}d": [
            ((6, 4, 3), {}, [SPACE[n]]), ((6, 4, (3, 2, 1)[:n]), {}, [SPACE[n][1:]]), ((6, 4, 2), {"stride": 2}, [SPACE[n]]),
            ((6, 4, 2), {"stride": (2, 1, 3)[:n]}, [SPACE[n]]), ((6, 4, 3), {"padding": 1}, [SPACE[n]]),
            ((6, 4, 3), {"padding": (2, 0, 1)[:n]}, [SPACE[n]]), ((6, 4, 4), {"padding": "same"}, [SPACE[n]]),
            ((6, 4, 2), {"padding": "valid"}, [SPACE[n]]), ((6, 4, 2), {"dilation": 2}, [SPACE[n]]),
            ((6, 4, 3), {"dilation": (1, 2, 1)[:n], "padding": "same"}, [SPACE[n]]), ((6, 4, 2), {"groups": 2}, [SPACE[n]]),
            ((6, 12, 2), {"groups": 6}, [SPACE[n]]), ((6, 4, 1), {"bias": False}, [SPACE[n]]),
            ((6, 4, 3), {"padding_mode": "reflect", "padding": (2, 1, 1)[:n]}, [SPACE[n]]),
            ((6, 4, 4), {"padding_mode": "reflect", "padding": "same"}, [SPACE[n]]),
            ((6, 4, 3), {"padding_mode": "replicate", "padding": 2}, [SPACE[n]]),
            ((6, 4, 3), {"padding_mode": "circular", "padding": (1, 2, 2)[:n], "stride": 2}, [SPACE[n][1:]]),
        ]
        for n in (1, 2, 3)
    },
    **{
        f"ConvTranspose{n}d": [
            ((6, 4, 3), {}, [SPACE[n]]), ((6, 4, (3, 2, 1)[:n]), {}, [SPACE[n][1:]]), ((6, 4, 3), {"stride": (2, 3, 1)[:n]}, [SPACE[n]]),
            ((6, 4, 3), {"padding": 1, "stride": 2}, [SPACE[n]]), ((6, 4, 3), {"padding": (2, 0, 1)[:n]}, [SPACE[n]]),
            ((6, 4, 3), {"stride": 3, "output_padding": 2}, [SPACE[n]]), ((6, 4, 2), {"stride": 2, "output_padding": (1, 0, 1)[:n]}, [SPACE[n]]),
            ((6, 4, 2), {"groups": 2}, [SPACE[n]]), ((6, 4, 2), {"bias": False}, [SPACE[n]]), ((6, 4, 2), {"dilation": 2}, [SPACE[n]]),
        ]
        for n in (1, 2)
    },
    **{
        f"MaxPool{n}d": [
            ((2,), {}, [SPACE[n]]), (((3, 2, 2)[:n],), {}, [SPACE[n][1:]]), ((3, 2), {}, [SPACE[n]]), ((3, (1, 2, 1)[:n]), {}, [SPACE[n]]),
            ((3, 2, 1), {}, [SPACE[n]]), ((2,), {"dilation": 2}, [SPACE[n]]), ((2, 3), {"ceil_mode": True}, [SPACE[n]]),
            ((3, 2, 1), {"return_indices": True}, [SPACE[n]]),
            ((2, 2), {"return_indices": True, "ceil_mode": True, "dilation": 2}, [SPACE[n][1:]]),
        ]
        for n in (1, 2)
    },
    **{
        f"AvgPool{n}d": [
            ((2,), {}, [SPACE[n]]), (((3, 2, 2)[:n],), {}, [SPACE[n][1:]]), ((3, 2), {}, [SPACE[n]]), ((3, (1, 2, 1)[:n]), {}, [SPACE[n]]),
            ((3, 2, 1), {}, [SPACE[n]]), ((2, 3), {"ceil_mode": True}, [SPACE[n]]), ((3, 2, 1), {"count_include_pad": False}, [SPACE[n]]),
            ((3, 2, 1), {"count_include_pad": False, "ceil_mode": True}, [SPACE[n]]),
        ]
        + [((3, 2, 1), {"divisor_override": 2, "ceil_mode": True}, [SPACE[n]])] * (n > 1)
        for n in (1, 2)
    },
    "AdaptiveAvgPool1d": [((1,), {}, [LINE]), ((4,), {}, [LINE]), ((3,), {}, [LINE[1:]]), ((12,), {}, [LINE])],
    "AdaptiveAvgPool2d": [((1,), {}, [IMAGE]), (((4, 7),), {}, [IMAGE]), (((None, 3),), {}, [IMAGE[1:]]), ((5,), {}, [IMAGE])],
    **{
        name: [
            ((6,), {}, [shape]), ((6, 0.1), {}, [shape]), ((6,), {"momentum": 0.3}, [shape]), ((6,), {"momentum": None}, [shape]),
            ((6,), {"affine": False}, [shape]), ((6,), {"track_running_stats": False}, [shape]), ((6,), {"bias": False}, [shape]),
        ]
        for name, shape in (("BatchNorm1d", LINE), ("BatchNorm1d", ROWS), ("BatchNorm2d", IMAGE), ("BatchNorm3d", VOLUME))
    },
    **{
        f"InstanceNorm{n}d": [
            ((6,), {}, [SPACE[n]]), ((6, 0.1), {}, [SPACE[n][1:]]), ((6,), {"affine": True}, [SPACE[n]]),
            ((6,), {"track_running_stats": True}, [SPACE[n]]), ((6,), {"track_running_stats": True, "affine": True, "momentum": 0.4}, [SPACE[n][1:]]),
            ((6,), {"affine": True, "bias": False}, [SPACE[n]]), ((6,), {"track_running_stats": True, "momentum": 0.0}, [SPACE[n]]),
        ]
        for n in (1, 2)
    },
    "LayerNorm": [
        ((6,), {}, [ROWS]), (((8, 7),), {}, [IMAGE]), ((6, 0.1), {}, [ROWS]), ((6,), {"elementwise_affine": False}, [ROWS]), ((6,), {"bias": False}, [ROWS]),
    ],
    "RMSNorm": [((6,), {}, [ROWS]), (((8, 7),), {}, [IMAGE]), ((6, 0.1), {}, [ROWS]), ((6,), {"elementwise_affine": False}, [ROWS])],
    "GroupNorm": [((2, 6), {}, [IMAGE]), ((6, 6, 0.1), {}, [LINE]), ((3, 6), {"affine": False}, [ROWS]), ((3, 6), {"bias": False}, [IMAGE])],
    "LocalResponseNorm": [((2,), {}, [IMAGE]), ((3, 0.1), {}, [LINE]), ((2, 0.1, 0.5), {}, [IMAGE]), ((2, 0.1, 0.5, 2.0), {}, [IMAGE])],
    "Dropout": [((0.0,), {}, [ROWS])], "Dropout1d": [((0.0,), {}, [LINE])], "Dropout2d": [((0.0,), {}, [IMAGE])], "Dropout3d": [((0.0,), {}, [VOLUME])],
    **{
        name: [((), {}, [ROWS])]
        for name in "ReLU ReLU6 GELU SiLU Sigmoid Tanh LeakyReLU ELU SELU CELU Mish Softplus Softsign LogSigmoid Hardsigmoid Hardswish Hardtanh GLU".split()
    },
    **{name: [((1,), {}, [ROWS]), ((0,), {}, [ROWS]), ((-2,), {}, [LINE])] for name in ("Softmax", "LogSoftmax", "Softmin")},
    "PReLU": [((), {}, [ROWS]), ((6,), {}, [IMAGE]), ((1, 0.7), {}, [(5,)])],
    "Identity": [((), {}, [ROWS]), ((3, "any"), {"thing": 1}, [ROWS])],
    "Flatten": [((), {}, [IMAGE]), ((0,), {}, [IMAGE]), ((1, 2), {}, [IMAGE])],
    "PixelShuffle": [((1,), {}, [IMAGE]), ((2,), {}, [(2, 8, 3, 2)])], "PixelUnshuffle": [((1,), {}, [IMAGE]), ((2,), {}, [(2, 3, 4, 2)])],
    "Upsample": [
        ((5,), {}, [LINE]), (((5, 16),), {}, [IMAGE]), ((None, 2.0), {}, [IMAGE]), ((None, (1.5, 2.0)), {"mode": "bilinear"}, [IMAGE]),
        ((), {"size": 5, "mode": "linear"}, [LINE]), ((), {"scale_factor": 1.7, "mode": "bicubic", "align_corners": True}, [IMAGE]),
        ((), {"scale_factor": 1.7, "mode": "bilinear", "align_corners": False, "recompute_scale_factor": True}, [IMAGE]),
        ((), {"scale_factor": 2, "mode": "trilinear"}, [VOLUME]), ((), {"size": 3, "mode": "nearest-exact"}, [LINE]),
    ],
}  # fmt: skip
CASES["GELU"].append((("tanh",), {}, [ROWS]))
CASES["LeakyReLU"].append(((0.3,), {}, [ROWS]))
CASES["ELU"].append(((0.3,), {}, [ROWS]))
CASES["CELU"].append(((0.3,), {}, [ROWS]))
CASES["Softplus"].append(((2.0, 0.5), {}, [ROWS]))
CASES["Hardtanh"].append(((-0.2, 0.3), {}, [ROWS]))
CASES["GLU"].append(((0,), {}, [ROWS]))
CASES["BatchNorm1d"].append(((6,), {}, [ROWS]))


def arrays(inputs, rng, dtype="float64"):
    return [rng.normal(size=x).astype(dtype) if isinstance(x, tuple) else x for x in inputs]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # torch copies its input then
def test_layers_are_torch_s(name, rng):
    modes = (True, True, False) if name.startswith(("BatchNorm", "InstanceNorm", "Dropout")) else (True,)
    tolerance = 1e-6 if name in ("CELU", "Hardsigmoid") else None  # torch has float32 constants there
    for args, options, inputs in CASES[name]:
        ours, theirs = t.pair(name, args, options)
        inputs = arrays(inputs, rng)
        for training in modes:
            context = f"{name}{args}{options} training={training}"
            t.compare(ours, theirs, inputs, training=training, tolerance=tolerance, context=context)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    "name", "Linear Bilinear Embedding Conv2d ConvTranspose2d BatchNorm2d LayerNorm GroupNorm RMSNorm PReLU".split()
)
def test_dtypes(name, dtype, rng):
    args, options, inputs = CASES[name][0]
    layer = getattr(nn, name)(*args, **options, dtype=dtype)
    wide = getattr(nn, name)(*args, **options, dtype="float64")
    wide.load_state_dict(
        {k: v.numpy().astype("f8" if v.dtype.kind in "fV" else v.dtype) for k, v in layer.state_dict().items()}
    )
    inputs = arrays(inputs, rng)
    own = [x.astype(layer.weight.dtype) if x.dtype.kind == "f" else x for x in inputs]
    out = layer(*own)
    assert out.dtype == layer.weight.dtype == pg.Tensor([0.0], dtype=dtype).dtype
    tolerance = t.TOLERANCE[dtype]
    np.testing.assert_allclose(out.numpy().astype("f8"), wide(*inputs).numpy(), rtol=tolerance, atol=2 * tolerance)


def test_output_size_of_transposed_convolutions(rng):
    ours, theirs = t.pair("ConvTranspose2d", (6, 4, 3, 3, 1))
    x = rng.normal(size=(2, 6, 4, 5))
    for size in ((10, 13), (11, 14), [12, 15]):
        t.compare(ours, theirs, [x], call=lambda module, x: module(x, output_size=size))
    with pytest.raises(pg.ArgumentError, match=r"sizes go from \[10, 13\] to \[12, 15\]"):
        ours(x, output_size=(9, 13))


def test_reshape(tensor):
    x = tensor(np.arange(24.0).reshape(2, 12))
    assert nn.Reshape(3, 4)(x).shape == nn.Reshape((3, -1))(x).shape == pg.jit(nn.Reshape(3, 4))(x).shape == (2, 3, 4)
    assert repr(nn.Reshape(3, 4)) == "Reshape(3, 4)"


@pytest.mark.parametrize("name", ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d"])
def test_dropout_drops_elements_or_channels(name, tensor):
    n = int(name[7]) if len(name) > 7 else None
    x = tensor(np.ones((40, 50, *(2,) * (n or 1))))
    layer = getattr(nn, name)(0.25)
    for run in (layer, pg.jit(layer)):
        y = run(x).numpy()
        assert set(np.unique(y)) == {0, 1 / 0.75}
        assert abs((y == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 2000)  # 5 standard deviations
        if n:
            assert (y == y[(..., *(slice(1),) * n)]).all()
        assert not np.array_equal(run(x).numpy(), y)
    assert layer.eval()(x) is x or np.array_equal(layer(x).numpy(), x.numpy())


def test_embedding_from_pretrained(tensor, rng):
    rows = rng.normal(size=(5, 3))
    frozen, free = (
        nn.Embedding.from_pretrained(rows),
        nn.Embedding.from_pretrained(tensor(rows), freeze=False, padding_idx=1),
    )
    assert not frozen.parameters() and list(frozen.state_dict()) == ["weight"] and len(free.parameters()) == 1
    np.testing.assert_array_equal(free(np.array([1, 4])).numpy(), rows[[1, 4]])
    np.testing.assert_array_equal(frozen(np.array([1, 4])).numpy(), rows[[1, 4]])
    assert np.isnan(free(np.array([5])).numpy()).all()  # there is no such row


def test_batch_norm_in_a_jitted_training_step_keeps_its_statistics(rng):
    ours, theirs = t.pair("BatchNorm2d", (6,))
    calls = []
    handle = ours.running_mean

    @pg.jit
    def step(x):
        calls.append(1)
        return ours(x)

    for _ in range(3):
        x = rng.normal(size=IMAGE)
        step(pg.Tensor(x)), theirs(torch.tensor(x))
    assert len(calls) == 1 and ours.num_batches_tracked.item() == 3 and ours.running_mean is handle
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name].numpy(), value.numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_layers_under_vmap(name, rng):
    """A batch of inputs gives what they give one by one."""
    args, options, inputs = CASES[name][0]
    layer = t.pair(name, args, options)[0].eval()
    batches = [np.stack(pair) for pair in zip(arrays(inputs, rng), arrays(inputs, rng))]
    together = pg.vmap(lambda *xs: layer(*xs))(*map(pg.Tensor, batches)).numpy()
    for i, one in enumerate(together):
        alone = np.asarray(layer(*[batch[i] for batch in batches]))
        np.testing.assert_allclose(one, alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "name",
    [
        *"Linear Bilinear Embedding Conv2d ConvTranspose2d BatchNorm2d LayerNorm GroupNorm RMSNorm PReLU".split(),
        "LSTM",
        "MHA",
    ],
)
def test_inputs_follow_the_device_of_the_layer(name, rng):
    if name == "MHA":
        layer, inputs = nn.MultiheadAttention(4, 2, device="cpu:1"), [rng.normal(size=(3, 2, 4)).astype("f4")] * 3
    elif name == "LSTM":
        layer, inputs = nn.LSTM(4, 2, device="cpu:1"), [rng.normal(size=(3, 2, 4)).astype("f4")]
    else:
        args, options, inputs = CASES[name][0]
        layer, inputs = getattr(nn, name)(*args, **options, device="cpu:1"), arrays(inputs, rng, "float32")
    out = layer(*inputs)
    out = out[0] if isinstance(out, tuple) else out
    assert out.device is pg.device("cpu:1") and out.dtype == np.float32 and np.isfinite(out.numpy()).all()


@pytest.mark.parametrize("name", CASES)
def test_empty_batches_copies_and_pickles(name, rng):
    args, options, inputs = CASES[name][0]
    ours, theirs = t.pair(name, args, options)
    inputs = [x[:0] for x in arrays(inputs, rng)]
    try:
        expected = theirs.eval()(*map(torch.tensor, inputs)).shape
    except RuntimeError:  # torch's pooling and resizing refuse them
        expected = None
    for layer in (ours, copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert repr(layer) == repr(ours) and list(layer.state_dict()) == list(ours.state_dict())
        assert expected is None or np.asarray(layer.eval()(*inputs)).shape == tuple(expected)


def test_layers_take_arrays_of_jax_api():
    import pequegrad.jax_api.numpy as jnp

    model = nn.Sequential(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.GELU(), nn.Flatten(), nn.Linear(12, 2))
    out = model(jnp.ones((4, 2, 5)))
    assert isinstance(out, jnp.ndarray) and out.shape == (4, 2)


def test_running_statistics_keep_no_graph_alive(device):
    model = nn.Sequential(nn.BatchNorm1d(50), nn.InstanceNorm1d(50, track_running_stats=True))
    x, used, handles = np.ones((20, 50, 4), "f4"), [], model.buffers()
    evaluated = pg.jit(lambda x: model(x))
    model.eval(), evaluated(x), model.train()
    for _ in range(12):
        pg.grads(model.parameters(), model(x).sum())[0].numpy()
        used.append(pg.memory_stats("cpu")["in_use"])
    assert used[-1] <= used[1]
    model.eval(), evaluated(x)
    assert evaluated.cache_info()["traces"] == 1 and all(a is b for a, b in zip(handles, model.buffers()))


# ---- first values ----------------------------------------------------------------------------------------

FIRST = {
    "Linear": (300, 200), "Bilinear": (30, 20, 25), "Embedding": (100, 80, 3), "Conv1d": (20, 40, 5), "Conv2d": (20, 40, 3, 1, 0, 1, 2),
    "Conv3d": (10, 40, 3), "ConvTranspose1d": (20, 40, 5), "ConvTranspose2d": (20, 40, 3, 1, 0, 0, 2), "BatchNorm2d": (40,), "LayerNorm": (40,),
    "GroupNorm": (2, 40), "RMSNorm": (40,), "PReLU": (40, 0.3), "MultiheadAttention": (64, 2, 0.0, True, True), "LSTM": (30, 40), "GRU": (30, 40, 2),
    "RNN": (30, 40), "TransformerEncoderLayer": (64, 2, 128),
}  # fmt: skip


@pytest.mark.parametrize("name", FIRST)
def test_first_values_have_torch_s_distribution(name):
    """Their moments and bounds are equal within the accuracy of the samples."""
    ours, theirs = getattr(nn, name)(*FIRST[name]), getattr(torch.nn, name)(*FIRST[name])
    for (a, x), y in zip(sorted(ours.state_dict().items()), (v for _, v in sorted(theirs.state_dict().items()))):
        x, y = x.numpy().astype("f8"), y.numpy().astype("f8")
        error = 6 / np.sqrt(x.size)
        assert abs(x.mean() - y.mean()) <= error * y.std() + 1e-12, a
        assert abs(x.std() - y.std()) <= error * y.std() + 1e-12, a
        if y.size > 1000 and abs(y).max() < 2 * y.std():  # uniform
            assert abs(x).max() == pytest.approx(abs(y).max(), rel=0.02), a


# ---- containers --------------------------------------------------------------------------------------------


def test_sequential_names_and_list(rng):
    ours = nn.Sequential({"first": nn.Linear(3, 4), "act": nn.ReLU(), "last": nn.Linear(4, 2)})
    assert list(ours.state_dict()) == ["first.weight", "first.bias", "last.weight", "last.bias"]
    assert ours["act"] is ours[1] is ours[-2] is ours.act and len(ours) == 3 and list(ours)[2] is ours.last
    numbered = nn.Sequential(*ours)
    assert list(numbered.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    x = rng.normal(size=(5, 3)).astype("f4")
    np.testing.assert_array_equal(ours(x).numpy(), numbered(x).numpy())
    np.testing.assert_array_equal(numbered[:2](x).numpy(), numbered[1](numbered[0](x)).numpy())
    assert list(ours[1:].state_dict()) == ["last.weight", "last.bias"]
    f = pg.jit(lambda x: numbered(x))
    assert f(x).shape == (5, 2)
    numbered.append(lambda x: x * 0).insert(0, nn.Identity())
    assert not f(x).numpy().any() and len(numbered) == 5
    assert isinstance(numbered.pop(0), nn.Identity) and [type(p).__name__ for p in numbered[:3]] == [
        "Linear",
        "ReLU",
        "Linear",
    ]
    del numbered[1:]
    assert f(x).shape == (5, 4) and len(numbered + nn.Sequential(nn.ReLU())) == 2
    numbered.extend([nn.Linear(4, 1)])
    assert f(x).shape == (5, 1) and numbered[1] in numbered and nn.ReLU() not in numbered
    assert (
        list(copy.deepcopy(numbered).state_dict())
        == list(numbered.state_dict())
        == ["0.weight", "0.bias", "1.weight", "1.bias"]
    )


def test_module_list_and_dict():
    class Model(nn.StatefulModule):
        def __init__(self):
            self.blocks = nn.ModuleList([nn.Linear(2, 2) for _ in range(2)])
            self.heads = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.ReLU()})

    class Twin(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = torch.nn.ModuleList([torch.nn.Linear(2, 2) for _ in range(2)])
            self.heads = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 1), "b": torch.nn.ReLU()})

    model = Model()
    t.copy_weights(model, Twin())
    blocks, heads = model.blocks, model.heads
    assert len(blocks) == 2 and blocks[-1] is blocks[1] and list(blocks) == [blocks[0], blocks[1]]
    blocks.append(nn.ReLU()).extend([nn.Tanh()]).insert(1, nn.Identity())
    assert [type(b).__name__ for b in blocks] == ["Linear", "Identity", "Linear", "ReLU", "Tanh"] and len(
        blocks[1:3]
    ) == 2
    blocks[3] = nn.GELU()
    del blocks[0]
    assert "1.weight" in blocks.state_dict() and isinstance(blocks[2], nn.GELU)
    heads.update({"c": nn.Linear(2, 3)})
    assert list(heads) == heads.keys() == ["a", "b", "c"] and "c" in heads and len(heads) == 3
    assert (
        isinstance(heads.pop("b"), nn.ReLU) and [k for k, _ in heads.items()] == ["a", "c"] and len(heads.values()) == 2
    )
    heads.clear()
    assert not heads.parameters() and "heads" not in str(list(model.state_dict()))


# ---- what goes wrong -----------------------------------------------------------------------------------------

WRONG = {
    "Linear(0, 1)": "at least 1", "Linear(2.5, 1)": "at least 1", "Bilinear(1, 2, 0)": "at least 1", "Embedding(3, 2, 3)": "padding_idx=3",
    "Embedding(3, 2, sparse=True)": "sparse", "Conv2d(3, 4, 2, groups=2)": "groups", "Conv2d(3, 4, (2, 2, 2))": "kernel_size",
    "Conv2d(3, 4, 2, padding='full')": "'same', 'valid'", "Conv2d(3, 4, 2, 2, padding='same')": "stride", "Conv2d(3, 4, 2, padding=-1)": "padding",
    "Conv1d(3, 4, 2, padding_mode='mirror')": "reflect", "ConvTranspose1d(3, 4, 2, padding_mode='reflect')": "zeros", "Conv2d(3, 4, 2, stride=0)": "stride",
    "BatchNorm1d(0)": "at least 1", "GroupNorm(4, 6)": "groups", "LayerNorm(())": "empty", "LayerNorm((3, 0))": "at least 1", "Dropout(1.0)": "[0, 1)",
    "Dropout2d(-0.1)": "[0, 1)", "ReLU(inplace=True)": "inplace", "Dropout(0.5, True)": "inplace", "LeakyReLU(slope=1)": "slope", "Softmax(1, 2)": "Softmax",
    "PReLU(0)": "at least 1", "Sequential(1)": "1 is not a module", "Sequential({'a.b': print})": "'a.b'", "Sequential({'forward': print})": "'forward'",
    "ModuleList([print])": "not a module", "ModuleDict({'a': 1})": "not a module", "Sequential(print)[1]": "no part 1", "MultiheadAttention(5, 2)": "heads",
    "LSTM(2, 3, proj_size=3)": "proj_size", "RNN(2, 3, nonlinearity='sigmoid')": "tanh", "GRU(2, 3, dropout=1.0)": "[0, 1)", "GRU(2, 0)": "at least 1",
    "TransformerEncoderLayer(4, 2, activation='x')": "gelu", "TransformerEncoder(Identity(), 0)": "at least 1",
}  # fmt: skip
WRONG_INPUTS = {
    "Linear(3, 2)": ((4, 2), "size 3"), "Bilinear(3, 2, 1)": ([(4, 3), (5, 2)], "bilinear"), "Embedding(3, 2)": ((4,), "integers"),
    "Conv2d(3, 2, 1)": ((4, 2, 5, 5), "[N, 3"), "ConvTranspose1d(3, 2, 1)": ((3,), "[N, 3"), "Conv2d(3, 2, 5, padding=3, padding_mode='reflect')": ((1, 3, 3, 9), "reflect"),
    "BatchNorm1d(3)": ((4, 3, 2, 2), "2 or 3 axes"), "BatchNorm2d(3)": ((4, 2, 2, 2), "3 channels"), "BatchNorm1d(4)": ((1, 4), "variance"),
    "InstanceNorm2d(3)": ((4, 2, 2, 2), "3 channels"), "LayerNorm(3)": ((4, 2), "[3]"), "GroupNorm(2, 4)": ((1, 3, 2), "groups"), "RMSNorm((2, 3))": ((3,), "[2, 3]"),
    "Dropout2d(0.5)": ((3, 4), "4 axes"), "GLU()": ((4, 3), "even"), "PReLU(3)": ((2, 4), "channels"), "GELU('exact')": ((2,), "'tanh'"), "Softplus(0.0)": ((2,), "beta"),
    "Hardtanh(1, 0)": ((2,), "min_val"), "MaxPool2d(3)": ((1, 1, 2, 2), "does not fit"), "AvgPool2d(2, divisor_override=0)": ((1, 1, 2, 2), "divisor"),
    "AdaptiveAvgPool2d((1, 2, 3))": ((1, 1, 2, 2), "output_size"), "AdaptiveAvgPool1d(0)": ((1, 1, 2), "output_size"), "PixelShuffle(2)": ((1, 3, 2, 2), "2 x 2"),
    "Upsample(size=3, mode='cubic')": ((1, 1, 2), "mode"), "Upsample(size=3, align_corners=True)": ((1, 1, 2), "align_corners"),
    "Upsample(size=3, recompute_scale_factor=True)": ((1, 1, 2), "scale_factor"), "LSTM(3, 2)": ((5, 1, 2), "[T, N, 3]"),
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_wrong_arguments(text):
    with pytest.raises((pg.PequegradError, IndexError)) as error:
        eval(text, vars(nn).copy())
    assert WRONG[text] in str(error.value)


@pytest.mark.parametrize("text", WRONG_INPUTS)
def test_wrong_inputs(text):
    shapes, message = WRONG_INPUTS[text]
    layer = eval(text, vars(nn).copy())
    for run in (layer, pg.jit(layer)):
        with pytest.raises(pg.PequegradError) as error:
            run(*[pg.ones(s) for s in (shapes if isinstance(shapes, list) else [shapes])])
        assert message in str(error.value)


def test_representations():
    shown = {
        nn.Conv2d(3, 4, 3, padding=1): "Conv2d(3, 4, 3, padding=1)",
        nn.Conv1d(3, 4, 3, bias=False, padding="same"): "Conv1d(3, 4, 3, padding='same', bias=False)",
        nn.BatchNorm1d(3, momentum=None): "BatchNorm1d(3, momentum=None)",
        nn.LSTM(3, 4, bidirectional=True): "LSTM(3, 4, bidirectional=True)",
        nn.GELU("tanh"): "GELU(approximate='tanh')",
        nn.MaxPool2d(2): "MaxPool2d(2)",
        nn.MSELoss(): "MSELoss()",
    }
    for layer, text in shown.items():
        assert repr(layer) == text
