"""Programs for arguments that are transposed or broadcast views: they read the memory under the view.

Which strides its arguments have is no part of the type for which a function is compiled: generated kernels read dense
arrays, and the runtime would copy others first. For views of dense arrays there is a variant of the program that takes
the dense array and begins with the view, which then is index arithmetic like any other.
"""

from ..core.node import detached, stand_in
from ..primitives.shape import broadcast_in_dim, transpose
from ..runtime import library
from .program import program_of

SMALL = 4096  # elements; copying less costs less than looking


class Layouts:
    """The programs of one closed graph for arguments that lie in memory as they were met."""

    def __init__(self, graph, device):
        self.graph, self.device = graph, device
        self.variants = {}  # ((position, shape of the dense array, permutation), ...) -> program

    def program(self, values):
        """(program, its arguments) for these values; None if the usual program reads them where they are."""
        if library.are_dense(values):
            return None
        values, views = list(values), []
        for k, (value, node) in enumerate(zip(values, self.graph.inputs)):
            if node.aval.size >= SMALL and not library.are_dense([value]):
                found = library.dense_base(value)
                if found is not None:
                    values[k], permutation = found
                    views.append((k, library.shape_of(values[k]), permutation))
        if not views:
            return None
        key = tuple(views)
        if key not in self.variants:
            self.variants[key] = program_of(with_views(self.graph, views), self.device)
        return self.variants[key], values


def with_views(graph, views):
    """The closed graph that takes dense arrays and looks at them through views; views: (position, shape, permutation)."""
    inputs, became = list(graph.inputs), {}
    for k, shape, permutation in views:
        old = inputs[k]
        inputs[k] = stand_in(old.aval.update(shape=shape))
        turned = _node(transpose, inputs[k], permutation=permutation)
        if turned.aval.shape != old.aval.shape:
            axes = tuple(range(old.aval.ndim))
            turned = _node(broadcast_in_dim, turned, shape=old.aval.shape, axes=axes)
        became[old] = turned
    for node in graph.nodes:
        sources = tuple([became.get(source, source) for source in node.inputs])
        became[node] = node if sources == node.inputs else detached(node.spec, sources)
    return graph.rewired(inputs, graph.outputs).renewed(became)


def _node(primitive, x, **params):
    return detached(primitive.make_spec((x.aval,), params), (x,))
