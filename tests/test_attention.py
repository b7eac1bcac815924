"""Attention under jit: every way of writing it gives the kernels, and what is computed stays the same."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import pequegrad as pg
from pequegrad.compiler.patterns import attention
from pequegrad.compiler.patterns.causal import causal_offset
from pequegrad.compiler.program import simplified_graph
from pequegrad.runtime import library

KERNELS = {"attention", "attention_gradient"}


def compiled(function, *args, fused=True):
    """(the results of the jitted function, names of the operations that were run, before they became loops)"""
    jitted = pg.jit(function)
    if fused:
        results = jitted(*args)
    else:
        with pg.no_patterns():
            results = jitted(*args)
    ((entry,),) = jitted.compiled.values()
    return results, {node.spec.primitive.name for node in simplified_graph(entry.closed).nodes}


def value_and_gradients(attend, wanted=(0, 1, 2)):
    """A function of q, k, v and weights of the result -> (result, gradients of the weighed sum)."""

    def loss(q, k, v, w):
        out = attend(q, k, v)
        return (out * w).sum(), out

    def both(q, k, v, w):
        (_, out), found = pg.value_and_grad(loss, wanted, has_aux=True)(q, k, v, w)
        return out, *found

    return both


def operands(tensor, rng, lead=(2, 3), queries=7, keys=7, depth=4, width=4, dtype="float64"):
    """q, k, v and a cotangent"""
    shapes = (queries, depth), (keys, depth), (keys, width), (queries, width)
    return [tensor(rng.normal(size=(*lead, *shape)).astype(dtype)) for shape in shapes]


def arrays(results):
    return [x.numpy().astype("float64") for x in results]


def check_same(attend, args, wanted=(0, 1, 2), names=KERNELS, rtol=1e-10, atol=1e-12):
    """With and without the pattern the same values and gradients; with it these kernels run, and no scores are computed."""
    step = value_and_gradients(attend, wanted)
    mine, with_pattern = compiled(step, *args)
    plain, without = compiled(step, *args, fused=False)
    for x, y in zip(arrays(mine), arrays(plain), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)
    assert with_pattern & KERNELS == set(names)
    assert bool(names) != ("exp" in with_pattern)
    assert not without & KERNELS


@pytest.fixture(autouse=True)
def few_scores(monkeypatch):
    """Small arrays, too, are given to the kernels."""
    monkeypatch.setattr(attention, "FEWEST_SCORES", 0)
    monkeypatch.setattr(attention, "FEWEST_SCORES_CAUSAL", 0)


# ---- ways of writing it --------------------------------------------------------------------------------------

B, H, T, S, D = 2, 3, 7, 7, 4
RNG = np.random.default_rng(1)
MASK = RNG.uniform(size=(T, S)) < 0.7
MASK[:, 0] = True
PADDING = np.arange(S) < np.array([5, 7]).reshape(2, 1, 1, 1)
BIAS = RNG.normal(size=(H, T, S))


def causal():
    return pg.tril(pg.ones((T, S), dtype="bool"))


def swap(x):
    return x.transpose((*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def scores(q, k):
    return q @ swap(k)


def by_hand(s, constant=False):
    largest = s.max(-1, keepdims=True)
    e = pg.exp(s - (pg.stop_gradient(largest) if constant else largest))
    return e / e.sum(-1, keepdims=True)


def triangle_of_iotas():
    rows, columns = pg.arange(T, dtype="int32"), pg.arange(S, dtype="int32")
    return pg.expand_dims(rows, 1) < pg.expand_dims(columns, 0)


WAYS = {
    "plain": lambda q, k, v: pg.softmax(scores(q, k)) @ v,
    "divided": lambda q, k, v: pg.softmax(scores(q, k) / math.sqrt(D), -1) @ v,
    "divided by 3": lambda q, k, v: pg.softmax(scores(q, k) / 3.0) @ v,
    "multiplied": lambda q, k, v: pg.softmax(0.3 * scores(q, k)) @ v,
    "queries scaled": lambda q, k, v: pg.softmax(scores(q * 0.3, k)) @ v,
    "keys scaled": lambda q, k, v: pg.softmax(q @ swap(k / 3.0)) @ v,
    "scaled after the mask": lambda q, k, v: pg.softmax(pg.where(causal(), scores(q, k), -1e9) * 0.3) @ v,
    "causal": lambda q, k, v: pg.softmax(pg.where(causal(), scores(q, k) / 2.0, -1e9)) @ v,
    "causal, -inf": lambda q, k, v: pg.softmax(pg.where(causal(), scores(q, k) / 2.0, -math.inf)) @ v,
    "triu": lambda q, k, v: pg.softmax(pg.where(pg.triu(pg.ones((T, S), dtype="bool"), 1), -1e9, scores(q, k))) @ v,
    "iotas": lambda q, k, v: pg.softmax(pg.where(triangle_of_iotas(), -1e9, scores(q, k) * 0.5)) @ v,
    "mask": lambda q, k, v: pg.softmax(pg.where(MASK, scores(q, k), -1e9)) @ v,
    "mask and causal": lambda q, k, v: pg.softmax(pg.where(causal(), pg.where(MASK, scores(q, k), -1e9), -1e9)) @ v,
    "padding": lambda q, k, v: pg.softmax(pg.where(PADDING, scores(q, k), -1e30)) @ v,
    "a mask that is not low": lambda q, k, v: pg.softmax(pg.where(causal(), scores(q, k), -1.5)) @ v,
    "bias": lambda q, k, v: pg.softmax(scores(q, k) + BIAS) @ v,
    "bias, scaled": lambda q, k, v: pg.softmax((BIAS[0, :1] + scores(q, k)) / 3.0 + BIAS) @ v,
    "bias and mask": lambda q, k, v: pg.softmax(pg.where(causal(), scores(q, k) + BIAS, -1e9)) @ v,
    "mask by addition": lambda q, k, v: pg.softmax(scores(q, k) + pg.where(causal(), 0.0, -math.inf)) @ v,
    "softmax by hand": lambda q, k, v: by_hand(scores(q, k) / 2.0) @ v,
    "softmax by hand, constant maximum": lambda q, k, v: by_hand(scores(q, k) / 2.0, constant=True) @ v,
    "einsum": lambda q, k, v: pg.einsum("bhts,bhse->bhte", pg.softmax(pg.einsum("bhtd,bhsd->bhts", q, k) * 0.5), v),
    "einsum, result transposed": lambda q, k, v: pg.einsum(
        "bhts,bhse->bthe", pg.softmax(pg.einsum("bhtd,bhsd->bhts", q, k)), v
    ).transpose((0, 2, 1, 3)),
    "values alike": lambda q, k, v: pg.softmax(scores(q, q) / 2.0) @ v + 0 * k,
    "dot product attention": lambda q, k, v: pg.scaled_dot_product_attention(q, k, v),
    "causal of ops": lambda q, k, v: pg.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3),
    "mask of ops": lambda q, k, v: pg.scaled_dot_product_attention(q, k, v, mask=MASK),
    "bias of ops": lambda q, k, v: pg.scaled_dot_product_attention(q, k, v, mask=BIAS, is_causal=True),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_ways_of_writing_it(way, tensor, rng):
    check_same(WAYS[way], operands(tensor, rng))


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("way", ["causal", "einsum", "dot product attention"])
def test_some_derivatives(way, wanted, tensor, rng):
    check_same(WAYS[way], operands(tensor, rng), wanted)


@pytest.mark.parametrize("way", WAYS)
def test_values_alone(way, tensor, rng):
    args = operands(tensor, rng)[:3]
    mine, names = compiled(WAYS[way], *args)
    np.testing.assert_allclose(mine.numpy(), WAYS[way](*args).numpy(), rtol=1e-10, atol=1e-12)
    assert names & KERNELS == {"attention"} and "exp" not in names


@pytest.mark.parametrize("way", ["causal", "triu", "iotas", "causal of ops", "mask and causal"])
def test_causality_is_seen(way, tensor, rng):
    jitted = pg.jit(WAYS[way])
    jitted(*operands(tensor, rng)[:3])
    ((entry,),) = jitted.compiled.values()
    (node,) = [n for n in simplified_graph(entry.closed).nodes if n.spec.primitive.name == "attention"]
    assert node.spec.params["causal"] == 0 and node.spec.params["mask"] == (way == "mask and causal")


def test_few_scores_stay(monkeypatch, tensor, rng):
    monkeypatch.undo()
    assert not compiled(WAYS["causal"], *operands(tensor, rng)[:3])[1] & KERNELS


def test_heads_in_any_place(tensor, rng):
    """Axes as models have them: batch, time, heads, depth; split from one product."""

    def attend(x, w, _):
        q, k, v = pg.split((x @ w).reshape((B, T, 3, H, D)), 3, 2)
        q, k, v = (y.reshape((B, T, H, D)).transpose((0, 2, 1, 3)) for y in (q, k, v))
        out = pg.softmax(pg.where(causal(), scores(q, k) / 2.0, -1e9)) @ v
        return out.transpose((0, 2, 1, 3)).reshape((B, T, H * D))

    args = [tensor(rng.normal(size=s)) for s in ((B, T, 5), (5, 3 * H * D), (1,), (B, T, H * D))]
    check_same(attend, args, (0, 1))

    def by_einsum(q, k, v):
        weights = pg.softmax(pg.einsum("bthd,bshd->bhts", q, k) / 2.0)
        return pg.einsum("bhts,bshe->bthe", weights, v)

    args = [tensor(rng.normal(size=(B, T, H, D))) for _ in range(4)]
    check_same(by_einsum, args)


def test_no_batch_axes_and_many(tensor, rng):
    for lead in [(), (2,), (2, 1, 3, 2)]:
        check_same(WAYS["causal"], operands(tensor, rng, lead))


def test_self_attention_of_one_tensor(tensor, rng):
    x, w = (tensor(rng.normal(size=(B, H, T, D))) for _ in range(2))
    check_same(lambda x, *_: pg.softmax(scores(x, x) / 2.0) @ x, [x, x, x, w], (0,))


@pytest.mark.parametrize("causal", [False, True])
def test_heads_that_share_keys(causal, tensor, rng):
    q, k, v, w = (tensor(rng.normal(size=s)) for s in ((2, 6, 5, 4), (2, 2, 7, 4), (2, 2, 7, 3), (2, 6, 5, 3)))
    check_same(lambda q, k, v: pg.scaled_dot_product_attention(q, k, v, is_causal=causal), [q, k, v, w])
    mask = np.random.default_rng(0).uniform(size=(2, 6, 5, 7)) < 0.8
    check_same(lambda q, k, v: pg.scaled_dot_product_attention(q, k, v, mask=mask), [q, k, v, w])


def test_a_stack_of_layers_and_a_checkpoint(tensor, rng):
    w = tensor(rng.normal(size=(4, D, D)) * 0.3)
    x = tensor(rng.normal(size=(B, H, T, D)))

    def layer(x, w):
        q, k, v, last = (m.reshape((D, D)) for m in pg.split(w, 4, 0))
        return x + WAYS["causal"](x @ q, x @ k, x @ v) @ last

    def loss(layer):
        return lambda w, x: (layer(layer(x, w), w) ** 2).mean()

    expected = pg.value_and_grad(loss(layer))(w, x)
    for f in (layer, pg.checkpoint(layer)):
        found, names = compiled(pg.value_and_grad(loss(f)), w, x)
        np.testing.assert_allclose(found[1].numpy(), expected[1].numpy(), rtol=1e-9, atol=1e-12)
        assert KERNELS <= names


def test_second_derivatives_and_vmap(tensor, rng):
    q, k, v, w = operands(tensor, rng)
    f = lambda q: (WAYS["causal"](q, k, v) * w).sum()
    second = lambda q: pg.grad(lambda x: (pg.grad(f)(x) * w).sum())(q)
    np.testing.assert_allclose(pg.jit(second)(q).numpy(), second(q).numpy(), rtol=1e-8, atol=1e-10)
    one = lambda q, k, v: pg.softmax(scores(q, k) / 2.0) @ v
    mine, names = compiled(pg.vmap(one), q, k, v)
    np.testing.assert_allclose(mine.numpy(), one(q, k, v).numpy(), rtol=1e-10)
    assert "attention" in names


# ---- what must stay as it is ------------------------------------------------------------------------------------

TEMPERATURE = pg.Tensor([2.0], dtype="float64")


@pytest.mark.parametrize("attend", [
    lambda q, k, v: pg.dropout(pg.softmax(scores(q, k)), 0.5) @ v,
    lambda q, k, v: (lambda p: p @ v + p.sum())(pg.softmax(scores(q, k))),  # weights are used
    lambda q, k, v: (lambda s: pg.softmax(s) @ v + s.sum())(scores(q, k)),  # scores are used
    lambda q, k, v: (lambda e: (e / e.sum(-1, keepdims=True)) @ v)(pg.exp(scores(q, k))),  # overflows where ours does not
    lambda q, k, v: pg.softmax(scores(q, k) * TEMPERATURE) @ v,
    lambda q, k, v: pg.softmax(scores(q, k), -2) @ v,
    lambda q, k, v: pg.softmax(pg.tanh(scores(q, k))) @ v,
    lambda q, k, v: pg.softmax(pg.where(MASK, scores(q, k), -1.0) + BIAS) @ v,  # the mask differs from place to place
    lambda q, k, v: swap(pg.softmax(scores(q, k))) @ v,
    lambda q, k, v: pg.softmax(scores(q, k) * 1e8) @ v,  # a scaled query may overflow where the scaled score does not
    # masks and biases in another shape than that of softmax
    lambda q, k, v: pg.softmax((scores(q, k).reshape((6, T, S)) + BIAS[0, :1]).reshape((2, 3, T, S))) @ v,
    lambda q, k, v: pg.softmax((scores(q, k).reshape((6 * T, S)) + BIAS[0, :1]).reshape((2, 3, T, S))) @ v,
    lambda q, k, v: pg.softmax(pg.where(causal(), scores(q, k).reshape((6, T, S)), -1e9).reshape((2, 3, T, S))) @ v,
])  # fmt: skip
def test_what_is_not_attention(attend, tensor, rng):
    args = operands(tensor, rng)
    _, names = compiled(value_and_gradients(attend), *args)
    assert not names & KERNELS


def test_a_causal_mask_over_the_queries_of_several_heads(tensor, rng):
    """What a query sees depends on its place before the heads are split: not what `causal` means."""
    args = operands(tensor, rng, (2, 2), 12, 7)

    def attend(q, k, v):
        s = pg.where(pg.tril(pg.ones((12, 7), dtype="bool"), -2), scores(q, k), -1e9)
        return pg.softmax(s.reshape((2, 4, 6, 7))).reshape((2, 2, 12, 7)) @ v

    found, names = compiled(attend, *args[:3])
    np.testing.assert_allclose(found.numpy(), attend(*args[:3]).numpy(), rtol=1e-10, atol=1e-12)
    assert not names & KERNELS


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_scores_in_another_dtype_than_the_operands(dtype, tensor, rng):
    """The kernels compute float32 in float32."""
    args = operands(tensor, rng, dtype="float32")[:3]
    attend = lambda q, k, v: pg.softmax(scores(q, k).astype(dtype)).astype("float32") @ v
    found, names = compiled(attend, *args)
    np.testing.assert_array_equal(found.numpy(), attend(*args).numpy())
    assert not names & KERNELS


def test_a_bias_with_a_gradient(tensor, rng):
    q, k, v, w = operands(tensor, rng)
    f = lambda bias: (pg.softmax(scores(q, k) + bias) @ v * w).sum()
    found, names = compiled(pg.grad(f), tensor(BIAS))
    np.testing.assert_allclose(found.numpy(), pg.grad(f)(tensor(BIAS)).numpy(), rtol=1e-10, atol=1e-12)
    assert not names & KERNELS


# ---- values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("queries, keys, depth, width", [
    (1, 1, 1, 1), (1, 9, 4, 4), (2, 3, 17, 5), (31, 33, 8, 3), (33, 31, 3, 80), (65, 130, 16, 16), (130, 65, 5, 2),
    (257, 129, 2, 33),
])  # fmt: skip
@pytest.mark.parametrize("is_causal", [False, True])
def test_sizes(queries, keys, depth, width, is_causal, tensor, rng):
    args = operands(tensor, rng, (2,), queries, keys, depth, width)
    check_same(lambda q, k, v: pg.scaled_dot_product_attention(q, k, v, is_causal=is_causal), args, rtol=1e-9)


@pytest.mark.parametrize("size", ["queries", "keys", "depth", "width"])
def test_empty(size, tensor, rng):
    args = operands(tensor, rng, (2,), **{size: 0})
    attend = lambda q, k, v: pg.softmax(scores(q, k)) @ v
    for x, y in zip(pg.jit(value_and_gradients(attend))(*args), value_and_gradients(attend)(*args)):
        np.testing.assert_array_equal(x.numpy(), y.numpy())


# float32: sums of 130 terms in another order. 16 bits: scores and weights are rounded in the plain graph.
@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-6), ("float16", 1e-2), ("bfloat16", 6e-2)])
def test_dtypes(dtype, tolerance, tensor, rng):
    args = operands(tensor, rng, (2, 2), 70, 130, 16, 16, dtype)
    exact = value_and_gradients(WAYS["divided"])(*[x.astype("float64") for x in args])
    found, names = compiled(value_and_gradients(pg.scaled_dot_product_attention), *args)
    assert KERNELS <= names
    exact = value_and_gradients(lambda q, k, v: pg.softmax(scores(q, k) / 4.0) @ v)(
        *[x.astype("float64") for x in args]
    )
    for x, y, like in zip(found, exact, (args[3], *args)):
        assert x.dtype == like.dtype
        np.testing.assert_allclose(x.numpy().astype("f8"), y.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("is_causal", [False, True])
def test_against_torch_and_jax(is_causal, tensor, rng):
    args = operands(tensor, rng, (2, 3), 100, 100, 32, 32, "float32")
    found, names = compiled(
        value_and_gradients(lambda q, k, v: pg.scaled_dot_product_attention(q, k, v, is_causal=is_causal)), *args
    )
    assert KERNELS <= names
    theirs = [torch.tensor(x.numpy(), requires_grad=True) for x in args[:3]]
    out = F.scaled_dot_product_attention(*theirs, is_causal=is_causal)
    (out * torch.tensor(args[3].numpy())).sum().backward()
    for x, y in zip(found, [out.detach(), *(t.grad for t in theirs)]):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-4, atol=1e-5)
    moved = [jnp.swapaxes(jnp.asarray(x.numpy()), 1, 2) for x in args]
    theirs = lambda q, k, v: (jax.nn.dot_product_attention(q, k, v, is_causal=is_causal) * moved[3]).sum()
    for x, y in zip(found[1:], jax.grad(theirs, (0, 1, 2))(*moved[:3])):
        np.testing.assert_allclose(x.numpy(), np.swapaxes(np.asarray(y), 1, 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fill", [-1e9, -1e30, -3.0, -math.inf])
def test_rows_without_keys(fill, tensor, rng):
    """A low number: the mean of all values. -inf: nan from softmax, zeros from scaled_dot_product_attention."""
    mask = np.random.default_rng(0).uniform(size=(40, 70)) < 0.5
    mask[[0, 5, 39]] = False
    args = operands(tensor, rng, (2,), 40, 70)
    for way in (lambda q, k, v: pg.softmax(pg.where(mask, scores(q, k), fill)) @ v,
                lambda q, k, v: by_hand(pg.where(mask, scores(q, k), fill), True) @ v,
                lambda q, k, v: pg.scaled_dot_product_attention(q, k, v, mask=mask)):  # fmt: skip
        check_same(way, args, rtol=1e-9)


@pytest.mark.parametrize("fill", [-1e9, -2.0, -math.inf])
@pytest.mark.parametrize("offset", [-40, -1, 0, 3, 100])
def test_diagonals(fill, offset, tensor, rng):
    """Hidden keys are skipped where their weights vanish; with -2 they do not."""
    rows, columns = 70, 130
    mask = lambda: pg.tri(rows, columns, offset, dtype="bool")
    args = operands(tensor, rng, (2,), rows, columns)
    attend = lambda q, k, v: pg.softmax(pg.where(mask(), scores(q, k), fill)) @ v
    step = value_and_gradients(attend)
    mine, names = compiled(step, *args)
    plain, _ = compiled(step, *args, fused=False)
    assert KERNELS <= names
    if (
        fill == -math.inf and offset < 0
    ):  # queries that see nothing give nan: there alone, and in all of dk and dv in both
        np.testing.assert_array_equal(np.isnan(mine[0].numpy()), np.isnan(plain[0].numpy()))
        return
    for x, y in zip(mine, plain):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite(value, tensor, rng):
    q, k, v, w = operands(tensor, rng, (2,), 40, 70)
    bias = np.zeros((40, 70))
    bias[3, 5] = bias[39, 69] = value
    step = value_and_gradients(lambda q, k, v: pg.softmax(scores(q, k) + bias) @ v)
    for x, y in zip(compiled(step, q, k, v, w)[0], compiled(step, q, k, v, w, fused=False)[0]):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-9, atol=1e-12)


def test_large_scores(tensor, rng):
    """Integers, so that scores around 10,000 are exact in float32: weights must not suffer from their size."""
    q, k = (tensor(rng.integers(-80, 81, size=(1, n, 4)).astype("float32")) for n in (40, 70))
    _, _, v, w = operands(tensor, rng, (1,), 40, 70, dtype="float32")
    check_same(WAYS["plain"], [q, k, v, w], rtol=1e-5, atol=1e-3)  # gradients are sums of terms around 100


def test_results_do_not_depend_on_the_threads(tensor, rng):
    args = operands(tensor, rng, (1, 2), 600, 700, 16, 16, "float32")  # several chunks of queries
    step = pg.jit(value_and_gradients(lambda q, k, v: pg.softmax(scores(q, k)) @ v))
    before, found = pg.num_threads(), []
    try:
        for n in (1, 2, 5):
            pg.set_num_threads(n)
            found.append([x.numpy().tobytes() for x in step(*args)])
    finally:
        pg.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_memory(tensor, rng, device):
    size = 4096
    args = operands(tensor, rng, (1,), size, size, 8, 8, "float32")
    for x in args:
        x.eval()
    step = pg.jit(value_and_gradients(lambda q, k, v: pg.scaled_dot_product_attention(q, k, v, is_causal=True)))
    step(*operands(tensor, rng, (1,), size, size, 8, 8, "float32"))
    before = pg.memory_stats(device)["in_use"]
    library.lib.pg_device_reset_peak(device.handle)
    results = step(*args)
    assert results[0].shape == (1, size, 8)
    peak = pg.memory_stats(device)["peak_in_use"]
    assert peak - before < size * size  # a quarter of one array of scores


@pytest.mark.parametrize("is_causal", [False, True])
def test_flops_are_those_of_the_products(is_causal, tensor, rng):
    args = operands(tensor, rng, (2, 3), 6, 9, 4, 5)
    attend = lambda q, k, v: pg.scaled_dot_product_attention(q, k, v, is_causal=is_causal)
    flops = pg.jit(value_and_gradients(attend)).lower(*args).compile().cost_analysis()["flops"]
    products = 2 * 2 * 3 * (np.tri(6, 9).sum() if is_causal else 6 * 9) * ((4 + 5) + (3 * 4 + 2 * 5))
    assert products <= flops < products + 2000  # what the loss does besides


# ---- causal masks ---------------------------------------------------------------------------------------------------


def offset_of(make):
    """What causal_offset says of the mask that a traced function makes."""
    jitted = pg.jit(lambda x: pg.where(make(), x, 0.0))
    with pg.no_patterns():
        jitted(pg.ones(make().shape))
    ((entry,),) = jitted.compiled.values()
    (node,) = [
        n
        for n in simplified_graph(entry.closed).nodes
        if n.spec.primitive.name == "select" and n.aval.dtype.kind == "f"
    ]
    return causal_offset(node.inputs[0], counts=node.inputs[1] in entry.closed.inputs)


def position(n, axis):
    return pg.expand_dims(pg.arange(n, dtype="int32"), 1 - axis)


@pytest.mark.parametrize("make, offset", [
    (lambda: pg.tril(pg.ones((4, 5), dtype="bool")), 0),
    (lambda: pg.tril(pg.ones((4, 5), dtype="bool"), 2), 2),
    (lambda: pg.tri(4, 5, -1, dtype="bool"), -1),
    (lambda: position(4, 0) >= position(5, 1), 0),
    (lambda: position(4, 0) > position(5, 1), -1),
    (lambda: position(5, 1) <= position(4, 0) + 3, 3),
    (lambda: position(5, 1) - 3 < position(4, 0), 2),
    (lambda: position(5, 1) - position(4, 0) < 2, 1),
    (lambda: pg.logical_not(position(5, 1) > position(4, 0)), 0),
    (lambda: pg.broadcast_to(position(4, 0) >= position(5, 1), (2, 3, 4, 5)), 0),
    (lambda: (position(4, 0) >= position(5, 1)).reshape((1, 1, 4, 5)), 0),
    (lambda: pg.logical_and(position(4, 0) >= position(5, 1), pg.ones((4, 5), dtype="bool")), 0),
    (lambda: position(4, 0) <= position(5, 1), None),
    (lambda: position(4, 0) >= 2 * position(5, 1), None),
    (lambda: position(4, 0) == position(5, 1), None),
    (lambda: pg.logical_and(position(4, 0) >= position(5, 1), position(4, 0) < position(5, 1) + 2), None),
    (lambda: pg.broadcast_to(position(4, 0) >= position(5, 1), (4, 5)).reshape((5, 4)), None),
    (lambda: (position(4, 0) >= position(5, 1)).transpose((1, 0)), None),
    (lambda: position(4, 0).astype("uint8") - position(5, 1).astype("uint8") >= 0, None),  # wraps around
    (lambda: position(300, 0).astype("int8") >= position(3, 1).astype("int8"), None),
    (lambda: position(4, 0) + (2**31 - 2) >= position(5, 1), None),
    (lambda: position(3000, 0).astype("float16") >= position(3, 1).astype("float16"), None),  # rounded beyond 2048
])  # fmt: skip
def test_causal_masks(make, offset):
    assert offset_of(make) == offset


@pytest.mark.parametrize("values, offset", [
    (np.tri(4, 5, dtype=bool), 0), (np.tri(4, 5, 2, dtype=bool), 2), (np.tri(4, 5, -2, dtype=bool), -2),
    (np.tri(4, 5, dtype=bool)[None, None], 0), (np.triu(np.ones((4, 5), bool)), None), (np.eye(4, dtype=bool), None),
    (np.stack([np.tri(4, 5, dtype=bool)] * 2), None), (np.zeros((4, 5), bool), None),
    (np.tri(1, 5, 2, dtype=bool), None), (np.tri(5, 1, -2, dtype=bool), None),  # repeated over queries, or keys
])  # fmt: skip
def test_causal_masks_as_values(values, offset):
    assert causal_offset(pg.Tensor(values).eval()._node) == offset
