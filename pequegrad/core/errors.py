"""Every error pequegrad raises. Each derives from PequegradError and from the built-ins that fit: where NumPy raises ValueError and
JAX TypeError for the same mistake, from both.

A message says what went wrong, where in the user's code, from which values, and how to fix it.
"""

import linecache
import os
import sys

hidden_paths = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep]  # where code is not the user's


def user_line():
    """The innermost line of the user's code, as 'file.py:12 in f:   code', or '' if there is none."""
    frame, hidden = sys._getframe(1), tuple(hidden_paths)
    while frame is not None and frame.f_code.co_filename.startswith(hidden):
        frame = frame.f_back
    if frame is None:
        return ""
    code, line = frame.f_code, frame.f_lineno
    text = linecache.getline(code.co_filename, line).strip()
    return f"{os.path.basename(code.co_filename)}:{line} in {code.co_name}:   {text}"


class PequegradError(Exception):
    """Base of all errors of this package: `what` happened, `where` (default: the user's line), `origin`, and the `fix`."""

    def __init__(self, what, *, where=None, origin=None, fix=None):
        lines = [what]
        if where := where or user_line():
            lines.append(f"  where: {where}")
        if origin:
            lines.append(f"  from:  {origin}")
        if fix:
            lines.append(f"  fix:   {fix}")
        super().__init__("\n".join(lines))


class ShapeError(PequegradError, ValueError, TypeError):
    """Shapes or axes that do not fit an operation."""


class AxisError(ShapeError, IndexError):
    """An axis that an array does not have; as NumPy's, a ValueError and an IndexError."""


class BroadcastError(ShapeError, TypeError):
    """Operands whose shapes do not broadcast with one another. NumPy calls that a ValueError, JAX a TypeError."""


class IndexingError(PequegradError, IndexError):
    """An index out of range, or of a form that arrays do not take."""


class IndexShapeError(IndexingError, ShapeError):
    """Index arrays whose shapes do not fit each other."""


class DtypeError(PequegradError, TypeError):
    """An unknown dtype, or one that an operation does not work on."""


class PromotionError(PequegradError, ValueError):
    """Operands of dtypes that are not promoted to one (strict promotion)."""


class ArgumentError(PequegradError, ValueError, TypeError):
    """An argument of the wrong kind or value."""


class MisfitError(ShapeError, ArgumentError):
    """Shapes that do not fit a function: a TypeError where JAX raises one, and a ValueError as everywhere else."""


class DeviceError(PequegradError, RuntimeError):
    """A device that is not there, or that failed."""


class DeviceMismatchError(DeviceError):
    """Operands that live on different devices."""


class OutOfMemoryError(PequegradError, MemoryError):
    """A device has no memory left for an array. The process can go on."""


class TracerError(PequegradError, TypeError):
    """A value was needed where only its shape and dtype are known (inside jit, vmap, loop bodies)."""


class ConcretizationTypeError(TracerError):
    """A Python number was to be made of a value that is not known yet. The name, like those below, is JAX's."""


class TracerBoolConversionError(ConcretizationTypeError):
    """`if`, `while`, `and` ... on a value that is not known yet."""


class TracerIntegerConversionError(TracerError):
    """A value that is not known yet, used where Python needs an index: range(x), a list's [x]."""


class TracerArrayConversionError(TracerError):
    """A NumPy array was to be made of values that are not known yet."""


class NonConcreteBooleanIndexError(TracerError, IndexError):
    """x[mask] with a mask that is not known yet: the size of the result would depend on it."""


class UnexpectedTracerError(TracerError):
    """A value of a traced function was kept, and used when the function had ended."""


class AxisNameError(PequegradError, NameError):
    """A collective names an axis that no enclosing vmap has."""


class MappingError(PequegradError, NotImplementedError):
    """A function that vmap cannot map."""


class GradientError(PequegradError, ValueError):
    """A derivative that does not exist or can no longer be computed."""


class NoDerivativeError(GradientError, NotImplementedError):
    """The derivative of an operation that has none, or of which none is known."""


class ForwardModeError(GradientError, TypeError):
    """Forward mode through a function of which only the reverse mode is known."""


class GradientCheckError(PequegradError, AssertionError):
    """check_grads found a derivative that is not that of the function."""


class NonFiniteError(PequegradError, FloatingPointError):
    """An operation made a NaN or an infinity out of finite numbers (jit with debug=True)."""


class MiscompiledError(PequegradError, AssertionError):
    """A compiled function gave other results than its operations one by one (jit with check=True)."""


class ModelFileError(PequegradError, OSError):
    """A model file that is missing, truncated, of another format, or that does not fit the module."""


class UnsupportedModelError(PequegradError, NotImplementedError):
    """A model that asks for what is not there: an operator, an attribute, a type of numbers."""


class DataFileError(PequegradError, OSError):
    """A data file that is missing, or not what it should be."""


class WorkerError(PequegradError, RuntimeError):
    """A worker of a data loader was killed, or failed with an error that cannot be raised elsewhere."""


class MissingPackageError(PequegradError, ImportError):
    """An optional package is needed for this."""
