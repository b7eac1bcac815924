"""Optimisers, in two faces over one set of rules.

optim.Adam(model.parameters(), lr=1e-3).step(gradients)          changes the tensors it holds (stateful.py)
state, params = optim.adam(params, grads, state, lr=1e-3)        functions of trees (functional.py)

and what goes with them: schedules of learning rates, clipping, averages of parameters, accumulation of gradients.
"""

from . import schedules
from .accumulate import Accumulate
from .averages import EMA, ema, ema_init
from .clipping import clip_by_global_norm, clip_by_value, global_norm
from .functional import (
    adafactor,
    adafactor_init,
    adagrad,
    adagrad_init,
    adam,
    adam_init,
    adamw,
    adamw_init,
    functional,
    lamb,
    lamb_init,
    lion,
    lion_init,
    rmsprop,
    rmsprop_init,
    sgd,
    sgd_init,
)
from .loss_scale import LossScale
from .optimizer import Group, Optimizer
from .rules import rule
from .stateful import LAMB, SGD, Adafactor, Adagrad, Adam, AdamW, Lion, RMSprop
