"""Networks of torch, small, as people export them: MODELS says how to make each, and its inputs."""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from test_torch_models import resnet18
from torch import nn


class GptBlock(nn.Module):
    """A decoder's block (Radford et al., 2019): causal attention and a perceptron, each behind a LayerNorm and added to x."""

    def __init__(self, width=16, heads=2):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc, self.out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def attend(self, x, causal=True):
        n, time, width = x.shape
        q, k, v = (
            y.reshape(n, time, self.heads, width // self.heads).transpose(1, 2) for y in self.qkv(x).chunk(3, -1)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.proj(y.transpose(1, 2).reshape(n, time, width))

    def forward(self, x):
        x = x + self.attend(self.ln_1(x))
        return x + self.out(F.gelu(self.fc(self.ln_2(x))))


class Gpt(nn.Module):
    """Tokens -> scores of the next ones."""

    def __init__(self, vocabulary=11, width=16, length=16):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.block, self.ln = GptBlock(width), nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        return self.head(self.ln(self.block(x)))


class ViT(nn.Module):
    """A vision transformer (Dosovitskiy et al., 2021) of torch's own layers."""

    def __init__(self, size=16, patch=4, width=16, classes=5):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.places = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, width))
        layer = nn.TransformerEncoderLayer(
            width, 2, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, classes))

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.encoder(x)[:, 0])


class Recurrent(nn.Module):
    """Two bidirectional layers and a classifier of each time's state."""

    def __init__(self, kind):
        super().__init__()
        self.rnn = kind(4, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        y, last = self.rnn(x)
        return self.head(y), (last[0] if isinstance(last, tuple) else last)


def mlp():
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3), nn.Softmax(-1))


def lenet():
    """LeNet-5 (LeCun et al., 1998), narrow."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 5), nn.Sigmoid(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(6 * 4, 12), nn.ReLU(), nn.Linear(12, 10), nn.LogSoftmax(-1),
    )  # fmt: skip


def autoencoder():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.LeakyReLU(0.125), nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.ELU(),
        nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1), nn.SiLU(),
        nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.Hardswish(),
        nn.Upsample(scale_factor=2), nn.ConvTranspose2d(4, 2, 4, stride=2, padding=3), nn.Sigmoid(),
    )  # fmt: skip


@dataclasses.dataclass
class Model:
    """inputs(rng, batch, time) -> array; time: the axis of the input that is a time, which may have any length, or None."""

    build: Callable
    inputs: Callable
    time: int = None


def images(*shape):
    return lambda rng, batch, time: rng.standard_normal((batch, *shape))


def sequences(width):
    return lambda rng, batch, time: rng.standard_normal((batch, time, width))


MODELS = {
    "mlp": Model(mlp, images(6)),
    "lenet": Model(lenet, images(1, 16, 16)),
    "resnet18": Model(lambda: resnet18(nn, nn.Module, torch.relu, width=4), images(3, 32, 32)),
    "gpt": Model(Gpt, lambda rng, batch, time: rng.integers(0, 11, (batch, time)), time=1),
    "gpt_block": Model(GptBlock, sequences(16), time=1),
    "vit": Model(ViT, images(3, 16, 16)),
    "lstm": Model(lambda: Recurrent(nn.LSTM), sequences(4), time=1),
    "gru": Model(lambda: Recurrent(nn.GRU), sequences(4), time=1),
    "autoencoder": Model(autoencoder, images(2, 8, 8)),
}


def made(name, training=False):
    """The network, in float64, with the same random weights each time; no two are equal: the older exporter would make them one."""
    torch.manual_seed(0)
    network = MODELS[name].build().double()
    for p in network.parameters():
        p.data += torch.randn_like(p) / 10
    for part in network.modules():
        if hasattr(part, "eps"):
            part.eps = 2.0**-16  # a float32, as files hold it
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 1.5)
    return network.train(training)


def inputs(name, batch=2, time=5):
    return MODELS[name].inputs(np.random.default_rng(0), batch, time)
