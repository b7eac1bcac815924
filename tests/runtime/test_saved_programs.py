"""Programs in files: they give the same again, without Python, too; and no file, whatever is in it, does harm."""

import os
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
from abi import PATH, ROOT

import pequegrad as pg
from pequegrad.compiler import toolchain
from pequegrad.core.errors import ArgumentError, PequegradError, ShapeError
from pequegrad.core.node import make_aval
from pequegrad.runtime import library
from pequegrad.runtime.library import Program

pytestmark = pytest.mark.skipif(
    "not config.getoption('--device').startswith('cpu')", reason="programs are saved from the CPU device"
)


def entry_of(function, *arguments):
    """What jit made of the function for these arguments, and its results."""
    jitted = pg.jit(function)
    results = jitted(*arguments)
    ((entry,),) = jitted.compiled.values()
    return entry, results if isinstance(results, (tuple, list)) else [results]


def numpy_of(values):
    return [library._array_from_pointer(value.pointer) for value in values]


def run(device, path, arrays):
    """What the program in the file gives for NumPy arrays."""
    program = Program.load(device, path)
    return numpy_of(program.run([library.array_from_host(a, device) for a in arrays]))


def check(device, path, function, *tensors):
    entry, expected = entry_of(function, *tensors)
    entry.save(path)
    for found, y in zip(run(device, path, [x.numpy() for x in tensors]), expected, strict=True):
        np.testing.assert_array_equal(found, y.numpy())


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "saved.pg")


@pytest.fixture
def x(tensor, rng):
    return tensor(rng.standard_normal((6, 10)).astype("f4"))


@pytest.fixture
def network(tensor, rng):
    """A network with weights of its own, and a batch for it."""
    weights = [tensor(rng.standard_normal(s).astype("f4") * 0.2) for s in ((20, 30), (30,), (30, 5), (5,))]

    def predict(x):
        return pg.softmax((x @ weights[0] + weights[1]).relu() @ weights[2] + weights[3], -1)

    return predict, tensor(rng.standard_normal((7, 20)).astype("f4"))


# ---- the same again ----------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [
    lambda x: x + 1, lambda x: (x, x.T, x * 2), lambda x: pg.softmax(x, 1), lambda x: x.sum(0).exp() @ x.T,
    lambda x: x[:0] + 1, lambda x: pg.scan(lambda c, row: (c + row.exp(), (c * row).cos()), x[0], x),
    lambda x: pg.cond(x[0, 0] > 0, lambda x: x.sin(), lambda x: x * 3 - 1, x), lambda x: pg.cond(x[0, 0] < 0, lambda x: x.sin(), lambda x: x * 3 - 1, x),
    lambda x: pg.while_loop(lambda c: c.sum() < 100, lambda c: c * 2 + 1, x.abs()), lambda x: pg.sort(x, 0)[x.argmax(0)],
    lambda x: pg.fori_loop(0, 3, lambda i, c: pg.fori_loop(0, 2, lambda j, d: d.sin() + i, c), x),
    lambda x: pg.grads([x], (x.exp() * pg.Tensor(np.arange(10, dtype="f4")).detach()).sum())[0], lambda x: pg.zeros((3,)),
])  # fmt: skip
def test_the_same_results(device, path, x, function):
    check(device, path, function, x)


def test_weights_are_constants_of_the_file(device, path, network):
    predict, x = network
    check(device, path, predict, x)
    assert os.path.getsize(path) > 4 * (20 * 30 + 30 + 30 * 5 + 5)


def test_constants_that_are_views(device, path, tensor, x):
    table = tensor(np.arange(60, dtype="f4").reshape(10, 6)).T.eval()
    check(device, path, lambda x: x + table, x)


def test_code_outlives_its_file(device, path, x, tmp_path, monkeypatch):
    """Saving needs no file of the compiler's cache; neither does a run of what was loaded."""
    monkeypatch.setenv("PG_CACHE_DIR", str(tmp_path / "cache"))
    entry, (expected,) = entry_of(lambda x: x.sin() * x.cos() + 0.123, x)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    entry.save(path)
    programs = [Program.load(device, path) for _ in range(3)]  # side by side
    del programs[0]
    for program in programs:
        (found,) = numpy_of(program.run([library.array_from_host(x.numpy(), device)]))
        np.testing.assert_array_equal(found, expected.numpy())


def test_saved_twice(device, path, network):
    """What was loaded can be saved: the same file."""
    predict, x = network
    entry, _ = entry_of(predict, x)
    entry.save(path)
    program = Program.load(device, path)
    program.save(path + "2")
    with open(path, "rb") as first, open(path + "2", "rb") as second:
        assert first.read() == second.read()


def test_inputs_and_outputs_are_described(device, path, network):
    predict, x = network
    entry, _ = entry_of(lambda unread, x: (predict(x), x), x, x)
    entry.save(path)
    program, info = Program.load(device, path), library.ffi.new("pg_array_info *")
    assert program.n_outputs == 2 and program.memory()["constants"] > 0
    assert library.lib.pg_program_input(program.pointer, 1, info) == 0
    assert (info.dtype, *info.shape[0 : info.ndim]) == (11, 7, 20)
    assert library.lib.pg_program_output(program.pointer, 0, info) == 0 and (*info.shape[0 : info.ndim],) == (7, 5)
    for describe, k, message in (("input", 0, "nothing reads it"), ("input", 2, "no input 2"), ("output", -1, "no output -1"), ("output", 2, "no output 2")):  # fmt: skip
        assert getattr(library.lib, f"pg_program_{describe}")(program.pointer, k, info) == library.lib.PG_EINVAL
        assert message in library.ffi.string(library.lib.pg_last_error()).decode()


def test_nothing_stays_in_use(device, path, network):
    predict, x = network
    entry, _ = entry_of(predict, x)
    before = pg.memory_stats(device)["in_use"]
    entry.save(path)
    assert pg.memory_stats(device)["in_use"] == before
    Program.load(device, path)
    assert pg.memory_stats(device)["in_use"] == before


# ---- without Python ----------------------------------------------------------------------------------


@pytest.mark.skipif("PG_LIBRARY" in os.environ, reason="an instrumented library needs its runtime linked in")
def test_a_c_program_runs_it(tmp_path, path, network):
    cc = next(filter(None, map(shutil.which, ("gcc", "clang", "cc"))), None) or pytest.skip("no C compiler")
    source = os.path.join(ROOT, "examples", "run_program.c")
    include = os.path.join(ROOT, "runtime", "include")
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{include}"]
    subprocess.run([cc, *flags, source, PATH, "-o", tmp_path / "run_program"], check=True)
    predict, x = network
    entry, (expected,) = entry_of(predict, x)
    entry.save(path)
    x.numpy().tofile(tmp_path / "x.bin")
    command = [tmp_path / "run_program", path, tmp_path / "x.bin"]
    result = subprocess.run(command, capture_output=True, timeout=50)
    assert (result.returncode, result.stderr) == (0, b"")
    found = np.frombuffer(result.stdout, "f4").reshape(7, 5)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)  # sums of its own matrix product: not OpenBLAS's
    (tmp_path / "short.bin").write_bytes(b"1234")
    for arguments, message in (
        ([], b"usage"), ([path], b"takes 1 inputs, not 0"), ([tmp_path / "none.pg"], b"No such file"),
        ([path, tmp_path / "short.bin"], b"bytes, as input 0 has"), ([path, tmp_path / "none"], b"cannot be opened"),
    ):  # fmt: skip
        result = subprocess.run([command[0], *arguments], capture_output=True, timeout=50)
        assert result.returncode == 1 and message in result.stderr


# ---- what cannot be saved ----------------------------------------------------------------------------


def test_functions_of_the_host(path, x):
    for function in (
        lambda x: pg.pure_callback(lambda a: a + 1, x, x) * 2,
        lambda x: pg.scan(lambda c, row: (pg.pure_callback(lambda a: a, c, c), row), x[0], x),
    ):
        entry, _ = entry_of(function, x)
        with pytest.raises(ArgumentError, match="calls a function of the host .host_call."):
            entry.save(path)
        assert os.listdir(os.path.dirname(path)) == []


def test_functions_that_change_tensors(path, x):
    entry, _ = entry_of(lambda x: x + pg.rand((6, 10)), x)
    with pytest.raises(ArgumentError, match=r"(?s)changes 1 from outside.*give them as arguments"):
        entry.save(path)


def test_files_that_cannot_be_written(tmp_path, x):
    entry, _ = entry_of(lambda x: x + 1, x)
    for place, message in ((tmp_path / "missing" / "a.pg", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ArgumentError, match=message):
            entry.save(place)
    assert os.listdir(tmp_path) == []


# ---- what is not a program ---------------------------------------------------------------------------

_MASK = 2**64 - 1


def with_sum(words):
    """The file of these words, with the sum that they have."""
    total = 0
    for word in words[:-1]:
        total = (total ^ (word & _MASK)) * 0x9E3779B97F4A7C15 & _MASK
        total ^= total >> 32
    return struct.pack(f"<{len(words)}Q", *[word & _MASK for word in words[:-1]], total)


@pytest.fixture
def saved(device, path, x):
    """A small file as words: two programs, a constant, an operation with parameters."""
    entry, _ = entry_of(lambda x: pg.scan(lambda c, row: (c + row, c), x[0].T, x * np.arange(10, dtype="f4")), x)
    entry.save(path)
    with open(path, "rb") as file:
        data = file.read()
    words = list(struct.unpack(f"<{len(data) // 8}q", data))
    assert with_sum(words) == data
    return words


def load(device, path, data):
    with open(path, "wb") as file:
        file.write(data)
    return Program.load(device, path)


def test_other_files(device, path, tmp_path):
    for data in (b"", b"\0", b"hello", b"pequegr\n", os.urandom(1000), b"\x7fELF" + bytes(100)):
        with pytest.raises(ArgumentError, match="is not a saved program"):
            load(device, path, data)
    for place, message in ((tmp_path / "missing", "No such file"), (tmp_path, "not a saved program")):
        with pytest.raises(ArgumentError, match=message):
            Program.load(device, place)


def test_other_versions_and_machines(device, path, saved):
    version = library.lib.PG_ABI_VERSION
    for place, value, message in ((1, version + 1, f"ABI version {version + 1}, this is version {version}"), (2, 7, "another kind of machine")):  # fmt: skip
        words = [*saved]
        words[place] = value
        with pytest.raises(ArgumentError, match=message):
            load(device, path, with_sum(words))


def test_instructions_that_are_missing(device, path, saved):
    words = [*saved[:3], 1, 3, 0, *saved[3:]]  # a code for "x86-64-v5"
    with pytest.raises(PequegradError, match="instruction set that is missing here: x86-64-v5"):
        load(device, path, with_sum(words))
    assert 3 > {"base": 0, "v3": 1, "v4": 2}[library.ffi.string(library.lib.pg_cpu_isa_name()).decode()]


def test_code_that_is_none(device, path, saved):
    for data in ([], [1], [0x464C457F] * 8):
        words = [*saved[:3], 1, 0, 8 * len(data), *data, *saved[3:]]
        with pytest.raises(ArgumentError, match="pg_code_open"):
            load(device, path, with_sum(words))


def test_damaged_files(device, path, saved):
    data = with_sum(saved)
    for size in range(0, len(data), 8):
        with pytest.raises(ArgumentError):
            load(device, path, data[:size])
    for at in range(24, len(data), 7):
        with pytest.raises(ArgumentError, match="is damaged: its sum is wrong"):
            load(device, path, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def test_files_that_lie(device, path, saved):
    """Any word is another one, the sum is right: there is a program that can be destroyed, or an error."""
    before, failures, values = pg.memory_stats(device)["in_use"], 0, (-1, 0, 1, 2, 3, 7, 2**20, 2**31, 2**62, -(2**63))
    for at in range(3, len(saved) - 1):
        for value in {*values, saved[at] + 1, saved[at] - 1}:
            words = [*saved]
            words[at] = value
            try:
                load(device, path, with_sum(words)).memory()
            except PequegradError as error:
                failures += 1
                assert len(str(error)) > 10
    assert failures > len(saved)
    assert pg.memory_stats(device)["in_use"] == before


def test_names_of_kernels_that_take_addresses(device, path, saved):
    """A file cannot make the runtime call, or read, any address."""
    scan = int.from_bytes(b"scan", "little")
    at = saved.index(scan)
    for name in (b"host_call", b"generated", b"call", b"cond", b"while"):
        text = name.ljust((len(name) + 7) // 8 * 8, b"\0")
        packed = list(struct.unpack(f"<{len(text) // 8}q", text))
        words = [*saved[: at - 1], len(name), *packed, *saved[at + 1 :]]
        with pytest.raises(ArgumentError):
            load(device, path, with_sum(words))


def test_results_that_are_constants(device):
    """Nothing reads the constant: its shape is looked at all the same."""
    three = library.array_from_host(np.zeros(3, "f4"), device)
    program = Program(device, [], 0, 1, [~0], owner=None, constants=[three])
    make = lambda shape: library.Operation(
        "call", program.params, (), (make_aval(shape, np.dtype("f4"), device),), device
    )
    make((3,))
    with pytest.raises(ShapeError, match="result 0 is not what its program gives"):
        make((4,))


def test_a_process_that_has_only_the_file(path, device, network):
    """Nothing of the process that saved it is needed."""
    predict, x = network
    entry, (expected,) = entry_of(predict, x)
    entry.save(path)
    script = f"""
import numpy as np, pequegrad as pg
from pequegrad.runtime import library
program = library.Program.load(pg.device.cpu, {path!r})
(y,) = program.run([library.array_from_host(np.array({x.numpy().tolist()!r}, "f4"), pg.device.cpu)])
print(library._array_from_pointer(y.pointer).tolist())
"""
    environment = {**os.environ, "PG_CC": "none", "PYTHONPATH": ROOT}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=50)
    assert result.stderr == ""
    np.testing.assert_array_equal(np.array(eval(result.stdout), "f4"), expected.numpy())


def test_products_followed_by_generated_code(path, device, rng):
    """`dot_generated`: the address is not its first parameter."""
    text = """void pg_saved_test(void *const *b, int64_t begin, int64_t end, char *scratch)
{
    for (int64_t i = 5 * begin; i < 5 * end; i++) ((float *)b[1])[i] = 1 - ((const float *)b[0])[i];
}
"""
    try:
        (address,) = toolchain.build([("pg_saved_test", text)])
    except toolchain.Unavailable as error:
        pytest.skip(error.reason)
    avals = [make_aval(shape, np.dtype("f4"), device) for shape in ((4, 3), (3, 5), (4, 5))]
    operation = library.Operation(
        "dot_generated", [0, 1, 1, 0, address, 4, 1, 0, 0, -1, -1], avals[:2], avals[2:], device
    )
    Program(device, [operation.address, 0, ~0, ~1], 1, 2, [0], owner=operation).save(path)
    with open(path, "rb") as file:
        assert b"pg_saved_test" in file.read()
    x, y = (rng.standard_normal(aval.shape).astype("f4") for aval in avals[:2])
    np.testing.assert_allclose(run(device, path, [x, y])[0], 1 - x @ y, rtol=1e-5, atol=1e-6)
