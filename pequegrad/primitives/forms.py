"""Forms of matrices that unitary matrices lead to: packed reflections, Hessenberg's, tridiagonal, Schur's. LAPACK's; no derivatives."""

import numpy as np

from ..core.dtype import dt, real_of
from ..core.errors import NoDerivativeError, ShapeError
from .base import primitive
from .matrices import Matrices, adjoint_array, complex_matrix, matrix


class Forms(Matrices):
    """A primitive on matrices without derivative."""

    without_derivative = (0,)

    def __init_subclass__(cls):
        super().__init_subclass__()
        name = cls.__name__

        def jvp(primals, tangents, out, **params):
            raise NoDerivativeError(
                f"{name} has no derivative.", fix="stop_gradient(x), if it need not be differentiated."
            )

        cls.jvp = jvp

    def samples(rng):
        for x in (matrix(rng, 3, 3), matrix(rng, 2, 2, 2), matrix(rng, 1, 1), complex_matrix(rng, 3, 3)):
            yield (x,), {}


def _check_rows(name, a):
    if not a.shape[-1]:
        raise ShapeError(f"{name}: the matrices of {a} are empty.", fix="they need a row.")


@primitive
class reflections(Forms):
    """Packed factors and factors of reflections of A = Q R; with `pivoting` of A[:, columns], and the columns

    R is the upper triangle of the first result [.., m, n]; its diagonal falls with pivoting. Below are the vectors of
    reflections H_i = I - tau_i v_i v_i^H, v_i = (0 .., 1, ..), whose product is Q; tau is [.., min(m, n)].
    """

    def results(a, *, pivoting):
        *lead, m, n = a.shape
        found = a, a.update(shape=(*lead, min(m, n)))
        return (*found, a.update(shape=(*lead, n), dtype=dt.int32, weak_type=False)) if pivoting else found

    def lower(a, *, pivoting):
        return "reflections", ()

    def samples(rng):
        for pivoting in (False, True):
            for x in (
                matrix(rng, 3, 3),
                matrix(rng, 2, 4, 2),
                matrix(rng, 2, 4),
                matrix(rng, 0, 2),
                complex_matrix(rng, 3, 2),
            ):
                yield (x,), {"pivoting": pivoting}


@primitive
class hessenberg(Forms):
    """Packed H of A = Q H Q^H, zero below its first subdiagonal, and the factors tau [.., n - 1] of the reflections of Q"""

    square = True

    def results(a):
        _check_rows("hessenberg", a)
        return a, a.update(shape=(*a.shape[:-2], a.shape[-1] - 1))


@primitive
class tridiagonal(Forms):
    """Packed T of A = Q T Q^H, its diagonal, what is beside it, and the factors tau of Q's reflections, of Hermitian matrices

    lower: of A the lower triangle is read, and packed; else the upper one.
    """

    square = True

    def results(a, *, lower):
        _check_rows("tridiagonal", a)
        *lead, n, _ = a.shape
        real = real_of(a.dtype)
        beside = a.update(shape=(*lead, n - 1))
        return a, a.update(shape=(*lead, n), dtype=real), beside.update(dtype=real), beside

    def samples(rng):
        for lower in (True, False):
            for x in (matrix(rng, 3, 3), matrix(rng, 2, 2, 2), matrix(rng, 1, 1), complex_matrix(rng, 3, 3)):
                yield (x,), {"lower": lower}


@primitive
class schur(Forms):
    """T, and with `vectors` the unitary Z, of A = Z T Z^H: T is upper triangular, of real A with 2 x 2 blocks for pairs"""

    square = True

    def results(a, *, vectors):
        return (a, a) if vectors else a

    def lower(a, *, vectors):
        return "schur", ()

    def gauge(t, z=None):
        # The order of the eigenvalues, signs and phases are LAPACK's choice; Z T Z^H and the traces of T's powers are not.
        powers = [np.linalg.matrix_power(t, k) for k in range(1, t.shape[-1] + 1)]
        traces = [np.trace(p, axis1=-2, axis2=-1) for p in powers]
        return traces if z is None else [z @ t @ adjoint_array(z), z @ adjoint_array(z), *traces]

    def samples(rng):
        for vectors in (True, False):
            for x in (matrix(rng, 3, 3), matrix(rng, 2, 2, 2), matrix(rng, 0, 0), complex_matrix(rng, 3, 3)):
                yield (x,), {"vectors": vectors}
