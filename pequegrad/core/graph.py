"""GraphTrace: a closed graph, what tracing a function gives. jit, vmap and export work on it."""

from operator import attrgetter

from .node import constant, stand_in


class GraphTrace:
    """inputs (placeholder nodes), captures (outer Tensors that are read), nodes in order, outputs (nodes).

    `rebound` are outer handles that the function gave new values: (Tensor, Node) pairs; their nodes are
    further outputs. In place of captured nodes stand placeholders: the graph keeps no outer value alive.
    """

    def __init__(self, name, inputs, captures, outputs, rebound=()):
        """captures: Node -> handles, as the trace found them. The nodes of the trace become the graph's own."""
        stand_ins = {node: stand_in(node.aval) for node in captures}
        self.name = name
        self.inputs = inputs
        self.captures = [(stand_ins[node], handles[0]) for node, handles in captures.items()]
        # handles that stood for the same node: the graph is right as long as they do
        self.aliases = [(handles[0], other) for handles in captures.values() for other in handles[1:]]
        self.outputs = [stand_ins.get(node, node) for node in outputs]
        self.rebound = [(handle, stand_ins.get(node, node)) for handle, node in rebound]
        results = [*outputs, *(node for _, node in rebound)]
        self.nodes = _reachable(results, {*inputs, *stand_ins})
        for node in self.nodes:
            node.inputs = tuple([stand_ins.get(source, source) for source in node.inputs])

    @property
    def results(self):
        """All nodes whose values leave the graph."""
        return [*self.outputs, *(node for _, node in self.rebound)]

    def __str__(self):
        """One line per node: `c: float32[3] = add(a, b)`."""
        names = {}

        def name(node):
            if node.spec.primitive is constant:
                return repr(node.spec.params["value"])
            if node not in names:
                names[node] = _letters(len(names))
            return names[node]

        def typed(node):
            aval = node.aval
            return f"{name(node)}: {', '.join(map(str, aval)) if type(aval) is tuple else aval}"

        head = f"{self.name}({', '.join(map(typed, self.inputs))})"
        if captured := ", ".join(typed(node) for node, _ in self.captures):
            head += f" captures ({captured})"
        lines = [head + ":"]
        for node in self.nodes:
            shown = [name(source) for source in node.inputs]
            shown += [f"{key}={value}" for key, value in node.spec.params.items()]
            lines.append(f"    {typed(node)} = {node.spec.primitive.name}({', '.join(shown)})")
        lines.append(f"    return {', '.join(map(name, self.outputs))}")
        captured_as = {handle: name(node) for node, handle in self.captures}
        for handle, node in self.rebound:
            lines.append(f"    {captured_as.get(handle, 'a tensor from outside')} becomes {name(node)}")
        return "\n".join(lines)

    def structure(self):
        """A hashable form that is equal for equal graphs, whatever the nodes' numbers."""
        position = {}
        for node in (*self.inputs, *(node for node, _ in self.captures), *self.nodes):
            position[node] = len(position)

        def at(node):
            if node in position:
                return position[node]
            return "constant", repr(node.spec.params["value"]), node.aval

        heads = tuple(node.aval for node in (*self.inputs, *(node for node, _ in self.captures)))
        body = tuple((n.spec.primitive.name, repr(n.spec.params), tuple(map(at, n.inputs))) for n in self.nodes)
        return heads, body, tuple(map(at, self.results))


def _reachable(results, boundary):
    seen, stack, found = set(boundary), [], []
    for node in results:
        if node not in seen:
            seen.add(node)
            stack.append(node)
    while stack:
        node = stack.pop()
        if node.spec.primitive is constant:
            continue
        found.append(node)
        for source in node.inputs:
            if source not in seen:
                seen.add(source)
                stack.append(source)
    found.sort(key=attrgetter("number"))
    return found


def _letters(n):
    """a, b, ..., z, aa, ab, ..."""
    text = ""
    while True:
        text = chr(ord("a") + n % 26) + text
        n = n // 26 - 1
        if n < 0:
            return text
