"""First values of parameters. As in PyTorch, a function changes the tensor that it is given, and returns it.

fan_in: how many inputs an output has, fan_out: how many outputs an input, for weights [out, in, window ...]. generator: a key
(pg.random_key(seed)); by default the one of the tensor's device, which pg.manual_seed sets.

>>> import pequegrad as pg
>>> layer = pg.nn.Linear(3, 2)
>>> kaiming_normal_(layer.weight, nonlinearity="relu") is layer.weight
True
"""

import math

import numpy as np

from ..core.errors import ArgumentError, ShapeError
from ..core.node import leaf, state
from ..core.tensor import tensor_from_numpy
from ..ops import random
from ..ops.arithmetic import astype, where
from ..ops.creation import full
from ..ops.shape import broadcast_to, reshape, swapaxes
from ..primitives.base import note_captures


def assign(tensor, value):
    """Gives the handle `tensor` a value, of its own shape and dtype; it stays a parameter if it was one.

    >>> assign(pg.zeros(2), pg.ones(2)).tolist()
    [1.0, 1.0]
    """
    value = astype(broadcast_to(value, tensor.shape), tensor.dtype)
    if state.frame is not None or tensor._node.inputs:  # traced, or being differentiated
        if state.frame is not None:
            note_captures((tensor, value))
        tensor._rebind(value._node)
    else:
        node = value.eval()._node
        tensor._rebind(leaf(node.value, node.aval))
    return tensor


def _key(tensor, generator):
    return random.next_key(tensor.device) if generator is None else generator


# ---- plain values --------------------------------------------------------------------------------------


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Uniform numbers in [a, b).

    >>> uniform_(pg.zeros(100), 2.0, 3.0).min().item() >= 2
    True
    """
    return assign(tensor, random.uniform(_key(tensor, generator), tensor.shape, tensor.dtype) * (b - a) + a)


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Normal numbers.

    >>> normal_(pg.zeros((2, 3))).shape
    (2, 3)
    """
    return assign(tensor, random.normal(_key(tensor, generator), tensor.shape, tensor.dtype) * std + mean)


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Normal numbers, drawn again while they are outside of [a, b].

    >>> trunc_normal_(pg.zeros(100), std=2.0).max().item() <= 2
    True
    """
    from ..jax_api.random import truncated_normal

    if not a < b or not std > 0:
        raise ArgumentError(f"trunc_normal_: a={a} must be below b={b}, and std={std} positive.")
    key = _key(tensor, generator)
    drawn = truncated_normal(key, (a - mean) / std, (b - mean) / std, tensor.shape, tensor.dtype)
    return assign(tensor, drawn * std + mean)


def constant_(tensor, val):
    """`val` everywhere.

    >>> constant_(pg.zeros(2), 0.5).tolist()
    [0.5, 0.5]
    """
    return assign(tensor, full((), val, tensor.dtype, tensor.device))


def ones_(tensor):
    """Ones.

    >>> ones_(pg.zeros(2)).tolist()
    [1.0, 1.0]
    """
    return constant_(tensor, 1.0)


def zeros_(tensor):
    """Zeros.

    >>> zeros_(pg.ones(2)).tolist()
    [0.0, 0.0]
    """
    return constant_(tensor, 0.0)


def eye_(tensor):
    """The identity matrix: ones on the diagonal of a tensor with 2 axes.

    >>> eye_(pg.zeros((2, 2))).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    _check_axes("eye_", tensor, 2, 2)
    return _from_numpy(tensor, np.eye(*tensor.shape))


def dirac_(tensor, groups=1):
    """Weights [out, in, window ...] of a convolution that passes on as many of its channels, in each group, as it can.

    >>> dirac_(pg.zeros((1, 1, 3))).tolist()
    [[[0.0, 1.0, 0.0]]]
    """
    _check_axes("dirac_", tensor, 3, 5)
    out = tensor.shape[0]
    if groups < 1 or out % groups:
        raise ArgumentError(f"dirac_: {out} output channels do not divide into {groups} groups.")
    values = np.zeros(tensor.shape)
    centre = tuple(n // 2 for n in tensor.shape[2:])
    for i in range(out):
        channel = i % (out // groups)
        if channel < tensor.shape[1]:
            values[(i, channel, *centre)] = 1
    return _from_numpy(tensor, values)


def _from_numpy(tensor, values):
    return assign(tensor, tensor_from_numpy(values.astype(tensor.dtype), tensor.device))


def _check_axes(name, tensor, least, most=None):
    if tensor.ndim < least or most is not None and tensor.ndim > most:
        wanted = f"{least}" if most == least else f"at least {least}" if most is None else f"{least} to {most}"
        raise ShapeError(f"{name}: {tensor._node.aval} needs {wanted} axes.")


# ---- by the number of inputs and outputs ---------------------------------------------------------------

_GAINS = {
    "linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "conv_transpose1d": 1.0, "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75,
}  # fmt: skip


def calculate_gain(nonlinearity, param=None):
    """The factor by which weights before this nonlinearity are larger. param: the slope of leaky_relu, by default 0.01.

    >>> calculate_gain("relu") ** 2
    2.0000000000000004
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ArgumentError(
            f"calculate_gain: nonlinearity={nonlinearity!r} is unknown.",
            fix=f"use one of {', '.join(_GAINS)}, leaky_relu.",
        )
    return _GAINS[nonlinearity]


def _fans(name, tensor):
    """(fan_in, fan_out)."""
    _check_axes(name, tensor, 2)
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


def _fan(name, tensor, mode):
    fans = dict(zip(("fan_in", "fan_out"), _fans(name, tensor)))
    if mode not in fans:
        raise ArgumentError(f"{name}: mode={mode!r} is unknown.", fix="use 'fan_in' or 'fan_out'.")
    return max(fans[mode], 1)


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Uniform numbers within gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio, 2010).

    >>> xavier_uniform_(pg.zeros((3, 3))).max().item() <= 1
    True
    """
    bound = gain * math.sqrt(6 / max(sum(_fans("xavier_uniform_", tensor)), 1))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Normal numbers of standard deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio, 2010).

    >>> xavier_normal_(pg.zeros((2, 3))).shape
    (2, 3)
    """
    std = gain * math.sqrt(2 / max(sum(_fans("xavier_normal_", tensor)), 1))
    return normal_(tensor, 0.0, std, generator)


def kaiming_uniform_(tensor, a=0.0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Uniform numbers within gain sqrt(3 / fan) (He et al., 2015). a: the slope, if the nonlinearity is leaky_relu.

    >>> kaiming_uniform_(pg.zeros((2, 6)), nonlinearity="relu").max().item() <= 1
    True
    """
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / _fan("kaiming_uniform_", tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0.0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Normal numbers of standard deviation gain / sqrt(fan) (He et al., 2015). a: the slope, if it is leaky_relu.

    >>> kaiming_normal_(pg.zeros((2, 3))).shape
    (2, 3)
    """
    std = calculate_gain(nonlinearity, a) / math.sqrt(_fan("kaiming_normal_", tensor, mode))
    return normal_(tensor, 0.0, std, generator)


# ---- matrices ------------------------------------------------------------------------------------------


def orthogonal_(tensor, gain=1.0, generator=None):
    """gain times a random matrix [first axis, the others] whose rows, or columns if there are fewer, are orthonormal
    (Saxe et al., 2013). It is uniform among those (Mezzadri, 2007).

    >>> q = orthogonal_(pg.zeros((2, 3)))
    >>> np.abs((q @ q.T).numpy()).round(3).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    from ..ops.decompositions import qr
    from ..ops.matrices import diagonal

    _check_axes("orthogonal_", tensor, 2)
    if not tensor.size:
        return tensor
    rows, columns = tensor.shape[0], tensor.size // tensor.shape[0]
    wide = np.float32 if tensor.dtype.itemsize == 2 else tensor.dtype
    drawn = random.normal(_key(tensor, generator), (max(rows, columns), min(rows, columns)), wide)
    q, r = qr(drawn)
    q = q * where(diagonal(r) < 0, -1.0, 1.0)
    return assign(tensor, reshape(q if rows >= columns else swapaxes(q, 0, 1), tensor.shape) * gain)


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Normal numbers, but zeros in ceil(sparsity * rows) random rows of each column (Martens, 2010).

    >>> (sparse_(pg.zeros((4, 3)), 0.5) == 0).sum(0).tolist()
    [2, 2, 2]
    """
    from ..ops.sorting import argsort

    _check_axes("sparse_", tensor, 2, 2)
    if not 0 <= sparsity <= 1:
        raise ArgumentError(f"sparse_: sparsity={sparsity} is not in [0, 1].")
    zeros = math.ceil(sparsity * tensor.shape[0])
    keys = random.random_bits(_key(tensor, generator), shape=(2, 2), dtype=np.dtype(np.uint32))
    order = argsort(argsort(random.uniform(keys[0], tensor.shape), 0), 0)  # a random permutation in each column
    values = random.normal(keys[1], tensor.shape, tensor.dtype) * std
    return assign(tensor, where(order < zeros, 0.0, values))


__all__ = [
    "assign", "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
    "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip
