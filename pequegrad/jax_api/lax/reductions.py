"""Reductions over axes, cumulative ones, positions of extrema, and reductions over windows."""

from ...core.dtype import dt, is_integer
from ...core.errors import ArgumentError, DtypeError, MisfitError, ShapeError
from ...core.node import face
from ...ops.convolution import pads
from ...primitives import cumulative
from ...primitives import elementwise as e
from ...primitives import reduction as r
from ...primitives import shape as p
from ...primitives import windows as w
from ...primitives.base import number
from ...primitives.convolution import output_size
from ...transforms.control_flow import associative_scan, scan
from ...transforms.tree import flatten
from ..convert import as_array
from . import elementwise as lax
from .computations import apply_monoid, elementwise, fold, monoid_of, neutral
from .operands import check_kind, check_same_dtypes, constant_like, dtype_of, ints, known_axis, misfit, static_number

# ---- over axes -----------------------------------------------------------------------------------------


def _axes(axes, ndim, name):
    axes = ints(axes)
    if len(set(axes)) != len(axes) or any(not 0 <= a < ndim for a in axes):
        raise ShapeError(f"{name}: axes {axes} are not distinct axes of an array with {ndim} axes.")
    return tuple(sorted(axes))


def _reduced(name, primitive, kind, x, axes):
    x = as_array(x, name)
    check_kind(name, kind, x)
    axes = _axes(axes, x.ndim, name)
    if x.dtype.kind == "c" and primitive in (r.reduce_max, r.reduce_min):
        return _folded(lambda a, b: getattr(lax, name[7:])(a, b), x, axes)
    return primitive(x, axes=axes) if axes else e.convert_to(x, x.dtype, x.weak_type)


def _reduction(name, primitive, kind):
    def function(operand, axes):
        return _reduced(name, primitive, kind, operand, axes)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{primitive.__doc__}; over these axes, which disappear."
    return function


reduce_max, reduce_min, reduce_prod, reduce_and, reduce_or = (
    _reduction(name, getattr(r, name), kind)
    for name, kind in (
        ("reduce_max", "any"), ("reduce_min", "any"), ("reduce_prod", "number"), ("reduce_and", "bits"),
        ("reduce_or", "bits"),
    )
)  # fmt: skip


def reduce_sum(operand, axes, *, out_sharding=None):
    """The sum over these axes, which disappear."""
    return _reduced("reduce_sum", r.reduce_sum, "number", operand, axes)


def reduce_xor(operand, axes):
    """The exclusive or over these axes, which disappear; 0 of nothing."""
    x = as_array(operand, "reduce_xor")
    check_kind("reduce_xor", "bits", x)
    return _folded(e.xor, x, _axes(axes, x.ndim, "reduce_xor"))


def _folded(combine, x, axes, empty=0):
    """x with some axes combined by a function of two arrays."""
    rows = _rows(x, axes)
    if not rows.shape[-1]:
        return constant_like(x, empty, rows.shape[:-1])
    return fold(lambda a, b: [combine(a[0], b[0])], [rows], rows.ndim - 1)[0]


def _rows(x, axes):
    """x with these axes as one, the last."""
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    shape = tuple(x.shape[i] for i in kept)
    size = 1
    for a in axes:
        size *= x.shape[a]
    x = p.transpose(x, permutation=kept + axes) if kept + axes != tuple(range(x.ndim)) else x
    return p.reshape(x, shape=(*shape, size))


_REDUCTIONS = {
    "add": r.reduce_sum, "mul": r.reduce_prod, "max": r.reduce_max, "min": r.reduce_min, "and": r.reduce_and,
    "or": r.reduce_or,
}  # fmt: skip


def reduce(operands, init_values, computation, dimensions, out_sharding=None):
    """The elements along some axes combined by computation(a, b), an associative function of scalars, and with init_values.

    operands: an array or a tree of arrays of one shape; init_values: a tree of scalars of the same structure.
    """
    leaves, structure = flatten(operands)
    start, start_structure = flatten(init_values)
    if structure != start_structure:
        raise MisfitError(f"reduce: operands {structure} and init_values {start_structure} differ in structure.")
    leaves = [as_array(x, "reduce", i) for i, x in enumerate(leaves)]
    start = [as_array(x, "reduce", i) for i, x in enumerate(start)]
    if any(x.shape != leaves[0].shape for x in leaves) or any(y.shape for y in start):
        raise ArgumentError("reduce: operands must have one shape, and init_values must be scalars.")
    axes = _axes(dimensions, leaves[0].ndim, "reduce")
    monoid = _monoid("reduce", computation, structure, leaves, start)
    return structure.unflatten(_reduce(leaves, start, computation, structure, monoid, axes))


def _monoid(name, computation, structure, leaves, start):
    """The name of the function if it is known; initial values of another dtype are allowed if they change nothing."""
    (x, *others), y = leaves, start[0]
    found = None if others or not structure.is_leaf() else monoid_of(computation, x)
    if found is None or not _is_neutral(found, x, y):
        for x, y in zip(leaves, start):
            check_same_dtypes(name, x, y)
    return found


def _is_neutral(monoid, x, y):
    value = static_number(y)
    return value is not None and bool(value == neutral(monoid, x.dtype))


def _reduce(leaves, start, computation, structure, monoid, axes):
    if monoid in _REDUCTIONS and not (leaves[0].dtype.kind == "c" and monoid in ("max", "min")):
        (x,), (y,) = leaves, start
        weak = x.weak_type and y.weak_type
        found = _REDUCTIONS[monoid](x, axes=axes) if axes else x
        if not _is_neutral(monoid, x, y):
            found = apply_monoid(monoid, found, y)
        return [e.convert_to(found, x.dtype, weak)]
    apply = elementwise(computation, structure)
    rows = [_rows(x, axes) for x in leaves]
    wide = [p.broadcast_in_dim(y, shape=x.shape[:-1], axes=()) for x, y in zip(rows, start)]
    if not rows[0].shape[-1]:
        return wide
    return apply(wide, fold(apply, rows, rows[0].ndim - 1))


# ---- positions -------------------------------------------------------------------------------------------


def _position(name, primitive, operand, axis, index_dtype):
    x = as_array(operand, name)
    check_kind(name, "ordered", x)
    index_dtype = dtype_of(index_dtype, name)
    if not is_integer(index_dtype):
        raise DtypeError(f"{name}: index_dtype must be an integer type, but got {index_dtype}.")
    axis = known_axis(axis, x.ndim, name)
    if not x.shape[axis]:
        raise ShapeError(f"{name}: axis {axis} of shape {x.shape} is empty.")
    found = primitive(x, axis=axis, dtype=dt.int64 if index_dtype.itemsize == 8 else dt.int32)
    return e.convert_to(found, index_dtype)


def argmax(operand, axis, index_dtype):
    """The index of the first largest element, or nan, along an axis, in this dtype."""
    return _position("argmax", r.argmax, operand, axis, index_dtype)


def argmin(operand, axis, index_dtype):
    """The index of the first smallest element, or nan, along an axis, in this dtype."""
    return _position("argmin", r.argmin, operand, axis, index_dtype)


# ---- cumulative ------------------------------------------------------------------------------------------


def _cumulative(name, primitive, kind):
    def function(operand, axis=0, reverse=False):
        x = as_array(operand, name)
        check_kind(name, kind, x)
        axis = known_axis(axis, x.ndim, name)
        if x.dtype.kind == "c" and name in ("cummax", "cummin"):
            return associative_scan(getattr(lax, name[3:]), x, reverse=bool(reverse), axis=axis)
        return primitive(x, axis=axis, reverse=bool(reverse))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{primitive.__doc__}; along an axis, from its end if `reverse`."
    return function


cumsum, cumprod, cummax, cummin, cumlogsumexp = (
    _cumulative(name, getattr(cumulative, name), "floating" if name == "cumlogsumexp" else "number")
    for name in ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")
)


# ---- windows ---------------------------------------------------------------------------------------------

_WINDOWS = {"add": w.reduce_window_sum, "max": w.reduce_window_max, "min": w.reduce_window_min}


def reduce_window(operand, init_value, computation, window_dimensions, window_strides=None, padding="VALID",
                  base_dilation=None, window_dilation=None):  # fmt: skip
    """init_value and the elements under each place of a window, but not the padding, combined by computation(so far, next).

    operand, init_value: a tree of arrays of one shape, and one of scalars, which the function gets. All other parameters
    have one entry per axis; padding may be "VALID", "SAME" or "SAME_LOWER".
    """
    leaves, structure = flatten(operand)
    start, start_structure = flatten(init_value)
    if structure != start_structure or not leaves:
        raise ValueError(f"reduce_window: operand {structure} and init_value {start_structure} differ in structure.")
    leaves = [as_array(x, "reduce_window", i) for i, x in enumerate(leaves)]
    start = [as_array(x, "reduce_window", i) for i, x in enumerate(start)]
    if any(x.shape != leaves[0].shape for x in leaves) or any(y.shape for y in start):
        raise ArgumentError("reduce_window: operands must have one shape, and init_values must be scalars.")
    params = _window_parameters(
        leaves[0].shape, window_dimensions, window_strides, padding, base_dilation, window_dilation
    )
    x, y = leaves[0], start[0]
    monoid = _monoid("reduce_window", computation, structure, leaves, start)
    try:
        if monoid is None or x.dtype.kind == "c" and monoid in ("max", "min"):
            return structure.unflatten(_folded_windows(leaves, start, computation, structure, params))
        found = _monoid_windows(x, monoid, params)
    except ShapeError as error:
        raise misfit(error) from None
    if not _is_neutral(monoid, x, y):
        found = apply_monoid(monoid, found, y)
    return structure.unflatten([e.convert_to(found, x.dtype, x.weak_type and y.weak_type)])


def _monoid_windows(x, monoid, params):
    if monoid in _WINDOWS and x.dtype.kind not in ("b" if monoid == "add" else "c"):
        return _WINDOWS[monoid](x, **params)
    laid = _laid_out(x, e.convert_to(number(neutral(monoid, x.dtype), x), x.dtype), **params)
    axes = tuple(range(x.ndim, 2 * x.ndim))
    return _folded(e.xor, laid, axes) if monoid == "xor" else _REDUCTIONS[monoid](laid, axes=axes)


def _folded_windows(leaves, start, computation, structure, params):
    """Elements combined one after the other, in their order, with what is there so far; padding is left out."""
    laid = [_rows(_laid_out(x, y, **params), tuple(range(x.ndim, 2 * x.ndim))) for x, y in zip(leaves, start)]
    yes, no = (e.convert_to(number(v, leaves[0]), dt.bool_) for v in (1, 0))
    inside = p.broadcast_in_dim(yes, shape=leaves[0].shape, axes=())
    inside = _rows(_laid_out(inside, no, **params), tuple(range(inside.ndim, 2 * inside.ndim)))
    apply = elementwise(computation, structure)
    places = inside.shape[:-1]
    found = [p.broadcast_in_dim(e.convert_to(y, x.dtype), shape=places, axes=()) for x, y in zip(leaves, start)]

    def step(found, row):
        here, values = row
        return [e.select(here, new, old) for new, old in zip(apply(found, values), found)], None

    last = inside.ndim - 1
    first = lambda x: p.transpose(x, permutation=(last, *range(last)))
    with face(True):
        return scan(step, found, (first(inside), [first(x) for x in laid]), unroll=min(inside.shape[-1], 8) or 1)[0]


def _window_parameters(shape, window, strides, padding, base_dilation, dilation):
    n = len(shape)
    window, strides, base_dilation, dilation = (
        (1,) * n if v is None else ints(v) for v in (window, strides, base_dilation, dilation)
    )
    if any(len(v) != n for v in (window, strides, base_dilation, dilation)):
        raise ArgumentError(f"reduce_window: shape {shape} needs {n} window sizes, strides and dilations.")
    if isinstance(padding, str):
        sizes = [(s - 1) * b + 1 if s else 0 for s, b in zip(shape, base_dilation)]
        padding = padtype_to_pads(sizes, [(k - 1) * d + 1 for k, d in zip(window, dilation)], strides, padding)
    return {
        "window": window,
        "step": strides,
        "padding": tuple(ints(pair) for pair in padding),
        "base_dilation": base_dilation,
        "dilation": dilation,
    }


def _laid_out(x, value, window, step, padding, base_dilation, dilation):
    """The windows of x as further axes; `value` where there is padding."""
    low, high = ([pair[i] for pair in padding] for i in (0, 1))
    x = p.pad(x, value, low=tuple(low), high=tuple(high), interior=tuple(b - 1 for b in base_dilation))
    places = tuple(output_size(n, k, s, (0, 0), 1, d) for n, k, s, d in zip(x.shape, window, step, dilation))
    if 0 in places:
        return constant_like(x, 0, (*places, *window))
    return w.windows(x, axes=tuple(range(x.ndim)), window=window, step=step, dilation=dilation)


def reduce_window_shape_tuple(operand_shape, window_dimensions, window_strides, padding, base_dilation=None,
                              window_dilation=None):  # fmt: skip
    """The shape of the result of reduce_window, for padding in (before, after) pairs."""
    found = _window_parameters(
        operand_shape, window_dimensions, window_strides, padding, base_dilation, window_dilation
    )
    return tuple(map(output_size, operand_shape, *found.values()))


def padtype_to_pads(in_shape, window_shape, window_strides, padding):
    """(before, after) for each axis, for "VALID", "SAME" or "SAME_LOWER"."""
    if isinstance(padding, str) and padding.upper() not in ("VALID", "SAME", "SAME_LOWER"):
        raise RuntimeError(f"Unrecognized padding type: expected 'VALID', 'SAME' or 'SAME_LOWER', got {padding}.")
    if not isinstance(padding, str):
        raise ArgumentError(f"Unknown padding type: {padding}.")
    n = len(in_shape)
    return list(pads(padding, n, "padding", in_shape, window_shape, window_strides, (1,) * n))


__all__ = [
    "argmax", "argmin", "cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum", "padtype_to_pads", "reduce",
    "reduce_and", "reduce_max", "reduce_min", "reduce_or", "reduce_prod", "reduce_sum", "reduce_window",
    "reduce_window_shape_tuple", "reduce_xor",
]  # fmt: skip
