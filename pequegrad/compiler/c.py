"""The C text of a Plan: one function, `void name(void *const *b, int64_t begin, int64_t end, char *scratch)`."""

import math

import numpy as np

from .c_lanes import BLOCK_ROWS, Lanes
from .c_reductions import BLOCK
from .c_scalars import c_type, register_type
from .c_values import LANES
from .loops import Access, Inlined, Pass, cost_of

BLOCK_TILES = 1 << 17  # elements of all turned tiles of a block of an elementwise kernel
TILE = 64  # rows for which arrays that lie the other way are turned at a time,
TILES = 1 << 18  # if they have not more elements than these; else a quarter of them
STACK = 1 << 14  # most bytes of a row's buffers on the stack


class Code(Lanes):
    """The function for a plan, and how to run it.

    lines: of its body. units, grain, scratch: see docs/compiler.md. per_unit: rows of a unit. aliases: per result the index
    of the operand whose memory it may take, or -1.
    """

    def __init__(self, plan):
        super().__init__(plan)
        self.scratch = 0
        self._decide()
        self._write()
        self.aliases = self._aliases()

    # ---- shape of the work -----------------------------------------------------------------------------

    def _decide(self):
        plan = self.plan
        self.elements = max(
            [math.prod(loop.size for loop in loops) for loops in plan.inner.values()], default=1
        )  # of a row
        work = sum(0.25 * cost_of(node) for node in plan.members) + 0.5 * len(plan.inputs) + len(plan.results)
        self.row_cost = self.elements * work * 0.25 + 4  # nanoseconds, roughly
        self.tile = TILE if TILE * self.elements * len(plan.turned) <= TILES else TILE // 4
        self.per_unit = 1
        if plan.chunks is not None:
            whole = plan.n_rows if not plan.flat else self.elements
            self.units, self.per_unit = plan.chunks, -(-whole // plan.chunks)
            self.grain = max(
                1, int(20000 / (self.row_cost * (self.per_unit if not plan.flat else 1 / plan.chunks) + 1))
            )
        elif plan.flat:
            self.units = self.elements
            self.grain = max(1024, int(20000 / (work * 0.25)))
        else:
            self.units = plan.n_rows
            tile = LANES if plan.columns else BLOCK_ROWS if plan.blocked else self.tile if plan.turned else 1
            self.grain = max(tile, int(20000 / self.row_cost))

    # ---- the whole ---------------------------------------------------------------------------------------

    def _write(self):
        plan = self.plan
        for k, node in enumerate(plan.inputs):
            self.pointer[node] = f"p{k}"
            self.line(f"const {c_type(node.aval.dtype)} *const p{k} = b[{k}];")
        for k, node in enumerate(plan.results):
            self.output[node] = f"q{k}"
            self.line(f"{c_type(node.aval.dtype)} *const q{k} = b[{len(plan.inputs) + k}];")
        self._find_buffers()
        for node in plan.members:
            if self.is_scalar(node):
                self.row_value(node)
        if all(map(self.is_scalar, plan.members)):
            return
        partials = [node for node in plan.members if node.spec.primitive.form == "partial"]
        if plan.chunks is not None:
            self.open("for (int64_t u = begin; u < end; u++)")
            whole = plan.n_rows if not plan.flat else self.elements
            self.line(f"const int64_t first = u * {self.per_unit};")
            self.line(f"const int64_t last = first + {self.per_unit} < {whole} ? first + {self.per_unit} : {whole};")
            self.totals = {}
            for node in partials:
                self._begin_partial(node)
            blocked = [node for node in partials if self._is_blocked(node)]
            if blocked:
                self._open_blocks(blocked)
        else:
            self.line("const int64_t first = begin, last = end;")
        if plan.flat:
            self._passes()
        elif plan.columns:
            self._columns()
        elif plan.blocked:
            self._blocks()
        else:
            if plan.turned:
                self._open_tile()
            self.open("for (int64_t r = first; r < last; r++)")
            self._row_indices()
            self._passes()
            self.close()
            if plan.turned:
                self.close()
        if plan.chunks is not None:
            if blocked:
                self._close_blocks(blocked)
            for node in partials:
                self._end_partial(node)
            self.close()

    def _open_tile(self):
        """A loop over tiles of rows, `first` to `last` inside; turns what lies the other way."""
        self.line("const int64_t end_of_rows = last;")
        self._open_rows(self.tile, "end_of_rows")
        self.open("")
        self.line("const int64_t r = tile;")
        self._row_indices()
        for key in self.filled:
            (read, loops), name = self.plan.turned[key], self.tiles[key]
            for k, loop in enumerate(loops[:-1]):
                self.open(f"for (int64_t c{k} = 0; c{k} < {loop.size}; c{k}++)")
            inner, last, k = Pass(0, loops), loops[-1], len(loops) - 1
            count = math.prod(loop.size for loop in loops)
            source = f"{self.pointer[read.node]} + {self.offset(read, loops[:-1])}"
            to = f"{name} + {self.buffer_index(inner, k)}"
            self._turn(read.node, to, count, source, read.strides[last.last], last.size, "lanes")
            for _ in loops[:-1]:
                self.close()
        self.close()
        self.line("const int64_t first = tile, last = tile + lanes;")

    def _find_buffers(self):
        if self.plan.blocked:
            tiles = len(self.plan.turned) + len(self.plan.turned_results)
            size = self.plan.passes[0].loops[-1].size
            self.block = min(size, max(64, BLOCK_TILES // BLOCK_ROWS // tiles // 64 * 64))
        held = {}  # what a tile holds -> its name: reads of the same elements through axes of different names share one
        for key, (read, loops) in self.plan.turned.items():
            places = tuple((loop.size, read.strides.get(loop.last, 0)) for loop in (*self.plan.rows, *loops))
            in_pass = (
                id(loops) if self.plan.columns and loops[-1].size > LANES else None
            )  # filled there, block by block
            what = read.node, read.constant, places, in_pass
            if what in held:
                self.tiles[key] = held[what]
                continue
            kind, name = c_type(read.node.aval.dtype), f"z{len(held)}"
            self.tiles[key] = held[what] = name
            self.filled.append(key)
            self.line(f"{kind} *const {name} = ({kind} *)(scratch + {self.scratch});")
            count = math.prod(loop.size for loop in loops)
            elements = self.tile * count
            if self.plan.blocked:
                elements = BLOCK_ROWS * self.block
            elif self.plan.columns:
                elements = LANES * (count if loops[-1].size <= LANES else LANES)
            self._take_scratch(elements * read.node.aval.dtype.itemsize)
        for node in self.plan.turned_results:
            kind, name = c_type(node.aval.dtype), f"w{len(self.turned_out)}"
            self.turned_out[node] = name
            self.line(f"{kind} *const {name} = ({kind} *)(scratch + {self.scratch});")
            self._take_scratch(BLOCK_ROWS * self.block * node.aval.dtype.itemsize)
        on_stack = 0
        for node in self.plan.members:
            if node not in self.plan.kept:
                continue
            count = math.prod(loop.size for loop in self.plan.inner[self.plan.inner_of[node]])
            count *= LANES if self.plan.columns else 1
            size = np.dtype("f8").itemsize if register_type(node.aval.dtype) == "double" else node.aval.dtype.itemsize
            bytes_needed = -(-count * max(size, 4) // 64) * 64
            kind = register_type(node.aval.dtype)
            name = self.buffer[node] = f"t{len(self.buffer)}"
            if on_stack + bytes_needed <= STACK:
                on_stack += bytes_needed
                self.line(f"{kind} {name}[{count}] __attribute__((aligned(64)));")
            else:
                self.line(f"{kind} *const {name} = ({kind} *)(scratch + {self.scratch});")
                self._take_scratch(bytes_needed)

    # ---- passes ----------------------------------------------------------------------------------------

    def _passes(self):
        plan = self.plan
        rows_at = {}
        for node in plan.members:
            if not plan.inner_of[node] and node.spec.primitive.form != "partial":
                rows_at.setdefault(plan.level[node], []).append(node)
        for level in self._levels():
            for node in rows_at.get(level, ()):
                if node not in self.names or node in plan.writes:
                    if not (self.is_scalar(node) and node in self.names):
                        self.row_value(node)
            for node in plan.row_partials:
                if plan.level[node] == level:
                    self._add_to_partial(node, self.operand(node, 0, None), None)
            for current in plan.passes:
                if current.level == level:
                    self._pass(current)

    def _pass(self, current):
        """The loops of one pass."""
        plan, loops = self.plan, current.loops
        self._row_reads(current)
        sums = {}  # reduction or partial -> names of its accumulators in the innermost loop
        reduced = list(current.reductions)
        for node in current.partials:
            if not self._partial_axes(node):
                reduced.append(node)
        long = self.elements > BLOCK
        for node in reduced:
            sums[node] = self._accumulator(node, long)
        if plan.flat:
            bounds = [("first", "last")]
        else:
            bounds = [("0", str(loop.size)) for loop in loops]
        blocked = long and sums and (plan.flat or loops[-1].size > BLOCK)
        for k, (low, high) in enumerate(bounds[:-1]):
            self.open(f"for (int64_t c{k} = {low}; c{k} < {high}; c{k}++)")
        low, high = bounds[-1]
        k = len(loops) - 1
        if blocked:
            self.open(f"for (int64_t block = {low}; block < {high}; block += {BLOCK})")
            self.line(f"const int64_t stop = block + {BLOCK} < {high} ? block + {BLOCK} : {high};")
            low, high = "block", "stop"
        for accumulator in sums.values():
            accumulator.begin(self)
        clauses = "".join(accumulator.clause() for accumulator in sums.values())
        for begin, end in self.segments(current, low, high):
            if not any(loops[-1].last not in self._partial_axes(n) for n in current.partials if n not in sums):
                self.line(f"#pragma omp simd{clauses}")  # each iteration writes to a place of its own
            self.open(f"for (int64_t c{k} = {begin}; c{k} < {end}; c{k}++)")
            self._body(current, sums)
            self.close()
        for accumulator in sums.values():
            accumulator.end_block(self)
        if blocked:
            self.close()
        for _ in bounds[:-1]:
            self.close()
        for node, accumulator in sums.items():
            if node.spec.primitive.form == "reduction":
                self._declare_reduced(node, accumulator.total)
                if node in plan.writes:
                    self.line(f"{self.output[node]}[{self.offset(plan.writes[node], ())}] = {self.stored(node)};")
            else:
                self._add_to_partial(node, accumulator.total, None)

    def _row_reads(self, current):
        """Loads, before the loops, what the pass reads once per row."""
        plan = self.plan
        seen, stack = set(), []
        for node in (*current.reductions, *current.partials):
            stack.append(node)
        stack += [*current.results, *current.buffers]
        while stack:
            node = stack.pop()
            if node in seen or node in self.names:
                continue
            seen.add(node)
            if self.is_kept_now(node, current):
                continue
            if not plan.inner_of[node]:
                if node.spec.primitive.form not in ("reduction", "partial"):
                    self.compute(node, None)
                continue
            for i in range(len(node.inputs)):
                read = plan.reads[node, i]
                if not isinstance(read, (Access, Inlined)):
                    stack.append(read)
                elif isinstance(read, Access) and read.node in self.pointer and not self.inner_axes(read):
                    self.operand(node, i, None)

    def _body(self, current, sums):
        for node, accumulator in sums.items():
            accumulator.add(self, self.operand(node, 0, current))
        for node in current.partials:
            if node not in sums:
                self._add_to_partial(node, self.operand(node, 0, current), current)
        self._stores(current)

    # ---- memory ----------------------------------------------------------------------------------------

    def _aliases(self):
        """For each result the operand that it may overwrite: read at the same place, and not later than it is written."""
        plan, taken, found = self.plan, set(), []
        candidates = dict.fromkeys(plan.inputs)
        if plan.product is not None:
            candidates = {plan.product.node} if plan.product.may_be_overwritten else {}
        for node in plan.results:
            choice = -1
            levels = [current.level for current in plan.passes if node in current.results]
            if levels:
                write, level = plan.writes[node], levels[0]
                for k, array in enumerate(plan.inputs):
                    reads = self.last_read.get(array, ())
                    same = all(
                        read.strides == write.strides and read.constant == write.constant and at <= level
                        for read, at in reads
                    )
                    fits = array.aval.size == node.aval.size and array.aval.dtype.itemsize == node.aval.dtype.itemsize
                    if array in candidates and k not in taken and reads and same and fits:
                        choice = k
                        taken.add(k)
                        break
            found.append(choice)
        return found
