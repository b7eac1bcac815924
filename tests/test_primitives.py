"""Every rule of every primitive, checked on the primitive's own samples."""

import numpy as np
import pytest

import pequegrad as pg
from pequegrad.core.node import LINEAR, placeholder_node
from pequegrad.core.tensor import wrap
from pequegrad.primitives import PRIMITIVES
from pequegrad.transforms.derivative import transpose_linear

SAMPLES = [
    pytest.param(primitive, i, id=f"{name}-{i}")
    for name, primitive in PRIMITIVES.items()
    for i, _ in enumerate(primitive.samples(np.random.default_rng(0)))
]
every_sample = pytest.mark.parametrize("primitive, index", SAMPLES)


def has_derivative(primitive, index):
    """True for samples with a floating operand and a float64 result: those with a derivative to compare."""
    arrays, params = list(primitive.samples(np.random.default_rng(0)))[index]
    if primitive.name == "stop_gradient" or not any(np.asarray(a).dtype.kind == "f" for a in arrays):
        return False
    return bind(primitive, [np.asarray(a) for a in arrays], params, pg.device.cpu).dtype == np.float64


def sample(primitive, index, device):
    """The arrays and parameters of a sample; parameters that name a device name the one under test."""
    arrays, params = list(primitive.samples(np.random.default_rng(0)))[index]
    if "dtype" in params:
        params = dict(params, dtype=np.dtype(params["dtype"]))
    if "device" in params and primitive.name != "transfer":
        params = dict(params, device=device)
    return [np.asarray(a) for a in arrays], params


def bind(primitive, arrays, params, device):
    if primitive.name == "transfer":
        return pg.Tensor(arrays[0], device=device).to(params["device"])
    return primitive(*[pg.Tensor(a, device=device) for a in arrays], **params)


every_differentiable = pytest.mark.parametrize("primitive, index", [s for s in SAMPLES if has_derivative(*s.values)])


def floating(arrays):
    return [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]


def jvp(primitive, arrays, tangents, params, device):
    """The tangent that the jvp rule gives, as an array (zeros for None)."""
    primals = [pg.Tensor(a, device=device) for a in arrays]
    out = bind(primitive, arrays, params, device)
    given = [None if t is None else pg.Tensor(t, device=device) for t in tangents]
    found = primitive.jvp(primals, given, out, **params)
    return np.zeros(out.shape) if found is None else found.numpy()


@every_sample
def test_infer_predicts_the_value(primitive, index, device):
    arrays, params = sample(primitive, index, device)
    out = bind(primitive, arrays, params, device)
    value = out.numpy()
    assert value.shape == out.shape
    assert value.dtype == out.dtype


@every_differentiable
def test_jvp_is_the_finite_difference(primitive, index, device):
    arrays, params = sample(primitive, index, device)
    which = floating(arrays)
    rng, h = np.random.default_rng(1), 1e-6
    for i in which:
        direction = rng.normal(size=arrays[i].shape)
        ends = []
        for sign in (1, -1):
            moved = list(arrays)
            moved[i] = arrays[i] + sign * h * direction
            ends.append(bind(primitive, moved, params, device).numpy())
        tangents = [direction if j == i else None for j in range(len(arrays))]
        # central differences in float64: h**2 * third derivative + eps / h is about 1e-9 for values around 1
        np.testing.assert_allclose(
            jvp(primitive, arrays, tangents, params, device), (ends[0] - ends[1]) / (2 * h), rtol=1e-6, atol=1e-7
        )


@every_differentiable
def test_reverse_is_the_transpose_of_forward(primitive, index, device):
    """<J dx, ct> == <dx, J^T ct> with the cotangents that grads() computes."""
    arrays, params = sample(primitive, index, device)
    which = floating(arrays)
    rng = np.random.default_rng(2)
    tensors = [pg.Tensor(a, device=device) for a in arrays]
    out = primitive(*tensors, **params) if primitive.name != "transfer" else tensors[0].to(params["device"])
    ct = rng.normal(size=out.shape)
    found = pg.grads([tensors[i] for i in which], out, pg.Tensor(ct, device=out.device))
    for i, g in zip(which, found):
        dx = rng.normal(size=arrays[i].shape)
        tangent = jvp(primitive, arrays, [dx if j == i else None for j in range(len(arrays))], params, device)
        assert g.shape == arrays[i].shape
        assert np.vdot(tangent, ct) == pytest.approx(np.vdot(dx, g.numpy()), rel=1e-10, abs=1e-12)


@every_sample
def test_transpose_rule_exists_where_jvp_needs_it(primitive, index, device):
    """The tangent of every sample is a graph of primitives that can be transposed."""
    arrays, params = sample(primitive, index, device)
    for i in floating(arrays):
        tensors = [pg.Tensor(a, device=device) for a in arrays]
        tangent = placeholder_node(tensors[i]._node.aval, LINEAR)
        out = bind(primitive, arrays, params, device)
        found = primitive.jvp(tensors, [wrap(tangent) if j == i else None for j in range(len(arrays))], out, **params)
        if found is not None:
            transpose_linear({found._node: pg.zeros_like(found)}, {tangent: None})


@pytest.mark.parametrize("primitive, index", [s for s in SAMPLES if s.values[0].name not in ("iota", "transfer")])
def test_batch_is_a_loop(primitive, index, device):
    arrays, params = sample(primitive, index, device)
    rng = np.random.default_rng(3)
    n, k = 3, len(arrays)
    for pattern in range(1, 2**k):
        batched = [bool(pattern >> j & 1) for j in range(k)]
        stacked = [
            np.stack([rng.permutation(a.ravel()).reshape(a.shape) for _ in range(n)]) if b else a
            for a, b in zip(arrays, batched)
        ]
        out = primitive.batch([pg.Tensor(a, device=device) for a in stacked], batched, **params).numpy()
        for row in range(n):
            one = bind(primitive, [a[row] if b else a for a, b in zip(stacked, batched)], params, device).numpy()
            # the same sums may be taken in another order
            np.testing.assert_allclose(out[row], one, rtol=1e-12, atol=1e-12)


@every_differentiable
def test_second_derivatives_are_finite_differences_of_first(primitive, index, device):
    arrays, params = sample(primitive, index, device)
    i = floating(arrays)[0]
    direction = np.random.default_rng(4).normal(size=arrays[i].shape)

    def slope(x):
        tensors = [pg.Tensor(x if j == i else a, device=device) for j, a in enumerate(arrays)]
        y = primitive(*tensors, **params) if primitive.name != "transfer" else tensors[0].to(params["device"])
        (g,) = pg.grads([tensors[i]], (y * y).sum())
        return tensors[i], g

    x, g = slope(arrays[i])
    (second,) = pg.grads([x], (g * pg.Tensor(direction, device=device)).sum())
    h = 1e-6
    ends = [slope(arrays[i] + s * h * direction)[1].numpy() for s in (1, -1)]
    np.testing.assert_allclose(second.numpy(), (ends[0] - ends[1]) / (2 * h), rtol=1e-5, atol=1e-6)
