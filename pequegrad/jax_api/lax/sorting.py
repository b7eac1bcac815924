"""Sorting and selecting."""

import operator as _operator

from ...core.dtype import is_float
from ...core.errors import ArgumentError, ShapeError
from ...primitives import elementwise as e
from ...primitives import shape as s
from ...primitives import sorting as p
from ...primitives.indexing import take_along
from ..convert import as_array, to_array
from .operands import wrapped_axis


def sort(operand, dimension=-1, is_stable=True, num_keys=1):
    """The operand (or a sequence of operands of one shape) in the order of the first num_keys of them; always stable."""
    several = isinstance(operand, (list, tuple))
    xs = [as_array(x, "sort", i) for i, x in enumerate(operand if several else [operand])]
    if not xs:
        raise ArgumentError("Sort requires at least one operand")
    if any(x.shape != xs[0].shape for x in xs):
        raise ArgumentError(f"Arguments to sort must have equal shapes, got: {[x.shape for x in xs]}")
    num_keys = _operator.index(num_keys)
    if not 1 <= num_keys <= len(xs):
        raise ValueError(f"num_keys={num_keys} must be between 1 and len(operand)={len(xs)}")
    axis = wrapped_axis(dimension, xs[0].ndim, "sort")
    found = _sorted(xs, axis, num_keys)
    return tuple(found) if several else found[0]


def _sorted(xs, axis, num_keys):
    if all(x.dtype.kind != "c" for x in xs[:num_keys]):
        found = p.sort(*xs, axis=axis, num_keys=num_keys)
        return found if len(xs) > 1 else [found]
    # complex numbers are ordered by their real, then their imaginary parts
    keys = [part for x in xs[:num_keys] for part in ((e.real(x), e.imag(x)) if x.dtype.kind == "c" else (x,))]
    *_, order = p.sort(*keys, p.positions_like(xs[0], axis), axis=axis, num_keys=len(keys))
    return [take_along(x, order, axis) for x in xs]


def sort_key_val(keys, values, dimension=-1, is_stable=True):
    """(keys in ascending order, values in the same order)"""
    return sort((as_array(keys, "sort", 0), as_array(values, "sort", 1)), dimension, is_stable)


def top_k(operand, k, *, axis=-1):
    """[the k largest elements along an axis, largest first; their indices, int32]. Of equal elements the first."""
    x = as_array(operand, "top_k")
    k = _operator.index(k)
    if k < 0:
        raise ValueError(f"k argument to top_k must be nonnegative, got {k}")
    if x.dtype.kind == "c":
        raise ValueError("top_k is not compatible with complex inputs.")
    axis = wrapped_axis(axis, x.ndim, "top_k") if x.ndim else 0
    if not x.ndim or x.shape[axis] < k:
        raise ShapeError(f"k argument to top_k must be no larger than size along axis; got {k=} with shape={x.shape}.")
    found = p.top_k(_moved(x, axis, x.ndim - 1), k=k)
    return [_moved(y, x.ndim - 1, axis) for y in found]


def _moved(x, source, target):
    if source == target:
        return x
    order = [i for i in range(x.ndim) if i != source]
    order.insert(target, source)
    return s.transpose(x, permutation=tuple(order))


def _approximate(name, operand, k, axis, aggregate, largest):
    x = as_array(operand, name)
    if not is_float(x.dtype):
        raise ValueError("operand must be a floating type")
    axis = wrapped_axis(axis, x.ndim, name)
    if not aggregate:  # as many candidates as there are elements
        return [x, to_array(p.positions_like(x, axis))]
    found, where = top_k(x if largest else e.neg(x), k, axis=axis)
    return [found if largest else e.neg(found), where]


def approx_max_k(operand, k, reduction_dimension=-1, recall_target=0.95, reduction_input_size_override=-1,
                 aggregate_to_topk=True):  # fmt: skip
    """[the k largest elements along an axis; their indices], exactly, whatever recall is asked for.

    Without aggregate_to_topk all elements are candidates, in their order.
    """
    return _approximate("approx_max_k", operand, k, reduction_dimension, aggregate_to_topk, True)


def approx_min_k(operand, k, reduction_dimension=-1, recall_target=0.95, reduction_input_size_override=-1,
                 aggregate_to_topk=True):  # fmt: skip
    """[the k smallest elements along an axis; their indices]; see approx_max_k."""
    return _approximate("approx_min_k", operand, k, reduction_dimension, aggregate_to_topk, False)


__all__ = ["approx_max_k", "approx_min_k", "sort", "sort_key_val", "top_k"]
