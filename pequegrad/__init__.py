"""pequegrad: lazy tensors on CPU and CUDA, automatic differentiation, jit, neural networks.

import pequegrad as pg
from pequegrad.tensor import Tensor, dt, device
from pequegrad.autodiff import grads
"""

import importlib

from .core import errors
from .core.device import Device, device
from .core.dtype import dt
from .core.errors import (
    ArgumentError,
    AxisError,
    AxisNameError,
    BroadcastError,
    DataFileError,
    DeviceError,
    DeviceMismatchError,
    DtypeError,
    GradientCheckError,
    GradientError,
    IndexingError,
    MiscompiledError,
    ModelFileError,
    NonFiniteError,
    OutOfMemoryError,
    PequegradError,
    ShapeError,
    TracerError,
    UnsupportedModelError,
    WorkerError,
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
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    cbrt,
    ceil,
    clip,
    cos,
    cosh,
    divide,
    divmod,
    equal,
    erf,
    erf_inv,
    erfc,
    exp,
    exp2,
    expm1,
    floor,
    floor_divide,
    fmod,
    greater,
    greater_equal,
    isfinite,
    isnan,
    left_shift,
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
    right_shift,
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
)
from .ops.creation import as_tensor
from .ops.indexing import one_hot, take_along_axis
from .ops.linalg import cross, dot, inner, kron, matmul, outer, tensordot, vdot
from .ops.random import get_rng_state, manual_seed, random_key, set_rng_state
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
)
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
)
from .ops.tracked import (
    arange,
    eye,
    full,
    full_like,
    geomspace,
    identity,
    linspace,
    logspace,
    ones,
    ones_like,
    rand,
    randn,
    tri,
    zeros,
    zeros_like,
)
from .primitives.control import stop_gradient
from .runtime.memory import empty_cache, memory_stats, num_threads, set_memory_limit, set_num_threads, sync_cuda_device

# Names that are imported when they are first used, by module: `import pequegrad` then takes milliseconds. "a:b" is a as b.
_LATER = {
    "compiler.patterns": "no_patterns pattern patterns register_pattern unregister_pattern",
    "ops.attention": "scaled_dot_product_attention",
    "ops.complex": "angle complex conj imag real",
    "ops.convolution": (
        "col2im conv1d conv2d conv3d conv_general_dilated conv_transpose1d conv_transpose2d "
        "conv_transpose3d depthwise_conv2d fold im2col separable_conv2d unfold"
    ),
    "ops.cumulative": "cummax cummin cumprod cumsum diff linear_recurrence logcumsumexp",
    "ops.dynamic": (
        "bitcast_convert_type copy dynamic_index_in_dim dynamic_slice dynamic_slice_in_dim "
        "dynamic_update_index_in_dim dynamic_update_slice dynamic_update_slice_in_dim"
    ),
    "ops.einsum": "einsum",
    "ops.gamma": (
        "bessel_i0e bessel_i1e betainc clz digamma igamma igamma_grad_a igammac lgamma nextafter polygamma "
        "population_count random_gamma_grad zeta"
    ),
    "ops.image": "interpolate pixel_shuffle pixel_unshuffle resize",
    "ops.integers": "gcd lcm",
    "ops.losses": (
        "binary_cross_entropy binary_cross_entropy_with_logits cosine_similarity "
        "cross_entropy_loss_indices cross_entropy_loss_probs huber_loss kl_div l1_loss mse_loss nll_loss "
        "smooth_l1_loss"
    ),
    "ops.matrices": "diag diagonal trace tril triu",
    "ops.nn": (
        "celu dropout elu gelu glu hard_sigmoid hard_swish hard_tanh leaky_relu log_sigmoid mish prelu "
        "relu relu6 selu silu soft_sign softmin squareplus"
    ),
    "ops.normalization": "batch_norm group_norm instance_norm layer_norm rms_norm",
    "ops.norms": "norm",
    "ops.pooling": (
        "avg_pool1d avg_pool2d avg_pool3d global_avg_pool global_max_pool local_response_norm max_pool1d "
        "max_pool2d max_pool3d"
    ),
    "ops.rearrange": (
        "argwhere atleast_1d atleast_2d atleast_3d broadcast_arrays choose chunk dstack hstack meshgrid "
        "nonzero put_along_axis ravel repeat roll rot90 select take tile unstack vstack"
    ),
    "ops.segments": "segment_max segment_min segment_sum",
    "ops.signal": "convolve correlate",
    "ops.sorting": "argsort lexsort median percentile quantile searchsorted sort topk",
    "ops.special": (
        "copysign deg2rad float_power fmax fmin frexp heaviside hypot isclose isinf isneginf isposinf "
        "ldexp log2 log10 logaddexp logaddexp2 logical_and logical_or logical_xor logit nan_to_num "
        "rad2deg reciprocal signbit sinc softplus square xlog1py xlogy"
    ),
    "ops.statistics": (
        "allclose array_equal average bincount corrcoef count_nonzero cov cov:covariance digitize histogram histogram_bin_edges "
        "interp nanmax nanmean nanmin nanprod nanstd nansum nanvar polyval ptp trapezoid"
    ),
    "compiler.profile": "profile",
    "test_util": "check_grads",
    "transforms.amp": "amp",
    "transforms.callbacks": "ShapeDtypeStruct debug_callback debug_print io_callback pure_callback",
    "transforms.checkpoint": "checkpoint checkpoint_name policies:checkpoint_policies",
    "transforms.collectives": "all_gather axis_index axis_size pmax pmean pmin ppermute psum",
    "transforms.control_flow": "associative_scan cond fori_loop scan switch while_loop map_:map",
    "transforms.custom": "custom_jvp custom_vjp",
    "transforms.eval_shape": "eval_shape",
    "transforms.gradients": "fngrad grad grads jvp linear_transpose linearize no_grad value_and_grad vjp",
    "transforms.jacobians": "hessian hvp jacfwd jacobian jacrev",
    "transforms.jet": "jet taylor_expand",
    "transforms.jit": "clear_caches jit",
    "transforms.vmap": "vmap",
}
_MODULE_OF = {
    entry.split(":")[-1]: (module, entry.split(":")[0]) for module, names in _LATER.items() for entry in names.split()
}
_SUBMODULES = (
    "autodiff",
    "compiler",
    "data",
    "fft",
    "jax_api",
    "linalg",
    "nn",
    "onnx",
    "ops",
    "optim",
    "primitives",
    "tensor",
    "train",
    "transforms",
)

cat = concatenate
__version__ = "0.1.0"


def __getattr__(name):
    if name in _MODULE_OF:
        module, name_there = _MODULE_OF[name]
        found = getattr(importlib.import_module(f"{__name__}.{module}"), name_there)
    elif name in _SUBMODULES:
        found = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module 'pequegrad' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__():
    return sorted({*globals(), *_MODULE_OF, *_SUBMODULES})
