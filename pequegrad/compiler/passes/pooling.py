"""Rectified maxima: max_pool(relu(x)) becomes relu(max_pool(x)), and so does the gradient; both run on the smaller array.

relu(x) = select(x <= 0, 0, x) never changes which element of a window wins if one is positive (or nan), and if none is,
the result is 0 and so is the derivative. Every window must see an element: the maximum of nothing is -inf, not 0.
"""

import math

from ...primitives import elementwise as e
from ...primitives import windows as w
from .rewriting import local_pass


def rectified_maximum(b, spec, inputs):
    """reduce_window_max(relu(x)) -> relu(reduce_window_max(x))."""
    x = _rectified(b, inputs[0])
    if x is None or not _sees_elements(x.aval.shape, **spec.params):
        return None
    return _relu(b, b.like(spec, x), None)


def rectified_gradient(b, spec, inputs):
    """select(x <= 0, 0, window_put(relu(x), ct)) -> window_put(x, select(reduce_window_max(x) <= 0, 0, ct))."""
    condition, zero, put = inputs
    if put.spec.primitive is not w.window_put or not put.spec.params["largest"] or not _is_zero(b, zero):
        return None
    x = _rectified(b, put.inputs[0])
    if x is None or _not_positive(b, condition) is not x:
        return None
    params = {k: v for k, v in put.spec.params.items() if k != "largest"}
    params["base_dilation"] = (1,) * x.aval.ndim
    if not _sees_elements(x.aval.shape, **params):
        return None
    largest = b.make(w.reduce_window_max, x, **params)
    return b.like(put.spec, x, _relu(b, largest, put.inputs[1]))


def _relu(b, x, value):
    """`value` (or x itself) where x is positive or nan, else 0."""
    zero = b.number(0.0, x.aval)
    return b.make(e.select, b.make(e.le, x, zero), zero, x if value is None else value)


def _rectified(b, node):
    """x for a node relu(x), else None."""
    if node.spec.primitive is not e.select or not _is_zero(b, node.inputs[1]):
        return None
    x = node.inputs[2]
    return x if _not_positive(b, node.inputs[0]) is x else None


def _not_positive(b, node):
    """x for a node x <= 0, else None."""
    return node.inputs[0] if node.spec.primitive is e.le and b.literal(node.inputs[1]) == 0 else None


def _is_zero(b, node):
    value = b.literal(node)
    return value == 0 and math.copysign(1, value) > 0


def _sees_elements(shape, window, step, padding, base_dilation, dilation):
    """True if the padding is less than a window: each window reaches an element."""
    rows = zip(shape, window, padding, base_dilation, dilation)
    return all(n and d == base == 1 and 0 <= min(p) and max(p) < k for n, k, p, base, d in rows)


RULES = {"reduce_window_max": [rectified_maximum], "select": [rectified_gradient]}
pooling = local_pass(RULES)
