"""The digit classifier in JAX's words: pure functions, trees of parameters, grad, jit and vmap.

    python -m examples.jax_mlp
    python -m examples.jax_mlp --data-dir ~/mnist

pequegrad.jax_api has the names of the package jax, so this file becomes a JAX program by changing one import. (Whole
programs that say `import jax` run as they are, too: see examples/jax.)
Expected: accuracy 0.97 after about five seconds.
"""

import numpy as np

import pequegrad.jax_api as jax  # or: import jax
import pequegrad.jax_api.numpy as jnp
from examples.common import begin, finish, log
from examples.datasets import load_digits, load_mnist


def init(key, sizes):
    """A list of layers, each a dict with "w" [inputs, outputs] and "b" [outputs]."""
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        {"w": jax.random.normal(k, (m, n)) * jnp.sqrt(2 / m), "b": jnp.zeros(n)}
        for k, m, n in zip(keys, sizes, sizes[1:])
    ]


def predict(params, image):
    """Log probabilities [10] of one image [pixels]."""
    *hidden, last = params
    for layer in hidden:
        image = jax.nn.relu(image @ layer["w"] + layer["b"])
    return jax.nn.log_softmax(image @ last["w"] + last["b"])


predict_batch = jax.vmap(predict, in_axes=(None, 0))  # written for one image, run for many


def loss(params, images, labels):
    return -jnp.mean(jnp.sum(predict_batch(params, images) * jax.nn.one_hot(labels, 10), axis=1))


@jax.jit
def update(params, velocity, images, labels):
    """A step of gradient descent with momentum, on the whole tree."""
    value, gradients = jax.value_and_grad(loss)(params, images, labels)
    velocity = jax.tree.map(lambda v, g: 0.9 * v - 0.05 * g, velocity, gradients)
    return jax.tree.map(jnp.add, params, velocity), velocity, value


def main(argv=None):
    """Trains, and returns the accuracy on held-out digits."""
    options = begin("jax_mlp", __doc__, argv, steps=500, data="read MNIST's IDX files from DIR", picture=False)
    images, labels, test_images, test_labels = load_mnist(options.data_dir) if options.data_dir else load_digits()
    params = init(jax.random.key(options.seed), [images.shape[1], 128, 10])
    velocity = jax.tree.map(jnp.zeros_like, params)
    choose = np.random.default_rng(options.seed)
    for step in range(1, options.steps + 1):
        batch = choose.integers(0, len(labels), 128)
        params, velocity, value = update(params, velocity, images[batch], labels[batch])
        log(step, options.steps, loss=value)
    accuracy = jnp.mean(predict_batch(params, test_images).argmax(1) == test_labels)
    return finish(options, loss=value, accuracy=accuracy)


if __name__ == "__main__":
    main()
