"""Operators and elementwise functions on tensors, numbers and arrays: JAX's type promotion, NumPy's broadcasting."""

import functools

import numpy as np

from ..core import dtype as dtypes
from ..core.device import device as devices
from ..core.dtype import default_int, dt, inexact_of, is_float, is_inexact, is_integer, promote
from ..core.errors import ArgumentError, DtypeError
from ..core.node import ARRAY, MAX_PENDING, Node, next_number, scalar_constant, state
from ..core.tensor import Tensor, wrap
from ..primitives import elementwise as p
from ..primitives import mathematical as m
from ..primitives.base import note_captures, number
from ..primitives.control import stop_gradient
from ..primitives.elementwise import convert_to
from .creation import NUMBERS, as_tensor, scalar


def new_handle(function):
    """Decorator: where `function` has nothing to do it returns a new handle, so that setitem on the result leaves x alone."""

    @functools.wraps(function)
    def wrapped(x, *args, **kwargs):
        result = function(x, *args, **kwargs)
        if result is not x:
            return result
        if state.frame is not None:
            note_captures((x,))
        return wrap(x._node)

    return wrapped


# ---- promotion ---------------------------------------------------------------------------------------


def promoted(*operands):
    """The operands as tensors of their common dtype, on one device. Python numbers take it at no cost."""
    found = None
    for x in operands:
        if not isinstance(x, Tensor):
            break
        pair = x._node.aval.weak_pair
        if found is not None and pair != found:
            break
        found = pair
    else:
        return list(operands)  # all are tensors and have it
    place = next((x.device for x in operands if isinstance(x, Tensor)), None)
    operands = [x if type(x) in NUMBERS else as_tensor(x, place) for x in operands]
    pairs = [NUMBERS[type(x)] if type(x) in NUMBERS else x._node.aval.weak_pair for x in operands]
    dtype, weak = promote(*pairs)
    if dtype == dt.int64 and dt.int64 not in [d for d, _ in pairs] and _in_32_bits(operands):
        dtype = dt.int32
    place = place or next((x.device for x in operands if isinstance(x, Tensor)), devices.cpu)
    return [
        scalar(x, dtype, place, weak or own_weak) if type(x) in NUMBERS else convert_to(x, dtype, weak)
        for x, (_, own_weak) in zip(operands, pairs)
    ]


def _in_32_bits(operands):
    """True where uint32 and a signed dtype meet in int32, as in JAX, since there are no 64-bit Arrays."""
    arrays = any(isinstance(x, Tensor) and x._node.flags & ARRAY for x in operands)
    return arrays and default_int() != dt.int64


def floating(x):
    """`x` as a tensor of a floating or complex dtype: integers and bool become float32 (see inexact_of)."""
    x = as_tensor(x)
    return x if is_inexact(x.dtype) else convert_to(x, inexact_of(x.dtype), x.weak_type)


def promoted_floats(*operands):
    """The operands as tensors of their common dtype, float32 if that is no floating dtype."""
    return [floating(x) for x in promoted(*operands)]


def _binary(primitive, doc):
    def function(x, y):
        return primitive(*promoted(x, y))

    function.__name__, function.__doc__ = primitive.name, doc
    return function


def _comparison(primitive, doc):
    def function(x, y):
        if (getattr(x, "dtype", None), getattr(y, "dtype", None)) in _WITHOUT_COMMON_INTEGER:
            return _compare_exactly(primitive, x, y)
        return primitive(*promoted(x, y))

    function.__name__, function.__doc__ = primitive.name, doc
    return function


_SIGNED = (dt.int8, dt.int16, dt.int32, dt.int64)
_WITHOUT_COMMON_INTEGER = {pair for signed in _SIGNED for pair in ((signed, dt.uint64), (dt.uint64, signed))}


def _compare_exactly(primitive, x, y):
    """uint64 with a signed dtype, whose common dtype is a float that rounds both: by sign first, then as uint64."""
    place = next((v.device for v in (x, y) if isinstance(v, Tensor)), None)
    pair = [as_tensor(v, place) for v in (x, y)]
    signs = [convert_to(p.lt(v, 0), dt.int32) if v.dtype.kind == "i" else number(0, v) for v in pair]
    signs = [p.neg(convert_to(sign, dt.int32)) for sign in signs]
    return p.select(p.ne(*signs), primitive(*signs), primitive(*(convert_to(v, dt.uint64) for v in pair)))


def _binary_floating(primitive, doc):
    def function(x, y):
        x, y = promoted(x, y)
        return primitive(floating(x), floating(y))

    function.__name__, function.__doc__ = primitive.name, doc
    return function


def _unary_floating(primitive):
    def function(x):
        return primitive(floating(x))

    function.__name__, function.__doc__ = primitive.name, primitive.__doc__ + ", elementwise; integers become float32."
    return function


def _unary(primitive):
    def function(x):
        return primitive(as_tensor(x))

    function.__name__, function.__doc__ = primitive.name, primitive.__doc__ + ", elementwise."
    return function


# ---- functions ---------------------------------------------------------------------------------------

exp, exp2, expm1, log, log1p, sqrt, rsqrt, cbrt = map(
    _unary_floating, (m.exp, m.exp2, m.expm1, m.log, m.log1p, m.sqrt, m.rsqrt, m.cbrt)
)
sin, cos, tan, asin, acos, atan = map(_unary_floating, (m.sin, m.cos, m.tan, m.asin, m.acos, m.atan))
sinh, cosh, tanh, asinh, acosh, atanh = map(_unary_floating, (m.sinh, m.cosh, m.tanh, m.asinh, m.acosh, m.atanh))
sigmoid, erf, erfc, erf_inv = map(_unary_floating, (m.logistic, m.erf, m.erfc, m.erf_inv))
sign, logical_not = map(_unary, (p.sign, p.not_))

add = _binary(p.add, "x + y, elementwise.")
subtract = _binary(p.sub, "x - y, elementwise.")
multiply = _binary(p.mul, "x * y, elementwise.")
divide = _binary_floating(p.div, "x / y, elementwise; integers become float32.")
maximum = _binary(p.max_, "The larger of x and y, elementwise; nan if either is nan.")
minimum = _binary(p.min_, "The smaller of x and y, elementwise; nan if either is nan.")
equal = _comparison(p.eq, "x == y, elementwise.")
not_equal = _comparison(p.ne, "x != y, elementwise.")
less = _comparison(p.lt, "x < y, elementwise.")
less_equal = _comparison(p.le, "x <= y, elementwise.")
greater = _comparison(p.gt, "x > y, elementwise.")
greater_equal = _comparison(p.ge, "x >= y, elementwise.")
bitwise_and = _binary(p.and_, "x & y on bool or integers, elementwise.")
bitwise_or = _binary(p.or_, "x | y on bool or integers, elementwise.")
bitwise_xor = _binary(p.xor, "x ^ y on bool or integers, elementwise.")
left_shift = _binary(p.shift_left, "x << y on integers, elementwise.")
arctan2 = _binary_floating(m.atan2, "The angle of the points (y, x) in radians; the first argument is y.")


def right_shift(x, y):
    """x >> y on integers, elementwise; keeps the sign of signed integers."""
    x, y = promoted(x, y)
    return (p.shift_right_logical if x.dtype.kind == "u" else p.shift_right_arithmetic)(x, y)


def negative(x):
    """-x, elementwise."""
    return p.neg(as_tensor(x))


@new_handle
def abs(x):
    """|x|, elementwise; real for complex x."""
    x = as_tensor(x)
    return x if x.dtype.kind in "bu" else p.abs_(x)


def _rounding(primitive, doc):
    @new_handle
    def function(x):
        x = as_tensor(x)
        return primitive(x) if is_inexact(x.dtype) else x

    function.__name__, function.__doc__ = primitive.name, doc
    return function


floor = _rounding(m.floor, "The largest integer <= x, elementwise, in the dtype of x.")
ceil = _rounding(m.ceil, "The smallest integer >= x, elementwise, in the dtype of x.")
round = _rounding(m.round_, "The nearest integer, halves to even, elementwise, in the dtype of x.")
trunc = _rounding(m.trunc, "The integer part, elementwise, in the dtype of x.")


def isfinite(x):
    """False for infinities and nan, elementwise."""
    x = floating(x)
    return m.is_finite(x)


def isnan(x):
    """True for nan, elementwise."""
    x = as_tensor(x)
    return p.ne(x, x)


def remainder(x, y):
    """x % y with the sign of y, also where it is 0, as in Python. x % 0 is nan for floats, 0 for integers."""
    x, y = promoted(x, y)
    y, by_zero = _nonzero_divisor(x, y)
    r = m.rem(x, y)
    if is_float(x.dtype):
        zero, value = number(0, y), stop_gradient(r)
        signed = p.select(p.eq(value, 0), p.select(p.lt(y, 0), p.neg(zero), zero), value)
        r = p.sub(signed, p.sub(value, r))  # which is `signed`, with the derivative of r
    if x.dtype.kind != "u":
        wrong_sign = p.and_(p.ne(r, 0), p.ne(p.lt(r, 0), p.lt(y, 0)))
        r = p.select(wrong_sign, p.add(r, y), r)
    return r if by_zero is None else p.select(by_zero, number(0, r), r)


def fmod(x, y):
    """The remainder with the sign of x, as in C. By 0: nan for floats, 0 for integers."""
    x, y = promoted(x, y)
    y, by_zero = _nonzero_divisor(x, y)
    r = m.rem(x, y)
    return r if by_zero is None else p.select(by_zero, number(0, r), r)


def _nonzero_divisor(x, y):
    """(y with 1 for 0, where it was 0) for integers; (y, None) for floats and bool has no remainder."""
    if x.dtype.kind == "b":
        raise DtypeError(
            f"The remainder of {x._node.aval} by {y._node.aval} is not defined.", fix="convert x: x.astype(dt.int32)."
        )
    if is_inexact(x.dtype):
        return y, None
    by_zero = p.eq(y, 0)
    return p.select(by_zero, number(1, y), y), by_zero


def floor_divide(x, y):
    """x // y, rounded toward minus infinity. Integers by 0, as in JAX: all bits set, and one less where signed x != 0."""
    x, y = promoted(x, y)
    if is_float(x.dtype):
        return _floor_of_floats(stop_gradient(x), stop_gradient(y))  # piecewise constant
    if x.dtype.kind == "b":
        raise DtypeError(f"floor_divide: bool has no //, got {x._node.aval}.", fix="convert x: x.astype(dt.int32).")
    q = p.div(x, y)
    if x.dtype.kind == "u":
        return q
    inexact = p.and_(p.ne(m.rem(x, y), 0), p.ne(p.sign(x), p.sign(y)))
    return p.select(inexact, p.sub(q, 1), q)


def _floor_of_floats(x, y):
    """Through the exact remainder: x == (x // y) * y + x % y. Where there is none, x / y is 0, infinite or nan, as it should be."""
    r = m.rem(x, y)
    q = p.div(p.sub(x, r), y)
    q = m.round_(p.select(p.ne(p.lt(r, 0), p.lt(y, 0)), p.sub(q, 1), p.abs_(q)))
    return p.select(p.and_(p.ne(r, 0), m.is_finite(r)), q, p.div(x, y))


def divmod(x, y):
    """(x // y, x % y)"""
    return floor_divide(x, y), remainder(x, y)


_EXPONENT_BITS = 6  # of more, no x but 0, 1 and -1 has a power that fits 64 bits


@new_handle
def power(x, y):
    """x ** y. A Python int as the exponent multiplies; other exponents of floats use exp and log.

    Of an integer array as exponent of integers the lowest 6 bits count, as in JAX; the result wraps around. Raises
    DtypeError for integers to the power of a negative Python int.
    """
    if isinstance(y, (int, np.integer)) and not isinstance(y, bool) and isinstance(x, Tensor):
        y = int(y)
        if x.dtype.kind == "b":
            x, _ = promoted(x, y)
        if is_integer(x.dtype) and y < 0:
            raise DtypeError(
                f"power: {x._node.aval} to the negative power {y}.", fix="convert it: x.astype(dt.float32)."
            )
        if y == 1:
            return x
        return m.integer_pow(x, exponent=y) if y != 2 else p.mul(x, x)
    x, y = promoted(x, y)
    if is_inexact(x.dtype):
        return m.pow_(x, y)
    if x.dtype.kind == "b":
        raise DtypeError(f"power: {x._node.aval} ** bool is not supported.", fix="convert x: x.astype(dt.int32).")
    return _integer_power(x, y)


def _integer_power(x, y):
    """By repeated squaring over the bits of y."""
    one, weak = number(1, x), x.weak_type and y.weak_type
    vanishes = p.and_(p.eq(x, 0), p.ne(y, 0))
    result = None
    for bit in range(_EXPONENT_BITS):
        if bit:
            x, y = p.mul(x, x), p.shift_right_logical(y, one)
        factor = p.select(p.ne(p.and_(y, one), 0), x, one)
        result = factor if result is None else p.mul(result, factor)
    return convert_to(p.select(vanishes, number(0, one), result), x.dtype, weak)


def where(condition, x=None, y=None):
    """x where `condition` is true, else y; all three broadcast."""
    if x is None or y is None:
        raise ArgumentError(
            "where: x and y are missing: how many elements of the condition are true is not known before its values are.",
            fix="where(condition, x, y); for positions use numpy.nonzero(condition.numpy()).",
        )
    x, y = promoted(x, y)
    condition = as_tensor(condition, x.device)
    condition = condition if condition.dtype.kind == "b" else p.ne(condition, 0)
    return p.select(condition, x, y)


@new_handle
def clip(x, min=None, max=None):
    """x with values below `min` and above `max` replaced by them; None is no bound."""
    x = as_tensor(x)
    if min is not None:
        x = maximum(x, min)
    return x if max is None else minimum(x, max)


@new_handle
def astype(x, dtype):
    """x converted to `dtype`; x itself if it has it."""
    return convert_to(as_tensor(x), dtypes.canonical(dtype))


# ---- operators ---------------------------------------------------------------------------------------


def operator(primitive, general, kinds=None, cls=Tensor, accepts=None):
    """The method of Tensor (or `cls`) for `x op y`: two tensors, or a tensor and a number of a fitting type, at full speed.

    Everything else (promotion, arrays, traced functions, errors, dtypes that are not of `kinds`, if given) goes through
    `general`, if `accepts(other)` (default: is_operand).
    This is the one place where a node is made without its constructor: it saves a fifth of an operation's time.
    """
    specs, new, scalars = primitive.specs, object.__new__, {}
    accepts = is_operand if accepts is None else accepts

    def method(self, other):
        x = self._node
        kind = type(other)
        if kind is cls:
            y = other._node
        elif kind is float or kind is int:
            y = scalars.get((other, kind, x.aval))
            if y is None or (kind is float and other == 0):  # 0.0 and -0.0 are equal keys
                try:
                    y = _scalar_like(other, kind, x.aval)
                except ArgumentError:  # an int that does not fit: a matter of the face
                    y = None
                if y is None:
                    return general(self, other)
                if len(scalars) > 4096:
                    scalars.clear()
                scalars[other, kind, x.aval] = y
        else:
            return general(self, other) if accepts(other) else NotImplemented
        spec, frame = specs.get((x.aval, y.aval)), state.frame
        if spec is None or x.frame is not frame or (kinds is not None and x.aval.dtype.kind not in kinds):
            return general(self, other)
        if y.frame is not frame and kind is cls:
            return general(self, other)
        depth = x.depth if x.depth > y.depth else y.depth
        if depth >= MAX_PENDING:
            node = Node(spec, (x, y))
        else:
            node = new(Node)
            node.spec, node.aval, node.inputs, node.value = spec, spec.aval, (x, y), None
            node.number, node.flags, node.depth = next_number(), (x.flags | y.flags) & state.flags_mask, depth + 1
            node.frame, node.cut, node.replacement = frame, None, None
        tensor = new(cls)
        tensor._node = node
        return tensor

    method.careful = lambda self, other: general(self, other) if accepts(other) else NotImplemented
    return method


def _scalar_like(value, kind, aval):
    """The node of a number in the dtype of an aval; None if the result of an operation would have another dtype."""
    if aval.weak_type or (aval.dtype.kind not in "fc" and (kind is float or aval.dtype.kind not in "iu")):
        return None
    return scalar_constant(value, aval.dtype, aval.device, True)


def reflected(general):
    """The method of Tensor for `y op x` where y is not a Tensor."""

    def method(self, other):
        return general(other, self) if is_operand(other) else NotImplemented

    return method


def is_operand(x):
    """What operators accept besides tensors."""
    return isinstance(x, (bool, int, float, complex, Tensor)) or hasattr(x, "__array__")
