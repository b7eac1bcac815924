"""Evaluation: pending nodes become one program, and the runtime runs it in one call.

Which values does a run keep? Those that anything outside it still refers to: a handle of the user, or
a pending node that was not asked for. CPython's reference counts say so exactly and cost nothing while
the graph is built. A run for a tracked tensor also keeps the values that a later grads() reads.
"""

from operator import attrgetter
from sys import getrefcount

from ..runtime import library
from .errors import (
    ArgumentError,
    ConcretizationTypeError,
    NonConcreteBooleanIndexError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
    user_line,
)
from .locks import AfterForkLock
from .node import (
    LINEAR,
    TRACKED,
    Cut,
    check_readable_frame,
    history_of,
    placeholder,
    replaced,
    sorted_by_dependence,
    state,
)

# Spec.op of primitives that need no instruction:
OUTPUT = -1  # picks one result of several
FORWARD = -2  # several results, which are inputs; params: first, the index of the input that is the first result

_by_number = attrgetter("number")
_lock = AfterForkLock()


def evaluate(roots, drop_history=False, reader="this"):
    """Computes the values of the nodes `roots` and of all they need, in one program.

    drop_history: the roots become leaves, and what only their history refers to is not kept.
    reader: what needs the value, for the message of TracerError.
    """
    with _lock:
        uses, order = _pending(roots, reader)
        if order:
            keep_all = not drop_history and any(node.flags & TRACKED for node in roots)
            keep, walkable, work = _prepared(order, uses, keep_all)
    if order:
        values = library.execute(*work)  # another thread may evaluate meanwhile, a callback may wait for it
        with _lock:
            _store(keep, walkable, values)
    if drop_history and not state.gradient_frames:
        with _lock:
            for node in roots:
                _cut_history(node)


def _pending(roots, reader):
    """All uncomputed nodes that `roots` need, in order, with the number of references between them."""
    uses, order, stack, by_number = {}, [], [], True
    for node in roots:
        if node.frame is not None or node.flags & LINEAR:
            raise no_value(node, reader)
        if node.value is None and node not in uses:
            uses[node] = -1  # counts as a reference from outside: a root is always kept
            stack.append(node)
    while stack:
        node = stack.pop()
        order.append(node)
        for source in node.inputs:
            if source.value is None:
                if source.replacement is not None:  # referred to by what it replaces: always kept
                    by_number, source = False, replaced(source)
                    if source.value is None and source not in uses:
                        uses[source] = 0
                        stack.append(source)
                elif source in uses:
                    uses[source] += 1
                else:
                    uses[source] = 1
                    stack.append(source)
    order.sort(key=_by_number)
    if not by_number:
        order = sorted_by_dependence(order, uses)
    device = order[0].spec.device if order else None
    for node in roots:
        if node.value is None and node.spec.device is not device:
            raise ArgumentError(
                "Values on different devices cannot be evaluated together.", fix="evaluate them one device at a time."
            )
    return uses, order


def assemble(order, arguments=(), inline=False):
    """The program of the nodes in `order`: (code, input nodes, slot of each node, slots).

    References to slots and inputs are as pequegrad.h describes: slot, or ~k for input k. Of a node with several
    results the entry is a list. The first inputs are `arguments`. inline: calls are replaced by what they call.
    """
    program = _Assembly(arguments)
    program.add(order, program.slots, inline)
    return program.code, program.inputs, program.slots, program.n_slots


class _Assembly:
    """A program under construction."""

    def __init__(self, arguments):
        self.code, self.inputs, self.n_slots = [], list(arguments), 0
        self.slots = {node: ~k for k, node in enumerate(arguments)}

    def add(self, order, slots, inline):
        code = self.code
        append, slot_of = code.append, slots.get
        for node in order:
            spec = node.spec
            op = spec.op
            if op <= 0:
                if op == OUTPUT:
                    self.pick_output(node, slots)
                    continue
                if op == FORWARD:
                    first = spec.params["first"]
                    slots[node] = [self.read(source, slots) for source in node.inputs[first : first + spec.n_outputs]]
                    continue
                if inline and spec.primitive.name in ("call", "checkpoint"):
                    self.call(node, slots)
                    continue
                op = spec.prepare()
            append(op)
            n_slots = self.n_slots
            if type(node.aval) is not tuple:
                slots[node] = n_slots
                append(n_slots)
                self.n_slots = n_slots + 1
            else:
                slots[node] = range(n_slots, n_slots + spec.n_outputs)
                code.extend(slots[node])
                self.n_slots = n_slots + spec.n_outputs
            for source in node.inputs:
                slot = slot_of(source)
                if slot is None:
                    slot = self.read(source, slots)
                append(slot)

    def read(self, node, slots):
        """Where the value of `node` is; it becomes an input of the program if it is not computed there."""
        slot = slots.get(node)
        if slot is None:
            slot = self.slots.get(node)  # shared by all calls: constants
            if slot is None:
                slot = self.slots[node] = ~len(self.inputs)
                self.inputs.append(node)
            slots[node] = slot
        return slot

    def pick_output(self, node, slots):
        source, index = replaced(node.inputs[0]), node.spec.params["index"]
        if source.value is None:
            slots[node] = slots[source][index]
        else:
            node.value = source.value[index]
            self.read(node, slots)

    def call(self, node, slots):
        graph = node.spec.params["graph"]
        inner = {argument: self.read(source, slots) for argument, source in zip(graph.placeholders, node.inputs)}
        self.add(graph.nodes, inner, True)
        slots[node] = [self.read(result, inner) for result in graph.results]


def _external(order, uses, slots):
    """The nodes that something besides this run refers to."""
    return [node for node in order if getrefcount(node) - uses[node] > _INTERNAL]


class _Probe:
    """Stands for a node, to learn how many references _external itself sees."""


_INTERNAL = -1
_probe = [_Probe()]
while _external(_probe, dict.fromkeys(_probe, 0), dict.fromkeys(_probe, 0)):
    _INTERNAL += 1


def _history(order):
    """(nodes that grads() may walk on from: tracked, with a tracked input; all nodes whose values it may read)."""
    walkable, read = set(), {}
    for node in order:
        if node.flags & TRACKED:
            inputs = node.inputs
            for source in inputs:
                if source.flags & TRACKED:
                    walkable.add(node)
                    read[node] = None
                    for operand in inputs:
                        if operand.value is None and operand.replacement is None:  # computed in this run
                            read[operand] = None
                    break
    return walkable, read


def _prepared(order, uses, keep_all):
    """(nodes whose values are kept, those among them that keep their inputs, arguments of library.execute)."""
    code, inputs, slots, n_slots = assemble(order)
    keep = _external(order, uses, slots)
    n_owned = sum([node.spec.n_outputs for node in keep])
    walkable, read = _history(order if keep_all else keep)
    if keep_all:  # values that only history refers to live and die together
        owned = set(keep)
        keep += [node for node in read if node not in owned]
    refs = []
    for node in keep:
        slot = slots[node]
        if type(slot) is int:
            refs.append(slot)
        else:
            refs.extend(slot)
    return keep, walkable, (order[0].spec.device, code, n_slots, [node.value for node in inputs], refs, n_owned)


def _store(keep, walkable, values):
    """Gives the kept nodes their values."""
    next_value = iter(values).__next__
    for node in keep:
        if type(node.aval) is tuple:
            node.value = tuple([next_value() for _ in node.aval])
        else:
            node.value = next_value()
        node.depth = 0
        if node not in walkable:
            node.inputs = ()


def _cut_history(node):
    """Makes a computed node a leaf. Remembers what it depended on, so that grads() can say so."""
    if node.flags & TRACKED and node.inputs:
        node.cut = Cut("eval()", history_of(node.inputs))
    node.inputs = ()


_WAYS_OUT = {
    "`if` (or bool())": "use pg.where(condition, a, b) instead of `if`",
    "`while`": "use pg.while_loop(test, body, x), or pg.fori_loop(0, n, body, x)",
    "`assert`": "look at what is returned outside, or call it under jit(f, debug=True), where it has values",
    "format()": "use pg.debug_print('{}', x), which prints at every call",
    "use as an index": "use x[i] with the tensor i, pg.fori_loop instead of range(), sizes that do not depend on values",
    "indexing with a bool mask": "use pg.where(mask, x, 0): the size of x[mask] depends on values",
    None: "return it and read it outside, compute with tensors instead of numbers",
}
_KINDS = {
    "`if` (or bool())": TracerBoolConversionError,
    "`while`": TracerBoolConversionError,
    "`assert`": TracerBoolConversionError,
    "use as an index": TracerIntegerConversionError,
    "indexing with a bool mask": NonConcreteBooleanIndexError,
    "np.asarray()": TracerArrayConversionError,
}  # other readers make Python numbers


def no_value(node, reader):
    """The TracerError for reading a node that only stands for a value."""
    if reader == "`if` (or bool())":
        keyword = user_line().partition(":   ")[2].partition(" ")[0]
        reader = f"`{keyword}`" if keyword in ("while", "assert") else reader
    check_readable_frame(node)
    kind = _KINDS.get(reader, ConcretizationTypeError)
    if node.frame is None:
        return kind(f"{reader} needs a value, but this is the tangent of a linear function: it has none.")
    arguments, seen, stack = [], {node}, [node]
    while stack:
        current = stack.pop()
        if current.spec.primitive is placeholder:
            arguments.append(current)
        for source in current.inputs:
            if source not in seen:
                seen.add(source)
                stack.append(source)
    names = [node.frame.argument_names.get(a, "an argument") for a in sorted(arguments, key=_by_number)]
    depends = (
        f"depends on {', '.join(names[:3])} of {node.frame.function}"
        if names
        else f"was made inside {node.frame.function}"
    )
    return kind(
        f"{reader} needs a value, but this {node.aval} is traced by {node.frame.transform}.",
        origin=f"{node.spec.primitive.title} ({node.aval}) {depends}",
        fix=_WAYS_OUT.get(reader, _WAYS_OUT[None])
        + (", or mark the argument static (static_argnums)." if node.frame.transform == "jit" and names else "."),
    )
