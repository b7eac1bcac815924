"""jax.nn against JAX: activations, softmax and its kin, attention; initializers at equal keys."""

import jax
import numpy as np
import pytest
from conftest import FULL

import pequegrad as pg
import pequegrad.jax_api as pj

from .agreement import EAGER, GRAD, JIT, VMAP, agree, same

rng = np.random.default_rng(0)
X = (rng.normal(size=(3, 4)) * 3).astype("f4")
EDGES = np.array([-np.inf, -100, -3, -1, -0.0, 0, 1e-30, 1, 2, 3, 6, 100, np.inf, np.nan], "f4")
WHERE = rng.integers(0, 2, (3, 4)).astype(bool) | (np.arange(4) == 0)
INTEGERS = np.array([-3, -1, 0, 1, 2, 7], np.int32)
EVERYWHERE = (EAGER, JIT, GRAD, VMAP) if FULL else (EAGER, GRAD)

ACTIVATIONS = """relu relu6 sigmoid softplus sparse_plus sparse_sigmoid soft_sign silu swish log_sigmoid leaky_relu hard_sigmoid
    hard_silu hard_swish hard_tanh elu celu selu gelu squareplus mish identity tanh""".split()


@pytest.mark.parametrize("name", [*ACTIVATIONS, "glu"])
def test_activations(name):
    agree(f"nn.{name}", X, modes=EVERYWHERE, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_other_dtypes(name):
    agree(f"nn.{name}", EDGES, modes=(EAGER,), rtol=2e-6)
    agree(f"nn.{name}", 1.5, modes=(EAGER,), rtol=2e-6)
    agree(f"nn.{name}", INTEGERS, modes=(EAGER,), rtol=2e-6)
    agree(f"nn.{name}", True, modes=(EAGER,), rtol=2e-6)
    agree(f"nn.{name}", [1.0], modes=(EAGER,))
    for dtype in ("float16", "bfloat16") if FULL else ("bfloat16",):
        agree(f"nn.{name}", X.astype(np.float16 if dtype == "float16" else pg.dt.bfloat16), modes=(EAGER,), rtol=0.03)


@pytest.mark.parametrize(
    "name", ["relu", "relu6", "hard_tanh", "leaky_relu", "elu", "hard_sigmoid", "softplus", "gelu", "silu"]
)
def test_derivatives_at_kinks(name):
    agree(f"nn.{name}", EDGES[1:-2], modes=(GRAD,), rtol=2e-6)


POSITIVE = np.abs(X) + 0.01
ARGUMENTS = [
    ("log1mexp", (POSITIVE,), {}),
    ("elu", (X, 0.3), {}),
    ("elu", (X, np.float32(2) + X * 0), {}),
    ("celu", (X,), {"alpha": 0.5}),
    ("leaky_relu", (X,), {"negative_slope": 0.3}),
    ("leaky_relu", (INTEGERS,), {}),
    ("squareplus", (X, 1.0), {}),
    ("gelu", (X,), {"approximate": False}),
    ("glu", (X[:2],), {"axis": 0}),
    ("glu", (X[:, :3],), {}),
    ("softmax", (X,), {}),
    ("softmax", (X,), {"axis": 0}),
    ("softmax", (X,), {"axis": None}),
    ("softmax", (X,), {"axis": (0, 1), "where": WHERE}),
    ("softmax", (X, -1, WHERE), {}),
    ("softmax", (EDGES[:-2],), {}),
    ("softmax", (EDGES[1:],), {}),
    ("softmax", (INTEGERS,), {}),
    ("softmax", (X.astype(np.float16),), {}),
    ("log_softmax", (X,), {}),
    ("log_softmax", (X,), {"axis": 0, "where": WHERE}),
    ("log_softmax", (EDGES[:-2],), {}),
    ("log_softmax", (X.astype(pg.dt.bfloat16),), {}),
    ("logsumexp", (X,), {}),
    ("logsumexp", (X, 0), {"keepdims": True}),
    ("logsumexp", (X, -1, X[::-1].copy()), {}),
    ("logsumexp", (X,), {"axis": 1, "b": np.array([1.0, -1, 0, 2], "f4"), "return_sign": True}),
    ("logsumexp", (X,), {"axis": (0, 1), "where": WHERE}),
    ("logsumexp", (EDGES,), {}),
    ("logsumexp", (X + 1j * X[::-1],), {"axis": 0}),
    ("logsumexp", (INTEGERS,), {}),
    ("logmeanexp", (X,), {"axis": 0}),
    ("logmeanexp", (X,), {"axis": 1, "where": WHERE, "keepdims": True}),
    ("standardize", (X,), {}),
    ("standardize", (X,), {"axis": 0, "algorithm": "stable", "epsilon": 0.1}),
    ("standardize", (X, -1, X[:1] * 0.5, np.abs(X[:1])), {}),
    ("standardize", (X,), {"axis": (0, 1), "where": WHERE}),
    ("standardize", (X.astype(np.float16),), {}),
    ("standardize", (INTEGERS,), {}),
    ("standardize", (X,), {"algorithm": "slow"}),
    ("one_hot", (INTEGERS, 4), {}),
    ("one_hot", (INTEGERS.reshape(2, 3), 4), {"axis": 0}),
    ("one_hot", (INTEGERS.astype(np.uint8), 4), {"dtype": np.int8, "axis": 1}),
    ("one_hot", (2, 3), {}),
    ("one_hot", (INTEGERS, 4), {"dtype": bool}),
    ("one_hot", (INTEGERS, 0), {}),
    ("one_hot", (INTEGERS, 2.5), {}),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # JAX's softmax of integers under jit
@pytest.mark.parametrize("name, args, kwargs", ARGUMENTS)
def test_arguments(name, args, kwargs):
    modes = (EAGER, JIT, GRAD, VMAP) if FULL else (EAGER, GRAD)
    half = any(getattr(x, "dtype", X.dtype).itemsize == 2 for x in args if isinstance(x, np.ndarray))
    agree(f"nn.{name}", *args, modes=(EAGER,) if half else modes, rtol=0.02 if half else 1e-5, atol=2e-6, **kwargs)


def test_one_hot_along_a_named_axis():
    x = np.array([0, 2], np.int32)
    f = lambda root: root.vmap(
        lambda x: root.nn.one_hot(x, 3, axis="i"), in_axes=None, out_axes=1, axis_name="i", axis_size=3
    )
    same(f(pj)(x), f(jax)(x))


# ---- attention ---------------------------------------------------------------------------------------

Q, K, V = (rng.normal(size=(2, n, h, 8)).astype("f4") for n, h in ((5, 4), (6, 4), (6, 4)))
K2, V2 = K[:, :, :2].copy(), V[:, :, :2].copy()
BIAS = rng.normal(size=(1, 4, 5, 6)).astype("f4")
MASK = rng.integers(0, 2, (2, 1, 5, 6)).astype(bool) | (np.arange(6) == 0)
LENGTHS = {"query_seq_lengths": np.array([3, 5], np.int32), "key_value_seq_lengths": np.array([6, 2], np.int32)}
ATTENTION = [
    ((Q, K, V), {}),
    ((Q, K2, V2), {"is_causal": True}),
    ((Q, K2, V2, BIAS, MASK), {"scale": 0.3}),
    ((Q, K, V), {"mask": MASK, "is_causal": True, "implementation": "xla"}),
    ((Q, K, V), LENGTHS),
    ((Q, K, V), {"local_window_size": 1}),
    ((Q, K2, V2), {"local_window_size": (2, 0), "return_residual": True}),
    ((Q[0], K[0], V[0]), {"bias": BIAS[0]}),
    ((Q.astype(pg.dt.bfloat16), K.astype(pg.dt.bfloat16), V.astype(pg.dt.bfloat16)), {"is_causal": True}),
    ((Q, K, V), {"implementation": "abacus"}),
    ((Q, K[:, :, :3], V[:, :, :3]), {}),
    ((Q, K, V[:, :5]), {}),
    ((Q, K, V), {"mask": MASK.astype("f4")}),
]


@pytest.mark.parametrize("args, kwargs", ATTENTION)
def test_attention(args, kwargs):
    half = args[0].dtype.itemsize == 2
    modes = (EAGER,) if half else (EAGER, JIT, GRAD, VMAP) if FULL else (EAGER, GRAD)
    agree(
        "nn.dot_product_attention",
        *args,
        modes=modes,
        rtol=0.03 if half else 2e-5,
        atol=0.02 if half else 1e-6,
        **kwargs,
    )


# ---- initializers ------------------------------------------------------------------------------------

SCALING = "glorot_uniform glorot_normal lecun_uniform lecun_normal he_uniform he_normal xavier_uniform xavier_normal kaiming_uniform kaiming_normal".split()
INITIALIZERS = [
    *((name, (), {}, (6, 5)) for name in SCALING),
    ("lecun_normal", (), {"in_axis": 0, "out_axis": 1, "dtype": "float16"}, (6, 5)),
    ("he_uniform", (), {"in_axis": (0, 1), "batch_axis": (2,)}, (3, 2, 4, 5)),
    ("variance_scaling", (2.0, "fan_out", "normal"), {}, (3, 4, 5)),
    ("variance_scaling", (2.0, "fan_geo_avg", "truncated_normal"), {"dtype": "complex64"}, (4, 5)),
    ("variance_scaling", (2.0, "fan_avg", "uniform"), {"dtype": "complex64"}, (4, 5)),
    ("variance_scaling", (2.0, "fan_in", "normal"), {"dtype": "bfloat16"}, (4, 5)),
    ("variance_scaling", (2.0, "fan", "normal"), {}, (4, 5)),
    ("variance_scaling", (2.0, "fan_in", "cauchy"), {}, (4, 5)),
    ("variance_scaling", (2.0, "fan_in", "normal"), {}, (4,)),
    ("uniform", (), {}, (3, 2)),
    ("uniform", (2.0, "float16"), {}, (3, 2)),
    ("normal", (), {"stddev": 0.5}, (3, 2)),
    ("normal", (), {"dtype": "complex64"}, 3),
    ("truncated_normal", (), {}, (3, 2)),
    ("truncated_normal", (0.5,), {"lower": -1.0, "upper": 3.0}, (3, 2)),
    ("constant", (3,), {}, (2, 2)),
    ("constant", (np.arange(2.0),), {"dtype": "int32"}, (2, 2)),
    ("orthogonal", (), {}, (4, 4)),
    ("orthogonal", (2.0,), {"column_axis": 0}, (2, 3, 4)),
    ("orthogonal", (), {}, (4,)),
    ("orthogonal", (), {}, (4, 0)),
    ("delta_orthogonal", (), {}, (3, 2, 4)),
    ("delta_orthogonal", (2.0,), {}, (3, 3, 2, 4)),
    ("delta_orthogonal", (), {}, (3, 3, 3, 2, 2)),
    ("delta_orthogonal", (), {}, (3, 4, 2)),
]


@pytest.mark.parametrize("name, args, kwargs, shape", INITIALIZERS)
def test_initializers(name, args, kwargs, shape):
    def weights(root):
        return getattr(root.nn.initializers, name)(*args, **kwargs)(root.random.PRNGKey(3), shape)

    try:
        expected = weights(jax)
    except Exception as error:
        with pytest.raises(type(error)):
            weights(pj)
        return
    same(
        weights(pj),
        expected,
        rtol=2e-5 if "orthogonal" in name else 0.02 if expected.dtype.itemsize == 2 else 1e-6,
        atol=1e-6,
    )


def test_constant_initializers():
    for root in (pj, jax):
        init = root.nn.initializers
        assert isinstance(init.he_normal(), init.Initializer)
        assert float(init.zeros(None, (2,))[1]) == 0 and init.ones(None, (2, 3), np.int32).dtype == np.int32
    key = pj.random.key(0)
    jitted = pj.jit(lambda key: pj.nn.initializers.he_normal()(key, (4, 3)))(key)
    np.testing.assert_allclose(jitted, pj.nn.initializers.he_normal()(key, (4, 3)), rtol=1e-6)


def test_tensors_give_tensors():
    x = pg.Tensor(X)
    for y in (pj.nn.relu(x), pj.nn.softmax(x), pj.nn.gelu(x), pj.nn.standardize(x), pj.nn.elu(x)):
        assert type(y) is pg.Tensor
