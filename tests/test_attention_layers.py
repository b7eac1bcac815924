"""Multi-head attention and the Transformer's encoder, against torch."""

import numpy as np
import pytest
import torch
import torch_layers as t

import pequegrad as pg
from pequegrad import nn
from pequegrad.nn import functional as F

L, S, N, E = 5, 7, 3, 8
CAUSAL = ~np.tri(L, dtype=bool)


def padding(n=N, s=S):
    mask = np.zeros((n, s), bool)
    mask[0, -2:] = mask[1, 0] = True
    return mask


def tensors(values, module):
    make = pg.Tensor if isinstance(module, nn.StatefulModule) else torch.tensor
    return {k: make(v) if isinstance(v, np.ndarray) else v for k, v in values.items()}


def caller(**options):
    return lambda module, *inputs: module(*inputs, **tensors(options, module))


ATTENTION = [
    {}, {"bias": False}, {"batch_first": True}, {"add_bias_kv": True}, {"add_zero_attn": True}, {"kdim": 6}, {"vdim": 4, "bias": False},
    {"kdim": 6, "vdim": 4, "add_bias_kv": True, "add_zero_attn": True, "batch_first": True}, {"dropout": 0.0},
]  # fmt: skip


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("options", ATTENTION, ids=str)
def test_constructor_arguments(options, need_weights, rng):
    ours, theirs = t.pair("MultiheadAttention", (E, 2), options)
    sizes = (L, E), (S, options.get("kdim", E)), (S, options.get("vdim", E))
    batch = lambda n, e: (N, n, e) if options.get("batch_first") else (n, N, e)
    inputs = [rng.normal(size=batch(*size)) for size in sizes]
    t.compare(ours, theirs, inputs, caller(need_weights=need_weights, key_padding_mask=padding()), context=str(options))


def float_mask(rng, *shape):
    mask = rng.normal(size=shape)
    mask[..., 0, 2] = -np.inf
    return mask


CALLS = {
    "heads apart": lambda r: {"average_attn_weights": False},
    "bool mask": lambda r: {"attn_mask": ~np.tri(L, S, 1, dtype=bool)},
    "float mask": lambda r: {"attn_mask": float_mask(r, L, S)},
    "mask per head": lambda r: {"attn_mask": float_mask(r, 2 * N, L, S), "need_weights": False},
    "float padding": lambda r: {"key_padding_mask": np.where(padding(), -np.inf, 0.0)},
    "both": lambda r: {"attn_mask": ~np.tri(L, S, 1, dtype=bool), "key_padding_mask": padding()},
    "both, floats": lambda r: {"attn_mask": float_mask(r, L, S), "key_padding_mask": r.normal(size=(N, S)), "need_weights": False},
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_masks(name, rng):
    for heads in (2, 4) if name != "mask per head" else (2,):
        ours, theirs = t.pair("MultiheadAttention", (E, heads))
        inputs = [rng.normal(size=shape) for shape in ((L, N, E), (S, N, E), (S, N, E))]
        t.compare(ours, theirs, inputs, caller(**CALLS[name](rng)))


@pytest.mark.parametrize("extra", [{}, {"add_zero_attn": True}, {"add_bias_kv": True}])
@pytest.mark.parametrize("need_weights", [False, True])
def test_causal_self_attention(extra, need_weights, rng):
    """torch hides the extra key, too, if it need not give weights: there we do as it does if it must."""
    ours, theirs = t.pair("MultiheadAttention", (E, 2), {"batch_first": True, **extra})
    x = rng.normal(size=(N, L, E))
    options = {"attn_mask": CAUSAL, "is_causal": not extra or need_weights, "need_weights": need_weights}
    call = lambda module, x: module(x, x, x, **tensors(options, module))
    t.compare(ours, theirs, [x], call)
    a = ours(x, x, x, is_causal=True)[0].numpy()  # needs no mask
    np.testing.assert_allclose(a, ours(x, x, x, attn_mask=CAUSAL)[0].numpy(), atol=1e-12)


def test_keys_that_are_values_and_inputs_without_a_batch(rng):
    ours, theirs = t.pair("MultiheadAttention", (E, 2))
    t.compare(
        ours, theirs, [rng.normal(size=(L, N, E)), rng.normal(size=(S, N, E))], lambda module, q, k: module(q, k, k)
    )
    inputs = [rng.normal(size=shape) for shape in ((L, E), (S, E), (S, E))]
    t.compare(ours, theirs, inputs, caller(key_padding_mask=padding()[0]))
    for batch_first in (False, True):
        ours, theirs = t.pair("MultiheadAttention", (E, 2), {"batch_first": batch_first})
        t.compare(ours, theirs, inputs, caller(average_attn_weights=False), jits=(False,))


def test_a_query_without_keys_gets_zeros(rng):
    layer, x = nn.MultiheadAttention(E, 2, bias=False), rng.normal(size=(L, 1, E)).astype("f4")
    for need_weights in (False, True):
        out = layer(x, x, x, key_padding_mask=np.ones((1, L), bool), need_weights=need_weights)[0]
        assert not out.numpy().any()


def test_dropout_of_weights(rng):
    ours, theirs = t.pair("MultiheadAttention", (E, 2), {"dropout": 0.4})
    inputs = [rng.normal(size=shape) for shape in ((L, N, E), (S, N, E), (S, N, E))]
    t.compare(ours, theirs, inputs, training=False)
    x = np.ones((30, 20, E))
    for run in (ours, pg.jit(lambda *xs: ours(*xs))):
        weights = ours.train()(x, x, x, average_attn_weights=False)[1].numpy()
        assert abs((weights == 0).mean() - 0.4) < 0.02
        assert not np.array_equal(run(x, x, x)[0].numpy(), run(x, x, x)[0].numpy())
    assert not np.array_equal(
        ours(x, x, x, need_weights=False)[0].numpy(), ours(x, x, x, need_weights=False)[0].numpy()
    )


def test_functional_attention_with_torch_s_arguments(rng):
    q, k, v = (rng.normal(size=(2, heads, n, 4)) for heads, n in ((6, L), (2, S), (2, S)))
    mask = rng.normal(size=(L, S))
    theirs = torch.nn.functional.scaled_dot_product_attention
    for options in (
        {"enable_gqa": True},
        {"attn_mask": mask, "enable_gqa": True},
        {"is_causal": True, "scale": 0.3, "enable_gqa": True},
    ):
        expected = theirs(
            *map(torch.tensor, (q, k, v)), **{n: torch.tensor(o) if n == "attn_mask" else o for n, o in options.items()}
        )
        np.testing.assert_allclose(
            F.scaled_dot_product_attention(q, k, v, **options).numpy(), expected.numpy(), rtol=1e-9
        )
    with pytest.raises(pg.ShapeError, match="enable_gqa"):
        F.scaled_dot_product_attention(q, k, v)


WRONG = {
    "axes": (lambda x: (x[0], x, x), {}, "3 axes"),
    "batches": (lambda x: (x[:, :1], x, x), {}, "do not fit"),
    "length": (lambda x: (x, x, x[1:]), {}, "do not fit"),
    "mask": (lambda x: (x, x, x), {"attn_mask": np.ones((2, 2), bool)}, "attn_mask"),
    "padding": (lambda x: (x, x, x), {"key_padding_mask": np.ones((2, 2), bool)}, "key_padding_mask"),
    "kind": (lambda x: (x, x, x), {"key_padding_mask": np.ones((N, L), int)}, "use bool"),
    "size": (lambda x: (x[..., 1:],) * 3, {}, "linear"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_inputs(name):
    inputs, options, message = WRONG[name]
    with pytest.raises(pg.PequegradError) as error:
        nn.MultiheadAttention(E, 2)(*inputs(np.ones((L, N, E), "f4")), **options)
    assert message in str(error.value)


# ---- encoder -----------------------------------------------------------------------------------------------

LAYERS = [
    {}, {"norm_first": True}, {"activation": "gelu"}, {"bias": False}, {"batch_first": True}, {"layer_norm_eps": 0.1}, {"dim_feedforward": 3},
    {"norm_first": True, "activation": "gelu", "batch_first": True, "bias": False},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # torch's about nested tensors
@pytest.mark.parametrize("options", LAYERS, ids=str)
def test_encoder_layers(options, rng):
    ours, theirs = t.pair("TransformerEncoderLayer", (E, 2), {"dropout": 0.0, "dim_feedforward": 6, **options})
    x = rng.normal(size=(N, L, E) if options.get("batch_first") else (L, N, E))
    t.compare(ours, theirs, [x], caller(src_mask=CAUSAL, src_key_padding_mask=padding(N, L)))
    t.compare(ours, theirs, [x], caller(src_mask=CAUSAL, is_causal=True))
    t.compare(ours, theirs, [x], training=False, jits=(False,))
    t.compare(ours, theirs, [x[0]], training=False, jits=(False,))


def test_dropout_of_an_encoder_layer(rng):
    ours, theirs = t.pair("TransformerEncoderLayer", (E, 2, 6, 0.3))
    x = rng.normal(size=(L, N, E))
    t.compare(ours, theirs, [x], training=False)
    ours.train()
    assert [layer.p for layer in (ours.dropout, ours.dropout1, ours.dropout2)] == [
        0.3
    ] * 3 and ours.self_attn.dropout == 0.3
    assert not np.array_equal(ours(x).numpy(), ours(x).numpy())


def test_activations_may_be_functions(rng):
    ours = nn.TransformerEncoderLayer(E, 2, 6, 0.0, F.silu, dtype="float64")
    theirs = torch.nn.TransformerEncoderLayer(E, 2, 6, 0.0, torch.nn.functional.silu, dtype=torch.float64)
    t.copy_weights(ours, theirs)
    t.compare(ours, theirs, [rng.normal(size=(L, N, E))])


@pytest.mark.parametrize("with_norm", [False, True])
def test_encoders(with_norm, rng):
    norm = lambda package, dtype: package.LayerNorm(E, dtype=dtype) if with_norm else None
    layer = lambda package, dtype: package.TransformerEncoderLayer(E, 2, 6, 0.0, batch_first=True, dtype=dtype)
    ours = nn.TransformerEncoder(layer(nn, "float64"), 2, norm(nn, "float64"))
    kind = torch.float64
    theirs = torch.nn.TransformerEncoder(layer(torch.nn, kind), 2, norm(torch.nn, kind), enable_nested_tensor=False)
    t.copy_weights(ours, theirs)
    assert len({id(p) for p in ours.parameters()}) == len(list(theirs.parameters()))
    x = rng.normal(size=(N, L, E))
    t.compare(ours, theirs, [x], caller(mask=CAUSAL, src_key_padding_mask=padding(N, L)))
    t.compare(ours, theirs, [x], caller(mask=CAUSAL, is_causal=True), training=False)


def test_attention_and_norms_are_fused_kernels():
    """A layer of a size that pays: attention becomes one node, and so does its gradient."""
    layer = nn.TransformerEncoderLayer(32, 2, 64, 0.0, norm_first=True, batch_first=True)
    step = pg.jit(lambda x: pg.grads(layer.parameters(), layer(x, is_causal=True).sum()))
    x = pg.rand(2, 128, 32)
    text = step.lower(x).compile().explain()
    assert "attention (made by the compiler)" in text and "attention_gradient (made by the compiler)" in text
