"""Counter-based random bits: threefry2x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).

The same key gives the same bits on every device, and the same as JAX's.
"""

import numpy as np

from ..core.dtype import dt
from ..core.errors import DtypeError, ShapeError
from .access import Place, flat
from .base import primitive


@primitive
class random_bits:
    """Random unsigned integers (uint8 to uint64) of this shape for each key uint32[..., 2]

    Element i, counted in row-major order, is the encryption of the number i under the key.
    """

    form = "counted"

    def infer(key, *, shape, dtype):
        if key.shape[-1:] != (2,) or key.dtype != dt.uint32:
            kind = DtypeError if key.dtype != dt.uint32 else ShapeError
            raise kind(f"random_bits takes keys uint32[..., 2], got {key}.", fix="make one with pg.random_key(seed).")
        if dtype.kind != "u":
            raise DtypeError(f"random_bits gives unsigned integers, not {dtype}.")
        return key.update(shape=key.shape[:-1] + shape, dtype=dtype, weak_type=False)

    def jvp(primals, tangents, out, *, shape, dtype):
        return None

    def batch(inputs, batched, *, shape, dtype):
        return random_bits(inputs[0], shape=shape, dtype=dtype)

    def accesses(index, key, *, shape, dtype):
        batch, own = index[: key.ndim - 1], index[key.ndim - 1 :]
        return flat(own, shape), [(*batch, Place(constant=word)) for word in range(2)]

    def lower(key, *, shape, dtype):
        return "random_bits", ()

    def samples(rng):
        for dtype in (dt.uint32, dt.uint8, dt.uint64):
            yield (rng.integers(0, 2**32, 2, dtype=np.uint32),), {"shape": (3, 5), "dtype": dtype}
        yield (rng.integers(0, 2**32, (4, 2), dtype=np.uint32),), {"shape": (3,), "dtype": dt.uint32}
