"""What export writes: a function's arguments, their free sizes, and its graphs for several values of these."""

import math
import re
import warnings
from collections import OrderedDict

import numpy as np

from ..core.errors import ArgumentError, PequegradError, ShapeError, user_line
from ..core.node import make_aval, next_number
from ..core.tensor import Tensor
from ..nn.module import StatefulModule
from ..ops.creation import as_tensor
from ..transforms.arguments import from_abstract
from ..transforms.control_flow import Closure
from ..transforms.signatures import signature
from ..transforms.trace import trace
from ..transforms.tree import flatten, leaf_names, node_types
from ..transforms.watch import watching
from .exporting.program import with_constants
from .exporting.sizes import Samples, merged
from .model import OnnxModel
from .values import OfSizes


class Call:
    """A function and its example arguments: leaves, and their names."""

    def __init__(self, function, example_inputs, input_names, output_names=None):
        if isinstance(example_inputs, (Tensor, np.ndarray)):
            example_inputs = (example_inputs,)
        jitted = not isinstance(function, StatefulModule) and hasattr(function, "function")
        self.function, self.target = function, function.function if jitted else function
        by_name = isinstance(example_inputs, dict)
        args, kwargs = ((), example_inputs) if by_name else (tuple(example_inputs), {})
        if isinstance(self.target, OnnxModel):
            args, kwargs = _with_constants(self.target, args, kwargs)
            output_names = output_names or [v.name for v in self.target.outputs]
        self.output_names = None if output_names is None else list(output_names)
        self.leaves, self.structure = flatten((args, kwargs))
        self.leaves = [x if x is None or isinstance(x, Tensor) else from_abstract(x) for x in self.leaves]
        self.moving = [i for i, x in enumerate(self.leaves) if isinstance(x, (Tensor, np.ndarray, np.generic))]
        for i in self.moving:
            self.leaves[i] = as_tensor(self.leaves[i])
        self.names = list(input_names) if input_names is not None else self._names(args, kwargs)
        if len(self.names) != len(self.moving):
            raise ArgumentError(
                f"export: the function has {len(self.moving)} tensors as inputs, input_names are {self.names}.",
                fix="give one name for each.",
            )
        _different(self.names, "input_names")

    def _names(self, args, kwargs):
        """x, or x_weight_0 for a leaf of an argument x."""
        target = self.target.forward if isinstance(self.target, StatefulModule) else self.target
        target = getattr(target, "function", target)
        known = [p.name for p in signature(target) if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if known[:1] == ["self"] and getattr(target, "__self__", None) is None:
            known = known[1:]
        if isinstance(self.target, OnnxModel):
            known = [v.name for v in self.target.inputs]
            kwargs = {self.target._named(key): x for key, x in sorted(kwargs.items())}
        else:
            kwargs = dict(sorted(kwargs.items()))
        known += ["input" if len(args) == 1 else f"input_{i}" for i in range(len(known), len(args))]
        found = []
        for name, value in [*zip(known, args), *kwargs.items()]:
            texts = leaf_names(value, name)
            found += texts if texts == [name] else [re.sub(r"\W+", "_", text).strip("_") for text in texts]
        return (
            [found[i] for i in self.moving] if len(found) == len(self.leaves) else [f"input_{i}" for i in self.moving]
        )

    @property
    def inputs(self):
        return [self.leaves[i] for i in self.moving]

    def __call__(self, tensors):
        leaves = list(self.leaves)
        for i, x in zip(self.moving, tensors):
            leaves[i] = x
        args, kwargs = self.structure.unflatten(leaves)
        self.results, values = as_written(self.function(*args, **kwargs))
        if len(set(self.results)) < len(self.results):
            self.results = [f"output_{i}" for i in range(len(values))]
        names = self.output_names
        by_name = names is not None and len(names) == len(values) and set(names) == set(self.results)
        return [values[self.results.index(name)] for name in names] if by_name else values

    def names_of_outputs(self):
        """Those of the results of the last call: the given ones, or keys of dicts and numbers of places."""
        own, names = self.results, self.output_names
        if not own:
            raise ArgumentError("export: the function returns no tensors.", fix="return what the model is to give.")
        if names is None:
            return own
        if len(names) != len(own):
            raise ArgumentError(
                f"export: the function has {len(own)} outputs, output_names are {names}.",
                fix=f"give one name for each of {', '.join(own)}.",
            )
        return _different(names, "output_names")


def _with_constants(model, args, kwargs):
    """The arguments of a model that was read: those that decide on shapes as constants."""
    plain = lambda x: x.numpy() if isinstance(x, Tensor) and (x._node.value is not None or x._node.inputs) else x
    static = model.static_arguments(tuple(map(plain, args)), {key: plain(x) for key, x in kwargs.items()})
    return tuple(static.get(i, x) for i, x in enumerate(args)), {key: static.get(key, x) for key, x in kwargs.items()}


def _different(names, what):
    repeated = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if repeated is not None:
        raise ArgumentError(f"export: {what} has {repeated!r} more than once.", fix="each needs a name of its own.")
    return names


def as_written(tree, name=""):
    """(names, leaves) of a result, dicts in the order in which they were written, not sorted.

    Of {"y": a, "cache": (b, c)} the names are y, cache_0, cache_1; what begins with no key begins with output.
    """
    if type(tree) in (dict, OrderedDict):
        parts = [(key if name or str(key)[:1].isalpha() else f"output_{key}", x) for key, x in tree.items()]
    elif isinstance(tree, (tuple, list)) and type(tree) not in node_types:
        parts = [(f"{'' if name else 'output_'}{key}", x) for key, x in enumerate(tree)]
    else:
        leaves = flatten(tree)[0]
        return [re.sub(r"\W+", "_", text).strip("_") for text in leaf_names(tree, name or "output")], leaves
    names, leaves = [], []
    for key, part in parts:
        key = re.sub(r"\W+", "_", str(key)).strip("_")
        found = as_written(part, f"{name}_{key}" if name else key)
        names += found[0]
        leaves += found[1]
    return names, leaves


_AXES = "axes are numbers: dynamic_axes={'x': {0: 'batch'}}, or {'x': [0]}."


def free_sizes(call, dynamic_axes):
    """{(position of the input, axis): name}, {name: the least size, where it is given}."""
    found, least = {}, {}
    if not isinstance(dynamic_axes or {}, dict):
        raise ArgumentError(f"export: dynamic_axes is a {type(dynamic_axes).__name__}.", fix=_AXES)
    for name, axes in (dynamic_axes or {}).items():
        if name not in call.names:
            raise ArgumentError(
                f"export: dynamic_axes names {name!r}, which is no input.", fix=f"inputs are {', '.join(call.names)}."
            )
        i = call.names.index(name)
        x = call.inputs[i]
        if not isinstance(axes, (dict, list, tuple, set)):
            raise ArgumentError(f"export: dynamic_axes: the axes of {name!r} are {axes!r}.", fix=_AXES)
        axes = axes if isinstance(axes, dict) else {axis: f"{name}_{axis}" for axis in axes}
        for axis, size in axes.items():
            if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
                raise ArgumentError(f"export: dynamic_axes: {axis!r} is no axis of {name!r}.", fix=_AXES)
            if not -x.ndim <= axis < x.ndim:
                raise ShapeError(f"export: dynamic_axes: input {name!r} has no axis {axis}.")
            size, at_least = size if isinstance(size, (tuple, list)) else (size, 0)
            if x.shape[axis] < at_least:
                raise ShapeError(
                    f"export: dynamic_axes: axis {axis} of {name!r} is {x.shape[axis]} in the example, not at least {at_least}."
                )
            found[i, axis % x.ndim] = str(size)
            least[str(size)] = max(least.get(str(size), 0), at_least)
    return found, least


def sizes_of_examples(call, free):
    """{name of a free size: what it is in the example inputs}."""
    sizes = {}
    for (i, axis), name in free.items():
        n = call.inputs[i].shape[axis]
        if sizes.setdefault(name, n) != n:
            raise ShapeError(f"export: the size {name!r} is {sizes[name]} in one example input, {n} in another.")
    return sizes


def _avals(call, free, sizes):
    """What the inputs are for these sizes."""
    found = []
    for i, x in enumerate(call.inputs):
        shape = tuple(sizes[free[i, a]] if (i, a) in free else n for a, n in enumerate(x.shape))
        found.append(make_aval(shape, x.dtype, x.device))
    return found


class Traced:
    """The function's graphs, one for each choice of the free sizes."""

    def __init__(self, call, free, samples):
        """samples: values of the free sizes."""
        self.name = getattr(call.target, "__name__", type(call.target).__name__)
        self.of_sizes = OfSizes()
        self._trace_all(samples, call, free)
        while free and self.of_sizes.more():
            self._trace_all(samples, call, free)
        first = self.closures[0]
        for other in self.closures[1:]:
            if list(map(id, other.constants)) != list(map(id, first.constants)):
                raise ShapeError("export: the function reads other tensors for other sizes of its dynamic axes.")
        self.constants, self.state = first.constants, first.state

    def _trace_all(self, samples, call, free):
        """The graphs for all samples; those to which a size must be changed may be larger if smaller ones fail."""
        self.samples, self.graphs, self.closures = samples, [], []
        for chosen in samples.traces:
            self.avals = avals = _avals(call, free, chosen)
            try:
                self._trace(avals, call, free, chosen)
            except ShapeError:
                if any(chosen is check for check in samples.checks):
                    samples.drop(chosen)
                elif free and samples.smaller and chosen is not samples.known[0]:
                    samples = Samples(samples.known[0], samples.given, smaller=False)
                    return self._trace_all(samples, call, free)
                else:
                    raise
        if free and not samples.checks:
            raise ShapeError(
                f"export: {self.name} works for sizes like {samples.known[0]} only.",
                fix="leave axes that must have a certain size out of dynamic_axes.",
            )

    def shapes(self, sizes):
        """Those of the results for other sizes, as they follow from the traces: None in place of what is no polynomial."""
        columns = zip(*(graph.results[len(self.state) :] for graph in self.graphs))
        return [
            tuple(self._size([n.aval.shape[i] for n in nodes], sizes) for i in range(nodes[0].aval.ndim))
            for nodes in columns
        ]

    def _size(self, values, sizes):
        found = merged(values)
        if isinstance(found, int):
            return found
        terms = self.samples.terms(found)
        return None if terms is None else int(sum(f * math.prod(sizes[n] for n in names) for names, f in terms.items()))

    def shapes_at(self, call, free, sizes):
        """Shapes of the results of one more trace; None if the function fails for these sizes."""
        try:
            with warnings.catch_warnings(), self.of_sizes.trace():
                warnings.simplefilter("ignore")
                graph, _, _ = trace("export", self.name, _avals(call, free, sizes), call)
        except Exception:  # whatever the function raises
            return None
        finally:
            self.of_sizes.found.pop()
        return [node.aval.shape for node in graph.outputs]

    def lines(self, call):
        """{primitive: the user's lines in which it is computed}: the function is traced once more."""
        found = {}

        def note(node):
            line = user_line()
            if line and line not in found.setdefault(node.spec.primitive.name, []):
                found[node.spec.primitive.name].append(line)

        with watching(note), self.of_sizes.trace():
            trace("export", self.name, self.avals, call)
        self.of_sizes.found.pop()
        return found

    def _trace(self, avals, call, optional, sizes):
        before = next_number()
        try:
            with self.of_sizes.trace():
                graph, _, self.frame = trace("export", self.name, avals, call)
        except PequegradError as error:
            if not optional:
                raise
            raise ShapeError(
                f"export: {self.name} fails for the sizes {sizes}: {str(error).splitlines()[0]}",
                fix=f"leave axes that must have a certain size out of dynamic_axes{_alike(call, optional)}.",
            ) from error
        closure = Closure([graph])
        # tensors that the function itself made of numbers and arrays are constants, not what it reads from outside
        made = [i for i, handle in enumerate(closure.constants) if handle._node.number > before]
        (found,) = closure.graphs
        nodes, handles = found.inputs, closure.constants
        found = with_constants(found, {nodes[i]: handles[i] for i in made})
        made = set(made)
        inputs = [node for i, node in enumerate(nodes) if i not in made]
        closure.constants = [handle for i, handle in enumerate(handles) if i not in made]
        self.graphs.append(found.rewired(inputs, found.outputs))
        self.closures.append(closure)


def _alike(call, free):
    """How to give one name to sizes that are the same in the examples, if there are such."""
    groups = {}
    for (i, axis), name in free.items():
        groups.setdefault(call.inputs[i].shape[axis], {})[i, axis] = name
    for group in groups.values():
        if len(set(group.values())) > 1:
            axes, first = {}, next(iter(group.values()))
            for i, axis in group:
                axes.setdefault(call.names[i], {})[axis] = first
            return f", or give sizes that must be equal one name, as in {axes}"
    return ""
