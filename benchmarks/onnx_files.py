"""onnxruntime's times for files that pequegrad and torch.onnx write of the same networks with the same weights.

    python -m benchmarks.onnx_files [network ...] [--threads 1] [--rounds 200]

Each network is written twice by each: for fixed sizes, and with a free batch. The files run in turn; the table has medians.
"""

import argparse
import io
import logging
import statistics
import time
import warnings
from contextlib import redirect_stdout
from types import SimpleNamespace

import numpy as np

import pequegrad as pg


def kits():
    """The same names in both libraries: (nn, Module, relu, attention, permute) of pequegrad and of torch."""
    import torch

    ours = SimpleNamespace(
        nn=pg.nn,
        Module=pg.nn.StatefulModule,
        relu=pg.relu,
        attention=pg.scaled_dot_product_attention,
        permute=pg.permute,
    )
    attention = torch.nn.functional.scaled_dot_product_attention
    theirs = SimpleNamespace(
        nn=torch.nn, Module=torch.nn.Module, relu=torch.relu, attention=attention, permute=torch.permute
    )
    return ours, theirs


def resnet18(kit, width=16):
    nn = kit.nn

    class Basic(kit.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.norm1, self.norm2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
            self.shortcut = nn.Identity()
            if stride > 1 or inputs != outputs:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x):
            y = kit.relu(self.norm1(self.conv1(x)))
            return kit.relu(self.norm2(self.conv2(y)) + self.shortcut(x))

    parts, inputs = (
        [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)],
        width,
    )
    for stride, outputs in ((1, width), (2, 2 * width), (2, 4 * width), (2, 8 * width)):
        parts += [Basic(inputs, outputs, stride), Basic(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 100)), (2, 3, 128, 128)


def block(kit, size, heads, causal):
    nn = kit.nn

    class Block(kit.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.qkv, self.out = nn.LayerNorm(size), nn.Linear(size, 3 * size), nn.Linear(size, size)
            self.norm2, self.act = nn.LayerNorm(size), nn.GELU()
            self.up, self.down = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)

        def forward(self, x):
            b, t, _ = x.shape
            qkv = kit.permute(self.qkv(self.norm1(x)).reshape((b, t, 3, heads, size // heads)), (2, 0, 3, 1, 4))
            seen = kit.attention(qkv[0], qkv[1], qkv[2], is_causal=causal)
            x = x + self.out(kit.permute(seen, (0, 2, 1, 3)).reshape((b, t, size)))
            return x + self.down(self.act(self.up(self.norm2(x))))

    return Block()


def gpt_block(kit):
    return block(kit, 256, 8, causal=True), (2, 128, 256)


def vit(kit, size=192, heads=3, blocks=4):
    nn = kit.nn

    class ViT(kit.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, size, 16, 16)
            self.blocks = nn.Sequential(*[block(kit, size, heads, causal=False) for _ in range(blocks)])
            self.norm, self.head = nn.LayerNorm(size), nn.Linear(size, 100)

        def forward(self, x):
            x = self.patches(x)
            x = kit.permute(x.reshape((x.shape[0], size, -1)), (0, 2, 1))
            return self.head(self.norm(self.blocks(x)).mean(1))

    return ViT(), (2, 3, 160, 160)


def lstm(kit):
    class Classifier(kit.Module):
        def __init__(self):
            super().__init__()
            self.rnn = kit.nn.LSTM(64, 128, num_layers=2, batch_first=True, bidirectional=True)
            self.head = kit.nn.Linear(256, 10)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    return Classifier(), (4, 64, 64)


NETWORKS = {"resnet18": resnet18, "gpt_block": gpt_block, "vit": vit, "lstm": lstm}


def files(make):
    """({name: bytes of a model}, an input, torch's result)"""
    import torch

    ours, theirs = kits()
    torch.manual_seed(0)
    (network, shape), (model, _) = make(theirs), make(ours)
    network.eval()
    names = dict(model.named_parameters() + model.named_buffers())
    state = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    model.eval().load_state_dict({name: value for name, value in state.items() if name in names})
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    found = {}
    for free in (False, True):
        axes = {"input": {0: "batch"}} if free else None
        written = pg.onnx.export(model, (x,), dynamic_axes=axes, input_names=["input"])
        found["pequegrad" + ", free batch" * free] = written.SerializeToString()
        file, shapes = io.BytesIO(), {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if free else {}
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(network, (torch.tensor(x),), file, dynamo=True, **shapes)
        found["torch" + ", free batch" * free] = file.getvalue()
    with torch.no_grad():
        return found, x, network(torch.tensor(x)).numpy()


def measured(models, x, expected, threads, rounds):
    """{name: median of the times in ms}"""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    runs, times = {}, {name: [] for name in models}
    for name, data in models.items():
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        runs[name] = lambda session=session: session.run(None, {session.get_inputs()[0].name: x})
        np.testing.assert_allclose(runs[name]()[0], expected, rtol=1e-3, atol=1e-5)
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(found) for name, found in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    print("| ms | pequegrad | torch | pequegrad, free batch | torch, free batch |\n|---|---|---|---|---|")
    for network in options.networks:
        models, x, expected = files(NETWORKS[network])
        found = measured(models, x, expected, options.threads, options.rounds)
        columns = "pequegrad", "torch", "pequegrad, free batch", "torch, free batch"
        print(f"| {network} | {' | '.join(f'{found[name]:.3g}' for name in columns)} |", flush=True)


if __name__ == "__main__":
    main()
