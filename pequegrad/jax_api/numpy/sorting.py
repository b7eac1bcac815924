"""Sorting and searching. In their order nan is above all numbers; complex numbers are ordered by real, then by imaginary part."""

from ...core.dtype import complex_of, default_int, dt, is_complex
from ...ops import shape as o
from ...ops import sorting
from ...ops.arithmetic import astype
from ...ops.indexing import getitem
from ...ops.rearrange import put_along_axis
from ...primitives import elementwise as e
from ...primitives import shape as s
from ...primitives import sorting as p
from ..convert import as_array, as_arrays, requested
from .arguments import axis_index, filled
from .manipulation import ravel


def _argument(a, axis, kind, order, name):
    a = as_array(a, name)
    if kind is not None:
        raise TypeError(f"{name}: 'kind' is not supported; use stable=True or stable=False.")
    if order is not None:
        raise TypeError(f"{name}: 'order' is not supported.")
    if axis is None:
        return ravel(a), 0
    return a, axis_index(axis, a.ndim)


def keys_of(x):
    """Arrays in whose lexicographic order the elements of x lie."""
    return (e.real(x), e.imag(x)) if is_complex(x.dtype) else (x,)


def sort(a, axis=-1, *, kind=None, order=None, stable=True, descending=False):
    """The elements in ascending order along `axis` (None: of the flattened array); descending: in the reverse of that order."""
    a, axis = _argument(a, axis, kind, order, "sort")
    out = p.sort(*keys_of(a), a, axis=axis, num_keys=2)[-1] if is_complex(a.dtype) else p.sort(a, axis=axis, num_keys=1)
    return s.rev(out, axes=(axis,)) if descending else out


def argsort(a, axis=-1, *, kind=None, order=None, stable=True, descending=False, dtype=None):
    """The positions from which sort takes its elements; equal elements stay in their order. dtype: of the positions."""
    a, axis = _argument(a, axis, kind, order, "argsort")
    dtype = default_int() if dtype is None else requested(dtype, "argsort")
    keys = keys_of(a)
    if not descending:
        return astype(sorting._order(keys, axis), dtype)
    # the order of the reversed array, read backwards, has equal elements in their order
    found = sorting._order(tuple(s.rev(key, axes=(axis,)) for key in keys), axis)
    return astype(e.sub(a.shape[axis] - 1, s.rev(found, axes=(axis,))), dtype)


def lexsort(keys, axis=-1):
    """The positions that sort by several keys, the last one being the most important."""
    keys = as_arrays("lexsort", *keys)
    if not keys:
        raise TypeError("lexsort: no keys are given")
    if len({key.shape for key in keys}) > 1:
        raise ValueError("lexsort: all keys must have one shape")
    if not keys[0].ndim:
        return filled(keys[0], (), 0, default_int())
    keys = tuple(part for key in reversed(keys) for part in keys_of(key))
    return astype(sorting._order(keys, axis_index(axis, keys[0].ndim)), default_int())


def sort_complex(a):
    """The elements along the last axis in ascending order, as complex numbers."""
    a = sort(as_array(a, "sort_complex"))
    return a if is_complex(a.dtype) else e.convert_to(a, complex_of(a.dtype))


def _partition_argument(a, kth, axis, name):
    """`a` with the axis as its last one, kth and the axis counted from the front, and `a` in the opposite order."""
    a = as_array(a, name)
    if is_complex(a.dtype):
        raise NotImplementedError(f"{name} of complex numbers is not supported.")
    if a.dtype.kind == "b":
        raise TypeError(f"{name} of bool is not supported.")
    axis = axis_index(axis, a.ndim)
    a, kth = o.swapaxes(a, axis, -1), axis_index(kth, a.shape[axis])
    return a, kth, axis, e.neg(e.add(a, 1) if a.dtype.kind == "u" else a)


def partition(a, kth, axis=-1):
    """The elements along `axis`, first the kth + 1 smallest, ascending, then the others, descending."""
    a, kth, axis, opposite = _partition_argument(a, kth, axis, "partition")
    low = e.neg(p.top_k(opposite, k=kth + 1)[0])
    low = e.sub(low, 1) if a.dtype.kind == "u" else low
    high = p.top_k(a, k=a.shape[-1] - kth - 1)[0]
    return o.swapaxes(s.concatenate(low, high, axis=a.ndim - 1), axis, -1)


def argpartition(a, kth, axis=-1):
    """Positions along `axis`: first those of the kth + 1 smallest elements, ascending by element, then the others in order."""
    a, kth, axis, opposite = _partition_argument(a, kth, axis, "argpartition")
    low = p.top_k(opposite, k=kth + 1)[1]
    others = put_along_axis(filled(a, a.shape, 1, dt.float32), low, 0.0, -1)
    high = p.top_k(others, k=a.shape[-1] - kth - 1)[1]
    return o.swapaxes(s.concatenate(low, high, axis=a.ndim - 1), axis, -1)


_METHODS = ("scan", "scan_unrolled", "sort", "compare_all")


def searchsorted(a, v, side="left", sorter=None, *, method="scan"):
    """Where the elements of v would be inserted into the ascending vector `a`: before equal ones, or (side "right") after them.

    sorter: the positions that sort `a`. method: names that JAX knows; all give the same.
    """
    a, v = as_arrays("searchsorted", a, v)
    if a.ndim != 1:
        raise ValueError("searchsorted: a must have one axis")
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side={side!r} is not 'left' or 'right'")
    if method not in _METHODS:
        raise ValueError(f"searchsorted: method={method!r} is not one of {', '.join(_METHODS)}")
    if sorter is not None:
        a = getitem(a, as_array(sorter, "searchsorted", 2))
    return sorting.searchsorted(a, v, side)


__all__ = [
    "sort", "argsort", "lexsort", "sort_complex", "partition", "argpartition", "searchsorted",
]  # fmt: skip
