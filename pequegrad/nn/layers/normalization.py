"""Normalisation layers."""

import numpy as np

from ...core.dtype import dt
from ...core.errors import ArgumentError, ShapeError
from ...core.evaluate import evaluate
from ...core.node import state
from ...core.tensor import Tensor
from ...ops.creation import as_tensor, full
from .. import functional as F
from ..init import assign
from ..layer import Layer, check_sizes, constant, modules_of

_LAYERS = modules_of(__name__, {"LocalResponseNorm": (F.local_response_norm, 1)})
globals().update(_LAYERS)


class _Scaled(Layer):
    """A module with a weight that starts as 1 and a bias that starts as 0, if there are any."""

    def _scale(self, shape, weight, bias, dtype, device):
        self.weight = constant(shape, 1, dtype, device) if weight else None
        self.bias = constant(shape, 0, dtype, device) if weight and bias else None

    def _tensor(self, x):
        """The input as a tensor, on the device of the weight."""
        return as_tensor(x, None if self.weight is None else self.weight.device)


class _Tracking(_Scaled):
    """Normalisation of channels, with running statistics as buffers."""

    axes = ()  # how many axes the input may have
    unbatched = False  # whether the smaller number means an input without a batch

    def _build(self, num_features, eps, momentum, affine, track_running_stats, bias, dtype, device):
        check_sizes(type(self).__name__, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self._scale((num_features,), affine, bias, dtype, device)
        if track_running_stats:
            for name, value in (("running_mean", 0.0), ("running_var", 1.0)):
                self.register_buffer(name, full((num_features,), value, dtype or dt.float32, device).eval())
            self.register_buffer("num_batches_tracked", Tensor(np.array(0, np.int64), device=device).detach())

    def _follow(self, **new):
        """Gives the buffers new values: outside of traced functions at once, so that they keep no graph alive."""
        if state.frame is None:
            evaluate([value._node for value in new.values()], drop_history=True)
        for name, value in new.items():
            assign(getattr(self, name), value)

    def _checked(self, x):
        """The input as a tensor with the right channels."""
        x = as_tensor(x, self.running_mean.device) if self.track_running_stats else self._tensor(x)
        channels = 0 if self.unbatched and x.ndim < max(self.axes) else 1
        if x.ndim not in self.axes or x.shape[channels] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}({self.num_features}) got an input of shape {list(x.shape)}.",
                fix=f"it must have {' or '.join(map(str, self.axes))} axes, and {self.num_features} channels.",
            )
        return x


class _BatchNorm(_Tracking):
    """y = (x - mean) / sqrt(var + eps) * weight + bias for each channel, axis 1 of x (Ioffe & Szegedy, 2015).

    In training mode mean and variance (divided by n) are those of x, and the running ones (variance divided by n - 1) become
    (1 - momentum) running + momentum new; momentum None: their mean over all batches so far. In evaluation mode the running
    ones are used, or, with track_running_stats=False, those of x. weight, bias, running_mean, running_var: [num_features].

    >>> layer = BatchNorm1d(3)
    >>> layer(pg.rand(4, 3)).shape, layer.num_batches_tracked.item()
    ((4, 3), 1)
    """

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, *, bias=True, dtype=None,
        device=None,
    ):  # fmt: skip
        self._build(num_features, eps, momentum, affine, track_running_stats, bias, dtype, device)

    def forward(self, input):
        x, training, momentum = self._checked(input), self.training, self.momentum
        if not self.track_running_stats:
            return F.batch_norm(x, None, None, self.weight, self.bias, training, 0.0, self.eps).out
        count = self.num_batches_tracked + 1
        if training and momentum is None:
            momentum = 1 / count.astype(dt.float32)
        statistics = self.running_mean, self.running_var
        out, mean, var = F.batch_norm(x, *statistics, self.weight, self.bias, training, momentum, self.eps)
        if training:
            self._follow(running_mean=mean, running_var=var, num_batches_tracked=count)
        return out


class _InstanceNorm(_Tracking):
    """y = (x - mean) / sqrt(var + eps) * weight + bias over the positions of each example and channel (Ulyanov et al., 2016).

    x: [N, C, space ...], or without N. With track_running_stats, means over the batch are followed in training mode as in batch
    normalisation and used in evaluation mode. weight, bias, running_mean, running_var: [num_features].

    >>> InstanceNorm1d(3)(pg.rand(2, 3, 5)).shape
    (2, 3, 5)
    """

    unbatched = True

    def __init__(
        self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False, *, bias=True, dtype=None,
        device=None,
    ):  # fmt: skip
        self._build(num_features, eps, momentum, affine, track_running_stats, bias, dtype, device)

    def forward(self, input):
        x = self._checked(input)
        if x.ndim < max(self.axes):
            return self._normalized(x[None])[0]
        return self._normalized(x)

    def _normalized(self, x):
        if not self.track_running_stats:
            return F.instance_norm(x, None, None, self.weight, self.bias, eps=self.eps)
        statistics, training = (self.running_mean, self.running_var), self.training
        out, mean, var = F.instance_norm(x, *statistics, self.weight, self.bias, training, self.momentum, self.eps)
        if training:
            self._follow(running_mean=mean, running_var=var)
        return out


class BatchNorm1d(_BatchNorm):
    __doc__, axes = _BatchNorm.__doc__, (2, 3)


class BatchNorm2d(_BatchNorm):
    __doc__, axes = _BatchNorm.__doc__, (4,)


class BatchNorm3d(_BatchNorm):
    __doc__, axes = _BatchNorm.__doc__, (5,)


class InstanceNorm1d(_InstanceNorm):
    __doc__, axes = _InstanceNorm.__doc__, (2, 3)


class InstanceNorm2d(_InstanceNorm):
    __doc__, axes = _InstanceNorm.__doc__, (3, 4)


class InstanceNorm3d(_InstanceNorm):
    __doc__, axes = _InstanceNorm.__doc__, (4, 5)


class LayerNorm(_Scaled):
    """y = (x - mean) / sqrt(var + eps) * weight + bias over the last axes of x (Ba et al., 2016).

    normalized_shape: the sizes of these axes; weight, bias: of this shape.

    >>> np.round(LayerNorm(2)(pg.Tensor([[1.0, 3.0]])).tolist(), 2).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, *, dtype=None, device=None):
        self.normalized_shape = _sizes("LayerNorm", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._scale(self.normalized_shape, elementwise_affine, bias, dtype, device)

    def forward(self, input):
        return F.layer_norm(self._tensor(input), self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(_Scaled):
    """y = x / sqrt(mean(x * x) + eps) * weight over the last axes of x (Zhang & Sennrich, 2019).

    normalized_shape: the sizes of these axes; eps: by default the spacing of floats at 1 of the dtype of x.

    >>> np.round(RMSNorm(2)(pg.Tensor([[1.0, 7.0]])).tolist(), 2).tolist()
    [[0.2, 1.4]]
    """

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, *, dtype=None, device=None):
        self.normalized_shape = _sizes("RMSNorm", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = constant(self.normalized_shape, 1, dtype, device) if elementwise_affine else None

    def forward(self, input):
        return F.rms_norm(self._tensor(input), self.normalized_shape, self.weight, self.eps)


class GroupNorm(_Scaled):
    """y = (x - mean) / sqrt(var + eps) * weight + bias over each group of channels (Wu & He, 2018).

    x: [N, num_channels, ...]; weight, bias: [num_channels].

    >>> GroupNorm(2, 4)(pg.rand(3, 4, 5)).shape
    (3, 4, 5)
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, *, bias=True, dtype=None, device=None):
        check_sizes("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ArgumentError(f"GroupNorm: {num_channels} channels do not divide into {num_groups} groups.")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self._scale((num_channels,), affine, bias, dtype, device)

    def forward(self, input):
        return F.group_norm(self._tensor(input), self.num_groups, self.weight, self.bias, self.eps)


def _sizes(name, normalized_shape):
    sizes = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
    check_sizes(name, **{f"axis{i}": n for i, n in enumerate(sizes)})
    if not sizes:
        raise ArgumentError(f"{name}: normalized_shape is empty.", fix="give the size of the last axis, at least.")
    return sizes


__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d",
    "LayerNorm", "RMSNorm",
]  # fmt: skip
__all__ += list(_LAYERS)
