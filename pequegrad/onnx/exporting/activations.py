"""Activations, and other small functions that are one operator in ONNX."""

from ...core.node import constant
from ...nn import functional as F
from ...ops.arithmetic import where
from ...ops.reductions import logsumexp
from .composites import composite, numbers_of, sources_of


def activation(op, last, function, since=1, **attributes):
    """An operator of one operand without numbers that may differ."""

    @composite(op, last, since)
    def candidates(node):
        yield attributes, function, [node.aval]


activation("Relu", "select", F.relu)
activation("Gelu", "mul", F.gelu, since=20)
activation("Gelu", "mul", lambda x: F.gelu(x, "tanh"), since=20, approximate="tanh")
activation("Softplus", "select", F.softplus)
activation("Softplus", "add", lambda x: F.softplus(x, threshold=float("inf")))
activation("HardSwish", "div", F.hardswish, since=14)
activation("HardSwish", "mul", F.hardswish, since=14)
activation("Mish", "mul", F.mish, since=18)
activation("Selu", "mul", F.selu)
activation("Elu", "select", F.elu)
activation("Softsign", "div", F.softsign)
activation("HardSigmoid", "div", F.hardsigmoid, alpha=1 / 6, beta=0.5)
activation("HardSigmoid", "mul", F.hardsigmoid, alpha=1 / 6, beta=0.5)
activation("LogSigmoid", "neg", F.logsigmoid)
activation("Swish", "mul", F.silu, since=24)


@composite("Clip", "select")
def clip(node):
    yield {"low": 0.0, "high": 6.0}, F.relu6, [node.aval]
    for low in numbers_of(node, "select", 1):
        for high in [float(x.spec.params["value"]) for x in node.inputs if x.spec.primitive is constant]:
            yield {"low": low, "high": high}, lambda x: F.hardtanh(x, low, high), [node.aval]
            yield {"low": high, "high": low}, lambda x: F.hardtanh(x, high, low), [node.aval]


@composite("PRelu", "select")
def prelu(node):
    for n in {1, *node.aval.shape[1:2]}:
        yield {}, F.prelu, [node.aval, node.aval.update(shape=(n,))]


def with_alpha(op, last, primitive, depth, function, since=1):
    """An operator with a number, alpha, that is an operand of a primitive at most `depth` steps before the last."""

    @composite(op, last, since)
    def candidates(node):
        for alpha in numbers_of(node, primitive, depth):
            yield {"alpha": alpha}, lambda x: function(x, alpha), [node.aval]


with_alpha("Celu", "select", "div", 4, F.celu, since=12)
with_alpha("LeakyRelu", "select", "mul", 1, F.leaky_relu)
with_alpha("Elu", "select", "mul", 1, F.elu)


@composite("ThresholdedRelu", "select")
def thresholded_relu(node):
    for alpha in numbers_of(node, "gt", 1):
        if alpha > 0:
            yield {"alpha": alpha}, lambda x: where(x > alpha, x, 0.0), [node.aval]


@composite("Mod", "select")
def mod(node):
    """Of signed integers by a number; floats are composed: with fmod=0 ONNX takes integers only."""
    for n in numbers_of(node, "rem", 3) if node.aval.dtype.kind == "i" else ():
        if n:
            yield {"by": int(n)}, lambda x: x % int(n), [node.aval]


@composite("ReduceLogSumExp", "add")
def reduce_logsumexp(node):
    for largest in sources_of(node, "reduce_max", 4):
        axes, (x,) = largest.spec.params["axes"], largest.inputs
        yield {"axes": axes}, lambda x: logsumexp(x, axes), [x.aval]


@composite("Normalize", "div")
def normalize(node):
    for eps in numbers_of(node, "select", 1):
        for total in sources_of(node, "reduce_sum"):
            for axis in total.spec.params["axes"]:
                yield {"axis": axis, "eps": eps}, lambda x: F.normalize(x, dim=axis, eps=eps), [node.aval]
