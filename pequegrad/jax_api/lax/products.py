"""Products of arrays: sums over pairs of axes, with batches, and with groups of rows."""

from ...core.dtype import default_int, is_float, is_integer
from ...core.errors import ArgumentError, DtypeError, ShapeError
from ...primitives import contraction
from ...primitives import elementwise as e
from ...primitives import shape as p
from ...primitives.base import number
from ...primitives.cumulative import cumsum
from ..convert import as_array
from .operands import dtype_of, ints
from .types import RaggedDotDimensionNumbers, check_precision


def dot_general(lhs, rhs, dimension_numbers, precision=None, preferred_element_type=None, *, out_sharding=None):
    """Sums of products over pairs of axes; dimension_numbers: ((contracted of lhs, of rhs), (batch of lhs, of rhs)).

    The result's axes: batch, then the free axes of lhs, then those of rhs. Operands of two dtypes are computed in the
    wider one; preferred_element_type is the dtype of the result, and of sums of integers.
    """
    check_precision(precision)
    lhs, rhs = as_array(lhs, "dot_general", 0), as_array(rhs, "dot_general", 1)
    contract, batch = dimension_numbers
    contract, batch = ((ints(xs), ints(ys)) for xs, ys in (contract, batch))
    for x, name, numbers in ((lhs, "lhs", (contract[0], batch[0])), (rhs, "rhs", (contract[1], batch[1]))):
        both = (*numbers[0], *numbers[1])
        if len(set(both)) != len(both) or any(not 0 <= a < x.ndim for a in both):
            raise ArgumentError(f"dot_general: contracting and batch dimensions {numbers} of {name} {x._node.aval}.")
    for (xs, ys), kind in ((contract, "contracting"), (batch, "batch")):
        if [lhs.shape[a] for a in xs] != [rhs.shape[a] for a in ys]:
            raise ArgumentError(
                f"dot_general requires {kind} dimensions to have the same shape: {xs} of {lhs._node.aval} and {ys} of "
                f"{rhs._node.aval}."
            )
    dtype = _wider("dot_general", lhs, rhs)
    out = dtype if preferred_element_type is None else dtype_of(preferred_element_type, "dot_general")
    if not is_float(dtype) and out.itemsize < dtype.itemsize:
        raise DtypeError(f"`preferred_element_type` must not be narrower than {dtype}, got {out}.")
    # sums are taken in the result's dtype, unless that is narrower, or one for whose kind there is no kernel
    direct = out == dtype or out.itemsize > dtype.itemsize and _kind(out) == _kind(dtype)
    work = dtype if direct or out.itemsize <= dtype.itemsize and _kind(out) == _kind(dtype) else _common(dtype, out)
    lhs, rhs = (e.convert_to(x, work, x.weak_type) for x in (lhs, rhs))
    found = contraction.dot_general(lhs, rhs, contract=contract, batch=batch, dtype=out if direct else work)
    return e.convert_to(found, out, lhs.weak_type and rhs.weak_type)


def _kind(dtype):
    return "float" if is_float(dtype) else "integer" if is_integer(dtype) else dtype.kind


def _common(dtype, out):
    """The dtype in which a product of `dtype` is computed if the result is of another kind."""
    from ...core.dtype import promote

    return promote((dtype, False), (out, False))[0]


def _wider(name, x, y):
    """The dtype of products of two: complex before floating before integer, then the one with more bits."""
    if x.dtype == y.dtype:
        return x.dtype
    ranks = [_rank(v.dtype) for v in (x, y)]
    if ranks[0] == ranks[1]:
        raise DtypeError(f"{name} argument type error: {x.dtype}, {y.dtype}.")
    return x.dtype if ranks[0] > ranks[1] else y.dtype


def _rank(dtype):
    if dtype.kind in "biu":
        return False, -1, -1, 1 if dtype.kind == "b" else 8 * dtype.itemsize, dtype.kind != "u"
    exponents = {"float16": 16, "float64": 1024, "complex128": 1024}.get(dtype.name, 128)
    bits = 8 * dtype.itemsize // (2 if dtype.kind == "c" else 1)
    mantissa = {"bfloat16": 7, "float16": 10}.get(dtype.name, 52 if bits == 64 else 23)
    return dtype.kind == "c", exponents, mantissa, bits, True


def dot(lhs, rhs, *, dimension_numbers=None, precision=None, preferred_element_type=None, out_sharding=None):
    """The product of two vectors or matrices, or dot_general if dimension_numbers are given."""
    lhs, rhs = as_array(lhs, "dot", 0), as_array(rhs, "dot", 1)
    if dimension_numbers is None:
        if not (lhs.ndim in (1, 2) and rhs.ndim in (1, 2) and lhs.shape[-1] == rhs.shape[0]):
            raise ShapeError(
                f"jax.lax.dot: dimension_numbers must be given for other than vectors and matrices that fit: {lhs._node.aval}"
                f" and {rhs._node.aval}."
            )
        dimension_numbers = (((lhs.ndim - 1,), (0,)), ((), ()))
    return dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type)


def batch_matmul(lhs, rhs, precision=None):
    """The products of matrices in the last two axes; all other axes are equal."""
    lhs, rhs = as_array(lhs, "batch_matmul", 0), as_array(rhs, "batch_matmul", 1)
    if min(lhs.ndim, rhs.ndim) < 2:
        raise ValueError(f"Arguments to batch_matmul must be at least 2D, got {lhs.ndim}, {rhs.ndim}")
    if lhs.ndim != rhs.ndim:
        raise ValueError(f"Arguments to batch_matmul must have same ndim, got {lhs.ndim}, {rhs.ndim}")
    n = lhs.ndim - 2
    return dot_general(lhs, rhs, (((n + 1,), (n,)), (tuple(range(n)),) * 2), precision)


# ---- groups of rows ----------------------------------------------------------------------------------------

_PLAIN = RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), [0], [0])


def ragged_dot(
    lhs, rhs, group_sizes, precision=None, preferred_element_type=None, group_offset=None, out_sharding=None
):
    """lhs [m, k] times rhs [g, k, n]: the first group_sizes[0] rows with rhs[0], those that follow with rhs[1], ...: [m, n].

    Rows after the last group give zeros.
    """
    return ragged_dot_general(lhs, rhs, group_sizes, _PLAIN, precision, preferred_element_type, group_offset)


def ragged_dot_general(lhs, rhs, group_sizes, ragged_dot_dimension_numbers, precision=None, preferred_element_type=None,
                       group_offset=None, out_sharding=None):  # fmt: skip
    """dot_general where an axis of lhs is cut in groups of group_sizes [g] (or one such row for each place of outer axes).

    The ragged axis is a free one (rhs then has an axis of groups), a contracted one (the result then has a leading axis of
    groups) or one of the batch (a plain dot_general).
    """
    if group_offset is not None:
        raise NotImplementedError("ragged_dot: group_offset is not supported.")
    lhs, rhs, sizes = (as_array(x, "ragged_dot", i) for i, x in enumerate((lhs, rhs, group_sizes)))
    if not is_integer(sizes.dtype) or not sizes.ndim:
        raise ArgumentError(f"ragged_dot: group_sizes must be integers [.., g], got {sizes._node.aval}.")
    numbers = ragged_dot_dimension_numbers
    if len(numbers.lhs_ragged_dimensions) != 1:
        raise ArgumentError("ragged_dot_general expects exactly one lhs ragged dimension.")
    (axis,) = numbers.lhs_ragged_dimensions
    (xc, yc), (xb, yb) = numbers.dot_dimension_numbers
    product = lambda x, y, dims: dot_general(x, y, dims, precision, preferred_element_type)
    if axis in xb:
        return product(lhs, rhs, numbers.dot_dimension_numbers)
    free = [i for i in range(lhs.ndim) if i not in xb and i not in xc]
    outer = [*xb, *(xc[: xc.index(axis)] if axis in xc else free[: free.index(axis)])]
    masked = _by_group(lhs, sizes, axis, outer)  # [g, axes of lhs]
    shift = lambda axes: tuple(a + 1 for a in axes)
    if axis in xc:
        g = sizes.shape[-1]
        wide = p.broadcast_in_dim(rhs, shape=(g, *rhs.shape), axes=tuple(range(1, rhs.ndim + 1)))
        return product(masked, wide, ((shift(xc), shift(yc)), ((0, *shift(xb)), (0, *shift(yb)))))
    if len(numbers.rhs_group_dimensions) != 1:
        raise ArgumentError("ragged_dot_general expects one rhs group dimension for a ragged free dimension.")
    (group,) = numbers.rhs_group_dimensions
    return product(masked, rhs, (((0, *shift(xc)), (group, *yc)), (shift(xb), yb)))


def _by_group(x, sizes, axis, outer):
    """x with a new leading axis, along which it is zero outside of each group of its `axis`."""
    sizes = e.convert_to(sizes, default_int()) if sizes.dtype.itemsize < 4 else sizes
    g, n = sizes.shape[-1], x.shape[axis]
    ends = cumsum(sizes, axis=sizes.ndim - 1, reverse=False)
    begins = e.sub(ends, sizes)
    shape = (g, *x.shape)
    if sizes.ndim == 1:
        place = (0,)
    elif sizes.shape[:-1] == tuple(x.shape[a] for a in outer):
        place = (*(a + 1 for a in outer), 0)
    else:
        raise ArgumentError(f"ragged_dot: group_sizes {sizes._node.aval} do not fit the outer axes of {x._node.aval}.")
    order = sorted(range(len(place)), key=place.__getitem__)
    spread = lambda v: p.broadcast_in_dim(
        p.transpose(v, permutation=tuple(order)) if len(order) > 1 else v, shape=shape, axes=tuple(sorted(place))
    )
    row = p.iota(shape=(n,), dtype=sizes.dtype, axis=0, device=x.device)
    row = p.broadcast_in_dim(row, shape=shape, axes=(axis + 1,))
    inside = e.and_(e.ge(row, spread(begins)), e.lt(row, spread(ends)))
    return e.select(inside, p.broadcast_in_dim(x, shape=shape, axes=tuple(range(1, x.ndim + 1))), number(0, x))


__all__ = ["batch_matmul", "dot", "dot_general", "ragged_dot", "ragged_dot_general"]
