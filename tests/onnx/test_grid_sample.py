"""GridSample beside torch's grid_sample, with points far outside, too."""

import numpy as np
import pytest

import pequegrad as pg

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
from onnx import helper  # noqa: E402


def grid_sample(x, grid, **attributes):
    graph = helper.make_graph(
        [helper.make_node("GridSample", ["x", "grid"], ["y"], **attributes)],
        "one",
        [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, a.shape) for n, a in (("x", x), ("grid", grid))],
        [helper.make_empty_tensor_value_info("y")],
    )
    return pg.onnx.load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]))(x, grid).numpy()


@pytest.mark.parametrize("align_corners", [0, 1])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_values_are_those_of_torch(mode, padding, align_corners):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 5, 7)).astype(np.float32)
    grid = rng.uniform(-2.5, 2.5, (2, 6, 8, 2)).astype(np.float32)
    found = grid_sample(x, grid, mode=mode, padding_mode=padding, align_corners=align_corners)
    torchs = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    expected = torch.nn.functional.grid_sample(
        torch.from_numpy(x), torch.from_numpy(grid), torchs, padding, bool(align_corners)
    )
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-5)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_volumes(mode, padding):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 3, 4, 5, 6)).astype(np.float32)
    grid = rng.uniform(-1.8, 1.8, (2, 3, 4, 5, 3)).astype(np.float32)
    found = grid_sample(x, grid, mode=mode, padding_mode=padding)
    torchs = {"linear": "bilinear"}.get(mode, mode)
    expected = torch.nn.functional.grid_sample(torch.from_numpy(x), torch.from_numpy(grid), torchs, padding, False)
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-5)
