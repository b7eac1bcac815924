"""Training in mixed precision: the same network in float32, bfloat16 and float16.

    python -m examples.amp
    python -m examples.amp --data-dir ~/mnist

pg.amp rewrites what a function computes: products and convolutions in 16 bits, what is sensitive (losses, norms, sums) in
float32; parameters stay float32, and the network's code stays as it is. The gradients of float16 need a loss scale, since small ones
would be zero: optim.LossScale finds its size, and leaves out steps whose gradients overflow.
On a CPU this halves the memory of activations, but is no faster: 16-bit products are computed in float32 there.
Expected: accuracy 0.97 or more with each, after about 20 seconds.
"""

import numpy as np

import pequegrad as pg
from examples.common import begin, finish, log
from examples.datasets import load_images
from pequegrad import nn, optim
from pequegrad.autodiff import grads, no_grad
from pequegrad.tensor import dt


def network(side):
    """Images [N, 1, side, side] to one score per class [N, 10]."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16 * (side // 2) ** 2, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 10),
    )  # fmt: skip


def loss_of(model, x, y):
    """The mean cross entropy."""
    return model(x).cross_entropy_loss_indices(y)


def train(options, data, dtype):
    """Trains a network in this precision; returns its accuracy on held-out digits, and the last loss scale."""
    images, labels, test_images, test_labels = data
    pg.manual_seed(options.seed)
    model = network(images.shape[-1]).to(options.device)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    scale = optim.LossScale(initial=2.0**15 if dtype == dt.float16 else 1.0, interval=100, device=options.device)
    mixed_loss = loss_of if dtype == dt.float32 else pg.amp(loss_of, dtype=dtype)

    @pg.jit
    def step(x, y):
        loss = mixed_loss(model, x, y)
        scale.step(optimizer, grads(model.parameters(), scale(loss)))
        return loss

    choose = np.random.default_rng(options.seed)
    for i in range(1, options.steps + 1):
        batch = choose.integers(0, len(labels), 64)
        loss = step(images[batch], labels[batch])
        log(i, options.steps, loss=loss)
    assert all(p.dtype == dt.float32 for p in model.parameters())

    model.eval()
    with no_grad():
        predict = pg.jit(lambda x: model(x).argmax(-1))
        predicted = np.concatenate([predict(part).numpy() for part in np.array_split(test_images, 10)])
    return np.mean(predicted == test_labels), scale.scale.item()


def main(argv=None):
    """Trains in each precision; returns the accuracies."""
    options = begin("amp", __doc__, argv, steps=200, data="read MNIST's IDX files from DIR", picture=False)
    data = load_images(options.data_dir)
    results = {}
    for dtype in (dt.float32, dt.bfloat16, dt.float16):
        print(f"{dtype}:")
        results[str(dtype)], scale = train(options, data, dtype)
    return finish(options, **results, loss_scale=scale)


if __name__ == "__main__":
    main()
