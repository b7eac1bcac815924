"""jax.checkpoint (jax.remat) and its policies: what the backward pass needs is computed again instead of kept."""

import functools
from types import SimpleNamespace

from ..core.errors import ArgumentError
from ..core.node import face
from ..transforms import checkpoint as core
from ..transforms.graphs import linearize_graph
from ..transforms.signatures import signature
from ..transforms.trace import trace
from .convert import as_array

__all__ = ["checkpoint", "checkpoint_name", "checkpoint_policies", "print_saved_residuals", "remat"]


class _Deprecated:
    def __repr__(self):
        return "Deprecated"


_DEPRECATED = _Deprecated()


# ---- policies: (primitive, *avals, **params) -> bool, as in JAX --------------------------------------------


def _policy(function):
    """A policy of transforms.checkpoint in JAX's form; `checkpoint` takes the function itself."""

    def policy(prim, *avals, **params):
        return function(prim, avals, params)

    policy.of = function
    policy.__name__, policy.__doc__ = function.__name__, function.__doc__
    return policy


def _core_policy(policy):
    """A policy in JAX's form as transforms.checkpoint calls it."""
    return getattr(policy, "of", None) or (lambda prim, avals, params: bool(policy(prim, *avals, **params)))


def save_only_these_names(*names_which_can_be_saved):
    """Keep the values that checkpoint_name gave one of these names."""
    return _policy(core.save_names(*names_which_can_be_saved))


def save_anything_except_these_names(*names_not_to_save):
    """Keep everything except the values that checkpoint_name gave one of these names."""
    return _policy(core.save_all_but_names(*names_not_to_save))


def save_any_names_but_these(*names_not_to_save):
    """Keep the values that have names, except these names."""
    return _policy(
        lambda prim, avals, params: prim.name == "checkpoint_name" and params["name"] not in names_not_to_save
    )


def save_from_both_policies(policy_1, policy_2):
    """Keep what either policy keeps."""
    first, second = _core_policy(policy_1), _core_policy(policy_2)
    return _policy(lambda prim, avals, params: first(prim, avals, params) or second(prim, avals, params))


def save_and_offload_only_these_names(
    *, names_which_can_be_saved, names_which_can_be_offloaded, offload_src, offload_dst
):
    """Keep the values of both lists of names: the memory to which they would be moved is the one where they are."""
    return save_only_these_names(*names_which_can_be_saved, *names_which_can_be_offloaded)


def offload_dot_with_no_batch_dims(offload_src, offload_dst):
    """Keep the results of matrix products without batch axes: the memory to which they would be moved is the one where they are."""
    return checkpoint_policies.dots_with_no_batch_dims_saveable


_everything, _nothing, _dots, _dots_without_batch = map(
    _policy, (core.save_all, core.save_nothing, core.save_products, core.save_products_without_batch)
)
checkpoint_policies = SimpleNamespace(
    everything_saveable=_everything,
    nothing_saveable=_nothing,
    dots_saveable=_dots,
    checkpoint_dots=_dots,
    dots_with_no_batch_dims_saveable=_dots_without_batch,
    checkpoint_dots_with_no_batch_dims=_dots_without_batch,
    offload_dot_with_no_batch_dims=offload_dot_with_no_batch_dims,
    save_anything_except_these_names=save_anything_except_these_names,
    save_any_names_but_these=save_any_names_but_these,
    save_only_these_names=save_only_these_names,
    save_from_both_policies=save_from_both_policies,
    save_and_offload_only_these_names=save_and_offload_only_these_names,
)


# ---- checkpoint ------------------------------------------------------------------------------------------


def checkpoint(fun, *, prevent_cse=True, policy=None, static_argnums=(), static_argnames=(), concrete=_DEPRECATED):
    """`fun`, of which only the arguments, and what `policy` says, are kept for the backward pass.

    prevent_cse says nothing here: recomputation is never merged with the first computation.
    """
    if not callable(fun):
        raise ArgumentError(f"checkpoint takes a function, got {fun!r}.")
    if concrete is not _DEPRECATED:
        raise NotImplementedError("The option concrete of checkpoint is no longer in JAX: use static_argnums.")
    names = {static_argnames} if isinstance(static_argnames, str) else set(static_argnames)
    fixed = {static_argnums} if isinstance(static_argnums, int) else set(static_argnums)
    fixed |= {i for i, p in enumerate(signature(fun)) if p.name in names}
    keep = None if policy is None else _core_policy(policy)

    @functools.wraps(fun)
    def checkpointed(*args, **kwargs):
        static = {name: kwargs[name] for name in names if name in kwargs}
        moving = {name: value for name, value in kwargs.items() if name not in static}
        inner = functools.partial(fun, **static) if static else fun
        positions = tuple(n for n in fixed if -len(args) <= n < len(args))
        with face(True):
            return core.checkpoint(inner, policy=keep, static_argnums=positions)(*args, **moving)

    return checkpointed


def remat(fun, *, prevent_cse=True, policy=None, static_argnums=(), concrete=_DEPRECATED):
    """checkpoint under its other name."""
    return checkpoint(fun, prevent_cse=prevent_cse, policy=policy, static_argnums=static_argnums, concrete=concrete)


def checkpoint_name(x, name):
    """The tree x, marked for the policies that keep values by name."""
    from .tree_util import tree_map

    return tree_map(lambda leaf: core.checkpoint_name(as_array(leaf, "checkpoint_name"), name), x)


def print_saved_residuals(f, *args, **kwargs):
    """Prints the values that reverse mode keeps for f(*args, **kwargs), one per line."""
    from .transforms import abstract_leaf, flatten_abstract

    leaves, structure = flatten_abstract((args, kwargs))

    def call(values):
        args, kwargs = structure.unflatten(values)
        return f(*args, **kwargs)

    with face(True):
        graph, _, _ = trace(
            "print_saved_residuals", getattr(f, "__name__", "f"), list(map(abstract_leaf, leaves)), call
        )
        from ..transforms.control_flow import Closure

        closed = Closure([graph]).graphs[0]
        active = tuple(node.aval.dtype.kind in "fcV" for node in closed.placeholders)
        parts = linearize_graph(closed, active)
    for kind, index in parts.residuals:
        node = parts.forward.placeholders[index] if kind == "input" else parts.forward.outputs[index]
        where = "from an argument" if kind == "input" else f"output of {node.spec.primitive.name}"
        print(f"{node.aval} {where}")
