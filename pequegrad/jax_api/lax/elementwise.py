"""Arithmetic, comparisons and mathematical functions, elementwise; strict about dtypes and shapes, see operands.py."""

import operator

import numpy as np

from ...core.dtype import complex_of, dt, is_integer
from ...core.errors import ArgumentError, DtypeError
from ...primitives import control, representation
from ...primitives import elementwise as p
from ...primitives import mathematical as m
from ...primitives import special as s
from ...primitives.base import number
from ..convert import as_array
from .operands import check_kind, check_same_dtypes, check_shapes, dtype_of, operands_of
from .types import RoundingMethod, check_accuracy

# ---- families: name -> (primitive, dtypes) -------------------------------------------------------------

_UNARY = {
    "neg": (p.neg, "number"), "sign": (p.sign, "number"), "abs": (p.abs_, "signed"), "bitwise_not": (p.not_, "bits"),
    "floor": (m.floor, "floating"), "ceil": (m.ceil, "floating"), "is_finite": (m.is_finite, "floating"),
    "real": (p.real, "complex"), "imag": (p.imag, "complex"),
    "sinh": (m.sinh, "inexact"), "cosh": (m.cosh, "inexact"), "asin": (m.asin, "inexact"),
    "acos": (m.acos, "inexact"), "atan": (m.atan, "inexact"), "asinh": (m.asinh, "inexact"),
    "acosh": (m.acosh, "inexact"), "atanh": (m.atanh, "inexact"),
    "erf": (m.erf, "floating"), "erfc": (m.erfc, "floating"), "erf_inv": (m.erf_inv, "floating"),
    "lgamma": (s.lgamma, "floating"), "digamma": (s.digamma, "floating"),
    "bessel_i0e": (s.bessel_i0e, "floating"), "bessel_i1e": (s.bessel_i1e, "floating"),
    "population_count": (s.popcount, "integer"), "clz": (s.clz, "integer"),
}  # fmt: skip

_WITH_ACCURACY = {
    "exp": (m.exp, "inexact"), "exp2": (m.exp2, "inexact"), "expm1": (m.expm1, "inexact"), "log": (m.log, "inexact"),
    "log1p": (m.log1p, "inexact"), "sqrt": (m.sqrt, "inexact"), "rsqrt": (m.rsqrt, "inexact"),
    "cbrt": (m.cbrt, "floating"), "sin": (m.sin, "inexact"), "cos": (m.cos, "inexact"), "tan": (m.tan, "inexact"),
    "tanh": (m.tanh, "inexact"), "logistic": (m.logistic, "inexact"),
}  # fmt: skip

_BINARY = {
    "add": (p.add, "number"), "sub": (p.sub, "number"), "div": (p.div, "number"), "rem": (m.rem, "real"),
    "bitwise_and": (p.and_, "bits"), "bitwise_or": (p.or_, "bits"), "bitwise_xor": (p.xor, "bits"),
    "eq": (p.eq, "any"), "ne": (p.ne, "any"), "lt": (p.lt, "ordered"), "le": (p.le, "ordered"),
    "gt": (p.gt, "ordered"), "ge": (p.ge, "ordered"), "atan2": (m.atan2, "floating"),
    "shift_left": (p.shift_left, "integer"), "shift_right_logical": (p.shift_right_logical, "integer"),
    "shift_right_arithmetic": (p.shift_right_arithmetic, "integer"),
    "complex": (p.complex_, "float32 or float64"),
}  # fmt: skip


def _unary(name, primitive, kind):
    def function(x):
        x = as_array(x, name)
        check_kind(name, kind, x)
        return primitive(x)

    return _named(function, name, primitive)


def _with_accuracy(name, primitive, kind):
    def function(x, *, accuracy=None):
        x = as_array(x, name)
        check_kind(name, kind, x)
        if accuracy is not None:
            check_accuracy(accuracy)
        return primitive(x)

    return _named(function, name, primitive)


def _binary(name, primitive, kind):
    def function(x, y):
        return primitive(*operands_of(name, kind, x, y))

    return _named(function, name, primitive)


def _named(function, name, primitive):
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{primitive.__doc__}, elementwise."
    return function


for _make, _table in ((_unary, _UNARY), (_with_accuracy, _WITH_ACCURACY), (_binary, _BINARY)):
    for _name, _row in _table.items():
        globals()[_name] = _make(_name, *_row)


# ---- products, powers, extrema -------------------------------------------------------------------------


def mul(x, y, *, out_dtype=None):
    """x * y, elementwise; out_dtype: both are converted to it first."""
    if out_dtype is None:
        return p.mul(*operands_of("mul", "number", x, y))
    xs = [as_array(x, "mul", 0), as_array(y, "mul", 1)]
    check_kind("mul", "number", *xs)
    check_shapes("mul", *xs)
    out_dtype = dtype_of(out_dtype, "mul")
    return p.mul(*(p.convert_to(v, out_dtype) for v in xs))


def mulhi(x, y, /):
    """The upper half of the bits of x * y, elementwise, on integers."""
    x, y = operands_of("mulhi", "integer", x, y)
    bits, kind = 8 * x.dtype.itemsize, x.dtype.kind
    if bits < 64:
        wide = np.dtype(f"{kind}{x.dtype.itemsize * 2}")
        shift = p.shift_right_arithmetic if kind == "i" else p.shift_right_logical
        product = p.mul(p.convert_to(x, wide), p.convert_to(y, wide))
        return p.convert_to(shift(product, number(bits, product)), x.dtype, x.weak_type and y.weak_type)
    # of 64 bits: four products of halves as unsigned numbers, then what negative operands take away (Hacker's Delight, 8-2)
    low, half = number(2**32 - 1, x), number(32, x)
    logical = p.shift_right_logical
    (x0, x1), (y0, y1) = ((p.and_(v, low), logical(v, half)) for v in (x, y))
    cross = p.add(p.mul(x1, y0), logical(p.mul(x0, y0), half))
    other = p.add(p.mul(x0, y1), p.and_(cross, low))
    high = p.add(p.add(p.mul(x1, y1), logical(cross, half)), logical(other, half))
    if kind == "i":
        zero = number(0, x)
        for a, b in ((x, y), (y, x)):
            high = p.sub(high, p.select(p.lt(a, zero), b, zero))
    return high


def integer_pow(x, y):
    """x ** y for a Python int y, elementwise."""
    x = as_array(x, "integer_pow")
    check_kind("integer_pow", "number", x)
    y = operator.index(y)
    if y < 0 and is_integer(x.dtype):
        raise DtypeError(f"Integers cannot be raised to negative powers, got integer_pow({x._node.aval}, {y}).")
    return m.integer_pow(x, exponent=y)


def pow(x, y):
    """x ** y, elementwise, for floating x and y of its dtype, or int32 (int64) y."""
    x, y = as_array(x, "pow", 0), as_array(y, "pow", 1)
    check_kind("pow", "inexact", x)
    check_shapes("pow", x, y)
    if is_integer(y.dtype):
        if isinstance(y._node.spec.params.get("value"), int):
            return m.integer_pow(x, exponent=y._node.spec.params["value"])
        return _power_of_integers(x, y)
    check_kind("pow", "any", y)
    check_same_dtypes("pow", x, y)
    return m.pow_(x, y)


def _power_of_integers(x, y):
    """x ** y for integers y: the power of |x|, negative where x is negative and y odd."""
    weak, exponent = x.weak_type, p.convert_to(y, x.dtype)
    if x.dtype.kind == "c":
        return m.pow_(x, exponent)
    size = m.pow_(p.abs_(x), exponent)
    odd = p.ne(p.and_(y, number(1, y)), number(0, y))
    return p.convert_to(p.select(p.and_(odd, p.lt(x, number(0, x))), p.neg(size), size), x.dtype, weak)


def square(x):
    """x * x, elementwise."""
    x = as_array(x, "square")
    check_kind("square", "number", x)
    return m.integer_pow(x, exponent=2)


def reciprocal(x):
    """1 / x, elementwise."""
    return integer_pow(x, -1)


def _extremum(name, primitive, is_before):
    def function(x, y):
        x, y = operands_of(name, "any", x, y)
        if x.dtype.kind != "c":
            return primitive(x, y)
        (xr, xi), (yr, yi) = ((p.real(v), p.imag(v)) for v in (x, y))  # by the real parts, then the imaginary ones
        return p.select(p.or_(is_before(xr, yr), p.and_(p.eq(xr, yr), is_before(xi, yi))), x, y)

    return _named(function, name, primitive)


max = _extremum("max", p.max_, p.gt)
min = _extremum("min", p.min_, p.lt)


def nextafter(x1, x2):
    """The number next to x1 in the direction of x2, elementwise."""
    return s.nextafter(*operands_of("nextafter", "floating", x1, x2))


def conj(x):
    """The complex conjugate, elementwise, complex also for real x."""
    x = as_array(x, "conj")
    check_kind("conj", "float32, float64 or complex", x)
    return p.conj(x) if x.dtype.kind == "c" else p.convert_to(x, complex_of(x.dtype), x.weak_type)


def round(x, rounding_method=RoundingMethod.AWAY_FROM_ZERO):
    """The nearest integer, elementwise; halves away from zero or to the even one."""
    x = as_array(x, "round")
    check_kind("round", "floating", x)
    if RoundingMethod(rounding_method) == RoundingMethod.TO_NEAREST_EVEN:
        return m.round_(x)
    x = control.stop_gradient(x)  # piecewise constant
    whole = m.trunc(x)
    is_far = p.ge(p.abs_(p.sub(x, whole)), number(0.5, x))
    return p.select(is_far, p.add(whole, p.sign(x)), whole)


# ---- choices -------------------------------------------------------------------------------------------


def clamp(min, x, max):
    """x with what is below `min` or above `max` replaced by them; the bounds are scalars or have the shape of x."""
    low, x, high = (as_array(v, "clamp", i) for i, v in enumerate((min, x, max)))
    check_kind("clamp", "ordered", low, x, high)
    check_same_dtypes("clamp", low, x, high)
    for bound in (low, high):
        if bound.shape not in ((), x.shape):
            raise ArgumentError(f"clamp requires bounds of shape {x.shape} or scalars, got {bound.shape}.")
    if x.dtype.kind == "b":
        return p.min_(p.max_(x, low), high)
    return p.convert_to(p.clamp(low, x, high), x.dtype, x.weak_type)


def select(pred, on_true, on_false):
    """on_true where `pred` (a scalar or of their shape) is true, else on_false."""
    return select_n(pred, on_false, on_true)


def select_n(which, *cases):
    """Of several arrays of one type, the element of that one whose number `which` (a scalar or of their shape) is."""
    which = as_array(which, "select", 0)
    cases = [as_array(case, "select", i + 1) for i, case in enumerate(cases)]
    if not cases:
        raise ValueError("select_n() must have at least one case.")
    if any(case.shape != cases[0].shape for case in cases):
        raise ArgumentError(f"select cases must have the same shapes, got {[case.shape for case in cases]}.")
    check_same_dtypes("select", *cases)
    if which.shape not in ((), cases[0].shape):
        raise ArgumentError(f"select `which` must be scalar or have the shape of the cases, got {which.shape}.")
    if which.dtype.kind == "b":
        if len(cases) > 2:
            raise ArgumentError(f"select with bool `which` expects at most two cases, got {len(cases)}.")
        return p.select(which, cases[1], cases[0]) if len(cases) == 2 else control.identity(cases[0])
    check_kind("select", "integer", which)
    chosen = cases[0]
    for i, case in enumerate(cases[1:], 1):
        chosen = p.select(p.ge(which, number(i, which)), case, chosen)
    return chosen


# ---- special functions ---------------------------------------------------------------------------------


def _special(name, primitive):
    def function(a, x):
        return primitive(*operands_of(name, "floating", a, x))

    return _named(function, name, primitive)


igamma, igammac, igamma_grad_a = (
    _special(name, getattr(s, name)) for name in ("igamma", "igammac", "igamma_grad_a")
)  # fmt: skip


def betainc(a, b, x):
    """The regularised incomplete beta function, elementwise; it has a derivative with respect to x only."""
    return s.betainc(*operands_of("betainc", "floating", a, b, x))


def zeta(x, q):
    """Hurwitz's zeta function: the sum of (q + i)**-x over i = 0, 1, ..., elementwise."""
    return s.zeta(*operands_of("zeta", "floating", x, q))


def polygamma(m, x):
    """The m-th derivative of digamma, elementwise, for floating m; nan where m is no integer >= 0."""
    order, x = operands_of("polygamma", "floating", m, x)
    return _polygamma(order, x)


def _polygamma(order, x):
    order = control.stop_gradient(order)
    one = number(1, order)
    n = p.add(order, one)
    odd = p.ne(m.rem(n, number(2, n)), number(0, n))
    size = p.mul(m.exp(s.lgamma(n)), s.zeta(n, x))
    found = p.select(p.eq(order, number(0, order)), s.digamma(x), p.select(odd, p.neg(size), size))
    known = p.and_(p.ge(order, number(0, order)), p.eq(order, m.floor(order)))
    return p.select(known, found, number(float("nan"), found))


def random_gamma_grad(*args):
    """The derivative of a sample x of the gamma distribution with respect to its shape a: -(dP/da) / (dP/dx), elementwise."""
    a, x = operands_of("random_gamma_grad", "floating", *args)
    dtype, weak = x.dtype, a.weak_type and x.weak_type
    a, x = (p.convert_to(v, dt.float64) for v in (a, x))
    # dP/dx = exp((a - 1) log x - x - log gamma(a))
    log_density = p.sub(p.sub(p.mul(p.sub(a, number(1, a)), m.log(x)), x), s.lgamma(a))
    return p.convert_to(p.div(p.neg(s.igamma_grad_a(a, x)), m.exp(log_density)), dtype, weak)


# ---- dtypes and bits -----------------------------------------------------------------------------------


def convert_element_type(operand, new_dtype):
    """The operand in another dtype; complex to real drops the imaginary part, with a warning."""
    operand = as_array(operand, "convert_element_type")
    new_dtype = dtype_of(new_dtype, "convert_element_type")
    if operand.dtype.kind == "c" and new_dtype.kind not in "c":
        import warnings

        warnings.warn(
            "Casting complex values to real discards the imaginary part",
            getattr(np, "exceptions", np).ComplexWarning,
            stacklevel=2,
        )
    return p.convert_to(operand, new_dtype)


def bitcast_convert_type(operand, new_dtype):
    """The bits of the operand as another dtype: a smaller one adds a last axis, a larger one consumes it."""
    operand = as_array(operand, "bitcast_convert_type")
    new_dtype = dtype_of(new_dtype, "bitcast_convert_type")
    if operand.dtype == new_dtype:
        return control.stop_gradient(operand)
    if operand.dtype.kind in "bc" or new_dtype.kind in "bc":
        raise DtypeError(f"lax.bitcast_convert_type does not support bool or complex: {operand.dtype} to {new_dtype}.")
    return representation.bitcast_convert(operand, dtype=new_dtype)


def reduce_precision(operand, exponent_bits, mantissa_bits):
    """The operand rounded to floats with fewer bits: too large ones become inf, too small ones 0. Its tangent is not rounded."""
    from ...transforms.custom import custom_jvp

    operand = as_array(operand, "reduce_precision")
    check_kind("reduce_precision", "floating", operand)
    if exponent_bits < 1 or mantissa_bits < 0:
        raise ValueError(
            f"exponent_bits must be positive and mantissa_bits nonnegative: {exponent_bits}, {mantissa_bits}."
        )
    rounded = custom_jvp(lambda x: _rounded(x, exponent_bits, mantissa_bits))
    rounded.defjvp(lambda primals, tangents: (rounded(*primals), tangents[0]))
    return rounded(operand)


_LAYOUTS = {"float16": (5, 10), "bfloat16": (8, 7), "float32": (8, 23), "float64": (11, 52)}  # bits: exponent, mantissa


def _rounded(x, exponent_bits, mantissa_bits):
    own_exponent, own_mantissa = _LAYOUTS[x.dtype.name]
    bits = representation.bitcast_convert(x, dtype=np.dtype(f"u{x.dtype.itemsize}"))
    constant = lambda value: number(value, bits)
    sign = p.and_(bits, constant(1 << own_exponent + own_mantissa))
    size = p.xor(bits, sign)
    drop = own_mantissa - mantissa_bits
    if (
        drop > 0
    ):  # to the nearest, halves to even: half a unit less one is added, and one more where the last bit is set
        last = p.and_(p.shift_right_logical(size, constant(drop)), constant(1))
        size = p.add(size, p.add(last, constant((1 << drop - 1) - 1)))
        size = p.and_(size, constant((1 << own_exponent + own_mantissa) - (1 << drop)))
    infinity = ((1 << own_exponent) - 1) << own_mantissa
    if exponent_bits < own_exponent:
        bias, new_bias = (1 << own_exponent - 1) - 1, (1 << exponent_bits - 1) - 1
        largest = (bias + new_bias + 1) << own_mantissa  # the first exponent beyond
        smallest = (bias - new_bias + 1) << own_mantissa
        size = p.select(p.ge(size, constant(largest)), constant(infinity), size)
        size = p.select(p.lt(size, constant(smallest)), constant(0), size)
    found = representation.bitcast_convert(p.or_(sign, size), dtype=x.dtype)
    found = p.select(p.ne(x, x), x, found)
    return (
        p.convert_to(found, x.dtype, x.weak_type)
        if not x.weak_type
        else p.convert(found, dtype=x.dtype, weak_type=True)
    )


def dtype(x):
    """The dtype of an array, a number, or of what names a dtype."""
    if isinstance(x, type) or isinstance(x, (str, np.dtype)):
        return dtype_of(x, "dtype")
    return as_array(x, "dtype").dtype


def stage(x, /):
    """x as an Array."""
    return control.identity(as_array(x, "stage"))


__all__ = [
    "betainc", "bitcast_convert_type", "clamp", "conj", "convert_element_type", "dtype", "igamma", "igamma_grad_a",
    "igammac", "integer_pow", "max", "min", "mul", "mulhi", "nextafter", "polygamma",
    "pow", "random_gamma_grad", "reciprocal", "reduce_precision", "round", "select", "select_n", "square",
    "stage", "zeta",
]  # fmt: skip
__all__ += [name for table in (_UNARY, _WITH_ACCURACY, _BINARY) for name in table]
