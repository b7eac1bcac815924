"""Complex numbers: their parts, and making them of two reals. Functions on them are those on reals."""

from ..core.dtype import dt, is_complex, is_float
from ..primitives import elementwise as p
from ..primitives import mathematical as m
from ..primitives.shape import zeros_like
from .arithmetic import floating, new_handle, promoted
from .creation import as_tensor


@new_handle
def real(x):
    """The real part, elementwise; of real x, x itself."""
    x = as_tensor(x)
    return p.real(x) if is_complex(x.dtype) else x


def imag(x):
    """The imaginary part, elementwise; zeros for real x."""
    x = as_tensor(x)
    return p.imag(x) if is_complex(x.dtype) else zeros_like(x)


@new_handle
def conj(x):
    """The complex conjugate, elementwise; of real x, x itself."""
    x = as_tensor(x)
    return p.conj(x) if is_complex(x.dtype) else x


def angle(x):
    """The angle of the point x in the complex plane, in radians in [-pi, pi], elementwise: 0 or pi for real x."""
    x = floating(x)
    return m.atan2(imag(x), real(x))


def complex(x, y):
    """x + iy of real x and y, elementwise: complex128 if their common dtype is float64, else complex64."""
    x, y = (floating(v) for v in promoted(x, y))
    if is_float(x.dtype) and x.dtype.itemsize == 2:
        x, y = (p.convert_to(v, dt.float32) for v in (x, y))
    return p.complex_(x, y)


__all__ = ["real", "imag", "conj", "angle", "complex"]
