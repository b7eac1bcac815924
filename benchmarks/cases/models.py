"""Training steps and gradients of whole models."""

import numpy as np

from ..libraries import adam_update
from . import case, faster, normal, random


@case(targets=faster(1.15))
def mlp_adam_step(lib):
    """Loss, gradients and Adam of a 784-200-10 network on a batch of 4096."""
    rng = random()
    x, y = normal(rng, 4096, 784), rng.integers(0, 10, 4096).astype(np.int32)
    weights = {
        "w1": normal(rng, 784, 200, scale=0.05), "b1": np.zeros(200, np.float32),
        "w2": normal(rng, 200, 10, scale=0.1), "b2": np.zeros(10, np.float32),
    }  # fmt: skip
    p = {name: lib.tensor(w) for name, w in weights.items()}
    x, y = lib.tensor(x), lib.indices(y)

    def loss(p, x, y):
        return lib.cross_entropy(lib.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"], y)

    value_and_grad = lib.value_and_grad(loss)
    if hasattr(lib, "optimizer"):  # an optimiser with state of its own
        update = lib.optimizer(p)

        def step(x, y):
            value, g = value_and_grad(p, x, y)
            return value, update(g)

        return step, (x, y)

    def step(p, mean, square, t, x, y):
        value, g = value_and_grad(p, x, y)
        return value, adam_update(lib.m, p, g, mean, square, t)

    zeros = {name: lib.tensor(np.zeros_like(w)) for name, w in weights.items()}
    return lib.jit(step), (p, zeros, zeros, lib.tensor(np.float32(1)), x, y)


@case(targets=faster(1.6))
def cnn_grad(lib):
    """Value and gradients of a network of three 3x3 convolutions (32, 64, 128 channels) on (64, 3, 32, 32)."""
    rng = random()
    x, y = normal(rng, 64, 3, 32, 32), rng.integers(0, 10, 64).astype(np.int32)
    weights = {
        "c1": normal(rng, 32, 3, 3, 3, scale=0.2), "c2": normal(rng, 64, 32, 3, 3, scale=0.06),
        "c3": normal(rng, 128, 64, 3, 3, scale=0.05), "w": normal(rng, 128 * 16, 10, scale=0.03),
    }  # fmt: skip

    def loss(p, x, y):
        for name in ("c1", "c2", "c3"):
            x = lib.max_pool2d(lib.relu(lib.conv2d(x, p[name])), 2)
        return lib.cross_entropy(x.reshape(64, -1) @ p["w"], y)

    p = {name: lib.tensor(w) for name, w in weights.items()}
    return lib.value_and_grad(loss), (p, lib.tensor(x), lib.indices(y))


@case(targets=faster(1.35))
def gpt4_grad(lib):
    """Value and gradients of four transformer blocks (shared weights, 4 heads) on (4, 128, 256)."""
    rng = random()
    batch, length, width, heads = 4, 128, 256, 4
    x = normal(rng, batch, length, width)
    weights = {
        "qkv": normal(rng, width, 3 * width, scale=0.05), "o": normal(rng, width, width, scale=0.05),
        "f1": normal(rng, width, 4 * width, scale=0.05), "f2": normal(rng, 4 * width, width, scale=0.05),
        "g1": np.ones(width, np.float32), "g2": np.ones(width, np.float32),
    }  # fmt: skip

    def block(p, x):
        h = lib.layer_norm(x, p["g1"]) @ p["qkv"]
        h = lib.m.swapaxes(h.reshape(batch, length, 3 * heads, width // heads), 1, 2)
        h = lib.causal_attention(h[:, :heads], h[:, heads : 2 * heads], h[:, 2 * heads :])
        x = x + lib.m.swapaxes(h, 1, 2).reshape(batch, length, width) @ p["o"]
        return x + lib.gelu(lib.layer_norm(x, p["g2"]) @ p["f1"]) @ p["f2"]

    def loss(p, x):
        for _ in range(4):
            x = block(p, x)
        return lib.m.mean(x**2)

    return lib.value_and_grad(loss), ({name: lib.tensor(w) for name, w in weights.items()}, lib.tensor(x))


@case(tolerance=1e-3, contestants=("pequegrad", "unfused", "jax", "torch"))  # torch.compile would unroll the loop
def rnn_scan_gradient(lib):
    """Gradient through 1,000 steps of a recurrent network of 64 units, batch 16: scan under jit; a loop in torch."""
    rng = random()
    x, w = normal(rng, 1000, 16, 64), normal(rng, 64, 64, scale=1 / 8)

    def loss(w, x):
        return lib.m.sum(lib.scan(lambda h, x: (lib.m.tanh(h @ w + x), None), x[0], x)[0] ** 2)

    return lib.grad(loss), lib.tensors(w, x)
