"""Networks of torch, as it exports them to ONNX: exported(name) gives the file's bytes, network(name) the module.

The export runs in a process of its own: python -m benchmarks.torch_models NAME PATH
"""

import os
import subprocess
import sys
import tempfile
import warnings

import torch
import torch.nn.functional as F
from torch import nn

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.short = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.short(x))


def resnet18():
    """ResNet-18 (He et al., 2016) with 1,000 classes: 11.7 million parameters."""
    blocks = [
        part
        for i, width in enumerate((64, 128, 256, 512))
        for part in (ResidualBlock(max(64, width // 2), width, 1 + (i > 0)), ResidualBlock(width, width, 1))
    ]
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


class GptBlock(nn.Module):
    """A decoder's block (Radford et al., 2019): causal attention and a perceptron."""

    def __init__(self, width=512, heads=8):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc, self.out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        n, time, width = x.shape
        split = lambda y: y.reshape(n, time, self.heads, width // self.heads).transpose(1, 2)
        q, k, v = map(split, self.qkv(self.ln_1(x)).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(n, time, width))
        return x + self.out(F.gelu(self.fc(self.ln_2(x))))


NETWORKS = {
    "resnet18": (resnet18, (1, 3, 224, 224), {0: "batch"}),
    "gpt_block": (GptBlock, (4, 256, 512), {0: "batch", 1: "time"}),
}


def network(name):
    """With the same random weights each time, for inference; what BatchNorm has seen is not mean 0 and variance 1."""
    torch.manual_seed(0)
    made = NETWORKS[name][0]()
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    return made.eval()


def export(name, path):
    _, shape, axes = NETWORKS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network(name), (torch.randn(shape),), path, dynamo=False, input_names=["x"], dynamic_axes={"x": axes}
        )


def exported(name):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        subprocess.run([sys.executable, "-m", "benchmarks.torch_models", name, path], check=True, cwd=ROOT)
        with open(path, "rb") as file:
            return file.read()


if __name__ == "__main__":
    export(*sys.argv[1:])
