"""Compares what an expression gives in pequegrad.jax_api and in JAX: its value, with dtype, weak type and shape, or its error.

    both("jnp.zeros(3).at[5].set(1)")

The names are jax, jnp, np, and the arrays of `scope`.
"""

import operator
import warnings

import jax
import numpy as np

import pequegrad.jax_api as pj

from .agreement import _same_kind, same


def scope(root):
    """The names that expressions use."""
    jnp = root.numpy
    return {
        "jax": root, "jnp": jnp, "np": np, "operator": operator,
        "x": jnp.arange(6.0).reshape(2, 3),
        "v": jnp.arange(5),
        "none": jnp.zeros((0, 3)),
        "mask": jnp.array([True, False, True, False, True]),
    }  # fmt: skip


_scopes = [scope(pj), scope(jax)]


def evaluated(expression, names):
    """(value, None, categories of the warnings) or (None, error, [])"""
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            return eval(expression, dict(names)), None, {w.category for w in seen}
    except Exception as error:
        return None, error, set()


def both(expression, rtol=None, exact=False):
    """Asserts that the expression gives the same in both libraries, or raises errors of one kind, with the same warnings."""
    (found, own_error, own_seen), (expected, error, seen) = (evaluated(expression, names) for names in _scopes)
    if error is not None:
        assert own_error is not None, f"{expression}: JAX raises {error!r}, pequegrad gives {found!r}"
        assert _same_kind(own_error, error), f"{expression}: JAX raises {error!r}, pequegrad {own_error!r}"
        return
    if own_error is not None:
        raise AssertionError(f"{expression}: pequegrad raises {own_error!r}, JAX gives {expected!r}") from own_error
    if isinstance(expected, type):
        assert found == expected, f"{expression}: {found}, JAX has {expected}"
        return
    same(found, expected, expression, rtol, exact=exact)
    ours, theirs = ({w for w in s if w in (UserWarning, FutureWarning, DeprecationWarning)} for s in (own_seen, seen))
    assert ours == theirs, f"{expression}: JAX warns {theirs}, pequegrad {ours}"
