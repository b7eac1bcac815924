"""A narrow residual network with batch normalisation learns ten classes of colour images.

    python -m examples.resnet_cifar                         # coloured digits, made of those in this repository
    python -m examples.resnet_cifar --data-dir ~/cifar-10   # CIFAR-10 (binary version), 32x32 photographs

CIFAR is not in this repository. Without --data-dir the images are made of real handwriting: the digits in examples/data,
enlarged to 32x32, in coloured inks on coloured paper; the class is the digit.

It shows blocks with a shortcut (He et al., 2016), buffers (running means of BatchNorm) that a jitted step updates, and
pg.train.fit with validation, a cosine schedule and checkpoints: a run that was interrupted goes on if it is started again
with --folder. Expected with the defaults: accuracy 0.98 after about 40 seconds. The picture: loss and accuracy over time.
"""

import pequegrad as pg
from examples.common import begin, finish, picture
from examples.datasets import coloured_digits
from pequegrad import nn, optim
from pequegrad.data import CIFAR10, ArrayDataset, DataLoader
from pequegrad.data.transforms import Compose, Normalize, RandomCrop, ToTensor

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


class Block(nn.StatefulModule):
    """relu(shortcut(x) + norm(conv(relu(norm(conv(x)))))); with stride 2 half the height and width."""

    def __init__(self, inputs, outputs, stride=1):
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return (self.shortcut(x) + self.residual(x)).relu()


def resnet8(classes=10, width=16):
    """Images [N, 3, 32, 32] to one score per class [N, classes]: seven convolutions and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        Block(width, width), Block(width, 2 * width, stride=2), Block(2 * width, 4 * width, stride=2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes),
    )  # fmt: skip


def load(folder):
    """(training set, test set) of uint8 images [3, 32, 32] with labels 0 ... 9."""
    if folder:
        return CIFAR10(folder, train=True), CIFAR10(folder, train=False)
    sets = coloured_digits(train=True, copies=2), coloured_digits(train=False)
    return [ArrayDataset(images, labels // 10) for images, labels in sets]


def loss(model, images, labels):
    """The mean cross entropy."""
    return model(images).cross_entropy_loss_indices(labels)


def accuracy(model, images, labels):
    """The fraction of images that are taken for what they are."""
    return (model(images).argmax(-1) == labels).mean()


def draw(figure, history):
    """The curves of loss and accuracy."""
    left, right = figure.subplots(1, 2)
    left.plot(history["step"], history["loss"], ".-", label="training")
    left.plot(history["step"], history["validation_loss"], ".-", label="held-out")
    left.set(title="Cross entropy", xlabel="step", ylim=(0, None))
    left.legend()
    right.plot(history["step"], history["validation_accuracy"], ".-", color="tab:orange")
    right.set(title="Held-out accuracy", xlabel="step", ylim=(0, 1.02))


def main(argv=None):
    """Trains, and returns the accuracy on held-out images."""
    more = {"--folder": "keep checkpoints in this folder, and go on from the last one there"}
    options = begin("resnet_cifar", __doc__, argv, steps=240, data="read CIFAR-10's binary files from DIR", more=more)
    augment = Compose([ToTensor(options.device), RandomCrop(32, padding=2), Normalize(MEAN, STD)])
    prepare = Compose([ToTensor(options.device), Normalize(MEAN, STD)])
    train_set, test_set = load(options.data_dir)
    train = DataLoader(train_set, 64, shuffle=True, drop_last=True, seed=options.seed, transform=augment)
    test = DataLoader(test_set, 120, transform=prepare)

    model = resnet8().to(options.device)
    schedule = optim.schedules.one_cycle(2e-2, max(options.steps, 10))
    optimizer = optim.AdamW(model.parameters(), lr=schedule, weight_decay=1e-3)
    history = pg.train.fit(
        model, optimizer, train, loss, epochs=-(-options.steps // len(train)), steps=options.steps,
        validation=test, metrics={"accuracy": accuracy}, folder=options.folder,
    )  # fmt: skip
    picture(options, lambda figure: draw(figure, history))
    return finish(options, loss=history[-1]["validation_loss"], accuracy=history[-1]["validation_accuracy"])


if __name__ == "__main__":
    main()
