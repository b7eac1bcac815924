"""From a group of nodes to the loops that compute it: rows, and passes over each row.

    for each row                         `rows`: loops whose iterations are independent
        row values of level 0
        for each element of the row      pass 0: reductions of level 0, results, values worth keeping
        row values of level 1            what depends on reductions of pass 0
        for each element of the row      pass 1 ...

The level of a value is the number of reductions on the way to it. A value of an earlier level that a later pass
needs is read back from the results or from a buffer, or computed again if that costs little.
"""

import math

from ..core.node import is_constant
from ..primitives.access import Axis, Place, axes_of, ways_out
from .groups import accesses, is_addressed, operand_index, read_through, rows_of

LONGEST_TILE = 1 << 15  # bytes of a row
SHORT = 32  # elements of a row up to which several rows are computed side by side
SHORT_SUM = 128  # the same for kernels that only reduce
SIDE_BY_SIDE = 16  # rows for which that pays
SEGMENTS = 8  # parts into which a loop is cut for the sake of joins
CHEAP = 6  # cost up to which a value is computed again rather than kept for a later pass


class Access:
    """Reading (or writing) one array: element `constant + sum of axis * strides[axis]`."""

    def __init__(self, node, index):
        self.node = node
        self.constant, self.strides = 0, {}
        reach = 1
        for place, size in zip(reversed(index), reversed(node.aval.shape)):
            self.constant += place.constant * reach
            for axis, stride in place.expanded():
                self.strides[axis] = self.strides.get(axis, 0) + stride * reach
            reach *= size
        self.key = node, self.constant, tuple(sorted((a.number, s) for a, s in self.strides.items()))


class Inlined:
    """What an operand is computed from where it is read: free nodes (groups.py), views and numbers, or one array in memory.

    arrays: (node, index) pairs that are read; bounds: the Bounds of joins; counts: places that are values or bounded;
    start: the axis that stands for the place which a gather computes, or None.
    """

    def __init__(self, node, index, grouping, start=None):
        self.node, self.index, self.start = node, index, start
        self.arrays, self.counts, self.bounds = [], [], []
        stack = [(node, index)]
        while stack:
            node, index = stack.pop()
            form = node.spec.primitive.form
            below, passed = read_through(index, [node]) if form == "view" else (index, 0)
            if passed:
                stack.append((node.inputs[0], below))
            elif form == "iota" and node in grouping.free:
                self.counts.append(index[node.spec.params["axis"]])
            elif form == "join" and node in grouping.free:
                for source, below in zip(node.inputs, accesses(node, index)):
                    self.bounds += ways_out(below, source.aval.shape)
                    stack.append((source, below))
            elif node in grouping.free:
                stack += [(source, operand_index(node, i, index)) for i, source in enumerate(node.inputs)]
            elif not is_number(node):
                self.arrays.append((node, index))
        self.counts += [bound.place for bound in self.bounds]


def _addressed(node, position, group, grouping):
    """What a member reads elsewhere than at its own index."""
    operand, form = node.inputs[position], node.spec.primitive.form
    if form == "gather":
        return _target(node, group, grouping)
    if form == "join":
        index = group.operand_index(node, position)
        read = Inlined(operand, index, grouping)
        bounds = ways_out(index, operand.aval.shape)
        read.bounds += bounds
        read.counts += [bound.place for bound in bounds]
        return read
    number, elements = accesses(node, group.index[node])
    first, *rest = [Inlined(operand, index, grouping) for index in elements]
    for read in rest:
        first.arrays += read.arrays
    first.counts.append(number)
    return first


def _target(gather, group, grouping):
    """What a gather reads; an axis of its own stands for the place that it computes."""
    element = group.operand_index(gather, 0)
    (axis,) = gather.spec.params["places"].index_map
    start = Axis(gather.spec.inputs[0].shape[axis])
    place = Place((*element[axis].terms, (start, 1)), element[axis].constant)
    return Inlined(gather.inputs[0], (*element[:axis], place, *element[axis + 1 :]), grouping, start)


class Loop:
    """Consecutive axes as one loop."""

    def __init__(self, axes):
        self.axes = axes
        self.size = math.prod(axis.size for axis in axes)
        self.last = axes[-1]


class Pass:
    """One run over the elements of a row: loops, and the members whose values it stores or reduces."""

    def __init__(self, level, loops):
        self.level, self.loops = level, loops
        self.reductions, self.partials, self.results, self.buffers = [], [], [], []


class Plan:
    """All that code for a group must do, in order. Built by plan_of."""

    product = None  # epilogues.Product, if one of the inputs is computed while the kernel runs


def plan_of(group, grouping, row_axes=frozenset()):
    """The Plan of a group: its members in order, operands, loops and passes. row_axes: for rows where any axes will do."""
    plan = Plan()
    plan.members = sorted(group.members, key=grouping.position.__getitem__)
    plan.group = group
    inside = set(plan.members)
    plan.results = [node for node in plan.members if grouping.leaves(node, inside)]
    _find_reads(plan, grouping)  # reading through a reshape may split an axis,
    plan.reads = _find_reads(plan, grouping)  # which indices that were computed before do not know
    plan.writes = {
        node: Access(node, group.index[node]) for node in plan.results if node.spec.primitive.form != "partial"
    }
    plan.accesses = []  # of arrays in memory
    for read in plan.reads.values():
        if isinstance(read, Access):
            plan.accesses.append(read)
        elif isinstance(read, Inlined):
            plan.accesses += [Access(node, index) for node, index in read.arrays]
    plan.inputs = list(dict.fromkeys(access.node for access in plan.accesses if not is_number(access.node)))
    _find_loops(plan, row_axes)
    _find_passes(plan)
    return plan


def _find_reads(plan, grouping):
    """(member, position of the operand) -> what it reads: a member, an Access or an Inlined."""
    group, inside, reads = plan.group, set(plan.members), {}
    for node in plan.members:
        for position, operand in enumerate(node.inputs):
            if is_addressed(node, position):
                reads[node, position] = _addressed(node, position, group, grouping)
                continue
            base, views = grouping.source(operand)
            if base in inside:
                reads[node, position] = base
                continue
            if base in grouping.free:
                reads[node, position] = Inlined(operand, group.operand_index(node, position), grouping)
                continue
            index, passed = read_through(group.operand_index(node, position), views)
            array = views[passed] if passed < len(views) else base
            reads[node, position] = Access(array, index)
    return reads


def is_number(node):
    return is_constant(node) and node.aval.ndim == 0 and "value" in node.spec.params


# ---- loops -------------------------------------------------------------------------------------------


def _find_loops(plan, row_axes):
    group = plan.group
    partials = [node for node in plan.members if node.spec.primitive.form == "partial"]
    accesses = plan.accesses + list(plan.writes.values())
    indices = [*(group.index[n] for n in plan.members if n not in partials), *group.operand.values()]
    axes = list(dict.fromkeys(axis for index in sorted(indices, key=len, reverse=True) for axis in axes_of(index)))
    main = max(accesses, key=lambda access: (len(access.strides), access.node.aval.size), default=None)
    if main is not None:
        place = {axis: i for i, axis in enumerate(axes)}
        axes.sort(key=lambda axis: (-abs(main.strides.get(axis, 1 << 60)), place[axis]))
    plan.has_reductions = any(node.spec.primitive.form == "reduction" for node in plan.members)
    rows = rows_of(group) or row_axes
    iotas = [  # counted like an access, so that merged loops count them right
        dict(place.expanded()) for read in plan.reads.values() if isinstance(read, Inlined) for place in read.counts
    ]
    chunks = [Access(node, group.index[node]) for node in partials]
    strides = [access.strides for access in (*accesses, *chunks)] + iotas

    def fit(outer, inner):
        return all(s.get(outer, 0) == s.get(inner, 0) * inner.size for s in strides)

    plan.chunks = partials[0].spec.params["chunks"] if partials else None
    if rows:
        plan.rows = _merged([axis for axis in axes if axis in rows], fit)
    else:
        loops = _merged(axes, fit)
        plan.rows = [] if plan.has_reductions else loops[:-1]
        rows = {axis for loop in plan.rows for axis in loop.axes}
    plan.row_axes = set(rows)
    inner_sets = {}
    for index in indices:
        inner = frozenset(axes_of(index)) - plan.row_axes
        if inner and inner not in inner_sets:
            inner_sets[inner] = _merged([axis for axis in axes if axis in inner], fit)
    plan.inner = inner_sets
    plan.n_rows = math.prod(loop.size for loop in plan.rows)
    # one long loop: its range is what the threads share
    plan.flat = (
        not plan.rows and not plan.has_reductions and len(inner_sets) == 1 and len(next(iter(inner_sets.values()))) == 1
    )


def _merged(axes, fit):
    loops = []
    for axis in axes:
        if loops and fit(loops[-1][-1], axis):
            loops[-1].append(axis)
        else:
            loops.append([axis])
    return [Loop(tuple(loop)) for loop in loops]


# ---- passes ------------------------------------------------------------------------------------------

_COSTS = {"add": 1, "sub": 1, "mul": 1, "neg": 1, "abs": 1, "max": 1, "min": 1, "select": 1, "not": 1, "and": 1, "or": 1,
          "xor": 1, "pad": 2, "concatenate": 2, "eq": 1, "ne": 1, "lt": 1, "le": 1, "gt": 1, "ge": 1, "convert": 1, "iota": 1, "sqrt": 4, "div": 3,
          "sign": 2, "clamp": 2, "integer_pow": 3, "floor": 1, "ceil": 1, "round": 1, "is_finite": 1, "square": 1,
          "exp": 6, "exp2": 6, "expm1": 6, "log": 6, "log1p": 8, "tanh": 7, "logistic": 7, "rsqrt": 7, "sin": 6, "cos": 6,
          "erf": 12}  # fmt: skip
_DEAR = 30  # what else there is: pow, gamma ...


def cost_of(node):
    """Roughly, in additions (of arrays in L1, with AVX-512: 0.04 ns)."""
    return _COSTS.get(node.spec.primitive.name, _DEAR)


def _find_passes(plan):
    group = plan.group
    plan.level = level = {}
    plan.inner_of = {}  # member -> its inner axes; none: computed once per row
    for node in plan.members:
        found = 0
        for position in range(len(node.inputs)):
            read = plan.reads[node, position]
            if not isinstance(read, (Access, Inlined)):
                found = max(found, level[read] + (read.spec.primitive.form == "reduction"))
        level[node] = found
        index = group.operand.get(node) or group.index[node]
        plan.inner_of[node] = frozenset(axes_of(index)) - plan.row_axes
    passes = {}

    def pass_of(node, at=None):
        key = level[node] if at is None else at, plan.inner_of[node]
        if key not in passes:
            passes[key] = Pass(key[0], plan.inner[key[1]])
        return passes[key]

    for node in plan.members:
        form = node.spec.primitive.form
        if not plan.inner_of[node]:
            continue
        if form == "reduction":
            pass_of(node).reductions.append(node)
        elif form == "partial":
            pass_of(node).partials.append(node)
        elif node in plan.writes:
            pass_of(node).results.append(node)
    plan.row_partials = [
        node for node in plan.members if node.spec.primitive.form == "partial" and not plan.inner_of[node]
    ]
    # what later passes need of earlier ones: latest first, since keeping a value adds to its own pass
    plan.kept = set()
    done = set()
    while todo := [key for key in passes if key not in done]:
        key = max(todo, key=lambda key: key[0])
        done.add(key)
        current = passes[key]
        stack = [*current.results]
        for node in (*current.reductions, *current.partials):
            stack.append(plan.reads[node, 0])
        seen = set()
        while stack:
            node = stack.pop()
            if isinstance(node, (Access, Inlined)) or node in seen or not plan.inner_of[node]:
                continue
            if node.spec.primitive.form == "reduction":
                continue
            seen.add(node)
            if level[node] < current.level and _is_worth_keeping(plan, node):
                if node not in plan.kept and not _is_readable(plan, node):
                    plan.kept.add(node)
                    own = pass_of(node)
                    own.buffers.append(node)
                    done.discard((level[node], plan.inner_of[node]))
                continue
            stack += [plan.reads[node, i] for i in range(len(node.inputs))]
    plan.passes = [passes[key] for key in sorted(passes, key=lambda key: (key[0], len(key[1])))]
    plan.columns = _goes_by_columns(plan)
    plan.turned = _turned_reads(plan)
    plan.turned_results = _turned_results(plan)
    plan.blocked = bool(plan.turned_results) or (bool(plan.turned) and _is_elementwise(plan))
    _find_cuts(plan)


def _find_cuts(plan):
    """Where innermost loops are cut, so that joins read one operand in each part; and joins that are better left to the runtime.

    Those are the ones that would be read under conditions that differ from element to element, and those of elements that
    do not follow each other in memory. plan.cuts: last loop of a pass -> iterations at which a part begins; plan.unsuited: joins.
    """
    plan.cuts, plan.unsuited = {}, set()
    for (node, _), read in plan.reads.items():
        inner = plan.inner_of[node]
        if not inner or not isinstance(read, Inlined) or not read.bounds:
            continue
        loops = plan.inner[inner]
        loop, cuts = loops[-1], plan.cuts.setdefault(loops[-1], set())
        strides = [Access(array, index).strides.get(loop.last, 0) for array, index in read.arrays]
        fits, more = plan.columns or max(map(abs, strides), default=0) <= 1, set()
        for bound in read.bounds:
            inside = range_inside(bound, loop)
            more.update(n for n in inside or () if 0 < n < loop.size)
            fits &= inside is not None or (not plan.columns and is_of_rows(plan, bound.own or bound, loops))
        if fits and len(cuts | more) < SEGMENTS:
            cuts |= more
        else:
            plan.unsuited.add(node)


def range_inside(bound, loop):
    """(begin, end) of the iterations of a loop in which a Bound holds, if it is that of a step per iteration; else None."""
    strides = dict(bound.place.expanded())
    step, constant = strides.get(loop.last), bound.place.constant
    if step not in (1, -1) or not all(axis in loop.axes for axis in strides):
        return None
    return (-constant, bound.size - constant) if step == 1 else (constant - bound.size + 1, constant + 1)


def is_of_rows(plan, bound, loops):
    """True if a Bound holds for all elements of the last of these loops over a row, or for none."""
    strides = dict(bound.place.expanded())
    if any(axis in strides for axis in loops[-1].axes):
        return False
    pairs = [pair for loop in (*plan.rows, *loops) for pair in zip(loop.axes, loop.axes[1:])]
    return all(strides.get(outer, 0) == strides.get(inner, 0) * inner.size for outer, inner in pairs)


def _turned_reads(plan):
    """Accesses to arrays that lie the other way, with the loops of their pass: rows lie side by side where the
    elements of a row should, or the other way round where the kernel goes by columns.

    Tiles of them are copied before several rows are computed, so that whole cache lines are read.
    """
    if not plan.rows or plan.rows[-1].size < 4:
        return {}
    found = {}
    for (node, _), read in plan.reads.items():
        inner = plan.inner_of[node]
        if isinstance(read, Access) and inner and not is_number(read.node):
            loops, itemsize = plan.inner[inner], read.node.aval.dtype.itemsize
            along, across = read.strides.get(loops[-1].last, 0), read.strides.get(plan.rows[-1].last, 0)
            if plan.columns:
                turns = along == 1 and abs(across) > 1 and itemsize == 4
            else:
                turns = across == 1 and abs(along) > 1
                turns = turns and math.prod(loop.size for loop in loops) * itemsize <= LONGEST_TILE
            if turns:
                found[read.key] = read, loops
    return found


def _turned_results(plan):
    """Results of an elementwise kernel that lie the other way: they are copied out tile by tile."""
    if not plan.rows or plan.rows[-1].size < 4 or not _is_elementwise(plan):
        return []
    (only,) = plan.passes
    row, element = plan.rows[-1].last, only.loops[-1].last
    strides = {node: plan.writes[node].strides for node in only.results}
    return [node for node, s in strides.items() if s.get(row) == 1 and abs(s.get(element, 0)) > 1]


def _is_elementwise(plan):
    """True if each element is computed for itself, all of them in the same loops."""
    return (
        len(plan.passes) == 1
        and plan.chunks is None
        and not any(node.spec.primitive.form in ("reduction", "partial") for node in plan.members)
        and all(plan.inner_of[node] for node in plan.writes)
    )


def _goes_by_columns(plan):
    """True if several rows side by side are better than one after the other.

    That is where rows are short, and, if all there is to do is to reduce them, where rows, not the elements of a
    row, lie side by side in memory.
    """
    if not plan.rows or plan.rows[-1].size < SIDE_BY_SIDE or not any(only.reductions for only in plan.passes):
        return False
    for node in plan.members:  # sums over the rows of a tile
        if node.spec.primitive.form == "partial":
            kept = {axis for place in plan.group.index[node][1:] for axis, _ in place.expanded()}
            if not kept.isdisjoint(plan.rows[-1].axes):
                return False
    longest = max(math.prod(loop.size for loop in only.loops) for only in plan.passes)
    (only, *more) = plan.passes
    if more or only.results or only.buffers or only.partials or plan.row_partials:
        return longest <= SHORT
    if longest <= SHORT_SUM:
        return True
    side_by_side = lambda loop: sum(r.node.aval.size for r in plan.accesses if r.strides.get(loop.last) == 1)  # noqa: E731
    return side_by_side(plan.rows[-1]) > side_by_side(only.loops[-1])


def _is_readable(plan, node):
    """True if later passes can read the value back from where it was written."""
    return node in plan.writes and node.aval.dtype.itemsize >= 4


def is_kept(plan, node):
    """True if passes after that of its level read the value instead of computing it."""
    return node in plan.kept or (_is_readable(plan, node) and _is_worth_keeping(plan, node))


def _is_worth_keeping(plan, node):
    total, stack, seen = 0, [node], set()
    while stack and total <= CHEAP:
        current = stack.pop()
        if isinstance(current, (Access, Inlined)):
            total += 1
            continue
        if current in seen or not plan.inner_of[current] or current.spec.primitive.form == "reduction":
            continue
        seen.add(current)
        total += cost_of(current)
        stack += [plan.reads[current, i] for i in range(len(current.inputs))]
    return total > CHEAP
