"""`import pequegrad.jax_api as jnp`: NumPy-like functions and JAX's transforms, on untracked arrays.

The part of jax.numpy that pequegrad.nn is built on; names that are here work, the others are absent.
"""

from ..core.dtype import dt as _dt
from ..core.tensor import Tensor as Array
from ..ops.arithmetic import (
    abs,
    add,
    arctan2,
    astype,
    cbrt,
    ceil,
    clip,
    cos,
    cosh,
    divide,
    equal,
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
from ..ops.arithmetic import acos as arccos
from ..ops.arithmetic import asin as arcsin
from ..ops.arithmetic import atan as arctan
from ..ops.creation import arange, eye, full, full_like, linspace, ones, ones_like, zeros, zeros_like
from ..ops.indexing import take_along_axis
from ..ops.linalg import dot, matmul, outer, tensordot
from ..ops.reductions import all, any, argmax, argmin, max, mean, min, prod, std, sum, var
from ..ops.shape import (
    broadcast_to,
    concatenate,
    expand_dims,
    flip,
    moveaxis,
    reshape,
    split,
    squeeze,
    stack,
    swapaxes,
    transpose,
)  # fmt: skip
from ..transforms.gradients import grad, jvp, value_and_grad, vjp
from ..transforms.jit import jit
from ..transforms.vmap import vmap
from . import nn
from .arrays import array, asarray

bool_, int8, int16, int32, int64 = _dt.bool_, _dt.int8, _dt.int16, _dt.int32, _dt.int64
uint8, uint16, uint32, uint64 = _dt.uint8, _dt.uint16, _dt.uint32, _dt.uint64
float16, float32, float64 = _dt.float16, _dt.float32, _dt.float64
complex64, complex128 = _dt.complex64, _dt.complex128


def __getattr__(name):
    if name == "bfloat16":
        return _dt.bfloat16
    raise AttributeError(f"module 'pequegrad.jax_api' has no attribute {name!r}")
