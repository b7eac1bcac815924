"""Random bits, and the samplers that are a function of one uniform or normal number."""

import math

import numpy as np

from ...core.dtype import default_float, default_int, dt, real_of
from ...core.node import scalar_constant
from ...core.tensor import wrap
from ...primitives import elementwise as e
from ...primitives import mathematical as m
from ...primitives.control import stop_gradient
from ...primitives.random import random_bits
from ...primitives.representation import bitcast_convert
from ...primitives.special import clz, nextafter
from ..convert import SCALARS
from .arguments import cast, check_safe, checked_key, checked_shape, finfo, requested, shape_with, subkeys


def bits(key, shape=(), dtype=None, *, out_sharding=None):
    """Random unsigned integers, all of them equally likely."""
    key = checked_key(key, "bits")
    dtype = requested(dtype, np.dtype(f"u{default_int().name}"), "bits", "unsigned int")
    return random_bits(key, shape=checked_shape(shape), dtype=dtype)


# ---- uniform -----------------------------------------------------------------------------------------

# dtype -> (dtype of the random bits, bits of the mantissa): as many as the floats in [0, 1) are evenly spaced by
_MANTISSAS = {
    "float16": (dt.uint16, 10),
    "bfloat16": (dt.uint8, 7),
    "float32": (dt.uint32, 23),
    "float64": (dt.uint64, 52),
}


def unit(key, shape, dtype):
    """Multiples of 2**-mantissa in [0, 1)."""
    word, mantissa = _MANTISSAS[dtype.name]
    chosen = e.shift_right_logical(random_bits(key, shape=shape, dtype=word), word.itemsize * 8 - mantissa)
    return e.mul(e.convert_to(chosen, dtype), 2.0**-mantissa)  # exact


def between(key, shape, dtype, low, high):
    """Floats in [low, high), which are Arrays of this dtype, or numbers that it holds."""
    x = unit(key, shape, dtype)
    if type(low) is float and type(high) is float:
        span = float(np.asarray(high, dtype) - np.asarray(low, dtype))
        if (low, span) == (0.0, 1.0):
            return x
        if math.frexp(span)[0] == 0.5:  # a power of two: the product is exact
            return e.max_(x * span + low, low)
    low, high = cast(low, dtype, key), cast(high, dtype, key)
    return e.max_(low, _multiply_add(x, high - low, low))


def _multiply_add(x, y, z):
    """x * y + z, rounded once where XLA does, so that differences of nearly equal numbers are the same."""
    wide = {"float16": dt.float32, "float32": dt.float64}.get(x.dtype.name)
    if wide is None:  # bfloat16; of float64 there is nothing wider
        return x * y + z
    return e.convert_to(e.convert_to(x, wide) * e.convert_to(y, wide) + e.convert_to(z, wide), x.dtype)


def _bound(x, dtype, key):
    """A bound as a float that `dtype` holds, or as an Array."""
    return float(np.asarray(x, dtype)) if type(x) in SCALARS else cast(x, dtype, key)


def uniform(key, shape=(), dtype=None, minval=0.0, maxval=1.0, *, out_sharding=None):
    """Floats in [minval, maxval); arrays as bounds broadcast to `shape`."""
    key, dtype = _prepared("uniform", key, dtype)
    shape = shape_with("uniform", checked_shape(shape), minval, maxval)
    return between(key, shape, dtype, _bound(minval, dtype, key), _bound(maxval, dtype, key))


def _prepared(name, key, dtype, kind="float"):
    return checked_key(key, name), requested(dtype, default_float(), name, kind)


# ---- normal ------------------------------------------------------------------------------------------


def standard_normal(key, shape, dtype):
    """Real normal numbers: sqrt(2) * erf_inv of uniform ones in (-1, 1)."""
    lowest = float(np.nextafter(np.asarray(-1, dtype), np.asarray(0, dtype)))
    return e.mul(m.erf_inv(between(key, shape, dtype, lowest, 1.0)), math.sqrt(2))


def normal(key, shape=(), dtype=None, *, out_sharding=None):
    """Normal numbers of mean 0 and variance 1; complex ones have variance 1/2 in each part."""
    key, dtype = _prepared("normal", key, dtype, "float or complex")
    return _normal(key, checked_shape(shape), dtype)


def _normal(key, shape, dtype):
    part = real_of(dtype)
    if part == dtype:
        return standard_normal(key, shape, dtype)
    parts = [e.div(standard_normal(k, shape, part), math.sqrt(2)) for k in subkeys(key)]
    return e.complex_(*parts)


_ONE = np.float32(1)


def lognormal(key, sigma=_ONE, shape=None, dtype=None, *, out_sharding=None):
    """exp of normal numbers of standard deviation sigma."""
    key, dtype = _prepared("lognormal", key, dtype, "float or complex")
    shape = shape_with("lognormal", shape, sigma)
    check_safe("lognormal", dtype, sigma)
    return m.exp(e.mul(_normal(key, shape, dtype), cast(sigma, dtype, key)))


def truncated_normal(key, lower, upper, shape=None, dtype=None, *, out_sharding=None):
    """Normal numbers in the open interval (lower, upper)."""
    key, dtype = _prepared("truncated_normal", key, dtype)
    shape = shape_with("truncated_normal", shape, lower, upper)
    lower, upper = cast(lower, dtype, key), cast(upper, dtype, key)
    chances = [m.erf(e.div(bound, math.sqrt(2))) for bound in (lower, upper)]
    x = e.mul(m.erf_inv(between(key, shape, dtype, *chances)), math.sqrt(2))
    inside = [
        nextafter(stop_gradient(bound), wrap(scalar_constant(end, dtype, key.device)))
        for bound, end in ((lower, math.inf), (upper, -math.inf))
    ]
    return e.min_(e.max_(x, inside[0]), inside[1])


# ---- functions of one uniform number -----------------------------------------------------------------


def gumbel(key, shape=(), dtype=None, mode=None, *, out_sharding=None):
    """Gumbel numbers: -log(-log(u)). mode "high" or "highest": with the rare large ones that "low" (the default) lacks."""
    key, dtype = _prepared("gumbel", key, dtype)
    if mode not in (None, "highest", "high", "low"):
        raise ValueError(f"Must provide valid mode for gumbel got: {mode}")
    return standard_gumbel(key, checked_shape(shape), dtype, mode)


def standard_gumbel(key, shape, dtype, mode):
    """See gumbel; also of batched parameters."""
    info = finfo(dtype)
    twice_logarithm = lambda x: e.neg(m.log(e.neg(x)))
    if mode in (None, "low"):
        return twice_logarithm(m.log(between(key, shape, dtype, float(info.tiny), 1.0)))
    if mode == "highest" and dtype == dt.float32:
        small, x = _fine_unit(key, shape)
        return e.select(small, twice_logarithm(m.log1p(e.neg(x))), twice_logarithm(m.log(x)))
    high, low = _rows(unit(key, (2, *shape), dtype))
    finer = e.add(e.add(high, e.mul(low, 2.0**-info.nmant)), float(info.tiny))
    return twice_logarithm(m.log1p(e.neg(e.select(e.ge(high, 0.5), high, finer))))


def _rows(x):
    from ...ops.indexing import getitem

    return getitem(x, 0), getitem(x, 1)


def _fine_unit(key, shape):
    """(u < 1/2, u or 1 - u, the smaller): float32 of a uniform number u of 64 bits, with all the digits that it has."""
    high, low = _rows(random_bits(key, shape=(2, *shape), dtype=dt.uint32))
    small = e.lt(high, 1 << 31)
    carry = e.convert_to(e.eq(low, 0), dt.uint32)  # of 1 - u = ~u + 1
    high = e.select(small, high, e.add(e.not_(high), carry))
    low = e.select(small, low, e.add(e.not_(low), 1))
    return small, _float_of_words(high, low)


def _float_of_words(high, low):
    """high * 2**-32 + low * 2**-64 as float32, rounded towards 0; 0 for 0."""
    lead, rest = clz(high), clz(low)
    none = e.eq(lead, 32)
    behind = e.select(none, e.shift_left(low, rest), e.shift_right_logical(low, e.sub(32, lead)))
    mantissa = e.or_(e.shift_left(high, lead), behind)
    mantissa = e.and_(e.shift_right_logical(mantissa, 8), (1 << 23) - 1)
    exponent = e.sub(126, e.select(none, e.add(rest, 32), lead))
    exponent = e.and_(e.shift_left(exponent, 23), (1 << 30) - (1 << 22))
    return bitcast_convert(e.or_(exponent, mantissa), dtype=dt.float32)


def exponential(key, shape=(), dtype=None, *, out_sharding=None):
    """Exponential numbers of mean 1: -log(1 - u)."""
    key, dtype = _prepared("exponential", key, dtype)
    return standard_exponential(key, checked_shape(shape), dtype)


def standard_exponential(key, shape, dtype):
    """See exponential; also of many keys."""
    return e.neg(m.log1p(e.neg(unit(key, shape, dtype))))


def cauchy(key, shape=(), dtype=None, *, out_sharding=None):
    """Cauchy numbers: tan(pi (u - 1/2))."""
    key, dtype = _prepared("cauchy", key, dtype)
    u = between(key, checked_shape(shape), dtype, float(finfo(dtype).eps), 1.0)
    return m.tan(e.mul(e.sub(u, 0.5), math.pi))


def laplace(key, shape=(), dtype=None, *, out_sharding=None):
    """Laplace numbers: exponential ones with a random sign."""
    key, dtype = _prepared("laplace", key, dtype)
    u = between(key, checked_shape(shape), dtype, -1.0 + float(finfo(dtype).epsneg), 1.0)
    return e.mul(e.sign(u), m.log1p(e.neg(e.abs_(u))))


def logistic(key, shape=(), dtype=None, *, out_sharding=None):
    """Logistic numbers: log(u / (1 - u))."""
    key, dtype = _prepared("logistic", key, dtype)
    u = between(key, checked_shape(shape), dtype, float(finfo(dtype).tiny), 1.0)
    return e.sub(m.log(u), m.log1p(e.neg(u)))


def pareto(key, b, shape=None, dtype=None, *, out_sharding=None):
    """Pareto numbers of exponent b, at least 1."""
    key, dtype = _prepared("pareto", key, dtype)
    shape = shape_with("pareto", shape, b)
    check_safe("pareto", dtype, b)
    return m.exp(e.div(standard_exponential(key, shape, dtype), cast(b, dtype, key)))


def weibull_min(key, scale, concentration, shape=(), dtype=None):
    """Weibull numbers: scale * (-log(1 - u)) ** (1 / concentration)."""
    from ...ops.arithmetic import divide, multiply, power

    key, dtype = _prepared("weibull_min", key, dtype)
    x = standard_exponential(key, checked_shape(shape), dtype)
    return multiply(power(x, divide(1.0, _operand(concentration))), _operand(scale))


def _operand(x):
    from ..convert import operand

    return operand(x)


def rayleigh(key, scale, shape=None, dtype=None, *, out_sharding=None):
    """Rayleigh numbers: scale * sqrt(-2 log(u))."""
    key, dtype = _prepared("rayleigh", key, dtype)
    shape = shape_with("rayleigh", shape, scale)
    check_safe("rayleigh", dtype, scale)
    root = m.sqrt(e.mul(m.log(unit(key, shape, dtype)), -2))
    return e.mul(cast(scale, dtype, key), root)


def triangular(key, left, mode, right, shape=None, dtype=None, *, out_sharding=None):
    """Numbers between left and right whose density rises linearly up to `mode`, and falls behind it."""
    key, dtype = _prepared("triangular", key, dtype)
    shape = shape_with("triangular", shape, left, mode, right)
    check_safe("triangular", dtype, left, mode, right)
    left, mode, right = (cast(x, dtype, key) for x in (left, mode, right))
    u, span = unit(key, shape, dtype), e.sub(right, left)
    rising = e.add(left, m.sqrt(e.mul(e.mul(u, span), e.sub(mode, left))))
    falling = e.sub(right, m.sqrt(e.mul(e.mul(e.sub(1, u), span), e.sub(right, mode))))
    return e.select(e.lt(u, e.div(e.sub(mode, left), span)), rising, falling)


def wald(key, mean, shape=None, dtype=None, *, out_sharding=None):
    """Wald (inverse Gaussian) numbers of this mean, with scale 1 (Michael, Schucany and Haas, 1976)."""
    key, dtype = _prepared("wald", key, dtype)
    shape = shape_with("wald", shape, mean)
    check_safe("wald", dtype, mean)
    normal_key, choice_key = subkeys(key)
    mean = cast(mean, dtype, key)
    y = m.integer_pow(standard_normal(normal_key, shape, dtype), exponent=2)
    chance = unit(choice_key, shape, dtype)
    square = m.integer_pow(mean, exponent=2)
    root = m.sqrt(e.add(e.mul(e.mul(mean, 4), y), e.mul(square, m.integer_pow(y, exponent=2))))
    x = e.sub(e.add(mean, e.div(e.mul(square, y), 2)), e.mul(e.div(mean, 2), root))
    return e.select(e.le(chance, e.div(mean, e.add(mean, x))), x, e.div(square, x))


__all__ = [
    "bits", "cauchy", "exponential", "gumbel", "laplace", "logistic", "lognormal", "normal", "pareto", "rayleigh", "triangular",
    "truncated_normal", "uniform", "wald", "weibull_min",
]  # fmt: skip
