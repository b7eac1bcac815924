"""Losses with every argument, as functions and as modules, against torch."""

import numpy as np
import pytest
import torch
import torch_layers as t

import pequegrad as pg
from pequegrad import nn
from pequegrad.nn import functional as F

REDUCTIONS = [{"reduction": "mean"}, {"reduction": "sum"}, {"reduction": "none"}]


def probabilities(rng, *shape, axis=1):
    x = np.exp(rng.normal(size=shape))
    return x / x.sum(axis, keepdims=True)


def classes(rng, *shape, high=5):
    y = rng.integers(0, high, shape)
    y.flat[0] = 1  # one that the cases ignore
    return y


WEIGHT = np.array([0.5, 2.0, 1.0, 0.1, 3.0])
SHAPES = {"[N, C]": (6, 5), "[N, C, d]": (2, 5, 3), "[N, C, d, e]": (2, 5, 2, 3), "[C]": (5,)}


def positions(shape):
    return shape[:1] + shape[2:] if len(shape) > 1 else ()


pair = lambda r: [r.normal(size=(4, 3)), r.normal(size=(4, 3))]
logits = lambda r: [r.normal(size=(4, 3)), probabilities(r, 4, 3)]
chances = lambda r: [1 / (1 + np.exp(-r.normal(size=(4, 3)))), probabilities(r, 4, 3)]
logs = lambda r: [np.log(probabilities(r, 4, 3)), probabilities(r, 4, 3)]
vectors = lambda r: [r.normal(size=(4, 3)), r.normal(size=(4, 3)), np.array([1, -1, 1, -1])]

# function, module, inputs, options beside the reduction
CASES = [
    ("mse_loss", "MSELoss", pair, [{}]), ("l1_loss", "L1Loss", pair, [{}]),
    ("smooth_l1_loss", "SmoothL1Loss", pair, [{}, {"beta": 0.3}, {"beta": 0.0}]), ("huber_loss", "HuberLoss", pair, [{}, {"delta": 0.3}]),
    ("kl_div", "KLDivLoss", logs, [{}]), ("kl_div", "KLDivLoss", lambda r: [np.log(x) for x in chances(r)], [{"log_target": True}]),
    ("binary_cross_entropy", "BCELoss", chances, [{}, {"weight": np.array([0.5, 2.0, 1.0])}]),
    ("binary_cross_entropy_with_logits", "BCEWithLogitsLoss", logits, [
        {}, {"weight": np.array([[0.5], [2.0], [1.0], [3.0]])}, {"pos_weight": np.array([0.5, 2.0, 3.0])}, {"weight": WEIGHT[:3], "pos_weight": np.array(4.0)},
    ]),
    ("cosine_embedding_loss", "CosineEmbeddingLoss", vectors, [{}, {"margin": 0.4}]),
    *[
        ("cross_entropy", "CrossEntropyLoss", lambda r, s=s: [r.normal(size=s), classes(r, *positions(s))], [
            {}, {"weight": WEIGHT}, {"ignore_index": 1} if len(s) > 1 else {}, {"label_smoothing": 0.2}, {"weight": WEIGHT, "ignore_index": 1, "label_smoothing": 0.1} if len(s) > 1 else {},
        ])
        for s in SHAPES.values()
    ],
    *[
        ("cross_entropy", "CrossEntropyLoss", lambda r, s=s: [r.normal(size=s), probabilities(r, *s, axis=min(1, len(s) - 1))], [
            {}, {"weight": WEIGHT}, {"label_smoothing": 0.2}, {"weight": WEIGHT, "label_smoothing": 0.1},
        ])
        for s in SHAPES.values()
    ],
    *[
        ("nll_loss", "NLLLoss", lambda r, s=s: [r.normal(size=s), classes(r, *positions(s))], [{}, {"weight": WEIGHT}, {"ignore_index": 1} if len(s) > 1 else {}])
        for s in SHAPES.values()
    ],
]  # fmt: skip
NAMES = [f"{i} {case[0]}" for i, case in enumerate(CASES)]


@pytest.mark.filterwarnings("ignore:reduction:UserWarning")  # torch's about the mean of kl_div
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_losses_are_torch_s(case, rng):
    function, module, inputs, options = case
    for extra in options:
        for reduction in REDUCTIONS + ([{"reduction": "batchmean"}] if function == "kl_div" else []):
            ours, theirs = t.pair(module, (), {**extra, **reduction})
            values = inputs(rng)
            t.compare(
                ours,
                theirs,
                values,
                jits=(reduction["reduction"] == "mean",),
                context=f"{function} {extra} {reduction}",
            )
            convert = lambda make: {
                k: make(v) if isinstance(v, np.ndarray) else v for k, v in (extra | reduction).items()
            }
            a = getattr(F, function)(*map(pg.Tensor, values), **convert(pg.Tensor)).numpy()
            b = getattr(torch.nn.functional, function)(*map(torch.tensor, values), **convert(torch.tensor)).numpy()
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weights_of_elements(name, rng):
    x, y = pair(rng)
    w = rng.uniform(size=x.shape)
    for reduction in ("mean", "sum", "none"):
        ours = getattr(F, name)(x, y, reduction=reduction, weight=w).numpy()
        theirs = getattr(torch.nn.functional, name)(
            *map(torch.tensor, (x, y)), reduction=reduction, weight=torch.tensor(w)
        )
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-9)


def test_l1_where_both_are_equal(tensor):
    x = tensor([1.0, 2.0])
    np.testing.assert_array_equal(pg.grads([x], F.l1_loss(x, tensor([1.0, 5.0]), "sum"))[0].numpy(), [0, -1])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_dtypes(dtype, rng):
    for function, _, inputs, _ in CASES:
        values = [pg.Tensor(x, dtype=dtype if x.dtype.kind == "f" else None) for x in inputs(rng)]
        assert getattr(F, function)(*values).dtype.name == dtype


# ---- CTC -----------------------------------------------------------------------------------------------------

TIMES, BATCH, KINDS = 9, 4, 5


def ctc(rng):
    """(scores [T, N, C], targets [N, S], input lengths, target lengths): the last target does not fit into its input."""
    targets = np.array([[1, 2, 2, 3], [4, 4, 1, 1], [2, 1, 3, 4], [1, 1, 1, 2]])
    return rng.normal(size=(TIMES, BATCH, KINDS)), targets, np.array([9, 7, 5, 3]), np.array([4, 2, 0, 4])


def both_ctc(scores, *rest, **options):
    """(our value, torch's, our gradient, torch's) for the scores."""
    weights = np.array([1.0, 2.0, 0.5, 3.0])[: scores.shape[1] if scores.ndim == 3 else 1]
    results = []
    for make, package in (
        (pg.Tensor, F),
        (lambda x: torch.tensor(x, requires_grad=x.dtype.kind == "f"), torch.nn.functional),
    ):
        x = make(scores)
        loss = package.ctc_loss(package.log_softmax(x, -1), *map(make, rest), **options)
        total = (loss * make(weights).detach()).sum() if len(loss.shape) else loss
        (g,) = pg.grads([x], total) if package is F else torch.autograd.grad(total, x)
        results.append((loss.numpy() if package is F else loss.detach().numpy(), g.numpy()))
    (a, g), (b, h) = results
    return a, b, g, h


@pytest.mark.parametrize("options", [{}, {"reduction": "sum"}, {"reduction": "none"}, {"blank": 2}], ids=str)
def test_ctc_is_torch_s(options, rng):
    scores, targets, *lengths = ctc(rng)
    targets = np.where(targets == options.get("blank", 0), 0, targets)
    for fits, zero in ((3, False), (4, True)):
        parts = scores[:, :fits], targets[:fits], *[v[:fits] for v in lengths]
        a, b, g, h = both_ctc(*parts, zero_infinity=zero, **options)
        np.testing.assert_allclose(a, b, rtol=1e-9)
        np.testing.assert_allclose(g, h, rtol=1e-9, atol=1e-12)
        concatenated = np.concatenate([t[:n] for t, n in zip(parts[1], parts[3])])
        c = both_ctc(parts[0], concatenated, *parts[2:], zero_infinity=zero, **options)[0]
        np.testing.assert_allclose(c, b, rtol=1e-9)


def test_ctc_of_one_example_infinite_jitted_and_as_a_module(rng):
    scores, targets, inputs, lengths = ctc(rng)
    a, b, g, h = both_ctc(scores[:, 0], targets[0], inputs[:1].reshape(()), lengths[:1].reshape(()), reduction="none")
    np.testing.assert_allclose(a, b, rtol=1e-9)
    np.testing.assert_allclose(g, h, rtol=1e-9, atol=1e-12)
    log_p = F.log_softmax(scores, -1)
    losses = F.ctc_loss(log_p, targets, inputs, lengths, reduction="none")
    assert losses.numpy()[3] == np.inf and np.isfinite(losses.numpy()[:3]).all()
    (g,) = pg.grads([x := pg.Tensor(scores)], F.ctc_loss(F.log_softmax(x), targets, inputs, lengths, reduction="sum"))
    assert np.isfinite(g.numpy()).all() and not g.numpy()[:, 3].any()
    module = nn.CTCLoss(reduction="none", zero_infinity=True)
    jitted = pg.jit(lambda *args: module(*args))(log_p, pg.Tensor(targets), pg.Tensor(inputs), pg.Tensor(lengths))
    np.testing.assert_allclose(jitted.numpy(), [*losses.numpy()[:3], 0], rtol=1e-12)
    np.testing.assert_allclose(
        F.ctc_loss(log_p, targets, [9, 7, 5, 3], (4, 2, 0, 4), zero_infinity=True).item(),
        nn.CTCLoss(zero_infinity=True)(log_p, targets, inputs, lengths).item(),
    )
    certain = np.where(np.eye(KINDS)[[0, 1, 0]] > 0, 0.0, -np.inf)  # probabilities of 0 and 1: no nan
    x = pg.Tensor(certain)
    loss = F.ctc_loss(x, np.array([1]), [3], [1], reduction="sum")
    assert loss.item() == 0 and np.isfinite(pg.grads([x], loss)[0].numpy()).all()


# ---- what goes wrong -------------------------------------------------------------------------------------------

ones = lambda *shape: np.ones(shape, "f4")
WRONG = {
    "reduction": (lambda: F.mse_loss(ones(2), ones(2), "median"), "'median'"),
    "shapes": (lambda: F.l1_loss(ones(2), ones(3)), "one shape"),
    "broadcast": (lambda: F.mse_loss(ones(2, 1), ones(2)), "one shape"),
    "weights": (lambda: F.mse_loss(ones(2), ones(2), weight=ones(3)), "weight"),
    "delta": (lambda: F.huber_loss(ones(2), ones(2), delta=0.0), "delta"),
    "beta": (lambda: F.smooth_l1_loss(ones(2), ones(2), beta=-1.0), "beta"),
    "targets": (lambda: F.cross_entropy(ones(4, 3), np.ones(3, int)), "[4]"),
    "probabilities": (lambda: F.cross_entropy(ones(4, 3), ones(4)), "one shape"),
    "class weights": (lambda: F.cross_entropy(ones(4, 3), np.ones(4, int), weight=ones(4)), "one number per class"),
    "smoothing": (lambda: F.cross_entropy(ones(4, 3), np.ones(4, int), label_smoothing=2.0), "label_smoothing"),
    "no classes": (lambda: F.nll_loss(ones(), np.array(1)), "no axis of classes"),
    "float classes": (lambda: F.nll_loss(ones(4, 3), ones(4)), "integers"),
    "cosine": (lambda: F.cosine_embedding_loss(ones(4, 3), ones(4, 3), ones(3)), "[N, D]"),
    "ctc blank": (lambda: F.ctc_loss(ones(4, 1, 3), np.ones((1, 2), int), [4], [2], blank=3), "blank=3"),
    "ctc lengths": (lambda: F.ctc_loss(ones(4, 1, 3), np.ones((1, 2), int), [4, 4], [2]), "input_lengths"),
    "ctc targets": (lambda: F.ctc_loss(ones(4, 1, 3), ones(1, 2), [4], [2]), "class numbers"),
    "ctc axes": (lambda: F.ctc_loss(ones(4), np.ones((1, 2), int), [4], [2]), "[T, N, C]"),
    "ctc reduction": (lambda: F.ctc_loss(ones(4, 1, 3), np.ones((1, 2), int), [4], [2], reduction="all"), "'all'"),
    "option": (lambda: nn.MSELoss(size=3), "size"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    run, message = WRONG[name]
    with pytest.raises(pg.PequegradError) as error:
        run()
    assert message in str(error.value)
