"""How ONNX's own operators (composites.py) are written."""

import math

import numpy as np

from .products import unless_ones
from .shapes import joined
from .sizes import fixed
from .writer import Unsupported, rule

_WRITTEN = {}  # operator -> function(writer, *operands, **attributes), where attributes are not all


@rule("onnx_composite")
def composite(w, *operands, op, attributes, aval):
    if op in _WRITTEN:
        return _WRITTEN[op](w, *operands, **dict(attributes))
    return w(op, *operands, **dict(attributes))


def written(*names):
    """Decorator: the function writes these composites."""

    def register(function):
        for name in names:
            _WRITTEN[name] = function
        return function

    return register


@written("BatchNormalization", "InstanceNormalization", "GroupNormalization")
def channel_norm(w, x, *rest, given, epsilon, num_groups=None):
    """given: how many of scale and bias there are; those that are absent are ones and zeros."""
    op = dict(w.operation.params)["op"]
    absent = [
        _filled(w, value, x.dtype, (rest[0] if rest else x).shape[0 if rest else 1 :][:1]) for value in (1, 0)[given:]
    ]
    return w(op, x, *rest[:given], *absent, *rest[given:], epsilon=epsilon, num_groups=num_groups)


def _filled(w, value, dtype, shape):
    number = np.asarray(value, dtype)
    return w.constant(np.full(shape, number)) if fixed(shape) else w.expand(w.constant(number), shape)


@written("LayerNormalization")
def layer_norm(w, x, scale=None, bias=None, *, axis, epsilon):
    scale = _filled(w, 1, x.dtype, x.shape[axis:]) if scale is None else scale
    return w("LayerNormalization", x, scale, bias, axis=axis, epsilon=epsilon)


@written("ScatterElements")
def scatter_elements(w, x, indices, updates, *, axis, reduction):
    return w("ScatterElements", x, indices, updates, axis=axis, reduction=reduction if reduction != "none" else None)


@written("Clip")
def clip(w, x, *, low, high):
    return w("Clip", x, w.number(low, x), w.number(high, x))


@written("PRelu")
def prelu(w, x, weight):
    slope = weight if x.ndim < 3 or weight.shape == (1,) else w.reshape(weight, (weight.shape[0], *(1,) * (x.ndim - 2)))
    return w("PRelu", x, slope)


@written("LogSigmoid")
def log_sigmoid(w, x):
    return w("Neg", w("Softplus", w("Neg", x)))


@written("ReduceLogSumExp")
def reduce_logsumexp(w, x, *, axes):
    return w("ReduceLogSumExp", x, list(axes), keepdims=0)


@written("Mod")
def mod(w, x, *, by):
    return w("Mod", x, w.number(by, x))


@written("Normalize")
def normalize(w, x, *, axis, eps):
    return w("Div", x, w("Max", w("ReduceL2", x, [axis]), w.number(eps, x)))


@written("Resize")
def resize(w, x, *, sizes, **attributes):
    """Of all axes but the first two. Of pixels of free sizes the nearest is the same everywhere only for whole factors."""
    factors = [new % old == 0 for old, new in zip(x.shape[2:], sizes)]
    if attributes["mode"] == "nearest" and not fixed((*x.shape[2:], *sizes)) and not all(factors):
        raise Unsupported("the nearest pixels of free sizes, but for whole factors")
    return w("Resize", x, None, None, w.shape(sizes), axes=list(range(2, x.ndim)), **attributes)


@written("ConvTranspose")
def conv_transpose(w, x, kernel, *, pads, strides, dilations, output_padding, group, kernel_shape):
    some = lambda values: list(values) if any(values) else None
    return w(
        "ConvTranspose", x, kernel, kernel_shape=list(kernel_shape), pads=some(pads), strides=unless_ones(strides),
        dilations=unless_ones(dilations), group=group if group > 1 else None, output_padding=some(output_padding),
    )  # fmt: skip


@written("RNN", "GRU", "LSTM")
def recurrent(w, x, weight, r, *rest, order, reverse, n_biases, zero, options):
    """One direction. Weights and biases get the gates in ONNX's order; zero: which first states are zeros. Gives states, then outputs."""

    def ordered(*vectors):
        parts = vectors
        if order != tuple(range(len(order))):
            split = [w("Split", v, n=len(order), axis=0, num_outputs=len(order)) for v in vectors]
            parts = [gates[i] for gates in split for i in order]
        return w("Unsqueeze", joined(w, parts, axis=0), [0])

    biases, states = rest[:n_biases], iter(rest[n_biases:])
    weight, r_weight = ordered(weight), ordered(r)
    bias = ordered(*biases) if biases else None
    first = [None if absent else w("Unsqueeze", next(states), [0]) for absent in zero]
    y, *last = w(
        dict(w.operation.params)["op"], x, weight, r_weight, bias, None, *first, n=1 + len(zero),
        hidden_size=r.shape[-1], direction="reverse" if reverse else None, **dict(options),
    )  # fmt: skip
    return [*[w("Squeeze", s, [0]) for s in last], w("Squeeze", y, [1])]


# ---- attention -----------------------------------------------------------------------------------------------


@written("AttentionSoftmax")
def attention_softmax(w, x, *, axis):
    """Softmax over the last axis, and zeros where all scores are -inf."""
    hidden = w("Equal", w("ReduceMax", x, [-1]), w.number(-np.inf, x))
    return w("Where", hidden, w.number(0, x), w("Softmax", x, axis=-1))


@rule("attention")
def attention(w, q, k, v, *rest, scale, fill, causal, zeros, mask, bias):
    """Operands [batch, heads, places, depth]."""
    whole = causal is None or causal == 0 and fill == -math.inf
    if w.opset < 23 or rest or not whole or any(w.uses[x] for x in w.operation.outputs[1:]):
        raise Unsupported("the compiler's kernel, with masks, biases or sums, or before operator set 23")
    shape = lambda x: (
        (x.shape[0], math.prod(x.shape[1:-2]), *x.shape[-2:]) if x.ndim > 3 else (1,) * (4 - x.ndim) + x.shape
    )
    default = math.isclose(scale, q.shape[-1] ** -0.5, rel_tol=1e-6)
    found = w(
        "Attention", *[w.reshape(x, shape(x)) for x in (q, k, v)], is_causal=1 if causal is not None else None,
        scale=None if default else scale, softmax_precision=1 if q.dtype.itemsize == 2 else None,
    )  # fmt: skip
    return [w.reshape(found, w.out.shape) if q.ndim != 4 else found, None, None]
