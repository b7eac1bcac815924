"""Functions that rearrange axes and elements."""

import math

import numpy as np

from ..core.dtype import is_complex, is_float
from ..core.errors import ArgumentError, AxisError, ShapeError
from ..primitives import shape as p
from ..primitives.base import number
from .arithmetic import new_handle, promoted
from .creation import as_tensor, shape_of


def normalize_axis(axis, ndim, name):
    """An axis counted from the front."""
    if not isinstance(axis, (int, np.integer)) or not -ndim <= axis < ndim:
        raise AxisError(
            f"{name}: {axis!r} is not an axis of an array with {ndim} axes.",
            fix=f"use {-ndim} to {ndim - 1}." if ndim else "a 0-d array has no axes.",
        )
    return int(axis) % ndim


def normalize_axes(axis, ndim, name):
    """None (all axes), an int or a tuple of ints as a sorted tuple."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    found = sorted(normalize_axis(a, ndim, name) for a in axes)
    if len(set(found)) != len(found):
        raise ShapeError(f"{name}: axis {axis} names an axis twice.", fix="name each axis once.")
    return tuple(found)


@new_handle
def reshape(x, *shape):
    """The same elements in row-major order; one size may be -1. reshape(x, 2, 3) or reshape(x, (2, 3))."""
    x = as_tensor(x)
    shape = shape[0] if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)) else shape
    shape = tuple(int(n) for n in shape)
    if shape.count(-1) == 1:
        known = math.prod(n for n in shape if n != -1)
        if known == 0 or x.size % known:
            raise ShapeError(
                f"reshape: {x._node.aval} cannot have shape {list(shape)}: {x.size} elements are not a multiple of {known}."
            )
        shape = tuple(x.size // known if n == -1 else n for n in shape)
    return p.reshape_to(x, shape)


@new_handle
def transpose(x, *axes):
    """x with its axes in another order, reversed unless `axes` are given (as in NumPy)."""
    x = as_tensor(x)
    axes = axes[0] if len(axes) == 1 and not isinstance(axes[0], (int, np.integer)) else axes
    axes = tuple(range(x.ndim))[::-1] if not axes else tuple(normalize_axis(a, x.ndim, "transpose") for a in axes)
    return x if axes == tuple(range(x.ndim)) else p.transpose(x, permutation=axes)


def permute(x, *axes):
    """x with its axes in the order `axes`: permute(x, (0, 2, 1)) or permute(x, 0, 2, 1)."""
    return transpose(x, *axes)


def swapaxes(x, axis1, axis2):
    """x with two axes exchanged."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    a, b = normalize_axis(axis1, x.ndim, "swapaxes"), normalize_axis(axis2, x.ndim, "swapaxes")
    order[a], order[b] = b, a
    return transpose(x, tuple(order))


@new_handle
def moveaxis(x, source, destination):
    """x with axis `source` at position `destination`; the others keep their order."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    order.insert(normalize_axis(destination, x.ndim, "moveaxis"), order.pop(normalize_axis(source, x.ndim, "moveaxis")))
    return transpose(x, tuple(order))


def expand_dims(x, axis):
    """x with new axes of size 1 at the positions `axis` of the result."""
    x = as_tensor(x)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = normalize_axes(tuple(axes), x.ndim + len(axes), "expand_dims")
    sizes = iter(x.shape)
    return p.reshape_to(x, tuple(1 if i in axes else next(sizes) for i in range(x.ndim + len(axes))))


@new_handle
def squeeze(x, axis=None):
    """x without the given axes of size 1, or without all of them."""
    x = as_tensor(x)
    axes = (
        tuple(i for i, n in enumerate(x.shape) if n == 1) if axis is None else normalize_axes(axis, x.ndim, "squeeze")
    )
    if any(x.shape[a] != 1 for a in axes):
        raise ShapeError(f"squeeze: axes {list(axes)} of {x._node.aval} do not all have size 1.")
    return p.reshape_to(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


@new_handle
def flatten(x, start_axis=0, end_axis=-1):
    """x with the axes from start_axis to end_axis merged into one."""
    x = as_tensor(x)
    if not x.ndim:
        return p.reshape(x, shape=(1,))
    a, b = normalize_axis(start_axis, x.ndim, "flatten"), normalize_axis(end_axis, x.ndim, "flatten")
    return p.reshape_to(x, x.shape[:a] + (math.prod(x.shape[a : b + 1]),) + x.shape[b + 1 :])


@new_handle
def broadcast_to(x, *shape):
    """x repeated to `shape` as NumPy broadcasts it."""
    x, shape = as_tensor(x), shape_of(*shape)
    if x.shape == shape:
        return x
    if x.ndim > len(shape):
        raise ShapeError(f"broadcast_to: {x._node.aval} has more axes than shape {list(shape)}.")
    return p.broadcast_in_dim(x, shape=shape, axes=tuple(range(len(shape) - x.ndim, len(shape))))


def concatenate(tensors, axis=0, *, dim=None):
    """The tensors one after the other along an existing axis."""
    axis = axis if dim is None else dim
    if not len(tensors):
        raise ArgumentError("concatenate: no tensors given.")
    tensors = promoted(*tensors)
    return p.concatenate(*tensors, axis=normalize_axis(axis, tensors[0].ndim, "concatenate"))


def stack(tensors, axis=0, *, dim=None):
    """The tensors, all of one shape, along a new axis."""
    axis = axis if dim is None else dim
    return concatenate([expand_dims(x, axis) for x in tensors], axis)


def split(x, sections, axis=0):
    """A list of parts of x along `axis`: `sections` equal parts, or cut at the given positions."""
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim, "split")
    n = x.shape[axis]
    if isinstance(sections, int):
        if sections < 1 or n % sections:
            raise ShapeError(f"split: axis {axis} of {x._node.aval} does not divide into {sections} equal parts.")
        cuts = list(range(0, n + 1, n // sections)) if n else [0] * (sections + 1)
    else:
        cuts = [0, *(min(max(c + n if c < 0 else c, 0), n) for c in sections), n]
    return [p.slice_axis(x, axis, a, max(a, b)) for a, b in zip(cuts, cuts[1:])]


def flip(x, axis=None):
    """x with the order along `axis` (default: all axes) reversed."""
    x = as_tensor(x)
    return p.rev(x, axes=normalize_axes(axis, x.ndim, "flip"))


def pad(x, widths=None, value=0, *, pad_width=None, mode="constant", constant_values=None):
    """x with `value` around it: widths is (before, after), one pair for all axes or one pair per axis, or one number for all.

    pad_width, mode ("constant" only) and constant_values (one number) are NumPy's names.
    """
    x = as_tensor(x)
    if isinstance(value, str):  # NumPy's order: pad(x, widths, mode)
        mode, value = value, 0
    if mode != "constant":
        raise ArgumentError(f"pad: there is no mode {mode!r}.", fix="use 'constant', or concatenate parts of x.")
    value = value if constant_values is None else constant_values
    if (widths is None) == (pad_width is None):
        raise ArgumentError("pad: give either widths or pad_width.")
    widths = pad_width if widths is None else widths
    widths = (widths, widths) if isinstance(widths, int) else widths
    widths = [widths] * x.ndim if len(widths) == 2 and isinstance(widths[0], int) else list(widths)
    if len(widths) != x.ndim:
        raise ShapeError(
            f"pad: {len(widths)} pairs of widths for {x.ndim} axes.", fix="give one (before, after) per axis."
        )
    low, high = tuple(int(a) for a, _ in widths), tuple(int(b) for _, b in widths)
    fits = is_complex(x.dtype) or not isinstance(value, complex) and (is_float(x.dtype) or not isinstance(value, float))
    if not fits:
        raise ArgumentError(f"pad: the value {value} does not fit dtype {x.dtype}.", fix="convert x first.")
    return p.pad(x, number(value, x), low=low, high=high, interior=(0,) * x.ndim)
