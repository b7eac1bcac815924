"""The C text of a Plan: one function, `void name(void *const *b, int64_t begin, int64_t end, char *scratch)`."""

import contextlib
import math

import numpy as np

from .c_scalars import HALVES, c_type, register_type, round_expression
from .c_text import Accumulator, combined, identity, times, wide_type
from .c_values import LANES, Values
from .loops import Access, Inlined, Pass, cost_of

BLOCK = 512  # terms of a float sum that are added in registers; sums of blocks are added in double
BLOCK_ROWS = 16  # rows of a block of an elementwise kernel in which something lies the other way
BLOCK_TILES = 1 << 17  # elements of all its turned tiles
TILE = 64  # rows for which arrays that lie the other way are turned at a time,
TILES = 1 << 18  # if they have not more elements than these; else a quarter of them
STACK = 1 << 14  # most bytes of a row's buffers on the stack


class Code(Values):
    """The function for a plan, and how to run it.

    lines: of its body. units, grain, scratch: see docs/compiler.md. aliases: per result the index of the operand
    whose memory it may take, or -1.
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

    def _open_rows(self, count, end):
        """A loop over tiles of `lanes` rows, at most `count`, that differ in the last loop over rows only."""
        loops = self.plan.rows
        self.open(f"for (int64_t tile = first, lanes; tile < {end}; tile += lanes)")
        self.line(f"lanes = {end} - tile < {count} ? {end} - tile : {count};")
        if len(loops) > 1:
            size = loops[-1].size
            self.line(f"if (lanes > {size} - tile % {size}) lanes = {size} - tile % {size};")

    def _turn(self, array, to, to_stride, source, from_stride, rows, columns):
        bytes = array.aval.dtype.itemsize
        kind = f"uint{8 * bytes}_t *"
        self.line(
            f"pg_turn_{bytes}(({kind})({to}), {to_stride}, (const {kind})({source}), {from_stride}, {rows}, {columns});"
        )

    def _row_indices(self):
        loops = self.plan.rows
        if len(loops) == 1:
            self.row_index[loops[0]] = "r"
        rest = "r"
        for k, loop in reversed(list(enumerate(loops))[1:]):
            self.line(f"const int64_t i{k} = {rest} % {loop.size}, r{k} = {rest} / {loop.size};")
            self.row_index[loop] = f"i{k}"
            rest = f"r{k}"
            self.row_index[loops[0]] = rest

    def _find_buffers(self):
        if self.plan.blocked:
            tiles = len(self.plan.turned) + len(self.plan.turned_results)
            size = self.plan.passes[0].loops[-1].size
            self.block = min(size, max(64, BLOCK_TILES // BLOCK_ROWS // tiles // 64 * 64))
        held = {}  # what a tile holds -> its name: reads of the same elements through axes of different names share one
        for key, (read, loops) in self.plan.turned.items():
            places = tuple((loop.size, read.strides.get(loop.last, 0)) for loop in (*self.plan.rows, *loops))
            if (read.node, read.constant, places) in held:
                self.tiles[key] = held[read.node, read.constant, places]
                continue
            kind, name = c_type(read.node.aval.dtype), f"z{len(held)}"
            self.tiles[key] = held[read.node, read.constant, places] = name
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
                self.scratch += bytes_needed

    def _take_scratch(self, bytes):
        self.scratch += -(-bytes // 64) * 64

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

    def _levels(self):
        """Levels of row values and of passes, in order."""
        plan = self.plan
        rows = {plan.level[node] for node in plan.members if not plan.inner_of[node]}
        return sorted(rows.union(current.level for current in plan.passes))

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
        if not any(loops[-1].last not in self._partial_axes(n) for n in current.partials if n not in sums):
            self.line(f"#pragma omp simd{clauses}")  # each iteration writes to a place of its own
        self.open(f"for (int64_t c{k} = {low}; c{k} < {high}; c{k}++)")
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

    def _columns(self):
        """Several rows at a time, side by side in vectors: each element of the row is visited for all of them."""
        plan = self.plan
        self._open_rows(LANES, "last")
        self.line("const int64_t r = tile;")
        self._row_indices()
        for key in self.filled:
            _, loops = plan.turned[key]
            if loops[-1].size <= LANES:  # longer ones are turned block by block
                for i, loop in enumerate(loops[:-1]):
                    self.open(f"for (int64_t c{i} = 0; c{i} < {loop.size}; c{i}++)")
                self._turn_rows(key, "0", str(loops[-1].size))
                for _ in loops[:-1]:
                    self.close()
        for level in self._levels():
            self._row_lanes(level)
            for current in plan.passes:
                if current.level == level:
                    self._pass_lanes(current)
        self.close()

    def _blocks(self):
        """Elements one by one, block by block: what lies the other way is turned before, or after."""
        plan = self.plan
        (current,) = plan.passes
        loops, k, row = current.loops, len(current.loops) - 1, plan.rows[-1]
        self._open_rows(BLOCK_ROWS, "last")
        self.line("const int64_t r = tile;")
        self._row_indices()
        for i, loop in enumerate(loops[:-1]):
            self.open(f"for (int64_t c{i} = 0; c{i} < {loop.size}; c{i}++)")
        size = loops[-1].size
        begin, end = "0", str(size)
        if size > self.block:
            self.open(f"for (int64_t block = 0; block < {size}; block += {self.block})")
            self.line(f"const int64_t stop = block + {self.block} < {size} ? block + {self.block} : {size};")
            begin, end = "block", "stop"
        for key in self.filled:
            read, _ = plan.turned[key]
            across = read.strides[loops[-1].last]
            source = f"{self.pointer[read.node]} + {self.offset(read, loops[:-1])} + {times(begin, across)}"
            self._turn(read.node, self.tiles[key], self.block, source, across, f"{end} - {begin}", "lanes")
        self.open("for (int64_t l = 0; l < lanes; l++)")
        start, self.row_index[row] = self.row_index[row], f"{self.row_index[row]} + l"
        self._row_reads(current)
        self.line("#pragma omp simd")
        self.open(f"for (int64_t c{k} = {begin}; c{k} < {end}; c{k}++)")
        self._stores(current)
        self.close()
        self.row_index[row] = start
        self.close()
        for node, name in self.turned_out.items():
            write = plan.writes[node]
            across = write.strides[loops[-1].last]
            to = f"{self.output[node]} + {self.offset(write, loops[:-1])} + {times(begin, across)}"
            self._turn(node, to, across, name, self.block, "lanes", f"{end} - {begin}")
        for _ in range(len(loops) - 1 + (size > self.block) + 1):
            self.close()

    def _row_lanes(self, level):
        """Row values of one level, and sums of them over the rows."""
        plan = self.plan
        members = [node for node in plan.members if not plan.inner_of[node] and plan.level[node] == level]
        members = [node for node in members if node not in self.names or node in plan.writes]
        members = [node for node in members if not (self.is_scalar(node) and node in self.names)]
        partials = [node for node in members if node.spec.primitive.form == "partial"]
        members = [node for node in members if node not in partials]
        if not members and not partials:
            return
        arrays = {node: self.new("a") for node in members if node not in self.names and self._is_read_later(node)}
        for node, array in arrays.items():
            self.line(f"{register_type(node.aval.dtype)} {array}[{LANES}];")
        sums = {node: self._accumulator(node, False) for node in partials}
        with self._lanes("".join(accumulator.clause() for accumulator in sums.values())):
            for node in members:
                self.row_value(node)
                if node in arrays:
                    self.line(f"{arrays[node]}[l] = {self.names[node]};")
            for node, accumulator in sums.items():
                accumulator.add(self, self.operand(node, 0, None))
        for node, array in arrays.items():
            self.names[node] = f"{array}[l]"
        for node, accumulator in sums.items():
            accumulator.end_block(self)
            self._add_to_partial(node, accumulator.total, None)

    def _is_read_later(self, node):
        """True if a row value is read in another loop than that which computes it."""
        plan = self.plan
        return any(
            node is read and (plan.inner_of[reader] or plan.level[reader] != plan.level[node])
            for (reader, _), read in plan.reads.items()
        )

    def _pass_lanes(self, current):
        """The loops of one pass, the innermost one over the rows of the tile."""
        plan, loops = self.plan, current.loops
        reduced = {}  # reduction -> C name of its results, one for each row
        for node in current.reductions:
            reduced[node] = self.new("s")
            kind, start = register_type(node.aval.dtype), identity(node.spec.primitive.combine, node.aval.dtype)
            self.line(f"{kind} {reduced[node]}[{LANES}];")
            self.line(f"for (int64_t l = 0; l < {LANES}; l++) {reduced[node]}[l] = {start};")
        for i, loop in enumerate(loops[:-1]):
            self.open(f"for (int64_t c{i} = 0; c{i} < {loop.size}; c{i}++)")
        size, k = loops[-1].size, len(loops) - 1
        begin, end = "0", str(size)
        turned = [key for key in self.filled if plan.turned[key][1] is loops and size > LANES]
        if turned:
            self.open(f"for (int64_t block = 0; block < {size}; block += {LANES})")
            self.line(f"const int64_t stop = block + {LANES} < {size} ? block + {LANES} : {size};")
            begin, end = "block", "stop"
            for key in turned:
                self._turn_rows(key, begin, f"{end} - {begin}")
        self.open(f"for (int64_t c{k} = {begin}; c{k} < {end}; c{k}++)")
        sums = {node: self._accumulator(node, False) for node in current.partials}
        with self._lanes("".join(accumulator.clause() for accumulator in sums.values())):
            for node, name in reduced.items():
                kind, dtype = register_type(node.aval.dtype), node.aval.dtype
                value = self.operand(node, 0, current)
                self.line(f"{name}[l] = {combined(node.spec.primitive.combine, dtype, f'{name}[l]', value, kind)};")
            for node, accumulator in sums.items():
                accumulator.add(self, self.operand(node, 0, current))
            self._stores(current)
        for node, accumulator in sums.items():
            accumulator.end_block(self)
            self._add_to_partial(node, accumulator.total, current)
        for _ in range(len(loops) + bool(turned)):
            self.close()
        if any(node.aval.dtype.name in HALVES or node in plan.writes for node in reduced):
            with self._lanes():
                for node, name in reduced.items():
                    self._declare_reduced(node, f"{name}[l]")
                    self.line(f"{name}[l] = {self.names[node]};")
                    if node in plan.writes:
                        self.line(f"{self.output[node]}[{self.offset(plan.writes[node], ())}] = {self.stored(node)};")
        self.names.update({node: f"{name}[l]" for node, name in reduced.items()})

    def _turn_rows(self, key, begin, count):
        """Copies `count` elements of each row of the tile, from `begin` on, so that rows lie side by side."""
        read, loops = self.plan.turned[key]
        to = f"{self.tiles[key]} + ({self.buffer_index(Pass(0, loops), len(loops) - 1)}) * {LANES}"
        source = f"{self.pointer[read.node]} + {self.offset(read, loops[:-1])} + {begin}"
        self._turn(read.node, to, LANES, source, read.strides[self.plan.rows[-1].last], "lanes", count)

    @contextlib.contextmanager
    def _lanes(self, clauses=""):
        """A loop in which row `l` of the tile is the current one."""
        self.line(f"#pragma omp simd{clauses}")
        self.open("for (int64_t l = 0; l < lanes; l++)")
        loop = self.plan.rows[-1]
        start, self.row_index[loop] = self.row_index[loop], f"{self.row_index[loop]} + l"
        yield
        self.row_index[loop] = start
        self.close()

    def _declare_reduced(self, node, text):
        kind = register_type(node.aval.dtype)
        name = self.new("v")
        value = f"({kind}){text}"
        if node.aval.dtype.name in HALVES:
            value = round_expression(node.aval.dtype, value)
        self.line(f"const {kind} {name} = {value};")
        self.names[node] = name

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

    def _stores(self, current):
        """Writes results, and what later passes read."""
        stores = []
        for node in current.buffers:
            stores.append(f"{self.buffer[node]}[{self.place_in_buffer(current)}] = {self.value(node, current)};")
        for node in current.results:
            self.value(node, current)
            if node in self.turned_out:
                stores.append(f"{self.turned_out[node]}[{self.tile_index(current)}] = {self.stored(node)};")
                continue
            offset = self.offset(self.plan.writes[node], current.loops)
            stores.append(f"{self.output[node]}[{offset}] = {self.stored(node)};")
        for store in stores:  # last, since a result may lie where an operand did
            self.line(store)

    # ---- reductions over rows --------------------------------------------------------------------------

    def _partial_axes(self, node):
        """The inner axes that a partial reduction keeps."""
        index = self.plan.group.index[node]
        kept = {axis for place in index[1:] for axis, _ in place.expanded()}
        return [axis for axis in kept if axis not in self.plan.row_axes]

    def _begin_partial(self, node):
        combine = node.spec.params["combine"]
        if node.aval.size == node.aval.shape[0]:  # one number: kept in a register
            kind = wide_type(node)
            name = self.totals[node] = self.new("total")
            self.line(f"{kind} {name} = {identity(combine, node.aval.dtype)};")
            return
        self._fill_partial(node, f"{self.output[node]} + u * {_count(node)}")

    def _fill_partial(self, node, place):
        """Begins with the identity in the memory at `place`."""
        name, start = f"w{self.output[node]}", identity(node.spec.params["combine"], node.aval.dtype)
        self.line(f"{c_type(node.aval.dtype)} *const {name} = {place};")
        self.line(f"for (int64_t k = 0; k < {_count(node)}; k++) {name}[k] = {start};")

    def _is_blocked(self, node):
        """True for sums of floats over so many rows that adding one after the other would lose digits."""
        return node not in self.totals and wide_type(node) != register_type(node.aval.dtype) and self.per_unit > BLOCK

    def _open_blocks(self, partials):
        """A loop over blocks of rows, `first` to `last` inside, each with a sum of its own."""
        self.line("const int64_t end_of_chunk = last;")
        self.open(f"for (int64_t block = first; block < end_of_chunk; block += {BLOCK})")
        self.line("const int64_t first = block;")
        self.line(f"const int64_t last = block + {BLOCK} < end_of_chunk ? block + {BLOCK} : end_of_chunk;")
        for node in partials:
            kind = c_type(node.aval.dtype)
            self._fill_partial(node, f"({kind} *)(scratch + {self.scratch})")
            self.scratch += -(-_count(node) * node.aval.dtype.itemsize // 64) * 64

    def _close_blocks(self, partials):
        for node in partials:
            kind, name = register_type(node.aval.dtype), self.output[node]
            whole, block = f"{name}[u * {_count(node)} + k]", f"w{name}[k]"
            both = combined(node.spec.params["combine"], node.aval.dtype, whole, block, kind)
            self.line(f"for (int64_t k = 0; k < {_count(node)}; k++) {whole} = {both};")
        self.close()

    def _add_to_partial(self, node, value, current):
        combine = node.spec.params["combine"]
        if node in self.totals:
            name = self.totals[node]
            self.line(f"{name} = {combined(combine, node.aval.dtype, name, value, wide_type(node))};")
            return
        offset = self.offset(Access(node, self.plan.group.index[node]), current.loops if current else ())
        place = f"w{self.output[node]}[{offset}]"
        self.line(f"{place} = {combined(combine, node.aval.dtype, place, value, register_type(node.aval.dtype))};")

    def _end_partial(self, node):
        if node in self.totals:
            self.line(f"{self.output[node]}[u] = ({register_type(node.aval.dtype)}){self.totals[node]};")

    def _accumulator(self, node, long):
        combine = node.spec.params["combine"] if node.spec.primitive.form == "partial" else node.spec.primitive.combine
        return Accumulator(self, combine, node.spec.inputs[0].dtype, long)

    # ---- memory ----------------------------------------------------------------------------------------

    def _aliases(self):
        """For each result the operand that it may overwrite: read at the same place, and not later than it is written."""
        plan, taken, found = self.plan, set(), []
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
                    if k not in taken and reads and same and fits:
                        choice = k
                        taken.add(k)
                        break
            found.append(choice)
        return found


def _count(node):
    """Elements of one chunk's result of a partial reduction."""
    return node.aval.size // node.aval.shape[0]
