"""Functions of vectors and numbers applied to whole arrays: vectorize, apply_along_axis, piecewise."""

import functools
import re

import numpy as np

from ...core.tensor import Tensor
from ...ops.arithmetic import astype
from ...ops.arithmetic import where as choice
from ...primitives import elementwise as e
from ..convert import as_array
from ..transforms import vmap
from .arguments import axis_index, filled
from .manipulation import expand_dims, squeeze

_NAMES = r"\((?:\w+(?:,\w+)*)?\)"
_SIGNATURE = re.compile(rf"{_NAMES}(?:,{_NAMES})*->{_NAMES}(?:,{_NAMES})*")


def _axes_of_signature(signature):
    """("n", "m"), ... for each argument and each result of "(n,m),(m)->(n)"."""
    if not _SIGNATURE.fullmatch(signature):
        raise ValueError(f"not a valid gufunc signature: {signature}")
    return [[tuple(re.findall(r"\w+", group)) for group in re.findall(_NAMES, side)] for side in signature.split("->")]


def _note_sizes(sizes, shape, names, what):
    for name, n in zip(names, shape[len(shape) - len(names) :]):
        if sizes.setdefault(name, n) != n:
            raise ValueError(f"vectorize: axis {name!r} of {what} has size {n}, another one has {sizes[name]}")


def vectorize(pyfunc, *, excluded=frozenset(), signature=None):
    """pyfunc, a function of numbers, as a function of arrays, which broadcast; by vmap.

    signature: "(n,m),(m)->(n)" names the last axes of arguments and results on which pyfunc works at once. excluded: positions
    and names of arguments that are passed on as they are.
    """
    if any(not isinstance(entry, (str, int)) for entry in excluded):
        raise TypeError(f"vectorize: excluded={excluded!r} may only have integers and strings")
    if any(isinstance(entry, int) and entry < 0 for entry in excluded):
        raise ValueError(f"vectorize: excluded={excluded!r} has negative numbers")
    axes = None if signature is None else _axes_of_signature(signature)

    @functools.wraps(pyfunc)
    def wrapped(*args, **kwargs):
        from .creation import asarray

        positions = [i for i in range(len(args)) if i not in excluded]
        named = [key for key in kwargs if key not in excluded]
        given = [args[i] for i in positions] + [kwargs[key] for key in named]
        inputs = [()] * len(given) if axes is None else axes[0]
        if axes is not None and len(inputs) != len(positions):
            raise TypeError(f"vectorize: {signature} has {len(inputs)} arguments, {len(positions)} are given")
        mapped = [k for k, x in enumerate(given) if x is not None]
        if any(inputs[k] for k in range(len(given)) if given[k] is None):
            raise ValueError(f"vectorize: None is given for an argument that has axes in {signature}")

        def call(*arrays):
            values = list(given)
            for k, x in zip(mapped, arrays):
                values[k] = x
            full = list(args)
            for i, x in zip(positions, values):
                full[i] = x
            return pyfunc(*full, **{**kwargs, **dict(zip(named, values[len(positions) :]))})

        arrays = [x if isinstance(x := given[k], Tensor) else asarray(x) for k in mapped]
        return _mapped(call, arrays, [inputs[k] for k in mapped], None if axes is None else axes[1])

    return wrapped


def _mapped(call, arrays, names, results):
    """call(*arrays) vmapped over all axes before those that `names` stand for; results: the names of the results' axes."""
    sizes, outer = {}, []
    for i, (x, own) in enumerate(zip(arrays, names)):
        if x.ndim < len(own):
            raise ValueError(f"vectorize: argument {i} of shape {x.shape} lacks axes: it should have {own}")
        _note_sizes(sizes, x.shape, own, f"argument {i}")
        outer.append(x.shape[: x.ndim - len(own)])
    shape = np.broadcast_shapes(*outer)
    function = call if results is None else _checked(call, sizes, results)
    # axes of size 1 are dropped; an array takes part in the vmaps over its other axes
    arrays = [squeeze(x, tuple(a for a, n in enumerate(own) if n == 1)) for x, own in zip(arrays, outer)]
    missing = []
    for k in range(1, len(shape) + 1):
        in_axes = tuple(0 if len(own) >= k and own[-k] != 1 else None for own in outer)
        if any(axis == 0 for axis in in_axes):
            function = vmap(function, in_axes)
        else:
            missing.append(len(shape) - k)
    found = function(*arrays)
    if not missing:
        return found
    if isinstance(found, tuple):
        return tuple(expand_dims(x, missing) for x in found)
    return expand_dims(found, missing)


def _checked(function, sizes, results):
    """`function`, whose results must have the axes that the signature names."""

    def checked(*args):
        out = function(*args)
        found = out if isinstance(out, tuple) else (out,)
        if len(results) > 1 and not isinstance(out, tuple):
            raise TypeError(f"vectorize: the function must return a tuple of {len(results)} arrays, it returns {out!r}")
        if len(found) != len(results):
            raise TypeError(f"vectorize: {len(found)} results, {len(results)} in the signature")
        known = dict(sizes)
        for x, names in zip(found, results):
            if len(np.shape(x)) != len(names):
                raise ValueError(f"vectorize: a result of shape {np.shape(x)} does not have the axes {names}")
            _note_sizes(known, np.shape(x), names, "a result")
        return out

    return checked


def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    """func1d(vector, *args, **kwargs) of all vectors along an axis of arr; its results take the place of that axis."""
    arr = as_array(arr, "apply_along_axis", 2)
    axis = axis_index(axis, arr.ndim)
    function = lambda x: func1d(x, *args, **kwargs)
    for i in range(1, arr.ndim - axis):
        function = vmap(function, in_axes=i, out_axes=-1)
    for _ in range(axis):
        function = vmap(function)
    return function(arr)


def apply_over_axes(func, a, axes):
    """func(a, axis) for one axis after the other; func keeps the axis or drops it, in which case it comes back with size 1."""
    a = as_array(a, "apply_over_axes", 1)
    for axis in axes:
        found = func(a, axis)
        if found.ndim == a.ndim - 1:
            found = expand_dims(found, axis)
        if found.ndim != a.ndim:
            raise ValueError("apply_over_axes: the function does not return an array of the right number of axes")
        a = found
    return a


def piecewise(x, condlist, funclist, *args, **kw):
    """Elementwise f(x, *args, **kw) with the function f (or the number) of the last condition that is true.

    One function more than conditions: where none is true; else 0.
    """
    x = as_array(x, "piecewise")
    default, functions = 0, list(funclist)
    if len(functions) == len(condlist) + 1:
        default = functions.pop()
    if len(functions) != len(condlist):
        raise ValueError(f"piecewise: {len(condlist)} conditions for {len(funclist)} functions")

    def value(f):
        if callable(f):
            return astype(vectorize(lambda v: f(v, *args, **kw))(x), x.dtype)
        return e.convert_to(as_array(f), x.dtype)

    out = value(default) if callable(default) else filled(x, x.shape, 0) + value(default)
    for condition, f in zip(condlist, functions):
        out = choice(condition if hasattr(condition, "ndim") else np.asarray(condition), value(f), out)
    return out


__all__ = ["vectorize", "apply_along_axis", "apply_over_axes", "piecewise"]
