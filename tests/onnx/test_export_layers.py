"""Layers as ONNX: onnxruntime computes what they compute, and the operators are those that readers expect."""

import numpy as np
import pytest
from conftest import FULL
from exports import check, operators
from test_layers import CASES

import pequegrad as pg
from pequegrad import nn
from pequegrad.nn import functional as F

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

KEEPS_A_STATE = "max_norm"  # rows of the table are made shorter when they are read: refused
WITHOUT_BATCH = {"Flatten"}  # with other axes than the first: what they do with a batch is in their arguments


def single(inputs):
    """The same inputs, with float32 for shapes."""
    return [x if isinstance(x, tuple) else x.astype(np.int32) for x in inputs]


@pytest.mark.parametrize("name", CASES)
def test_layers(name):
    """The first case of each, with PG_TEST_FULL all of them."""
    for args, options, inputs in CASES[name] if FULL else CASES[name][:1]:
        if KEEPS_A_STATE not in options:
            layer = getattr(nn, name)(*args, **options).eval()
            check(layer, single(inputs), loaded=("eager", "jit") if FULL else ("eager",))


BATCHED = [name for name in CASES if name not in ("Bilinear", "Softmax", "LogSoftmax", "Softmin", "GLU")]


@pytest.mark.parametrize("name", BATCHED if FULL else BATCHED[::4])
def test_layers_for_any_batch(name):
    args, options, inputs = CASES[name][0]
    more = [[(5, *x[1:]) if isinstance(x, tuple) else np.tile(x, (2, 1)) for x in single(inputs)]]
    layer = getattr(nn, name)(*args, **options).eval()
    check(layer, single(inputs), more, dynamic_axes={"input": {0: "batch"}})


# ---- one node where ONNX has one -------------------------------------------------------------------------------

LINE, IMAGE, SPACE = (2, 6, 9), (2, 6, 8, 7), (2, 3, 3, 4, 2)
ONE = [
    ("Linear(4, 3)", (2, 4), "Gemm"), ("Conv2d(6, 4, 3, padding=1)", IMAGE, "Conv"), ("Conv1d(6, 4, 2, groups=2, stride=2)", LINE, "Conv"),
    ("ConvTranspose2d(6, 4, 3, stride=2, output_padding=1)", IMAGE, "ConvTranspose"), ("ConvTranspose1d(6, 4, 3, groups=2)", LINE, "ConvTranspose"),
    ("MaxPool2d(3, 2, 1)", IMAGE, "MaxPool"), ("AvgPool2d(3, 2)", IMAGE, "AveragePool"), ("AvgPool2d(3, 2, 1)", IMAGE, "AveragePool"),
    ("AvgPool2d(3, 2, 1, count_include_pad=False)", IMAGE, "AveragePool"), ("AvgPool1d(2, 3, ceil_mode=True)", LINE, "AveragePool"),
    ("AdaptiveAvgPool2d(1)", IMAGE, "GlobalAveragePool"), ("AdaptiveAvgPool2d((4, 7))", IMAGE, "AveragePool"),
    ("BatchNorm2d(6)", IMAGE, "BatchNormalization"), ("BatchNorm1d(6, affine=False)", LINE, "BatchNormalization"),
    ("InstanceNorm2d(6)", IMAGE, "InstanceNormalization"), ("InstanceNorm1d(6, affine=True)", LINE, "InstanceNormalization"),
    ("LayerNorm(7)", IMAGE, "LayerNormalization"), ("LayerNorm((8, 7), bias=False)", IMAGE, "LayerNormalization"),
    ("LayerNorm(7, elementwise_affine=False)", IMAGE, "LayerNormalization"), ("Embedding(5, 3)", np.array([[0, 4], [1, 1]]), "Gather"),
    ("ReLU()", LINE, "Relu"), ("ReLU6()", LINE, "Clip"), ("Hardtanh(-0.2, 0.3)", LINE, "Clip"), ("LeakyReLU(0.3)", LINE, "LeakyRelu"),
    ("ELU(0.3)", LINE, "Elu"), ("SELU()", LINE, "Selu"), ("CELU(0.3)", LINE, "Celu"), ("GELU()", LINE, "Gelu"), ("GELU('tanh')", LINE, "Gelu"),
    ("Sigmoid()", LINE, "Sigmoid"), ("Tanh()", LINE, "Tanh"), ("Mish()", LINE, "Mish"), ("Softplus()", LINE, "Softplus"), ("Softsign()", LINE, "Softsign"),
    ("Hardsigmoid()", LINE, "HardSigmoid"), ("Hardswish()", LINE, "HardSwish"), ("PReLU()", LINE, "PRelu"), ("Softmax(1)", LINE, "Softmax"),
    ("LogSoftmax(-1)", LINE, "LogSoftmax"), ("Flatten()", IMAGE, "Reshape"), ("Upsample(5)", LINE, "Resize"),
    ("Upsample(scale_factor=2)", IMAGE, "Resize"), ("Upsample((5, 9), mode='nearest-exact')", IMAGE, "Resize"), ("Upsample(scale_factor=3)", SPACE, "Resize"),
    ("Upsample(13, mode='linear')", LINE, "Resize"), ("Upsample((8, 9), mode='bilinear')", IMAGE, "Resize"),
    ("Upsample((5, 9), mode='bilinear', align_corners=True)", IMAGE, "Resize"), ("Upsample((5, 9), mode='bicubic')", IMAGE, "Resize"),
    ("Upsample(scale_factor=2, mode='bicubic', align_corners=True)", IMAGE, "Resize"), ("Upsample((5, 2, 4), mode='trilinear')", SPACE, "Resize"),
    ("LocalResponseNorm(3)", IMAGE, "LRN"), ("LocalResponseNorm(5, 0.01, 0.5, 2.0)", IMAGE, "LRN"),
]  # fmt: skip
LATER = [
    ("GroupNorm(2, 6)", IMAGE, "GroupNormalization", 21), ("GroupNorm(3, 6, affine=False)", LINE, "GroupNormalization", 21),
    ("RMSNorm(7)", IMAGE, "RMSNormalization", 23), ("SiLU()", LINE, "Swish", 24),
]  # fmt: skip


@pytest.mark.parametrize("text, shape, op, opset", [(*case, 20) for case in ONE] + LATER)
def test_layers_that_are_one_node(text, shape, op, opset):
    layer = eval(f"nn.{text}", {"nn": nn}).eval()
    inputs = (pg.zeros(shape) if isinstance(shape, tuple) else shape,)
    assert operators(pg.onnx.export(layer, inputs, opset=opset)) == {op: 1}
    if opset <= 23:  # what onnxruntime knows of it
        model = check(layer, [shape], opset=opset)
        if op in ("Resize", "LRN"):
            assert operators(pg.onnx.export(pg.onnx.load(model), inputs)) == {op: 1}


FUNCTIONS = [
    (lambda x: pg.logsumexp(x, 1), {"ReduceLogSumExp": 1}), (lambda x: pg.logsumexp(x, (0, 2), keepdims=True), {"ReduceLogSumExp": 1}),
    (lambda x: pg.linalg.norm(x, axis=1), {"ReduceL2": 1}), (lambda x: pg.linalg.norm(x, axis=-1, keepdims=True), {"ReduceL2": 1}),
    (F.normalize, {"ReduceL2": 1, "Max": 1, "Div": 1}), (lambda x: pg.where(x > 0.3, x, 0.0), {"ThresholdedRelu": 1}),
    (lambda x: pg.cumsum(x, 1), {"CumSum": 1}), (lambda x: pg.logsumexp(x, 1) + x.max(1), {"ReduceLogSumExp": 1, "ReduceMax": 1, "Add": 1}),
]  # fmt: skip


@pytest.mark.parametrize("function, expected", FUNCTIONS)
def test_functions_that_are_few_nodes(function, expected):
    model = check(function, [LINE])
    assert operators(model) == expected == operators(pg.onnx.export(pg.onnx.load(model), (pg.zeros(LINE),)))
    zeros_and_infinities = np.zeros(LINE, np.float32)
    zeros_and_infinities[0, :, 0], zeros_and_infinities[1, 0, :] = -np.inf, np.inf
    if "ReduceLogSumExp" in expected:
        check(function, [zeros_and_infinities])
    check(function, [np.zeros(LINE, np.float32)])


def test_what_onnxruntime_has_no_doubles_for_stays_apart():
    for layer, shape in (
        (nn.LSTM(3, 4, dtype="float64"), (5, 2, 3)), (nn.Upsample(scale_factor=2), IMAGE), (nn.Upsample((9, 9), mode="bicubic"), IMAGE),
        (lambda x: pg.where(x > 0.3, x, 0.0), LINE),
    ):  # fmt: skip
        found = operators(check(layer, [np.random.default_rng(0).normal(size=shape)]))
        assert found.keys().isdisjoint(("LSTM", "Resize", "ThresholdedRelu"))
    assert operators(check(nn.Upsample(scale_factor=2), [np.arange(48).reshape(1, 3, 4, 4)])) == {"Gather": 2}


def test_images_of_free_sizes_are_resized():
    free = {"input": {0: "n", 2: "height", 3: "width"}}
    more = [[(3, 3, 7, 9)], [(1, 3, 8, 8)]]
    for mode in ("nearest", "bilinear", "bicubic"):
        model = check(nn.Upsample(scale_factor=2, mode=mode), [(2, 3, 4, 5)], more, dynamic_axes=free)
        assert operators(model)["Resize"] == 1
    check(nn.Upsample((7, 9), mode="bilinear"), [(2, 3, 4, 5)], more, dynamic_axes=free)
    with pytest.raises((NotImplementedError, pg.ShapeError)):
        pg.onnx.export(nn.Upsample((7, 9)), (pg.zeros((2, 3, 4, 5)),), dynamic_axes=free)
    assert "Resize" not in operators(check(nn.Upsample(scale_factor=1.5, mode="bilinear"), [(2, 3, 5, 5)]))
    assert "LRN" not in operators(check(nn.LocalResponseNorm(2), [IMAGE]))


# ---- sequences -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}, {"bias": False}], ids=str
)
@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
def test_recurrent_layers_are_one_node_per_direction(name, options):
    layer = getattr(nn, name)(3, 4, **options)
    free = {"dynamic_axes": {"input": {0: "time", 1: "batch"}}, "loaded": ()}
    more = [[(7, 3, 3)], [(1, 1, 3)]]
    model = check(layer, [(5, 2, 3)], more, **(free | {"loaded": ("eager", "jit")}))
    found = operators(model)
    assert found[name] == (4 if "num_layers" in options else 1) and "Scan" not in found and "Reshape" not in found
    parameters = [n for n, _ in layer.named_parameters()]
    second, third = (model := check(pg.onnx.load(model), [(5, 2, 3)], more, **free) for _ in range(2))
    assert operators(second) == found and second == third
    assert {t.name for t in second.graph.initializer if t.data_type == 1} == {*parameters}
    assert operators(pg.onnx.export(pg.jit(lambda x: layer(x)[1]), (pg.zeros((5, 2, 3)),)))[name] == found[name]


def test_recurrent_layers_with_states_and_variations():
    for name, states in {"RNN": 1, "GRU": 1, "LSTM": 2}.items():
        layer = getattr(nn, name)(3, 4)
        function = lambda x, *s: layer(x, s if len(s) > 1 else s[0])
        assert operators(check(function, [(5, 2, 3), *[(1, 2, 4)] * states]))[name] == 1
        assert operators(check(layer, [(5, 3)]))[name] == 1
    assert operators(check(nn.RNN(3, 4, nonlinearity="relu"), [(5, 2, 3)]))["RNN"] == 1
    layer = nn.LSTM(3, 4)
    assert operators(check(lambda x, c: layer(x, (pg.zeros((1, 2, 4)), c))[0][-1], [(5, 2, 3), (1, 2, 4)]))["LSTM"] == 1
    assert operators(check(nn.LSTM(3, 4, proj_size=2), [(5, 2, 3)]))["Scan"] == 1
    loss = lambda x: (layer(x)[0] ** 2).sum()
    assert "LSTM" not in operators(check(lambda x: pg.grad(loss)(x), [(5, 2, 3)]))


@pytest.mark.parametrize("options", [{}, {"linear_before_reset": 1}, {"activations": ["Sigmoid", "Softsign"]}], ids=str)
def test_other_forms_of_a_gru_that_is_read(options):
    """The reset gate before the product has a node of its own; other activations are a Scan."""
    from onnx import helper

    rng = np.random.default_rng(0)
    arrays = {"w": rng.normal(size=(1, 12, 3)), "r": rng.normal(size=(1, 12, 4)), "b": rng.normal(size=(1, 24))}
    graph = helper.make_graph(
        [helper.make_node("GRU", ["x", *arrays], ["y"], hidden_size=4, **options)],
        "gru",
        [helper.make_tensor_value_info("x", 1, [5, 2, 3])],
        [helper.make_tensor_value_info("y", 1, [5, 1, 2, 4])],
        [onnx.numpy_helper.from_array(a.astype("float32"), name) for name, a in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    found = operators(check(pg.onnx.load(model), [(5, 2, 3)], loaded=()))
    assert found.get("Scan", 0) == ("activations" in options) and found.get("GRU", 0) == ("activations" not in options)


SELF = {"query": {0: "batch", 1: "time"}}
HIDDEN = np.array([[False, False, False, True, True], [True, False, False, False, False], [False] * 5])


@pytest.mark.parametrize("opset", [20, 23])
def test_multi_head_attention(opset):
    layer = nn.MultiheadAttention(8, 2, batch_first=True)

    def to_itself(x, hidden=None, causal=False):
        mask = pg.logical_not(pg.tril(pg.ones((x.shape[1],) * 2, dtype=bool))) if causal else None
        return layer(x, x, x, hidden, need_weights=False, attn_mask=mask, is_causal=causal)[0]

    free = {"x": {0: "batch", 1: "time"}}
    model = check(to_itself, [(3, 5, 8)], [[(2, 7, 8)]], opset=opset, dynamic_axes=free)
    found = operators(model)
    assert (
        found.get("Attention", 0) == (opset >= 23) and found.get("Softmax", 0) == (opset < 23) and "Shape" not in found
    )
    check(to_itself, [(3, 5, 8), HIDDEN], [[(3, 5, 8), np.ones_like(HIDDEN)]], opset=opset)  # hidden keys only: zeros
    check(lambda x: to_itself(x, causal=True), [(3, 5, 8)], opset=opset)
    check(nn.MultiheadAttention(8, 2), [(5, 3, 8), (4, 3, 8), (4, 3, 8)], opset=opset)  # with weights
    options = {"kdim": 6, "vdim": 4, "add_bias_kv": True, "add_zero_attn": True, "batch_first": True}
    other = nn.MultiheadAttention(8, 2, **options)
    check(other, [(3, 5, 8), (3, 4, 6), (3, 4, 4)], opset=opset)


@pytest.mark.parametrize("opset", [20, 23])
def test_causal_attention_and_shared_keys(opset):
    causal = lambda q, k, v: pg.scaled_dot_product_attention(q, k, v, is_causal=True)
    free = {name: {0: "batch", 2: "time"} for name in "qkv"}
    model = check(causal, [(2, 2, 5, 4)] * 3, [[(1, 2, 8, 4)] * 3], opset=opset, dynamic_axes=free)
    found = operators(model)
    assert found == {"Attention": 1} if opset >= 23 else found["Softmax"] == 1 and "ReduceMax" not in found
    check(causal, [(2, 4, 5, 4), (2, 2, 5, 4), (2, 2, 5, 4)], opset=opset)  # two heads share a key
    check(causal, [(5, 4)] * 3, opset=opset)
    check(lambda q, k: pg.scaled_dot_product_attention(q, k, k, scale=0.3), [(2, 3, 5, 4), (2, 3, 6, 4)], opset=opset)
    check(lambda q, k: pg.scaled_dot_product_attention(q, k, k, is_causal=True), [(2, 5, 4), (2, 3, 4)], opset=opset)


BLOCK = {
    "LayerNormalization": 2,
    "MatMul": 4,
    "Add": 6,
    "Split": 1,
    "Reshape": 4,
    "Transpose": 8,
    "Gelu": 1,
    "Attention": 1,
}


def test_a_transformer_block_reads_well():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu").eval()
    options = {"opset": 23, "dynamic_axes": {"src": {0: "batch", 1: "time"}}}
    model = check(layer, [(3, 5, 8)], [[(2, 7, 8)], [(1, 1, 8)]], loaded=("eager", "jit"), **options)
    assert operators(model) == BLOCK
    names = [node.name for node in model.graph.node]
    assert "norm1.layernormalization" in names and "self_attn.out_proj.matmul" in names and "linear2.add" in names
    check(nn.TransformerEncoder(layer, 2).eval(), [(3, 5, 8)])


def test_what_layers_keep_is_refused():
    with pytest.raises(NotImplementedError, match=r"running statistics.*\n?.*eval"):
        pg.onnx.export(nn.BatchNorm1d(3), (pg.zeros((2, 3)),))
    with pytest.raises(NotImplementedError, match="random_bits"):
        pg.onnx.export(nn.Dropout(0.5), (pg.zeros((2, 3)),))
    with pytest.raises(NotImplementedError, match="changes"):
        pg.onnx.export(nn.Embedding(5, 3, max_norm=1.0), (np.array([1]),))
