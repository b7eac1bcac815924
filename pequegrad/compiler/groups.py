"""Which nodes of a graph become one kernel.

Walks the graph from its results to its arguments. A node joins the group of what reads it, if all that read it agree on the
index at which they do, if the kernel can still be one pass over rows (`rows_of`), and if nothing outside the group
would have to run between its members. So the kernel of a softmax, a norm or a loss grows from its last operation upwards
to whatever is already in memory. A node that is also read elsewhere is a further result of its kernel.

Views are not members: an operand that is a view of a member, or of an array in memory, is read by index arithmetic.
"""

import math

from ..core.node import is_constant
from ..primitives.access import ORIGIN, axes_of, fresh, has_repeated_axis, is_same, is_whole, trial, unify

MEMBERS = 160  # most nodes of one kernel: more gain nothing, and compilers take long over long functions
SMALL = 1 << 15  # elements; less than this is not worth a second thread
FREE = 4  # operations on positions that are repeated rather than read from memory
ROWS = 8  # fewer rows do not keep the threads busy


class Group:
    """Nodes of one kernel, last ones first, with the index at which each is computed.

    index: node -> index of its result. operand: reduction -> index of what it reduces. shapes: sets of axes on which
    members may depend, as far as they have been checked. chunks: into how many its partial reductions are cut, or None.
    """

    def __init__(self):
        self.members, self.index, self.operand, self.shapes, self.chunks = [], {}, {}, set(), None

    def merged(self, other):
        made = Group()
        made.members = self.members + other.members
        made.index = {**self.index, **other.index}
        made.operand = {**self.operand, **other.operand}
        made.chunks = self.chunks or other.chunks
        return made

    def operand_index(self, node, position):
        """The index at which member `node` reads its operand."""
        if node in self.operand:
            return self.operand[node]
        if node.spec.primitive.form in ("gather", "join"):
            return accesses(node, self.index[node])[position]
        return operand_index(node, position, self.index[node])


def operand_index(node, position, index):
    """The index at which the elementwise `node` reads an operand when it is computed at `index`."""
    aval = node.spec.inputs[position]
    if aval.shape == node.aval.shape:
        return index
    aligned = index[len(index) - aval.ndim :]
    return tuple([place if n != 1 else ORIGIN for place, n in zip(aligned, aval.shape)])


def read_through(index, views):
    """The index into the array under `views` (outermost first), and how many of them index arithmetic could pass."""
    for passed, view in enumerate(views):
        below = view.spec.primitive.access(index, *view.spec.inputs, **view.spec.params)
        if below is None:
            return index, passed
        index = below
    return index, len(views)


def accesses(node, index):
    """What the rule `accesses` of a primitive says of its node when it is computed at `index`.

    Of a gather: the index of the element, without the computed start, and that of the start. Of a join: the indices of the
    operands; the value is that of the first one inside of which its index lies; None: no such form. Of
    what is counted: the place that is the number, and the indices of the elements that it reads of its operand.
    """
    return node.spec.primitive.accesses(index, *node.spec.inputs, **node.spec.params)


def is_addressed(node, position):
    """True for an operand that is read elsewhere than at the index of the node, and therefore in memory before the kernel runs."""
    form = node.spec.primitive.form
    if form == "join":
        return node.spec.inputs[position].ndim > 0
    return position == 0 and form in ("gather", "counted")


class Grouping:
    """The groups of one graph. can_fuse(node): whether code can be generated for it."""

    def __init__(self, graph, can_fuse):
        self.nodes = graph.nodes
        self.position = {node: i for i, node in enumerate(graph.nodes)}
        self.free = _free_nodes(graph, can_fuse)  # what kernels compute where they read it;
        self.borne = _borne_nodes(graph, can_fuse, self.free)  # of it what joins do for themselves
        self.free |= self.borne
        self.members = {node for node in graph.nodes if can_fuse(node) and node not in self.free}
        self.readers = {}  # node -> all nodes that have it as input
        self.uses = {}  # fusable node -> (reader, position of the operand, views between), readers fusable
        self.results = {*graph.outputs, *graph.effects}
        self.kept = set(self.results)  # what must be in memory
        self.addressed = {}  # member -> what must be in memory before its kernel runs
        self.group = {}  # node -> Group
        for node in graph.nodes:
            for position, source in enumerate(node.inputs):
                self.readers.setdefault(source, []).append(node)
                base, views = self.source(source)
                if node in self.members and not is_addressed(node, position):
                    self.uses.setdefault(base, []).append((node, position, views))
                elif not self.is_view(node):
                    self.kept.add(base)
                    self.addressed.setdefault(node, []).append(base)
        for node in (*graph.outputs, *graph.effects):
            self.kept.add(self.source(node)[0])
        effects = sorted(graph.effects, key=self.position.__getitem__)
        self.before = dict(zip(effects[1:], effects))  # effect -> the one that must take place before it
        for effect, before in self.before.items():
            self.readers.setdefault(before, []).append(effect)
        self.depth = depths(graph.nodes, self.members, self.free)
        for node in reversed(graph.nodes):
            if node in self.members:
                self.place(node)

    def is_view(self, node):
        return node.spec.primitive.form == "view"

    def bears(self, node):
        """True if a member computes operands of its own that no other kernel would."""
        return any(source in self.borne for source in self.addressed.get(node, ()))

    def source(self, operand):
        """(what is computed or in memory, the views through which `operand` shows it, outermost first)."""
        views = []
        while self.is_view(operand) and not is_constant(operand):
            views.append(operand)
            operand = operand.inputs[0]
        return operand, views

    def place(self, node):
        """Puts `node` into the groups that read it, merged into one, or into one of them, or into one of its own."""
        wanted = {}
        for reader, position, views in self.uses.get(node, ()):
            group = self.group[reader]
            index, passed = read_through(group.operand_index(reader, position), views)
            if passed < len(views):
                self.kept.add(node)
            else:
                wanted.setdefault(group, []).append(index)
        if node.spec.primitive.form != "partial":
            groups = sorted(wanted, key=lambda group: -len(group.members))
            for some in (groups, *([group] for group in groups[: len(groups) > 1 and 4])):
                if some and self.join(node, some, wanted):
                    return
        group = Group()
        if node.spec.primitive.form == "partial":
            group.index[node] = (ORIGIN, *fresh(node.aval.shape[1:]))
            group.chunks = node.spec.params["chunks"]
        else:
            group.index[node] = fresh(node.aval.shape)
        self.add(node, group)

    def leaves(self, node, members):
        """True if something besides `members` needs the value of a member."""
        return node in self.kept or any(reader not in members for reader, _, _ in self.uses.get(node, ()))

    def is_needed_outside(self, node, members):
        """True if something besides `members` reads `node` or a view of it, or if it is a result."""
        stack = [node]
        while stack:
            current = stack.pop()
            if current in self.results:
                return True
            for reader in self.readers.get(current, ()):
                if self.is_view(reader):
                    stack.append(reader)
                elif reader not in members:
                    return True
        return False

    def add(self, node, group):
        group.members.append(node)
        if node.spec.primitive.form in ("reduction", "partial"):
            kept = iter(group.index[node][node.spec.primitive.form == "partial" :])
            axes = node.spec.params["axes"]
            shape = node.spec.inputs[0].shape
            group.operand[node] = tuple([fresh((n,))[0] if i in axes else next(kept) for i, n in enumerate(shape)])
        self.group[node] = group

    def join(self, node, groups, wanted):
        if sum(len(group.members) for group in groups) >= MEMBERS:
            return False
        if len({group.chunks for group in groups} - {None}) > 1:
            return False  # a kernel is cut in one way
        with trial() as attempt:
            indices = [index for group in groups for index in wanted[group]]
            first = indices[0]
            if not all(unify(first, other) for other in indices[1:]):
                return False
            merged = groups[0]
            for group in groups[1:]:
                merged = merged.merged(group)
            if len(groups) == 1:
                merged = merged.merged(Group())
                merged.shapes = set() if attempt.bound() else set(groups[0].shapes)
            merged.index[node] = first
            self.add(node, merged)
            ok = self.is_possible(node, merged, groups)
            if ok:
                attempt.keep()
        if not ok:
            del self.group[node]
            return False
        for member in merged.members:
            self.group[member] = merged
        return True

    def is_possible(self, node, merged, groups):
        members = set(merged.members)
        leaves = self.leaves(node, members)
        if leaves and self.depth[node] < max(self.depth[member] for member in members):
            return False  # what else needs it would have to wait for this kernel
        if leaves and not is_whole(merged.index[node], node.aval.shape):
            return False
        axes = axes_of(merged.operand.get(node) or merged.index[node])
        shape = frozenset(axes)
        if len(shape) != len(axes):
            return False
        if node in merged.operand or shape not in merged.shapes:
            if any(map(has_repeated_axis, (*merged.index.values(), *merged.operand.values()))):
                return False
            if rows_of(merged) is None:
                return False
            merged.shapes.add(shape)
        for other in members:
            if other.spec.primitive.form == "partial" and not members.isdisjoint(self.readers.get(other, ())):
                return False
            if not members.isdisjoint(self.addressed.get(other, ())):
                return False
        # a member of a group that is merged may have been in memory for the others, who read it elsewhere
        if not all(self.is_read_in_place(other, merged) for other in (members if len(groups) > 1 else (node,))):
            return False
        return not (leaves or len(groups) > 1) or not self.is_cyclic(members)

    def is_read_in_place(self, node, group):
        """True if the members of `group` that read its member `node` do so at the index at which it is computed."""
        for reader, position, views in self.uses.get(node, ()):
            if reader in group.index:
                index, passed = read_through(group.operand_index(reader, position), views)
                if passed < len(views) or not is_same(index, group.index[node]):
                    return False
        return True

    def is_cyclic(self, members):
        """True if something outside depends on `members` and is needed by them."""
        stack = [reader for node in members for reader in self.readers.get(node, ())]
        seen = set()
        while stack:
            node = stack.pop()
            if node in seen or node in members:
                continue
            seen.add(node)
            inside = self.is_view(node) and self.source(node)[0] in members
            for reader in self.readers.get(node, ()):
                if reader in members and not inside:
                    return True
                stack.append(reader)
            other = self.group.get(node)
            if other is not None:
                stack += [sibling for sibling in other.members if sibling not in seen]
        return False


def depths(nodes, members, free=()):
    """node -> how many kernels, roughly, must have run before it can be computed. free: nodes that readers compute."""
    depth, shown = {}, {}
    for node in nodes:
        depth[node] = 0
        if node.spec.primitive.form == "view":
            shown[node] = shown.get(node.inputs[0], node.inputs[0])
        for position, source in enumerate(node.inputs):
            if source in depth:
                form = source.spec.primitive.form
                waits = node in free or is_addressed(node, position)  # reads from memory what kernels compute
                if form == "view":
                    waits = waits and shown[source] in members
                else:
                    waits = source not in free and (waits or source not in members or form == "partial")
                depth[node] = max(depth[node], depth[source] + waits)
    return depth


def _free_nodes(graph, can_fuse):
    """Nodes that are computed from nothing but positions and numbers, so cheaply that each reader may do it itself."""
    cost = {}
    for node in graph.nodes:
        form = node.spec.primitive.form
        if form == "iota" and can_fuse(node):
            cost[node] = 1
        elif form == "view" or (form == "elementwise" and can_fuse(node)):
            parts = [0 if is_constant(s) and s.aval.ndim == 0 else cost.get(s, FREE + 1) for s in node.inputs]
            total = sum(parts) + (form != "view")
            if total <= FREE and any(parts):
                cost[node] = total
    return {node for node in cost if node.spec.primitive.form != "view"}


def _borne_nodes(graph, can_fuse, free):
    """Nodes that only joins read, and so cheap to compute from arrays in memory that the joins do it where they read them.

    These arrays are then read, instead of the values written and read, unless another kernel has to read them anyway.
    """
    operations, read = {}, {}  # node -> operations to compute it; node or view -> {array in memory: elements of it}
    for node in graph.nodes:
        form = node.spec.primitive.form
        if node in free or is_constant(node) or (form != "view" and not can_fuse(node)):
            continue
        found, cost = {}, form != "view"
        for source in node.inputs:
            if source not in free and not (is_constant(source) and source.aval.ndim == 0):
                for array, elements in read.get(source, {source: source.aval.size}).items():
                    found[array] = max(found.get(array, 0), min(elements, node.aval.size))
                cost += operations.get(source, 0)
        is_read = 2 * sum(found.values()) <= 5 * node.aval.size and not any(map(can_fuse, found))
        if form == "view":
            read[node], operations[node] = found, cost
        elif form in ("elementwise", "join") and cost <= FREE and is_read:
            read[node], operations[node] = found, cost
    borne = {node for node in operations if node.spec.primitive.form != "view"}
    borne.difference_update(graph.outputs, graph.effects)
    for node in reversed(graph.nodes):  # not those that something else reads
        form = node.spec.primitive.form
        passes = node in borne or (form == "view" and node in operations)
        for position, source in enumerate(node.inputs):
            if not (passes or (form == "join" and can_fuse(node) and is_addressed(node, position))):
                borne.discard(source)
                operations.pop(source, None)
    return borne


def rows_of(group):
    """The axes over which a kernel of these nodes goes row by row; () if any split will do; None if there is none.

    With reductions that members need, a row is what they keep: whatever depends on more is computed in passes over the
    rest of the axes, once per row. Without reductions it is what operands that are smaller than the results depend on.
    """
    rows, footprints = None, []
    for node in group.members:
        operand = group.operand.get(node)
        if operand is None:
            footprints.append(frozenset(axes_of(group.index[node])))
            continue
        footprints.append(frozenset(axes_of(operand)))
        if node.spec.primitive.form == "reduction":
            kept = frozenset(axes_of(group.index[node]))
            if rows is not None and rows != kept:
                return None
            rows = kept
    full = max(footprints, key=_elements)
    if rows is None:
        smaller = [f for f in footprints if f and f != full]
        if any(not f < full for f in smaller):
            return None
        rows = max(smaller, key=len, default=frozenset())
        if any(not f <= rows for f in smaller) or not _is_outer(rows, full, group):
            return None
        return rows
    if _elements(full) > SMALL and _elements(rows) < ROWS:
        return None
    inner = set()
    for f in footprints:
        if f and not f <= rows:
            if not rows <= f:
                return None
            inner.add(f)
    if any(a & b != rows for a in inner for b in inner if a is not b):
        return None
    return rows


def _elements(axes):
    return math.prod([axis.size for axis in axes])


def _is_outer(rows, full, group):
    """True if `rows` are the leading axes of the widest members: a column would be computed again for each row."""
    for index in (*group.index.values(), *group.operand.values()):
        order = axes_of(index)
        if len(order) == len(full):
            return set(order[: len(rows)]) == rows
    return True
