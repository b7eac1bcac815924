"""The models of examples/, untrained, as ONNX: onnxruntime computes what they compute."""

import numpy as np
import pytest
from conftest import FULL
from exports import arrays, check, operators

import pequegrad as pg
from pequegrad import nn
from pequegrad.primitives import PRIMITIVES

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def letters(*shape):
    return np.random.default_rng(0).integers(0, 20, shape).astype(np.int32)


def mlp_mnist():
    from examples.mlp_mnist import MLP

    return MLP(64).eval(), [(3, 64)], {"dynamic_axes": {"x": [0]}, "other": [[(5, 64)]]}


def mlp_mnist_funcapi():
    from examples.mlp_mnist_funcapi import MLP

    model = MLP(64)
    params = {name: value.numpy() for name, value in model.tree_flatten().items()}
    run = lambda x, *values: nn.apply_to_module(model, dict(zip(params, values)), x)
    return run, [(3, 64), *params.values()], {}


def jax_mlp():
    import pequegrad.jax_api as jax
    from examples.jax_mlp import init, predict_batch

    params = init(jax.random.key(0), [64, 16, 10])
    return lambda x: predict_batch(params, x), [(3, 64)], {}


def alexnet_cifar():
    from examples.alexnet_cifar import AlexNet

    return AlexNet().eval(), [(2, 3, 32, 32)], {"dynamic_axes": {"x": [0]}, "other": [[(1, 3, 32, 32)]]}


def conv_mnist():
    from examples.conv_mnist import network

    return network(8).eval(), [(2, 1, 8, 8)], {"dynamic_axes": {"input": [0]}, "other": [[(3, 1, 8, 8)]]}


def amp():
    from examples.amp import network

    return network(8).eval(), [(2, 1, 8, 8)], {}


def resnet_cifar():
    from examples.resnet_cifar import resnet8

    return resnet8(width=4).eval(), [(2, 3, 32, 32)], {"dynamic_axes": {"input": [0]}, "other": [[(1, 3, 32, 32)]]}


def vit():
    from examples.vit import VisionTransformer

    options = {"opset": 23, "dynamic_axes": {"images": {0: "batch"}}, "other": [[(3, 1, 8, 8)]]}
    return VisionTransformer(8, 2).eval(), [(2, 1, 8, 8)], options


def gpt():
    from examples.gpt import GPT

    options = {"dynamic_axes": {"letters": {0: "batch", 1: "time"}}, "other": [[letters(1, 3)], [letters(3, 64)]]}
    return GPT(20).eval(), [letters(2, 7)], options


def gpt_with_cache():
    """A step of writing: caches go in and out."""
    from examples.gpt import GPT

    model = GPT(20).eval()
    caches = [x.shape for pair in model.empty_caches() for x in pair]

    def step(letter, place, *flat):
        return model.next_scores([(flat[2 * i], flat[2 * i + 1]) for i in range(len(flat) // 2)], letter, place)

    first = [np.int32(3), np.int32(2), *caches]
    return step, first, {"other": [[np.int32(0), np.int32(63), *caches]]}


def autoencoder():
    from examples.autoencoder import Autoencoder

    model = Autoencoder(64).eval()
    return lambda x: [*model.encode(x), model.decoder(model.encode(x)[0])], [(3, 64)], {}


def neural_ode():
    from examples.neural_ode import solve

    field = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    run = lambda start: solve(field, start, 5, substeps=2)
    return run, [(4, 2)], {"dynamic_axes": {"start": {0: "swings"}}, "other": [[(1, 2)]]}


def quantised_mlp():
    model = nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 10))
    return nn.quantize(model, arrays([(32, 16)] * 2, 3)).eval(), [(3, 16)], {}


def control_flow():
    from examples.control_flow import collatz, escape

    def both(n, x, y):
        return collatz(n), pg.vmap(lambda x, y: escape((x, y), 30))(x, y)

    inputs = [np.int32(27), *arrays([(9,), (9,)], 2)]
    return both, inputs, {"other": [[np.int32(1), (9,), (9,)]]}


def taylor_expansion():
    from examples.taylor_expansion import function

    return lambda x: [function(x), pg.grad(function)(x), pg.grad(pg.grad(function))(x)], [()], {}


def hessian():
    from examples.hessian import loss

    def newton(weights, x, y):
        return loss(weights, x, y), pg.grad(loss)(weights, x, y), pg.hessian(loss)(weights, x, y)

    return newton, [(5,), (20, 5), (20,)], {}


def montecarlo():
    from examples.montecarlo import discounted_payoffs

    def price(price, volatility, interest, normals):
        market = {"price": price, "volatility": volatility, "interest": interest}
        return pg.value_and_grad(lambda market: discounted_payoffs(market, normals).mean())(market)

    inputs = [np.float32(100), np.float32(0.2), np.float32(0.05), (200,)]
    return price, inputs, {}


def custom_pattern():
    from examples.custom_pattern import loss

    labels = np.array([1, 0, 2])
    run = lambda weights, images: pg.value_and_grad(loss)(weights, images, labels)
    return run, [(6, 10), (3, 6)], {}


MODELS = [
    mlp_mnist, mlp_mnist_funcapi, jax_mlp, alexnet_cifar, conv_mnist, amp, resnet_cifar, vit, gpt, gpt_with_cache, autoencoder, neural_ode,
    quantised_mlp, control_flow, taylor_expansion, hessian, montecarlo, custom_pattern,
]  # fmt: skip


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_models_of_examples(make):
    function, inputs, options = make()
    loaded = ("eager", "jit") if FULL else ("eager",)
    model = check(function, inputs, tolerance=2e-4, loaded=loaded, **options)
    if make is resnet_cifar:
        found = operators(model)
        assert found.pop("Conv") == 9 and found == {
            "BatchNormalization": 9, "Relu": 7, "Add": 3, "GlobalAveragePool": 1, "Reshape": 1, "Gemm": 1
        }  # fmt: skip


def test_what_has_no_form_is_named():
    from examples import custom_primitive, montecarlo

    market = {"price": 100.0, "volatility": 0.2, "interest": 0.05}
    with pytest.raises(NotImplementedError, match="random_bits"):
        pg.onnx.export(montecarlo.simulate, ({k: pg.Tensor(np.float32(v)) for k, v in market.items()},))
    try:
        with pytest.raises(NotImplementedError, match="kepler"):
            pg.onnx.export(custom_primitive.position, (pg.zeros(3), pg.zeros(3)))
    finally:
        PRIMITIVES.pop("kepler", None)


def test_each_example_is_here():
    from pathlib import Path

    names = {path.stem for path in Path(__file__).parents[2].joinpath("examples").glob("*.py")}
    assert names - {"__init__", "common", "datasets", "custom_primitive"} <= {make.__name__ for make in MODELS}
