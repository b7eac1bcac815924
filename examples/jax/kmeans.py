"""k-means of handwritten digits: k-means++ seeds (Arthur and Vassilvitskii, 2007), Lloyd's iterations in a while_loop.

    python -m pequegrad.jax_api examples/jax/kmeans.py

Several runs side by side (vmap); the best one counts. Expected: centres that look like digits, and 80 % purity.
"""

import argparse
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.ops import segment_sum

DIGITS = Path(__file__).resolve().parents[1] / "data" / "digits.npz"


def distances(points, centres):
    """Squared distances [N, K]."""
    return jnp.sum(points**2, 1)[:, None] - 2 * points @ centres.T + jnp.sum(centres**2, 1)


def seeds(key, points, k):
    """k of the points, each new one with a probability proportional to its distance to the nearest before it."""
    first_key, rest_key = random.split(key)
    centres = jnp.full((k, points.shape[1]), jnp.inf).at[0].set(random.choice(first_key, points))

    def add(i, state):
        centres, nearest = state
        chosen = random.categorical(random.fold_in(rest_key, i), jnp.log(nearest + 1e-12))
        centres = lax.dynamic_update_index_in_dim(centres, points[chosen], i, axis=0)
        return centres, jnp.minimum(nearest, jnp.sum((points - points[chosen]) ** 2, axis=1))

    nearest = jnp.sum((points - centres[0]) ** 2, axis=1)
    return lax.fori_loop(1, k, add, (centres, nearest))[0]


@partial(jax.jit, static_argnums=(2, 3))
def kmeans(key, points, k, max_iterations):
    """(centres [k, D], assignment [N], inertia, iterations)"""

    def moved(state):
        _, change, _, i = state
        return (change > 1e-6) & (i < max_iterations)

    def iterate(state):
        centres, _, _, i = state
        labels = jnp.argmin(distances(points, centres), axis=1)
        counts = segment_sum(jnp.ones(len(points)), labels, num_segments=k)
        sums = segment_sum(points, labels, num_segments=k)
        new = jnp.where(counts[:, None] > 0, sums / jnp.maximum(counts, 1)[:, None], centres)
        return new, jnp.max(jnp.abs(new - centres)), labels, i + 1

    start = seeds(key, points, k), jnp.inf, jnp.zeros(len(points), jnp.int32), 0
    centres, _, labels, iterations = lax.while_loop(moved, iterate, start)
    inertia = jnp.maximum(distances(points, centres), 0).min(axis=1).sum()
    return centres, labels, inertia, iterations


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100, help="most iterations")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with np.load(DIGITS, allow_pickle=False) as file:
        points, classes = file["images"].reshape(-1, 64).astype(np.float32) / 16, file["labels"]
    keys = random.split(random.key(args.seed), 8)
    centres, labels, inertia, iterations = jax.vmap(lambda key: kmeans(key, points, 10, args.steps))(keys)
    best = jnp.argmin(inertia)
    table = jnp.zeros((10, 10), int).at[labels[best], classes].add(1)
    for row in np.asarray(centres[best]).reshape(2, 5, 8, 8):
        for line in np.moveaxis(row, 0, 1):
            print("   " + "  ".join("".join(" .:-=+*#@"[int(v * 8.99)] * 2 for v in image) for image in line))
    print(f"inertia {inertia[best]:.2f}")
    print(f"iterations {iterations[best]}")
    print(f"purity {table.max(axis=1).sum() / len(classes):.4f}")


if __name__ == "__main__":
    main()
