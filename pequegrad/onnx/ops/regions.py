"""Regions of images: what lies in them, and which of them overlap."""

import numpy as np

import pequegrad as pg

from ...core.errors import ArgumentError
from ..registry import op
from ..values import known, tensor
from .indexing import nonzero
from .sampling import rows_of


def _bins(begin, end, count, samples):
    """Where samples lie along one axis: [regions, bins * samples], and how many of the samples of a bin count."""
    size = pg.expand_dims((end - begin) / count, -1)
    used = samples if isinstance(samples, int) else pg.expand_dims(samples, -1)
    most = samples if isinstance(samples, int) else max(1, int(pg.max(samples).item())) if samples.size else 1
    number = pg.arange(0, count * most, dtype="int32")
    bin_, sample = (number // most).astype(begin.dtype), (number % most).astype(begin.dtype)
    points = pg.expand_dims(begin, -1) + bin_ * size + (sample + 0.5) * size / used
    return points, sample < used


def _corners(points, size):
    """[(pixel, weight), (the next one, its weight)] along one axis; weights are 0 more than a pixel outside."""
    inside = pg.logical_and(points >= -1, points <= size).astype(points.dtype)
    points = pg.clip(points, 0.0, size - 1.0)
    low = pg.floor(points)
    high, t = pg.minimum(low + 1, size - 1.0), points - low
    return [(low.astype("int32"), (1 - t) * inside), (high.astype("int32"), t * inside)]


def _roi_align(x, rois, batch_indices, half_pixel, mode, output_height, output_width, sampling_ratio, spatial_scale):
    if mode not in ("avg", "max"):
        raise ArgumentError(f"RoiAlign: mode={mode!r} is unknown.", fix="avg or max.")
    height, width = x.shape[2:]
    rois = rois * spatial_scale - (0.5 if half_pixel else 0.0)
    left, top, right, bottom = (rois[:, i] for i in range(4))
    if not half_pixel:  # regions have a pixel at least
        right, bottom = pg.maximum(right, left + 1), pg.maximum(bottom, top + 1)
    samples = [int(sampling_ratio)] * 2
    if sampling_ratio <= 0:  # as many as pixels in a bin
        known(rois, "Input 'rois' of RoiAlign with sampling_ratio=0")
        samples = [
            pg.maximum(pg.ceil((b - a) / n), 1.0)
            for a, b, n in ((top, bottom, output_height), (left, right, output_width))
        ]
    y, y_counts = _bins(top, bottom, output_height, samples[0])
    x_, x_counts = _bins(left, right, output_width, samples[1])
    rows, first = rows_of(x), pg.reshape(batch_indices, (-1, 1, 1)) * (height * width)
    parts = []
    for row, row_weight in _corners(y, height):
        for column, column_weight in _corners(x_, width):
            index = first + pg.expand_dims(row, 2) * width + pg.expand_dims(column, 1)
            weight = pg.expand_dims(row_weight, 2) * pg.expand_dims(column_weight, 1)
            parts.append(pg.take(rows, index, axis=0) * pg.expand_dims(weight, -1).astype(x.dtype))
    n, c = rois.shape[0], x.shape[1]
    bins = (n, output_height, y.shape[1] // output_height, output_width, x_.shape[1] // output_width)
    counts = pg.logical_and(pg.expand_dims(y_counts, -1), pg.expand_dims(x_counts, -2))
    counts = pg.expand_dims(pg.reshape(pg.broadcast_to(counts, (n, y.shape[1], x_.shape[1])), bins), -1)
    if mode == "avg":
        values = pg.reshape(parts[0] + parts[1] + parts[2] + parts[3], (*bins, c))
        found = pg.sum(pg.where(counts, values, 0), (2, 4)) / pg.sum(counts.astype(x.dtype), (2, 4))
    else:  # the largest weighed pixel, as ONNX defines it
        values = pg.maximum(pg.maximum(parts[0], parts[1]), pg.maximum(parts[2], parts[3]))
        found = pg.max(pg.where(counts, pg.reshape(values, (*bins, c)), -np.inf), (2, 4))
    return pg.moveaxis(found, -1, 1).astype(x.dtype)


@op("RoiAlign", since=16)
def roi_align(x, rois, batch_indices, *, coordinate_transformation_mode="half_pixel", mode="avg", output_height=1, output_width=1,
              sampling_ratio=0, spatial_scale=1.0):  # fmt: skip
    """[regions, C, height, width]: means of samples in the bins of each region (He et al., 2017)."""
    half_pixel = coordinate_transformation_mode == "half_pixel"
    return _roi_align(
        x, rois, batch_indices, half_pixel, mode, output_height, output_width, sampling_ratio, spatial_scale
    )


@op("RoiAlign", since=10)
def roi_align_10(x, rois, batch_indices, **options):
    return roi_align(x, rois, batch_indices, coordinate_transformation_mode="output_half_pixel", **options)


@op("MaxRoiPool")
def max_roi_pool(x, rois, *, pooled_shape, spatial_scale=1.0):
    """[regions, C, *pooled_shape]: maxima of the bins of each region (example, x1, y1, x2, y2) (Girshick, 2015)."""
    y = pg.take(x, rois[:, 0].astype("int32"), axis=0)
    corners = pg.floor(rois[:, 1:] * spatial_scale + 0.5)
    for axis, (low, high, count) in {2: (1, 3, pooled_shape[0]), 4: (0, 2, pooled_shape[1])}.items():
        begin, end = (pg.expand_dims(corners[:, i], -1) for i in (low, high))
        size = pg.maximum(end - begin + 1, 1.0) / count
        number = pg.arange(0, count, dtype=size.dtype)
        first, last = pg.floor(number * size) + begin, pg.ceil((number + 1) * size) + begin
        space = y.shape[-2] if axis == 2 else y.shape[-1]
        place = pg.arange(0, space, dtype=size.dtype)
        inside = pg.logical_and(
            place >= pg.expand_dims(first, -1), place < pg.expand_dims(last, -1)
        )  # [R, bins, space]
        shape = (inside.shape[0], 1, count, space, 1) if axis == 2 else (inside.shape[0], 1, 1, count, space)
        y = pg.expand_dims(y, 2 if axis == 2 else 3)
        y = pg.max(pg.where(pg.reshape(inside, shape), y, -np.inf), 3 if axis == 2 else 4)
    return pg.where(y == -np.inf, 0.0, y)


_OPTIONS = ("max_output_boxes_per_class", "iou_threshold", "score_threshold")


@op(
    "NonMaxSuppression", since=10, reads=("boxes", "scores"), known=_OPTIONS
)  # the result's size depends on all of them
def non_max_suppression(boxes, scores, max_output_boxes_per_class=None, iou_threshold=None, score_threshold=None, *,
                        center_point_box=0):  # fmt: skip
    """[(example, class, box), ...], int64: from the best down, boxes that do not overlap a better one of their class."""
    boxes, scores = tensor(boxes), tensor(scores)
    flat = lambda v, otherwise: otherwise if v is None else np.ravel(v)[0].item()
    most, overlap = flat(max_output_boxes_per_class, 0), flat(iou_threshold, 0.0)
    n, classes, count = scores.shape
    if not count:
        return pg.zeros((0, 3), "int64")
    if center_point_box:
        x, y, w, h = (boxes[..., i] for i in range(4))
        low, high = [y - h / 2, x - w / 2], [y + h / 2, x + w / 2]
    else:
        low = [pg.minimum(boxes[..., i], boxes[..., i + 2]) for i in range(2)]
        high = [pg.maximum(boxes[..., i], boxes[..., i + 2]) for i in range(2)]
    area = (high[0] - low[0]) * (high[1] - low[1])
    rows, columns = (lambda v: pg.expand_dims(v, -1)), (lambda v: pg.expand_dims(v, -2))
    sides = [
        pg.maximum(pg.minimum(rows(b), columns(b)) - pg.maximum(rows(a), columns(a)), 0.0) for a, b in zip(low, high)
    ]
    shared = sides[0] * sides[1]
    union = rows(area) + columns(area) - shared
    near = pg.where(union > 0, shared / pg.where(union > 0, union, 1.0), 0.0) > overlap  # [N, boxes, boxes]
    order = pg.argsort(-scores, -1).astype("int32")  # [N, classes, boxes]
    good = scores > flat(score_threshold, -np.inf)
    example = pg.reshape(pg.arange(0, n, dtype="int32"), (n, 1))
    class_ = pg.reshape(pg.arange(0, classes, dtype="int32"), (1, classes))

    def step(state, box):  # box: [N, classes], the next best ones
        covered, taken = state
        keep = good[example, class_, box] & ~covered[example, class_, box] & (taken < most)
        return (covered | (near[example, box] & rows(keep)), taken + keep.astype("int64")), keep

    state = pg.zeros((n, classes, count), "bool"), pg.zeros((n, classes), "int64")
    _, kept = pg.scan(step, state, pg.moveaxis(order, -1, 0))
    example, class_, place = nonzero(pg.moveaxis(kept, 0, -1))
    return pg.stack([example, class_, order[example, class_, place].astype("int64")], -1)
