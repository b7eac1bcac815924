"""Export with free sizes: what is written is right for all of them, or refused; and what export once got wrong."""

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from exports import check  # noqa: E402

import pequegrad as pg  # noqa: E402
import pequegrad.onnx  # noqa: E402


@pytest.mark.parametrize("n", range(1, 12))
@pytest.mark.parametrize("divisor", [2, 3, 4, 5, 6])
def test_sizes_that_are_rounded_are_refused(n, divisor):
    """Half of a size is no polynomial of it, whatever sizes it was traced for."""
    for function in (
        lambda x: x[: x.shape[0] // divisor],
        lambda x: x[: -(-x.shape[0] // divisor)],
        lambda x: x[::divisor],
    ):
        with pytest.raises((NotImplementedError, pg.ShapeError)):
            pg.onnx.export(function, (pg.zeros(n),), input_names=["x"], dynamic_axes={"x": {0: "n"}})


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[:, -32:].mean(1), lambda x: x[:, :32].mean(1), lambda x: x.sum(1) / max(x.shape[1], 5), lambda x: x * (1 + x.shape[1] // 64),
        lambda x: x * 2 if x.shape[1] < 40 else x * 3, lambda x: x * pg.as_tensor(np.minimum(np.arange(x.shape[1]), 30)).reshape((-1, 1)),
        lambda x: pg.where(pg.as_tensor(np.tri(x.shape[1], k=0) - np.tri(x.shape[1], k=-32) > 0), x @ x.transpose((0, 2, 1)), 0.0),
    ],
)  # fmt: skip
def test_functions_that_clip_sizes_far_away_are_refused(function):
    with pytest.raises((NotImplementedError, pg.ShapeError)):
        pg.onnx.export(function, (pg.zeros((2, 9, 4)),), dynamic_axes={"x": {1: "n"}})


@pytest.mark.parametrize("n", [2, 4, 8, 9, 16, 17, 64])
def test_divisions_by_sizes_near_powers_of_two(n):
    check(lambda x: pg.var(x, 1, ddof=1), [(2, n, 4)], [[(2, 5, 4)], [(2, 33, 4)]], dynamic_axes={"x": {1: "n"}})


@pytest.mark.parametrize("n", [8, 40, 63, 64])
def test_a_largest_size(n):
    table = pg.Tensor(np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32))
    check(lambda x: x + table[: x.shape[1]], [(2, n, 4)], [[(2, 1, 4)], [(2, 64, 4)]], dynamic_axes={"x": {1: "n"}})


def test_places_before_the_end_of_a_free_axis():
    for cut in (slice(-2, None), slice(None, -2), slice(1, -1), slice(-2, -1)):
        check(lambda x: x[:, cut] * 2, [(2, 8, 4)], [[(2, n, 4)] for n in (1, 2, 3, 5)], dynamic_axes={"x": {1: "n"}})


def test_biases_of_other_shapes():
    for shape in ((4,), (4, 1), (1, 4), (2, 2)):
        check(lambda x, w, b: x @ w + b.reshape(-1), [(4, 3), (3, 4), shape])
        check(lambda x, w, b: pg.conv2d(x, w) + b.reshape((1, 4, 1, 1)), [(1, 3, 5, 5), (4, 3, 3, 3), shape])


def test_programs_inside_programs_keep_what_is_read_around_them():
    bias = pg.Tensor(np.arange(4, dtype=np.float32))
    check(lambda x, w: pg.while_loop(lambda c: (c + bias).sum() < 50, lambda c: c * 1.5 + 1, x @ w), [(2, 3), (3, 4)])

    def pair(x, w, b):
        y, z = pg.jit(lambda h: (h, h * 2))(x @ w)
        return y + b, z

    check(pair, [(2, 3), (3, 4), (4,)])


def test_amounts_that_are_free_sizes():
    more = [[(n, 4)] for n in (1, 2, 7)]
    check(lambda x: pg.pad(x, [(0, x.shape[0]), (0, 0)]), [(8, 4)], more, dynamic_axes={"x": {0: "n"}})
    square = [[(n, n)] for n in (1, 2, 7)]
    for function in (lambda x: pg.diagonal(x), lambda x: pg.trace(x), lambda x: x + pg.eye(x.shape[0])):
        check(function, [(5, 5)], square, dynamic_axes={"x": {0: "n", 1: "n"}})
    with pytest.raises(NotImplementedError, match="no polynomial"):
        pg.onnx.export(
            lambda x: pg.pad(x, [(0, -x.shape[0] % 32), (0, 0)]), (pg.zeros((8, 4)),), dynamic_axes={"x": {0: "n"}}
        )
