# ruff: noqa: F722
"""jaxtyping: annotations of Arrays, checked by isinstance and by a small type checker of our own."""

import functools
import inspect
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import (
    Array,
    ArrayLike,
    Bool,
    Complex,
    Float,
    Float32,
    Inexact,
    Int,
    Key,
    Num,
    PRNGKeyArray,
    PyTree,
    Scalar,
    jaxtyped,
)
from report import cases, main, raised

X, N = jnp.ones((3, 4)), jnp.arange(3)
KEY = jax.random.key(0)


def check(value, annotation):
    if annotation is not Any and not isinstance(value, annotation):
        raise TypeError(f"{value} is no {annotation}")


def checker(function):
    """Checks arguments and result against the annotations."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            check(value, signature.parameters[name].annotation)
        result = function(*args, **kwargs)
        check(result, signature.return_annotation)
        return result

    return checked


@jaxtyped(typechecker=checker)
def product(x: Float[Array, "a b"], y: Float[Array, "b c"]) -> Float[Array, "a c"]:
    return x @ y


@jaxtyped(typechecker=checker)
def wrong(x: Float[Array, "a b"]) -> Float[Array, "b a"]:
    return x


cases(
    "isinstance",
    dtypes=lambda: [
        isinstance(x, t[Array, "..."]) for x in (X, N, X > 0, X * 1j) for t in (Float, Int, Bool, Complex, Num, Inexact)
    ],
    shapes=lambda: [isinstance(X, Float32[Array, s]) for s in ("3 4", "4 3", "_ 4", "*_", "a a", "1+2 4", "... 4")],
    half=lambda: [isinstance(X.astype(jnp.bfloat16), t[Array, "..."]) for t in (Float, Float32)],
    scalars=lambda: [isinstance(jnp.sum(X), Scalar), isinstance(X, Scalar), isinstance(2.0, Float[ArrayLike, ""])],
    keys=lambda: [
        isinstance(KEY, Key[Array, ""]),
        isinstance(KEY, PRNGKeyArray),
        isinstance(jax.random.PRNGKey(0), PRNGKeyArray),
    ],
    trees=lambda: [
        isinstance({"a": [X, X]}, PyTree[Float[Array, "3 4"]]),
        isinstance({"a": N}, PyTree[Float[Array, "..."]]),
    ],
)
cases(
    "checked",
    right=lambda: [product(X, X.T), jax.jit(product)(X, X.T), jax.vmap(product)(X[None], X.T[None])],
    gradient=lambda: jax.grad(lambda x: jnp.sum(product(x, X.T)))(X),
    wrong_size=lambda: raised(product, X, X),
    wrong_dtype=lambda: raised(product, N[None], X),
    wrong_result=lambda: [raised(wrong, X), raised(jax.jit(wrong), X), raised(wrong, X[:, :3])],
)
if __name__ == "__main__":
    main()
