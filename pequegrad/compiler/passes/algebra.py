"""Exact algebra: identities of arithmetic that give the same bits for every operand.

What floating point lacks is not assumed: x + 0.0 is not x (for x = -0.0 it is 0.0), x * 0 is not 0, x - x is not 0,
-(x - y) is not y - x, x ** 2.0 need not be x * x. The sign and payload of a nan are not looked at.
"""

import math

import numpy as np

from ...primitives import elementwise as e
from .rewriting import kind, local_pass


def _negative_zero(value):
    return value == 0 and math.copysign(1, value) < 0


def _literals(b, inputs):
    """(constant operand, the other one) of a commutative primitive; (None, None) if there is not just one."""
    x, y = inputs
    value = b.literal(y)
    if value is not None:
        return value, x
    value = b.literal(x)
    return (value, y) if value is not None else (None, None)


def _is(node, name):
    return node.spec.primitive.name == name


# ---- sums --------------------------------------------------------------------------------------------


def add_number(b, spec, inputs):
    """x + c where that is x: -0.0 for floats (0.0 is not: it makes 0.0 of -0.0), 0 for integers."""
    value, x = _literals(b, inputs)
    if value is None:
        return None
    of = kind(spec.aval)
    if of == "float":
        if _negative_zero(value):
            return x
        if value == 0 and _is(x, "add") and any(b.literal(v) == 0 for v in x.inputs):  # -0.0 is gone already
            return x
    elif of == "complex":
        if _negative_zero(value.real) and _negative_zero(value.imag):
            return x
    elif of == "bool":
        return b.full(True, spec.aval) if value else x
    elif value == 0:
        return x
    elif _is(x, "add"):
        inner, y = _literals(b, x.inputs)
        if inner is not None:
            return b.make(e.add, y, b.number(_wrapped(inner + value, spec.aval.dtype), spec.aval))
    return None


def _wrapped(value, dtype):
    bits = dtype.itemsize * 8
    value &= (1 << bits) - 1
    return value - (1 << bits) if dtype.kind == "i" and value >> (bits - 1) else value


def add_negated(b, spec, inputs):
    """x + (-y) is x - y."""
    x, y = inputs
    if _is(y, "neg"):
        return b.make(e.sub, x, y.inputs[0])
    return b.make(e.sub, y, x.inputs[0]) if _is(x, "neg") else None


def sub(b, spec, inputs):
    """x - 0 is x (for floats 0.0, not -0.0); x - (-y) is x + y; 0 - x and -0.0 - x are -x; for integers x - x is 0."""
    x, y = inputs
    of = kind(spec.aval)
    if x is y and of in ("bool", "integer"):
        return b.full(0, spec.aval)
    if _is(y, "neg"):
        return b.make(e.add, x, y.inputs[0])
    value = b.literal(y)
    if value is not None and value == 0:
        if of in ("bool", "integer") or (of == "float" and not _negative_zero(value)):
            return x
    value = b.literal(x)
    if value is not None and value == 0 and (of == "integer" or (of == "float" and _negative_zero(value))):
        return b.make(e.neg, y)
    return None


def neg(b, spec, inputs):
    (x,) = inputs
    return x.inputs[0] if _is(x, "neg") else None


# ---- products ----------------------------------------------------------------------------------------


def mul_number(b, spec, inputs):
    """x * 1 is x, x * -1 is -x; for integers and bools x * 0 is 0."""
    value, x = _literals(b, inputs)
    of = kind(spec.aval)
    if value is None or of == "complex":
        return None
    if value == 1:
        return x
    if of != "float" and value == 0:
        return b.full(0, spec.aval)
    if value == -1:
        return b.make(e.neg, x)
    if _is(x, "neg") and of == "float":
        return b.make(e.mul, x.inputs[0], b.number(-value, spec.aval))
    if of == "integer" and _is(x, "mul"):
        inner, y = _literals(b, x.inputs)
        if inner is not None:
            return b.make(e.mul, y, b.number(_wrapped(inner * value, spec.aval.dtype), spec.aval))
    return None


def mul_negated(b, spec, inputs):
    """(-x) * (-y) is x * y."""
    x, y = inputs
    if kind(spec.aval) in ("float", "integer") and _is(x, "neg") and _is(y, "neg"):
        return b.make(e.mul, x.inputs[0], y.inputs[0])
    return None


def div(b, spec, inputs):
    """x / 1 is x, x / -1 is -x, x / 2**k is x * 2**-k where both are normal numbers; (-x) / (-y) is x / y of floats."""
    x, y = inputs
    of = kind(spec.aval)
    if of == "float" and _is(x, "neg") and _is(y, "neg"):
        return b.make(e.div, x.inputs[0], y.inputs[0])
    value = b.literal(y)
    if value is None or of == "complex":
        return None
    if value == 1:
        return x
    if value == -1:
        return b.make(e.neg, x)
    if of == "float" and _is_power_of_two(value, spec.aval.dtype):
        return b.make(e.mul, x, b.number(1 / value, spec.aval))
    return None


_EXPONENTS = {"float16": 14, "bfloat16": 126, "float32": 126, "float64": 1022}


def _is_power_of_two(value, dtype):
    """True if value is +-2**k and 2**-k is a normal number, too."""
    if not math.isfinite(value):
        return False
    fraction, exponent = math.frexp(value)
    return abs(fraction) == 0.5 and abs(exponent - 1) <= _EXPONENTS[dtype.name]


def integer_pow(b, spec, inputs):
    """The products that repeated squaring computes, for small exponents."""
    (x,), n = inputs, spec.params["exponent"]
    of = kind(spec.aval)
    if of == "complex":
        return None
    if n == 0:
        return b.full(1, spec.aval)
    if n == 1:
        return x
    rounds_once = spec.aval.dtype.itemsize >= 4 or of == "integer"  # 16-bit floats are rounded at the end only
    if n == 2 or (n in (3, 4) and rounds_once):
        square = b.make(e.mul, x, x)
        return square if n == 2 else b.make(e.mul, x if n == 3 else square, square)
    if n == -1:
        return b.make(e.div, b.number(1, spec.aval), x)
    return None


def pow_(b, spec, inputs):
    """x ** 1 is x."""
    return inputs[0] if kind(spec.aval) == "float" and b.literal(inputs[1]) == 1 else None


# ---- signs and parts ---------------------------------------------------------------------------------


def abs_(b, spec, inputs):
    """|-x| and ||x|| are |x|. Not |-x| of unsigned numbers: there 0 - x wraps around, and is not negative."""
    (x,) = inputs
    if _is(x, "abs"):
        return x
    return b.make(e.abs_, x.inputs[0]) if _is(x, "neg") and spec.aval.dtype.kind != "u" else None


def conj(b, spec, inputs):
    (x,) = inputs
    return x.inputs[0] if _is(x, "conj") else None


def real(b, spec, inputs):
    """The real part of x + iy is x."""
    (z,) = inputs
    return b.spread(z.inputs[0], spec.aval.shape) if _is(z, "complex") else None


def imag(b, spec, inputs):
    """The imaginary part of x + iy is y."""
    (z,) = inputs
    return b.spread(z.inputs[1], spec.aval.shape) if _is(z, "complex") else None


def complex_(b, spec, inputs):
    """z's real part + i its imaginary part is z."""
    x, y = inputs
    return x.inputs[0] if _is(x, "real") and _is(y, "imag") and x.inputs == y.inputs else None


# ---- order and comparison ----------------------------------------------------------------------------


def extreme(b, spec, inputs):
    """max(x, x), min(x, x) are x."""
    return inputs[0] if inputs[0] is inputs[1] else None


def compare(b, spec, inputs):
    """x == x of what is never nan; x < x of anything. A position (iota) is never negative."""
    x, y = inputs
    name = spec.primitive.name
    if x is y:
        if name in ("lt", "gt"):
            return b.full(False, spec.aval)
        if kind(x.aval) in ("integer", "bool"):
            return b.full(name != "ne", spec.aval)
    if name in ("lt", "ge") and _is(x, "iota") and (value := b.literal(y)) is not None and value <= 0:
        if x.spec.params["shape"][x.spec.params["axis"]] <= _largest(x.aval.dtype):
            return b.full(name == "ge", spec.aval)
    return None


def _largest(dtype):
    """The largest number up to which positions do not wrap around."""
    return np.iinfo(dtype).max if dtype.kind in "iu" else math.inf


# ---- logic -------------------------------------------------------------------------------------------


def not_(b, spec, inputs):
    (x,) = inputs
    return x.inputs[0] if _is(x, "not") else None


def logic(b, spec, inputs):
    """and, or with equal operands, with all bits or none; xor with none."""
    x, y = inputs
    name, aval = spec.primitive.name, spec.aval
    if x is y:
        return b.full(0, aval) if name == "xor" else x
    value, other = _literals(b, inputs)
    if value is None:
        return None
    everything = True if aval.dtype.kind == "b" else _wrapped(-1, aval.dtype)
    if name == "xor":
        return other if value == 0 else b.make(e.not_, other) if value == everything else None
    neutral = everything if name == "and" else 0
    if value == neutral:
        return other
    return b.full(value, aval) if value in (0, everything) else None


# ---- select ------------------------------------------------------------------------------------------


def select(b, spec, inputs):
    """A known condition, equal branches, a negated condition, branches that are selected by the same condition."""
    which, x, y = inputs
    to = spec.aval.shape
    known = b.literal(which)
    if known is not None:
        return b.spread(x if known else y, to)
    if x is y:
        return b.spread(x, to)
    if _is(which, "not"):
        return b.make(e.select, which.inputs[0], y, x)
    if _is(x, "select") and x.inputs[0] is which:
        return b.spread(b.make(e.select, which, x.inputs[1], y), to)
    if _is(y, "select") and y.inputs[0] is which:
        return b.spread(b.make(e.select, which, x, y.inputs[2]), to)
    return None


def select_bool(b, spec, inputs):
    """A choice between bools is logic, if one of them is known."""
    which, x, y = inputs
    if spec.aval.dtype.kind != "b":
        return None
    if_true, if_false = b.literal(x), b.literal(y)
    if if_false is False:
        made = which if if_true is True else b.make(e.and_, which, x)
    elif if_true is True:
        made = b.make(e.or_, which, y)
    elif if_true is False and if_false is True:
        made = b.make(e.not_, which)
    else:
        return None
    return b.spread(made, spec.aval.shape)


RULES = {
    "add": [add_number, add_negated],
    "sub": [sub],
    "neg": [neg],
    "mul": [mul_number, mul_negated],
    "div": [div],
    "integer_pow": [integer_pow],
    "pow": [pow_],
    "abs": [abs_],
    "conj": [conj],
    "real": [real],
    "imag": [imag],
    "complex": [complex_],
    "max": [extreme],
    "min": [extreme],
    **{name: [compare] for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    "not": [not_],
    "and": [logic],
    "or": [logic],
    "xor": [logic],
    "select": [select, select_bool],
}
algebra = local_pass(RULES)
