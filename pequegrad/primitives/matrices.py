"""What the primitives on matrices share: products, triangles, diagonals, checks, samples.

Matrices lie in the last two axes; more leading axes are more matrices, so each primitive is its own batch rule.
"""

import numpy as np

from ..core.dtype import dt, is_complex
from ..core.errors import DtypeError, ShapeError
from .base import PRIMITIVES, number
from .contraction import dot_general
from .elementwise import add, conj, convert_to, eq, ge, mul, real, select, sub
from .indexing import Places, gather
from .reduction import reduce_sum
from .shape import broadcast_in_dim, expand_leading, iota, reshape, slice_, transpose

# ---- what rules are written with ---------------------------------------------------------------------


def matmul(x, y):
    """Products of the matrices of x and y, which have the same leading axes."""
    n = x.ndim - 2
    lead = tuple(range(n))
    return dot_general(x, y, contract=((n + 1,), (n,)), batch=(lead, lead), dtype=x.dtype)


def transposed(x):
    """The matrices of x with rows and columns exchanged."""
    n = x.ndim
    return transpose(x, permutation=(*range(n - 2), n - 1, n - 2))


def conjugate(x):
    """The complex conjugate; of real x, x itself."""
    return conj(x) if is_complex(x.dtype) else x


def real_part(x):
    """The real part; of real x, x itself."""
    return real(x) if is_complex(x.dtype) else x


def imaginary_part(x):
    """x without its real part, still complex."""
    return sub(x, convert_to(real(x), x.dtype))


def adjoint(x):
    """The conjugate transpose of the matrices of x."""
    return conjugate(transposed(x))


def _places_of(x):
    """Row and column numbers of the matrices of x, to be compared: shapes [m, 1] and [n]."""
    m, n = x.shape[-2:]
    rows = iota(shape=(m, 1), dtype=dt.int32, axis=0, device=x.device)
    return rows, iota(shape=(n,), dtype=dt.int32, axis=0, device=x.device)


def hermitian_part(x):
    """The mean of each matrix and its conjugate transpose."""
    return mul(add(x, adjoint(x)), 0.5)


def lower_triangle(x, k=0):
    """x with zeros above diagonal k."""
    rows, columns = _places_of(x)
    return select(ge(add(rows, k), columns), x, number(0, x))


def upper_triangle(x, k=0):
    """x with zeros below diagonal k."""
    rows, columns = _places_of(x)
    return select(ge(columns, add(rows, k)), x, number(0, x))


def on_diagonal(x):
    """True on the diagonals of the matrices of x, as one bool matrix."""
    return eq(*_places_of(x))


def identity_like(x):
    """One matrix of the last two sizes and the dtype of x: ones on the diagonal, else zeros."""
    return convert_to(on_diagonal(x), x.dtype)


def diagonal_of(x):
    """The diagonals of square matrices."""
    *lead, n, _ = x.shape
    rows = reshape(x, shape=(*lead, n * n))
    return slice_(rows, start=(0,) * rows.ndim, limit=rows.shape, step=(1,) * len(lead) + (n + 1,))


def rows_of(vector):
    """[.., n] as [.., 1, n]."""
    return expand_leading(vector, vector.ndim - 1, 1)


def columns_of(vector):
    """[.., n] as [.., n, 1]."""
    return expand_leading(vector, vector.ndim, 1)


def permute_rows(x, permutation):
    """Row i of each result is row permutation[.., i] of x."""
    n = x.ndim - 2
    lead = tuple(range(n))
    places = Places(window=(n + 1,), collapsed=(n,), batch=lead, indices_batch=lead, index_map=(n,))
    sizes = (*(min(1, size) for size in x.shape[:-1]), x.shape[-1])
    return gather(x, columns_of(permutation), places=places, sizes=sizes, mode="clip")


def trace_of_product(x, y):
    """The traces of the products X Y."""
    return reduce_sum(mul(transposed(x), y), axes=(x.ndim - 2, x.ndim - 1))


def zeros_of(x, rows, columns):
    """Matrices of zeros of this size, as many as x has."""
    return broadcast_in_dim(number(0, x), shape=(*x.shape[:-2], rows, columns), axes=())


# ---- checks ------------------------------------------------------------------------------------------


def check_matrices(name, a, square=False):
    if a.dtype not in (dt.float32, dt.float64, dt.complex64, dt.complex128):
        raise DtypeError(
            f"{name} takes float32 or float64, or complex numbers of these, got {a}.",
            fix="convert it: x.astype(dt.float32).",
        )
    if a.ndim < 2:
        raise ShapeError(f"{name}: {a} is no matrix.", fix="it needs two axes or more; the last two are the matrix.")
    if square and a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"{name}: the matrices of {a} are not square.", fix="the last two sizes must be equal.")


def check_right_side(name, a, b, axis):
    if a.dtype != b.dtype:
        raise DtypeError(f"{name}: dtypes {a.dtype} and {b.dtype} differ.", fix="convert one: x.astype(dtype).")
    if a.ndim != b.ndim or a.shape[:-2] != b.shape[:-2] or b.shape[axis] != a.shape[-1]:
        raise ShapeError(
            f"{name}: a right side {b} does not fit matrices {a}.",
            fix=f"leading axes must be equal, and axis {axis} of the right side must have size {a.shape[-1]}.",
        )


class Matrices:
    """A primitive on matrices whose parameters do not depend on leading axes."""

    square = False

    def __init_subclass__(cls):
        name = cls.__name__.rstrip("_")
        if "batch" not in vars(cls):
            cls.batch = lambda inputs, batched, **params: PRIMITIVES[name](*_all_batched(inputs, batched), **params)
        if "infer" not in vars(cls):

            def infer(a, **params):
                check_matrices(name, a, cls.square)
                return cls.results(a, **params)

            cls.infer = infer
        if "lower" not in vars(cls):
            cls.lower = lambda *avals, **params: (name, tuple(int(value) for value in params.values()))


def _all_batched(inputs, batched):
    """Operands that all have the batch axis; those that had none are repeated, which moves no data."""
    size = next(x.shape[0] for x, b in zip(inputs, batched) if b)
    return [
        x if b else broadcast_in_dim(x, shape=(size, *x.shape), axes=tuple(range(1, x.ndim + 1)))
        for x, b in zip(inputs, batched)
    ]


# ---- samples -----------------------------------------------------------------------------------------


def matrix(rng, *shape):
    return rng.normal(size=shape)


def complex_matrix(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def matrix_like(rng, array):
    """Random numbers of the shape and kind, real or complex, of `array`."""
    return (complex_matrix if array.dtype.kind == "c" else matrix)(rng, *array.shape)


def regular(rng, *shape):
    """Square matrices far from singular."""
    return rng.normal(size=shape) + 3 * np.eye(shape[-1])


def adjoint_array(x):
    return np.conj(np.swapaxes(x, -1, -2))


def symmetric(x):
    return (x + adjoint_array(x)) / 2


class SymmetricSamples:
    """Samples, and other values and directions, that are Hermitian."""

    def vary(rng, i, array):
        return symmetric(matrix_like(rng, array)) + 3 * np.eye(array.shape[-1])

    def direction(rng, i, array):
        return symmetric(matrix_like(rng, array))


class RegularSamples:
    """Other values are regular, too."""

    def vary(rng, i, array):
        square = array.shape[-1:] == array.shape[-2:-1]
        return matrix_like(rng, array) + (3 * np.eye(array.shape[-1]) if square else 0)
