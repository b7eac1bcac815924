"""What onnxruntime has no kernels for, or computes otherwise, is written so that results are those of pequegrad."""

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from exports import check  # noqa: E402

import pequegrad as pg  # noqa: E402
from pequegrad.nn import functional as F  # noqa: E402
from pequegrad.onnx.comparison import session_of  # noqa: E402
from pequegrad.primitives import PRIMITIVES  # noqa: E402


def run(function, *arrays, **options):
    """Results in onnxruntime, as read here, and of the function itself."""
    model = pg.onnx.export(function, arrays, **options)
    names = [v.name for v in model.graph.input]
    tensors = list(map(pg.Tensor, arrays))
    (found,) = session_of(model, threads=1).run(None, dict(zip(names, arrays)))
    return found, pg.onnx.load(model)(*tensors).numpy(), function(*tensors).numpy()


def test_atan2_in_all_quadrants():
    """Two infinite operands have no angle in the file."""
    some = np.array([0.0, -0.0, 1, -1, 1e-45, -1e-45, 3, np.inf, -np.inf, np.nan], "float32")
    y, x = (a.reshape(-1) for a in np.meshgrid(some, some))
    known = ~(np.isinf(x) & np.isinf(y))
    y, x = y[known], x[known]
    expected = np.arctan2(y, x)
    for found in run(lambda y, x: PRIMITIVES["atan2"](y, x), y, x):
        np.testing.assert_allclose(found, expected, 2e-6)
        numbers = ~np.isnan(expected)
        assert (np.signbit(found) == np.signbit(expected))[numbers].all()


@pytest.mark.parametrize(
    "name",
    "softplus softsign elu celu selu hardsigmoid hardswish mish leaky_relu logsigmoid relu relu6 silu softmax log_softmax".split(),
)
def test_activations_of_float64(name):
    check(getattr(F, name), [np.linspace(-5, 5, 12).reshape(3, 4)], tolerance=1e-12)
