"""What concerns how values are stored: their bits, and where they lie."""

from ..core.dtype import dt
from ..core.errors import DtypeError, ShapeError
from .base import primitive


@primitive
class bitcast_convert:
    """The bits of x as another dtype; no derivative

    A smaller dtype adds a last axis over the parts of each element, lowest bits first; a larger one consumes the last
    axis, whose size must be the ratio of the sizes.
    """

    def infer(x, *, dtype):
        if (x.dtype.kind == "b") != (dtype.kind == "b"):
            raise DtypeError(f"bitcast_convert: the bits of {x} are not {dtype}.", fix="use x != 0 or x.astype(dtype).")
        ratio = x.dtype.itemsize // dtype.itemsize
        if ratio == 1 and x.dtype.itemsize == dtype.itemsize:
            shape = x.shape
        elif ratio:
            shape = (*x.shape, ratio)
        else:
            ratio = dtype.itemsize // x.dtype.itemsize
            if not x.ndim or x.shape[-1] != ratio:
                raise ShapeError(
                    f"bitcast_convert: {x} to {dtype}: {ratio} elements make one of the result.",
                    fix=f"reshape x so that its last axis has size {ratio}.",
                )
            shape = x.shape[:-1]
        return x.update(shape=shape, dtype=dtype, weak_type=False)

    def jvp(primals, tangents, out, *, dtype):
        return None

    def batch(inputs, batched, *, dtype):
        return bitcast_convert(inputs[0], dtype=dtype)

    def lower(x, *, dtype):
        return "bitcast", ()

    def samples(rng):
        yield (rng.normal(size=(2, 3)).astype("f4"),), {"dtype": dt.int32}
        yield (rng.integers(0, 99, (2, 3)),), {"dtype": dt.uint16}
        yield (rng.integers(0, 99, (3, 4)).astype("u1"),), {"dtype": dt.int32}
        yield (rng.normal(size=(0, 2)).astype("f4"),), {"dtype": dt.int8}


@primitive
class copy:
    """x in memory of its own, dense and row-major"""

    linear = "together"

    def infer(x):
        return x

    def jvp(primals, tangents, out):
        return tangents[0]

    def transpose(ct, x):
        return (ct,)

    def batch(inputs, batched):
        return copy(inputs[0])

    def lower(x):
        return "copy", ()

    def samples(rng):
        yield (rng.normal(size=(2, 3)),), {}
        yield (rng.normal(size=()),), {}
