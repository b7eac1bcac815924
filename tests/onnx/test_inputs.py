"""What a model takes as inputs, and what it refuses."""

import numpy as np
import pytest

import pequegrad as pg
from pequegrad.core.errors import ArgumentError, ShapeError

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402


def load(nodes, inputs, weights=None, opset=21):
    """inputs: name -> (dtype, shape); the output is y."""
    kind = lambda dtype: helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        nodes,
        "some",
        [helper.make_tensor_value_info(n, kind(d), s) for n, (d, s) in inputs.items()],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in (weights or {}).items()],
    )
    return pg.onnx.load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]))


def identity(dtype):
    return load([helper.make_node("Identity", ["x"], ["y"])], {"x": (dtype, [2])})


@pytest.mark.parametrize("dtype, x", [
    ("int32", np.array([1, 2**40])), ("int32", np.array([-(2**31) - 1, 0])), ("uint8", np.array([1, 256], np.uint16)),
    ("float32", np.array([1, 1e300])), ("float16", np.array([1, 1e6], np.float32)),
    ("int32", np.array([1.0, 2.0])), ("float32", np.array([1, 2])),
])  # fmt: skip
def test_values_that_the_dtype_does_not_hold_are_refused(dtype, x):
    for given in (x, pg.Tensor(x)):
        with pytest.raises(ArgumentError, match="'x'"):
            identity(dtype)(given)


@pytest.mark.parametrize("dtype, x", [
    ("int32", np.array([-1, 2**31 - 1])), ("int64", np.array([1, 2], np.int8)), ("float32", np.array([1e30, np.inf])),
    ("float16", np.array([1, 2.0])),
])  # fmt: skip
def test_values_that_fit_are_taken(dtype, x):
    found = identity(dtype)(x).numpy()
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, x.astype(dtype))


def test_numbers_are_weak_but_keep_their_values():
    made = load([helper.make_node("Identity", ["x"], ["y"])], {"x": ("uint8", [])})
    assert made(200).numpy() == 200
    for x in (-1, 256, 1.5):
        with pytest.raises(ArgumentError, match="'x'"):
            made(x)
    assert load([helper.make_node("Identity", ["x"], ["y"])], {"x": ("float32", [])})(3).numpy() == 3


def test_inputs_that_decide_on_shapes_are_checked_too():
    made = load([helper.make_node("Reshape", ["x", "s"], ["y"])], {"x": ("float32", [6]), "s": ("int64", [2])})
    x = np.zeros(6, np.float32)
    assert made(x, np.array([2, 3])).shape == (2, 3)
    with pytest.raises(ShapeError, match="'s'"):
        made(x, np.array([1, 2, 3]))
    with pytest.raises(ArgumentError, match="'s'"):
        made(x, np.array([2.0, 3.0]))


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_converted_models_compute_in_their_dtype(dtype, jitted):
    """Weights, constants, and masks cast from integers; the scales of Resize stay as they are."""
    node = helper.make_node
    least = numpy_helper.from_array(np.float32(np.finfo(np.float32).min))
    nodes = [
        node("MatMul", ["x", "w"], ["a"]), node("Constant", [], ["least"], value=least), node("Cast", ["m"], ["f"], to=1),
        node("Mul", ["f", "least"], ["mask"]), node("Add", ["a", "mask"], ["b"]), node("Softmax", ["b"], ["c"]),
        node("Constant", [], ["half"], value_float=0.5), node("Mul", ["c", "half"], ["d"]), node("Resize", ["d", "", "k"], ["y"]),
    ]  # fmt: skip
    weights = {"w": np.eye(3, dtype=np.float32), "k": np.array([1, 1.34], np.float32)}
    made = load(nodes, {"x": ("float32", [2, 3]), "m": ("int64", [3])}, weights).to(dtype)
    assert {p.dtype.name for p in made.parameters()} == {dtype}
    x = np.array([[1, 2, 3], [3, 2, 1]], np.float32)
    for given in (x, pg.Tensor(x).astype(dtype)):
        y = (pg.jit(made) if jitted else made)(given, np.array([0, 0, 1]))
        assert y.dtype.name == dtype and y.shape == (2, 4)
        found = y.astype("float32").numpy()
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found[:, :2].max(1), 0.5 * 0.731, rtol=0.01)


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_what_converted_models_make_of_sizes_and_integers_is_of_their_dtype(dtype, jitted):
    """First states of a GRU as torch writes them, a mask of constants, weights of 8 bits, and a determinant."""
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["shape"]), node("Slice", ["shape", "i1", "i2"], ["n"]), node("Concat", ["i1", "n", "i4"], ["sizes"], axis=0),
        node("ConstantOfShape", ["sizes"], ["h"]), node("GRU", ["x", "w", "r", "", "", "h"], ["", "last"], hidden_size=4),
        node("Squeeze", ["last", "i0"], ["state"]), node("DequantizeLinear", ["q", "k"], ["v"]), node("MatMul", ["state", "v"], ["a"]),
        node("Where", ["m", "least", "zero"], ["mask"]), node("Add", ["a", "mask"], ["b"]), node("Softmax", ["b"], ["c"]),
        node("Det", ["v"], ["d"]), node("Mul", ["c", "d"], ["y"]),
    ]  # fmt: skip
    rng, weights = np.random.default_rng(0), {f"i{i}": np.array([i]) for i in (0, 1, 2, 4)}
    weights |= {n: 0.5 * rng.standard_normal((1, 12, k)).astype(np.float32) for n, k in (("w", 3), ("r", 4))}
    weights |= {"q": 8 * np.eye(4, dtype=np.int8), "k": np.float32(0.125)}
    weights |= {"least": np.float32(np.finfo(np.float32).min), "zero": np.float32(0)}
    made = load(nodes, {"x": ("float32", [5, "n", 3]), "m": ("bool", [4])}, weights)
    x, m = rng.standard_normal((5, 2, 3)).astype(np.float32), np.array([False, True, False, False])
    expected = made(x, m).numpy()
    made.to(dtype)
    y = (pg.jit(made) if jitted else made)(x, m)
    assert y.dtype.name == dtype
    np.testing.assert_allclose(y.astype("float32").numpy(), expected, atol=0.02 if dtype == "bfloat16" else 0.002)


def test_weights_are_held_once_and_may_be_given_in_a_call():
    w, k = np.eye(3, dtype=np.float32), np.array([3, 2])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Reshape", ["a", "k"], ["y"])]
    made = load(nodes, {"x": ("float32", [2, 3])}, {"w": w, "k": k})
    assert not made.model.graph.initializers and list(made.weights) == ["w"] and list(made.constants) == ["k"]
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(made(x).numpy(), x.reshape(3, 2))
    np.testing.assert_array_equal(made(x, w=2 * w, k=np.array([6])).numpy(), 2 * x.ravel())
    assert [v.name for v in made.inputs] == ["x"]


# ---- inputs that decide on shapes, under jit -------------------------------------------------------------------


def reshaping():
    nodes = [helper.make_node("Mul", ["x", "w"], ["a"]), helper.make_node("Reshape", ["a", "s"], ["y"])]
    return load(nodes, {"x": ("float32", [6]), "s": ("int64", [2])}, {"w": np.full(6, 2, np.float32)})


@pytest.mark.parametrize("shape", [np.array([2, 3]), np.array([3, 2], np.int32), [2, 3], (6, 1)])
def test_jit_takes_a_shape_as_a_constant(shape):
    made, x = reshaping(), np.arange(6, dtype=np.float32)
    fast = pg.jit(made)
    for given in (fast(x, shape), fast(x, s=shape), fast(s=shape, x=pg.Tensor(x)), made(x, shape)):
        np.testing.assert_array_equal(given.numpy(), 2 * x.reshape(shape))


def test_names_that_are_no_keywords():
    """Under jit, too; a name as it is comes first."""
    nodes = [helper.make_node("Reshape", ["a.b", "s.0"], ["c"]), helper.make_node("Add", ["c", "a_b"], ["y"])]
    made = load(nodes, {"a.b": ("float32", [2]), "s.0": ("int64", [2]), "a_b": ("float32", [])})
    for run in (made, pg.jit(made)):
        found = run(a_b=np.float32(10), s_0=[2, 1], **{"a.b": np.ones(2, np.float32)})
        np.testing.assert_array_equal(found.numpy(), [[11], [11]])


def test_each_shape_has_a_program_of_its_own():
    made, x = reshaping(), np.arange(6, dtype=np.float32)
    fast, shape = pg.jit(made), np.array([2, 3])
    for expected in ((2, 3), (3, 2), (2, 3), (3, 2), (1, 6)):
        shape[:] = expected  # the same array: its values count
        assert fast(x, shape).shape == expected
    assert fast.cache_info()["programs"] == fast.traces == 3
    made.weights["w"] += 1
    np.testing.assert_array_equal(fast(x, [1, 6]).numpy(), 3 * x[None])


def test_a_traced_shape_is_refused_and_named():
    made, x = reshaping(), pg.zeros((6,))
    for call in (pg.jit(made), pg.jit(lambda x, s: made(x, s))):
        with pytest.raises(ArgumentError, match=r"'s' of the model decides on shapes(.|\n)*NumPy array"):
            call(x, pg.Tensor(np.array([2, 3])))
    assert made(x, pg.Tensor(np.array([2, 3]))).shape == (2, 3)
    assert pg.jit(lambda x: made(x, np.array([2, 3])))(x).shape == (2, 3)


def test_jit_takes_what_counts_as_a_constant_but_traces_images():
    """How many rounds a loop that stacks goes is a constant; data of which NonZero reads places is not."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Add", ["i", "i"], ["r"])],
        "body",
        [helper.make_tensor_value_info(n, t, []) for n, t in (("i", 7), ("c", 9))],
        [helper.make_tensor_value_info(n, t, []) for n, t in (("d", 9), ("r", 7))],
    )
    made = load([helper.make_node("Loop", ["m", ""], ["y"], body=body)], {"m": ("int64", [])})
    fast = pg.jit(made)
    assert [fast(n).numpy().tolist() for n in (2, np.int64(3), np.array(0))] == [[0, 2], [0, 2, 4], []]
    places = load([helper.make_node("NonZero", ["x"], ["y"])], {"x": ("float32", [3])})
    with pytest.raises(ArgumentError, match="NonZero"):
        pg.jit(places)(np.array([0, 1, 1], np.float32))


def test_jit_does_not_make_constants_of_data():
    """What is cut off depends on how many numbers are positive: that of a vector of counts is known, that of an image is not."""
    node = helper.make_node
    nodes = [
        node("Greater", ["x", "zero"], ["p"]), node("Cast", ["p"], ["n"], to=7), node("ReduceSum", ["n"], ["k"], keepdims=0),
        node("Reshape", ["k", "one"], ["end"]), node("Slice", ["row", "none", "end"], ["y"]),
    ]  # fmt: skip
    weights = {"one": np.array([1]), "none": np.array([0]), "row": np.arange(5, dtype=np.float32)}
    image = load(nodes, {"x": ("float32", [1, 3])}, {**weights, "zero": np.float32(0)})
    assert image(np.array([[1, 0, 1]], np.float32)).shape == (2,)
    with pytest.raises(ArgumentError, match="'ends' of Slice"):
        pg.jit(image)(np.array([[1, 0, 1]], np.float32))
    counts = load(nodes, {"x": ("int64", [3])}, {**weights, "zero": np.int64(0)})
    assert pg.jit(counts)(np.array([1, 0, 1])).shape == (2,)


def test_jit_gives_strings_that_are_constants():
    made = load([helper.make_node("StringConcat", ["a", "a"], ["y"])], {"a": (object, [2])})
    fast = pg.jit(made)
    for texts in (["a", "b"], np.array(["c", "d"], object)):
        assert fast(texts).tolist() == [t + t for t in texts]


def test_lists_are_tensors_where_the_model_takes_these():
    made = load([helper.make_node("Identity", ["x"], ["y"])], {"x": ("float32", [None, 2])})
    np.testing.assert_array_equal(made([[1, 2], [3, 4.5]]).numpy(), np.array([[1, 2], [3, 4.5]], np.float32))
    with pytest.raises(ShapeError, match="rows differ"):
        made([[1, 2], [3]])
