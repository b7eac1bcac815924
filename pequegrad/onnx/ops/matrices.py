"""Products of matrices and what else takes matrices."""

import pequegrad as pg

from ...core.dtype import is_float
from ...core.errors import ShapeError
from ..registry import op
from ..values import tensor
from .integers import integer_product


@op("MatMul", weights=("a", "b"))
def matmul(a, b):
    return pg.matmul(a, b)


@op("MatMulInteger", since=10, either=("b", "b_zero_point"))
def matmul_integer(a, b, a_zero_point=None, b_zero_point=None):
    """Zero points: one number, one per row of a, one per column of b."""
    if a_zero_point is not None and a_zero_point.ndim == 1 and a_zero_point.size > 1:
        a_zero_point = pg.expand_dims(a_zero_point, -1)
    return integer_matmul(a, b, a_zero_point, b_zero_point)


def integer_matmul(a, b, a_zero, b_zero):
    """a @ b in int32, less zero points that broadcast; b and its own may be known."""
    if b.ndim == 0 or a.ndim == 0:
        raise ShapeError(f"Products of matrices take no numbers: shapes {list(a.shape)} and {list(b.shape)}.")
    return integer_product(pg.matmul, a, b, (a_zero, b_zero), a.shape[-1], 0 if b.ndim == 1 else -2, wider=False)


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
