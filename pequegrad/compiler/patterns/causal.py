"""Recognises masks that say which keys come before a query: all (i, j) with j - i <= offset, however they were made."""

import numpy as np

from ...core.dtype import dt
from ...core.node import is_constant
from .search import constant_value

_LARGEST = 1 << 24  # elements of a mask whose values are looked at; positions: float32 holds all integers up to here
_EXACT = dt.int32, dt.int64, dt.float32, dt.float64  # sums and differences of such positions neither wrap nor round


def causal_offset(node, counts=True):
    """The offset if the bool array `node` is `counts` where j - i <= offset, for i and j its last two axes; else None."""
    found = _region(node) if counts else _complement(_region(node))
    return found[1] if type(found) is tuple and found[0] == "up to" else None


# A region is True, False, ("up to", c): j - i <= c, or ("from", c): j - i > c. None: something else.


def _complement(region):
    if region is None or type(region) is bool:
        return None if region is None else not region
    return "from" if region[0] == "up to" else "up to", region[1]


def _region(node):
    name, inputs = node.spec.primitive.name, node.inputs
    if is_constant(node):
        return _region_of_values(node)
    if name in ("ge", "gt", "le", "lt"):
        return _compared(name, *map(_position, inputs))
    if name == "not":
        return _complement(_region(inputs[0]))
    if name == "select" and node.aval.dtype.kind == "b":
        which, x, y = map(_region, inputs)
        if (x, y) == (True, False):
            return which
        return _complement(which) if (x, y) == (False, True) else None
    if name in ("and", "or"):
        neutral = name == "and"
        x, y = map(_region, inputs)
        return y if x is neutral else x if y is neutral else None
    if name == "broadcast_in_dim":
        region, ndim = _region(inputs[0]), node.aval.ndim
        kept = (
            node.spec.params["axes"][-2:] == (ndim - 2, ndim - 1) and inputs[0].aval.shape[-2:] == node.aval.shape[-2:]
        )
        return region if type(region) is bool or kept else None
    if name == "reshape":
        region = _region(inputs[0])
        return region if type(region) is bool or _trimmed(inputs[0].aval.shape) == _trimmed(node.aval.shape) else None
    return None


def _trimmed(shape):
    """The shape without leading axes of size 1, of which two axes at least stay."""
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _compared(name, a, b):
    """The region where a `name` b, for positions a and b."""
    if a is None or b is None:
        return None
    (ai, aj, ac), (bi, bj, bc) = a, b
    di, dj, c = ai - bi, aj - bj, ac - bc  # compared with 0: di * i + dj * j + c
    if (di, dj) == (1, -1):  # c - (j - i)
        return {"ge": ("up to", c), "gt": ("up to", c - 1), "le": ("from", c - 1), "lt": ("from", c)}[name]
    if (di, dj) == (-1, 1):  # c + (j - i)
        return {"ge": ("from", -c - 1), "gt": ("from", -c), "le": ("up to", -c), "lt": ("up to", -c - 1)}[name]
    return None


def _position(node):
    """(a, b, c) if the array is a * i + b * j + c, i and j its last two axes; else None."""
    name, inputs, params = node.spec.primitive.name, node.inputs, node.spec.params
    if is_constant(node):
        value = constant_value(node) if node.aval.size == 1 else None
        if value is None or value.dtype.kind not in "iu" or not -_LARGEST <= value.item() <= _LARGEST:
            return None
        return 0, 0, int(value.item())
    if node.aval.dtype not in _EXACT or max(node.aval.shape, default=1) > _LARGEST:
        return None
    if name == "iota":
        at = params["axis"] - node.aval.ndim
        return (int(at == -2), int(at == -1), 0) if at >= -2 else None
    if name in ("add", "sub"):
        x, y = map(_position, inputs)
        sign = 1 if name == "add" else -1
        return x and y and tuple(p + sign * q for p, q in zip(x, y))
    if name == "convert":
        return _position(inputs[0])
    if name == "broadcast_in_dim" or (name == "reshape" and node.aval.size):
        return _moved(_position(inputs[0]), _axes_of(node, inputs[0]), node.aval.ndim, inputs[0].aval.ndim)
    return None


def _axes_of(node, source):
    """For each axis of `source` the axis of `node` that it became; None if it was split, joined or is of size 1."""
    if node.spec.primitive.name == "broadcast_in_dim":
        return node.spec.params["axes"]
    there = [i for i, n in enumerate(node.aval.shape) if n != 1]
    here = [i for i, n in enumerate(source.aval.shape) if n != 1]
    if [node.aval.shape[i] for i in there] != [source.aval.shape[i] for i in here]:
        return None
    to = dict(zip(here, there))
    return [to.get(i) for i in range(source.aval.ndim)]


def _moved(position, axes, ndim, source_ndim):
    """The position in terms of the new last two axes."""
    if position is None or axes is None:
        return None
    found = [0, 0, position[2]]
    for k, coefficient in enumerate(position[:2]):
        axis = source_ndim - 2 + k
        if not coefficient or axes[axis] is None:  # along an axis of size 1 the position is 0
            continue
        at = axes[axis] - (ndim - 2)
        if at < 0:
            return None
        found[at] += coefficient
    return tuple(found)


def _region_of_values(node):
    shape = node.aval.shape
    if node.aval.dtype.kind not in "bi" or node.aval.size > _LARGEST:
        return None
    values = constant_value(node)
    if node.aval.size == 1:
        return bool(values.item()) if not shape or node.aval.dtype.kind == "b" else None
    if len(_trimmed(shape)) != 2 or node.aval.dtype.kind != "b" or not values.any():
        return None
    if 1 in shape[-2:]:  # repeated along that axis, where a region would go on
        return True if values.all() else None
    values = values.reshape(shape[-2:])
    if values.all():
        return True
    i = int(values.any(1).argmax())
    offset = int(values[i].sum()) - 1 - i
    return ("up to", offset) if np.array_equal(values, np.tri(*values.shape, offset, dtype=bool)) else None
