"""What a model that was read consists of, as plain Python objects."""

from .values import DTYPES, NAMES


class Node:
    """One operation of a graph. attributes: decoded, subgraphs as Graphs."""

    __slots__ = ("attributes", "domain", "inputs", "name", "op", "operator", "outputs", "overload")

    def __init__(self, op, domain, name, inputs, outputs, attributes, overload=""):
        self.op, self.domain, self.name, self.inputs, self.outputs = op, domain, name, inputs, outputs
        self.attributes, self.overload, self.operator = attributes, overload, None

    def __repr__(self):
        return f"{self.op}{f' {self.name!r}' if self.name else ''}"


class Input:
    """A graph's input: its name, element type and shape (ints, names of unknown sizes, None), as far as they are given."""

    __slots__ = ("element_type", "name", "shape")

    def __init__(self, name, element_type=None, shape=None):
        self.name, self.element_type, self.shape = name, element_type, shape

    def __repr__(self):
        dtype = DTYPES.get(self.element_type, NAMES.get(self.element_type, "?"))
        return f"{self.name}: {dtype}{list(self.shape) if self.shape is not None else '[...]'}"


class Graph:
    """inputs and outputs: lists of Inputs; initializers: name -> NumPy array; nodes in an order in which they can run.

    roles: initialiser -> "parameter" or "buffer", as far as the file says.
    """

    def __init__(self, name, inputs, outputs, initializers, nodes, roles=None):
        self.name, self.inputs, self.outputs, self.initializers, self.nodes = name, inputs, outputs, initializers, nodes
        self.roles = roles or {}


class Function:
    """A model-local function: a graph whose attributes are filled in at each call."""

    def __init__(self, name, inputs, outputs, attributes, nodes, versions):
        self.name, self.inputs, self.outputs, self.attributes = name, inputs, outputs, attributes
        self.nodes, self.versions = nodes, versions


class Reference:
    """An attribute inside a function that stands for one of the function's."""

    def __init__(self, name):
        self.name = name


class Model:
    """A read model. versions: domain -> version of its operator set; functions: (domain, name, overload) -> Function; where: its path, if it has one."""

    def __init__(self, graph, versions, functions, metadata, ir_version, producer, where=None):
        self.graph, self.versions, self.functions = graph, versions, functions
        self.metadata, self.ir_version, self.producer = metadata, ir_version, producer
        self.where = where
        self.known_names = set()  # of values that decide on shapes: names_that_must_be_known


# ---- subgraphs -----------------------------------------------------------------------------------------------


def subgraphs(node):
    """The graphs among the attributes of a node."""
    for value in node.attributes.values():
        for graph in value if isinstance(value, list) else (value,):
            if isinstance(graph, Graph):
                yield graph


def reads_of(node):
    """What a node reads: its inputs, and what its subgraphs read from outside."""
    return [*node.inputs, *(name for graph in subgraphs(node) for name in outer_names(graph))]


def outer_names(graph):
    """The names that a subgraph reads from around it."""
    own = {v.name for v in graph.inputs} | set(graph.initializers) | {""}
    found = []
    for node in graph.nodes:
        found += [name for name in reads_of(node) if name not in own]
        own.update(node.outputs)
    found += [v.name for v in graph.outputs if v.name not in own]
    return found
