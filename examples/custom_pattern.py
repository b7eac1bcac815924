"""A rewrite pattern of your own: the compiler computes something better than what was written.

    python -m examples.custom_pattern

A pattern is an example of what to find and a function to compute instead. Here the logarithm of a softmax is written as in the
book, log(exp(x) / sum(exp(x))): scores beyond 88 overflow float32, and training ends in nan. With the pattern, registered in one
place, each jitted function that holds this formula, with its gradient, runs the stable one. The code itself stays as it is.

Expected: nan without the pattern, accuracy 0.95 with it, after about five seconds.
"""

import numpy as np

import pequegrad as pg
from examples.common import begin, finish, log
from examples.datasets import load_digits, load_mnist


def log_softmax_by_the_book(x):
    """log(exp(x_i) / sum_j exp(x_j))"""
    e = pg.exp(x)
    return pg.log(e / e.sum(-1, keepdims=True))


def loss(weights, images, labels):
    """The mean cross entropy of a linear classifier; not a word of patterns here."""
    return -(pg.one_hot(labels, 10) * log_softmax_by_the_book(images @ weights)).sum(-1).mean()


def train(options, images, labels):
    """(the weights after `steps` steps of gradient descent, the last loss, the program that ran as text)"""

    @pg.jit
    def step(weights, x, y):
        value, gradient = pg.value_and_grad(loss)(weights, x, y)
        return weights - 0.1 * gradient, value

    weights = pg.zeros((images.shape[1], 10), device=options.device)
    choose = np.random.default_rng(options.seed)
    for i in range(1, options.steps + 1):
        batch = choose.integers(0, len(labels), 256)
        weights, value = step(weights, images[batch], labels[batch])
        log(i, options.steps, loss=value)
    return weights, value


def main(argv=None):
    """Trains without and with the pattern; returns how well both read held-out digits."""
    options = begin("custom_pattern", __doc__, argv, steps=300, data="read MNIST's IDX files from DIR", picture=False)
    images, labels, test_images, test_labels = load_mnist(options.data_dir) if options.data_dir else load_digits()
    images, test_images = 16 * images, 16 * test_images  # the brightness as it is in the file: large scores

    def accuracy(weights):
        return np.mean((test_images @ weights.numpy()).argmax(-1) == test_labels)

    print("as it is written:")
    weights, naive_loss = train(options, images, labels)
    naive = accuracy(weights)

    @pg.pattern(log_softmax_by_the_book)
    def stable_log_softmax(x):
        return pg.log_softmax(x, -1)

    try:
        print("with the pattern, which the compiler now tries first:")
        weights, stable_loss = train(options, images, labels)
    finally:
        pg.unregister_pattern(stable_log_softmax)
    return finish(
        options, loss_as_written=naive_loss, accuracy_as_written=naive, loss=stable_loss, accuracy=accuracy(weights)
    )


if __name__ == "__main__":
    main()
