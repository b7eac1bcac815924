"""Borders, other sizes, and merged axes."""

from ...core.errors import ArgumentError, ShapeError
from ...ops import shape as s
from ...ops.creation import as_tensor
from ...ops.image import interpolate as _interpolate

_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(input, pad, mode="constant", value=0.0):
    """x with borders: pad is (before, after) of the last axis, then of the one before it, and so on.

    mode: "constant" (`value`; negative widths cut), "reflect" (mirrored, without the border element), "replicate" (the
    border element) or "circular" (from the other end).

    >>> pad(pg.arange(3.0), (1, 2), "replicate").tolist()
    [0.0, 0.0, 1.0, 2.0, 2.0, 2.0]
    """
    x, pad = as_tensor(input), tuple(pad)
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ArgumentError(f"pad: {pad} are no pairs of widths for the axes of {x._node.aval}.")
    widths = [(0, 0)] * (x.ndim - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    if mode == "constant":
        return s.pad(x, widths, value)
    if mode not in _MODES:
        raise ArgumentError(f"pad: mode={mode!r} is unknown.", fix=f"use 'constant', {', '.join(map(repr, _MODES))}.")
    for axis, (size, pair) in enumerate(zip(x.shape, widths)):
        most = {"reflect": size - 1, "circular": size}.get(mode)
        if min(pair) < 0 or (any(pair) and (not size or most is not None and max(pair) > most)):
            raise ShapeError(f"pad: widths {pair} do not fit axis {axis} of {x._node.aval} with mode={mode!r}.")
        x = _with_border(x, axis, *pair, mode)
    return x


def _with_border(x, axis, before, after, mode):
    """x between what `mode` puts at the ends of one axis."""
    n = x.shape[axis]
    part = lambda start, stop: x[(slice(None),) * axis + (slice(start, stop),)]
    if mode == "circular":
        ends = part(n - before, n), part(0, after)
    elif mode == "reflect":
        ends = s.flip(part(1, before + 1), axis), s.flip(part(n - 1 - after, n - 1), axis)
    else:
        repeated = lambda edge, count: s.broadcast_to(edge, (*x.shape[:axis], count, *x.shape[axis + 1 :]))
        ends = repeated(part(0, 1), before), repeated(part(n - 1, n), after)
    parts = [piece for piece, width in ((ends[0], before), (x, 1), (ends[1], after)) if width]
    return s.concatenate(parts, axis) if len(parts) > 1 else x


def interpolate(
    input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None
):  # fmt: skip
    """x [N, C, space ...] in another size of space; see pg.interpolate.

    recompute_scale_factor: the scale is that of the sizes, not scale_factor itself.

    >>> interpolate(pg.Tensor([[[1.0, 2.0]]]), scale_factor=2).tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    """
    x = as_tensor(input)
    if recompute_scale_factor:
        if scale_factor is None:
            raise ArgumentError("interpolate: recompute_scale_factor without scale_factor.", fix="give scale_factor.")
        factors = scale_factor if isinstance(scale_factor, (tuple, list)) else [scale_factor] * (x.ndim - 2)
        size, scale_factor = [int(n * f) for n, f in zip(x.shape[2:], factors)], None
    if align_corners is not None and mode.startswith("nearest"):
        raise ArgumentError(f"interpolate: align_corners has no meaning for mode={mode!r}.", fix="leave it out.")
    return _interpolate(x, size, scale_factor, mode, bool(align_corners))


def flatten(input, start_dim=0, end_dim=-1):
    """x with the axes from start_dim to end_dim as one.

    >>> flatten(pg.ones((2, 3, 4)), 1).shape
    (2, 12)
    """
    return s.flatten(as_tensor(input), start_dim, end_dim)
