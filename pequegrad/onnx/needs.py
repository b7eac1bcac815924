"""What a model needs: which names must be values when it is compiled, and which initialisers are trained."""

from .interpreter import is_floats
from .reading import subgraphs
from .registry import find

_SIZES = ("Shape", "Size")  # what these give is known, whatever they are given


def names_that_must_be_known(model):
    """(names of initialisers that are constants, names of inputs that jit must not trace): what operators need as values.

    What is needed to know a value is needed, too; but where an operator only reads a value that comes from data, the
    weights that it was computed with stay parameters: making them constants would not make it known.
    """
    inputs = {v.name for v in model.graph.inputs if v.name not in model.graph.initializers}
    found = []
    for data in (_from_data(model.graph.nodes, inputs), set()):
        wanted = set()
        _Wanted(model.functions).look(model.graph.nodes, model.versions, wanted, data)
        found.append(wanted - {""})
    return tuple(found)


class _Wanted:
    """Finds the names that operators require as values, or read though no data decides on them, and what these are computed from."""

    def __init__(self, functions):
        self.functions, self.seen = functions, {}

    def look(self, nodes, versions, found, data):
        """Adds them to `found`. data: the names that are computed from data."""
        for node in reversed(nodes):
            key = node.domain, node.op, node.overload
            if key in self.functions:
                given = frozenset(i for i, name in enumerate(node.inputs) if name in data)
                asked = frozenset(i for i, name in enumerate(node.outputs) if name in found)
                inside = self.inside(key, given, asked)
                found.update(name for i, name in enumerate(node.inputs) if i in inside)
                continue
            known, read = _positions(node, versions)
            found.update(name for i, name in enumerate(node.inputs) if i in known or (i in read and name not in data))
            for graph in subgraphs(node):
                given = graph.outputs[1 if node.op == "Loop" else 0 :]
                found.update(inner.name for inner, name in zip(given, node.outputs) if name in found)
                self.look(graph.nodes, versions, found, data)
            if node.op not in _SIZES and not found.isdisjoint(node.outputs):
                found.update(node.inputs)

    def inside(self, key, given, asked):
        """The positions of the inputs of a function that are wanted, if those `given` are data, and its outputs `asked` are wanted."""
        if (key, given, asked) not in self.seen:
            function = self.functions[key]
            found = {name for i, name in enumerate(function.outputs) if i in asked}
            data = {name for i, name in enumerate(function.inputs) if i in given}
            data = _from_data(function.nodes, data) if data else data
            self.look(function.nodes, function.versions, found, data)
            self.seen[key, given, asked] = {i for i, name in enumerate(function.inputs) if name in found}
        return self.seen[key, given, asked]


def _positions(node, versions):
    """Which inputs of a node are required as values, and which are read when it runs."""
    operator = find(node.domain, node.op, versions.get(node.domain, 1))
    if operator is None:
        return set(), set()
    read = operator.reads | (set() if operator.deciding is None else operator.deciding(node))
    return operator.known - read, read


def _from_data(nodes, data):
    """The names of the values that are computed from the names `data`, with these; shapes are not."""
    found = set(data)

    def look(nodes):
        for node in nodes:
            for graph in subgraphs(node):
                found.update(v.name for v in graph.inputs)
                look(graph.nodes)
            inner = {v.name for graph in subgraphs(node) for v in graph.outputs}
            if node.op not in _SIZES and not found.isdisjoint((*node.inputs, *inner)):
                found.update(node.outputs)

    look(nodes)
    return found


def roles(model, constants):
    """{name of an initialiser: "parameter", "buffer" or "constant"}: what is trained, what belongs to it, and all else.

    Files of torch's exporter say which were parameters and buffers; in others all arrays of floats are parameters, but
    for those that an operator takes as statistics.
    """
    said, found = model.graph.roles, {}
    statistics = _statistics(model.graph.nodes, model.versions, model.functions, {})
    for name, array in model.graph.initializers.items():
        if name in constants or not is_floats(array):
            found[name] = "constant"
        elif name in statistics:
            found[name] = "buffer"
        else:
            found[name] = said.get(name, "constant") if said else "parameter"
    return found


def _statistics(nodes, versions, functions, seen):
    """The names that operators take as statistics, also inside of functions and subgraphs. seen: function -> positions."""
    found = set()
    for node in nodes:
        key = node.domain, node.op, node.overload
        positions = set()
        if key in functions:
            if key not in seen:
                function = functions[key]
                inner = _statistics(function.nodes, function.versions, functions, seen)
                seen[key] = {i for i, name in enumerate(function.inputs) if name in inner}
            positions = seen[key]
        else:
            operator = find(node.domain, node.op, versions.get(node.domain, 1))
            positions = set() if operator is None else operator.statistics
        found.update(name for i, name in enumerate(node.inputs) if i in positions)
        for graph in subgraphs(node):
            found |= _statistics(graph.nodes, versions, functions, seen)
    return found
