"""Kernels of whole arrays (reductions, products, moves) against NumPy, and the same bits in all circumstances."""

import itertools
import os
import subprocess
import sys
from collections import namedtuple
from functools import partial

import numpy as np
import pytest
from conftest import FULL
from kernels import (
    COMPLEX,
    FLOATS,
    INTEGERS,
    LARGE,
    LAYOUTS,
    LOGICAL,
    REAL,
    SIGNED,
    UNSIGNED,
    assert_same,
    complex_product,
    lay_out,
    numpy_dtype,
    operand,
    plain,
    run_kernel,
    through_float32,
    ulp,
    value_of,
)  # fmt: skip

import pequegrad as pg
from pequegrad.core.dtype import NAMES
from pequegrad.runtime import library

INF, NAN = np.inf, np.nan

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's warnings about nan and overflow


@pytest.fixture
def kernel(device):
    return partial(run_kernel, device)


# ---- reductions --------------------------------------------------------------------------------------

REDUCTIONS = {
    "reduce_sum": (REAL, np.add, np.logical_or), "reduce_prod": (REAL, np.multiply, np.logical_and),
    "reduce_max": (REAL, np.maximum, np.logical_or), "reduce_min": (REAL, np.minimum, np.logical_and),
    "reduce_and": (LOGICAL, np.bitwise_and, np.logical_and), "reduce_or": (LOGICAL, np.bitwise_or, np.logical_or),
}  # fmt: skip


def lowest_and_highest(dtype):
    if dtype in FLOATS:
        return -INF, INF
    return (False, True) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)


def identity_of(name, dtype):
    low, high = lowest_and_highest(dtype)
    all_bits = True if dtype == "bool" else np.array(-1).astype(dtype)
    return {
        "reduce_sum": 0,
        "reduce_prod": 1,
        "reduce_max": low,
        "reduce_min": high,
        "reduce_and": all_bits,
        "reduce_or": 0,
    }[name]


def reduced(name, x, axes):
    """The reference: exact for integers, in float64 for floats."""
    dtype = x.dtype.name
    _, ufunc, logical = REDUCTIONS[name]
    if dtype == "bool":
        return logical.reduce(x, axis=axes)
    initial = identity_of(name, dtype)
    wide = x.astype(np.float64) if dtype in FLOATS else x
    return ufunc.reduce(wide, axis=axes, dtype=wide.dtype, initial=initial)


def check_reduction(name, x, axes, found):
    """Exact, but for float sums and products: blocks of lanes give errors of a few ulp of the sum of magnitudes."""
    expected = reduced(name, x, axes)
    if x.dtype.name not in FLOATS or name not in ("reduce_sum", "reduce_prod"):
        return assert_same(found, np.asarray(expected).astype(x.dtype), signs=False)
    computed = np.float64 if x.dtype == np.float64 else np.float32
    magnitude = np.abs(x.astype(np.float64))
    count = x.size // max(found.size, 1)
    if name == "reduce_sum":  # 128 rows one after another, then trees
        bound = min(count, 160) * np.finfo(computed).eps * magnitude.sum(axis=axes)
    else:
        bound = count * np.finfo(computed).eps * np.abs(expected)
    bound = bound + ulp(expected, x.dtype.name) / 2  # the result's own rounding
    assert (np.abs(found.astype(np.float64) - expected) <= bound).all()


@pytest.mark.parametrize(
    "name, dtype", [(n, d) for n, (dtypes, *_) in REDUCTIONS.items() for d in dtypes], ids=lambda v: v
)
def test_reductions(kernel, name, dtype):
    rng = np.random.default_rng(0)
    for shape in ((7, 1, 33, 5), (300, 17), (2, 4001), (0, 3, 2)):
        x = operand(dtype, 3, int(np.prod(shape))) if dtype not in FLOATS else rng.uniform(0.9, 1.1, shape)
        x = x.reshape(shape).astype(numpy_dtype(dtype))
        if dtype in FLOATS and name in ("reduce_sum", "reduce_max", "reduce_min"):
            x = (x - 1).astype(x.dtype)
        subsets = [axes for n in range(len(shape) + 1) for axes in itertools.combinations(range(len(shape)), n)]
        for axes, layout in zip(subsets, itertools.cycle(LAYOUTS if x.size else ("dense",))):
            view = lay_out(x, layout)
            value = value_of(view)
            out = tuple(n for i, n in enumerate(shape) if i not in axes)
            check_reduction(name, value, axes, kernel(name, view, params=axes, out=(out, x.dtype)))


@pytest.mark.parametrize("name", ("reduce_max", "reduce_min"))
@pytest.mark.parametrize("dtype", FLOATS)
def test_nan_wins_extrema(kernel, name, dtype):
    x = np.random.default_rng(0).normal(size=(40, 300)).astype(numpy_dtype(dtype))
    rows = range(40)
    x[rows, [7 * i % 300 for i in rows]] = NAN
    for layout in ("dense", "transposed", "reversed", "sliced"):
        for axes, size in (((0,), 300), ((1,), 40)):
            check_reduction(name, x, axes, kernel(name, lay_out(x, layout), params=axes, out=((size,), x.dtype)))


def test_sum_of_a_million_values(kernel):
    rng = np.random.default_rng(0)
    for x in (rng.uniform(size=10**6), rng.normal(size=10**6) + 1, np.full(10**6, 0.1)):
        x = x.astype("f4")
        for view, axes in (
            (x, (0,)),
            (x.reshape(1000, 1000), (0, 1)),
            (lay_out(x.reshape(1000, 1000), "transposed"), (0, 1)),
        ):
            found = kernel("reduce_sum", view, params=axes, out=((), "f4"))
            # a sum one by one is wrong by 1e-4; in lanes and blocks the error grows like log n: 20 steps of 6e-8
            assert abs(float(found) / x.astype("f8").sum() - 1) < 1e-6
    assert kernel("reduce_sum", np.ones(70_000, "f2"), params=[0], out=((), "f2")) == INF  # accumulated in float32
    assert kernel("reduce_sum", np.ones(60_000, "f2"), params=[0], out=((), "f2")) == 60_000


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("name", ("argmax", "argmin"))
def test_arg_reductions(kernel, name, dtype):
    rng, reference = np.random.default_rng(0), getattr(np, name)
    for shape in ((5, 40, 7), (3, 1000), (1, 1)):
        x = rng.integers(0, 2 if dtype == "bool" else 5, shape).astype(numpy_dtype(dtype))  # with many ties
        views = [x]
        if dtype in SIGNED:
            views = [np.where(x == 4, np.iinfo(dtype).min, np.where(x == 3, np.iinfo(dtype).max, x))]
        if dtype in FLOATS:
            mixed = x.copy()
            mixed[..., ::7] = -INF
            mixed[..., 3::11] = INF
            views = [x, mixed, np.where(rng.uniform(size=shape) < 0.05, x.dtype.type(NAN), x).astype(x.dtype), -x * 0]
        for (value, layout), axis in itertools.product(itertools.product(views, LAYOUTS), range(len(shape))):
            view = lay_out(value, layout)
            value = plain(value_of(view))
            for out in (np.int32, np.int64):
                kept = value.shape[:axis] + value.shape[axis + 1 :]
                found = kernel(name, view, params=[axis], out=(kept, out))
                np.testing.assert_array_equal(found, reference(value, axis=axis))


# ---- products ----------------------------------------------------------------------------------------

Product = namedtuple("Product", "lhs rhs contract batch", defaults=[((), ())])
PRODUCTS = [
    Product((7, 5), (5, 3), ((1,), (0,))), Product((5, 7), (3, 5), ((0,), (1,))),
    Product((33, 65), (65, 17), ((1,), (0,))), Product((129, 70), (70, 131), ((1,), (0,))),
    Product((9,), (9,), ((0,), (0,))), Product((6, 9), (9,), ((1,), (0,))), Product((9,), (9, 6), ((0,), (0,))),
    Product((70, 300), (300,), ((1,), (0,))), Product((300, 70), (300,), ((0,), (0,))), Product((1, 300), (300, 65), ((1,), (0,))),
    Product((3,), (4,), ((), ())), Product((2, 3), (4, 5), ((), ())), Product((1, 1), (1, 1), ((1,), (0,))),
    Product((3, 0), (0, 4), ((1,), (0,))), Product((0, 3), (3, 4), ((1,), (0,))), Product((4, 0, 3), (4, 0, 5), ((1,), (1,)), ((0,), (0,))),
    Product((4, 3, 6), (4, 6, 5), ((2,), (1,)), ((0,), (0,))), Product((3, 4, 6), (6, 5, 4), ((2,), (0,)), ((1,), (2,))),
    Product((2, 3, 4, 5), (3, 2, 5, 6), ((3,), (2,)), ((0, 1), (1, 0))),
    Product((3, 4, 5), (5, 4, 2), ((1, 2), (1, 0))), Product((6, 3, 4, 5), (5, 6, 4), ((2, 3), (2, 0)), ((0,), (1,))),
    Product((2, 3, 4), (2, 3, 4), ((0, 1, 2), (0, 1, 2))), Product((5,), (5,), ((), ()), ((0,), (0,))),
    Product((2, 9000), (9000, 3), ((1,), (0,))), Product((1, 2, 16500), (2, 16500, 1), ((2,), (1,)), ((1,), (0,))),
]  # fmt: skip


def letters(product):
    """(letters of lhs, of rhs, of the result) for einsum."""
    unused, names = iter("abcdefghijklmnop"), [[None] * len(product.lhs), [None] * len(product.rhs)]
    shared = {}
    for kind in ("batch", "contract"):
        for i, j in zip(*getattr(product, kind)):
            names[0][i] = names[1][j] = shared.setdefault((kind, i), next(unused))
    for side in names:
        side[:] = [name or next(unused) for name in side]
    batch = [names[0][i] for i in product.batch[0]]
    free = [n for side, axes in zip(names, zip(product.contract, product.batch)) for i, n in enumerate(side) if i not in (*axes[0], *axes[1])]  # fmt: skip
    return "".join(names[0]), "".join(names[1]), "".join(batch + free)


def dot_general(kernel, product, x, y, dtype):
    """(found, the einsum that gives it): x and y are arrays or Views."""
    values = [value_of(v) for v in (x, y)]
    a, b, c = letters(product)
    shape = tuple(dict(zip(a + b, values[0].shape + values[1].shape))[n] for n in c)
    params = [len(product.batch[0]), len(product.contract[0]), *product.batch[0], *product.batch[1], *product.contract[0], *product.contract[1]]  # fmt: skip
    return kernel("dot_general", x, y, params=params, out=(shape, dtype)), partial(
        np.einsum, f"{a},{b}->{c}", optimize=True
    )


WIDER = {"float16": ["float32", "float64"], "bfloat16": ["float32"], "float32": ["float64"], "int8": ["int32"], "uint8": ["uint16"], "int32": ["int64"]}  # fmt: skip


@pytest.mark.parametrize("dtype", REAL)
def test_dot_general(kernel, dtype):
    """Small integers: their products and sums are exact in every dtype, whatever the order."""
    rng = np.random.default_rng(0)
    for product, layouts in zip(PRODUCTS, itertools.cycle(itertools.product(LAYOUTS, LAYOUTS))):
        x, y = (
            rng.integers(0 if dtype in ("bool", *UNSIGNED) else -3, 4, s).astype(numpy_dtype(dtype))
            for s in product[:2]
        )
        x, y = (v if not v.size or 0 in v.shape else lay_out(v, layout) for v, layout in zip((x, y), layouts))
        for out in [dtype, *WIDER.get(dtype, ())]:
            found, einsum = dot_general(kernel, product, x, y, numpy_dtype(out))
            wide = [value_of(v).astype(np.float64) for v in (x, y)]
            exact = einsum(*wide)
            if out == "bool":
                expected = exact > 0
            elif out in FLOATS:
                expected = exact.astype(numpy_dtype(out))
            else:
                expected = exact.astype(np.int64).astype(out)
            assert_same(found, expected, signs=False)


@pytest.mark.parametrize("dtype", FLOATS)
def test_dot_general_is_accurate(kernel, dtype):
    rng = np.random.default_rng(0)
    for product in PRODUCTS:
        x, y = (rng.normal(size=s).astype(numpy_dtype(dtype)) for s in product[:2])
        found, einsum = dot_general(kernel, product, x, y, numpy_dtype(dtype))
        wide = np.longdouble if dtype == "float64" else np.float64
        x, y = x.astype(wide), y.astype(wide)
        count = int(np.prod([product.lhs[i] for i in product.contract[0]]))
        # the error bound of a sum in any order, and the rounding of the result
        eps = 2.0 ** -(53 if dtype == "float64" else 24)
        bound = (count + 1) * eps * einsum(np.abs(x), np.abs(y)) + ulp(einsum(x, y), dtype) / 2
        assert (np.abs(found.astype(wide) - einsum(x, y)) <= bound).all()


def test_dot_general_of_wrapping_integers(kernel):
    rng = np.random.default_rng(0)
    for dtype in INTEGERS:
        info = np.iinfo(dtype)
        x, y = (rng.integers(info.min, info.max, s, dtype, endpoint=True) for s in ((9, 20), (20, 11)))
        found, _ = dot_general(kernel, Product((9, 20), (20, 11), ((1,), (0,))), x, y, np.dtype(dtype))
        assert_same(found, (x[:, :, None] * y).sum(1, dtype=dtype))


# ---- moving data -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NAMES)
def test_moving_data(kernel, dtype):
    x = operand(dtype, 0, 7 * 6 * 5).reshape(7, 6, 5)
    y = operand(dtype, 1, 2 * 6 * 5).reshape(2, 6, 5)
    for layout, other in zip(LAYOUTS, LAYOUTS[::-1]):
        a, b = lay_out(x, layout), lay_out(y, other)
        va, vb = (value_of(v) for v in (a, b))
        assert_same(kernel("copy", a), np.ascontiguousarray(va))
        assert_same(kernel("reshape", a, out=((6, 35), x.dtype)), va.reshape(6, 35))
        assert_same(kernel("concatenate", a, b, a, params=[0], out=((16, 6, 5), x.dtype)), np.concatenate([va, vb, va]))
        expected = va.copy()
        expected[1:7:5, :, :] = vb
        assert_same(kernel("slice_update", a, b, params=[1, 0, 0, 5, 1, 1], out=(x.shape, x.dtype)), expected)
        padded = np.full((10, 4, 13), y[1, 2, 3])
        padded[2:9, :, 3:12:2] = va[:, 1:5, :]
        found = kernel(
            "pad", a, y[1, 2, 3].reshape(()), params=[2, -1, 3, 1, -1, 1, 0, 0, 1], out=(padded.shape, x.dtype)
        )
        assert_same(found, padded)
    if dtype != "bool":
        for axis in range(3):
            count = (
                np.arange((300, 4, 5)[axis])
                .astype(numpy_dtype(dtype))
                .reshape([-1 if i == axis else 1 for i in range(3)])
            )
            found = kernel("iota", params=[axis], out=((300, 4, 5), numpy_dtype(dtype)))
            assert_same(found, np.broadcast_to(count, (300, 4, 5)))


def flat(*lists):
    return [number for items in lists for number in (len(items), *items)]


ROWS = flat([1], [0], [], [], [0], [1, 5])  # whole rows of 5, by an index of axis 0
INDEX = np.array([[3], [-1], [0], [6], [7], [3], [0], [100]])
INSIDE = (INDEX[:, 0] >= 0) & (INDEX[:, 0] < 7)


def out_of_range(dtype):
    if dtype in FLOATS + COMPLEX:
        return NAN
    return True if dtype == "bool" else np.iinfo(dtype).max if dtype in UNSIGNED else np.iinfo(dtype).min


@pytest.mark.parametrize("dtype", NAMES)
def test_gather(kernel, dtype):
    x = operand(dtype, 0, 35).reshape(7, 5)
    inside = INSIDE[:, None]
    nearest = x[np.clip(INDEX[:, 0], 0, 6)]
    fills = np.array(out_of_range(dtype)).astype(x.dtype), np.zeros((), x.dtype)
    expected = [nearest, *[np.where(inside, nearest, fill).astype(x.dtype) for fill in fills]]
    for layout in ("dense", "transposed", "reversed", "sliced"):
        for mode, value in enumerate(expected):
            for index in (INDEX, INDEX.astype(np.int8), lay_out(INDEX, "reversed")):
                found = kernel("gather", lay_out(x, layout), index, params=[mode, *ROWS], out=((8, 5), x.dtype))
                assert_same(found, value)


def combined(combine, x, rows, updates):
    """What scatter gives, one update after another."""
    x = x.copy()
    logical = {
        np.add: np.logical_or,
        np.multiply: np.logical_and,
        np.minimum: np.logical_and,
        np.maximum: np.logical_or,
    }
    f = (None, np.add, np.multiply, np.minimum, np.maximum)[combine]
    if f and x.dtype == bool:
        f = logical[f]
    if f is np.multiply and x.dtype.kind == "c":
        f = complex_product
    for row, update in zip(rows, updates):
        if row is not None:
            x[row] = through_float32(f)(x[row], update) if f else update
    return x


@pytest.mark.parametrize("combine", range(5), ids=("set", "add", "mul", "min", "max"))
@pytest.mark.parametrize("dtype", NAMES)
def test_scatter(kernel, dtype, combine):
    if dtype in COMPLEX and combine > 2:
        with pytest.raises(pg.DtypeError, match=f"min and max are not defined for {dtype}"):
            kernel("scatter", *(np.zeros(s, dtype) for s in ((7, 5),)), INDEX, np.zeros((8, 5), dtype),
                   params=[combine, 0, *ROWS], out=((7, 5), dtype))  # fmt: skip
        return
    x, updates = operand(dtype, 0, 35).reshape(7, 5), operand(dtype, 1, 40).reshape(8, 5)
    clipped = list(np.clip(INDEX[:, 0], 0, 6))
    for layout, other in zip(("dense", "transposed", "reversed", "sliced", "dense"), LAYOUTS[::-1]):
        view = lay_out(updates, other)
        values = value_of(view)
        for mode, rows in ((0, clipped), (1, [row if fits else None for row, fits in zip(clipped, INSIDE)])):
            found = kernel(
                "scatter", lay_out(x, layout), INDEX, view, params=[combine, mode, *ROWS], out=(x.shape, x.dtype)
            )
            assert_same(found, combined(combine, x, rows, values), signs=combine < 3)


def test_threefry(kernel):
    """The test vectors of the paper's reference implementation (Random123, kat_vectors, threefry2x32 20)."""
    ones = 0xFFFFFFFF
    for key, counter, expected in (
        ([0, 0], [0, 0], [0x6B200159, 0x99BA4EFE]),
        ([ones, ones], [ones, ones], [0x1CB996FC, 0xBB002BE7]),
        ([0x13198A2E, 0x03707344], [0x243F6A88, 0x85A308D3], [0xC4923A9C, 0x483DF7A0]),
    ):
        key, counter = np.array(key, np.uint32), np.array(counter, np.uint32)
        found = kernel("threefry2x32", key, counter[:1], counter[1:], out=[((1,), np.uint32)] * 2)
        assert [int(v[0]) for v in found] == expected


# ---- the same bits in all circumstances --------------------------------------------------------------


def digests(kernel, names):
    """Bytes of results large enough to be shared out over threads."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 701, 503)).astype("f4")
    matrix = Product(x.shape, x.T.shape, ((1,), (0,)))
    places = rng.integers(0, 701, (4000, 1))
    results = {
        "elementwise": lambda: kernel("mul", x, lay_out(y, "transposed")),
        "convert": lambda: kernel("convert", x * 100, out=(x.shape, np.int8)),
        "reduce": lambda: np.concatenate([
            kernel("reduce_sum", lay_out(x, layout), params=axes, out=(shape, "f4")).ravel()
            for layout in LAYOUTS for axes, shape in (((0,), (503,)), ((1,), (701,)), ((0, 1), ()))]),
        "argmax": lambda: kernel("argmax", x, params=[0], out=((503,), np.int32)),
        "scatter": lambda: kernel("scatter", x, places, y[places[:, 0]], params=[1, 0, *flat([1], [0], [], [], [0], [1, 503])], out=(x.shape, x.dtype)),
        "gather": lambda: kernel("gather", x, places, params=[0, *flat([1], [0], [], [], [0], [1, 503])], out=((4000, 503), x.dtype)),
        "random": lambda: kernel("random_bits", np.array([1, 2], np.uint32), out=((LARGE,), np.uint64)),
        "integer product": lambda: dot_general(kernel, matrix, x.astype("i4"), y.T.astype("i4"), np.dtype("i4"))[0],
        "pad": lambda: kernel("pad", x, np.float32(1).reshape(()), params=[1, 2, 3, 4, 1, 1], out=((1405, 1011), x.dtype)),
        "cumulative": lambda: np.concatenate([
            kernel(name, v, params=[axis, 0]).ravel()
            for name in ("cumsum", "cumprod", "cummax") for v, axis in ((x, 0), (x, 1), (x.ravel(), 0))]),
        "sort": lambda: kernel("sort", x, params=[1, 1]),
        "functions": lambda: kernel("tanh", x) + kernel("exp", lay_out(x, "sliced")),
        "product": lambda: dot_general(kernel, matrix, x, y.T.copy(), x.dtype)[0],
        "half product": lambda: dot_general(kernel, matrix, x.astype("f2"), y.T.astype("f2"), np.dtype("f4"))[0],
        "vector product": lambda: dot_general(kernel, Product(x.shape, (503,), ((1,), (0,))), x, y[0], x.dtype)[0],
        "long product": lambda: dot_general(kernel, Product((3, LARGE), (LARGE, 2), ((1,), (0,))), np.resize(x, (3, LARGE)), np.resize(y, (LARGE, 2)), x.dtype)[0],
    }  # fmt: skip
    return {name: results[name]().tobytes() for name in names or results}


def test_number_of_threads_changes_nothing(kernel):
    before = pg.num_threads()
    try:
        found = []
        for n in (1, 2, 3):
            pg.set_num_threads(n)
            found.append(digests(kernel, ()))
        for name in found[0]:
            assert found[0][name] == found[1][name] == found[2][name], name
    finally:
        pg.set_num_threads(before)


EXACT_EVERYWHERE = (
    "elementwise",
    "convert",
    "reduce",
    "argmax",
    "cumulative",
    "sort",
    "scatter",
    "gather",
    "random",
    "integer product",
    "pad",
)
inner = pytest.mark.skipif("PG_TEST_INNER" in os.environ, reason="runs these tests again in another environment")


def again(device, files, selection, **environment):
    """Runs tests in a new process with these environment variables."""
    paths = [os.path.join(os.path.dirname(os.path.abspath(__file__)), name) for name in files]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths, "--device", str(device).lower()]
    command += ["-k", selection] if selection else []
    result = subprocess.run(command, env={**os.environ, "PG_TEST_INNER": "1", **environment}, capture_output=True, text=True, timeout=300)  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:]


@inner
def test_own_matrix_product(device):
    """The tests of dot_general ran with OpenBLAS, if it is installed; here they run with the own kernel."""
    again(device, ["test_array_kernels.py"], "dot_general or threads or which_product", PG_BLAS="none")


def test_which_product_is_used(device):
    device.handle  # noqa: B018  opens it
    path = library.ffi.string(library.lib.pg_cpu_blas()).decode()
    assert path == "" if "PG_BLAS" in os.environ else "openblas" in path


@inner
@pytest.mark.parametrize("isa", ("base", "v3"))
def test_instruction_sets_agree(device, kernel, isa, tmp_path):
    """What is exact or summed has the same bits on every instruction set; with FULL, all tests of kernels pass on each."""
    for name, found in digests(kernel, EXACT_EVERYWHERE).items():
        (tmp_path / name).write_bytes(found)
    files = ["test_kernels.py", "test_array_kernels.py"] if FULL else ["test_array_kernels.py"]
    again(device, files, "" if FULL else "as_other", PG_ISA=isa, PG_TEST_DIGESTS=str(tmp_path))


@pytest.mark.skipif("PG_TEST_DIGESTS" not in os.environ, reason="run by test_instruction_sets_agree")
def test_same_as_other_instruction_set(kernel):
    for name, found in digests(kernel, EXACT_EVERYWHERE).items():
        with open(os.path.join(os.environ["PG_TEST_DIGESTS"], name), "rb") as file:
            assert file.read() == found, name


@pytest.mark.parametrize("combine", ["add", "set"])
def test_overlapping_windows_are_scattered_in_order(combine, device, rng):
    """Two million updates in windows that begin anywhere: the same bits with any number of threads, and NumPy's order."""
    import pequegrad as pg
    from pequegrad.primitives.indexing import Places, scatter

    x, starts = rng.normal(size=4096).astype("f4"), rng.integers(0, 3073, (2000, 1))
    updates = rng.normal(size=(2000, 1024)).astype("f4")
    expected = x.copy()
    for (start,), window in zip(starts, updates):
        if combine == "add":
            expected[start : start + 1024] += window
        else:
            expected[start : start + 1024] = window
    before = pg.num_threads()
    try:
        for n in (1, 2, 4):
            pg.set_num_threads(n)
            operands = [pg.Tensor(a, device=device) for a in (x, starts, updates)]
            params = {"places": Places(window=(1,), index_map=(0,)), "mode": "clip", "unique": False}
            np.testing.assert_array_equal(scatter(*operands, combine=combine, **params).numpy(), expected)
    finally:
        pg.set_num_threads(before)
