"""First values: distributions by their moments and bounds, matrices by what defines them; gains and fans are torch's."""

import math

import numpy as np
import pytest
import torch

import pequegrad as pg
from pequegrad import nn
from pequegrad.nn import init

SHAPES = [(200, 300), (40, 20, 3, 3)]


def made(name, shape, *args, dtype="float32", **options):
    p = nn.Linear(1, 1).weight  # some parameter
    p = pg.Tensor(np.zeros(shape), dtype=dtype)
    assert getattr(init, name)(p, *args, **options) is p and p.dtype.name == dtype
    return p.numpy().astype("f8")


# options of the functions by name; the first two moments and the bounds are compared with torch's
RANDOM = {
    "uniform_": [{}, {"a": -2.0, "b": 3.0}], "normal_": [{}, {"mean": 2.0, "std": 0.3}],
    "trunc_normal_": [{}, {"mean": 1.0, "std": 2.0, "a": 0.0, "b": 1.5}], "xavier_uniform_": [{}, {"gain": 2.0}], "xavier_normal_": [{}, {"gain": 2.0}],
    **{
        f"kaiming_{kind}_": [
            {}, {"mode": "fan_out"}, {"nonlinearity": "relu"}, {"nonlinearity": "tanh", "mode": "fan_out"}, {"a": math.sqrt(5)}, {"a": 0.3, "nonlinearity": "leaky_relu"},
        ]
        for kind in ("uniform", "normal")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", RANDOM)
def test_distributions_are_torch_s(name):
    for shape in SHAPES:
        for options in RANDOM[name]:
            ours, theirs = made(name, shape, **options), torch.zeros(shape)
            getattr(torch.nn.init, name)(theirs, **options)
            theirs = theirs.numpy().astype("f8")
            error = 8 / math.sqrt(ours.size) * theirs.std()  # 5 standard deviations of the difference of two samples
            assert abs(ours.mean() - theirs.mean()) < error, options
            assert abs(ours.std() - theirs.std()) < error, options
            if name not in ("normal_", "xavier_normal_", "kaiming_normal_"):
                np.testing.assert_allclose([ours.min(), ours.max()], [theirs.min(), theirs.max()], atol=error)


def test_constants(device):
    assert (
        (made("constant_", (2, 3), 1.5) == 1.5).all()
        and (made("ones_", (2,)) == 1).all()
        and not made("zeros_", (2,)).any()
    )
    np.testing.assert_array_equal(made("eye_", (3, 2)), np.eye(3, 2))
    for shape, groups in (((4, 3, 3), 1), ((6, 2, 3, 2), 2), ((2, 3, 1, 3, 3), 1), ((4, 4, 2), 4)):
        expected = torch.nn.init.dirac_(torch.zeros(shape), groups)
        np.testing.assert_array_equal(made("dirac_", shape, groups), expected.numpy())


def test_gains_are_torch_s():
    for name in ("linear", "conv2d", "conv_transpose3d", "sigmoid", "tanh", "relu", "selu", "leaky_relu"):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (4, 3, 2, 2), (6, 6)])
def test_orthogonal(shape):
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-12), ("bfloat16", 0.03)):
        q = made("orthogonal_", shape, gain=2.0, dtype=dtype).reshape(shape[0], -1) / 2
        product = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
        np.testing.assert_allclose(product, np.eye(len(product)), atol=tolerance)


def test_sparse():
    x = made("sparse_", (20, 300), 0.33, 0.5)
    assert ((x == 0).sum(0) == 7).all() and abs(x[x != 0].std() - 0.5) < 0.03
    assert len({tuple(np.flatnonzero(column == 0)) for column in x.T}) > 200  # not the same rows


def test_they_change_the_parameter_itself(device):
    layer = nn.Linear(3, 2, device=device)
    weight, key = layer.weight, pg.random_key(7, device)
    f = pg.jit(lambda x: layer(x))
    f(pg.ones((1, 3), device=device))
    init.normal_(layer.weight, generator=key)
    first = layer.weight.numpy()
    assert layer.weight is weight and not np.array_equal(init.normal_(weight).numpy(), first)
    np.testing.assert_array_equal(init.normal_(weight, generator=key).numpy(), first)
    assert pg.grads(layer.parameters(), layer(pg.ones((1, 3), device=device)).sum())[0].shape == (2, 3)
    reset = pg.jit(lambda: [init.constant_(layer.weight, 2.0)][1:])
    reset()
    np.testing.assert_array_equal(layer.weight.numpy(), np.full((2, 3), 2))
    init.zeros_(layer.bias)
    assert f(pg.ones((1, 3), device=device)).tolist() == [[6, 6]] and f.cache_info()["programs"] == 1


WRONG = {
    "xavier_uniform_(x)": "at least 2", "kaiming_normal_(x)": "at least 2", "orthogonal_(x)": "at least 2", "eye_(x)": "needs 2", "sparse_(x, 0.5)": "needs 2",
    "dirac_(x)": "3 to 5", "kaiming_normal_(y, mode='fan')": "fan_in", "kaiming_normal_(y, nonlinearity='sin')": "leaky_relu", "sparse_(y, 2)": "sparsity",
    "trunc_normal_(x, a=1, b=0)": "below", "dirac_(z, 2)": "groups",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_wrong_arguments(text):
    with pytest.raises(pg.PequegradError) as error:
        eval(text, vars(init).copy() | {"x": pg.ones(3), "y": pg.ones((2, 2)), "z": pg.ones((3, 2, 2))})
    assert WRONG[text] in str(error.value)
