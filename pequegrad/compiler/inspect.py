"""What a compiled graph is made of: its kernels, what they read, write and compute, and where each operation went.

A kernel is a node of the compiled graph that is an instruction of the program. A generated one knows its own cost
(`describe` of an object among its parameters); of any other the operands, results and the primitive's `flops` tell.
"""

import textwrap
from collections import Counter, namedtuple

from ..core.evaluate import FORWARD, OUTPUT
from ..core.graph import GraphTrace
from .program import compiled_graph, patterns_in, simplified_graph, unfused_because

STAGES = ("traced", "simplified", "fused")
_FLOPS_PER_BYTE = 8  # what a core computes while it moves one byte, roughly: for shares of the time

Cost = namedtuple("Cost", "flops bytes_read bytes_written")


def graph_at(stage, traced, closed):
    """The graph as it is after a stage of compilation. traced: with its captures; closed: without."""
    return {"traced": lambda: traced, "simplified": lambda: simplified_graph(closed), "fused": lambda: compiled_graph(closed)}[stage]()  # fmt: skip


# ---- costs -------------------------------------------------------------------------------------------


def cost_of(spec):
    """The Cost of one instruction. A loop whose number of steps is not known is counted as one step."""
    for value in spec.params.values():
        if hasattr(value, "describe"):
            return Cost(*(value.describe[field] for field in Cost._fields))
    if bodies := bodies_of(spec):
        steps = spec.params.get("length", 1)
        return Cost(
            *(steps * n for n in total_cost([node.spec for body in bodies for node in kernels(compiled_graph(body))]))
        )
    read, written = sum(map(_bytes, spec.inputs)), sum(map(_bytes, spec.outputs))
    form = getattr(spec.primitive, "form", None)
    if form == "view":
        return Cost(0, 0, 0)
    counted = getattr(spec.primitive, "flops", None)
    if counted is not None:
        return Cost(counted(*spec.inputs, **spec.params), read, written)
    elements = spec.inputs if form == "reduction" else spec.outputs
    return Cost(sum(aval.size for aval in elements if aval.dtype.kind in "fcV"), read, written)


def total_cost(specs):
    """The sum of their Costs."""
    costs = [cost_of(spec) for spec in specs]
    return Cost(*(sum(getattr(cost, field) for cost in costs) for field in Cost._fields))


def _bytes(aval):
    return aval.size * aval.dtype.itemsize


# ---- kernels -----------------------------------------------------------------------------------------


def kernels(graph):
    """The nodes of a compiled graph that are instructions."""
    return [node for node in graph.nodes if node.spec.op not in (OUTPUT, FORWARD)]


def bodies_of(spec):
    """The graphs that an instruction runs as programs of their own (a loop's body)."""
    if not getattr(spec.primitive, "holds_graphs", False):
        return []
    values = [v for value in spec.params.values() for v in (value if type(value) is tuple else (value,))]
    return [v for v in values if isinstance(v, GraphTrace)]


def operations(spec):
    """How often each primitive occurs in an instruction: a Counter of names."""
    body = spec.params.get("graph")
    if isinstance(body, GraphTrace) and not bodies_of(spec):  # generated code
        return Counter(node.spec.primitive.name for node in kernels(body))
    return Counter([spec.primitive.name])


def kernel_name(spec):
    """What a kernel is called: the name of its function if it is generated, else that of its primitive."""
    kernel = spec.params.get("kernel")
    return getattr(kernel, "name", spec.primitive.name)


def computed(spec):
    """The operations of an instruction as text: `2 mul, add`."""
    return _counted(operations(spec))


def _counted(counter):
    return ", ".join(f"{n} {name}" if n > 1 else name for name, n in counter.items())


# ---- the report --------------------------------------------------------------------------------------


def explain(traced, closed):
    """A text: a line per kernel, where each operation of the traced graph went, which patterns were found."""
    compiled = compiled_graph(closed)
    rows = list(_rows(compiled, ""))
    total = total_cost([node.spec for node in kernels(compiled)])
    weight = _weight(total) or 1
    lines = [
        f"{traced.name}: operations: {len(closed.nodes)}, kernels: {len(kernels(compiled))}; "
        f"{_size(total.bytes_read)} read, {_size(total.bytes_written)} written, {total.flops:,} flops"
    ]
    table = [("", "kernel", "units", "read", "written", "flops", "share", "computes")]
    for number, (indent, spec, outermost) in enumerate(rows, 1):
        cost = cost_of(spec)
        share = f"{100 * _weight(cost) / weight:.0f}%" if outermost else ""
        units = getattr(spec.params.get("kernel"), "units", "-")
        table.append((
            f"{number}", indent + kernel_name(spec)[:16], f"{units}", _size(cost.bytes_read), _size(cost.bytes_written),
            f"{cost.flops:,}", share, indent + computed(spec),
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        cells = [cell.ljust(w) if i in (1, 7) else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append("  " + "  ".join(cells).rstrip())
    lines.append("where each operation went:")
    lines += ["  " + line for line in _whereabouts(closed, rows)]
    if found := _patterns(closed):
        lines.append("patterns: " + _counted(found))
    if reason := unfused_because(closed):
        lines.append(f"not fused: {textwrap.shorten(reason, 100)}")
    return "\n".join(lines)


def _rows(graph, indent):
    """(indentation, spec, whether it is an instruction of the whole program) of all kernels, those of bodies after their loop."""
    for node in kernels(graph):
        yield indent, node.spec, not indent
        for body in bodies_of(node.spec):
            yield from _rows(compiled_graph(body), indent + "  ")


def _whereabouts(closed, rows):
    before, found = Counter(_operations_of(closed)), {}
    for number, (_, spec, _) in enumerate(rows, 1):
        for name, n in operations(spec).items():
            found.setdefault(name, []).append(f"{n} in kernel {number}" if n > 1 else f"kernel {number}")
    for name in dict.fromkeys([*before, *found]):
        places = ", ".join(found.get(name, ["simplified away"]))
        yield (
            f"{name} ({before[name]} traced): {places}" if before[name] else f"{name} (made by the compiler): {places}"
        )


def _patterns(graph):
    """The names of the patterns found in a graph and in the bodies that it runs: a Counter."""
    found = Counter(patterns_in(graph))
    for node in kernels(compiled_graph(graph)):
        for body in bodies_of(node.spec):
            found += _patterns(body)
    return found


def _operations_of(graph):
    """The names of all operations in a graph, calls and bodies included."""
    stack = [graph]
    while stack:
        for node in kernels(stack.pop()):
            inner = bodies_of(node.spec)
            stack += inner
            yield node.spec.primitive.name


def _weight(cost):
    return cost.flops + _FLOPS_PER_BYTE * (cost.bytes_read + cost.bytes_written)


def _size(n):
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.3g} {unit}" if unit != "B" else f"{n} B"
        n /= 1000
    return f"{n:.3g} GB"
