"""What the functions of jax.lax ask of their operands: arrays or numbers of one dtype, which must be of the right kind.

lax is strict: dtypes are not promoted (a Python int is int32, a float float32), and only scalars, and axes of size 1 of
arrays of the same rank, are broadcast. What does not fit is a TypeError.
"""

import functools
import operator
import warnings

import numpy as np

from ...core import dtype as dtypes
from ...core.dtype import is_float, is_integer
from ...core.errors import ArgumentError, DtypeError, MisfitError, ShapeError
from ...primitives.base import number
from ...primitives.elementwise import convert_to
from ...primitives.shape import broadcast_in_dim
from ..configuration import config
from ..convert import as_array, canonical

# what dtypes a function takes: name for messages -> test
KINDS = {
    "number": lambda d: d.kind != "b",
    "real": lambda d: d.kind not in "bc",
    "ordered": lambda d: d.kind != "c",
    "floating": is_float,
    "inexact": lambda d: is_float(d) or d.kind == "c",
    "complex": lambda d: d.kind == "c",
    "signed": lambda d: d.kind not in "bu",
    "integer": is_integer,
    "bits": lambda d: d.kind == "b" or is_integer(d),
    "float32 or float64": lambda d: d.kind == "f" and d.itemsize >= 4,
    "float32, float64 or complex": lambda d: d.kind in "fc" and d.itemsize >= 4,
    "any": lambda d: True,
}


def check_kind(name, kind, *operands):
    """Raises unless the dtype of each operand is of this kind of KINDS."""
    for i, x in enumerate(operands):
        if not KINDS[kind](x.dtype):
            raise DtypeError(
                f"{name} takes {kind} dtypes, got {x._node.aval} at position {i}.", fix="convert it first."
            )


def check_same_dtypes(name, *operands):
    """Raises unless all operands have one dtype."""
    if len({x.dtype for x in operands}) > 1:
        raise DtypeError(
            f"lax.{name} requires arguments to have the same dtypes, got {', '.join(x.dtype.name for x in operands)}.",
            fix="jax.numpy's functions promote; or convert one: x.astype(dtype).",
        )


def check_shapes(name, *operands):
    """Raises unless the operands that are no scalars have one rank, and sizes that are equal or 1."""
    shapes = [x.shape for x in operands if x.shape]
    if len({len(shape) for shape in shapes}) > 1:
        raise ArgumentError(f"{name}: arrays must have the same number of dimensions, got {shapes}.")
    for sizes in zip(*shapes):
        if len({n for n in sizes if n != 1}) > 1:
            raise ArgumentError(f"{name} got incompatible shapes for broadcasting: {shapes}.")


def operands_of(name, kind, *args):
    """The arguments as Arrays of one dtype, of this kind of KINDS, and of shapes that fit each other."""
    xs = [as_array(x, name, i) for i, x in enumerate(args)]
    check_kind(name, kind, *xs)
    check_same_dtypes(name, *xs)
    check_shapes(name, *xs)
    return xs


def shapes_as_types(function):
    """Decorator: what is wrong with shapes and parameters is both a TypeError and a ValueError: JAX has no rule for which."""

    @functools.wraps(function)
    def checked(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except (ShapeError, ArgumentError) as error:
            raise misfit(error) from None

    return checked


def misfit(error):
    """An error as a MisfitError with the same text."""
    found = MisfitError.__new__(MisfitError)
    Exception.__init__(found, *error.args)
    return found


def dtype_of(dtype, name):
    """The dtype that is made where `dtype` is asked for: 64 bits become 32, with a warning, unless jax_enable_x64 is on."""
    asked = dtypes.canonical(dtype)
    found = canonical(asked)
    if found != asked and not config.jax_enable_x64 and dtype not in (int, float, complex):
        warnings.warn(
            f"Explicitly requested dtype {asked} requested in {name} is not available, and will be truncated to dtype "
            f"{found}. To enable more dtypes, set the jax_enable_x64 configuration option.",
            stacklevel=3,
        )
    return found


def ints(values):
    """A sequence of ints, NumPy's or those of an array among them, as a tuple; TypeError for anything else."""
    return tuple([operator.index(v) for v in values])


def known_axis(axis, ndim, name):
    """An axis of lax, which is not negative; ValueError for any other."""
    axis = operator.index(axis)
    if not 0 <= axis < ndim:
        raise ShapeError(f"{name}: axis {axis} is out of bounds for an array with {ndim} axes.")
    return axis


def wrapped_axis(axis, ndim, name):
    """An axis that may count from the end."""
    found = operator.index(axis)
    if not -ndim <= found < ndim:
        raise ShapeError(f"{name}: axis {axis} is out of bounds for array of dimension {ndim}.")
    return found % ndim


def constant_like(x, value, shape):
    """`value` everywhere in this shape, in the dtype of x."""
    return broadcast_in_dim(convert_to(number(value, x), x.dtype), shape=shape, axes=())


def static_number(x):
    """The value of a 0-d array that is known without running anything, or None."""
    if isinstance(x, (bool, int, float, complex, np.generic)):
        return x
    node = x._node
    if node.spec.primitive.name == "Constant":
        return node.spec.params["value"]
    if node.aval.shape or node.value is None or node.frame is not None:
        return None
    return x.item()
