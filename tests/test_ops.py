"""User-level functions: numbers, dtypes and corner cases against NumPy and JAX."""

import jax
import numpy as np
import pytest

import pequegrad as pg


def test_an_int_and_a_float_of_equal_value_are_different_operands(tensor):
    a = tensor(np.int32([1, 2, 3]))
    assert (a * 2).dtype == np.int32 and (a * 2.0).dtype == np.float32 and (a * 2).dtype == np.int32
    assert ((a > 2).numpy() == [False, False, True]).all() and ((a > 2.5).numpy() == [False, False, True]).all()


def test_signed_zeros_are_kept(tensor):
    x = tensor([1.0])
    with np.errstate(divide="ignore"):
        assert (x / 0.0).item() == np.inf and (x / -0.0).item() == -np.inf and (x / 0.0).item() == np.inf


def test_integers_that_do_not_fit_are_refused(tensor):
    x = tensor(np.array([255, 1], np.uint8))
    for bad in (lambda: x == -1, lambda: x < 256, lambda: x + 300, lambda: tensor(np.int32([1])) + 2**40):
        with pytest.raises(pg.ArgumentError, match="does not fit"):
            bad()
    assert (tensor(np.int64([1])) + 2**40).item() == 2**40 + 1


def test_results_are_handles_of_their_own(tensor):
    same = [
        lambda x: x[:], lambda x: x[...], lambda x: x.astype(pg.dt.float32), lambda x: x.reshape(2), lambda x: x.clip(),
        lambda x: x**1, lambda x: +x, lambda x: x.sum(axis=()), lambda x: x.squeeze(), lambda x: x.transpose(0),
        lambda x: x.flatten(), lambda x: x.broadcast_to(2),
    ]  # fmt: skip
    for f in same:
        x = tensor([1.0, 2.0])
        y = f(x)
        y[0] = 9
        assert x.numpy().tolist() == [1, 2] and y.numpy().tolist() == [9, 2]


def test_means_of_16_bit_floats_do_not_overflow(device):
    x = pg.full((100_000,), 10.0, dtype=pg.dt.float16, device=device)
    assert x.mean().item() == 10 and x.var().item() == 0 and x.mean().dtype == np.float16


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_random_floats_stay_below_one(name, device):
    x = pg.rand((300_000,), dtype=name, device=device).numpy().astype(np.float64)
    assert x.min() >= 0 and x.max() < 1
    assert abs(x.mean() - 0.5) < 0.01 and len(np.unique(x)) >= 128


def test_small_index_dtypes_reach_everywhere(tensor):
    assert tensor(np.uint8([5])).one_hot(300).sum().item() == 1
    x = tensor(np.arange(200.0))
    assert pg.take_along_axis(x, tensor(np.int8([-1])), 0).item() == 199
    assert x[tensor(np.uint8([199]))].item() == 199


def test_an_empty_ellipsis_separates_index_arrays(tensor, rng):
    x = rng.normal(size=(2, 3, 4))
    i = np.array([0, 1])
    for index in (
        (slice(None), i, Ellipsis, 0),
        (i, Ellipsis, 0, i),
        (slice(None), i, 0),
        (i, None, 0),
        (np.array(1),),
    ):
        np.testing.assert_array_equal(tensor(x)[index].numpy(), x[index])


def test_arange(device):
    for args in ((5,), (1, 5), (5, 1, -1), (0, 10, 2.5), (0.5, 3), (3, 3)):
        np.testing.assert_allclose(pg.arange(*args, device=device).numpy(), np.arange(*args), rtol=1e-6)
    assert pg.arange(0, 10, 2.5, dtype=pg.dt.int32).numpy().tolist() == [0, 2, 5, 7]
    assert pg.arange(0, 2, 0.5, dtype="int32").numpy().tolist() == [0, 0, 1, 1]


def test_floor_division_and_remainder(tensor):
    values = np.array([7.0, -7.0, 0.1, 1.0, 5.5, -0.3, 1e10], np.float32)
    x, y = (v.ravel() for v in np.meshgrid(values, values))
    np.testing.assert_array_equal((tensor(x) // tensor(y)).numpy(), np.asarray(jax.numpy.floor_divide(x, y)))
    np.testing.assert_allclose((tensor(x) % tensor(y)).numpy(), np.asarray(jax.numpy.remainder(x, y)), rtol=1e-6)
    i, j = (v.ravel() for v in np.meshgrid(np.int32([7, -7, 3, -3, 1]), np.int32([2, -2, 5, -5])))
    np.testing.assert_array_equal((tensor(i) // tensor(j)).numpy(), i // j)
    np.testing.assert_array_equal((tensor(i) % tensor(j)).numpy(), i % j)


def test_full_of_a_tensor(tensor):
    v = tensor(2.0)
    np.testing.assert_array_equal(pg.full((3,), v).numpy(), [2, 2, 2])
    assert pg.grads([v], pg.full((3,), v).sum())[0].item() == 3


def test_linalg(tensor, rng):
    shapes = [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
        ((5, 1, 2, 3), (4, 3, 2)),
        ((3,), (5, 3, 4)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 2)),
    ]
    for a, b in shapes:
        x, y = rng.normal(size=a), rng.normal(size=b)
        np.testing.assert_allclose((tensor(x) @ tensor(y)).numpy(), x @ y, rtol=1e-12, atol=1e-12)
    x, y = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 3, 5))
    np.testing.assert_allclose(
        pg.tensordot(tensor(x), tensor(y), ((1, 2), (1, 0))).numpy(), np.tensordot(x, y, ((1, 2), (1, 0))), rtol=1e-12
    )
    np.testing.assert_allclose(pg.dot(tensor(x), tensor(y[:, 0])).numpy(), np.dot(x, y[:, 0]), rtol=1e-12)
    np.testing.assert_allclose(pg.outer(tensor([1.0, 2.0]), tensor([3.0, 4.0])).numpy(), [[3, 4], [6, 8]])
    np.testing.assert_allclose(
        tensor(x).norm(axis=(0, 2)).numpy(), np.linalg.norm(np.moveaxis(x, 1, 0).reshape(3, -1), axis=1), rtol=1e-12
    )


def test_shape_functions(tensor, rng):
    x = rng.normal(size=(2, 3, 4))
    t = tensor(x)
    pairs = [
        (t.transpose(), x.transpose()), (t.permute(2, 0, 1), x.transpose(2, 0, 1)), (t.swapaxes(0, -1), x.swapaxes(0, -1)), (t.T, x.T),
        (t.mT, x.swapaxes(-1, -2)), (t.reshape(-1, 6), x.reshape(-1, 6)), (t.flatten(1), x.reshape(2, 12)), (t.expand_dims((0, -1)), x[None, ..., None]),
        (pg.moveaxis(t, 0, -1), np.moveaxis(x, 0, -1)), (t.flip(1), np.flip(x, 1)), (pg.stack([t, t], -1), np.stack([x, x], -1)),
        (pg.cat([t, t], dim=1), np.concatenate([x, x], 1)), (pg.pad(t, [(1, 0), (0, 2), (0, 0)], 5), np.pad(x, [(1, 0), (0, 2), (0, 0)], constant_values=5)),
    ]  # fmt: skip
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours.numpy(), theirs)
    for ours, theirs in zip(pg.split(t, [1, 3], 2), np.split(x, [1, 3], 2)):
        np.testing.assert_array_equal(ours.numpy(), theirs)


def test_reductions(tensor, rng):
    x = rng.normal(size=(2, 3, 4))
    t = tensor(x)
    for name in ("sum", "prod", "max", "min", "mean", "var", "std"):
        for axis in (None, 1, -1, (0, 2), (0, 1, 2)):
            for keepdims in (False, True):
                ours = getattr(t, name)(axis, keepdims).numpy()
                np.testing.assert_allclose(ours, getattr(x, name)(axis=axis, keepdims=keepdims), rtol=1e-12)
        np.testing.assert_allclose(
            getattr(t, name)(dim=1, keepdim=True).numpy(), getattr(x, name)(axis=1, keepdims=True)
        )
    assert t.argmax().item() == x.argmax() and (t.argmin(1).numpy() == x.argmin(1)).all()
    assert (t > 0).any(1).numpy().tolist() == (x > 0).any(1).tolist() and (t > -9).all().item()
    assert tensor(np.array([True, True])).sum().dtype == np.int32 and tensor(np.uint8([200, 100])).sum().item() == 300
    with pytest.raises(pg.ShapeError, match="empty"):
        tensor(np.zeros((0, 2))).max(0)
    with pytest.raises(pg.ArgumentError, match="Both"):
        t.sum(axis=0, dim=1)
