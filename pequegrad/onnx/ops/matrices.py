"""Products of matrices and what else takes matrices."""

import pequegrad as pg

from ...core.dtype import is_float
from ...core.errors import ShapeError
from ..registry import op
from ..values import tensor


@op("MatMul", weights=("a", "b"))
def matmul(a, b):
    return pg.matmul(a, b)


@op("MatMulInteger", since=10)
def matmul_integer(a, b, a_zero_point=None, b_zero_point=None):
    """Zero points: one number, one per row of a, one per column of b."""
    a, b = a.astype("int32"), b.astype("int32")
    if a_zero_point is not None:
        zero = a_zero_point.astype("int32")
        a = a - (pg.expand_dims(zero, -1) if zero.ndim == 1 and zero.size > 1 else zero)
    if b_zero_point is not None:
        b = b - b_zero_point.astype("int32")
    return pg.matmul(a, b)


@op("Gemm", weights=("a", "b", "c"))
def gemm(a, b, c=None, *, alpha=1.0, beta=1.0, broadcast=1, transA=0, transB=0):
    """alpha * a @ b + beta * c"""
    if a.ndim != 2 or b.ndim != 2:
        raise ShapeError(f"Gemm takes two matrices, not shapes {list(a.shape)} and {list(b.shape)}.")
    out = pg.matmul(pg.transpose(a) if transA else a, pg.transpose(b) if transB else b)
    out = _scaled(out, alpha)
    return out if c is None else out + _scaled(c, beta)


def _scaled(x, factor):
    if factor == 1:
        return x
    return x * factor if is_float(x.dtype) else (x.astype("float64") * factor).astype(x.dtype)


@op("Det", since=11)
def det(x):
    wide = x.astype("float32") if x.dtype.itemsize == 2 else x
    return pg.linalg.det(wide).astype(x.dtype)


@op("Einsum", since=12)
def einsum(*inputs, equation):
    return pg.einsum(equation, *inputs)


@op("Trilu", since=14)
def trilu(x, k=None, *, upper=1):
    """Zeros below (upper), or above, the k-th diagonal."""
    if x.ndim < 2:
        raise ShapeError(f"Trilu takes matrices, not the shape {list(x.shape)}.")
    n, m = x.shape[-2:]
    rows = pg.expand_dims(pg.arange(n, dtype="int64"), 1) + (0 if k is None else pg.reshape(k, ()))
    columns = tensor(pg.arange(m, dtype="int64"))
    return pg.where(columns >= rows if upper else columns <= rows, x, pg.zeros((), x.dtype))
