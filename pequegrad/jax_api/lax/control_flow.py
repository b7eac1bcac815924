"""Loops, branches and scans of functions that are traced: those of pequegrad.transforms, with Arrays as their arguments."""

import functools
import operator
import sys

from ...core.dtype import dt, is_integer
from ...core.errors import ArgumentError, DtypeError
from ...core.node import face, state
from ...primitives import elementwise as e
from ...primitives import shape as p
from ...primitives.base import number
from ...transforms import control_flow as core
from ...transforms.tree import flatten
from ..array import Array
from ..configuration import config
from ..convert import as_array
from ..transforms import arrays_of
from .operands import shapes_as_types

_NOT_GIVEN = object()


def _need_function(name, *functions):
    for function in functions:
        if not callable(function):
            raise ArgumentError(f"lax.{name}: {function!r} is not callable.")


# ---- loops -------------------------------------------------------------------------------------------------


def scan(f, init, xs=None, length=None, reverse=False, unroll=1, _split_transpose=False):
    """f(carry, x) -> (carry, y) for each row x of xs: (the last carry, the stacked y), as one program.

    The carry keeps its structure, shapes and dtypes. length: the number of rows, needed if xs has no leaves; reverse: from
    the last row; unroll: rows per step of the loop, True for all.
    """
    _need_function("scan", f)
    init, xs = arrays_of((init, xs))
    length = _length(xs, length)
    if not isinstance(unroll, int) or unroll < 0:
        raise ValueError("`unroll` must be a `bool` or a nonnegative `int`.")
    if config.jax_disable_jit and length:
        return _scan_step_by_step(f, init, xs, length, reverse)
    with face(True):
        return core.scan(f, init, xs, length=length, reverse=bool(reverse), unroll=unroll or 1)


def _length(xs, length):
    """The number of rows; ValueError if xs and length do not say, or not the same."""
    leaves = flatten(xs)[0]
    if any(not hasattr(x, "shape") or not x.shape for x in leaves):
        raise ValueError("scan got value with no leading axis to scan over: the leaves of xs need at least one axis.")
    sizes = {x.shape[0] for x in leaves}
    if length is not None:
        try:
            length = operator.index(length)
        except TypeError:
            raise ArgumentError(f"lax.scan: the length argument must be an int, got {length!r}.") from None
        sizes.add(length)
    if len(sizes) != 1:
        what = (
            f"leading axis sizes and length that differ: {sorted(sizes)}" if sizes else "no leaves of xs and no length"
        )
        raise ValueError(f"scan got {what}.")
    (found,) = sizes
    if found < 0:
        raise ValueError(f"scan got the negative length {found}.")
    return found


def _scan_step_by_step(f, carry, xs, length, reverse):
    """For jax_disable_jit: f gets values that can be printed."""
    leaves, structure = flatten(xs)
    rows = [None] * length
    for i in reversed(range(length)) if reverse else range(length):
        carry, y = f(carry, structure.unflatten([x[i] for x in leaves]))
        rows[i], y_structure = flatten(y)
    stacked = [
        p.concatenate(*(p.expand_leading(as_array(v, "scan"), 0, 1) for v in column), axis=0) for column in zip(*rows)
    ]
    return carry, y_structure.unflatten(stacked)


def while_loop(cond_fun, body_fun, init_val):
    """body_fun applied again and again, as long as cond_fun of the value is true; differentiable in forward mode only."""
    _need_function("while_loop", cond_fun, body_fun)
    if config.jax_disable_jit:
        value = arrays_of(init_val)
        while cond_fun(value):
            value = body_fun(value)
        return value
    with face(True):
        return core.while_loop(cond_fun, body_fun, arrays_of(init_val))


def fori_loop(lower, upper, body_fun, init_val, *, unroll=None):
    """value = body_fun(i, value) for i from lower to upper - 1.

    With bounds whose values are known it is a scan, differentiable in both modes; else a while_loop, which cannot unroll.
    """
    _need_function("fori_loop", body_fun)
    dtypes = {v.dtype for v in (lower, upper) if hasattr(v, "dtype") and not getattr(v, "weak_type", False)}
    if len(dtypes) > 1:
        raise DtypeError(
            f"lower and upper arguments to fori_loop must have equal types, got {lower.dtype}, {upper.dtype}."
        )
    bounds = [_static(lower), _static(upper)]
    if None not in bounds:
        if config.jax_disable_jit:
            value = arrays_of(init_val)
            for i in range(*bounds):
                value = body_fun(as_array(i, "fori_loop"), value)
            return value
        with face(True):
            return core.fori_loop(*bounds, body_fun, arrays_of(init_val), unroll=1 if unroll is None else unroll)
    if unroll:
        raise ValueError("Can only use `unroll` in `fori_loop` if the loop bounds are statically known.")
    lower, upper = (as_array(v, "fori_loop") for v in (lower, upper))
    if not (is_integer(lower.dtype) and is_integer(upper.dtype)):
        raise DtypeError(f"lower and upper arguments to fori_loop must be integers, got {lower.dtype}, {upper.dtype}.")
    if lower.dtype != upper.dtype:
        wanted = upper.dtype if lower.weak_type else lower.dtype
        lower, upper = (e.convert_to(v, wanted, v.weak_type) for v in (lower, upper))
    with face(True):
        return core.fori_loop(lower, upper, body_fun, arrays_of(init_val))


def _static(bound):
    """A bound as an int, if its value is known."""
    if isinstance(bound, Array):
        known = bound._node.frame is None and (bound._node.value is not None or state.frame is None)
        return int(bound) if known and is_integer(bound.dtype) and not bound.shape else None
    try:
        return None if hasattr(bound, "_node") else operator.index(bound)
    except TypeError:
        raise DtypeError(f"lower and upper arguments to fori_loop must be integers, got {bound!r}.") from None


def map(f, xs, *, batch_size=None):
    """f applied to each row of xs, one after the other; batch_size rows at a time by vmap."""
    _need_function("map", f)
    xs = arrays_of(xs)
    _length(xs, None)
    with face(True):
        return core.map_(f, xs, batch_size=batch_size)


@shapes_as_types
def associative_scan(fn, elems, reverse=False, axis=0):
    """All prefixes of elems under an associative function of two trees of slices: elems[0], fn(elems[0], elems[1]), ..."""
    if not callable(fn):
        raise ArgumentError("lax.associative_scan: fn argument should be callable.")
    with face(True):
        return core.associative_scan(fn, arrays_of(elems), reverse=bool(reverse), axis=operator.index(axis))


# ---- branches ----------------------------------------------------------------------------------------------


def cond(pred, true_fun, false_fun, *operands, operand=_NOT_GIVEN):
    """true_fun(*operands) if the scalar pred is true, else false_fun(*operands); only one of them is run.

    cond(pred, true_operand, true_fun, false_operand, false_fun) gives each its own operand.
    """
    if operand is not _NOT_GIVEN:
        if operands:
            raise ArgumentError(
                f"if 'operand' keyword is passed then no positional operands can be passed, got {operands}."
            )
        operands = (operand,)
    if not callable(true_fun) and len(operands) == 2 and callable(false_fun) and callable(operands[1]):
        first, on_true, second, on_false = true_fun, false_fun, *operands
        return _cond(pred, lambda a, b: on_true(a), lambda a, b: on_false(b), (first, second))
    _need_function("cond", true_fun, false_fun)
    return _cond(pred, true_fun, false_fun, operands)


def _cond(pred, true_fun, false_fun, operands):
    (true_fun, false_fun), operands = _closed_over((true_fun, false_fun), operands)
    try:
        pred = as_array(pred, "cond")
    except TypeError:
        raise ArgumentError(f"Pred must be a scalar, got {pred!r} of type {type(pred)}.") from None
    if pred.shape:
        raise ArgumentError(f"Pred must be a scalar, got shape {pred.shape}.")
    if pred.dtype.kind not in "biuf":
        raise DtypeError(f"Pred type must be either boolean or number, got {pred.dtype}.")
    operands = arrays_of(operands)
    if config.jax_disable_jit:
        return true_fun(*operands) if pred else false_fun(*operands)
    with face(True):
        return core.cond(pred, true_fun, false_fun, *operands)


def switch(index, branches, *operands, operand=_NOT_GIVEN):
    """branches[index](*operands) for a scalar integer, which is clamped to the range of the branches."""
    if operand is not _NOT_GIVEN:
        if operands:
            raise ArgumentError(
                f"if 'operand' keyword is passed then no positional operands can be passed, got {operands}."
            )
        operands = (operand,)
    branches = tuple(branches)
    _need_function("switch", *branches)
    if not branches:
        raise ValueError("Empty branch sequence")
    branches, operands = _closed_over(branches, operands)
    index = as_array(index, "switch")
    if index.shape:
        raise ArgumentError(f"Branch index must be scalar, got shape {index.shape}.")
    if not is_integer(index.dtype):
        raise DtypeError(f"Index type must be an integer, got {index.dtype}.")
    operands = arrays_of(operands)
    if config.jax_disable_jit:
        return branches[min(max(int(index), 0), len(branches) - 1)](*operands)
    with face(True):
        return core.switch(_clamped(index, len(branches)), branches, *operands)


def _closed_over(branches, operands):
    """(branches, operands): functions that are given Refs close over their operands, since Refs are no values."""
    if "pequegrad.jax_api.ref" in sys.modules:
        from ..ref import among

        if among(operands):
            return tuple(functools.partial(branch, *operands) for branch in branches), ()
    return branches, operands


def _clamped(index, n):
    """The index as int32, also where it does not fit: the range is what counts."""
    if index.dtype == dt.int32 or index.dtype.itemsize < 4:
        return index
    low = index if index.dtype.kind == "u" else e.max_(index, number(0, index))
    return e.convert_to(e.min_(low, number(n - 1, index)), dt.int32)


__all__ = ["associative_scan", "cond", "fori_loop", "map", "scan", "switch", "while_loop"]
