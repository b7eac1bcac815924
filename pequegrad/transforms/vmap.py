"""vmap: a function of one example becomes a function of a batch, rule by rule, without a loop."""

import contextlib
import functools

import numpy as np

from ..core.errors import ArgumentError, ShapeError
from ..core.evaluate import OUTPUT
from ..core.node import TRACKED
from ..core.tensor import Tensor, wrap
from ..ops.creation import as_tensor
from ..primitives.shape import add_batch_axis, transpose
from .gradients import no_grad
from .trace import trace
from .tree import flatten


def vmap(function, in_axes=0, out_axes=0):
    """Maps `function` over an axis of its arguments.

    in_axes: the mapped axis of every argument, or a tuple with one entry per argument: an int, or None for
    arguments that all examples share. out_axes: where the axis appears in the results.

    >>> vmap(lambda x, w: (x * w).sum(), in_axes=(0, None))(Tensor([[1.0, 2], [3, 4]]), Tensor([1.0, 10]))
    """

    @functools.wraps(function)
    def mapped(*args):
        for what, value in (("in_axes", in_axes), ("out_axes", out_axes)):
            entries = value if isinstance(value, (tuple, list)) and what == "in_axes" else (value,)
            if not all(isinstance(entry, int) or (entry is None and what == "in_axes") for entry in entries):
                raise ArgumentError(
                    f"vmap: {what}={value!r} is not supported.",
                    fix="in_axes: an int, None, or a tuple of these per argument; out_axes: an int.",
                )
        axes = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise ArgumentError(
                f"vmap: {len(axes)} in_axes for {len(args)} arguments.", fix="give one entry per argument."
            )
        leaves, structure = flatten(args)
        spread = []
        for arg, axis in zip(args, axes):
            spread += [axis] * len(flatten(arg)[0])
        size, inputs, batched, avals = None, [], [], []
        for x, axis in zip(leaves, spread):
            x = as_tensor(x) if isinstance(x, (bool, int, float, np.ndarray, np.generic)) else x
            if not isinstance(x, Tensor):
                raise ArgumentError(
                    f"vmap: arguments must be tensors, got {type(x).__name__}.", fix="wrap it: Tensor(x)."
                )
            if axis is not None:
                if not -x.ndim <= axis < x.ndim:
                    raise ShapeError(
                        f"vmap: {axis} is not an axis of an argument of shape {list(x.shape)}.", fix="check in_axes."
                    )
                x = move_axis(x, axis, 0)
                if size not in (None, x.shape[0]):
                    raise ShapeError(
                        f"vmap: mapped axes have different sizes, {size} and {x.shape[0]}.", fix="check in_axes."
                    )
                size = x.shape[0]
            inputs.append(x)
            batched.append(axis is not None)
            aval = x._node.aval
            avals.append(aval.update(shape=x.shape[1:]) if batched[-1] else aval)
        if size is None:
            raise ArgumentError("vmap: no argument is mapped.", fix="give at least one in_axes that is not None.")
        name = getattr(function, "__name__", "a function")
        graph, out_structure, _ = trace("vmap", name, avals, lambda xs: function(*structure.unflatten(xs)))
        if graph.rebound:
            raise ArgumentError(
                f"vmap: {name} changes a tensor from outside (random state, setitem, optimiser): which example's value would it get?",
                fix="draw random numbers outside and pass them in; return new values instead of storing them.",
            )
        results = batch_graph(graph, inputs, batched, size)
        for x in results:
            if not -x.ndim <= out_axes < x.ndim:
                raise ShapeError(
                    f"vmap: {out_axes} is not an axis of a result of shape {list(x.shape)}.", fix="check out_axes."
                )
        return out_structure.unflatten([move_axis(x, 0, out_axes) for x in results])

    return mapped


def batch_graph(graph, inputs, batched, size):
    """The graph's outputs for a batch: `inputs` with their batch axis in front where `batched`."""
    known = {node: (x, b) for node, x, b in zip(graph.inputs, inputs, batched)}
    known.update((node, (handle, False)) for node, handle in graph.captures)
    for node in graph.nodes:
        spec = node.spec
        pairs = [known[s] if s in known else (wrap(s), False) for s in node.inputs]
        xs, flags = [x for x, _ in pairs], [b for _, b in pairs]
        with contextlib.nullcontext() if node.flags & TRACKED else no_grad():
            if spec.op == OUTPUT:
                known[node] = xs[0][spec.params["index"]], flags[0]
            elif any(flags):
                known[node] = spec.primitive.batch(xs, flags, **spec.params), True
            else:
                known[node] = spec.primitive(*xs, **spec.params), False
    results = []
    for node in graph.outputs:
        x, is_batched = known[node] if node in known else (wrap(node), False)
        results.append(x if is_batched else add_batch_axis(x, size))
    return results


def move_axis(x, source, target):
    """x with axis `source` at position `target`."""
    source, target = source % x.ndim, target % x.ndim
    if source == target:
        return x
    order = [i for i in range(x.ndim) if i != source]
    order.insert(target, source)
    return transpose(x, permutation=tuple(order))
