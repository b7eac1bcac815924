"""What belongs to no other file: derivatives that stop, barriers, Fourier transforms, random numbers, platforms."""

import functools

from ...core.dtype import complex_of
from ...core.errors import ArgumentError, DtypeError
from ...core.tensor import Tensor
from ...ops import fourier
from ...ops import random as core_random
from ...primitives import control
from ...primitives import elementwise as e
from ...primitives.calls import optimization_barrier as barrier
from ...primitives.mathematical import floor
from ...transforms.tree import flatten, tree_map
from ..convert import as_array, convertible, to_array
from .operands import MisfitError, check_same_dtypes, ints
from .types import FftType


def stop_gradient(x):
    """x (a tree) as a constant for derivatives."""
    return tree_map(lambda leaf: control.stop_gradient(leaf) if isinstance(leaf, Tensor) else leaf, x)


def optimization_barrier(operand, /):
    """The operand (a tree) as it is; nothing that uses it is computed before all of it is."""
    leaves, structure = flatten(operand)
    if not leaves:
        return operand
    return structure.unflatten(barrier(*[as_array(x, "optimization_barrier") for x in leaves], first=0))


def with_sharding_constraint(x, shardings):
    """x: there is one device."""
    if any(s is None for s in flatten(shardings)[0]) or shardings is None:
        raise ValueError("One of with_sharding_constraint arguments got sharding None which is not allowed.")
    return tree_map(lambda leaf: leaf if (found := convertible(leaf)) is None else found, x)


def fft(x, fft_type, fft_lengths):
    """The Fourier transform over the last len(fft_lengths) axes; fft_lengths: their sizes (of the real side)."""
    x = as_array(x, "fft")
    kind = _FFT_NAMES.get(fft_type, fft_type) if isinstance(fft_type, str) else fft_type
    if not isinstance(kind, FftType):
        raise ValueError(f"Unknown FFT type {fft_type!r}")
    if not hasattr(fft_lengths, "__len__"):
        raise ArgumentError(f"fft: fft_lengths must be a sequence of ints, got {fft_lengths!r}.")
    sizes = ints(fft_lengths)
    n = len(sizes)
    if n > x.ndim or n == 0:
        raise MisfitError(f"fft: {n} fft_lengths for {x._node.aval}.")
    if kind is FftType.RFFT:
        if x.dtype.kind == "c":
            raise ValueError(f"only real valued inputs supported for rfft, got {x.dtype}.")
    elif x.dtype.kind != "c":
        if x.dtype.name not in ("float32", "float64"):
            raise DtypeError(f"fft takes float32, float64 or complex numbers, got {x.dtype}.")
        x = e.convert_to(x, complex_of(x.dtype))
    found, wanted = x.shape[x.ndim - n :], sizes
    if kind is FftType.IRFFT:
        wanted = (*sizes[:-1], sizes[-1] // 2 + 1 if sizes[-1] else 0)
    if found != wanted:
        raise MisfitError(f"fft: the last axes of {x._node.aval} must have sizes {list(wanted)}.")
    function = {"FFT": fourier.fftn, "IFFT": fourier.ifftn, "RFFT": fourier.rfftn, "IRFFT": fourier.irfftn}[kind.name]
    return function(x, s=sizes, axes=tuple(range(-n, 0)))


_FFT_NAMES = {word: kind for kind in FftType for word in (kind.name, kind.name.lower())}


def rng_uniform(a, b, shape):
    """Random numbers, or integers, from a to below b; drawn from the generator of pequegrad.manual_seed, not from a key."""
    a, b = as_array(a, "rng_uniform", 0), as_array(b, "rng_uniform", 1)
    check_same_dtypes("rng_uniform", a, b)
    if a.shape or b.shape:
        raise ValueError("rng_uniform: a and b must be scalars.")
    weak, dtype = a.weak_type and b.weak_type, a.dtype
    unit = to_array(core_random.rand(ints(shape)))
    if dtype.kind in "iu":
        wide = [e.convert_to(v, unit.dtype) for v in (a, b)]
        found = floor(e.add(wide[0], e.mul(e.sub(wide[1], wide[0]), unit)))
        return e.convert(e.convert_to(found, dtype), dtype=dtype, weak_type=weak)
    found = e.add(a, e.mul(e.sub(b, a), e.convert_to(unit, dtype)))
    return e.convert(found, dtype=dtype, weak_type=weak)


def composite(decomposition, name, version=0):
    """`decomposition`: no device here has an operation of that name that could stand for it."""

    @functools.wraps(decomposition)
    def applied(*args, **kwargs):
        return decomposition(*args, **kwargs)

    return applied


def platform_dependent(*args, default=None, **per_platform):
    """per_platform["cpu"](*args), or default(*args)."""
    function = per_platform.get("cpu", default)
    if function is None:
        raise NotImplementedError(f"platform_dependent: nothing for the platform cpu among {sorted(per_platform)}.")
    return function(*args)


__all__ = [
    "composite", "fft", "optimization_barrier", "platform_dependent", "rng_uniform", "stop_gradient",
    "with_sharding_constraint",
]  # fmt: skip
