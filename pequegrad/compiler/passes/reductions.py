"""Reductions that need not look at every element: of axes with one element, of lines with one element that is not 0."""

import numpy as np

from ...primitives import elementwise as e
from .rewriting import kind, local_pass

# of one real element they give that element, also of -0.0; sums begin with 0.0, so they add it
_SELECTIVE = ("reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "cumprod", "cummax", "cummin")


def _one_element(b, x, spec):
    of = kind(x.aval)
    if of in ("integer", "bool") or (of == "float" and spec.primitive.name in _SELECTIVE):
        return x
    if spec.primitive.name in _SELECTIVE:  # the product with complex 1
        return None
    return b.make(e.add, x, b.number(0, x.aval))


def reduce_(b, spec, inputs):
    """A reduction over axes of size 1 is a reshape (a sum: plus 0.0)."""
    (x,), axes = inputs, spec.params["axes"]
    if any(x.aval.shape[a] != 1 for a in axes):
        return None
    element = _one_element(b, x, spec)
    return element and b.reshape(element, spec.aval.shape)


def cumulative(b, spec, inputs):
    (x,) = inputs
    return _one_element(b, x, spec) if x.aval.shape[spec.params["axis"]] == 1 else None


def sum_of_one(b, spec, inputs):
    """sum(where(position == index, value, 0)) along one axis is the value, if the index is a position (of -0.0: 0.0).

    The gradient of a loss that picks the score of the right class has such a sum.
    """
    (x,), axes = inputs, spec.params["axes"]
    if len(axes) != 1 or kind(x.aval) not in ("float", "integer"):
        return None
    (axis,) = axes
    negated = x.spec.primitive is e.neg
    choice = x.inputs[0] if negated else x
    if choice.spec.primitive is not e.select or b.literal(choice.inputs[2]) != 0:
        return None
    test, value, _ = choice.inputs
    if test.spec.primitive is not e.eq or not _stays(value, x.aval, axis):
        return None
    for line, index in (test.inputs, test.inputs[::-1]):
        if _is_line(line, x.aval, axis) and _stays(index, x.aval, axis):
            last = b.number(x.aval.shape[axis] - 1, index.aval)
            inside = b.make(e.and_, b.make(e.ge, index, b.number(0, index.aval)), b.make(e.le, index, last))
            found = b.make(e.select, inside, value, b.number(0, x.aval))
            if negated:
                found = b.make(e.neg, found)
            if kind(x.aval) == "float":
                found = b.make(e.add, found, b.number(0, x.aval))
            kept = tuple([1 if i == axis else n for i, n in enumerate(x.aval.shape)])
            return b.reshape(b.spread(found, kept), spec.aval.shape)
    return None


def _stays(node, aval, axis):
    """True if an operand of an array does not change along this axis."""
    own = axis - (aval.ndim - node.aval.ndim)
    return own < 0 or node.aval.shape[own] == 1


def _is_line(node, aval, axis):
    """True for 0, 1, 2 ... along this axis, all of which the dtype holds."""
    n, own = aval.shape[axis], axis - (aval.ndim - node.aval.ndim)
    if own < 0 or node.aval.size != n or node.aval.shape[own] != n:
        return False
    while node.spec.primitive.name == "reshape":
        node = node.inputs[0]
    if node.spec.primitive.name != "iota" or node.aval.shape[node.spec.params["axis"]] != n:
        return False
    return kind(node.aval) == "integer" and np.iinfo(node.aval.dtype).max >= n - 1


RULES = {
    **{f"reduce_{name}": [reduce_] for name in ("max", "min", "prod", "and", "or")},
    "reduce_sum": [reduce_, sum_of_one],
    **{name: [cumulative] for name in ("cumsum", "cumprod", "cummax", "cummin")},
}
reductions = local_pass(RULES)
