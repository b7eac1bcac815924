"""einops: its functions on Arrays, eagerly, under jit and grad."""

import einops
import jax
import jax.numpy as jnp
from report import cases, main

X = jax.random.normal(jax.random.key(0), (2, 3, 4, 4))
W = jax.random.normal(jax.random.key(1), (4, 5))

FUNCTIONS = {
    "rearrange": lambda x: einops.rearrange(x, "b c (h i) w -> b (c i) h w", i=2),
    "mean": lambda x: einops.reduce(x, "b c (h i) (w j) -> b c h w", "mean", i=2, j=2),
    "max": lambda x: einops.reduce(x, "b c h w -> b c 1 1", "max"),
    "sum": lambda x: einops.reduce(x, "b ... -> b", "sum"),
    "prod": lambda x: einops.reduce(x, "b c h w -> h", "prod"),
    "repeat": lambda x: einops.repeat(x, "b c h w -> b c (h i) w n", i=2, n=3),
    "einsum": lambda x: einops.einsum(x, W, "b c h w, w o -> b h c o"),
    "packed": lambda x: einops.pack([x, x[:, :, 0, 0]], "b c *")[0],
}
both = lambda f: [f(X), jax.jit(f)(X), jax.grad(lambda x: jnp.sum(jnp.sin(f(x))))(X), jax.vmap(f)(X[None])]
cases("function", **{n: lambda f=f: both(f) for n, f in FUNCTIONS.items()})
cases(
    "other",
    unpack=lambda: einops.unpack(X.reshape(2, 48), [(3, 4), (36,)], "b *"),
    shape=lambda: str(einops.parse_shape(X, "b c _ w")),
    error=lambda: list(_message(lambda: einops.rearrange(X, "a b -> b a")).splitlines()[:1]),
)


def _message(f):
    try:
        f()
    except Exception as error:
        return f"{type(error).__name__} {error}"
    return "nothing"


if __name__ == "__main__":
    main()
