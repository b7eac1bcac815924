"""Values in generated code: how each one is computed, or read, where a kernel needs it."""

import functools
import math

from ..core.dtype import is_float, is_integer
from ..primitives.access import leaves, ways_out
from .c_scalars import HALVES, exact_store_expression, expression, load_expression, register_type, round_expression
from .c_text import choice, choice_by_bits, literal, outside, rounded, times
from .groups import accesses, is_addressed, operand_index, read_through
from .loops import Access, Inlined, is_kept, is_number, is_of_rows, range_inside

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
        self.mask = None  # C name of the condition under which arrays may be read, or None;
        self.near = None  # of one that is the same for all elements of the innermost loop
        self.loop_at = None  # number of the line at which the innermost loop begins
        self.segment = None  # (loop, begin, end): the part of the innermost loop that is being written, if it is cut

    # ---- text ------------------------------------------------------------------------------------------

    def line(self, text):
        self.lines.append("    " * self.depth + text)

    def _line_before_loop(self, text):
        """A line that the innermost loop, in which the text stands, does not repeat."""
        self.lines.insert(self.loop_at, "    " * (self.depth - 1) + text)
        self.loop_at += 1

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
        """True if a float becomes an integer of 8 or 16 bits that becomes a float again in this kernel (others see to that themselves)."""
        return (
            node.spec.primitive.name == "convert"
            and is_integer(node.aval.dtype)
            and node.aval.dtype.itemsize < 4
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
            form = top.spec.primitive.form
            if form == "gather":
                self._gather(top, current)
                continue
            if form == "join":
                self.declare(top, self._joined(top, self.plan.group.index[top], current))
                continue
            if form == "counted":
                self.declare(top, self._computed_from_count(top, current))
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

    def _joined(self, node, index, current):
        """The text of the operand inside of which the index of a join lies; the others are not read there."""
        choices = []
        for position, (source, below) in enumerate(zip(node.inputs, accesses(node, index))):
            unknown = [bound for bound in ways_out(below, source.aval.shape) if self._lies_inside(bound) is not True]
            if any(self._lies_inside(bound) is False for bound in unknown):
                continue
            if (node, position) in self.plan.reads and not is_addressed(node, position):
                choices.append((None, self.operand(node, position, current)))
            elif not unknown:
                choices.append((None, self._inlined(source, below, current)))
            else:  # what is read under a condition is not known without it
                outside = self.mask, self.near, dict(self.names)
                chosen = self._open_bounds(unknown, current)
                choices.append((chosen, self._inlined(source, below, current)))
                self.mask, self.near, self.names = outside
            if choices[-1][0] is None:
                break
        *tested, (_, text) = choices
        for chosen, value in reversed(tested):
            text = chosen(node.aval.dtype, value, text)
        return text

    def _open_bounds(self, bounds, current):
        """Makes bounds the condition under which arrays are read. Returns the function that writes the choice (c_text.py).

        If it is the same for a whole run of the innermost loop, elements that are in memory in any case are read instead,
        and chosen by bits: gcc makes a branch of a condition, and does not vectorise the loop.
        """
        loops = current.loops if current and not self.plan.columns else []
        near = [bound.own or bound for bound in bounds if loops and is_of_rows(self.plan, bound.own or bound, loops)]
        masks = [bound for bound in bounds if (bound.own or bound) not in near]
        inside = self.new("n")
        tests = [
            f"{self._counted(bound.place, current, _unsigned(bound.place))} < {bound.size}u"
            for bound in (*near, *masks)
        ]
        tests += [name for name in (self.mask, self.near) if name]
        text = f"const int {inside} = {' & '.join(tests)};"
        if masks or self.mask:
            self.line(text)
            self.mask, self.near = inside, None
            return functools.partial(choice, inside)
        bits = self.new("m")
        self._line_before_loop(f"{text} int64_t {bits} = -(int64_t){inside};")
        self._line_before_loop(f'__asm__("" : "+r"({bits}));')
        self.near = inside
        return functools.partial(choice_by_bits, bits)

    def _lies_inside(self, bound):
        """Whether a bound holds in the segment of the innermost loop that is being written; None: for some elements."""
        found = range_inside(bound, self.segment[0]) if self.segment else None
        if found is None:
            return None
        (_, low, high), (begin, end) = self.segment, found
        if begin <= low and high <= end:
            return True
        return False if end <= low or high <= begin else None

    def segments(self, current, low, high):
        """(begin, end) of the parts of the last loop of a pass, `low` to `high`, in each of which joins read one operand."""
        loop = current.loops[-1]
        self.loop_at = len(self.lines)
        cuts = sorted(self.plan.cuts.get(loop, ()))
        if not cuts:
            yield low, high
            return
        for begin, end in zip([0, *cuts], [*cuts, loop.size]):
            self.segment = loop, begin, end
            begin = low if begin == 0 else str(begin) if low == "0" else f"({low} > {begin} ? {low} : {begin})"
            if end == loop.size:
                end = high
            self.loop_at = len(self.lines)
            yield begin, end if high in (str(loop.size), end) else f"({high} < {end} ? {high} : {end})"
        self.segment = None

    def _computed_from_count(self, node, current):
        """The text of a value that is made of its position, and of elements of one operand."""
        number, elements = accesses(node, self.plan.group.index[node])
        words = [self._inlined(node.inputs[0], index, current) for index in elements]
        if len(words) == 1:  # both in 64 bits, the first one lower
            words = [f"(uint32_t){words[0]}", f"(uint32_t)({words[0]} >> 32)"]
        count = self._counted(number, current)
        if node.aval.size <= 1 << 32:  # so that the compiler knows
            count = f"(uint32_t)({count})"
        return self._expression(node, [*words, count])

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
            text = f"{self.mask} ? {text} : 0" if self.mask else text
            self.last_read.setdefault(node, []).append((access, math.inf))
        elif form == "join":
            text = self._joined(node, index, current)
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
        if self.near and inner_loops:
            return self._offset_if_near(access, [base, *inner], inner_loops[-1])
        if base == "0" and inner:
            return " + ".join(inner)
        return " + ".join([base, *inner])

    def _offset_if_near(self, access, terms, loop):
        """The same offset under the condition `near`; without it one whose elements are in memory, too."""
        stride = access.strides.get(loop.last, 0)
        low, high = self.segment[1:] if self.segment else (0, loop.size)
        last = [terms.pop()] if stride else []
        safe = -stride * (low if stride > 0 else high - 1)
        name = self.new("o")
        self._line_before_loop(f"int64_t {name} = {self.near} ? {' + '.join(terms)} : {safe};")
        self._line_before_loop(f'__asm__("" : "+r"({name}));')  # else gcc reads under the condition again
        return " + ".join([name, *last])

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

    def _counted(self, place, current, kind=None):
        """The number that a place is, modulo 2**n in the unsigned type `kind`, if that is given."""
        terms = [str(place.constant)] if place.constant else []
        strides = dict(place.expanded())
        for loop in self.plan.rows:
            if strides.get(loop.last):
                terms.append(times(self.row_index[loop], strides[loop.last]))
        for k, loop in enumerate(current.loops if current else ()):
            if strides.get(loop.last):
                terms.append(times(f"c{k}", strides[loop.last]))
        terms += [times(name, strides[axis]) for axis, name in self.starts.items() if axis in strides]
        if kind:
            terms = [f"({kind}){term}" if term.isidentifier() else f"({kind})({term})" for term in terms]
        return " + ".join(terms) or "0"


def _unsigned(place):
    """The smaller of the unsigned types in which a place, if it is negative, is larger than any that is not."""
    reach = abs(place.constant) + sum(abs(stride) * axis.size for axis, stride in place.terms)
    return "uint32_t" if reach < 1 << 31 else "uint64_t"
