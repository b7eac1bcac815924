"""One function on float32."""

from . import EVERYONE, case, faster, normal, random

WITH_NUMPY = (*EVERYONE, "numpy")


@case(contestants=WITH_NUMPY, targets=faster(0.95))
def matmul1024(lib):
    """(1024, 1024) @ (1024, 1024)."""
    rng = random()
    return lib.jit(lambda a, b: a @ b), lib.tensors(normal(rng, 1024, 1024), normal(rng, 1024, 1024))


@case()
def conv2d(lib):
    """A 3x3 convolution of (32, 64, 32, 32) with 64 output channels."""
    rng = random()
    return lib.jit(lib.conv2d), lib.tensors(normal(rng, 32, 64, 32, 32), normal(rng, 64, 64, 3, 3))


@case(contestants=WITH_NUMPY, tolerance=0)
def sort_million(lib):
    """Sorting a million numbers."""
    return lib.jit(lambda x: lib.sort(x)), lib.tensors(normal(random(), 1_000_000))


@case(contestants=WITH_NUMPY)
def fft_batch(lib):
    """rfft of 256 rows of 4,096 numbers."""
    return lib.jit(lambda x: lib.rfft(x)), lib.tensors(normal(random(), 256, 4096))
