"""pequegrad: lazy tensors on CPU and CUDA, automatic differentiation, jit, neural networks.

import pequegrad as pg
from pequegrad.tensor import Tensor, dt, device
from pequegrad.autodiff import grads
"""

from .core import errors
from .core.device import Device, device
from .core.dtype import dt
from .core.errors import (
    ArgumentError,
    DataFileError,
    DeviceError,
    DeviceMismatchError,
    DtypeError,
    GradientError,
    IndexingError,
    ModelFileError,
    OutOfMemoryError,
    PequegradError,
    ShapeError,
    TracerError,
)
from .core.tensor import Tensor
from .ops import methods as _methods
from .ops.arithmetic import (
    abs,
    acos,
    acosh,
    add,
    arctan2,
    asin,
    asinh,
    astype,
    atan,
    atanh,
    cbrt,
    ceil,
    clip,
    cos,
    cosh,
    divide,
    equal,
    erf,
    erf_inv,
    erfc,
    exp,
    exp2,
    expm1,
    floor,
    floor_divide,
    greater,
    greater_equal,
    isfinite,
    isnan,
    less,
    less_equal,
    log,
    log1p,
    logical_not,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    power,
    remainder,
    round,
    rsqrt,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    subtract,
    tan,
    tanh,
    trunc,
    where,
)  # fmt: skip
from .ops.complex import angle, complex, conj, imag, real
from .ops.creation import as_tensor
from .ops.indexing import one_hot, take_along_axis
from .ops.linalg import cross, dot, inner, kron, matmul, outer, tensordot, vdot
from .ops.matrices import diag, diagonal, trace, tril, triu
from .ops.nn import cross_entropy_loss_indices, cross_entropy_loss_probs, dropout, gelu, mse_loss, relu, silu
from .ops.norms import norm
from .ops.random import manual_seed, random_key
from .ops.reductions import (
    all,
    any,
    argmax,
    argmin,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    prod,
    softmax,
    std,
    sum,
    var,
)  # fmt: skip
from .ops.shape import (
    broadcast_to,
    concatenate,
    expand_dims,
    flatten,
    flip,
    moveaxis,
    pad,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    swapaxes,
    transpose,
)  # fmt: skip
from .ops.special import clz, digamma, lgamma, nextafter, polygamma, population_count
from .ops.tracked import arange, eye, full, full_like, linspace, ones, ones_like, rand, randn, zeros, zeros_like
from .primitives.control import stop_gradient
from .runtime.memory import empty_cache, memory_stats, num_threads, set_memory_limit, set_num_threads, sync_cuda_device
from .transforms.gradients import fngrad, grad, grads, jvp, no_grad, value_and_grad, vjp
from .transforms.jit import jit
from .transforms.vmap import vmap

cat = concatenate
__version__ = "0.1.0"


def __getattr__(name):
    if name in ("nn", "optim", "jax_api", "autodiff", "linalg", "tensor"):  # imported when they are first used
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'pequegrad' has no attribute {name!r}")
