"""jax.example_libraries: stax's layers and the optimisers, against JAX at equal keys."""

import jax
import numpy as np
import pytest
from jax.example_libraries import optimizers, stax

import pequegrad.jax_api as pj
from pequegrad.jax_api.example_libraries import optimizers as our_optimizers
from pequegrad.jax_api.example_libraries import stax as our_stax

from .agreement import same

rng = np.random.default_rng(0)
IMAGES = rng.normal(size=(2, 9, 8, 3)).astype("f4")
LAYERS = {
    "Dense": lambda s: s.Dense(5),
    "Dense with initializers": lambda s: s.Dense(5, W_init=s.randn(), b_init=s.zeros),
    "Conv": lambda s: s.Conv(4, (3, 2), strides=(2, 1), padding="SAME"),
    "GeneralConv": lambda s: s.GeneralConv(("NHWC", "OIHW", "NCHW"), 4, (3, 2)),
    "ConvTranspose": lambda s: s.ConvTranspose(4, (3, 2), strides=(2, 2), padding="SAME"),
    "BatchNorm": lambda s: s.BatchNorm(),
    "BatchNorm without": lambda s: s.BatchNorm(axis=(0, 1), center=False, epsilon=0.1),
    "MaxPool": lambda s: s.MaxPool((2, 3), strides=(2, 1)),
    "SumPool": lambda s: s.SumPool((2, 2), padding="SAME", spec="NHWC"),
    "AvgPool": lambda s: s.AvgPool((2, 2), strides=(2, 2), padding="SAME"),
    "serial": lambda s: s.serial(s.Conv(4, (3, 3)), s.Relu, s.Flatten, s.Dense(3), s.LogSoftmax),
    "parallel": lambda s: s.serial(s.FanOut(3), s.parallel(s.Tanh, s.Dense(3), s.Identity), s.FanInSum),
    "FanInConcat": lambda s: s.serial(s.FanOut(2), s.parallel(s.Elu, s.Softplus), s.FanInConcat(1)),
    "Dropout": lambda s: s.serial(s.Dropout(0.7), s.Dropout(0.5, mode="test")),
    "shape_dependent": lambda s: s.shape_dependent(lambda shape: s.Dense(shape[1])),
    **{n: lambda s, n=n: getattr(s, n) for n in ("Exp", "Softmax", "Sigmoid", "LeakyRelu", "Selu", "Gelu")},
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    def run(root, layers):
        init, apply = LAYERS[name](layers)
        shape, params = init(root.random.PRNGKey(1), IMAGES.shape)
        return tuple(shape), params, apply(params, root.numpy.asarray(IMAGES), rng=root.random.PRNGKey(2))

    shape, params, found = run(pj, our_stax)
    expected = run(jax, stax)
    assert shape == tuple(expected[0]) == found.shape
    same(params, expected[1], rtol=1e-5, atol=1e-6)
    same(found, expected[2], rtol=2e-5, atol=2e-6)


def test_dropout_needs_a_key():
    with pytest.raises(ValueError, match="PRNG key"):
        our_stax.Dropout(0.5)[1]((), pj.numpy.ones(3))


OPTIMIZERS = {
    "sgd": (0.1,), "momentum": (0.1, 0.9), "nesterov": (0.1, 0.9), "adagrad": (0.1,), "rmsprop": (0.1,), "rmsprop_momentum": (0.1,),
    "adam": (0.1,), "adamax": (0.1,), "sm3": (0.1,),
}  # fmt: skip
SCHEDULES = {
    "constant": (0.1,),
    "exponential_decay": (0.1, 3, 0.5),
    "inverse_time_decay": (0.1, 3, 0.5),
    "inverse_time_decay in steps": (0.1, 3, 0.5, True),
    "polynomial_decay": (0.1, 4, 0.01, 2.0),
    "piecewise_constant": ([2, 4], [0.1, 0.05, 0.01]),
}
PARAMETERS = {"w": rng.normal(size=(3, 2)).astype("f4"), "b": [np.float32(0.5) * np.ones(2, "f4")]}


def trained(root, library, make, steps=5):
    init, update, get_params = make(library)
    loss = lambda p: root.numpy.sum((p["w"] * 2 - 1) ** 2) + root.numpy.sum(root.numpy.sin(p["b"][0]))
    state = init({"w": root.numpy.asarray(PARAMETERS["w"]), "b": [root.numpy.asarray(PARAMETERS["b"][0])]})
    for i in range(steps):
        state = update(i, library.clip_grads(root.grad(loss)(get_params(state)), 3.0), state)
    return state, get_params(state)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    make = lambda library: getattr(library, name)(*OPTIMIZERS[name])
    same(trained(pj, our_optimizers, make)[1], trained(jax, optimizers, make)[1], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    make = lambda library: library.sgd(getattr(library, name.split()[0])(*SCHEDULES[name]))
    same(trained(pj, our_optimizers, make)[1], trained(jax, optimizers, make)[1], rtol=2e-5, atol=1e-6)


def test_a_training_step_under_jit():
    init, update, get_params = our_optimizers.adam(0.1)
    state = init({"w": pj.numpy.ones(3)})
    step = pj.jit(lambda i, state: update(i, pj.grad(lambda p: (p["w"] ** 2).sum())(get_params(state)), state))
    for i in range(3):
        state = step(i, state)
    assert isinstance(state, our_optimizers.OptimizerState) and float(get_params(state)["w"][0]) < 0.75


def test_states_are_packed_again():
    state, params = trained(pj, our_optimizers, lambda library: library.adam(0.1))
    again = our_optimizers.pack_optimizer_state(our_optimizers.unpack_optimizer_state(state))
    same(our_optimizers.adam(0.1).params_fn(again), params)
    with pytest.raises(TypeError, match="gradient tree"):
        our_optimizers.adam(0.1).update_fn(0, [1.0], state)


def test_norms():
    for root, library in ((pj, our_optimizers), (jax, optimizers)):
        found = library.l2_norm([root.numpy.array([3.0]), root.numpy.array(4.0)])
        assert float(found) == 5.0
    with pytest.raises(ValueError):
        our_optimizers.piecewise_constant([1], [0.1])
    with pytest.raises(TypeError):
        our_optimizers.make_schedule(np.ones(2))
