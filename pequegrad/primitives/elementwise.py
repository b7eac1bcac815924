"""Arithmetic, comparison and selection, elementwise: out[i] = f(x[i], y[i], ...). More functions: mathematical.py.

Operands have one dtype and broadcast as in NumPy (the kernels read broadcast axes with stride 0). A primitive that is
not linear states its `derivative`: one partial derivative per operand.
"""

import numpy as np

from ..core.dtype import complex_of, dt, is_complex, is_float, is_inexact, is_integer, real_of
from ..core.errors import BroadcastError, DtypeError
from .base import PRIMITIVES, is_linear, number, primitive
from .shape import broadcast_in_dim, expand_leading, unbroadcast

# ---- rules that elementwise primitives share ---------------------------------------------------------


def broadcast_shapes(name, *avals):
    """The common shape of operands, as in NumPy, or a ShapeError that names them."""
    shape = avals[0].shape
    for aval in avals[1:]:
        if aval.shape != shape and aval.shape != ():
            try:
                shape = np.broadcast_shapes(shape, aval.shape)
            except ValueError:
                described = " and ".join(str(list(a.shape)) for a in avals)
                raise BroadcastError(
                    f"{name}: shapes {described} do not broadcast.",
                    fix="sizes must be equal or 1, aligned at the last axis; reshape or expand_dims one of them.",
                ) from None
    return shape


class Elementwise:
    """Shape, batching and lowering of f(x, y, ...) on operands of one dtype."""

    form = "elementwise"
    accepts = staticmethod(lambda dtype: True)
    accepted = "any dtype"

    def __init_subclass__(cls):
        """A primitive that states `derivative` (one result per operand) gets its jvp from it."""
        name = cls.__name__.rstrip("_")
        if "derivative" in vars(cls):
            cls.jvp = _jvp_from(cls.derivative)
            cls.vjp = _vjp_from(cls.derivative)
        if "infer" not in vars(cls):
            cls.infer = infer_same(name, cls)
        cls.batch = lambda inputs, batched, **params: PRIMITIVES[name](*align_batched(inputs, batched), **params)
        if "lower" not in vars(cls):
            cls.lower = lambda *avals, **params: (name, ())


def infer_same(name, rules):
    def infer(*avals, **params):
        first = avals[0]
        for aval in avals:
            if aval.dtype != first.dtype:
                raise DtypeError(
                    f"{name}: dtypes {' and '.join(a.dtype.name for a in avals)} differ.",
                    fix="convert one: x.astype(dtype).",
                )
        if not rules.accepts(first.dtype):
            raise DtypeError(f"{name} takes {rules.accepted}, got {first}.", fix=conversion_of(first.dtype))
        weak = all(aval.weak_type for aval in avals)
        return first.update(shape=broadcast_shapes(name, *avals), weak_type=weak, dtype=rules.result(first.dtype))

    return infer


def conversion_of(dtype):
    """How to get rid of a dtype that a function does not take, for messages."""
    if is_complex(dtype):
        return "take a part or the absolute value: x.real, x.imag, abs(x)."
    return "convert it: x.astype(dtype)."


def _jvp_from(derivative):
    def jvp(primals, tangents, out, **params):
        total = None
        partials = derivative(*primals, out, **params)
        if type(partials) is not tuple:
            partials = (partials,)
        for partial, tangent in zip(partials, tangents):
            if tangent is not None:
                term = mul(tangent, partial() if callable(partial) else partial)
                total = term if total is None else add(total, term)
        return spread(total, out)

    return jvp


def _vjp_from(derivative):
    """The transpose of the jvp above: each operand's cotangent is ct times its partial derivative."""

    def vjp(ct, wanted, primals, out, **params):
        partials = derivative(*primals, out, **params)
        if type(partials) is not tuple:
            partials = (partials,)
        return [
            unbroadcast(mul(ct, partial() if callable(partial) else partial), x) if w else None
            for partial, x, w in zip(partials, primals, wanted)
        ]

    return vjp


def spread(tangent, out):
    """`tangent` broadcast to the shape of `out`: an operand may have been smaller than the result."""
    if tangent is None or tangent.shape == out.shape:
        return tangent
    return broadcast_in_dim(tangent, shape=out.shape, axes=tuple(range(out.ndim - tangent.ndim, out.ndim)))


def align_batched(inputs, batched):
    """Operands with their batch axis in front and equal rank, so that they broadcast against each other."""
    ndim = max(x.ndim - b for x, b in zip(inputs, batched))
    return [expand_leading(x, 1, 1 + ndim - x.ndim) if b else x for x, b in zip(inputs, batched)]


class Same(Elementwise):
    """The result has the operands' dtype."""

    result = staticmethod(lambda dtype: dtype)


class Floating(Same):
    accepts = staticmethod(is_float)
    accepted = "a floating dtype"

    def samples(rng):
        yield (rng.uniform(0.3, 0.9, (2, 3)),), {}


class Inexact(Floating):
    """A holomorphic function: its derivative on complex numbers is stated like that on reals."""

    accepts = staticmethod(is_inexact)
    accepted = "a floating or complex dtype"

    def samples(rng):
        yield (rng.uniform(0.3, 0.9, (2, 3)),), {}
        yield (rng.uniform(0.3, 0.9, (2, 3)) + 1j * rng.uniform(-0.9, 0.9, (2, 3)),), {}


class Numeric(Same):
    accepts = staticmethod(lambda dtype: dtype.kind not in "bK")
    accepted = "a number dtype"

    def samples(rng):
        yield (rng.normal(size=(2, 3)),), {}


class Ordered(Same):
    accepts = staticmethod(lambda dtype: dtype.kind not in "cK")
    accepted = "a dtype with an order"


class Bits(Same):
    accepts = staticmethod(lambda dtype: dtype.kind == "b" or is_integer(dtype))
    accepted = "bool or an integer dtype"

    def jvp(primals, tangents, out):
        return None

    def samples(rng):
        yield (rng.integers(0, 100, (2, 3)), rng.integers(0, 100, (3,))), {}


class Comparison(Elementwise):
    result = staticmethod(lambda dtype: dt.bool_)

    def jvp(primals, tangents, out):
        return None

    def samples(rng):
        yield (rng.integers(0, 3, (2, 3)).astype("f4"), rng.integers(0, 3, (3,)).astype("f4")), {}


# ---- unary -------------------------------------------------------------------------------------------


@primitive
class neg(Numeric):
    """-x"""

    linear = "together"

    def jvp(primals, tangents, out):
        return neg(tangents[0])

    def transpose(ct, x):
        return (neg(ct),)


@primitive
class abs_(Numeric):
    """|x|, real for complex x; its derivative at 0 is 1 for real x, as in JAX"""

    result = staticmethod(real_of)

    def jvp(primals, tangents, out):
        (x,), (dx,) = primals, tangents
        return real(mul(dx, conj(sign(x)))) if is_complex(x.dtype) else mul(dx, _slope(x))

    def vjp(ct, wanted, primals, out):
        (x,) = primals
        return [mul(convert_to(ct, x.dtype), conj(sign(x)) if is_complex(x.dtype) else _slope(x))]

    def samples(rng):
        yield (rng.normal(size=(2, 3)),), {}
        yield (complex_normal(rng, 2, 3),), {}


def _slope(x):
    """1 where x >= 0, else -1."""
    return select(ge(x, 0), number(1, x), number(-1, x))


@primitive
class sign(Numeric):
    """-1, 0 or 1; nan for nan; x / |x| for complex x"""

    def jvp(primals, tangents, out):
        (x,), (dx,) = primals, tangents
        if not is_complex(x.dtype):
            return None
        # a direction only turns: what dx has along it is taken away
        along = convert_to(real(mul(dx, conj(out))), x.dtype)
        length = abs_(x)
        inverse = div(number(1, length), select(eq(length, 0), number(1, length), length))
        return mul(sub(dx, mul(along, out)), convert_to(inverse, x.dtype))

    def samples(rng):
        yield (rng.normal(size=(2, 3)),), {}
        yield (complex_normal(rng, 2, 3),), {}


@primitive
class not_(Bits):
    """Logical not on bool, bitwise not on integers"""

    def samples(rng):
        yield (rng.integers(0, 100, (2, 3)),), {}


@primitive
class convert(Elementwise):
    """x in another dtype. To bool: x != 0; float to integer truncates and saturates, nan gives 0; complex to real gives
    the real part."""

    linear = "together"

    def infer(x, *, dtype, weak_type):
        if "K" in (x.dtype.kind, dtype.kind):
            raise DtypeError(f"{x} does not become {dtype.name}: random keys are no numbers.")
        return x.update(dtype=dtype, weak_type=weak_type)

    def jvp(primals, tangents, out, *, dtype, weak_type):
        return convert(tangents[0], dtype=dtype, weak_type=weak_type) if is_inexact(dtype) else None

    def transpose(ct, x, *, dtype, weak_type):
        return (convert_to(ct, x.dtype),)

    def samples(rng):
        for dtype in (dt.float64, dt.float32, dt.int32):
            yield (rng.normal(size=(2, 3)) * 10,), {"dtype": dtype, "weak_type": False}
        yield (rng.normal(size=(2, 3)),), {"dtype": dt.complex128, "weak_type": False}
        yield (complex_normal(rng, 2, 3),), {"dtype": dt.float64, "weak_type": False}


# ---- parts of complex numbers ------------------------------------------------------------------------


class Part(Numeric):
    accepts = staticmethod(is_complex)
    accepted = "a complex dtype"
    result = staticmethod(real_of)
    linear = "together"

    def samples(rng):
        yield (complex_normal(rng, 2, 3),), {}
        yield (complex_normal(rng, 0, 3),), {}


@primitive
class complex_(Elementwise):
    """x + iy of floats x and y (float32 or float64)"""

    accepts = staticmethod(lambda dtype: dtype in (dt.float32, dt.float64))
    accepted = "float32 or float64"
    result = staticmethod(complex_of)
    linear = "together"

    def jvp(primals, tangents, out):
        return spread(complex_(*[number(0, x) if t is None else t for x, t in zip(primals, tangents)]), out)

    def transpose(ct, x, y):
        # Re(ct i dy) = -Im(ct) dy
        return (
            unbroadcast(real(ct), x) if is_linear(x) else None,
            unbroadcast(neg(imag(ct)), y) if is_linear(y) else None,
        )

    def samples(rng):
        yield (rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), {}
        yield (rng.normal(size=(2, 1, 3)), rng.normal(size=(4, 1))), {}
        yield (rng.normal(size=(0, 3)), rng.normal(size=())), {}


@primitive
class real(Part):
    """The real part"""

    def jvp(primals, tangents, out):
        return real(tangents[0])

    def transpose(ct, x):
        return (complex_(ct, number(0, ct)),)


@primitive
class imag(Part):
    """The imaginary part, a real number"""

    def jvp(primals, tangents, out):
        return imag(tangents[0])

    def transpose(ct, x):
        return (complex_(number(0, ct), neg(ct)),)


@primitive
class conj(Part):
    """The complex conjugate"""

    result = staticmethod(lambda dtype: dtype)

    def jvp(primals, tangents, out):
        return conj(tangents[0])

    def transpose(ct, x):
        return (conj(ct),)


# ---- binary ------------------------------------------------------------------------------------------


class Binary(Same):
    def samples(rng):
        yield (rng.normal(size=(2, 3)), rng.uniform(0.5, 2, (2, 3))), {}
        yield (rng.normal(size=(2, 1, 3)), rng.uniform(0.5, 2, (4, 1))), {}
        yield (rng.normal(size=(0, 3)), rng.uniform(0.5, 2, ())), {}


class Arithmetic(Binary):
    """Takes complex numbers, too."""

    accepts = staticmethod(lambda dtype: dtype.kind != "K")
    accepted = "bool or a number dtype"

    def samples(rng):
        yield from Binary.samples(rng)
        yield (complex_normal(rng, 2, 1, 3), complex_normal(rng, 4, 1)), {}


@primitive
class add(Arithmetic):
    """x + y; on bool: or"""

    commutative = True
    linear = "together"

    def jvp(primals, tangents, out):
        dx, dy = tangents
        return spread(dy if dx is None else dx if dy is None else add(dx, dy), out)

    def transpose(ct, x, y):
        return tuple(unbroadcast(ct, v) if is_linear(v) else None for v in (x, y))


@primitive
class sub(Arithmetic):
    """x - y; on bool: xor"""

    linear = "together"

    def jvp(primals, tangents, out):
        dx, dy = tangents
        return spread(neg(dy) if dx is None else dx if dy is None else sub(dx, dy), out)

    def transpose(ct, x, y):
        return (unbroadcast(ct, x) if is_linear(x) else None, unbroadcast(neg(ct), y) if is_linear(y) else None)


@primitive
class mul(Arithmetic):
    """x * y; on bool: and"""

    commutative = True
    linear = "each"

    def jvp(primals, tangents, out):
        (x, y), (dx, dy) = primals, tangents
        terms = [mul(dx, y)] if dx is not None else []
        if dy is not None:
            terms.append(mul(x, dy))
        return terms[0] if len(terms) == 1 else add(*terms)

    def transpose(ct, x, y):
        return (unbroadcast(mul(ct, y), x), None) if is_linear(x) else (None, unbroadcast(mul(x, ct), y))


@primitive
class div(Arithmetic):
    """x / y; integers truncate toward zero"""

    accepts, accepted = Numeric.accepts, Numeric.accepted

    def jvp(primals, tangents, out):
        y, (dx, dy) = primals[1], tangents
        terms = [div(dx, y)] if dx is not None else []
        if dy is not None:
            terms.append(mul(div(neg(out), y), dy))
        return terms[0] if len(terms) == 1 else add(*terms)

    def transpose(ct, x, y):
        return unbroadcast(div(ct, y), x), None


class Extreme(Ordered):
    samples = Binary.samples


@primitive
class max_(Extreme):
    """The larger; nan if either is nan. Where both are equal each gets half of the derivative."""

    commutative = True

    def derivative(x, y, out):
        return lambda: _share(gt(x, y), eq(x, y), x), lambda: _share(gt(y, x), eq(x, y), x)


@primitive
class min_(Extreme):
    """The smaller; nan if either is nan. Where both are equal each gets half of the derivative."""

    commutative = True

    def derivative(x, y, out):
        return lambda: _share(lt(x, y), eq(x, y), x), lambda: _share(lt(y, x), eq(x, y), x)


@primitive
class and_(Bits):
    """Logical and on bool, bitwise on integers"""

    commutative = True


@primitive
class or_(Bits):
    """Logical or on bool, bitwise on integers"""

    commutative = True


@primitive
class xor(Bits):
    """Exclusive or: logical on bool, bitwise on integers"""

    commutative = True


class Shift(Bits):
    accepts = staticmethod(is_integer)
    accepted = "an integer dtype"

    def samples(rng):
        yield (rng.integers(-100, 100, (2, 3)), rng.integers(0, 20, (3,))), {}


@primitive
class shift_left(Shift):
    """x * 2**y, wrapping around"""


@primitive
class shift_right_arithmetic(Shift):
    """x shifted right by y bits, filled with the sign"""


@primitive
class shift_right_logical(Shift):
    """x shifted right by y bits, filled with zeros"""


@primitive
class eq(Comparison):
    """x == y"""

    commutative = True


@primitive
class ne(Comparison):
    """x != y"""

    commutative = True


class OrderedComparison(Comparison):
    accepts, accepted = Ordered.accepts, Ordered.accepted


@primitive
class lt(OrderedComparison):
    """x < y"""


@primitive
class le(OrderedComparison):
    """x <= y"""


@primitive
class gt(OrderedComparison):
    """x > y"""


@primitive
class ge(OrderedComparison):
    """x >= y"""


# ---- three operands ----------------------------------------------------------------------------------


@primitive
class select(Elementwise):
    """`on_true` where the bool `which` is true, else `on_false`"""

    linear = "together"

    def infer(which, on_true, on_false):
        if which.dtype.kind != "b":
            raise DtypeError(f"select: the condition must be bool, got {which}.", fix="compare it: x != 0.")
        if on_true.dtype != on_false.dtype:
            raise DtypeError(
                f"select: dtypes {on_true.dtype} and {on_false.dtype} differ.", fix="convert one: x.astype(dtype)."
            )
        return on_true.update(
            shape=broadcast_shapes("select", which, on_true, on_false),
            weak_type=on_true.weak_type and on_false.weak_type,
        )

    def jvp(primals, tangents, out):
        which, _, _ = primals
        _, dx, dy = tangents
        zero = number(0, out)
        return spread(select(which, zero if dx is None else dx, zero if dy is None else dy), out)

    def transpose(ct, which, x, y):
        zero = number(0, ct)
        return (
            None,
            unbroadcast(select(which, ct, zero), x) if is_linear(x) else None,
            unbroadcast(select(which, zero, ct), y) if is_linear(y) else None,
        )

    def samples(rng):
        yield (rng.integers(0, 2, (2, 3)).astype(bool), rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), {}
        yield (rng.integers(0, 2, (2, 1)).astype(bool), rng.normal(size=(3,)), rng.normal(size=())), {}
        yield (rng.integers(0, 2, (2, 1)).astype(bool), complex_normal(rng, 3), complex_normal(rng, 2, 3)), {}


@primitive
class clamp(Ordered):
    """min(max(x, low), high)"""

    accepts = staticmethod(lambda dtype: dtype.kind not in "bc")
    accepted = "an integer or floating dtype"

    def jvp(primals, tangents, out):
        low, x, high = primals
        dlow, dx, dhigh = tangents
        zero = number(0, out)
        inside = and_(gt(x, low), lt(x, high))
        parts = [
            select(c, t, zero) for c, t in ((lt(x, low), dlow), (inside, dx), (gt(x, high), dhigh)) if t is not None
        ]
        total = parts[0]
        for part in parts[1:]:
            total = add(total, part)
        return spread(total, out)

    def samples(rng):
        yield (np.array(-0.5), rng.normal(size=(2, 3)), np.array(0.5)), {}


# ---- shorthands that rules use -----------------------------------------------------------------------


def complex_normal(rng, *shape):
    """Random complex numbers, for samples."""
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def _share(wins, ties, like):
    """1 where an operand of max or min wins, 1/2 at ties, else 0."""
    return select(ties, number(0.5, like), select(wins, number(1, like), number(0, like)))


def convert_to(x, dtype, weak_type=False):
    """`x` in `dtype`; `x` itself if it has it."""
    if x.dtype == dtype and (weak_type or not x.weak_type):
        return x
    return convert(x, dtype=dtype, weak_type=weak_type)
