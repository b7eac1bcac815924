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


def small_ones_differ(x):
    return x * 2 if x.shape[1] < 6 else x * 3


def test_parts_that_are_as_long_as_small_sizes():
    """At 3 these are other programs than at 8: what is written is run there, and may be right nevertheless."""
    more = [[(2, n, 4)] for n in (1, 2, 3, 4, 5, 30)]
    for function in (lambda x: x[:, -4:] * 2, lambda x: x[:, :4] * 2, lambda x: x[:, -4:].mean(1)):
        model = check(function, [(2, 8, 4)], more, dynamic_axes={"x": {1: "n"}}, input_names=["x"])
    for n in (5, 6, 7):
        model = check(lambda x: x[:, -6:], [(2, n, 4)], more, dynamic_axes={"x": {1: "n"}}, input_names=["x"])
    assert not model.graph.output[0].type.tensor_type.shape.dim[1].HasField("dim_value")


@pytest.mark.parametrize(
    "function, least",
    [
        (small_ones_differ, 6), (lambda x: x[:, -5:].sum(1) / 5, 5), (lambda x: x[:, -4:].reshape((x.shape[0], -1)), 4),
        (lambda x: x.at[:, -4:].set(1.5), 4),
    ],
)  # fmt: skip
def test_least_sizes(function, least):
    """Where small sizes are something else, the error says from which on the model would be right; that may be asked for."""
    export = lambda axes: pg.onnx.export(function, (pg.zeros((2, 20, 4)),), input_names=["x"], dynamic_axes={"x": axes})
    for axes in ({1: "n"}, {0: "b", 1: ("n", least - 1)}):
        with pytest.raises(pg.ShapeError, match=f"for larger sizes.*\n(.*\n)*.*1: \\('n', {least}\\)"):
            export(axes)
    more = [[(2, n, 4)] for n in (least, least + 1, 40)]
    for n in (least, least + 1, 20):
        model = check(function, [(2, n, 4)], more, input_names=["x"], dynamic_axes={"x": {1: ("n", least)}})
        assert model.graph.input[0].doc_string == f"n is at least {least}"
    with pytest.raises(pg.ShapeError, match="not at least 21"):
        export({1: ("n", 21)})


@pytest.mark.parametrize(
    "index, more",
    [
        ((slice(None), 0), 1), ((slice(None), -1), 1), ((slice(None), slice(1, -1)), 3), ((0, slice(1, 3), 2), 3),
        ((slice(None), slice(None), slice(None, None, -3)), 1),
    ],
)  # fmt: skip
def test_parts_of_free_axes_that_get_new_values(index, more):
    sizes = [[(2, n, 4)] for n in (more, more + 1, 20)]
    for value in (1.5, lambda x: x[index] * 2):
        new = lambda x: x.at[index].set(value(x) if callable(value) else value)
        check(new, [(2, 8, 4)], sizes, dynamic_axes={"x": {1: "n"}}, input_names=["x"])
    check(lambda x: x.at[index].set(True), [np.zeros((2, 8, 4), bool)], [], loaded=("eager", "jit"))


def test_what_is_compared_with_onnxruntime(monkeypatch):
    """Sizes near the example's, and inputs like it."""
    import onnxruntime

    seen, run = [], onnxruntime.InferenceSession.run

    def spy(self, names, values, *rest):
        seen.append({name: (value.shape[0], value.min() >= 4 and value.max() <= 9) for name, value in values.items()})
        found = run(self, names, values, *rest)
        return [found[0] + (len(seen) > 2), *found[1:]]

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", spy)
    table = pg.Tensor(np.arange(10, dtype="float32"))
    with pytest.raises(pg.ArgumentError, match="differs from onnxruntime's by 1 for n = "):
        pg.onnx.export(
            lambda i: table[i],
            (np.array([4, 9, 5, 6, 7]),),
            input_names=["i"],
            dynamic_axes={"i": {0: "n"}},
            verify=True,
        )
    assert [s["i"][0] for s in seen][0] == 5 and len({s["i"][0] for s in seen}) == 3 and all(s["i"][1] for s in seen)


@pytest.mark.parametrize(
    "function, least",
    [
        (lambda x: (x.sum(-1, keepdims=True) * 2).squeeze(), 2), (lambda x: x if x.shape[0] > 2 else x[:1], 3), (lambda x: x.squeeze(0) if x.shape[0] == 1 else x, 2)
    ],
)  # fmt: skip
def test_other_shapes_for_one_and_two(function, least):
    """A squeeze that takes the batch with it: the error says how to write the model for larger batches, which say so."""
    with pytest.raises(pg.ShapeError, match=f"for n = {least - 1}.*\n(.*\n)*.*0: \\('n', {least}\\)"):
        pg.onnx.export(function, (pg.ones((3, 4)),), input_names=["x"], dynamic_axes={"x": {0: "n"}})
    more = [[(n, 4)] for n in (least, 5)]
    model = check(function, [(3, 4)], more, input_names=["x"], dynamic_axes={"x": {0: ("n", least)}})
    assert model.graph.input[0].doc_string == f"n is at least {least}"


def test_shapes_that_are_right_for_one():
    """Parts that are shorter there are so in the model, too; functions that fail for 1 need not be right."""
    more = [[(1, 1)], [(1, 2)], [(2, 1)], [(5, 6)]]
    for function in (
        lambda x: x[:, :2],
        lambda x: x[:, 1:-1],
        lambda x: x[:, -4:],
        lambda x: x.sum(0),
        lambda x: x[:1] * 2,
    ):
        model = check(function, [(3, 7)], more, dynamic_axes={"x": {0: "n", 1: "m"}}, input_names=["x"])
        assert not model.graph.input[0].doc_string
    pg.onnx.export(lambda x: x[1] + x[2 - 1 :], (pg.ones((3, 4)),), dynamic_axes={"x": {0: "n"}}, verify=True)
