"""Values in generated code: how each one is computed, or read, where a kernel needs it."""

import math

from ..core.dtype import is_float, is_integer
from ..primitives.access import leaves
from .c_scalars import HALVES, exact_store_expression, expression, load_expression, register_type, round_expression
from .c_text import literal, outside, rounded, times
from .groups import operand_index, read_through
from .loops import Access, Inlined, is_kept, is_number

LANES = 64  # rows that are reduced side by side


class Values:
    """The text of a function under construction, and the names of the values that it has declared.

    `current` is the Pass in whose loops the text stands, or None outside of passes. Nothing is declared twice in a scope.
    """

    def __init__(self, plan):
        self.plan = plan
        self.lines, self.depth = [], 1
        self.names = {}  # member, or key of an access -> C name of its value, in the scopes that are open
        self.scopes = []
        self.counter = 0
        self.pointer, self.output, self.buffer = {}, {}, {}  # array, result, kept member -> C name of its memory
        self.tiles = {}  # key of an access to an array that lies the other way -> C name of the turned tile
        self.filled = []  # keys of the accesses for which a tile is filled; others share one of them
        self.turned_out = {}  # result that lies the other way -> C name of its tile
        self.row_index = {}  # loop over rows -> its C name
        self.starts = {}  # axis that stands for a computed place -> its C name
        self.last_read = {}  # array -> [(access, level of the pass)]

    # ---- text ------------------------------------------------------------------------------------------

    def line(self, text):
        self.lines.append("    " * self.depth + text)

    def open(self, text):
        self.line(text + " {")
        self.depth += 1
        self.scopes.append(dict(self.names))

    def close(self):
        self.depth -= 1
        self.line("}")
        self.names = self.scopes.pop()

    def new(self, prefix):
        self.counter += 1
        return f"{prefix}{self.counter}"

    # ---- values ----------------------------------------------------------------------------------------

    def is_scalar(self, node):
        """True for a value that does not depend on any axis, nor on a reduction."""
        plan = self.plan
        if plan.inner_of[node] or plan.level[node] or node.spec.primitive.form in ("reduction", "partial"):
            return False
        return not any(place.terms for place in plan.group.index[node]) and all(
            isinstance(read, Access) or (not isinstance(read, Inlined) and self.is_scalar(read))
            for read in (plan.reads[node, i] for i in range(len(node.inputs)))
        )

    def declare(self, node, text):
        name = self.names[node] = self.new("v")
        if self._is_truncation(node):
            # else gcc takes the float of this integer for one rounding instruction, which keeps the sign of -0.5
            self.line(f"{register_type(node.aval.dtype)} {name} = {text};")
            self.line(f'__asm__("" : "+r"({name}));')
        else:
            self.line(f"const {register_type(node.aval.dtype)} {name} = {text};")
        return name

    def _is_truncation(self, node):
        """True if a float becomes an integer that becomes a float again in this kernel."""
        return (
            node.spec.primitive.name == "convert"
            and is_integer(node.aval.dtype)
            and is_float(node.spec.inputs[0].dtype)
            and any(is_float(n.aval.dtype) and node in n.inputs for n in self.plan.members)
        )

    def row_value(self, node):
        """Computes a member that does not depend on inner axes; stores it if it is a result."""
        if node.spec.primitive.form == "reduction":  # of a single element
            self._declare_reduced(node, self.operand(node, 0, None))
        elif node not in self.names:
            self.compute(node, None)
        if node in self.plan.writes:
            access = self.plan.writes[node]
            self.line(f"{self.output[node]}[{self.offset(access, ())}] = {self.stored(node)};")

    def stored(self, node):
        return exact_store_expression(node.aval.dtype, self.names[node])

    def value(self, node, current):
        """The C name of a member's value inside pass `current` (None: outside of passes)."""
        found = self.names.get(node)
        if found is not None:
            return found
        if self.is_kept_now(node, current):
            if node in self.buffer:
                text = f"{self.buffer[node]}[{self.place_in_buffer(current)}]"
            else:
                text = self.load_text(self.output[node], self.plan.writes[node], current, node.aval.dtype)
            name = self.new("v")
            self.line(f"const {register_type(node.aval.dtype)} {name} = {text};")
            self.names[node] = name
            return name
        return self.compute(node, current)

    def compute(self, node, current):
        """Declares the value of an elementwise member, its operands first, without recursion."""
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
                if not isinstance(read, (Access, Inlined)) and read not in self.names:
                    if self.is_kept_now(read, current):
                        self.value(read, current)
                    else:
                        waiting.append(read)
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if top.spec.primitive.form == "gather":
                self._gather(top, current)
                continue
            operands = [self.operand(top, i, current) for i in range(len(top.inputs))]
            self.declare(top, self._expression(top, operands))
        return self.names[node]

    def _gather(self, node, current):
        """An element at a computed place: moved inside, or replaced if it is outside."""
        target, start = self.plan.reads[node, 0], self.operand(node, 1, current)
        params, dtype = node.spec.params, node.aval.dtype
        (axis,) = params["places"].index_map
        last = node.spec.inputs[0].shape[axis] - params["sizes"][axis]
        i = self.new("g")
        if node.spec.inputs[1].dtype.name == "uint64":
            start = f"({start} > INT64_MAX ? INT64_MAX : {start})"
        if params["mode"] == "clip":
            self.line(f"const int64_t {i} = {start} < 0 ? 0 : (int64_t){start} > {last} ? {last} : (int64_t){start};")
        else:
            inside = self.new("n")
            self.line(f"const int {inside} = (int64_t){start} >= 0 && (int64_t){start} <= {last};")
            self.line(f"const int64_t {i} = {inside} ? (int64_t){start} : 0;")
        rest = i
        for part in reversed(leaves(target.start)):  # several, if the operand was reshaped
            self.starts[part] = rest if part.size == target.start.size else f"{rest} % {part.size}"
            rest = f"({rest} / {part.size})"
        text = self._inlined(target.node, target.index, current)
        if params["mode"] != "clip":
            text = f"{inside} ? {text} : {outside(params['mode'], dtype)}"
        self.declare(node, text)

    def _inlined(self, node, index, current):
        """The C name of a value at an index of its own; see Inlined."""
        if is_number(node):
            return literal(node)
        form = node.spec.primitive.form
        if form == "view":
            below, passed = read_through(index, [node])
            if passed:
                return self._inlined(node.inputs[0], below, current)
        access = Access(node, index)
        if access.key in self.names:
            return self.names[access.key]
        if form == "iota":
            count = self._counted(index[node.spec.params["axis"]], current)
            text = f"({register_type(node.aval.dtype)})({count})"
            if node.aval.dtype.name in HALVES:
                text = round_expression(node.aval.dtype, text)
        elif node in self.pointer:
            text = self.load_text(self.pointer[node], access, current, node.aval.dtype)
            self.last_read.setdefault(node, []).append((access, math.inf))
        else:
            operands = [
                self._inlined(source, operand_index(node, i, index), current) for i, source in enumerate(node.inputs)
            ]
            text = self._expression(node, operands)
        name = self.names[access.key] = self.new("v")
        self.line(f"const {register_type(node.aval.dtype)} {name} = {text};")
        return name

    def _expression(self, node, operands):
        kernel, params = node.spec.primitive.lower(*node.spec.inputs, **node.spec.params)
        dtypes = [aval.dtype for aval in node.spec.inputs]
        return rounded(node, expression(kernel, params, operands, dtypes, node.aval.dtype))

    def is_kept_now(self, node, current):
        plan = self.plan
        return current is not None and plan.inner_of[node] and plan.level[node] < current.level and is_kept(plan, node)

    def operand(self, node, position, current):
        read = self.plan.reads[node, position]
        if isinstance(read, Inlined):
            return self._inlined(read.node, read.index, current)
        if not isinstance(read, Access):
            return self.value(read, current)
        array = read.node
        if array not in self.pointer:
            return literal(array)
        inner = self.inner_axes(read)
        key = read.key
        if key in self.names:
            return self.names[key]
        if key in self.tiles and inner:
            text = load_expression(array.aval.dtype, f"{self.tiles[key]}[{self.tile_index(current)}]")
        else:
            text = self.load_text(self.pointer[array], read, current if inner else None, array.aval.dtype)
        name = self.new("v")
        self.line(f"const {register_type(array.aval.dtype)} {name} = {text};")
        self.names[key] = name
        self.last_read.setdefault(array, []).append((read, current.level if current is not None else -1))
        return name

    def inner_axes(self, access):
        return [axis for axis in access.strides if axis not in self.plan.row_axes and axis not in self.starts]

    def load_text(self, pointer, access, current, dtype):
        return load_expression(dtype, f"{pointer}[{self.offset(access, current.loops if current else ())}]")

    # ---- indices ---------------------------------------------------------------------------------------

    def offset(self, access, inner_loops):
        """The element that an access means, as a C expression."""
        terms = []
        for loop in self.plan.rows:
            stride = access.strides.get(loop.last, 0)
            if stride:
                terms.append(times(self.row_index[loop], stride))
        terms += [times(name, access.strides[axis]) for axis, name in self.starts.items() if axis in access.strides]
        if access.constant or not terms:
            terms.append(str(access.constant))
        base = " + ".join(terms)
        inner = [
            times(f"c{k}", access.strides[loop.last])
            for k, loop in enumerate(inner_loops)
            if access.strides.get(loop.last, 0)
        ]
        if base == "0" and inner:
            return " + ".join(inner)
        return " + ".join([base, *inner])

    def buffer_index(self, current, loops=None):
        """Where a buffer of a row holds the current element; `loops`: only so many of the loops are counted."""
        terms, reach = [], 1
        for k, loop in reversed(list(enumerate(current.loops))):
            if loops is None or k < loops:
                terms.append(times(f"c{k}", reach))
            reach *= loop.size
        return " + ".join(reversed(terms)) or "0"

    def place_in_buffer(self, current):
        """Where a buffer holds the current element of the current row."""
        if self.plan.columns:
            return f"({self.buffer_index(current)}) * {LANES} + l"
        return self.buffer_index(current)

    def tile_index(self, current):
        """Where a turned tile holds the current element of the current row."""
        k, size = len(current.loops) - 1, current.loops[-1].size
        if self.plan.blocked:
            return f"l * {self.block} + " + (f"c{k} - block" if size > self.block else f"c{k}")
        if self.plan.columns:
            return f"(c{k} - block) * {LANES} + l" if size > LANES else self.place_in_buffer(current)
        count = math.prod(loop.size for loop in current.loops)
        return f"(r - tile) * {count} + {self.buffer_index(current)}"

    def _counted(self, place, current):
        terms = [str(place.constant)] if place.constant else []
        strides = dict(place.expanded())
        for loop in self.plan.rows:
            if strides.get(loop.last):
                terms.append(times(self.row_index[loop], strides[loop.last]))
        for k, loop in enumerate(current.loops if current else ()):
            if strides.get(loop.last):
                terms.append(times(f"c{k}", strides[loop.last]))
        terms += [times(name, strides[axis]) for axis, name in self.starts.items() if axis in strides]
        return " + ".join(terms) or "0"
