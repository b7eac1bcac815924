"""A small convolutional network learns to read handwritten digits.

    python -m examples.conv_mnist                       # 1,797 digits of 8x8 pixels, in this repository
    python -m examples.conv_mnist --data-dir ~/mnist    # MNIST's four IDX files, gzipped or not

It shows a network of layers in Sequential, a DataLoader, and pg.train.fit, which runs the loop: one jitted program for
loss, gradients and optimiser, and after each epoch the accuracy on digits that were held out.
Expected: accuracy 0.98 after about ten seconds. The picture: digits that are misread.
"""

import numpy as np

import pequegrad as pg
from examples.common import begin, finish, picture, show_images
from examples.datasets import load_images
from pequegrad import nn, optim
from pequegrad.autodiff import no_grad
from pequegrad.data import ArrayDataset, DataLoader


def network(side):
    """Images [N, 1, side, side] to one score per class [N, 10]."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(32 * (side // 2) ** 2, 10),
    )


def loss(model, images, labels):
    """The mean cross entropy."""
    return model(images).cross_entropy_loss_indices(labels)


def accuracy(model, images, labels):
    """The fraction of digits that are read as what they are."""
    return (model(images).argmax(-1) == labels).mean()


def main(argv=None):
    """Trains, and returns the accuracy on held-out digits."""
    options = begin("conv_mnist", __doc__, argv, steps=300, data="read MNIST's IDX files from DIR")
    images, labels, test_images, test_labels = load_images(options.data_dir)
    train = DataLoader(ArrayDataset(images, labels), batch_size=64, shuffle=True, seed=options.seed)
    test = DataLoader(ArrayDataset(test_images, test_labels), batch_size=360)

    model = network(side=images.shape[-1]).to(options.device)
    print(model.summary((1, *images.shape[1:])))
    optimizer = optim.Adam(model.parameters(), lr=optim.schedules.cosine(5e-3, options.steps))
    epochs = -(-options.steps // len(train))
    history = pg.train.fit(
        model,
        optimizer,
        train,
        loss,
        epochs=epochs,
        steps=options.steps,
        validation=test,
        metrics={"accuracy": accuracy},
    )
    model.eval()
    with no_grad():
        read = model(test_images).argmax(-1).numpy()
    wrong = np.flatnonzero(read != test_labels)[:8]
    titles = [f"{test_labels[i]}, read as {read[i]}" for i in wrong]
    draw = lambda figure: show_images(figure.subplots(1, 8), test_images[wrong, 0], titles)
    picture(options, draw, size=(10, 1.9))
    return finish(options, loss=history[-1]["validation_loss"], accuracy=history[-1]["validation_accuracy"])


if __name__ == "__main__":
    main()
