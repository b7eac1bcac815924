"""Products of small integers, in floats where these hold all sums: much faster than in integers."""

import pequegrad as pg

from ..values import is_known, outside, tensor

_LARGEST = 255  # of a number of 8 bits less a zero point


def integer_product(product, x, w, zeros, terms, axes, narrow=True, wider=True):
    """product(x, w) in int32 of numbers of 8 bits less their zero points (x's, w's; None: 0), which are broadcast to them.

    terms: how many products are added up; axes of w over which they are. w may be known: then its numbers say how large sums can
    be. All partial sums are whole numbers below 2^24 in float32, 2^53 in float64: the result is exact. narrow: float32 may be used;
    wider: float64 is faster than integers.
    """
    known = is_known([w, zeros[1]])
    w_zero = zeros[1] if zeros[1] is None else tensor(zeros[1], x)
    w = tensor(w, x)
    dtype = "int32"
    if x.dtype.itemsize == w.dtype.itemsize == 1:
        most = _LARGEST * _LARGEST * terms
        if narrow and known and most >= 1 << 24:
            with outside():
                total = pg.sum(pg.abs(_less(w, w_zero, "int32")), axes)
                most = _LARGEST * int(pg.max(total).item()) if total.size else 0
        dtype = "float32" if narrow and most < 1 << 24 else "float64" if wider and most < 1 << 31 else "int32"
    return product(_less(x, zeros[0], dtype), _less(w, w_zero, dtype)).astype("int32")


def _less(x, zero, dtype):
    x = x.astype(dtype)
    return x if zero is None else x - zero.astype(dtype)
