"""jax.numpy: NumPy's functions on Arrays. Each file of this folder has those of one kind."""

from ...ops.arithmetic import (
    abs,
    add,
    arctan2,
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
from ...ops.arithmetic import acos as arccos
from ...ops.arithmetic import asin as arcsin
from ...ops.arithmetic import atan as arctan
from ...ops.indexing import take_along_axis
from ...ops.linalg import dot, matmul, outer, tensordot
from ...ops.reductions import all, any, argmax, argmin, max, mean, min, prod, std, sum, var
from ...ops.shape import (
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
from ..array import Array as ndarray
from .array_api import __array_api_version__, __array_namespace_info__
from .creation import *  # noqa: F403
from .data_types import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .functional import *  # noqa: F403
from .grids import *  # noqa: F403
from .indexing import *  # noqa: F403
from .manipulation import *  # noqa: F403
from .products import *  # noqa: F403
from .reductions import *  # noqa: F403
from .sorting import *  # noqa: F403
from .statistics import *  # noqa: F403
