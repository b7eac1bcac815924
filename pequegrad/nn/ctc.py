"""Connectionist temporal classification: the forward algorithm of Graves et al. (2006), in logarithms, as one scan."""

import numpy as np

from ..core.dtype import dt, is_integer
from ..core.errors import ArgumentError, DtypeError, ShapeError
from ..core.tensor import Tensor
from ..ops.arithmetic import astype, exp, floating, log, maximum, where
from ..ops.creation import arange, as_tensor, full
from ..ops.cumulative import cumsum
from ..ops.indexing import pick
from ..ops.rearrange import take
from ..ops.reductions import logsumexp
from ..ops.shape import broadcast_to, concatenate, expand_dims, pad, reshape, stack
from ..primitives.control import stop_gradient
from ..transforms.control_flow import scan

NEVER = -1e30  # stands for log(0): finite, so that no derivative is inf - inf


def ctc_losses(log_probs, targets, input_lengths, target_lengths, blank):
    """(losses [N], target lengths [N], whether there was a batch); inf where a target does not fit into its input."""
    log_probs = floating(log_probs)
    had_batch = log_probs.ndim == 3
    if log_probs.ndim not in (2, 3):
        raise ShapeError(f"ctc_loss: log_probs {log_probs._node.aval} must be [T, N, C] or [T, C].")
    x = log_probs if had_batch else expand_dims(log_probs, 1)
    n, classes = x.shape[1:]
    if not 0 <= blank < classes:
        raise ArgumentError(f"ctc_loss: blank={blank} is not one of {classes} classes.")
    input_lengths = _lengths("input_lengths", input_lengths, n, x.device)
    known = target_lengths
    target_lengths = _lengths("target_lengths", target_lengths, n, x.device)
    targets = _rows(targets, target_lengths, known, n, had_batch, x.device)
    wide = astype(x, dt.float32) if x.dtype.itemsize == 2 else x
    losses = _forward(maximum(wide, NEVER), targets, input_lengths, target_lengths, blank)
    return astype(losses, x.dtype), target_lengths, had_batch


def _lengths(name, lengths, n, device):
    lengths = as_tensor(lengths if isinstance(lengths, Tensor) else np.asarray(lengths), device)
    if not is_integer(lengths.dtype) or lengths.size != n or lengths.ndim > 1:
        raise ShapeError(f"ctc_loss: {name} {lengths._node.aval} must be integers, one for each of {n} examples.")
    return reshape(lengths, (n,)).astype(dt.int32)


def _rows(targets, lengths, known, n, had_batch, device):
    """The targets as [N, S]; of concatenated ones S is the largest length if that is known, else their total."""
    targets = as_tensor(targets, device)
    if not is_integer(targets.dtype):
        raise DtypeError(f"ctc_loss: targets are class numbers, got {targets._node.aval}.", fix="y.astype(dt.int32)")
    if targets.ndim == 2 and targets.shape[0] == n:
        return targets
    if targets.ndim != 1:
        raise ShapeError(f"ctc_loss: targets {targets._node.aval} must be [{n}, S], or all in one row.")
    if not had_batch:
        return reshape(targets, (1, targets.size))
    size = targets.size if isinstance(known, Tensor) else max(int(np.max(known, initial=0)), 0)
    if not size:
        return full((n, 0), 0, targets.dtype, device)
    begins = cumsum(lengths) - lengths
    return take(targets, expand_dims(begins, 1) + arange(size, dtype=dt.int32, device=device), 0, mode="clip")


def _forward(x, targets, input_lengths, target_lengths, blank):
    """-log p(target) of each example. States: blank, first class, blank, second class ... blank."""
    steps, n, _ = x.shape
    size = 2 * targets.shape[1] + 1
    blanks = full((n, targets.shape[1]), blank, targets.dtype, x.device)
    labels = reshape(stack([blanks, targets], 2), (n, size - 1))
    labels = concatenate([labels, full((n, 1), blank, targets.dtype, x.device)], 1)
    emitted = pick(x, broadcast_to(expand_dims(labels.astype(dt.int32), 0), (steps, n, size)), 2)
    before = pad(labels, ((0, 0), (2, 0)), blank)[:, :size]
    skips = (labels != blank) & (labels != before)  # from one class to the next, another one, without a blank
    first = where(arange(size, dtype=dt.int32, device=x.device) == 0, 0.0, NEVER).astype(x.dtype)
    alpha = broadcast_to(
        first, (n, size)
    )  # before any time: as if in the first blank, from which the first class is next

    def step(state, row):
        alpha, time = state
        one, two = (pad(alpha, ((0, 0), (k, 0)), NEVER)[:, :size] for k in (1, 2))
        new = _log_of_sum(alpha, one, where(skips, two, NEVER)) + row
        return (where(expand_dims(time < input_lengths, 1), maximum(new, NEVER), alpha), time + 1), None

    (alpha, _), _ = scan(step, (alpha, full((), 0, dt.int32, x.device)), emitted)
    ends = expand_dims(2 * target_lengths, 1)
    places = arange(size, dtype=dt.int32, device=x.device)
    final = (places == ends) | (places == ends - 1)
    losses = -logsumexp(where(final, alpha, NEVER), 1)
    return where(losses > -NEVER / 2, np.inf, losses)


def _log_of_sum(*xs):
    """log(exp(a) + exp(b) + ...), elementwise, of finite numbers."""
    largest = stop_gradient(maximum(maximum(xs[0], xs[1]), xs[2]))
    return log(exp(xs[0] - largest) + exp(xs[1] - largest) + exp(xs[2] - largest)) + largest
