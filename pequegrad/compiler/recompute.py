"""Graph -> Graph: what a later kernel could compute again cheaply is not kept in memory for it.

A derivative reads values of the forward part (x * 0.5, 1 + tanh(x), a centred x ...) that elementwise operations made of a
few arrays which are in memory anyway. If reading those instead saves more bytes than the operations are worth, the later kernel gets
copies of the operations, and the value is neither written nor read. The copies compute the same bits.
"""

import math

from ..core.node import detached, is_constant
from .groups import SMALL, depths, is_addressed
from .loops import cost_of

COST_PER_BYTE = 2  # additions (loops.cost_of) that are worth a byte less to move, and to keep
OPERATIONS = 16  # most copies for one value


def recomputed(graph, can_fuse):
    """The closed graph in which late readers of cheap values have operations of their own that compute them."""
    return _Recomputation(graph, can_fuse).apply()


class _Recomputation:
    """late: value -> kernels (roughly) that wait for others and read it. stored: values that are in memory for them."""

    def __init__(self, graph, can_fuse):
        self.graph = graph
        self.members = {node for node in graph.nodes if can_fuse(node)}
        self.elementwise = {node for node in self.members if node.spec.primitive.form == "elementwise"}
        self.position = {node: i for i, node in enumerate(graph.nodes)}
        self.fixed = {*graph.outputs, *graph.effects}  # what must be in memory
        for node in graph.nodes:
            for position, source in enumerate(node.inputs):
                if node not in self.members or is_addressed(node, position):
                    self.fixed.add(source)
        self.depth = self._latest_depths()
        self.kernel = self._kernels()
        self.late, self.reads = {}, {}
        for node in graph.nodes:
            for source in node.inputs:
                if node in self.members:
                    kernel = self.kernel[node]
                    if self.kernel.get(source) is not kernel:
                        self.reads.setdefault(kernel, set()).add(source)
                        self.late.setdefault(source, set()).add(kernel)
        self.stored = self.fixed.union(self.late)

    def _latest_depths(self):
        """node -> how many kernels must have run before it is computed: with the first of its readers."""
        depth, first = depths(self.graph.nodes, self.members), {}
        for node in reversed(self.graph.nodes):
            if node in self.members and node not in self.fixed and node.spec.primitive.form != "partial":
                depth[node] = max(depth[node], first.get(node, 0))
            for source in node.inputs:
                first[source] = min(first.get(source, depth[node]), depth[node])
        return depth

    def _kernels(self):
        """member -> one of the members that are joined to it by reading each other without waiting."""
        parent = {node: node for node in self.members}

        def find(node):
            while parent[node] is not node:
                parent[node] = node = parent[parent[node]]
            return node

        for node in self.graph.nodes:
            if node in self.members:
                for source in node.inputs:
                    if source in self.members and self.depth[source] == self.depth[node]:
                        parent[find(source)] = find(node)
        return {node: find(node) for node in self.members}

    def apply(self):
        chosen = set()
        for _ in range(2):  # what seemed dear at first may be cheap when other values are read instead
            for node in reversed(self.graph.nodes):
                if node in self.late and node in self.elementwise and node not in self.fixed and node not in chosen:
                    if node.aval.size > SMALL and self._pays(node):
                        chosen.add(node)
        return self._rewritten(chosen) if chosen else self.graph

    def _recipe(self, node, most=math.inf, known=()):
        """(operations that compute the value, latest first; arrays in memory that they read).

        Looks no further back than `known` values, and no further once there are more than `most` operations.
        """
        operations, arrays, stack = {}, {}, [node]
        while stack and len(operations) <= most:
            current = stack.pop()
            if current in operations or current in known or is_constant(current):
                continue
            if current is not node and (current not in self.elementwise or current in self.stored):
                view = current.spec.primitive.form == "view" and current.aval.size <= SMALL
                if not view:
                    arrays[current] = True
                    continue
            operations[current] = True
            stack += current.inputs
        return operations, arrays

    def _pays(self, node):
        """Makes the choice for one value; if it is to be computed again, notes what is read instead."""
        operations, arrays = self._recipe(node, OPERATIONS)
        if len(operations) > OPERATIONS:
            return False
        kernels = self.late[node]
        bytes_saved = _bytes(node) * (1 + len(kernels))
        for array in arrays:
            if type(array.aval) is tuple:
                return False
            bytes_saved -= _bytes(array) * sum(array not in self.reads[kernel] for kernel in kernels)
            if array in self.members and array not in self.stored:
                bytes_saved -= _bytes(array)
        work = sum(cost_of(each) * each.aval.size for each in operations if each in self.elementwise)
        if work * len(kernels) > COST_PER_BYTE * bytes_saved:
            return False
        self.stored.discard(node)
        self.stored.update(arrays)
        for array in arrays:
            self.late.setdefault(array, set()).update(kernels)
        for kernel in kernels:
            self.reads[kernel].discard(node)
            self.reads[kernel].update(arrays)
        return True

    def _rewritten(self, chosen):
        became, copies = {}, {}  # copies: kernel -> {node: its copy for this kernel}

        def copy(kernel, node):
            """The node that computes `node` again, for `kernel`."""
            own = copies.setdefault(kernel, {})
            operations, _ = self._recipe(node, known=own)
            for each in sorted(operations, key=self.position.__getitem__):
                inputs = [own.get(source) or became.get(source, source) for source in each.inputs]
                own[each] = detached(each.spec, tuple(inputs))
            return own[node]

        for node in self.graph.nodes:
            kernel, inputs = self.kernel.get(node), []
            for source in node.inputs:
                if kernel is not None and source in chosen and self.kernel[source] is not kernel:
                    inputs.append(copy(kernel, source))
                else:
                    inputs.append(became.get(source, source))
            became[node] = node if tuple(inputs) == node.inputs else detached(node.spec, tuple(inputs))
        return self.graph.renewed(became)


def _bytes(node):
    return node.aval.size * node.aval.dtype.itemsize
