"""What layers compute, as functions of tensors: names, order of arguments and axes are PyTorch's.

Where pequegrad.ops has the same function it is here as it is; the others are compositions of those. Functions that
change statistics return the new ones: `batch_norm` gives (out, running_mean, running_var).

>>> import pequegrad as pg
>>> from pequegrad.nn import functional as F
>>> F.linear(pg.ones((2, 3)), pg.ones((4, 3))).shape
(2, 4)
"""

from ...ops.convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    fold,
    unfold,
)
from ...ops.image import pixel_shuffle, pixel_unshuffle
from ...ops.indexing import one_hot
from ...ops.normalization import batch_norm, group_norm, layer_norm, rms_norm
from ...ops.pooling import local_response_norm
from ..losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_embedding_loss,
    cosine_similarity,
    cross_entropy,
    ctc_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from .activations import (
    celu,
    elu,
    gelu,
    glu,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softsign,
    tanh,
)
from .attention import multi_head_attention, scaled_dot_product_attention
from .images import flatten, interpolate, pad
from .linear import bilinear, embedding, linear
from .normalization import instance_norm, normalize
from .pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from .random import dropout, dropout1d, dropout2d, dropout3d
from .recurrent import gru, lstm, rnn
