"""Images: Resize and LRN."""

import numpy as np

from ...core.node import is_constant
from ...ops.image import interpolate, nearest_pixels
from ...ops.pooling import local_response_norm
from .composites import composite, numbers_of, sources_of

_HALF, _CORNERS = {}, {"coordinate_transformation_mode": "align_corners"}
_NEAREST = {  # mode -> (where in a pixel the new one lies, attributes)
    "nearest": (0, {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
    "nearest-exact": (0.5, {"nearest_mode": "round_prefer_ceil"}),
}
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


@composite("Resize", "gather")
def nearest(node):
    for x in _before(node, ("gather",)):
        sizes = node.aval.shape[2:]
        for mode, (offset, options) in _NEAREST.items():
            if all(_is_exact(old, new, offset) for old, new in zip(x.aval.shape[2:], sizes)):
                yield (
                    {"sizes": sizes, "mode": "nearest", **options},
                    lambda x: interpolate(x, sizes, mode=mode),
                    [x.aval],
                )


def _is_exact(old, new, offset):
    """True if float32, in which runtimes compute, gives the same pixels."""
    if not old or not new:
        return False
    half, scale = np.float32(offset), np.float32(new / old)
    place = np.floor((np.arange(new, dtype="f4") + half) / scale - half + half)
    return bool((np.minimum(place, old - 1) == nearest_pixels(old, new, offset)).all())


def smooth(node):
    for x in _before(node, ("dot_general", "transpose")):
        sizes, n = node.aval.shape[2:], node.aval.ndim - 2
        for corners in (False, True):
            options = _CORNERS if corners else _HALF
            for mode in (_LINEAR[n], *(["bicubic"] if n == 2 else [])):
                attributes = {"sizes": sizes, "mode": "cubic" if mode == "bicubic" else "linear", **options}
                yield attributes, lambda x: interpolate(x, sizes, mode=mode, align_corners=corners), [x.aval]


for _last in ("dot_general", "transpose"):
    composite("Resize", _last)(smooth)


def _before(node, primitives):
    """What a node is computed from by primitives with constants (indices, matrices), the farthest first."""
    if not 3 <= node.aval.ndim <= 5 or len(node.inputs) > 1 and not is_constant(node.inputs[1]):
        return []
    found = [node]
    while not is_constant(found[-1]) and found[-1].spec.primitive.name in primitives:
        found.append(found[-1].inputs[0])
    return [x for x in found[:0:-1] if x.aval.ndim == node.aval.ndim and x.aval.shape[:2] == node.aval.shape[:2]]


@composite("LRN", "mul")
def local_response_normalization(node):
    """Of an odd number of channels: others lie on the other side in ONNX. Runtimes have it for [N, C, H, W]."""
    for total in sources_of(node, "reduce_window_sum") if node.aval.ndim == 4 else ():
        size = total.spec.params["window"][1]
        numbers = numbers_of(node, "mul")
        for alpha, beta, bias in ((a, b, k) for a in numbers for b in numbers for k in numbers_of(node, "add")):
            if size % 2 and alpha > 0 > beta:
                attributes = {"size": size, "alpha": alpha * size, "beta": -beta, "bias": bias}
                yield attributes, lambda x: local_response_norm(x, size, alpha * size, -beta, bias), [node.aval]
