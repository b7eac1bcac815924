"""Normalisation and attention: running statistics, masks, 16-bit floats, derivatives against torch, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import pequegrad as pg


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (2, 3, 4, 2)])
@pytest.mark.parametrize("momentum", [0.1, 1.0])
def test_batch_norm_in_training(tensor, rng, shape, momentum):
    x, m, v, w, b = rng.normal(2, 3, size=shape), *(rng.uniform(0.5, 2, 3) for _ in range(4))
    t = [tensor(a) for a in (x, m, v, w, b)]
    u = [torch.tensor(a, requires_grad=i not in (1, 2)) for i, a in enumerate((x, m, v, w, b))]
    out, mean, variance = pg.batch_norm(*t, training=True, momentum=momentum)
    theirs = F.batch_norm(*u, True, momentum)
    (theirs**2 * torch.tensor(x)).sum().backward()
    np.testing.assert_allclose(out.numpy(), theirs.detach().numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(mean.numpy(), u[1].numpy(), rtol=1e-12)
    np.testing.assert_allclose(variance.numpy(), u[2].numpy(), rtol=1e-12)
    for i, g in zip((0, 3, 4), pg.grads([t[0], t[3], t[4]], (out**2 * tensor(x)).sum())):
        np.testing.assert_allclose(g.numpy(), u[i].grad.numpy(), rtol=1e-8, atol=1e-10)
    assert (pg.grads(t[0], mean.sum() + variance.sum()).numpy() == 0).all()


def test_batch_norm_keeps_running_statistics(tensor, rng):
    x, m = tensor(rng.normal(size=(4, 3))), tensor([1.0, 2, 3])
    assert (
        pg.batch_norm(x, m, m).running_mean is m
        and pg.batch_norm(x, m, m, training=True, momentum=None).running_var is m
    )
    out, mean, variance = pg.batch_norm(x)
    assert mean is None and variance is None
    np.testing.assert_allclose(out.mean(0).numpy(), 0, atol=1e-12)


def test_batch_norm_updates_under_jit(tensor, rng):
    mean, variance = tensor(np.zeros(3)), tensor(np.ones(3))
    step = pg.jit(lambda x, m, v: tuple(pg.batch_norm(x, m, v, training=True)))
    u = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    for _ in range(3):
        x = rng.normal(size=(5, 3))
        _, mean, variance = step(tensor(x), mean, variance)
        F.batch_norm(torch.tensor(x), *u, training=True)
    np.testing.assert_allclose(mean.numpy(), u[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(variance.numpy(), u[1].numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_narrow_floats(tensor, rng, name):
    """Statistics are those of float32, also where squares do not fit the dtype; a large mean costs no digits."""
    dtype = getattr(pg.dt, name)
    x = (rng.normal(size=(4, 6, 3)) * 300 + 1000).astype(dtype)
    w = rng.uniform(0.5, 2, 6).astype(dtype)
    eps = float(jnp.finfo(dtype).eps)
    exact = x.astype("f8")
    axes = {"layer": (2,), "group": None, "instance": (2,), "batch": (0, 2)}
    found = {
        "layer": pg.layer_norm(tensor(x), 3), "instance": pg.instance_norm(tensor(x)), "batch": pg.batch_norm(tensor(x), training=True).out,
        "group": pg.group_norm(tensor(x), 2, tensor(w)),
    }  # fmt: skip
    for kind, out in found.items():
        assert out.dtype == dtype
        if kind == "group":
            grouped = exact.reshape(4, 2, 9)
            expected = (grouped - grouped.mean(-1, keepdims=True)) / grouped.std(-1, keepdims=True)
            expected = expected.reshape(x.shape) * w.astype("f8")[:, None]
        else:
            expected = (exact - exact.mean(axes[kind], keepdims=True)) / exact.std(axes[kind], keepdims=True)
        np.testing.assert_allclose(out.numpy().astype("f8"), expected, rtol=2 * eps, atol=4 * max(eps, 1e-5))
    rms = pg.rms_norm(tensor(x), 3).numpy().astype("f8")
    np.testing.assert_allclose(rms, exact / np.sqrt((exact**2).mean(-1, keepdims=True)), rtol=2 * eps)


def test_default_eps_of_rms_norm(tensor):
    for dtype in (np.float32, np.float64):
        x = np.array([1e-4, 2e-4, -1e-4], dtype)
        np.testing.assert_allclose(pg.rms_norm(tensor(x)).numpy(), F.rms_norm(torch.tensor(x), (3,)).numpy(), rtol=1e-6)


def test_empty_and_single(tensor):
    assert pg.layer_norm(tensor(np.zeros((0, 3)))).shape == (0, 3) and pg.layer_norm(
        tensor([[5.0], [1.0]])
    ).tolist() == [[0], [0]]
    assert pg.group_norm(tensor(np.zeros((0, 4, 2))), 2).shape == (0, 4, 2)
    assert pg.batch_norm(tensor(np.zeros((0, 4))), np.zeros(4), np.ones(4)).out.shape == (0, 4)


# ---- attention -------------------------------------------------------------------------------------------


def test_queries_without_keys_get_zeros(tensor, rng):
    """As in torch (math and flash); their derivatives are zero, those of others are not disturbed."""
    q, k, v = (rng.normal(size=(2, 3, 4)) for _ in range(3))
    mask = np.array([[True, False, True], [False] * 3, [True] * 3])
    t, u = [tensor(a) for a in (q, k, v)], [torch.tensor(a, requires_grad=True) for a in (q, k, v)]
    out = pg.scaled_dot_product_attention(*t, mask=mask)
    assert (out.numpy()[:, 1] == 0).all()
    theirs = F.scaled_dot_product_attention(*u, attn_mask=torch.tensor(mask))
    np.testing.assert_allclose(out.numpy(), theirs.detach().numpy(), rtol=1e-10)
    theirs.sin().sum().backward()
    for g, x in zip(pg.grads(t, pg.sin(out).sum()), u):
        np.testing.assert_allclose(g.numpy(), np.nan_to_num(x.grad.numpy()), rtol=1e-8, atol=1e-12)
    bias = tensor(np.where(mask, 0.0, -np.inf))
    np.testing.assert_allclose(pg.scaled_dot_product_attention(*t, mask=bias).numpy(), out.numpy(), rtol=1e-12)


@pytest.mark.parametrize("heads", [(6, 1), (6, 2), (6, 3), (6, 6), (2, 6)])
@pytest.mark.parametrize("causal", [False, True])
def test_heads(tensor, rng, heads, causal):
    q, k, v = (rng.normal(size=(2, h, n, d)) for h, n, d in ((heads[0], 4, 3), (heads[1], 5, 3), (heads[1], 5, 2)))
    if heads[0] < heads[1]:
        with pytest.raises(pg.ShapeError, match="do not broadcast"):
            pg.scaled_dot_product_attention(q, k, v)
        return
    mask = rng.normal(size=(2, 1, 4, 5))
    out = pg.scaled_dot_product_attention(tensor(q), tensor(k), tensor(v), mask=tensor(mask), is_causal=causal)
    wide = [np.repeat(x, heads[0] // heads[1], 1) for x in (k, v)]
    full = mask + np.where(np.tril(np.ones((4, 5))), 0, -np.inf) * causal if causal else mask
    expected = F.scaled_dot_product_attention(
        torch.tensor(q), *map(torch.tensor, wide), attn_mask=torch.tensor(full).expand(2, heads[0], 4, 5)
    )
    np.testing.assert_allclose(out.numpy(), expected.numpy(), rtol=1e-10)
    with jax.enable_x64(True):  # JAX: [batch, length, heads, depth]
        swap = lambda x: jnp.swapaxes(jnp.asarray(x), 1, 2)
        if v.shape[-1] == k.shape[-1]:
            theirs = jax.nn.dot_product_attention(swap(q), swap(k), swap(v), bias=mask, is_causal=causal)
            np.testing.assert_allclose(out.numpy(), np.asarray(swap(theirs)), rtol=1e-10)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_scores_do_not_overflow(tensor, rng, name):
    dtype = getattr(pg.dt, name)
    q, k, v = (rng.normal(size=(5, 64)).astype(dtype) for _ in range(3))
    out = pg.scaled_dot_product_attention(tensor(q * dtype.type(60)), tensor(k * dtype.type(60)), tensor(v))
    exact = [torch.tensor(x.astype("f8")) for x in (q * dtype.type(60), k * dtype.type(60), v)]
    assert out.dtype == dtype
    np.testing.assert_allclose(
        out.numpy().astype("f8"), F.scaled_dot_product_attention(*exact).numpy(), rtol=0.02, atol=0.02
    )


def test_dropout_of_attention(tensor):
    q = tensor(np.zeros((400, 1)))
    out = pg.scaled_dot_product_attention(q, q, pg.ones_like(q), dropout_p=0.5).numpy()
    assert abs(out.mean() - 1) < 0.02 and 0 < out.std() < 0.1
    assert pg.scaled_dot_product_attention(q[:0], q, q).shape == (0, 1) and pg.scaled_dot_product_attention(
        q, q[:0], q[:0]
    ).shape == (400, 1)


def test_errors(tensor):
    x = tensor(np.zeros((2, 4, 3)))
    attend = pg.scaled_dot_product_attention
    for f, error, message in (
        (lambda: pg.layer_norm(x, 4), pg.ShapeError, r"layer_norm: normalized_shape \[4\]"), (lambda: pg.layer_norm(x, 3, axis=0), pg.ArgumentError, "both"),
        (lambda: pg.layer_norm(x, 3, weight=np.ones(4)), pg.ShapeError, r"weight .* must have shape \[3\]"), (lambda: pg.layer_norm(tensor(1.0)), pg.ShapeError, "0-d"),
        (lambda: pg.group_norm(x, 3), pg.ShapeError, "4 channels .* do not divide into 3"), (lambda: pg.group_norm(x[0, 0], 1), pg.ShapeError, "no axis of channels"),
        (lambda: pg.batch_norm(x, np.ones(4)), pg.ArgumentError, "only one"), (lambda: pg.batch_norm(x, np.ones(3), np.ones(3)), pg.ShapeError, "running statistics"),
        (lambda: pg.batch_norm(x[:1, :, 0], training=True), pg.ShapeError, "1 values per channel"), (lambda: pg.instance_norm(x[0]), pg.ShapeError, "no positions"),
        (lambda: attend(x, x[..., :2], x), pg.ShapeError, "do not fit"), (lambda: attend(x, x, x, mask=np.ones((3, 4), bool)), pg.ShapeError, "mask"),
        (lambda: attend(x, x, x, mask=np.ones((4, 4), "i4")), pg.DtypeError, "mask"), (lambda: attend(x, x, x, dropout_p=1), pg.ArgumentError, "dropout_p"),
        (lambda: attend(tensor(np.zeros((3, 4, 3))), x, x), pg.ShapeError, "3 heads of q do not divide among 2"),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            f()
