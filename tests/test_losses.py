"""Losses: ignored and wrong classes, hard probabilities, 16-bit floats, derivatives against torch, errors."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import pequegrad as pg

FLOATS = ("float16", "bfloat16", "float32", "float64")


def in_torch(x):
    return torch.tensor(x, requires_grad=x.dtype.kind == "f")


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_ignored_classes(tensor, rng, reduction, smoothing, weighted):
    x, y, w = rng.normal(size=(2, 5, 4)), np.int64([[0, -100, 3, 1, 2], [-100, 1, 1, 0, 3]]), rng.uniform(0.5, 2, 4)
    given = {"reduction": reduction, "label_smoothing": smoothing}
    t, u = tensor(x), in_torch(x)
    ours = pg.cross_entropy_loss_indices(t, tensor(y), weight=tensor(w) if weighted else None, **given)
    theirs = F.cross_entropy(u.movedim(-1, 1), torch.tensor(y), weight=torch.tensor(w) if weighted else None, **given)
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-12)
    theirs.sum().backward()
    np.testing.assert_allclose(pg.grads(t, ours.sum()).numpy(), u.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_which_class_is_ignored(tensor):
    x = tensor([[1.0, 2.0], [3.0, 1.0]])
    one = pg.nll_loss(x, np.int32([0, 1]), ignore_index=1)
    assert one.item() == -1 and pg.nll_loss(x, np.uint8([0, 1]), ignore_index=-100).item() == -1
    assert pg.nll_loss(x, np.int32([0, 1]), ignore_index=None, reduction="sum").item() == -2
    assert math.isnan(pg.nll_loss(x, np.int32([0, 2])).item())  # not a class
    assert math.isnan(pg.nll_loss(x, np.int32([-100, -100])).item())  # no target counts, as in torch
    assert pg.nll_loss(x, np.int32([-100, -100]), reduction="none").tolist() == [0, 0]


def test_binary_cross_entropy_of_certain_predictions(tensor):
    p, y = np.array([0.0, 1, 0, 1, 0.5]), np.array([0.0, 1, 1, 0, 0.3])
    t = tensor(p)
    out = pg.binary_cross_entropy(t, tensor(y), reduction="none")
    np.testing.assert_allclose(
        out.numpy(), F.binary_cross_entropy(torch.tensor(p), torch.tensor(y), reduction="none").numpy()
    )
    assert np.isfinite(pg.grads(t, out.sum()).numpy()).all()
    x = np.array([1000.0, -1000, 1000, -1000, 0])
    t, u = tensor(x), in_torch(x)
    out = pg.binary_cross_entropy_with_logits(t, tensor(y), pos_weight=2.0, reduction="sum")
    theirs = F.binary_cross_entropy_with_logits(u, torch.tensor(y), pos_weight=torch.tensor(2.0), reduction="sum")
    theirs.backward()
    assert out.item() == theirs.item()
    np.testing.assert_allclose(pg.grads(t, out).numpy(), u.grad.numpy())


def test_kl_div_of_impossible_events(tensor):
    target, x = np.array([0.0, 0.5, 0.5]), np.log([0.2, 0.3, 0.5])
    t, p = tensor(x), tensor(target)
    out = pg.kl_div(t, p, reduction="sum")
    assert out.item() == pytest.approx(F.kl_div(torch.tensor(x), torch.tensor(target), reduction="sum").item())
    assert all(np.isfinite(g.numpy()).all() for g in pg.grads([t, p], out))


def test_similarity_of_nothing(tensor):
    x = tensor(np.array([[0.0, 0.0], [3.0, 4.0]]))
    out = pg.cosine_similarity(x, x)
    np.testing.assert_allclose(out.numpy(), [0, 1])
    assert np.isfinite(pg.grads(x, out.sum()).numpy()).all()


@pytest.mark.parametrize("name", FLOATS)
def test_dtypes(tensor, rng, name):
    """Results have the dtype of the predictions; means over many 16-bit floats do not overflow."""
    x, y = tensor(rng.normal(size=(300, 8)), name), tensor(rng.integers(0, 8, 300))
    p = pg.sigmoid(x)
    losses = [
        pg.mse_loss(x * 0 + 60, x * 0), pg.l1_loss(x, p), pg.huber_loss(x, p), pg.smooth_l1_loss(x, p), pg.kl_div(x, p), pg.binary_cross_entropy(p, p),
        pg.binary_cross_entropy_with_logits(x, p), pg.cross_entropy_loss_indices(x, y), pg.cross_entropy_loss_indices(x, y, weight=p[0] * 100),
        pg.cross_entropy_loss_indices(x * 60, y, ignore_index=1), pg.cross_entropy_loss_probs(x, p), pg.nll_loss(x, y), pg.cosine_similarity(x, p).mean(),
    ]  # fmt: skip
    for loss in losses:
        assert loss.dtype.name == name and np.isfinite(float(loss.item()))
    assert losses[0].item() == 3600


def test_empty_batches(tensor):
    x, y = tensor(np.zeros((0, 3))), tensor(np.zeros(0, "i4"))
    for f in (pg.mse_loss, pg.l1_loss, pg.huber_loss, pg.kl_div, pg.binary_cross_entropy, pg.cross_entropy_loss_probs):
        assert f(x, x, reduction="sum").item() == 0 and math.isnan(f(x, x).item())
    assert pg.cross_entropy_loss_indices(x, y, reduction="sum").item() == 0
    assert pg.cross_entropy_loss_indices(x, y, reduction="none").shape == (0,)


def test_errors(tensor):
    x, y = tensor(np.zeros((2, 3))), tensor(np.zeros(2, "i4"))
    for f, error, message in (
        (lambda: pg.mse_loss(x, x, "average"), pg.ArgumentError, "mse_loss: reduction='average'"), (lambda: pg.l1_loss(x, x[0]), pg.ShapeError, "l1_loss: .* one shape"),
        (lambda: pg.nll_loss(x, x), pg.DtypeError, "nll_loss: class numbers must be integers"), (lambda: pg.nll_loss(x, y[:1]), pg.ShapeError, "targets of shape"),
        (lambda: pg.nll_loss(tensor(1.0), y), pg.ShapeError, "no axis of classes"), (lambda: pg.huber_loss(x, x, delta=0), pg.ArgumentError, "delta"),
        (lambda: pg.cross_entropy_loss_indices(x, y, weight=x), pg.ShapeError, r"weight float64\[2,3\] must have shape \[3\]"),
        (lambda: pg.cross_entropy_loss_probs(x, x, label_smoothing=2), pg.ArgumentError, "label_smoothing"), (lambda: pg.smooth_l1_loss(x, x, beta=-1), pg.ArgumentError, "beta"),
        (lambda: pg.kl_div(tensor(1.0), 1.0, "batchmean"), pg.ShapeError, "batchmean"), (lambda: pg.nll_loss(x, y, reduction="batchmean"), pg.ArgumentError, "mean, sum, none"),
        (lambda: pg.cosine_similarity(x, tensor(np.zeros((2, 2)))), pg.ShapeError, "cosine_similarity"),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            f()
