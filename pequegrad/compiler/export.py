"""Programs as files, which run without Python: see examples/run_program.c."""

from ..runtime import library
from .program import assembled, compiled_graph


def save_program(graph, values, device, path):
    """Writes the program of the closed `graph` to `path`. `values` are those of its first placeholders: constants there.

    The inputs of the saved program are the other placeholders, in order. Raises ArgumentError for what no file can hold.
    """
    compiled = compiled_graph(graph)
    bound, arguments = compiled.placeholders[: len(values)], compiled.placeholders[len(values) :]
    code, inputs, references, n_slots = assembled(compiled.nodes, [*arguments, *bound], compiled.results)
    constants = [*values, *(node.value for node in inputs[len(compiled.placeholders) :])]
    library.Program(device, code, n_slots, len(inputs), references, owner=compiled.nodes, constants=constants).save(
        path
    )
