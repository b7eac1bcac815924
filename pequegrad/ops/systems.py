"""Linear systems, inverses, determinants and exponentials of matrices, which lie in the last two axes.

Integers become float32. Names and signatures are those of jax.numpy.linalg and jax.scipy.linalg. Leading axes of two
operands broadcast; a right side with one axis is a vector, else its last two axes are matrices, as in NumPy 2.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ..core.dtype import default_int, real_of
from ..core.errors import ArgumentError, ShapeError
from ..primitives import elementwise as e
from ..primitives import linalg as p
from ..primitives import mathematical
from ..primitives import matrices as m
from ..primitives.base import number
from ..primitives.control import stop_gradient
from ..primitives.reduction import reduce_max, reduce_sum
from ..primitives.shape import broadcast_in_dim, reshape_to
from .arithmetic import abs as absolute
from .arithmetic import floating, promoted
from .creation import as_tensor
from .decompositions import inverse_permutation, svdvals
from .linalg import matmul
from .shape import broadcast_to, expand_dims, squeeze


class SlogdetResult(NamedTuple):
    sign: Any
    logabsdet: Any


# ---- systems -----------------------------------------------------------------------------------------


def _system(a, b, name):
    """Matrices and right sides of one dtype, with equal leading axes; and whether b was a vector."""
    a, b = promoted(a, b)
    a, b = floating(a), floating(b)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or not b.ndim:
        raise ShapeError(
            f"{name}: {a._node.aval} and {b._node.aval} are no linear system.",
            fix="a needs square matrices in its last two axes, b at least one axis.",
        )
    vector = b.ndim == 1
    b = expand_dims(b, -1) if vector else b
    try:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        lead = None
    if lead is None or a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"{name}: a right side {b._node.aval} does not fit matrices {a._node.aval}.",
            fix=f"it needs {a.shape[-1]} rows, and leading axes that broadcast.",
        )
    return broadcast_to(a, lead + a.shape[-2:]), broadcast_to(b, lead + b.shape[-2:]), vector


def _solution(x, vector):
    return squeeze(x, -1) if vector else x


def solve(a, b):
    """x with a x = b, for a [.., n, n], b [n] or [.., n, r]. inf or nan where a is singular.

    The LU factors of a are computed once; derivatives use them again.
    """
    a, b, vector = _system(a, b, "solve")
    return _solution(p.solve(a, b)[0], vector)


def _operation(trans):
    """ "N", "T" or "C" for what scipy takes as `trans`."""
    found = {0: "N", 1: "T", 2: "C", "N": "N", "T": "T", "C": "C"}.get(trans)
    if found is None:
        raise ArgumentError(f"There is no trans {trans!r}.", fix='use 0 or "N", 1 or "T", 2 or "C".')
    return found


def solve_triangular(a, b, trans=0, lower=False, unit_diagonal=False):
    """x with op(a) x = b, reading only the lower or upper triangle of a [.., n, n].

    trans: 0 or "N": op(a) = a; 1 or "T": its transpose; 2 or "C": its conjugate transpose.
    """
    a, b, vector = _system(a, b, "solve_triangular")
    how = _operation(trans)
    x = p.triangular_solve(a, b, left=True, lower=bool(lower), transpose=how, unit=bool(unit_diagonal))
    return _solution(x, vector)


def lu_solve(lu_and_piv, b, trans=0):
    """x with op(a) x = b, from lu_factor(a); trans as for solve_triangular."""
    factors, pivots = lu_and_piv
    factors, b, vector = _system(factors, b, "lu_solve")
    how = _operation(trans)
    permutation = p.pivots_to_permutation(as_tensor(pivots), size=factors.shape[-1])
    permutation = broadcast_to(permutation, factors.shape[:-1])
    if how == "N":
        return _solution(p.solve_factored(factors, permutation, b), vector)
    x = p.triangular_solve(factors, b, left=True, lower=False, transpose=how, unit=False)
    x = p.triangular_solve(factors, x, left=True, lower=True, transpose=how, unit=True)
    return _solution(m.permute_rows(x, inverse_permutation(permutation)), vector)


def cho_solve(c_and_lower, b):
    """x with a x = b, from cho_factor(a)."""
    factor, lower = c_and_lower
    factor, b, vector = _system(factor, b, "cho_solve")
    for how in ("N", "C") if lower else ("C", "N"):
        b = p.triangular_solve(factor, b, left=True, lower=bool(lower), transpose=how, unit=False)
    return _solution(b, vector)


def lstsq(a, b, rcond=None):
    """The x of least norm that minimises |b - a x|, for one matrix a [m, n], b [m] or [m, r].

    Returns x, the squared distances of each column, the rank and the singular values of a. Singular values
    not above rcond (default: eps max(m, n)) times the largest count as 0.
    """
    a, b = promoted(a, b)
    a, b = floating(a), floating(b)
    if a.ndim != 2 or b.ndim not in (1, 2) or a.shape[0] != b.shape[0]:
        raise ShapeError(
            f"lstsq: {a._node.aval} and {b._node.aval} are no system.",
            fix="a is a matrix [m, n], b a vector [m] or a matrix [m, r].",
        )
    rcond = _epsilon(a) * max(a.shape) if rcond is None else rcond
    x = matmul(pinv(a, rcond), b)
    values = svdvals(a)
    rank = reduce_sum(e.convert_to(e.gt(values, e.mul(_largest(values), rcond)), default_int()), axes=(0,))
    rest = absolute(e.sub(b, matmul(a, x)))
    return x, reshape_to(reduce_sum(e.mul(rest, rest), axes=(0,)), b.shape[1:] or (1,)), rank, values


def _epsilon(x):
    return float(np.finfo(x.dtype).eps)


def _largest(values):
    """The first of descending numbers, with its axis kept; 0 of none."""
    if not values.shape[-1]:
        return broadcast_in_dim(number(0, values), shape=(*values.shape[:-1], 1), axes=())
    return values[..., :1]


# ---- inverses ----------------------------------------------------------------------------------------


def inv(a):
    """The inverses of a [.., n, n]; inf or nan where a is singular."""
    a = floating(a)
    m.check_matrices("inv", a._node.aval, square=True)
    return p.solve(a, broadcast_to(m.identity_like(a), a.shape))[0]


def pinv(a, rtol=None, hermitian=False):
    """The inverses of Moore and Penrose, [.., n, m], of a [.., m, n].

    Singular values not above rtol (default: 10 max(m, n) eps; one number, or one for each matrix) times the largest
    count as 0. hermitian: accepted for compatibility; the same method serves.
    """
    a = floating(a)
    m.check_matrices("pinv", a._node.aval)
    rtol = 10 * max(a.shape[-2:]) * _epsilon(a) if rtol is None else rtol
    rtol = e.convert_to(as_tensor(rtol, a.device), real_of(a.dtype))
    return p.pinv(a, broadcast_to(rtol, a.shape[:-2]))


def matrix_power(a, n):
    """a multiplied n times with itself; n < 0: its inverse, -n times; n = 0: the identity."""
    a = as_tensor(a)
    if not isinstance(n, (int, np.integer)):
        raise ArgumentError(f"matrix_power: {n!r} is no integer.", fix="give a Python int.")
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"matrix_power: {a._node.aval} has no square matrices in its last two axes.")
    if n < 0:
        a, n = inv(a), -n
    result = None
    while n:
        if n & 1:
            result = a if result is None else matmul(result, a)
        n >>= 1
        a = matmul(a, a) if n else a
    return broadcast_to(m.identity_like(a), a.shape) if result is None else result


# ---- determinants ------------------------------------------------------------------------------------


def det(a):
    """The determinants of a [.., n, n]. Its first derivative is right for singular matrices, too."""
    return p.det(floating(a))


def slogdet(a):
    """The sign of the determinant and the logarithm of its absolute value: 0 and -inf of a singular matrix."""
    return SlogdetResult(*p.slogdet(floating(a)))


# ---- the exponential ---------------------------------------------------------------------------------

# Coefficients of Pade approximants p(A) / p(-A), and the largest norm for which they give full precision: Higham,
# "The scaling and squaring method for the matrix exponential revisited" (2005)
_PADE = {
    4: (3.925724783138660, (17297280, 8648640, 1995840, 277200, 25200, 1512, 56, 1)),
    8: (
        5.371920351148152,
        (
            64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
            670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
        ),
    ),
}  # fmt: skip


def expm(a, *, max_squarings=16, upper_triangular=False):
    """The matrix exponentials of a [.., n, n], by scaling and squaring of a Pade approximant.

    upper_triangular: the matrices are. nan where the norm asks for more than max_squarings squarings; all of them are computed, and used where needed.
    """
    a = floating(a)
    m.check_matrices("expm", a._node.aval, square=True)
    if not a.size:
        return e.add(a, 0)
    largest, coefficients = _PADE[real_of(a.dtype).itemsize]
    columns = reduce_sum(e.abs_(stop_gradient(a)), axes=(a.ndim - 2,))
    size = m.columns_of(m.columns_of(reduce_max(columns, axes=(a.ndim - 2,))))
    wanted = mathematical.ceil(e.mul(mathematical.log(e.div(size, largest)), 1 / math.log(2)))
    squarings = e.max_(wanted, number(0, wanted))
    scaled = e.mul(a, e.convert_to(mathematical.exp2(e.neg(squarings)), a.dtype))
    odd, even = _pade(scaled, coefficients)
    system, right = e.sub(even, odd), e.add(even, odd)
    if upper_triangular:
        result = p.triangular_solve(system, right, left=True, lower=False, transpose="N", unit=False)
    else:
        result, _, _ = p.solve(system, right)
    for k in range(max_squarings):
        more = e.gt(squarings, k)
        base = e.select(more, result, number(0, result))  # what is not used must not overflow
        result = e.select(more, m.matmul(base, base), result)
    return e.select(e.le(squarings, max_squarings), result, number(math.nan, result))


def _pade(a, coefficients):
    """The odd and the even part of the polynomial with these coefficients, lowest power first."""
    square = m.matmul(a, a)
    powers = [m.identity_like(a), square]
    while len(powers) < (len(coefficients) + 1) // 2 and len(powers) < 4:
        powers.append(m.matmul(powers[-1], square))
    parts = [_polynomial(powers, coefficients[start::2]) for start in (1, 0)]
    return m.matmul(a, parts[0]), parts[1]


def _polynomial(powers, coefficients):
    """sum of coefficients[i] X^i from the powers X^0 .. X^3: those above come from one more product."""
    terms = [e.mul(x, float(c)) for x, c in zip(powers, coefficients)]
    total = terms[0]
    for term in terms[1:]:
        total = e.add(total, term)
    rest = coefficients[4:]
    if rest:
        high = e.mul(powers[1], float(rest[0]))
        for x, c in zip(powers[2:], rest[1:]):
            high = e.add(high, e.mul(x, float(c)))
        total = e.add(total, m.matmul(powers[3], high))
    return total


__all__ = [
    "solve", "solve_triangular", "lu_solve", "cho_solve", "lstsq", "inv", "pinv", "matrix_power", "det", "slogdet",
    "expm",
]  # fmt: skip
