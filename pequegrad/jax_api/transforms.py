"""JAX's transforms: those of pequegrad.transforms under JAX's signatures, with Arrays as arguments of what they trace."""

import functools

from ..core.node import face
from ..transforms import gradients
from ..transforms import vmap as core_vmap
from ..transforms.tree import tree_map
from .convert import convertible


def arrays_of(tree):
    """`tree` with Arrays for its numbers and NumPy arrays; other leaves as they are."""
    return tree_map(lambda x: x if (found := convertible(x)) is None else found, tree)


def with_arrays(function):
    """`function`, with Arrays for the leaves of its arguments; what it traces gets Arrays, too."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        with face(True):
            args, kwargs = arrays_of((args, kwargs))
            return function(*args, **kwargs)

    return wrapped


def vmap(fun, in_axes=0, out_axes=0, axis_name=None, axis_size=None, spmd_axis_name=None, sum_match=False):
    """`fun` over an axis of its arguments; as jax.vmap."""
    return with_arrays(core_vmap.vmap(fun, in_axes, out_axes, axis_name, axis_size))


def grad(fun, argnums=0, has_aux=False, holomorphic=False, allow_int=False, reduce_axes=()):
    """The gradient of a scalar function; as jax.grad."""
    return with_arrays(gradients.grad(fun, argnums, has_aux))


def value_and_grad(fun, argnums=0, has_aux=False, holomorphic=False, allow_int=False, reduce_axes=()):
    """(value, gradient) of a scalar function; as jax.value_and_grad."""
    return with_arrays(gradients.value_and_grad(fun, argnums, has_aux))


def jvp(fun, primals, tangents, has_aux=False):
    """(fun(*primals), its derivative in the direction of the tangents); as jax.jvp."""
    with face(True):
        return gradients.jvp(fun, *arrays_of((tuple(primals), tuple(tangents))), has_aux=has_aux)


def vjp(fun, *primals, has_aux=False):
    """(fun(*primals), function from a cotangent to the cotangents of the primals); as jax.vjp."""
    with face(True):
        return gradients.vjp(fun, *arrays_of(primals), has_aux=has_aux)
