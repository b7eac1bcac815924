"""Inference with int8: weights with a scale per output channel, activations with a scale per layer that calibration finds."""

import numpy as np

from ..core.dtype import dt
from ..core.errors import ArgumentError
from ..core.tensor import Tensor
from ..ops.arithmetic import clip
from ..ops.arithmetic import round as rounded
from ..ops.creation import as_tensor
from ..primitives.elementwise import convert_to
from ..transforms.gradients import no_grad
from . import functional as F
from .copies import copied, is_module
from .layer import Layer
from .layers.convolution import Conv1d, Conv2d, Conv3d
from .layers.linear import Linear
from .module import observers

KINDS = (Linear, Conv1d, Conv2d, Conv3d)
_LEVELS = 127  # weights are -127 ... 127, activations -128 ... 127


def quantize(model, batches, method="minmax"):
    """A copy of the model for inference whose Linear and Conv layers compute on int8; the model stays as it is.

    batches: inputs (arrays, or tuples of arguments) on which the range of each layer's input is measured. method: "minmax" takes all
    of the range, "percentile" leaves out the 0.01 % of values at each end, which are clipped. A layer that no batch reaches is an error.

    >>> small = nn.quantize(model, [x for x, _ in loader])
    >>> print(nn.quantization_report(model, small, loader, accuracy))
    """
    if method not in ("minmax", "percentile"):
        raise ArgumentError(f"quantize: method={method!r} is unknown.", fix='use "minmax" or "percentile".')
    if not is_module(model):
        raise ArgumentError(f"quantize takes a module, not a {type(model).__name__}.")
    if not any(type(part) in KINDS for part in model.modules()):
        raise ArgumentError(
            f"quantize: nothing in this {type(model).__name__} can be quantised: it has none of the layers {', '.join(k.__name__ for k in KINDS)}.",
            fix="quantize modules that are made of these; models from ONNX files are quantised before they are read (onnxruntime.quantization, in QDQ form).",
        )
    ranges = _measured(model, batches, method)

    def change(value, path, old, new):
        if type(value) not in KINDS:
            return value.detach() if isinstance(value, Tensor) else NotImplemented
        if id(value) not in ranges:
            raise ArgumentError(
                f"quantize: no batch reached {value!r}.", fix="calibrate on inputs that use all layers."
            )
        return Quantized(value, *ranges[id(value)])

    small = change(model, (), None, None) if type(model) in KINDS else copied(model, change)
    return small.eval()


def _measured(model, batches, method):
    """id of each layer -> (lowest, highest value) of its inputs."""
    ranges, cut = {}, 0.01 if method == "percentile" else 0.0

    def observe(module, forward, args, kwargs):
        if type(module) in KINDS and np.size(x := as_tensor(args[0]).numpy()):
            low, high = (float(v) for v in np.percentile(x.astype(np.float32), (cut, 100 - cut)))
            before = ranges.get(id(module), (0.0, 0.0))
            ranges[id(module)] = min(before[0], low), max(before[1], high)
        return forward(*args, **kwargs)

    mode = model._training
    model.eval()
    observers.append(observe)
    try:
        with no_grad():
            for batch in batches:
                model(*_arguments(batch))
    finally:
        observers.pop()
        model.train(mode)
    return ranges


def _arguments(batch):
    return tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)


class Quantized(Layer):
    """A Linear or Conv layer on int8: y = scale * weight_scale * sum((q - zero) * weight) + bias, with q = round(x / scale) + zero.

    Sums of products of int8 are taken in float32: exact up to 1,000 terms, but in convolutions with windows of 3 x 3 and many channels,
    which round (docs/architecture.md). Made by quantize. low, high: the range of x.
    """

    def __init__(self, layer, low, high):
        low, high = min(low, 0.0), max(high, 0.0)  # 0 must be a level: padding is 0
        self.kind, self.shape = type(layer).__name__, repr(layer)
        self.scale = max((high - low) / 255, 1e-12)
        self.zero = int(np.clip(round(-128 - low / self.scale), -128, 127))
        weight = layer.weight.numpy().astype(np.float32)
        largest = np.abs(weight).max(axis=tuple(range(1, weight.ndim)))
        steps = np.where(largest > 0, largest, 1) / _LEVELS
        integers = np.round(weight / steps.reshape(-1, *[1] * (weight.ndim - 1)))
        place = layer.weight.device
        self.register_buffer("weight", as_tensor(integers.astype(np.int8), place))
        self.register_buffer("weight_scale", as_tensor(steps.astype(np.float32), place))
        self.register_buffer("offset", as_tensor(_sums_of_weights(integers, self.zero), place))
        if layer.bias is None:
            self.bias = None
        else:
            self.register_buffer("bias", convert_to(layer.bias.detach(), dt.float32).eval())
        if self.kind != "Linear":
            self.convolution = copied(layer, lambda value, *_: None if isinstance(value, Tensor) else NotImplemented)

    def forward(self, input):
        x = as_tensor(input, self.weight.device)
        q = clip(rounded(convert_to(x, dt.float32) / self.scale) + float(self.zero), -128.0, 127.0)
        weight = convert_to(self.weight, dt.float32)
        if self.kind == "Linear":
            sums, axes = F.linear(q, weight), ()
        else:
            layer, n = self.convolution, self.convolution.n
            mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
            options = {"value": float(self.zero)} if mode == "constant" else {}
            q = F.pad(q, layer._borders(), mode, **options)
            sums, axes = (
                getattr(F, f"conv{n}d")(q, weight, None, layer.stride, 0, layer.dilation, layer.groups),
                (1,) * n,
            )
        per_channel = lambda v: v.reshape(-1, *axes)
        y = (sums - per_channel(self.offset)) * per_channel(self.weight_scale * self.scale)
        y = y if self.bias is None else y + per_channel(self.bias)
        return convert_to(y, x.dtype)

    def __repr__(self):
        return f"Quantized({self.shape})"


def _sums_of_weights(weight, zero):
    """What the zero level adds to each output: zero * the sum of its weights."""
    return (zero * weight.sum(axis=tuple(range(1, weight.ndim)))).astype(np.float32)


# ---- what it costs and what is lost ------------------------------------------------------------------------


class Report:
    """What quantisation changed: bytes, the signal-to-noise ratio of the outputs in decibels, and a metric, before and after."""

    def __init__(self, size, noise, metric):
        self.bytes, self.signal_to_noise, self.metric = size, noise, metric

    def __str__(self):
        before, after = self.bytes
        lines = [f"bytes            {before:,} -> {after:,} ({after / before:.0%})"]
        lines.append(f"signal to noise  {self.signal_to_noise:.1f} dB")
        if self.metric is not None:
            lines.append(f"metric           {self.metric[0]:.4f} -> {self.metric[1]:.4f}")
        return "\n".join(lines)

    __repr__ = __str__


def quantization_report(model, quantized, batches, metric=None):
    """Compares two models on batches, a Report. metric(model, *batch) -> 0-d tensor, a mean over the batch; without it, batches are inputs."""
    from ..train.fit import evaluate

    batches = list(batches)
    size = tuple(sum(t.nbytes for t in m.state_dict().values()) for m in (model, quantized))
    signal = noise = 0.0
    mode = model._training
    model.eval()
    try:
        with no_grad():
            for batch in batches:
                inputs = _arguments(batch) if metric is None else _arguments(batch)[:1]
                expected, found = (m(*inputs).numpy().astype(np.float64) for m in (model, quantized))
                signal, noise = signal + (expected**2).sum(), noise + ((expected - found) ** 2).sum()
    finally:
        model.train(mode)
    values = None
    if metric is not None:
        values = tuple(evaluate(m, batches, {"metric": metric})["metric"] for m in (model, quantized))
    return Report(size, 10 * np.log10(signal / noise) if noise else np.inf, values)
