"""The digit classifier once more, with functions in place of objects that change.

    python -m examples.mlp_mnist_funcapi
    python -m examples.mlp_mnist_funcapi --data-dir ~/mnist

It shows the functional face of nn and optim: parameters are a dict, nn.apply_to_module runs the network with them, and
adam takes and gives a state. The step is a pure function, jitted as a whole, and the module itself never changes.
Expected: accuracy 0.97 after about five seconds.
"""

import numpy as np

import pequegrad as pg
from examples.common import begin, finish, log
from examples.datasets import load_digits, load_mnist
from pequegrad import nn
from pequegrad.autodiff import fngrad
from pequegrad.optim import adam, adam_init


class MLP(nn.StatefulModule):
    """Pixels [N, inputs] to one score per class [N, 10]."""

    def __init__(self, inputs):
        self.fc1 = nn.Linear(inputs, 200)
        self.fc2 = nn.Linear(200, 10)

    def forward(self, x):
        return self.fc2(self.fc1(x).relu())


def main(argv=None):
    """Trains, and returns the accuracy on held-out digits."""
    options = begin(
        "mlp_mnist_funcapi", __doc__, argv, steps=500, data="read MNIST's IDX files from DIR", picture=False
    )
    images, labels, test_images, test_labels = load_mnist(options.data_dir) if options.data_dir else load_digits()
    model = MLP(images.shape[1]).to(options.device)
    params = model.tree_flatten()  # {"fc1.weight": ..., "fc1.bias": ..., ...}
    state = adam_init(params, lr=2e-3)

    @pg.jit
    def update(state, params, x, y):
        def loss_fn(params):
            return nn.apply_to_module(model, params, x).cross_entropy_loss_indices(y)

        loss, (gradients,) = fngrad(loss_fn, return_outs=True)(params)
        state, params = adam(params, gradients, state)
        return state, params, loss

    choose = np.random.default_rng(options.seed)
    for step in range(1, options.steps + 1):
        batch = choose.integers(0, len(labels), 128)
        state, params, loss = update(state, params, images[batch], labels[batch])
        log(step, options.steps, loss=loss)

    scores = nn.apply_to_module(model, params, test_images)
    return finish(options, loss=loss, accuracy=np.mean(scores.argmax(-1).numpy() == test_labels))


if __name__ == "__main__":
    main()
