"""Neural networks as objects: modules with parameters.

layers/ has the layers, functional what they compute, losses the losses, init the first values of parameters.
"""

from . import functional, init, losses
from .copies import apply_to_module
from .layers import *  # noqa: F403
from .losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CosineEmbeddingLoss,
    CrossEntropyLoss,
    CTCLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from .module import StatefulModule
from .quantization import Quantized, quantization_report, quantize
