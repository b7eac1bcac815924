"""Reductions against NumPy, torch and JAX; gather and scatter in XLA's general form against jax.lax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from conftest import FULL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pequegrad as pg
from pequegrad.primitives.indexing import Places, gather, scatter

CASES = settings(
    max_examples=400 if FULL else 60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def reductions(draw):
    """(array, axis, keepdims): sizes 1 to 4, any axes, memory in any order."""
    shape = draw(st.lists(st.integers(1, 4), min_size=0, max_size=4))
    seed = draw(st.integers(0, 2**32 - 1))
    x = np.random.default_rng(seed).integers(-3, 4, shape).astype(draw(st.sampled_from(["f4", "f8", "i4", "i8", "u1"])))
    x = x.transpose(draw(st.permutations(range(len(shape)))))
    x = x[tuple(slice(None, None, draw(st.sampled_from([1, 1, -1, 2]))) for _ in x.shape)]
    axis = (
        draw(st.none() | st.lists(st.integers(-x.ndim, x.ndim - 1), unique_by=lambda a: a % x.ndim).map(tuple))
        if x.ndim
        else None
    )
    return x, axis, draw(st.booleans())


@CASES
@given(reductions(), st.sampled_from(["sum", "prod", "max", "min", "any", "all", "mean", "var", "std"]))
def test_reductions_are_numpy_s(tensor, case, name):
    x, axis, keepdims = case
    found = getattr(pg, name)(tensor(x), axis=axis, keepdims=keepdims).numpy()
    expected = getattr(np, name)(x.astype("f8") if name in ("mean", "var", "std") else x, axis=axis, keepdims=keepdims)
    assert found.shape == np.shape(expected)
    if x.dtype.kind == "f" or name in ("mean", "var", "std"):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    else:  # our sums keep the dtype and wrap around
        np.testing.assert_array_equal(found, np.asarray(expected).astype(found.dtype))


@CASES
@given(reductions(), st.sampled_from(["sum", "prod", "max", "min", "mean", "var", "logsumexp"]))
def test_gradients_of_reductions_are_jax_s_and_torch_s(tensor, case, name):
    x, axis, keepdims = case
    x = x.astype(np.float32)
    weigh = lambda y: (y * (np.arange(y.size, dtype=np.float32) + 1).reshape(y.shape)).sum()
    ours = pg.grad(lambda x: weigh(getattr(pg, name)(x, axis=axis, keepdims=keepdims)))(tensor(x)).numpy()
    of_jax = jax.nn.logsumexp if name == "logsumexp" else getattr(jnp, name)
    expected = jax.grad(lambda x: weigh(of_jax(x, axis=axis, keepdims=keepdims)))(jnp.asarray(x))
    np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=2e-3)
    if name in ("sum", "mean", "logsumexp") and axis:  # torch shares ties of max and has another prod
        leaf = torch.tensor(x.copy(), requires_grad=True)
        y = getattr(torch, name)(leaf, dim=axis, keepdim=keepdims)
        (y * (torch.arange(y.numel()) + 1.0).reshape(y.shape)).sum().backward()
        np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=2e-4, atol=2e-3)


@st.composite
def places_of_windows(draw):
    """(array, indices, Places, window sizes) of a gather in XLA's general form, without batch axes."""
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    ndim = len(shape)
    sizes = [draw(st.integers(1, n)) for n in shape]
    collapsed = tuple(i for i in range(ndim) if sizes[i] == 1 and draw(st.booleans()))
    index_map = tuple(draw(st.permutations(range(ndim)))[: draw(st.integers(1, ndim))])
    outside = draw(st.lists(st.integers(1, 3), max_size=2))
    n_out = len(outside) + ndim - len(collapsed)
    window = tuple(sorted(draw(st.permutations(range(n_out)))[: ndim - len(collapsed)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=shape).astype(np.float32)
    indices = rng.integers(-2, 7, (*outside, len(index_map))).astype(np.int32)
    return x, indices, Places(window=window, collapsed=collapsed, index_map=index_map), tuple(sizes)


@CASES
@given(places_of_windows(), st.sampled_from(["clip", "fill"]))
def test_gather_is_xla_s(tensor, case, mode):
    x, indices, places, sizes = case
    numbers = jax.lax.GatherDimensionNumbers(places.window, places.collapsed, places.index_map)
    theirs = lambda x: jax.lax.gather(x, indices, numbers, sizes, mode=mode)
    ours = lambda x: gather(x, tensor(indices), places=places, sizes=sizes, mode=mode)
    expected, pull = jax.vjp(theirs, jnp.asarray(x))
    found, pull_ours = pg.vjp(ours, tensor(x))
    np.testing.assert_array_equal(found.numpy(), expected)
    ct = np.random.default_rng(0).normal(size=expected.shape).astype(np.float32)
    np.testing.assert_allclose(pull_ours(tensor(ct))[0].numpy(), pull(jnp.asarray(ct))[0], rtol=1e-5, atol=1e-5)


@CASES
@given(places_of_windows(), st.sampled_from(["add", "min", "max", "mul"]), st.sampled_from(["clip", "drop"]))
def test_scatter_is_xla_s(tensor, case, combine, mode):
    x, indices, places, sizes = case
    inside = iter([s for i, s in enumerate(sizes) if i not in places.collapsed])
    outside = iter(indices.shape[:-1])
    n_out = indices.ndim - 1 + len(places.window)
    shape = tuple(next(inside if i in places.window else outside) for i in range(n_out))
    updates = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    numbers = jax.lax.ScatterDimensionNumbers(places.window, places.collapsed, places.index_map)
    theirs = getattr(jax.lax, f"scatter_{combine}")
    expected = theirs(jnp.asarray(x), indices, jnp.asarray(updates), numbers, mode=mode)
    found = scatter(
        tensor(x), tensor(indices), tensor(updates), places=places, combine=combine, mode=mode, unique=False
    )
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)
    if combine == "add":
        f = lambda x, u: jax.lax.scatter_add(x, indices, u, numbers, mode=mode)
        g = lambda x, u: scatter(x, tensor(indices), u, places=places, combine="add", mode=mode, unique=False)
        ct = np.random.default_rng(2).normal(size=x.shape).astype(np.float32)
        expected = jax.vjp(f, jnp.asarray(x), jnp.asarray(updates))[1](jnp.asarray(ct))
        for a, b in zip(pg.vjp(g, tensor(x), tensor(updates))[1](tensor(ct)), expected):
            np.testing.assert_allclose(a.numpy(), b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean"])
@pytest.mark.parametrize("axis", [3, -4, (0, 0), (0, 5)])
def test_axes_out_of_range_or_named_twice(name, axis, tensor):
    with pytest.raises(pg.ShapeError, match="fix:"):
        getattr(pg, name)(tensor(np.ones((2, 3, 4))), axis=axis)


@pytest.mark.parametrize("length", [1, 2, 3, 20, 63, 64, 65, 127, 128, 129])
@pytest.mark.parametrize("rows", [1, 15, 16, 130])
def test_short_rows_of_every_layout(tensor, rng, rows, length):
    """Rows that are reduced side by side: dense, with gaps, backwards, transposed, of 4 bytes and of others."""
    base = rng.integers(-9, 9, (2, rows, 2 * length))
    for dtype in ("f4", "f8", "i4", "i2"):
        whole = base.astype(dtype)
        for x in (
            whole[:, :, :length],
            whole[:, ::-1, ::2],
            whole[:, :, ::-1],
            whole.swapaxes(0, 1),
            whole[..., 1:, :],
        ):
            np.testing.assert_array_equal(tensor(x).sum(-1).numpy(), x.sum(-1, dtype=dtype))
        view = tensor(whole)
        for index in (np.s_[:, :, 1 : length + 1], np.s_[:, ::-1, ::2], np.s_[:, :, ::-1]):
            np.testing.assert_array_equal(view[index].max(-1).numpy(), whole[index].max(-1))
            np.testing.assert_array_equal(view[index].sum((0, 2)).numpy(), whole[index].sum((0, 2), dtype=dtype))
        np.testing.assert_array_equal(view.permute((2, 0, 1)).min(1).numpy(), whole.transpose(2, 0, 1).min(1))


@pytest.mark.parametrize("shape", [(64, 64), (3, 65, 130), (2, 17, 20), (1, 200, 33), (5, 16, 16)])
@pytest.mark.parametrize("dtype", ["f4", "i4", "f8", "u1"])
def test_elementwise_operations_on_transposed_operands(tensor, rng, shape, dtype):
    """None, one, two or all three of the operands lie the other way."""
    plain = [rng.integers(0, 9, shape).astype(dtype) for _ in range(3)]
    turned = [np.ascontiguousarray(x.swapaxes(-1, -2)) for x in plain]
    for k in range(4):
        x, y, z = [tensor(turned[i]).swapaxes(-1, -2) if i < k else tensor(plain[i]) for i in range(3)]
        np.testing.assert_array_equal((x + y).numpy(), plain[0] + plain[1])
        np.testing.assert_array_equal((x[..., 1:, ::-1] * 2).numpy(), plain[0][..., 1:, ::-1] * 2)
        np.testing.assert_array_equal(pg.where(x > y, y, z).numpy(), np.where(plain[0] > plain[1], plain[1], plain[2]))
        np.testing.assert_array_equal(pg.clip(x, y, z).numpy(), np.clip(plain[0], plain[1], plain[2]))
