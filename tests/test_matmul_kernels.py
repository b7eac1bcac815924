"""Products of floating-point matrices around the edges of tiles and blocks, and `dot_generated`, against NumPy."""

import itertools
import os
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from kernels import FLOATS, View, numpy_dtype, run_kernel, ulp, value_of

import pequegrad as pg
from pequegrad.core.errors import ArgumentError
from pequegrad.core.node import make_aval
from pequegrad.runtime.library import Code, Operation

EDGES = (1, 2, 3, 5, 6, 7, 8, 11, 12, 13, 15, 16, 17, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 70)
TYPES = ("float32", "float64")


@pytest.fixture
def kernel(device):
    return partial(run_kernel, device)


@pytest.fixture
def each_number_of_threads():
    before = pg.num_threads()
    yield lambda: (pg.set_num_threads(n) or n for n in (1, 2, 3, 7))
    pg.set_num_threads(before)


def operand(rng, shape, dtype, layout):
    """Normal numbers that lie dense, transposed, as every third row of a larger array, or with gaps of NaN all around."""
    x = rng.normal(size=shape).astype(numpy_dtype(dtype))
    if layout == "transposed":
        return View(x, np.ascontiguousarray(x.T), "transpose", (1, 0))
    if layout == "rows":
        base = np.full((3 * shape[0] + 1, shape[1] + 5), np.nan, x.dtype)
        base[1::3, 2:-3] = x
        return View(x, base, "slice", (1, 2, 3, 1))
    if layout == "scattered":
        base = np.full((2 * shape[0] + 1, 2 * shape[1] + 1), np.nan, x.dtype)
        base[1::2, 1::2] = x
        return View(x, base, "slice", (1, 1, 2, 2))
    return x


LAYOUTS = ("dense", "transposed", "rows", "scattered")


def multiply(kernel, x, y, out=None):
    (m, _), (_, n) = value_of(x).shape, value_of(y).shape
    return kernel("dot_general", x, y, params=[0, 1, 1, 0], out=((m, n), out or value_of(x).dtype))


def assert_close(found, x, y):
    """Within the bound for sums in any order, and of the rounding of the result."""
    dtype = value_of(x).dtype
    wide = np.longdouble if dtype == np.float64 else np.float64
    x, y = value_of(x).astype(wide), value_of(y).astype(wide)
    eps = 2.0 ** -(53 if dtype == np.float64 else 24)
    bound = (x.shape[-1] + 1) * eps * (np.abs(x) @ np.abs(y))
    if found.dtype.itemsize < 4:
        bound = bound + ulp(x @ y, str(found.dtype)) / 2
    assert (np.abs(found.astype(wide) - x @ y) <= bound).all()


@pytest.mark.parametrize("dtype", TYPES)
def test_every_edge(kernel, rng, dtype):
    layouts = itertools.cycle(itertools.product(LAYOUTS, LAYOUTS))
    for m, n, k, (a, b) in zip(*(rng.permutation(np.tile(EDGES, 5)) for _ in range(3)), layouts):
        x, y = operand(rng, (m, k), dtype, a), operand(rng, (k, n), dtype, b)
        assert_close(multiply(kernel, x, y), x, y)


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_layout(kernel, rng, dtype):
    for (m, n, k), a, b in itertools.product(((45, 70, 300), (200, 100, 33), (5, 40, 600)), LAYOUTS, LAYOUTS):
        x, y = operand(rng, (m, k), dtype, a), operand(rng, (k, n), dtype, b)
        for out in {dtype, "float64" if dtype == "float64" else "float32"}:
            assert_close(multiply(kernel, x, y, numpy_dtype(out)), x, y)


# rows at distances of 4096 bytes, several blocks of depth, of columns, of rows, and slabs of packed operands
LARGE = (
    (300, 200, 1024),
    (1024, 70, 257),
    (97, 600, 512),
    (33, 5000, 40),
    (130, 40, 9000),
    (20, 1100, 300),
    (700, 10, 1000),
)


@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_number_of_threads_changes_nothing(kernel, rng, each_number_of_threads, shape):
    m, n, k = shape
    for dtype, a, b in (("float32", "dense", "dense"), ("float32", "transposed", "dense"), ("float64", "dense", "transposed"), ("bfloat16", "rows", "rows")):  # fmt: skip
        x, y = operand(rng, (m, k), dtype, a), operand(rng, (k, n), dtype, b)
        found = [
            multiply(kernel, x, y, np.dtype("f8" if dtype == "float64" else "f4")) for _ in each_number_of_threads()
        ]
        assert_close(found[0], x, y)
        assert all(found[0].tobytes() == other.tobytes() for other in found[1:])


def test_rows_do_not_depend_on_other_rows(kernel, rng):
    x, y = rng.normal(size=(400, 700)).astype("f4"), rng.normal(size=(700, 210)).astype("f4")
    whole = multiply(kernel, x, y)
    for rows in (2, 13, 96, 97, 300):
        assert multiply(kernel, x[:rows].copy(), y).tobytes() == whole[:rows].tobytes()
    for columns in (2, 33, 200):
        assert multiply(kernel, x, y[:, :columns].copy()).tobytes() == whole[:, :columns].tobytes()


@pytest.mark.parametrize("dtype", FLOATS)
def test_nan_and_infinity_reach_their_rows_and_columns(kernel, rng, dtype):
    for m, n, k in ((13, 33, 7), (64, 70, 65), (200, 40, 300)):
        x, y = (rng.integers(-2, 3, s).astype(numpy_dtype(dtype)) for s in ((m, k), (k, n)))
        x[m // 2, k - 1], x[0, 0], y[k // 2, n - 1], y[0] = np.nan, np.inf, -np.inf, 0
        with np.errstate(invalid="ignore"):
            expected = x.astype("f8") @ y.astype("f8")
        for layout in (0, 1):
            b = View(y, np.ascontiguousarray(y.T), "transpose", (1, 0)) if layout else y
            np.testing.assert_array_equal(multiply(kernel, x, b).astype("f8"), expected)


@pytest.mark.parametrize("dtype", ("float32", "float64", "bfloat16"))
def test_heads_inside_rows(kernel, rng, each_number_of_threads, dtype):
    """Attention's products of heads that lie inside rows of all heads, read where they are."""
    batch, length, heads, size = 3, 50, 4, 24
    qkv = rng.normal(size=(batch, length, 3 * heads, size)).astype(numpy_dtype(dtype))
    q, k, v = (View(qkv[:, :, i * heads : (i + 1) * heads], qkv, "slice", (0, 0, i * heads, 0, 1, 1, 1, 1)) for i in range(3))  # fmt: skip
    move = lambda x: value_of(x).transpose(0, 2, 1, 3)
    out = np.dtype("f8" if dtype == "float64" else "f4")
    scores = [
        kernel("dot_general", q, k, params=[2, 1, 0, 2, 0, 2, 3, 3], out=((batch, heads, length, length), out))
        for _ in each_number_of_threads()
    ]
    assert_close(scores[0], move(q), move(k).swapaxes(2, 3))
    assert all(scores[0].tobytes() == other.tobytes() for other in scores)
    weights = scores[0].astype(qkv.dtype)
    summed = kernel("dot_general", weights, v, params=[2, 1, 0, 1, 0, 2, 3, 1], out=((batch, heads, length, size), out))
    assert_close(summed, weights, move(v))
    gradient = kernel(
        "dot_general", weights, q, params=[2, 1, 0, 1, 0, 2, 2, 1], out=((batch, heads, length, size), out)
    )
    assert_close(gradient, weights.swapaxes(2, 3), move(q))


# ---- dot_generated -----------------------------------------------------------------------------------

SOURCE = r"""
#include <stdint.h>
#define KERNEL(name) void name(void *const *buffers, int64_t begin, int64_t end, void *scratch)
#define BIAS_RELU(T) \
    KERNEL(bias_relu_##T) /* bias, product -> relu(product + bias); a unit is one row of 70 */ \
    { \
        (void)scratch; \
        const T *bias = buffers[0], *x = buffers[1]; \
        T *out = buffers[2]; \
        for (int64_t i = 70 * begin; i < 70 * end; i++) { \
            T y = x[i] + bias[i % 70]; \
            out[i] = y > 0 ? y : 0; \
        } \
    }
BIAS_RELU(float)
BIAS_RELU(double)

KERNEL(sums) /* product, weight of each row -> weighted row sums, and column sums of units of 16 rows; 70 columns */
{
    const float *x = buffers[0], *weight = buffers[1];
    const int64_t rows = *(const int64_t *)buffers[2];
    float *sums = buffers[3], *partial = buffers[4], *columns = scratch;
    for (int64_t unit = begin; unit < end; unit++) {
        for (int64_t j = 0; j < 70; j++) columns[j] = 0;
        for (int64_t i = 16 * unit; i < 16 * unit + 16 && i < rows; i++) {
            float sum = 0;
            for (int64_t j = 0; j < 70; j++) {
                sum += x[70 * i + j];
                columns[j] += x[70 * i + j];
            }
            sums[i] = sum * weight[i];
        }
        for (int64_t j = 0; j < 70; j++) partial[70 * unit + j] = columns[j];
    }
}
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("generated code needs a C compiler")
    folder = tmp_path_factory.mktemp("code")
    (folder / "code.c").write_text(SOURCE)
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", folder / "code.c", "-o", folder / "code.so"], check=True)
    return Code(folder / "code.so")


def axes(n_batch=0):
    """params of a plain or batched product x[.., m, k] y[.., k, n]"""
    batch = [*range(n_batch)] * 2
    return [n_batch, 1, *batch, n_batch + 1, n_batch]


@pytest.mark.parametrize("dtype", ("float32", "float64", "bfloat16", "float16"))
def test_rows_are_finished(device, kernel, rng, code, each_number_of_threads, dtype):
    for m, k, layout in ((1, 5, "dense"), (37, 300, "transposed"), (500, 20, "rows"), (1000, 700, "dense"), (3, 0, "dense")):  # fmt: skip
        x, y = operand(rng, (m, k), dtype, layout), operand(rng, (k, 70), dtype, layout)
        out = np.dtype("f8" if dtype == "float64" else "f4")
        bias = rng.normal(size=70).astype(out)
        product = multiply(kernel, x, y, out)
        expected = np.maximum(product + bias, 0)
        address = code.address("bias_relu_double" if dtype == "float64" else "bias_relu_float")
        for _ in each_number_of_threads():
            params = [*axes(), address, m, 1, 0, 1, -1, -1]
            found = kernel("dot_generated", x, y, bias, params=params, out=((m, 70), out))
            assert found.tobytes() == expected.tobytes()
            params[-2] = 0
            kept, found = kernel("dot_generated", x, y, bias, params=params, out=[((m, 70), out)] * 2)
            assert kept.tobytes() == product.tobytes() and found.tobytes() == expected.tobytes()
            params[-2:] = -1, 0  # computed in the memory of the result
            found = kernel("dot_generated", x, y, bias, params=params, out=((m, 70), out))
            assert found.tobytes() == expected.tobytes()


def test_units_of_several_rows_and_scratch(kernel, rng, code, each_number_of_threads):
    for m, k, scratch in ((5, 9, 280), (160, 1000, 1 << 20), (1003, 64, 280)):
        x, y = rng.normal(size=(m, k)).astype("f4"), rng.normal(size=(k, 70)).astype("f4")
        weight, rows, units = rng.normal(size=m).astype("f4"), np.array(m), -(-m // 16)
        product = multiply(kernel, x, y)
        found = []
        for _ in each_number_of_threads():
            params = [*axes(), code.address("sums"), units, 16, scratch, 0, -1, -1]
            found.append(kernel("dot_generated", x, y, weight, rows, params=params, out=[((m,), "f4"), ((units, 70), "f4")]))  # fmt: skip
            params[-6] = units + 2  # the last ones have no rows
            sums, partial = kernel("dot_generated", x, y, weight, rows, params=params, out=[((m,), "f4"), ((units + 2, 70), "f4")])  # fmt: skip
            assert sums.tobytes() == found[-1][0].tobytes() and partial[:-2].tobytes() == found[-1][1].tobytes()
            assert not partial[-2:].any()
        np.testing.assert_allclose(found[0][0], product.sum(1) * weight, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(found[0][1].sum(0), product.sum(0), rtol=1e-4, atol=1e-3)
        assert all(a.tobytes() == b.tobytes() for other in found for a, b in zip(found[0], other))


def test_rows_of_batches_are_finished(kernel, rng, code, each_number_of_threads):
    """Units of 16 rows: inside a batch element, across elements, with a rest; few large elements and many small ones."""
    for batch, m, k in ((2, 160, 300), (40, 16, 8), (30, 24, 16), (7, 5, 3), (1, 0, 4), (0, 16, 4)):
        x, y = rng.normal(size=(batch, m, k)).astype("f4"), rng.normal(size=(batch, k, 70)).astype("f4")
        product = kernel("dot_general", x, y, params=axes(1), out=((batch, m, 70), "f4"))
        rows = batch * m
        weight, units = rng.normal(size=rows).astype("f4"), -(-rows // 16)
        for kept, _ in itertools.product((False, True), each_number_of_threads()):
            params = [*axes(1), code.address("sums"), units, 16, 280, 0, 1 if kept else -1, -1]
            out = [((rows,), "f4"), ((units, 70), "f4")]
            if kept:
                out.insert(1, ((batch, m, 70), "f4"))
            sums, *stored, partial = kernel("dot_generated", x, y, weight, np.array(rows), params=params, out=out)
            np.testing.assert_allclose(sums, product.reshape(rows, 70).sum(1) * weight, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(partial.sum(0), product.sum((0, 1)), rtol=1e-4, atol=1e-3)
            assert not kept or stored[0].tobytes() == product.tobytes()


def test_what_dot_generated_refuses(kernel, code):
    x, y = np.ones((4, 3), "f4"), np.ones((3, 70), "f4")
    good = [*axes(), code.address("bias_relu_float"), 4, 1, 0, 1, -1, -1]

    def refused(message, change=(), x=x, y=y, out=((4, 70), "f4")):
        params = list(good)
        for place, value in dict(change).items():
            params[place] = value
        with pytest.raises((pg.ShapeError, ArgumentError), match=message):
            kernel("dot_generated", x, y, np.ones(70, "f4"), params=params, out=out)

    refused("multiplies real floats, not int32", x=x.astype("i4"), y=y.astype("i4"))
    refused("lhs is float64", x=x.astype("f8"))
    refused("contracting axes 1 of lhs and 0 of rhs have sizes 3 and 4", y=np.ones((4, 70), "f4"))
    refused("3 units of 1 rows do not make up 4 rows", {5: 3})
    refused("the product cannot be buffer 2", {8: 2})
    refused("the product cannot be output 1", {9: 1})
    refused("output 0 has not the dtype and shape of the product", {9: 0}, out=((4, 71), "f4"))
    refused("the product cannot lie in output 1", {10: 1})
    refused("the product cannot lie in output 0 and be output 0", {9: 0, 10: 0})
    refused("output 0 is not as large as the product", {10: 0}, out=((4, 69), "f4"))
    refused("no open code at address 64", {4: 64})


LARGE = (2**63 - 1, 2**63 - 3, 2**62, -(2**63), -1, 0)


def test_dot_generated_refuses_sizes_that_overflow(device, kernel, code):
    """Programs from files say any numbers."""
    x, y = np.ones((4, 3), "f4"), np.ones((3, 70), "f4")
    good = [*axes(), code.address("bias_relu_float"), 4, 1, 0, 1, -1, -1]
    for place, value in itertools.product((5, 6, 7, 8, 9, 10), LARGE):
        if value in (-1, 0) and place > 6:
            continue
        params = [*good[:place], value, *good[place + 1 :]]
        if place == 7 and value > 0:  # scratch memory that there is not
            with pytest.raises(MemoryError):
                kernel("dot_generated", x, y, np.ones(70, "f4"), params=params, out=((4, 70), "f4"))
            continue
        with pytest.raises((pg.ShapeError, ArgumentError)):
            kernel("dot_generated", x, y, np.ones(70, "f4"), params=params, out=((4, 70), "f4"))
    # one unit of more rows than there are
    params = [*axes(), code.address("sums"), 1, 2**61 - 1, 280, 0, -1, -1]
    sums, partial = kernel("dot_generated", x, y, np.ones(4, "f4"), np.array(4), params=params, out=[((4,), "f4"), ((1, 70), "f4")])  # fmt: skip
    np.testing.assert_array_equal(sums, np.full(4, 210))
    np.testing.assert_array_equal(partial, np.full((1, 70), 12))
    # a product with more bytes than there are numbers, of operands that exist
    avals = [make_aval(shape, np.dtype("f4"), device) for shape in ((2**33, 1), (1, 2**33), (2**33,))]
    with pytest.raises((pg.ShapeError, ArgumentError), match="too large"):
        params = [*axes(), code.address("sums"), 2**33, 1, 0, 0, -1, -1]
        Operation("dot_generated", params, avals[:2], avals[2:], device)


# ---- other instruction sets --------------------------------------------------------------------------


@pytest.mark.skipif("PG_TEST_INNER" in os.environ, reason="runs these tests again in another environment")
@pytest.mark.parametrize("isa", ("base", "v3"))
def test_on_other_instruction_sets(device, isa):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", __file__, "--device", str(device).lower()]  # fmt: skip
    result = subprocess.run([*command, "-k", "edge or layout or nan or finished or heads"], env={**os.environ, "PG_TEST_INNER": "1", "PG_ISA": isa}, capture_output=True, text=True, timeout=300)  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:]


def test_denormal_numbers_in_products(tensor, rng):
    """They may count as zero in a product, in every method, and only there: threads do what they did before."""
    for dtype in (np.float32, np.float64):
        tiny = np.finfo(dtype).tiny
        for m, k, n in ((3, 5, 4), (70, 300, 90), (500, 400, 300), (1, 50, 60), (60, 50, 1)):
            x, y = (rng.normal(size=(m, k)) * tiny / 8).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
            difference = np.abs((tensor(x) @ tensor(y)).numpy().astype("longdouble") - x.astype("longdouble") @ y)
            assert difference.max() <= k * 4 * tiny
        smallest = np.finfo(dtype).smallest_subnormal
        many = tensor(np.full(300_000, smallest))
        np.testing.assert_array_equal((many + many).numpy(), 2 * smallest)
