"""A multilayer perceptron from scratch learns to read digits: parameters are a list, the optimiser is four lines.

    python -m pequegrad.jax_api examples/jax/mlp.py

Expected after the default 300 steps: about 97 % of the held-out digits right.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import grad, jit, random, value_and_grad, vmap

DIGITS = Path(__file__).resolve().parents[1] / "data" / "digits.npz"


def load_digits():
    """(train images float32 [1437, 64] in 0..1, train labels [1437], test images [360, 64], test labels [360])"""
    with np.load(DIGITS, allow_pickle=False) as file:
        images, labels = file["images"].reshape(-1, 64).astype(np.float32) / 16, file["labels"].astype(np.int32)
    test = np.zeros(len(labels), bool)
    test[np.argsort(labels, kind="stable")[::5]] = True
    return images[~test], labels[~test], images[test], labels[test]


def init_layer(key, n_in, n_out):
    w_key, b_key = random.split(key)
    return random.normal(w_key, (n_out, n_in)) * jnp.sqrt(2 / n_in), 0.01 * random.normal(b_key, (n_out,))


def init_network(key, sizes):
    keys = random.split(key, len(sizes) - 1)
    return [init_layer(k, m, n) for k, m, n in zip(keys, sizes[:-1], sizes[1:])]


def predict(params, image):
    """Log probabilities [10] of one image [64]."""
    activations = image
    for w, b in params[:-1]:
        activations = jax.nn.relu(jnp.dot(w, activations) + b)
    w, b = params[-1]
    return jax.nn.log_softmax(jnp.dot(w, activations) + b)


batched_predict = vmap(predict, in_axes=(None, 0))


def loss(params, images, labels):
    log_probs = batched_predict(params, images)
    return -jnp.mean(jnp.sum(log_probs * jax.nn.one_hot(labels, 10), axis=1))


@jit
def accuracy(params, images, labels):
    return jnp.mean(jnp.argmax(batched_predict(params, images), axis=1) == labels)


@jit
def update(params, velocity, images, labels, lr=0.1, momentum=0.9):
    value, gradient = value_and_grad(loss)(params, images, labels)
    velocity = jax.tree.map(lambda v, g: momentum * v - lr * g, velocity, gradient)
    return jax.tree.map(jnp.add, params, velocity), velocity, value


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    train_images, train_labels, test_images, test_labels = load_digits()
    key, init_key = random.split(random.PRNGKey(args.seed))
    params = init_network(init_key, [64, 128, 64, 10])
    velocity = jax.tree.map(jnp.zeros_like, params)
    for step in range(args.steps):
        batch = random.randint(random.fold_in(key, step), (128,), 0, len(train_labels))
        params, velocity, value = update(params, velocity, train_images[batch], train_labels[batch])
        if step % 100 == 0:
            print(f"step {step:4}  loss {value:.3f}")
    steepest = grad(lambda x: predict(params, x)[3])(test_images[0])  # which pixels make it a 3
    print(f"loss {loss(params, train_images, train_labels):.6f}")
    print(f"accuracy {accuracy(params, test_images, test_labels):.4f}")
    print(f"saliency {jnp.linalg.norm(steepest):.6f}")


if __name__ == "__main__":
    main()
