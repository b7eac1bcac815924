"""The traced function as what rules see: operations on values, with sizes that may vary between traces."""

import numpy as np

from ...compiler.passes.folding import of_any_size
from ...compiler.patterns.rewrite import substituted
from ...compiler.patterns.search import Program as Searched
from ...compiler.simplify import simplify
from ...core.dtype import is_float
from ...core.errors import ShapeError
from ...core.evaluate import OUTPUT
from ...core.graph import GraphTrace
from ...core.node import Aval, constant, detached, is_constant, scalar_constant
from ...core.tensor import wrap
from ...primitives.shape import broadcast_in_dim
from ...transforms.graphs import graph_of
from . import activations, composites, images, recurrent  # noqa: F401
from .sizes import Varying, merged


class Value:
    """A value of a program: shape and dtype; data: its number or array, if it is a constant."""

    __slots__ = ("data", "dtype", "shape")

    def __init__(self, shape, dtype, data=None):
        self.shape, self.dtype, self.data = shape, dtype, data

    @property
    def ndim(self):
        return len(self.shape)


class Operation:
    """A primitive applied to Values. outputs: Values; params: as the primitive's, subgraphs as Programs."""

    __slots__ = ("inputs", "outputs", "params", "primitive")

    def __init__(self, primitive, params, inputs, outputs):
        self.primitive, self.params, self.inputs, self.outputs = primitive, params, inputs, outputs


class Program:
    """inputs, results: Values; operations in an order in which they can run."""

    def __init__(self, inputs, operations, results):
        self.inputs, self.operations, self.results = inputs, operations, results


def prepared(graph, version):
    """The closed graph, simplified, with ONNX's own operators in place of what they stand for."""
    with of_any_size():
        return _prepared(simplify(graph), version)


def _prepared(graph, version):
    found = graph.derived.get(("onnx", version))
    if found is None:
        searched, taken, matches = Searched(graph), set(), []
        for match in [*recurrent.matches(searched, simplify), *composites.matches(searched, simplify, version)]:
            if taken.isdisjoint(match.inside):
                taken |= match.inside
                matches.append(match)
        found = substituted(graph, matches)[0] if matches else graph
        graph.derived["onnx", version] = found
    return found


def program_of(graphs, version):
    """The Program of a function's graphs, one per trace. ShapeError if they are not the same but for sizes."""
    graphs = [prepared(graph, version) for graph in graphs]
    values, constants = {}, {}  # what the nodes of all traces are together

    def value(nodes, reader=None):
        if nodes not in values:
            if not all(map(is_constant, nodes)):
                _differ("the order of operations", reader)
            key = tuple(map(_key, nodes))
            if key not in constants:
                constants[key] = _constant(nodes, operations, reader)
            values[nodes] = constants[key]
        return values[nodes]

    operations, results_of = [], {}
    for nodes in zip(*(graph.placeholders for graph in graphs)):
        values[nodes] = _value([node.aval for node in nodes])
    inputs = list(map(value, zip(*(graph.placeholders for graph in graphs))))
    if len({len(graph.nodes) for graph in graphs}) > 1:
        _differ("the number of operations")
    for nodes in zip(*(graph.nodes for graph in graphs)):
        spec = nodes[0].spec
        if any(node.spec.primitive is not spec.primitive for node in nodes):
            divisors = list(map(_divisor, nodes))
            if all(divisors):
                values[nodes] = _value([node.aval for node in nodes])
                dividend = value(tuple(node.inputs[0] for node in nodes))
                by = Value((), values[nodes].dtype, merged(divisors))
                operations.append(Operation("div", {}, [dividend, by], [values[nodes]]))
                continue
            names = sorted({node.spec.primitive.name for node in nodes})
            _differ(f"{' and '.join(names)} in the same place", names[0])
        if spec.op == OUTPUT:
            values[nodes] = results_of[nodes[0].inputs[0]][spec.params["index"]]
            continue
        avals = [node.aval if type(node.aval) is tuple else (node.aval,) for node in nodes]
        outputs = [_value(column) for column in zip(*avals)]
        params = _merged([node.spec.params for node in nodes], version, spec.primitive.name)
        operations.append(
            Operation(
                spec.primitive.name,
                params,
                [value(column, spec.primitive.name) for column in zip(*(node.inputs for node in nodes))],
                outputs,
            )  # fmt: skip
        )
        if type(nodes[0].aval) is tuple:
            results_of[nodes[0]] = outputs
        else:
            values[nodes] = outputs[0]
    return Program(inputs, operations, list(map(value, zip(*(graph.results for graph in graphs)))))


def differing(graphs, samples, version):
    """The names of the free sizes of which a change alone makes the function another one; all if there is none."""
    found = []
    for i, name in enumerate(reversed(samples.names)):  # in samples.known the last one changes first
        try:
            program_of([graphs[0], graphs[1 << i]], version)
        except Differs:
            found.insert(0, name)
    return found or samples.names


def _divisor(node):
    """The number by which a division divides, also where it became a product because the inverse is exact; else None."""
    if node.spec.primitive.name in ("div", "mul") and node.inputs[1].spec.primitive is constant:
        number = float(node.inputs[1].spec.params["value"])
        return number if node.spec.primitive.name == "div" or not number else 1 / number
    return None


def splits(operations):
    """{slice: [slices]}: those that cut one value along one axis into parts, first to last, nothing left out."""
    groups, found = {}, {}
    for operation in operations:
        if operation.primitive == "slice":
            (x,), (start, limit, step) = operation.inputs, map(operation.params.get, ("start", "limit", "step"))
            cut = [i for i, n in enumerate(x.shape) if start[i] != 0 or limit[i] != n]
            numbers = len(cut) == 1 and all(isinstance(n, int) for n in (start[cut[0]], limit[cut[0]], x.shape[cut[0]]))
            if numbers and all(s == 1 for s in step):
                groups.setdefault((x, cut[0]), []).append(operation)
    for (x, axis), group in groups.items():
        group.sort(key=lambda operation: operation.params["start"][axis])
        ends = [operation.params["limit"][axis] for operation in group]
        if [operation.params["start"][axis] for operation in group] == [0, *ends[:-1]] and ends[-1] == x.shape[axis]:
            found.update(dict.fromkeys(group, (axis, group)))
    return found


def _value(avals, data=None):
    if len({len(aval.shape) for aval in avals}) > 1:
        _differ("ranks of arrays")
    return Value(tuple(map(merged, zip(*(aval.shape for aval in avals)))), np.dtype(avals[0].dtype), data)


def _constant(nodes, operations, reader):
    """The Value of constants; where they are other arrays in other traces, of operations that make them."""
    avals = [node.aval for node in nodes]
    if all(node.spec.primitive is constant for node in nodes):
        return _value(avals, merged([node.spec.params["value"] for node in nodes]))
    first, *others = arrays = [wrap(node).numpy() for node in nodes]
    if all(first.shape == other.shape and first.tobytes() == other.tobytes() for other in others):
        return _value(avals, first)
    found = _value(avals)
    for axis in range(found.ndim) if first.size else ():
        start, step = (
            (array.flat[0].item() for array in (first, np.diff(first, axis=axis, n=1)))
            if first.shape[axis] > 1
            else (0, 1)
        )
        if all((a == start + step * _counted(a.shape, axis)).all() for a in arrays):
            return _counting(found, axis, start, step, operations)
    if first.dtype.kind == "b" and first.ndim >= 2:
        for primitive, compare in (
            ("le", np.less_equal),
            ("lt", np.less),
            ("gt", np.greater),
            ("ge", np.greater_equal),
        ):
            i, j = first.ndim - 2, first.ndim - 1
            if all((a == compare(_counted(a.shape, j), _counted(a.shape, i))).all() for a in arrays):
                operands = [_iota(found.shape, np.dtype("int64"), axis, operations) for axis in (j, i)]
                operations.append(Operation(primitive, {}, operands, [found]))
                return found
    if 0 < first.size <= FEW and all(array.shape == first.shape for array in arrays):
        return _of_numbers(found, arrays, operations)
    return _differ(_described(arrays, reader), reader)


def _described(arrays, reader):
    """Which constant of a function is another one for other sizes, as text."""
    first, *others = arrays
    shapes = dict.fromkeys(array.shape for array in others if array.shape != first.shape)
    text = f"a constant {first.dtype}{list(first.shape)}"
    if shapes:
        text += f", {list(next(iter(shapes)))} there, whose values are neither counts nor a causal mask"
    else:
        text += " whose values depend on these sizes"
    return f"{text}, read by {reader}" if reader else f"{text}, a result"


FEW = 16  # elements that are numbers of their own


def _of_numbers(found, arrays, operations):
    """A few numbers that depend on free sizes, each as a constant that does."""

    def made(primitive, inputs, size, **params):
        value = Value(size, found.dtype)
        operations.append(Operation(primitive, params, inputs, [value]))
        return value

    numbers = [merged(column) for column in zip(*(array.reshape(-1).tolist() for array in arrays))]
    parts = [made("reshape", [Value((), found.dtype, n)], (1,), shape=(1,)) for n in numbers]
    flat = made("concatenate", parts, (len(parts),), axis=0)
    operations.append(Operation("reshape", {"shape": found.shape}, [flat], [found]))
    return found


def _counting(found, axis, start, step, operations):
    """start, start + step, ... along an axis."""
    value = _iota(found.shape, found.dtype, axis, operations)
    for primitive, number in (("mul", step), ("add", start)):
        if number != (primitive == "mul"):
            made = Value(found.shape, found.dtype)
            operations.append(Operation(primitive, {}, [value, Value((), found.dtype, number)], [made]))
            value = made
    return value


def _key(node):
    """Equal for equal constants."""
    if node.spec.primitive is constant:
        return node
    array = wrap(node).numpy()
    return array.dtype.name, array.shape, array.tobytes()


def _counted(shape, axis):
    return np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape))])


def _iota(shape, dtype, axis, operations):
    found = Value(shape, dtype)
    operations.append(Operation("iota", {"shape": shape, "dtype": dtype, "axis": axis, "device": None}, [], [found]))
    return found


def with_constants(graph, known):
    """The closed graph with constants, {one of its inputs: Tensor}, in the place of inputs."""
    stands_for = {node: _node_of(tensor) for node, tensor in known.items()}

    def replacement(node, inputs):
        new = tuple(stands_for.get(source, source) for source in inputs)
        return detached(node.spec, new) if new != inputs else None

    found = graph.rewritten(replacement)
    if stands_for.keys().isdisjoint(found.outputs):
        return found
    return found.remade([stands_for.get(node, node) for node in found.outputs], found.effects, found.nodes)


def _node_of(tensor):
    """A constant as passes know it best: as a number, or one that is spread where an array of floats is all the same."""
    array, aval = tensor.numpy(), tensor._node.aval
    if array.dtype.kind not in "biuf" or array.ndim and (not is_float(array.dtype) or not array.size):
        return tensor._node
    if array.tobytes() != array.flat[0].tobytes() * array.size:
        return tensor._node
    number = scalar_constant(array.flat[0].item(), aval.dtype, aval.device)
    if not array.ndim:
        return number
    return graph_of("full", [], lambda: [broadcast_in_dim(wrap(number), shape=array.shape, axes=())]).results[0]


def _merged(items, version, reader=None):
    """One structure of parameters for those of all traces: numbers that differ become Varying, graphs a Program."""
    first = items[0]
    if isinstance(first, GraphTrace):
        return program_of(items, version)
    if isinstance(first, Aval):
        return first
    if isinstance(first, dict):
        return {key: _merged([item[key] for item in items], version, reader) for key in first}
    if isinstance(first, tuple):
        if len({len(item) for item in items}) > 1:
            _differ(f"parameters of {reader}", reader)
        found = [_merged(column, version, reader) for column in zip(*items)]
        return type(first)(*found) if hasattr(first, "_fields") else tuple(found)
    if isinstance(first, (int, float)) and not isinstance(first, bool):
        return merged(items)
    if any(item is not first and item != first for item in items):
        _differ(f"parameters of {reader}", reader)
    return first


class Differs(Exception):
    """The function is not the same for all sizes of its free axes; reader: the primitive at which that is seen, or None."""

    def __init__(self, what, reader):
        self.what, self.reader = what, reader

    def error(self, names, places):
        """What users see. names: of the free sizes for which it is so; places: the lines in which such a primitive is computed."""
        fix = f"leave axes on whose size the function decides out of dynamic_axes, or say how small they are, as in {{0: ('{names[0]}', 8)}}."
        if self.what.startswith("a constant"):
            fix = "compute it with pequegrad, as with pg.arange(x.shape[1]), not with NumPy; or leave that axis out of dynamic_axes."
        return ShapeError(
            f"export: the function does something else for other sizes of {' and '.join(map(repr, names))} ({self.what}).",
            where=places[0] if len(places) == 1 else None,
            fix=fix,
        )


def _differ(what, reader=None):
    raise Differs(what, reader)


__all__ = ["Differs", "Operation", "Program", "Value", "Varying", "prepared", "program_of", "splits", "with_constants"]
