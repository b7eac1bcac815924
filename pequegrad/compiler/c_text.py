"""Pieces of C text: numbers, reductions, what a value of few bits is rounded to."""

import math

import numpy as np

from ..core.dtype import is_float
from .c_scalars import HALVES, register_type, round_expression


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
            code.line(f"{self.total} = {combined(self.combine, self.dtype, self.total, self.name, self.wide)};")


def rounded(node, text):
    """The C text of a value of `node`, without more digits than its dtype has: later kernels may recompute it."""
    if node.aval.dtype.name in HALVES and node.spec.primitive.name != "convert":
        return round_expression(node.aval.dtype, f"({text})")
    return text


def combined(combine, dtype, a, b, kind):
    """`a` combined with `b`, outside of vectorised reductions."""
    if dtype.kind == "b":
        return f"{a} {'|' if combine in ('add', 'max', 'or') else '&'} {b}"
    if combine in ("max", "min"):
        sign = ">" if combine == "max" else "<"
        return f"({a} {sign} {b} || {a} != {a} ? {a} : {b})"
    return f"({kind})({a} {dict(add='+', mul='*', **{'and': '&', 'or': '|'})[combine]} {b})"


def wide_type(node):
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


def outside(mode, dtype):
    """What gather gives for a place outside of the array."""
    if mode == "zero" or dtype.kind == "b":
        return "0" if mode == "zero" else "1"
    if is_float(dtype):
        return number_text(math.nan, dtype)
    info = np.iinfo(dtype)
    return number_text(info.min if info.min else info.max, dtype)


def choice(condition, dtype, a, b):
    """`a` where the condition holds, else `b`."""
    return f"({condition} ? {a} : {b})"


def choice_by_bits(bits, dtype, a, b):
    """`a` where `bits` is -1, `b` where it is 0."""
    kind = register_type(dtype)
    if is_float(dtype):
        return f"pg_choose_{kind}({bits}, {a}, {b})"
    return f"({kind})(({a} & {bits}) | ({b} & ~{bits}))"


def literal(node):
    """A Python number that the graph holds, as C text."""
    with np.errstate(over="ignore"):  # what is too large is inf
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


def times(name, stride):
    name = f"({name})" if " " in name else name
    return name if stride == 1 else f"{name} * {stride}"
