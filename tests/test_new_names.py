"""Names that users of JAX and NumPy look for: segment_sum, linear_recurrence, eval_shape, NumPy's keywords."""

import jax
import numpy as np
import pytest

import pequegrad as pg


@pytest.mark.parametrize("name", ["segment_sum", "segment_max", "segment_min"])
@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
def test_segments(tensor, rng, name, dtype):
    data = rng.integers(0, 9, (20, 3)).astype(dtype)
    ids = rng.integers(0, 6, 20).astype("i4")
    ids[ids == 3] = 2  # an empty segment
    expected = getattr(jax.ops, name)(data, ids, 7)
    for f in (getattr(pg, name), pg.jit.withargs(static_argnums=2)(getattr(pg, name))):
        found = f(tensor(data), tensor(ids), 7)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize("bad", [-1, -5, 7, 100])
def test_segment_numbers_out_of_range_count_nowhere(tensor, bad):
    found = pg.segment_sum(tensor([1.0, 2.0, 4.0]), tensor(np.array([0, bad, 1], "i4")), 3)
    np.testing.assert_array_equal(found.numpy(), [1, 4, 0])


def test_segments_without_their_number(tensor):
    assert pg.segment_sum(tensor([1.0, 2.0, 4.0]), tensor(np.array([2, 0, 2], "u1"))).numpy().tolist() == [2, 0, 5]
    assert pg.segment_sum(tensor(np.zeros((0, 2))), tensor(np.zeros(0, "i4"))).shape == (0, 2)
    with pytest.raises(pg.TracerError):
        pg.jit(pg.segment_sum)(tensor([1.0]), tensor(np.array([0], "i4")))


def test_the_gradient_of_segment_sum(tensor, rng):
    data, ids = tensor(rng.normal(size=(6, 2))), tensor(np.array([0, 2, 0, 1, -1, 2], "i4"))
    pg.check_grads(lambda x: pg.segment_sum(x, ids, 3), (data,), order=1)


@pytest.mark.parametrize("call, error, text", [
    (lambda x, i: pg.segment_sum(x, x, 2), pg.DtypeError, "segment_ids must be integers"),
    (lambda x, i: pg.segment_sum(x, i[:1], 2), pg.ShapeError, "needs segment_ids"),
    (lambda x, i: pg.segment_sum(x > 0, i, 2), pg.DtypeError, "takes numbers"),
    (lambda x, i: pg.segment_sum(x, i, -1), pg.ArgumentError, "num_segments"),
    (lambda x, i: pg.pad(x, (1, 1), mode="edge"), pg.ArgumentError, "no mode 'edge'"),
    (lambda x, i: pg.pad(x), pg.ArgumentError, "either widths or pad_width"),
    (lambda x, i: pg.tile(x, 2, reps=2), pg.ArgumentError, "both"),
    (lambda x, i: pg.linear_recurrence(x, x[:1].reshape(1, 1), axis=2), pg.ShapeError, "linear_recurrence"),
    (lambda x, i: pg.grad(lambda v: x.at[i].multiply(v).sum())(x), pg.ShapeError, "unique_indices=True"),
])  # fmt: skip
def test_bad_input(tensor, call, error, text):
    with pytest.raises(error, match=text):
        call(tensor([1.0, 2.0, 3.0]), tensor(np.array([0, 1, 0], "i4")))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, -1])
def test_linear_recurrence(tensor, rng, axis, reverse):
    a, b = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    found = pg.linear_recurrence(tensor(a), tensor(b), axis, reverse=reverse).numpy()
    expected, h = np.zeros((4, 5)), 0
    x, y, out = (np.moveaxis(v, axis, 0)[:: -1 if reverse else 1] for v in (a, b, expected))
    for i in range(len(x)):
        h = out[i] = x[i] * h + y[i]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_linear_recurrence_broadcasts(tensor):
    found = pg.linear_recurrence(0.5, tensor([1.0, 1.0, 1.0]))
    np.testing.assert_array_equal(found.numpy(), [1, 1.5, 1.75])


def test_eval_shape(tensor):
    struct = pg.ShapeDtypeStruct

    def f(a, pair, scale=2):
        return {"product": a @ pair[0], "sum": (pair[1] * scale).sum(0) > 0}

    x = tensor(np.zeros((3, 4), "f4"))
    found = pg.eval_shape(f, struct((2, 3), "float32"), (x, np.zeros((5, 6), "i4")), scale=1.5)
    assert found == {"product": struct((2, 4), "float32"), "sum": struct((6,), bool)}
    with pytest.raises(pg.ShapeError):
        pg.eval_shape(f, struct((2, 5), "float32"), (x, x))


def test_eval_shape_computes_nothing(tensor, calls):
    pg.eval_shape(lambda x: (x @ x).sum(), tensor(np.ones((3, 3), "f4")))
    assert "pg_execute" not in calls and "pg_program_run" not in calls


def test_the_keywords_of_numpy(tensor):
    x = np.arange(6.0).reshape(2, 3)
    t = tensor(x)
    for given in (
        {"pad_width": 1}, {"pad_width": (1, 2), "constant_values": 7}, {"pad_width": ((1, 0), (0, 2)), "mode": "constant"},
    ):  # fmt: skip
        np.testing.assert_array_equal(pg.pad(t, **given).numpy(), np.pad(x, **given))
    np.testing.assert_array_equal(pg.pad(t, 1, "constant").numpy(), np.pad(x, 1, "constant"))
    np.testing.assert_array_equal(pg.tile(t, reps=(2, 1)).numpy(), np.tile(x, reps=(2, 1)))


@pytest.mark.parametrize("end", [np.int32(5), 5.0, np.float32(4.5)])
def test_arange_to_a_tensor(tensor, end):
    found, expected = pg.arange(tensor(end)), jax.numpy.arange(end)
    assert found.dtype == expected.dtype.name and found.numpy().tolist() == expected.tolist()


def test_arange_to_a_traced_tensor(tensor):
    with pytest.raises(pg.TracerError):
        pg.jit(pg.arange)(tensor(np.int32(3)))
