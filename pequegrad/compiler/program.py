"""A GraphTrace as one program of the runtime: every node one instruction, nothing fused yet."""

from ..core.evaluate import assemble
from ..core.node import is_constant
from ..runtime import library
from .patterns import apply_patterns


def program_of(graph, device):
    """The program that computes graph.results from the values of graph.placeholders; made once, kept with the graph."""
    found = graph.derived.get("program")
    if found is None:
        wanted, graph = graph, apply_patterns(graph)
        code, inputs, slots, n_slots = assemble(graph.nodes, graph.placeholders, inline=True)
        for node in graph.results:
            if node not in slots:  # a constant that no instruction reads
                slots[node] = ~len(inputs)
                inputs.append(node)
        constants = inputs[len(graph.placeholders) :]
        assert all(map(is_constant, constants)), "a graph reads a value from outside"
        found = wanted.derived["program"] = library.Program(
            device, code, n_slots, len(inputs), [slots[node] for node in graph.results],
            owner=graph.nodes, constants=[node.value for node in constants],
        )  # fmt: skip
    return found


def device_of(graph, default):
    """The device on which the graph's values live."""
    for node in (*graph.placeholders, *graph.nodes, *graph.results):
        return node.spec.outputs[0].device
    return default
