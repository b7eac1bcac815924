"""Programs as files, which run without Python: see examples/run_program.c."""

from ..core.evaluate import assemble
from ..runtime import library
from .program import compiled_graph


def save_program(graph, values, device, path):
    """Writes the program of the closed `graph` to `path`. `values` are those of its first placeholders: constants there.

    The inputs of the saved program are the other placeholders, in order. Raises ArgumentError for what no file can hold.
    """
    compiled = compiled_graph(graph)
    bound, arguments = compiled.placeholders[: len(values)], compiled.placeholders[len(values) :]
    code, inputs, slots, n_slots = assemble(compiled.nodes, [*arguments, *bound], inline=True)
    for node in compiled.results:
        if node not in slots:  # a constant that no instruction reads
            slots[node] = ~len(inputs)
            inputs.append(node)
    constants = [*values, *(node.value for node in inputs[len(compiled.placeholders) :])]
    references = [slots[node] for node in compiled.results]
    library.Program(device, code, n_slots, len(inputs), references, owner=compiled.nodes, constants=constants).save(
        path
    )
