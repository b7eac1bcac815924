"""sort, top_k, searchsorted, medians and quantiles against NumPy, JAX and PyTorch: all dtypes, ties, nan, strides, derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernels import FLOATS, LAYOUTS, lay_out, operand, plain, run_kernel, value_of

import pequegrad as pg
from pequegrad.core.dtype import NAMES
from pequegrad.primitives.sorting import searchsorted as search_rows
from pequegrad.primitives.sorting import sort as sort_together

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's warnings about nan and conversions

SIZES = (0, 1, 2, 47, 48, 49, 300, 5_011)  # around where insertion gives way to radix
generated = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])

ORDERED = [name for name in NAMES if "complex" not in name]


@pytest.fixture
def kernel(device):
    return partial(run_kernel, device)


def with_ties(dtype, n, seed=0):
    """Values of which many are equal, nan, infinities and both zeros among those of floats."""
    rng = np.random.default_rng(seed)
    x = rng.permutation(operand(dtype, seed, max(n, 1))[:n])
    repeated = rng.integers(0, 5, n).astype(x.dtype)
    return np.where(rng.random(n) < 0.5, repeated, x)


def stable_order(x, axis=-1):
    """NumPy's stable order. NumPy has nan last and equal zeros, too; bfloat16 as float32."""
    return np.argsort(plain(x), axis=axis, kind="stable")


def assert_same_bits(found, expected):
    """Permuted elements keep their bits, those of nan included."""
    assert found.dtype == expected.dtype and found.shape == expected.shape
    assert np.ascontiguousarray(found).tobytes() == np.ascontiguousarray(expected).tobytes()


# ---- sort --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ORDERED)
@pytest.mark.parametrize("n", SIZES)
def test_sort_of_one_operand(kernel, dtype, n):
    x = with_ties(dtype, n)
    assert_same_bits(kernel("sort", x, params=(0, 1)), x[stable_order(x)])


@pytest.mark.parametrize("dtype", FLOATS)
def test_sort_without_special_values_goes_by_keys_alone(kernel, dtype):
    x = with_ties(dtype, 3000)
    x = np.abs(x[~np.isnan(plain(x))]) - x.dtype.type(2)
    x = x[plain(x) != 0]
    assert_same_bits(kernel("sort", x, params=(0, 1)), x[stable_order(x)])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ("int8", "float32", "float64"))
@pytest.mark.parametrize("axis", (0, 1, 2))
def test_sort_along_axes_of_any_strides(kernel, dtype, layout, axis):
    x = lay_out(with_ties(dtype, 3 * 60 * 5).reshape(3, 60, 5), layout)
    value = value_of(x)
    found, order = kernel(
        "sort", x, np.broadcast_to(np.arange(value.shape[axis]).reshape([-1 if i == axis else 1 for i in range(3)]), value.shape).copy(),
        params=(axis, 1), out=[(value.shape, dtype), (value.shape, "int64")],
    )  # fmt: skip
    expected = stable_order(value, axis)
    np.testing.assert_array_equal(order, expected)
    assert_same_bits(found, np.take_along_axis(value, expected, axis))


@pytest.mark.parametrize("payload", NAMES)
def test_payloads_of_all_dtypes_follow(kernel, payload):
    key, x = with_ties("int16", 500), operand(payload, 1, 500)
    found = kernel("sort", key, x, params=(0, 1), out=[(key.shape, key.dtype), (x.shape, x.dtype)])
    assert_same_bits(found[1], x[stable_order(key)])


@generated
@given(
    st.lists(st.sampled_from(("bool", "int8", "uint64", "float16", "float32", "float64")), min_size=1, max_size=4),
    st.data(),
)
def test_lexicographic_keys(device, dtypes, data):
    n = data.draw(st.sampled_from((3, 40, 200)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    keys = [rng.integers(0, 3, n).astype(d) for d in dtypes]
    for key in keys:
        if key.dtype.kind == "f":
            key[rng.random(n) < 0.2] = np.nan
    positions = np.arange(n, dtype="i4")
    outs = [(n, k.dtype) for k in keys] + [(n, "i4")]
    found = run_kernel(device, "sort", *keys, positions, params=(0, len(keys)), out=[((n,), d) for n, d in outs])
    expected = np.lexsort(keys[::-1])
    np.testing.assert_array_equal(found[-1], expected)
    tensors = [pg.Tensor(k, device=device) for k in keys]
    np.testing.assert_array_equal(pg.lexsort(tensors[::-1]).numpy(), expected)


def test_results_do_not_depend_on_threads(tensor):
    x = with_ties("float32", 200 * 300).reshape(200, 300)
    threads, found = pg.num_threads(), []
    try:
        for n in (1, 2, 3):
            pg.set_num_threads(n)
            found.append(pg.argsort(tensor(x), axis=0).numpy())
    finally:
        pg.set_num_threads(threads)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("dtype", ("bool", "int32", "bfloat16"))
@pytest.mark.parametrize("axis", (0, None))
@pytest.mark.parametrize("descending", (False, True))
def test_sort_and_argsort_as_in_jax(tensor, dtype, axis, descending):
    x = with_ties(dtype, 60).reshape(4, 15)
    expected = np.asarray(jnp.sort(x, axis=axis, descending=descending, stable=True))
    np.testing.assert_array_equal(plain(pg.sort(tensor(x), axis, descending).numpy()), plain(expected))
    found = tensor(x).argsort(axis, descending)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found.numpy(), jnp.argsort(x, axis=axis, descending=descending, stable=True))


def test_sort_of_nothing(tensor):
    for shape, axis in (((0,), 0), ((3, 0), 1), ((0, 3), 1), ((3, 0), 0)):
        assert pg.sort(tensor(np.zeros(shape)), axis).numpy().shape == shape
        assert pg.argsort(tensor(np.zeros(shape)), axis, descending=True).numpy().shape == shape


def test_derivatives_of_sort(tensor, rng):
    x, key, ct = rng.normal(size=(4, 5)), rng.integers(0, 2, (4, 5)).astype(float), rng.normal(size=(4, 5))
    t = tensor(x)
    f = lambda m, x: (m.sort(x, axis=0) ** 3 * ct).sum()
    (g,) = pg.grads([t], f(pg, t))
    (gg,) = pg.grads([t], (g * g).sum())
    with jax.enable_x64(True):
        expected = jax.jit(jax.grad(lambda x: f(jnp, x)))
        np.testing.assert_allclose(g.numpy(), expected(x), rtol=1e-14)
        np.testing.assert_allclose(gg.numpy(), jax.jit(jax.grad(lambda x: (expected(x) ** 2).sum()))(x), rtol=1e-14)
        # the payload's derivative goes through the order of the keys
        _, moved = sort_together(tensor(key), t, axis=1, num_keys=1)
        (g,) = pg.grads([t], (moved * moved * ct).sum())
        reference = lambda x: (jax.lax.sort((key, x), dimension=1, num_keys=1)[1] ** 2 * ct).sum()
        np.testing.assert_allclose(g.numpy(), jax.jit(jax.grad(reference))(x), rtol=1e-14)


def test_sort_under_jit_and_vmap(tensor, rng):
    x = rng.normal(size=(3, 4, 5))
    found = pg.jit(pg.vmap(lambda v: pg.sort(v, axis=0), in_axes=1))(tensor(x)).numpy()
    np.testing.assert_array_equal(found, np.sort(np.moveaxis(x, 1, 0), axis=1))


def test_what_sort_refuses(tensor):
    x = tensor(np.zeros((2, 3)))
    for bad in (
        lambda: pg.sort(x, 2),
        lambda: pg.sort(tensor(1.0)),
        lambda: sort_together(x, x[0], axis=0, num_keys=1),
    ):
        with pytest.raises(pg.ShapeError):
            bad()
    with pytest.raises(pg.ArgumentError, match="keys"):
        sort_together(x, axis=0, num_keys=2)
    with pytest.raises(pg.ArgumentError, match="no keys"):
        pg.lexsort([])


# ---- top_k -------------------------------------------------------------------------------------------


def largest(x, k):
    """Positions of the k largest, of equal ones the first."""
    n = x.shape[-1]
    return (n - 1 - stable_order(x[..., ::-1]))[..., ::-1][..., :k]


@pytest.mark.parametrize("dtype", ORDERED)
@pytest.mark.parametrize("n, k", [(1, 1), (5, 0), (7, 7), (300, 3), (600, 299), (600, 600), (5_011, 1), (5_011, 700)])
def test_top_k(kernel, dtype, n, k):
    for x in (with_ties(dtype, n), np.sort(with_ties(dtype, n))):  # ascending: the most work
        values, positions = kernel("top_k", x, out=[((k,), dtype), ((k,), "int32")])
        expected = largest(x, k)
        np.testing.assert_array_equal(positions, expected)
        assert_same_bits(values, x[expected])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ("uint8", "float64"))
def test_top_k_of_rows_of_any_strides(kernel, layout, dtype):
    x = lay_out(with_ties(dtype, 30 * 4 * 70).reshape(30, 4, 70), layout)
    values, positions = kernel("top_k", x, out=[((30, 4, 6), dtype), ((30, 4, 6), "int32")])
    expected = largest(value_of(x), 6)
    np.testing.assert_array_equal(positions, expected)
    assert_same_bits(values, np.take_along_axis(value_of(x), expected, -1))


def test_topk_as_in_jax(tensor, rng):
    x = np.round(rng.normal(size=(5, 40)), 1).astype("f4") + 0.0
    x[0, 3], x[1, :4] = np.nan, np.inf
    values, positions = pg.topk(tensor(x), 6)
    for found, expected in zip((values, positions), jax.lax.top_k(x, 6)):
        np.testing.assert_array_equal(found.numpy(), expected)
    values, positions = tensor(x.T).topk(6, axis=0)
    np.testing.assert_array_equal(positions.numpy().T, jax.lax.top_k(x, 6)[1])
    ct = rng.normal(size=(5, 6)).astype("f4")
    t = tensor(x)
    (g,) = pg.grads([t], (pg.topk(t, 6)[0] * ct).sum())
    np.testing.assert_array_equal(g.numpy(), jax.grad(lambda x: (jax.lax.top_k(x, 6)[0] * ct).sum())(x))


def test_what_topk_refuses(tensor):
    for k in (-1, 4):
        with pytest.raises(pg.ShapeError, match="does not have"):
            pg.topk(tensor([1.0, 2.0, 3.0]), k)


# ---- searchsorted ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ORDERED)
@pytest.mark.parametrize("side", ("left", "right"))
def test_searchsorted(tensor, dtype, side):
    rows, values = with_ties(dtype, 999), with_ties(dtype, 3000, 1).reshape(30, 100)
    rows = rows[stable_order(rows)]
    found = pg.searchsorted(tensor(rows), tensor(values), side)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found.numpy(), np.searchsorted(plain(rows), plain(values), side))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_searchsorted_in_rows_of_any_strides(kernel, layout):
    values = np.random.default_rng(0).integers(0, 9, (6, 40, 5))
    rows = lay_out(np.sort(np.random.default_rng(1).integers(0, 9, (6, 40, 5)), -1), "broadcast")
    values = lay_out(values, layout)
    found = kernel("searchsorted", rows, values, params=(1,), out=((6, 40, 5), "int32"))
    for i in np.ndindex(6, 40):
        np.testing.assert_array_equal(found[i], np.searchsorted(value_of(rows)[i], value_of(values)[i], "right"))


def test_searchsorted_of_numbers_and_of_nothing(tensor):
    assert pg.searchsorted(tensor([1.0, 2.0, 4.0]), 2).item() == 1
    assert pg.searchsorted(tensor(np.zeros(0)), tensor([1.0])).tolist() == [0]
    assert pg.searchsorted(tensor([1.0]), tensor(np.zeros((0, 2)))).shape == (0, 2)
    mapped = pg.vmap(lambda v: pg.searchsorted(tensor([1.0, 2.0]), v))(tensor([[0.0, 3.0], [1.5, 2.0]]))
    assert mapped.tolist() == [[0, 2], [1, 1]]


def test_what_searchsorted_refuses(tensor):
    x = tensor([1.0, 2.0])
    with pytest.raises(pg.ArgumentError, match="side"):
        pg.searchsorted(x, x, "middle")
    with pytest.raises(pg.ShapeError, match="all axes but the last"):
        pg.searchsorted(tensor(np.zeros((2, 3))), tensor(np.zeros((3, 2))))
    with pytest.raises(pg.DtypeError, match="differ in dtype"):
        search_rows(x, tensor(np.int32([1])), side="left")


# ---- quantiles ---------------------------------------------------------------------------------------

FRACTIONS = (0.0, 0.1, 0.25, 0.5, 0.7, 1.0)


@pytest.mark.parametrize("method", ("linear", "lower", "higher", "midpoint"))
@pytest.mark.parametrize("n", (1, 2, 5, 8))
def test_quantiles(tensor, rng, method, n):
    x = rng.normal(size=(3, n, 2))
    for axis, keepdims in ((1, False), (None, False), ((0, 2), True), ((2, 0), False)):
        for q in (0.3, np.array(FRACTIONS)):
            expected = np.quantile(x, q, axis=axis, keepdims=keepdims, method=method)
            found = pg.quantile(tensor(x), q, axis, keepdims, method=method).numpy()
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)  # another order of two products
            found = tensor(x).percentile(100 * q, axis, keepdims, method=method).numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_the_nearest_of_two_equally_near_elements_is_the_lower(tensor):
    x = np.arange(5.0)
    q = np.arange(0, 33) / 32
    with jax.enable_x64(True):
        expected = jnp.quantile(x, q, method="nearest")
    np.testing.assert_array_equal(pg.quantile(tensor(x), q, method="nearest").numpy(), expected)


@pytest.mark.parametrize("dtype", ("int32", "uint8", "float16", "bfloat16", "float32", "float64"))
def test_medians(tensor, rng, dtype):
    for n in (1, 4, 7):
        x = plain(rng.integers(0, 50, (3, n)).astype(pg.dt.bfloat16 if dtype == "bfloat16" else dtype))
        found = tensor(x, dtype).median(axis=1)
        assert found.dtype.name == (dtype if dtype in FLOATS else "float32")
        np.testing.assert_array_equal(plain(found.numpy()), np.median(x, axis=1).astype(found.numpy().dtype))
    assert tensor(np.arange(6.0).reshape(2, 3)).median().item() == 2.5


def test_quantiles_of_nan_and_infinity(tensor):
    x = tensor([[1.0, np.nan, 2.0], [1.0, np.inf, np.inf], [-np.inf, -np.inf, 0.0]])
    np.testing.assert_array_equal(x.quantile(0.75, axis=1).numpy(), [np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(x.median(axis=1).numpy(), [np.nan, np.inf, -np.inf])
    assert x.quantile(0.2, axis=1).tolist()[2] == -np.inf


def test_derivatives_of_quantiles(tensor, rng):
    x, q = rng.normal(size=(3, 6)), np.array([0.3, 0.9])
    f = lambda m, x, q: (m.quantile(x, q, axis=1) ** 2).sum() + (m.median(x, axis=0) ** 2).sum()
    t, tq = tensor(x), tensor(q)
    with jax.enable_x64(True):
        expected = jax.jit(jax.grad(partial(f, jnp), argnums=(0, 1)))(x, q)
    for found, e in zip(pg.grads([t, tq], f(pg, t, tq)), expected):
        np.testing.assert_allclose(found.numpy(), e, rtol=1e-12)


def test_what_quantile_refuses(tensor):
    x = tensor(np.zeros((2, 0)))
    with pytest.raises(pg.ShapeError, match="empty"):
        x.median(axis=1)
    with pytest.raises(pg.ArgumentError, match="method"):
        pg.quantile(tensor([1.0]), 0.5, method="magic")
