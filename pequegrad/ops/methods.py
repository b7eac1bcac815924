"""Gives Tensor its operators and methods: each is a function of pequegrad.ops."""

from ..core.device import device as devices
from ..core.tensor import Tensor
from ..primitives import elementwise as p
from ..primitives.control import to_device
from . import arithmetic as a
from . import indexing, linalg, nn, reductions, shape

_OPERATORS = {
    "add": a.operator(p.add, a.add), "sub": a.operator(p.sub, a.subtract), "mul": a.operator(p.mul, a.multiply),
    "truediv": a.operator(p.div, a.divide, floating_only=True),
    "and": a.operator(p.and_, a.bitwise_and), "or": a.operator(p.or_, a.bitwise_or), "xor": a.operator(p.xor, a.bitwise_xor),
    "eq": a.operator(p.eq, a.equal), "ne": a.operator(p.ne, a.not_equal), "lt": a.operator(p.lt, a.less),
    "le": a.operator(p.le, a.less_equal), "gt": a.operator(p.gt, a.greater), "ge": a.operator(p.ge, a.greater_equal),
}  # fmt: skip
_GENERAL = {
    "add": a.add, "sub": a.subtract, "mul": a.multiply, "truediv": a.divide, "floordiv": a.floor_divide,
    "mod": a.remainder, "pow": a.power, "matmul": linalg.matmul, "and": a.bitwise_and, "or": a.bitwise_or,
    "xor": a.bitwise_xor, "lshift": a.left_shift, "rshift": a.right_shift,
}  # fmt: skip
_METHODS = {
    a: ("exp", "log", "sqrt", "rsqrt", "sin", "cos", "tan", "tanh", "sigmoid", "erf", "abs", "sign", "floor", "ceil", "round", "clip", "astype"),
    shape: ("reshape", "transpose", "permute", "swapaxes", "expand_dims", "squeeze", "flatten", "broadcast_to", "flip", "split"),
    reductions: ("sum", "prod", "max", "min", "any", "all", "mean", "var", "std", "argmax", "argmin", "logsumexp", "softmax", "log_softmax"),
    linalg: ("matmul", "dot", "tensordot", "norm"),
    nn: ("relu", "silu", "gelu", "dropout", "cross_entropy_loss_indices", "cross_entropy_loss_probs", "mse_loss"),
}  # fmt: skip


def _forward_only(general):
    def method(self, other):
        return general(self, other) if a.is_operand(other) else NotImplemented

    return method


def to(self, target):
    """This tensor on another device (device.cuda, "cuda:1"), or converted to a dtype."""
    from ..core.device import Device
    from ..core.dtype import NAMES

    if isinstance(target, Device) or (isinstance(target, str) and target not in NAMES):
        return to_device(self, devices(target))
    return a.astype(self, target)


def _install():
    for name, general in _GENERAL.items():
        if name not in _OPERATORS:
            setattr(Tensor, f"__{name}__", _forward_only(general))
        setattr(Tensor, f"__r{name}__", a.reflected(general))
    for name, method in _OPERATORS.items():
        setattr(Tensor, f"__{name}__", method)
    Tensor.__neg__ = a.negative
    Tensor.__pos__ = lambda self: self
    Tensor.__abs__ = a.abs
    Tensor.__invert__ = a.logical_not
    Tensor.__getitem__ = indexing.getitem
    Tensor.__setitem__ = indexing.setitem
    for module, names in _METHODS.items():
        for name in names:
            setattr(Tensor, name, getattr(module, name))
    Tensor.to = to
    Tensor.at = property(indexing.At, doc=indexing.At.__doc__)
    Tensor.T = property(shape.transpose, doc="The axes reversed.")
    Tensor.mT = property(lambda self: shape.swapaxes(self, -1, -2), doc="The last two axes exchanged.")
    Tensor.one_hot = staticmethod(lambda classes, indices: indexing.one_hot(indices, classes))


_install()
