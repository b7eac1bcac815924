"""A variational autoencoder of handwritten digits (Kingma and Welling, 2014).

    python -m pequegrad.jax_api examples/jax/vae.py

Expected after the default 500 steps: an evidence lower bound of about -20 nats per image, and digits that can be recognised.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

DIGITS = Path(__file__).resolve().parents[1] / "data" / "digits.npz"
LATENT = 8


class Adam(NamedTuple):
    """State of the optimiser: a pytree, since named tuples are."""

    step: jax.Array
    mean: dict
    square: dict


def dense(key, n_in, n_out):
    return {"w": random.normal(key, (n_in, n_out)) / jnp.sqrt(n_in), "b": jnp.zeros(n_out)}


def init(key):
    names = {
        "enc1": (64, 128),
        "mean": (128, LATENT),
        "log_var": (128, LATENT),
        "dec1": (LATENT, 128),
        "dec2": (128, 64),
    }
    return {name: dense(k, *shape) for k, (name, shape) in zip(random.split(key, len(names)), names.items())}


def linear(layer, x):
    return x @ layer["w"] + layer["b"]


def encode(params, x):
    h = jax.nn.softplus(linear(params["enc1"], x))
    return linear(params["mean"], h), linear(params["log_var"], h)


def decode(params, z):
    return linear(params["dec2"], jax.nn.softplus(linear(params["dec1"], z)))


def elbo(params, key, x):
    """The evidence lower bound of one image [64] in nats, with one sample."""
    mean, log_var = encode(params, x)
    z = mean + jnp.exp(0.5 * log_var) * random.normal(key, mean.shape)
    logits = decode(params, z)
    log_likelihood = -jnp.sum(jnp.logaddexp(0.0, jnp.where(x > 0.5, -1, 1) * logits))
    divergence = 0.5 * jnp.sum(jnp.exp(log_var) + mean**2 - 1.0 - log_var)
    return log_likelihood - divergence


def loss(params, key, images):
    keys = random.split(key, images.shape[0])
    return -jnp.mean(jax.vmap(elbo, in_axes=(None, 0, 0))(params, keys, images))


@jax.jit
def train_step(params, state, key, images):
    value, grads = jax.value_and_grad(loss)(params, key, images)
    step = state.step + 1
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state.mean, grads)
    square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g**2, state.square, grads)
    scale = 2e-3 * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    params = jax.tree.map(lambda p, m, s: p - scale * m / (jnp.sqrt(s) + 1e-8), params, mean, square)
    return params, Adam(step, mean, square), value


def show(images):
    """Images [n, 8, 8] side by side as text."""
    for row in np.moveaxis(images, 0, 1):
        print("   " + "  ".join("".join(" .:-=+*#@"[int(v * 8.99)] * 2 for v in line) for line in row))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with np.load(DIGITS, allow_pickle=False) as file:
        images = (file["images"].reshape(-1, 64) > 7).astype(np.float32)
    train, test = jnp.asarray(images[:1500]), jnp.asarray(images[1500:])
    init_key, data_key, eval_key, sample_key = random.split(random.key(args.seed), 4)
    params = init(init_key)
    zeros = jax.tree.map(jnp.zeros_like, params)
    state = Adam(jnp.zeros((), jnp.int32), zeros, zeros)
    for step in range(args.steps):
        choose, noise = random.split(random.fold_in(data_key, step))
        batch = random.choice(choose, train, (128,))
        params, state, value = train_step(params, state, noise, batch)
        if step % 100 == 0:
            print(f"step {step:4}  loss {value:.2f}")
    samples = jax.nn.sigmoid(decode(params, random.normal(sample_key, (8, LATENT))))
    show(np.asarray(samples).reshape(-1, 8, 8))
    print(f"loss {value:.5f}")
    print(f"elbo {-loss(params, eval_key, test):.5f}")
    print(f"brightness {samples.mean():.5f}")


if __name__ == "__main__":
    main()
