"""What a model needs: which names must be values when it is compiled, and which initialisers are trained."""

from .graphs import subgraphs
from .interpreter import is_floats
from .registry import find

_SIZES = ("Shape", "Size")  # what these give is known, whatever they are given
_COUNTS = {2, 3, 4, 5, 6, 7, 9, 12, 13}  # element types: integers and bool
_TURNS = 16  # a body is looked at so often; then all is taken that it carries


def names_that_must_be_known(model):
    """Sets of names, what operators need as values: (initialisers that are constants, all that is read, inputs that jit takes as values).

    What is needed to know a value is needed, too; but where an operator only reads a value that comes from data, the
    weights that it was computed with stay parameters: making them constants would not make it known. For the same reason
    jit traces inputs that are only read (the image of a detector), but for numbers that count something (of rounds, of boxes);
    and what has more than one axis is data, whatever is made of it.
    """
    inputs = {v.name: v for v in model.graph.inputs if v.name not in model.graph.initializers}
    constants, read, required = (
        _Wanted(model.functions).of(model.graph.nodes, model.versions, data)
        for data in (_from_data(model.graph.nodes, set(inputs)), set(), None)
    )
    counts = {name for name, v in inputs.items() if v.shape == () and v.element_type in _COUNTS}
    data = {name for name, v in inputs.items() if v.shape is not None and len(v.shape) > 1}
    return constants, read, (required | (read & counts)) - data


class _Wanted:
    """Finds the names that operators require as values, or read though no data decides on them, and what these are computed from."""

    def __init__(self, functions):
        self.functions, self.seen = functions, {}

    def of(self, nodes, versions, data, outputs=()):
        """The names that are wanted, if these outputs are. data: the names that are computed from data; None: all."""
        found = set(outputs)
        self.look(nodes, versions, found, data)
        found.discard("")
        return found

    def look(self, nodes, versions, found, data):
        """Adds the names to `found`."""
        is_data = (lambda name: True) if data is None else data.__contains__
        for node in reversed(nodes):
            found.discard("")  # inputs that are left out: no outputs that are
            key = node.domain, node.op, node.overload
            if key in self.functions:
                given = None if data is None else frozenset(i for i, name in enumerate(node.inputs) if name in data)
                asked = frozenset(i for i, name in enumerate(node.outputs) if name in found)
                inside = self.inside(key, given, asked)
                found.update(name for i, name in enumerate(node.inputs) if i in inside)
                continue
            known, read = _positions(node, versions)
            found.update(name for i, name in enumerate(node.inputs) if i in known or (i in read and not is_data(name)))
            for graph in subgraphs(node):
                self.look_inside(node, graph, versions, found, data)
            if node.op not in _SIZES and not found.isdisjoint(node.outputs):
                found.update(node.inputs)

    def look_inside(self, node, graph, versions, found, data):
        """The same for a subgraph: what is wanted of the node's outputs is wanted of its own, what of its inputs of the node's."""
        entering = _entering(node, graph)
        found.update(inner for inner, name in _leaving(node, graph) if name in found)
        for turn in range(_TURNS):  # what is carried from round to round is wanted of the round before
            self.look(graph.nodes, versions, found, data)
            last = turn == _TURNS - 2
            more = {name for inner, names in entering for name in names if inner in found or last} - found
            if not more:
                return
            found.update(more)

    def inside(self, key, given, asked):
        """The positions of the inputs of a function that are wanted, if those `given` are data, and its outputs `asked` are wanted."""
        if (key, given, asked) not in self.seen:
            function = self.functions[key]
            data = None
            if given is not None:
                data = _from_data(function.nodes, {name for i, name in enumerate(function.inputs) if i in given})
            outputs = {name for i, name in enumerate(function.outputs) if i in asked}
            found = self.of(function.nodes, function.versions, data, outputs)
            self.seen[key, given, asked] = {i for i, name in enumerate(function.inputs) if name in found}
        return self.seen[key, given, asked]


def _entering(node, graph):
    """[(input of a node's subgraph, the names that it comes from: those outside, and what the subgraph carries to its next round)]"""
    inner, results, given = [v.name for v in graph.inputs], [v.name for v in graph.outputs], node.inputs
    if (
        node.op == "Loop"
    ):  # takes M, condition, carried; its body takes round, condition, carried, and gives condition, carried, stacked
        again = results if len(given) > 1 and given[1] else ["", *results[1:]]
        ends = (*given[:2], *again[:1])  # what is carried is known if it is known in which round it ends
        sources = [(), *zip(given[1:], again)]
        found = [(name, (*names, *ends)) for name, names in zip(inner, sources)]
    elif (
        node.op == "Scan"
    ):  # takes states, rows (before set 9 first the lengths); its body takes and gives them in the same order
        n_states = len(inner) - node.attributes.get("num_scan_inputs", 0)
        again = [*results[:n_states], *[""] * len(inner)]
        found = list(zip(inner, zip(given[len(given) - len(inner) :], again)))
    else:  # SequenceMap
        found = list(zip(inner, zip(given)))
    return [(name, tuple(filter(None, names))) for name, names in found]


def _leaving(node, graph):
    """[(output of a node's subgraph, output of the node)]"""
    return list(zip([v.name for v in graph.outputs][1 if node.op == "Loop" else 0 :], node.outputs))


def _positions(node, versions):
    """Which inputs of a node are required as values, and which are read when it runs."""
    operator = find(node.domain, node.op, versions.get(node.domain, 1))
    if operator is None:
        return set(), set()
    read = operator.reads | (set() if operator.deciding is None else operator.deciding(node))
    return operator.known - read, read


def _from_data(nodes, data):
    """The names of the values that are computed from the names `data`, with these; shapes are not."""
    found = set(data) - {""}

    def look(nodes):
        for node in nodes:
            for graph in subgraphs(node):
                entering = _entering(node, graph)
                for turn in range(_TURNS):
                    last = turn == _TURNS - 2
                    more = {inner for inner, names in entering if last or not found.isdisjoint(names)} - found
                    if turn and not more:
                        break
                    found.update(more)
                    look(graph.nodes)
            if node.op not in _SIZES and not found.isdisjoint(_read_and_given(node)):
                found.update(filter(None, node.outputs))

    if found:
        look(nodes)
    return found


def _read_and_given(node):
    """The inputs of a node, and the outputs of its subgraphs."""
    return (*node.inputs, *(v.name for graph in subgraphs(node) for v in graph.outputs))


def roles(model, constants):
    """{name of an initialiser: "parameter", "buffer" or "constant"}: what is trained, what belongs to it, and all else.

    Files of torch's exporter say which were parameters and buffers, but not of all that they make of these (the bias of a
    convolution with its BatchNormalization): what an operator takes as weights is a parameter, too. In others all arrays
    of floats are parameters, but for those that an operator takes as statistics.
    """
    said, found = model.graph.roles, {}
    statistics, weights = (
        _taken_as(kind, model.graph.nodes, model.versions, model.functions, {}) for kind in ("statistics", "weights")
    )
    for name, array in model.graph.initializers.items():
        if name in constants or not is_floats(array):
            found[name] = "constant"
        elif name in statistics:
            found[name] = "buffer"
        else:
            found[name] = said.get(name, "parameter" if not said or name in weights else "constant")
    return found


def _taken_as(kind, nodes, versions, functions, seen):
    """The names that operators take as `kind`, "statistics" or "weights", also inside of functions and subgraphs. seen: function -> positions."""
    found = set()
    for node in nodes:
        key = node.domain, node.op, node.overload
        positions = set()
        if key in functions:
            if key not in seen:
                function = functions[key]
                inner = _taken_as(kind, function.nodes, function.versions, functions, seen)
                seen[key] = {i for i, name in enumerate(function.inputs) if name in inner}
            positions = seen[key]
        else:
            operator = find(node.domain, node.op, versions.get(node.domain, 1))
            positions = set() if operator is None else getattr(operator, kind)
        found.update(name for i, name in enumerate(node.inputs) if i in positions)
        for graph in subgraphs(node):
            found |= _taken_as(kind, graph.nodes, versions, functions, seen)
    return found
