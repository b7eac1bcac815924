"""What convolutions and pooling share: the attributes that say where windows lie."""

import math

from ...core.errors import ArgumentError, ShapeError


def each(values, n, what, default=1):
    """One number per spatial axis; the default where the attribute is absent."""
    values = [default] * n if values is None else [int(v) for v in values]
    if len(values) != n:
        raise ShapeError(f"{what} has {len(values)} numbers for {n} spatial axes.")
    return values


def window_of(weight, kernel_shape, what):
    """The sizes of a kernel, which the attribute kernel_shape only repeats."""
    sizes = list(weight.shape[2:])
    if kernel_shape is not None and list(kernel_shape) != sizes:
        raise ShapeError(f"{what}: kernel_shape {list(kernel_shape)} is not that of the kernel {weight._node.aval}.")
    return sizes


def reach(window, dilations):
    """How many elements windows span."""
    return [d * (k - 1) + 1 for k, d in zip(window, dilations)]


def padding(sizes, window, strides, dilations, pads, auto_pad, what, ceil_mode=False):
    """((before, after) per spatial axis as the model says, the same with what ceil_mode adds behind)."""
    n, spans = len(sizes), reach(window, dilations)
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        pairs = []
        for size, span, step in zip(sizes, spans, strides):
            total = max((-(-size // step) - 1) * step + span - size, 0)
            small, large = total // 2, total - total // 2
            pairs.append((small, large) if auto_pad == "SAME_UPPER" else (large, small))
        return pairs, pairs
    if auto_pad not in ("NOTSET", "VALID"):
        raise ArgumentError(
            f"{what}: auto_pad={auto_pad!r} is unknown.", fix="NOTSET, SAME_UPPER, SAME_LOWER or VALID."
        )
    pads = each(pads if auto_pad == "NOTSET" else None, 2 * n, f"{what}: pads", 0)
    given = list(zip(pads[:n], pads[n:]))
    if not ceil_mode:
        return given, given
    reached = []
    for size, span, step, (before, after) in zip(sizes, spans, strides, given):
        places = math.ceil((size + before + after - span) / step) + 1
        places -= (places - 1) * step >= size + before  # it would begin behind the end
        reached.append((before, max(after, (places - 1) * step + span - size - before)))
    return given, reached
