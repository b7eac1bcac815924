"""Whole training steps: forward, loss, gradients and Adam of models as people write them, with modules and optimisers.

PyTorch's modules and ours have the same names, so that a model is written once for both; for JAX its mathematics is written on the
weights that PyTorch's module begins with. What is compared is the loss of the first step.
"""

import functools

import numpy as np

from ..libraries import adam_update
from . import case, faster, normal, random

CONTESTANTS = ("pequegrad", "jax", "torch", "torch.compile")


def _twin(build):
    """PyTorch's module with its first weights: the same in every process."""
    import torch

    torch.manual_seed(0)
    return build(torch.nn, torch.nn.Module)


def step_of(lib, build, forward, x, y):
    """(function, arguments) of a training step. build(nn, Module): the model; forward(lib, p, x): for JAX, on {name: weight}."""
    twin = _twin(build)
    weights = {name: w.detach().numpy() for name, w in twin.state_dict().items() if w.ndim}
    if lib.name == "pequegrad":
        return _our_step(lib, build, weights, x, y)
    if lib.name == "jax":
        return _jax_step(lib, forward, weights, x, y)
    import torch

    optimizer = torch.optim.Adam(twin.parameters(), lr=1e-3, fused=True)
    model = lib.jit(twin)

    def step(x, y):
        optimizer.zero_grad(set_to_none=True)
        loss = lib.cross_entropy(model(x).flatten(0, -2), y.flatten())
        loss.backward()
        optimizer.step()
        return loss

    return step, (lib.tensor(x) if x.dtype == np.float32 else lib.indices(x), lib.indices(y))


def _our_step(lib, build, weights, x, y):
    import pequegrad as pg
    from pequegrad import nn, optim

    model = build(nn, nn.StatefulModule).load_state_dict(weights, strict=False)
    adam = optim.Adam(model.parameters(), lr=1e-3)

    @pg.jit
    def step(x, y):
        scores = model(x)
        loss = scores.reshape(-1, scores.shape[-1]).cross_entropy_loss_indices(y.reshape(-1))
        adam.step(pg.grads(model.parameters(), loss))
        return loss

    return step, lib.tensors(x, y)


def _jax_step(lib, forward, weights, x, y):
    import jax

    trained = {name: lib.tensor(w) for name, w in weights.items() if "running" not in name}

    def loss(p, x, y):
        scores = forward(lib, p, x)
        return lib.cross_entropy(scores.reshape(-1, scores.shape[-1]), y.reshape(-1))

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def update(p, mean, square, t, x, y):
        value, g = jax.value_and_grad(loss)(p, x, y)
        return value, adam_update(lib.m, p, g, mean, square, t)

    zeros = lambda: jax.tree.map(lib.m.zeros_like, trained)
    held = [trained, zeros(), zeros(), 0]

    def step(x, y):
        held[3] += 1
        value, held[:3] = update(*held[:3], np.float32(held[3]), x, y)
        return value

    return step, lib.tensors(x, y)


def _images(n, size, classes):
    rng = random()
    return normal(rng, n, 3, size, size), rng.integers(0, classes, n).astype(np.int32)


def _linear(p, name, x):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def _conv(lib, p, name, x, stride=1, padding=1):
    y = lib.jax.lax.conv_general_dilated(
        x, p[f"{name}.weight"], (stride,) * 2, [(padding,) * 2] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW")
    )
    return y + p[f"{name}.bias"][:, None, None] if f"{name}.bias" in p else y


# ---- models --------------------------------------------------------------------------------------------


@case(group="training", contestants=CONTESTANTS, targets=faster(1.1))
def train_mlp(lib):
    """A 784-512-256-10 network on batches of 256."""
    rng = random()
    x, y = normal(rng, 256, 784), rng.integers(0, 10, 256).astype(np.int32)

    def build(nn, _):
        return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))

    def forward(lib, p, x):
        return _linear(p, "4", lib.relu(_linear(p, "2", lib.relu(_linear(p, "0", x)))))

    return step_of(lib, build, forward, x, y)


@case(group="training", contestants=CONTESTANTS, targets=faster(1.1))
def train_conv(lib):
    """Two 3x3 convolutions (16, 32 channels) with pooling on 64 images of 3x32x32."""

    def build(nn, _):
        return nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 64, 10),
        )  # fmt: skip

    def forward(lib, p, x):
        for name in ("0", "3"):
            x = lib.max_pool2d(lib.relu(_conv(lib, p, name, x)), 2)
        return _linear(p, "7", x.reshape(len(x), -1))

    return step_of(lib, build, forward, *_images(64, 32, 10))


@case(group="training", contestants=CONTESTANTS, targets=faster(1.1))
def train_alexnet(lib):
    """A condensed AlexNet (five convolutions, three products) on 32 images of 3x64x64."""
    layers = ((3, 64, 5, 2), (64, 96, 3, 1), (96, 128, 3, 1), (128, 128, 3, 1), (128, 96, 3, 1))

    def build(nn, _):
        parts = []
        for i, (a, b, k, stride) in enumerate(layers):
            parts += [nn.Conv2d(a, b, k, stride=stride, padding=k // 2), nn.ReLU()] + [nn.MaxPool2d(2)] * (
                i in (0, 1, 4)
            )
        return nn.Sequential(
            *parts,
            nn.Flatten(),
            nn.Linear(96 * 16, 512),
            nn.ReLU(),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Linear(256, 100),
        )

    def forward(lib, p, x):
        for i, (name, (_, _, k, stride)) in enumerate(zip(("0", "3", "6", "8", "10"), layers)):
            x = lib.relu(_conv(lib, p, name, x, stride, k // 2))
            x = lib.max_pool2d(x, 2) if i in (0, 1, 4) else x
        x = lib.relu(_linear(p, "14", x.reshape(len(x), -1)))
        return _linear(p, "18", lib.relu(_linear(p, "16", x)))

    return step_of(lib, build, forward, *_images(32, 64, 100))


@case(group="training", contestants=CONTESTANTS, targets=faster(1.1), tolerance=1e-3)
def train_resnet18_narrow(lib):
    """ResNet-18 with a quarter of the channels (16, 32, 64, 128) on 32 images of 3x32x32, batch normalisation in training mode."""
    stages = ((16, 1), (32, 2), (64, 2), (128, 2))

    def build(nn, Module):
        class Block(Module):
            def __init__(self, a, b, stride):
                super().__init__()
                self.conv1, self.bn1 = nn.Conv2d(a, b, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(b)
                self.conv2, self.bn2 = nn.Conv2d(b, b, 3, padding=1, bias=False), nn.BatchNorm2d(b)
                self.relu = nn.ReLU()
                self.short = nn.Identity()
                if stride != 1 or a != b:
                    self.short = nn.Sequential(nn.Conv2d(a, b, 1, stride=stride, bias=False), nn.BatchNorm2d(b))

            def forward(self, x):
                y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
                return self.relu(y + self.short(x))

        parts, a = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
        for b, stride in stages:
            parts += [Block(a, b, stride), Block(b, b, 1)]
            a = b
        return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))

    def norm(lib, p, name, x):
        mean = lib.m.mean(x, axis=(0, 2, 3), keepdims=True)
        variance = lib.m.mean((x - mean) ** 2, axis=(0, 2, 3), keepdims=True)
        weight, bias = (p[f"{name}.{part}"][:, None, None] for part in ("weight", "bias"))
        return (x - mean) * lib.rsqrt(variance + 1e-5) * weight + bias

    def forward(lib, p, x):
        x = lib.relu(norm(lib, p, "1", _conv(lib, p, "0", x)))
        number = 3
        for _, stride in stages:
            for s in (stride, 1):
                name, number = str(number), number + 1
                y = lib.relu(norm(lib, p, f"{name}.bn1", _conv(lib, p, f"{name}.conv1", x, s)))
                y = norm(lib, p, f"{name}.bn2", _conv(lib, p, f"{name}.conv2", y))
                if f"{name}.short.0.weight" in p:
                    x = norm(lib, p, f"{name}.short.1", _conv(lib, p, f"{name}.short.0", x, s, 0))
                x = lib.relu(y + x)
        return _linear(p, "13", lib.m.mean(x, axis=(2, 3)))

    return step_of(lib, build, forward, *_images(32, 32, 10))


@case(group="training", contestants=CONTESTANTS, targets=faster(1.1), tolerance=1e-3)
def train_gpt(lib):
    """A GPT of 4 blocks (width 128, 4 heads, 64 characters of context, vocabulary of 96) on batches of 16."""
    width, heads, length, vocabulary = 128, 4, 64, 96
    text = random().integers(0, vocabulary, (16, length + 1)).astype(np.int32)

    def build(nn, Module):
        class Block(Module):
            def __init__(self):
                super().__init__()
                self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
                self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
                self.up, self.down, self.gelu = (
                    nn.Linear(width, 4 * width),
                    nn.Linear(4 * width, width),
                    nn.GELU(approximate="tanh"),
                )

            def forward(self, x):
                n, t, _ = x.shape
                qkv = self.qkv(self.norm1(x)).reshape(n, t, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
                h = nn.functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], is_causal=True)
                x = x + self.out(h.permute(0, 2, 1, 3).reshape(n, t, width))
                return x + self.down(self.gelu(self.up(self.norm2(x))))

        class GPT(Module):
            def __init__(self):
                super().__init__()
                self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
                self.blocks = nn.Sequential(*[Block() for _ in range(4)])
                self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

            def forward(self, x):
                x = self.tokens(x) + self.places.weight
                return self.head(self.norm(self.blocks(x)))

        return GPT()

    def forward(lib, p, x):
        norm = lambda name, x: lib.layer_norm(x, p[f"{name}.weight"], p[f"{name}.bias"])
        x = p["tokens.weight"][x] + p["places.weight"]
        n, t, _ = x.shape
        for i in range(4):
            name = f"blocks.{i}"
            h = _linear(p, f"{name}.qkv", norm(f"{name}.norm1", x)).reshape(n, t, 3, heads, width // heads)
            q, k, v = lib.m.transpose(h, (2, 0, 3, 1, 4))
            h = lib.m.swapaxes(lib.causal_attention(q, k, v), 1, 2).reshape(n, t, width)
            x = x + _linear(p, f"{name}.out", h)
            x = x + _linear(p, f"{name}.down", lib.gelu(_linear(p, f"{name}.up", norm(f"{name}.norm2", x))))
        return norm("norm", x) @ p["head.weight"].T

    return step_of(lib, build, forward, text[:, :-1].copy(), text[:, 1:].copy())
