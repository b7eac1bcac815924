"""Elementwise chains, rows with reductions, optimiser updates: what a compiler can fuse into one kernel."""

import numpy as np

from . import case, faster, normal, random


@case(targets=(*faster(1.0), ("pequegrad", "unfused", 3.0), ("unfused", "torch", 1 / 1.2)))
def seed_jit(lib):
    """((x transposed + 2) + y) summed over rows, * 3, of (1000, 20, 100) and (1000, 100, 20)."""
    rng = random()
    f = lib.jit(lambda x, y: lib.m.sum((lib.m.swapaxes(x, 1, 2) + 2) + y, axis=2) * 3)
    return f, lib.tensors(normal(rng, 1000, 20, 100), normal(rng, 1000, 100, 20))


@case(targets=faster(1.15))
def elementwise(lib):
    """log(x) + y + exp(log(exp(z))) on (4000, 1000)."""
    rng = random()
    m = lib.m
    f = lib.jit(lambda x, y, z: m.log(x) + y + m.exp(m.log(m.exp(z))))
    return f, lib.tensors(*(np.abs(normal(rng, 4000, 1000)) + np.float32(0.1) for _ in range(3)))


@case(targets=faster(2.0))
def softmax_ce_grad(lib):
    """Value and gradient of the cross entropy of (4096, 1000) logits."""
    rng = random()
    logits, y = normal(rng, 4096, 1000), rng.integers(0, 1000, 4096).astype(np.int32)
    return lib.value_and_grad(lib.cross_entropy), (lib.tensor(logits), lib.indices(y))


@case(targets=faster(2.0))
def layernorm_grad(lib):
    """Gradients of the sum of squares of layer_norm on (4096, 768): for x, weight and bias."""
    rng = random()
    f = lib.grad(lambda x, w, b: lib.m.sum(lib.layer_norm(x, w, b) ** 2), (0, 1, 2))
    return f, lib.tensors(normal(rng, 4096, 768), normal(rng, 768), normal(rng, 768))


@case(targets=faster(1.5))
def adam_flat(lib):
    """Adam's update of one array of 200,000 parameters."""
    rng = random()
    return lib.adam(*lib.tensors(normal(rng, 200_000), normal(rng, 200_000)))


@case(targets=faster(1.5))
def adam_tree(lib):
    """Adam's update of the 199,210 parameters of a 784-200-200-10 network, six arrays."""
    rng = random()
    shapes = {"w1": (784, 200), "b1": (200,), "w2": (200, 200), "b2": (200,), "w3": (200, 10), "b3": (10,)}
    make = lambda: {name: lib.tensor(normal(rng, *shape)) for name, shape in shapes.items()}
    return lib.adam(make(), make())
