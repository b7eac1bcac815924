"""pg.zeros, pg.rand, ...: as in ops.creation and ops.random, but tracked, like Tensor(...): grads() may be asked for them."""

import functools

from ..core.node import TRACKED, state
from . import creation, random


def _tracked(function):
    @functools.wraps(function)
    def tracked(*args, **kwargs):
        result = function(*args, **kwargs)
        result._node.flags |= TRACKED & state.flags_mask
        return result

    return tracked


(
    zeros,
    ones,
    full,
    eye,
    identity,
    tri,
    arange,
    linspace,
    logspace,
    geomspace,
    zeros_like,
    ones_like,
    full_like,
    rand,
    randn,
) = map(
    _tracked,
    (
        creation.zeros,
        creation.ones,
        creation.full,
        creation.eye,
        creation.identity,
        creation.tri,
        creation.arange,
        creation.linspace,
        creation.logspace,
        creation.geomspace,
        creation.zeros_like,
        creation.ones_like,
        creation.full_like,
        random.rand,
        random.randn,
    ),
)
