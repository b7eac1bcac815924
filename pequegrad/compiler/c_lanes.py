"""Kernels that work on several rows at a time: one row in each lane of a vector, or blocks that are turned."""

import contextlib

from .c_reductions import Reductions
from .c_scalars import HALVES, register_type
from .c_text import combined, identity, times
from .c_values import LANES
from .loops import Pass

BLOCK_ROWS = 16  # rows of a block of an elementwise kernel in which something lies the other way


class Lanes(Reductions):
    """Adds such loops to the text."""

    def _levels(self):
        """Levels of row values and of passes, in order."""
        plan = self.plan
        rows = {plan.level[node] for node in plan.members if not plan.inner_of[node]}
        return sorted(rows.union(current.level for current in plan.passes))

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

    def _open_rows(self, count, end):
        """A loop over tiles of `lanes` rows, at most `count`, that differ in the last loop over rows only."""
        loops = self.plan.rows
        self.open(f"for (int64_t tile = first, lanes; tile < {end}; tile += lanes)")
        self.line(f"lanes = {end} - tile < {count} ? {end} - tile : {count};")
        if len(loops) > 1:
            size = loops[-1].size
            self.line(f"if (lanes > {size} - tile % {size}) lanes = {size} - tile % {size};")

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

    def _turn(self, array, to, to_stride, source, from_stride, rows, columns):
        bytes = array.aval.dtype.itemsize
        kind = f"uint{8 * bytes}_t *"
        self.line(
            f"pg_turn_{bytes}(({kind})({to}), {to_stride}, (const {kind})({source}), {from_stride}, {rows}, {columns});"
        )

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
        for first, last in self.segments(current, begin, end):
            self.open(f"for (int64_t c{k} = {first}; c{k} < {last}; c{k}++)")
            self._elements_of_lanes(current, reduced)
            self.close()
        for _ in range(len(loops) - 1 + bool(turned)):
            self.close()
        if any(node.aval.dtype.name in HALVES or node in plan.writes for node in reduced):
            with self._lanes():
                for node, name in reduced.items():
                    self._declare_reduced(node, f"{name}[l]")
                    self.line(f"{name}[l] = {self.names[node]};")
                    if node in plan.writes:
                        self.line(f"{self.output[node]}[{self.offset(plan.writes[node], ())}] = {self.stored(node)};")
        self.names.update({node: f"{name}[l]" for node, name in reduced.items()})

    def _elements_of_lanes(self, current, reduced):
        """What a pass does with one element of each row of the tile."""
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
        for first, last in self.segments(current, begin, end):
            self.line("#pragma omp simd")
            self.open(f"for (int64_t c{k} = {first}; c{k} < {last}; c{k}++)")
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
