"""A condensed AlexNet tells 100 classes of small colour images apart.

    python -m examples.alexnet_cifar                          # coloured digits, made of those in this repository
    python -m examples.alexnet_cifar --data-dir ~/cifar-100   # CIFAR-100 (binary version), 32x32 photographs

CIFAR is not in this repository. Without --data-dir the images are made of real handwriting: the digits in examples/data,
enlarged to 32x32 and written in one of ten inks on light paper. Class 10 d + i is the digit d in ink i.

It shows a pipeline of pequegrad.data.transforms, whose part in JitCompose runs as one program over a whole batch, and a
functional training step with SGD. allocator="custom" matters on CUDA devices only.
Expected with the defaults: accuracy 0.9 (by chance 0.01) after about 40 seconds. The picture: images with what they were taken for.
"""

from functools import partial

import numpy as np

import pequegrad as pg
from examples.common import begin, finish, log, picture, show_images
from examples.datasets import coloured_digits
from pequegrad import nn, optim
from pequegrad.autodiff import fngrad, no_grad
from pequegrad.data import CIFAR100, ArrayDataset, DataLoader
from pequegrad.data.transforms import Compose, EvalAndDetach, JitCompose, Normalize, RandomCrop, ToTensor
from pequegrad.tensor import Tensor

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
sgd = partial(optim.sgd, momentum=0.9)


class AlexNet(nn.StatefulModule):
    """Images [N, 3, 32, 32] to one score per class [N, classes]: AlexNet's five convolutions, with fewer channels."""

    def __init__(self, classes=100):
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 96, 3, padding=1), nn.ReLU(),
            nn.Conv2d(96, 64, 3, padding=1), nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, classes))
        for layer in self.features:
            if hasattr(layer, "weight"):
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, x):
        return self.classifier(self.features(x))


def load(folder):
    """(training set, test set) of uint8 images [3, 32, 32] with labels 0 ... 99."""
    if folder:
        return CIFAR100(folder, train=True), CIFAR100(folder, train=False)
    return ArrayDataset(*coloured_digits(train=True, copies=4)), ArrayDataset(*coloured_digits(train=False))


def main(argv=None):
    """Trains, and returns the accuracy on held-out images."""
    options = begin("alexnet_cifar", __doc__, argv, steps=400, data="read CIFAR-100's binary files from DIR")
    dev = options.device
    augment = Compose([ToTensor(dev), JitCompose([RandomCrop(32, padding=2), Normalize(MEAN, STD)]), EvalAndDetach()])
    prepare = Compose([ToTensor(dev), JitCompose([Normalize(MEAN, STD)]), EvalAndDetach()])
    train_set, test_set = load(options.data_dir)
    train = DataLoader(train_set, 64, shuffle=True, drop_last=True, seed=options.seed, transform=augment)
    test = DataLoader(test_set, 120, transform=prepare)

    model = AlexNet().to(dev)
    params_dict = model.tree_flatten()
    state = optim.sgd_init(params_dict, lr=0.02, momentum=0.9)

    @pg.jit.withargs(allocator="custom")
    def update_step(state, params_dict, x, y):
        x, y = x.to(dev), y.to(dev)
        y = Tensor.one_hot(100, y)

        def loss_fn(x, y, params):
            preds = nn.apply_to_module(model, params, x)
            return preds.cross_entropy_loss_probs(y)

        loss, (grads,) = fngrad(loss_fn, wrt=[2], return_outs=True)(x, y, params_dict)
        state, params_dict = sgd(params_dict, grads, state)
        return state, params_dict, loss

    step = 0
    while step < options.steps:
        for x, y in train:
            step += 1
            state, params_dict, loss = update_step(state, params_dict, x, Tensor(y))
            log(step, options.steps, loss=loss)
            if step == options.steps:
                break

    predict = pg.jit(lambda params, x: nn.apply_to_module(model, params, x).argmax(-1))
    with no_grad():
        batches = [(predict(params_dict, x).numpy(), y) for x, y in test]
    predicted, labels = (np.concatenate(parts) for parts in zip(*batches))

    shown = [test_set[i][0] / 255 for i in range(24)]
    titles = [f"{p}" + ("" if p == y else f" (is {y})") for p, y in zip(predicted[:24], labels)]
    picture(options, lambda figure: show_images(figure.subplots(3, 8), shown, titles), size=(9, 4))
    return finish(options, loss=loss, accuracy=np.mean(predicted == labels))


if __name__ == "__main__":
    main()
