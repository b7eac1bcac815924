"""Discrete Fourier transforms along the last axis.

`scale` is a name of NumPy's norms for a forward transform: "backward" (no factor), "forward" (1 / n) or "ortho"
(1 / sqrt(n)), where n is the number of elements of the side that has all of them.
"""

from ..core.dtype import complex_of, dt, is_complex, real_of
from ..core.errors import ArgumentError, DtypeError, ShapeError
from .base import number, primitive
from .elementwise import complex_normal, conj, convert_to, eq, mul, or_, select
from .shape import iota

SCALES = ("backward", "forward", "ortho")


class Transform:
    """Linear along the last axis; other axes are a batch, so that another one in front changes nothing."""

    linear = "together"

    def __init_subclass__(cls):
        from .base import PRIMITIVES

        name = cls.__name__
        cls.jvp = lambda primals, tangents, out, **params: PRIMITIVES[name](tangents[0], **params)
        cls.batch = lambda inputs, batched, **params: PRIMITIVES[name](inputs[0], **params)


def _check(name, x, takes_complex, scale, n=1):
    if is_complex(x.dtype) != takes_complex or x.dtype in (dt.float16, dt.bfloat16) or x.dtype.kind in "biu":
        wanted = "complex64 or complex128" if takes_complex else "float32 or float64"
        raise DtypeError(f"{name} takes {wanted}, got {x}.", fix="convert it: x.astype(dtype).")
    if not x.ndim or not x.shape[-1] or n < 1:
        raise ShapeError(
            f"{name}: there is no transform of {x} along its last axis.", fix="it must have at least one element."
        )
    if scale not in SCALES:
        raise ArgumentError(f"{name}: there is no scale {scale!r}.", fix=f"use one of {SCALES}.")


def _half_weights(like, n, inner):
    """For each number of the half spectrum of n reals: 1 for those that are their own mirror images, else `inner`."""
    k = iota(shape=like.shape[-1:], dtype=dt.int64, axis=0, device=like.device)
    own = eq(k, number(0, k))
    if n % 2 == 0:
        own = or_(own, eq(k, number(n // 2, k)))
    return select(own, number(1, like), number(inner, like))


@primitive
class fft(Transform):
    """scale * sum over j of x[.., j] exp(-2 pi i j k / n); with `inverse` exp(+...). complex -> complex"""

    def infer(x, *, inverse, scale):
        _check("fft", x, True, scale)
        return x

    def transpose(ct, x, *, inverse, scale):
        return (fft(ct, inverse=inverse, scale=scale),)  # its matrix is symmetric

    def lower(x, *, inverse, scale):
        return "fft", (int(inverse), SCALES.index(scale))

    def samples(rng):
        for shape, inverse, scale in (
            ((2, 6), False, "backward"), ((2, 3, 7), True, "forward"), ((67,), False, "ortho"),
            ((3, 1), True, "ortho"), ((0, 4), False, "backward"),
        ):  # fmt: skip
            yield (complex_normal(rng, *shape),), {"inverse": inverse, "scale": scale}


@primitive
class rfft(Transform):
    """The first n // 2 + 1 numbers of the transform of n real ones; the others are their conjugates. real -> complex"""

    def infer(x, *, scale):
        _check("rfft", x, False, scale)
        return x.update(shape=(*x.shape[:-1], x.shape[-1] // 2 + 1), dtype=complex_of(x.dtype))

    def transpose(ct, x, *, scale):
        # sum over k of Re(ct[k] exp(-...)), which irfft takes of the conjugates, counting all but the ends twice
        return (irfft(mul(conj(ct), _half_weights(ct, x.shape[-1], 0.5)), n=x.shape[-1], scale=scale),)

    def lower(x, *, scale):
        return "rfft", (SCALES.index(scale),)

    def samples(rng):
        for shape, scale in (
            ((2, 6), "backward"), ((2, 3, 7), "forward"), ((67,), "ortho"), ((3, 1), "ortho"), ((3, 2), "backward"),
            ((0, 4), "backward"),
        ):  # fmt: skip
            yield (rng.normal(size=shape),), {"scale": scale}


@primitive
class irfft(Transform):
    """n real numbers from the first n // 2 + 1 of their transform, exponents with +. complex -> real

    Imaginary parts that a real signal cannot have (of the first, and for even n of the last) are not read.
    """

    def infer(x, *, n, scale):
        _check("irfft", x, True, scale, n)
        if x.shape[-1] != n // 2 + 1:
            raise ShapeError(
                f"irfft: {x} is not half of a spectrum of {n} numbers.", fix=f"its last axis must be {n // 2 + 1}."
            )
        return x.update(shape=(*x.shape[:-1], n), dtype=real_of(x.dtype))

    def transpose(ct, x, *, n, scale):
        found = conj(rfft(ct, scale=scale))
        return (mul(found, _half_weights(found, n, 2)),)

    def lower(x, *, n, scale):
        return "irfft", (SCALES.index(scale),)

    def samples(rng):
        for shape, n, scale in (
            ((2, 4), 6, "backward"), ((2, 3, 4), 7, "forward"), ((34,), 67, "ortho"), ((3, 1), 1, "ortho"),
            ((3, 2), 2, "backward"), ((0, 3), 4, "backward"),
        ):  # fmt: skip
            yield (complex_normal(rng, *shape),), {"n": n, "scale": scale}


def complex_operand(x):
    """x, a float32, float64 or complex tensor, as complex numbers."""
    return convert_to(x, complex_of(x.dtype)) if not is_complex(x.dtype) else x
