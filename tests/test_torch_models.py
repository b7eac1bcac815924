"""A narrow ResNet-18 and a small GPT, written alike for torch and here: the same weights give the same logits and gradients."""

import pytest
import torch
import torch_layers as t

import pequegrad as pg
from pequegrad import nn


def resnet18(nn, module, relu, width=8, classes=10):
    """ResNet-18 (He et al., 2016) of a package: nn, its base class of modules, its relu."""

    class Block(module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            shortcut = [nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)]
            self.downsample = nn.Sequential(*shortcut) if stride > 1 or inputs != outputs else None

        def forward(self, x):
            y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
            return relu(y + (x if self.downsample is None else self.downsample(x)))

    class ResNet(module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.maxpool = nn.MaxPool2d(3, 2, 1)
            sizes = [width, width, 2 * width, 4 * width, 8 * width]
            for i in range(4):
                blocks = Block(sizes[i], sizes[i + 1], 1 + (i > 0)), Block(sizes[i + 1], sizes[i + 1], 1)
                setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
            self.avgpool = nn.AdaptiveAvgPool2d(1)
            self.fc = nn.Linear(8 * width, classes)

        def forward(self, x):
            x = self.maxpool(relu(self.bn1(self.conv1(x))))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return self.fc(self.avgpool(x).reshape(x.shape[0], -1))

    return ResNet()


def gpt(nn, module, positions, attend, vocabulary=17, width=16, heads=2, layers=2, length=12):
    """A GPT (Radford et al., 2019) of a package; positions(n), attend(layer, x): what the packages write differently."""

    class Block(module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))

        def forward(self, x):
            x = x + attend(self.attn, self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    class GPT(module):
        def __init__(self):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
            self.h = nn.ModuleList([Block() for _ in range(layers)])
            self.ln_f = nn.LayerNorm(width)
            self.head = nn.Linear(width, vocabulary, bias=False)

        def forward(self, tokens):
            x = self.wte(tokens) + self.wpe(positions(tokens.shape[1]))
            for block in self.h:
                x = block(x)
            return self.head(self.ln_f(x))

    return GPT()


def torch_attention(layer, x):
    n = x.shape[1]
    return layer(x, x, x, attn_mask=torch.ones(n, n, dtype=torch.bool).triu(1), need_weights=False)[0]


def our_attention(layer, x):
    return layer(x, x, x, need_weights=False, is_causal=True)[0]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_resnet18(training, rng):
    ours = resnet18(nn, nn.StatefulModule, pg.relu).to("float64")
    theirs = resnet18(torch.nn, torch.nn.Module, torch.relu).double()
    t.copy_weights(ours, theirs)
    t.compare(ours, theirs, [rng.normal(size=(4, 3, 32, 32))], training=training, tolerance=1e-8)


def test_gpt(rng):
    ours = gpt(nn, nn.StatefulModule, lambda n: pg.arange(n).astype("int32"), our_attention).to("float64")
    theirs = gpt(torch.nn, torch.nn.Module, torch.arange, torch_attention).double()
    t.copy_weights(ours, theirs)
    t.compare(ours, theirs, [rng.integers(0, 17, (3, 12))])


def test_both_train_alike_for_20_steps(rng):
    """SGD on the GPT with the loss of the next token: the losses stay those of torch."""
    ours = gpt(nn, nn.StatefulModule, lambda n: pg.arange(n).astype("int32"), our_attention)
    theirs = gpt(torch.nn, torch.nn.Module, torch.arange, torch_attention)
    t.copy_weights(ours, theirs)
    optimizer, reference = pg.optim.SGD(ours.parameters(), 0.1), torch.optim.SGD(theirs.parameters(), 0.1)
    loss_fn, loss_of_torch = nn.CrossEntropyLoss(label_smoothing=0.1), torch.nn.CrossEntropyLoss(label_smoothing=0.1)

    @pg.jit
    def step(x, y):
        loss = loss_fn(pg.swapaxes(ours(x), 1, 2), y)
        optimizer.step(pg.grads(ours.parameters(), loss))
        return loss

    for _ in range(20):
        x = rng.integers(0, 17, (4, 13))
        reference.zero_grad()
        expected = loss_of_torch(theirs(torch.tensor(x[:, :-1])).transpose(1, 2), torch.tensor(x[:, 1:]))
        expected.backward()
        reference.step()
        assert step(x[:, :-1].copy(), x[:, 1:].copy()).item() == pytest.approx(expected.item(), rel=1e-4)
