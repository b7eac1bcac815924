"""Normalisation beyond what pequegrad.ops has: instances with running statistics, vectors to length 1."""

from ...core.errors import ShapeError
from ...ops.arithmetic import astype, floating, maximum, sqrt, where
from ...ops.normalization import BatchNorm, batch_norm
from ...ops.normalization import instance_norm as _instance_norm
from ...ops.norms import norm
from ...ops.rearrange import tile
from ...ops.reductions import mean
from ...ops.reductions import sum as total
from ...ops.shape import reshape


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    """(x - mean) / sqrt(var + eps) * weight + bias over the positions of each example and channel; x: [N, C, ...].

    With running statistics ([C], as for batch_norm) the result is (out, running_mean, running_var): the running ones
    move towards the mean over N of those of x, or, without use_input_stats, are used instead of them.

    >>> np.round(instance_norm(pg.Tensor([[[1.0, 3.0]]])).tolist(), 2).tolist()
    [[[-1.0, 1.0]]]
    """
    if running_mean is None and running_var is None:
        return _instance_norm(input, weight, bias, eps)
    x = floating(input)
    if x.ndim < 3:
        raise ShapeError(f"instance_norm: {x._node.aval} has no positions.", fix="x has shape [N, C, positions ...].")
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    n, c = x.shape[:2]
    each = lambda v: None if v is None else tile(v, n)  # every instance is a channel of one example
    out, *running = batch_norm(
        reshape(x, (1, n * c, *x.shape[2:])), *map(each, (running_mean, running_var, weight, bias)), True, momentum, eps
    )
    running = [astype(mean(reshape(v, (n, c)), 0), v.dtype) for v in running]
    return BatchNorm(reshape(out, x.shape), *running)


def normalize(input, p=2.0, dim=1, eps=1e-12):
    """x divided by its p-norm along `dim`, or by `eps` where the norm is smaller.

    >>> np.round(normalize(pg.Tensor([[3.0, 4.0]])).tolist(), 2).tolist()
    [[0.6, 0.8]]
    """
    x = floating(input)
    if p != 2:
        return x / maximum(norm(x, ord=float(p), axis=dim, keepdims=True), float(eps))
    square = total(x * x, dim, keepdims=True)
    small = square <= float(eps) ** 2  # there a root would have an infinite derivative
    return x / where(small, float(eps), sqrt(where(small, 1.0, square)))
