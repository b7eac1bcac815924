"""Collectives: functions of the values that all examples along a vmapped axis, known by its name, have.

Inside the mapped function they are nodes; vmap over that axis replaces them by ordinary reductions and moves over the
batch axis. Any other vmap goes through them.
"""

import numpy as np

from ..core.dtype import dt
from ..core.errors import TracerError
from ..core.node import ARRAY, make_aval, state
from ..core.tensor import tensor_from_numpy, wrap
from .base import primitive
from .elementwise import convert_to, div, eq, mul
from .indexing import Places, gather
from .reduction import reduce_max, reduce_min, reduce_sum
from .shape import add_batch_axis, iota, reshape, transpose


def as_tensor(rows, like):
    """A table of numbers as int32 on the device of another tensor."""
    return tensor_from_numpy(np.array(rows, np.int32), like.device)


class Collective:
    """The result has the operand's shape, whatever axes it has."""

    def infer(x, **params):
        return x

    def lower(*operands, axis_name, **params):
        raise TracerError(f"The axis {axis_name!r} is only known inside the vmap that names it.")


def _batch(collective):
    """The rule: over the named axis `over_axis`, over any other the collective itself."""

    def batch_with_axis(inputs, batched, axis, *, axis_name, **params):
        if axis.name == axis_name:
            return collective.rules.over_axis(inputs[0], batched[0], axis.size, **params)
        if not batched[0]:
            return None
        return collective(inputs[0], axis_name=axis_name, **collective.rules.shifted(**params)), True

    collective.rules.batch_with_axis = staticmethod(batch_with_axis)
    return collective


@_batch
@primitive
class psum(Collective):
    """The sum over the named axis"""

    linear = "together"

    def jvp(primals, tangents, out, **params):
        return psum(tangents[0], **params)

    def transpose(ct, x, **params):
        return (psum(ct, **params),)

    def over_axis(x, is_batched, size):
        return (reduce_sum(x, axes=(0,)) if is_batched else mul(x, size)), False

    def shifted():
        return {}


def _shared_by_winners(x, dx, out, params):
    """The derivative of an extremum, shared equally by the examples that attain it."""
    attained = convert_to(eq(x, out), x.dtype)
    return div(psum(mul(dx, attained), **params), psum(attained, **params))


@_batch
@primitive
class pmax(Collective):
    """The largest along the named axis"""

    def jvp(primals, tangents, out, **params):
        return _shared_by_winners(primals[0], tangents[0], out, params)

    def over_axis(x, is_batched, size):
        return (reduce_max(x, axes=(0,)) if is_batched else x), False

    def shifted():
        return {}


@_batch
@primitive
class pmin(Collective):
    """The smallest along the named axis"""

    def jvp(primals, tangents, out, **params):
        return _shared_by_winners(primals[0], tangents[0], out, params)

    def over_axis(x, is_batched, size):
        return (reduce_min(x, axes=(0,)) if is_batched else x), False

    def shifted():
        return {}


@_batch
@primitive
class all_gather(Collective):
    """The values of all examples, stacked along a new axis at `position` of the result"""

    linear = "together"

    def infer(x, *, axis_name, axis_size, position):
        return x.update(shape=(*x.shape[:position], axis_size, *x.shape[position:]))

    def jvp(primals, tangents, out, **params):
        return all_gather(tangents[0], **params)

    def transpose(ct, x, *, axis_name, axis_size, position):
        # every example got a copy: the cotangents of all copies of this one's value
        order = (position, *(i for i in range(ct.ndim) if i != position))
        total = psum(transpose(ct, permutation=order), axis_name=axis_name)
        own = reshape(axis_index(axis_name=axis_name, axis_size=axis_size, device=ct.device), shape=(1,))
        window = tuple(range(x.ndim))
        places = Places(window=window, collapsed=(0,), index_map=(0,))
        return (gather(total, own, places=places, sizes=(1, *x.shape), mode="clip"),)

    def over_axis(x, is_batched, size, axis_size, position):
        x = x if is_batched else add_batch_axis(x, size)
        return transpose(x, permutation=(*range(1, position + 1), 0, *range(position + 1, x.ndim))), False

    def shifted(axis_size, position):
        return {"axis_size": axis_size, "position": position + 1}


@_batch
@primitive
class ppermute(Collective):
    """For each pair (source, target) of `pairs` the source's value at the target; zeros at all others"""

    linear = "together"

    def jvp(primals, tangents, out, **params):
        return ppermute(tangents[0], **params)

    def transpose(ct, x, *, axis_name, pairs):
        return (ppermute(ct, axis_name=axis_name, pairs=tuple((b, a) for a, b in pairs)),)

    def over_axis(x, is_batched, size, pairs):
        x = x if is_batched else add_batch_axis(x, size)
        sources = {target: source for source, target in pairs}
        rows = as_tensor([[sources.get(i, size)] for i in range(size)], x)  # beyond the end: zeros
        places = Places(window=tuple(range(1, x.ndim)), collapsed=(0,), index_map=(0,))
        return gather(x, rows, places=places, sizes=(1, *x.shape[1:]), mode="zero"), True

    def shifted(pairs):
        return {"pairs": pairs}


@primitive
class axis_index(Collective):
    """The position of the example along the named axis, int32"""

    def infer(*, axis_name, axis_size, device):
        return make_aval((), dt.int32, device)

    def jvp(primals, tangents, out, **params):
        return None

    def batch_with_axis(inputs, batched, axis, *, axis_name, axis_size, device):
        if axis.name != axis_name:
            return None
        positions = iota(shape=(axis.size,), dtype=dt.int32, axis=0, device=device)
        positions._node.flags |= state.arguments & ARRAY
        return wrap(positions._node), True
