"""vmap: a function of one example becomes a function of a batch, rule by rule, without a loop."""

import functools

import numpy as np

from ..core.errors import ArgumentError, ShapeError
from ..core.tensor import Tensor
from ..ops.creation import as_tensor
from ..ops.random import is_generator, spread_generator
from ..primitives.shape import add_batch_axis, transpose
from .control_flow import Closure, set_state
from .graphs import BatchAxis, replay_batched
from .trace import place_of, trace
from .tree import flatten, leaf_names, spread_prefix


def vmap(function, in_axes=0, out_axes=0, axis_name=None, axis_size=None):
    """Maps `function` over an axis of its arguments; as jax.vmap.

    in_axes: the mapped axis of every argument, or a tuple with one entry per argument: an int, None for what all
    examples share, or a pytree of these that is a prefix of the argument. Keyword arguments are mapped over axis 0.
    out_axes: where the axis appears in the results, an int or a prefix of the result; None for results that do not
    depend on the example. axis_name: how collectives (psum, axis_index, ...) call the axis. axis_size: needed if no
    argument is mapped. Random numbers drawn inside (dropout, rand) differ from example to example.

    >>> vmap(lambda x, w: (x * w).sum(), in_axes=(0, None))(Tensor([[1.0, 2], [3, 4]]), Tensor([1.0, 10]))
    """
    if not callable(function):
        raise ArgumentError(f"vmap takes a function, got {type(function).__name__}.")
    name = getattr(function, "__name__", "a function")

    @functools.wraps(function)
    def mapped(*args, **kwargs):
        axes = tuple(in_axes) if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise ArgumentError(
                f"vmap: {len(axes)} in_axes for {len(args)} arguments of {name}.",
                fix="give one entry per positional argument.",
            )
        leaves, structure = flatten((args, kwargs))
        spread = spread_prefix(axes, args, "vmap", "in_axes")
        spread += [0] * (len(leaves) - len(spread))
        size, inputs, batched = _aligned(leaves, spread, axis_size, lambda: leaf_names(args, "args"))
        avals = [
            x._node.aval.update(shape=x.shape[1:]) if b else x._node.aval for x, b in zip(inputs, batched)
        ]  # fmt: skip

        def call(xs):
            args, kwargs = structure.unflatten(xs)
            return function(*args, **kwargs)

        named = [] if axis_name is None else [(axis_name, size)]
        graph, out_structure, _ = trace("vmap", name, avals, call, axes=named)
        closure = Closure([graph])
        outside = [*closure.constants, *closure.state]
        values, flags = list(outside), [False] * len(outside)
        for i, handle in enumerate(outside):
            if i >= len(closure.constants) and is_generator(handle):
                values[i], flags[i] = spread_generator(handle, size), True
        operands = [*values, *inputs]
        found = replay_batched(closure.graphs[0], operands, [*flags, *batched], BatchAxis(size, axis_name))
        n_state = len(closure.state)
        for handle, (value, is_batched) in zip(closure.state, found[:n_state]):
            if not is_generator(handle):
                if is_batched:
                    raise ArgumentError(
                        f"vmap: {name} changes a tensor from outside, {handle._node.aval}: which example's value would "
                        "it get?",
                        fix="return new values instead of storing them.",
                    )
                set_state(handle, value)
        return _placed(out_structure, found[n_state:], out_axes, size)

    return mapped


def _aligned(leaves, axes, size, names):
    """(size, leaves with the mapped axis in front, for each leaf whether it is mapped)."""
    inputs, batched = [], []
    given, place = size, place_of(leaves)
    for i, (x, axis) in enumerate(zip(leaves, axes)):
        x = as_tensor(x, place) if isinstance(x, (bool, int, float, complex, np.ndarray, np.generic)) else x
        if not isinstance(x, Tensor):
            raise ArgumentError(f"vmap: arguments must be tensors, got {type(x).__name__}.", fix="wrap it: Tensor(x).")
        batched.append(axis is not None)
        if axis is not None:
            if not -x.ndim <= axis < x.ndim:
                raise ShapeError(
                    f"vmap: in_axes says axis {axis} of {_named(names, i)}, which has shape {list(x.shape)}.",
                    fix="use an axis that it has, or None if all examples share it.",
                )
            x = move_axis(x, axis, 0)
            if size is None:
                size = x.shape[0]
            elif size != x.shape[0]:
                raise ShapeError(
                    f"vmap: the mapped axis of {_named(names, i)} has size {x.shape[0]}, "
                    + (f"axis_size is {given}." if given is not None else f"that of an earlier argument {size}."),
                    fix="check in_axes: all mapped axes have one size.",
                )
        inputs.append(x)
    if size is None:
        raise ArgumentError(
            "vmap: no argument is mapped.", fix="give at least one in_axes that is not None, or axis_size."
        )
    return size, inputs, batched


def _named(names, i):
    known = names()
    return known[i] if i < len(known) else "a keyword argument"


def _placed(structure, found, out_axes, size):
    """The results as a tree, each with its batch axis where out_axes says."""
    spread = spread_prefix(out_axes, structure.unflatten([x for x, _ in found]), "vmap", "out_axes")
    results = []
    for (x, is_batched), axis in zip(found, spread):
        if axis is None:
            if is_batched:
                raise ArgumentError(
                    f"vmap: out_axes is None for a result of shape {list(x.shape[1:])} that differs between examples.",
                    fix="give the axis along which the examples' results are stacked.",
                )
            results.append(x)
            continue
        x = x if is_batched else add_batch_axis(x, size)
        if not -x.ndim <= axis < x.ndim:
            raise ShapeError(
                f"vmap: {axis} is not an axis of a result of shape {list(x.shape)}.", fix="check out_axes."
            )
        results.append(move_axis(x, 0, axis))
    return structure.unflatten(results)


def move_axis(x, source, target):
    """x with axis `source` at position `target`."""
    source, target = source % x.ndim, target % x.ndim
    if source == target:
        return x
    order = [i for i in range(x.ndim) if i != source]
    order.insert(target, source)
    return transpose(x, permutation=tuple(order))
