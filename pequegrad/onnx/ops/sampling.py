"""Values of images between pixels."""

import itertools
import math

import pequegrad as pg


def rows_of(x):
    """[N, C, space ...] as [N * positions, C]."""
    n, c = x.shape[:2]
    return pg.reshape(pg.moveaxis(pg.reshape(x, (n, c, math.prod(x.shape[2:]))), 1, 2), (n * math.prod(x.shape[2:]), c))


def pixels(rows, space, indices, outside="zeros", batch=None):
    """The pixels [N, points ..., C] at `indices`, per axis integers [N, points ...]; "zeros": 0 outside, else all are inside.

    batch: the number of the example, by default that along the first axis.
    """
    first = indices[0]
    if batch is None:
        batch = pg.reshape(pg.arange(0, first.shape[0], dtype="int32"), (-1,) + (1,) * (first.ndim - 1))
    index, inside = batch, None
    for i, size in zip(indices, space):
        index = index * size + pg.clip(i, 0, size - 1)
        if outside == "zeros":
            here = pg.logical_and(i >= 0, i < size)
            inside = here if inside is None else pg.logical_and(inside, here)
    found = pg.take(rows, index, axis=0)
    return found if inside is None else pg.where(pg.expand_dims(inside, -1), found, 0)


def taps_of(point, kind, a=-0.75):
    """[(pixel, weight), ...] around points of one axis: linear, or cubic (Keys, 1981)."""
    first = pg.floor(point)
    t = point - first
    whole = first.astype("int32")
    if kind == "linear":
        return [(whole, 1 - t), (whole + 1, t)]
    near = lambda d: ((a + 2) * d - (a + 3)) * d * d + 1
    far = lambda d: ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return [(whole - 1, far(t + 1)), (whole, near(t)), (whole + 1, near(1 - t)), (whole + 2, far(2 - t))]


def sampled(rows, space, points, kind="linear", place=lambda index, axis: index, outside="zeros", batch=None):
    """Values [N, points ..., C] at `points`, per axis numbers [N, points ...]. place: which pixel stands for one outside."""
    total = 0
    for corner in itertools.product(*(taps_of(p, kind) for p in points)):
        weight = math.prod((w for _, w in corner[1:]), start=corner[0][1])
        found = pixels(rows, space, [place(i, axis) for axis, (i, _) in enumerate(corner)], outside, batch)
        total = total + found * pg.expand_dims(weight, -1).astype(found.dtype)
    return total
