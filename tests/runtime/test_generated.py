"""The kernel `generated`: functions from a shared object that a C compiler made, called with whatever arrays there are."""

import ctypes as c
import itertools
import os
import shutil
import subprocess

import numpy as np
import pytest
from abi import (
    BIG,
    EINVAL,
    ENOMEM,
    F32,
    F64,
    HIGHEST,
    I32,
    I64,
    LOWEST,
    Failed,
    address,
    check,
    create,
    describe,
    execute,
    from_host,
    lib,
    numbers,
    open_code,
    open_device,
    stats_of,
    to_host,
)

import pequegrad as pg
from pequegrad.core.errors import ArgumentError
from pequegrad.runtime.library import Code

pytestmark = pytest.mark.skipif(
    "not config.getoption('--device').startswith('cpu')", reason="generated C runs on the CPU device"
)

SOURCE = r"""
#include <stdint.h>
#include <string.h>
#define KERNEL(name) void name(void *const *buffers, int64_t begin, int64_t end, void *scratch)

KERNEL(add) /* a unit is one of 6 elements: x + y, two float inputs */
{
    (void)scratch;
    const float *x = buffers[0], *y = buffers[1];
    float *out = buffers[2];
    for (int64_t i = begin; i < end && i < 6; i++) out[i] = x[i] + y[i];
}
KERNEL(scale) /* a unit is a row of 4: x * s, and the row's sum */
{
    (void)scratch;
    const double *x = buffers[0], *s = buffers[1];
    double *out = buffers[2], *sums = buffers[3];
    for (int64_t i = begin; i < end; i++) {
        sums[i] = 0;
        for (int64_t j = 0; j < 4; j++) sums[i] += out[4 * i + j] = x[4 * i + j] * *s;
    }
}
KERNEL(to_int) /* int32 in the memory of float32 */
{
    (void)scratch;
    const float *x = buffers[0];
    for (int64_t i = begin; i < end; i++) {
        int32_t n = (int32_t)x[i];
        memcpy((int32_t *)buffers[1] + i, &n, 4);
    }
}
static void turn(const int64_t *x, int64_t *out, int64_t *held, int64_t bytes, int64_t begin, int64_t end)
{
    memset(held, 0xff, (size_t)bytes); /* a unit is one of n int64: through all scratch memory; -1 if it is not aligned */
    for (int64_t i = begin; i < end; i++) {
        held[bytes / 8 - 1] = held[0] = x[i];
        out[i] = (uintptr_t)held % 64 ? -1 : held[0] + held[bytes / 8 - 1];
    }
}
KERNEL(turn_64) { turn(buffers[0], buffers[1], scratch, 64, begin, end); }
KERNEL(turn_16384) { turn(buffers[0], buffers[1], scratch, 16384, begin, end); }
KERNEL(turn_16392) { turn(buffers[0], buffers[1], scratch, 16392, begin, end); }
KERNEL(turn_1000000) { turn(buffers[0], buffers[1], scratch, 1000000, begin, end); }
KERNEL(sum_100) /* one unit: the sum of 100 scalars */
{
    (void)begin, (void)end, (void)scratch;
    double *out = buffers[100];
    *out = 0;
    for (int i = 0; i < 100; i++) *out += *(const double *)buffers[i];
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    cc = next(filter(None, map(shutil.which, ("gcc", "clang", "cc"))), None) or pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("generated")
    (folder / "source.c").write_text(SOURCE)
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}  # of sanitizers
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
    subprocess.run([cc, *flags, "source.c", "-o", "code.so"], cwd=folder, env=environment, check=True)
    return str(folder / "code.so")


@pytest.fixture
def code(library):
    code = open_code(library)
    yield code
    lib.pg_code_close(code)


@pytest.fixture
def handle(device):
    return open_device(device.kind, device.index)


def array(handle, data):
    data = np.asarray(data, order="C")
    dtype = {"float32": F32, "float64": F64, "int32": I32, "int64": I64}[data.dtype.name]
    return from_host(handle, dtype, data.shape, data.tobytes())


def values(array, dtype):
    info = describe(array)
    shape = tuple(info.shape[: info.ndim])
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(to_host(array, size)[:size], dtype).reshape(shape)


def run_donating(handle, words, n_slots, inputs, references):
    """Outputs of a program to which all inputs are given."""
    program, outputs = c.c_void_p(), (c.c_void_p * len(references))()
    check(lib.pg_program_create(handle, numbers(words), c.c_int64(len(words)), c.c_int64(n_slots), c.c_int64(len(inputs)),
                                numbers(references), c.c_int64(len(references)), c.byref(program)))  # fmt: skip
    try:
        given = (c.c_uint8 * len(inputs))(*[1] * len(inputs))
        check(lib.pg_program_run_donating(program, (c.c_void_p * len(inputs))(*inputs), given, outputs))
    finally:
        lib.pg_program_destroy(program)
    return [c.c_void_p(pointer) for pointer in outputs]


def release(*arrays):
    for a in arrays:
        lib.pg_array_release(a)


# ---- loading -----------------------------------------------------------------------------------------


def test_code_that_cannot_be_loaded(tmp_path, library):
    (tmp_path / "text.so").write_text("not a shared object")
    for path, message in ((tmp_path / "missing.so", "missing.so"), (tmp_path / "text.so", "text.so"), ("code.so", "names no folder"), ("", "names no folder")):  # fmt: skip
        with pytest.raises(Failed, match=message) as failed:
            open_code(path)
        assert failed.value.status == EINVAL and str(failed.value).startswith("pg_code_open")
    with pytest.raises(ArgumentError, match=r"missing\.so"):
        Code(tmp_path / "missing.so")
    with pytest.raises(ArgumentError, match="no function 'subtract'"):
        Code(library).address("subtract")


def test_addresses(library, code, handle):
    assert address(code, "add") == address(code, "add") == Code(library).address("add") != address(code, "scale")
    lib.pg_code_close(None)


def test_an_address_is_good_while_its_code_is_open(tmp_path, library, handle):
    shutil.copy(library, tmp_path / "copy.so")
    code = open_code(tmp_path / "copy.so")
    where, f = address(code, "add"), (F32, 6)
    lib.pg_op_destroy(create(handle, "generated", [f, f], [f], [where, 6, 6, 0, -1]))
    lib.pg_code_close(code)
    with pytest.raises(Failed, match="no open code at address"):
        create(handle, "generated", [f, f], [f], [where, 6, 6, 0, -1])


# ---- descriptions ------------------------------------------------------------------------------------


def test_wrong_parameters(handle, code):
    f, where = (F32, 6), address(code, "add")
    good = [where, 6, 1, 0, -1]
    for params, message in (
        (good[:-1], "takes 5 parameters, not 4"), ([*good, -1], "takes 5 parameters, not 6"), ([], "takes 5"),
        ([0, *good[1:]], "address 0"), ([where + 1, *good[1:]], "no open code"), ([LOWEST, *good[1:]], "no open code"),
        ([where, -1, 1, 0, -1], "-1 units"), ([where, HIGHEST, 1, 0, -1], f"{HIGHEST} units"), ([where, 0, 1, 0, -1], "0 units cannot write output 0"),
        ([where, 6, -1, 0, -1], "at least -1"), ([where, 6, 1, LOWEST, -1], f"{LOWEST} bytes"),
        ([where, 6, 1, 0, 2], "memory of input 2"), ([where, 6, 1, 0, -2], "memory of input -2"), ([where, 6, 1, 0, BIG], f"input {BIG}"),
    ):  # fmt: skip
        with pytest.raises(Failed, match=message) as failed:
            create(handle, "generated", [f, f], [f], params)
        assert failed.value.status == EINVAL and str(failed.value).startswith("generated: float32[6]")
    for inputs, outputs, taken, message in (
        ([f, (F64, 6)], [f], [1], "output 0 is not as large as input 1"),
        ([f, f], [f, f], [1, 1], "outputs 0 and 1 are to take the memory of input 1"),
    ):
        with pytest.raises(Failed, match=message):
            create(handle, "generated", inputs, outputs, [where, 6, 1, 0, *taken])


def test_impossible_amounts_of_scratch_memory(handle, code):
    f, before = (F32, 6), stats_of(handle).in_use
    op = create(handle, "generated", [f, f], [f], [address(code, "add"), 6, 1, BIG, -1])
    x = array(handle, np.zeros(6, "f4"))
    with pytest.raises(Failed, match=f"{BIG} bytes of scratch") as failed:
        execute(handle, [op.value, 0, ~0, ~0], 1, [x], [0])
    assert failed.value.status == ENOMEM
    release(x)
    lib.pg_op_destroy(op)
    assert stats_of(handle).in_use == before


# ---- values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("units, grain", [(6, 6), (6, 1), (6, 0), (6, 100), (BIG - 1, BIG)])
def test_units(handle, code, units, grain):
    f = (F32, 2, 3)
    op = create(handle, "generated", [f, f], [f], [address(code, "add"), units, grain, 0, -1])
    x, y = array(handle, np.arange(6, dtype="f4").reshape(2, 3)), array(handle, np.full((2, 3), 10, "f4"))
    (out,) = execute(handle, [op.value, 0, ~0, ~1], 1, [x, y], [0])
    assert values(out, "f4").tolist() == [[10, 11, 12], [13, 14, 15]]
    release(x, y, out)
    lib.pg_op_destroy(op)


@pytest.mark.parametrize("rows", [0, 1, 7, 10007])
@pytest.mark.parametrize("threads", [1, 3])
def test_rows_in_several_threads(handle, code, rng, rows, threads):
    before = pg.num_threads()
    pg.set_num_threads(threads)
    try:
        data = rng.standard_normal((rows, 4))
        op = create(handle, "generated", [(F64, rows, 4), (F64,)], [(F64, rows, 4), (F64, rows)], [address(code, "scale"), rows, 16, 0, 0, -1])  # fmt: skip
        x, s = array(handle, data), array(handle, np.float64(3))
        scaled, sums = execute(handle, [op.value, 0, 1, ~0, ~1], 2, [x, s], [0, 1])
        np.testing.assert_array_equal(values(scaled, "f8"), data * 3)
        np.testing.assert_allclose(values(sums, "f8"), (data * 3).sum(1), rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(values(x, "f8"), data)  # still the caller's
        release(x, s, scaled, sums)
        lib.pg_op_destroy(op)
    finally:
        pg.set_num_threads(before)


@pytest.mark.parametrize("size", [64, 16384, 16392, 1000000])
def test_scratch_memory_belongs_to_one_call(handle, code, size):
    before, n = pg.num_threads(), 1000
    pg.set_num_threads(4)
    try:
        op = create(handle, "generated", [(I64, n)], [(I64, n)], [address(code, f"turn_{size}"), n, 1, size, -1])
        x = array(handle, np.arange(n))
        (out,) = execute(handle, [op.value, 0, ~0], 1, [x], [0])
        np.testing.assert_array_equal(values(out, "i8"), 2 * np.arange(n))
        release(x, out)
        lib.pg_op_destroy(op)
    finally:
        pg.set_num_threads(before)


def test_many_operands(handle, code):
    op = create(handle, "generated", [(F64,)] * 100, [(F64,)], [address(code, "sum_100"), 1, 1, 0, 99])
    arrays = [array(handle, np.float64(k)) for k in range(100)]
    (out,) = run_donating(handle, [op.value, 0, *[~k for k in range(100)]], 1, arrays, [0])
    assert values(out, "f8") == 4950
    release(out)
    lib.pg_op_destroy(op)


def test_inputs_that_are_views(handle, code):
    """Transposed, reversed and broadcast ones are copied; the outputs may lie in the copies."""
    f = (F32, 2, 3)
    transpose = create(handle, "transpose", [(F32, 3, 2)], [f], [1, 0])
    broadcast = create(handle, "broadcast_in_dim", [(F32,)], [f], [])
    for taken in (-1, 0, 1):
        op = create(handle, "generated", [f, f], [f], [address(code, "add"), 6, 6, 0, taken])
        x, s = array(handle, np.arange(6, dtype="f4").reshape(3, 2)), array(handle, np.float32(10))
        words = [transpose.value, 0, ~0, broadcast.value, 1, ~1, op.value, 2, 0, 1]
        (out,) = execute(handle, words, 3, [x, s], [2])
        assert values(out, "f4").tolist() == [[10, 12, 14], [11, 13, 15]]
        assert values(x, "f4").tolist() == [[0, 1], [2, 3], [4, 5]] and values(s, "f4") == 10
        release(x, s, out)
        lib.pg_op_destroy(op)
    for other in (transpose, broadcast):
        lib.pg_op_destroy(other)


# ---- memory that is taken over -----------------------------------------------------------------------


def taken_over(handle, code, name, inputs, outputs, taken, arrays, n=6):
    """The buffer ids of the inputs, and (buffer id, array) of the first output."""
    op = create(handle, "generated", inputs, outputs, [address(code, name), n, n, 0, *taken])
    ids = [describe(a).buffer_id for a in arrays]
    out = run_donating(handle, [op.value, *range(len(outputs)), *[~k for k, _ in enumerate(inputs)]], len(outputs), arrays, [0])[0]  # fmt: skip
    lib.pg_op_destroy(op)
    return ids, describe(out).buffer_id, out


@pytest.mark.parametrize("taken", [-1, 0, 1])
def test_memory_of_dying_inputs(handle, code, taken):
    f = (F32, 6)
    x, y = array(handle, np.arange(6, dtype="f4")), array(handle, np.full(6, 10, "f4"))
    ids, found, out = taken_over(handle, code, "add", [f, f], [f], [taken], [x, y])
    assert (found == ids[taken]) if taken >= 0 else (found not in ids)
    assert values(out, "f4").tolist() == [10, 11, 12, 13, 14, 15]
    release(out)


def test_memory_that_others_hold_is_left_alone(handle, code):
    f = (F32, 6)
    x, y = array(handle, np.arange(6, dtype="f4")), array(handle, np.full(6, 10, "f4"))
    lib.pg_array_retain(x)
    ids, found, out = taken_over(handle, code, "add", [f, f], [f], [0], [x, y])
    assert found not in ids and values(x, "f4").tolist() == [0, 1, 2, 3, 4, 5]
    release(out)
    lib.pg_array_retain(x)  # given twice, and held once
    ids, found, out = taken_over(handle, code, "add", [f, f], [f], [1], [x, x])
    assert found not in ids and values(out, "f4").tolist() == [0, 2, 4, 6, 8, 10]
    release(out)


def test_memory_under_another_dtype_and_shape(handle, code):
    x = array(handle, np.arange(6, dtype="f4") + np.float32(0.5))
    ids, found, out = taken_over(handle, code, "to_int", [(F32, 6)], [(I32, 3, 2)], [0], [x])
    info = describe(out)
    assert found == ids[0] and (info.dtype, *info.shape[:2], *info.strides[:2]) == (I32, 3, 2, 8, 4)
    assert values(out, "i4").tolist() == [[0, 1], [2, 3], [4, 5]]
    release(out)


def test_small_views_of_large_buffers_are_not_taken(handle, code):
    x = array(handle, np.arange(12, dtype="f4"))
    y = array(handle, np.zeros(6, "f4"))
    half = create(handle, "slice", [(F32, 12)], [(F32, 6)], [6, 1])
    op = create(handle, "generated", [(F32, 6)] * 2, [(F32, 6)], [address(code, "add"), 6, 6, 0, 0])
    (out,) = run_donating(handle, [half.value, 0, ~0, op.value, 1, 0, ~1], 2, [x, y], [1])
    assert describe(out).buffer_bytes == 24 and values(out, "f4").tolist() == [6, 7, 8, 9, 10, 11]
    release(out)
    for each in (half, op):
        lib.pg_op_destroy(each)


# ---- memory that is missing --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [64, 1000000])
def test_no_memory_is_lost_when_it_runs_out(device, code, size):
    """With room for the n-th block missing: for the copy of the input, the output, the scratch memory."""
    handle, n = open_device("cpu", 7), 300  # an account that no other test uses
    before = stats_of(handle)
    op = create(handle, "generated", [(I64, n)], [(I64, n)], [address(code, f"turn_{size}"), n, n, size, -1])
    rev = create(handle, "rev", [(I64, n)], [(I64, n)], [0])
    failures = 0
    lib.pg_device_empty_cache(handle)
    try:
        for room in itertools.count(0, 2048):
            lib.pg_device_set_memory_limit(handle, c.c_int64(before.in_use + 4096 + room))
            x, results = array(handle, np.arange(n)), []
            try:
                results = execute(handle, [rev.value, 0, ~0, op.value, 1, 0], 2, [x], [1])
            except Failed as failed:
                failures += 1
                assert failed.status == ENOMEM and "memory" in str(failed)
            else:
                np.testing.assert_array_equal(values(results[0], "i8"), 2 * np.arange(n)[::-1])
                break
            finally:
                release(x, *results)
            assert stats_of(handle).in_use == before.in_use
        assert failures >= 2 and stats_of(handle).in_use == before.in_use
    finally:
        lib.pg_device_set_memory_limit(handle, c.c_int64(before.limit))
        for each in (op, rev):
            lib.pg_op_destroy(each)
