"""The order in which a program computes: every node after its inputs, and gradients of weights while what they read is there."""

import numpy as np
from random_graphs import random_graph

import pequegrad as pg
import pequegrad.jax_api as jax
from pequegrad import nn, optim
from pequegrad.compiler import program
from pequegrad.compiler.schedule import scheduled
from pequegrad.core.node import is_constant, make_aval
from pequegrad.transforms.graphs import graph_of

N = 64


def chain(weights, x):
    for w in weights:
        x = pg.tanh(x @ w)
    return (x * x).sum()


def graph_of_gradients(depth):
    avals = [make_aval((N, N), pg.dt.float32, pg.device.cpu)] * depth + [
        make_aval((8 * N, N), pg.dt.float32, pg.device.cpu)
    ]
    return graph_of("chain", avals, lambda *a: list(pg.grad(chain)(a[:-1], a[-1])))


def test_nodes_come_after_their_inputs(rng):
    avals = [make_aval(shape, pg.dt.float32, pg.device.cpu) for shape in ((3,), (2, 3), ())]
    for _ in range(50):
        graph = random_graph(rng, avals, length=20)
        made = scheduled(graph)
        at = {node: i for i, node in enumerate(made.nodes)}
        assert set(made.nodes) == set(graph.nodes) and made.results == graph.results
        given = set(made.placeholders)
        for node in made.nodes:
            assert all(s in given or is_constant(s) or at[s] < at[node] for s in node.inputs)


def test_gradients_of_weights_run_when_their_activations_can_go():
    """Where a graph lists them last, each comes before the backward pass goes on to the layer below the next."""
    graph = graph_of_gradients(6)
    late = graph.remade(graph.outputs, graph.effects, [])  # the first weight's gradient, and all that it needs, first
    assert not are_early(late) and are_early(scheduled(late))


def are_early(graph):
    at = {node: i for i, node in enumerate(graph.nodes)}
    products = [node for node in graph.nodes if node.spec.primitive.name == "dot_general"]
    gradients = [node for node in products if node.aval.shape == (N, N)]
    below = [node for node in products[6:] if node.aval.shape == (8 * N, N)]
    assert len(gradients) == 6 and len(below) >= 5
    return all(at[gradient] < at[product] for gradient, product in zip(gradients[:4], below[2:]))


def test_memory_of_a_training_step_falls(monkeypatch):
    x = pg.randn((16, 64, 64))

    def trained():
        pg.manual_seed(0)
        layers = [nn.TransformerEncoderLayer(64, 2, 256, dropout=0.0, batch_first=True) for _ in range(4)]
        model = nn.Sequential(*layers)
        adam = optim.Adam(model.parameters(), lr=1e-3)
        step = pg.jit(lambda: adam.step(pg.grads(model.parameters(), (model(x) ** 2).sum())))
        peak = step.lower().compile().memory()["peak"]
        step()
        return peak, [p.numpy() for p in model.parameters()]

    less, parameters = trained()
    monkeypatch.setattr(program, "scheduled", lambda graph: graph)
    more, expected = trained()
    assert less < 0.97 * more
    for found, e in zip(parameters, expected):
        np.testing.assert_array_equal(found, e)


def test_effects_stay_in_order():
    seen = []

    def function(x):
        for i in range(5):
            jax.experimental.io_callback(lambda v, i=i: seen.append((i, float(v))), None, x.sum() * i, ordered=True)
            x = x[: x.shape[0] // 2]
        return x

    jax.jit(function)(jax.numpy.ones(64)).block_until_ready()
    jax.effects_barrier()
    assert seen == [(i, i * 64.0 / 2**i) for i in range(5)]
