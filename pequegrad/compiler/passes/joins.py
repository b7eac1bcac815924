"""Joins: concatenate, pad and slice that undo each other, or that move nothing."""

from ...primitives import elementwise as e
from ...primitives import shape as s
from .rewriting import kind, local_pass


def _is(node, name):
    return node.spec.primitive.name == name


def _along(axis, values, value):
    return tuple([value if i == axis else v for i, v in enumerate(values)])


# ---- concatenate -------------------------------------------------------------------------------------


def concatenate(b, spec, inputs):
    """One operand, empty operands, operands that are joined along the same axis themselves."""
    axis, parts = spec.params["axis"], []
    for x in inputs:
        if _is(x, "concatenate") and x.spec.params["axis"] == axis:
            parts += x.inputs
        elif x.aval.shape[axis]:
            parts.append(x)
    parts = _joined_slices(b, parts, axis)
    if not parts:
        return inputs[0]
    if len(parts) == 1:
        return parts[0]
    return b.make(s.concatenate, *parts, axis=axis) if tuple(parts) != inputs else None


def _joined_slices(b, parts, axis):
    """`parts` with slices of one array that follow each other as one slice."""
    found = []
    for x in parts:
        last = found[-1] if found else None
        if last is not None and _is(last, "slice") and _is(x, "slice") and last.inputs == x.inputs:
            before, after = last.spec.params, x.spec.params
            others = [_along(axis, p[key], 0) for p in (before, after) for key in ("start", "limit", "step")]
            one = before["step"][axis] == after["step"][axis] == 1 and before["limit"][axis] == after["start"][axis]
            if one and others[:3] == others[3:]:
                limit = _along(axis, before["limit"], after["limit"][axis])
                found[-1] = b.make(s.slice_, x.inputs[0], start=before["start"], limit=limit, step=before["step"])
                continue
        found.append(x)
    return found


def slice_of_concatenate(b, spec, inputs):
    """A slice that lies within one operand is a slice of that."""
    (x,) = inputs
    if not _is(x, "concatenate"):
        return None
    axis = x.spec.params["axis"]
    start, limit = spec.params["start"], spec.params["limit"]
    begin = 0
    for part in x.inputs:
        end = begin + part.aval.shape[axis]
        if begin <= start[axis] < limit[axis] <= end:
            moved = _along(axis, start, start[axis] - begin), _along(axis, limit, limit[axis] - begin)
            return b.make(s.slice_, part, start=moved[0], limit=moved[1], step=spec.params["step"])
        begin = end
    return None


# ---- pad ---------------------------------------------------------------------------------------------


def pad(b, spec, inputs):
    """pad by nothing; pad(pad(x)) by the same value."""
    x, value = inputs
    low, high, interior = spec.params["low"], spec.params["high"], spec.params["interior"]
    if not any(low + high) and all(not i or n <= 1 for i, n in zip(interior, x.aval.shape)):
        return x
    if _is(x, "pad") and x.inputs[1] is value and not any(interior) and min(low + high) >= 0:
        inner = x.spec.params
        if min(inner["low"] + inner["high"]) >= 0:
            low = tuple([a + c for a, c in zip(inner["low"], low)])
            high = tuple([a + c for a, c in zip(inner["high"], high)])
            return b.make(s.pad, x.inputs[0], value, low=low, high=high, interior=inner["interior"])
    return None


def slice_of_pad(b, spec, inputs):
    """A slice of what was padded is a slice of that."""
    (x,) = inputs
    if not _is(x, "pad"):
        return None
    (y, _), params = x.inputs, x.spec.params
    start = tuple([a - c for a, c in zip(spec.params["start"], params["low"])])
    limit = tuple([a - c for a, c in zip(spec.params["limit"], params["low"])])
    if any(params["interior"]) or any(not 0 <= a <= z <= n for a, z, n in zip(start, limit, y.aval.shape)):
        return None
    return b.make(s.slice_, y, start=start, limit=limit, step=spec.params["step"])


def slice_update(b, spec, inputs):
    """Where all of x is replaced, x does not matter."""
    x, update = inputs
    return update if update.aval.shape == x.aval.shape else None


# ---- sums of padded arrays: what the derivative of splitting gives -----------------------------------


def sum_of_pads(b, spec, inputs):
    """pad(x) + pad(y), both with zeros, where x and y do not overlap along an axis, is their concatenation.

    Zeros stay between and around them. Adding 0.0 makes 0.0 of -0.0: it is added to x and y, too.
    """
    x, y = inputs
    if x.aval.shape != y.aval.shape or not (_is_partial(x) and _is_partial(y)):
        return None
    for axis in range(x.aval.ndim):
        first, second = _pieces(b, x, axis), _pieces(b, y, axis)
        if first is not None and second is not None:
            found = _merged(first, second)
            if found is not None:
                return _laid_out(b, found, axis, spec.aval)
    return None


def _is_partial(x):
    return _is(x, "pad") or _is(x, "concatenate")


def _is_zero(b, node):
    """True for 0.0, not -0.0, or a broadcast of it."""
    if _is(node, "broadcast_in_dim"):
        node = node.inputs[0]
    return repr(b.literal(node)) in ("0", "0.0", "0j", "False")


def _pieces(b, x, axis):
    """x along `axis` as a list of (size, node, or None for zeros); None if it is not of that form."""
    params = x.spec.params
    if _is(x, "concatenate"):
        if params["axis"] != axis:
            return None
        pieces = [(part.aval.shape[axis], None if _is_zero(b, part) else part) for part in x.inputs]
    else:
        low, high, (y, value) = params["low"], params["high"], x.inputs
        if not _is_zero(b, value) or any(params["interior"]) or low[axis] < 0 or high[axis] < 0:
            return None
        if any(_along(axis, low, 0)) or any(_along(axis, high, 0)):
            return None
        inner = _pieces(b, y, axis) if _is(y, "concatenate") else None
        pieces = [(low[axis], None), *(inner or [(y.aval.shape[axis], y)]), (high[axis], None)]
    return _without_seams(pieces)


def _without_seams(pieces):
    """The pieces without empty ones, zeros that follow each other as one."""
    found = []
    for size, node in pieces:
        if size and node is None and found and found[-1][1] is None:
            found[-1] = found[-1][0] + size, None
        elif size:
            found.append((size, node))
    return found


def _merged(first, second):
    """Two lists of pieces as one, if at each place at most one is not zero and no piece is cut; else None."""
    first, second, found = first[::-1], second[::-1], []
    while first and second:
        (n, x), (m, y) = first.pop(), second.pop()
        size = min(n, m)
        if (x is not None and (y is not None or m < n)) or (y is not None and n < m):
            return None
        if n > size:
            first.append((n - size, None))
        if m > size:
            second.append((m - size, None))
        found.append((size, y if x is None else x))
    return _without_seams(found)


def _laid_out(b, pieces, axis, aval):
    """The pieces, each with 0.0 added, as the padded concatenation of all that lies between zeros."""
    low = pieces.pop(0)[0] if pieces[0][1] is None else 0
    high = pieces.pop()[0] if pieces[-1][1] is None else 0
    zero = b.number(0, aval)
    signed = kind(aval) in ("float", "complex")
    parts = []
    for size, node in pieces:
        if node is None:
            node = b.broadcast(zero, _along(axis, aval.shape, size), ())
        parts.append(b.make(e.add, node, zero) if signed else node)
    joined = b.make(s.concatenate, *parts, axis=axis)
    none = (0,) * aval.ndim
    return b.make(s.pad, joined, zero, low=_along(axis, none, low), high=_along(axis, none, high), interior=none)


RULES = {
    "concatenate": [concatenate],
    "slice": [slice_of_concatenate, slice_of_pad],
    "pad": [pad],
    "slice_update": [slice_update],
    "add": [sum_of_pads],
}
joins = local_pass(RULES)
