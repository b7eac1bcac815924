"""Which operations become one kernel, and that kernels compute what the operations do."""

import sys
from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import pytest

import pequegrad as pg
from pequegrad.compiler.fuse import fuse, loop
from pequegrad.compiler.program import compiled_graph, simplified_graph
from pequegrad.compiler.toolchain import Unavailable, build
from pequegrad.ops.random import normal as normal_of
from pequegrad.ops.random import uniform
from pequegrad.primitives.indexing import Places, gather
from pequegrad.primitives.random import random_bits
from pequegrad.primitives.shape import pad

try:
    build([("pg_probe", "void pg_probe(void *const *b, int64_t begin, int64_t end, void *scratch) {}")])
except Unavailable:
    pytestmark = pytest.mark.skip("generated code needs a C compiler")


def compiled(function, *args):
    """The graph that runs for jit(function)(*args), and the jitted function."""
    jitted = pg.jit(function)
    jitted(*args)
    ((entry,),) = jitted.compiled.values()
    return compiled_graph(entry.closed), jitted


def kernels(function, *args):
    """The names of the instructions that are not views."""
    graph, _ = compiled(function, *args)
    names = [node.spec.primitive.name for node in graph.nodes if node.spec.primitive.form != "view"]
    return sorted(name for name in names if name != "output")


def agrees(function, *args, rtol=1e-5, scale=True):
    """jit(function) gives what function gives, operation by operation."""
    expected, found = function(*args), pg.jit(function)(*args)
    expected, found = [x if isinstance(x, (tuple, list)) else [x] for x in (expected, found)]
    assert len(expected) == len(found)
    for a, b in zip(expected, found):
        a, b = a.numpy(), b.numpy()
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        wide = a.astype(np.float64)
        size = np.abs(wide[np.isfinite(wide)]).max(initial=0) if scale else 0
        np.testing.assert_allclose(b.astype(np.float64), wide, rtol=rtol, atol=rtol * size)


@pytest.fixture
def normal(tensor, rng):
    return lambda *shape, dtype=np.float32: tensor(rng.standard_normal(shape).astype(dtype))


# ---- what becomes one kernel -------------------------------------------------------------------------


def layer_norm(x, w, b):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) * pg.rsqrt(variance + 1e-5) * w + b


def adam(p, m, v, g):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    return p - 0.01 * m / (pg.sqrt(v) + 1e-8), m, v


def test_elementwise_chain_is_one_kernel(normal):
    x, y = normal(30, 40), normal(40)
    function = lambda x, y: (pg.exp(x) + y) * pg.tanh(x) - pg.where(x > y, x, y)
    assert kernels(function, x, y) == ["loop"]
    agrees(function, x, y)


@pytest.mark.parametrize("shape", [(64, 100), (7, 1), (1, 13), (3, 5, 997)])
def test_rows_are_one_kernel(normal, shape):
    x = normal(*shape)
    with pg.no_patterns():
        assert kernels(lambda x: pg.softmax(x, -1) * 2, x) == ["loop"]
        agrees(lambda x: pg.softmax(x, -1) * 2, x)
        if shape[-1] > 1:
            assert kernels(lambda x: pg.log_softmax(x, -1), x) == ["loop"]
            assert kernels(layer_norm, x, normal(shape[-1]), normal(shape[-1])) == ["loop"]
            agrees(layer_norm, x, normal(shape[-1]), normal(shape[-1]))


def test_norm_and_its_gradients_are_one_kernel_and_the_sum_of_partial_results(normal):
    args = normal(4096, 64), normal(64), normal(64)
    function = pg.grad(lambda x, w, b: (layer_norm(x, w, b) ** 2).sum(), (0, 1, 2))
    assert kernels(function, *args) == ["loop", "reduce_sum", "reduce_sum"]
    agrees(function, *args)


def test_loss_and_its_gradient_do_not_store_probabilities(normal, tensor, rng):
    logits, labels = normal(600, 90), tensor(rng.integers(0, 90, 600).astype(np.int32))
    function = lambda logits: pg.value_and_grad(lambda x: x.cross_entropy_loss_indices(labels))(logits)
    graph, _ = compiled(function, logits)
    large = [
        aval
        for node in graph.nodes
        if node.spec.primitive is loop
        for aval in node.spec.outputs
        if aval.size >= logits.size
    ]
    assert len(large) == 1  # the gradient
    agrees(function, logits)


def test_optimiser_update_is_one_kernel(normal):
    p, m, v, g = (normal(300, 50) for _ in range(4))
    v = v * v
    v.eval()
    assert kernels(adam, p, m, v, g) == ["loop"]
    agrees(adam, p, m, v, g)


def test_one_operation_uses_the_kernel_of_the_runtime(normal):
    assert kernels(lambda x: x * 2, normal(5)) == ["mul"]


def test_views_are_index_arithmetic(normal):
    x = normal(20, 42)
    function = lambda x: pg.softmax(x.reshape((4, 5, 6, 7)).transpose((2, 0, 3, 1)) * 2, -1)
    assert kernels(function, x) == ["loop"]
    agrees(function, x)
    agrees(lambda x: x[:, 1:] - x[:, :-1] + pg.exp(x)[:, ::-1][:, 1:], x)
    agrees(
        lambda x: (x.reshape((20, 6, 7)) + x.reshape((20, 6, 7))[:, ::-1, ::2].sum(-1, keepdims=True)).sum((1, 2)), x
    )
    agrees(lambda x: x + x.reshape((42, 20)).T, x)
    agrees(lambda x: (x * 2).reshape((28, 30)) + pg.exp(x).reshape((30, 28)).T, x)


@pytest.mark.parametrize("shape", [(40, 70), (3, 40, 70), (1, 5), (17, 1), (129, 33)])
def test_operands_that_lie_the_other_way(normal, shape):
    x, y = normal(*shape), normal(*shape[:-2], shape[-1], shape[-2])
    turned = lambda x: pg.swapaxes(x, -1, -2)
    agrees(lambda x, y: pg.exp(turned(x)) * y - 1, x, y)
    agrees(lambda x, y: pg.softmax(turned(x) + 1, -1) + turned(turned(y) * 2), x, y)
    agrees(lambda x, y: ((turned(x) + 2) + y).sum(-1) * 3, x, y)
    agrees(lambda x, y: ((turned(x) > 0) & (y > 0)).sum(-1), x, y)


@pytest.mark.parametrize(
    "shape", [(5, 20, 100), (2, 100, 20), (3, 65, 130), (1, 7, 16), (2, 129, 15), (40, 3, 17), (3, 1, 40)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "float16", "bool"])
def test_short_rows_are_reduced_side_by_side(tensor, rng, shape, dtype):
    """Operands of both layouts, and one that both rows and elements skip in; every dtype, with and without turned tiles."""
    b, n, m = shape
    make = lambda *shape: tensor((rng.standard_normal(shape) * 4).astype(dtype))  # noqa: E731
    rows, columns, plain = make(b, n, m), make(b, m, n), make(m)
    if dtype != "bool":
        agrees(
            lambda x, y, z: (x.swapaxes(1, 2) + y * 2 + z[:, None]).sum(2) * 3,
            rows,
            columns,
            plain,
            rtol=5e-3 if dtype == "float16" else 1e-5,
        )  # sums in float16: rounded once, or after each kernel
    agrees(lambda x, y, z: pg.maximum(x.swapaxes(1, 2), y).max(2) > z, rows, columns, plain)
    agrees(lambda x, y: pg.argmax((x.swapaxes(1, 2) + y).min(2), -1), rows, columns)


@pytest.mark.parametrize("n", [1, 2, 7, 10, 32, 33])
@pytest.mark.parametrize("rows", [15, 16, 64, 200])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_short_rows_are_computed_side_by_side(normal, tensor, rng, rows, n, dtype):
    """Several passes over rows of a few elements, with gathers, positions, sums over the rows and both layouts."""
    x, w, c = normal(rows, n, dtype=dtype), normal(n, dtype=dtype), normal(n, rows, dtype=dtype)
    y = tensor(rng.integers(0, n, rows).astype(np.int32))
    rtol = {"float32": 2e-5, "float16": 2e-2, "float64": 1e-12}[dtype]  # of sums, which are added in another order
    agrees(lambda x: pg.softmax(x + c.T, -1), x, rtol=rtol)
    agrees(pg.value_and_grad(lambda x: x.cross_entropy_loss_indices(y)), x, rtol=rtol)
    agrees(lambda x: (pg.argmax(x, -1), x.max(-1), (x * (x == x.max(-1, keepdims=True))).sum(-1)), x, rtol=rtol)
    if n > 2 and dtype != "float16":
        agrees(
            pg.grad(lambda x, w: (layer_norm(x, w, w) ** 2).sum(), (0, 1)),
            x,
            w,
            rtol=1e-3 if dtype == "float32" else rtol,
        )
    agrees(
        lambda x: (
            pg.exp(x.reshape((rows // 5, 5, n)) * 0.1)
            / pg.exp(x.reshape((rows // 5, 5, n)) * 0.1).sum(2, keepdims=True)
        ),
        x[: rows // 5 * 5],
        rtol=rtol,
    )


@pytest.mark.parametrize("shape", [(3, 5), (16, 64), (65, 129), (7, 9000), (9000, 3), (40, 1), (2, 33, 70)])
@pytest.mark.parametrize("dtype", ["float32", "int8", "float16", "float64", "bool"])
def test_elementwise_kernels_turn_what_lies_the_other_way(tensor, rng, shape, dtype):
    """Operands and results, block by block; rows and elements that are no multiples of a block."""
    make = lambda *shape: tensor((rng.standard_normal(shape) * 4).astype(dtype))
    x, y, z = make(*shape), make(*shape[:-2], shape[-1], shape[-2]), make(*shape[:-2], shape[-1], shape[-2])
    t = lambda x: x.swapaxes(-1, -2)
    both = (lambda a, b: a ^ b) if dtype == "bool" else (lambda a, b: a * 2 + b)
    agrees(lambda x, y, z: both(both(t(y), t(z)), x), x, y, z)
    agrees(lambda x, y, z: both(both(t(y), t(z)), both(t(y), t(y))), x, y, z)
    agrees(lambda x, y, z: (both(t(x), y), both(x, t(z)) > x, t(both(x, x))), x, y, z)
    agrees(lambda x, y, z: both(both(y[..., :1], t(x)), z[..., :1, :]), x, y, z)


def test_positions_are_computed_where_they_are_read(normal):
    function = lambda x: pg.where(pg.tril(pg.ones((30, 30), dtype="bool")), x, -1e9) + pg.arange(30)
    assert kernels(function, normal(4, 30, 30)) == ["loop"]
    agrees(function, normal(4, 30, 30))


# ---- what they compute -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7, 100), (37, 5000), (4096, 3), (1, 1), (5000, 1), (1, 5000)])
@pytest.mark.parametrize("axes", [0, 1, (0, 1)])
def test_reductions_over_any_axes(normal, shape, axes):
    x, y = normal(*shape), normal(shape[1])
    agrees(lambda x, y: ((x * y).sum(axes), (x + y).max(axes) * 2, pg.exp(x).mean(axes), (x - y).min(axes)), x, y)


def test_reductions_over_mixed_axes(normal):
    x = normal(60, 7, 50)
    for axes in ((0, 1), (0, 2), (1, 2), (1,), (0, 1, 2)):
        agrees(lambda x, axes=axes: ((x * x).sum(axes) + 1, (x + 1).max(axes), x.sum()), x)


@pytest.mark.parametrize("order", [(2, 1, 0), (0, 2, 1), (1, 0, 2), (2, 0, 1)])
def test_chunks_of_results_that_lie_the_other_way(normal, order):
    x = normal(*(np.array([257, 6, 64])[list(order)]))
    turned = lambda x: pg.transpose(x, tuple(np.argsort(order)))
    for axes in ((0,), (1,), (0, 1)):
        agrees(lambda x, axes=axes: ((turned(x) * 2 + 1).min(axes), (turned(x) * 2).sum(axes)), x)


def test_batch_norm(normal):
    def norm(x):
        mean = x.mean((0, 2, 3), keepdims=True)
        return (x - mean) / pg.sqrt(((x - mean) ** 2).mean((0, 2, 3), keepdims=True) + 1e-5)

    agrees(norm, normal(16, 8, 10, 11))
    agrees(pg.grad(lambda x: (norm(x) ** 3).sum()), normal(16, 8, 10, 11), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64", "bool"])
def test_integers_wrap_around(tensor, rng, dtype):
    if dtype == "bool":
        x, y = (tensor(rng.integers(0, 2, shape).astype(bool)) for shape in ((33, 44), (44,)))
        agrees(lambda x, y: ((x & y).any(1), (x | ~y).all(0), (x ^ y).sum(1), (x > y)), x, y, rtol=0)
        return
    info = np.iinfo(dtype)
    x, y = (tensor(rng.integers(info.min, info.max, shape, dtype, endpoint=True)) for shape in ((33, 44), (44,)))
    agrees(lambda x, y: ((x + y).sum(1), (x * y).max(0), (x - y) // 3, (x > y).sum(0), (x * x).min()), x, y, rtol=0)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_16_bit_floats_are_rounded_as_in_eager_mode(normal, dtype):
    x, y = normal(33, 44, dtype=dtype), normal(44, dtype=dtype)
    agrees(lambda x, y: ((x + y) * x - y / 3, (x * y > x).sum(1)), x, y, rtol=0)
    agrees(lambda x, y: (pg.softmax(x + y, -1), (x * y).sum(0)), x, y, rtol=1e-2)
    agrees(lambda x: pg.arange(3000, dtype=x.dtype) * 3 + x[0, 0], x, rtol=0)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("axes", [0, 1, (0, 1)])
def test_long_reductions_of_16_bit_floats(normal, dtype, axes):
    for shape in ((3000, 33), (2, 40000)):
        x = normal(*shape, dtype=dtype)
        agrees(lambda x: ((x / 8).sum(axes), (x + 1).max(axes), (x - 1).min(axes), x * 2), x, rtol=1e-2)


def test_special_values(tensor):
    x = tensor(
        np.array([[np.nan, 1, 2], [np.inf, -np.inf, 0.0], [-0.0, 0.0, 5e-324], [1e-45, 3e38, -3e38]], np.float32)
    )
    agrees(
        lambda x: (x.max(1) * 1, x.min(0) + 0, (x + x).sum(1), pg.maximum(x, 0) * -0.0, (x * 2 > x).sum()), x, rtol=0
    )
    f = pg.jit(lambda x: 1 / (x * 1.0 - 0.0))
    assert np.signbit(f(tensor([-0.0])).numpy()).all()
    many = np.where(np.arange(90000).reshape(300, 300) % 977 == 5, np.nan, 1).astype(np.float32)
    agrees(lambda x: ((x * 2).max(0), (x * 2).max(1), (x * 2).max(), (x * 2).sum(0)), tensor(many), rtol=0)


@pytest.mark.filterwarnings("error")
def test_numbers_that_no_value_of_the_dtype_can_be(normal):
    agrees(lambda x: pg.where(x > 0, x, -1e300) + 1, normal(30), rtol=0)
    agrees(lambda x: pg.minimum(x * 1e9, 1e300) + 1, normal(30, dtype=np.float16), rtol=0)


@pytest.mark.parametrize("mode", ["clip", "fill"])
def test_gather_reads_inside_kernels(normal, tensor, rng, mode):
    x, rows = normal(50, 33), tensor(rng.integers(-3, 55, (7, 5)).astype(np.int32))
    agrees(lambda x, i: pg.exp(pg.take(x, i, axis=0, mode=mode)) + 1, x, rows)
    columns = tensor(rng.integers(0, 33, (50, 5)).astype(np.int32))
    agrees(lambda x, i: pg.exp(pg.take_along_axis(x, i, axis=1)).sum(1), x, columns)
    whole = tensor(rng.integers(0, 9, (50, 33)).astype(np.uint8))
    agrees(lambda x, i: pg.take(x, i, axis=0, mode=mode) * 2, whole, rows, rtol=0)


def test_gather_in_a_kernel_with_several_loops_over_rows(normal, tensor, rng):
    x, y = normal(7), normal(5, 4, 3, 7)
    i = tensor(rng.integers(-1, 9, (3, 4, 5, 1)).astype(np.int32))
    function = lambda x, i, y: (pg.transpose(y, (2, 1, 0, 3)) * elements(x, i, "clip")[..., None]).sum(-1)
    assert kernels(function, x, i, y) == ["loop"]
    agrees(function, x, i, y)


def elements(x, indices, mode):
    """Elements of the vector x as the primitive gives them, which leaves the indices as they are."""
    return gather(x, indices, places=Places(collapsed=(0,), index_map=(0,)), sizes=(1,), mode=mode)


@pytest.mark.parametrize("mode", ["clip", "fill", "zero"])
def test_gather_at_unsigned_places(normal, tensor, mode):
    places = np.array([[0], [6], [7], [2**62], [2**63], [2**63 + 3], [2**64 - 1]], np.uint64)
    agrees(lambda x, i: elements(x, i, mode) * 2, normal(7), tensor(places), rtol=0)


def test_sums_that_are_cut_differently_are_not_in_one_kernel(normal):
    def function(x, y):
        y = y * 2
        return y.sum(0), (y + (x * x).sum(2)).sum(0)  # the latter goes over 32 times as many elements

    agrees(function, normal(1024, 64, 32), normal(1024, 64))


def test_results_do_not_depend_on_the_number_of_threads(normal):
    x, w, b = normal(3000, 65), normal(65), normal(65)
    function = pg.jit(pg.grad(lambda x, w, b: (layer_norm(x, w, b) ** 2).sum(), (0, 1, 2)))
    before = pg.num_threads()
    try:
        results = []
        for threads in (1, 2, 5):
            pg.set_num_threads(threads)
            results.append([g.numpy() for g in function(x, w, b)])
    finally:
        pg.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


def test_long_sums_are_accurate(tensor):
    x = np.full(3_000_001, 0.1, np.float32)
    total = pg.jit(lambda x: (x * 1.5).sum())(tensor(x)).item()
    assert total == pytest.approx(
        np.sum(np.float32(0.1) * np.float32(1.5), dtype=np.float64) * x.size, rel=3e-6
    )  # with SSE
    columns = pg.jit(lambda x: (x * 1.5).sum(0))(tensor(x[:3_000_000].reshape(-1, 3))).numpy()
    np.testing.assert_allclose(columns, total / 3, rtol=1e-5)  # 1e-3 if each chunk were added one by one


def test_a_result_that_is_also_an_operand_elsewhere_is_stored(normal):
    x, w = normal(20, 30), normal(30, 30)

    def function(x, w):
        h = pg.tanh(x * 2 + 1)
        return (h @ w).sum(1) + (h * h).sum(1), h

    agrees(function, x, w, rtol=1e-4)


def test_kernels_do_not_wait_for_each_other_in_a_circle(normal):
    def function(x, w):
        a = x * 2
        b = (a + 1) @ w
        c = pg.exp(a) + b
        d = (c - a) @ w
        return c * d + a

    agrees(function, normal(12, 12), normal(12, 12), rtol=1e-4)


def test_threads_may_fuse_at_the_same_time(normal):
    function = pg.jit(pg.grad(lambda x, w, b: (layer_norm(x.reshape((6, 7, 5)), w, b) ** 2).sum(), (0, 1, 2)))
    function(normal(42, 5), normal(5), normal(5))
    ((entry,),) = function.compiled.values()
    graph = simplified_graph(entry.closed)

    def texts():
        return [node.spec.params["kernel"].text for node in fuse(graph).nodes if node.spec.primitive is loop]

    expected, interval = texts(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda _: texts(), range(40)):
                assert found == expected
    finally:
        sys.setswitchinterval(interval)


def test_kernels_leave_effects_in_their_order(normal):
    log = []

    def note(name, x):
        return pg.io_callback(lambda x: log.append(name) or np.float32(x), pg.ShapeDtypeStruct((), "float32"), x)

    def function(x, w, b):
        y = (x @ w) * 2 + 1
        first = note("first", y.sum())
        return y * 3 + note("second", b), first  # in one kernel with y it would have to come before the sum

    pg.jit(function)(normal(30, 30), normal(30, 30), normal())
    assert log == ["first", "second"]


def test_donated_memory_is_reused_in_place(normal):
    x = normal(1000)
    x.eval()
    step = pg.jit(lambda x: pg.tanh(x) * 2 + 1, donate_argnums=0)
    expected = np.tanh(x.numpy()) * 2 + 1
    np.testing.assert_allclose(step(x).numpy(), expected, rtol=1e-6, atol=1e-6)  # where 2 tanh(x) is about -1


def test_arguments_that_are_views_are_read_where_they_lie(normal):
    x, y = normal(90, 70), normal(70, 90)
    turned, repeated = x.T, pg.broadcast_to(normal(90), (70, 90))
    turned.eval()
    repeated.eval()
    function = pg.jit(lambda x, y, z: pg.exp(x) * y + z.sum(0))
    expected = np.exp(turned.numpy()) * y.numpy() + repeated.numpy().sum(0)
    for _ in range(3):
        np.testing.assert_allclose(function(turned, y, repeated).numpy(), expected, rtol=1e-5, atol=1e-4)
    ((entry,),) = function.compiled.values()
    assert len(entry.layouts.variants) == 1
    for arguments in ((turned, y, y), (y, turned, repeated), (y, y, y)):  # other layouts
        expected = np.exp(arguments[0].numpy()) * arguments[1].numpy() + arguments[2].numpy().sum(0)
        np.testing.assert_allclose(function(*arguments).numpy(), expected, rtol=1e-5, atol=1e-4)
    assert len(entry.layouts.variants) == 3


# ---- pad, concatenate, random bits -------------------------------------------------------------------


def padded(x, low, high, value=0):
    return pad(x, pg.Tensor(np.asarray(value, x.dtype), device=x.device), low=low, high=high, interior=(0,) * x.ndim)


def same_bits(function, *args):
    """jit(function) gives bit by bit, but for the payload of nan, what function gives, with 1 and with 2 threads."""
    before, expected = pg.num_threads(), [x.numpy() for x in flat_results(function(*args))]
    try:
        for threads in (1, 2):
            pg.set_num_threads(threads)
            for a, b in zip(expected, flat_results(pg.jit(function)(*args)), strict=True):
                b = b.numpy()
                assert (a.shape, a.dtype) == (b.shape, b.dtype)
                nan = a != a
                np.testing.assert_array_equal(b != b, nan)
                a, b = np.where(nan, 0, a).astype(a.dtype), np.where(nan, 0, b).astype(b.dtype)
                np.testing.assert_array_equal(a.view(f"u{a.dtype.itemsize}"), b.view(f"u{a.dtype.itemsize}"))
    finally:
        pg.set_num_threads(before)


def flat_results(found):
    return found if isinstance(found, tuple) else (found,)


DTYPES = "float32 float64 float16 bfloat16 bool int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()


def some_values(rng, shape, dtype):
    """Ordinary values, nan, infinities, -0.0 and denormals of the dtype."""
    dtype = np.dtype(getattr(pg.dt, dtype))
    if dtype.kind in "biu":
        return rng.integers(0, 2 if dtype.kind == "b" else 120, shape).astype(dtype)
    special = rng.choice([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-40, 1.5], shape)
    return np.where(rng.random(shape) < 0.5, special, rng.normal(size=shape)).astype(dtype)


def test_a_join_is_read_where_its_operands_lie(normal):
    x, y, w = normal(40, 64), normal(40, 64), normal(64)
    assert kernels(lambda x, y: pg.concatenate([x, y], 1), x, y) == ["concatenate"]  # nothing to save
    assert kernels(lambda x: padded(x, (0, 3), (0, -3)), x) == ["pad"]
    assert kernels(lambda x, y: pg.exp(pg.concatenate([x, y], 1)) * 2, x, y) == ["loop"]
    assert kernels(lambda x, w: padded(x, (0, 3), (0, -3)) * w + x, x, w) == ["loop"]
    assert kernels(lambda x, w: x + sum(padded(x, (k, 0), (-k, 0)) * w[k] for k in range(4)), x, w) == ["loop"]
    # what is computed first is in memory, unless it is cheap and for the join alone
    assert kernels(lambda x, y: pg.concatenate([-x, y * x], 1) * 2, x, y) == ["loop"]
    assert kernels(lambda x, y: pg.concatenate([-x, y * x], 1) @ pg.ones((128, 2)), x, y) == ["dot_general", "loop"]
    softmax = lambda x, y: pg.concatenate([pg.exp(x) / pg.exp(x).sum(1, keepdims=True), y], 1) * 2
    assert kernels(softmax, x, y) == ["loop", "loop"]
    # gaps, and pieces of which each is a few elements
    spread = lambda x, w: pad(x, pg.Tensor(0.0, device=x.device), low=(0, 0), high=(0, 0), interior=(0, 1)) * 2 + 1
    assert kernels(spread, x, w) == ["loop", "pad"]
    assert kernels(lambda x, y: pg.stack([x, y], -1) * 2 + 1, x, y) == ["concatenate", "loop"]
    # many pieces, and elements that do not follow each other where they are read
    pieces = [x[:, 9 * k : 9 * k + 8 - k % 2] for k in range(6)]
    assert kernels(lambda *x: pg.concatenate(x, 1) * 2 + 1, *pieces) == ["loop"]
    assert kernels(lambda *x: pg.concatenate(x, 1) * 2 + 1, *pieces, *pieces) == ["concatenate", "loop"]
    lying = lambda x, y: pg.concatenate([x.T, y.T], 1) * 2 + 1
    assert kernels(lying, x, y) == ["concatenate", "loop"]
    agrees(lying, x, y, rtol=0)


def rotated(x, cosines, sines):
    half = x.shape[-1] // 2
    return x * cosines + pg.concatenate([-x[..., half:], x[..., :half]], -1) * sines


def test_rotary_embedding_and_its_gradient_are_one_kernel_each(normal):
    x, cosines, sines, g = normal(2, 3, 17, 32), normal(17, 32), normal(17, 32), normal(2, 3, 17, 32)
    gradient = lambda x, c, s, g: pg.grad(lambda x: (rotated(x, c, s) * g).sum())(x)
    assert kernels(rotated, x, cosines, sines) == kernels(gradient, x, cosines, sines, g) == ["loop"]
    same_bits(rotated, x, cosines, sines)
    same_bits(gradient, x, cosines, sines, g)


@pytest.mark.parametrize("dtype", DTYPES)
def test_joins_of_every_dtype(tensor, rng, dtype):
    x, y, z = (tensor(some_values(rng, (5, n, 9), dtype)) for n in (3, 4, 3))
    value = True if dtype == "bool" else 7 if np.dtype(getattr(pg.dt, dtype)).kind in "iu" else np.nan
    function = lambda x, y, z: (
        pg.maximum(pg.concatenate([x, y], 1), pg.concatenate([y, z], 1)),
        pg.minimum(padded(x, (1, 0, 2), (0, 0, -1), value), padded(z, (0, 0, 1), (1, 0, 0))),
        pg.where(padded(x == z, (0, 2, 0), (0, -2, 0)), x, z),
    )
    assert set(kernels(function, x, y, z)) <= {"loop"}
    same_bits(function, x, y, z)


@pytest.mark.parametrize("shape", [(1, 1, 11), (3, 17, 33), (8, 1, 64), (70, 3, 2)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concatenations_along_each_axis(normal, shape, axis):
    """Of two and of five operands: the last is short, or computed in the kernel."""
    x, parts = normal(*shape), [normal(*shape) for _ in range(4)]
    first = x[tuple([slice(1 if i == axis else None) for i in range(3)])]
    wide = [[n * k + (i == axis) if i == axis else n for i, n in enumerate(shape)] for k in (1, 4)]
    two, five = (normal(*sizes) for sizes in wide)
    row = normal(two.shape[2])

    def function(x, first, two, five, row, *parts):
        joined = pg.concatenate([*parts, first], axis)
        return joined * five - 1, pg.concatenate([first * 2, x], axis) - two + row, joined * 2 + joined[..., :1]

    same_bits(function, x, first, two, five, row, *parts)
    agrees(lambda r, f, *p: (pg.concatenate([*p, -f], axis) * r).sum((0, 2)), normal(five.shape[2]), first, *parts)


@pytest.mark.parametrize("low, high", [
    ((0, 0, 3), (0, 0, 2)), ((0, 0, -2), (0, 0, 5)), ((2, 0, 0), (1, 0, 0)), ((0, 4, 0), (0, -4, 0)), ((-1, 2, 1), (3, -1, -2)),
    ((1, 1, 1), (1, 1, 1)), ((0, -6, 0), (0, 9, 0)), ((0, 0, 12), (0, 0, -12)), ((-3, 0, 0), (9, 0, 0)),
])  # fmt: skip
def test_pads_of_every_side(tensor, rng, low, high):
    shape = tuple(max(n, -a, -b) for n, a, b in zip((3, 6, 67), low, high))
    x, w = (tensor(some_values(rng, shape, "float32")) for _ in range(2))
    row = tensor(some_values(rng, padded(x, low, high).shape[2:], "float32"))

    def function(x, w, row):
        y = padded(x, low, high, 3)
        lying = pg.maximum(pg.transpose(padded(x, low, high), (2, 0, 1)), 0)
        return (
            padded(x, low, high, -0.0) * padded(w, low, high, np.inf),
            y * row - row,
            lying,
            y.max(1) if y.size else y,
        )

    same_bits(function, x, w, row)


def test_joins_of_what_is_empty(normal):
    x, none = normal(6, 10), normal(6, 0)
    same_bits(lambda x, y: pg.concatenate([y, x, y], 1) * 2 + 1, x, none)
    same_bits(lambda x, y: pg.concatenate([y, y], 1) * 2 + 1, x, none)
    same_bits(lambda x, y: padded(y, (0, 5), (0, 7), 2) * 3 + 1, x, none)
    same_bits(lambda x, y: padded(x, (0, -4), (0, -6)) * 2 + 1, x, none)


def test_views_under_and_above_joins(normal):
    x, y = normal(24, 18), normal(18, 24)
    same_bits(lambda x, y: pg.exp(pg.concatenate([x, y.T], 0)[3:40:2, ::-1]) * 2, x, y)
    same_bits(lambda x, y: pg.concatenate([x.reshape(6, 72), y.reshape(6, 72)], 1).reshape(36, 24) * 2 + 1, x, y)
    same_bits(lambda x, y: (pg.concatenate([x[::2, 1:], x[1::2, :-1]], 1) * 2 + 1).T * 3, x, y)
    same_bits(lambda x, y: pg.concatenate([x, y.T], 1).T * 2 + 1, x, y)
    same_bits(lambda x, y: pg.broadcast_to(padded(x, (0, 2), (1, 0))[:, None], (25, 3, 20)) * 2 + 1, x, y)
    same_bits(lambda x, y: padded(pg.flip(x, 1), (0, 2), (0, -2)) + padded(pg.flip(y.T, 0), (0, -2), (0, 2)), x, y)
    same_bits(
        lambda x, y: pg.flip(padded(x, (0, 2), (0, -2)), 1) * x - pg.flip(pg.concatenate([x, x], 1), 1)[:, 9:27], x, y
    )
    same_bits(
        lambda x, y: padded(pg.concatenate([x * 2, -padded(x, (1, 1), (-1, -1))], 0), (1, 1), (1, 1)) * 2 + 1, x, y
    )


def test_reductions_above_joins(normal):
    x, y = normal(300, 50), normal(300, 14)
    with pg.no_patterns():
        softmax = lambda x: pg.softmax(padded(x, (0, 3), (0, 2), -1.0), -1)
        assert kernels(softmax, x) == ["loop"]
        agrees(softmax, x)
    joined = lambda x, y: pg.concatenate([x, y * y], 1)
    agrees(lambda x, y: joined(x, y).sum(), x, y)
    agrees(lambda x, y: joined(x, y).sum(0), x, y)
    agrees(lambda x, y: (joined(x, y) * joined(-x, y)).sum(1), x, y)
    agrees(lambda x, y: layer_norm(joined(x, y), y[0, 0], x[0, 0]), x, y)
    short = lambda x, y: pg.softmax(pg.concatenate([x[:, :9], y[:, :4]], 1), 1)  # rows side by side
    agrees(short, x, y)
    agrees(lambda x, y: padded(x, (40, 0), (-40, 0)).max(0) + padded(x, (0, 0), (9, 0)).sum(0), x, y)
    large = normal(1000, 200)
    agrees(lambda x: (padded(x, (0, 7), (0, -7)) * x).sum(0) + (pg.concatenate([x[1:], x[:1]], 0) * x).sum(), large)


def test_a_joined_value_that_is_computed_in_the_same_kernel_is_not_read_before(normal):
    def function(x, y):
        z = pg.exp(x) + y
        shifted = padded(z, (0, 1), (0, -1))
        rows = z - z.max(1, keepdims=True)
        return z + shifted, rows * padded(rows, (0, -1), (0, 1)), pg.concatenate([z, -z], 1) * pg.concatenate([y, z], 1)

    agrees(function, normal(33, 20), normal(33, 20), rtol=1e-6)


def test_gradients_and_examples_of_joins(normal):
    def function(x, y):
        a, b, c = pg.concatenate([x, y * x], 1)[:, 2:-2].split(3, 1)
        return (padded(a * b, (1, 3), (-1, 2)) ** 2).sum() + (pg.roll(c, 5, 1) * c).sum()

    x, y = normal(30, 50), normal(30, 50)
    agrees(pg.grad(function, (0, 1)), x, y)
    many = normal(4, 30, 50), normal(4, 30, 50)
    agrees(pg.vmap(pg.grad(function, (0, 1))), *many)
    agrees(pg.vmap(lambda v, x: padded(x, (2, 0), (0, 1), 0) + v, (0, None)), normal(5), x)
    agrees(pg.vmap(lambda v, x: pad(x, v, low=(2, 0), high=(0, 9), interior=(0, 0)) * 2, (0, None)), normal(5), x)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("shape", [(1,), (7, 33), (3, 5, 200)])
def test_random_bits_are_the_same_inside_kernels(device, shape, dtype):
    key, dtype = pg.random_key(2**40 + 3, device), getattr(pg.dt, dtype)
    bits = lambda key: random_bits(key, shape=shape, dtype=dtype)
    function = lambda key: ((bits(key) >> 3) + 1, bits(key).T ^ 5)
    if len(shape) > 1:
        assert set(kernels(function, key)) == {"loop"}
    same_bits(function, key)
    keys = random_bits(key, shape=(4, 3, 2), dtype=pg.dt.uint32)
    same_bits(lambda keys: (random_bits(keys, shape=shape, dtype=dtype) >> 1) * 3, keys)
    same_bits(lambda keys: (random_bits(keys[1:, 2], shape=shape, dtype=dtype) >> 1) * 3, keys)


def test_random_numbers_are_drawn_where_they_are_used(normal):
    key, x = pg.random_key(5, pg.device.cpu), normal(64, 50)

    def loss(x, key):
        kept = uniform(key, x.shape) < 0.9
        return pg.where(kept, pg.tanh(x) / 0.9, 0.0).sum()

    graph, _ = compiled(pg.value_and_grad(loss), x, key)
    assert "random_bits" not in [node.spec.primitive.name for node in graph.nodes]
    agrees(pg.value_and_grad(loss), x, key)
    same_bits(lambda key: uniform(key, (300, 41)), key)
    agrees(lambda key: normal_of(key, (300, 41)), key)


# ---- what is computed again rather than kept ---------------------------------------------------------


def gelu_layer(x, w, v):
    h = x @ w
    return ((h * 0.5 * (1 + pg.tanh((h + h * h * h * 0.044715) * 0.7978845608)) @ v) ** 2).sum()


def test_cheap_values_are_computed_again_by_the_backward_kernel(normal):
    x, w, v = normal(300, 200), normal(200, 500), normal(500, 100)
    graph, jitted = compiled(pg.grad(gelu_layer, (0, 1, 2)), x, w, v)
    forward = next(node for node in graph.nodes if node.spec.primitive is loop)
    assert type(forward.aval) is not tuple  # the activation alone: no 1 + tanh(h), no h * h
    agrees(pg.grad(gelu_layer, (0, 1, 2)), x, w, v, rtol=1e-4)


def test_dear_values_are_kept(normal):
    """pow costs more than reading its result; what products read is in memory anyway."""
    f = lambda x, w, e: ((pg.exp(pg.sin(pg.cos(pg.abs(x @ w) ** e))) @ w) ** 2).sum()
    x, w, e = normal(300, 200), normal(200, 200), normal(300, 200)
    graph, _ = compiled(pg.grad(f, (0, 1, 2)), x, w, e)
    assert str(graph).count(" = pow(") == 2  # |x w| ** e, and for the derivative |x w| ** (e - 1)
    agrees(pg.grad(f, (0, 1, 2)), x, w, e, rtol=1e-3)


def test_values_are_not_computed_again_for_results_of_the_program(normal):
    x, w = normal(200, 200), normal(200, 200)
    f = lambda x: pg.exp(x @ w * 0.1) * 2
    agrees(lambda x: (lambda y: (y, (y @ w) * y))(f(x)), x, rtol=1e-4)
    agrees(lambda x: (lambda y: ((y @ w) * y, (y.T @ w) * y, pg.flip(y, 0)))(f(x)), x, rtol=1e-4)


def test_recomputation_in_norms_and_chains(normal):
    """Row values, broadcasts and chains of chosen values; a value that two kernels compute again."""

    def f(x, w, b):
        for _ in range(3):
            x = x + pg.relu(layer_norm(x, b, b) @ w) * 0.5
        return (x * x).mean()

    agrees(pg.grad(f, (0, 1, 2)), normal(200, 256), normal(256, 256), normal(256), rtol=1e-4)
    agrees(pg.grad(lambda *a: pg.grad(f)(*a).sum()), normal(70, 256), normal(256, 256), normal(256), rtol=1e-3)
