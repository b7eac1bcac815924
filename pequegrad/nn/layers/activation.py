"""Activations: modules without state, and PReLU."""

from .. import functional as F
from ..layer import Layer, check_sizes, constant, modules_of

_LAYERS = modules_of(__name__, {
    "ReLU": (F.relu, 1, True), "ReLU6": (F.relu6, 1, True), "GELU": (F.gelu, 1), "SiLU": (F.silu, 1, True),
    "Sigmoid": (F.sigmoid, 1), "Tanh": (F.tanh, 1), "LeakyReLU": (F.leaky_relu, 1, True), "ELU": (F.elu, 1, True),
    "SELU": (F.selu, 1, True), "CELU": (F.celu, 1, True), "Mish": (F.mish, 1, True), "Softplus": (F.softplus, 1),
    "Softsign": (F.softsign, 1), "LogSigmoid": (F.logsigmoid, 1), "Hardsigmoid": (F.hardsigmoid, 1, True),
    "Hardswish": (F.hardswish, 1, True), "Hardtanh": (F.hardtanh, 1, True), "GLU": (F.glu, 1),
    "Softmax": (F.softmax, 1), "LogSoftmax": (F.log_softmax, 1), "Softmin": (F.softmin, 1),
})  # fmt: skip
globals().update(_LAYERS)


class PReLU(Layer):
    """x for x >= 0, else weight x. x: [N, C, ...]; weight: [num_parameters], which is 1 or C; it starts as `init`.

    >>> PReLU()(pg.Tensor([-4.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    def __init__(self, num_parameters=1, init=0.25, *, dtype=None, device=None):
        check_sizes("PReLU", num_parameters=num_parameters)
        self.num_parameters, self.init = num_parameters, init
        self.weight = constant((num_parameters,), init, dtype, device)

    def forward(self, input):
        return F.prelu(input, self.weight)


__all__ = ["PReLU"]
__all__ += list(_LAYERS)
