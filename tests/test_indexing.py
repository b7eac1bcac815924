"""x[index], x[index] = v and x.at[index]: every index NumPy takes, generated, against NumPy; out of range against JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import FULL
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import pequegrad as pg

generated = settings(
    max_examples=500 if FULL else 60, deadline=None, database=None, derandomize=not FULL,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip

# ---- index expressions -------------------------------------------------------------------------------

shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
INDEX_DTYPES = ("int8", "uint8", "int16", "int32", "uint32", "int64", "uint64")


@st.composite
def index_arrays(draw, n, common):
    """An integer array with positions on an axis of size n; its shape broadcasts with `common`."""
    shape = list(common)
    if n:
        shape = [draw(st.sampled_from([1, size])) for size in common]
        shape = shape[draw(st.integers(0, len(shape))) :]
    dtype = draw(st.sampled_from(INDEX_DTYPES))
    count, low = int(np.prod(shape)), 0 if dtype[0] == "u" else -n
    values = draw(st.lists(st.integers(low, max(n - 1, low)), min_size=count, max_size=count))
    array = np.array(values, dtype).reshape(shape)
    return array.tolist() if draw(st.booleans()) and array.ndim and array.size else array


@st.composite
def items_for(draw, sizes, common, masks):
    """Items that index axes of these sizes, one for each, or a mask for several."""
    items, axis = [], 0
    while axis < len(sizes):
        n = sizes[axis]
        kinds = ["slice"] + ["mask"] * masks + ["int"] * (n > 0) + ["array"] * 2 * (n > 0 or 0 in common)
        kind = draw(st.sampled_from(kinds))
        if kind == "slice":
            bound = st.one_of(st.none(), st.integers(-n - 2, n + 2))
            step = draw(st.one_of(st.none(), st.integers(-3, 3).filter(bool), st.just(10**6), st.just(-(2**70))))
            items.append(slice(draw(bound), draw(bound), step))
        elif kind == "int":
            value = draw(st.integers(-n, n - 1))
            items.append(np.int64(value) if draw(st.booleans()) else value)
        elif kind == "array":
            items.append(draw(index_arrays(n, common)))
        else:
            shape = sizes[axis : axis + draw(st.integers(1, len(sizes) - axis))]
            count = int(np.prod(shape))
            mask = draw(st.lists(st.booleans(), min_size=count, max_size=count))
            mask = np.array(mask, bool).reshape(shape)
            items.append(mask.tolist() if mask.size and draw(st.booleans()) else mask)
            axis += len(shape) - 1
        axis += 1
    return items


@st.composite
def indices(draw, shape, masks=True):
    """An index expression for an array of this shape: all kinds mixed, with None, and ... somewhere or axes left out."""
    common = draw(st.sampled_from([(), (1,), (3,), (2, 3), (0,), (2, 1)]))
    begin = draw(st.integers(0, len(shape)))
    items = draw(items_for(shape[:begin], common, masks))
    if draw(st.booleans()):
        end = draw(st.integers(begin, len(shape)))
        items += [Ellipsis, *draw(items_for(shape[end:], common, masks))]
    for _ in range(draw(st.integers(0, 2))):
        items.insert(draw(st.integers(0, len(items))), None)
    if len(items) == 1 and draw(st.booleans()):
        return items[0]
    return tuple(items)


@st.composite
def cases(draw, **kinds):
    """(array of distinct numbers, index)."""
    shape = draw(shapes)
    return np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape), draw(indices(shape, **kinds))


def numpy_takes(x, index):
    """x[index], or None if NumPy refuses it (arrays and masks that do not broadcast)."""
    try:
        return x[index]
    except IndexError:
        return None


def refused(x, index):
    """pequegrad refuses, too."""
    with pytest.raises(pg.IndexingError):
        x[index].numpy()


def as_tensors(index, device):
    """The index with its arrays as tensors."""
    convert = lambda i: pg.Tensor(i, device=device) if isinstance(i, np.ndarray) else i
    return tuple(map(convert, index)) if isinstance(index, tuple) else convert(index)


# ---- reading -----------------------------------------------------------------------------------------


@generated
@given(cases())
@example((np.arange(24.0).reshape(2, 3, 4), (0, slice(None), np.array([0, 1]))))
@example((np.arange(24.0).reshape(2, 3, 4), (np.array([0, 1]), slice(None), np.array([0, 1]))))
@example((np.arange(24.0).reshape(2, 3, 4), (np.array([0]), None, np.array([0, 1]))))
@example((np.arange(6.0).reshape(2, 3), np.array([[True, False, True], [False, True, False]])))
def test_reading(device, case):
    x, index = case
    expected = numpy_takes(x, index)
    for i in (index, as_tensors(index, device)):
        if expected is None:
            refused(pg.Tensor(x, device=device), i)
            continue
        found = pg.Tensor(x, device=device)[i]
        assert found.shape == expected.shape and found.dtype == x.dtype
        np.testing.assert_array_equal(found.numpy(), expected)
        np.testing.assert_array_equal(pg.Tensor(x, device=device).at[i].get().numpy(), expected)


@generated
@given(cases(masks=False))
def test_reading_under_jit(device, case):
    x, index = case
    expected = numpy_takes(x, index)
    if expected is None:
        return
    tensor = pg.Tensor(x, device=device)
    np.testing.assert_array_equal(pg.jit(lambda x: x[index])(tensor).numpy(), expected)
    items = index if isinstance(index, tuple) else (index,)
    arrays = [pg.Tensor(i, device=device) for i in items if isinstance(i, np.ndarray)]

    def read(x, arrays):  # the positions are traced, too
        arrays = iter(arrays)
        return x[tuple(next(arrays) if isinstance(i, np.ndarray) else i for i in items)]

    np.testing.assert_array_equal(pg.jit(read)(tensor, arrays).numpy(), expected)


@generated
@given(cases(), st.integers(0, 2**31))
def test_gradient_of_reading(device, case, seed):
    """<ct, x[index]>: every read adds its cotangent to the element it read."""
    x, index = case
    read = numpy_takes(x, index)
    if read is None:
        return
    ct = np.random.default_rng(seed).integers(-9, 9, read.shape).astype(float)
    expected = np.zeros_like(x)
    np.add.at(expected, index, ct)
    tensor = pg.Tensor(x, device=device)
    (found,) = pg.grads([tensor], tensor[index], pg.Tensor(ct, device=device))
    np.testing.assert_array_equal(found.numpy(), expected)


# ---- writing -----------------------------------------------------------------------------------------


def targets_once(x, index):
    """Whether no element is addressed twice: NumPy does not say which of several values stays."""
    places = np.arange(x.size).reshape(x.shape)[index]
    return np.unique(places).size == places.size


@st.composite
def writes(draw, **kinds):
    """(x, index, value): the value has the shape of x[index], or broadcasts to it."""
    x, index = draw(cases(**kinds))
    read = numpy_takes(x, index)
    shape = () if read is None else read.shape
    sizes = [draw(st.sampled_from([1, n])) for n in shape]
    sizes = sizes[draw(st.integers(0, len(sizes))) :]
    if shape and len(sizes) == len(shape) and draw(st.booleans()):
        sizes = [1, *sizes]  # an assignment may have additional axes of size 1 in front
    value = -np.arange(1.0, 1 + np.prod(sizes, dtype=int)).reshape(sizes)
    return x, index, float(value) if not sizes and draw(st.booleans()) else value


def written(x, index, value):
    """What NumPy makes of x[index] = value; it does not take leading axes of size 1 with all kinds of index."""
    y = x.copy()
    y[index] = value[0] if np.ndim(value) > np.ndim(x[index]) else value
    return y


@generated
@given(writes())
def test_writing(device, case):
    x, index, value = case
    if numpy_takes(x, index) is None:
        tensor = pg.Tensor(x, device=device)
        with pytest.raises(pg.IndexingError):
            tensor[index] = value
        return
    if not targets_once(x, index):
        return
    expected = written(x, index, value)
    wrapped = pg.Tensor(value, device=device) if isinstance(value, np.ndarray) else value
    for i, v in ((index, value), (as_tensors(index, device), wrapped)):
        tensor = pg.Tensor(x, device=device)
        before = tensor + 0
        tensor[i] = v
        np.testing.assert_array_equal(tensor.numpy(), expected)
        np.testing.assert_array_equal(before.numpy(), x)
        np.testing.assert_array_equal(pg.Tensor(x, device=device).at[i].set(v).numpy(), expected)


@pytest.mark.parametrize(
    "method, ufunc", [("add", np.add), ("multiply", np.multiply), ("min", np.minimum), ("max", np.maximum)]
)
@generated
@given(case=writes())
def test_combining(device, method, ufunc, case):
    """Elements that are addressed several times are combined with every value."""
    x, index, value = case
    if numpy_takes(x, index) is None:
        return
    expected = x.copy()
    ufunc.at(expected, index, value[0] if np.ndim(value) > np.ndim(x[index]) else value)
    found = getattr(pg.Tensor(x, device=device).at[index], method)(value)
    np.testing.assert_array_equal(found.numpy(), expected)


@generated
@given(writes(masks=False))
def test_writing_under_jit(device, case):
    x, index, value = case
    if numpy_takes(x, index) is None or not targets_once(x, index):
        return
    expected = written(x, index, value)

    @pg.jit
    def write(x, v):
        y = x + 0
        y[index] = v
        return y, x.at[index].set(v)

    for found in write(pg.Tensor(x, device=device), pg.Tensor(value, dtype="float64", device=device)):
        np.testing.assert_array_equal(found.numpy(), expected)


@generated
@given(writes(), st.integers(0, 2**31))
def test_gradients_of_writing(device, case, seed):
    x, index, value = case
    if numpy_takes(x, index) is None or not targets_once(x, index):
        return
    ct = np.random.default_rng(seed).integers(-9, 9, x.shape).astype(float)
    tensor, v = pg.Tensor(x, device=device), pg.Tensor(value, dtype="float64", device=device)
    for_x, for_v = pg.grads([tensor, v], tensor.at[index].set(v), pg.Tensor(ct, device=device))
    kept = ct.copy()
    kept[index] = 0
    np.testing.assert_array_equal(for_x.numpy(), kept)
    # the value was broadcast: its cotangent is summed over the axes it was repeated along
    written = ct[index].reshape((1,) * (v.ndim - ct[index].ndim) + ct[index].shape)
    axes = tuple(i for i in range(written.ndim) if i < written.ndim - v.ndim or v.shape[i - written.ndim + v.ndim] == 1)
    np.testing.assert_array_equal(for_v.numpy(), written.sum(axes, keepdims=True).reshape(v.shape))


def test_the_last_of_several_values_stays(tensor):
    for n in (5, 5000):  # in one thread, and shared out over several
        places = np.random.default_rng(0).integers(0, n, 20 * n)
        expected = np.zeros(n)
        expected[places] = np.arange(20.0 * n)
        np.testing.assert_array_equal(tensor(np.zeros(n)).at[places].set(np.arange(20.0 * n)).numpy(), expected)


def test_values_take_the_dtype_of_the_array(tensor):
    x = tensor(np.arange(4, dtype=np.int16))
    x[1:3] = 7.9
    x[np.array([3])] = tensor(np.array([2.0**40 + 5]))  # too large: the nearest int16
    assert (x.dtype, x.tolist()) == (np.int16, [0, 7, 7, 32767])


@pytest.mark.parametrize("index, message", [
    (5, "out of range"), (-5, "out of range"), ((0, 0, 0), "3 indices"), ((..., ...), "only one Ellipsis"),
    ("a", "not an index"), (1.0, "not an index"), ((slice(None), np.array([0.5])), "not an index"),
    (True, "0-d bool"), (slice(0, 2, 0), "step"), (slice("a"), "not a slice"),
    (np.zeros((3, 3), bool), "mask|bool"), ((np.array([0, 1]), np.array([0, 1, 2])), "do not broadcast"),
])  # fmt: skip
def test_what_is_no_index(tensor, index, message):
    x = tensor(np.zeros((4, 3)))
    with pytest.raises(pg.IndexingError, match=message):
        x[index]
    with pytest.raises(pg.IndexingError, match=message):
        x[index] = 1.0


def test_values_that_do_not_fit(tensor):
    x = tensor(np.zeros((4, 3)))
    for index, shape in ((0, (2,)), (slice(0, 2), (3, 3)), (np.array([0, 1, 2]), (2, 3)), (0, (1, 2, 3))):
        with pytest.raises(pg.ShapeError, match=r"A value of shape .* does not fit x\[index\]"):
            x[index] = np.zeros(shape)


# ---- out of range ------------------------------------------------------------------------------------


def places_around(dtype, n):
    """Positions inside and outside an axis of size n, up to the ends of the dtype."""
    info = np.iinfo(dtype)
    places = [
        *range(-2 * n - 1, 2 * n + 1),
        info.min,
        info.min + 3,
        info.max - 3,
        info.max,
        2**31 - 1,
        2**31,
        2**32 + 1,
        -(2**31),
    ]
    return [p for p in places if info.min <= p <= info.max]


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
def test_out_of_range(tensor, dtype):
    """Reads take the nearest element, writes are dropped; negative numbers count from the end once. As in JAX."""
    n = 5
    places = places_around(dtype, n)
    x, v = np.arange(15.0).reshape(n, 3), np.arange(1.0, 1 + 3 * len(places)).reshape(-1, 3)
    wrapped = [p + n if p < 0 else p for p in places]
    read, written = x[[min(max(p, 0), n - 1) for p in wrapped]], x.copy()
    for p, value in zip(wrapped, v):
        if 0 <= p < n:
            written[p] += value
    array = np.array(places, dtype)
    y = tensor(x)
    for index in (array, tensor(array)):
        np.testing.assert_array_equal(y[index].numpy(), read)
        np.testing.assert_array_equal(y.T[:, index].numpy(), read.T)
        np.testing.assert_array_equal(y.at[index].add(v).numpy(), written)
    if max(places) < 2**31:  # JAX truncates positions to int32
        with jax.enable_x64(True):
            np.testing.assert_array_equal(read, jnp.asarray(x)[array])
            np.testing.assert_array_equal(written, jnp.asarray(x).at[array].add(v))


def test_gradient_of_reading_out_of_range(tensor):
    """The nearest element was read: it gets the cotangent."""
    x = tensor(np.arange(5.0))
    (g,) = pg.grads([x], x[np.array([0, 7, -9, 4])].sum())
    assert g.tolist() == [2, 0, 0, 0, 2]


def test_an_empty_axis_cannot_be_indexed(tensor):
    x = tensor(np.zeros((0, 3)))
    with pytest.raises(pg.IndexingError, match="size 0"):
        x[np.array([0])]
    assert x[np.array([], np.int32)].shape == (0, 3)


# ---- take_along_axis, one_hot ------------------------------------------------------------------------


@generated
@given(st.data())
def test_take_along_axis(device, data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    n, count = shape[axis], data.draw(st.integers(0, 5))
    dtype = data.draw(st.sampled_from(INDEX_DTYPES))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    shape[axis] = count
    places = rng.integers(0 if dtype[0] == "u" else -n, n, shape).astype(dtype)
    shape[axis] = n
    x = rng.integers(-9, 9, shape).astype(float)
    tensor = pg.Tensor(x, device=device)
    found = pg.take_along_axis(tensor, places, axis)
    np.testing.assert_array_equal(found.numpy(), np.take_along_axis(x, places.astype(np.int64), axis))
    ct = rng.integers(-9, 9, places.shape).astype(float)
    (g,) = pg.grads([tensor], found, pg.Tensor(ct, device=device))
    expected = np.zeros_like(x)
    others = list(np.ogrid[tuple(map(slice, places.shape))])
    others[axis] = places.astype(np.int64)
    np.add.at(expected, tuple(others), ct)
    np.testing.assert_array_equal(g.numpy(), expected)


def test_take_along_a_long_axis_with_small_indices(tensor):
    places = np.array([-1, -128, 127], np.int8)
    np.testing.assert_array_equal(pg.take_along_axis(tensor(np.arange(200.0)), places, 0).numpy(), [199, 72, 127])


@pytest.mark.parametrize("dtype", ("float32", "int32", "uint8", "bool"))
def test_take_along_axis_out_of_range_gives_the_fill_value(tensor, dtype):
    """As in JAX: nan, the lowest signed, the highest unsigned integer, true."""
    x, places = np.arange(4).astype(dtype), np.array([-9, 9, 2, -4, -5, 4])
    expected = np.asarray(jnp.take_along_axis(jnp.asarray(x), jnp.asarray(places), 0))
    np.testing.assert_array_equal(pg.take_along_axis(tensor(x), places, 0).numpy(), expected)


def test_take_along_axis_refuses(tensor):
    x = tensor(np.zeros((2, 3)))
    with pytest.raises(pg.DtypeError, match="must be integers"):
        pg.take_along_axis(x, tensor(np.zeros((2, 1))), 1)
    with pytest.raises(pg.ShapeError, match="must agree on all axes but 1"):
        pg.take_along_axis(x, tensor(np.zeros((3, 1), int)), 1)


@pytest.mark.parametrize("dtype", ("int8", "int32", "int64", "uint8"))
@pytest.mark.parametrize("shape", ((), (5,), (2, 3), (0,)))
def test_one_hot(tensor, dtype, shape):
    low = 0 if dtype[0] == "u" else -3
    numbers = np.random.default_rng(0).integers(low, 9, shape).astype(dtype)
    for classes in (0, 1, 6):
        found = pg.one_hot(tensor(numbers), classes)
        expected = np.asarray(jax.nn.one_hot(numbers, classes))
        assert found.dtype == np.float32 and found.shape == expected.shape
        np.testing.assert_array_equal(found.numpy(), expected)
    assert pg.one_hot(tensor(numbers), 3, dtype="int16").dtype == np.int16


@pytest.mark.parametrize("dtype", ("uint8", "int8"))
def test_one_hot_with_more_classes_than_the_dtype_has(tensor, dtype):
    numbers = np.array([0, 3, 100, -1], "int64").astype(dtype)
    expected = numbers[:, None].astype(int) == np.arange(300)  # JAX wraps around here
    np.testing.assert_array_equal(pg.one_hot(tensor(numbers), 300).numpy(), expected)


def test_one_hot_refuses(tensor):
    with pytest.raises(pg.DtypeError, match="must be integers"):
        pg.one_hot(tensor([1.0]), 3)
    for classes in (-1, 2.0, "3"):
        with pytest.raises(pg.ArgumentError, match="not a number of classes"):
            pg.one_hot(tensor(np.array([1])), classes)


# ---- x.at --------------------------------------------------------------------------------------------

MODES = (None, "clip", "fill", "drop", "promise_in_bounds")


@pytest.mark.parametrize("mode", MODES[:-1])  # the last one is undefined out of range
@pytest.mark.parametrize("index", ([0, 4, 7, -9, -1], [[3, 2], [99, 1]]))
def test_modes_as_in_jax(tensor, mode, index):
    x = np.arange(15.0, dtype="f4").reshape(5, 3)
    index = np.array(index)
    v = np.arange(1.0, 1 + index.size * 3, dtype="f4").reshape(*index.shape, 3)
    t, ref = tensor(x).at[index], jnp.asarray(x).at[index]
    for name in ("add", "multiply", "mul", "min", "max", "subtract"):
        np.testing.assert_array_equal(getattr(t, name)(v, mode=mode).numpy(), getattr(ref, name)(v, mode=mode))
    np.testing.assert_array_equal(t.get(mode=mode).numpy(), ref.get(mode=mode))
    np.testing.assert_array_equal(
        tensor(x).T.at[1:, index].get(mode=mode, fill_value=-1).numpy(),
        jnp.asarray(x).T.at[1:, index].get(mode=mode, fill_value=-1),
    )


@pytest.mark.parametrize("dtype", ("int8", "uint8", "float16", "bool"))
def test_fill_values_as_in_jax(tensor, dtype):
    x = np.arange(4).astype(dtype)
    index = np.array([1, 4, -5])
    ref = jnp.asarray(x).at[index]
    for options in ({"mode": "fill"}, {"mode": "fill", "fill_value": 1}, {}):
        np.testing.assert_array_equal(tensor(x).at[index].get(**options).numpy(), ref.get(**options))
    grid = np.array([[0, 9], [1, 0]])
    y = np.arange(24.0, dtype="f4").reshape(2, 3, 4)
    for at in ((grid, slice(None), grid), (slice(None), grid, grid), (grid,), (0, grid)):
        expected = jnp.asarray(y).at[at].get(mode="fill", fill_value=-3)
        np.testing.assert_array_equal(tensor(y).at[at].get(mode="fill", fill_value=-3).numpy(), expected)


def test_divide_power_apply(tensor):
    x, index = np.arange(1.0, 6, dtype="f4"), np.array([4, 0, 2])
    v = np.array([2.0, 3.0, 0.5], "f4")
    t, ref = tensor(x), jnp.asarray(x)
    hints = {"unique_indices": True, "indices_are_sorted": False}
    for name in ("divide", "power"):
        found = getattr(t.at[index], name)(v, **hints)
        np.testing.assert_allclose(found.numpy(), getattr(ref.at[index], name)(v, **hints), rtol=1e-6)
    np.testing.assert_array_equal(t.at[index].apply(pg.negative).numpy(), ref.at[index].apply(jnp.negative))
    np.testing.assert_array_equal(t.at[1:3].divide(2).numpy(), ref.at[1:3].divide(2))


def test_gradients_of_combining_as_in_jax(tensor):
    x, index, v = np.arange(1.0, 6), np.array([4, 0, 2]), np.array([2.0, 3.0, 0.5])
    for name in ("set", "add", "subtract", "multiply", "divide", "power", "min", "max"):
        f = lambda x, v: (getattr(x.at[index], name)(v, unique_indices=True) ** 2).sum()
        t, tv = tensor(x), tensor(v)
        with jax.enable_x64(True):
            expected = jax.jit(jax.grad(f, argnums=(0, 1)))(jnp.asarray(x), jnp.asarray(v))
        for found, e in zip(pg.grads([t, tv], f(t, tv)), expected):
            np.testing.assert_allclose(found.numpy(), e, rtol=1e-12)


def test_unknown_modes(tensor):
    x = tensor([1.0]).at[np.array([0])]
    for bad in (lambda: x.get(mode="wrap"), lambda: x.add(1.0, mode=3)):
        with pytest.raises(pg.ArgumentError, match="not a mode"):
            bad()
    with pytest.raises(TypeError, match="no_such_hint"):
        x.add(1.0, no_such_hint=True)
