"""The class jax.numpy.ufunc: elementwise functions that also reduce, accumulate and update."""

import math
import operator

from ...core.node import face
from ...ops.indexing import getitem
from ...ops.shape import broadcast_to, concatenate, flatten, moveaxis, normalize_axis
from ...primitives import elementwise as e
from ...primitives.base import number
from ...primitives.shape import iota, reshape_to
from ..convert import as_array, as_arrays, requested, to_array
from . import reductions
from .promotion import refuse_out


class ufunc:
    """A function of `nin` arrays, elementwise, with `nout` results, of which it is enough to know `func` on numbers.

    call: the function on arrays (default: func for each element); reduce, accumulate, at, reduceat: what the methods of
    these names do, where one element after the other would take too long. identity: of which reductions start.
    """

    def __init__(
        self, func, /, nin, nout, *, name=None, nargs=None, identity=None, call=None, reduce=None, accumulate=None, at=None,
        reduceat=None,
    ):  # fmt: skip
        self.__name__, self.__doc__ = name or func.__name__, func.__doc__
        self._func = func
        self._nin, self._nout = operator.index(nin), operator.index(nout)
        self._nargs, self._identity = operator.index(nargs or nin), identity
        self._call, self._reduce, self._accumulate = call or self._elementwise, reduce, accumulate
        self._at, self._reduceat = at, reduceat

    nin = property(operator.attrgetter("_nin"), doc="The number of arguments.")
    nout = property(operator.attrgetter("_nout"), doc="The number of results.")
    nargs = property(operator.attrgetter("_nargs"), doc="The number of arguments.")
    identity = property(operator.attrgetter("_identity"), doc="The value that changes nothing, or None.")

    def _key(self):
        return self._func, self.__name__, self.identity, self.nin, self.nout, self.nargs

    def __hash__(self):
        return hash(self._key())

    def __eq__(self, other):
        return isinstance(other, ufunc) and self._key() == other._key()

    def __repr__(self):
        return f"<jnp.ufunc '{self.__name__}'>"

    def __call__(self, *args, out=None, where=None):
        if out is not None or where is not None:
            raise NotImplementedError(f"{'where' if out is None else 'out'} argument of {self}")
        return self._call(*args)

    def _elementwise(self, *args):
        """func on numbers, for all elements of the arguments at once."""
        from ..transforms import vmap

        args = as_arrays(self.__name__, *args)
        shape = e.broadcast_shapes(self.__name__, *(x._node.aval for x in args))
        if not shape:
            return self._func(*args)
        results = vmap(self._func)(*(flatten(broadcast_to(x, shape)) for x in args))
        unflatten = lambda x: reshape_to(x, (*shape, *x.shape[1:]))
        return tuple(map(unflatten, results)) if isinstance(results, tuple) else unflatten(results)

    def _check_binary(self, method):
        if self.nin != 2:
            raise ValueError(f"{method} only supported for binary ufuncs")
        if self.nout != 1:
            raise ValueError(f"{method} only supported for functions returning a single value")

    def _dtype(self, *args):
        """The dtype of the result for elements of the arguments."""
        return self(*(to_array(e.convert_to(number(1, x), x.dtype)) for x in args)).dtype

    # ---- along an axis ---------------------------------------------------------------------------------

    def reduce(self, a, axis=0, dtype=None, out=None, keepdims=False, initial=None, where=None):
        """func(... func(func(a[0], a[1]), a[2]) ...) along `axis`, of elements where `where` is true, from `initial`."""
        a = as_array(a, f"{self.__name__}.reduce")
        self._check_binary("reduce")
        refuse_out(f"{self.__name__}.reduce", out)
        if where is not None and self.identity is None and initial is None:
            raise ValueError(f"{self.__name__}.reduce with a where mask needs 'initial': it has no identity.")
        where = reductions.mask_of(where, f"{self.__name__}.reduce")
        reduce = self._reduce or self._reduce_by_steps
        return reduce(a, axis=axis, dtype=dtype, keepdims=keepdims, initial=initial, where=where)

    def _reduce_by_steps(self, a, axis, dtype, keepdims, initial, where):
        if isinstance(axis, tuple):
            raise NotImplementedError(f"{self.__name__}.reduce over several axes: give one, or None for all.")
        dtype = self._dtype(a, a) if dtype is None else requested(dtype, f"{self.__name__}.reduce")
        shape = a.shape
        where = None if where is None else broadcast_to(where, shape)
        axes = reductions.axes_of(axis, a.ndim, f"{self.__name__}.reduce")
        if axis is None:
            a, where, axis = flatten(a), None if where is None else flatten(where), 0
        rows, mask = (None if x is None else moveaxis(x, axis, 0) for x in (a, where))
        initial = self.identity if initial is None else initial
        if initial is None:
            if not rows.shape[0]:
                raise ValueError(f"{self.__name__}.reduce of nothing is not defined; give 'initial'.")
            initial, rows = getitem(rows, 0), getitem(rows, slice(1, None))
            mask = None if mask is None else getitem(mask, slice(1, None))
        start = broadcast_to(e.convert_to(as_array(initial), dtype), rows.shape[1:])

        def step(value, row):
            new = e.convert_to(self(value, e.convert_to(row[0], dtype)), dtype)
            return new if mask is None else e.select(row[1], new, value)

        found = self._folded(step, start, (rows,) if mask is None else (rows, mask))
        return reshape_to(found, reductions.kept_shape(shape, axes)) if keepdims else found

    def _folded(self, step, start, rows):
        from ...transforms.control_flow import scan

        with face(True):
            return scan(lambda value, row: (step(value, row), None), start, rows)[0]

    def accumulate(self, a, axis=0, dtype=None, out=None):
        """The results of reduce for the first 1, 2, ... elements along `axis`."""
        self._check_binary("accumulate")
        refuse_out(f"{self.__name__}.accumulate", out)
        a = as_array(a, f"{self.__name__}.accumulate")
        return (self._accumulate or self._accumulate_by_steps)(a, axis=axis, dtype=dtype)

    def _accumulate_by_steps(self, a, axis, dtype):
        from ...transforms.control_flow import scan

        if axis is None or isinstance(axis, tuple):
            raise ValueError("accumulate does not allow multiple axes")
        dtype = self._dtype(a, a) if dtype is None else requested(dtype, f"{self.__name__}.accumulate")
        axis = normalize_axis(axis, a.ndim, f"{self.__name__}.accumulate")
        a = e.convert_to(a, dtype)
        if not a.size:
            return a

        def step(value, row):
            new = e.convert_to(self(value, row), dtype)
            return new, new

        rows = moveaxis(a, axis, 0)
        with face(True):
            rest = scan(step, getitem(rows, 0), getitem(rows, slice(1, None)))[1]
        return moveaxis(concatenate([getitem(rows, slice(0, 1)), rest]), 0, axis)

    def reduceat(self, a, indices, axis=0, dtype=None, out=None):
        """The results of reduce for the parts of `axis` between neighbouring `indices`; of an empty part its first element."""
        self._check_binary("reduceat")
        name = f"{self.__name__}.reduceat"
        refuse_out(name, out)
        a, indices = as_arrays(name, a, indices)
        if self._reduceat:
            return self._reduceat(a, indices, axis=axis, dtype=dtype)
        if not a.ndim:
            raise ValueError(f"{name}: a must have an axis at least, got shape {a.shape}.")
        if indices.ndim != 1:
            raise ValueError(f"{name}: indices must have one axis, got shape {indices.shape}.")
        if axis is None or isinstance(axis, (tuple, list)):
            raise ValueError(f"{name} requires a single integer axis.")
        rows = moveaxis(a, normalize_axis(axis, a.ndim, name), 0)
        n, k = rows.shape[0], indices.shape[0]
        column = lambda x: reshape_to(x, (k,) + (1,) * (a.ndim - 1))
        begin, end = indices, getitem(_followed_by(indices, n), slice(1, None))

        def step(value, row):
            inside = e.and_(e.gt(row[0], begin), e.lt(row[0], end))
            return e.select(column(inside), e.convert_to(self(value, row[1]), value.dtype), value)

        places = iota(shape=(n,), dtype=indices.dtype, axis=0, device=a.device)
        found = self._folded(step, getitem(rows, indices), (places, rows))
        return moveaxis(found, 0, axis)

    # ---- at positions, and of all pairs ----------------------------------------------------------------

    def at(self, a, indices, b=None, /, *, inplace=True):
        """a with a[indices] = func(a[indices], b), one after the other; needs inplace=False, since arrays do not change."""
        if inplace:
            raise NotImplementedError(
                f"Arrays do not change: use a = jnp.{self.__name__}.at(a, indices, b, inplace=False)."
            )
        if isinstance(indices, list):
            raise TypeError(f"{self.__name__}.at: indices must be an array or a tuple of arrays, not a list.")
        a, *rest = as_arrays(f"{self.__name__}.at", a, *(() if b is None else (b,)))
        return (self._at or self._at_by_steps)(a, indices, *rest)

    def _at_by_steps(self, a, indices, *rest):
        dtype = self._dtype(a, *rest)
        a, *rest = (e.convert_to(x, dtype) for x in (a, *rest))
        indices = indices if isinstance(indices, tuple) else (indices,)
        if not indices:
            return a
        arrays = [as_array(i) for i in indices if not isinstance(i, slice)]
        shape = e.broadcast_shapes(f"{self.__name__}.at", *(i._node.aval for i in arrays)) if arrays else ()
        if not shape:
            return a.at[indices].set(self(getitem(a, indices), *rest))
        rows = tuple(flatten(broadcast_to(i, shape)) for i in arrays)
        values = ()
        if rest:
            (b,) = rest
            inner = b.shape[len(shape) :]
            values = (reshape_to(broadcast_to(b, (*shape, *inner)), (math.prod(shape), *inner)),)

        def step(value, row):
            of_row = iter(row)
            place = tuple(i if isinstance(i, slice) else next(of_row) for i in indices)
            return value.at[place].set(self(getitem(value, place), *of_row))

        return self._folded(step, a, rows + values)

    def outer(self, A, B, /):
        """func of all pairs of an element of A and one of B: [*A.shape, *B.shape]"""
        self._check_binary("outer")
        A, B = as_arrays(f"{self.__name__}.outer", A, B)
        return self(reshape_to(A, A.shape + (1,) * B.ndim), B)


def _followed_by(indices, n):
    last = e.convert_to(number(n, indices), indices.dtype)
    return concatenate([indices, reshape_to(last, (1,))])


def frompyfunc(func, /, nin, nout, *, identity=None):
    """The ufunc of a function on numbers with `nin` arguments and `nout` results."""
    return ufunc(func, nin, nout, identity=identity)


__all__ = ["ufunc", "frompyfunc"]
