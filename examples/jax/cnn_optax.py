"""A convolutional network reads digits; optax brings the optimiser.

    python -m pequegrad.jax_api examples/jax/cnn_optax.py

Expected after the default 200 steps: about 98 % of the held-out digits right.
"""

import argparse
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

DIGITS = Path(__file__).resolve().parents[1] / "data" / "digits.npz"
LAYOUT = ("NHWC", "HWIO", "NHWC")


def load_digits():
    """(train images float32 [1437, 8, 8, 1] in 0..1, train labels [1437], test images [360, 8, 8, 1], test labels [360])"""
    with np.load(DIGITS, allow_pickle=False) as file:
        images, labels = file["images"][..., None].astype(np.float32) / 16, file["labels"].astype(np.int32)
    test = np.zeros(len(labels), bool)
    test[np.argsort(labels, kind="stable")[::5]] = True
    return images[~test], labels[~test], images[test], labels[test]


def init(key):
    k1, k2, k3 = jax.random.split(key, 3)
    he = jax.nn.initializers.he_normal()
    return {
        "conv1": {"w": he(k1, (3, 3, 1, 16)), "b": jnp.zeros(16)},
        "conv2": {"w": he(k2, (3, 3, 16, 32)), "b": jnp.zeros(32)},
        "dense": {"w": jax.nn.initializers.glorot_uniform()(k3, (128, 10)), "b": jnp.zeros(10)},
    }


def conv(layer, x):
    return lax.conv_general_dilated(x, layer["w"], (1, 1), "SAME", dimension_numbers=LAYOUT) + layer["b"]


def max_pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def apply(params, x):
    """Scores [N, 10] of images [N, 8, 8, 1]."""
    for name in ("conv1", "conv2"):
        x = max_pool(jax.nn.relu(conv(params[name], x)))
    return x.reshape(len(x), -1) @ params["dense"]["w"] + params["dense"]["b"]


def loss_fn(params, images, labels):
    scores = apply(params, images)
    loss = optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()
    return loss, jnp.mean(scores.argmax(-1) == labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    train_images, train_labels, test_images, test_labels = load_digits()
    schedule = optax.warmup_cosine_decay_schedule(0.0, 3e-3, 20, max(args.steps, 21))
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-4))
    params = init(jax.random.key(args.seed))
    opt_state = optimizer.init(params)

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params, opt_state, images, labels):
        (loss, accuracy), grads = jax.value_and_grad(loss_fn, has_aux=True)(params, images, labels)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss, accuracy

    rng = np.random.default_rng(args.seed)
    for i in range(args.steps):
        batch = rng.integers(len(train_labels), size=128)
        params, opt_state, loss, accuracy = step(params, opt_state, train_images[batch], train_labels[batch])
        if i % 50 == 0:
            print(f"step {i:4}  loss {loss:.3f}  accuracy {accuracy:.1%}")
    loss, accuracy = jax.jit(loss_fn)(params, test_images, test_labels)
    print(f"loss {loss:.6f}")
    print(f"accuracy {accuracy:.4f}")
    print(f"norm {optax.global_norm(params):.6f}")


if __name__ == "__main__":
    main()
