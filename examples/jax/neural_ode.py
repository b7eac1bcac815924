"""A neural ordinary differential equation (Chen et al., 2018) learns the vector field of a spiral from points on it.

    python -m pequegrad.jax_api examples/jax/neural_ode.py

The gradient goes through an adaptive solver (odeint, whose derivative is the adjoint equation). Expected after the default 200 steps: a mean
squared error of about 0.01.
"""

import argparse

import jax
import jax.numpy as jnp
from jax import random
from jax.experimental.ode import odeint

TIMES = jnp.linspace(0.0, 3.0, 20)


def spiral(y, t):
    return jnp.array([[-0.1, 2.0], [-2.0, -0.1]]) @ y**3


def init(key):
    k1, k2 = random.split(key)
    return {
        "w1": random.normal(k1, (2, 32)),
        "b1": jnp.zeros(32),
        "w2": 0.1 * random.normal(k2, (32, 2)),
    }


def field(y, t, params):
    """dy/dt, of the state's cube as in the paper."""
    return jnp.tanh(y**3 @ params["w1"] + params["b1"]) @ params["w2"]


def loss(params, starts, targets):
    solve = lambda start: odeint(field, start, TIMES, params, rtol=1e-4, atol=1e-5)
    return jnp.mean((jax.vmap(solve)(starts) - targets) ** 2)


@jax.jit
def train_step(params, mean, square, step, starts, targets):
    value, grads = jax.value_and_grad(loss)(params, starts, targets)
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, grads)
    square = jax.tree.map(lambda s, g: 0.99 * s + 0.01 * g * g, square, grads)
    scale = 1e-2 * jnp.sqrt(1 - 0.99 ** (step + 1)) / (1 - 0.9 ** (step + 1))
    params = jax.tree.map(lambda p, m, s: p - scale * m / (jnp.sqrt(s) + 1e-7), params, mean, square)
    return params, mean, square, value


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    data_key, init_key = random.split(random.key(args.seed))
    angles = random.uniform(data_key, (16,), maxval=2 * jnp.pi)
    starts = 1.2 * jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    targets = jax.vmap(lambda start: odeint(spiral, start, TIMES))(starts)
    params = init(init_key)
    mean = square = jax.tree.map(jnp.zeros_like, params)
    for step in range(args.steps):
        params, mean, square, value = train_step(params, mean, square, step, starts, targets)
        if step % 50 == 0:
            print(f"step {step:4}  loss {value:.4f}")
    print(f"loss {value:.5f}")
    print(f"speed {jnp.linalg.norm(field(starts[0], 0.0, params)):.5f}")


if __name__ == "__main__":
    main()
