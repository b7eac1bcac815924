"""Convolutions against JAX (any layout, dilation, groups), PyTorch (its own functions) and loops in NumPy (the kernel)."""

import itertools
import math
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from conftest import FULL
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jax import lax
from kernels import LAYOUTS, lay_out, numpy_dtype, run_kernel, value_of

import pequegrad as pg
from pequegrad.core.errors import ArgumentError, DtypeError, ShapeError

F = torch.nn.functional


def generated(normal, full):
    return settings(
        max_examples=full if FULL else normal, deadline=None, database=None, derandomize=not FULL,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip


# ---- any convolution of XLA --------------------------------------------------------------------------


@st.composite
def convolutions(draw, largest=3):
    """Shapes and parameters in jax.lax's terms; the kernel may stand beside x altogether, and the batch be empty."""
    n = draw(st.integers(0, largest))
    each = lambda low, high: [draw(st.integers(low, high)) for _ in range(n)]
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    feature_groups, batch_groups = draw(st.sampled_from([(groups, 1), (1, groups)]))
    sizes, window, x_dilation = each(1, 9 if n < 3 else 5), each(1, 4), each(1, 3)
    padding = [
        (low, max(high, -low - (size - 1) * d - 1))
        for low, high, size, d in zip(each(-2, 4), each(-2, 4), sizes, x_dilation)
    ]
    x = [draw(st.integers(0, 3)) * batch_groups, draw(st.integers(1, 5)) * feature_groups, *sizes]
    w = [draw(st.integers(1, 7)) * groups, x[1] // feature_groups, *window]
    orders = [draw(st.permutations(range(n + 2))) for _ in range(3)]
    params = {
        "window_strides": tuple(each(1, 3)), "padding": padding, "lhs_dilation": tuple(x_dilation),
        "rhs_dilation": tuple(each(1, 3)), "feature_group_count": feature_groups, "batch_group_count": batch_groups,
        "dimension_numbers": lax.ConvDimensionNumbers(*map(tuple, orders)),
    }  # fmt: skip
    place = lambda order, sizes: [sizes[order.index(a)] for a in range(n + 2)]
    return place(orders[0], x), place(orders[1], w), params


def check_derivatives(device, mine, theirs, arrays, rng, tolerance):
    """Forward and reverse mode of both agree."""
    tensors = [pg.Tensor(a, dtype=a.dtype, device=device) for a in arrays]
    steps = tuple(rng.normal(size=a.shape) for a in arrays)
    out, tangent = jax.jvp(theirs, arrays, steps)
    ct = rng.normal(size=out.shape)
    found = mine(*tensors)
    assert found.shape == out.shape
    np.testing.assert_allclose(found.numpy(), out, **tolerance)
    inner = lambda a: pg.Tensor(a, dtype=np.float64, device=device)
    _, moved = pg.jvp(mine, tuple(tensors), tuple(map(inner, steps)))
    np.testing.assert_allclose(moved.numpy(), tangent, **tolerance)
    for g, expected in zip(pg.grads(tensors, found, inner(ct)), jax.vjp(theirs, *arrays)[1](jnp.asarray(ct))):
        np.testing.assert_allclose(g.numpy(), expected, **tolerance)


@generated(14, 400)
@given(convolutions(), st.integers(0, 2**32 - 1))
def test_forward_agrees_with_jax(device, problem, seed):
    x_shape, w_shape, params = problem
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=x_shape), rng.normal(size=w_shape)
    with jax.enable_x64(True):
        expected = np.asarray(lax.conv_general_dilated(x, w, **params))
    to = lambda a: pg.Tensor(a, dtype=np.float64, device=device)
    found = pg.conv_general_dilated(to(x), to(w), **params).numpy()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


@generated(5, 150)
@given(convolutions(largest=2), st.integers(0, 2**32 - 1))
def test_derivatives_agree_with_jax(device, problem, seed):
    x_shape, w_shape, params = problem
    rng = np.random.default_rng(seed)
    arrays = rng.normal(size=x_shape), rng.normal(size=w_shape)
    with jax.enable_x64(True):
        check_derivatives(
            device, lambda x, w: pg.conv_general_dilated(x, w, **params),
            lambda x, w: lax.conv_general_dilated(x, w, **params), arrays, rng, {"rtol": 1e-10, "atol": 1e-10},
        )  # fmt: skip


@generated(10, 300)
@given(convolutions(), st.integers(0, 2**32 - 1), st.sampled_from(["complex64", "complex128"]))
def test_complex_numbers(device, problem, seed, dtype):
    """The products of real and imaginary parts that JAX gives, added up."""
    x_shape, w_shape, params = problem
    rng = np.random.default_rng(seed)
    x, w = ((rng.normal(size=s) + 1j * rng.normal(size=s)).astype(dtype) for s in (x_shape, w_shape))
    to = lambda a: pg.Tensor(a, dtype=a.dtype, device=device)
    found = pg.conv_general_dilated(to(x), to(w), **params)
    with jax.enable_x64(True):
        conv = lambda x, w: np.asarray(lax.conv_general_dilated(x.copy(), w.copy(), **params))
        expected = conv(x.real, w.real) - conv(x.imag, w.imag) + 1j * (conv(x.real, w.imag) + conv(x.imag, w.real))
    assert found.dtype.name == dtype and found.shape == expected.shape
    np.testing.assert_allclose(
        found.numpy(), expected, **dict.fromkeys(("rtol", "atol"), 2e-5 if dtype == "complex64" else 1e-11)
    )
    with pytest.raises(DtypeError, match="imaginary"):
        pg.conv_general_dilated(to(x), to(w), **params, preferred_element_type="float32")


@pytest.mark.parametrize("padding", ["SAME", "SAME_LOWER", "VALID", [(1, 2), (0, -1)]])
@pytest.mark.parametrize("layout", [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NHWC"), None])
def test_words_and_layouts_of_jax(tensor, rng, padding, layout):
    x, w = rng.normal(size=(2, 4, 7, 5)).astype("f4"), rng.normal(size=(3, 4, 3, 2)).astype("f4")
    if layout and layout[0] == "NHWC":
        x, w = x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0)
    params = {"rhs_dilation": (1, 2), "dimension_numbers": layout}
    expected = lax.conv_general_dilated(x, w, (2, 1), padding, **params)
    found = pg.conv_general_dilated(tensor(x), tensor(w), (2, 1), padding, **params)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_accumulation_in_another_dtype(tensor, rng):
    for dtype, wide in (("float16", "float32"), ("bfloat16", "float32"), ("int8", "int32")):
        dtype = numpy_dtype(dtype)
        x, w = (rng.integers(-9, 9, shape).astype(dtype) for shape in ((1, 40, 6), (8, 40, 3)))
        found = pg.conv_general_dilated(tensor(x, dtype), tensor(w, dtype), 1, "VALID", preferred_element_type=wide)
        exact = lax.conv_general_dilated(x.astype("f4"), w.astype("f4"), (1,), "VALID")
        assert found.dtype.name == wide
        np.testing.assert_array_equal(found.numpy(), exact)


# ---- the functions of PyTorch ------------------------------------------------------------------------


@st.composite
def torch_convolutions(draw):
    n = draw(st.integers(1, 3))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(n))
    groups = draw(st.sampled_from([1, 1, 2, 4]))
    window, dilation = each(1, 4), each(1, 2)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation)]
    sizes = tuple(r + draw(st.integers(0, 6)) for r in reach)
    params = {"stride": each(1, 3), "padding": each(0, 2), "dilation": dilation, "groups": groups}
    batch = draw(st.sampled_from([(), (1,), (3,), (0,)]))
    shapes = (*batch, draw(st.integers(1, 3)) * groups, *sizes), draw(st.integers(1, 7)), window
    return n, shapes, params, draw(st.booleans()), draw(st.booleans())


def last(array, n, kernel=False):
    """Channels last: of an array with or without batch, or (out, in, space) -> (space, in, out) of a kernel."""
    if kernel:
        return array.transpose(*range(2, n + 2), 1, 0)
    return np.moveaxis(array, -n - 1, -1)


def compare(device, mine, theirs, arrays, rng, convert=lambda arrays: arrays, back=lambda a: a):
    """Value and gradients; `convert` and `back` change the layout for `mine`. Arrays that are None are left out."""
    inputs = [None if a is None else torch.tensor(a, requires_grad=True) for a in arrays]
    expected = theirs(*inputs)
    tensors = [None if a is None else pg.Tensor(a, dtype=a.dtype, device=device) for a in convert(arrays)]
    found = mine(*tensors)
    np.testing.assert_allclose(back(found.numpy()), expected.detach().numpy(), rtol=1e-10, atol=1e-10)
    ct = rng.normal(size=expected.shape)
    known = [i for i, a in enumerate(arrays) if a is not None]
    wanted = torch.autograd.grad(expected, [inputs[i] for i in known], torch.tensor(ct))
    (ct,) = convert([ct])
    got = pg.grads([tensors[i] for i in known], found, pg.Tensor(ct, dtype=np.float64, device=device))
    wanted = [np.asarray(g) for g in convert([g.numpy() for g in wanted])]
    for g, expected in zip(got, wanted):
        np.testing.assert_allclose(g.numpy(), expected, rtol=1e-9, atol=1e-9)


@generated(60, 2000)
@given(torch_convolutions(), st.integers(0, 2**32 - 1))
def test_conv_agrees_with_torch(device, problem, seed):
    n, (shape, outputs, window), params, with_bias, channels_last = problem
    rng, groups = np.random.default_rng(seed), params["groups"]
    w = rng.normal(size=(outputs * groups, shape[-n - 1] // groups, *window))
    arrays = [rng.normal(size=shape), w, rng.normal(size=outputs * groups) if with_bias else None]
    turn = lambda arrays: [
        a if not channels_last or a is None or a.ndim == 1 else last(a, n, kernel=i == 1) for i, a in enumerate(arrays)
    ]
    back = lambda a: np.moveaxis(a, -1, -n - 1) if channels_last else a
    data_format = f"N{'DHW'[3 - n :]}C" if channels_last else None
    mine = lambda x, w, b: getattr(pg, f"conv{n}d")(x, w, b, data_format=data_format, **params)
    compare(device, mine, lambda x, w, b: getattr(F, f"conv{n}d")(x, w, b, **params), arrays, rng, turn, back)


@generated(60, 2000)
@given(torch_convolutions(), st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_conv_transpose_agrees_with_torch(device, problem, seed, more):
    n, (shape, outputs, window), params, with_bias, channels_last = problem
    if shape[0] == 0 and len(shape) == n + 2:
        shape = (1, *shape[1:])  # PyTorch cannot transpose an empty batch with groups
    rng, groups = np.random.default_rng(seed), params["groups"]
    extra = tuple(min(more, max(s, d) - 1) for s, d in zip(params["stride"], params["dilation"]))
    reach = zip(shape[-n:], params["stride"], params["padding"], params["dilation"], window, extra)
    assume(all((m - 1) * s - 2 * p + d * (k - 1) + e >= 0 for m, s, p, d, k, e in reach))  # there is an output
    w = rng.normal(size=(shape[-n - 1], outputs, *window))
    arrays = [rng.normal(size=shape), w, rng.normal(size=outputs * groups) if with_bias else None]
    swap = lambda w: w.transpose(*range(2, n + 2), 0, 1)
    turn = lambda arrays: [
        a if not channels_last or a is None or a.ndim == 1 else swap(a) if i == 1 else last(a, n)
        for i, a in enumerate(arrays)
    ]
    back = lambda a: np.moveaxis(a, -1, -n - 1) if channels_last else a
    data_format = f"N{'DHW'[3 - n :]}C" if channels_last else None
    mine = lambda x, w, b: getattr(pg, f"conv_transpose{n}d")(
        x, w, b, output_padding=extra, data_format=data_format, **params
    )
    theirs = lambda x, w, b: getattr(F, f"conv_transpose{n}d")(x, w, b, output_padding=extra, **params)
    compare(device, mine, theirs, arrays, rng, turn, back)


def test_same_padding_is_torchs(tensor, rng):
    x, w = rng.normal(size=(2, 3, 8, 9)), rng.normal(size=(4, 3, 2, 5))
    expected = F.conv2d(torch.tensor(x), torch.tensor(w), padding="same", dilation=(2, 1))
    found = pg.conv2d(tensor(x, "float64"), tensor(w, "float64"), padding="same", dilation=(2, 1))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11, atol=1e-11)


def test_depthwise_and_separable(device, rng):
    x, w, mixing, bias = (rng.normal(size=s) for s in ((2, 3, 6, 5), (6, 1, 3, 3), (4, 6, 1, 1), (4,)))
    compare(
        device,
        lambda x, w: pg.depthwise_conv2d(x, w, padding=1),
        lambda x, w: F.conv2d(x, w, padding=1, groups=3),
        [x, w],
        rng,
    )
    theirs = lambda x, w, m, b: F.conv2d(F.conv2d(x, w, stride=2, groups=3), m, b)
    compare(device, lambda x, w, m, b: pg.separable_conv2d(x, w, m, b, stride=2), theirs, [x, w, mixing, bias], rng)
    turned = pg.depthwise_conv2d(
        *[pg.Tensor(a, dtype=np.float64, device=device) for a in (last(x, 2), last(w, 2, kernel=True))],
        data_format="NHWC",
    )
    np.testing.assert_allclose(
        np.moveaxis(turned.numpy(), -1, 1), F.conv2d(torch.tensor(x), torch.tensor(w), groups=3), rtol=1e-11, atol=1e-11
    )


# ---- im2col ------------------------------------------------------------------------------------------


@generated(40, 1000)
@given(torch_convolutions(), st.integers(0, 2**32 - 1))
def test_unfold_and_fold_agree_with_torch(device, problem, seed):
    """In two dimensions with PyTorch; in others, and for fold, as a convolution with its columns and as the transpose."""
    n, (shape, _, window), params, _, _ = problem
    shape = (2, *shape[-n - 1 :])
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    params = {k: params[k] for k in ("stride", "padding", "dilation")}
    t = pg.Tensor(x, dtype=np.float64, device=device)
    columns = pg.unfold(t, window, **params)
    if n == 2:
        compare(device, lambda x: pg.unfold(x, window, **params), lambda x: F.unfold(x, window, **params), [x], rng)
        c = rng.normal(size=columns.shape)
        compare(
            device, lambda c: pg.fold(c, shape[2:], window, **params), lambda c: F.fold(c, shape[2:], window, **params),
            [c], rng,
        )  # fmt: skip
    w = rng.normal(size=(4, shape[1], *window))
    product = np.einsum("ok,nkl->nol", w.reshape(4, -1), columns.numpy())
    expected = getattr(F, f"conv{n}d")(torch.tensor(x), torch.tensor(w), **params).numpy()
    np.testing.assert_allclose(product.reshape(expected.shape), expected, rtol=1e-10, atol=1e-10)
    c = rng.normal(size=columns.shape)
    folded = pg.fold(pg.Tensor(c, dtype=np.float64, device=device), shape[2:], window, **params)
    assert folded.shape == shape
    assert np.sum(c * columns.numpy()) == pytest.approx(np.sum(x * folded.numpy()), rel=1e-9, abs=1e-9)


# ---- the kernel --------------------------------------------------------------------------------------


def reference(x, w, stride, padding, x_dilation, w_dilation, groups=1):
    """A loop over the places of the window; channels first, exact in Python integers or float64."""
    spread = np.zeros([*x.shape[:2], *((s - 1) * d + 1 for s, d in zip(x.shape[2:], x_dilation))], x.dtype)
    spread[(slice(None), slice(None), *(slice(None, None, d) for d in x_dilation))] = x
    low, high = [max(a, 0) for a, _ in padding], [max(b, 0) for _, b in padding]
    spread = np.pad(spread, [(0, 0), (0, 0), *zip(low, high)])
    cut = [slice(max(-a, 0), spread.shape[2 + i] - max(-b, 0)) for i, (a, b) in enumerate(padding)]
    spread = spread[(slice(None), slice(None), *cut)]
    sizes = [(m - (k - 1) * d - 1) // s + 1 for m, k, d, s in zip(spread.shape[2:], w.shape[2:], w_dilation, stride)]
    parts = []
    for g in range(groups):
        xs = spread[:, g * w.shape[1] : (g + 1) * w.shape[1]]
        ws = w[g * w.shape[0] // groups : (g + 1) * w.shape[0] // groups]
        total = np.zeros((x.shape[0], ws.shape[0], *sizes), x.dtype)
        for k in itertools.product(*map(range, w.shape[2:])):
            window = [slice(i * d, i * d + (m - 1) * s + 1, s) for i, d, m, s in zip(k, w_dilation, sizes, stride)]
            total += np.einsum(
                "nc...,oc->no...", xs[(slice(None), slice(None), *window)], ws[(slice(None), slice(None), *k)]
            )
        parts.append(total)
    return np.concatenate(parts, 1)


def kernel_params(n, stride, padding, x_dilation, w_dilation, groups=1):
    spatial = [v for s, p, a, b in zip(stride, padding, x_dilation, w_dilation) for v in (s, *p, a, b)]
    return [groups, 1, *range(n + 2), *range(n + 2), *range(n + 2), *spatial]


INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
PROBLEM = {"stride": (2, 1), "padding": ((1, 2), (-1, 1)), "x_dilation": (1, 2), "w_dilation": (1, 2)}


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dtype", [*INTEGERS, "float16", "bfloat16", "float32", "float64"])
def test_kernel_in_every_dtype_and_layout(device, rng, dtype, groups):
    """Small integers, so that every sum is exact in all dtypes; integers wrap around."""
    kind = numpy_dtype(dtype)
    exact = kind if dtype in INTEGERS else np.float64
    x, w = (
        rng.integers(0, 100 if dtype in INTEGERS else 3, s).astype(kind)
        for s in ((2, 4, 9, 8), (16, 4 // groups, 3, 2))
    )
    for x_layout, w_layout in zip(LAYOUTS, LAYOUTS[1:] + LAYOUTS[:1]):
        xs, ws = lay_out(x, x_layout), lay_out(w, w_layout)
        with np.errstate(over="ignore"):
            expected = reference(value_of(xs).astype(exact), value_of(ws).astype(exact), groups=groups, **PROBLEM)
        found = run_kernel(
            device, "conv", xs, ws, params=kernel_params(2, groups=groups, **PROBLEM), out=(expected.shape, kind)
        )
        np.testing.assert_array_equal(found.astype(exact), expected)


SHAPES = {  # name: x, w, groups: one for each way that the kernel has
    "product": ((2, 20, 12, 11), (30, 20, 3, 3), 1),
    "many rows": ((1, 5, 3, 3), (150, 5, 1, 1), 1),
    "long sums": ((1, 9, 60, 60), (7, 9, 57, 57), 1),
    "deep": ((4, 300, 5, 5), (13, 300, 3, 3), 1),
    "depthwise": ((2, 7, 20, 37), (7, 1, 3, 3), 7),
    "few features": ((2, 9, 8, 19), (2, 9, 3, 3), 1),
    "narrow": ((3, 4, 9, 3), (1, 4, 3, 2), 1),
    "row of a kernel": ((1, 3, 2, 90), (3, 1, 2, 88), 3),
    "slices of the batch": ((40, 16, 40, 40), (8, 16, 3, 3), 1),
    "grouped": ((2, 12, 9, 17), (20, 3, 2, 3), 4),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_kernel_for_every_kind_of_shape(device, rng, name, dtype):
    x_shape, w_shape, groups = SHAPES[name]
    x, w = (rng.normal(size=s).astype(dtype) for s in (x_shape, w_shape))
    params = {"stride": (1, 1), "padding": ((1, 1), (1, 0)), "x_dilation": (1, 1), "w_dilation": (1, 1)}
    wide = lambda a: torch.tensor(
        np.pad(a.astype("f8"), ((0, 0), (0, 0), (1, 1), (1, 0))) if a is x else a.astype("f8")
    )
    expected = F.conv2d(wide(x), wide(w), groups=groups).numpy()
    found = run_kernel(
        device, "conv", x, w, params=kernel_params(2, groups=groups, **params), out=(expected.shape, np.dtype(dtype))
    )
    terms = math.prod(w_shape[1:])
    unit = {"float16": 2**-11, "float32": 2**-24, "float64": 2**-53}[dtype]
    # sums are in float32 for float16, which is rounded at the end; errors of sums grow more slowly than their length
    margin = 4 * math.sqrt(terms) * max(unit, 0 if dtype == "float64" else 2**-24)
    np.testing.assert_allclose(
        found.astype("f8"), expected, rtol=2 * unit, atol=margin * math.sqrt(terms) / (1 if dtype != "float16" else 256)
    )


def test_same_bits_for_any_number_of_threads(tmp_path):
    """The work is cut by shape alone."""
    code = (
        "import numpy as np, pequegrad as pg, hashlib\n"
        "rng, digest = np.random.default_rng(0), hashlib.sha256()\n"
        f"for x, w, groups in {list(SHAPES.values())!r}:\n"
        "    x, w = (pg.Tensor(rng.normal(size=s).astype('f4')) for s in (x, w))\n"
        "    y = pg.conv2d(x, w, padding=1, groups=groups)\n"
        "    for out in (y, *pg.grads([x, w], (y * y).sum()), pg.max_pool2d(y, 2, 1), pg.avg_pool2d(y, 2, 1)):\n"
        "        digest.update(out.numpy().tobytes())\n"
        "print(digest.hexdigest())\n"
    )
    digests = set()
    for threads in ("1", "2", "5"):
        environment = {
            **os.environ,
            "PG_NUM_THREADS": threads,
            "PYTHONPATH": os.path.dirname(os.path.dirname(pg.__file__)),
        }
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
        )
        digests.add(run.stdout)
    assert len(digests) == 1


# ---- transforms, boundary shapes, bad input ----------------------------------------------------------


def test_vmap_of_gradients_is_a_loop(tensor, rng):
    x, w = rng.normal(size=(3, 2, 4, 5, 5)), rng.normal(size=(3, 6, 2, 3, 3))
    f = lambda x, w: (pg.conv2d(x, w, stride=2, padding=1, groups=2) ** 2).sum()
    gradient = pg.grad(f, (0, 1))
    both = pg.vmap(gradient)(tensor(x, "float64"), tensor(w, "float64"))
    for i in range(3):
        single = gradient(tensor(x[i], "float64"), tensor(w[i], "float64"))
        for many, one in zip(both, single):
            np.testing.assert_allclose(many[i].numpy(), one.numpy(), rtol=1e-11, atol=1e-11)


def test_jit_gives_the_same(tensor, rng):
    x, w = tensor(rng.normal(size=(2, 3, 8, 8)).astype("f4")), tensor(rng.normal(size=(4, 3, 3, 3)).astype("f4"))
    f = lambda x, w: pg.max_pool2d(pg.conv2d(x, w, padding="same").relu(), 2).sum()
    # the sum is part of a generated kernel, which adds in another order
    np.testing.assert_allclose(pg.jit(f)(x, w).numpy(), f(x, w).numpy(), rtol=1e-6)
    for a, b in zip(pg.jit(pg.grad(f, (0, 1)))(x, w), pg.grad(f, (0, 1))(x, w)):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("x, w, shape", [
    ((0, 3, 5), (2, 3, 3), (0, 2, 3)), ((2, 0, 5), (2, 0, 3), (2, 2, 3)), ((2, 3, 5), (0, 3, 3), (2, 0, 3)),
    ((2, 3, 2), (4, 3, 3), (2, 4, 0)), ((2, 3, 1), (4, 3, 1), (2, 4, 1)),
])  # fmt: skip
def test_sizes_of_0_and_1(tensor, rng, x, w, shape):
    x, w = tensor(rng.normal(size=x), "float64"), tensor(rng.normal(size=w), "float64")
    y = pg.conv1d(x, w)
    assert y.shape == shape
    assert not (y.numpy().any() and not x.size)
    for t, g in zip((x, w), pg.grads([x, w], (y * y).sum())):
        assert g.shape == t.shape
        assert g.numpy().any() == (y.size > 0 and x.size > 0 and w.size > 0)


def test_nan_reaches_only_what_its_windows_cover(tensor, rng):
    x = rng.normal(size=(1, 1, 9)).astype("f4")
    x[0, 0, 4] = np.nan
    y = pg.conv1d(tensor(x), tensor(np.ones((8, 1, 3), "f4")), padding=1).numpy()
    assert np.isnan(y[0, :, 3:6]).all()
    assert np.isfinite(y[0, :, :3]).all()
    assert np.isfinite(y[0, :, 6:]).all()


@pytest.mark.parametrize("error, words, call", [
    (ShapeError, "float32[2,3,8,8]; float32[4,5,3,3]; fix", lambda z: pg.conv2d(z(2, 3, 8, 8), z(4, 5, 3, 3))),
    (ShapeError, "in each of 2 groups", lambda z: pg.conv2d(z(2, 4, 8, 8), z(4, 4, 3, 3), groups=2)),
    (ShapeError, "do not divide into 2 groups", lambda z: pg.conv2d(z(2, 4, 8, 8), z(3, 2, 3, 3), groups=2)),
    (ShapeError, "needs 4 axes", lambda z: pg.conv2d(z(8, 8), z(4, 5, 3, 3))),
    (ShapeError, "kernel w float32[5,3,3] needs 4 axes", lambda z: pg.conv2d(z(2, 3, 8, 8), z(5, 3, 3))),
    (ShapeError, "must have shape [4]", lambda z: pg.conv2d(z(2, 3, 8, 8), z(4, 3, 3, 3), z(3))),
    (ShapeError, "removes more", lambda z: pg.conv1d(z(2, 3, 4), z(4, 3, 3), padding=((-3, -3),))),
    (ArgumentError, "stride (1, 2, 3)", lambda z: pg.conv2d(z(2, 3, 8, 8), z(4, 3, 3, 3), stride=(1, 2, 3))),
    (ArgumentError, "stride 0 is below 1", lambda z: pg.conv2d(z(2, 3, 8, 8), z(4, 3, 3, 3), stride=0)),
    (ArgumentError, "padding 'full'", lambda z: pg.conv2d(z(2, 3, 8, 8), z(4, 3, 3, 3), padding="full")),
    (ArgumentError, "padding (1, 2, 3)", lambda z: pg.conv2d(z(2, 3, 8, 8), z(4, 3, 3, 3), padding=(1, 2, 3))),
    (ArgumentError, "data_format 'NCWH'", lambda z: pg.conv2d(z(2, 3, 8, 8), z(4, 3, 3, 3), data_format="NCWH")),
    (ArgumentError, "output_padding", lambda z: pg.conv_transpose1d(z(2, 3, 8), z(3, 4, 3), output_padding=1)),
    (ShapeError, "float32[2,3,8]; float32[4,3,3]", lambda z: pg.conv_transpose1d(z(2, 3, 8), z(4, 3, 3))),
    (ArgumentError, "layouts", lambda z: pg.conv_general_dilated(z(2, 3, 8), z(4, 3, 3), 1, 0, dimension_numbers=("NCH", "OIW", "NCH"))),
    (ArgumentError, "with lhs_dilation", lambda z: pg.conv_general_dilated(z(2, 3, 8), z(4, 3, 3), 1, "SAME", lhs_dilation=2)),
    (DtypeError, "bool", lambda z: pg.conv1d(z(2, 3, 8) > 0, z(4, 3, 3) > 0)),
    (ShapeError, "fold", lambda z: pg.fold(z(2, 9, 5), (4, 4), 3)),
    (ShapeError, "does not fit axis 2", lambda z: pg.unfold(z(2, 3, 2), 3)),
])  # fmt: skip
def test_bad_input(device, error, words, call):
    with pytest.raises(error) as raised:
        call(lambda *shape: pg.zeros(shape, device=device))
    for word in words.split("; "):
        assert word in str(raised.value)
