"""Operators of networks: what the backend suite does not ask: older versions, rare attributes, errors, gradients."""

import numpy as np
import pytest

import pequegrad as pg
from pequegrad.core.errors import PequegradError

onnx = pytest.importorskip("onnx")
helper = onnx.helper
RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def load(op, inputs, opset, n_outputs=1, weights=None, domain="", **attributes):
    """A model of one node; inputs: arrays by name, those in `weights` are initialisers."""
    weights = weights or {}
    names = [*inputs, *weights]
    outputs = [f"y{i}" for i in range(n_outputs)]
    kind = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        [helper.make_node(op, names, outputs, domain=domain, **attributes)],
        "one",
        [helper.make_tensor_value_info(n, kind(x.dtype), x.shape) for n, x in inputs.items()],
        [helper.make_empty_tensor_value_info(n) for n in outputs],
        [onnx.numpy_helper.from_array(x, n) for n, x in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, opset)])
    return pg.onnx.load(model)


def run(op, inputs, opset, jitted=False, **options):
    model = load(op, inputs, opset, **options)
    found = (pg.jit(model) if jitted else model)(*inputs.values())
    return [v.numpy() for v in found] if isinstance(found, tuple) else found.numpy()


@pytest.mark.parametrize("jitted", [False, True])
def test_softmax_before_set_13_takes_all_later_axes_together(jitted):
    x = floats(2, 3, 4)
    rows = np.exp(x.reshape(2, 12))
    found = run("Softmax", {"x": x}, 11, jitted)
    np.testing.assert_allclose(found, (rows / rows.sum(1, keepdims=True)).reshape(x.shape), rtol=1e-5)


def test_group_normalization_18_scales_groups_and_21_channels():
    x = floats(2, 4, 3)
    group = x.reshape(2, 2, 6)
    normal = (group - group.mean(2, keepdims=True)) / np.sqrt(group.var(2, keepdims=True) + 1e-5)
    scale, bias = floats(2), floats(2)
    found = run("GroupNormalization", {"x": x}, 18, weights={"s": scale, "b": bias}, num_groups=2)
    np.testing.assert_allclose(found, (normal * scale[:, None] + bias[:, None]).reshape(x.shape), rtol=1e-4, atol=1e-5)
    scale, bias = floats(4), floats(4)
    found = run("GroupNormalization", {"x": x}, 21, weights={"s": scale, "b": bias}, num_groups=2)
    expected = normal.reshape(x.shape) * scale[:, None] + bias[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_batch_normalization_7_without_spatial_has_statistics_per_place():
    x, mean, var = floats(2, 3, 4), floats(3, 4), np.abs(floats(3, 4)) + 1
    weights = {"s": np.ones((3, 4), np.float32), "b": np.zeros((3, 4), np.float32), "m": mean, "v": var}
    found = run("BatchNormalization", {"x": x}, 7, weights=weights, spatial=0)
    np.testing.assert_allclose(found, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-5)


def test_column_major_indices_of_max_pool():
    x = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    _, found = run("MaxPool", {"x": x}, 12, n_outputs=2, kernel_shape=[2, 2], storage_order=1)
    np.testing.assert_array_equal(found[0, 0], [[4, 7, 10], [5, 8, 11]])


def test_ceil_mode_counts_no_elements_beyond_the_padding():
    x = np.ones((1, 1, 5), np.float32)
    options = {"kernel_shape": [2], "strides": [2], "ceil_mode": 1, "count_include_pad": 1}
    np.testing.assert_array_equal(run("AveragePool", {"x": x}, 19, **options), np.ones((1, 1, 3)))


def test_regions_of_max_roi_pool():
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    rois = np.array([[0, 0, 0, 3, 3], [0, 1, 1, 2, 2]], np.float32)
    found = run("MaxRoiPool", {"x": x, "r": rois}, 13, pooled_shape=[2, 2])
    np.testing.assert_array_equal(found[:, 0], [[[5, 7], [13, 15]], [[5, 6], [9, 10]]])


def test_roi_align_with_as_many_samples_as_pixels_reads_regions():
    x = floats(1, 2, 8, 8)
    rois = {"r": np.array([[0, 0, 6, 6]], np.float32), "i": np.zeros(1, np.int64)}
    options = {"output_height": 2, "output_width": 2}
    found = run("RoiAlign", {"x": x, **rois}, 16, sampling_ratio=0, **options)
    np.testing.assert_allclose(found, run("RoiAlign", {"x": x, **rois}, 16, sampling_ratio=3, **options), rtol=1e-5)
    with pytest.raises(PequegradError, match="rois"):
        run("RoiAlign", {"x": x, **rois}, 16, jitted=True, sampling_ratio=0, **options)


@pytest.mark.parametrize("op, gates", [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_recurrent_networks_stop_at_the_length_of_each_sequence(op, gates):
    x, lengths = floats(4, 2, 3), np.array([4, 2], np.int32)
    weights = {"w": floats(2, gates * 5, 3), "r": floats(2, gates * 5, 5), "b": floats(2, gates * 10)}
    n = 3 if op == "LSTM" else 2
    options = {"direction": "bidirectional", "n_outputs": n, "weights": weights}
    y, last, *_ = run(op, {"x": x}, 14, **options)
    of_two = run(op, {"x": x[:2]}, 14, **options)
    weights = {**weights, "n": lengths}
    y_short, last_short, *_ = run(op, {"x": x}, 14, **{**options, "weights": weights})
    np.testing.assert_allclose(y_short[:, :, 0], y[:, :, 0], rtol=1e-5)
    np.testing.assert_allclose(y_short[:2, :, 1], of_two[0][:, :, 1], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(y_short[2:, :, 1], 0)
    np.testing.assert_allclose(last_short[:, 1], of_two[1][:, 1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("op, gates", [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_parameters_of_recurrent_networks_get_gradients(op, gates):
    model = load(op, {"x": floats(4, 2, 3)}, 14, weights={"w": floats(1, gates * 5, 3), "r": floats(1, gates * 5, 5)})
    loss = pg.sum(model(pg.Tensor(floats(4, 2, 3))) ** 2)
    for g in pg.grads(list(model.parameters()), loss):
        assert np.abs(g.numpy()).max() > 0


def test_unknown_activations_and_attributes_are_errors():
    weights = {"w": floats(1, 5, 3), "r": floats(1, 5, 5)}
    with pytest.raises(PequegradError, match="Cosine"):
        run("RNN", {"x": floats(4, 2, 3)}, 14, weights=weights, activations=["Cosine"])
    with pytest.raises(NotImplementedError, match="strange"):
        run("Relu", {"x": floats(3)}, 14, strange=1)
    with pytest.raises(PequegradError, match="kernel_shape"):
        run("Conv", {"x": floats(1, 2, 5), "w": floats(3, 2, 3)}, 11, kernel_shape=[2])
    with pytest.raises(PequegradError, match="auto_pad"):
        run("Conv", {"x": floats(1, 2, 5), "w": floats(3, 2, 3)}, 11, auto_pad="SOME")


def test_dropout_in_training_drops_and_scales():
    weights = {"p": np.float32(0.25), "t": np.array(True)}
    y, mask = run("Dropout", {"x": np.ones(4000, np.float32)}, 13, weights=weights, n_outputs=2, seed=3)
    np.testing.assert_allclose(y, mask / 0.75, rtol=1e-6)
    assert abs(mask.mean() - 0.75) < 0.05  # 7 standard deviations
    np.testing.assert_array_equal(run("Dropout", {"x": np.ones(4, np.float32)}, 7), 1)


def test_upsample_of_set_7_has_scales_as_an_attribute():
    x = np.array([[[[1.0, 2.0]]]], np.float32)
    found = run("Upsample", {"x": x}, 7, scales=[1.0, 1.0, 2.0, 2.0])
    np.testing.assert_array_equal(found[0, 0], [[1, 1, 2, 2], [1, 1, 2, 2]])


def test_dynamic_quantization_of_zeros_divides_by_nothing():
    y, scale, zero = run("DynamicQuantizeLinear", {"x": np.zeros(4, np.float32)}, 11, n_outputs=3)
    assert (y == 0).all() and scale == 1 and zero == 0


@pytest.mark.parametrize(
    "op, opset, shapes, options",
    [
        ("GridSample", 20, [(1, 2, 4, 5), (1, 3, 3, 2)], {"mode": "cubic", "padding_mode": "border"}),
        ("GridSample", 20, [(1, 2, 4, 5), (1, 3, 3, 2)], {"mode": "linear", "padding_mode": "zeros"}),
        ("DeformConv", 19, [(1, 2, 4, 4), (3, 2, 2, 2), (1, 8, 3, 3)], {}),
        ("ConvTranspose", 11, [(1, 4, 5), (4, 3, 3)], {"group": 2, "strides": [2], "output_padding": [1]}),
        ("Attention", 23, [(1, 2, 3, 4)] * 3, {"is_causal": 1, "softcap": 2.0}),
        ("LpNormalization", 1, [(3, 4)], {}),
        ("LRN", 13, [(1, 5, 2, 2)], {"size": 3}),
    ],
)  # fmt: skip
def test_gradients_are_those_of_finite_differences(op, opset, shapes, options):
    inputs = {f"x{i}": np.random.default_rng(i).uniform(0.1, 0.8, s).astype(np.float32) for i, s in enumerate(shapes)}
    model = load(op, inputs, opset, **options)
    arrays = [pg.Tensor(x) for x in inputs.values()]
    weights = pg.Tensor(floats(*model(*arrays).shape))
    loss = lambda *xs: pg.sum(model(*xs) * weights)
    for i, g in enumerate(pg.grad(loss, argnums=tuple(range(len(arrays))))(*arrays)):
        along = floats(*arrays[i].shape)
        ends = [
            loss(*[x + step * pg.Tensor(along) if j == i else x for j, x in enumerate(arrays)]).item()
            for step in (1e-3, -1e-3)
        ]
        expected = (ends[0] - ends[1]) / 2e-3
        assert abs((g.numpy() * along).sum() - expected) < 0.02 * max(1, abs(expected))  # float32 and a step of 1e-3


@pytest.mark.parametrize("softcap", [0.0, 2.0])
def test_attention_with_a_negative_scale(softcap):
    q, k, v = floats(1, 2, 3, 4), floats(1, 2, 5, 4), floats(1, 2, 5, 4)
    scores = -0.7 * q @ k.swapaxes(2, 3)
    scores = softcap * np.tanh(scores / softcap) if softcap else scores
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    found = run("Attention", {"q": q, "k": k, "v": v}, 23, scale=-0.7, softcap=softcap)
    np.testing.assert_allclose(found, weights @ v, rtol=1e-4, atol=1e-5)
