"""Sums of products over axes that two operands share."""

import math

from ..core.dtype import is_float, is_integer
from ..core.errors import DtypeError, ShapeError
from .base import is_linear, primitive
from .elementwise import add, complex_normal, convert_to
from .shape import transpose


def _free(ndim, contract, batch):
    return tuple(i for i in range(ndim) if i not in contract and i not in batch)


def check_result_dtype(name, x, dtype):
    """Sums of products have the dtype of their operands, or a larger one of the same kind."""
    kind = lambda d: "float" if is_float(d) else "integer" if is_integer(d) else d.kind
    if dtype != x.dtype and (kind(dtype) != kind(x.dtype) or dtype.itemsize <= x.dtype.itemsize):
        raise DtypeError(f"{name}: the result of {x} cannot be {dtype}.", fix="convert the operands: x.astype(dtype).")


@primitive
class dot_general:
    """Sum over pairs of axes of x and y; `batch` axes are paired without being summed.

    contract, batch: ((axes of x), (axes of y)). The result's axes: batch, free axes of x, free axes of y. `dtype`
    is the result's; float16 and bfloat16 accumulate in float32.
    """

    linear = "each"

    def infer(x, y, *, contract, batch, dtype):
        if x.dtype != y.dtype:
            raise DtypeError(
                f"dot_general: dtypes {x.dtype} and {y.dtype} differ.", fix="convert one: x.astype(dtype)."
            )
        check_result_dtype("dot_general", x, dtype)
        for kind, (xs, ys) in (("contracting", contract), ("batch", batch)):
            if len(xs) != len(ys) or any(x.shape[i] != y.shape[j] for i, j in zip(xs, ys)):
                raise ShapeError(
                    f"dot_general: {kind} axes {list(xs)} of {x} and {list(ys)} of {y} have different sizes.",
                    fix="the sizes of paired axes must be equal.",
                )
        xfree, yfree = _free(x.ndim, contract[0], batch[0]), _free(y.ndim, contract[1], batch[1])
        shape = [x.shape[i] for i in batch[0] + xfree] + [y.shape[i] for i in yfree]
        return x.update(shape=tuple(shape), dtype=dtype, weak_type=x.weak_type and y.weak_type)

    def jvp(primals, tangents, out, **params):
        (x, y), (dx, dy) = primals, tangents
        terms = []
        if dx is not None:
            terms.append(dot_general(dx, y, **params))
        if dy is not None:
            terms.append(dot_general(x, dy, **params))
        return terms[0] if len(terms) == 1 else add(*terms)

    def transpose(ct, x, y, *, contract, batch, dtype):
        if is_linear(x):
            return _cotangent_of_left(convert_to(ct, x.dtype), x, y, contract, batch, ct_first=True), None
        swapped = contract[::-1], batch[::-1]
        return None, _cotangent_of_left(convert_to(ct, y.dtype), y, x, *swapped, ct_first=False)

    def batch(inputs, batched, *, contract, batch, dtype):
        x, y = inputs
        shift = [tuple(tuple(i + b for i in axes) for axes, b in zip(pair, batched)) for pair in (contract, batch)]
        if all(batched):
            pairs = tuple((0, *axes) for axes in shift[1])
            return dot_general(x, y, contract=shift[0], batch=pairs, dtype=dtype)
        out = dot_general(x, y, contract=shift[0], batch=shift[1], dtype=dtype)
        n_batch = len(batch[0])
        position = n_batch if batched[0] else n_batch + x.ndim - n_batch - len(contract[0])
        order = (position, *(i for i in range(out.ndim) if i != position))
        return transpose(out, permutation=order) if position else out

    def lower(x, y, *, contract, batch, dtype):
        return "dot_general", (len(batch[0]), len(contract[0]), *batch[0], *batch[1], *contract[0], *contract[1])

    def epilogue(x, y, *, contract, batch, dtype):
        panels = (
            not batch[0] and is_float(dtype) and (dtype == x.dtype or dtype.name == "float32") and dtype.itemsize >= 4
        )
        return ("dot_generated", x.size // math.prod(x.shape[i] for i in contract[0])) if panels and x.size else None

    def flops(x, y, *, contract, batch, dtype):
        summed = math.prod(x.shape[i] for i in (*contract[0], *batch[0]))
        products = x.size * (y.size // summed) if summed else 0
        return (8 if dtype.kind == "c" else 2) * products

    def samples(rng):
        f = lambda *shape: rng.normal(size=shape)  # noqa: E731
        yield (f(2, 3), f(3, 4)), {"contract": ((1,), (0,)), "batch": ((), ()), "dtype": "float64"}
        yield (f(3, 2), f(4, 3)), {"contract": ((0,), (1,)), "batch": ((), ()), "dtype": "float64"}
        yield (f(5, 2, 3), f(3, 5, 4)), {"contract": ((2,), (0,)), "batch": ((0,), (1,)), "dtype": "float64"}
        yield (f(2, 3, 4), f(4, 3)), {"contract": ((1, 2), (1, 0)), "batch": ((), ()), "dtype": "float64"}
        yield (f(2, 0), f(0, 4)), {"contract": ((1,), (0,)), "batch": ((), ()), "dtype": "float64"}
        yield (f(3), f(3)), {"contract": ((0,), (0,)), "batch": ((), ()), "dtype": "float64"}
        c = lambda *shape: complex_normal(rng, *shape)  # noqa: E731
        yield (c(2, 3), c(3, 4)), {"contract": ((1,), (0,)), "batch": ((), ()), "dtype": "complex128"}
        yield (c(5, 2, 3), c(3, 5, 4)), {"contract": ((2,), (0,)), "batch": ((0,), (1,)), "dtype": "complex128"}


def _cotangent_of_left(ct, x, y, contract, batch, ct_first):
    """The cotangent of x, given that of dot_general(x, y) (ct_first) or of dot_general(y, x).

    It is a product of ct and y over the free axes of y. The order of the two operands is chosen so that the result
    already has the axes of x in order wherever possible: then no copy is needed later.
    """
    (xc, yc), (xb, yb) = contract, batch
    xfree, yfree = _free(x.ndim, xc, xb), _free(y.ndim, yc, yb)
    n = len(xb)
    ct_batch = tuple(range(n))
    first = xfree if ct_first else yfree
    ct_first_axes, ct_second_axes = tuple(range(n, n + len(first))), tuple(range(n + len(first), ct.ndim))
    ct_y = ct_second_axes if ct_first else ct_first_axes
    contracted = tuple(xc[i] for i in sorted(range(len(yc)), key=yc.__getitem__))  # in the order of y's axes
    if xb + xfree + contracted == tuple(range(x.ndim)) or xb + contracted + xfree != tuple(range(x.ndim)):
        axes = xb + xfree + contracted
        out = dot_general(ct, y, contract=(ct_y, yfree), batch=(ct_batch, yb), dtype=x.dtype)
    else:
        axes = xb + contracted + xfree
        out = dot_general(y, ct, contract=(yfree, ct_y), batch=(yb, ct_batch), dtype=x.dtype)
    order = tuple(sorted(range(len(axes)), key=axes.__getitem__))
    return out if order == tuple(range(len(order))) else transpose(out, permutation=order)
