"""A trained network on 8-bit integers: a quarter of the bytes, and what that costs.

    python -m examples.quantised_mlp
    python -m examples.quantised_mlp --data-dir ~/mnist

It shows nn.quantize: for each Linear layer int8 weights, with a scale per output, and int8 inputs, with a scale that
calibration on some of the training digits finds. The original stays as it is. Sums of products are taken in float32, so
that this is about memory and about how accurate int8 is; it is no faster on a CPU.
Expected: accuracy 0.98 before and after (a digit more or less), 29 % of the bytes, outputs that agree to 50 dB, after about
five seconds.
"""

import numpy as np

import pequegrad as pg
from examples.common import begin, finish
from examples.datasets import load_digits, load_mnist
from pequegrad import nn, optim
from pequegrad.data import ArrayDataset, DataLoader


def loss(model, images, labels):
    """The mean cross entropy."""
    return model(images).cross_entropy_loss_indices(labels)


def accuracy(model, images, labels):
    """The fraction of digits that are read as what they are."""
    return (model(images).argmax(-1) == labels).mean()


def main(argv=None):
    """Trains, quantises, and returns accuracy and bytes before and after."""
    data = "read MNIST's IDX files from DIR"
    options = begin("quantised_mlp", __doc__, argv, steps=300, data=data, picture=False)
    images, labels, test_images, test_labels = load_mnist(options.data_dir) if options.data_dir else load_digits()
    train = DataLoader(ArrayDataset(images, labels), batch_size=64, shuffle=True, seed=options.seed)
    test = DataLoader(ArrayDataset(test_images, test_labels), batch_size=120)

    model = nn.Sequential(nn.Linear(images.shape[1], 200), nn.ReLU(), nn.Linear(200, 10)).to(options.device)
    optimizer = optim.Adam(model.parameters(), lr=5e-3)
    pg.train.fit(model, optimizer, train, loss, epochs=-(-options.steps // len(train)), steps=options.steps)

    small = nn.quantize(model, np.array_split(images[:512], 4))
    print(small)
    report = nn.quantization_report(model, small, test, accuracy)
    print(report)
    before, after = report.metric
    share = report.bytes[1] / report.bytes[0]
    return finish(options, accuracy=before, accuracy_int8=after, bytes_share=share, decibels=report.signal_to_noise)


if __name__ == "__main__":
    main()
