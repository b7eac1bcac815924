"""What the files of this folder share: their arguments, polynomials, and functions with derivatives of their own."""

from ....core.dtype import default_float, dt, is_complex
from ....ops.arithmetic import astype
from ....primitives.elementwise import convert_to
from ...convert import as_array
from ...custom_derivatives import SymbolicZero, custom_jvp
from ...numpy import promotion
from ...numpy.promotion import strong


def inexact(name, *args):
    """The arguments as Arrays of their common floating dtype, which is weak only if that of all is."""
    arrays = promotion.inexact(name, *args)
    weak = all(x.weak_type for x in arrays)
    return [convert_to(x, x.dtype, weak) for x in arrays]


def real_inexact(name, *args):
    """The arguments as Arrays of their common floating dtype; ValueError for complex ones."""
    arrays = inexact(name, *args)
    if is_complex(arrays[0].dtype):
        raise ValueError(f"{name} does not support complex-valued inputs.")
    return arrays


def strict_floats(name, x):
    """An Array of float32 or float64, its dtype not weak; TypeError for any other dtype."""
    x = strong(as_array(x, name))
    if x.dtype not in (dt.float32, dt.float64):
        raise TypeError(f"{name}: x.dtype={x.dtype} is not supported: it takes float32 and float64.")
    return x


def polynomial(coefficients, x):
    """The polynomial with these coefficients, the highest power first, by Horner's rule."""
    total = float(coefficients[0])
    for c in coefficients[1:]:
        total = total * x + float(c)
    return total


def in_wide(function):
    """`function` of one array, which is computed in float32 where the array has 16 bits."""

    def computed(x):
        return function(x) if x.dtype.itemsize > 2 else astype(function(astype(x, dt.float32)), x.dtype)

    return computed


def with_derivatives(*rules):
    """Decorator: a function of Arrays, of which rules[i](*args, result) is the partial derivative with respect to argument i."""

    def decorate(function):
        wrapped = custom_jvp(function)

        def rule(primals, tangents):
            result = wrapped(*primals)
            # a slope that nobody asks for is not computed: it may be nan
            terms = [
                t * slope(*primals, result) for slope, t in zip(rules, tangents) if not isinstance(t, SymbolicZero)
            ]
            return result, astype(sum(terms), result.dtype)

        wrapped.defjvp(rule, symbolic_zeros=True)
        return wrapped

    return decorate


__all__ = [
    "default_float",
    "in_wide",
    "inexact",
    "is_complex",
    "polynomial",
    "real_inexact",
    "strong",
    "strict_floats",
    "with_derivatives",
]
