"""Graph -> Graph: groups of nodes become `loop` nodes, each one kernel of generated code."""

import functools
import hashlib
import math

from ..core.dtype import dt
from ..core.evaluate import OUTPUT
from ..core.graph import GraphTrace
from ..core.node import Spec, detached, is_constant, make_aval, stand_in
from ..primitives.access import fresh
from ..primitives.base import output
from ..primitives.elementwise import convert
from .c import Code
from .c_scalars import HALVES, expression, register_type
from .epilogues import plan_with_product, with_wide_products
from .groups import ROWS, SMALL, Grouping, accesses
from .loops import cost_of, plan_of
from .recompute import recomputed

CHUNKS = 64  # most partial results of one reduction
CHUNK = 1 << 13  # elements that are worth a partial result
RUN = 8  # elements of the innermost loop for which it pays to join arrays in a kernel


class Kernel:
    """Generated code: its C text, and how the runtime is to call it."""

    def __init__(self, code, describe):
        body = "\n".join(code.lines)
        self.name = "pg_" + hashlib.sha256(body.encode()).hexdigest()[:24]
        self.text = f"void {self.name}(void *const *b, int64_t begin, int64_t end, char *scratch)\n{{\n{body}\n}}\n"
        self.units, self.grain, self.scratch, self.aliases = code.units, code.grain, code.scratch, code.aliases
        self.rows = code.per_unit
        self.describe = describe
        self.params = None  # [address] once it is compiled

    def __repr__(self):
        return self.name

    def prepared(self, spec):
        """For Spec.prepare: the object that has the address among its params."""
        return self


class LoopPrimitive:
    """A graph that is computed by generated code. params: graph, kernel; product and position if a Product is part of it."""

    name, title, form, holds_graphs = "loop", "Loop", None, False

    def lower(self, *avals, graph, kernel, product=None, position=None):
        if product is not None:
            return product.lower(kernel, position, len(graph.outputs))
        return "generated", (kernel, kernel.units, kernel.grain, kernel.scratch, *kernel.aliases)


class PartialPrimitive:
    """A reduction cut into chunks: result k is that of chunk k, whichever elements its kernel puts there."""

    name, title, form = "partial", "Partial", "partial"


loop, partial = LoopPrimitive(), PartialPrimitive()


def can_fuse(node):
    """True if code can be generated for the node."""
    form = node.spec.primitive.form
    if form is None or form == "view" or type(node.aval) is tuple or node.aval.size == 0:
        return False
    avals = (node.aval, *node.spec.inputs)
    if any(register_type(aval.dtype) is None or aval.size == 0 for aval in avals):
        return False
    if form == "elementwise":
        kernel, params = node.spec.primitive.lower(*node.spec.inputs, **node.spec.params)
        dtypes = [aval.dtype for aval in node.spec.inputs]
        return expression(kernel, params, ["x"] * len(dtypes), dtypes, node.aval.dtype) is not None
    if form == "join":
        return _is_joined_in_runs(node)
    if form == "counted":
        if accesses(node, fresh(node.aval.shape)) is None:
            return False
        kernel, params = node.spec.primitive.lower(*node.spec.inputs, **node.spec.params)
        return expression(kernel, params, ["x"] * 3, [node.aval.dtype], node.aval.dtype) is not None
    if form == "gather":
        return len(node.spec.params["places"].index_map) == 1
    return form in ("reduction", "partial", "iota")


def _is_joined_in_runs(node):
    """True if the loop that reads the operands of a join goes over many elements."""
    index = fresh(node.aval.shape)
    reads = accesses(node, index)
    if reads is None:
        return False
    out = [
        i
        for aval in node.spec.inputs
        if aval.ndim
        for i, (m, n) in enumerate(zip(aval.shape, node.aval.shape))
        if m != n
    ]
    return math.prod(node.aval.shape[max(out, default=0) :]) >= RUN


# ---- reductions that are cut into chunks -------------------------------------------------------------


def with_partial_reductions(graph):
    """Reductions over many rows become a reduction of partial results, which threads compute side by side.

    So do sums of values of which each came out of a row: they belong into the kernel that goes over the rows.
    """
    work = {}  # node -> elements of the largest array that the kernel which computes it goes over

    def replacement(node, inputs):
        sizes = [work.get(source, source.aval.size) for source in node.inputs if type(source.aval) is not tuple]
        is_local = node.spec.primitive.form is not None and type(node.aval) is not tuple
        if is_local:
            work[node] = max(sizes, default=0) if node.aval.size > 1 else 1
            work[node] = max(work[node], node.aval.size)
        chunks = _chunks(node, sizes[0] if sizes else 0)
        if not chunks:
            return None
        (x,), dtype = node.spec.inputs, node.aval.dtype
        wide = dt.float32 if dtype.name in HALVES else dtype  # what is to be added up later is not rounded before
        aval = make_aval((chunks, *node.aval.shape), wide, node.aval.device)
        params = {"axes": node.spec.params["axes"], "chunks": chunks, "combine": node.spec.primitive.combine}
        part = detached(Spec(partial, params, (x,), aval), inputs)
        total = detached(node.spec.primitive.make_spec((aval,), {"axes": (0,)}), (part,))
        if wide is dtype:
            return total
        to = {"dtype": dtype, "weak_type": node.aval.weak_type}
        return detached(convert.make_spec((total.aval,), to), (total,))

    return graph.rewritten(replacement)


def _chunks(node, work):
    """Into how many chunks a reduction is cut; 0: a kernel can do it row by row."""
    if node.spec.primitive.form != "reduction" or not can_fuse(node):
        return 0
    (x,), axes = node.spec.inputs, node.spec.params["axes"]
    if work <= SMALL or not axes:
        return 0
    last = max((i for i, n in enumerate(x.shape) if n > 1), default=0)
    if last in axes and node.aval.size >= ROWS:
        return 0
    chunks = min(CHUNKS, work // CHUNK)
    return chunks if chunks * node.aval.size * 4 <= work else 0


# ---- loop nodes --------------------------------------------------------------------------------------


def fuse(graph):
    """The graph with its groups as loop nodes. Groups of one node stay as they are: the runtime has a kernel for them."""
    known = functools.cache(can_fuse)
    graph = recomputed(with_partial_reductions(with_wide_products(graph)), known)
    unsuited, more = set(), True
    while more:  # until no plan would rather not have one of its members
        grouping = Grouping(graph, lambda node: node not in unsuited and known(node))
        plans, taken = {}, set()
        for group in reversed(dict.fromkeys(grouping.group.values())):
            first = group.members[0]
            plan = plan_with_product(group, grouping, taken)
            if plan is None and (
                len(group.members) > 1 or first.spec.primitive.form == "partial" or grouping.bears(first)
            ):
                plan = plan_of(group, grouping)
            if plan is not None:
                plans[group] = plan
        more = {node for plan in plans.values() for node in plan.unsuited}
        unsuited |= more
    return _rebuilt(graph, grouping, plans)


def _rebuilt(graph, grouping, plans):
    """Emits nodes in an order in which each group stands as a whole."""
    became, made = {}, {}
    group_of = {node: group for group in plans for node in group.members}

    def needed(item):
        if item in plans:
            return _operands(plans[item])
        before = [grouping.before[item]] if item in grouping.before else []
        return before + [source for source in item.inputs if not is_constant(source)]

    def emit(item):
        if item in plans:
            for node, result in zip(_results(plans[item]), _loop_node(plans[item], became)):
                became[node] = result
        else:
            inputs = tuple([became.get(source, source) for source in item.inputs])
            became[item] = item if inputs == item.inputs else detached(item.spec, inputs)
        made[item] = True

    given = set(graph.inputs)
    last = {plan: plan.members[-1] for plan in plans.values()}
    for root in graph.nodes:
        group = group_of.get(root)
        if group is not None and last[plans[group]] is not root:
            continue
        stack = [group or root]
        while stack:
            item = stack[-1]
            if item in made or item in given or (item not in plans and is_constant(item)):
                stack.pop()
                continue
            waiting = [
                group_of.get(source, source)
                for source in needed(item)
                if source not in became and source not in given and not is_constant(source)
            ]
            waiting = [w for w in waiting if w not in made]
            if waiting:
                stack.extend(waiting)
            else:
                emit(item)
                stack.pop()
    return graph.renewed(became)


def _operands(plan):
    """What the node of a group reads: the operands of its product, and what its code reads but the product."""
    if plan.product is None:
        return plan.inputs
    product = plan.product.node
    return [*product.inputs, *(node for node in plan.inputs if node is not product)]


def _results(plan):
    """The members whose values the node of a group gives."""
    return [*plan.results, plan.product.node] if plan.product is not None and plan.product.is_kept else plan.results


def _loop_node(plan, became):
    """The nodes that stand for the results of a group: one loop node, and its outputs."""
    inputs = tuple([became.get(node, node) for node in _operands(plan)])
    avals = tuple(node.aval for node in inputs)
    params = {"graph": _body(plan), "kernel": Kernel(Code(plan), _described(plan))}
    if plan.product is not None:
        params |= {"product": plan.product, "position": plan.inputs.index(plan.product.node)}
    results = tuple(node.aval for node in _results(plan))
    if len(results) == 1:
        return [detached(Spec(loop, params, avals, results[0]), inputs)]
    node = detached(Spec(loop, params, avals, results), inputs)
    return [detached(Spec(output, {"index": i}, (), aval, op=OUTPUT), (node,)) for i, aval in enumerate(results)]


def _body(plan):
    """What a group computes, as a graph of its own: for people to read."""
    placeholders = {node: stand_in(node.aval) for node in _operands(plan)}
    inside = dict(placeholders)

    def at(node):
        stack = [node]
        while stack:
            top = stack[-1]
            if top in inside or is_constant(top):
                stack.pop()
                continue
            waiting = [source for source in top.inputs if source not in inside and not is_constant(source)]
            if waiting:
                stack.extend(waiting)
                continue
            inside[top] = detached(top.spec, tuple([inside.get(source, source) for source in top.inputs]))
            stack.pop()
        return inside.get(node, node)

    return GraphTrace("loop", list(placeholders.values()), {}, [at(node) for node in _results(plan)])


def _described(plan):
    """What a kernel does, in numbers."""
    element = sum(cost_of(node) for node in plan.members)
    size = max(math.prod(aval.shape) for node in plan.members for aval in (node.aval, *node.spec.inputs))
    flops = element * size
    if plan.product is not None:
        spec = plan.product.node.spec
        flops += spec.primitive.flops(*spec.inputs, **spec.params)
    read = sum(node.aval.size * node.aval.dtype.itemsize for node in _operands(plan))
    written = sum(node.aval.size * node.aval.dtype.itemsize for node in _results(plan))
    return {"operations": len(plan.members), "flops": flops, "bytes_read": read, "bytes_written": written}
