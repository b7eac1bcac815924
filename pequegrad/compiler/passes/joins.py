"""Joins: concatenate, pad and slice that undo each other, or that move nothing."""

from ...primitives import shape as s
from .rewriting import local_pass

_MOST = 64  # operands of a concatenation that are taken over: what grows step by step would grow quadratically


def _is(node, name):
    return node.spec.primitive.name == name


def _along(axis, values, value):
    return tuple([value if i == axis else v for i, v in enumerate(values)])


# ---- concatenate -------------------------------------------------------------------------------------


def concatenate(b, spec, inputs):
    """One operand, empty operands, operands that are joined along the same axis themselves."""
    axis, parts = spec.params["axis"], []
    for x in inputs:
        if _is(x, "concatenate") and x.spec.params["axis"] == axis and len(x.inputs) <= _MOST:
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


RULES = {
    "concatenate": [concatenate],
    "slice": [slice_of_concatenate, slice_of_pad],
    "pad": [pad],
    "slice_update": [slice_update],
}
joins = local_pass(RULES)
