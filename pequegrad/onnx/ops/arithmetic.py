"""Elementwise arithmetic, comparison and logic."""

import functools

import numpy as np

import pequegrad as pg

from ...primitives import elementwise as e
from ..registry import op
from ..values import dtype_of, tensor

# ---- one operand -------------------------------------------------------------------------------------------

for _name, _function in {
    "Abs": pg.abs, "Acos": pg.acos, "Acosh": pg.acosh, "Asin": pg.asin, "Asinh": pg.asinh, "Atan": pg.atan, "Atanh": pg.atanh, "Ceil": pg.ceil,
    "Cos": pg.cos, "Cosh": pg.cosh, "Erf": pg.erf, "Exp": pg.exp, "Floor": pg.floor, "Log": pg.log, "Neg": pg.negative, "Reciprocal": pg.reciprocal,
    "Round": pg.round, "Sigmoid": pg.sigmoid, "Sign": pg.sign, "Sin": pg.sin, "Sinh": pg.sinh, "Sqrt": pg.sqrt, "Tan": pg.tan, "Tanh": pg.tanh,
    "Not": pg.logical_not, "IsNaN": pg.isnan, "BitwiseNot": e.not_, "Identity": lambda x: x,
}.items():  # fmt: skip
    op(_name)(functools.partial(lambda function, x: function(x), _function))


# ---- two operands ------------------------------------------------------------------------------------------


def _divide(x, y):
    """Integers are divided towards zero."""
    return e.div(x, y)


for _name, _function in {
    "Add": pg.add, "Sub": pg.subtract, "Mul": pg.multiply, "Div": _divide, "Equal": pg.equal, "Less": pg.less, "LessOrEqual": pg.less_equal,
    "Greater": pg.greater, "GreaterOrEqual": pg.greater_equal, "And": pg.logical_and, "Or": pg.logical_or, "Xor": pg.logical_xor,
    "BitwiseAnd": pg.bitwise_and, "BitwiseOr": pg.bitwise_or, "BitwiseXor": pg.bitwise_xor,
}.items():  # fmt: skip
    op(_name, since=7)(functools.partial(lambda function, a, b: function(a, b), _function))


@op("Cast")
@op("Cast", since=6)
def cast(x, *, to, saturate=1, round_mode="up"):
    return tensor(x).astype(dtype_of(to))


@op("Where", since=9)
def where(condition, x, y):
    return pg.where(condition, x, y)


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
