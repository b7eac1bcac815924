"""The C ABI as any program sees it: ctypes and a C compiler only. Whatever it is given, it reports errors and lives."""

import ctypes as c
import gc
import itertools
import os
import re
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from abi import (
    BIG,
    BOOL,
    C64,
    C128,
    DTYPES,
    EDEVICE,
    EINVAL,
    ENOMEM,
    EUNSUPPORTED,
    F32,
    F64,
    HIGHEST,
    I8,
    I32,
    I64,
    LOWEST,
    PATH,
    ROOT,
    U32,
    U64,
    Failed,
    bytes_of,
    create,
    describe,
    error,
    execute,
    from_host,
    lib,
    numbers,
    open_device,
    stats_of,
    to_host,
)

from pequegrad.runtime import library

HEADER = os.path.join(ROOT, "runtime", "include", "pequegrad.h")
CONTRACT = os.path.join(ROOT, "runtime", "core", "kernels.md")


@pytest.fixture
def handle(device):
    device.handle  # noqa: B018  Python finds the library with LAPACK
    return open_device(device.kind, device.index)


# ---- it is C -----------------------------------------------------------------------------------------


def declared_functions():
    with open(HEADER) as file:
        abi = re.sub(r"/\*.*?\*/", "", file.read().split("cffi-begin */")[1], flags=re.S)
    return set(re.findall(r"\b(pg_\w+)\(", abi))


def compiler(*names):
    found = next(filter(None, map(shutil.which, names)), None)
    return found or pytest.skip(f"no compiler ({', '.join(names)})")


@pytest.mark.skipif(not shutil.which("nm"), reason="no nm")
def test_exports_what_the_header_declares():
    listing = subprocess.run(["nm", "-D", "--defined-only", PATH], capture_output=True, text=True, check=True).stdout
    exported = {line.split()[-1].split("@")[0] for line in listing.splitlines()}
    if "PG_LIBRARY" in os.environ:  # sanitizers add symbols of their own
        exported = {name for name in exported if name.startswith("pg_")}
    assert exported == declared_functions()


@pytest.mark.parametrize("language", ("c11", "c++11"))
def test_header_compiles(language):
    cc = compiler("gcc", "clang") if language == "c11" else compiler("g++", "clang++")
    flags = ["-fsyntax-only", f"-std={language}", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    kind = "c" if language == "c11" else "c++"
    result = subprocess.run(
        [cc, *flags, "-x", kind, "-"], input=f'#include "{HEADER}"\n', capture_output=True, text=True
    )
    assert result.returncode == 0 and not result.stderr, result.stderr


PROGRAM = r"""
#include "pequegrad.h"
#include <stdio.h>

static int fail(void) { return fprintf(stderr, "%s\n", pg_last_error()), 1; }

int main(int argc, char **argv) /* kind and index of the device */
{
    (void)argc;
    pg_device *device;
    if (pg_device_open(argv[1], argv[2][0] - '0', &device)) return fail();
    int64_t shape[] = {2, 3}, avals[] = {PG_FLOAT32, 2, 2, 3, PG_FLOAT32, 2, 2, 3, PG_FLOAT32, 2, 2, 3};
    float data[] = {1, 2, 3, 4, 5, 6}, result[6];
    pg_array *x, *y;
    pg_op *add, *mul;
    if (pg_array_from_host(device, PG_FLOAT32, 2, shape, data, &x)) return fail();
    if (pg_op_create(device, "add", 2, 1, avals, 12, NULL, 0, &add)) return fail();
    if (pg_op_create(device, "mul", 2, 1, avals, 12, NULL, 0, &mul)) return fail();
    int64_t code[] = {(int64_t)(intptr_t)add, 0, ~0, ~0, (int64_t)(intptr_t)mul, 1, 0, ~0}, output = 1;
    pg_program *program;
    if (pg_program_create(device, code, 8, 2, 1, &output, 1, &program)) return fail();
    if (pg_program_run(program, &x, &y)) return fail();
    if (pg_array_to_host(y, result, sizeof result)) return fail();
    for (int i = 0; i < 6; i++) printf("%g ", (double)result[i]);
    pg_array_release(x);
    pg_array_release(y);
    pg_program_destroy(program);
    pg_op_destroy(add);
    pg_op_destroy(mul);
    pg_memory_stats stats;
    pg_device_memory_stats(device, &stats);
    printf("%lld\n", (long long)stats.in_use);
    return 0;
}
"""


@pytest.mark.skipif("PG_LIBRARY" in os.environ, reason="an instrumented library needs its runtime linked in")
def test_a_c_program(tmp_path, device):
    cc = compiler("gcc", "clang", "cc")
    (tmp_path / "program.c").write_text(PROGRAM)
    build = [
        cc,
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{os.path.dirname(HEADER)}",
        "program.c",
        PATH,
        "-o",
        "program",
    ]
    subprocess.run(build, cwd=tmp_path, check=True)
    result = subprocess.run([tmp_path / "program", device.kind, str(device.index)], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split() == ["2", "8", "18", "32", "50", "72", "0"]


def test_python_without_any_package(device):
    """ctypes in a Python that finds nothing but the standard library."""
    script = f"""
import sys
sys.path.append({os.path.dirname(os.path.abspath(__file__))!r})
from abi import *
device = open_device({device.kind!r}, {device.index})
x = from_host(device, F32, (3,), (c.c_float * 3)(1, 2, 3))
op = create(device, "mul", [(F32, 3)] * 2, [(F32, 3)])
(y,) = execute(device, [op.value, 0, ~0, ~0], 1, [x], [0])
print(*(c.c_float * 3).from_buffer_copy(to_host(y, 12)))
assert not {{"pequegrad", "cffi", "numpy"}} & set(sys.modules)
"""
    result = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("1.0 4.0 9.0\n", "")


def test_another_abi_version_is_refused(monkeypatch):
    class Old:
        PG_ABI_VERSION = 7

        def pg_abi_version(self):
            return 6

    class Ffi:
        def dlopen(self, path, flags):
            return Old()

    monkeypatch.setattr(library, "ffi", Ffi())
    with pytest.raises(ImportError, match=r"(?s)libpequegrad\S* has ABI version 6, .* needs 7.*fix: .*make"):
        library._load()


def test_abi_version_is_that_of_the_header():
    with open(HEADER) as file:
        assert lib.pg_abi_version() == int(re.search(r"PG_ABI_VERSION = (\d+)", file.read())[1])


# ---- arrays ------------------------------------------------------------------------------------------


def test_views_share_memory(handle):
    x = from_host(handle, I32, (2, 3), (c.c_int32 * 6)(*range(6)))
    op = create(handle, "transpose", [(I32, 2, 3)], [(I32, 3, 2)], [1, 0])
    (y,) = execute(handle, [op.value, 0, ~0], 1, [x], [0])
    a, b = describe(x), describe(y)
    assert (a.buffer_id, a.buffer_bytes, a.data) == (b.buffer_id, b.buffer_bytes, b.data)
    assert b.strides[:2] == [4, 12] and b.shape[:2] == [3, 2]
    lib.pg_array_release(x)
    assert np.frombuffer(to_host(y, 24), "i4").tolist() == [0, 3, 1, 4, 2, 5]  # lives on
    lib.pg_array_release(y)
    lib.pg_op_destroy(op)


def test_owners_are_counted(handle):
    gc.collect()
    before = stats_of(handle).in_use
    x = from_host(handle, F32, (1000,), (c.c_float * 1000)())
    lib.pg_array_retain(x)
    lib.pg_array_release(x)
    assert stats_of(handle).in_use > before
    op = create(handle, "alias", [(F32, 1000)], [(F32, 1000)])
    same, twice = execute(handle, [op.value, 0, ~0], 1, [x], [0, ~0])
    for array in (x, same):
        lib.pg_array_release(array)
    assert stats_of(handle).in_use > before
    lib.pg_array_release(twice)
    assert stats_of(handle).in_use == before
    for name in ("pg_array_release", "pg_op_destroy", "pg_program_destroy"):
        getattr(lib, name)(None)


@pytest.mark.parametrize("dtype, shape, message", [
    (F32, (-1,), "negative size"), (F32, (0, -5), "negative size"), (15, (1,), "no dtype 15"), (-1, (1,), "no dtype -1"),
    (F32, (1,) * 33, "33 axes"), (F32, (2**61,), "more than 2"), (F32, (2**32, 2**32), "more than 2"),
    (BOOL, (2**62, 4, 0), "more than 2"),
])  # fmt: skip
def test_impossible_arrays(handle, dtype, shape, message):
    with pytest.raises(Failed, match=message) as failed:
        from_host(handle, dtype, shape, b"")
    assert failed.value.status == EINVAL


def test_reading_needs_the_exact_size(handle):
    x = from_host(handle, F32, (3,), (c.c_float * 3)())
    with pytest.raises(Failed, match="room for 11 bytes, but the array has 12"):
        to_host(x, 11)
    lib.pg_array_release(x)


def test_arguments_of_other_functions(device):
    for kind, index in (("cpu", 8), ("cpu", -1), ("abacus", 0)):
        with pytest.raises(Failed, match=kind) as failed:
            open_device(kind, index)
        assert failed.value.status == EDEVICE
    assert open_device("cpu", 0).value == open_device("cpu", 0).value != open_device("cpu", 1).value
    for n in (0, -1, 1025):
        assert lib.pg_set_num_threads(n) == EINVAL and str(n) in error()
    for path, status, message in ((b"", EINVAL, "no path"), (b"/nonexistent.so", EDEVICE, "/nonexistent.so"), (PATH.encode(), EUNSUPPORTED, "no LAPACK")):  # fmt: skip
        before = lib.pg_cpu_blas()
        assert lib.pg_cpu_load_blas(path) == status and message in error()
        assert lib.pg_cpu_blas() == before


def test_errors_belong_to_threads(handle):
    with pytest.raises(Failed):
        from_host(handle, 99, (), b"")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(error()))
    thread.start()
    thread.join()
    assert seen == [""] and "no dtype 99" in error()


# ---- operations --------------------------------------------------------------------------------------

f, i, b = (F32, 2, 3), (I32, 2, 3), (BOOL, 2, 3)
m, g = (F32, 2, 3, 3), (F32, 2, 4, 3)  # two square matrices, two others
NAMES = {
    "float": "floor ceil round trunc exp exp2 expm1 log log1p sqrt rsqrt cbrt sin cos tan asin acos atan sinh cosh tanh asinh"
    " acosh atanh logistic erf erfc erf_inv lgamma digamma neg abs sign copy alias bessel_i0e bessel_i1e",
    "integer": "not popcount clz",
    "floats": "pow atan2 nextafter add sub mul div rem max min igamma igammac igamma_grad_a random_gamma_grad zeta",
    "integers": "and or xor shift_left shift_right_arithmetic shift_right_logical",
    "compare": "eq ne lt le gt ge",
    "reduce": "reduce_sum reduce_prod reduce_max reduce_min",
    "cumulative": "cumsum cumprod cummax cummin cumlogsumexp",
    "window": "reduce_window_sum reduce_window_max reduce_window_min",
}  # fmt: skip
ROWS = [1, 1, 1, 0, 0, 0, 1, 0, 2, 1, 3]  # offset dims [1], collapsed [0], no batching, start map [0], window 1 x 3
ONE = 0x3FF0000000000000  # the bits of 1.0

VALID = {
    **{name: ([f], [f], []) for name in NAMES["float"].split()},
    **{name: ([i], [i], []) for name in NAMES["integer"].split()},
    **{name: ([f, (F32, 3)], [f], []) for name in NAMES["floats"].split()},
    **{name: ([i, (I32, 2, 1)], [i], []) for name in NAMES["integers"].split()},
    **{name: ([f, f], [b], []) for name in NAMES["compare"].split()},
    **{name: ([f], [(F32, 2)], [1]) for name in NAMES["reduce"].split()},
    **{name: ([f], [f], [1, 0]) for name in NAMES["cumulative"].split()},
    "linear_recurrence": ([f, f], [f], [0, 1]), "sort": ([f, i, b], [f, i, b], [1, 2]),
    "top_k": ([f], [(F32, 2, 2), (I32, 2, 2)], []), "searchsorted": ([f, (F32, 2, 5)], [(I32, 2, 5)], [1]),
    "bitcast": ([f], [(I8, 2, 3, 4)], []), "dynamic_slice": ([f, (I32,), (I64,)], [(F32, 1, 2)], []),
    "dynamic_update_slice": ([f, (F32, 1, 2), (I32,), (I64,)], [f], []),
    "reduce_and": ([i], [(I32, 3)], [0]), "reduce_or": ([i], [(I32,)], [0, 1]),
    "is_finite": ([f], [b], []), "convert": ([f], [(I8, 2, 3)], []), "integer_pow": ([f], [f], [3]),
    "select": ([b, f, f], [f], []), "clamp": ([f, f, f], [f], []),
    "reshape": ([f], [(F32, 3, 1, 2)], []), "transpose": ([f], [(F32, 3, 2)], [1, 0]), "rev": ([f], [f], [1]),
    "broadcast_in_dim": ([f], [(F32, 2, 4, 3)], [0, 2]), "slice": ([(F32, 5, 6)], [(F32, 2, 3)], [1, 0, 2, 2]),
    "concatenate": ([f, (F32, 4, 3)], [(F32, 6, 3)], [0]), "pad": ([f, (F32,)], [(F32, 5, 3)], [1, -1, 0, 1, 2, 0]),
    "iota": ([], [f], [1]), "slice_update": ([(F32, 5, 6), f], [(F32, 5, 6)], [1, 0, 2, 2]),
    "gather": ([(F32, 4, 3), (I32, 5, 1)], [(F32, 5, 3)], [0, *ROWS]),
    "scatter": ([(F32, 4, 3), (I32, 5, 1), (F32, 5, 3)], [(F32, 4, 3)], [1, 1, *ROWS]),
    "argmax": ([f], [(I32, 2)], [1]), "argmin": ([f], [(I64, 3)], [0]),
    "dot_general": ([(F32, 4, 2, 3), (F32, 3, 4, 5)], [(F32, 4, 2, 5)], [1, 1, 0, 1, 2, 0]),
    "attention": (
        [(F32, 2, 5, 3), (F32, 2, 4, 3), (F32, 2, 4, 6)], [(F32, 2, 5, 6), (F32, 2, 5), (F32, 2, 5)], [ONE, 0, 0, 0, 0, 0, 0],
    ),
    "attention_gradient": (
        [(F32, 2, 5, 3), (F32, 2, 4, 3), (F32, 2, 4, 6), (F32, 2, 5, 6), (F32, 2, 5), (F32, 2, 5), (F32, 2, 5, 6)],
        [(F32, 2, 5, 3), (F32, 2, 4, 3), (F32, 2, 4, 6)], [ONE, 0, 0, 0, 0, 0, 0],
    ),
    "conv": ([(F32, 1, 2, 5), (F32, 7, 2, 3)], [(F32, 1, 7, 6)], [1, 1, *[0, 1, 2] * 3, 2, 3, 1, 2, 1]),
    **{name: ([(F32, 2, 5)], [(F32, 1, 7)], [2, 1, 0, 0, 1, 1, 3, 2, 4, 3, 2, 1]) for name in NAMES["window"].split()},
    **{name: ([(F32, 2, 5)], [(I32, 1, 3)], [2, 1, 0, 0, 1, 1, 3, 2, 2, 1, 1, 1]) for name in ("window_argmax", "window_argmin")},
    "window_take": ([(F32, 2, 5), (F32, 2, 5)], [(F32, 1, 3)], [0, 2, 1, 0, 0, 1, 1, 3, 2, 2, 1, 1, 1]),
    "window_put": ([(F32, 2, 5), (F32, 1, 3)], [(F32, 2, 5)], [1, 2, 1, 0, 0, 1, 1, 3, 2, 2, 1, 1, 1]),
    "windows": ([(F32, 2, 5)], [(F32, 2, 2, 2)], [1, 2, 2, 2]), "overlap_add": ([(F32, 2, 2, 2)], [(F32, 2, 6)], [1, 2, 3]),
    "cholesky": ([m], [m], []), "lu": ([g], [g, (I32, 2, 3), (I32, 2, 4)], []), "qr": ([g], [g, m], [0]),
    "pivots_to_permutation": ([(I32, 2, 3)], [(I32, 2, 4)], []), "svd": ([g], [g, (F32, 2, 3), m], [0]),
    "pinv": ([g, (F32, 2)], [(F32, 2, 3, 4)], []), "eig": ([m], [(C64, 2, 3), (C64, 2, 3, 3)], []), "eigh": ([m], [(F32, 2, 3), m], []),
    "reflections": ([g], [g, (F32, 2, 3), (I32, 2, 3)], []), "hessenberg": ([m], [m, (F32, 2, 2)], []), "schur": ([m], [m, m], []),
    "tridiagonal": ([m], [m, (F32, 2, 3), (F32, 2, 2), (F32, 2, 2)], [1]),
    "triangular_solve": ([m, (F32, 2, 3, 5)], [(F32, 2, 3, 5)], [1, 0, 2, 1]),
    "solve": ([m, (F32, 2, 3, 5)], [(F32, 2, 3, 5), m, (I32, 2, 3)], []), "det": ([m], [(F32, 2)], []),
    "slogdet": ([m], [(F32, 2), (F32, 2)], []), "adjugate": ([m], [m], []),
    "fft": ([(C64, 3, 10)], [(C64, 3, 10)], [1, 2]), "rfft": ([(F32, 3, 10)], [(C64, 3, 6)], [0]),
    "irfft": ([(C64, 3, 6)], [(F32, 3, 10)], [1]),
    "threefry2x32": ([(U32, 2), (U32, 7), (U32, 7)], [(U32, 7), (U32, 7)], []),
    "polygamma": ([f], [f], [2]), "betainc": ([f, (F32,), f], [f], []),
    "real": ([(C64, 2, 3)], [f], []), "imag": ([(C128, 2, 3)], [(F64, 2, 3)], []),
    "conj": ([(C64, 2, 3)], [(C64, 2, 3)], []), "complex": ([f, (F32, 3)], [(C64, 2, 3)], []),
    "random_bits": ([(U32, 3, 2), (U32, 3)], [(U64, 3, 5)], [1]),
}  # fmt: skip


def run(handle, name, inputs, outputs, params):
    """Creates the operation and runs it once on harmless data."""
    op = create(handle, name, inputs, outputs, params)
    arrays, results = [], []
    try:
        for aval in inputs:
            arrays.append(from_host(handle, aval[0], aval[1:], bytes(bytes_of(aval))))
        slots = list(range(len(outputs)))
        results = execute(handle, [op.value, *slots, *[~k for k, _ in enumerate(inputs)]], len(slots), arrays, slots)
        for aval, array in zip(outputs, results):
            info = describe(array)
            assert (info.dtype, *info.shape[: info.ndim]) == tuple(aval)
            if bytes_of(aval) < 1 << 16:
                to_host(array, bytes_of(aval))
    finally:
        for array in arrays + results:
            lib.pg_array_release(array)
        lib.pg_op_destroy(op)


def changed(inputs, outputs, params):
    """Every description that differs from a valid one in one place."""
    for k, _ in enumerate(params):
        yield inputs, outputs, params[:k] + params[k + 1 :]
        for value in (-1, 0, 1, 2, 7, 33, BIG, -BIG, LOWEST, HIGHEST):
            yield inputs, outputs, [*params[:k], value, *params[k + 1 :]]
    for value in (0, 1, -1):
        yield inputs, outputs, [*params, value]
    yield inputs, outputs, [0] * 100
    yield [*inputs, f], outputs, params
    yield inputs, [*outputs, f], params
    yield inputs[:-1], outputs, params
    yield inputs, outputs[:-1], params
    for side, k in [(s, k) for s, avals in enumerate((inputs, outputs)) for k, _ in enumerate(avals)]:
        dtype, *shape = (inputs, outputs)[side][k]
        others = [(d, *shape) for d in (*DTYPES, -1, 15, BIG)] + [
            (dtype, *shape, 1),
            (dtype, *shape[1:]),
            (dtype, *[1] * 32),
        ]
        others += [(dtype, *shape[:j], size, *shape[j + 1 :]) for j, _ in enumerate(shape) for size in (0, 1, 7, 2**45, BIG, -1, LOWEST)]  # fmt: skip
        others += [(dtype, *[0] * 32), (dtype, *[1] * 33)]
        for other in others:
            avals = [list(inputs), list(outputs)]
            avals[side][k] = other
            yield *avals, params


def test_every_kernel_of_the_contract_has_a_case():
    with open(CONTRACT) as file:
        rows = [row.split("|")[1] for row in file if row.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(VALID)


@pytest.mark.parametrize("name", VALID)
def test_wrong_descriptions_of_operations(handle, name):
    """One wrong number anywhere: it still runs, or there is a status and a message that names the kernel."""
    run(handle, name, *VALID[name])
    failures = 0
    for description in changed(*VALID[name]):
        inputs = description[0]
        try:
            if all(bytes_of(a) < 1 << 16 for a in inputs if a[0] in DTYPES and min(a[1:], default=0) >= 0):
                run(handle, name, *description)
            else:
                lib.pg_op_destroy(create(handle, name, *description))
        except Failed as failed:
            failures += 1
            assert failed.status in (EINVAL, ENOMEM, EUNSUPPORTED), failed
            assert str(failed).startswith(name) or failed.status == ENOMEM, failed
            assert len(str(failed)) > len(name) + 10
    assert failures > 10


@pytest.mark.parametrize("name", VALID)
def test_every_dtype_runs_or_is_refused(handle, name):
    """All operands of one dtype changed to another, alone and with all others of it: it runs, or is PG_EUNSUPPORTED or PG_EINVAL."""
    inputs, outputs, params = VALID[name]
    used = {aval[0] for aval in (*inputs, *outputs)}
    for old, new in itertools.product(used, DTYPES):
        part = {C64: F32, C128: F64}.get(new, new)
        for real_dtype in {new, part}:
            swap = lambda avals, to: [(to, *aval[1:]) if aval[0] == old else aval for aval in avals]
            for changed_outputs in (swap(outputs, real_dtype), outputs):
                try:
                    run(handle, name, swap(inputs, new), changed_outputs, params)
                except Failed as failed:
                    assert failed.status in (EINVAL, EUNSUPPORTED) and str(failed).startswith(name), failed


def test_wrong_counts_of_operations(handle):
    words, out = numbers([F32, 1, 3, F32, 1, 3]), c.c_void_p()
    make = lambda name, n_in, n_out, n_avals, n_params: lib.pg_op_create(
        handle, name, n_in, n_out, words, c.c_int64(n_avals), numbers([]), c.c_int64(n_params), c.byref(out)
    )
    for counts in ((-1, 1, 6, 0), (1, 0, 6, 0), (1, -1, 6, 0), (1, 1, -6, 0), (1, 1, 6, -1), (1, 1, 5, 0), (2, 1, 6, 0),
                   (1, 1, 0, 0), (2**31 - 1, 2**31 - 1, 6, 0), (1, 1, 6, HIGHEST), (0, 1, 6, 0)):  # fmt: skip
        assert make(b"neg", *counts) == EINVAL and "neg" in error()
    assert make(b"no_such_kernel", 1, 1, 6, 0) == EUNSUPPORTED and "'no_such_kernel'" in error()
    assert make(None, 1, 1, 6, 0) == EINVAL and "NULL" in error()
    assert out.value is None  # written only on success


def test_sizes_whose_sum_does_not_fit(handle):
    """Empty arrays may be long on other axes: what is computed from their sizes must not overflow."""
    long = (I8, BIG, 0)
    for name, inputs, output, params in (("concatenate", [long] * 4, long, [0]), ("concatenate", [long] * 2, (I8, LOWEST, 0), [0]),
                                         ("pad", [long, (I8,)], long, [BIG, 0, BIG, 0, HIGHEST, 0])):  # fmt: skip
        with pytest.raises(Failed, match=name) as failed:
            create(handle, name, inputs, [output], params)
        assert failed.value.status == EINVAL


@pytest.mark.parametrize("name", VALID)
def test_no_memory_is_lost_when_it_runs_out(device, name):
    """With room for the n-th block missing, n = 0, 1, 2, ...: PG_ENOMEM, and nothing stays in use."""
    device.handle  # noqa: B018  Python finds the library with LAPACK
    handle = open_device(device.kind, 7 if device.kind == "cpu" else device.index)  # an account that no other test uses
    gc.collect()
    before = stats_of(handle)
    lib.pg_device_empty_cache(handle)
    try:
        for room in itertools.count(0, 64):
            lib.pg_device_set_memory_limit(handle, c.c_int64(before.in_use + room))
            try:
                run(handle, name, *VALID[name])
            except Failed as failed:
                assert failed.status == ENOMEM and "memory" in str(failed)
                assert stats_of(handle).in_use == before.in_use
            else:
                break
        assert stats_of(handle).in_use == before.in_use
    finally:
        lib.pg_device_set_memory_limit(handle, c.c_int64(before.limit))


# ---- programs ----------------------------------------------------------------------------------------


@pytest.fixture
def neg(handle):
    op = create(handle, "neg", [(F32, 3)], [(F32, 3)])
    yield op.value
    lib.pg_op_destroy(op)


@pytest.mark.parametrize("code, n_slots, n_inputs, outputs, message", [
    ("neg 0 0", 1, 1, [0], "slot 0 is read before it is written"),
    ("neg 0 1 neg 1 ~0", 2, 1, [0], "slot 1 is read before it is written"),
    ("neg 0 ~0 neg 0 ~0", 1, 1, [0], "slot 0 is written twice"),
    ("neg 1 ~0", 1, 1, [0], "slot 1, which does not exist"),
    ("neg -1 ~0", 1, 1, [0], "slot -1, which does not exist"),
    (f"neg {HIGHEST} ~0", 1, 1, [0], f"slot {HIGHEST}, which"),
    ("neg 0 ~1", 1, 1, [0], "no input 1"),
    ("neg 0 ~0", 1, 0, [0], "no input 0"),
    (f"neg 0 {LOWEST}", 1, 1, [0], f"no input {HIGHEST}"),
    (f"neg 0 {HIGHEST}", 1, 1, [0], f"no slot {HIGHEST}"),
    ("neg 0 ~0", 1, 1, [1], "no slot 1"),
    ("neg 0 ~0", 2, 1, [1], "slot 1 is read before it is written"),
    ("neg 0 ~0", 1, 1, [~1], "no input 1"),
    ("neg 0 ~0", 1, 1, [LOWEST], f"no input {HIGHEST}"),
    ("neg 0", 1, 1, [0], "instruction 0 .neg. is cut off"),
    ("neg 0 ~0 neg", 1, 1, [0], "instruction 1 .neg. is cut off"),
    ("0 0 ~0", 1, 1, [0], "operation of instruction 0 is NULL"),
    ("neg 0 ~0", -1, 1, [0], "-1 slots"),
    ("neg 0 ~0", BIG, 1, [0], f"{BIG} slots"),
    ("sum 0 ~0 neg 1 0", 2, 1, [1], "input 0 of neg does not have the dtype and shape"),
    ("neg 0 ~0 sum 1 ~0", 2, 1, [1], "input 0 of reduce_sum|input 0 of neg"),
])  # fmt: skip
def test_malformed_programs(handle, code, n_slots, n_inputs, outputs, message):
    ops = {"neg": create(handle, "neg", [(F32, 3)], [(F32, 3)]), "sum": create(handle, "reduce_sum", [(F32, 2, 3)], [(F32, 2)], [1])}  # fmt: skip
    words = [ops[w].value if w in ops else ~int(w[1:]) if w[0] == "~" else int(w) for w in code.split()]
    out = c.c_void_p()
    status = lib.pg_program_create(handle, numbers(words), c.c_int64(len(words)), c.c_int64(n_slots), c.c_int64(n_inputs),
                                   numbers(outputs), c.c_int64(len(outputs)), c.byref(out))  # fmt: skip
    assert status == EINVAL and re.search(message, error()), error()
    assert out.value is None
    for op in ops.values():
        lib.pg_op_destroy(op)


def test_impossible_counts_of_programs(handle, neg):
    out = c.c_void_p()
    for counts in ((-1, 1, 1, 1), (3, 1, -1, 1), (3, 1, BIG, 1), (3, 1, 1, -1), (3, 1, 1, BIG), (BIG, 1, 1, 1)):
        n_code, n_slots, n_inputs, n_outputs = map(c.c_int64, counts)
        status = lib.pg_program_create(handle, numbers([neg, 0, ~0]), n_code, n_slots, n_inputs, numbers([0]), n_outputs, c.byref(out))  # fmt: skip
        assert status == EINVAL and "program:" in error()


def test_inputs_of_another_kind(handle, neg, device):
    right = from_host(handle, F32, (3,), (c.c_float * 3)())
    wrong = [from_host(handle, F32, (4,), (c.c_float * 4)()), from_host(handle, I32, (3,), (c.c_int32 * 3)())]
    code = [neg, 0, ~0]
    for x in (*wrong, None):
        with pytest.raises(Failed, match="input 0 (is NULL|does not have the dtype and shape)"):
            execute(handle, code, 1, [x], [0])
    if device.kind == "cpu":
        elsewhere = from_host(open_device("cpu", 6), F32, (3,), (c.c_float * 3)())
        with pytest.raises(Failed, match=r"input 0 is on cpu:6, the program on cpu:\d"):
            execute(handle, code, 1, [elsewhere], [0])
        with pytest.raises(Failed, match="instruction 0 .neg. belongs to another device"):
            execute(open_device("cpu", 6), code, 1, [elsewhere], [0])
        wrong.append(elsewhere)
    for x in (*wrong, right):
        lib.pg_array_release(x)


def test_edges_of_programs(handle, neg):
    """Nothing to do, inputs as outputs, one output twice, results that nobody reads."""
    assert execute(handle, [], 0, [], []) == []
    x = from_host(handle, F32, (3,), (c.c_float * 3)(1, 2, 3))
    results = execute(handle, [neg, 0, ~0, neg, 1, 0, neg, 2, ~0], 3, [x], [1, ~0, 1, 0])
    found = [np.frombuffer(to_host(r, 12), "f4").tolist() for r in results]
    assert found == [[1, 2, 3], [1, 2, 3], [1, 2, 3], [-1, -2, -3]]
    for array in (*results, x):
        lib.pg_array_release(array)
