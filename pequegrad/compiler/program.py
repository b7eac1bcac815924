"""A GraphTrace as one program of the runtime: every node one instruction, nothing fused yet."""

from ..core.evaluate import assemble
from ..core.node import constant
from ..runtime import library


class CompiledGraph:
    """Runs a graph in one call. `arguments` and captures come as DeviceArrays, results leave as such."""

    def __init__(self, graph, device):
        self.graph = graph
        code, inputs, slots, n_slots = assemble(graph.nodes)
        for node in graph.results:  # a result may be an input or a constant that no instruction reads
            if node not in slots:
                slots[node] = ~len(inputs)
                inputs.append(node)
        argument = {node: i for i, node in enumerate((*graph.inputs, *(node for node, _ in graph.captures)))}
        # where each input of the program comes from: the index of an argument, or the value of a constant
        self.sources = [node.value if node.spec.primitive is constant else argument[node] for node in inputs]
        self.program = library.Program(
            device, code, n_slots, len(inputs), [slots[node] for node in graph.results],
            specs=[node.spec for node in graph.nodes],
        )  # fmt: skip

    def __call__(self, arguments):
        """The results for `arguments`: the values of graph.inputs followed by those of graph.captures."""
        return self.program.run([arguments[s] if type(s) is int else s for s in self.sources])
