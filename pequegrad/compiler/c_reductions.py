"""Reductions in generated code: accumulators of loops, and the partial results of chunks of rows."""

from .c_scalars import HALVES, c_type, register_type, round_expression
from .c_text import Accumulator, combined, identity, wide_type
from .c_values import Values
from .loops import Access

BLOCK = 512  # terms of a float sum that are added in registers; sums of blocks are added in double


class Reductions(Values):
    """Adds reductions to the text. totals: partial reduction to one number -> C name; per_unit: rows of a chunk."""

    def _take_scratch(self, bytes):
        """Counts memory that begins at `scratch + self.scratch`."""
        self.scratch += -(-bytes // 64) * 64

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
            self._take_scratch(_count(node) * node.aval.dtype.itemsize)

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

    def _declare_reduced(self, node, text):
        kind = register_type(node.aval.dtype)
        name = self.new("v")
        value = f"({kind}){text}"
        if node.aval.dtype.name in HALVES:
            value = round_expression(node.aval.dtype, value)
        self.line(f"const {kind} {name} = {value};")
        self.names[node] = name


def _count(node):
    """Elements of one chunk's result of a partial reduction."""
    return node.aval.size // node.aval.shape[0]
