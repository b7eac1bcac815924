"""Every rule of every primitive, checked on the primitive's own samples.

A primitive whose operands must have some form says how to make others: `vary(rng, i, array)` gives another value of
operand i, `direction(rng, i, array)` a direction in which it may move. `gauge(outs)` maps results that are only
determined up to something (the signs of eigenvectors) to what is determined. `without_derivative` names operands that
have none, `once_only` those whose derivative has none with respect to them.
"""

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
    if hasattr(primitive.rules, "samples")
    for i, _ in enumerate(primitive.samples(np.random.default_rng(0)))
]
every_sample = pytest.mark.parametrize("primitive, index", SAMPLES)

PRECISE = (np.float64, np.complex128)  # results that finite differences can be compared with


def has_derivative(primitive, index):
    """True for samples with an inexact operand and a precise result: those with a derivative to compare."""
    arrays, params = list(primitive.samples(np.random.default_rng(0)))[index]
    if primitive.name == "stop_gradient" or not any(np.asarray(a).dtype.kind in "fc" for a in arrays):
        return False
    return any(out.dtype in PRECISE for out in bind(primitive, [np.asarray(a) for a in arrays], params, pg.device.cpu))


def sample(primitive, index, device):
    """The arrays and parameters of a sample; parameters that name a device name the one under test."""
    arrays, params = list(primitive.samples(np.random.default_rng(0)))[index]
    if "dtype" in params:
        params = dict(params, dtype=np.dtype(params["dtype"]))
    if "device" in params and primitive.name != "transfer":
        params = dict(params, device=device)
    return [np.asarray(a) for a in arrays], params


def apply(primitive, tensors, params):
    """The results, a list."""
    if primitive.name == "transfer":
        return [tensors[0].to(params["device"])]
    outs = primitive(*tensors, **params)
    return list(outs) if isinstance(outs, tuple) else [outs]


def bind(primitive, arrays, params, device):
    return apply(primitive, [pg.Tensor(a, device=device) for a in arrays], params)


every_differentiable = pytest.mark.parametrize("primitive, index", [s for s in SAMPLES if has_derivative(*s.values)])


def inexact(primitive, arrays):
    """Operands that may move."""
    fixed = getattr(primitive.rules, "without_derivative", ())
    return [i for i, a in enumerate(arrays) if a.dtype.kind in "fc" and i not in fixed]


def vary(primitive, rng, i, array):
    if hasattr(primitive.rules, "vary"):
        return primitive.vary(rng, i, array)
    return rng.permutation(array.ravel()).reshape(array.shape)


def direction(primitive, rng, i, array):
    if hasattr(primitive.rules, "direction"):
        return primitive.direction(rng, i, array)
    return normal(rng, array)


def normal(rng, like):
    """Random numbers of the shape and kind, real or complex, of `like`."""
    x = rng.normal(size=like.shape)
    return x + 1j * rng.normal(size=like.shape) if like.dtype.kind == "c" else x


def determined(primitive, outs):
    """The results, without what is arbitrary in them."""
    return primitive.gauge(*outs) if hasattr(primitive.rules, "gauge") else outs


def jvp(primitive, arrays, tangents, params, device):
    """The tangents that the jvp rule gives, as arrays (zeros for None)."""
    primals = [pg.Tensor(a, device=device) for a in arrays]
    outs = apply(primitive, primals, params)
    given = [None if t is None else pg.Tensor(t, device=device) for t in tangents]
    found = call_jvp(primitive, primals, given, outs, params)
    return [np.zeros(out.shape, out.dtype) if t is None else t.numpy() for t, out in zip(found, outs)]


def call_jvp(primitive, primals, tangents, outs, params):
    several = type(outs[0]._node.spec.primitive) is type and outs[0]._node.spec.primitive.__name__ == "output"
    found = primitive.jvp(primals, tangents, tuple(outs) if several else outs[0], **params)
    if found is None:
        return [None] * len(outs)
    return list(found) if several else [found]


@every_sample
def test_infer_predicts_the_value(primitive, index, device):
    arrays, params = sample(primitive, index, device)
    for out in bind(primitive, arrays, params, device):
        value = out.numpy()
        assert value.shape == out.shape
        assert value.dtype == out.dtype


@every_differentiable
def test_jvp_is_the_finite_difference(primitive, index, device):
    arrays, params = sample(primitive, index, device)
    rng, h = np.random.default_rng(1), 1e-6
    for i in inexact(primitive, arrays):
        step = direction(primitive, rng, i, arrays[i])
        ends = []
        for sign in (1, -1):
            moved = list(arrays)
            moved[i] = arrays[i] + sign * h * step
            ends.append(determined(primitive, [out.numpy() for out in bind(primitive, moved, params, device)]))
        tangents = [step if j == i else None for j in range(len(arrays))]
        found = jvp(primitive, arrays, tangents, params, device)
        if hasattr(primitive.rules, "gauge"):  # the tangent of what is determined, by the same differences
            outs = [out.numpy() for out in bind(primitive, arrays, params, device)]
            moved = [determined(primitive, [o + s * h * t for o, t in zip(outs, found)]) for s in (1, -1)]
            found = [(high - low) / (2 * h) for high, low in zip(*moved)]
        for tangent, high, low in zip(found, *ends):
            if high.dtype in PRECISE:
                # central differences in float64: h**2 * third derivative + eps / h is about 1e-9 for values around 1
                np.testing.assert_allclose(tangent, (high - low) / (2 * h), rtol=1e-6, atol=1e-7)


@every_differentiable
def test_reverse_is_the_transpose_of_forward(primitive, index, device):
    """Re <J dx, ct> == Re <dx, J^T ct> (bilinear) with the cotangents that grads() computes."""
    arrays, params = sample(primitive, index, device)
    rng = np.random.default_rng(2)
    tensors = [pg.Tensor(a, device=device) for a in arrays]
    outs = apply(primitive, tensors, params)
    cts = [normal(rng, out) if out.dtype in PRECISE else None for out in outs]
    wrt = [tensors[i] for i in inexact(primitive, arrays)]
    total = None
    for out, ct in zip(outs, cts):
        if ct is not None:
            parts = pg.grads(wrt, out, pg.Tensor(ct, device=out.device))
            total = [a.numpy() + (0 if total is None else total[k]) for k, a in enumerate(parts)]
    for i, g in zip(inexact(primitive, arrays), total):
        dx = direction(primitive, rng, i, arrays[i])
        tangents = jvp(primitive, arrays, [dx if j == i else None for j in range(len(arrays))], params, device)
        assert g.shape == arrays[i].shape
        forward = sum(np.sum(t * ct).real for t, ct in zip(tangents, cts) if ct is not None)
        assert forward == pytest.approx(np.sum(dx * g).real, rel=1e-10, abs=1e-11)


@every_sample
def test_transpose_rule_exists_where_jvp_needs_it(primitive, index, device):
    """The tangent of every sample is a graph of primitives that can be transposed."""
    arrays, params = sample(primitive, index, device)
    for i in inexact(primitive, arrays):
        tensors = [pg.Tensor(a, device=device) for a in arrays]
        tangent = placeholder_node(tensors[i]._node.aval, LINEAR)
        outs = apply(primitive, tensors, params)
        given = [wrap(tangent) if j == i else None for j in range(len(arrays))]
        for found in call_jvp(primitive, tensors, given, outs, params):
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
            np.stack([vary(primitive, rng, i, a) for _ in range(n)]) if b else a
            for i, (a, b) in enumerate(zip(arrays, batched))
        ]
        outs = primitive.batch([pg.Tensor(a, device=device) for a in stacked], batched, **params)
        outs = [out.numpy() for out in (outs if isinstance(outs, tuple) else (outs,))]
        for row in range(n):
            one = bind(primitive, [a[row] if b else a for a, b in zip(stacked, batched)], params, device)
            one = determined(primitive, [out.numpy() for out in one])
            for whole, single in zip(determined(primitive, [out[row] for out in outs]), one):
                # the same sums may be taken in another order
                np.testing.assert_allclose(whole, single, rtol=1e-12, atol=1e-12)


@every_differentiable
def test_second_derivatives_are_finite_differences_of_first(primitive, index, device):
    arrays, params = sample(primitive, index, device)
    twice = [i for i in inexact(primitive, arrays) if i not in getattr(primitive.rules, "once_only", ())]
    if not twice:
        return  # its rules say that it has derivatives of first order only
    i = twice[0]
    rng = np.random.default_rng(4)
    step = direction(primitive, rng, i, arrays[i])

    def slope(x):
        tensors = [pg.Tensor(x if j == i else a, device=device) for j, a in enumerate(arrays)]
        outs = [y for y in apply(primitive, tensors, params) if y.dtype in PRECISE]
        value = None
        for k, y in enumerate(outs):
            term = (y * y).sum() * (k + 1.0)
            value = term if value is None else value + term
        (g,) = pg.grads([tensors[i]], value, np.ones((), value.dtype))
        return tensors[i], g

    x, g = slope(arrays[i])
    total = (g * pg.Tensor(step, device=device)).sum()
    (second,) = pg.grads([x], total, np.ones((), total.dtype))
    h = 1e-6
    ends = [slope(arrays[i] + s * h * step)[1].numpy() for s in (1, -1)]
    np.testing.assert_allclose(second.numpy(), (ends[0] - ends[1]) / (2 * h), rtol=1e-5, atol=1e-6)
