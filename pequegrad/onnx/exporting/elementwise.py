"""Elementwise primitives."""

import math

import numpy as np

from ...core.dtype import is_float
from .sizes import Varying, fixed
from .writer import rule

_SAME = {
    "neg": "Neg", "abs": "Abs", "sign": "Sign", "floor": "Floor", "ceil": "Ceil", "round": "Round", "exp": "Exp", "log": "Log",
    "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh",
    "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "logistic": "Sigmoid", "erf": "Erf", "pow": "Pow",
}  # fmt: skip
_COMPARE = {"eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual"}
_LOGIC = {"and": ("And", "BitwiseAnd"), "or": ("Or", "BitwiseOr"), "xor": ("Xor", "BitwiseXor"), "not": ("Not", "BitwiseNot")}  # fmt: skip
_ON_BOOL = {"add": "Or", "sub": "Xor", "mul": "And", "max": "Or", "min": "And"}
_NUMERIC = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min"}


def _is_bool(x):
    return x.dtype.kind == "b"


for _name, _op in _SAME.items():
    rule(_name)(lambda w, *x, _op=_op: w(_op, *x))


for _name, _op in _COMPARE.items():

    @rule(_name)
    def compare(w, x, y, _op=_op):
        if _is_bool(x) and _op != "Equal":
            x, y = w.cast(x, np.uint8), w.cast(y, np.uint8)
        return w(_op, x, y)


@rule("sqrt")
def sqrt(w, x):
    """Of a sum of squares ReduceL2."""
    total = w.producer(x)
    if total is not None and total.op == "ReduceSum" and w.uses[x] == 1 and is_float(x.dtype):
        squares = w.producer(total.inputs[0])
        if squares is not None and squares.op == "Mul" and squares.inputs[0] == squares.inputs[1]:
            return w("ReduceL2", squares.inputs[0], total.inputs[1], **total.attributes)
    return w("Sqrt", x)


@rule("select")
def select(w, condition, x, y):
    return w.where(condition, x, y, x.dtype)


@rule("ne")
def ne(w, x, y):
    return w("Not", w("Equal", x, y))


for _name, _ops in _LOGIC.items():
    rule(_name)(lambda w, *x, _ops=_ops: w(_ops[not _is_bool(x[0])], *x))


for _name in ("sub", "max", "min"):

    @rule(_name)
    def numeric(w, x, y, _name=_name):
        return w(_ON_BOOL[_name] if _is_bool(x) else _NUMERIC[_name], x, y)


# ---- sums and products, which may belong to the operator before ----------------------------------------------


@rule("add")
def add(w, x, y):
    if _is_bool(x):
        return w("Or", x, y)
    for a, b in ((x, y), (y, x)):
        if (found := _with_bias(w, a, b)) is not None:
            return found
    return w("Add", x, y)


def _with_bias(w, x, bias):
    """The result of a Conv or Gemm that takes the bias, too; None if x is none, or the bias is not known before."""
    record = w.producer(x)
    if record is None or w.uses[x] != 1 or len(record.inputs) > 2 or not fixed(bias.shape):
        return None
    source = _vector(w, bias)
    if source is None or w.producer(source) is not None:
        return None
    if record.op in ("Conv", "ConvTranspose") and bias.shape == (x.shape[1], *(1,) * (x.ndim - 2)):
        record.inputs.append(source)
        return w.names[x]
    if record.op == "Gemm" and bias.shape in ((x.shape[1],), (1, x.shape[1])):
        record.inputs.append(source)
        return w.names[x]
    return None


def _vector(w, bias):
    """The name of the values of a bias as one axis."""
    record = w.producer(bias)
    if record is not None and record.op in ("Reshape", "Unsqueeze"):
        source = record.inputs[0]
        return source if w.shapes.get(source) == (math.prod(bias.shape),) else None
    if bias.ndim == 1:
        return w.name_of(bias)
    return w.constant(np.asarray(bias.data).reshape(-1)) if isinstance(bias.data, np.ndarray) else None


@rule("mul")
def mul(w, x, y):
    if _is_bool(x):
        return w("And", x, y)
    for a, b in ((x, y), (y, x)):
        if b.data is not None and not b.shape and (found := _scaled(w, a, b.data)) is not None:
            return found
    return w("Mul", x, y)


@rule("div")
def div(w, x, y):
    if y.data is not None and not y.shape and (found := _scaled(w, x, y.data, inverse=True)) is not None:
        return found
    return _mean_without_padding(w, x, y) or w("Div", x, y)


def _scaled(w, x, factor, inverse=False):
    """x, a sum, times its inverse number of elements (or divided by that): a mean."""
    record = w.producer(x)
    if record is None or w.uses[x] != 1 or not is_float(x.dtype):
        return None
    count = w.counts.get(w.names[x])
    if count is None:
        return None
    numbers = lambda n: n.values if isinstance(n, Varying) else (n,) * len(w.shared.samples.traces)
    for a, b in zip(numbers(factor), numbers(count)):
        if not math.isclose(a if inverse else a * b, b if inverse else 1, rel_tol=1e-6):
            return None
    if record.op == "Mul":  # an average of windows, times their size
        return record.inputs[0]
    axes, kept = w.shared.arrays[record.inputs[1]].tolist(), "keepdims" not in record.attributes
    record.op = "ReduceMean"
    if kept and x.ndim > 2 and axes == list(range(2, x.ndim)):
        record.op, record.inputs = "GlobalAveragePool", record.inputs[:1]
    return w.names[x]


def _mean_without_padding(w, x, counts):
    """A sum over windows by the number of elements that each covers: AveragePool, which counts no padding; else None."""
    from .windows import covers

    windows = w.windows.get(w.names.get(x))
    if windows is None or w.uses[x] != 1 or not isinstance(counts.data, np.ndarray):
        return None
    shape, *params = windows
    expected = covers(shape, x.shape, *params)
    if any(isinstance(n, Varying) and m > 1 for n, m in zip(x.shape, counts.shape)) or (expected != counts.data).any():
        return None
    average = w.producer(x).inputs[0]
    w.producer(average).attributes.pop("count_include_pad", None)
    return average


# ---- composed ------------------------------------------------------------------------------------------------


@rule("convert")
def convert(w, x, *, dtype, weak_type):
    return x if x.dtype == dtype else w.cast(x, dtype)


@rule("clamp")
def clamp(w, low, x, high):
    if not low.shape and not high.shape:
        return w("Clip", x, low, high)
    return w("Min", w("Max", x, low), high)


@rule("trunc")
def trunc(w, x):
    return w("Where", w("Less", x, w.number(0, x)), w("Ceil", x), w("Floor", x))


@rule("exp2")
def exp2(w, x):
    return w("Pow", w.number(2, x), x)


@rule("expm1")
def expm1(w, x):
    """(exp(x) + 1) tanh(x / 2), exact near 0."""
    return w("Mul", w("Add", w("Exp", x), w.number(1, x)), w("Tanh", w("Mul", x, w.number(0.5, x))))


@rule("log1p")
def log1p(w, x):
    """log(u) x / (u - 1) for u = 1 + x corrects the rounding of u; x where u is 1 (Kahan)."""
    u = w("Add", x, w.number(1, x))
    small = w("Less", w("Abs", x), w.number(0.5, x))
    exact = w("Equal", u, w.number(1, x))
    below = w("Where", exact, w.number(1, x), w("Sub", u, w.number(1, x)))
    corrected = w("Where", exact, x, w("Mul", w("Log", u), w("Div", x, below)))
    return w("Where", small, corrected, w("Log", u))


@rule("rsqrt")
def rsqrt(w, x):
    return w("Reciprocal", w("Sqrt", x))


@rule("cbrt")
def cbrt(w, x):
    return w("Mul", w("Sign", x), w("Pow", w("Abs", x), w.number(1 / 3, x)))


@rule("erfc")
def erfc(w, x):
    return w("Sub", w.number(1, x), w("Erf", x))


@rule("is_finite")
def is_finite(w, x):
    return w("Less", w("Abs", x), w.number(np.inf, x))


@rule("integer_pow")
def integer_pow(w, x, *, exponent):
    if exponent == 2:
        return w("Mul", x, x)
    if not is_float(x.dtype) and exponent > 0:  # runtimes compute powers of integers as floats
        half = integer_pow(w, x, exponent=exponent // 2) if exponent > 1 else None
        square = w("Mul", half, half) if half else x
        return w("Mul", square, x) if half and exponent % 2 else square
    return w("Pow", x, w.number(exponent, x))


@rule("rem")
def rem(w, x, y):
    """With the sign of x: fmod=1, which runtimes compute of int64, too, as of floats."""
    if x.dtype == np.int64:
        return w("Sub", x, w("Mul", w("Div", x, y), y))
    return w("Mod", x, y, fmod=None if x.dtype.kind == "u" else 1)


@rule("atan2")
def atan2(w, y, x):
    """atan(y / x), and pi more or less where x is negative; -0.0 is."""
    zero = w.number(0, x)
    negative = lambda value: w("Or", w("Less", value, zero), w("Less", w("Reciprocal", value), zero))
    both = w("And", w("Equal", x, zero), w("Equal", y, zero))
    angle = w("Atan", w("Div", y, w("Where", both, w.number(1, x), x)))
    turn = w("Where", negative(y), w.number(-math.pi, x), w.number(math.pi, x))
    return w("Where", negative(x), w("Add", angle, turn), angle)


def _unsigned(dtype):
    return np.dtype(f"u{dtype.name}" if dtype.kind == "i" else dtype.name)


@rule("shift_left", "shift_right_logical")
def shift(w, x, y):
    direction = "LEFT" if w.operation.primitive == "shift_left" else "RIGHT"
    unsigned = _unsigned(x.dtype)
    if x.dtype == unsigned:
        return w("BitShift", x, y, direction=direction)
    return w.cast(w("BitShift", w.cast(x, unsigned), w.cast(y, unsigned), direction=direction), x.dtype)


@rule("shift_right_arithmetic")
def shift_right_arithmetic(w, x, y):
    """BitShift takes unsigned integers: of a negative number its complement is shifted."""
    unsigned = _unsigned(x.dtype)
    if x.dtype == unsigned:
        return w("BitShift", x, y, direction="RIGHT")
    negative = w("Less", x, w.number(0, x))
    size = w("Where", negative, w("BitwiseNot", x), x)
    found = w.cast(w("BitShift", w.cast(size, unsigned), w.cast(y, unsigned), direction="RIGHT"), x.dtype)
    return w("Where", negative, w("BitwiseNot", found), found)


@rule("identity", "stop_gradient", "transfer", "copy", "checkpoint_name", "zero_tangent")
def same(w, x, **params):
    return x


@rule("optimization_barrier")
def barrier(w, *xs, first):
    return list(xs[first:])
