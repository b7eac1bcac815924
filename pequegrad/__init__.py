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
    AxisNameError,
    DataFileError,
    DeviceError,
    DeviceMismatchError,
    DtypeError,
    GradientCheckError,
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
from .ops.attention import scaled_dot_product_attention
from .ops.complex import angle, complex, conj, imag, real
from .ops.convolution import (
    col2im,
    conv1d,
    conv2d,
    conv3d,
    conv_general_dilated,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    depthwise_conv2d,
    fold,
    im2col,
    separable_conv2d,
    unfold,
)
from .ops.creation import as_tensor
from .ops.cumulative import cummax, cummin, cumprod, cumsum, diff, logcumsumexp
from .ops.dynamic import (
    bitcast_convert_type,
    copy,
    dynamic_index_in_dim,
    dynamic_slice,
    dynamic_slice_in_dim,
    dynamic_update_index_in_dim,
    dynamic_update_slice,
    dynamic_update_slice_in_dim,
)
from .ops.einsum import einsum
from .ops.gamma import (
    bessel_i0e,
    bessel_i1e,
    betainc,
    clz,
    digamma,
    igamma,
    igamma_grad_a,
    igammac,
    lgamma,
    nextafter,
    polygamma,
    population_count,
    zeta,
)
from .ops.image import interpolate, pixel_shuffle, pixel_unshuffle, resize
from .ops.indexing import one_hot, take_along_axis
from .ops.integers import gcd, lcm
from .ops.linalg import cross, dot, inner, kron, matmul, outer, tensordot, vdot
from .ops.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_similarity,
    cross_entropy_loss_indices,
    cross_entropy_loss_probs,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from .ops.matrices import diag, diagonal, trace, tril, triu
from .ops.nn import (
    celu,
    dropout,
    elu,
    gelu,
    glu,
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    silu,
    soft_sign,
    softmin,
    squareplus,
)
from .ops.normalization import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from .ops.norms import norm
from .ops.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    global_avg_pool,
    global_max_pool,
    local_response_norm,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from .ops.random import manual_seed, random_key
from .ops.rearrange import (
    argwhere,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_arrays,
    choose,
    chunk,
    dstack,
    hstack,
    meshgrid,
    nonzero,
    put_along_axis,
    ravel,
    repeat,
    roll,
    rot90,
    select,
    take,
    tile,
    unstack,
    vstack,
)
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
from .ops.signal import convolve, correlate
from .ops.sorting import argsort, lexsort, median, percentile, quantile, searchsorted, sort, topk
from .ops.special import (
    copysign,
    deg2rad,
    float_power,
    fmax,
    fmin,
    frexp,
    heaviside,
    hypot,
    isclose,
    isinf,
    isneginf,
    isposinf,
    ldexp,
    log2,
    log10,
    logaddexp,
    logaddexp2,
    logical_and,
    logical_or,
    logical_xor,
    logit,
    nan_to_num,
    rad2deg,
    reciprocal,
    signbit,
    sinc,
    softplus,
    square,
    xlog1py,
    xlogy,
)
from .ops.statistics import (
    allclose,
    array_equal,
    average,
    bincount,
    corrcoef,
    count_nonzero,
    cov,
    digitize,
    histogram,
    histogram_bin_edges,
    interp,
    nanmax,
    nanmean,
    nanmin,
    nanprod,
    nanstd,
    nansum,
    nanvar,
    polyval,
    ptp,
    trapezoid,
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
from .test_util import check_grads
from .transforms.callbacks import ShapeDtypeStruct, debug_callback, debug_print, io_callback, pure_callback
from .transforms.checkpoint import checkpoint, checkpoint_name
from .transforms.checkpoint import policies as checkpoint_policies
from .transforms.collectives import all_gather, axis_index, axis_size, pmax, pmean, pmin, ppermute, psum
from .transforms.control_flow import associative_scan, cond, fori_loop, scan, switch, while_loop
from .transforms.control_flow import map_ as map
from .transforms.custom import custom_jvp, custom_vjp
from .transforms.gradients import fngrad, grad, grads, jvp, linear_transpose, linearize, no_grad, value_and_grad, vjp
from .transforms.jacobians import hessian, hvp, jacfwd, jacobian, jacrev
from .transforms.jet import jet, taylor_expand
from .transforms.jit import jit
from .transforms.vmap import vmap

cat = concatenate
__version__ = "0.1.0"


def __getattr__(name):
    if name in ("nn", "optim", "jax_api", "autodiff", "linalg", "fft", "tensor"):  # imported when they are first used
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'pequegrad' has no attribute {name!r}")
