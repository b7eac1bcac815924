"""What onnxruntime has no kernels for, or computes otherwise, is written so that results are those of pequegrad."""

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from exports import check, operators  # noqa: E402

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


INTEGERS = "int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
FUNCTIONS = {
    "sums and products": lambda x, y: [x + y, x - y, x * y, x @ y.T, -x, pg.cumsum(x, 1), x**3, x**5, x * 2 - 1],
    "the largest": lambda x, y: [x.max(), x.max(1), x.min(0), x.argmax(1), x.argmin(0), pg.maximum(x, y), pg.minimum(x, y), pg.clip(x, 3, 90)],
    "order": lambda x, y: [pg.sort(x, 1), pg.argsort(x, 0), *pg.topk(x, 2), x < y, x >= y, x == y, pg.cummax(x, 1)],
    "choices": lambda x, y: [pg.where(x < y, x, y), pg.pad(x, [(1, 0), (0, 2)]), x.at[0].set(7), x.at[:, 1:].add(3), x.at[np.array([1, 0])].add(y[:2])],
    "bits": lambda x, y: [x & y, x | y, x ^ y, ~x, x << 3, x >> 2, abs(x), pg.sign(x)],
    "others": lambda x, y: [x // 7, x % 7, pg.einsum("ij,kj->ik", x, y), pg.einsum("ij,ij->j", x, y), x.astype("float32").mean(), x.astype("int32")],
}  # fmt: skip


@pytest.mark.parametrize("dtype", INTEGERS)
def test_sums_and_products_of_axes_of_integers(dtype):
    """As far as float64 holds what is added up: onnxruntime computes in that, and gives the largest number for larger ones."""
    limits, rng = np.iinfo(dtype), np.random.default_rng(3)
    most = min(limits.max, 2**53 // 12 if limits.bits == 64 else 2 ** (limits.bits - 5) if limits.bits == 32 else 2**16)
    x = rng.integers(-most if limits.min else 0, most, (3, 4), dtype, endpoint=True)
    check(lambda x: [x.sum(), x.sum(1), (x // 3).sum(0)], [x])
    factors = x if limits.bits < 16 else x % 9
    check(lambda x: [x.prod(0), x.mean(1)], [factors], loaded=("eager", "jit"))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("what", FUNCTIONS)
def test_integers(what, dtype):
    """Of all values that there are: what is too large wraps around."""
    limits, rng = np.iinfo(dtype), np.random.default_rng(3)
    x, y = (rng.integers(limits.min, limits.max, (3, 4), dtype, endpoint=True) for _ in range(2))
    x[0, :2], x[1, 2] = (limits.min, limits.max), limits.min
    check(FUNCTIONS[what], [x, y], [[y, x]], loaded=("eager", "jit"))


def test_activations_with_python_integers():
    """Attributes of ONNX say whether they are ints or floats."""
    x, found = [np.linspace(-5, 5, 12).reshape(3, 4).astype("float32")], {}
    for op, function in {
        "ThresholdedRelu": lambda x: pg.where(x > 1, x, 0), "Elu": lambda x: F.elu(x, 2), "LeakyRelu": lambda x: F.leaky_relu(x, 2),
        "Clip": lambda x: F.hardtanh(x, -2, 3), "LayerNormalization": lambda x: F.layer_norm(x, (4,), eps=1),
    }.items():  # fmt: skip
        found[op] = operators(check(function, x))
    assert found == {op: {op: 1} for op in found}


@pytest.mark.parametrize("dtype", INTEGERS)
def test_remainders(dtype):
    limits = np.iinfo(dtype)
    x = np.array([limits.min, limits.min + 1, 0, 1, 6, 7, limits.max], dtype)
    for n in (7, 8, 1, -3) if limits.min else (7, 8, 1):
        assert set(operators(check(lambda x: x % n, [x]))) <= {"Mod"}
    check(lambda x: [x // 7, x % x[3:4], x // x[3:4]], [x])


def test_integers_in_loops_and_branches():
    x = np.arange(12, dtype="uint16").reshape(3, 4)
    for function in (
        lambda x: pg.scan(lambda c, r: (pg.maximum(c, r), r.sum()), x[0], x),
        lambda x: pg.while_loop(lambda c: c.max() < 60000, lambda c: pg.maximum(c * 3, c + 7), x),
        lambda x: pg.cond(x.sum() > 5, lambda x: pg.where(x > 3, x, x + 1), lambda x: x, x),
    ):
        check(function, [x], loaded=("eager", "jit"))
