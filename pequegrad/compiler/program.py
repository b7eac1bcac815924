"""A GraphTrace as one program of the runtime: simplified, fused, every node one instruction."""

import os
import sys

from ..core.evaluate import assemble
from ..core.node import is_constant
from ..runtime import library
from . import simplify
from .fuse import fuse, loop
from .patterns import apply_patterns, unchanged
from .schedule import scheduled
from .toolchain import Unavailable, build, warn

fusing = True  # False: programs run simplified, but one operation at a time; for tests, and to see what fusion is worth


def program_of(graph, device):
    """The program that computes graph.results from the values of graph.placeholders; made once, kept with the graph."""
    found = graph.derived.get("program")
    if found is None:
        compiled = compiled_graph(graph)
        code, inputs, references, n_slots = assembled(compiled.nodes, compiled.placeholders, compiled.results)
        constants = inputs[len(compiled.placeholders) :]
        assert all(map(is_constant, constants)), "a graph reads a value from outside"
        found = graph.derived["program"] = library.Program(
            device, code, n_slots, len(inputs), references,
            owner=compiled.nodes, constants=[node.value for node in constants], name=graph.name,
        )  # fmt: skip
    return found


def assembled(nodes, placeholders, results):
    """The code of a closed graph: (code, nodes of its inputs, references of the results, number of slots)."""
    code, inputs, slots, n_slots = assemble(nodes, placeholders, inline=True)
    for node in results:
        if node not in slots:  # a constant that no instruction reads
            slots[node] = ~len(inputs)
            inputs.append(node)
    return code, inputs, [slots[node] for node in results], n_slots


def simplified_graph(graph):
    """The closed `graph` after all passes that change what is computed where, but not how."""
    found = graph.derived.get("matched")
    if found is None:
        simplified = simplify.simplify if simplify.enabled else unchanged
        found = simplified(graph)
        matched = apply_patterns(found, simplified)
        if matched is not found:
            graph.derived["patterns"] = matched.derived.get("patterns", [])
            found = simplified(matched)
        graph.derived["matched"] = found
    return found


def compiled_graph(graph):
    """What is run for the closed `graph`: the same results from fewer, larger steps."""
    found = graph.derived.get("compiled")
    if found is None:
        simplified = simplified_graph(graph)
        found = fuse(simplified) if fusing else simplified
        loops = [node.spec.params for node in found.nodes if node.spec.primitive is loop]
        kernels = [params["kernel"] for params in loops]
        if os.environ.get("PG_KERNEL_DB", "").lower() not in ("", "0", "false"):
            for text in dict.fromkeys(map(_as_text, loops)):
                print(text, file=sys.stderr)
        try:
            for kernel, address in zip(kernels, build([(kernel.name, kernel.text) for kernel in kernels])):
                kernel.params = [address]
        except Unavailable as error:
            warn(error)
            graph.derived["unfused"] = error.reason
            found = simplified
        found = graph.derived["compiled"] = scheduled(found)
    return found


def patterns_in(graph):
    """The names of the patterns that were found in the graph."""
    return graph.derived.get("patterns", [])


def unfused_because(graph):
    """Why no code was generated for the graph, or None."""
    return graph.derived.get("unfused")


def _as_text(params):
    """A kernel for people to read: the operations that it was made of, and its C text."""
    return f"/* {params['graph']} */\n{params['kernel'].text}"


def device_of(graph, default):
    """The device on which the graph's values live."""
    for node in (*graph.placeholders, *graph.nodes, *graph.results):
        return node.spec.outputs[0].device
    return default
