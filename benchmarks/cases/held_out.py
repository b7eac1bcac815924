"""Cases of the same kinds that nothing was tuned for."""

import functools

import numpy as np

from . import case, normal, random

held_out = functools.partial(case, group="held-out", contestants=("pequegrad", "unfused", "jax", "torch"))


@held_out()
def depthwise_conv_grad(lib):
    """Gradients of a depthwise 3x3 convolution of (16, 64, 28, 28)."""
    rng = random()
    f = lib.grad(lambda x, w: lib.m.sum(lib.conv2d(x, w, groups=64) ** 2), (0, 1))
    return f, lib.tensors(normal(rng, 16, 64, 28, 28), normal(rng, 64, 1, 3, 3))


@held_out(tolerance=1e-3)
def lstm_scan_grad(lib):
    """Gradient through 200 steps of an LSTM of 64 units, batch 16."""
    rng = random()
    n = 64

    def step(w, state, x):
        h, c = state
        gates = h @ w + x
        i, f, g, o = (gates[:, k * n : (k + 1) * n] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * lib.m.tanh(g)
        return (sigmoid(o) * lib.m.tanh(c), c), None

    sigmoid = lambda x: 1 / (1 + lib.m.exp(-x))

    def loss(w, x, zero):
        (h, _), _ = lib.scan(functools.partial(step, w), (zero, zero), x)
        return lib.m.sum(h**2)

    return lib.grad(loss), lib.tensors(
        normal(rng, n, 4 * n, scale=0.1), normal(rng, 200, 16, 4 * n), np.zeros((16, n), np.float32)
    )


@held_out()
def long_attention_grad(lib):
    """Gradients of causal attention over 1,024 positions, 4 heads of 64."""
    rng = random()
    f = lib.grad(lambda q, k, v: lib.m.sum(lib.causal_attention(q, k, v) ** 2), (0, 1, 2))
    return f, lib.tensors(*(normal(rng, 1, 4, 1024, 64) for _ in range(3)))


@held_out()
def embedding_grad(lib):
    """Gradient of the rows that 8,192 tokens pick from a table of (10000, 128)."""
    rng = random()
    table, tokens = normal(rng, 10_000, 128), rng.integers(0, 10_000, 8192).astype(np.int32)
    f = lib.grad(lambda table, i: lib.m.sum(lib.gather_rows(table, i) ** 2))
    return f, (lib.tensor(table), lib.indices(tokens))


@held_out()
def gather_grad(lib):
    """Gradient of take_along_axis on the rows of (2048, 512), 64 positions each."""
    rng = random()
    x, positions = normal(rng, 2048, 512), rng.integers(0, 512, (2048, 64)).astype(np.int32)
    return lib.grad(lambda x, i: lib.m.sum(lib.take_along_axis(x, i, 1) ** 2)), (lib.tensor(x), lib.indices(positions))


@held_out(tolerance=0)
def sort_rows(lib):
    """Sorting the rows of (1000, 1000)."""
    return lib.jit(lambda x: lib.sort(x)), lib.tensors(normal(random(), 1000, 1000))


@held_out()
def cumsum(lib):
    """Cumulative sums of the rows of (1000, 2000)."""
    return lib.jit(lambda x: lib.m.cumsum(x, axis=1)), lib.tensors(normal(random(), 1000, 2000))


@held_out()
def segment_sum(lib):
    """Sums of the 100,000 rows of 16 numbers over 1,000 segments."""
    rng = random()
    x, segments = normal(rng, 100_000, 16), rng.integers(0, 1000, 100_000).astype(np.int32)
    return lib.jit(lambda x, i: lib.segment_sum(x, i, 1000)), (lib.tensor(x), lib.indices(segments))


@held_out()
def softmax_512(lib):
    """Softmax of the rows of (512, 1024)."""
    return lib.jit(lambda x: lib.softmax(x)), lib.tensors(normal(random(), 512, 1024))


@held_out()
def pairwise_distances(lib):
    """Euclidean distances of 1,000 points to 1,000 others in 16 dimensions, by the formula."""
    rng = random()
    f = lambda a, b: lib.m.sqrt(lib.m.sum((a[:, None] - b[None]) ** 2, axis=-1) + 1e-6)
    return lib.jit(f), lib.tensors(normal(rng, 1000, 16), normal(rng, 1000, 16))


@held_out()
def fori_loop_20k(lib):
    """20,000 steps of x * 0.999 + 0.5 on one number."""
    return lib.jit(lambda x: lib.fori_loop(0, 20_000, lambda i, x: x * 0.999 + 0.5, x)), lib.tensors(np.float32(1))


@held_out()
def gelu_tanh(lib):
    """gelu(x) * tanh(y) on a million numbers."""
    rng = random()
    f = lib.jit(lambda x, y: lib.gelu(x) * lib.m.tanh(y))
    return f, lib.tensors(normal(rng, 1_000_000), normal(rng, 1_000_000))


@held_out()
def layer_norm_grad_short(lib):
    """Gradients of layer_norm on (10000, 96)."""
    rng = random()
    f = lib.grad(lambda x, w, b: lib.m.sum(lib.layer_norm(x, w, b) ** 3), (0, 1, 2))
    return f, lib.tensors(normal(rng, 10_000, 96), normal(rng, 96), normal(rng, 96))
