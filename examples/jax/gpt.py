"""A transformer learns the letters of this repository's documentation, and writes some of its own.

    python -m pequegrad.jax_api examples/jax/gpt.py

Expected after the default 200 steps: about 2.0 nats per letter (3.2 if only the frequencies of letters are known).
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

DOCS = Path(__file__).resolve().parents[2] / "docs"
CONTEXT, WIDTH, HEADS, LAYERS = 64, 64, 4, 2


def load_text():
    """(letters as numbers int32 [N], the alphabet)"""
    text = "\n".join(path.read_text("utf-8") for path in sorted(DOCS.glob("*.md")))
    alphabet = sorted(set(text))
    number = {letter: i for i, letter in enumerate(alphabet)}
    return np.array([number[letter] for letter in text], np.int32), alphabet


def init(key, vocabulary):
    keys = iter(random.split(key, 3 + 4 * LAYERS))

    def matrix(n, m, scale=1.0):
        return scale * random.normal(next(keys), (n, m)) / jnp.sqrt(n)

    def block():
        return {
            "norm1": jnp.ones(WIDTH), "qkv": matrix(WIDTH, 3 * WIDTH), "out": matrix(WIDTH, WIDTH, 0.5),
            "norm2": jnp.ones(WIDTH), "up": matrix(WIDTH, 4 * WIDTH), "down": matrix(4 * WIDTH, WIDTH, 0.5),
        }  # fmt: skip

    return {
        "letters": matrix(vocabulary, WIDTH, 0.5),
        "places": matrix(CONTEXT, WIDTH, 0.5),
        "blocks": [block() for _ in range(LAYERS)],
        "norm": jnp.ones(WIDTH),
        "head": matrix(WIDTH, vocabulary),
    }


def layer_norm(scale, x):
    mean = x.mean(-1, keepdims=True)
    var = jnp.var(x, axis=-1, keepdims=True)
    return scale * (x - mean) * lax.rsqrt(var + 1e-5)


def attention(p, x):
    """Causal self-attention: [T, W] -> [T, W]"""
    q, k, v = (a.reshape(len(x), HEADS, -1).transpose(1, 0, 2) for a in jnp.split(x @ p["qkv"], 3, axis=-1))
    scores = jnp.einsum("htd,hsd->hts", q, k) / jnp.sqrt(q.shape[-1])
    mask = jnp.tril(jnp.ones((len(x), len(x)), bool))
    weights = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), axis=-1)
    return jnp.einsum("hts,hsd->thd", weights, v).reshape(x.shape) @ p["out"]


def model(params, letters):
    """Scores [T, vocabulary] of the letter after each of letters [T]."""
    x = params["letters"][letters] + params["places"][: len(letters)]
    for p in params["blocks"]:
        x = x + attention(p, layer_norm(p["norm1"], x))
        x = x + jax.nn.gelu(layer_norm(p["norm2"], x) @ p["up"]) @ p["down"]
    return layer_norm(params["norm"], x) @ params["head"]


def loss(params, batch):
    """Mean nats per letter of batch [N, T + 1]."""
    scores = jax.vmap(model, in_axes=(None, 0))(params, batch[:, :-1])
    log_probs = jax.nn.log_softmax(scores)
    return -jnp.take_along_axis(log_probs, batch[:, 1:, None], axis=-1).mean()


@jax.jit
def train_step(params, moments, step, batch):
    value, grads = jax.value_and_grad(loss)(params, batch)
    moments = jax.tree.map(lambda g, m: (0.9 * m[0] + 0.1 * g, 0.99 * m[1] + 0.01 * g * g), grads, moments)
    rate = 3e-3 * jnp.minimum(1.0, (step + 1) / 20)

    def updated(p, m):
        mean, square = m[0] / (1 - 0.9 ** (step + 1)), m[1] / (1 - 0.99 ** (step + 1))
        return p - rate * mean / (jnp.sqrt(square) + 1e-8)

    return jax.tree.map(updated, params, moments), moments, value


def write(params, key, start, length):
    """`length` letters after those in start [CONTEXT]."""

    def next_letter(carry, key):
        letters = carry
        letter = random.categorical(key, model(params, letters)[-1] / 0.8)
        return jnp.roll(letters, -1).at[-1].set(letter), letter

    return lax.scan(next_letter, start, random.split(key, length))[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    text, alphabet = load_text()
    init_key, data_key, write_key = random.split(random.key(args.seed), 3)
    params = init(init_key, len(alphabet))
    moments = jax.tree.map(lambda p: (jnp.zeros_like(p), jnp.zeros_like(p)), params)
    losses = []
    for step in range(args.steps):
        starts = random.randint(random.fold_in(data_key, step), (16, 1), 0, len(text) - CONTEXT - 1)
        batch = text[np.asarray(starts + jnp.arange(CONTEXT + 1))]
        params, moments, value = train_step(params, moments, step, batch)
        losses.append(value)
        if step % 50 == 0:
            print(f"step {step:4}  loss {value:.3f}")
    letters = jax.jit(write, static_argnums=3)(params, write_key, text[:CONTEXT], 120)
    print("".join(alphabet[i] for i in letters))
    print(f"loss {jnp.mean(jnp.stack(losses[-20:])):.6f}")
    print(f"parameters {sum(p.size for p in jax.tree.leaves(params))}")


if __name__ == "__main__":
    main()
