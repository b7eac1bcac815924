"""How long a training step waits for its data: python -m benchmarks.data_loader [--torch]

A small convolutional network is trained on batches of 128 images of 32x32 pixels, each cropped at random (padding 4), flipped and
normalised on its own in Python, by workers of several kinds. `waiting` is the share of the time of the second epoch that the
training loop spends in next(loader), its beginning included; `start` is how long the first batch of all took to come, workers
started; `stall` is the longest wait after an epoch's first batch. All are medians of the rounds. Workers and training share the
processors of the machine: where they are busy with other things, too, everything waits.
"""

import argparse
import os
import statistics
import time

import numpy as np

import pequegrad as pg
from pequegrad.data import ArrayDataset, DataLoader
from pequegrad.data.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip

SAMPLES, BATCH = 12800, 128


def training_step():
    """A jitted step of SGD of a network with two convolutions: step(x [N, 3, 32, 32], y [N]) -> loss."""
    rng = np.random.default_rng(0)
    shapes = [(32, 3, 3, 3), (32, 32, 3, 3), (2048, 10)]
    weights = [pg.Tensor(rng.normal(0, 0.05, shape).astype(np.float32)) for shape in shapes]

    def loss(w0, w1, w2, x, y):
        x = pg.max_pool2d(pg.relu(pg.conv2d(x, w0, padding=1)), 2)
        x = pg.max_pool2d(pg.relu(pg.conv2d(x, w1, padding=1)), 2)
        return pg.cross_entropy_loss_indices(x.reshape((x.shape[0], -1)) @ w2, y)

    @pg.jit
    def step(x, y):
        value, gradients = pg.fngrad(loss, wrt=[0, 1, 2], return_outs=True)(*weights, x, y)
        with pg.no_grad():
            for weight, gradient in zip(weights, gradients):
                weight -= 0.01 * gradient
        return value

    return lambda x, y: step(x, y).eval()


def dataset():
    """Random images with transforms that take about as long as real ones."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (SAMPLES, 3, 32, 32), np.uint8)
    transform = Compose([RandomCrop(32, padding=4), RandomHorizontalFlip(), Normalize(127.5, 64.0)])
    return ArrayDataset(images, rng.integers(0, 10, SAMPLES).astype(np.int32), transform=transform)


def torch_loader(data, **options):
    """torch's loader of the same dataset, for comparison; batches as NumPy arrays."""
    import torch.utils.data

    collate = lambda samples: [np.stack(part) for part in zip(*samples)]
    return torch.utils.data.DataLoader(
        data, BATCH, shuffle=True, persistent_workers=True, collate_fn=collate, drop_last=True, **options
    )


def measured(loader, step):
    """(share of waiting, batches per second, seconds to the first batch ever, longest wait for a later one)."""
    start = time.perf_counter()
    if hasattr(loader, "load_state_dict"):  # a short first epoch
        loader.load_state_dict(loader.state_dict() | {"position": len(loader) - 2})
    batches = iter(loader)
    step(*next(batches))
    first = time.perf_counter() - start
    for batch in batches:
        step(*batch)
    waited, begin = [], time.perf_counter()
    batches = iter(loader)
    while True:
        start = time.perf_counter()
        batch = next(batches, None)
        waited.append(time.perf_counter() - start)
        if batch is None:
            break
        step(*batch)
    total = time.perf_counter() - begin
    return sum(waited) / total, (len(waited) - 1) / total, first, max(waited[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", action="store_true", help="torch's loader, too")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    data, step = dataset(), training_step()
    kinds = {"in the loop": {}, "2 threads": {"num_workers": 2, "worker_kind": "thread"}}
    kinds |= {f"{n} processes": {"num_workers": n} for n in (1, 2, 4)}
    makers = {name: lambda o=o: DataLoader(data, BATCH, shuffle=True, drop_last=True, **o) for name, o in kinds.items()}
    if chosen.torch:
        makers["torch, 4 processes"] = lambda: torch_loader(data, num_workers=4)
    for _ in range(3):
        step(np.zeros((BATCH, 3, 32, 32), np.float32), np.zeros(BATCH, np.int32))
    print(f"{'workers':20} {'waiting':>8} {'batches/s':>10} {'start':>8} {'stall':>9}   {os.cpu_count()} processors")
    for name, make in makers.items():
        rounds = []
        for _ in range(chosen.rounds):
            loader = make()
            rounds.append(measured(loader, step))
            if hasattr(loader, "close"):
                loader.close()
        waiting, rate, first, stall = (statistics.median(column) for column in zip(*rounds))
        print(f"{name:20} {waiting:8.1%} {rate:10.1f} {first:6.2f} s {stall * 1e3:6.1f} ms", flush=True)


if __name__ == "__main__":
    main()
