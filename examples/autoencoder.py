"""A variational autoencoder puts handwritten digits on a map of two dimensions.

    python -m examples.autoencoder
    python -m examples.autoencoder --data-dir ~/mnist

It shows random numbers inside a jitted step (each call draws new ones), a loss of two terms, and a decoder used by itself.
The encoder gives for each digit a normal distribution over the plane, the decoder a digit for each point; the loss is the
negative evidence lower bound in nats (Kingma and Welling, 2014).
Expected: a bound of -24 for held-out digits (from -45 at the beginning) after about ten seconds. The picture: the map of
the held-out digits, and what the decoder draws for points on a grid.
"""

import numpy as np

import pequegrad as pg
from examples.common import begin, finish, log, picture
from examples.datasets import load_digits, load_mnist
from pequegrad import nn, optim
from pequegrad.autodiff import grads, no_grad


class Autoencoder(nn.StatefulModule):
    """Pixels in 0 ... 1, [N, pixels], to two coordinates, and back."""

    def __init__(self, pixels):
        self.encoder = nn.Sequential(nn.Linear(pixels, 128), nn.SiLU(), nn.Linear(128, 64), nn.SiLU(), nn.Linear(64, 4))
        self.decoder = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, 128), nn.SiLU(), nn.Linear(128, pixels))

    def encode(self, x):
        """Means and logarithms of the variances, [N, 2] each."""
        return pg.split(self.encoder(x), 2, axis=-1)

    def bound(self, x):
        """The evidence lower bound, a mean over the batch, with one sample per digit."""
        mean, log_var = self.encode(x)
        z = mean + pg.exp(0.5 * log_var) * pg.randn(*mean.shape, device=mean.device)
        log_likelihood = -pg.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="none").sum(-1)
        divergence = 0.5 * (pg.exp(log_var) + mean**2 - 1 - log_var).sum(-1)
        return (log_likelihood - divergence).mean()


def grid_of_digits(model, side, n=12, reach=2.5):
    """What the decoder draws for n x n points in [-reach, reach]^2, as one image, the largest y above."""
    x, y = np.meshgrid(np.linspace(-reach, reach, n, dtype=np.float32), np.linspace(reach, -reach, n, dtype=np.float32))
    pixels = model.decoder(np.stack([x.ravel(), y.ravel()], 1)).sigmoid().numpy()
    framed = np.pad(pixels.reshape(n, n, side, side), ((0, 0), (0, 0), (1, 1), (1, 1)))
    return framed.transpose(0, 2, 1, 3).reshape(n * (side + 2), n * (side + 2))


def draw(figure, places, labels, grid):
    """Left the map of digits, right the digits of the map."""
    left, right = figure.subplots(1, 2)
    points = left.scatter(*places.T, c=labels, cmap="tab10", s=12, vmin=-0.5, vmax=9.5)
    figure.colorbar(points, ax=left, ticks=range(10))
    left.set(title="Held-out digits", xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), aspect="equal")
    right.imshow(grid, cmap="gray_r", extent=(-2.5, 2.5, -2.5, 2.5))
    right.set(title="What the decoder draws")


def main(argv=None):
    """Trains, and returns the bound for held-out digits."""
    options = begin("autoencoder", __doc__, argv, steps=1500, data="read MNIST's IDX files from DIR")
    images, _, test_images, test_labels = load_mnist(options.data_dir) if options.data_dir else load_digits()
    model = Autoencoder(images.shape[1]).to(options.device)
    optimizer = optim.Adam(model.parameters(), lr=optim.schedules.cosine(4e-3, options.steps))

    @pg.jit
    def step(x):
        loss = -model.bound(x)
        optimizer.step(grads(model.parameters(), loss))
        return loss

    choose = np.random.default_rng(options.seed)
    for i in range(1, options.steps + 1):
        loss = step(images[choose.integers(0, len(images), 128)])
        log(i, options.steps, loss=loss)

    with no_grad():
        bound = model.bound(test_images)
        places = model.encode(test_images)[0].numpy()
        grid = grid_of_digits(model, round(images.shape[1] ** 0.5))
    picture(options, lambda figure: draw(figure, places, test_labels, grid), size=(10, 4.6))
    return finish(options, bound=bound)


if __name__ == "__main__":
    main()
