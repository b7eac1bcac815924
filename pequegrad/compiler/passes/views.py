"""Views: chains of reshape, transpose, broadcast_in_dim, slice and rev become one of them, or none.

Of several ways to say the same, one is chosen, so that equal things are found to be equal: axes of size 1 are put in by
reshape, not by broadcast_in_dim or transpose, and are not operands of broadcast_in_dim; broadcasts come last.
"""

import math

from ...primitives import shape as s
from .rewriting import local_pass


def _is(node, name):
    return node.spec.primitive.name == name


def _squeezed(sizes):
    return tuple([n for n in sizes if n != 1])


def _moved(x_sizes, to):
    """Where each axis whose size is not 1 goes, if `to` has the same ones in the same order; else None."""
    if _squeezed(x_sizes) != _squeezed(to):
        return None
    places = [i for i, n in enumerate(to) if n != 1]
    return dict(zip([i for i, n in enumerate(x_sizes) if n != 1], places))


# ---- reshape -----------------------------------------------------------------------------------------


def reshape(b, spec, inputs):
    """reshape(reshape(x)) is one; so is one to the shape that x has."""
    (x,), to = inputs, spec.params["shape"]
    if x.aval.shape == to:
        return x
    if _is(x, "reshape"):
        return b.reshape(x.inputs[0], to)
    if not x.aval.shape and x.value is not None:  # a number is broadcast, never reshaped
        return b.broadcast(x, to, ())
    return None


def reshape_of_broadcast(b, spec, inputs):
    """Axes of size 1 that are put in or taken out of a broadcast array: another broadcast."""
    (x,), to = inputs, spec.params["shape"]
    if not _is(x, "broadcast_in_dim"):
        return None
    (y,), axes = x.inputs, x.spec.params["axes"]
    if y.aval.size == 1:
        return b.broadcast(b.reshape(y, ()), to, ())
    moved = _moved(x.aval.shape, to)
    if moved is None:
        return None
    axes = tuple([moved[a] for n, a in zip(y.aval.shape, axes) if n != 1])
    return b.broadcast(b.reshape(y, _squeezed(y.aval.shape)), to, axes)


def reshape_of_iota(b, spec, inputs):
    (x,), to = inputs, spec.params["shape"]
    if not _is(x, "iota") or (moved := _moved(x.aval.shape, to)) is None or x.aval.size == 1:
        return None
    params = x.spec.params
    return b.make(s.iota, shape=to, dtype=params["dtype"], axis=moved[params["axis"]], device=params["device"])


def iota(b, spec, inputs):
    """Numbers along one axis are repeated along the others."""
    to, axis = spec.params["shape"], spec.params["axis"]
    size = to[axis]
    if size == 1:
        return b.full(0, spec.aval)
    if math.prod(to) == size:
        return None
    line = b.make(s.iota, shape=(size,), dtype=spec.params["dtype"], axis=0, device=spec.params["device"])
    return b.broadcast(line, to, (axis,))


# ---- transpose ---------------------------------------------------------------------------------------


def transpose(b, spec, inputs):
    """transpose(transpose(x)) is one, or none; one that moves only axes of size 1 is a reshape."""
    (x,), permutation = inputs, spec.params["permutation"]
    if list(permutation) == sorted(permutation):
        return x
    moving = [p for p in permutation if x.aval.shape[p] != 1]
    if moving == sorted(moving):
        return b.reshape(x, spec.aval.shape)
    if _is(x, "transpose"):
        inner = x.spec.params["permutation"]
        return b.transpose(x.inputs[0], tuple([inner[p] for p in permutation]))
    return None


def transpose_of_broadcast(b, spec, inputs):
    (x,), permutation = inputs, spec.params["permutation"]
    if not _is(x, "broadcast_in_dim"):
        return None
    (y,), axes = x.inputs, x.spec.params["axes"]
    places = [permutation.index(a) for a in axes]
    order = tuple(sorted(range(len(places)), key=places.__getitem__))
    return b.broadcast(b.transpose(y, order), spec.aval.shape, tuple(sorted(places)))


# ---- broadcast_in_dim --------------------------------------------------------------------------------


def broadcast(b, spec, inputs):
    """broadcast(broadcast(x)) is one; one that only puts in axes of size 1 is a reshape."""
    (x,), to, axes = inputs, spec.params["shape"], spec.params["axes"]
    if x.aval.shape == to:
        return x
    if _is(x, "broadcast_in_dim"):
        inner = x.spec.params["axes"]
        return b.broadcast(x.inputs[0], to, tuple([axes[a] for a in inner]))
    if x.aval.size == math.prod(to) and (x.value is None or x.aval.shape):
        return b.reshape(x, to)
    if 1 in x.aval.shape and (_is(x, "reshape") or x.aval.size == 1):
        axes = tuple([a for n, a in zip(x.aval.shape, axes) if n != 1])
        return b.broadcast(b.reshape(x, _squeezed(x.aval.shape)), to, axes)
    return None


# ---- slice, rev --------------------------------------------------------------------------------------


def _slice(b, x, start, counts, step):
    """`counts` elements of x from `start` on, each `step` behind the last, on every axis."""
    limit = tuple([a + (n - 1) * k + 1 if n else a for a, n, k in zip(start, counts, step)])
    return b.make(s.slice_, x, start=tuple(start), limit=limit, step=tuple(step))


def slice_(b, spec, inputs):
    """A slice of all is nothing; slice(slice(x)) is one."""
    (x,), counts = inputs, spec.aval.shape
    if x.aval.shape == counts:
        return x
    if not _is(x, "slice"):
        return None
    inner, outer = x.spec.params, spec.params
    start = [a + k * c for a, k, c in zip(inner["start"], inner["step"], outer["start"])]
    step = [k * m for k, m in zip(inner["step"], outer["step"])]
    if any(a > n for a, n in zip(start, x.inputs[0].aval.shape)):  # of an empty slice, past the end
        return None
    return _slice(b, x.inputs[0], start, counts, step)


def slice_of_broadcast(b, spec, inputs):
    (x,), params = inputs, spec.params
    if not _is(x, "broadcast_in_dim"):
        return None
    (y,), axes = x.inputs, x.spec.params["axes"]
    full = [(0, n, 1) for n in y.aval.shape]
    for i, a in enumerate(axes):
        if y.aval.shape[i] != 1:
            full[i] = params["start"][a], spec.aval.shape[a], params["step"][a]
    if full and not all(n for _, n, _ in full):
        return None
    if full:
        y = _slice(b, y, *zip(*full))
    if any(n != 1 and n != spec.aval.shape[a] for n, a in zip(y.aval.shape, axes)):
        return None
    return b.broadcast(y, spec.aval.shape, axes)


def dynamic_slice(b, spec, inputs):
    """A slice at known places."""
    x, *starts = inputs
    sizes, starts = spec.params["sizes"], [b.literal(start) for start in starts]
    if None in starts:
        return None
    starts = [min(max(a, 0), n - k) for a, n, k in zip(starts, x.aval.shape, sizes)]
    return _slice(b, x, starts, sizes, (1,) * len(sizes))


def rev(b, spec, inputs):
    """Axes of size 0 or 1, and those reversed twice, are not reversed."""
    (x,), axes = inputs, spec.params["axes"]
    needed = tuple([a for a in axes if x.aval.shape[a] > 1])
    if not needed:
        return x
    if _is(x, "rev"):
        needed = tuple(sorted(set(needed) ^ set(x.spec.params["axes"])))
        return b.make(s.rev, x.inputs[0], axes=needed)
    return b.make(s.rev, x, axes=needed) if needed != axes else None


RULES = {
    "reshape": [reshape, reshape_of_broadcast, reshape_of_iota],
    "iota": [iota],
    "transpose": [transpose, transpose_of_broadcast],
    "broadcast_in_dim": [broadcast],
    "slice": [slice_, slice_of_broadcast],
    "dynamic_slice": [dynamic_slice],
    "rev": [rev],
}
views = local_pass(RULES)
