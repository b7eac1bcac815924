"""The C text of a Plan: one function, `void name(void *const *b, int64_t begin, int64_t end, char *scratch)`."""

import math

import numpy as np

from ..core.dtype import is_float
from .c_scalars import c_type, expression, load_expression, register_type, round_expression, store_expression
from .loops import Access, Target, is_kept

BLOCK = 2048  # terms of a float sum that are added in registers; sums of blocks are added in double
LANES = 64  # rows that are reduced side by side
STACK = 1 << 14  # most bytes of a row's buffers on the stack
_HALVES = ("float16", "bfloat16")


class Code:
    """The function for a plan, and how to run it.

    text: with NAME in place of its name. units, grain, scratch: see docs/compiler.md. aliases: per result the
    index of the operand whose memory it may take, or -1.
    """

    def __init__(self, plan):
        self.plan = plan
        self.lines, self.depth = [], 1
        self.names = {}  # member -> C name of its value, in the scopes that are open
        self.offsets = {}  # row part of an offset -> its name
        self.scopes = []
        self.last_read = {}  # array -> [(access, level)]
        self.scratch = 0
        self.counter = 0
        self._decide()
        self._write()
        self.aliases = self._aliases()

    # ---- shape of the work -----------------------------------------------------------------------------

    def _decide(self):
        plan = self.plan
        self.elements = max(
            [math.prod(loop.size for loop in loops) for loops in plan.inner.values()], default=1
        )  # of a row
        work = sum(0.25 * _weight(node) for node in plan.members) + 0.5 * len(plan.inputs) + len(plan.results)
        self.row_cost = self.elements * work * 0.25 + 4  # nanoseconds, roughly
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
            self.grain = max(LANES if plan.columns else 1, int(20000 / self.row_cost))

    # ---- text ------------------------------------------------------------------------------------------

    def line(self, text):
        self.lines.append("    " * self.depth + text)

    def open(self, text):
        self.line(text + " {")
        self.depth += 1
        self.scopes.append((dict(self.names), dict(self.offsets)))

    def close(self):
        self.depth -= 1
        self.line("}")
        self.names, self.offsets = self.scopes.pop()

    def new(self, prefix):
        self.counter += 1
        return f"{prefix}{self.counter}"

    def _write(self):
        plan = self.plan
        self.pointer = {}
        for k, node in enumerate(plan.inputs):
            self.pointer[node] = f"p{k}"
            self.line(f"const {c_type(node.aval.dtype)} *const p{k} = b[{k}];")
        self.output = {}
        for k, node in enumerate(plan.results):
            self.output[node] = f"q{k}"
            self.line(f"{c_type(node.aval.dtype)} *const q{k} = b[{len(plan.inputs) + k}];")
        self._find_buffers()
        for node in plan.members:
            if self._is_scalar(node):
                self._row_value(node)
        if all(map(self._is_scalar, plan.members)):
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
        else:
            self.line("const int64_t first = begin, last = end;")
        if plan.flat:
            self._passes()
        elif plan.columns:
            self._columns()
        else:
            self.open("for (int64_t r = first; r < last; r++)")
            self._row_indices()
            self._passes()
            self.close()
        if plan.chunks is not None:
            for node in partials:
                self._end_partial(node)
            self.close()

    def _row_indices(self):
        loops = self.plan.rows
        self.row_index = {}
        if len(loops) == 1:
            self.row_index[loops[0]] = "r"
        rest = "r"
        for k, loop in reversed(list(enumerate(loops))[1:]):
            self.line(f"const int64_t i{k} = {rest} % {loop.size}, r{k} = {rest} / {loop.size};")
            self.row_index[loop] = f"i{k}"
            rest = f"r{k}"
            self.row_index[loops[0]] = rest

    def _find_buffers(self):
        self.buffer = {}
        on_stack = 0
        for node in self.plan.members:
            if node not in self.plan.kept:
                continue
            count = math.prod(loop.size for loop in self.plan.inner[self.plan.inner_of[node]])
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

    # ---- values ----------------------------------------------------------------------------------------

    def _is_scalar(self, node):
        """True for a value that does not depend on any axis, nor on a reduction."""
        plan = self.plan
        if plan.inner_of[node] or plan.level[node] or node.spec.primitive.form in ("reduction", "partial"):
            return False
        return not any(place.terms for place in plan.group.index[node]) and all(
            isinstance(read, Access) or self._is_scalar(read)
            for read in (plan.reads[node, i] for i in range(len(node.inputs)))
        )

    def _declare(self, node, text):
        name = self.new("v")
        if node.aval.dtype.name in _HALVES and node.spec.primitive.name != "convert":
            text = round_expression(node.aval.dtype, f"({text})")
        self.line(f"const {register_type(node.aval.dtype)} {name} = {text};")
        self.names[node] = name
        return name

    def _row_value(self, node):
        """Computes a member that does not depend on inner axes; stores it if it is a result."""
        if node.spec.primitive.form == "reduction":  # of a single element
            self._declare_reduced(node, self._operand(node, 0, None))
        elif node not in self.names:
            self._compute(node, None)
        if node in self.plan.writes:
            access = self.plan.writes[node]
            self.line(f"{self.output[node]}[{self._offset(access, ())}] = {self._stored(node)};")

    def _stored(self, node):
        return store_expression(node.aval.dtype, self.names[node])

    def value(self, node, current):
        """The C name of a member's value inside pass `current` (None: outside of passes)."""
        found = self.names.get(node)
        if found is not None:
            return found
        plan = self.plan
        if current is not None and plan.inner_of[node] and plan.level[node] < current.level and is_kept(plan, node):
            if node in self.buffer:
                text = f"{self.buffer[node]}[{self._buffer_index(current)}]"
            else:
                text = self._load_text(self.output[node], plan.writes[node], current, node.aval.dtype)
            name = self.new("v")
            self.line(f"const {register_type(node.aval.dtype)} {name} = {text};")
            self.names[node] = name
            return name
        return self._compute(node, current)

    def _compute(self, node, current):
        """Declares the value of an elementwise member (or iota), its operands first, without recursion."""
        plan = self.plan
        stack = [node]
        while stack:
            top = stack[-1]
            if top in self.names:
                stack.pop()
                continue
            waiting = []
            for i in range(len(top.inputs)):
                read = plan.reads[top, i]
                if not isinstance(read, Access) and read not in self.names:
                    if self._is_kept_now(read, current):
                        self.value(read, current)
                    else:
                        waiting.append(read)
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if top.spec.primitive.form == "iota":
                place = plan.group.index[top][top.spec.params["axis"]]
                count = self._counted(place, current)
                self._declare(top, f"({register_type(top.aval.dtype)})({count})")
                continue
            if top.spec.primitive.form == "gather":
                self._gather(top, current)
                continue
            operands = [self._operand(top, i, current) for i in range(len(top.inputs))]
            kernel, params = top.spec.primitive.lower(*top.spec.inputs, **top.spec.params)
            dtypes = [aval.dtype for aval in top.spec.inputs]
            self._declare(top, expression(kernel, params, operands, dtypes, top.aval.dtype))
        return self.names[node]

    def _gather(self, node, current):
        """An element at a computed place: moved inside, or replaced if it is outside."""
        target, start = self.plan.reads[node, 0], self._operand(node, 1, current)
        params, dtype = node.spec.params, node.aval.dtype
        (axis,) = params["places"].index_map
        array = target.node.aval
        last = array.shape[axis] - params["sizes"][axis]
        i = self.new("i")
        if params["mode"] == "clip":
            self.line(f"const int64_t {i} = {start} < 0 ? 0 : (int64_t){start} > {last} ? {last} : (int64_t){start};")
        else:
            inside = self.new("n")
            self.line(f"const int {inside} = (int64_t){start} >= 0 && (int64_t){start} <= {last};")
            self.line(f"const int64_t {i} = {inside} ? (int64_t){start} : 0;")
        stride = math.prod(array.shape[axis + 1 :])
        offset = f"{self._offset(target, current.loops if current else ())} + {_times(i, stride)}"
        text = load_expression(dtype, f"{self.pointer[target.node]}[{offset}]")
        if params["mode"] != "clip":
            text = f"{inside} ? {text} : {_outside(params['mode'], dtype)}"
        self._declare(node, text)

    def _is_kept_now(self, node, current):
        plan = self.plan
        return current is not None and plan.inner_of[node] and plan.level[node] < current.level and is_kept(plan, node)

    def _operand(self, node, position, current):
        read = self.plan.reads[node, position]
        if not isinstance(read, Access):
            return self.value(read, current)
        array = read.node
        if array not in self.pointer:
            return literal(array)
        inner = self._inner_axes(read)
        key = read.key
        if key in self.names:
            return self.names[key]
        text = self._load_text(self.pointer[array], read, current if inner else None, array.aval.dtype)
        name = self.new("v")
        self.line(f"const {register_type(array.aval.dtype)} {name} = {text};")
        self.names[key] = name
        self.last_read.setdefault(array, []).append((read, current.level if current is not None else -1))
        return name

    def _inner_axes(self, access):
        return [axis for axis in access.strides if axis not in self.plan.row_axes]

    def _load_text(self, pointer, access, current, dtype):
        return load_expression(dtype, f"{pointer}[{self._offset(access, current.loops if current else ())}]")

    # ---- indices ---------------------------------------------------------------------------------------

    def _offset(self, access, inner_loops):
        """The element that an access means, as a C expression; the part that is fixed in a row is computed once."""
        terms = []
        for loop in self.plan.rows:
            stride = access.strides.get(loop.last, 0)
            if stride:
                terms.append(_times(self.row_index[loop], stride))
        if access.constant or not terms:
            terms.append(str(access.constant))
        base = " + ".join(terms)
        if not base.isdigit():
            name = self.offsets.get(base)
            base = name if name is not None else base
        inner = [
            _times(f"c{k}", access.strides[loop.last])
            for k, loop in enumerate(inner_loops)
            if access.strides.get(loop.last, 0)
        ]
        if base == "0" and inner:
            return " + ".join(inner)
        return " + ".join([base, *inner])

    def _buffer_index(self, current):
        terms, reach = [], 1
        for k, loop in reversed(list(enumerate(current.loops))):
            terms.append(_times(f"c{k}", reach))
            reach *= loop.size
        return " + ".join(reversed(terms))

    def _counted(self, place, current):
        terms = [str(place.constant)] if place.constant else []
        strides = dict(place.expanded())
        for loop in self.plan.rows:
            if strides.get(loop.last):
                terms.append(_times(self.row_index[loop], strides[loop.last]))
        for k, loop in enumerate(current.loops if current else ()):
            if strides.get(loop.last):
                terms.append(_times(f"c{k}", strides[loop.last]))
        return " + ".join(terms) or "0"

    # ---- passes ----------------------------------------------------------------------------------------

    def _passes(self):
        plan = self.plan
        rows_at = {}
        for node in plan.members:
            if not plan.inner_of[node] and node.spec.primitive.form != "partial":
                rows_at.setdefault(plan.level[node], []).append(node)
        levels = sorted({*rows_at, *(p.level for p in plan.passes)})
        if plan.row_partials:
            levels = sorted({*levels, *(plan.level[node] for node in plan.row_partials)})
        for level in levels:
            for node in rows_at.get(level, ()):
                if node not in self.names or node in plan.writes:
                    if not (self._is_scalar(node) and node in self.names):
                        self._row_value(node)
            for node in plan.row_partials:
                if plan.level[node] == level:
                    self._add_to_partial(node, self._operand(node, 0, None), None)
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
                    self.line(f"{self.output[node]}[{self._offset(plan.writes[node], ())}] = {self._stored(node)};")
            else:
                self._add_to_partial(node, accumulator.total, None)

    def _columns(self):
        """Several rows at a time, side by side in vectors: each element of the row is visited for all of them."""
        plan = self.plan
        (current,) = plan.passes
        self.row_index = {plan.rows[0]: "r"}
        self.open(f"for (int64_t r0 = first; r0 < last; r0 += {LANES})")
        self.line(f"const int64_t lanes = last - r0 < {LANES} ? last - r0 : {LANES};")
        sums = {}
        for node in current.reductions:
            sums[node] = self.new("s")
            kind, start = register_type(node.aval.dtype), identity(node.spec.primitive.combine, node.aval.dtype)
            self.line(f"{kind} {sums[node]}[{LANES}];")
            self.line(f"for (int64_t l = 0; l < {LANES}; l++) {sums[node]}[l] = {start};")
        for k, loop in enumerate(current.loops):
            self.open(f"for (int64_t c{k} = 0; c{k} < {loop.size}; c{k}++)")
        self._open_lanes()
        for node, name in sums.items():
            value = self._operand(node, 0, current)
            kind = register_type(node.aval.dtype)
            combined = _combined(node.spec.primitive.combine, node.aval.dtype, f"{name}[l]", value, kind)
            self.line(f"{name}[l] = {combined};")
        self.close()
        for _ in current.loops:
            self.close()
        self._open_lanes()
        for node in plan.members:
            if node in sums:
                self._declare_reduced(node, f"{sums[node]}[l]")
                if node in plan.writes:
                    self.line(f"{self.output[node]}[{self._offset(plan.writes[node], ())}] = {self._stored(node)};")
            elif not plan.inner_of[node] and (plan.level[node] or node in plan.writes):
                self._row_value(node)
        self.close()
        self.close()

    def _open_lanes(self):
        self.line("#pragma omp simd")
        self.open("for (int64_t l = 0; l < lanes; l++)")
        self.line("const int64_t r = r0 + l;")

    def _declare_reduced(self, node, text):
        kind = register_type(node.aval.dtype)
        name = self.new("v")
        value = f"({kind}){text}"
        if node.aval.dtype.name in _HALVES:
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
            if self._is_kept_now(node, current):
                continue
            if not plan.inner_of[node]:
                if node.spec.primitive.form not in ("reduction", "partial"):
                    self._compute(node, None)
                continue
            for i in range(len(node.inputs)):
                read = plan.reads[node, i]
                if not isinstance(read, Access):
                    stack.append(read)
                elif not isinstance(read, Target) and read.node in self.pointer and not self._inner_axes(read):
                    self._operand(node, i, None)

    def _body(self, current, sums):
        plan = self.plan
        stores = []
        for node, accumulator in sums.items():
            accumulator.add(self, self._operand(node, 0, current))
        for node in current.partials:
            if node not in sums:
                self._add_to_partial(node, self._operand(node, 0, current), current)
        for node in current.buffers:
            stores.append(f"{self.buffer[node]}[{self._buffer_index(current)}] = {self.value(node, current)};")
        for node in current.results:
            self.value(node, current)
            offset = self._offset(plan.writes[node], current.loops)
            stores.append(f"{self.output[node]}[{offset}] = {self._stored(node)};")
        for store in stores:  # last, since a result may lie where an operand did
            self.line(store)

    # ---- reductions over rows --------------------------------------------------------------------------

    def _partial_axes(self, node):
        """The inner axes that a partial reduction keeps."""
        index = self.plan.group.index[node]
        kept = {axis for place in index[1:] for axis, _ in place.expanded()}
        return [axis for axis in kept if axis not in self.plan.row_axes]

    def _partial_access(self, node):
        return _PartialAccess(node, self.plan.group.index[node])

    def _begin_partial(self, node):
        combine = node.spec.params["combine"]
        if node.aval.size == node.aval.shape[0]:  # one number: kept in a register
            kind = _wide(node)
            name = self.totals[node] = self.new("total")
            self.line(f"{kind} {name} = {identity(combine, node.aval.dtype)};")
            return
        count = node.aval.size // node.aval.shape[0]
        self.line(f"{c_type(node.aval.dtype)} *const w{self.output[node]} = {self.output[node]} + u * {count};")
        self.line(
            f"for (int64_t k = 0; k < {count}; k++) w{self.output[node]}[k] = {identity(combine, node.aval.dtype)};"
        )

    def _add_to_partial(self, node, value, current):
        combine = node.spec.params["combine"]
        if node in self.totals:
            name = self.totals[node]
            self.line(f"{name} = {_combined(combine, node.aval.dtype, name, value, _wide(node))};")
            return
        offset = self._offset(self._partial_access(node), current.loops if current else ())
        place = f"w{self.output[node]}[{offset}]"
        self.line(f"{place} = {_combined(combine, node.aval.dtype, place, value, register_type(node.aval.dtype))};")

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
                    if any(isinstance(read, Target) and read.node is array for read in plan.reads.values()):
                        continue
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


class _PartialAccess(Access):
    def __init__(self, node, index):
        self.node, self.constant, self.strides = node, 0, {}
        reach = 1
        for place, size in zip(reversed(index[1:]), reversed(node.aval.shape[1:])):
            for axis, stride in place.expanded():
                self.strides[axis] = self.strides.get(axis, 0) + stride * reach
            reach *= size


class Accumulator:
    """A reduction inside the innermost loop, in the form that compilers vectorise."""

    def __init__(self, code, combine, dtype, long):
        self.combine, self.dtype = combine, dtype
        self.kind = register_type(dtype)
        self.floating = is_float(dtype)
        self.name = code.new("s")
        self.nan = code.new("n") if self.floating and combine in ("max", "min") else None
        self.wide = "double" if self.floating and combine in ("add", "mul") and long else self.kind
        self.total = code.new("total") if long else self.name
        if long:
            code.line(f"{self.wide} {self.total} = {identity(combine, dtype)};")
        else:
            self._declare(code)
        self.long = long

    def _declare(self, code):
        code.line(f"{self.kind} {self.name} = {identity(self.combine, self.dtype)};")
        if self.nan:
            code.line(f"int32_t {self.nan} = 0;")

    def begin(self, code):
        if self.long:
            self._declare(code)

    def clause(self):
        sign = {"add": "|" if self.dtype.kind == "b" else "+", "mul": "&" if self.dtype.kind == "b" else "*"}
        sign |= {"max": "max", "min": "min", "and": "&", "or": "|"}
        if self.dtype.kind == "b" and self.combine in ("max", "min"):
            sign |= {"max": "|", "min": "&"}
        return f" reduction({sign[self.combine]}:{self.name})" + (f" reduction(|:{self.nan})" if self.nan else "")

    def add(self, code, value):
        s = self.name
        if self.nan:
            code.line(f"{s} = {value} {'>' if self.combine == 'max' else '<'} {s} ? {value} : {s};")
            code.line(f"{self.nan} |= {value} != {value};")
        elif self.combine in ("max", "min") and self.dtype.kind != "b":
            code.line(f"{s} = {value} {'>' if self.combine == 'max' else '<'} {s} ? {value} : {s};")
        else:
            sign = self.clause().split("(")[1].split(":")[0]
            code.line(f"{s} = {s} {sign} {value};")

    def end_block(self, code):
        if self.nan:
            code.line(f'{self.name} = {self.nan} ? ({self.kind})__builtin_nan("") : {self.name};')
        if self.long:
            code.line(f"{self.total} = {_combined(self.combine, self.dtype, self.total, self.name, self.wide)};")


def _combined(combine, dtype, a, b, kind):
    """`a` combined with `b`, outside of vectorised reductions."""
    if dtype.kind == "b":
        return f"{a} {'|' if combine in ('add', 'max', 'or') else '&'} {b}"
    if combine in ("max", "min"):
        sign = ">" if combine == "max" else "<"
        return f"({a} {sign} {b} || {a} != {a} ? {a} : {b})"
    return f"({kind})({a} {dict(add='+', mul='*', **{'and': '&', 'or': '|'})[combine]} {b})"


def _wide(node):
    dtype = node.aval.dtype
    return "double" if is_float(dtype) and node.spec.params["combine"] in ("add", "mul") else register_type(dtype)


def identity(combine, dtype):
    """What a reduction of nothing gives, as a C literal."""
    if dtype.kind == "b":
        return "0" if combine in ("add", "max", "or") else "1"
    if combine in ("add", "or"):
        return "0"
    if combine == "mul":
        return "1"
    if is_float(dtype):
        return "-__builtin_inf()" if combine == "max" else "__builtin_inf()"
    info = np.iinfo(dtype)
    if combine == "and":
        return f"({register_type(dtype)})-1"
    return number_text(info.min if combine == "max" else info.max, dtype)


def _outside(mode, dtype):
    """What gather gives for a place outside of the array."""
    if mode == "zero" or dtype.kind == "b":
        return "0" if mode == "zero" else "1"
    if is_float(dtype):
        return number_text(math.nan, dtype)
    info = np.iinfo(dtype)
    return number_text(info.min if info.min else info.max, dtype)


def literal(node):
    """A Python number that the graph holds, as C text."""
    value = np.asarray(node.spec.params["value"]).astype(node.aval.dtype)[()]
    return number_text(value, node.aval.dtype)


def number_text(value, dtype):
    if dtype.kind == "b":
        return str(int(value))
    if is_float(dtype):
        kind, number = register_type(dtype), float(value)
        if math.isnan(number):
            return f'({kind})__builtin_nan("")'
        if math.isinf(number):
            return f"({'-' if number < 0 else ''}({kind})__builtin_inf())"
        text = number.hex() if kind == "double" else np.float32(number).item().hex() + "f"
        return f"({text})"
    number = int(value)
    if dtype.name == "int64" and number == -(2**63):
        return "(-9223372036854775807 - 1)"
    suffix = {"uint64": "u"}.get(dtype.name, "")
    return f"(({register_type(dtype)}){number}{suffix})"


def _times(name, stride):
    return name if stride == 1 else f"{name} * {stride}"


def _weight(node):
    from .loops import cost_of

    return cost_of(node)
