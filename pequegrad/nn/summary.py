"""A table of what a module is made of: the shapes it gives, its parameters, its work."""

import math

import numpy as np

from ..core.device import device as devices
from ..core.dtype import dt
from ..core.errors import ArgumentError
from ..core.node import make_aval, next_number
from ..core.tensor import Tensor
from ..ops.creation import as_tensor
from ..transforms.trace import trace
from .module import observers


class Row:
    """One call of one part. flops: the arithmetic operations of the part and of those inside it."""

    def __init__(self, name, kind, depth, output, parameters, flops):
        self.name, self.kind, self.depth = name, kind, depth
        self.output, self.parameters, self.flops = output, parameters, flops

    def __repr__(self):
        return f"{self.name}: {self.kind} -> {self.output}, {self.parameters} parameters, {self.flops} flops"


class Summary:
    """The rows of a module's parts, in the order of their calls, the module itself first. Prints as a table."""

    def __init__(self, rows, parameters, frozen, size):
        self.rows, self.parameters, self.frozen, self.bytes = rows, parameters, frozen, size

    flops = property(lambda self: self.rows[0].flops, doc="Arithmetic operations of one call.")

    def __str__(self):
        cells = [("part", "kind", "output", "parameters", "flops")]
        for row in self.rows:
            name = "  " * row.depth + (row.name.rpartition(".")[2] if row.depth else row.kind)
            cells.append((name, row.kind if row.depth else "", row.output, _count(row.parameters), _count(row.flops)))
        widths = [max(len(line[i]) for line in cells) for i in range(5)]
        lines = [
            "  ".join(
                text.ljust(w) if i < 3 else text.rjust(w) for i, (text, w) in enumerate(zip(line, widths))
            ).rstrip()
            for line in cells
        ]
        lines.insert(1, "-" * max(map(len, lines)))
        trained = f"{self.parameters:,} parameters, {self.bytes / 2**20:.2f} MiB"
        return "\n".join([*lines, "", trained + (f", {self.frozen:,} of them frozen" if self.frozen else "")])

    __repr__ = __str__


def summary(model, *inputs, **kwargs):
    """What model(*inputs) is made of, a Summary; nothing is computed.

    inputs: shapes (tuples of ints: float32), or arrays, of which shape and dtype count.

    >>> print(model.summary((1, 3, 32, 32)))
    """
    place = next((t.device for t in model.state_dict().values()), devices.cpu)
    avals = [_aval(x, place) for x in inputs]
    names = _names(model)
    rows, calls = [], []

    def observe(module, forward, args, kwargs):
        row = Row(names.get(id(module), ""), type(module).__name__, len(calls), "", _parameters(module), 0)
        rows.append(row)
        calls.append(row)
        begin = next_number()
        try:
            output = forward(*args, **kwargs)
        finally:
            calls.pop()
        row.output, row.span = _shapes(output), (begin, next_number())
        return output

    observers.append(observe)
    try:
        graph, _, _ = trace("summary", type(model).__name__, avals, lambda tensors: model(*tensors, **kwargs))
    finally:
        observers.pop()
    for row in rows:
        begin, end = row.span
        row.flops = sum(_flops(node.spec) for node in graph.nodes if begin < node.number < end)
    tensors = [t for _, t in model.named_parameters(frozen=True)]
    frozen = sum(t.size for t in tensors) - sum(t.size for t in model.parameters())
    return Summary(rows, sum(t.size for t in tensors), frozen, sum(t.nbytes for t in model.state_dict().values()))


def _aval(x, place):
    if isinstance(x, tuple) and all(isinstance(n, (int, np.integer)) for n in x):
        return make_aval(tuple(map(int, x)), dt.float32, place)
    try:
        return as_tensor(x, place)._node.aval
    except ArgumentError:
        raise ArgumentError(f"summary: an input is a shape or an array, not {type(x).__name__}.") from None


def _names(model):
    """id -> dotted name of each part."""
    found, stack = {}, [("", model)]
    while stack:
        prefix, module = stack.pop()
        if id(module) not in found:
            found[id(module)] = prefix.rstrip(".")
            stack.extend((f"{prefix}{name}.", part) for name, part in module.named_parts())
    return found


def _parameters(module):
    return sum(tensor.size for _, tensor in module.named_parameters(frozen=True))


def _flops(spec):
    rule = getattr(spec.primitive.rules, "flops", None)
    if rule is not None:
        return rule(*spec.inputs, **spec.params)
    counted = {"elementwise": spec.aval, "reduction": spec.inputs[:1] and spec.inputs[0]}.get(spec.primitive.form)
    return math.prod(counted.shape) if counted else 0  # the others move data, or say it themselves


def _shapes(output):
    if isinstance(output, Tensor):
        return str(list(output.shape))
    if isinstance(output, (tuple, list)):
        return ", ".join(map(_shapes, output))
    if isinstance(output, dict):
        return ", ".join(f"{key}: {_shapes(value)}" for key, value in output.items())
    return type(output).__name__


def _count(n):
    """A number in at most five characters: 950, 12.3k, 4.56M, 7.8G."""
    for unit in ("", "k", "M", "G", "T"):
        if n < 1000 or unit == "T":
            return f"{n:.0f}" if unit == "" else f"{n:.3g}{unit}"
        n /= 1000
