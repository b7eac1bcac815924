"""Gives Tensor its operators and methods: each is a function of pequegrad.ops."""

import importlib

from ..core.device import device as devices
from ..core.dtype import is_complex
from ..core.errors import DtypeError
from ..core.node import TRACKED, state
from ..core.tensor import Tensor
from ..primitives import elementwise as p
from ..primitives.control import to_device
from . import arithmetic as a
from . import indexing, linalg, reductions, shape

_OPERATORS = {
    "add": a.operator(p.add, a.add), "sub": a.operator(p.sub, a.subtract), "mul": a.operator(p.mul, a.multiply),
    "truediv": a.operator(p.div, a.divide, kinds="fcV"),
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
    linalg: ("matmul", "dot", "tensordot"),
}  # fmt: skip
# by module, which is imported when one of them is first used
_LATER = {
    "complex": ("conj",),
    "rearrange": ("ravel", "repeat", "roll", "chunk", "take", "unstack", "nonzero"),
    "statistics": ("ptp", "count_nonzero"),
    "cumulative": ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "diff"),
    "sorting": ("sort", "argsort", "topk", "quantile", "percentile", "median"),
    "convolution": ("conv2d", "unfold", "fold"),
    "pooling": ("max_pool2d", "avg_pool2d"),
    "matrices": ("diagonal", "trace", "tril", "triu"),
    "norms": ("norm",),
    "nn": ("relu", "silu", "gelu", "dropout", "leaky_relu"),
    "losses": ("cross_entropy_loss_indices", "cross_entropy_loss_probs", "mse_loss"),
    "special": ("square", "reciprocal", "log2", "log10", "nan_to_num"),
}  # fmt: skip


def _forward_only(general):
    def method(self, other):
        return general(self, other) if a.is_operand(other) else NotImplemented

    return method


def _in_place(general):
    """The method for `x op= y`: a new tensor, as without the method; but under no_grad() a tracked x takes the new
    value and stays tracked, so that `with no_grad(): w -= lr * g` is an update, as in PyTorch.
    """

    def method(self, other):
        result = general(self, other)
        if not self._node.flags & TRACKED or state.flags_mask & TRACKED:
            return result
        if is_complex(result.dtype) and not is_complex(self.dtype):
            raise DtypeError(
                f"A value of dtype {result.dtype} does not fit into {self._node.aval}.",
                fix="write x = x op y for a new tensor, or take a part of the value.",
            )
        self._rebind(a.astype(result, self.dtype)._node)
        return self

    return method


def to(self, target):
    """This tensor on another device (device.cuda, "cuda:1"), or converted to a dtype."""
    from ..core.device import Device
    from ..core.dtype import NAMES

    if isinstance(target, Device) or (isinstance(target, str) and target not in NAMES):
        return to_device(self, devices(target))
    return a.astype(self, target)


def one_hot(first, second):
    """y.one_hot(classes), or Tensor.one_hot(classes, y): 1 at position y of a new last axis, else 0."""
    indices, classes = (first, second) if isinstance(first, Tensor) else (second, first)
    return indexing.one_hot(indices, classes)


# what users of other frameworks look for
_HINTS = {
    "requires_grad": "tensors are tracked; ask for derivatives with grads([x], loss)",
    "backward": "derivatives are values: grads([x], loss) returns them",
    "grad": "derivatives are values: grads([x], loss) returns them",
    "view": "use reshape",
    "numel": "use x.size",
    "dim": "use x.ndim",
    "unsqueeze": "use expand_dims",
    "cpu": "use x.to(device.cpu)",
    "cuda": "use x.to(device.cuda)",
    "float": "use x.astype(dt.float32)",
    "long": "use x.astype(dt.int64)",
    "clone": "tensors do not change: use x itself, or Tensor(x) for a handle of its own",
    "contiguous": "not needed: memory layout is the runtime's business",
    "clamp": "use clip",
    "expand": "use broadcast_to",
    "masked_fill": "use pg.where(mask, value, x)",
    "pow": "use x ** y",
    "block_until_ready": "use x.eval()",
}


def unknown_attribute(self, name):
    hint = _HINTS.get(name)
    raise AttributeError(f"A Tensor has no attribute {name!r}" + (f": {hint}." if hint else "."))


def _from(module, name):
    """A function of pequegrad.ops by its names; the module is imported by the first call."""

    def call(self, *args, **kwargs):
        return getattr(importlib.import_module(f"pequegrad.ops.{module}"), name)(self, *args, **kwargs)

    return call


def _later(module, name):
    """A method that makes room for the function itself when it is first used."""

    def method(self, *args, **kwargs):
        function = getattr(importlib.import_module(f"pequegrad.ops.{module}"), name)
        setattr(Tensor, name, function)
        return function(self, *args, **kwargs)

    method.__name__, method.__doc__ = name, f"The function pequegrad.{name} of this tensor."
    return method


def _install():
    for name, general in _GENERAL.items():
        if name not in _OPERATORS:
            setattr(Tensor, f"__{name}__", _forward_only(general))
        setattr(Tensor, f"__r{name}__", a.reflected(general))
    Tensor.__divmod__, Tensor.__rdivmod__ = _forward_only(a.divmod), a.reflected(a.divmod)
    for name, method in _OPERATORS.items():
        setattr(Tensor, f"__{name}__", method)
    for name in ("add", "sub", "mul", "truediv"):
        setattr(Tensor, f"__i{name}__", _in_place(_GENERAL[name]))
    Tensor.__neg__ = a.negative
    Tensor.__pos__ = a.new_handle(lambda self: self)
    Tensor.__round__ = lambda self, digits=None: a.round(self)
    Tensor.__abs__ = a.abs
    Tensor.__invert__ = a.logical_not
    Tensor.__getitem__ = indexing.getitem
    Tensor.__setitem__ = indexing.setitem
    for module, names in _METHODS.items():
        for name in names:
            setattr(Tensor, name, getattr(module, name))
    for module, names in _LATER.items():
        for name in names:
            setattr(Tensor, name, _later(module, name))
    Tensor.to = to
    Tensor.at = property(
        _from("at", "At"), doc="x.at[index].set(value), .add, .get, ...: a new tensor with that change."
    )
    Tensor.real = property(_from("complex", "real"), doc="The real part; of a real tensor a handle on the same value.")
    Tensor.imag = property(_from("complex", "imag"), doc="The imaginary part; zeros for a real tensor.")
    Tensor.T = property(shape.transpose, doc="The axes reversed.")
    Tensor.mT = property(lambda self: shape.swapaxes(self, -1, -2), doc="The last two axes exchanged.")
    Tensor.one_hot = one_hot
    Tensor.__getattr__ = unknown_attribute


_install()
