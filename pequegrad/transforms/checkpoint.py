"""checkpoint: what the backward pass needs is computed again instead of kept. As jax.checkpoint."""

import functools

from ..core.errors import ArgumentError
from ..ops.creation import as_tensor
from ..primitives import calls as p
from .control_flow import through_graph
from .graphs import save_all


def save_nothing(primitive, avals, params):
    """Keep nothing but the arguments."""
    return False


def save_products(primitive, avals, params):
    """Keep the results of matrix products and convolutions."""
    return primitive.name in ("dot_general", "conv_general_dilated")


def save_products_without_batch(primitive, avals, params):
    """Keep the results of matrix products without batch axes: those of weights, not those of attention scores."""
    return primitive.name == "dot_general" and not params["batch"][0]


def save_names(*names):
    """Keep the values that checkpoint_name gave one of these names."""

    def policy(primitive, avals, params):
        return primitive.name == "checkpoint_name" and params["name"] in names

    return policy


def save_all_but_names(*names):
    """Keep everything except the values that checkpoint_name gave one of these names, and what they alone need."""

    def policy(primitive, avals, params):
        return not (primitive.name == "checkpoint_name" and params["name"] in names)

    return policy


class policies:
    """jax.checkpoint_policies: which values checkpoint keeps for the backward pass."""

    nothing_saveable = staticmethod(save_nothing)
    everything_saveable = staticmethod(save_all)
    dots_saveable = checkpoint_dots = staticmethod(save_products)
    dots_with_no_batch_dims_saveable = checkpoint_dots_with_no_batch_dims = staticmethod(save_products_without_batch)
    save_only_these_names = staticmethod(save_names)
    save_anything_except_these_names = staticmethod(save_all_but_names)

    @staticmethod
    def save_from_both_policies(a, b):
        """Keep what either policy keeps."""
        return lambda primitive, avals, params: a(primitive, avals, params) or b(primitive, avals, params)


def checkpoint(function=None, *, prevent_cse=True, policy=None, static_argnums=()):
    """`function` with less memory under reverse mode: only its arguments, and what `policy` says, are kept for it.

    The rest is computed again by the backward pass. policy(primitive, avals, params) -> bool, for instance one of
    `checkpoint_policies`. static_argnums: positions of arguments that are Python values. prevent_cse is accepted for
    compatibility: recomputation is never merged with the first computation.

    >>> grad(lambda x: checkpoint(block)(x).sum())(x)
    """
    if function is None:
        return functools.partial(checkpoint, prevent_cse=prevent_cse, policy=policy, static_argnums=static_argnums)
    if not callable(function):
        raise ArgumentError(f"checkpoint takes a function, got {type(function).__name__}.")
    keep = save_nothing if policy is None else policy
    fixed = {static_argnums} if isinstance(static_argnums, int) else set(static_argnums)

    @functools.wraps(function)
    def checkpointed(*args, **kwargs):
        apply = lambda graph, operands: p.checkpoint(*operands, graph=graph, policy=keep)
        return through_graph("checkpoint", function, args, kwargs, apply, {n % len(args) for n in fixed})

    return checkpointed


def checkpoint_name(x, name):
    """x, marked for the policies save_only_these_names and save_anything_except_these_names."""
    return p.checkpoint_name(as_tensor(x), name=name)
