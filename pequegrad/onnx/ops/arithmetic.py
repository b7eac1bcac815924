"""Elementwise arithmetic, comparison and logic, conversions of elements, constants."""

import functools
import math

import numpy as np

import pequegrad as pg

from ...core.dtype import is_float
from ...core.errors import ArgumentError, ShapeError
from ...ops.dynamic import bitcast_convert_type
from ...primitives import elementwise as e
from ..registry import op
from ..values import STRING, as_known, check_sizes, dtype_of, element_type_of, is_strings, known, outside, tensor

# ---- one operand -------------------------------------------------------------------------------------------

for _name, _function in {
    "Abs": pg.abs, "Acos": pg.acos, "Acosh": pg.acosh, "Asin": pg.asin, "Asinh": pg.asinh, "Atan": pg.atan, "Atanh": pg.atanh, "Ceil": pg.ceil,
    "Cos": pg.cos, "Cosh": pg.cosh, "Erf": pg.erf, "Exp": pg.exp, "Floor": pg.floor, "Log": pg.log, "Neg": pg.negative, "Reciprocal": pg.reciprocal,
    "Round": pg.round, "Sigmoid": pg.sigmoid, "Sign": pg.sign, "Sin": pg.sin, "Sinh": pg.sinh, "Sqrt": pg.sqrt, "Tan": pg.tan, "Tanh": pg.tanh,
    "Not": pg.logical_not, "IsNaN": pg.isnan, "BitwiseNot": e.not_,
}.items():  # fmt: skip
    op(_name)(functools.partial(lambda function, x: function(x), _function))


@op("Identity", folds=False)
def identity(x):
    return x


@op("IsInf", since=10)
def isinf(x, *, detect_negative=1, detect_positive=1):
    if detect_negative and detect_positive:
        return pg.isinf(x)
    if detect_negative or detect_positive:
        return pg.isneginf(x) if detect_negative else pg.isposinf(x)
    return pg.zeros_like(x, "bool")


@op("Clip")
def clip_1(x, *, min=None, max=None):
    return pg.clip(x, min, max)


@op("Clip", since=11, either=("min", "max"))
def clip(x, min=None, max=None):
    bound = lambda v: v.item() if isinstance(v, np.ndarray) and is_float(x.dtype) else v
    return pg.clip(x, bound(min), bound(max))


# ---- two operands ------------------------------------------------------------------------------------------


def _aligned(function):
    """As it was before version 7: with broadcast=1 the axes of b are those of a from `axis` on, by default the last ones."""

    def apply(a, b, *, broadcast=0, axis=None):
        if broadcast and axis is not None:
            b = pg.reshape(b, b.shape + (1,) * (a.ndim - axis % max(1, a.ndim) - b.ndim))
        return function(a, b)

    return apply


for _name, _function in {
    "Add": pg.add, "Sub": pg.subtract, "Mul": pg.multiply, "Div": e.div, "Equal": pg.equal, "Less": pg.less, "LessOrEqual": pg.less_equal,
    "Greater": pg.greater, "GreaterOrEqual": pg.greater_equal, "And": pg.logical_and, "Or": pg.logical_or, "Xor": pg.logical_xor,
    "BitwiseAnd": pg.bitwise_and, "BitwiseOr": pg.bitwise_or, "BitwiseXor": pg.bitwise_xor,
}.items():  # fmt: skip
    op(_name, since=7)(functools.partial(lambda function, a, b: function(a, b), _function))
    op(_name)(_aligned(_function))


op("Pow")(_aligned(pg.power))


@op("Pow", since=7, either=("y",))
def pow(x, y):
    """x ** y in the dtype of x; a known exponent that is one whole number multiplies."""
    if isinstance(y, np.ndarray):
        if is_float(x.dtype) and y.ndim == 0 and float(y).is_integer() and abs(int(y)) <= 64:
            return pg.power(x, int(y))
        y = tensor(y, x)
    if is_float(y.dtype) and not is_float(x.dtype):
        return pg.power(x.astype("float64"), y).astype(x.dtype)
    return pg.power(x, y.astype(x.dtype))


@op("Mod", since=10)
def mod(a, b, *, fmod=0):
    return pg.fmod(a, b) if fmod else pg.remainder(a, b)


@op("BitShift", since=11)
def bit_shift(x, y, *, direction):
    if direction not in ("LEFT", "RIGHT"):
        raise ArgumentError(f"BitShift: the direction {direction!r} is unknown.", fix="LEFT or RIGHT.")
    return pg.left_shift(x, y) if direction == "LEFT" else pg.right_shift(x, y)


@op("Where", since=9)
def where(condition, x, y):
    return pg.where(condition, x, y)


# ---- any number of operands --------------------------------------------------------------------------------

for _name, _function in {"Max": pg.maximum, "Min": pg.minimum, "Sum": pg.add}.items():
    op(_name, since=6)(functools.partial(lambda function, *xs: functools.reduce(function, xs), _function))


@op("Mean", since=6)
def mean(*xs):
    return pg.divide(functools.reduce(pg.add, xs), float(len(xs)))


# ---- other element types -----------------------------------------------------------------------------------


@op("Cast", since=6)
def cast(x, *, to, saturate=1, round_mode="up"):
    if to == STRING:
        return _to_strings(known(x, "What Cast turns into strings"))
    dtype = dtype_of(to)
    return _from_strings(x, dtype) if is_strings(x) else x.astype(dtype)


@op("CastLike", since=15)
def cast_like(x, target, *, saturate=1, round_mode="up"):
    if is_strings(target):
        return _to_strings(known(x, "What CastLike turns into strings"))
    return _from_strings(x, target.dtype) if is_strings(x) else x.astype(target.dtype)


def _to_strings(x):
    return np.array([v if isinstance(v, str) else str(v) for v in np.ravel(x)], object).reshape(np.shape(x))


def _from_strings(x, dtype):
    read = float if is_float(dtype) else int if dtype.kind in "iu" else lambda text: text not in ("0", "", "False")
    return tensor(np.array([read(text) for text in x.reshape(-1)], dtype).reshape(x.shape))


@op("BitCast", since=26)
def bit_cast(x, *, to):
    dtype = dtype_of(to)
    if dtype.itemsize != x.dtype.itemsize:
        raise ShapeError(f"BitCast: {x.dtype.name} and {dtype.name} have different sizes.")
    if dtype == x.dtype:
        return x
    if x.dtype.kind == "b":
        x = x.astype("uint8")
    if dtype.kind == "b":
        return pg.not_equal(x, 0)
    return bitcast_convert_type(x, dtype)


# ---- constants ---------------------------------------------------------------------------------------------


@op("Constant", folds=False)
def constant(*, value=None, sparse_value=None, value_float=None, value_floats=None, value_int=None, value_ints=None,
             value_string=None, value_strings=None):  # fmt: skip
    for found in (value, sparse_value):
        if found is not None:
            return found
    for found, dtype in (
        (value_float, np.float32), (value_floats, np.float32), (value_int, np.int64), (value_ints, np.int64), (value_string, object),
        (value_strings, object),
    ):  # fmt: skip
        if found is not None:
            return np.asarray(found, dtype)
    return np.zeros(0, np.float32)


@op("ConstantOfShape", since=9, known=("shape",), folds=False)
def constant_of_shape(shape, *, value=None, needed):
    """A known value only if it must be (needed): traced, it may have any size in one program that export writes.

    Numbers that are not floating are shapes, as a rule, and known, but for those of export (needed is None).
    """
    value = np.zeros(1, np.float32) if value is None else value
    shape, number = tuple(int(n) for n in shape), value.reshape(-1)[0].item()
    if needed is None or (not needed and is_float(dtype_of(element_type_of(value.dtype)))):
        return pg.full(shape, number, value.dtype)
    with outside():
        found = pg.full(shape, number, value.dtype)
        check_sizes([found], "A result of ConstantOfShape")
        return as_known(found)


@op("Range", since=11, known=("start", "limit", "delta"))
def range_(start, limit, delta, *, stash_type=1):
    """start, start + delta, ... before limit."""
    dtype = np.asarray(start).dtype
    if not delta:
        raise ArgumentError("Range: delta is 0.")
    wide = "float64" if dtype.kind == "f" or dtype.name == "bfloat16" else "int64"
    first, last, step = (np.asarray(v).reshape(()).astype(wide).item() for v in (start, limit, delta))
    count = max(0, math.ceil((last - first) / step) if wide == "float64" else -((first - last) // step))
    return (pg.arange(count, dtype=wide) * step + first).astype(dtype)


@op("EyeLike", since=9)
def eye_like(x, *, dtype=None, k=0):
    if x.ndim != 2:
        raise ShapeError(f"EyeLike takes a matrix, not {x.ndim} axes.")
    return pg.eye(*x.shape, dtype=x.dtype if dtype is None else dtype_of(dtype), k=k)


def _window(name, weights):
    """Registers a sum of weights[i] * cos(2 pi i n / N)."""

    @op(name, since=17, known=("size",))
    def window(size, *, output_datatype=1, periodic=1):
        count = int(size)
        n = pg.arange(count, dtype="float64") * (2 * np.pi / max(1, count if periodic else count - 1))
        return sum(w * pg.cos(n * i) for i, w in enumerate(weights)).astype(dtype_of(output_datatype))


_window("HannWindow", (0.5, -0.5))
_window("HammingWindow", (25 / 46, -21 / 46))
_window("BlackmanWindow", (0.42, -0.5, 0.08))
