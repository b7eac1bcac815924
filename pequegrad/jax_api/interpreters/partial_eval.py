"""jax.interpreters.partial_eval: functions of which some arguments are known, of others only the types."""

from ...core.evaluate import OUTPUT
from ...core.node import face, make_aval
from ...core.tensor import wrap
from ...primitives.base import rebuild
from ...primitives.calls import call
from ...transforms.control_flow import Closure
from ...transforms.trace import trace
from ..convert import as_array, current_device
from ..jaxprs import jaxpr_of, shaped, typeof

__all__ = ["PartialVal", "trace_to_jaxpr_nounits"]


class PartialVal(tuple):
    """(None, value) of what is known, (type, None) of what is not."""

    __slots__ = ()

    @classmethod
    def known(cls, const):
        """That of a value."""
        return cls((None, const))

    @classmethod
    def unknown(cls, aval):
        """That of a type."""
        return cls((aval, None))

    def is_known(self):
        """True for a value."""
        return self[0] is None

    def get_known(self):
        """The value, or None."""
        return self[1]

    def get_aval(self):
        """The type."""
        return typeof(self[1]) if self[0] is None else self[0]


def trace_to_jaxpr_nounits(fun, pvals, instantiate=False):
    """(jaxpr, results, constants): `fun`, a WrappedFun of leaves, is traced for the PartialVals of its arguments.

    The results, PartialVals, are known where they depend on known values alone, in which case they are computed here; the jaxpr
    gives the others, of the constants and the unknown arguments. instantiate: True, or a bool for each result: it is to be unknown.
    """
    flags = [pv.is_known() for pv in pvals]
    given = [as_array(pv.get_known()) if known else None for pv, known in zip(pvals, flags)]
    unknown = [pv.get_aval() for pv, known in zip(pvals, flags) if not known]
    avals = [make_aval(a.shape, a.dtype, current_device(), a.weak_type) for a in unknown]

    def traced(values):
        values = iter(values)
        return fun.call_wrapped(*[x if known else next(values) for x, known in zip(given, flags)])

    with face(True):
        graph, _, _ = trace("partial_eval", fun.__name__, avals, traced)
        closure = Closure([graph])
        if closure.state:
            raise NotImplementedError(f"{fun.__name__} changes a tensor from outside.")
        (graph,) = closure.graphs
        values = _known_results(graph, [*closure.constants, *[None] * len(avals)])
        if instantiate is not False:
            wanted = [instantiate] * len(values) if instantiate is True else instantiate
            values = [None if wish else x for x, wish in zip(values, wanted)]
        rest = [node for node, x in zip(graph.results, values) if x is None]
        jaxpr = jaxpr_of(graph.remade(rest, graph.effects, graph.nodes), len(closure.constants))
    results = [
        PartialVal.unknown(shaped(node.aval)) if x is None else PartialVal.known(x)
        for node, x in zip(graph.results, values)
    ]
    return jaxpr, results, [*closure.constants, *map(wrap, jaxpr.arrays)]


def _known_results(graph, arguments):
    """The results of a closed graph, None where they depend on arguments that are None."""
    known = dict(zip(graph.placeholders, arguments))
    at = lambda node: known[node] if node in known else wrap(node)
    for node in graph.nodes:
        inputs = [at(source) for source in node.inputs]
        if node.spec.op == OUTPUT:
            known[node] = None if inputs[0] is None else inputs[0][node.spec.params["index"]]
        elif all(x is not None for x in inputs):
            known[node] = rebuild(node, inputs)
        elif node.spec.primitive is call:  # a jitted function: of its results, too, some may be known
            known[node] = _known_results(node.spec.params["graph"], inputs)
        else:
            known[node] = None
    return [at(node) for node in graph.results]
