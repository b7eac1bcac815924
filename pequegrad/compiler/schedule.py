"""The order in which a program computes its nodes: what gives back more memory than it takes runs as soon as it can.

A traced gradient lists the gradients of the weights last, since only the results need them: by then the activations that they
read have been kept through the whole backward pass, and are in no cache any more. A node whose result is not larger than the
arrays of which it is the last reader is therefore moved up, behind the node that made it possible; memory in use never grows by it.
"""

from ..core.evaluate import OUTPUT
from ..core.node import is_constant


def scheduled(graph):
    """The closed graph with its nodes in that order."""
    plan = _Plan(graph)
    for node in graph.nodes:
        if not plan.is_light(node):
            plan.run(node)
    return graph.remade(graph.outputs, graph.effects, plan.order)


class _Plan:
    """order: nodes so far. Views and the outputs of a node with several are light: they come with what reads them.

    needs: node -> nodes without which it cannot run, as far as they have not run. reads: node -> the arrays that it reads.
    readers: array -> the nodes that read it and have not run; arrays that are arguments, results or constants are not in it.
    """

    def __init__(self, graph):
        self.order, self.done = [], set()
        self.needs, self.reads, self.readers, self.dependents = {}, {}, {}, {}
        self.gives = {}  # node -> its arrays
        self.fixed = set(graph.effects)  # they stay in the order in which they were traced
        inside, kept = set(graph.nodes), set(map(self.array, graph.results))
        for node in graph.nodes:
            if node.spec.op == OUTPUT:
                self.gives.setdefault(node.inputs[0], []).append(node)
            if self.is_light(node):
                continue
            self.reads[node] = arrays = {a for a in map(self.array, node.inputs) if a in inside}
            self.needs[node] = {self.maker(array) for array in arrays}
            for maker in self.needs[node]:
                self.dependents.setdefault(maker, []).append(node)
            for array in arrays - kept:
                self.readers.setdefault(array, set()).add(node)

    def is_light(self, node):
        return node.spec.op == OUTPUT or node.spec.primitive.form == "view"

    def array(self, node):
        """The node whose array `node`, a view perhaps, shows."""
        while node.spec.op != OUTPUT and node.spec.primitive.form == "view" and not is_constant(node):
            node = node.inputs[0]
        return node

    def maker(self, array):
        return array.inputs[0] if array.spec.op == OUTPUT else array

    def run(self, node):
        """Puts a node in its place, and behind it those that now can run and give back memory."""
        stack = [node]
        while stack:
            node = stack.pop()
            if node in self.done:
                continue
            self.done.add(node)
            self.order.append(node)
            self.order.extend(self.gives.get(node, ()))
            able = []
            for dependent in self.dependents.get(node, ()):
                self.needs[dependent].discard(node)
                if not self.needs[dependent]:
                    able.append(dependent)
            for array in self.reads[node]:
                readers = self.readers.get(array)
                if readers is not None:
                    readers.discard(node)
                    if len(readers) == 1:
                        able.extend(readers)
            stack.extend(other for other in able if self.should_run(other))

    def should_run(self, node):
        if node in self.done or node in self.fixed or self.needs[node]:
            return False
        freed = sum(
            array.aval.size * array.aval.dtype.itemsize
            for array in self.reads[node]
            if self.readers.get(array) == {node}
        )
        arrays = self.gives.get(node, [node])
        taken = sum(array.aval.size * array.aval.dtype.itemsize for array in arrays if type(array.aval) is not tuple)
        return taken <= freed
