"""Counter-based random bits: threefry2x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).

The same key gives the same bits on every device, and the same as JAX's.
"""

import numpy as np

from ..core.dtype import dt, key_dtype
from ..core.errors import DtypeError, ShapeError
from .access import Place, flat
from .base import primitive
from .shape import broadcast_in_dim


@primitive
class random_bits:
    """Random unsigned integers (uint8 to uint64), or keys, of this shape for each key: uint32[..., 2] or key<fry>[...]

    Element i, counted in row-major order, is the encryption of the number i under the key; of first + i with a second
    operand uint32[...], a number for each key.
    """

    form = "counted"

    def infer(key, first=None, *, shape, dtype):
        batch = key.shape if key.dtype == key_dtype else key.shape[:-1]
        if key.dtype not in (dt.uint32, key_dtype) or (key.dtype == dt.uint32 and key.shape[-1:] != (2,)):
            kind = ShapeError if key.dtype == dt.uint32 else DtypeError
            raise kind(f"random_bits takes keys uint32[..., 2], got {key}.", fix="make one with pg.random_key(seed).")
        if dtype.kind not in "uK":
            raise DtypeError(f"random_bits gives unsigned integers, not {dtype}.")
        if first is not None and (first.dtype != dt.uint32 or first.shape != batch):
            raise ShapeError(f"random_bits: the counters of keys {key} begin at uint32{list(batch)}, not {first}.")
        return key.update(shape=batch + shape, dtype=dtype, weak_type=False)

    def jvp(primals, tangents, out, *, shape, dtype):
        return None

    def batch(inputs, batched, *, shape, dtype):
        size = inputs[batched.index(True)].shape[0]
        spread = lambda x: broadcast_in_dim(x, shape=(size, *x.shape), axes=tuple(range(1, x.ndim + 1)))
        return random_bits(*[x if b else spread(x) for x, b in zip(inputs, batched)], shape=shape, dtype=dtype)

    def accesses(index, key, first=None, *, shape, dtype):
        if first is not None or dtype == key_dtype:
            return None
        batch, own = index[: len(index) - len(shape)], index[len(index) - len(shape) :]
        words = [(*batch, Place(constant=word)) for word in range(2)] if key.dtype == dt.uint32 else [batch]
        return flat(own, shape), words

    def lower(key, first=None, *, shape, dtype):
        return "random_bits", (int(dtype == key_dtype),)

    def samples(rng):
        for dtype in (dt.uint32, dt.uint8, dt.uint64):
            yield (rng.integers(0, 2**32, 2, dtype=np.uint32),), {"shape": (3, 5), "dtype": dtype}
        keys = rng.integers(0, 2**32, (4, 2), dtype=np.uint32)
        yield (keys,), {"shape": (3,), "dtype": dt.uint32}
        yield (keys, rng.integers(0, 2**32, 4, dtype=np.uint32)), {"shape": (), "dtype": dt.uint64}
