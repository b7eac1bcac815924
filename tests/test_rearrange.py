"""Array functions, statistics and images: dtypes, empty and single arrays, generated cases, derivatives at ties, errors."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import FULL
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import pequegrad as pg

EXAMPLES = 400 if FULL else 60


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data(), array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
def test_generated_shapes(device, data, shape):
    x = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    t = pg.Tensor(x, device=device)
    same = lambda ours, theirs: np.testing.assert_array_equal(ours.numpy(), theirs, strict=True)
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    counts = tuple(data.draw(st.lists(st.integers(0, 3), max_size=4)))
    same(pg.tile(t, counts), np.tile(x, counts))
    repeats = data.draw(st.lists(st.integers(0, 2), min_size=shape[axis], max_size=shape[axis]) | st.integers(0, 3))
    if repeats != []:
        same(pg.repeat(t, repeats, axis), np.repeat(x, repeats, axis))
    shifts = data.draw(st.lists(st.integers(-9, 9), min_size=x.ndim, max_size=x.ndim))
    same(pg.roll(t, tuple(shifts), tuple(range(x.ndim))), np.roll(x, shifts, range(x.ndim)))
    same(pg.roll(t, shifts[0]), np.roll(x, shifts[0]))
    n = data.draw(st.integers(0, 4))
    same(pg.diff(t, n, axis), np.diff(x, n, axis))
    if x.ndim > 1:
        same(pg.rot90(t, shifts[0], (0, -1)), np.rot90(x, shifts[0], (0, -1)))
    if shape[axis]:
        i = np.array(data.draw(st.lists(st.integers(-shape[axis], shape[axis] - 1), max_size=4)), np.int64).reshape(
            -1, 1
        )
        same(pg.take(t, i, axis), np.take(x, i, axis))
    parts = pg.chunk(t, 3, axis)
    same(pg.concatenate(parts, axis), x)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.floats(-5, 5, width=32) | st.just(math.nan), max_size=20), st.integers(1, 7), st.booleans())
def test_generated_histograms(device, values, bins, ranged):
    """Counts agree with NumPy for the edges that were used, and are of the right number of elements."""
    x = np.array(values, np.float32)
    counts, edges = pg.histogram(pg.Tensor(x, device=device), bins, (-1, 2) if ranged or np.isnan(x).any() else None)
    assert counts.dtype == np.int32 and edges.shape == (bins + 1,)
    np.testing.assert_array_equal(counts.numpy(), np.histogram(x, edges.numpy())[0])


def test_out_of_range(tensor):
    x = tensor([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(pg.take(x, np.int32([-1, 3, -4])).numpy(), [3, np.nan, np.nan])
    assert pg.take(x, np.int32([-1, 3]), mode="clip").tolist() == [1, 3] and pg.take(
        x, np.int32([-1, 3]), mode="wrap"
    ).tolist() == [3, 1]
    assert pg.put_along_axis(x, np.int32([5, 1, 1]), [7.0, 8, 9], 0).tolist() == [1, 9, 3]
    assert pg.bincount(tensor(np.int32([-1, 0, 2, 9])), length=3).tolist() == [2, 0, 1]
    assert pg.take(x, 1).shape == () and pg.take(tensor([[1.0, 2.0]]), 1, 1).tolist() == [2]


def test_handles_of_their_own(tensor):
    for f in (lambda x: x.ravel(), lambda x: pg.tile(x, 1), lambda x: x.roll(0), lambda x: pg.rot90(x.reshape(1, 2), 0), lambda x: x.repeat(1), pg.nan_to_num, pg.atleast_1d, lambda x: pg.diff(x, 0), lambda x: pg.resize(x, (2,)),
              lambda x: pg.meshgrid(x, sparse=True)[0], lambda x: pg.broadcast_arrays(x, 1)[0], lambda x: pg.hstack([x]), lambda x: pg.chunk(x, 1)[0], lambda x: pg.einsum('i', x)):  # fmt: skip
        x = tensor([1.0, 2.0])
        y = f(x)
        y[...] = 9
        assert x.tolist() == [1, 2]


def test_creation(device):
    for ours, theirs in (
        (pg.identity(3, device=device), np.identity(3)), (pg.eye(3, 4, k=1, device=device), np.eye(3, 4, k=1)), (pg.eye(3, k=-1, device=device), np.eye(3, k=-1)),
        (pg.tri(3, 4, device=device), np.tri(3, 4)), (pg.tri(3, k=-1, dtype="int32", device=device), np.tri(3, k=-1)),
        (pg.logspace(0, 3, 4, dtype="float64", device=device), np.logspace(0, 3, 4)), (pg.logspace(0, 3, 5, False, base=2.0, device=device), np.logspace(0, 3, 5, False, base=2)),
        (pg.geomspace(1, 256, 9, dtype="float64", device=device), np.geomspace(1, 256, 9)), (pg.geomspace(-1, -100, 3, device=device), np.geomspace(-1, -100, 3)),
    ):  # fmt: skip
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=3e-7 if ours.dtype == np.float32 else 1e-14)
        assert ours.device is device
    with pytest.raises(pg.ArgumentError, match="no ratio"):
        pg.geomspace(-1, 1)


@pytest.mark.parametrize("name", ["bool", "int8", "uint8", "int64", "float16", "bfloat16", "float32"])
def test_dtypes(tensor, name):
    x = tensor([[1, 0, 1], [0, 1, 1]], name)
    for f in (lambda x: pg.tile(x, 2), lambda x: pg.roll(x, 1), lambda x: pg.diff(x), lambda x: pg.take(x, 0, 1), lambda x: pg.repeat(x, [1, 2], 0), lambda x: pg.hstack([x, x]),
              lambda x: pg.nanmax(x), lambda x: pg.select([x > 0], [x], x), lambda x: pg.resize(x, (1, 2), "nearest"), lambda x: pg.pixel_shuffle(pg.stack([x] * 4), 2),
              lambda x: pg.put_along_axis(x, np.int32([[0]] * 2), x[:, :1], 1), lambda x: pg.choose(x.astype("int32"), [x, x])):  # fmt: skip
        assert f(x).dtype.name == name
    assert pg.count_nonzero(x).item() == 4 and pg.count_nonzero(x).dtype == np.int32
    narrow = name if name in ("float16", "bfloat16") else "float32"
    for f in (lambda x: pg.cov(x), lambda x: pg.average(x, 1, x + x), lambda x: pg.trapezoid(x), lambda x: pg.nanmean(x), lambda x: pg.nanstd(x), lambda x: pg.resize(x, (3, 3)),
              lambda x: pg.interpolate(x[None], 5, mode="linear")):  # fmt: skip
        assert f(x).dtype.name == narrow
    large = tensor(np.full(100_000, 100.0), "float16")
    assert pg.nanmean(large).item() == 100


def test_nothing_but_nan_and_nothing(tensor):
    x = tensor(np.array([[np.nan, np.nan], [1.0, np.nan]]))
    np.testing.assert_array_equal(pg.nanmean(x, 1).numpy(), [np.nan, 1])
    np.testing.assert_array_equal(pg.nanmax(x, 1).numpy(), [np.nan, 1])
    np.testing.assert_array_equal(pg.nanvar(x, 1).numpy(), [np.nan, 0])
    assert pg.nansum(x, 0).tolist() == [1, 0]
    np.testing.assert_array_equal(pg.grads(x, pg.nanmean(x)).numpy(), [[0, 0], [1, 0]])
    empty = tensor(np.zeros((0, 3)))
    assert pg.nansum(empty).item() == 0 and pg.count_nonzero(empty).item() == 0 and math.isnan(pg.average(empty).item())
    assert pg.histogram(empty)[0].tolist() == [0] * 10 and pg.allclose(empty, empty).item() is True
    assert pg.trapezoid(empty, axis=0).tolist() == [0, 0, 0] and pg.resize(empty, (0, 5)).shape == (0, 5)
    assert pg.bincount(tensor(np.zeros(0, "i4")), length=2).tolist() == [0, 0] and pg.bincount(
        tensor(np.int32([1])), length=0
    ).shape == (0,)
    assert pg.interp(empty, np.float64([0, 1]), np.float64([0, 1])).shape == (0, 3)
    assert pg.broadcast_arrays() == [] and pg.unstack(empty) == [] and pg.meshgrid() == []
    assert pg.cov(tensor(np.zeros((2, 0)))).shape == (2, 2)


def test_interp_at_jumps_and_nan(tensor):
    xp, fp, x = np.array([0.0, 1, 1, 2]), np.array([0.0, 1, 3, 4]), np.array([-1.0, 0, 0.5, 1, 1.5, 2, 3, np.nan])
    with jax.enable_x64(True):
        np.testing.assert_allclose(pg.interp(tensor(x), xp, fp).numpy(), np.asarray(jnp.interp(x, xp, fp)))
        grads = pg.grads((ts := [tensor(v) for v in (x[:-1], xp, fp)]), pg.interp(*ts).sum())
    assert all(np.isfinite(g.numpy()).all() for g in grads)


def test_values_out_of_jit_are_not_read(tensor):
    """Functions whose result could depend on values: the edges of a histogram, whether arrays are equal."""
    f = pg.jit(lambda x: (*pg.histogram(x, 4), pg.allclose(x, x + 1e-9), pg.array_equal(x, x * 2)))
    for scale in (1.0, 3.0):
        x = np.linspace(0, scale, 30, dtype="f8") ** 2
        counts, edges, close, equal = f(tensor(x))
        np.testing.assert_array_equal(counts.numpy(), np.histogram(x, 4)[0])
        assert close.item() and not equal.item()


def test_errors(tensor):
    x = tensor(np.zeros((2, 3)))
    i = tensor(np.int32([1, 2]))
    for f, error, message in (
        (lambda: pg.tile(x, -1), pg.ArgumentError, "tile: -1"), (lambda: pg.repeat(x, i, 0), pg.ArgumentError, "depend on values"), (lambda: pg.repeat(x, [1, 2], 1), pg.ShapeError, "2 repeats"),
        (lambda: pg.roll(x, (1, 2), 0), pg.ArgumentError, "2 shifts for 1 axes"), (lambda: pg.roll(x, 1.5, 0), pg.ArgumentError, "1.5 is not a shift"), (lambda: pg.rot90(x, 1, (1, -1)), pg.ShapeError, "no plane"),
        (lambda: pg.diff(x, -1), pg.ArgumentError, "diff"), (lambda: pg.broadcast_arrays(x, x.T), pg.ShapeError, "do not broadcast"), (lambda: pg.meshgrid(x), pg.ShapeError, "more than one axis"),
        (lambda: pg.meshgrid(i, indexing="yx"), pg.ArgumentError, "'xy' or 'ij'"), (lambda: pg.hstack([]), pg.ArgumentError, "no tensors"), (lambda: pg.chunk(x, 0), pg.ArgumentError, "chunk"),
        (lambda: pg.take(x, x), pg.DtypeError, "take: indices"), (lambda: pg.take(x, i, mode="raise"), pg.ArgumentError, "mode='raise'"), (lambda: pg.take(x[:0], i, 0), pg.ShapeError, "no elements"),
        (lambda: pg.put_along_axis(x, i, 1, 0), pg.ShapeError, "put_along_axis"), (lambda: pg.select([x > 0], []), pg.ArgumentError, "1 conditions for 0"), (lambda: pg.select([x], [x]), pg.DtypeError, "bool"),
        (lambda: pg.argwhere(x), pg.ArgumentError, "not known"), (lambda: x.nonzero(), pg.ArgumentError, "not known"), (lambda: pg.bincount(i), pg.ArgumentError, "length"), (lambda: pg.bincount(x, length=3), pg.DtypeError, "integers"),
        (lambda: pg.bincount(i, [1.0], length=3), pg.ShapeError, "1 weights for 2"), (lambda: pg.average(x, None, i), pg.ShapeError, "weights"), (lambda: pg.average(x, 0, [1.0] * 3), pg.ShapeError, "3 weights"),
        (lambda: pg.cov(tensor(np.zeros((2, 2, 2)))), pg.ShapeError, "two axes"), (lambda: pg.cov(x, aweights=i), pg.ShapeError, "aweights"), (lambda: pg.polyval(x, 1.0), pg.ShapeError, "one axis"),
        (lambda: pg.interp(1.0, [], []), pg.ShapeError, "interp"), (lambda: pg.interp(1.0, [1.0], [1.0], period=0), pg.ArgumentError, "period"), (lambda: pg.trapezoid(x, x[:, :2]), pg.ShapeError, "positions"),
        (lambda: pg.histogram(x, 0), pg.ArgumentError, "0 bins"), (lambda: pg.histogram(x, [1.0]), pg.ShapeError, "two edges"), (lambda: pg.histogram(x, 3, (2, 1)), pg.ArgumentError, "range"),
        (lambda: pg.resize(x, (3,)), pg.ShapeError, "each axis"), (lambda: pg.resize(x, (3, 3), "area"), pg.ArgumentError, "method"), (lambda: pg.resize(x[:0], (3, 3)), pg.ShapeError, "no pixels"),
        (lambda: pg.interpolate(x, 3), pg.ShapeError, "positions"), (lambda: pg.interpolate(x[None], 3, mode="area"), pg.ArgumentError, "mode"), (lambda: pg.interpolate(x[None]), pg.ArgumentError, "either"),
        (lambda: pg.interpolate(x[None], 3, align_corners=True), pg.ArgumentError, "align_corners"), (lambda: pg.interpolate(x[None], (3, 3)), pg.ShapeError, "2 sizes for 1"),
        (lambda: pg.pixel_shuffle(x[None], 2), pg.ShapeError, "pixel_shuffle"), (lambda: pg.pixel_unshuffle(x[None], 2), pg.ShapeError, "multiples of 2"),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            f()


def test_arrays_go_to_the_device_of_tensors(tensor, device):
    n, x, i = np.arange(4.0), tensor(np.arange(4.0)), np.int32([0, 1, 0, 1])
    for f in (
        lambda: pg.hstack([n, x]), lambda: pg.broadcast_arrays(n, x)[0], lambda: pg.meshgrid(n, x)[0], lambda: pg.choose(i, [n, x]), lambda: pg.choose(tensor(i), [n, n]),
        lambda: pg.cov(x, n), lambda: pg.array_equal(n, x), lambda: pg.histogram(x, n)[0], lambda: pg.interp(x, n, n), lambda: pg.interp(n, x, n), lambda: pg.select([n > 1], [x]),
        lambda: pg.average(x, 0, n), lambda: pg.average(n, 0, x), lambda: pg.take(x, i), lambda: pg.xlogy(n, x), lambda: pg.ldexp(x, i), lambda: pg.less(i, tensor(np.uint64([1]))),
        lambda: pg.resize(x, (8,)), lambda: pg.layer_norm(x, 4, n, n), lambda: pg.scaled_dot_product_attention(x[None], n[None], n[None], mask=np.array([[True]])),
        lambda: pg.huber_loss(n, x), lambda: pg.nll_loss(x, np.int32(1), weight=n), lambda: pg.polyval(n, x), lambda: pg.polyval(x, 2.0), lambda: pg.trapezoid(n, x),
        lambda: pg.bincount(tensor(i), n, length=3), lambda: pg.einsum("i,i", n, x),
    ):  # fmt: skip
        assert f().device is device and f().numpy() is not None
