"""Functions of nn.functional that no layer has tested, against torch."""

import numpy as np
import pytest
import torch

import pequegrad as pg
from pequegrad.nn import functional as F

PADS = [
    ((1, 2), {}), ((1, 0, 2, 1), {"value": 3.5}), ((-1, 2, 0, -2), {"mode": "constant"}), ((1, 2), {"mode": "reflect"}), ((2, 1, 1, 3), {"mode": "reflect"}),
    ((3, 2), {"mode": "replicate"}), ((0, 4, 5, 0), {"mode": "replicate"}), ((4, 1), {"mode": "circular"}), ((0, 2, 3, 1), {"mode": "circular"}),
]  # fmt: skip


def compare(ours, theirs, *arrays, rtol=1e-9):
    """Results and gradients, eager and jitted."""
    inputs = [torch.tensor(x, requires_grad=True) for x in arrays]
    expected = theirs(*inputs)
    weights = np.random.default_rng(1).normal(size=expected.shape)
    wanted = torch.autograd.grad((expected * torch.tensor(weights)).sum(), inputs)
    run = lambda *xs: ((out := ours(*xs)), pg.grads(xs, (out * weights).sum()))
    for function in (run, pg.jit(run)):
        out, grads = function(*map(pg.Tensor, arrays))
        np.testing.assert_allclose(out.numpy(), expected.detach().numpy(), rtol=rtol, atol=1e-12)
        for g, h in zip(grads, wanted):
            np.testing.assert_allclose(g.numpy(), h.numpy(), rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("case", PADS, ids=str)
def test_pad(case, rng):
    widths, options = case
    x = rng.normal(size=(2, 3, 5, 6)[0 if len(widths) > 2 else 1 :])
    compare(lambda x: F.pad(x, widths, **options), lambda x: torch.nn.functional.pad(x, widths, **options), x)


@pytest.mark.parametrize("options", [{}, {"p": 1.0}, {"p": 3.0, "dim": 0}, {"dim": -1, "eps": 2.0}], ids=str)
def test_normalize(options, rng):
    x = rng.normal(size=(3, 4, 5))
    compare(lambda x: F.normalize(x, **options), lambda x: torch.nn.functional.normalize(x, **options), x)


def test_normalize_zeros(tensor):
    x = tensor(np.zeros((2, 3)))
    assert np.isfinite(pg.grads([x], F.normalize(x).sum())[0].numpy()).all()


@pytest.mark.parametrize("options", [{}, {"dim": -1}], ids=str)
def test_cosine_similarity(options, rng):
    x, y = rng.normal(size=(3, 4, 5)), rng.normal(size=(3, 4, 5))
    theirs = lambda x, y: torch.nn.functional.cosine_similarity(x, y, **options)
    compare(lambda x, y: F.cosine_similarity(x, y, **options), theirs, x, y)
    options = {
        **options,
        "eps": 3.0,
    }  # only values: torch differentiates the norm, though the bound stands in its place
    np.testing.assert_allclose(
        F.cosine_similarity(x, y, **options).numpy(), theirs(*map(torch.tensor, (x, y))).numpy(), rtol=1e-9
    )


@pytest.mark.parametrize("n", [1, 2, 3])
def test_adaptive_pooling_and_max_pooling_in_all_dimensions(n, rng):
    x, torch_f = rng.normal(size=(2, 3, 6, 5, 7)[: n + 2]), torch.nn.functional
    for name, args in ((f"adaptive_avg_pool{n}d", (3,)), (f"max_pool{n}d", (3, 2, 1)), (f"avg_pool{n}d", (2, 1))):
        compare(lambda x: getattr(F, name)(x, *args), lambda x: getattr(torch_f, name)(x, *args), x)
    _, indices = F.max_pool3d(x, 3, 2, 1, return_indices=True) if n == 3 else (None, None)
    if n == 3:
        expected = torch_f.max_pool3d(torch.tensor(x), 3, 2, 1, return_indices=True)[1]
        np.testing.assert_array_equal(indices.numpy(), expected.numpy())


def test_positions_of_maxima_in_integers_and_halves():
    x = np.array([[[3, 1, 2, 9, 9]]])
    for dtype in ("int32", "uint8", "float16", "bfloat16"):
        out, indices = F.max_pool1d(pg.Tensor(x, dtype=dtype), 2, 2, return_indices=True)
        assert indices.tolist() == [[[0, 3]]] and indices.dtype == np.int64 and out.dtype.name == dtype


def test_max_norm_keeps_gradients_in_both_styles(rng):
    """The derivative is that of the rows as they were looked up, for a parameter and for an argument."""
    layer = pg.nn.Embedding(4, 3, max_norm=0.5)
    before, x = layer.weight.numpy(), np.array([0, 2, 2])
    loss = lambda params: (pg.nn.apply_to_module(layer, params, x) * np.arange(9.0, dtype="f4").reshape(3, 3)).sum()
    (functional,) = pg.grad(loss)(layer.tree_flatten()).values()
    np.testing.assert_array_equal(layer.weight.numpy(), before)
    (jitted,) = pg.jit(pg.grad(loss))(layer.tree_flatten()).values()
    (stateful,) = pg.grads(layer.parameters(), (layer(x) * np.arange(9.0, dtype="f4").reshape(3, 3)).sum())
    for g in (functional, jitted, stateful):
        np.testing.assert_array_equal(g.numpy(), [[0, 1, 2], [0, 0, 0], [9, 11, 13], [0, 0, 0]])
    norms = np.linalg.norm(layer.weight.numpy(), axis=1)
    assert (norms[[0, 2]] <= 0.5001).all() and (layer.weight.numpy()[[1, 3]] == before[[1, 3]]).all()


WRONG = {
    "odd": (lambda x: F.pad(x, (1,)), "pairs"), "many": (lambda x: F.pad(x, (1,) * 8), "pairs"), "mode": (lambda x: F.pad(x, (1, 1), "mirror"), "replicate"),
    "reflect": (lambda x: F.pad(x, (4, 0), "reflect"), "axis 2"), "circular": (lambda x: F.pad(x, (0, 5), "circular"), "axis 2"),
    "negative": (lambda x: F.pad(x, (-1, 0), "replicate"), "axis 2"), "instance": (lambda x: F.instance_norm(x[0], pg.zeros(3), pg.ones(3)), "positions"),
    "dropout": (lambda x: F.dropout(x, 1.0), "[0, 1)"), "dropout1d": (lambda x: F.dropout1d(x, 1.0), "[0, 1)"), "linear": (lambda x: F.linear(x, pg.ones((3, 3))), "linear"),
    "table": (lambda x: F.embedding(np.array([1]), x), "[rows, size]"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name, tensor):
    run, message = WRONG[name]
    with pytest.raises(pg.PequegradError) as error:
        run(tensor(np.ones((2, 3, 4))))
    assert message in str(error.value)
