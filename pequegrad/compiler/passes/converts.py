"""Conversions: to the dtype that x has, and through a dtype that holds all values of x."""

import numpy as np

from ...core.dtype import is_float
from ...primitives import elementwise as e
from .rewriting import kind, local_pass

# significant bits, smallest and largest exponent of a power of two
_FLOATS = {
    "bfloat16": (8, -133, 127),
    "float16": (11, -24, 15),
    "float32": (24, -149, 127),
    "float64": (53, -1074, 1023),
}


def holds(wide, narrow):
    """True if every value of dtype `narrow` is one of dtype `wide` (bools are 0 and 1; no complex dtypes)."""
    if wide == narrow or narrow.kind == "b":
        return True
    if wide.kind in "bc" or narrow.kind == "c":
        return False
    if is_float(wide):
        bits, low, high = _FLOATS[wide.name]
        if is_float(narrow):
            others = _FLOATS[narrow.name]
            return bits >= others[0] and low <= others[1] and high >= others[2]
        return bits >= _integer_bits(narrow) and high >= _integer_bits(narrow)
    if is_float(narrow):
        return False
    limits, others = np.iinfo(wide), np.iinfo(narrow)
    return limits.min <= others.min and limits.max >= others.max


def _integer_bits(dtype):
    """The number of bits of the magnitude. The lowest number of a signed dtype is a power of two: one bit."""
    return dtype.itemsize * 8 - (dtype.kind == "i")


def convert(b, spec, inputs):
    """convert(x) to the dtype of x is x; convert(convert(x)) through a dtype that holds all of x is one."""
    (x,), dtype = inputs, spec.params["dtype"]
    if x.aval.dtype == dtype:
        return x
    if x.spec.primitive.name != "convert":
        return None
    y = x.inputs[0]
    if not holds(x.aval.dtype, y.aval.dtype):
        return None
    return b.make(e.convert, y, **spec.params) if _one_way(y.aval, x.aval, dtype) else None


def _one_way(x, through, to):
    """True if x converts to the dtype `to` as it does after conversion to a dtype that holds it."""
    if to == x.dtype:
        return True
    if to.kind == "b":
        return True
    if kind(x) == kind(through) == "float":
        return True
    if to.kind == "c":
        return False
    if is_float(to):  # one rounding, or none; large integers may be rounded twice on the way to 16 bits
        return to.itemsize >= 4 or holds(to, x.dtype)
    # integers wrap around, floats saturate
    return kind(through) != "float" or holds(to, x.dtype)


RULES = {"convert": [convert]}
converts = local_pass(RULES)
