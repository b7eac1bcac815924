"""Dead code: what no result and no effect needs is left out."""


def dead_code(graph):
    """The graph without such nodes. Every other pass leaves them out, too."""
    return graph.remade(graph.outputs, graph.effects, graph.nodes)
