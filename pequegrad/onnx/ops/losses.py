"""Losses of class scores; classes lie on axis 1."""

import pequegrad as pg

from ..registry import op


@op("NegativeLogLikelihoodLoss", since=12)
def negative_log_likelihood_loss(x, target, weight=None, *, ignore_index=None, reduction="mean"):
    return pg.nll_loss(pg.moveaxis(x, 1, -1), target, weight, ignore_index, reduction)


@op("SoftmaxCrossEntropyLoss", since=12)
def softmax_cross_entropy_loss(scores, labels, weights=None, *, ignore_index=None, reduction="mean", n_outputs=1):
    log_prob = pg.log_softmax(scores, 1)
    options = {"ignore_index": ignore_index, "reduction": reduction}
    return (negative_log_likelihood_loss(log_prob, labels, weights, **options), log_prob)[:n_outputs]
