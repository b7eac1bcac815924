"""Those functions of jax.numpy that are ufuncs: add, multiply, maximum, logical_and, ..."""

import math

import numpy as np

from ...core.dtype import is_complex
from ...ops import special
from ...ops.reductions import logsumexp
from ...ops.shape import broadcast_to, concatenate, normalize_axis
from ...primitives import cumulative as c
from ...primitives import elementwise as e
from ...primitives import mathematical as m
from ...primitives import reduction as p
from ...primitives.base import number
from ...primitives.shape import reshape_to, slice_axis
from ..array import Array
from ..convert import as_array, requested
from . import cumulative, reductions
from .promotion import common, inexact, strong
from .ufunc import ufunc

# ---- what their methods do ---------------------------------------------------------------------------


def _reduction(name, primitive, combine, neutral, prepare):
    """reduce by a primitive; neutral: the number that changes nothing, as a function of the dtype."""

    def reduce(a, axis, dtype, keepdims, initial, where):
        a = prepare(as_array(a, name))
        a = e.convert_to(a, a.dtype if dtype is None else requested(dtype, name))
        return reductions.reduced(name, primitive, combine, neutral(a.dtype), a, axis, keepdims, initial, where)

    return reduce


def _extremum(name, function):
    """reduce by max or min."""

    def reduce(a, axis, dtype, keepdims, initial, where):
        a = as_array(a, name)
        a = e.convert_to(a, a.dtype if dtype is None else requested(dtype, name))
        return function(a, axis, None, keepdims, initial, where)

    return reduce


def _log_of_sum(together, scale):
    """reduce of logaddexp and logaddexp2 (`together`); scale: of the logarithm."""

    def reduce(a, axis, dtype, keepdims, initial, where):
        if dtype is not None:
            requested(dtype, "logaddexp.reduce")  # JAX, too, checks it and computes in the dtype of a
        (a,) = inexact("logaddexp.reduce", a)
        a = e.mul(e.convert_to(a, a.dtype), scale)
        if where is not None:
            a = e.select(where, a, number(-math.inf, a))
        out = e.div(logsumexp(a, reductions.axes_of(axis, a.ndim, "logaddexp.reduce"), keepdims), scale)
        return out if initial is None else together(as_array(initial), out)

    return reduce


def _reduce_xor(x, axes):
    """Exclusive or of all elements along `axes`, by halves."""
    for axis in reversed(axes):
        while (n := x.shape[axis]) > 1:
            half = n // 2
            folded = e.xor(slice_axis(x, axis, 0, half), slice_axis(x, axis, half, 2 * half))
            x = concatenate([folded, slice_axis(x, axis, 2 * half, n)], axis) if n % 2 else folded
        kept = tuple(size for i, size in enumerate(x.shape) if i != axis)
        x = reshape_to(x, kept) if n else broadcast_to(strong(number(0, x)), kept)
    return x


def _running(primitive, by_steps):
    """accumulate by a cumulative primitive; complex numbers, which have no order there, go step by step."""

    def accumulate(a, axis, dtype):
        if is_complex(a.dtype) or axis is None or isinstance(axis, tuple):
            return by_steps()(a, axis, dtype)
        a = e.convert_to(a, a.dtype if dtype is None else requested(dtype, "accumulate"))
        return primitive(a, axis=normalize_axis(axis, a.ndim, "accumulate"), reverse=False)

    return accumulate


def _update(method):
    """at by a method of a.at[indices]; bool is updated as integers."""

    def at(a, indices, b):
        if a.dtype.kind != "b":
            return getattr(a.at[indices], method)(b)
        a, b = (e.convert_to(_truth(x), np.dtype("int32")) for x in (a, b))
        return e.ne(getattr(a.at[indices], method)(b), 0)

    return at


def _update_by_extremum(method):
    """at by a method of a.at[indices], in the common dtype."""

    def at(a, indices, b):
        a, b = common("at", a, b)
        return getattr(a.at[indices], method)(b)

    return at


# ---- what they do with their arguments ---------------------------------------------------------------


def _truth(x):
    return x if x.dtype.kind == "b" else e.ne(x, 0)


def _bits(x):
    if x.dtype.kind not in "biu":
        raise ValueError(f"integer argument required; got dtype={x.dtype}.")
    return x


def _difference(x, y):
    if x.dtype.kind == "b":
        raise TypeError("subtract is not defined for bool: use bitwise_xor or logical_xor.")
    return e.sub(x, y)


def _binary(name, doc, on_arrays, operator=None, **properties):
    """A ufunc of two arrays; on_arrays: what it does with two of one dtype. operator: that of Arrays, if it does the same."""
    fast = operator and getattr(Array, operator)

    def function(x, y, /):
        if fast is not None and type(x) is Array:
            found = fast(x, y)
            if found is not NotImplemented:
                return found
        return on_arrays(*common(name, x, y))

    function.__name__, function.__doc__ = name, doc
    return ufunc(function, 2, 1, name=name, call=function, **properties)


def _logical(name, doc, combine, identity, **properties):
    return _binary(name, doc, lambda x, y: combine(_truth(x), _truth(y)), identity=identity, **properties)


add = _binary(
    "add", "x + y, elementwise; of bool: or.", e.add, "__add__", identity=0, reduce=reductions.sum,
    accumulate=cumulative.cumsum, at=_update("add"),
)  # fmt: skip
multiply = _binary(
    "multiply", "x * y, elementwise; of bool: and.", e.mul, "__mul__", identity=1, reduce=reductions.prod,
    accumulate=cumulative.cumprod, at=_update("multiply"),
)  # fmt: skip
subtract = _binary("subtract", "x - y, elementwise.", _difference, at=_update("subtract"))


def _negative(x, /):
    """-x, elementwise."""
    return e.neg(as_array(x, "negative"))


negative = ufunc(_negative, 1, 1, name="negative", call=_negative)

maximum = _binary(
    "maximum", "The larger of x and y, elementwise; nan if either is nan.", reductions.larger,
    reduce=_extremum("maximum", reductions.max), at=_update_by_extremum("max"),
    accumulate=_running(c.cummax, lambda: maximum._accumulate_by_steps),
)  # fmt: skip
minimum = _binary(
    "minimum", "The smaller of x and y, elementwise; nan if either is nan.", reductions.smaller,
    reduce=_extremum("minimum", reductions.min), at=_update_by_extremum("min"),
    accumulate=_running(c.cummin, lambda: minimum._accumulate_by_steps),
)  # fmt: skip

bitwise_and = _binary(
    "bitwise_and", "x & y on bool or integers, elementwise.", e.and_, "__and__", identity=-1,
    reduce=_reduction("bitwise_and", p.reduce_and, e.and_, lambda dtype: int(np.array(-1).astype(dtype)), _bits),
)  # fmt: skip
bitwise_or = _binary(
    "bitwise_or", "x | y on bool or integers, elementwise.", e.or_, "__or__", identity=0,
    reduce=_reduction("bitwise_or", p.reduce_or, e.or_, lambda dtype: 0, _bits),
)  # fmt: skip
bitwise_xor = _binary(
    "bitwise_xor", "x ^ y on bool or integers, elementwise.", e.xor, "__xor__", identity=0,
    reduce=_reduction("bitwise_xor", _reduce_xor, e.xor, lambda dtype: 0, _bits),
)  # fmt: skip
logical_and = _logical(
    "logical_and", "x and y as truth values, elementwise.", e.and_, True,
    reduce=_reduction("logical_and", p.reduce_and, e.and_, lambda dtype: True, reductions.truth),
)  # fmt: skip
logical_or = _logical(
    "logical_or", "x or y as truth values, elementwise.", e.or_, False,
    reduce=_reduction("logical_or", p.reduce_or, e.or_, lambda dtype: False, reductions.truth),
)  # fmt: skip
logical_xor = _logical(
    "logical_xor", "Exactly one of x and y, as truth values, elementwise.", e.xor, False,
    reduce=_reduction("logical_xor", _reduce_xor, e.xor, lambda dtype: False, reductions.truth),
)  # fmt: skip


def _logaddexp(x, y, /):
    """log(exp(x) + exp(y)) without overflow, elementwise."""
    x, y = inexact("logaddexp", x, y)
    return _log_of_complex_sum(x, y) if is_complex(x.dtype) else special.logaddexp(x, y)


def _logaddexp2(x, y, /):
    """log2(2 ** x + 2 ** y) without overflow, elementwise."""
    x, y = inexact("logaddexp2", x, y)
    if not is_complex(x.dtype):
        return special.logaddexp2(x, y)
    out = _log_of_complex_sum(*(e.mul(v, math.log(2)) for v in (x, y)))
    return e.mul(out, 1 / math.log(2))


def _log_of_complex_sum(x, y):
    """log(exp(x) + exp(y)) with an angle in [-pi, pi]."""
    first = reductions.larger(x, y)
    out = e.add(first, m.log1p(m.exp(e.sub(reductions.smaller(x, y), first))))
    angle = e.imag(out)
    turns = m.round_(e.mul(angle, 0.5 / math.pi))
    return e.complex_(e.real(out), e.sub(angle, e.mul(turns, 2 * math.pi)))


logaddexp = ufunc(
    _logaddexp, 2, 1, name="logaddexp", call=_logaddexp, identity=-math.inf, reduce=_log_of_sum(_logaddexp, 1.0)
)
logaddexp2 = ufunc(
    _logaddexp2, 2, 1, name="logaddexp2", call=_logaddexp2, identity=-math.inf,
    reduce=_log_of_sum(_logaddexp2, math.log(2)),
)  # fmt: skip

__all__ = [
    "add", "multiply", "subtract", "negative", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor", "logical_and",
    "logical_or", "logical_xor", "logaddexp", "logaddexp2",
]  # fmt: skip
