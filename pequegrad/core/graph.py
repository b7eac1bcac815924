"""GraphTrace: a closed graph, what tracing a function gives. jit, vmap, loop bodies and export work on it."""

from sys import getrefcount

from .node import constant, detached, replaced, stand_in, topological_order


class GraphTrace:
    """inputs (placeholder nodes), captures (outer Tensors that are read), nodes in order, outputs (nodes).

    `rebound` are outer handles that the function gave new values: (Tensor, Node) pairs; their nodes are
    further outputs. `effects` are nodes that must run although nothing reads them. In place of captured nodes stand
    placeholders: the graph keeps no outer value alive.
    """

    def __init__(self, name, inputs, captures, outputs, rebound=(), effects=()):
        """captures: Node -> handles, as the trace found them. The nodes of the trace become the graph's own."""
        captures = {node: _lasting(handles) for node, handles in captures.items()}
        stand_ins = {node: stand_in(node.aval) for node in captures}
        self.name = name
        self.inputs = inputs
        self.captures = [(stand_ins[node], handles[0]) for node, handles in captures.items()]
        # handles that stood for the same node: the graph is right as long as they do
        self.aliases = [(handles[0], other) for handles in captures.values() for other in handles[1:]]
        self.outputs = [stand_ins.get(node, node) for node in outputs]
        self.rebound = [(handle, stand_ins.get(node, node)) for handle, node in rebound]
        self.effects = list(dict.fromkeys(map(replaced, effects)))
        self.derived = {}  # what transforms made of this graph: derivatives, batched forms, programs
        results = [*outputs, *(node for _, node in rebound), *self.effects]
        self.nodes = topological_order(results, {*inputs, *stand_ins})
        for node in self.nodes:
            for source in node.inputs:
                if source.replacement is not None or source in stand_ins:
                    node.inputs = tuple([stand_ins.get(source, source) for source in map(replaced, node.inputs)])
                    break

    @property
    def placeholders(self):
        """The nodes that stand for what the graph is applied to: arguments, then captured values."""
        return [*self.inputs, *(node for node, _ in self.captures)]

    @property
    def results(self):
        """All nodes whose values leave the graph."""
        return [*self.outputs, *(node for _, node in self.rebound)]

    @property
    def avals(self):
        """The avals of the results."""
        return tuple(node.aval for node in self.results)

    def rewired(self, inputs, outputs):
        """The same nodes as a graph without captures or rebound handles, of these arguments and results."""
        made = object.__new__(GraphTrace)
        made.__dict__.update(
            self.__dict__, inputs=inputs, captures=[], aliases=[], outputs=outputs, rebound=[], derived={}
        )
        return made

    def rewritten(self, replacement):
        """The graph in which `replacement(node, inputs)` stands for each node: a node, or None to keep it.

        `inputs` are what its inputs became. `output` nodes are visited, too. The graph must be closed: no captures,
        nothing rebound (`Closure` makes such graphs). Nodes that did not change are shared; the graph itself is
        given back if none did.
        """
        became, changed = {}, False
        for node in self.nodes:
            inputs = tuple([became.get(source, source) for source in map(replaced, node.inputs)])
            made = replacement(node, inputs)
            if made is None:
                made = node if inputs == node.inputs else detached(node.spec, inputs)
            if made is not node:
                changed = True
            became[node] = made
        return self.renewed(became) if changed else self

    def renewed(self, became):
        """The closed graph with `became[node]` in place of each result and effect; its nodes come in the order of `became`."""
        at = lambda node: became.get(node, node)  # noqa: E731
        return self.remade(map(at, self.outputs), map(at, self.effects), became.values())

    def remade(self, outputs, effects, order):
        """The closed graph of these results and effects, for the same arguments; only what they need is in it.

        The nodes come in `order`; those that are not named there come just before the first node that needs them.
        """
        made = self.rewired(self.inputs, list(outputs))
        made.effects = list(dict.fromkeys(effects))
        made.nodes = _ordered([*made.outputs, *made.effects], order, set(self.inputs))
        return made

    def prepared(self, spec):
        """The program that an operation made for `spec` runs."""
        from ..compiler.program import program_of

        return program_of(self, spec.device)

    def __str__(self):
        """One line per node: `c: float32[3] = add(a, b)`."""
        return "\n".join(_lines(self, {}))

    def structure(self):
        """A hashable form that is equal for equal graphs, whatever the nodes' numbers."""
        position = {}
        for node in (*self.placeholders, *self.nodes):
            position[node] = len(position)

        def at(node):
            if node in position:
                return position[node]
            return (
                "constant",
                repr(node.spec.params["value"]) if node.spec.primitive is constant else id(node),
                node.aval,
            )

        heads = tuple(node.aval for node in self.placeholders)
        body = tuple((n.spec.primitive.name, frozen(n.spec.params), tuple(map(at, n.inputs))) for n in self.nodes)
        return heads, body, tuple(map(at, self.results)), tuple(map(at, self.effects))


def _lasting(handles):
    """The handles that something besides the trace refers to: only those can be given new values. At least one."""
    return [handles[i] for i in range(len(handles)) if _references(handles, i) > _ONE_REFERENCE] or handles[:1]


def _references(items, i):
    return getrefcount(items[i])


_ONE_REFERENCE = _references([object()], 0)


def _ordered(results, order, boundary):
    """The nodes between `boundary` and `results`, each after its inputs, otherwise in `order`."""
    needed, stack = set(), []

    def need(nodes):
        for node in nodes:
            if node not in needed and node.value is None and node not in boundary:
                needed.add(node)
                stack.append(node)

    need(results)
    while stack:
        need(stack.pop().inputs)
    found, done = [], set()
    for first in (*order, *results):
        if first not in needed:
            continue
        stack = [first]
        while stack:
            node = stack[-1]
            if node not in done:
                waiting = [source for source in node.inputs if source in needed and source not in done]
                if waiting:
                    stack.extend(reversed(waiting))
                    continue
                done.add(node)
                found.append(node)
            stack.pop()
    return found


def frozen(value):
    """Parameters as a hashable value that tells 1, True, 0.0 and -0.0 apart; graphs among them by their structure."""
    if isinstance(value, GraphTrace):
        return value.structure()
    if isinstance(value, dict):
        return tuple((key, frozen(v)) for key, v in value.items())
    if isinstance(value, tuple):
        return tuple(map(frozen, value))
    return repr(value)


def _lines(graph, names):
    """The text of a graph; `names` grows by the names of its nodes."""

    def name(node):
        if node.spec.primitive is constant:
            return repr(node.spec.params["value"])
        if node not in names:
            names[node] = _letters(len(names))
        return names[node]

    def typed(node):
        aval = node.aval
        return f"{name(node)}: {', '.join(map(str, aval)) if type(aval) is tuple else aval}"

    head = f"{graph.name}({', '.join(map(typed, graph.inputs))})"
    if captured := ", ".join(typed(node) for node, _ in graph.captures):
        head += f" captures ({captured})"
    yield head + ":"
    for node in graph.nodes:
        shown, inner = [name(source) for source in node.inputs], []
        for key, value in node.spec.params.items():
            graphs = [v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, GraphTrace)]
            inner += graphs
            shown.append(f"{key}={', '.join(g.name for g in graphs) if graphs else value}")
        yield f"    {typed(node)} = {node.spec.primitive.name}({', '.join(shown)})"
        for body in inner:
            yield from ("        " + line for line in _lines(body, {}))
    yield f"    return {', '.join(map(name, graph.outputs))}"
    captured_as = {handle: name(node) for node, handle in graph.captures}
    for handle, node in graph.rebound:
        yield f"    {captured_as.get(handle, 'a tensor from outside')} becomes {name(node)}"


def _letters(n):
    """a, b, ..., z, aa, ab, ..."""
    text = ""
    while True:
        text = chr(ord("a") + n % 26) + text
        n = n // 26 - 1
        if n < 0:
            return text
